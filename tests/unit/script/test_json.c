/* JSON values in Lua: laziness, aliasing, writes, numbers, encoding; cjson; ocean.define, config and event. */
#include "unit/script/support.h"

#define PAGE                                                                                                           \
    "local page = "                                                                                                    \
    "ocean.json.decode('[{\"id\":1,\"tags\":[\"a\",\"b\"],\"o\":{\"x\":null,\"y\":2}},{\"id\":2},{\"id\":3}]')\n"

static void untouched_goes_as_it_came(void **state)
{
    (void)state;
    expect_batches(PAGE "ocean.yield(page)",
                   "[{\"id\":1,\"tags\":[\"a\",\"b\"],\"o\":{\"x\":null,\"y\":2}},{\"id\":2},{\"id\":3}]\n");
    expect_batches("ocean.yield(ocean.json.decode('[{\"a\":1.10,\"b\":-0,\"c\":1e400,\"d\":[],\"e\":{}}]'))",
                   "[{\"a\":1.10,\"b\":-0,\"c\":1e400,\"d\":[],\"e\":{}}]\n");
}

static void writes_alias(void **state)
{
    (void)state;
    expect_batches(PAGE "for _, r in ipairs(page) do r.__project = 'p' end ocean.yield(page)",
                   "[{\"id\":1,\"tags\":[\"a\",\"b\"],\"o\":{\"x\":null,\"y\":2},\"__project\":\"p\"},"
                   "{\"id\":2,\"__project\":\"p\"},{\"id\":3,\"__project\":\"p\"}]\n");
    /* the handles are garbage in between, and a table written in stays shared */
    expect_batches(PAGE
                   "local shared = {n = 1} for _, r in ipairs(page) do r.s = shared end collectgarbage()\n"
                   "shared.n = 2 assert(page[1].s == shared and page[1] == page[1])\n"
                   "page[2].id = nil page[3].id = ocean.null page[1].o.z = page[2] page[1].o.y = 7 page[1].tags = nil\n"
                   "page[2].s = nil page[2].again = true ocean.yield(page)",
                   "[{\"id\":1,\"o\":{\"x\":null,\"y\":7,\"z\":{\"again\":true}},\"s\":{\"n\":2}},{\"again\":true},"
                   "{\"id\":null,\"s\":{\"n\":2}}]\n");
    /* what was yielded is not touched by later writes; another decode is another document */
    expect_batches(
        PAGE
        "page[1].v = 1 ocean.yield(page) page[1].v = 2 ocean.yield({page[1]})\n"
        "local t = '[{\"a\":1}]' local x, y = ocean.json.decode(t), ocean.json.decode(t) x[1].a = 2 ocean.yield(y)",
        "[{\"id\":1,\"tags\":[\"a\",\"b\"],\"o\":{\"x\":null,\"y\":2},\"v\":1},{\"id\":2},{\"id\":3}]\n"
        "[{\"id\":1,\"tags\":[\"a\",\"b\"],\"o\":{\"x\":null,\"y\":2},\"v\":2}]\n"
        "[{\"a\":1}]\n");
}

static void table_functions(void **state)
{
    (void)state;
    expect_batches(PAGE "table.insert(page, {id = 4}) table.insert(page, 1, {id = 0}) assert(#page == 5)\n"
                        "table.sort(page, function(a, b) return a.id > b.id end)\n"
                        "assert(table.remove(page).id == 0 and table.remove(page, 1).id == 4)\n"
                        "local a, b, c = table.unpack(page) assert(a.id == 3 and c.tags[2] == 'b')\n"
                        "assert(table.concat(c.tags, '+') == 'a+b') c.tags[#c.tags + 1] = 'c' c.tags[1] = nil\n"
                        "ocean.yield(page)",
                   "[{\"id\":3},{\"id\":2},{\"id\":1,\"tags\":[null,\"b\",\"c\"],\"o\":{\"x\":null,\"y\":2}}]\n");
    expect_error(PAGE "page[9] = {}", "s.lua:3: index 9 is outside the JSON array of 3 elements");
    expect_error(PAGE "page.name = 1", "a JSON array is indexed by integers, not by a string");
    expect_error(PAGE "page[1][1] = 1", "keys of a JSON object are strings, not a number");
    expect_error(PAGE "page[1].f = print", "a function cannot be stored in a JSON value");
}

static void reading(void **state)
{
    (void)state;
    expect_batches(
        PAGE "local o, n = page[1].o, 0 for k, v in pairs(o) do n = n + 1 assert(v ~= nil)\n"
             "  if k == 'x' then assert(v == ocean.null and v == cjson.null) end end\n"
             "assert(n == 2 and o.x == nil and o.nope == nil and not o.x)\n"
             "assert(ocean.json.type(o, 'x') == 'null' and ocean.json.type(o, 'nope') == nil and ocean.json.type(o) == "
             "'object')\n"
             "assert(ocean.json.type(page) == 'array' and ocean.json.type(ocean.null) == 'null' and "
             "ocean.json.type({}) == 'object')\n"
             "assert(page[0] == nil and page[4] == nil and page[1.0].id == 1 and page['1'] == nil)\n"
             "local seen = {[page[1]] = true} assert(seen[page[1]])\n"
             "local keys = {} page[2].new = 1 page[2].id = nil for k in pairs(page[2]) do keys[#keys + 1] = k end\n"
             "assert(#keys == 1 and keys[1] == 'new' and tostring(page[2]) == '{\"new\":1}')\n"
             "local t = ocean.json.table(page) assert(type(t) == 'table' and t[1].tags[2] == 'b' and t[1].o.x == "
             "ocean.null and t[2].new == 1)\n"
             "return {{ok = true}}",
        "list [{\"ok\":true}]\n");
    /* random reads and wide objects go through an index */
    expect_batches("local parts = {} for i = 1, 300 do parts[i] = ('\"k%d\":{\"v\":%d}'):format(i, i) end\n"
                   "local o = ocean.json.decode('{' .. table.concat(parts, ',') .. ',\"k7\":{\"v\":-7}}')\n"
                   "for i = 300, 1, -1 do assert(o['k' .. i].v == (i == 7 and -7 or i)) end\n"
                   "local n = 0 for k, v in pairs(o) do n = n + 1 end\n"
                   "local list = {} for i = 1, 300 do list[i] = ('{\"v\":%d}'):format(i) end\n"
                   "local a = ocean.json.decode('[' .. table.concat(list, ',') .. ']')\n"
                   "for i = 300, 1, -1 do assert(a[i].v == i) end for i, e in ipairs(a) do assert(e.v == i) end\n"
                   "return {{n = n}}",
                   "list [{\"n\":300}]\n");
}

static void numbers(void **state)
{
    (void)state;
    expect_batches(
        "local v = ocean.json.decode('{\"a\":9007199254740993,\"b\":9223372036854775807,\"c\":-9223372036854775808,"
        "\"d\":123456789012345678901234567890,\"e\":1.5,\"f\":1.0,\"g\":0.1234567890123456789}')\n"
        "assert(v.a == 9007199254740993 and math.type(v.a) == 'integer' and v.b == math.maxinteger and v.c == "
        "math.mininteger)\n"
        "assert(math.type(v.f) == 'float' and tostring(v.d) == '123456789012345678901234567890' and v.d .. '' == "
        "tostring(v.d))\n"
        "assert(v.d > 1e29 and v.d + 0 == 123456789012345678901234567890.0)\n"
        "return {{a = v.a + 1, b = v.b, c = v.c, d = v.d, e = v.e, g = v.g, h = 2^53, i = 1e100}}",
        "list [{\"a\":9007199254740994,\"b\":9223372036854775807,\"c\":-9223372036854775808,"
        "\"d\":123456789012345678901234567890,\"e\":1.5,\"g\":0.1234567890123456789,"
        "\"h\":9007199254740992,\"i\":1e+100}]\n");
}

static void encoding(void **state)
{
    (void)state;
    expect_batches("local function e(v) return ocean.json.encode(v) end\n"
                   "assert(e({}) == '{}' and e(ocean.array {}) == '[]' and e({1, 2}) == '[1,2]' and e({1, nil, 3}) == "
                   "'[1,null,3]')\n"
                   "assert(e('\\0\"\\n') == '\"\\\\u0000\\\\\"\\\\n\"' and e(ocean.null) == 'null' and e({b = 1, a = "
                   "{x = true}}) == '{\"a\":{\"x\":true},\"b\":1}')\n"
                   "assert(e('a\\xff') == '\"a\\xef\\xbf\\xbd\"')\n"
                   "assert(e(ocean.json.decode('{\"a\":[],\"b\":{}}')) == '{\"a\":[],\"b\":{}}')\n"
                   "assert(e(ocean.json.table(ocean.json.decode('{\"a\":[],\"b\":{}}'))) == '{\"a\":[],\"b\":{}}')\n"
                   "return {{ok = 1}}",
                   "list [{\"ok\":1}]\n");
    expect_error("local t = {} t.t = {t} ocean.json.encode(t)", "does one contain itself?");
    expect_error("local p = ocean.json.decode('{}') p.p = p ocean.json.encode(p)", "does one contain itself?");
    expect_error("ocean.json.encode({a = {1, b = 2}})", "s.lua:2: a table with both named keys and list items");
    expect_error("ocean.json.encode({a = {0/0}})", "infinite or not a number cannot be JSON (at a[1])");
    expect_error("ocean.json.encode({[1000000] = 1})", "large holes");
    expect_error("ocean.json.decode('{\"a\":')", "s.lua:2: ");
}

static void cjson_is_repaired(void **state)
{
    (void)state;
    expect_batches(
        "local cjson = require 'cjson'\n"
        "local t = cjson.decode('{\"a\":1,\"b\":9007199254740993,\"c\":null,\"d\":[]}')\n"
        "assert(type(t) == 'table' and math.type(t.a) == 'integer' and t.b == 9007199254740993 and t.c == cjson.null)\n"
        "assert(cjson.null == ocean.null and cjson.encode(t) == "
        "'{\"a\":1,\"b\":9007199254740993,\"c\":null,\"d\":[]}')\n"
        "assert(cjson.encode(ocean.json.decode('[1]')) == '[1]' and (cjson.new == nil or type(cjson.new) == "
        "'function'))\n"
        "return {{ok = 1}}",
        "list [{\"ok\":1}]\n");
}

static void deep_documents(void **state)
{
    (void)state;
    expect_batches("local deep = ocean.json.decode(('['):rep(5000) .. (']'):rep(5000))\n"
                   "local d = deep for i = 1, 4998 do d = d[1] end d[2] = 'x' ocean.json.encode(deep)\n"
                   "return {{ok = 1}}",
                   "list [{\"ok\":1}]\n");
}

static void define_and_config(void **state)
{
    (void)state;
    setenv("OCEAN__INTEGRATION__CONFIG__API_HOST", "h", 1);
    struct rig *r =
        rig_new("ocean.define {\n"
                "  config = {{name = 'apiHost', type = 'string', required = true}, {name = 'limit', type = 'integer', "
                "default = 5}},\n"
                "  blueprints = {{identifier = 'a', title = 'A', schema = {properties = {}, required = {}}}},\n"
                "}\n"
                "ocean.on_resync('k', function() local c = ocean.config\n"
                "  return {{a = c.api_host, b = c.apiHost, limit = c.limit, none = c.nothing == nil,\n"
                "    write = select(2, pcall(function() c.x = 1 end))}} end)",
                0, 0);
    assert_string_equal(r->load_error.msg, "");
    assert_non_null(r->definition->blueprints);
    assert_has(r->definition->blueprints_from, "ocean.define at ");
    assert_has(r->definition->blueprints_from, "s.lua:1");
    rig_run(r, "k");
    assert_string_equal(errors(r), "");
    assert_has(batches(r), "{\"a\":\"h\",\"b\":\"h\",\"limit\":5,\"none\":true,\"write\":");
    assert_has(batches(r), "ocean.config cannot be changed by the script");
    rig_free(r);
    r = rig_new("\nocean.define {blueprint = {}}", 0, 0);
    assert_int_equal(r->load_error.code, ERR_SCRIPT);
    assert_has(r->load_error.msg, "s.lua:2");
    rig_free(r);
}

static void event(void **state)
{
    (void)state;
    struct rig *r = rig_loaded(
        "outside = ocean.event\n"
        "ocean.on_resync_start(function() ocean.event.attributes.n = 5 end)\n"
        "ocean.on_resync('k', function() local e = ocean.event\n"
        "  e.attributes.n = (e.attributes.n or 0) + 1\n"
        "  return {{outside = outside == nil, type = e.type, event_type = e.event_type, trigger = e.triggerType,\n"
        "    id = #e.id, n = e.attributes.n, kind = e.resource_config.kind, same = e.resourceConfig.kind,\n"
        "    k = e.kind, parent = e.parent == nil, aborted = e.aborted, started = "
        "type(e.attributes.resync_start_time),\n"
        "    pac = select(2, pcall(function() return e.port_app_config end))}} end)");
    struct err e = {0};
    struct json_doc *raw;
    assert_int_equal(json_parse(STR("{\"kind\":\"k\",\"selector\":{}}"), &raw, &e), 0);
    r->resource.raw = json_root(raw);
    rig_run(r, "k");
    assert_string_equal(errors(r), "");
    rig_run(r, "k");
    assert_has(batches(r), "\"aborted\":false,\"event_type\":\"resync\",\"id\":36,\"k\":\"k\",\"kind\":\"k\",\"n\":2,"
                           "\"outside\":true,\"pac\":");
    assert_has(batches(r),
               "\"parent\":true,\"same\":\"k\",\"started\":\"string\",\"trigger\":\"machine\",\"type\":\"resync\"");
    assert_has(batches(r), "port_app_config is not set");
    rig_free(r);
    json_unref(raw);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(untouched_goes_as_it_came),
        cmocka_unit_test(writes_alias),
        cmocka_unit_test(table_functions),
        cmocka_unit_test(reading),
        cmocka_unit_test(numbers),
        cmocka_unit_test(encoding),
        cmocka_unit_test(cjson_is_repaired),
        cmocka_unit_test(deep_documents),
        cmocka_unit_test(define_and_config),
        cmocka_unit_test(event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
