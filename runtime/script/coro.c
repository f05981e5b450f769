/* coroutine.resume, wrap, close, status and yield, and xpcall, replaced.
 *
 * A coroutine of the script that waits yields to whoever resumed it. These versions tell such a wait from a value the
 * script yielded by a field of the vm, pass the wait up unchanged, and resume the same coroutine when the task goes
 * on: generators may do I/O, and nobody sees a yield that was not theirs. Meanwhile the coroutine is marked CO_WAITING:
 * resuming or closing it from elsewhere is an error that says so.
 *
 * A task over its limit cannot hide in here: after every resume the resumer is armed as well. */
#include "script/coro.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "script/error.h"
#include "script/limit.h"
#include "script/op.h"
#include "script/source.h"
#include "script/task.h"

static lua_State *check_co(lua_State *L, int idx, const char *name)
{
    lua_State *co = lua_tothread(L, idx);
    if (!co)
        luaL_typeerror(L, idx, "coroutine");
    if (co_has(co, CO_TASK) && co != L)
        error_misuse(L, "%s: this coroutine is a handler of the runtime, which alone resumes and closes it", name);
    if (co_has(co, CO_WAITING))
        error_misuse(L,
                     "%s: this coroutine waits inside a call of the ocean library; it goes on by itself and cannot be "
                     "resumed or closed from elsewhere",
                     name);
    return co;
}

/* One resume. Returns the number of results (moved to L), -1 on an error (its value moved to L), or -2 when the
 * coroutine waits and the wait must be passed up. */
static int resume_once(lua_State *L, lua_State *co, int nargs)
{
    struct vm *v = vm_of(L);
    struct task *t = v->current;
    int nres = 0;
    if (!lua_checkstack(co, nargs)) {
        lua_pushliteral(L, "too many arguments to resume");
        return -1;
    }
    lua_xmove(L, co, nargs);
    int status = task_resume_thread(v, co, L, nargs, &nres);
    if (t && t->killed)
        limit_arm(L);
    if (status == LUA_YIELD && v->yielded != YIELD_VALUES) {
        task_park(t, co);
        return -2;
    }
    if (status == LUA_OK || status == LUA_YIELD) {
        if (!lua_checkstack(L, nres + 1)) {
            lua_pop(co, nres);
            lua_pushliteral(L, "too many results to resume");
            return -1;
        }
        lua_xmove(co, L, nres);
        return nres;
    }
    lua_xmove(co, L, 1);
    return -1;
}

/* A dead coroutine, or one that is running, cannot be resumed: the message goes to L and true is returned. */
static bool not_resumable(lua_State *L, lua_State *co, int nargs)
{
    lua_Debug ar;
    int status = lua_status(co);
    bool fresh = status == LUA_OK && !lua_getstack(co, 0, &ar) && lua_gettop(co) > 0;
    if (status == LUA_YIELD || fresh)
        return false;
    lua_pop(L, nargs);
    if (co == L || (status == LUA_OK && lua_getstack(co, 0, &ar)))
        lua_pushliteral(L, "cannot resume non-suspended coroutine");
    else
        lua_pushliteral(L, "cannot resume dead coroutine");
    return true;
}

/* resume: coroutine at index 1 */
static int resume_end(lua_State *L, int n);

static int resume_k(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    (void)ctx;
    lua_State *co = lua_tothread(L, 1);
    task_unpark(vm_of(L)->current, co);
    lua_settop(L, 1);
    return resume_end(L, resume_once(L, co, 0));
}

static int resume_end(lua_State *L, int n)
{
    if (n == -2)
        return op_pass_up(L, vm_of(L)->yielded, resume_k);
    lua_pushboolean(L, n >= 0);
    lua_insert(L, n >= 0 ? -(n + 1) : -2);
    return n >= 0 ? n + 1 : 2;
}

static int co_resume(lua_State *L)
{
    lua_State *co = check_co(L, 1, "coroutine.resume");
    int nargs = lua_gettop(L) - 1;
    if (not_resumable(L, co, nargs))
        return resume_end(L, -1);
    return resume_end(L, resume_once(L, co, nargs));
}

/* wrap: coroutine in upvalue 1 */
static int wrap_end(lua_State *L, lua_State *co, int n);

/* A wrapped coroutine passes its error on, but its stack ends here: keeps the traceback in case nobody catches it. */
static void remember_traceback(lua_State *L, lua_State *co)
{
    struct task *t = vm_of(L)->current;
    if (!t || lua_type(L, -1) != LUA_TSTRING ||
        (t->inner_message && strcmp(t->inner_message, lua_tostring(L, -1)) == 0))
        return;
    luaL_traceback(L, co, NULL, 0);
    free(t->inner_message);
    free(t->inner_traceback);
    t->inner_message = xstrdup(lua_tostring(L, -2));
    t->inner_traceback = error_own_frames(lua_tostring(L, -1));
    t->inner_link = "resumed from";
    lua_pop(L, 1);
}

static int wrap_k(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    (void)ctx;
    lua_State *co = lua_tothread(L, lua_upvalueindex(1));
    task_unpark(vm_of(L)->current, co);
    lua_settop(L, 0);
    return wrap_end(L, co, resume_once(L, co, 0));
}

static int wrap_end(lua_State *L, lua_State *co, int n)
{
    if (n == -2)
        return op_pass_up(L, vm_of(L)->yielded, wrap_k);
    if (n >= 0)
        return n;
    int status = lua_status(co);
    if (status != LUA_OK && status != LUA_YIELD) {
        remember_traceback(L, co);
        task_close_thread(vm_of(L), co, L, "the end of a coroutine that failed");
        lua_settop(co, 0);
    }
    return lua_error(L); /* messages carry their own position */
}

static int wrap_call(lua_State *L)
{
    lua_State *co = lua_tothread(L, lua_upvalueindex(1));
    int nargs = lua_gettop(L);
    if (co_has(co, CO_WAITING))
        return error_misuse(L,
                            "this generator waits inside a call of the ocean library; it goes on by itself and cannot "
                            "be called from elsewhere");
    if (not_resumable(L, co, nargs)) {
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
        return lua_error(L);
    }
    return wrap_end(L, co, resume_once(L, co, nargs));
}

static int co_create(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_State *co = lua_newthread(L);
    *(uintptr_t *)lua_getextraspace(co) = (uintptr_t)vm_of(L);
    lua_pushvalue(L, 1);
    lua_xmove(L, co, 1);
    return 1;
}

static int co_wrap(lua_State *L)
{
    co_create(L);
    lua_pushcclosure(L, wrap_call, 1);
    return 1;
}

/* In a handler's own body a plain coroutine.yield(batch) is ocean.yield(batch). */
static int co_do_yield(lua_State *L)
{
    if (!co_has(L, CO_TASK))
        return op_yield_values(L, lua_gettop(L));
    struct task *t = vm_of(L)->current;
    if (t && t->run)
        return source_yield(L);
    return error_misuse(L,
                        "attempt to yield from outside a coroutine: only in a resync handler coroutine.yield hands a "
                        "batch over");
}

static int co_close(lua_State *L)
{
    lua_State *co = check_co(L, 1, "coroutine.close");
    lua_Debug ar;
    int status = lua_status(co);
    if (co == L || (status == LUA_OK && lua_getstack(co, 0, &ar)))
        return luaL_error(L, "cannot close a running coroutine");
    if (task_close_thread(vm_of(L), co, L, "coroutine.close") == LUA_OK) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushboolean(L, 0);
    lua_xmove(co, L, 1);
    return 2;
}

/* A coroutine that waits for the runtime is "normal": it has a resumer, which waits too. */
static int co_status(lua_State *L)
{
    lua_State *co = lua_tothread(L, 1);
    if (co && co != L && (co_has(co, CO_WAITING) || co_has(co, CO_TASK))) {
        lua_pushliteral(L, "normal");
        return 1;
    }
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
}

/* xpcall ------------------------------------------------------------------------------------------------- */

/* The script's message handler, unless the task is over its limit: then it is not asked any more. */
static int message_handler(lua_State *L)
{
    struct task *t = vm_of(L)->current;
    if (t && t->killed)
        return 1;
    lua_settop(L, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

static int xpcall_k(lua_State *L, int status, lua_KContext ctx)
{
    if (status != LUA_OK && status != LUA_YIELD) {
        lua_pushboolean(L, 0);
        lua_pushvalue(L, -2);
        return 2;
    }
    return lua_gettop(L) - (int)ctx;
}

static int safe_xpcall(lua_State *L)
{
    int n = lua_gettop(L);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, message_handler, 1);
    lua_replace(L, 2);
    lua_pushboolean(L, 1);
    lua_pushvalue(L, 1);
    lua_rotate(L, 3, 2);
    int status = lua_pcallk(L, n - 2, LUA_MULTRET, 2, 2, xpcall_k);
    return xpcall_k(L, status, 2);
}

void coro_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"create", co_create},  {"resume", co_resume}, {"wrap", co_wrap},
        {"yield", co_do_yield}, {"close", co_close},   {NULL, NULL},
    };
    lua_getglobal(L, "coroutine");
    luaL_setfuncs(L, functions, 0);
    lua_getfield(L, -1, "status");
    lua_pushcclosure(L, co_status, 1);
    lua_setfield(L, -2, "status");
    lua_pop(L, 1);
    lua_pushcfunction(L, safe_xpcall);
    lua_setglobal(L, "xpcall");
}

void coro_name_blockers(lua_State *L)
{
    lua_pushcfunction(L, message_handler);
    op_name_blocker(L, "an xpcall message handler: return the message and wait after xpcall came back");
}
