"""The catalog against Port's published OpenAPI description: requests generated from it, answers held against it.

The description is Port's and stands nowhere in this tree: OCEAN_PORT_OPENAPI names a copy (YAML or JSON; Port publishes
it as openapi.yaml on its documentation site), else build/port-openapi.yaml is taken. The generator is schemathesis, in a
virtual environment under build/ that is made when the package index answers.
"""
import json
import os
import re
import subprocess
import sys
import unittest

from lib import Case, blueprint, main

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DESCRIPTION = os.environ.get("OCEAN_PORT_OPENAPI") or os.path.join(ROOT, "build", "port-openapi.yaml")
VENV = os.path.join(ROOT, "build", "schemathesis")
TOOL = "schemathesis==4.32.5"
CHECKS = "not_a_server_error,content_type_conformance,response_schema_conformance,status_code_conformance"

# What port-local serves of the description. Organization settings cannot be changed over its API.
SERVED = {
    "/v1/blueprints/{blueprint_identifier}/entities": {"get", "post"},
    "/v1/blueprints/{blueprint_identifier}/entities/bulk": {"post"},
    "/v1/blueprints/{blueprint_identifier}/entities/{entity_identifier}": {"get", "put", "patch", "delete"},
    "/v1/blueprints/{blueprint_identifier}/entities-count": {"get"},
    "/v1/blueprints/{blueprint_identifier}/all-entities": {"delete"},
    "/v1/blueprints/{blueprint_identifier}/bulk/entities/delete": {"post"},
    "/v1/entities/search": {"post"},
    "/v1/blueprints/{blueprint_identifier}/entities/search": {"post"},
    "/v1/blueprints": {"get", "post"},
    "/v1/blueprints/{identifier}": {"get", "put", "patch", "delete"},
    "/v1/organization": {"get"},
    "/v1/integration": {"get"},
    "/v1/integration/{identifier}": {"get", "patch", "delete"},
    "/v1/integration/{identifier}/logs": {"get"},
    "/v1/integration/{identifier}/config": {"patch"},
    "/v1/migrations/{migration_id}": {"get"},
    "/v1/integration/{integrationInternalId}/syncMetrics": {"get"},
    "/v1/integration/{integrationInternalId}/syncsMetadata": {"get"},
}

# Answers that differ from the description on purpose: operation, status, first line of the message, and why.
DIFFERENCES = [
    (r".*", r"4..", r"Additional properties are not allowed \('details' was unexpected\)",
     "Port's own client libraries read `details`, which the description leaves out (port-api P-34)"),
    (r".*", r"400|422", r"Received: (400|422)",
     "a malformed request is answered by 400 or 422 everywhere (port-api P-35); the description names one or neither"),
    (r"GET /v1/(integration|organization)", r"200", r"Received: 200",
     "the description lists errors only, and no answer for success"),
    (r"POST /v1/blueprints", r"409", r"Received: 409", "an identifier that is taken is a conflict, as clients expect (port-api E-24)"),
    (r"POST /v1/entities/search", r"200", r"Additional properties are not allowed|null is not of type",
     "an entity is answered whole, with its blueprint and instants and a null title, as every client reads it (port-api E-34)"),
    (r"DELETE .*/all-entities", r"200", r".*'migrationId' was unexpected.*",
     "the answer names the migration that clients poll (port-api E-28, E-29)"),
    (r".* /v1/blueprints(/\{identifier\})?", r"200|201", r".*",
     "members of a blueprint that mean nothing here (ownership, calculations, spec authentication) are kept as they were given"
     " (port-api P-93, P-100)"),
]


def description():
    """The served part of the description as an object, or None."""
    if not os.path.exists(DESCRIPTION):
        return None
    script = ("import json, sys, yaml\n"
              "class Loader(yaml.SafeLoader): pass\n"
              "skip = ('tag:yaml.org,2002:value', 'tag:yaml.org,2002:timestamp', 'tag:yaml.org,2002:merge')\n"
              "Loader.yaml_implicit_resolvers = {k: [(t, r) for t, r in v if t not in skip]\n"
              "                                  for k, v in yaml.SafeLoader.yaml_implicit_resolvers.items()}\n"
              "json.dump(yaml.load(open(sys.argv[1], encoding='utf-8'), Loader), sys.stdout)\n")
    text = subprocess.run([VENV + "/bin/python", "-c", script, DESCRIPTION], capture_output=True, text=True, check=True).stdout
    whole = json.loads(text)
    whole["paths"] = {path: {key: value for key, value in whole["paths"][path].items() if key in methods or key == "parameters"}
                      for path, methods in SERVED.items() if path in whole["paths"]}
    return tidy(whole)


def tidy(node):
    """The description lists some required names twice, which JSON Schema forbids."""
    if isinstance(node, dict):
        node = {key: tidy(value) for key, value in node.items()}
        if isinstance(node.get("required"), list):
            node["required"] = list(dict.fromkeys(node["required"]))
        return node
    return [tidy(value) for value in node] if isinstance(node, list) else node


def tool():
    """Path of the generator, or why there is none."""
    path = os.path.join(VENV, "bin", "st")
    if os.path.exists(path):
        return path, None
    if sys.version_info < (3, 10):
        return None, "Python 3.10 is needed for schemathesis"
    try:
        subprocess.run([sys.executable, "-m", "venv", VENV], capture_output=True, check=True, timeout=60)
        subprocess.run([VENV + "/bin/pip", "install", "-q", "--retries", "0", "--timeout", "10", TOOL], capture_output=True,
                       check=True, timeout=300)
    except (OSError, subprocess.SubprocessError):
        return None, f"{TOOL} cannot be installed: no venv module, or no package index"
    return path, None


def is_listed(operation, status, message):
    return any(re.fullmatch(o, operation) and re.fullmatch(s, status) and re.match(m, message)
               for o, s, m, _ in DIFFERENCES)


class Described(Case):
    def test_conformance(self):
        """Answers to generated requests fit Port's published description, but for the differences listed here"""
        if not os.path.exists(DESCRIPTION):
            self.skipTest("Port's OpenAPI description is not there: name a copy in OCEAN_PORT_OPENAPI")
        program, why = tool()
        if not program:
            self.skipTest(why)
        port = self.port_local()
        self.fill(port)
        report = self.generate(program, port)
        wrong = [failure for failure in report if not is_listed(*failure)]
        self.assertEqual(sorted({f"{o} {s}: {m}" for o, s, m in wrong}), [])

    def fill(self, port):
        port.create_blueprints(blueprint("thing", {"size": {"type": "number"}},
                                         {"parent": {"target": "thing", "many": False, "required": False}}))
        port.put("thing", [{"identifier": f"t{i}", "title": f"Thing {i}", "properties": {"size": i}} for i in range(30)])
        port.call("POST", "/integration", {"installationId": "my-jira", "installationAppType": "jira", "version": "1",
                                           "changelogDestination": {}, "config": {"resources": []}})

    def generate(self, program, port):
        """(operation, status, first line of what is wrong) of every failed check."""
        folder = os.path.join(self.folder, "described")
        os.makedirs(folder)
        with open(os.path.join(folder, "openapi.json"), "w", encoding="utf-8") as file:
            json.dump(description(), file)
        with open(os.path.join(folder, "schemathesis.toml"), "w", encoding="utf-8") as file:
            file.write('[parameters]\n"path.blueprint_identifier" = ["thing", "absent"]\n"path.entity_identifier" = ["t1", "absent"]\n'
                       '"path.integrationInternalId" = ["my-jira", "absent"]\n')
        token = port.call("POST", "/auth/access_token", {"clientId": "test", "clientSecret": "test"})["accessToken"]
        run = subprocess.run([program, "run", "openapi.json", "--url", port.url, "-H", f"Authorization: Bearer {token}",
                              "--checks", CHECKS, "--phases", "coverage,fuzzing", "--max-examples", "20", "--continue-on-failure",
                              "--seed", "1", "--no-color", "--report", "ndjson", "--report-dir", folder], cwd=folder,
                             capture_output=True, text=True, timeout=600)
        reports = [name for name in os.listdir(folder) if name.endswith(".ndjson")]
        self.assertTrue(reports, run.stdout[-3000:] + run.stderr[-3000:])
        with open(os.path.join(folder, reports[0]), encoding="utf-8") as file:
            events = [json.loads(line) for line in file]
        self.assertFalse([event for event in events if "FatalError" in event or "NonFatalError" in event], run.stdout[-3000:])
        return [failure for event in events if "ScenarioFinished" in event
                for failure in self.failures(event["ScenarioFinished"]["recorder"])]

    def failures(self, recorder):
        for case, checks in recorder["checks"].items():
            answer = recorder["interactions"].get(case, {}).get("response") or {}
            for check in checks:
                if check["status"] == "failure":
                    message = check["failure_info"]["failure"]["message"].splitlines()[0]
                    yield recorder["label"], str(answer.get("status_code")), message


if __name__ == "__main__":
    main()
