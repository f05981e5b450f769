"""A plan is exact: what a run then changes in the catalog is what the plan said, nothing more and nothing less.

Random data for four kinds over three blueprints: entities that come twice, from one kind or from two with different
properties, blueprints that are computed, relations to what exists, to what comes later and to nothing, entities somebody
else owns, kinds that shrink or vanish. PLAN_ROUNDS sets how many worlds are made, PLAN_SEED the first one."""
import json
import os
import random
import re

from lib import Case, blueprint, list_handler, main, resource

ROUNDS = int(os.environ.get("PLAN_ROUNDS", "14"))
SEED = int(os.environ.get("PLAN_SEED", "1"))

BLUEPRINTS = [
    blueprint("user", {"mail": "string"}),
    blueprint("service", {"url": "string", "tags": "array", "config": "object", "n": "number", "tier": "string"},
              {"owner": {"target": "user", "required": False, "many": False},
               "deps": {"target": "service", "required": False, "many": True}}),
    blueprint("task", {"url": "string"}, {"service": {"target": "service", "required": True, "many": False}}),
]

RESOURCES = [
    resource("user", blueprint='"user"', properties={"mail": ".mail"}, team=".team"),
    resource("service", blueprint='"service"',
             properties={"url": ".u", "tags": ".tags", "config": ".config", "n": ".n", "unknown": ".u"},
             relations={"owner": ".owner", "deps": ".deps"}),
    resource("tier", blueprint='"service"', title=None, properties={"tier": ".tier"}),
    resource("any", blueprint=".kind", properties={}, title=".name"),
    resource("task", blueprint='"task"', relations={"service": ".service"}),
]


class World:
    """Items of every kind, changed a little from run to run."""

    def __init__(self, rng, create_missing):
        self.rng = rng
        self.create_missing = create_missing
        self.items = {k: [] for k in ("user", "service", "tier", "any", "task")}

    def some(self, *values):
        return self.rng.choice(values)

    def value(self):
        return self.some("a", "b", "", "ünïcode", "x" * 200, "line\nbreak \"q\" \\ .")

    def service(self, i, users):
        item = {"id": f"s{i}", "name": self.value(), "u": self.some(None, "http://x", "http://y"),
                "tags": self.some(None, [], ["a"], ["b", "a"], ["a", "b"], ["a", "a"]),
                "config": self.some(None, {}, {"a.b": 1, "c": {"d": self.some(1, 2, 1.5)}}, {"c": {}}),
                "n": self.some(1, 1.0, 2, None, 12345678901234567890),
                "owner": self.some(None, *users),
                "deps": self.some(None, [], [f"s{self.rng.randrange(12)}"], [f"s{self.rng.randrange(12)}", "s1"])}
        if self.rng.random() < 0.1:
            del item["u"]
        return item

    def step(self):
        users = [f"u{i}" for i in range(self.rng.randrange(1, 8))]
        ids = sorted(self.rng.sample(range(12), self.rng.randrange(0, 12)))
        self.items["user"] = [{"id": u, "name": self.value(), "mail": self.some("m", None),
                               "team": self.some(None, "t", ["t"], ["x", "t"], ["t", "x"])} for u in users]
        targets = users + ["nobody", "u7"] if self.create_missing else users
        services = [self.service(i, targets) for i in ids]
        services += [self.service(i, targets) for i in self.rng.sample(ids, min(2, len(ids)))]  # once more
        if not self.create_missing:  # else Port would refuse some, and the retry comes last
            for s in services:
                s["deps"] = []
        self.rng.shuffle(services)
        self.items["service"] = services
        self.items["tier"] = [{"id": f"s{i}", "tier": self.some("1", "2", None)} for i in self.rng.sample(range(12), 4)]
        self.items["any"] = [{"id": f"{k[0]}{self.rng.randrange(14)}", "kind": k, "name": self.value()}
                             for k in self.rng.choices(["user", "service"], k=3)]
        known = [s["id"] for s in services] or [t["id"] for t in self.items["tier"]]
        self.items["task"] = [{"id": f"t{i}", "name": "t", "u": None, "service": self.rng.choice(known)}
                              for i in range(self.rng.randrange(0, 5))]

    def script(self):
        return "".join(list_handler(kind, items) for kind, items in self.items.items())


def snapshot(port):
    found = {}
    for b in BLUEPRINTS:
        for identifier, e in port.entities(b["identifier"]).items():
            found[b["identifier"], identifier] = {k: e[k] for k in ("title", "icon", "team", "properties", "relations")}
    return found


def nothing(value):
    return value is None or value == []


def tidy(entity):
    """Absent, null and (for teams and relations) empty are the same."""
    return {"title": entity.get("title"), "icon": entity.get("icon"), "team": sorted(entity.get("team") or []),
            "properties": {k: v for k, v in (entity.get("properties") or {}).items() if v is not None},
            "relations": {k: v for k, v in (entity.get("relations") or {}).items() if v is not None}}


def steps(path):
    """properties."a.b".c -> ["properties", "a.b", "c"]"""
    return [json.loads(quoted) if quoted else plain for quoted, plain in re.findall(r'("(?:[^"\\]|\\.)*")|([^.]+)', path)]


def set_field(entity, field):
    at = entity
    path = steps(field["path"])
    for name in path[:-1]:
        at = at.setdefault(name, {})
    if "after" in field:
        at[path[-1]] = field["after"]
    else:
        at.pop(path[-1], None)


def get_field(entity, path):
    for name in steps(path):
        entity = entity.get(name) if isinstance(entity, dict) else None
    return entity


class Random(Case):
    def one_plan(self, port, mine):
        before = snapshot(port)
        mark = port.mark()
        result = self.ocean(mine, port, "--plan")
        lines = [json.loads(line) for line in result.stdout.splitlines()]
        self.assertTrue(lines and "plan" in lines[-1], result)
        asked = {"/v1/entities/search", "/v1/blueprints/entities/datasource-entities", "/v1/auth/access_token"}
        for e in port.journal(since=mark):
            self.assertTrue(e["method"] == "GET" or e["path"].split("?")[0] in asked, (e, result))
        self.assertEqual(snapshot(port), before)
        return before, result, lines[:-1], lines[-1]["plan"]

    def expected(self, before, lines, accepted):
        after = {k: json.loads(json.dumps(v)) for k, v in before.items()}
        gone = set()
        for line in lines:
            if line["type"] != "entity":
                continue
            key = line["blueprint"], line["identifier"]
            if line["change"] == "create":
                self.assertNotIn(key, before, line)
                after[key] = {}
            if line["change"] in ("create", "update"):
                self.assertIn(key, after, line)
                for field in line["fields"]:
                    if line["change"] == "update" and "added" not in field:
                        self.assertEqual(get_field(before[key], field["path"]), field.get("before"), line)
                    set_field(after[key], field)
            if line["change"] == "delete" or (line["change"] == "held_back" and accepted and not line.get("final")):
                self.assertIn(key, before, line)
                gone.add(key)
        return self.without(after, gone)

    def without(self, catalog, gone):
        """Port empties what points to a deleted entity."""
        for key in gone:
            catalog.pop(key, None)
        relations = {b["identifier"]: b["relations"] for b in BLUEPRINTS}
        for (name, _), e in catalog.items():
            for relation, value in (e.get("relations") or {}).items():
                target = relations[name][relation]["target"]
                if isinstance(value, list):
                    e["relations"][relation] = [v for v in value if (target, v) not in gone]
                elif (target, value) in gone:
                    e["relations"][relation] = None
        return catalog

    def world(self, seed):
        rng = random.Random(seed)
        options = {"createMissingRelatedEntities": rng.random() < 0.6, "enableMergeEntity": rng.random() < 0.7,
                   "deleteDependentEntities": rng.random() < 0.7}
        # What Port creates for a relation and is written afterwards counts in the rate of a run, not in that of a plan.
        options["entityDeletionThreshold"] = rng.choice([1, 1, 0.9] if options["createMissingRelatedEntities"] else [0.9, 0.5])
        world = World(rng, options["createMissingRelatedEntities"])
        port = self.port_local()
        world.step()
        mine = self.integration(world.script(), RESOURCES, BLUEPRINTS, options)
        for turn in range(4):
            accept = rng.random() < 0.5
            label = f"PLAN_SEED={seed} turn {turn} {options} accept={accept}"
            before, planned, lines, plan = self.one_plan(port, mine)
            args = ("--accept-plan", plan["hash"]) if accept else ()
            result = self.ocean(mine, port, *args)
            want = self.expected(before, lines, accept)
            got = snapshot(port)
            for key in sorted(set(want) | set(got)):
                self.assertEqual(tidy(got[key]) if key in got else None, tidy(want[key]) if key in want else None,
                                 f"{label}\n{key}\n{planned}\n{result}")
            if not accept:
                self.assertEqual(planned.code, result.code, f"{label}\n{planned}\n{result}")
            self.assertBalanced(result)
            again = self.ocean(mine, port, "--plan")
            if accept:
                self.assertExit(again, 0)
            # Somebody else edits and adds.
            got = snapshot(port)
            port.put("user", [{"identifier": f"u{rng.randrange(8)}", "title": "theirs"}], "port-ocean/other/1/x/exporter")
            if ("service", "s1") in got:
                port.put("service", [{"identifier": "s1", "properties": {"tier": "9", "tags": ["z"]}}])
            world.step()
            mine.rewrite(world.script())

    def test_random(self):
        """What a run changes is what its plan said"""
        for seed in range(SEED, SEED + ROUNDS):
            with self.subTest(seed=seed):
                self.world(seed)


if __name__ == "__main__":
    main()
