/* Strings. Positions and lengths count code points, as jq does. */
#include <math.h>

#include "mapping/builtins.h"

#define VALUE(name) static int name(struct ev *c, struct val in, const struct val *args, struct val *ret)

static int both_strings(struct ev *c, struct val a, struct val b, const char *what)
{
    return a.kind == VAL_STRING && b.kind == VAL_STRING ? EV_OK
                                                        : ev_error(c, "%s() requires string inputs", what);
}

static bool starts(struct val s, struct val with)
{
    return s.n >= with.n && memcmp(s.s, with.s, with.n) == 0;
}
static bool ends(struct val s, struct val with)
{
    return s.n >= with.n && memcmp(s.s + s.n - with.n, with.s, with.n) == 0;
}

VALUE(f_startswith)
{
    int rc = both_strings(c, in, args[0], "startswith");
    if (!rc)
        *ret = val_bool(starts(in, args[0]));
    return rc;
}

VALUE(f_endswith)
{
    int rc = both_strings(c, in, args[0], "endswith");
    if (!rc)
        *ret = val_bool(ends(in, args[0]));
    return rc;
}

VALUE(f_ltrimstr)
{
    int rc = both_strings(c, in, args[0], "startswith");
    if (rc)
        return rc;
    *ret = starts(in, args[0]) ? val_strn(in.s + args[0].n, in.n - args[0].n) : in;
    return EV_OK;
}

VALUE(f_rtrimstr)
{
    int rc = both_strings(c, in, args[0], "endswith");
    if (rc)
        return rc;
    *ret = ends(in, args[0]) ? val_strn(in.s, in.n - args[0].n) : in;
    return EV_OK;
}

VALUE(f_trimstr)
{
    int rc = f_ltrimstr(c, in, args, ret);
    return rc ? rc : f_rtrimstr(c, *ret, args, ret);
}

/* Bytes of the white space at the start, or at the end, of s: the code points jq counts as such. */
static size_t space_at(const char *p, size_t n, bool from_end)
{
    static const char *const wide[] = {"\xC2\x85",     "\xC2\xA0",     "\xE1\x9A\x80", "\xE2\x80\x80",
                                       "\xE2\x80\x81", "\xE2\x80\x82", "\xE2\x80\x83", "\xE2\x80\x84",
                                       "\xE2\x80\x85", "\xE2\x80\x86", "\xE2\x80\x87", "\xE2\x80\x88",
                                       "\xE2\x80\x89", "\xE2\x80\x8A", "\xE2\x80\xA8", "\xE2\x80\xA9",
                                       "\xE2\x80\xAF", "\xE2\x81\x9F", "\xE3\x80\x80", NULL};
    char ch = n ? from_end ? p[n - 1] : p[0] : 'x';
    if (ch == ' ' || (ch >= '\t' && ch <= '\r'))
        return 1;
    for (const char *const *w = wide; *w; w++) {
        size_t len = strlen(*w);
        if (n >= len && memcmp(from_end ? p + n - len : p, *w, len) == 0)
            return len;
    }
    return 0;
}

static int trim(struct ev *c, struct val s, bool left, bool right, struct val *ret)
{
    if (s.kind != VAL_STRING)
        return ev_error(c, "trim input must be a string");
    const char *p = s.s;
    size_t n = s.n, k;
    while (left && (k = space_at(p, n, false))) {
        p += k;
        n -= k;
    }
    while (right && (k = space_at(p, n, true)))
        n -= k;
    *ret = val_strn(p, n);
    return EV_OK;
}

VALUE(f_trim)
{
    (void)args;
    return trim(c, in, true, true, ret);
}

VALUE(f_ltrim)
{
    (void)args;
    return trim(c, in, true, false, ret);
}

VALUE(f_rtrim)
{
    (void)args;
    return trim(c, in, false, true, ret);
}

VALUE(f_split)
{
    if (in.kind != VAL_STRING || args[0].kind != VAL_STRING)
        return ev_error(c, "split input and separator must be strings");
    return op_binary(c, OP_DIV, in, args[0], ret);
}

static int change_case(struct ev *c, struct val in, char from, char to, struct val *ret)
{
    if (in.kind != VAL_STRING)
        return ev_error(c, "explode input must be a string");
    char *p = heap_alloc(c->heap, in.n);
    *ret = p ? val_strn(p, in.n) : VNULL;
    for (size_t i = 0; p && i < in.n; i++)
        p[i] = in.s[i] >= from && in.s[i] <= to ? in.s[i] ^ 0x20 : in.s[i];
    return EV_OK;
}

VALUE(f_downcase)
{
    (void)args;
    return change_case(c, in, 'A', 'Z', ret);
}

VALUE(f_upcase)
{
    (void)args;
    return change_case(c, in, 'a', 'z', ret);
}

static uint32_t code_point(const char *p, size_t n, size_t *used)
{
    unsigned char ch = (unsigned char)p[0];
    size_t len = ch < 0x80 ? 1 : ch < 0xE0 ? 2 : ch < 0xF0 ? 3 : 4;
    uint32_t v = len == 1 ? ch : ch & (0x7Fu >> len);
    if (len > n)
        len = n;
    for (size_t i = 1; i < len; i++)
        v = v << 6 | ((unsigned char)p[i] & 0x3F);
    *used = len;
    return v;
}

VALUE(f_explode)
{
    (void)args;
    if (in.kind != VAL_STRING)
        return ev_error(c, "explode input must be a string");
    struct val r = val_array(c->heap, in.n);
    for (size_t i = 0, used; i < in.n && !c->heap->full; i += used)
        r = val_push(c->heap, r, val_num(code_point(in.s + i, in.n - i, &used)));
    *ret = r;
    return EV_OK;
}

VALUE(f_implode)
{
    (void)args;
    if (in.kind != VAL_ARRAY)
        return ev_error(c, "implode input must be an array");
    char *p = heap_alloc(c->heap, val_len(c->heap, in) * 4);
    size_t n = 0;
    for (struct val_iter it = val_iter(c->heap, in); p && val_next(&it);) {
        if (it.v.kind != VAL_NUMBER || isnan(val_double(it.v)))
            return ev_error(c, "%s can't be imploded, unicode codepoint needs to be numeric",
                            ev_shown(c, it.v));
        double d = val_double(it.v);
        uint32_t u = d >= 0 && d <= 0x10FFFF && !(d >= 0xD800 && d < 0xE000) ? (uint32_t)d : 0xFFFD;
        if (u < 0x80) {
            p[n++] = (char)u;
            continue;
        }
        int len = u < 0x800 ? 2 : u < 0x10000 ? 3 : 4;
        for (int i = len - 1; i > 0; i--, u >>= 6)
            p[n + (size_t)i] = (char)(0x80 | (u & 63));
        p[n] = (char)((0xF00 >> len & 0xFF) | u);
        n += (size_t)len;
    }
    *ret = p ? val_strn(p, n) : VNULL;
    return EV_OK;
}

VALUE(f_join)
{
    if (in.kind < VAL_ARRAY)
        return ev_error(c, "Cannot iterate over %s", ev_shown(c, in));
    struct val sep = args[0], r = VNULL;
    for (struct val_iter it = val_iter(c->heap, in); val_next(&it) && !c->heap->full;) {
        int rc = r.kind == VAL_NULL ? EV_OK : op_binary(c, OP_ADD, r, sep, &r);
        if (rc)
            return rc;
        struct val v = it.v;
        if (v.kind == VAL_NULL)
            v = val_strn("", 0);
        else if (v.kind <= VAL_NUMBER)
            v = val_json(c->heap, v);
        if (r.kind == VAL_NULL)
            r = val_strn("", 0);
        rc = op_binary(c, OP_ADD, r, v, &r);
        if (!rc)
            rc = ev_step(c);
        if (rc)
            return rc;
    }
    *ret = r.kind == VAL_NULL ? val_strn("", 0) : r;
    return EV_OK;
}

/* Positions
 * ------------------------------------------------------------------------------------------------------- */

static int string_indices(struct ev *c, struct val s, struct val of, struct val *ret)
{
    struct val r = val_array(c->heap, 4);
    const char *p = s.s, *end = s.s + s.n, *counted = p;
    size_t at = 0;
    while (of.n && p < end && !c->heap->full) {
        p = memmem(p, (size_t)(end - p), of.s, of.n);
        if (!p)
            break;
        at += utf8_count((struct str){counted, (size_t)(p - counted)});
        counted = p;
        r = val_push(c->heap, r, val_num((double)at));
        p++;
        if (ev_step(c))
            return EV_FATAL;
    }
    *ret = r;
    return EV_OK;
}

VALUE(f_indices)
{
    if (in.kind == VAL_STRING && args[0].kind == VAL_STRING)
        return string_indices(c, in, args[0], ret);
    if (in.kind == VAL_ARRAY && args[0].kind == VAL_ARRAY)
        return access_indices(c, in, args[0], ret);
    if (in.kind == VAL_ARRAY) {
        struct val one = val_array(c->heap, 1);
        one = val_push(c->heap, one, args[0]);
        return one.kind == VAL_ARRAY ? access_indices(c, in, one, ret) : EV_OK;
    }
    return access_get(c, in, args[0], ret);
}

static int edge_index(struct ev *c, struct val in, const struct val *args, bool last, struct val *ret)
{
    struct val all;
    int rc = f_indices(c, in, args, &all);
    if (rc)
        return rc;
    return access_get(c, all, val_num(last ? -1 : 0), ret);
}

VALUE(f_index) { return edge_index(c, in, args, false, ret); }
VALUE(f_rindex) { return edge_index(c, in, args, true, ret); }

VALUE(f_format)
{
    if (args[0].kind != VAL_STRING)
        return ev_error(c, "%s is not a valid format", ev_shown(c, args[0]));
    return op_format(c, val_text(args[0]), in, ret);
}

const struct native natives_string[] = {
    {"startswith", 1, f_startswith, NULL},
    {"endswith", 1, f_endswith, NULL},
    {"ltrimstr", 1, f_ltrimstr, NULL},
    {"rtrimstr", 1, f_rtrimstr, NULL},
    {"trimstr", 1, f_trimstr, NULL},
    {"trim", 0, f_trim, NULL},
    {"ltrim", 0, f_ltrim, NULL},
    {"rtrim", 0, f_rtrim, NULL},
    {"split", 1, f_split, NULL},
    {"ascii_downcase", 0, f_downcase, NULL},
    {"ascii_upcase", 0, f_upcase, NULL},
    {"explode", 0, f_explode, NULL},
    {"implode", 0, f_implode, NULL},
    {"join", 1, f_join, NULL},
    {"indices", 1, f_indices, NULL},
    {"index", 1, f_index, NULL},
    {"rindex", 1, f_rindex, NULL},
    {"format", 1, f_format, NULL},
    {.name = NULL},
};
