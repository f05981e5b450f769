/* convert.h: Lua values to JSON text and documents. Loop thread. */
#pragma once
#include "json/json.h"
#include <lua.h>
#include <stdbool.h>

enum convert_flag {
    CONVERT_LIST = 1,   /* an unmarked empty table at the top is an empty list */
    CONVERT_SCHEMA = 2, /* unmarked empty tables under keys that hold lists in blueprints and mappings are lists */
};

/* Converts the value at idx: a handle without writes stays where it is (no copy), everything else becomes a new
 * document. Pushes a userdata that owns one reference to the document and sets *ret. Returns 0, or ERR_INVAL with the
 * path and the reason in msg (a userdata is pushed all the same). Raises only when memory is short. */
int convert_try(lua_State *L, int idx, int flags, struct json *ret, char *msg, size_t cap);
/* The same, raising what is wrong as misuse. */
void convert_document(lua_State *L, int idx, int flags, struct json *ret);
/* Pushes the JSON text. Raises. */
void convert_push_text(lua_State *L, int idx);
/* Would this table be an array? (Marked, or it has keys and all are positive integers.) */
bool convert_is_list(lua_State *L, int idx);
void convert_open(lua_State *L);
