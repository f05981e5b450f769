/* Start-up initialisation, request by request (port-api P-234, runtime section 4), and the documents it
 * compares. */
#include "fake_port.h"
#include "port/integration_priv.h"
#include "port/setup_docs.h"
#include "json/compare.h"
#include "json/write.h"

#define I "/v1/integration/my%20jira"
#define READ "GET " I "?oceanCoreVersion=" PORT_CORE_VERSION "&isPolling=false"
#define MAPPING                                                                                              \
    "{\"deleteDependentEntities\":true,\"createMissingRelatedEntities\":true,\"enableMergeEntity\":true,"    \
    "\"entityDeletionThreshold\":0.9,\"resources\":[{\"kind\":\"k\",\"selector\":{\"query\":\"true\"},"      \
    "\"port\":{"                                                                                             \
    "\"entity\":{\"mappings\":{\"identifier\":\".id\",\"blueprint\":\"\\\"a\\\"\"}}}}]}"
#define OTHER_MAPPING                                                                                        \
    "{\"resources\":[{\"kind\":\"other\",\"port\":{\"entity\":{\"mappings\":{\"identifier\":\".id\","        \
    "\"blueprint\":\".b\"}}}}]}"
#define BLUEPRINT_A                                                                                          \
    "{\"identifier\":\"a\",\"title\":\"A\",\"schema\":{\"properties\":{\"u\":{\"type\":\"string\"}}},"       \
    "\"relations\":{\"r\":{\"target\":\"b\"}},\"mirrorProperties\":{\"m\":{\"path\":\"r.x\"}}}"
#define BLUEPRINT_B "{\"identifier\":\"b\",\"schema\":{\"properties\":{}}}"
#define DOC(config, flag, mode)                                                                              \
    "{\"ok\":true,\"integration\":{\"identifier\":\"my jira\",\"installationAppType\":\"jira\","             \
    "\"version\":\"1.4.2\",\"changelogDestination\":{},\"config\":" config                                   \
    ",\"arePortResourcesInitialized\":" flag ",\"processingMode\":" mode                                     \
    ",\"createPortResourcesOrigin\":\"Default\"}}"
#define DONE_DOC(config) DOC(config, "true", "\"ocean-core\"")

static struct definition *def;
static struct got outcome;

static struct json_doc *parse(const char *text)
{
    struct json_doc *d = NULL;
    struct err e;
    if (json_parse(str_of(text), &d, &e) < 0)
        fail_msg("%s: %s", e.msg, text);
    return d;
}

static int setup_setup(void **state)
{
    def = definition_new();
    memset(&outcome, 0, sizeof(outcome));
    def->mapping = parse(MAPPING);
    def->mapping_from = xstrdup(".port/resources/port-app-config.yml");
    def->blueprints = parse("[" BLUEPRINT_A "," BLUEPRINT_B "]");
    int rc = fake_setup(state);
    fake_on((struct rule){"GET /v1/integration/provision-enabled", 200, "{\"ok\":true,\"integrations\":[]}"});
    fake_on((struct rule){"GET /v1/organization", 200,
                          "{\"ok\":true,\"organization\":{\"id\":\"o\",\"featureFlags\":[]}}"});
    return rc;
}

static int setup_teardown(void **state)
{
    int rc = fake_teardown(state);
    definition_free(def);
    return rc;
}

static void on_setup(void *arg, const struct err *e)
{
    (void)arg;
    outcome.done++;
    if (e)
        err_copy(&outcome.err, e);
}

static void run(struct port_setup_opts o)
{
    o.def = def;
    int done = outcome.done;
    port_setup(fake.port, &o, on_setup, NULL);
    assert_int_equal(outcome.done, done);
    fake_until(&outcome.done, done + 1);
}

static void run_well(struct port_setup_opts o)
{
    run(o);
    if (outcome.err.code)
        fail_msg("%s", outcome.err.msg);
}

static const struct port_setup_opts usual = {.initialize_resources = true};

static void on_write_ok(void)
{
    fake_on((struct rule){"POST /v1/blueprints", 201, "{\"ok\":true,\"blueprint\":{}}"});
    fake_on((struct rule){"PATCH /v1/blueprints/", 200, "{\"ok\":true,\"blueprint\":{}}"});
    fake_on((struct rule){"POST /v1/integration", 201, DOC(MAPPING, "false", "null")});
    fake_on((struct rule){"PATCH " I, 200, DOC(MAPPING, "false", "\"ocean-core\"")});
    fake_on((struct rule){"POST /v1/actions", 201, "{\"ok\":true}"});
    fake_on((struct rule){"POST /v1/pages", 500, "{\"ok\":false}"});
}

/* Index of the first request from `from` that begins so; fails if there is none. */
static size_t find(size_t from, const char *line)
{
    for (size_t i = from; i < fake.n; i++)
        if (strncmp(fake.seen[i].line, line, strlen(line)) == 0)
            return i;
    fail_msg("not sent: %s", line);
    return 0;
}

static size_t count(const char *line)
{
    size_t n = 0;
    for (size_t i = 0; i < fake.n; i++)
        n += strncmp(fake.seen[i].line, line, strlen(line)) == 0;
    return n;
}

static size_t writes(void) { return fake.n - count("GET ") - count("POST /v1/auth/"); }

static void assert_json_equal(const char *got, const char *want)
{
    struct json_doc *a = parse(got), *b = parse(want);
    if (!json_equal(json_root(a), json_root(b)))
        fail_msg("got  %s\nwant %s", got, want);
    json_unref(a);
    json_unref(b);
}

static void first_start(void **state)
{
    (void)state;
    def->actions = parse("[{\"identifier\":\"act\"}]");
    def->scorecards =
        parse("[{\"blueprint\":\"a\",\"data\":[{\"identifier\":\"s1\"},{\"identifier\":\"s2\"}]}]");
    def->pages = parse("[{\"identifier\":\"page\"}]");
    on_write_ok();
    run_well(usual);
    assert_line(0, "POST /v1/auth/access_token");
    assert_line(1, READ);
    assert_line(2, "GET /v1/integration/provision-enabled");
    assert_line(3, "GET /v1/organization");
    assert_line(4, "POST /v1/integration");
    assert_json_equal(
        fake.seen[4].body,
        "{\"installationId\":\"my jira\",\"installationAppType\":\"jira\",\"version\":\"1.4.2\","
        "\"changelogDestination\":{},\"config\":" MAPPING ",\"actionsProcessingEnabled\":false,"
        "\"incrementalSyncEnabled\":false,\"createPortResourcesOrigin\":\"Default\"}");
    assert_line(5, "PATCH " I);
    assert_json_equal(fake.seen[5].body,
                      "{\"installationAppType\":\"jira\",\"actionsProcessingEnabled\":false,"
                      "\"incrementalSyncEnabled\":false,\"changelogDestination\":{},"
                      "\"processingMode\":\"ocean-core\",\"version\":\"1.4.2\"}");
    find(6, "GET /v1/blueprints/a");
    find(6, "GET /v1/blueprints/b");
    assert_line(8, "POST /v1/blueprints");
    assert_line(9, "POST /v1/blueprints");
    assert_string_equal(fake.seen[8].agent, "port-ocean/jira/1.4.2/my jira/exporter");
    assert_string_equal(fake.seen[4].agent, "port-ocean/jira/1.4.2/my jira");
    size_t a = strstr(fake.seen[8].body, "\"a\"") ? 8 : 9;
    assert_json_equal(
        fake.seen[a].body,
        "{\"identifier\":\"a\",\"title\":\"A\",\"schema\":{\"properties\":{\"u\":{\"type\":\"string\"}}}}");
    a = find(10, "PATCH /v1/blueprints/a");
    assert_true(a == 10 || a == 11);
    assert_json_equal(
        fake.seen[a].body,
        "{\"identifier\":\"a\",\"title\":\"A\",\"schema\":{\"properties\":{\"u\":{\"type\":\"string\"}}},"
        "\"relations\":{\"r\":{\"target\":\"b\"}}}");
    a = find(12, "PATCH /v1/blueprints/a");
    assert_true(a == 12 || a == 13);
    assert_json_equal(fake.seen[a].body, BLUEPRINT_A);
    assert_line(14, "POST /v1/actions");
    assert_line(15, "POST /v1/blueprints/a/scorecards");
    assert_line(16, "POST /v1/blueprints/a/scorecards");
    assert_line(17, "POST /v1/pages"); /* fails, and is passed over */
    assert_line(18, "PATCH " I);
    assert_json_equal(fake.seen[18].body, "{\"arePortResourcesInitialized\":true,\"version\":\"1.4.2\"}");
    assert_int_equal(fake.n, 19);
}

static void second_start_writes_nothing(void **state)
{
    (void)state;
    fake_on((struct rule){"GET " I "?", 200, DONE_DOC(MAPPING)});
    run_well(usual);
    assert_int_equal(fake.n, 4);
    assert_int_equal(writes(), 0);
}

static void edited_files_have_no_effect_on_port(void **state)
{
    (void)state;
    fake_on((struct rule){"GET " I "?", 200, DONE_DOC(OTHER_MAPPING)});
    run_well(usual);
    assert_int_equal(writes(), 0);
    run_well((struct port_setup_opts){.initialize_resources = false});
    assert_int_equal(writes(), 0);
}

static void only_a_404_means_absent(void **state)
{
    (void)state;
    fake_on(
        (struct rule){"GET " I "?", 500, "{\"ok\":false,\"error\":\"internal_error\",\"message\":\"x\"}"});
    run(usual);
    assert_int_equal(outcome.err.http_status, 500);
    assert_int_equal(writes(), 0);
}

static void a_blueprint_that_cannot_be_read_ends_it(void **state)
{
    (void)state;
    fake_on((struct rule){"GET /v1/blueprints/b", 500, "{\"ok\":false}"});
    on_write_ok();
    run(usual);
    assert_int_equal(outcome.err.http_status, 500);
    assert_int_equal(count("POST /v1/blueprints"), 0);
    assert_int_equal(count("PATCH " I), 1); /* the flag is not set */
}

static void an_existing_blueprint_stops_the_creation(void **state)
{
    (void)state;
    fake_on((struct rule){"GET /v1/blueprints/b", 200, "{\"ok\":true,\"blueprint\":{\"identifier\":\"b\"}}"});
    on_write_ok();
    run_well(usual);
    assert_int_equal(count("POST /v1/blueprints"), 0);
    assert_int_equal(count("PATCH /v1/blueprints"), 0);
    assert_contains(fake.seen[fake.n - 1].body, "arePortResourcesInitialized");
}

static void a_failed_wave_is_rolled_back(void **state)
{
    (void)state;
    fake_on((struct rule){"PATCH /v1/blueprints/a", 422,
                          "{\"ok\":false,\"error\":\"invalid_request\",\"message\":\"bad relation\"}"});
    fake_on((struct rule){"DELETE /v1/blueprints/", 200, "{\"ok\":true}"});
    on_write_ok();
    run(usual);
    assert_contains(outcome.err.msg, "bad relation");
    assert_int_equal(count("DELETE /v1/blueprints/a"), 1);
    assert_int_equal(count("DELETE /v1/blueprints/b"), 1);
    assert_int_equal(count("PATCH " I), 1);
    assert_int_equal(count("POST /v1/actions"), 0);
}

static void only_what_was_created_is_removed(void **state)
{
    (void)state;
    fake_on((struct rule){"POST /v1/blueprints", 201, "{\"ok\":true}", .times = 1});
    fake_on((struct rule){"POST /v1/blueprints", 422, "{\"ok\":false}"});
    on_write_ok();
    run(usual);
    assert_int_equal(outcome.err.http_status, 422);
    assert_int_equal(count("DELETE /v1/blueprints/"), 1);
    assert_int_equal(count("PATCH /v1/blueprints/"), 0);
}

static void a_409_means_somebody_else_was_faster(void **state)
{
    (void)state;
    fake_on((struct rule){"POST /v1/blueprints", 409, "{\"ok\":false,\"error\":\"identifier_taken\"}",
                          .times = 1});
    on_write_ok();
    run_well(usual);
    assert_int_equal(count("DELETE "), 0);
    assert_int_equal(count("PATCH /v1/blueprints/"), 2); /* two waves for the other one */
    assert_contains(fake.seen[fake.n - 1].body, "arePortResourcesInitialized");
}

static void an_integration_created_meanwhile(void **state)
{
    (void)state;
    fake_on((struct rule){"GET " I "?", 404, "{\"ok\":false,\"error\":\"not_found\"}", .times = 1});
    fake_on((struct rule){"GET " I "?", 200, DONE_DOC(MAPPING)});
    fake_on((struct rule){"POST /v1/integration", 409, "{\"ok\":false,\"error\":\"identifier_taken\"}"});
    run_well(usual);
    assert_int_equal(writes(), 1);
}

static void no_mapping_to_create_with(void **state)
{
    (void)state;
    json_unref(def->mapping);
    def->mapping = NULL;
    run(usual);
    assert_int_equal(outcome.err.code, ERR_CONFIG);
    assert_contains(outcome.err.msg, ".port/resources/port-app-config.yml");
    assert_int_equal(writes(), 0);
}

static void without_initialisation_only_the_integration_is_created(void **state)
{
    (void)state;
    on_write_ok();
    run_well((struct port_setup_opts){.initialize_resources = false});
    assert_int_equal(count("POST /v1/integration"), 1);
    assert_contains(fake.seen[4].body, "\"kind\":\"k\"");
    assert_int_equal(count("GET /v1/blueprints"), 0);
    assert_int_equal(writes(), 2);
}

static void an_installed_runtime_that_does_not_fit(void **state)
{
    (void)state;
    fake_on(
        (struct rule){"GET " I "?", 200,
                      "{\"ok\":true,\"integration\":{\"installationType\":\"SaasOauth2\",\"config\":{}}}"});
    run(usual);
    assert_int_equal(outcome.err.code, ERR_CONFIG);
    assert_contains(outcome.err.msg, "SaasOauth2");
    assert_contains(outcome.err.msg, "OnPrem");
    assert_int_equal(fake.n, 2);
}

static void origin_empty_keeps_a_mapping(void **state)
{
    (void)state;
    fake_on((struct rule){"GET " I "?", 200, DOC(MAPPING, "false", "\"ocean-core\"")});
    fake_on((struct rule){"PATCH " I, 200, DONE_DOC(MAPPING)});
    fake.rules[2].body =
        "{\"ok\":true,\"integration\":{\"installationAppType\":\"jira\",\"version\":\"1.4.2\","
        "\"config\":" MAPPING ",\"processingMode\":\"ocean-core\",\"createPortResourcesOrigin\":\"Empty\"}}";
    run_well(usual);
    assert_int_equal(writes(), 1);
    assert_json_equal(fake.seen[fake.n - 1].body,
                      "{\"arePortResourcesInitialized\":true,\"version\":\"1.4.2\"}");
}

static void an_empty_config_is_filled(void **state)
{
    (void)state;
    fake_on((struct rule){"GET " I "?", 200, DOC("{}", "false", "\"ocean-core\"")});
    on_write_ok();
    run_well(usual);
    assert_line(4, "PATCH " I "/config");
    assert_null(fake.seen[4].skip);
    assert_json_equal(fake.seen[4].body, "{\"config\":" MAPPING "}");
}

static void questions_that_fail_do_not_stop_it(void **state)
{
    (void)state;
    fake.rules[0].status = 500;
    fake.rules[1].status = 403;
    fake_on((struct rule){"GET " I "?", 200, DONE_DOC(MAPPING)});
    run_well(usual);
}

static void provisioning_by_port_is_waited_for(void **state)
{
    (void)state;
    fake.rules[0].body = "{\"ok\":true,\"integrations\":[\"jira\"]}";
    fake.rules[1].body = "{\"ok\":true,\"organization\":{\"featureFlags\":[\"USE_PROVISIONED_DEFAULTS\"]}}";
    fake_on((struct rule){"GET " I "?", 404, "{\"ok\":false}", .times = 1});
    fake_on((struct rule){"GET " I "?", 200, DOC(MAPPING, "false", "\"ocean-core\"")});
    fake_on((struct rule){"POST /v1/integration", 201, DOC("{}", "false", "\"ocean-core\"")});
    run_well(usual);
    assert_line(4, "POST /v1/integration?integration_modes=create_resources");
    assert_contains(fake.seen[4].body, "\"config\":{}");
    assert_contains(fake.seen[4].body, "\"createPortResourcesOrigin\":\"Port\"");
    assert_line(5, READ);
    assert_int_equal(fake.n, 6);
}

/* ---- Bringing up to date ---- */

static void the_embedded_catalog_follows_the_files(void **state)
{
    (void)state;
    fake_on((struct rule){"GET " I "?", 200, DONE_DOC(OTHER_MAPPING)});
    fake_on((struct rule){"GET /v1/blueprints/a", 200,
                          "{\"ok\":true,\"blueprint\":{\"identifier\":\"a\",\"title\":\"Old\","
                          "\"schema\":{\"properties\":{}}}}"});
    on_write_ok();
    run_well((struct port_setup_opts){.initialize_resources = true, .embedded = true});
    assert_int_equal(count("POST /v1/blueprints"), 1); /* b was absent */
    assert_int_equal(count("PATCH /v1/blueprints/a"), 1);
    assert_json_equal(fake.seen[find(0, "PATCH /v1/blueprints/a")].body, BLUEPRINT_A);
    size_t i = find(0, "PATCH " I "/config");
    assert_json_equal(fake.seen[i].body, "{\"config\":" MAPPING "}");
    assert_string_equal(fake.seen[i].skip, "true");
}

static void nothing_is_patched_when_nothing_differs(void **state)
{
    (void)state;
    fake_on((struct rule){"GET " I "?", 200, DONE_DOC(MAPPING)});
    fake_on((struct rule){"GET /v1/blueprints/a", 200,
                          "{\"ok\":true,\"blueprint\":{\"identifier\":\"a\",\"title\":\"A\",\"icon\":null,"
                          "\"schema\":{\"properties\":{\"u\":"
                          "{\"type\":\"string\"}},\"required\":[]},\"relations\":{\"r\":{\"target\":\"b\","
                          "\"required\":false,\"many\":false}},"
                          "\"mirrorProperties\":{\"m\":{\"path\":\"r.x\"}},\"calculationProperties\":{},"
                          "\"createdAt\":\"x\"}}"});
    fake_on((struct rule){"GET /v1/blueprints/b", 200,
                          "{\"ok\":true,\"blueprint\":{\"identifier\":\"b\",\"title\":null,\"schema\":"
                          "{\"properties\":{},\"required\":[]},\"relations\":{}}}"});
    run_well((struct port_setup_opts){.initialize_resources = true, .embedded = true});
    assert_int_equal(writes(), 0);
}

/* The config that an earlier start with this definition has left. */
static char *marked(const char *mapping, struct json_doc *blueprints)
{
    struct buf out;
    struct json_doc *d = parse(mapping);
    struct mapping_doc *m = NULL;
    buf_init(&out, BUF_NO_LIMIT);
    assert_int_equal(mapping_doc_parse(json_root(d), &m, NULL), 0);
    mapping_write_marked(&out, m, blueprints);
    mapping_doc_free(m);
    json_unref(d);
    return buf_take(&out, NULL);
}

static void make_inline(void) { def->mapping_inline = def->blueprints_inline = true; }

static char *done_doc(const char *config)
{
    return xasprintf(
        "{\"ok\":true,\"integration\":{\"installationAppType\":\"jira\",\"version\":\"1.4.2\",\"config\":%s,"
        "\"arePortResourcesInitialized\":true,\"processingMode\":\"ocean-core\"}}",
        config);
}

static void a_changed_inline_mapping_is_applied(void **state)
{
    (void)state;
    make_inline();
    char *config = marked(OTHER_MAPPING, def->blueprints), *doc = done_doc(config);
    fake_on((struct rule){"GET " I "?", 200, doc});
    on_write_ok();
    run_well(usual);
    assert_int_equal(writes(), 1);
    struct json_doc *body = parse(fake.seen[fake.n - 1].body);
    assert_true(mapping_untouched(json_get_c(json_root(body), "config")));
    assert_contains(fake.seen[fake.n - 1].body, "\"kind\":\"k\"");
    json_unref(body);
    free(config);
    free(doc);
}

static void an_inline_mapping_edited_in_port_stays(void **state)
{
    (void)state;
    make_inline();
    char *config = marked(OTHER_MAPPING, def->blueprints), *at = strstr(config, "\"other\""), *doc;
    memcpy(at, "\"edits\"", 7);
    doc = done_doc(config);
    fake_on((struct rule){"GET " I "?", 200, doc});
    on_write_ok();
    run_well(usual);
    assert_int_equal(writes(), 0);
    run_well((struct port_setup_opts){.initialize_resources = true, .reset_mapping = true});
    assert_int_equal(count("PATCH " I "/config"), 1);
    free(config);
    free(doc);
}

static void an_unchanged_inline_definition_writes_nothing(void **state)
{
    (void)state;
    make_inline();
    char *config = marked(MAPPING, def->blueprints), *doc = done_doc(config);
    fake_on((struct rule){"GET " I "?", 200, doc});
    run_well(usual);
    assert_int_equal(fake.n, 4);
    free(config);
    free(doc);
}

static void changed_inline_blueprints_are_applied(void **state)
{
    (void)state;
    make_inline();
    struct json_doc *old = parse("[" BLUEPRINT_B "]");
    char *config = marked(MAPPING, old), *doc = done_doc(config);
    fake_on((struct rule){"GET " I "?", 200, doc});
    fake_on((struct rule){"GET /v1/blueprints/b", 200,
                          "{\"ok\":true,\"blueprint\":{\"identifier\":\"b\",\"schema\":{\"properties\":"
                          "{\"mine\":{\"type\":\"string\"}}}}}"});
    on_write_ok();
    run_well(usual);
    assert_int_equal(count("POST /v1/blueprints"), 1);    /* a is new */
    assert_int_equal(count("PATCH /v1/blueprints/b"), 0); /* b has a property of somebody else's */
    size_t i = find(0, "PATCH " I "/config");
    struct json_doc *body = parse(fake.seen[i].body);
    assert_true(mapping_marks_blueprints(json_get_c(json_root(body), "config"), def->blueprints));
    json_unref(body);
    json_unref(old);
    free(config);
    free(doc);
}

static void freed_in_the_middle(void **state)
{
    (void)state;
    fake_on((struct rule){"GET /v1/blueprints/", .hold = true});
    on_write_ok();
    struct port_setup_opts o = usual;
    o.def = def;
    port_setup(fake.port, &o, on_setup, NULL);
    while (!fake.nheld)
        loop_turn(fake.loop, true);
    port_free(fake.port);
    fake.port = fake_port_client("jira", "x");
    assert_int_equal(outcome.done, 0);
}

/* ---- Run time ---- */

static struct mapping_doc *mapping;

static void on_mapping(void *arg, struct mapping_doc *m, const struct err *e)
{
    (void)arg;
    mapping = m;
    on_setup(NULL, e);
}

/* ---- Without writing ---- */

static struct port_setup_plan plan;
static char planned_text[512];

/* "+integration my jira; ~blueprint a; " */
static const char *planned(struct port_setup_opts o)
{
    port_setup_plan_done(&plan);
    o.plan = &plan;
    run_well(o);
    assert_int_equal(writes(), 0);
    planned_text[0] = 0;
    for (size_t i = 0; i < plan.n; i++) {
        size_t used = strlen(planned_text);
        snprintf(planned_text + used, sizeof(planned_text) - used, "%s%s %s; ", plan.changes[i].before.v ? "~" : "+",
                 plan.changes[i].type, plan.changes[i].identifier);
    }
    return planned_text;
}

static void assert_config(const char *want)
{
    struct buf text;
    buf_init(&text, BUF_NO_LIMIT);
    struct json_doc *d = mapping_unmarked(plan.config);
    json_write(&text, json_root(d));
    assert_json_equal(buf_cstr(&text), want);
    buf_done(&text);
    json_unref(d);
}

static void a_first_start_is_planned(void **state)
{
    (void)state;
    def->actions = parse("[{\"identifier\":\"act\"}]");
    def->scorecards = parse("[{\"blueprint\":\"a\",\"data\":[{\"identifier\":\"s1\"}]}]");
    def->pages = parse("[{\"identifier\":\"page\"}]");
    assert_string_equal(planned(usual), "+blueprint a; +blueprint b; +action act; +scorecard a/s1; +page page; "
                                        "+integration my jira; +mapping my jira; ");
    assert_config(MAPPING);
    port_setup_plan_done(&plan);
}

static void nothing_is_planned_where_nothing_is_to_do(void **state)
{
    (void)state;
    fake_on((struct rule){"GET " I "?", 200, DONE_DOC(OTHER_MAPPING)});
    assert_string_equal(planned(usual), "");
    assert_config(OTHER_MAPPING);
    assert_string_equal(planned((struct port_setup_opts){.initialize_resources = false}), "");
    port_setup_plan_done(&plan);
}

static void what_would_be_replaced_is_planned(void **state)
{
    (void)state;
    fake_on((struct rule){"GET " I "?", 200, DOC(OTHER_MAPPING, "true", "\"dsp\"")});
    fake_on((struct rule){"GET /v1/blueprints/a", 200,
                          "{\"ok\":true,\"blueprint\":{\"identifier\":\"a\",\"title\":\"Old\",\"createdAt\":\"x\","
                          "\"schema\":{\"properties\":{}}}}"});
    assert_string_equal(planned((struct port_setup_opts){.initialize_resources = true, .embedded = true}),
                        "~blueprint a; +blueprint b; ~integration my jira; ~mapping my jira; ");
    assert_config(MAPPING);
    const struct port_setup_change *a = &plan.changes[0];
    assert_string_equal(json_str(json_get_c(a->before, "title")).p, "Old");
    assert_null(json_get_c(a->before, "createdAt").v); /* only what is written */
    assert_string_equal(json_str(json_get_c(a->after, "title")).p, "A");
    port_setup_plan_done(&plan);
}

static void an_empty_origin_is_planned(void **state)
{
    (void)state;
    planned((struct port_setup_opts){.initialize_resources = true, .origin = "Empty"});
    assert_string_equal(planned_text, "+integration my jira; +mapping my jira; ");
    assert_int_equal(json_len(json_get_c(plan.config, "resources")), 0);
    port_setup_plan_done(&plan);
}

static void what_port_would_provide_cannot_be_planned(void **state)
{
    (void)state;
    fake.rules[0].body = "{\"ok\":true,\"integrations\":[\"jira\"]}";
    fake.rules[1].body = "{\"ok\":true,\"organization\":{\"featureFlags\":[\"USE_PROVISIONED_DEFAULTS\"]}}";
    run((struct port_setup_opts){.initialize_resources = true, .plan = &plan});
    assert_int_equal(writes(), 0);
    assert_int_equal(outcome.err.code, ERR_CONFIG);
    assert_contains(outcome.err.msg, "OCEAN__CREATE_PORT_RESOURCES_ORIGIN");
    port_setup_plan_done(&plan);
}

static void a_plan_is_freed_in_the_middle(void **state)
{
    (void)state;
    struct port_setup_opts o = {.def = def, .initialize_resources = true, .plan = &plan};
    port_setup(fake.port, &o, on_setup, NULL);
    while (fake.n < 4) /* the answer to the creation is pretended next */
        loop_turn(fake.loop, true);
    port_setup_plan_done(&plan);
}

static void reading_the_mapping(void **state)
{
    (void)state;
    const struct {
        const char *body, *error;
        size_t n;
        int status;
    } rows[] = {
        {DONE_DOC(MAPPING), NULL, 1, 200},
        {DONE_DOC("{}"), NULL, 0, 200},
        {DONE_DOC("null"), NULL, 0, 200},
        {"{\"ok\":true,\"integration\":{}}", "integration.config", 0, 200},
        {DONE_DOC("{\"resources\":[{}]}"), "resources[0]: \"kind\" is missing", 0, 200},
        {"{\"ok\":false,\"error\":\"not_found\"}", "answered 404 not_found", 0, 404},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fake.nrules = 0;
        fake_on((struct rule){"GET " I "?", rows[i].status, rows[i].body});
        memset(&outcome, 0, sizeof(outcome));
        mapping = NULL;
        port_get_mapping(fake.port, on_mapping, NULL);
        fake_until(&outcome.done, 1);
        if (rows[i].error) {
            assert_null(mapping);
            assert_contains(outcome.err.msg, rows[i].error);
        } else {
            assert_int_equal(outcome.err.code, 0);
            assert_int_equal(mapping->n, rows[i].n);
        }
        mapping_doc_free(mapping);
    }
    assert_line(1, READ);
}

static void resync_states(void **state)
{
    (void)state;
    struct buf b;
    int64_t s = 1893456000LL * 1000000; /* 2030-01-01T00:00:00 */
    buf_init(&b, 4096);
    integration_state_body(&b, "running", 90, s, s);
    assert_json_equal(
        buf_cstr(&b),
        "{\"status\":\"running\",\"lastResyncEnd\":null,\"lastResyncStart\":\"2030-01-01T00:00:00+00:00\","
        "\"nextResync\":null,\"intervalInMinuets\":null}");
    buf_reset(&b);
    integration_state_body(&b, "completed", 90, s, s + 130LL * 60 * 1000000);
    assert_json_equal(buf_cstr(&b),
                      "{\"status\":\"completed\",\"lastResyncEnd\":\"2030-01-01T02:10:00+00:00\","
                      "\"nextResync\":\"2030-01-01T03:00:00+00:00\",\"intervalInMinuets\":90}");
    buf_reset(&b);
    integration_state_body(&b, "failed", 0, s, s);
    assert_json_equal(
        buf_cstr(&b),
        "{\"status\":\"failed\",\"lastResyncEnd\":\"2030-01-01T00:00:00+00:00\",\"nextResync\":null,"
        "\"intervalInMinuets\":null}");
    buf_done(&b);
    assert_true(integration_next_resync(s, s, 60) == s + 3600LL * 1000000);
    fake_on((struct rule){"PATCH " I "/resync-state", 503, "{}", "Retry-After", "0", .times = 1});
    fake_on((struct rule){"PATCH " I "/resync-state", 200, "{\"ok\":true}"});
    port_resync_state(fake.port, "running", 0, on_setup, NULL);
    fake_until(&outcome.done, 1);
    assert_int_equal(outcome.err.code, 0);
    assert_int_equal(count("PATCH " I "/resync-state"), 2);
}

static void examples(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 100);
    buf_adds(&b, "{\"examples\":[]}");
    fake_on((struct rule){"POST " I "/kinds/", 503, "{}", "Retry-After", "0"});
    port_examples(fake.port, STR("a b/c"), &b, on_setup, NULL);
    fake_until(&outcome.done, 1);
    assert_line(1, "POST " I "/kinds/a%20b%2Fc/examples");
    assert_string_equal(fake.seen[1].body, "{\"examples\":[]}");
    assert_int_equal(fake.n, 2); /* not repeated */
    assert_int_equal(outcome.err.http_status, 503);
}

#undef T
#define T(f) cmocka_unit_test_setup_teardown(f, setup_setup, setup_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(first_start),
        T(second_start_writes_nothing),
        T(edited_files_have_no_effect_on_port),
        T(only_a_404_means_absent),
        T(a_blueprint_that_cannot_be_read_ends_it),
        T(an_existing_blueprint_stops_the_creation),
        T(a_failed_wave_is_rolled_back),
        T(only_what_was_created_is_removed),
        T(a_409_means_somebody_else_was_faster),
        T(an_integration_created_meanwhile),
        T(no_mapping_to_create_with),
        T(without_initialisation_only_the_integration_is_created),
        T(an_installed_runtime_that_does_not_fit),
        T(origin_empty_keeps_a_mapping),
        T(an_empty_config_is_filled),
        T(questions_that_fail_do_not_stop_it),
        T(provisioning_by_port_is_waited_for),
        T(the_embedded_catalog_follows_the_files),
        T(nothing_is_patched_when_nothing_differs),
        T(a_changed_inline_mapping_is_applied),
        T(an_inline_mapping_edited_in_port_stays),
        T(an_unchanged_inline_definition_writes_nothing),
        T(changed_inline_blueprints_are_applied),
        T(freed_in_the_middle),
        T(a_first_start_is_planned),
        T(nothing_is_planned_where_nothing_is_to_do),
        T(what_would_be_replaced_is_planned),
        T(an_empty_origin_is_planned),
        T(what_port_would_provide_cannot_be_planned),
        T(a_plan_is_freed_in_the_middle),
        T(reading_the_mapping),
        T(resync_states),
        T(examples),
    };
    return cmocka_run_group_tests_name("port setup", tests, NULL, NULL);
}
