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
    int (*body)(struct ev *c, struct binding *b, const struct path *p);
    void *more;
};

/* Matching walks the pattern with an explicit list of what is left, since object keys may be generators. As in
 * jq the path goes on through the members that are looked at, and the body starts from where it got. */
struct match {
    struct binding *b;
    const struct pattern *pat;
    size_t i;
    struct val v, member;
    struct match *rest;
};

static int match_next(struct ev *c, struct match *m, const struct path *p);

static int match_pattern(struct ev *c, struct binding *b, const struct pattern *pat, struct val v,
                         const struct path *p, struct match *rest)
{
    if (pat->kind == PAT_VAR) {
        b->vars[pat->slot].v = v;
        if (rest)
            return match_next(c, rest, p);
        return b->body(c, b, p);
    }
    struct match m = {b, pat, 0, v, VNULL, rest};
    if (pat->kind == PAT_ARRAY && v.kind != VAL_ARRAY && v.kind != VAL_NULL)
        return ev_error(c, "Cannot index %s with number (0)", val_kind_name(v.kind));
    return match_next(c, &m, p);
}

static int match_member(struct ev *c, struct match *m, struct val key, const struct path *p)
{
    struct match after = *m;
    const struct pattern_item *item = &m->pat->items[m->i];
    struct val v;
    if (key.kind != VAL_STRING && m->pat->kind == PAT_OBJECT)
        return ev_error(c, "Cannot index %s with %s", val_kind_name(m->v.kind), ev_shown(c, key));
    int rc = path_check_access(c, m->v, p, key);
    if (!rc)
        rc = access_get(c, m->v, key, &v);
    if (rc)
        return rc;
    struct path frame;
    p = path_add(&frame, p, key, v);
    after.i++;
    if (item->var.p)
        m->b->vars[item->slot].v = v;
    return item->sub ? match_pattern(c, m->b, item->sub, v, p, &after) : match_next(c, &after, p);
}

struct match_key {
    struct match *m;
    const struct path *p;
};

static int match_key(struct ev *c, void *arg, struct val key, const struct path *p)
{
    struct match_key *k = arg;
    (void)p;
    return match_member(c, k->m, key, k->p);
}

static int match_next(struct ev *c, struct match *m, const struct path *p)
{
    if (m->i == m->pat->n) {
        if (m->rest)
            return match_next(c, m->rest, p);
        return m->b->body(c, m->b, p);
    }
    const struct pattern_item *item = &m->pat->items[m->i];
    if (m->pat->kind == PAT_ARRAY)
        return match_member(c, m, val_num((double)m->i), p);
    if (!item->key)
        return match_member(c, m, val_str(item->var), p);
    struct match_key k = {m, p};
    return eval(c, item->key, m->b->inner, m->b->in, NULL, match_key, &k);
}

/* Binds one value by the first alternative that neither fails to match nor fails later. As in jq an error of
 * whatever comes behind counts, and so does a break out of it. */
static int bind_value(struct ev *c, struct binding *b, struct val v, const struct path *p)
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
        rc = match_pattern(c, b, ps->alt[alt], v, p, NULL);
        if (rc != EV_ERROR && (rc != EV_BREAK || c->broken == c->root))
            break;
    }
    b->vars = before;
    return rc;
}

static int as_body(struct ev *c, struct binding *b, const struct path *p)
{
    return eval(c, b->n->b, b->inner, b->in, p, b->out, b->arg);
}

static int as_source(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct binding b = *(struct binding *)arg;
    (void)p;
    return bind_value(c, &b, v, b.p);
}

/* Loops
 * ------------------------------------------------------------------------------------------------------------
 */

struct fold {
    struct val state;
    bool any;   /* this round gave an output */
    bool again; /* jq's reduce takes the input out for the first initial value: later ones see null */
};

static int reduce_update(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct fold *f = arg;
    (void)p;
    f->state = v;
    f->any = true;
    return ev_step(c);
}

/* From scalar to scalar nothing of what a round leaves in the heap is needed. */
static bool scalar_state(struct val v)
{
    return v.kind <= VAL_TRUE || (v.kind == VAL_NUMBER && v.rep == REP_PLAIN);
}

static int reduce_body(struct ev *c, struct binding *b, const struct path *p)
{
    struct fold *f = b->more;
    struct val before = f->state;
    bool scalar = scalar_state(before);
    uint32_t epoch = c->heap->epoch;
    struct heap_mark mark = heap_mark(c->heap);
    if (scalar)
        c->heap->epoch = ++c->heap->last_epoch;
    f->any = false;
    int rc = eval(c, b->n->c, b->inner, before, p, reduce_update, f);
    if (!rc && !f->any)
        f->state = VNULL;
    c->heap->epoch = epoch;
    if (!rc && scalar && scalar_state(f->state))
        heap_release(c->heap, mark);
    return rc;
}

static int foreach_update(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct binding *b = arg;
    struct fold *f = b->more;
    f->state = v;
    f->any = true;
    if (!b->n->d)
        return ev_emit(c, b->out, b->arg, v, p);
    return eval(c, b->n->d, b->inner, v, p, b->out, b->arg);
}

static int foreach_body(struct ev *c, struct binding *b, const struct path *p)
{
    struct fold *f = b->more;
    f->any = false;
    int rc = eval(c, b->n->c, b->inner, f->state, p, foreach_update, b);
    if (!rc && !f->any)
        f->state = VNULL; /* jq takes the state out for the round: an update without output leaves null */
    return rc;
}

static int fold_source(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct binding b = *(struct binding *)arg;
    return bind_value(c, &b, v, p);
}

/* One initial value: the rounds start from its path, and so does what comes after them. */
static int fold_init(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct binding *b = arg, inner = *b;
    struct fold *outer = b->more, f = {.state = v};
    struct val in = outer->again && b->n->kind == N_REDUCE ? VNULL : b->in;
    outer->again = true;
    inner.more = &f;
    inner.in = in;
    int rc = eval(c, b->n->a, b->outer, in, p, fold_source, &inner);
    return rc || b->n->kind == N_FOREACH ? rc : ev_emit(c, b->out, b->arg, f.state, p);
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
    struct fold f = {.again = false};
    b.body = reduce_body;
    b.more = &f;
    return eval(c, n->b, env, in, p, fold_init, &b);
}

int eval_foreach(struct ev *c, const struct node *n, const struct env *env, struct val in,
                 const struct path *p, emit_fn out, void *arg)
{
    struct binding b = binding_of(n, env, in, p, out, arg);
    struct fold f = {.again = false};
    b.body = foreach_body;
    b.more = &f;
    return eval(c, n->b, env, in, p, fold_init, &b);
}
