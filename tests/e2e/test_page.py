"""The catalog's pages over HTTP: complete without scripts, escaped, paged, guarded."""
import html.parser
import json
import re
import urllib.error
import urllib.parse
import urllib.request

from lib import Case, blueprint, main

VOID = {"meta", "link", "input", "br", "rect", "path"}
HOSTILE = {
    "markup": '<script>alert(1)</script><img src=x onerror="alert(2)">',
    "quotes": "\"'><b>bold</b>",
    "rtl": "\u202egpj.exe \u05d0\u05d1",
    "control": "bell\u0007 escape\u001b[31m nul-like\u0001",
    "long": "x" * 1_000_000,
}


class Page(html.parser.HTMLParser):
    """A page taken apart: its text, links and elements; complains about elements that are not closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.links, self.words, self.heading = [], [], [], [], ""
        self.problems = []
        self.feed(text)
        self.close()
        self.problems += [f"<{tag}> is not closed" for tag in self.open]

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "a":
            self.links.append(dict(attrs))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"</{tag}> closes something else")

    def handle_data(self, data):
        self.words.append(data)
        if self.open and "h1" in self.open:
            self.heading += data

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def link(self, rel):
        return next((link["href"] for link in self.links if link.get("rel") == rel), None)

    def rows(self):
        """Identifiers of the first column."""
        return [re.sub(r".*/entities/", "", urllib.parse.unquote(link["href"])) for link in self.links
                if re.match(r"/blueprints/[^/]+/entities/[^?]", link["href"])]


class Pages(Case):
    def get(self, port, path, headers=None):
        request = urllib.request.Request(port.url + path, headers=headers or {})
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as e:
            with e:
                return e.code, e.headers, e.read().decode()

    def page(self, port, path, status=200):
        got, headers, text = self.get(port, path)
        self.assertEqual(got, status, path)
        self.assertIn("text/html", headers["Content-Type"], path)
        self.assertIn("default-src 'none'", headers["Content-Security-Policy"])
        self.assertLess(len(text), 200_000, path)
        page = Page(text)
        self.assertEqual(page.problems, [], path)
        self.assertEqual([tag for tag, _ in page.tags].count("main"), 1)
        return page

    def filled(self, n):
        port = self.port_local()
        port.create_blueprints(blueprint("thing", {"size": {"type": "number"}, "name": {"type": "string"}},
                                         {"parent": {"target": "thing", "many": False, "required": False}}))
        port.put("thing", [{"identifier": f"t{i:04}", "title": f"Thing {i}",
                            "properties": {"size": i * 7919 % 1000, "name": f"{'even' if i % 2 == 0 else 'odd'}-{i}"},
                            "relations": {"parent": f"t{i // 10:04}"}} for i in range(n)])
        return port

    def test_empty(self):
        """An empty catalog says what to type"""
        page = self.page(self.port_local(), "/")
        self.assertIn("The catalog is empty", page.text)
        self.assertIn("ocean-run --once --local", page.text)

    def test_overview(self):
        """The overview counts entities by blueprint and shows the newest requests"""
        page = self.page(self.filled(30), "/")
        self.assertIn("30 entities", page.text)
        self.assertRegex(page.text, r"\d+ created")
        self.assertIn("/blueprints/thing/entities", [link["href"] for link in page.links])

    def test_paging(self):
        """Following the next page visits every entity once, in order"""
        port = self.filled(230)
        seen, path = [], "/blueprints/thing/entities"
        while path:
            page = self.page(port, path)
            rows = [row for row in page.rows()]
            firsts = [rows[i] for i in range(0, len(rows), 2)]  # the identifier, then its parent
            seen += firsts
            path = page.link("next")
        self.assertEqual(seen, [f"t{i:04}" for i in range(230)])

    def test_filter(self):
        """A filter finds identifiers, then titles, that begin with it; anywhere looks into the values"""
        port = self.filled(230)
        by_identifier = self.page(port, "/blueprints/thing/entities?q=t012").rows()[::2]
        self.assertEqual(by_identifier, [f"t{i:04}" for i in range(120, 130)])
        by_title = self.page(port, "/blueprints/thing/entities?q=thing+22").rows()[::2]
        self.assertEqual(by_title, ["t0022"] + [f"t{i:04}" for i in range(220, 230)])
        anywhere = self.page(port, "/blueprints/thing/entities?q=EVEN-11&in=anywhere").rows()[::2]
        self.assertEqual(anywhere, ["t0110", "t0112", "t0114", "t0116", "t0118"])
        self.assertIn("Nothing matches", self.page(port, "/blueprints/thing/entities?q=zzz").text)

    def test_sort(self):
        """Entities are sorted by a property, both ways, over all pages"""
        port = self.filled(120)
        expected = sorted(range(120), key=lambda i: (i * 7919 % 1000, i))
        for extra, order in (("", expected), ("&desc=1", expected[::-1])):
            seen, path = [], f"/blueprints/thing/entities?sort=size{extra}"
            while path:
                page = self.page(port, path)
                seen += page.rows()[::2]
                path = page.link("next")
            self.assertEqual(seen, [f"t{i:04}" for i in order])

    def test_relations(self):
        """Relations are links both ways"""
        port = self.filled(30)
        page = self.page(port, "/blueprints/thing/entities/t0002")
        self.assertEqual(page.heading, "Thing 2")
        targets = {link["href"] for link in page.links}
        self.assertIn("/blueprints/thing/entities/t0000", targets)  # refers to
        self.assertLessEqual({f"/blueprints/thing/entities/t{i:04}" for i in range(20, 30)}, targets)  # referred to by
        self.assertIn("svg", [tag for tag, _ in page.tags])

    def test_what_changed(self):
        """A resync's changes are on record: counts, and the first thousand keys"""
        port = self.filled(30)
        port.call("POST", "/integration", {"installationId": "my-jira", "installationAppType": "jira", "version": "1",
                                           "changelogDestination": {}, "config": {"resources": []}})
        options = "?upsert=true&ocean_info_event_type=resync&ocean_info_resync_id=r-1"
        entities = [{"identifier": f"n{i}", "title": "new"} for i in range(2)]
        entities += [{"identifier": "t0003", "title": "Other"}, {"identifier": "t0004", "title": "Thing 4"}]
        port.call("POST", "/blueprints/thing/entities/bulk" + options, {"entities": entities})
        port.call("POST", "/blueprints/thing/bulk/entities/delete" + options.replace("upsert", "delete_dependents"),
                  {"entities": ["t0029", "none"]})
        page = self.page(port, "/integrations/my-jira/resyncs/r-1")
        self.assertIn("2 created", page.text)
        self.assertIn("1 deleted", page.text)
        record = port.local("GET", "/changes?event=r-1")
        changed = [(c["change"], c["identifier"]) for c in record["changes"]]
        self.assertEqual(changed[:2] + changed[-1:], [("created", "n0"), ("created", "n1"), ("deleted", "t0029")])
        self.assertIn(("updated", "t0003"), changed)
        self.assertIn("r-1", str(self.page(port, "/").links))

    def test_hostile_values(self):
        """Markup, control characters and long texts from outside stay text"""
        port = self.port_local()
        port.create_blueprints(blueprint("evil", {name: {"type": "string", "title": HOSTILE["markup"]} for name in HOSTILE}))
        for name, value in HOSTILE.items():
            port.put("evil", [{"identifier": name, "title": value[:500], "properties": {name: value}}])
        port.call("POST", "/integration", {"installationId": "in", "installationAppType": HOSTILE["markup"], "version": "1",
                                              "changelogDestination": {}, "config": {"resources": []}})
        for path in ("/", "/blueprints", "/blueprints/evil", "/blueprints/evil/entities", "/integrations", "/integrations/in",
                     "/journal", *(f"/blueprints/evil/entities/{name}" for name in HOSTILE),
                     "/blueprints/evil/entities?q=%3Cscript%3Ealert(1)%3C%2Fscript%3E&in=anywhere"):
            page = self.page(port, path)
            scripts = [attrs for tag, attrs in page.tags if tag == "script"]
            self.assertEqual(scripts, [{"src": "/page.js", "defer": None}], path)
            self.assertNotIn("img", [tag for tag, _ in page.tags], path)
            self.assertFalse([a for _, attrs in page.tags for a in attrs if a.startswith("on") or a == "style"], path)
            self.assertNotRegex(" ".join(page.words), "[\u0001-\u0008\u000b-\u001f]")

    def test_playground(self):
        """The playground maps a pasted item as `ocean-run map` does, and survives what never ends"""
        port = self.filled(1)
        mapping = ("resources:\n- kind: pull\n  selector: {query: .open}\n  port: {entity: {mappings: {identifier: .id, "
                   "blueprint: '\"pr\"', properties: {url: .html_uri, all: '%s'}}}}\n")
        item = {"id": "a<b", "open": True, "html_url": "https://example.com"}
        page = self.play(port, mapping % ".id", item)
        self.assertIn('"identifier": "a<b"', page.text)
        self.assertIn('the item has "html_url"', page.text)
        self.assertIn("not selected", self.play(port, mapping % ".id", item | {"open": False}).text)
        self.assertIn("was given up", self.play(port, mapping % "def f: f; f", item).text)
        self.assertIn("does not compile", self.play(port, mapping % ".id |", item).text)
        self.assertIn("the mapping:", self.play(port, "resources: [", item).text)
        self.assertIn("Both boxes", self.play(port, "", item).text)
        self.assertNotIn("\u240d", self.play(port, (mapping % ".id").replace("\n", "\r\n"), item).text)
        self.assertEqual(self.get(port, "/playground", {"Origin": "https://evil.example"})[0], 403)

    def play(self, port, mapping, item):
        body = urllib.parse.urlencode({"mapping": mapping, "input": json.dumps(item)}).encode()
        with urllib.request.urlopen(urllib.request.Request(port.url + "/playground", data=body)) as answer:
            page = Page(answer.read().decode())
        self.assertEqual(page.problems, [])
        return page

    def test_example_in_playground(self):
        """A raw example of an integration opens in the playground with its mapping"""
        port = self.filled(1)
        mine = {"kind": "pull", "selector": {"query": "true"},
                "port": {"entity": {"mappings": {"identifier": ".id", "blueprint": '"thing"'}}}}
        port.call("POST", "/integration", {"installationId": "my-jira", "installationAppType": "jira", "version": "1",
                                           "changelogDestination": {}, "config": {"resources": [mine]}})
        port.call("POST", "/integration/my-jira/kinds/pull/examples", {"examples": [{"id": "from far away"}]})
        page = self.page(port, "/playground")
        link = next(link["href"] for link in page.links if "my-jira" in link["href"])
        filled = self.page(port, link)
        self.assertIn("from far away", filled.text)
        self.assertIn('"identifier": ".id"', filled.text)

    def test_not_there(self):
        """What is not there is a page that says so"""
        port = self.filled(1)
        for path in ("/blueprints/nope", "/blueprints/thing/entities/nope", "/integrations/nope"):
            self.assertIn("nope", self.page(port, path, 404).text)

    def test_other_sites(self):
        """No other web site reads the catalog through a browser"""
        port = self.filled(1)
        for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            self.assertEqual(self.get(port, "/", headers)[0], 403, headers)

    def test_twins(self):
        """The JSON a page names holds the same"""
        port = self.filled(3)
        for path in ("/", "/blueprints", "/blueprints/thing", "/blueprints/thing/entities", "/blueprints/thing/entities/t0001",
                     "/journal"):
            page = self.page(port, path)
            twin = next(link["href"] for link in page.links if link["href"].startswith("/_local/"))
            self.assertTrue(json.loads(self.get(port, twin)[2])["ok"], twin)


if __name__ == "__main__":
    main()
