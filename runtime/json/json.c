/* Documents over yyjson. Numbers are read raw (YYJSON_READ_NUMBER_AS_RAW), the only mode that keeps 1.10 and -0. yyjson
 * refuses lone surrogates and invalid UTF-8; such a text is repaired (U+FFFD) and read again, so that one bad string does
 * not cost a page. Depth is checked on the text first: a cheap count of opening brackets, which settles nearly every
 * document, and an exact scan only when there are more of them than levels allowed. */
#include "json/json.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/mem.h"

#define READ_FLAGS YYJSON_READ_NUMBER_AS_RAW

struct json_doc {
    atomic_int refs;
    yyjson_doc *doc;
    char *text; /* in-situ memory, or NULL */
    size_t bytes, repairs;
};

__attribute__((optimize("O3"))) static size_t count_openers(const char *p, size_t n)
{
    size_t found = 0;
    for (size_t i = 0; i < n; i++)
        found += (p[i] | 0x20) == '{'; /* '[' | 0x20 is '{' as well */
    return found;
}

static bool too_deep(struct str s)
{
    if (s.n < 2 * JSON_MAX_DEPTH || count_openers(s.p, s.n) <= JSON_MAX_DEPTH)
        return false;
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > JSON_MAX_DEPTH)
                return true;
        } else if ((c == '}' || c == ']') && depth) {
            depth--;
        }
    }
    return false;
}

static int hex4(const char *p)
{
    int v = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (d < 0)
            return -1;
        v = v * 16 + d;
    }
    return v;
}

/* Position of the next lone surrogate escape at or after `from`, or n. */
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

static bool needs_repair(struct str s) { return next_lone(s, 0) < s.n || !utf8_valid(s); }

/* Copies `s` with every lone surrogate escape and ill-formed byte sequence replaced. */
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

static int parse_error(struct str s, const yyjson_read_err *re, struct err *e)
{
    size_t pos = re->pos < s.n ? re->pos : s.n, line = 1, col = 1;
    for (size_t i = 0; i < pos; i++) {
        col++;
        if (s.p[i] == '\n') {
            line++;
            col = 1;
        }
    }
    size_t from = pos > 20 ? pos - 20 : 0, n = s.n - from < 40 ? s.n - from : 40;
    if (re->code == YYJSON_READ_ERROR_EMPTY_CONTENT || str_trim(s).n == 0)
        return ERR(e, ERR_PARSE, "not JSON: the text is empty");
    return ERR(e, ERR_PARSE, "not JSON: %s at line %zu, column %zu, near \"%.*s\"", re->msg, line, col, (int)n, s.p + from);
}

static struct json_doc *wrap(yyjson_doc *yd, char *text, size_t text_bytes, size_t repairs)
{
    struct json_doc *d = xmalloc(sizeof(*d));
    atomic_init(&d->refs, 1);
    d->doc = yd;
    d->text = text;
    d->repairs = repairs;
    d->bytes = sizeof(*d) + text_bytes + yyjson_doc_get_val_count(yd) * sizeof(yyjson_val);
    return d;
}

static struct str skip_bom(struct str s)
{
    return s.n >= 3 && memcmp(s.p, "\xEF\xBB\xBF", 3) == 0 ? (struct str){s.p + 3, s.n - 3} : s;
}

static int depth_error(struct err *e)
{
    return ERR(e, ERR_TOO_BIG, "JSON nested deeper than %d levels", JSON_MAX_DEPTH);
}

int json_parse(struct str text, struct json_doc **ret, struct err *e)
{
    struct str s = skip_bom(text);
    yyjson_read_err re = {0};
    if (too_deep(s))
        return depth_error(e);
    yyjson_doc *yd = s.n ? yyjson_read_opts((char *)(uintptr_t)s.p, s.n, READ_FLAGS, NULL, &re) : NULL;
    size_t repairs = 0;
    if (!yd && s.n && needs_repair(s)) {
        struct buf fixed;
        buf_init(&fixed, BUF_NO_LIMIT);
        repairs = repair(s, &fixed);
        yd = yyjson_read_opts(fixed.p, fixed.n, READ_FLAGS, NULL, &re);
        buf_done(&fixed);
    }
    if (!yd)
        return parse_error(s, &re, e);
    *ret = wrap(yd, NULL, s.n, repairs);
    return 0;
}

int json_parse_take(char *text, size_t n, struct json_doc **ret, struct err *e)
{
    struct str s = skip_bom((struct str){text, n});
    /* In-situ reading destroys the text, so what needs repair must be known before; so must a text too short to matter. */
    if (s.n < 4096 || too_deep(s) || needs_repair(s)) {
        int rc = json_parse(s, ret, e);
        free(text);
        return rc;
    }
    if (s.p != text) {
        memmove(text, s.p, s.n);
        s.p = text;
    }
    memset(text + s.n, 0, JSON_PADDING);
    yyjson_read_err re = {0};
    yyjson_doc *yd = yyjson_read_opts(text, s.n, READ_FLAGS | YYJSON_READ_INSITU, NULL, &re);
    if (!yd) {
        int rc = parse_error(s, &re, e);
        free(text);
        return rc;
    }
    *ret = wrap(yd, text, s.n, 0);
    return 0;
}

int json_parse_next(struct str text, size_t *ret_used, struct json_doc **ret, struct err *e)
{
    size_t skip = 0;
    while (skip < text.n && (text.p[skip] == ' ' || text.p[skip] == '\n' || text.p[skip] == '\t' || text.p[skip] == '\r'))
        skip++;
    struct str s = {text.p + skip, text.n - skip};
    if (!s.n) {
        *ret_used = skip;
        *ret = NULL;
        return 0;
    }
    if (too_deep(s))
        return depth_error(e);
    yyjson_read_err re = {0};
    yyjson_doc *yd =
        yyjson_read_opts((char *)(uintptr_t)s.p, s.n, READ_FLAGS | YYJSON_READ_STOP_WHEN_DONE, NULL, &re);
    if (yd) {
        size_t used = yyjson_doc_get_read_size(yd);
        *ret_used = skip + used;
        *ret = wrap(yd, NULL, used, 0);
        return 0;
    }
    if (!needs_repair(s))
        return parse_error(s, &re, e);
    /* Repair changes lengths: read the repaired text, then find the value's end in the original by its brackets. */
    struct buf fixed;
    buf_init(&fixed, BUF_NO_LIMIT);
    size_t repairs = repair(s, &fixed);
    yd = yyjson_read_opts(fixed.p, fixed.n, READ_FLAGS | YYJSON_READ_STOP_WHEN_DONE, NULL, &re);
    size_t used_fixed = yd ? yyjson_doc_get_read_size(yd) : 0;
    int rc = yd ? 0 : parse_error(buf_str(&fixed), &re, e);
    if (yd) {
        size_t depth = 0, i = 0;
        bool in_string = false;
        do {
            char c = s.p[i++];
            if (in_string) {
                i += c == '\\';
                in_string = c != '"';
            } else if (c == '"') {
                in_string = true;
            } else if (c == '{' || c == '[') {
                depth++;
            } else if (c == '}' || c == ']') {
                depth--;
            }
        } while (i < s.n && (depth || in_string));
        *ret_used = skip + i;
        *ret = wrap(yd, NULL, used_fixed, repairs);
    }
    buf_done(&fixed);
    return rc;
}

struct json_doc *json_ref(struct json_doc *d)
{
    if (d)
        atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);
    return d;
}

void json_unref(struct json_doc *d)
{
    if (!d || atomic_fetch_sub_explicit(&d->refs, 1, memory_order_acq_rel) != 1)
        return;
    yyjson_doc_free(d->doc);
    free(d->text);
    free(d);
}

struct json json_root(struct json_doc *d) { return (struct json){d, d ? yyjson_doc_get_root(d->doc) : NULL}; }
size_t json_doc_bytes(const struct json_doc *d) { return d->bytes; }
size_t json_doc_repairs(const struct json_doc *d) { return d->repairs; }

const char *json_type_name(enum json_type t)
{
    static const char *const names[] = {"missing", "null", "boolean", "boolean", "number", "string", "array", "object"};
    return names[t];
}

bool json_int64(struct json j, int64_t *ret) { return json_is_num(j) && str_int64(json_num_text(j), ret); }

double json_double(struct json j)
{
    struct str s = json_num_text(j);
    char small[64];
    if (!s.n)
        return 0;
    if (s.n < sizeof(small)) {
        memcpy(small, s.p, s.n);
        small[s.n] = 0;
        return strtod(small, NULL);
    }
    char *big = str_dup(s);
    double v = strtod(big, NULL);
    free(big);
    return v;
}

struct json json_get(struct json j, struct str key)
{
    struct json found = JSON_NONE;
    if (!json_is_obj(j))
        return found;
    yyjson_val *k = unsafe_yyjson_get_first(j.v);
    for (size_t left = unsafe_yyjson_get_len(j.v); left; left--) {
        if (unsafe_yyjson_get_len(k) == key.n && memcmp(unsafe_yyjson_get_str(k), key.p, key.n) == 0)
            found = (struct json){j.doc, k + 1};
        k = unsafe_yyjson_get_next(k + 1);
    }
    return found;
}

struct json json_path(struct json j, struct str path)
{
    for (struct str rest = path; j.v && rest.p;) {
        struct str step = str_split(rest, '.', &rest);
        j = json_get(j, step);
    }
    return j;
}

struct json json_at(struct json j, size_t index)
{
    return (struct json){j.doc, json_is_arr(j) ? yyjson_arr_get(j.v, index) : NULL};
}

struct json_iter json_iter(struct json j)
{
    struct json_iter it = {.doc = j.doc};
    if (j.v && yyjson_is_ctn(j.v)) {
        it.left = unsafe_yyjson_get_len(j.v);
        it.next = it.left ? unsafe_yyjson_get_first(j.v) : NULL;
        it.obj = yyjson_is_obj(j.v);
    }
    return it;
}
