/* The misconfiguration report (sync S-90 to S-93): fields that were null, how often, for which item, and
 * whether the item has a key that is spelt nearly like the one asked for. */
#include "mapping/plan_priv.h"

#include <stdlib.h>

#include "base/mem.h"

#define EXCERPT_MAX 300

/* Letters of a key without case, '_' and '-': html_url and htmlUrl are the same. */
static size_t folded(struct str key, char out[64])
{
    size_t n = 0;
    for (size_t i = 0; i < key.n && n < 64; i++)
        if (key.p[i] != '_' && key.p[i] != '-')
            out[n++] = key.p[i] >= 'A' && key.p[i] <= 'Z' ? (char)(key.p[i] | 32) : key.p[i];
    return n;
}

static struct str nearest(struct heap *h, struct val obj, struct str key)
{
    struct str best = STR_NULL;
    int best_distance = key.n <= 4 ? 2 : 4; /* the exclusive limit */
    char a[64], b[64];
    size_t na = folded(key, a);
    for (struct val_iter it = val_iter(h, obj); val_next(&it);) {
        struct str other = val_text(it.key);
        size_t nb = folded(other, b);
        int d = na == nb && memcmp(a, b, na) == 0 ? 0 : str_distance(key, other, best_distance);
        if (d < best_distance) {
            best_distance = d;
            best = other;
        }
    }
    return best;
}

/* The chain of field names an expression starts with. */
static const struct node *leading_path(const struct node *n)
{
    while (n) {
        switch (n->kind) {
        case N_INDEX:
        case N_IDENTITY: return n;
        case N_CALL:
        case N_CONST: return NULL;
        default: n = n->a; break;
        }
    }
    return NULL;
}

static const char *find_hint(struct mapper *m, const struct expr *x, struct val element)
{
    const struct node *chain[32], *n = leading_path(x->node);
    size_t depth = 0;
    for (; n && n->kind == N_INDEX && depth < 32; n = n->a) {
        if (n->b->kind != N_CONST || n->b->v.kind != VAL_STRING)
            return NULL;
        chain[depth++] = n;
    }
    struct val v = element;
    while (depth-- && v.kind == VAL_OBJECT) {
        struct str key = val_text(chain[depth]->b->v);
        struct val next;
        if (val_find(v, key, &next)) {
            v = next;
            continue;
        }
        struct str near = nearest(&m->heap, v, key);
        return near.p ? arena_str(m->batch->arena, near).p : NULL;
    }
    return NULL;
}

void misconfig_null(struct mapper *m, int i, struct val element, const char *error)
{
    if (error && !m->errors[i])
        m->errors[i] = error;
    if (m->nulls[i]++)
        return;
    m->excerpts[i] = arena_str(m->batch->arena, val_excerpt(&m->heap, element, EXCERPT_MAX));
    m->hints[i] = find_hint(m, &m->plan->exprs[i], element);
}

void misconfig_finish(struct mapper *m)
{
    const struct plan *p = m->plan;
    struct mapped_batch *b = m->batch;
    b->misconfig = arena_alloc(b->arena, (p->nexprs + 1) * sizeof(*b->misconfig));
    for (size_t i = 0; i < p->nexprs; i++) {
        if (!m->nulls[i])
            continue;
        const struct expr *x = &p->exprs[i];
        b->misconfig[b->nmisconfig++] =
            (struct misconfig){arena_str(b->arena, str_of(x->field)).p,
                               arena_str(b->arena, str_of(x->text)).p,
                               m->nulls[i],
                               m->excerpts[i],
                               m->hints[i],
                               m->errors[i] ? arena_str(b->arena, str_of(m->errors[i])).p : NULL};
    }
}
