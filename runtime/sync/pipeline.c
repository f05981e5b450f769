/* The life of a raw batch: OPEN (a list that may be followed by another list, S-40), MAPPING (on a worker, from the
 * moment it is admitted), MAPPED, COMPARING (lookups), READY, LOADING (its entities are in the loader), gone when the
 * last outcome is in. Mapping and lookups of several batches overlap; counting, comparing and loading begin in the
 * order of the batches, so that the state produced last wins. `advance` is the only place that moves batches on; it
 * always runs from the loop (loop_defer), never inside a callback of a stage.
 *
 * Bulks are filled across batches: a bulk that is not full waits while another batch was admitted and has not reached
 * the loader yet, and a moment longer while there is room for one. It cannot wait for ever: admission stops at the
 * lookahead.
 *
 * `dead` means the rest of the resource is not wanted (S-45, abort): handlers are cancelled, batches that have not
 * begun to be compared are dropped uncounted. */
#define LOG_GROUP "sync.pipeline"
#include "sync/pipeline.h"

#include <assert.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "config/settings.h"
#include "sync/batch.h"
#include "sync/event.h"
#include "sync/examples.h"
#include "sync/loader.h"
#include "sync/misconfig.h"

#define BYTES_MAX ((size_t)16 << 20)
#define EXAMPLES 5
#define LINGER_MS 2        /* a handler that has its next batch at hand pushes it within that */

static void kill_rest(struct pipeline *p);

void pipeline_record(struct pipeline *p, const char *where, const char *message, size_t count)
{
    const struct mapping_resource *res = p->rr->res;
    p->rr->failed = true;
    report_error(p->rr->report, where, message, count);
    log_error("kind=%.*s-%d %s%s%s%s", STR_FMT(res->kind), res->index, message, where && *where ? " (" : "",
              where && *where ? where : "", where && *where ? ")" : "");
}

void pipeline_changed(struct pipeline *p)
{
    if (p->run->changed)
        p->run->changed(p->run->changed_arg);
}

/* The queue -------------------------------------------------------------------------------------------------------- */

static void drop_batch(struct pipeline *p, struct batch **at)
{
    struct batch *b = *at;
    *at = b->next;
    if (!*at)
        p->tail = at;
    p->batches--;
    p->bytes -= b->bytes;
    batch_free(b);
}

/* Begins the comparison of every mapped batch whose predecessors have begun theirs. */
static void compare_ready(struct pipeline *p)
{
    for (struct batch **at = &p->head; *at;) {
        struct batch *b = *at;
        if (b->state < BATCH_MAPPED)
            break;
        if (b->state == BATCH_MAPPED && (p->dead || batch_map_failed(b))) {
            if (!p->dead) {
                pipeline_record(p, "", b->err.code ? b->err.msg : "the batch could not be mapped", 1);
                kill_rest(p);
            }
            drop_batch(p, at);
            continue;
        }
        if (b->state == BATCH_MAPPED)
            batch_compare(b);
        at = &b->next;
    }
}

/* Hands batches over to the loader in order; true if one that was admitted has not got there yet. */
static bool load_ready(struct pipeline *p, bool *loaded)
{
    for (struct batch *b = p->head; b; b = b->next) {
        if (b->state == BATCH_LOADING)
            continue;
        if (b->state != BATCH_READY)
            return true;
        batch_load(b);
        *loaded = true;
    }
    return false;
}

static bool has_room(const struct pipeline *p)
{
    return p->batches == 0 || (p->batches < p->lookahead && p->bytes < BYTES_MAX);
}

static void close_open(struct pipeline *p)
{
    for (struct batch *b = p->head; b; b = b->next)
        if (b->state == BATCH_OPEN)
            batch_map(b);
}

static void check_taints(struct pipeline *p)
{
    if (p->dead)
        return;
    if (p->selector_broken && p->rr->report->nerrors == 0) {
        struct plan_problem pp;
        for (size_t i = 0; plan_problem(p->rr->plan, i, &pp); i++)
            if (str_is(str_of(pp.field), "selector.query"))
                pipeline_record(p, pp.field, pp.message, 1);
    }
    if (p->selector_passed > 0 && p->rr->report->mapped == 0 && !p->rr->failed) {
        struct buf text;
        buf_init(&text, BUF_NO_LIMIT);
        buf_addf(&text,
                 "none of the %zu items that passed the selector has an identifier and a blueprint, so nothing is "
                 "deleted; correct these expressions: identifier ",
                 p->selector_passed);
        json_excerpt(&text, json_get_c(p->rr->res->mappings, "identifier"), 200);
        buf_adds(&text, ", blueprint ");
        json_excerpt(&text, json_get_c(p->rr->res->mappings, "blueprint"), 200);
        pipeline_record(p, "mapping", buf_cstr(&text), 1);
        buf_done(&text);
    }
}

static void finish(struct pipeline *p)
{
    p->over = true;
    check_taints(p);
    misconfig_log_end(p->misconfig);
    p->misconfig = NULL;
    pipeline_changed(p);
    p->done(p->arg, p);
}

static void on_linger(void *arg)
{
    struct pipeline *p = arg;
    p->linger = NULL; /* one-shot: it frees itself */
    loader_flush(p->run->loader);
}

static void stop_linger(struct pipeline *p)
{
    timer_stop(p->linger);
    p->linger = NULL;
}

/* Nothing that was admitted is still on its way to the loader. */
static void flush_soon(struct pipeline *p)
{
    if (p->source_done || p->dead || !has_room(p)) {
        stop_linger(p);
        loader_flush(p->run->loader);
    } else if (!p->linger && loader_has_open(p->run->loader)) {
        p->linger = timer_start(p->run->engine->loop, LINGER_MS, 0, on_linger, p);
    }
}

static void advance(void *arg)
{
    struct pipeline *p = arg;
    bool loaded = false;
    p->scheduled = false;
    if (p->cancel_wanted) {
        p->cancel_wanted = false;
        p->cancelled = true;
        if (!p->source_done && p->handle)
            p->run->engine->source->cancel(p->run->engine->source->arg, p->handle);
    }
    compare_ready(p);
    bool more = load_ready(p, &loaded);
    if (!more)
        flush_soon(p);
    for (struct batch **at = &p->head; *at;) {
        if ((*at)->state == BATCH_LOADING && (*at)->unresolved == 0)
            drop_batch(p, at);
        else
            at = &(*at)->next;
    }
    if (loaded)
        pipeline_changed(p);
    if (p->source_done && !p->head && !examples_busy(p->examples)) {
        if (!p->scheduled && !p->over) /* another turn that was asked for meanwhile must find us alive */
            finish(p);
        return;
    }
    if (p->room && has_room(p)) {
        void (*room)(void *) = p->room;
        p->room = NULL;
        room(p->room_arg);
    }
}

void pipeline_schedule(struct pipeline *p)
{
    if (p->scheduled || p->over)
        return;
    p->scheduled = true;
    loop_defer(p->run->engine->loop, advance, p);
}

/* Stops the handlers and forgets what has not begun to be compared. */
static void kill_rest(struct pipeline *p)
{
    p->dead = true;
    p->cancel_wanted = true;
    examples_stop(p->examples);
    close_open(p);
    for (struct batch *b = p->head; b; b = b->next)
        if (b->state == BATCH_MAPPING)
            worker_cancel(&b->job);
    pipeline_schedule(p);
}

void pipeline_abort(struct pipeline *p)
{
    if (p->over)
        return;
    kill_rest(p);
}

/* The sink --------------------------------------------------------------------------------------------------------- */

/* NULL if the value is a list of objects, else what is wrong with it. */
static const char *bad_batch(struct json items, struct buf *message)
{
    if (!json_is_arr(items)) {
        buf_addf(message, "a batch must be a list of objects, got %s: ", json_type_name(json_type(items)));
        json_excerpt(message, items, 120);
        return buf_cstr(message);
    }
    size_t i = 0;
    for (struct json_iter it = json_iter(items); json_next(&it); i++) {
        if (json_is_obj(it.val))
            continue;
        buf_addf(message, "a batch must be a list of objects, element %zu is %s: ", i + 1,
                 json_type_name(json_type(it.val)));
        json_excerpt(message, it.val, 120);
        return buf_cstr(message);
    }
    return NULL;
}

static bool reject_batch(struct pipeline *p, struct json items)
{
    struct buf message;
    buf_init(&message, 4096);
    const char *bad = bad_batch(items, &message);
    if (bad)
        pipeline_record(p, "batch", bad, 1);
    buf_done(&message);
    return bad != NULL;
}

static struct batch *last_batch(struct pipeline *p)
{
    struct batch *b = p->head;
    while (b && b->next)
        b = b->next;
    return b;
}

static void admit(struct pipeline *p, struct json_doc *doc, struct json items, bool from_list)
{
    struct batch *last = last_batch(p);
    if (from_list && last && last->state == BATCH_OPEN && last->bytes < BYTES_MAX) {
        batch_add_part(last, doc, items);
        return;
    }
    close_open(p);
    stop_linger(p);
    struct batch *b = batch_new(p);
    *p->tail = b;
    p->tail = &b->next;
    p->batches++;
    batch_add_part(b, doc, items);
    if (!from_list)
        batch_map(b);
}

static enum pushed sink_push(struct sink *s, struct json_doc *doc, struct json items, bool from_list, void (*room)(void *),
                             void *room_arg)
{
    struct pipeline *p = (struct pipeline *)s;
    bool empty_object = json_is_obj(items) && json_len(items) == 0; /* an empty Lua table */
    bool wanted = !p->dead && !p->source_done && !empty_object, refused = wanted && reject_batch(p, items);
    if (!wanted || refused || json_len(items) == 0) {
        json_unref(doc);
    } else {
        examples_offer(p->examples, items);
        admit(p, doc, items, from_list);
    }
    if (refused)
        return PUSH_REFUSED;
    if (p->dead)
        return PUSHED_FULL; /* it is being cancelled: no room will come */
    /* An open list waits for the next list, so it must not wait for room itself. */
    struct batch *last = last_batch(p);
    if (has_room(p) || (last && last->state == BATCH_OPEN && last->bytes < BYTES_MAX))
        return PUSHED;
    close_open(p);
    p->room = room;
    p->room_arg = room_arg;
    return PUSHED_FULL;
}

static void sink_error(struct sink *s, const char *where, const char *message)
{
    struct pipeline *p = (struct pipeline *)s;
    if (!p->run->event->aborted && !p->cancelled) /* a cancelled handler is no failure of its own */
        pipeline_record(p, where, message, 1);
}

static void sink_taint(struct sink *s, const char *message) { sink_error(s, "", message); }

static void sink_done(struct sink *s, const struct source_report *report)
{
    struct pipeline *p = (struct pipeline *)s;
    if (report)
        p->rr->evidence = *report;
    p->source_done = true;
    p->room = NULL;
    close_open(p);
    pipeline_schedule(p);
}

static const struct sink_ops ops = {sink_push, sink_error, sink_taint, sink_done};

/* Life ------------------------------------------------------------------------------------------------------------- */

static void examples_idle(void *arg) { pipeline_schedule(arg); }

/* Expressions that do not compile: the identity of entities is at stake with some (a taint), others are just null. */
static void report_problems(struct pipeline *p)
{
    struct plan_problem pp;
    for (size_t i = 0; plan_problem(p->rr->plan, i, &pp); i++) {
        if (pp.fatal && str_is(str_of(pp.field), "selector.query")) {
            p->selector_broken = true;
            continue;
        }
        char *text =
            xasprintf("%s does not compile%s: %s", pp.expr, pp.fatal ? "" : " and is sent as null", pp.message);
        if (pp.fatal) {
            pipeline_record(p, pp.field, text, 1);
        } else {
            report_error(p->rr->report, pp.field, text, 1);
            log_warn("kind=%.*s-%d %s: %s", STR_FMT(p->rr->res->kind), p->rr->res->index, pp.field, text);
        }
        free(text);
    }
}

struct pipeline *pipeline_new(struct run *run, struct resource_run *rr, void (*done)(void *arg, struct pipeline *p),
                              void *arg)
{
    struct pipeline *p = xcalloc(1, sizeof(*p));
    p->sink.ops = &ops;
    p->run = run;
    p->rr = rr;
    p->tail = &p->head;
    p->lookahead = run->engine->settings->resync_lookahead > 0 ? (size_t)run->engine->settings->resync_lookahead : 1;
    bool examples = run->engine->settings->send_raw_data_examples && !run->preview;
    p->examples = examples_new(run->engine->port, rr->res->kind, examples ? EXAMPLES : 0, examples_idle, p);
    p->misconfig = misconfig_log_new(rr->res->kind, rr->res->index);
    p->done = done;
    p->arg = arg;
    return p;
}

void pipeline_free(struct pipeline *p)
{
    if (!p)
        return;
    assert(!p->head);
    stop_linger(p);
    examples_free(p->examples);
    misconfig_log_end(p->misconfig);
    free(p);
}

void pipeline_start(struct pipeline *p, struct event *ev)
{
    report_problems(p);
    p->handle = p->run->engine->source->start(p->run->engine->source->arg, ev, p->rr->res, &p->sink);
    if (p->cancel_wanted)
        pipeline_schedule(p);
}

struct resource_run *pipeline_resource(const struct pipeline *p) { return p->rr; }
