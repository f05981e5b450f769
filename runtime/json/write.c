/* Writing JSON text. The document writer keeps its own stack, so depth costs heap and not the thread's stack. */
#include "json/write.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

void json_quote(struct buf *out, struct str s)
{
    static const char hex[] = "0123456789abcdef";
    buf_reserve(out, s.n + 2);
    buf_addc(out, '"');
    size_t from = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        buf_add(out, s.p + from, i - from);
        from = i + 1;
        char two[2] = {'\\', (char)c};
        switch (c) {
        case '"':
        case '\\': break;
        case '\n': two[1] = 'n'; break;
        case '\r': two[1] = 'r'; break;
        case '\t': two[1] = 't'; break;
        case '\b': two[1] = 'b'; break;
        case '\f': two[1] = 'f'; break;
        default: {
            char esc[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
            buf_add(out, esc, 6);
            continue;
        }
        }
        buf_add(out, two, 2);
    }
    if (s.n > from)
        buf_add(out, s.p + from, s.n - from);
    buf_addc(out, '"');
}

static void write_scalar(struct buf *out, struct json j)
{
    switch (json_type(j)) {
    case JSON_NUMBER: buf_addstr(out, json_num_text(j)); break;
    case JSON_STRING: json_quote(out, json_str(j)); break;
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

static int write_tree(struct buf *out, struct json j, bool pretty)
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
            write_scalar(out, j);
        }
        /* on to the next one, closing what is complete */
        while (depth && !out->failed) {
            struct level *l = &stack[depth - 1];
            if (json_next(&l->it)) {
                if (l->done++)
                    buf_addc(out, ',');
                indent(out, pretty, depth);
                if (l->it.obj) {
                    json_quote(out, l->it.key);
                    buf_adds(out, pretty ? ": " : ":");
                }
                j = l->it.val;
                break;
            }
            depth--;
            if (l->done)
                indent(out, pretty, depth);
            buf_addc(out, l->it.obj ? '}' : ']');
        }
        if (!depth || out->failed)
            break;
    }
    if (stack != small)
        free(stack);
    return out->failed ? ERR_TOO_BIG : 0;
}

int json_write(struct buf *out, struct json j) { return write_tree(out, j, false); }
int json_write_pretty(struct buf *out, struct json j) { return write_tree(out, j, true); }

void json_excerpt(struct buf *out, struct json j, size_t max)
{
    struct buf text;
    buf_init(&text, max + 8);
    int rc = json_write(&text, j);
    size_t n = text.n;
    if (rc == 0 && n <= max) {
        buf_addstr(out, buf_str(&text));
    } else {
        n = n > max ? max : n;
        while (n && ((unsigned char)text.p[n] & 0xC0) == 0x80)
            n--;
        buf_add(out, text.p, n);
        buf_adds(out, "...");
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

static void quoted(struct buf *out, struct str s)
{
    if (utf8_valid(s)) {
        json_quote(out, s);
        return;
    }
    struct buf fixed;
    buf_init(&fixed, BUF_NO_LIMIT);
    utf8_repair(&fixed, s);
    json_quote(out, buf_str(&fixed));
    buf_done(&fixed);
}

void jw_key(struct jw *w, struct str key)
{
    value(w);
    quoted(w->out, key);
    buf_addc(w->out, ':');
    w->comma = false;
}

void jw_str(struct jw *w, struct str s)
{
    value(w);
    quoted(w->out, s);
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
    value(w);
    buf_addf(w->out, "%lld", (long long)v);
}

void jw_double(struct jw *w, double v)
{
    value(w);
    if (isnan(v)) {
        buf_adds(w->out, "null");
        return;
    }
    if (isinf(v))
        v = v > 0 ? 1.7976931348623157e308 : -1.7976931348623157e308;
    char text[32];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
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
