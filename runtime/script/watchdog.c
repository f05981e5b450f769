/* The watchdog. A hook cannot stop one C call: a pattern that backtracks for ever, a huge table.concat. This thread
 * looks at the loop thread twice a second. When it burnt 10 s of CPU without a sign of life inside Lua, the process
 * cannot be saved: the script's line goes to stderr and the process ends with 1. When Lua has been in one call for a
 * second of wall time without burning CPU, it blocks (io, os): one warning per call. */
#include "script/watchdog.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "script/limit.h"

#define LOG_GROUP "script.watchdog"
#define LOOK_MS 500
#define MS ((uint64_t)1000000)

static uint64_t stuck_ns = 10000 * MS, blocked_ns = 1000 * MS;

static int users;
static pthread_t thread;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake;
static bool stopping;

struct look {
    uint64_t beat, cpu_ns, mono_ns;
    bool warned;
};

static void end_process(void)
{
    char where[128], text[512];
    limit_ask_position(where, sizeof(where));
    int n = snprintf(text, sizeof(text),
                     "ocean-run: %s: one call has used more than %g s of CPU and cannot be interrupted (a pattern that "
                     "backtracks?); the process ends\n",
                     where[0] ? where : "the script", (double)stuck_ns / 1e9);
    ssize_t ignored = write(STDERR_FILENO, text, (size_t)n);
    (void)ignored;
    _exit(1);
}

static void look(struct look *k)
{
    struct limit_view now = limit_look();
    uint64_t cpu = limit_thread_cpu_ns(), mono = clock_mono_ns();
    if (!now.running || now.beat != k->beat) {
        *k = (struct look){.beat = now.beat, .cpu_ns = cpu, .mono_ns = mono};
        return;
    }
    if (cpu - k->cpu_ns > stuck_ns)
        end_process();
    if (!k->warned && mono - k->mono_ns > blocked_ns && cpu - k->cpu_ns < blocked_ns / 4) {
        char where[128];
        limit_ask_position(where, sizeof(where));
        log_warn(
            "%s: a call has blocked the whole process for more than %g s; io and os functions stop everything else, "
            "use the ocean library where it has the function",
            where[0] ? where : "the script", (double)blocked_ns / 1e9);
        k->warned = true;
    }
}

static void *watch(void *arg)
{
    struct look k = {0};
    (void)arg;
    pthread_mutex_lock(&lock);
    while (!stopping) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += LOOK_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        pthread_cond_timedwait(&wake, &lock, &until);
        if (!stopping)
            look(&k);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

void watchdog_limits(unsigned stuck_ms, unsigned blocked_ms)
{
    stuck_ns = stuck_ms * MS;
    blocked_ns = blocked_ms * MS;
}

void watchdog_start(void)
{
    if (users++ > 0)
        return;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&wake, &attr);
    pthread_condattr_destroy(&attr);
    stopping = false;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before); /* signals are the loop thread's */
    if (pthread_create(&thread, NULL, watch, NULL) != 0) {
        log_warn("the watchdog thread cannot be started: a script stuck in one C call will not be stopped");
        users--;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void watchdog_stop(void)
{
    if (users == 0 || --users > 0)
        return;
    pthread_mutex_lock(&lock);
    stopping = true;
    pthread_cond_signal(&wake);
    pthread_mutex_unlock(&lock);
    pthread_join(thread, NULL);
    pthread_cond_destroy(&wake);
}
