/* Builtins that evaluate their own arguments: generators, selections, paths, sorting by keys. */
#include <math.h>

#include "mapping/builtins.h"

#define FORM(name)                                                                                           \
    static int name(struct ev *c, const struct node *n, const struct env *env, struct val in,                \
                    const struct path *p, emit_fn out, void *arg)

/* What most callbacks need. */
struct form {
    const struct node *n;
    const struct env *env;
    struct val in, v, limit;
    const struct path *p;
    emit_fn out;
    void *arg;
    double count;
    bool flag;
};
#define FORM_INIT                                                                                            \
    {                                                                                                        \
        .n = n, .env = env, .in = in, .p = p, .out = out, .arg = arg                                         \
    }

FORM(f_empty)
{
    (void)c, (void)n, (void)env, (void)in, (void)p, (void)out, (void)arg;
    return EV_OK;
}

FORM(f_error)
{
    (void)n, (void)env, (void)p, (void)out, (void)arg;
    c->error = in;
    return EV_ERROR;
}

static int raise(struct ev *c, void *arg, struct val v, const struct path *p)
{
    (void)arg, (void)p;
    c->error = v;
    return EV_ERROR;
}

FORM(f_error_of)
{
    (void)p, (void)out, (void)arg;
    return eval(c, n->list[0], env, in, NULL, raise, NULL);
}

/* halt and halt_error end the outputs. */
FORM(f_halt)
{
    (void)n, (void)env, (void)in, (void)p, (void)out, (void)arg;
    c->broken = c->root;
    return EV_BREAK;
}

FORM(f_pass)
{
    (void)n, (void)env;
    return ev_emit(c, out, arg, in, p);
}

static int pass_input(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct form *f = arg;
    (void)v, (void)p;
    return ev_emit(c, f->out, f->arg, f->in, f->p);
}

FORM(f_debug_of)
{
    struct form f = FORM_INIT;
    return eval(c, n->list[0], env, in, NULL, pass_input, &f);
}

FORM(f_input)
{
    (void)n, (void)env, (void)in, (void)p, (void)out, (void)arg;
    c->error = val_str(STR("break")); /* as jq says at the end of its inputs */
    return EV_ERROR;
}

FORM(f_input_line)
{
    (void)n, (void)env, (void)in, (void)p, (void)out, (void)arg;
    return ev_error(c, "Unknown input line number");
}

FORM(f_null)
{
    (void)n, (void)env, (void)in;
    return ev_emit(c, out, arg, VNULL, p);
}

static int select_condition(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct form *f = arg;
    (void)p;
    return val_truthy(v) ? ev_emit(c, f->out, f->arg, f->in, f->p) : EV_OK;
}

FORM(f_select)
{
    const struct node *cond = n->list[0];
    if (cond->single) {
        struct val v;
        int rc = eval_single(c, cond, env, in, &v);
        return rc || !val_truthy(v) ? rc : ev_emit(c, out, arg, in, p);
    }
    struct form f = FORM_INIT;
    return eval(c, cond, env, in, NULL, select_condition, &f);
}

/* Collecting
 * ------------------------------------------------------------------------------------------------------- */

static int push_output(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct val *a = arg;
    (void)p;
    *a = val_push(c->heap, *a, v);
    return c->heap->full ? ev_emit(c, NULL, NULL, v, NULL) : ev_step(c);
}

static int outputs(struct ev *c, const struct node *n, const struct env *env, struct val in, struct val *ret)
{
    *ret = val_array(c->heap, 1);
    if (ret->kind != VAL_ARRAY)
        return ev_emit(c, NULL, NULL, *ret, NULL);
    return eval(c, n, env, in, NULL, push_output, ret);
}

static int not_iterable(struct ev *c, struct val v)
{
    return ev_error(c, "Cannot iterate over %s", ev_shown(c, v));
}

FORM(f_map)
{
    if (in.kind < VAL_ARRAY)
        return not_iterable(c, in);
    struct val r = val_array(c->heap, val_len(c->heap, in));
    double i = 0;
    int bad = path_check_each(c, in, p);
    if (bad)
        return bad;
    for (struct val_iter it = val_iter(c->heap, in); val_next(&it); i++) {
        struct path frame;
        int rc = ev_step(c);
        if (!rc && n->list[0]->single && !p) {
            struct val v;
            rc = eval_single(c, n->list[0], env, it.v, &v);
            if (!rc)
                rc = push_output(c, &r, v, NULL);
        } else if (!rc) {
            rc = eval(c, n->list[0], env, it.v, path_add(&frame, p, it.obj ? it.key : val_num(i), it.v), push_output,
                      &r);
        }
        if (rc)
            return rc;
    }
    return ev_emit(c, out, arg, r, p);
}

/* Ends
 * -------------------------------------------------------------------------------------------------------------
 */

static int first_only(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct form *f = arg;
    int rc = ev_emit(c, f->out, f->arg, v, p);
    if (rc)
        return rc;
    c->broken = f;
    return EV_BREAK;
}

static int end_break(struct ev *c, int rc, const void *frame)
{
    return rc == EV_BREAK && c->broken == frame ? EV_OK : rc;
}

FORM(f_first)
{
    struct form f = FORM_INIT;
    return end_break(c, eval(c, n->list[0], env, in, p, first_only, &f), &f);
}

static int remember(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct form *f = arg;
    (void)p;
    f->v = v;
    f->flag = true;
    return ev_step(c);
}

FORM(f_last)
{
    struct form f = FORM_INIT;
    int rc = eval(c, n->list[0], env, in, p, remember, &f);
    return rc || !f.flag ? rc : ev_emit(c, out, arg, f.v, p);
}

static int count_down(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct form *f = arg;
    f->count--;
    int rc = ev_emit(c, f->out, f->arg, v, p);
    if (rc || f->count > 0)
        return rc;
    c->broken = f;
    return EV_BREAK;
}

static int limit_count(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct form f = *(struct form *)arg;
    (void)p;
    if (v.kind != VAL_NUMBER)
        return op_binary(c, OP_SUB, v, val_num(1), &f.v); /* fails as jq says it */
    f.count = val_double(v);
    if (f.count < 0)
        return ev_error(c, "limit doesn't support negative count");
    if (!(f.count > 0))
        return EV_OK;
    return end_break(c, eval(c, f.n->list[1], f.env, f.in, f.p, count_down, &f), &f);
}

FORM(f_limit)
{
    struct form f = FORM_INIT;
    return eval(c, n->list[0], env, in, NULL, limit_count, &f);
}

static int skip_some(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct form *f = arg;
    if (f->count > 0) {
        f->count--;
        return ev_step(c);
    }
    return ev_emit(c, f->out, f->arg, v, p);
}

static int skip_count(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct form f = *(struct form *)arg;
    (void)p;
    if (v.kind != VAL_NUMBER)
        return op_binary(c, OP_SUB, v, val_num(1), &f.v); /* fails as jq says it */
    f.count = val_double(v);
    if (f.count < 0)
        return ev_error(c, "skip doesn't support negative count");
    return eval(c, f.n->list[1], f.env, f.in, f.p, skip_some, &f);
}

FORM(f_skip)
{
    struct form f = FORM_INIT;
    return eval(c, n->list[0], env, in, NULL, skip_count, &f);
}

static int nth_output(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct form *f = arg;
    if (f->count-- > 0)
        return ev_step(c);
    return first_only(c, f, v, p);
}

static int nth_count(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct form f = *(struct form *)arg;
    (void)p;
    if (v.kind != VAL_NUMBER)
        return op_binary(c, OP_SUB, v, val_num(1), &f.v); /* fails as jq says it */
    f.count = val_double(v);
    if (f.count < 0)
        return ev_error(c, "nth doesn't support negative indices");
    return end_break(c, eval(c, f.n->list[1], f.env, f.in, f.p, nth_output, &f), &f);
}

FORM(f_nth_of)
{
    struct form f = FORM_INIT;
    return eval(c, n->list[0], env, in, NULL, nth_count, &f);
}

static int note_any(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct form *f = arg;
    (void)v;
    int rc = ev_emit(c, f->out, f->arg, val_bool(false), p);
    if (rc)
        return rc;
    f->flag = true;
    c->broken = f;
    return EV_BREAK;
}

FORM(f_isempty)
{
    struct form f = FORM_INIT;
    int rc = end_break(c, eval(c, n->list[0], env, in, p, note_any, &f), &f);
    return rc || f.flag ? rc : ev_emit(c, out, arg, val_bool(true), p);
}

/* any and all
 * ------------------------------------------------------------------------------------------------------ */

static int test_one(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct form *f = arg;
    (void)p;
    if (val_truthy(v) != f->flag)
        return ev_step(c);
    f->v = val_bool(f->flag);
    c->broken = f;
    return EV_BREAK;
}

static int test_item(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct form *f = arg;
    (void)p;
    return eval(c, f->n->list[f->n->n - 1], f->env, v, NULL, test_one, f);
}

static int quantify(struct ev *c, struct form *f, bool any)
{
    int rc = EV_OK;
    f->flag = any; /* the answer that ends the search */
    f->v = val_bool(!any);
    if (f->n->n == 2) {
        rc = eval(c, f->n->list[0], f->env, f->in, NULL, test_item, f);
    } else {
        if (f->in.kind < VAL_ARRAY)
            return not_iterable(c, f->in);
        for (struct val_iter it = val_iter(c->heap, f->in); !rc && val_next(&it);)
            rc = test_item(c, f, it.v, NULL);
    }
    rc = end_break(c, rc, f);
    return rc ? rc : ev_emit(c, f->out, f->arg, f->v, f->p);
}

FORM(f_any)
{
    struct form f = FORM_INIT;
    return quantify(c, &f, true);
}

FORM(f_all)
{
    struct form f = FORM_INIT;
    return quantify(c, &f, false);
}

/* Generators
 * ------------------------------------------------------------------------------------------------------- */

static int range(struct ev *c, struct form *f, struct val from, struct val to, double by)
{
    if (from.kind != VAL_NUMBER || to.kind != VAL_NUMBER)
        return ev_error(c, "Range bounds must be numeric");
    double a = val_double(from), b = val_double(to);
    if (by == 0 || isnan(by))
        return EV_OK;
    for (; by > 0 ? a < b : a > b; a += by) {
        int rc = ev_step(c);
        if (!rc)
            rc = ev_emit(c, f->out, f->arg, val_num(a), f->p);
        if (rc)
            return rc;
    }
    return EV_OK;
}

static int range_by(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct form *f = arg;
    (void)p;
    if (v.kind != VAL_NUMBER)
        return ev_error(c, "Range bounds must be numeric");
    return range(c, f, f->v, f->limit, val_double(v));
}

static int range_to(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct form *f = arg;
    (void)p;
    f->limit = v;
    if (f->n->n < 3)
        return range(c, f, f->v, v, 1);
    return eval(c, f->n->list[2], f->env, f->in, NULL, range_by, f);
}

static int range_from(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct form *f = arg;
    (void)p;
    if (f->n->n == 1)
        return range(c, f, val_num(0), v, 1);
    f->v = v;
    return eval(c, f->n->list[1], f->env, f->in, NULL, range_to, f);
}

FORM(f_range)
{
    struct form f = FORM_INIT;
    return eval(c, n->list[0], env, in, NULL, range_from, &f);
}

static int recurse_into(struct ev *c, struct form *f, struct val v, const struct path *p)
{
    int rc = ev_step(c);
    if (!rc && (char *)__builtin_frame_address(0) < c->stack_end) {
        c->fatal = FATAL_STACK;
        rc = EV_FATAL;
    }
    if (!rc)
        rc = ev_emit(c, f->out, f->arg, v, p);
    if (rc || v.kind < VAL_ARRAY)
        return rc;
    double i = 0;
    for (struct val_iter it = val_iter(c->heap, v); !rc && val_next(&it); i++) {
        struct path frame;
        rc = recurse_into(c, f, it.v, path_add(&frame, p, it.obj ? it.key : val_num(i), it.v));
    }
    return rc;
}

FORM(f_recurse)
{
    struct form f = FORM_INIT;
    if (path_check_each(c, in, p)) { /* found out only when it looks inside */
        int rc = ev_emit(c, out, arg, in, p);
        return rc ? rc : path_check_each(c, in, p);
    }
    return recurse_into(c, &f, in, p);
}

static int recurse_by(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct form *f = arg;
    int rc = ev_step(c);
    if (++c->calls > EV_CALLS_MAX) {
        c->fatal = FATAL_CALLS;
        rc = EV_FATAL;
    }
    if (!rc)
        rc = ev_emit(c, f->out, f->arg, v, p);
    if (!rc)
        rc = eval(c, f->n->list[0], f->env, v, p, recurse_by, f);
    c->calls--;
    return rc;
}

FORM(f_recurse_by)
{
    struct form f = FORM_INIT;
    return recurse_by(c, &f, in, p);
}

/* Paths
 * ------------------------------------------------------------------------------------------------------------
 */

static int path_output(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct form *f = arg;
    int rc = path_check(c, v, p);
    return rc ? rc : ev_emit(c, f->out, f->arg, path_array(c, p), f->p);
}

FORM(f_path)
{
    struct form f = FORM_INIT;
    struct path root = {.v = in};
    return eval(c, n->list[0], env, in, &root, path_output, &f);
}

static int all_paths(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct form *f = arg;
    (void)v;
    return !p->up ? EV_OK : ev_emit(c, f->out, f->arg, path_array(c, p), f->p);
}

FORM(f_paths)
{
    struct form f = FORM_INIT, inner = {.out = all_paths, .arg = &f};
    struct path root = {.v = in};
    return recurse_into(c, &inner, in, &root);
}

static int collect_path(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct form *f = arg;
    int rc = path_check(c, v, p);
    return rc ? rc : push_output(c, &f->v, path_array(c, p), NULL);
}

FORM(f_del)
{
    struct form f = FORM_INIT;
    f.v = val_array(c->heap, 4);
    struct path root = {.v = in};
    int rc = eval(c, n->list[0], env, in, &root, collect_path, &f);
    if (!rc)
        rc = access_delete(c, in, f.v, &f.v);
    return rc ? rc : ev_emit(c, out, arg, f.v, p);
}

static int pick_path(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct form *f = arg;
    int rc = path_check(c, v, p);
    if (rc)
        return rc;
    struct val keys = path_array(c, p), old;
    if (keys.kind != VAL_ARRAY)
        return ev_emit(c, NULL, NULL, keys, NULL);
    rc = access_getpath(c, f->in, keys.arr->v, keys.n, &old);
    return rc ? rc : access_set(c, f->v, keys.arr->v, keys.n, old, &f->v);
}

FORM(f_pick)
{
    struct form f = FORM_INIT;
    struct path root = {.v = in};
    int rc = eval(c, n->list[0], env, in, &root, pick_path, &f);
    return rc ? rc : ev_emit(c, out, arg, f.v, p);
}

/* One frame for each key; what was found counts at the last one only. */
static int emit_at(struct ev *c, struct form *f, struct val keys, struct val v)
{
    const struct path *p = f->p;
    for (uint32_t i = 0; p && i < keys.n; i++) {
        struct path *frame = heap_alloc(c->heap, sizeof(*frame));
        if (!frame)
            return ev_emit(c, NULL, NULL, v, NULL);
        p = path_add(frame, p, keys.arr->v[i], v);
    }
    return ev_emit(c, f->out, f->arg, v, p);
}

static int getpath_keys(struct ev *c, void *arg, struct val keys, const struct path *p)
{
    struct form *f = arg;
    (void)p;
    if (keys.kind != VAL_ARRAY)
        return ev_error(c, "Path must be specified as an array");
    keys = val_built(c->heap, keys);
    if (keys.kind != VAL_ARRAY)
        return ev_emit(c, NULL, NULL, keys, NULL);
    struct val v;
    int rc = access_getpath(c, f->in, keys.arr->v, keys.n, &v);
    if (!rc && path_check(c, f->in, f->p)) {
        struct str shown = val_excerpt(c->heap, v, 29); /* jq names what it found */
        return ev_error(c, "Invalid path expression with result %.*s", STR_FMT(shown));
    }
    return rc ? rc : emit_at(c, f, keys, v);
}

FORM(f_getpath)
{
    struct form f = FORM_INIT;
    return eval(c, n->list[0], env, in, NULL, getpath_keys, &f);
}

/* By keys
 * ----------------------------------------------------------------------------------------------------------
 */

/* Keys are the arrays of all outputs. keys and values are arrays of n in the heap; sorted when asked. */
static int keyed(struct ev *c, const struct node *n, const struct env *env, struct val in, bool sorted,
                 struct val **keys, struct val **values, size_t *ret_n)
{
    if (in.kind < VAL_ARRAY)
        return not_iterable(c, in);
    size_t len = val_len(c->heap, in), i = 0;
    *keys = heap_alloc(c->heap, (len + 1) * sizeof(struct val));
    *values = heap_alloc(c->heap, (len + 1) * sizeof(struct val));
    if (!*keys || !*values)
        return ev_emit(c, NULL, NULL, in, NULL);
    for (struct val_iter it = val_iter(c->heap, in); val_next(&it); i++) {
        (*values)[i] = it.v;
        int rc = outputs(c, n->list[0], env, it.v, &(*keys)[i]);
        if (rc)
            return rc;
    }
    if (in.kind == VAL_OBJECT) {
        struct val list = val_array(c->heap, i);
        for (size_t k = 0; k < i && !c->heap->full; k++)
            list = val_push(c->heap, list, (*keys)[k]);
        return ev_error(c, sorted ? "%s and %s cannot be sorted, as they are not both arrays"
                                  : "%s and %s cannot be iterated over",
                        ev_shown(c, in), ev_shown(c, list));
    }
    *ret_n = i;
    return sorted ? sort_pairs(c, *keys, *values, i) : EV_OK;
}

FORM(f_sort_by)
{
    struct val *keys, *values, r;
    size_t len;
    int rc = keyed(c, n, env, in, true, &keys, &values, &len);
    if (rc)
        return rc;
    r = val_array(c->heap, len);
    for (size_t i = 0; i < len && !c->heap->full; i++)
        r = val_push(c->heap, r, values[i]);
    return ev_emit(c, out, arg, r, p);
}

FORM(f_group_by)
{
    struct val *keys, *values, r, group = VNULL;
    size_t len;
    int rc = keyed(c, n, env, in, true, &keys, &values, &len);
    if (rc)
        return rc;
    r = val_array(c->heap, 4);
    for (size_t i = 0; i < len && !c->heap->full; i++) {
        if (i == 0 || !val_eq(c->heap, keys[i], keys[i - 1])) {
            if (i)
                r = val_push(c->heap, r, group);
            group = val_array(c->heap, 2);
        }
        group = val_push(c->heap, group, values[i]);
    }
    if (len && !c->heap->full)
        r = val_push(c->heap, r, group);
    return ev_emit(c, out, arg, r, p);
}

FORM(f_unique_by)
{
    struct val *keys, *values, r;
    size_t len;
    int rc = keyed(c, n, env, in, true, &keys, &values, &len);
    if (rc)
        return rc;
    r = val_array(c->heap, 4);
    for (size_t i = 0; i < len && !c->heap->full; i++)
        if (i == 0 || !val_eq(c->heap, keys[i], keys[i - 1]))
            r = val_push(c->heap, r, values[i]);
    return ev_emit(c, out, arg, r, p);
}

static int extreme_by(struct ev *c, const struct node *n, const struct env *env, struct val in, bool max,
                      struct val *ret)
{
    struct val *keys, *values;
    size_t len, best = 0;
    int rc = keyed(c, n, env, in, false, &keys, &values, &len);
    if (rc)
        return rc;
    for (size_t i = 1; i < len; i++) {
        int cmp = val_cmp(c->heap, keys[i], keys[best]);
        if (max ? cmp >= 0 : cmp < 0)
            best = i;
    }
    *ret = len ? values[best] : VNULL;
    return EV_OK;
}

FORM(f_min_by)
{
    struct val v;
    int rc = extreme_by(c, n, env, in, false, &v);
    return rc ? rc : ev_emit(c, out, arg, v, p);
}

FORM(f_max_by)
{
    struct val v;
    int rc = extreme_by(c, n, env, in, true, &v);
    return rc ? rc : ev_emit(c, out, arg, v, p);
}

static int add_output(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct form *f = arg;
    (void)p;
    int rc = op_binary(c, OP_ADD, f->v, v, &f->v);
    return rc ? rc : c->heap->full ? ev_emit(c, NULL, NULL, v, NULL) : ev_step(c);
}

FORM(f_add_of)
{
    struct form f = FORM_INIT;
    int rc = eval(c, n->list[0], env, in, NULL, add_output, &f);
    return rc ? rc : ev_emit(c, out, arg, f.v, p);
}

/* Types: pass their input or give nothing
 * -------------------------------------------------------------------------- */

#define TYPE(name, test)                                                                                     \
    FORM(name)                                                                                               \
    {                                                                                                        \
        (void)n, (void)env;                                                                                  \
        return (test) ? ev_emit(c, out, arg, in, p) : EV_OK;                                                 \
    }
TYPE(f_values, in.kind != VAL_NULL)
TYPE(f_nulls, in.kind == VAL_NULL)
TYPE(f_booleans, in.kind == VAL_TRUE || in.kind == VAL_FALSE)
TYPE(f_numbers, in.kind == VAL_NUMBER)
TYPE(f_strings, in.kind == VAL_STRING)
TYPE(f_arrays, in.kind == VAL_ARRAY)
TYPE(f_objects, in.kind == VAL_OBJECT)
TYPE(f_scalars, in.kind < VAL_ARRAY)
TYPE(f_iterables, in.kind >= VAL_ARRAY)

const struct native natives_form[] = {
    {"empty", 0, NULL, f_empty},
    {"error", 0, NULL, f_error},
    {"error", 1, NULL, f_error_of},
    {"halt", 0, NULL, f_halt},
    {"halt_error", 0, NULL, f_halt},
    {"halt_error", 1, NULL, f_halt},
    {"debug", 0, NULL, f_pass},
    {"stderr", 0, NULL, f_pass},
    {"debug", 1, NULL, f_debug_of},
    {"input", 0, NULL, f_input},
    {"inputs", 0, NULL, f_empty},
    {"input_filename", 0, NULL, f_null},
    {"input_line_number", 0, NULL, f_input_line},
    {"select", 1, NULL, f_select},
    {"map", 1, NULL, f_map},
    {"first", 1, NULL, f_first},
    {"last", 1, NULL, f_last},
    {"limit", 2, NULL, f_limit},
    {"skip", 2, NULL, f_skip},
    {"nth", 2, NULL, f_nth_of},
    {"isempty", 1, NULL, f_isempty},
    {"any", 1, NULL, f_any},
    {"any", 2, NULL, f_any},
    {"all", 1, NULL, f_all},
    {"all", 2, NULL, f_all},
    {"range", 1, NULL, f_range},
    {"range", 2, NULL, f_range},
    {"range", 3, NULL, f_range},
    {"recurse", 0, NULL, f_recurse},
    {"recurse", 1, NULL, f_recurse_by},
    {"path", 1, NULL, f_path},
    {"paths", 0, NULL, f_paths},
    {"del", 1, NULL, f_del},
    {"pick", 1, NULL, f_pick},
    {"getpath", 1, NULL, f_getpath},
    {"sort_by", 1, NULL, f_sort_by},
    {"group_by", 1, NULL, f_group_by},
    {"unique_by", 1, NULL, f_unique_by},
    {"min_by", 1, NULL, f_min_by},
    {"max_by", 1, NULL, f_max_by},
    {"add", 1, NULL, f_add_of},
    {"values", 0, NULL, f_values},
    {"nulls", 0, NULL, f_nulls},
    {"booleans", 0, NULL, f_booleans},
    {"numbers", 0, NULL, f_numbers},
    {"strings", 0, NULL, f_strings},
    {"arrays", 0, NULL, f_arrays},
    {"objects", 0, NULL, f_objects},
    {"scalars", 0, NULL, f_scalars},
    {"iterables", 0, NULL, f_iterables},
    {.name = NULL},
};
