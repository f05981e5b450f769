"""Expressions that never end, or want everything: one item's error each, while the rest of the batch is mapped."""
import json
import os

from lib import OCEAN_RUN, Case, list_handler, main, resource, run_program

DEEP = "[" * 3000 + "1" + "]" * 3000
# name, expression (evaluated for the item whose id is "bad" only), input member of that item
HUNGRY = [
    ("an array of a million million numbers", "[range(1e12)] | length", None),
    ("endless recursion", "def f: f; f", None),
    ("recursion that grows", "def f: [., f]; f", None),
    ("descending again and again", "[.x | .. | .. | ..] | length", DEEP),
    ("a text that doubles", 'reduce range(40) as $i ("0123456789"; . + .) | length', None),
    ("a text that is repeated", '"0123456789" * 100000000 | length', None),
    ("a catastrophic regular expression", '.x | test("^(a+)+$")', json.dumps("a" * 40 + "!")),
    ("an endless generator", "[repeat(1)] | length", None),
    ("a loop without an end", "last(range(1e12))", None),
    ("what try cannot catch", "try ([range(1e12)] | length) catch 0", None),
    ("what ? and // cannot catch", "(([range(1e12)] | length)? // 0)", None),
]
# These end by themselves.
HARMLESS = [
    ("an empty match at the start", 'gsub("^"; "x")', '"abc"', "xabc"),
    ("an empty match everywhere", 'gsub(""; "-")', '"ab"', "-a-b-"),
    ("a date beyond all dates", 'todate? // "no date"', "1e300", "no date"),
]
BOUND_S = 60


def mapping(expression):
    return {"resources": [resource(properties={"url": f'if .id == "bad" then ({expression} | tostring) else .u end'})]}


class Budgets(Case):
    def map(self, document, items):
        path = os.path.join(self.folder, "mapping.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(document, file)
        lines = os.path.join(self.folder, "items.json")
        with open(lines, "w", encoding="utf-8") as file:
            file.write("\n".join(items))
        result = run_program([OCEAN_RUN, "map", path, lines], timeout_s=BOUND_S)
        return result, [json.loads(line) for line in result.stdout.splitlines()]

    def test_one_item(self):
        """Each exceeds its budget as one item's error that names field and expression; its neighbours are mapped"""
        for name, expression, member in HUNGRY:
            with self.subTest(name):
                bad = '{"id":"bad","u":"x"' + (f',"x":{member}' if member else "") + "}"
                good = [f'{{"id":"{i}","name":"n","u":"https://x.example/{i}"}}' for i in range(6)]
                result, lines = self.map(mapping(expression), good[:3] + [bad] + good[3:])
                self.assertEqual(result.code, 4, result)
                self.assertEqual([line.get("passed") for line in lines], [True] * 3 + [None] + [True] * 3, result)
                self.assertIn("properties.url", lines[3]["error"])
                self.assertIn("given up", lines[3]["error"])
                self.assertEqual(lines[4]["entity"]["properties"]["url"], "https://x.example/3")

    def test_harmless(self):
        """What merely looks endless gives what jq gives"""
        for name, expression, member, expected in HARMLESS:
            with self.subTest(name):
                result, lines = self.map(mapping(f".x | {expression}"), ['{"id":"bad","x":' + member + "}"])
                self.assertEqual(result.code, 0, result)
                self.assertEqual(lines[0]["entity"]["properties"]["url"], expected)

    def test_sync(self):
        """In a resync the others are written, the kind is tainted, and nothing is deleted"""
        port = self.port_local()
        items = [{"id": f"A-{i}", "name": f"Item {i}", "u": "x"} for i in range(50)]
        mine = self.integration(list_handler("issue", items))
        self.assertClean(self.ocean(mine, port))
        query = 'if .id == "A-7" then ([range(1e12)] | length) else .name end'
        hungry = self.integration(list_handler("issue", items[:49]), resources=[resource(title=query)])
        result = self.ocean(hungry, port, "--reset-mapping")
        self.assertExit(result, 4)
        self.assertIn("title", result.errors("issue"))
        self.assertEqual(len(port.entities("issue")), 50)
        self.assertEqual(port.integration()["resyncState"]["status"], "failed")


if __name__ == "__main__":
    main()
