/* The tree of paths and its search. Every path but the root (the element) has a parent and a key; the children of a path
 * stand in a small hash table over length, first and last byte of their keys, so that a member nobody asks for is passed
 * over without looking at more than that. Of duplicate members the last one counts, so an object is always searched to
 * its end. */
#include "mapping/reads.h"

#include <stdlib.h>

#include "base/mem.h"

#define PATHS_MAX 4096 /* of one plan; what comes later is evaluated step by step */
#define DEPTH_MAX 64
#define NO_VALUE 0xFF /* as kind: the parent is neither object nor null */

struct read {
    uint32_t parent, depth, nkids;
    uint64_t lengths; /* bit n % 64: a child's key has n bytes */
    uint32_t mask;    /* size of the table - 1 */
    uint32_t *table;  /* paths, 0: free */
    uint32_t *kids;
    struct str key;
};

struct reads {
    struct arena *arena;
    struct read *v; /* v[0] is the element */
    uint32_t n, cap;
};

struct reads *reads_new(struct arena *a)
{
    struct reads *r = arena_zalloc(a, sizeof(*r));
    r->arena = a;
    r->cap = 32;
    r->v = arena_zalloc(a, r->cap * sizeof(*r->v));
    r->n = 1;
    return r;
}

/* Collecting ------------------------------------------------------------------------------------------------------ */

static uint32_t path_of(struct reads *r, uint32_t parent, struct str key)
{
    for (uint32_t i = 1; i < r->n; i++)
        if (r->v[i].parent == parent && str_eq(r->v[i].key, key))
            return i;
    if (r->n == PATHS_MAX || r->v[parent].depth == DEPTH_MAX)
        return 0;
    if (r->n == r->cap) {
        struct read *more = arena_zalloc(r->arena, 2 * r->cap * sizeof(*more));
        memcpy(more, r->v, r->n * sizeof(*more));
        r->v = more;
        r->cap *= 2;
    }
    r->v[r->n] = (struct read){.parent = parent, .depth = r->v[parent].depth + 1, .key = key};
    r->v[parent].nkids++;
    return r->n++;
}

/* Marks a chain of member names that begins at the element; false: it is something else. */
static bool add_chain(struct reads *r, struct node *n)
{
    if (n->kind == N_IDENTITY)
        return true;
    if (n->kind != N_INDEX || n->b->kind != N_CONST || n->b->v.kind != VAL_STRING || !add_chain(r, n->a))
        return false;
    if (n->a->kind == N_IDENTITY || n->a->read)
        n->read = path_of(r, n->a->read, val_text(n->b->v));
    return true;
}

/* Only subtrees whose input is the element can profit; elsewhere marks would do no harm. */
void reads_add(struct reads *r, struct node *n)
{
    if (!n || add_chain(r, n))
        return;
    struct node *kids[4] = {n->a, NULL, NULL, NULL};
    switch (n->kind) {
    case N_CONST:
    case N_VAR: return;
    case N_PIPE:
    case N_EACH:
    case N_TRY:
    case N_LABEL:
    case N_NEG:
    case N_ARRAY: break;
    case N_REDUCE:
    case N_FOREACH:
    case N_AS:
    case N_DEF: kids[1] = n->b; break;
    case N_CALL:
        if (n->call != CALL_VALUE)
            return;
        break;
    case N_ASSIGN:
    case N_MODIFY:
    case N_UPDATE:
    case N_BREAK: return;
    default:
        kids[1] = n->b;
        kids[2] = n->c;
    }
    for (int i = 0; i < 4; i++)
        reads_add(r, kids[i]);
    for (size_t i = 0; i < n->n; i++)
        reads_add(r, n->list[i]);
}

static inline uint32_t key_hash(const char *p, size_t n)
{
    uint32_t ends = n ? (unsigned char)p[0] | (uint32_t)(unsigned char)p[n - 1] << 8 : 0;
    return (ends ^ (uint32_t)n << 16) * 2654435761u >> 16;
}

void reads_seal(struct reads *r)
{
    for (uint32_t i = 0; i < r->n; i++) {
        struct read *p = &r->v[i];
        uint32_t size = 4;
        while (size < 2 * p->nkids)
            size *= 2;
        p->mask = size - 1;
        p->table = arena_zalloc(r->arena, size * sizeof(*p->table));
        p->kids = arena_alloc(r->arena, (p->nkids + 1) * sizeof(*p->kids));
        p->nkids = 0;
    }
    for (uint32_t i = 1; i < r->n; i++) {
        struct read *p = &r->v[r->v[i].parent];
        struct str key = r->v[i].key;
        uint32_t at = key_hash(key.p, key.n) & p->mask;
        while (p->table[at])
            at = (at + 1) & p->mask;
        p->table[at] = i;
        p->kids[p->nkids++] = i;
        p->lengths |= (uint64_t)1 << (key.n & 63);
    }
}

/* Looking up ------------------------------------------------------------------------------------------------------ */

void found_init(struct found *f, const struct reads *r)
{
    *f = (struct found){.reads = r};
    f->values = xcalloc(r->n, sizeof(*f->values));
    f->rounds = xcalloc(r->n, sizeof(*f->rounds));
}

void found_done(struct found *f)
{
    free(f->values);
    free(f->rounds);
    *f = (struct found){.reads = NULL};
}

void found_begin(struct found *f, struct val element)
{
    if (!f->reads)
        return;
    f->root = element;
    if (!++f->round) {
        memset(f->rounds, 0, f->reads->n * sizeof(*f->rounds));
        f->round = 1;
    }
}

static void search_document(struct found *f, const struct read *p, yyjson_val *o)
{
    const struct read *all = f->reads->v;
    yyjson_val *k = unsafe_yyjson_get_first(o);
    for (size_t left = unsafe_yyjson_get_len(o); left; left--, k = unsafe_yyjson_get_next(k + 1)) {
        size_t n = unsafe_yyjson_get_len(k);
        if (!(p->lengths >> (n & 63) & 1))
            continue;
        const char *key = k->uni.str;
        for (uint32_t at = key_hash(key, n) & p->mask, i; (i = p->table[at]); at = (at + 1) & p->mask) {
            if (all[i].key.n == n && bytes_eq(all[i].key.p, key, n)) {
                f->values[i] = val_of_doc(k + 1);
                break;
            }
        }
    }
}

static void search(struct found *f, uint32_t path, struct val v)
{
    const struct read *p = &f->reads->v[path];
    struct val none = VNULL;
    if (v.kind != VAL_OBJECT && v.kind != VAL_NULL)
        none.kind = NO_VALUE;
    for (uint32_t i = 0; i < p->nkids; i++) {
        f->values[p->kids[i]] = none;
        f->rounds[p->kids[i]] = f->round;
    }
    if (v.kind != VAL_OBJECT)
        return;
    if (v.rep == REP_DOC) {
        search_document(f, p, v.doc);
        return;
    }
    for (uint32_t i = 0; i < p->nkids; i++)
        val_find(v, f->reads->v[p->kids[i]].key, &f->values[p->kids[i]]);
}

bool found_at(struct found *f, uint32_t path, struct val *ret)
{
    if (f->rounds[path] != f->round) {
        uint32_t parent = f->reads->v[path].parent;
        struct val v = f->root;
        if (parent && !found_at(f, parent, &v))
            return false;
        search(f, parent, v);
    }
    if (f->values[path].kind == NO_VALUE)
        return false;
    *ret = f->values[path];
    return true;
}
