/* Operators and formats over values, with jq's errors. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "mapping/eval.h"

static int mismatch(struct ev *c, struct val a, struct val b, const char *what)
{
    return ev_error(c, "%s and %s cannot be %s", ev_shown(c, a), ev_shown(c, b), what);
}

static int add(struct ev *c, struct val a, struct val b, struct val *ret)
{
    if (a.kind == VAL_NULL || b.kind == VAL_NULL) {
        *ret = a.kind == VAL_NULL ? b : a;
        return EV_OK;
    }
    if (a.kind == b.kind) {
        switch (a.kind) {
        case VAL_NUMBER: *ret = val_num(val_double(a) + val_double(b)); return EV_OK;
        case VAL_STRING: *ret = val_concat(c->heap, a, b); return EV_OK;
        case VAL_ARRAY:
            for (struct val_iter it = val_iter(c->heap, b); val_next(&it) && !c->heap->full;)
                a = val_push(c->heap, a, it.v);
            *ret = a;
            return EV_OK;
        case VAL_OBJECT:
            for (struct val_iter it = val_iter(c->heap, b); val_next(&it) && !c->heap->full;)
                a = val_set(c->heap, a, it.key, it.v);
            *ret = a;
            return EV_OK;
        default: break;
        }
    }
    return mismatch(c, a, b, "added");
}

static int subtract(struct ev *c, struct val a, struct val b, struct val *ret)
{
    if (a.kind == VAL_NUMBER && b.kind == VAL_NUMBER) {
        *ret = val_num(val_double(a) - val_double(b));
        return EV_OK;
    }
    if (a.kind != VAL_ARRAY || b.kind != VAL_ARRAY)
        return mismatch(c, a, b, "subtracted");
    struct val r = val_array(c->heap, val_len(c->heap, a));
    for (struct val_iter it = val_iter(c->heap, a); val_next(&it) && !c->heap->full;) {
        bool found = false;
        for (struct val_iter o = val_iter(c->heap, b); !found && val_next(&o);) {
            found = val_eq(c->heap, it.v, o.v);
            if (ev_step(c))
                return EV_FATAL;
        }
        if (!found)
            r = val_push(c->heap, r, it.v);
    }
    *ret = r;
    return EV_OK;
}

static struct val merge(struct ev *c, struct val a, struct val b)
{
    for (struct val_iter it = val_iter(c->heap, b); val_next(&it) && !c->heap->full;) {
        struct val old, v = it.v;
        if (v.kind == VAL_OBJECT && val_find(a, val_text(it.key), &old) && old.kind == VAL_OBJECT)
            v = merge(c, old, v);
        a = val_set(c->heap, a, it.key, v);
        if (a.kind != VAL_OBJECT)
            return VNULL;
    }
    return a;
}

/* "x" * 3 is "xxx"; a count of zero or less gives null below zero, "" up to one. */
static int repeat_string(struct ev *c, struct val s, double times, struct val *ret)
{
    if (isnan(times) || times < 0) {
        *ret = VNULL;
        return EV_OK;
    }
    size_t n = times >= INT_MAX ? INT_MAX : (size_t)times;
    if (!s.n || !n) {
        *ret = val_strn("", 0);
        return EV_OK;
    }
    if (n >= INT_MAX / s.n)
        return ev_error(c, "Repeat string result too long");
    if (n > UINT32_MAX / s.n || n * s.n > c->heap->limit) {
        c->heap->full = true;
        *ret = VNULL;
        return EV_OK;
    }
    char *p = heap_alloc(c->heap, n * s.n);
    if (p)
        for (size_t i = 0; i < n; i++)
            memcpy(p + i * s.n, s.s, s.n);
    *ret = p ? val_strn(p, n * s.n) : VNULL;
    return EV_OK;
}

static int multiply(struct ev *c, struct val a, struct val b, struct val *ret)
{
    if (a.kind == VAL_NUMBER && b.kind == VAL_NUMBER) {
        *ret = val_num(val_double(a) * val_double(b));
        return EV_OK;
    }
    if (a.kind == VAL_STRING && b.kind == VAL_NUMBER)
        return repeat_string(c, a, val_double(b), ret);
    if (a.kind == VAL_NUMBER && b.kind == VAL_STRING)
        return repeat_string(c, b, val_double(a), ret);
    if (a.kind != VAL_OBJECT || b.kind != VAL_OBJECT)
        return mismatch(c, a, b, "multiplied");
    *ret = merge(c, a, b);
    return EV_OK;
}

static struct val split(struct ev *c, struct val s, struct val by)
{
    struct val r = val_array(c->heap, 4);
    const char *p = s.s, *end = s.s + s.n;
    if (!s.n)
        return r;
    while (p <= end && !c->heap->full) {
        const char *at;
        if (!by.n) {
            if (p == end)
                break;
            at = p + 1;
            while (at < end && ((unsigned char)*at & 0xC0) == 0x80)
                at++;
            r = val_push(c->heap, r, val_strn(p, (size_t)(at - p)));
            p = at;
            continue;
        }
        at = memmem(p, (size_t)(end - p), by.s, by.n);
        r = val_push(c->heap, r, val_strn(p, (size_t)((at ? at : end) - p)));
        if (!at)
            break;
        p = at + by.n;
    }
    return r;
}

static int divide(struct ev *c, struct val a, struct val b, struct val *ret)
{
    if (a.kind == VAL_NUMBER && b.kind == VAL_NUMBER) {
        double d = val_double(b);
        if (d == 0)
            return mismatch(c, a, b, "divided because the divisor is zero");
        *ret = val_num(val_double(a) / d);
        return EV_OK;
    }
    if (a.kind != VAL_STRING || b.kind != VAL_STRING)
        return mismatch(c, a, b, "divided");
    *ret = split(c, a, b);
    return EV_OK;
}

static int64_t to_integer(double d)
{
    if (d >= 9223372036854775807.0)
        return INT64_MAX;
    if (d <= -9223372036854775808.0)
        return INT64_MIN;
    return (int64_t)d;
}

static int modulo(struct ev *c, struct val a, struct val b, struct val *ret)
{
    if (a.kind != VAL_NUMBER || b.kind != VAL_NUMBER)
        return mismatch(c, a, b, "divided (remainder)");
    double x = val_double(a), y = val_double(b);
    if (isnan(x) || isnan(y)) {
        *ret = val_num(NAN);
        return EV_OK;
    }
    int64_t ix = to_integer(x), iy = to_integer(y);
    if (iy == 0)
        return mismatch(c, a, b, "divided (remainder) because the divisor is zero");
    /* Of the magnitudes, so that the smallest integer cannot trap; the sign is the dividend's. */
    uint64_t ux = ix < 0 ? 0 - (uint64_t)ix : (uint64_t)ix, uy = iy < 0 ? 0 - (uint64_t)iy : (uint64_t)iy;
    double r = (double)(ux % uy);
    *ret = val_num(ix < 0 && r != 0 ? -r : r);
    return EV_OK;
}

int op_binary(struct ev *c, enum binop op, struct val a, struct val b, struct val *ret)
{
    switch (op) {
    case OP_ADD: return add(c, a, b, ret);
    case OP_SUB: return subtract(c, a, b, ret);
    case OP_MUL: return multiply(c, a, b, ret);
    case OP_DIV: return divide(c, a, b, ret);
    case OP_MOD: return modulo(c, a, b, ret);
    case OP_ALT: *ret = val_truthy(a) ? a : b; return EV_OK;
    default: break;
    }
    int cmp;
    if (a.kind == VAL_NUMBER && b.kind == VAL_NUMBER && (op == OP_EQ || op == OP_NE) && a.rep == REP_PLAIN &&
        isnan(a.d))
        cmp = 1;
    else
        cmp = val_cmp(c->heap, a, b);
    *ret = val_bool(op == OP_EQ   ? cmp == 0
                    : op == OP_NE ? cmp != 0
                    : op == OP_LT ? cmp < 0
                    : op == OP_GT ? cmp > 0
                    : op == OP_LE ? cmp <= 0
                                  : cmp >= 0);
    return EV_OK;
}

int op_negate(struct ev *c, struct val v, struct val *ret)
{
    if (v.kind != VAL_NUMBER)
        return ev_error(c, "%s cannot be negated", ev_shown(c, v));
    if (v.rep != REP_TEXT) {
        *ret = val_num(-v.d);
        return EV_OK;
    }
    struct str t = val_text(v);
    if (t.n && t.p[0] == '-') {
        t.p++;
        t.n--;
        *ret = (struct val){.kind = VAL_NUMBER, .rep = REP_TEXT, .n = (uint32_t)t.n, .s = t.p};
        return EV_OK;
    }
    bool zero = true;
    for (size_t i = 0; i < t.n && t.p[i] != 'e' && t.p[i] != 'E'; i++)
        zero &= t.p[i] == '0' || t.p[i] == '.';
    if (zero) {
        *ret = v; /* decNumber has no negative zero by subtraction */
        return EV_OK;
    }
    char *p = heap_alloc(c->heap, t.n + 1);
    if (p) {
        p[0] = '-';
        memcpy(p + 1, t.p, t.n);
    }
    *ret = p ? (struct val){.kind = VAL_NUMBER, .rep = REP_TEXT, .n = (uint32_t)t.n + 1, .s = p} : VNULL;
    return EV_OK;
}

struct val op_tostring(struct ev *c, struct val v) { return v.kind == VAL_STRING ? v : val_json(c->heap, v); }

/* Formats
 * ----------------------------------------------------------------------------------------------------------
 */

static void escape_html(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        switch (s.p[i]) {
        case '<': buf_adds(out, "&lt;"); break;
        case '>': buf_adds(out, "&gt;"); break;
        case '&': buf_adds(out, "&amp;"); break;
        case '\'': buf_adds(out, "&apos;"); break;
        case '"': buf_adds(out, "&quot;"); break;
        default: buf_addc(out, s.p[i]); break;
        }
    }
}

static void encode_base64(struct buf *out, struct str s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < s.n; i += 3) {
        uint32_t w = 0;
        for (size_t j = 0; j < 3; j++)
            w = w << 8 | (i + j < s.n ? (unsigned char)s.p[i + j] : 0);
        for (size_t j = 0; j < 4; j++)
            buf_addc(out, i + j > s.n ? '=' : digits[w >> (18 - 6 * j) & 63]);
    }
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Bytes to text as jq does it: a sequence that the end cuts off becomes one U+FFFD with all that is left, a
 * broken one ends before the byte that breaks it. */
static void add_repaired(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n;) {
        unsigned char c = (unsigned char)s.p[i];
        size_t len = c < 0x80                ? 1
                     : c >= 0xC2 && c < 0xE0 ? 2
                     : c >= 0xE0 && c < 0xF0 ? 3
                     : c >= 0xF0 && c < 0xF5 ? 4
                                             : 0,
               k = 1;
        if (len > s.n - i) {
            buf_adds(out, "\xEF\xBF\xBD");
            return;
        }
        while (k < len && ((unsigned char)s.p[i + k] & 0xC0) == 0x80)
            k++;
        if (k == len && utf8_valid((struct str){s.p + i, len}))
            buf_add(out, s.p + i, len);
        else
            buf_adds(out, "\xEF\xBF\xBD");
        i += k;
    }
}

static int decode_base64(struct ev *c, struct buf *out, struct val v)
{
    struct str s = val_text(v);
    struct buf raw;
    uint32_t w = 0;
    size_t n = 0;
    while (s.n && s.p[s.n - 1] == '=')
        s.n--;
    buf_init(&raw, BUF_NO_LIMIT);
    for (size_t i = 0; i < s.n; i++) {
        int d = base64_digit(s.p[i]);
        if (d < 0) {
            buf_done(&raw);
            return ev_error(c, "%s is not valid base64 data", ev_shown(c, v));
        }
        w = w << 6 | (uint32_t)d;
        if (++n % 4 == 0) {
            char bytes[3] = {(char)(w >> 16), (char)(w >> 8), (char)w};
            buf_add(&raw, bytes, 3);
            w = 0;
        }
    }
    if (n % 4 == 1) {
        buf_done(&raw);
        return ev_error(c, "%s trailing base64 byte found", ev_shown(c, v));
    }
    if (n % 4 == 2)
        buf_addc(&raw, (char)(w >> 4));
    if (n % 4 == 3) {
        buf_addc(&raw, (char)(w >> 10));
        buf_addc(&raw, (char)(w >> 2));
    }
    add_repaired(out, buf_str(&raw));
    buf_done(&raw);
    return EV_OK;
}

static int decode_uri(struct ev *c, struct buf *out, struct val v)
{
    struct buf raw;
    buf_init(&raw, BUF_NO_LIMIT);
    for (size_t i = 0; i < v.n; i++) {
        if (v.s[i] != '%') {
            buf_addc(&raw, v.s[i]);
            continue;
        }
        int byte = 0;
        for (int k = 1; k <= 2; k++) {
            char h = i + (size_t)k < v.n ? v.s[i + (size_t)k] : 0;
            int d = h >= '0' && h <= '9'                 ? h - '0'
                    : (h | 32) >= 'a' && (h | 32) <= 'f' ? (h | 32) - 'a' + 10
                                                         : -1;
            byte = d < 0 || byte < 0 ? -1 : byte * 16 + d;
        }
        if (byte < 0) {
            buf_done(&raw);
            return ev_error(c, "%s is not a valid uri encoding", ev_shown(c, v));
        }
        buf_addc(&raw, (char)byte);
        i += 2;
    }
    bool ok = utf8_valid(buf_str(&raw));
    if (ok)
        buf_addstr(out, buf_str(&raw));
    buf_done(&raw);
    return ok ? EV_OK : ev_error(c, "%s is not a valid uri encoding", ev_shown(c, v));
}

static void quote_shell(struct buf *out, struct str s)
{
    buf_addc(out, '\'');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\'')
            buf_adds(out, "'\\''");
        else
            buf_addc(out, s.p[i]);
    }
    buf_addc(out, '\'');
}

static void cell(struct buf *out, struct str s, bool tsv)
{
    if (!tsv) {
        buf_addc(out, '"');
        for (size_t i = 0; i < s.n; i++) {
            if (s.p[i] == '"')
                buf_addc(out, '"');
            buf_addc(out, s.p[i]);
        }
        buf_addc(out, '"');
        return;
    }
    for (size_t i = 0; i < s.n; i++) {
        switch (s.p[i]) {
        case '\t': buf_adds(out, "\\t"); break;
        case '\n': buf_adds(out, "\\n"); break;
        case '\r': buf_adds(out, "\\r"); break;
        case '\\': buf_adds(out, "\\\\"); break;
        default: buf_addc(out, s.p[i]); break;
        }
    }
}

static int format_row(struct ev *c, struct buf *out, struct val v, bool tsv)
{
    if (v.kind != VAL_ARRAY)
        return ev_error(c, "%s cannot be %s-formatted, only array", ev_shown(c, v), tsv ? "tsv" : "csv");
    bool first = true;
    for (struct val_iter it = val_iter(c->heap, v); val_next(&it); first = false) {
        if (!first)
            buf_addc(out, tsv ? '\t' : ',');
        if (it.v.kind >= VAL_ARRAY)
            return ev_error(c, "%s is not valid in a csv row", ev_shown(c, it.v));
        if (it.v.kind == VAL_STRING)
            cell(out, val_text(it.v), tsv);
        else if (it.v.kind == VAL_NUMBER && it.v.rep == REP_PLAIN && isnan(it.v.d))
            continue; /* nan is an empty cell */
        else if (it.v.kind != VAL_NULL)
            val_write(c->heap, out, it.v);
    }
    return EV_OK;
}

static int format_shell(struct ev *c, struct buf *out, struct val v)
{
    struct val one = val_array(c->heap, 1);
    if (v.kind != VAL_ARRAY)
        v = val_push(c->heap, one, v);
    bool first = true;
    for (struct val_iter it = val_iter(c->heap, v); val_next(&it); first = false) {
        if (!first)
            buf_addc(out, ' ');
        if (it.v.kind >= VAL_ARRAY)
            return ev_error(c, "%s can not be escaped for shell", ev_shown(c, it.v));
        if (it.v.kind == VAL_STRING)
            quote_shell(out, val_text(it.v));
        else
            val_write(c->heap, out, it.v);
    }
    return EV_OK;
}

int op_format(struct ev *c, struct str name, struct val v, struct val *ret)
{
    struct buf out;
    int rc = EV_OK;
    if (str_is(name, "text")) {
        *ret = op_tostring(c, v);
        return EV_OK;
    }
    if (str_is(name, "json")) {
        *ret = val_json(c->heap, v);
        return EV_OK;
    }
    buf_init(&out, c->heap->limit);
    if (str_is(name, "csv") || str_is(name, "tsv")) {
        rc = format_row(c, &out, v, name.p[0] == 't');
    } else if (str_is(name, "sh")) {
        rc = format_shell(c, &out, v);
    } else {
        struct val s = op_tostring(c, v);
        if (s.kind != VAL_STRING)
            rc = EV_OK; /* the heap is full: noticed when the value is handed on */
        else if (str_is(name, "html"))
            escape_html(&out, val_text(s));
        else if (str_is(name, "uri"))
            url_encode(&out, val_text(s));
        else if (str_is(name, "urid"))
            rc = decode_uri(c, &out, s);
        else if (str_is(name, "base64"))
            encode_base64(&out, val_text(s));
        else if (str_is(name, "base64d"))
            rc = decode_base64(c, &out, s);
        else
            rc = ev_error(c, "%.*s is not a valid format", STR_FMT(name));
    }
    if (out.failed)
        c->heap->full = true;
    if (rc == EV_OK)
        *ret = val_string(c->heap, buf_str(&out));
    buf_done(&out);
    return rc;
}
