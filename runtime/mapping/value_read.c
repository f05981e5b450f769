/* JSON text to values, as jq's own parser reads it: the same texts are accepted ("nan", numbers like "1."), and
 * what is refused is refused in the same words at the same place, since `try fromjson catch .` shows them.
 *
 * Tokens work on a stack of open containers and of keys that wait for their value, `next` being the value that was
 * read last and not yet put anywhere. A position is only turned into line and column when an error needs it. */
#include <math.h>
#include <stdlib.h>

#include "mapping/value.h"

#define STACK_MAX 10000 /* jq's limit: open containers and waiting keys */

struct reader {
    struct heap *h;
    struct str text;
    struct val *stack, next;
    size_t n, cap;
    bool have_next;
    struct val done; /* the value of the text, once it is complete */
    size_t ndone;
};

/* Each step returns NULL, or what is wrong; with the heap full it may return NULL and leave nonsense. */

static const char *push(struct reader *r, struct val v)
{
    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 16;
        struct val *more = heap_alloc(r->h, cap * sizeof(*more));
        if (!more)
            return "out of memory";
        if (r->n)
            memcpy(more, r->stack, r->n * sizeof(*more));
        r->stack = more;
        r->cap = cap;
    }
    r->stack[r->n++] = v;
    return NULL;
}

static enum val_kind top(const struct reader *r) { return r->n ? r->stack[r->n - 1].kind : VAL_NULL; }

static const char *value(struct reader *r, struct val v)
{
    if (r->have_next)
        return "Expected separator between values";
    r->next = v;
    r->have_next = true;
    return NULL;
}

static void append(struct reader *r)
{
    struct val *a = &r->stack[r->n - 1];
    *a = val_push(r->h, *a, r->next);
    r->have_next = false;
}

/* The key on top of the stack gets its value. */
static void member(struct reader *r)
{
    struct val *o = &r->stack[r->n - 2];
    *o = val_set(r->h, *o, r->stack[r->n - 1], r->next);
    r->n--;
    r->have_next = false;
}

static const char *open_container(struct reader *r, bool object)
{
    if (r->n >= STACK_MAX)
        return "Exceeds depth limit for parsing";
    if (r->have_next)
        return "Expected separator between values";
    return push(r, object ? val_object(r->h, 8) : val_array(r->h, 8));
}

static void close_container(struct reader *r)
{
    r->next = r->stack[--r->n];
    r->have_next = true;
}

static const char *close_array(struct reader *r)
{
    if (top(r) != VAL_ARRAY)
        return "Unmatched ']'";
    if (r->have_next)
        append(r);
    else if (r->stack[r->n - 1].n)
        return "Expected another array element";
    close_container(r);
    return NULL;
}

static const char *close_object(struct reader *r)
{
    if (!r->n)
        return "Unmatched '}'";
    if (r->have_next) {
        if (top(r) != VAL_STRING)
            return "Objects must consist of key:value pairs";
        member(r);
    } else if (top(r) != VAL_OBJECT) {
        return "Unmatched '}'";
    } else if (r->stack[r->n - 1].n) {
        return "Expected another key-value pair";
    }
    close_container(r);
    return NULL;
}

static const char *colon(struct reader *r)
{
    if (!r->have_next)
        return "Expected string key before ':'";
    if (top(r) != VAL_OBJECT)
        return "':' not as part of an object";
    if (r->next.kind != VAL_STRING)
        return "Object keys must be strings";
    r->have_next = false;
    return push(r, r->next);
}

static const char *comma(struct reader *r)
{
    if (!r->have_next)
        return "Expected value before ','";
    if (top(r) == VAL_ARRAY)
        append(r);
    else if (top(r) == VAL_STRING)
        member(r);
    else
        return "Objects must consist of key:value pairs";
    return NULL;
}

static const char *structure(struct reader *r, char c)
{
    switch (c) {
    case '[':
    case '{': return open_container(r, c == '{');
    case ']': return close_array(r);
    case '}': return close_object(r);
    case ':': return colon(r);
    default: return comma(r);
    }
}

/* A complete value at the top is taken out: the text's own, or one too many. */
static void take_done(struct reader *r)
{
    if (r->n || !r->have_next)
        return;
    if (!r->ndone++)
        r->done = r->next;
    r->have_next = false;
}

/* Words and numbers
 * --------------------------------------------------------------------------------------------------- */

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

static const char *literal(struct reader *r, struct str w)
{
    struct val v;
    const char *word = w.p[0] == 't'                                ? "true"
                       : w.p[0] == 'f'                              ? "false"
                       : w.p[0] == 'n' && w.n > 1 && w.p[1] == 'u' ? "null"
                                                                    : NULL;
    if (w.p[0] == '\'')
        return "Invalid string literal; expected \", but got '";
    if (word) {
        if (w.n != strlen(word) || memcmp(w.p, word, w.n) != 0)
            return "Invalid literal";
        return value(r, w.p[0] == 'n' ? VNULL : val_bool(w.p[0] == 't'));
    }
    w.n = strnlen(w.p, w.n); /* numbers end at a NUL byte */
    if (!read_named_number(w, &v) && (!w.n || !num_parse(r->h, w, &v)))
        return "Invalid numeric literal";
    return value(r, v);
}

/* Strings
 * ------------------------------------------------------------------------------------------------------------
 */

/* The value of four hexadecimal digits, or -1. */
static int hex4(const char *p)
{
    int v = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
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

/* After "\\u" at *in: writes the character. */
static const char *unicode(const char **in, const char *end, char **to)
{
    if (end - *in < 4)
        return "Invalid \\uXXXX escape";
    int u = hex4(*in);
    if (u < 0)
        return "Invalid characters in \\uXXXX escape";
    *in += 4;
    uint32_t code = (uint32_t)u;
    if (u >= 0xD800 && u < 0xDC00) {
        int low = end - *in >= 6 && (*in)[0] == '\\' && (*in)[1] == 'u' ? hex4(*in + 2) : -1;
        if (low < 0xDC00 || low >= 0xE000)
            return "Invalid \\uXXXX\\uXXXX surrogate pair escape";
        *in += 6;
        code = 0x10000 + ((code - 0xD800) << 10) + ((uint32_t)low - 0xDC00);
    } else if (u >= 0xDC00 && u < 0xE000) {
        code = 0xFFFD;
    }
    *to = put_utf8(*to, code);
    return NULL;
}

/* What stands between the quotes. */
static const char *string(struct reader *r, const char *in, const char *end)
{
    char *buf = heap_alloc(r->h, (size_t)(end - in)), *to = buf;
    if (!buf)
        return "out of memory";
    while (in < end) {
        char c = *in++;
        if ((unsigned char)c < 0x20)
            return "Invalid string: control characters from U+0000 through U+001F must be escaped";
        if (c != '\\') {
            *to++ = c;
            continue;
        }
        c = in < end ? *in++ : 0;
        const char *what = NULL;
        switch (c) {
        case '"':
        case '\\':
        case '/': *to++ = c; break;
        case 'n': *to++ = '\n'; break;
        case 'r': *to++ = '\r'; break;
        case 't': *to++ = '\t'; break;
        case 'b': *to++ = '\b'; break;
        case 'f': *to++ = '\f'; break;
        case 'u': what = unicode(&in, end, &to); break;
        default: what = "Invalid escape";
        }
        if (what)
            return what;
    }
    return value(r, val_strn(buf, (size_t)(to - buf)));
}

/* The whole text
 * ------------------------------------------------------------------------------------------------------ */

/* Runs over the text. *at: how many bytes were looked at when it failed; past the end: the end was missing. */
static const char *read_all(struct reader *r, size_t *at)
{
    const char *p = r->text.p, *end = p + r->text.n, *what = NULL;
    while (p < end && !what && r->ndone < 2 && !r->h->full) {
        const char *from = p;
        if (*p == '"') {
            for (p++; p < end && *p != '"'; p++)
                p += *p == '\\' && p + 1 < end;
            *at = (size_t)(p - r->text.p) + 1;
            if (p >= end)
                return "Unfinished string";
            what = string(r, from + 1, p++);
        } else if (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n') {
            p++;
        } else if (*p && strchr("[]{}:,", *p)) {
            *at = (size_t)(p - r->text.p) + 1;
            what = structure(r, *p++);
        } else {
            while (p < end && !(*p && strchr(" \t\r\n,:[]{}\"", *p)))
                p++;
            *at = (size_t)(p - r->text.p) + 1; /* known to be over by the byte behind it */
            what = literal(r, (struct str){from, (size_t)(p - from)});
            take_done(r);
            if (!what && p < end && strchr("[]{}:,", *p))
                what = structure(r, *p++);
        }
        if (!what)
            take_done(r);
    }
    if (what || r->ndone > 1)
        return what;
    *at = r->text.n + 1;
    return r->n || r->have_next ? "Unfinished JSON term" : NULL;
}

static struct val message(struct heap *h, struct str text, const char *what, size_t at)
{
    size_t line = 1, column = 0, shown = strnlen(text.p, text.n > 1000 ? 1000 : text.n);
    bool eof = at > text.n;
    for (size_t i = 0; i < (eof ? text.n : at); i++) {
        column++;
        if (text.p[i] == '\n') {
            line++;
            column = 0;
        }
    }
    return val_fmt(h, "%s%s at line %zu, column %zu (while parsing '%.*s')", what, eof ? " at EOF" : "", line,
                   column, (int)shown, text.p);
}

int val_parse(struct heap *h, struct str text, struct val *ret, struct str *msg)
{
    struct val copy = val_string(h, text), m; /* results point into it */
    if (copy.kind != VAL_STRING)
        return ERR_LIMIT;
    struct str in = val_text(copy);
    if (in.n >= 3 && memcmp(in.p, "\xEF\xBB\xBF", 3) == 0)
        in = (struct str){in.p + 3, in.n - 3};
    struct reader r = {.h = h, .text = in};
    size_t at = 0;
    const char *what = read_all(&r, &at);
    if (h->full)
        return ERR_LIMIT;
    *ret = r.done;
    if (!what && r.ndone == 1)
        return 0;
    if (what)
        m = message(h, in, what, at);
    else
        m = val_fmt(h, "%s (while parsing '%.*s')",
                    r.ndone ? "Unexpected extra JSON values" : "Expected JSON value",
                    (int)strnlen(in.p, in.n > 1000 ? 1000 : in.n), in.p);
    *msg = m.kind == VAL_STRING ? val_text(m) : STR("Invalid JSON");
    return ERR_PARSE;
}
