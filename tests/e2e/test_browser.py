"""The catalog's pages in a real browser: every view small and large, hostile values, the keyboard alone, accessibility."""
import json
import unittest
import urllib.parse
import urllib.request

import browser
from browser import ENTER, TAB, Browser
from lib import Case, PortLocal, blueprint, main

HOSTILE = {
    "markup": '<script>window.hit = 1</script><img src=x onerror="window.hit = 2"><svg onload="window.hit = 3">',
    "quote": "\" onmouseover=\"window.hit = 4\" x=\"'><script>window.hit = 5</script>",
    "url": "javascript:window.hit=6",
    "rtl": "\u202e\u202e\u05d0\u05d1 gpj.exe \u2067 never ended",
    "control": "\u0001\u0007\u001b[31m\u0085",
    "word": "w" * 100_000,
    "long": "many words " * 90_000,
}
SIZES = (0, 10, 100_000)
SCHEMES = ("light", "dark")


def things(first, n):
    return [{"identifier": f"t{i:06}", "blueprint": "thing", "title": f"Thing {i}",
             "properties": {"size": i * 7919 % 100003, "site": f"https://example.com/{i}", "at": "2026-01-02T03:04:05Z",
                            "notes": f"# Note {i}\n\n*text*", "tags": ["a", "b"], "more": {"deep": {"er": i}}, "on": i % 2 == 0},
             "relations": {"parent": f"t{i // 10:06}"}} for i in range(first, first + n)]


def fill(port, n):
    thing = blueprint("thing", {"size": {"type": "number"}, "site": {"type": "string", "format": "url"},
                                "at": {"type": "string", "format": "date-time"},
                                "notes": {"type": "string", "format": "markdown"}, "tags": {"type": "array"},
                                "more": {"type": "object"}, "on": {"type": "boolean"}},
                      {"parent": {"target": "thing", "many": False, "required": False}})
    port.local("POST", "/seed", {"blueprints": [thing], "entities": []})
    for first in range(0, n, 10_000):
        port.local("POST", "/seed", {"validate": False, "entities": things(first, min(10_000, n - first))})
    if n:
        mapping = {"kind": "thing", "selector": {"query": "true"},
                   "port": {"entity": {"mappings": {"identifier": ".id", "blueprint": '"thing"'}}}}
        port.call("POST", "/integration", {"installationId": "my-jira", "installationAppType": "jira", "version": "1",
                                           "changelogDestination": {}, "config": {"resources": [mapping]}})
        port.call("POST", "/integration/my-jira/kinds/thing/examples", {"examples": [{"id": "t000001"}]})
        port.call("POST", "/blueprints/thing/entities/bulk?upsert=true&merge=true&ocean_info_resync_id=r-1",
                  {"entities": [{"identifier": "t000001", "title": "Changed"}]})


def views(n):
    paths = ["/", "/blueprints", "/blueprints/thing", "/blueprints/thing/entities", "/blueprints/thing/entities?q=t00",
             "/integrations", "/journal", "/playground", "/blueprints/nothing"]
    if n:
        paths += ["/blueprints/thing/entities?sort=size&desc=1", "/blueprints/thing/entities?q=note+9&in=anywhere",
                  "/blueprints/thing/entities/t000001", "/integrations/my-jira", "/integrations/my-jira/resyncs/r-1"]
    return paths


@unittest.skipIf(browser.missing(), browser.missing())
class InBrowser(Case):
    @classmethod
    def setUpClass(cls):
        try:
            cls.chromium = Browser()
        except AssertionError as e:
            raise unittest.SkipTest(f"a browser cannot be started here: {str(e)[:200]}") from None
        cls.ports = {}
        for n in SIZES:
            cls.ports[n] = PortLocal()
            fill(cls.ports[n], n)

    @classmethod
    def tearDownClass(cls):
        cls.chromium.stop()
        for port in cls.ports.values():
            port.stop()

    def visit(self, port, path):
        self.chromium.open(port.url + path)

    def tab_to(self, condition):
        for _ in range(30):
            self.chromium.keys(TAB)
            if self.chromium.run("return " + condition):
                return
        self.fail(f"30 tabs do not lead to {condition}")

    def assertWhole(self, where):
        """Nothing sticks out sideways, nothing was run, nothing was complained about."""
        wide = self.chromium.run("return [document.documentElement.scrollWidth, innerWidth]")
        self.assertLessEqual(wide[0], wide[1], f"{where} is wider than the window")
        self.assertIsNone(self.chromium.run("return window.hit || null"), where)
        complaints = [text for text in self.chromium.complaints() if "404 (Not Found)" not in text]
        self.assertEqual(complaints, [], where)

    def test_views(self):
        """Every view at 0, 10 and 100,000 entities, in both colour schemes, wide and narrow, without a complaint"""
        for n in SIZES:
            for path in views(n):
                for scheme in SCHEMES:
                    for width in (1200, 400):
                        self.chromium.look(scheme, width)
                        self.visit(self.ports[n], path)
                        self.assertWhole(f"{path} with {n} entities, {scheme}, {width} px")
                        self.assertTrue(self.chromium.run("return document.querySelector('h1').innerText"), path)

    def test_accessible(self):
        """No view violates a rule of the accessibility checker"""
        axe = browser.axe_source()
        if axe is None:
            self.skipTest("the accessibility checker cannot be had: npm or its registry is not there")
        for n in (0, 10):
            for path in views(n):
                for scheme in SCHEMES:
                    self.chromium.look(scheme, 1200)
                    self.visit(self.ports[n], path)
                    self.chromium.run(axe)
                    found = self.chromium.run_async(
                        "const done = arguments[arguments.length - 1];"
                        "axe.run().then(r => done(r.violations.map(v => v.id + ': ' + v.nodes.map(n => n.html).join(' | '))))")
                    self.assertEqual(found, [], f"{path} with {n} entities, {scheme}")

    def test_hostile_values(self):
        """Hostile values neither run nor break the layout"""
        port = self.port_local()
        port.create_blueprints(blueprint("evil", {name: {"type": "string", "title": HOSTILE["markup"]} for name in HOSTILE}))
        for name, value in HOSTILE.items():
            port.local("POST", "/seed", {"validate": False, "entities": [
                {"identifier": name, "blueprint": "evil", "title": value, "properties": {name: value}}]})
        port.call("POST", "/integration", {"installationId": "my-jira", "installationAppType": HOSTILE["markup"], "version": "1",
                                           "changelogDestination": {}, "config": {"resources": []}})
        port.call("POST", "/integration/my-jira/kinds/" + urllib.parse.quote(HOSTILE["quote"], safe="") + "/examples",
                  {"examples": [{"value": value} for value in HOSTILE.values()]})
        paths = ["/", "/blueprints/evil", "/blueprints/evil/entities", "/integrations/my-jira", "/playground", "/journal",
                 "/blueprints/evil/entities?q=" + urllib.parse.quote(HOSTILE["quote"]) + "&in=anywhere"]
        for path in paths + [f"/blueprints/evil/entities/{name}" for name in HOSTILE]:
            for width in (1200, 400):
                self.chromium.look("light", width)
                self.visit(port, path)
                self.assertWhole(f"{path} at {width} px")
                self.assertFalse(self.chromium.run("return [...document.links].some(a => a.protocol == 'javascript:')"), path)

    def test_keyboard(self):
        """The keyboard alone finds an entity: skip link, filter, result, back by the navigation"""
        self.chromium.look("light", 1200)
        self.visit(self.ports[100_000], "/blueprints/thing/entities")
        self.chromium.keys(TAB)
        self.assertEqual(self.chromium.run("return document.activeElement.className"), "skip")
        self.chromium.keys("/")
        self.assertEqual(self.chromium.run("return document.activeElement.name"), "q")
        self.chromium.keys("t09999")
        self.chromium.until("return document.querySelectorAll('#results tbody tr').length == 10")
        self.tab_to("document.activeElement.closest('#results tbody a') != null")
        self.assertEqual(self.chromium.run("return document.activeElement.innerText"), "t099990")
        self.chromium.keys(ENTER)
        self.chromium.until("return document.querySelector('h1').innerText == 'Thing 99990'")

    def test_refreshes_itself(self):
        """The overview follows a running resync by itself, and leaves an opened fold open"""
        port = self.port_local()
        fill(port, 10)
        port.call("PATCH", "/integration/my-jira/resync-state", {"status": "running", "lastResyncStart": "2026-01-01T00:00:00Z"})
        self.visit(port, "/")
        self.chromium.until("return document.querySelector('.tiles').innerText.includes('10')")
        port.put("thing", [{"identifier": "new", "title": "New"}])
        self.chromium.until("return document.querySelector('.tiles').innerText.includes('11')")
        port.call("PATCH", "/integration/my-jira/resync-state", {"status": "completed"})
        self.chromium.until("return !document.querySelector('main').hasAttribute('data-live')")

    def test_without_scripts(self):
        """Without scripts the filter's button does the same"""
        self.chromium.scripts(False)
        try:
            self.visit(self.ports[10], "/blueprints/thing/entities")
            self.tab_to("document.activeElement.name == 'q'")
            self.chromium.keys("t000003" + ENTER)
            self.chromium.until("return document.querySelectorAll('#results tbody tr').length == 1")
        finally:
            self.chromium.scripts(True)

    def test_playground(self):
        """An example goes through the playground by button"""
        self.visit(self.ports[10], "/playground")
        self.chromium.run("document.querySelector('main a').click()")
        self.chromium.until("return document.querySelector('#input') && document.querySelector('#input').value.includes('t000001')")
        self.chromium.run("document.querySelector('main form button').click()")
        said = self.chromium.until("return document.querySelector('.results pre') && document.querySelector('.results pre').innerText")
        self.assertEqual(json.loads(said)["identifier"], "t000001")


if __name__ == "__main__":
    main()
