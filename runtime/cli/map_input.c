/* Finding the ends of values.
 *
 * A value ends where its brackets and quotes are balanced, so nothing is parsed here; the scanner stops at the end of
 * what was read and goes on there after the next read, which keeps values of any size linear. A top-level array of
 * items is never seen as a whole: its brackets and commas are taken here, its elements handed out. What cannot begin a
 * value is handed out by itself and the parser says what is wrong with it.
 *
 * A batch is what one read brought, so a slow writer sees the answer to a line before it writes the next one. */
#include "cli/map_input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"

#define READ_BYTES ((size_t)256 << 10)
#define BATCH_MAX 512
#define BATCH_BYTES ((size_t)4 << 20)

enum array_state { ARRAY_NONE, ARRAY_FIRST, ARRAY_ELEMENT, ARRAY_NEXT };

struct map_input {
    const char *name;
    int fd;
    enum input_kind kind;
    bool eof, bom_seen;
    struct buf buf;
    size_t at;        /* everything before is used up */
    size_t line, col; /* of `at` */
    enum array_state array;
    size_t scanned; /* bytes of the present value that were looked at */
    size_t depth;
    bool in_string, in_word;
};

struct map_input *map_input_open(const char *path, enum input_kind kind, struct err *e)
{
    bool standard = !path || !strcmp(path, "-");
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        ERR(e, ERR_IO, "%s: %s", path, strerror(errno));
        return NULL;
    }
    struct map_input *in = xcalloc(1, sizeof(*in));
    in->name = standard ? "standard input" : path;
    in->fd = fd;
    in->kind = kind;
    in->line = in->col = 1;
    buf_init(&in->buf, BUF_NO_LIMIT);
    return in;
}

void map_input_close(struct map_input *in)
{
    if (!in)
        return;
    if (in->fd != STDIN_FILENO)
        close(in->fd);
    buf_done(&in->buf);
    free(in);
}

static void advance(struct map_input *in, size_t n)
{
    const char *p = in->buf.p + in->at, *end = p + n;
    in->at += n;
    for (const char *nl; p < end && (nl = memchr(p, '\n', (size_t)(end - p))); p = nl + 1) {
        in->line++;
        in->col = 1;
    }
    for (; p < end; p++)
        in->col += ((unsigned char)*p & 0xC0) != 0x80;
}

/* One read; moves what is unused to the front. */
static int fill(struct map_input *in, struct err *e)
{
    struct buf *b = &in->buf;
    if (in->at) {
        memmove(b->p, b->p + in->at, b->n - in->at);
        b->n -= in->at;
        in->at = 0;
    }
    if (buf_reserve(b, READ_BYTES) < 0)
        return ERR(e, ERR_TOO_BIG, "%s: a value is too large", in->name);
    ssize_t got;
    do {
        got = read(in->fd, b->p + b->n, READ_BYTES);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return ERR(e, ERR_IO, "%s: %s", in->name, strerror(errno));
    b->n += (size_t)got;
    in->eof = got == 0;
    return 0;
}

static bool is_blank(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }
static bool ends_word(char c) { return is_blank(c) || (c && strchr("{}[]\",:", c)); }

/* Goes on in a string; false at the end of what was read. */
static bool scan_string(struct map_input *in, const char *p, size_t n, size_t *i)
{
    size_t k = *i;
    while (k < n && p[k] != '"') {
        if (p[k] == '\\' && k + 1 == n)
            break;
        k += p[k] == '\\' ? 2 : 1;
    }
    in->in_string = k >= n || p[k] != '"';
    *i = in->in_string ? k : k + 1;
    return !in->in_string;
}

/* True when the present value ends at in->scanned. */
static bool scan_value(struct map_input *in)
{
    const char *p = in->buf.p + in->at;
    size_t n = in->buf.n - in->at, i = in->scanned;
    bool done = false;
    while (i < n && !done) {
        if (in->in_string) {
            done = scan_string(in, p, n, &i) && !in->depth;
            if (in->in_string)
                break;
        } else if (in->in_word) {
            done = ends_word(p[i]);
            i += !done;
        } else {
            char c = p[i++];
            if (c == '"') {
                in->in_string = true;
            } else if (c == '{' || c == '[') {
                in->depth++;
            } else if (c == '}' || c == ']') {
                in->depth -= in->depth > 0;
                done = !in->depth;
            } else if (!in->depth) {
                in->in_word = !ends_word(c);
                done = !in->in_word; /* a stray comma or colon */
            }
        }
    }
    in->scanned = i;
    return done;
}

static void take_value(struct map_input *in, struct input_value *ret)
{
    *ret = (struct input_value){{in->buf.p + in->at, in->scanned}, in->line, in->col};
    advance(in, in->scanned);
    in->scanned = in->depth = 0;
    in->in_string = in->in_word = false;
    if (in->array != ARRAY_NONE)
        in->array = ARRAY_NEXT;
}

enum found { FOUND_VALUE, FOUND_PART, FOUND_END, FOUND_BROKEN };

static enum found broken(const struct map_input *in, const char *what, struct err *e)
{
    ERR(e, ERR_PARSE, "%s: not JSON: %s at line %zu, column %zu", in->name, what, in->line, in->col);
    return FOUND_BROKEN;
}

static void skip_blanks(struct map_input *in)
{
    const struct buf *b = &in->buf;
    size_t n = 0;
    if (!in->bom_seen && (b->n >= 3 || in->eof)) {
        in->bom_seen = true;
        in->at += b->n >= 3 && !memcmp(b->p, "\xEF\xBB\xBF", 3) ? 3 : 0;
    }
    while (in->bom_seen && in->at + n < b->n && is_blank(b->p[in->at + n]))
        n++;
    advance(in, n);
}

/* Takes the punctuation of a top-level array; false where there is none. */
static bool take_punctuation(struct map_input *in, char c)
{
    if (in->array == ARRAY_NONE && c == '[')
        in->array = ARRAY_FIRST;
    else if ((in->array == ARRAY_FIRST || in->array == ARRAY_NEXT) && c == ']')
        in->array = ARRAY_NONE;
    else if (in->array == ARRAY_NEXT && c == ',')
        in->array = ARRAY_ELEMENT;
    else
        return false;
    advance(in, 1);
    return true;
}

/* Takes what stands between values. FOUND_VALUE: one begins here. */
static enum found skip_between(struct map_input *in, struct err *e)
{
    for (;;) {
        skip_blanks(in);
        if (in->at == in->buf.n || !in->bom_seen) {
            if (!in->eof)
                return FOUND_PART;
            return in->array == ARRAY_NONE ? FOUND_END : broken(in, "the array is not closed", e);
        }
        if (in->kind != INPUT_ITEMS || in->scanned)
            return FOUND_VALUE;
        if (take_punctuation(in, in->buf.p[in->at]))
            continue;
        return in->array == ARRAY_NEXT ? broken(in, "expected \",\" or \"]\" after an element of the array", e)
                                       : FOUND_VALUE;
    }
}

/* The next value in what was read. */
static enum found find_value(struct map_input *in, struct input_value *ret, struct err *e)
{
    enum found f = skip_between(in, e);
    if (f != FOUND_VALUE)
        return f;
    if (!scan_value(in)) {
        if (!in->eof)
            return FOUND_PART;
        in->scanned = in->buf.n - in->at;
    }
    take_value(in, ret);
    return FOUND_VALUE;
}

static void add(struct input_batch *b, struct input_value v)
{
    if (b->n == b->cap) {
        b->cap = b->cap ? b->cap * 2 : 64;
        b->v = xrealloc(b->v, b->cap * sizeof(*b->v));
    }
    b->v[b->n++] = v;
}

enum input_status map_input_batch(struct map_input *in, struct input_batch *b, struct err *e)
{
    size_t bytes = 0;
    b->n = 0;
    while (b->n < BATCH_MAX && bytes < BATCH_BYTES) {
        struct input_value v;
        switch (find_value(in, &v, e)) {
        case FOUND_VALUE:
            add(b, v);
            bytes += v.text.n;
            continue;
        case FOUND_END: return INPUT_END;
        case FOUND_BROKEN: return INPUT_BROKEN;
        case FOUND_PART: break;
        }
        if (b->n)
            return INPUT_MORE;
        if (fill(in, e) < 0)
            return INPUT_FAILED;
    }
    return INPUT_MORE;
}

void map_input_place(const struct map_input *in, const struct input_value *v, struct err *e)
{
    char *at = strstr(e->msg, "at line ");
    size_t line, col;
    int n = 0;
    if (at && sscanf(at, "at line %zu, column %zu%n", &line, &col, &n) == 2 && n) {
        struct err old = *e;
        ERR(e, old.code, "%s: %.*sat line %zu, column %zu%s", in->name, (int)(at - e->msg), old.msg, v->line + line - 1,
            line == 1 ? v->col + col - 1 : col, old.msg + (at - e->msg) + n);
    } else {
        struct err old = *e;
        ERR(e, old.code, "%s: %s, in the value at line %zu, column %zu", in->name, old.msg, v->line, v->col);
    }
}
