/* The part of the library that is written in Lua. build/<variant>/gen/embedded_lua.c holds lua/ocean/<name>.lua as
 * bytes; each file is a chunk called with the ocean table and the internals, in the order below. What it returns (a
 * table or a function) becomes internals[name], and ocean[name] when that is public. */
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "script/embed.h"
#include "script/state.h"

static const struct {
    const char *name;
    const char *public; /* field of the ocean table, or NULL */
} order[] = {
    {"check", NULL}, {"stream", NULL}, {"tasks", NULL}, {"http", "http"},
    {"auth", "auth"}, {"paginate", "paginate"}, {"drive", NULL}, {"respond", NULL},
};

static const struct embedded_lua *find(const char *name)
{
    for (const struct embedded_lua *f = embedded_lua; f->name; f++)
        if (strcmp(f->name, name) == 0)
            return f;
    return NULL;
}

void embed_open(lua_State *L, int ocean, int internals)
{
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        char chunk[64];
        const struct embedded_lua *f = find(order[i].name);
        if (!f)
            luaL_error(L, "lua/ocean/%s.lua is not part of this binary", order[i].name);
        snprintf(chunk, sizeof(chunk), "=ocean/%s", order[i].name);
        if (luaL_loadbufferx(L, (const char *)f->text, f->size, chunk, "t") != LUA_OK)
            lua_error(L);
        lua_pushvalue(L, ocean);
        lua_pushvalue(L, internals);
        lua_call(L, 2, 1);
        lua_pushvalue(L, -1);
        lua_setfield(L, internals, order[i].name);
        if (order[i].public)
            lua_setfield(L, ocean, order[i].public);
        else
            lua_pop(L, 1);
    }
}
