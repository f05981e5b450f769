/* Relation values of an entity that is being written (port-api 11.3). Nothing is written here: targets that are missing
 * and may be made are collected, so that an entity refused later leaves no trace. */
#include "catalog/search.h"
#include "catalog/write.h"

#include <string.h>

#include "json/write.h"

#define MANY_MAX 100

struct hits {
    struct arena *arena;
    struct str *list;
    size_t n, max;
};

static int add_hit(void *arg, const struct blueprint *b, struct row *row, struct refusal *r)
{
    struct hits *h = arg;
    (void)b;
    (void)r;
    h->list[h->n++] = arena_str(h->arena, row->identifier);
    return h->n > h->max;
}

int reference_search(struct core *k, const struct blueprint *b, struct json query, size_t max, struct arena *a,
                     struct str **ret, size_t *ret_n, struct refusal *r)
{
    struct query *q = query_compile(k, a, query, QUERY_REFERENCE, r);
    if (!q)
        return -1;
    struct hits h = {a, arena_alloc(a, (max + 1) * sizeof(struct str)), 0, max};
    if (query_run(k, q, b, true, add_hit, &h, r) < 0)
        return -1;
    *ret = h.list;
    *ret_n = h.n;
    return 0;
}

struct resolver {
    struct core *k;
    const struct blueprint *own;
    struct str identifier;
    const struct write_options *o;
    struct arena *a;
    struct resolved *out;
    struct refusal *r;
};

static void add_missing(struct resolver *v, const struct blueprint *b, struct str identifier)
{
    struct resolved *s = v->out;
    for (size_t i = 0; i < s->nmissing; i++)
        if (s->missing[i].blueprint == b && str_eq(s->missing[i].identifier, identifier))
            return;
    if (s->nmissing == s->cap_missing) {
        size_t cap = s->cap_missing ? s->cap_missing * 2 : 8;
        struct target *more = arena_alloc(v->a, cap * sizeof(*more));
        if (s->nmissing)
            memcpy(more, s->missing, s->nmissing * sizeof(*more));
        s->missing = more;
        s->cap_missing = cap;
    }
    s->missing[s->nmissing++] = (struct target){b, identifier};
}

static int check_target(struct resolver *v, const struct blueprint *target, struct json value, const struct where *at)
{
    if (!json_is_str(value))
        return refuse_at(v->r, at, "must be string");
    struct str id = json_str(value);
    if (v->o->no_checks)
        return 0;
    if (!entity_identifier_ok(id))
        return refuse_at(v->r, at, "must be an identifier, not \"%.*s\"", STR_FMT(id));
    if (target->id == v->own->id && str_eq(id, v->identifier)) /* itself (P-145) */
        return 0;
    int64_t number = row_number(v->k, target->id, id, v->r);
    if (number < 0)
        return -1;
    if (number == 0 && !v->o->create_missing)
        return refuse_no_entity(v->r, id, target->identifier);
    bool system = str_is(target->identifier, "_user") || str_is(target->identifier, "_team");
    if (number == 0 && system && v->k->strict)
        return refuse(v->r, 422, "protected_resource", "Entities of \"%.*s\" are not created by relations",
                      STR_FMT(target->identifier));
    if (number == 0)
        add_missing(v, target, id);
    return 0;
}

static int resolve_query(struct resolver *v, const struct relation *rel, const struct blueprint *target,
                         struct json query, const struct where *at, struct jw *w, bool *ret_has)
{
    struct str *hits;
    size_t n, max = rel->many ? MANY_MAX : 1;
    if (reference_search(v->k, target, query, max, v->a, &hits, &n, v->r) < 0)
        return -1;
    if (n > max)
        return refuse_at(v->r, at, rel->many ? "matches more than 100 entities" : "matches more than one entity");
    *ret_has = n > 0;
    if (!rel->many) {
        if (n)
            jw_str(w, hits[0]);
        else
            jw_null(w);
        return 0;
    }
    jw_arr(w);
    for (size_t i = 0; i < n; i++)
        jw_str(w, hits[i]);
    jw_end_arr(w);
    return 0;
}

static int resolve_list(struct resolver *v, const struct blueprint *target, struct json value, const struct where *at,
                        struct jw *w)
{
    size_t i = 0;
    jw_arr(w);
    for (struct json_iter it = json_iter(value); json_next(&it); i++) {
        struct where here = {at, STR_NULL, i};
        if (check_target(v, target, it.val, &here) < 0)
            return -1;
        jw_json(w, it.val);
    }
    jw_end_arr(w);
    return 0;
}

static int resolve_one(struct resolver *v, const struct relation *rel, struct json value, struct jw *w, bool *ret_has)
{
    struct where top = {NULL, STR("relations"), 0}, at = {&top, rel->name, 0};
    *ret_has = false;
    if (json_is_null(value)) {
        jw_null(w);
        return 0;
    }
    const struct blueprint *target = blueprint_find(v->k, rel->target, v->r);
    if (!target)
        return -1;
    if (json_is_obj(value))
        return resolve_query(v, rel, target, value, &at, w, ret_has);
    *ret_has = !json_is_arr(value) || json_len(value) > 0;
    if (rel->many && json_is_arr(value))
        return resolve_list(v, target, value, &at, w);
    if (json_is_arr(value))
        return refuse_at(v->r, &at, "must be string: the relation is not many");
    if (check_target(v, target, value, &at) < 0)
        return -1;
    if (rel->many)
        jw_arr(w);
    jw_json(w, value);
    if (rel->many)
        jw_end_arr(w);
    return 0;
}

int relations_resolve(struct core *k, const struct blueprint *b, struct str identifier, struct json relations,
                      const struct write_options *o, struct arena *a, struct resolved *ret, struct refusal *r)
{
    struct resolver v = {k, b, identifier, o, a, ret, r};
    *ret = (struct resolved){0};
    ret->given = arena_zalloc(a, (b->nrelations + 1) * sizeof(*ret->given));
    ret->text = arena_zalloc(a, (b->nrelations + 1) * sizeof(*ret->text));
    ret->has_target = arena_zalloc(a, b->nrelations + 1);
    if (!json_is_nil(relations) && !json_is_obj(relations))
        return refuse_invalid(r, "\"relations\" must be object");
    for (struct json_iter it = json_iter(relations); json_next(&it);) {
        ptrdiff_t i = blueprint_relation(b, it.key); /* unknown names are ignored (P-146) */
        if (i >= 0)
            ret->given[i] = it.val;
    }
    struct buf text;
    int rc = 0;
    buf_init(&text, LIMIT_ANSWER);
    for (size_t i = 0; rc == 0 && i < b->nrelations; i++) {
        if (!ret->given[i].v)
            continue;
        buf_reset(&text);
        struct jw w = jw_on(&text);
        rc = resolve_one(&v, &b->relations[i], ret->given[i], &w, &ret->has_target[i]);
        if (rc == 0)
            ret->text[i] = arena_str(a, buf_str(&text));
    }
    buf_done(&text);
    return rc;
}
