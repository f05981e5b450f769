/* ocean.log.debug, info, warning, error(text [, fields]). One line each, the script's position behind the text; fields
 * as name=value, in the order of their names, values that are no scalars as JSON. */
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "script/api.h"
#include "script/error.h"

#define LOG_GROUP "script.log"
#define LINE_MAX_BYTES (64u << 10)

static const char *const sort_names = "local t = ... local names = {} for k in pairs(t) do names[#names + 1] = "
                                      "tostring(k) end table.sort(names) return names";

/* " a=1 b=x" of the table at index 2 on top of the stack. upvalue 1: the sorter of names, 2: ocean.json.encode */
static void push_fields(lua_State *L)
{
    lua_pushliteral(L, "");
    if (!lua_istable(L, 2))
        return;
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, 2);
    lua_call(L, 1, 1);
    int names = lua_gettop(L);
    lua_Integer n = (lua_Integer)lua_rawlen(L, names);
    for (lua_Integer i = 1; i <= n; i++) {
        luaL_checkstack(L, 10, NULL);
        lua_pushvalue(L, names - 1);
        lua_rawgeti(L, names, i);
        const char *name = lua_tostring(L, -1);
        lua_getfield(L, 2, name);
        if (lua_istable(L, -1) && !luaL_getmetafield(L, -1, "__tostring")) {
            lua_pushvalue(L, lua_upvalueindex(2));
            lua_insert(L, -2);
            lua_call(L, 1, 1);
        } else {
            lua_settop(L, names + 3);
        }
        lua_pushfstring(L, "%s %s=%s", lua_tostring(L, names + 1), name, luaL_tolstring(L, names + 3, NULL));
        lua_replace(L, names - 1);
        lua_settop(L, names);
    }
    lua_pop(L, 1);
}

static int write_line(lua_State *L)
{
    enum log_level level = (enum log_level)lua_tointeger(L, lua_upvalueindex(3));
    char where[LUA_IDSIZE + 16];
    lua_settop(L, 2);
    if (!lua_isnil(L, 2) && !lua_istable(L, 2))
        return error_misuse(L, "ocean.log: the fields must be a table, got %s", luaL_typename(L, 2));
    if (!log_enabled(level, LOG_GROUP))
        return 0;
    const char *text = luaL_tolstring(L, 1, NULL);
    push_fields(L);
    error_position(L, where, sizeof(where));
    log_write(level, LOG_GROUP, "%s%s%s%s%s", text, lua_tostring(L, -1), where[0] ? " (" : "", where,
              where[0] ? ")" : "");
    return 0;
}

void api_log_open(lua_State *L, int ocean, int internals)
{
    static const struct {
        const char *name;
        enum log_level level;
    } levels[] = {{"debug", LOG_DEBUG}, {"info", LOG_INFO}, {"warning", LOG_WARN}, {"error", LOG_ERROR}};
    lua_createtable(L, 0, 4);
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        if (luaL_loadbufferx(L, sort_names, strlen(sort_names), "=ocean/log", "t") != LUA_OK)
            lua_error(L);
        lua_getfield(L, ocean, "json");
        lua_getfield(L, -1, "encode");
        lua_remove(L, -2);
        lua_pushinteger(L, levels[i].level);
        lua_pushcclosure(L, write_line, 3);
        lua_pushvalue(L, -1);
        lua_setfield(L, -3, levels[i].name);
        if (levels[i].level == LOG_WARN)
            lua_setfield(L, internals, "warn");
        else
            lua_pop(L, 1);
    }
    lua_setfield(L, ocean, "log");
}
