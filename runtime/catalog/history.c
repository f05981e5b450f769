/* One row from `running` to the state that ends it. What a resync changed is told by its writes (changes.c), which carry an
 * event id that E-9 does not; the two meet by integration and time. */
#include "catalog/history.h"
#include "catalog/changes.h"
#include "catalog/routes.h"

#include "json/write.h"

#define HISTORY_KEPT 1000 /* of an integration */
#define CHANGES_LOOKED_AT 100

int history_note(struct work *w, int64_t integration, struct str status)
{
    int64_t now = core_now(w->k);
    if (!status.n)
        return 0;
    if (!str_is(status, "running"))
        return q_exec(w->k, &w->r,
                      "UPDATE resync SET ended_at = ?2, status = ?3 WHERE id ="
                      " (SELECT MAX(id) FROM resync WHERE integration = ?1 AND ended_at IS NULL)",
                      "iit", integration, now, status);
    if (q_exec(w->k, &w->r, "INSERT INTO resync (integration, started_at, status) VALUES (?, ?, ?)", "iit", integration, now,
               status) < 0)
        return -1;
    return q_exec(w->k, &w->r,
                  "DELETE FROM resync WHERE integration = ?1 AND id <="
                  " (SELECT id FROM resync WHERE integration = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                  "ii", integration, (int64_t)HISTORY_KEPT);
}

struct sum {
    int64_t from, to; /* instants */
    struct jw *jw;
    struct changes all;
    size_t nevents;
};

static int add_changes(void *arg, const struct changes *c)
{
    struct sum *s = arg;
    if (c->first_at < s->from || c->first_at > s->to)
        return 0;
    jw_str(s->jw, c->event);
    s->nevents++;
    s->all.created += c->created;
    s->all.updated += c->updated;
    s->all.unchanged += c->unchanged;
    s->all.deleted += c->deleted;
    s->all.failed += c->failed;
    return 0;
}

static int write_counts(struct work *w, struct jw *jw, struct str integration, int64_t from, int64_t to)
{
    struct sum s = {.from = from, .to = to, .jw = jw};
    jw_key_c(jw, "events");
    jw_arr(jw);
    int rc = changes_each(w->k, integration, STR_NULL, CHANGES_LOOKED_AT, add_changes, &s, &w->r);
    jw_end_arr(jw);
    const struct {
        const char *name;
        int64_t n;
    } counts[] = {{"created", s.all.created}, {"updated", s.all.updated}, {"unchanged", s.all.unchanged},
                  {"deleted", s.all.deleted}, {"failed", s.all.failed}};
    jw_key_c(jw, "counts");
    jw_obj(jw);
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        jw_key(jw, str_of(counts[i].name));
        jw_int(jw, counts[i].n);
    }
    jw_end_obj(jw);
    return rc;
}

static int write_resync(struct work *w, struct sqlite3_stmt *s, struct jw *jw)
{
    struct str integration = arena_str(w->a, q_text(s, 0));
    int64_t start = q_num(s, 1), end = q_num(s, 2);
    jw_obj(jw);
    jw_key_c(jw, "integration");
    jw_str(jw, integration);
    jw_key_c(jw, "status");
    jw_str(jw, q_text(s, 3));
    jw_key_c(jw, "startedAt");
    jw_instant(jw, start);
    jw_key_c(jw, "endedAt");
    if (end)
        jw_instant(jw, end);
    else
        jw_null(jw);
    jw_key_c(jw, "durationMs");
    if (end)
        jw_int(jw, (end - start) / 1000);
    else
        jw_null(jw);
    int rc = write_counts(w, jw, integration, start, end ? end : INT64_MAX);
    jw_end_obj(jw);
    return rc < 0 ? -1 : 0;
}

int control_resyncs(struct work *w)
{
    struct str integration = STR_NULL;
    int64_t limit;
    work_param(w, "integration", 0, &integration);
    if (work_limit(w, 100, 0, &limit) < 0)
        return -1;
    struct sqlite3_stmt *s =
        q_open(w->k, &w->r,
               "SELECT i.identifier, r.started_at, r.ended_at, r.status FROM resync r JOIN integration i ON i.id ="
               " r.integration WHERE ?1 IS NULL OR i.identifier = ?1 ORDER BY r.id DESC LIMIT ?2",
               "ti", integration, limit);
    struct jw jw = work_begin(w);
    jw_key_c(&jw, "resyncs");
    jw_arr(&jw);
    int rc;
    while ((rc = q_row(w->k, s, &w->r)) > 0) {
        if (write_resync(w, s, &jw) < 0) {
            q_close(s);
            return -1;
        }
    }
    jw_end_arr(&jw);
    work_end(w, &jw);
    return rc;
}
