/* The Lua state: allocator with a cap that counts documents too, protected entry from C, loading, start handlers.
 *
 * Memory: Lua's own bytes plus the bytes of JSON documents and response bodies that scripts hold may not exceed the
 * limit. A refused request makes Lua collect everything and ask again; refused twice it raises in the script. While an
 * error is reported some slack is granted, so that a traceback of a full heap can still be made.
 *
 * Order of the end: tasks (their I/O stops), runs, the state (collects everything that points to documents and
 * clients), then connection pools, then what is left. */
#include "script/vm.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "script/api.h"
#include "script/convert.h"
#include "script/coro.h"
#include "script/jsonval.h"
#include "script/limit.h"
#include "script/op.h"
#include "script/source.h"
#include "script/watchdog.h"

#define LOG_GROUP "script"
#define FEED_BYTES (32u << 10)

/* Memory ------------------------------------------------------------------------------------------------- */

static bool over(const struct vm *v, size_t more)
{
    return v->o.memory_limit && v->lua_bytes + v->doc_bytes + more > v->o.memory_limit + v->slack;
}

/* Documents are freed by finalizers, which Lua's emergency collection does not run. So what documents take from the
 * limit refuses nothing at once: a quarter is granted and the hook collects at the next instruction (limit.c). */
static bool over_hard(const struct vm *v, size_t more)
{
    size_t limit = v->o.memory_limit;
    if (!limit)
        return false;
    return v->lua_bytes + more > limit + v->slack || v->lua_bytes + v->doc_bytes + more > limit + limit / 4 + v->slack;
}

bool vm_collect(struct vm *v, lua_State *L)
{
    v->collect = false;
    lua_gc(L, LUA_GCCOLLECT);
    return !over(v, 0);
}

bool vm_is_hungry(const struct vm *v) { return v->o.memory_limit && over(v, v->o.memory_limit / 2); }

static void *allocate(void *ud, void *ptr, size_t osize, size_t nsize)
{
    struct vm *v = ud;
    size_t old = ptr ? osize : 0;
    if (nsize == 0) {
        v->lua_bytes -= old;
        free(ptr);
        return NULL;
    }
    if (nsize > old && over_hard(v, nsize - old)) {
        if (v->refused == nsize && v->current) { /* the second time: after a full collection */
            v->out_of_memory = true;
            limit_arm_running();
        }
        v->refused = v->refused == nsize ? 0 : nsize;
        return NULL;
    }
    if (nsize > old) {
        v->refused = 0;
        if (v->current && !v->collect && over(v, nsize - old)) {
            v->collect = true;
            limit_arm_running();
        }
    }
    void *p = realloc(ptr, nsize);
    if (p)
        v->lua_bytes += nsize - old;
    return p ? p : nsize <= old ? ptr : NULL;
}

void vm_charge(lua_State *L, size_t bytes)
{
    struct vm *v = vm_of(L);
    v->doc_bytes += bytes;
    v->unfed += bytes;
    if (v->unfed >= FEED_BYTES) { /* a step costs something even for a small document */
        int kib = (int)(v->unfed >> 10);
        v->unfed = 0;
        lua_gc(L, LUA_GCSTEP, kib);
    }
    if (!over(v, 0))
        return;
    lua_gc(L, LUA_GCCOLLECT);
    if (!over(v, 0))
        return;
    v->doc_bytes -= bytes;
    error_raise(
        L, "memory",
        "not enough memory: a document of %zu KiB does not fit, the script and its documents are at the limit of "
        "%zu MiB (--lua-memory); hand batches over with ocean.yield and keep no handle of them",
        bytes >> 10, v->o.memory_limit >> 20);
}

void vm_discharge(struct vm *v, size_t bytes) { v->doc_bytes -= bytes < v->doc_bytes ? bytes : v->doc_bytes; }

/* Deferred calls ----------------------------------------------------------------------------------------- */

/* Known to the vm while they are under way: one that runs after vm_free only frees itself. */
struct deferred {
    struct deferred *prev, *next;
    struct vm *vm;
    loop_fn fn, drop;
    void *arg;
};

static void run_deferred(void *arg)
{
    struct deferred d = *(struct deferred *)arg;
    if (d.vm) {
        *(d.prev ? &d.prev->next : &d.vm->deferred) = d.next;
        if (d.next)
            d.next->prev = d.prev;
    }
    free(arg);
    if (d.vm)
        d.fn(d.arg);
}

void vm_defer(struct vm *v, loop_fn fn, loop_fn drop, void *arg)
{
    struct deferred *d = xmalloc(sizeof(*d));
    *d = (struct deferred){.next = v->deferred, .vm = v, .fn = fn, .drop = drop, .arg = arg};
    if (v->deferred)
        v->deferred->prev = d;
    v->deferred = d;
    loop_defer(v->o.loop, run_deferred, d);
}

static void drop_deferred(struct vm *v)
{
    for (struct deferred *d = v->deferred; d; d = d->next) {
        d->vm = NULL;
        if (d->drop)
            d->drop(d->arg);
    }
    v->deferred = NULL;
}

/* Kept things -------------------------------------------------------------------------------------------- */

struct keep *vm_keep(struct vm *v, void (*release)(void *what), void *what)
{
    struct keep *k = xmalloc(sizeof(*k));
    *k = (struct keep){.next = v->kept, .vm = v, .release = release, .what = what};
    if (v->kept)
        v->kept->prev = k;
    v->kept = k;
    return k;
}

void vm_release(struct keep *k)
{
    if (!k)
        return;
    *(k->prev ? &k->prev->next : &k->vm->kept) = k->next;
    if (k->next)
        k->next->prev = k->prev;
    if (k->what)
        k->release(k->what);
    free(k);
}

/* Protected entry ---------------------------------------------------------------------------------------- */

struct protect {
    int (*fn)(lua_State *L, void *arg);
    void *arg;
};

static int call_protected(lua_State *L)
{
    struct protect *p = lua_touserdata(L, 1);
    lua_settop(L, 0);
    return p->fn(L, p->arg);
}

int vm_protect(struct vm *v, int (*fn)(lua_State *L, void *arg), void *arg, struct err *e)
{
    struct protect p = {fn, arg};
    int top = lua_gettop(v->L);
    lua_pushcfunction(v->L, call_protected);
    lua_pushlightuserdata(v->L, &p);
    int status = lua_pcall(v->L, 1, 0, 0);
    int rc = 0;
    if (status != LUA_OK) {
        const char *text = lua_type(v->L, -1) == LUA_TSTRING ? lua_tostring(v->L, -1) : "an error without text";
        if (lua_istable(v->L, -1)) {
            lua_pushliteral(v->L, "message");
            lua_rawget(v->L, -2);
            text = lua_type(v->L, -1) == LUA_TSTRING ? lua_tostring(v->L, -1) : text;
        }
        rc = ERR(e, status == LUA_ERRMEM ? ERR_LIMIT : ERR_SCRIPT, "%s", text);
    }
    lua_settop(v->L, top);
    return rc;
}

static int panic(lua_State *L)
{
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "no text";
    log_error("an error left Lua unprotected, which is a mistake of the runtime: %s", text);
    abort();
}

/* Life --------------------------------------------------------------------------------------------------- */

static int boot(lua_State *L, void *arg)
{
    (void)arg;
    luaL_checkstack(L, 40, NULL);
    libs_open(L);
    error_open(L);
    coro_open(L);
    op_open(L);
    coro_name_blockers(L);
    jsonval_open(L);
    convert_open(L);
    api_open(L);
    return 0;
}

struct vm *vm_new(const struct vm_opts *o, struct err *e)
{
    struct vm *v = xcalloc(1, sizeof(*v));
    v->o = *o;
    v->ready_end = &v->ready;
    v->drive_ref = LUA_NOREF;
    if (limit_start(e) < 0) {
        free(v);
        return NULL;
    }
    watchdog_start();
    source_init(v);
    v->L = lua_newstate(allocate, v);
    if (!v->L) {
        ERR(e, ERR_LIMIT, "no memory for a Lua state: the limit of %zu bytes is too small", o->memory_limit);
        vm_free(v);
        return NULL;
    }
    *(uintptr_t *)lua_getextraspace(v->L) = (uintptr_t)v;
    lua_atpanic(v->L, panic);
    if (vm_protect(v, boot, NULL, e) < 0) {
        err_wrap(e, "cannot start Lua (memory limit %zu MiB)", o->memory_limit >> 20);
        vm_free(v);
        return NULL;
    }
    return v;
}

static void handlers_free(struct handlers *h)
{
    for (size_t i = 0; i < h->n; i++)
        free(h->v[i].kind);
    free(h->v);
}

void vm_free(struct vm *v)
{
    if (!v)
        return;
    v->closing = true;
    task_close_all(v);
    drop_deferred(v);
    source_free(v);
    if (v->L)
        lua_close(v->L);
    while (v->kept)
        vm_release(v->kept);
    task_drainer_free(v);
    api_free(v);
    handlers_free(&v->on_resync);
    handlers_free(&v->on_start);
    handlers_free(&v->on_resync_start);
    handlers_free(&v->on_resync_complete);
    json_unref(v->config);
    watchdog_stop();
    limit_stop();
    free(v->script);
    free(v);
}

/* The main chunk ----------------------------------------------------------------------------------------- */

struct load {
    struct vm *vm;
    const char *path;
    void (*done)(void *arg, const struct err *e);
    void *arg;
};

/* A shell's "#!" line is skipped by luaL_loadfilex, bytecode refused by mode "t". */
static int prepare_chunk(lua_State *L, void *arg)
{
    struct load *k = arg;
    libs_set_path(L, k->path);
    if (luaL_loadfilex(L, k->path, "t") != LUA_OK)
        return lua_error(L);
    return 0;
}

static void on_chunk(void *arg, const struct failure *error)
{
    struct load k = *(struct load *)arg;
    struct err e = {0};
    free(arg);
    if (k.vm->closing)
        return;
    if (error) {
        ERR(&e, ERR_SCRIPT, "%s", error->message);
        if (error->traceback[0]) /* the message is the caller's to log */
            log_error("%s", error->traceback);
    } else {
        k.vm->loaded = true;
    }
    k.done(k.arg, error ? &e : NULL);
}

struct load_failure {
    struct load load;
    struct err e;
};

static void on_load_failed(void *arg)
{
    struct load_failure f = *(struct load_failure *)arg;
    free(arg);
    f.load.done(f.load.arg, &f.e);
}

void vm_load(struct vm *v, const char *path, void (*done)(void *arg, const struct err *e), void *arg)
{
    struct load *k = xmalloc(sizeof(*k));
    struct err e = {0};
    free(v->script);
    v->script = xstrdup(path);
    *k = (struct load){v, v->script, done, arg};
    struct task_opts o = {
        .what = "script",
        .cpu_limit_s = v->o.cpu_limit_s,
        .prepare = prepare_chunk,
        .prepare_arg = k,
        .done = on_chunk,
        .arg = k,
    };
    if (task_start(v, &o, &e))
        return;
    struct load_failure *f = xmalloc(sizeof(*f));
    *f = (struct load_failure){*k, e};
    free(k);
    vm_defer(v, on_load_failed, free, f);
}

/* Start handlers ----------------------------------------------------------------------------------------- */

struct start {
    struct vm *vm;
    struct handler *handler;
    char *where;
};

static int prepare_start(lua_State *L, void *arg)
{
    struct start *s = arg;
    lua_rawgeti(L, LUA_REGISTRYINDEX, s->handler->ref);
    return 0;
}

static void on_started(void *arg, const struct failure *error)
{
    struct start *s = arg;
    if (error && !s->vm->closing)
        log_error("Error in start event listeners: on_start handler at %s: %s\n%s", s->where, error->message,
                  error->traceback);
    free(s->where);
    free(s);
}

void vm_start(struct vm *v, struct event *ev)
{
    for (size_t i = 0; i < v->on_start.n; i++) {
        struct err e = {0};
        struct start *s = xmalloc(sizeof(*s));
        *s = (struct start){v, &v->on_start.v[i], xstrdup(v->on_start.v[i].where)};
        struct task_opts o = {
            .what = "on_start handler",
            .cpu_limit_s = v->o.cpu_limit_s,
            .event = ev,
            .prepare = prepare_start,
            .prepare_arg = s,
            .done = on_started,
            .arg = s,
        };
        if (!task_start(v, &o, &e)) {
            log_error("Error in start event listeners: %s", e.msg);
            free(s->where);
            free(s);
        }
    }
}

void vm_connect(struct vm *v, struct engine *e, struct runner *r)
{
    v->engine = e;
    v->runner = r;
}

bool vm_has_resync(const struct vm *v) { return v->on_resync.n > 0; }

const struct source *vm_source(struct vm *v) { return &v->source; }
