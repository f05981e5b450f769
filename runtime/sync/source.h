/* source.h: what a resync needs from whoever fetches: the seam between sync and script.
 *
 * sync knows no Lua: script implements struct source, tests implement a fake one. Loop thread.
 *
 * One run of a resource: sync calls start; the source pushes batches and reports errors and taints through the sink,
 * then calls sink->done exactly once, also after cancel. None of these calls back into the source synchronously except
 * `room`, which never runs from inside push.
 *
 * Batches pushed with from_list that follow each other become one batch (S-40). After `cancel` errors are not counted
 * any more, and what is pushed is dropped. A batch that is no list of objects is refused: the sink has recorded the
 * error; the source ends a handler after BAD_BATCHES_MAX of them in a row (design.md section 9 item 10). */
#pragma once
#include "base/err.h"
#include "config/mapping_doc.h"
#include "json/json.h"
#include <stdbool.h>

struct sink;

#define BAD_BATCHES_MAX 10

enum pushed {
    PUSHED,      /* there is room for more */
    PUSHED_FULL, /* wait until room(room_arg) runs before pushing the next one */
    PUSH_REFUSED /* no list of objects (S-42); nothing to wait for */
};

struct source_report { /* evidence about HTTP and emptiness, for the held-back rules (design.md section 6) */
    size_t answers_2xx;
    size_t ignored_statuses;
    size_t http_requests;
    bool explicit_empty; /* an empty list was handed over */
};

/* Implemented by sync (pipeline.h). */
struct sink_ops {
    /* Hands a raw batch over: an array of objects, or anything else a script produced. Takes the reference of `doc`;
     * `items` points into it. */
    enum pushed (*push)(struct sink *s, struct json_doc *doc, struct json items, bool from_list, void (*room)(void *),
                        void *room_arg);
    /* One error of this resource: a handler that raised (message with file, line). */
    void (*error)(struct sink *s, const char *where, const char *message);
    /* No deletion in this run, although nothing was raised to us. */
    void (*taint)(struct sink *s, const char *message);
    void (*done)(struct sink *s, const struct source_report *report);
};
struct sink {
    const struct sink_ops *ops;
};

enum source_hook { SOURCE_RESYNC_START, SOURCE_RESYNC_COMPLETE };

struct event;

struct source {
    void *arg;
    /* Kind-specific or wildcard handler present? */
    bool (*has_handler)(void *arg, struct str kind);
    /* Appends the kinds that have handlers, for messages. */
    void (*kinds)(void *arg, struct buf *out);
    /* Runs all handlers of the hook one after another. http_error tells S-35 from S-36. */
    void (*hook)(void *arg, enum source_hook h, struct event *ev,
                 void (*done)(void *done_arg, const struct err *e, bool http_error), void *done_arg);
    /* Starts the handlers of one resource; returns a handle for cancel. */
    void *(*start)(void *arg, struct event *ev, const struct mapping_resource *r, struct sink *sink);
    /* Cancels; sink->done still runs. */
    void (*cancel)(void *arg, void *run);
};
