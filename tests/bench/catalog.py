#!/usr/bin/env python3
"""How fast port-local is by itself: concurrent clients write entities of 1 KB in bulks of 20, then it is searched and listed.

Goals: 25,000 entities/s with sequential identifiers, 20,000 with random ones (10,000 at 1,000,000); 50 identifiers found in
2 ms; a page of 5,000 of an owner's listing in 60 ms (120 ms at 1,000,000). ENTITIES=n (100,000), MILLION=1 adds the large
one. The clients share the machine with the server, and their time counts.
"""
import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

from run import BUILD, Server

ENTITIES = int(os.environ.get("ENTITIES", "100000"))
CLIENTS = 4
AGENT = "port-ocean/bench/1/bench/exporter"
UPSERT = "/v1/blueprints/item/entities/bulk?upsert=true&merge=true&create_missing_related_entities=true"
PAD = "x" * 105


def name(i, order):
    return hashlib.md5(str(i).encode()).hexdigest() if order == "random" else f"item-{i:011}"


def request(port, token, method, path, body):
    text = body if isinstance(body, str) else json.dumps(body)
    return (f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: {AGENT}\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n{text}").encode()


def answer(sock, buffer):
    """Reads one answer; returns what is left over, status and body."""
    while b"\r\n\r\n" not in buffer:
        buffer += sock.recv(1 << 20)
    head, _, rest = buffer.partition(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
    parts, have = [rest], len(rest)
    while have < length:
        parts.append(sock.recv(1 << 20))
        have += len(parts[-1])
    whole = b"".join(parts)
    return whole[length:], int(head.split()[1]), whole[:length]


def client(port, token, number, count, order):
    """One process: its share of the bulks, made beforehand; waits for a line on stdin, then prints its seconds."""
    bulks = []
    for first in range(number * 20, count, CLIENTS * 20):
        entities = [{"identifier": name(i, order), "title": f"Item {i}", "properties": {k: PAD for k in "abcdefgh"}, "relations": {}}
                    for i in range(first, min(count, first + 20))]
        bulks.append(request(port, token, "POST", UPSERT, {"entities": entities}))
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    print("ready", flush=True)
    sys.stdin.readline()
    rest = b""
    for bulk in bulks:
        sock.sendall(bulk)
        rest, status, body = answer(sock, rest)
        if status != 200:
            raise SystemExit(f"{status}: {body[:300]}")
    print("done", flush=True)


def call(url, method, path, body, token=None):
    headers = {"User-Agent": AGENT, "Content-Type": "application/json"}
    if token:
        headers["Authorization"] = "Bearer " + token
    with urllib.request.urlopen(urllib.request.Request(url + path, json.dumps(body).encode(), headers, method=method)) as got:
        return json.load(got)


def best(port, token, path, body, times=7):
    sock, rest, seconds = socket.create_connection(("127.0.0.1", port)), b"", []
    text = request(port, token, "POST", path, body)
    for _ in range(times):
        started = time.monotonic()
        sock.sendall(text)
        rest, status, _ = answer(sock, rest)
        seconds.append(time.monotonic() - started)
        assert status == 200
    return min(seconds)


def measure(count, order):
    with tempfile.TemporaryDirectory() as folder:
        server = Server(BUILD / "port-local", "--listen", "127.0.0.1:0", "--db", f"{folder}/catalog.db", "--durability", "normal")
        port = int(server.url.rsplit(":", 1)[1])
        token = call(server.url, "POST", "/v1/auth/access_token", {"clientId": "a", "clientSecret": "b"})["accessToken"]
        call(server.url, "POST", "/v1/blueprints", {"identifier": "item", "title": "Item", "relations": {}, "schema": {
            "properties": {k: {"type": "string"} for k in "abcdefgh"}}}, token)
        clients = [subprocess.Popen([sys.executable, __file__, "client", str(port), token, str(n), str(count), order],
                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for n in range(CLIENTS)]
        for process in clients:
            process.stdout.readline()
        started = time.monotonic()
        for process in clients:
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in clients:
            process.wait()
        seconds = time.monotonic() - started
        print(f"\nport-local, {count:,} entities of 1 KB, {order} identifiers, {CLIENTS} clients "
              f"(port-local --durability normal; {os.path.basename(__file__)})")
        print(f"  bulk upsert        {count / seconds:10,.0f} entities/s")
        step = max(1, count // 50)
        rules = [{"property": "$identifier", "operator": "in", "value": [name(i * step, order) for i in range(50)]},
                 {"property": "$blueprint", "operator": "=", "value": "item"},
                 {"property": "$datasource", "operator": "contains", "value": "port-ocean/bench/"}]
        found = best(port, token, "/v1/entities/search?include=identifier&include=properties.a", {"combinator": "and", "rules": rules})
        print(f"  50 identifiers     {found * 1000:10.2f} ms")
        listing = {"datasource_prefix": "port-ocean/bench/", "datasource_suffix": "/bench/exporter", "limit": 5000}
        page = best(port, token, "/v1/blueprints/entities/datasource-entities", listing)
        print(f"  listing of 5,000   {page * 1000:10.1f} ms")
        server.stop()


if __name__ == "__main__":
    if sys.argv[1:2] == ["client"]:
        client(int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5]), sys.argv[6])
    else:
        measure(ENTITIES, "sequential")
        measure(ENTITIES, "random")
        if os.environ.get("MILLION"):
            measure(1_000_000, "random")
