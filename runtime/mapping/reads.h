/* reads.h: the members that a plan's expressions read of the element itself.
 *
 * Fields of a mapping begin alike (`.fields.status.name`, `.fields.summary`), so what is read of an element forms a
 * small tree. An object on the way is searched once for all of its members that any expression wants, when the first of
 * them is asked for; every later one is there already.
 *
 * Ownership: a `struct reads` lives in the plan's arena and is immutable after reads_seal; any thread may use it. A
 * `struct found` belongs to one thread and is valid for one element at a time. */
#pragma once
#include "base/arena.h"
#include "mapping/ast.h"
#include "mapping/value.h"

struct reads;

struct reads *reads_new(struct arena *a);
/* Marks the paths of a bound tree (node.read); only before reads_seal. */
void reads_add(struct reads *r, struct node *n);
void reads_seal(struct reads *r);

/* What one element gave so far. */
struct found {
    const struct reads *reads; /* NULL: nothing is looked up together */
    struct val root;           /* the element; null: none */
    struct val *values;        /* by path */
    uint32_t *rounds;          /* by path: the round that filled `values` */
    uint32_t round;
};

void found_init(struct found *f, const struct reads *r);
void found_done(struct found *f);
void found_begin(struct found *f, struct val element);
static inline void found_end(struct found *f) { f->root = VNULL; }

bool found_at(struct found *f, uint32_t path, struct val *ret);
/* Value of a marked node for the input `in`. False: `in` is not the element, or something on the way is neither object
 * nor null: the node has to be evaluated. */
static inline bool found_get(struct found *f, uint32_t path, struct val in, struct val *ret)
{
    if (!path || in.kind != VAL_OBJECT || in.doc != f->root.doc || in.rep != f->root.rep || in.n != f->root.n ||
        f->root.kind != VAL_OBJECT)
        return false;
    return found_at(f, path, ret);
}
