/* runner.h: the one full resync of a process: begins it, lets a newer one replace it, stops it (sync S-9, S-48 to S-51;
 * runtime ).
 *
 * Whatever starts resyncs (a listener, the schedule, a script) asks here. Loop thread; callbacks never run inside the
 * call that caused them. */
#pragma once
#include "sync/resync.h"

struct runner;

struct runner_opts {
    struct engine *engine;
    const char *const *kinds; /* only these, in every resync of the process; nothing is deleted */
    size_t nkinds;
    /* These hold for the first resync of the process only (design.md section 6). */
    const char *const *allow_empty;
    size_t nallow_empty;
    double max_shrink_percent; /* < 0: from settings */
    const struct preview_opts *preview; /* NULL: no plan */
    /* What every resync tells, whoever asked for it; any may be NULL. */
    void (*begun)(void *arg);
    void (*progress)(void *arg, const struct resync_report *r);
    void (*ended)(void *arg, const struct resync_report *r);
    void *arg;
};

/* Copies the options; the lists must outlive it. */
struct runner *runner_new(const struct runner_opts *o);
/* Only when nothing runs, or when the loop will not turn again: a resync under way is left behind. NULL allowed. */
void runner_free(struct runner *r);

struct runner_request {
    enum event_trigger trigger;
    struct event *parent; /* NULL allowed; a reference is made */
    const char *why;      /* for the log: "the schedule", "a request in Port" */
};
/* report NULL: it never began, because a newer request took its place or the runner was stopped. */
typedef void (*runner_done_fn)(void *arg, const struct resync_report *report);

/* Begins a resync. One that runs is aborted first, and this one begins when it has unwound and has reported itself
 * aborted; one that waits for its turn is replaced. done may be NULL. */
void runner_start(struct runner *r, const struct runner_request *q, runner_done_fn done, void *arg);
/* The request with this done and arg is not interested any more; the resync goes on. */
void runner_forget(struct runner *r, runner_done_fn done, void *arg);
bool runner_busy(const struct runner *r);
/* Nothing begins any more and what runs is aborted; done runs once, later, when it has unwound. */
void runner_stop(struct runner *r, void (*done)(void *arg), void *arg);
