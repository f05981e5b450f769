/* Names, precedence and messages of the settings (runtime section 2). */
#include "support.h"

static void snake_case_follows_the_vectors(void **state)
{
    static const char *const vectors[][2] = {
        {"apiToken", "api_token"},
        {"verifySSL", "verify_ssl"},
        {"APIKey", "api_key"},
        {"HTTPProxy", "http_proxy"},
        {"getURLForID", "get_url_for_id"},
        {"clientID", "client_id"},
        {"jiraHost2", "jira_host2"},
        {"k8sHost", "k8s_host"},
        {"oauth2", "oauth2"},
        {"x509", "x509"},
        {"api2Url", "api2_url"},
        {"a1B2", "a1_b2"},
        {"S3Bucket", "s3_bucket"},
        {"IPv4", "i_pv4"},
        {"ca-cert", "ca-cert"},
        {"ABC", "ABC"},
        {"already_snake", "already_snake"},
        {"123", "123"},
        {"", ""},
        {"API_KEY", "API_KEY"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        struct buf out;
        buf_init(&out, BUF_NO_LIMIT);
        settings_snake(&out, str_of(vectors[i][0]));
        assert_string_equal(buf_cstr(&out), vectors[i][1]);
        buf_done(&out);
    }
}

static void defaults(void **state)
{
    (void)state;
    struct settings *s = load((struct settings_flags){0});
    assert_string_equal(s->base_url, "https://api.getport.io");
    assert_false(s->any_port_setting);
    assert_null(s->client_id);
    assert_true(s->initialize_port_resources);
    assert_int_equal(s->upsert_max_entities, 20);
    assert_int_equal(s->upsert_max_bytes, 1048576);
    assert_int_equal(s->delete_max_entities, 100);
    assert_int_equal(s->scheduled_resync_interval_min, 0);
    assert_int_equal(s->http_port, 8000);
    assert_int_equal(s->lua_memory_bytes, 256 << 20);
    assert_string_equal(s->event_listener_type, "POLLING");
    assert_string_equal(settings_source(s, "port.base_url"), "default");
    assert_int_equal(json_len(json_root(s->config_raw)), 0);
    settings_free(s);
}

static void environment_beats_dotenv_beats_yaml(void **state)
{
    (void)state;
    put_file("config.yaml", "clientTimeout: 1\nport:\n  clientId: yaml\n  clientSecret: "
                            "yaml-secret\neventListener: {type: KAFKA, interval: 5}\n");
    put_file(".env", "OCEAN__CLIENT_TIMEOUT=2\nexport OCEAN__PORT__CLIENT_ID='dotenv'\n");
    setenv("ocean__client_timeout", "3", 1);
    setenv("OCEAN__EVENT_LISTENER__TYPE", "ONCE", 1);
    struct settings *s = load((struct settings_flags){0});
    assert_int_equal(s->client_timeout_s, 3);
    assert_string_equal(s->client_id, "dotenv");
    assert_string_equal(s->client_secret, "yaml-secret");
    assert_string_equal(s->event_listener_type, "ONCE");
    assert_string_equal(settings_text(s, "event_listener.interval"), "5");
    assert_true(s->any_port_setting);
    assert_string_equal(settings_source(s, "client_timeout"), "environment");
    assert_string_equal(settings_source(s, "port.client_id"), ".env");
    assert_string_equal(settings_source(s, "port.client_secret"), "config.yaml");
    settings_free(s);
}

static void flags_beat_everything(void **state)
{
    (void)state;
    put_file("config.yaml", "eventListener:\n  type: KAFKA\n");
    setenv("OCEAN__EVENT_LISTENER__TYPE", "KAFKA", 1);
    setenv("APPLICATION__PORT", "9000", 1);
    setenv("APPLICATION__LOG_LEVEL", "debug", 1);
    struct settings *s =
        load((struct settings_flags){.once = true, .port = "8001", .lua_memory = "1G", .lua_cpu = "0.5"});
    assert_string_equal(s->event_listener_type, "ONCE");
    assert_int_equal(s->http_port, 8001);
    assert_string_equal(s->log_level, "DEBUG");
    assert_int_equal(s->lua_memory_bytes, (size_t)1 << 30);
    assert_true(s->lua_cpu_s == 0.5);
    assert_string_equal(settings_source(s, "application.port"), "flag");
    settings_free(s);
}

static void json_values_of_sections(void **state)
{
    (void)state;
    setenv("OCEAN__PORT", "{\"clientId\":\"a\",\"client_secret\":\"b-secret\"}", 1);
    setenv("OCEAN__PORT__CLIENT_ID", "nested", 1);
    setenv("OCEAN__SSL__PORT__X509", "{\"strict\":false}", 1);
    setenv("OCEAN__EVENT_LISTENER", "{\"type\":\"POLLING\",\"resyncOnStart\":false}", 1);
    setenv("OCEAN__INTEGRATION",
           "{\"identifier\":\"x\",\"type\":\"jira\",\"config\":{\"appHost\":\"https://h\"}}", 1);
    struct settings *s = load((struct settings_flags){0});
    assert_string_equal(s->client_id, "nested");
    assert_string_equal(s->client_secret, "b-secret");
    assert_true(s->port_no_strict);
    assert_string_equal(settings_text(s, "event_listener.resync_on_start"), "false");
    assert_string_equal(s->identifier, "x");
    assert_string_equal(s->type, "jira");
    assert_true(str_is(json_str(json_get_c(json_root(s->config_raw), "app_host")), "https://h"));
    settings_free(s);
}

static void nested_variables_merge_with_json_config(void **state)
{
    (void)state;
    setenv("OCEAN__INTEGRATION__CONFIG", "{\"api_token\":\"t\",\"map\":{\"a\":1}}", 1);
    setenv("OCEAN__INTEGRATION__CONFIG__PAGE_SIZE", "8", 1);
    setenv("OCEAN__INTEGRATION__CONFIG__MAP__B", "2", 1);
    struct settings *s = load((struct settings_flags){0});
    struct json c = json_root(s->config_raw);
    assert_true(str_is(json_str(json_get_c(c, "api_token")), "t"));
    assert_true(str_is(json_str(json_get_c(c, "page_size")), "8"));
    assert_true(str_is(json_num_text(json_path(c, STR("map.a"))), "1"));
    assert_true(str_is(json_str(json_path(c, STR("map.b"))), "2"));
    settings_free(s);
}

static void dotenv_syntax(void **state)
{
    (void)state;
    put_file(".env", "# comment\n\nOCEAN__PORT__CLIENT_ID = spaced  # note\n"
                     "OCEAN__PORT__CLIENT_SECRET=\"two\\nlines # kept\"\n"
                     "HOST=h.example\nOCEAN__PORT__BASE_URL=https://${HOST}/\n"
                     "OCEAN__INTEGRATION__IDENTIFIER='$literal ${HOST}'\n"
                     "OCEAN__INTEGRATION__TYPE=${NONE:-other}\n");
    struct settings *s = load((struct settings_flags){0});
    assert_string_equal(s->client_id, "spaced");
    assert_string_equal(s->client_secret, "two\nlines # kept");
    assert_string_equal(s->base_url, "https://h.example");
    assert_string_equal(s->identifier, "$literal ${HOST}");
    assert_string_equal(s->type, "other");
    assert_null(getenv("HOST"));
    settings_free(s);
}

static void bad_dotenv_names_the_line(void **state)
{
    (void)state;
    put_file(".env", "A=1\nthis is no setting\nB=\"open\n");
    char *p = load_problems((struct settings_flags){0});
    assert_contains(p, ".env:2: expected NAME=value");
    assert_contains(p, ".env:3: B: the quote is not closed");
    free(p);
}

static void value_providers(void **state)
{
    (void)state;
    setenv("PORT_ID", "from-env", 1);
    put_file(".env", "PORT_SECRET=from-dotenv\n");
    put_file("config.yaml",
             "port:\n  clientId: \"{{ from env PORT_ID }}\"\n  clientSecret: '{{ from env PORT_SECRET }}'\n"
             "clientTimeout: '{{ from env ABSENT }}'\n"
             "integration:\n  config:\n    a: 'x{{ from env PORT_ID }}'\n    b: ['{{ from env PORT_ID }}']\n"
             "    c: {d: '{{ from env PORT_ID }}'}\n    e: '{{ from file X }}'\n");
    struct settings *s = load((struct settings_flags){0});
    struct json c = json_root(s->config_raw);
    assert_string_equal(s->client_id, "from-env");
    assert_string_equal(s->client_secret, "from-dotenv");
    assert_int_equal(s->client_timeout_s, 60);
    assert_true(str_is(json_str(json_get_c(c, "a")), "x{{ from env PORT_ID }}"));
    assert_true(str_is(json_str(json_at(json_get_c(c, "b"), 0)), "{{ from env PORT_ID }}"));
    assert_true(str_is(json_str(json_path(c, STR("c.d"))), "from-env"));
    assert_false(json_get_c(c, "e").v);
    settings_free(s);
    put_file("config.yaml", "port:\n  clientId: \"{{ from env PORT_ID }}-tail\"\n");
    char *p = load_problems((struct settings_flags){0});
    assert_contains(p, "port.client_id (from config.yaml:2:");
    assert_contains(p, "{{ from env NAME }}");
    free(p);
}

static void yaml_keys_in_both_spellings(void **state)
{
    (void)state;
    put_file("config.yaml",
             "ssl: {thirdParty: {x509: {strict: false}}}\nscheduled_resync_interval: 90\n"
             "integration:\n  config:\n    apiUrl: https://h/\n    nested: {keepCase: {InnerKey: [1]}}\n");
    struct settings *s = load((struct settings_flags){0});
    struct json c = json_root(s->config_raw);
    assert_true(s->third_no_strict);
    assert_int_equal(s->scheduled_resync_interval_min, 90);
    assert_true(json_get_c(c, "api_url").v != NULL);
    assert_true(json_is_arr(json_path(c, STR("nested.keepCase.InnerKey"))));
    settings_free(s);
}

static void empty_and_odd_yaml(void **state)
{
    (void)state;
    put_file("config.yaml", "\n# nothing\n");
    settings_free(load((struct settings_flags){0}));
    put_file("config.yaml", "- a\n- b\n");
    char *p = load_problems((struct settings_flags){0});
    assert_contains(p, "config.yaml: expected a mapping");
    free(p);
    put_file("config.yaml", "unknownThing: {deep: {er: 1}}\nalsoUnknown: 3\n");
    settings_free(load((struct settings_flags){0}));
}

static void empty_texts_count_as_unset(void **state)
{
    (void)state;
    setenv("OCEAN__SCHEDULED_RESYNC_INTERVAL", "", 1);
    setenv("OCEAN__PORT__BASE_URL", "", 1);
    setenv("OCEAN__INTEGRATION__IDENTIFIER", "", 1);
    setenv("OCEAN__CREATE_PORT_RESOURCES_ORIGIN", "", 1);
    struct settings *s = load((struct settings_flags){0});
    assert_int_equal(s->scheduled_resync_interval_min, 0);
    assert_string_equal(s->base_url, "https://api.getport.io");
    assert_null(s->identifier);
    assert_null(s->create_resources_origin);
    settings_free(s);
}

static void numbers_and_booleans_as_people_write_them(void **state)
{
    static const char *const truths[] = {"1", "true", "TRUE", "on", "Yes", "t", "Y"};
    (void)state;
    for (size_t i = 0; i < sizeof(truths) / sizeof(truths[0]); i++) {
        setenv("OCEAN__INITIALIZE_PORT_RESOURCES", "no", 1);
        setenv("OCEAN__EVENTS_DEBUG_LOGGING", truths[i], 1);
        setenv("OCEAN__CLIENT_TIMEOUT", " 1_0.0 ", 1);
        struct settings *s = load((struct settings_flags){0});
        assert_false(s->initialize_port_resources);
        assert_string_equal(settings_text(s, "events_debug_logging"), "true");
        assert_int_equal(s->client_timeout_s, 10);
        settings_free(s);
    }
}

static void all_problems_at_once_without_secrets(void **state)
{
    (void)state;
    setenv("OCEAN__CLIENT_TIMEOUT", "1.5", 1);
    setenv("OCEAN__EVENT_LISTENER__TYPE", "polling", 1);
    setenv("OCEAN__PORT__BASE_URL", "ftp://x", 1);
    setenv("OCEAN__PORT__CLIENT_SECRET", "hunter2-hunter2", 1);
    setenv("OCEAN__RUNTIME", "hunter2-hunter2", 1);
    setenv("OCEAN__SSL", "[1]", 1);
    put_file("config.yaml", "maxWaitSecondsBeforeShutdown: x\nlive_events: {redis: {enableTls: true}}\n");
    char *p = load_problems((struct settings_flags){.script = "absent"});
    assert_contains(p, "client_timeout (OCEAN__CLIENT_TIMEOUT, from environment): expected an integer of at "
                       "least 1, got \"1.5\"");
    assert_contains(
        p, "event_listener.type (OCEAN__EVENT_LISTENER__TYPE, from environment): expected POLLING, ");
    assert_contains(p, "port.base_url (OCEAN__PORT__BASE_URL");
    assert_contains(p, "ssl (OCEAN__SSL, from environment): expected a JSON object, got array");
    assert_contains(
        p, "max_wait_seconds_before_shutdown (OCEAN__MAX_WAIT_SECONDS_BEFORE_SHUTDOWN, from config.yaml:1:");
    assert_contains(p, "live_events.redis.enable_tls");
    assert_contains(p, "absent: no such file or folder");
    assert_lacks(p, "hunter2");
    free(p);
}

static void script_may_be_a_folder(void **state)
{
    (void)state;
    put_file("jira/integration.lua", "");
    put_file("jira/config.yaml", "clientTimeout: 7\n");
    put_file("empty/x", "");
    put_file("tool.lua", "");
    struct settings *s = load((struct settings_flags){.script = "jira/"});
    assert_string_equal(s->script, "jira/integration.lua");
    assert_string_equal(s->folder, "jira");
    assert_int_equal(s->client_timeout_s, 7);
    settings_free(s);
    put_file("config.yaml", "clientTimeout: 8\n");
    s = load((struct settings_flags){.script = "jira"});
    assert_int_equal(s->client_timeout_s, 8);
    settings_free(s);
    s = load((struct settings_flags){.script = "tool.lua"});
    assert_string_equal(s->folder, ".");
    settings_free(s);
    char *p = load_problems((struct settings_flags){.script = "empty"});
    assert_contains(p, "holds no integration.lua");
    free(p);
    p = load_problems((struct settings_flags){.script = "tool"});
    assert_contains(p, "did you mean tool.lua?");
    free(p);
}

static void limits_of_port_are_kept(void **state)
{
    (void)state;
    setenv("OCEAN__UPSERT_ENTITIES_BATCH_MAX_LENGTH", "500", 1);
    setenv("OCEAN__DELETE_ENTITIES_MAX_BATCH_SIZE", "7", 1);
    setenv("OCEAN__MAX_SHRINK", "12.5%", 1);
    struct settings *s = load((struct settings_flags){0});
    assert_int_equal(s->upsert_max_entities, 20);
    assert_int_equal(s->delete_max_entities, 7);
    assert_true(s->max_shrink_percent == 12.5);
    settings_free(s);
}

static void misspelt_port_variables_are_noticed(void **state)
{
    (void)state;
    setenv("OCEAN__PORT__CLIENTID", "x", 1);
    struct settings *s = load((struct settings_flags){0});
    assert_true(s->any_port_setting);
    assert_null(s->client_id);
    settings_free(s);
    unsetenv("OCEAN__PORT__CLIENTID");
    setenv("OCEAN_PORT_CLIENT_ID", "x", 1);
    s = load((struct settings_flags){0});
    assert_true(s->any_port_setting);
    settings_free(s);
}

static void the_local_catalog_needs_no_credentials(void **state)
{
    (void)state;
    setenv("OCEAN__PORT__CLIENT_ID", "x", 1);
    struct settings *s = load((struct settings_flags){.local_file = "a.db", .state_dir = "st"});
    assert_null(s->client_id);
    assert_string_equal(s->local_file, "a.db");
    assert_string_equal(s->state_dir, "st");
    settings_free(s);
}

#define T(f) cmocka_unit_test_setup_teardown(f, enter_sandbox, leave_sandbox)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(snake_case_follows_the_vectors),
        T(defaults),
        T(environment_beats_dotenv_beats_yaml),
        T(flags_beat_everything),
        T(json_values_of_sections),
        T(nested_variables_merge_with_json_config),
        T(dotenv_syntax),
        T(bad_dotenv_names_the_line),
        T(value_providers),
        T(yaml_keys_in_both_spellings),
        T(empty_and_odd_yaml),
        T(empty_texts_count_as_unset),
        T(numbers_and_booleans_as_people_write_them),
        T(all_problems_at_once_without_secrets),
        T(script_may_be_a_folder),
        T(limits_of_port_are_kept),
        T(misspelt_port_variables_are_noticed),
        T(the_local_catalog_needs_no_credentials),
    };
    return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
