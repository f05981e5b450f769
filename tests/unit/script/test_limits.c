/* Limits: endless loops of every kind end and name their line, memory is capped, dangerous corners are off; whatever
 * happens the process and the other handlers go on. */
#include <sys/wait.h>

#include "script/watchdog.h"
#include "unit/script/support.h"

#define CPU 0.15

/* The second handler still runs after the first was stopped. */
static void expect_stopped(const char *body, const char *line)
{
    char *script = xasprintf("ocean.on_resync('k', function(kind)\n%s\nend)\n"
                             "ocean.on_resync('k', function() return {{after = 1}} end)\n",
                             body);
    struct rig *r = rig_new(script, 0, CPU);
    free(script);
    assert_int_equal(r->load_error.code, 0);
    rig_run(r, "k");
    assert_has(errors(r), line);
    assert_has(errors(r), "of CPU time without waiting, over its limit of 0.15 s (--lua-cpu)");
    assert_int_equal(r->sink.nerrors, 1);
    assert_string_equal(batches(r), "list [{\"after\":1}]\n");
    rig_free(r);
}

static void plain_loop(void **state)
{
    (void)state;
    expect_stopped("local x = 0\nwhile true do x = x + 1 end", "s.lua:3: ");
}

static void loop_in_pcall(void **state)
{
    (void)state;
    expect_stopped("while true do pcall(function()\n while true do end\n end) end", "s.lua:3: ");
    expect_stopped("pcall(function() while true do end end)\nocean.yield({{never = 1}})", "s.lua:2: ");
    expect_stopped("while true do pcall(error) end", "s.lua:2: ");
}

static void loop_in_xpcall(void **state)
{
    (void)state;
    expect_stopped("while true do xpcall(function()\n while true do end\n end, function() while true do end end) end",
                   "s.lua:3: ");
    expect_stopped("xpcall(error, function()\n while true do end end)", "s.lua:3: ");
}

static void loop_in_metamethod(void **state)
{
    (void)state;
    expect_stopped("local t = setmetatable({}, {__index = function()\n while true do end end})\nreturn t.x",
                   "s.lua:3: ");
    expect_stopped("local t = setmetatable({}, {__tostring = function()\n while true do end end})\nreturn tostring(t)",
                   "s.lua:3: ");
    expect_stopped("local x <close> = setmetatable({}, {__close = function()\n while true do end end})", "s.lua:3: ");
}

static void loop_in_comparator(void **state)
{
    (void)state;
    expect_stopped("table.sort({3, 1, 2}, function()\n while true do end end)", "s.lua:3: ");
    expect_stopped("while true do pcall(table.sort, {3, 1, 2}, function()\n while true do end end) end", "s.lua:3: ");
    expect_stopped("table.sort({3, 1, 2}, function() while true do\n pcall(function() while true do end end) end end)",
                   "s.lua:3: ");
    expect_stopped("string.gsub('abc', '%w', function()\n while true do end end)", "s.lua:3: ");
}

static void loop_in_coroutines(void **state)
{
    (void)state;
    expect_stopped("local co = coroutine.wrap(function()\n while true do end end)\nwhile true do pcall(co) end",
                   "s.lua:3: ");
    expect_stopped("while true do coroutine.resume(coroutine.create(function()\n while true do end end)) end",
                   "s.lua:3: ");
    expect_stopped("table.sort({3, 1, 2}, function() while true do\n"
                   "  coroutine.resume(coroutine.create(function() while true do end end)) end end)",
                   "s.lua:3: ");
}

/* What a stopped handler left to close is not run for ever either. */
static void loop_with_closers(void **state)
{
    (void)state;
    expect_stopped("local x <close> = setmetatable({}, {__close = function() while true do end end})\n"
                   "while true do end",
                   "s.lua:3: ");
    expect_stopped("coroutine.wrap(function()\n"
                   "local x <close> = setmetatable({}, {__close = function() while true do pcall(error) end end})\n"
                   "while true do end end)()",
                   "s.lua:4: ");
}

static void freed_in_a_loop(void **state)
{
    (void)state;
    struct rig *r = rig_loaded("ocean.on_resync('k', function() coroutine.wrap(function()\n"
                               "local x <close> = setmetatable({}, {__close = function() end})\n"
                               "while true do end end)() end)");
    rig_start(r, "k");
    for (int i = 0; i < 20; i++)
        loop_turn(r->loop, false);
    rig_free(r);
}

static void loop_in_error_text(void **state)
{
    (void)state;
    struct rig *r = rig_new("ocean.on_resync('k', function()\n"
                            "error(setmetatable({}, {__tostring = function() while true do end end})) end)",
                            0, CPU);
    rig_run(r, "k");
    assert_int_equal(r->sink.nerrors, 1);
    rig_free(r);
}

static void loop_in_main_chunk(void **state)
{
    (void)state;
    struct rig *r = rig_new("local x\nwhile true do x = 1 end", 0, CPU);
    assert_has(r->load_error.msg, "s.lua:2: the script used");
    rig_free(r);
}

/* A slice ends, the loop turns, timers of others fire; the result is not disturbed. */
static void count_tick(void *arg) { (*(int *)arg)++; }

static void slices_let_the_loop_turn(void **state)
{
    (void)state;
    struct rig *r = rig_loaded("ocean.on_resync('k', function()\n"
                               "  local function sum(n) local s = 0 for i = 1, n do s = s + i % 3 end return s end\n"
                               "  local co = coroutine.wrap(function() coroutine.yield(sum(30000000)) end)\n"
                               "  local a, b = co(), sum(30000000)\n"
                               "  ocean.yield({{same = a == b}}) end)");
    int ticks = 0;
    struct timer *t = timer_start(r->loop, 1, 1, count_tick, &ticks);
    rig_run(r, "k");
    timer_stop(t);
    assert_string_equal(errors(r), "");
    assert_string_equal(batches(r), "[{\"same\":true}]\n");
    assert_true(ticks > 3);
    rig_free(r);
}

static void waits_reset_the_limit(void **state)
{
    (void)state;
    struct rig *r =
        rig_new("ocean.on_resync('k', function()\n"
                "  for i = 1, 6 do local x = os.clock() while os.clock() - x < 0.05 do end ocean.sleep(0) end\n"
                "  return {{ok = 1}} end)",
                0, 0.2);
    rig_run(r, "k");
    assert_string_equal(errors(r), "");
    rig_free(r);
}

/* Memory ------------------------------------------------------------------------------------------------- */

static void expect_out_of_memory(const char *body, const char *part)
{
    char *script = xasprintf("ocean.on_resync('k', function(kind)\n%s\nend)\n"
                             "ocean.on_resync('k', function() local t = {} for i = 1, 100000 do t[i] = {i} end\n"
                             "  return {{after = #t}} end)\n",
                             body);
    struct rig *r = rig_new(script, (size_t)24 << 20, 5);
    free(script);
    rig_run(r, "k");
    assert_has(errors(r), part);
    assert_int_equal(r->sink.nerrors, 1);
    assert_string_equal(batches(r), "list [{\"after\":100000}]\n");
    rig_free(r);
}

static void memory_bomb(void **state)
{
    (void)state;
    expect_out_of_memory("local t = {}\nfor i = 1, 1e9 do\n t[i] = {i} end", "s.lua:4: not enough memory");
    expect_out_of_memory("local s = 'x'\nwhile true do s = s .. s end", "s.lua:3: not enough memory");
    expect_out_of_memory(
        "local function f()\n return f() + 1 end\nlocal t = {} while true do t[#t + 1] = {pcall(f)} end",
        "not enough memory");
    expect_out_of_memory(
        "keep = {} while true do pcall(function() local t = {}\nwhile true do t[#t + 1] = {} end end) end",
        "s.lua:3: not enough memory: the script went on although");
    expect_out_of_memory("return string.rep('x', 1 << 40)", "s.lua:2: string.rep: the result would be larger than");
    expect_out_of_memory("return table.concat({}, 'x', 1, 1 << 40)", "table.concat: ");
    expect_out_of_memory("return table.move({}, 1, 1 << 40, 2)", "table.move: ");
    expect_out_of_memory("return table.unpack({}, 1, 1 << 40)", "table.unpack: ");
}

static void documents_count(void **state)
{
    (void)state;
    /* held documents are charged, dropped ones are collected in time */
    expect_out_of_memory("local text = '[\"' .. ('x'):rep(1 << 20) .. '\"]'\nlocal keep = {}\n"
                         "for i = 1, 100 do\n keep[i] = ocean.json.decode(text) end",
                         "s.lua:5: not enough memory: a document of");
    struct rig *r = rig_new("ocean.on_resync('k', function() local text = '[\"' .. ('x'):rep(1 << 20) .. '\"]'\n"
                            "for i = 1, 200 do local v = ocean.json.decode(text) end return {} end)",
                            (size_t)24 << 20, 5);
    rig_run(r, "k");
    assert_string_equal(errors(r), "");
    rig_free(r);
}

/* Corners ------------------------------------------------------------------------------------------------ */

static void dangerous_corners(void **state)
{
    (void)state;
    expect_error("setmetatable({}, {__gc = function() end})", "s.lua:2: setmetatable: __gc is not available");
    expect_error("os.exit(0)", "os.exit is not available");
    expect_error("os.setlocale('C')", "os.setlocale");
    expect_error("assert(load(string.dump(function() end)))", "attempt to load a binary chunk");
    expect_error("assert(load(string.dump(function() end), 'x', 'b'))", "only Lua source is loaded here");
    expect_error("assert(load(string.dump(function() end), 'x', 'bt'))", "attempt to load a binary chunk");
    expect_batches("local n = {} for k in pairs(debug) do n[#n + 1] = k end table.sort(n)\n"
                   "ocean.yield({{n = table.concat(n, ' '), req = require('debug') == debug,\n"
                   "  mt = tostring(getmetatable(io.stdout))}})",
                   "[{\"mt\":\"FILE*\",\"n\":\"getinfo traceback\",\"req\":true}]\n");
    expect_error("error(select(2, coroutine.resume((coroutine.running()))), 0)",
                 "cannot resume non-suspended coroutine");
}

static void bytecode_files(void **state)
{
    (void)state;
    struct rig *r = rig_loaded(
        "local dir = debug.getinfo(1, 'S').source:match('^@(.*)/')\n"
        "local function put(name, text) local f = io.open(dir .. '/' .. name, 'wb') f:write(text) f:close() end\n"
        "put('bin.lua', string.dump(function() return 1 end)) put('txt.lua', 'return {v = 5}')\n"
        "ocean.on_resync('k', function()\n"
        "  local r = {require = select(2, pcall(require, 'bin')), loadfile = select(2, loadfile(dir .. '/bin.lua')),\n"
        "    dofile = select(2, pcall(dofile, dir .. '/bin.lua')), text = require('txt').v}\n"
        "  os.remove(dir .. '/bin.lua') os.remove(dir .. '/txt.lua') return {r} end)");
    rig_run(r, "k");
    const char *text = batches(r);
    for (int i = 0; i < 3; i++) {
        text = strstr(text, "attempt to load a binary chunk");
        assert_non_null(text);
        text++;
    }
    assert_has(batches(r), "\"text\":5");
    rig_free(r);
}

/* A call that no hook can stop ends the process, with the script's line; one that blocks gets a warning. In children.
 */
static void run_child(const char *body, int *ret_status, char *text, size_t cap)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fds[1], STDERR_FILENO);
        close(fds[0]);
        watchdog_limits(300, 200);
        setenv("TEST_LOG", "warning", 1);
        struct rig *r = rig_handler(body);
        rig_free(r);
        _exit(0);
    }
    close(fds[1]);
    size_t n = 0;
    ssize_t k;
    while (n + 1 < cap && (k = read(fds[0], text + n, cap - 1 - n)) > 0)
        n += (size_t)k;
    text[n] = 0;
    close(fds[0]);
    waitpid(pid, ret_status, 0);
}

static void watchdog(void **state)
{
    int status;
    char text[8192];
    (void)state;
    run_child("local s = ('a'):rep(60)\n return s:find(('a*'):rep(30) .. 'b')", &status, text, sizeof(text));
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    assert_has(text, "s.lua:3: one call has used more than 0.3 s of CPU and cannot be interrupted");
    run_child("os.execute('sleep 1.5')", &status, text, sizeof(text));
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_has(text, "s.lua:2: a call has blocked the whole process for more than 0.2 s");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_loop),
        cmocka_unit_test(loop_in_pcall),
        cmocka_unit_test(loop_in_xpcall),
        cmocka_unit_test(loop_in_metamethod),
        cmocka_unit_test(loop_in_comparator),
        cmocka_unit_test(loop_in_coroutines),
        cmocka_unit_test(loop_with_closers),
        cmocka_unit_test(freed_in_a_loop),
        cmocka_unit_test(loop_in_error_text),
        cmocka_unit_test(loop_in_main_chunk),
        cmocka_unit_test(slices_let_the_loop_turn),
        cmocka_unit_test(waits_reset_the_limit),
        cmocka_unit_test(memory_bomb),
        cmocka_unit_test(documents_count),
        cmocka_unit_test(dangerous_corners),
        cmocka_unit_test(bytecode_files),
        cmocka_unit_test(watchdog),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
