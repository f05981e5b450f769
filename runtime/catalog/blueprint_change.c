/* A definition that changes while entities exist. A property keeps its type and format (P-107); what is no longer
 * defined loses its values, without touching the entities' instants (P-108). */
#include "catalog/blueprint.h"
#include "catalog/entity.h"
#include "catalog/refs.h"

#include "json/write.h"

static struct json definition(struct json blueprint, struct str name)
{
    return json_get(json_get_c(json_get_c(blueprint, "schema"), "properties"), name);
}

int blueprint_check_change(struct core *k, const struct blueprint *old, struct json now, struct refusal *r)
{
    static const struct {
        const char *key, *error;
    } fixed[] = {{"type", "forbidden_type_change"}, {"format", "forbidden_format_change"}};
    int64_t count = -1;
    for (size_t i = 0; i < old->nproperties; i++) {
        struct str name = old->properties[i].name;
        struct json before = definition(json_root(old->doc), name), after = definition(now, name);
        for (size_t f = 0; after.v && f < 2; f++) {
            struct str a = json_str(json_get(before, str_of(fixed[f].key))),
                       b = json_str(json_get(after, str_of(fixed[f].key)));
            if (str_eq(a, b))
                continue;
            if (count < 0 && blueprint_count(k, old, &count, r) < 0)
                return -1;
            if (count == 0)
                return 0;
            refuse(r, 422, fixed[f].error, "The %s of property \"%.*s\" cannot change while entities exist",
                   fixed[f].key, STR_FMT(name));
            return refuse_detail(r, "property", name);
        }
    }
    return 0;
}

/* Is the relation gone, or does it mean something else now? */
static bool relation_ended(const struct relation *old, struct json now)
{
    struct json rel = json_get(json_get_c(now, "relations"), old->name);
    return !rel.v || !str_eq(json_str(json_get_c(rel, "target")), old->target) ||
           json_is_true(json_get_c(rel, "many")) != old->many;
}

static bool something_ended(const struct blueprint *old, struct json now)
{
    for (size_t i = 0; i < old->nproperties; i++)
        if (!definition(now, old->properties[i].name).v)
            return true;
    for (size_t i = 0; i < old->nrelations; i++)
        if (relation_ended(&old->relations[i], now))
            return true;
    return false;
}

static bool keep_property(const struct blueprint *old, struct json now, struct str name)
{
    return blueprint_property(old, name, 0) < 0 || definition(now, name).v;
}

static bool keep_relation(const struct blueprint *old, struct json now, struct str name)
{
    ptrdiff_t i = blueprint_relation(old, name);
    return i < 0 || !relation_ended(&old->relations[i], now);
}

static void write_body(struct row *row, const struct blueprint *old, struct json now, struct buf *out)
{
    struct jw w = jw_on(out);
    jw_obj(&w);
    for (struct json_iter it = json_iter(row_body(row)); json_next(&it);) {
        jw_key(&w, it.key);
        if (!str_is(it.key, "properties")) {
            jw_json(&w, it.val);
            continue;
        }
        jw_obj(&w);
        for (struct json_iter p = json_iter(it.val); json_next(&p);) {
            if (!keep_property(old, now, p.key))
                continue;
            jw_key(&w, p.key);
            jw_json(&w, p.val);
        }
        jw_end_obj(&w);
    }
    jw_end_obj(&w);
}

static void write_rel(struct row *row, const struct blueprint *old, struct json now, struct buf *out)
{
    struct jw w = jw_on(out);
    jw_obj(&w);
    for (struct json_iter it = json_iter(row_rel(row)); json_next(&it);) {
        if (!keep_relation(old, now, it.key))
            continue;
        jw_key(&w, it.key);
        jw_json(&w, it.val);
    }
    jw_end_obj(&w);
}

static int rewrite(struct core *k, int64_t id, const struct blueprint *old, struct json now, struct refusal *r)
{
    struct arena *a = arena_new(0);
    struct row row = {0};
    struct buf body, rel;
    struct json_doc *rel_now = NULL;
    buf_init(&body, LIMIT_ANSWER);
    buf_init(&rel, LIMIT_ANSWER);
    int rc = row_by_id(k, id, a, &row, r);
    if (rc > 0) {
        write_body(&row, old, now, &body);
        write_rel(&row, old, now, &rel);
        rc = json_parse(buf_str(&rel), &rel_now, NULL);
        rc = rc < 0 ? refuse(r, 500, "internal_error", "a rewritten entity is not JSON")
                    : refs_update(k, old, id, row_rel(&row), json_root(rel_now), r);
        if (rc == 0)
            rc = row_rewrite(k, id, buf_str(&rel), buf_str(&body), r);
    }
    json_unref(rel_now);
    row_done(&row);
    buf_done(&body);
    buf_done(&rel);
    arena_free(a);
    return rc;
}

int blueprint_apply_change(struct core *k, const struct blueprint *old, struct json now, struct refusal *r)
{
    if (!something_ended(old, now))
        return 0;
    struct ids ids = {0};
    int rc = ids_of_blueprint(k, old->id, &ids, r);
    for (size_t i = 0; rc == 0 && i < ids.n; i++)
        rc = rewrite(k, ids.p[i], old, now, r);
    ids_done(&ids);
    return rc;
}
