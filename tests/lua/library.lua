-- The library is a global and a module; reading unknown names gives nil, errors are tables with a text.
assert(require "ocean" == ocean)
assert(require "cjson" == cjson)
assert(ocean.nothing == nil and ocean.event == nil)
assert(type(ocean.version) == "string" and ocean.null == cjson.null)

local e = ocean.error("config", "no host", { status = 5 })
assert(e.kind == "config" and tostring(e) == "no host" and e.status == 5 and "x: " .. e == "x: no host")
assert(e.where:find("library.lua:7$"))

local ok, err = pcall(ocean.on_resync, "kind", "no function")
assert(not ok and err:find("library.lua:%d+: ocean.on_resync: a function was expected as argument 2, got string"))
ok, err = pcall(ocean.yield, {})
assert(not ok and err:find("ocean.yield hands batches over from inside a resync handler only"))
ok, err = pcall(coroutine.yield, 1)
assert(not ok and err:find("attempt to yield from outside a coroutine"))

ocean.log.info("text", { b = { x = 1 }, a = "one", c = ocean.json.decode("[1]") })
ok, err = pcall(ocean.log.info, "text", 5)
assert(not ok and err:find("the fields must be a table, got number"))
