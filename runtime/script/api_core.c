/* ocean.on_*, yield, sleep, define, config, event, null, array, error, version.
 *
 * `config` and `event` are answered by the table's __index: config is read at its first use (a script may declare its
 * configuration by ocean.define before), event is whatever the running task belongs to. */
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "base/version.h"
#include "base/mem.h"
#include "script/api.h"
#include "script/convert.h"
#include "script/error.h"
#include "script/jsonval.h"
#include "script/op.h"
#include "script/source.h"

#define SLEEP_MAX_S 86400.0
#define PROBLEMS_MAX (64u << 10)

/* Registration ------------------------------------------------------------------------------------------- */

static void register_handler(lua_State *L, struct handlers *list, const char *kind, int fn)
{
    struct handler h = {.kind = kind ? xstrdup(kind) : NULL};
    error_position(L, h.where, sizeof(h.where));
    list->v = xrealloc(list->v, (list->n + 1) * sizeof(*list->v));
    list->v[list->n] = h;
    list->n++;
    lua_pushvalue(L, fn);
    int ref = luaL_ref(L, LUA_REGISTRYINDEX);
    list->v[list->n - 1].ref = ref;
}

/* With a listener that never resyncs these registrations have no effect (sync S-31). */
static bool resyncs(const struct vm *v)
{
    const char *type = v->o.settings ? v->o.settings->event_listener_type : NULL;
    return !type || (strcasecmp(type, "WEBHOOKS_ONLY") != 0 && strcasecmp(type, "ACTIONS_ONLY") != 0);
}

static void check_function(lua_State *L, int idx, const char *name)
{
    if (!lua_isfunction(L, idx))
        error_misuse(L, "%s: a function was expected as argument %d, got %s", name, idx, luaL_typename(L, idx));
}

/* ocean.on_resync([kind,] fn) */
static int on_resync(lua_State *L)
{
    struct vm *v = vm_of(L);
    const char *kind = NULL;
    int fn = lua_isfunction(L, 1) ? 1 : 2;
    if (fn == 2 && lua_type(L, 1) == LUA_TSTRING)
        kind = lua_tostring(L, 1);
    else if (fn == 2 && !lua_isnil(L, 1))
        error_misuse(L, "ocean.on_resync: the kind must be a string, got %s", luaL_typename(L, 1));
    check_function(L, fn, "ocean.on_resync");
    if (kind && !*kind)
        error_misuse(L, "ocean.on_resync: the kind is empty; leave it out for a handler of every kind");
    if (resyncs(v))
        register_handler(L, &v->on_resync, kind, fn);
    return 0;
}

static int on_start(lua_State *L)
{
    check_function(L, 1, "ocean.on_start");
    register_handler(L, &vm_of(L)->on_start, NULL, 1);
    return 0;
}

static int on_resync_start(lua_State *L)
{
    check_function(L, 1, "ocean.on_resync_start");
    if (resyncs(vm_of(L)))
        register_handler(L, &vm_of(L)->on_resync_start, NULL, 1);
    return 0;
}

static int on_resync_complete(lua_State *L)
{
    check_function(L, 1, "ocean.on_resync_complete");
    if (resyncs(vm_of(L)))
        register_handler(L, &vm_of(L)->on_resync_complete, NULL, 1);
    return 0;
}

/* Sleep -------------------------------------------------------------------------------------------------- */

struct sleep_op {
    struct op op;
    struct timer *timer;
};

static void sleep_release(struct op *op)
{
    struct sleep_op *o = (struct sleep_op *)op;
    timer_stop(o->timer);
    o->timer = NULL;
}

static void on_fire(void *arg)
{
    struct sleep_op *o = arg;
    o->timer = NULL;
    op_done(&o->op);
}

static int sleep_k(lua_State *L, int status, lua_KContext ctx)
{
    (void)L;
    (void)status;
    (void)ctx;
    return 0;
}

/* ocean.sleep(seconds) */
static int l_sleep(lua_State *L)
{
    lua_Number s = luaL_checknumber(L, 1);
    luaL_argcheck(L, s >= 0 && s <= SLEEP_MAX_S, 1, "seconds from 0 to 86400 expected");
    struct sleep_op *o = op_push(L, "ocean.sleep", sizeof(*o), sleep_release);
    o->timer = timer_start(vm_of(L)->o.loop, (uint64_t)(s * 1000 + 0.999), 0, on_fire, o);
    return op_wait(L, &o->op, sleep_k);
}

/* Values ------------------------------------------------------------------------------------------------- */

/* ocean.array(list): marks the table as a JSON array, also when it is empty. Returns it. */
static int l_array(lua_State *L)
{
    if (lua_isnone(L, 1))
        lua_newtable(L);
    luaL_checktype(L, 1, LUA_TTABLE);
    if (lua_getmetatable(L, 1) && !jsonval_is_array_mark(L, 1))
        return error_misuse(L, "ocean.array: the table has a metatable already");
    lua_settop(L, 1);
    jsonval_mark_array(L);
    return 1;
}

/* ocean.error(kind, message [, fields]): makes an error table; raise it with error(). */
static int l_error(lua_State *L)
{
    const char *kind = luaL_checkstring(L, 1), *message = luaL_checkstring(L, 2);
    if (!lua_isnoneornil(L, 3))
        luaL_checktype(L, 3, LUA_TTABLE);
    error_push(L, kind, "%s", message);
    int t = lua_gettop(L);
    if (lua_istable(L, 3)) {
        lua_pushnil(L);
        while (lua_next(L, 3)) {
            lua_pushvalue(L, -2);
            lua_insert(L, -2);
            lua_rawset(L, t);
        }
    }
    return 1;
}

/* ocean.define ------------------------------------------------------------------------------------------- */

static int l_define(lua_State *L)
{
    struct vm *v = vm_of(L);
    struct err e = {0};
    char where[LUA_IDSIZE + 16], from[LUA_IDSIZE + 64], msg[512];
    struct json table;
    luaL_checktype(L, 1, LUA_TTABLE);
    if (!v->o.definition)
        return 0;
    error_position(L, where, sizeof(where));
    snprintf(from, sizeof(from), "ocean.define at %s", where);
    if (convert_try(L, 1, CONVERT_SCHEMA, &table, msg, sizeof(msg)) < 0)
        return error_misuse(L, "ocean.define: %s", msg);
    if (definition_add(v->o.definition, table, from, &e) < 0)
        return error_raise(L, "config", "%s", e.msg);
    json_unref(v->config); /* a declaration may have changed what it holds */
    v->config = NULL;
    return 0;
}

/* ocean.config ------------------------------------------------------------------------------------------- */

static struct json config_load(lua_State *L)
{
    struct vm *v = vm_of(L);
    if (!v->config && v->o.definition) {
        struct err e = {0};
        struct buf problems;
        buf_init(&problems, PROBLEMS_MAX);
        int rc = definition_config(v->o.definition, v->o.settings, &v->config, &problems, &e);
        if (rc < 0) {
            char text[2048];
            snprintf(text, sizeof(text), "%s%s%s", e.msg, problems.n ? "\n" : "", buf_cstr(&problems));
            buf_done(&problems);
            error_raise(L, "config", "%s", text);
        }
        buf_done(&problems);
    }
    return v->config ? json_root(v->config) : JSON_NONE;
}

static int config_index(lua_State *L)
{
    size_t n;
    struct json config = config_load(L);
    if (lua_type(L, 2) != LUA_TSTRING) {
        lua_pushnil(L);
        return 1;
    }
    const char *p = lua_tolstring(L, 2, &n);
    struct str name = {p, n};
    struct json value = json_get(config, name);
    if (!value.v) {
        struct buf snake;
        buf_init(&snake, 4096);
        settings_snake(&snake, name);
        value = json_get(config, buf_str(&snake));
        buf_done(&snake);
    }
    jsonval_push(L, value, false);
    return 1;
}

static int config_newindex(lua_State *L)
{
    return error_misuse(L,
                        "ocean.config cannot be changed by the script; '%s' is set by the environment or the "
                        "configuration file",
                        luaL_tolstring(L, 2, NULL));
}

static int config_pairs(lua_State *L)
{
    struct json config = config_load(L);
    if (json_is_obj(config))
        jsonval_push(L, config, false);
    else
        lua_newtable(L);
    int value = lua_gettop(L);
    lua_getglobal(L, "pairs");
    lua_pushvalue(L, value);
    lua_call(L, 1, 3);
    return 3;
}

static int config_tostring(lua_State *L)
{
    lua_pushliteral(L, "ocean.config");
    return 1;
}

static void push_config(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"__index", config_index},
        {"__newindex", config_newindex},
        {"__pairs", config_pairs},
        {"__tostring", config_tostring},
        {NULL, NULL},
    };
    lua_newtable(L);
    lua_createtable(L, 0, 5);
    luaL_setfuncs(L, functions, 0);
    lua_pushliteral(L, "ocean.config");
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
}

/* The ocean table ---------------------------------------------------------------------------------------- */

static int ocean_index(lua_State *L)
{
    if (lua_type(L, 2) == LUA_TSTRING && strcmp(lua_tostring(L, 2), "event") == 0)
        api_event_push(L);
    else
        lua_pushnil(L);
    return 1;
}

/* internals.callable(v): can it be called? */
static int callable(lua_State *L)
{
    bool is = lua_isfunction(L, 1);
    if (!is && luaL_getmetafield(L, 1, "__call") != LUA_TNIL)
        is = true;
    lua_pushboolean(L, is);
    return 1;
}

/* internals.where(): the script's position. */
static int where(lua_State *L)
{
    char text[LUA_IDSIZE + 16];
    error_position(L, text, sizeof(text));
    lua_pushstring(L, text);
    return 1;
}

/* internals.misuse(message): raises with the script's position, not the library's. */
static int misuse(lua_State *L) { return error_misuse(L, "%s", luaL_checkstring(L, 1)); }

/* internals.distance(a, b): edit distance, for "did you mean". */
static int distance(lua_State *L)
{
    lua_pushinteger(L, str_distance(str_of(luaL_checkstring(L, 1)), str_of(luaL_checkstring(L, 2)), 3));
    return 1;
}

void api_core_open(lua_State *L, int ocean, int internals)
{
    static const luaL_Reg functions[] = {
        {"on_resync", on_resync},
        {"on_start", on_start},
        {"on_resync_start", on_resync_start},
        {"on_resync_complete", on_resync_complete},
        {"yield", source_yield},
        {"sleep", l_sleep},
        {"define", l_define},
        {"array", l_array},
        {"error", l_error},
        {NULL, NULL},
    };
    static const luaL_Reg inner[] = {
        {"callable", callable}, {"where", where}, {"misuse", misuse}, {"distance", distance}, {NULL, NULL},
    };
    lua_pushvalue(L, ocean);
    luaL_setfuncs(L, functions, 0);
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "null");
    lua_pushliteral(L, OCEAN_VERSION);
    lua_setfield(L, -2, "version");
    push_config(L);
    lua_setfield(L, -2, "config");
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, ocean_index);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, internals);
    luaL_setfuncs(L, inner, 0);
    lua_pop(L, 2);
}
