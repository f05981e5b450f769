/* At most one resync runs and one waits. The waiting one begins when the running one is gone, so two never share the
 * lists in the state file, the caches or the state shown in Port. */
#define LOG_GROUP "listen.runner"
#include "listen/runner.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"

struct request {
    struct request *next; /* in `dropped` */
    enum event_trigger trigger;
    struct event *parent;
    runner_done_fn done;
    void *arg;
};

struct runner {
    struct runner_opts o;
    struct resync *resync; /* under way, or NULL */
    struct request running;
    struct request waiting;
    bool has_waiting;
    struct request *dropped; /* they never began; told by the next step */
    bool first_over, stopped, deferred;
    void (*on_stopped)(void *arg);
    void *stop_arg;
};

static void step_soon(struct runner *r);

struct runner *runner_new(const struct runner_opts *o)
{
    struct runner *r = xcalloc(1, sizeof(*r));
    r->o = *o;
    return r;
}

static void settle(struct request *q, const struct resync_report *report)
{
    struct request mine = *q;
    *q = (struct request){0};
    event_unref(mine.parent);
    if (mine.done)
        mine.done(mine.arg, report);
}

static void drop(struct runner *r, const struct request *q)
{
    struct request *copy = xmalloc(sizeof(*copy));
    *copy = *q;
    copy->next = r->dropped;
    r->dropped = copy;
    step_soon(r);
}

static void tell_dropped(struct runner *r)
{
    struct request *list = r->dropped;
    r->dropped = NULL;
    while (list) {
        struct request *next = list->next;
        settle(list, NULL);
        free(list);
        list = next;
    }
}

static void on_progress(void *arg, const struct resync_report *report)
{
    struct runner *r = arg;
    if (r->o.progress)
        r->o.progress(r->o.arg, report);
}

static void on_done(void *arg, const struct resync_report *report)
{
    struct runner *r = arg;
    r->resync = NULL;
    r->first_over = true;
    if (r->o.ended)
        r->o.ended(r->o.arg, report);
    settle(&r->running, report);
    step_soon(r);
}

static void begin(struct runner *r)
{
    struct resync_opts o = {
        .engine = r->o.engine,
        .trigger = r->waiting.trigger,
        .parent = r->waiting.parent,
        .kinds = r->o.kinds,
        .nkinds = r->o.nkinds,
        .max_shrink_percent = -1,
    };
    if (!r->first_over) {
        o.allow_empty = r->o.allow_empty;
        o.nallow_empty = r->o.nallow_empty;
        o.max_shrink_percent = r->o.max_shrink_percent;
        o.preview = r->o.preview;
    }
    r->running = r->waiting;
    r->waiting = (struct request){0};
    r->has_waiting = false;
    if (r->o.begun)
        r->o.begun(r->o.arg);
    r->resync = resync_start(&o, on_progress, on_done, r);
}

static void step(void *arg)
{
    struct runner *r = arg;
    r->deferred = false;
    tell_dropped(r);
    if (r->resync)
        return;
    if (r->stopped) {
        void (*done)(void *) = r->on_stopped;
        r->on_stopped = NULL;
        if (done)
            done(r->stop_arg);
    } else if (r->has_waiting) {
        begin(r);
    }
}

static void step_soon(struct runner *r)
{
    if (r->deferred)
        return;
    r->deferred = true;
    loop_defer(r->o.engine->loop, step, r);
}

void runner_start(struct runner *r, const struct runner_request *q, runner_done_fn done, void *arg)
{
    struct request mine = {NULL, q->trigger, q->parent ? event_ref(q->parent) : NULL, done, arg};
    if (r->stopped) {
        drop(r, &mine);
        return;
    }
    if (r->has_waiting)
        drop(r, &r->waiting);
    else if (r->resync)
        log_info("a resync asked for by %s replaces the one that runs", q->why);
    r->waiting = mine;
    r->has_waiting = true;
    if (r->resync)
        resync_abort(r->resync);
    else
        step_soon(r);
}

static void forget(struct request *q, runner_done_fn done, void *arg)
{
    if (q->done == done && q->arg == arg)
        q->done = NULL;
}

void runner_forget(struct runner *r, runner_done_fn done, void *arg)
{
    forget(&r->running, done, arg);
    forget(&r->waiting, done, arg);
    for (struct request *q = r->dropped; q; q = q->next)
        forget(q, done, arg);
}

bool runner_busy(const struct runner *r) { return r->resync || r->has_waiting; }

void runner_stop(struct runner *r, void (*done)(void *arg), void *arg)
{
    r->stopped = true;
    if (r->has_waiting)
        drop(r, &r->waiting);
    r->has_waiting = false;
    r->waiting = (struct request){0};
    r->on_stopped = done;
    r->stop_arg = arg;
    if (r->resync)
        resync_abort(r->resync);
    step_soon(r);
}

void runner_free(struct runner *r)
{
    if (!r)
        return;
    if (r->deferred)
        loop_forget(r->o.engine->loop, step, r);
    while (r->dropped) {
        struct request *next = r->dropped->next;
        event_unref(r->dropped->parent);
        free(r->dropped);
        r->dropped = next;
    }
    event_unref(r->running.parent);
    event_unref(r->waiting.parent);
    free(r);
}
