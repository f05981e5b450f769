/* Searches of a plan: they look past the integration's own entities. */
#include <stdlib.h>

#include "base/mem.h"
#include "json/write.h"
#include "port/entities_priv.h"

#define NOTHING "{\"combinator\":\"or\",\"rules\":[]}" /* matches no entity (P-172) */

static void begin(struct buf *query, struct buf *body)
{
    buf_init(query, BUF_NO_LIMIT);
    buf_init(body, BUF_NO_LIMIT);
    buf_adds(query, "exclude_calculated_properties=true");
}

static void include(struct buf *query, struct str part)
{
    buf_adds(query, "&include=");
    url_encode(query, part);
}

static void include_names(struct buf *query)
{
    include(query, STR("blueprint"));
    include(query, STR("identifier"));
}

static void rule(struct buf *body, const char *property, const char *operator)
{
    buf_addf(body, "{\"property\":\"%s\",\"operator\":\"%s\",\"value\":", property, operator);
}

static void identifier_list(struct buf *body, const struct str *identifiers, size_t n)
{
    struct jw w = jw_on(body);
    jw_arr(&w);
    for (size_t i = 0; i < n; i++)
        jw_str(&w, identifiers[i]);
    jw_end_arr(&w);
}

void port_find(struct port *p, struct str blueprint, const struct str *identifiers, size_t n, const struct str *parts,
               size_t nparts, port_found_fn done, void *arg)
{
    struct buf query, body;
    begin(&query, &body);
    if (parts)
        include_names(&query);
    for (size_t i = 0; parts && i < nparts; i++)
        include(&query, parts[i]);
    buf_adds(&body, "{\"combinator\":\"and\",\"rules\":[");
    rule(&body, "$identifier", "in");
    identifier_list(&body, identifiers, n);
    buf_adds(&body, "},");
    rule(&body, "$blueprint", "=");
    json_quote(&body, blueprint);
    buf_adds(&body, "}]}");
    entities_search(p, &query, &body, PORT_EXPORTER, done, arg);
}

/* The query, but for rules that compare with null: in an entity they match nothing (P-148), in a search whatever has no
 * such property. */
static void write_query(struct jw *w, struct json q, int depth)
{
    struct json rules = json_get_c(q, "rules");
    if (json_is_arr(rules) && depth < 50) {
        jw_obj(w);
        jw_key_c(w, "combinator");
        jw_json(w, json_get_c(q, "combinator"));
        jw_key_c(w, "rules");
        jw_arr(w);
        for (struct json_iter it = json_iter(rules); json_next(&it);)
            write_query(w, it.val, depth + 1);
        jw_end_arr(w);
        jw_end_obj(w);
    } else if (str_is(json_str(json_get_c(q, "operator")), "=") && json_is_nil(json_get_c(q, "value"))) {
        jw_raw(w, STR(NOTHING));
    } else {
        jw_json(w, q);
    }
}

void port_find_matching(struct port *p, struct str blueprint, struct json q, port_found_fn done, void *arg)
{
    struct buf query, body;
    begin(&query, &body);
    include_names(&query);
    buf_adds(&body, "{\"combinator\":\"and\",\"rules\":[");
    struct jw w = jw_on(&body);
    write_query(&w, q, 0);
    buf_addc(&body, ',');
    rule(&body, "$blueprint", "=");
    json_quote(&body, blueprint);
    buf_adds(&body, "}]}");
    entities_search(p, &query, &body, PORT_EXPORTER, done, arg);
}

void port_find_dependents(struct port *p, struct str blueprint, const struct str *identifiers, size_t n,
                          const struct str *relations, size_t nrelations, port_found_fn done, void *arg)
{
    struct buf query, body;
    begin(&query, &body);
    include_names(&query);
    for (size_t i = 0; i < nrelations; i++) {
        buf_adds(&query, "&include=relations.");
        url_encode(&query, relations[i]);
    }
    buf_adds(&body, "{\"combinator\":\"and\",\"rules\":[{\"operator\":\"relatedTo\",\"direction\":\"downstream\","
                    "\"required\":true,\"blueprint\":");
    json_quote(&body, blueprint);
    buf_adds(&body, ",\"value\":");
    identifier_list(&body, identifiers, n);
    buf_adds(&body, "}]}");
    entities_search(p, &query, &body, PORT_EXPORTER, done, arg);
}

/* ---- Blueprints ---- */

struct listing {
    void (*done)(void *arg, struct json blueprints, const struct err *e);
    void *arg;
};

static void on_list(void *arg, const struct port_answer *a, const struct err *e)
{
    struct listing *l = arg;
    struct err mine = {0};
    struct json list = a ? json_get_c(a->root, "blueprints") : JSON_NONE;
    if (!a)
        err_copy(&mine, e);
    else if (a->status >= 400)
        port_answer_err(a, "GET", "/blueprints", &mine);
    else if (!json_is_arr(list))
        ERR(&mine, ERR_PARSE, "the answer to GET /blueprints holds no list of blueprints");
    l->done(l->arg, mine.code ? JSON_NONE : list, mine.code ? &mine : NULL);
    free(l);
}

void port_blueprint_list(struct port *p, void (*done)(void *arg, struct json blueprints, const struct err *e), void *arg)
{
    struct listing *l = xcalloc(1, sizeof(*l));
    *l = (struct listing){done, arg};
    struct port_request r = {.method = "GET", .path = "/blueprints"};
    buf_init(&r.body, 0);
    port_send(p, &r, on_list, l)->drop = free;
}
