"""The first start in Port, the starts after it, and what a run reports there (port-api P-234, P-235; runtime section 4)."""
import os
import signal
import subprocess
import time

import lib
from lib import Case, blueprint, list_handler, main, resource

ITEMS = [{"id": "A-1", "name": "one", "u": "x"}]


def first_start(entries):
    """Routes until the resync begins."""
    routes = []
    for e in entries:
        if e["route"] == "E-9":
            break
        routes.append(e["route"])
    return routes


def collapse(routes):
    return [r for i, r in enumerate(routes) if i == 0 or routes[i - 1] != r]


class Start(Case):
    def two_blueprints(self):
        team = {**blueprint("team"), "relations": {}}
        issue = blueprint(relations={"team": {"target": "team", "required": False, "many": False}})
        issue["mirrorProperties"] = {"teamName": {"title": "Team", "path": "team.$title"}}
        return [issue, team]

    def test_first_start(self):
        """P-234 the first start asks and writes in the stated order; blueprints in three stages"""
        port = self.port_local()
        tap = self.tap(port)
        mine = self.integration(list_handler("issue", ITEMS), blueprints=self.two_blueprints())
        result = self.ocean(mine, tap)
        self.assertClean(result)
        entries = port.journal()
        routes = first_start(entries)
        # The second read of the absent integration may be left out (runtime R-3); a PATCH is sent only on difference.
        expected = [["E-1"], ["E-5"], ["E-4", "E-2"], ["E-5"], ["E-6"], ["E-7"], ["E-23"], ["E-24"], ["E-25"], ["E-7"]]
        order = [r for r in collapse(routes)]
        self.assertEqual(order[0], "E-1", routes)
        self.assertEqual(order[1], "E-5", routes)
        self.assertLess(order.index("E-4"), order.index("E-6"), routes)
        self.assertLess(order.index("E-2"), order.index("E-6"), routes)
        for earlier, later in (("E-6", "E-23"), ("E-23", "E-24"), ("E-24", "E-25")):
            self.assertLess(max(i for i, r in enumerate(routes) if r == earlier),
                            min(i for i, r in enumerate(routes) if r == later), f"{expected}\n{routes}")
        self.assertEqual((routes.count("E-23"), routes.count("E-24"), routes.count("E-25")), (2, 2, 4), routes)
        self.assertEqual(entries[1]["status"], 404)
        self.assertFalse([e for e in entries if e["route"] == "unmatched"], entries)

        created = tap.sent("POST", "/v1/integration")[0].json
        self.assertEqual((created["installationId"], created["installationAppType"], created["version"]),
                         ("my-jira", "jira", "1.4.2"))
        self.assertEqual([r["kind"] for r in created["config"]["resources"]], ["issue"])
        bare = [r.json for r in tap.sent("POST", "/v1/blueprints")]
        self.assertEqual(sorted(b["identifier"] for b in bare), ["issue", "team"])
        self.assertFalse([b for b in bare if b.get("relations") or b.get("mirrorProperties")], bare)
        patches = [r.json for r in tap.requests if r.method == "PATCH" and r.path == "/v1/blueprints/issue"]
        self.assertEqual([bool(p.get("relations")) for p in patches], [True, True])
        self.assertEqual([bool(p.get("mirrorProperties")) for p in patches], [False, True])
        last = [r.json for r in tap.requests if r.method == "PATCH" and r.path == "/v1/integration/my-jira"][-1]
        self.assertIs(last["arePortResourcesInitialized"], True)
        for request in tap.requests:
            self.assertTrue(request.headers["user-agent"].startswith("port-ocean/jira/1.4.2/my-jira"), request.path)
            if not request.path.endswith("/access_token"):
                self.assertTrue(request.headers.get("authorization", "").startswith("Bearer "), request.path)

    def test_second_start(self):
        """P-234 the second start writes nothing"""
        port = self.port_local()
        mine = self.integration(list_handler("issue", ITEMS), blueprints=self.two_blueprints())
        self.assertClean(self.ocean(mine, port))
        mark = port.mark()
        self.assertClean(self.ocean(mine, port))
        routes = first_start(port.journal(since=mark))
        self.assertFalse(set(routes) & {"E-6", "E-7", "E-8", "E-24", "E-25", "E-26", "E-27"}, routes)

    def test_existing_blueprint(self):
        """A default blueprint that exists already: none is created, none is changed, the flag is set"""
        port = self.port_local()
        port.create_blueprints(blueprint("team", {"own": "string"}), blueprint("issue"))
        mark = port.mark()
        self.assertClean(self.ocean(self.integration(list_handler("issue", ITEMS), blueprints=self.two_blueprints()), port))
        routes = first_start(port.journal(since=mark))
        self.assertFalse(set(routes) & {"E-24", "E-25", "E-26", "E-27"}, routes)
        self.assertTrue(port.integration()["arePortResourcesInitialized"])

    def test_rollback(self):
        """A blueprint that Port refuses: those created are removed again, the next start tries anew"""
        port = self.port_local()
        port.fault({"route": "E-25"}, {"type": "status", "status": 422}, count=1)
        mine = self.integration(list_handler("issue", ITEMS), blueprints=self.two_blueprints())
        result = self.ocean(mine, port)
        self.assertIn(result.code, (1, 3), result)
        self.assertGreater(port.count("E-27"), 0)
        self.assertFalse(port.integration().get("arePortResourcesInitialized"))
        self.assertClean(self.ocean(mine, port))
        self.assertTrue(port.integration()["arePortResourcesInitialized"])
        self.assertEqual(list(port.entities("issue")), ["A-1"])

    def test_state_and_order(self):
        """P-235 running, then the writes, then completed; mapping read anew; the example; nothing unmatched"""
        port = self.port_local()
        mine = self.integration(list_handler("issue", ITEMS))
        self.assertClean(self.ocean(mine, port))
        mark = port.mark()
        result = self.ocean(mine, port)
        self.assertClean(result)
        entries = port.journal(since=mark)
        routes = [e["route"] for e in entries]
        states = [i for i, r in enumerate(routes) if r == "E-9"]
        self.assertEqual(len(states), 2, routes)
        inside = routes[states[0]:states[1]]
        for route in ("E-5", "E-13", "E-31", "E-35"):
            self.assertIn(route, inside, routes)
        self.assertLess(inside.index("E-31"), inside.index("E-35"))
        self.assertNotIn("unmatched", routes)
        self.assertEqual(port.integration()["resyncState"]["status"], "completed")
        # The summary counts the run's own requests, not those of the start.
        self.assertEqual(result.summary["requests"], len(routes) - states[0], routes)

    def test_inline_definition(self):
        """ocean.define instead of a .port folder"""
        port = self.port_local()
        path = os.path.join(self.folder, "inline.lua")
        with open(path, "w", encoding="utf-8") as f:
            f.write('local ocean = require "ocean"\n'
                    'ocean.define { type = "jira", version = "1.4.2",\n'
                    '  blueprints = { { identifier = "issue", title = "Issue", schema = { properties = {} } } },\n'
                    '  mapping = { resources = { { kind = "issue", selector = { query = "true" }, port = { entity = {\n'
                    '    mappings = { identifier = ".id", blueprint = \'"issue"\' } } } } } } }\n'
                    'ocean.on_resync("issue", function() return { { id = "inline" } } end)\n')
        result = lib.run_program([lib.OCEAN_RUN, "--once", "--json", "--state", self.folder + "/s", path],
                                 lib.ocean_env(port.url), cwd=self.folder)
        self.assertClean(result)
        self.assertEqual(list(port.entities("issue")), ["inline"])
        self.assertEqual(port.integration()["version"], "1.4.2")

    def test_wrong_credentials(self):
        """Wrong credentials: one request, exit 3, the settings are named, the secret is not"""
        port = self.port_local("--auth", "fixed", "--client", "right:secret")
        result = self.ocean(self.integration(list_handler("issue", ITEMS)), port)
        self.assertExit(result, 3)
        self.assertNotIn("top-secret", result.stderr + result.stdout)
        self.assertSays(result, "OCEAN__PORT__CLIENT_ID")
        entries = port.local("GET", "/journal?limit=100")["entries"]
        self.assertEqual([e["route"] for e in entries], ["E-1"])

    def test_port_unreachable(self):
        """Port cannot be reached: exit 1, the URL and its setting are named"""
        url = f"http://127.0.0.1:{lib.free_port()}"
        mine = self.integration(list_handler("issue", ITEMS))
        command = [lib.OCEAN_RUN, "--once", "--json", "--state", mine.state, mine.path]
        proc = subprocess.Popen(command, env=lib.ocean_env(url), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)
        self.addCleanup(proc.stderr.close)
        self.addCleanup(proc.stdout.close)
        # Retries go on for minutes; it must say why it waits, and stop at once when told.
        text = ""
        deadline = time.monotonic() + 30 * lib.SLOW
        while url.split("//")[1] not in text and time.monotonic() < deadline:
            line = proc.stderr.readline()
            if not line:
                break
            text += line
        proc.send_signal(signal.SIGTERM)
        code = proc.wait(30 * lib.SLOW)
        self.assertIn(url.split("//")[1], text)
        self.assertIn(code, (1, 143))

    def test_sigterm(self):
        """SIGTERM in a resync: reported as aborted, exit 143, nothing deleted"""
        port = self.port_local()
        port.create_blueprints(blueprint())
        port.put("issue", [{"identifier": "stale"}])
        third = self.third_party().on("/wait", lib.Reply(delay_s=30, body="[]"))
        mine = self.integration(f'local api = ocean.http.client {{ base_url = "{third.url}" }}\n'
                                'ocean.on_resync("issue", function() return api:get("/wait"):json() end)\n')
        command = [lib.OCEAN_RUN, "--once", "--json", "--state", mine.state, mine.path]
        proc = subprocess.Popen(command, env=lib.ocean_env(port.url), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)
        try:
            deadline = time.monotonic() + 30 * lib.SLOW
            while not third.count("/wait") and time.monotonic() < deadline:
                time.sleep(0.02)
            self.assertEqual(third.count("/wait"), 1)
            proc.send_signal(signal.SIGTERM)
            _, err = proc.communicate(timeout=20 * lib.SLOW)
        finally:
            lib.terminate(proc)
        self.assertEqual(proc.returncode, 143, err)
        self.assertEqual(port.integration()["resyncState"]["status"], "aborted")
        self.assertEqual(list(port.entities("issue")), ["stale"])


class Waits(Case):
    def test_rate_limit(self):
        """503 with Retry-After on a bulk: tried again, no entity lost, none counted twice"""
        port = self.port_local()
        port.fault({"route": "E-31"}, {"type": "status", "status": 503, "headers": {"Retry-After": "1"}}, count=2)
        result = self.ocean(self.integration(list_handler("issue", ITEMS)), port)
        self.assertClean(result)
        self.assertEqual([e["status"] for e in port.journal("E-31")], [503, 503, 200])
        self.assertEqual(result.resource("issue")["created"], 1)

    def test_reset(self):
        """A connection that Port resets: tried again"""
        port = self.port_local()
        port.fault({"route": "E-31"}, {"type": "reset", "at": "beforeBody"}, count=1)
        result = self.ocean(self.integration(list_handler("issue", ITEMS)), port)
        self.assertClean(result)
        self.assertEqual(list(port.entities("issue")), ["A-1"])

    def test_latency(self):
        """A slow Port changes nothing"""
        port = self.port_local()
        port.fault({"path": "/**"}, {"type": "latency", "ms": 50}, count=0)
        rows = [{"id": f"A-{i}", "name": "x"} for i in range(100)]
        result = self.ocean(self.integration(list_handler("issue", rows)), port)
        self.assertClean(result)
        self.assertEqual(len(port.entities("issue")), 100)

    def test_token_expires(self):
        """401 in the middle of a run: a new token, the request again"""
        port = self.port_local()
        port.fault({"route": "E-31"}, {"type": "status", "status": 401}, count=1)
        result = self.ocean(self.integration(list_handler("issue", ITEMS)), port)
        self.assertClean(result)
        self.assertEqual([e["status"] for e in port.journal("E-31")], [401, 200])
        self.assertEqual(port.count("E-1"), 2)

    def test_dependencies(self):
        """P-237 without createMissingRelatedEntities what missed its target is sent again at the end"""
        port = self.port_local()
        shape = blueprint(relations={"parent": {"target": "issue", "required": False, "many": False}})
        rows = [{"id": "C", "parent": "B"}, {"id": "B", "parent": "A"}, {"id": "A"}]
        mine = self.integration(list_handler("issue", rows), [resource(title=None, relations={"parent": ".parent"})],
                                [shape], {"createMissingRelatedEntities": False})
        result = self.ocean(mine, port)
        self.assertExit(result, 0)
        found = port.entities("issue")
        self.assertEqual({k: v["relations"].get("parent") for k, v in found.items()}, {"A": None, "B": "A", "C": "B"})
        self.assertEqual(port.count("E-30"), 2)


if __name__ == "__main__":
    main()
