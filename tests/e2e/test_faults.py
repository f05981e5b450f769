"""What each fault of port-local does to a client, seen on the wire (port-api 16.3, P-220 to P-223)."""
import json
import socket
import time
import urllib.parse

from lib import Case, blueprint, main

ONE = {"entities": [{"identifier": "x", "title": "X", "properties": {}}]}
BULK = "/v1/blueprints/issue/entities/bulk?upsert=true&merge=true"


class Answer:
    """Everything that came, and how the connection ended: "kept", "closed" or "reset"."""

    def __init__(self, raw, end, seconds):
        self.raw, self.end, self.seconds = raw, end, seconds
        head, _, self.body = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split()[1]) if lines[0] else 0
        self.headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}

    def complete(self):
        if "\r\ntransfer-encoding: chunked" in self.raw.decode("latin-1").lower():
            return self.body.endswith(b"0\r\n\r\n")
        return b"\r\n\r\n" in self.raw and len(self.body) >= int(self.headers.get("content-length", "0"))


def receive(sock, timeout_s=20):
    raw, began, end = b"", time.monotonic(), "kept"
    sock.settimeout(timeout_s)
    while True:
        if raw and Answer(raw, end, 0).complete():
            break
        try:
            piece = sock.recv(65536)
        except ConnectionResetError:
            end = "reset"
            break
        if not piece:
            end = "closed"
            break
        raw += piece
    return Answer(raw, end, time.monotonic() - began)


class Faults(Case):
    def setUp(self):
        super().setUp()
        self.port = self.port_local()
        self.port.create_blueprints(blueprint())
        self.token = self.port.call("POST", "/auth/access_token", {"clientId": "c", "clientSecret": "s"})["accessToken"]

    def connect(self):
        url = urllib.parse.urlsplit(self.port.url)
        sock = socket.create_connection((url.hostname, url.port))
        self.addCleanup(sock.close)
        return sock

    def send(self, sock, method, path, body=None, agent="port-ocean/jira/1/my-jira/exporter", **headers):
        text = json.dumps(body).encode() if body is not None else b""
        lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {self.token}",
                 f"User-Agent: {agent}", f"Content-Length: {len(text)}"]
        lines += [f"{k.replace('_', '-')}: {v}" for k, v in headers.items()]
        sock.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + text)

    def ask(self, method, path, body=None, **kw):
        sock = self.connect()
        self.send(sock, method, path, body, **kw)
        return receive(sock)

    def fault(self, action, match=None, **when):
        return self.port.local("POST", "/faults", {"match": match or {}, "when": when, "action": action})["fault"]

    def newest(self):
        return self.port.local("GET", "/journal?order=desc&limit=1")["entries"][0]

    def test_reset_in_the_middle(self):
        """reset midBody: headers with the full length, so many bytes, RST; the write stays"""
        self.fault({"type": "reset", "at": "midBody", "afterBytes": 20}, {"route": "E-31"})
        a = self.ask("POST", BULK, ONE)
        self.assertEqual((a.status, len(a.body), a.end), (200, 20, "reset"))
        self.assertGreater(int(a.headers["content-length"]), 20)
        entry = self.newest()
        self.assertTrue(entry["committed"])
        self.assertEqual(len(entry["faults"]), 1)
        self.fault({"type": "reset", "at": "midBody"}, {"route": "E-2"})
        a = self.ask("GET", "/v1/organization")
        self.assertEqual((len(a.body), a.end), (int(a.headers["content-length"]) // 2, "reset"))

    def test_reset_before(self):
        """reset at accept: nothing happens; beforeBody: the headers come and no byte of the body"""
        self.fault({"type": "reset"}, {"route": "E-31"})
        a = self.ask("POST", BULK, ONE)
        self.assertEqual((a.raw, a.end), (b"", "reset"))
        self.assertFalse(self.newest()["committed"])
        self.fault({"type": "reset", "at": "beforeBody"}, {"route": "E-31"})
        a = self.ask("POST", BULK, ONE)
        self.assertEqual((a.status, a.body, a.end), (200, b"", "reset"))
        self.assertTrue(self.newest()["committed"])

    def test_truncate(self):
        """truncate: full Content-Length, fewer bytes, an orderly end"""
        self.fault({"type": "truncate", "afterBytes": 7}, {"route": "E-2"})
        a = self.ask("GET", "/v1/organization")
        self.assertEqual((a.status, len(a.body), a.end), (200, 7, "closed"))

    def test_bad_json(self):
        """badJson: a complete answer that no parser takes; the connection goes on"""
        self.fault({"type": "badJson"}, {"route": "E-2"})
        sock = self.connect()
        self.send(sock, "GET", "/v1/organization")
        a = receive(sock)
        self.assertEqual((a.status, a.end), (200, "kept"))
        with self.assertRaises(ValueError):
            json.loads(a.body)
        self.send(sock, "GET", "/v1/organization")
        self.assertTrue(json.loads(receive(sock).body)["ok"])

    def test_slow_body(self):
        """slowBody: the answer drips at that rate, with a length or chunked"""
        for chunked in (False, True):
            self.fault({"type": "slowBody", "bytesPerSecond": 400, "chunkBytes": 40, "chunked": chunked}, {"route": "E-2"})
            a = self.ask("GET", "/v1/organization")
            self.assertEqual((a.status, a.end), (200, "kept"))
            self.assertEqual("content-length" in a.headers, not chunked)
            self.assertGreater(a.seconds, 0.1)
            if chunked:
                self.assertEqual(a.headers["transfer-encoding"], "chunked")
                self.assertTrue(a.body.startswith(b"28\r\n"), a.body)
            else:
                self.assertTrue(json.loads(a.body)["ok"])

    def test_burst(self):
        """burst: every matching request fails for that time, codes in rotation; the whole burst is one use"""
        made = self.fault({"type": "burst", "status": [502, 503, 504], "durationMs": 400}, {"route": "E-2"})
        self.assertEqual(made["action"]["status"], [502, 503, 504])
        seen = []
        while not seen or seen[-1] != 200:
            seen.append(self.ask("GET", "/v1/organization").status)
        self.assertGreaterEqual(len(seen), 2)
        self.assertEqual(seen, ([502, 503, 504] * len(seen))[:len(seen) - 1] + [200])
        state = self.port.local("GET", f"/faults/{made['id']}")["fault"]
        self.assertEqual((state["hits"], state["remaining"]), (len(seen) - 1, 0))

    def test_bulk_omit(self):
        """bulkOmit: the member is in neither list and not written"""
        self.fault({"type": "bulkOmit", "identifiers": ["b*"]}, {"route": "E-31"})
        members = [{"identifier": i, "title": i, "properties": {}} for i in ("a", "b1", "c")]
        answer = json.loads(self.ask("POST", BULK, {"entities": members}).body)
        self.assertEqual([(e["identifier"], e["index"]) for e in answer["entities"]], [("a", 0), ("c", 2)])
        self.assertEqual(answer["errors"], [])
        self.assertEqual(sorted(self.port.entities("issue")), ["a", "c"])

    def test_stale_read(self):
        """staleRead: searches see neither what was written nor what was deleted since then"""
        self.fault({"type": "staleRead", "lagMs": 600000}, {"route": "E-34"}, count=0)
        query = {"combinator": "and", "rules": [{"property": "$blueprint", "operator": "=", "value": "issue"}]}

        def found():
            answer = json.loads(self.ask("POST", "/v1/entities/search", query).body)
            return sorted((e["identifier"], e["title"]) for e in answer["entities"])

        self.port.put("issue", [{"identifier": i, "title": "old", "properties": {}} for i in ("a", "b")])
        self.assertEqual(found(), [])
        self.assertEqual(len(self.port.call("GET", "/blueprints/issue/entities")["entities"]), 2)  # looking back has changed nothing
        self.port.local("DELETE", "/faults")
        self.assertEqual(found(), [("a", "old"), ("b", "old")])
        # From here on a is changed, b deleted, c new.
        self.fault({"type": "staleRead", "lagMs": 1000}, {"route": "E-34"}, count=0)
        time.sleep(1.1)  # what follows is younger than the lag until it has passed again
        self.port.put("issue", [{"identifier": "a", "title": "new", "properties": {}}, {"identifier": "c", "title": "new", "properties": {}}])
        self.port.call("DELETE", "/blueprints/issue/entities/b")
        began = time.monotonic()
        first = found()
        if time.monotonic() - began < 0.5:
            self.assertEqual(first, [("a", "old"), ("b", "old")])
        while found() != [("a", "new"), ("c", "new")]:
            self.assertLess(time.monotonic() - began, 30)

    def test_close_idle(self):
        """closeIdle: the kept connection ends that long after the answer, unless it is used before"""
        self.fault({"type": "closeIdle", "afterMs": 50}, {"route": "E-2"})
        sock = self.connect()
        self.send(sock, "GET", "/v1/organization")
        self.assertEqual(receive(sock).end, "kept")
        last = receive(sock)
        self.assertEqual((last.raw, last.end), (b"", "closed"))

    def test_hang(self):
        """hang: the request is read, nothing comes, the connection ends; commitThenFail hangs after the commit"""
        self.fault({"type": "hang", "ms": 100}, {"route": "E-31"})
        a = self.ask("POST", BULK, ONE)
        self.assertEqual((a.raw, a.end), (b"", "closed"))
        self.assertFalse(self.newest()["committed"])
        self.fault({"type": "commitThenFail", "with": "hang", "ms": 100}, {"route": "E-31"})
        self.assertEqual(self.ask("POST", BULK, ONE).raw, b"")
        self.assertTrue(self.newest()["committed"])

    def test_match_header(self):
        """match.header and match.integration choose requests"""
        self.fault({"type": "status", "status": 503}, {"header": {"x-skip-resync": "tru"}}, count=0)
        self.fault({"type": "status", "status": 502}, {"integration": "other*"}, count=0)
        self.assertEqual(self.ask("GET", "/v1/organization").status, 200)
        self.assertEqual(self.ask("GET", "/v1/organization", x_skip_resync="true").status, 503)
        self.assertEqual(self.ask("GET", "/v1/organization", agent="port-ocean/jira/1/other-1").status, 502)
        self.assertEqual(self.ask("GET", "/v1/integration/other-2").status, 502)

    def test_only_when_crowded(self):
        """inFlightOver: only while more requests run"""
        self.fault({"type": "latency", "ms": 400}, {"route": "E-22"})
        self.fault({"type": "status", "status": 503}, {"route": "E-2"}, inFlightOver=1, count=0)
        self.assertEqual(self.ask("GET", "/v1/organization").status, 200)
        slow = self.connect()
        self.send(slow, "GET", "/v1/blueprints")
        seen = set()
        began = time.monotonic()
        while 503 not in seen and time.monotonic() - began < 0.3:
            seen.add(self.ask("GET", "/v1/organization").status)
        self.assertEqual(receive(slow).status, 200)
        if time.monotonic() - began < 0.4:
            self.assertIn(503, seen)

    def test_command_line(self):
        """the recipes of the specification are understood"""
        recipes = ["* /** latency=200,jitter=50,count=0", "POST /v1/blueprints/*/entities/bulk rateLimit,retryAfter=2,headers=retryAfter",
                   "POST /v1/entities/search rateLimit,resetIn=5,headers=reset,count=3",
                   "* /v1/** burst=502/503/504,duration=10000",
                   "GET /v1/** reset=midBody,afterBytes=20,probability=0.05,count=0",
                   "POST /v1/blueprints/*/entities/bulk expireTokens,after=3",
                   "POST /v1/blueprints/*/entities/bulk bulkPartial,failEvery=5,statusCode=404,error=not_found,count=0",
                   "POST /v1/blueprints/entities/datasource-entities slowBody=1024,chunked=true",
                   "POST /v1/blueprints/*/entities/bulk commitThenFail=reset",
                   "POST /v1/blueprints/entities/datasource-entities status=500,count=0",
                   "POST /v1/blueprints/*/entities/bulk bulkOmit=a/b*", "GET /x staleRead=5,header.x-a=b,id=mine",
                   "GET /x closeIdle=5", "GET /x truncate=5", "GET /x badJson"]
        port = self.port_local(*[a for r in recipes for a in ("--fault", r)])
        faults = port.local("GET", "/faults")["faults"]
        self.assertEqual(len(faults), len(recipes))
        self.assertEqual(faults[11]["id"], "mine")
        self.assertEqual(faults[11]["match"]["header"], {"x-a": "b"})
        for f in faults:  # what is shown can be sent again
            again = {k: f[k] for k in ("match", "when", "action")}
            shown = port.local("PUT", f"/faults/{f['id']}", again)["fault"]
            self.assertEqual({k: shown[k] for k in again}, again)


if __name__ == "__main__":
    main()
