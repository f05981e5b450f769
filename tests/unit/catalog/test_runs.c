/* Action and workflow runs, raw data, lifecycles, probes, resync history, waits: port-api T-45, T-55, T-58, P-83, P-190 to
 * P-211, and what the flags of the command line change. */
#include "support.h"

#include "io/http_server.h"

#define CLAIM(limit, more) "{\"installationId\":\"i\",\"limit\":" #limit ",\"visibilityTimeoutMs\":200" more "}"

static void make_integration(struct fixture *t)
{
    expect(t, 201, "POST", "/v1/integration", "{\"installationId\":\"i\",\"installationAppType\":\"a\"}");
}

static void clock_at(struct fixture *t, const char *now)
{
    char *body = xasprintf("{\"mode\":\"fixed\",\"now\":\"%s\"}", now);
    expect(t, 200, "POST", "/_local/clock", body);
    get_token(t, "acme"); /* the last one may have expired */
    free(body);
}

static void test_action_runs(void **state)
{
    struct fixture *t = *state;
    static const char *const run = "{\"id\":\"%s\",\"action\":{\"identifier\":\"%s\"},\"payload\":{\"type\":"
                                   "\"INTEGRATION_ACTION\",\"installationId\":\"%s\"}}";
    static const char *const runs[][3] = {{"r1", "build", "i"}, {"r2", "test", "i"}, {"r3", "build", "other"}};
    clock_at(t, "2030-01-01T00:00:00Z");
    for (size_t i = 0; i < 3; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        char *body = xasprintf(run, runs[i][0], runs[i][1], runs[i][2]);
#pragma GCC diagnostic pop
        expect_text(expect(t, 201, "POST", "/_local/action-runs", body), "run.status", "\"IN_PROGRESS\"");
        expect(t, 409, "POST", "/_local/action-runs", body);
        free(body);
    }
    struct json c = expect(t, 200, "POST", "/v1/actions/runs/claim-pending", CLAIM(1, ""));
    expect_text(c, "runs.0.id", "\"r1\""); /* the oldest */
    assert_int_equal(json_len(at(c, "runs")), 1);
    c = expect(t, 200, "POST", "/v1/actions/runs/claim-pending", CLAIM(5, ",\"exclude\":[\"test\"]"));
    assert_int_equal(json_len(at(c, "runs")), 0);
    c = expect(t, 200, "POST", "/v1/actions/runs/claim-pending", CLAIM(5, ""));
    expect_text(c, "runs.0.id", "\"r2\"");
    assert_int_equal(json_len(at(c, "runs")), 1);
    clock_at(t, "2030-01-01T00:00:00.300Z"); /* visible again */
    c = expect(t, 200, "POST", "/v1/actions/runs/claim-pending", CLAIM(5, ""));
    assert_int_equal(json_len(at(c, "runs")), 2);
    expect_text(expect(t, 200, "PATCH", "/v1/actions/runs/ack", "{\"runId\":\"r1\"}"), "ackedCount", "1");
    expect_error(t, 409, "already_acknowledged", "PATCH", "/v1/actions/runs/ack", "{\"runId\":\"r1\"}");
    expect_error(t, 404, "not_found", "PATCH", "/v1/actions/runs/ack", "{\"runId\":\"zz\"}");
    expect_error(t, 404, "not_found", "PATCH", "/v1/actions/runs/ack", "{\"runIds\":[\"r2\",\"zz\"]}");
    clock_at(t, "2030-01-01T00:01:00Z"); /* the refused request acknowledged nothing */
    c = expect(t, 200, "POST", "/v1/actions/runs/claim-pending", CLAIM(5, ""));
    expect_text(c, "runs.0.id", "\"r2\"");
    expect_text(expect(t, 200, "PATCH", "/v1/actions/runs/ack", "{\"runIds\":[\"r1\",\"r2\"]}"), "ackedCount", "1");
    expect(t, 422, "POST", "/v1/actions/runs/claim-pending", CLAIM(1001, ""));
    expect(t, 422, "POST", "/v1/actions/runs/claim-pending", "{\"limit\":1,\"visibilityTimeoutMs\":1}");
    c = expect(t, 200, "PATCH", "/v1/actions/runs/r1",
               "{\"externalRunId\":\"x-1\",\"link\":[\"http://a\"],\"summary\":\"s\",\"id\":\"evil\",\"payload\":1}");
    expect_text(c, "run.id", "\"r1\"");
    expect_text(c, "run.payload.installationId", "\"i\"");
    expect_missing(c, "run.endedAt");
    c = expect(t, 200, "PATCH", "/v1/actions/runs/r1", "{\"status\":\"SUCCESS\"}");
    expect_text(c, "run.endedAt", "\"2030-01-01T00:01:00.000Z\"");
    expect_text(c, "run.summary", "\"s\"");
    expect(t, 422, "PATCH", "/v1/actions/runs/r1", "{\"status\":\"COMPLETED\"}");
    expect(t, 404, "PATCH", "/v1/actions/runs/zz", "{}");
    c = expect(t, 200, "GET", "/v1/actions/runs?version=v2&external_run_id=x-1", NULL);
    expect_text(c, "runs.0.id", "\"r1\"");
    assert_int_equal(json_len(at(c, "runs")), 1);
    expect_text(expect(t, 200, "GET", "/v1/actions/runs?external_run_id=none", NULL), "runs", "[]");
    c = expect(t, 201, "POST", "/v1/actions/runs/r2/logs",
               "{\"message\":\"done\",\"terminationStatus\":\"FAILURE\",\"statusLabel\":\"Bad\"}");
    expect_text(c, "runLog.runId", "\"r2\"");
    expect_text(c, "runLog.createdBy", "\"acme\"");
    c = expect(t, 200, "GET", "/v1/actions/runs/r2", NULL);
    expect_text(c, "run.status", "\"FAILURE\"");
    expect_text(c, "run.statusLabel", "\"Bad\"");
    expect(t, 201, "POST", "/v1/actions/runs/r2/logs", "{\"message\":\"more\"}");
    c = expect(t, 200, "GET", "/v1/actions/runs/r2/logs?limit=1&offset=1", NULL);
    expect_text(c, "runLogs.0.message", "\"more\"");
    expect(t, 422, "GET", "/v1/actions/runs/r2/logs?limit=51", NULL);
    expect(t, 422, "POST", "/_local/action-runs", "{\"action\":{\"identifier\":\"b\"}}");
}

static void test_node_runs(void **state)
{
    struct fixture *t = *state;
    expect(t, 200, "POST", "/_local/seed",
           "{\"nodeRuns\":[{\"identifier\":\"n1\",\"nodeUid\":\"u\",\"config\":{\"type\":\"INTEGRATION_ACTION\","
           "\"installationId\":\"i\"}}]}");
    struct json c = expect(t, 200, "POST", "/v1/workflows/runs/claim-pending", CLAIM(5, ",\"exclude\":[\"u\"]"));
    expect_text(c, "nodeRuns", "[]");
    c = expect(t, 200, "POST", "/v1/workflows/runs/claim-pending", CLAIM(5, ""));
    expect_text(c, "nodeRuns.0.config.installationId", "\"i\"");
    expect_text(expect(t, 200, "PATCH", "/v1/workflows/runs/ack", "{\"nodeRunIdentifier\":\"n1\"}"), "acked", "true");
    expect_error(t, 409, "already_acknowledged", "PATCH", "/v1/workflows/runs/ack", "{\"nodeRunIdentifier\":\"n1\"}");
    expect(t, 200, "PATCH", "/v1/workflows/nodes/runs/n1",
           "{\"statusLabel\":{\"text\":\"Rate limited\"},\"output\":{\"a\":1},\"externalRunId\":\"e\"}");
    c = expect(t, 200, "PATCH", "/v1/workflows/nodes/runs/n1",
               "{\"status\":\"COMPLETED\",\"result\":\"FAILED\",\"statusLabel\":{\"text\":\"Bad input\"}}");
    expect_text(c, "nodeRun.statusLabel.text", "\"Bad input\"");
    expect_text(c, "nodeRun.output", "{\"a\":1}");
    expect(t, 422, "PATCH", "/v1/workflows/nodes/runs/n1", "{\"result\":\"FAILURE\"}");
    c = expect(t, 200, "GET", "/v1/workflows/nodes/runs?external_run_id=e&include=nodeConfig", NULL);
    expect_text(c, "nodeRuns.0.node.config.installationId", "\"i\"");
    expect_missing(c, "nodeRuns.0.config");
    expect(t, 201, "POST", "/v1/workflows/nodes/runs/n1/logs", "{\"logs\":[{\"level\":\"WARN\",\"message\":\"m\"}]}");
    expect_error(t, 422, "invalid_request", "POST", "/v1/workflows/nodes/runs/n1/logs",
                 "{\"logs\":[{\"level\":\"WARNING\",\"message\":\"m\"}]}");
    expect(t, 404, "POST", "/v1/workflows/nodes/runs/zz/logs", "{\"logs\":[]}");
}

static void raw_round(struct fixture *t, bool keeps)
{
    make_integration(t);
    char *url = str_dup(json_str(at(t->root, "integration.ingestAttributes.ingestUrl")));
    char *lake = xasprintf("%s/lake/write/integration-type/a/integration/i/sync/s%%2F1/kind/my+kind", url);
    static const char *const body = "{\"kind\":\"my kind\",\"eventType\":\"resync\",\"extractionTimestamp\":1,\"eventId\":\"e1\","
                                    "\"data\":[{\"items\":[1,2]},{\"items\":[3]}]}";
    expect_text(expect(t, 200, "POST", lake, body), "count", "2");
    expect_text(expect(t, 200, "POST", lake, body), "count", "0");
    struct json raw = expect(t, 200, "GET", "/_local/raw", NULL);
    assert_int_equal(json_len(at(raw, "raw")), 1);
    expect_text(raw, "raw.0.sync", "\"s/1\"");
    expect_text(raw, "raw.0.kind", "\"my kind\"");
    expect_text(raw, "raw.0.items", "3");
    assert_int_equal(at(raw, "raw.0.body").v != NULL, keeps);
    expect(t, 422, "POST", lake, "{\"data\":1}");
    expect(t, 200, "POST", "/v1/lifecycle/s%2F1", "{\"status\":\"started\",\"sync_type\":\"full_sync\"}");
    expect(t, 200, "POST", "/v1/lifecycle/s%2F1/kind", "{\"status\":\"finished\",\"kind_identifier\":\"k-0\"}");
    expect(t, 404, "POST", "/v1/lifecycle/s%2F1/nonsense", "{\"status\":\"finished\"}");
    expect(t, 422, "POST", "/v1/lifecycle/s%2F1", "{\"status\":\"odd\"}");
    expect_text(expect(t, 200, "GET", "/v1/lifecycle/s%2F1", NULL), "status", "\"started\"");
    expect_error(t, 404, "not_found", "GET", "/v1/lifecycle/none", NULL);
    expect(t, 200, "POST", "/_local/integrations/i/abort", "{\"eventId\":\"s/1\"}");
    expect_text(expect(t, 200, "GET", "/v1/lifecycle/s%2F1", NULL), "status", "\"aborted\"");
    expect(t, 200, "POST", "/v1/lifecycle/s%2F1", "{\"status\":\"finished\"}");
    expect_text(expect(t, 200, "GET", "/v1/lifecycle/s%2F1", NULL), "status", "\"aborted\"");
    expect_text(expect(t, 409, "POST", lake, body), "error.code", "\"resync_stale\"");
    expect(t, 404, "POST", "/_local/integrations/zz/abort", "{\"eventId\":\"s\"}");
    free(lake);
    free(url);
}

static void test_raw_data(void **state)
{
    raw_round(*state, false);
    struct fixture *t = start_catalog(&(struct catalog_opts){.keep_raw = true});
    get_token(t, "acme");
    raw_round(t, true);
    stop_catalog(t);
}

static void test_probes(void **state)
{
    struct fixture *t = *state;
    struct str org = json_str(at(expect(t, 200, "GET", "/v1/organization", NULL), "organization.id"));
    char *path = xasprintf("/v1/org/%.*s/integration/probe/p1", STR_FMT(org));
    expect(t, 200, "PATCH", path,
           "{\"status\":\"IN_PROGRESS\",\"probeMode\":\"shallow\",\"startedAt\":\"2025-03-01T08:00:00+00:00\",\"checks\":[]}");
    expect(t, 200, "PATCH", path, "{\"status\":\"COMPLETED\",\"checks\":[{\"kind\":\"k\",\"status\":\"SUCCESS\"}]}");
    expect_text(expect(t, 200, "GET", "/_local/probes", NULL), "probes.p1.status", "\"COMPLETED\"");
    expect(t, 422, "PATCH", path, "{\"status\":\"MAYBE\"}");
    expect(t, 404, "PATCH", "/v1/org/other/integration/probe/p1", "{\"status\":\"COMPLETED\"}");
    free(path);
}

#define STATE "/v1/integration/i/resync-state"

static void test_history(void **state)
{
    struct fixture *t = *state;
    make_integration(t);
    t->agent = "port-ocean/a/1/i/exporter";
    clock_at(t, "2030-01-01T00:00:00Z");
    expect(t, 200, "PATCH", STATE, "{\"status\":\"running\"}");
    expect(t, 200, "POST", "/v1/blueprints/crew/entities/bulk" UP "&ocean_info_event_type=resync&ocean_info_resync_id=ev",
           "{\"entities\":[{\"identifier\":\"a\"},{\"identifier\":\"b\"}]}");
    clock_at(t, "2030-01-01T00:00:05Z");
    expect(t, 200, "PATCH", STATE, "{\"status\":\"completed\"}");
    expect(t, 200, "PATCH", STATE, "{\"status\":\"running\"}");
    struct json r = expect(t, 200, "GET", "/_local/resyncs?integration=i", NULL);
    assert_int_equal(json_len(at(r, "resyncs")), 2);
    expect_text(r, "resyncs.0.status", "\"running\"");
    expect_text(r, "resyncs.0.endedAt", "null");
    expect_text(r, "resyncs.1.durationMs", "5000");
    expect_text(r, "resyncs.1.status", "\"completed\"");
    expect_text(r, "resyncs.1.counts.created", "2");
    expect_text(r, "resyncs.1.events", "[\"ev\"]");
    expect_text(expect(t, 200, "GET", "/_local/resyncs?integration=x", NULL), "resyncs", "[]");
}

/* Waits ---------------------------------------------------------------------------------------------------------- */

struct waiting {
    bool done;
    int status;
};

static void on_wait(void *arg, struct http_resp *resp, const struct err *e)
{
    struct waiting *x = arg;
    (void)e;
    x->done = true;
    x->status = resp ? resp->status : 0;
}

static void wait_for(struct fixture *t, struct waiting *x, const char *query)
{
    char *url = xasprintf("%s/_local/wait?%s", catalog_url(t->catalog), query);
    struct http_spec spec = {.method = "GET", .url = url};
    struct err e = {0};
    *x = (struct waiting){0};
    buf_init(&spec.body, BUF_NO_LIMIT);
    assert_non_null(http_send(t->http, &spec, on_wait, x, &e));
    free(url);
}

static void until(struct fixture *t, struct waiting *x, int status)
{
    while (!x->done)
        loop_turn(t->loop, true);
    assert_int_equal(x->status, status);
}

static void test_waits(void **state)
{
    struct fixture *t = *state;
    struct waiting a, b, c;
    make_integration(t);
    expect(t, 200, "PATCH", STATE, "{\"status\":\"running\"}");
    wait_for(t, &a, "integration=i&resyncStatus=completed");
    wait_for(t, &b, "journal=2&route=E-2");
    wait_for(t, &c, "integration=i&resyncStatus=completed&since=2100-01-01T00:00:00Z&timeoutMs=300");
    expect(t, 200, "GET", "/v1/organization", NULL);
    expect(t, 200, "PATCH", STATE, "{\"status\":\"running\"}");
    expect(t, 200, "GET", "/v1/integration/i", NULL);
    assert_false(a.done || b.done);
    expect(t, 200, "GET", "/v1/organization", NULL);
    until(t, &b, 200);
    expect(t, 200, "PATCH", STATE, "{\"status\":\"completed\"}");
    until(t, &a, 200);
    until(t, &c, 408);
    wait_for(t, &a, "integration=i&resyncStatus=completed"); /* it has happened already */
    until(t, &a, 200);
    expect(t, 422, "GET", "/_local/wait", NULL);
    expect(t, 422, "GET", "/_local/wait?journal=0", NULL);
    expect(t, 422, "GET", "/_local/wait?integration=i", NULL);
    expect(t, 422, "GET", "/_local/wait?journal=1&timeoutMs=x", NULL);
    expect_error(t, 408, "timeout", "GET", "/_local/wait?journal=999&timeoutMs=1", NULL);
    wait_for(t, &c, "journal=999"); /* the server stops meanwhile */
    loop_turn(t->loop, false);
}

/* The webhook ---------------------------------------------------------------------------------------------------- */

static char hooked[512];
static int hooks;

static void on_hook(void *arg, struct http_call *c)
{
    (void)arg;
    snprintf(hooked, sizeof(hooked), "%s %.*s %.*s", http_call_method(c), STR_FMT(http_call_path(c)),
             STR_FMT(http_call_body(c)));
    hooks++; /* and never an answer */
}

static void test_webhook(void **state)
{
    struct fixture *t = *state;
    struct http_server *s = NULL;
    struct err e = {0};
    assert_int_equal(http_server_start(t->loop, &(struct http_server_opts){.handle = on_hook}, &s, &e), 0);
    char *body = xasprintf("{\"installationId\":\"i\",\"installationAppType\":\"a\",\"changelogDestination\":{\"type\":"
                           "\"WEBHOOK\",\"url\":\"http://127.0.0.1:%d/integration/webhook\"}}",
                           http_server_port(s));
    hooks = 0;
    expect(t, 201, "POST", "/v1/integration", body);
    while (hooks < 1)
        loop_turn(t->loop, true);
    assert_string_equal(hooked,
                        "POST /integration/webhook {\"action\":\"RESYNC\",\"context\":{\"integrationId\":\"i\"}}");
    expect(t, 200, "POST", "/_local/integrations/i/resync", NULL);
    while (hooks < 2)
        loop_turn(t->loop, true);
    t->extra = (struct http_header){STR("x-skip-resync"), STR("true")};
    expect(t, 200, "PATCH", "/v1/integration/i", "{}");
    t->extra = (struct http_header){STR_NULL, STR_NULL};
    expect(t, 200, "PATCH", "/v1/integration/i", "{}");
    while (hooks < 3)
        loop_turn(t->loop, true);
    expect(t, 200, "GET", "/v1/organization", NULL);
    assert_int_equal(hooks, 3);
    http_server_free(s);
    free(body);
}

/* Flags ---------------------------------------------------------------------------------------------------------- */

static void test_ids_repeat(void **state)
{
    (void)state;
    char *seen[3] = {NULL};
    for (int round = 0; round < 2; round++) {
        struct fixture *t = start_catalog(&(struct catalog_opts){.id_seed = 7});
        clock_at(t, "2030-01-01T00:00:00Z");
        make_integration(t);
        seen[round] = str_dup(json_str(at(t->root, "integration._id")));
        stop_catalog(t);
    }
    assert_string_equal(seen[0], seen[1]);
    free(seen[0]);
    free(seen[1]);
}

static void test_migration_delay(void **state)
{
    (void)state;
    struct fixture *t = start_catalog(&(struct catalog_opts){.migration_delay_ms = 1000});
    clock_at(t, "2030-01-01T00:00:00Z");
    get_token(t, "acme");
    make_blueprints(t);
    struct json m = expect(t, 200, "DELETE", "/v1/blueprints/berth/all-entities", NULL);
    char *path = xasprintf("/v1/migrations/%.*s", STR_FMT(json_str(at(m, "migrationId"))));
    expect_text(expect(t, 200, "GET", path, NULL), "migration.status", "\"RUNNING\"");
    clock_at(t, "2030-01-01T00:00:01Z");
    expect_text(expect(t, 200, "GET", path, NULL), "migration.status", "\"COMPLETED\"");
    free(path);
    stop_catalog(t);
}

static void test_rate_limit_by_client(void **state)
{
    (void)state;
    struct fixture *t = start_catalog(&(struct catalog_opts){.rate_limit = "3/60", .rate_limit_scope = "client"});
    get_token(t, "acme");
    for (int i = 0; i < 3; i++)
        expect(t, 200, "GET", "/v1/organization", NULL);
    expect(t, 429, "GET", "/v1/organization", NULL);
    get_token(t, "other");
    expect(t, 200, "GET", "/v1/organization", NULL);
    stop_catalog(t);
}

static void test_foreign_hosts(void **state)
{
    struct fixture *t = *state;
    static const char *const hosts[] = {"evil.example", "evil.example:5555", "127.0.0.1.evil.example"};
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        t->extra = (struct http_header){STR("Host"), str_of(hosts[i])};
        expect_error(t, 403, "forbidden", "GET", "/v1/organization", NULL);
        expect_error(t, 403, "forbidden", "POST", "/v1/auth/access_token", "{\"clientId\":\"a\",\"clientSecret\":\"b\"}");
        expect_error(t, 403, "forbidden", "GET", "/_local/state", NULL);
    }
    t->extra = (struct http_header){STR("Host"), STR("localhost:1")};
    expect(t, 200, "GET", "/v1/organization", NULL);
    t->extra = (struct http_header){STR("Origin"), STR("http://evil.example")};
    expect_error(t, 403, "forbidden", "GET", "/_local/state", NULL);
    t->extra = (struct http_header){STR_NULL, STR_NULL};
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_action_runs, setup_plain, teardown),
        cmocka_unit_test_setup_teardown(test_node_runs, setup_plain, teardown),
        cmocka_unit_test_setup_teardown(test_raw_data, setup_plain, teardown),
        cmocka_unit_test_setup_teardown(test_probes, setup_plain, teardown),
        cmocka_unit_test_setup_teardown(test_history, setup_blueprints, teardown),
        cmocka_unit_test_setup_teardown(test_waits, setup_plain, teardown),
        cmocka_unit_test_setup_teardown(test_webhook, setup_plain, teardown),
        cmocka_unit_test(test_ids_repeat),
        cmocka_unit_test(test_migration_delay),
        cmocka_unit_test(test_rate_limit_by_client),
        cmocka_unit_test_setup_teardown(test_foreign_hosts, setup_plain, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
