/* worker.c: pure jobs on libuv's thread pool.
 *
 * libuv's pool is shared by everything that uses it and takes jobs in order, so this file keeps its own list and hands
 * over only so many that at least two threads stay free. A finished job makes room for the next one on the loop
 * thread, before its `done` runs. */
#include "io/worker.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/loop_priv.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LOG_GROUP "io.worker"
#define POOL_DEFAULT 4 /* libuv's own */
#define POOL_LIMIT 1024

struct worker_node {
    uv_work_t work;
    struct worker_node *next;
    struct loop *loop;
    struct worker_job *job;
};

/* Size named by the environment, 0 if none. */
static int64_t pool_from_env(void)
{
    int64_t n = 0;
    const char *v = getenv("UV_THREADPOOL_SIZE");
    return v && str_int64(str_of(v), &n) && n >= 1 && n <= POOL_LIMIT ? n : 0;
}

void worker_pool_setup(int threads)
{
    if (threads <= 0) {
        if (pool_from_env())
            return;
        long cpus = sysconf(_SC_NPROCESSORS_ONLN);
        threads = (int)(cpus < 1 ? 1 : cpus) + 2;
        threads = threads < 4 ? 4 : threads > 32 ? 32 : threads;
    }
    char text[16];
    snprintf(text, sizeof(text), "%d", threads > POOL_LIMIT ? POOL_LIMIT : threads);
    setenv("UV_THREADPOOL_SIZE", text, 1);
}

static struct worker_queue *queue_of(struct loop *l)
{
    struct worker_queue **slot = loop_worker_slot(l);
    if (!*slot) {
        int64_t n = pool_from_env();
        if (!n)
            n = POOL_DEFAULT;
        *slot = xcalloc(1, sizeof(**slot));
        (*slot)->max_running = n > 3 ? (unsigned)n - 2 : 1;
    }
    return *slot;
}

static void start_next(struct loop *l, struct worker_queue *q);

static void on_run(uv_work_t *w)
{
    struct worker_job *job = ((struct worker_node *)w)->job;
    job->run(job);
}

static void on_done(uv_work_t *w, int status)
{
    struct worker_node *n = (struct worker_node *)w;
    struct worker_job *job = n->job;
    struct worker_queue *q = queue_of(n->loop);
    (void)status; /* we never cancel at libuv: `run` always ran */
    q->running--;
    start_next(n->loop, q);
    free(n);
    job->internal = NULL;
    job->done(job);
}

static void start_next(struct loop *l, struct worker_queue *q)
{
    while (q->head && q->running < q->max_running) {
        struct worker_node *n = q->head;
        q->head = n->next;
        if (!q->head)
            q->tail = NULL;
        q->running++;
        uv_queue_work(loop_uv(l), &n->work, on_run, on_done); /* fails only without a callback */
    }
}

void worker_submit(struct loop *l, struct worker_job *job)
{
    struct worker_queue *q = queue_of(l);
    struct worker_node *n = xcalloc(1, sizeof(*n));
    n->loop = l;
    n->job = job;
    job->internal = n;
    if (q->tail)
        q->tail->next = n;
    else
        q->head = n;
    q->tail = n;
    start_next(l, q);
}

void worker_cancel(struct worker_job *job) { atomic_store(&job->cancelled, true); }
