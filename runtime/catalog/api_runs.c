/* Runs of actions and of workflow nodes (E-40, E-41): the control API makes them, agents claim, acknowledge and end them.
 * A claim hides a run for a while; all claims run on the database's one thread, so that two never get the same run
 * (port-api P-191). The document is kept as text; what claims look for are columns. */
#include "catalog/routes.h"

#include <string.h>

#include "json/write.h"

#define LIMIT_CLAIM 1000
#define LIMIT_HIDDEN_MS 600000
#define LIMIT_RUNS 1000
#define LIMIT_RUN_LOGS 50

/* What differs between the two. */
struct family {
    bool workflow;
    const char *list, *one, *id_key, *noun;
    const char *const *statuses, *const *members; /* NULL ends; statuses[0] is the one of a run under way */
};

static const struct family actions = {
    false, "runs", "run", "id", "Action run",
    (const char *const[]){"IN_PROGRESS", "SUCCESS", "FAILURE", NULL},
    (const char *const[]){"status", "statusLabel", "link", "summary", "externalRunId", NULL},
};
static const struct family nodes = {
    true, "nodeRuns", "nodeRun", "identifier", "Node run",
    (const char *const[]){"IN_PROGRESS", "COMPLETED", NULL},
    (const char *const[]){"status", "result", "output", "links", "externalRunId", "statusLabel", "reauthRequired", NULL},
};

struct run {
    int64_t row, acked;
    struct str doc; /* in the arena */
};

static int find(struct work *w, const struct family *f, struct str id, struct run *ret)
{
    struct sqlite3_stmt *s =
        q_open(w->k, &w->r, "SELECT id, acked, doc FROM run WHERE workflow = ? AND identifier = ?", "it",
               (int64_t)f->workflow, id);
    int rc = q_row(w->k, s, &w->r);
    if (rc == 0)
        return refuse(&w->r, 404, "not_found", "%s with identifier \"%.*s\" was not found", f->noun, STR_FMT(id));
    if (rc < 0)
        return -1;
    *ret = (struct run){q_num(s, 0), q_num(s, 1), arena_str(w->a, q_text(s, 2))};
    q_close(s);
    return 0;
}

static int answer_run(struct work *w, const struct family *f, struct str doc)
{
    struct jw jw = work_begin(w);
    jw_key(&jw, str_of(f->one));
    jw_raw(&jw, doc);
    work_end(w, &jw);
    return 0;
}

static void write_instant(struct jw *jw, const char *key, int64_t at)
{
    jw_key(jw, str_of(key));
    jw_instant(jw, at);
}

static bool one_of(const char *const *words, struct str s)
{
    while (*words && !str_is(s, *words))
        words++;
    return *words != NULL;
}

/* Making -------------------------------------------------------------------------------------------------------- */

static void write_default(struct jw *jw, struct json in, const char *key, const char *text)
{
    if (json_get(in, str_of(key)).v)
        return;
    jw_key(jw, str_of(key));
    jw_raw(jw, str_of(text));
}

/* Installation and selector (what `exclude` names) of a new run. */
static int read_new(struct work *w, const struct family *f, struct json in, struct str *installation, struct str *selector)
{
    const char *part = f->workflow ? "config" : "payload";
    struct json where = json_get(in, str_of(part)), id = json_get(in, str_of(f->id_key));
    *installation = json_str(json_get_c(where, "installationId"));
    *selector = f->workflow ? json_str(json_get_c(in, "nodeUid"))
                            : json_str(json_get_c(json_get_c(in, "action"), "identifier"));
    if (!installation->n)
        return refuse_invalid(&w->r, "\"%s/installationId\" must be string", part);
    if (id.v && !json_str(id).n)
        return refuse_invalid(&w->r, "\"%s\" must be string", f->id_key);
    return 0;
}

static int insert(struct work *w, const struct family *f, struct json in, struct str *ret_doc)
{
    char made[24] = "run_";
    struct str installation, selector, id = json_str(json_get(in, str_of(f->id_key)));
    int64_t now = core_now(w->k), taken;
    if (read_new(w, f, in, &installation, &selector) < 0)
        return -1;
    if (!id.n) {
        random_id(made + 4, 16);
        id = str_of(arena_printf(w->a, "%s", made));
    }
    if (q_int(w->k, &w->r, &taken, 0, "SELECT COUNT(*) FROM run WHERE workflow = ? AND identifier = ?", "it",
              (int64_t)f->workflow, id) < 0)
        return -1;
    if (taken)
        return refuse(&w->r, 409, "identifier_taken", "%s with identifier \"%.*s\" already exists", f->noun, STR_FMT(id));
    struct buf doc;
    buf_init(&doc, LIMIT_ANSWER);
    struct jw jw = jw_on(&doc);
    jw_obj(&jw);
    jw_key(&jw, str_of(f->id_key));
    jw_str(&jw, id);
    for (struct json_iter it = json_iter(in); json_next(&it);) {
        if (str_is(it.key, f->id_key) || str_is(it.key, "createdAt") || str_is(it.key, "updatedAt"))
            continue;
        jw_key(&jw, it.key);
        jw_json(&jw, it.val);
    }
    write_default(&jw, in, "status", "\"IN_PROGRESS\"");
    write_default(&jw, in, f->workflow ? "output" : "properties", "{}");
    write_instant(&jw, "createdAt", now);
    write_instant(&jw, "updatedAt", now);
    jw_end_obj(&jw);
    *ret_doc = arena_str(w->a, buf_str(&doc));
    buf_done(&doc);
    struct str status = json_str(json_get_c(in, "status"));
    return q_exec(w->k, &w->r,
                  "INSERT INTO run (workflow, identifier, installation, selector, external, ended, doc)"
                  " VALUES (?, ?, ?, ?, ?, ?, ?)",
                  "ittttit", (int64_t)f->workflow, id, installation, selector,
                  json_str(json_get_c(in, "externalRunId")), (int64_t)(status.n && !str_is(status, f->statuses[0])),
                  *ret_doc);
}

int runs_seed(struct work *w, struct json list, bool workflow)
{
    struct str doc;
    for (struct json_iter it = json_iter(list); json_next(&it);)
        if (insert(w, workflow ? &nodes : &actions, it.val, &doc) < 0)
            return -1;
    return 0;
}

static int create(struct work *w, const struct family *f)
{
    struct str doc;
    struct json in = work_json(w);
    if (!in.v || insert(w, f, in, &doc) < 0)
        return -1;
    w->status = 201;
    return answer_run(w, f, doc);
}

int control_action_run(struct work *w) { return create(w, &actions); }
int control_node_run(struct work *w) { return create(w, &nodes); }

/* Claiming ------------------------------------------------------------------------------------------------------ */

static int need_count(struct work *w, struct json in, const char *key, int64_t least, int64_t most, int64_t *ret)
{
    if (!json_int64(json_get(in, str_of(key)), ret) || *ret < least || *ret > most)
        return refuse_invalid(&w->r, "\"%s\" must be integer from %lld to %lld", key, (long long)least, (long long)most);
    return 0;
}

static bool excluded(struct json exclude, struct str selector)
{
    for (struct json_iter it = json_iter(exclude); json_next(&it);)
        if (str_eq(json_str(it.val), selector))
            return true;
    return false;
}

static int claim(struct work *w, const struct family *f)
{
    struct json in = work_json(w), exclude = json_get_c(in, "exclude");
    struct str installation = json_str(json_get_c(in, "installationId"));
    int64_t limit, hide_ms, now = core_now(w->k), *rows, n = 0;
    if (!in.v)
        return -1;
    if (!installation.n)
        return refuse_invalid(&w->r, "\"installationId\" must be string");
    if (!json_is_nil(exclude) && !json_is_arr(exclude))
        return refuse_invalid(&w->r, "\"exclude\" must be array");
    if (need_count(w, in, "limit", 1, LIMIT_CLAIM, &limit) < 0 ||
        need_count(w, in, "visibilityTimeoutMs", 0, LIMIT_HIDDEN_MS, &hide_ms) < 0)
        return -1;
    rows = arena_alloc(w->a, (size_t)limit * sizeof(*rows));
    struct sqlite3_stmt *s = q_open(w->k, &w->r,
                                    "SELECT id, selector, doc FROM run WHERE workflow = ? AND installation = ? AND NOT ended"
                                    " AND NOT acked AND hidden_until <= ? ORDER BY id",
                                    "iti", (int64_t)f->workflow, installation, now);
    struct jw jw = work_begin(w);
    jw_key(&jw, str_of(f->list));
    jw_arr(&jw);
    int rc = 0;
    while (n < limit && (rc = q_row(w->k, s, &w->r)) > 0) {
        if (excluded(exclude, q_text(s, 1)))
            continue;
        rows[n++] = q_num(s, 0);
        jw_raw(&jw, q_text(s, 2));
    }
    if (rc > 0)
        q_close(s);
    if (rc < 0)
        return -1;
    jw_end_arr(&jw);
    work_end(w, &jw);
    for (int64_t i = 0; i < n; i++)
        if (q_exec(w->k, &w->r, "UPDATE run SET hidden_until = ?2 WHERE id = ?1", "ii", rows[i], now + hide_ms * 1000) < 0)
            return -1;
    return 0;
}

int api_actions_claim(struct work *w) { return claim(w, &actions); }
int api_nodes_claim(struct work *w) { return claim(w, &nodes); }

/* Acknowledges one run: 1 done, 0 it was before, -1 refused. */
static int acknowledge(struct work *w, const struct family *f, struct json id)
{
    struct run run;
    if (!json_is_str(id))
        return refuse_invalid(&w->r, "\"%s\" must be string", f->workflow ? "nodeRunIdentifier" : "runId");
    if (find(w, f, json_str(id), &run) < 0)
        return -1;
    if (run.acked)
        return 0;
    return q_exec(w->k, &w->r, "UPDATE run SET acked = 1 WHERE id = ?", "i", run.row) < 0 ? -1 : 1;
}

static int refuse_acknowledged(struct work *w, const struct family *f)
{
    return refuse(&w->r, 409, "already_acknowledged", "%s was acknowledged before", f->noun);
}

int api_actions_ack(struct work *w)
{
    struct json in = work_json(w), list = json_get_c(in, "runIds");
    int64_t n = 0;
    if (!in.v)
        return -1;
    if (json_is_arr(list)) {
        for (struct json_iter it = json_iter(list); json_next(&it);) {
            int rc = acknowledge(w, &actions, it.val);
            if (rc < 0)
                return -1;
            n += rc;
        }
    } else {
        n = acknowledge(w, &actions, json_get_c(in, "runId"));
        if (n < 0)
            return -1;
    }
    if (n == 0)
        return refuse_acknowledged(w, &actions);
    struct jw jw = work_begin(w);
    jw_key_c(&jw, "ackedCount");
    jw_int(&jw, n);
    work_end(w, &jw);
    return 0;
}

int api_nodes_ack(struct work *w)
{
    struct json in = work_json(w);
    int rc = in.v ? acknowledge(w, &nodes, json_get_c(in, "nodeRunIdentifier")) : -1;
    if (rc <= 0)
        return rc < 0 ? -1 : refuse_acknowledged(w, &nodes);
    struct jw jw = work_begin(w);
    jw_key_c(&jw, "acked");
    jw_bool(&jw, true);
    work_end(w, &jw);
    return 0;
}

/* Changing ------------------------------------------------------------------------------------------------------ */

static int check_patch(struct work *w, const struct family *f, struct json in)
{
    static const char *const results[] = {"SUCCESS", "FAILED", "CANCELLED", NULL};
    struct json status = json_get_c(in, "status"), result = json_get_c(in, "result");
    if (status.v && !one_of(f->statuses, json_str(status)))
        return refuse_invalid(&w->r, "\"status\" must be equal to one of the allowed values: %s, %s%s%s", f->statuses[0],
                              f->statuses[1], f->statuses[2] ? ", " : "", f->statuses[2] ? f->statuses[2] : "");
    if (f->workflow && result.v && !one_of(results, json_str(result)))
        return refuse_invalid(&w->r, "\"result\" must be equal to one of the allowed values: SUCCESS, FAILED, CANCELLED");
    struct json label = json_get_c(in, "statusLabel");
    if (f->workflow && label.v && !json_is_obj(label) && !json_is_null(label))
        return refuse_invalid(&w->r, "\"statusLabel\" must be object");
    if (!f->workflow && label.v && !json_is_str(label) && !json_is_null(label))
        return refuse_invalid(&w->r, "\"statusLabel\" must be string");
    return 0;
}

/* Stores the given members; those a client may not set stay as they are. */
static int change(struct work *w, const struct family *f, struct run *run, struct json in)
{
    struct json_doc *old = NULL;
    struct buf doc;
    int64_t now = core_now(w->k);
    struct json status = json_get_c(in, "status");
    if (json_parse(run->doc, &old, NULL) < 0)
        return refuse(&w->r, 500, "internal_error", "a stored run is not JSON");
    bool ended = !str_is(json_str(status.v ? status : json_get_c(json_root(old), "status")), f->statuses[0]);
    buf_init(&doc, LIMIT_ANSWER);
    struct jw jw = jw_on(&doc);
    jw_obj(&jw);
    for (struct json_iter it = json_iter(json_root(old)); json_next(&it);) {
        bool settable = one_of(f->members, it.key);
        struct json given = settable ? json_get(in, it.key) : JSON_NONE;
        if (str_is(it.key, "updatedAt") || (str_is(it.key, "endedAt") && status.v))
            continue;
        jw_key(&jw, it.key);
        jw_json(&jw, given.v ? given : it.val);
    }
    for (const char *const *m = f->members; *m; m++) {
        struct json given = json_get(in, str_of(*m));
        if (!given.v || json_get(json_root(old), str_of(*m)).v)
            continue;
        jw_key(&jw, str_of(*m));
        jw_json(&jw, given);
    }
    write_instant(&jw, "updatedAt", now);
    if (ended && status.v)
        write_instant(&jw, "endedAt", now);
    jw_end_obj(&jw);
    run->doc = arena_str(w->a, buf_str(&doc));
    buf_done(&doc);
    json_unref(old);
    return q_exec(w->k, &w->r, "UPDATE run SET doc = ?2, ended = ?3, external = COALESCE(?4, external) WHERE id = ?1", "itit",
                  run->row, run->doc, (int64_t)ended, json_str(json_get_c(in, "externalRunId")));
}

static int patch(struct work *w, const struct family *f)
{
    struct run run;
    struct json in = work_json(w);
    if (!in.v || find(w, f, w->seg[0], &run) < 0 || check_patch(w, f, in) < 0 || change(w, f, &run, in) < 0)
        return -1;
    return answer_run(w, f, run.doc);
}

int api_action_run_patch(struct work *w) { return patch(w, &actions); }
int api_node_run_patch(struct work *w) { return patch(w, &nodes); }

/* Reading ------------------------------------------------------------------------------------------------------- */

int api_action_run_get(struct work *w)
{
    struct run run;
    return find(w, &actions, w->seg[0], &run) < 0 ? -1 : answer_run(w, &actions, run.doc);
}

/* P-199: `config` moves into `node`. */
static void write_with_node(struct jw *jw, struct str doc)
{
    struct json_doc *d = NULL;
    if (json_parse(doc, &d, NULL) < 0)
        return;
    jw_obj(jw);
    for (struct json_iter it = json_iter(json_root(d)); json_next(&it);) {
        bool config = str_is(it.key, "config");
        jw_key(jw, config ? STR("node") : it.key);
        if (config) {
            jw_obj(jw);
            jw_key_c(jw, "config");
        }
        jw_json(jw, it.val);
        if (config)
            jw_end_obj(jw);
    }
    jw_end_obj(jw);
    json_unref(d);
}

static int list_runs(struct work *w, const struct family *f)
{
    struct str external = STR_NULL, include;
    int64_t limit;
    bool with_node = false;
    work_param(w, "external_run_id", 0, &external);
    for (size_t i = 0; work_param(w, "include", i, &include); i++)
        with_node |= f->workflow && str_is(include, "nodeConfig");
    if (work_limit(w, LIMIT_RUNS, LIMIT_RUNS, &limit) < 0)
        return -1;
    struct sqlite3_stmt *s =
        q_open(w->k, &w->r,
               "SELECT doc FROM run WHERE workflow = ?1 AND (?2 IS NULL OR external = ?2) ORDER BY id DESC LIMIT ?3", "iti",
               (int64_t)f->workflow, external, limit);
    struct jw jw = work_begin(w);
    jw_key(&jw, str_of(f->list));
    jw_arr(&jw);
    int rc;
    while ((rc = q_row(w->k, s, &w->r)) > 0) {
        if (with_node)
            write_with_node(&jw, q_text(s, 0));
        else
            jw_raw(&jw, q_text(s, 0));
    }
    jw_end_arr(&jw);
    work_end(w, &jw);
    return rc;
}

int api_action_runs_get(struct work *w) { return list_runs(w, &actions); }
int api_node_runs_get(struct work *w) { return list_runs(w, &nodes); }

/* Logs ---------------------------------------------------------------------------------------------------------- */

static int store_log(struct work *w, struct run *run, struct str doc)
{
    return q_exec(w->k, &w->r, "INSERT INTO run_log (run, doc) VALUES (?, ?)", "it", run->row, doc);
}

int api_action_log_post(struct work *w)
{
    struct run run;
    struct json in = work_json(w), message = json_get_c(in, "message"), end = json_get_c(in, "terminationStatus");
    struct json label = json_get_c(in, "statusLabel");
    char id[24] = "log_";
    if (!in.v || find(w, &actions, w->seg[0], &run) < 0)
        return -1;
    if (!json_is_str(message))
        return refuse_invalid(&w->r, "\"message\" must be string");
    if (!json_is_nil(end) && !one_of(actions.statuses + 1, json_str(end)))
        return refuse_invalid(&w->r, "\"terminationStatus\" must be SUCCESS or FAILURE");
    random_id(id + 4, 16);
    struct buf doc, as_patch;
    buf_init(&doc, LIMIT_ANSWER);
    struct jw jw = jw_on(&doc);
    jw_obj(&jw);
    jw_key_c(&jw, "id");
    jw_cstr(&jw, id);
    jw_key_c(&jw, "runId");
    jw_str(&jw, w->seg[0]);
    jw_key_c(&jw, "message");
    jw_json(&jw, message);
    jw_key_c(&jw, "createdBy");
    jw_str(&jw, w->client);
    write_instant(&jw, "createdAt", core_now(w->k));
    jw_end_obj(&jw);
    int rc = store_log(w, &run, buf_str(&doc));
    if (rc == 0 && (!json_is_nil(end) || !json_is_nil(label))) { /* as if the run had been patched with both */
        struct json_doc *p = NULL;
        buf_init(&as_patch, LIMIT_ANSWER);
        struct jw pw = jw_on(&as_patch);
        jw_obj(&pw);
        if (!json_is_nil(end)) {
            jw_key_c(&pw, "status");
            jw_json(&pw, end);
        }
        if (!json_is_nil(label)) {
            jw_key_c(&pw, "statusLabel");
            jw_json(&pw, label);
        }
        jw_end_obj(&pw);
        rc = json_parse(buf_str(&as_patch), &p, NULL) < 0 || check_patch(w, &actions, json_root(p)) < 0 ||
                     change(w, &actions, &run, json_root(p)) < 0
                 ? -1
                 : 0;
        json_unref(p);
        buf_done(&as_patch);
    }
    w->status = 201;
    struct jw out = work_begin(w);
    jw_key_c(&out, "runLog");
    jw_raw(&out, buf_str(&doc));
    work_end(w, &out);
    buf_done(&doc);
    return rc;
}

int api_action_logs_get(struct work *w)
{
    struct run run;
    int64_t limit, offset;
    if (find(w, &actions, w->seg[0], &run) < 0 || work_limit(w, LIMIT_RUN_LOGS, LIMIT_RUN_LOGS, &limit) < 0 ||
        work_number(w, "offset", 0, &offset) < 0)
        return -1;
    if (offset < 0)
        return refuse_invalid(&w->r, "\"query/offset\" must not be negative");
    struct sqlite3_stmt *s = q_open(w->k, &w->r, "SELECT doc FROM run_log WHERE run = ? ORDER BY id LIMIT ? OFFSET ?", "iii",
                                    run.row, limit, offset);
    return work_documents(w, "runLogs", s);
}

int api_node_log_post(struct work *w)
{
    static const char *const levels[] = {"INFO", "WARN", "ERROR", "DEBUG", NULL};
    struct run run;
    struct json in = work_json(w), list = json_get_c(in, "logs");
    struct buf doc;
    size_t n = 0;
    if (!in.v || find(w, &nodes, w->seg[0], &run) < 0)
        return -1;
    if (!json_is_arr(list))
        return refuse_invalid(&w->r, "body must have required property 'logs', an array");
    for (struct json_iter it = json_iter(list); json_next(&it); n++)
        if (!one_of(levels, json_str(json_get_c(it.val, "level"))) || !json_is_str(json_get_c(it.val, "message")))
            return refuse_invalid(&w->r, "\"logs/%zu\" must have 'level', one of INFO, WARN, ERROR, DEBUG, and 'message'", n);
    buf_init(&doc, LIMIT_ANSWER);
    int rc = 0;
    for (struct json_iter it = json_iter(list); rc == 0 && json_next(&it);) {
        buf_reset(&doc);
        json_write(&doc, it.val);
        rc = store_log(w, &run, buf_str(&doc));
    }
    buf_done(&doc);
    w->status = 201;
    return rc < 0 ? -1 : work_ok(w);
}
