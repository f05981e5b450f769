/* The evaluator: one function per kind of node, outputs handed on by calls. Whatever a callback needs lies in
 * frames of the C stack, which stay alive until it returns; so do environments and paths. Nodes that give
 * exactly one output take the short way of eval_single.
 *
 * Order of outputs follows jq: operands from the right, arguments of functions from the last, interpolations
 * from the last, object entries and "as" from the left. Errors raised by what comes after a try are not the
 * try's: its frame remembers that the failure came from downstream. */
#include "mapping/eval_priv.h"

static const struct env *env_at(const struct env *env, int index)
{
    while (index--)
        env = env->up;
    return env;
}

static int stack_over(struct ev *c)
{
    c->fatal = FATAL_STACK;
    return EV_FATAL;
}

static inline bool no_stack(const struct ev *c) { return (char *)__builtin_frame_address(0) < c->stack_end; }

/* Access
 * -----------------------------------------------------------------------------------------------------------
 */

struct access {
    const struct node *n;
    const struct env *env;
    struct val in, key, from;
    const struct path *p;
    emit_fn out;
    void *arg;
};

static int index_term(struct ev *c, void *arg, struct val t, const struct path *p)
{
    struct access *a = arg;
    struct val v;
    int rc = path_check_access(c, t, p, a->key); /* which '?' does not forgive */
    if (rc)
        return rc;
    rc = access_get(c, t, a->key, &v);
    if (rc)
        return rc == EV_ERROR && a->n->optional ? EV_OK : rc;
    struct path frame;
    return ev_emit(c, a->out, a->arg, v, path_add(&frame, p, a->key, v));
}

static int index_key(struct ev *c, void *arg, struct val key, const struct path *p)
{
    struct access *a = arg;
    (void)p;
    a->key = key;
    return eval(c, a->n->a, a->env, a->in, a->p, index_term, a);
}

static int slice_term(struct ev *c, void *arg, struct val t, const struct path *p)
{
    struct access *a = arg;
    struct val v, key = VNULL;
    if (p)
        key = slice_key(c, a->from, a->key);
    int rc = path_check_access(c, t, p, key);
    if (rc)
        return rc;
    rc = access_slice(c, t, a->from, a->key, &v);
    if (rc)
        return rc == EV_ERROR && a->n->optional ? EV_OK : rc;
    struct path frame;
    return ev_emit(c, a->out, a->arg, v, path_add(&frame, p, key, v));
}

static int slice_to(struct ev *c, void *arg, struct val key, const struct path *p)
{
    struct access *a = arg;
    (void)p;
    a->key = key;
    return eval(c, a->n->a, a->env, a->in, a->p, slice_term, a);
}

static int slice_from(struct ev *c, void *arg, struct val from, const struct path *p)
{
    struct access *a = arg;
    (void)p;
    a->from = from;
    return a->n->c ? eval(c, a->n->c, a->env, a->in, NULL, slice_to, a) : slice_to(c, a, VNULL, NULL);
}

static int each_term(struct ev *c, void *arg, struct val t, const struct path *p)
{
    struct access *a = arg;
    double i = 0;
    int bad = path_check_each(c, t, p);
    if (bad)
        return bad;
    if (t.kind < VAL_ARRAY) {
        if (a->n->optional)
            return EV_OK;
        return ev_error(c, "Cannot iterate over %s", ev_shown(c, t));
    }
    for (struct val_iter it = val_iter(c->heap, t); val_next(&it); i++) {
        struct path frame;
        int rc = ev_step(c);
        if (!rc)
            rc = ev_emit(c, a->out, a->arg, it.v, path_add(&frame, p, it.obj ? it.key : val_num(i), it.v));
        if (rc)
            return rc;
    }
    return EV_OK;
}

/* Two operands
 * ----------------------------------------------------------------------------------------------------- */

struct two {
    const struct node *n;
    const struct env *env;
    struct val in, right;
    const struct path *p;
    emit_fn out;
    void *arg;
    bool flag;
};

static int binop_left(struct ev *c, void *arg, struct val left, const struct path *p)
{
    struct two *t = arg;
    struct val v;
    (void)p;
    int rc = op_binary(c, t->n->op, left, t->right, &v);
    return rc ? rc : ev_emit(c, t->out, t->arg, v, t->p);
}

static int binop_right(struct ev *c, void *arg, struct val right, const struct path *p)
{
    struct two t = *(struct two *)arg;
    (void)p;
    t.right = right;
    return eval(c, t.n->a, t.env, t.in, NULL, binop_left, &t);
}

static int logic_right(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct two *t = arg;
    return ev_emit(c, t->out, t->arg, val_bool(val_truthy(v)), p);
}

static int logic_left(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct two *t = arg;
    bool truthy = val_truthy(v);
    if (truthy == (t->n->kind == N_OR))
        return logic_right(c, t, v, p);
    return eval(c, t->n->b, t->env, t->in, p, logic_right, t);
}

static int pipe_left(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct two *t = arg;
    return eval(c, t->n->b, t->env, v, p, t->out, t->arg);
}

static int alt_left(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct two *t = arg;
    if (!val_truthy(v))
        return EV_OK;
    t->flag = true;
    return ev_emit(c, t->out, t->arg, v, p);
}

static int negate_one(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct two *t = arg;
    int rc = op_negate(c, v, &v);
    return rc ? rc : ev_emit(c, t->out, t->arg, v, p);
}

static int if_condition(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct two *t = arg;
    (void)p;
    const struct node *then = val_truthy(v) ? t->n->b : t->n->c;
    return then ? eval(c, then, t->env, t->in, t->p, t->out, t->arg)
                : ev_emit(c, t->out, t->arg, t->in, t->p);
}

static int try_output(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct two *t = arg;
    int rc = ev_emit(c, t->out, t->arg, v, p);
    t->flag = rc == EV_ERROR;
    return rc;
}

static int eval_try(struct ev *c, struct two *t)
{
    int rc = eval(c, t->n->a, t->env, t->in, t->p, try_output, t);
    if (rc != EV_ERROR || t->flag)
        return rc;
    if (!t->n->b)
        return EV_OK;
    return eval(c, t->n->b, t->env, c->error, t->p, t->out, t->arg);
}

/* Arrays, objects, strings
 * ----------------------------------------------------------------------------------------- */

struct collector {
    struct val array;
};

static int collect_one(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct collector *k = arg;
    (void)p;
    k->array = val_push(c->heap, k->array, v);
    if (c->heap->full)
        return ev_emit(c, NULL, NULL, v, NULL);
    return ev_step(c);
}

static int collect(struct ev *c, const struct node *n, const struct env *env, struct val in,
                   const struct path *p, struct val *ret)
{
    struct collector k = {val_array(c->heap, 4)};
    if (k.array.kind != VAL_ARRAY)
        return ev_emit(c, NULL, NULL, k.array, NULL);
    int rc = n ? eval(c, n, env, in, p, collect_one, &k) : EV_OK;
    *ret = k.array;
    return rc;
}

struct entries {
    const struct node *n;
    const struct env *env;
    struct val in, done, key;
    size_t i; /* position of the entry's key in the list */
    const struct path *p;
    emit_fn out;
    void *arg;
};

static int object_entry(struct ev *c, struct entries *e);

static int bad_key(struct ev *c, struct val key)
{
    return ev_error(c, "Cannot use %s as object key", ev_shown(c, key));
}

static int entry_value(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct entries e = *(struct entries *)arg;
    (void)p;
    if (e.key.kind !=
        VAL_STRING) /* looked at only now: a value without output makes no entry, whatever its key */
        return bad_key(c, e.key);
    e.done = val_set(c->heap, e.done, e.key, v);
    if (e.done.kind != VAL_OBJECT)
        return ev_emit(c, NULL, NULL, v, NULL);
    e.i += 2;
    return object_entry(c, &e);
}

static int entry_key(struct ev *c, void *arg, struct val key, const struct path *p)
{
    struct entries e = *(struct entries *)arg;
    (void)p;
    e.key = key;
    return eval(c, e.n->list[e.i + 1], e.env, e.in, NULL, entry_value, &e);
}

static int object_entry(struct ev *c, struct entries *e)
{
    if (e->i == e->n->n)
        return ev_emit(c, e->out, e->arg, e->done, e->p);
    return eval(c, e->n->list[e->i], e->env, e->in, NULL, entry_key, e);
}

struct parts {
    const struct node *n;
    const struct env *env;
    struct val in;
    size_t left;
    struct val *texts;
    const struct path *p;
    emit_fn out;
    void *arg;
};

static int concat_parts(struct ev *c, const struct val *texts, size_t n, struct val *ret)
{
    size_t len = 0, at = 0;
    for (size_t i = 0; i < n; i++)
        len += texts[i].n;
    if (len > c->heap->limit || len > UINT32_MAX) {
        c->heap->full = true;
        *ret = VNULL;
        return EV_OK;
    }
    char *p = heap_alloc(c->heap, len);
    if (!p) {
        *ret = VNULL;
        return EV_OK;
    }
    for (size_t i = 0; i < n; i++) {
        memcpy(p + at, texts[i].s, texts[i].n);
        at += texts[i].n;
    }
    c->heap->tail = p + len;
    *ret = val_strn(p, len);
    return EV_OK;
}

static int string_part(struct ev *c, struct parts *s);

static int part_value(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct parts s = *(struct parts *)arg;
    (void)p;
    int rc = op_format(c, s.n->name.p ? s.n->name : STR("text"), v, &s.texts[--s.left]);
    if (rc)
        return rc;
    if (c->heap->full)
        return ev_emit(c, NULL, NULL, v, NULL);
    return string_part(c, &s);
}

static int string_part(struct ev *c, struct parts *s)
{
    struct val v;
    while (s->left && s->n->list[s->left - 1]->literal) {
        s->left--;
        s->texts[s->left] = s->n->list[s->left]->v;
    }
    if (s->left)
        return eval(c, s->n->list[s->left - 1], s->env, s->in, NULL, part_value, s);
    concat_parts(c, s->texts, s->n->n, &v);
    return ev_emit(c, s->out, s->arg, v, s->p);
}

static int eval_string(struct ev *c, const struct node *n, const struct env *env, struct val in,
                       const struct path *p, emit_fn out, void *arg)
{
    struct parts s = {n, env, in, n->n, heap_alloc(c->heap, n->n * sizeof(struct val)), p, out, arg};
    if (!s.texts)
        return ev_emit(c, NULL, NULL, VNULL, NULL);
    return string_part(c, &s);
}

/* Calls
 * ------------------------------------------------------------------------------------------------------------
 */

static int enter_call(struct ev *c)
{
    if (++c->calls <= EV_CALLS_MAX)
        return EV_OK;
    c->fatal = FATAL_CALLS;
    return EV_FATAL;
}

/* A parameter handed on as an argument is followed to what it stands for, so that chains do not grow. */
static void make_closure(struct env *frame, const struct node *fn, const struct env *scope)
{
    while (fn->kind == N_CALL && fn->call == CALL_CLOSURE) {
        const struct env *to = env_at(scope, fn->index);
        fn = to->fn;
        scope = to->scope;
    }
    frame->fn = fn;
    frame->scope = scope;
}

static int call_def(struct ev *c, const struct node *n, const struct env *env, struct val in,
                    const struct path *p, emit_fn out, void *arg)
{
    struct env local[VARS_LOCAL] = {{0}}, *frames = local;
    const struct env *top = n->call == CALL_DEF ? env_at(env, n->index) : NULL;
    const struct def *d = n->call == CALL_DEF ? top->def : n->def;
    if (d->nparams > VARS_LOCAL && !(frames = heap_alloc(c->heap, d->nparams * sizeof(*frames))))
        return ev_emit(c, NULL, NULL, in, NULL);
    for (size_t i = 0; i < d->nparams; i++) {
        frames[i] = (struct env){.up = top};
        make_closure(&frames[i], n->list[i], env);
        top = &frames[i];
    }
    int rc = enter_call(c);
    if (!rc)
        rc = eval(c, d->body, top, in, p, out, arg);
    c->calls--;
    return rc;
}

#define ARGS_MAX 4

struct call_args {
    const struct node *n;
    const struct env *env;
    struct val in, args[ARGS_MAX];
    size_t left;
    const struct path *p;
    emit_fn out;
    void *arg;
};

static int call_native(struct ev *c, struct call_args *a);

static int native_arg(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct call_args a = *(struct call_args *)arg;
    (void)p;
    a.args[--a.left] = v;
    return call_native(c, &a);
}

static int call_native(struct ev *c, struct call_args *a)
{
    if (a->left)
        return eval(c, a->n->list[a->left - 1], a->env, a->in, NULL, native_arg, a);
    struct val v;
    int rc = a->n->native->value(c, a->in, a->args, &v);
    return rc ? rc : ev_emit(c, a->out, a->arg, v, a->p);
}

static int eval_call(struct ev *c, const struct node *n, const struct env *env, struct val in,
                     const struct path *p, emit_fn out, void *arg)
{
    switch (n->call) {
    case CALL_CLOSURE: {
        const struct env *f = env_at(env, n->index);
        int rc = enter_call(c);
        if (!rc)
            rc = eval(c, f->fn, f->scope, in, p, out, arg);
        c->calls--;
        return rc;
    }
    case CALL_DEF:
    case CALL_GLOBAL: return call_def(c, n, env, in, p, out, arg);
    case CALL_VALUE: {
        struct call_args a = {.n = n, .env = env, .in = in, .left = n->n, .p = p, .out = out, .arg = arg};
        return call_native(c, &a);
    }
    case CALL_FORM: return n->native->form(c, n, env, in, p, out, arg);
    default: return ev_error(c, "%.*s/%zu is not native", STR_FMT(n->name), n->n);
    }
}

/* The short way
 * ---------------------------------------------------------------------------------------------------- */

static int single_call(struct ev *c, const struct node *n, const struct env *env, struct val in,
                       struct val *ret)
{
    struct val args[ARGS_MAX];
    for (size_t i = n->n; i--;) {
        int rc = eval_single(c, n->list[i], env, in, &args[i]);
        if (rc)
            return rc;
    }
    return n->native->value(c, in, args, ret);
}

static int single_object(struct ev *c, const struct node *n, const struct env *env, struct val in,
                         struct val *ret)
{
    struct val o = val_object(c->heap, n->n / 2), key, v;
    for (size_t i = 0; i < n->n; i += 2) {
        int rc = eval_single(c, n->list[i], env, in, &key);
        if (!rc)
            rc = eval_single(c, n->list[i + 1], env, in, &v);
        if (!rc && key.kind != VAL_STRING)
            rc = bad_key(c, key);
        if (rc)
            return rc;
        if (c->heap->full)
            return ev_emit(c, NULL, NULL, key, NULL);
        o = val_set(c->heap, o, key, v);
    }
    *ret = o;
    return EV_OK;
}

static int single_string(struct ev *c, const struct node *n, const struct env *env, struct val in,
                         struct val *ret)
{
    struct val local[8], *texts = n->n <= 8 ? local : heap_alloc(c->heap, n->n * sizeof(*texts));
    if (!texts)
        return ev_emit(c, NULL, NULL, in, NULL);
    for (size_t i = n->n; i--;) {
        const struct node *part = n->list[i];
        if (part->literal) {
            texts[i] = part->v;
            continue;
        }
        struct val v;
        int rc = eval_single(c, part, env, in, &v);
        if (!rc)
            rc = op_format(c, n->name.p ? n->name : STR("text"), v, &texts[i]);
        if (rc)
            return rc;
        if (c->heap->full)
            return ev_emit(c, NULL, NULL, v, NULL);
    }
    return concat_parts(c, texts, n->n, ret);
}

struct last {
    struct val v;
};

static int keep_last(struct ev *c, void *arg, struct val v, const struct path *p)
{
    (void)c;
    (void)p;
    ((struct last *)arg)->v = v;
    return EV_OK;
}

int eval_single(struct ev *c, const struct node *n, const struct env *env, struct val in, struct val *ret)
{
    struct val a, b = VNULL, k = VNULL;
    int rc = ev_step(c);
    if (rc)
        return rc;
    switch (n->kind) {
    case N_IDENTITY: *ret = in; return EV_OK;
    case N_CONST: *ret = n->v; return EV_OK;
    case N_VAR: *ret = n->index < 0 ? c->env_value : env_at(env, n->index)->v; return EV_OK;
    default: break;
    }
    if (no_stack(c))
        return stack_over(c);
    switch (n->kind) {
    case N_INDEX:
        if (found_get(&c->found, n->read, in, ret))
            return EV_OK;
        if (n->b->kind == N_CONST)
            k = n->b->v;
        else if ((rc = eval_single(c, n->b, env, in, &k)))
            return rc;
        if ((rc = eval_single(c, n->a, env, in, &a)))
            return rc;
        return access_get(c, a, k, ret);
    case N_SLICE:
        if (n->b && (rc = eval_single(c, n->b, env, in, &b)))
            return rc;
        if (n->c && (rc = eval_single(c, n->c, env, in, &k)))
            return rc;
        if ((rc = eval_single(c, n->a, env, in, &a)))
            return rc;
        return access_slice(c, a, b, k, ret);
    case N_PIPE: rc = eval_single(c, n->a, env, in, &a); return rc ? rc : eval_single(c, n->b, env, a, ret);
    case N_BINOP:
        rc = eval_single(c, n->b, env, in, &b);
        if (!rc)
            rc = eval_single(c, n->a, env, in, &a);
        return rc ? rc : op_binary(c, n->op, a, b, ret);
    case N_AND:
    case N_OR:
        if ((rc = eval_single(c, n->a, env, in, &a)))
            return rc;
        if (val_truthy(a) != (n->kind == N_OR) && (rc = eval_single(c, n->b, env, in, &a)))
            return rc;
        *ret = val_bool(val_truthy(a));
        return EV_OK;
    case N_ALT:
        rc = eval_single(c, n->a, env, in, ret);
        return rc || val_truthy(*ret) ? rc : eval_single(c, n->b, env, in, ret);
    case N_IF:
        if ((rc = eval_single(c, n->a, env, in, &a)))
            return rc;
        if (!val_truthy(a) && !n->c) {
            *ret = in;
            return EV_OK;
        }
        return eval_single(c, val_truthy(a) ? n->b : n->c, env, in, ret);
    case N_NEG: rc = eval_single(c, n->a, env, in, &a); return rc ? rc : op_negate(c, a, ret);
    case N_ARRAY: return collect(c, n->a, env, in, NULL, ret);
    case N_OBJECT: return single_object(c, n, env, in, ret);
    case N_STRING: return single_string(c, n, env, in, ret);
    case N_FORMAT: return op_format(c, n->name, in, ret);
    case N_CALL: return single_call(c, n, env, in, ret);
    default: { /* as and reduce: by the long way */
        struct last last = {VNULL};
        rc = n->kind == N_AS ? eval_as(c, n, env, in, NULL, keep_last, &last)
                             : eval_reduce(c, n, env, in, NULL, keep_last, &last);
        *ret = last.v;
        return rc;
    }
    }
}

/* The long way
 * ----------------------------------------------------------------------------------------------------- */

static int eval_scoped(struct ev *c, const struct node *n, const struct env *env, struct val in,
                       const struct path *p, emit_fn out, void *arg)
{
    struct env frame = {.up = env};
    int rc;
    switch (n->kind) {
    case N_AS: return eval_as(c, n, env, in, p, out, arg);
    case N_REDUCE: return eval_reduce(c, n, env, in, p, out, arg);
    case N_FOREACH: return eval_foreach(c, n, env, in, p, out, arg);
    case N_DEF: frame.def = n->def; return eval(c, n->b, &frame, in, p, out, arg);
    case N_LABEL:
        rc = eval(c, n->a, &frame, in, p, out, arg);
        return rc == EV_BREAK && c->broken == &frame ? EV_OK : rc;
    default: c->broken = env_at(env, n->index); return EV_BREAK;
    }
}

static int eval_two(struct ev *c, const struct node *n, const struct env *env, struct val in,
                    const struct path *p, emit_fn out, void *arg)
{
    struct two t = {.n = n, .env = env, .in = in, .p = p, .out = out, .arg = arg};
    int rc;
    switch (n->kind) {
    case N_PIPE: return eval(c, n->a, env, in, p, pipe_left, &t);
    case N_COMMA:
        rc = eval(c, n->a, env, in, p, out, arg);
        return rc ? rc : eval(c, n->b, env, in, p, out, arg);
    case N_BINOP: return eval(c, n->b, env, in, NULL, binop_right, &t);
    case N_AND:
    case N_OR: return eval(c, n->a, env, in, p, logic_left, &t);
    case N_ALT:
        rc = eval(c, n->a, env, in, p, alt_left, &t);
        return rc || t.flag ? rc : eval(c, n->b, env, in, p, out, arg);
    case N_IF: return eval(c, n->a, env, in, NULL, if_condition, &t);
    case N_NEG: return eval(c, n->a, env, in, p, negate_one, &t);
    default: return eval_try(c, &t);
    }
}

static int eval_access(struct ev *c, const struct node *n, const struct env *env, struct val in,
                       const struct path *p, emit_fn out, void *arg)
{
    struct access a = {.n = n, .env = env, .in = in, .p = p, .out = out, .arg = arg};
    struct val v;
    if (!p && found_get(&c->found, n->read, in, &v))
        return ev_emit(c, out, arg, v, NULL);
    if (n->kind == N_EACH)
        return eval(c, n->a, env, in, p, each_term, &a);
    if (n->kind == N_INDEX)
        return n->b->kind == N_CONST ? index_key(c, &a, n->b->v, NULL)
                                     : eval(c, n->b, env, in, NULL, index_key, &a);
    return n->b ? eval(c, n->b, env, in, NULL, slice_from, &a) : slice_from(c, &a, VNULL, NULL);
}

int eval(struct ev *c, const struct node *n, const struct env *env, struct val in, const struct path *p,
         emit_fn out, void *arg)
{
    if (n->single && !p) {
        struct val v;
        int rc = eval_single(c, n, env, in, &v);
        return rc ? rc : ev_emit(c, out, arg, v, NULL);
    }
    if (ev_step(c))
        return EV_FATAL;
    if (no_stack(c))
        return stack_over(c);
    struct val v;
    int rc;
    switch (n->kind) {
    case N_IDENTITY: return ev_emit(c, out, arg, in, p);
    case N_CONST: return ev_emit(c, out, arg, n->v, p);
    case N_INDEX:
    case N_SLICE:
    case N_EACH: return eval_access(c, n, env, in, p, out, arg);
    case N_ARRAY:
        rc = collect(c, n->a, env, in, p, &v);
        return rc ? rc : ev_emit(c, out, arg, v, p);
    case N_OBJECT: {
        struct entries e = {.n = n,
                            .env = env,
                            .in = in,
                            .done = val_object(c->heap, n->n / 2),
                            .p = p,
                            .out = out,
                            .arg = arg};
        return object_entry(c, &e);
    }
    case N_STRING: return eval_string(c, n, env, in, p, out, arg);
    case N_FORMAT:
        rc = op_format(c, n->name, in, &v);
        return rc ? rc : ev_emit(c, out, arg, v, p);
    case N_ASSIGN:
    case N_MODIFY:
    case N_UPDATE: return eval_assign(c, n, env, in, p, out, arg);
    case N_CALL: return eval_call(c, n, env, in, p, out, arg);
    case N_VAR:
        v = n->index < 0 ? c->env_value : env_at(env, n->index)->v;
        return ev_emit(c, out, arg, v, p);
    case N_AS:
    case N_REDUCE:
    case N_FOREACH:
    case N_DEF:
    case N_LABEL:
    case N_BREAK: return eval_scoped(c, n, env, in, p, out, arg);
    default: return eval_two(c, n, env, in, p, out, arg);
    }
}
