/* Text into documents over yyjson.
 *
 * Numbers are read raw (YYJSON_READ_NUMBER_AS_RAW), the only mode that keeps 1.10 and -0. yyjson refuses lone
 * surrogates and invalid UTF-8; such a text is repaired (U+FFFD) and read again, so that one bad string does not cost a
 * page. Good text pays nothing for that: it is looked for only after yyjson has failed on a string.
 *
 * yyjson parses any depth with a loop, so depth is checked on its values, which lie one behind the other: a container
 * that holds too few of them to go too deep is passed over as a whole, which leaves little to look at but where it is.
 *
 * yyjson copies the text. Reading in place is not done: it spoils the text for repair and for messages, and
 * holds the caller's spare memory as long as the document lives, to save a copy that was measured at 8 to 12 % of the
 * parsing time. */
#include <stdlib.h>

#include "base/mem.h"
#include "json/doc.h"

#define READ_FLAGS YYJSON_READ_NUMBER_AS_RAW
#define NEAR_BEFORE 20
#define NEAR_BYTES 40

static bool too_deep(yyjson_doc *yd)
{
    size_t n = yyjson_doc_get_val_count(yd), depth = 0;
    if (n <= JSON_MAX_DEPTH)
        return false;
    yyjson_val **ends = xmalloc(JSON_MAX_DEPTH * sizeof(*ends)), *v = yyjson_doc_get_root(yd), *next;
    bool deep = false;
    for (yyjson_val *end = v + n; v < end && !deep; v = next) {
        next = v + 1;
        if (!unsafe_yyjson_is_ctn(v))
            continue;
        while (depth && ends[depth - 1] <= v)
            depth--;
        if ((size_t)(unsafe_yyjson_get_next(v) - v) <= JSON_MAX_DEPTH - depth) {
            next = unsafe_yyjson_get_next(v);
            continue;
        }
        deep = depth == JSON_MAX_DEPTH;
        if (!deep)
            ends[depth++] = unsafe_yyjson_get_next(v);
    }
    free(ends);
    return deep;
}

static int hex4(const char *p)
{
    int v = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int d = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
        if (d < 0)
            return -1;
        v = v * 16 + d;
    }
    return v;
}

/* Position of the next lone surrogate escape at or after `from`, or n. Backslashes stand in strings only. */
static size_t next_lone(struct str s, size_t from)
{
    for (size_t i = from; i < s.n;) {
        const char *at = memchr(s.p + i, '\\', s.n - i);
        if (!at)
            return s.n;
        i = (size_t)(at - s.p);
        int u = i + 6 <= s.n && s.p[i + 1] == 'u' ? hex4(s.p + i + 2) : -1;
        if (u < 0xD800 || u > 0xDFFF) {
            i += 2;
            continue;
        }
        int low = u < 0xDC00 && i + 12 <= s.n && s.p[i + 6] == '\\' && s.p[i + 7] == 'u' ? hex4(s.p + i + 8) : -1;
        if (low < 0xDC00 || low > 0xDFFF)
            return i;
        i += 12;
    }
    return s.n;
}

/* Copies `s` with every lone surrogate escape and ill-formed byte sequence replaced; returns how many were. */
static size_t repair(struct str s, struct buf *out)
{
    struct buf half;
    buf_init(&half, BUF_NO_LIMIT);
    size_t repairs = 0, from = 0;
    for (size_t at; (at = next_lone(s, from)) < s.n; from = at + 6, repairs++) {
        buf_add(&half, s.p + from, at - from);
        buf_adds(&half, "\\ufffd");
    }
    buf_add(&half, s.p + from, s.n - from);
    repairs += utf8_repair(out, buf_str(&half));
    buf_done(&half);
    return repairs;
}

/* What stands around `pos`, on one line and valid UTF-8. */
static void add_near(struct buf *out, struct str s, size_t pos)
{
    size_t from = pos > NEAR_BEFORE ? pos - NEAR_BEFORE : 0, end = s.n - from < NEAR_BYTES ? s.n : from + NEAR_BYTES;
    while (from < pos && ((unsigned char)s.p[from] & 0xC0) == 0x80)
        from++;
    while (end > pos && end < s.n && ((unsigned char)s.p[end] & 0xC0) == 0x80)
        end--;
    size_t at = out->n;
    utf8_repair(out, (struct str){s.p + from, end - from});
    for (; at < out->n; at++)
        if ((unsigned char)out->p[at] < 0x20 || out->p[at] == 0x7f)
            out->p[at] = ' ';
}

/* The message for yyjson's error in `s`; `before` is what precedes `s` and counts for the position. */
static int parse_error(struct str before, struct str s, const yyjson_read_err *re, struct err *e)
{
    if (!e)
        return ERR_PARSE;
    if (str_trim(s).n == 0)
        return ERR(e, ERR_PARSE, "not JSON: the text is empty");
    size_t pos = re->pos < s.n ? re->pos : s.n, line = 1, col = 1;
    struct str parts[] = {before, {s.p, pos}};
    for (size_t k = 0; k < ARRAY_LEN(parts); k++) {
        for (size_t i = 0; i < parts[k].n; i++) {
            unsigned char c = (unsigned char)parts[k].p[i];
            line += c == '\n';
            col = c == '\n' ? 1 : col + ((c & 0xC0) != 0x80);
        }
    }
    struct buf near;
    buf_init(&near, BUF_NO_LIMIT);
    add_near(&near, s, pos);
    int rc = ERR(e, ERR_PARSE, "not JSON: %s at line %zu, column %zu, near \"%s\"", re->msg ? re->msg : "no value",
                 line, col, buf_cstr(&near));
    buf_done(&near);
    return rc;
}

static int wrap(yyjson_doc *yd, size_t text_bytes, size_t repairs, struct json_doc **ret, struct err *e)
{
    if (too_deep(yd)) {
        yyjson_doc_free(yd);
        return ERR(e, ERR_TOO_BIG, "JSON nested deeper than %d levels", JSON_MAX_DEPTH);
    }
    struct json_doc *d = xmalloc(sizeof(*d));
    atomic_init(&d->refs, 1);
    d->doc = yd;
    d->repairs = repairs;
    d->bytes = sizeof(*d) + sizeof(*yd) + text_bytes + yyjson_doc_get_val_count(yd) * sizeof(yyjson_val);
    *ret = d;
    return 0;
}

static int parse(struct str before, struct str s, struct json_doc **ret, struct err *e)
{
    yyjson_read_err re = {0};
    yyjson_doc *yd = s.n ? yyjson_read_opts((char *)(uintptr_t)s.p, s.n, READ_FLAGS, NULL, &re) : NULL;
    if (yd)
        return wrap(yd, s.n, 0, ret, e);
    if (!s.n || re.code != YYJSON_READ_ERROR_INVALID_STRING)
        return parse_error(before, s, &re, e);
    struct buf fixed;
    buf_init(&fixed, BUF_NO_LIMIT);
    size_t repairs = repair(s, &fixed);
    if (repairs)
        yd = yyjson_read_opts(fixed.p, fixed.n, READ_FLAGS, NULL, &re);
    int rc = yd ? wrap(yd, fixed.n, repairs, ret, e) : parse_error(before, repairs ? buf_str(&fixed) : s, &re, e);
    buf_done(&fixed);
    return rc;
}

static struct str skip_bom(struct str s)
{
    return s.n >= 3 && memcmp(s.p, "\xEF\xBB\xBF", 3) == 0 ? (struct str){s.p + 3, s.n - 3} : s;
}

int json_parse(struct str text, struct json_doc **ret, struct err *e)
{
    return parse(STR_NULL, skip_bom(text), ret, e);
}

int json_parse_take(char *text, size_t n, struct json_doc **ret, struct err *e)
{
    int rc = json_parse((struct str){text, n}, ret, e);
    free(text);
    return rc;
}

static bool is_blank(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

static size_t string_end(struct str s, size_t at)
{
    for (size_t i = at + 1; i < s.n; i++) {
        if (s.p[i] == '"')
            return i + 1;
        i += s.p[i] == '\\';
    }
    return s.n;
}

/* End of the value that begins at `at`, found by its brackets and quotes. Handing yyjson just this piece keeps a stream
 * of values linear: it copies and sizes its memory by all the text it is given. */
static size_t value_end(struct str s, size_t at)
{
    size_t depth = 0, i = at;
    while (i < s.n) {
        char c = s.p[i];
        if (c == '"') {
            i = string_end(s, i);
        } else if (c == '{' || c == '[') {
            depth++;
            i++;
        } else if (c == '}' || c == ']') {
            i++;
            depth -= depth > 0;
        } else if (depth) {
            i++;
            continue;
        } else { /* a word or number ends where nothing of it can stand */
            while (i < s.n && !is_blank(s.p[i]) && !strchr("{}[]\",:", s.p[i]))
                i++;
            return i > at ? i : at + 1;
        }
        if (!depth)
            return i;
    }
    return s.n;
}

int json_parse_next(struct str text, size_t *ret_used, struct json_doc **ret, struct err *e)
{
    size_t from = text.n - skip_bom(text).n;
    while (from < text.n && is_blank(text.p[from]))
        from++;
    if (from == text.n) {
        *ret_used = from;
        *ret = NULL;
        return 0;
    }
    size_t end = value_end(text, from);
    int rc = parse((struct str){text.p, from}, (struct str){text.p + from, end - from}, ret, e);
    if (rc == 0)
        *ret_used = end;
    return rc;
}
