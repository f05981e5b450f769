/* Bulks, lookups, listing, deletion and the blueprint cache on the wire (sync sections 7 to 10). */
#include "fake_port.h"
#include "port/entities_priv.h"

static const struct write_options resync = {
    .merge = true,
    .create_missing = false,
    .delete_dependents = true,
    .event_type = "resync",
    .resync_id = "6f1d",
    .feature = PORT_EXPORTER,
};

struct outcome {
    int done;
    struct upsert_result results[20];
    char texts[20][2][80];
    size_t n;
    struct err whole;
};

static void on_upsert(void *arg, const struct upsert_result *results, size_t n, const struct err *whole)
{
    struct outcome *o = arg;
    o->done++;
    o->n = n;
    for (size_t i = 0; i < n; i++) {
        o->results[i] = results[i];
        snprintf(o->texts[i][0], 80, "%.*s", STR_FMT(results[i].identifier));
        snprintf(o->texts[i][1], 80, "%.*s", STR_FMT(results[i].message));
    }
    if (whole)
        err_copy(&o->whole, whole);
}

static void bulk_request_and_outcomes_by_index(void **state)
{
    (void)state;
    struct outcome o = {0};
    const struct str texts[] = {
        STR("{\"identifier\":\"a\"}"), STR("{\"identifier\":{\"combinator\":\"and\",\"rules\":[]}}"),
        STR("{\"identifier\":\"c\"}"), STR("{\"identifier\":\"d\"}"), STR("{\"identifier\":\"e\"}")};
    fake_on((struct rule){
        "POST /v1/blueprints/", 207,
        "{\"ok\":false,\"entities\":[{\"index\":2,\"identifier\":\"C\",\"created\":true},"
        "{\"index\":0,\"identifier\":\"a\",\"created\":false},{\"index\":99,\"identifier\":\"z\",\"created\":"
        "true}],"
        "\"errors\":[{\"index\":1,\"identifier\":\"unknown\",\"statusCode\":404,\"error\":\"not_found\","
        "\"message\":\"m1\"},"
        "{\"index\":3,\"identifier\":\"d\",\"statusCode\":422,\"error\":\"invalid_request\"}]}"});
    port_bulk_upsert(fake.port, STR("a/b c"), texts, 5, &resync, on_upsert, &o);
    assert_int_equal(o.done, 0);
    fake_until(&o.done, 1);
    assert_line(
        1,
        "POST "
        "/v1/blueprints/a%2Fb%20c/entities/bulk?upsert=true&merge=true&create_missing_related_entities=false"
        "&validation_only=false&ocean_info_event_type=resync&ocean_info_resync_id=6f1d");
    assert_string_equal(fake.seen[1].agent, "port-ocean/jira/1.4.2/my jira/exporter");
    assert_string_equal(
        fake.seen[1].body,
        "{\"entities\":[{\"identifier\":\"a\"},{\"identifier\":{\"combinator\":\"and\",\"rules\":[]}},"
        "{\"identifier\":\"c\"},{\"identifier\":\"d\"},{\"identifier\":\"e\"}]}");
    assert_int_equal(o.n, 5);
    assert_int_equal(o.whole.code, 0);
    assert_true(o.results[0].outcome == UPSERT_UPDATED && o.results[0].created_known);
    assert_true(o.results[1].outcome == UPSERT_UNMATCHED && o.results[1].status == 404);
    assert_true(o.results[2].outcome == UPSERT_CREATED && o.results[2].created_known);
    assert_string_equal(o.texts[2][0], "C");
    assert_true(o.results[3].outcome == UPSERT_FAILED && o.results[3].status == 422);
    assert_string_equal(o.texts[3][1], "invalid_request");
    assert_true(o.results[4].outcome == UPSERT_FAILED && o.results[4].status == 0);
}

static void a_result_without_created(void **state)
{
    (void)state;
    struct upsert_result r[1];
    struct json_doc *d = NULL;
    json_parse(STR("{\"entities\":[{\"index\":0,\"identifier\":\"a\"}],\"errors\":[]}"), &d, NULL);
    upsert_read_bulk(json_root(d), r, 1);
    assert_true(r[0].outcome == UPSERT_UPDATED && !r[0].created_known);
    json_unref(d);
    json_parse(STR("{\"entities\":[{\"index\":\"0\"},{\"index\":-1},7]}"), &d, NULL);
    upsert_read_bulk(json_root(d), r, 1);
    assert_true(r[0].outcome == UPSERT_FAILED);
    json_unref(d);
}

static void a_413_goes_one_by_one(void **state)
{
    (void)state;
    struct outcome o = {0};
    struct str texts[20];
    for (int i = 0; i < 20; i++)
        texts[i] = i == 7 ? STR_NULL : str_of(xasprintf("{\"identifier\":\"e%d\"}", i));
    texts[7] = STR("{\"identifier\":{\"combinator\":\"and\",\"rules\":[]}}");
    fake_on((struct rule){"POST /v1/blueprints/b/entities/bulk", 413,
                          "{\"ok\":false,\"error\":\"request_too_large\"}"});
    fake_on((struct rule){"POST /v1/blueprints/b/entities?", 201,
                          "{\"ok\":true,\"entity\":{\"identifier\":\"final\"}}", .times = 2});
    fake_on((struct rule){"POST /v1/blueprints/b/entities?", 404,
                          "{\"ok\":false,\"error\":\"not_found\",\"message\":\"target\"}", .times = 1});
    fake_on((struct rule){"POST /v1/blueprints/b/entities?", 422,
                          "{\"ok\":false,\"error\":\"invalid_request\",\"message\":\"bad\"}", .times = 15});
    fake_on((struct rule){"POST /v1/blueprints/b/entities?", 200, "{\"ok\":true}"});
    port_bulk_upsert(fake.port, STR("b"), texts, 20, &resync, on_upsert, &o);
    fake_until(&o.done, 1);
    assert_int_equal(fake.n, 22);
    size_t created = 0, updated = 0, missing = 0, bad = 0, unmatched = 0;
    for (size_t i = 0; i < 20; i++) {
        created += o.results[i].outcome == UPSERT_CREATED;
        updated += o.results[i].outcome == UPSERT_UPDATED;
        unmatched += o.results[i].outcome == UPSERT_UNMATCHED;
        missing += o.results[i].outcome == UPSERT_FAILED && o.results[i].status == 404;
        bad += o.results[i].outcome == UPSERT_FAILED && o.results[i].status == 422;
        if (o.results[i].outcome == UPSERT_CREATED)
            assert_string_equal(o.texts[i][0], "final");
    }
    assert_int_equal(created, 2);
    assert_int_equal(missing, 1);
    assert_int_equal(bad + unmatched, 15);
    assert_int_equal(updated, 2);
    assert_int_equal(unmatched, o.results[7].outcome == UPSERT_UNMATCHED);
    assert_int_equal(o.whole.code, 0);
    for (size_t i = 2; i < 22; i++)
        assert_contains(
            fake.seen[i].line,
            "/entities?upsert=true&merge=true&create_missing_related_entities=false&validation_only=false"
            "&ocean_info_event_type=resync");
    for (int i = 0; i < 20; i++)
        if (i != 7)
            free((char *)texts[i].p);
}

static void a_failed_bulk_fails_all_of_it(void **state)
{
    (void)state;
    struct outcome o = {0};
    const struct str texts[] = {STR("{}"), STR("{}")};
    fake_on((struct rule){"POST /v1/blueprints/b/entities/bulk", 500,
                          "{\"ok\":false,\"error\":\"internal_error\",\"message\":\"oops\"}"});
    port_bulk_upsert(fake.port, STR("b"), texts, 2, &resync, on_upsert, &o);
    fake_until(&o.done, 1);
    assert_int_equal(o.whole.code, ERR_HTTP);
    assert_int_equal(o.whole.http_status, 500);
    assert_contains(o.whole.msg, "POST /blueprints/b/entities/bulk answered 500 internal_error: oops");
    assert_int_equal(o.n, 2);
    assert_true(o.results[1].outcome == UPSERT_FAILED && o.results[1].status == 500);
}

static void a_503_bulk_is_repeated_with_its_body(void **state)
{
    (void)state;
    struct outcome o = {0};
    const struct str texts[] = {STR("{\"identifier\":\"a\"}")};
    fake_on((struct rule){"POST /v1/blueprints/b/entities/bulk", 503, "{}", "Retry-After", "0", .times = 1});
    fake_on((struct rule){
        "POST /v1/blueprints/b/entities/bulk", 200,
        "{\"ok\":true,\"entities\":[{\"index\":0,\"identifier\":\"a\",\"created\":true}],\"errors\":[]}"});
    port_bulk_upsert(fake.port, STR("b"), texts, 1, &resync, on_upsert, &o);
    fake_until(&o.done, 1);
    assert_true(o.results[0].outcome == UPSERT_CREATED);
    assert_string_equal(fake.seen[1].body, fake.seen[2].body);
}

static void single_upsert(void **state)
{
    (void)state;
    struct outcome o = {0};
    struct write_options w = {.feature = PORT_GITOPS, .event_type = "http_request"};
    fake_on((struct rule){"POST /v1/blueprints/b/entities?", 404,
                          "{\"ok\":false,\"error\":\"not_found\",\"message\":\"m\"}"});
    port_single_upsert(fake.port, STR("b"), STR("{\"identifier\":\"a\"}"), &w, on_upsert, &o);
    fake_until(&o.done, 1);
    assert_line(1,
                "POST /v1/blueprints/b/entities?upsert=true&merge=false&create_missing_related_entities=false"
                "&validation_only=false&ocean_info_event_type=http_request");
    assert_string_equal(fake.seen[1].agent, "port-ocean/jira/1.4.2/my jira/gitops");
    assert_true(o.results[0].outcome == UPSERT_FAILED && o.results[0].status == 404);
    assert_int_equal(o.whole.http_status, 404);
}

struct list {
    int done;
    size_t n;
    char next[64];
    struct err err;
};

static void on_page(void *arg, struct json entities, struct str next, const struct err *e)
{
    struct list *l = arg;
    l->done++;
    l->n = json_len(entities);
    snprintf(l->next, sizeof(l->next), "%.*s", STR_FMT(next));
    if (e)
        err_copy(&l->err, e);
}

static void on_list(void *arg, struct json entities, const struct err *e)
{
    on_page(arg, entities, STR_NULL, e);
}

static void lookup_request(void **state)
{
    (void)state;
    struct list l = {0};
    const struct str ids[] = {STR("a-1"), STR("a \"2\"")},
                     parts[] = {STR("title"), STR("properties.url x"), STR("relations.owner")};
    fake_on((struct rule){"POST /v1/entities/search", 200, "{\"ok\":true,\"entities\":[{},{}]}"});
    port_lookup(fake.port, STR("service"), ids, 2, parts, 3, PORT_EXPORTER, on_list, &l);
    fake_until(&l.done, 1);
    assert_int_equal(l.n, 2);
    assert_line(1,
                "POST "
                "/v1/entities/"
                "search?exclude_calculated_properties=true&include=blueprint&include=identifier&include=title"
                "&include=properties.url%20x&include=relations.owner");
    assert_string_equal(
        fake.seen[1].body,
        "{\"combinator\":\"and\",\"rules\":[{\"property\":\"$identifier\",\"operator\":\"in\",\"value\":[\"a-"
        "1\",\"a \\\"2\\\"\"]},"
        "{\"property\":\"$blueprint\",\"operator\":\"=\",\"value\":\"service\"},"
        "{\"property\":\"$datasource\",\"operator\":\"contains\",\"value\":\"port-ocean/jira/\"},"
        "{\"property\":\"$datasource\",\"operator\":\"contains\",\"value\":\"/my jira/exporter\"}]}");
    struct list broken = {0};
    fake.rules[0].body = "{\"ok\":true}";
    port_lookup(fake.port, STR("service"), ids, 1, NULL, 0, PORT_EXPORTER, on_list, &broken);
    fake_until(&broken.done, 1);
    assert_int_equal(broken.err.code, ERR_PARSE);
}

static void listing_page_by_page(void **state)
{
    (void)state;
    struct list l = {0};
    fake_on((struct rule){"POST /v1/blueprints/entities/datasource-entities", 200,
                          "{\"ok\":true,\"entities\":[{}],\"next\":\"c2\"}", .times = 1});
    fake_on((struct rule){"POST /v1/blueprints/entities/datasource-entities", 200,
                          "{\"ok\":true,\"entities\":[],\"next\":null}", .times = 1});
    fake_on((struct rule){"POST /v1/blueprints/entities/datasource-entities", 500, "{}"});
    port_list_owned(fake.port, PORT_EXPORTER, "2026-03-03T12:00:00+00:00", STR_NULL, 5000, on_page, &l);
    fake_until(&l.done, 1);
    assert_string_equal(l.next, "c2");
    assert_line(
        1,
        "POST "
        "/v1/blueprints/entities/datasource-entities?include=blueprint&include=identifier&include=relations");
    assert_string_equal(
        fake.seen[1].body,
        "{\"datasource_prefix\":\"port-ocean/jira/\",\"datasource_suffix\":\"/my jira/exporter\","
        "\"limit\":5000,\"before\":\"2026-03-03T12:00:00+00:00\"}");
    port_list_owned(fake.port, PORT_GITOPS, NULL, STR("c2"), 10, on_page, &l);
    fake_until(&l.done, 2);
    assert_string_equal(l.next, "");
    assert_string_equal(
        fake.seen[2].body,
        "{\"datasource_prefix\":\"port-ocean/jira/\",\"datasource_suffix\":\"/my jira/gitops\","
        "\"limit\":10,\"from\":\"c2\"}");
    port_list_owned(fake.port, PORT_EXPORTER, NULL, STR_NULL, 10, on_page, &l);
    fake_until(&l.done, 3);
    assert_int_equal(l.err.code, ERR_HTTP);
}

static void deletion_request(void **state)
{
    (void)state;
    struct list l = {0};
    const struct str ids[] = {STR("x"), STR("y")};
    fake_on((struct rule){"POST /v1/blueprints/b/bulk/entities/delete", 200,
                          "{\"ok\":true,\"deletedEntities\":[\"x\"]}"});
    port_bulk_delete(fake.port, STR("b"), ids, 2, &resync, on_list, &l);
    fake_until(&l.done, 1);
    assert_int_equal(l.n, 1);
    assert_line(
        1, "POST /v1/blueprints/b/bulk/entities/delete?delete_dependents=true&ocean_info_event_type=resync"
           "&ocean_info_resync_id=6f1d");
    assert_string_equal(fake.seen[1].body, "{\"entities\":[\"x\",\"y\"]}");
}

static void on_blueprint(void *arg, struct json blueprint, const struct err *e)
{
    on_page(arg, blueprint, STR_NULL, e);
}

static void blueprints_are_read_once(void **state)
{
    (void)state;
    struct list l = {0};
    fake_on((struct rule){"GET /v1/blueprints/a", 200, "{\"ok\":true,\"blueprint\":{\"identifier\":\"a\"}}"});
    for (int i = 0; i < 3; i++)
        port_blueprint(fake.port, STR("a"), on_blueprint, &l);
    assert_int_equal(l.done, 0);
    fake_until(&l.done, 3);
    port_blueprint(fake.port, STR("a"), on_blueprint, &l);
    assert_int_equal(l.done, 3);
    fake_until(&l.done, 4);
    assert_int_equal(l.n, 1);
    assert_int_equal(fake.n, 2);
    struct list missing = {0};
    port_blueprint(fake.port, STR("none"), on_blueprint, &missing);
    fake_until(&missing.done, 1);
    assert_int_equal(missing.err.http_status, 404);
    port_blueprint(fake.port, STR("none"), on_blueprint, &missing);
    fake_until(&missing.done, 2);
    assert_int_equal(fake.n, 3);
    port_blueprints_clear(fake.port);
    port_blueprint(fake.port, STR("none"), on_blueprint, &missing);
    port_blueprints_clear(fake.port); /* while it is read */
    port_blueprint(fake.port, STR("none"), on_blueprint, &missing);
    fake_until(&missing.done, 4);
    assert_int_equal(fake.n, 5);
}

static void a_blueprint_is_read_again_after_its_time(void **state)
{
    (void)state;
    struct list l = {0};
    uint64_t now = clock_mono_ns();
    fake_on((struct rule){"GET /v1/blueprints/a", 200, "{\"ok\":true,\"blueprint\":{\"identifier\":\"a\"}}"});
    clock_fake((int64_t)now, clock_wall_us());
    port_blueprint(fake.port, STR("a"), on_blueprint, &l);
    fake_until(&l.done, 1);
    clock_fake((int64_t)(now + 121000000000u), clock_wall_us());
    port_blueprint(fake.port, STR("a"), on_blueprint, &l);
    fake_until(&l.done, 2);
    assert_int_equal(fake.n, 3);
    clock_fake(-1, 0);
}

static void freed_while_requests_run(void **state)
{
    (void)state;
    struct outcome o = {0};
    struct list l = {0};
    const struct str texts[] = {STR("{\"identifier\":\"a\"}"), STR("{\"identifier\":\"b\"}")};
    fake_on((struct rule){"POST /v1/blueprints/b/entities/bulk", 413, "{}", .times = 1});
    fake_on((struct rule){"POST /v1/", .hold = true});
    fake_on((struct rule){"GET /v1/", .hold = true});
    port_bulk_upsert(fake.port, STR("b"), texts, 2, &resync, on_upsert, &o);
    port_bulk_upsert(fake.port, STR("c"), texts, 2, &resync, on_upsert, &o);
    port_lookup(fake.port, STR("b"), texts, 1, NULL, 0, PORT_EXPORTER, on_list, &l);
    port_bulk_delete(fake.port, STR("b"), texts, 1, &resync, on_list, &l);
    port_blueprint(fake.port, STR("b"), on_blueprint, &l);
    while (fake.nheld < WINDOW_START)
        loop_turn(fake.loop, true);
    port_free(fake.port);
    fake.port = fake_port_client("jira", "x");
    assert_int_equal(o.done + l.done, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(bulk_request_and_outcomes_by_index),
        cmocka_unit_test(a_result_without_created),
        T(a_413_goes_one_by_one),
        T(a_failed_bulk_fails_all_of_it),
        T(a_503_bulk_is_repeated_with_its_body),
        T(single_upsert),
        T(lookup_request),
        T(listing_page_by_page),
        T(deletion_request),
        T(blueprints_are_read_once),
        T(a_blueprint_is_read_again_after_its_time),
        T(freed_while_requests_run),
    };
    return cmocka_run_group_tests_name("port entities", tests, NULL, NULL);
}
