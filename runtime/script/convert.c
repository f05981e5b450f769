/* Encoding. Tables are read without metamethods. A table is an array when it is marked (ocean.array) or when it has
 * keys and all of them are integers from 1, without large holes (holes are null); else its keys must be strings.
 * Handles are written with their overlay merged in; a handle whose root has no overlay is copied as text at C speed.
 *
 * Recursion is bounded: tables by TABLE_DEPTH, which is also what ends a cycle, documents by JSON_MAX_DEPTH. The text
 * grows in a userdata, so that a memory error of Lua leaks nothing. */
#include "script/convert.h"

#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "script/error.h"
#include "script/jsonval.h"
#include "script/source.h"
#include "json/write.h"

#define TEXT_META "ocean.json.text"
#define TABLE_DEPTH 1000

struct encoder {
    lua_State *L;
    struct jw w;
    int flags;
    bool repaired;
    int depth, tables; /* values around the one being written; those of them that are Lua's */
    char reason[256], path[200];
};

static int encode(struct encoder *E, int idx, const char *key);
static int encode_node(struct encoder *E, int overlays, struct json j);

/* Errors: the reason is set where it happens, the path grows at its front on the way out. */
static int fail(struct encoder *E, const char *reason)
{
    snprintf(E->reason, sizeof(E->reason), "%s", reason);
    E->path[0] = 0;
    return ERR_INVAL;
}

static int in_member(struct encoder *E, const char *key)
{
    char rest[sizeof(E->path)];
    memcpy(rest, E->path, sizeof(rest));
    snprintf(E->path, sizeof(E->path), ".%.60s%.130s", key, rest);
    return ERR_INVAL;
}

static int in_element(struct encoder *E, size_t i)
{
    char rest[sizeof(E->path)];
    memcpy(rest, E->path, sizeof(rest));
    snprintf(E->path, sizeof(E->path), "[%zu]%.160s", i, rest);
    return ERR_INVAL;
}

static void write_message(const struct encoder *E, char *msg, size_t cap)
{
    const char *path = E->path[0] == '.' ? E->path + 1 : E->path;
    if (*path)
        snprintf(msg, cap, "%s (at %s)", E->reason, path);
    else
        snprintf(msg, cap, "%s", E->reason);
}

/* Tables ------------------------------------------------------------------------------------------------- */

struct shape {
    lua_Integer max; /* highest index */
    size_t count;    /* integer keys from 1 */
    size_t others;   /* all other keys */
};

static struct shape shape_of(lua_State *L, int idx)
{
    struct shape s = {0};
    lua_pushnil(L);
    while (lua_next(L, idx)) {
        int is = 0;
        lua_Integer i = lua_type(L, -2) == LUA_TNUMBER ? lua_tointegerx(L, -2, &is) : 0;
        if (is && i >= 1) {
            s.count++;
            s.max = i > s.max ? i : s.max;
        } else {
            s.others++;
        }
        lua_pop(L, 1);
    }
    return s;
}

bool convert_is_list(lua_State *L, int idx)
{
    idx = lua_absindex(L, idx);
    luaL_checkstack(L, 6, NULL);
    if (jsonval_is_array_mark(L, idx))
        return true;
    struct shape s = shape_of(L, idx);
    return s.count > 0 && s.others == 0;
}

static bool key_of_list(const char *key)
{
    static const char *const keys[] = {
        "blueprints", "config", "resources", "required", "enum",       "anyOf", "oneOf",          "allOf",
        "kinds",      "levels", "rules",     "actions",  "scorecards", "pages", "configurations", "portResourceKinds",
    };
    for (size_t i = 0; key && i < ARRAY_LEN(keys); i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return false;
}

static int encode_list(struct encoder *E, int idx, lua_Integer n)
{
    lua_State *L = E->L;
    jw_arr(&E->w);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, idx, i);
        int rc = encode(E, lua_gettop(L), NULL);
        lua_pop(L, 1);
        if (rc < 0)
            return in_element(E, (size_t)i);
    }
    jw_end_arr(&E->w);
    return 0;
}

static void write_text(struct encoder *E, struct str s, bool key)
{
    if (!E->repaired && !utf8_valid(s))
        E->repaired = true;
    if (key)
        jw_key(&E->w, s);
    else
        jw_str(&E->w, s);
}

static int by_bytes(const void *a, const void *b)
{
    const struct str *x = a, *y = b;
    int c = memcmp(x->p, y->p, x->n < y->n ? x->n : y->n);
    return c ? c : (x->n > y->n) - (x->n < y->n);
}

/* Pushes a userdata with the sorted keys of the table: Lua's own order differs from run to run. The table keeps the
 * strings alive. NULL when a key is no string. */
static struct str *sorted_keys(lua_State *L, int idx, size_t n)
{
    struct str *keys = lua_newuserdatauv(L, (n + 1) * sizeof(*keys), 0);
    size_t k = 0;
    lua_pushnil(L);
    while (lua_next(L, idx)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            return NULL;
        keys[k].p = lua_tolstring(L, -2, &keys[k].n);
        k++;
        lua_pop(L, 1);
    }
    qsort(keys, n, sizeof(*keys), by_bytes);
    return keys;
}

static int encode_members(struct encoder *E, int idx, size_t n)
{
    lua_State *L = E->L;
    struct str *keys = sorted_keys(L, idx, n);
    if (!keys)
        return fail(
            E, "a table with both named keys and list items (or other keys) is neither a JSON object nor an array; "
               "use string keys only, or integers from 1 only");
    jw_obj(&E->w);
    for (size_t i = 0; i < n; i++) {
        write_text(E, keys[i], true);
        lua_pushlstring(L, keys[i].p, keys[i].n);
        lua_rawget(L, idx);
        if (encode(E, lua_gettop(L), keys[i].p) < 0)
            return in_member(E, keys[i].p);
        lua_pop(L, 1);
    }
    jw_end_obj(&E->w);
    lua_pop(L, 1);
    return 0;
}

static int encode_table(struct encoder *E, int idx, const char *key)
{
    lua_State *L = E->L;
    luaL_checkstack(L, 10, NULL);
    struct shape s = shape_of(L, idx);
    bool marked = jsonval_is_array_mark(L, idx);
    bool empty_list =
        !s.count && !s.others &&
        (((E->flags & CONVERT_LIST) && E->depth == 1) || ((E->flags & CONVERT_SCHEMA) && key_of_list(key)));
    if (!marked && !empty_list && (s.count == 0 || s.others))
        return encode_members(E, idx, s.count + s.others);
    if (s.others)
        return fail(E, "a table marked as an array has named keys");
    if (s.max > 64 && (size_t)s.max > 4 * s.count)
        return fail(E, "a list with large holes; use string keys for a sparse table");
    return encode_list(E, idx, s.max);
}

/* Handles ------------------------------------------------------------------------------------------------ */

static int encode_overlaid_object(struct encoder *E, int overlays, int o, struct json j)
{
    lua_State *L = E->L;
    jw_obj(&E->w);
    for (struct json_iter it = json_iter(j); json_next(&it);) {
        lua_pushlstring(L, it.key.p, it.key.n);
        lua_rawget(L, o);
        bool base = lua_isnil(L, -1), gone = lua_islightuserdata(L, -1) && lua_touserdata(L, -1) == JSONVAL_TOMB;
        int rc = 0;
        if (!gone) {
            jw_key(&E->w, it.key);
            rc = base ? encode_node(E, overlays, it.val) : encode(E, lua_gettop(L), NULL);
        }
        lua_pop(L, 1);
        if (rc < 0) {
            char *key = xstrndup(it.key.p, it.key.n);
            in_member(E, key);
            free(key);
            return rc;
        }
    }
    for (lua_Integer i = 1; lua_rawgeti(L, o, i) == LUA_TSTRING; i++) {
        size_t n;
        const char *p = lua_tolstring(L, -1, &n);
        lua_pushvalue(L, -1);
        lua_rawget(L, o);
        if (!lua_islightuserdata(L, -1) || lua_touserdata(L, -1) != JSONVAL_TOMB) {
            write_text(E, (struct str){p, n}, true);
            if (encode(E, lua_gettop(L), p) < 0)
                return in_member(E, p);
        }
        lua_pop(L, 2);
    }
    lua_pop(L, 1);
    jw_end_obj(&E->w);
    return 0;
}

static int encode_overlaid(struct encoder *E, int overlays, struct json j)
{
    lua_State *L = E->L;
    int o = lua_gettop(L), rc;
    if (json_is_obj(j)) {
        rc = encode_overlaid_object(E, overlays, o, j);
    } else {
        lua_rawgeti(L, o, 0);
        lua_Integer n = lua_tointeger(L, -1);
        lua_pop(L, 1);
        rc = encode_list(E, o, n);
    }
    lua_settop(L, o - 1);
    return rc;
}

/* A node of a root that has writes somewhere. `overlays` is the stack index of its node -> overlay table. Arrays that
 * were written to hold all their elements there. */
static int encode_container(struct encoder *E, int overlays, struct json j)
{
    lua_State *L = E->L;
    luaL_checkstack(L, 10, NULL);
    if (lua_rawgetp(L, overlays, j.v) == LUA_TTABLE)
        return encode_overlaid(E, overlays, j);
    lua_pop(L, 1);
    int rc = 0;
    size_t i = 0;
    if (json_is_arr(j)) {
        jw_arr(&E->w);
        for (struct json_iter it = json_iter(j); rc == 0 && json_next(&it); i++)
            if ((rc = encode_node(E, overlays, it.val)) < 0)
                in_element(E, i + 1);
        if (rc == 0)
            jw_end_arr(&E->w);
        return rc;
    }
    jw_obj(&E->w);
    for (struct json_iter it = json_iter(j); rc == 0 && json_next(&it);) {
        jw_key(&E->w, it.key);
        if ((rc = encode_node(E, overlays, it.val)) < 0) {
            char *key = xstrndup(it.key.p, it.key.n);
            in_member(E, key);
            free(key);
        }
    }
    if (rc == 0)
        jw_end_obj(&E->w);
    return rc;
}

static int encode_node(struct encoder *E, int overlays, struct json j)
{
    if (!json_is_obj(j) && !json_is_arr(j)) {
        jw_json(&E->w, j);
        return 0;
    }
    if (++E->depth > JSON_MAX_DEPTH)
        return fail(E, "JSON is nested too deeply; does a value contain itself?");
    int rc = encode_container(E, overlays, j);
    E->depth--;
    return rc;
}

static int encode_handle(struct encoder *E, int idx)
{
    lua_State *L = E->L;
    struct jsonval *h = lua_touserdata(L, idx);
    int top = lua_gettop(L);
    if (!h->root->touched) {
        jw_json(&E->w, h->j);
        return 0;
    }
    luaL_checkstack(L, 10, NULL);
    jsonval_overlays(L, idx);
    int rc = encode_node(E, lua_gettop(L), h->j);
    lua_settop(L, top);
    return rc;
}

/* All values --------------------------------------------------------------------------------------------- */

static int encode_userdata(struct encoder *E, int idx)
{
    lua_State *L = E->L;
    if (jsonval_test(L, idx))
        return encode_handle(E, idx);
    struct str number = jsonval_number_text(L, idx);
    if (!number.p)
        return fail(E, "a userdata cannot be JSON");
    jw_raw(&E->w, number);
    return 0;
}

static int encode_value(struct encoder *E, int idx, const char *key)
{
    lua_State *L = E->L;
    char reason[64];
    struct str s;
    if (E->w.out->failed)
        return fail(E, "the JSON text is larger than the script's memory limit (--lua-memory)");
    switch (lua_type(L, idx)) {
    case LUA_TNIL: jw_null(&E->w); return 0;
    case LUA_TBOOLEAN: jw_bool(&E->w, lua_toboolean(L, idx)); return 0;
    case LUA_TNUMBER:
        if (lua_isinteger(L, idx))
            jw_int(&E->w, lua_tointeger(L, idx));
        else if (isfinite(lua_tonumber(L, idx)))
            jw_double(&E->w, lua_tonumber(L, idx));
        else
            return fail(E, "a number that is infinite or not a number cannot be JSON");
        return 0;
    case LUA_TSTRING:
        s.p = lua_tolstring(L, idx, &s.n);
        write_text(E, s, false);
        return 0;
    case LUA_TTABLE: return encode_table(E, idx, key);
    case LUA_TUSERDATA: return encode_userdata(E, idx);
    case LUA_TLIGHTUSERDATA:
        if (!lua_touserdata(L, idx)) {
            jw_null(&E->w);
            return 0;
        }
        /* fallthrough */
    default: snprintf(reason, sizeof(reason), "a %s cannot be JSON", luaL_typename(L, idx)); return fail(E, reason);
    }
}

static int encode(struct encoder *E, int idx, const char *key)
{
    if (++E->tables > TABLE_DEPTH || ++E->depth > JSON_MAX_DEPTH)
        return fail(E, "values are nested more than 1000 deep; does one contain itself?");
    int rc = encode_value(E, idx, key);
    E->tables--;
    E->depth--;
    return rc;
}

static void text_free(void *what)
{
    buf_done(what);
    free(what);
}

static int text_gc(lua_State *L)
{
    struct keep **k = lua_touserdata(L, 1);
    vm_release(*k);
    *k = NULL;
    return 0;
}

/* Pushes the userdata that holds the text. */
static int encode_text(lua_State *L, int idx, int flags, struct buf **ret, char *msg, size_t cap)
{
    struct vm *v = vm_of(L);
    struct keep **box = lua_newuserdatauv(L, sizeof(*box), 0);
    *box = NULL;
    luaL_setmetatable(L, TEXT_META);
    struct buf *b = xmalloc(sizeof(*b));
    buf_init(b, v->o.memory_limit ? v->o.memory_limit : BUF_NO_LIMIT);
    *box = vm_keep(v, text_free, b);
    int top = lua_gettop(L);
    struct encoder E = {.L = L, .w = jw_on(b), .flags = flags};
    int rc = encode(&E, idx, NULL);
    if (rc == 0 && b->failed)
        rc = fail(&E, "the JSON text is larger than the script's memory limit (--lua-memory)");
    lua_settop(L, top);
    if (rc < 0)
        write_message(&E, msg, cap);
    if (E.repaired)
        source_repaired(L, REPAIR_SCRIPT);
    *ret = b;
    return rc;
}

int convert_try(lua_State *L, int idx, int flags, struct json *ret, char *msg, size_t cap)
{
    struct err e = {0};
    struct buf *b;
    idx = lua_absindex(L, idx);
    luaL_checkstack(L, 10, NULL);
    struct json_doc **box = jsonval_box(L);
    struct jsonval *h = jsonval_test(L, idx);
    if (h && !h->root->touched) {
        *box = json_ref(h->j.doc);
        *ret = h->j;
        return 0;
    }
    int rc = encode_text(L, idx, flags, &b, msg, cap);
    if (rc == 0) {
        size_t n;
        buf_reserve(b, JSON_PADDING);
        char *p = buf_take(b, &n);
        rc = json_parse_take(p, n, box, &e);
        if (rc < 0)
            snprintf(msg, cap, "%s", e.msg);
        else
            *ret = json_root(*box);
    }
    lua_pop(L, 1);
    return rc;
}

void convert_document(lua_State *L, int idx, int flags, struct json *ret)
{
    char msg[512];
    if (convert_try(L, idx, flags, ret, msg, sizeof(msg)) < 0)
        error_misuse(L, "%s", msg);
}

void convert_push_text(lua_State *L, int idx)
{
    char msg[512];
    struct buf *b;
    idx = lua_absindex(L, idx);
    luaL_checkstack(L, 10, NULL);
    if (encode_text(L, idx, 0, &b, msg, sizeof(msg)) < 0)
        error_misuse(L, "%s", msg);
    lua_pushlstring(L, b->p ? b->p : "", b->n);
    lua_remove(L, -2);
}

void convert_open(lua_State *L)
{
    luaL_newmetatable(L, TEXT_META);
    lua_pushcfunction(L, text_gc);
    lua_setfield(L, -2, "__gc");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}
