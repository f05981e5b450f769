/* One loop: look, perhaps ask the runner for a resync, sleep. Looking goes on while a resync runs; the runner replaces it
 * when a newer request comes. A look that fails is told once, and again when it works. */
#define LOG_GROUP "listen.poll"
#include "listen/poll.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "port/integration.h"

struct poll {
    struct poll_opts o;
    struct timer *timer;
    char *baseline; /* instant of the last request that was taken, or of the last state; NULL: none */
    bool first, stopped;
    size_t failures;
};

bool poll_is_newer(struct str request, struct str baseline)
{
    int64_t asked, last;
    if (!request.n || !iso_parse(request, &asked))
        return false;
    return !baseline.n || !iso_parse(baseline, &last) || asked > last;
}

static void look(void *arg);

static void sleep_on(struct poll *p)
{
    if (!p->stopped)
        p->timer = timer_start(p->o.engine->loop, (uint64_t)p->o.interval_s * 1000, 0, look, p);
}

static void take(struct poll *p, struct str instant)
{
    free(p->baseline);
    p->baseline = str_dup(instant);
}

static void ask(struct poll *p, const char *why)
{
    const struct runner_request q = {.trigger = TRIGGER_MACHINE, .why = why};
    runner_start(p->o.runner, &q, NULL, NULL);
}

static void on_request(void *arg, struct str updated_at, const struct err *e)
{
    struct poll *p = arg;
    bool begins = p->first && p->o.resync_on_start;
    p->first = false;
    if (p->stopped)
        return;
    if (e && p->failures++ == 0)
        log_warn("Port cannot be asked for resync requests, trying again every %d s: %s", p->o.interval_s, e->msg);
    if (!e && p->failures) {
        log_info("Port answers again after %zu failed polls", p->failures);
        p->failures = 0;
    }
    bool newer = !e && poll_is_newer(updated_at, str_of(p->baseline));
    if (!e && updated_at.n && (newer || begins))
        take(p, updated_at);
    if (begins)
        ask(p, "the start");
    else if (newer)
        ask(p, "a request in Port");
    sleep_on(p);
}

static void look(void *arg)
{
    struct poll *p = arg;
    p->timer = NULL;
    port_resync_request(p->o.engine->port, on_request, p);
}

static void on_state(void *arg, struct str updated_at, const struct err *e)
{
    struct poll *p = arg;
    if (p->stopped)
        return;
    if (!e && updated_at.n)
        take(p, updated_at);
    look(p);
}

struct poll *poll_start(const struct poll_opts *o)
{
    struct poll *p = xcalloc(1, sizeof(*p));
    p->o = *o;
    p->first = true;
    port_last_resync_state(o->engine->port, on_state, p);
    return p;
}

void poll_stop(struct poll *p)
{
    if (!p)
        return;
    p->stopped = true;
    timer_stop(p->timer);
    p->timer = NULL;
}

void poll_free(struct poll *p)
{
    if (!p)
        return;
    poll_stop(p);
    free(p->baseline);
    free(p);
}
