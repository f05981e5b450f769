"""The command line: usage, configuration, the embedded catalog, what is printed where."""
import json
import contextlib
import os
import sqlite3
import signal
import socket
import subprocess
import time

import lib
from lib import Case, list_handler, main

ITEMS = [{"id": "A-1", "name": "One", "u": "x"}, {"id": "A-2", "name": "Two", "u": "y"}]


class CommandLine(Case):
    def program(self, *args, env=None, **kw):
        found = lib.clean_env()
        found.update({"XDG_STATE_HOME": self.folder + "/xdg-state", "XDG_DATA_HOME": self.folder + "/xdg-data"})
        found.update(env or {})
        return lib.run_program([lib.OCEAN_RUN, *args], found, cwd=self.folder, **kw)

    def local(self, mine, *args, **kw):
        return self.program("--once", "--local", self.folder + "/c.db", "--state", mine.state, *args, mine.path, **kw)


class Usage(CommandLine):
    def test_version(self):
        """version"""
        result = self.program("version")
        self.assertExit(result, 0)
        self.assertRegex(result.stdout, r"^ocean-run \d+\.\d+\.\d+\n$")

    def test_help(self):
        """help, and help on each topic"""
        for topic in ([], ["run"], ["catalog"], ["settings"], ["exit"]):
            result = self.program("help", *topic)
            self.assertExit(result, 0)
            self.assertGreater(len(result.stdout), 100)

    def test_nothing(self):
        """No argument: exit 2 with the overview"""
        result = self.program()
        self.assertExit(result, 2)
        self.assertSays(result, "ocean-run")

    def test_unknown_option(self):
        """An unknown option: exit 2, the nearest one is offered"""
        result = self.program("--onec", "x.lua")
        self.assertExit(result, 2)
        self.assertSays(result, "--onec", "--once")

    def test_missing_script(self):
        """A script that is not there: exit 3, the path is named"""
        result = self.program("--once", "--local", "c.db", "nowhere.lua")
        self.assertExit(result, 3)
        self.assertSays(result, "nowhere.lua")

    def test_folder_without_script(self):
        """A folder without integration.lua: exit 3, the file is named"""
        os.mkdir(self.folder + "/empty")
        result = self.program("--once", "--local", "c.db", self.folder + "/empty")
        self.assertExit(result, 3)
        self.assertSays(result, "integration.lua")

    def test_no_handler(self):
        """A script without a resync handler: exit 3, the way out is named"""
        result = self.local(self.integration("-- nothing\n"))
        self.assertExit(result, 3)
        self.assertSays(result, "on_resync")


class Configuration(CommandLine):
    def test_no_credentials(self):
        """No credentials and no terminal: exit 3, both settings and --local are named"""
        mine = self.integration(list_handler("issue", ITEMS))
        result = self.program("--once", "--state", mine.state, mine.path)
        self.assertExit(result, 3)
        self.assertSays(result, "OCEAN__PORT__CLIENT_ID", "OCEAN__PORT__CLIENT_SECRET", "--local")

    def test_incomplete_credentials(self):
        """One of the two is missing: exit 3, it is named, the other's value is not shown"""
        mine = self.integration(list_handler("issue", ITEMS))
        result = self.program("--once", "--state", mine.state, mine.path,
                              env={"OCEAN__PORT__CLIENT_SECRET": "very-secret-value"})
        self.assertExit(result, 3)
        self.assertSays(result, "OCEAN__PORT__CLIENT_ID")
        self.assertNotIn("very-secret-value", result.stderr + result.stdout)

    def test_config_of_the_spec(self):
        """integration.config is checked against spec.yaml: every problem at once, exit 3"""
        spec = ("type: jira\nversion: 1.4.2\nconfigurations:\n"
                "  - name: host\n    type: url\n    required: true\n"
                "  - name: pageSize\n    type: integer\n    default: 50\n")
        mine = self.integration(list_handler("issue", ITEMS), spec=spec)
        result = self.local(mine, env={"OCEAN__INTEGRATION__CONFIG__PAGE_SIZE": "1.5"})
        self.assertExit(result, 3)
        self.assertRegex(result.stderr, "(?i)page_?size")
        self.assertSays(result, "host")
        mine.rewrite('ocean.on_resync("issue", function()\n'
                     '  return { { id = "A", name = ocean.config.host .. " " .. ocean.config.pageSize } }\nend)\n')
        result = self.local(mine, "--json", env={"OCEAN__INTEGRATION__CONFIG__HOST": "https://h.example/p//"})
        self.assertClean(result)
        shown = self.program("catalog", "show", "issue", "A", "--local", self.folder + "/c.db", "--json")
        self.assertEqual(json.loads(shown.stdout)["title"], "https://h.example/p 50")

    def test_bad_setting(self):
        """A setting with a bad value: exit 3, setting and value are named"""
        mine = self.integration(list_handler("issue", ITEMS))
        result = self.local(mine, env={"OCEAN__RESYNC_LOOKAHEAD": "many"})
        self.assertExit(result, 3)
        self.assertRegex(result.stderr, "(?i)resync_lookahead")
        self.assertSays(result, "many")

    def test_port_in_use(self):
        """Without --once a port in use is exit 3 and the setting is named"""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            number = str(taken.getsockname()[1])
            mine = self.integration(list_handler("issue", ITEMS))
            result = self.program("--local", self.folder + "/c.db", "--state", mine.state, "--port", number, mine.path)
        self.assertExit(result, 3)
        self.assertSays(result, number, "--port")

    def test_two_at_once(self):
        """A second process on the same state: exit 3, the first one's pid is named"""
        port = self.port_local()
        third = self.third_party().on("/wait", lib.Reply(delay_s=30, body="[]"))
        mine = self.integration(f'local api = ocean.http.client {{ base_url = "{third.url}" }}\n'
                                'ocean.on_resync("issue", function() return api:get("/wait"):json() end)\n')
        command = [lib.OCEAN_RUN, "--once", "--state", mine.state, mine.path]
        first = subprocess.Popen(command, env=lib.ocean_env(port.url), stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 30 * lib.SLOW
            while not third.count("/wait") and time.monotonic() < deadline:
                time.sleep(0.02)
            result = self.ocean(mine, port)
        finally:
            lib.terminate(first)
        self.assertExit(result, 3)
        self.assertSays(result, str(first.pid))


class EmbeddedCatalog(CommandLine):
    def test_local(self):
        """--local FILE: the same run against the embedded catalog, also with credentials set; catalog list and show"""
        mine = self.integration(list_handler("issue", ITEMS))
        result = self.local(mine, "--json", env={"OCEAN__PORT__CLIENT_ID": "a", "OCEAN__PORT__CLIENT_SECRET": "b",
                                                 "OCEAN__PORT__BASE_URL": "http://127.0.0.1:1"})
        self.assertClean(result)
        self.assertEqual(result.resource("issue")["created"], 2)
        file = self.folder + "/c.db"
        listed = self.program("catalog", "list", "--local", file, "--json")
        self.assertExit(listed, 0)
        found = {b["identifier"]: b["entities"] for b in json.loads(listed.stdout)["blueprints"]}
        self.assertEqual(found["issue"], 2)
        shown = self.program("catalog", "show", "issue", "A-2", "--local", file, "--json")
        self.assertExit(shown, 0)
        entity = json.loads(shown.stdout)
        self.assertEqual((entity["identifier"], entity["title"], entity["properties"]), ("A-2", "Two", {"url": "y"}))
        lines = self.program("catalog", "show", "issue", "--local", file, "--json").stdout.splitlines()
        self.assertEqual(sorted(json.loads(l)["identifier"] for l in lines), ["A-1", "A-2"])
        text = self.program("catalog", "list", "--local", file)
        self.assertIn("issue", text.stdout)

    def test_foreign_file(self):
        """--local names another program's database, or no database at all: exit 3, and the file stays as it is"""
        mine = self.integration(list_handler("issue", ITEMS))
        file = self.folder + "/c.db"
        with contextlib.closing(sqlite3.connect(file)) as db:
            db.execute("create table mine (a)")
        for content in (open(file, "rb").read(), os.urandom(5000)):
            with open(file, "wb") as f:
                f.write(content)
            result = self.local(mine, "--json")
            self.assertExit(result, 3)
            self.assertIn("choose another file", result.stderr)
            self.assertEqual(open(file, "rb").read(), content)

    def test_not_there(self):
        """catalog show of what is not there, and of a file that is not there"""
        mine = self.integration(list_handler("issue", ITEMS))
        self.assertExit(self.local(mine, "--json"), 0)
        for args, word in ((["issue", "nope"], "nope"), (["nothing"], "nothing")):
            result = self.program("catalog", "show", *args, "--local", self.folder + "/c.db")
            self.assertNotEqual(result.code, 0, result)
            self.assertIn(word, result.stderr)
        result = self.program("catalog", "list", "--local", self.folder + "/absent.db")
        self.assertNotEqual(result.code, 0, result)
        self.assertIn("absent.db", result.stderr)
        self.assertFalse(os.path.exists(self.folder + "/absent.db"))

    def test_kept(self):
        """The file keeps what was written: a second run writes nothing"""
        rows = [{"id": f"A-{i}", "name": f"n{i}"} for i in range(30)]
        mine = self.integration(list_handler("issue", rows))
        self.assertExit(self.local(mine, "--json"), 0)
        result = self.local(mine, "--json")
        self.assertClean(result)
        self.assertEqual(result.resource("issue")["unchanged"], 30)

    def test_edited_blueprints(self):
        """On the embedded catalog an edited .port folder is applied at the next run"""
        mine = self.integration(list_handler("issue", ITEMS))
        self.assertExit(self.local(mine, "--json"), 0)
        shape = lib.blueprint(properties={"url": "string", "more": "string"})
        mine.write(".port/resources/blueprints.json", json.dumps([shape]))
        config = {"resources": [lib.resource(properties={"url": ".u", "more": '"new"'})]}
        mine.write(".port/resources/port-app-config.yml", json.dumps(config))
        result = self.local(mine, "--json")
        self.assertClean(result)
        shown = self.program("catalog", "show", "issue", "A-1", "--local", self.folder + "/c.db", "--json")
        self.assertEqual(json.loads(shown.stdout)["properties"], {"url": "x", "more": "new"})

    def test_proxy_settings(self):
        """Proxy variables do not capture the way to the embedded catalog"""
        mine = self.integration(list_handler("issue", ITEMS))
        result = self.local(mine, "--json", env={"http_proxy": "http://127.0.0.1:1", "ALL_PROXY": "http://127.0.0.1:1"})
        self.assertClean(result)

    def test_serve(self):
        """catalog serve answers as port-local does, and ends cleanly on SIGTERM"""
        mine = self.integration(list_handler("issue", ITEMS))
        self.assertExit(self.local(mine, "--json"), 0)
        command = [lib.OCEAN_RUN, "catalog", "serve", "--local", self.folder + "/c.db", "--listen", "127.0.0.1:0"]
        proc = subprocess.Popen(command, env=lib.clean_env(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL, text=True)
        try:
            line = proc.stdout.readline()
            self.assertIn("http://127.0.0.1:", line)
            url = line[line.index("http://"):].strip()
            result = self.ocean(mine, type("Target", (), {"url": url}))
            self.assertClean(result)
            proc.send_signal(signal.SIGTERM)
            self.assertEqual(proc.wait(20 * lib.SLOW), 0)
        finally:
            lib.terminate(proc)
            proc.stdout.close()


class Output(CommandLine):
    def test_text(self):
        """Without --json the summary is for people, on stdout; logs go to stderr"""
        result = self.local(self.integration('print("from the script")\n' + list_handler("issue", ITEMS)))
        self.assertExit(result, 0)
        self.assertIn("issue", result.stdout)
        self.assertNotIn("\x1b", result.stdout + result.stderr)

    def test_json(self):
        """With --json stdout holds one summary object and nothing else, whatever the script prints"""
        script = 'print("from the script")\nio.stdout:write("raw\\n")\nio.write("more\\n")\n' + list_handler("issue", ITEMS)
        result = self.local(self.integration(script), "--json")
        self.assertClean(result)
        self.assertEqual(len(result.stdout.splitlines()), 1)
        self.assertEqual(sorted(result.summary), ["deleted", "held_back", "ok", "requests", "resources", "seconds"])
        self.assertIn("from the script", result.stderr)
        self.assertEqual(sorted(result.summary["resources"][0]), sorted(
            ["kind", "index", "extracted", "filtered", "unmappable", "mapped", "created", "updated", "unchanged",
             "rejected", "duplicates", "unmatched", "errors"]))

    def test_secrets(self):
        """Secrets are hidden in every line, also those a script logs"""
        port = self.port_local()
        mine = self.integration('ocean.on_resync("issue", function()\n'
                                '  ocean.log.info("the secret is top-secret, the key ghp_0123456789abcdefghijklmnopqrstuvwxyz")\n'
                                '  error("failed with top-secret")\nend)\n')
        result = self.ocean(mine, port, "--log-level", "debug")
        self.assertExit(result, 4)
        self.assertNotIn("top-secret", result.stderr + result.stdout)
        self.assertNotIn("ghp_0123", result.stderr + result.stdout)

    def test_annotating_loop(self):
        """A field added to every item of a page goes out with every item"""
        port = self.port_local()
        third = self.third_party().on("/items", [{"id": "A", "name": "a"}, {"id": "B", "name": "b"}])
        mine = self.integration(f'local api = ocean.http.client {{ base_url = "{third.url}" }}\n'
                                'ocean.on_resync("issue", function()\n  local page = api:get("/items"):json()\n'
                                '  for _, r in ipairs(page) do r.__project = "p1" end\n  ocean.yield(page)\nend)\n',
                                [lib.resource(properties={"url": ".__project"})])
        self.assertClean(self.ocean(mine, port))
        self.assertEqual({k: v["properties"]["url"] for k, v in port.entities("issue").items()}, {"A": "p1", "B": "p1"})

    def test_stays(self):
        """Without --once the process stays, answers its health checks and ends with 0 on SIGTERM"""
        port = self.port_local()
        mine = self.integration(list_handler("issue", ITEMS))
        number = str(lib.free_port())
        command = [lib.OCEAN_RUN, "--json", "--state", mine.state, "--port", number, mine.path]
        proc = subprocess.Popen(command, env=lib.ocean_env(port.url), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL, text=True)
        try:
            summary = json.loads(proc.stdout.readline())
            self.assertTrue(summary["ok"], summary)
            with socket.create_connection(("127.0.0.1", int(number)), timeout=10) as s:
                s.sendall(b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                self.assertIn(b" 200 ", s.recv(4096))
            proc.send_signal(signal.SIGTERM)
            self.assertEqual(proc.wait(20 * lib.SLOW), 0)
        finally:
            lib.terminate(proc)
            proc.stdout.close()


if __name__ == "__main__":
    main()
