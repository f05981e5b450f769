"""A resync against port-local: what is asked of Port, what is written, what is deleted (sync, section 16).

The name of a case says the row. Setup unless stated: type jira, version 1.4.2, identifier my-jira, one resource of kind
`issue` with query true, identifier .id, blueprint "issue", title .name, property url from .u.
"""
import urllib.parse

from lib import (Case, Reply, batch_handler, blueprint, list_handler, lua_json, main, resource)


def items(n, start=1, **more):
    return [{"id": f"A-{i}", "name": f"Item {i}", "u": f"https://x.example/{i}", **more} for i in range(start, start + n)]


def entity(i, **more):
    return {"identifier": f"A-{i}", "title": f"Item {i}", "properties": {"url": f"https://x.example/{i}"}, **more}


class Upserts(Case):
    def test_t1_list_of_three(self):
        """T-1 a list of three: no lookup, one bulk, one listing with before"""
        port = self.port_local()
        tap = self.tap(port)
        result = self.ocean(self.integration(list_handler("issue", items(3))), tap)
        self.assertClean(result)
        self.assertEqual(len(tap.lookups()), 0)
        self.assertEqual(len(tap.bulks()), 1)
        bulk = tap.bulks()[0]
        self.assertEqual(bulk.path, "/v1/blueprints/issue/entities/bulk")
        self.assertEqual(len(bulk.json["entities"]), 3)
        self.assertEqual(bulk.json["entities"][0], {"identifier": "A-1", "blueprint": "issue", "title": "Item 1",
                                                    "properties": {"url": "https://x.example/1"}})
        self.assertEqual(bulk.headers["user-agent"], "port-ocean/jira/1.4.2/my-jira/exporter")
        resync_id = bulk.query.pop("ocean_info_resync_id")
        self.assertRegex(resync_id, r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
        self.assertEqual(bulk.query, {"upsert": "true", "merge": "true", "create_missing_related_entities": "true",
                                      "validation_only": "false", "ocean_info_event_type": "resync"})
        self.assertEqual(len(tap.listings()), 1)
        listing = tap.listings()[0].json
        self.assertEqual(listing["datasource_prefix"], "port-ocean/jira/")
        self.assertEqual(listing["datasource_suffix"], "/my-jira/exporter")
        self.assertRegex(listing["before"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00$")
        self.assertNotIn("from", listing)
        self.assertEqual(sorted(port.entities("issue")), ["A-1", "A-2", "A-3"])
        self.assertEqual(result.resource("issue")["created"], 3)

    def test_t2_ten_items(self):
        """T-2 ten items are written without a lookup"""
        port = self.port_local()
        result = self.ocean(self.integration(list_handler("issue", items(10))), port)
        self.assertClean(result)
        self.assertEqual((port.count("E-34"), port.effects("created")), (0, 10))

    def test_t2_eleven_items(self):
        """T-2 eleven items: one lookup with eleven identifiers, one bulk of eleven"""
        port = self.port_local()
        tap = self.tap(port)
        result = self.ocean(self.integration(list_handler("issue", items(11))), tap)
        self.assertClean(result)
        self.assertEqual(len(tap.lookups()), 1)
        rules = {r["property"]: r for r in tap.lookups()[0].json["rules"][:2]}
        self.assertEqual(rules["$identifier"]["operator"], "in")
        self.assertEqual(rules["$identifier"]["value"], [f"A-{i}" for i in range(1, 12)])
        self.assertEqual(rules["$blueprint"]["value"], "issue")
        include = [v for k, v in urllib.parse.parse_qsl(port.journal("E-34")[0]["query"]) if k == "include"]
        self.assertEqual(include, ["blueprint", "identifier", "title", "properties.url"])
        self.assertEqual([len(b.json["entities"]) for b in tap.bulks()], [11])

    def test_t2_packed_across_batches(self):
        """T-2 ten, then eleven in one run: only the second batch is compared, bulks are packed across both"""
        port = self.port_local()
        tap = self.tap(port)
        result = self.ocean(self.integration(batch_handler("issue", items(10), items(11, 11))), tap)
        self.assertClean(result)
        asked = [i for l in tap.lookups() for i in l.json["rules"][0]["value"]]
        self.assertEqual(asked, [f"A-{i}" for i in range(11, 22)])
        sizes = [len(b.json["entities"]) for b in tap.bulks()]
        self.assertEqual(sum(sizes), 21)
        self.assertLessEqual(max(sizes), 20)
        self.assertEqual(len(sizes), 2, sizes)

    def test_t3_identical(self):
        """T-3 120 items that Port has already: lookups of 50, 50, 20, no bulk, nothing deleted"""
        port = self.port_local()
        port.create_blueprints(blueprint())
        port.put("issue", [entity(i) for i in range(1, 121)])
        tap = self.tap(port)
        result = self.ocean(self.integration(list_handler("issue", items(120))), tap)
        self.assertClean(result)
        self.assertEqual([len(l.json["rules"][0]["value"]) for l in tap.lookups()], [50, 50, 20])
        self.assertEqual((len(tap.bulks()), len(tap.deletes()), len(tap.listings())), (0, 0, 1))
        self.assertEqual(result.resource("issue")["unchanged"], 120)

    def test_t4_bulks(self):
        """T-4 45 small items: bulks of 20, 20 and 5, at most five in flight"""
        port = self.port_local()
        tap = self.tap(port)
        result = self.ocean(self.integration(list_handler("issue", items(45))), tap)
        self.assertClean(result)
        self.assertEqual(sorted((len(b.json["entities"]) for b in tap.bulks()), reverse=True), [20, 20, 5])
        self.assertLessEqual(max(e.get("inFlight", 1) for e in port.journal("E-31")), 5)

    def test_t4_packed_across_batches(self):
        """T-4 45 items in batches of nine: full bulks, whatever the batches were"""
        port = self.port_local()
        tap = self.tap(port)
        all_items = items(45)
        script = batch_handler("issue", *[all_items[i:i + 9] for i in range(0, 45, 9)])
        result = self.ocean(self.integration(script), tap)
        self.assertClean(result)
        sizes = [len(b.json["entities"]) for b in tap.bulks()]
        self.assertEqual(sum(sizes), 45)
        self.assertLessEqual(max(sizes), 20)
        self.assertLess(len(sizes), 5, f"bulks were not packed across batches: {sizes}")
        self.assertEqual(len(port.entities("issue")), 45)

    def test_t5_large(self):
        """T-5 twelve entities of 100 KB: no bulk above 1 MiB, none of more than ten"""
        port = self.port_local()
        tap = self.tap(port)
        script = ('ocean.on_resync("issue", function()\n  local list = {}\n'
                  '  for i = 1, 12 do list[i] = { id = "A-" .. i, name = "Item " .. i, u = string.rep("x", 100000) } end\n'
                  '  return list\nend)\n')
        result = self.ocean(self.integration(script), tap)
        self.assertClean(result)
        sizes = [len(b.json["entities"]) for b in tap.bulks()]
        self.assertEqual(sum(sizes), 12)
        self.assertLessEqual(max(sizes), 10)
        self.assertLessEqual(max(len(b.body) for b in tap.bulks()), 1048576)
        self.assertEqual(len(port.entities("issue")), 12)

    def test_t6_two_handlers(self):
        """T-6 a handler of the kind and one of every kind: both get the kind, one bulk, the kind's own first"""
        port = self.port_local()
        tap = self.tap(port)
        script = ('ocean.on_resync(function(kind) return { { id = "W", name = kind } } end)\n'
                  'ocean.on_resync("issue", function(kind) return { { id = "K", name = kind } } end)\n')
        result = self.ocean(self.integration(script), tap)
        self.assertClean(result)
        self.assertEqual([[e["identifier"] for e in b.json["entities"]] for b in tap.bulks()], [["K", "W"]])
        self.assertEqual([e["title"] for e in port.entities("issue").values()], ["issue", "issue"])

    def test_t7_back_pressure(self):
        """T-7 with resync_lookahead 1 the first bulk is answered before the handler is asked for the second batch"""
        port = self.port_local()
        third = self.third_party()
        written = []

        def second(_request):
            written.append(port.effects("created"))
            return items(2, 3)
        third.on("/one", items(2)).on("/two", second)
        script = (f'local api = ocean.http.client {{ base_url = "{third.url}" }}\n'
                  'ocean.on_resync("issue", function()\n'
                  '  ocean.yield(api:get("/one"):json())\n  ocean.yield(api:get("/two"):json())\nend)\n')
        result = self.ocean(self.integration(script), port, OCEAN__RESYNC_LOOKAHEAD="1")
        self.assertClean(result)
        self.assertEqual(written, [2])
        self.assertEqual(port.effects("created"), 4)

    def test_t8_two_resources(self):
        """T-8 two resources of one kind: called twice, index 0 then 1, each its own mapping"""
        port = self.port_local()
        script = ('ocean.on_resync("issue", function(kind)\n  local i = ocean.event.index\n'
                  '  assert(ocean.event.resource_config.kind == "issue")\n'
                  '  return { { id = "X" .. i, name = "index " .. i } }\nend)\n')
        mine = self.integration(script, [resource(blueprint='"a"'), resource(blueprint='"b"')],
                                [blueprint("a"), blueprint("b")])
        result = self.ocean(mine, port)
        self.assertClean(result)
        self.assertEqual({k: v["title"] for k, v in port.entities("a").items()}, {"X0": "index 0"})
        self.assertEqual({k: v["title"] for k, v in port.entities("b").items()}, {"X1": "index 1"})
        self.assertEqual([r["index"] for r in result.summary["resources"]], [0, 1])

    def test_t28_too_large_for_port(self):
        """T-28 a bulk answered 413: its three entities one by one"""
        port = self.port_local()
        port.fault({"route": "E-31"}, {"type": "status", "status": 413}, count=1)
        result = self.ocean(self.integration(list_handler("issue", items(3))), port)
        self.assertClean(result)
        self.assertEqual((port.count("E-31"), port.count("E-30")), (1, 3))
        self.assertEqual(len(port.entities("issue")), 3)

    def test_t31_bulk_fails(self):
        """T-31 a bulk answered 500: not repeated, its 20 entities not deleted, exit 4"""
        port = self.port_local()
        port.create_blueprints(blueprint())
        port.put("issue", [{**entity(i), "title": "old"} for i in range(1, 21)])
        port.fault({"route": "E-31"}, {"type": "status", "status": 500}, count=0)
        mark = port.mark()
        result = self.ocean(self.integration(list_handler("issue", items(20))), port)
        self.assertExit(result, 4)
        self.assertEqual(result.resource("issue")["rejected"], 20)
        self.assertEqual((port.count("E-31", mark), port.count("E-30", mark), port.count("E-32", mark)), (1, 0, 0))
        self.assertEqual(port.count("E-35", mark), 1)
        self.assertEqual(len(port.entities("issue")), 20)
        self.assertBalanced(result)


class Handlers(Case):
    def stale(self, port, *blueprints):
        """One entity of an earlier run that no handler produces: it must survive a failed run."""
        port.create_blueprints(*(blueprints or [blueprint()]))
        port.put("issue", [{"identifier": "stale", "title": "Stale"}, entity(1)])

    def assertKept(self, port, result, mark):
        self.assertEqual(port.count("E-32", mark), 0, result)
        self.assertIn("stale", port.entities("issue"))
        self.assertFalse(result.summary["ok"])

    def test_t9_handler_raises(self):
        """T-9 a handler that raises after a batch: the batch stays, the next resource runs, nothing is deleted"""
        port = self.port_local()
        self.stale(port, blueprint(), blueprint("b"))
        script = ('ocean.on_resync_complete(function() ocean.log.info("COMPLETE RAN") end)\n'
                  f'ocean.on_resync("issue", function()\n  ocean.yield({lua_json(items(2))})\n  error("boom")\nend)\n'
                  + list_handler("other", [{"id": "B-1", "name": "b"}]))
        mark = port.mark()
        result = self.ocean(self.integration(script, [resource(), resource("other", blueprint='"b"')],
                                             [blueprint(), blueprint("b")]), port)
        self.assertExit(result, 4)
        self.assertKept(port, result, mark)
        self.assertIn("A-2", port.entities("issue"))
        self.assertIn("B-1", port.entities("b"))
        self.assertEqual(port.count("E-35", mark), 0)
        self.assertNotIn("COMPLETE RAN", result.stderr)
        self.assertIn("boom", result.errors("issue"))
        self.assertIn("integration.lua:5", result.errors("issue"))
        self.assertEqual(result.resource("other")["errors"], [])

    def test_t10_no_list(self):
        """T-10 a batch that is a string: an error, the next batch is taken, nothing is deleted"""
        port = self.port_local()
        self.stale(port)
        script = f'ocean.on_resync("issue", function()\n  ocean.yield("text")\n  ocean.yield({lua_json(items(2))})\nend)\n'
        mark = port.mark()
        result = self.ocean(self.integration(script), port)
        self.assertExit(result, 4)
        self.assertKept(port, result, mark)
        self.assertIn("A-2", port.entities("issue"))

    def test_t11_no_handler(self):
        """T-11 a kind without a handler: the others are synced, no listing"""
        port = self.port_local()
        self.stale(port)
        mark = port.mark()
        result = self.ocean(self.integration(list_handler("issue", items(2)), [resource("pr"), resource()]), port)
        self.assertExit(result, 4)
        self.assertKept(port, result, mark)
        self.assertIn("A-2", port.entities("issue"))
        self.assertEqual(port.count("E-35", mark), 0)
        self.assertIn("issue", result.errors("pr"))  # the kinds there are

    def test_t12_start_handler_http(self):
        """T-12 a start handler fails over HTTP: resources are synced, no listing"""
        port = self.port_local()
        self.stale(port)
        third = self.third_party().on("/state", Reply(500, "{}"))
        script = (f'local api = ocean.http.client {{ base_url = "{third.url}" }}\n'
                  'ocean.on_resync_start(function() api:get("/state") end)\n' + list_handler("issue", items(2)))
        mark = port.mark()
        result = self.ocean(self.integration(script), port)
        self.assertIn(result.code, (1, 4), result)
        self.assertKept(port, result, mark)
        self.assertIn("A-2", port.entities("issue"))
        self.assertEqual(port.count("E-35", mark), 0)

    def test_t12_start_handler_other(self):
        """T-12 a start handler fails otherwise: no handler is called"""
        port = self.port_local()
        self.stale(port)
        script = 'ocean.on_resync_start(function() error("not today") end)\n' + list_handler("issue", items(2))
        mark = port.mark()
        result = self.ocean(self.integration(script), port)
        self.assertIn(result.code, (1, 4), result)
        self.assertSays(result, "not today", "integration.lua:2")
        self.assertEqual((port.count("E-31", mark), port.count("E-35", mark), port.count("E-32", mark)), (0, 0, 0))
        self.assertNotIn("A-2", port.entities("issue"))


class Mapping(Case):
    def test_t15_selector_not_boolean(self):
        """T-15 a selector that gives null for one item: that item is an error, nothing is deleted"""
        port = self.port_local()
        rows = [{"id": "A", "open": True}, {"id": "B", "open": False}, {"id": "C"}]
        result = self.ocean(self.integration(list_handler("issue", rows), [resource(query=".open")]), port)
        self.assertExit(result, 4)
        self.assertEqual(list(port.entities("issue")), ["A"])
        self.assertEqual(port.count("E-35"), 0)
        mine = result.resource("issue")
        self.assertEqual((mine["extracted"], mine["mapped"], mine["filtered"], mine["unmappable"]), (3, 1, 1, 1))
        self.assertEqual(sum(e["count"] for e in mine["errors"]), 1)
        self.assertIn(".open", result.errors("issue"))

    def test_t16_selector_boolean(self):
        """T-16 the same items with a selector that is always boolean"""
        port = self.port_local()
        rows = [{"id": "A", "open": True}, {"id": "B", "open": False}, {"id": "C"}]
        result = self.ocean(self.integration(list_handler("issue", rows), [resource(query=".open == true")]), port)
        self.assertClean(result)
        self.assertEqual(list(port.entities("issue")), ["A"])
        self.assertEqual(port.count("E-35"), 1)

    def test_t17_property_does_not_compile(self):
        """T-17 a property that does not compile: sent as null, named in a warning, deletion goes on, exit 4"""
        port = self.port_local()
        tap = self.tap(port)
        mine = self.integration(list_handler("issue", items(1)), [resource(properties={"url": ".u."})])
        result = self.ocean(mine, tap)
        self.assertExit(result, 4)
        self.assertEqual(tap.bulks()[0].json["entities"][0]["properties"], {"url": None})
        self.assertEqual(len(tap.listings()), 1)
        self.assertSays(result, "properties.url", ".u.")

    def test_t18_no_identifier(self):
        """T-18 identifiers "", 0 and null: the other two are sent, what is gone is deleted"""
        for value in ("", 0, None):
            with self.subTest(value):
                port = self.port_local()
                port.create_blueprints(blueprint())
                port.put("issue", [entity(1), entity(2), entity(3)])
                rows = items(2) + [{"id": value, "name": "Item 3", "u": "x"}]
                result = self.ocean(self.integration(list_handler("issue", rows)), port)
                self.assertClean(result)
                self.assertEqual(sorted(port.entities("issue")), ["A-1", "A-2"])
                mine = result.resource("issue")
                self.assertEqual((mine["extracted"], mine["mapped"], mine["unmappable"]), (3, 2, 1))
                self.assertEqual(result.summary["deleted"], 1)

    def test_t19_single_quotes(self):
        """T-19 single quotes around a text, and one inside double quotes"""
        port = self.port_local()
        mine = self.integration(list_handler("issue", [{"id": "A-1", "name": "Fix"}]),
                                [resource(title=".id + '/' + .name", properties={"url": '"the users\' list " + .id'})])
        result = self.ocean(mine, port)
        self.assertClean(result)
        found = port.entities("issue")["A-1"]
        self.assertEqual((found["title"], found["properties"]["url"]), ("A-1/Fix", "the users' list A-1"))

    def test_t20_environment(self):
        """T-20 without access to the environment env and $ENV are empty; with it, credentials never show"""
        properties = {"url": "env.HOME", "two": "$ENV.HOME", "three": "env.OCEAN__PORT__CLIENT_SECRET"}
        shape = blueprint(properties={"url": "string", "two": "string", "three": "string"})
        for access, expected in (("false", None), ("true", "/home/nobody")):
            with self.subTest(access):
                port = self.port_local()
                mine = self.integration(list_handler("issue", items(1)), [resource(properties=properties)], [shape])
                result = self.ocean(mine, port, OCEAN__ALLOW_ENVIRONMENT_VARIABLES_JQ_ACCESS=access, HOME="/home/nobody")
                self.assertClean(result)
                self.assertEqual(port.entities("issue")["A-1"]["properties"],
                                 {"url": expected, "two": expected, "three": None})

    def test_t21_relation_by_search(self):
        """T-21 a relation by search: sent as a query, no lookup even for 50 items"""
        port = self.port_local()
        tap = self.tap(port)
        user = blueprint("user", {"login": "string"})
        issue = blueprint(relations={"owner": {"target": "user", "required": False, "many": False}})
        port.create_blueprints(user, issue)
        port.put("user", [{"identifier": "u1", "properties": {"login": "ann"}}], agent="someone/else")
        relation = {"owner": {"combinator": '"and"', "rules": [
            {"property": '"login"', "operator": '"="', "value": ".login"}]}}
        mine = self.integration(list_handler("issue", items(50, login="ann")), [resource(relations=relation)], [user, issue])
        result = self.ocean(mine, tap)
        self.assertClean(result)
        self.assertEqual(len(tap.lookups()), 0)
        self.assertEqual(tap.bulks()[0].json["entities"][0]["relations"]["owner"], {"combinator": "and", "rules": [
            {"property": "login", "operator": "=", "value": "ann"}]})
        self.assertEqual(port.entities("issue")["A-50"]["relations"]["owner"], "u1")

    def expansion(self, expression, **port_fields):
        port = self.port_local()
        tap = self.tap(port)
        properties = {"text": ".c1.text", "parent": "has(\"c\") | tostring", "key": ".key"}
        shape = blueprint(properties={"text": "string", "parent": "string", "key": "string"})
        rows = [{"key": "K", "c": [{"id": 1, "text": "one", "on": True}, {"id": 2, "text": "two", "on": False}]}]
        mine = self.integration(
            list_handler("issue", rows),
            [resource(identifier='.key + "-" + (.c1.id | tostring)', title=None, properties=properties,
                      port={"itemsToParse": expression, "itemsToParseName": "c1", **port_fields})], [shape])
        result = self.ocean(mine, tap)
        self.assertClean(result)
        return tap, result, {k: v["properties"] for k, v in port.entities("issue").items()}, rows

    def test_t23_items_to_parse(self):
        """T-23 itemsToParse: an entity per element, the parent without the list, the example as it was"""
        tap, result, found, rows = self.expansion(".c")
        self.assertEqual(found, {"K-1": {"text": "one", "parent": "false", "key": "K"},
                                 "K-2": {"text": "two", "parent": "false", "key": "K"}})
        self.assertEqual([e.json for e in tap.examples()], [{"examples": rows}])
        self.assertEqual(result.resource("issue")["extracted"], 2)

    def test_t23_keeping_the_parent(self):
        """T-23 with the transform off the parent keeps its list"""
        _, _, found, _ = self.expansion(".c", itemsToParseTopLevelTransform=False)
        self.assertEqual({k: v["parent"] for k, v in found.items()}, {"K-1": "true", "K-2": "true"})

    def test_t24_computed_list(self):
        """T-24 itemsToParse that computes a list leaves the parent untouched"""
        _, _, found, _ = self.expansion("[.c[] | select(.on)]")
        self.assertEqual(found, {"K-1": {"text": "one", "parent": "true", "key": "K"}})

    def examples(self, port, tap, **env):
        token = "ghp_0123456789abcdefghijklmnopqrstuvwxyz"
        all_items = items(6)
        for row in all_items:
            row["u"] = token
        script = batch_handler("issue", all_items[:2], all_items[2:4], all_items[4:])
        result = self.ocean(self.integration(script), tap, **env)
        self.assertClean(result)
        self.assertEqual({e["properties"]["url"] for e in port.entities("issue").values()}, {token})
        return [len(e.json["examples"]) for e in tap.examples()], [e.body.decode() for e in tap.examples()], token

    def test_t25_examples(self):
        """T-25 raw examples: 2, 2 and 1, secrets hidden there and intact in the bulk"""
        port = self.port_local()
        sizes, bodies, token = self.examples(port, self.tap(port))
        self.assertEqual(sizes, [2, 2, 1])
        self.assertNotIn(token, "".join(bodies))
        self.assertIn("[REDACTED]", bodies[0])

    def test_t25_first_upload_fails(self):
        """T-25 a failed upload does not count: the next two send 2 and 2"""
        port = self.port_local()
        port.fault({"route": "E-13"}, {"type": "status", "status": 500}, count=1)
        sizes, _, _ = self.examples(port, self.tap(port))
        self.assertEqual(sizes, [2, 2, 2])

    def test_t25_off(self):
        """T-25 examples switched off: none is sent"""
        port = self.port_local()
        sizes, _, _ = self.examples(port, self.tap(port), OCEAN__SEND_RAW_DATA_EXAMPLES="false")
        self.assertEqual(sizes, [])


class Diff(Case):
    def test_t26_lookup_fails(self):
        """T-26 a lookup answered 500: everything is written, the run succeeds"""
        port = self.port_local()
        port.fault({"route": "E-34", "userAgent": "my-jira"}, {"type": "status", "status": 500}, count=0)
        result = self.ocean(self.integration(list_handler("issue", items(30))), port)
        self.assertClean(result)
        self.assertEqual(port.effects("created"), 30)
        self.assertEqual(port.count("E-35"), 1)

    def test_t27_comparison(self):
        """T-27 null against a value is a change; null against absent, and teams in another order, are not"""
        port = self.port_local()
        tap = self.tap(port)
        port.create_blueprints(blueprint())
        stored = [{**entity(i), "team": ["a", "b"]} for i in range(1, 13)]
        stored[0]["properties"] = {"url": "x"}
        del stored[1]["properties"]
        port.put("issue", stored)
        rows = items(12, team=["b", "a"])
        rows[0]["u"] = rows[1]["u"] = None
        result = self.ocean(self.integration(list_handler("issue", rows), [resource(team=".team")]), tap)
        self.assertClean(result)
        self.assertEqual([[e["identifier"] for e in b.json["entities"]] for b in tap.bulks()], [["A-1"]])
        self.assertIsNone(port.entities("issue")["A-1"]["properties"]["url"])
        self.assertEqual(result.resource("issue")["unchanged"], 11)

    def test_second_run_writes_nothing(self):
        """A second run of unchanged data writes nothing"""
        port = self.port_local()
        rows = items(60)
        rows[3]["u"] = None
        mine = self.integration(batch_handler("issue", rows[:25], rows[25:50], rows[50:]))
        self.assertClean(self.ocean(mine, port))
        mark = port.mark()
        result = self.ocean(mine, port)
        self.assertClean(result)
        # The first ten could be written blindly; they are compared as soon as the run has more than ten.
        self.assertEqual((port.effects("created", mark), port.effects("updated", mark), port.effects("deleted", mark)),
                         (0, 0, 0))
        self.assertEqual(port.writes(mark), [])
        self.assertEqual(result.resource("issue")["unchanged"], 60)

    def test_only_the_difference(self):
        """Changed, new and vanished entities are written, created and deleted, and nothing else"""
        port = self.port_local()
        tap = self.tap(port)
        mine = self.integration(list_handler("issue", items(50)))
        self.assertClean(self.ocean(mine, port))
        rows = items(52)
        del rows[5:8]
        rows[0]["name"] = "Renamed"
        mine.rewrite(list_handler("issue", rows))
        result = self.ocean(mine, tap, OCEAN__PORT__BASE_URL=tap.url, XDG_STATE_HOME=self.folder)
        self.assertClean(result)
        self.assertEqual(sorted(e["identifier"] for b in tap.bulks() for e in b.json["entities"]), ["A-1", "A-51", "A-52"])
        self.assertEqual([sorted(d.json["entities"]) for d in tap.deletes()], [["A-6", "A-7", "A-8"]])
        mine = result.resource("issue")
        self.assertEqual((mine["created"], mine["updated"], mine["unchanged"], result.summary["deleted"]), (2, 1, 46, 3))

    def test_numbers_survive(self):
        """64-bit integers, null and empty lists arrive as they came"""
        port = self.port_local()
        tap = self.tap(port)
        shape = blueprint(properties={"n": "number", "list": "array", "o": "object", "none": "string"})
        rows = [{"id": "A", "n": 9007199254740993, "list": [], "o": {}, "none": None}]
        mine = self.integration(list_handler("issue", rows),
                                [resource(title=None, properties={"n": ".n", "list": ".list", "o": ".o", "none": ".none"})],
                                [shape])
        result = self.ocean(mine, tap)
        self.assertClean(result)
        self.assertEqual(tap.bulks()[0].json["entities"][0]["properties"],
                         {"n": 9007199254740993, "list": [], "o": {}, "none": None})


class Deletion(Case):
    def run_with(self, listed, produced, mapping=None, **env):
        """Port lists `listed` entities of an earlier run; the handler produces those numbers of `produced`."""
        port = self.port_local()
        port.create_blueprints(blueprint())
        port.put("issue", [entity(i) for i in listed])
        rows = [{"id": f"A-{i}", "name": f"Item {i}", "u": f"https://x.example/{i}"} for i in produced]
        mark = port.mark()
        result = self.ocean(self.integration(list_handler("issue", rows), mapping=mapping), port, **env)
        return port, result, mark

    def test_t32_nine_of_ten(self):
        """T-32 nine of ten not produced: deleted in one request"""
        port, result, mark = self.run_with(range(1, 11), [1])
        self.assertClean(result)
        self.assertEqual((port.count("E-32", mark), port.effects("deleted", mark)), (1, 9))
        self.assertEqual(list(port.entities("issue")), ["A-1"])
        self.assertEqual(result.summary["deleted"], 9)

    def test_t32_ten_of_ten(self):
        """T-32 ten of ten not produced: held back by the threshold"""
        port, result, mark = self.run_with(range(1, 11), [11])
        self.assertEqual(port.count("E-32", mark), 0)
        self.assertEqual(len(port.entities("issue")), 11)
        # 10 candidates, one entity created by this run, which Port did not list: the rate is 1.
        self.assertExit(result, 5)
        self.assertEqual(result.summary["held_back"], 10)
        self.assertSays(result, "entityDeletionThreshold")

    def test_t32_threshold_zero(self):
        """T-32 threshold 0: nothing is ever deleted"""
        port, result, mark = self.run_with(range(1, 11), range(1, 9), {"entityDeletionThreshold": 0})
        self.assertEqual(port.count("E-32", mark), 0)
        self.assertEqual(len(port.entities("issue")), 10)
        self.assertIn(result.code, (0, 5), result)

    def protection(self, create_missing):
        port = self.port_local()
        user = blueprint("user", {"login": "string"})
        issue = blueprint(relations={"owner": {"target": "user", "required": False, "many": False}})
        port.create_blueprints(user, issue)
        port.put("user", [{"identifier": "ann"}, {"identifier": "bob"}])
        port.put("issue", [entity(1)])
        mine = self.integration(list_handler("issue", items(3, login="ann")), [resource(relations={"owner": ".login"})],
                                [user, issue], {"createMissingRelatedEntities": create_missing})
        return port, self.ocean(mine, port)

    def test_t34_related_is_kept(self):
        """T-34 a stale entity that a produced one relates to is kept"""
        port, result = self.protection(True)
        self.assertClean(result)
        self.assertEqual(list(port.entities("user")), ["ann"])

    def test_t34_related_is_deleted(self):
        """T-34 without createMissingRelatedEntities it is deleted"""
        port, result = self.protection(False)
        self.assertClean(result)
        self.assertEqual(list(port.entities("user")), [])

    def test_t35_batches(self):
        """T-35 250 stale of 1000: deletes of 100, 100 and 50 with their dependents"""
        port = self.port_local()
        tap = self.tap(port)
        port.create_blueprints(blueprint())
        port.put("issue", [entity(i) for i in range(1, 1001)])
        result = self.ocean(self.integration(list_handler("issue", items(750))), tap)
        self.assertClean(result)
        self.assertEqual(sorted(len(d.json["entities"]) for d in tap.deletes()), [50, 100, 100])
        self.assertEqual({d.query["delete_dependents"] for d in tap.deletes()}, {"true"})
        self.assertEqual({d.query["ocean_info_event_type"] for d in tap.deletes()}, {"resync"})
        self.assertEqual(len(port.entities("issue")), 750)
        self.assertEqual(result.summary["deleted"], 250)

    def test_t37_pages_of_the_listing(self):
        """T-37 a listing of two pages: the second is asked for with from, both are evaluated"""
        port = self.port_local()
        tap = self.tap(port)
        port.create_blueprints(blueprint())
        port.put("issue", [entity(i) for i in range(1, 5201)])
        script = ('ocean.on_resync("issue", function()\n  for page = 0, 9 do\n    local list = {}\n'
                  '    for i = page * 500 + 1, page * 500 + 500 do\n'
                  '      list[#list + 1] = { id = "A-" .. i, name = "Item " .. i, u = "https://x.example/" .. i }\n'
                  '    end\n    ocean.yield(list)\n  end\nend)\n')
        result = self.ocean(self.integration(script), tap)
        self.assertClean(result)
        bodies = [l.json for l in tap.listings()]
        self.assertGreaterEqual(len(bodies), 2)
        self.assertNotIn("from", bodies[0])
        for page in bodies[1:]:
            self.assertTrue(page["from"])
            self.assertEqual(page["before"], bodies[0]["before"])
        self.assertEqual(len(port.entities("issue")), 5000)
        self.assertEqual(result.summary["deleted"], 200)
        self.assertEqual(result.resource("issue")["unchanged"], 5000)

    def test_t38_number_as_identifier(self):
        """T-38 an identifier 7 against Port's "7": one entity, not deleted"""
        port = self.port_local()
        port.create_blueprints(blueprint())
        port.put("issue", [{"identifier": "7", "title": "Seven"}, entity(1)])
        mark = port.mark()
        rows = [{"id": 7, "name": "Seven"}] + items(2)
        result = self.ocean(self.integration(list_handler("issue", rows)), port)
        self.assertIn("7", port.entities("issue"), result)
        self.assertEqual(port.count("E-35", mark), 1)
        self.assertEqual(port.count("E-32", mark), 0)

    def test_listing_fails(self):
        """A listing answered 500: nothing is deleted, exit 1, state failed"""
        port = self.port_local()
        port.create_blueprints(blueprint())
        port.put("issue", [entity(1), entity(2)])
        port.fault({"route": "E-35"}, {"type": "status", "status": 500}, count=0)
        mark = port.mark()
        result = self.ocean(self.integration(list_handler("issue", items(1))), port)
        self.assertExit(result, 1)
        self.assertEqual(port.count("E-32", mark), 0)
        self.assertEqual(sorted(port.entities("issue")), ["A-1", "A-2"])
        self.assertEqual(port.integration()["resyncState"]["status"], "failed")

    def test_another_integration(self):
        """What another integration wrote is neither compared nor deleted"""
        port = self.port_local()
        port.create_blueprints(blueprint())
        port.put("issue", [entity(i) for i in range(100, 103)], agent="port-ocean/jira/1.4.2/my-jira-2/exporter")
        result = self.ocean(self.integration(list_handler("issue", items(3))), port)
        self.assertClean(result)
        self.assertEqual(len(port.entities("issue")), 6)


if __name__ == "__main__":
    main()
