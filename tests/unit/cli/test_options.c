/* The command line: what is accepted, what is refused. Messages go to stderr, which is not looked at here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "cli/environment.h"
#include "cli/options.h"

static int parse(struct run_options *o, int n, const char **words) { return options_parse_run(n, (char **)words, o); }

static void test_script_and_flags(void **state)
{
    (void)state;
    struct run_options o;
    const char *words[] = {"--once", "--local=a.db", "--state", "dir", "--kind", "a", "--kind", "b", "x.lua", "--json"};
    assert_int_equal(parse(&o, 10, words), 0);
    assert_true(o.flags.once);
    assert_true(o.json);
    assert_string_equal(o.flags.local_file, "a.db");
    assert_string_equal(o.flags.state_dir, "dir");
    assert_string_equal(o.flags.script, "x.lua");
    assert_int_equal(o.nkinds, 2);
    assert_string_equal(o.kinds[1], "b");
    assert_true(o.max_shrink_percent < 0);
}

static void test_refused(void **state)
{
    (void)state;
    struct run_options o;
    const char *cases[][3] = {{"--onec", "x.lua", NULL},     {"x.lua", "y.lua", NULL},       {"x.lua", "--local", NULL},
                              {"--once=1", "x.lua", NULL},   {"--max-shrink", "200", NULL},  {"--once", NULL, NULL},
                              {"--max-shrink=x", "x.lua", NULL}, {"--plan", "x.lua", NULL},
                              {"--accept-plan", "x.lua", NULL},  {"--accept-plan=0123456789abcdef012", "x.lua", NULL},
                              {"--accept-plan=0123456789ABCDEF0123", "x.lua", NULL}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int n = 0;
        while (n < 3 && cases[i][n])
            n++;
        assert_int_equal(parse(&o, n, cases[i]), -1);
    }
}

static void test_plan(void **state)
{
    (void)state;
    struct run_options o;
    const char *plan[] = {"--once", "--plan", "x.lua"}, *accept[] = {"--accept-plan", "0123456789abcdef0123", "x.lua"};
    assert_int_equal(parse(&o, 3, plan), 0);
    assert_true(o.plan && !o.accept_plan);
    assert_int_equal(parse(&o, 3, accept), 0);
    assert_true(!o.plan && !strcmp(o.accept_plan, "0123456789abcdef0123"));
    const char *both[] = {"--once", "--plan", "--accept-plan=0123456789abcdef0123", "x.lua"};
    assert_int_equal(parse(&o, 4, both), -1);
}

static void test_catalog(void **state)
{
    (void)state;
    struct catalog_options o;
    char *show[] = {"show", "service", "pay", "--json"};
    assert_int_equal(options_parse_catalog(4, show, &o), 0);
    assert_string_equal(o.blueprint, "service");
    assert_string_equal(o.identifier, "pay");
    assert_true(o.json);
    char *alone[] = {"show"}, *more[] = {"list", "x"}, *unknown[] = {"liste"};
    assert_int_equal(options_parse_catalog(1, alone, &o), -1);
    assert_int_equal(options_parse_catalog(2, more, &o), -1);
    assert_int_equal(options_parse_catalog(1, unknown, &o), -1);
    assert_int_equal(options_parse_catalog(0, NULL, &o), -1);
}

static void test_host_port(void **state)
{
    (void)state;
    char host[16];
    int port;
    assert_true(options_host_port("127.0.0.1:0", host, sizeof(host), &port));
    assert_string_equal(host, "127.0.0.1");
    assert_int_equal(port, 0);
    assert_false(options_host_port("localhost", host, sizeof(host), &port));
    assert_false(options_host_port(":80", host, sizeof(host), &port));
    assert_false(options_host_port("h:70000", host, sizeof(host), &port));
    assert_false(options_host_port("a-host-name-too-long-for-it:80", host, sizeof(host), &port));
}

static bool holds(char **env, const char *name)
{
    for (char **e = env; *e; e++)
        if (!strncmp(*e, name, strlen(name)) && (*e)[strlen(name)] == '=')
            return true;
    return false;
}

/* Mapping expressions may see the environment, but no credentials (design.md section 5). */
static void test_environment(void **state)
{
    (void)state;
    struct definition *d = definition_new();
    struct err e = {0};
    assert_int_equal(json_parse(STR("{\"configurations\":[{\"name\":\"apiToken\",\"type\":\"string\",\"sensitive\":true},"
                                    "{\"name\":\"host\",\"type\":\"url\"}]}"),
                                &d->spec, &e),
                     0);
    setenv("OCEAN__PORT__CLIENT_SECRET", "x", 1);
    setenv("ocean__port__client_id", "x", 1);
    setenv("OCEAN__INTEGRATION__CONFIG__API_TOKEN", "x", 1);
    setenv("OCEAN__INTEGRATION__CONFIG__HOST", "x", 1);
    setenv("OCEAN__INTEGRATION__CONFIG", "{}", 1);
    setenv("REGION", "x", 1);
    char **env = environment_for_mapping(d);
    assert_true(holds(env, "REGION"));
    assert_true(holds(env, "OCEAN__INTEGRATION__CONFIG__HOST"));
    assert_false(holds(env, "OCEAN__INTEGRATION__CONFIG__API_TOKEN"));
    assert_false(holds(env, "OCEAN__INTEGRATION__CONFIG"));
    assert_false(holds(env, "OCEAN__PORT__CLIENT_SECRET"));
    assert_false(holds(env, "ocean__port__client_id"));
    environment_free(env);
    definition_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_script_and_flags), cmocka_unit_test(test_refused),     cmocka_unit_test(test_catalog),
        cmocka_unit_test(test_host_port),        cmocka_unit_test(test_environment), cmocka_unit_test(test_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
