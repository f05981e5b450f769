"""The original framework, unmodified, on port-local: it must not be able to tell the difference.

port-ocean from the Python package index in a virtual environment under build/ (about 30 s and 200 MB the first time), made
when Python 3.12 and the index are there. OCEAN_ORIGINAL_PYTHON names another Python that has it; OCEAN_ORIGINAL=off leaves
this out.
"""
import glob
import json
import os
import shutil
import signal
import subprocess
import time
import unittest
import urllib.error
import urllib.request

from lib import Case, clean_env, free_port, main

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
VENV = os.path.join(ROOT, "build", "original")
PACKAGE = "port-ocean[cli]==0.55.4"
WAIT_S = 60

MAIN = '''
import json
from pathlib import Path
from port_ocean.context.ocean import ocean
from port_ocean.core.handlers.webhook.abstract_webhook_processor import AbstractWebhookProcessor
from port_ocean.core.handlers.webhook.webhook_event import WebhookEventRawResults

ITEMS = Path(__file__).parent / "items.json"


@ocean.on_resync("issue")
async def issues(kind):
    yield json.loads(ITEMS.read_text())


class Issues(AbstractWebhookProcessor):
    async def should_process_event(self, event):
        return True

    async def get_matching_kinds(self, event):
        return ["issue"]

    async def authenticate(self, payload, headers):
        return True

    async def validate_payload(self, payload):
        return True

    async def handle_event(self, payload, resource):
        return WebhookEventRawResults(updated_raw_results=payload.get("updated", []),
                                      deleted_raw_results=payload.get("deleted", []))


ocean.add_webhook_processor("/webhook", Issues)
'''
SPEC = """
type: tracker
description: Issues from a file
icon: Jira
features:
  - type: exporter
    section: Ticket management
    resources:
      - kind: issue
configurations: []
"""
BLUEPRINTS = [
    {"identifier": "team", "title": "Team", "icon": "Team", "schema": {"properties": {}, "required": []}, "relations": {}},
    {"identifier": "issue", "title": "Issue", "icon": "Jira",
     "schema": {"properties": {"url": {"type": "string", "format": "url"}}, "required": []},
     "relations": {"team": {"target": "team", "many": False, "required": False}}},
]
MAPPING = {"deleteDependentEntities": True, "createMissingRelatedEntities": True, "resources": [
    {"kind": "issue", "selector": {"query": "true"}, "port": {"entity": {"mappings": {
        "identifier": ".id", "title": ".name", "blueprint": '"issue"', "properties": {"url": ".u"},
        "relations": {"team": ".team"}}}}}]}


def items(numbers, **changed):
    return [{"id": f"A-{i}", "name": changed.get(f"A_{i}", f"Item {i}"), "u": f"https://x.example/{i}", "team": f"t{i % 3}"}
            for i in numbers]


def python_312():
    for name in ["python3.12"] + sorted(glob.glob(os.path.expanduser("~/.pyenv/versions/3.12*/bin/python3.12"))):
        path = shutil.which(name)
        if path and subprocess.run([path, "-c", "import sys; sys.exit(sys.version_info[:2] != (3, 12))"],
                                   capture_output=True).returncode == 0:
            return path
    return None


def ocean_program():
    """The framework's command, or (None, why there is none)."""
    if os.environ.get("OCEAN_ORIGINAL") == "off":
        return None, "OCEAN_ORIGINAL=off"
    named = os.environ.get("OCEAN_ORIGINAL_PYTHON")
    program = os.path.join(os.path.dirname(named) if named else os.path.join(VENV, "bin"), "ocean")
    if os.path.exists(program):
        return program, None
    python = python_312()
    if not python:
        return None, f"{PACKAGE} needs Python 3.12, which is not here"
    try:
        subprocess.run([python, "-m", "venv", VENV], capture_output=True, check=True, timeout=120)
        subprocess.run([os.path.join(VENV, "bin", "pip"), "install", "-q", "--retries", "0", "--timeout", "5", PACKAGE],
                       capture_output=True, check=True, timeout=300)
    except (OSError, subprocess.SubprocessError):
        shutil.rmtree(VENV, ignore_errors=True)
        return None, f"{PACKAGE} cannot be installed: no venv module, or no package index"
    return program, None


class Original(Case):
    @classmethod
    def setUpClass(cls):
        cls.program, why = ocean_program()
        if not cls.program:
            raise unittest.SkipTest(why)

    def setUp(self):
        super().setUp()
        self.source = os.path.join(self.folder, "tracker")
        os.makedirs(os.path.join(self.source, ".port", "resources"))
        self.write("main.py", MAIN)
        self.write("pyproject.toml", '[tool.poetry]\nname = "tracker"\nversion = "1.4.2"\n')
        self.write(".port/spec.yaml", SPEC)
        self.write(".port/resources/blueprints.json", json.dumps(BLUEPRINTS))
        self.write(".port/resources/port-app-config.yml", json.dumps(MAPPING))
        self.serve(range(1, 31))
        self.port = self.port_local("--journal-bodies", "errors")
        self.listen = free_port()

    def write(self, name, text):
        with open(os.path.join(self.source, name), "w", encoding="utf-8") as file:
            file.write(text)

    def serve(self, numbers, **changed):
        self.write("items.json", json.dumps(items(numbers, **changed)))

    def start(self, listener, **more):
        env = clean_env()
        env.update({"OCEAN__PORT__BASE_URL": self.port.url, "OCEAN__PORT__CLIENT_ID": "client-of-original",
                    "OCEAN__PORT__CLIENT_SECRET": "secret-of-original", "OCEAN__INTEGRATION__IDENTIFIER": "my-tracker",
                    "OCEAN__INTEGRATION__TYPE": "tracker", "OCEAN__EVENT_LISTENER__TYPE": listener,
                    "OCEAN__INITIALIZE_PORT_RESOURCES": "true", "APPLICATION__PORT": str(self.listen),
                    "OCEAN__BASE_URL": f"http://127.0.0.1:{self.listen}", **more})
        self.log = open(os.path.join(self.folder, "original.log"), "w+", encoding="utf-8")
        proc = subprocess.Popen([self.program, "sail", "."], cwd=self.source, env=env, stdin=subprocess.DEVNULL, stdout=self.log,
                                stderr=self.log, start_new_session=True)
        self.addCleanup(self.end, proc)
        return proc

    def end(self, proc):
        if proc.poll() is None:
            os.killpg(proc.pid, signal.SIGKILL)
            proc.wait()

    def said(self):
        self.log.flush()
        with open(self.log.name, encoding="utf-8", errors="replace") as file:
            return file.read()[-6000:]

    def once(self):
        proc = self.start("ONCE")
        try:
            code = proc.wait(timeout=WAIT_S)
        except subprocess.TimeoutExpired:
            self.fail("the original has not ended\n" + self.said())
        self.assertEqual(code, 0, self.said())

    def until(self, what, true):
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            if true():
                return
            time.sleep(0.1)
        self.fail(f"never: {what}\n{self.said()}")

    def state(self):
        return self.port.integration("my-tracker").get("resyncState", {}).get("status")

    def assertMatched(self):
        self.assertEqual([f"{e['method']} {e['path']}" for e in self.port.journal("unmatched")], [])
        refused = [e for e in self.port.journal() if e["status"] in (400, 405, 422) or e["status"] >= 500]
        self.assertEqual(refused, [])

    def test_resyncs(self):
        """First start, unchanged resync, changes and deletions: the catalog is right, no route is unmatched"""
        self.once()
        self.assertEqual(len(self.port.entities("issue")), 30)
        self.assertEqual(sorted(self.port.entities("team")), ["t0", "t1", "t2"])
        self.assertEqual(self.port.call("GET", "/blueprints/issue")["blueprint"]["relations"]["team"]["target"], "team")
        self.assertEqual(self.state(), "completed")
        mark = self.port.mark()
        self.once()
        self.assertEqual([self.port.effects(name, since=mark) for name in ("created", "updated", "deleted")], [0, 0, 0])
        mark = self.port.mark()
        self.serve(range(4, 32), A_5="Renamed")
        self.once()
        issues = self.port.entities("issue")
        self.assertEqual(sorted(issues), sorted(f"A-{i}" for i in range(4, 32)))
        self.assertEqual(issues["A-5"]["title"], "Renamed")
        self.assertEqual([self.port.effects(name, since=mark) for name in ("created", "deleted")], [1, 3])
        self.assertMatched()

    def test_stays(self):
        """As a service: webhook events, a resync that Port asks for, a clean end by SIGTERM"""
        proc = self.start("POLLING", OCEAN__EVENT_LISTENER__INTERVAL="1")
        self.until("the first resync is completed", lambda: self.port.integrations_named("my-tracker") and self.state() == "completed"
                   and len(self.port.entities("issue")) == 30)
        self.until("the server answers", lambda: self.post({"updated": items([77]), "deleted": items([3])}) == 200)
        self.until("the live event is in the catalog", lambda: "A-77" in self.port.entities("issue"))
        self.until("the deleted one is gone", lambda: "A-3" not in self.port.entities("issue"))
        self.serve(range(10, 31))
        time.sleep(1.5)  # its poll has seen the request that came with the creation; not seen, the case only takes longer
        self.until("no resync is running", lambda: self.state() == "completed")
        self.port.local("POST", "/integrations/my-tracker/resync")
        self.until("the asked-for resync has deleted", lambda: "A-9" not in self.port.entities("issue"))
        self.until("it is completed", lambda: self.state() == "completed")
        proc.terminate()
        self.until("it ends", lambda: proc.poll() is not None)
        self.assertMatched()

    def post(self, body):
        request = urllib.request.Request(f"http://127.0.0.1:{self.listen}/integration/webhook", data=json.dumps(body).encode(),
                                         headers={"Content-Type": "application/json"}, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status
        except urllib.error.HTTPError as e:
            with e:
                return e.code
        except OSError:
            return 0


if __name__ == "__main__":
    main()
