/* The run, step after step (sync S-34): state `running`, mapping, plans, start hooks, blueprints, resources, retry,
 * listing, certificate, deletion, complete hooks, final state. Each step's callback starts the next one, and every
 * callback first looks whether the run was aborted; `finish` is the one way out.
 *
 * An aborted run waits for what it has in flight (nothing of it can be called back into freed memory) but sends nothing
 * new. A newer resync in the process aborts the older one (S-9); the older one then neither reports its state to Port
 * nor clears a cache the newer one uses (S-51, Q-12). */
#define LOG_GROUP "sync.resync"
#include "sync/resync.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/worker.h"
#include "port/integration.h"
#include "sync/certificate.h"
#include "sync/keycount.h"
#include "sync/pipeline.h"
#include "sync/reconcile.h"
#include "sync/resend.h"
#include "sync/run.h"

#define EXIT_USAGE 2

/* See certificate.h: only `certify` below makes one. */
struct certificate {
    const struct resync *resync;
    bool issued;
};

struct compile_job {
    struct worker_job job; /* first */
    struct resync *r;
    struct plan_opts opts;
};

struct resync {
    struct run run;
    struct resync_opts o;
    char **kinds, **allow_empty; /* copies of the caller's lists */
    struct resource_run *resources;
    size_t n, next;
    struct pipeline **active; /* room for n */
    size_t nactive;
    struct compile_job compile;
    struct reconcile *reconcile;
    struct certificate certificate;
    struct resync_report report;
    int forced_exit;
    bool state_unknown; /* a start hook failed over HTTP (S-35) */
    bool superseded, finishing;
    uint64_t begin_ms;
    size_t requests_before;
    void (*progress)(void *arg, const struct resync_report *r);
    void (*done)(void *arg, const struct resync_report *r);
    void *arg;
    struct resync *next_running;
};

static struct resync *running; /* of this process */

static void finish(struct resync *r);
static void next_resource(struct resync *r);

static bool aborted(const struct resync *r) { return r->run.event->aborted; }

bool certificate_holds(const struct certificate *c) { return c->issued && !aborted(c->resync); }

static void fail(struct resync *r, const struct err *e)
{
    r->report.failed = true;
    report_fail(&r->report, e->msg);
    log_error("the resync failed: %s", e->msg);
    finish(r);
}

static void update_totals(struct resync *r)
{
    r->report.requests = port_requests(r->o.port) - r->requests_before;
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
    for (size_t i = 0; i < r->n; i++)
        plan_free(r->resources[i].plan);
    free(r->resources);
    free(r->active);
    reconcile_free(r->reconcile);
    loader_free(r->run.loader);
    schemas_free(r->run.schemas);
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
    for (struct resync **at = &running; *at; at = &(*at)->next_running) {
        if (*at == r) {
            *at = r->next_running;
            break;
        }
    }
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
    log_info("resync %s %s in %.5f s", r->run.event->id, final_state(r),
             (double)(clock_wall_us() - r->run.event->start_wall_us) / 1e6);
    if (r->superseded) {
        loop_defer(r->o.loop, deliver, r);
        return;
    }
    port_blueprints_clear(r->o.port);
    port_resync_state(r->o.port, final_state(r), r->o.settings->scheduled_resync_interval_min, on_final_state, r);
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
    r->o.source->hook(r->o.source->arg, SOURCE_RESYNC_COMPLETE, r->run.event, on_complete_hook, r);
}

/* The only place that makes a certificate. */
static bool certify(struct resync *r)
{
    bool complete = !aborted(r) && !r->state_unknown && r->o.nkinds == 0 && !r->report.failed;
    for (size_t i = 0; i < r->n; i++)
        complete &= !r->resources[i].failed && r->resources[i].report->state == RES_COMPLETED;
    r->certificate = (struct certificate){.resync = r, .issued = complete};
    return complete;
}

static void on_listed(void *arg, const struct err *e)
{
    struct resync *r = arg;
    if (aborted(r))
        finish(r);
    else if (e)
        fail(r, e);
    else if (certify(r))
        reconcile_delete(r->reconcile, &r->certificate, complete_hooks, r);
    else
        complete_hooks(r);
}

static bool any_failed(const struct resync *r)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->resources[i].failed)
            return true;
    return false;
}

static void on_resent(void *arg)
{
    struct resync *r = arg;
    on_changed(r);
    if (aborted(r) || r->state_unknown || any_failed(r)) {
        if (!aborted(r))
            log_warn("nothing is deleted in this run: %s",
                     r->state_unknown ? "a start handler failed" : "a resource had errors");
        finish(r);
        return;
    }
    if (r->o.nkinds) {
        complete_hooks(r);
        return;
    }
    struct reconcile_opts o = {
        .run = &r->run,
        .resources = r->resources,
        .n = r->n,
        .allow_empty = (const char *const *)r->allow_empty,
        .nallow_empty = r->o.nallow_empty,
        .max_shrink_percent = r->o.max_shrink_percent < 0 ? r->o.settings->max_shrink_percent : r->o.max_shrink_percent,
    };
    r->reconcile = reconcile_new(&o);
    reconcile_list(r->reconcile, on_listed, r);
}

static void reconcile(struct resync *r)
{
    if (aborted(r) || r->run.mapping->create_missing_related)
        on_resent(r);
    else
        resend_start(&r->run, r->resources, r->n, on_resent, r);
}

/* Resources -------------------------------------------------------------------------------------------------------- */

static void resource_error(struct resource_run *rr, const char *where, const char *message)
{
    rr->failed = true;
    report_error(rr->report, where, message, 1);
    log_error("kind=%.*s-%d %s", STR_FMT(rr->res->kind), rr->res->index, message);
}

/* What keeps a resource from being processed at all; true if something does. */
static bool resource_blocked(struct resync *r, struct resource_run *rr)
{
    if (!rr->plan) {
        resource_error(rr, "mapping", rr->err.msg);
        return true;
    }
    struct str literal = plan_blueprint(rr->plan);
    const struct schema *s = literal.p ? schemas_find(r->run.schemas, literal) : NULL;
    struct buf text;
    buf_init(&text, BUF_NO_LIMIT);
    if (!r->o.source->has_handler(r->o.source->arg, rr->res->kind)) {
        buf_addf(&text, "no resync handler for kind '%.*s'; handlers exist for: ", STR_FMT(rr->res->kind));
        r->o.source->kinds(r->o.source->arg, &text);
        resource_error(rr, "mapping", buf_cstr(&text));
    } else if (s && schema_missing(s)) {
        buf_addf(&text,
                 "blueprint '%.*s' does not exist in Port: create it, define it in .port/resources/blueprints.json or "
                 "ocean.define { blueprints = ... }, or correct 'blueprint' in the mapping",
                 STR_FMT(literal));
        resource_error(rr, "mapping", buf_cstr(&text));
    } else if (s && s->err.code) {
        log_warn("blueprint '%.*s' cannot be read: %s", STR_FMT(literal), s->err.msg);
    }
    buf_done(&text);
    return rr->failed;
}

static void on_pipeline(void *arg, struct pipeline *p)
{
    struct resync *r = arg;
    struct resource_run *rr = pipeline_resource(p);
    rr->report->state = aborted(r) ? RES_ABORTED : rr->failed ? RES_FAILED : RES_COMPLETED;
    for (size_t i = 0; i < r->nactive; i++) {
        if (r->active[i] == p) {
            r->active[i] = r->active[--r->nactive];
            break;
        }
    }
    pipeline_free(p);
    r->run.event->resource = NULL;
    on_changed(r);
    next_resource(r);
}

/* With several resources at once each gets a context of its own, which answers to the run's id (S-14). */
static struct event *resource_event(struct resync *r, const struct resource_run *rr)
{
    struct event *ev = r->run.event;
    if (r->o.settings->resync_concurrency > 1) {
        ev = event_new(EVENT_RESYNC, ev->trigger, ev);
        memcpy(ev->id, r->run.event->id, sizeof(ev->id));
        ev->start_wall_us = r->run.event->start_wall_us;
    } else {
        event_ref(ev);
    }
    ev->resource = rr->res;
    return ev;
}

static void start_resource(struct resync *r, struct resource_run *rr)
{
    rr->report->state = RES_RUNNING;
    struct pipeline *p = pipeline_new(&r->run, rr, on_pipeline, r);
    r->active[r->nactive++] = p;
    on_changed(r);
    struct event *ev = resource_event(r, rr);
    pipeline_start(p, ev);
    event_unref(ev);
}

static void next_resource(struct resync *r)
{
    int wanted = r->o.settings->resync_concurrency;
    size_t limit = wanted > 1 ? (size_t)wanted : 1;
    while (!aborted(r) && r->next < r->n && r->nactive < limit) {
        struct resource_run *rr = &r->resources[r->next++];
        if (!resource_blocked(r, rr)) {
            start_resource(r, rr);
            continue;
        }
        rr->report->state = RES_FAILED;
        on_changed(r);
    }
    if (r->nactive)
        return;
    if (aborted(r))
        finish(r);
    else
        reconcile(r);
}

static void on_blueprints(void *arg) { next_resource(arg); }

static void read_blueprints(struct resync *r)
{
    struct str *names = xcalloc(r->n + 1, sizeof(*names));
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++)
        if (r->resources[i].plan && plan_blueprint(r->resources[i].plan).p)
            names[n++] = plan_blueprint(r->resources[i].plan);
    schemas_read(r->run.schemas, names, n, on_blueprints, r);
    free(names);
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
    read_blueprints(r);
}

/* Mapping and plans ------------------------------------------------------------------------------------------------ */

static void compile_run(struct worker_job *job)
{
    struct compile_job *c = (struct compile_job *)job;
    for (size_t i = 0; i < c->r->n; i++) {
        struct resource_run *rr = &c->r->resources[i];
        if (plan_compile(rr->res, &c->opts, &rr->plan, &rr->err) < 0)
            rr->plan = NULL;
    }
}

static void compile_done(struct worker_job *job)
{
    struct resync *r = ((struct compile_job *)job)->r;
    if (aborted(r))
        finish(r);
    else
        r->o.source->hook(r->o.source->arg, SOURCE_RESYNC_START, r->run.event, on_start_hook, r);
}

static void compile(struct resync *r)
{
    r->compile.r = r;
    r->compile.opts = (struct plan_opts){
        .jq = r->o.jq,
        .env_access = r->o.settings->jq_env_access,
        .env = r->o.jq_env,
        .items_batch = r->o.settings->items_to_parse_batch,
    };
    r->compile.job.run = compile_run;
    r->compile.job.done = compile_done;
    worker_submit(r->o.loop, &r->compile.job);
}

static bool kind_wanted(const struct resync *r, struct str kind)
{
    for (size_t i = 0; i < r->o.nkinds; i++)
        if (str_is(kind, r->kinds[i]))
            return true;
    return r->o.nkinds == 0;
}

/* --kind names what the mapping does not have: a usage error that lists what it has. */
static int check_kinds(const struct resync *r, struct err *e)
{
    const struct mapping_doc *m = r->run.mapping;
    for (size_t i = 0; i < r->o.nkinds; i++) {
        bool known = false;
        struct buf list;
        buf_init(&list, 4096);
        for (size_t k = 0; k < m->n; k++) {
            known |= str_is(m->resources[k].kind, r->kinds[i]);
            if (k == 0 || !str_eq(m->resources[k].kind, m->resources[k - 1].kind))
                buf_addf(&list, "%s%.*s", list.n ? ", " : "", STR_FMT(m->resources[k].kind));
        }
        if (!known)
            ERR(e, ERR_INVAL, "--kind %s: the mapping has no such kind; it has: %s", r->kinds[i], buf_cstr(&list));
        buf_done(&list);
        if (!known)
            return ERR_INVAL;
    }
    return 0;
}

static void make_resources(struct resync *r)
{
    const struct mapping_doc *m = r->run.mapping;
    r->resources = xcalloc(m->n + 1, sizeof(*r->resources));
    for (size_t i = 0; i < m->n; i++)
        if (kind_wanted(r, m->resources[i].kind))
            r->resources[r->n++].res = &m->resources[i];
    report_resources(&r->report, r->n);
    for (size_t i = 0; i < r->n; i++) {
        struct resource_run *rr = &r->resources[i];
        rr->slot = i;
        rr->report = &r->report.resources[i];
        rr->report->kind = str_dup(rr->res->kind);
        rr->report->index = rr->res->index;
    }
    r->active = xcalloc(r->n + 1, sizeof(struct pipeline *));
}

static void make_stages(struct resync *r)
{
    const struct mapping_doc *m = r->run.mapping;
    const struct settings *s = r->o.settings;
    r->run.write = (struct write_options){
        .merge = m->merge_entity,
        .create_missing = m->create_missing_related,
        .delete_dependents = m->delete_dependents,
        .event_type = event_type_name(EVENT_RESYNC),
        .resync_id = r->run.event->id,
        .feature = PORT_EXPORTER,
    };
    r->run.ledger = ledger_new(r->n);
    struct loader_opts o = {
        .loop = r->o.loop,
        .port = r->o.port,
        .write = &r->run.write,
        .max_entities = s->upsert_max_entities > 0 ? (size_t)s->upsert_max_entities : 1,
        .max_bytes = s->upsert_max_bytes,
        .outcome = pipeline_outcome,
        .bulk_end = on_changed,
        .bulk_arg = r,
    };
    r->run.loader = loader_new(&o);
}

static void on_mapping(void *arg, struct mapping_doc *m, const struct err *e)
{
    struct resync *r = arg;
    struct err mine = {0};
    if (m) {
        event_set_mapping(r->run.event, m);
        r->run.mapping = m;
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
    if (m->n == 0) { /* S-148 */
        log_warn("the mapping in Port has no resources: nothing to do. Add resources to the integration's mapping");
        finish(r);
        return;
    }
    if (check_kinds(r, &mine) < 0) {
        r->forced_exit = EXIT_USAGE;
        fail(r, &mine);
        return;
    }
    make_resources(r);
    make_stages(r);
    port_blueprints_clear(r->o.port);
    state_list_clear(r->o.state, RETRY_LIST);
    state_list_clear(r->o.state, CANDIDATE_LIST);
    on_changed(r);
    compile(r);
}

static void on_running(void *arg, const struct err *e)
{
    struct resync *r = arg;
    if (e)
        log_warn("the start of the resync could not be reported to Port: %s", e->msg);
    if (aborted(r))
        finish(r);
    else
        port_get_mapping(r->o.port, on_mapping, r);
}

static void begin(void *arg)
{
    struct resync *r = arg;
    if (aborted(r)) { /* before anything was said: Port never heard of this run */
        r->report.aborted = true;
        deliver(r);
    } else {
        port_resync_state(r->o.port, "running", r->o.settings->scheduled_resync_interval_min, on_running, r);
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
                            void (*done)(void *arg, const struct resync_report *r), void *arg, struct err *e)
{
    if (!o->loop || !o->port || !o->state || !o->source || !o->settings) {
        ERR(e, ERR_INVAL, "a resync needs a loop, Port, a state file, a source and settings");
        return NULL;
    }
    for (struct resync *old = running; old; old = old->next_running) { /* S-9 */
        old->superseded = true;
        resync_abort(old);
    }
    struct resync *r = xcalloc(1, sizeof(*r));
    r->o = *o;
    r->kinds = copy_list(o->kinds, o->nkinds);
    r->allow_empty = copy_list(o->allow_empty, o->nallow_empty);
    r->progress = progress;
    r->done = done;
    r->arg = arg;
    r->begin_ms = clock_mono_ms();
    r->requests_before = port_requests(o->port);
    r->run = (struct run){
        .loop = o->loop,
        .port = o->port,
        .state = o->state,
        .source = o->source,
        .settings = o->settings,
        .event = event_new(EVENT_RESYNC, o->trigger, o->parent),
        .schemas = schemas_new(o->loop, o->port),
        .pending = keycount_new(),
        .report = &r->report,
        .changed = on_changed,
        .changed_arg = r,
    };
    memcpy(r->report.event_id, r->run.event->id, sizeof(r->report.event_id));
    r->next_running = running;
    running = r;
    loop_defer(o->loop, begin, r);
    return r;
}

void resync_abort(struct resync *r)
{
    if (aborted(r))
        return;
    log_info("resync %s is aborted", r->run.event->id);
    r->run.event->aborted = true;
    for (size_t i = 0; i < r->nactive; i++)
        pipeline_abort(r->active[i]);
    if (r->run.loader)
        loader_abort(r->run.loader);
}
