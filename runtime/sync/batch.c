/* The steps of a batch: map (worker), count, compare, load, outcomes. The counting keeps the equations of the summary
 * (design.md section 8): whatever is mapped ends as exactly one of created, updated, unchanged, rejected, duplicate,
 * unmatched. */
#define LOG_GROUP "sync.pipeline"
#include "sync/batch.h"

#include <assert.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "sync/certified.h"
#include "sync/event.h"
#include "sync/keycount.h"
#include "sync/loader.h"
#include "sync/misconfig.h"
#include "sync/pipeline.h"
#include "sync/preview.h"
#include "sync/resend.h"

static void free_parts(struct batch *b)
{
    for (size_t i = 0; i < b->nparts; i++)
        json_unref(b->parts[i].doc);
    free(b->parts);
    b->parts = NULL;
    b->nparts = 0;
}

void batch_free(struct batch *b)
{
    free_parts(b);
    foreseen_free(b->foreseen);
    mapped_batch_free(b->mapped);
    free(b->items);
    free(b);
}

struct batch *batch_new(struct pipeline *p)
{
    struct batch *b = xcalloc(1, sizeof(*b));
    b->p = p;
    return b;
}

static void set_bytes(struct batch *b, size_t bytes)
{
    b->p->bytes += bytes - b->bytes;
    b->bytes = bytes;
}

void batch_add_part(struct batch *b, struct json_doc *doc, struct json items)
{
    b->parts = xrealloc(b->parts, (b->nparts + 1) * sizeof(*b->parts));
    b->parts[b->nparts++] = (struct part){doc, items};
    set_bytes(b, b->bytes + json_doc_bytes(doc));
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
    pipeline_schedule(b->p);
}

void batch_map(struct batch *b)
{
    b->state = BATCH_MAPPING;
    b->job.run = map_run;
    b->job.done = map_done;
    worker_submit(b->p->run->engine->loop, &b->job);
}

bool batch_map_failed(const struct batch *b)
{
    return b->state == BATCH_MAPPED && (!b->mapped || b->mapped->cancelled);
}

/* Counting --------------------------------------------------------------------------------------------------------- */

/* A computed blueprint that this resource produces for the first time in this run is on record before an entity of it
 * goes out: a later run that fails must know it (scope.h). */
static void note_blueprint(struct pipeline *p, struct str blueprint)
{
    const struct ledger_blueprint *b = ledger_blueprint(p->run->ledger, blueprint);
    if (!b || !b->by[p->rr->slot])
        certified_begin(p->run->engine->state, p->rr->res->kind, blueprint);
}

static void note_entities(struct pipeline *p, const struct mapped_batch *m)
{
    struct ledger *l = p->run->ledger;
    bool computed = !plan_blueprint(p->rr->plan).p;
    bool targets = p->run->mapping->create_missing_related; /* else protection has no effect */
    for (size_t i = 0; i < m->n; i++) {
        const struct mapped_entity *e = &m->entities[i];
        if (computed && !p->run->preview)
            note_blueprint(p, e->blueprint);
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
        pipeline_record(p, where, m->first_error ? m->first_error : "an expression failed", errors);
    }
    /* Items over a budget are unmappable too; those of itemsToParse have no element that could be counted. */
    size_t failed = m->selector_errors + m->budget_errors, dropped = m->unmappable > failed ? m->unmappable - failed : 0;
    if (dropped)
        log_warn("kind=%.*s-%d %zu item%s without identifier or blueprint", STR_FMT(p->rr->res->kind),
                 p->rr->res->index, dropped, dropped == 1 ? "" : "s");
    struct str literal = plan_blueprint(p->rr->plan);
    misconfig_note(p->misconfig, m->misconfig, m->nmisconfig,
                   literal.p ? schemas_find(p->run->schemas, literal) : NULL);
    note_entities(p, m);
}

/* Comparing and loading -------------------------------------------------------------------------------------------- */

static void on_compared(void *arg)
{
    struct batch *b = arg;
    if (b->foreseen && foreseen_trouble(b->foreseen))
        pipeline_record(b->p, "", foreseen_trouble(b->foreseen), 1);
    b->state = BATCH_READY;
    pipeline_schedule(b->p);
}

void batch_compare(struct batch *b)
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
    pipeline_changed(p);
    b->state = BATCH_COMPARING;
    if (p->run->preview) {
        b->foreseen = preview_compare(p->run->preview, p->rr, b->items, b->nitems, !wanted, on_compared, b);
        return;
    }
    if (!wanted) {
        b->state = BATCH_READY;
        return;
    }
    const struct str *parts;
    size_t nparts = plan_parts(p->rr->plan, &parts);
    diff_lookup(p->run, b->items, b->nitems, parts, nparts, on_compared, b);
}

static void on_kept(void *arg)
{
    struct batch *b = arg;
    b->unresolved = 0;
    pipeline_schedule(b->p);
}

static void keep_batch(struct batch *b)
{
    for (size_t i = 0; i < b->nitems; i++)
        keycount_drop(b->p->run->pending, b->items[i].e->key);
    b->unresolved = 1;
    preview_keep(b->p->run->preview, b->foreseen, on_kept, b);
}

void batch_load(struct batch *b)
{
    struct pipeline *p = b->p;
    b->state = BATCH_LOADING;
    bool stopped = p->run->event->aborted;
    if (b->foreseen && !stopped) {
        keep_batch(b);
        return;
    }
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

static void rejected(struct run *run, struct resource_run *rr, const struct mapped_entity *e,
                     const struct load_outcome *o)
{
    struct buf message, where;
    rr->report->rejected++;
    if (o->abandoned)
        return;
    if (o->what == UPSERT_FAILED && !run->mapping->create_missing_related) {
        resend_keep(run, rr->slot, e); /* the retry has the last word (S-114, Q-7) */
        return;
    }
    buf_init(&message, BUF_NO_LIMIT);
    buf_init(&where, BUF_NO_LIMIT);
    buf_addf(&where, "blueprint %.*s", STR_FMT(e->blueprint));
    if (o->status)
        buf_addf(&message, "Port rejected an entity (%d): %.*s", o->status, STR_FMT(o->message));
    else
        buf_addf(&message, "an entity was not written: %.*s", STR_FMT(o->message));
    report_error(rr->report, buf_cstr(&where), buf_cstr(&message), 1);
    buf_done(&message);
    buf_done(&where);
}

static void accepted(struct run *run, struct resource_run *rr, const struct mapped_entity *e,
                     const struct load_outcome *o)
{
    struct ledger *l = run->ledger;
    bool search = e->flags & ENTITY_SEARCH_IDENTIFIER;
    if (o->what == UPSERT_CREATED)
        rr->report->created++;
    else
        rr->report->updated++;
    if (search && !o->identifier.p) {
        ledger_exclude(l, e->blueprint); /* something was written, and we were not told what */
        return;
    }
    struct key128 key = search ? key128_entity(e->blueprint, o->identifier) : e->key;
    if (search)
        ledger_produced(l, rr->slot, e->blueprint, key);
    if (o->what == UPSERT_CREATED)
        ledger_created(l, key);
    else if (o->created_known)
        ledger_updated(l, e->blueprint, key);
}

void batch_outcome(struct run *run, struct resource_run *rr, const struct mapped_entity *e, const struct load_outcome *o)
{
    bool search = e->flags & ENTITY_SEARCH_IDENTIFIER;
    /* A search identifier that matched nothing is fine; one that failed may stand for any entity of its blueprint
     * (Q-25). */
    bool failed = o->what == UPSERT_FAILED || (o->what == UPSERT_UNMATCHED && o->status && o->status != 404);
    if (failed && search)
        ledger_exclude(run->ledger, e->blueprint);
    if (!failed && o->what == UPSERT_UNMATCHED) {
        rr->report->unmatched++;
    } else if (!failed) {
        accepted(run, rr, e, o);
    } else {
        rejected(run, rr, e, o);
    }
}

void pipeline_outcome(void *arg, const struct mapped_entity *e, const struct load_outcome *o)
{
    struct batch *b = arg;
    struct pipeline *p = b->p;
    batch_outcome(p->run, p->rr, e, o);
    keycount_drop(p->run->pending, e->key);
    assert(b->unresolved > 0);
    if (--b->unresolved == 0)
        pipeline_schedule(p);
}
