/* task.h: handlers as coroutines: the scheduler.
 *
 * Ownership: the vm owns its tasks; a task ends by itself, by task_close or with the vm. `done` runs exactly once, from
 *            the loop or, with vm->closing set, from vm_free.
 * Threads:   loop thread only.
 * A task is READY, RUNNING, WAITING for one op, SLICED (stopped by the hook), ENDING (its function is over, tasks it
 * started are not) or DONE. A task that fails or is cancelled cancels the tasks it started, and is over after them. */
#pragma once
#include "script/error.h"
#include "script/state.h"

enum task_state { TASK_READY, TASK_RUNNING, TASK_WAITING, TASK_SLICED, TASK_ENDING, TASK_DONE };

#define TASK_DEPTH_MAX 100 /* tasks started by tasks started by ... */

struct op;
struct spawned;
typedef void (*task_done_fn)(void *arg, const struct failure *error); /* NULL: it ended well */

struct task {
    struct vm *vm;
    struct task *prev, *next, *next_ready;
    lua_State *co;
    int co_ref;
    enum task_state state;
    bool queued;
    int nargs;    /* for the next resume */
    unsigned gen; /* one more with each wait; a late completion carries an old one */
    struct op *pending;
    lua_State **parked; /* the script's coroutines the wait passed through, innermost first */
    size_t nparked, parked_cap;
    bool cancelled, killed;
    char kill_where[LUA_IDSIZE + 16];
    char kill_message[320];
    char *inner_message, *inner_traceback; /* of the last coroutine of the script, or task, that ended by an error */
    const char *inner_link;                /* how it is connected with this one: "resumed from" */
    double cpu_limit_s;
    uint64_t cpu_ns, slice_start_ns; /* thread CPU time since the last wait */
    struct timer *grace;
    struct event *event; /* a reference, or NULL */
    struct run *run;     /* the resource whose handler this is, or NULL */
    const char *what;    /* "resync handler", for messages */
    struct task *parent, *children, *last_child, *prev_sibling, *next_sibling; /* in the order of their start */
    int depth;
    bool ending, failed;     /* its function is over; by an error */
    struct failure failure;  /* of its function */
    struct spawned *lost;    /* failed tasks it started and nobody has joined (children.c) */
    unsigned mark;           /* children.c: seen in this walk */
    void (*result)(lua_State *L, lua_State *co, int n, bool ok, void *arg);
    task_done_fn done;
    void *arg;
};

struct task_opts {
    const char *what;
    double cpu_limit_s;
    struct event *event;
    struct run *run;
    /* Pushes the function and its arguments on L (protected); returns the number of arguments. */
    int (*prepare)(lua_State *L, void *arg);
    void *prepare_arg;
    /* Takes what came out (protected, the coroutine still stands): n values on top of co, the results or, with !ok, the
     * error value; n is 0 for a task that was closed. May be NULL. Runs before the task's children are over. */
    void (*result)(lua_State *L, lua_State *co, int n, bool ok, void *arg);
    task_done_fn done;
    void *arg;
};

/* Starts a task; it runs from the loop, never inside this call. NULL with e when memory does not allow it. */
struct task *task_start(struct vm *v, const struct task_opts *o, struct err *e);
/* The same from inside a task, whose child it becomes: limits, event and resource are the parent's, `prepare` is not
 * used; the function and its n arguments lie on top of L and are popped. Raises when memory does not allow it. */
struct task *task_start_child(lua_State *L, const struct task_opts *o, int nargs);
/* The waiting call raises `cancelled`, in the tasks it started as well; after a grace period the task is closed. `done`
 * still runs. */
void task_cancel(struct task *t);
/* Ends it now, after the tasks it started: stops its I/O, runs what it has to close. `done` runs. */
void task_close(struct task *t, const char *why);
/* When the vm is freed: `closing` is set, `done` only frees what it owns. */
void task_close_all(struct vm *v);

/* Moves a waiting task to the ready queue (op.c). */
void task_ready(struct task *t);
void task_schedule(struct vm *v);

/* The only lua_resume. Used for tasks here and for the script's coroutines by coro.c. */
int task_resume_thread(struct vm *v, lua_State *co, lua_State *from, int nargs, int *ret_nres);
/* Closes a coroutine: its to-be-closed variables run, none of them may wait. Returns its status. */
int task_close_thread(struct vm *v, lua_State *co, lua_State *from, const char *place);
/* Remembers / forgets a script's coroutine a wait passes through. */
void task_park(struct task *t, lua_State *co);
void task_unpark(struct task *t, lua_State *co);

void task_drainer_free(struct vm *v);
