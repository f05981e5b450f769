/* limit.h: CPU limits of scripts: the timer signal, the hook, the kill.
 *
 * Loop thread, except the signal handler, which runs on the loop thread too. One vm runs Lua at a time per process. */
#pragma once
#include "script/task.h"

/* Starts the 10 ms timer (CPU time of this thread). Counted: each vm_new starts, each vm_free stops. */
int limit_start(struct err *e);
void limit_stop(void);

/* Around every lua_resume: which coroutine a signal finds. Returns the one before. */
lua_State *limit_enter(lua_State *co);
void limit_leave(lua_State *before);

/* Arms the hook at every instruction (the task is over its limit). */
void limit_arm(lua_State *L);
/* The same for the coroutine that runs now, if any (the allocator knows no coroutine). */
void limit_arm_running(void);
/* Marks the running task as one that is never resumed again; remembers the line L is at. */
void limit_kill(struct task *t, lua_State *L, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* For watchdog.c. */
struct limit_view {
    bool running;  /* Lua, or C called from it, runs now */
    uint64_t beat; /* grows with every sign of life: hook, resume, return */
};
struct limit_view limit_look(void);
/* Asks the loop thread for the line it is at; waits up to 200 ms. "" when it does not answer. */
void limit_ask_position(char *out, size_t cap);
uint64_t limit_thread_cpu_ns(void);
