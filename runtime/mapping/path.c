/* Paths in path mode. As in jq a path is only looked at when it is used: a value stands for what the path leads
 * to when it is the identical one, so `path(1 | null)` is fine at null and `path(. as $x | 1 | $x)` everywhere. */
#include "mapping/eval.h"

/* The same storage, not the same content: jq compares pointers, and doubles that are no literals by their bits. */
static bool identical(struct val a, struct val b)
{
    if (a.kind != b.kind || a.rep != b.rep)
        return false;
    switch (a.kind) {
    case VAL_NUMBER:
        return a.rep == REP_TEXT ? a.s == b.s && a.n == b.n : memcmp(&a.d, &b.d, sizeof(a.d)) == 0;
    case VAL_STRING: return a.s == b.s && a.n == b.n;
    case VAL_ARRAY: return a.rep == REP_DOC ? a.doc == b.doc : a.arr == b.arr && a.n == b.n;
    case VAL_OBJECT: return a.rep == REP_DOC ? a.doc == b.doc : a.obj == b.obj && a.n == b.n;
    default: return true;
    }
}

int path_check(struct ev *c, struct val v, const struct path *p)
{
    if (!p || identical(v, p->v))
        return EV_OK;
    struct str s = val_excerpt(c->heap, v, 29);
    return ev_error(c, "Invalid path expression with result %.*s", STR_FMT(s));
}

int path_check_each(struct ev *c, struct val v, const struct path *p)
{
    if (!p || identical(v, p->v))
        return EV_OK;
    struct str s = val_excerpt(c->heap, v, 29);
    return ev_error(c, "Invalid path expression near attempt to iterate through %.*s", STR_FMT(s));
}

int path_check_access(struct ev *c, struct val v, const struct path *p, struct val key)
{
    if (!p || identical(v, p->v))
        return EV_OK;
    struct str k = val_excerpt(c->heap, key, 29), t = val_excerpt(c->heap, v, 29);
    return ev_error(c, "Invalid path expression near attempt to access element %.*s of %.*s", STR_FMT(k),
                    STR_FMT(t));
}

struct val path_array(struct ev *c, const struct path *p)
{
    size_t n = 0;
    for (const struct path *q = p; q->up; q = q->up)
        n++;
    struct val a = val_array(c->heap, n);
    if (a.kind != VAL_ARRAY)
        return a;
    for (; p->up; p = p->up)
        a.arr->v[--n] = p->key;
    for (const struct val *v = a.arr->v; n < a.arr->cap; n++, v++)
        a.arr->depth = v->rep == REP_BUILT && a.arr->depth < 3 ? 3 : a.arr->depth;
    a.n = a.arr->used = a.arr->cap;
    return a;
}
