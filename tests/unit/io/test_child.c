/* test_child.c: a child process (this test binary again, told by its argument): echo, deadline, crash, limits, calls
 * from a worker, and that it never outlives anybody. */
#include "unit/io/loopback.h"

#include "io/child.h"
#include "io/worker.h"
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* ---- the child's side ---- */

static int answer(void *arg, struct str request, struct buf *out)
{
    (void)arg;
    if (str_is(request, "sleep"))
        for (;;)
            pause();
    if (str_is(request, "crash"))
        raise(SIGSEGV);
    if (str_is(request, "exit"))
        _exit(7);
    if (str_is(request, "end"))
        return 3;
    if (str_is(request, "close")) {
        close(3);
        for (;;)
            pause();
    }
    if (str_is(request, "pid")) {
        buf_addf(out, "%d", (int)getpid());
    } else if (str_is(request, "env")) {
        buf_addf(out, "%s,%s", getenv("SHOWN") ? getenv("SHOWN") : "-", getenv("HOME") ? "home" : "-");
    } else if (str_is(request, "fds")) {
        for (int fd = 0; fd < 64; fd++)
            if (fcntl(fd, F_GETFD) >= 0)
                buf_addf(out, "%d ", fd);
    } else if (str_is(request, "memory")) {
        void *p = malloc((size_t)1 << 30);
        buf_adds(out, p ? "got it" : "refused");
        free(p);
    } else {
        buf_addstr(out, request);
    }
    return 0;
}

/* ---- the parent's side ---- */

static struct loop *loop;
static struct child *child;
static struct buf got;
static struct err err;

static struct child *make(size_t memory)
{
    /* The leak check of a sanitizer build starts a process of its own, which is not the one we look for. */
    const char *args[] = {"--child", NULL};
    const char *env[] = {"SHOWN=yes", "ASAN_OPTIONS=handle_segv=0:detect_leaks=0", NULL};
    return child_new(loop, &(struct child_opts){.args = args, .env = env, .memory_limit = memory});
}

static int setup(void **state)
{
    (void)state;
    loop = loop_new();
    child = make(0);
    buf_init(&got, BUF_NO_LIMIT);
    memset(&err, 0, sizeof(err));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    buf_done(&got);
    child_free(child);
    loop_free(loop);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nobody is left, not even as a zombie */
    return 0;
}

static int ask(const char *request, int deadline_ms)
{
    buf_reset(&got);
    return child_call(child, str_of(request), deadline_ms, &got, &err);
}

static void test_echo(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(ask("hello", 30000), 0);
        assert_string_equal(buf_cstr(&got), "hello");
    }
    assert_int_equal(ask("", 30000), 0);
    assert_int_equal(got.n, 0);
    struct buf big;
    buf_init(&big, BUF_NO_LIMIT);
    for (int i = 0; i < 1000000; i++)
        buf_addf(&big, "%07d ", i);
    assert_int_equal(child_call(child, buf_str(&big), 30000, &got, &err), 0);
    assert_true(str_eq(buf_str(&big), buf_str(&got)));
    buf_done(&big);
}

static void test_surroundings(void **state)
{
    (void)state;
    int stray = dup(2); /* without close-on-exec */
    assert_int_equal(ask("env", 30000), 0);
    assert_string_equal(buf_cstr(&got), "yes,-");
    assert_int_equal(ask("fds", 30000), 0);
    assert_string_equal(buf_cstr(&got), "0 1 2 3 ");
    close(stray);
#ifndef OCEAN_SAN
    child_free(child);
    child = make((size_t)512 << 20);
    assert_int_equal(ask("memory", 30000), 0);
    assert_string_equal(buf_cstr(&got), "refused");
#endif
}

static int child_pid(void)
{
    assert_int_equal(ask("pid", 30000), 0);
    return atoi(buf_cstr(&got));
}

static void test_killed_at_the_deadline(void **state)
{
    (void)state;
    int pid = child_pid();
    assert_int_equal(ask("sleep", 50), ERR_TIMEOUT);
    assert_non_null(strstr(err.msg, "50 ms"));
    assert_int_equal(kill(pid, 0), -1);
    assert_true(child_pid() != pid); /* a new one at the next call */
}

static void test_death_is_explained(void **state)
{
    (void)state;
    assert_int_equal(ask("crash", 30000), ERR_IO);
    assert_non_null(strstr(err.msg, "signal 11"));
    assert_int_equal(ask("exit", 30000), ERR_IO);
    assert_non_null(strstr(err.msg, "exit code 7"));
    assert_int_equal(ask("end", 30000), ERR_IO);
    assert_non_null(strstr(err.msg, "exit code 3"));
    assert_int_equal(ask("close", 30000), ERR_IO);
    assert_non_null(strstr(err.msg, "closed its socket"));
    assert_int_equal(ask("still works", 30000), 0);
    assert_string_equal(buf_cstr(&got), "still works");
}

static void test_death_between_calls_costs_nothing(void **state)
{
    (void)state;
    int pid = child_pid();
    kill(pid, SIGKILL);
    siginfo_t info;
    waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
    assert_int_equal(ask("next", 30000), 0);
    assert_string_equal(buf_cstr(&got), "next");
}

static void test_answer_over_the_maximum(void **state)
{
    (void)state;
    struct buf small;
    buf_init(&small, 4);
    assert_int_equal(child_call(child, STR("12345"), 30000, &small, &err), ERR_TOO_BIG);
    buf_reset(&small);
    assert_int_equal(child_call(child, STR("1234"), 30000, &small, &err), 0);
    assert_string_equal(buf_cstr(&small), "1234");
    buf_done(&small);
}

/* ---- from workers ---- */

struct call_job {
    struct worker_job job;
    const char *request;
    int rc, done;
    struct buf answer;
    struct err e;
};

static void job_run(struct worker_job *job)
{
    struct call_job *c = (struct call_job *)job;
    c->rc = child_call(child, str_of(c->request), 30000, &c->answer, &c->e);
}

static void job_done(struct worker_job *job) { ((struct call_job *)job)->done = 1; }

static void submit(struct call_job *c, const char *request)
{
    *c = (struct call_job){.job = {.run = job_run, .done = job_done}, .request = request};
    buf_init(&c->answer, BUF_NO_LIMIT);
    worker_submit(loop, &c->job);
}

static void test_calls_from_workers(void **state)
{
    struct call_job jobs[8];
    (void)state;
    for (int i = 0; i < 8; i++)
        submit(&jobs[i], i % 2 ? "odd" : "even");
    loop_run(loop);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(jobs[i].rc, 0);
        assert_string_equal(buf_cstr(&jobs[i].answer), i % 2 ? "odd" : "even");
        buf_done(&jobs[i].answer);
    }
}

static void test_free_ends_a_call_in_progress(void **state)
{
    struct call_job sleeping;
    (void)state;
    child_pid();
    submit(&sleeping, "sleep");
    for (int i = 0; i < 20; i++)
        loop_turn(loop, false);
    child_free(child); /* during the call, or before it began */
    child = NULL;
    run_until(loop, &sleeping.done);
    assert_int_equal(sleeping.rc, ERR_CANCELLED);
    buf_done(&sleeping.answer);
    child = make(0);
}

static void test_no_call_outlives_a_busy_loop(void **state)
{
    struct call_job job;
    (void)state;
    submit(&job, "x"); /* the pool may wait for a spawn that this loop has not made yet */
    poll(NULL, 0, 20);
    run_until(loop, &job.done);
    assert_int_equal(job.rc, 0);
    buf_done(&job.answer);
}

/* The parent of the child is a process of its own here, and is killed. */
static void test_dies_with_its_parent(void **state)
{
    int out[2], pid = 0;
    (void)state;
    assert_int_equal(pipe(out), 0);
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0); /* the orphan becomes ours to wait for */
    fflush(NULL);
    pid_t parent = fork();
    if (parent == 0) {
        loop = loop_new();
        child = make(0);
        pid = child_pid();
        if (write(out[1], &pid, sizeof(pid)) != sizeof(pid))
            _exit(1);
        for (;;)
            pause();
    }
    assert_int_equal(read(out[0], &pid, sizeof(pid)), sizeof(pid));
    kill(parent, SIGKILL);
    waitpid(parent, NULL, 0);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(out[0]);
    close(out[1]);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--child") == 0)
        return child_serve(answer, NULL);
    watchdog(120);
    worker_pool_setup(4);
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_echo),
        T(test_surroundings),
        T(test_killed_at_the_deadline),
        T(test_death_is_explained),
        T(test_death_between_calls_costs_nothing),
        T(test_answer_over_the_maximum),
        T(test_calls_from_workers),
        T(test_free_ends_a_call_in_progress),
        T(test_no_call_outlives_a_busy_loop),
        T(test_dies_with_its_parent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
