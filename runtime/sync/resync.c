/* The run, step after step (sync S-34): state `running`, mapping, start hooks, resources, retry,
 * listing, certificate, deletion, complete hooks, final state. Each step's callback starts the next one, and every
 * callback first looks whether the run was aborted; `finish` is the one way out.
 *
 * An aborted run waits for what it has in flight (nothing of it can be called back into freed memory) but sends nothing
 * new. Two runs never overlap: listen/runner begins one when the other is gone, because they share lists in the state
 * file, caches and the state shown in Port.
 *
 * While a plan is made (run.preview is set) the same steps run, but nothing is said to Port and the stages give what
 * they would write to the plan. Where the run would call its complete hooks the plan is concluded instead. If it is the
 * accepted one, run.preview is cleared, its writes go out, and the run goes on behind its resources: retry, listing,
 * deletion. */
#define LOG_GROUP "sync.resync"
#include "sync/resync.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "port/integration.h"
#include "sync/certificate.h"
#include "sync/keycount.h"
#include "sync/pipeline.h"
#include "sync/preview.h"
#include "sync/reconcile.h"
#include "sync/resend.h"
#include "sync/resources.h"

#define EXIT_USAGE 2

/* See certificate.h: only `certify` below makes one. */
struct certificate {
    const struct resync *resync;
    const struct scope *scope;
    bool issued;
};

struct resync {
    struct run run;
    struct resync_opts o;
    char **kinds, **allow_empty; /* copies of the caller's lists */
    struct preview *preview;
    struct resources *resources; /* NULL before the mapping is here */
    struct scope *scope;         /* made when the resources are over */
    struct reconcile *reconcile;
    struct certificate certificate;
    struct resync_report report;
    int forced_exit;
    bool state_unknown; /* a start hook failed over HTTP (S-35) */
    bool finishing;
    uint64_t begin_ms;
    size_t requests_before;
    void (*progress)(void *arg, const struct resync_report *r);
    void (*done)(void *arg, const struct resync_report *r);
    void *arg;
};

static void finish(struct resync *r);
static void reconcile(struct resync *r);

static bool aborted(const struct resync *r) { return r->run.event->aborted; }

bool certificate_holds(const struct certificate *c) { return c->issued && !aborted(c->resync); }

bool certificate_covers(const struct certificate *c, struct str blueprint)
{
    return certificate_holds(c) && scope_covers(c->scope, blueprint);
}

static void fail(struct resync *r, const struct err *e)
{
    r->report.failed = true;
    report_fail(&r->report, e->msg);
    log_error("the resync failed: %s", e->msg);
    finish(r);
}

static void update_totals(struct resync *r)
{
    r->report.requests = port_requests(r->o.engine->port) - r->requests_before;
    r->report.seconds = (double)(clock_mono_ms() - r->begin_ms) / 1000.0;
}

static void on_changed(void *arg)
{
    struct resync *r = arg;
    update_totals(r);
    if (r->progress)
        r->progress(r->arg, &r->report);
}

/* The end ---------------------------------------------------------------------------------------------------------- */

static void free_list(char **list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(list[i]);
    free(list);
}

static void free_resync(struct resync *r)
{
    preview_free(r->preview);
    resources_free(r->resources);
    reconcile_free(r->reconcile);
    scope_free(r->scope);
    loader_free(r->run.loader);
    schemas_free(r->run.schemas);
    if (r->run.ledger)
        r->o.engine->ledger = NULL;
    ledger_free(r->run.ledger);
    keycount_free(r->run.pending);
    event_unref(r->run.event);
    report_done(&r->report);
    free_list(r->kinds, r->o.nkinds);
    free_list(r->allow_empty, r->o.nallow_empty);
    free(r);
}

static void deliver(void *arg)
{
    struct resync *r = arg;
    update_totals(r);
    report_close(&r->report, r->forced_exit);
    r->done(r->arg, &r->report);
    free_resync(r);
}

static void on_final_state(void *arg, const struct err *e)
{
    if (e)
        log_warn("the end of the resync could not be reported to Port: %s", e->msg);
    deliver(arg);
}

static const char *final_state(const struct resync *r)
{
    if (r->report.aborted)
        return "aborted";
    if (r->report.failed || r->report.failure)
        return "failed";
    for (size_t i = 0; i < r->report.n; i++)
        if (r->report.resources[i].state == RES_FAILED)
            return "failed";
    return "completed";
}

static void finish(struct resync *r)
{
    if (r->finishing)
        return;
    r->finishing = true;
    r->report.aborted = aborted(r);
    for (size_t i = 0; i < r->report.n; i++)
        if (r->report.resources[i].state < RES_COMPLETED && r->report.aborted)
            r->report.resources[i].state = RES_ABORTED;
    log_info("%s %s %s in %.5f s", r->run.preview ? "the plan of resync" : "resync", r->run.event->id, final_state(r),
             (double)(clock_wall_us() - r->run.event->start_wall_us) / 1e6);
    port_blueprints_clear(r->o.engine->port);
    if (r->o.preview && (r->run.preview || !r->preview)) { /* Port never heard of this run */
        loop_defer(r->o.engine->loop, deliver, r);
        return;
    }
    port_resync_state(r->o.engine->port, final_state(r), r->o.engine->settings->scheduled_resync_interval_min, on_final_state, r);
}

/* Reconciliation --------------------------------------------------------------------------------------------------- */

static void on_complete_hook(void *arg, const struct err *e, bool http_error)
{
    struct resync *r = arg;
    (void)http_error;
    if (e && !aborted(r)) {
        struct err mine;
        err_copy(&mine, e);
        err_wrap(&mine, "on_resync_complete");
        fail(r, &mine);
        return;
    }
    finish(r);
}

static void complete_hooks(void *arg)
{
    struct resync *r = arg;
    if (aborted(r)) {
        finish(r);
        return;
    }
    r->o.engine->source->hook(r->o.engine->source->arg, SOURCE_RESYNC_COMPLETE, r->run.event, on_complete_hook, r);
}

/* The only place that makes a certificate. */
static bool certify(struct resync *r)
{
    bool complete = !aborted(r) && !r->state_unknown && r->o.nkinds == 0 && !r->report.failed && !scope_empty(r->scope);
    r->certificate = (struct certificate){.resync = r, .scope = r->scope, .issued = complete};
    return complete;
}

static void on_applied(void *arg, const struct err *e)
{
    struct resync *r = arg;
    if (!aborted(r) && e)
        fail(r, e);
    else if (aborted(r) || r->run.mapping->n == 0)
        finish(r);
    else
        reconcile(r);
}

/* What the plan held back is released, and its own listing is not used again: what somebody wrote since then stays. */
static void apply(struct resync *r)
{
    size_t n;
    struct resource_run *list = resources_list(r->resources, &n);
    reconcile_free(r->reconcile);
    scope_free(r->scope);
    r->reconcile = NULL;
    r->scope = NULL;
    r->run.preview = NULL;
    r->report.held_back = 0;
    for (size_t i = 0; i < r->report.n; i++)
        r->report.resources[i].held_back = 0;
    preview_apply(r->preview, list, n, on_applied, r);
}

static void on_concluded(void *arg, enum preview_verdict v, const struct err *e)
{
    struct resync *r = arg;
    if (aborted(r)) {
        finish(r);
    } else if (e) {
        fail(r, e);
    } else if (v == PREVIEW_ACCEPTED) {
        apply(r);
    } else {
        r->report.planned = true;
        r->report.plan_refused = v == PREVIEW_REFUSED;
        finish(r);
    }
}

static const char *incomplete(const struct resync *r)
{
    return r->state_unknown                 ? "a start handler failed"
           : resources_failed(r->resources) ? "a resource had errors"
                                            : NULL;
}

/* What the script writes by itself is no part of the plan and was refused: nobody would make up for it. */
static void conclude(struct resync *r)
{
    static const char why[] = "the script itself wrote to Port, which is refused while a plan is made";
    const char *reason = incomplete(r);
    if (port_refused(r->o.engine->port)) {
        report_fail(&r->report, why);
        reason = reason ? reason : why;
    }
    preview_conclude(r->preview, reason, on_concluded, r);
}

/* A run of which a part failed ends without complete hooks, whatever it could delete. */
static void on_reconciled(void *arg)
{
    struct resync *r = arg;
    if (r->run.preview && !aborted(r))
        conclude(r);
    else if (incomplete(r))
        finish(r);
    else
        complete_hooks(r);
}

static void on_listed(void *arg, const struct err *e)
{
    struct resync *r = arg;
    if (aborted(r))
        finish(r);
    else if (e)
        fail(r, e);
    else if (certify(r))
        reconcile_delete(r->reconcile, &r->certificate, on_reconciled, r);
    else
        on_reconciled(r);
}

static void on_scope(void *arg, struct scope *s)
{
    struct resync *r = arg;
    r->scope = s;
    if (aborted(r) || scope_empty(s)) {
        on_reconciled(r);
        return;
    }
    double max_shrink = r->o.max_shrink_percent;
    struct reconcile_opts o = {
        .run = &r->run,
        .scope = r->scope,
        .accepted = r->preview && !r->run.preview,
        .allow_empty = (const char *const *)r->allow_empty,
        .nallow_empty = r->o.nallow_empty,
        .max_shrink_percent = max_shrink < 0 ? r->o.engine->settings->max_shrink_percent : max_shrink,
    };
    o.resources = resources_list(r->resources, &o.n);
    r->reconcile = reconcile_new(&o);
    reconcile_list(r->reconcile, on_listed, r);
}

static void on_resent(void *arg)
{
    struct resync *r = arg;
    size_t n;
    on_changed(r);
    if (aborted(r)) {
        finish(r);
    } else if (r->state_unknown) {
        log_warn("nothing is deleted in this run: a start handler failed");
        on_reconciled(r);
    } else if (r->o.nkinds) {
        on_reconciled(r);
    } else {
        const struct resource_run *list = resources_list(r->resources, &n);
        scope_make(&r->run, list, n, on_scope, r);
    }
}

static void reconcile(struct resync *r)
{
    size_t n;
    struct resource_run *list = resources_list(r->resources, &n);
    if (aborted(r) || r->run.mapping->create_missing_related || r->run.preview)
        on_resent(r);
    else
        resend_start(&r->run, list, n, on_resent, r);
}

/* Mapping, start hooks --------------------------------------------------------------------------------------------- */

static void on_resources(void *arg)
{
    struct resync *r = arg;
    if (aborted(r))
        finish(r);
    else
        reconcile(r);
}

static void on_start_hook(void *arg, const struct err *e, bool http_error)
{
    struct resync *r = arg;
    if (aborted(r)) {
        finish(r);
        return;
    }
    if (e) {
        struct err mine;
        err_copy(&mine, e);
        err_wrap(&mine, "on_resync_start");
        if (!http_error) {
            fail(r, &mine);
            return;
        }
        log_warn("%s; resources are processed, but nothing is deleted in this run", mine.msg);
        r->state_unknown = true;
        report_fail(&r->report, mine.msg);
    }
    resources_start(r->resources, on_resources, r);
}

static void make_stages(struct resync *r)
{
    const struct mapping_doc *m = r->run.mapping;
    const struct settings *s = r->o.engine->settings;
    r->run.write = (struct write_options){
        .merge = m->merge_entity,
        .create_missing = m->create_missing_related,
        .delete_dependents = m->delete_dependents,
        .event_type = event_type_name(EVENT_RESYNC),
        .resync_id = r->run.event->id,
        .feature = PORT_EXPORTER,
    };
    size_t n;
    resources_list(r->resources, &n);
    r->run.ledger = ledger_new(n);
    r->o.engine->ledger = r->run.ledger;
    struct loader_opts o = {
        .loop = r->o.engine->loop,
        .port = r->o.engine->port,
        .write = &r->run.write,
        .max_entities = s->upsert_max_entities > 0 ? (size_t)s->upsert_max_entities : 1,
        .max_bytes = s->upsert_max_bytes,
        .outcome = pipeline_outcome,
        .bulk_end = on_changed,
        .bulk_arg = r,
    };
    r->run.loader = loader_new(&o);
}

static void on_mapping(void *arg, struct mapping *m, const struct err *e)
{
    struct resync *r = arg;
    struct err mine = {0};
    if (m) {
        event_set_mapping(r->run.event, m);
        r->run.mapping = m->doc;
        mapping_unref(m); /* the event has it */
    }
    if (aborted(r)) {
        finish(r);
        return;
    }
    if (e) {
        err_copy(&mine, e);
        err_wrap(&mine, "the mapping");
        fail(r, &mine);
        return;
    }
    if (m->doc->n == 0) /* S-148 */
        log_warn("the mapping in Port has no resources: nothing to do. Add resources to the integration's mapping");
    if (m->doc->n == 0 && !r->run.preview) {
        finish(r);
        return;
    }
    if (resources_check_kinds(m->doc, (const char *const *)r->kinds, r->o.nkinds, &mine) < 0) {
        r->forced_exit = EXIT_USAGE;
        fail(r, &mine);
        return;
    }
    r->resources = resources_new(&r->run, (const char *const *)r->kinds, r->o.nkinds);
    make_stages(r);
    port_blueprints_clear(r->o.engine->port);
    if (!r->run.preview)
        state_list_clear(r->o.engine->state, RETRY_LIST);
    state_list_clear(r->o.engine->state, CANDIDATE_LIST);
    on_changed(r);
    if (m->doc->n == 0) { /* a plan may still have a set-up */
        on_reconciled(r);
        return;
    }
    const struct source *source = r->o.engine->source;
    source->hook(source->arg, SOURCE_RESYNC_START, r->run.event, on_start_hook, r);
}

static void on_running(void *arg, const struct err *e)
{
    struct resync *r = arg;
    if (e)
        log_warn("the start of the resync could not be reported to Port: %s", e->msg);
    if (aborted(r))
        finish(r);
    else
        mappings_get(r->o.engine->mappings, MAPPINGS_FRESH, on_mapping, r);
}

static void begin(void *arg)
{
    struct resync *r = arg;
    struct err e = {0};
    if (aborted(r)) { /* before anything was said: Port never heard of this run */
        r->report.aborted = true;
        deliver(r);
    } else if (r->o.preview) {
        r->preview = r->run.preview = preview_new(&r->run, r->o.preview, &e);
        if (r->preview)
            on_running(r, NULL);
        else
            fail(r, &e);
    } else {
        port_resync_state(r->o.engine->port, "running", r->o.engine->settings->scheduled_resync_interval_min, on_running, r);
    }
}

/* ------------------------------------------------------------------------------------------------------------------ */

static char **copy_list(const char *const *list, size_t n)
{
    char **copy = xcalloc(n + 1, sizeof(char *));
    for (size_t i = 0; i < n; i++)
        copy[i] = xstrdup(list[i]);
    return copy;
}

struct resync *resync_start(const struct resync_opts *o, void (*progress)(void *arg, const struct resync_report *r),
                            void (*done)(void *arg, const struct resync_report *r), void *arg)
{
    struct resync *r = xcalloc(1, sizeof(*r));
    r->o = *o;
    r->kinds = copy_list(o->kinds, o->nkinds);
    r->allow_empty = copy_list(o->allow_empty, o->nallow_empty);
    r->progress = progress;
    r->done = done;
    r->arg = arg;
    r->begin_ms = clock_mono_ms();
    r->requests_before = port_requests(o->engine->port);
    r->run = (struct run){
        .engine = o->engine,
        .event = event_new(EVENT_RESYNC, o->trigger, o->parent),
        .schemas = schemas_new(o->engine->loop, o->engine->port),
        .pending = keycount_new(),
        .report = &r->report,
        .changed = on_changed,
        .changed_arg = r,
    };
    memcpy(r->report.event_id, r->run.event->id, sizeof(r->report.event_id));
    loop_defer(o->engine->loop, begin, r);
    return r;
}

void resync_abort(struct resync *r)
{
    if (aborted(r))
        return;
    log_info("resync %s is aborted", r->run.event->id);
    r->run.event->aborted = true;
    if (r->resources)
        resources_abort(r->resources);
    if (r->run.loader)
        loader_abort(r->run.loader);
    if (r->preview)
        preview_abort(r->preview);
}
