/* Nodes are indexed by the hash of their identifier, so the whole is O((entities + relations) log entities): a Kahn
 * sort whose ready nodes lie in a heap by registration, which keeps unrelated entities in their order. A node costs
 * about 60 bytes: the entities themselves stay in the state file. */
#include "sync/order.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "json/compare.h"

struct node {
    struct key128 key, identifier;
    int64_t row;
    uint32_t edges; /* of this registration; older ones have another stamp */
    uint32_t next;  /* of the same identifier bucket, index + 1 */
    size_t missing;
};
struct edge {
    uint32_t from, stamp;
    struct key128 target;
};
struct order {
    struct node *nodes;
    size_t n, cap;
    struct edge *edges;
    size_t nedges, edge_cap;
    uint32_t stamp;
    size_t current;  /* node edges are added to */
    uint32_t *table; /* by key, index + 1 */
    size_t mask;
};

struct order *order_new(void)
{
    struct order *o = xcalloc(1, sizeof(*o));
    o->mask = 127;
    o->table = xcalloc(o->mask + 1, sizeof(*o->table));
    return o;
}

void order_free(struct order *o)
{
    if (!o)
        return;
    free(o->nodes);
    free(o->edges);
    free(o->table);
    free(o);
}

static uint32_t *key_slot(const struct order *o, struct key128 key)
{
    size_t i = key.a & o->mask;
    while (o->table[i] && !key128_eq(o->nodes[o->table[i] - 1].key, key))
        i = (i + 1) & o->mask;
    return &o->table[i];
}

static void grow_table(struct order *o)
{
    free(o->table);
    o->mask = o->mask * 2 + 1;
    o->table = xcalloc(o->mask + 1, sizeof(*o->table));
    for (size_t i = 0; i < o->n; i++)
        *key_slot(o, o->nodes[i].key) = (uint32_t)i + 1;
}

void order_add(struct order *o, struct key128 key, struct str identifier, int64_t row)
{
    uint32_t *slot = key_slot(o, key);
    if (!*slot) {
        if (o->n == o->cap)
            o->nodes = xrealloc(o->nodes, (o->cap = o->cap ? o->cap * 2 : 64) * sizeof(*o->nodes));
        o->nodes[o->n] = (struct node){.key = key, .identifier = hash128_of(identifier)};
        *slot = (uint32_t)++o->n;
        if (o->n * 2 > o->mask)
            grow_table(o);
        slot = key_slot(o, key);
    }
    o->current = *slot - 1;
    o->nodes[o->current].row = row;
    o->nodes[o->current].edges = ++o->stamp;
}

bool order_select(struct order *o, struct key128 key)
{
    uint32_t at = *key_slot(o, key);
    if (at)
        o->current = at - 1;
    return at != 0;
}

void order_edge(struct order *o, struct str identifier)
{
    if (o->nedges == o->edge_cap)
        o->edges = xrealloc(o->edges, (o->edge_cap = o->edge_cap ? o->edge_cap * 2 : 64) * sizeof(*o->edges));
    o->edges[o->nedges++] = (struct edge){(uint32_t)o->current, o->nodes[o->current].edges, hash128_of(identifier)};
}

static void edge_text(struct order *o, struct json v)
{
    struct buf text;
    buf_init(&text, BUF_NO_LIMIT);
    if (!json_is_nil(v) && json_identifier_text(&text, v) == 0)
        order_edge(o, buf_str(&text));
    buf_done(&text);
}

/* Rules at any depth: a stack, since queries nest as a mapping's author likes. */
static void query_edges(struct order *o, struct json query)
{
    size_t n = 1, cap = 16;
    struct json *stack = xmalloc(cap * sizeof(*stack));
    stack[0] = query;
    while (n) {
        struct json q = stack[--n];
        if (str_is(json_str(json_get_c(q, "property")), "$identifier") &&
            str_is(json_str(json_get_c(q, "operator")), "="))
            edge_text(o, json_get_c(q, "value"));
        for (struct json_iter it = json_iter(json_get_c(q, "rules")); json_next(&it);) {
            if (n == cap)
                stack = xrealloc(stack, (cap *= 2) * sizeof(*stack));
            stack[n++] = it.val;
        }
    }
    free(stack);
}

static void value_edges(struct order *o, struct json v)
{
    edge_text(o, v);
    if (json_is_obj(v))
        query_edges(o, v);
}

void order_relations(struct order *o, struct json relations)
{
    for (struct json_iter it = json_iter(relations); json_next(&it);) {
        if (!json_is_arr(it.val)) {
            value_edges(o, it.val);
            continue;
        }
        for (struct json_iter el = json_iter(it.val); json_next(&el);)
            value_edges(o, el.val);
    }
}

size_t order_count(const struct order *o) { return o->n; }


/* Sorting ---------------------------------------------------------------------------------------------------------- */

struct heap {
    uint32_t *p;
    size_t n;
};

static void heap_push(struct heap *h, uint32_t v)
{
    size_t i = h->n++;
    while (i && h->p[(i - 1) / 2] > v) {
        h->p[i] = h->p[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    h->p[i] = v;
}

static uint32_t heap_pop(struct heap *h)
{
    uint32_t top = h->p[0], v = h->p[--h->n];
    size_t i = 0;
    for (size_t c = 1; c < h->n; c = i * 2 + 1) {
        if (c + 1 < h->n && h->p[c + 1] < h->p[c])
            c++;
        if (h->p[c] >= v)
            break;
        h->p[i] = h->p[c];
        i = c;
    }
    if (h->n)
        h->p[i] = v;
    return top;
}

/* Edges as pairs of nodes: before[i] must come first. */
struct pair {
    uint32_t before, after;
};

static int by_before(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    return x->before != y->before ? (x->before < y->before ? -1 : 1) : (x->after > y->after) - (x->after < y->after);
}

static struct pair *make_pairs(struct order *o, bool targets_first, size_t *ret_n)
{
    size_t mask = 63, n = 0, cap = o->nedges + 1;
    while (mask < o->n)
        mask = mask * 2 + 1;
    uint32_t *buckets = xcalloc(mask + 1, sizeof(*buckets));
    for (size_t i = o->n; i-- > 0;) {
        uint32_t *b = &buckets[o->nodes[i].identifier.a & mask];
        o->nodes[i].next = *b;
        *b = (uint32_t)i + 1;
    }
    struct pair *pairs = xmalloc(cap * sizeof(*pairs));
    for (size_t k = 0; k < o->nedges; k++) {
        const struct edge *e = &o->edges[k];
        if (e->stamp != o->nodes[e->from].edges)
            continue; /* of a registration that was replaced */
        for (uint32_t at = buckets[e->target.a & mask]; at; at = o->nodes[at - 1].next) {
            if (at - 1 == e->from || !key128_eq(o->nodes[at - 1].identifier, e->target))
                continue;
            if (n == cap)
                pairs = xrealloc(pairs, (cap *= 2) * sizeof(*pairs));
            pairs[n++] = targets_first ? (struct pair){at - 1, e->from} : (struct pair){e->from, at - 1};
        }
    }
    free(buckets);
    qsort(pairs, n, sizeof(*pairs), by_before);
    *ret_n = n;
    return pairs;
}

static size_t first_pair(const struct pair *pairs, size_t n, uint32_t before)
{
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (pairs[mid].before < before)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

bool order_sort(struct order *o, bool targets_first, int64_t *rows)
{
    size_t npairs, done = 0;
    struct pair *pairs = make_pairs(o, targets_first, &npairs);
    struct heap ready = {xmalloc((o->n + 1) * sizeof(uint32_t)), 0};
    for (size_t i = 0; i < o->n; i++)
        o->nodes[i].missing = 0;
    for (size_t k = 0; k < npairs; k++)
        o->nodes[pairs[k].after].missing++;
    for (size_t i = 0; i < o->n; i++)
        if (o->nodes[i].missing == 0)
            heap_push(&ready, (uint32_t)i);
    bool *placed = xcalloc(o->n + 1, sizeof(*placed));
    while (ready.n) {
        uint32_t at = heap_pop(&ready);
        placed[at] = true;
        rows[done++] = o->nodes[at].row;
        for (size_t k = first_pair(pairs, npairs, at); k < npairs && pairs[k].before == at; k++)
            if (--o->nodes[pairs[k].after].missing == 0)
                heap_push(&ready, pairs[k].after);
    }
    bool acyclic = done == o->n;
    for (size_t i = 0; i < o->n && !acyclic; i++)
        if (!placed[i])
            rows[done++] = o->nodes[i].row;
    free(placed);
    free(ready.p);
    free(pairs);
    return acyclic;
}

void order_registration(const struct order *o, int64_t *rows)
{
    for (size_t i = 0; i < o->n; i++)
        rows[i] = o->nodes[i].row;
}
