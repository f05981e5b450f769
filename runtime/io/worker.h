/* worker.h: pure jobs on libuv's thread pool.
 *
 * A job owns its input and output; `run` executes on a pool thread, `done` on the loop thread exactly once, also
 * after worker_cancel. At most pool size - 2 (at least 1) jobs run at a time; the rest queue in order. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include "io/loop.h"

struct worker_job {
    void (*run)(struct worker_job *job);                 /* pool thread */
    void (*done)(struct worker_job *job);                /* loop thread */
    atomic_bool cancelled;                               /* run should look at it now and then */
    void *internal;
};

/* Sets the pool size (UV_THREADPOOL_SIZE) before first use; call once from main, while it has one thread. 0: what
 * that variable says, else cpu count + 2, 4 to 32. */
void worker_pool_setup(int threads);
void worker_submit(struct loop *l, struct worker_job *job);
/* Sets the flag; `run` (also of a job still queued) and `done` still run. Any thread. */
void worker_cancel(struct worker_job *job);
