/* An entity as it is answered. The whole entity is spliced from the stored texts without parsing them; a projection
 * names parts, and only what was named is in the answer (port-api P-168): an uninvited member would make a client see a
 * change. */
#include "catalog/entity.h"
#include "catalog/owners.h"

#include <string.h>

#include "base/mem.h"
#include "json/write.h"

enum {
    PART_IDENTIFIER = 1,
    PART_BLUEPRINT = 2,
    PART_TITLE = 4,
    PART_ICON = 8,
    PART_TEAM = 16,
    PART_CREATED_AT = 32,
    PART_CREATED_BY = 64,
    PART_UPDATED_AT = 128,
    PART_UPDATED_BY = 256,
    PART_PROPERTIES = 512,
    PART_RELATIONS = 1024,
};

static const struct {
    const char *name;
    unsigned part;
} parts[] = {
    {"identifier", PART_IDENTIFIER},
    {"blueprint", PART_BLUEPRINT},
    {"title", PART_TITLE},
    {"icon", PART_ICON},
    {"team", PART_TEAM},
    {"createdAt", PART_CREATED_AT},
    {"createdBy", PART_CREATED_BY},
    {"updatedAt", PART_UPDATED_AT},
    {"updatedBy", PART_UPDATED_BY},
    {"properties", PART_PROPERTIES},
    {"relations", PART_RELATIONS},
};

void projection_all(struct projection *p, struct arena *a) { *p = (struct projection){.all = true, .arena = a}; }

static void append(struct projection *p, struct str **list, size_t *n, struct str name)
{
    if ((*n & (*n + 1)) == 0) { /* 0, 1, 3, 7 ...: full */
        struct str *more = arena_alloc(p->arena, (2 * *n + 1) * sizeof(*more));
        if (*n)
            memcpy(more, *list, *n * sizeof(*more));
        *list = more;
    }
    (*list)[(*n)++] = name;
}

void projection_include(struct projection *p, struct str name)
{
    p->all = false;
    if (str_starts(name, STR("properties."))) {
        p->parts |= PART_PROPERTIES;
        append(p, &p->properties, &p->nproperties, (struct str){name.p + 11, name.n - 11});
        return;
    }
    if (str_starts(name, STR("relations."))) {
        p->parts |= PART_RELATIONS;
        append(p, &p->relations, &p->nrelations, (struct str){name.p + 10, name.n - 10});
        return;
    }
    struct str plain = name.n && name.p[0] == '$' ? (struct str){name.p + 1, name.n - 1} : name;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (str_is(plain, parts[i].name)) {
            p->parts |= parts[i].part;
            p->all_properties |= parts[i].part == PART_PROPERTIES;
            p->all_relations |= parts[i].part == PART_RELATIONS;
            return;
        }
    }
    if (p->bare_names) {
        p->parts |= PART_PROPERTIES | PART_RELATIONS;
        append(p, &p->properties, &p->nproperties, name);
        append(p, &p->relations, &p->nrelations, name);
    }
}

void projection_exclude(struct projection *p, struct str name)
{
    append(p, &p->excluded, &p->nexcluded, name.n && name.p[0] == '$' ? (struct str){name.p + 1, name.n - 1} : name);
}

bool projection_is_slim(const struct projection *p)
{
    return !p->all && !(p->parts & (PART_TITLE | PART_ICON | PART_TEAM | PART_PROPERTIES));
}

static bool excluded(const struct projection *p, const char *prefix, struct str name)
{
    size_t n = strlen(prefix);
    for (size_t i = 0; i < p->nexcluded; i++) {
        struct str x = p->excluded[i];
        if (n && p->bare_names && str_eq(x, name))
            return true;
        if (x.n == n + name.n && memcmp(x.p, prefix, n) == 0 && memcmp(x.p + n, name.p, name.n) == 0)
            return true;
    }
    return false;
}

static bool wanted(const struct projection *p, unsigned part)
{
    if (!p->all && !(p->parts & part))
        return false;
    for (size_t i = 0; p->nexcluded && i < ARRAY_LEN(parts); i++)
        if (parts[i].part == part)
            return !excluded(p, "", str_of(parts[i].name));
    return true;
}

static void write_owner(struct core *k, const struct row *row, struct jw *w)
{
    jw_key_c(w, "$datasource");
    owners_write(w, dict_text(k, k->datasources, row->datasource));
}

/* The common case: nothing to leave out, nothing to look into. */
static void splice(struct core *k, const struct blueprint *b, const struct row *row, const struct projection *p,
                   struct buf *out)
{
    struct jw w = jw_on(out);
    jw_obj(&w);
    jw_key_c(&w, "identifier");
    jw_str(&w, row->identifier);
    jw_key_c(&w, "blueprint");
    jw_str(&w, b->identifier);
    if (row->body.n > 2) {
        buf_addc(out, ',');
        buf_add(out, row->body.p + 1, row->body.n - 2);
    }
    jw_key_c(&w, "relations");
    jw_raw(&w, row->rel);
    jw_key_c(&w, "createdAt");
    jw_instant(&w, row->created_at);
    jw_key_c(&w, "createdBy");
    jw_str(&w, dict_text(k, k->clients, row->created_by));
    jw_key_c(&w, "updatedAt");
    jw_instant(&w, row->updated_at);
    jw_key_c(&w, "updatedBy");
    jw_str(&w, dict_text(k, k->clients, row->updated_by));
    if (p->datasource)
        write_owner(k, row, &w);
    jw_end_obj(&w);
}

/* One relation value with titles attached (P-171). */
static int write_titled(struct core *k, struct jw *w, struct json v, const struct blueprint *target, struct arena *a,
                        struct refusal *r)
{
    if (!json_is_str(v)) {
        jw_json(w, v);
        return 0;
    }
    struct row other = {0};
    int rc = target ? row_find(k, target->id, json_str(v), a, &other, r) : 0;
    if (rc < 0)
        return -1;
    jw_obj(w);
    jw_key_c(w, "identifier");
    jw_json(w, v);
    jw_key_c(w, "title");
    struct json title = rc ? json_get_c(row_body(&other), "title") : JSON_NONE;
    jw_json(w, title);
    jw_end_obj(w);
    row_done(&other);
    return 0;
}

static int write_relation_value(struct core *k, const struct blueprint *b, struct jw *w, struct str name, struct json v,
                                const struct projection *p, struct refusal *r)
{
    if (!p->titles) {
        jw_json(w, v);
        return 0;
    }
    ptrdiff_t at = blueprint_relation(b, name);
    struct refusal ignored;
    const struct blueprint *target = at < 0 ? NULL : blueprint_find(k, b->relations[at].target, &ignored);
    if (!json_is_arr(v))
        return write_titled(k, w, v, target, p->arena, r);
    jw_arr(w);
    for (struct json_iter it = json_iter(v); json_next(&it);)
        if (write_titled(k, w, it.val, target, p->arena, r) < 0)
            return -1;
    jw_end_arr(w);
    return 0;
}

/* A name that is defined but unset is null; one that is neither defined nor stored is left out (P-169). */
static void write_properties(const struct blueprint *b, struct json all, const struct projection *p, struct jw *w)
{
    jw_key_c(w, "properties");
    jw_obj(w);
    if (p->all || p->all_properties) {
        for (struct json_iter it = json_iter(all); json_next(&it);) {
            if (excluded(p, "properties.", it.key))
                continue;
            jw_key(w, it.key);
            jw_json(w, it.val);
        }
    } else {
        for (size_t i = 0; i < p->nproperties; i++) {
            struct str name = p->properties[i];
            struct json v = json_get(all, name);
            if ((!v.v && blueprint_property(b, name, i) < 0) || excluded(p, "properties.", name))
                continue;
            jw_key(w, name);
            jw_json(w, v);
        }
    }
    jw_end_obj(w);
}

static int write_relations(struct core *k, const struct blueprint *b, struct json all, const struct projection *p,
                           struct jw *w, struct refusal *r)
{
    int rc = 0;
    jw_key_c(w, "relations");
    jw_obj(w);
    if (p->all || p->all_relations) {
        for (struct json_iter it = json_iter(all); rc == 0 && json_next(&it);) {
            if (excluded(p, "relations.", it.key))
                continue;
            jw_key(w, it.key);
            rc = write_relation_value(k, b, w, it.key, it.val, p, r);
        }
    } else {
        for (size_t i = 0; rc == 0 && i < p->nrelations; i++) {
            struct str name = p->relations[i];
            struct json v = json_get(all, name);
            if ((!v.v && blueprint_relation(b, name) < 0) || excluded(p, "relations.", name))
                continue;
            jw_key(w, name);
            rc = write_relation_value(k, b, w, name, v, p, r);
        }
    }
    jw_end_obj(w);
    return rc;
}

static void write_meta(struct core *k, const struct row *row, const struct projection *p, struct jw *w)
{
    if (wanted(p, PART_CREATED_AT)) {
        jw_key_c(w, "createdAt");
        jw_instant(w, row->created_at);
    }
    if (wanted(p, PART_CREATED_BY)) {
        jw_key_c(w, "createdBy");
        jw_str(w, dict_text(k, k->clients, row->created_by));
    }
    if (wanted(p, PART_UPDATED_AT)) {
        jw_key_c(w, "updatedAt");
        jw_instant(w, row->updated_at);
    }
    if (wanted(p, PART_UPDATED_BY)) {
        jw_key_c(w, "updatedBy");
        jw_str(w, dict_text(k, k->clients, row->updated_by));
    }
    if (p->datasource)
        write_owner(k, row, w);
}

static void write_member(struct jw *w, struct json body, struct str key)
{
    jw_key(w, key);
    jw_json(w, json_get(body, key));
}

int entity_write_json(struct core *k, const struct blueprint *b, struct row *row, const struct projection *p,
                      struct buf *out, struct refusal *r)
{
    if (p->all && !p->nexcluded && !p->titles) {
        splice(k, b, row, p, out);
        return 0;
    }
    struct jw w = jw_on(out);
    jw_obj(&w);
    if (wanted(p, PART_IDENTIFIER)) {
        jw_key_c(&w, "identifier");
        jw_str(&w, row->identifier);
    }
    if (wanted(p, PART_BLUEPRINT)) {
        jw_key_c(&w, "blueprint");
        jw_str(&w, b->identifier);
    }
    if (wanted(p, PART_TITLE))
        write_member(&w, row_body(row), STR("title"));
    if (wanted(p, PART_ICON))
        write_member(&w, row_body(row), STR("icon"));
    if (wanted(p, PART_TEAM))
        write_member(&w, row_body(row), STR("team"));
    if (wanted(p, PART_PROPERTIES))
        write_properties(b, json_get_c(row_body(row), "properties"), p, &w);
    if (wanted(p, PART_RELATIONS)) {
        if ((p->all || p->all_relations) && !p->nexcluded && !p->titles) {
            jw_key_c(&w, "relations");
            jw_raw(&w, row->rel);
        } else if (write_relations(k, b, row_rel(row), p, &w, r) < 0) {
            return -1;
        }
    }
    write_meta(k, row, p, &w);
    jw_end_obj(&w);
    return 0;
}
