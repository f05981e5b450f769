/* CPU limits. A timer over this thread's CPU time sends SIGVTALRM every 10 ms; the handler arms a hook on the coroutine
 * that runs (lua_sethook may be called from a signal handler), so undisturbed code pays nothing.
 *
 * The hook: under the limit it disarms itself and yields, if everything up to the loop can yield; over the limit it
 * kills the task: remembers the line and yields for the last time, or, where Lua cannot yield, raises, and stays armed
 * so that it raises again at the next instruction of whoever caught it. A coroutine that resumes a killed one is armed
 * by coro.c. A task whose allocation was refused for good is killed the same way if it goes on.
 *
 * Hooks fire only between Lua instructions. What is stuck inside one C call is the watchdog's business: `beat` is the
 * sign of life it looks at, and the handler also answers its question for the line. */
#include "script/limit.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "script/op.h"

#define LOG_GROUP "script.limit"
#define SLICE_MS 10

static _Atomic(lua_State *) running; /* lock-free: the signal handler and the watchdog read it */
static atomic_uint_fast64_t beat;
static atomic_int question; /* 1: asked for the line, 2: answered */
static char answer[LUA_IDSIZE + 16];
static int users;
static timer_t timer;
static pthread_t loop_thread;

static void hook(lua_State *L, lua_Debug *ar);

/* Signal ------------------------------------------------------------------------------------------------- */

/* "file:line" of the innermost Lua function; allocates nothing, so that the handler may use it. */
static void line_of(lua_State *L, char *out, size_t cap)
{
    lua_Debug ar;
    out[0] = 0;
    for (int level = 0; level < 50 && lua_getstack(L, level, &ar); level++) {
        if (!lua_getinfo(L, "Sl", &ar) || ar.currentline <= 0)
            continue;
        size_t n = strlen(ar.short_src);
        if (n + 12 > cap)
            return;
        memcpy(out, ar.short_src, n);
        out[n++] = ':';
        char digits[12];
        int k = 0;
        for (int x = ar.currentline; x > 0; x /= 10)
            digits[k++] = (char)('0' + x % 10);
        while (k > 0)
            out[n++] = digits[--k];
        out[n] = 0;
        return;
    }
}

static void on_signal(int signum)
{
    (void)signum;
    int saved = errno;
    lua_State *L = running;
    if (L && pthread_equal(pthread_self(), loop_thread)) {
        if (atomic_load(&question) == 1) {
            line_of(L, answer, sizeof(answer));
            atomic_store(&question, 2);
        }
        lua_sethook(L, hook, LUA_MASKCOUNT, 1);
    }
    errno = saved;
}

int limit_start(struct err *e)
{
    if (users++ > 0)
        return 0;
    loop_thread = pthread_self();
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&sa.sa_mask);
    struct sigevent ev = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGVTALRM};
    ev._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    struct itimerspec every = {{0, SLICE_MS * 1000000L}, {0, SLICE_MS * 1000000L}};
    if (sigaction(SIGVTALRM, &sa, NULL) < 0 || timer_create(CLOCK_THREAD_CPUTIME_ID, &ev, &timer) < 0) {
        users--;
        return ERR(e, ERR_IO, "cannot set the timer of the script's CPU limit: %s", strerror(errno));
    }
    timer_settime(timer, 0, &every, NULL);
    return 0;
}

void limit_stop(void)
{
    if (--users > 0)
        return;
    timer_delete(timer);
    signal(SIGVTALRM, SIG_IGN);
}

lua_State *limit_enter(lua_State *co)
{
    lua_State *before = running;
    atomic_fetch_add_explicit(&beat, 1, memory_order_relaxed);
    running = co;
    return before;
}

void limit_leave(lua_State *before)
{
    running = before;
    atomic_fetch_add_explicit(&beat, 1, memory_order_relaxed);
}

struct limit_view limit_look(void)
{
    return (struct limit_view){running != NULL, atomic_load_explicit(&beat, memory_order_relaxed)};
}

void limit_ask_position(char *out, size_t cap)
{
    atomic_store(&question, 1);
    pthread_kill(loop_thread, SIGVTALRM);
    for (int i = 0; i < 200 && atomic_load(&question) != 2; i++)
        usleep(1000);
    snprintf(out, cap, "%s", atomic_load(&question) == 2 ? answer : "");
    atomic_store(&question, 0);
}

uint64_t limit_thread_cpu_ns(void)
{
    clockid_t id;
    struct timespec ts = {0};
    if (pthread_getcpuclockid(loop_thread, &id) != 0 || clock_gettime(id, &ts) != 0)
        return 0;
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Hook --------------------------------------------------------------------------------------------------- */

void limit_arm(lua_State *L) { lua_sethook(L, hook, LUA_MASKCOUNT, 1); }

void limit_arm_running(void)
{
    lua_State *L = running;
    if (L)
        limit_arm(L);
}

void limit_kill(struct task *t, lua_State *L, const char *fmt, ...)
{
    va_list ap;
    if (t->killed)
        return;
    t->killed = true;
    error_position(L, t->kill_where, sizeof(t->kill_where));
    if (!t->kill_where[0])
        line_of(L, t->kill_where, sizeof(t->kill_where));
    va_start(ap, fmt);
    vsnprintf(t->kill_message, sizeof(t->kill_message), fmt, ap);
    va_end(ap);
}

static void check_limits(struct vm *v, struct task *t, lua_State *L)
{
    if (v->collect && !vm_collect(v, L))
        v->out_of_memory = true;
    double used = (double)(t->cpu_ns + clock_thread_cpu_ns() - t->slice_start_ns) / 1e9;
    if (v->out_of_memory)
        limit_kill(t, L,
                   "not enough memory: the script went on although it and its documents were over the limit of %zu MiB "
                   "(--lua-memory); it was stopped here",
                   v->o.memory_limit >> 20);
    else if (t->cpu_limit_s > 0 && used > t->cpu_limit_s)
        limit_kill(t, L,
                   "the %s used %.1f s of CPU time without waiting, over its limit of %g s (--lua-cpu); it was stopped "
                   "here. Is this an endless loop?",
                   t->what, used, t->cpu_limit_s);
}

static void hook(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    struct vm *v = vm_of(L);
    struct task *t = v->current;
    atomic_fetch_add_explicit(&beat, 1, memory_order_relaxed);
    if (!t) {
        lua_sethook(L, NULL, 0, 0);
        return;
    }
    if (!t->killed)
        check_limits(v, t, L);
    if (!t->killed)
        lua_sethook(L, NULL, 0, 0);
    if (op_can_yield(L)) {
        v->yielded = YIELD_HOOK;
        lua_yield(L, 0);
        return;
    }
    if (t->killed)
        luaL_error(L, "%s", t->kill_message);
}
