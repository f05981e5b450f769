/* What an integration sends beside entities: cursors, raw examples, logs, metrics, heartbeats (E-12 to E-19). */
#include "catalog/integration.h"
#include "catalog/routes.h"

#include "base/clock.h"
#include "base/mem.h"
#include "json/write.h"

#define EXAMPLES_KEPT 5
#define RECORDS_KEPT 10000

/* Cursors ------------------------------------------------------------------------------------------------------- */

static int cursor_key(struct work *w, int64_t *id, struct str *kind, int64_t *position)
{
    struct str index;
    *id = integration_find(w, w->seg[0], BY_IDENTIFIER);
    if (!*id)
        return -1;
    if (!work_param(w, "kind", 0, kind))
        return refuse_invalid(&w->r, "\"query\" must have required property 'kind'");
    if (!work_param(w, "index", 0, &index) || !str_int64(index, position))
        return refuse_invalid(&w->r, "\"query\" must have required property 'index', an integer");
    return 0;
}

static int answer_cursor(struct work *w, int64_t id, struct str kind, int64_t position)
{
    struct sqlite3_stmt *s =
        q_open(w->k, &w->r, "SELECT value FROM cursor WHERE integration = ? AND kind = ? AND position = ?", "iti", id,
               kind, position);
    int rc = q_row(w->k, s, &w->r);
    if (rc < 0)
        return -1;
    struct jw jw = work_begin(w);
    jw_key_c(&jw, "cursor");
    if (rc == 0) {
        jw_null(&jw);
    } else {
        jw_obj(&jw);
        jw_key_c(&jw, "kind");
        jw_str(&jw, kind);
        jw_key_c(&jw, "index");
        jw_int(&jw, position);
        jw_key_c(&jw, "primary");
        jw_str(&jw, q_text(s, 0));
        jw_end_obj(&jw);
        q_close(s);
    }
    work_end(w, &jw);
    return 0;
}

int api_cursor_get(struct work *w)
{
    int64_t id, position;
    struct str kind;
    return cursor_key(w, &id, &kind, &position) < 0 ? -1 : answer_cursor(w, id, kind, position);
}

static int write_cursor(struct work *w, bool must_exist)
{
    int64_t id, position, n;
    struct str kind;
    struct json in = work_json(w), primary = json_get_c(in, "primary");
    if (!in.v || cursor_key(w, &id, &kind, &position) < 0)
        return -1;
    if (!json_is_str(primary))
        return refuse_invalid(&w->r, "\"primary\" must be string");
    if (q_int(w->k, &w->r, &n, 0, "SELECT COUNT(*) FROM cursor WHERE integration = ? AND kind = ? AND position = ?",
              "iti", id, kind, position) < 0)
        return -1;
    if (must_exist && !n)
        return refuse(&w->r, 404, "not_found", "There is no cursor of kind \"%.*s\", index %lld", STR_FMT(kind),
                      (long long)position);
    if (q_exec(w->k, &w->r, "INSERT OR REPLACE INTO cursor (integration, kind, position, value) VALUES (?, ?, ?, ?)",
               "itit", id, kind, position, json_str(primary)) < 0)
        return -1;
    w->status = n ? 200 : 201;
    return answer_cursor(w, id, kind, position);
}

int api_cursor_put(struct work *w) { return write_cursor(w, true); }
int api_cursor_post(struct work *w) { return write_cursor(w, false); }

/* Examples ------------------------------------------------------------------------------------------------------ */

int api_examples_post(struct work *w)
{
    int64_t id = integration_find(w, w->seg[0], BY_IDENTIFIER);
    struct json in = id ? work_json(w) : JSON_NONE, list = json_get_c(in, "examples");
    if (!in.v)
        return -1;
    if (!json_is_arr(list))
        return refuse_invalid(&w->r, "body must have required property 'examples', an array");
    struct buf text;
    buf_init(&text, LIMIT_ANSWER);
    int rc = 0;
    for (struct json_iter it = json_iter(list); rc == 0 && json_next(&it);) {
        buf_reset(&text);
        json_write(&text, it.val);
        rc = q_exec(w->k, &w->r, "INSERT INTO example (integration, kind, data) VALUES (?, ?, ?)", "itt", id, w->seg[1],
                    buf_str(&text));
    }
    buf_done(&text);
    if (rc == 0)
        rc = q_exec(w->k, &w->r,
                    "DELETE FROM example WHERE integration = ?1 AND kind = ?2 AND id NOT IN"
                    " (SELECT id FROM example WHERE integration = ?1 AND kind = ?2 ORDER BY id DESC LIMIT ?3)",
                    "iti", id, w->seg[1], (int64_t)EXAMPLES_KEPT);
    return rc < 0 ? -1 : work_ok(w);
}

int api_kinds_get(struct work *w)
{
    int64_t id = integration_find(w, w->seg[0], BY_ANY);
    if (!id)
        return -1;
    struct sqlite3_stmt *s =
        q_open(w->k, &w->r, "SELECT kind, id, data FROM example WHERE integration = ? ORDER BY kind, id", "i", id);
    struct jw jw = work_begin(w);
    struct str kind = STR_NULL;
    jw_key_c(&jw, "data");
    jw_obj(&jw);
    int rc;
    while ((rc = q_row(w->k, s, &w->r)) > 0) {
        if (!kind.p || !str_eq(kind, q_text(s, 0))) {
            if (kind.p) {
                jw_end_arr(&jw);
                jw_end_obj(&jw);
            }
            kind = arena_str(w->a, q_text(s, 0));
            jw_key(&jw, kind);
            jw_obj(&jw);
            jw_key_c(&jw, "examples");
            jw_arr(&jw);
        }
        jw_obj(&jw);
        jw_key_c(&jw, "_id");
        jw_cstr(&jw, arena_printf(w->a, "example_%lld", (long long)q_num(s, 1)));
        jw_key_c(&jw, "data");
        jw_raw(&jw, q_text(s, 2));
        jw_end_obj(&jw);
    }
    if (kind.p) {
        jw_end_arr(&jw);
        jw_end_obj(&jw);
    }
    jw_end_obj(&jw);
    work_end(w, &jw);
    return rc;
}

/* Logs ---------------------------------------------------------------------------------------------------------- */

int api_logs_post(struct work *w)
{
    int64_t id = integration_find(w, w->seg[0], BY_INGEST);
    struct json in = id ? work_json(w) : JSON_NONE, list = json_get_c(in, "logs");
    if (!in.v)
        return -1;
    if (!json_is_arr(list))
        return refuse_invalid(&w->r, "body must have required property 'logs', an array");
    struct buf text;
    buf_init(&text, LIMIT_ANSWER);
    int rc = 0;
    for (struct json_iter it = json_iter(list); rc == 0 && json_next(&it);) {
        buf_reset(&text);
        json_write(&text, it.val);
        rc = q_exec(w->k, &w->r, "INSERT INTO record (integration, data) VALUES (?, ?)", "it", id, buf_str(&text));
    }
    buf_done(&text);
    if (rc == 0)
        rc = q_exec(w->k, &w->r,
                    "DELETE FROM record WHERE integration = ?1 AND id <="
                    " (SELECT id FROM record WHERE integration = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                    "ii", id, (int64_t)RECORDS_KEPT);
    return rc < 0 ? -1 : work_ok(w);
}

/* Which records of a log are asked for (P-203). */
struct log_filter {
    bool forward; /* oldest first, after `instant`; else newest first, before it */
    bool has_instant;
    int64_t instant;
};

static int read_log_filter(struct work *w, struct log_filter *f)
{
    struct str text;
    *f = (struct log_filter){0};
    if (work_param(w, "direction", 0, &text)) {
        f->forward = str_is(text, "after") || str_is(text, "next");
        if (!f->forward && !str_is(text, "before") && !str_is(text, "previous") && !str_is(text, "prev"))
            return refuse_invalid(&w->r, "\"query/direction\" must be before or after");
    }
    f->has_instant = work_param(w, "timestamp", 0, &text);
    if (f->has_instant && !iso_parse(text, &f->instant))
        return refuse_invalid(&w->r, "\"query/timestamp\" must be an instant such as 2030-01-02T03:04:05Z");
    return 0;
}

/* Is `own` one of the values of the query's list? True if the list is not there. */
static bool listed(struct work *w, const char *name, struct str own)
{
    struct str one;
    size_t n = 0;
    for (; work_param(w, name, n, &one); n++)
        if (str_ieq(one, own))
            return true;
    return n == 0;
}

static struct str kind_of(struct json extra)
{
    static const char *const names[] = {"kind", "resource_kind", "event_resource_kind"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct json kind = json_get(extra, str_of(names[i]));
        if (json_is_str(kind))
            return json_str(kind);
    }
    return STR("");
}

static bool record_wanted(struct work *w, const struct log_filter *f, struct json record)
{
    struct json extra = json_get_c(record, "extra");
    struct str event;
    int64_t at;
    if (f->has_instant && (!iso_parse(json_str(json_get_c(record, "timestamp")), &at) ||
                           (f->forward ? at <= f->instant : at >= f->instant)))
        return false;
    return listed(w, "levels", json_str(json_get_c(record, "level"))) && listed(w, "kinds", kind_of(extra)) &&
           (!work_param(w, "event_id", 0, &event) || str_eq(event, json_str(json_get_c(extra, "event_id"))));
}

/* Newest first, as people read logs, unless asked for what came after an instant. */
int api_logs_get(struct work *w)
{
    int64_t id = integration_find(w, w->seg[0], BY_ANY), limit;
    struct log_filter f;
    if (!id || work_limit(w, 100, 300, &limit) < 0 || read_log_filter(w, &f) < 0)
        return -1;
    const char *down = "SELECT data FROM record WHERE integration = ? ORDER BY id DESC",
               *up = "SELECT data FROM record WHERE integration = ? ORDER BY id";
    struct sqlite3_stmt *s = q_open(w->k, &w->r, f.forward ? up : down, "i", id);
    struct jw jw = work_begin(w);
    jw_key_c(&jw, "data");
    jw_arr(&jw);
    int rc;
    while ((rc = q_row(w->k, s, &w->r)) > 0) {
        struct json_doc *doc = NULL;
        bool wanted = json_parse(q_text(s, 0), &doc, NULL) == 0 && record_wanted(w, &f, json_root(doc));
        json_unref(doc);
        if (!wanted)
            continue;
        if (limit-- == 0) {
            q_close(s);
            rc = 0;
            break;
        }
        jw_raw(&jw, q_text(s, 0));
    }
    jw_end_arr(&jw);
    work_end(w, &jw);
    return rc;
}

/* Metrics ------------------------------------------------------------------------------------------------------- */

static int put_metric(struct work *w, int64_t id, struct str event, struct str kind, struct json metric)
{
    struct buf text;
    buf_init(&text, LIMIT_ANSWER);
    json_write(&text, metric);
    int rc = q_exec(
        w->k, &w->r,
        "INSERT INTO metric (integration, event, kind, data, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?5)"
        " ON CONFLICT (integration, event, kind) DO UPDATE SET data = excluded.data, updated_at = excluded.updated_at",
        "ittti", id, event, kind, buf_str(&text), core_now(w->k));
    buf_done(&text);
    return rc;
}

static int need_metric(struct work *w, struct json metric)
{
    if (!json_is_str(json_get_c(metric, "eventId")) || !json_is_str(json_get_c(metric, "kindIdentifier")))
        return refuse_invalid(&w->r, "a metric must have 'eventId' and 'kindIdentifier', both string");
    return 0;
}

int api_metrics_post(struct work *w)
{
    int64_t id = integration_find(w, w->seg[0], BY_ANY);
    struct json in = id ? work_json(w) : JSON_NONE, list = json_get_c(in, "syncKindsMetrics");
    if (!in.v)
        return -1;
    if (!json_is_arr(list))
        return refuse_invalid(&w->r, "body must have required property 'syncKindsMetrics', an array");
    for (struct json_iter it = json_iter(list); json_next(&it);)
        if (need_metric(w, it.val) < 0)
            return -1;
    for (struct json_iter it = json_iter(list); json_next(&it);)
        if (put_metric(w, id, json_str(json_get_c(it.val, "eventId")), json_str(json_get_c(it.val, "kindIdentifier")),
                       it.val) < 0)
            return -1;
    return work_ok(w);
}

int api_metrics_put(struct work *w)
{
    int64_t id = integration_find(w, w->seg[0], BY_ANY);
    struct json in = id ? work_json(w) : JSON_NONE, metric = json_get_c(in, "syncKindMetrics");
    if (!in.v)
        return -1;
    if (!json_is_obj(metric))
        return refuse_invalid(&w->r, "body must have required property 'syncKindMetrics', an object");
    return put_metric(w, id, w->seg[1], w->seg[2], metric) < 0 ? -1 : work_ok(w);
}

int api_heartbeat(struct work *w)
{
    int64_t id = integration_find(w, w->seg[0], BY_ANY);
    struct json in = id ? work_json(w) : JSON_NONE, event = json_get_c(in, "eventId");
    if (!in.v)
        return -1;
    if (!json_is_str(event))
        return refuse_invalid(&w->r, "\"eventId\" must be string");
    if (q_exec(w->k, &w->r,
               "INSERT INTO heartbeat (integration, event, at, count) VALUES (?1, ?2, ?3, 1)"
               " ON CONFLICT (integration, event) DO UPDATE SET at = excluded.at, count = count + 1",
               "iti", id, json_str(event), core_now(w->k)) < 0)
        return -1;
    return work_ok(w);
}

static void write_times(struct jw *jw, int64_t created_at, int64_t updated_at)
{
    jw_key_c(jw, "createdAt");
    jw_instant(jw, created_at);
    jw_key_c(jw, "updatedAt");
    jw_instant(jw, updated_at);
}

static void write_metric(struct jw *jw, struct sqlite3_stmt *s)
{
    struct json_doc *doc = NULL;
    if (json_parse(q_text(s, 0), &doc, NULL) < 0)
        return;
    jw_obj(jw);
    for (struct json_iter it = json_iter(json_root(doc)); json_next(&it);) {
        jw_key(jw, it.key);
        jw_json(jw, it.val);
    }
    write_times(jw, q_num(s, 1), q_num(s, 2));
    jw_end_obj(jw);
    json_unref(doc);
}

int api_metrics_get(struct work *w)
{
    int64_t id = integration_find(w, w->seg[0], BY_ANY), n = 0;
    struct str event = STR_NULL;
    if (!id)
        return -1;
    work_param(w, "resyncId", 0, &event);
    struct sqlite3_stmt *s =
        q_open(w->k, &w->r,
               "SELECT data, created_at, updated_at FROM metric WHERE integration = ?1 AND event = COALESCE(?2,"
               " (SELECT event FROM metric WHERE integration = ?1 ORDER BY created_at DESC LIMIT 1)) ORDER BY "
               "created_at, kind",
               "it", id, event);
    struct jw jw = work_begin(w);
    jw_key_c(&jw, "data");
    jw_arr(&jw);
    int rc;
    for (; (rc = q_row(w->k, s, &w->r)) > 0; n++)
        write_metric(&jw, s);
    jw_end_arr(&jw);
    jw_key_c(&jw, "count");
    jw_int(&jw, n);
    work_end(w, &jw);
    return rc;
}

/* One row per resync: its state is that of its `__resync__` or `__runtime__` row if there is one. */
int api_syncs_get(struct work *w)
{
    int64_t id = integration_find(w, w->seg[0], BY_ANY), n = 0;
    if (!id)
        return -1;
    struct sqlite3_stmt *s =
        q_open(w->k, &w->r,
               "SELECT event, MIN(created_at), MAX(updated_at), data, MAX(kind = '__runtime__') FROM metric"
               " WHERE integration = ? GROUP BY event ORDER BY MIN(created_at) DESC",
               "i", id);
    struct jw jw = work_begin(w);
    jw_key_c(&jw, "data");
    jw_arr(&jw);
    int rc;
    for (; (rc = q_row(w->k, s, &w->r)) > 0; n++) {
        struct json_doc *doc = NULL;
        json_parse(q_text(s, 3), &doc, NULL);
        jw_obj(&jw);
        jw_key_c(&jw, "eventId");
        jw_str(&jw, q_text(s, 0));
        jw_key_c(&jw, "syncState");
        jw_json(&jw, json_get_c(json_root(doc), "syncState"));
        write_times(&jw, q_num(s, 1), q_num(s, 2));
        jw_end_obj(&jw);
        json_unref(doc);
    }
    jw_end_arr(&jw);
    jw_key_c(&jw, "count");
    jw_int(&jw, n);
    work_end(w, &jw);
    return rc;
}
