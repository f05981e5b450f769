/* `relatedTo`: the entities that can be reached from some given ones along relations. What an entity depends on is read
 * from its row; who depends on it needs all rows once, since a search may not write the late index of references
 * (refs.c). The set is found before the walk over the candidates and then asked by row number. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "catalog/query.h"

struct edge {
    int64_t from, to; /* row numbers; after sorting, by `from` */
};

struct graph {
    struct core *k;
    const struct query *q;
    bool upstream; /* edges lead to what a row depends on, else to who depends on it */
    struct edge *edges;
    size_t n, cap;
};

static void add_edge(struct graph *g, int64_t source, int64_t target)
{
    if (g->n == g->cap) {
        g->cap = g->cap ? g->cap * 2 : 1024;
        g->edges = xrealloc(g->edges, g->cap * sizeof(*g->edges));
    }
    g->edges[g->n++] = g->upstream ? (struct edge){source, target} : (struct edge){target, source};
}

static int add_target(struct graph *g, int64_t source, const struct blueprint *target, struct json value,
                      struct refusal *r)
{
    int64_t id = json_is_str(value) ? row_number(g->k, target->id, json_str(value), r) : 0;
    if (id > 0)
        add_edge(g, source, id);
    return id < 0 ? -1 : 0;
}

static int add_row(struct graph *g, struct row *row, struct refusal *r)
{
    struct refusal ignored;
    struct blueprint *b = blueprint_by_id(g->k, row->blueprint, r);
    if (!b)
        return -1;
    for (struct json_iter it = json_iter(row_rel(row)); json_next(&it);) {
        ptrdiff_t i = blueprint_relation(b, it.key);
        if (i < 0 || (g->q->required_only && !b->relations[i].required))
            continue;
        struct blueprint *target = blueprint_find(g->k, b->relations[i].target, &ignored);
        if (!target)
            continue;
        if (json_is_str(it.val) && add_target(g, row->id, target, it.val, r) < 0)
            return -1;
        for (struct json_iter el = json_iter(it.val); json_is_arr(it.val) && json_next(&el);)
            if (add_target(g, row->id, target, el.val, r) < 0)
                return -1;
    }
    return 0;
}

static int by_from(const void *x, const void *y)
{
    const struct edge *a = x, *b = y;
    return a->from < b->from ? -1 : a->from > b->from;
}

static int load(struct graph *g, struct refusal *r)
{
    struct row row = {0};
    struct sqlite3_stmt *s =
        q_open(g->k, r, "SELECT " ROW_COLUMNS_SLIM " FROM entity WHERE length(rel) > 2 ORDER BY id", "");
    int rc;
    while ((rc = q_row(g->k, s, r)) > 0) {
        row_read(&row, s);
        if (add_row(g, &row, r) < 0) {
            q_close(s);
            rc = -1;
            break;
        }
    }
    row_done(&row);
    if (g->n)
        qsort(g->edges, g->n, sizeof(*g->edges), by_from);
    return rc;
}

static size_t first_edge(const struct graph *g, int64_t from)
{
    size_t low = 0, high = g->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (g->edges[middle].from < from)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Each round follows the edges of what the last one found. */
static void spread(const struct graph *g, struct ids *reached)
{
    struct ids front = {0};
    for (size_t i = 0; i < reached->n; i++)
        ids_add(&front, reached->p[i]);
    while (front.n) {
        struct ids next = {0};
        for (size_t i = 0; i < front.n; i++)
            for (size_t e = first_edge(g, front.p[i]); e < g->n && g->edges[e].from == front.p[i]; e++)
                if (!ids_has(reached, g->edges[e].to))
                    ids_add(&next, g->edges[e].to);
        ids_sort(&next);
        for (size_t i = 0; i < next.n; i++)
            ids_add(reached, next.p[i]);
        ids_sort(reached);
        ids_done(&front);
        front = next;
    }
    ids_done(&front);
}

static int starts(struct core *k, const struct query *q, struct ids *ret, struct refusal *r)
{
    struct refusal ignored;
    struct blueprint *b = blueprint_find(k, q->name, &ignored);
    for (struct json_iter it = json_iter(q->value); b && json_is_arr(q->value) && json_next(&it);) {
        int64_t id = json_is_str(it.val) ? row_number(k, b->id, json_str(it.val), r) : 0;
        if (id < 0)
            return -1;
        if (id)
            ids_add(ret, id);
    }
    int64_t id = b && json_is_str(q->value) ? row_number(k, b->id, json_str(q->value), r) : 0;
    if (id > 0)
        ids_add(ret, id);
    ids_sort(ret);
    return id < 0 ? -1 : 0;
}

/* Adds to the result what is reached in one direction, the starts excluded. */
static int relate_one_way(struct core *k, struct query *q, const struct ids *first, bool upstream, struct refusal *r)
{
    struct graph g = {.k = k, .q = q, .upstream = upstream};
    struct ids reached = {0};
    for (size_t i = 0; i < first->n; i++)
        ids_add(&reached, first->p[i]);
    int rc = load(&g, r);
    if (rc == 0)
        spread(&g, &reached);
    for (size_t i = 0; rc == 0 && i < reached.n; i++)
        if (!ids_has(first, reached.p[i]))
            ids_add(&q->related, reached.p[i]);
    free(g.edges);
    ids_done(&reached);
    return rc;
}

static int relate(struct core *k, struct query *q, struct refusal *r)
{
    struct ids first = {0};
    int rc = starts(k, q, &first, r);
    ids_done(&q->related);
    if (rc == 0 && first.n && q->upstream)
        rc = relate_one_way(k, q, &first, true, r);
    if (rc == 0 && first.n && q->downstream)
        rc = relate_one_way(k, q, &first, false, r);
    ids_sort(&q->related);
    ids_done(&first);
    return rc;
}

int query_prepare(struct core *k, struct query *q, struct refusal *r)
{
    if (!q->group)
        return q->op == OP_RELATED ? relate(k, q, r) : 0;
    for (size_t i = 0; i < q->nrules; i++)
        if (query_prepare(k, q->rules[i], r) < 0)
            return -1;
    return 0;
}
