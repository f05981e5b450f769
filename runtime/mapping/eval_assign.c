/* Assignment: every path the left side gives is read, worked on and written back, one after another; paths
 * are those of the value as it was at the start. What |= leaves without output is deleted at the end, all at
 * once. */
#include "mapping/eval_priv.h"

/* Assignment
 * ------------------------------------------------------------------------------------------------------- */

struct assign {
    const struct node *n;
    const struct env *env;
    struct val in, value, result, dropped;
    bool got;
    emit_fn out;
    void *arg;
    const struct path *p;
};

static int take_first(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct assign *a = arg;
    (void)p;
    if (a->got) /* ?// took the end of the first output for a failure; jq has lost the path by now */
        return ev_error(c, "Paths must be specified as an array");
    a->value = v;
    a->got = true;
    c->broken = a;
    return EV_BREAK;
}

static int assign_path(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct assign *a = arg;
    int rc = path_check(c, v, p);
    if (rc)
        return rc;
    struct val keys = path_array(c, p), old, value = a->value;
    if (keys.kind != VAL_ARRAY)
        return ev_emit(c, NULL, NULL, keys, NULL);
    if (a->n->kind != N_ASSIGN) {
        rc = access_getpath(c, a->result, keys.arr->v, keys.n, &old);
        if (rc)
            return rc;
    }
    if (a->n->kind == N_UPDATE) {
        rc = op_binary(c, a->n->op, old, a->value, &value);
    } else if (a->n->kind == N_MODIFY) {
        a->got = false;
        rc = eval(c, a->n->b, a->env, old, NULL, take_first, a);
        if (rc == EV_BREAK && c->broken == a)
            rc = EV_OK;
        value = a->value;
        if (!rc && !a->got) {
            a->dropped =
                val_push(c->heap, a->dropped.kind == VAL_ARRAY ? a->dropped : val_array(c->heap, 4), keys);
            return EV_OK;
        }
    }
    if (!rc)
        rc = access_set(c, a->result, keys.arr->v, keys.n, value, &a->result);
    return rc ? rc : c->heap->full ? ev_emit(c, NULL, NULL, value, NULL) : ev_step(c);
}

static int assign_value(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct assign a = *(struct assign *)arg;
    (void)p;
    a.value = v;
    a.result = a.in;
    struct path root = {.v = a.in};
    int rc = eval(c, a.n->a, a.env, a.in, &root, assign_path, &a);
    if (!rc && a.dropped.kind == VAL_ARRAY)
        rc = access_delete(c, a.result, a.dropped, &a.result);
    if (!rc && a.p && a.n->kind != N_ASSIGN) { /* an update is never a place, even where it changed nothing */
        struct str state = val_excerpt(c->heap, a.result, 20);
        return ev_error(c, "Invalid path expression near attempt to access element 0 of [%.*s,[]]", STR_FMT(state));
    }
    return rc ? rc : ev_emit(c, a.out, a.arg, a.result, a.p);
}

int eval_assign(struct ev *c, const struct node *n, const struct env *env, struct val in,
                const struct path *p, emit_fn out, void *arg)
{
    struct assign a = {.n = n, .env = env, .in = in, .out = out, .arg = arg, .p = p};
    if (n->kind == N_MODIFY)
        return assign_value(c, &a, VNULL, NULL);
    return eval(c, n->b, env, in, NULL, assign_value, &a);
}
