/* Every call is one job of the database's thread. What is added is read from the caller's memory there; what is read is
 * copied into one buffer, in which texts are offsets until it stopped growing.
 *
 * Entries have no index while they are added: random names would write the whole index again and again. spool_sort
 * builds it once, by SQLite's sorter, which goes to a file by itself. */
#define LOG_GROUP "store.spool"
#include "store/spool.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "store/db.h"

#define READ_BYTES ((size_t)4 << 20)

static const char *const migrations[] = {
    "CREATE TABLE entry (seq INTEGER PRIMARY KEY, grp BLOB NOT NULL, name BLOB NOT NULL, kind INTEGER NOT NULL,"
    "  slot INTEGER NOT NULL, flags INTEGER NOT NULL, key BLOB NOT NULL, body BLOB, after BLOB, before BLOB);"
    "CREATE TABLE name (list INTEGER NOT NULL, grp BLOB NOT NULL, name BLOB NOT NULL, PRIMARY KEY (list, grp, name))"
    "  WITHOUT ROWID;"
    "CREATE TABLE line (number INTEGER PRIMARY KEY, text BLOB NOT NULL);",
    NULL,
};

struct spool {
    struct db *db;
};

int spool_open(struct loop *l, const char *path, struct spool **ret, struct err *e)
{
    struct db_opts o = {.path = path, .migrations = migrations, .scratch = true};
    struct spool *s = xcalloc(1, sizeof(*s));
    int rc = db_open(l, &o, &s->db, e);
    if (rc < 0)
        free(s);
    else
        *ret = s;
    return rc;
}

void spool_close(struct spool *s)
{
    if (!s)
        return;
    db_close(s->db);
    free(s);
}

static void bind(sqlite3_stmt *s, int at, struct str v)
{
    if (!v.p)
        sqlite3_bind_null(s, at);
    else if (v.n)
        sqlite3_bind_blob64(s, at, v.p, v.n, SQLITE_STATIC);
    else
        sqlite3_bind_zeroblob(s, at, 0);
}

static int step(sqlite3 *h, sqlite3_stmt *s, struct err *e)
{
    int rc = sqlite3_step(s) == SQLITE_DONE ? 0 : db_error(h, e, "writing the plan's file");
    sqlite3_reset(s);
    return rc;
}

/* Writing ---------------------------------------------------------------------------------------------------------- */

struct writing {
    struct db_job job;
    const void *list;
    size_t n;
    int number;
    spool_done_fn done;
    void *arg;
};

static void written(struct db_job *job)
{
    struct writing w = *(struct writing *)job;
    free(job);
    if (w.done)
        w.done(w.arg, w.job.err.code ? &w.job.err : NULL);
}

static void submit(struct spool *s, int (*run)(struct db *, sqlite3 *, struct db_job *), const void *list, size_t n,
                   int number, spool_done_fn done, void *arg)
{
    struct writing *w = xcalloc(1, sizeof(*w));
    *w = (struct writing){
        .job = {.run = run, .done = written, .writes = true}, .list = list, .n = n, .number = number, .done = done, .arg = arg};
    db_submit(s->db, &w->job);
}

static int entries_run(struct db *d, sqlite3 *h, struct db_job *job)
{
    const struct writing *w = (struct writing *)job;
    const struct spool_entry *list = w->list;
    for (size_t i = 0; i < w->n; i++) {
        const struct spool_entry *x = &list[i];
        sqlite3_stmt *s = db_stmt(d,
                                  "INSERT INTO entry (grp, name, kind, slot, flags, key, body, after, before)"
                                  " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                                  &job->err);
        if (!s)
            return job->err.code;
        bind(s, 1, x->group);
        bind(s, 2, x->name);
        sqlite3_bind_int(s, 3, x->kind);
        sqlite3_bind_int(s, 4, x->slot);
        sqlite3_bind_int64(s, 5, x->flags);
        sqlite3_bind_blob(s, 6, &x->key, sizeof(x->key), SQLITE_STATIC);
        bind(s, 7, x->body);
        bind(s, 8, x->after);
        bind(s, 9, x->before);
        if (step(h, s, &job->err) < 0)
            return job->err.code;
    }
    return 0;
}

void spool_add(struct spool *s, const struct spool_entry *entries, size_t n, spool_done_fn done, void *arg)
{
    submit(s, entries_run, entries, n, 0, done, arg);
}

static int names_run(struct db *d, sqlite3 *h, struct db_job *job)
{
    const struct writing *w = (struct writing *)job;
    const struct spool_name *list = w->list;
    for (size_t i = 0; i < w->n; i++) {
        sqlite3_stmt *s = db_stmt(d, "INSERT OR IGNORE INTO name (list, grp, name) VALUES (?, ?, ?)", &job->err);
        if (!s)
            return job->err.code;
        sqlite3_bind_int(s, 1, w->number);
        bind(s, 2, list[i].group);
        bind(s, 3, list[i].name);
        if (step(h, s, &job->err) < 0)
            return job->err.code;
    }
    return 0;
}

void spool_add_names(struct spool *s, int list, const struct spool_name *names, size_t n, spool_done_fn done, void *arg)
{
    submit(s, names_run, names, n, list, done, arg);
}

static int lines_run(struct db *d, sqlite3 *h, struct db_job *job)
{
    const struct writing *w = (struct writing *)job;
    const struct str *list = w->list;
    for (size_t i = 0; i < w->n; i++) {
        sqlite3_stmt *s = db_stmt(d, "INSERT INTO line (text) VALUES (?)", &job->err);
        if (!s)
            return job->err.code;
        bind(s, 1, list[i]);
        if (step(h, s, &job->err) < 0)
            return job->err.code;
    }
    return 0;
}

void spool_add_lines(struct spool *s, const struct str *lines, size_t n, spool_done_fn done, void *arg)
{
    submit(s, lines_run, lines, n, 0, done, arg);
}

static int sort_run(struct db *d, sqlite3 *h, struct db_job *job)
{
    sqlite3_stmt *s = db_stmt(d, "CREATE INDEX IF NOT EXISTS entry_by_name ON entry (grp, name, seq)", &job->err);
    return s ? step(h, s, &job->err) : job->err.code;
}

void spool_sort(struct spool *s, spool_done_fn done, void *arg) { submit(s, sort_run, NULL, 0, 0, done, arg); }

struct dropping {
    struct db_job job;
    size_t n;
    int64_t seqs[];
};

static int drop_run(struct db *d, sqlite3 *h, struct db_job *job)
{
    const struct dropping *x = (struct dropping *)job;
    for (size_t i = 0; i < x->n; i++) {
        sqlite3_stmt *s = db_stmt(d, "DELETE FROM entry WHERE seq = ?", &job->err);
        if (!s)
            return job->err.code;
        sqlite3_bind_int64(s, 1, x->seqs[i]);
        if (step(h, s, &job->err) < 0)
            return job->err.code;
    }
    return 0;
}

static void dropped(struct db_job *job) { free(job); }

void spool_drop(struct spool *s, const int64_t *seqs, size_t n)
{
    struct dropping *x = xcalloc(1, sizeof(*x) + n * sizeof(*seqs));
    x->job = (struct db_job){.run = drop_run, .done = dropped, .writes = true};
    x->n = n;
    if (n)
        memcpy(x->seqs, seqs, n * sizeof(*seqs));
    db_submit(s->db, &x->job);
}

/* Reading ---------------------------------------------------------------------------------------------------------- */

enum what { ENTRIES_SORTED, ENTRIES, NAMES, LINES };

struct reading {
    struct db_job job;
    enum what what;
    bool from_start;
    char *group, *name; /* read on behind these */
    size_t group_n, name_n;
    int64_t after;
    int number;
    size_t limit, n, cap;
    union {
        struct spool_entry *entries;
        struct spool_name *names;
        struct spool_line *lines;
        void *any;
    } to;
    struct buf texts;
    union {
        spool_entries_fn entries;
        void (*names)(void *arg, const struct spool_name *names, size_t n, const struct err *e);
        void (*lines)(void *arg, const struct spool_line *lines, size_t n, const struct err *e);
    } done;
    void *arg;
};

/* A text as an offset into `texts`, which may still move. */
static struct str take(struct reading *r, sqlite3_stmt *s, int column)
{
    if (sqlite3_column_type(s, column) == SQLITE_NULL)
        return STR_NULL;
    size_t n = (size_t)sqlite3_column_bytes(s, column), at = r->texts.n;
    const void *p = sqlite3_column_blob(s, column);
    if (n)
        buf_add(&r->texts, p, n);
    return (struct str){(const char *)(uintptr_t)(at + 1), n};
}

static void place(const struct reading *r, struct str *s)
{
    if (s->p)
        s->p = r->texts.p ? r->texts.p + ((uintptr_t)s->p - 1) : "";
}

static void read_entry(struct reading *r, sqlite3_stmt *s)
{
    struct spool_entry *x = &r->to.entries[r->n];
    *x = (struct spool_entry){
        .seq = sqlite3_column_int64(s, 0),
        .group = take(r, s, 1),
        .name = take(r, s, 2),
        .kind = sqlite3_column_int(s, 3),
        .slot = sqlite3_column_int(s, 4),
        .flags = (unsigned)sqlite3_column_int64(s, 5),
        .body = take(r, s, 7),
        .after = take(r, s, 8),
        .before = take(r, s, 9),
    };
    if (sqlite3_column_bytes(s, 6) == (int)sizeof(x->key))
        memcpy(&x->key, sqlite3_column_blob(s, 6), sizeof(x->key));
}

static void read_row(struct reading *r, sqlite3_stmt *s)
{
    static const size_t sizes[] = {
        [ENTRIES_SORTED] = sizeof(struct spool_entry),
        [ENTRIES] = sizeof(struct spool_entry),
        [NAMES] = sizeof(struct spool_name),
        [LINES] = sizeof(struct spool_line),
    };
    if (r->n == r->cap) {
        r->cap = r->cap ? 2 * r->cap : 64;
        r->to.any = xrealloc(r->to.any, r->cap * sizes[r->what]);
    }
    switch (r->what) {
    case NAMES: r->to.names[r->n] = (struct spool_name){take(r, s, 0), take(r, s, 1)}; break;
    case LINES: r->to.lines[r->n] = (struct spool_line){sqlite3_column_int64(s, 0), take(r, s, 1)}; break;
    default: read_entry(r, s); break;
    }
    r->n++;
}

#define ENTRY_COLUMNS "seq, grp, name, kind, slot, flags, key, body, after, before"

static sqlite3_stmt *prepare(struct reading *r, struct db *d)
{
    static const char *const sql[][2] = {
        [ENTRIES_SORTED] = {"SELECT " ENTRY_COLUMNS " FROM entry WHERE (grp, name, seq) > (?1, ?2, ?3)"
                            " ORDER BY grp, name, seq LIMIT ?5",
                            "SELECT " ENTRY_COLUMNS " FROM entry ORDER BY grp, name, seq LIMIT ?5"},
        [ENTRIES] = {"SELECT " ENTRY_COLUMNS " FROM entry WHERE seq > ?3 ORDER BY seq LIMIT ?5",
                     "SELECT " ENTRY_COLUMNS " FROM entry ORDER BY seq LIMIT ?5"},
        [NAMES] = {"SELECT grp, name FROM name WHERE list = ?4 AND (grp, name) > (?1, ?2) ORDER BY grp, name LIMIT ?5",
                   "SELECT grp, name FROM name WHERE list = ?4 ORDER BY grp, name LIMIT ?5"},
        [LINES] = {"SELECT number, text FROM line WHERE number > ?3 ORDER BY number LIMIT ?5",
                   "SELECT number, text FROM line ORDER BY number LIMIT ?5"},
    };
    sqlite3_stmt *s = db_stmt(d, sql[r->what][r->from_start], &r->job.err);
    if (!s)
        return NULL;
    if (!r->from_start && (r->what == ENTRIES_SORTED || r->what == NAMES)) {
        bind(s, 1, (struct str){r->group, r->group_n});
        bind(s, 2, (struct str){r->name, r->name_n});
    }
    if (!r->from_start && r->what != NAMES)
        sqlite3_bind_int64(s, 3, r->after);
    if (r->what == NAMES)
        sqlite3_bind_int(s, 4, r->number);
    sqlite3_bind_int64(s, 5, (sqlite3_int64)r->limit);
    return s;
}

static int read_run(struct db *d, sqlite3 *h, struct db_job *job)
{
    struct reading *r = (struct reading *)job;
    sqlite3_stmt *s = prepare(r, d);
    if (!s)
        return job->err.code;
    int rc = SQLITE_ROW;
    while (r->texts.n < READ_BYTES && (rc = sqlite3_step(s)) == SQLITE_ROW)
        read_row(r, s);
    int ret = rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : db_error(h, &job->err, "reading the plan's file");
    sqlite3_reset(s);
    return ret;
}

static void place_all(struct reading *r)
{
    for (size_t i = 0; i < r->n; i++) {
        if (r->what == NAMES) {
            place(r, &r->to.names[i].group);
            place(r, &r->to.names[i].name);
        } else if (r->what == LINES) {
            place(r, &r->to.lines[i].text);
        } else {
            struct spool_entry *x = &r->to.entries[i];
            struct str *texts[] = {&x->group, &x->name, &x->body, &x->after, &x->before};
            for (size_t k = 0; k < ARRAY_LEN(texts); k++)
                place(r, texts[k]);
        }
    }
}

static void read_done(struct db_job *job)
{
    struct reading *r = (struct reading *)job;
    const struct err *e = job->err.code ? &job->err : NULL;
    place_all(r);
    switch (r->what) {
    case NAMES: r->done.names(r->arg, r->to.names, e ? 0 : r->n, e); break;
    case LINES: r->done.lines(r->arg, r->to.lines, e ? 0 : r->n, e); break;
    default: r->done.entries(r->arg, r->to.entries, e ? 0 : r->n, e); break;
    }
    buf_done(&r->texts);
    free(r->to.any);
    free(r->group);
    free(r->name);
    free(r);
}

static struct reading *reading_new(enum what what, size_t limit, void *arg)
{
    struct reading *r = xcalloc(1, sizeof(*r));
    *r = (struct reading){.job = {.run = read_run, .done = read_done}, .what = what, .limit = limit ? limit : 1, .arg = arg};
    buf_init(&r->texts, BUF_NO_LIMIT);
    return r;
}

static void behind(struct reading *r, struct str group, struct str name)
{
    r->group = str_dup(group);
    r->group_n = group.n;
    r->name = str_dup(name);
    r->name_n = name.n;
}

void spool_read_sorted(struct spool *s, const struct spool_entry *after, size_t limit, spool_entries_fn done, void *arg)
{
    struct reading *r = reading_new(ENTRIES_SORTED, limit, arg);
    r->from_start = !after;
    if (after) {
        behind(r, after->group, after->name);
        r->after = after->seq;
    }
    r->done.entries = done;
    db_submit(s->db, &r->job);
}

void spool_read(struct spool *s, int64_t after, size_t limit, spool_entries_fn done, void *arg)
{
    struct reading *r = reading_new(ENTRIES, limit, arg);
    r->from_start = after == 0;
    r->after = after;
    r->done.entries = done;
    db_submit(s->db, &r->job);
}

void spool_read_names(struct spool *s, int list, const struct spool_name *after, size_t limit,
                      void (*done)(void *arg, const struct spool_name *names, size_t n, const struct err *e), void *arg)
{
    struct reading *r = reading_new(NAMES, limit, arg);
    r->from_start = !after;
    r->number = list;
    if (after)
        behind(r, after->group, after->name);
    r->done.names = done;
    db_submit(s->db, &r->job);
}

void spool_read_lines(struct spool *s, int64_t after, size_t limit,
                      void (*done)(void *arg, const struct spool_line *lines, size_t n, const struct err *e), void *arg)
{
    struct reading *r = reading_new(LINES, limit, arg);
    r->from_start = after == 0;
    r->after = after;
    r->done.lines = done;
    db_submit(s->db, &r->job);
}
