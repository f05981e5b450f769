/* Sorting by a value. Every row of the blueprint is read once; only a short key of each is kept: a number, or the first
 * bytes of a text. */
#include "catalog/page/order.h"

#include <stdlib.h>

#include "base/mem.h"
#include "json/scan.h"

#define KEY_BYTES 48

enum rank { RANK_NUMBER, RANK_TEXT, RANK_NONE };

struct entry {
    int64_t id;
    enum rank rank;
    double number;
    struct str text;
};

static struct entry text_key(struct arena *a, int64_t id, struct str s)
{
    s.n = s.n < KEY_BYTES ? s.n : KEY_BYTES;
    return (struct entry){.id = id, .rank = RANK_TEXT, .text = arena_str(a, s)};
}

/* By the value's JSON text. What escapes say is of no weight in an order. */
static struct entry key_of(struct arena *a, int64_t id, struct str v)
{
    char number[64];
    if (v.n > 1 && v.p[0] == '"')
        return text_key(a, id, (struct str){v.p + 1, v.n - 2});
    if (v.n && v.n < sizeof(number) && (v.p[0] == '-' || (v.p[0] >= '0' && v.p[0] <= '9'))) {
        memcpy(number, v.p, v.n);
        number[v.n] = 0;
        return (struct entry){.id = id, .rank = RANK_NUMBER, .number = strtod(number, NULL)};
    }
    if (str_is(v, "true") || str_is(v, "false"))
        return (struct entry){.id = id, .rank = RANK_NUMBER, .number = v.p[0] == 't'};
    return (struct entry){.id = id, .rank = RANK_NONE};
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
        return descending ? -c : c;
    return (a->id > b->id) - (a->id < b->id);
}

static int ascending_order(const void *a, const void *b) { return compare(a, b, false); }
static int descending_order(const void *a, const void *b) { return compare(a, b, true); }

/* The index leads to rows here and there; where most rows are wanted, reading all in their order is cheaper. */
#define WALK(column)                                                                                                   \
    (dense ? "SELECT id, " column " FROM entity NOT INDEXED WHERE blueprint = ?1 LIMIT ?2"                             \
           : "SELECT id, " column " FROM entity WHERE blueprint = ?1 LIMIT ?2")

static int read_keys(struct work *w, const struct blueprint *b, struct str name, struct arena *a, struct entry *entries,
                     size_t *ret_n)
{
    bool title = str_is(name, "$title"), instant = str_is(name, "$updatedAt"), identifier = str_is(name, "$identifier");
    int64_t newest, count;
    if (q_int(w->k, &w->r, &newest, 0, "SELECT MAX(id) FROM entity", "") < 0 ||
        blueprint_count(w->k, b, &count, &w->r) < 0)
        return -1;
    bool dense = count > newest / 3;
    const char *sql = instant ? WALK("updated_at") : identifier ? WALK("identifier") : WALK("body");
    struct sqlite3_stmt *s = q_open(w->k, &w->r, sql, "ii", b->id, (int64_t)ORDER_MAX);
    size_t n = 0;
    int rc;
    while ((rc = q_row(w->k, s, &w->r)) > 0) {
        int64_t id = q_num(s, 0);
        if (instant)
            entries[n++] = (struct entry){.id = id, .rank = RANK_NUMBER, .number = (double)q_num(s, 1)};
        else if (identifier)
            entries[n++] = text_key(a, id, q_text(s, 1));
        else if (title)
            entries[n++] = key_of(a, id, json_scan_member(q_text(s, 1), STR("title")));
        else
            entries[n++] = key_of(a, id, json_scan_member(json_scan_member(q_text(s, 1), STR("properties")), name));
    }
    *ret_n = n;
    return rc;
}

int order_rows(struct work *w, const struct blueprint *b, struct str name, bool descending, struct ids *ret)
{
    struct arena *a = arena_new(0);
    struct entry *entries = xcalloc(ORDER_MAX, sizeof(*entries));
    size_t n = 0;
    int rc = read_keys(w, b, name, a, entries, &n);
    qsort(entries, n, sizeof(*entries), descending ? descending_order : ascending_order);
    for (size_t i = 0; rc == 0 && i < n; i++)
        ids_add(ret, entries[i].id);
    free(entries);
    arena_free(a);
    return rc;
}
