#!/usr/bin/env python3
"""Measures the product with real processes: a third party, port-local and ocean-run, on loopback.

Each figure is printed with the command that gave it. Ratios compare runs of one invocation, since machines differ and are
shared. `make bench` builds what is needed; ENTITIES=n changes the size of the load (100,000).
"""
import http.server
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("BUILD", "build")
SOURCE = BUILD / "rel" / "bench" / "third_party"
SCRIPT = ROOT / "tests" / "bench" / "items.lua"
ENTITIES = int(os.environ.get("ENTITIES", "100000"))


class Server:
    """A child process that prints one line with its address."""

    def __init__(self, *command):
        self.process = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if " on http://" not in line:
            raise SystemExit(f"{command[0]} did not start: {line!r}")
        self.url = line.split(" on ")[1].strip()

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Result:
    def __init__(self, seconds, usage, summary, code):
        self.seconds, self.usage, self.summary, self.code = seconds, usage, summary, code
        self.rss_mb = usage.ru_maxrss / 1024
        self.cpu = usage.ru_utime + usage.ru_stime

    def count(self, name):
        return sum(r[name] for r in self.summary["resources"])


def command(script=SCRIPT):
    return [str(BUILD / "ocean-run"), "--once", "--json", str(script)]


def run(port, source, state):
    env = dict(os.environ, OCEAN__PORT__BASE_URL=port, OCEAN__PORT__CLIENT_ID="bench", OCEAN__PORT__CLIENT_SECRET="bench",
               OCEAN__INTEGRATION__IDENTIFIER="bench", BENCH_SOURCE=source, OCEAN_STATE=state,
               APPLICATION__LOG_LEVEL="error")
    started = time.monotonic()
    with tempfile.TemporaryFile() as out:
        p = subprocess.Popen(command(), stdout=out, env=env)
        _, status, usage = os.wait4(p.pid, 0)
        seconds = time.monotonic() - started
        out.seek(0)
        text = out.read()
    if not text:
        raise SystemExit(f"ocean-run printed nothing; exit code {os.waitstatus_to_exitcode(status)}")
    return Result(seconds, usage, json.loads(text), os.waitstatus_to_exitcode(status))


def load(count, order):
    """First load and unchanged resync of `count` items; returns both results."""
    with tempfile.TemporaryDirectory() as folder:
        source = Server(SOURCE, count, order)
        port = Server(BUILD / "port-local", "--listen", "127.0.0.1:0", "--db", f"{folder}/catalog.db")
        try:
            first = run(port.url, source.url, f"{folder}/state")
            second = run(port.url, source.url, f"{folder}/state")
        finally:
            source.stop()
            port.stop()
    for name, r in (("first load", first), ("unchanged resync", second)):
        if r.code != 0 or r.count("mapped") != count:
            raise SystemExit(f"{name} of {count} items went wrong: exit {r.code}, {json.dumps(r.summary)}")
    return first, second


def start_up():
    """Time from starting the process to its first request at Port, and at the third party."""
    seen = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            seen.setdefault("source", time.monotonic())
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"[]")

        def do_POST(self):
            seen.setdefault("port", time.monotonic())
            self.send_error(401)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    times = []
    for _ in range(9):
        seen.clear()
        with tempfile.TemporaryDirectory() as folder:
            env = dict(os.environ, OCEAN__PORT__BASE_URL=url, OCEAN__PORT__CLIENT_ID="a", OCEAN__PORT__CLIENT_SECRET="b",
                       OCEAN_STATE=folder, APPLICATION__LOG_LEVEL="critical", BENCH_SOURCE=url)
            begin = time.monotonic()
            subprocess.run(command(), env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            times.append((seen["port"] - begin) * 1000)
    server.shutdown()
    return sorted(times)[len(times) // 2]


def show(label, figure, how):
    print(f"{label:<58} {figure:>24}   {how}", flush=True)


def main():
    run_line = " ".join([os.path.relpath(command()[0], ROOT)] + command()[1:3] + ["tests/bench/items.lua"])
    show("process start to first request (plain HTTP, median of 9)", f"{start_up():.1f} ms", run_line)
    small, small_again = load(ENTITIES // 10, "sequential")
    big, big_again = load(ENTITIES, "sequential")
    shuffled, _ = load(ENTITIES, "random")
    for label, r in ((f"first load, {ENTITIES:,} entities, sequential ids", big),
                     (f"first load, {ENTITIES:,} entities, random ids", shuffled)):
        show(label, f"{ENTITIES / r.seconds:,.0f} entities/s", f"{run_line}   ({r.seconds:.2f} s, CPU {r.cpu:.2f} s)")
    writes = sum(big_again.count(n) for n in ("created", "updated")) + big_again.summary["deleted"]
    show(f"unchanged resync, {ENTITIES:,} entities: writes", f"{writes}",
         f"{run_line}   ({big_again.seconds:.2f} s, CPU {big_again.cpu:.2f} s)")
    show(f"peak memory of ocean-run at {ENTITIES // 10:,}", f"{small.rss_mb:.1f} MiB", "first load")
    show(f"peak memory of ocean-run at {ENTITIES:,}", f"{big.rss_mb:.1f} MiB",
         f"first load; {big.rss_mb / small.rss_mb:.2f} x that at {ENTITIES // 10:,}")
    show(f"peak memory, unchanged resync at {ENTITIES:,}", f"{big_again.rss_mb:.1f} MiB",
         f"{big_again.rss_mb / small_again.rss_mb:.2f} x that at {ENTITIES // 10:,}")
    if writes:
        sys.exit("an unchanged resync wrote something")


if __name__ == "__main__":
    main()
