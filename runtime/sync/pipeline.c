/* The life of a raw batch: OPEN (a list that may be followed by another list, S-40), MAPPING (on a worker, from the moment it
 * is admitted), MAPPED, COMPARING (lookups), READY, LOADING (its entities are in the loader), gone when the last outcome
 * is in. Mapping and lookups of several batches overlap; counting, comparing and loading begin in the order of the
 * batches, so that the state produced last wins. `advance` is the only place that moves batches on; it always runs from
 * the loop (loop_defer), never inside a callback of a stage.
 *
 * Bulks are filled across batches: a bulk that is not full waits while another batch was admitted and has not reached the
 * loader yet. It cannot wait for ever: admission stops at the lookahead.
 *
 * `dead` means the rest of the resource is not wanted (S-45, abort): handlers are cancelled, batches that have not begun to be
 * compared are dropped uncounted. */
#define LOG_GROUP "sync.pipeline"
#include "sync/pipeline.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "io/worker.h"
#include "sync/diff.h"
#include "sync/examples.h"
#include "sync/keycount.h"
#include "sync/loader.h"
#include "sync/misconfig.h"
#include "sync/resend.h"

#define BYTES_MAX ((size_t)16 << 20)
#define EXAMPLES 5
#define BAD_BATCHES_MAX 10 /* in a row; design.md section 9 item 10 */

enum batch_state { BATCH_OPEN, BATCH_MAPPING, BATCH_MAPPED, BATCH_COMPARING, BATCH_READY, BATCH_LOADING };

struct part { /* a list or batch as pushed */
    struct json_doc *doc;
    struct json items;
};

struct batch {
    struct worker_job job; /* first: the worker hands it back */
    struct pipeline *p;
    struct batch *next;
    enum batch_state state;
    bool from_list;
    struct part *parts;
    size_t nparts;
    size_t bytes;
    struct mapped_batch *mapped;
    struct err err; /* of the mapping as a whole */
    struct diff_item *items;
    size_t nitems;
    size_t unresolved; /* entities in the loader */
};

struct pipeline {
    struct sink sink; /* first: callbacks get it */
    struct run *run;
    struct resource_run *rr;
    void *handle; /* the source's */
    struct batch *head, **tail;
    size_t batches, bytes;
    size_t lookahead;
    void (*room)(void *arg);
    void *room_arg;
    struct examples *examples;
    struct misconfig_log *misconfig;
    size_t passed, bad_in_a_row, selector_passed;
    bool selector_broken; /* its compile error is reported through its items */
    bool source_done, dead, cancel_wanted, cancelled, scheduled, over;
    void (*done)(void *arg, struct pipeline *p);
    void *arg;
};

static void schedule(struct pipeline *p);
static void kill_rest(struct pipeline *p);

static void record(struct pipeline *p, const char *where, const char *message, size_t count)
{
    const struct mapping_resource *res = p->rr->res;
    p->rr->failed = true;
    report_error(p->rr->report, where, message, count);
    log_error("kind=%.*s-%d %s%s%s%s", STR_FMT(res->kind), res->index, message, where && *where ? " (" : "",
              where && *where ? where : "", where && *where ? ")" : "");
}

static void changed(struct pipeline *p)
{
    if (p->run->changed)
        p->run->changed(p->run->changed_arg);
}

static void free_parts(struct batch *b)
{
    for (size_t i = 0; i < b->nparts; i++)
        json_unref(b->parts[i].doc);
    free(b->parts);
    b->parts = NULL;
    b->nparts = 0;
}

static void free_batch(struct batch *b)
{
    free_parts(b);
    mapped_batch_free(b->mapped);
    free(b->items);
    free(b);
}

static void set_bytes(struct batch *b, size_t bytes)
{
    b->p->bytes += bytes - b->bytes;
    b->bytes = bytes;
}

/* Mapping ---------------------------------------------------------------------------------------------------------- */

/* Several lists become one array (S-40): rare, so their text is written and parsed again. */
static int join_parts(struct batch *b, struct err *e)
{
    struct buf text;
    buf_init(&text, BUF_NO_LIMIT);
    buf_addc(&text, '[');
    for (size_t i = 0; i < b->nparts; i++) {
        for (struct json_iter it = json_iter(b->parts[i].items); json_next(&it);) {
            if (text.n > 1)
                buf_addc(&text, ',');
            json_write(&text, it.val);
        }
    }
    buf_addc(&text, ']');
    struct json_doc *doc;
    int rc = json_parse(buf_str(&text), &doc, e);
    buf_done(&text);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < b->nparts; i++)
        json_unref(b->parts[i].doc);
    b->parts[0] = (struct part){doc, json_root(doc)};
    b->nparts = 1;
    return 0;
}

static void map_run(struct worker_job *job)
{
    struct batch *b = (struct batch *)job;
    if (atomic_load(&job->cancelled))
        return;
    if (b->nparts > 1 && join_parts(b, &b->err) < 0)
        return;
    if (plan_map(b->p->rr->plan, b->parts[0].items, false, &job->cancelled, &b->mapped, &b->err) < 0)
        b->mapped = NULL;
}

static void map_done(struct worker_job *job)
{
    struct batch *b = (struct batch *)job;
    free_parts(b); /* entities have texts of their own: the raw document is not needed any more */
    if (b->mapped)
        set_bytes(b, arena_used(b->mapped->arena));
    b->state = BATCH_MAPPED;
    schedule(b->p);
}

static void map_start(struct batch *b)
{
    b->state = BATCH_MAPPING;
    b->job.run = map_run;
    b->job.done = map_done;
    worker_submit(b->p->run->loop, &b->job);
}

/* Counting --------------------------------------------------------------------------------------------------------- */

static void note_entities(struct pipeline *p, const struct mapped_batch *m)
{
    struct ledger *l = p->run->ledger;
    bool targets = p->run->mapping->create_missing_related; /* else protection has no effect */
    for (size_t i = 0; i < m->n; i++) {
        const struct mapped_entity *e = &m->entities[i];
        if (e->flags & ENTITY_SEARCH_IDENTIFIER)
            ledger_produced_blueprint(l, p->rr->slot, e->blueprint);
        else
            ledger_produced(l, p->rr->slot, e->blueprint, e->key);
        for (size_t k = 0; targets && k < e->ntargets; k++)
            ledger_target(l, e->blueprint, e->targets[k].relation, e->targets[k].value);
    }
}

/* Numbers, errors and the misconfiguration report of a batch whose turn has come. */
static void count_batch(struct pipeline *p, const struct mapped_batch *m)
{
    struct resource_report *r = p->rr->report;
    r->extracted += m->extracted;
    r->filtered += m->filtered;
    r->unmappable += m->unmappable;
    r->mapped += m->n;
    p->passed += m->n;
    p->selector_passed += m->extracted - m->filtered - m->selector_errors;
    size_t errors = m->selector_errors + m->expand_errors + m->budget_errors;
    if (errors) {
        const char *where = m->selector_errors ? "selector.query" : m->expand_errors ? "itemsToParse" : "mapping";
        record(p, where, m->first_error ? m->first_error : "an expression failed", errors);
    }
    size_t dropped = m->unmappable - m->selector_errors;
    if (dropped && m->unmappable >= m->selector_errors)
        log_warn("kind=%.*s-%d %zu item%s without identifier or blueprint", STR_FMT(p->rr->res->kind), p->rr->res->index,
                 dropped, dropped == 1 ? "" : "s");
    struct str literal = plan_blueprint(p->rr->plan);
    misconfig_note(p->misconfig, m->misconfig, m->nmisconfig,
                   literal.p ? schemas_find(p->run->schemas, literal) : NULL);
    note_entities(p, m);
}

/* Comparing and loading -------------------------------------------------------------------------------------------- */

static void on_compared(void *arg)
{
    struct batch *b = arg;
    b->state = BATCH_READY;
    schedule(b->p);
}

static void compare_start(struct batch *b)
{
    struct pipeline *p = b->p;
    struct mapped_batch *m = b->mapped;
    count_batch(p, m);
    bool wanted = diff_wanted(m->entities, m->n, p->passed);
    b->items = xcalloc(m->n ? m->n : 1, sizeof(*b->items));
    b->nitems = diff_items(m->entities, m->n, wanted, b->items);
    p->rr->report->duplicates += m->n - b->nitems;
    for (size_t i = 0; i < b->nitems; i++)
        b->items[i].dirty = keycount_add(p->run->pending, b->items[i].e->key) > 0;
    changed(p);
    if (!wanted) {
        b->state = BATCH_READY;
        return;
    }
    b->state = BATCH_COMPARING;
    const struct str *parts;
    size_t nparts = plan_parts(p->rr->plan, &parts);
    diff_lookup(p->run, b->items, b->nitems, parts, nparts, on_compared, b);
}

static void load_start(struct batch *b)
{
    struct pipeline *p = b->p;
    b->state = BATCH_LOADING;
    bool stopped = p->run->event->aborted;
    for (size_t i = 0; i < b->nitems; i++) {
        const struct diff_item *item = &b->items[i];
        if (item->send && !stopped) {
            b->unresolved++;
            loader_add(p->run->loader, item->e, b);
            continue;
        }
        keycount_drop(p->run->pending, item->e->key);
        if (stopped)
            p->rr->report->rejected++; /* keeps the sums right: mapped, but its state in Port is not ours */
        else
            p->rr->report->unchanged++;
    }
}

static void rejected(struct pipeline *p, const struct mapped_entity *e, const struct load_outcome *o)
{
    struct buf message, where;
    p->rr->report->rejected++;
    if (o->abandoned)
        return;
    if (o->what == UPSERT_FAILED && !p->run->mapping->create_missing_related) {
        resend_keep(p->run, p->rr->slot, e); /* the retry has the last word (S-114, Q-7) */
        return;
    }
    buf_init(&message, BUF_NO_LIMIT);
    buf_init(&where, BUF_NO_LIMIT);
    buf_addf(&where, "blueprint %.*s", STR_FMT(e->blueprint));
    if (o->status)
        buf_addf(&message, "Port rejected an entity (%d): %.*s", o->status, STR_FMT(o->message));
    else
        buf_addf(&message, "an entity was not written: %.*s", STR_FMT(o->message));
    report_error(p->rr->report, buf_cstr(&where), buf_cstr(&message), 1);
    buf_done(&message);
    buf_done(&where);
}

static void accepted(struct pipeline *p, const struct mapped_entity *e, const struct load_outcome *o)
{
    struct ledger *l = p->run->ledger;
    bool search = e->flags & ENTITY_SEARCH_IDENTIFIER;
    if (o->what == UPSERT_CREATED)
        p->rr->report->created++;
    else
        p->rr->report->updated++;
    if (search && !o->identifier.p) {
        ledger_exclude(l, e->blueprint); /* something was written, and we were not told what */
        return;
    }
    struct key128 key = search ? key128_entity(e->blueprint, o->identifier) : e->key;
    if (search)
        ledger_produced(l, p->rr->slot, e->blueprint, key);
    if (o->created_known && o->what == UPSERT_UPDATED)
        ledger_updated(l, e->blueprint, key);
}

void pipeline_outcome(void *arg, const struct mapped_entity *e, const struct load_outcome *o)
{
    struct batch *b = arg;
    struct pipeline *p = b->p;
    bool search = e->flags & ENTITY_SEARCH_IDENTIFIER;
    /* A search identifier that matched nothing is fine; one that failed may stand for any entity of its blueprint. */
    bool failed = o->what == UPSERT_FAILED || (o->what == UPSERT_UNMATCHED && o->status && o->status != 404);
    if (failed && search)
        ledger_exclude(p->run->ledger, e->blueprint);
    if (!failed && o->what == UPSERT_UNMATCHED) {
        p->rr->report->unmatched++;
    } else if (!failed) {
        accepted(p, e, o);
    } else {
        rejected(p, e, o);
    }
    keycount_drop(p->run->pending, e->key);
    assert(b->unresolved > 0);
    if (--b->unresolved == 0)
        schedule(p);
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
    free_batch(b);
}

static bool map_failed(const struct batch *b)
{
    return b->state == BATCH_MAPPED && (!b->mapped || b->mapped->cancelled);
}

/* Begins the comparison of every mapped batch whose predecessors have begun theirs. */
static void compare_ready(struct pipeline *p)
{
    for (struct batch **at = &p->head; *at;) {
        struct batch *b = *at;
        if (b->state < BATCH_MAPPED)
            break;
        if (b->state == BATCH_MAPPED && (p->dead || map_failed(b))) {
            if (!p->dead) {
                record(p, "", b->err.code ? b->err.msg : "the batch could not be mapped", 1);
                kill_rest(p);
            }
            drop_batch(p, at);
            continue;
        }
        if (b->state == BATCH_MAPPED)
            compare_start(b);
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
        load_start(b);
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
            map_start(b);
}

static void check_taints(struct pipeline *p)
{
    char text[200];
    if (p->dead)
        return;
    if (p->selector_broken && p->rr->report->nerrors == 0) {
        struct plan_problem pp;
        for (size_t i = 0; plan_problem(p->rr->plan, i, &pp); i++)
            if (str_is(str_of(pp.field), "selector.query"))
                record(p, pp.field, pp.message, 1);
    }
    if (p->selector_passed > 0 && p->rr->report->mapped == 0 && !p->rr->failed) {
        snprintf(text, sizeof(text),
                 "none of the %zu items that passed the selector has an identifier and a blueprint: nothing is deleted; "
                 "correct these two expressions",
                 p->selector_passed);
        record(p, "mapping", text, 1);
    }
}

static void finish(struct pipeline *p)
{
    p->over = true;
    check_taints(p);
    misconfig_log_end(p->misconfig);
    p->misconfig = NULL;
    changed(p);
    p->done(p->arg, p);
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
            p->run->source->cancel(p->run->source->arg, p->handle);
    }
    compare_ready(p);
    bool more = load_ready(p, &loaded);
    if (!more)
        loader_flush(p->run->loader);
    for (struct batch **at = &p->head; *at;) {
        if ((*at)->state == BATCH_LOADING && (*at)->unresolved == 0)
            drop_batch(p, at);
        else
            at = &(*at)->next;
    }
    if (loaded)
        changed(p);
    if (p->source_done && !p->head && !examples_busy(p->examples)) {
        if (!p->over)
            finish(p);
        return;
    }
    if (p->room && has_room(p)) {
        void (*room)(void *) = p->room;
        p->room = NULL;
        room(p->room_arg);
    }
}

static void schedule(struct pipeline *p)
{
    if (p->scheduled || p->over)
        return;
    p->scheduled = true;
    loop_defer(p->run->loop, advance, p);
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
    schedule(p);
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
    if (bad) {
        record(p, "batch", bad, 1);
        if (++p->bad_in_a_row == BAD_BATCHES_MAX) {
            log_error("kind=%.*s-%d the handler is ended: %d batches in a row were no lists of objects",
                      STR_FMT(p->rr->res->kind), p->rr->res->index, BAD_BATCHES_MAX);
            p->cancel_wanted = true;
            schedule(p);
        }
    } else {
        p->bad_in_a_row = 0;
    }
    buf_done(&message);
    return bad != NULL;
}

static void add_part(struct batch *b, struct json_doc *doc, struct json items)
{
    b->parts = xrealloc(b->parts, (b->nparts + 1) * sizeof(*b->parts));
    b->parts[b->nparts++] = (struct part){doc, items};
    set_bytes(b, b->bytes + json_doc_bytes(doc));
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
        add_part(last, doc, items);
        return;
    }
    close_open(p);
    struct batch *b = xcalloc(1, sizeof(*b));
    b->p = p;
    b->from_list = from_list;
    *p->tail = b;
    p->tail = &b->next;
    p->batches++;
    add_part(b, doc, items);
    if (!from_list)
        map_start(b);
}

static bool sink_push(struct sink *s, struct json_doc *doc, struct json items, bool from_list, void (*room)(void *),
                      void *room_arg)
{
    struct pipeline *p = (struct pipeline *)s;
    bool empty_object = json_is_obj(items) && json_len(items) == 0; /* an empty Lua table */
    if (p->dead || p->source_done || empty_object || reject_batch(p, items) || json_len(items) == 0) {
        json_unref(doc);
    } else {
        examples_offer(p->examples, items);
        admit(p, doc, items, from_list);
    }
    /* An open list waits for the next list, so it must not wait for room itself. */
    struct batch *last = last_batch(p);
    if (p->dead || has_room(p) || (last && last->state == BATCH_OPEN && last->bytes < BYTES_MAX))
        return true;
    close_open(p);
    p->room = room;
    p->room_arg = room_arg;
    return false;
}

static void sink_error(struct sink *s, const char *where, const char *message)
{
    struct pipeline *p = (struct pipeline *)s;
    if (!p->run->event->aborted && !p->cancelled) /* a cancelled handler is no failure of its own */
        record(p, where, message, 1);
}

static void sink_taint(struct sink *s, const char *message)
{
    sink_error(s, "", message);
}

static void sink_done(struct sink *s, const struct source_report *report)
{
    struct pipeline *p = (struct pipeline *)s;
    if (report)
        p->rr->evidence = *report;
    p->source_done = true;
    p->room = NULL;
    close_open(p);
    schedule(p);
}

static const struct sink_ops ops = {sink_push, sink_error, sink_taint, sink_done};

/* Life ------------------------------------------------------------------------------------------------------------- */

static void examples_idle(void *arg)
{
    schedule(arg);
}

/* Expressions that do not compile: the identity of entities is at stake with some (a taint), others are just null. */
static void report_problems(struct pipeline *p)
{
    struct plan_problem pp;
    for (size_t i = 0; plan_problem(p->rr->plan, i, &pp); i++) {
        if (pp.fatal && str_is(str_of(pp.field), "selector.query")) {
            p->selector_broken = true;
        } else if (pp.fatal) {
            record(p, pp.field, pp.message, 1);
        } else {
            report_error(p->rr->report, pp.field, pp.message, 1);
            log_warn("kind=%.*s-%d %s does not compile and is sent as null: %s: %s", STR_FMT(p->rr->res->kind),
                     p->rr->res->index, pp.field, pp.expr, pp.message);
        }
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
    p->lookahead = run->settings->resync_lookahead > 0 ? (size_t)run->settings->resync_lookahead : 1;
    p->examples = examples_new(run->port, rr->res->kind, run->settings->send_raw_data_examples ? EXAMPLES : 0,
                               examples_idle, p);
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
    examples_free(p->examples);
    misconfig_log_end(p->misconfig);
    free(p);
}

void pipeline_start(struct pipeline *p, struct event *ev)
{
    report_problems(p);
    p->handle = p->run->source->start(p->run->source->arg, ev, p->rr->res, &p->sink);
    if (p->cancel_wanted)
        schedule(p);
}

struct resource_run *pipeline_resource(const struct pipeline *p)
{
    return p->rr;
}
