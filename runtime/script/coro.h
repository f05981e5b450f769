/* coro.h: the coroutine library as scripts see it: waits inside their own coroutines reach the task. */
#pragma once
#include <lua.h>

void coro_open(lua_State *L);          /* after libs_open */
void coro_name_blockers(lua_State *L); /* after op_open */
