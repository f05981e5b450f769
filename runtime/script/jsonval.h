/* jsonval.h: JSON values as scripts see them: lazy userdata over an immutable document, with writes in an overlay.
 *
 * One userdata per container node while it is alive. Handles alias like Lua tables: a write goes into an overlay held
 * by the document's root and is seen through every handle of it. Loop thread; functions raise memory errors. */
#pragma once
#include "json/json.h"
#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>

struct vm;

/* Values of overlays: lua_pushlightuserdata(NULL) is null, this one a deleted member. */
extern const char jsonval_tomb;
#define JSONVAL_TOMB ((void *)(uintptr_t)&jsonval_tomb)

struct jsonval_root {  /* userdata, one per live document; user value 1: overlay (node -> table) or nil */
    struct keep *keep; /* the document */
    size_t charged;
    bool touched;
};
struct jsonval { /* userdata; user values: 1 the root, 2 an index or nil */
    struct json j;
    struct jsonval_root *root;
    struct json_iter it; /* where sequential reading of an array stands: element `at` was it.val */
    size_t at;
    unsigned lookups; /* random reads so far, to see when an index pays */
};

void jsonval_open(lua_State *L);

/* A userdata that owns one document reference until it is collected: acquire into it what must not leak. */
struct json_doc **jsonval_box(lua_State *L);
/* Takes the document out of the box at idx. */
struct json_doc *jsonval_unbox(lua_State *L, int idx);
/* Pushes a value: scalars become Lua values (null and missing nil, or null with `null_shown`), containers handles.
 * `doc` keeps its reference; the handle makes its own. */
void jsonval_push(lua_State *L, struct json j, bool null_shown);
/* The handle at idx, or NULL. */
struct jsonval *jsonval_test(lua_State *L, int idx);
/* Text of the opaque number at idx; STR_NULL if it is none. */
struct str jsonval_number_text(lua_State *L, int idx);

/* Pushes the overlay table of a node (string keys: values; integers: added keys in order; of an array: the elements,
 * with their number under key 0), or nil. idx: any handle of that root. */
void jsonval_overlay(lua_State *L, int idx, struct json node);
/* Overlay of the root of the handle at idx, whole (node -> table), or nil. */
void jsonval_overlays(lua_State *L, int idx);

/* Pushes what the script would read. */
void jsonval_get(lua_State *L, int idx, int key);
size_t jsonval_len(lua_State *L, int idx);
/* JSON type word of a Lua value: "null", "object" ... or NULL. */
const char *jsonval_type(lua_State *L, int idx);
/* Deep copy into plain Lua tables; arrays are marked. */
void jsonval_table(lua_State *L, int idx);
void jsonval_table_of(lua_State *L, struct json j);

/* ocean.array's metatable on the table at the top / at idx? */
void jsonval_mark_array(lua_State *L);
bool jsonval_is_array_mark(lua_State *L, int idx);
