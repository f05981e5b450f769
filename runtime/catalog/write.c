/* Writing one entity: everything is read and checked first, then everything is written, so that a refused entity leaves
 * no trace and a bulk needs no savepoint per entity. The stored texts list properties and relations in the order of
 * their definitions: a repeated write gives the same bytes, and "unchanged" is usually a comparison of bytes. */
#include "catalog/write.h"
#include "catalog/owners.h"
#include "catalog/refs.h"

#include <string.h>

#include "base/mem.h"
#include "json/compare.h"
#include "json/write.h"

#define TEAM_MAX 1000

struct draft {
    struct core *k;
    const struct blueprint *b;
    struct json in;
    const struct write_options *o;
    struct arena *a;
    struct refusal *r;
    struct written *out;
    bool exists, keep_old; /* keep_old: merging into what exists */
    struct row old;
    struct json *values; /* per property: the value to store, or missing */
    struct json *extra;  /* undefined properties, in keep mode */
    struct str *extra_names;
    size_t nextra;
    struct resolved rel;
    struct json title, icon, team;
    struct str *team_hits; /* of a team query */
    size_t nteam_hits;
    bool team_query;
};

/* Identity ------------------------------------------------------------------------------------------------------ */

static int identify_by_query(struct draft *d, struct json query)
{
    struct str *hits;
    size_t n;
    d->out->by_query = true;
    if (reference_search(d->k, d->b, query, 1, d->a, &hits, &n, d->r) < 0)
        return -1;
    if (n == 0)
        return refuse(d->r, 404, "not_found", "No entity of the blueprint \"%.*s\" matches the identifier's query",
                      STR_FMT(d->b->identifier));
    if (n > 1)
        return refuse_invalid(d->r, "\"identifier\" matches more than one entity");
    d->out->identifier = hits[0];
    return 0;
}

static int identify(struct draft *d)
{
    struct json id = json_get_c(d->in, "identifier");
    if (json_is_obj(id))
        return identify_by_query(d, id);
    if (json_is_nil(id)) {
        char *text = arena_alloc(d->a, 19);
        memcpy(text, "e_", 2);
        random_id(text + 2, 16);
        d->out->identifier = (struct str){text, 18};
        return 0;
    }
    if (!json_is_str(id))
        return refuse_invalid(d->r, "\"identifier\" must be string");
    d->out->identifier = json_str(id);
    if (!d->o->no_checks && !entity_identifier_ok(d->out->identifier))
        return refuse_invalid(d->r,
                              "\"identifier\" must be 1 to 1000 letters, digits or @ _ . + : \\ / = ' -, not \"%.*s\"",
                              (int)(d->out->identifier.n > 200 ? 200 : d->out->identifier.n), d->out->identifier.p);
    return 0;
}

static int find_old(struct draft *d)
{
    int rc = row_find(d->k, d->b->id, d->out->identifier, d->a, &d->old, d->r);
    if (rc < 0)
        return -1;
    d->exists = rc > 0;
    d->keep_old = d->exists && d->o->merge;
    if (d->exists && !d->o->upsert) {
        refuse(d->r, 409, "identifier_taken",
               "Entity with identifier \"%.*s\" already exists in the blueprint \"%.*s\"", STR_FMT(d->out->identifier),
               STR_FMT(d->b->identifier));
        return refuse_detail(d->r, "identifier", d->out->identifier);
    }
    if (!d->exists && (d->o->must_exist || d->out->by_query))
        return refuse_no_entity(d->r, d->out->identifier, d->b->identifier);
    return 0;
}

/* Title, icon, team --------------------------------------------------------------------------------------------- */

static int pick_text(struct draft *d, struct str key, struct json *ret)
{
    struct json v = json_get(d->in, key);
    if (v.v && !json_is_str(v) && !json_is_null(v))
        return refuse_invalid(d->r, "\"%.*s\" must be string", STR_FMT(key));
    *ret = v.v || !d->keep_old ? v : json_get(row_body(&d->old), key);
    return 0;
}

static int check_team(struct draft *d, struct json name)
{
    if (!json_is_str(name))
        return refuse_invalid(d->r, "\"team\" must be string or array of strings");
    if (!d->k->strict_teams || d->o->no_checks)
        return 0;
    struct blueprint *teams = blueprint_find(d->k, STR("_team"), d->r);
    int64_t id = teams ? row_number(d->k, teams->id, json_str(name), d->r) : -1;
    return id > 0 ? 0 : id < 0 ? -1 : refuse_no_entity(d->r, json_str(name), STR("_team"));
}

static int pick_team(struct draft *d)
{
    struct json v = json_get_c(d->in, "team");
    d->team = v.v || !d->keep_old ? v : json_get_c(row_body(&d->old), "team");
    if (json_is_nil(v))
        return 0;
    if (json_is_str(v))
        return check_team(d, v);
    if (json_is_obj(v)) {
        struct blueprint *teams = blueprint_find(d->k, STR("_team"), d->r);
        d->team_query = true;
        return teams ? reference_search(d->k, teams, v, TEAM_MAX, d->a, &d->team_hits, &d->nteam_hits, d->r) : -1;
    }
    if (!json_is_arr(v))
        return refuse_invalid(d->r, "\"team\" must be string or array of strings");
    for (struct json_iter it = json_iter(v); json_next(&it);)
        if (check_team(d, it.val) < 0)
            return -1;
    return 0;
}

static void write_team(struct draft *d, struct jw *w)
{
    jw_key_c(w, "team");
    if (!d->team_query && json_is_arr(d->team)) {
        jw_json(w, d->team);
        return;
    }
    jw_arr(w);
    if (!d->team_query && json_is_str(d->team))
        jw_json(w, d->team);
    for (size_t i = 0; i < d->nteam_hits; i++)
        jw_str(w, d->team_hits[i]);
    jw_end_arr(w);
}

/* Properties ---------------------------------------------------------------------------------------------------- */

static int unknown_property(struct draft *d, struct str name, struct json v)
{
    if (d->k->unknown == UNKNOWN_REJECT) {
        refuse_invalid(d->r, "\"properties\" must not have the additional property '%.*s'", STR_FMT(name));
        return refuse_detail(d->r, "property", name);
    }
    atomic_fetch_add_explicit(&d->k->dropped_properties, d->k->unknown == UNKNOWN_DROP, memory_order_relaxed);
    if (d->k->unknown == UNKNOWN_DROP)
        return 0;
    for (size_t i = 0; i < d->nextra; i++) {
        if (str_eq(d->extra_names[i], name)) {
            d->extra[i] = v;
            return 0;
        }
    }
    d->extra_names[d->nextra] = name;
    d->extra[d->nextra++] = v;
    return 0;
}

/* What is kept of the entity as it was: undefined properties too, in keep mode. */
static void take_old(struct draft *d)
{
    size_t hint = 0;
    for (struct json_iter it = json_iter(json_get_c(row_body(&d->old), "properties")); json_next(&it); hint++) {
        ptrdiff_t i = blueprint_property(d->b, it.key, hint);
        if (i >= 0)
            d->values[i] = it.val;
        else if (d->k->unknown == UNKNOWN_KEEP)
            unknown_property(d, it.key, it.val);
    }
}

static int check_property(struct draft *d, size_t i, struct json v)
{
    struct where top = {NULL, STR("properties"), 0}, at = {&top, d->b->properties[i].name, 0};
    if (json_is_null(v) || d->o->no_checks)
        return 0;
    return check_value(d->b->properties[i].check, v, &at, d->r);
}

static int missing_property(struct draft *d, const char *part, struct str name, const char *detail)
{
    refuse_invalid(d->r, "\"%s\" must have required property '%.*s'", part, STR_FMT(name));
    return refuse_detail(d->r, detail, name);
}

static int pick_properties(struct draft *d)
{
    struct json given = json_get_c(d->in, "properties");
    if (!json_is_nil(given) && !json_is_obj(given))
        return refuse_invalid(d->r, "\"properties\" must be object");
    size_t room = json_len(given), hint = 0;
    if (d->keep_old && d->k->unknown == UNKNOWN_KEEP)
        room += json_len(json_get_c(row_body(&d->old), "properties"));
    d->values = arena_zalloc(d->a, (d->b->nproperties + 1) * sizeof(*d->values));
    d->extra = arena_alloc(d->a, (room + 1) * sizeof(*d->extra));
    d->extra_names = arena_alloc(d->a, (room + 1) * sizeof(*d->extra_names));
    if (d->keep_old)
        take_old(d);
    for (struct json_iter it = json_iter(given); json_next(&it); hint++) {
        ptrdiff_t i = blueprint_property(d->b, it.key, hint);
        if (i < 0 ? unknown_property(d, it.key, it.val) < 0 : check_property(d, (size_t)i, it.val) < 0)
            return -1;
        if (i >= 0)
            d->values[i] = it.val;
    }
    for (size_t i = 0; i < d->b->nproperties; i++) {
        const struct property *p = &d->b->properties[i];
        if (!d->values[i].v && !d->exists)
            d->values[i] = p->fallback;
        if (p->required && json_is_nil(d->values[i]) && !d->o->no_checks)
            return missing_property(d, "properties", p->name, "property");
    }
    return 0;
}

/* Relations ----------------------------------------------------------------------------------------------------- */

static int pick_relations(struct draft *d)
{
    if (relations_resolve(d->k, d->b, d->out->identifier, json_get_c(d->in, "relations"), d->o, d->a, &d->rel, d->r) <
        0)
        return -1;
    for (size_t i = 0; i < d->b->nrelations; i++) {
        if (!d->b->relations[i].required || d->o->no_checks)
            continue;
        bool kept = !d->rel.text[i].p && d->keep_old && !json_is_nil(row_relation(&d->old, d->b->relations[i].name));
        if (!d->rel.has_target[i] && !kept)
            return missing_property(d, "relations", d->b->relations[i].name, "relation");
    }
    return 0;
}

/* Texts --------------------------------------------------------------------------------------------------------- */

static void write_body(struct draft *d, struct buf *out)
{
    struct jw w = jw_on(out);
    buf_reset(out);
    jw_obj(&w);
    jw_key_c(&w, "title");
    jw_json(&w, d->title);
    jw_key_c(&w, "icon");
    jw_json(&w, d->icon);
    write_team(d, &w);
    jw_key_c(&w, "properties");
    jw_obj(&w);
    for (size_t i = 0; i < d->b->nproperties; i++) {
        if (!d->values[i].v)
            continue;
        jw_key(&w, d->b->properties[i].name);
        jw_json(&w, d->values[i]);
    }
    for (size_t i = 0; i < d->nextra; i++) {
        jw_key(&w, d->extra_names[i]);
        jw_json(&w, d->extra[i]);
    }
    jw_end_obj(&w);
    jw_end_obj(&w);
}

static void write_rel(struct draft *d, struct buf *out)
{
    struct jw w = jw_on(out);
    buf_reset(out);
    jw_obj(&w);
    for (size_t i = 0; i < d->b->nrelations; i++) {
        struct str name = d->b->relations[i].name;
        struct json kept = d->keep_old && !d->rel.text[i].p ? row_relation(&d->old, name) : JSON_NONE;
        if (!d->rel.text[i].p && !kept.v)
            continue;
        jw_key(&w, name);
        if (d->rel.text[i].p)
            jw_raw(&w, d->rel.text[i]);
        else
            jw_json(&w, kept);
    }
    jw_end_obj(&w);
}

/* Same content? Bytes settle most cases; the order of keys may differ after the blueprint changed. */
static bool same(struct str a, struct str b)
{
    struct json_doc *x = NULL, *y = NULL;
    if (str_eq(a, b))
        return true;
    bool equal = json_parse(a, &x, NULL) == 0 && json_parse(b, &y, NULL) == 0 && json_equal(json_root(x), json_root(y));
    json_unref(x);
    json_unref(y);
    return equal;
}

/* Storing ------------------------------------------------------------------------------------------------------- */

static int insert(struct core *k, const struct blueprint *b, struct row *row, struct refusal *r)
{
    int rc =
        q_exec(k, r,
               "INSERT INTO entity (blueprint, identifier, datasource, created_at, updated_at, created_by, updated_by,"
               " rel, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
               "itiiiiitt", b->id, row->identifier, row->datasource, row->created_at, row->updated_at, row->created_by,
               row->updated_by, row->rel, row->body);
    if (rc < 0)
        return -1;
    row->id = q_last_id(k);
    return core_tally(k, b->id, row->datasource, 1, r);
}

/* A related entity that nobody wrote yet: defaults and nothing else (P-139). */
static int insert_bare(struct draft *d, const struct target *t)
{
    struct buf body;
    buf_init(&body, LIMIT_ANSWER);
    struct jw w = jw_on(&body);
    jw_raw(&w, STR("{\"title\":null,\"icon\":null,\"team\":[],\"properties\":"));
    w.comma = false;
    jw_obj(&w);
    for (size_t i = 0; i < t->blueprint->nproperties; i++) {
        if (!t->blueprint->properties[i].fallback.v)
            continue;
        jw_key(&w, t->blueprint->properties[i].name);
        jw_json(&w, t->blueprint->properties[i].fallback);
    }
    jw_end_obj(&w);
    buf_addc(&body, '}');
    struct row row = {.identifier = t->identifier,
                      .datasource = d->o->datasource,
                      .created_at = d->o->now,
                      .updated_at = d->o->now,
                      .created_by = d->o->client,
                      .updated_by = d->o->client,
                      .rel = STR("{}"),
                      .body = buf_str(&body)};
    int rc = insert(d->k, t->blueprint, &row, d->r);
    buf_done(&body);
    return rc;
}

static int update_refs(struct draft *d)
{
    struct json_doc *now = NULL;
    struct str rel = d->out->row.rel;
    if (str_eq(rel, d->old.rel) && d->exists)
        return 0;
    if (json_parse(rel, &now, NULL) < 0)
        return refuse(d->r, 500, "internal_error", "the relations to store are not JSON");
    int rc = refs_update(d->k, d->b, d->out->row.id, d->exists ? row_rel(&d->old) : JSON_NONE, json_root(now), d->r);
    json_unref(now);
    return rc;
}

static int store_existing(struct draft *d)
{
    struct row *row = &d->out->row;
    row->id = d->old.id;
    /* A column that stays is left out, so that its index is not touched. */
    if (row->datasource != d->old.datasource &&
        (q_exec(d->k, d->r, "UPDATE entity SET datasource = ?2 WHERE id = ?1", "ii", row->id, row->datasource) < 0 ||
         core_tally(d->k, d->b->id, d->old.datasource, -1, d->r) < 0 ||
         core_tally(d->k, d->b->id, row->datasource, 1, d->r) < 0))
        return -1;
    return q_exec(d->k, d->r, "UPDATE entity SET updated_at = ?2, updated_by = ?3, rel = ?4, body = ?5 WHERE id = ?1",
                  "iiitt", row->id, row->updated_at, row->updated_by, row->rel, row->body);
}

static int store(struct draft *d)
{
    for (size_t i = 0; i < d->rel.nmissing; i++)
        if (insert_bare(d, &d->rel.missing[i]) < 0)
            return -1;
    d->out->bare = (unsigned)d->rel.nmissing;
    int rc = d->exists ? store_existing(d) : insert(d->k, d->b, &d->out->row, d->r);
    return rc < 0 ? -1 : update_refs(d);
}

static int write_draft(struct draft *d)
{
    if (!json_is_obj(d->in))
        return refuse_invalid(d->r, "entity must be object");
    if (identify(d) < 0 || find_old(d) < 0 || pick_text(d, STR("title"), &d->title) < 0 ||
        pick_text(d, STR("icon"), &d->icon) < 0 || pick_team(d) < 0 || pick_properties(d) < 0 || pick_relations(d) < 0)
        return -1;
    write_body(d, &d->k->body);
    write_rel(d, &d->k->rel);
    if (d->k->body.failed || d->k->rel.failed)
        return refuse(d->r, 413, "request_too_large", "the entity is too large");
    const struct write_options *o = d->o;
    int64_t owner = owners_after(d->k, d->exists ? d->old.datasource : 0, o->datasource, d->r);
    if (!owner)
        return -1;
    d->out->row = (struct row){
        .blueprint = d->b->id,
        .identifier = d->out->identifier,
        .datasource = owner,
        .created_at = d->exists && !o->created_at ? d->old.created_at
                      : o->created_at             ? o->created_at
                                                  : o->now,
        .updated_at = o->updated_at ? o->updated_at : o->now,
        .created_by = d->exists ? d->old.created_by : o->client,
        .updated_by = o->client,
        .rel = buf_str(&d->k->rel),
        .body = buf_str(&d->k->body),
    };
    d->out->created = !d->exists;
    d->out->unchanged = d->exists && same(d->old.body, d->out->row.body) && same(d->old.rel, d->out->row.rel);
    return o->validate_only ? 0 : store(d);
}

int entity_write(struct core *k, const struct blueprint *b, struct json in, const struct write_options *o,
                 struct arena *a, struct written *ret, struct refusal *r)
{
    *ret = (struct written){0};
    struct draft d = {.k = k, .b = b, .in = in, .o = o, .a = a, .r = r, .out = ret};
    int rc = write_draft(&d);
    row_done(&d.old);
    return rc;
}
