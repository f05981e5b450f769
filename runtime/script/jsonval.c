/* The lazy JSON value.
 *
 * Registry tables, both with weak values: document -> root, node -> handle. Addresses are unique while their document
 * lives, a handle keeps its root, and weak entries of a userdata disappear before it is finalised, so a reused address
 * never finds a stale handle.
 *
 * Overlays hang on the root, not on the handle: `page[1].x = 5` writes through a handle that is garbage a moment later.
 * An object's overlay holds only what changed; an array's overlay holds all elements, made at the first write, because
 * table.insert and table.sort move everything anyway.
 *
 * Reading in order costs nothing extra; random reads of an array, or many look-ups in a wide object, build an index. */
#include "script/jsonval.h"

#include <math.h>
#include <string.h>

#include "script/convert.h"
#include "script/error.h"
#include "script/state.h"

#define VALUE_META "ocean.json.value"
#define ROOT_META "ocean.json.root"
#define BOX_META "ocean.json.box"
#define NUMBER_META "ocean.json.number"
#define ARRAY_META "ocean.array"
#define WIDE 48       /* members from which an object gets an index */
#define INDEX_AFTER 4 /* random reads before one is built */

const char jsonval_tomb;
static const char roots_key, handles_key;

static void push_null(lua_State *L) { lua_pushlightuserdata(L, NULL); }

/* Documents ---------------------------------------------------------------------------------------------- */

static void unref(void *doc) { json_unref(doc); }

struct json_doc **jsonval_box(lua_State *L)
{
    struct keep **box = lua_newuserdatauv(L, sizeof(*box), 0);
    *box = NULL;
    luaL_setmetatable(L, BOX_META);
    *box = vm_keep(vm_of(L), unref, NULL);
    return (struct json_doc **)&(*box)->what;
}

struct json_doc *jsonval_unbox(lua_State *L, int idx)
{
    struct keep **box = lua_touserdata(L, idx);
    struct json_doc *doc = (*box)->what;
    (*box)->what = NULL;
    return doc;
}

static int box_gc(lua_State *L)
{
    struct keep **box = lua_touserdata(L, 1);
    vm_release(*box);
    *box = NULL;
    return 0;
}

static int root_gc(lua_State *L)
{
    struct jsonval_root *r = lua_touserdata(L, 1);
    vm_discharge(vm_of(L), r->charged);
    vm_release(r->keep);
    r->keep = NULL;
    r->charged = 0;
    return 0;
}

static struct jsonval_root *push_root(lua_State *L, struct json_doc *doc)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &roots_key);
    lua_rawgetp(L, -1, doc);
    struct jsonval_root *r = lua_touserdata(L, -1);
    if (r) {
        lua_remove(L, -2);
        return r;
    }
    lua_pop(L, 1);
    r = lua_newuserdatauv(L, sizeof(*r), 1);
    memset(r, 0, sizeof(*r));
    luaL_setmetatable(L, ROOT_META);
    r->keep = vm_keep(vm_of(L), unref, json_ref(doc));
    lua_pushvalue(L, -1);
    lua_rawsetp(L, -3, doc);
    lua_remove(L, -2);
    size_t bytes = json_doc_bytes(doc);
    vm_charge(L, bytes);
    r->charged = bytes;
    return r;
}

/* Numbers ------------------------------------------------------------------------------------------------ */

static size_t significant_digits(struct str s)
{
    size_t n = 0;
    bool leading = true;
    for (size_t i = 0; i < s.n && s.p[i] != 'e' && s.p[i] != 'E'; i++) {
        if (s.p[i] < '0' || s.p[i] > '9' || (leading && s.p[i] == '0'))
            continue;
        leading = false;
        n++;
    }
    return n;
}

static void push_number(lua_State *L, struct json j)
{
    int64_t i;
    struct str text = json_num_text(j);
    if (json_int64(j, &i)) {
        lua_pushinteger(L, i);
        return;
    }
    double d = json_double(j);
    bool integer = !memchr(text.p, '.', text.n) && !memchr(text.p, 'e', text.n) && !memchr(text.p, 'E', text.n);
    if (!integer && isfinite(d) && significant_digits(text) <= 17) {
        lua_pushnumber(L, d);
        return;
    }
    char *p = lua_newuserdatauv(L, text.n + 1, 0);
    memcpy(p, text.p, text.n);
    p[text.n] = 0;
    luaL_setmetatable(L, NUMBER_META);
}

struct str jsonval_number_text(lua_State *L, int idx)
{
    void *p = luaL_testudata(L, idx, NUMBER_META);
    return p ? str_of(p) : STR_NULL;
}

static int number_tostring(lua_State *L)
{
    lua_pushstring(L, luaL_checkudata(L, 1, NUMBER_META));
    return 1;
}

static int number_eq(lua_State *L)
{
    struct str a = jsonval_number_text(L, 1), b = jsonval_number_text(L, 2);
    lua_pushboolean(L, a.p && b.p && str_eq(a, b));
    return 1;
}

static int number_concat(lua_State *L)
{
    luaL_tolstring(L, 1, NULL);
    luaL_tolstring(L, 2, NULL);
    lua_concat(L, 2);
    return 1;
}

/* Arithmetic and order work on the nearest double, which is what the script asked for by calculating. */
static void to_double(lua_State *L, int idx)
{
    struct str s = jsonval_number_text(L, idx);
    if (!s.p)
        return;
    lua_pushnumber(L, strtod(s.p, NULL));
    lua_replace(L, idx);
}

static int number_arith(lua_State *L)
{
    lua_settop(L, 2);
    to_double(L, 1);
    to_double(L, 2);
    lua_arith(L, (int)lua_tointeger(L, lua_upvalueindex(1)));
    return 1;
}

static int number_unm(lua_State *L)
{
    lua_settop(L, 1);
    to_double(L, 1);
    lua_arith(L, LUA_OPUNM);
    return 1;
}

static int number_order(lua_State *L)
{
    to_double(L, 1);
    to_double(L, 2);
    lua_pushboolean(L, lua_compare(L, 1, 2, (int)lua_tointeger(L, lua_upvalueindex(1))));
    return 1;
}

/* Handles ------------------------------------------------------------------------------------------------ */

struct jsonval *jsonval_test(lua_State *L, int idx) { return luaL_testudata(L, idx, VALUE_META); }

void jsonval_push(lua_State *L, struct json j, bool null_shown)
{
    struct str s;
    luaL_checkstack(L, 6, NULL);
    switch (json_type(j)) {
    case JSON_MISSING: lua_pushnil(L); return;
    case JSON_NULL:
        if (null_shown)
            push_null(L);
        else
            lua_pushnil(L);
        return;
    case JSON_FALSE: lua_pushboolean(L, 0); return;
    case JSON_TRUE: lua_pushboolean(L, 1); return;
    case JSON_NUMBER: push_number(L, j); return;
    case JSON_STRING:
        s = json_str(j);
        lua_pushlstring(L, s.p, s.n);
        return;
    default: break;
    }
    lua_rawgetp(L, LUA_REGISTRYINDEX, &handles_key);
    if (lua_rawgetp(L, -1, j.v) == LUA_TUSERDATA) {
        lua_remove(L, -2);
        return;
    }
    lua_pop(L, 1);
    struct jsonval_root *root = push_root(L, j.doc);
    struct jsonval *h = lua_newuserdatauv(L, sizeof(*h), 2);
    memset(h, 0, sizeof(*h));
    h->j = j;
    h->root = root;
    luaL_setmetatable(L, VALUE_META);
    lua_insert(L, -2);
    lua_setiuservalue(L, -2, 1);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, -3, j.v);
    lua_remove(L, -2);
}

void jsonval_overlays(lua_State *L, int idx)
{
    lua_getiuservalue(L, idx, 1);
    lua_getiuservalue(L, -1, 1);
    lua_remove(L, -2);
}

void jsonval_overlay(lua_State *L, int idx, struct json node)
{
    struct jsonval *h = lua_touserdata(L, idx);
    luaL_checkstack(L, 4, NULL);
    if (!h->root->touched) {
        lua_pushnil(L);
        return;
    }
    jsonval_overlays(L, idx);
    lua_rawgetp(L, -1, node.v);
    lua_remove(L, -2);
}

/* Pushes the overlay of the handle's node, making it. */
static void overlay_make(lua_State *L, int idx)
{
    struct jsonval *h = lua_touserdata(L, idx);
    luaL_checkstack(L, 8, NULL);
    jsonval_overlay(L, idx, h->j);
    if (lua_istable(L, -1))
        return;
    lua_pop(L, 1);
    if (!h->root->touched) {
        lua_getiuservalue(L, idx, 1);
        lua_newtable(L);
        lua_setiuservalue(L, -2, 1);
        lua_pop(L, 1);
        h->root->touched = true;
    }
    if (json_is_arr(h->j)) {
        lua_createtable(L, (int)json_len(h->j), 0);
        lua_Integer n = 0;
        for (struct json_iter it = json_iter(h->j); json_next(&it);) {
            jsonval_push(L, it.val, true);
            lua_rawseti(L, -2, ++n);
        }
        lua_pushinteger(L, n);
        lua_rawseti(L, -2, 0);
    } else {
        lua_newtable(L);
    }
    jsonval_overlays(L, idx);
    lua_pushvalue(L, -2);
    lua_rawsetp(L, -2, h->j.v);
    lua_pop(L, 1);
}

/* Reading ------------------------------------------------------------------------------------------------ */

static size_t overlay_len(lua_State *L)
{
    lua_rawgeti(L, -1, 0);
    size_t n = (size_t)lua_tointeger(L, -1);
    lua_pop(L, 1);
    return n;
}

size_t jsonval_len(lua_State *L, int idx)
{
    struct jsonval *h = lua_touserdata(L, idx);
    if (!json_is_arr(h->j))
        return 0;
    jsonval_overlay(L, idx, h->j);
    size_t n = lua_istable(L, -1) ? overlay_len(L) : json_len(h->j);
    lua_pop(L, 1);
    return n;
}

struct element_index {
    size_t n;
    struct json v[];
};

static struct json random_element(lua_State *L, int idx, struct jsonval *h, size_t i)
{
    lua_getiuservalue(L, idx, 2);
    struct element_index *x = lua_touserdata(L, -1);
    lua_pop(L, 1);
    if (!x && ++h->lookups <= INDEX_AFTER)
        return json_at(h->j, i - 1);
    if (!x) {
        size_t n = json_len(h->j), k = 0;
        x = lua_newuserdatauv(L, sizeof(*x) + n * sizeof(x->v[0]), 0);
        x->n = n;
        for (struct json_iter it = json_iter(h->j); json_next(&it);)
            x->v[k++] = it.val;
        lua_setiuservalue(L, idx, 2);
    }
    return x->v[i - 1];
}

static struct json element(lua_State *L, int idx, struct jsonval *h, size_t i)
{
    if (i < 1 || i > json_len(h->j))
        return JSON_NONE;
    if (h->at && i == h->at)
        return h->it.val;
    if (i != h->at + 1 && i != 1)
        return random_element(L, idx, h, i);
    if (i == 1)
        h->it = json_iter(h->j);
    json_next(&h->it);
    h->at = i;
    return h->it.val;
}

static struct json member(lua_State *L, int idx, struct jsonval *h, struct str key)
{
    if (json_len(h->j) < WIDE)
        return json_get(h->j, key);
    if (lua_getiuservalue(L, idx, 2) != LUA_TTABLE) {
        lua_pop(L, 1);
        if (++h->lookups <= INDEX_AFTER)
            return json_get(h->j, key);
        lua_createtable(L, 0, (int)json_len(h->j));
        for (struct json_iter it = json_iter(h->j); json_next(&it);) {
            lua_pushlstring(L, it.key.p, it.key.n);
            lua_pushlightuserdata(L, it.val.v);
            lua_rawset(L, -3);
        }
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, idx, 2);
    }
    lua_pushlstring(L, key.p, key.n);
    lua_rawget(L, -2);
    struct json j = {h->j.doc, lua_touserdata(L, -1)};
    lua_pop(L, 2);
    return j.v ? j : JSON_NONE;
}

/* An integer from an integer or an integral float; false for everything else. */
static bool index_of(lua_State *L, int key, lua_Integer *ret)
{
    int is;
    if (lua_type(L, key) != LUA_TNUMBER)
        return false;
    *ret = lua_tointegerx(L, key, &is);
    return is;
}

/* From the overlay on top of the stack, which is replaced by the value; false if it says nothing about the key. */
static bool get_overlaid(lua_State *L, struct jsonval *h, int key)
{
    lua_pushvalue(L, key);
    lua_rawget(L, -2);
    if (json_is_arr(h->j) || !lua_isnil(L, -1)) {
        bool gone = json_is_obj(h->j) && lua_islightuserdata(L, -1); /* deleted, or null: both read as nil */
        lua_remove(L, -2);
        if (gone) {
            lua_pop(L, 1);
            lua_pushnil(L);
        }
        return true;
    }
    lua_pop(L, 1);
    return false;
}

void jsonval_get(lua_State *L, int idx, int key)
{
    struct jsonval *h = lua_touserdata(L, idx);
    lua_Integer i = 0;
    size_t n;
    bool array = json_is_arr(h->j);
    idx = lua_absindex(L, idx);
    key = lua_absindex(L, key);
    luaL_checkstack(L, 8, NULL);
    if (array ? !index_of(L, key, &i) || i < 1 : lua_type(L, key) != LUA_TSTRING) {
        lua_pushnil(L);
        return;
    }
    if (h->root->touched) {
        jsonval_overlay(L, idx, h->j);
        if (lua_istable(L, -1) && get_overlaid(L, h, key))
            return;
        lua_pop(L, 1);
    }
    if (array) {
        jsonval_push(L, element(L, idx, h, (size_t)i), true);
        return;
    }
    const char *p = lua_tolstring(L, key, &n);
    jsonval_push(L, member(L, idx, h, (struct str){p, n}), false);
}

static int value_index(lua_State *L)
{
    jsonval_get(L, 1, 2);
    return 1;
}

static int value_len(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)jsonval_len(L, 1));
    return 1;
}

static int value_tostring(lua_State *L)
{
    convert_push_text(L, 1);
    return 1;
}

/* Writing ------------------------------------------------------------------------------------------------ */

static void check_writable(lua_State *L, int idx)
{
    int t = lua_type(L, idx);
    if (t == LUA_TNIL || t == LUA_TBOOLEAN || t == LUA_TNUMBER || t == LUA_TSTRING || t == LUA_TTABLE ||
        (t == LUA_TLIGHTUSERDATA && !lua_touserdata(L, idx)) || jsonval_test(L, idx) || jsonval_number_text(L, idx).p)
        return;
    error_misuse(L, "a %s cannot be stored in a JSON value", luaL_typename(L, idx));
}

static void write_element(lua_State *L)
{
    lua_Integer i = 0;
    if (!index_of(L, 2, &i))
        error_misuse(L, "a JSON array is indexed by integers, not by a %s", luaL_typename(L, 2));
    overlay_make(L, 1);
    lua_Integer n = (lua_Integer)overlay_len(L);
    bool remove = lua_isnil(L, 3);
    if (i < 1 || i > n + 1)
        error_misuse(L, "index %lld is outside the JSON array of %lld elements; append with table.insert", (long long)i,
                     (long long)n);
    if (remove && i == n + 1)
        return;
    if (remove && i == n) {
        lua_pushinteger(L, n - 1);
        lua_rawseti(L, -2, 0);
    } else if (i == n + 1) {
        lua_pushinteger(L, n + 1);
        lua_rawseti(L, -2, 0);
    }
    if (remove && i < n)
        push_null(L); /* a hole is null; table.remove closes it */
    else
        lua_pushvalue(L, 3);
    lua_rawseti(L, -2, i);
}

static void write_member(lua_State *L)
{
    struct jsonval *h = lua_touserdata(L, 1);
    size_t n;
    if (lua_type(L, 2) != LUA_TSTRING)
        error_misuse(L, "keys of a JSON object are strings, not a %s", luaL_typename(L, 2));
    const char *p = lua_tolstring(L, 2, &n);
    bool base = member(L, 1, h, (struct str){p, n}).v != NULL;
    overlay_make(L, 1);
    lua_pushvalue(L, 2);
    lua_rawget(L, -2);
    bool known = base || !lua_isnil(L, -1);
    lua_pop(L, 1);
    if (lua_isnil(L, 3) && !known)
        return;
    if (!known) {
        lua_pushvalue(L, 2);
        lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    }
    lua_pushvalue(L, 2);
    if (lua_isnil(L, 3))
        lua_pushlightuserdata(L, JSONVAL_TOMB);
    else
        lua_pushvalue(L, 3);
    lua_rawset(L, -3);
}

static int value_newindex(lua_State *L)
{
    struct jsonval *h = luaL_checkudata(L, 1, VALUE_META);
    luaL_checkstack(L, 10, NULL);
    check_writable(L, 3);
    if (json_is_arr(h->j))
        write_element(L);
    else
        write_member(L);
    return 0;
}

/* pairs -------------------------------------------------------------------------------------------------- */

struct walk {
    struct json_iter it;
    lua_Integer added; /* position among the added keys, or in an array */
};

/* Is this the member that counts, of those with its key? */
static bool last_of_its_key(lua_State *L, int idx, struct jsonval *h, const struct json_iter *it)
{
    return member(L, idx, h, it->key).v == it->val.v;
}

/* upvalues: the handle, the walk */
static int walk_next(lua_State *L)
{
    struct walk *w = lua_touserdata(L, lua_upvalueindex(2));
    lua_settop(L, 0);
    lua_pushvalue(L, lua_upvalueindex(1));
    struct jsonval *h = lua_touserdata(L, 1);
    if (json_is_arr(h->j)) {
        if ((size_t)++w->added > jsonval_len(L, 1))
            return 0;
        lua_pushinteger(L, w->added);
        jsonval_get(L, 1, 2);
        return 2;
    }
    jsonval_overlay(L, 1, h->j);
    bool overlaid = lua_istable(L, 2);
    while (json_next(&w->it)) {
        if (!last_of_its_key(L, 1, h, &w->it))
            continue;
        lua_settop(L, 2);
        lua_pushlstring(L, w->it.key.p, w->it.key.n);
        lua_pushvalue(L, -1);
        if (overlaid && lua_rawget(L, 2) != LUA_TNIL) {
            if (lua_touserdata(L, -1) != JSONVAL_TOMB || !lua_islightuserdata(L, -1))
                return 2;
            continue;
        }
        lua_settop(L, 3);
        jsonval_push(L, w->it.val, true);
        return 2;
    }
    while (overlaid) {
        lua_settop(L, 2);
        if (lua_rawgeti(L, 2, ++w->added) == LUA_TNIL)
            return 0;
        lua_pushvalue(L, 3);
        lua_rawget(L, 2);
        if (!lua_islightuserdata(L, 4) || lua_touserdata(L, 4) != JSONVAL_TOMB)
            return 2;
    }
    return 0;
}

static int value_pairs(lua_State *L)
{
    struct jsonval *h = luaL_checkudata(L, 1, VALUE_META);
    lua_settop(L, 1);
    struct walk *w = lua_newuserdatauv(L, sizeof(*w), 0);
    w->it = json_iter(h->j);
    w->added = 0;
    lua_pushvalue(L, 1);
    lua_insert(L, 2);
    lua_pushcclosure(L, walk_next, 2);
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    return 3;
}

/* Types and copies --------------------------------------------------------------------------------------- */

const char *jsonval_type(lua_State *L, int idx)
{
    struct jsonval *h;
    switch (lua_type(L, idx)) {
    case LUA_TBOOLEAN: return "boolean";
    case LUA_TNUMBER: return "number";
    case LUA_TSTRING: return "string";
    case LUA_TLIGHTUSERDATA: return lua_touserdata(L, idx) ? NULL : "null";
    case LUA_TTABLE: return convert_is_list(L, idx) ? "array" : "object";
    case LUA_TUSERDATA:
        h = jsonval_test(L, idx);
        return h ? json_is_arr(h->j) ? "array" : "object" : jsonval_number_text(L, idx).p ? "number" : NULL;
    default: return NULL;
    }
}

void jsonval_mark_array(lua_State *L) { luaL_setmetatable(L, ARRAY_META); }

bool jsonval_is_array_mark(lua_State *L, int idx)
{
    if (!lua_getmetatable(L, idx))
        return false;
    luaL_getmetatable(L, ARRAY_META);
    bool is = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return is;
}

void jsonval_table_of(lua_State *L, struct json j)
{
    luaL_checkstack(L, 6, "JSON is nested too deeply for a Lua table");
    if (json_is_arr(j)) {
        lua_Integer n = 0;
        lua_createtable(L, (int)json_len(j), 0);
        for (struct json_iter it = json_iter(j); json_next(&it);) {
            jsonval_table_of(L, it.val);
            lua_rawseti(L, -2, ++n);
        }
        jsonval_mark_array(L);
    } else if (json_is_obj(j)) {
        lua_createtable(L, 0, (int)json_len(j));
        for (struct json_iter it = json_iter(j); json_next(&it);) {
            lua_pushlstring(L, it.key.p, it.key.n);
            jsonval_table_of(L, it.val);
            lua_rawset(L, -3);
        }
    } else {
        jsonval_push(L, j, true);
    }
}

/* A handle with writes goes through its text: exactly what would be sent. */
void jsonval_table(lua_State *L, int idx)
{
    struct jsonval *h = jsonval_test(L, idx);
    if (!h && !lua_istable(L, idx)) {
        lua_pushvalue(L, idx);
        return;
    }
    if (h && !h->root->touched) {
        jsonval_table_of(L, h->j);
        return;
    }
    struct json j;
    convert_document(L, idx, 0, &j);
    jsonval_table_of(L, j);
    lua_remove(L, -2);
}

static void set_operators(lua_State *L)
{
    static const struct {
        const char *name;
        int op;
        lua_CFunction fn;
    } ops[] = {
        {"__add", LUA_OPADD, number_arith}, {"__sub", LUA_OPSUB, number_arith}, {"__mul", LUA_OPMUL, number_arith},
        {"__div", LUA_OPDIV, number_arith}, {"__mod", LUA_OPMOD, number_arith}, {"__pow", LUA_OPPOW, number_arith},
        {"__lt", LUA_OPLT, number_order},   {"__le", LUA_OPLE, number_order},
    };
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        lua_pushinteger(L, ops[i].op);
        lua_pushcclosure(L, ops[i].fn, 1);
        lua_setfield(L, -2, ops[i].name);
    }
}

static void weak_table(lua_State *L, const void *key)
{
    lua_newtable(L);
    lua_newtable(L);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

static void metatable(lua_State *L, const char *name, const luaL_Reg *functions)
{
    luaL_newmetatable(L, name);
    luaL_setfuncs(L, functions, 0);
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__metatable");
}

void jsonval_open(lua_State *L)
{
    static const luaL_Reg value[] = {
        {"__index", value_index}, {"__newindex", value_newindex}, {"__len", value_len},
        {"__pairs", value_pairs}, {"__tostring", value_tostring}, {NULL, NULL},
    };
    static const luaL_Reg root[] = {{"__gc", root_gc}, {NULL, NULL}};
    static const luaL_Reg box[] = {{"__gc", box_gc}, {NULL, NULL}};
    static const luaL_Reg number[] = {
        {"__tostring", number_tostring}, {"__eq", number_eq}, {"__concat", number_concat},
        {"__unm", number_unm},           {NULL, NULL},
    };
    static const luaL_Reg none[] = {{NULL, NULL}};
    metatable(L, VALUE_META, value);
    metatable(L, ROOT_META, root);
    metatable(L, BOX_META, box);
    metatable(L, ARRAY_META, none);
    metatable(L, NUMBER_META, number);
    set_operators(L);
    lua_pop(L, 5);
    weak_table(L, &roots_key);
    weak_table(L, &handles_key);
}
