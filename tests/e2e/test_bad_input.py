"""Bad input: every case gives a message that names the place and the way out, the other kinds go on, nothing is deleted,
and the exit code tells."""
import lib
from lib import Case, Reply, blueprint, list_handler, main, resource

GOOD = [{"id": f"G-{i}", "name": "good"} for i in range(3)]


class BadInput(Case):
    """Two kinds: `bad` is what the case is about, `good` must be synced all the same. Port holds an entity of each that
    no handler produces any more: a run with a failed kind must leave both."""

    def start(self, *args):
        self.port = self.port_local(*args)
        self.port.create_blueprints(blueprint("bad"), blueprint("good"))
        self.port.put("bad", [{"identifier": "stale"}, {"identifier": "B-1"}])
        self.port.put("good", [{"identifier": "stale"}, {"identifier": "G-0"}])
        self.mark = self.port.mark()

    def run_bad(self, script, *args, bad=None, **kw):
        self.start()
        mine = self.integration(script + list_handler("good", GOOD),
                                [bad or resource("bad", blueprint='"bad"'), resource("good", blueprint='"good"')],
                                [blueprint("bad"), blueprint("good")])
        return self.ocean(mine, self.port, *args, **kw)

    def assertContained(self, result, code=4):
        self.assertExit(result, code)
        self.assertFalse(result.summary["ok"], result)
        self.assertIn("G-2", self.port.entities("good"), f"the other kind was not synced\n{result}")
        self.assertNothingDeleted(result)
        self.assertEqual(result.resource("good")["errors"], [], result)

    def assertNothingDeleted(self, result):
        self.assertEqual((self.port.count("E-32", self.mark), self.port.count("E-33", self.mark)), (0, 0), result)
        self.assertIn("stale", self.port.entities("bad"), result)
        self.assertIn("stale", self.port.entities("good"), result)


class Scripts(BadInput):
    def test_syntax_error(self):
        """A syntax error: exit 3 with file and line, nothing is asked of Port"""
        self.start()
        mine = self.integration('ocean.on_resync("bad", function()\n  return {{ }\nend)\n')
        result = self.ocean(mine, self.port)
        self.assertExit(result, 3)
        self.assertSays(result, "integration.lua:4")
        self.assertEqual(self.port.journal(since=self.mark), [])

    def test_error_while_loading(self):
        """A script that raises while it loads: exit 3 with file and line"""
        self.start()
        mine = self.integration('local host = ocean.config.nothing.host\n' + list_handler("good", GOOD))
        result = self.ocean(mine, self.port)
        self.assertExit(result, 3)
        self.assertSays(result, "integration.lua:2")

    def test_missing_module(self):
        """require of a module that is not there: exit 3, the module is named"""
        self.start()
        result = self.ocean(self.integration('local x = require "no_such_module"\n'), self.port)
        self.assertExit(result, 3)
        self.assertSays(result, "no_such_module", "integration.lua:2")

    def test_runtime_error(self):
        """A runtime error in one kind: the line and a traceback, exit 4"""
        result = self.run_bad('local function deep(x) return x.field.inner end\n'
                              'ocean.on_resync("bad", function()\n  local x = deep({})\n  return x\nend)\n')
        self.assertContained(result)
        self.assertIn("integration.lua:2", result.errors("bad"))
        self.assertSays(result, "integration.lua:4")

    def test_error_table(self):
        """error with a table that is no error of ours is shown, too"""
        result = self.run_bad('ocean.on_resync("bad", function() error({ code = 7 }) end)\n')
        self.assertContained(result)
        self.assertTrue(result.errors("bad"))

    def test_misuse(self):
        """An unknown option is named with its function"""
        result = self.run_bad('ocean.on_resync("bad", function()\n  ocean.http.client { base_ulr = "http://x" }\nend)\n')
        self.assertContained(result)
        self.assertIn("base_ulr", result.errors("bad"))

    def test_bad_batches(self):
        """Ten batches in a row that are no lists of objects end their handler, not the kind's other handlers"""
        result = self.run_bad('ocean.on_resync("bad", function()\n  for i = 1, 50 do ocean.yield("text") end\nend)\n'
                              'ocean.on_resync("bad", function() return { { id = "B-2", name = "n" } } end)\n')
        self.assertContained(result)
        self.assertIn("B-2", self.port.entities("bad"), result)
        self.assertIn("10 batches in a row", result.errors("bad"))
        self.assertEqual(max(e["count"] for e in result.resource("bad")["errors"]), 10, result)

    def test_os_exit(self):
        """os.exit raises: a run cut short must not look finished"""
        result = self.run_bad('ocean.on_resync("bad", function() os.exit(0) end)\n')
        self.assertContained(result)


class Loops(BadInput):
    def endless(self, line, code, head=""):
        result = self.run_bad(f"{head}ocean.on_resync(\"bad\", function()\n{code}\nend)\n", "--lua-cpu", "0.5")
        self.assertContained(result)
        self.assertIn(f"integration.lua:{line}", result.errors("bad") + result.stderr)
        self.assertIn("lua-cpu", result.errors("bad") + result.stderr, f"the way out is not named\n{result}")
        self.assertLess(result.seconds, 20 * lib.SLOW)

    def test_plain(self):
        """An endless loop is ended at its line"""
        self.endless(4, "  local n = 0\n  while true do n = n + 1 end")

    def test_pcall(self):
        """An endless loop in pcall cannot swallow its end"""
        self.endless(3, "  while true do pcall(function() while true do end end) end")

    def test_xpcall(self):
        """An endless loop in xpcall with a handler that loops as well"""
        self.endless(3, "  while true do xpcall(function() while true do end end, function() while true do end end) end")

    def test_metamethod(self):
        """An endless loop in a metamethod"""
        self.endless(3, "  local t = setmetatable({}, { __index = function() while true do end end })\n  return t.x")

    def test_comparator(self):
        """An endless loop in a sort comparator"""
        self.endless(4, "  local t = { 3, 1, 2 }\n  table.sort(t, function() while true do end end)\n  return t")

    def test_coroutine(self):
        """An endless loop in a coroutine of the script's own"""
        self.endless(3, "  local co = coroutine.wrap(function() while true do pcall(function() while true do end end) end end)\n"
                        "  while true do pcall(co) end")

    def test_memory_bomb(self):
        """A script that takes all memory is ended by its cap, and pcall does not help"""
        for code in ('  local t = {}\n  for i = 1, 1e9 do t[i] = string.rep("x", 1000) .. i end',
                     '  local t = {}\n  while true do pcall(function() for i = 1, 1e9 do t[#t + 1] = ("x"):rep(1000) .. #t end end) end'):
            with self.subTest(code):
                result = self.run_bad(f'ocean.on_resync("bad", function()\n{code}\nend)\n', "--lua-memory", "48M",
                                      "--lua-cpu", "30")
                self.assertContained(result)
                self.assertRegex(result.errors("bad"), r"(?i)memory")
                self.assertIn("lua-memory", result.errors("bad") + result.stderr)


class Mappings(BadInput):
    def handler(self):
        return list_handler("bad", [{"id": "B-1", "name": "b"}, {"id": "B-2", "name": "b"}])

    def test_selector(self):
        """A selector that does not compile: no item passes, the expression is named"""
        result = self.run_bad(self.handler(), bad=resource("bad", query=".open ==", blueprint='"bad"'))
        self.assertContained(result)
        self.assertIn(".open ==", result.errors("bad") + result.stderr)
        self.assertEqual(self.port.count("E-35", self.mark), 0)

    def test_identifier(self):
        """An identifier that does not compile"""
        result = self.run_bad(self.handler(), bad=resource("bad", identifier=".id |", blueprint='"bad"'))
        self.assertContained(result)
        self.assertIn(".id |", result.errors("bad") + result.stderr)

    def test_blueprint(self):
        """A blueprint expression that does not compile"""
        result = self.run_bad(self.handler(), bad=resource("bad", blueprint='"bad'))
        self.assertContained(result)

    def test_nothing_maps(self):
        """Items of which none has an identifier: the kind is in error"""
        result = self.run_bad(self.handler(), bad=resource("bad", identifier=".key", blueprint='"bad"'))
        self.assertContained(result)
        self.assertIn(".key", result.errors("bad") + result.stderr)

    def test_missing_blueprint(self):
        """A blueprint that Port does not have: named, no bulk is sent for it"""
        result = self.run_bad(self.handler(), bad=resource("bad", blueprint='"nope"'))
        self.assertContained(result)
        self.assertIn("nope", result.errors("bad"))
        self.assertEqual([e["path"] for e in self.port.journal("E-31", self.mark) if "nope" in e["path"]], [])

    def test_no_module_loading(self):
        """import in an expression is refused"""
        result = self.run_bad(self.handler(), bad=resource(
            "bad", blueprint='"bad"', properties={"url": 'import "/etc/x" as x; x::y'}))
        self.assertExit(result, 4)
        self.assertIn("B-2", self.port.entities("bad"))
        self.assertSays(result, "properties.url")

    def test_bad_entities(self):
        """Entities that Port rejects: told with Port's reason, the rest is written, the rejected are not deleted"""
        self.start()
        shape = blueprint("bad", {"url": "string"})
        rows = [{"id": "B-1", "name": "b", "u": 5}, {"id": "B-2", "name": "b", "u": "x"}, {"id": "has space", "name": "b"}]
        mine = self.integration(list_handler("bad", rows) + list_handler("good", GOOD),
                                [resource("bad", blueprint='"bad"'), resource("good", blueprint='"good"')],
                                [shape, blueprint("good")])
        result = self.ocean(mine, self.port)
        self.assertExit(result, 4)
        self.assertEqual(result.resource("bad")["rejected"], 2)
        self.assertEqual(sorted(i for i in self.port.entities("bad") if i != "stale"), ["B-1", "B-2"])
        self.assertSays(result, "properties/url")
        self.assertBalanced(result)

    def test_mapping_document(self):
        """A mapping file that is no mapping: exit 3 with file, line and field"""
        self.start()
        mine = self.integration(list_handler("bad", GOOD))
        mine.write(".port/resources/port-app-config.yml", "resources:\n  - kind: bad\n    port:\n      entity: 5\n")
        result = self.ocean(mine, self.port)
        self.assertExit(result, 3)
        self.assertSays(result, "port-app-config.yml:4")

    def test_yaml_syntax(self):
        """A mapping file that is no YAML: exit 3 with its line"""
        self.start()
        mine = self.integration(list_handler("bad", GOOD))
        mine.write(".port/resources/port-app-config.yml", "resources:\n  - kind: [bad\n")
        result = self.ocean(mine, self.port)
        self.assertExit(result, 3)
        self.assertSays(result, "port-app-config.yml")


class ThirdParties(BadInput):
    def fetch(self, reply, code=None, **options):
        """The kind `bad` reads /items of a third party that gives this reply."""
        self.third = self.third_party().on("/items", reply)
        call = code or 'return api:get("/items"):json()'
        return self.run_bad(f'local api = ocean.http.client {{ base_url = "{self.third.url}", retry = {{ base = 0.01 }} }}\n'
                            f'ocean.on_resync("bad", function()\n  {call}\nend)\n', **options)

    def test_status_500(self):
        """The third party answers 500: status, URL and line are named"""
        result = self.fetch(Reply(500, '{"message":"out of order"}'))
        self.assertContained(result)
        self.assertEqual(self.third.count("/items"), 1)
        for text in ("500", "/items", "integration.lua:4"):
            self.assertIn(text, result.errors("bad") + result.stderr)

    def test_status_503_for_ever(self):
        """503 is tried again as often as it says, then it is an error"""
        result = self.fetch(Reply(503, "{}"), code='return api:get("/items"):json()')
        self.assertContained(result)
        self.assertEqual(self.third.count("/items"), 11)

    def test_status_403_caught(self):
        """A failure the script catches still holds deletion back"""
        result = self.fetch(Reply(403, "{}"), code='local ok, page = pcall(function() return api:get("/items"):json() end)\n'
                                                   '  return ok and page or { { id = "B-1", name = "b" } }')
        self.assertContained(result)
        self.assertIn("B-1", self.port.entities("bad"))
        self.assertIn("403", result.errors("bad") + result.stderr)

    def test_raise_false(self):
        """raise = false gives the response and still holds deletion back"""
        result = self.fetch(Reply(404, "{}"), code='local res = api:get("/items", { raise = false })\n'
                                                   '  return res.status == 404 and { { id = "B-1", name = "b" } } or {}')
        self.assertContained(result)

    def test_ignored_status(self):
        """A status that is ignored on purpose is no failure"""
        result = self.fetch(Reply(404, "{}"), code='local res = api:get("/items", { ignore_status = { 404 } })\n'
                                                   '  return { { id = "B-1", name = "b" } }')
        self.assertClean(result)
        self.assertNotIn("stale", self.port.entities("bad"))

    def test_html(self):
        """HTML instead of JSON: the content type and the beginning of the body are shown"""
        result = self.fetch(Reply(200, "<!DOCTYPE html><html><body>Please sign in</body></html>", content_type="text/html"))
        self.assertContained(result)
        self.assertIn("/items", result.errors("bad") + result.stderr)
        self.assertRegex(result.errors("bad"), r"(?i)html")

    def test_html_in_pagination(self):
        """HTML on the second page of a paginator"""
        pages = [[{"id": "B-1", "name": "b"}], Reply(200, "<html>", content_type="text/html")]
        self.third = self.third_party().on("/items", *pages)
        result = self.run_bad(f'local api = ocean.http.client {{ base_url = "{self.third.url}" }}\n'
                              'ocean.on_resync("bad", function()\n'
                              '  for page in ocean.paginate.page(api, "/items", { size = 1 }) do ocean.yield(page) end\nend)\n')
        self.assertContained(result)
        self.assertIn("B-1", self.port.entities("bad"))

    def test_half_a_body(self):
        """Half a body on every try"""
        body = '[' + ",".join('{"id":"B-%d","name":"b"}' % i for i in range(200)) + ']'
        result = self.fetch(Reply(200, body, cut=len(body) // 2))
        self.assertContained(result)
        self.assertGreater(self.third.count("/items"), 1)  # a cut-off body of an idempotent request is tried again
        self.assertIn("/items", result.errors("bad") + result.stderr)

    def test_half_a_body_once(self):
        """Half a body once, then all of it: no failure"""
        body = '[{"id":"B-1","name":"b"},{"id":"stale","name":"s"}]'
        self.third = self.third_party().on("/items", Reply(200, body, cut=20), Reply(200, body))
        result = self.run_bad(f'local api = ocean.http.client {{ base_url = "{self.third.url}" }}\n'
                              'ocean.on_resync("bad", function()\n  return api:get("/items"):json()\nend)\n')
        self.assertClean(result)
        self.assertEqual(self.third.count("/items"), 2)

    def test_nobody_listens(self):
        """Connection refused: the URL is named"""
        url = f"http://127.0.0.1:{lib.free_port()}"
        result = self.run_bad(f'local api = ocean.http.client {{ base_url = "{url}", retry = false }}\n'
                              'ocean.on_resync("bad", function() return api:get("/items"):json() end)\n')
        self.assertContained(result)
        self.assertIn(url, result.errors("bad") + result.stderr)

    def test_items_path_absent(self):
        """A paginator whose items are not where they were: an error, not an empty kind"""
        self.third = self.third_party().on("/items", {"message": "moved"})
        result = self.run_bad(f'local api = ocean.http.client {{ base_url = "{self.third.url}" }}\n'
                              'ocean.on_resync("bad", function()\n'
                              '  for page in ocean.paginate.offset(api, "/items", { items = "data" }) do ocean.yield(page) end\n'
                              'end)\n')
        self.assertContained(result)
        self.assertIn("data", result.errors("bad"))

    def test_too_large(self):
        """An answer over max_size"""
        self.third = self.third_party().on("/items", [{"id": "B-1", "name": "x" * 100000}])
        result = self.run_bad(f'local api = ocean.http.client {{ base_url = "{self.third.url}", max_size = 10000 }}\n'
                              'ocean.on_resync("bad", function() return api:get("/items"):json() end)\n')
        self.assertContained(result)
        self.assertIn("max_size", result.errors("bad") + result.stderr)


if __name__ == "__main__":
    main()
