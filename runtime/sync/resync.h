/* resync.h: one full resync from mapping to deletion (sync section 4, design.md section 6).
 *
 * Loop thread. resync_start returns at once; `done` runs exactly once, also after resync_abort, and the resync is gone
 * when it returns. What is wrong with the run itself comes in the report: a kind in `kinds` that the mapping does not
 * have gives `failed`, a message that lists the kinds, and exit code 2. One at a time
 * (listen/runner). */
#pragma once
#include "sync/engine.h"
#include "sync/event.h"

struct resync;
struct preview_opts;

struct resync_opts {
    struct engine *engine;
    enum event_trigger trigger;
    struct event *parent;
    /* Only these kinds; nothing is deleted (design.md section 9 item 17). */
    const char *const *kinds;
    size_t nkinds;
    /* First resync of the process only. */
    const char *const *allow_empty;
    size_t nallow_empty;
    double max_shrink_percent; /* < 0: from settings */
    /* Make a plan, and carry it out if that was accepted before (preview.h); NULL: no plan. Must outlive the resync. */
    const struct preview_opts *preview;
};

struct resource_error {
    char *message, *where;
    size_t count;
};
/* Names and equations of the summary object: design.md section 8. */
struct resource_report {
    char *kind;
    int index;
    enum { RES_PENDING, RES_RUNNING, RES_COMPLETED, RES_FAILED, RES_ABORTED } state;
    size_t extracted, filtered, unmappable, mapped;
    size_t created, updated, unchanged, rejected, duplicates, unmatched;
    struct resource_error *errors;
    size_t nerrors;
    size_t held_back;
};
struct resync_report {
    bool ok;
    bool failed; /* the run as a whole failed: mapping unreadable, listing failed ... */
    bool aborted;
    bool planned;      /* a plan was made and written, nothing else */
    bool plan_refused; /* it is not the one that was accepted */
    char *failure; /* message when failed */
    int exit_code; /* design.md section 8 */
    struct resource_report *resources;
    size_t n;
    size_t deleted, held_back, requests;
    double seconds;
    char event_id[37];
};

struct resync *resync_start(const struct resync_opts *o, void (*progress)(void *arg, const struct resync_report *r),
                            void (*done)(void *arg, const struct resync_report *r), void *arg);
/* S-48. done still runs, with aborted set. */
void resync_abort(struct resync *r);
void resync_report_write(const struct resync_report *r, struct buf *json_out);
