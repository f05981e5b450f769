/* Runs of resources. A run calls its handlers one after another, each in a task of its own (so that one over its limit
 * takes no other with it): kind-specific before wildcard, in the order of registration.
 *
 * What a handler gives goes to the sink at once: batches by ocean.yield, coroutine.yield or a returned iterator, and
 * returned lists, marked as such (the sink joins consecutive ones into one batch). The sink says when it is full;
 * `room` may come at any time after that, also when the run is long over, which is why a run that ends full stays as a
 * zombie until room ran or the vm ends.
 *
 * The end: sink->done exactly once, from the loop, never inside start or cancel. */
#include "script/source.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "script/convert.h"
#include "script/error.h"
#include "script/jsonval.h"
#include "script/op.h"
#include "script/response.h"
#include "script/task.h"

#define LOG_GROUP "script.resync"
#define TAINTS_MAX 100 /* different ones of one handler; one is enough to hold deletion back */

struct run {
    struct run *prev, *next;
    struct vm *vm;
    struct sink *sink;
    struct event *event;
    const struct mapping_resource *resource;
    size_t *order, n, at; /* indices into vm->on_resync */
    struct task *task;
    struct yield_op *waiting; /* for room, in the order of their coming: the handler and tasks it started */
    struct source_report report;
    char **taints; /* of the current handler; told when it ended without raising them */
    size_t ntaints;
    int bad_batches; /* in a row, by the current handler */
    int repaired;    /* enum repair: what was warned about */
    bool full, cancelled, over;
};

struct yield_op {
    struct op op;
    struct run *run; /* NULL: not on its list */
    struct yield_op *next;
    bool from_list;
};

static void next_handler(struct run *r);

/* Runs --------------------------------------------------------------------------------------------------- */

static void run_free(struct run *r)
{
    *(r->prev ? &r->prev->next : &r->vm->runs) = r->next;
    if (r->next)
        r->next->prev = r->prev;
    for (size_t i = 0; i < r->ntaints; i++)
        free(r->taints[i]);
    free(r->taints);
    free(r->order);
    event_unref(r->event);
    free(r);
}

/* The sink's queue has room again. */
static void on_room(void *arg)
{
    struct run *r = arg;
    r->full = false;
    if (r->over) {
        run_free(r);
        return;
    }
    struct yield_op *o = r->waiting, *next;
    for (r->waiting = NULL; o; o = next) {
        next = o->next;
        o->next = NULL;
        o->run = NULL;
        op_done(&o->op);
    }
}

/* Takes the reference; false if the sink refused it. */
static bool push(struct run *r, struct json_doc *doc, struct json items, bool from_list)
{
    if (json_is_arr(items) && json_len(items) == 0)
        r->report.explicit_empty = true;
    r->full = true; /* room may run as soon as push returned PUSHED_FULL */
    enum pushed pushed = r->sink->ops->push(r->sink, doc, items, from_list, on_room, r);
    if (pushed != PUSHED_FULL)
        r->full = false;
    return pushed != PUSH_REFUSED;
}

static void finish(void *arg)
{
    struct run *r = arg;
    struct sink *sink = r->sink;
    struct source_report report = r->report;
    r->over = true;
    if (!r->full)
        run_free(r);
    sink->ops->done(sink, &report);
}

/* A failure that was raised and not caught is the handler's error already; what was caught taints. */
static void tell_taints(struct run *r, const struct failure *error)
{
    for (size_t i = 0; i < r->ntaints; i++) {
        if (!r->cancelled && !(error && strstr(error->message, r->taints[i])))
            r->sink->ops->taint(r->sink, r->taints[i]);
        free(r->taints[i]);
    }
    r->ntaints = 0;
}

static void on_handler_done(void *arg, const struct failure *error)
{
    struct run *r = arg;
    struct handler *h = &r->vm->on_resync.v[r->order[r->at - 1]];
    r->task = NULL;
    if (r->vm->closing)
        return;
    if (error && !(error->cancelled && r->cancelled)) {
        /* after a tail call into the library no frame of the script is left to name */
        bool placed = error->where[0] || strstr(error->message, ".lua:");
        char *text = placed ? xstrdup(error->message) : xasprintf("%s: %s", h->where, error->message);
        r->sink->ops->error(r->sink, error->where[0] ? error->where : h->where, text); /* which logs it */
        if (error->traceback[0])
            log_error("kind '%.*s', handler at %s: %s", STR_FMT(r->resource->kind), h->where, error->traceback);
        free(text);
    }
    tell_taints(r, error);
    next_handler(r);
}

static int prepare_handler(lua_State *L, void *arg)
{
    struct run *r = arg;
    lua_rawgeti(L, LUA_REGISTRYINDEX, r->vm->drive_ref);
    lua_rawgeti(L, LUA_REGISTRYINDEX, r->vm->on_resync.v[r->order[r->at]].ref);
    lua_pushlstring(L, r->resource->kind.p, r->resource->kind.n);
    return 2;
}

static void next_handler(struct run *r)
{
    while (!r->cancelled && r->at < r->n) {
        struct err e = {0};
        struct task_opts o = {
            .what = "resync handler",
            .cpu_limit_s = r->vm->o.cpu_limit_s,
            .event = r->event,
            .run = r,
            .prepare = prepare_handler,
            .prepare_arg = r,
            .done = on_handler_done,
            .arg = r,
        };
        r->task = task_start(r->vm, &o, &e);
        r->bad_batches = 0;
        r->at++;
        if (r->task)
            return;
        r->sink->ops->error(r->sink, r->vm->on_resync.v[r->order[r->at - 1]].where, e.msg);
    }
    finish(r);
}

/* Lua: batches ------------------------------------------------------------------------------------------- */

static void yield_release(struct op *op)
{
    struct yield_op *o = (struct yield_op *)op;
    struct yield_op **at = o->run ? &o->run->waiting : NULL;
    while (at && *at && *at != o)
        at = &(*at)->next;
    if (at && *at)
        *at = o->next;
    o->run = NULL;
}

static int yield_k(lua_State *L, int status, lua_KContext ctx)
{
    (void)L;
    (void)status;
    (void)ctx;
    return 0;
}

/* Content that cannot be a batch is an error of the resource, not of the handler, which goes on. */
static void bad_content(lua_State *L, struct run *r, const char *msg)
{
    char where[LUA_IDSIZE + 16];
    error_position(L, where, sizeof(where));
    char *text = xasprintf("%s%sthis batch is dropped: %s", where, where[0] ? ": " : "", msg);
    r->sink->ops->error(r->sink, where, text);
    free(text);
}

/* Hands the value at index 1 over. Returns after the push. */
static void hand_over(lua_State *L, struct run *r, bool from_list)
{
    char msg[512];
    struct json items;
    bool good = convert_try(L, 1, CONVERT_LIST, &items, msg, sizeof(msg)) == 0;
    if (!good) {
        bad_content(L, r, msg);
    } else {
        struct json_doc *doc = jsonval_unbox(L, -1);
        good = push(r, doc, items, from_list);
    }
    lua_pop(L, 1);
    r->bad_batches = good ? 0 : r->bad_batches + 1;
    if (r->bad_batches >= BAD_BATCHES_MAX)
        error_misuse(L, "%d batches in a row were not lists of objects; the handler ends", BAD_BATCHES_MAX);
}

static void await_room(struct yield_op *o, struct run *r)
{
    struct yield_op **end = &r->waiting;
    while (*end)
        end = &(*end)->next;
    o->run = r;
    *end = o;
}

static int wait_for_room(lua_State *L, struct run *r, bool from_list, lua_KFunction k)
{
    struct yield_op *o = op_push(L, "ocean.yield", sizeof(*o), yield_release);
    o->from_list = from_list;
    await_room(o, r);
    return op_wait(L, &o->op, k);
}

/* After a wait that came before the push: others had filled the queue, and may have filled it again. */
static int yield_late_k(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    struct yield_op *o = (struct yield_op *)ctx;
    struct run *r = o->op.task->run;
    if (r->full) {
        await_room(o, r);
        return op_wait_again(L, &o->op, yield_late_k);
    }
    hand_over(L, r, o->from_list);
    if (!r->full)
        return 0;
    await_room(o, r);
    return op_wait_again(L, &o->op, yield_k);
}

static int hand_over_and_wait(lua_State *L, struct run *r, bool from_list)
{
    op_check(L, "ocean.yield");
    if (vm_of(L)->current->cancelled)
        return error_raise(L, "cancelled", "ocean.yield: cancelled");
    if (r->full)
        return wait_for_room(L, r, from_list, yield_late_k);
    hand_over(L, r, from_list);
    return r->full ? wait_for_room(L, r, from_list, yield_k) : 0;
}

int source_yield(lua_State *L)
{
    struct task *t = vm_of(L)->current;
    struct run *r = t ? t->run : NULL;
    luaL_checkany(L, 1);
    if (!r)
        return error_misuse(L, "ocean.yield hands batches over from inside a resync handler only");
    /* ocean.yield(api:json(...)) comes with the response as well */
    if (!lua_isnoneornil(L, 2) && !lua_istable(L, 2) && !response_is(L, 2))
        return error_misuse(L, "ocean.yield: the options must be a table, got %s", luaL_typename(L, 2));
    return hand_over_and_wait(L, r, false);
}

/* internals.returned(list): what the handler returned. Waits like ocean.yield. */
static int returned(lua_State *L) { return hand_over_and_wait(L, vm_of(L)->current->run, true); }

/* struct source ------------------------------------------------------------------------------------------ */

static bool has_handler(void *arg, struct str kind)
{
    struct vm *v = arg;
    for (size_t i = 0; i < v->on_resync.n; i++)
        if (!v->on_resync.v[i].kind || str_is(kind, v->on_resync.v[i].kind))
            return true;
    return false;
}

static void kinds(void *arg, struct buf *out)
{
    struct vm *v = arg;
    bool first = true;
    for (size_t i = 0; i < v->on_resync.n; i++) {
        const char *kind = v->on_resync.v[i].kind;
        bool seen = !kind;
        for (size_t k = 0; k < i && !seen; k++)
            seen = v->on_resync.v[k].kind && strcmp(v->on_resync.v[k].kind, kind) == 0;
        if (seen)
            continue;
        buf_addf(out, "%s%s", first ? "" : ", ", kind);
        first = false;
    }
}

static void *start(void *arg, struct event *ev, const struct mapping_resource *res, struct sink *sink)
{
    struct vm *v = arg;
    struct run *r = xcalloc(1, sizeof(*r));
    r->vm = v;
    r->sink = sink;
    r->event = event_ref(ev);
    r->resource = res;
    r->order = xcalloc(v->on_resync.n + 1, sizeof(*r->order));
    for (int wildcard = 0; wildcard < 2; wildcard++)
        for (size_t i = 0; i < v->on_resync.n; i++) {
            const char *kind = v->on_resync.v[i].kind;
            if (wildcard ? !kind : kind && str_is(res->kind, kind))
                r->order[r->n++] = i;
        }
    r->next = v->runs;
    if (v->runs)
        v->runs->prev = r;
    v->runs = r;
    if (r->n)
        next_handler(r);
    else
        vm_defer(v, finish, NULL, r);
    return r;
}

static void cancel(void *arg, void *run)
{
    (void)arg;
    struct run *r = run;
    if (r->over || r->cancelled)
        return;
    r->cancelled = true;
    if (r->task)
        task_cancel(r->task);
}

/* Hooks -------------------------------------------------------------------------------------------------- */

struct hook_run {
    struct vm *vm;
    struct handlers *handlers;
    const char *what;
    size_t at;
    struct event *event;
    void (*done)(void *arg, const struct err *e, bool http_error);
    void *arg;
};

static void next_hook(void *arg);

static void hook_free(void *arg)
{
    struct hook_run *h = arg;
    event_unref(h->event);
    free(h);
}

static void hook_finish(struct hook_run *h, const struct err *e, bool http)
{
    void (*done)(void *, const struct err *, bool) = h->done;
    void *arg = h->arg;
    hook_free(h);
    done(arg, e, http);
}

static void on_hook_done(void *arg, const struct failure *error)
{
    struct hook_run *h = arg;
    struct err e = {0};
    if (h->vm->closing) {
        hook_free(h);
        return;
    }
    if (!error) {
        next_hook(h);
        return;
    }
    log_error("%s handler at %s: %s%s%s", h->what, h->handlers->v[h->at - 1].where, error->message,
              error->traceback[0] ? "\n" : "", error->traceback);
    ERR(&e, error->cancelled ? ERR_CANCELLED : error->http ? ERR_TRANSPORT : ERR_SCRIPT, "%s", error->message);
    hook_finish(h, &e, error->http);
}

static int prepare_hook(lua_State *L, void *arg)
{
    struct hook_run *h = arg;
    lua_rawgeti(L, LUA_REGISTRYINDEX, h->handlers->v[h->at].ref);
    return 0;
}

static void next_hook(void *arg)
{
    struct hook_run *h = arg;
    struct err e = {0};
    if (h->at >= h->handlers->n) {
        hook_finish(h, NULL, false);
        return;
    }
    struct task_opts o = {
        .what = h->what,
        .cpu_limit_s = h->vm->o.cpu_limit_s,
        .event = h->event,
        .prepare = prepare_hook,
        .prepare_arg = h,
        .done = on_hook_done,
        .arg = h,
    };
    struct task *t = task_start(h->vm, &o, &e);
    h->at++;
    if (!t)
        hook_finish(h, &e, false);
}

static void hook(void *arg, enum source_hook which, struct event *ev,
                 void (*done)(void *done_arg, const struct err *e, bool http_error), void *done_arg)
{
    struct vm *v = arg;
    struct hook_run *h = xcalloc(1, sizeof(*h));
    bool starting = which == SOURCE_RESYNC_START;
    *h = (struct hook_run){
        .vm = v,
        .handlers = starting ? &v->on_resync_start : &v->on_resync_complete,
        .what = starting ? "on_resync_start" : "on_resync_complete",
        .event = event_ref(ev),
        .done = done,
        .arg = done_arg,
    };
    vm_defer(v, next_hook, hook_free, h); /* done never runs inside this call */
}

/* -------------------------------------------------------------------------------------------------------- */

void source_evidence(struct run *r, enum evidence e)
{
    if (!r)
        return;
    if (e == EVIDENCE_REQUEST)
        r->report.http_requests++;
    else if (e == EVIDENCE_2XX)
        r->report.answers_2xx++;
    else
        r->report.ignored_statuses++;
}

void source_taint(struct run *r, const char *message)
{
    if (!r || r->cancelled)
        return;
    for (size_t i = 0; i < r->ntaints; i++)
        if (strcmp(r->taints[i], message) == 0)
            return;
    if (r->ntaints == TAINTS_MAX)
        return;
    r->taints = xrealloc(r->taints, (r->ntaints + 1) * sizeof(*r->taints));
    r->taints[r->ntaints++] = xstrdup(message);
}

void source_repaired(lua_State *L, enum repair what)
{
    char where[LUA_IDSIZE + 16];
    struct task *t = vm_of(L)->current;
    struct run *r = t ? t->run : NULL;
    if (r && (r->repaired & what))
        return;
    if (r)
        r->repaired |= what;
    error_position(L, where, sizeof(where));
    log_warn("%s%s%s of %s was not valid UTF-8 and is repaired: what could not be read became U+FFFD", where,
             where[0] ? ": " : "", what == REPAIR_SCRIPT ? "text" : "an answer",
             what == REPAIR_SCRIPT ? "the script" : "the third party");
}

const struct mapping_resource *source_resource(const struct run *r) { return r ? r->resource : NULL; }

void source_init(struct vm *v)
{
    v->source = (struct source){
        .arg = v,
        .has_handler = has_handler,
        .kinds = kinds,
        .hook = hook,
        .start = start,
        .cancel = cancel,
    };
}

void source_free(struct vm *v)
{
    while (v->runs)
        run_free(v->runs);
}

void source_open(lua_State *L, int internals)
{
    lua_pushcfunction(L, returned);
    lua_setfield(L, internals, "returned");
}
