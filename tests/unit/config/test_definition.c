/* The .port folder, ocean.define, identity and integration.config (runtime sections 2.8, 2.9, 3). */
#include "support.h"

static struct definition *load_definition(const struct settings *s)
{
    struct definition *d = definition_new();
    struct err e = {0};
    if (definition_load(d, s, &e) < 0)
        fail_msg("%s", e.msg);
    return d;
}

static void refuse_definition(const char *const *parts, size_t n)
{
    struct settings *s = load((struct settings_flags){0});
    struct definition *d = definition_new();
    struct err e = {0};
    assert_int_equal(definition_load(d, s, &e), ERR_CONFIG);
    for (size_t i = 0; i < n; i++)
        assert_contains(e.msg, parts[i]);
    definition_free(d);
    settings_free(s);
}
#define refuse_with(...)                                                                                     \
    refuse_definition((const char *const[]){__VA_ARGS__},                                                    \
                      sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static int add(struct definition *d, const char *text, struct err *e)
{
    struct json_doc *doc = NULL;
    assert_int_equal(json_parse(str_of(text), &doc, e), 0);
    int rc = definition_add(d, json_root(doc), "ocean.define at x.lua:3", e);
    json_unref(doc);
    return rc;
}

static void a_whole_folder(void **state)
{
    (void)state;
    put_file(".port/spec.yaml",
             "type: jira\nconfigurations:\n  - name: apiToken\n    type: string\n    required: true\n");
    put_file(".port/resources/blueprints.json", "[{\"identifier\":\"a\",\"schema\":{\"properties\":{}}}]");
    put_file(".port/resources/port-app-config.yml",
             "resources:\n  - kind: k\n    port:\n      entity:\n        mappings:\n"
             "          identifier: .id\n          blueprint: '\"a\"'\n");
    put_file(".port/resources/scorecards.json", "[{\"blueprint\":\"a\",\"data\":[]}]");
    put_file(".port/resources/.gitignore", "x");
    struct settings *s = load((struct settings_flags){0});
    struct definition *d = load_definition(s);
    assert_non_null(d->spec);
    assert_int_equal(json_len(json_root(d->blueprints)), 1);
    assert_string_equal(d->mapping_from, ".port/resources/port-app-config.yml");
    assert_non_null(d->scorecards);
    assert_false(d->mapping_inline);
    definition_free(d);
    settings_free(s);
}

static void problems_name_file_line_and_column(void **state)
{
    (void)state;
    put_file(
        ".port/spec.yaml",
        "configurations:\n  - name: a\n    type: strin\n  - name: b\n    type: integer\n    default: x\n");
    put_file(".port/resources/port-app-config.yml",
             "resources:\n  - kind: k\n    port:\n      entity:\n        mappings:\n"
             "          identifier: .id\n          blueprint: [a]\n");
    put_file(".port/resources/blueprints.yaml", "- identifier: a\n- identifier: a\n- title: x\n");
    refuse_with(".port/spec.yaml:3:11: configurations[0].type",
                ".port/spec.yaml:6:14: configurations[1].default",
                ".port/resources/blueprints.yaml:2:3: blueprints[1]: the identifier \"a\" is given twice");
    unlink(".port/spec.yaml");
    unlink(".port/resources/blueprints.yaml");
    refuse_with(".port/resources/port-app-config.yml:7:22: resources[0].port.entity.mappings.blueprint: "
                "expected a jq expression");
}

static void odd_files(void **state)
{
    (void)state;
    put_file(".port/resources/blueprints.toml", "");
    refuse_with("blueprints.toml: expected a file blueprints.json");
    unlink(".port/resources/blueprints.toml");
    put_file(".port/resources/blueprints.json", "[]");
    put_file(".port/resources/blueprints.yml", "[]");
    refuse_with("keep one of them");
    unlink(".port/resources/blueprints.yml");
    put_file(".port/resources/blueprints.json", "{\"a\":1}");
    refuse_with("blueprints: expected a list of blueprints");
}

static void folder_of_the_script_is_the_fallback(void **state)
{
    (void)state;
    put_file("jira/integration.lua", "");
    put_file("jira/.port/spec.yaml", "type: fromspec\n");
    put_file("jira/pyproject.toml",
             "[tool.other]\nname = 'no'\n[tool.poetry]\nname = \"Jira-Proj\"\nversion = \"1.2.3\" # x\n");
    struct settings *s = load((struct settings_flags){.script = "jira"});
    struct definition *d = load_definition(s);
    char *type, *id, *version;
    assert_int_equal(definition_identity(d, s, &type, &id, &version, NULL), 0);
    assert_string_equal(type, "jira-proj");
    assert_string_equal(id, "my-jira-proj-integration");
    assert_string_equal(version, "1.2.3");
    free(type);
    free(id);
    free(version);
    definition_free(d);
    settings_free(s);
}

static void identity_in_order(void **state)
{
    (void)state;
    put_file("My Tool.lua", "");
    put_file("Thing/integration.lua", "");
    char *type, *id, *version;
    const struct {
        const char *script, *define, *env_type, *type, *id, *version;
    } rows[] = {
        {"My Tool.lua", NULL, NULL, "my-tool", "my-my-tool-integration", "0.0.0"},
        {"Thing", NULL, NULL, "thing", "my-thing-integration", "0.0.0"},
        {"Thing", "{\"type\":\"Declared\",\"version\":\"2\"}", NULL, "declared", "my-declared-integration",
         "2"},
        {"Thing", "{\"type\":\"Declared\"}", "SET", "set", "my-set-integration", "0.0.0"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].env_type)
            setenv("OCEAN__INTEGRATION__TYPE", rows[i].env_type, 1);
        struct settings *s = load((struct settings_flags){.script = rows[i].script});
        struct definition *d = load_definition(s);
        struct err e;
        if (rows[i].define)
            assert_int_equal(add(d, rows[i].define, &e), 0);
        assert_int_equal(definition_identity(d, s, &type, &id, &version, &e), 0);
        assert_string_equal(type, rows[i].type);
        assert_string_equal(id, rows[i].id);
        assert_string_equal(version, rows[i].version);
        free(type);
        free(id);
        free(version);
        definition_free(d);
        settings_free(s);
    }
}

static void inline_definition(void **state)
{
    (void)state;
    struct definition *d = definition_new();
    struct err e = {0};
    assert_int_equal(add(d,
                         "{\"blueprints\":[{\"identifier\":\"a\",\"schema\":{\"properties\":{\"enum\":{}},"
                         "\"required\":{}}}],"
                         "\"mapping\":{\"resources\":{}},\"config\":{}}",
                         &e),
                     0);
    struct json b = json_at(json_root(d->blueprints), 0);
    assert_true(json_is_arr(json_path(b, STR("schema.required"))));
    assert_true(json_is_obj(json_path(b, STR("schema.properties.enum"))));
    assert_true(json_is_arr(json_get_c(json_root(d->mapping), "resources")));
    assert_true(d->mapping_inline && d->blueprints_inline && d->config_inline);
    assert_int_equal(add(d, "{\"mapping\":{}}", &e), ERR_CONFIG);
    assert_contains(e.msg, "given here and in ocean.define at x.lua:3");
    assert_int_equal(add(d, "{\"maping\":{}}", &e), ERR_CONFIG);
    assert_contains(e.msg, "did you mean \"mapping\"?");
    definition_free(d);
    d = definition_new();
    assert_int_equal(add(d, "{\"mapping\":{\"resources\":[{\"kind\":\"k\"}]}}", &e), ERR_CONFIG);
    assert_contains(e.msg, "ocean.define at x.lua:3: resources[0]: \"port\" is missing");
    definition_free(d);
}

static struct json_doc *configure(const char *spec, char **ret_problems)
{
    struct settings *s = load((struct settings_flags){0});
    if (spec)
        put_file(".port/spec.yaml", spec);
    struct definition *d = load_definition(s);
    struct json_doc *doc = NULL;
    struct buf problems;
    struct err e = {0};
    buf_init(&problems, 1 << 20);
    int rc = definition_config(d, s, &doc, &problems, &e);
    if (ret_problems) {
        assert_int_equal(rc, ERR_CONFIG);
        *ret_problems = buf_take(&problems, NULL);
    } else if (rc < 0) {
        fail_msg("%s", e.msg);
    }
    buf_done(&problems);
    definition_free(d);
    settings_free(s);
    return doc;
}

static void assert_json(struct json_doc *d, const char *text)
{
    struct buf out;
    buf_init(&out, BUF_NO_LIMIT);
    json_write(&out, json_root(d));
    assert_string_equal(buf_cstr(&out), text);
    buf_done(&out);
    json_unref(d);
}

static void config_values_by_type(void **state)
{
    (void)state;
    setenv("OCEAN__INTEGRATION__CONFIG__PAGE_SIZE", " 5.0", 1);
    setenv("OCEAN__INTEGRATION__CONFIG__API2URL", "https://h/p//", 1);
    setenv("OCEAN__INTEGRATION__CONFIG__FLAG", "Yes", 1);
    setenv("OCEAN__INTEGRATION__CONFIG__MAP", "{\"a\":[1.10]}", 1);
    setenv("OCEAN__INTEGRATION__CONFIG__LIST", "[]", 1);
    setenv("OCEAN__INTEGRATION__CONFIG__UNDECLARED", "x", 1);
    setenv("OCEAN__INTEGRATION__CONFIG__ABC", "y", 1);
    put_file("config.yaml", "integration:\n  config:\n    text: 12\n    rate: 0.5\n    nothing: null\n");
    assert_json(
        configure(
            "configurations:\n"
            "- {name: pageSize, type: integer, required: true}\n- {name: api2Url, type: url}\n"
            "- {name: flag, type: boolean}\n- {name: map, type: object}\n- {name: list, type: array}\n"
            "- {name: text, type: string}\n- {name: rate, type: number}\n- {name: nothing, type: string}\n"
            "- {name: absent, type: integer}\n- {name: preset, type: boolean, default: 'true', required: "
            "true}\n"
            "- {name: ABC, type: string}\n",
            NULL),
        "{\"page_size\":5,\"api2_url\":\"https://h/p\",\"flag\":true,\"map\":{\"a\":[1.10]},\"list\":[],"
        "\"text\":\"12\",\"rate\":0.5,\"nothing\":null,\"absent\":null,\"preset\":true,\"ABC\":\"y\"}");
}

static void config_problems_all_at_once(void **state)
{
    (void)state;
    char *p = NULL;
    setenv("OCEAN__INTEGRATION__CONFIG__PAGE_SIZE", "1.5", 1);
    setenv("OCEAN__INTEGRATION__CONFIG__SECRET", "letmein-letmein", 1);
    setenv("OCEAN__INTEGRATION__CONFIG__URL", "/", 1);
    configure("configurations:\n- {name: pageSize, type: integer}\n- {name: apiToken, type: string, "
              "required: true}\n"
              "- {name: secret, type: integer, sensitive: true}\n- {name: url, type: url}\n",
              &p);
    assert_contains(p,
                    "integration.config.page_size (OCEAN__INTEGRATION__CONFIG__PAGE_SIZE, from environment): "
                    "expected an integer, got \"1.5\"");
    assert_contains(p, "integration.config.api_token (OCEAN__INTEGRATION__CONFIG__API_TOKEN): is required");
    assert_contains(p, "integration.config.secret");
    assert_contains(p, "integration.config.url");
    assert_lacks(p, "letmein");
    free(p);
}

static void without_a_spec_the_config_is_raw(void **state)
{
    (void)state;
    put_file("config.yaml", "integration: {config: {aB: 1, deep: {cD: x}}}\n");
    assert_json(configure(NULL, NULL), "{\"a_b\":1,\"deep\":{\"cD\":\"x\"}}");
}

static void saas_needs_a_fitting_spec(void **state)
{
    (void)state;
    char *p = NULL;
    setenv("OCEAN__RUNTIME", "Saas", 1);
    configure(NULL, &p);
    assert_contains(p, "OCEAN__RUNTIME");
    free(p);
    configure("saas: {enabled: false}\n", &p);
    assert_contains(p, "saas.enabled: false");
    free(p);
    json_unref(configure("title: x\n", NULL));
}

#define T(f) cmocka_unit_test_setup_teardown(f, enter_sandbox, leave_sandbox)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_whole_folder),
        T(problems_name_file_line_and_column),
        T(odd_files),
        T(folder_of_the_script_is_the_fallback),
        T(identity_in_order),
        T(inline_definition),
        T(config_values_by_type),
        T(config_problems_all_at_once),
        T(without_a_spec_the_config_is_raw),
        T(saas_needs_a_fitting_spec),
    };
    return cmocka_run_group_tests_name("definition", tests, NULL, NULL);
}
