/* YAML into JSON text, which is then read as a document like any other.
 *
 * The text becomes nodes (yaml_tree.c), and these are written with aliases and merge keys expanded, each plain scalar
 * resolved (yaml_scalar.c). Expansion makes a small text large: what may be written, and how many nodes may be visited
 * on the way (a tower of merge keys visits many and writes few), is limited in proportion to the text. Where each value
 * stood is remembered by JSON pointer, as long as that takes a reasonable amount of memory. */
#include "json/yaml.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/strmap.h"
#include "json/write.h"
#include "json/yaml_scalar.h"
#include "json/yaml_tree.h"

#define OUTPUT_LEAST ((size_t)16 << 20)
#define VISITS_LEAST ((size_t)500000)
#define MARKS_BYTES ((size_t)32 << 20)
#define TAG "tag:yaml.org,2002:"

struct yaml_marks {
    struct strmap *at; /* pointer -> line << 16 | column, as a number in a pointer */
    size_t bytes;
};

struct writer {
    const char *name;
    struct buf out, path;
    size_t visits; /* still allowed */
    struct yaml_marks *marks;
    struct err *e;
};

static int fail(struct writer *w, const struct yaml_node *n, const char *what, struct str which)
{
    size_t max = which.n > 80 ? 80 : which.n;
    while (max && max < which.n && ((unsigned char)which.p[max] & 0xC0) == 0x80)
        max--;
    return ERR(w->e, ERR_PARSE, "%s:%d:%d: %s%s%.*s", w->name, n->line, n->col, what, which.n ? ": " : "", (int)max,
               which.n ? which.p : "");
}

static int visit(struct writer *w, const struct yaml_node *n)
{
    if (w->visits && !w->out.failed) {
        w->visits--;
        return 0;
    }
    return ERR(w->e, ERR_TOO_BIG, "%s:%d:%d: aliases and merge keys make this document too large", w->name, n->line,
               n->col);
}

static bool has_tag(const struct yaml_node *n, const char *short_name)
{
    const struct str prefix = STR(TAG);
    return str_starts(n->tag, prefix) && str_is((struct str){n->tag.p + prefix.n, n->tag.n - prefix.n}, short_name);
}

static bool no_tag(const struct yaml_node *n) { return !n->tag.p || str_is(n->tag, "!"); }

static int unknown_tag(struct writer *w, const struct yaml_node *n)
{
    return fail(w, n, "unknown tag (the types of JSON need none)", n->tag);
}

static int write_tagged(struct writer *w, const struct yaml_node *n)
{
    static const struct {
        const char *tag;
        enum yaml_kind kind;
    } kinds[] = {{"int", YAML_NUMBER}, {"float", YAML_NUMBER}, {"bool", YAML_BOOL}, {"null", YAML_NULL}};
    if (has_tag(n, "str") || has_tag(n, "timestamp") || str_is(n->tag, "!")) {
        json_quote(&w->out, n->text);
        return 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (has_tag(n, kinds[i].tag))
            return yaml_scalar(&w->out, n->text) == kinds[i].kind
                       ? 0
                       : fail(w, n, "the value does not fit its tag", n->text);
    return unknown_tag(w, n);
}

static int write_scalar(struct writer *w, const struct yaml_node *n)
{
    if (n->tag.p)
        return write_tagged(w, n);
    enum yaml_kind kind = n->plain ? yaml_scalar(&w->out, n->text) : YAML_TEXT;
    if (kind == YAML_NO_JSON)
        return fail(w, n, "JSON has no such number; quote it to make it text", n->text);
    if (kind == YAML_TEXT)
        json_quote(&w->out, n->text);
    return 0;
}

static void push_path(struct writer *w, struct str key)
{
    buf_addc(&w->path, '/');
    for (size_t i = 0; i < key.n; i++) {
        if (key.p[i] == '~' || key.p[i] == '/')
            buf_adds(&w->path, key.p[i] == '~' ? "~0" : "~1");
        else
            buf_addc(&w->path, key.p[i]);
    }
}

static void pop_path(struct writer *w, size_t n)
{
    w->path.n = n;
    if (w->path.p)
        w->path.p[n] = 0;
}

static void mark(struct writer *w, const struct yaml_node *n)
{
    struct yaml_marks *m = w->marks;
    if (!m || m->bytes > MARKS_BYTES)
        return;
    m->bytes += w->path.n + 64;
    uintptr_t where = (uintptr_t)n->line << 16 | (uintptr_t)(n->col > 0xffff ? 0xffff : n->col);
    strmap_put(m->at, buf_str(&w->path), (void *)where);
}

static bool is_merge(const struct yaml_node *key)
{
    return key->type == YAML_NODE_SCALAR && str_is(key->text, "<<") &&
           ((key->plain && !key->tag.p) || has_tag(key, "merge"));
}

static int collect(struct writer *w, const struct yaml_node *n, struct strmap *into, int merged);

/* `value` of a merge key: a mapping or a list of mappings, the first of which to have a key wins. */
static int collect_merged(struct writer *w, const struct yaml_node *value, struct strmap *into, int merged)
{
    bool list = value->type == YAML_NODE_SEQUENCE;
    size_t count = list ? value->n : 1;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        const struct yaml_node *m = list ? value->items[i] : value;
        if (m->type == YAML_NODE_MAPPING)
            rc = collect(w, m, into, merged + 1);
        else
            rc = fail(w, m, "a merge key (<<) needs a mapping or a list of mappings", STR_NULL);
    }
    return rc;
}

/* Collects key -> value node in order: own keys first, then merged ones, which never replace. `merged` is the depth in
 * merge keys, 0 for the mapping itself. Keys are the text as written: `on: x` names "on". */
static int collect(struct writer *w, const struct yaml_node *n, struct strmap *into, int merged)
{
    if (merged > YAML_MAX_DEPTH)
        return fail(w, n, "nested too deeply", STR_NULL);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n->n; i += 2) {
        const struct yaml_node *key = n->items[i];
        rc = visit(w, key);
        if (rc < 0 || is_merge(key))
            continue;
        if (key->type != YAML_NODE_SCALAR)
            rc = fail(w, key, "a key must be a plain value", STR_NULL);
        else if (!strmap_has(into, key->text))
            strmap_put(into, key->text, n->items[i + 1]);
        else if (!merged)
            rc = fail(w, key, "duplicate key", key->text);
    }
    for (size_t i = 0; rc == 0 && i < n->n; i += 2)
        if (is_merge(n->items[i]))
            rc = collect_merged(w, n->items[i + 1], into, merged);
    return rc;
}

static int write_node(struct writer *w, const struct yaml_node *n, int depth);

static int write_mapping(struct writer *w, const struct yaml_node *n, int depth)
{
    struct strmap *pairs = strmap_new(NULL);
    int rc = collect(w, n, pairs, 0);
    bool first = true;
    struct str key;
    void *value;
    buf_addc(&w->out, '{');
    for (size_t cur = 0; rc == 0 && (cur = strmap_next(pairs, cur, &key, &value)); first = false) {
        size_t at = w->path.n;
        if (!first)
            buf_addc(&w->out, ',');
        json_quote(&w->out, key);
        buf_addc(&w->out, ':');
        push_path(w, key);
        rc = write_node(w, value, depth + 1);
        pop_path(w, at);
    }
    buf_addc(&w->out, '}');
    strmap_free(pairs);
    return rc;
}

static int write_sequence(struct writer *w, const struct yaml_node *n, int depth)
{
    int rc = 0;
    buf_addc(&w->out, '[');
    for (size_t i = 0; rc == 0 && i < n->n; i++) {
        size_t at = w->path.n;
        if (i)
            buf_addc(&w->out, ',');
        buf_addf(&w->path, "/%zu", i);
        rc = write_node(w, n->items[i], depth + 1);
        pop_path(w, at);
    }
    buf_addc(&w->out, ']');
    return rc;
}

static int write_node(struct writer *w, const struct yaml_node *n, int depth)
{
    if (depth > YAML_MAX_DEPTH)
        return fail(w, n, "nested too deeply", STR_NULL);
    int rc = visit(w, n);
    if (rc < 0)
        return rc;
    mark(w, n);
    if (n->type == YAML_NODE_SCALAR)
        return write_scalar(w, n);
    if (!no_tag(n) && !has_tag(n, n->type == YAML_NODE_MAPPING ? "map" : "seq"))
        return unknown_tag(w, n);
    return n->type == YAML_NODE_MAPPING ? write_mapping(w, n, depth) : write_sequence(w, n, depth);
}

static int convert(struct str text, const char *name, struct json_doc **ret, struct yaml_marks *marks, struct err *e)
{
    struct arena *a = arena_new(0);
    struct writer w = {.name = name, .visits = VISITS_LEAST + text.n, .marks = marks, .e = e};
    struct yaml_node *root;
    buf_init(&w.out, OUTPUT_LEAST + 8 * text.n);
    buf_init(&w.path, BUF_NO_LIMIT);
    int rc = yaml_tree(text, name, a, &root, e);
    if (rc == 0 && root)
        rc = write_node(&w, root, 0);
    else if (rc == 0)
        buf_adds(&w.out, "null");
    if (rc == 0 && w.out.failed)
        rc = visit(&w, root);
    if (rc == 0 && ret)
        rc = json_parse(buf_str(&w.out), ret, e);
    buf_done(&w.out);
    buf_done(&w.path);
    arena_free(a);
    return rc;
}

static struct yaml_marks *marks_new(void)
{
    struct yaml_marks *m = xcalloc(1, sizeof(*m));
    m->at = strmap_new(NULL);
    return m;
}

/* JSON is YAML as well, all but a few corners: where a text is in one of them, nothing is known about its lines. */
struct yaml_marks *yaml_marks_of_json(struct str text, const char *name)
{
    struct yaml_marks *m = marks_new();
    if (convert(text, name, NULL, m, NULL) == 0)
        return m;
    yaml_marks_free(m);
    return NULL;
}

int yaml_parse(struct str text, const char *name, struct json_doc **ret, struct yaml_marks **ret_marks, struct err *e)
{
    struct str t = str_trim(text);
    if (ret_marks)
        *ret_marks = NULL;
    if (t.n && (t.p[0] == '{' || t.p[0] == '[') && json_parse(text, ret, NULL) == 0) {
        if (ret_marks)
            *ret_marks = yaml_marks_of_json(text, name);
        return 0;
    }
    struct yaml_marks *marks = ret_marks ? marks_new() : NULL;
    int rc = convert(text, name, ret, marks, e);
    if (rc < 0)
        yaml_marks_free(marks);
    else if (ret_marks)
        *ret_marks = marks;
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
