/* op.h: how a C function waits.
 *
 *   struct sleep_op { struct op op; struct timer *timer; };
 *   struct sleep_op *o = op_push(L, "ocean.sleep", sizeof(*o), sleep_release);
 *   o->timer = timer_start(loop, ms, 0, on_fire, o);
 *   return op_wait(L, &o->op, sleep_k);
 *
 * op_push leaves a to-be-closed userdata on the stack: return, error, cancellation and the end of the task all run
 * `release` exactly once, which stops the I/O and frees what the op holds. Check the arguments first, push the op, then
 * acquire: a raise in between leaks nothing. Never pop the slot by hand (Lua 5.4.4).
 * The loop's callback stores plain C results and calls op_done; it touches no Lua. Results become Lua values in the
 * continuation, inside the coroutine. Loop thread only. */
#pragma once
#include "script/task.h"

enum op_state { OP_IDLE, OP_WAITING, OP_DONE, OP_STOPPED, OP_CLOSED };

struct op {
    struct task *task;
    unsigned gen;
    const char *name;
    void (*release)(struct op *op);
    lua_KFunction k;
    enum op_state state;
    bool patient; /* waits for tasks its task started: goes on when the task is cancelled, since they are cancelled too */
};

/* Raises `cancelled` in a cancelled task, and where Lua cannot yield an error that names the call and the way out. */
void *op_push(lua_State *L, const char *name, size_t size, void (*release)(struct op *op));
/* Suspends the task until op_done; `k` then runs with the stack as it is now. */
int op_wait(lua_State *L, struct op *op, lua_KFunction k);
/* In the continuation: waits once more with the same op, which is on the stack already. */
int op_wait_again(lua_State *L, struct op *op, lua_KFunction k);
void op_done(struct op *op);
/* Stops a pending op from outside: its I/O ends now (task.c). */
void op_stop(struct op *op);

/* For coro.c: passes the wait of an inner coroutine up, yields a script's values. */
int op_pass_up(lua_State *L, enum yield_kind kind, lua_KFunction k);
int op_yield_values(lua_State *L, int n);

/* Raises unless a wait named `name` is possible here. */
void op_check(lua_State *L, const char *name);
void op_open(lua_State *L);
/* The function on top of the stack (popped) calls scripts without being able to yield: `text` is "place: way out". */
void op_name_blocker(lua_State *L, const char *text);
/* Can everything from L up to the loop yield? */
bool op_can_yield(lua_State *L);
