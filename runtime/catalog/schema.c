/* The tables, and what a fresh file holds.
 *
 * An entity is one row: `rel` its relations and `body` everything else, both as the JSON text that answers quote
 * verbatim (SQLite's own JSON functions would reformat numbers). Blueprint, datasource and clients are small numbers.
 * Two indexes only, both short: (blueprint, identifier) for identity and (datasource) for the listing of what an
 * integration owns; in each the row's number comes last, which gives creation order and stable paging for nothing.
 * `ref` says which rows refer to which target; it is filled late (refs.c). */
#include "catalog/blueprint.h"
#include "catalog/core.h"

#include <stdio.h>

const char *const catalog_migrations[] = {
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;"
    "CREATE TABLE datasource (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);"
    "CREATE TABLE client (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);"
    "CREATE TABLE token (id TEXT PRIMARY KEY, client TEXT NOT NULL, issued INTEGER NOT NULL, expires INTEGER NOT NULL,"
    "  revoked INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;"
    "CREATE TABLE blueprint (id INTEGER PRIMARY KEY AUTOINCREMENT, identifier TEXT NOT NULL UNIQUE, doc TEXT NOT NULL,"
    "  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, created_by INTEGER NOT NULL,"
    "  updated_by INTEGER NOT NULL);"
    "CREATE TABLE entity (id INTEGER PRIMARY KEY, blueprint INTEGER NOT NULL, identifier TEXT NOT NULL,"
    "  datasource INTEGER NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,"
    "  created_by INTEGER NOT NULL, updated_by INTEGER NOT NULL, rel TEXT NOT NULL, body TEXT NOT NULL);"
    "CREATE UNIQUE INDEX entity_key ON entity (blueprint, identifier);"
    "CREATE INDEX entity_datasource ON entity (datasource);"
    "CREATE TABLE ref (target INTEGER NOT NULL, source INTEGER NOT NULL, PRIMARY KEY (target, source)) WITHOUT ROWID;"
    "CREATE TABLE integration (id INTEGER PRIMARY KEY AUTOINCREMENT, identifier TEXT NOT NULL UNIQUE,"
    "  internal TEXT NOT NULL UNIQUE, ingest TEXT NOT NULL UNIQUE, doc TEXT NOT NULL, resync_state TEXT,"
    "  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, created_by INTEGER NOT NULL,"
    "  updated_by INTEGER NOT NULL,"
    "  request TEXT NOT NULL, request_at INTEGER NOT NULL);"
    "CREATE TABLE cursor (integration INTEGER NOT NULL, kind TEXT NOT NULL, position INTEGER NOT NULL,"
    "  value TEXT NOT NULL,"
    "  PRIMARY KEY (integration, kind, position)) WITHOUT ROWID;"
    "CREATE TABLE example (id INTEGER PRIMARY KEY AUTOINCREMENT, integration INTEGER NOT NULL, kind TEXT NOT NULL,"
    "  data TEXT NOT NULL);"
    "CREATE INDEX example_kind ON example (integration, kind);"
    "CREATE TABLE record (id INTEGER PRIMARY KEY AUTOINCREMENT, integration INTEGER NOT NULL, data TEXT NOT NULL);"
    "CREATE INDEX record_integration ON record (integration);"
    "CREATE TABLE metric (integration INTEGER NOT NULL, event TEXT NOT NULL, kind TEXT NOT NULL, data TEXT NOT NULL,"
    "  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, PRIMARY KEY (integration, event, kind)) WITHOUT ROWID;"
    "CREATE TABLE heartbeat (integration INTEGER NOT NULL, event TEXT NOT NULL, at INTEGER NOT NULL,"
    "  count INTEGER NOT NULL,"
    "  PRIMARY KEY (integration, event)) WITHOUT ROWID;"
    "CREATE TABLE document (class TEXT NOT NULL, owner TEXT NOT NULL, identifier TEXT NOT NULL, doc TEXT NOT NULL,"
    "  PRIMARY KEY (class, owner, identifier)) WITHOUT ROWID;",
    "CREATE TABLE changes (event TEXT PRIMARY KEY, datasource TEXT NOT NULL, first_at INTEGER NOT NULL,"
    "  last_at INTEGER NOT NULL, created INTEGER NOT NULL DEFAULT 0, updated INTEGER NOT NULL DEFAULT 0,"
    "  unchanged INTEGER NOT NULL DEFAULT 0, deleted INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0,"
    "  keys INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;"
    "CREATE TABLE change (event TEXT NOT NULL, position INTEGER NOT NULL, what INTEGER NOT NULL, blueprint TEXT NOT NULL,"
    "  identifier TEXT NOT NULL, PRIMARY KEY (event, position)) WITHOUT ROWID;",
    "CREATE TABLE run (id INTEGER PRIMARY KEY AUTOINCREMENT, workflow INTEGER NOT NULL, identifier TEXT NOT NULL,"
    "  installation TEXT NOT NULL, selector TEXT, external TEXT, acked INTEGER NOT NULL DEFAULT 0,"
    "  ended INTEGER NOT NULL DEFAULT 0, hidden_until INTEGER NOT NULL DEFAULT 0, doc TEXT NOT NULL,"
    "  UNIQUE (workflow, identifier));"
    "CREATE INDEX run_pending ON run (workflow, installation) WHERE NOT ended AND NOT acked;"
    "CREATE INDEX run_external ON run (external) WHERE external IS NOT NULL;"
    "CREATE TABLE run_log (id INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL, doc TEXT NOT NULL);"
    "CREATE INDEX run_log_run ON run_log (run);"
    "CREATE TABLE lifecycle (event TEXT NOT NULL, part TEXT NOT NULL, status TEXT NOT NULL, doc TEXT NOT NULL,"
    "  updated_at INTEGER NOT NULL, aborted INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (event, part)) WITHOUT ROWID;"
    "CREATE TABLE raw (id INTEGER PRIMARY KEY AUTOINCREMENT, integration INTEGER NOT NULL, sync TEXT NOT NULL,"
    "  kind TEXT NOT NULL, event TEXT, at INTEGER NOT NULL, entries INTEGER NOT NULL, items INTEGER NOT NULL,"
    "  bytes INTEGER NOT NULL, body TEXT);"
    "CREATE INDEX raw_sync ON raw (sync, event);"
    "CREATE TABLE resync (id INTEGER PRIMARY KEY AUTOINCREMENT, integration INTEGER NOT NULL, started_at INTEGER NOT NULL,"
    "  ended_at INTEGER, status TEXT NOT NULL);"
    "CREATE INDEX resync_integration ON resync (integration);",
    "CREATE TABLE tally (blueprint INTEGER NOT NULL, datasource INTEGER NOT NULL, n INTEGER NOT NULL,"
    "  PRIMARY KEY (blueprint, datasource)) WITHOUT ROWID;"
    "INSERT INTO tally SELECT blueprint, datasource, COUNT(*) FROM entity GROUP BY blueprint, datasource;",
    NULL,
};

/* port-api P-102. */
static const char user_blueprint[] =
    "{\"identifier\":\"_user\",\"title\":\"User\",\"icon\":\"User\",\"schema\":{\"properties\":{"
    "\"status\":{\"type\":\"string\",\"title\":\"Status\"},"
    "\"port_role\":{\"type\":\"string\",\"title\":\"Port role\"},"
    "\"port_type\":{\"type\":\"string\",\"title\":\"Port type\"},"
    "\"moderated_blueprints\":{\"type\":\"array\",\"title\":\"Moderated blueprints\",\"items\":{\"type\":\"string\"}}},"
    "\"required\":[]},\"relations\":{}}";
static const char team_blueprint[] =
    "{\"identifier\":\"_team\",\"title\":\"Team\",\"icon\":\"Team\",\"schema\":{\"properties\":{"
    "\"description\":{\"type\":\"string\",\"title\":\"Description\"},"
    "\"size\":{\"type\":\"number\",\"title\":\"Size\"}},\"required\":[]},\"relations\":{}}";

static int seed_blueprint(struct core *k, const char *text, int64_t client, struct refusal *r)
{
    struct json_doc *doc = NULL;
    if (json_parse(str_of(text), &doc, NULL) < 0)
        return refuse(r, 500, "internal_error", "a system blueprint is not JSON");
    struct str id = json_str(json_get_c(json_root(doc), "identifier"));
    int rc = blueprint_find(k, id, r) ? 0 : blueprint_create(k, json_root(doc), client, r);
    json_unref(doc);
    return rc;
}

static int seed_text(struct core *k, const char *key, size_t n, struct refusal *r)
{
    struct buf have;
    char text[65];
    buf_init(&have, 256);
    int rc = meta_get(k, key, &have, r);
    buf_done(&have);
    if (rc != 0)
        return rc < 0 ? -1 : 0;
    random_id(text, n);
    return meta_put(k, key, str_of(text), r);
}

int core_seed(struct core *k, struct refusal *r)
{
    int64_t client = dict_put(k, k->clients, STR("port-local"), r);
    if (!client || seed_blueprint(k, user_blueprint, client, r) < 0 || seed_blueprint(k, team_blueprint, client, r) < 0)
        return -1;
    if (seed_text(k, "token_key", 64, r) < 0 || seed_text(k, "catalog_id", 16, r) < 0)
        return -1;
    struct buf have;
    buf_init(&have, 4096);
    int rc = meta_get(k, "organization", &have, r);
    buf_done(&have);
    if (rc != 0)
        return rc < 0 ? -1 : 0;
    char id[17], text[160];
    random_id(id, 16);
    snprintf(text, sizeof(text), "{\"id\":\"org_%s\",\"name\":\"port-local\",\"featureFlags\":[],\"settings\":{}}", id);
    return meta_put(k, "organization", str_of(text), r);
}
