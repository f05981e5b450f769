/* A fetch goes: request to Port, compilation on a worker, cache, waiters. The age of the cache counts in whole seconds
 * from the moment the answer came (S-16). */
#define LOG_GROUP "sync.mappings"
#include "sync/mappings.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/worker.h"
#include "port/integration.h"
#include "sync/engine.h"

struct waiter {
    struct waiter *next;
    void (*done)(void *arg, struct mapping *m, const struct err *e);
    void *arg;
};

struct fetch {
    struct worker_job job; /* first: the worker hands it back */
    struct mappings *owner; /* NULL: it is gone */
    struct fetch *next;
    struct waiter *waiters, **tail;
    struct mapping *mapping;
    struct plan_opts opts; /* the worker sees nothing else of ours */
    bool held; /* by a job or a call that is on its way */
};

struct mappings {
    const struct engine *engine;
    struct mapping *cached;
    uint64_t cached_s; /* monotonic */
    struct fetch *fetches;
    struct fetch *shared; /* the one that cached readers join, or NULL */
    struct json preset;   /* its document is held; missing: none */
};

struct mapping *mapping_ref(struct mapping *m)
{
    m->refs++;
    return m;
}

void mapping_unref(struct mapping *m)
{
    if (!m || --m->refs > 0)
        return;
    for (size_t i = 0; m->plans && i < m->doc->n; i++)
        plan_free(m->plans[i].plan);
    free(m->plans);
    mapping_doc_free(m->doc);
    free(m);
}

struct mappings *mappings_new(const struct engine *e)
{
    struct mappings *s = xcalloc(1, sizeof(*s));
    s->engine = e;
    return s;
}

static void fetch_free(struct fetch *f)
{
    for (struct waiter *w = f->waiters, *next; w; w = next) {
        next = w->next;
        free(w);
    }
    mapping_unref(f->mapping);
    free(f);
}

void mappings_free(struct mappings *s)
{
    if (!s)
        return;
    for (struct fetch *f = s->fetches, *next; f; f = next) {
        next = f->next;
        f->owner = NULL;
        if (f->held)
            worker_cancel(&f->job); /* compile_done frees it */
        else
            fetch_free(f);
    }
    mappings_preset(s, JSON_NONE);
    free(s);
}

static void forget(struct fetch *f)
{
    struct mappings *s = f->owner;
    for (struct fetch **at = &s->fetches; *at; at = &(*at)->next) {
        if (*at == f) {
            *at = f->next;
            break;
        }
    }
    if (s->shared == f)
        s->shared = NULL;
}

/* The fetch is over: every waiter gets its own reference. */
static void deliver(struct fetch *f, const struct err *e)
{
    struct waiter *w = f->waiters;
    forget(f);
    f->waiters = NULL;
    while (w) {
        struct waiter *next = w->next;
        w->done(w->arg, f->mapping ? mapping_ref(f->mapping) : NULL, e);
        free(w);
        w = next;
    }
    fetch_free(f);
}

static void compile_run(struct worker_job *job)
{
    struct fetch *f = (struct fetch *)job;
    struct mapping *m = f->mapping;
    for (size_t i = 0; i < m->doc->n && !atomic_load(&job->cancelled); i++)
        if (plan_compile(&m->doc->resources[i], &f->opts, &m->plans[i].plan, &m->plans[i].err) < 0)
            m->plans[i].plan = NULL;
}

static void compile_done(struct worker_job *job)
{
    struct fetch *f = (struct fetch *)job;
    struct mappings *s = f->owner;
    f->held = false;
    if (!s) {
        fetch_free(f);
        return;
    }
    mapping_unref(s->cached);
    s->cached = mapping_ref(f->mapping);
    s->cached_s = clock_mono_ms() / 1000;
    deliver(f, NULL);
}

static void on_document(void *arg, struct mapping_doc *doc, const struct err *e)
{
    struct fetch *f = arg;
    if (e) {
        deliver(f, e);
        return;
    }
    f->mapping = xcalloc(1, sizeof(*f->mapping));
    *f->mapping = (struct mapping){.refs = 1, .doc = doc, .plans = xcalloc(doc->n + 1, sizeof(struct mapping_plan))};
    const struct engine *engine = f->owner->engine;
    f->opts = (struct plan_opts){
        .jq = engine->jq,
        .env_access = engine->settings->jq_env_access,
        .env = engine->jq_env,
        .items_batch = engine->settings->items_to_parse_batch,
    };
    f->held = true;
    f->job.run = compile_run;
    f->job.done = compile_done;
    worker_submit(engine->loop, &f->job);
}

void mappings_preset(struct mappings *s, struct json config)
{
    json_unref(s->preset.doc);
    if (config.doc)
        json_ref(config.doc);
    s->preset = config;
    mapping_unref(s->cached); /* of the other document */
    s->cached = NULL;
}

static void read_preset(void *arg)
{
    struct fetch *f = arg;
    struct mapping_doc *doc = NULL;
    struct err e = {0};
    int rc = f->owner ? mapping_doc_parse(f->owner->preset, &doc, &e) : 0;
    if (!f->owner)
        fetch_free(f);
    else
        on_document(f, doc, rc < 0 ? &e : NULL);
}

/* A cached document is handed over later, as one that must be fetched. */
struct hit {
    struct mapping *mapping;
    struct waiter waiter;
};

static void on_hit(void *arg)
{
    struct hit *h = arg;
    h->waiter.done(h->waiter.arg, h->mapping, NULL);
    free(h);
}

void mappings_get(struct mappings *s, enum mappings_how how,
                  void (*done)(void *arg, struct mapping *m, const struct err *e), void *arg)
{
    uint64_t now = clock_mono_ms() / 1000;
    bool valid = s->cached && now - s->cached_s <= (uint64_t)s->engine->settings->mapping_cache_ttl_s;
    if (how == MAPPINGS_CACHED && valid) {
        struct hit *h = xcalloc(1, sizeof(*h));
        *h = (struct hit){mapping_ref(s->cached), {NULL, done, arg}};
        loop_defer(s->engine->loop, on_hit, h);
        return;
    }
    struct fetch *f = how == MAPPINGS_CACHED ? s->shared : NULL;
    bool fresh = !f;
    if (fresh) {
        f = xcalloc(1, sizeof(*f));
        f->owner = s;
        f->tail = &f->waiters;
        f->next = s->fetches;
        s->fetches = f;
        if (how == MAPPINGS_CACHED)
            s->shared = f;
    }
    struct waiter *w = xcalloc(1, sizeof(*w));
    *w = (struct waiter){NULL, done, arg};
    *f->tail = w;
    f->tail = &w->next;
    if (fresh && s->preset.v) {
        f->held = true;
        loop_defer(s->engine->loop, read_preset, f);
    } else if (fresh) {
        port_get_mapping(s->engine->port, on_document, f);
    }
}
