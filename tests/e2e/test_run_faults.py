"""Everything that goes wrong on the way, one fault a case: nothing that exists is deleted, nothing is lost or doubled, and
status and exit code tell the truth.

Every case is the same story. A first run fills the catalog. Then the source changes: one item is new, one has another
name, one is gone. The second run meets the fault. Whatever happens, what the source still has stays in the catalog, and:

  recovers  the run gets over it: exit 0, state completed, the catalog equals the source
  fails     the run cannot know everything: exit 4 (1 when not even the listing of Port is known), state failed, the
            vanished item is still there
  refused   Port refuses entities, everything else is known: exit 4, state completed
  held      what came is suspiciously little: exit 5, state completed, nothing deleted
  stops     the run cannot even begin: another exit code, and nothing was written

A third run without the fault ends clean with the catalog equal to the source, and no entity was created twice.
"""
import json

from lib import Case, Reply, main

PAGES = 3
SIZE = 10
BOUND_S = 60  # what the waits of these faults add up to, many times over

SCRIPT = """
local api = ocean.http.client {{ base_url = "{url}", timeout = 2, retry = {{ attempts = 3, base = 0.02, max = 1 }} }}
ocean.on_resync("issue", function()
  local page = 1
  while true do
    local items = api:get("/items", {{ params = {{ page = page }} }}):json()
    if #items == 0 then return end
    ocean.yield(items)
    page = page + 1
  end
end)
"""

PAGINATED = """
local api = ocean.http.client {{ base_url = "{url}", timeout = 2, retry = {{ attempts = 3, base = 0.02, max = 1 }} }}
ocean.on_resync("issue", function()
  for page in ocean.paginate.page(api, "/items", {{ items = "data", size = 10 }}) do ocean.yield(page) end
end)
"""


def item(i, **more):
    return {"id": f"A-{i}", "name": f"Item {i}", "u": f"https://x.example/{i}", **more}


BEFORE = [item(i) for i in range(1, 31)]
AFTER = [item(i, **({"name": "Renamed"} if i == 5 else {})) for i in range(1, 30)] + [item(31)]
EXPECTED = {i["id"]: i["name"] for i in AFTER}


class Source:
    """Serves a list in pages; `broken` maps the number of a request, from 1, to what is answered instead."""

    def __init__(self, third, wrapped=False):
        self.items, self.broken, self.asked, self.wrapped = BEFORE, {}, 0, wrapped
        third.on("/items", self.answer)

    def serve(self, items, broken=None):
        self.items, self.broken, self.asked = items, broken or {}, 0

    def page(self, number):
        part = self.items[(number - 1) * SIZE:number * SIZE]
        return {"data": part} if self.wrapped else part

    def answer(self, request):
        self.asked += 1
        special = self.broken.get(self.asked, self.broken.get("all"))
        number = int(request.query.get("page", 1))
        return self.page(number) if special is None else special(self.page(number)) if callable(special) else special


class Story(Case):
    def names(self, port):
        port._token = None  # a fault may have revoked it
        return {key: entity["title"] for key, entity in port.entities("issue").items()}

    def told(self, port):
        return port.integration()["resyncState"]["status"]

    def run_story(self, outcome, broken=None, faults=(), script=SCRIPT, **env):
        port = self.port_local("--journal-bodies", "errors")
        third = self.third_party()
        source = Source(third, wrapped=script is PAGINATED)
        mine = self.integration(script.format(url=third.url))
        self.assertClean(self.ocean(mine, port))
        self.assertEqual(len(self.names(port)), 30)
        mark = port.mark()

        source.serve(AFTER, broken)
        for match, action, when in faults:
            port.fault(match, action, **when)
        result = self.ocean(mine, port, timeout_s=BOUND_S, OCEAN__CLIENT_TIMEOUT="2", **env)
        port.local("DELETE", "/faults")
        self.judge(outcome, result, port)

        source.serve(AFTER)
        last = self.ocean(mine, port)
        self.assertClean(last)
        self.assertEqual(self.names(port), EXPECTED, last)
        self.assertEqual(self.told(port), "completed")
        self.assertEqual(port.effects("created", since=mark), 1, "an entity was created twice, or was lost")
        return result

    def judge(self, outcome, result, port):
        there = self.names(port)
        still = {i["id"] for i in AFTER if i["id"] != "A-31"}
        self.assertEqual(still - set(there), set(), f"what the source still has was deleted\n{result}")
        self.assertLess(result.seconds, BOUND_S)
        if outcome == "recovers":
            self.assertExit(result, 0)
            self.assertEqual(there, EXPECTED, result)
            self.assertEqual(self.told(port), "completed")
        elif outcome == "refused":
            self.assertExit(result, 4)
            self.assertEqual(self.told(port), "completed", result)
            self.assertGreater(result.resource("issue")["rejected"], 0)
        elif outcome == "held":
            self.assertExit(result, 5)
            self.assertIn("A-30", there, result)
            self.assertGreater(result.summary["held_back"], 0)
            self.assertEqual(self.told(port), "completed", result)
        elif outcome == "fails":
            self.assertIn(result.code, (1, 4), result)
            self.assertIn("A-30", there, result)
            self.assertEqual(self.told(port), "failed", result)
            self.assertFalse(result.summary["ok"])
            self.assertTrue(result.code == 1 or [e for r in result.summary["resources"] for e in r["errors"]], result)
        else:
            self.assertNotIn(result.code, (0, 4), result)
            self.assertIn("A-30", there, result)
            self.assertNotIn("A-31", there, result)


def empty(page):
    return []


def shorter(page):
    return page[:3]


def wrong_type(page):
    return Reply(200, "<html>maintenance</html>", content_type="text/html")


def truncated(page):
    return Reply(200, json.dumps(page), cut=40)


def malformed(page):
    return Reply(200, json.dumps(page)[:-2])


THIRD_PARTY = [
    # name, what is answered by request, outcome
    ("401 at the first page", {"all": Reply(401, "{}")}, "fails"),
    ("401 at the second page", {2: Reply(401, "{}")}, "fails"),
    ("403 at the first page", {"all": Reply(403, "{}")}, "fails"),
    ("403 at the last page", {3: Reply(403, "{}")}, "fails"),
    ("404 at the first page", {1: Reply(404, "{}")}, "fails"),
    ("404 in the middle", {2: Reply(404, "{}")}, "fails"),
    ("429 with seconds", {2: Reply(429, "{}", {"Retry-After": "1"})}, "recovers"),
    ("429 with a reset instant", {2: Reply(429, "{}", {"X-RateLimit-Reset": "0"})}, "recovers"),
    ("429 without a header", {1: Reply(429, "{}"), 2: Reply(429, "{}")}, "recovers"),
    ("429 for ever", {"all": Reply(429, "{}")}, "fails"),
    ("500 once", {2: Reply(500, "oops")}, "fails"),
    ("502, then 503, then 504", {1: Reply(502, ""), 2: Reply(503, ""), 3: Reply(504, "")}, "recovers"),
    ("503 for ever at the second page", {n: Reply(503, "") for n in range(2, 20)}, "fails"),
    ("a connection that is cut inside the body, once", {2: truncated}, "recovers"),
    ("a connection that is cut inside the body, for ever", {n: truncated for n in range(2, 20)}, "fails"),
    ("a body that is no JSON", {2: malformed}, "fails"),
    ("a page of HTML", {1: wrong_type}, "fails"),
    ("a page of HTML in the middle", {2: wrong_type}, "fails"),
    ("an answer that comes too late, once", {2: Reply(200, "[]", delay_s=2.6)}, "recovers"),
    ("an object where a list belongs", {2: {"message": "try later"}}, "held"),
    ("items that are no objects", {2: ["a", "b"]}, "fails"),
    ("null", {1: Reply(200, "null")}, "fails"),
    ("an empty body", {1: Reply(200, "")}, "fails"),
]


class AtTheThirdParty(Story):
    pass


PORT_TRANSIENT = [
    ("503", {"type": "status", "status": 503}),
    ("502", {"type": "status", "status": 502}),
    ("a reset before the request was read", {"type": "reset", "at": "accept"}),
    ("a reset instead of an answer", {"type": "reset", "at": "beforeBody"}),
    ("429 with Retry-After", {"type": "rateLimit", "retryAfter": 1, "headers": "retryAfter"}),
    ("429 with a reset instant", {"type": "rateLimit", "resetIn": 1, "headers": "reset"}),
    ("an answer that is reset inside its body", {"type": "reset", "at": "midBody", "afterBytes": 10}),
    ("an answer that is too short", {"type": "truncate", "afterBytes": 10}),
    ("an answer of broken JSON", {"type": "badJson"}),
    ("an answer that drips", {"type": "slowBody", "bytesPerSecond": 4000, "chunkBytes": 400}),
    ("an outage of 0.6 s", {"type": "burst", "status": [502, 503, 504], "durationMs": 600}),
    ("tokens that expire", {"type": "expireTokens"}),
    ("a slow answer", {"type": "latency", "ms": 300}),
]
SLOW = ("rateLimit", "burst")  # their waits are real
# A whole answer that cannot be read is not asked for again: what it said is unknown, and told.
UNREADABLE = {"E-1": "stops", "E-5": "stops", "E-31": "refused", "E-35": "fails"}
PORT_KINDS = [("E-1", "the token"), ("E-5", "the integration"), ("E-9", "the resync state"), ("E-34", "the lookup"),
              ("E-31", "a bulk"), ("E-35", "the listing"), ("E-32", "a deletion"), ("E-23", "a blueprint")]
PORT_LASTING = [
    # route, fault, outcome
    ("E-1", {"type": "status", "status": 401}, "stops"),
    ("E-5", {"type": "status", "status": 422}, "stops"),
    ("E-31", {"type": "status", "status": 422}, "refused"),
    ("E-31", {"type": "status", "status": 500}, "refused"),
    ("E-35", {"type": "status", "status": 500}, "fails"),
    ("E-35", {"type": "status", "status": 403}, "fails"),
    ("E-31", {"type": "bulkPartial", "failEvery": 5, "statusCode": 422, "error": "invalid_request"}, "refused"),
]
PORT_LOST = [
    ("commits a bulk, then resets", "E-31", {"type": "commitThenFail", "with": "reset"}),
    ("commits a bulk, then answers 503", "E-31", {"type": "commitThenFail", "with": "status", "status": 503}),
    ("commits a deletion, then resets", "E-32", {"type": "commitThenFail", "with": "reset"}),
    ("commits the state, then resets", "E-9", {"type": "commitThenFail", "with": "reset"}),
    ("hangs at a bulk, then closes", "E-31", {"type": "hang", "ms": 700}),
    ("hangs at the listing, then closes", "E-35", {"type": "hang", "ms": 700}),
    ("short-lived tokens", "E-1", {"type": "shortToken", "expiresIn": 2}),
    ("closes idle connections", "E-5", {"type": "closeIdle", "afterMs": 1}),
    ("answers the lookup from the past", "E-34", {"type": "staleRead", "lagMs": 600000}),
]


class AtPort(Story):
    pass


class Paginated(Story):
    def test_empty_page(self):
        """A page that is empty by mistake ends the listing early: the kind shrank, and that is held back"""
        self.shrunk({2: {"data": []}})

    def test_repeated_page(self):
        """The same page twice in a row is an error, not a loop"""
        result = self.run_story("fails", {"all": lambda page: {"data": AFTER[:SIZE]}}, script=PAGINATED)
        self.assertLess(result.resource("issue")["extracted"], 31)

    def test_absent_items(self):
        """An answer without the list is an error"""
        self.run_story("fails", {2: {"message": "busy"}}, script=PAGINATED)

    def test_shrinking_pages(self):
        """Pages that lose many items while they are read: the kind shrank, and that is held back"""
        self.shrunk({n: lambda page: {"data": page["data"][:2]} for n in (2, 3)})

    def test_falling_total(self):
        """A total that falls while pages are read: an item has slipped between two pages, and nothing is deleted"""
        def slipped(page):
            source = self.source
            source.items = source.items[1:]
            return {"data": source.items[SIZE:2 * SIZE], "total": len(source.items)}
        self.totalled({1: lambda page: page | {"total": 30}, 2: slipped, 3: lambda page: page | {"total": 29}}, "the total fell")

    def test_unreached_total(self):
        """A total that is not reached: something did not come, and nothing is deleted"""
        self.totalled({1: lambda page: page | {"total": 30}, 2: {"data": [], "total": 30}}, "only 10 of 30 items came")

    def totalled(self, broken, says):
        port = self.port_local()
        third = self.third_party()
        self.source = Source(third, wrapped=True)
        script = PAGINATED.replace("size = 10", 'size = 10, total = "total"')
        mine = self.integration(script.format(url=third.url))
        whole = {n: lambda page: page | {"total": 30} for n in (1, 2, 3)}
        self.source.serve(BEFORE, whole)
        self.assertClean(self.ocean(mine, port))
        self.source.serve(AFTER, broken)
        result = self.ocean(mine, port)
        self.assertExit(result, 4)
        self.assertIn(says, result.errors("issue"))
        self.assertEqual({f"A-{i}" for i in range(1, 31)} - set(self.names(port)), set(), result)
        self.source.serve(AFTER, whole)
        self.assertClean(self.ocean(mine, port))
        self.assertEqual(self.names(port), EXPECTED)

    def shrunk(self, broken):
        port = self.port_local()
        third = self.third_party()
        source = Source(third, wrapped=True)
        mine = self.integration(PAGINATED.format(url=third.url))
        self.assertClean(self.ocean(mine, port))
        source.serve(AFTER, broken)
        result = self.ocean(mine, port)
        self.assertExit(result, 5)
        self.assertEqual({f"A-{i}" for i in range(1, 31)} - set(self.names(port)), set(), result)
        self.assertEqual(self.told(port), "completed")
        source.serve(AFTER)
        self.assertClean(self.ocean(mine, port))
        self.assertEqual(self.names(port), EXPECTED)


def add(cls, number, name, outcome, **story):
    def test(self):
        self.run_story(outcome, **story)
    test.__doc__ = f"{name}: the run {outcome}"
    setattr(cls, f"test_{number:02}", test)


for n, (name, broken, outcome) in enumerate(THIRD_PARTY, 1):
    add(AtTheThirdParty, n, name, outcome, broken=broken)
n = 0
for route, what in PORT_KINDS:
    for name, action in PORT_TRANSIENT:
        if route == "E-1" and action["type"] == "expireTokens":
            continue  # a 401 at the token route means wrong credentials
        if action["type"] in SLOW and route not in ("E-1", "E-31", "E-35"):
            continue
        outcome = UNREADABLE.get(route, "recovers") if action["type"] == "badJson" else "recovers"
        n += 1
        add(AtPort, n, f"{name} at {what}", outcome, faults=[({"route": route}, action, {"count": 1})])
for route, action, outcome in PORT_LASTING:
    n += 1
    add(AtPort, n, f"{route} answered by {action['type']} {action.get('status', '')} for ever", outcome,
        faults=[({"route": route}, action, {"count": 0})])
for name, route, action in PORT_LOST:
    n += 1
    add(AtPort, n, f"Port {name}", "recovers", faults=[({"route": route}, action, {"count": 1})])

if __name__ == "__main__":
    main()
