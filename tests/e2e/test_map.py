"""`ocean-run map`: lines, exit codes, streams, diagnostics, and memory that does not grow with the input."""
import json
import os
import subprocess
import time

import lib
from lib import main

BASE = {"kind": "issue", "selector": {"query": ".on"},
        "port": {"entity": {"mappings": {"identifier": ".id", "blueprint": '"issue"', "properties": {"url": ".u"}}}}}


class MapCase(lib.Case):
    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as f:
            f.write(text if isinstance(text, bytes) else text.encode())
        return path

    def mapping(self, *resources, name="mapping.json"):
        return self.write(name, json.dumps({"resources": list(resources)}))

    def map(self, *args, stdin="", env=None):
        proc = subprocess.run([lib.OCEAN_RUN, "map", *args], input=stdin if isinstance(stdin, bytes) else stdin.encode(),
                              capture_output=True, env=env or lib.clean_env(), cwd=self.folder, timeout=lib.TIMEOUT_S,
                              check=False)
        result = lib.Result(proc.returncode, proc.stdout.decode(), proc.stderr.decode(errors="replace"), 0)
        result.raw = result.stdout.split("\n")[:-1]
        return result

    def lines(self, result):
        return [json.loads(line) for line in result.raw]

    def expr(self, expr, stdin="", *args, **kw):
        return self.map("--expr", expr, *args, stdin=stdin, **kw)


class Lines(MapCase):
    def test_passed(self):
        """map: one line for each object, written as documented"""
        r = self.map(self.mapping(BASE), stdin='{"id":"a","on":true,"u":"x"}\n{"id":"b","on":false}')
        self.assertEqual(r.raw, [
            '{"resource":0,"kind":"issue","item":0,"passed":true,'
            '"entity":{"identifier":"a","blueprint":"issue","properties":{"url":"x"}}}',
            '{"resource":0,"kind":"issue","item":1,"passed":false}'], r)
        self.assertExit(r, 0)
        self.assertEqual(r.stderr, "")

    def test_all(self):
        """map --all: entities and skipped also where the selector is false"""
        r = self.map("--all", self.mapping(BASE), stdin='{"id":"b","on":false,"u":null}{"id":[],"on":false}')
        entity = {"identifier": "b", "blueprint": "issue", "properties": {"url": None}}
        self.assertEqual(self.lines(r), [
            {"resource": 0, "kind": "issue", "item": 0, "passed": False, "entity": entity},
            {"resource": 0, "kind": "issue", "item": 1, "passed": False, "entity": {**entity, "identifier": []},
             "skipped": True}], r)
        self.assertExit(r, 0)

    def test_skipped(self):
        """map: skipped where identifier or blueprint is falsy, whatever kind of falsy"""
        falsy = ["null", "false", "0", "0.0", '""', "[]", "{}"]
        r = self.map(self.mapping(BASE), stdin="".join(f'{{"id":{v},"on":true}}' for v in falsy))
        for line, value in zip(self.lines(r), falsy, strict=True):
            self.assertTrue(line["skipped"], line)
            self.assertTrue(line["passed"], line)
            self.assertEqual(line["entity"]["identifier"], json.loads(value))
        self.assertExit(r, 0)
        self.assertSays(r, "7 of 7 without identifier or blueprint")

    def test_selector_errors(self):
        """map: a selector that gives no boolean is an error line without passed"""
        r = self.map(self.mapping(BASE), stdin='{"on":1}{"on":null}{"on":true,"id":"z"}')
        lines = self.lines(r)
        for line in lines[:2]:
            self.assertEqual(set(line), {"resource", "kind", "item", "error"})
        self.assertIn("gave 1 (number)", lines[0]["error"])
        self.assertTrue(lines[2]["passed"])
        self.assertExit(r, 4)

    def test_order(self):
        """map: by item, resource, element; elements are numbered"""
        sub = {"kind": "sub", "selector": {"query": "true"}, "port": {
            "itemsToParse": ".subs", "entity": {"mappings": {"identifier": ".item", "blueprint": '"s"', "title": ".subs"}}}}
        r = self.map(self.mapping(BASE, sub),
                     stdin='[{"id":1,"on":true,"subs":["a","b"]},{"id":2,"on":true},{"id":3,"on":true,"subs":["c"]}]')
        got = [(x["resource"], x["item"], x.get("element"), x["entity"]["identifier"]) for x in self.lines(r)]
        self.assertEqual(got, [(0, 0, None, 1), (1, 0, 0, "a"), (1, 0, 1, "b"), (0, 1, None, 2), (0, 2, None, 3),
                               (1, 2, 0, "c")])
        self.assertIsNone(self.lines(r)[1]["entity"]["title"])

    def test_element_errors(self):
        """map: an error in one element, and in itemsToParse itself"""
        selector = {"query": 'if .item == 1 then error("one") else true end'}
        sub = {"kind": "sub", "selector": selector, "port": {
            "itemsToParse": '.subs | if . == "x" then error("no list") else . end',
            "entity": {"mappings": {"identifier": ".item", "blueprint": '"s"'}}}}
        r = self.map(self.mapping(sub), stdin='{"subs":"x"}{"subs":[1,2]}{"subs":7}')
        lines = self.lines(r)
        self.assertEqual([(x["item"], x.get("element"), "error" in x) for x in lines],
                         [(0, None, True), (1, 0, True), (1, 1, False)])
        self.assertIn("no list", lines[0]["error"])
        self.assertNotIn("item 0", lines[0]["error"])
        self.assertIn("gave no array for 1 item; it gave number", r.stderr)
        self.assertExit(r, 4)

    def test_no_object(self):
        """map: what is no object is an error line"""
        r = self.map(self.mapping(BASE), stdin='[[1],"s",{"id":1,"on":true}] 7 null true')
        lines = self.lines(r)
        self.assertEqual(["error" in x for x in lines], [True, True, False, True, True, True])
        self.assertEqual([x["item"] for x in lines], list(range(6)))
        for word, i in (("array", 0), ("string", 1), ("number", 3), ("null", 4), ("boolean", 5)):
            self.assertIn(word, lines[i]["error"])
        self.assertExit(r, 4)

    def test_budget(self):
        """map: an expression over its budget costs its item alone"""
        r = self.map(self.mapping({**BASE, "port": {"entity": {"mappings": {
            "identifier": 'if .id == 1 then [range(1e12)] else .id end', "blueprint": '"b"'}}}}),
            stdin='{"id":1,"on":true}{"id":2,"on":true}')
        lines = self.lines(r)
        self.assertIn("identifier", lines[0]["error"])
        self.assertEqual(lines[1]["entity"]["identifier"], 2)
        self.assertExit(r, 4)

    def test_numbers(self):
        """map: numbers keep their text"""
        r = self.map(self.mapping(BASE), stdin='{"id":9007199254740993,"on":true,"u":[1.10,-0,100000000000000000000]}')
        self.assertIn('"identifier":9007199254740993', r.raw[0])
        self.assertIn('"url":[1.10,-0,100000000000000000000]', r.raw[0])


class Documents(MapCase):
    def test_single(self):
        """map: one resource by itself, as YAML, numbers as jq"""
        path = self.write("one.yaml", "kind: x\nselector: {query: 'true'}\nport:\n  entity:\n    mappings:\n"
                                      "      identifier: .id\n      blueprint: '\"b\"'\n      properties: {n: 7}\n")
        r = self.map(path, stdin='{"id":"a"}')
        self.assertEqual(self.lines(r)[0]["entity"]["properties"], {"n": 7})
        self.assertExit(r, 0)

    def test_choice(self):
        """map --kind, --index choose; nothing left is a usage error that names the resources"""
        two = self.mapping(BASE, {**BASE, "kind": "bug"}, {**BASE, "kind": "bug"})
        item = '{"id":1,"on":true}'
        for args, want in ((["--kind", "bug"], [1, 2]), (["--index=0"], [0]), (["--index", "0", "--index", "2"], [0, 2]),
                           (["--kind", "bug", "--index", "2"], [2]), ([], [0, 1, 2])):
            r = self.map(*args, two, stdin=item)
            self.assertEqual([x["resource"] for x in self.lines(r)], want, args)
            self.assertExit(r, 0)
        r = self.map("--kind", "bgu", two, stdin=item)
        self.assertExit(r, 2)
        self.assertSays(r, "0 (issue), 1 (bug), 2 (bug)")

    def test_invalid(self):
        """map: an invalid document names file, line and column; exit 3"""
        path = self.write("m.yaml", "resources:\n  - kind: x\n    selector: {query: 'true'}\n    port:\n      entity:\n"
                                    "        mappings:\n          blueprint: '\"b\"'\n          identifier: [1]\n")
        r = self.map(path, stdin="{}")
        self.assertExit(r, 3)
        self.assertSays(r, "m.yaml:8:23: resources[0].port.entity.mappings.identifier")
        self.assertEqual(r.stdout, "")
        self.assertSays(self.map(self.write("s.yaml", "a: [1\nb: }")), "s.yaml:2:2: ")
        r = self.map(self.write("r.json", '{"kind":"x",\n "port": {"entity": 5}}'))
        self.assertExit(r, 3)
        self.assertRegex(r.stderr, r"r\.json:2:\d+: port\.entity")
        self.assertExit(self.map("none.yaml"), 3)
        r = self.map(self.write("e.yaml", ""), stdin="{}")
        self.assertExit(r, 0)
        self.assertSays(r, "no resources")
        self.assertExit(self.map(self.write("l.json", "[1]")), 3)

    def test_compile(self):
        """map: an expression that does not compile: column and caret, null, exit 4"""
        bad = json.loads(json.dumps(BASE))
        bad["port"]["entity"]["mappings"]["properties"]["url"] = ".a | | .b"
        r = self.map(self.mapping(bad), stdin='{"id":1,"on":true}')
        self.assertExit(r, 4)
        self.assertSays(r, "resources[0] issue: properties.url does not compile", "column 6", "    .a | | .b\n         ^")
        self.assertIsNone(self.lines(r)[0]["entity"]["properties"]["url"])
        self.assertExit(self.map(self.mapping(bad)), 4)

    def test_nulls(self):
        """map: fields that were null, how often, with the key that was meant"""
        typo = json.loads(json.dumps(BASE))
        typo["port"]["entity"]["mappings"]["properties"] = {"url": ".html_uri"}
        r = self.map(self.mapping(typo), stdin='{"id":1,"on":true,"html_url":"x"}' * 3)
        self.assertExit(r, 0)
        self.assertSays(r, "properties.url `.html_uri` was null 3 times of 3", 'the item has "html_url"', '{"id":1,')

    def test_variants(self):
        """map: several mappings of a resource share its number"""
        m = BASE["port"]["entity"]["mappings"]
        r = self.map(self.mapping({**BASE, "port": {"entity": {"mappings": [m, {**m, "blueprint": '"two"'}]}}}),
                     stdin='{"id":1,"on":true}')
        self.assertEqual([(x["resource"], x["entity"]["blueprint"]) for x in self.lines(r)], [(0, "issue"), (0, "two")])

    def test_explain(self):
        """map --explain: native or libjq for each field, and why"""
        m = json.loads(json.dumps(BASE))
        m["port"]["entity"]["mappings"]["properties"] = {"url": ".u", "o": "[get_jq_origin] | .[0]", "b": ".a |"}
        r = self.map("--explain", self.mapping(m))
        self.assertExit(r, 4)
        self.assertRegex(r.stdout, r"(?m)^resources\[0\] issue$")
        self.assertRegex(r.stdout, r"(?m)^  native +selector\.query +\.on  # ")
        self.assertRegex(r.stdout, r"(?m)^  native +blueprint .*constant")
        self.assertRegex(r.stdout, r"(?m)^  libjq +properties\.o .*get_jq_origin/0 is not native.*2\^53")
        self.assertRegex(r.stdout, r"(?m)^  broken +properties\.b ")
        self.assertRegex(self.map("--explain", "--expr", ".a").stdout, "^native ")
        self.assertRegex(self.map("--explain", "--expr", ".a", "--engine", "libjq").stdout, "^libjq .*--engine")

    def test_libjq_fields(self):
        """map: fields for libjq, with clock and environment as asked for"""
        m = json.loads(json.dumps(BASE))
        m["port"]["entity"]["mappings"]["properties"] = {
            "o": "[.id, get_jq_origin] | length", "n": "[now, get_jq_origin][0]",
            "e": "[env.HELLO, $ENV.HELLO, get_jq_origin][:2]"}
        items = '{"id":1,"on":true}{"id":2,"on":true}[{"id":3,"on":true}]'
        env = {**lib.clean_env(), "HELLO": "world"}
        for access, want in (("on", ["world", "world"]), ("off", [None, None])):
            r = self.map("--now", "5.5", "--env-access", access, self.mapping(m), stdin=items, env=env)
            self.assertExit(r, 0)
            self.assertEqual([x["entity"]["identifier"] for x in self.lines(r)], [1, 2, 3])
            for x in self.lines(r):
                self.assertEqual((x["entity"]["properties"]["n"], x["entity"]["properties"]["e"]), (5.5, want), r)
            self.assertSays(r, "properties.n is evaluated by libjq")


class Inputs(MapCase):
    def test_files(self):
        """map: item counts across files; arrays, lines and values one after another"""
        a = self.write("a.json", b'\xef\xbb\xbf[{"id":1,"on":true}, {"id":2,"on":true}\n]')
        b = self.write("b.json", '{"id":3,"on":true}{"id":4,"on":true}\n\n[]{"id":5,"on":true}')
        r = self.map(self.mapping(BASE), a, b, "-", stdin='{"id":6,"on":true}')
        self.assertEqual([(x["item"], x["entity"]["identifier"]) for x in self.lines(r)], [(i, i + 1) for i in range(6)])
        self.assertExit(r, 0)

    def test_broken(self):
        """map: broken JSON is one error line, ends its file, and the next file goes on"""
        good = self.write("good.json", '{"id":9,"on":true}')
        for text, place in (('[{"id":1,"on":true},\n {"id":]', "line 2, column 8"), ('{"id":1,"on":true} {"x', "line 1, column 23"),
                            ('[{"id":1,"on":true} {}]', "line 1, column 21"), ('[{"id":1,"on":true}', "line 1, column 20"),
                            ('{"id":1,"on":true}]', "line 1, column 19"), ('[{"id":1,"on":true},]', "line 1, column 21")):
            r = self.map(self.mapping(BASE), self.write("bad.json", text), good)
            lines = self.lines(r)
            self.assertEqual([x.get("phase") for x in lines], [None, "input", None], r)
            self.assertIn("bad.json: not JSON: ", lines[1]["error"])
            self.assertIn(place, lines[1]["error"])
            self.assertEqual(lines[2]["entity"]["identifier"], 9)
            self.assertExit(r, 4)

    def test_unreadable(self):
        """map: a file that cannot be read: exit 1, the others are mapped"""
        good = self.write("good.json", '{"id":9,"on":true}')
        for args in ([self.mapping(BASE)], ["--expr", ".id"]):
            for bad in ("missing.json", self.folder):
                r = self.map(*args, bad, good)
                self.assertExit(r, 1)
                self.assertEqual(len(r.raw), 1, r)
                self.assertSays(r, bad)

    def test_jq_only(self):
        """map: nan and odd numbers as jq reads them, beside what only needs JSON"""
        r = self.map(self.mapping(BASE), stdin='{"id":1,"on":true,"u":nan}{"id":2,"on":true,"u":2.0}')
        self.assertEqual([x["entity"]["properties"]["url"] for x in self.lines(r)], [None, 2.0])
        r = self.expr(".", b'"\x7f\x8c" "\xff" "\\ud800"')
        self.assertEqual(self.lines(r), [{"value": "\x7f\ufffd"}, {"value": "\ufffd"}, {"value": "\ufffd"}])
        r = self.expr(".", b'1 "\x1a"')  # refused since jq 1.7
        self.assertEqual([line.get("phase") for line in self.lines(r)], [None, "input"])
        r = self.expr("[.[] | isnan]", "[nan,1]")
        self.assertEqual(self.lines(r), [{"value": [True, False]}])

    def test_long_values(self):
        """map: values longer than a read, escapes and brackets in strings"""
        text = 'a"]}{[\\' * 100000
        items = [{"id": i, "on": True, "u": text} for i in range(3)]
        r = self.map(self.mapping(BASE), stdin=json.dumps(items))
        self.assertEqual([x["entity"]["properties"]["url"] == text for x in self.lines(r)], [True] * 3)

    def test_every_cut(self):
        """map: values come out the same wherever a read ends"""
        text = '{"a":"x\\"]","b":[1,{"c":2}]} [true,"\\\\"]12 "é" nan'
        whole = self.expr(".", text).raw
        self.assertEqual(len(whole), 5)
        proc = subprocess.Popen([lib.OCEAN_RUN, "map", "--expr", "."], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        with proc:
            for byte in text.encode():
                proc.stdin.write(bytes([byte]))
                proc.stdin.flush()
            proc.stdin.close()
            self.assertEqual(proc.stdout.read().decode().split("\n")[:-1], whole)

    def test_many_arrays(self):
        """map: hundreds of thousands of empty arrays one after another"""
        r = self.map(self.mapping(BASE), stdin="[]" * 300000 + '{"id":1,"on":true}')
        self.assertEqual(len(r.raw), 1)
        self.assertExit(r, 0)

    def test_closed_pipe(self):
        """map: a reader that goes away ends it, without a word"""
        proc = subprocess.Popen([lib.OCEAN_RUN, "map", "--expr", "."], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)
        proc.stdout.close()
        _, err = proc.communicate(b"1 2 3", timeout=lib.TIMEOUT_S)
        self.assertEqual((proc.returncode, err), (1, b""))

    def test_pipe(self):
        """map: the answer to a value comes before the next one is written"""
        for args in (["--expr", ".id"], [self.mapping(BASE)]):
            proc = subprocess.Popen([lib.OCEAN_RUN, "map", *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            with proc:
                for i in range(3):
                    proc.stdin.write(b'{"id":%d,"on":true}\n' % i)
                    proc.stdin.flush()
                    self.assertIn(str(i), proc.stdout.readline().decode())
                proc.stdin.close()

    def peak_kb(self, path, mapping):
        proc = subprocess.Popen([lib.OCEAN_RUN, "map", mapping, path], stdout=subprocess.PIPE)
        count = 0
        for _ in proc.stdout:
            count += 1
        proc.stdout.close()
        _, status, usage = os.wait4(proc.pid, 0)
        proc.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(proc.returncode, 0)
        return usage.ru_maxrss, count

    def test_memory(self):
        """map: an array of 100,000 elements needs no more memory than one of 5,000"""
        if lib.SANITIZED:
            self.skipTest("a sanitizer keeps freed memory")
        peaks = []
        for n in (5000, 100000):
            path = os.path.join(self.folder, f"{n}.json")
            with open(path, "w", encoding="utf-8") as f:
                for i in range(n):
                    f.write(("[" if i == 0 else ",") + json.dumps({"id": i + 1, "on": True, "u": "x" * 500}))
                f.write("]")
            peak, count = self.peak_kb(path, self.mapping(BASE))
            self.assertEqual(count, n)
            peaks.append(peak)
        self.assertLess(peaks[1], peaks[0] + 4096, peaks)


class Expressions(MapCase):
    def test_lines(self):
        """map --expr: value, empty, error; one line for each input value"""
        r = self.expr('if . == 1 then empty elif . == 2 then error("x") else . end', "1 2 3.10 [4,5]")
        self.assertEqual(r.raw, ['{"empty":true}', '{"error":"x","phase":"runtime"}', '{"value":3.10}', '{"value":[4,5]}'])
        self.assertExit(r, 4)
        self.assertExit(self.expr(".", "1 2"), 0)

    def test_compile(self):
        """map --expr: an expression that does not compile"""
        for engine in ("auto", "native", "libjq"):
            r = self.expr("1 +", "1 2", "--engine", engine)
            self.assertEqual([x["phase"] for x in self.lines(r)], ["compile", "compile"], r)
            self.assertExit(r, 4)
        self.assertSays(self.expr(".a | |", "1"), "column 6", "\n    .a | |\n         ^")
        self.assertExit(self.expr("1 +", ""), 4)

    def test_input(self):
        """map --expr: broken input is one line and ends the file"""
        r = self.expr(".", '1 [2 3] 4')
        self.assertEqual([x.get("phase") for x in self.lines(r)], [None, "input"])
        self.assertExit(r, 4)

    def test_all_outputs(self):
        """map --expr --all-outputs: every output, natively and by libjq, also before an error"""
        for engine in ("native", "libjq"):
            r = self.expr("range(.) # to the end", "0 3", "--all-outputs", "--engine", engine)
            self.assertEqual(self.lines(r), [{"empty": True}, {"value": 0}, {"value": 1}, {"value": 2}], r)
            r = self.expr('1, error("x"), 2', "0", "--all-outputs", "--engine", engine)
            self.assertEqual(self.lines(r), [{"value": 1}, {"error": "x", "phase": "runtime"}])
            self.assertEqual(self.lines(self.expr("1, 2", "0", "--engine", engine)), [{"value": 1}])
        self.assertEqual(len(self.expr("1, 2", "0", "--all-outputs").raw), 2)

    def test_null_input(self):
        """map --expr --null-input: once, with null"""
        r = self.map("--expr", "[., 1]", "--null-input")
        self.assertEqual(self.lines(r), [{"value": [None, 1]}])
        self.assertExit(r, 0)
        self.assertExit(self.map("--expr", ".", "--null-input", "f.json"), 2)

    def test_engines(self):
        """map --expr --engine: native keeps integers, libjq says that it does not; native refuses what it lacks"""
        self.assertEqual(self.expr(".", "9007199254740993", "--engine", "native").raw, ['{"value":9007199254740993}'])
        self.assertEqual(self.expr("., 1", "5", "--engine", "libjq").raw, ['{"value":5}'])
        r = self.expr("get_jq_origin", "1", "--engine", "native")
        self.assertEqual(self.lines(r)[0]["phase"], "compile")
        self.assertIn("get_jq_origin/0", self.lines(r)[0]["error"])
        self.assertSays(self.expr("[get_jq_origin] | length", "1"), "libjq", "2^53")

    def test_runaway(self):
        """map --expr: a runaway expression ends within its budget, the next value is evaluated"""
        started = time.monotonic()
        r = self.expr("if . == 1 then def f: f; f else . end", "1 2")
        self.assertEqual([("error" in x) for x in self.lines(r)], [True, False])
        self.assertLess(time.monotonic() - started, 30 * lib.SLOW)

    def test_clock(self):
        """map --now: freezes the clock, whatever the time zone"""
        env = {**lib.clean_env(), "TZ": "Asia/Tokyo"}
        for engine in ("native", "libjq"):
            r = self.map("--expr", "[now, (now | todate)]", "--null-input", "--now", "1700000000.5", "--engine", engine, env=env)
            self.assertEqual(self.lines(r), [{"value": [1700000000.5, "2023-11-14T22:13:20Z"]}], r)
        for bad in ("x", "", "nan", "1e999", "5s"):
            self.assertExit(self.map("--expr", "now", "--now", bad), 2)
        m = json.loads(json.dumps(BASE))
        m["port"]["entity"]["mappings"]["properties"]["url"] = "now"
        r = self.map(self.mapping(m), "--now", "7", stdin='{"id":1,"on":true}')
        self.assertEqual(self.lines(r)[0]["entity"]["properties"]["url"], 7)

    def test_environment(self):
        """map --env-access: on by default, off hides it, credentials are never shown"""
        env = {**lib.clean_env(), "HELLO": "world", "OCEAN__PORT__CLIENT_SECRET": "hush"}
        for engine in ("native", "libjq"):
            args = ["--expr", "[env.HELLO, $ENV.HELLO, env.OCEAN__PORT__CLIENT_SECRET]", "--null-input", "--engine", engine]
            for more, want in (([], "world"), (["--env-access", "on"], "world"), (["--env-access=off"], None)):
                self.assertEqual(self.lines(self.map(*args, *more, env=env)), [{"value": [want, want, None]}])


class Usage(MapCase):
    def test_usage(self):
        """map: misuse is exit 2 and says what to do"""
        m = self.mapping(BASE)
        for args, says in (([], "which mapping?"), (["--expr"], "needs a value"), (["--kin", "x", m], "did you mean --kind?"),
                           (["--all=1", m], "takes no value"), (["--engine", "perl", "--expr", "."], "auto, native or libjq"),
                           (["--env-access", "maybe", m], "on or off"), (["--index", "-1", m], "--index"),
                           (["--null-input", m], "belong to --expr"), (["--all", "--expr", "."], "not to --expr"),
                           (["--explain", m, "f.json"], "reads no input")):
            r = self.map(*args)
            self.assertExit(r, 2)
            self.assertSays(r, says, "ocean-run help map")
            self.assertEqual(r.stdout, "")

    def test_help(self):
        """map: help tells every option"""
        r = lib.run_program([lib.OCEAN_RUN, "help", "map"])
        for option in ("--expr", "--all", "--kind", "--index", "--explain", "--env-access", "--now", "--null-input",
                       "--all-outputs", "--engine"):
            self.assertIn(option, r.stdout)
        self.assertExit(r, 0)

    def test_full_disk(self):
        """map: output that cannot be written is a failure"""
        with open("/dev/full", "wb") as full:
            code = subprocess.run([lib.OCEAN_RUN, "map", "--expr", ".", "--null-input"], stdout=full,
                                  stderr=subprocess.DEVNULL, check=False).returncode
        self.assertEqual(code, 1)


if __name__ == "__main__":
    main()
