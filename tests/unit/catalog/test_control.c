/* Journal, faults, seed, reset: port-api T-46 to T-49 as far as the server goes, P-220 to P-227, P-218. */
#include "support.h"

#define BULK "/v1/blueprints/dock/entities/bulk" UP
#define ONE "{\"entities\":[{\"identifier\":\"x\",\"properties\":{\"lang\":\"c\"}}]}"

static struct json newest(struct fixture *t)
{
    return at(expect(t, 200, "GET", "/_local/journal?order=desc&limit=1", NULL), "entries.0");
}

static void add_fault(struct fixture *t, const char *json) { expect(t, 201, "POST", "/_local/faults", json); }

/* Journal ------------------------------------------------------------------------------------------------------- */

static void test_journal(void **state)
{
    struct fixture *t = *state;
    expect(t, 200, "DELETE", "/_local/journal", NULL);
    expect(t, 200, "POST", BULK,
           "{\"entities\":[{\"identifier\":\"x\",\"properties\":{\"lang\":\"c\"},\"relations\":{\"owner\":\"red\"}}]}");
    struct json e = newest(t);
    expect_text(e, "route", "\"E-31\"");
    expect_text(e, "method", "\"POST\"");
    expect_text(e, "status", "200");
    expect_text(e, "clientId", "\"acme\"");
    expect_text(e, "userAgent", "\"" UA_A "\"");
    expect_text(e, "datasource", "\"" UA_A "\"");
    expect_text(e, "committed", "true");
    expect_text(e, "faults", "[]");
    expect_text(e, "effects",
                "{\"created\":1,\"updated\":0,\"unchanged\":0,\"deleted\":0,\"cascaded\":0,\"failed\":0,\"bare\":1}");
    assert_non_null(strstr(t->headers, "application/json"));
    expect_missing(e, "requestBody");
    expect(t, 200, "POST", BULK,
           "{\"entities\":[{\"identifier\":\"x\",\"properties\":{\"lang\":\"c\"}},"
           "{\"identifier\":\"x\",\"properties\":{\"lang\":\"lua\"}}]}");
    e = newest(t);
    expect_text(e, "effects.unchanged", "1");
    expect_text(e, "effects.updated", "1");
    expect_text(e, "effects.created", "0");
    expect(t, 200, "GET", "/v1/organization", NULL);
    expect_text(newest(t), "committed", "false");
    expect(t, 404, "GET", "/v1/nowhere?x=1", NULL);
    e = newest(t);
    expect_text(e, "route", "\"unmatched\"");
    expect_text(e, "query", "\"x=1\"");
    expect_text(e, "error", "\"not_found\"");
    expect(t, 200, "DELETE", "/v1/blueprints/dock/entities/x", NULL);
    expect_text(newest(t), "effects.deleted", "1");
    struct json all =
        expect(t, 200, "GET", "/_local/journal?route=E-31&method=POST&status=200&userAgent=acme-prod", NULL);
    assert_int_equal(json_len(at(all, "entries")), 2);
    int64_t first = 0, second = 0;
    assert_true(json_int64(at(all, "entries.0.seq"), &first) && json_int64(at(all, "entries.1.seq"), &second) &&
                first < second);
    char *since = xasprintf("/_local/journal?since=%lld", (long long)second);
    assert_int_equal(json_len(at(expect(t, 200, "GET", since, NULL), "entries")), 3);
    free(since);
    struct json s = expect(t, 200, "GET", "/_local/journal/summary", NULL);
    expect_text(s, "requests", "5");
    expect_text(s, "groups.0.route", "\"E-31\"");
    expect_text(s, "groups.0.count", "2");
    expect_text(s, "effects.created", "1");
    expect_text(s, "maxInFlight", "1");
    expect(t, 422, "GET", "/_local/journal?order=sideways", NULL);
}

static void test_trace_id(void **state)
{
    struct fixture *t = *state;
    expect(t, 200, "GET", "/v1/organization", NULL);
    char headers[sizeof(t->headers)];
    memcpy(headers, t->headers, sizeof(headers));
    char *id = str_dup(json_str(at(newest(t), "id")));
    assert_non_null(strstr(headers, id));
    free(id);
}

static void test_bodies_and_secrets(void **state)
{
    (void)state;
    struct fixture *t = start_catalog(&(struct catalog_opts){.journal_bodies = "all", .journal = 8});
    get_token(t, "acme");
    make_blueprints(t);
    expect(t, 200, "POST", BULK, ONE);
    struct json e = newest(t);
    assert_true(str_is(json_str(at(e, "requestBody")), ONE));
    expect_text(e, "effects.keys", "[\"dock/x\"]");
    struct buf text;
    print_json(expect(t, 200, "GET", "/_local/journal", NULL), &text);
    assert_null(strstr(buf_cstr(&text), "s3"));
    assert_null(strstr(buf_cstr(&text), t->token));
    buf_done(&text);
    for (int i = 0; i < 10; i++)
        expect(t, 200, "GET", "/v1/organization", NULL);
    struct json all = expect(t, 200, "GET", "/_local/journal", NULL);
    expect_text(all, "count", "8");
    int64_t dropped;
    assert_true(json_int64(at(all, "dropped"), &dropped) && dropped == 7);
    stop_catalog(t);
}

static void test_bodies_of_failures(void **state)
{
    struct fixture *t = *state;
    expect(t, 422, "POST", "/v1/blueprints", "{\"identifier\":1}");
    assert_true(str_is(json_str(at(newest(t), "requestBody")), "{\"identifier\":1}"));
}

/* Texts of all entries together stay under 64 MiB: the oldest entries go, and are counted. */
static void test_journal_bytes(void **state)
{
    struct fixture *t = *state;
    char *body = xmalloc(1000001);
    memset(body, ' ', 1000000);
    body[1000000] = 0;
    for (int i = 0; i < 70; i++)
        expect(t, 422, "POST", "/v1/blueprints", body);
    struct json all = expect(t, 200, "GET", "/_local/journal/summary", NULL);
    int64_t dropped, kept;
    assert_true(json_int64(at(all, "dropped"), &dropped) && dropped >= 3 && dropped <= 6);
    assert_true(json_int64(at(all, "requests"), &kept) && kept + dropped == 71);
    free(body);
}

/* Faults -------------------------------------------------------------------------------------------------------- */

static void test_status_fault(void **state)
{
    struct fixture *t = *state;
    add_fault(t, "{\"id\":\"s\",\"match\":{\"method\":\"POST\",\"path\":\"/v1/blueprints/*/entities/bulk\"},"
                 "\"when\":{\"after\":1,\"count\":2},\"action\":{\"type\":\"status\",\"status\":503}}");
    expect(t, 200, "POST", BULK, ONE);
    expect_error(t, 503, "service_unavailable", "POST", BULK, ONE);
    assert_null(strcasestr(t->headers, "retry-after"));
    struct json e = newest(t);
    expect_text(e, "faults", "[\"s\"]");
    expect_text(e, "committed", "false");
    expect(t, 503, "POST", BULK, ONE);
    expect(t, 200, "POST", BULK, ONE);
    struct json f = expect(t, 200, "GET", "/_local/faults/s", NULL);
    expect_text(f, "fault.hits", "2");
    expect_text(f, "fault.remaining", "0");
    expect(t, 200, "PUT", "/_local/faults/s",
           "{\"match\":{\"route\":\"E-2\"},\"action\":{\"type\":\"status\",\"status\":500,"
           "\"error\":\"odd\",\"message\":\"m\",\"headers\":{\"x-a\":\"b\"}}}");
    expect_error(t, 500, "odd", "GET", "/v1/organization", NULL);
    assert_non_null(strcasestr(t->headers, "x-a: b"));
    expect(t, 200, "DELETE", "/_local/faults/s", NULL);
    expect(t, 404, "DELETE", "/_local/faults/s", NULL);
    expect(t, 200, "GET", "/v1/organization", NULL);
}

static void test_matching(void **state)
{
    struct fixture *t = *state;
    static const struct {
        const char *match;
        int status;
    } cases[] = {
        {"{\"blueprint\":\"do*\"}", 418},
        {"{\"blueprint\":\"crew\"}", 200},
        {"{\"userAgent\":\"acme-prod\"}", 418},
        {"{\"userAgent\":\"acme-dev\"}", 200},
        {"{\"bodyContains\":\"\\\"x\\\"\"}", 418},
        {"{\"bodyContains\":\"zebra\"}", 200},
        {"{\"path\":\"/v1/**\"}", 418},
        {"{\"path\":\"/v1/*\"}", 200},
        {"{\"route\":\"E-31\",\"method\":\"POST\"}", 418},
        {"{\"route\":\"E-31\",\"method\":\"GET\"}", 200},
        {"{\"identifier\":\"x\"}", 418},
        {"{\"identifier\":\"y*\"}", 200},
        {"{}", 418},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        expect(t, 200, "DELETE", "/_local/faults", NULL);
        char *f = xasprintf("{\"match\":%s,\"action\":{\"type\":\"status\",\"status\":418}}", cases[i].match);
        add_fault(t, f);
        call(t, "POST", BULK, ONE);
        if (t->status != cases[i].status)
            fail_msg("%s: status %d", cases[i].match, t->status);
        free(f);
    }
}

static void test_every(void **state)
{
    struct fixture *t = *state;
    char seen[8] = "";
    add_fault(t, "{\"match\":{\"route\":\"E-2\"},\"when\":{\"every\":3,\"count\":0},\"action\":{\"type\":\"status\","
                 "\"status\":502}}");
    for (int i = 0; i < 7; i++) {
        call(t, "GET", "/v1/organization", NULL);
        seen[i] = t->status == 502 ? 'x' : '.';
    }
    assert_memory_equal(seen, "..x..x.", 7);
}

static void test_reset_and_lost_answers(void **state)
{
    struct fixture *t = *state;
    add_fault(t, "{\"match\":{\"route\":\"E-31\"},\"action\":{\"type\":\"reset\"}}");
    call(t, "POST", BULK, ONE);
    assert_int_equal(t->status, 0);
    struct json e = newest(t);
    expect_text(e, "status", "0");
    expect_text(e, "committed", "false");
    expect(t, 404, "GET", "/v1/blueprints/dock/entities/x", NULL);
    add_fault(t, "{\"match\":{\"route\":\"E-31\"},\"action\":{\"type\":\"commitThenFail\",\"with\":\"reset\"}}");
    call(t, "POST", BULK, ONE);
    assert_int_equal(t->status, 0);
    e = newest(t);
    expect_text(e, "committed", "true");
    expect_text(e, "effects.created", "1");
    expect_text(expect(t, 200, "POST", BULK, ONE), "entities.0.created", "false");
    add_fault(
        t,
        "{\"match\":{\"route\":\"E-31\"},\"action\":{\"type\":\"commitThenFail\",\"with\":\"status\",\"status\":504}}");
    expect(t, 504, "POST", BULK, "{\"entities\":[{\"identifier\":\"y\",\"properties\":{\"lang\":\"c\"}}]}");
    expect(t, 200, "GET", "/v1/blueprints/dock/entities/y", NULL);
}

static void test_latency(void **state)
{
    struct fixture *t = *state;
    add_fault(t, "{\"id\":\"slow\",\"match\":{\"route\":\"E-2\"},\"action\":{\"type\":\"latency\",\"ms\":60}}");
    add_fault(t, "{\"id\":\"down\",\"match\":{\"route\":\"E-2\"},\"action\":{\"type\":\"status\",\"status\":503}}");
    expect(t, 503, "GET", "/v1/organization", NULL);
    struct json e = newest(t);
    int64_t us;
    expect_text(e, "faults", "[\"slow\",\"down\"]");
    assert_true(json_int64(at(e, "durationUs"), &us) && us >= 55000);
    add_fault(t, "{\"match\":{\"route\":\"E-2\"},\"action\":{\"type\":\"latency\",\"ms\":60,\"where\":\"after\"}}");
    expect(t, 200, "GET", "/v1/organization", NULL);
    assert_true(json_int64(at(newest(t), "durationUs"), &us) && us >= 55000);
}

static void test_tokens_and_limits(void **state)
{
    struct fixture *t = *state;
    add_fault(t, "{\"match\":{\"route\":\"E-31\"},\"action\":{\"type\":\"rateLimit\",\"retryAfter\":2,\"headers\":"
                 "\"retryAfter\"}}");
    expect_error(t, 429, "rate_limit_exceeded", "POST", BULK, ONE);
    assert_non_null(strcasestr(t->headers, "retry-after: 2"));
    assert_null(strcasestr(t->headers, "x-ratelimit"));
    add_fault(t, "{\"match\":{\"route\":\"E-31\"},\"action\":{\"type\":\"expireTokens\"}}");
    expect_error(t, 401, "unauthorized", "POST", BULK, ONE);
    expect_error(t, 401, "unauthorized", "POST", BULK, ONE);
    add_fault(t, "{\"match\":{\"route\":\"E-1\"},\"action\":{\"type\":\"shortToken\",\"expiresIn\":5}}");
    get_token(t, "acme");
    int64_t left;
    assert_true(json_int64(at(t->root, "expiresIn"), &left) && left <= 5);
    expect(t, 200, "POST", BULK, ONE);
    add_fault(t,
              "{\"match\":{\"route\":\"E-31\"},\"action\":{\"type\":\"bulkPartial\",\"failEvery\":2,\"statusCode\":404,"
              "\"error\":\"not_found\"}}");
    struct json r = expect(t, 207, "POST", BULK,
                           "{\"entities\":[{\"identifier\":\"p\",\"properties\":{\"lang\":\"c\"}},"
                           "{\"identifier\":\"q\",\"properties\":{\"lang\":\"c\"}}]}");
    expect_text(r, "errors.0.identifier", "\"q\"");
    expect_text(r, "errors.0.error", "\"not_found\"");
    expect(t, 404, "GET", "/v1/blueprints/dock/entities/q", NULL);
}

static void test_bad_faults(void **state)
{
    struct fixture *t = *state;
    static const char *const bad[] = {
        "{}",
        "{\"action\":{\"type\":\"explode\"}}",
        "{\"action\":{\"type\":\"status\"}}",
        "{\"action\":{\"type\":\"status\",\"status\":9}}",
        "{\"match\":{\"metod\":\"GET\"},\"action\":{\"type\":\"reset\"}}",
        "{\"when\":{\"count\":-1},\"action\":{\"type\":\"reset\"}}",
        "{\"action\":{\"type\":\"reset\",\"at\":\"later\"}}",
        "{\"when\":{\"path\":\"/x\"},\"action\":{\"type\":\"reset\"}}",
        "{\"action\":{\"type\":\"burst\",\"status\":503}}",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        expect_error(t, 422, "invalid_request", "POST", "/_local/faults", bad[i]);
}

static void test_command_line_faults(void **state)
{
    static const char *const faults[] = {"GET /v1/organization status=503,count=1,retryAfter=7",
                                         "* /v1/blueprints/** reset,after=1,count=0",
                                         "POST /v1/integration commitThenFail=status,status=502", NULL};
    static const char *const bad[] = {
        "GET", "GET /x", "GET /x statos=5", "GET /x status=abc", "GET /x rateLimit=1", "GET /x count=1"};
    (void)state;
    struct fixture *t = start_catalog(&(struct catalog_opts){.faults = faults});
    get_token(t, "acme");
    expect(t, 503, "GET", "/v1/organization", NULL);
    assert_non_null(strcasestr(t->headers, "retry-after: 7"));
    expect(t, 200, "GET", "/v1/organization", NULL);
    expect(t, 404, "GET", "/v1/blueprints/x", NULL);
    call(t, "GET", "/v1/blueprints/x", NULL);
    assert_int_equal(t->status, 0);
    expect(t, 502, "POST", "/v1/integration", "{\"installationId\":\"i\",\"installationAppType\":\"a\"}");
    expect(t, 200, "GET", "/v1/integration/i", NULL);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        const char *list[] = {bad[i], NULL};
        struct catalog *c = NULL;
        struct err e = {0};
        assert_int_equal(catalog_start(t->loop, &(struct catalog_opts){.file = ":memory:", .faults = list}, &c, &e),
                         ERR_INVAL);
        assert_non_null(strstr(e.msg, bad[i]));
    }
    stop_catalog(t);
}

static void test_rate_limit(void **state)
{
    (void)state;
    struct fixture *t = start_catalog(&(struct catalog_opts){.rate_limit = "3/60"});
    get_token(t, "acme");
    assert_non_null(strcasestr(t->headers, "x-ratelimit-remaining: 2"));
    expect(t, 200, "GET", "/v1/organization", NULL);
    expect(t, 200, "GET", "/v1/organization", NULL);
    expect_error(t, 429, "rate_limit_exceeded", "GET", "/v1/organization", NULL);
    assert_non_null(strcasestr(t->headers, "retry-after: "));
    expect_text(t->root, "details.limit", "3");
    expect(t, 200, "POST", "/_local/clock", "{\"mode\":\"offset\",\"ms\":61000}");
    expect(t, 200, "GET", "/v1/organization", NULL);
    struct catalog *c = NULL;
    struct err e = {0};
    assert_int_equal(catalog_start(t->loop, &(struct catalog_opts){.file = ":memory:", .rate_limit = "many"}, &c, &e),
                     ERR_INVAL);
    stop_catalog(t);
}

static void test_strict(void **state)
{
    (void)state;
    struct fixture *t =
        start_catalog(&(struct catalog_opts){.strict = true, .strict_bulk = true, .strict_teams = true});
    get_token(t, "acme");
    make_blueprints(t);
    expect(t, 422, "POST", "/v1/blueprints",
           "{\"identifier\":\"e\",\"title\":\"E\",\"schema\":{\"properties\":{\"x\":{\"type\":\"enum\",\"enum\":[\"a\"]"
           "}}}}");
    expect_error(t, 422, "has_dependents", "DELETE", "/v1/blueprints/crew", NULL);
    expect_error(
        t, 422, "invalid_request", "POST", BULK,
        "{\"entities\":[{\"identifier\":\"ok\",\"properties\":{\"lang\":\"c\"}},{\"identifier\":\"not ok\"}]}");
    struct json e = newest(t);
    expect_text(e, "effects.created", "0");
    expect_text(e, "effects.failed", "1");
    expect(t, 404, "GET", "/v1/blueprints/dock/entities/ok", NULL);
    expect_error(t, 404, "not_found", "POST", "/v1/blueprints/dock/entities" UP,
                 "{\"identifier\":\"d\",\"team\":\"core\",\"properties\":{\"lang\":\"c\"}}");
    expect(t, 201, "POST", "/v1/blueprints/_team/entities" UP, "{\"identifier\":\"core\"}");
    expect_text(expect(t, 201, "POST", "/v1/blueprints/dock/entities" UP,
                       "{\"identifier\":\"d\",\"team\":\"core\",\"properties\":{\"lang\":\"c\"}}"),
                "entity.team", "[\"core\"]");
    stop_catalog(t);
}

/* Seed and reset ------------------------------------------------------------------------------------------------ */

static void test_seed(void **state)
{
    struct fixture *t = *state;
    expect(
        t, 200, "POST", "/_local/seed",
        "{\"organization\":{\"featureFlags\":[\"F\"]},"
        "\"blueprints\":[{\"identifier\":\"a\",\"title\":\"A\",\"schema\":{\"properties\":{\"n\":{\"type\":\"number\"}}"
        "},"
        "\"relations\":{\"b\":{\"target\":\"b\"}}},{\"identifier\":\"b\",\"title\":\"B\",\"schema\":{\"properties\":{}}"
        ","
        "\"relations\":{\"a\":{\"target\":\"a\"}}}],"
        "\"entities\":[{\"blueprint\":\"a\",\"identifier\":\"x\",\"properties\":{\"n\":1},\"relations\":{\"b\":\"y\"},"
        "\"$datasource\":\"port-ocean/t/1/i/exporter\",\"updatedAt\":\"2020-01-02T03:04:05.678Z\"}],"
        "\"integrations\":[{\"installationId\":\"i\",\"installationAppType\":\"t\",\"config\":{\"resources\":[1]}}]}");
    struct json r = expect(t, 200, "POST", "/v1/blueprints/entities/datasource-entities",
                           "{\"datasource_prefix\":\"port-ocean/t/\",\"datasource_suffix\":\"/i/exporter\"}");
    assert_int_equal(json_len(at(r, "entities")), 2);
    struct json e = expect(t, 200, "GET", "/v1/blueprints/a/entities/x", NULL);
    expect_text(e, "entity.updatedAt", "\"2020-01-02T03:04:05.678Z\"");
    expect_text(expect(t, 200, "GET", "/v1/organization", NULL), "organization.featureFlags", "[\"F\"]");
    expect_text(expect(t, 200, "GET", "/v1/integration/i", NULL), "integration.config", "{\"resources\":[1]}");
    /* All or nothing. */
    expect_error(
        t, 422, "invalid_request", "POST", "/_local/seed",
        "{\"entities\":[{\"blueprint\":\"a\",\"identifier\":\"ok\"},{\"blueprint\":\"a\",\"identifier\":\"bad\","
        "\"properties\":{\"n\":\"1\"}}]}");
    expect_message(t, "entities/1");
    expect(t, 404, "GET", "/v1/blueprints/a/entities/ok", NULL);
    expect(t, 200, "POST", "/_local/seed",
           "{\"validate\":false,\"entities\":[{\"blueprint\":\"a\",\"identifier\":\"bad\",\"properties\":{\"n\":\"1\"}}"
           "]}");
}

static void test_reset(void **state)
{
    struct fixture *t = *state;
    expect(t, 200, "POST", BULK, ONE);
    struct json s = expect(t, 200, "GET", "/_local/state", NULL);
    expect_text(s, "entities", "1");
    expect_text(s, "perBlueprint.dock", "1");
    expect_text(s, "tokens", "1");
    expect(t, 200, "POST", "/_local/reset", "{\"scope\":\"entities\"}");
    expect_text(expect(t, 200, "GET", "/v1/blueprints/dock/entities-count", NULL), "count", "0");
    expect(t, 200, "POST", "/_local/reset", "{\"scope\":\"catalog\"}");
    expect(t, 404, "GET", "/v1/blueprints/dock", NULL);
    expect(t, 200, "GET", "/v1/blueprints/_user", NULL);
    expect(t, 422, "POST", "/_local/reset", "{\"scope\":\"some\"}");
    expect(t, 200, "POST", "/_local/reset", "{\"scope\":\"all\"}");
    expect(t, 401, "GET", "/v1/organization", NULL);
    expect_text(expect(t, 200, "GET", "/_local/state", NULL), "journal", "1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_journal, setup_blueprints, teardown),
        cmocka_unit_test_setup_teardown(test_trace_id, setup_plain, teardown),
        cmocka_unit_test(test_bodies_and_secrets),
        cmocka_unit_test_setup_teardown(test_bodies_of_failures, setup_plain, teardown),
        cmocka_unit_test_setup_teardown(test_journal_bytes, setup_plain, teardown),
        cmocka_unit_test_setup_teardown(test_status_fault, setup_blueprints, teardown),
        cmocka_unit_test_setup_teardown(test_matching, setup_blueprints, teardown),
        cmocka_unit_test_setup_teardown(test_every, setup_plain, teardown),
        cmocka_unit_test_setup_teardown(test_reset_and_lost_answers, setup_blueprints, teardown),
        cmocka_unit_test_setup_teardown(test_latency, setup_plain, teardown),
        cmocka_unit_test_setup_teardown(test_tokens_and_limits, setup_blueprints, teardown),
        cmocka_unit_test_setup_teardown(test_bad_faults, setup_plain, teardown),
        cmocka_unit_test(test_command_line_faults),
        cmocka_unit_test(test_rate_limit),
        cmocka_unit_test(test_strict),
        cmocka_unit_test_setup_teardown(test_seed, setup_plain, teardown),
        cmocka_unit_test_setup_teardown(test_reset, setup_blueprints, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
