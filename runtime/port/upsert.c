/* Bulk and single upserts. The body of a bulk is the texts joined, so their places in it are remembered: when
 * Port answers 413, each entity goes out by itself from there, in as many requests at a time as the window
 * allows (never more than 50, S-109). The outcome of the bulk is told when the last of them is known. */
#define LOG_GROUP "port.upsert"
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "port/entities_priv.h"

struct upsert;

struct single {
    struct upsert *whole;
    size_t index;
    struct port_call *call;
};

struct upsert {
    struct port *port;
    char *blueprint;
    struct write_options o;
    char *resync_id, *event_type;
    size_t n;
    size_t *at, *len; /* places of the texts in the body */
    struct port_call *call;
    upsert_done_fn done;
    void *arg;
    /* 413 fallback */
    struct upsert_result *results;
    char **owned; /* identifier and message texts, which outlive their answers */
    struct single *singles;
    size_t left;
};

/* ---- Reading answers ---- */

static bool index_of(struct json item, size_t n, size_t *ret)
{
    int64_t i;
    if (!json_int64(json_get_c(item, "index"), &i) || i < 0 || (uint64_t)i >= n)
        return false;
    *ret = (size_t)i;
    return true;
}

static void read_error(struct json item, struct upsert_result *r)
{
    int64_t status = 0;
    struct json message = json_get_c(item, "message"), error = json_get_c(item, "error");
    struct str identifier = json_str(json_get_c(item, "identifier"));
    json_int64(json_get_c(item, "statusCode"), &status);
    *r = (struct upsert_result){
        .outcome = str_is(identifier, "unknown") ? UPSERT_UNMATCHED : UPSERT_FAILED,
        .identifier = identifier,
        .status = (int)status,
        .message = json_is_str(message) ? json_str(message) : json_str(error),
    };
}

void upsert_read_bulk(struct json root, struct upsert_result *results, size_t n)
{
    size_t i;
    for (i = 0; i < n; i++)
        results[i] = (struct upsert_result){.outcome = UPSERT_FAILED,
                                            .message = STR("Port's answer does not name it")};
    for (struct json_iter it = json_iter(json_get_c(root, "entities")); json_next(&it);) {
        struct json created = json_get_c(it.val, "created");
        if (!index_of(it.val, n, &i))
            continue;
        results[i] = (struct upsert_result){
            .outcome = json_is_true(created) ? UPSERT_CREATED : UPSERT_UPDATED,
            .created_known = json_is_bool(created),
            .identifier = json_str(json_get_c(it.val, "identifier")),
        };
    }
    for (struct json_iter it = json_iter(json_get_c(root, "errors")); json_next(&it);)
        if (index_of(it.val, n, &i))
            read_error(it.val, &results[i]);
}

/* Is the identifier of this entity a search query? */
static bool has_search_identifier(struct str text)
{
    struct json_doc *d = NULL;
    if (json_parse(text, &d, NULL) < 0)
        return false;
    bool is = json_is_obj(json_get_c(json_root(d), "identifier"));
    json_unref(d);
    return is;
}

void upsert_read_single(const struct port_answer *a, struct str text, struct upsert_result *ret)
{
    struct json error = json_get_c(a->root, "error"), message = json_get_c(a->root, "message");
    if (a->status < 400) {
        *ret = (struct upsert_result){
            .outcome = a->status == 201 ? UPSERT_CREATED : UPSERT_UPDATED, /* P-151: no proof either way */
            .identifier = json_str(json_path(a->root, STR("entity.identifier"))),
        };
        return;
    }
    bool missing =
        a->status == 404 && !json_is_true(json_get_c(a->root, "ok")) && str_is(json_str(error), "not_found");
    *ret = (struct upsert_result){
        .outcome = !missing && has_search_identifier(text) ? UPSERT_UNMATCHED : UPSERT_FAILED,
        .status = a->status,
        .message = json_is_str(message) ? json_str(message)
                   : json_is_str(error) ? json_str(error)
                                        : a->text,
    };
}

/* ---- Life ---- */

static struct upsert *upsert_new(struct port *p, struct str blueprint, size_t n,
                                 const struct write_options *o, upsert_done_fn done, void *arg)
{
    struct upsert *u = xcalloc(1, sizeof(*u));
    u->port = p;
    u->blueprint = str_dup(blueprint);
    u->o = *o;
    u->o.event_type = u->event_type = o->event_type ? xstrdup(o->event_type) : NULL;
    u->o.resync_id = u->resync_id = o->resync_id ? xstrdup(o->resync_id) : NULL;
    u->n = n;
    u->at = xcalloc(n ? n : 1, sizeof(*u->at));
    u->len = xcalloc(n ? n : 1, sizeof(*u->len));
    u->results = xcalloc(n ? n : 1, sizeof(*u->results));
    u->done = done;
    u->arg = arg;
    return u;
}

static void upsert_free(struct upsert *u)
{
    for (size_t i = 0; u->owned && i < 2 * u->n; i++)
        free(u->owned[i]);
    free(u->owned);
    free(u->singles);
    free(u->results);
    free(u->at);
    free(u->len);
    free(u->resync_id);
    free(u->event_type);
    free(u->blueprint);
    free(u);
}

/* The port goes away with the request still out. */
static void drop(void *arg) { upsert_free(arg); }

static void drop_single(void *arg)
{
    struct single *s = arg;
    if (--s->whole->left == 0)
        upsert_free(s->whole);
}

/* The request failed as a whole: every entity failed with it. */
static void fail_all(struct upsert *u, const struct err *e)
{
    for (size_t i = 0; i < u->n; i++)
        u->results[i] = (struct upsert_result){
            .outcome = UPSERT_FAILED, .status = e->http_status, .message = str_of(e->msg)};
    u->done(u->arg, u->results, u->n, e);
    upsert_free(u);
}

static void answer_error(const struct upsert *u, const struct port_answer *a, const char *rest, struct err *e)
{
    char *path = xasprintf("/blueprints/%s%s", u->blueprint, rest);
    port_answer_err(a, "POST", path, e);
    free(path);
}

/* ---- The way through 413 ---- */

static struct str keep(struct upsert *u, size_t slot, struct str s)
{
    if (!s.p)
        return s;
    u->owned[slot] = str_dup(s);
    return (struct str){u->owned[slot], s.n};
}

static void on_single(void *arg, const struct port_answer *a, const struct err *e)
{
    struct single *s = arg;
    struct upsert *u = s->whole;
    struct upsert_result *r = &u->results[s->index];
    if (a)
        upsert_read_single(a, port_call_body(s->call), r);
    else
        *r = (struct upsert_result){.outcome = UPSERT_FAILED, .message = str_of(e->msg)};
    r->identifier = keep(u, 2 * s->index, r->identifier);
    r->message = keep(u, 2 * s->index + 1, r->message);
    if (--u->left)
        return;
    u->done(u->arg, u->results, u->n, NULL);
    upsert_free(u);
}

static struct port_call *send_single(struct upsert *u, struct str text, port_done_fn done, void *arg)
{
    struct buf path, query;
    buf_init(&path, BUF_NO_LIMIT);
    buf_init(&query, BUF_NO_LIMIT);
    entities_path(&path, str_of(u->blueprint), "/entities");
    entities_write_query(&query, &u->o);
    struct port_request r = {
        .method = "POST",
        .path = buf_cstr(&path),
        .query = buf_cstr(&query),
        .feature = u->o.feature == PORT_GITOPS ? PORT_GITOPS : PORT_EXPORTER,
        .retry = PORT_RETRY_ALWAYS,
    };
    buf_init(&r.body, BUF_NO_LIMIT);
    buf_addstr(&r.body, text);
    struct port_call *c = port_send(u->port, &r, done, arg);
    buf_done(&path);
    buf_done(&query);
    return c;
}

static void one_by_one(struct upsert *u, struct str body)
{
    log_info("a bulk of %zu entities of blueprint %s is too large for Port; sending them one by one", u->n,
             u->blueprint);
    u->owned = xcalloc(2 * u->n, sizeof(*u->owned));
    u->singles = xcalloc(u->n, sizeof(*u->singles));
    u->left = u->n;
    for (size_t i = 0; i < u->n; i++) {
        u->singles[i] = (struct single){u, i, NULL};
        u->singles[i].call =
            send_single(u, (struct str){body.p + u->at[i], u->len[i]}, on_single, &u->singles[i]);
        u->singles[i].call->drop = drop_single;
    }
}

/* ---- Bulk and single ---- */

static void on_bulk(void *arg, const struct port_answer *a, const struct err *e)
{
    struct upsert *u = arg;
    struct err mine = {0};
    if (!a) {
        fail_all(u, e);
    } else if (a->status == 413 && u->n) {
        one_by_one(u, port_call_body(u->call));
    } else if (a->status >= 400) {
        answer_error(u, a, "/entities/bulk", &mine);
        fail_all(u, &mine);
    } else if (!json_is_obj(a->root)) {
        ERR(&mine, ERR_PARSE, "the answer to POST /blueprints/%s/entities/bulk is no JSON object",
            u->blueprint);
        fail_all(u, &mine);
    } else {
        upsert_read_bulk(a->root, u->results, u->n);
        u->done(u->arg, u->results, u->n, NULL);
        upsert_free(u);
    }
}

void port_bulk_upsert(struct port *p, struct str blueprint, const struct str *texts, size_t n,
                      const struct write_options *o, upsert_done_fn done, void *arg)
{
    struct upsert *u = upsert_new(p, blueprint, n, o, done, arg);
    struct buf path, query;
    buf_init(&path, BUF_NO_LIMIT);
    buf_init(&query, BUF_NO_LIMIT);
    entities_path(&path, blueprint, "/entities/bulk");
    entities_write_query(&query, o);
    struct port_request r = {
        .method = "POST",
        .path = buf_cstr(&path),
        .query = buf_cstr(&query),
        .feature = o->feature == PORT_GITOPS ? PORT_GITOPS : PORT_EXPORTER,
        .retry = PORT_RETRY_ALWAYS,
    };
    size_t total = 16;
    for (size_t i = 0; i < n; i++)
        total += texts[i].n + 1;
    buf_init(&r.body, BUF_NO_LIMIT);
    buf_reserve(&r.body, total);
    buf_adds(&r.body, "{\"entities\":[");
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_addc(&r.body, ',');
        u->at[i] = r.body.n;
        u->len[i] = texts[i].n;
        buf_addstr(&r.body, texts[i]);
    }
    buf_adds(&r.body, "]}");
    u->call = port_send(p, &r, on_bulk, u);
    u->call->drop = drop;
    buf_done(&path);
    buf_done(&query);
}

static void on_only(void *arg, const struct port_answer *a, const struct err *e)
{
    struct upsert *u = arg;
    struct err mine = {0};
    if (!a) {
        fail_all(u, e);
        return;
    }
    upsert_read_single(a, port_call_body(u->call), u->results);
    if (u->results[0].outcome == UPSERT_FAILED)
        answer_error(u, a, "/entities", &mine);
    u->done(u->arg, u->results, 1, mine.code ? &mine : NULL);
    upsert_free(u);
}

void port_single_upsert(struct port *p, struct str blueprint, struct str text, const struct write_options *o,
                        upsert_done_fn done, void *arg)
{
    struct upsert *u = upsert_new(p, blueprint, 1, o, done, arg);
    u->call = send_single(u, text, on_only, u);
    u->call->drop = drop;
}
