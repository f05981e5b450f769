"""The rabbitmq integration against a real server: started here on free ports with folders of its own, stopped at the end."""
import base64
import glob
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../tests/e2e"))
import lib  # noqa: E402

FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"
START_S = 120


def epmd():
    """The port mapper of Erlang's distribution, which the server registers with."""
    found = shutil.which("epmd") or next(iter(glob.glob("/usr/lib/erlang/erts-*/bin/epmd")), None)
    assert found, "erlang's epmd is not installed"
    return found


class Rabbit:
    """A server with the management plugin. Nothing of it is shared with an installed service: node name, ports, port
    mapper, cookie, data and logs are its own."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="ocean-rabbit-")
        self.port = lib.free_port()
        self.procs = []
        mapper = str(lib.free_port())
        config = os.path.join(self.folder, "rabbitmq.conf")
        with open(config, "w", encoding="utf-8") as f:
            f.write(f"listeners.tcp.1 = 127.0.0.1:{lib.free_port()}\n"
                    f"management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {self.port}\n"
                    "default_user = admin\ndefault_pass = s3cret-pass\nloopback_users = none\n")
        with open(os.path.join(self.folder, "plugins"), "w", encoding="utf-8") as f:
            f.write("[rabbitmq_management].\n")
        env = {k: v for k, v in os.environ.items() if not k.startswith(("RABBITMQ", "ERL"))}
        env.update({
            "HOME": self.folder, "ERL_EPMD_PORT": mapper, "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"ocean{os.getpid()}@localhost", "RABBITMQ_DIST_PORT": str(lib.free_port()),
            "RABBITMQ_MNESIA_BASE": self.folder + "/mnesia", "RABBITMQ_LOG_BASE": self.folder + "/log",
            "RABBITMQ_ENABLED_PLUGINS_FILE": self.folder + "/plugins", "RABBITMQ_CONFIG_FILE": config,
            "RABBITMQ_CONF_ENV_FILE": self.folder + "/none", "RABBITMQ_PID_FILE": self.folder + "/pid",
            "RABBITMQ_GENERATED_CONFIG_DIR": self.folder + "/generated",
        })
        self.log = open(self.folder + "/output", "w+", encoding="utf-8", errors="replace")
        self._start([epmd(), "-port", mapper, "-address", "127.0.0.1"], env)
        self._start([SERVER], env)
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def _start(self, command, env):
        self.procs.append(subprocess.Popen(command, env=env, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=self.log,
                                           stderr=subprocess.STDOUT, start_new_session=True))

    def _wait(self):
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if self.procs[1].poll() is not None:
                break
            try:
                self.api("GET", "/api/overview")
                self.api("GET", "/api/vhosts")
                return
            except (OSError, http.client.HTTPException, AssertionError):
                time.sleep(0.25)
        self.log.seek(0)
        raise AssertionError(f"the server did not start (exit {self.procs[1].poll()}):\n{self.log.read()[-4000:]}")

    def api(self, method, path, body=None):
        conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            auth = base64.b64encode(b"admin:s3cret-pass").decode()
            conn.request(method, path, None if body is None else json.dumps(body),
                         {"Authorization": "Basic " + auth, "Content-Type": "application/json"})
            answer = conn.getresponse()
            text = answer.read()
            assert answer.status < 400, f"{method} {path}: {answer.status} {text[:300]}"
            return json.loads(text) if text else None
        finally:
            conn.close()

    def put(self, kind, vhost, name, **body):
        self.api("PUT", f"/api/{kind}/{quote(vhost)}/{quote(name)}", body)

    def stop(self):
        for proc in reversed(self.procs):
            if proc.poll() is None:
                try:
                    os.killpg(proc.pid, signal.SIGTERM)
                    proc.wait(30)
                except subprocess.TimeoutExpired:
                    os.killpg(proc.pid, signal.SIGKILL)
                    proc.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def quote(text):
    return urllib.parse.quote(text, safe="")


@unittest.skipUnless(os.path.exists(SERVER), "the package rabbitmq-server is not installed (make deps)")
class RabbitMQ(lib.Case):
    @classmethod
    def setUpClass(cls):
        cls.rabbit = Rabbit()
        r = cls.rabbit
        r.api("PUT", "/api/vhosts/" + quote("shop eu"), {"description": "orders", "tags": "prod"})
        r.api("PUT", "/api/users/reader", {"password": "another-secret", "tags": "monitoring,policymaker"})
        r.api("PUT", f"/api/permissions/{quote('shop eu')}/reader", {"configure": "", "write": "", "read": ".*"})
        r.put("exchanges", "shop eu", "orders", type="topic", durable=True)
        r.put("exchanges", "shop eu", "audit", type="fanout", durable=True, arguments={"alternate-exchange": "orders"})
        for i in range(25):
            r.put("queues", "/", f"q{i:02}", durable=True)
        r.put("queues", "shop eu", "new: 50% (a=b)", durable=True, arguments={"x-max-length": 1000})
        r.put("queues", "shop eu", "größe", durable=False)
        r.api("POST", f"/api/bindings/{quote('shop eu')}/e/orders/q/{quote('new: 50% (a=b)')}",
              {"routing_key": "order.*.new", "arguments": {"x-match": "all"}})
        r.api("POST", f"/api/bindings/{quote('shop eu')}/e/orders/e/audit", {"routing_key": "#"})

    @classmethod
    def tearDownClass(cls):
        cls.rabbit.stop()

    def sync(self, port, *args, password="s3cret-pass"):
        env = lib.ocean_env(port.url, OCEAN__INTEGRATION__IDENTIFIER="my-rabbit",
                            OCEAN__INTEGRATION__CONFIG__URL=f"http://127.0.0.1:{self.rabbit.port}/",
                            OCEAN__INTEGRATION__CONFIG__USERNAME="admin",
                            OCEAN__INTEGRATION__CONFIG__PASSWORD=password, OCEAN__INTEGRATION__CONFIG__PAGE_SIZE="10")
        del env["OCEAN__INTEGRATION__TYPE"]
        command = [lib.OCEAN_RUN, "--once", "--json", "--state", self.folder + "/state", *args, FOLDER]
        return lib.run_program(command, env, cwd=self.folder)

    def test_everything(self):
        """Every kind with its relations; a second run writes nothing; a change and a deletion are followed"""
        port = self.port_local()
        tap = self.tap(port)
        result = self.sync(tap)
        self.assertClean(result)

        vhosts = port.entities("rabbitmqVhost")
        self.assertEqual(sorted(vhosts), ["/", "shop=20eu"])
        self.assertEqual(vhosts["shop=20eu"]["properties"]["description"], "orders")
        users = port.entities("rabbitmqUser")
        self.assertEqual(sorted(users), ["admin", "reader"])
        self.assertEqual(sorted(users["reader"]["properties"]["tags"]), ["monitoring", "policymaker"])
        self.assertEqual(users["reader"]["relations"]["vhosts"], ["shop=20eu"])
        exchanges = port.entities("rabbitmqExchange")
        self.assertEqual(exchanges["/:=default"]["title"], "(default exchange)")
        self.assertEqual(exchanges["shop=20eu:orders"]["properties"]["type"], "topic")
        self.assertEqual(exchanges["shop=20eu:audit"]["properties"]["arguments"], {"alternate-exchange": "orders"})
        self.assertEqual(len(exchanges), 7 + 7 + 2, sorted(exchanges))
        queues = port.entities("rabbitmqQueue")
        self.assertEqual(len(queues), 27)
        odd = queues["shop=20eu:new=3A=2050=25=20=28a=3Db=29"]
        self.assertEqual((odd["title"], odd["properties"]["arguments"]), ("new: 50% (a=b)", {"x-max-length": 1000}))
        self.assertEqual(odd["relations"]["vhost"], "shop=20eu")
        self.assertIn("größe", [q["title"] for q in queues.values()])
        bindings = {b["title"]: b for b in port.entities("rabbitmqBinding").values()}
        self.assertEqual(sorted(bindings), ["orders -> audit", "orders -> new: 50% (a=b)"])
        to_queue = bindings["orders -> new: 50% (a=b)"]
        self.assertEqual(to_queue["properties"]["routingKey"], "order.*.new")
        self.assertEqual(to_queue["relations"]["source"], "shop=20eu:orders")
        self.assertEqual(to_queue["relations"]["queue"], "shop=20eu:new=3A=2050=25=20=28a=3Db=29")
        self.assertEqual(bindings["orders -> audit"]["relations"]["exchange"], "shop=20eu:audit")
        sent = b"".join(r.body for r in tap.requests)
        self.assertNotIn(b"password_hash", sent)
        self.assertNotIn("s3cret-pass", result.stderr)

        mark = port.mark()
        result = self.sync(port)
        self.assertClean(result)
        self.assertEqual([port.effects(n, mark) for n in ("created", "updated", "deleted")], [0, 0, 0], result)

        self.rabbit.api("DELETE", "/api/queues/%2F/q07")
        self.rabbit.put("queues", "/", "q99", durable=True)
        result = self.sync(port)
        self.assertClean(result)
        self.assertEqual((result.resource("queue")["created"], result.summary["deleted"]), (1, 1))
        self.assertNotIn("/:q07", port.entities("rabbitmqQueue"))

    def test_wrong_password(self):
        """A wrong password: every kind is in error, nothing is deleted, the password is not shown"""
        port = self.port_local()
        result = self.sync(port, password="wrong-password")
        self.assertExit(result, 4)
        self.assertIn("401", result.errors("queue") + result.stderr)
        self.assertEqual(port.count("E-32"), 0)
        self.assertNotIn("wrong-password", result.stderr + result.stdout)

    def test_missing_settings(self):
        """Without its settings: exit 3, each missing one is named"""
        env = lib.ocean_env("http://127.0.0.1:1")
        result = lib.run_program([lib.OCEAN_RUN, "--once", "--state", self.folder + "/state", FOLDER], env)
        self.assertExit(result, 3)
        for name in ("url", "username", "password"):
            self.assertRegex(result.stderr, f"(?i){name}")


if __name__ == "__main__":
    lib.main()
