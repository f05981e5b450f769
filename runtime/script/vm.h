/* vm.h: a Lua state with the ocean library, one script, and the tasks its handlers run in.
 *
 * The only header of script/ that others include. Implements struct source. Loop thread. */
#pragma once
#include "config/definition.h"
#include "config/settings.h"
#include "io/loop.h"
#include "sync/source.h"

struct vm;
struct engine;
struct runner;

struct vm_opts {
    struct loop *loop;
    const struct settings *settings;
    struct definition *definition; /* ocean.define adds to it */
    size_t memory_limit;           /* bytes, documents included */
    double cpu_limit_s;            /* per handler between waits */
    bool json_output;              /* print goes to stderr */
};

struct vm *vm_new(const struct vm_opts *o, struct err *e);
/* Closes tasks; nothing calls back afterwards, and no sink may call `room` any more. Not from inside a callback of the
 * vm. */
void vm_free(struct vm *v);

/* Runs the main chunk as a task (it may wait). done with e NULL: loaded. Syntax and runtime errors carry file and line.
 */
void vm_load(struct vm *v, const char *path, void (*done)(void *arg, const struct err *e), void *arg);
/* From now on handlers may sync and ask for resyncs; both outlive the vm. Before, such calls raise. */
void vm_connect(struct vm *v, struct engine *e, struct runner *r);
/* Handlers of on_start: run side by side, errors are logged (runtime R-4). */
void vm_start(struct vm *v, struct event *ev);
/* Serves a request of {prefix}/integration: path is what follows that. Answers it, now or later. */
struct http_call;
void vm_http(struct vm *v, struct http_call *call, struct str path);
/* Appends the routes as a page for people, or as an OpenAPI document. */
void vm_describe_routes(const struct vm *v, const char *prefix, bool json, struct buf *out);
bool vm_has_resync(const struct vm *v);
const struct source *vm_source(struct vm *v);
