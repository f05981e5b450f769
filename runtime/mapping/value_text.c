/* Values to JSON text in jq's way: numbers in their canonical form, DEL escaped. */
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
