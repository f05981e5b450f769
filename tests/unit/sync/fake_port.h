/* fake_port.h: a scripted Port and a scripted source for tests of the sync engine.
 *
 * The fake Port keeps no state between requests: it holds the entities a test gave it, answers lookups and listings
 * from them, accepts everything else unless the test says otherwise, and remembers each request. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "config/settings.h"
#include "io/http_server.h"
#include "io/worker.h"
#include "port/client.h"
#include "store/state.h"
#include "sync/resync.h"
#include "json/compare.h"
#include "json/write.h"

#define MAX_REQUESTS 2000
#define MAX_STEPS 64

struct request {
    char *method, *path, *query, *body, *agent;
};

struct fixture;

struct fake_port {
    struct http_server *server;
    struct request requests[MAX_REQUESTS];
    size_t n;
    const char *config;          /* the mapping, JSON text */
    struct json_doc *owned;      /* array: what Port has: lookups and listings answer from it */
    struct json_doc *blueprints; /* object: identifier -> blueprint */
    size_t page;                 /* entities a listing page; 0: all */
    int lookup_status, list_status, bulk_status, examples_status, example_failures, blueprint_status;
    /* Answer of bulk number `nth` (from 0); NULL: everything is accepted. Returns the status, 0: default. */
    int (*on_bulk)(struct fixture *f, size_t nth, struct json entities, struct buf *out);
    /* Status of a single upsert; NULL: 200. */
    int (*on_single)(struct fixture *f, size_t nth, struct json entity);
    void (*on_list)(struct fixture *f); /* a page of the listing was asked for */
    size_t bulks, singles, max_in_flight;
    struct http_call *held[64]; /* bulks kept waiting while hold is set */
    size_t nheld;
    bool hold;
};

enum step_kind { STEP_BATCH, STEP_LIST, STEP_ERROR, STEP_TAINT, STEP_WAIT };
struct step {
    enum step_kind kind;
    const char *text; /* JSON, or the message */
};
struct script { /* of one resource kind */
    const char *kind;
    struct step steps[MAX_STEPS];
    size_t n;
    struct source_report report;
};

struct fake_run { /* of one resource */
    struct fixture *f;
    const struct script *script;
    struct sink *sink;
    size_t at;
    bool cancelled, over;
};

struct fixture {
    struct loop *loop;
    struct fake_port fake;
    struct port *port;
    struct state *state;
    struct settings settings;
    struct source source;
    struct engine engine;
    struct script scripts[8];
    size_t nscripts;
    struct fake_run runs[64];
    size_t nruns;
    int start_hooks, complete_hooks;
    const char *start_hook_error;
    bool start_hook_http;
    char dir[64];
    /* the finished run */
    struct resync *resync;
    bool done;
    char *summary;
    int exit_code;
    bool aborted, failed;
    char *failure;
    size_t deleted, held_back;
    struct resource_report resources[8]; /* counters only; errors and kind are not kept */
    char *errors;                        /* "where: message xN\n" of all resources */
    /* extra options of the next run */
    const char *kinds[2];
    size_t nkinds;
    const char *allow_empty[2];
    size_t nallow_empty;
    double max_shrink;
    const struct preview_opts *preview;
    bool planned, plan_refused;
    size_t progress;                                 /* items extracted, as last told */
    void (*on_step)(struct fixture *f, size_t step); /* before a step of the source */
};

/* The fake Port ---------------------------------------------------------------------------------------------------- */

static inline void fake_reply(struct http_call *c, int status, const char *text)
{
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    buf_adds(&b, text);
    http_reply(c, status, "application/json", &b, NULL, 0);
}

static inline struct json_doc *fake_parse(struct str text)
{
    struct json_doc *d = NULL;
    struct err e;
    if (json_parse(text, &d, &e) < 0)
        fail_msg("bad JSON: %s", e.msg);
    return d;
}

static inline bool fake_has_value(struct json list, struct str id)
{
    if (json_is_str(list))
        return str_eq(json_str(list), id);
    for (struct json_iter it = json_iter(list); json_next(&it);)
        if (str_eq(json_str(it.val), id))
            return true;
    return false;
}

static inline void fake_search(struct fixture *f, struct http_call *c)
{
    if (f->fake.lookup_status) {
        fake_reply(c, f->fake.lookup_status, "{\"ok\":false,\"error\":\"x\",\"message\":\"lookup fails\"}");
        return;
    }
    struct json_doc *d = fake_parse(http_call_body(c));
    struct json ids = JSON_NONE;
    struct str blueprint = STR_NULL;
    for (struct json_iter it = json_iter(json_get_c(json_root(d), "rules")); json_next(&it);) {
        if (str_is(json_str(json_get_c(it.val, "property")), "$identifier"))
            ids = json_get_c(it.val, "value");
        if (str_is(json_str(json_get_c(it.val, "property")), "$blueprint"))
            blueprint = json_str(json_get_c(it.val, "value"));
    }
    struct buf out;
    buf_init(&out, BUF_NO_LIMIT);
    buf_adds(&out, "{\"ok\":true,\"entities\":[");
    size_t n = 0;
    for (struct json_iter it = json_iter(f->fake.owned ? json_root(f->fake.owned) : JSON_NONE); json_next(&it);) {
        if (!str_eq(json_str(json_get_c(it.val, "blueprint")), blueprint) ||
            !fake_has_value(ids, json_str(json_get_c(it.val, "identifier"))))
            continue;
        if (n++)
            buf_addc(&out, ',');
        json_write(&out, it.val);
    }
    buf_adds(&out, "]}");
    json_unref(d);
    http_reply(c, 200, "application/json", &out, NULL, 0);
}

static inline void fake_listing(struct fixture *f, struct http_call *c)
{
    if (f->fake.on_list)
        f->fake.on_list(f);
    if (f->fake.list_status) {
        fake_reply(c, f->fake.list_status, "{\"ok\":false,\"error\":\"x\",\"message\":\"listing fails\"}");
        return;
    }
    struct json_doc *d = fake_parse(http_call_body(c));
    int64_t from = 0;
    str_int64(json_str(json_get_c(json_root(d), "from")), &from);
    json_unref(d);
    struct json all = f->fake.owned ? json_root(f->fake.owned) : JSON_NONE;
    size_t n = json_len(all), end = f->fake.page && (size_t)from + f->fake.page < n ? (size_t)from + f->fake.page : n;
    struct buf out;
    buf_init(&out, BUF_NO_LIMIT);
    buf_adds(&out, "{\"ok\":true,\"entities\":[");
    size_t i = 0;
    for (struct json_iter it = json_iter(all); json_next(&it); i++) {
        if (i < (size_t)from || i >= end)
            continue;
        if (i > (size_t)from)
            buf_addc(&out, ',');
        json_write(&out, it.val);
    }
    if (end < n)
        buf_addf(&out, "],\"next\":\"%zu\"}", end);
    else
        buf_adds(&out, "],\"next\":null}");
    http_reply(c, 200, "application/json", &out, NULL, 0);
}

static inline bool fake_owns(const struct fixture *f, struct json entity)
{
    for (struct json_iter it = json_iter(f->fake.owned ? json_root(f->fake.owned) : JSON_NONE); json_next(&it);)
        if (json_equal(json_get_c(it.val, "identifier"), json_get_c(entity, "identifier")) &&
            json_equal(json_get_c(it.val, "blueprint"), json_get_c(entity, "blueprint")))
            return true;
    return false;
}

static inline void fake_bulk(struct fixture *f, struct http_call *c)
{
    struct json_doc *d = fake_parse(http_call_body(c));
    struct json entities = json_get_c(json_root(d), "entities");
    struct buf out;
    buf_init(&out, BUF_NO_LIMIT);
    size_t nth = f->fake.bulks++;
    int status = f->fake.on_bulk ? f->fake.on_bulk(f, nth, entities, &out) : f->fake.bulk_status;
    if (status == 0) {
        buf_reset(&out);
        buf_adds(&out, "{\"ok\":true,\"errors\":[],\"entities\":[");
        size_t i = 0;
        for (struct json_iter it = json_iter(entities); json_next(&it); i++) {
            buf_addf(&out, "%s{\"index\":%zu,\"created\":%s,\"identifier\":", i ? "," : "", i,
                     fake_owns(f, it.val) ? "false" : "true");
            json_write(&out, json_get_c(it.val, "identifier"));
            buf_addc(&out, '}');
        }
        buf_adds(&out, "]}");
        status = 207;
    } else if (out.n == 0) {
        buf_adds(&out, "{\"ok\":false,\"error\":\"internal\",\"message\":\"bulk fails\"}");
    }
    json_unref(d);
    http_reply(c, status, "application/json", &out, NULL, 0);
}

static inline void fake_single(struct fixture *f, struct http_call *c)
{
    struct json_doc *d = fake_parse(http_call_body(c));
    size_t nth = f->fake.singles++;
    int status = f->fake.on_single ? f->fake.on_single(f, nth, json_root(d)) : 200;
    struct buf out;
    buf_init(&out, BUF_NO_LIMIT);
    if (status < 400) {
        buf_adds(&out, "{\"ok\":true,\"entity\":");
        json_write(&out, json_root(d));
        buf_adds(&out, "}");
    } else {
        buf_adds(&out, "{\"ok\":false,\"error\":\"invalid_request\",\"message\":\"single fails\"}");
    }
    json_unref(d);
    http_reply(c, status, "application/json", &out, NULL, 0);
}

static inline void fake_delete(struct http_call *c)
{
    struct json_doc *d = fake_parse(http_call_body(c));
    struct buf out;
    buf_init(&out, BUF_NO_LIMIT);
    buf_adds(&out, "{\"ok\":true,\"deletedEntities\":");
    json_write(&out, json_get_c(json_root(d), "entities"));
    buf_adds(&out, "}");
    json_unref(d);
    http_reply(c, 200, "application/json", &out, NULL, 0);
}

static inline void fake_blueprint(struct fixture *f, struct http_call *c, struct str name)
{
    struct json b = json_get(f->fake.blueprints ? json_root(f->fake.blueprints) : JSON_NONE, name);
    struct buf out;
    buf_init(&out, BUF_NO_LIMIT);
    if (f->fake.blueprint_status || !b.v) {
        buf_adds(&out, "{\"ok\":false,\"error\":\"not_found\",\"message\":\"no such blueprint\"}");
    } else {
        buf_adds(&out, "{\"ok\":true,\"blueprint\":");
        json_write(&out, b);
        buf_adds(&out, "}");
    }
    http_reply(c,
               f->fake.blueprint_status ? f->fake.blueprint_status
               : b.v                    ? 200
                                        : 404,
               "application/json", &out, NULL, 0);
}

static inline void fake_blueprint_list(struct fixture *f, struct http_call *c)
{
    struct buf out;
    size_t n = 0;
    buf_init(&out, BUF_NO_LIMIT);
    buf_adds(&out, "{\"ok\":true,\"blueprints\":[");
    for (struct json_iter it = json_iter(json_root(f->fake.blueprints)); json_next(&it);) {
        buf_adds(&out, n++ ? "," : "");
        json_write(&out, it.val);
    }
    buf_adds(&out, "]}");
    http_reply(c, 200, "application/json", &out, NULL, 0);
}

static inline void fake_route(struct fixture *f, struct http_call *c, struct str method, struct str path)
{
    struct fake_port *p = &f->fake;
    if (str_ends(path, STR("/auth/access_token"))) {
        fake_reply(c, 200,
                   "{\"ok\":true,\"accessToken\":\"fake-token-1234\",\"expiresIn\":10800,\"tokenType\":\"Bearer\"}");
    } else if (str_ends(path, STR("/resync-state"))) {
        fake_reply(c, 200, "{\"ok\":true}");
    } else if (str_ends(path, STR("/examples"))) {
        bool fails = p->example_failures > 0;
        p->example_failures -= fails;
        fake_reply(c, fails ? 500 : 200, fails ? "{\"ok\":false,\"error\":\"x\",\"message\":\"y\"}" : "{\"ok\":true}");
    } else if (str_is(path, "/v1/integration/my-jira")) {
        char *text = xasprintf("{\"ok\":true,\"integration\":{\"identifier\":\"my-jira\",\"config\":%s}}", p->config);
        fake_reply(c, 200, text);
        free(text);
    } else if (str_ends(path, STR("/entities/search"))) {
        fake_search(f, c);
    } else if (str_ends(path, STR("/datasource-entities"))) {
        fake_listing(f, c);
    } else if (str_ends(path, STR("/bulk/entities/delete"))) {
        fake_delete(c);
    } else if (str_ends(path, STR("/entities/bulk"))) {
        if (p->hold)
            p->held[p->nheld++] = c;
        else
            fake_bulk(f, c);
    } else if (str_ends(path, STR("/entities")) && str_is(method, "POST")) {
        fake_single(f, c);
    } else if (str_is(path, "/v1/blueprints") && f->fake.blueprints) {
        fake_blueprint_list(f, c);
    } else if (str_starts(path, STR("/v1/blueprints/"))) {
        fake_blueprint(f, c, (struct str){path.p + 15, path.n - 15});
    } else {
        fake_reply(c, 404, "{\"ok\":false,\"error\":\"not_found\",\"message\":\"no such route in the fake Port\"}");
    }
}

static inline char *fake_copy(struct str s) { return s.p ? str_dup(s) : xstrdup(""); }

static inline void fake_handle(void *arg, struct http_call *c)
{
    struct fixture *f = arg;
    assert_true(f->fake.n < MAX_REQUESTS);
    struct request *r = &f->fake.requests[f->fake.n++];
    r->method = xstrdup(http_call_method(c));
    r->path = fake_copy(http_call_path(c));
    r->query = fake_copy(http_call_query(c));
    r->body = fake_copy(http_call_body(c));
    r->agent = fake_copy(http_call_header(c, STR("User-Agent")));
    fake_route(f, c, str_of(r->method), str_of(r->path));
}

/* Looking at the journal */

static inline bool request_is(const struct request *r, const char *method, const char *suffix)
{
    return strcmp(r->method, method) == 0 && str_ends(str_of(r->path), str_of(suffix));
}

static inline size_t requests_to(const struct fixture *f, const char *method, const char *suffix)
{
    size_t n = 0;
    for (size_t i = 0; i < f->fake.n; i++)
        n += request_is(&f->fake.requests[i], method, suffix);
    return n;
}

static inline const struct request *nth_request(const struct fixture *f, const char *method, const char *suffix,
                                                size_t nth)
{
    for (size_t i = 0; i < f->fake.n; i++)
        if (request_is(&f->fake.requests[i], method, suffix) && nth-- == 0)
            return &f->fake.requests[i];
    fail_msg("no such request: %s %s", method, suffix);
    return NULL;
}

/* "20 20 5": elements of member `list` of each such request's body. */
static inline const char *sizes_of(const struct fixture *f, const char *suffix, const char *list)
{
    static char text[512];
    text[0] = 0;
    for (size_t i = 0; i < f->fake.n; i++) {
        if (!request_is(&f->fake.requests[i], "POST", suffix))
            continue;
        struct json_doc *d = fake_parse(str_of(f->fake.requests[i].body));
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%zu", *text ? " " : "",
                 json_len(json_get(json_root(d), str_of(list))));
        json_unref(d);
    }
    return text;
}

/* "1 2 3": identifiers of all entities of all bulks or deletes, in the order of the requests. */
static inline const char *identifiers_of(const struct fixture *f, const char *suffix)
{
    static char text[4096];
    struct buf out;
    buf_init(&out, BUF_NO_LIMIT);
    for (size_t i = 0; i < f->fake.n; i++) {
        if (!request_is(&f->fake.requests[i], "POST", suffix))
            continue;
        struct json_doc *d = fake_parse(str_of(f->fake.requests[i].body));
        struct json list = json_get_c(json_root(d), "entities");
        if (!list.v) { /* a single upsert */
            buf_adds(&out, out.n ? " " : "");
            json_identifier_text(&out, json_get_c(json_root(d), "identifier"));
        }
        for (struct json_iter it = json_iter(list); json_next(&it);) {
            buf_adds(&out, out.n ? " " : "");
            json_identifier_text(&out, json_is_obj(it.val) ? json_get_c(it.val, "identifier") : it.val);
        }
        json_unref(d);
    }
    snprintf(text, sizeof(text), "%s", buf_cstr(&out));
    buf_done(&out);
    return text;
}

#define BULK "/entities/bulk"
#define LOOKUP "/entities/search"
#define LISTING "/datasource-entities"
#define DELETE "/bulk/entities/delete"
#define STATE "/resync-state"
#define EXAMPLES "/examples"

/* The fake source -------------------------------------------------------------------------------------------------- */

static inline void fake_step(void *arg);

static inline void fake_room(void *arg)
{
    struct fake_run *r = arg;
    loop_defer(r->f->loop, fake_step, r);
}

static inline void fake_over(struct fake_run *r)
{
    if (r->over)
        return;
    r->over = true;
    r->sink->ops->done(r->sink, &r->script->report);
}

static inline void fake_step(void *arg)
{
    struct fake_run *r = arg;
    if (r->over)
        return;
    while (!r->cancelled && r->at < r->script->n) {
        if (r->f->on_step)
            r->f->on_step(r->f, r->at);
        if (r->cancelled)
            break;
        const struct step *s = &r->script->steps[r->at++];
        switch (s->kind) {
        case STEP_BATCH:
        case STEP_LIST: {
            struct json_doc *d = fake_parse(str_of(s->text));
            if (r->sink->ops->push(r->sink, d, json_root(d), s->kind == STEP_LIST, fake_room, r) == PUSHED_FULL)
                return;
            break;
        }
        case STEP_ERROR: r->sink->ops->error(r->sink, "script.lua:7", s->text); break;
        case STEP_TAINT: r->sink->ops->taint(r->sink, s->text); break;
        case STEP_WAIT: return; /* until cancelled */
        }
    }
    fake_over(r);
}

static inline const struct script *fake_script(const struct fixture *f, struct str kind)
{
    for (size_t i = 0; i < f->nscripts; i++)
        if (str_is(kind, f->scripts[i].kind))
            return &f->scripts[i];
    return NULL;
}

static inline bool fake_has_handler(void *arg, struct str kind) { return fake_script(arg, kind) != NULL; }

static inline void fake_kinds(void *arg, struct buf *out)
{
    const struct fixture *f = arg;
    for (size_t i = 0; i < f->nscripts; i++)
        buf_addf(out, "%s%s", i ? ", " : "", f->scripts[i].kind);
}

struct fake_hook {
    struct fixture *f;
    void (*done)(void *arg, const struct err *e, bool http_error);
    void *arg;
    bool start;
};

static inline void fake_hook_over(void *arg)
{
    struct fake_hook h = *(struct fake_hook *)arg;
    struct err e = {0};
    free(arg);
    if (h.start && h.f->start_hook_error) {
        ERR(&e, ERR_SCRIPT, "%s", h.f->start_hook_error);
        h.done(h.arg, &e, h.f->start_hook_http);
        return;
    }
    h.done(h.arg, NULL, false);
}

static inline void fake_hook(void *arg, enum source_hook hook, struct event *ev,
                             void (*done)(void *done_arg, const struct err *e, bool http_error), void *done_arg)
{
    struct fixture *f = arg;
    assert_int_equal(ev->type, EVENT_RESYNC);
    *(hook == SOURCE_RESYNC_START ? &f->start_hooks : &f->complete_hooks) += 1;
    struct fake_hook *h = xmalloc(sizeof(*h));
    *h = (struct fake_hook){f, done, done_arg, hook == SOURCE_RESYNC_START};
    loop_defer(f->loop, fake_hook_over, h);
}

static inline void *fake_start(void *arg, struct event *ev, const struct mapping_resource *res, struct sink *sink)
{
    struct fixture *f = arg;
    assert_ptr_equal(ev->resource, res);
    assert_true(f->nruns < 64);
    struct fake_run *r = &f->runs[f->nruns++];
    *r = (struct fake_run){.f = f, .script = fake_script(f, res->kind), .sink = sink};
    loop_defer(f->loop, fake_step, r);
    return r;
}

static inline void fake_cancel_over(void *arg) { fake_over(arg); }

static inline void fake_cancel(void *arg, void *run)
{
    struct fixture *f = arg;
    struct fake_run *r = run;
    r->cancelled = true;
    loop_defer(f->loop, fake_cancel_over, r);
}

static inline struct script *script_for(struct fixture *f, const char *kind)
{
    for (size_t i = 0; i < f->nscripts; i++)
        if (strcmp(f->scripts[i].kind, kind) == 0)
            return &f->scripts[i];
    struct script *s = &f->scripts[f->nscripts++];
    *s = (struct script){.kind = kind, .report = {.http_requests = 1, .answers_2xx = 1}};
    return s;
}

static inline void add_step(struct fixture *f, const char *kind, enum step_kind what, const char *text)
{
    struct script *s = script_for(f, kind);
    assert_true(s->n < MAX_STEPS);
    s->steps[s->n++] = (struct step){what, text};
}

/* A batch of n items: {"id":"<prefix><from+i>","name":"n<..>","u":"u"}. Lives as long as the test process. */
static inline const char *items(const char *prefix, int from, int n)
{
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    buf_addc(&b, '[');
    for (int i = 0; i < n; i++)
        buf_addf(&b, "%s{\"id\":\"%s%d\",\"name\":\"n%d\",\"u\":\"u\"}", i ? "," : "", prefix, from + i, from + i);
    buf_addc(&b, ']');
    static char *kept[256];
    static size_t nkept;
    if (nkept == 256)
        nkept = 0;
    free(kept[nkept]);
    size_t len;
    return kept[nkept++] = buf_take(&b, &len);
}

/* The entities those items map to, as Port would hold them. */
static inline void owned_like_items(struct fixture *f, const char *blueprint, const char *prefix, int from, int n)
{
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    buf_addc(&b, '[');
    struct json old = f->fake.owned ? json_root(f->fake.owned) : JSON_NONE;
    for (struct json_iter it = json_iter(old); json_next(&it);) {
        json_write(&b, it.val);
        buf_addc(&b, ',');
    }
    for (int i = 0; i < n; i++)
        buf_addf(&b,
                 "%s{\"identifier\":\"%s%d\",\"blueprint\":\"%s\",\"title\":\"n%d\",\"properties\":{\"url\":\"u\"},"
                 "\"relations\":{}}",
                 i ? "," : "", prefix, from + i, blueprint, from + i);
    buf_addc(&b, ']');
    struct json_doc *d = fake_parse(buf_str(&b));
    buf_done(&b);
    json_unref(f->fake.owned);
    f->fake.owned = d;
}

static inline void owned(struct fixture *f, const char *json)
{
    json_unref(f->fake.owned);
    f->fake.owned = fake_parse(str_of(json));
}

static inline void blueprints(struct fixture *f, const char *json)
{
    json_unref(f->fake.blueprints);
    f->fake.blueprints = fake_parse(str_of(json));
}

/* The fixture ------------------------------------------------------------------------------------------------------ */

#define ISSUE_MAPPINGS(blueprint)                                                                                      \
    "{\"identifier\":\".id\",\"blueprint\":\"\\\"" blueprint                                                           \
    "\\\"\",\"title\":\".name\",\"properties\":{\"url\":\".u\"}}"
#define RESOURCE(kind, query, mappings)                                                                                \
    "{\"kind\":\"" kind "\",\"selector\":{\"query\":\"" query "\"},\"port\":{\"entity\":{\"mappings\":" mappings "}}}"
#define ISSUE RESOURCE("issue", "true", ISSUE_MAPPINGS("issue"))
#define MAPPING(resources) "{\"resources\":[" resources "]}"

#define SIMPLE_BLUEPRINT(name)                                                                                         \
    "\"" name "\":{\"identifier\":\"" name                                                                             \
    "\",\"schema\":{\"properties\":{\"url\":{\"type\":\"string\"}},\"required\":[]},"                                  \
    "\"relations\":{}}"

static inline void set_up(struct fixture *f)
{
    struct err e = {0};
    bool fresh;
    memset(f, 0, sizeof(*f));
    worker_pool_setup(4);
    f->loop = loop_new();
    struct http_server_opts so = {.max_body = (size_t)8 << 20, .handle = fake_handle, .arg = f};
    if (http_server_start(f->loop, &so, &f->fake.server, &e) < 0)
        fail_msg("%s", e.msg);
    char *url = xasprintf("http://127.0.0.1:%d", http_server_port(f->fake.server));
    struct port_opts po = {.base_url = url,
                           .client_id = "id",
                           .client_secret = "secret",
                           .type = "jira",
                           .version = "1.4.2",
                           .identifier = "my-jira",
                           .embedded = true};
    f->port = port_new(f->loop, &po);
    free(url);
    strcpy(f->dir, "/tmp/ocean-sync-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    if (state_open(f->loop, f->dir, "my-jira", "fake", &f->state, &fresh, &e) < 0)
        fail_msg("%s", e.msg);
    f->settings = (struct settings){.upsert_max_entities = 20,
                                    .upsert_max_bytes = (size_t)1 << 20,
                                    .delete_max_entities = 100,
                                    .items_to_parse_batch = 200,
                                    .resync_lookahead = 4,
                                    .resync_concurrency = 1,
                                    .jq_env_access = true,
                                    .max_shrink_percent = 30};
    f->source = (struct source){f, fake_has_handler, fake_kinds, fake_hook, fake_start, fake_cancel};
    f->engine = (struct engine){
        .loop = f->loop, .port = f->port, .state = f->state, .source = &f->source, .settings = &f->settings};
    f->engine.mappings = mappings_new(&f->engine);
    f->fake.config = MAPPING(ISSUE);
    f->max_shrink = -1;
    blueprints(f, "{" SIMPLE_BLUEPRINT("issue") "," SIMPLE_BLUEPRINT("a") "," SIMPLE_BLUEPRINT("b") "}");
}

static inline void forget_requests(struct fixture *f)
{
    for (size_t i = 0; i < f->fake.n; i++) {
        struct request *r = &f->fake.requests[i];
        free(r->method);
        free(r->path);
        free(r->query);
        free(r->body);
        free(r->agent);
    }
    f->fake.n = f->fake.bulks = f->fake.singles = 0;
}

static inline void forget_run(struct fixture *f)
{
    free(f->summary);
    free(f->failure);
    free(f->errors);
    f->summary = f->failure = f->errors = NULL;
    f->done = false;
    f->nruns = 0;
    f->progress = 0;
}

static inline void tear_down(struct fixture *f)
{
    forget_requests(f);
    forget_run(f);
    port_free(f->port);
    mappings_free(f->engine.mappings);
    state_close(f->state);
    http_server_free(f->fake.server);
    loop_free(f->loop);
    json_unref(f->fake.owned);
    json_unref(f->fake.blueprints);
    char *command = xasprintf("rm -rf %s", f->dir);
    assert_int_equal(system(command), 0);
    free(command);
}

static inline void fake_done(void *arg, const struct resync_report *r)
{
    struct fixture *f = arg;
    struct buf out, errors;
    buf_init(&out, BUF_NO_LIMIT);
    buf_init(&errors, BUF_NO_LIMIT);
    resync_report_write(r, &out);
    for (size_t i = 0; i < r->n && i < 8; i++) {
        f->resources[i] = r->resources[i];
        for (size_t k = 0; k < r->resources[i].nerrors; k++) {
            const struct resource_error *e = &r->resources[i].errors[k];
            buf_addf(&errors, "%s: %s x%zu\n", e->where ? e->where : "", e->message, e->count);
        }
        /* The equations of the summary hold in every run. */
        const struct resource_report *x = &r->resources[i];
        assert_int_equal(x->extracted, x->filtered + x->unmappable + x->mapped);
        if (!r->planned && !(f->preview && !requests_to(f, "PATCH", STATE))) /* a plan leaves open what it would do */
            assert_int_equal(x->mapped,
                             x->created + x->updated + x->unchanged + x->rejected + x->duplicates + x->unmatched);
    }
    f->summary = xstrdup(buf_cstr(&out));
    f->errors = xstrdup(buf_cstr(&errors));
    f->failure = r->failure ? xstrdup(r->failure) : NULL;
    f->exit_code = r->exit_code;
    f->aborted = r->aborted;
    f->failed = r->failed;
    f->deleted = r->deleted;
    f->planned = r->planned;
    f->plan_refused = r->plan_refused;
    f->held_back = r->held_back;
    f->done = true;
    f->resync = NULL;
    buf_done(&out);
    buf_done(&errors);
    loop_stop(f->loop);
}

/* Numbers never go back while a run is under way. */
static inline void fake_progress(void *arg, const struct resync_report *r)
{
    struct fixture *f = arg;
    size_t extracted = 0;
    for (size_t i = 0; i < r->n; i++)
        extracted += r->resources[i].extracted;
    assert_true(extracted >= f->progress);
    f->progress = extracted;
}

static inline struct resync *begin_resync(struct fixture *f)
{
    struct resync_opts o = {.engine = &f->engine,
                            .trigger = TRIGGER_MACHINE,
                            .kinds = f->kinds,
                            .nkinds = f->nkinds,
                            .allow_empty = f->allow_empty,
                            .nallow_empty = f->nallow_empty,
                            .max_shrink_percent = f->max_shrink,
                            .preview = f->preview};
    forget_run(f);
    f->resync = resync_start(&o, fake_progress, fake_done, f);
    return f->resync;
}

static inline void run_resync(struct fixture *f)
{
    begin_resync(f);
    loop_run(f->loop);
    assert_true(f->done);
}

static inline int fixture_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    set_up(f);
    *state = f;
    return 0;
}

static inline int fixture_down(void **state)
{
    tear_down(*state);
    free(*state);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_up, fixture_down)
