"""What port-local promises about its file: snapshots, export and import, kills, full disks; and `ocean-run catalog` on it."""
import base64
import json
import os
import random
import shutil
import subprocess
import threading
import time
import unittest
import urllib.error
import urllib.request

from lib import BUILD, OCEAN_RUN, Case, PortError, PortLocal, blueprint, clean_env, main, run_program

THING = blueprint("thing", {"size": {"type": "number"}}, {"parent": {"target": "thing", "many": False, "required": False}})
KILLS = int(os.environ.get("KILLS", "12"))  # rounds of kill -9; 200 for a long run


def things(first, n):
    return [{"identifier": f"t{i:05}", "title": f"Thing {i}", "properties": {"size": i}, "relations": {"parent": f"t{i // 10:05}"}}
            for i in range(first, first + n)]


def raw(port, method, path, body=None):
    request = urllib.request.Request(port.url + path, data=body, method=method)
    with urllib.request.urlopen(request) as answer:
        return answer.read()


class Snapshots(Case):
    def filled(self, **kw):
        port = self.port_local(**kw)
        port.create_blueprints(THING)
        port.put("thing", things(0, 60))
        port.call("POST", "/integration", {"installationId": "my-jira", "installationAppType": "jira", "version": "1",
                                           "changelogDestination": {}, "config": {"resources": []}})
        port.call("POST", "/integration/my-jira/kinds/a/examples", {"examples": [{"n": 1.10, "big": 9007199254740993}, None]})
        return port

    def test_restore(self):
        """T-52 snapshot, everything deleted, restored: the export is byte by byte the same; the token holds"""
        for db in (":memory:", os.path.join(self.folder, "catalog.db")):
            port = self.filled(db=db)
            before = raw(port, "GET", "/_local/export")
            port.local("POST", "/snapshots", {"name": "s1"})
            port.call("DELETE", "/blueprints/thing/all-entities?delete_blueprint=true")
            port.local("POST", "/integrations/my-jira/resync")
            self.assertNotEqual(raw(port, "GET", "/_local/export"), before)
            port.local("POST", "/snapshots/s1/restore", {})
            self.assertEqual(raw(port, "GET", "/_local/export"), before)
            self.assertEqual(len(port.entities("thing")), 60)
            self.assertEqual(port.local("GET", "/snapshots")["snapshots"], ["s1"])
            port.local("DELETE", "/snapshots/s1")
            with self.assertRaises(PortError) as e:
                port.local("POST", "/snapshots/s1/restore", {})
            self.assertEqual(e.exception.status, 404)

    def test_import(self):
        """An export fills another catalog, which then exports the same; a wrong line changes nothing"""
        export = raw(self.filled(), "GET", "/_local/export")
        self.assertIn(b'"n":1.1', export)
        self.assertIn(b"9007199254740993", export)
        self.assertNotIn(b"token", export)
        other = self.port_local()
        raw(other, "POST", "/_local/import", export)
        self.assertEqual(raw(other, "GET", "/_local/export"), export)
        self.assertEqual(other.entities("thing")["t00059"]["relations"]["parent"], "t00005")
        for wrong, says in ((b"{}", "line 1"), (export + b'{"table":"entity"}\n', "line"), (b"no json", "line 1")):
            with self.assertRaises(urllib.error.HTTPError) as e:
                raw(other, "POST", "/_local/import", wrong)
            with e.exception as answer:
                self.assertEqual(answer.code, 422)
                self.assertIn(says, json.load(answer)["message"])
            self.assertEqual(raw(other, "GET", "/_local/export"), export)

    def test_names(self):
        """A snapshot's name is no path"""
        port = self.port_local()
        for name in ("../x", "a/b", "", ".hidden", "x" * 65):
            with self.assertRaises(PortError) as e:
                port.local("POST", "/snapshots", {"name": name})
            self.assertEqual(e.exception.status, 422)


class Kills(Case):
    """Processes killed in the middle of writes: what was answered is there, nothing is torn."""

    def write_until_dead(self, port, number, stored):
        first = number * 1000
        while True:
            batch = things(first, 20)
            try:
                answer = port.call("POST", "/blueprints/thing/entities/bulk?upsert=true&create_missing_related_entities=true",
                                   {"entities": batch})
            except (OSError, PortError, ValueError):
                return
            if answer["ok"]:
                stored.update(e["identifier"] for e in batch)
            first += 20

    def round(self, db, durability, stored, delay_s):
        port = PortLocal("--durability", durability, db=db)
        threads = [threading.Thread(target=self.write_until_dead, args=(port, random.randrange(90), stored)) for _ in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(delay_s)
        port._proc.kill()
        port._proc.wait()
        for thread in threads:
            thread.join()
        port._proc.stdout.close()
        port._log.close()

    def test_kill(self):
        """kill -9 during writes, in every durability: each restart is consistent and holds what was answered"""
        rnd = random.Random(7)
        for durability in ("off", "normal", "full"):
            db = os.path.join(self.folder, f"{durability}.db")
            port = PortLocal(db=db)
            port.create_blueprints(THING)
            port.stop()
            stored = set()
            for _ in range(max(1, KILLS // 3)):
                self.round(db, durability, stored, rnd.uniform(0.02, 0.15))
                port = PortLocal(db=db)
                try:
                    there = port.entities("thing")
                    self.assertEqual(stored - set(there), set(), durability)
                    count = port.call("GET", "/blueprints/thing/entities-count")["count"]
                    state = port.local("GET", "/state")
                    self.assertEqual((count, state["perBlueprint"]["thing"], sum(state["perDatasource"].values())),
                                     (len(there), len(there), len(there)))
                finally:
                    port.stop()
                self.assertEqual(self.integrity(db), "ok")
            self.assertTrue(stored)

    def integrity(self, db):
        import sqlite3
        with sqlite3.connect(db) as connection:
            return connection.execute("PRAGMA integrity_check").fetchone()[0]


class FullDisk(Case):
    def test_full_disk(self):
        """A full disk is answered by 507 or 503, and over when there is room again"""
        mount = os.path.join(self.folder, "small")
        os.mkdir(mount)
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", mount], capture_output=True) \
            if os.geteuid() == 0 and shutil.which("mount") else None
        if not made or made.returncode:
            self.skipTest("a small file system cannot be mounted here")
        self.addCleanup(subprocess.run, ["umount", "-l", mount], capture_output=True)
        port = self.port_local(db=os.path.join(mount, "catalog.db"))
        port.create_blueprints(blueprint("thing", {"text": {"type": "string"}}))
        fill = os.path.join(mount, "fill")
        with open(fill, "wb") as file:
            file.write(b"x" * 3_500_000)
        refused, stored, first = None, set(), 0
        for _ in range(400):
            batch = [{"identifier": f"b{i}", "properties": {"text": "y" * 4000}} for i in range(first, first + 20)]
            first += 20
            try:
                if port.call("POST", "/blueprints/thing/entities/bulk?upsert=true", {"entities": batch})["ok"]:
                    stored.update(e["identifier"] for e in batch)
            except PortError as e:
                refused = e.status
                break
        self.assertIn(refused, (503, 507))
        os.unlink(fill)
        batch = [{"identifier": "after", "properties": {"text": "z"}}]
        self.assertTrue(port.call("POST", "/blueprints/thing/entities/bulk?upsert=true", {"entities": batch})["ok"])
        there = set(port.entities("thing"))
        self.assertEqual((stored | {"after"}) - there, set())
        self.assertEqual(port.call("GET", "/blueprints/thing/entities-count")["count"], len(there))


class Files(Case):
    def test_modes(self):
        """The default folder is 0700 and its files 0600; a newer file is refused with exit 3, nothing written"""
        home = os.path.join(self.folder, "home")
        env = clean_env() | {"XDG_DATA_HOME": home, "XDG_STATE_HOME": home + "/state"}
        with open(self.folder + "/i.lua", "w", encoding="utf-8") as file:
            file.write('ocean.define { type = "t", mapping = { resources = {} } }\nocean.on_resync(function() return {} end)\n')
        db = os.path.join(home, "ocean-run", "catalog.db")
        result = run_program([OCEAN_RUN, "--once", "--local", db, self.folder + "/i.lua"], env, cwd=self.folder)
        self.assertExit(result, 0)
        self.assertEqual(os.stat(os.path.dirname(db)).st_mode & 0o777, 0o700)
        self.assertEqual(os.stat(db).st_mode & 0o777, 0o600)
        import sqlite3
        with sqlite3.connect(db) as connection:
            connection.execute("PRAGMA user_version = 900")
        connection.close()
        before = open(db, "rb").read()
        result = run_program([OCEAN_RUN, "--once", "--local", db, self.folder + "/i.lua"], env, cwd=self.folder)
        self.assertExit(result, 3)
        self.assertIn("newer", result.stderr)
        self.assertEqual(open(db, "rb").read(), before)


class Command(Case):
    def setUp(self):
        super().setUp()
        self.db = os.path.join(self.folder, "catalog.db")
        port = self.port_local(db=self.db)
        port.create_blueprints(THING)
        port.put("thing", things(0, 30))
        self.port = port

    def catalog(self, *args):
        return run_program([OCEAN_RUN, "catalog", *args, "--local", self.db], clean_env())

    def test_beside_a_server(self):
        """list, show, search and export read the file while a server writes it; reset names who holds it"""
        self.assertRegex(self.catalog("list").stdout, r"thing\s+30\b")
        self.assertEqual(json.loads(self.catalog("show", "thing", "t00007", "--json").stdout)["title"], "Thing 7")
        found = self.catalog("search", '{"combinator":"and","rules":[{"property":"size","operator":">=","value":28}]}', "--json")
        self.assertEqual([json.loads(line)["identifier"] for line in found.stdout.splitlines()], ["t00028", "t00029"])
        self.assertEqual(self.catalog("export").stdout.encode(), raw(self.port, "GET", "/_local/export"))
        refused = self.catalog("reset")
        self.assertExit(refused, 3)
        self.assertIn(str(self.port._proc.pid), refused.stderr)

    def test_search_text(self):
        """search TEXT finds what begins with it, or holds it, in identifier and title"""
        found = self.catalog("search", "thing 2")
        self.assertEqual(found.stdout.count("\n"), 11, found)
        self.assertExit(self.catalog("search", '{"combinator":"xor","rules":[]}'), 2)
        self.assertExit(self.catalog("search", "nowhere to be found"), 0)

    def test_reset(self):
        """reset empties the file once nobody holds it"""
        self.port.stop()
        self.assertExit(self.catalog("reset"), 0)
        self.assertRegex(self.catalog("list").stdout, r"total\s+0\b")


JIRA, GITHUB = "port-ocean/jira/1.0/my-jira/exporter", "port-ocean/github/2.0/my-github/exporter"


def owned(port, kind, identifier):
    answer = port.call("POST", "/blueprints/entities/datasource-entities?include=identifier", {
        "datasource_prefix": f"port-ocean/{kind}/", "datasource_suffix": f"/{identifier}/exporter"})
    return sorted(e["identifier"] for e in answer["entities"])


def found(port, operator, value):
    answer = port.call("POST", "/entities/search", {"combinator": "and", "rules": [
        {"property": "$datasource", "operator": operator, "value": value},
        {"property": "$blueprint", "operator": "=", "value": "thing"}]})
    return sorted(e["identifier"] for e in answer["entities"])


class Owners(Case):
    """P-58: who owns what two integrations wrote."""

    def shared(self, *args):
        port = self.port_local(*args)
        port.create_blueprints(blueprint("thing", {"size": {"type": "number"}}))
        port.put("thing", [{"identifier": i} for i in ("both", "jira")], agent=JIRA)
        port.put("thing", [{"identifier": i} for i in ("both", "github")], agent=GITHUB)
        return port

    def test_last(self):
        """By default the last writer owns an entity"""
        port = self.shared()
        self.assertEqual(owned(port, "jira", "my-jira"), ["jira"])
        self.assertEqual(owned(port, "github", "my-github"), ["both", "github"])

    def test_all(self):
        """--datasource-mode all: each writer finds it, by listing and by search, also after many turns"""
        port = self.shared("--datasource-mode", "all")
        for agent in (JIRA, GITHUB, JIRA):
            port.put("thing", [{"identifier": "both", "properties": {"size": 1}}], agent=agent)
        self.assertEqual(owned(port, "jira", "my-jira"), ["both", "jira"])
        self.assertEqual(owned(port, "github", "my-github"), ["both", "github"])
        self.assertEqual(owned(port, "jira", "my-github"), [])
        self.assertEqual(found(port, "contains", "/my-jira/"), ["both", "jira"])
        self.assertEqual(found(port, "=", GITHUB), ["both", "github"])
        self.assertEqual(found(port, "!=", GITHUB), ["jira"])
        self.assertEqual(found(port, "doesNotContains", "jira"), ["github"])
        self.assertEqual(port.local("GET", "/state")["perDatasource"], {JIRA: 2, GITHUB: 2})
        entities = {e["identifier"]: e["$datasource"] for e in port.local("GET", "/entities")["entities"]}
        self.assertEqual(entities["both"], [GITHUB, JIRA])
        self.assertEqual(entities["github"], GITHUB)

    def test_word(self):
        """Another mode is refused with the choice"""
        done = subprocess.run([os.path.join(BUILD, "port-local"), "--datasource-mode", "first"], capture_output=True,
                              text=True, timeout=30)
        self.assertEqual(done.returncode, 2)
        self.assertIn("last, all", done.stderr)


class Records(Case):
    def test_filters(self):
        """P-203 logs by level, kind, event and instant, in either direction"""
        port = self.port_local()
        port.call("POST", "/integration", {"installationId": "my-jira", "installationAppType": "jira", "version": "1",
                                           "changelogDestination": {}, "config": {"resources": []}})
        ingest = port.integration()["logAttributes"]["ingestUrl"]
        records = [{"message": str(i), "level": "ERROR" if i % 2 else "INFO", "timestamp": f"2030-01-01T00:00:0{i}.5Z",
                    "extra": {"kind": "issue" if i < 3 else "pr", "event_id": "e"}} for i in range(6)]
        path = ingest[len(port.url):]
        port._request("POST", path, {"logs": records}, {"Authorization": "Bearer " + port._token})

        def messages(query):
            return "".join(r["message"] for r in port.call("GET", "/integration/my-jira/logs?" + query)["data"])

        self.assertEqual(messages(""), "543210")
        self.assertEqual(messages("levels=error"), "531")
        self.assertEqual(messages("levels=error&levels=info&kinds=issue"), "210")
        self.assertEqual(messages("timestamp=2030-01-01T00:00:03.500Z"), "210")
        self.assertEqual(messages("timestamp=2030-01-01T00:00:03.500Z&direction=after"), "45")
        self.assertEqual(messages("direction=after&limit=2"), "01")
        self.assertEqual(messages("event_id=other"), "")
        for wrong in ("direction=up", "timestamp=yesterday"):
            with self.assertRaises(PortError) as e:
                messages(wrong)
            self.assertEqual(e.exception.status, 422)


class Access(Case):
    def test_kafka(self):
        """P-67 Kafka credentials are what the control API set, and gone when it takes them away"""
        port = self.port_local()
        with self.assertRaises(PortError) as e:
            port.call("GET", "/kafka-credentials")
        self.assertEqual(e.exception.status, 404)
        given = {"username": "u", "password": "p", "brokers": ["b:9092"]}
        port.local("POST", "/organization", {"kafkaCredentials": given})
        self.assertEqual(port.call("GET", "/kafka-credentials")["credentials"], given)
        self.assertNotIn(b'"p"', raw(port, "GET", "/_local/export"))
        port.local("POST", "/organization", {"kafkaCredentials": None})
        with self.assertRaises(PortError):
            port.call("GET", "/kafka-credentials")

    def test_page(self):
        """P-214 the page asks a browser for the admin token; the control routes take it too"""
        port = self.port_local("--admin-token", "s3cret")

        def status(path, *pair):
            headers = {"Authorization": "Basic " + base64.b64encode(":".join(pair).encode()).decode()} if pair else {}
            try:
                with urllib.request.urlopen(urllib.request.Request(port.url + path, headers=headers)) as answer:
                    return answer.status, None
            except urllib.error.HTTPError as answer:
                with answer:
                    return answer.code, answer.headers["WWW-Authenticate"]

        self.assertEqual(status("/"), (401, 'Basic realm="port-local"'))
        self.assertEqual(status("/", "me", "wrong")[0], 401)
        self.assertEqual(status("/", "me", "s3cret"), (200, None))
        self.assertEqual(status("/_local/state", "", "s3cret"), (200, None))
        self.assertEqual(status("/_local/state"), (403, None))

    def test_long_targets(self):
        """A target of 200 KiB and headers of 200 KiB are answered in JSON"""
        port = self.port_local()
        self.assertEqual(port.call("GET", "/blueprints?x=" + "a" * 200000)["ok"], True)
        self.assertEqual(port.call("GET", "/blueprints", agent="a" * 200000)["ok"], True)


if __name__ == "__main__":
    main()
