/* The late index of references. Keeping it at every write cost a third of the load's speed (targets are hashes, so each
 * entry lands on another page); here the first deletion pays once, with entries that go in sorted, and from then on
 * only relations that really change are touched. */
#include "catalog/refs.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"

static int64_t hash_of(struct str blueprint, struct str identifier)
{
    return (int64_t)key128_entity(blueprint, identifier).a;
}

static void collect(const struct blueprint *b, struct json rel, struct ids *ret)
{
    for (struct json_iter it = json_iter(rel); json_next(&it);) {
        ptrdiff_t i = blueprint_relation(b, it.key);
        if (i < 0)
            continue;
        if (json_is_str(it.val))
            ids_add(ret, hash_of(b->relations[i].target, json_str(it.val)));
        for (struct json_iter el = json_iter(it.val); json_is_arr(it.val) && json_next(&el);)
            ids_add(ret, hash_of(b->relations[i].target, json_str(el.val)));
    }
    ids_sort(ret);
}

static int read_upto(struct core *k, struct refusal *r)
{
    if (k->refs_upto >= 0)
        return 0;
    struct buf text;
    int64_t upto = 0;
    buf_init(&text, 64);
    int rc = meta_get(k, "refs_upto", &text, r);
    if (rc > 0)
        str_int64(buf_str(&text), &upto);
    buf_done(&text);
    if (rc < 0)
        return -1;
    k->refs_upto = upto;
    return 0;
}

static int change(struct core *k, int64_t id, const struct ids *old, const struct ids *now, struct refusal *r)
{
    size_t i = 0, j = 0;
    while (i < old->n || j < now->n) {
        int rc = 0;
        if (j == now->n || (i < old->n && old->p[i] < now->p[j]))
            rc = q_exec(k, r, "DELETE FROM ref WHERE target = ? AND source = ?", "ii", old->p[i++], id);
        else if (i == old->n || now->p[j] < old->p[i])
            rc = q_exec(k, r, "INSERT OR IGNORE INTO ref (target, source) VALUES (?, ?)", "ii", now->p[j++], id);
        else
            i++, j++;
        if (rc < 0)
            return -1;
    }
    return 0;
}

int refs_update(struct core *k, const struct blueprint *b, int64_t id, struct json before, struct json after,
                struct refusal *r)
{
    if (read_upto(k, r) < 0)
        return -1;
    if (id > k->refs_upto || (!json_len(before) && !json_len(after)))
        return 0;
    struct ids old = {0}, now = {0};
    collect(b, before, &old);
    collect(b, after, &now);
    int rc = change(k, id, &old, &now, r);
    ids_done(&old);
    ids_done(&now);
    return rc;
}

struct entry {
    int64_t target, source;
};

struct entries {
    struct entry *p;
    size_t n, cap;
};

static int by_target(const void *x, const void *y)
{
    const struct entry *a = x, *b = y;
    if (a->target != b->target)
        return a->target < b->target ? -1 : 1;
    return a->source < b->source ? -1 : a->source > b->source;
}

static int insert_sorted(struct core *k, struct entries *l, struct refusal *r)
{
    if (l->n)
        qsort(l->p, l->n, sizeof(*l->p), by_target);
    for (size_t i = 0; i < l->n; i++)
        if (q_exec(k, r, "INSERT OR IGNORE INTO ref (target, source) VALUES (?, ?)", "ii", l->p[i].target,
                   l->p[i].source) < 0)
            return -1;
    l->n = 0;
    return 0;
}

#define SORTED_AT_ONCE 262144

static void add_row(struct core *k, struct entries *l, struct row *row)
{
    struct refusal ignored;
    struct blueprint *b = blueprint_by_id(k, row->blueprint, &ignored);
    struct ids targets = {0};
    if (b && b->nrelations)
        collect(b, row_rel(row), &targets);
    for (size_t i = 0; i < targets.n; i++) {
        if (l->n == l->cap) {
            l->cap = l->cap ? l->cap * 2 : 1024;
            l->p = xrealloc(l->p, l->cap * sizeof(*l->p));
        }
        l->p[l->n++] = (struct entry){targets.p[i], row->id};
    }
    ids_done(&targets);
}

/* Brings the table up to the newest row. */
static int ensure(struct core *k, struct refusal *r)
{
    if (read_upto(k, r) < 0)
        return -1;
    struct entries l = {0};
    struct row row = {0};
    int64_t last = k->refs_upto;
    struct sqlite3_stmt *s =
        q_open(k, r, "SELECT " ROW_COLUMNS_SLIM " FROM entity WHERE id > ? ORDER BY id", "i", k->refs_upto);
    int rc;
    while ((rc = q_row(k, s, r)) > 0) {
        row_read(&row, s);
        last = row.id;
        if (row.rel.n > 2)
            add_row(k, &l, &row);
        if (l.n >= SORTED_AT_ONCE && insert_sorted(k, &l, r) < 0) {
            q_close(s);
            rc = -1;
            break;
        }
    }
    row_done(&row);
    if (rc == 0)
        rc = insert_sorted(k, &l, r);
    free(l.p);
    if (rc < 0 || last == k->refs_upto)
        return rc;
    char text[24];
    int n = snprintf(text, sizeof(text), "%lld", (long long)last);
    k->refs_upto = last;
    return meta_put(k, "refs_upto", (struct str){text, (size_t)n}, r);
}

int refs_behind(struct core *k, int64_t *ret, struct refusal *r)
{
    int64_t newest;
    if (read_upto(k, r) < 0 || q_int(k, r, &newest, 0, "SELECT MAX(id) FROM entity", "") < 0)
        return -1;
    *ret = newest > k->refs_upto ? newest - k->refs_upto : 0;
    return 0;
}

int refs_find(struct core *k, const struct blueprint *target, struct str identifier, struct ids *ret, struct refusal *r)
{
    if (ensure(k, r) < 0)
        return -1;
    struct sqlite3_stmt *s =
        q_open(k, r, "SELECT source FROM ref WHERE target = ?", "i", hash_of(target->identifier, identifier));
    int rc;
    while ((rc = q_row(k, s, r)) > 0)
        ids_add(ret, q_num(s, 0));
    return rc;
}

bool refs_points(const struct blueprint *b, struct json rel, const struct blueprint *target, struct str identifier,
                 bool required)
{
    for (struct json_iter it = json_iter(rel); json_next(&it);) {
        ptrdiff_t i = blueprint_relation(b, it.key);
        if (i < 0 || b->relations[i].required != required || !str_eq(b->relations[i].target, target->identifier))
            continue;
        if (json_is_str(it.val) && str_eq(json_str(it.val), identifier))
            return true;
        for (struct json_iter el = json_iter(it.val); json_is_arr(it.val) && json_next(&el);)
            if (str_eq(json_str(el.val), identifier))
                return true;
    }
    return false;
}
