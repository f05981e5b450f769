/* An entity is kept as a list of parts (title, icon, team, each property, each relation). Writes of one mapping list
 * them in the same order, so a part is looked for behind the one found last; the list is sorted only to be written. */
#include "sync/change.h"

#include <stdlib.h>

#include "base/mem.h"
#include "json/compare.h"
#include "json/write.h"
#include "mapping/entity.h"

#define DEPTH_MAX 32 /* below that, values are compared as a whole */

enum group { SINGLE, PROPERTY, RELATION };

struct part {
    enum group group;
    struct str name;
    struct json before, after;
    bool touched; /* some write says something about it */
};

struct change {
    struct part *parts;
    size_t n, cap, last;
    struct json_doc **docs;
    size_t ndocs;
    bool known, exists, replaced; /* exists: in Port, before all writes */
    bool there;                   /* there after the writes so far */
};

struct change *change_new(void) { return xcalloc(1, sizeof(struct change)); }

void change_reset(struct change *c)
{
    for (size_t i = 0; i < c->ndocs; i++)
        json_unref(c->docs[i]);
    c->ndocs = c->n = c->last = 0;
    c->known = c->exists = c->replaced = c->there = false;
}

void change_free(struct change *c)
{
    if (!c)
        return;
    change_reset(c);
    free(c->docs);
    free(c->parts);
    free(c);
}

bool change_exists(const struct change *c) { return c->exists; }

static void hold(struct change *c, struct json j)
{
    if (!j.doc)
        return;
    c->docs = xrealloc(c->docs, (c->ndocs + 1) * sizeof(struct json_doc *));
    c->docs[c->ndocs++] = json_ref(j.doc);
}

static struct part *part_of(struct change *c, enum group group, struct str name)
{
    for (size_t i = 0; i < c->n; i++) {
        size_t at = c->last + 1 + i;
        struct part *p = &c->parts[at < c->n ? at : at % c->n];
        if (p->group == group && str_eq(p->name, name)) {
            c->last = (size_t)(p - c->parts);
            return p;
        }
    }
    if (c->n == c->cap) {
        c->cap = c->cap ? 2 * c->cap : 32;
        c->parts = xrealloc(c->parts, c->cap * sizeof(*c->parts));
    }
    c->last = c->n;
    c->parts[c->n] = (struct part){.group = group, .name = name};
    return &c->parts[c->n++];
}

/* Calls fn for every part an entity has. */
static void each(struct change *c, struct json entity, void (*fn)(struct part *p, struct json v))
{
    static const char *const single[] = {"title", "icon", "team"};
    for (size_t i = 0; i < ARRAY_LEN(single); i++) {
        struct json v = json_get(entity, str_of(single[i]));
        if (v.v)
            fn(part_of(c, SINGLE, str_of(single[i])), v);
    }
    for (int g = 0; g < 2; g++) {
        struct json list = g ? json_get_c(entity, "relations") : json_get_c(entity, "properties");
        for (struct json_iter it = json_iter(list); it.obj && json_next(&it);)
            fn(part_of(c, g ? RELATION : PROPERTY, it.key), it.val);
    }
}

static void note_before(struct part *p, struct json v) { p->before = v; }

static void note_after(struct part *p, struct json v)
{
    p->after = v;
    p->touched = true;
}

void change_write(struct change *c, struct json before, struct json after, bool merge)
{
    hold(c, before);
    hold(c, after);
    if (!c->known)
        c->exists = c->there = before.v != NULL;
    c->known = true;
    each(c, before, note_before);
    if (c->there && !merge) { /* what it does not name is gone */
        c->replaced = true;
        for (size_t i = 0; i < c->n; i++)
            c->parts[i].after = JSON_NONE;
    }
    each(c, after, note_after);
    c->there = true;
}

/* Values ----------------------------------------------------------------------------------------------------------- */

static bool is_blank(struct json v)
{
    switch (json_type(v)) {
    case JSON_MISSING:
    case JSON_NULL:
    case JSON_FALSE: return true;
    case JSON_STRING: return json_str(v).n == 0;
    case JSON_ARRAY:
    case JSON_OBJECT: return json_len(v) == 0;
    default: return false;
    }
}

static int by_bytes(struct str a, struct str b)
{
    int c = memcmp(a.p ? a.p : "", b.p ? b.p : "", a.n < b.n ? a.n : b.n);
    return c ? c : a.n < b.n ? -1 : a.n > b.n;
}

static int by_text(const void *x, const void *y) { return by_bytes(*(const struct str *)x, *(const struct str *)y); }

/* Canonical texts of the elements, sorted; a value that is no list is a list of one, null one of none. */
static size_t sorted_elements(struct json list, struct str **ret)
{
    size_t n = json_is_arr(list) ? json_len(list) : !json_is_nil(list), i = 0;
    struct str *texts = xcalloc(n + 1, sizeof(*texts));
    struct json_iter it = json_iter(list);
    for (; i < n; i++) {
        struct buf one;
        buf_init(&one, BUF_NO_LIMIT);
        if (json_is_arr(list))
            json_next(&it);
        json_canonical(&one, json_is_arr(list) ? it.val : list);
        size_t len;
        texts[i].p = buf_take(&one, &len);
        texts[i].n = len;
    }
    qsort(texts, n, sizeof(*texts), by_text);
    *ret = texts;
    return n;
}

static void free_elements(struct str *texts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free((char *)(uintptr_t)texts[i].p);
    free(texts);
}

/* The elements of a that b does not have as often. */
static void write_surplus(struct jw *w, const struct str *a, size_t n, const struct str *b, size_t m)
{
    jw_arr(w);
    for (size_t i = 0, k = 0; i < n; i++) {
        while (k < m && by_bytes(b[k], a[i]) < 0)
            k++;
        if (k < m && by_bytes(b[k], a[i]) == 0)
            k++;
        else
            jw_raw(w, a[i]);
    }
    jw_end_arr(w);
}

static void write_elements(struct jw *w, const struct str *texts, size_t n)
{
    jw_arr(w);
    for (size_t i = 0; i < n; i++)
        jw_raw(w, texts[i]);
    jw_end_arr(w);
}

static void write_canonical(struct jw *w, struct json v)
{
    struct buf text;
    buf_init(&text, BUF_NO_LIMIT);
    json_canonical(&text, v);
    jw_raw(w, buf_str(&text));
    buf_done(&text);
}

static struct jw begin_field(struct buf *out, size_t *more, struct str path)
{
    struct jw w = jw_on(out);
    if ((*more)++)
        buf_addc(out, ',');
    jw_obj(&w);
    jw_key_c(&w, "path");
    jw_str(&w, path);
    return w;
}

static void write_side(struct jw *w, const char *side, struct json v)
{
    if (!v.v)
        return;
    jw_key(w, str_of(side));
    write_canonical(w, v);
}

/* sorted: the order of elements does not count, so it must not show either. */
static void write_lists(struct jw *w, struct json before, struct json after, bool sorted)
{
    struct str *a, *b;
    size_t n = sorted_elements(before, &a), m = sorted_elements(after, &b);
    jw_key_c(w, "before");
    if (sorted)
        write_elements(w, a, n);
    else
        write_canonical(w, before);
    jw_key_c(w, "after");
    if (sorted)
        write_elements(w, b, m);
    else
        write_canonical(w, after);
    jw_key_c(w, "added");
    write_surplus(w, b, m, a, n);
    jw_key_c(w, "removed");
    write_surplus(w, a, n, b, m);
    free_elements(a, n);
    free_elements(b, m);
}

static bool is_query(struct json v)
{
    return json_is_obj(v) && json_get_c(v, "combinator").v && json_get_c(v, "rules").v;
}

void change_path(struct buf *path, struct str name)
{
    bool plain = name.n > 0;
    for (size_t i = 0; i < name.n; i++)
        plain &= (unsigned char)name.p[i] > ' ' && name.p[i] != '.' && name.p[i] != '"';
    if (path->n)
        buf_addc(path, '.');
    if (plain)
        buf_addstr(path, name);
    else
        json_quote(path, name);
}

struct walk {
    struct buf *out;
    size_t *more;
    struct buf path;
    bool blank;
};

static void compare(struct walk *k, struct json before, struct json after, int depth);

static int by_key(const void *x, const void *y) { return by_bytes(*(const struct str *)x, *(const struct str *)y); }

static void compare_members(struct walk *k, struct json before, struct json after, int depth)
{
    size_t n = 0, length = k->path.n;
    struct str *keys = xcalloc(json_len(before) + json_len(after) + 1, sizeof(*keys));
    for (struct json_iter it = json_iter(before); json_next(&it);)
        keys[n++] = it.key;
    for (struct json_iter it = json_iter(after); json_next(&it);)
        keys[n++] = it.key;
    qsort(keys, n, sizeof(*keys), by_key);
    for (size_t i = 0; i < n; i++) {
        if (i && str_eq(keys[i - 1], keys[i]))
            continue;
        change_path(&k->path, keys[i]);
        compare(k, json_get(before, keys[i]), json_get(after, keys[i]), depth + 1);
        k->path.n = length;
    }
    free(keys);
}

static void compare(struct walk *k, struct json before, struct json after, int depth)
{
    if (k->blank && is_blank(before) && is_blank(after))
        return;
    if (json_equal(before, after))
        return;
    if (json_is_obj(before) && json_is_obj(after) && depth < DEPTH_MAX) {
        compare_members(k, before, after, depth);
        return;
    }
    struct jw w = begin_field(k->out, k->more, buf_str(&k->path));
    if (json_is_arr(before) && json_is_arr(after)) {
        write_lists(&w, before, after, false);
    } else {
        write_side(&w, "before", before);
        write_side(&w, "after", after);
    }
    jw_end_obj(&w);
}

void change_values(struct buf *out, size_t *more, const char *path, struct json before, struct json after,
                   bool blank_is_absent)
{
    struct walk k = {.out = out, .more = more, .blank = blank_is_absent};
    buf_init(&k.path, BUF_NO_LIMIT);
    buf_adds(&k.path, path);
    compare(&k, before, after, 0);
    buf_done(&k.path);
}

/* Entities --------------------------------------------------------------------------------------------------------- */

static bool defined(const struct schema *schema, const struct part *p)
{
    if (!schema || !json_is_obj(schema->blueprint))
        return true;
    if (p->group == PROPERTY)
        return schema_defines(schema, p->name);
    return p->group != RELATION || schema_target(schema, p->name).p != NULL;
}

static void write_part(const struct part *p, struct buf *out, size_t *more)
{
    struct buf path;
    buf_init(&path, BUF_NO_LIMIT);
    if (p->group != SINGLE)
        buf_adds(&path, p->group == PROPERTY ? "properties" : "relations");
    change_path(&path, p->name);
    struct json before = json_is_nil(p->before) ? JSON_NONE : p->before,
                after = json_is_nil(p->after) ? JSON_NONE : p->after;
    bool team = p->group == SINGLE && str_is(p->name, "team");
    if (p->group != PROPERTY && is_query(after)) {
        struct jw w = begin_field(out, more, buf_str(&path));
        write_side(&w, "before", before);
        jw_key_c(&w, "search");
        write_canonical(&w, after);
        jw_end_obj(&w);
    } else if (team || (p->group == RELATION && json_is_arr(before) != json_is_arr(after) && before.v && after.v)) {
        struct jw w = begin_field(out, more, buf_str(&path));
        write_lists(&w, before, after, true);
        jw_end_obj(&w);
    } else {
        change_values(out, more, buf_cstr(&path), before, after, false);
    }
    buf_done(&path);
}

/* A single value where Port keeps a list is a list of one. */
static bool same_relation(struct json a, struct json b)
{
    if (json_is_arr(a) && json_is_str(b))
        return json_len(a) == 1 && json_equal(json_at(a, 0), b);
    if (json_is_str(a) && json_is_arr(b))
        return same_relation(b, a);
    return json_equal(a, b);
}

static bool differs(const struct change *c, const struct part *p, const struct schema *schema)
{
    if (!p->touched && !c->replaced)
        return false;
    if (p->group == SINGLE && str_is(p->name, "team"))
        return !entity_same_team(p->before, p->after);
    if (json_is_nil(p->before) && json_is_nil(p->after))
        return false;
    if (json_is_nil(p->before) && !defined(schema, p))
        return false;
    return !(p->group == RELATION ? same_relation(p->before, p->after) : json_equal(p->before, p->after));
}

static int by_part(const void *x, const void *y)
{
    const struct part *a = *(const struct part *const *)x, *b = *(const struct part *const *)y;
    if (a->group != b->group) /* title, icon, team before or behind the others, as their paths sort */
        return a->group < b->group ? -1 : 1;
    return by_bytes(a->name, b->name);
}

size_t change_fields(const struct change *c, const struct schema *schema, struct buf *out)
{
    const struct part **list = xcalloc(c->n + 1, sizeof(*list));
    size_t n = 0, fields = 0;
    for (size_t i = 0; i < c->n; i++)
        if (differs(c, &c->parts[i], schema))
            list[n++] = &c->parts[i];
    qsort(list, n, sizeof(*list), by_part);
    for (size_t i = 0; i < n; i++)
        write_part(list[i], out, &fields);
    free(list);
    return fields;
}
