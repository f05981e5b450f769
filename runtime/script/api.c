/* Puts the library together: C parts first, then the Lua files, then the globals `ocean` and `cjson`. */
#include "script/api.h"

#include <lauxlib.h>

#include "script/children.h"
#include "script/source.h"

void api_open(lua_State *L)
{
    lua_newtable(L);
    int ocean = lua_gettop(L);
    lua_newtable(L);
    int internals = lua_gettop(L);
    api_core_open(L, ocean, internals);
    api_event_open(L);
    api_json_open(L, ocean);
    api_log_open(L, ocean, internals);
    api_http_open(L, internals);
    api_router_open(L, ocean, internals);
    api_sync_open(L, ocean);
    source_open(L, internals);
    children_open(L, ocean, internals);
    embed_open(L, ocean, internals);
    lua_getfield(L, internals, "drive");
    vm_of(L)->drive_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_getfield(L, internals, "respond");
    vm_of(L)->respond_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_pushvalue(L, ocean);
    lua_setfield(L, -2, "ocean");
    lua_pushvalue(L, ocean);
    lua_setglobal(L, "ocean");
    cjson_open(L);
}

void api_free(struct vm *v)
{
    api_router_free(v);
    api_http_free(v);
    api_event_free(v);
}
