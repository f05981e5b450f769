/* YAML through libyaml's document loader, which resolves anchors and aliases to shared nodes; the nodes are then written as
 * JSON text and read as a document like any other. Aliases make a small text large, so the output is capped; a node that
 * contains itself runs into the depth limit. Scalars resolve as PyYAML's safe loader resolves them (YAML 1.1), except that
 * dates stay text and infinities and NaN, which JSON has no words for, are errors. */
#include "json/yaml.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

#include "base/mem.h"
#include "base/strmap.h"
#include "json/write.h"

#define MAX_DEPTH 200
#define MAX_OUTPUT ((size_t)64 << 20)

struct yaml_marks {
    struct strmap *at; /* pointer -> line << 16 | column, as a number in a pointer */
};

struct ctx {
    yaml_document_t *doc;
    const char *name;
    struct str text;
    struct buf out, path;
    struct yaml_marks *marks;
    struct err *e;
};

static int fail(struct ctx *c, const yaml_mark_t *m, const char *what, struct str value)
{
    return ERR(c->e, ERR_PARSE, "%s:%zu:%zu: %s%s%.*s", c->name, m->line + 1, m->column + 1, what, value.n ? ": " : "",
               (int)(value.n > 80 ? 80 : value.n), value.p ? value.p : "");
}

static bool one_of(struct str s, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_is(s, words[i]))
            return true;
    return false;
}

static bool is_null(struct str s)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};
    return one_of(s, words, ARRAY_LEN(words));
}

static bool is_bool(struct str s, bool *ret)
{
    static const char *const yes[] = {"yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"};
    static const char *const no[] = {"no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"};
    *ret = one_of(s, yes, ARRAY_LEN(yes));
    return *ret || one_of(s, no, ARRAY_LEN(no));
}

/* Sexagesimal: 190:20:30, digits of two after the first group. */
static bool sexagesimal(struct str s, bool neg, struct buf *out)
{
    uint64_t total = 0;
    size_t i = 0, groups = 0;
    while (i < s.n) {
        uint64_t v = 0;
        size_t n = 0;
        for (; i < s.n && (isdigit((unsigned char)s.p[i]) || (s.p[i] == '_' && groups == 0)); i++) {
            if (s.p[i] == '_')
                continue;
            v = v * 10 + (uint64_t)(s.p[i] - '0');
            if (++n > 15)
                return false;
        }
        if (n == 0 || (groups && (n > 2 || v > 59)) || (groups == 0 && s.p[0] == '0'))
            return false;
        total = total * 60 + v;
        groups++;
        if (i < s.n && s.p[i++] != ':')
            return false;
    }
    if (groups < 2 || s.p[s.n - 1] == ':')
        return false;
    buf_addf(out, "%s%llu", neg ? "-" : "", (unsigned long long)total);
    return true;
}

static bool radix(struct str digits, int base, bool neg, struct buf *out)
{
    uint64_t v = 0;
    size_t n = 0;
    for (size_t i = 0; i < digits.n; i++) {
        char c = (char)tolower((unsigned char)digits.p[i]);
        if (c == '_')
            continue;
        int d = isdigit((unsigned char)c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
        if (d >= base || v > (UINT64_MAX - (uint64_t)d) / (uint64_t)base)
            return false;
        v = v * (uint64_t)base + (uint64_t)d;
        n++;
    }
    if (!n)
        return false;
    buf_addf(out, "%s%llu", neg && v ? "-" : "", (unsigned long long)v);
    return true;
}

/* YAML 1.1 integers: binary, octal 0123, decimal, hex, sexagesimal, with underscores. */
static bool is_int(struct str s, struct buf *out)
{
    bool neg = s.n && s.p[0] == '-';
    struct str d = s.n && (neg || s.p[0] == '+') ? (struct str){s.p + 1, s.n - 1} : s;
    if (!d.n || !isdigit((unsigned char)d.p[0]))
        return false;
    if (d.n > 2 && d.p[0] == '0' && (d.p[1] == 'x' || d.p[1] == 'b'))
        return radix((struct str){d.p + 2, d.n - 2}, d.p[1] == 'x' ? 16 : 2, neg, out);
    if (d.n > 2 && d.p[0] == '0' && d.p[1] == 'o') /* YAML 1.2's octal, which people write too */
        return radix((struct str){d.p + 2, d.n - 2}, 8, neg, out);
    if (memchr(d.p, ':', d.n))
        return sexagesimal(d, neg, out);
    if (d.n > 1 && d.p[0] == '0')
        return radix((struct str){d.p + 1, d.n - 1}, 8, neg, out);
    for (size_t i = 0; i < d.n; i++)
        if (!isdigit((unsigned char)d.p[i]) && d.p[i] != '_')
            return false;
    if (neg)
        buf_addc(out, '-');
    for (size_t i = 0; i < d.n; i++)
        if (d.p[i] != '_')
            buf_addc(out, d.p[i]);
    return true;
}

/* Floats as PyYAML: a point is mandatory, an exponent needs its sign. JSON text with an integer part and digits. */
static bool is_float(struct str s, struct buf *out)
{
    size_t i = 0, before = 0, after = 0;
    bool neg = s.n && s.p[0] == '-';
    i += s.n && (neg || s.p[0] == '+');
    struct buf t;
    buf_init(&t, s.n + 8);
    if (neg)
        buf_addc(&t, '-');
    size_t sign = t.n;
    for (; i < s.n && (isdigit((unsigned char)s.p[i]) || (s.p[i] == '_' && before)); i++) {
        if (s.p[i] != '_') {
            buf_addc(&t, s.p[i]);
            before++;
        }
    }
    bool ok = i < s.n && s.p[i] == '.';
    if (ok && !before)
        buf_addc(&t, '0');
    while (t.n - sign > 1 && t.p[sign] == '0') { /* JSON allows no leading zero */
        memmove(t.p + sign, t.p + sign + 1, t.n - sign);
        t.n--;
    }
    if (ok) {
        buf_addc(&t, '.');
        for (i++; i < s.n && (isdigit((unsigned char)s.p[i]) || s.p[i] == '_'); i++) {
            if (s.p[i] != '_') {
                buf_addc(&t, s.p[i]);
                after++;
            }
        }
        if (!after)
            buf_addc(&t, '0');
        ok = before || after;
    }
    if (ok && i < s.n && (s.p[i] == 'e' || s.p[i] == 'E')) {
        ok = i + 2 < s.n && (s.p[i + 1] == '+' || s.p[i + 1] == '-');
        buf_add(&t, s.p + i, s.n - i);
        for (i += 2; i < s.n; i++)
            ok = ok && isdigit((unsigned char)s.p[i]);
    }
    ok = ok && i == s.n;
    if (ok)
        buf_addstr(out, buf_str(&t));
    buf_done(&t);
    return ok;
}

static bool is_infinite(struct str s)
{
    static const char *const words[] = {".inf",  ".Inf",  ".INF",  "+.inf", "+.Inf", "+.INF",
                                        "-.inf", "-.Inf", "-.INF", ".nan",  ".NaN",  ".NAN"};
    return one_of(s, words, ARRAY_LEN(words));
}

/* The loader reports the default tag for a plain scalar whether it was written or not; the text at the mark tells. */
static bool tag_written(const struct ctx *c, const yaml_node_t *n)
{
    return n->start_mark.index < c->text.n && c->text.p[n->start_mark.index] == '!';
}

static int write_scalar(struct ctx *c, const yaml_node_t *n)
{
    struct str s = {(const char *)n->data.scalar.value, n->data.scalar.length};
    struct str tag = str_of((const char *)n->tag);
    bool plain = n->data.scalar.style == YAML_PLAIN_SCALAR_STYLE, written = tag_written(c, n), truth;
    bool as_str = str_is(tag, YAML_STR_TAG);
    if (written && !as_str && !str_is(tag, YAML_INT_TAG) && !str_is(tag, YAML_FLOAT_TAG) && !str_is(tag, YAML_BOOL_TAG) &&
        !str_is(tag, YAML_NULL_TAG) && !str_is(tag, YAML_TIMESTAMP_TAG))
        return fail(c, &n->start_mark, "unknown tag", tag);
    if ((!plain && !written) || (written && (as_str || str_is(tag, YAML_TIMESTAMP_TAG)))) {
        struct jw w = jw_on(&c->out);
        jw_str(&w, s);
        return 0;
    }
    if (is_null(s))
        buf_adds(&c->out, "null");
    else if (is_bool(s, &truth))
        buf_adds(&c->out, truth ? "true" : "false");
    else if (is_infinite(s))
        return fail(c, &n->start_mark, "JSON has no such number; quote it to make it text", s);
    else if (!is_int(s, &c->out) && !is_float(s, &c->out)) {
        if (written)
            return fail(c, &n->start_mark, "the value does not fit its tag", s);
        struct jw w = jw_on(&c->out);
        jw_str(&w, s);
    }
    return 0;
}

static void push_path(struct ctx *c, struct str key)
{
    buf_addc(&c->path, '/');
    for (size_t i = 0; i < key.n; i++) {
        if (key.p[i] == '~' || key.p[i] == '/')
            buf_adds(&c->path, key.p[i] == '~' ? "~0" : "~1");
        else
            buf_addc(&c->path, key.p[i]);
    }
}

static void pop_path(struct ctx *c, size_t n)
{
    c->path.n = n;
    if (c->path.p)
        c->path.p[n] = 0;
}

static int write_node(struct ctx *c, int id, int depth);

/* A key as text: scalars only, resolved like values so that `1: x` and `yes: x` name "1" and "true". */
static int key_text(struct ctx *c, const yaml_node_t *k, struct buf *out)
{
    if (!k || k->type != YAML_SCALAR_NODE)
        return fail(c, k ? &k->start_mark : &(yaml_mark_t){0}, "a key must be a plain value", STR_NULL);
    struct str s = {(const char *)k->data.scalar.value, k->data.scalar.length};
    utf8_repair(out, s);
    return 0;
}

static bool is_merge(const yaml_node_t *k)
{
    return k && k->type == YAML_SCALAR_NODE && k->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           k->data.scalar.length == 2 && memcmp(k->data.scalar.value, "<<", 2) == 0;
}

/* Collects the pairs of a mapping in order, own keys before merged ones (which never replace). Values: node ids. */
static int collect(struct ctx *c, const yaml_node_t *n, struct strmap *into, bool own, int depth)
{
    if (depth > MAX_DEPTH)
        return fail(c, &n->start_mark, "nested too deeply, or a node that contains itself", STR_NULL);
    for (const yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top; p++) {
        const yaml_node_t *k = yaml_document_get_node(c->doc, p->key);
        if (is_merge(k))
            continue;
        struct buf key;
        buf_init(&key, BUF_NO_LIMIT);
        int rc = key_text(c, k, &key);
        if (rc == 0 && strmap_has(into, buf_str(&key))) {
            if (own)
                rc = fail(c, &k->start_mark, "duplicate key", buf_str(&key));
        } else if (rc == 0) {
            strmap_put(into, buf_str(&key), (void *)(intptr_t)p->value);
        }
        buf_done(&key);
        if (rc < 0)
            return rc;
    }
    for (const yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top; p++) {
        if (!is_merge(yaml_document_get_node(c->doc, p->key)))
            continue;
        const yaml_node_t *v = yaml_document_get_node(c->doc, p->value);
        const yaml_node_item_t *item = NULL;
        if (v && v->type == YAML_SEQUENCE_NODE)
            item = v->data.sequence.items.start;
        for (;;) {
            const yaml_node_t *m = item ? (item < v->data.sequence.items.top ? yaml_document_get_node(c->doc, *item++) : NULL) : v;
            if (item && !m)
                break;
            if (!m || m->type != YAML_MAPPING_NODE)
                return fail(c, &n->start_mark, "a merge key needs a mapping or a list of mappings", STR_NULL);
            int rc = collect(c, m, into, false, depth + 1);
            if (rc < 0)
                return rc;
            if (!item)
                break;
        }
    }
    return 0;
}

static int write_mapping(struct ctx *c, const yaml_node_t *n, int depth)
{
    struct strmap *pairs = strmap_new(NULL);
    int rc = collect(c, n, pairs, true, depth);
    bool first = true;
    buf_addc(&c->out, '{');
    struct str key;
    void *value;
    for (size_t cur = 0; rc == 0 && (cur = strmap_next(pairs, cur, &key, &value)); first = false) {
        size_t at = c->path.n;
        if (!first)
            buf_addc(&c->out, ',');
        json_quote(&c->out, key);
        buf_addc(&c->out, ':');
        push_path(c, key);
        rc = write_node(c, (int)(intptr_t)value, depth + 1);
        pop_path(c, at);
    }
    buf_addc(&c->out, '}');
    strmap_free(pairs);
    return rc;
}

static int write_node(struct ctx *c, int id, int depth)
{
    const yaml_node_t *n = yaml_document_get_node(c->doc, id);
    if (!n)
        return ERR(c->e, ERR_INTERNAL, "%s: lost a node", c->name);
    if (depth > MAX_DEPTH)
        return fail(c, &n->start_mark, "nested too deeply, or a node that contains itself", STR_NULL);
    if (c->out.failed)
        return fail(c, &n->start_mark, "aliases make this document too large", STR_NULL);
    if (c->marks) {
        uintptr_t where = (uintptr_t)(n->start_mark.line + 1) << 16 | ((n->start_mark.column + 1) & 0xffff);
        strmap_put(c->marks->at, buf_str(&c->path), (void *)where);
    }
    if (n->type == YAML_SCALAR_NODE)
        return write_scalar(c, n);
    if (tag_written(c, n) && !str_is(str_of((const char *)n->tag), YAML_MAP_TAG) &&
        !str_is(str_of((const char *)n->tag), YAML_SEQ_TAG))
        return fail(c, &n->start_mark, "unknown tag", str_of((const char *)n->tag));
    if (n->type == YAML_MAPPING_NODE)
        return write_mapping(c, n, depth);
    int rc = 0, i = 0;
    buf_addc(&c->out, '[');
    for (const yaml_node_item_t *it = n->data.sequence.items.start; rc == 0 && it < n->data.sequence.items.top; it++, i++) {
        size_t at = c->path.n;
        if (i)
            buf_addc(&c->out, ',');
        buf_addf(&c->path, "/%d", i);
        rc = write_node(c, *it, depth + 1);
        pop_path(c, at);
    }
    buf_addc(&c->out, ']');
    return rc;
}

static int parser_error(const yaml_parser_t *p, const char *name, struct err *e)
{
    size_t line = p->problem_mark.line + 1, col = p->problem_mark.column + 1;
    return ERR(e, ERR_PARSE, "%s:%zu:%zu: %s%s%s", name, line, col, p->problem ? p->problem : "not YAML",
               p->context ? ", " : "", p->context ? p->context : "");
}

/* More than one document in the text? */
static int check_single(yaml_parser_t *p, const char *name, struct err *e)
{
    yaml_document_t more;
    if (!yaml_parser_load(p, &more))
        return parser_error(p, name, e);
    const yaml_node_t *root = yaml_document_get_root_node(&more);
    size_t line = root ? root->start_mark.line + 1 : 0;
    yaml_document_delete(&more);
    return root ? ERR(e, ERR_PARSE, "%s:%zu: only one YAML document is expected here", name, line) : 0;
}

static int convert(struct ctx *c, struct json_doc **ret)
{
    int rc = 0;
    if (!yaml_document_get_root_node(c->doc))
        buf_adds(&c->out, "null");
    else
        rc = write_node(c, 1, 0);
    if (rc == 0 && c->out.failed)
        rc = ERR(c->e, ERR_TOO_BIG, "%s: aliases make this document too large", c->name);
    if (rc == 0)
        rc = json_parse(buf_str(&c->out), ret, c->e);
    return rc;
}

int yaml_parse(struct str text, const char *name, struct json_doc **ret, struct yaml_marks **ret_marks, struct err *e)
{
    struct str t = str_trim(text);
    if (ret_marks)
        *ret_marks = NULL;
    if (t.n && (t.p[0] == '{' || t.p[0] == '[') && json_parse(text, ret, NULL) == 0)
        return 0;
    yaml_parser_t parser;
    yaml_document_t doc;
    if (!yaml_parser_initialize(&parser))
        return ERR(e, ERR_INTERNAL, "%s: out of memory", name);
    yaml_parser_set_input_string(&parser, (const unsigned char *)(text.p ? text.p : ""), text.n);
    int rc;
    if (!yaml_parser_load(&parser, &doc)) {
        rc = parser_error(&parser, name, e);
    } else {
        struct ctx c = {.doc = &doc, .name = name, .text = text, .e = e};
        buf_init(&c.out, MAX_OUTPUT);
        buf_init(&c.path, BUF_NO_LIMIT);
        if (ret_marks) {
            c.marks = xcalloc(1, sizeof(*c.marks));
            c.marks->at = strmap_new(NULL);
        }
        struct json_doc *out = NULL;
        rc = convert(&c, &out);
        if (rc == 0)
            rc = check_single(&parser, name, e);
        if (rc == 0) {
            *ret = out;
            if (ret_marks)
                *ret_marks = c.marks;
        } else {
            json_unref(out);
            yaml_marks_free(c.marks);
        }
        buf_done(&c.out);
        buf_done(&c.path);
        yaml_document_delete(&doc);
    }
    yaml_parser_delete(&parser);
    return rc;
}

bool yaml_where(const struct yaml_marks *m, struct str pointer, int *ret_line, int *ret_col)
{
    uintptr_t where = m ? (uintptr_t)strmap_get(m->at, pointer) : 0;
    if (!where)
        return false;
    *ret_line = (int)(where >> 16);
    *ret_col = (int)(where & 0xffff);
    return true;
}

void yaml_marks_free(struct yaml_marks *m)
{
    if (!m)
        return;
    strmap_free(m->at);
    free(m);
}

int file_read(const char *path, size_t max_bytes, struct buf *out, struct err *e)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return ERR(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %s", path, strerror(errno));
    char chunk[65536];
    int rc = 0;
    for (size_t n; rc == 0 && (n = fread(chunk, 1, sizeof(chunk), f)) > 0;) {
        if (out->n + n > max_bytes)
            rc = ERR(e, ERR_TOO_BIG, "%s: larger than %zu bytes", path, max_bytes);
        else
            buf_add(out, chunk, n);
    }
    if (rc == 0 && ferror(f))
        rc = ERR(e, ERR_IO, "%s: %s", path, strerror(errno));
    fclose(f);
    return rc;
}

int yaml_load_file(const char *path, size_t max_bytes, struct json_doc **ret, struct yaml_marks **ret_marks, struct err *e)
{
    struct buf text;
    buf_init(&text, max_bytes + 1);
    int rc = file_read(path, max_bytes, &text, e);
    if (rc == 0 && str_ends(str_of(path), STR(".json"))) {
        if (ret_marks)
            *ret_marks = NULL;
        rc = json_parse(buf_str(&text), ret, e);
        if (rc < 0)
            err_wrap(e, "%s", path);
    } else if (rc == 0) {
        rc = yaml_parse(buf_str(&text), path, ret, ret_marks, e);
    }
    buf_done(&text);
    return rc;
}
