/* Values to JSON text and back, in jq's way: numbers in their canonical form, DEL escaped, "nan" read as a
 * number. */
#include <math.h>
#include <stdlib.h>

#include "mapping/value.h"

/* Bytes that cannot stand in a JSON string as they are. */
static inline bool special(unsigned char c) { return c < 0x20 || c == '"' || c == '\\' || c == 0x7F; }

static inline bool any_special(uint64_t w)
{
    const uint64_t ones = 0x0101010101010101ull, high = 0x8080808080808080ull;
    uint64_t quote = w ^ ones * '"', slash = w ^ ones * '\\', del = w ^ ones * 0x7F;
    return (((w - ones * 0x20) & ~w) | ((quote - ones) & ~quote) | ((slash - ones) & ~slash) |
            ((del - ones) & ~del)) &
           high;
}

static char *escape(char *to, unsigned char c)
{
    static const char hex[] = "0123456789abcdef", named[] = "btn?fr";
    *to++ = '\\';
    if (c == '"' || c == '\\') {
        *to++ = (char)c;
    } else if (c >= 8 && c <= 13 && c != 11) {
        *to++ = named[c - 8];
    } else {
        memcpy(to, "u00", 3);
        to[3] = hex[c >> 4];
        to[4] = hex[c & 15];
        to += 5;
    }
    return to;
}

/* Copies while it looks, a word at a time; up to `n` bytes. Returns how many need no escape. */
static size_t copy_plain(char *to, const char *from, size_t n)
{
    size_t i = 0;
    uint64_t w;
    for (; i + 8 <= n; i += 8) {
        memcpy(&w, from + i, 8);
        if (any_special(w))
            break;
        memcpy(to + i, &w, 8);
    }
    if (i + 8 > n && n >= 8) { /* the rest by a last word that overlaps */
        memcpy(&w, from + n - 8, 8);
        if (!any_special(w)) {
            memcpy(to + n - 8, &w, 8);
            return n;
        }
    }
    for (; i < n && !special((unsigned char)from[i]); i++)
        to[i] = from[i];
    return i;
}

#define ESCAPE_MAX 6 /* bytes of \\u00xx */

void val_write_string(struct buf *out, struct str s)
{
    if (buf_reserve(out, s.n + 2) < 0)
        return;
    out->p[out->n++] = '"';
    for (size_t i = 0;;) {
        size_t run = copy_plain(out->p + out->n, s.p + i, s.n - i);
        out->n += run;
        i += run;
        if (i == s.n)
            break;
        if (buf_reserve(out, s.n - i + ESCAPE_MAX + 1) < 0) { /* what is left, the escape, the quote */
            out->p[out->n] = 0;
            return;
        }
        out->n = (size_t)(escape(out->p + out->n, (unsigned char)s.p[i++]) - out->p);
    }
    out->p[out->n++] = '"';
    out->p[out->n] = 0;
}

void val_write(struct heap *h, struct buf *out, struct val v)
{
    bool first = true;
    switch (v.kind) {
    case VAL_NULL: buf_add(out, "null", 4); return;
    case VAL_FALSE: buf_add(out, "false", 5); return;
    case VAL_TRUE: buf_add(out, "true", 4); return;
    case VAL_NUMBER: num_write(out, v); return;
    case VAL_STRING: val_write_string(out, val_text(v)); return;
    default: break;
    }
    bool obj = v.kind == VAL_OBJECT;
    buf_addc(out, obj ? '{' : '[');
    for (struct val_iter it = val_iter(h, v); val_next(&it) && !out->failed; first = false) {
        if (!first)
            buf_addc(out, ',');
        if (obj) {
            val_write_string(out, val_text(it.key));
            buf_addc(out, ':');
        }
        val_write(h, out, it.v);
    }
    buf_addc(out, obj ? '}' : ']');
}

struct val val_json(struct heap *h, struct val v)
{
    if (v.kind <= VAL_TRUE)
        return val_str(v.kind == VAL_NULL ? STR("null") : v.kind == VAL_TRUE ? STR("true") : STR("false"));
    struct buf out;
    buf_init(&out, h->limit < UINT32_MAX ? h->limit : UINT32_MAX);
    val_write(h, &out, v);
    struct val text = VNULL;
    if (out.failed)
        h->full = true;
    else
        text = val_string(h, buf_str(&out));
    buf_done(&out);
    return text;
}

struct str val_excerpt(struct heap *h, struct val v, size_t max)
{
    struct buf out;
    /* Containers are written only as far as they are shown; what follows does not matter but for the last
     * bracket. */
    buf_init(&out, max < 4096 ? 65536 : max * 16);
    val_write(h, &out, v);
    size_t n = out.n;
    if (!out.failed && n <= max) {
        struct val text = val_string(h, buf_str(&out));
        buf_done(&out);
        return text.kind == VAL_STRING ? val_text(text) : STR_NULL;
    }
    char close = v.kind == VAL_STRING ? '"' : v.kind == VAL_ARRAY ? ']' : v.kind == VAL_OBJECT ? '}' : 0;
    n = max - 3 - (close != 0);
    if (n > out.n)
        n = out.n;
    while (n && ((unsigned char)out.p[n] & 0xC0) == 0x80)
        n--;
    char *p = heap_alloc(h, max);
    if (p) {
        if (n) /* nothing was written when the heap is full */
            memcpy(p, out.p, n);
        memcpy(p + n, "...", 3);
        n += 3;
        if (close)
            p[n++] = close;
    }
    buf_done(&out);
    return (struct str){p, p ? n : 0};
}

/* Reading
 * ----------------------------------------------------------------------------------------------------------
 */

struct reader {
    struct heap *h;
    const char *p, *end;
    int depth;
    const char *fault;
};

static void skip_space(struct reader *r)
{
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r'))
        r->p++;
}

static bool fault(struct reader *r, const char *what)
{
    if (!r->fault)
        r->fault = what;
    return false;
}

static int read_hex4(struct reader *r)
{
    int v = 0;
    if (r->end - r->p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = *r->p++;
        int d = c >= '0' && c <= '9'                 ? c - '0'
                : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                     : -1;
        if (d < 0)
            return -1;
        v = v * 16 + d;
    }
    return v;
}

static char *put_utf8(char *to, uint32_t c)
{
    if (c < 0x80) {
        *to++ = (char)c;
    } else if (c < 0x800) {
        *to++ = (char)(0xC0 | c >> 6);
        *to++ = (char)(0x80 | (c & 63));
    } else if (c < 0x10000) {
        *to++ = (char)(0xE0 | c >> 12);
        *to++ = (char)(0x80 | (c >> 6 & 63));
        *to++ = (char)(0x80 | (c & 63));
    } else {
        *to++ = (char)(0xF0 | c >> 18);
        *to++ = (char)(0x80 | (c >> 12 & 63));
        *to++ = (char)(0x80 | (c >> 6 & 63));
        *to++ = (char)(0x80 | (c & 63));
    }
    return to;
}

static char *read_escape(struct reader *r, char *to)
{
    char c = r->p < r->end ? *r->p++ : 0;
    switch (c) {
    case '"':
    case '\\':
    case '/': *to++ = c; return to;
    case 'n': *to++ = '\n'; return to;
    case 'r': *to++ = '\r'; return to;
    case 't': *to++ = '\t'; return to;
    case 'b': *to++ = '\b'; return to;
    case 'f': *to++ = '\f'; return to;
    case 'u': {
        int u = read_hex4(r);
        if (u < 0)
            return NULL;
        uint32_t code = (uint32_t)u;
        if (u >= 0xD800 && u < 0xDC00) {
            const char *back = r->p;
            int low = -1;
            if (r->end - r->p >= 6 && r->p[0] == '\\' && r->p[1] == 'u') {
                r->p += 2;
                low = read_hex4(r);
            }
            if (low >= 0xDC00 && low < 0xE000) {
                code = 0x10000 + ((code - 0xD800) << 10) + ((uint32_t)low - 0xDC00);
            } else {
                code = 0xFFFD;
                r->p = back;
            }
        } else if (u >= 0xDC00 && u < 0xE000) {
            code = 0xFFFD;
        }
        return put_utf8(to, code);
    }
    default: return NULL;
    }
}

static bool read_string(struct reader *r, struct val *ret)
{
    const char *from = ++r->p, *q = from;
    bool escaped = false;
    while (q < r->end && *q != '"') {
        escaped |= *q == '\\';
        q += *q == '\\' && q + 1 < r->end ? 2 : 1;
    }
    if (q >= r->end)
        return fault(r, "Unfinished string");
    if (!escaped) {
        *ret = val_strn(from, (size_t)(q - from));
        r->p = q + 1;
        return true;
    }
    char *buf = heap_alloc(r->h, (size_t)(q - from)), *to = buf;
    if (!buf)
        return false;
    r->p = from;
    while (r->p < q) {
        if (*r->p != '\\') {
            *to++ = *r->p++;
            continue;
        }
        r->p++;
        to = read_escape(r, to);
        if (!to)
            return fault(r, "Invalid escape");
    }
    *ret = val_strn(buf, (size_t)(to - buf));
    r->p = q + 1;
    return true;
}

/* What decNumber takes for a number though it has no digits, in any case and with a sign. */
static bool read_named_number(struct str w, struct val *ret)
{
    bool minus = w.n && w.p[0] == '-';
    if (w.n && (w.p[0] == '-' || w.p[0] == '+'))
        w = (struct str){w.p + 1, w.n - 1};
    if (str_ieq(w, STR("nan")) || str_ieq(w, STR("snan")))
        *ret = val_num(NAN);
    else if (str_ieq(w, STR("inf")) || str_ieq(w, STR("infinity")))
        *ret = val_num(minus ? -INFINITY : INFINITY);
    else
        return false;
    return true;
}

static bool read_word(struct reader *r, struct val *ret)
{
    const char *from = r->p;
    while (r->p < r->end && !strchr(" \t\r\n,:[]{}\"", *r->p))
        r->p++;
    struct str w = {from, (size_t)(r->p - from)};
    if (str_is(w, "null"))
        *ret = VNULL;
    else if (str_is(w, "true") || str_is(w, "false"))
        *ret = val_bool(w.n == 4);
    else if (read_named_number(w, ret))
        return true;
    else if (!w.n || !num_parse(r->h, w, ret))
        return fault(r, w.n && w.p[0] == '\'' ? "Invalid string literal; expected \", but got '"
                                              : "Invalid literal");
    return true;
}

static bool read_value(struct reader *r, struct val *ret);

static bool read_container(struct reader *r, struct val *ret)
{
    bool obj = *r->p++ == '{';
    char close = obj ? '}' : ']';
    struct val c = obj ? val_object(r->h, 8) : val_array(r->h, 8), key = VNULL, v;
    if (++r->depth > VAL_DEPTH_MAX)
        return fault(r, "Exceeds depth limit for parsing");
    for (bool first = true;; first = false) {
        skip_space(r);
        if (r->p < r->end && *r->p == close && first)
            break;
        if (obj) {
            if (r->p >= r->end || *r->p != '"')
                return fault(r, r->p >= r->end ? "Unfinished JSON term" : "Object keys must be strings");
            if (!read_string(r, &key))
                return false;
            skip_space(r);
            if (r->p >= r->end || *r->p++ != ':')
                return fault(r, "Objects must consist of key:value pairs");
        }
        if (!read_value(r, &v))
            return false;
        c = obj ? val_set(r->h, c, key, v) : val_push(r->h, c, v);
        if (r->h->full)
            return false;
        skip_space(r);
        if (r->p >= r->end)
            return fault(r, "Unfinished JSON term");
        if (*r->p == close)
            break;
        if (*r->p++ != ',')
            return fault(r, obj ? "Expected separator between object members"
                                : "Expected separator between values");
    }
    r->p++;
    r->depth--;
    *ret = c;
    return true;
}

static bool read_value(struct reader *r, struct val *ret)
{
    skip_space(r);
    if (r->p >= r->end)
        return fault(r, r->depth ? "Unfinished JSON term" : "Expected JSON value");
    if (*r->p == '{' || *r->p == '[')
        return read_container(r, ret);
    return *r->p == '"' ? read_string(r, ret) : read_word(r, ret);
}

int val_parse(struct heap *h, struct str text, struct val *ret, struct str *msg)
{
    struct val shown = val_string(h, text); /* results point into this copy */
    if (shown.kind != VAL_STRING)
        return ERR_LIMIT;
    struct reader r = {.h = h, .p = shown.s, .end = shown.s + shown.n};
    if (text.n >= 3 && memcmp(text.p, "\xEF\xBB\xBF", 3) == 0)
        r.p += 3;
    bool ok = read_value(&r, ret);
    if (ok) {
        skip_space(&r);
        if (r.p < r.end)
            ok = fault(&r, "Unexpected extra JSON values");
    }
    if (ok)
        return 0;
    if (h->full)
        return ERR_LIMIT;
    struct val m = val_fmt(h, "%s (while parsing '%.*s')", r.fault ? r.fault : "Invalid JSON",
                           (int)(text.n > 200 ? 200 : text.n), text.p);
    *msg = m.kind == VAL_STRING ? val_text(m) : STR("Invalid JSON");
    return ERR_PARSE;
}
