#!/usr/bin/env python3
"""integrations/rabbitmq against a real broker: Debian's rabbitmq-server with the management plugin, on free ports of the
loopback interface, with everything it writes in a temporary folder. One broker serves all cases."""
import base64
import glob
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
import urllib.parse

import lib

FOLDER = os.path.join(lib.ROOT, "integrations", "rabbitmq")
SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"  # not the wrapper in /usr/sbin, which changes the user
START_S = 120 * lib.SLOW
IDENTIFIER = re.compile(r"[A-Za-z0-9@_.+:\\/='-]{1,1000}")


def epmd():
    """The port mapper that Erlang nodes register with."""
    found = shutil.which("epmd") or next(iter(glob.glob("/usr/lib/erlang/erts-*/bin/epmd")), None)
    assert found, "Erlang's epmd is not installed, though rabbitmq-server is"
    return found


class Broker:
    USER, PASSWORD = "guest", "guest"  # made by the broker at its first start; only allowed from the loopback interface

    def __init__(self, folder):
        self.folder = folder
        self.port = lib.free_port()
        self._log = open(os.path.join(folder, "console.log"), "w+", errors="replace")
        env = self._environment()
        epmd_port = env["ERL_EPMD_PORT"]
        # Ours to end, unlike the one Erlang would leave behind.
        self._epmd = subprocess.Popen([epmd(), "-address", "127.0.0.1", "-port", epmd_port], stdin=subprocess.DEVNULL,
                                      stdout=self._log, stderr=subprocess.STDOUT, env=env, cwd=folder)
        self._server = None
        try:
            self._server = subprocess.Popen([SERVER], stdin=subprocess.DEVNULL, stdout=self._log,
                                            stderr=subprocess.STDOUT, env=env, cwd=folder, start_new_session=True)
            self._wait()
        except BaseException:
            self.stop()
            raise

    def _environment(self):
        amqp, dist, epmd = lib.free_port(), lib.free_port(), lib.free_port()
        path = lambda name: os.path.join(self.folder, name)
        with open(path("enabled_plugins"), "w") as f:
            f.write("[rabbitmq_management].\n")
        with open(path("rabbitmq.conf"), "w") as f:
            f.write(f"listeners.tcp.1 = 127.0.0.1:{amqp}\nmanagement.tcp.ip = 127.0.0.1\n"
                    f"management.tcp.port = {self.port}\nlog.console = true\nlog.file = false\n")
        open(path("env.conf"), "w").close()
        env = {k: v for k, v in lib.clean_env().items() if not k.startswith(("RABBITMQ", "ERL"))}
        env.update({
            "HOME": self.folder, "LC_ALL": "C.UTF-8", "ERL_EPMD_PORT": str(epmd), "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"e2e{os.getpid()}@127.0.0.1", "RABBITMQ_USE_LONGNAME": "true", "RABBITMQ_NODE_PORT": str(amqp),
            "RABBITMQ_DIST_PORT": str(dist), "RABBITMQ_CONF_ENV_FILE": path("env.conf"),
            "RABBITMQ_CONFIG_FILE": path("rabbitmq.conf"), "RABBITMQ_ADVANCED_CONFIG_FILE": path("advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": path("enabled_plugins"), "RABBITMQ_MNESIA_BASE": path("mnesia"),
            "RABBITMQ_LOG_BASE": path("log"), "RABBITMQ_LOGS": "-", "RABBITMQ_GENERATED_CONFIG_DIR": path("generated"),
            "RABBITMQ_PID_FILE": path("pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS":
                "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none",
        })
        return env

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def log(self):
        self._log.flush()
        self._log.seek(0)
        return self._log.read()[-6000:]

    def _wait(self):
        """Until the API answers and the default vhost runs."""
        end = time.monotonic() + START_S
        while True:
            try:
                if self._server.poll() is not None:
                    raise AssertionError(f"rabbitmq-server ended with {self._server.returncode}:\n{self.log()}")
                if self.call("GET", "/aliveness-test/%2F") == {"status": "ok"}:
                    self.call("DELETE", "/queues/%2F/aliveness-test")
                    return
            except (OSError, http.client.HTTPException):
                pass
            if time.monotonic() > end:
                raise AssertionError(f"rabbitmq-server is not ready after {START_S} s:\n{self.log()}")
            time.sleep(0.2)

    def call(self, method, path, body=None):
        """An answer of the management API. Statuses of 400 and above are OSError."""
        conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60 * lib.SLOW)
        try:
            secret = base64.b64encode(f"{self.USER}:{self.PASSWORD}".encode()).decode()
            conn.request(method, "/api" + path, None if body is None else json.dumps(body),
                         {"Authorization": "Basic " + secret, "Content-Type": "application/json"})
            answer = conn.getresponse()
            text = answer.read()
        finally:
            conn.close()
        if answer.status >= 400:
            raise OSError(f"{method} {path}: {answer.status} {text[:300]!r}")
        return json.loads(text) if text else None

    def at(self, *names):
        return "".join("/" + urllib.parse.quote(n, safe="") for n in names)

    def vhost(self, name, **more):
        self.call("PUT", "/vhosts" + self.at(name), more)

    def queue(self, vhost, name, **more):
        self.call("PUT", "/queues" + self.at(vhost, name), {"durable": True, **more})

    def exchange(self, vhost, name, kind="topic", **more):
        self.call("PUT", "/exchanges" + self.at(vhost, name), {"type": kind, "durable": True, **more})

    def bind(self, vhost, source, to, destination, key="", arguments=None):
        self.call("POST", "/bindings" + self.at(vhost) + "/e" + self.at(source) + f"/{to}" + self.at(destination),
                  {"routing_key": key, "arguments": arguments or {}})

    def user(self, name, tags, *vhosts):
        self.call("PUT", "/users" + self.at(name), {"password": "pw-of-" + name, "tags": tags})
        for vhost in vhosts:
            self.call("PUT", "/permissions" + self.at(vhost, name), {"configure": ".*", "write": ".*", "read": ".*"})

    def stop(self):
        """At once: a broker that ends in good order takes seconds, and nothing of it is kept."""
        if self._server:
            try:
                os.killpg(self._server.pid, signal.SIGKILL)  # the start script and the broker
            except ProcessLookupError:
                pass
            self._server.wait()
        lib.terminate(self._epmd)
        self._log.close()


BROKER = None


def setUpModule():
    global BROKER
    if not os.access(SERVER, os.X_OK):
        raise unittest.SkipTest("rabbitmq-server is not installed (make deps)")
    folder = tempfile.mkdtemp(prefix="ocean-rabbitmq-")
    unittest.addModuleCleanup(shutil.rmtree, folder, ignore_errors=True)
    BROKER = Broker(folder)
    unittest.addModuleCleanup(BROKER.stop)
    declare(BROKER)


def declare(broker):
    broker.vhost("shop", description="the web shop", tags="prod,eu")
    broker.vhost("odd vhost #1 100%")
    broker.queue("shop", "orders", arguments={"x-max-length": 1000})
    broker.queue("shop", "mails", durable=False)
    broker.queue("/", "orders")
    broker.queue("odd vhost #1 100%", "rück: a/b\\c, *|&~()")
    broker.exchange("shop", "events")
    broker.exchange("shop", "audit", "fanout", internal=True)
    broker.exchange("odd vhost #1 100%", "odd exchange")
    broker.bind("shop", "events", "q", "orders", "order.#")
    broker.bind("shop", "events", "q", "orders", "refund.*")
    broker.bind("shop", "events", "q", "mails", "order.#", {"why": "mail"})
    broker.bind("shop", "events", "e", "audit", "#")
    broker.bind("odd vhost #1 100%", "odd exchange", "q", "rück: a/b\\c, *|&~()", "key with space %")
    broker.user("monitor", "monitoring", "shop", "/")
    broker.user("nobody@example.org", "")


class RabbitMQ(lib.Case):
    def setUp(self):
        super().setUp()
        self.port = self.port_local()

    def sync(self, *args, **env):
        settings = {
            "OCEAN__INTEGRATION__TYPE": "rabbitmq", "OCEAN__INTEGRATION__IDENTIFIER": "broker",
            "OCEAN__INTEGRATION__CONFIG__HOST": BROKER.url, "OCEAN__INTEGRATION__CONFIG__USERNAME": BROKER.USER,
            "OCEAN__INTEGRATION__CONFIG__PASSWORD": BROKER.PASSWORD, **env,
        }
        command = [lib.OCEAN_RUN, "--once", "--json", "--state", os.path.join(self.folder, "state"), *args, FOLDER]
        return lib.run_program(command, lib.ocean_env(self.port.url, **settings), cwd=self.folder)

    def synced(self, *args, **env):
        result = self.sync(*args, **env)
        self.assertClean(result)
        return result

    def test_first_load(self):
        """rabbitmq: a first load gives every vhost, user, exchange, queue and binding"""
        result = self.synced()
        vhosts = self.port.entities("rabbitmqVhost")
        self.assertEqual(set(vhosts), {"/", "shop", "odd=20vhost=20=231=20100=25"})
        self.assertEqual(vhosts["shop"]["properties"],
                         {"description": "the web shop", "tags": ["prod", "eu"], "tracing": False})
        self.assertEqual(vhosts["odd=20vhost=20=231=20100=25"]["title"], "odd vhost #1 100%")

        users = self.port.entities("rabbitmqUser")
        self.assertEqual(set(users), {"guest", "monitor", "nobody@example.org"})
        self.assertEqual(users["monitor"]["properties"]["tags"], ["monitoring"])
        self.assertEqual(users["monitor"]["relations"], {"vhosts": ["/", "shop"]})
        self.assertEqual(users["nobody@example.org"]["relations"], {"vhosts": []})

        queues = self.port.entities("rabbitmqQueue")
        odd = "odd=20vhost=20=231=20100=25:r=C3=BCck=3A=20a/b=5Cc=2C=20=2A=7C=26=7E=28=29"
        self.assertEqual(set(queues), {"/:orders", "shop:orders", "shop:mails", odd})
        self.assertEqual(queues[odd]["title"], "rück: a/b\\c, *|&~()")
        orders = queues["shop:orders"]
        self.assertEqual(orders["relations"], {"vhost": "shop"})
        self.assertEqual(orders["properties"]["arguments"]["x-max-length"], 1000)  # newer brokers add some of their own
        self.assertIs(orders["properties"]["durable"], True)
        self.assertIs(queues["shop:mails"]["properties"]["durable"], False)
        self.assertEqual(orders["properties"]["type"], "classic")

        exchanges = self.port.entities("rabbitmqExchange")
        self.assertEqual(len(exchanges), len(BROKER.call("GET", "/exchanges")))
        self.assertEqual(exchanges["shop:"]["title"], "(default)")
        self.assertEqual(exchanges["shop:audit"]["properties"]["type"], "fanout")
        self.assertIs(exchanges["shop:audit"]["properties"]["internal"], True)

        self.assert_bindings(odd)
        self.assertEqual(result.resource("binding")["filtered"], len(queues))  # those to the default exchange

    def assert_bindings(self, odd):
        bindings = self.port.entities("rabbitmqBinding").values()
        found = sorted((b["relations"]["source"], b["relations"]["queue"] or b["relations"]["exchange"],
                        b["properties"]["routingKey"]) for b in bindings)
        self.assertEqual(found, [
            (odd.split(":")[0] + ":odd=20exchange", odd, "key with space %"),
            ("shop:events", "shop:audit", "#"), ("shop:events", "shop:mails", "order.#"),
            ("shop:events", "shop:orders", "order.#"), ("shop:events", "shop:orders", "refund.*"),
        ])
        for b in bindings:
            self.assertRegex(b["identifier"], IDENTIFIER)
            self.assertNotEqual(b["relations"]["queue"] is None, b["relations"]["exchange"] is None, b)

    def test_difference(self):
        """rabbitmq: an unchanged broker changes nothing; what is deleted there is deleted here"""
        BROKER.vhost("extra")
        self.addCleanup(BROKER.call, "DELETE", "/vhosts/extra")
        for i in range(12):
            BROKER.queue("extra", f"q{i}")
        BROKER.exchange("extra", "events")
        BROKER.bind("extra", "events", "q", "q0", "key")
        self.synced()
        since = self.port.mark()
        again = self.synced()
        # Kinds of a few items are sent without asking what Port has; that changes nothing there either.
        self.assertEqual({n: self.port.effects(n, since) for n in ("created", "updated", "deleted")},
                         {"created": 0, "updated": 0, "deleted": 0})
        self.assertEqual(again.resource("queue")["unchanged"], again.resource("queue")["mapped"])

        before = {b: set(self.port.entities(b)) for b in ("rabbitmqQueue", "rabbitmqBinding")}
        since = self.port.mark()
        BROKER.call("DELETE", "/queues/extra/q0")  # its binding goes with it
        last = self.synced()
        gone = {b: before[b] - set(self.port.entities(b)) for b in before}
        self.assertEqual(gone, {"rabbitmqQueue": {"extra:q0"},
                                "rabbitmqBinding": {"extra:events:queue:q0:key"}})
        self.assertEqual(last.summary["deleted"], 2)
        self.assertEqual(self.port.effects("created", since) + self.port.effects("updated", since), 0)

    def test_pages(self):
        """rabbitmq: queues come in pages, all of them"""
        BROKER.vhost("many")
        try:
            for i in range(520):  # the API gives 500 at most
                BROKER.queue("many", f"q{i:04}", durable=False)
            result = self.synced("--kind", "queue")
            names = {i for i in self.port.entities("rabbitmqQueue") if i.startswith("many:")}
            self.assertEqual(names, {f"many:q{i:04}" for i in range(520)})
            self.assertEqual(result.resource("queue")["extracted"], len(BROKER.call("GET", "/queues")))
        finally:
            BROKER.call("DELETE", "/vhosts/many")

    def test_long_names(self):
        """rabbitmq: names that are too long for an identifier stay apart"""
        BROKER.vhost("l%" * 100)
        try:
            source, queue = "e%" * 127, "q%" * 127
            BROKER.exchange("l%" * 100, source)
            BROKER.queue("l%" * 100, queue)
            for key in ("k%" * 100 + "1", "k%" * 100 + "2"):
                BROKER.bind("l%" * 100, source, "q", queue, key)
            self.synced()
            found = {i: b for i, b in self.port.entities("rabbitmqBinding").items() if i.startswith("l=25")}
            self.assertEqual({b["properties"]["routingKey"][-1] for b in found.values()}, {"1", "2"})
            for identifier, binding in found.items():
                self.assertRegex(identifier, IDENTIFIER)
                self.assertIn(binding["relations"]["queue"], self.port.entities("rabbitmqQueue"))
        finally:
            BROKER.call("DELETE", "/vhosts" + BROKER.at("l%" * 100))

    def test_no_permission(self):
        """rabbitmq: a user who may not list users costs the kind user alone, and nothing is deleted"""
        self.synced()
        before = {b: set(self.port.entities(b)) for b in ("rabbitmqUser", "rabbitmqQueue")}
        result = self.sync(OCEAN__INTEGRATION__CONFIG__USERNAME="monitor",
                           OCEAN__INTEGRATION__CONFIG__PASSWORD="pw-of-monitor")
        self.assertExit(result, 4)
        self.assertIn("401", result.errors("user"))
        self.assertEqual(result.resource("vhost")["errors"], [])
        self.assertEqual(before, {b: set(self.port.entities(b)) for b in before})

    def test_secrets(self):
        """rabbitmq: neither the password nor a hash of one leaves the machine"""
        tap = self.tap(self.port)
        self.port, port = tap, self.port
        BROKER.user("secretive", "administrator")
        try:
            result = self.synced("--log-level", "debug", OCEAN__INTEGRATION__CONFIG__USERNAME="secretive",
                                 OCEAN__INTEGRATION__CONFIG__PASSWORD="pw-of-secretive")
            self.assertNotIn("pw-of-secretive", result.stdout + result.stderr)
            sent = json.dumps([r.json for r in tap.requests])
            self.assertIn("hashing_algorithm", sent)  # the raw examples are there
            self.assertNotIn('"password_hash"', sent)
            self.assertNotIn("pw-of-secretive", sent)
        finally:
            self.port = port
            BROKER.call("DELETE", "/users/secretive")


if __name__ == "__main__":
    lib.main()
