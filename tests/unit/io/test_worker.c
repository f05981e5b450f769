/* test_worker.c: jobs run off the loop, finish on it exactly once, and never take the whole pool. */
#include "unit/io/loopback.h"

#include "io/worker.h"

#define JOBS 200

static struct loop *loop;
static atomic_int now_running, most_running;
static int finished, order[JOBS];

struct square {
    struct worker_job job;
    int n, result, done;
    bool on_loop;
};

static void run(struct worker_job *job)
{
    struct square *s = (struct square *)job;
    s->on_loop = loop_is_thread(loop);
    int n = atomic_fetch_add(&now_running, 1) + 1, most = atomic_load(&most_running);
    while (n > most && !atomic_compare_exchange_weak(&most_running, &most, n))
        ;
    if (!atomic_load(&job->cancelled))
        s->result = s->n * s->n;
    atomic_fetch_sub(&now_running, 1);
}

static void done(struct worker_job *job)
{
    struct square *s = (struct square *)job;
    assert_true(loop_is_thread(loop));
    assert_false(s->on_loop);
    s->done++;
    order[finished++] = s->n;
}

static void test_jobs(void **state)
{
    static struct square jobs[JOBS];
    (void)state;
    loop = loop_new();
    for (int i = 0; i < JOBS; i++) {
        jobs[i] = (struct square){.job = {.run = run, .done = done}, .n = i};
        worker_submit(loop, &jobs[i].job);
    }
    for (int i = 100; i < JOBS; i++)
        worker_cancel(&jobs[i].job); /* still in the queue */
    loop_run(loop);
    assert_int_equal(finished, JOBS);
    for (int i = 0; i < JOBS; i++) {
        assert_int_equal(jobs[i].done, 1);
        assert_int_equal(jobs[i].result, i < 100 ? i * i : 0);
    }
    assert_true(atomic_load(&most_running) <= 3); /* a pool of five */
    loop_free(loop);
}

static void test_loop_free_waits_for_jobs(void **state)
{
    static struct square jobs[20];
    (void)state;
    loop = loop_new();
    finished = 0;
    for (int i = 0; i < 20; i++) {
        jobs[i] = (struct square){.job = {.run = run, .done = done}, .n = i};
        worker_submit(loop, &jobs[i].job);
    }
    loop_free(loop);
    assert_int_equal(finished, 20);
}

int main(void)
{
    watchdog(60);
    worker_pool_setup(5);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_jobs), cmocka_unit_test(test_loop_free_waits_for_jobs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
