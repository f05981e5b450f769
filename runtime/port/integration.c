/* The integration document at run time: reading the mapping, telling the state of a resync, uploading
 * examples. Start-up is in setup.c. */
#define LOG_GROUP "port.integration"
#include "port/integration.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "port/integration_priv.h"
#include "json/write.h"

#define READ_QUERY "oceanCoreVersion=" PORT_CORE_VERSION "&isPolling=false"

void integration_path(const struct port *p, struct buf *out, const char *rest)
{
    buf_adds(out, "/integration/");
    url_encode(out, str_of(p->identifier));
    buf_adds(out, rest);
}

void integration_read(struct port *p, port_done_fn done, void *arg, void (*drop)(void *))
{
    struct buf path;
    buf_init(&path, BUF_NO_LIMIT);
    integration_path(p, &path, "");
    struct port_request r = {.method = "GET", .path = buf_cstr(&path), .query = READ_QUERY};
    buf_init(&r.body, 0);
    port_send(p, &r, done, arg)->drop = drop;
    buf_done(&path);
}

/* ---- Mapping ---- */

struct mapping_read {
    struct port *port;
    void (*done)(void *arg, struct mapping_doc *m, const struct err *e);
    void *arg;
};

static int read_mapping(const struct mapping_read *r, const struct port_answer *a, struct mapping_doc **ret,
                        struct err *e)
{
    char *path = xasprintf("/integration/%s", r->port->identifier);
    struct json config = json_path(a->root, STR("integration.config"));
    int rc;
    if (a->status >= 400)
        rc = port_answer_err(a, "GET", path, e);
    else if (!config.v)
        rc = ERR(e, ERR_PARSE, "the answer to GET %s holds no integration.config", path);
    else
        rc = mapping_doc_parse(config, ret, e);
    free(path);
    if (rc < 0) {
        log_debug("the document read for the mapping: %.*s", STR_FMT(a->text));
        return err_wrap(e, "the mapping of integration %s in Port", r->port->identifier);
    }
    if (json_is_null(config) || json_len(config) == 0)
        log_warn("the mapping of integration %s in Port is empty: nothing is synced; add resources to it in "
                 "Port, or run once "
                 "with --reset-mapping to install the default one",
                 r->port->identifier);
    return 0;
}

static void on_mapping(void *arg, const struct port_answer *a, const struct err *e)
{
    struct mapping_read *r = arg;
    struct mapping_doc *m = NULL;
    struct err mine = {0};
    if (a && read_mapping(r, a, &m, &mine) < 0)
        e = &mine;
    r->done(r->arg, m, e);
    free(r);
}

void port_get_mapping(struct port *p, void (*done)(void *arg, struct mapping_doc *m, const struct err *e),
                      void *arg)
{
    struct mapping_read *r = xcalloc(1, sizeof(*r));
    r->port = p;
    r->done = done;
    r->arg = arg;
    integration_read(p, on_mapping, r, free);
}

/* ---- Plain requests ---- */

struct plain {
    port_plain_fn done;
    void *arg;
    char *method, *path;
};

static void plain_free(void *arg)
{
    struct plain *p = arg;
    free(p->method);
    free(p->path);
    free(p);
}

static void on_plain(void *arg, const struct port_answer *a, const struct err *e)
{
    struct plain *p = arg;
    struct err mine = {0};
    if (a && a->status >= 400) {
        port_answer_err(a, p->method, p->path, &mine);
        e = &mine;
    }
    p->done(p->arg, e);
    plain_free(p);
}

static void send_plain(struct port *p, struct port_request *r, port_plain_fn done, void *arg)
{
    struct plain *c = xcalloc(1, sizeof(*c));
    c->done = done;
    c->arg = arg;
    c->method = xstrdup(r->method);
    c->path = xstrdup(r->path);
    port_send(p, r, on_plain, c)->drop = plain_free;
}

/* ---- Resync state ---- */

int64_t integration_next_resync(int64_t start_us, int64_t now_us, int interval_min)
{
    int64_t step = (int64_t)interval_min * 60 * 1000000, passed = now_us - start_us;
    if (passed < 0)
        passed = 0;
    return start_us + (passed / step + 1) * step;
}

static void write_instant(struct jw *w, int64_t us)
{
    char text[40];
    iso_format(text, us, ISO_OFFSET);
    jw_str(w, str_of(text));
}

void integration_state_body(struct buf *out, const char *status, int interval_min, int64_t start_us,
                            int64_t now_us)
{
    bool running = str_is(str_of(status), "running");
    struct jw w = jw_on(out);
    jw_obj(&w);
    jw_key_c(&w, "status");
    jw_str(&w, str_of(status));
    jw_key_c(&w, "lastResyncEnd");
    if (running) {
        jw_null(&w);
        jw_key_c(&w, "lastResyncStart");
    }
    write_instant(&w, now_us);
    jw_key_c(&w, "nextResync");
    if (interval_min > 0 && !running)
        write_instant(&w, integration_next_resync(start_us, now_us, interval_min));
    else
        jw_null(&w);
    jw_key_c(&w, "intervalInMinuets"); /* the spelling of the wire */
    if (interval_min > 0 && !running)
        jw_int(&w, interval_min);
    else
        jw_null(&w);
    jw_end_obj(&w);
}

void port_resync_state(struct port *p, const char *status, int interval_min, port_plain_fn done, void *arg)
{
    struct buf path;
    buf_init(&path, BUF_NO_LIMIT);
    integration_path(p, &path, "/resync-state");
    struct port_request r = {.method = "PATCH", .path = buf_cstr(&path), .retry = PORT_RETRY_ALWAYS};
    buf_init(&r.body, BUF_NO_LIMIT);
    integration_state_body(&r.body, status, interval_min, p->started_us, clock_wall_us());
    send_plain(p, &r, done, arg);
    buf_done(&path);
}

/* ---- Instants ---- */

struct instant_read {
    port_instant_fn done;
    void *arg;
    const char *member; /* path of the instant in the answer */
};

static void on_instant(void *arg, const struct port_answer *a, const struct err *e)
{
    struct instant_read *r = arg;
    struct err mine = {0};
    struct str text = STR_NULL;
    if (a && a->status >= 400) {
        port_answer_err(a, "GET", "/integration", &mine);
        e = &mine;
    } else if (a) {
        text = json_str(json_path(a->root, str_of(r->member)));
    }
    r->done(r->arg, text, e);
    free(r);
}

static struct instant_read *instant_read(const char *member, port_instant_fn done, void *arg)
{
    struct instant_read *r = xcalloc(1, sizeof(*r));
    *r = (struct instant_read){done, arg, member};
    return r;
}

void port_resync_request(struct port *p, port_instant_fn done, void *arg)
{
    struct buf path;
    buf_init(&path, BUF_NO_LIMIT);
    integration_path(p, &path, "/resync-request");
    struct port_request r = {.method = "GET", .path = buf_cstr(&path), .retry = PORT_RETRY_NEVER};
    buf_init(&r.body, 0);
    port_send(p, &r, on_instant, instant_read("request.updatedAt", done, arg))->drop = free;
    buf_done(&path);
}

void port_last_resync_state(struct port *p, port_instant_fn done, void *arg)
{
    integration_read(p, on_instant, instant_read("integration.resyncState.updatedAt", done, arg), free);
}

void port_examples(struct port *p, struct str kind, struct buf *body, port_plain_fn done, void *arg)
{
    struct buf path;
    buf_init(&path, BUF_NO_LIMIT);
    integration_path(p, &path, "/kinds/");
    url_encode(&path, kind);
    buf_adds(&path, "/examples");
    struct port_request r = {
        .method = "POST", .path = buf_cstr(&path), .body = *body, .retry = PORT_RETRY_NEVER};
    buf_init(body, 0);
    send_plain(p, &r, done, arg);
    buf_done(&path);
}
