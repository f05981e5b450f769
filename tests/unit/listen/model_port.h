/* model_port.h: a Port that keeps what it is told (world.h), and fails at random.
 *
 * A fault comes before a request is worked on or after it: then the writing has happened and only the answer is lost. */
#pragma once
#include "unit/listen/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "io/http_server.h"
#include "json/json.h"
#include "json/write.h"

struct model_port {
    struct world *world;
    struct loop *loop;
    struct http_server *server;
    unsigned (*random_below)(unsigned n);
};

static inline void violated(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline void violated(struct world *w, const char *fmt, ...)
{
    va_list ap;
    if (w->violation[0])
        return;
    va_start(ap, fmt);
    vsnprintf(w->violation, sizeof(w->violation), fmt, ap);
    va_end(ap);
}

static inline int blueprint_index(struct str name) { return str_is(name, "b"); }

/* ---- writing ---- */

static inline int id_of(struct json v)
{
    int64_t id = -1;
    if (!str_int64(json_str(v), &id) || id < 0 || id >= IDS)
        fail_msg("not one of our identifiers");
    return (int)id;
}

static inline bool model_upsert(struct world *w, int b, struct json entity)
{
    int id = id_of(json_get_c(entity, "identifier"));
    struct str title = json_str(json_get_c(entity, "title")), owner = json_str(json_path(entity, STR("relations.owner")));
    int64_t version = 0;
    bool existed = w->port[b][id] != 0;
    if (title.n < 2 || !str_int64((struct str){title.p + 1, title.n - 1}, &version))
        fail_msg("an entity without a version");
    w->port[b][id] = (unsigned)version;
    w->updated_us[b][id] = clock_wall_us();
    if (owner.n) {
        int64_t target;
        if (str_int64(owner, &target) && target >= 0 && target < IDS && !w->port[0][target]) {
            w->port[0][target] = PLACEHOLDER;
            w->updated_us[0][target] = clock_wall_us();
        }
    }
    return !existed;
}

static inline void model_bulk(struct model_port *m, int b, struct json entities, struct buf *out)
{
    struct buf errors;
    size_t i = 0, n = 0;
    bool fails = m->world->faults && m->random_below(4) == 0;
    buf_init(&errors, BUF_NO_LIMIT);
    buf_adds(out, "{\"ok\":true,\"entities\":[");
    for (struct json_iter it = json_iter(entities); json_next(&it); i++) {
        unsigned fate = fails ? m->random_below(8) : 9;
        if (fate == 0) /* not in the answer, whatever became of it */
            continue;
        if (fate == 1) {
            buf_addf(&errors, "%s{\"index\":%zu,\"identifier\":\"x\",\"statusCode\":422,\"message\":\"m\"}",
                     errors.n ? "," : "", i);
            continue;
        }
        bool created = model_upsert(m->world, b, it.val);
        buf_addf(out, "%s{\"index\":%zu,\"created\":%s,\"identifier\":", n++ ? "," : "", i, created ? "true" : "false");
        json_write(out, json_get_c(it.val, "identifier"));
        buf_addc(out, '}');
    }
    buf_addf(out, "],\"errors\":[%s]}", buf_cstr(&errors));
    buf_done(&errors);
}

/* False: others relate to it and may not go with it. */
static inline bool model_delete(struct world *w, int b, int id, bool cascade)
{
    if (!w->port[b][id])
        return false;
    for (int dependent = 0; b == 0 && dependent < IDS; dependent++) {
        if (target_of(dependent) != id || !w->port[1][dependent])
            continue;
        if (!cascade)
            return false;
        model_delete(w, 1, dependent, true);
    }
    if (must_stay(w, b, id))
        violated(w, "%s/%d exists at the source and was deleted", b ? "b" : "a", id);
    w->port[b][id] = 0;
    return true;
}

/* ---- reading ---- */

static inline void write_entity(struct buf *out, const struct world *w, int b, int id, bool first)
{
    buf_addf(out, "%s{\"identifier\":\"%d\",\"blueprint\":\"%s\",\"title\":\"v%u\",\"properties\":{},\"relations\":{",
             first ? "" : ",", id, b ? "b" : "a", w->port[b][id]);
    if (b)
        buf_addf(out, "\"owner\":\"%d\"", target_of(id));
    buf_adds(out, "}}");
}

static inline void model_search(struct world *w, struct json query, struct buf *out)
{
    struct json ids = JSON_NONE;
    int b = 0;
    bool first = true;
    for (struct json_iter it = json_iter(json_get_c(query, "rules")); json_next(&it);) {
        if (str_is(json_str(json_get_c(it.val, "property")), "$identifier"))
            ids = json_get_c(it.val, "value");
        if (str_is(json_str(json_get_c(it.val, "property")), "$blueprint"))
            b = blueprint_index(json_str(json_get_c(it.val, "value")));
    }
    buf_adds(out, "{\"ok\":true,\"entities\":[");
    for (struct json_iter it = json_iter(ids); json_next(&it);) {
        int id = id_of(it.val);
        if (!w->port[b][id])
            continue;
        write_entity(out, w, b, id, first);
        first = false;
    }
    buf_adds(out, "]}");
}

/* Pages of seven; what was updated at or after `before` is not listed. */
static inline void model_listing(struct world *w, struct json request, struct buf *out)
{
    int64_t at = 0, before = INT64_MAX;
    struct str text = json_str(json_get_c(request, "before"));
    int n = 0;
    str_int64(json_str(json_get_c(request, "from")), &at);
    if (text.n && !iso_parse(text, &before))
        fail_msg("before is no instant: %.*s", STR_FMT(text));
    buf_adds(out, "{\"ok\":true,\"entities\":[");
    for (; at < BLUEPRINTS * IDS && n < 7; at++) {
        int b = (int)at / IDS, id = (int)at % IDS;
        if (!w->port[b][id] || w->updated_us[b][id] >= before)
            continue;
        write_entity(out, w, b, id, n++ == 0);
    }
    if (at < BLUEPRINTS * IDS)
        buf_addf(out, "],\"next\":\"%d\"}", (int)at);
    else
        buf_adds(out, "],\"next\":null}");
}

static inline void model_state(struct world *w, struct json body)
{
    struct str status = json_str(json_get_c(body, "status"));
    snprintf(w->state, sizeof(w->state), "%.*s", STR_FMT(status));
    if (str_is(status, "running"))
        w->running++;
    else
        w->ended++;
}

#define MODEL_RESOURCE(kind, more)                                                                                     \
    "{\"kind\":\"" kind "\",\"selector\":{\"query\":\"true\"},\"port\":{\"entity\":{\"mappings\":{\"identifier\":"       \
    "\".id\",\"blueprint\":\"\\\"" kind "\\\"\",\"title\":\".v\"" more "}}}}"

static inline void model_answer(struct model_port *m, struct str path, struct str query, struct json body,
                                struct buf *out)
{
    struct world *w = m->world;
    struct str name = {path.p + 15, path.n > 15 ? path.n - 15 : 0};
    name = str_split(name, '/', &(struct str){0});
    if (str_ends(path, STR("/auth/access_token"))) {
        buf_adds(out, "{\"ok\":true,\"accessToken\":\"token-1234567\",\"expiresIn\":10800,\"tokenType\":\"Bearer\"}");
    } else if (str_ends(path, STR("/resync-state"))) {
        model_state(w, body);
        buf_adds(out, "{\"ok\":true}");
    } else if (str_starts(path, STR("/v1/integration/"))) {
        buf_addf(out,
                 "{\"ok\":true,\"integration\":{\"identifier\":\"sim\",\"config\":{%s\"resources\":["
                 MODEL_RESOURCE("a", "") "," MODEL_RESOURCE("b", ",\"relations\":{\"owner\":\".owner\"}") "]}}}",
                 w->cautious ? "" : "\"entityDeletionThreshold\":1,");
    } else if (str_ends(path, STR("/entities/search"))) {
        model_search(w, body, out);
    } else if (str_ends(path, STR("/datasource-entities"))) {
        model_listing(w, body, out);
    } else if (str_ends(path, STR("/bulk/entities/delete"))) {
        static const char all[] = "delete_dependents=true";
        bool cascade = memmem(query.p, query.n, all, sizeof(all) - 1) != NULL, first = true;
        buf_adds(out, "{\"ok\":true,\"deletedEntities\":[");
        for (struct json_iter it = json_iter(json_get_c(body, "entities")); json_next(&it);) {
            if (!model_delete(w, blueprint_index(name), id_of(it.val), cascade))
                continue;
            buf_addf(out, "%s\"%d\"", first ? "" : ",", id_of(it.val));
            first = false;
        }
        buf_adds(out, "]}");
    } else if (str_ends(path, STR("/entities/bulk"))) {
        model_bulk(m, blueprint_index(name), json_get_c(body, "entities"), out);
    } else if (str_ends(path, STR("/entities"))) {
        model_upsert(w, blueprint_index(name), body);
        buf_adds(out, "{\"ok\":true,\"entity\":");
        json_write(out, body);
        buf_addc(out, '}');
    } else {
        buf_addf(out,
                 "{\"ok\":true,\"blueprint\":{\"identifier\":\"%.*s\",\"schema\":{\"properties\":{}},\"relations\":{%s}}}",
                 STR_FMT(name), str_is(name, "b") ? "\"owner\":{\"target\":\"a\"}" : "");
    }
}

static inline void model_handle(void *arg, struct http_call *c)
{
    struct model_port *m = arg;
    struct json_doc *doc = NULL;
    struct err e;
    struct buf out;
    static const int statuses[] = {500, 503, 502, 429, 422};
    unsigned fault = m->world->faults && m->random_below(100) < m->world->faults ? 1 + m->random_below(9) : 0;
    m->world->requests++;
    buf_init(&out, BUF_NO_LIMIT);
    if (fault == 1) {
        http_abort(c);
        return;
    }
    if (fault > 1 && fault < 7 && !str_ends(http_call_path(c), STR("/access_token"))) {
        buf_adds(&out, "{\"ok\":false,\"error\":\"x\",\"message\":\"a fault of the simulation\"}");
        http_reply(c, statuses[fault - 2], "application/json", &out, NULL, 0);
        return;
    }
    if (http_call_body(c).n && json_parse(http_call_body(c), &doc, &e) < 0)
        fail_msg("bad JSON from the runtime: %s", e.msg);
    model_answer(m, http_call_path(c), http_call_query(c), doc ? json_root(doc) : JSON_NONE, &out);
    json_unref(doc);
    if (fault == 7) { /* done, but nobody is told */
        buf_done(&out);
        http_abort(c);
        return;
    }
    if (fault == 8) /* told, but not to the end */
        out.n = out.n / 2;
    http_reply(c, 200, "application/json", &out, NULL, 0);
}
