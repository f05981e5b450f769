/* ocean.json and the repaired cjson.
 *
 * ocean.json.decode gives the lazy value; cjson.decode gives plain tables, as scripts written for lua-cjson expect, but
 * with integers intact. The module's other functions are lua-cjson's own; without the module on the machine encode,
 * decode and null are still there. */
#include <lauxlib.h>
#include <string.h>

#include "base/log.h"
#include "script/api.h"
#include "script/convert.h"
#include "script/error.h"
#include "script/jsonval.h"

#define LOG_GROUP "script.json"

static int l_encode(lua_State *L)
{
    luaL_checkany(L, 1);
    convert_push_text(L, 1);
    return 1;
}

/* Pushes a box with the parsed document. */
static struct json decode(lua_State *L)
{
    struct err e = {0};
    size_t n;
    const char *p = luaL_checklstring(L, 1, &n);
    struct json_doc **box = jsonval_box(L);
    if (json_parse((struct str){p, n}, box, &e) < 0)
        error_raise(L, "parse", "%s", e.msg);
    return json_root(*box);
}

static int l_decode(lua_State *L)
{
    jsonval_push(L, decode(L), true);
    return 1;
}

static int l_table(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_settop(L, 1);
    jsonval_table(L, 1);
    return 1;
}

/* ocean.json.type(value [, key]): the word, or nil for what is missing or no JSON. With a key, null and missing differ.
 */
static int l_type(lua_State *L)
{
    luaL_checkany(L, 1);
    struct jsonval *h = jsonval_test(L, 1);
    if (!lua_isnoneornil(L, 2)) {
        if (h && json_is_obj(h->j) && lua_type(L, 2) == LUA_TSTRING) {
            lua_settop(L, 2);
            jsonval_overlay(L, 1, h->j);
            bool overlaid = false;
            if (lua_istable(L, 3)) {
                lua_pushvalue(L, 2);
                overlaid = lua_rawget(L, 3) != LUA_TNIL;
            }
            if (!overlaid) {
                struct json j = json_get(h->j, str_of(lua_tostring(L, 2)));
                if (j.v)
                    lua_pushstring(L, json_type_name(json_type(j)));
                else
                    lua_pushnil(L);
                return 1;
            }
        } else {
            lua_settop(L, 2);
            lua_gettable(L, 1);
        }
        lua_replace(L, 1);
        lua_settop(L, 1);
    }
    const char *word = jsonval_type(L, 1);
    if (word)
        lua_pushstring(L, word);
    else
        lua_pushnil(L);
    return 1;
}

void api_json_open(lua_State *L, int ocean)
{
    static const luaL_Reg functions[] = {
        {"encode", l_encode}, {"decode", l_decode}, {"table", l_table}, {"type", l_type}, {NULL, NULL},
    };
    luaL_newlib(L, functions);
    lua_setfield(L, ocean, "json");
}

/* cjson -------------------------------------------------------------------------------------------------- */

static int cjson_decode(lua_State *L)
{
    jsonval_table_of(L, decode(L));
    return 1;
}

/* Pushes lua-cjson's own table, or nil. */
static void load_module(lua_State *L)
{
    int top = lua_gettop(L);
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "searchpath");
    lua_pushliteral(L, "cjson");
    lua_getfield(L, -3, "cpath");
    lua_call(L, 2, 1);
    if (lua_isstring(L, -1)) {
        lua_getfield(L, -2, "loadlib");
        lua_insert(L, -2);
        lua_pushliteral(L, "luaopen_cjson");
        lua_call(L, 2, 1);
        if (lua_isfunction(L, -1) && lua_pcall(L, 0, 1, 0) == LUA_OK && lua_istable(L, -1)) {
            lua_replace(L, top + 1);
            lua_settop(L, top + 1);
            return;
        }
    }
    lua_settop(L, top);
    lua_pushnil(L);
}

void cjson_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"encode", l_encode}, {"decode", cjson_decode}, {NULL, NULL}};
    load_module(L);
    if (!lua_istable(L, -1)) {
        log_debug("the module cjson is not on this machine; encode, decode and null are the library's own");
        lua_pop(L, 1);
        lua_newtable(L);
    }
    luaL_setfuncs(L, functions, 0);
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "null");
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, "cjson");
    lua_pop(L, 1);
    lua_setglobal(L, "cjson");
}
