/* Searching, listing by owner, deletion: port-api T-35 to T-42, section 12, P-159 to P-186. */
#include "support.h"

static void put_dock(struct fixture *t, const char *id, const char *rest)
{
    char *body = xasprintf("{\"entities\":[{\"identifier\":\"%s\",\"properties\":{\"lang\":\"c\"%s}]}", id, rest);
    expect(t, 200, "POST", "/v1/blueprints/dock/entities/bulk" UP, body);
    free(body);
}

/* Twelve docks by A, three by B. */
static int setup_fifteen(void **state)
{
    setup_blueprints(state);
    struct fixture *t = *state;
    char id[16];
    for (int i = 1; i <= 12; i++) {
        snprintf(id, sizeof(id), "d%d", i);
        put_dock(t, id,
                 i == 1 ? ",\"stars\":3,\"tags\":[\"x\",\"y\"],\"seen\":\"2025-01-02T00:00:00Z\"},\"title\":\"One\""
                        : "}");
    }
    t->agent = UA_B;
    for (int i = 1; i <= 3; i++) {
        snprintf(id, sizeof(id), "n%d", i);
        put_dock(t, id, "}");
    }
    t->agent = UA_A;
    return 0;
}

#define OWNED_BY_A                                                                                                     \
    "{\"property\":\"$datasource\",\"operator\":\"contains\",\"value\":\"port-ocean/acme-ci/\"},"                      \
    "{\"property\":\"$datasource\",\"operator\":\"contains\",\"value\":\"/acme-prod/exporter\"}"

static void test_search_projection(void **state)
{
    struct fixture *t = *state;
    struct json r = expect(
        t, 200, "POST",
        "/v1/entities/search?include=blueprint&include=identifier&include=properties.stars&include=relations.owner",
        "{\"combinator\":\"and\",\"rules\":[{\"property\":\"$identifier\",\"operator\":\"in\",\"value\":[\"d1\",\"d2\","
        "\"n1\"]},"
        "{\"property\":\"$blueprint\",\"operator\":\"=\",\"value\":\"dock\"}," OWNED_BY_A "]}");
    expect_text(
        r, "entities",
        "[{\"identifier\":\"d1\",\"blueprint\":\"dock\",\"properties\":{\"stars\":3},\"relations\":{\"owner\":null}},"
        "{\"identifier\":\"d2\",\"blueprint\":\"dock\",\"properties\":{\"stars\":null},\"relations\":{\"owner\":null}}"
        "]");
    expect_text(r, "matchingBlueprints", "[\"dock\"]");
    r = expect(t, 200, "GET", "/v1/blueprints/dock/entities/d1?include=properties.nope&include=identifier&include=team",
               NULL);
    expect_text(r, "entity", "{\"identifier\":\"d1\",\"team\":[],\"properties\":{}}");
    r = expect(t, 200, "GET", "/v1/blueprints/dock/entities/d1?exclude=properties.tags&exclude=title&exclude=createdAt",
               NULL);
    expect_missing(r, "entity.title");
    expect_missing(r, "entity.properties.tags");
    expect_missing(r, "entity.createdAt");
    expect_text(r, "entity.properties.stars", "3");
    r = expect(t, 200, "GET", "/v1/blueprints/dock/entities?include=identifier", NULL);
    assert_int_equal(json_len(at(r, "entities")), 15);
    expect_text(r, "entities.14", "{\"identifier\":\"n3\"}");
    put_dock(t, "d2", "},\"relations\":{\"uses\":[\"d1\"]}");
    r = expect(t, 200, "GET", "/v1/blueprints/dock/entities/d2?attach_title_to_relation=true&include=relations", NULL);
    expect_text(r, "entity.relations.uses", "[{\"identifier\":\"d1\",\"title\":\"One\"}]");
}

static size_t hits(struct fixture *t, const char *query)
{
    return json_len(at(expect(t, 200, "POST", "/v1/entities/search?include=identifier", query), "entities"));
}

static void test_groups(void **state)
{
    struct fixture *t = *state;
    assert_int_equal(
        hits(t, "{\"combinator\":\"and\",\"rules\":[{\"combinator\":\"or\",\"rules\":[]},"
                "{\"property\":\"$datasource\",\"operator\":\"contains\",\"value\":\"/acme-prod/exporter\"}]}"),
        0);
    assert_int_equal(hits(t, "{\"combinator\":\"and\",\"rules\":[]}"), 15);
    assert_int_equal(hits(t, "{\"combinator\":\"or\",\"rules\":[]}"), 0);
    assert_int_equal(
        hits(t, "{\"combinator\":\"and\",\"rules\":[{\"combinator\":\"or\",\"rules\":["
                "{\"combinator\":\"and\",\"rules\":[{\"property\":\"$identifier\",\"operator\":\"=\",\"value\":\"d3\"},"
                "{\"property\":\"$blueprint\",\"operator\":\"=\",\"value\":\"dock\"}]},"
                "{\"combinator\":\"and\",\"rules\":[{\"property\":\"$identifier\",\"operator\":\"=\",\"value\":\"n1\"},"
                "{\"property\":\"$blueprint\",\"operator\":\"=\",\"value\":\"dock\"}]}]}," OWNED_BY_A "]}"),
        1);
    static const char *const bad[] = {
        "{\"combinator\":\"and\",\"rules\":[{\"property\":\"$title\",\"operator\":\"~=\",\"value\":\"x\"}]}",
        "{\"rules\":[]}",
        "{\"combinator\":\"xor\",\"rules\":[]}",
        "{\"combinator\":\"and\"}",
        "{\"combinator\":\"and\",\"rules\":[{\"property\":\"$title\",\"operator\":\"=\"}]}",
        "{\"combinator\":\"and\",\"rules\":[{\"operator\":\"=\",\"value\":1}]}",
        "{\"combinator\":\"and\",\"rules\":[{\"property\":\"$title\",\"value\":1}]}",
        "{\"combinator\":\"and\",\"rules\":[{\"property\":\"$title\",\"operator\":\"=\",\"value\":1,\"colour\":2}]}",
        "{\"combinator\":\"and\",\"rules\":[5]}",
        "{\"combinator\":\"and\",\"rules\":[{\"property\":\"x\",\"operator\":\"in\",\"value\":\"y\"}]}",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        expect_error(t, 422, "invalid_request", "POST", "/v1/entities/search", bad[i]);
}

static void test_operators(void **state)
{
    struct fixture *t = *state;
    static const struct {
        const char *property, *operator, * value;
        size_t hits;
    } cases[] = {
        {"stars", "=", "3.0", 1},
        {"stars", "=", "null", 14},
        {"stars", "!=", "3", 14},
        {"stars", ">", "2", 1},
        {"stars", "<=", "2", 0},
        {"stars", ">=", "3", 1},
        {"stars", "<", "9", 1},
        {"stars", "in", "[1,3]", 1},
        {"stars", "notIn", "[1,3]", 14},
        {"lang", "contains", "\"c\"", 15},
        {"lang", "contains", "\"C\"", 0},
        {"tags", "contains", "\"x\"", 1},
        {"tags", "contains", "[\"x\",\"y\"]", 1},
        {"tags", "contains", "[\"x\",\"q\"]", 0},
        {"tags", "containsAny", "[\"q\",\"y\"]", 1},
        {"tags", "in", "[\"y\"]", 1},
        {"tags", "doesNotContains", "\"x\"", 14},
        {"$title", "beginsWith", "\"On\"", 1},
        {"$title", "endsWith", "\"ne\"", 1},
        {"$title", "doesNotBeginsWith", "\"On\"", 14},
        {"$title", "doesNotEndsWith", "\"ne\"", 14},
        {"$title", "isEmpty", NULL, 14},
        {"$title", "isNotEmpty", NULL, 1},
        {"tags", "isEmpty", NULL, 14},
        {"seen", "=", "\"2025-01-02T02:00:00+02:00\"", 1},
        {"seen", ">", "\"2025-01-01T00:00:00Z\"", 1},
        {"seen", "between", "{\"from\":\"2025-01-01T00:00:00Z\",\"to\":\"2025-01-02T00:00:00Z\"}", 1},
        {"seen", "notBetween", "{\"from\":\"2025-01-01T00:00:00Z\",\"to\":\"2025-01-02T00:00:00Z\"}", 0},
        {"$updatedAt", "between", "{\"preset\":\"today\"}", 15},
        {"$createdAt", "<", "\"2001-01-01T00:00:00Z\"", 0},
        {"$createdBy", "=", "\"acme\"", 15},
        {"nope", "=", "null", 15},
        {"$identifier", "in", "[\"d1\",7,\"zz\",\"d1\"]", 1},
        {"$blueprint", "=", "\"nope\"", 0},
        {"$team", "isEmpty", NULL, 15},
    };
    expect(t, 200, "POST", "/_local/clock", "{\"mode\":\"real\"}");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *value = cases[i].value ? xasprintf(",\"value\":%s", cases[i].value) : xstrdup("");
        char *query = xasprintf("{\"combinator\":\"and\",\"rules\":[{\"property\":\"%s\",\"operator\":\"%s\"%s}]}",
                                cases[i].property, cases[i].operator, value);
        size_t n = hits(t, query);
        if (n != cases[i].hits)
            fail_msg("%s: %zu hits instead of %zu", query, n, cases[i].hits);
        free(value);
        free(query);
    }
}

/* a uses b, b uses c, b is owned by red; berth needs a. */
static void test_related(void **state)
{
    struct fixture *t = *state;
    put_dock(t, "c", "}");
    put_dock(t, "b", "},\"relations\":{\"uses\":[\"c\",\"b\"],\"owner\":\"red\"}");
    put_dock(t, "a", "},\"relations\":{\"uses\":[\"b\"]}");
    expect(t, 201, "POST", "/v1/blueprints/berth/entities" UP, "{\"identifier\":\"q\",\"relations\":{\"dock\":\"a\"}}");
    static const struct {
        const char *rest, *found;
    } cases[] = {
        {"\"value\":\"b\",\"direction\":\"upstream\"", "c red "},
        {"\"value\":\"b\",\"direction\":\"downstream\"", "a q "},
        {"\"value\":[\"c\"]", "b a q "},
        {"\"value\":\"a\",\"required\":true", "q "},
        {"\"value\":\"ghost\"", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char found[64] = "";
        char *q =
            xasprintf("{\"combinator\":\"and\",\"rules\":[{\"operator\":\"relatedTo\",\"blueprint\":\"dock\",%s}]}",
                      cases[i].rest);
        struct json r = expect(t, 200, "POST", "/v1/entities/search?include=identifier", q);
        for (struct json_iter it = json_iter(at(r, "entities")); json_next(&it);) {
            struct str id = json_str(json_get_c(it.val, "identifier"));
            size_t n = strlen(found);
            snprintf(found + n, sizeof(found) - n, "%.*s ", STR_FMT(id));
        }
        assert_string_equal(found, cases[i].found);
        free(q);
    }
    expect(t, 422, "POST", "/v1/entities/search",
           "{\"combinator\":\"and\",\"rules\":[{\"operator\":\"relatedTo\",\"value\":\"a\"}]}");
    expect(t, 422, "POST", "/v1/entities/search",
           "{\"combinator\":\"and\",\"rules\":[{\"operator\":\"relatedTo\",\"blueprint\":\"dock\",\"value\":\"a\","
           "\"x\":1}]}");
}

static void test_blueprint_search(void **state)
{
    struct fixture *t = *state;
    const char *path = "/v1/blueprints/dock/entities/search";
    struct json a = expect(
        t, 200, "POST", path,
        "{\"query\":{\"combinator\":\"and\",\"rules\":[]},\"limit\":10,\"include\":[\"$identifier\",\"stars\"]}");
    assert_int_equal(json_len(at(a, "entities")), 10);
    expect_text(a, "entities.0.properties", "{\"stars\":3}");
    expect(t, 200, "DELETE", "/v1/blueprints/dock/entities/d2", NULL);
    char *more = xasprintf("{\"limit\":10,\"from\":\"%.*s\"}", STR_FMT(json_str(at(a, "next"))));
    struct json b = expect(t, 200, "POST", path, more);
    assert_int_equal(json_len(at(b, "entities")), 5);
    expect_text(b, "entities.0.identifier", "\"d11\"");
    expect_missing(b, "next");
    free(more);
    expect(t, 422, "POST", path, "{\"limit\":1001}");
    expect(t, 422, "POST", path, "{\"from\":\"p1-x\"}");
    expect(t, 422, "POST", path, "{\"query\":{\"rules\":[]}}");
    expect_message(t, "\"query\" must have required property 'combinator'");
}

/* Listing by owner ---------------------------------------------------------------------------------------------- */

static struct json page(struct fixture *t, const char *owner, const char *rest)
{
    char *body = xasprintf("{\"datasource_prefix\":\"port-ocean/acme-ci/\",\"datasource_suffix\":\"/%s/exporter\"%s}",
                           owner, rest);
    struct json r = expect(t, 200, "POST",
                           "/v1/blueprints/entities/datasource-entities?include=blueprint&include=identifier", body);
    free(body);
    return r;
}

static void test_pages(void **state)
{
    struct fixture *t = *state;
    char id[16], seen[64] = "", *rest;
    expect(t, 200, "POST", "/_local/clock", "{\"mode\":\"fixed\",\"now\":\"2030-01-01T00:00:00.000100Z\"}");
    get_token(t, "acme");
    for (int i = 1; i <= 7; i++) {
        snprintf(id, sizeof(id), "e%d", i);
        put_dock(t, id, "}");
    }
    expect(t, 200, "POST", "/_local/clock", "{\"mode\":\"fixed\",\"now\":\"2030-01-01T00:00:00.000200Z\"}");
    put_dock(t, "e8", "}");
    const char *before = ",\"limit\":3,\"before\":\"2030-01-01T02:00:00.000200+02:00\"";
    struct json r = page(t, "acme-prod", before);
    size_t sizes[4] = {0}, pages = 0;
    for (;; pages++) {
        for (struct json_iter it = json_iter(at(r, "entities")); json_next(&it); sizes[pages]++) {
            struct str s = json_str(json_get_c(it.val, "identifier"));
            strncat(seen, s.p, s.n);
        }
        if (pages == 0)
            expect(t, 200, "DELETE", "/v1/blueprints/dock/entities/e2", NULL);
        if (json_is_null(at(r, "next")))
            break;
        rest = xasprintf("%s,\"from\":\"%.*s\"", before, STR_FMT(json_str(at(r, "next"))));
        r = page(t, "acme-prod", rest);
        free(rest);
    }
    assert_string_equal(seen, "e1e2e3e4e5e6e7");
    assert_int_equal(sizes[0], 3);
    assert_int_equal(sizes[1], 3);
    assert_int_equal(sizes[2], 1);
    assert_int_equal(pages, 2);
    assert_int_equal(json_len(at(page(t, "acme-prod", ""), "entities")), 7);
    expect(t, 422, "POST", "/v1/blueprints/entities/datasource-entities", "{}");
    expect(t, 422, "POST", "/v1/blueprints/entities/datasource-entities",
           "{\"datasource_prefix\":\"\",\"before\":\"soon\"}");
    expect(t, 422, "POST", "/v1/blueprints/entities/datasource-entities",
           "{\"datasource_prefix\":\"\",\"from\":\"nonsense\"}");
}

static void test_owner(void **state)
{
    struct fixture *t = *state;
    put_dock(t, "e1", "},\"relations\":{\"owner\":\"bare\"}");
    assert_int_equal(json_len(at(page(t, "acme-prod", ""), "entities")), 2); /* the bare one too */
    t->agent = UA_B;
    put_dock(t, "e1", "}");
    struct json a = page(t, "acme-prod", ""), b = page(t, "acme-dev", "");
    expect_text(a, "entities", "[{\"identifier\":\"bare\",\"blueprint\":\"crew\"}]");
    expect_text(b, "entities", "[{\"identifier\":\"e1\",\"blueprint\":\"dock\"}]");
    t->agent = "port-ocean/acme-ci/9.9.9/acme-prod/exporter";
    put_dock(t, "e1", "}");
    a = page(t, "acme-prod", "");
    assert_int_equal(json_len(at(a, "entities")), 2);
    struct json all = expect(t, 200, "GET", "/_local/entities?blueprint=dock", NULL);
    expect_text(all, "entities.0.$datasource", "\"port-ocean/acme-ci/9.9.9/acme-prod/exporter\"");
    /* Two versions, one entity a page: every entity once. */
    a = page(t, "acme-prod", ",\"limit\":1");
    char *rest = xasprintf(",\"limit\":1,\"from\":\"%.*s\"", STR_FMT(json_str(at(a, "next"))));
    b = page(t, "acme-prod", rest);
    assert_int_equal(json_len(at(b, "entities")), 1);
    assert_false(str_eq(json_str(at(a, "entities.0.identifier")), json_str(at(b, "entities.0.identifier"))));
    free(rest);
}

/* Deletion ------------------------------------------------------------------------------------------------------ */

static void test_dependents(void **state)
{
    struct fixture *t = *state;
    put_dock(t, "d1", "}");
    put_dock(t, "d2", "},\"relations\":{\"uses\":[\"d1\"],\"owner\":\"red\"}");
    expect(t, 201, "POST", "/v1/blueprints/berth/entities" UP,
           "{\"identifier\":\"b1\",\"relations\":{\"dock\":\"d1\"}}");
    struct json before = expect(t, 200, "GET", "/v1/blueprints/dock/entities/d2", NULL);
    const char *path = "/v1/blueprints/dock/bulk/entities/delete?delete_dependents=";
    char *no = xasprintf("%sfalse", path), *yes = xasprintf("%strue", path);
    expect_error(t, 422, "has_dependents", "POST", no, "{\"entities\":[\"d1\",\"zz\"]}");
    expect(t, 200, "GET", "/v1/blueprints/dock/entities/d1", NULL);
    expect_error(t, 422, "has_dependents", "DELETE", "/v1/blueprints/dock/entities/d1", NULL);
    t->agent = UA_B;
    struct json r = expect(t, 200, "POST", yes, "{\"entities\":[\"d1\",\"zz\",\"d1\"]}");
    expect_text(r, "deletedEntities", "[\"d1\"]");
    expect(t, 404, "GET", "/v1/blueprints/berth/entities/b1", NULL);
    struct json after = expect(t, 200, "GET", "/v1/blueprints/dock/entities/d2", NULL);
    expect_text(after, "entity.relations", "{\"owner\":\"red\",\"uses\":[]}");
    assert_true(str_eq(json_str(at(before, "entity.updatedAt")), json_str(at(after, "entity.updatedAt"))));
    expect_text(expect(t, 200, "GET", "/_local/entities?blueprint=dock", NULL), "entities.0.$datasource",
                "\"" UA_A "\"");
    expect(t, 200, "DELETE", "/v1/blueprints/crew/entities/red", NULL);
    expect_text(expect(t, 200, "GET", "/v1/blueprints/dock/entities/d2", NULL), "entity.relations.owner", "null");
    r = expect(t, 200, "POST", no, "{\"entities\":[\"none\"]}");
    expect_text(r, "deletedEntities", "[]");
    expect_error(t, 404, "not_found", "POST", "/v1/blueprints/nope/bulk/entities/delete", "{\"entities\":[\"x\"]}");
    expect(t, 422, "POST", no, "{\"entities\":[]}");
    expect(t, 422, "POST", no, "{\"entities\":[5]}");
    free(no);
    free(yes);
}

/* References written after the index of references was made, changed and deleted ones included. */
static void test_late_references(void **state)
{
    struct fixture *t = *state;
    put_dock(t, "a", "}");
    put_dock(t, "b", "},\"relations\":{\"uses\":[\"a\"]}");
    expect(t, 200, "DELETE", "/v1/blueprints/dock/entities/a", NULL); /* makes the index */
    put_dock(t, "c", "},\"relations\":{\"uses\":[\"b\"]}");           /* beyond it */
    put_dock(t, "b", "},\"relations\":{\"uses\":[\"d\",\"c\"]}");     /* inside it, changed */
    expect(t, 200, "DELETE", "/v1/blueprints/dock/entities/d", NULL);
    expect_text(expect(t, 200, "GET", "/v1/blueprints/dock/entities/b", NULL), "entity.relations.uses", "[\"c\"]");
    put_dock(t, "b", "},\"relations\":{\"uses\":[]}");
    expect(t, 200, "DELETE", "/v1/blueprints/dock/entities/c", NULL);
    expect_text(expect(t, 200, "GET", "/v1/blueprints/dock/entities/b", NULL), "entity.relations.uses", "[]");
    /* A chain of required relations goes whole; a member of the list does not block. */
    put_dock(t, "x", "}");
    expect(t, 201, "POST", "/v1/blueprints/berth/entities" UP,
           "{\"identifier\":\"bx\",\"relations\":{\"dock\":\"x\"}}");
    expect_error(t, 422, "has_dependents", "DELETE", "/v1/blueprints/dock/entities/x?delete_dependents=false", NULL);
    expect(t, 200, "DELETE", "/v1/blueprints/dock/entities/x?delete_dependents=true", NULL);
    expect(t, 404, "GET", "/v1/blueprints/berth/entities/bx", NULL);
}

static void test_encoded_path(void **state)
{
    struct fixture *t = *state;
    expect(t, 201, "POST", "/v1/blueprints/crew/entities" UP, "{\"identifier\":\"a/b+c\"}");
    expect(t, 200, "GET", "/v1/blueprints/crew/entities/a%2Fb+c", NULL); /* a plus stays a plus */
    expect_text(expect(t, 200, "DELETE", "/v1/blueprints/crew/entities/a%2Fb%2Bc?delete_dependents=true", NULL), "ok",
                "true");
    expect_error(t, 404, "not_found", "DELETE", "/v1/blueprints/crew/entities/a%2Fb%2Bc?delete_dependents=true", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_search_projection, setup_fifteen, teardown),
        cmocka_unit_test_setup_teardown(test_groups, setup_fifteen, teardown),
        cmocka_unit_test_setup_teardown(test_operators, setup_fifteen, teardown),
        cmocka_unit_test_setup_teardown(test_related, setup_blueprints, teardown),
        cmocka_unit_test_setup_teardown(test_blueprint_search, setup_fifteen, teardown),
        cmocka_unit_test_setup_teardown(test_pages, setup_blueprints, teardown),
        cmocka_unit_test_setup_teardown(test_owner, setup_blueprints, teardown),
        cmocka_unit_test_setup_teardown(test_dependents, setup_blueprints, teardown),
        cmocka_unit_test_setup_teardown(test_late_references, setup_blueprints, teardown),
        cmocka_unit_test_setup_teardown(test_encoded_path, setup_blueprints, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
