/* The live line is redrawn at most ten times a second and taken away around every log line (log_set_hooks), so that log
 * lines scroll above it. Where stderr is no terminal, each resource gives one log line when it ends instead. */
#define LOG_GROUP "run"
#include "cli/progress.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define REDRAW_MS 100

struct progress {
    bool live, drawn;
    struct buf line;
    uint64_t drawn_ms;
    size_t reported; /* resources whose end was logged */
    /* for the rate: what the current resource had extracted when it was first seen */
    size_t resource;
    uint64_t resource_ms;
};

static struct progress *shown; /* for the log hooks, which take no argument */

static void erase(void)
{
    if (shown && shown->drawn)
        fputs("\r\033[K", stderr);
}

static void redraw(void)
{
    if (shown && shown->drawn) {
        fputs(buf_cstr(&shown->line), stderr);
        fflush(stderr);
    }
}

struct progress *progress_new(bool live)
{
    struct progress *p = xcalloc(1, sizeof(*p));
    p->live = live;
    p->resource = (size_t)-1;
    buf_init(&p->line, 4096);
    if (live) {
        shown = p;
        log_set_hooks(erase, redraw);
    }
    return p;
}

void progress_end(struct progress *p)
{
    if (p->drawn) {
        erase();
        fflush(stderr);
        p->drawn = false;
    }
}

void progress_free(struct progress *p)
{
    if (!p)
        return;
    progress_end(p);
    if (shown == p) {
        log_set_hooks(NULL, NULL);
        shown = NULL;
    }
    buf_done(&p->line);
    free(p);
}

static size_t terminal_width(void)
{
    struct winsize w;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 20 ? w.ws_col : 80;
}

static void log_ended(struct progress *p, const struct resync_report *r)
{
    for (; p->reported < r->n && r->resources[p->reported].state > RES_RUNNING; p->reported++) {
        const struct resource_report *x = &r->resources[p->reported];
        log_info("kind=%s index=%d fetched=%zu mapped=%zu created=%zu updated=%zu unchanged=%zu failed=%zu%s", x->kind,
                 x->index, x->extracted, x->mapped, x->created, x->updated, x->unchanged, x->rejected,
                 x->state == RES_FAILED    ? " state=failed"
                 : x->state == RES_ABORTED ? " state=aborted"
                                           : "");
    }
}

/* What is zero is left out, so that the rate still fits into 80 columns; failures are always told. */
static void add_counters(struct buf *line, const struct resource_report *x)
{
    const struct {
        const char *name;
        size_t n;
    } optional[] = {{"created", x->created}, {"updated", x->updated}, {"unchanged", x->unchanged}, {"filtered", x->filtered}};
    buf_addf(line, "%s-%d  fetched %zu  mapped %zu", x->kind, x->index, x->extracted, x->mapped);
    for (size_t i = 0; i < ARRAY_LEN(optional); i++)
        if (optional[i].n)
            buf_addf(line, "  %s %zu", optional[i].name, optional[i].n);
    buf_addf(line, "  failed %zu", x->rejected + x->unmappable);
}

void progress_update(struct progress *p, const struct resync_report *r)
{
    if (!p->live) {
        log_ended(p, r);
        return;
    }
    size_t at = 0;
    for (size_t i = 0; i < r->n; i++)
        if (r->resources[i].state != RES_PENDING)
            at = i;
    uint64_t now = clock_mono_ms();
    if (r->n == 0 || (p->drawn && at == p->resource && now - p->drawn_ms < REDRAW_MS))
        return;
    const struct resource_report *x = &r->resources[at];
    if (at != p->resource) {
        p->resource = at;
        p->resource_ms = now;
    }
    double seconds = (double)(now - p->resource_ms) / 1000.0;
    erase();
    buf_reset(&p->line);
    add_counters(&p->line, x);
    if (seconds > 0.2)
        buf_addf(&p->line, "  %.0f/s", (double)x->extracted / seconds);
    size_t width = terminal_width();
    if (p->line.n >= width) {
        p->line.n = width - 1;
        p->line.p[p->line.n] = 0;
    }
    p->drawn = true;
    p->drawn_ms = now;
    redraw();
}

static const char *state_word(const struct resource_report *x)
{
    switch (x->state) {
    case RES_COMPLETED: return "ok";
    case RES_FAILED: return "FAILED";
    case RES_ABORTED: return "aborted";
    case RES_RUNNING: return "running";
    case RES_PENDING: break;
    }
    return "not run";
}

static void add_errors(struct buf *out, const struct resource_report *x)
{
    for (size_t i = 0; i < x->nerrors; i++) {
        const struct resource_error *e = &x->errors[i];
        buf_addf(out, "  %s-%d: %s", x->kind, x->index, e->message);
        if (e->where && *e->where)
            buf_addf(out, " [%s]", e->where);
        if (e->count > 1)
            buf_addf(out, " (%zu times)", e->count);
        buf_addc(out, '\n');
    }
}

void progress_summary(struct buf *out, const struct resync_report *r)
{
    size_t errors = 0;
    buf_addf(out, "%-20s %9s %9s %9s %9s %9s %9s %9s  %s\n", "KIND", "FETCHED", "MAPPED", "CREATED", "UPDATED",
            "UNCHANGED", "REJECTED", "FILTERED", "STATE");
    for (size_t i = 0; i < r->n; i++) {
        const struct resource_report *x = &r->resources[i];
        char name[64];
        snprintf(name, sizeof(name), "%s-%d", x->kind, x->index);
        buf_addf(out, "%-20s %9zu %9zu %9zu %9zu %9zu %9zu %9zu  %s\n", name, x->extracted, x->mapped, x->created,
                x->updated, x->unchanged, x->rejected, x->filtered, state_word(x));
        errors += x->nerrors;
    }
    buf_addf(out, "deleted %zu, held back %zu, %zu requests to Port, %.1f s\n", r->deleted, r->held_back, r->requests,
            r->seconds);
    if (errors)
        buf_addf(out, "errors:\n");
    for (size_t i = 0; i < r->n; i++)
        add_errors(out, &r->resources[i]);
    if (r->failure)
        buf_addf(out, "the run failed: %s\n", r->failure);
    if (r->aborted)
        buf_addf(out, "the run was aborted; nothing was deleted\n");
}
