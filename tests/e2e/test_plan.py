"""--plan shows what a resync would change and writes nothing; --accept-plan changes exactly that, or nothing."""
import glob
import json
import os
import signal
import sqlite3
import subprocess
import time
import unittest

from lib import (OCEAN_RUN, SANITIZED, SLOW, Case, PortError, Reply, batch_handler, blueprint, list_handler, main,
                 ocean_env, resource, run_program)

ASKING = {"/v1/entities/search", "/v1/blueprints/entities/datasource-entities", "/v1/auth/access_token"}


def items(n, first=1):
    return [{"id": f"A-{i}", "name": f"Item {i}", "u": "x"} for i in range(first, first + n)]


class Plan(Case):
    def start(self, script, *args, **kw):
        self.port = self.port_local()
        self.mine = self.integration(script, *args, **kw)

    def plan(self, *args, json_output=False, **env):
        """A plan, and the proof that it only asked."""
        mark = self.port.mark()
        state = self.state()
        command = [OCEAN_RUN, "--once", "--plan", "--state", self.mine.state, *args]
        command += (["--json"] if json_output else []) + [self.mine.path]
        result = run_program(command, ocean_env(self.port.url, **env), cwd=self.folder)
        self.assertOnlyAsked(mark, result)
        self.assertEqual(self.state(), state, "the state file was changed by a plan")
        self.assertEqual(glob.glob(self.mine.state + "/*.plan*"), [])
        result.lines = [json.loads(line) for line in result.stdout.splitlines()] if json_output else None
        found = [line for line in result.stdout.splitlines() if line.startswith("hash: ")]
        result.hash = result.lines[-1]["plan"]["hash"] if result.lines else found[0][6:] if found else None
        return result

    def accept(self, hash_, *args, **env):
        return self.ocean(self.mine, self.port, "--accept-plan", hash_, *args, **env)

    def assertOnlyAsked(self, mark, result):
        for e in self.port.journal(since=mark):
            asks = e["method"] == "GET" or (e["method"] == "POST" and e["path"].split("?")[0] in ASKING)
            self.assertTrue(asks, f"{e['method']} {e['path']}\n{result}")

    def state(self):
        """Everything in the state file; None: there is none. A file without anything in it is as good as none."""
        found = []
        for name in glob.glob(self.mine.state + "/*.db"):
            with sqlite3.connect(f"file:{name}?mode=ro", uri=True) as db:
                found += db.execute("SELECT * FROM value ORDER BY 1, 2").fetchall()
                found += db.execute("SELECT * FROM item ORDER BY 1, 2").fetchall()
        return found or None

    def identifiers(self, name="issue"):
        return sorted(self.port.entities(name))


class Shown(Plan):
    def test_first_run(self):
        """Nothing is in Port yet: set-up and entities are shown, nothing is created"""
        self.start(list_handler("issue", items(2)))
        result = self.plan()
        self.assertExit(result, 0)
        for part in ("+ integration my-jira\n", "+ mapping my-jira\n", "+ blueprint issue\n",
                     '+ issue/A-1\n      title: "Item 1"\n      properties.url: "x"\n+ issue/A-2\n',
                     "plan: 2 to create, 0 unchanged\n", f"run again with --accept-plan {result.hash}\n"):
            self.assertIn(part, result.stdout)
        self.assertEqual(self.port.integrations_named("my-jira"), [])
        self.assertRaises(PortError, self.port.call, "GET", "/blueprints/issue")

    def test_changes(self):
        """Creates with their fields, updates with old and new, deletes with the reason, sorted"""
        self.start(list_handler("issue", items(5)))
        self.assertClean(self.ocean(self.mine, self.port))
        self.mine.rewrite(list_handler("issue", [
            {"id": "A-10", "name": "ten", "u": "y" * 100}, {"id": "A-2", "name": "Item 2", "u": "z"}] + items(2, 4)))
        result = self.plan()
        self.assertExit(result, 0)
        self.assertTrue(result.stdout.startswith(
            "- issue/A-1  no longer produced by issue-0\n"
            '+ issue/A-10\n      title: "ten"\n      properties.url: "' + "y" * 50 + '..." (100 characters)\n'
            '~ issue/A-2\n      properties.url: "x" -> "z"\n'
            "- issue/A-3  no longer produced by issue-0\n"
            "plan: 1 to create, 1 to update, 2 to delete, 2 unchanged\n"), result)

    def test_stable(self):
        """The same world gives the same bytes and the same hash, as text and as JSON"""
        self.start(batch_handler("issue", items(3), items(3, 4)))
        first, again = self.plan(), self.plan()
        self.assertEqual(first.stdout, again.stdout)
        lines = self.plan(json_output=True)
        self.assertEqual(lines.hash, first.hash)
        self.assertRegex(first.hash, "^[0-9a-f]{20}$")
        self.mine.rewrite(batch_handler("issue", items(1, 6), items(5)))
        self.assertEqual(self.plan().hash, first.hash)
        self.mine.rewrite(batch_handler("issue", items(5)))
        self.assertNotEqual(self.plan().hash, first.hash)

    def test_json(self):
        """--json: a line for each change, then totals"""
        self.start(list_handler("issue", items(3)))
        self.assertClean(self.ocean(self.mine, self.port))
        self.mine.rewrite(list_handler("issue", [{"id": "A-1", "name": None, "u": "x"}, {"id": "B", "name": "b"}] + items(1, 2)))
        result = self.plan(json_output=True)
        self.assertEqual(result.lines[:-1], [
            {"change": "update", "type": "entity", "blueprint": "issue", "identifier": "A-1",
             "fields": [{"path": "title", "before": "Item 1"}]},
            {"change": "delete", "type": "entity", "blueprint": "issue", "identifier": "A-3",
             "resources": [{"kind": "issue", "index": 0}]},
            {"change": "create", "type": "entity", "blueprint": "issue", "identifier": "B",
             "fields": [{"path": "title", "after": "b"}]}])
        plan = result.lines[-1]["plan"]
        self.assertEqual((plan["create"], plan["update"], plan["delete"], plan["unchanged"], plan["complete"]),
                         (1, 1, 1, 1, True))

    def test_nothing(self):
        """Nothing to do: exit 0, and the plan says so"""
        self.start(list_handler("issue", items(3)))
        self.assertClean(self.ocean(self.mine, self.port))
        result = self.plan()
        self.assertExit(result, 0)
        self.assertIn("plan: nothing to change, 3 unchanged\n", result.stdout)

    def test_kinds_of_values(self):
        """Objects by dotted path, lists and teams by what came and went"""
        definition = blueprint("issue", {"config": "object", "tags": "array"},
                               {"deps": {"target": "issue", "many": True, "required": False}})
        mapped = resource(properties={"config": ".config", "tags": ".tags"}, relations={"deps": ".deps"}, team=".team")
        self.start(list_handler("issue", [
            {"id": "a", "name": "a", "config": {"port": 1, "a.b": 1}, "tags": ["x", "y"], "deps": ["b"], "team": ["t", "s"]},
            {"id": "b", "name": "b"}]), [mapped], [definition])
        self.assertClean(self.ocean(self.mine, self.port))
        self.mine.rewrite(list_handler("issue", [
            {"id": "a", "name": "a", "config": {"port": 2, "a.b": 2}, "tags": ["y", "z"], "deps": ["b", "a"], "team": ["s", "u"]},
            {"id": "b", "name": "b"}]))
        self.assertIn('~ issue/a\n      team: +"u" -"t"\n      properties.config."a.b": 1 -> 2\n'
                      '      properties.config.port: 1 -> 2\n      properties.tags: +"z" -"x"\n'
                      '      relations.deps: +"a"\nplan: 1 to update, 1 unchanged\n', self.plan().stdout)

    def test_what_port_does_itself(self):
        """Targets that Port makes for a relation, and what goes because it requires something that goes"""
        definitions = [blueprint("service"), blueprint("task", {}, {"service": {"target": "service", "required": True}}),
                       blueprint("issue", None, {"owner": {"target": "user", "required": False}}), blueprint("user")]
        mapped = [resource("service", blueprint='"service"'), resource(relations={"owner": ".owner"})]
        self.start(list_handler("service", [{"id": "s1", "name": "s"}, {"id": "s2", "name": "s"}]) +
                   list_handler("issue", [{"id": "i", "name": "i", "owner": "ann"}]), mapped, definitions)
        result = self.plan()
        self.assertIn("+ user/ann  made by Port, because a relation of this plan points to it\n", result.stdout)
        self.assertClean(self.ocean(self.mine, self.port))
        other = "port-ocean/other/1/x/exporter"
        self.port.put("task", [{"identifier": "t1", "relations": {"service": "s1"}},
                               {"identifier": "t2", "relations": {"service": "s2"}}], other)
        self.mine.rewrite(list_handler("service", [{"id": "s1", "name": "s"}]) +
                          list_handler("issue", [{"id": "i", "name": "i", "owner": "ann"}]))
        result = self.plan()
        self.assertIn("- service/s2  no longer produced by service-0\n"
                      "- task/t2  it requires something that is deleted, so Port deletes it too\n", result.stdout)
        self.assertClean(self.accept(result.hash))
        self.assertEqual((self.identifiers("service"), self.identifiers("task")), (["s1"], ["t1"]))

    def required(self, **mapping):
        """A task that is held back requires a service that is to be deleted, which requires a host that is, too."""
        definitions = [blueprint("host"), blueprint("service", None, {"host": {"target": "host", "required": True}}),
                       blueprint("task", None, {"service": {"target": "service", "required": True}})]
        mapped = [resource("host", blueprint='"host"'), resource("service", blueprint='"service"', relations={"host": ".on"}),
                  resource("task", blueprint='"task"', relations={"service": ".of"})]
        hosts = [{"id": i, "name": "h", "u": "x"} for i in ("h1", "h2", "h3")]
        services = [{"id": i, "name": "s", "u": "x", "on": f"h{i[1]}"} for i in ("s1", "s2", "s3")]
        self.start(list_handler("host", hosts) + list_handler("service", services) +
                   list_handler("task", [{"id": "t1", "name": "t", "u": "x", "of": "s2"}]), mapped, definitions, mapping)
        self.assertClean(self.ocean(self.mine, self.port))
        self.mine.rewrite(list_handler("host", hosts[:1]) + list_handler("service", services[:1]) +
                          'ocean.on_resync("task", function() end)\n')

    def test_required_by_what_is_held_back(self):
        """What something held back requires is not deleted, unless the plan is accepted"""
        self.required()
        shown = self.plan()
        self.assertIn("! host/h2  held back (required), no longer produced by host-0\n- host/h3  no longer", shown.stdout)
        self.assertIn("! service/s2  held back (required), no longer produced by service-1\n- service/s3  no", shown.stdout)
        self.assertIn("! task/t1  held back (empty)", shown.stdout)
        self.assertIn("plan: 2 to delete, 3 held back, 2 unchanged\n", shown.stdout)
        self.assertExit(self.ocean(self.mine, self.port), 5)
        self.assertEqual((self.identifiers("host"), self.identifiers("service"), self.identifiers("task")),
                         (["h1", "h2"], ["s1", "s2"], ["t1"]))
        self.assertClean(self.accept(self.plan().hash))
        self.assertEqual((self.identifiers("host"), self.identifiers("service"), self.identifiers("task")),
                         (["h1"], ["s1"], []))

    def test_required_without_cascading(self):
        """deleteDependentEntities: false: what Port will refuse to delete is told"""
        self.required(deleteDependentEntities=False)
        self.port.put("task", [{"identifier": "theirs", "relations": {"service": "s3"}}], "port-ocean/other/1/x/exporter")
        shown = self.plan()
        self.assertIn("! service/s3  held back (required), not released by accepting, no longer", shown.stdout)
        self.assertIn("! host/h3  held back (required)", shown.stdout)
        self.assertIn("4 entities are required by something that stays", shown.stdout)

    def test_taken_over(self):
        """An entity that somebody else wrote last is no create"""
        self.start(list_handler("issue", items(1)))
        self.assertClean(self.ocean(self.mine, self.port))
        self.port.put("issue", [{"identifier": "A-1", "title": "Item 1", "properties": {"url": "x"}}],
                      "port-ocean/other/1/x/exporter")
        self.assertIn("~ issue/A-1  taken over: somebody else wrote it last\nplan: 1 to update", self.plan().stdout)

    def test_without_merge(self):
        """Where a write replaces the entity, what it does not name is shown as gone"""
        self.start(list_handler("issue", items(1)), blueprints=[blueprint("issue", {"url": "string", "own": "string"})],
                   mapping={"enableMergeEntity": False})
        self.assertClean(self.ocean(self.mine, self.port))
        self.port.put("issue", [{"identifier": "A-1", "title": "theirs", "properties": {"own": "kept"}}])
        self.assertIn('~ issue/A-1\n      title: "theirs" -> "Item 1"\n      properties.own: "kept" -> (none)\n',
                      self.plan().stdout)

    def test_set_up_changes(self):
        """Blueprints and mapping of the definition that differ from Port's are part of the plan"""
        def script(title):
            return ('ocean.define { type = "jira", version = "1.4.2", blueprints = { { identifier = "b", title = '
                    f'"{title}", schema = {{ properties = {{ url = {{ type = "string" }} }} }} }} }}, mapping = {{ resources = {{ {{ kind = "k", '
                    'selector = { query = "true" }, port = { entity = { mappings = { identifier = ".id", blueprint = \'"b"\', '
                    'properties = { url = ".u" } } } } } } } }\n'
                    'ocean.on_resync("k", function() return { { id = "1", u = ocean.null } } end)\n')
        self.start(script("B"))
        for name in glob.glob(self.mine.path + "/.port/**/*.*", recursive=True):
            os.unlink(name)
        self.assertClean(self.ocean(self.mine, self.port))
        self.assertIn("plan: nothing to change", self.plan().stdout)
        self.mine.rewrite(script("New"))
        result = self.plan()
        self.assertIn('~ blueprint b\n      title: "B" -> "New"\nplan: no entity to change, 1 unchanged\n', result.stdout)
        self.assertClean(self.accept(result.hash))
        self.assertEqual(self.port.call("GET", "/blueprints/b")["blueprint"]["title"], "New")

    def test_reset_mapping(self):
        """--reset-mapping: the plan is made with the mapping as it would be"""
        self.start(list_handler("issue", items(1)))
        self.assertClean(self.ocean(self.mine, self.port))
        document = self.port.integration()["config"]
        document["resources"][0]["port"]["entity"]["mappings"]["title"] = '"edited in Port"'
        self.port.call("PATCH", "/integration/my-jira/config", {"config": document})
        self.assertIn('title: "Item 1" -> "edited in Port"', self.plan().stdout)
        result = self.plan("--reset-mapping")
        self.assertIn("~ mapping my-jira\n", result.stdout)
        self.assertIn("plan: no entity to change, 1 unchanged\n", result.stdout)
        self.assertClean(self.accept(result.hash, "--reset-mapping"))
        self.assertEqual(self.port.integration()["config"]["resources"][0]["port"]["entity"]["mappings"]["title"], ".name")

    def test_embedded(self):
        """--local: a plan on the embedded catalog, then its acceptance"""
        mine = self.integration(list_handler("issue", items(2)))
        base = [OCEAN_RUN, "--once", "--state", mine.state, "--local", os.path.join(self.folder, "c.db")]
        env = ocean_env("http://127.0.0.1:9")
        first = run_program(base + ["--plan", mine.path], env)
        self.assertExit(first, 0)
        listed = run_program([OCEAN_RUN, "catalog", "list", "--json", "--local", os.path.join(self.folder, "c.db")], env)
        self.assertNotIn("issue", listed.stdout)
        hash_ = first.stdout.split("hash: ")[1].split()[0]
        self.assertExit(run_program(base + ["--accept-plan", hash_, mine.path], env), 0)
        self.assertIn("nothing to change", run_program(base + ["--plan", mine.path], env).stdout)

    def test_control_characters(self):
        """What a terminal would obey is written out"""
        self.start(list_handler("issue", [{"id": "a", "name": "x\x1b[2J\u202ey", "u": "line\nbreak"}]))
        result = self.plan()
        self.assertIn('title: "x\\u001b[2J\\u202ey"\n      properties.url: "line\\nbreak"\n', result.stdout)

    @unittest.skipIf(SANITIZED, "sizes mean nothing under a sanitizer")
    def test_memory(self):
        """Memory does not grow with the number of changes"""
        script = ('ocean.on_resync("issue", function()\n  for p = 1, {n}, 100 do local page = {{}}\n'
                  '    for i = p, p + 99 do page[#page + 1] = {{ id = "i" .. i, name = ("x"):rep(1000), u = "u" }} end\n'
                  '    ocean.yield(page)\n  end\nend)\n')
        peak = {}
        for n in (2000, 60000):
            self.start(script.format(n=n))
            proc = subprocess.Popen([OCEAN_RUN, "--once", "--plan", "--state", self.mine.state, self.mine.path],
                                    env=ocean_env(self.port.url), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            peak[n] = 0
            while proc.poll() is None:
                try:
                    with open(f"/proc/{proc.pid}/status", encoding="ascii") as f:
                        peak[n] = max([peak[n]] + [int(line.split()[1]) for line in f if line.startswith("VmHWM")])
                except OSError:
                    pass
                time.sleep(0.01)
            self.assertEqual(proc.returncode, 0)
        self.assertLess(peak[60000], peak[2000] + 16 * 1024, peak)


class Searched(Plan):
    """Entities that name others by a search query."""

    QUERY = {"combinator": '"and"', "rules": [{"property": '"url"', "operator": '"="', "value": ".key"}]}

    def test_identifier(self):
        """A search identifier is resolved; what finds nothing is left out, what finds several is shown as open"""
        self.start(list_handler("issue", [{"id": "A", "name": "a", "u": "one"}, {"id": "B", "name": "b", "u": "two"},
                                          {"id": "C", "name": "c", "u": "two"}]))
        self.assertClean(self.ocean(self.mine, self.port))
        searching = resource("found", identifier=self.QUERY, title=".name", properties={})
        self.mine = self.integration(list_handler("found", [{"key": "two", "name": "y"}]), [searching])
        self.port.call("PATCH", "/integration/my-jira/config", {"config": {"resources": [searching]}})
        result = self.plan()
        self.assertIn("? issue by search ", result.stdout)
        self.assertIn("written to whatever matches, now 2\n", result.stdout)
        self.assertIn("plan: 1 to write to what a search finds, 0 unchanged", result.stdout)
        self.mine.rewrite(list_handler("found", [{"key": "none", "name": "x"}]))
        self.assertNotIn("by search", self.plan().stdout)
        self.mine.rewrite(list_handler("found", [{"key": "one", "name": "renamed"}, {"key": "one", "name": "again"}]))
        result = self.plan()
        self.assertIn('~ issue/A\n      title: "a" -> "again"\n- issue/B', result.stdout)
        self.assertClean(self.accept(result.hash))
        self.assertEqual({k: e["title"] for k, e in self.port.entities("issue").items()}, {"A": "again"})

    def test_identifier_of_this_plan(self):
        """What finds nothing now may match what the plan itself writes"""
        searching = resource("found", identifier=self.QUERY, title=".name", properties={})
        self.start(list_handler("issue", [{"id": "A", "name": "a", "u": "one"}]) +
                   list_handler("found", [{"key": "one", "name": "renamed"}]), [resource(), searching])
        result = self.plan()
        self.assertIn("written to whatever matches, now 0\n", result.stdout)
        self.assertClean(self.accept(result.hash))
        self.assertEqual(self.port.entities("issue")["A"]["title"], "renamed")

    def test_relation(self):
        """A relation by search is compared with what the search finds"""
        by_mail = {"combinator": '"and"', "rules": [{"property": '"mail"', "operator": '"="', "value": ".mail"}]}
        definitions = [blueprint("user", {"mail": "string"}), blueprint("issue", None, {"owner": {"target": "user"}})]
        mapped = [resource("user", blueprint='"user"', properties={"mail": ".mail"}), resource(relations={"owner": by_mail})]
        users = [{"id": "ann", "name": "Ann", "mail": "ann@x"}, {"id": "bob", "name": "Bob", "mail": "bob@x"}]
        issues = [{"id": "1", "name": "1", "u": "x", "mail": "ann@x"}, {"id": "2", "name": "2", "u": "x", "mail": "nobody"}]
        self.start(list_handler("user", users) + list_handler("issue", issues), mapped, definitions)
        result = self.plan()
        self.assertIn("relations.owner: whatever is found by", result.stdout)  # the users are not there yet
        self.assertClean(self.accept(result.hash))
        self.assertIn("plan: nothing to change, 4 unchanged", self.plan().stdout)
        issues[0]["mail"] = "bob@x"
        self.mine.rewrite(list_handler("user", users) + list_handler("issue", issues))
        self.assertIn('~ issue/1\n      relations.owner: "ann" -> "bob"\nplan: 1 to update', self.plan().stdout)


class Accepted(Plan):
    def changed(self):
        self.start(list_handler("issue", items(5)))
        self.assertClean(self.ocean(self.mine, self.port))
        self.mine.rewrite(list_handler("issue", [{"id": "A-1", "name": "new", "u": "x"}] + items(2, 2) + items(1, 9)))
        return self.plan()

    def test_carried_out(self):
        """The plan with that hash is carried out, and the next one is empty"""
        shown = self.changed()
        result = self.accept(shown.hash)
        self.assertClean(result)
        r = result.resource("issue")
        self.assertEqual((r["created"], r["updated"], r["unchanged"], result.summary["deleted"]), (1, 1, 2, 2))
        self.assertEqual(self.identifiers(), ["A-1", "A-2", "A-3", "A-9"])
        self.assertEqual(self.port.integration()["resyncState"]["status"], "completed")
        self.assertIn("plan: nothing to change, 4 unchanged", self.plan().stdout)

    def test_another_world(self):
        """If something changed since, nothing is written, the new plan is shown, exit 5"""
        shown = self.changed()
        self.port.put("issue", [{"identifier": "A-2", "properties": {"url": "edited"}}])
        mark = self.port.mark()
        before = self.port.entities("issue")
        result = run_program([OCEAN_RUN, "--once", "--state", self.mine.state, "--accept-plan", shown.hash, self.mine.path],
                             ocean_env(self.port.url), cwd=self.folder)
        self.assertExit(result, 5)
        self.assertOnlyAsked(mark, result)
        self.assertEqual(self.port.entities("issue"), before)
        self.assertIn('~ issue/A-2\n      properties.url: "edited" -> "x"\n', result.stdout)
        self.assertSays(result, "the world has changed", shown.hash)
        new = result.stdout.split("hash: ")[1].split()[0]
        self.assertClean(self.accept(new))

    def test_fetched_once(self):
        """The third party is asked once"""
        third = self.third_party().on("/items", items(3))
        self.start(f'ocean.on_resync("issue", function() return ocean.http.client {{ base_url = "{third.url}" }}'
                   ':get("/items"):json() end)\n')
        shown = self.plan()
        self.assertEqual(third.count("/items"), 1)
        self.assertClean(self.accept(shown.hash))
        self.assertEqual(third.count("/items"), 2)

    def test_held_back(self):
        """What a plan holds back is named with its rule, and released by accepting it"""
        self.start(list_handler("issue", items(30)))
        self.assertClean(self.ocean(self.mine, self.port))
        self.mine.rewrite(list_handler("issue", items(10)))
        shown = self.plan()
        self.assertExit(shown, 5)
        self.assertIn("! issue/A-11  held back (shrunken), no longer produced by issue-0\n", shown.stdout)
        self.assertRegex(shown.stdout, "held back: kind 'issue' shrank from 30 to 10 .*--max-shrink PERCENT.*--accept-plan")
        result = self.accept(shown.hash)
        self.assertClean(result)
        self.assertEqual((len(self.identifiers()), result.summary["deleted"]), (10, 20))
        self.assertClean(self.ocean(self.mine, self.port))

    def test_threshold_and_empty(self):
        """An empty kind and the threshold are released alike"""
        self.start(list_handler("issue", items(5)))
        self.assertClean(self.ocean(self.mine, self.port))
        self.mine.rewrite('ocean.on_resync("issue", function() end)\n')
        shown = self.plan()
        self.assertIn("! issue/A-1  held back (empty)", shown.stdout)
        self.assertClean(self.accept(shown.hash))
        self.assertEqual(self.identifiers(), [])

    def test_tainted(self):
        """A run with a failed resource shows a plan and carries out none"""
        third = self.third_party().on("/items", items(3), Reply(500, "{}"))
        script = ('local api = ocean.http.client {{ base_url = "{}", retry = {{ attempts = 0 }} }}\n'
                  'ocean.on_resync("issue", function() ocean.yield({{ {{ id = "new", name = "n" }} }}) return api:get("/items"):json() end)\n')
        self.start(list_handler("issue", items(3)))
        self.assertClean(self.ocean(self.mine, self.port))
        self.mine.rewrite(script.format(third.url))
        self.assertClean(self.ocean(self.mine, self.port))
        self.port.call("DELETE", "/blueprints/issue/entities/new")
        shown = self.plan()
        self.assertExit(shown, 4)
        self.assertIn("+ issue/new\n", shown.stdout)
        self.assertIn("incomplete: a resource had errors; this plan cannot be accepted\n", shown.stdout)
        mark = self.port.mark()
        result = self.accept(shown.hash)
        self.assertExit(result, 4)
        self.assertOnlyAsked(mark, result)
        self.assertSays(result, "nothing was written: a resource had errors")
        self.assertEqual(self.identifiers(), ["A-1", "A-2", "A-3"])

    def test_too_large_for_a_bulk(self):
        """413 sends them one by one, as in any run"""
        self.start(list_handler("issue", items(3)))
        shown = self.plan()
        self.port.fault({"route": "E-31"}, {"type": "status", "status": 413}, count=0)
        self.assertClean(self.accept(shown.hash))
        self.assertEqual(len(self.identifiers()), 3)

    def test_rejected(self):
        """What Port rejects is counted and told, exit 4"""
        self.start(list_handler("issue", items(2) + [{"id": "bad", "name": "b", "u": 7}]))
        result = self.accept(self.plan().hash)
        self.assertExit(result, 4)
        self.assertEqual(result.resource("issue")["rejected"], 1)
        self.assertBalanced(result)

    def service(self, hash_, *args):
        return subprocess.Popen([OCEAN_RUN, "--port", "0", "--json", "--state", self.mine.state, "--accept-plan", hash_, *args,
                                 self.mine.path], env=ocean_env(self.port.url), cwd=self.folder, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def test_service(self):
        """Without --once the first resync is the accepted one, then the service goes on"""
        self.start(list_handler("issue", items(3)))
        proc = self.service(self.plan().hash)
        summary = json.loads(proc.stdout.readline())
        self.assertTrue(summary["ok"])
        self.assertEqual(len(self.identifiers()), 3)
        self.assertIsNone(proc.poll())
        proc.send_signal(signal.SIGTERM)
        proc.communicate(timeout=20 * SLOW)
        self.assertEqual(proc.returncode, 0)

    def test_service_refused(self):
        """Without --once a refused plan ends the process: nothing is set up yet"""
        self.start(list_handler("issue", items(3)))
        proc = self.service("0" * 20)
        out, err = proc.communicate(timeout=20 * SLOW)
        self.assertEqual(proc.returncode, 5, err)
        self.assertIn('"hash"', out.splitlines()[-1])
        self.assertEqual(self.port.integrations_named("my-jira"), [])


class Usage(Plan):
    def test_refused(self):
        """Options that do not fit are exit 2 with the reason"""
        self.start(list_handler("issue", items(1)))
        for args, says in ((["--plan"], "--plan needs --once"), (["--once", "--plan", "--accept-plan", "0" * 20], "give one"),
                           (["--once", "--accept-plan", "xyz"], "20 hexadecimal digits"),
                           (["--once", "--accept-plan", "0" * 19], "20 hexadecimal digits"),
                           (["--once", "--accept-plan"], "needs a value"), (["--once", "--plan=1"], "takes no value")):
            result = run_program([OCEAN_RUN, *args, self.mine.path] if args[-1] != "--accept-plan" else [OCEAN_RUN, self.mine.path, *args],
                                 ocean_env(self.port.url))
            self.assertExit(result, 2)
            self.assertSays(result, says)

    def test_a_script_that_writes(self):
        """What a script would write by itself is refused, and the plan is not complete"""
        self.start('ocean.on_resync("issue", function()\n  ocean.register({ { identifier = "x", blueprint = "issue" } })\n'
                   '  return { { id = "a", name = "a" } }\nend)\n')
        result = self.plan()
        self.assertExit(result, 4)
        self.assertIn("while a plan is made nothing is written to Port", result.stdout + result.stderr)
        self.assertIn("incomplete: ", result.stdout)

    def test_stopped(self):
        """A plan that is stopped by a signal shows nothing and writes nothing"""
        self.start('ocean.on_resync("issue", function() ocean.yield({ { id = "a" } }) ocean.log.info("waiting") ocean.sleep(60) end)\n')
        mark = self.port.mark()
        proc = subprocess.Popen([OCEAN_RUN, "--once", "--plan", "--state", self.mine.state, self.mine.path], text=True,
                                env=ocean_env(self.port.url), cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        while "waiting" not in proc.stderr.readline():
            self.assertIsNone(proc.poll())
        proc.send_signal(signal.SIGINT)
        out, err = proc.communicate(timeout=20 * SLOW)
        self.assertEqual((proc.returncode, out), (130, ""), err)
        self.assertOnlyAsked(mark, err)

    def test_unreachable(self):
        """Port cannot be asked: exit 1, no plan"""
        self.start(list_handler("issue", items(1)))
        self.assertClean(self.ocean(self.mine, self.port))
        self.port.fault({"route": "E-35"}, {"type": "status", "status": 500}, count=0)
        result = self.plan()
        self.assertExit(result, 1)
        self.assertNotIn("hash:", result.stdout)


if __name__ == "__main__":
    main()
