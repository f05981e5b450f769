/* loop.h: the one event loop of a process (libuv), timers, deferred calls, signals.
 *
 * Everything here belongs to the loop thread, except loop_post. uv.h stays inside io/. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"

struct loop;
struct timer;
struct uv_loop_s;

typedef void (*loop_fn)(void *arg);

/* Also makes the process ignore SIGPIPE, unless it has a handler. */
struct loop *loop_new(void);
/* Waits for jobs on the pool, runs what was posted or deferred, closes timers and signals that are left, frees.
 * Handles of other modules must be closed by then: a sanitizer build aborts and names them. NULL is allowed. */
void loop_free(struct loop *l);
/* Runs until loop_stop or until nothing is alive. */
void loop_run(struct loop *l);
/* One turn: polls I/O once, waiting at most until the next event when `wait`. Returns false when nothing is alive. */
bool loop_turn(struct loop *l, bool wait);
void loop_stop(struct loop *l);
bool loop_is_thread(const struct loop *l); /* are we on the loop thread? */

/* Runs fn once on the loop thread, soon. Any thread. Keeps the loop alive until it ran. */
void loop_post(struct loop *l, loop_fn fn, void *arg);
/* Runs fn at the end of this turn, after library callbacks returned. Loop thread. */
void loop_defer(struct loop *l, loop_fn fn, void *arg);
/* Drops deferred calls with exactly this fn and arg that have not run yet: for owners that go away. Loop thread. */
void loop_forget(struct loop *l, loop_fn fn, void *arg);

/* While somebody holds the loop it stays alive, because another thread is going to loop_post. Loop thread. */
void loop_hold(struct loop *l);
void loop_release(struct loop *l);

/* Runs fn after delay_ms, then every repeat_ms if > 0, until timer_stop. A one-shot timer frees itself
 * after fn unless stopped before. Returned timers are owned by the loop; timer_stop(NULL) is allowed. */
struct timer *timer_start(struct loop *l, uint64_t delay_ms, uint64_t repeat_ms, loop_fn fn, void *arg);
void timer_stop(struct timer *t);
/* An unreferenced timer does not keep the loop alive. */
void timer_unref(struct timer *t);

/* fn(arg, signum) on the loop thread for SIGINT and SIGTERM; does not keep the loop alive. */
void loop_on_signal(struct loop *l, void (*fn)(void *arg, int signum), void *arg);

struct uv_loop_s *loop_uv(struct loop *l); /* for io/ only */
