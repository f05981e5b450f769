/* The one resync of a process: newer ones replace it, stopping ends it (sync S-9, S-48 to S-51). */
#include "unit/sync/fake_port.h"

#include "listen/runner.h"

struct asked {
    int calls;
    bool began, aborted;
    int exit_code;
};

static void on_asked(void *arg, const struct resync_report *r)
{
    struct asked *a = arg;
    a->calls++;
    a->began = r != NULL;
    a->aborted = r && r->aborted;
    a->exit_code = r ? r->exit_code : -1;
}

static struct runner *new_runner(struct fixture *f)
{
    const struct runner_opts o = {.engine = &f->engine, .max_shrink_percent = -1};
    return runner_new(&o);
}

static void ask(struct runner *r, struct asked *a)
{
    const struct runner_request q = {.trigger = TRIGGER_MACHINE, .why = "a test"};
    runner_start(r, &q, on_asked, a);
}

static void turn_until(struct fixture *f, const int *calls)
{
    while (!*calls)
        loop_turn(f->loop, true);
}

static const char *state_of(struct fixture *f, size_t n)
{
    static char text[32];
    struct json_doc *d = fake_parse(str_of(nth_request(f, "PATCH", STATE, n)->body));
    snprintf(text, sizeof(text), "%.*s", STR_FMT(json_str(json_get_c(json_root(d), "status"))));
    json_unref(d);
    return text;
}

/* Port sees: running, aborted, running, completed, in this order. */
static void t13_a_newer_resync_replaces_the_older(void **state)
{
    struct fixture *f = *state;
    struct runner *r = new_runner(f);
    struct asked first = {0}, second = {0};
    add_step(f, "issue", STEP_BATCH, items("i", 0, 2));
    ask(r, &first);
    while (f->nruns == 0)
        loop_turn(f->loop, true);
    ask(r, &second);
    turn_until(f, &second.calls);
    assert_int_equal(first.calls, 1);
    assert_true(first.began && first.aborted);
    assert_int_equal(second.exit_code, 0);
    static const char *const expected[] = {"running", "aborted", "running", "completed"};
    assert_int_equal(requests_to(f, "PATCH", STATE), 4);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(state_of(f, i), expected[i]);
    assert_int_equal(requests_to(f, "POST", DELETE), 0);
    runner_free(r);
}

static void of_two_that_wait_the_newer_begins(void **state)
{
    struct fixture *f = *state;
    struct runner *r = new_runner(f);
    struct asked a[3] = {0};
    add_step(f, "issue", STEP_BATCH, items("i", 0, 2));
    for (int i = 0; i < 3; i++)
        ask(r, &a[i]);
    turn_until(f, &a[2].calls);
    assert_int_equal(a[0].calls + a[1].calls, 2);
    assert_false(a[0].began || a[1].began);
    assert_int_equal(a[2].exit_code, 0);
    runner_free(r);
}

static void on_stop(void *arg) { *(int *)arg = 1; }

static void stopping_aborts_what_runs_and_begins_nothing(void **state)
{
    struct fixture *f = *state;
    struct runner *r = new_runner(f);
    struct asked a[3] = {0};
    int stopped = 0;
    add_step(f, "issue", STEP_BATCH, items("i", 0, 2));
    ask(r, &a[0]);
    while (f->nruns == 0)
        loop_turn(f->loop, true);
    ask(r, &a[1]);
    runner_stop(r, on_stop, &stopped);
    ask(r, &a[2]);
    turn_until(f, &stopped);
    assert_true(a[0].began && a[0].aborted);
    assert_true(a[1].calls == 1 && !a[1].began);
    assert_true(a[2].calls == 1 && !a[2].began);
    assert_false(runner_busy(r));
    runner_free(r);
}

static void who_forgets_is_not_called(void **state)
{
    struct fixture *f = *state;
    struct runner *r = new_runner(f);
    struct asked a[3] = {0};
    for (int i = 0; i < 3; i++)
        ask(r, &a[i]);
    runner_forget(r, on_asked, &a[0]);
    runner_forget(r, on_asked, &a[2]);
    while (runner_busy(r))
        loop_turn(f->loop, true);
    assert_int_equal(a[0].calls + a[2].calls, 0);
    assert_int_equal(a[1].calls, 1);
    runner_free(r);
}

/* --allow-empty and --max-shrink speak of what a person has just looked at, not of what comes later. */
static void what_was_accepted_holds_for_the_first_resync_only(void **state)
{
    struct fixture *f = *state;
    const char *allow[] = {"issue"};
    const struct runner_opts o = {.engine = &f->engine, .allow_empty = allow, .nallow_empty = 1, .max_shrink_percent = 100};
    struct runner *r = runner_new(&o);
    struct asked a[3] = {0};
    owned_like_items(f, "issue", "i", 0, 3);
    script_for(f, "issue")->report = (struct source_report){0}; /* no evidence at all */
    ask(r, &a[0]);
    turn_until(f, &a[0].calls);
    assert_int_equal(a[0].exit_code, 0);
    assert_int_equal(requests_to(f, "POST", DELETE), 1);
    ask(r, &a[1]);
    turn_until(f, &a[1].calls);
    assert_int_equal(a[1].exit_code, 5);
    assert_int_equal(requests_to(f, "POST", DELETE), 1);
    runner_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(t13_a_newer_resync_replaces_the_older),
        TEST(of_two_that_wait_the_newer_begins),
        TEST(stopping_aborts_what_runs_and_begins_nothing),
        TEST(who_forgets_is_not_called),
        TEST(what_was_accepted_holds_for_the_first_resync_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
