"""Changes a script asks for one call at a time (sync, section 11): what is sent, what is in the catalog afterwards, what
the call gives back. The calls run in on_start, beside a resync that only waits for them and is not allowed to delete."""
import json
import os

from lib import AGENT, Case, blueprint, main, resource

GITOPS = "port-ocean/jira/1.4.2/my-jira/gitops"
OPEN = dict(query=".open == true")


def item(number, **more):
    return {"id": f"A-{number}", "name": f"Item {number}", "u": "u", "open": True, **more}


def entity(number, **more):
    return {"identifier": f"A-{number}", "blueprint": "issue", "title": f"Item {number}", "properties": {"url": "u"}, **more}


class Imperative(Case):
    def setUp(self):
        super().setUp()
        self.port = self.port_local()
        self.port.create_blueprints(blueprint("issue", None, {"up": {"target": "issue", "required": False, "many": False}}))
        self.out = os.path.join(self.folder, "out.json")

    def play(self, code, resources=None, tap=None, after="error('this resync deletes nothing')", mapping=None):
        """Runs the code in on_start; gives what it returned as JSON, and the run."""
        script = f"""
local over = false
local function play()
{code}
end
ocean.on_start(function()
  local r = table.pack(pcall(play))
  local f = assert(io.open({json.dumps(self.out)}, "w"))
  f:write(ocean.json.encode{{ ok = r[1], values = ocean.array{{ table.unpack(r, 2, r.n) }}, error = not r[1] and tostring(r[2]) or nil }})
  f:close()
  over = true
end)
ocean.on_resync("issue", function()
  while not over do ocean.sleep(0.01) end
  {after}
end)
"""
        result = self.ocean(self.integration(script, resources or [resource(**OPEN)], mapping=mapping), tap or self.port)
        with open(self.out, encoding="utf-8") as f:
            return json.load(f), result

    def values(self, code, **kw):
        out, result = self.play(code, **kw)
        self.assertTrue(out["ok"], (out, result))
        return out["values"]

    def error(self, code, **kw):
        out, result = self.play(code, **kw)
        self.assertFalse(out["ok"], result)
        return out["error"]

    def there(self):
        return sorted(self.port.entities("issue"))


def lua(value):
    return f"ocean.json.decode([==[{json.dumps(value)}]==])"


class Raw(Imperative):
    def test_t39_register_raw(self):
        """T-39 register_raw writes what passes the selector and deletes what fails it, if it is ours"""
        self.port.put("issue", [entity(2)])
        self.port.put("issue", [entity(3)], agent="port-ocean/other/1/x/exporter")
        tap = self.tap(self.port)
        written, failed = self.values(
            f"return ocean.register_raw('issue', {lua([item(1), item(2, open=False), item(3, open=False)])})", tap=tap)
        self.assertEqual([e["identifier"] for e in written], ["A-1"])
        self.assertEqual(failed, [])
        bulk, = tap.bulks()
        self.assertEqual([e["identifier"] for e in bulk.json["entities"]], ["A-1"])
        self.assertEqual(bulk.query["ocean_info_event_type"], "start")
        self.assertNotIn("ocean_info_resync_id", bulk.query)
        asked, = tap.lookups()
        self.assertEqual([[r["value"] for r in g["rules"]] for g in asked.json["rules"][0]["rules"]],
                         [["A-2", "issue"], ["A-3", "issue"]])
        delete, = tap.deletes()
        self.assertEqual(delete.json["entities"], ["A-2"])
        self.assertEqual(self.there(), ["A-1", "A-3"])

    def test_t39_all_pass(self):
        """T-39 nothing fails the selector: no ownership query, no deletion"""
        tap = self.tap(self.port)
        self.values(f"return ocean.register_raw('issue', {lua([item(1), item(2)])})", tap=tap)
        self.assertEqual((len(tap.lookups()), len(tap.deletes()), self.there()), (0, 0, ["A-1", "A-2"]))

    def test_item_errors(self):
        """S-132 an item that cannot be judged raises in the end; what passed is written, nothing is deleted"""
        self.port.put("issue", [entity(2)])
        message = self.error(f"""
          local ok, e = pcall(ocean.register_raw, 'issue', {lua([item(1), item(2, open=False), {"id": "A-3"}])})
          assert(not ok and #e.written == 1 and #e.failed == 0)
          error(e.message, 0)""", resources=[resource(query=".open")])
        self.assertIn("1 item could not be mapped", message)
        self.assertEqual(self.there(), ["A-1", "A-2"])

    def test_unknown_kind(self):
        """A kind the mapping does not have: two empty lists and no write"""
        self.assertEqual(self.values(f"return ocean.register_raw('nothing', {lua([item(1)])})"), [[], []])
        self.assertEqual(self.there(), [])

    def test_t40_unregister_raw(self):
        """T-40 unregister_raw deletes what passes the selector and leaves the rest"""
        self.port.put("issue", [entity(1), entity(2)])
        deleted, failed = self.values(f"return ocean.unregister_raw('issue', {lua([item(1), item(2, open=False)])})")
        self.assertEqual(([e["identifier"] for e in deleted], failed, self.there()), (["A-1"], [], ["A-2"]))

    def test_t41_update_raw_diff(self):
        """T-41 update_raw_diff writes what is after and deletes what was before alone"""
        self.port.put("issue", [entity(1), entity(2), entity(9)])
        self.values(f"""return ocean.update_raw_diff('issue', {{
          before = {lua([item(1), item(2)])}, after = {lua([item(2, name="New"), item(3)])} }})""")
        self.assertEqual(self.there(), ["A-2", "A-3", "A-9"])
        self.assertEqual(self.port.entities("issue")["A-2"]["title"], "New")

    def test_t41_broken_after(self):
        """T-41 an item of after cannot be judged: the rest is written, nothing is deleted"""
        self.port.put("issue", [entity(1)])
        self.error(f"""return ocean.update_raw_diff('issue', {{
          before = {lua([item(1)])}, after = {lua([item(3), {"id": "A-4"}])} }})""", resources=[resource(query=".open")])
        self.assertEqual(self.there(), ["A-1", "A-3"])


class Ready(Imperative):
    def test_register(self):
        """register writes entities as they are, and tells which Port refused"""
        written, failed = self.values(f"""return ocean.register({lua([entity(1, relations={"up": "A-2"}),
                                                                    {"identifier": "A-3", "blueprint": "issue",
                                                                     "properties": {"url": 7}, "other": True}])})""")
        self.assertEqual(written, [{"identifier": "A-1", "blueprint": "issue", "relations": {"up": "A-2"}}])
        self.assertEqual([(e["identifier"], e["status"]) for e in failed], [("A-3", 422)])
        self.assertEqual(self.there(), ["A-1", "A-2"])

    def test_unregister(self):
        """unregister deletes by name; what is not there is no error"""
        self.port.put("issue", [entity(1), entity(2)])
        deleted, failed = self.values(f"return ocean.unregister({lua([entity(1), entity(7)])})")
        self.assertEqual(([e["identifier"] for e in deleted], failed, self.there()), (["A-1"], [], ["A-2"]))

    def test_update_diff_protects(self):
        """S-136 update_diff keeps what a written entity relates to"""
        self.port.put("issue", [entity(1), entity(2), entity(3)])
        self.values(f"""return ocean.update_diff{{ before = {lua([entity(1), entity(2)])},
                                                  after = {lua([entity(4, relations={"up": "A-1"})])} }}""")
        self.assertEqual(self.there(), ["A-1", "A-3", "A-4"])

    def test_t42_sync(self):
        """T-42 sync under gitops: lists without before, writes, deletes the others of gitops alone"""
        self.port.put("issue", [entity(n) for n in (1, 8, 9)], agent=GITOPS)
        self.port.put("issue", [entity(5)], agent=AGENT)
        tap = self.tap(self.port)
        self.values(f"return ocean.sync({lua([entity(1), entity(2)])}, ocean.user_agent.gitops)", tap=tap)
        listing, = tap.listings()
        self.assertEqual(listing.json["datasource_suffix"], "/my-jira/gitops")
        self.assertNotIn("before", listing.json)
        self.assertEqual(tap.bulks()[0].headers["user-agent"], GITOPS)
        self.assertEqual(self.there(), ["A-1", "A-2", "A-5"])

    def test_sync_threshold(self):
        """sync deletes nothing beyond the threshold"""
        self.port.put("issue", [entity(n) for n in range(1, 9)])
        self.values(f"return ocean.sync({lua([entity(1)])})", mapping={"entityDeletionThreshold": 0.5})
        self.assertEqual(len(self.there()), 8)

    def test_sync_without_list(self):
        """Port's list cannot be read: sync raises, and has written and deleted nothing"""
        self.port.put("issue", [entity(1)])
        self.port.fault({"route": "E-35"}, {"type": "status", "status": 500}, count=0)
        self.assertIn("listing", self.error(f"return ocean.sync({lua([entity(2)])})"))
        self.assertEqual(self.there(), ["A-1"])

    def test_refused_bulk(self):
        """A bulk that fails as a whole: each of its entities is told, nothing raises"""
        self.port.fault({"route": "E-31"}, {"type": "status", "status": 500}, count=0)
        written, failed = self.values(f"return ocean.register({lua([entity(1), entity(2)])})")
        self.assertEqual((written, [(e["identifier"], e["status"]) for e in failed]), ([], [("A-1", 500), ("A-2", 500)]))

    def test_wrong_arguments(self):
        """Wrong arguments name the function, the element and the field"""
        for code, says in (("ocean.register{ { blueprint = 'issue' } }", "ocean.register: entities: entity 1: 'identifier' is missing"),
                           ("ocean.register{ 1 }", "element 1 of entities"),
                           ("ocean.register()", "entities is missing"),
                           ("ocean.sync({}, 'exporters')", "ocean.user_agent.exporter or ocean.user_agent.gitops"),
                           ("ocean.register_raw(7, {})", "the kind must be a string"),
                           ("ocean.update_diff({})", "before is missing")):
            with self.subTest(code):
                self.assertIn(says, self.error("return " + code))


class Beside(Imperative):
    def test_while_a_resync_runs(self):
        """What is registered while a resync runs is not deleted by it, though the resync does not produce it"""
        self.port.put("issue", [entity(1), entity(2)])
        _, result = self.play(f"return ocean.register_raw('issue', {lua([item(2)])})", after=f"return {lua([item(1)])}")
        self.assertClean(result)
        self.assertEqual(self.there(), ["A-1", "A-2"])

    def test_sync_raw_all(self):
        """sync_raw_all runs a resync, replacing the one that runs, and gives its summary"""
        out, result = self.play("""
          ocean.sleep(0.05)
          over = true
          local ok, summary = ocean.sync_raw_all()
          return ok, summary.resources[1].created""", after=f"return {lua([item(1), item(2)])}")
        self.assertEqual(out["values"], [True, 2], result)
        self.assertEqual(self.there(), ["A-1", "A-2"])

    def test_in_the_main_chunk(self):
        """While the script is loaded nothing can be synced: the message says where it can"""
        script = "ocean.on_resync(function() return {} end)\nocean.register{}\n"
        result = self.ocean(self.integration(script), self.port)
        self.assertExit(result, 3)
        self.assertIn("call it from a handler", result.stderr)


if __name__ == "__main__":
    main()
