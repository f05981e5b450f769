"""What the end-to-end cases are written with: the real binaries, a scripted third party, and nothing else.

    ThirdParty   an HTTP server in a thread on a free port: replies by path, requests recorded
    PortLocal    build/port-local on a free port, its journal and its faults
    Tap          a recording relay before port-local, for cases that look into request bodies
    run_ocean    ocean-run --once on an integration written into a temporary folder

A case is a unittest.TestCase derived from Case, which keeps what it started and ends it, whatever happened. Every wait
has a limit. Programs come from the folder named by BUILD (build, or build/san). `main()` writes TAP for tests/run.
"""
import contextlib
import http.client
import http.server
import json
import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build"))
OCEAN_RUN = os.path.join(BUILD, "ocean-run")
PORT_LOCAL = os.path.join(BUILD, "port-local")
SANITIZED = os.path.basename(BUILD) == "san"
SLOW = 5 if SANITIZED else 1  # factor for limits
TIMEOUT_S = 60 * SLOW
AGENT = "port-ocean/jira/1.4.2/my-jira/exporter"


# The third party ---------------------------------------------------------------------------------------------------

class Reply:
    """One answer. `cut`: send only so many bytes of the body, though Content-Length promises all, and close."""

    def __init__(self, status=200, body=b"", headers=None, cut=None, delay_s=0.0, content_type="application/json"):
        self.status = status
        self.body = body if isinstance(body, bytes) else body.encode()
        self.headers = headers or {}
        self.cut = cut
        self.delay_s = delay_s
        self.content_type = content_type


def as_reply(value):
    return value if isinstance(value, Reply) else Reply(body=json.dumps(value))


class Request:
    def __init__(self, method, target, headers, body):
        parts = urllib.parse.urlsplit(target)
        self.method = method
        self.path = parts.path
        self.query = dict(urllib.parse.parse_qsl(parts.query))
        self.headers = {k.lower(): v for k, v in headers.items()}
        self.body = body
        self.at = time.monotonic()


class QuietServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass  # a client that goes away is part of many cases


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 120
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, *args):
        pass

    def handle_any(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.server.answer(self, self.rfile.read(length) if length else b"")

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = handle_any


class ThirdParty:
    """`on(path, reply, ...)` scripts the replies of a path: each is used once, the last for ever. A reply is a JSON
    value, a Reply, or a function that takes the Request and returns one of these."""

    def __init__(self):
        self.requests = []
        self._scripts = {}
        self._lock = threading.Lock()
        self._server = QuietServer(("127.0.0.1", 0), Handler)
        self._server.answer = self._answer
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def on(self, path, *replies):
        self._scripts[path] = list(replies)
        return self

    def count(self, path):
        return sum(r.path == path for r in self.requests)

    def _next(self, request):
        with self._lock:
            self.requests.append(request)
            script = self._scripts.get(request.path)
            if not script:
                return Reply(404, json.dumps({"message": f"no reply is scripted for {request.path}"}))
            reply = script.pop(0) if len(script) > 1 else script[0]
        return as_reply(reply(request) if callable(reply) else reply)

    def _answer(self, handler, body):
        reply = self._next(Request(handler.command, handler.path, handler.headers, body))
        if reply.delay_s:
            time.sleep(reply.delay_s)
        handler.send_response(reply.status)
        handler.send_header("Content-Type", reply.content_type)
        handler.send_header("Content-Length", str(len(reply.body)))
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(reply.body if reply.cut is None else reply.body[:reply.cut])
        handler.wfile.flush()
        if reply.cut is not None:
            handler.close_connection = True

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


# Port ----------------------------------------------------------------------------------------------------------------

def terminate(proc, wait_s=15):
    """Ends a process that was started here; gives its exit status."""
    if proc.poll() is None:
        proc.terminate()
        try:
            proc.wait(wait_s * SLOW)
        except subprocess.TimeoutExpired:
            proc.kill()
            proc.wait()
    return proc.returncode


class PortError(Exception):
    def __init__(self, method, path, status, body):
        super().__init__(f"{method} {path}: {status} {body}")
        self.status = status
        self.body = body


class PortLocal:
    """build/port-local. `call` speaks to it as a client of Port's API, `local` to its control routes."""

    def __init__(self, *args, db=":memory:"):
        self._log = tempfile.TemporaryFile(mode="w+", errors="replace")
        command = [PORT_LOCAL, "--listen", "127.0.0.1:0", "--db", db, *args]
        self._proc = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._log,
                                      text=True, env=clean_env())
        line = self._first_line(20 * SLOW)
        prefix = "port-local listening on "
        if not line.startswith(prefix):
            code = terminate(self._proc)
            raise AssertionError(f"port-local printed {line!r}, exit {code}: {self.log()}")
        self.url = line[len(prefix):].strip()
        self._token = None

    def _first_line(self, timeout_s):
        lines = queue.Queue()
        threading.Thread(target=lambda: lines.put(self._proc.stdout.readline()), daemon=True).start()
        try:
            return lines.get(timeout=timeout_s)
        except queue.Empty:
            terminate(self._proc)
            raise AssertionError(f"port-local is not ready after {timeout_s} s: {self.log()}") from None

    def log(self):
        self._log.seek(0)
        return self._log.read()

    def _request(self, method, path, body, headers):
        parts = urllib.parse.urlsplit(self.url)
        conn = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60 * SLOW)
        try:
            data = None if body is None else json.dumps(body).encode()
            conn.request(method, path, data, {"Content-Type": "application/json", **headers})
            answer = conn.getresponse()
            text = answer.read()
        finally:
            conn.close()
        value = json.loads(text) if text else {}
        if answer.status >= 400:
            raise PortError(method, path, answer.status, value)
        return value

    def call(self, method, path, body=None, agent=AGENT):
        if self._token is None:
            grant = self._request("POST", "/v1/auth/access_token", {"clientId": "test", "clientSecret": "test"},
                                  {"User-Agent": "test"})
            self._token = grant["accessToken"]
        return self._request(method, "/v1" + path, body,
                             {"User-Agent": agent, "Authorization": "Bearer " + self._token})

    def local(self, method, path, body=None):
        return self._request(method, "/_local" + path, body, {})

    # What is in it

    def create_blueprints(self, *blueprints):
        for blueprint in blueprints:
            self.call("POST", "/blueprints", blueprint)

    def put(self, blueprint, entities, agent=AGENT):
        """Stores entities as an earlier run of the integration would have."""
        for i in range(0, len(entities), 20):
            path = f"/blueprints/{blueprint}/entities/bulk?upsert=true&merge=true&create_missing_related_entities=true"
            answer = self.call("POST", path, {"entities": entities[i:i + 20]}, agent)
            assert answer["ok"], answer

    def entities(self, blueprint):
        """identifier -> entity"""
        answer = self.call("POST", "/entities/search", {"combinator": "and", "rules": [
            {"property": "$blueprint", "operator": "=", "value": blueprint}]})
        return {e["identifier"]: e for e in answer["entities"]}

    def integration(self, identifier="my-jira"):
        return self.call("GET", f"/integration/{identifier}")["integration"]

    # What was asked of it

    def integrations_named(self, identifier):
        return [i for i in self.call("GET", "/integration")["integrations"] if i["identifier"] == identifier]

    def mark(self):
        """From here on `journal` shows what comes."""
        entries = self.local("GET", "/journal?limit=10000")["entries"]
        return max((e["seq"] for e in entries), default=0)

    def journal(self, route=None, since=0):
        """Entries in the order of arrival, without those of this class."""
        found = self.local("GET", f"/journal?limit=10000&since={since}")["entries"]
        found = [e for e in found if e["seq"] > since and e.get("clientId") != "test"
                 and e.get("userAgent") not in ("test",)]
        found.sort(key=lambda e: e["seq"])
        return [e for e in found if route is None or e["route"] == route]

    def count(self, route, since=0):
        return len(self.journal(route, since))

    def effects(self, name, since=0):
        """Sum of one effect (created, updated, unchanged, deleted ...) over the entity routes."""
        return sum((e.get("effects") or {}).get(name) or 0 for e in self.journal(since=since))

    def writes(self, since=0):
        """Requests that wrote entities, blueprints or the integration's own document."""
        routes = {"E-6", "E-7", "E-8", "E-24", "E-25", "E-26", "E-27", "E-30", "E-31", "E-32", "E-33"}
        return [e for e in self.journal(since=since) if e["route"] in routes]

    def fault(self, match, action, **when):
        """match: {"route": "E-31"}, action: {"type": "status", "status": 500}, when: count=0 for ever."""
        return self.local("POST", "/faults", {"match": match, "when": when, "action": action})

    def stop(self):
        code = terminate(self._proc)
        self._proc.stdout.close()
        self._log.close()
        return code


class Tap:
    """A relay that keeps every request with its body and passes it on unchanged."""

    def __init__(self, target):
        self.requests = []
        parts = urllib.parse.urlsplit(target)
        self._target = (parts.hostname, parts.port)
        self._local = threading.local()
        self._lock = threading.Lock()
        self._server = QuietServer(("127.0.0.1", 0), Handler)
        self._server.answer = self._relay
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def _relay(self, handler, body):
        request = Request(handler.command, handler.path, handler.headers, body)
        request.json = json.loads(body) if body else None
        with self._lock:
            self.requests.append(request)
        conn = http.client.HTTPConnection(*self._target, timeout=60 * SLOW)
        try:
            headers = {k: v for k, v in handler.headers.items() if k.lower() not in ("connection", "content-length")}
            conn.request(handler.command, handler.path, body if body else None, headers)
            answer = conn.getresponse()
            data = answer.read()
        finally:
            conn.close()
        request.status = answer.status
        handler.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "content-length", "transfer-encoding", "date", "server"):
                handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)
        handler.wfile.flush()

    def sent(self, method, ending):
        return [r for r in self.requests if r.method == method and r.path.endswith(ending)]

    def bulks(self):
        return self.sent("POST", "/entities/bulk")

    def lookups(self):
        return self.sent("POST", "/v1/entities/search")

    def listings(self):
        return self.sent("POST", "/datasource-entities")

    def deletes(self):
        return self.sent("POST", "/bulk/entities/delete")

    def examples(self):
        return self.sent("POST", "/examples")

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


# ocean-run -----------------------------------------------------------------------------------------------------------

def clean_env():
    """The environment of this process without what would steer the programs."""
    drop = ("OCEAN", "APPLICATION__", "PORT_LOCAL")
    env = {k: v for k, v in os.environ.items() if not k.upper().startswith(drop) and "proxy" not in k.lower()}
    env["NO_COLOR"] = "1"
    return env


class Result:
    def __init__(self, code, stdout, stderr, seconds):
        self.code = code
        self.stdout = stdout
        self.stderr = stderr
        self.seconds = seconds
        self.summary = None
        with contextlib.suppress(ValueError):
            self.summary = json.loads(stdout)

    def resource(self, kind, index=None):
        for r in (self.summary or {}).get("resources", []):
            if r["kind"] == kind and index in (None, r["index"]):
                return r
        raise AssertionError(f"the summary has no resource {kind}: {self}")

    def errors(self, kind):
        return " | ".join(f"{e['message']} [{e['where']}]" for e in self.resource(kind)["errors"])

    def __str__(self):
        return f"exit {self.code} after {self.seconds:.1f} s\n--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}"


def lua_json(value):
    """A Lua expression that gives this JSON value."""
    return "ocean.json.decode([==[" + json.dumps(value) + "]==])"


def list_handler(kind, items):
    return f'ocean.on_resync("{kind}", function() return {lua_json(items)} end)\n'


def batch_handler(kind, *batches):
    body = "".join(f"  ocean.yield({lua_json(b)})\n" for b in batches)
    return f'ocean.on_resync("{kind}", function()\n{body}end)\n'


def resource(kind="issue", query="true", blueprint='"issue"', identifier=".id", title=".name", properties=None,
             relations=None, port=None, **fields):
    """One element of the mapping's resources."""
    mappings = {"identifier": identifier, "blueprint": blueprint, "title": title,
                "properties": {"url": ".u"} if properties is None else properties}
    if title is None:
        del mappings["title"]
    if relations:
        mappings["relations"] = relations
    mappings.update(fields)
    return {"kind": kind, "selector": {"query": query}, "port": {"entity": {"mappings": mappings}, **(port or {})}}


def blueprint(identifier="issue", properties=None, relations=None):
    schema = {name: {"type": t} for name, t in (properties or {"url": "string"}).items()}
    return {"identifier": identifier, "title": identifier.title(), "schema": {"properties": schema, "required": []},
            "relations": relations or {}}


class Integration:
    """A folder with integration.lua and .port, and the state folder of its runs."""

    def __init__(self, folder, script, resources=None, blueprints=None, mapping=None, spec=None):
        self.folder = folder
        self.state = os.path.join(folder, "state")
        os.makedirs(os.path.join(folder, "src", ".port", "resources"))
        self.rewrite(script)
        self.write(".port/spec.yaml", spec or "type: jira\nversion: 1.4.2\n")
        self.write(".port/resources/blueprints.json", json.dumps(blueprints or [blueprint()]))
        document = {"resources": resources or [resource()], **(mapping or {})}
        self.write(".port/resources/port-app-config.yml", json.dumps(document))

    @property
    def path(self):
        return os.path.join(self.folder, "src")

    def write(self, name, text):
        with open(os.path.join(self.path, name), "w", encoding="utf-8") as f:
            f.write(text)

    def rewrite(self, script):
        """Takes another script for the next run."""
        self.write("integration.lua", 'local ocean = require "ocean"\n' + script)


def run_program(command, env=None, cwd=None, timeout_s=TIMEOUT_S, stdin=None):
    started = time.monotonic()
    proc = subprocess.Popen(command, stdin=subprocess.DEVNULL if stdin is None else stdin, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, errors="replace", env=env or clean_env(), cwd=cwd)
    try:
        out, err = proc.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        proc.send_signal(signal.SIGABRT)
        try:
            out, err = proc.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            proc.kill()
            out, err = proc.communicate()
        raise AssertionError(f"{' '.join(command)} has not ended after {timeout_s} s\n--- stdout\n{out}\n"
                             f"--- stderr\n{err[-6000:]}") from None
    return Result(proc.returncode, out, err, time.monotonic() - started)


def ocean_env(port_url, **env):
    found = clean_env()
    found.update({
        "OCEAN__PORT__BASE_URL": port_url, "OCEAN__PORT__CLIENT_ID": "client", "OCEAN__PORT__CLIENT_SECRET": "top-secret",
        "OCEAN__INTEGRATION__IDENTIFIER": "my-jira", "OCEAN__INTEGRATION__TYPE": "jira",
    })
    found.update(env)
    return found


def free_port():
    """A port nobody listens on just now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


# Cases ---------------------------------------------------------------------------------------------------------------

class Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="ocean-e2e-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self._integrations = 0

    def port_local(self, *args, **kw):
        port = PortLocal(*args, **kw)
        self.addCleanup(port.stop)
        return port

    def tap(self, port):
        tap = Tap(port.url)
        self.addCleanup(tap.stop)
        return tap

    def third_party(self):
        server = ThirdParty()
        self.addCleanup(server.stop)
        return server

    def integration(self, script, *args, **kw):
        self._integrations += 1
        return Integration(os.path.join(self.folder, f"i{self._integrations}"), script, *args, **kw)

    def ocean(self, integration, target, *args, timeout_s=TIMEOUT_S, **env):
        """One run against `target` (PortLocal or Tap)."""
        command = [OCEAN_RUN, "--once", "--json", "--state", integration.state, *args, integration.path]
        return run_program(command, ocean_env(target.url, **env), cwd=self.folder, timeout_s=timeout_s)

    # Assertions that show the whole run when they fail

    def assertExit(self, result, code):
        self.assertEqual(result.code, code, f"expected exit {code}\n{result}")

    def assertSays(self, result, *texts):
        for text in texts:
            self.assertIn(text, result.stderr, f"the log does not say {text!r}\n{result}")

    def assertBalanced(self, result):
        """The counters of every resource add up (design of the summary)."""
        for r in result.summary["resources"]:
            self.assertEqual(r["extracted"], r["filtered"] + r["unmappable"] + r["mapped"], r)
            parts = ("created", "updated", "unchanged", "rejected", "duplicates", "unmatched")
            self.assertEqual(r["mapped"], sum(r[p] for p in parts), r)

    def assertClean(self, result):
        self.assertExit(result, 0)
        self.assertTrue(result.summary and result.summary["ok"], result)
        self.assertBalanced(result)


class Service(Case):
    """ocean-run without --once: `start` it, ask it over HTTP, read its log."""

    def start(self, script, ready=True, integration=None, **env):
        integration = integration or self.integration(script)
        self.log_path = os.path.join(self.folder, "log")
        with open(self.log_path, "w", encoding="utf-8") as log:
            self.proc = subprocess.Popen([OCEAN_RUN, "--port", "0", "--state", integration.state, integration.path],
                                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log,
                                         env=ocean_env(self.port.url, **env), cwd=self.folder)
        self.addCleanup(terminate, self.proc)
        if ready:
            self.number = int(self.wait_log(r"listening on port (\d+)").group(1))
            self.until(lambda: self.get("/health/ready")[0] == 200)
        return integration

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def until(self, check, seconds=30):
        end = time.monotonic() + seconds * SLOW
        while time.monotonic() < end:
            if check():
                return
            time.sleep(0.02)
        self.fail("it did not come to pass\n" + self.log())

    def wait_log(self, pattern):
        found = []
        self.until(lambda: found.append(re.search(pattern, self.log())) or found[-1])
        return found[-1]

    def request(self, method, path, body=None, headers=None):
        conn = http.client.HTTPConnection("127.0.0.1", self.number, timeout=30 * SLOW)
        self.addCleanup(conn.close)
        conn.request(method, path, body, headers or {})
        answer = conn.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()

    def get(self, path, **headers):
        status, _, body = self.request("GET", path, headers=headers)
        return status, body

    def value(self, path):
        status, body = self.get("/integration" + path)
        self.assertEqual(status, 200, body)
        return json.loads(body)


class TapResult(unittest.TestResult):
    """Writes one TAP line a test."""

    def __init__(self):
        super().__init__()
        self.n = 0

    def _line(self, ok, test, text="", skip=None):
        self.n += 1
        name = test.shortDescription() or test.id().split(".", 1)[-1]
        for line in text.splitlines():
            print("#", line)
        if skip is not None:
            print(f"ok {self.n} - {name} # SKIP {skip}", flush=True)
        else:
            print(f"{'ok' if ok else 'not ok'} {self.n} - {name}", flush=True)

    def addSuccess(self, test):
        super().addSuccess(test)
        self._line(True, test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._line(False, test, self._exc_info_to_string(err, test))

    def addError(self, test, err):
        super().addError(test, err)
        self._line(False, test, self._exc_info_to_string(err, test))

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._line(False, test, f"{subtest}\n" + self._exc_info_to_string(err, test))

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._line(True, test, skip=reason)


def name_of(test):
    return test.shortDescription() or test.id().split(".", 1)[-1]


def flatten(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from flatten(item)
        else:
            yield item


def main():
    """Runs the cases of the calling module; an argument keeps those whose name, with the suite's, contains it."""
    pattern = sys.argv[1].lower() if len(sys.argv) > 1 else ""
    label = os.environ.get("SUITE", "")
    chosen = unittest.TestSuite()
    for test in flatten(unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])):
        if pattern in f"{label}: {name_of(test)}".lower() or pattern in test.id().lower():
            chosen.addTest(test)
    result = TapResult()
    chosen.run(result)
    print(f"1..{result.n}")
    sys.exit(0 if result.wasSuccessful() else 1)
