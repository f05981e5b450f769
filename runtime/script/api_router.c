/* ocean.router and the requests it serves (runtime section 9).
 *
 * A request runs in a task of its own, in an event of its own whose id is the request's. The handler gets a userdata that
 * reads from the call what it is asked for; after the answer the call is gone, and what was not read by then cannot be
 * read any more. lua/ocean/respond.lua calls the handler and hands its results to `answer` below, so that they are made
 * into bytes inside the task. */
#define LOG_GROUP "http"
#include <ctype.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/http_server.h"
#include "json/write.h"
#include "script/api.h"
#include "script/convert.h"
#include "script/error.h"
#include "script/jsonval.h"
#include "script/response.h"
#include "script/route.h"
#include "script/task.h"

#define REQUEST_META "ocean.request"
#define RUNNING_MAX 1000 /* handlers at a time; further requests are told to come again */
#define CPU_LIMIT_S 1.0
#define HEADERS_MAX 200
#define ANSWER_HEADERS_MAX 32

struct route {
    const char *method;
    struct route_pattern pattern;
    int ref;
    char where[LUA_IDSIZE + 16];
};
struct routes {
    struct route *v;
    size_t n, running;
};

/* One request under way. */
struct served {
    struct vm *vm;
    struct http_call *call; /* NULL: answered */
    struct route *route;
    struct event *event;
    struct str values[ROUTE_SEGMENTS];
    uint64_t started_ns;
    bool quiet;
    int refs; /* the task and the userdata */
};

static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"};

/* Answers ------------------------------------------------------------------------------------------------ */

static void send_answer(struct served *s, int status, const char *type, struct buf *body, struct http_header *headers,
                        size_t n)
{
    struct http_call *call = s->call;
    char seconds[32];
    double took = (double)(clock_mono_ns() - s->started_ns) / 1e9;
    if (!call) {
        buf_done(body);
        return;
    }
    s->call = NULL;
    snprintf(seconds, sizeof(seconds), "%.5f", took);
    headers[n++] = (struct http_header){STR("X-Request-ID"), str_of(s->event->id)};
    headers[n++] = (struct http_header){STR("X-Process-Time"), str_of(seconds)};
    log_info("Request to %.*s ended request_id=%s response_status=%d time_elapsed=%s", STR_FMT(http_call_path(call)),
             s->event->id, status, seconds);
    http_reply(call, status, type, body, headers, n);
}

static void send_text(struct served *s, int status, const char *type, const char *text)
{
    struct http_header headers[2];
    struct buf body;
    buf_init(&body, BUF_NO_LIMIT);
    buf_adds(&body, text);
    send_answer(s, status, type, &body, headers, 0);
}

static void served_unref(void *arg)
{
    struct served *s = arg;
    if (--s->refs > 0)
        return;
    event_unref(s->event);
    free(s);
}

/* Bytes of what a handler returned: a string with a status as it is, everything else as JSON. */
static void push_body(lua_State *L, int idx, bool with_status, bool *json)
{
    *json = !(with_status && lua_type(L, idx) == LUA_TSTRING);
    if (*json)
        convert_push_text(L, idx);
    else
        lua_pushvalue(L, idx);
}

static size_t read_headers(lua_State *L, int idx, struct http_header *out, const char **type)
{
    size_t n = 0;
    lua_pushnil(L);
    while (lua_next(L, idx)) {
        if (lua_type(L, -2) != LUA_TSTRING || !(lua_isstring(L, -1)))
            error_misuse(L, "an answer's headers are a table of names and texts");
        if (n == ANSWER_HEADERS_MAX)
            error_misuse(L, "an answer has at most %d headers of its own", ANSWER_HEADERS_MAX);
        const char *name = lua_tostring(L, -2), *value = lua_tostring(L, -1); /* the table keeps both */
        if (strpbrk(name, "\r\n: ") || strpbrk(value, "\r\n"))
            error_misuse(L, "header '%s' holds a line break or a character that no header may hold", name);
        if (strcasecmp(name, "content-type") == 0)
            *type = value;
        else
            out[n++] = (struct http_header){str_of(name), str_of(value)};
        lua_pop(L, 1);
    }
    return n;
}

/* internals.answer(request, ...): what the handler returned: a value, or status, body, headers. */
static int answer(lua_State *L)
{
    struct served *s = *(struct served **)luaL_checkudata(L, 1, REQUEST_META);
    struct http_header headers[ANSWER_HEADERS_MAX + 2];
    const char *type = NULL;
    size_t len, nheaders = 0;
    int status = 200, body_at = 2;
    bool with_status = lua_isinteger(L, 2), json;
    lua_settop(L, 4);
    if (with_status) {
        lua_Integer given = lua_tointeger(L, 2);
        if (given < 200 || given > 599)
            return error_misuse(L, "a route answered status %d: it must be from 200 to 599", (int)given);
        status = (int)given;
        body_at = 3;
        if (!lua_isnil(L, 4))
            luaL_checktype(L, 4, LUA_TTABLE), nheaders = read_headers(L, 4, headers, &type);
    } else if (!lua_isnil(L, 3)) {
        return error_misuse(L, "a route returns a value, or a status, a body and headers; the first of several was %s",
                            luaL_typename(L, 2));
    }
    struct buf body;
    bool bodiless = status == 204 || status == 304 || (with_status && lua_isnil(L, 3));
    if (bodiless) {
        buf_init(&body, BUF_NO_LIMIT);
        send_answer(s, status, type, &body, headers, nheaders);
        return 0;
    }
    push_body(L, body_at, with_status, &json);
    const char *text = lua_tolstring(L, -1, &len);
    buf_init(&body, BUF_NO_LIMIT);
    buf_add(&body, text, len);
    send_answer(s, status, type ? type : json ? "application/json" : "text/plain; charset=utf-8", &body, headers, nheaders);
    return 0;
}

/* The request as the script sees it ---------------------------------------------------------------------- */

static void push_decoded(lua_State *L, struct str s, bool plus)
{
    struct buf b;
    if (!s.n || (!memchr(s.p, '%', s.n) && !(plus && memchr(s.p, '+', s.n)))) {
        lua_pushlstring(L, s.n ? s.p : "", s.n);
        return;
    }
    buf_init(&b, BUF_NO_LIMIT);
    url_decode(&b, s, plus);
    lua_pushlstring(L, b.n ? b.p : "", b.n);
    buf_done(&b);
}

static void push_params(lua_State *L, struct served *s)
{
    size_t found = 0;
    lua_newtable(L);
    for (size_t i = 0; i < s->route->pattern.n; i++) {
        if (!s->route->pattern.seg[i].param)
            continue;
        lua_pushlstring(L, s->route->pattern.seg[i].text.p, s->route->pattern.seg[i].text.n);
        push_decoded(L, s->values[found++], false);
        lua_rawset(L, -3);
    }
}

/* name -> first value; with `name`, the list of its values. */
static void push_query(lua_State *L, struct str query, const char *name)
{
    lua_Integer n = 0;
    lua_newtable(L);
    while (query.p) {
        struct str value, pair = str_split(query, '&', &query), key = str_split(pair, '=', &value);
        if (!pair.n)
            continue;
        push_decoded(L, key, true);
        if (name && strcmp(lua_tostring(L, -1), name) == 0) {
            push_decoded(L, value, true);
            lua_rawseti(L, -3, ++n);
        } else if (!name) {
            lua_pushvalue(L, -1);
            if (lua_rawget(L, -3) == LUA_TNIL) {
                lua_pushvalue(L, -2);
                push_decoded(L, value, true);
                lua_rawset(L, -5);
            }
            lua_pop(L, 1);
        }
        lua_pop(L, 1);
    }
}

static void push_headers(lua_State *L, struct http_call *call)
{
    struct http_header headers[HEADERS_MAX];
    size_t n = http_call_headers(call, headers, HEADERS_MAX);
    headers_push(L, headers, n < HEADERS_MAX ? n : HEADERS_MAX);
}

static void push_cookies(lua_State *L, struct http_call *call)
{
    struct str rest = http_call_header(call, STR("Cookie"));
    lua_newtable(L);
    while (rest.p) {
        struct str value, pair = str_trim(str_split(rest, ';', &rest)), name = str_split(pair, '=', &value);
        if (!name.n || !value.p)
            continue;
        lua_pushlstring(L, name.p, name.n);
        lua_pushlstring(L, value.p ? value.p : "", value.n);
        lua_rawset(L, -3);
    }
}

/* a body that is no JSON is the caller's mistake, and is answered so unless the handler catches it. */
static void push_json(lua_State *L, struct served *s)
{
    struct err e = {0};
    struct json_doc **box = jsonval_box(L);
    if (json_parse(http_call_body(s->call), box, &e) < 0) {
        error_push(L, "request", "the body is not JSON: %s", e.msg);
        lua_pushinteger(L, 422);
        lua_setfield(L, -2, "status");
        lua_error(L);
    }
    jsonval_push(L, json_root(*box), false);
    lua_remove(L, -2);
}

static bool push_field(lua_State *L, struct served *s, const char *key)
{
    struct http_call *call = s->call;
    if (strcmp(key, "method") == 0)
        lua_pushstring(L, http_call_method(call));
    else if (strcmp(key, "path") == 0)
        lua_pushlstring(L, http_call_path(call).p, http_call_path(call).n);
    else if (strcmp(key, "params") == 0)
        push_params(L, s);
    else if (strcmp(key, "query") == 0)
        push_query(L, http_call_query(call), NULL);
    else if (strcmp(key, "headers") == 0)
        push_headers(L, call);
    else if (strcmp(key, "cookies") == 0)
        push_cookies(L, call);
    else if (strcmp(key, "body") == 0)
        lua_pushlstring(L, http_call_body(call).n ? http_call_body(call).p : "", http_call_body(call).n);
    else if (strcmp(key, "json") == 0)
        push_json(L, s);
    else if (strcmp(key, "peer") == 0)
        lua_pushstring(L, http_call_peer(call));
    else if (strcmp(key, "url") == 0) {
        struct str query = http_call_query(call), host = http_call_header(call, STR("Host"));
        lua_pushfstring(L, "http://%s", host.p ? host.p : "");
        lua_pushlstring(L, http_call_path(call).p, http_call_path(call).n);
        lua_pushstring(L, query.p ? "?" : "");
        lua_pushlstring(L, query.p ? query.p : "", query.n);
        lua_concat(L, 4);
    } else
        return false;
    return true;
}

/* req:query_all(name): every value of a query parameter. */
static int query_all(lua_State *L)
{
    struct served *s = *(struct served **)luaL_checkudata(L, 1, REQUEST_META);
    const char *name = luaL_checkstring(L, 2);
    if (!s->call)
        return error_misuse(L, "req:query_all: the request is answered already");
    push_query(L, http_call_query(s->call), name);
    return 1;
}

static int request_index(lua_State *L)
{
    struct served *s = *(struct served **)luaL_checkudata(L, 1, REQUEST_META);
    const char *key = luaL_checkstring(L, 2);
    if (strcmp(key, "id") == 0) {
        lua_pushstring(L, s->event->id);
        return 1;
    }
    if (strcmp(key, "query_all") == 0) {
        lua_pushcfunction(L, query_all);
        return 1;
    }
    lua_getiuservalue(L, 1, 1);
    if (lua_getfield(L, -1, key) != LUA_TNIL)
        return 1;
    if (!s->call)
        return error_misuse(L, "req.%s: the request is answered already; read it before", key);
    if (!push_field(L, s, key)) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushvalue(L, -1);
    lua_setfield(L, -4, key);
    return 1;
}

static int request_gc(lua_State *L)
{
    struct served **s = lua_touserdata(L, 1);
    if (*s)
        served_unref(*s);
    *s = NULL;
    return 0;
}

/* Registration ------------------------------------------------------------------------------------------- */

static int add_route(lua_State *L)
{
    struct vm *v = vm_of(L);
    const char *method = methods[lua_tointeger(L, lua_upvalueindex(1))];
    size_t n;
    struct err e = {0};
    struct route r = {.method = method};
    const char *path = luaL_checklstring(L, 1, &n);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    if (v->loaded)
        return error_misuse(L, "ocean.router: routes are registered while the script is loaded; %s %s came later", method, path);
    if (route_parse((struct str){path, n}, &r.pattern, &e) < 0)
        return error_misuse(L, "ocean.router: %s", e.msg);
    error_position(L, r.where, sizeof(r.where));
    v->routes = v->routes ? v->routes : xcalloc(1, sizeof(*v->routes));
    v->routes->v = xrealloc(v->routes->v, (v->routes->n + 1) * sizeof(r));
    v->routes->v[v->routes->n++] = r;
    lua_pushvalue(L, 2);
    v->routes->v[v->routes->n - 1].ref = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

void api_router_free(struct vm *v)
{
    for (size_t i = 0; v->routes && i < v->routes->n; i++)
        route_done(&v->routes->v[i].pattern);
    if (v->routes)
        free(v->routes->v);
    free(v->routes);
}

/* Serving ------------------------------------------------------------------------------------------------ */

static void reply_json(struct http_call *call, int status, const char *detail, const struct http_header *h, size_t n)
{
    struct buf body;
    buf_init(&body, BUF_NO_LIMIT);
    buf_addf(&body, "{\"detail\":\"%s\"}", detail);
    http_reply(call, status, "application/json", &body, h, n);
}

static void no_route(struct vm *v, struct http_call *call, struct str path)
{
    struct str values[ROUTE_SEGMENTS];
    struct buf allow, other;
    buf_init(&allow, BUF_NO_LIMIT);
    buf_init(&other, BUF_NO_LIMIT);
    if (path.n > 1 && path.p[path.n - 1] == '/')
        buf_add(&other, path.p, path.n - 1);
    else
        buf_addf(&other, "%.*s/", STR_FMT(path));
    bool slash = false;
    for (size_t i = 0; v->routes && i < v->routes->n; i++) {
        struct route *r = &v->routes->v[i];
        if (route_match(&r->pattern, path, values))
            buf_addf(&allow, "%s%s", allow.n ? ", " : "", r->method);
        slash |= strcmp(r->method, http_call_method(call)) == 0 && route_match(&r->pattern, buf_str(&other), values);
    }
    struct str full = http_call_path(call), query = http_call_query(call);
    struct http_header h = {STR("Allow"), buf_str(&allow)};
    if (allow.n) {
        reply_json(call, 405, "Method Not Allowed", &h, 1);
    } else if (slash) { /* */
        char *to = xasprintf("%.*s%.*s%s%.*s", (int)(full.n - path.n), full.p, (int)other.n, other.p, query.p ? "?" : "",
                             (int)query.n, query.p ? query.p : "");
        h = (struct http_header){STR("Location"), str_of(to)};
        http_reply(call, 307, NULL, NULL, &h, 1);
        free(to);
    } else {
        reply_json(call, 404, "Not Found", NULL, 0);
    }
    buf_done(&allow);
    buf_done(&other);
}

static int prepare(lua_State *L, void *arg)
{
    struct served *s = arg;
    lua_rawgeti(L, LUA_REGISTRYINDEX, s->vm->respond_ref);
    lua_rawgeti(L, LUA_REGISTRYINDEX, s->route->ref);
    struct served **box = lua_newuserdatauv(L, sizeof(*box), 1);
    *box = NULL;
    luaL_setmetatable(L, REQUEST_META);
    lua_newtable(L);
    lua_setiuservalue(L, -2, 1);
    *box = s;
    s->refs++;
    return 2;
}

static void on_served(void *arg, const struct failure *error)
{
    struct served *s = arg;
    s->vm->routes->running--;
    if (s->vm->closing) { /* the server ends the call */
        s->call = NULL;
    } else if (error && error->status >= 400) {
        struct buf body;
        struct http_header headers[2];
        buf_init(&body, BUF_NO_LIMIT);
        buf_adds(&body, "{\"detail\":");
        json_quote(&body, str_of(error->plain ? error->plain : error->message));
        buf_addc(&body, '}');
        log_at(error->status < 500 ? LOG_INFO : LOG_WARN, "request_id=%s %s", s->event->id, error->message);
        send_answer(s, error->status, "application/json", &body, headers, 0);
    } else if (error) {
        log_error("request_id=%s %s %s: %s%s%s", s->event->id, s->route->method, s->route->pattern.text, error->message,
                  error->traceback[0] ? "\n" : "", error->traceback);
        send_text(s, 500, "text/plain; charset=utf-8", "Internal server error");
    } else if (s->call) {
        send_text(s, 500, "text/plain; charset=utf-8", "Internal server error");
    }
    served_unref(s);
}

static void serve(struct vm *v, struct http_call *call, struct route *r, const struct str *values)
{
    struct err e = {0};
    struct served *s = xcalloc(1, sizeof(*s));
    *s = (struct served){.vm = v, .call = call, .route = r, .refs = 1, .started_ns = clock_mono_ns()};
    s->event = event_new(EVENT_HTTP_REQUEST, TRIGGER_REQUEST, NULL);
    memcpy(s->values, values, sizeof(s->values));
    log_info("Request to %.*s started request_id=%s method=%s", STR_FMT(http_call_path(call)), s->event->id, r->method);
    const struct task_opts o = {
        .what = "route",
        .cpu_limit_s = v->o.cpu_limit_s < CPU_LIMIT_S ? v->o.cpu_limit_s : CPU_LIMIT_S,
        .event = s->event,
        .prepare = prepare,
        .prepare_arg = s,
        .done = on_served,
        .arg = s,
    };
    v->routes->running++;
    if (task_start(v, &o, &e))
        return;
    v->routes->running--;
    log_error("request_id=%s %s", s->event->id, e.msg);
    send_text(s, 503, "text/plain; charset=utf-8", "Service unavailable");
    served_unref(s);
}

void vm_http(struct vm *v, struct http_call *call, struct str path)
{
    struct str values[ROUTE_SEGMENTS] = {{0}};
    if (!v->engine || (v->routes && v->routes->running >= RUNNING_MAX)) {
        const struct http_header later = {STR("Retry-After"), STR("1")};
        reply_json(call, 503, v->engine ? "Too many requests at a time" : "Not started yet", &later, 1);
        return;
    }
    for (size_t i = 0; v->routes && i < v->routes->n; i++) {
        struct route *r = &v->routes->v[i];
        if (strcmp(r->method, http_call_method(call)) == 0 && route_match(&r->pattern, path, values)) {
            serve(v, call, r, values);
            return;
        }
    }
    no_route(v, call, path);
}

static void add_html(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '<' || *text == '>' || *text == '&' || *text == '"')
            buf_addf(out, "&#%d;", *text);
        else
            buf_addc(out, *text);
    }
}

static void describe_html(const struct routes *r, const char *prefix, struct buf *out)
{
    buf_adds(out, "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Routes</title><h1>Routes</h1><ul>");
    for (size_t i = 0; r && i < r->n; i++) {
        buf_addf(out, "<li><code>%s ", r->v[i].method);
        add_html(out, prefix);
        buf_adds(out, "/integration");
        add_html(out, r->v[i].pattern.text);
        buf_adds(out, "</code></li>");
    }
    buf_adds(out, r ? "</ul></html>" : "</ul><p>The script registers none.</p></html>");
}

static void describe_json(const struct routes *r, const char *prefix, struct buf *out)
{
    struct jw w = jw_on(out);
    jw_raw(&w, STR("{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"Routes\",\"version\":\"1\"},\"paths\":"));
    w.comma = false;
    jw_obj(&w);
    for (size_t i = 0; r && i < r->n; i++) {
        bool first = true;
        for (size_t k = 0; k < i; k++)
            first &= strcmp(r->v[k].pattern.text, r->v[i].pattern.text) != 0;
        if (!first)
            continue;
        char *path = xasprintf("%s/integration%s", prefix, r->v[i].pattern.text);
        jw_key(&w, str_of(path));
        free(path);
        jw_obj(&w);
        for (size_t k = i; k < r->n; k++) {
            char method[16] = "";
            if (strcmp(r->v[k].pattern.text, r->v[i].pattern.text) != 0)
                continue;
            for (size_t c = 0; r->v[k].method[c]; c++)
                method[c] = (char)tolower((unsigned char)r->v[k].method[c]);
            jw_key(&w, str_of(method));
            jw_raw(&w, STR("{\"responses\":{\"default\":{\"description\":\"what the script answers\"}}}"));
        }
        jw_end_obj(&w);
    }
    jw_end_obj(&w);
    buf_addc(out, '}');
}

void vm_describe_routes(const struct vm *v, const char *prefix, bool json, struct buf *out)
{
    if (json)
        describe_json(v->routes, prefix, out);
    else
        describe_html(v->routes, prefix, out);
}

void api_router_open(lua_State *L, int ocean, int internals)
{
    luaL_newmetatable(L, REQUEST_META);
    lua_pushcfunction(L, request_index);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, request_gc);
    lua_setfield(L, -2, "__gc");
    lua_pushliteral(L, REQUEST_META);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
    lua_newtable(L);
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        char name[16] = "";
        for (size_t k = 0; methods[i][k]; k++)
            name[k] = (char)tolower((unsigned char)methods[i][k]);
        lua_pushinteger(L, (lua_Integer)i);
        lua_pushcclosure(L, add_route, 1);
        lua_setfield(L, -2, name);
    }
    lua_setfield(L, ocean, "router");
    lua_pushcfunction(L, answer);
    lua_setfield(L, internals, "answer");
}
