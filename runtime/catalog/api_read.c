/* Reading entities over HTTP: E-34 to E-38 and the control API's list with owners. */
#include "catalog/owners.h"
#include "catalog/routes.h"
#include "catalog/search.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "json/write.h"

/* Projections --------------------------------------------------------------------------------------------------- */

static int read_projection(struct work *w, struct projection *p)
{
    struct str name;
    bool calculated, mirror, partial;
    projection_all(p, w->a);
    for (size_t i = 0; work_param(w, "include", i, &name); i++)
        projection_include(p, name);
    for (size_t i = 0; work_param(w, "exclude", i, &name); i++)
        projection_exclude(p, name);
    if (work_flag(w, "exclude_calculated_properties", false, &calculated) < 0 ||
        work_flag(w, "attach_identifier_to_title_mirror_properties", false, &mirror) < 0 ||
        work_flag(w, "allow_partial_results", false, &partial) < 0)
        return -1;
    return work_flag(w, "attach_title_to_relation", false, &p->titles);
}

struct listing {
    struct work *w;
    struct projection p;
    struct jw jw;
    struct strmap *blueprints; /* that had a match */
    size_t n, limit;
    int64_t last;
};

static int add_entity(void *arg, const struct blueprint *b, struct row *row, struct refusal *r)
{
    struct listing *l = arg;
    if (l->limit && l->n == l->limit)
        return 1;
    if (l->n++)
        buf_addc(&l->w->out, ',');
    l->last = row->id;
    if (l->blueprints && !strmap_has(l->blueprints, b->identifier))
        strmap_put(l->blueprints, b->identifier, l);
    return entity_write_json(l->w->k, b, row, &l->p, &l->w->out, r);
}

static void begin_list(struct listing *l) { buf_adds(&l->w->out, "{\"ok\":true,\"entities\":["); }

/* Search -------------------------------------------------------------------------------------------------------- */

int api_search(struct work *w)
{
    struct listing l = {.w = w};
    struct json in = work_json(w);
    if (!in.v || read_projection(w, &l.p) < 0)
        return -1;
    struct query *q = query_compile(w->k, w->a, in, QUERY_SEARCH, &w->r);
    if (!q)
        return -1;
    l.blueprints = strmap_new(NULL);
    begin_list(&l);
    int rc = query_run(w->k, q, NULL, projection_is_slim(&l.p), add_entity, &l, &w->r);
    buf_adds(&w->out, "],\"matchingBlueprints\":[");
    struct jw names = jw_on(&w->out);
    struct str name;
    void *value;
    for (size_t at = 0; (at = strmap_next(l.blueprints, at, &name, &value)) != 0;)
        jw_str(&names, name);
    buf_adds(&w->out, "]}");
    strmap_free(l.blueprints);
    return rc;
}

/* Rows up to a number are behind us. */
struct paged {
    struct listing l;
    int64_t after;
    bool more;
};

static int add_after(void *arg, const struct blueprint *b, struct row *row, struct refusal *r)
{
    struct paged *p = arg;
    if (row->id <= p->after)
        return 0;
    int rc = add_entity(&p->l, b, row, r);
    p->more |= rc > 0;
    return rc;
}

static int read_from(struct work *w, struct json from, int64_t *a, int64_t *b)
{
    char text[64];
    long long x = 0, y = 0;
    int used = 0;
    *a = *b = 0;
    if (json_is_nil(from))
        return 0;
    snprintf(text, sizeof(text), "%.*s", STR_FMT(json_str(from)));
    if (!json_is_str(from) || json_str(from).n >= sizeof(text) || sscanf(text, "p1-%lld-%lld%n", &x, &y, &used) != 2 ||
        text[used])
        return refuse_invalid(&w->r, "\"from\" is not a value this server gave as \"next\"");
    *a = x;
    *b = y;
    return 0;
}

static int read_limit(struct work *w, struct json v, int64_t fallback, int64_t max, int64_t *ret)
{
    *ret = fallback;
    if (json_is_nil(v))
        return 0;
    if (!json_int64(v, ret) || *ret < 1 || (max && *ret > max))
        return max ? refuse_invalid(&w->r, "\"limit\" must be integer from 1 to %lld", (long long)max)
                   : refuse_invalid(&w->r, "\"limit\" must be integer of at least 1");
    return 0;
}

int api_search_blueprint(struct work *w)
{
    struct paged p = {.l = {.w = w}};
    struct json in = work_json(w), names;
    struct blueprint *b = in.v ? blueprint_find(w->k, w->seg[0], &w->r) : NULL;
    int64_t limit, unused;
    if (!b || read_limit(w, json_get_c(in, "limit"), 200, 1000, &limit) < 0 ||
        read_from(w, json_get_c(in, "from"), &p.after, &unused) < 0)
        return -1;
    projection_all(&p.l.p, w->a);
    p.l.p.bare_names = true;
    p.l.limit = (size_t)limit;
    names = json_get_c(in, "include");
    for (struct json_iter it = json_iter(names); json_next(&it);)
        projection_include(&p.l.p, json_str(it.val));
    names = json_get_c(in, "exclude");
    for (struct json_iter it = json_iter(names); json_next(&it);)
        projection_exclude(&p.l.p, json_str(it.val));
    struct json_doc *all = NULL;
    struct json query = json_get_c(in, "query");
    if (!query.v && json_parse(STR("{\"combinator\":\"and\",\"rules\":[]}"), &all, NULL) == 0)
        query = json_root(all);
    struct query *q = query_compile(w->k, w->a, query, QUERY_SEARCH, &w->r);
    begin_list(&p.l);
    int rc = q ? query_run(w->k, q, b, projection_is_slim(&p.l.p), add_after, &p, &w->r) : -1;
    buf_addc(&w->out, ']');
    if (p.more)
        buf_addf(&w->out, ",\"next\":\"p1-%lld-0\"", (long long)p.l.last);
    buf_addc(&w->out, '}');
    json_unref(all);
    return rc;
}

/* What an integration owns -------------------------------------------------------------------------------------- */

struct owners {
    struct str prefix, suffix;
    struct ids ids;
};

static void add_owner(void *arg, int64_t id, struct str text)
{
    struct owners *o = arg;
    struct str one;
    bool ours = false;
    while (owners_next(&text, &one))
        ours |= str_starts(one, o->prefix) && str_ends(one, o->suffix);
    if (ours)
        ids_add(&o->ids, id);
}

static int read_instant(struct work *w, struct json v, int64_t *ret)
{
    *ret = INT64_MAX;
    if (json_is_nil(v))
        return 0;
    if (!json_is_str(v) || !iso_parse(json_str(v), ret))
        return refuse_invalid(&w->r, "\"before\" must be an instant such as 2030-01-02T03:04:05Z");
    return 0;
}

static int read_filter(struct work *w, struct json in, struct owners *o)
{
    struct json prefix = json_get_c(in, "datasource_prefix"), suffix = json_get_c(in, "datasource_suffix");
    if (json_is_nil(prefix) && json_is_nil(suffix))
        return refuse_invalid(&w->r, "body must have required property 'datasource_prefix' or 'datasource_suffix'");
    if ((!json_is_nil(prefix) && !json_is_str(prefix)) || (!json_is_nil(suffix) && !json_is_str(suffix)))
        return refuse_invalid(&w->r, "\"datasource_prefix\" and \"datasource_suffix\" must be string");
    o->prefix = json_str(prefix);
    o->suffix = json_str(suffix);
    return dict_each(w->k, w->k->datasources, add_owner, o, &w->r);
}

/* Rows of one owner, in order of their numbers, beyond `after`. Returns > 0 when the page is full. */
static int list_owner(struct listing *l, int64_t owner, int64_t after, int64_t before)
{
    struct core *k = l->w->k;
    struct row row = {0};
    const char *whole = "SELECT " ROW_COLUMNS " FROM entity INDEXED BY entity_datasource"
                        " WHERE datasource = ?1 AND id > ?2 AND updated_at < ?3 ORDER BY id";
    const char *thin = "SELECT " ROW_COLUMNS_SLIM " FROM entity INDEXED BY entity_datasource"
                       " WHERE datasource = ?1 AND id > ?2 AND updated_at < ?3 ORDER BY id";
    struct sqlite3_stmt *s = q_open(k, &l->w->r, projection_is_slim(&l->p) ? thin : whole, "iii", owner, after, before);
    int rc;
    while ((rc = q_row(k, s, &l->w->r)) > 0) {
        row_read(&row, s);
        struct blueprint *b = blueprint_by_id(k, row.blueprint, &l->w->r);
        rc = b ? add_entity(l, b, &row, &l->w->r) : -1;
        if (rc != 0) {
            q_close(s);
            break;
        }
    }
    row_done(&row);
    return rc;
}

int api_datasource(struct work *w)
{
    struct listing l = {.w = w};
    struct owners owners = {0};
    struct json in = work_json(w);
    int64_t limit, owner, after, before;
    if (!in.v || read_projection(w, &l.p) < 0 || read_filter(w, in, &owners) < 0 ||
        read_limit(w, json_get_c(in, "limit"), 0, 0, &limit) < 0 ||
        read_from(w, json_get_c(in, "from"), &owner, &after) < 0 ||
        read_instant(w, json_get_c(in, "before"), &before) < 0) {
        ids_done(&owners.ids);
        return -1;
    }
    l.limit = (size_t)limit;
    ids_sort(&owners.ids);
    begin_list(&l);
    int rc = 0;
    int64_t at = 0;
    for (size_t i = 0; rc == 0 && i < owners.ids.n; i++) {
        at = owners.ids.p[i];
        if (at >= owner)
            rc = list_owner(&l, at, at == owner ? after : 0, before);
        if (rc == 0)
            l.last = 0; /* nothing of this owner is left */
    }
    ids_done(&owners.ids);
    buf_adds(&w->out, "],\"next\":");
    if (rc > 0)
        buf_addf(&w->out, "\"p1-%lld-%lld\"", (long long)at, (long long)l.last);
    else
        buf_adds(&w->out, "null");
    buf_addc(&w->out, '}');
    return rc < 0 ? -1 : 0;
}

/* One blueprint, one entity ------------------------------------------------------------------------------------- */

int api_entities_get(struct work *w)
{
    struct listing l = {.w = w};
    struct blueprint *b = blueprint_find(w->k, w->seg[0], &w->r);
    struct json_doc *all = NULL;
    if (!b || read_projection(w, &l.p) < 0)
        return -1;
    if (json_parse(STR("{\"combinator\":\"and\",\"rules\":[]}"), &all, NULL) < 0)
        return refuse(&w->r, 500, "internal_error", "the empty query is not JSON");
    struct query *q = query_compile(w->k, w->a, json_root(all), QUERY_SEARCH, &w->r);
    begin_list(&l);
    int rc = q ? query_run(w->k, q, b, projection_is_slim(&l.p), add_entity, &l, &w->r) : -1;
    buf_adds(&w->out, "]}");
    json_unref(all);
    return rc;
}

int api_entity_get(struct work *w)
{
    struct projection p;
    struct row row = {0};
    struct blueprint *b = blueprint_find(w->k, w->seg[0], &w->r);
    if (!b || read_projection(w, &p) < 0)
        return -1;
    int rc = row_find(w->k, b->id, w->seg[1], w->a, &row, &w->r);
    if (rc == 0)
        return refuse_no_entity(&w->r, w->seg[1], b->identifier);
    if (rc < 0)
        return -1;
    struct jw jw = work_begin(w);
    jw_key_c(&jw, "entity");
    rc = entity_write_json(w->k, b, &row, &p, &w->out, &w->r);
    jw.comma = true;
    work_end(w, &jw);
    row_done(&row);
    return rc;
}

int api_entities_count(struct work *w)
{
    int64_t n;
    struct blueprint *b = blueprint_find(w->k, w->seg[0], &w->r);
    if (!b || blueprint_count(w->k, b, &n, &w->r) < 0)
        return -1;
    struct jw jw = work_begin(w);
    jw_key_c(&jw, "count");
    jw_int(&jw, n);
    work_end(w, &jw);
    return 0;
}

/* All entities with their owners -------------------------------------------------------------------------------- */

struct browse {
    struct paged p;
    struct str blueprint, datasource, text;
};

static int browse_row(void *arg, const struct blueprint *b, struct row *row, struct refusal *r)
{
    struct browse *x = arg;
    struct str owner = dict_text(x->p.l.w->k, x->p.l.w->k->datasources, row->datasource);
    if (x->blueprint.p && !str_eq(x->blueprint, b->identifier))
        return 0;
    if (x->datasource.p && !(owner.n >= x->datasource.n && memmem(owner.p, owner.n, x->datasource.p, x->datasource.n)))
        return 0;
    if (x->text.n && !memmem(row->identifier.p, row->identifier.n, x->text.p, x->text.n) &&
        !memmem(row->body.p, row->body.n, x->text.p, x->text.n))
        return 0;
    return add_after(&x->p, b, row, r);
}

int control_entities(struct work *w)
{
    struct browse x = {.p = {.l = {.w = w}}};
    struct json_doc *all = NULL;
    int64_t limit;
    projection_all(&x.p.l.p, w->a);
    x.p.l.p.datasource = true;
    work_param(w, "blueprint", 0, &x.blueprint);
    work_param(w, "datasource", 0, &x.datasource);
    work_param(w, "q", 0, &x.text);
    if (work_number(w, "limit", 0, &limit) < 0 || work_number(w, "from", 0, &x.p.after) < 0 || limit < 0)
        return limit < 0 ? refuse_invalid(&w->r, "\"query/limit\" must not be negative") : -1;
    x.p.l.limit = (size_t)limit;
    if (json_parse(STR("{\"combinator\":\"and\",\"rules\":[]}"), &all, NULL) < 0)
        return refuse(&w->r, 500, "internal_error", "the empty query is not JSON");
    struct query *q = query_compile(w->k, w->a, json_root(all), QUERY_SEARCH, &w->r);
    begin_list(&x.p.l);
    int rc = q ? query_run(w->k, q, NULL, false, browse_row, &x, &w->r) : -1;
    buf_addf(&w->out, "],\"next\":%s", x.p.more ? "" : "null}");
    if (x.p.more)
        buf_addf(&w->out, "%lld}", (long long)x.p.l.last);
    json_unref(all);
    return rc;
}
