/* The C half of ocean.http: connection pools, one request at a time, the retry decision. lua/ocean/http.lua is the
 * other half: options, URLs, credentials, the loop of repeats, what is raised.
 *
 * Clients whose transport options agree share a connection pool; headers and credentials are never shared, they are
 * part of each request. Pools outlive the Lua state, so that a request userdata collected by lua_close can still stop
 * its request. The loop's callback moves the answer into the op; the continuation makes the response of it. */
#include <ctype.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/retry.h"
#include "script/api.h"
#include "script/error.h"
#include "script/op.h"
#include "script/response.h"
#include "script/source.h"

#define LOG_GROUP "script.http"
#define HEADERS_MAX 200
#define POLICY_META "ocean.http.retry"

/* Pools -------------------------------------------------------------------------------------------------- */

static bool same_text(const char *a, const char *b) { return a && b ? strcmp(a, b) == 0 : a == b; }

static struct pool *pool_get(struct vm *v, const struct pool *want)
{
    const struct settings *s = v->o.settings;
    for (struct pool *p = v->pools; p; p = p->next)
        if (p->insecure == want->insecure && p->max_connections == want->max_connections &&
            same_text(p->proxy, want->proxy) && same_text(p->ca_file, want->ca_file))
            return p;
    struct http_client_opts o = {
        .max_connections = want->max_connections,
        .insecure = want->insecure,
        .no_strict_x509 = s && s->third_no_strict,
        .proxy = want->proxy,
        .ca_file = want->ca_file,
    };
    struct pool *p = xcalloc(1, sizeof(*p));
    *p = *want;
    p->proxy = want->proxy ? xstrdup(want->proxy) : NULL;
    p->ca_file = want->ca_file ? xstrdup(want->ca_file) : NULL;
    p->client = http_client_new(v->o.loop, &o);
    p->next = v->pools;
    v->pools = p;
    return p;
}

void api_http_free(struct vm *v)
{
    while (v->pools) {
        struct pool *p = v->pools;
        v->pools = p->next;
        http_client_free(p->client);
        free(p->proxy);
        free(p->ca_file);
        free(p);
    }
}

/* internals.http_pool(verify | nil, max_connections, proxy | nil, ca_file | nil) -> pool */
static int http_pool(lua_State *L)
{
    struct vm *v = vm_of(L);
    struct pool want = {
        .insecure = lua_isnil(L, 1) ? v->o.settings && v->o.settings->third_insecure : !lua_toboolean(L, 1),
        .max_connections = (int)luaL_optinteger(L, 2, 0),
        .proxy = (char *)(uintptr_t)luaL_optstring(L, 3, NULL),
        .ca_file = (char *)(uintptr_t)luaL_optstring(L, 4, NULL),
    };
    lua_pushlightuserdata(L, pool_get(v, &want));
    return 1;
}

/* Requests ----------------------------------------------------------------------------------------------- */

struct http_op {
    struct op op;
    struct http_req *req;
    struct received answer;
    struct err e;
    bool failed;
};

static void http_release(struct op *op)
{
    struct http_op *o = (struct http_op *)op;
    struct http_req *req = o->req;
    o->req = NULL;
    if (req)
        http_cancel(req);
    received_done(&o->answer);
}

static void on_answer(void *arg, struct http_resp *resp, const struct err *e)
{
    struct http_op *o = arg;
    o->req = NULL;
    if (resp) {
        received_take(&o->answer, resp);
    } else {
        o->failed = true;
        err_copy(&o->e, e);
    }
    op_done(&o->op);
}

static int send_k(lua_State *L, int status, lua_KContext ctx)
{
    struct http_op *o = (struct http_op *)ctx;
    (void)status;
    if (o->failed) {
        lua_pushnil(L);
        error_push(L, error_kind(o->e.code), "%s", o->e.msg);
        return 2;
    }
    response_push(L, &o->answer, lua_tostring(L, 2));
    return 1;
}

static void check_header(lua_State *L, struct str s, const char *what)
{
    if (s.n == 0 && what[0] == 'n')
        error_misuse(L, "a header name is empty");
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '\r' || s.p[i] == '\n' || s.p[i] == 0)
            error_misuse(
                L, "a header %s contains a line break or a NUL byte; is there a newline at the end of a token?", what);
}

/* Name, value, name, value ... of the list at idx; the strings stay owned by the list. */
static size_t read_headers(lua_State *L, int idx, struct http_header *out)
{
    size_t n = 0;
    lua_Integer len = (lua_Integer)lua_rawlen(L, idx);
    for (lua_Integer i = 1; i + 1 <= len; i += 2) {
        if (n == HEADERS_MAX)
            error_misuse(L, "more than %d headers in one request", HEADERS_MAX);
        lua_rawgeti(L, idx, i);
        lua_rawgeti(L, idx, i + 1);
        out[n].name.p = luaL_checklstring(L, -2, &out[n].name.n);
        out[n].value.p = luaL_checklstring(L, -1, &out[n].value.n);
        check_header(L, out[n].name, "name");
        check_header(L, out[n].value, "value");
        lua_pop(L, 2);
        n++;
    }
    return n;
}

static int ms_field(lua_State *L, int idx, const char *name)
{
    lua_getfield(L, idx, name);
    double s = lua_tonumber(L, -1);
    lua_pop(L, 1);
    return s <= 0 ? 0 : s > 86400 ? 86400000 : s < 0.001 ? 1 : (int)(s * 1000);
}

/* internals.http_send(pool, method, url, headers, body | nil, limits, caller) -> response | nil, error. Waits. `caller`
 * is the function a message names; its text lives on this stack as long as the op. */
static int http_send_once(lua_State *L)
{
    struct http_header headers[HEADERS_MAX];
    struct err e = {0};
    size_t body_n = 0;
    struct pool *pool = lua_touserdata(L, 1);
    const char *body = luaL_optlstring(L, 5, NULL, &body_n);
    struct http_spec spec = {
        .method = luaL_checkstring(L, 2),
        .url = luaL_checkstring(L, 3),
        .headers = headers,
        .nheaders = read_headers(L, 4, headers),
        .connect_timeout_ms = ms_field(L, 6, "connect_timeout"),
        .idle_timeout_ms = ms_field(L, 6, "timeout"),
        .total_timeout_ms = ms_field(L, 6, "total_timeout"),
    };
    lua_getfield(L, 6, "max_size");
    spec.max_size = (size_t)lua_tonumber(L, -1);
    lua_getfield(L, 6, "follow_redirects");
    spec.follow_redirects = lua_toboolean(L, -1);
    lua_pop(L, 2);
    struct http_op *o = op_push(L, luaL_checkstring(L, 7), sizeof(*o), http_release);
    buf_init(&spec.body, BUF_NO_LIMIT);
    if (body)
        buf_add(&spec.body, body, body_n);
    source_evidence(o->op.task->run, EVIDENCE_REQUEST);
    o->req = http_send(pool->client, &spec, on_answer, o, &e);
    if (!o->req) {
        lua_pushnil(L);
        error_push(L, error_kind(e.code), "%s", e.msg);
        return 2;
    }
    return op_wait(L, &o->op, send_k);
}

/* Retry -------------------------------------------------------------------------------------------------- */

static void read_ints(lua_State *L, const char *name, int *out, size_t max, size_t from)
{
    lua_getfield(L, 1, name);
    if (lua_istable(L, -1)) {
        size_t n = from;
        for (lua_Integer i = 1; lua_rawgeti(L, -1, i) != LUA_TNIL; i++) {
            if (n + 1 >= max)
                error_misuse(L, "retry.%s: at most %d values", name, (int)(max - 1));
            out[n++] = (int)lua_tointeger(L, -1);
            lua_pop(L, 1);
        }
        lua_pop(L, 1);
        out[n] = 0;
    }
    lua_pop(L, 1);
}

/* The strings stay alive in the options table, which is the policy's user value. */
static void read_names(lua_State *L, const char *name, const char **out, size_t max)
{
    lua_getfield(L, 1, name);
    if (lua_istable(L, -1)) {
        size_t n = 0;
        for (lua_Integer i = 1; lua_rawgeti(L, -1, i) != LUA_TNIL; i++) {
            if (n + 1 > max)
                error_misuse(L, "retry.%s: at most %d values", name, (int)max);
            out[n++] = lua_tostring(L, -1);
            lua_pop(L, 1);
        }
        lua_pop(L, 1);
        if (n < max)
            out[n] = NULL;
    }
    lua_pop(L, 1);
}

static double number_field(lua_State *L, const char *name, double otherwise)
{
    lua_getfield(L, 1, name);
    double d = luaL_optnumber(L, -1, otherwise);
    lua_pop(L, 1);
    return d;
}

/* internals.retry_policy(options) -> policy; the options were checked in Lua. */
static int retry_policy(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    struct retry_policy *p = lua_newuserdatauv(L, sizeof(*p), 1);
    retry_policy_third_party(p);
    luaL_setmetatable(L, POLICY_META);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    p->attempts = (int)number_field(L, "attempts", p->attempts);
    p->base_s = number_field(L, "base", p->base_s);
    p->max_s = number_field(L, "max", p->max_s);
    p->jitter = number_field(L, "jitter", p->jitter);
    lua_getfield(L, 1, "respect_headers");
    if (!lua_isnil(L, -1))
        p->respect_headers = lua_toboolean(L, -1);
    lua_pop(L, 1);
    read_ints(L, "statuses", p->statuses, ARRAY_LEN(p->statuses), 0);
    size_t n = 0;
    while (n < ARRAY_LEN(p->statuses) && p->statuses[n])
        n++;
    read_ints(L, "add_statuses", p->statuses, ARRAY_LEN(p->statuses), n);
    read_ints(L, "ignore_header_statuses", p->ignore_hint_statuses, ARRAY_LEN(p->ignore_hint_statuses), 0);
    read_names(L, "headers", p->hint_headers, ARRAY_LEN(p->hint_headers));
    read_names(L, "methods", p->methods, ARRAY_LEN(p->methods) - 1);
    return 1;
}

static double random_unit(void) { return arc4random() / 4294967296.0; }

/* internals.retry_wait(policy, method, flagged, n, response | nil, error kind | nil) -> seconds, or nil: no repeat. */
static int retry_wait(lua_State *L)
{
    struct retry_policy *p = luaL_checkudata(L, 1, POLICY_META);
    const char *method = luaL_checkstring(L, 2), *kind = luaL_optstring(L, 6, NULL);
    int n = (int)luaL_checkinteger(L, 4);
    struct received *a = lua_isnil(L, 5) ? NULL : response_check(L, 5);
    struct err e = {.code = kind && strcmp(kind, "timeout") == 0 ? ERR_TIMEOUT : ERR_TRANSPORT};
    bool transport = kind && (strcmp(kind, "timeout") == 0 || strcmp(kind, "transport") == 0);
    if (n > p->attempts || (!a && !transport) ||
        !retry_wanted(p, method, lua_toboolean(L, 3), a ? a->status : 0, a ? NULL : &e)) {
        lua_pushnil(L);
        return 1;
    }
    struct http_resp resp = {0};
    if (a)
        resp = (struct http_resp){.status = a->status, .headers = a->headers, .nheaders = a->nheaders};
    lua_pushnumber(L, retry_delay(p, n, a ? &resp : NULL, clock_wall_us(), random_unit()));
    return 1;
}

/* internals.retryable_status(policy, status) */
static int retryable_status(lua_State *L)
{
    struct retry_policy *p = luaL_checkudata(L, 1, POLICY_META);
    bool is = false;
    for (size_t i = 0; i < ARRAY_LEN(p->statuses) && p->statuses[i]; i++)
        is = is || p->statuses[i] == luaL_checkinteger(L, 2);
    lua_pushboolean(L, is);
    return 1;
}

/* Evidence and small helpers ----------------------------------------------------------------------------- */

static struct run *current_run(lua_State *L)
{
    struct task *t = vm_of(L)->current;
    return t ? t->run : NULL;
}

/* internals.evidence("2xx" | "ignored") */
static int evidence(lua_State *L)
{
    const char *word = luaL_checkstring(L, 1);
    source_evidence(current_run(L), strcmp(word, "2xx") == 0 ? EVIDENCE_2XX : EVIDENCE_IGNORED);
    return 0;
}

/* internals.taint(message): no deletion for this resource in this run. */
static int taint(lua_State *L)
{
    source_taint(current_run(L), luaL_checkstring(L, 1));
    return 0;
}

/* internals.url_encode(text) */
static int l_url_encode(lua_State *L)
{
    struct str s;
    struct buf b;
    s.p = luaL_checklstring(L, 1, &s.n);
    buf_init(&b, BUF_NO_LIMIT);
    url_encode(&b, s);
    lua_pushlstring(L, buf_cstr(&b), b.n);
    buf_done(&b);
    return 1;
}

/* internals.url_host(url) -> "https://host:port" in lower case, without a default port; or nil and a message. */
static int url_host(lua_State *L)
{
    struct err e = {0};
    struct str scheme, host, path;
    if (http_url_parse(str_of(luaL_checkstring(L, 1)), &scheme, &host, &path, &e) < 0) {
        lua_pushnil(L);
        lua_pushstring(L, e.msg);
        return 2;
    }
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (size_t i = 0; i < scheme.n; i++)
        luaL_addchar(&b, (char)tolower((unsigned char)scheme.p[i]));
    luaL_addlstring(&b, "://", 3);
    bool tls = scheme.n == 5;
    if (str_ends(host, tls ? STR(":443") : STR(":80")))
        host.n -= tls ? 4 : 3;
    for (size_t i = 0; i < host.n; i++)
        luaL_addchar(&b, (char)tolower((unsigned char)host.p[i]));
    luaL_pushresult(&b);
    return 1;
}

/* internals.base64(text) */
static int base64(lua_State *L)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n;
    const unsigned char *p = (const unsigned char *)luaL_checklstring(L, 1, &n);
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (size_t i = 0; i < n; i += 3) {
        unsigned v = (unsigned)p[i] << 16 | (i + 1 < n ? (unsigned)p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0);
        luaL_addchar(&b, digits[v >> 18]);
        luaL_addchar(&b, digits[v >> 12 & 63]);
        luaL_addchar(&b, i + 1 < n ? digits[v >> 6 & 63] : '=');
        luaL_addchar(&b, i + 2 < n ? digits[v & 63] : '=');
    }
    luaL_pushresult(&b);
    return 1;
}

/* internals.secret(text): masked in every log line and error from now on. */
static int secret(lua_State *L)
{
    struct str s;
    s.p = luaL_checklstring(L, 1, &s.n);
    mask_add(s);
    return 0;
}

/* internals.client_timeout() -> seconds */
static int client_timeout(lua_State *L)
{
    const struct settings *s = vm_of(L)->o.settings;
    lua_pushinteger(L, s && s->client_timeout_s > 0 ? s->client_timeout_s : 60);
    return 1;
}

void api_http_open(lua_State *L, int internals)
{
    static const luaL_Reg functions[] = {
        {"http_pool", http_pool},
        {"http_send", http_send_once},
        {"retry_policy", retry_policy},
        {"retry_wait", retry_wait},
        {"retryable_status", retryable_status},
        {"evidence", evidence},
        {"taint", taint},
        {"url_encode", l_url_encode},
        {"url_host", url_host},
        {"base64", base64},
        {"secret", secret},
        {"client_timeout", client_timeout},
        {NULL, NULL},
    };
    lua_pushvalue(L, internals);
    luaL_setfuncs(L, functions, 0);
    response_open(L);
    lua_pop(L, 1);
    luaL_newmetatable(L, POLICY_META);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}
