/* Blueprints and writing entities: port-api T-14 to T-34 and the rules they name. */
#include "support.h"

static const char *d1 =
    "{\"identifier\":\"d1\",\"title\":null,\"icon\":null,\"blueprint\":\"zzz\",\"properties\":{\"lang\":\"c\","
    "\"stars\":1.0,"
    "\"seen\":\"2025-01-02T03:04:05+02:00\",\"tags\":[\"b\",\"a\"]},\"relations\":{\"owner\":\"red\"}}";

static int setup_d1(void **state)
{
    setup_blueprints(state);
    expect(*state, 201, "POST", "/v1/blueprints/dock/entities" UP, d1);
    return 0;
}

static struct json dock(struct fixture *t, const char *id)
{
    char *path = xasprintf("/v1/blueprints/dock/entities/%s", id);
    struct json e = json_get_c(expect(t, 200, "GET", path, NULL), "entity");
    free(path);
    return e;
}

static struct json bulk(struct fixture *t, int status, const char *query, const char *entities)
{
    char *path = xasprintf("/v1/blueprints/dock/entities/bulk%s", query),
         *body = xasprintf("{\"entities\":%s}", entities);
    struct json r = expect(t, status, "POST", path, body);
    free(path);
    free(body);
    return r;
}

/* Blueprints ---------------------------------------------------------------------------------------------------- */

static void test_blueprint_rules(void **state)
{
    struct fixture *t = *state;
    expect_error(t, 404, "not_found", "POST", "/v1/blueprints",
                 "{\"identifier\":\"p\",\"title\":\"P\",\"schema\":{\"properties\":{}},\"relations\":{\"q\":{"
                 "\"target\":\"nope\"}}}");
    expect_message(t, "nope");
    expect_error(t, 409, "identifier_taken", "POST", "/v1/blueprints",
                 "{\"identifier\":\"crew\",\"title\":\"P\",\"schema\":{\"properties\":{}}}");
    struct json b = expect(t, 201, "POST", "/v1/blueprints",
                           "{\"identifier\":\"s\",\"title\":\"S\",\"schema\":{\"properties\":{}},"
                           "\"relations\":{\"o\":{\"target\":\"crew\",\"title\":\"O\"},\"me\":{\"target\":\"s\"}}}");
    expect_text(b, "blueprint.relations.o.required", "false");
    expect_text(b, "blueprint.relations.o.many", "false");
    expect_text(b, "blueprint.relations.o.title", "\"O\"");
    expect_text(b, "blueprint.schema.required", "[]");
    expect(t, 201, "POST", "/v1/blueprints",
           "{\"identifier\":\"e\",\"title\":\"E\",\"schema\":{\"properties\":{\"x\":{\"type\":\"enum\",\"enum\":[\"a\"]"
           "}}}}");
    static const char *const bad[] = {
        "{\"title\":\"P\",\"schema\":{\"properties\":{}}}",
        "{\"identifier\":\"has space\",\"title\":\"P\",\"schema\":{\"properties\":{}}}",
        "{\"identifier\":\"..\",\"title\":\"P\",\"schema\":{\"properties\":{}}}",
        "{\"identifier\":\"p\",\"schema\":{\"properties\":{}}}",
        "{\"identifier\":\"p\",\"title\":\"P\"}",
        "{\"identifier\":\"p\",\"title\":\"P\",\"schema\":{\"properties\":{\"a b\":{}}}}",
        "{\"identifier\":\"p\",\"title\":\"P\",\"schema\":{\"properties\":{},\"required\":[\"x\"]}}",
        ("{\"identifier\":\"p\",\"title\":\"P\",\"schema\":{\"properties\":{}},"
         "\"relations\":{\"o\":{\"target\":\"crew\",\"required\":true,\"many\":true}}}"),
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        expect_error(t, 422, "invalid_request", "POST", "/v1/blueprints", bad[i]);
    expect(t, 201, "POST", "/v1/blueprints",
           "{\"identifier\":\"стол:ü\",\"title\":\"P\",\"schema\":{\"properties\":{}}}");
    assert_int_equal(json_len(at(expect(t, 200, "GET", "/v1/blueprints", NULL), "blueprints")), 8);
}

static void test_blueprint_patch(void **state)
{
    struct fixture *t = *state;
    struct json b = expect(t, 200, "PATCH", "/v1/blueprints/dock", "{\"identifier\":\"dock\",\"icon\":\"Ship\"}");
    expect_text(b, "blueprint.icon", "\"Ship\"");
    expect_text(b, "blueprint.relations.owner.target", "\"crew\"");
    expect(t, 422, "PATCH", "/v1/blueprints/dock", "{\"identifier\":\"dock2\"}");
    expect(t, 404, "PATCH", "/v1/blueprints/nope", "{}");
    expect_error(t, 422, "forbidden_type_change", "PATCH", "/v1/blueprints/crew",
                 "{\"schema\":{\"properties\":{\"size\":{\"type\":\"string\"}}}}");
    expect_text(t->root, "details.property", "\"size\"");
    /* What is no longer defined loses its values, silently. */
    struct json before = dock(t, "d1");
    expect(t, 200, "PATCH", "/v1/blueprints/dock",
           "{\"schema\":{\"properties\":{\"lang\":{\"type\":\"string\"},\"stars\":{\"type\":\"number\"}}},"
           "\"relations\":{}}");
    struct json after = dock(t, "d1");
    expect_text(after, "properties", "{\"lang\":\"c\",\"stars\":1.0}");
    expect_text(after, "relations", "{}");
    assert_true(str_eq(json_str(at(before, "updatedAt")), json_str(at(after, "updatedAt"))));
}

static void test_blueprint_delete(void **state)
{
    struct fixture *t = *state;
    expect_error(t, 422, "has_dependents", "DELETE", "/v1/blueprints/dock", NULL);
    expect_text(t->root, "details.count", "1");
    dock(t, "d1");
    expect(t, 200, "DELETE", "/v1/blueprints/dock/entities/d1", NULL);
    expect(t, 200, "DELETE", "/v1/blueprints/dock", NULL);
    expect(t, 404, "GET", "/v1/blueprints/dock", NULL);
    struct json berth = expect(t, 200, "GET", "/v1/blueprints/berth", NULL);
    expect_text(berth, "blueprint.relations", "{}");
    expect_error(t, 422, "protected_resource", "DELETE", "/v1/blueprints/_user", NULL);
    expect(t, 404, "DELETE", "/v1/blueprints/dock", NULL);
}

static void test_all_entities(void **state)
{
    struct fixture *t = *state;
    expect(t, 201, "POST", "/v1/blueprints/berth/entities" UP,
           "{\"identifier\":\"b1\",\"relations\":{\"dock\":\"d1\"}}");
    struct json r = expect(t, 200, "DELETE", "/v1/blueprints/dock/all-entities?delete_blueprint=true", NULL);
    char *path = xasprintf("/v1/migrations/%.*s", STR_FMT(json_str(at(r, "migrationId"))));
    struct json m = expect(t, 200, "GET", path, NULL);
    expect_text(m, "migration.status", "\"COMPLETED\"");
    expect_text(m, "migration.sourceBlueprint", "\"dock\"");
    free(path);
    expect(t, 404, "GET", "/v1/blueprints/dock", NULL);
    expect_text(expect(t, 200, "GET", "/v1/blueprints/berth", NULL), "blueprint.relations", "{}");
    expect_text(expect(t, 200, "GET", "/v1/blueprints/berth/entities-count", NULL), "count", "0");
}

/* Entities ------------------------------------------------------------------------------------------------------ */

static void test_create(void **state)
{
    struct fixture *t = *state;
    struct json e = dock(t, "d1");
    expect_text(e, "blueprint", "\"dock\"");
    expect_text(e, "title", "null");
    expect_text(e, "properties.stars", "1.0");
    expect_text(e, "properties.seen", "\"2025-01-02T03:04:05+02:00\"");
    expect_text(e, "properties.tags", "[\"b\",\"a\"]");
    expect_text(e, "relations", "{\"owner\":\"red\"}");
    expect_text(e, "team", "[]");
    expect_text(e, "createdBy", "\"acme\"");
    assert_true(str_eq(json_str(at(e, "createdAt")), json_str(at(e, "updatedAt"))));
    struct json red = expect(t, 200, "GET", "/v1/blueprints/crew/entities/red", NULL);
    expect_text(red, "entity.properties", "{\"size\":1}");
    expect_text(red, "entity.relations", "{}");
}

static void test_missing_target(void **state)
{
    struct fixture *t = *state;
    struct json before = dock(t, "d1");
    expect_error(t, 404, "not_found", "POST", "/v1/blueprints/dock/entities" UP0,
                 "{\"identifier\":\"d1\",\"properties\":{\"lang\":\"lua\"},\"relations\":{\"owner\":\"ghost\"}}");
    expect_message(t, "Entity with identifier \"ghost\" does not exist in the blueprint \"crew\"");
    struct json after = dock(t, "d1");
    expect_text(after, "properties.lang", "\"c\"");
    assert_true(str_eq(json_str(at(before, "updatedAt")), json_str(at(after, "updatedAt"))));
    expect(t, 404, "GET", "/v1/blueprints/crew/entities/ghost", NULL);
    expect_error(t, 404, "not_found", "POST", "/v1/blueprints/nope/entities" UP, "{\"identifier\":\"x\"}");
    expect_message(t, "Blueprint with identifier \"nope\" was not found");
}

static void test_modes(void **state)
{
    struct fixture *t = *state;
    struct json old = dock(t, "d1");
    expect_error(t, 409, "identifier_taken", "POST", "/v1/blueprints/dock/entities", d1);
    expect(t, 200, "POST", "/_local/clock", "{\"mode\":\"offset\",\"ms\":5000}");
    expect(t, 200, "POST", "/v1/blueprints/dock/entities" UP,
           "{\"identifier\":\"d1\",\"properties\":{\"stars\":null}}");
    struct json e = dock(t, "d1");
    expect_text(e, "properties.stars", "null");
    expect_text(e, "properties.lang", "\"c\"");
    expect_text(e, "relations.owner", "\"red\"");
    assert_true(str_eq(json_str(at(old, "createdAt")), json_str(at(e, "createdAt"))));
    assert_false(str_eq(json_str(at(old, "updatedAt")), json_str(at(e, "updatedAt"))));
    expect(t, 200, "POST", "/v1/blueprints/dock/entities?upsert=true",
           "{\"identifier\":\"d1\",\"properties\":{\"lang\":\"lua\"}}");
    e = dock(t, "d1");
    expect_text(e, "properties", "{\"lang\":\"lua\"}");
    expect_text(e, "relations", "{}");
    expect_text(e, "team", "[]");
    expect(t, 422, "POST", "/v1/blueprints/dock/entities?upsert=maybe", d1);
    expect(t, 200, "POST", "/v1/blueprints/dock/entities?upsert=TRUE", d1);
}

static void test_required(void **state)
{
    struct fixture *t = *state;
    expect_error(t, 422, "invalid_request", "POST", "/v1/blueprints/dock/entities" UP,
                 "{\"identifier\":\"d2\",\"properties\":{\"stars\":3}}");
    expect_text(t->root, "details.property", "\"lang\"");
    expect(t, 404, "GET", "/v1/blueprints/dock/entities/d2", NULL);
    expect(t, 422, "POST", "/v1/blueprints/dock/entities" UP,
           "{\"identifier\":\"d6\",\"relations\":{\"owner\":\"red\"}}");
    struct json c = expect(t, 201, "POST", "/v1/blueprints/crew/entities" UP, "{\"identifier\":\"c9\"}");
    expect_text(c, "entity.properties", "{\"size\":1}");
    expect(t, 422, "POST", "/v1/blueprints/berth/entities" UP, "{\"identifier\":\"b1\"}");
    expect(t, 422, "POST", "/v1/blueprints/berth/entities" UP, "{\"identifier\":\"b1\",\"relations\":{\"dock\":null}}");
    /* A merge may leave a required relation as it was. */
    expect(t, 201, "POST", "/v1/blueprints/berth/entities" UP,
           "{\"identifier\":\"b1\",\"relations\":{\"dock\":\"d1\"}}");
    expect(t, 200, "POST", "/v1/blueprints/berth/entities" UP, "{\"identifier\":\"b1\",\"title\":\"B\"}");
}

static void test_bulk_errors(void **state)
{
    struct fixture *t = *state;
    struct json r = bulk(t, 207, UP,
                         "[{\"identifier\":\"v0\",\"properties\":{\"lang\":\"c\"}},"
                         "{\"identifier\":\"v1\",\"properties\":{\"lang\":\"go\"}},"
                         "{\"identifier\":\"v2\",\"properties\":{\"lang\":\"c\",\"stars\":-1}},"
                         "{\"identifier\":\"v3\",\"properties\":{\"lang\":\"c\",\"stars\":\"5\"}},"
                         "{\"identifier\":\"v4\",\"properties\":{\"lang\":\"c\",\"home\":\"no url\"}},"
                         "{\"identifier\":\"v5\",\"properties\":{\"lang\":\"c\",\"seen\":\"2025-01-02\"}},"
                         "{\"identifier\":\"v6\",\"properties\":{\"lang\":\"c\",\"tags\":[\"1\",\"2\",\"3\",\"4\"]}},"
                         "{\"identifier\":\"has space\",\"properties\":{\"lang\":\"c\"}}]");
    expect_text(r, "entities", "[{\"created\":true,\"identifier\":\"v0\",\"index\":0}]");
    assert_int_equal(json_len(at(r, "errors")), 7);
    for (int i = 0; i < 7; i++) {
        char path[64], index[16];
        snprintf(path, sizeof(path), "errors.%d.index", i);
        snprintf(index, sizeof(index), "%d", i + 1);
        expect_text(r, path, index);
        snprintf(path, sizeof(path), "errors.%d.statusCode", i);
        expect_text(r, path, "422");
        snprintf(path, sizeof(path), "errors.%d.error", i);
        expect_text(r, path, "\"invalid_request\"");
    }
    expect_text(expect(t, 200, "GET", "/v1/blueprints/dock/entities-count", NULL), "count", "1");
}

static void test_bulk_shape(void **state)
{
    struct fixture *t = *state;
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    for (int i = 0; i < 21; i++)
        buf_addf(&b, "%s{\"identifier\":\"x%d\",\"properties\":{\"lang\":\"c\"}}", i ? "," : "[", i);
    buf_addc(&b, ']');
    bulk(t, 422, UP, buf_cstr(&b));
    bulk(t, 422, UP, "[]");
    bulk(t, 422, UP, "{}");
    expect_error(t, 422, "invalid_request", "POST", "/v1/blueprints/dock/entities/bulk" UP, "{}");
    expect_error(t, 422, "invalid_request", "POST", "/v1/blueprints/dock/entities/bulk" UP, "");
    expect_error(t, 400, "invalid_request", "POST", "/v1/blueprints/dock/entities/bulk" UP,
                 "{\"entities\":[\"\xff\"]}");
    expect_error(t, 404, "not_found", "POST", "/v1/blueprints/nope/entities/bulk" UP,
                 "{\"entities\":[{\"identifier\":\"x\"}]}");
    expect_text(expect(t, 200, "GET", "/v1/blueprints/dock/entities-count", NULL), "count", "0");
    /* Too large: refused as JSON, and the connection goes on. */
    buf_reset(&b);
    buf_adds(&b, "{\"entities\":[{\"identifier\":\"big\",\"properties\":{\"lang\":\"c\",\"meta\":{\"x\":\"");
    while (b.n < 1048577)
        buf_adds(&b, "0123456789abcdef");
    buf_adds(&b, "\"}}}]}");
    expect_error(t, 413, "request_too_large", "POST", "/v1/blueprints/dock/entities/bulk" UP, buf_cstr(&b));
    expect_text(expect(t, 200, "GET", "/v1/blueprints/dock/entities-count", NULL), "count", "0");
    buf_done(&b);
}

static void test_unknown_properties(void **state)
{
    static const char *const modes[] = {"drop", "keep", "reject"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct fixture *t = start_catalog(&(struct catalog_opts){.unknown_properties = modes[i]});
        get_token(t, "acme");
        make_blueprints(t);
        const char *one = "[{\"identifier\":\"d1\",\"properties\":{\"lang\":\"c\",\"colour\":\"blue\"},\"relations\":{"
                          "\"nope\":\"x\"}}]";
        bulk(t, i == 2 ? 207 : 200, UP, one);
        if (i < 2)
            expect_text(dock(t, "d1"), "properties", i ? "{\"lang\":\"c\",\"colour\":\"blue\"}" : "{\"lang\":\"c\"}");
        if (i == 1) {
            bulk(t, 200, UP, "[{\"identifier\":\"d1\",\"properties\":{\"stars\":1}}]");
            expect_text(dock(t, "d1"), "properties", "{\"lang\":\"c\",\"stars\":1,\"colour\":\"blue\"}");
        }
        stop_catalog(t);
    }
}

static void test_bulk_order(void **state)
{
    struct fixture *t = *state;
    const char *a = "{\"identifier\":\"a\",\"properties\":{\"lang\":\"c\"},\"relations\":{\"uses\":[\"b\"]}}";
    const char *b = "{\"identifier\":\"b\",\"properties\":{\"lang\":\"c\"}}";
    char *ab = xasprintf("[%s,%s]", a, b), *ba = xasprintf("[%s,%s]", b, a);
    struct json r = bulk(t, 207, UP0, ab);
    expect_text(r, "errors.0.identifier", "\"a\"");
    expect_text(r, "errors.0.index", "0");
    expect_text(r, "errors.0.statusCode", "404");
    expect_text(r, "errors.0.error", "\"not_found\"");
    expect_text(r, "entities.0.index", "1");
    expect(t, 200, "POST", "/_local/reset", "{\"scope\":\"entities\"}");
    bulk(t, 200, UP0, ba);
    r = bulk(t, 200, UP,
             "[{\"identifier\":\"k\",\"properties\":{\"lang\":\"c\",\"stars\":1}},"
             "{\"identifier\":\"k\",\"properties\":{\"stars\":2}}]");
    expect_text(r, "entities.0.created", "true");
    expect_text(r, "entities.1.created", "false");
    expect_text(dock(t, "k"), "properties.stars", "2");
    free(ab);
    free(ba);
}

static void test_relation_values(void **state)
{
    struct fixture *t = *state;
    bulk(t, 200, UP, "[{\"identifier\":\"a\",\"properties\":{\"lang\":\"c\"},\"relations\":{\"uses\":\"a\"}}]");
    expect_text(dock(t, "a"), "relations.uses", "[\"a\"]");
    bulk(t, 200, UP, "[{\"identifier\":\"a\",\"relations\":{\"uses\":[\"z\",\"a\",\"z\"]}}]");
    expect_text(dock(t, "a"), "relations.uses", "[\"z\",\"a\",\"z\"]");
    bulk(t, 200, UP, "[{\"identifier\":\"a\",\"relations\":{\"uses\":null,\"owner\":null}}]");
    expect_text(dock(t, "a"), "relations", "{\"owner\":null,\"uses\":null}");
    static const char *const bad[] = {"{\"owner\":[\"x\"]}", "{\"owner\":5}", "{\"uses\":[5]}", "{\"uses\":[\"a b\"]}",
                                      "{\"owner\":true}"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char *list = xasprintf("[{\"identifier\":\"a\",\"relations\":%s}]", bad[i]);
        expect_text(bulk(t, 207, UP, list), "errors.0.statusCode", "422");
        free(list);
    }
}

static void test_queries(void **state)
{
    struct fixture *t = *state;
    expect(t, 200, "POST", "/v1/blueprints/crew/entities" UP,
           "{\"identifier\":\"red\",\"properties\":{\"mail\":\"r@x.io\"}}");
    static const char *const values[] = {"\"r@x.io\"", "\"none@x.io\"", "null"}, *const owners[] = {"\"red\"", "null",
                                                                                                    "null"};
    for (int i = 0; i < 3; i++) {
        char body[512];
        snprintf(
            body, sizeof(body),
            "{\"identifier\":\"d5\",\"properties\":{\"lang\":\"c\"},\"relations\":{\"owner\":{\"combinator\":\"and\","
            "\"rules\":[{\"property\":\"mail\",\"operator\":\"=\",\"value\":%s}]}}}",
            values[i]);
        expect_text(expect(t, i ? 200 : 201, "POST", "/v1/blueprints/dock/entities" UP, body), "entity.relations.owner",
                    owners[i]);
    }
    bulk(t, 200, UP,
         "[{\"identifier\":\"q1\",\"properties\":{\"lang\":\"c\",\"stars\":4}},"
         "{\"identifier\":\"q2\",\"properties\":{\"lang\":\"c\",\"stars\":4}},"
         "{\"identifier\":\"q3\",\"properties\":{\"lang\":\"c\",\"stars\":5}}]");
    struct json r = bulk(
        t, 207, UP,
        "[{\"identifier\":{\"combinator\":\"and\",\"rules\":[{\"property\":\"stars\",\"operator\":\"=\",\"value\":4}]}}"
        ","
        "{\"identifier\":{\"combinator\":\"and\",\"rules\":[{\"property\":\"stars\",\"operator\":\"=\",\"value\":99}]}}"
        ","
        "{\"identifier\":{\"combinator\":\"and\",\"rules\":[{\"property\":\"stars\",\"operator\":\"=\",\"value\":5}]},"
        "\"title\":\"found\"}]");
    expect_text(r, "errors.0.identifier", "\"unknown\"");
    expect_text(r, "errors.0.statusCode", "422");
    expect_text(r, "errors.1.statusCode", "404");
    expect_text(r, "entities.0.identifier", "\"q3\"");
    expect_text(dock(t, "q3"), "title", "\"found\"");
}

static void test_validation_only(void **state)
{
    struct fixture *t = *state;
    struct json r =
        expect(t, 200, "POST", "/v1/blueprints/dock/entities" UP "&validation_only=true",
               "{\"identifier\":\"n\",\"properties\":{\"lang\":\"c\"},\"relations\":{\"owner\":\"ghost\"}}");
    expect_text(r, "entity.identifier", "\"n\"");
    expect(t, 404, "GET", "/v1/blueprints/dock/entities/n", NULL);
    expect(t, 404, "GET", "/v1/blueprints/crew/entities/ghost", NULL);
}

static void test_verbatim(void **state)
{
    struct fixture *t = *state;
    const char *meta = "{\"i\":9007199254740993,\"f\":1.10,\"e\":1e2,\"z\":-0.0,\"big\":123456789012345678901234567890,"
                       "\"s\":\"a\\u0000\\\"\\\\é😀\",\"n\":null,\"l\":[[],{}]}";
    char *one = xasprintf("[{\"identifier\":\"m\",\"properties\":{\"lang\":\"c\",\"meta\":%s}}]", meta);
    bulk(t, 200, UP, one);
    expect_text(dock(t, "m"), "properties.meta", meta);
    free(one);
    /* Without an identifier the server makes one; identifiers keep letters of any script. */
    struct json r = bulk(
        t, 200, UP,
        "[{\"properties\":{\"lang\":\"c\"}},{\"identifier\":\"Ärger/1\\\\x='y'\",\"properties\":{\"lang\":\"c\"}}]");
    assert_true(str_starts(json_str(at(r, "entities.0.identifier")), STR("e_")));
    expect_text(dock(t, "%C3%84rger%2F1%5Cx%3D'y'"), "identifier", "\"Ärger/1\\\\x='y'\"");
}

static void test_put_and_patch(void **state)
{
    struct fixture *t = *state;
    const char *path = "/v1/blueprints/dock/entities/d1";
    expect_text(expect(t, 200, "PATCH", path, "{\"title\":\"T\"}"), "entity.properties.stars", "1.0");
    expect_text(expect(t, 200, "PUT", path, "{\"properties\":{\"lang\":\"lua\"}}"), "entity.properties",
                "{\"lang\":\"lua\"}");
    expect(t, 404, "PATCH", "/v1/blueprints/dock/entities/none", "{}");
    expect(t, 422, "PATCH", path, "{\"identifier\":\"d2\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_blueprint_rules, setup_blueprints, teardown),
        cmocka_unit_test_setup_teardown(test_blueprint_patch, setup_d1, teardown),
        cmocka_unit_test_setup_teardown(test_blueprint_delete, setup_d1, teardown),
        cmocka_unit_test_setup_teardown(test_all_entities, setup_d1, teardown),
        cmocka_unit_test_setup_teardown(test_create, setup_d1, teardown),
        cmocka_unit_test_setup_teardown(test_missing_target, setup_d1, teardown),
        cmocka_unit_test_setup_teardown(test_modes, setup_d1, teardown),
        cmocka_unit_test_setup_teardown(test_required, setup_d1, teardown),
        cmocka_unit_test_setup_teardown(test_bulk_errors, setup_blueprints, teardown),
        cmocka_unit_test_setup_teardown(test_bulk_shape, setup_blueprints, teardown),
        cmocka_unit_test(test_unknown_properties),
        cmocka_unit_test_setup_teardown(test_bulk_order, setup_blueprints, teardown),
        cmocka_unit_test_setup_teardown(test_relation_values, setup_blueprints, teardown),
        cmocka_unit_test_setup_teardown(test_queries, setup_d1, teardown),
        cmocka_unit_test_setup_teardown(test_validation_only, setup_blueprints, teardown),
        cmocka_unit_test_setup_teardown(test_verbatim, setup_blueprints, teardown),
        cmocka_unit_test_setup_teardown(test_put_and_patch, setup_d1, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
