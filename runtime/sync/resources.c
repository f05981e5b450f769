/* At most resync_concurrency resources run at a time, in the order of the mapping. A resource that cannot be processed
 * at all (no plan, no handler, no blueprint) fails with the way out, and the next one begins. */
#define LOG_GROUP "sync.resources"
#include "sync/resources.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "config/settings.h"
#include "sync/event.h"
#include "sync/pipeline.h"

struct resources {
    struct run *run;
    struct resource_run *list;
    size_t n, next;
    struct pipeline **active; /* room for n */
    size_t nactive;
    void (*done)(void *arg);
    void *arg;
};

static bool wanted(struct str kind, const char *const *kinds, size_t nkinds)
{
    for (size_t i = 0; i < nkinds; i++)
        if (str_is(kind, kinds[i]))
            return true;
    return nkinds == 0;
}

int resources_check_kinds(const struct mapping_doc *m, const char *const *kinds, size_t nkinds, struct err *e)
{
    for (size_t i = 0; i < nkinds; i++) {
        bool known = false;
        struct buf list;
        buf_init(&list, 4096);
        for (size_t k = 0; k < m->n; k++) {
            known |= str_is(m->resources[k].kind, kinds[i]);
            if (k == 0 || !str_eq(m->resources[k].kind, m->resources[k - 1].kind))
                buf_addf(&list, "%s%.*s", list.n ? ", " : "", STR_FMT(m->resources[k].kind));
        }
        if (!known)
            ERR(e, ERR_INVAL, "--kind %s: the mapping has no such kind; it has: %s", kinds[i], buf_cstr(&list));
        buf_done(&list);
        if (!known)
            return ERR_INVAL;
    }
    return 0;
}

struct resources *resources_new(struct run *run, const char *const *kinds, size_t nkinds)
{
    struct resources *rs = xcalloc(1, sizeof(*rs));
    const struct mapping *m = run->event->mapping;
    rs->run = run;
    rs->list = xcalloc(m->doc->n + 1, sizeof(*rs->list));
    for (size_t i = 0; i < m->doc->n; i++) {
        if (!wanted(m->doc->resources[i].kind, kinds, nkinds))
            continue;
        rs->list[rs->n++] = (struct resource_run){
            .res = &m->doc->resources[i],
            .plan = m->plans[i].plan,
            .err = &m->plans[i].err,
        };
    }
    report_resources(run->report, rs->n);
    for (size_t i = 0; i < rs->n; i++) {
        struct resource_run *rr = &rs->list[i];
        rr->slot = i;
        rr->report = &run->report->resources[i];
        rr->report->kind = str_dup(rr->res->kind);
        rr->report->index = rr->res->index;
    }
    rs->active = xcalloc(rs->n + 1, sizeof(struct pipeline *));
    return rs;
}

void resources_free(struct resources *rs)
{
    if (!rs)
        return;
    free(rs->list);
    free(rs->active);
    free(rs);
}

struct resource_run *resources_list(const struct resources *rs, size_t *ret_n)
{
    *ret_n = rs->n;
    return rs->list;
}

bool resources_failed(const struct resources *rs)
{
    for (size_t i = 0; i < rs->n; i++)
        if (rs->list[i].failed || rs->list[i].report->state != RES_COMPLETED)
            return true;
    return false;
}

static void resource_error(struct resource_run *rr, const char *where, const char *message)
{
    rr->failed = true;
    report_error(rr->report, where, message, 1);
    log_error("kind=%.*s-%d %s", STR_FMT(rr->res->kind), rr->res->index, message);
}

/* What keeps a resource from being processed at all; true if something does. */
static bool blocked(struct resources *rs, struct resource_run *rr)
{
    const struct source *source = rs->run->engine->source;
    if (!rr->plan) {
        resource_error(rr, "mapping", rr->err->msg);
        return true;
    }
    struct str literal = plan_blueprint(rr->plan);
    const struct schema *s = literal.p ? schemas_find(rs->run->schemas, literal) : NULL;
    struct buf text;
    buf_init(&text, BUF_NO_LIMIT);
    if (!source->has_handler(source->arg, rr->res->kind)) {
        buf_addf(&text, "no resync handler for kind '%.*s'; handlers exist for: ", STR_FMT(rr->res->kind));
        source->kinds(source->arg, &text);
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

static void next_resource(struct resources *rs);

static void changed(struct resources *rs)
{
    if (rs->run->changed)
        rs->run->changed(rs->run->changed_arg);
}

static void on_pipeline(void *arg, struct pipeline *p)
{
    struct resources *rs = arg;
    struct resource_run *rr = pipeline_resource(p);
    rr->report->state = rs->run->event->aborted ? RES_ABORTED : rr->failed ? RES_FAILED : RES_COMPLETED;
    for (size_t i = 0; i < rs->nactive; i++) {
        if (rs->active[i] == p) {
            rs->active[i] = rs->active[--rs->nactive];
            break;
        }
    }
    pipeline_free(p);
    rs->run->event->resource = NULL;
    changed(rs);
    next_resource(rs);
}

/* With several resources at once each gets a context of its own, which answers to the run's id (S-14). */
static struct event *resource_event(struct resources *rs, const struct resource_run *rr)
{
    struct event *run = rs->run->event, *ev;
    if (rs->run->engine->settings->resync_concurrency > 1) {
        ev = event_new(run->type, run->trigger, run);
        memcpy(ev->id, run->id, sizeof(ev->id));
        ev->start_wall_us = run->start_wall_us;
    } else {
        ev = event_ref(run);
    }
    ev->resource = rr->res;
    return ev;
}

static void start_resource(struct resources *rs, struct resource_run *rr)
{
    rr->report->state = RES_RUNNING;
    struct pipeline *p = pipeline_new(rs->run, rr, on_pipeline, rs);
    rs->active[rs->nactive++] = p;
    changed(rs);
    struct event *ev = resource_event(rs, rr);
    pipeline_start(p, ev);
    event_unref(ev);
}

static void next_resource(struct resources *rs)
{
    int concurrency = rs->run->engine->settings->resync_concurrency;
    size_t limit = concurrency > 1 ? (size_t)concurrency : 1;
    while (!rs->run->event->aborted && rs->next < rs->n && rs->nactive < limit) {
        struct resource_run *rr = &rs->list[rs->next++];
        if (!blocked(rs, rr)) {
            start_resource(rs, rr);
            continue;
        }
        rr->report->state = RES_FAILED;
        changed(rs);
    }
    if (rs->nactive == 0)
        rs->done(rs->arg);
}

static void on_blueprints(void *arg) { next_resource(arg); }

void resources_start(struct resources *rs, void (*done)(void *arg), void *arg)
{
    struct str *names = xcalloc(rs->n + 1, sizeof(*names));
    size_t n = 0;
    rs->done = done;
    rs->arg = arg;
    for (size_t i = 0; i < rs->n; i++)
        if (rs->list[i].plan && plan_blueprint(rs->list[i].plan).p)
            names[n++] = plan_blueprint(rs->list[i].plan);
    schemas_read(rs->run->schemas, names, n, on_blueprints, rs);
    free(names);
}

void resources_abort(struct resources *rs)
{
    for (size_t i = 0; i < rs->nactive; i++)
        pipeline_abort(rs->active[i]);
}
