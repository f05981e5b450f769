"""ocean.parallel, ocean.map and ocean.spawn in a resync: all of it belongs to the handler, and so to its completeness."""
import threading

from lib import SLOW, Case, Reply, main

CLIENT = 'local api = ocean.http.client { base_url = "%s", retry = false }\n'


def items(*numbers):
    return [{"id": f"A-{i}", "name": f"Item {i}", "u": f"https://x.example/{i}"} for i in numbers]


def together(n, reply):
    """A reply that is given only when n requests wait for it at the same time."""
    barrier = threading.Barrier(n)

    def answer(_):
        barrier.wait(30 * SLOW)
        return reply
    return answer


class Parallel(Case):
    def test_side_by_side(self):
        """parallel: requests are under way together, results come in order, batches of all functions arrive"""
        third, port = self.third_party(), self.port_local()
        answer = together(3, {"ok": True})
        for path in ("/a", "/b", "/c"):
            third.on(path, answer)
        third.on("/list/1", items(1, 2)).on("/list/2", items(3))
        script = CLIENT % third.url + '''
            ocean.on_resync("issue", function()
              local order = ocean.parallel {
                function() return api:json("GET", "/a").ok and "a" end,
                function() return api:json("GET", "/b").ok and "b" end,
                function() return api:json("GET", "/c").ok and "c" end,
              }
              ocean.log.info("order " .. table.concat(order))
              ocean.map({ 1, 2 }, 2, function(n) ocean.yield(api:json("GET", "/list/" .. n)) end)
            end)'''
        result = self.ocean(self.integration(script), port)
        self.assertClean(result)
        self.assertSays(result, "order abc")
        self.assertEqual(sorted(port.entities("issue")), ["A-1", "A-2", "A-3"])

    def test_first_error(self):
        """parallel: the first error ends the others and fails the resource with its line; nothing is deleted"""
        third, port = self.third_party(), self.port_local()
        third.on("/slow", Reply(body="[]", delay_s=20)).on("/bad", Reply(500, "no"))
        port.create_blueprints({"identifier": "issue", "title": "Issue", "schema": {"properties": {"url": {"type": "string"}}}})
        port.put("issue", [{"identifier": "A-9", "title": "old"}])
        script = CLIENT % third.url + '''
            ocean.on_resync("issue", function()
              ocean.parallel {
                function() api:get("/slow") end,
                function() api:get("/bad") end,
              }
            end)'''
        result = self.ocean(self.integration(script), port)
        self.assertExit(result, 4)
        self.assertLess(result.seconds, 15 * SLOW)
        self.assertIn("integration.lua:7: GET " + third.url + "/bad answered 500", result.errors("issue"))
        self.assertEqual(len(result.resource("issue")["errors"]), 1, result)
        self.assertIn("A-9", port.entities("issue"))

    def test_caught_in_a_child(self):
        """parallel: a failed request in a function holds deletion back although the script caught it"""
        third, port = self.third_party(), self.port_local()
        third.on("/good", items(1, 2)).on("/bad", items(3), Reply(503, "no"))
        script = CLIENT % third.url + '''
            ocean.on_resync("issue", function()
              ocean.parallel {
                function() ocean.yield(api:json("GET", "/good")) end,
                function() pcall(function() ocean.yield(api:json("GET", "/bad")) end) end,
              }
            end)'''
        integration = self.integration(script)
        self.assertClean(self.ocean(integration, port))
        result = self.ocean(integration, port)
        self.assertExit(result, 4)
        self.assertIn("/bad answered 503", result.errors("issue"))
        self.assertEqual(sorted(port.entities("issue")), ["A-1", "A-2", "A-3"])


class Spawn(Case):
    def test_handler_waits(self):
        """spawn: a handler that returned is over only when what it spawned is"""
        third, port = self.third_party(), self.port_local()
        third.on("/late", Reply(body='[{"id":"A-2","name":"Item 2","u":"u"}]', delay_s=0.3))
        script = CLIENT % third.url + '''
            ocean.on_resync("issue", function()
              ocean.spawn(function() ocean.yield(api:json("GET", "/late")) end)
              return { { id = "A-1", name = "Item 1", u = "u" } }
            end)'''
        result = self.ocean(self.integration(script), port)
        self.assertClean(result)
        self.assertEqual(sorted(port.entities("issue")), ["A-1", "A-2"])

    def test_error_nobody_joined(self):
        """spawn: an error nobody joined is one of the resource: exit 4, nothing deleted; a joined one is the script's"""
        third, port = self.third_party(), self.port_local()
        third.on("/rest", items(2), [])
        first = '''
            ocean.on_resync("issue", function()
              ocean.spawn(function() ocean.yield(api:json("GET", "/rest")) %s end)
              return { { id = "A-1", name = "Item 1", u = "u" } }
            end)'''
        integration = self.integration(CLIENT % third.url + first % "")
        self.assertClean(self.ocean(integration, port))
        integration.rewrite(CLIENT % third.url + first % 'error("half of it")')
        result = self.ocean(integration, port)
        self.assertExit(result, 4)
        self.assertIn("half of it", result.errors("issue"))
        self.assertEqual(sorted(port.entities("issue")), ["A-1", "A-2"])
        integration.rewrite('''
            ocean.on_resync("issue", function()
              local task = ocean.spawn(function() error("expected", 0) end)
              local ok, message = pcall(task.join, task)
              return { { id = "A-1", name = message, u = "u" } }
            end)''')
        self.assertClean(self.ocean(integration, port))
        self.assertEqual(list(port.entities("issue")), ["A-1"])
        self.assertEqual(port.entities("issue")["A-1"]["title"], "expected")


if __name__ == "__main__":
    main()
