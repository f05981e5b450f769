/* loop.c: the event loop.
 *
 * A turn is one uv_run(ONCE) followed by the calls that were posted and deferred meanwhile, so those always run with
 * no library's callback on the stack. Deferred calls live in a growing array that is swapped out before it is run: what
 * a deferred call defers runs in the next turn, after I/O had its chance. While the array is not empty an idle handle
 * is active, which keeps libuv from waiting in poll.
 *
 * Posts come from any thread over a lock-free stack (push by compare-and-swap, taken as a whole by exchange and
 * reversed), so that they run in the order of posting per thread. The async handle is unreferenced unless somebody
 * holds the loop: a posted call keeps the loop alive because a turn looks at the stack before it reports "nothing
 * alive".
 *
 * Handles are allocated apart from their users and released in their close callbacks; timers are also in a list so
 * that loop_free can close those that are left. */
#include "io/loop_priv.h"

#include "base/log.h"
#include "base/mem.h"
#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG_GROUP "io.loop"
#define TURN_BUDGET_NS 5000000u

struct deferred {
    loop_fn fn;
    void *arg;
};

struct post {
    struct post *next;
    loop_fn fn;
    void *arg;
};

struct timer {
    uv_timer_t uv; /* first: the close callback frees the whole */
    struct loop *loop;
    struct timer *prev, *next;
    loop_fn fn;
    void *arg;
    bool firing, stopped;
};

struct loop {
    uv_loop_t uv;
    _Atomic(pthread_t) thread;
    _Atomic(struct post *) posts;
    uv_async_t *async;
    uv_idle_t *idle;
    uv_signal_t *signals[2];
    void (*on_signal)(void *arg, int signum);
    void *signal_arg;
    struct deferred *deferred;
    size_t ndeferred, cap_deferred;
    struct deferred *running; /* the batch being run; entries may be forgotten meanwhile */
    size_t nrunning;
    struct timer *timers;
    struct deferred *at_end;
    size_t nat_end;
    struct worker_queue *workers;
    unsigned holds;
    bool stopped, measured; /* measured: busy time of turns is known */
};

static void free_handle(uv_handle_t *h) { free(h); }

static void run_posts(struct loop *l)
{
    struct post *p = atomic_exchange_explicit(&l->posts, NULL, memory_order_acquire);
    struct post *in_order = NULL;
    while (p) {
        struct post *next = p->next;
        p->next = in_order;
        in_order = p;
        p = next;
    }
    while (in_order) {
        struct post *next = in_order->next;
        loop_fn fn = in_order->fn;
        void *arg = in_order->arg;
        free(in_order);
        fn(arg);
        in_order = next;
    }
}

static void on_async(uv_async_t *h) { run_posts(h->data); }

/* Only its being active matters: libuv does not wait in poll then. */
static void on_idle(uv_idle_t *h) { (void)h; }

static void run_deferred(struct loop *l)
{
    if (l->ndeferred == 0 || l->running)
        return;
    struct deferred *batch = l->deferred;
    size_t cap = l->cap_deferred;
    l->running = batch;
    l->nrunning = l->ndeferred;
    l->deferred = NULL;
    l->ndeferred = l->cap_deferred = 0;
    for (size_t i = 0; i < l->nrunning; i++) {
        if (batch[i].fn)
            batch[i].fn(batch[i].arg);
    }
    l->running = NULL;
    l->nrunning = 0;
    if (l->deferred) {
        free(batch);
    } else { /* usual case: keep the memory */
        l->deferred = batch;
        l->cap_deferred = cap;
    }
    if (l->ndeferred == 0)
        uv_idle_stop(l->idle);
}

/* A peer that closes its end must not end the process: libraries that write without MSG_NOSIGNAL (OpenSSL) get EPIPE.
 */
static void ignore_sigpipe(void)
{
    struct sigaction now;
    if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
        signal(SIGPIPE, SIG_IGN);
}

struct loop *loop_new(void)
{
    struct loop *l = xcalloc(1, sizeof(*l));
    ignore_sigpipe();
    int rc = uv_loop_init(&l->uv);
    if (rc < 0) {
        fprintf(stderr, "ocean-run: cannot make an event loop: %s\n", uv_strerror(rc));
        abort();
    }
    atomic_store(&l->thread, pthread_self());
    l->async = xcalloc(1, sizeof(*l->async));
    l->async->data = l;
    rc = uv_async_init(&l->uv, l->async, on_async);
    if (rc < 0) {
        fprintf(stderr, "ocean-run: cannot make an event loop: %s (see ulimit -n)\n", uv_strerror(rc));
        abort();
    }
    uv_unref((uv_handle_t *)l->async);
    l->idle = xcalloc(1, sizeof(*l->idle));
    uv_idle_init(&l->uv, l->idle);
    l->measured = log_enabled(LOG_DEBUG, LOG_GROUP) && uv_loop_configure(&l->uv, UV_METRICS_IDLE_TIME) == 0;
    return l;
}

static bool pending(struct loop *l)
{
    return l->ndeferred > 0 || atomic_load_explicit(&l->posts, memory_order_relaxed) != NULL;
}

static void turn(struct loop *l, bool wait)
{
    uv_run(&l->uv, wait && !pending(l) ? UV_RUN_ONCE : UV_RUN_NOWAIT);
    run_posts(l);
    run_deferred(l);
}

/* Says which turns held up everything else (OCEAN_LOG=io.loop=debug). */
static void measured_turn(struct loop *l, bool wait)
{
    uint64_t start = uv_hrtime(), idle = uv_metrics_idle_time(&l->uv);
    turn(l, wait);
    uint64_t busy = uv_hrtime() - start - (uv_metrics_idle_time(&l->uv) - idle);
    if (busy > TURN_BUDGET_NS)
        log_debug("a turn was busy for %.1f ms", (double)busy / 1e6);
}

bool loop_turn(struct loop *l, bool wait)
{
    atomic_store_explicit(&l->thread, pthread_self(), memory_order_relaxed);
    if (l->measured)
        measured_turn(l, wait);
    else
        turn(l, wait);
    return uv_loop_alive(&l->uv) || pending(l);
}

void loop_run(struct loop *l)
{
    while (!l->stopped && loop_turn(l, true))
        ;
    l->stopped = false;
}

void loop_stop(struct loop *l)
{
    l->stopped = true;
    uv_stop(&l->uv); /* keeps this turn from waiting in poll */
}

bool loop_is_thread(const struct loop *l)
{
    return pthread_equal(atomic_load_explicit(&((struct loop *)l)->thread, memory_order_relaxed), pthread_self());
}

void loop_post(struct loop *l, loop_fn fn, void *arg)
{
    struct post *p = xmalloc(sizeof(*p));
    p->fn = fn;
    p->arg = arg;
    p->next = atomic_load_explicit(&l->posts, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&l->posts, &p->next, p, memory_order_release, memory_order_relaxed))
        ;
    uv_async_send(l->async);
}

void loop_defer(struct loop *l, loop_fn fn, void *arg)
{
    if (l->ndeferred == l->cap_deferred) {
        l->cap_deferred = l->cap_deferred ? l->cap_deferred * 2 : 32;
        l->deferred = xrealloc(l->deferred, l->cap_deferred * sizeof(*l->deferred));
    }
    l->deferred[l->ndeferred++] = (struct deferred){fn, arg};
    if (l->ndeferred == 1)
        uv_idle_start(l->idle, on_idle);
}

void loop_forget(struct loop *l, loop_fn fn, void *arg)
{
    size_t kept = 0;
    for (size_t i = 0; i < l->ndeferred; i++) {
        if (l->deferred[i].fn != fn || l->deferred[i].arg != arg)
            l->deferred[kept++] = l->deferred[i];
    }
    l->ndeferred = kept;
    for (size_t i = 0; i < l->nrunning; i++) {
        if (l->running[i].fn == fn && l->running[i].arg == arg)
            l->running[i].fn = NULL;
    }
    if (kept == 0 && !l->running)
        uv_idle_stop(l->idle);
}

void loop_hold(struct loop *l)
{
    if (l->holds++ == 0)
        uv_ref((uv_handle_t *)l->async);
}

void loop_release(struct loop *l)
{
    assert(l->holds > 0);
    if (--l->holds == 0)
        uv_unref((uv_handle_t *)l->async);
}

/* ---- timers ---- */

static void timer_close(struct timer *t)
{
    if (t->prev)
        t->prev->next = t->next;
    else
        t->loop->timers = t->next;
    if (t->next)
        t->next->prev = t->prev;
    uv_close((uv_handle_t *)&t->uv, free_handle);
}

static void on_timer(uv_timer_t *h)
{
    struct timer *t = (struct timer *)h;
    t->firing = true;
    t->fn(t->arg);
    t->firing = false;
    if (t->stopped || uv_timer_get_repeat(h) == 0)
        timer_close(t);
}

struct timer *timer_start(struct loop *l, uint64_t delay_ms, uint64_t repeat_ms, loop_fn fn, void *arg)
{
    struct timer *t = xcalloc(1, sizeof(*t));
    t->loop = l;
    t->fn = fn;
    t->arg = arg;
    uv_timer_init(&l->uv, &t->uv);
    uv_update_time(&l->uv); /* the cached time may be old after a long callback */
    uv_timer_start(&t->uv, on_timer, delay_ms, repeat_ms);
    t->next = l->timers;
    if (t->next)
        t->next->prev = t;
    l->timers = t;
    return t;
}

void timer_stop(struct timer *t)
{
    if (!t || t->stopped)
        return;
    t->stopped = true;
    uv_timer_stop(&t->uv);
    if (!t->firing) /* else on_timer closes it when fn has returned */
        timer_close(t);
}

void timer_unref(struct timer *t) { uv_unref((uv_handle_t *)&t->uv); }

/* ---- signals ---- */

static void on_uv_signal(uv_signal_t *h, int signum)
{
    struct loop *l = h->data;
    if (l->on_signal)
        l->on_signal(l->signal_arg, signum);
}

void loop_on_signal(struct loop *l, void (*fn)(void *arg, int signum), void *arg)
{
    static const int numbers[2] = {SIGINT, SIGTERM};
    l->on_signal = fn;
    l->signal_arg = arg;
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        if (l->signals[i])
            continue;
        l->signals[i] = xcalloc(1, sizeof(uv_signal_t));
        l->signals[i]->data = l;
        uv_signal_init(&l->uv, l->signals[i]);
        uv_signal_start(l->signals[i], on_uv_signal, numbers[i]);
        uv_unref((uv_handle_t *)l->signals[i]);
    }
}

/* ---- end ---- */

static void close_foreign(uv_handle_t *h, void *arg)
{
    (void)arg;
    if (uv_is_closing(h))
        return;
    fprintf(stderr, "ocean-run: loop_free: a handle of type '%s' was not closed by its owner\n",
            uv_handle_type_name(uv_handle_get_type(h)));
#ifdef OCEAN_SAN
    abort();
#endif
    uv_close(h, NULL);
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    struct worker_queue **slot = loop_worker_slot(l);
    while (*slot && (*slot)->running > 0)
        loop_turn(l, true);
    for (int round = 0; round < 1000 && pending(l); round++) {
        run_posts(l);
        run_deferred(l);
    }
    while (l->timers)
        timer_close(l->timers);
    for (size_t i = 0; i < ARRAY_LEN(l->signals); i++) {
        if (l->signals[i])
            uv_close((uv_handle_t *)l->signals[i], free_handle);
    }
    uv_close((uv_handle_t *)l->idle, free_handle);
    uv_close((uv_handle_t *)l->async, free_handle);
    uv_walk(&l->uv, close_foreign, NULL);
    while (uv_loop_close(&l->uv) == UV_EBUSY)
        uv_run(&l->uv, UV_RUN_ONCE);
    for (size_t i = 0; i < l->nat_end; i++)
        l->at_end[i].fn(l->at_end[i].arg);
    free(l->at_end);
    free(l->deferred);
    free(*slot);
    free(l);
}

void loop_at_end(struct loop *l, void (*fn)(void *p), void *p)
{
    l->at_end = xrealloc(l->at_end, (l->nat_end + 1) * sizeof(*l->at_end));
    l->at_end[l->nat_end++] = (struct deferred){fn, p};
}

struct uv_loop_s *loop_uv(struct loop *l) { return &l->uv; }

struct worker_queue **loop_worker_slot(struct loop *l) { return &l->workers; }
