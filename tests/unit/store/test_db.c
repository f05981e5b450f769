/* One database, one thread: order, groups, savepoints, closing, migrations, the lock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/mem.h"
#include "store/db.h"

static const char *const schema[] = {"CREATE TABLE t (n INTEGER);", NULL};

struct job {
    struct db_job job;
    int64_t n; /* to insert; < 0: fail after inserting */
    int64_t result;
    int *finished;
    struct job *before; /* must have finished earlier */
    bool done;
    int changes; /* total changes when it ran */
};

static int insert_run(struct db *d, sqlite3 *h, struct db_job *j)
{
    struct job *x = (struct job *)j;
    sqlite3_stmt *s = db_stmt(d, "INSERT INTO t VALUES (?)", &j->err);
    if (!s)
        return j->err.code;
    sqlite3_bind_int64(s, 1, x->n);
    if (sqlite3_step(s) != SQLITE_DONE)
        return db_error(h, &j->err, "insert");
    sqlite3_reset(s);
    return x->n < 0 ? ERR(&j->err, ERR_INVAL, "negative") : 0;
}

static int count_run(struct db *d, sqlite3 *h, struct db_job *j)
{
    sqlite3_stmt *s = db_stmt(d, "SELECT COUNT(*), TOTAL(n) FROM t", &j->err);
    (void)h;
    sqlite3_step(s);
    ((struct job *)j)->result = sqlite3_column_int64(s, 0);
    sqlite3_reset(s);
    return 0;
}

static void finished(struct db_job *j)
{
    struct job *x = (struct job *)j;
    assert_false(x->done);
    x->done = true;
    if (x->before)
        assert_true(x->before->done);
    (*x->finished)++;
}

static int64_t count(struct db *d)
{
    struct job c = {.job = {.run = count_run}};
    assert_int_equal(db_call(d, &c.job), 0);
    return c.result;
}

struct place {
    struct loop *loop;
    char dir[64], file[128];
};

static int setup(void **state)
{
    struct place *p = xcalloc(1, sizeof(*p));
    strcpy(p->dir, "/tmp/store-test-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    snprintf(p->file, sizeof(p->file), "%s/deep/er/x.db", p->dir);
    p->loop = loop_new();
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct place *p = *state;
    char command[128];
    loop_free(p->loop);
    snprintf(command, sizeof(command), "rm -rf '%s'", p->dir);
    assert_int_equal(system(command), 0);
    free(p);
    return 0;
}

static struct db *open_it(struct place *p)
{
    struct db *d = NULL;
    struct err e = {0};
    struct db_opts o = {
        .path = p->file, .migrations = schema, .application_id = 77, .synchronous = 1, .exclusive = true};
    if (db_open(p->loop, &o, &d, &e) < 0)
        fail_msg("%s", e.msg);
    return d;
}

static void test_files(void **state)
{
    struct place *p = *state;
    struct db *d = open_it(p);
    struct stat st;
    char dir[128];
    snprintf(dir, sizeof(dir), "%s/deep/er", p->dir);
    assert_int_equal(stat(dir, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(stat(p->file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    db_close(d);
}

static void test_order_and_groups(void **state)
{
    enum { N = 500 };
    struct place *p = *state;
    struct db *d = open_it(p);
    struct job *jobs = xcalloc(N, sizeof(*jobs));
    int n = 0;
    for (int i = 0; i < N; i++) {
        jobs[i] = (struct job){.job = {.run = insert_run, .done = finished, .writes = true},
                               .n = i % 7 == 3 ? -1 : i,
                               .finished = &n,
                               .before = i ? &jobs[i - 1] : NULL};
        if (i % 50 == 49)
            jobs[i].job.run = count_run, jobs[i].job.writes = false;
        db_submit(d, &jobs[i].job);
    }
    while (n < N)
        loop_turn(p->loop, true);
    int64_t good = 0;
    for (int i = 0; i < N; i++) {
        bool bad = i % 50 != 49 && i % 7 == 3;
        assert_int_equal(jobs[i].job.err.code, bad ? ERR_INVAL : 0);
        if (i % 50 == 49)
            assert_int_equal(jobs[i].result, good); /* what came before is there, what failed is not */
        else
            good += !bad;
    }
    assert_int_equal(count(d), good);
    db_close(d);
    free(jobs);
}

/* The loop stays alive while a job is on its way. */
static void test_keeps_loop_alive(void **state)
{
    struct place *p = *state;
    struct db *d = open_it(p);
    int n = 0;
    struct job j = {.job = {.run = insert_run, .done = finished, .writes = true}, .n = 1, .finished = &n};
    db_submit(d, &j.job);
    loop_run(p->loop);
    assert_int_equal(n, 1);
    db_close(d);
}

static void test_close_runs_the_rest(void **state)
{
    struct place *p = *state;
    struct db *d = open_it(p);
    int n = 0;
    struct job jobs[100];
    for (int i = 0; i < 100; i++) {
        jobs[i] = (struct job){.job = {.run = insert_run, .done = finished, .writes = true}, .n = i, .finished = &n};
        db_submit(d, &jobs[i].job);
    }
    db_close(d);
    assert_int_equal(n, 100);
    d = open_it(p);
    assert_int_equal(count(d), 100);
    db_close(d);
}

struct chained {
    struct job job;
    struct db *db;
    struct job next;
};

static void submit_more(struct db_job *j)
{
    struct chained *c = (struct chained *)j;
    finished(j);
    db_submit(c->db, &c->next.job);
}

/* A job submitted by a `done` that db_close runs ends too, as cancelled. */
static void test_submit_while_closing(void **state)
{
    struct place *p = *state;
    struct chained c = {.db = open_it(p)};
    int n = 0;
    c.job = (struct job){.job = {.run = insert_run, .done = submit_more, .writes = true}, .n = 1, .finished = &n};
    c.next = (struct job){.job = {.run = insert_run, .done = finished, .writes = true}, .n = 2, .finished = &n};
    db_submit(c.db, &c.job.job);
    db_close(c.db);
    assert_int_equal(n, 2);
    assert_int_equal(c.job.job.err.code, 0);
    assert_int_equal(c.next.job.err.code, ERR_CANCELLED);
}

static void test_lock(void **state)
{
    struct place *p = *state;
    struct db *d = open_it(p);
    pid_t child = fork();
    if (child == 0) {
        struct loop *l = loop_new();
        struct db *other = NULL;
        struct err e = {0};
        struct db_opts o = {.path = p->file, .migrations = schema, .application_id = 77, .exclusive = true};
        char pid[24];
        snprintf(pid, sizeof(pid), "%ld", (long)getppid());
        int rc = db_open(l, &o, &other, &e);
        _exit(rc == ERR_BUSY && strstr(e.msg, pid) && strstr(e.msg, p->file) ? 0 : 1);
    }
    int status;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    db_close(d);
    d = open_it(p); /* free again */
    db_close(d);
}

static int try_open(struct place *p, struct db_opts o, struct err *e)
{
    struct db *d = NULL;
    o.path = p->file;
    int rc = db_open(p->loop, &o, &d, e);
    db_close(d);
    return rc;
}

static void test_migrations(void **state)
{
    static const char one[] = "CREATE TABLE t (n INTEGER);";
    static const char next[] = "ALTER TABLE t ADD COLUMN m INTEGER; UPDATE t SET m = n + 1;";
    static const char *const two[] = {one, next, NULL};
    static const char *const broken[] = {one, next, "CREATE TABLE u (n); NONSENSE;", NULL};
    struct place *p = *state;
    struct err e = {0};
    struct db *d = open_it(p);
    struct job j = {.job = {.run = insert_run, .writes = true}, .n = 5};
    assert_int_equal(db_call(d, &j.job), 0);
    db_close(d);
    assert_int_equal(try_open(p, (struct db_opts){.migrations = two, .application_id = 77, .read_only = true}, &e),
                     ERR_CONFIG);
    assert_int_equal(try_open(p, (struct db_opts){.migrations = two, .application_id = 77}, &e), 0);
    assert_int_equal(try_open(p, (struct db_opts){.migrations = schema, .application_id = 77}, &e), ERR_CONFIG);
    assert_non_null(strstr(e.msg, "newer"));
    assert_int_equal(try_open(p, (struct db_opts){.migrations = two, .application_id = 78}, &e), ERR_CONFIG);
    /* A migration that fails leaves the file as it was. */
    assert_true(try_open(p, (struct db_opts){.migrations = broken, .application_id = 77}, &e) < 0);
    assert_int_equal(try_open(p, (struct db_opts){.migrations = two, .application_id = 77}, &e), 0);
}

static void test_not_a_database(void **state)
{
    struct place *p = *state;
    struct err e = {0};
    snprintf(p->file, sizeof(p->file), "%s/plain.txt", p->dir);
    FILE *f = fopen(p->file, "w");
    fprintf(
        f,
        "this is no database at all, but it is longer than a header is, by some hundred bytes or so, and then more\n");
    fclose(f);
    assert_true(try_open(p, (struct db_opts){.migrations = schema}, &e) < 0);
    assert_non_null(strstr(e.msg, p->file));
    snprintf(p->file, sizeof(p->file), "%s/plain.txt/x.db", p->dir);
    assert_true(try_open(p, (struct db_opts){.migrations = schema}, &e) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_order_and_groups, setup, teardown),
        cmocka_unit_test_setup_teardown(test_keeps_loop_alive, setup, teardown),
        cmocka_unit_test_setup_teardown(test_close_runs_the_rest, setup, teardown),
        cmocka_unit_test_setup_teardown(test_submit_while_closing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lock, setup, teardown),
        cmocka_unit_test_setup_teardown(test_migrations, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_a_database, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
