/* Requests about entities. Each is one small heap object that holds what its answer is judged by, and goes
 * when `done` ran. */
#include "port/entities.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "port/client_priv.h"
#include "port/entities_priv.h"
#include "json/write.h"

void entities_path(struct buf *out, struct str blueprint, const char *rest)
{
    buf_adds(out, "/blueprints/");
    url_encode(out, blueprint);
    buf_adds(out, rest);
}

/* ocean_info_* of S-106: the event, and for a resync its id. */
static void add_event(struct buf *q, const struct write_options *o)
{
    buf_adds(q, "&ocean_info_event_type=");
    url_encode(q, str_of(o->event_type ? o->event_type : "resync"));
    if (o->resync_id) {
        buf_adds(q, "&ocean_info_resync_id=");
        url_encode(q, str_of(o->resync_id));
    }
}

void entities_write_query(struct buf *q, const struct write_options *o)
{
    buf_addf(q, "upsert=true&merge=%s&create_missing_related_entities=%s&validation_only=false",
             o->merge ? "true" : "false", o->create_missing ? "true" : "false");
    add_event(q, o);
}

static const char *feature_name(enum port_feature f) { return f == PORT_GITOPS ? "gitops" : "exporter"; }

static enum port_feature feature_of(enum port_feature f)
{
    return f == PORT_GITOPS ? PORT_GITOPS : PORT_EXPORTER;
}

struct port_call *entities_send(struct port *p, struct str blueprint, const char *rest, const char *query,
                                struct buf *body, enum port_feature feature, port_done_fn done, void *arg)
{
    struct buf path;
    buf_init(&path, BUF_NO_LIMIT);
    if (blueprint.p)
        entities_path(&path, blueprint, rest);
    else
        buf_adds(&path, rest);
    struct port_request r = {
        .method = "POST",
        .path = buf_cstr(&path),
        .query = query,
        .body = *body,
        .feature = feature_of(feature),
        .retry = PORT_RETRY_ALWAYS,
        .reads = !blueprint.p,
    };
    struct port_call *c = port_send(p, &r, done, arg);
    buf_done(&path);
    return c;
}

/* ---- Lookup and listing ---- */

struct reading {
    void (*found)(void *arg, struct json entities, const struct err *e);
    void (*page)(void *arg, struct json entities, struct str next, const struct err *e);
    void *arg;
};

static void on_read(void *arg, const struct port_answer *a, const struct err *e)
{
    struct reading *r = arg;
    const char *path = r->found ? "/entities/search" : "/blueprints/entities/datasource-entities";
    struct err mine = {0};
    struct json entities = a ? json_get_c(a->root, "entities") : JSON_NONE;
    if (!a)
        err_copy(&mine, e);
    else if (a->status >= 400)
        port_answer_err(a, "POST", path, &mine);
    else if (!json_is_arr(entities))
        ERR(&mine, ERR_PARSE, "the answer to POST %s holds no list of entities", path);
    if (mine.code)
        entities = JSON_NONE;
    struct str next = mine.code ? STR_NULL : json_str(json_get_c(a->root, "next"));
    if (r->found)
        r->found(r->arg, entities, mine.code ? &mine : NULL);
    else
        r->page(r->arg, entities, next.n ? next : STR_NULL, mine.code ? &mine : NULL);
    free(r);
}

static void datasource_rule(struct jw *w, const char *value)
{
    jw_obj(w);
    jw_key_c(w, "property");
    jw_str_c(w, "$datasource");
    jw_key_c(w, "operator");
    jw_str_c(w, "contains");
    jw_key_c(w, "value");
    jw_str(w, str_of(value));
    jw_end_obj(w);
}

void entities_search_body(const struct port *p, struct buf *out, struct str blueprint,
                          const struct str *identifiers, size_t n, enum port_feature feature)
{
    char *prefix = xasprintf("port-ocean/%s/", p->type);
    char *suffix = xasprintf("/%s/%s", p->identifier, feature_name(feature));
    struct jw w = jw_on(out);
    jw_obj(&w);
    jw_key_c(&w, "combinator");
    jw_str_c(&w, "and");
    jw_key_c(&w, "rules");
    jw_arr(&w);
    jw_raw(&w, STR("{\"property\":\"$identifier\",\"operator\":\"in\",\"value\":"));
    w.comma = false;
    jw_arr(&w);
    for (size_t i = 0; i < n; i++)
        jw_str(&w, identifiers[i]);
    jw_end_arr(&w);
    buf_adds(out, "},{\"property\":\"$blueprint\",\"operator\":\"=\",\"value\":");
    json_quote(out, blueprint);
    buf_adds(out, "}");
    w.comma = true;
    datasource_rule(&w, prefix);
    datasource_rule(&w, suffix);
    jw_end_arr(&w);
    jw_end_obj(&w);
    free(prefix);
    free(suffix);
}

static void equality(struct jw *w, const char *property, struct str value)
{
    jw_obj(w);
    jw_key_c(w, "property");
    jw_cstr(w, property);
    jw_key_c(w, "operator");
    jw_str_c(w, "=");
    jw_key_c(w, "value");
    jw_str(w, value);
    jw_end_obj(w);
}

static void open_group(struct jw *w, const char *combinator)
{
    jw_obj(w);
    jw_key_c(w, "combinator");
    jw_cstr(w, combinator);
    jw_key_c(w, "rules");
    jw_arr(w);
}

static void close_group(struct jw *w)
{
    jw_end_arr(w);
    jw_end_obj(w);
}

void port_ownership(struct port *p, const struct entity_name *names, size_t n, enum port_feature feature,
                    void (*done)(void *arg, struct json entities, const struct err *e), void *arg)
{
    struct reading *r = xcalloc(1, sizeof(*r));
    char *prefix = xasprintf("port-ocean/%s/", p->type);
    char *suffix = xasprintf("/%s/%s", p->identifier, feature_name(feature));
    struct buf body;
    *r = (struct reading){.found = done, .arg = arg};
    buf_init(&body, BUF_NO_LIMIT);
    struct jw w = jw_on(&body);
    open_group(&w, "and");
    open_group(&w, "or");
    for (size_t i = 0; i < n; i++) {
        open_group(&w, "and");
        equality(&w, "$identifier", names[i].identifier);
        equality(&w, "$blueprint", names[i].blueprint);
        close_group(&w);
    }
    close_group(&w);
    datasource_rule(&w, prefix);
    datasource_rule(&w, suffix);
    close_group(&w);
    entities_send(p, STR_NULL, "/entities/search",
                  "exclude_calculated_properties=true&include=blueprint&include=identifier", &body, feature, on_read, r)
        ->drop = free;
    free(prefix);
    free(suffix);
}

void entities_search(struct port *p, struct buf *query, struct buf *body, enum port_feature feature,
                     void (*found)(void *arg, struct json entities, const struct err *e), void *arg)
{
    struct reading *r = xcalloc(1, sizeof(*r));
    r->found = found;
    r->arg = arg;
    entities_send(p, STR_NULL, "/entities/search", buf_cstr(query), body, feature, on_read, r)->drop = free;
    buf_done(query);
}

void port_lookup(struct port *p, struct str blueprint, const struct str *identifiers, size_t n,
                 const struct str *parts, size_t nparts, enum port_feature feature,
                 void (*done)(void *arg, struct json entities, const struct err *e), void *arg)
{
    struct buf query, body;
    buf_init(&query, BUF_NO_LIMIT);
    buf_init(&body, BUF_NO_LIMIT);
    buf_adds(&query, "exclude_calculated_properties=true&include=blueprint&include=identifier");
    for (size_t i = 0; i < nparts; i++) {
        buf_adds(&query, "&include=");
        url_encode(&query, parts[i]);
    }
    entities_search_body(p, &body, blueprint, identifiers, n, feature);
    entities_search(p, &query, &body, feature, done, arg);
}

void port_list_owned(struct port *p, enum port_feature feature, const char *before_iso, struct str from,
                     int limit,
                     void (*done)(void *arg, struct json entities, struct str next, const struct err *e),
                     void *arg)
{
    struct buf body;
    struct reading *r = xcalloc(1, sizeof(*r));
    char *prefix = xasprintf("port-ocean/%s/", p->type);
    char *suffix = xasprintf("/%s/%s", p->identifier, feature_name(feature));
    r->page = done;
    r->arg = arg;
    buf_init(&body, BUF_NO_LIMIT);
    struct jw w = jw_on(&body);
    jw_obj(&w);
    jw_key_c(&w, "datasource_prefix");
    jw_str(&w, str_of(prefix));
    jw_key_c(&w, "datasource_suffix");
    jw_str(&w, str_of(suffix));
    jw_key_c(&w, "limit");
    jw_int(&w, limit);
    if (before_iso) {
        jw_key_c(&w, "before");
        jw_str(&w, str_of(before_iso));
    }
    if (from.n) {
        jw_key_c(&w, "from");
        jw_str(&w, from);
    }
    jw_end_obj(&w);
    /* Relations are needed to delete in their order when nothing cascades (S-127). */
    entities_send(p, STR_NULL, "/blueprints/entities/datasource-entities",
                  "include=blueprint&include=identifier&include=relations", &body, feature, on_read, r)
        ->drop = free;
    free(prefix);
    free(suffix);
}

/* ---- Deletion ---- */

struct deletion {
    void (*done)(void *arg, struct json deleted, const struct err *e);
    void *arg;
    char *blueprint;
};

static void deletion_free(void *arg)
{
    struct deletion *d = arg;
    free(d->blueprint);
    free(d);
}

static void on_deleted(void *arg, const struct port_answer *a, const struct err *e)
{
    struct deletion *d = arg;
    struct err mine = {0};
    if (!a) {
        err_copy(&mine, e);
    } else if (a->status >= 400) {
        char *path = xasprintf("/blueprints/%s/bulk/entities/delete", d->blueprint);
        port_answer_err(a, "POST", path, &mine);
        free(path);
    }
    d->done(d->arg, mine.code ? JSON_NONE : json_get_c(a->root, "deletedEntities"), mine.code ? &mine : NULL);
    deletion_free(d);
}

void port_bulk_delete(struct port *p, struct str blueprint, const struct str *identifiers, size_t n,
                      const struct write_options *o,
                      void (*done)(void *arg, struct json deleted, const struct err *e), void *arg)
{
    struct buf query, body;
    struct deletion *d = xcalloc(1, sizeof(*d));
    d->done = done;
    d->arg = arg;
    d->blueprint = str_dup(blueprint);
    buf_init(&query, BUF_NO_LIMIT);
    buf_init(&body, BUF_NO_LIMIT);
    buf_addf(&query, "delete_dependents=%s", o->delete_dependents ? "true" : "false");
    add_event(&query, o);
    struct jw w = jw_on(&body);
    jw_obj(&w);
    jw_key_c(&w, "entities");
    jw_arr(&w);
    for (size_t i = 0; i < n; i++)
        jw_str(&w, identifiers[i]);
    jw_end_arr(&w);
    jw_end_obj(&w);
    entities_send(p, blueprint, "/bulk/entities/delete", buf_cstr(&query), &body, o->feature, on_deleted, d)
        ->drop = deletion_free;
    buf_done(&query);
}
