/* Sorting by a value. Every row of the blueprint is read once; only a short key of each is kept: a number, or the first
 * bytes of a text. */
#include "catalog/page/order.h"

#include <stdlib.h>

#include "base/mem.h"

#define KEY_BYTES 48

enum rank { RANK_NUMBER, RANK_TEXT, RANK_NONE };

struct entry {
    int64_t id;
    enum rank rank;
    double number;
    struct str text;
};

static struct entry key_of(struct arena *a, int64_t id, struct json v, bool descending)
{
    struct entry e = {.id = id, .rank = RANK_NONE};
    if (json_is_num(v)) {
        e.rank = RANK_NUMBER;
        e.number = json_double(v);
    } else if (json_is_bool(v)) {
        e.rank = RANK_NUMBER;
        e.number = json_is_true(v);
    } else if (json_is_str(v)) {
        struct str s = json_str(v);
        e.rank = RANK_TEXT;
        e.text = arena_str(a, (struct str){s.p, s.n < KEY_BYTES ? s.n : KEY_BYTES});
    }
    if (descending)
        e.number = -e.number;
    return e;
}

static int compare_text(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? c : (a.n > b.n) - (a.n < b.n);
}

/* Equal values stay in order of creation. */
static int compare(const struct entry *a, const struct entry *b, bool descending)
{
    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    int c = a->rank == RANK_NUMBER ? (a->number > b->number) - (a->number < b->number) : compare_text(a->text, b->text);
    if (c)
        return a->rank == RANK_TEXT && descending ? -c : c;
    return (a->id > b->id) - (a->id < b->id);
}

static int ascending_order(const void *a, const void *b) { return compare(a, b, false); }
static int descending_order(const void *a, const void *b) { return compare(a, b, true); }

static int read_keys(struct work *w, const struct blueprint *b, struct str name, bool descending, struct arena *a,
                     struct entry *entries, size_t *ret_n)
{
    bool own = name.n && name.p[0] == '$', instant = str_is(name, "$updatedAt"),
         identifier = str_is(name, "$identifier");
    struct row row = {0};
    struct sqlite3_stmt *s = q_open(w->k, &w->r, "SELECT " ROW_COLUMNS " FROM entity WHERE blueprint = ?1 LIMIT ?2",
                                    "ii", b->id, (int64_t)ORDER_MAX);
    int rc;
    size_t n = 0;
    while ((rc = q_row(w->k, s, &w->r)) > 0) {
        row_read(&row, s);
        struct entry *e = &entries[n++];
        if (instant) {
            *e = (struct entry){row.id, RANK_NUMBER, (double)row.updated_at * (descending ? -1 : 1), STR_NULL};
        } else if (identifier) {
            struct str s48 = {row.identifier.p, row.identifier.n < KEY_BYTES ? row.identifier.n : KEY_BYTES};
            *e = (struct entry){row.id, RANK_TEXT, 0, arena_str(a, s48)};
        } else {
            *e = key_of(a, row.id, own ? json_get_c(row_body(&row), "title") : row_property(&row, name), descending);
        }
    }
    row_done(&row);
    *ret_n = n;
    return rc;
}

int order_rows(struct work *w, const struct blueprint *b, struct str name, bool descending, struct ids *ret)
{
    struct arena *a = arena_new(0);
    struct entry *entries = xcalloc(ORDER_MAX, sizeof(*entries));
    size_t n = 0;
    int rc = read_keys(w, b, name, descending, a, entries, &n);
    qsort(entries, n, sizeof(*entries), descending ? descending_order : ascending_order);
    for (size_t i = 0; rc == 0 && i < n; i++)
        ids_add(ret, entries[i].id);
    free(entries);
    arena_free(a);
    return rc;
}
