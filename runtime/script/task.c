/* Tasks. Every handler, and the main chunk, is a coroutine that only this file resumes.
 *
 * Invariants: a task has at most one pending op; it is in the ready queue iff `queued`; only RUNNING has Lua on the C
 * stack. A wait inside a script's own coroutine is passed up, coroutine by coroutine (coro.c), so that lua_resume below
 * always returns to the scheduler; the coroutines it went through are remembered in `parked`, because closing the task
 * must close them as well.
 *
 * A task stopped by the hook (SLICED) goes on before any other Lua runs, after one turn of the loop: scripts see no
 * concurrency between two waits.
 *
 * End: stop the pending op (its I/O ends here, whatever Lua does later), close the parked coroutines from the inside
 * out, close the task's own; then the task is ENDING until the tasks it started are over as well, then tell. The report
 * with its traceback is made before anything is closed. So nothing a handler started outlives it, and whoever is told
 * that a handler is over knows that of all of it. */
#include "script/task.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "script/children.h"
#include "script/limit.h"
#include "script/op.h"

#define LOG_GROUP "script.task"
#define GRACE_MS 3000
#define REPORT_SLACK ((size_t)2 << 20)

/* Survives the vm while a deferred call is under way. */
struct drainer {
    struct vm *vm;
    bool scheduled;
};

static void drain(void *arg);

static struct drainer *drainer_of(struct vm *v)
{
    if (!v->drainer) {
        v->drainer = xcalloc(1, sizeof(*v->drainer));
        v->drainer->vm = v;
    }
    return v->drainer;
}

void task_schedule(struct vm *v)
{
    struct drainer *d = drainer_of(v);
    if (d->scheduled)
        return;
    d->scheduled = true;
    loop_defer(v->o.loop, drain, d);
}

/* In the next turn, after I/O had its chance. */
static void schedule_later(struct vm *v)
{
    struct drainer *d = drainer_of(v);
    if (d->scheduled)
        return;
    d->scheduled = true;
    loop_post(v->o.loop, drain, d);
}

void task_drainer_free(struct vm *v)
{
    struct drainer *d = v->drainer;
    v->drainer = NULL;
    if (!d)
        return;
    d->vm = NULL;
    if (!d->scheduled)
        free(d);
}

/* Queue -------------------------------------------------------------------------------------------------- */

void task_ready(struct task *t)
{
    if (t->queued || t->state >= TASK_ENDING)
        return;
    t->state = TASK_READY;
    t->queued = true;
    t->next_ready = NULL;
    *t->vm->ready_end = t;
    t->vm->ready_end = &t->next_ready;
    task_schedule(t->vm);
}

static struct task *pop_ready(struct vm *v)
{
    struct task *t = v->ready;
    if (!t)
        return NULL;
    v->ready = t->next_ready;
    if (!v->ready)
        v->ready_end = &v->ready;
    t->queued = false;
    return t;
}

static void unqueue(struct task *t)
{
    struct vm *v = t->vm;
    if (!t->queued)
        return;
    for (struct task **p = &v->ready; *p; p = &(*p)->next_ready)
        if (*p == t) {
            *p = t->next_ready;
            break;
        }
    v->ready_end = &v->ready;
    while (*v->ready_end)
        v->ready_end = &(*v->ready_end)->next_ready;
    t->queued = false;
}

/* Resume ------------------------------------------------------------------------------------------------- */

int task_resume_thread(struct vm *v, lua_State *co, lua_State *from, int nargs, int *ret_nres)
{
    struct nest n = {.up = v->nest, .co = co, .from = from, .open = !from || op_can_yield(from)};
    v->nest = &n;
    v->yielded = YIELD_VALUES;
    lua_State *before = limit_enter(co);
    int status = lua_resume(co, from, nargs, ret_nres);
    limit_leave(before);
    v->nest = n.up;
    return status;
}

int task_close_thread(struct vm *v, lua_State *co, lua_State *from, const char *place)
{
    struct nest n = {.up = v->nest, .co = co, .from = from, .open = false, .place = place};
    v->nest = &n;
    lua_State *before = limit_enter(co);
#if LUA_VERSION_RELEASE_NUM >= 50406
    int status = lua_closethread(co, from);
#else
    (void)from;
    int status = lua_resetthread(co);
#endif
    limit_leave(before);
    v->nest = n.up;
    co_set(co, CO_WAITING, false);
    return status;
}

void task_park(struct task *t, lua_State *co)
{
    if (t->nparked == t->parked_cap) {
        t->parked_cap = t->parked_cap ? t->parked_cap * 2 : 4;
        t->parked = xrealloc(t->parked, t->parked_cap * sizeof(*t->parked));
    }
    t->parked[t->nparked++] = co;
    co_set(co, CO_WAITING, true);
}

void task_unpark(struct task *t, lua_State *co)
{
    if (t->nparked && t->parked[t->nparked - 1] == co)
        t->nparked--;
    co_set(co, CO_WAITING, false);
}

/* End ---------------------------------------------------------------------------------------------------- */

/* Everything the task still has open ends here; what its closers raise is of no interest any more. */
static void close_threads(struct task *t)
{
    struct vm *v = t->vm;
    struct task *before = v->current;
    v->current = t;
    if (t->pending)
        op_stop(t->pending);
    t->pending = NULL;
    t->cpu_ns = 0;
    t->slice_start_ns = clock_thread_cpu_ns();
    for (size_t i = 0; i < t->nparked; i++) {
        if (t->killed)
            limit_arm(t->parked[i]);
        task_close_thread(v, t->parked[i], NULL, "the end of its task");
    }
    t->nparked = 0;
    if (t->killed)
        limit_arm(t->co);
    task_close_thread(v, t->co, NULL, "the end of its task");
    v->current = before;
}

static void unlink_task(struct task *t)
{
    *(t->prev ? &t->prev->next : &t->vm->tasks) = t->next;
    if (t->next)
        t->next->prev = t->prev;
    if (!t->parent)
        return;
    *(t->prev_sibling ? &t->prev_sibling->next_sibling : &t->parent->children) = t->next_sibling;
    *(t->next_sibling ? &t->next_sibling->prev_sibling : &t->parent->last_child) = t->prev_sibling;
}

/* Its function is over, and so is everything it started: tells, then looks whether the parent waited for just this. */
static void task_over(struct task *t)
{
    struct task *parent = t->parent;
    t->state = TASK_DONE;
    timer_stop(t->grace);
    children_take_lost(t);
    unlink_task(t);
    if (t->done)
        t->done(t->arg, t->failed ? &t->failure : NULL);
    event_unref(t->event);
    failure_done(&t->failure);
    free(t->parked);
    free(t->inner_message);
    free(t->inner_traceback);
    free(t);
    if (parent && parent->state == TASK_ENDING && !parent->children)
        task_over(parent);
}

static void cancel_children(struct task *t)
{
    for (struct task *c = t->children; c; c = c->next_sibling)
        task_cancel(c);
}

/* Takes the failure (NULL: it ended well). */
static void task_finish(struct task *t, struct failure *error)
{
    struct vm *v = t->vm;
    unqueue(t);
    t->ending = true;
    if (v->sliced == t)
        v->sliced = NULL;
    close_threads(t);
    luaL_unref(v->L, LUA_REGISTRYINDEX, t->co_ref);
    if (error) {
        t->failed = true;
        t->failure = *error;
        memset(error, 0, sizeof(*error));
    }
    t->state = TASK_ENDING;
    if (t->failed || t->cancelled)
        cancel_children(t);
    if (!t->children)
        task_over(t);
}

static void report_text(struct failure *r, const char *where, const char *message, const char *traceback)
{
    r->where = xstrdup(where);
    r->message = *where ? xasprintf("%s: %s", where, message) : xstrdup(message);
    r->traceback = xstrdup(traceback);
}

struct report_job {
    struct task *task;
    struct failure *r;
};

static int make_report(lua_State *L, void *arg)
{
    struct report_job *j = arg;
    struct task *t = j->task;
    error_failure(L, t->co, j->r);
    if (t->inner_message && strcmp(t->inner_message, j->r->message) == 0) { /* it started in that coroutine */
        char *outer = j->r->traceback;
        j->r->traceback = xasprintf("%s\n%s, %s", t->inner_traceback, t->inner_link, outer);
        free(outer);
    }
    return 0;
}

struct result_job {
    struct task *task;
    int n;
    bool ok;
};

static int give_result(lua_State *L, void *arg)
{
    struct result_job *j = arg;
    luaL_checkstack(L, j->n + 10, NULL);
    j->task->result(L, j->task->co, j->n, j->ok, j->task->arg);
    return 0;
}

/* < 0: there is no memory for the results. */
static int keep_result(struct task *t, int n, bool ok)
{
    struct result_job job = {t, n, ok};
    return t->result ? vm_protect(t->vm, give_result, &job, NULL) : 0;
}

static int make_traceback(lua_State *L, void *arg)
{
    struct report_job *j = arg;
    lua_State *co = j->task->nparked ? j->task->parked[0] : j->task->co;
    luaL_traceback(L, co, NULL, 0);
    free(j->r->traceback);
    j->r->traceback = error_own_frames(lua_tostring(L, -1));
    return 0;
}

static void out_of_memory_report(struct task *t, struct failure *r)
{
    char where[LUA_IDSIZE + 16] = "";
    error_position(t->co, where, sizeof(where));
    char *text = xasprintf("not enough memory: the script and its documents are over the limit of %zu MiB "
                           "(--lua-memory); hand batches over with ocean.yield instead of collecting them",
                           t->vm->o.memory_limit >> 20);
    report_text(r, where, text, "");
    free(text);
}

/* The task ended by an error, or by its limit: reports and finishes. */
static void task_fail(struct task *t, int status)
{
    struct vm *v = t->vm;
    struct failure r = {0};
    struct report_job job = {t, &r};
    v->slack = REPORT_SLACK;
    v->current = t; /* a __tostring of the script runs under its limits */
    if (t->killed) {
        report_text(&r, t->kill_where, t->kill_message, "");
        vm_protect(v, make_traceback, &job, NULL);
    } else if (status == LUA_ERRMEM) {
        out_of_memory_report(t, &r);
        vm_protect(v, make_traceback, &job, NULL);
    } else if (vm_protect(v, make_report, &job, NULL) < 0) {
        failure_done(&r);
        out_of_memory_report(t, &r);
    }
    bool raised = !t->killed && status != LUA_ERRMEM && status != LUA_OK;
    keep_result(t, raised ? 1 : 0, false);
    r.killed = t->killed;
    r.stopped = t->cancelled;
    r.cancelled = r.cancelled || (t->cancelled && !t->killed);
    v->current = NULL;
    task_finish(t, &r);
    v->slack = 0;
    if (vm_is_hungry(v) && !v->closing)
        vm_collect(v, v->L);
}

void task_close(struct task *t, const char *why)
{
    struct failure r = {.cancelled = t->cancelled, .stopped = t->cancelled};
    bool over = t->ending;
    t->ending = true; /* nothing new is started, and the last child does not end us */
    t->state = TASK_WAITING;
    while (t->children)
        task_close(t->children, why);
    if (over) {
        task_over(t);
        return;
    }
    report_text(&r, "", why, "");
    task_finish(t, &r);
}

void task_close_all(struct vm *v)
{
    while (v->tasks)
        task_close(v->tasks, "the runtime ends");
}

/* Run ---------------------------------------------------------------------------------------------------- */

static void task_run(struct task *t)
{
    struct vm *v = t->vm;
    int nres = 0, nargs = t->nargs;
    t->nargs = 0;
    t->state = TASK_RUNNING;
    v->current = t;
    v->out_of_memory = false;
    t->slice_start_ns = clock_thread_cpu_ns();
    int status = task_resume_thread(v, t->co, NULL, nargs, &nres);
    t->cpu_ns += clock_thread_cpu_ns() - t->slice_start_ns;
    v->current = NULL;
#ifdef OCEAN_SAN /* what is not anchored shows at once */
    if (!t->killed && status != LUA_ERRMEM)
        lua_gc(v->L, LUA_GCCOLLECT);
#endif
    if (t->killed) {
        task_fail(t, status);
    } else if (status == LUA_OK) {
        if (keep_result(t, nres, true) < 0)
            task_fail(t, LUA_ERRMEM);
        else
            task_finish(t, NULL);
    } else if (status != LUA_YIELD) {
        task_fail(t, status);
    } else if (v->yielded == YIELD_HOOK) {
        t->state = TASK_SLICED;
        v->sliced = t;
    } else if (v->yielded == YIELD_OP) {
        t->state = TASK_WAITING;
        t->cpu_ns = 0;
        if (!t->pending)
            task_ready(t);
    } else {
        task_close(t, "a C module yielded outside a coroutine of the script");
    }
}

static void drain(void *arg)
{
    struct drainer *d = arg;
    struct vm *v = d->vm;
    d->scheduled = false;
    if (!v) {
        free(d);
        return;
    }
    struct task *last = NULL, *t;
    for (t = v->ready; t; t = t->next_ready)
        last = t;
    if (v->sliced) {
        t = v->sliced;
        v->sliced = NULL;
        task_run(t);
    }
    /* Those that were ready when we came; what they wake waits for the next turn, so that I/O is not starved. */
    while (!v->sliced && last && (t = pop_ready(v)) != NULL) {
        bool end = t == last;
        task_run(t);
        if (end)
            break;
    }
    if (v->sliced || v->ready)
        schedule_later(v);
}

/* The coroutine of a new task, from the function and its arguments on top of L (popped). May raise. */
static struct task *task_make(lua_State *L, const struct task_opts *o, int nargs)
{
    luaL_checkstack(L, 4, NULL);
    lua_State *co = lua_newthread(L);
    *(uintptr_t *)lua_getextraspace(co) = (uintptr_t)vm_of(L);
    co_set(co, CO_TASK, true);
    if (!lua_checkstack(co, nargs + 2))
        luaL_error(L, "too many arguments for a task");
    lua_insert(L, -nargs - 2);
    lua_xmove(L, co, nargs + 1);
    int ref = luaL_ref(L, LUA_REGISTRYINDEX);
    struct task *t = xcalloc(1, sizeof(*t));
    t->vm = vm_of(L);
    t->co = co;
    t->co_ref = ref;
    t->nargs = nargs;
    t->what = o->what;
    t->cpu_limit_s = o->cpu_limit_s;
    t->event = o->event ? event_ref(o->event) : NULL;
    t->run = o->run;
    t->result = o->result;
    t->done = o->done;
    t->arg = o->arg;
    t->next = t->vm->tasks;
    if (t->next)
        t->next->prev = t;
    t->vm->tasks = t;
    t->state = TASK_WAITING;
    task_ready(t);
    return t;
}

struct start_job {
    const struct task_opts *o;
    struct task *t;
};

static int start_protected(lua_State *L, void *arg)
{
    struct start_job *j = arg;
    luaL_checkstack(L, 20, NULL);
    j->t = task_make(L, j->o, j->o->prepare(L, j->o->prepare_arg));
    return 0;
}

struct task *task_start(struct vm *v, const struct task_opts *o, struct err *e)
{
    struct start_job job = {o, NULL};
    return vm_protect(v, start_protected, &job, e) < 0 ? NULL : job.t;
}

struct task *task_start_child(lua_State *L, const struct task_opts *o, int nargs)
{
    struct task *parent = vm_of(L)->current;
    struct task_opts own = *o;
    own.cpu_limit_s = parent->cpu_limit_s;
    own.event = parent->event;
    own.run = parent->run;
    struct task *t = task_make(L, &own, nargs);
    t->parent = parent;
    t->depth = parent->depth + 1;
    t->prev_sibling = parent->last_child;
    *(t->prev_sibling ? &t->prev_sibling->next_sibling : &parent->children) = t;
    parent->last_child = t;
    return t;
}

/* Cancel ------------------------------------------------------------------------------------------------- */

static void on_grace(void *arg)
{
    struct task *t = arg;
    t->grace = NULL;
    log_warn("a %s went on for %d s after it was cancelled; it is closed", t->what, GRACE_MS / 1000);
    task_close(t, "cancelled");
}

void task_cancel(struct task *t)
{
    if (t->cancelled || t->state == TASK_DONE)
        return;
    t->cancelled = true;
    t->grace = timer_start(t->vm->o.loop, GRACE_MS, 0, on_grace, t);
    cancel_children(t);
    if (t->state == TASK_WAITING && t->pending && !t->pending->patient) {
        struct op *op = t->pending;
        t->pending = NULL;
        op_stop(op);
        task_ready(t);
    }
}
