"""The routes of a script over real HTTP (runtime, section 9): ocean-run without --once beside port-local."""
import json
import socket
import threading
import time

from lib import SLOW, Case, Service, list_handler, main, terminate

SCRIPT = """
ocean.router.get("/hello/{name}", function(req)
  return { name = req.params.name, q = req.query.q, all = ocean.array(req:query_all("q")), h = req.headers["X-Thing"],
           id = req.id, event = ocean.event.type, trigger = ocean.event.trigger_type, event_id = ocean.event.id,
           big = ocean.json.decode("9007199254740993"), none = ocean.array{}, cookie = req.cookies.a, method = req.method }
end)
ocean.router.get("/hello/you", function() return "never: the first that fits serves" end)
ocean.router.get("/files/{rest:path}", function(req) return req.params.rest end)
ocean.router.post("/echo", function(req) return 201, req.body, { ["Content-Type"] = "application/octet-stream", ["X-Mine"] = "1" } end)
ocean.router.post("/json", function(req) return req.json end)
ocean.router.get("/nil", function() end)
ocean.router.delete("/thing", function() return 204 end)
ocean.router.get("/boom", function() local t = nil; return t.field end)
ocean.router.get("/chosen", function() error(ocean.error("request", "no such thing", { status = 404 })) end)
ocean.router.get("/teapot", function() return 700 end)
ocean.router.get("/slow", function() ocean.sleep(0.5); return "slow" end)
ocean.router.get("/spin", function() while true do end end)
ocean.router.get("/late", function() ocean.router.get("/x", function() end) end)
ocean.router.post("/register", function(req) local w, f = ocean.register_raw("issue", { req.json }); return { w, ocean.array(f) } end)
ocean.router.post("/accept", function(req)
  local item = req.json
  ocean.spawn(function() ocean.sleep(0.1) ocean.register_raw("issue", { item }) end)
  ocean.spawn(function() ocean.sleep(0.05) error("nobody joined this") end)
  return 202
end)
ocean.router.post("/resync", function() return { (ocean.sync_raw_all()) } end)
"""


class Routes(Service):
    def setUp(self):
        super().setUp()
        self.port = self.port_local()
        self.start(SCRIPT + list_handler("issue", [{"id": "A-1", "name": "One", "u": "u"}]))


class Answers(Routes):
    def test_spawned(self):
        """a route answers when its function returned; what it spawned goes on, and its errors are logged"""
        status, _, _ = self.request("POST", "/integration/accept", json.dumps({"id": "S-1", "name": "Spawned", "u": "u"}))
        self.assertEqual(status, 202)
        self.until(lambda: "S-1" in self.port.entities("issue"))
        self.wait_log("nobody joined this")

    def test_request_fields(self):
        """Parameters, query, headers, cookies, the event; integers and empty lists survive"""
        status, headers, body = self.request("GET", "/integration/hello/a%2Fb%20c?q=1&q=two+words&x", headers={
            "x-thing": "7", "Cookie": "b=2; a=1"})
        value = json.loads(body)
        self.assertEqual((status, headers["Content-Type"]), (200, "application/json"))
        self.assertEqual(value["name"], "a/b c")
        self.assertEqual((value["q"], value["all"], value["h"], value["cookie"]), ("1", ["1", "two words"], "7", "1"))
        self.assertEqual((value["event"], value["trigger"]), ("http_request", "request"))
        self.assertIn(b"9007199254740993", body)
        self.assertIn(b'"none":[]', body)
        self.assertEqual(headers["X-Request-ID"], value["id"])
        self.assertEqual(value["event_id"], value["id"])
        self.assertRegex(headers["X-Process-Time"], r"^\d+\.\d{5}$")
        self.assertRegex(self.log(), rf"Request to /integration/hello/\S+ ended request_id={value['id']} response_status=200")

    def test_bodies(self):
        """Raw bytes both ways, JSON, nil, no content, the rest of a path"""
        raw = bytes(range(256))
        status, headers, body = self.request("POST", "/integration/echo", raw)
        self.assertEqual((status, headers["X-Mine"], headers["Content-Type"], body), (201, "1", "application/octet-stream", raw))
        self.assertEqual(self.request("POST", "/integration/json", b'[1.10,{}]')[2], b"[1.10,{}]")
        self.assertEqual(self.get("/integration/nil"), (200, b"null"))
        self.assertEqual(self.request("DELETE", "/integration/thing")[0::2], (204, b""))
        self.assertEqual(self.value("/files/a/b%2Fc/"), "a/b/c/")

    def test_wrong_json(self):
        """A body that is no JSON is 422, without a line at error level"""
        status, _, body = self.request("POST", "/integration/json", b"{")
        self.assertEqual(status, 422)
        self.assertIn("not JSON", json.loads(body)["detail"])

    def test_no_route(self):
        """404, 405 with Allow, 307 where only a slash differs"""
        self.assertEqual(self.get("/integration/nothing"), (404, b'{"detail":"Not Found"}'))
        status, headers, _ = self.request("POST", "/integration/hello/x")
        self.assertEqual((status, headers["Allow"]), (405, "GET"))
        status, headers, _ = self.request("GET", "/integration/nil/?a=1")
        self.assertEqual((status, headers["Location"]), (307, "/integration/nil?a=1"))
        self.assertEqual(self.get("/other")[0], 404)

    def test_errors(self):
        """An error is 500 to the caller; file, line and request id are in the log alone"""
        status, headers, body = self.request("GET", "/integration/boom")
        self.assertEqual((status, body, headers["Content-Type"]), (500, b"Internal server error", "text/plain; charset=utf-8"))
        self.assertRegex(self.log(), rf"request_id={headers['X-Request-ID']} GET /boom: .*integration\.lua:\d+: attempt to index")
        self.assertEqual(self.get("/integration/chosen"), (404, b'{"detail":"no such thing"}'))
        self.assertEqual(self.get("/integration/teapot")[0], 500)
        self.assertEqual(self.get("/integration/late")[0], 500)
        self.assertIn("routes are registered while the script is loaded", self.log())

    def test_docs(self):
        """/docs and /openapi.json list the routes"""
        self.assertIn(b"/integration/hello/{name}", self.get("/docs")[1])
        self.assertIn("delete", json.loads(self.get("/openapi.json")[1])["paths"]["/integration/thing"])


class Together(Routes):
    def test_slow_ones(self):
        """A hundred slow handlers run side by side and delay neither health nor each other"""
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(self.value("/slow"))) for _ in range(100)]
        begun = time.monotonic()
        for t in threads:
            t.start()
        self.assertEqual(self.get("/health/live")[0], 200)
        for t in threads:
            t.join()
        self.assertEqual(answers, ["slow"] * 100)
        self.assertLess(time.monotonic() - begun, 25 * SLOW)

    def test_endless_handler(self):
        """A handler that never ends is stopped by its limit; others go on"""
        self.assertEqual(self.get("/integration/spin")[0], 500)
        self.assertEqual(self.get("/integration/nil")[0], 200)
        self.assertIn("/spin", self.log())

    def test_disconnect(self):
        """A caller that goes away harms nobody"""
        with socket.create_connection(("127.0.0.1", self.number)) as s:
            s.sendall(b"GET /integration/slow HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.7)
        self.assertEqual(self.get("/integration/nil")[0], 200)

    def test_large_body(self):
        """A body beyond 10 MiB is 413"""
        self.assertEqual(self.request("POST", "/integration/echo", b"x" * ((10 << 20) + 1))[0], 413)
        self.assertEqual(self.request("POST", "/integration/echo", b"x" * (10 << 20))[0], 201)

    def test_register(self):
        """T-39 register_raw inside a request: the event is http_request, without a resync id"""
        since = self.port.mark()
        _, _, body = self.request("POST", "/integration/register", json.dumps({"id": "A-9", "name": "Nine"}).encode())
        self.assertEqual(json.loads(body)[0][0]["identifier"], "A-9")
        bulk, = [e for e in self.port.journal("E-31", since) if "event_type=resync" not in e["query"]]
        self.assertEqual(bulk["query"].count("ocean_info_event_type=http_request"), 1)
        self.assertNotIn("resync_id", bulk["query"])
        self.assertIn("A-9", self.port.entities("issue"))

    def test_resync(self):
        """sync_raw_all from a route runs a whole resync"""
        self.assertEqual(json.loads(self.request("POST", "/integration/resync")[2]), [True])
        self.assertIn("A-1", self.port.entities("issue"))

    def test_stop(self):
        """SIGTERM: not ready any more, ends with 0"""
        self.assertEqual(terminate(self.proc), 0, self.log())


class Prefix(Service):
    def setUp(self):
        super().setUp()
        self.port = self.port_local()
        self.start(SCRIPT + list_handler("issue", []), OCEAN__PATH_PREFIX="/p/")

    def test_prefix(self):
        """T-37 with a prefix: routes below it, health with and without, /docs without"""
        self.assertEqual(self.get("/p/integration/nil"), (200, b"null"))
        for path, status in (("/integration/nil", 404), ("/p/health/live", 200), ("/health/live", 200), ("/docs", 200),
                             ("/pp/integration/nil", 404)):
            self.assertEqual(self.get(path)[0], status, path)


class Mistakes(Case):
    def test_patterns(self):
        """A wrong pattern names the route and the way out"""
        port = self.port_local()
        for path, says in (("hello", 'begins with "/"'), ("/a{b}", "a parameter is a whole segment"), ("/{a:int}", "only {name} and {name:path}"),
                           ("/{a:path}/b", "nothing may follow"), ("/{}", "a parameter is a whole segment"), ("/a?b", "holds no query")):
            result = self.ocean(self.integration(f'ocean.router.get("{path}", function() end)\n' + list_handler("issue", [])), port)
            self.assertExit(result, 3)
            self.assertSays(result, "integration.lua:2:", says)


if __name__ == "__main__":
    main()
