/* state.h: the Lua state behind vm.h, shared by the files of script/ and by nobody else.
 *
 * Ownership: vm_new makes it, vm_free ends it; everything in it belongs to the vm.
 * Threads:   loop thread only. The signal handler and the watchdog see what limit.c shows them. */
#pragma once
#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "script/vm.h"
#include "sync/event.h"

#define LOG_GROUP_SCRIPT "script"

struct task;
struct http_client;
struct run;

/* Why a coroutine came back from lua_resume with LUA_YIELD. A field, never the yielded values, tells them apart. */
enum yield_kind {
    YIELD_VALUES, /* the script's own coroutine.yield */
    YIELD_OP,     /* op_wait: the whole task waits */
    YIELD_HOOK,   /* the slice is used up: the whole task goes on after one turn of the loop */
};

/* One lua_resume (or closing of a coroutine) on the C stack. */
struct nest {
    struct nest *up;
    lua_State *co, *from;
    bool open;         /* everything above this resume may yield */
    const char *place; /* set when this is no resume but a close; names it */
};

/* A function the script registered. */
struct handler {
    char *kind; /* NULL: every kind */
    int ref;    /* registry reference of the function */
    char where[LUA_IDSIZE + 16];
};
struct handlers {
    struct handler *v;
    size_t n;
};

/* A connection pool, shared by the clients whose transport options agree. */
struct pool {
    struct pool *next;
    struct http_client *client;
    bool insecure;
    int max_connections;
    char *proxy, *ca_file; /* NULL: not given */
};

/* Table of an event's attributes, kept while somebody else holds the event. */
struct attributes {
    struct attributes *next;
    struct event *event;
};

struct vm {
    struct vm_opts o;
    lua_State *L;
    char *script;
    /* memory (vm.c) */
    size_t lua_bytes, doc_bytes;
    size_t unfed;       /* document bytes the collector has not been told about */
    size_t slack;       /* granted beyond the limit while an error is being reported */
    size_t refused;     /* size of the last refused request, 0: none since */
    bool collect;       /* the hook is to collect: with its documents the script is over the limit */
    bool out_of_memory; /* refused even after a full collection */
    /* scheduler (task.c) */
    struct task *current; /* whose Lua runs now */
    struct task *tasks;
    struct task *ready, **ready_end;
    struct task *sliced; /* goes on before any other Lua runs */
    struct nest *nest;
    enum yield_kind yielded;
    struct drainer *drainer;
    bool closing;
    /* registrations (api_core.c) */
    struct handlers on_resync, on_start, on_resync_start, on_resync_complete;
    bool loaded;
    struct engine *engine; /* NULL before vm_connect */
    struct runner *runner;
    /* what the API keeps */
    struct json_doc *config;
    struct pool *pools;
    struct attributes *attributes;
    struct run *runs;
    struct deferred *deferred;
    struct keep *kept;
    struct source source;
    int respond_ref; /* lua/ocean/respond.lua: calls a route */
    struct routes *routes; /* api_router.c; NULL: none */
    int drive_ref; /* lua/ocean/drive.lua: calls a handler and hands its results over */
};

/* The vm of a Lua state. The low bits of a coroutine's extra space are flags. */
enum co_flag { CO_WAITING = 1, CO_TASK = 2 };
static inline struct vm *vm_of(lua_State *L)
{
    return (struct vm *)(*(uintptr_t *)lua_getextraspace(L) & ~(uintptr_t)7);
}
static inline bool co_has(lua_State *co, enum co_flag f) { return *(uintptr_t *)lua_getextraspace(co) & f; }
static inline void co_set(lua_State *co, enum co_flag f, bool on)
{
    uintptr_t *p = lua_getextraspace(co);
    *p = on ? *p | f : *p & ~(uintptr_t)f;
}

/* Runs fn on the main state in protected mode, for C that touches Lua outside a task. Returns 0 or a negative code with
 * the message in e. The stack is as before. */
int vm_protect(struct vm *v, int (*fn)(lua_State *L, void *arg), void *arg, struct err *e);

/* loop_defer, but after vm_free only drop(arg) has run (NULL: nothing). */
void vm_defer(struct vm *v, loop_fn fn, loop_fn drop, void *arg);

/* What a userdata owns outside Lua's heap. Lua runs a finalizer in its own memory, so at the limit it may fail to; what
 * was kept is then released with the vm instead of leaking. vm_release runs release(what) unless what is NULL. */
struct keep {
    struct keep *prev, *next;
    struct vm *vm;
    void (*release)(void *what);
    void *what;
};
struct keep *vm_keep(struct vm *v, void (*release)(void *what), void *what);
void vm_release(struct keep *k); /* NULL allowed */

/* Counts document bytes against the memory limit and feeds them to the collector; raises when they do not fit. */
void vm_charge(lua_State *L, size_t bytes);
void vm_discharge(struct vm *v, size_t bytes);
/* A full collection, finalizers included; false when memory is still over the limit. */
bool vm_collect(struct vm *v, lua_State *L);
/* More than half of the limit is in use. */
bool vm_is_hungry(const struct vm *v);

/* libs.c: the standard libraries, made safe. boot_*: called once, protected, on the main state. */
void libs_open(lua_State *L);
void libs_set_path(lua_State *L, const char *script); /* require looks beside the script first */
/* embed.c: runs the library's own Lua files; the ocean table and the internals lie at the given indices. */
void embed_open(lua_State *L, int ocean, int internals);
