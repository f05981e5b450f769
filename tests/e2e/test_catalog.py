"""What port-local promises about its file: snapshots, export and import, kills, full disks; and `ocean-run catalog` on it."""
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

from lib import OCEAN_RUN, Case, PortError, PortLocal, blueprint, clean_env, main, run_program

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


if __name__ == "__main__":
    main()
