/* Tasks started by tasks.
 *
 * struct spawned is the task object: a userdata, kept in the registry while its task runs and, if that failed, until
 * the parent is over or somebody has joined it. User value 1 holds what came out: a table with the results and their
 * number n, or the error value as it was raised (nothing when the task was closed or over a limit: then the error is
 * made of the report). Who waits is on a list (task:join, any number) or known to it (ocean.parallel).
 *
 * ocean.parallel is one op over n children. It is patient: when the task is cancelled its children are, and it goes on
 * waiting until they are over. The first failure cancels the others likewise; only when all are over it raises. So
 * nothing of the children runs any more when the call returns, however it does.
 *
 * Waiting in a circle would hang: task:join looks through everything its task waits for before it waits. */
#include "script/children.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "script/error.h"
#include "script/op.h"
#include "script/source.h"

#define LOG_GROUP "script.task"
#define SPAWNED_META "ocean.task"

struct gather_op;

struct spawned {
    struct vm *vm;
    struct task *task; /* NULL: it is over */
    int ref;
    bool failed, stopped, joined;
    bool raised; /* user value 1 is the error value */
    struct keep *report; /* of a failure */
    struct join_op *joiners;
    struct gather_op *gather;
    struct spawned *next_lost;
    char where[LUA_IDSIZE + 16]; /* the line that started it */
};

struct join_op {
    struct op op;
    struct spawned *of;
    struct join_op *next;
};

struct gather_op {
    struct op op;
    size_t left;
    struct spawned *first; /* that failed */
};

static void report_free(void *what)
{
    failure_done(what);
    free(what);
}

static struct failure *report_copy(const struct failure *f)
{
    struct failure *to = xmalloc(sizeof(*to));
    *to = *f;
    to->where = xstrdup(f->where);
    to->message = xstrdup(f->message);
    to->traceback = xstrdup(f->traceback);
    to->plain = f->plain ? xstrdup(f->plain) : NULL;
    return to;
}

static const struct failure *report_of(const struct spawned *s) { return s->report->what; }

static void let_go(struct spawned *s)
{
    int ref = s->ref;
    s->ref = LUA_NOREF;
    luaL_unref(s->vm->L, LUA_REGISTRYINDEX, ref); /* s may be collected from here on */
}

/* The end of a child ------------------------------------------------------------------------------------- */

/* What came out goes into user value 1. */
static void on_result(lua_State *L, lua_State *co, int n, bool ok, void *arg)
{
    struct spawned *s = arg;
    lua_rawgeti(L, LUA_REGISTRYINDEX, s->ref);
    s->raised = !ok && n > 0;
    if (!ok && n == 0)
        return;
    if (ok)
        lua_createtable(L, n, 1);
    int at = lua_gettop(L);
    if (!lua_checkstack(co, n))
        luaL_error(L, "too many results of a task");
    for (int i = 1; i <= n; i++) {
        lua_pushvalue(co, -n + i - 1);
        lua_xmove(co, L, 1);
        if (ok)
            lua_rawseti(L, at, i);
    }
    if (ok) {
        lua_pushinteger(L, n);
        lua_setfield(L, at, "n");
    }
    lua_setiuservalue(L, -2, 1);
}

static void log_lost(const struct spawned *s, const char *how)
{
    const struct failure *f = report_of(s);
    log_error("%s: %s%s%s", how, f->message, f->traceback[0] ? "\n" : "", f->traceback);
}

static void cancel_siblings(struct gather_op *g, const struct spawned *but)
{
    for (struct task *c = g->op.task->children, *next; c; c = next) {
        next = c->next_sibling;
        struct spawned *s = c->arg;
        if (s != but && s->gather == g)
            task_cancel(c);
    }
}

static void gather_child_over(struct gather_op *g, struct spawned *s)
{
    if (s->failed && !s->stopped && !g->first) {
        g->first = s;
        cancel_siblings(g, s);
    } else if (s->failed && !s->stopped) {
        log_lost(s, "another function of ocean.parallel failed while it was cancelled");
    }
    if (--g->left == 0)
        op_done(&g->op);
}

static void on_done(void *arg, const struct failure *error)
{
    struct spawned *s = arg;
    struct task *parent = s->task->parent;
    struct gather_op *g = s->gather;
    s->task = NULL;
    s->failed = error != NULL;
    s->stopped = error && error->stopped;
    if (error)
        s->report = vm_keep(s->vm, report_free, report_copy(error));
    if (error && error->killed) /* no pcall makes a stopped handler a complete one */
        source_taint(parent->run, error->message);
    for (struct join_op *j = s->joiners, *next; j; j = next) {
        next = j->next;
        j->next = NULL;
        op_done(&j->op);
    }
    s->joiners = NULL;
    if (s->failed && !s->stopped && !g) {
        struct spawned **end = &parent->lost;
        while (*end)
            end = &(*end)->next_lost;
        *end = s;
        return;
    }
    if (g)
        gather_child_over(g, s); /* which holds it on its stack */
    let_go(s);
}

/* The failure of a child becomes the task's own, its error value as well. */
static void adopt_failure(struct task *t, struct spawned *s)
{
    struct failure *f = report_copy(report_of(s));
    t->failure = *f;
    t->failed = true;
    free(f);
    struct spawned *own = t->parent ? t->arg : NULL;
    if (!own || !s->raised)
        return;
    lua_State *L = t->vm->L;
    lua_rawgeti(L, LUA_REGISTRYINDEX, own->ref);
    lua_rawgeti(L, LUA_REGISTRYINDEX, s->ref);
    lua_getiuservalue(L, -1, 1);
    lua_setiuservalue(L, -3, 1);
    lua_pop(L, 2);
    own->raised = true;
}

void children_take_lost(struct task *t)
{
    while (t->lost) {
        struct spawned *s = t->lost;
        t->lost = s->next_lost;
        s->next_lost = NULL;
        if (!s->joined && !t->failed) {
            adopt_failure(t, s);
        } else if (!s->joined) {
            char *how = xasprintf("a task started at %s failed as well, and nobody joined it", s->where);
            log_lost(s, how);
            free(how);
        }
        let_go(s);
    }
}

/* Starting ----------------------------------------------------------------------------------------------- */

/* Starts the function and the arguments above it, n in all; puts the task object in the function's place. */
static struct spawned *start(lua_State *L, const char *name, const char *what, int n)
{
    struct task *parent = vm_of(L)->current;
    if (!parent)
        error_misuse(L, "%s: no handler is running", name);
    if (parent->cancelled || parent->ending)
        error_raise(L, "cancelled", "%s: cancelled", name);
    if (parent->depth >= TASK_DEPTH_MAX)
        error_misuse(L, "%s: tasks that start tasks are nested deeper than %d levels; is this an endless recursion?",
                     name, TASK_DEPTH_MAX);
    luaL_checkstack(L, 6, NULL);
    struct spawned *s = lua_newuserdatauv(L, sizeof(*s), 1);
    memset(s, 0, sizeof(*s));
    s->vm = vm_of(L);
    s->ref = LUA_NOREF;
    luaL_setmetatable(L, SPAWNED_META);
    error_position(L, s->where, sizeof(s->where));
    lua_insert(L, -n - 1);
    struct task_opts o = {.what = what, .result = on_result, .done = on_done, .arg = s};
    lua_pushvalue(L, -n - 1);
    s->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    s->task = task_start_child(L, &o, n - 1);
    return s;
}

static struct spawned *check(lua_State *L, const char *name)
{
    struct spawned *s = luaL_testudata(L, 1, SPAWNED_META);
    if (!s)
        error_misuse(L, "%s: call it with a colon, on a task of ocean.spawn", name);
    return s;
}

/* ocean.spawn(fn, ...) -> task */
static int l_spawn(lua_State *L)
{
    if (!lua_isfunction(L, 1))
        return error_misuse(L, "ocean.spawn: the function must be a function, got %s", luaL_typename(L, 1));
    int n = lua_gettop(L);
    start(L, "ocean.spawn", "task of ocean.spawn", n);
    return 1;
}

/* Errors of children ------------------------------------------------------------------------------------- */

static const char *kind_of(const struct failure *f)
{
    return f->killed ? "limit" : f->cancelled ? "cancelled" : strstr(f->message, "not enough memory") ? "memory" : "error";
}

/* Raises what the child (userdata at idx) failed with, the value as it was; its traceback goes into our report. */
static int raise_failure(lua_State *L, int idx, const struct spawned *s)
{
    const struct failure *f = report_of(s);
    struct task *t = vm_of(L)->current;
    free(t->inner_message);
    free(t->inner_traceback);
    t->inner_message = xstrdup(f->message);
    t->inner_traceback = xstrdup(f->traceback);
    t->inner_link = "awaited from";
    if (s->raised) {
        lua_getiuservalue(L, idx, 1);
        return lua_error(L);
    }
    size_t skip = f->where[0] ? strlen(f->where) + 2 : 0;
    error_push(L, kind_of(f), "%s", strlen(f->message) > skip ? f->message + skip : f->message);
    lua_pushstring(L, f->where);
    lua_setfield(L, -2, "where");
    return lua_error(L);
}

/* task:join ---------------------------------------------------------------------------------------------- */

static void join_release(struct op *op)
{
    struct join_op *o = (struct join_op *)op;
    struct join_op **at = o->of ? &o->of->joiners : NULL;
    while (at && *at && *at != o)
        at = &(*at)->next;
    if (at && *at)
        *at = o->next;
    o->of = NULL;
}

static int join_end(lua_State *L, struct spawned *s)
{
    if (s->stopped)
        return error_raise(L, "cancelled", "task:join: the task was cancelled");
    s->joined = true;
    if (s->failed)
        return raise_failure(L, 1, s);
    lua_getiuservalue(L, 1, 1);
    int at = lua_gettop(L);
    lua_getfield(L, at, "n");
    int n = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
    luaL_checkstack(L, n, "too many results");
    for (int i = 1; i <= n; i++)
        lua_rawgeti(L, at, i);
    return n;
}

static int join_k(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    struct join_op *o = (struct join_op *)ctx;
    struct spawned *s = o->of;
    o->of = NULL;
    return join_end(L, s);
}

struct walk {
    struct task **v;
    size_t n, cap;
    unsigned mark;
};

static void walk_add(struct walk *w, struct task *t)
{
    if (!t || t->mark == w->mark)
        return;
    t->mark = w->mark;
    if (w->n == w->cap) {
        w->cap = w->cap ? w->cap * 2 : 16;
        w->v = xrealloc(w->v, w->cap * sizeof(*w->v));
    }
    w->v[w->n++] = t;
}

/* Does `from` wait for `to`, directly or not? A task waits for the tasks it started and for the one it joins. */
static bool waits_for(struct task *from, const struct task *to)
{
    static unsigned marks;
    struct walk w = {.mark = ++marks};
    bool found = false;
    walk_add(&w, from);
    while (w.n && !found) {
        struct task *t = w.v[--w.n];
        found = t == to;
        if (t->pending && t->pending->release == join_release)
            walk_add(&w, ((struct join_op *)t->pending)->of->task);
        for (struct task *c = t->children; c; c = c->next_sibling)
            walk_add(&w, c);
    }
    free(w.v);
    return found;
}

/* task:join() -> what the function returned; raises what it raised */
static int l_join(lua_State *L)
{
    struct spawned *s = check(L, "task:join");
    struct task *t = vm_of(L)->current;
    lua_settop(L, 1);
    if (!s->task)
        return join_end(L, s);
    if (s->task == t)
        return error_misuse(L, "task:join: a task cannot join itself");
    if (t && waits_for(s->task, t))
        return error_misuse(L, "task:join: that task (started at %s) waits for this one, so both would wait for ever",
                            s->where);
    struct join_op *o = op_push(L, "task:join", sizeof(*o), join_release);
    o->of = s;
    struct join_op **end = &s->joiners;
    while (*end)
        end = &(*end)->next;
    *end = o;
    return op_wait(L, &o->op, join_k);
}

/* task:cancel() */
static int l_cancel(lua_State *L)
{
    struct spawned *s = check(L, "task:cancel");
    if (s->task && s->task == vm_of(L)->current)
        return error_misuse(L, "task:cancel: a task cannot cancel itself; return, or raise an error");
    if (s->task)
        task_cancel(s->task);
    return 0;
}

static int spawned_tostring(lua_State *L)
{
    struct spawned *s = lua_touserdata(L, 1);
    lua_pushfstring(L, "task started at %s (%s)", s->where,
                    s->task ? "running" : s->stopped ? "cancelled" : s->failed ? "failed" : "done");
    return 1;
}

static int spawned_gc(lua_State *L)
{
    struct spawned *s = lua_touserdata(L, 1);
    vm_release(s->report);
    s->report = NULL;
    return 0;
}

/* ocean.parallel ----------------------------------------------------------------------------------------- */

/* Stopped from outside, or a child could not be started: those that run are cancelled; the task is over after them. */
static void gather_release(struct op *op)
{
    struct gather_op *g = (struct gather_op *)op;
    for (struct task *c = g->left ? op->task->children : NULL; c; c = c->next_sibling) {
        struct spawned *s = c->arg;
        if (s->gather != g)
            continue;
        s->gather = NULL;
        task_cancel(c);
    }
}

/* Stack: 1 the functions, 2 the op, 3 the task objects */
static int gather_k(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    struct gather_op *g = (struct gather_op *)ctx;
    if (g->op.task->cancelled)
        return error_raise(L, "cancelled", "%s: cancelled", g->op.name);
    lua_Integer n = (lua_Integer)lua_rawlen(L, 3);
    lua_createtable(L, (int)n, 0);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, 3, i);
        struct spawned *s = lua_touserdata(L, -1);
        if (s == g->first)
            return raise_failure(L, lua_gettop(L), s);
        if (!s->failed) {
            lua_getiuservalue(L, -1, 1);
            lua_rawgeti(L, -1, 1);
            lua_rawseti(L, 4, i);
            lua_pop(L, 1);
        }
        lua_pop(L, 1);
    }
    return 1;
}

/* internals.gather(functions, name) -> list of their first results. `name` is the function messages name. */
static int l_gather(lua_State *L)
{
    const char *name = luaL_checkstring(L, 2);
    lua_settop(L, 1);
    lua_Integer n = (lua_Integer)lua_rawlen(L, 1);
    struct gather_op *g = op_push(L, name, sizeof(*g), gather_release);
    g->op.patient = true;
    lua_createtable(L, (int)n, 0);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, 1, i);
        struct spawned *s = start(L, name, "function of ocean.parallel", 1);
        s->gather = g;
        s->joined = true;
        g->left++;
        lua_rawseti(L, 3, i);
    }
    if (n == 0)
        return 1;
    return op_wait(L, &g->op, gather_k);
}

/* internals.cancelled(): is the running task to end? */
static int l_cancelled(lua_State *L)
{
    struct task *t = vm_of(L)->current;
    lua_pushboolean(L, t && t->cancelled);
    return 1;
}

/* -------------------------------------------------------------------------------------------------------- */

void children_open(lua_State *L, int ocean, int internals)
{
    static const luaL_Reg methods[] = {{"join", l_join}, {"cancel", l_cancel}, {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__gc", spawned_gc}, {"__tostring", spawned_tostring}, {NULL, NULL}};
    luaL_newmetatable(L, SPAWNED_META);
    luaL_setfuncs(L, meta, 0);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pushliteral(L, SPAWNED_META);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
    lua_pushcfunction(L, l_gather);
    lua_setfield(L, internals, "gather");
    lua_pushcfunction(L, l_cancelled);
    lua_setfield(L, internals, "cancelled");
    lua_pushcfunction(L, l_spawn);
    lua_setfield(L, ocean, "spawn");
}
