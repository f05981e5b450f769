/* api.h: the `ocean` library: one api_*.c per part, each fills the ocean table and the table of internals that the
 * library's Lua files get. Called once, protected, on the main state. */
#pragma once
#include "script/state.h"
#include <lua.h>

void api_open(lua_State *L);
void api_free(struct vm *v); /* after the state was closed */

void api_core_open(lua_State *L, int ocean, int internals);
void api_event_open(lua_State *L);
void api_http_open(lua_State *L, int internals);
void api_http_free(struct vm *v);
void api_json_open(lua_State *L, int ocean);
void api_router_open(lua_State *L, int ocean, int internals);
void api_router_free(struct vm *v);
void api_sync_open(lua_State *L, int ocean);
void cjson_open(lua_State *L);
void api_log_open(lua_State *L, int ocean, int internals);

/* ocean.event and ocean.config as they are now. */
void api_event_push(lua_State *L);
void api_event_free(struct vm *v);
