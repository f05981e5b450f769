#!/usr/bin/env python3
"""Entities per second of the original's mapping engine, for tests/bench/mapping.c: original.py RESOURCE ITEMS

RESOURCE is a resource of a mapping document, ITEMS an array of raw items, both JSON files. What runs is the engine that
the original's worker processes use, on one core, JSON text to entities. Needs a Python that can import port_ocean.
"""
import json
import sys
import time
from types import SimpleNamespace

from loguru import logger
from port_ocean.core.handlers.entity_processor import jq_entity_processor_sync as engine

SECONDS = 2.0


def main():
    logger.remove()
    engine.ocean = SimpleNamespace(config=SimpleNamespace(allow_environment_variables_jq_access=True))
    with open(sys.argv[1], encoding="utf-8") as f:
        resource = json.load(f)
    with open(sys.argv[2], encoding="utf-8") as f:
        text = f.read()
    mappings, query = resource["port"]["entity"]["mappings"], resource["selector"]["query"]
    map_item = engine.JQEntityProcessorSync._get_mapped_entity
    map_item(json.loads(text)[0], mappings, query)  # compiles
    items, start = 0, time.process_time()
    while time.process_time() - start < SECONDS:
        for item in json.loads(text):
            if not map_item(item, mappings, query).entity.get("identifier"):
                sys.exit("an item was not mapped")
            items += 1
    print(items / (time.process_time() - start))


if __name__ == "__main__":
    main()
