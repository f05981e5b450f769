/* Functions side by side: ocean.parallel, ocean.map, ocean.spawn. */
#include "unit/script/support.h"

static void parallel_results(void **state)
{
    (void)state;
    expect_batches("local log = {}\n"
                   "local r = ocean.parallel {\n"
                   "  function() ocean.sleep(0.02) log[#log + 1] = 'a' return 1, 'dropped' end,\n"
                   "  function() log[#log + 1] = 'b' return nil end,\n"
                   "  function() ocean.sleep(0.001) log[#log + 1] = 'c' return {x = 3} end,\n"
                   "  function() log[#log + 1] = 'd' end }\n"
                   "ocean.yield({{r1 = r[1], r2 = r[2] == nil, r3 = r[3], r4 = r[4] == nil, log = table.concat(log)}})",
                   "[{\"log\":\"bdca\",\"r1\":1,\"r2\":true,\"r3\":{\"x\":3},\"r4\":true}]\n");
    expect_batches("local r = ocean.parallel {} ocean.yield({{n = #r, t = type(r)}})", "[{\"n\":0,\"t\":\"table\"}]\n");
    /* a child may do the same, and generators wait in it as everywhere */
    expect_batches("local function two(x) return function()\n"
                   "    local r = ocean.parallel { function() ocean.sleep(0.001) return x end,\n"
                   "      coroutine.wrap(function() ocean.sleep(0) coroutine.yield(x + 1) end) }\n"
                   "    return r[1] * 100 + r[2] end end\n"
                   "ocean.yield(ocean.parallel { function() local r = ocean.parallel { two(1), two(3) }\n"
                   "  return {a = r[1], b = r[2]} end })",
                   "[{\"a\":102,\"b\":304}]\n");
}

static void parallel_misuse(void **state)
{
    (void)state;
    expect_error("ocean.parallel(5)", "s.lua:2: ocean.parallel: the list must be a table, got number");
    expect_error("ocean.parallel { print, 5 }",
                 "s.lua:2: ocean.parallel: element 2 of the list must be a function, got number");
    expect_error("ocean.parallel { print, x = print }",
                 "s.lua:2: ocean.parallel: the list must hold functions at 1 to n, it has the key x");
    expect_error("table.sort({2, 1}, function() ocean.parallel { print } end)",
                 "ocean.parallel cannot wait inside a table.sort comparator");
    expect_error("local function f() ocean.parallel { f } end f()",
                 "s.lua:2: ocean.parallel: tasks that start tasks are nested deeper than 100 levels");
}

/* The first error ends the others; when it is raised all of them are over. */
static void parallel_first_error(void **state)
{
    (void)state;
    struct rig *r = rig_loaded(
        "local log = ''\n"
        "local function slow(name) return function()\n"
        "  local x <close> = setmetatable({}, {__close = function() log = log .. name end})\n"
        "  local ok, e = pcall(ocean.sleep, 3600) log = log .. e.kind:sub(1, 1)\n"
        "  ocean.sleep(3600) end end\n"
        "ocean.on_resync('k', function()\n"
        "  local value = ocean.error('config', 'no host', {status = 7})\n"
        "  local ok, e = pcall(ocean.parallel, { slow('x'), function() ocean.sleep(0.001) error(value) end, slow('y') })\n"
        "  return {{ok = ok, same = e == value, status = e.status, log = log}} end)\n"
        "ocean.on_resync('raised', function()\n"
        "  ocean.parallel { slow('z'),\n"
        "    function() error('boom') end }\n"
        "end)");
    rig_run(r, "k");
    assert_string_equal(batches(r), "list [{\"log\":\"cxcy\",\"ok\":false,\"same\":true,\"status\":7}]\n");
    assert_string_equal(errors(r), "");
    rig_run(r, "raised");
    assert_has(errors(r), "s.lua:12: boom");
    assert_int_equal(r->sink.nerrors, 1);
    rig_free(r);
}

static void children_belong_to_the_resource(void **state)
{
    (void)state;
    struct rig *r = rig_loaded(
        "ocean.on_resync('k', function()\n"
        "  ocean.event.attributes.a = 1\n"
        "  ocean.parallel { function() ocean.yield({{kind = ocean.event.kind, a = ocean.event.attributes.a}}) end,\n"
        "    function() ocean.sleep(0.005) coroutine.yield({{n = 2}}) end } end)\n"
        "ocean.on_resync('http', function()\n"
        "  local api = ocean.http.client { base_url = 'http://127.0.0.1:1', retry = false }\n"
        "  ocean.parallel { function() pcall(api.get, api, '/one') end, function() pcall(api.get, api, '/two') end }\n"
        "  ocean.spawn(function() pcall(api.get, api, '/three') end) end)");
    rig_run(r, "k");
    assert_string_equal(errors(r), "");
    assert_string_equal(batches(r), "[{\"a\":1,\"kind\":\"k\"}]\n[{\"n\":2}]\n");
    rig_run(r, "http");
    assert_int_equal(r->sink.report.http_requests, 3);
    assert_int_equal(r->sink.ntaints, 3);
    assert_has(taints(r), "/one");
    assert_has(taints(r), "/three");
    assert_string_equal(errors(r), "");
    rig_free(r);
}

static void children_share_the_room(void **state)
{
    (void)state;
    struct rig *r = rig_loaded(
        "ocean.on_resync('k', function() local list = {}\n"
        "  for i = 1, 10 do list[i] = function() for j = 1, 5 do ocean.yield({{i = i, j = j}}) end end end\n"
        "  ocean.parallel(list) ocean.spawn(list[1]) ocean.spawn(list[2]) end)\n"
        "ocean.on_resync('k', function() ocean.yield({{last = true}}) end)");
    r->sink.room_for = 1; /* the sink asserts that nobody pushes while it is full */
    rig_run(r, "k");
    assert_string_equal(errors(r), "");
    assert_int_equal(r->sink.pushes, 61);
    assert_has(batches(r), "[{\"last\":true}]\n");
    assert_string_equal(strstr(batches(r), "[{\"last"), "[{\"last\":true}]\n");
    while (r->sink.room)
        loop_turn(r->loop, true);
    rig_free(r);
}

static void turns(struct rig *r, int n)
{
    for (int i = 0; i < n; i++)
        loop_turn(r->loop, false);
}

static const char closers[] = "log = ''\n"
                              "local function closer(n) return setmetatable({}, {__close = function() log = log .. n end}) end\n"
                              "local function waits(n) return function() local x <close> = closer(n) ocean.sleep(3600) end end\n"
                              "ocean.on_resync('probe', function() return {{log = log}} end)\n";

static void cancel_reaches_children(void **state)
{
    (void)state;
    char *script = xasprintf("%s"
                             "ocean.on_resync('k', function() local x <close> = closer('p')\n"
                             "  ocean.spawn(waits('s'))\n"
                             "  ocean.parallel { waits('a'), function() ocean.parallel { waits('b') } end } end)",
                             closers);
    struct rig *r = rig_loaded(script);
    const struct source *s = vm_source(r->vm);
    void *run = rig_start(r, "k");
    turns(r, 10);
    s->cancel(s->arg, run);
    turn_until(r, &r->sink.done);
    assert_string_equal(errors(r), "");
    rig_run(r, "probe");
    /* all of them are over, and the parent after those it waited for */
    assert_int_equal(strlen(batches(r)), strlen("list [{\"log\":\"absp\"}]\n"));
    const char *log = batches(r);
    for (const char *c = "abs"; *c; c++)
        assert_non_null(strchr(log + strlen("list [{\"log\":\""), *c));
    assert_true(strchr(log + 14, 'p') > strchr(log + 14, 'b'));
    rig_free(r);
    free(script);
}

/* A child that swallows the cancellation is closed after a while, and everything is over. */
static void cancel_uncooperative_child(void **state)
{
    (void)state;
    struct rig *r = rig_loaded("ocean.on_resync('k', function()\n"
                               "  ocean.parallel { function() while true do pcall(ocean.sleep, 0.01) end end } end)");
    const struct source *s = vm_source(r->vm);
    void *run = rig_start(r, "k");
    turns(r, 5);
    s->cancel(s->arg, run);
    turn_until(r, &r->sink.done);
    rig_free(r);
}

static void freed_while_children_wait(void **state)
{
    (void)state;
    char *script = xasprintf("%s"
                             "ocean.on_resync('k', function() local x <close> = closer('p')\n"
                             "  local s = ocean.spawn(waits('s')) ocean.spawn(function() s:join() end)\n"
                             "  ocean.spawn(error, 'lost')\n"
                             "  ocean.parallel { waits('a'), function() ocean.parallel { waits('b') } end } end)\n"
                             "ocean.on_resync('ending', function() ocean.spawn(waits('e')) end)",
                             closers);
    for (int i = 0; i < 2; i++) {
        struct rig *r = rig_loaded(script);
        rig_start(r, i ? "ending" : "k");
        turns(r, 10);
        rig_free(r);
    }
    free(script);
}

static void limits_are_per_task(void **state)
{
    (void)state;
    struct rig *r = rig_new("local function burn(s) local t = os.clock() while os.clock() < t + s do end end\n"
                            "ocean.on_resync('ok', function()\n"
                            "  ocean.parallel { function() burn(0.15) end, function() burn(0.15) end } end)\n"
                            "ocean.on_resync('k', function()\n"
                            "  local ok, e = pcall(ocean.parallel, { function() while true do end end })\n"
                            "  ocean.yield({{ok = ok, kind = e.kind, message = e.message, where = e.where}}) end)",
                            0, 0.2);
    rig_run(r, "ok");
    assert_string_equal(errors(r), "");
    rig_run(r, "k");
    assert_has(batches(r), "\"kind\":\"limit\"");
    assert_has(batches(r), "the function of ocean.parallel used ");
    assert_has(batches(r), "s.lua:5\"");
    assert_has(taints(r), "over its limit of 0.2 s"); /* caught or not */
    rig_free(r);
    r = rig_new("ocean.on_resync('k', function()\n"
                "  local ok, e = pcall(ocean.parallel, { function() local t = {}\n"
                "    for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end end })\n"
                "  collectgarbage() ocean.yield({{ok = ok, kind = type(e) == 'table' and e.kind or 'text'}}) end)",
                8 << 20, 20);
    rig_run(r, "k");
    assert_has(batches(r), "\"ok\":false");
    rig_free(r);
}

static void spawn_and_join(void **state)
{
    (void)state;
    expect_batches("local t = ocean.spawn(function(a, b) ocean.sleep(0.001) return a + b, nil, 'last' end, 1, 2)\n"
                   "local text = tostring(t)\n"
                   "local x, y, z = t:join()\n"
                   "ocean.yield({{x = x, y = y == nil, z = z, n = select('#', t:join()), text = text:gsub('^.*/', ''),\n"
                   "  after = tostring(t):gsub('^.*/', '')}})",
                   "[{\"after\":\"s.lua:2 (done)\",\"n\":3,\"text\":\"s.lua:2 (running)\",\"x\":3,\"y\":true,\"z\":\"last\"}]\n");
    /* an error reaches everybody who joins, as it was raised; then it is nobody else's */
    expect_batches("local value = {}\n"
                   "local t = ocean.spawn(function() ocean.sleep(0.001) error(value) end)\n"
                   "local r = ocean.parallel { function() return select(2, pcall(t.join, t)) == value end,\n"
                   "  function() return select(2, pcall(t.join, t)) == value end }\n"
                   "local ok, e = pcall(t.join, t)\n"
                   "ocean.yield({{r[1], r[2], e == value}})",
                   "[[true,true,true]]\n");
}

static void spawn_misuse(void **state)
{
    (void)state;
    expect_error("ocean.spawn(5)", "s.lua:2: ocean.spawn: the function must be a function, got number");
    expect_error("ocean.spawn(print).join()", "s.lua:2: task:join: call it with a colon, on a task of ocean.spawn");
    expect_error("ocean.spawn(print).cancel({})", "s.lua:2: task:cancel: call it with a colon");
    expect_error("local t t = ocean.spawn(function() t:join() end) t:join()", "s.lua:2: task:join: a task cannot join itself");
    expect_error("local t t = ocean.spawn(function() t:cancel() end) t:join()", "task:cancel: a task cannot cancel itself");
    expect_error("local a, b\n"
                 "a = ocean.spawn(function() ocean.sleep(0) b:join() end)\n"
                 "b = ocean.spawn(function() ocean.parallel { function() a:join() end } end) b:join()",
                 "waits for this one, so both would wait for ever");
    expect_error("local a a = ocean.spawn(function() ocean.spawn(function() a:join() end) end) a:join()",
                 "s.lua:2: task:join: that task (started at");
    expect_error("local t = ocean.spawn(ocean.sleep, 3600) t:cancel() t:join()", "task:join: the task was cancelled");
}

/* A handler is not over before what it spawned is: its batches count, and its errors. */
static void handler_waits_for_spawned(void **state)
{
    (void)state;
    struct rig *r = rig_loaded(
        "ocean.on_resync('k', function()\n"
        "  ocean.spawn(function() ocean.sleep(0.005) ocean.yield({{late = 1}})\n"
        "    ocean.spawn(function() ocean.sleep(0.005) ocean.yield({{late = 2}}) end) end)\n"
        "  return {{early = 1}} end)\n"
        "ocean.on_resync('k', function() return {{second = 1}} end)\n"
        "ocean.on_resync('fails', function()\n"
        "  ocean.spawn(function() ocean.sleep(0.01) ocean.yield({{others = 'go on'}}) end)\n"
        "  ocean.spawn(function() ocean.sleep(0.001)\n"
        "    error('nobody joins') end) end)\n"
        "ocean.on_resync('inner', function()\n"
        "  local value = ocean.error('config', 'inner')\n"
        "  local t = ocean.spawn(function() ocean.spawn(function() ocean.sleep(0) error(value) end) return 5 end)\n"
        "  local ok, e = pcall(t.join, t) ocean.yield({{ok = ok, same = e == value}}) end)");
    rig_run(r, "k");
    assert_string_equal(errors(r), "");
    assert_string_equal(batches(r), "list [{\"early\":1}]\n[{\"late\":1}]\n[{\"late\":2}]\nlist [{\"second\":1}]\n");
    rig_run(r, "fails");
    assert_int_equal(r->sink.nerrors, 1);
    assert_has(errors(r), "s.lua:9: nobody joins");
    assert_string_equal(batches(r), "[{\"others\":\"go on\"}]\n");
    rig_run(r, "inner");
    assert_string_equal(errors(r), "");
    assert_string_equal(batches(r), "[{\"ok\":false,\"same\":true}]\n");
    rig_free(r);
}

static void failing_handler_cancels_spawned(void **state)
{
    (void)state;
    char *script = xasprintf("%s"
                             "ocean.on_resync('k', function() ocean.spawn(waits('s')) ocean.sleep(0)\n"
                             "  error('handler') end)\n"
                             "ocean.on_resync('cancel', function() local t = ocean.spawn(waits('c')) ocean.sleep(0)\n"
                             "  t:cancel() t:cancel() end)",
                             closers);
    struct rig *r = rig_loaded(script);
    rig_run(r, "k");
    assert_int_equal(r->sink.nerrors, 1);
    assert_has(errors(r), "handler");
    rig_run(r, "cancel"); /* cancelled by the script: no error */
    assert_string_equal(errors(r), "");
    rig_run(r, "probe");
    assert_string_equal(batches(r), "list [{\"log\":\"sc\"}]\n");
    rig_free(r);
    free(script);
}

/* A task object may outlive its handler. */
static void joined_later(void **state)
{
    (void)state;
    struct rig *r = rig_loaded("ocean.on_resync('k', function() good = ocean.spawn(function() return 7 end)\n"
                               "  bad = ocean.spawn(function() error('old', 0) end) end)\n"
                               "ocean.on_resync('later', function() return {{v = good:join(), e = select(2, pcall(bad.join, bad))}} end)");
    rig_run(r, "k");
    assert_has(errors(r), "old");
    rig_run(r, "later");
    assert_string_equal(errors(r), "");
    assert_string_equal(batches(r), "list [{\"e\":\"old\",\"v\":7}]\n");
    rig_free(r);
    r = rig_loaded("local t = ocean.spawn(function() ocean.sleep(0.01) x = 5 end)\n"
                   "ocean.on_resync('k', function() return {{x = x}} end)"); /* the main chunk is a task too */
    rig_run(r, "k");
    assert_string_equal(batches(r), "list [{\"x\":5}]\n");
    rig_free(r);
}

static void map_is_bounded(void **state)
{
    (void)state;
    expect_batches("local now, most = 0, 0\n"
                   "local r = ocean.map({5, 4, 3, 2, 1}, 2, function(x, i)\n"
                   "  now = now + 1 most = math.max(most, now)\n"
                   "  ocean.sleep(x / 1000) now = now - 1 return {v = x * 10 + i} end)\n"
                   "ocean.yield(r) ocean.yield({{most = most, empty = #ocean.map({}, 3, print)}})\n"
                   "ocean.yield(ocean.map(ocean.json.decode('[{\"a\":1},{\"a\":2}]'), 100, function(v) v.b = true return v end))",
                   "[{\"v\":51},{\"v\":42},{\"v\":33},{\"v\":24},{\"v\":15}]\n[{\"empty\":0,\"most\":2}]\n"
                   "[{\"a\":1,\"b\":true},{\"a\":2,\"b\":true}]\n");
    expect_error("ocean.map('x', 2, print)", "s.lua:2: ocean.map: the list must be a list, got string");
    expect_error("ocean.map({}, 0, print)", "s.lua:2: ocean.map: the number of items at a time must be between 1 and 10000");
    expect_error("ocean.map({}, 1, 5)", "s.lua:2: ocean.map: the function must be a function, got number");
    expect_error("ocean.map({}, 1, print, { errors = 'x' })",
                 "s.lua:2: ocean.map: option 'errors' must be \"raise\", \"collect\" or \"skip\", got \"x\"");
}

static void map_errors(void **state)
{
    (void)state;
    struct rig *r = rig_loaded(
        "local n\n"
        "local function f(x) n = n + 1 ocean.sleep(x / 1000) if x > 1 then error('no ' .. x, 0) end return {x = x} end\n"
        "ocean.on_resync('raise', function() n = 0\n"
        "  local ok, e = pcall(ocean.map, {1, 2, 1, 60}, 4, f) return {{e = e, n = n}} end)\n"
        "ocean.on_resync('collect', function() n = 0\n"
        "  local ok, e = pcall(ocean.map, {3, 2, 1}, 3, f, {errors = 'collect'})\n"
        "  return {{e = tostring(e), n = n, i = e.errors[2].index, second = e.errors[2].error, kind = e.kind}} end)\n"
        "ocean.on_resync('skip', function() n = 0 return ocean.map({1, 2, 1}, 2, f, {errors = 'skip'}) end)");
    rig_run(r, "raise");
    assert_string_equal(batches(r), "list [{\"e\":\"no 2\",\"n\":4}]\n");
    rig_run(r, "collect");
    assert_string_equal(batches(r), "list [{\"e\":\"ocean.map: 2 of 3 items failed; item 1: no 3\",\"i\":2,\"kind\":\"error\","
                                    "\"n\":3,\"second\":\"no 2\"}]\n");
    assert_string_equal(taints(r), "");
    rig_run(r, "skip");
    assert_string_equal(batches(r), "list [{\"x\":1},{\"x\":1}]\n");
    assert_has(taints(r), "ocean.map: item 2 is skipped: no 2"); /* what is missing here may exist: no deletion */
    rig_free(r);
}

static void map_is_cancelled(void **state)
{
    (void)state;
    struct rig *r = rig_loaded("n = 0\n"
                               "ocean.on_resync('k', function()\n"
                               "  ocean.map({1, 2, 3, 4}, 2, function() n = n + 1 ocean.sleep(3600) end, {errors = 'skip'}) end)\n"
                               "ocean.on_resync('probe', function() return {{n = n}} end)");
    const struct source *s = vm_source(r->vm);
    void *run = rig_start(r, "k");
    turns(r, 5);
    s->cancel(s->arg, run);
    turn_until(r, &r->sink.done);
    assert_string_equal(taints(r), "");
    rig_run(r, "probe");
    assert_string_equal(batches(r), "list [{\"n\":2}]\n");
    rig_free(r);
}

/* Many runs leave nothing behind. */
static void no_growth(void **state)
{
    (void)state;
    struct rig *r = rig_loaded(
        "local first, n = nil, 0\n"
        "ocean.on_resync('k', function()\n"
        "  pcall(ocean.parallel, { function() ocean.sleep(0) return {} end, function() error('x') end, ocean.sleep })\n"
        "  local t = ocean.spawn(function() ocean.sleep(0) error('joined') end) pcall(t.join, t)\n"
        "  ocean.spawn(ocean.sleep, 3600):cancel()\n"
        "  collectgarbage() n = n + 1 if n == 50 then first = collectgarbage('count') end\n"
        "  if n > 50 then assert(collectgarbage('count') < first + 16, collectgarbage('count') - (first or 0)) end end)");
    for (int i = 0; i < 300; i++) {
        rig_run(r, "k");
        assert_string_equal(errors(r), "");
    }
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parallel_results),
        cmocka_unit_test(parallel_misuse),
        cmocka_unit_test(parallel_first_error),
        cmocka_unit_test(children_belong_to_the_resource),
        cmocka_unit_test(children_share_the_room),
        cmocka_unit_test(cancel_reaches_children),
        cmocka_unit_test(cancel_uncooperative_child),
        cmocka_unit_test(freed_while_children_wait),
        cmocka_unit_test(limits_are_per_task),
        cmocka_unit_test(spawn_and_join),
        cmocka_unit_test(spawn_misuse),
        cmocka_unit_test(handler_waits_for_spawned),
        cmocka_unit_test(failing_handler_cancels_spawned),
        cmocka_unit_test(joined_later),
        cmocka_unit_test(map_is_bounded),
        cmocka_unit_test(map_errors),
        cmocka_unit_test(map_is_cancelled),
        cmocka_unit_test(no_growth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
