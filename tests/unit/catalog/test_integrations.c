/* Integrations and what they send: port-api T-6 to T-13, T-44, T-56, P-77, P-89. */
#include "support.h"

static int setup_integration(void **state)
{
    setup_plain(state);
    expect(*state, 201, "POST", "/v1/integration",
           "{\"installationId\":\"acme-prod\",\"installationAppType\":\"acme-ci\",\"version\":\"1.4.2\","
           "\"changelogDestination\":{},"
           "\"config\":{\"resources\":[]},\"createPortResourcesOrigin\":\"Default\"}");
    return 0;
}

static char *request_time(struct fixture *t)
{
    return str_dup(
        json_str(at(expect(t, 200, "GET", "/v1/integration/acme-prod/resync-request", NULL), "request.updatedAt")));
}

static void test_unknown(void **state)
{
    struct fixture *t = *state;
    expect_error(t, 404, "not_found", "GET", "/v1/integration/acme-prod?oceanCoreVersion=0.55.4&isPolling=false", NULL);
    expect_missing(t->root, "integration");
    struct json p = expect(t, 200, "GET", "/v1/integration/provision-enabled", NULL);
    expect_text(p, "integrations", "[]");
    expect(t, 404, "GET", "/v1/integration/x/resync-request", NULL);
    expect(t, 404, "PATCH", "/v1/integration/x", "{}");
}

static void test_create(void **state)
{
    struct fixture *t = *state;
    struct json i = expect(t, 200, "GET", "/v1/integration/acme-prod", NULL);
    expect_text(i, "integration.changelogDestination", "{}");
    expect_text(i, "integration.config", "{\"resources\":[]}");
    expect_text(i, "integration.createPortResourcesOrigin", "\"Default\"");
    expect_text(i, "integration.identifier", "\"acme-prod\"");
    expect_text(i, "integration.installationType", "\"OnPrem\"");
    expect_missing(i, "integration.resyncState");
    const char *urls[] = {"integration.logAttributes.ingestUrl", "integration.metricAttributes.ingestUrl",
                          "integration.ingestAttributes.ingestUrl"};
    for (size_t u = 0; u < 3; u++)
        assert_true(str_starts(json_str(at(i, urls[u])), str_of(catalog_url(t->catalog))));
    free(request_time(t));
    expect_error(t, 409, "identifier_taken", "POST", "/v1/integration",
                 "{\"installationId\":\"acme-prod\",\"installationAppType\":\"acme-ci\"}");
    expect_error(t, 422, "invalid_request", "POST", "/v1/integration", "{\"installationId\":\"x\"}");
    expect_message(t, "installationAppType");
    struct json all = expect(t, 200, "GET", "/v1/integration", NULL);
    assert_int_equal(json_len(at(all, "integrations")), 1);
    char *by = xasprintf("/v1/integration/%.*s?byField=logIngestId",
                         STR_FMT(json_str(at(i, "integration.logAttributes.ingestId"))));
    expect(t, 200, "GET", by, NULL);
    free(by);
}

static void test_resync_state(void **state)
{
    struct fixture *t = *state;
    char *before = request_time(t);
    expect(t, 200, "PATCH", "/v1/integration/acme-prod/resync-state",
           "{\"status\":\"running\",\"lastResyncStart\":\"2025-03-01T08:00:00+00:00\",\"lastResyncEnd\":null,"
           "\"nextResync\":null,"
           "\"intervalInMinuets\":null}");
    struct json i = expect(t, 200, "PATCH", "/v1/integration/acme-prod/resync-state",
                           "{\"status\":\"completed\",\"lastResyncEnd\":\"2025-03-01T08:05:00+00:00\"}");
    expect_text(i, "integration.resyncState.lastResyncStart", "\"2025-03-01T08:00:00+00:00\"");
    expect_text(i, "integration.resyncState.status", "\"completed\"");
    assert_true(str_eq(json_str(at(i, "integration.resyncState.updatedAt")), json_str(at(i, "integration.updatedAt"))));
    char *after = request_time(t);
    assert_string_equal(before, after);
    free(before);
    free(after);
    expect(t, 422, "PATCH", "/v1/integration/acme-prod/resync-state", "{\"status\":\"sleeping\"}");
}

static void test_requests(void **state)
{
    struct fixture *t = *state;
    char *a = request_time(t);
    expect(t, 200, "PATCH", "/v1/integration/acme-prod", "{}");
    char *b = request_time(t);
    assert_true(strcmp(a, b) < 0);
    t->extra = (struct http_header){STR("x-skip-resync"), STR("true")};
    struct json i = expect(t, 200, "PATCH", "/v1/integration/acme-prod/config", "{\"config\":null}");
    expect_text(i, "integration.config", "{}");
    t->extra = (struct http_header){0};
    char *c = request_time(t);
    assert_string_equal(b, c);
    expect(t, 200, "POST", "/_local/integrations/acme-prod/resync", NULL);
    char *d = request_time(t);
    assert_true(strcmp(c, d) < 0);
    free(a);
    free(b);
    free(c);
    free(d);
}

static void test_patch(void **state)
{
    struct fixture *t = *state;
    struct json i = expect(t, 200, "PATCH", "/v1/integration/acme-prod",
                           "{\"oauthBrokerUrl\":\"https://x.example/v1/oauth-broker/authorize\",\"version\":\"1.4.2\","
                           "\"config\":{\"mappings\":[1.0,{\"b\":null}]},\"spec\":{\"appSpec\":{\"a\":1}}}");
    expect_text(i, "integration.oauthBrokerUrl", "\"https://x.example/v1/oauth-broker/authorize\"");
    expect_text(i, "integration.config", "{\"mappings\":[1.0,{\"b\":null}]}");
    i = expect(t, 200, "PATCH", "/v1/integration/acme-prod",
               "{\"spec\":{\"integrationSpec\":{\"b\":2}},\"madeUp\":[1]}");
    expect_text(i, "integration.spec", "{\"appSpec\":{\"a\":1},\"integrationSpec\":{\"b\":2}}");
    expect_text(i, "integration.madeUp", "[1]");
    expect_text(i, "integration.config", "{\"mappings\":[1.0,{\"b\":null}]}");
    expect(t, 422, "PATCH", "/v1/integration/acme-prod", "{\"config\":[]}");
    expect(t, 200, "DELETE", "/v1/integration/acme-prod", NULL);
    expect(t, 404, "GET", "/v1/integration/acme-prod", NULL);
}

static void test_cursor(void **state)
{
    struct fixture *t = *state;
    const char *path = "/v1/integration/acme-prod/cursor?kind=repo&index=0";
    const char *body = "{\"primary\":\"2025-03-01T00:00:00+00:00\"}";
    expect_text(expect(t, 200, "GET", path, NULL), "cursor", "null");
    expect_error(t, 404, "not_found", "PUT", path, body);
    expect(t, 201, "POST", path, body);
    expect(t, 200, "PUT", path, body);
    expect_text(expect(t, 200, "GET", path, NULL), "cursor",
                "{\"kind\":\"repo\",\"index\":0,\"primary\":\"2025-03-01T00:00:00+00:00\"}");
}

static void test_examples(void **state)
{
    struct fixture *t = *state;
    expect(t, 200, "POST", "/v1/integration/acme-prod/kinds/pull%2Frequest+open/examples",
           "{\"examples\":[{\"a\":1.0}]}");
    struct json k = expect(t, 200, "GET", "/v1/integration/acme-prod/kinds", NULL);
    struct json list = json_get_c(json_get_c(json_get_c(k, "data"), "pull/request open"), "examples");
    expect_text(list, "0.data", "{\"a\":1.0}");
    expect(t, 200, "POST", "/v1/integration/acme-prod/kinds/pull%2Frequest+open/examples",
           "{\"examples\":[1,2,3,4,5,{\"last\":true}]}");
    k = expect(t, 200, "GET", "/v1/integration/acme-prod/kinds", NULL);
    list = json_get_c(json_get_c(json_get_c(k, "data"), "pull/request open"), "examples");
    assert_int_equal(json_len(list), 5);
    expect_text(list, "4.data", "{\"last\":true}");
}

static void test_ingest(void **state)
{
    struct fixture *t = *state;
    struct json i = expect(t, 200, "GET", "/v1/integration/acme-prod", NULL);
    char *metrics = str_dup(json_str(at(i, "integration.metricAttributes.ingestUrl")));
    char *logs = str_dup(json_str(at(i, "integration.logAttributes.ingestUrl")));
    char *one = xasprintf("%s/syncMetrics/resync/ev%%2F1/kind/my+kind-0", metrics),
         *many = xasprintf("%s/syncMetrics", metrics);
    char *beat = xasprintf("%s/heartbeat", metrics), *syncs = xasprintf("%s/syncsMetadata", metrics);
    expect(t, 200, "PUT", one,
           "{\"syncKindMetrics\":{\"eventId\":\"ev/1\",\"kindIdentifier\":\"my "
           "kind-0\",\"syncState\":\"syncing\",\"metrics\":{}}}");
    expect(
        t, 200, "POST", many,
        "{\"syncKindsMetrics\":[{\"eventId\":\"ev/1\",\"kindIdentifier\":\"my kind-0\",\"syncState\":\"completed\"}]}");
    expect(t, 200, "POST", beat, "{\"eventId\":\"ev/1\"}");
    expect(t, 200, "POST", logs, "{\"logs\":[]}");
    expect(t, 200, "POST", logs, "{\"logs\":[{\"message\":\"hi\",\"level\":\"INFO\",\"extra\":{}}]}");
    struct json m = expect(t, 200, "GET", many, NULL);
    expect_text(m, "count", "1");
    expect_text(m, "data.0.syncState", "\"completed\"");
    expect_text(expect(t, 200, "GET", syncs, NULL), "data.0.eventId", "\"ev/1\"");
    expect_text(expect(t, 200, "GET", "/v1/integration/acme-prod/logs", NULL), "data.0.message", "\"hi\"");
    free(metrics);
    free(logs);
    free(one);
    free(many);
    free(beat);
    free(syncs);
}

static void test_documents(void **state)
{
    struct fixture *t = *state;
    make_blueprints(t);
    expect_text(expect(t, 201, "POST", "/v1/actions", "{\"identifier\":\"a\",\"x\":[1.0]}"), "action.x", "[1.0]");
    expect_error(t, 409, "identifier_taken", "POST", "/v1/actions", "{\"identifier\":\"a\"}");
    expect(t, 422, "POST", "/v1/actions", "{\"identifier\":\"\"}");
    expect(t, 201, "POST", "/v1/blueprints/dock/scorecards", "{\"identifier\":\"s\"}");
    expect_error(t, 404, "not_found", "POST", "/v1/blueprints/nope/scorecards", "{\"identifier\":\"s\"}");
    expect(t, 201, "POST", "/v1/pages", "{\"identifier\":\"p\"}");
    assert_int_equal(json_len(at(expect(t, 200, "GET", "/v1/pages", NULL), "pages")), 1);
    expect(t, 200, "DELETE", "/v1/pages/p", NULL);
    expect(t, 404, "DELETE", "/v1/pages/p", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_unknown, setup_plain, teardown),
        cmocka_unit_test_setup_teardown(test_create, setup_integration, teardown),
        cmocka_unit_test_setup_teardown(test_resync_state, setup_integration, teardown),
        cmocka_unit_test_setup_teardown(test_requests, setup_integration, teardown),
        cmocka_unit_test_setup_teardown(test_patch, setup_integration, teardown),
        cmocka_unit_test_setup_teardown(test_cursor, setup_integration, teardown),
        cmocka_unit_test_setup_teardown(test_examples, setup_integration, teardown),
        cmocka_unit_test_setup_teardown(test_ingest, setup_integration, teardown),
        cmocka_unit_test_setup_teardown(test_documents, setup_plain, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
