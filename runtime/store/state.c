/* The state file: small values and ordered lists in one SQLite database.
 *
 * All writes of one turn of the loop travel to the database's thread as one job (a batch of operations kept in order),
 * so that failing a thousand entities costs one commit. Reads first send what is pending, which keeps the order a
 * caller sees equal to the order of its calls. A batch that fails is logged once and remembered: the next read reports
 * it. */
#define LOG_GROUP "store.state"
#include "store/state.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/db.h"

#define APPLICATION_ID 0x4f525354 /* "ORST" */

static const char *const migrations[] = {
    "CREATE TABLE value (space TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,"
    "  PRIMARY KEY (space, key)) WITHOUT ROWID;"
    "CREATE TABLE item (list TEXT NOT NULL, row INTEGER NOT NULL, key BLOB NOT NULL, text BLOB NOT NULL,"
    "  PRIMARY KEY (list, row)) WITHOUT ROWID;",
    NULL,
};

enum op_kind { OP_PUT, OP_DELETE, OP_ADD, OP_CLEAR };

struct op {
    struct op *next;
    enum op_kind kind;
    char *space, *key; /* list name in `space` */
    struct key128 id;
    size_t n;
    char text[];
};

struct batch {
    struct db_job job;
    struct state *state;
    struct op *first, **last;
};

struct state {
    struct db *db;
    struct loop *loop;
    char *path;
    struct batch *pending;
    bool flush_queued;
    struct err failed; /* a write that failed since the last read */
};

/* Opening ------------------------------------------------------------------------------------------------------- */

static char *default_dir(void)
{
    const char *own = getenv("OCEAN_STATE"), *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    if (own && *own)
        return xstrdup(own);
    if (xdg && *xdg)
        return xasprintf("%s/ocean-run", xdg);
    return xasprintf("%s/.local/state/ocean-run", home && *home ? home : "/tmp");
}

static char *file_name(const char *dir, const char *identifier, const char *target)
{
    struct buf name;
    buf_init(&name, BUF_NO_LIMIT);
    for (const char *p = identifier; *p && name.n < 100; p++) {
        bool safe = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || *p == '-' ||
                    *p == '_' || (*p == '.' && name.n);
        buf_addc(&name, safe ? *p : '_');
    }
    struct hash128 h;
    hash128_init(&h);
    hash128_add_str(&h, str_of(identifier));
    hash128_add_str(&h, str_of(target));
    struct key128 k = hash128_end(&h);
    char *path = xasprintf("%s/%s-%016llx.db", dir, buf_cstr(&name), (unsigned long long)k.a);
    buf_done(&name);
    return path;
}

struct count_job {
    struct db_job job;
    bool fresh;
};

static int count_run(struct db *d, sqlite3 *h, struct db_job *job)
{
    sqlite3_stmt *s = db_stmt(d, "SELECT NOT EXISTS (SELECT 1 FROM value)", &job->err);
    if (!s)
        return job->err.code;
    if (sqlite3_step(s) != SQLITE_ROW)
        return db_error(h, &job->err, "reading the state file");
    ((struct count_job *)job)->fresh = sqlite3_column_int(s, 0);
    sqlite3_reset(s);
    return 0;
}

int state_open(struct loop *l, const char *dir, const char *identifier, const char *target, struct state **ret,
               bool *ret_new, struct err *e)
{
    char *folder = dir ? xstrdup(dir) : default_dir();
    struct state *s = xcalloc(1, sizeof(*s));
    s->loop = l;
    s->path = file_name(folder, identifier, target);
    free(folder);
    struct db_opts o = {.path = s->path,
                        .migrations = migrations,
                        .application_id = APPLICATION_ID,
                        .synchronous = 1,
                        .temp_files = true, /* a list is cleared at once, however long it is */
                        .exclusive = true};
    struct err mine = {0};
    struct count_job count = {.job = {.run = count_run}};
    int rc = db_open(l, &o, &s->db, &mine);
    if (rc == 0 && (rc = db_call(s->db, &count.job)) < 0)
        err_copy(&mine, &count.job.err);
    if (rc < 0) {
        db_close(s->db);
        free(s->path);
        free(s);
        err_copy(e, &mine);
        return e ? err_wrap(e, "state file") : rc;
    }
    if (ret_new)
        *ret_new = count.fresh;
    *ret = s;
    return 0;
}

const char *state_path(const struct state *s) { return s->path; }

/* Writing ------------------------------------------------------------------------------------------------------- */

static int run_op(struct db *d, sqlite3 *h, const struct op *op, struct err *e)
{
    static const char *const sql[] = {
        [OP_PUT] = "INSERT OR REPLACE INTO value (space, key, value) VALUES (?1, ?2, ?4)",
        [OP_DELETE] = "DELETE FROM value WHERE space = ?1 AND key = ?2",
        [OP_ADD] = ("INSERT INTO item (list, row, key, text)"
                    " VALUES (?1, (SELECT COALESCE(MAX(row), 0) + 1 FROM item WHERE list = ?1), ?3, ?4)"),
        [OP_CLEAR] = "DELETE FROM item WHERE list = ?1",
    };
    sqlite3_stmt *s = db_stmt(d, sql[op->kind], e);
    if (!s)
        return ERR_IO;
    sqlite3_bind_text(s, 1, op->space, -1, SQLITE_STATIC);
    if (op->key)
        sqlite3_bind_text(s, 2, op->key, -1, SQLITE_STATIC);
    if (op->kind == OP_ADD)
        sqlite3_bind_blob(s, 3, &op->id, sizeof(op->id), SQLITE_STATIC);
    if (op->kind == OP_PUT || op->kind == OP_ADD)
        sqlite3_bind_blob(s, 4, op->text, (int)op->n, SQLITE_STATIC);
    int rc = sqlite3_step(s) == SQLITE_DONE ? 0 : db_error(h, e, "writing the state file");
    sqlite3_reset(s);
    return rc;
}

static int batch_run(struct db *d, sqlite3 *h, struct db_job *job)
{
    for (const struct op *op = ((struct batch *)job)->first; op; op = op->next)
        if (run_op(d, h, op, &job->err) < 0)
            return job->err.code;
    return 0;
}

static void batch_free(struct batch *b)
{
    while (b->first) {
        struct op *op = b->first;
        b->first = op->next;
        free(op->space);
        free(op->key);
        free(op);
    }
    free(b);
}

static void batch_done(struct db_job *job)
{
    struct batch *b = (struct batch *)job;
    struct state *s = b->state;
    if (job->err.code && !s->failed.code) {
        err_copy(&s->failed, &job->err);
        log_error("%s: %s", s->path, job->err.msg);
    }
    batch_free(b);
}

static void flush(struct state *s)
{
    struct batch *b = s->pending;
    s->pending = NULL;
    if (b)
        db_submit(s->db, &b->job);
}

static void flush_turn(void *arg)
{
    struct state *s = arg;
    s->flush_queued = false;
    flush(s);
}

static void add_op(struct state *s, enum op_kind kind, const char *space, const char *key, struct key128 id,
                   struct str text)
{
    struct op *op = xmalloc(sizeof(*op) + text.n + 1);
    *op = (struct op){.kind = kind, .space = xstrdup(space), .key = key ? xstrdup(key) : NULL, .id = id, .n = text.n};
    if (text.n)
        memcpy(op->text, text.p, text.n);
    if (!s->pending) {
        s->pending = xcalloc(1, sizeof(*s->pending));
        s->pending->job = (struct db_job){.run = batch_run, .done = batch_done, .writes = true};
        s->pending->state = s;
        s->pending->last = &s->pending->first;
    }
    *s->pending->last = op;
    s->pending->last = &op->next;
    if (!s->flush_queued) {
        s->flush_queued = true;
        loop_defer(s->loop, flush_turn, s);
    }
}

void state_put(struct state *s, const char *space, const char *key, struct str value)
{
    add_op(s, value.p ? OP_PUT : OP_DELETE, space, key, (struct key128){0, 0}, value);
}

void state_list_add(struct state *s, const char *list, struct key128 key, struct str text)
{
    add_op(s, OP_ADD, list, NULL, key, text);
}

void state_list_clear(struct state *s, const char *list)
{
    add_op(s, OP_CLEAR, list, NULL, (struct key128){0, 0}, STR_NULL);
}

/* Reading ------------------------------------------------------------------------------------------------------- */

struct get {
    struct db_job job;
    struct state *state;
    char *space, *key;
    char *value;
    size_t n;
    void (*done)(void *arg, struct str value, const struct err *e);
    void *arg;
};

static int get_run(struct db *d, sqlite3 *h, struct db_job *job)
{
    struct get *g = (struct get *)job;
    sqlite3_stmt *s = db_stmt(d, "SELECT value FROM value WHERE space = ? AND key = ?", &job->err);
    if (!s)
        return job->err.code;
    sqlite3_bind_text(s, 1, g->space, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 2, g->key, -1, SQLITE_STATIC);
    int step = sqlite3_step(s);
    if (step == SQLITE_ROW) {
        g->n = (size_t)sqlite3_column_bytes(s, 0);
        g->value = xstrndup(sqlite3_column_blob(s, 0), g->n);
    }
    int rc = step == SQLITE_ROW || step == SQLITE_DONE ? 0 : db_error(h, &job->err, "reading the state file");
    sqlite3_reset(s);
    return rc;
}

/* Error of this read, or of a write before it. */
static const struct err *outcome(struct state *s, struct db_job *job, struct err *store)
{
    if (!job->err.code && s->failed.code) {
        err_copy(store, &s->failed);
        s->failed = (struct err){0};
        return store;
    }
    return job->err.code ? &job->err : NULL;
}

static void get_done(struct db_job *job)
{
    struct get *g = (struct get *)job;
    struct err store;
    g->done(g->arg, (struct str){g->value, g->n}, outcome(g->state, job, &store));
    free(g->space);
    free(g->key);
    free(g->value);
    free(g);
}

void state_get(struct state *s, const char *space, const char *key,
               void (*done)(void *arg, struct str value, const struct err *e), void *arg)
{
    struct get *g = xcalloc(1, sizeof(*g));
    *g = (struct get){.job = {.run = get_run, .done = get_done},
                      .state = s,
                      .space = xstrdup(space),
                      .key = xstrdup(key),
                      .done = done,
                      .arg = arg};
    flush(s);
    db_submit(s->db, &g->job);
}

struct keys_read {
    struct db_job job;
    struct state *state;
    char *space;
    struct str *keys;
    size_t n;
    void (*done)(void *arg, const struct str *keys, size_t n, const struct err *e);
    void *arg;
};

static int keys_run(struct db *d, sqlite3 *h, struct db_job *job)
{
    struct keys_read *r = (struct keys_read *)job;
    sqlite3_stmt *s = db_stmt(d, "SELECT key FROM value WHERE space = ? ORDER BY key", &job->err);
    if (!s)
        return job->err.code;
    sqlite3_bind_text(s, 1, r->space, -1, SQLITE_STATIC);
    int step;
    while ((step = sqlite3_step(s)) == SQLITE_ROW) {
        size_t n = (size_t)sqlite3_column_bytes(s, 0);
        r->keys = xrealloc(r->keys, (r->n + 1) * sizeof(*r->keys));
        r->keys[r->n++] = (struct str){xstrndup((const char *)sqlite3_column_text(s, 0), n), n};
    }
    int rc = step == SQLITE_DONE ? 0 : db_error(h, &job->err, "reading the state file");
    sqlite3_reset(s);
    return rc;
}

static void keys_done(struct db_job *job)
{
    struct keys_read *r = (struct keys_read *)job;
    struct err store;
    r->done(r->arg, r->keys, r->n, outcome(r->state, job, &store));
    for (size_t i = 0; i < r->n; i++)
        free((char *)(uintptr_t)r->keys[i].p);
    free(r->keys);
    free(r->space);
    free(r);
}

void state_keys(struct state *s, const char *space,
                void (*done)(void *arg, const struct str *keys, size_t n, const struct err *e), void *arg)
{
    struct keys_read *r = xcalloc(1, sizeof(*r));
    *r = (struct keys_read){.job = {.run = keys_run, .done = keys_done},
                            .state = s,
                            .space = xstrdup(space),
                            .done = done,
                            .arg = arg};
    flush(s);
    db_submit(s->db, &r->job);
}

struct list_read {
    struct db_job job;
    struct state *state;
    char *list;
    int64_t after;
    size_t limit, n;
    struct state_row *rows;
    void (*done)(void *arg, const struct state_row *rows, size_t n, const struct err *e);
    void *arg;
};

static int list_run(struct db *d, sqlite3 *h, struct db_job *job)
{
    struct list_read *r = (struct list_read *)job;
    sqlite3_stmt *s =
        db_stmt(d, "SELECT row, key, text FROM item WHERE list = ? AND row > ? ORDER BY row LIMIT ?", &job->err);
    if (!s)
        return job->err.code;
    sqlite3_bind_text(s, 1, r->list, -1, SQLITE_STATIC);
    sqlite3_bind_int64(s, 2, r->after);
    sqlite3_bind_int64(s, 3, (sqlite3_int64)r->limit);
    r->rows = xcalloc(r->limit, sizeof(*r->rows));
    int step;
    while ((step = sqlite3_step(s)) == SQLITE_ROW && r->n < r->limit) {
        struct state_row *row = &r->rows[r->n++];
        row->row = sqlite3_column_int64(s, 0);
        if (sqlite3_column_bytes(s, 1) == (int)sizeof(row->key))
            memcpy(&row->key, sqlite3_column_blob(s, 1), sizeof(row->key));
        size_t n = (size_t)sqlite3_column_bytes(s, 2);
        row->text = (struct str){xstrndup(sqlite3_column_blob(s, 2), n), n};
    }
    int rc = step == SQLITE_DONE || step == SQLITE_ROW ? 0 : db_error(h, &job->err, "reading the state file");
    sqlite3_reset(s);
    return rc;
}

static void list_done(struct db_job *job)
{
    struct list_read *r = (struct list_read *)job;
    struct err store;
    r->done(r->arg, r->rows, r->n, outcome(r->state, job, &store));
    for (size_t i = 0; i < r->n; i++)
        free((char *)(uintptr_t)r->rows[i].text.p);
    free(r->rows);
    free(r->list);
    free(r);
}

void state_list_read(struct state *s, const char *list, int64_t after, size_t limit,
                     void (*done)(void *arg, const struct state_row *rows, size_t n, const struct err *e), void *arg)
{
    struct list_read *r = xcalloc(1, sizeof(*r));
    *r = (struct list_read){.job = {.run = list_run, .done = list_done},
                            .state = s,
                            .list = xstrdup(list),
                            .after = after,
                            .limit = limit ? limit : 1,
                            .done = done,
                            .arg = arg};
    flush(s);
    db_submit(s->db, &r->job);
}

void state_close(struct state *s)
{
    if (!s)
        return;
    flush(s);
    db_close(s->db);
    if (s->pending) /* written by a callback of the last reads: too late */
        batch_free(s->pending);
    loop_forget(s->loop, flush_turn, s);
    free(s->path);
    free(s);
}
