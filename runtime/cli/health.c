/* Two fixed routes; everything else is 404 as runtime R-196 words it. */
#define LOG_GROUP "http"
#include "cli/health.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "io/http_server.h"
#include "json/write.h"
#include "port/client.h"

struct health {
    struct http_server *server;
    bool ready;
};

static void answer_health(struct http_call *call, int status, const char *word, const char *check)
{
    struct buf body;
    buf_init(&body, 1024);
    struct jw w = jw_on(&body);
    jw_obj(&w);
    jw_key_c(&w, "status");
    jw_cstr(&w, word);
    jw_key_c(&w, "check");
    jw_cstr(&w, check);
    jw_key_c(&w, "core_version");
    jw_str_c(&w, PORT_CORE_VERSION);
    jw_end_obj(&w);
    http_reply(call, status, "application/json", &body, NULL, 0);
}

static void answer_detail(struct http_call *call, int status, const char *detail, const struct http_header *h, size_t n)
{
    struct buf body;
    buf_init(&body, 1024);
    buf_addf(&body, "{\"detail\":\"%s\"}", detail);
    http_reply(call, status, "application/json", &body, h, n);
}

static void handle(void *arg, struct http_call *call)
{
    const struct health *h = arg;
    struct str path = http_call_path(call);
    bool live = str_is(path, "/health/live"), ready = str_is(path, "/health/ready");
    if (!live && !ready) {
        answer_detail(call, 404, "Not Found", NULL, 0);
    } else if (strcmp(http_call_method(call), "GET") != 0) {
        struct http_header allow = {STR("Allow"), STR("GET")};
        answer_detail(call, 405, "Method Not Allowed", &allow, 1);
    } else if (ready && !h->ready) {
        answer_health(call, 503, "not_ready", "ready");
    } else {
        answer_health(call, 200, "healthy", ready ? "ready" : "live");
    }
}

int health_start(struct loop *l, const struct settings *s, struct health **ret, struct err *e)
{
    struct health *h = xcalloc(1, sizeof(*h));
    struct http_server_opts o = {.host = "0.0.0.0", .port = s->http_port, .handle = handle, .arg = h};
    int rc = http_server_start(l, &o, &h->server, e);
    if (rc < 0) {
        free(h);
        return err_wrap(e, "port %d (--port, APPLICATION__PORT)", s->http_port);
    }
    log_info("listening on port %d", http_server_port(h->server));
    *ret = h;
    return 0;
}

void health_ready(struct health *h, bool ready)
{
    if (h)
        h->ready = ready;
}

void health_stop(struct health *h)
{
    if (!h)
        return;
    http_server_free(h->server);
    free(h);
}
