/* Runs every script in tests/lua, which must load without an error. Started from the root of the project. */
#include <glob.h>

#include "unit/script/support.h"

static void lua_scripts(void **state)
{
    glob_t g;
    (void)state;
    if (glob("tests/lua/*.lua", 0, NULL, &g) != 0)
        fail_msg("no tests/lua/*.lua here: start this test from the project's root");
    for (size_t i = 0; i < g.gl_pathc; i++) {
        struct rig *r = rig_file(g.gl_pathv[i]);
        if (r->load_error.code)
            fail_msg("%s: %s", g.gl_pathv[i], r->load_error.msg);
        rig_free(r);
    }
    globfree(&g);
}

/* Memory that runs out anywhere, from the start of the state on, ends in an error, never in a crash. */
static void memory_runs_out_anywhere(void **state)
{
    static const char script[] =
        "ocean.on_resync('k', function() local page = ocean.json.decode('[{\"a\":[1,{\"b\":2}]},{\"c\":\"x\"}]')\n"
        "  for i, r in ipairs(page) do r.n = {i} end table.insert(page, {z = 1}) ocean.yield(page)\n"
        "  local co = coroutine.wrap(function() for i = 1, 3 do ocean.sleep(0) coroutine.yield({{i = i}}) end end)\n"
        "  pcall(function() local t = {} for i = 1, 300 do t[i] = ('x'):rep(i) end end)\n"
        "  local c = ocean.http.client {base_url = 'http://127.0.0.1:1', retry = false} pcall(c.get, c, '/x')\n"
        "  return co end)\n";
    size_t good = 0, bad = 0;
    (void)state;
    log_set_level("off");
    for (size_t limit = 4000; limit < 600000; limit += limit < 100000 ? 1733 : 3001) {
        struct rig *r = rig_try(script, limit);
        if (!r) {
            bad++;
            continue;
        }
        if (!r->load_error.code) {
            rig_run(r, "k");
            if (r->sink.nerrors == 0)
                good++;
            else
                bad++;
        } else {
            bad++;
        }
        rig_free(r);
    }
    assert_true(good > 0);
    assert_true(bad > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lua_scripts),
        cmocka_unit_test(memory_runs_out_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
