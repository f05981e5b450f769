/* The standard libraries with their dangerous corners taken off (design.md section 7): bytecode is refused everywhere,
 * setmetatable refuses __gc, debug keeps traceback and getinfo, functions that could run for ever inside one C call
 * look at the size first, os.exit raises, print and io.stdout go to stderr when stdout belongs to --json. */
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "script/error.h"
#include "script/state.h"

#define TABLE_SPAN_MAX (((lua_Integer)1) << 24)
#define TEXT_MAX_WITHOUT_LIMIT ((size_t)1 << 30)

/* Calls the original, kept in upvalue 1, with the arguments as they are. */
static int call_original(lua_State *L)
{
    int n = lua_gettop(L);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, n, LUA_MULTRET);
    return lua_gettop(L);
}

/* Replaces field `name` of the table on top by fn, whose upvalue 1 is the original. */
static void wrap(lua_State *L, const char *name, lua_CFunction fn)
{
    lua_getfield(L, -1, name);
    lua_pushcclosure(L, fn, 1);
    lua_setfield(L, -2, name);
}

/* Code --------------------------------------------------------------------------------------------------- */

static int safe_load(lua_State *L)
{
    const char *mode = luaL_optstring(L, 3, "t");
    if (!strchr(mode, 't')) {
        lua_pushnil(L);
        lua_pushliteral(L, "attempt to load bytecode: only Lua source is loaded here (mode \"t\")");
        return 2;
    }
    if (lua_gettop(L) < 3)
        lua_settop(L, 3);
    lua_pushliteral(L, "t");
    lua_replace(L, 3);
    return call_original(L);
}

static int safe_loadfile(lua_State *L)
{
    const char *name = luaL_optstring(L, 1, NULL);
    bool env = !lua_isnone(L, 3);
    if (luaL_loadfilex(L, name, "t") != LUA_OK) {
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    if (env) {
        lua_pushvalue(L, 3);
        if (!lua_setupvalue(L, -2, 1))
            lua_pop(L, 1);
    }
    return 1;
}

static int dofile_k(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    (void)ctx;
    return lua_gettop(L) - 1;
}

static int safe_dofile(lua_State *L)
{
    const char *name = luaL_optstring(L, 1, NULL);
    lua_settop(L, 1);
    if (luaL_loadfilex(L, name, "t") != LUA_OK)
        return lua_error(L);
    lua_callk(L, 0, LUA_MULTRET, 0, dofile_k);
    return dofile_k(L, 0, 0);
}

/* The searcher for Lua files, as the original but for text only. upvalue 1: package */
static int search_lua(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    lua_getfield(L, lua_upvalueindex(1), "searchpath");
    lua_pushvalue(L, 1);
    lua_getfield(L, lua_upvalueindex(1), "path");
    lua_call(L, 2, 2);
    if (lua_isnil(L, -2))
        return 1; /* where it was looked for */
    const char *file = lua_tostring(L, -2);
    if (luaL_loadfilex(L, file, "t") != LUA_OK)
        return luaL_error(L, "error loading module '%s' from file '%s':\n\t%s", name, file, lua_tostring(L, -1));
    lua_pushstring(L, file);
    return 2;
}

static void open_package(lua_State *L)
{
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "searchers");
    lua_pushvalue(L, -2);
    lua_pushcclosure(L, search_lua, 1);
    lua_rawseti(L, -2, 2);
    lua_pop(L, 2);
}

void libs_set_path(lua_State *L, const char *script)
{
    const char *slash = strrchr(script, '/');
    lua_getglobal(L, "package");
    if (lua_istable(L, -1)) {
        if (slash)
            lua_pushlstring(L, script, (size_t)(slash - script));
        else
            lua_pushliteral(L, ".");
        const char *dir = lua_tostring(L, -1);
        lua_getfield(L, -2, "path");
        lua_pushfstring(L, "%s/?.lua;%s/?/init.lua;%s", dir, dir, lua_isstring(L, -1) ? lua_tostring(L, -1) : "");
        lua_setfield(L, -4, "path");
        lua_pop(L, 2);
    }
    lua_pop(L, 1);
}

/* Basic functions ---------------------------------------------------------------------------------------- */

static int safe_setmetatable(lua_State *L)
{
    if (lua_istable(L, 2)) {
        lua_pushliteral(L, "__gc");
        lua_rawget(L, 2);
        if (!lua_isnil(L, -1))
            return error_misuse(L, "setmetatable: __gc is not available, a finalizer cannot be limited; use a <close> "
                                   "variable with __close");
        lua_pop(L, 1);
    }
    return call_original(L);
}

static int safe_print(lua_State *L)
{
    FILE *out = vm_of(L)->o.json_output ? stderr : stdout;
    int n = lua_gettop(L);
    for (int i = 1; i <= n; i++) {
        size_t len;
        const char *text = luaL_tolstring(L, i, &len);
        if (i > 1)
            fputc('\t', out);
        fwrite(text, 1, len, out);
        lua_pop(L, 1);
    }
    fputc('\n', out);
    fflush(out);
    return 0;
}

/* Text and tables ---------------------------------------------------------------------------------------- */

static int safe_rep(lua_State *L)
{
    size_t n, sep = 0, limit = vm_of(L)->o.memory_limit;
    luaL_checklstring(L, 1, &n);
    lua_Integer times = luaL_checkinteger(L, 2);
    luaL_optlstring(L, 3, "", &sep);
    if (limit == 0)
        limit = TEXT_MAX_WITHOUT_LIMIT;
    if (times > 0 && n + sep > 0 && (size_t)times > limit / (n + sep))
        return error_misuse(L,
                            "string.rep: the result would be larger than the script's memory limit of %zu MiB "
                            "(--lua-memory)",
                            limit >> 20);
    return call_original(L);
}

static void check_span(lua_State *L, const char *name, lua_Integer from, lua_Integer to)
{
    if (to >= from && (lua_Unsigned)to - (lua_Unsigned)from >= (lua_Unsigned)TABLE_SPAN_MAX)
        error_misuse(L, "%s: %lld elements from %lld are more than the %lld one call may handle", name,
                     (long long)((lua_Unsigned)to - (lua_Unsigned)from), (long long)from, (long long)TABLE_SPAN_MAX);
}

static int safe_concat(lua_State *L)
{
    lua_Integer from = luaL_optinteger(L, 3, 1);
    check_span(L, "table.concat", from, lua_isnoneornil(L, 4) ? luaL_len(L, 1) : luaL_checkinteger(L, 4));
    return call_original(L);
}

static int safe_unpack(lua_State *L)
{
    lua_Integer from = luaL_optinteger(L, 2, 1);
    check_span(L, "table.unpack", from, lua_isnoneornil(L, 3) ? luaL_len(L, 1) : luaL_checkinteger(L, 3));
    return call_original(L);
}

static int safe_move(lua_State *L)
{
    check_span(L, "table.move", luaL_checkinteger(L, 2), luaL_checkinteger(L, 3));
    return call_original(L);
}

/* os, io, debug ------------------------------------------------------------------------------------------ */

static int no_exit(lua_State *L)
{
    return error_misuse(L, "os.exit is not available: a run cut short must not look finished; raise an error instead");
}

static int safe_setlocale(lua_State *L)
{
    if (!lua_isnoneornil(L, 1))
        return error_misuse(L, "os.setlocale: the locale cannot be changed, numbers would be written differently");
    return call_original(L);
}

static void open_io(lua_State *L)
{
    if (vm_of(L)->o.json_output) {
        lua_getglobal(L, "io");
        lua_getfield(L, -1, "stderr");
        lua_pushvalue(L, -1);
        lua_setfield(L, -3, "stdout");
        lua_getfield(L, -2, "output");
        lua_insert(L, -2);
        lua_call(L, 1, 0);
        lua_pop(L, 1);
    }
    luaL_getmetatable(L, LUA_FILEHANDLE);
    lua_pushliteral(L, LUA_FILEHANDLE);
    lua_setfield(L, -2, "__metatable"); /* its __gc must stay C's */
    lua_pop(L, 1);
}

static void open_debug(lua_State *L)
{
    lua_getglobal(L, "debug");
    lua_createtable(L, 0, 2);
    lua_getfield(L, -2, "traceback");
    lua_setfield(L, -2, "traceback");
    lua_getfield(L, -2, "getinfo");
    lua_setfield(L, -2, "getinfo");
    lua_pushvalue(L, -1);
    lua_setglobal(L, "debug");
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_insert(L, -2);
    lua_setfield(L, -2, "debug");
    lua_pop(L, 2);
}

static void wrap_all(lua_State *L)
{
    static const struct {
        const char *lib, *name;
        lua_CFunction fn;
    } wraps[] = {
        {"_G", "load", safe_load},           {"_G", "loadfile", safe_loadfile},
        {"_G", "dofile", safe_dofile},       {"_G", "setmetatable", safe_setmetatable},
        {"_G", "print", safe_print},         {"string", "rep", safe_rep},
        {"table", "concat", safe_concat},    {"table", "unpack", safe_unpack},
        {"table", "move", safe_move},        {"os", "exit", no_exit},
        {"os", "setlocale", safe_setlocale},
    };
    for (size_t i = 0; i < ARRAY_LEN(wraps); i++) {
        lua_getglobal(L, wraps[i].lib);
        wrap(L, wraps[i].name, wraps[i].fn);
        lua_pop(L, 1);
    }
}

void libs_open(lua_State *L)
{
    luaL_openlibs(L);
    wrap_all(L);
    open_package(L);
    open_io(L);
    open_debug(L);
}
