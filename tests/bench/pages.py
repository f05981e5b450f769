#!/usr/bin/env python3
"""How long the catalog's pages take: 100,000 entities of 1 KB, with MILLION=1 also 1,000,000. Goals: 100 ms and 200 ms."""
import json
import os
import random
import tempfile
import time
import urllib.request

from run import BUILD, Server

BLUEPRINT = {"identifier": "item", "title": "Item", "schema": {"properties": {
    "name": {"type": "string"}, "size": {"type": "number"}, "url": {"type": "string", "format": "url"},
    "at": {"type": "string", "format": "date-time"}, "text": {"type": "string"}, "tags": {"type": "array"}}},
    "relations": {"parent": {"target": "item", "many": False, "required": False}}}
TEXT = "lorem ipsum " * 55


def seed(url, count):
    rnd = random.Random(1)

    def post(body):
        request = urllib.request.Request(url + "/_local/seed", data=json.dumps(body).encode(), method="POST")
        urllib.request.urlopen(request).read()

    def item(i):
        return {"identifier": f"i{i:07}-{rnd.getrandbits(32):08x}", "blueprint": "item", "title": f"Title {rnd.getrandbits(24):06x}",
                "properties": {"name": f"n{i}", "size": rnd.randrange(1_000_000), "url": f"https://example.com/{i}",
                               "at": "2026-01-01T00:00:00Z", "text": TEXT, "tags": ["a", "b"]},
                "relations": {"parent": None}}

    post({"blueprints": [BLUEPRINT], "entities": []})
    for first in range(0, count, 10_000):
        post({"validate": False, "entities": [item(i) for i in range(first, min(count, first + 10_000))]})


def pages(count):
    middle = f"i{count // 2:07}"
    found = ["/", "/blueprints", "/blueprints/item", "/blueprints/item/entities", f"/blueprints/item/entities?from={middle}",
             f"/blueprints/item/entities?q={middle[:-1]}", "/blueprints/item/entities?q=title+ab",
             "/blueprints/item/entities?q=nowhere&in=anywhere", "/integrations", "/journal", "/playground"]
    if count <= 100_000:
        found += ["/blueprints/item/entities?sort=size&desc=1", "/blueprints/item/entities?sort=%24updatedAt"]
    return found


def measure(count):
    with tempfile.TemporaryDirectory() as folder:
        port = Server(BUILD / "port-local", "--listen", "127.0.0.1:0", "--db", f"{folder}/catalog.db")
        try:
            seed(port.url, count)
            print(f"\npages at {count:,} entities, best of 5 (curl http://127.0.0.1:PORT/PATH on port-local)")
            for path in pages(count):
                best, size = 1e9, 0
                for _ in range(5):
                    started = time.monotonic()
                    with urllib.request.urlopen(port.url + path) as answer:
                        size = len(answer.read())
                    best = min(best, time.monotonic() - started)
                print(f"  {best * 1000:8.1f} ms {size / 1000:7.1f} kB  {path}")
        finally:
            port.stop()


if __name__ == "__main__":
    measure(100_000)
    if os.environ.get("MILLION"):
        measure(1_000_000)
