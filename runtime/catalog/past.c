/* Temporary triggers note the former row of every entity that is changed, with the instant. Looking back is undoing: the
 * newest notes are applied to the table, the question is asked, and the job's savepoint is rolled back. That works in
 * every journal mode and for databases in memory, needs no second connection, and every query runs as it always does. */
#include "catalog/past.h"

#include <string.h>

#include "base/clock.h"

#define COLUMNS "id, blueprint, identifier, datasource, created_at, updated_at, created_by, updated_by, rel, body"
#define OLD                                                                                                            \
    "OLD.id, OLD.blueprint, OLD.identifier, OLD.datasource, OLD.created_at, OLD.updated_at, OLD.created_by,"           \
    " OLD.updated_by, OLD.rel, OLD.body"
#define NOW "CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER)"

static int install(struct work *w)
{
    struct core *k = w->k;
    if (q_exec(k, &w->r,
               "CREATE TEMP TABLE IF NOT EXISTS past (n INTEGER PRIMARY KEY, at INTEGER NOT NULL, gone INTEGER NOT NULL,"
               " " COLUMNS ")",
               "") < 0)
        return -1;
    if (q_exec(k, &w->r,
               "CREATE TEMP TRIGGER IF NOT EXISTS past_new AFTER INSERT ON main.entity BEGIN"
               " INSERT INTO past (at, gone, id) VALUES (" NOW ", 1, NEW.id); END",
               "") < 0)
        return -1;
    if (q_exec(k, &w->r,
               "CREATE TEMP TRIGGER IF NOT EXISTS past_changed AFTER UPDATE ON main.entity BEGIN"
               " INSERT INTO past (at, gone, " COLUMNS ") VALUES (" NOW ", 0, " OLD "); END",
               "") < 0)
        return -1;
    return q_exec(k, &w->r,
                  "CREATE TEMP TRIGGER IF NOT EXISTS past_removed AFTER DELETE ON main.entity BEGIN"
                  " INSERT INTO past (at, gone, " COLUMNS ") VALUES (" NOW ", 0, " OLD "); END",
                  "");
}

int past_keep(struct work *w, bool writes)
{
    int64_t keep = atomic_load(&w->k->keep_past_us);
    if (!writes || !keep)
        return 0;
    if (install(w) < 0)
        return -1;
    return q_exec(w->k, &w->r, "DELETE FROM temp.past WHERE at < ?", "i", clock_wall_us() - keep);
}

/* One note: the row as it was before the change, or nothing if the change was its creation. */
static int undo(struct work *w, int64_t n, int64_t id)
{
    if (q_exec(w->k, &w->r, "DELETE FROM main.entity WHERE id = ?", "i", id) < 0)
        return -1;
    return q_exec(w->k, &w->r,
                  "INSERT INTO main.entity (" COLUMNS ") SELECT " COLUMNS " FROM temp.past WHERE n = ? AND NOT gone", "i",
                  n);
}

static int go_back(struct work *w, int64_t until)
{
    int64_t *notes = NULL;
    size_t n = 0, cap = 0;
    if (install(w) < 0)
        return -1;
    struct sqlite3_stmt *s = q_open(w->k, &w->r, "SELECT n, id FROM temp.past WHERE at >= ? ORDER BY n DESC", "i", until);
    int rc;
    while ((rc = q_row(w->k, s, &w->r)) > 0) {
        if (n == cap) {
            int64_t *more = arena_alloc(w->a, (cap ? 4 * cap : 256) * sizeof(*more));
            if (n)
                memcpy(more, notes, 2 * n * sizeof(*more));
            notes = more;
            cap = cap ? 2 * cap : 128;
        }
        notes[2 * n] = q_num(s, 0);
        notes[2 * n++ + 1] = q_num(s, 1);
    }
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = undo(w, notes[2 * i], notes[2 * i + 1]);
    return rc;
}

int past_run(struct work *w, int64_t lag_us, struct err *e)
{
    if (go_back(w, clock_wall_us() - lag_us) == 0 && w->route->run(w) == 0)
        w->r.status = 0; /* a look-up on the way may have found nothing */
    core_forget(w->k);
    return ERR(e, ERR_CANCELLED, "looked back");
}
