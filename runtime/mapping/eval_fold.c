/* Variables and loops: as, reduce, foreach. A binding fills the frames of all its variables, then runs its
 * body; patterns are matched with an explicit list of what is left, since object keys may be generators. */
#include "mapping/eval_priv.h"

/* Variables
 * -------------------------------------------------------------------------------------------------------- */

struct binding {
    const struct node *n;
    const struct env *outer, *inner;
    struct env *vars;
    struct val in;
    const struct path *p;
    emit_fn out;
    void *arg;
    bool downstream;
    int (*body)(struct ev *c, struct binding *b);
    void *more;
};

/* Matching walks the pattern with an explicit list of what is left, since object keys may be generators. */
struct match {
    struct binding *b;
    const struct pattern *pat;
    size_t i;
    struct val v, member;
    struct match *rest;
};

static int match_next(struct ev *c, struct match *m);

static int match_pattern(struct ev *c, struct binding *b, const struct pattern *pat, struct val v,
                         struct match *rest)
{
    if (pat->kind == PAT_VAR) {
        b->vars[pat->slot].v = v;
        if (rest)
            return match_next(c, rest);
        return b->body(c, b);
    }
    struct match m = {b, pat, 0, v, VNULL, rest};
    if (pat->kind == PAT_ARRAY && v.kind != VAL_ARRAY && v.kind != VAL_NULL)
        return ev_error(c, "Cannot index %s with number (0)", val_kind_name(v.kind));
    return match_next(c, &m);
}

static int match_member(struct ev *c, struct match *m, struct val key)
{
    struct match after = *m;
    const struct pattern_item *item = &m->pat->items[m->i];
    struct val v;
    if (key.kind != VAL_STRING && m->pat->kind == PAT_OBJECT)
        return ev_error(c, "Cannot index %s with %s", val_kind_name(m->v.kind), ev_shown(c, key));
    int rc = access_get(c, m->v, key, &v);
    if (rc)
        return rc;
    after.i++;
    if (item->var.p)
        m->b->vars[item->slot].v = v;
    return item->sub ? match_pattern(c, m->b, item->sub, v, &after) : match_next(c, &after);
}

static int match_key(struct ev *c, void *arg, struct val key, const struct path *p)
{
    (void)p;
    return match_member(c, arg, key);
}

static int match_next(struct ev *c, struct match *m)
{
    if (m->i == m->pat->n) {
        if (m->rest)
            return match_next(c, m->rest);
        return m->b->body(c, m->b);
    }
    const struct pattern_item *item = &m->pat->items[m->i];
    if (m->pat->kind == PAT_ARRAY)
        return match_member(c, m, val_num((double)m->i));
    if (!item->key)
        return match_member(c, m, val_str(item->var));
    return eval(c, item->key, m->b->inner, m->b->in, NULL, match_key, m);
}

/* Binds one value by the first alternative that neither fails to match nor fails later. */
static int bind_value(struct ev *c, struct binding *b, struct val v)
{
    const struct patterns *ps = b->n->pats;
    struct env local[VARS_LOCAL], *vars = local;
    if (ps->nvars > VARS_LOCAL && !(vars = heap_alloc(c->heap, ps->nvars * sizeof(*vars))))
        return ev_emit(c, NULL, NULL, v, NULL);
    struct env *before = b->vars;
    int rc = EV_OK;
    b->vars = vars;
    for (size_t alt = 0; alt < ps->n; alt++) {
        for (size_t i = 0; i < ps->nvars; i++)
            vars[i] = (struct env){.up = i ? &vars[i - 1] : b->outer};
        b->inner = ps->nvars ? &vars[ps->nvars - 1] : b->outer;
        rc = match_pattern(c, b, ps->alt[alt], v, NULL);
        if (rc != EV_ERROR || b->downstream)
            break;
    }
    b->vars = before;
    return rc;
}

static int as_output(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct binding *b = arg;
    int rc = ev_emit(c, b->out, b->arg, v, p);
    b->downstream = rc == EV_ERROR;
    return rc;
}

static int as_body(struct ev *c, struct binding *b)
{
    if (b->n->pats->n == 1)
        return eval(c, b->n->b, b->inner, b->in, b->p, b->out, b->arg);
    return eval(c, b->n->b, b->inner, b->in, b->p, as_output, b);
}

static int as_source(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct binding b = *(struct binding *)arg;
    (void)p;
    return bind_value(c, &b, v);
}

struct fold {
    struct val state;
    const struct path *path;
    bool any; /* this round gave an output */
    struct binding *b;
};

/* A path that outlives the frames it was made in. */
static const struct path *keep_path(struct ev *c, const struct path *p)
{
    if (!p || p == &path_root || p == &path_none)
        return p;
    struct path *copy = heap_alloc(c->heap, sizeof(*copy));
    if (!copy)
        return &path_none;
    copy->key = p->key;
    copy->up = keep_path(c, p->up);
    return copy;
}

static int reduce_update(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct fold *f = arg;
    f->state = v;
    f->path = keep_path(c, p);
    f->any = true;
    return ev_step(c);
}

/* From scalar to scalar nothing of what a round leaves in the heap is needed. */
static bool scalar_state(struct val v)
{
    return v.kind <= VAL_TRUE || (v.kind == VAL_NUMBER && v.rep == REP_PLAIN);
}

static int reduce_body(struct ev *c, struct binding *b)
{
    struct fold *f = b->more;
    struct val before = f->state;
    const struct path *path_before = f->path;
    bool scalar = scalar_state(before) && !b->p;
    uint32_t epoch = c->heap->epoch;
    struct heap_mark mark = heap_mark(c->heap);
    if (scalar)
        c->heap->epoch = ++c->heap->last_epoch;
    f->any = false;
    int rc = eval(c, b->n->c, b->inner, before, path_before, reduce_update, f);
    if (!rc && !f->any) {
        f->state = VNULL;
        f->path = path_of_value(f->path, b->in, VNULL);
    }
    c->heap->epoch = epoch;
    if (!rc && scalar && scalar_state(f->state))
        heap_release(c->heap, mark);
    return rc;
}

static int fold_source(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct binding b = *(struct binding *)arg;
    (void)p;
    return bind_value(c, &b, v);
}

static int reduce_init(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct binding *b = arg, inner = *b;
    struct fold f = {.state = v, .path = p};
    inner.body = reduce_body;
    inner.more = &f;
    int rc = eval(c, b->n->a, b->outer, b->in, NULL, fold_source, &inner);
    return rc ? rc : ev_emit(c, b->out, b->arg, f.state, f.path);
}

static int foreach_update(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct fold *f = arg;
    struct binding *b = f->b;
    f->state = v;
    f->path = keep_path(c, p);
    f->any = true;
    if (!b->n->d)
        return ev_emit(c, b->out, b->arg, v, p);
    return eval(c, b->n->d, b->inner, v, p, b->out, b->arg);
}

static int foreach_body(struct ev *c, struct binding *b)
{
    struct fold *f = b->more;
    struct binding *before = f->b;
    f->b = b;
    f->any = false;
    int rc = eval(c, b->n->c, b->inner, f->state, f->path, foreach_update, f);
    f->b = before;
    if (!rc && !f->any)
        f->state = VNULL; /* jq takes the state out for the round: an update without output leaves null */
    return rc;
}

static int foreach_init(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct binding *b = arg, inner = *b;
    struct fold f = {.state = v, .path = p};
    inner.body = foreach_body;
    inner.more = &f;
    return eval(c, b->n->a, b->outer, b->in, NULL, fold_source, &inner);
}

static struct binding binding_of(const struct node *n, const struct env *env, struct val in,
                                 const struct path *p, emit_fn out, void *arg)
{
    return (struct binding){.n = n, .outer = env, .in = in, .p = p, .out = out, .arg = arg, .body = as_body};
}

int eval_as(struct ev *c, const struct node *n, const struct env *env, struct val in, const struct path *p,
            emit_fn out, void *arg)
{
    struct binding b = binding_of(n, env, in, p, out, arg);
    return eval(c, n->a, env, in, NULL, as_source, &b);
}

int eval_reduce(struct ev *c, const struct node *n, const struct env *env, struct val in,
                const struct path *p, emit_fn out, void *arg)
{
    struct binding b = binding_of(n, env, in, p, out, arg);
    return eval(c, n->b, env, in, p, reduce_init, &b);
}

int eval_foreach(struct ev *c, const struct node *n, const struct env *env, struct val in,
                 const struct path *p, emit_fn out, void *arg)
{
    struct binding b = binding_of(n, env, in, p, out, arg);
    return eval(c, n->b, env, in, p, foreach_init, &b);
}
