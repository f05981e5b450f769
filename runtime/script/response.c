/* The response: status, headers, url, text(), json(), raise(), link(rel).
 *
 * json() parses a copy each time, so that every call gives a document of its own and text() stays what it was; the
 * library's own loops use internals.take_json, which gives the body away without a copy. A body that is no JSON taints
 * the resource: "HTML instead of JSON" must not look like an empty page. */
#include "script/response.h"

#include <ctype.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "script/error.h"
#include "script/jsonval.h"
#include "script/source.h"
#include "script/task.h"
#include "json/compare.h"

#define RESPONSE_META "ocean.http.response"
#define HEADERS_META "ocean.http.headers"

void received_take(struct received *a, struct http_resp *resp)
{
    size_t bytes = resp->nheaders * sizeof(*a->headers);
    for (size_t i = 0; i < resp->nheaders; i++)
        bytes += resp->headers[i].name.n + resp->headers[i].value.n;
    a->headers = xmalloc(bytes + 1);
    char *p = (char *)(a->headers + resp->nheaders);
    for (size_t i = 0; i < resp->nheaders; i++) {
        struct http_header *h = &resp->headers[i];
        a->headers[i].name = (struct str){memcpy(p, h->name.p, h->name.n), h->name.n};
        p += h->name.n;
        a->headers[i].value = (struct str){h->value.n ? memcpy(p, h->value.p, h->value.n) : p, h->value.n};
        p += h->value.n;
    }
    a->nheaders = resp->nheaders;
    a->status = resp->status;
    a->url = xstrdup(resp->url ? resp->url : "");
    a->body = resp->body;
    buf_init(&resp->body, BUF_NO_LIMIT);
}

void received_done(struct received *a)
{
    free(a->headers);
    free(a->url);
    free(a->method);
    if (a->body.p)
        buf_done(&a->body);
    memset(a, 0, sizeof(*a));
}

static void received_free(void *what)
{
    received_done(what);
    free(what);
}

void response_push(lua_State *L, struct received *a, const char *method)
{
    struct keep **box = lua_newuserdatauv(L, sizeof(*box), 1);
    *box = NULL;
    luaL_setmetatable(L, RESPONSE_META);
    struct received *r = xmalloc(sizeof(*r));
    *r = *a;
    memset(a, 0, sizeof(*a));
    *box = vm_keep(vm_of(L), received_free, r);
    r->method = xstrdup(method);
    size_t bytes = r->body.cap;
    vm_charge(L, bytes);
    r->charged = bytes;
}

bool response_is(lua_State *L, int idx) { return luaL_testudata(L, idx, RESPONSE_META) != NULL; }

struct received *response_check(lua_State *L, int idx)
{
    struct keep **box = luaL_checkudata(L, idx, RESPONSE_META);
    if (!*box)
        luaL_argerror(L, idx, "the response is closed");
    return (*box)->what;
}

static int response_gc(lua_State *L)
{
    struct keep **box = lua_touserdata(L, 1);
    if (*box) {
        vm_discharge(vm_of(L), ((struct received *)(*box)->what)->charged);
        vm_release(*box);
    }
    *box = NULL;
    return 0;
}

/* Headers ------------------------------------------------------------------------------------------------ */

static void push_lower(lua_State *L, struct str s)
{
    luaL_Buffer b;
    char *p = luaL_buffinitsize(L, &b, s.n);
    for (size_t i = 0; i < s.n; i++)
        p[i] = (char)tolower((unsigned char)s.p[i]);
    luaL_pushresultsize(&b, s.n);
}

/* headers.__index: names in any case. */
static int headers_index(lua_State *L)
{
    if (lua_type(L, 2) != LUA_TSTRING)
        return 0;
    struct str s;
    s.p = lua_tolstring(L, 2, &s.n);
    push_lower(L, s);
    lua_rawget(L, 1);
    return 1;
}

void headers_push(lua_State *L, const struct http_header *headers, size_t n)
{
    lua_createtable(L, 0, (int)n);
    for (size_t i = 0; i < n; i++) {
        push_lower(L, headers[i].name);
        lua_pushvalue(L, -1);
        if (lua_rawget(L, -3) == LUA_TSTRING) {
            lua_pushliteral(L, ", ");
            lua_pushlstring(L, headers[i].value.p, headers[i].value.n);
            lua_concat(L, 3);
        } else {
            lua_pop(L, 1);
            lua_pushlstring(L, headers[i].value.p, headers[i].value.n);
        }
        lua_rawset(L, -3);
    }
    luaL_setmetatable(L, HEADERS_META);
}

/* Made once. */
static void push_headers(lua_State *L, struct received *r)
{
    if (lua_getiuservalue(L, 1, 1) == LUA_TTABLE)
        return;
    lua_pop(L, 1);
    headers_push(L, r->headers, r->nheaders);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, 1, 1);
}

/* Link header (RFC 8288) --------------------------------------------------------------------------------- */

static bool rel_matches(struct str params, struct str rel)
{
    while (params.n) {
        struct str rest, p = str_trim(str_split(params, ';', &rest));
        params = rest;
        if (p.n < 4 || strncasecmp(p.p, "rel", 3) != 0)
            continue;
        struct str value, name = str_trim(str_split(p, '=', &value));
        value = str_trim(value);
        if (name.n != 3)
            continue;
        if (value.n >= 2 && value.p[0] == '"')
            value = (struct str){value.p + 1, value.n - 2};
        while (value.n) { /* a list of relations */
            struct str more, one = str_split(value, ' ', &more);
            if (str_ieq(one, rel))
                return true;
            value = more;
        }
    }
    return false;
}

/* One header value may hold several links; commas inside <...> and "..." do not part them. */
static struct str find_link(struct str s, struct str rel)
{
    while (s.n) {
        const char *open = memchr(s.p, '<', s.n);
        const char *end = s.p + s.n;
        const char *close = open ? memchr(open, '>', (size_t)(end - open)) : NULL;
        if (!close)
            return STR_NULL;
        struct str url = {open + 1, (size_t)(close - open - 1)};
        const char *p = close + 1;
        bool quoted = false;
        while (p < end && (quoted || *p != ',')) {
            quoted ^= *p == '"';
            p++;
        }
        if (rel_matches((struct str){close + 1, (size_t)(p - close - 1)}, rel))
            return url;
        s = (struct str){p, (size_t)(end - p)};
    }
    return STR_NULL;
}

/* Pushes `link` made absolute against the URL it came from. */
static void push_absolute(lua_State *L, const char *base, struct str link)
{
    struct err e;
    struct str scheme, host, path, l = str_trim(link);
    if (http_url_parse(l, &scheme, &host, &path, &e) == 0 ||
        http_url_parse(str_of(base), &scheme, &host, &path, &e) < 0) {
        lua_pushlstring(L, l.p, l.n);
        return;
    }
    size_t keep = path.n; /* how much of the base's path stays */
    const char *query = memchr(path.p, '?', path.n);
    if (query)
        keep = (size_t)(query - path.p);
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    luaL_addlstring(&b, scheme.p, scheme.n);
    luaL_addstring(&b, ":");
    if (!(l.n >= 2 && l.p[0] == '/' && l.p[1] == '/')) {
        luaL_addstring(&b, "//");
        luaL_addlstring(&b, host.p, host.n);
        if (l.n && l.p[0] == '/')
            keep = 0;
        else if (!l.n || l.p[0] != '?')
            while (keep > 0 && path.p[keep - 1] != '/')
                keep--;
        luaL_addlstring(&b, path.p, keep);
    }
    luaL_addlstring(&b, l.p, l.n);
    luaL_pushresult(&b);
}

/* res:link(rel) -> URL or nil */
static int response_link(lua_State *L)
{
    struct received *r = response_check(L, 1);
    const char *rel = luaL_optstring(L, 2, "next");
    for (size_t i = 0; i < r->nheaders; i++) {
        if (!str_ieq(r->headers[i].name, STR("link")))
            continue;
        struct str url = find_link(r->headers[i].value, str_of(rel));
        if (url.p) {
            push_absolute(L, r->url, url);
            return 1;
        }
    }
    lua_pushnil(L);
    return 1;
}

/* Body --------------------------------------------------------------------------------------------------- */

static int response_text(lua_State *L)
{
    struct received *r = response_check(L, 1);
    if (r->consumed)
        return error_misuse(L, "res:text(): the body was handed over as a JSON value; use client:get and res:json() to "
                               "keep the text");
    lua_pushlstring(L, r->body.p ? r->body.p : "", r->body.n);
    return 1;
}

/* The URL without its query and user part, which may hold a token. */
static void show_url(const char *url, char *out, size_t cap)
{
    struct str scheme, host, s = {url, strcspn(url, "?#")};
    if (http_url_parse(s, &scheme, &host, NULL, NULL) < 0) {
        snprintf(out, cap, "%.*s", STR_FMT(s));
        return;
    }
    snprintf(out, cap, "%.*s://%.*s", STR_FMT(scheme), (int)(s.n - (size_t)(host.p - url)), host.p);
}

static int not_json(lua_State *L, struct received *r, const struct err *e)
{
    struct str type = http_header_get(r->headers, r->nheaders, STR("content-type"));
    struct task *t = vm_of(L)->current;
    char url[512];
    show_url(r->url, url, sizeof(url));
    error_push(L, "parse", "%s %s answered %d with a body that is not JSON (content-type %.*s): %s", r->method, url,
               r->status, STR_FMT(type.p ? type : STR("not given")), e->msg);
    lua_pushinteger(L, r->status);
    lua_setfield(L, -2, "status");
    lua_pushstring(L, r->url);
    lua_setfield(L, -2, "url");
    lua_getfield(L, -1, "message");
    source_taint(t ? t->run : NULL, lua_tostring(L, -1));
    lua_pop(L, 1);
    return lua_error(L);
}

static int push_json(lua_State *L, struct received *r, bool take)
{
    struct err e = {0};
    if (r->consumed)
        return error_misuse(L, "res:json(): the body was handed over already");
    struct json_doc **box = jsonval_box(L);
    struct str text = buf_str(&r->body);
    int rc;
    if (take && text.n) {
        size_t n;
        buf_reserve(&r->body, JSON_PADDING);
        char *p = buf_take(&r->body, &n);
        vm_discharge(vm_of(L), r->charged);
        r->charged = 0;
        r->consumed = true;
        rc = json_parse_take(p, n, box, &e);
    } else {
        rc = json_parse(text.p ? text : STR(""), box, &e);
    }
    if (rc < 0)
        return not_json(L, r, &e);
    if (json_doc_repairs(*box) > 0)
        source_repaired(L, REPAIR_ANSWER);
    jsonval_push(L, json_root(*box), false);
    return 1;
}

static int response_json(lua_State *L) { return push_json(L, response_check(L, 1), false); }

/* internals.take_json(res): the value; the body is gone afterwards. nil for an empty body. */
static int take_json(lua_State *L)
{
    struct received *r = response_check(L, 1);
    if (r->body.n == 0 && !r->consumed) {
        lua_pushnil(L);
        return 1;
    }
    return push_json(L, r, true);
}

/* internals.excerpt(res): the start of the body on one line, for messages. */
static int excerpt(lua_State *L)
{
    struct received *r = response_check(L, 1);
    char text[201];
    size_t n = 0;
    for (size_t i = 0; i < r->body.n && n < sizeof(text) - 1; i++) {
        unsigned char c = (unsigned char)r->body.p[i];
        if (c > ' ' || (n > 0 && text[n - 1] != ' '))
            text[n++] = c > ' ' ? (char)c : ' ';
    }
    struct buf clean;
    buf_init(&clean, 4096);
    utf8_repair(&clean, (struct str){text, n});
    lua_pushlstring(L, buf_cstr(&clean), clean.n);
    buf_done(&clean);
    return 1;
}

/* internals.fingerprint(value) -> 16 bytes of a JSON value as it arrived; nil for others. */
static int fingerprint(lua_State *L)
{
    struct jsonval *h = jsonval_test(L, 1);
    if (!h) {
        lua_pushnil(L);
        return 1;
    }
    struct key128 k = json_fingerprint(h->j);
    lua_pushlstring(L, (const char *)&k, sizeof(k));
    return 1;
}

/* -------------------------------------------------------------------------------------------------------- */

/* Methods lie in upvalue 1. */
static int response_index(lua_State *L)
{
    struct received *r = response_check(L, 1);
    const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
    if (strcmp(key, "status") == 0)
        lua_pushinteger(L, r->status);
    else if (strcmp(key, "headers") == 0)
        push_headers(L, r);
    else if (strcmp(key, "url") == 0)
        lua_pushstring(L, r->url);
    else if (strcmp(key, "method") == 0)
        lua_pushstring(L, r->method);
    else
        lua_getfield(L, lua_upvalueindex(1), key);
    return 1;
}

static int response_tostring(lua_State *L)
{
    struct received *r = response_check(L, 1);
    lua_pushfstring(L, "response %d of %s", r->status, r->url);
    return 1;
}

void response_open(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"text", response_text},
        {"json", response_json},
        {"link", response_link},
        {NULL, NULL},
    };
    static const luaL_Reg meta[] = {{"__gc", response_gc}, {"__tostring", response_tostring}, {NULL, NULL}};
    static const luaL_Reg inner[] = {
        {"take_json", take_json},
        {"excerpt", excerpt},
        {"fingerprint", fingerprint},
        {NULL, NULL},
    };
    luaL_setfuncs(L, inner, 0);
    luaL_newlib(L, methods);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "response_methods"); /* http.lua adds raise */
    luaL_newmetatable(L, RESPONSE_META);
    luaL_setfuncs(L, meta, 0);
    lua_pushvalue(L, -2);
    lua_pushcclosure(L, response_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pushliteral(L, RESPONSE_META);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 2);
    luaL_newmetatable(L, HEADERS_META);
    lua_pushcfunction(L, headers_index);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}
