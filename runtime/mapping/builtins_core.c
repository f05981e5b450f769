/* Types, conversions and containers. */
#include <math.h>
#include <stdlib.h>

#include "mapping/builtins.h"

#define VALUE(name) static int name(struct ev *c, struct val in, const struct val *args, struct val *ret)

VALUE(f_type)
{
    (void)c, (void)args;
    *ret = val_str(str_of(val_kind_name(in.kind)));
    return EV_OK;
}

VALUE(f_not)
{
    (void)c, (void)args;
    *ret = val_bool(!val_truthy(in));
    return EV_OK;
}

VALUE(f_length)
{
    (void)args;
    switch (in.kind) {
    case VAL_NULL: *ret = val_num(0); return EV_OK;
    case VAL_NUMBER:
        *ret = in;
        if (in.rep == REP_PLAIN)
            *ret = val_num(fabs(in.d));
        else if (in.n && in.s[0] == '-')
            return op_negate(c, in, ret);
        return EV_OK;
    case VAL_STRING: *ret = val_num((double)utf8_count(val_text(in))); return EV_OK;
    case VAL_ARRAY:
    case VAL_OBJECT: *ret = val_num((double)val_len(c->heap, in)); return EV_OK;
    default: return ev_error(c, "%s has no length", ev_shown(c, in));
    }
}

VALUE(f_utf8bytelength)
{
    (void)args;
    if (in.kind != VAL_STRING)
        return ev_error(c, "%s only strings have UTF-8 byte length", ev_shown(c, in));
    *ret = val_num(in.n);
    return EV_OK;
}

VALUE(f_tostring)
{
    (void)args;
    *ret = op_tostring(c, in);
    return EV_OK;
}

VALUE(f_tojson)
{
    (void)args;
    *ret = val_json(c->heap, in);
    return EV_OK;
}

VALUE(f_fromjson)
{
    (void)args;
    if (in.kind != VAL_STRING)
        return ev_error(c, "%s only strings can be parsed", ev_shown(c, in));
    struct str msg;
    int rc = val_parse(c->heap, val_text(in), ret, &msg);
    if (rc == ERR_PARSE)
        return ev_error(c, "%.*s", STR_FMT(msg));
    return rc ? ev_emit(c, NULL, NULL, in, NULL) : EV_OK;
}

VALUE(f_tonumber)
{
    (void)args;
    if (in.kind == VAL_NUMBER) {
        *ret = in;
        return EV_OK;
    }
    struct str s = val_text(in);
    if (in.kind == VAL_STRING) {
        struct str w = s;
        bool neg = w.n && w.p[0] == '-';
        if (neg) {
            w.p++;
            w.n--;
        }
        if (str_is(w, "nan")) {
            *ret = val_num(NAN);
            return EV_OK;
        }
        if (str_ieq(w, STR("infinity"))) {
            *ret = val_num(neg ? -INFINITY : INFINITY);
            return EV_OK;
        }
        if (num_parse(c->heap, s, ret))
            return EV_OK;
    }
    return ev_error(c, "%s cannot be parsed as a number", ev_shown(c, in));
}

VALUE(f_toboolean)
{
    (void)args;
    if (in.kind == VAL_TRUE || in.kind == VAL_FALSE) {
        *ret = in;
        return EV_OK;
    }
    if (in.kind == VAL_STRING && (str_is(val_text(in), "true") || str_is(val_text(in), "false"))) {
        *ret = val_bool(in.n == 4);
        return EV_OK;
    }
    return ev_error(c, "%s cannot be parsed as a boolean", ev_shown(c, in));
}

/* keys
 * -------------------------------------------------------------------------------------------------------------
 */

static int keys_of(struct ev *c, struct val in, bool sorted, struct val *ret)
{
    if (in.kind < VAL_ARRAY)
        return ev_error(c, "%s has no keys", ev_shown(c, in));
    size_t n = val_len(c->heap, in);
    struct val a = val_array(c->heap, n);
    if (in.kind == VAL_ARRAY) {
        for (size_t i = 0; i < n && !c->heap->full; i++)
            a = val_push(c->heap, a, val_num((double)i));
    } else if (sorted) {
        struct member *m = val_sorted(c->heap, in, &n);
        for (size_t i = 0; i < n && !c->heap->full; i++)
            a = val_push(c->heap, a, m[i].key);
    } else {
        for (struct val_iter it = val_iter(c->heap, in); val_next(&it) && !c->heap->full;)
            a = val_push(c->heap, a, it.key);
    }
    *ret = a;
    return EV_OK;
}

VALUE(f_keys)
{
    (void)args;
    return keys_of(c, in, true, ret);
}

VALUE(f_keys_unsorted)
{
    (void)args;
    return keys_of(c, in, false, ret);
}

static int has(struct ev *c, struct val t, struct val key, struct val *ret)
{
    struct val v;
    if (t.kind == VAL_NULL) {
        *ret = val_bool(false);
    } else if (t.kind == VAL_OBJECT && key.kind == VAL_STRING) {
        *ret = val_bool(val_find(t, val_text(key), &v));
    } else if (t.kind == VAL_ARRAY && key.kind == VAL_NUMBER) {
        double d = val_double(key);
        *ret = val_bool(d >= 0 && d < (double)val_len(c->heap, t));
    } else {
        return ev_error(c, "Cannot check whether %s has a %s key", val_kind_name(t.kind),
                        val_kind_name(key.kind));
    }
    return EV_OK;
}

VALUE(f_has) { return has(c, in, args[0], ret); }
VALUE(f_in) { return has(c, args[0], in, ret); }

static int contains(struct ev *c, struct val a, struct val b, bool *ret)
{
    struct val v;
    if (ev_step(c))
        return EV_FATAL;
    if (a.kind != b.kind) {
        *ret = false;
        return -1;
    }
    *ret = true;
    if (a.kind == VAL_STRING) {
        *ret = b.n == 0 || memmem(a.s, a.n, b.s, b.n) != NULL;
    } else if (a.kind == VAL_OBJECT) {
        for (struct val_iter it = val_iter(c->heap, b); *ret && val_next(&it);) {
            *ret = val_find(a, val_text(it.key), &v);
            int rc = *ret ? contains(c, v, it.v, ret) : EV_OK;
            if (rc == EV_FATAL)
                return rc;
            if (rc)
                *ret = false;
        }
    } else if (a.kind == VAL_ARRAY) {
        for (struct val_iter it = val_iter(c->heap, b); *ret && val_next(&it);) {
            bool any = false;
            for (struct val_iter x = val_iter(c->heap, a); !any && val_next(&x);)
                if (contains(c, x.v, it.v, &any) == EV_FATAL)
                    return EV_FATAL;
            *ret = any;
        }
    } else {
        *ret = val_eq(c->heap, a, b);
    }
    return EV_OK;
}

static int contains_value(struct ev *c, struct val a, struct val b, struct val *ret)
{
    bool yes = false;
    int rc = contains(c, a, b, &yes);
    if (rc == -1) {
        const char *x = ev_shown(c, a), *y = ev_shown(c, b);
        return ev_error(c, "%s and %s cannot have their containment checked", x, y);
    }
    *ret = val_bool(yes);
    return rc;
}

VALUE(f_contains) { return contains_value(c, in, args[0], ret); }
VALUE(f_inside) { return contains_value(c, args[0], in, ret); }

/* Arrays
 * -----------------------------------------------------------------------------------------------------------
 */

VALUE(f_reverse)
{
    (void)args;
    struct val r = val_array(c->heap, 4), len;
    int rc = f_length(c, in, NULL, &len);
    if (rc)
        return rc;
    double n = val_double(len);
    if (in.kind != VAL_ARRAY && n > 0 && in.kind != VAL_NULL)
        return in.kind == VAL_STRING || in.kind == VAL_NUMBER || in.kind == VAL_OBJECT
                   ? ev_error(c, "Cannot index %s with number (%.17g)", val_kind_name(in.kind), n - 1)
                   : ev_error(c, "Cannot index %s with number", val_kind_name(in.kind));
    for (size_t i = in.kind == VAL_ARRAY ? (size_t)n : 0; i-- && !c->heap->full;)
        r = val_push(c->heap, r, val_at(in, i));
    *ret = r;
    return EV_OK;
}

static int flatten_into(struct ev *c, struct val in, double depth, struct val *r)
{
    for (struct val_iter it = val_iter(c->heap, in); val_next(&it) && !c->heap->full;) {
        if (ev_step(c))
            return EV_FATAL;
        if (it.v.kind == VAL_ARRAY && depth > 0) {
            int rc = flatten_into(c, it.v, depth - 1, r);
            if (rc)
                return rc;
        } else {
            *r = val_push(c->heap, *r, it.v);
        }
    }
    return EV_OK;
}

static int flatten(struct ev *c, struct val in, double depth, struct val *ret)
{
    if (depth < 0)
        return ev_error(c, "flatten depth must not be negative");
    if (in.kind < VAL_ARRAY)
        return ev_error(c, "Cannot iterate over %s", ev_shown(c, in));
    *ret = val_array(c->heap, 8);
    return flatten_into(c, in, depth, ret);
}

VALUE(f_flatten)
{
    (void)args;
    return flatten(c, in, 1e9, ret);
}

VALUE(f_flatten_depth)
{
    struct val less;
    if (args[0].kind == VAL_NUMBER)
        return flatten(c, in, val_double(args[0]), ret);
    if (val_cmp(c->heap, args[0], val_num(0)) < 0)
        return flatten(c, in, -1, ret);
    if (in.kind < VAL_ARRAY)
        return flatten(c, in, 0, ret);
    /* Any other depth is an error only where one has to be taken off it. */
    int rc = EV_OK;
    for (struct val_iter it = val_iter(c->heap, in); !rc && val_next(&it);)
        if (it.v.kind == VAL_ARRAY)
            rc = op_binary(c, OP_SUB, args[0], val_num(1), &less);
    return rc ? rc : flatten(c, in, 0, ret);
}

struct sortable {
    struct val key, v;
    size_t at;
};

static int by_key(const void *x, const void *y, void *heap)
{
    const struct sortable *a = x, *b = y;
    int r = val_cmp(heap, a->key, b->key);
    return r ? r : a->at < b->at ? -1 : 1;
}

int sort_pairs(struct ev *c, struct val *keys, struct val *values, size_t n)
{
    struct sortable *s = heap_alloc(c->heap, (n ? n : 1) * sizeof(*s));
    if (!s)
        return ev_emit(c, NULL, NULL, VNULL, NULL);
    for (size_t i = 0; i < n; i++)
        s[i] = (struct sortable){keys[i], values[i], i};
    c->steps -= (long)n * 8;
    qsort_r(s, n, sizeof(*s), by_key, c->heap);
    for (size_t i = 0; i < n; i++) {
        keys[i] = s[i].key;
        values[i] = s[i].v;
    }
    return ev_step(c);
}

int sort_values(struct ev *c, struct val a, struct val *ret)
{
    if (a.kind != VAL_ARRAY)
        return ev_error(c, "%s cannot be sorted, as it is not an array", ev_shown(c, a));
    struct val r = val_array(c->heap, val_len(c->heap, a));
    for (struct val_iter it = val_iter(c->heap, a); val_next(&it) && !c->heap->full;)
        r = val_push(c->heap, r, it.v);
    if (c->heap->full)
        return ev_emit(c, NULL, NULL, a, NULL);
    struct val *copy = heap_alloc(c->heap, (r.n + 1u) * sizeof(*copy));
    if (!copy)
        return ev_emit(c, NULL, NULL, a, NULL);
    memcpy(copy, r.arr->v, r.n * sizeof(*copy));
    *ret = r;
    return sort_pairs(c, copy, r.arr->v, r.n);
}

VALUE(f_sort)
{
    (void)args;
    return sort_values(c, in, ret);
}

VALUE(f_unique)
{
    (void)args;
    struct val s;
    int rc = sort_values(c, in, &s);
    if (rc)
        return rc;
    struct val r = val_array(c->heap, s.n);
    for (size_t i = 0; i < s.n && !c->heap->full; i++)
        if (!i || !val_eq(c->heap, s.arr->v[i], s.arr->v[i - 1]))
            r = val_push(c->heap, r, s.arr->v[i]);
    *ret = r;
    return EV_OK;
}

static int extreme(struct ev *c, struct val in, int sign, struct val *ret)
{
    if (in.kind != VAL_ARRAY) {
        const char *x = ev_shown(c, in);
        return ev_error(c, "%s and %s cannot be iterated over", x, x);
    }
    bool first = true;
    *ret = VNULL;
    for (struct val_iter it = val_iter(c->heap, in); val_next(&it); first = false) {
        int cmp = first ? 1 : val_cmp(c->heap, it.v, *ret) * sign;
        if (first || (sign > 0 ? cmp >= 0 : cmp > 0)) /* the last of the largest, the first of the smallest */
            *ret = it.v;
        if (ev_step(c))
            return EV_FATAL;
    }
    return EV_OK;
}

VALUE(f_min)
{
    (void)args;
    return extreme(c, in, -1, ret);
}

VALUE(f_max)
{
    (void)args;
    return extreme(c, in, 1, ret);
}

static int sum(struct ev *c, struct val in, struct val *ret)
{
    struct val r = VNULL;
    if (in.kind < VAL_ARRAY)
        return ev_error(c, "Cannot iterate over %s", ev_shown(c, in));
    for (struct val_iter it = val_iter(c->heap, in); val_next(&it);) {
        int rc = op_binary(c, OP_ADD, r, it.v, &r);
        if (!rc)
            rc = ev_step(c);
        if (rc || c->heap->full)
            return rc;
    }
    *ret = r;
    return EV_OK;
}

VALUE(f_add)
{
    (void)args;
    *ret = VNULL;
    return sum(c, in, ret);
}

VALUE(f_any)
{
    (void)args;
    if (in.kind < VAL_ARRAY)
        return ev_error(c, "Cannot iterate over %s", ev_shown(c, in));
    bool any = false;
    for (struct val_iter it = val_iter(c->heap, in); !any && val_next(&it);)
        any = val_truthy(it.v);
    *ret = val_bool(any);
    return EV_OK;
}

VALUE(f_all)
{
    (void)args;
    if (in.kind < VAL_ARRAY)
        return ev_error(c, "Cannot iterate over %s", ev_shown(c, in));
    bool all = true;
    for (struct val_iter it = val_iter(c->heap, in); all && val_next(&it);)
        all = val_truthy(it.v);
    *ret = val_bool(all);
    return EV_OK;
}

VALUE(f_transpose)
{
    (void)args;
    if (in.kind < VAL_ARRAY)
        return ev_error(c, "Cannot iterate over %s", ev_shown(c, in));
    double max = 0; /* lengths of numbers may be fractions, or beyond any count */
    for (struct val_iter it = val_iter(c->heap, in); val_next(&it);) {
        struct val len;
        int rc = f_length(c, it.v, NULL, &len);
        if (rc)
            return rc;
        max = val_double(len) > max ? val_double(len) : max;
    }
    struct val r = val_array(c->heap, 4);
    for (double i = 0; i < max && !c->heap->full; i++) {
        struct val row = val_array(c->heap, 4), v;
        for (struct val_iter it = val_iter(c->heap, in); val_next(&it) && !c->heap->full;) {
            int rc = access_get(c, it.v, val_num(i), &v);
            if (!rc)
                rc = ev_step(c);
            if (rc)
                return rc;
            row = val_push(c->heap, row, v);
        }
        r = val_push(c->heap, r, row);
    }
    *ret = r;
    return EV_OK;
}

VALUE(f_bsearch)
{
    if (in.kind != VAL_ARRAY)
        return ev_error(c, "%s cannot be searched from", ev_shown(c, in));
    size_t low = 0, high = val_len(c->heap, in);
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int cmp = val_cmp(c->heap, val_at(in, mid), args[0]);
        if (cmp == 0) {
            *ret = val_num((double)mid);
            return EV_OK;
        }
        if (cmp < 0)
            low = mid + 1;
        else
            high = mid;
    }
    *ret = val_num(-1 - (double)low);
    return EV_OK;
}

/* Objects
 * ----------------------------------------------------------------------------------------------------------
 */

VALUE(f_to_entries)
{
    (void)args;
    if (in.kind < VAL_ARRAY)
        return ev_error(c, "%s has no keys", ev_shown(c, in));
    struct val r = val_array(c->heap, val_len(c->heap, in));
    double i = 0;
    for (struct val_iter it = val_iter(c->heap, in); val_next(&it) && !c->heap->full; i++) {
        struct val o = val_object(c->heap, 2);
        o = val_set(c->heap, o, val_str(STR("key")), it.obj ? it.key : val_num(i));
        o = o.kind == VAL_OBJECT ? val_set(c->heap, o, val_str(STR("value")), it.v) : o;
        r = val_push(c->heap, r, o);
        if (ev_step(c))
            return EV_FATAL;
    }
    *ret = r;
    return EV_OK;
}

static int entry_key(struct ev *c, struct val e, struct val *ret)
{
    static const char *const names[] = {"key", "Key", "name", "Name"};
    *ret = VNULL;
    for (size_t i = 0; i < 4 && !val_truthy(*ret); i++) {
        int rc = access_get(c, e, val_str(str_of(names[i])), ret);
        if (rc)
            return rc;
    }
    if (ret->kind != VAL_STRING)
        return ev_error(c, "Cannot use %s as object key", ev_shown(c, *ret));
    return EV_OK;
}

VALUE(f_from_entries)
{
    (void)args;
    if (in.kind < VAL_ARRAY)
        return ev_error(c, "Cannot iterate over %s", ev_shown(c, in));
    struct val o = val_object(c->heap, val_len(c->heap, in)), key, v;
    for (struct val_iter it = val_iter(c->heap, in); val_next(&it) && !c->heap->full;) {
        int rc = entry_key(c, it.v, &key);
        if (rc)
            return rc;
        v = VNULL;
        if (it.v.kind == VAL_OBJECT && !val_find(it.v, STR("value"), &v))
            val_find(it.v, STR("Value"), &v);
        o = val_set(c->heap, o, key, v);
        if (ev_step(c))
            return EV_FATAL;
    }
    *ret = o;
    return EV_OK;
}

VALUE(f_env)
{
    (void)in, (void)args;
    *ret = c->env_value;
    return EV_OK;
}

static int paths_argument(struct ev *c, struct val p)
{
    return p.kind == VAL_ARRAY ? EV_OK : ev_error(c, "Path must be specified as an array");
}

VALUE(f_setpath)
{
    int rc = paths_argument(c, args[0]);
    if (rc)
        return rc;
    struct val keys = val_built(c->heap, args[0]);
    return keys.kind == VAL_ARRAY ? access_set(c, in, keys.arr->v, keys.n, args[1], ret) : EV_OK;
}

VALUE(f_delpaths) { return access_delete(c, in, args[0], ret); }

const struct native natives_core[] = {
    {"type", 0, f_type, NULL},
    {"not", 0, f_not, NULL},
    {"length", 0, f_length, NULL},
    {"utf8bytelength", 0, f_utf8bytelength, NULL},
    {"tostring", 0, f_tostring, NULL},
    {"tojson", 0, f_tojson, NULL},
    {"fromjson", 0, f_fromjson, NULL},
    {"tonumber", 0, f_tonumber, NULL},
    {"toboolean", 0, f_toboolean, NULL},
    {"keys", 0, f_keys, NULL},
    {"keys_unsorted", 0, f_keys_unsorted, NULL},
    {"has", 1, f_has, NULL},
    {"in", 1, f_in, NULL},
    {"contains", 1, f_contains, NULL},
    {"inside", 1, f_inside, NULL},
    {"reverse", 0, f_reverse, NULL},
    {"flatten", 0, f_flatten, NULL},
    {"flatten", 1, f_flatten_depth, NULL},
    {"sort", 0, f_sort, NULL},
    {"unique", 0, f_unique, NULL},
    {"min", 0, f_min, NULL},
    {"max", 0, f_max, NULL},
    {"add", 0, f_add, NULL},
    {"any", 0, f_any, NULL},
    {"all", 0, f_all, NULL},
    {"transpose", 0, f_transpose, NULL},
    {"bsearch", 1, f_bsearch, NULL},
    {"to_entries", 0, f_to_entries, NULL},
    {"from_entries", 0, f_from_entries, NULL},
    {"env", 0, f_env, NULL},
    {"setpath", 2, f_setpath, NULL},
    {"delpaths", 1, f_delpaths, NULL},
    {.name = NULL},
};
