"""The request-and-response table of Port's API (port-api section 20), row by row, over real HTTP against port-local.

The name of a case says the row. Rows about a client's behaviour (T-46 to T-50, T-57) run ocean-run; T-53 and T-54 are what
test_original.py does with the original framework.
"""
import base64
import http.client
import json
import os
import time
import urllib.parse

from lib import Case, PortLocal, list_handler, main, resource

A = "port-ocean/acme-ci/1.4.2/acme-prod/exporter"
B = "port-ocean/acme-ci/2.0.0/acme-dev/exporter"
UP = "?upsert=true&merge=true&create_missing_related_entities=true"
UP0 = "?upsert=true&merge=true&create_missing_related_entities=false"


def relation(target, many=False, required=False):
    return {"target": target, "many": many, "required": required}


CREW = {"identifier": "crew", "title": "Crew", "relations": {}, "schema": {"required": [], "properties": {
    "mail": {"type": "string", "format": "email"}, "size": {"type": "number", "default": 1}}}}
DOCK = {"identifier": "dock", "title": "Dock", "relations": {"owner": relation("crew"), "uses": relation("dock", many=True)},
        "schema": {"required": ["lang"], "properties": {
            "lang": {"type": "string", "enum": ["c", "lua"]}, "stars": {"type": "number", "minimum": 0},
            "live": {"type": "boolean"}, "home": {"type": "string", "format": "url"},
            "seen": {"type": "string", "format": "date-time"},
            "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 3}, "meta": {"type": "object"}}}}
BERTH = {"identifier": "berth", "title": "Berth", "schema": {"properties": {}, "required": []},
         "relations": {"dock": relation("dock", required=True)}}
INTEGRATION = {"installationId": "acme-prod", "installationAppType": "acme-ci", "version": "1.4.2", "changelogDestination": {},
               "config": {"resources": []}, "createPortResourcesOrigin": "Default"}


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body
        self.json = json.loads(body) if body and body[:1] in "{[" else None

    def __getitem__(self, key):
        return self.json[key]


class Client:
    """One keep-alive connection with a token of client acme."""

    def __init__(self, port):
        parts = urllib.parse.urlsplit(port.url)
        self.http = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
        self.token = None

    def send(self, method, path, body=None, agent=A, token=True, **headers):
        if token and self.token is None:
            self.login()
        text = body if isinstance(body, (str, bytes)) else None if body is None else json.dumps(body)
        headers = {"User-Agent": agent, "Content-Type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
        if token:
            headers["Authorization"] = f"Bearer {self.token if token is True else token}"
        self.http.request(method, path, text, headers)
        answer = self.http.getresponse()
        return Answer(answer.status, answer.headers, answer.read().decode())

    def login(self, secret="s3"):
        answer = self.send("POST", "/v1/auth/access_token", {"clientId": "acme", "clientSecret": secret}, token=False)
        self.token = answer.json.get("accessToken")
        return answer


class Rows(Case):
    def start(self, *args, blueprints=True, integration=False, **kw):
        self.port = self.port_local(*args, **kw)
        self.api = Client(self.port)
        for blueprint in (CREW, DOCK, BERTH) if blueprints else ():
            self.expect(201, "POST", "/v1/blueprints", blueprint)
        if integration:
            self.created = self.expect(201, "POST", "/v1/integration", INTEGRATION)

    def expect(self, status, method, path, body=None, error=None, **kw):
        answer = self.api.send(method, path, body, **kw)
        self.assertEqual(answer.status, status, f"{method} {path}: {answer.body[:500]}")
        if answer.json is not None and isinstance(answer.json, dict) and status != 207:
            self.assertEqual(answer["ok"], status < 300, answer.body)
        if status >= 400:
            self.assertIsInstance(answer["error"], str)
            self.assertIsInstance(answer["message"], str)
        if error:
            self.assertEqual(answer["error"], error, answer.body)
        return answer

    def put(self, blueprint, entity, status=201, query=UP, **kw):
        return self.expect(status, "POST", f"/v1/blueprints/{blueprint}/entities{query}", entity, **kw)

    def bulk(self, blueprint, entities, status=200, query=UP, **kw):
        return self.expect(status, "POST", f"/v1/blueprints/{blueprint}/entities/bulk{query}", {"entities": entities}, **kw)

    def entity(self, blueprint, identifier, status=200):
        answer = self.expect(status, "GET", f"/v1/blueprints/{blueprint}/entities/{urllib.parse.quote(identifier, safe='')}")
        return answer["entity"] if status == 200 else answer

    def docks(self, n, first=1, **kw):
        self.bulk("dock", [{"identifier": f"d{i}", "title": f"Dock {i}", "properties": {"lang": "c"}} for i in range(first, first + n)],
                  **kw)

    def search(self, query, params="", status=200):
        return self.expect(status, "POST", f"/v1/entities/search{params}", query)

    def request_at(self):
        return self.expect(200, "GET", "/v1/integration/acme-prod/resync-request")["request"]


class Tokens(Rows):
    def test_t1_t2_token(self):
        """T-1, T-2 a token of three parts; the same one again"""
        self.start(blueprints=False)
        first = self.api.login()
        self.assertEqual((first.status, first["tokenType"], first["expiresIn"]), (200, "Bearer", 10800))
        head, claims, sign = first["accessToken"].split(".")
        self.assertTrue(head and sign)
        self.assertIs(json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["isMachine"], True)
        second = self.api.login()
        self.assertEqual(second["accessToken"], first["accessToken"])
        self.assertLessEqual(second["expiresIn"], 10800)

    def test_t3_wrong_secret(self):
        """T-3 with fixed clients a wrong secret is refused"""
        self.start("--auth", "fixed", "--client", "acme:s3", blueprints=False)
        answer = self.api.login("wrong")
        self.assertEqual((answer.status, answer["ok"], answer["error"]), (401, False, "invalid_credentials"))
        self.assertEqual(self.api.login().status, 200)

    def test_t4_no_token(self):
        """T-4 no token: 401 as JSON"""
        self.start()
        answer = self.expect(401, "GET", "/v1/blueprints/dock", token=False, error="unauthorized")
        self.assertIn("application/json", answer.headers["Content-Type"])

    def test_t5_revoked(self):
        """T-5 revoked tokens: 401, then another token"""
        self.start(blueprints=False)
        self.api.login()
        old = self.api.token
        self.port.local("POST", "/tokens/revoke", {})
        self.expect(401, "GET", "/v1/organization")
        self.assertEqual(self.api.login().status, 200)
        self.assertNotEqual(self.api.token, old)
        self.assertEqual(self.expect(200, "GET", "/v1/organization")["organization"]["featureFlags"], [])


class Integrations(Rows):
    def test_t6_absent(self):
        """T-6 an absent integration"""
        self.start(blueprints=False)
        answer = self.expect(404, "GET", "/v1/integration/acme-prod?oceanCoreVersion=0.55.4&isPolling=false", error="not_found")
        self.assertNotIn("integration", answer.json)

    def test_t7_create(self):
        """T-7 creation: ingest URLs at the request's host, a resync request"""
        self.start(blueprints=False, integration=True)
        made = self.created["integration"]
        self.assertEqual(made["changelogDestination"], {})
        for name in ("logAttributes", "metricAttributes", "ingestAttributes"):
            self.assertTrue(made[name]["ingestUrl"].startswith(self.port.url + "/"), made[name])
        self.assertTrue(self.request_at()["updatedAt"])

    def test_t8_incomplete(self):
        """T-8 a creation without a type"""
        self.start(blueprints=False, integration=True)
        answer = self.expect(422, "POST", "/v1/integration", {"installationId": "x"}, error="invalid_request")
        self.assertIn("installationAppType", answer["message"])

    def test_t9_resync_state(self):
        """T-9 the resync state merges, and creates no resync request"""
        self.start(blueprints=False, integration=True)
        before = self.request_at()
        path = "/v1/integration/acme-prod/resync-state"
        self.expect(200, "PATCH", path, {"status": "running", "lastResyncStart": "2025-03-01T08:00:00+00:00", "lastResyncEnd": None,
                                         "nextResync": None, "intervalInMinuets": None})
        made = self.expect(200, "PATCH", path, {"status": "completed", "lastResyncEnd": "2025-03-01T08:05:00+00:00"})["integration"]
        self.assertEqual(made["resyncState"]["lastResyncStart"], "2025-03-01T08:00:00+00:00")
        self.assertEqual(made["resyncState"]["status"], "completed")
        self.assertEqual(made["resyncState"]["updatedAt"], made["updatedAt"])
        self.assertEqual(self.request_at(), before)

    def test_t10_patch(self):
        """T-10 a patch asks for a resync, unless told not to"""
        self.start(blueprints=False, integration=True)
        before = self.request_at()
        self.expect(200, "PATCH", "/v1/integration/acme-prod", {})
        after = self.request_at()
        self.assertGreater(after["updatedAt"], before["updatedAt"])
        self.expect(200, "PATCH", "/v1/integration/acme-prod/config", {"config": {}}, x_skip_resync="true")
        self.assertEqual(self.request_at(), after)

    def test_t11_cursor(self):
        """T-11 a cursor: null, 404 to replace it, created, read"""
        self.start(blueprints=False, integration=True)
        path, body = "/v1/integration/acme-prod/cursor?kind=repo&index=0", {"primary": "2025-03-01T00:00:00+00:00"}
        self.assertIsNone(self.expect(200, "GET", path)["cursor"])
        self.expect(404, "PUT", path, body)
        self.assertIn(self.api.send("POST", path, body).status, (200, 201))
        self.assertEqual(self.expect(200, "GET", path)["cursor"]["primary"], body["primary"])

    def test_t12_examples(self):
        """T-12 a kind with a slash and a plus in its path"""
        self.start(blueprints=False, integration=True)
        self.expect(200, "POST", "/v1/integration/acme-prod/kinds/pull%2Frequest+open/examples", {"examples": [{"a": 1}]})
        self.assertEqual(list(self.expect(200, "GET", "/v1/integration/acme-prod/kinds")["data"]), ["pull/request open"])

    def test_t13_provision(self):
        """T-13 provision-enabled is no integration"""
        self.start(blueprints=False)
        self.assertEqual(self.expect(200, "GET", "/v1/integration/provision-enabled").json, {"ok": True, "integrations": []})

    def test_t44_metrics(self):
        """T-44 metrics, heartbeat and logs at the addresses that were named"""
        self.start(blueprints=False, integration=True)
        made = self.created["integration"]
        metric, log = (urllib.parse.urlsplit(made[name]["ingestUrl"]).path for name in ("metricAttributes", "logAttributes"))
        self.expect(200, "PUT", f"{metric}/syncMetrics/resync/ev%2F1/kind/my+kind-0", {"syncKindMetrics": {
            "eventId": "ev/1", "kindIdentifier": "my kind-0", "syncState": "syncing", "metrics": {}}})
        self.expect(200, "POST", f"{metric}/heartbeat", {"eventId": "ev/1"})
        self.expect(200, "POST", log, {"logs": []})
        rows = self.expect(200, "GET", f"{metric}/syncMetrics?resyncId=ev%2F1")
        self.assertEqual([row["kindIdentifier"] for row in rows["data"]], ["my kind-0"])

    def test_t56_oauth(self):
        """T-56 an unknown field of the integration is echoed, and asks for a resync"""
        self.start(blueprints=False, integration=True)
        before = self.request_at()
        url = "https://x.example/v1/oauth-broker/authorize"
        self.expect(200, "PATCH", "/v1/integration/acme-prod", {"oauthBrokerUrl": url, "version": "1.4.2"})
        self.assertEqual(self.expect(200, "GET", "/v1/integration/acme-prod")["integration"]["oauthBrokerUrl"], url)
        self.assertGreater(self.request_at()["updatedAt"], before["updatedAt"])

    def test_t59_blocked(self):
        """T-59 a blocked organization is told, and served"""
        self.start()
        self.port.local("POST", "/organization", {"isBlocked": True})
        self.assertIs(self.expect(200, "GET", "/v1/organization")["organization"]["isBlocked"], True)
        self.docks(1)


class Blueprints(Rows):
    def test_t14_unknown_target(self):
        """T-14 a relation to nothing"""
        self.start(blueprints=False)
        answer = self.expect(404, "POST", "/v1/blueprints", {"identifier": "p", "title": "P", "schema": {"properties": {}},
                                                             "relations": {"q": {"target": "nope"}}}, error="not_found")
        self.assertIn("nope", answer["message"])

    def test_t15_defaults(self):
        """T-15 what a definition leaves out is filled in"""
        self.start()
        self.expect(201, "POST", "/v1/blueprints", {"identifier": "p", "title": "P", "schema": {"properties": {}},
                                                    "relations": {"q": {"target": "crew", "title": "O"}}})
        made = self.expect(200, "GET", "/v1/blueprints/p")["blueprint"]
        self.assertEqual((made["relations"]["q"]["required"], made["relations"]["q"]["many"]), (False, False))
        self.assertEqual(made["schema"]["required"], [])

    def test_t16_taken(self):
        """T-16 an identifier that is taken"""
        self.start()
        self.expect(409, "POST", "/v1/blueprints", CREW, error="identifier_taken")

    def test_t17_unknown_type(self):
        """T-17 an unknown type is let through, but not by a strict server"""
        body = {"identifier": "p", "title": "P", "schema": {"properties": {"e": {"type": "enum", "enum": ["a"]}}}, "relations": {}}
        self.start()
        self.expect(201, "POST", "/v1/blueprints", body)
        self.start("--strict")
        self.expect(422, "POST", "/v1/blueprints", body)

    def test_t18_has_entities(self):
        """T-18 a blueprint with entities stays"""
        self.start()
        self.docks(1)
        self.expect(422, "DELETE", "/v1/blueprints/dock", error="has_dependents")
        self.expect(200, "GET", "/v1/blueprints/dock")

    def test_t43_all_entities(self):
        """T-43 all entities and the blueprint: a migration, and relations to it go too"""
        self.start()
        self.docks(3)
        answer = self.expect(200, "DELETE", "/v1/blueprints/dock/all-entities?delete_blueprint=true")
        migration = self.expect(200, "GET", f"/v1/migrations/{answer['migrationId']}")["migration"]
        self.assertEqual(migration["status"], "COMPLETED")
        self.assertLessEqual({"id", "actor", "sourceBlueprint", "mapping"}, set(migration))
        self.expect(404, "GET", "/v1/blueprints/dock")
        self.assertEqual(self.expect(200, "GET", "/v1/blueprints/berth")["blueprint"]["relations"], {})


FULL = {"identifier": "d1", "title": None, "icon": None, "blueprint": "zzz", "relations": {"owner": "red"}}
FULL_TEXT = json.dumps(FULL)[:-1] + ', "properties": {"lang": "c", "stars": 1.0, "seen": "2025-01-02T03:04:05+02:00", "tags": ["b", "a"]}}'


class Entities(Rows):
    def setUp(self):
        super().setUp()
        self.start()

    def test_t19_create(self):
        """T-19 values come back as they were given; the missing target exists"""
        self.put("dock", FULL_TEXT)
        answer = self.api.send("GET", "/v1/blueprints/dock/entities/d1")
        made = answer["entity"]
        self.assertEqual((made["blueprint"], made["title"], made["properties"]["seen"], made["properties"]["tags"]),
                         ("dock", None, "2025-01-02T03:04:05+02:00", ["b", "a"]))
        self.assertRegex(answer.body, r'"stars": ?1\.0[,}]')
        self.assertEqual(self.entity("crew", "red")["properties"]["size"], 1)

    def test_t20_missing_target(self):
        """T-20 a missing target that must not be made"""
        self.put("dock", FULL_TEXT)
        before = self.entity("dock", "d1")
        self.put("dock", {**FULL, "properties": {"lang": "lua"}, "relations": {"owner": "ghost"}}, 404, UP0, error="not_found")
        self.assertEqual(self.entity("dock", "d1"), before)
        self.entity("crew", "ghost", 404)

    def test_t21_taken(self):
        """T-21 no upsert: the identifier is taken"""
        self.put("dock", FULL_TEXT)
        self.put("dock", {"identifier": "d1", "properties": {"lang": "c"}}, 409, "", error="identifier_taken")

    def test_t22_merge(self):
        """T-22 a merge changes what is named"""
        self.put("dock", FULL_TEXT)
        before = self.entity("dock", "d1")
        time.sleep(0.005)  # instants have milliseconds
        self.put("dock", {"identifier": "d1", "properties": {"stars": None}}, 200)
        after = self.entity("dock", "d1")
        self.assertEqual((after["properties"]["stars"], after["properties"]["lang"], after["relations"]["owner"]), (None, "c", "red"))
        self.assertEqual(after["createdAt"], before["createdAt"])
        self.assertGreater(after["updatedAt"], before["updatedAt"])

    def test_t23_replace(self):
        """T-23 without merge the rest goes"""
        self.put("dock", FULL_TEXT)
        self.put("dock", {"identifier": "d1", "properties": {"lang": "lua"}}, 200, "?upsert=true")
        after = self.entity("dock", "d1")
        self.assertEqual({k: v for k, v in after["properties"].items() if v is not None}, {"lang": "lua"})
        self.assertEqual(({k: v for k, v in after["relations"].items() if v}, after["team"]), ({}, []))

    def test_t24_required(self):
        """T-24 a required property is missing"""
        self.put("dock", {"identifier": "d2", "properties": {"stars": 3}}, 422)
        self.entity("dock", "d2", 404)

    def test_t25_members(self):
        """T-25 each member of a bulk by itself"""
        lang = {"lang": "c"}
        wrong = [{}, {"lang": "go"}, {"stars": -1}, {"stars": "5"}, {"home": "no url"}, {"seen": "2025-01-02"}, {"tags": list("abcd")}, {}]
        entities = [{"identifier": f"v{i}" if i < 7 else "has space", "properties": lang | p} for i, p in enumerate(wrong)]
        answer = self.bulk("dock", entities, 207)
        self.assertIs(answer["ok"], False)
        self.assertEqual([(e["index"], e["created"]) for e in answer["entities"]], [(0, True)])
        self.assertEqual([(e["index"], e["statusCode"], e["error"]) for e in answer["errors"]],
                         [(i, 422, "invalid_request") for i in range(1, 8)])

    def test_t26_unknown_property(self):
        """T-26 an unknown property is dropped, or kept where asked for"""
        entity = {"identifier": "d1", "properties": {"lang": "c", "colour": "blue"}}
        self.bulk("dock", [entity])
        self.assertNotIn("colour", self.entity("dock", "d1")["properties"])
        self.start("--unknown-properties", "keep")
        self.bulk("dock", [entity])
        self.assertEqual(self.entity("dock", "d1")["properties"]["colour"], "blue")

    def test_t27_sizes(self):
        """T-27 too many, none, no blueprint"""
        self.bulk("dock", [{"identifier": f"d{i}", "properties": {"lang": "c"}} for i in range(21)], 422)
        self.bulk("dock", [], 422)
        self.bulk("nope", [{"identifier": "d1"}], 404, error="not_found")

    def test_t28_order(self):
        """T-28 members see those before them"""
        a = {"identifier": "a", "properties": {"lang": "c"}, "relations": {"uses": ["b"]}}
        b = {"identifier": "b", "properties": {"lang": "c"}}
        answer = self.bulk("dock", [a, b], 207, UP0)
        self.assertEqual([(e["index"], e["statusCode"], e["error"]) for e in answer["errors"]], [(0, 404, "not_found")])
        self.assertEqual([(e["index"], e["created"]) for e in answer["entities"]], [(1, True)])
        self.start()
        self.bulk("dock", [b, a], 200, UP0)

    def test_t29_twice(self):
        """T-29 the same identifier twice: the last stays"""
        answer = self.bulk("dock", [{"identifier": "k", "properties": {"lang": "c", "stars": n}} for n in (1, 2)])
        self.assertEqual([e["created"] for e in answer["entities"]], [True, False])
        self.assertEqual(self.entity("dock", "k")["properties"]["stars"], 2)

    def test_t30_too_large(self):
        """T-30 one byte too many: 413 as JSON, and the connection lives"""
        head, tail = '{"entities":[{"identifier":"k","properties":{"lang":"c"},"title":"', '"}]}'
        body = head + "x" * (1_048_577 - len(head) - len(tail)) + tail
        self.expect(413, "POST", "/v1/blueprints/dock/entities/bulk" + UP, body)
        self.entity("dock", "k", 404)

    def test_t31_relation_query(self):
        """T-31 a relation found by a query"""
        self.put("crew", {"identifier": "red", "properties": {"mail": "r@x.io"}})
        for value, owner, status in (("r@x.io", "red", 201), ("none@x.io", None, 200)):
            query = {"combinator": "and", "rules": [{"property": "mail", "operator": "=", "value": value}]}
            self.put("dock", {"identifier": "d5", "properties": {"lang": "c"}, "relations": {"owner": query}}, status)
            self.assertEqual(self.entity("dock", "d5")["relations"]["owner"], owner)

    def test_t32_identifier_query(self):
        """T-32 an identifier that is a query with two matches, or none"""
        for name in "ab":
            self.put("dock", {"identifier": name, "properties": {"lang": "c", "stars": 4}})
        query = [{"combinator": "and", "rules": [{"property": "stars", "operator": "=", "value": n}]} for n in (4, 99)]
        answer = self.bulk("dock", [{"identifier": q, "properties": {"lang": "c"}} for q in query], 207)
        self.assertEqual([(e["identifier"], e["statusCode"]) for e in answer["errors"]], [("unknown", 422), ("unknown", 404)])
        self.assertEqual(self.expect(200, "GET", "/v1/blueprints/dock/entities-count")["count"], 2)

    def test_t33_validation_only(self):
        """T-33 only validated"""
        answer = self.api.send("POST", f"/v1/blueprints/dock/entities{UP}&validation_only=true",
                               {"identifier": "d1", "properties": {"lang": "c"}})
        self.assertEqual((answer.status, answer["entity"]["identifier"]), (200, "d1"))
        self.entity("dock", "d1", 404)

    def test_t34_no_properties(self):
        """T-34 no properties at all: required ones are missing, defaults come"""
        self.put("dock", {"identifier": "d6", "relations": {"owner": "red"}}, 422)
        made = self.put("crew", {"identifier": "c9"})["entity"]
        self.assertEqual(made["properties"]["size"], 1)

    def test_t35_dependents(self):
        """T-35 deletion with what depends on it"""
        self.docks(1)
        self.put("berth", {"identifier": "b1", "relations": {"dock": "d1"}})
        self.put("dock", {"identifier": "d2", "properties": {"lang": "c"}, "relations": {"uses": ["d1"]}})
        before = self.entity("dock", "d2")
        path, body = "/v1/blueprints/dock/bulk/entities/delete?delete_dependents=", {"entities": ["d1", "zz"]}
        self.expect(422, "POST", path + "false", body, error="has_dependents")
        self.entity("berth", "b1")
        self.entity("dock", "d1")
        self.assertEqual(self.expect(200, "POST", path + "true", body)["deletedEntities"], ["d1"])
        self.entity("berth", "b1", 404)
        after = self.entity("dock", "d2")
        self.assertEqual((after["relations"]["uses"], after["updatedAt"]), ([], before["updatedAt"]))

    def test_t36_path(self):
        """T-36 an identifier with a slash and a plus in its path"""
        self.put("crew", {"identifier": "a/b+c"})
        path = "/v1/blueprints/crew/entities/a%2Fb%2Bc?delete_dependents=true"
        self.assertEqual(self.expect(200, "DELETE", path).json, {"ok": True})
        self.expect(404, "DELETE", path, error="not_found")


class Reading(Rows):
    def setUp(self):
        super().setUp()
        self.start()

    def test_t37_projection(self):
        """T-37 identifier, blueprint and datasource; exactly the parts that were asked for"""
        self.docks(12, agent=A)
        self.bulk("dock", [{"identifier": f"n{i}", "properties": {"lang": "c"}} for i in range(1, 4)], agent=B)
        rules = [{"property": "$identifier", "operator": "in", "value": ["d1", "d2", "n1"]},
                 {"property": "$blueprint", "operator": "=", "value": "dock"},
                 {"property": "$datasource", "operator": "contains", "value": "port-ocean/acme-ci/"},
                 {"property": "$datasource", "operator": "contains", "value": "/acme-prod/exporter"}]
        found = self.search({"combinator": "and", "rules": rules},
                            "?include=blueprint&include=identifier&include=properties.stars&include=relations.owner")["entities"]
        self.assertEqual([e["identifier"] for e in found], ["d1", "d2"])
        for entity in found:
            self.assertEqual(set(entity), {"blueprint", "identifier", "properties", "relations"})
            self.assertEqual((entity["properties"], entity["relations"]), ({"stars": None}, {"owner": None}))

    def test_t38_empty_or(self):
        """T-38 an empty or holds for nothing"""
        self.docks(3)
        rules = [{"combinator": "or", "rules": []}, {"property": "$datasource", "operator": "contains", "value": "/acme-prod/exporter"}]
        self.assertEqual(self.search({"combinator": "and", "rules": rules})["entities"], [])

    def test_t39_shapes(self):
        """T-39 an empty and holds for everything; unknown operator, no combinator"""
        self.docks(3)
        self.put("crew", {"identifier": "red"})
        self.assertEqual(len(self.search({"combinator": "and", "rules": []})["entities"]), 4)
        self.search({"combinator": "and", "rules": [{"property": "$title", "operator": "~=", "value": "x"}]}, status=422)
        self.search({"rules": []}, status=422)

    def owned(self, agent=A, **more):
        kind, name = agent.split("/")[1], agent.split("/")[3]
        body = {"datasource_prefix": f"port-ocean/{kind}/", "datasource_suffix": f"/{name}/exporter", **more}
        return self.expect(200, "POST", "/v1/blueprints/entities/datasource-entities", body)

    def test_t40_datasource_pages(self):
        """T-40 pages of what an integration owns, before an instant, with a deletion in between"""
        for i in range(1, 8):
            self.put("crew", {"identifier": f"e{i}"})
        time.sleep(0.005)
        self.put("crew", {"identifier": "e8"})
        t2 = self.entity("crew", "e8")["updatedAt"]
        seen, sizes, following = [], [], None
        while True:
            page = self.owned(limit=3, before=t2, **({"from": following} if following else {}))
            seen += [e["identifier"] for e in page["entities"]]
            sizes.append(len(page["entities"]))
            following = page["next"]
            if len(sizes) == 1:
                self.expect(200, "DELETE", "/v1/blueprints/crew/entities/e2?delete_dependents=true")
            if not following:
                break
        self.assertIsNone(following)
        self.assertEqual(seen, [f"e{i}" for i in range(1, 8)])
        self.assertEqual(sizes, [3, 3, 1])

    def test_t41_last_writer(self):
        """T-41 the last writer owns it"""
        self.put("crew", {"identifier": "e1"}, agent=A)
        self.put("crew", {"identifier": "e1", "properties": {"size": 2}}, 200, agent=B)
        self.assertEqual([e["identifier"] for e in self.owned(A)["entities"]], [])
        self.assertEqual([e["identifier"] for e in self.owned(B)["entities"]], ["e1"])

    def test_t42_version(self):
        """T-42 another version is the same owner"""
        self.put("crew", {"identifier": "e1"}, agent="port-ocean/acme-ci/9.9.9/acme-prod/exporter")
        self.assertEqual([e["identifier"] for e in self.owned(A)["entities"]], ["e1"])


class Faults(Rows):
    """What the client does about them, on the wire."""

    def setUp(self):
        super().setUp()
        self.start(blueprints=False)

    def resync(self, n, **kw):
        items = [{"id": f"A-{i}", "name": f"Item {i}", "u": "https://x.example"} for i in range(1, n + 1)]
        return self.ocean(self.integration(list_handler("issue", items), **kw), self.port)

    def test_t46_rate_limit(self):
        """T-46 429 with Retry-After: the second send comes not before, one bulk is committed"""
        self.port.fault({"route": "E-31"}, {"type": "rateLimit", "retryAfter": 2, "headers": "retryAfter"}, count=1)
        self.assertClean(self.resync(3))
        first, second = self.port.journal("E-31")
        self.assertEqual((first["status"], second["status"], first["committed"], second["committed"]), (429, 200, False, True))
        self.assertGreaterEqual(self.seconds(second["at"]) - self.seconds(first["at"]), 1.9)

    def seconds(self, instant):
        import datetime
        return datetime.datetime.fromisoformat(instant.replace("Z", "+00:00")).timestamp()

    def test_t47_expired(self):
        """T-47 an expired token: one new token, then the same bulk"""
        self.port.fault({"route": "E-31"}, {"type": "expireTokens"}, count=1)
        before = self.port.count("E-1")
        self.assertClean(self.resync(3))
        self.assertEqual([e["status"] for e in self.port.journal("E-31")], [401, 200])
        self.assertEqual(self.port.count("E-1") - before, 2)

    def test_t48_lost_answer(self):
        """T-48 a lost answer: the repeat creates nothing"""
        self.port.fault({"route": "E-31"}, {"type": "commitThenFail", "with": "reset"}, count=1)
        self.assertClean(self.resync(3))
        first, second = self.port.journal("E-31")
        self.assertIs(first["committed"], True)
        self.assertEqual((first["effects"]["created"], second["effects"]["created"]), (3, 0))
        self.assertEqual(len(self.port.entities("issue")), 3)

    def test_t49_internal_error(self):
        """T-49 a 500 is not repeated"""
        self.port.fault({"route": "E-31"}, {"type": "status", "status": 500}, count=1)
        result = self.resync(3)
        self.assertExit(result, 4)
        self.assertEqual(self.port.count("E-31"), 1)
        self.assertEqual(result.resource("issue")["rejected"], 3)

    def test_t50_partial(self):
        """T-50 entities whose target was missing come again one by one, and the catalog is complete"""
        self.port.fault({"route": "E-31"}, {"type": "bulkPartial", "failEvery": 2, "statusCode": 404, "error": "not_found",
                                            "message": "missing target"}, count=1)
        result = self.resync(6, mapping={"createMissingRelatedEntities": False, "resources": [resource()]})
        self.assertClean(result)
        self.assertEqual(self.port.count("E-30"), 3)
        self.assertEqual(len(self.port.entities("issue")), 6)

    def test_t57_in_progress(self):
        """T-57 a patch without a spec, which is all ocean-run sends, is not repeated when the integration is in progress"""
        mine = self.integration(list_handler("issue", []))
        self.assertClean(self.ocean(mine, self.port))
        self.port.fault({"route": "E-7"}, {"type": "status", "status": 400, "error": "integration_is_in_progress"}, count=2)
        mine.write(".port/spec.yaml", "type: jira\nversion: 1.5.0\n")
        mark = self.port.mark()
        result = self.ocean(mine, self.port)
        self.assertEqual([e["status"] for e in self.port.journal("E-7", since=mark)], [400])
        self.assertNotEqual(result.code, 0, result)
        self.assertSays(result, "integration_is_in_progress")


class Persistence(Rows):
    def test_t51_kill(self):
        """T-51 killed right after the answer: everything answered is there, the token still holds"""
        path = os.path.join(self.folder, "catalog.db")
        self.start(db=path, integration=True)
        self.docks(3)
        asked = self.request_at()
        self.port._proc.kill()
        self.port._proc.wait()
        token = self.api.token
        self.port = PortLocal(db=path)
        self.addCleanup(self.port.stop)
        self.api = Client(self.port)
        self.api.token = token
        self.assertEqual(self.expect(200, "GET", "/v1/blueprints/dock/entities-count")["count"], 3)
        self.assertEqual(self.request_at(), asked)


if __name__ == "__main__":
    main()
