/* Waiting. An op is a to-be-closed userdata on the stack of the C function that waits.
 *
 * States: IDLE (made, acquiring) -> WAITING (yielded) -> DONE (result stored) -> CLOSED; STOPPED instead of DONE when
 * the task is cancelled or closed while it waits. `release` runs on the way to STOPPED or CLOSED, whichever is first.
 *
 * Lua cannot yield below a C function that called it without a continuation. Which one that is shows on the stack: a
 * table in the registry maps the functions of the standard library to a place and an advice, and the first one met
 * from the inside out is the reason. */
#include "script/op.h"

#include <assert.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

#define LOG_GROUP "script.op"
#define OP_META "ocean.op"

static const char blockers_key;

bool op_can_yield(lua_State *L)
{
    struct vm *v = vm_of(L);
    return lua_isyieldable(L) && (!v->nest || v->nest->open);
}

/* Refusal ------------------------------------------------------------------------------------------------ */

static const struct {
    const char *lib, *name, *text;
} blockers[] = {
    {"table", "sort", "a table.sort comparator: fetch what the comparison needs before sorting"},
    {"string", "gsub",
     "a string.gsub callback: collect the matches with string.gmatch, fetch for each, then build the text"},
    {"_G", "tostring", "a __tostring metamethod: compute the text earlier and keep it in a field"},
    {"_G", "print", "a __tostring metamethod: compute the text earlier and keep it in a field"},
    {"string", "format", "a __tostring metamethod: compute the text earlier and keep it in a field"},
    {"_G", "require",
     "a module that require is loading: move the call into a function of the module and call it "
     "after require"},
    {"_G", "load", "a reader function of load: read the whole text first and give load a string"},
    {"_G", "ipairs", "a metamethod called by ipairs: use a numeric for loop, which can wait"},
    {"table", "concat", "a metamethod called by table.concat: copy the values with a plain loop first"},
    {"table", "unpack", "a metamethod called by table.unpack: copy the values with a plain loop first"},
    {"table", "insert", "a metamethod called by table.insert: use plain assignments, which can wait"},
    {"table", "remove", "a metamethod called by table.remove: use plain assignments, which can wait"},
    {"table", "move", "a metamethod called by table.move: copy the values with a plain loop"},
};

void op_name_blocker(lua_State *L, const char *text)
{
    lua_CFunction fn = lua_tocfunction(L, -1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &blockers_key);
    lua_pushstring(L, text);
    lua_rawsetp(L, -2, (void *)(uintptr_t)fn);
    lua_pop(L, 2);
}

static void name_blockers(lua_State *L)
{
    int top = lua_gettop(L);
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &blockers_key);
    for (size_t i = 0; i < ARRAY_LEN(blockers); i++) {
        lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
        if (lua_getfield(L, -1, blockers[i].lib) == LUA_TTABLE &&
            lua_getfield(L, -1, blockers[i].name) == LUA_TFUNCTION) {
            if (strcmp(blockers[i].name, "ipairs") == 0) { /* what is found on the stack is the iterator */
                lua_newtable(L);
                lua_call(L, 1, 1);
            }
            op_name_blocker(L, blockers[i].text);
        }
        lua_settop(L, top);
    }
}

/* Text of the innermost function on the stack of `co` that cannot be yielded across, left on L; or NULL. */
static const char *blocker_on(lua_State *L, lua_State *co)
{
    lua_Debug ar;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &blockers_key);
    for (int level = 0; lua_getstack(co, level, &ar); level++) {
        if (!lua_checkstack(co, 2) || !lua_getinfo(co, "f", &ar))
            continue;
        lua_CFunction fn = lua_tocfunction(co, -1);
        lua_pop(co, 1);
        lua_rawgetp(L, -1, (void *)(uintptr_t)fn);
        if (lua_isstring(L, -1))
            return lua_tostring(L, -1);
        lua_pop(L, 1);
    }
    return NULL;
}

void op_check(lua_State *L, const char *name)
{
    if (op_can_yield(L))
        return;
    lua_State *co = L;
    struct nest *n = vm_of(L)->nest;
    while (lua_isyieldable(co) && n && n->from && !n->place) {
        co = n->from;
        n = n->up;
    }
    luaL_checkstack(L, 10, NULL);
    if (n && n->place && n->co == co)
        error_misuse(L, "%s cannot wait in a <close> variable run by %s: wait before the block ends", name, n->place);
    const char *text = blocker_on(L, co);
    if (text)
        error_misuse(L, "%s cannot wait inside %s", name, text);
    error_misuse(L,
                 "%s cannot wait here: a C function that called this code cannot be suspended; call it from plain "
                 "Lua code of the handler",
                 name);
}

/* Life --------------------------------------------------------------------------------------------------- */

static void release(struct op *op, enum op_state state)
{
    enum op_state before = op->state;
    op->state = state;
    if (before != OP_STOPPED && before != OP_CLOSED)
        op->release(op);
}

static int op_close(lua_State *L)
{
    struct op *op = lua_touserdata(L, 1);
    if (op->state == OP_CLOSED || op->state == OP_STOPPED || !op->task)
        return 0;
    if (op->task->pending == op)
        op->task->pending = NULL;
    release(op, OP_CLOSED);
    return 0;
}

/* Only reached without __close when the coroutine that held it was dropped; its task may be gone. */
static int op_gc(lua_State *L)
{
    struct op *op = lua_touserdata(L, 1);
    if (op->state != OP_CLOSED && op->task)
        release(op, OP_CLOSED);
    return 0;
}

void *op_push(lua_State *L, const char *name, size_t size, void (*release_fn)(struct op *op))
{
    struct task *t = vm_of(L)->current;
    if (!t)
        luaL_error(L, "%s cannot wait here: no handler is running", name);
    if (t->cancelled)
        error_raise(L, "cancelled", "%s: cancelled", name);
    op_check(L, name);
    luaL_checkstack(L, 10, NULL);
    struct op *op = lua_newuserdatauv(L, size, 0);
    memset(op, 0, size);
    luaL_setmetatable(L, OP_META);
    lua_toclose(L, -1);
    op->name = name;
    op->release = release_fn;
    op->gen = t->gen;
    op->task = t;
    return op;
}

static int op_k(lua_State *L, int status, lua_KContext ctx)
{
    struct op *op = (struct op *)ctx;
    if (op->state == OP_STOPPED || op->state == OP_CLOSED)
        return error_raise(L, "cancelled", "%s: cancelled", op->name);
    return op->k(L, status, ctx);
}

int op_wait(lua_State *L, struct op *op, lua_KFunction k)
{
    struct task *t = op->task;
    op->k = k;
    if (op->state == OP_DONE)
        return op_k(L, LUA_YIELD, (lua_KContext)op);
    assert(!t->pending && op->state == OP_IDLE);
    op->state = OP_WAITING;
    op->gen = ++t->gen;
    t->pending = op;
    vm_of(L)->yielded = YIELD_OP;
    return lua_yieldk(L, 0, (lua_KContext)op, op_k);
}

int op_wait_again(lua_State *L, struct op *op, lua_KFunction k)
{
    struct task *t = op->task;
    if (t->cancelled && !op->patient)
        return error_raise(L, "cancelled", "%s: cancelled", op->name);
    assert(op->state == OP_DONE);
    op->state = OP_IDLE;
    return op_wait(L, op, k);
}

void op_done(struct op *op)
{
    if (op->state == OP_IDLE) { /* it ended before the wait began */
        op->state = OP_DONE;
        return;
    }
    struct task *t = op->task;
    if (op->state != OP_WAITING || op->gen != t->gen || t->pending != op) {
        log_error("a late completion of %s was dropped", op->name);
        return;
    }
    op->state = OP_DONE;
    t->pending = NULL;
    task_ready(t);
}

void op_stop(struct op *op) { release(op, OP_STOPPED); }

int op_pass_up(lua_State *L, enum yield_kind kind, lua_KFunction k)
{
    vm_of(L)->yielded = kind;
    return lua_yieldk(L, 0, 0, k);
}

int op_yield_values(lua_State *L, int n)
{
    vm_of(L)->yielded = YIELD_VALUES;
    return lua_yield(L, n);
}

void op_open(lua_State *L)
{
    luaL_newmetatable(L, OP_META);
    lua_pushcfunction(L, op_close);
    lua_setfield(L, -2, "__close");
    lua_pushcfunction(L, op_gc);
    lua_setfield(L, -2, "__gc");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
    name_blockers(L);
}
