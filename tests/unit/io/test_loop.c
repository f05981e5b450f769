/* test_loop.c: order and lifetime of timers, posted and deferred calls. */
#include "unit/io/loopback.h"

#include <signal.h>

static char trace[256];
static struct loop *loop;

static void note(void *arg) { strcat(trace, arg); }

static int reset(void **state)
{
    (void)state;
    trace[0] = '\0';
    loop = loop_new();
    return 0;
}

static int end(void **state)
{
    (void)state;
    loop_free(loop);
    return 0;
}

static void test_empty_loop_returns(void **state)
{
    (void)state;
    loop_run(loop);
    assert_false(loop_turn(loop, true));
}

static void test_timers_fire_in_order(void **state)
{
    (void)state;
    timer_start(loop, 20, 0, note, "c");
    timer_start(loop, 0, 0, note, "a");
    struct timer *stopped = timer_start(loop, 5, 0, note, "x");
    timer_start(loop, 10, 0, note, "b");
    timer_stop(stopped);
    timer_stop(NULL);
    loop_run(loop);
    assert_string_equal(trace, "abc");
}

static struct timer *repeating;

static void three_times(void *arg)
{
    (void)arg;
    strcat(trace, "r");
    if (strlen(trace) == 3)
        timer_stop(repeating); /* from inside its own callback */
}

static void test_repeating_timer_until_stopped(void **state)
{
    (void)state;
    repeating = timer_start(loop, 1, 1, three_times, NULL);
    loop_run(loop);
    assert_string_equal(trace, "rrr");
}

static void test_unref_timer_does_not_keep_alive(void **state)
{
    (void)state;
    timer_unref(timer_start(loop, 100000, 0, note, "x"));
    loop_run(loop);
    assert_string_equal(trace, "");
}

static void defer_more(void *arg)
{
    (void)arg;
    strcat(trace, "1");
    loop_defer(loop, note, "3");
    strcat(trace, "2");
}

static void test_deferred_in_order_and_after_the_callback(void **state)
{
    (void)state;
    timer_start(loop, 0, 0, defer_more, NULL); /* poll must not wait for the timer below before the deferred call */
    struct timer *far = timer_start(loop, 1000000, 0, note, "x");
    while (strlen(trace) < 3)
        loop_turn(loop, true);
    assert_string_equal(trace, "123");
    timer_stop(far);
}

static void test_forgotten_calls_do_not_run(void **state)
{
    (void)state;
    loop_defer(loop, note, "a");
    loop_defer(loop, note, "b");
    loop_forget(loop, note, "a");
    loop_run(loop);
    assert_string_equal(trace, "b");
}

#define POSTS 20000
static int posted, last_of[2];

static void count_post(void *arg)
{
    int n = (int)(intptr_t)arg, who = n & 1;
    assert_true(loop_is_thread(loop));
    assert_true(n >> 1 > last_of[who]); /* each thread's posts stay in order */
    last_of[who] = n >> 1;
    if (++posted == 2 * POSTS)
        loop_release(loop);
}

static void *poster(void *arg)
{
    assert_false(loop_is_thread(loop));
    for (int i = 1; i <= POSTS; i++)
        loop_post(loop, count_post, (void *)(intptr_t)(i * 2 + (int)(intptr_t)arg));
    return NULL;
}

static void test_posts_from_threads_arrive_once_and_in_order(void **state)
{
    (void)state;
    pthread_t t[2];
    posted = last_of[0] = last_of[1] = 0;
    loop_hold(loop);
    for (int i = 0; i < 2; i++)
        pthread_create(&t[i], NULL, poster, (void *)(intptr_t)i);
    loop_run(loop);
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    assert_int_equal(posted, 2 * POSTS);
}

static void test_a_post_keeps_the_loop_alive(void **state)
{
    (void)state;
    loop_post(loop, note, "p");
    loop_run(loop);
    assert_string_equal(trace, "p");
}

static void stop_it(void *arg)
{
    (void)arg;
    loop_stop(loop);
}

static void test_stop_ends_run_though_things_are_alive(void **state)
{
    (void)state;
    timer_start(loop, 1000000, 0, note, "x");
    timer_start(loop, 1, 0, stop_it, NULL);
    loop_run(loop);
    assert_string_equal(trace, "");
    loop_post(loop, note, "left for loop_free");
}

static int got_signal;

static void on_signal(void *arg, int signum)
{
    got_signal = signum;
    loop_stop(arg);
}

static void test_signal(void **state)
{
    (void)state;
    got_signal = 0;
    loop_on_signal(loop, on_signal, loop);
    loop_run(loop); /* does not keep alive */
    struct timer *t = timer_start(loop, 1000000, 0, note, "x");
    raise(SIGTERM);
    loop_run(loop);
    assert_int_equal(got_signal, SIGTERM);
    timer_stop(t);
}

int main(void)
{
    watchdog(60);
#define T(f) cmocka_unit_test_setup_teardown(f, reset, end)
    const struct CMUnitTest tests[] = {
        T(test_empty_loop_returns),
        T(test_timers_fire_in_order),
        T(test_repeating_timer_until_stopped),
        T(test_unref_timer_does_not_keep_alive),
        T(test_deferred_in_order_and_after_the_callback),
        T(test_forgotten_calls_do_not_run),
        T(test_posts_from_threads_arrive_once_and_in_order),
        T(test_a_post_keeps_the_loop_alive),
        T(test_stop_ends_run_though_things_are_alive),
        T(test_signal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
