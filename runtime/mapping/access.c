/* Reading, writing and deleting at paths, with jq's rules: null stands for an empty container, negative
 * indices count from the end, slices are objects {start, end}. */
#include <math.h>
#include <stdlib.h>

#include "mapping/eval.h"

/* Bounds of a slice over `len` elements; false: they are no numbers. */
static bool slice_bounds(struct val from, struct val to, size_t len, size_t *ret_from, size_t *ret_to)
{
    if ((from.kind != VAL_NULL && from.kind != VAL_NUMBER) || (to.kind != VAL_NULL && to.kind != VAL_NUMBER))
        return false;
    double n = (double)len, start = from.kind == VAL_NULL ? 0 : val_double(from),
           end = to.kind == VAL_NULL ? n : val_double(to);
    if (isnan(start))
        start = 0;
    if (isnan(end))
        end = n;
    start += start < 0 ? n : 0;
    end += end < 0 ? n : 0;
    start = start < 0 ? 0 : start > n ? n : floor(start);
    end = end < 0 ? 0 : end > n ? n : ceil(end);
    *ret_from = (size_t)start;
    *ret_to = end < start ? (size_t)start : (size_t)end;
    return true;
}

static struct val slice_string(struct val s, size_t from, size_t to)
{
    size_t i = 0, at = 0;
    while (at < from && i < s.n) {
        i++;
        while (i < s.n && ((unsigned char)s.s[i] & 0xC0) == 0x80)
            i++;
        at++;
    }
    size_t begin = i;
    while (at < to && i < s.n) {
        i++;
        while (i < s.n && ((unsigned char)s.s[i] & 0xC0) == 0x80)
            i++;
        at++;
    }
    return val_strn(s.s + begin, i - begin);
}

struct val slice_key(struct ev *c, struct val from, struct val to)
{
    struct val o = val_object(c->heap, 2);
    o = val_set(c->heap, o, val_str(STR("start")), from);
    return val_set(c->heap, o, val_str(STR("end")), to);
}

static int cannot_index(struct ev *c, struct val t, struct val key)
{
    if (key.kind == VAL_STRING && t.kind != VAL_NULL)
        return ev_error(c, "Cannot index %s with string (\"%.*s\")", val_kind_name(t.kind),
                        STR_FMT(val_text(key)));
    return ev_error(c, "Cannot index %s with %s", val_kind_name(t.kind), ev_shown(c, key));
}

int access_slice(struct ev *c, struct val t, struct val from, struct val to, struct val *ret)
{
    size_t a, b;
    if (t.kind == VAL_NULL) {
        *ret = VNULL;
        return EV_OK;
    }
    if (t.kind != VAL_ARRAY && t.kind != VAL_STRING)
        return cannot_index(c, t, slice_key(c, from, to));
    size_t len = t.kind == VAL_ARRAY ? val_len(c->heap, t) : utf8_count(val_text(t));
    if (!slice_bounds(from, to, len, &a, &b))
        return ev_error(c, "Array/string slice indices must be integers");
    if (t.kind == VAL_STRING) {
        *ret = slice_string(t, a, b);
        return EV_OK;
    }
    struct val r = val_array(c->heap, b - a);
    size_t i = 0;
    for (struct val_iter it = val_iter(c->heap, t); i < b && val_next(&it) && !c->heap->full; i++)
        if (i >= a)
            r = val_push(c->heap, r, it.v);
    *ret = r;
    return EV_OK;
}

/* Positions at which the elements of `of` follow one another. */
int access_indices(struct ev *c, struct val in, struct val of, struct val *ret)
{
    struct val r = val_array(c->heap, 4);
    size_t n = val_len(c->heap, in), m = val_len(c->heap, of);
    for (size_t i = 0; m && i + m <= n && !c->heap->full; i++) {
        bool same = true;
        for (size_t j = 0; same && j < m; j++)
            same = val_eq(c->heap, val_at(in, i + j), val_at(of, j));
        if (same)
            r = val_push(c->heap, r, val_num((double)i));
        if (ev_step(c))
            return EV_FATAL;
    }
    *ret = r;
    return EV_OK;
}

/* A slice names both its ends; a missing one is no number, so the slice is refused. */
static struct val member_of(struct val o, const char *name)
{
    struct val v = val_bool(false);
    val_find(o, str_of(name), &v);
    return v;
}

int access_get(struct ev *c, struct val t, struct val key, struct val *ret)
{
    if (t.kind == VAL_OBJECT && key.kind == VAL_STRING) {
        *ret = VNULL;
        val_find(t, val_text(key), ret);
        return EV_OK;
    }
    if (t.kind == VAL_ARRAY && key.kind == VAL_NUMBER) {
        double d = val_double(key);
        if (d < 0)
            d = trunc(d) + (double)val_len(c->heap, t);
        *ret = isnan(d) || d < 0 || d >= 4294967295.0 ? VNULL : val_at(t, (size_t)d);
        return EV_OK;
    }
    if (key.kind == VAL_OBJECT && (t.kind == VAL_ARRAY || t.kind == VAL_STRING || t.kind == VAL_NULL)) {
        struct val from = member_of(key, "start"), to = member_of(key, "end");
        return access_slice(c, t, from, to, ret);
    }
    if (t.kind == VAL_ARRAY && key.kind == VAL_ARRAY)
        return access_indices(c, t, key, ret);
    if (t.kind == VAL_NULL && (key.kind == VAL_STRING || key.kind == VAL_NUMBER)) {
        *ret = VNULL;
        return EV_OK;
    }
    return cannot_index(c, t, key);
}

#define PATH_MAX_KEYS 10000

static int too_long(struct ev *c) { return ev_error(c, "Path too deep"); }

int access_getpath(struct ev *c, struct val t, const struct val *keys, size_t n, struct val *ret)
{
    if (n > PATH_MAX_KEYS)
        return too_long(c);
    for (size_t i = 0; i < n; i++) {
        if (t.kind == VAL_NULL)
            break;
        int rc = access_get(c, t, keys[i], &t);
        if (rc)
            return rc;
    }
    *ret = t;
    return EV_OK;
}

static int set_slice(struct ev *c, struct val t, struct val key, struct val v, struct val *ret)
{
    size_t from, to, i = 0;
    if (t.kind == VAL_STRING)
        return ev_error(c, "Cannot update string slices");
    if (t.kind == VAL_NULL)
        t = val_array(c->heap, 0);
    if (t.kind != VAL_ARRAY)
        return ev_error(c, "Cannot update field at object index of %s", val_kind_name(t.kind));
    if (!slice_bounds(member_of(key, "start"), member_of(key, "end"), val_len(c->heap, t), &from, &to))
        return ev_error(c, "Array/string slice indices must be integers");
    if (v.kind != VAL_ARRAY)
        return ev_error(c, "A slice of an array can only be assigned another array");
    struct val r = val_array(c->heap, val_len(c->heap, t) + val_len(c->heap, v));
    bool placed = false;
    for (struct val_iter it = val_iter(c->heap, t);; i++) {
        if (i == from && !placed) {
            placed = true;
            for (struct val_iter n = val_iter(c->heap, v); val_next(&n) && !c->heap->full;)
                r = val_push(c->heap, r, n.v);
        }
        if (!val_next(&it) || c->heap->full)
            break;
        if (i < from || i >= to)
            r = val_push(c->heap, r, it.v);
    }
    *ret = r;
    return EV_OK;
}

static int set_one(struct ev *c, struct val t, struct val key, struct val v, struct val *ret)
{
    if (key.kind == VAL_STRING && (t.kind == VAL_OBJECT || t.kind == VAL_NULL)) {
        *ret = val_set(c->heap, t.kind == VAL_NULL ? val_object(c->heap, 4) : t, key, v);
        return EV_OK;
    }
    if (key.kind == VAL_NUMBER && (t.kind == VAL_ARRAY || t.kind == VAL_NULL)) {
        double d = val_double(key), n = t.kind == VAL_NULL ? 0 : (double)val_len(c->heap, t);
        if (isnan(d))
            return ev_error(c, "Cannot set array element at NaN index");
        if (d < 0 && trunc(d) + n < 0)
            return ev_error(c, "Out of bounds negative array index");
        d = d < 0 ? trunc(d) + n : d;
        if (d > 536870911)
            return ev_error(c, "Array index too large");
        *ret = val_put(c->heap, t.kind == VAL_NULL ? val_array(c->heap, 1) : t, (size_t)d, v);
        return EV_OK;
    }
    if (key.kind == VAL_OBJECT)
        return set_slice(c, t, key, v, ret);
    if (key.kind == VAL_ARRAY && t.kind == VAL_ARRAY)
        return ev_error(c, "Cannot update field at array index of array");
    return cannot_index(c, t, key);
}

int access_set(struct ev *c, struct val t, const struct val *keys, size_t n, struct val v, struct val *ret)
{
    if (n > PATH_MAX_KEYS)
        return too_long(c);
    if (n == 0) {
        *ret = v;
        return EV_OK;
    }
    if (ev_step(c))
        return EV_FATAL;
    if (n > 1) {
        if ((char *)__builtin_frame_address(0) < c->stack_end) {
            c->fatal = FATAL_STACK;
            return EV_FATAL;
        }
        struct val child = VNULL;
        int rc = t.kind == VAL_NULL && keys[0].kind != VAL_OBJECT ? EV_OK : access_get(c, t, keys[0], &child);
        if (rc == EV_OK)
            rc = access_set(c, child, keys + 1, n - 1, v, &v);
        if (rc)
            return rc;
    }
    return set_one(c, t, keys[0], v, ret);
}

/* Deleting
 * ---------------------------------------------------------------------------------------------------------
 */

static int delete_from_object(struct ev *c, struct val t, const struct val *keys, size_t n, struct val *ret)
{
    for (size_t i = 0; i < n && !c->heap->full; i++) {
        if (keys[i].kind != VAL_STRING)
            return ev_error(c, "Cannot delete %s field of object", val_kind_name(keys[i].kind));
        t = val_drop(c->heap, t, keys[i]);
    }
    *ret = t;
    return EV_OK;
}

/* Positions are those before anything is deleted. */
static int delete_from_array(struct ev *c, struct val t, const struct val *keys, size_t n, struct val *ret)
{
    size_t len = val_len(c->heap, t), from, to, i = 0;
    bool *gone = heap_alloc(c->heap, len + 1);
    if (!gone)
        return EV_OK;
    memset(gone, 0, len + 1);
    for (size_t k = 0; k < n; k++) {
        if (keys[k].kind == VAL_NUMBER) {
            double d = val_double(keys[k]);
            d = d < 0 ? trunc(d) + (double)len : trunc(d);
            if (d >= 0 && d < (double)len)
                gone[(size_t)d] = true;
        } else if (keys[k].kind == VAL_OBJECT) {
            if (!slice_bounds(member_of(keys[k], "start"), member_of(keys[k], "end"), len, &from, &to))
                return ev_error(c, "Array/string slice indices must be integers");
            memset(gone + from, 1, to - from);
        } else {
            return ev_error(c, "Cannot delete %s element of array", val_kind_name(keys[k].kind));
        }
    }
    struct val r = val_array(c->heap, len);
    for (struct val_iter it = val_iter(c->heap, t); val_next(&it) && !c->heap->full; i++)
        if (!gone[i])
            r = val_push(c->heap, r, it.v);
    *ret = r;
    return EV_OK;
}

static int delete_keys(struct ev *c, struct val t, const struct val *keys, size_t n, struct val *ret)
{
    *ret = t;
    if (!n || t.kind == VAL_NULL)
        return EV_OK;
    if (t.kind == VAL_OBJECT)
        return delete_from_object(c, t, keys, n, ret);
    if (t.kind == VAL_ARRAY)
        return delete_from_array(c, t, keys, n, ret);
    return ev_error(c, "Cannot delete %s from %s", keys[0].kind == VAL_STRING ? "fields" : "elements",
                    val_kind_name(t.kind));
}

/* Paths are sorted and share their first `at` keys. What ends here is deleted at once, after what lies
 * deeper. */
static int delete_sorted(struct ev *c, struct val t, const struct val *paths, size_t n, size_t at,
                         struct val *ret)
{
    int rc = ev_step(c);
    if (rc || t.kind == VAL_NULL) {
        *ret = t;
        return rc;
    }
    if ((char *)__builtin_frame_address(0) < c->stack_end) {
        c->fatal = FATAL_STACK;
        return EV_FATAL;
    }
    struct val *keys = heap_alloc(c->heap, n * sizeof(*keys));
    size_t nkeys = 0;
    if (!keys)
        return EV_OK;
    for (size_t i = 0, end; i < n && !rc && !c->heap->full; i = end) {
        struct val key = val_at(paths[i], at), child;
        for (end = i + 1; end < n && val_eq(c->heap, val_at(paths[end], at), key); end++)
            ;
        if (val_len(c->heap, paths[i]) == at + 1) {
            keys[nkeys++] = key; /* the shortest of the group comes first and takes the others along */
            continue;
        }
        rc = access_get(c, t, key, &child);
        if (!rc && child.kind != VAL_NULL)
            rc = delete_sorted(c, child, paths + i, end - i, at + 1, &child);
        if (!rc && child.kind != VAL_NULL)
            rc = set_one(c, t, key, child, &t);
    }
    return rc ? rc : delete_keys(c, t, keys, nkeys, ret);
}

static int by_value(const void *a, const void *b, void *h)
{
    return val_cmp(h, *(const struct val *)a, *(const struct val *)b);
}

int access_delete(struct ev *c, struct val t, struct val paths, struct val *ret)
{
    if (paths.kind != VAL_ARRAY)
        return ev_error(c, "Paths must be specified as an array");
    struct val list = val_array(c->heap, val_len(c->heap, paths));
    for (struct val_iter it = val_iter(c->heap, paths); val_next(&it) && !c->heap->full;) {
        if (it.v.kind != VAL_ARRAY)
            return ev_error(c, "Path must be specified as array, not %s", val_kind_name(it.v.kind));
        if (val_len(c->heap, it.v) > PATH_MAX_KEYS)
            return too_long(c);
        list = val_push(c->heap, list, it.v);
    }
    *ret = t;
    if (c->heap->full || !list.n)
        return EV_OK;
    qsort_r(list.arr->v, list.n, sizeof(struct val), by_value, c->heap);
    if (val_len(c->heap, list.arr->v[0]) == 0) {
        *ret = VNULL;
        return EV_OK;
    }
    return delete_sorted(c, t, list.arr->v, list.n, 0, ret);
}
