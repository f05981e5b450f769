/* Everything that is not here or the script's is 404 as runtime R-196 words it. Health is answered on the loop without
 * Lua, so a busy script cannot delay it beyond its slice. */
#define LOG_GROUP "http"
#include "cli/front.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "io/http_server.h"
#include "json/write.h"
#include "port/client.h"
#include "script/vm.h"

#define CONNECTIONS_MAX 12000
#define BODY_MAX ((size_t)10 << 20) /* */
#define READ_DEADLINE_MS 30000

struct front {
    struct http_server *server;
    struct vm *vm;
    char *prefix; /* "/p", or "" */
    bool ready;
    void (*resync)(void *arg); /* NULL: another listener */
    void *resync_arg;
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

/* What follows the prefix; p NULL if the path does not begin with it. */
static struct str below(struct str path, const char *prefix)
{
    size_t n = strlen(prefix);
    if (!str_starts(path, str_of(prefix)) || (path.n > n && n && path.p[n] != '/'))
        return STR_NULL;
    return (struct str){path.p + n, path.n - n};
}

static void answer_docs(const struct front *f, struct http_call *call, bool json)
{
    struct buf body;
    buf_init(&body, BUF_NO_LIMIT);
    vm_describe_routes(f->vm, f->prefix, json, &body);
    http_reply(call, 200, json ? "application/json" : "text/html; charset=utf-8", &body, NULL, 0);
}

/* True if the path is one of ours. */
static bool answer_own(const struct front *f, struct http_call *call, struct str path, struct str whole)
{
    bool live = str_is(path, "/health/live") || str_is(whole, "/health/live");
    bool ready = str_is(path, "/health/ready") || str_is(whole, "/health/ready");
    bool docs = str_is(whole, "/docs"), api = str_is(whole, "/openapi.json");
    if (!live && !ready && !docs && !api)
        return false;
    if (strcmp(http_call_method(call), "GET") != 0) {
        struct http_header allow = {STR("Allow"), STR("GET")};
        answer_detail(call, 405, "Method Not Allowed", &allow, 1);
    } else if (docs || api) {
        answer_docs(f, call, api);
    } else if (ready && !f->ready) {
        answer_health(call, 503, "not_ready", "ready");
    } else {
        answer_health(call, 200, "healthy", ready ? "ready" : "live");
    }
    return true;
}

/* At once: Port does not wait for a resync, and a held request would hold up a shutdown. */
static void answer_resync(const struct front *f, struct http_call *call)
{
    struct buf body;
    if (strcmp(http_call_method(call), "POST") != 0) {
        struct http_header allow = {STR("Allow"), STR("POST")};
        answer_detail(call, 405, "Method Not Allowed", &allow, 1);
        return;
    }
    buf_init(&body, 64);
    buf_adds(&body, "{\"ok\":true}");
    http_reply(call, 202, "application/json", &body, NULL, 0);
    f->resync(f->resync_arg);
}

static void handle(void *arg, struct http_call *call)
{
    const struct front *f = arg;
    struct str whole = http_call_path(call), path = below(whole, f->prefix);
    if (f->resync && str_is(whole, "/resync")) {
        answer_resync(f, call);
        return;
    }
    if (answer_own(f, call, path, whole))
        return;
    struct str script = path.p ? below(path, "/integration") : STR_NULL;
    if (script.p && script.n)
        vm_http(f->vm, call, script);
    else
        answer_detail(call, 404, "Not Found", NULL, 0);
}

static char *read_prefix(const struct settings *s)
{
    struct str p = str_of(settings_text(s, "path_prefix"));
    while (p.n && p.p[0] == '/')
        p = (struct str){p.p + 1, p.n - 1};
    while (p.n && p.p[p.n - 1] == '/')
        p.n--;
    return p.n ? xasprintf("/%.*s", STR_FMT(p)) : xstrdup("");
}

int front_start(struct loop *l, const struct settings *s, struct vm *vm, struct front **ret, struct err *e)
{
    struct front *f = xcalloc(1, sizeof(*f));
    f->vm = vm;
    f->prefix = read_prefix(s);
    struct http_server_opts o = {
        .host = "0.0.0.0",
        .port = s->http_port,
        .max_connections = CONNECTIONS_MAX,
        .max_body = BODY_MAX,
        .read_deadline_ms = READ_DEADLINE_MS,
        .handle = handle,
        .arg = f,
    };
    int rc = http_server_start(l, &o, &f->server, e);
    if (rc < 0) {
        free(f->prefix);
        free(f);
        return err_wrap(e, "port %d (--port, APPLICATION__PORT)", s->http_port);
    }
    log_info("listening on port %d", http_server_port(f->server));
    *ret = f;
    return 0;
}

void front_on_resync(struct front *f, void (*fn)(void *arg), void *arg)
{
    f->resync = fn;
    f->resync_arg = arg;
}

void front_ready(struct front *f, bool ready)
{
    if (f)
        f->ready = ready;
}

void front_quiesce(struct front *f)
{
    if (f)
        http_server_quiesce(f->server);
}

void front_stop(struct front *f)
{
    if (!f)
        return;
    http_server_free(f->server);
    free(f->prefix);
    free(f);
}
