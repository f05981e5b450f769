/* Raw data, lifecycles and probes (E-20, E-21, E-43), and the control API's abort of a sync, which both answer to. Of raw
 * data the counts and sizes are kept; bodies only when the server was told so (port-api P-208). */
#include "catalog/integration.h"
#include "catalog/routes.h"

#include "json/write.h"

/* Lifecycles ---------------------------------------------------------------------------------------------------- */

static int is_aborted(struct work *w, struct str event, int64_t *ret)
{
    return q_int(w->k, &w->r, ret, 0, "SELECT aborted FROM lifecycle WHERE event = ? AND part = ''", "t", event);
}

static int put_lifecycle(struct work *w, struct str event, struct str part, struct str status, struct str doc)
{
    return q_exec(w->k, &w->r,
                  "INSERT INTO lifecycle (event, part, status, doc, updated_at) VALUES (?1, ?2, ?3, ?4, ?5)"
                  " ON CONFLICT (event, part) DO UPDATE SET status = ?3, doc = ?4, updated_at = ?5",
                  "tttti", event, part, status, doc, core_now(w->k));
}

static int store_lifecycle(struct work *w, struct str part)
{
    static const char *const known[] = {"started", "finished", "failed", "aborted"};
    struct json in = work_json(w);
    struct str status = json_str(json_get_c(in, "status"));
    bool ok = false;
    if (!in.v)
        return -1;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        ok |= str_ieq(status, str_of(known[i]));
    if (!ok)
        return refuse_invalid(&w->r, "\"status\" must be started, finished, failed or aborted");
    struct buf doc;
    buf_init(&doc, LIMIT_ANSWER);
    json_write(&doc, in);
    int rc = put_lifecycle(w, w->seg[0], part, status, buf_str(&doc));
    buf_done(&doc);
    return rc < 0 ? -1 : work_ok(w);
}

int api_lifecycle_post(struct work *w) { return store_lifecycle(w, STR("")); }

int api_lifecycle_part_post(struct work *w)
{
    static const char *const parts[] = {"kind", "batch", "live_event", "reconciliation"};
    struct json in = work_json(w);
    struct str kind = json_str(json_get_c(in, "kind_identifier"));
    for (size_t i = 0; in.v && i < sizeof(parts) / sizeof(parts[0]); i++)
        if (str_is(w->seg[1], parts[i]))
            return store_lifecycle(w, str_of(arena_printf(w->a, "%s:%.*s", parts[i], STR_FMT(kind))));
    return in.v ? refuse(&w->r, 404, "not_found", "Lifecycles have kind, batch, live_event and reconciliation, not \"%.*s\"",
                         STR_FMT(w->seg[1]))
                : -1;
}

int api_lifecycle_get(struct work *w)
{
    struct sqlite3_stmt *s =
        q_open(w->k, &w->r, "SELECT CASE WHEN aborted THEN 'aborted' ELSE status END FROM lifecycle WHERE event = ? AND part = ''",
               "t", w->seg[0]);
    int rc = q_row(w->k, s, &w->r);
    if (rc == 0)
        return refuse(&w->r, 404, "not_found", "Lifecycle of event \"%.*s\" was not found", STR_FMT(w->seg[0]));
    if (rc < 0)
        return -1;
    struct jw jw = work_begin(w);
    jw_key_c(&jw, "status");
    jw_str(&jw, q_text(s, 0));
    work_end(w, &jw);
    q_close(s);
    return 0;
}

int control_abort(struct work *w)
{
    struct json in = work_json(w), event = json_get_c(in, "eventId");
    if (!in.v || !integration_find(w, w->seg[0], BY_IDENTIFIER))
        return -1;
    if (!json_str(event).n)
        return refuse_invalid(&w->r, "\"eventId\" must be string");
    if (q_exec(w->k, &w->r,
               "INSERT INTO lifecycle (event, part, status, doc, updated_at, aborted) VALUES (?1, '', 'aborted', '{}', ?2, 1)"
               " ON CONFLICT (event, part) DO UPDATE SET aborted = 1, updated_at = ?2",
               "ti", json_str(event), core_now(w->k)) < 0)
        return -1;
    return work_ok(w);
}

/* Raw data ------------------------------------------------------------------------------------------------------ */

/* The one answer whose `error` is an object (P-209). */
static int answer_stale(struct work *w)
{
    w->status = 409;
    struct jw jw = jw_on(&w->out);
    jw_obj(&jw);
    jw_key_c(&jw, "ok");
    jw_bool(&jw, false);
    jw_key_c(&jw, "error");
    jw_obj(&jw);
    jw_key_c(&jw, "code");
    jw_str_c(&jw, "resync_stale");
    jw_key_c(&jw, "message");
    jw_str_c(&jw, "This resync was aborted");
    jw_end_obj(&jw);
    jw_end_obj(&jw);
    return 0;
}

static int check_raw(struct work *w, struct json in, int64_t *ret_entries, int64_t *ret_items)
{
    struct json data = json_get_c(in, "data"), type = json_get_c(in, "eventType");
    *ret_entries = *ret_items = 0;
    if (type.v && !str_is(json_str(type), "resync") && !str_is(json_str(type), "live-event"))
        return refuse_invalid(&w->r, "\"eventType\" must be resync or live-event");
    if (!json_is_arr(data))
        return refuse_invalid(&w->r, "body must have required property 'data', an array");
    for (struct json_iter it = json_iter(data); json_next(&it); (*ret_entries)++) {
        struct json items = json_get_c(it.val, "items");
        if (!json_is_obj(it.val) || (items.v && !json_is_arr(items)))
            return refuse_invalid(&w->r, "\"data/%lld\" must be object with 'items', an array", (long long)*ret_entries);
        *ret_items += (int64_t)json_len(items);
    }
    return 0;
}

static int store_raw(struct work *w, int64_t id, struct str event, int64_t entries, int64_t items)
{
    return q_exec(w->k, &w->r,
                  "INSERT INTO raw (integration, sync, kind, event, at, entries, items, bytes, body)"
                  " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                  "itttiiiit", id, w->seg[3], w->seg[4], event, core_now(w->k), entries, items, (int64_t)w->body.n,
                  w->k->keep_raw ? w->body : STR_NULL);
}

int api_raw_post(struct work *w)
{
    int64_t id = integration_find(w, w->seg[0], BY_INGEST), aborted, known = 0, entries, items;
    struct json in = id ? work_json(w) : JSON_NONE;
    struct str event = json_str(json_get_c(in, "eventId"));
    if (!in.v || check_raw(w, in, &entries, &items) < 0 || is_aborted(w, w->seg[3], &aborted) < 0)
        return -1;
    if (aborted)
        return answer_stale(w);
    if (event.n && q_int(w->k, &w->r, &known, 0, "SELECT COUNT(*) FROM raw WHERE sync = ? AND event = ?", "tt", w->seg[3],
                         event) < 0)
        return -1;
    if (!known && store_raw(w, id, event, entries, items) < 0)
        return -1;
    struct jw jw = work_begin(w);
    jw_key_c(&jw, "count");
    jw_int(&jw, known ? 0 : entries);
    work_end(w, &jw);
    return 0;
}

/* What was stored, newest first. */
int control_raw(struct work *w)
{
    static const char *const names[] = {"integration", "sync", "kind", "eventId"};
    static const char *const numbers[] = {"entries", "items", "bytes"};
    int64_t limit;
    if (work_limit(w, 100, 0, &limit) < 0)
        return -1;
    struct sqlite3_stmt *s =
        q_open(w->k, &w->r,
               "SELECT i.identifier, r.sync, r.kind, r.event, r.entries, r.items, r.bytes, r.at, r.body FROM raw r"
               " LEFT JOIN integration i ON i.id = r.integration ORDER BY r.id DESC LIMIT ?",
               "i", limit);
    struct jw jw = work_begin(w);
    jw_key_c(&jw, "raw");
    jw_arr(&jw);
    int rc;
    while ((rc = q_row(w->k, s, &w->r)) > 0) {
        jw_obj(&jw);
        for (int i = 0; i < 4; i++) {
            jw_key(&jw, str_of(names[i]));
            jw_str(&jw, q_text(s, i));
        }
        for (int i = 0; i < 3; i++) {
            jw_key(&jw, str_of(numbers[i]));
            jw_int(&jw, q_num(s, 4 + i));
        }
        jw_key_c(&jw, "at");
        jw_instant(&jw, q_num(s, 7));
        if (q_text(s, 8).n) {
            jw_key_c(&jw, "body");
            jw_raw(&jw, q_text(s, 8));
        }
        jw_end_obj(&jw);
    }
    jw_end_arr(&jw);
    work_end(w, &jw);
    return rc;
}

/* Probes -------------------------------------------------------------------------------------------------------- */

static int check_probe(struct work *w, struct json in)
{
    static const char *const known[] = {"IN_PROGRESS", "COMPLETED", "FAILED", "INTERNAL_FAILURE"};
    struct str status = json_str(json_get_c(in, "status"));
    struct json checks = json_get_c(in, "checks");
    if (checks.v && !json_is_arr(checks))
        return refuse_invalid(&w->r, "\"checks\" must be array");
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (str_is(status, known[i]))
            return 0;
    return refuse_invalid(&w->r, "\"status\" must be IN_PROGRESS, COMPLETED, FAILED or INTERNAL_FAILURE");
}

int api_probe_patch(struct work *w)
{
    struct buf text;
    struct json_doc *org = NULL;
    struct json in = work_json(w);
    buf_init(&text, LIMIT_ANSWER);
    int rc = in.v && meta_get(w->k, "organization", &text, &w->r) >= 0 ? 0 : -1;
    bool ours = rc == 0 && json_parse(buf_str(&text), &org, NULL) == 0 &&
                str_eq(json_str(json_get_c(json_root(org), "id")), w->seg[0]);
    if (rc == 0 && !ours)
        rc = refuse(&w->r, 404, "not_found", "Organization with identifier \"%.*s\" was not found", STR_FMT(w->seg[0]));
    if (rc == 0)
        rc = check_probe(w, in);
    buf_reset(&text);
    if (rc == 0) {
        json_write(&text, in);
        rc = q_exec(w->k, &w->r,
                    "INSERT OR REPLACE INTO document (class, owner, identifier, doc) VALUES ('probe', '', ?, ?)", "tt",
                    w->seg[1], buf_str(&text));
    }
    json_unref(org);
    buf_done(&text);
    return rc < 0 ? -1 : work_ok(w);
}

int control_probes(struct work *w)
{
    struct sqlite3_stmt *s =
        q_open(w->k, &w->r, "SELECT identifier, doc FROM document WHERE class = 'probe' ORDER BY identifier", "");
    struct jw jw = work_begin(w);
    jw_key_c(&jw, "probes");
    jw_obj(&jw);
    int rc;
    while ((rc = q_row(w->k, s, &w->r)) > 0) {
        jw_key(&jw, q_text(s, 0));
        jw_raw(&jw, q_text(s, 1));
    }
    jw_end_obj(&jw);
    work_end(w, &jw);
    return rc;
}
