/* Error tables have the metatable "ocean.error": kind, message, where, and status, url, retryable, response when they
 * fit. A script's own error values are reported as well as they can be: strings as they are, tables by __tostring or
 * their message. Frames of the embedded library (sources "=ocean/...") are never named as the place of an error. */
#include "script/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "script/limit.h"
#include "script/state.h"

#define ERROR_META "ocean.error"
#define MESSAGE_MAX 4096

void failure_done(struct failure *r)
{
    free(r->where);
    free(r->message);
    free(r->traceback);
    free(r->plain);
    memset(r, 0, sizeof(*r));
}

void error_position(lua_State *L, char *out, size_t cap)
{
    lua_Debug ar;
    out[0] = 0;
    for (int level = 0; lua_getstack(L, level, &ar); level++) {
        if (!lua_getinfo(L, "Sl", &ar) || ar.currentline <= 0 || strncmp(ar.source, "=ocean/", 7) == 0)
            continue;
        snprintf(out, cap, "%s:%d", ar.short_src, ar.currentline);
        return;
    }
}

void error_push(lua_State *L, const char *kind, const char *fmt, ...)
{
    char where[LUA_IDSIZE + 16], message[MESSAGE_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof(message), fmt, ap);
    va_end(ap);
    error_position(L, where, sizeof(where));
    luaL_checkstack(L, 5, NULL);
    lua_createtable(L, 0, 6);
    lua_pushstring(L, kind);
    lua_setfield(L, -2, "kind");
    lua_pushstring(L, message);
    lua_setfield(L, -2, "message");
    lua_pushstring(L, where);
    lua_setfield(L, -2, "where");
    luaL_setmetatable(L, ERROR_META);
}

int error_raise(lua_State *L, const char *kind, const char *fmt, ...)
{
    char message[MESSAGE_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof(message), fmt, ap);
    va_end(ap);
    error_push(L, kind, "%s", message);
    return lua_error(L);
}

int error_misuse(lua_State *L, const char *fmt, ...)
{
    char where[LUA_IDSIZE + 16], message[MESSAGE_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof(message), fmt, ap);
    va_end(ap);
    error_position(L, where, sizeof(where));
    lua_pushfstring(L, "%s%s%s", where, where[0] ? ": " : "", message);
    return lua_error(L);
}

const char *error_kind(int code)
{
    switch (code) {
    case ERR_TRANSPORT: return "transport";
    case ERR_TIMEOUT: return "timeout";
    case ERR_TOO_BIG: return "too_big";
    case ERR_CANCELLED: return "cancelled";
    case ERR_PARSE: return "parse";
    case ERR_HTTP: return "http";
    case ERR_AUTH: return "auth";
    case ERR_CONFIG: return "config";
    default: return "error";
    }
}

static int error_tostring(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_pushliteral(L, "message");
    lua_rawget(L, 1);
    luaL_tolstring(L, -1, NULL);
    return 1;
}

/* "text" .. err and err .. "text" */
static int error_concat(lua_State *L)
{
    luaL_tolstring(L, 1, NULL);
    luaL_tolstring(L, 2, NULL);
    lua_concat(L, 2);
    return 1;
}

void error_open(lua_State *L)
{
    luaL_newmetatable(L, ERROR_META);
    lua_pushcfunction(L, error_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushcfunction(L, error_concat);
    lua_setfield(L, -2, "__concat");
    lua_pop(L, 1);
}

/* Reports ------------------------------------------------------------------------------------------------ */

static int to_text(lua_State *L)
{
    luaL_tolstring(L, 1, NULL);
    return 1;
}

/* The string in field `key` of the table at idx, without metamethods; "" when it has none. The value stays on the
 * stack. */
static const char *raw_text(lua_State *L, int idx, const char *key)
{
    idx = lua_absindex(L, idx);
    lua_pushstring(L, key);
    lua_rawget(L, idx);
    return lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
}

static void report_table(lua_State *L, int idx, struct failure *r)
{
    const char *kind = raw_text(L, idx, "kind"), *where = raw_text(L, idx, "where");
    r->http = strcmp(kind, "http") == 0 || strcmp(kind, "transport") == 0 || strcmp(kind, "timeout") == 0 ||
              strcmp(kind, "too_big") == 0;
    r->cancelled = strcmp(kind, "cancelled") == 0;
    r->where = xstrdup(where);
    if (strcmp(kind, "request") != 0)
        return;
    lua_pushliteral(L, "status");
    lua_rawget(L, idx);
    r->status = lua_isinteger(L, -1) ? (int)lua_tointeger(L, -1) : 400;
    lua_pop(L, 1);
    r->status = r->status >= 400 && r->status <= 599 ? r->status : 500;
    r->plain = xstrdup(raw_text(L, idx, "message"));
}

char *error_own_frames(const char *traceback)
{
    char *out = xstrdup(traceback), *to = out;
    for (const char *line = traceback; *line;) {
        size_t n = strcspn(line, "\n");
        n += line[n] == '\n';
        if (strncmp(line, "\tocean/", 7) != 0) {
            memcpy(to, line, n);
            to += n;
        }
        line += n;
    }
    while (to > out && to[-1] == '\n')
        to--;
    *to = 0;
    return out;
}

void error_failure(lua_State *L, lua_State *co, struct failure *r)
{
    luaL_checkstack(L, 20, NULL);
    if (!lua_checkstack(co, 2))
        luaL_error(L, "stack overflow");
    lua_pushvalue(co, -1);
    lua_xmove(co, L, 1);
    int value = lua_gettop(L);
    if (lua_istable(L, value))
        report_table(L, value, r);
    else
        r->where = xstrdup("");
    lua_pushcfunction(L, to_text);
    lua_pushvalue(L, value);
    lua_State *before = limit_enter(L);
    const char *text = lua_pcall(L, 1, 1, 0) == LUA_OK ? lua_tostring(L, -1) : "an error value without text";
    limit_leave(before);
    if (lua_istable(L, value) && !luaL_getmetafield(L, value, "__tostring")) {
        const char *message = raw_text(L, value, "message");
        text = *message ? message : "an error table without a message";
    }
    r->message = *r->where ? xasprintf("%s: %s", r->where, text) : xstrdup(text);
    luaL_traceback(L, co, NULL, 0);
    r->traceback = error_own_frames(lua_tostring(L, -1));
}
