/* Writing JSON text. The document writer keeps its own stack, so depth costs heap and not the thread's stack. */
#include "json/write.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

#define ONES 0x0101010101010101ull
#define HIGH 0x8080808080808080ull

/* Has one of the eight bytes a value below n, n at most 0x80? */
static inline bool any_below(uint64_t x, unsigned n) { return ((x - ONES * n) & ~x & HIGH) != 0; }

static inline bool plain(unsigned char c) { return c >= 0x20 && c != '"' && c != '\\'; }

/* Bytes at p that stand for themselves inside quotes. */
static size_t plain_run(const char *p, size_t n)
{
    size_t i = 0;
    for (uint64_t x; i + 8 <= n; i += 8) {
        memcpy(&x, p + i, 8);
        if (any_below(x, 0x20) || any_below(x ^ ONES * '"', 1) || any_below(x ^ ONES * '\\', 1))
            break;
    }
    while (i < n && plain((unsigned char)p[i]))
        i++;
    return i;
}

static void escape(struct buf *out, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    char letter = 0;
    switch (c) {
    case '"':
    case '\\': letter = (char)c; break;
    case '\b': letter = 'b'; break;
    case '\t': letter = 't'; break;
    case '\n': letter = 'n'; break;
    case '\f': letter = 'f'; break;
    case '\r': letter = 'r'; break;
    default: break;
    }
    char text[6] = {'\\', letter ? letter : 'u', '0', '0', hex[c >> 4 & 15], hex[c & 15]};
    buf_add(out, text, letter ? 2 : 6);
}

/* Text that is known to be valid UTF-8, as all of a document is. */
static void quote_valid(struct buf *out, struct str s)
{
    if (buf_reserve(out, s.n + 2) < 0)
        return;
    buf_addc(out, '"');
    for (size_t i = 0; i < s.n;) {
        size_t run = plain_run(s.p + i, s.n - i);
        buf_add(out, s.p + i, run);
        i += run;
        if (i < s.n)
            escape(out, (unsigned char)s.p[i++]);
    }
    buf_addc(out, '"');
}

void json_quote(struct buf *out, struct str s)
{
    if (utf8_valid(s)) {
        quote_valid(out, s);
        return;
    }
    struct buf fixed;
    buf_init(&fixed, BUF_NO_LIMIT);
    utf8_repair(&fixed, s);
    quote_valid(out, buf_str(&fixed));
    buf_done(&fixed);
}

/* How a document is written. */
struct style {
    bool pretty;
    size_t string_max; /* longer strings are cut to this many bytes; 0: no limit */
};

static struct str cut_to(struct str s, size_t max)
{
    if (s.n <= max)
        return s;
    while (max && ((unsigned char)s.p[max] & 0xC0) == 0x80)
        max--;
    return (struct str){s.p, max};
}

static void quote_styled(struct buf *out, const struct style *y, struct str s)
{
    quote_valid(out, y->string_max ? cut_to(s, y->string_max) : s);
}

static void write_scalar(struct buf *out, const struct style *y, struct json j)
{
    switch (json_type(j)) {
    case JSON_NUMBER: buf_addstr(out, json_num_text(j)); break;
    case JSON_STRING: quote_styled(out, y, json_str(j)); break;
    case JSON_TRUE: buf_adds(out, "true"); break;
    case JSON_FALSE: buf_adds(out, "false"); break;
    default: buf_adds(out, "null"); break;
    }
}

struct level {
    struct json_iter it;
    size_t done;
};

static void indent(struct buf *out, bool pretty, size_t depth)
{
    if (!pretty)
        return;
    buf_addc(out, '\n');
    for (size_t i = 0; i < depth; i++)
        buf_adds(out, "  ");
}

static int write_tree(struct buf *out, struct json j, const struct style *y)
{
    struct level small[32], *stack = small;
    size_t depth = 0, cap = ARRAY_LEN(small);
    for (;;) {
        /* one value */
        if (json_is_obj(j) || json_is_arr(j)) {
            buf_addc(out, json_is_obj(j) ? '{' : '[');
            if (depth == cap) {
                struct level *more = xmalloc(2 * cap * sizeof(*more));
                memcpy(more, stack, cap * sizeof(*more));
                if (stack != small)
                    free(stack);
                stack = more;
                cap *= 2;
            }
            stack[depth++] = (struct level){json_iter(j), 0};
        } else {
            write_scalar(out, y, j);
        }
        /* on to the next one, closing what is complete */
        while (depth && !out->failed) {
            struct level *l = &stack[depth - 1];
            if (json_next(&l->it)) {
                if (l->done++)
                    buf_addc(out, ',');
                indent(out, y->pretty, depth);
                if (l->it.obj) {
                    quote_styled(out, y, l->it.key);
                    buf_add(out, ": ", y->pretty ? 2 : 1);
                }
                j = l->it.val;
                break;
            }
            depth--;
            if (l->done)
                indent(out, y->pretty, depth);
            buf_addc(out, l->it.obj ? '}' : ']');
        }
        if (!depth || out->failed)
            break;
    }
    if (stack != small)
        free(stack);
    return out->failed ? ERR_TOO_BIG : 0;
}

int json_write(struct buf *out, struct json j) { return write_tree(out, j, &(struct style){0}); }
int json_write_pretty(struct buf *out, struct json j) { return write_tree(out, j, &(struct style){.pretty = true}); }

void json_excerpt(struct buf *out, struct json j, size_t max)
{
    /* Strings are cut to max bytes, which suffices, and an escape makes at most six bytes of one: the bound keeps the
     * work for a large document small, and what is past it would not be shown anyway. */
    struct buf text;
    buf_init(&text, 8 * max + 64);
    int rc = write_tree(&text, j, &(struct style){.string_max = max});
    struct str whole = buf_str(&text);
    if (rc == 0 && whole.n <= max) {
        buf_addstr(out, whole);
    } else {
        buf_addstr(out, cut_to(whole, max < 3 ? 0 : max - 3));
        buf_add(out, "...", max < 3 ? max : 3);
    }
    buf_done(&text);
}

static void value(struct jw *w)
{
    if (w->comma)
        buf_addc(w->out, ',');
    w->comma = true;
}

static void open(struct jw *w, char c)
{
    value(w);
    buf_addc(w->out, c);
    w->comma = false;
}

static void close(struct jw *w, char c)
{
    buf_addc(w->out, c);
    w->comma = true;
}

void jw_obj(struct jw *w) { open(w, '{'); }
void jw_end_obj(struct jw *w) { close(w, '}'); }
void jw_arr(struct jw *w) { open(w, '['); }
void jw_end_arr(struct jw *w) { close(w, ']'); }

void jw_key(struct jw *w, struct str key)
{
    value(w);
    json_quote(w->out, key);
    buf_addc(w->out, ':');
    w->comma = false;
}

void jw_str(struct jw *w, struct str s)
{
    value(w);
    json_quote(w->out, s);
}

void jw_cstr(struct jw *w, const char *s)
{
    if (s)
        jw_str(w, str_of(s));
    else
        jw_null(w);
}

void jw_int(struct jw *w, int64_t v)
{
    char text[24], *p = text + sizeof(text);
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    value(w);
    do {
        *--p = (char)('0' + u % 10);
        u /= 10;
    } while (u);
    if (v < 0)
        *--p = '-';
    buf_add(w->out, p, (size_t)(text + sizeof(text) - p));
}

void jw_double(struct jw *w, double v)
{
    if (isnan(v)) {
        jw_null(w);
        return;
    }
    if (isinf(v))
        v = copysign(DBL_MAX, v);
    if (v == floor(v) && fabs(v) <= 9007199254740992.0 && !(v == 0 && signbit(v))) {
        jw_int(w, (int64_t)v);
        return;
    }
    char text[32];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    value(w);
    buf_adds(w->out, text);
}

void jw_bool(struct jw *w, bool v)
{
    value(w);
    buf_adds(w->out, v ? "true" : "false");
}

void jw_null(struct jw *w)
{
    value(w);
    buf_adds(w->out, "null");
}

void jw_json(struct jw *w, struct json j)
{
    value(w);
    json_write(w->out, j);
}

void jw_raw(struct jw *w, struct str text)
{
    value(w);
    buf_addstr(w->out, text);
}
