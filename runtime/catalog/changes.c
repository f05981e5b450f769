/* The record of a resync: one row of counts, brought up with every request, and rows of keys up to a limit. */
#include "catalog/changes.h"

#include "catalog/routes.h"
#include "json/write.h"

struct noted {
    struct noted *next;
    enum change what;
    struct str blueprint, identifier;
};

/* Found once a request; the empty text stands for "none". */
static struct str resync_of(struct work *w)
{
    if (!w->resync.p && (!work_param(w, "ocean_info_resync_id", 0, &w->resync) || w->resync.n > LIMIT_NAME))
        w->resync = STR("");
    return w->resync;
}

void changes_note(struct work *w, enum change what, struct str blueprint, struct str identifier)
{
    if (!resync_of(w).n)
        return;
    struct noted *n = arena_alloc(w->a, sizeof(*n));
    *n = (struct noted){NULL, what, arena_str(w->a, blueprint), arena_str(w->a, identifier)};
    *(w->last_noted ? &w->last_noted->next : &w->noted) = n;
    w->last_noted = n;
}

/* A new resync pushes the oldest out. */
static int forget_old(struct work *w)
{
    return q_exec(
               w->k, &w->r,
               "DELETE FROM change WHERE event IN (SELECT event FROM changes ORDER BY first_at DESC LIMIT -1 OFFSET ?)",
               "i", (int64_t)CHANGES_RESYNCS) < 0 ||
                   q_exec(
                       w->k, &w->r,
                       "DELETE FROM changes WHERE event IN (SELECT event FROM changes ORDER BY first_at DESC LIMIT -1"
                       " OFFSET ?)",
                       "i", (int64_t)CHANGES_RESYNCS) < 0
               ? -1
               : 0;
}

static int add_counts(struct work *w, int64_t now, int64_t *ret_keys)
{
    if (q_int(w->k, &w->r, ret_keys, -1, "SELECT keys FROM changes WHERE event = ?", "t", w->resync) < 0)
        return -1;
    if (*ret_keys < 0) {
        *ret_keys = 0;
        if (q_exec(w->k, &w->r, "INSERT INTO changes (event, datasource, first_at, last_at) VALUES (?1, ?2, ?3, ?3)",
                   "tti", w->resync, w->user_agent.p ? w->user_agent : STR(""), now) < 0 ||
            forget_old(w) < 0)
            return -1;
    }
    return 0;
}

int changes_store(struct work *w)
{
    const struct effects *e = &w->eff;
    int64_t keys, now = core_now(w->k);
    if (!(e->created || e->updated || e->unchanged || e->deleted || e->failed) || !resync_of(w).n)
        return 0;
    if (add_counts(w, now, &keys) < 0)
        return -1;
    for (const struct noted *n = w->noted; n && keys < CHANGES_KEYS; n = n->next)
        if (q_exec(w->k, &w->r,
                   "INSERT INTO change (event, position, what, blueprint, identifier) VALUES (?, ?, ?, ?, ?)", "tiitt",
                   w->resync, keys++, (int64_t)n->what, n->blueprint, n->identifier) < 0)
            return -1;
    return q_exec(
        w->k, &w->r,
        "UPDATE changes SET last_at = ?2, created = created + ?3, updated = updated + ?4, unchanged = unchanged + ?5,"
        " deleted = deleted + ?6, failed = failed + ?7, keys = ?8 WHERE event = ?1",
        "tiiiiiii", w->resync, now, (int64_t)e->created, (int64_t)e->updated, (int64_t)e->unchanged,
        (int64_t)e->deleted + e->cascaded, (int64_t)e->failed, keys);
}

int changes_each(struct core *k, struct str integration, struct str event, int64_t limit,
                 int (*fn)(void *arg, const struct changes *c), void *arg, struct refusal *r)
{
    /* port-ocean/TYPE/VERSION/INTEGRATION/FEATURE (port-api 7) */
    struct sqlite3_stmt *s =
        q_open(k, r,
               "SELECT event, datasource, first_at, last_at, created, updated, unchanged, deleted, failed FROM changes"
               " WHERE (?1 IS NULL OR instr(datasource, '/' || ?1 || '/') > 0) AND (?2 IS NULL OR event = ?2)"
               " ORDER BY first_at DESC LIMIT ?3",
               "tti", integration, event, limit);
    int rc;
    while ((rc = q_row(k, s, r)) > 0) {
        struct changes c = {q_text(s, 0), q_text(s, 1), q_num(s, 2), q_num(s, 3), q_num(s, 4),
                            q_num(s, 5),  q_num(s, 6),  q_num(s, 7), q_num(s, 8)};
        if (fn(arg, &c) < 0) {
            q_close(s);
            return -1;
        }
    }
    return rc;
}

int changes_keys(struct core *k, struct str event,
                 int (*fn)(void *arg, enum change what, struct str blueprint, struct str identifier), void *arg,
                 struct refusal *r)
{
    struct sqlite3_stmt *s =
        q_open(k, r, "SELECT what, blueprint, identifier FROM change WHERE event = ? ORDER BY position", "t", event);
    int rc;
    while ((rc = q_row(k, s, r)) > 0)
        if (fn(arg, (enum change)q_num(s, 0), q_text(s, 1), q_text(s, 2)) < 0) {
            q_close(s);
            return -1;
        }
    return rc;
}

/* GET /_local/changes ---------------------------------------------------------------------------------------------- */

static int write_key(void *arg, enum change what, struct str blueprint, struct str identifier)
{
    static const char *const words[] = {"created", "updated", "deleted"};
    struct jw *jw = arg;
    jw_obj(jw);
    jw_key_c(jw, "change");
    jw_cstr(jw, words[what]);
    jw_key_c(jw, "blueprint");
    jw_str(jw, blueprint);
    jw_key_c(jw, "identifier");
    jw_str(jw, identifier);
    jw_end_obj(jw);
    return 0;
}

static int write_changes(void *arg, const struct changes *c)
{
    struct jw *jw = arg;
    const struct {
        const char *key;
        int64_t n;
    } counts[] = {{"created", c->created},
                  {"updated", c->updated},
                  {"unchanged", c->unchanged},
                  {"deleted", c->deleted},
                  {"failed", c->failed}};
    jw_obj(jw);
    jw_key_c(jw, "event");
    jw_str(jw, c->event);
    jw_key_c(jw, "datasource");
    jw_str(jw, c->datasource);
    jw_key_c(jw, "firstAt");
    jw_instant(jw, c->first_at);
    jw_key_c(jw, "lastAt");
    jw_instant(jw, c->last_at);
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        jw_key(jw, str_of(counts[i].key));
        jw_int(jw, counts[i].n);
    }
    jw_end_obj(jw);
    return 0;
}

/* ?event=: one resync with its keys; else the newest. */
int control_changes(struct work *w)
{
    struct str event = STR_NULL;
    bool one = work_param(w, "event", 0, &event);
    struct jw jw = work_begin(w);
    jw_key_c(&jw, "resyncs");
    jw_arr(&jw);
    if (changes_each(w->k, STR_NULL, one ? event : STR_NULL, CHANGES_RESYNCS, write_changes, &jw, &w->r) < 0)
        return -1;
    jw_end_arr(&jw);
    if (one) {
        jw_key_c(&jw, "changes");
        jw_arr(&jw);
        if (changes_keys(w->k, event, write_key, &jw, &w->r) < 0)
            return -1;
        jw_end_arr(&jw);
    }
    work_end(w, &jw);
    return 0;
}
