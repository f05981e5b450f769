/* Integrations over HTTP: E-4 to E-11. The document is kept as it was given (P-70, P-71); ids, instants, resync state
 * and the newest resync request are columns. */
#include "catalog/history.h"
#include "catalog/integration.h"
#include "catalog/routes.h"
#include "catalog/webhook.h"

#include <string.h>

#include "json/write.h"

/* Reading ------------------------------------------------------------------------------------------------------- */

static int refuse_no_integration(struct work *w, struct str name)
{
    refuse(&w->r, 404, "not_found", "Integration with identifier \"%.*s\" was not found", STR_FMT(name));
    refuse_detail(&w->r, "resource", STR("integration"));
    return refuse_detail(&w->r, "identifier", name);
}

int64_t integration_find(struct work *w, struct str name, enum integration_by by)
{
    static const char *const sql[] = {
        [BY_IDENTIFIER] = "SELECT id FROM integration WHERE identifier = ?",
        [BY_INTERNAL] = "SELECT id FROM integration WHERE internal = ?",
        [BY_INGEST] = "SELECT id FROM integration WHERE ingest = ?",
        [BY_ANY] = "SELECT id FROM integration WHERE internal = ?1 OR identifier = ?1",
    };
    int64_t id;
    if (q_int(w->k, &w->r, &id, 0, sql[by], "t", name) < 0)
        return 0;
    if (!id)
        refuse_no_integration(w, name);
    return id;
}

#define COLUMNS "identifier, internal, ingest, doc, resync_state, created_at, updated_at, created_by, updated_by"

static void write_ingest(struct work *w, struct jw *jw, const char *key, const char *prefix, struct str id,
                         bool with_id)
{
    jw_key(jw, str_of(key));
    jw_obj(jw);
    if (with_id) {
        jw_key_c(jw, "ingestId");
        jw_str(jw, id);
    }
    jw_key_c(jw, "ingestUrl");
    struct str base = w->base_url;
    while (base.n && base.p[base.n - 1] == '/')
        base.n--;
    jw_cstr(jw, arena_printf(w->a, "%.*s%s%.*s", STR_FMT(base), prefix, STR_FMT(id)));
    jw_end_obj(jw);
}

static void write_integration(struct work *w, struct sqlite3_stmt *s, struct jw *jw)
{
    struct json_doc *doc = NULL;
    struct str internal = q_text(s, 1), ingest = q_text(s, 2);
    if (json_parse(q_text(s, 3), &doc, NULL) < 0)
        doc = NULL;
    jw_obj(jw);
    jw_key_c(jw, "_id");
    jw_str(jw, internal);
    jw_key_c(jw, "_orgId");
    struct buf organization;
    struct json_doc *org = NULL;
    buf_init(&organization, LIMIT_ANSWER);
    struct refusal ignored;
    if (meta_get(w->k, "organization", &organization, &ignored) > 0 &&
        json_parse(buf_str(&organization), &org, NULL) == 0)
        jw_json(jw, json_get_c(json_root(org), "id"));
    else
        jw_str_c(jw, "");
    json_unref(org);
    buf_done(&organization);
    jw_key_c(jw, "identifier");
    jw_str(jw, q_text(s, 0));
    for (struct json_iter it = json_iter(json_root(doc)); json_next(&it);) {
        jw_key(jw, it.key);
        jw_json(jw, it.val);
    }
    if (q_text(s, 4).n) {
        jw_key_c(jw, "resyncState");
        jw_raw(jw, q_text(s, 4));
    }
    write_ingest(w, jw, "logAttributes", "/logs/integration/", ingest, true);
    write_ingest(w, jw, "metricAttributes", "/v1/integration/", internal, true);
    write_ingest(w, jw, "ingestAttributes", "/ingest/integration/", ingest, false);
    jw_key_c(jw, "createdAt");
    jw_instant(jw, q_num(s, 5));
    jw_key_c(jw, "updatedAt");
    jw_instant(jw, q_num(s, 6));
    jw_key_c(jw, "createdBy");
    jw_str(jw, dict_text(w->k, w->k->clients, q_num(s, 7)));
    jw_key_c(jw, "updatedBy");
    jw_str(jw, dict_text(w->k, w->k->clients, q_num(s, 8)));
    jw_end_obj(jw);
    json_unref(doc);
}

static int answer(struct work *w, int64_t id)
{
    struct sqlite3_stmt *s = q_open(w->k, &w->r, "SELECT " COLUMNS " FROM integration WHERE id = ?", "i", id);
    int rc = q_row(w->k, s, &w->r);
    if (rc <= 0)
        return rc < 0 ? -1 : refuse(&w->r, 404, "not_found", "The integration is gone");
    struct jw jw = work_begin(w);
    jw_key_c(&jw, "integration");
    write_integration(w, s, &jw);
    work_end(w, &jw);
    q_close(s);
    return 0;
}

int api_provision_enabled(struct work *w)
{
    buf_adds(&w->out, "{\"ok\":true,\"integrations\":[]}");
    return 0;
}

int api_integrations_get(struct work *w)
{
    bool wanted = false, filter;
    struct str unused;
    filter = work_param(w, "actionsProcessingEnabled", 0, &unused);
    if (work_flag(w, "actionsProcessingEnabled", false, &wanted) < 0)
        return -1;
    struct sqlite3_stmt *s = q_open(w->k, &w->r, "SELECT " COLUMNS " FROM integration ORDER BY id", "");
    struct jw jw = work_begin(w);
    jw_key_c(&jw, "integrations");
    jw_arr(&jw);
    int rc;
    while ((rc = q_row(w->k, s, &w->r)) > 0) {
        struct json_doc *doc = NULL;
        bool enabled = json_parse(q_text(s, 3), &doc, NULL) == 0 &&
                       json_is_true(json_get_c(json_root(doc), "actionsProcessingEnabled"));
        json_unref(doc);
        if (!filter || enabled == wanted)
            write_integration(w, s, &jw);
    }
    jw_end_arr(&jw);
    work_end(w, &jw);
    return rc;
}

int api_integration_get(struct work *w)
{
    struct str by = STR("installationId");
    work_param(w, "byField", 0, &by);
    bool ingest = str_is(by, "logIngestId");
    if (!ingest && !str_is(by, "installationId"))
        return refuse_invalid(&w->r, "\"query/byField\" must be installationId or logIngestId");
    int64_t id = integration_find(w, w->seg[0], ingest ? BY_INGEST : BY_IDENTIFIER);
    return id ? answer(w, id) : -1;
}

/* Writing ------------------------------------------------------------------------------------------------------- */

/* Members a client cannot set. */
static bool is_ours(struct str key)
{
    static const char *const ours[] = {"_id",           "_orgId",           "identifier",       "resyncState",
                                       "logAttributes", "metricAttributes", "ingestAttributes", "createdAt",
                                       "updatedAt",     "createdBy",        "updatedBy"};
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
        if (str_is(key, ours[i]))
            return true;
    return false;
}

static int check_objects(struct work *w, struct json in)
{
    static const char *const objects[] = {"changelogDestination", "spec", "statusInfo"};
    for (size_t i = 0; i < sizeof(objects) / sizeof(objects[0]); i++) {
        struct json v = json_get(in, str_of(objects[i]));
        if (v.v && !json_is_obj(v))
            return refuse_invalid(&w->r, "\"%s\" must be object", objects[i]);
    }
    struct json config = json_get_c(in, "config");
    if (config.v && !json_is_obj(config) && !json_is_null(config))
        return refuse_invalid(&w->r, "\"config\" must be object");
    static const char *const texts[] = {"installationAppType", "version"};
    for (size_t i = 0; i < 2; i++) {
        struct json v = json_get(in, str_of(texts[i]));
        if (v.v && !json_is_str(v))
            return refuse_invalid(&w->r, "\"%s\" must be string", texts[i]);
    }
    return 0;
}

static int need_text(struct work *w, struct json in, const char *key)
{
    struct json v = json_get(in, str_of(key));
    if (!v.v)
        return refuse_invalid(&w->r, "body must have required property '%s'; \"%s\" must be string", key, key);
    return json_is_str(v) && json_str(v).n ? 0 : refuse_invalid(&w->r, "\"%s\" must be string", key);
}

static void write_value(struct jw *jw, struct str key, struct json v)
{
    jw_key(jw, key);
    if (str_is(key, "config") && json_is_null(v))
        jw_raw(jw, STR("{}")); /* P-79, P-69 */
    else
        jw_json(jw, v);
}

static void write_default(struct jw *jw, struct json in, const char *key, const char *text)
{
    if (json_get(in, str_of(key)).v)
        return;
    jw_key(jw, str_of(key));
    jw_raw(jw, str_of(text));
}

int integration_create(struct work *w, struct json in, int64_t client, int64_t now)
{
    struct str id = json_str(json_get_c(in, "installationId")), type = json_str(json_get_c(in, "installationAppType"));
    char internal[40] = "integration_", ingest[40] = "ingest_", request[40] = "request_";
    struct buf doc;
    random_id(internal + 12, 16);
    random_id(ingest + 7, 16);
    random_id(request + 8, 16);
    buf_init(&doc, LIMIT_ANSWER);
    struct jw jw = jw_on(&doc);
    jw_obj(&jw);
    for (struct json_iter it = json_iter(in); json_next(&it);)
        if (!is_ours(it.key) && !str_is(it.key, "integrationType"))
            write_value(&jw, it.key, it.val);
    jw_key_c(&jw, "integrationType");
    jw_str(&jw, type);
    write_default(&jw, in, "installationType", "\"OnPrem\"");
    write_default(&jw, in, "changelogDestination", "{}");
    write_default(&jw, in, "config", "{}");
    jw_end_obj(&jw);
    int rc = q_exec(w->k, &w->r,
                    "INSERT INTO integration (identifier, internal, ingest, doc, created_at, updated_at, created_by,"
                    " updated_by, request, request_at) VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?6, ?7, ?5)",
                    "ttttiit", id, str_of(internal), str_of(ingest), buf_str(&doc), now, client, str_of(request));
    buf_done(&doc);
    return rc;
}

int api_integration_post(struct work *w)
{
    struct json in = work_json(w);
    if (!in.v || need_text(w, in, "installationAppType") < 0 || need_text(w, in, "installationId") < 0 ||
        check_objects(w, in) < 0)
        return -1;
    struct str id = json_str(json_get_c(in, "installationId"));
    int64_t number, client = dict_put(w->k, w->k->clients, w->client, &w->r);
    if (!client || q_int(w->k, &w->r, &number, 0, "SELECT id FROM integration WHERE identifier = ?", "t", id) < 0)
        return -1;
    if (number) {
        refuse(&w->r, 409, "identifier_taken", "Integration with identifier \"%.*s\" already exists", STR_FMT(id));
        return refuse_detail(&w->r, "identifier", id);
    }
    if (integration_create(w, in, client, core_now(w->k)) < 0)
        return -1;
    number = q_last_id(w->k);
    w->status = 201;
    return webhook_note(w, number) < 0 ? -1 : answer(w, number);
}

int integration_request(struct work *w, int64_t id)
{
    int64_t last, now = core_now(w->k);
    char request[40] = "request_";
    random_id(request + 8, 16);
    if (q_int(w->k, &w->r, &last, 0, "SELECT request_at FROM integration WHERE id = ?", "i", id) < 0)
        return -1;
    /* Printed with milliseconds: that far apart at least. */
    if (now / 1000 <= last / 1000)
        now = (last / 1000 + 1) * 1000;
    if (q_exec(w->k, &w->r, "UPDATE integration SET request = ?2, request_at = ?3 WHERE id = ?1", "iti", id,
               str_of(request), now) < 0)
        return -1;
    return webhook_note(w, id);
}

/* `spec` merges one level down, every other member replaces (P-77). */
static void merge_member(struct jw *jw, struct str key, struct json old, struct json given)
{
    if (!str_is(key, "spec") || !json_is_obj(old) || !given.v) {
        write_value(jw, key, given.v ? given : old);
        return;
    }
    jw_key(jw, key);
    jw_obj(jw);
    for (struct json_iter it = json_iter(old); json_next(&it);) {
        struct json now = json_get(given, it.key);
        jw_key(jw, it.key);
        jw_json(jw, now.v ? now : it.val);
    }
    for (struct json_iter it = json_iter(given); json_next(&it);) {
        if (json_get(old, it.key).v)
            continue;
        jw_key(jw, it.key);
        jw_json(jw, it.val);
    }
    jw_end_obj(jw);
}

static int store_patch(struct work *w, int64_t id, struct json in, struct str old_text, int64_t client)
{
    struct json_doc *old = NULL;
    struct buf doc;
    if (json_parse(old_text, &old, NULL) < 0)
        return refuse(&w->r, 500, "internal_error", "the stored integration is not JSON");
    buf_init(&doc, LIMIT_ANSWER);
    struct jw jw = jw_on(&doc);
    jw_obj(&jw);
    for (struct json_iter it = json_iter(json_root(old)); json_next(&it);)
        if (!str_is(it.key, "integrationType"))
            merge_member(&jw, it.key, it.val, json_get(in, it.key));
    for (struct json_iter it = json_iter(in); json_next(&it);)
        if (!is_ours(it.key) && !str_is(it.key, "integrationType") && !str_is(it.key, "installationId") &&
            !json_get(json_root(old), it.key).v)
            write_value(&jw, it.key, it.val);
    struct json type = json_get_c(in, "installationAppType");
    jw_key_c(&jw, "integrationType");
    jw_json(&jw, type.v ? type : json_get_c(json_root(old), "integrationType"));
    jw_end_obj(&jw);
    int rc =
        q_exec(w->k, &w->r,
               "UPDATE integration SET doc = ?2, updated_at = MAX(?3, updated_at + 1), updated_by = ?4 WHERE id = ?1",
               "itii", id, buf_str(&doc), core_now(w->k), client);
    buf_done(&doc);
    json_unref(old);
    return rc;
}

static int patch(struct work *w, int64_t id, struct json in)
{
    int64_t client = dict_put(w->k, w->k->clients, w->client, &w->r);
    if (!client || check_objects(w, in) < 0)
        return -1;
    struct sqlite3_stmt *s = q_open(w->k, &w->r, "SELECT doc FROM integration WHERE id = ?", "i", id);
    int rc = q_row(w->k, s, &w->r);
    if (rc <= 0)
        return rc < 0 ? -1 : refuse(&w->r, 404, "not_found", "The integration is gone");
    struct str old = arena_str(w->a, q_text(s, 0));
    q_close(s);
    if (store_patch(w, id, in, old, client) < 0 || (!w->skip_resync && integration_request(w, id) < 0))
        return -1;
    return answer(w, id);
}

int api_integration_patch(struct work *w)
{
    int64_t id = integration_find(w, w->seg[0], BY_IDENTIFIER);
    struct json in = id ? work_json(w) : JSON_NONE, same = json_get_c(in, "installationId");
    if (!in.v)
        return -1;
    if (same.v && !str_eq(json_str(same), w->seg[0]))
        return refuse_invalid(&w->r, "\"installationId\" cannot be changed");
    return patch(w, id, in);
}

int api_integration_config(struct work *w)
{
    int64_t id = integration_find(w, w->seg[0], BY_IDENTIFIER);
    struct json in = id ? work_json(w) : JSON_NONE;
    if (!in.v)
        return -1;
    if (!json_get_c(in, "config").v)
        return refuse_invalid(&w->r, "body must have required property 'config'");
    return patch(w, id, in);
}

int api_integration_delete(struct work *w)
{
    int64_t id = integration_find(w, w->seg[0], BY_IDENTIFIER);
    if (!id || q_exec(w->k, &w->r, "DELETE FROM integration WHERE id = ?", "i", id) < 0 ||
        q_exec(w->k, &w->r, "DELETE FROM cursor WHERE integration = ?", "i", id) < 0 ||
        q_exec(w->k, &w->r, "DELETE FROM example WHERE integration = ?", "i", id) < 0 ||
        q_exec(w->k, &w->r, "DELETE FROM record WHERE integration = ?", "i", id) < 0 ||
        q_exec(w->k, &w->r, "DELETE FROM metric WHERE integration = ?", "i", id) < 0 ||
        q_exec(w->k, &w->r, "DELETE FROM heartbeat WHERE integration = ?", "i", id) < 0 ||
        q_exec(w->k, &w->r, "DELETE FROM resync WHERE integration = ?", "i", id) < 0)
        return -1;
    return work_ok(w);
}

/* Resync state and requests ------------------------------------------------------------------------------------- */

static int check_state(struct work *w, struct json in)
{
    static const char *const states[] = {"running", "completed", "failed", "aborted"};
    struct json status = json_get_c(in, "status");
    bool known = !status.v;
    for (size_t i = 0; i < 4 && !known; i++)
        known = str_is(json_str(status), states[i]);
    return known ? 0 : refuse_invalid(&w->r, "\"status\" must be running, completed, failed or aborted");
}

/* Given fields win over stored ones; both carry the instant of this write (P-80, P-81). */
static void write_state(struct buf *out, struct json old, struct json in, int64_t now)
{
    static const char *const names[] = {"status", "lastResyncStart", "lastResyncEnd", "nextResync",
                                        "intervalInMinuets"};
    struct jw jw = jw_on(out);
    jw_obj(&jw);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct json v = json_get(in, str_of(names[i]));
        if (!v.v)
            v = json_get(old, str_of(names[i]));
        if (!v.v)
            continue;
        jw_key(&jw, str_of(names[i]));
        jw_json(&jw, v);
    }
    jw_key_c(&jw, "updatedAt");
    jw_instant(&jw, now);
    jw_end_obj(&jw);
}

int api_resync_state(struct work *w)
{
    int64_t id = integration_find(w, w->seg[0], BY_IDENTIFIER), now = core_now(w->k);
    struct json in = id ? work_json(w) : JSON_NONE;
    if (!in.v || check_state(w, in) < 0)
        return -1;
    struct sqlite3_stmt *s = q_open(w->k, &w->r, "SELECT resync_state FROM integration WHERE id = ?", "i", id);
    int rc = q_row(w->k, s, &w->r);
    if (rc <= 0)
        return -1;
    struct json_doc *old = NULL;
    if (q_text(s, 0).n)
        json_parse(q_text(s, 0), &old, NULL);
    q_close(s);
    struct buf state;
    buf_init(&state, LIMIT_ANSWER);
    write_state(&state, json_root(old), in, now);
    rc = q_exec(w->k, &w->r, "UPDATE integration SET resync_state = ?2, updated_at = ?3 WHERE id = ?1", "iti", id,
                buf_str(&state), now);
    buf_done(&state);
    json_unref(old);
    if (rc == 0)
        rc = history_note(w, id, json_str(json_get_c(in, "status")));
    return rc < 0 ? -1 : answer(w, id);
}

static int answer_request(struct work *w, int64_t id)
{
    struct sqlite3_stmt *s = q_open(w->k, &w->r, "SELECT request, request_at FROM integration WHERE id = ?", "i", id);
    if (q_row(w->k, s, &w->r) <= 0)
        return -1;
    struct jw jw = work_begin(w);
    jw_key_c(&jw, "request");
    jw_obj(&jw);
    jw_key_c(&jw, "id");
    jw_str(&jw, q_text(s, 0));
    jw_key_c(&jw, "updatedAt");
    jw_instant(&jw, q_num(s, 1));
    jw_end_obj(&jw);
    work_end(w, &jw);
    q_close(s);
    return 0;
}

int api_resync_request(struct work *w)
{
    int64_t id = integration_find(w, w->seg[0], BY_IDENTIFIER);
    return id ? answer_request(w, id) : -1;
}

int control_resync(struct work *w)
{
    int64_t id = integration_find(w, w->seg[0], BY_IDENTIFIER);
    return id && integration_request(w, id) == 0 ? answer_request(w, id) : -1;
}
