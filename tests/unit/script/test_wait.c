/* Waiting: everywhere Lua can yield, with a clear refusal where it cannot; batches and back-pressure; cancellation. */
#include "unit/script/support.h"

static void waits_in_pcall(void **state)
{
    (void)state;
    expect_batches("local ok, v = pcall(function() ocean.sleep(0.001) return 7 end)\n"
                   "ocean.yield({{ok = ok, v = v}})",
                   "[{\"ok\":true,\"v\":7}]\n");
    expect_batches("local ok, v = xpcall(function() ocean.sleep(0.001) error('boom', 0) end,\n"
                   "  function(m) return 'handled ' .. m end)\n"
                   "ocean.yield({{v = v}})",
                   "[{\"v\":\"handled boom\"}]\n");
}

static void waits_in_iterators_and_metamethods(void **state)
{
    (void)state;
    expect_batches(
        "local function iter(_, i) ocean.sleep(0.001) if i < 3 then return i + 1 end end\n"
        "local n = 0 for i in iter, nil, 0 do n = n + i end\n"
        "local t = setmetatable({}, {__index = function(_, k) ocean.sleep(0.001) return k .. '!' end,\n"
        "  __add = function() ocean.sleep(0.001) return 40 end,\n"
        "  __call = function(_, x) ocean.sleep(0.001) return x end})\n"
        "ocean.yield({{n = n}}) ocean.yield({{i = t.a}}) ocean.yield({{s = t + 1}}) ocean.yield({{c = t(5)}})",
        "[{\"n\":6}]\n[{\"i\":\"a!\"}]\n[{\"s\":40}]\n[{\"c\":5}]\n");
}

static void waits_in_user_coroutines(void **state)
{
    (void)state;
    expect_batches("local gen = coroutine.wrap(function()\n"
                   "  for i = 1, 3 do ocean.sleep(0.001) coroutine.yield(i) end\n"
                   "end)\n"
                   "for i in gen do ocean.yield({{i = i}}) end",
                   "[{\"i\":1}]\n[{\"i\":2}]\n[{\"i\":3}]\n");
    /* nested, with resume, arguments and results, and a batch handed over from the innermost */
    expect_batches("local inner = coroutine.create(function(a)\n"
                   "  ocean.yield({{a = a}}) ocean.sleep(0.001)\n"
                   "  local b = coroutine.yield(a + 1) ocean.sleep(0.001) return b * 2 end)\n"
                   "local outer = coroutine.wrap(function()\n"
                   "  local _, x = coroutine.resume(inner, 1) coroutine.yield(x)\n"
                   "  local ok, y = coroutine.resume(inner, 10) coroutine.yield(y)\n"
                   "  coroutine.yield(coroutine.status(inner)) end)\n"
                   "ocean.yield({{x = outer(), y = outer(), z = outer()}})",
                   "[{\"a\":1}]\n[{\"x\":2,\"y\":20,\"z\":\"dead\"}]\n");
}

static void waiting_coroutine_is_protected(void **state)
{
    (void)state;
    /* Two handlers share a coroutine: while it waits for the first, the second may not touch it. */
    struct rig *r = rig_loaded("shared = coroutine.create(function() ocean.sleep(0.05) coroutine.yield(1) end)\n"
                               "ocean.on_start(function()\n"
                               "  local ok, m = pcall(coroutine.resume, shared) resumed = m\n"
                               "  ok, m = pcall(coroutine.close, shared) closed = m\n"
                               "  status = coroutine.status(shared) end)\n"
                               "ocean.on_resync('k', function() coroutine.resume(shared)\n"
                               "  ocean.yield({{r = resumed, c = closed, s = status}}) end)\n");
    rig_start(r, "k");
    for (int i = 0; i < 5; i++)
        loop_turn(r->loop, false);
    vm_start(r->vm, r->event);
    turn_until(r, &r->sink.done);
    assert_has(batches(r), "coroutine.resume: this coroutine waits inside a call of the ocean library");
    assert_has(batches(r), "coroutine.close: this coroutine waits inside a call of the ocean library");
    assert_has(batches(r), "\"s\":\"normal\"");
    rig_free(r);
}

static void refuses_where_lua_cannot_yield(void **state)
{
    (void)state;
    expect_error("table.sort({3, 1, 2}, function(a, b) ocean.sleep(0) return a < b end)",
                 "s.lua:2: ocean.sleep cannot wait inside a table.sort comparator: fetch what the comparison needs");
    expect_error("string.gsub('abc', '%w', function(c) ocean.sleep(0) return c end)",
                 "ocean.sleep cannot wait inside a string.gsub callback: collect the matches");
    expect_error("tostring(setmetatable({}, {__tostring = function() ocean.sleep(0) return '' end}))",
                 "cannot wait inside a __tostring metamethod");
    expect_error("error(select(2, load(function() ocean.sleep(0) end)), 0)",
                 "cannot wait inside a reader function of load");
    expect_error("xpcall(error, function() ocean.sleep(0) end) local ok, m = xpcall(error, function(m)\n"
                 "return select(2, pcall(ocean.sleep, 0)) end, 'x') error(m, 0)",
                 "cannot wait inside an xpcall message handler");
    expect_error("local t = setmetatable({}, {__index = function() ocean.sleep(0) end}) for _ in ipairs(t) do end",
                 "cannot wait inside a metamethod called by ipairs");
    expect_error(
        "local t = setmetatable({}, {__len = function() return 2 end, __index = function() ocean.sleep(0) end})\n"
        "table.concat(t)",
        "cannot wait inside a metamethod called by table.concat");
    expect_error("local co = coroutine.create(function()\n"
                 "local x <close> = setmetatable({}, {__close = function() ocean.sleep(0) end})\n"
                 "coroutine.yield() end)\n"
                 "coroutine.resume(co) error(select(2, coroutine.close(co)), 0)",
                 "cannot wait in a <close> variable run by coroutine.close");
    /* the refusal looks through the coroutines of the script */
    expect_error("table.sort({3, 1, 2}, function(a, b)\n"
                 "coroutine.wrap(function() ocean.sleep(0) end)() return a < b end)",
                 "cannot wait inside a table.sort comparator");
}

static void waits_in_main_chunk(void **state)
{
    (void)state;
    struct rig *r = rig_loaded("ocean.sleep(0.001) x = 1\n"
                               "ocean.on_resync('k', function() return {{x = x}} end)");
    rig_run(r, "k");
    assert_string_equal(batches(r), "list [{\"x\":1}]\n");
    rig_free(r);
}

static void handlers_in_order(void **state)
{
    (void)state;
    struct rig *r = rig_loaded("ocean.on_resync(function(k) return {{n = 'wild', k = k}} end)\n"
                               "ocean.on_resync('k', function() return {{n = 1}} end)\n"
                               "ocean.on_resync('other', function() return {{n = 'no'}} end)\n"
                               "ocean.on_resync('k', function() return {{n = 2}} end)\n"
                               "ocean.on_resync('k', function() local i = 0\n"
                               "  return function() i = i + 1 if i < 3 then return {{it = i}} end end end)\n"
                               "ocean.on_resync('k', function() coroutine.yield({{y = 1}}) return {{n = 3}} end)\n");
    rig_run(r, "k");
    assert_string_equal(errors(r), "");
    assert_string_equal(batches(r), "list [{\"n\":1}]\nlist [{\"n\":2}]\n[{\"it\":1}]\n[{\"it\":2}]\n[{\"y\":1}]\n"
                                    "list [{\"n\":3}]\nlist [{\"k\":\"k\",\"n\":\"wild\"}]\n");
    struct buf kinds;
    buf_init(&kinds, 1000);
    const struct source *s = vm_source(r->vm);
    s->kinds(s->arg, &kinds);
    assert_string_equal(buf_cstr(&kinds), "k, other");
    assert_true(s->has_handler(s->arg, STR("anything")));
    buf_done(&kinds);
    rig_free(r);
}

static void empty_lists(void **state)
{
    (void)state;
    struct rig *r = rig_handler("return {}");
    assert_string_equal(batches(r), "list []\n");
    assert_true(r->sink.report.explicit_empty);
    rig_free(r);
    r = rig_handler("return nil");
    assert_string_equal(batches(r), "");
    assert_false(r->sink.report.explicit_empty);
    rig_free(r);
}

static void back_pressure(void **state)
{
    (void)state;
    struct rig *r = rig_loaded("ocean.on_resync('k', function() for i = 1, 6 do ocean.yield({{i = i}}) end end)");
    r->sink.room_for = 2;
    rig_run(r, "k");
    assert_int_equal(r->sink.pushes, 6);
    assert_int_equal(r->sink.full_times, 3);
    rig_free(r);
    /* the queue is full when the next handler starts, and when the run ends */
    r = rig_loaded("ocean.on_resync('k', function() ocean.yield({{i = 1}}) end)\n"
                   "ocean.on_resync('k', function() ocean.yield({{i = 2}}) end)\n"
                   "ocean.on_resync('k', function() return {{i = 3}} end)");
    r->sink.room_for = 1;
    rig_run(r, "k");
    assert_int_equal(r->sink.pushes, 3);
    while (r->sink.room)
        loop_turn(r->loop, true);
    rig_free(r);
}

static void bad_batches(void **state)
{
    (void)state;
    struct rig *r =
        rig_handler("ocean.yield('text') ocean.yield({{f = print}}) ocean.yield({1, 2}) ocean.yield({{ok = 1}})");
    assert_string_equal(batches(r), "\"text\"\n[1,2]\n[{\"ok\":1}]\n");
    assert_int_equal(r->sink.nerrors, 1); /* what can be JSON is judged by the sink */
    assert_has(errors(r), "s.lua:2: this batch is dropped: a function cannot be JSON (at [1].f)");
    rig_free(r);
    r = rig_handler("for i = 1, 20 do ocean.yield('text') end");
    assert_int_equal(r->sink.pushes, 10);
    assert_has(errors(r), "10 batches in a row were not lists of objects");
    rig_free(r);
    /* The handler ends, not the resource; a good batch in between starts the count anew. */
    r = rig_loaded("ocean.on_resync('k', function() for i = 1, 20 do ocean.yield('text') end end)\n"
                   "ocean.on_resync('k', function() for i = 1, 18 do ocean.yield(i == 9 and {{}} or {i}) end end)\n"
                   "ocean.on_resync('k', function() ocean.yield({{ok = 1}}) end)\n");
    rig_run(r, "k");
    assert_int_equal(r->sink.pushes, 10 + 18 + 1);
    assert_int_equal(r->sink.nerrors, 1);
    assert_has(batches(r), "[{\"ok\":1}]");
    rig_free(r);
}

static void errors_name_their_place(void **state)
{
    (void)state;
    struct rig *r = rig_loaded(
        "local function deep() local x = nil; return x.y end\n"
        "ocean.on_resync('k', function() ocean.yield({{a = 1}})\n deep() end)\n"
        "ocean.on_resync('k', function() error({code = 5}) end)\n"
        "ocean.on_resync('k', function() error(setmetatable({}, {__tostring = function() return 'mine' end})) end)\n"
        "ocean.on_resync('k', function() error(ocean.error('config', 'no host', {status = 1})) end)\n"
        "ocean.on_resync('k', function() error() end)\n"
        "ocean.on_resync('k', function() return {{b = 2}} end)\n");
    rig_run(r, "k");
    assert_int_equal(r->sink.nerrors, 5);
    assert_has(errors(r), "s.lua:1: attempt to index a nil value (local 'x')");
    assert_has(errors(r), "an error table without a message");
    assert_has(errors(r), "mine");
    assert_has(errors(r), "s.lua:6: no host");
    assert_string_equal(batches(r), "[{\"a\":1}]\nlist [{\"b\":2}]\n");
    rig_free(r);
    r = rig_new("local x = \nprint(", 0, 0);
    assert_int_equal(r->load_error.code, ERR_SCRIPT);
    assert_has(r->load_error.msg, "s.lua:2: unexpected symbol near <eof>");
    rig_free(r);
    r = rig_new("\n\nerror('not today')", 0, 0);
    assert_has(r->load_error.msg, "s.lua:3: not today");
    rig_free(r);
}

static void cancel(void **state)
{
    (void)state;
    struct rig *r =
        rig_loaded("ocean.on_resync('k', function()\n"
                   "  local ok, e = pcall(ocean.sleep, 3600) kind = e.kind\n"
                   "  local ok, e = pcall(ocean.sleep, 0) again = e.kind\n"
                   "  ocean.sleep(3600) end)\n"
                   "ocean.on_resync('k', function() never = true end)\n"
                   "ocean.on_resync('probe', function() return {{kind = kind, again = again, never = never}} end)");
    const struct source *s = vm_source(r->vm);
    void *run = rig_start(r, "k");
    for (int i = 0; i < 5; i++)
        loop_turn(r->loop, false);
    s->cancel(s->arg, run);
    assert_false(r->sink.done); /* never from inside the call */
    turn_until(r, &r->sink.done);
    assert_string_equal(errors(r), "");
    rig_run(r, "probe");
    assert_string_equal(batches(r), "list [{\"again\":\"cancelled\",\"kind\":\"cancelled\"}]\n");
    rig_free(r);
}

static void cancel_while_full(void **state)
{
    (void)state;
    struct rig *r = rig_loaded("ocean.on_resync('k', function() ocean.yield({{i = 1}}) ocean.yield({{i = 2}}) end)");
    const struct source *s = vm_source(r->vm);
    r->sink.room_for = 1;
    r->sink.hold_room = true;
    void *run = rig_start(r, "k");
    while (!r->sink.room)
        loop_turn(r->loop, true);
    s->cancel(s->arg, run);
    turn_until(r, &r->sink.done);
    assert_int_equal(r->sink.pushes, 1);
    sink_give_room(&r->sink); /* late: the run is over */
    rig_free(r);
}

static void freed_while_waiting(void **state)
{
    (void)state;
    struct rig *r =
        rig_loaded("ocean.on_resync('k', function()\n"
                   "  local gen = coroutine.wrap(function()\n"
                   "    local x <close> = setmetatable({}, {__close = function() end}) ocean.sleep(3600) end)\n"
                   "  gen() end)");
    rig_start(r, "k");
    for (int i = 0; i < 5; i++)
        loop_turn(r->loop, false);
    rig_free(r);
}

/* A script that swallows the cancellation ends all the same. */
static void cancel_uncooperative(void **state)
{
    (void)state;
    struct rig *r =
        rig_new("ocean.on_resync('k', function() while true do pcall(ocean.sleep, 3600) end end)\n", 0, 0.2);
    const struct source *s = vm_source(r->vm);
    void *run = rig_start(r, "k");
    for (int i = 0; i < 5; i++)
        loop_turn(r->loop, false);
    s->cancel(s->arg, run);
    turn_until(r, &r->sink.done);
    rig_free(r);
}

static void deep_coroutines(void **state)
{
    (void)state;
    expect_batches("local function nest(n) if n == 0 then ocean.sleep(0) ocean.yield({{deep = 1}}) return 0 end\n"
                   "  return 1 + coroutine.wrap(nest)(n - 1) end\n"
                   "local d = nest(150) local ok, m = pcall(nest, 400)\n"
                   "ocean.yield({{d = d, ok = ok, overflow = tostring(m):find('C stack overflow') ~= nil}})",
                   "[{\"deep\":1}]\n[{\"d\":150,\"ok\":false,\"overflow\":true}]\n");
}

/* Whatever a handler leaves open is closed with it, from the inside out. */
static void closers_run(void **state)
{
    (void)state;
    struct rig *r = rig_loaded(
        "closed = ''\n"
        "local function closer(n) return setmetatable({}, {__close = function() closed = closed .. n end}) end\n"
        "ocean.on_resync('k', function() local a <close> = closer('a')\n"
        "  coroutine.wrap(function() local b <close> = closer('b') pcall(ocean.sleep, 3600) error('x', 0) end)() end)\n"
        "ocean.on_resync('probe', function() return {{closed = closed}} end)");
    const struct source *s = vm_source(r->vm);
    void *run = rig_start(r, "k");
    for (int i = 0; i < 5; i++)
        loop_turn(r->loop, false);
    s->cancel(s->arg, run);
    turn_until(r, &r->sink.done);
    rig_run(r, "probe");
    assert_string_equal(batches(r), "list [{\"closed\":\"ba\"}]\n");
    rig_free(r);
}

static void start_handlers(void **state)
{
    (void)state;
    struct rig *r = rig_loaded(
        "log = ''\n"
        "ocean.on_start(function() ocean.sleep(0.02) log = log .. 'a' .. ocean.event.type end)\n"
        "ocean.on_start(function() error('logged, nothing else') end)\n"
        "ocean.on_start(function() log = log .. 'b' end)\n"
        "ocean.on_resync('k', function() while #log < 7 do ocean.sleep(0.001) end return {{log = log}} end)");
    struct event *ev = event_new(EVENT_START, TRIGGER_MACHINE, NULL);
    vm_start(r->vm, ev);
    event_unref(ev);
    rig_run(r, "k");
    assert_string_equal(batches(r), "list [{\"log\":\"bastart\"}]\n");
    rig_free(r);
}

static void json_output(void **state)
{
    (void)state;
    rig_json_output = true;
    struct rig *r = rig_loaded("assert(io.stdout == io.stderr and io.output() == io.stderr)\n"
                               "print('this goes', 'to stderr')");
    rig_json_output = false;
    rig_free(r);
    r = rig_loaded("assert(io.stdout ~= io.stderr)");
    assert_false(vm_has_resync(r->vm));
    rig_free(r);
}

/* Many runs leave nothing behind. */
static void no_growth(void **state)
{
    (void)state;
    struct rig *r = rig_loaded(
        "local first, n = nil, 0\n"
        "ocean.on_resync('k', function() local v = ocean.json.decode('[{\"a\":1}]') v[1].b = ocean.event.id\n"
        "  local g = coroutine.wrap(function() ocean.sleep(0) coroutine.yield(1) end) g()\n"
        "  pcall(table.sort, {2, 1}, function() ocean.sleep(0) end)\n"
        "  collectgarbage() n = n + 1 if n == 50 then first = collectgarbage('count') end\n"
        "  if n > 50 then assert(collectgarbage('count') < first + 8) end ocean.yield(v) end)");
    for (int i = 0; i < 300; i++) {
        rig_run(r, "k");
        assert_string_equal(errors(r), "");
    }
    rig_free(r);
}

static void hook_done(void *arg, const struct err *e, bool http)
{
    struct rig *r = arg;
    r->loaded = true;
    memset(&r->load_error, 0, sizeof(r->load_error));
    if (e)
        r->load_error = *e;
    r->load_error.http_status = http;
}

static void hooks(void **state)
{
    (void)state;
    struct rig *r = rig_loaded("ocean.on_resync_start(function() ocean.sleep(0.001) a = ocean.event.type end)\n"
                               "ocean.on_resync_start(function() error(ocean.error('transport', 'no route')) end)\n"
                               "ocean.on_resync_start(function() never = true end)\n"
                               "ocean.on_resync_complete(function() done = true end)\n"
                               "ocean.on_resync('k', function() return {{a = a, never = never, done = done}} end)");
    const struct source *s = vm_source(r->vm);
    r->event = event_new(EVENT_RESYNC, TRIGGER_MACHINE, NULL);
    r->loaded = false;
    s->hook(s->arg, SOURCE_RESYNC_START, r->event, hook_done, r);
    assert_false(r->loaded);
    turn_until(r, &r->loaded);
    assert_has(r->load_error.msg, "s.lua:2: no route");
    assert_true(r->load_error.http_status);
    r->loaded = false;
    s->hook(s->arg, SOURCE_RESYNC_COMPLETE, r->event, hook_done, r);
    turn_until(r, &r->loaded);
    assert_int_equal(r->load_error.code, 0);
    rig_run(r, "k");
    assert_string_equal(batches(r), "list [{\"a\":\"resync\",\"done\":true}]\n");
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_in_pcall),
        cmocka_unit_test(waits_in_iterators_and_metamethods),
        cmocka_unit_test(waits_in_user_coroutines),
        cmocka_unit_test(waiting_coroutine_is_protected),
        cmocka_unit_test(refuses_where_lua_cannot_yield),
        cmocka_unit_test(waits_in_main_chunk),
        cmocka_unit_test(handlers_in_order),
        cmocka_unit_test(empty_lists),
        cmocka_unit_test(back_pressure),
        cmocka_unit_test(bad_batches),
        cmocka_unit_test(errors_name_their_place),
        cmocka_unit_test(cancel),
        cmocka_unit_test(cancel_while_full),
        cmocka_unit_test(cancel_uncooperative),
        cmocka_unit_test(deep_coroutines),
        cmocka_unit_test(closers_run),
        cmocka_unit_test(freed_while_waiting),
        cmocka_unit_test(hooks),
        cmocka_unit_test(start_handlers),
        cmocka_unit_test(json_output),
        cmocka_unit_test(no_growth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
