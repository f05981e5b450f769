/* ocean.register_raw and its kin, ocean.sync_raw_all: sync/imperative.h and listen/runner.h as waiting calls.
 *
 * Arguments become documents before anything waits. What was written comes back as plain tables; what Port refused is the
 * second result, so that nothing is lost silently. */
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "listen/runner.h"
#include "script/api.h"
#include "script/convert.h"
#include "script/error.h"
#include "script/jsonval.h"
#include "script/op.h"
#include "sync/imperative.h"
#include "sync/resync.h"

static struct event *need_event(lua_State *L, const char *name)
{
    struct vm *v = vm_of(L);
    if (!v->engine)
        error_misuse(L, "%s: nothing can be synced while the script is being loaded; call it from a handler, for instance "
                        "in ocean.on_start",
                     name);
    if (!v->current || !v->current->event)
        error_misuse(L, "%s: there is no event here; call it from a handler", name);
    return v->current->event;
}

static enum port_feature read_agent(lua_State *L, int idx, const char *name)
{
    if (lua_isnoneornil(L, idx))
        return PORT_EXPORTER;
    const char *word = lua_type(L, idx) == LUA_TSTRING ? lua_tostring(L, idx) : "";
    if (strcmp(word, "exporter") == 0)
        return PORT_EXPORTER;
    if (strcmp(word, "gitops") == 0)
        return PORT_GITOPS;
    error_misuse(L, "%s: argument %d must be ocean.user_agent.exporter or ocean.user_agent.gitops, got %s", name, idx,
                 luaL_typename(L, idx));
    return PORT_EXPORTER;
}

/* Changes ------------------------------------------------------------------------------------------------ */

struct change_op {
    struct op op;
    struct change *change;
    char *written, *failed; /* JSON */
    struct err err;
};

static void change_release(struct op *op)
{
    struct change_op *o = (struct change_op *)op;
    change_cancel(o->change);
    o->change = NULL;
    free(o->written);
    free(o->failed);
    o->written = o->failed = NULL;
}

static void on_change(void *arg, const struct change_report *r, const struct err *e)
{
    struct change_op *o = arg;
    o->change = NULL;
    o->written = str_dup(r->written);
    o->failed = str_dup(r->failed);
    if (e)
        err_copy(&o->err, e);
    op_done(&o->op);
}

static void push_json(lua_State *L, const char *text)
{
    struct json_doc **box = jsonval_box(L);
    if (json_parse(str_of(text), box, NULL) < 0)
        *box = NULL;
    if (*box)
        jsonval_table_of(L, json_root(*box));
    else
        lua_newtable(L);
    lua_remove(L, -2);
}

static int change_k(lua_State *L, int status, lua_KContext ctx)
{
    struct change_op *o = (struct change_op *)ctx;
    (void)status;
    if (o->err.code) {
        error_push(L, error_kind(o->err.code), "%s: %s", o->op.name, o->err.msg);
        push_json(L, o->written);
        lua_setfield(L, -2, "written");
        push_json(L, o->failed);
        lua_setfield(L, -2, "failed");
        return lua_error(L);
    }
    push_json(L, o->written);
    push_json(L, o->failed);
    return 2;
}

static struct json empty_list(lua_State *L)
{
    struct json_doc **box = jsonval_box(L);
    return json_parse(STR("[]"), box, NULL) == 0 ? json_root(*box) : JSON_NONE;
}

/* The list at idx as a document; its userdata stays on the stack. */
static struct json read_list(lua_State *L, int idx, const char *name, const char *what)
{
    char msg[512];
    struct json list;
    if (lua_isnoneornil(L, idx))
        error_misuse(L, "%s: %s is missing; give a list, it may be empty", name, what);
    if (convert_try(L, idx, CONVERT_LIST, &list, msg, sizeof(msg)) < 0)
        error_misuse(L, "%s: %s: %s", name, what, msg);
    if (json_is_obj(list) && json_len(list) == 0) /* an answer's {} */
        return empty_list(L);
    if (!json_is_arr(list))
        error_misuse(L, "%s: %s must be a list, got %s", name, what, json_type_name(json_type(list)));
    size_t i = 0;
    for (struct json_iter it = json_iter(list); json_next(&it);)
        if (i++, !json_is_obj(it.val))
            error_misuse(L, "%s: element %d of %s must be a table with fields, got %s", name, (int)i, what,
                         json_type_name(json_type(it.val)));
    return list;
}

static int run_change(lua_State *L, const char *name, struct change_opts *o)
{
    struct err e = {0};
    op_check(L, name);
    struct change_op *op = op_push(L, name, sizeof(*op), change_release);
    op->change = change_start(o, on_change, op, &e);
    if (!op->change)
        return error_misuse(L, "%s: %s", name, e.msg);
    return op_wait(L, &op->op, change_k);
}

static struct str read_kind(lua_State *L, const char *name)
{
    size_t n;
    if (lua_type(L, 1) != LUA_TSTRING)
        error_misuse(L, "%s: the kind must be a string, got %s", name, luaL_typename(L, 1));
    const char *p = lua_tolstring(L, 1, &n);
    return (struct str){p, n};
}

static int one_list(lua_State *L, const char *name, enum change_kind kind, bool raw, bool after)
{
    int at = raw ? 2 : 1;
    struct change_opts o = {.event = need_event(L, name), .engine = vm_of(L)->engine, .kind = kind};
    lua_settop(L, at + 1);
    if (raw)
        o.resource = read_kind(L, name);
    o.feature = read_agent(L, at + 1, name);
    *(after ? &o.after : &o.before) = read_list(L, at, name, raw ? "items" : "entities");
    return run_change(L, name, &o);
}

static int two_lists(lua_State *L, const char *name, enum change_kind kind, bool raw)
{
    int at = raw ? 2 : 1;
    struct change_opts o = {.event = need_event(L, name), .engine = vm_of(L)->engine, .kind = kind};
    lua_settop(L, at + 1);
    if (raw)
        o.resource = read_kind(L, name);
    o.feature = read_agent(L, at + 1, name);
    if (!lua_istable(L, at))
        return error_misuse(L, "%s: argument %d must be a table { before = list, after = list }, got %s", name, at,
                            luaL_typename(L, at));
    static const char *const names[] = {"before", "after"};
    for (int i = 0; i < 2; i++) {
        lua_getfield(L, at, names[i]);
        *(i ? &o.after : &o.before) = read_list(L, lua_gettop(L), name, names[i]);
    }
    return run_change(L, name, &o);
}

static int register_raw(lua_State *L) { return one_list(L, "ocean.register_raw", CHANGE_REGISTER_RAW, true, true); }
static int unregister_raw(lua_State *L) { return one_list(L, "ocean.unregister_raw", CHANGE_UNREGISTER_RAW, true, false); }
static int register_entities(lua_State *L) { return one_list(L, "ocean.register", CHANGE_REGISTER, false, true); }
static int unregister_entities(lua_State *L) { return one_list(L, "ocean.unregister", CHANGE_UNREGISTER, false, false); }
static int sync_entities(lua_State *L) { return one_list(L, "ocean.sync", CHANGE_SYNC, false, true); }
static int update_raw_diff(lua_State *L) { return two_lists(L, "ocean.update_raw_diff", CHANGE_UPDATE_RAW_DIFF, true); }
static int update_diff(lua_State *L) { return two_lists(L, "ocean.update_diff", CHANGE_UPDATE_DIFF, false); }

/* A whole resync ----------------------------------------------------------------------------------------- */

struct resync_op {
    struct op op;
    struct runner *runner; /* NULL: it has answered */
    bool began, ok;
    char *summary;
};

static void on_resync(void *arg, const struct resync_report *r)
{
    struct resync_op *o = arg;
    struct buf text;
    o->runner = NULL;
    o->began = r != NULL;
    if (r) {
        buf_init(&text, BUF_NO_LIMIT);
        resync_report_write(r, &text);
        o->ok = !r->failed && !r->aborted && r->exit_code != 1 && r->exit_code != 4;
        o->summary = str_dup(buf_str(&text));
        buf_done(&text);
    }
    op_done(&o->op);
}

static void resync_release(struct op *op)
{
    struct resync_op *o = (struct resync_op *)op;
    if (o->runner)
        runner_forget(o->runner, on_resync, o);
    o->runner = NULL;
    free(o->summary);
    o->summary = NULL;
}

static int resync_k(lua_State *L, int status, lua_KContext ctx)
{
    struct resync_op *o = (struct resync_op *)ctx;
    (void)status;
    if (!o->began)
        return error_raise(L, "cancelled", "ocean.sync_raw_all: another resync took its place before it began");
    lua_pushboolean(L, o->ok);
    push_json(L, o->summary);
    return 2;
}

static int sync_raw_all(lua_State *L)
{
    static const char name[] = "ocean.sync_raw_all";
    struct vm *v = vm_of(L);
    const struct runner_request q = {.trigger = TRIGGER_MANUAL, .parent = need_event(L, name), .why = name};
    op_check(L, name);
    struct resync_op *o = op_push(L, name, sizeof(*o), resync_release);
    o->runner = v->runner;
    runner_start(v->runner, &q, on_resync, o);
    return op_wait(L, &o->op, resync_k);
}

void api_sync_open(lua_State *L, int ocean)
{
    static const luaL_Reg functions[] = {
        {"register_raw", register_raw},
        {"unregister_raw", unregister_raw},
        {"update_raw_diff", update_raw_diff},
        {"register", register_entities},
        {"unregister", unregister_entities},
        {"update_diff", update_diff},
        {"sync", sync_entities},
        {"sync_raw_all", sync_raw_all},
        {NULL, NULL},
    };
    lua_pushvalue(L, ocean);
    luaL_setfuncs(L, functions, 0);
    lua_createtable(L, 0, 2);
    lua_pushliteral(L, "exporter");
    lua_setfield(L, -2, "exporter");
    lua_pushliteral(L, "gitops");
    lua_setfield(L, -2, "gitops");
    lua_setfield(L, -2, "user_agent");
    lua_pop(L, 1);
}
