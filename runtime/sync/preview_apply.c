/* Carrying a plan out: the set-up in Port, then the kept writes in the order in which they were produced, through a loader
 * of their own. A page of writes stays in memory until each of its entities has its outcome; pages are few, and when
 * there is no room for another the loader sends what is not full yet, so that none waits for ever. As in a run, a resource
 * begins when the one before is over: its entities may need the others. */
#define LOG_GROUP "sync.preview"
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "config/settings.h"
#include "sync/batch.h"
#include "sync/certified.h"
#include "sync/event.h"
#include "sync/loader.h"
#include "sync/preview_priv.h"

#define PAGE 200
#define PAGES_MAX 4

struct page {
    struct applying *a;
    char *texts;
    struct mapped_entity *entities;
    size_t left;
};
struct write { /* of one entity; what the loader hands back */
    struct page *page;
    size_t slot;
};

struct applying {
    struct preview *p;
    struct resource_run *resources;
    size_t n;
    struct loader *loader;
    struct port_setup_opts setup;
    int64_t after;
    int slot; /* the resource whose writes are under way */
    size_t pages;
    bool reading, ended, scheduled, barrier;
    void (*done)(void *arg, const struct err *e);
    void *arg;
};

static void step(void *arg);

static void schedule(struct applying *a)
{
    if (a->scheduled)
        return;
    a->scheduled = true;
    loop_defer(a->p->run->engine->loop, step, a);
}

static void finish(struct applying *a, const struct err *e)
{
    struct preview *p = a->p;
    void (*done)(void *, const struct err *) = a->done;
    void *arg = a->arg;
    loader_free(a->loader);
    for (size_t i = 0; i < a->n; i++) { /* what was not sent, because the run was aborted or the spool failed */
        a->resources[i].report->rejected += *preview_writes(p, a->resources[i].slot);
        *preview_writes(p, a->resources[i].slot) = 0;
    }
    p->applying = NULL;
    free(a);
    done(arg, e);
}

static bool aborted(const struct applying *a) { return a->p->run->event->aborted; }

/* Writes ----------------------------------------------------------------------------------------------------------- */

static void on_outcome(void *arg, const struct mapped_entity *e, const struct load_outcome *o)
{
    struct write *w = arg;
    struct page *page = w->page;
    struct applying *a = page->a;
    batch_outcome(a->p->run, &a->resources[w->slot], e, o);
    --*preview_writes(a->p, w->slot);
    free(w);
    if (--page->left)
        return;
    free(page->texts);
    free(page->entities);
    free(page);
    a->pages--;
    schedule(a);
}

/* Texts of a page are kept in one piece. */
static struct str copy(char **at, struct str s)
{
    struct str kept = {*at, s.n};
    if (s.n)
        memcpy(*at, s.p, s.n);
    (*at)[s.n] = 0;
    *at += s.n + 1;
    return kept;
}

/* How many entries can be taken now: those up to the first write of another resource. */
static size_t of_this_resource(struct applying *a, const struct spool_entry *entries, size_t n)
{
    a->barrier = false;
    for (size_t i = 0; i < n; i++) {
        bool writes = entries[i].kind == ENTRY_WRITE || entries[i].kind == ENTRY_SEARCH;
        if (!writes || entries[i].slot == a->slot)
            continue;
        a->barrier = i > 0 || a->pages > 0;
        if (a->barrier)
            return i;
        a->slot = entries[i].slot;
    }
    return n;
}

static void load_page(struct applying *a, const struct spool_entry *entries, size_t n)
{
    struct page *page = xcalloc(1, sizeof(*page));
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += entries[i].body.n + entries[i].group.n + entries[i].name.n + 3;
    page->a = a;
    char *at = page->texts = xmalloc(bytes + 1);
    page->entities = xcalloc(n + 1, sizeof(*page->entities));
    for (size_t i = 0; i < n; i++) {
        const struct spool_entry *x = &entries[i];
        if (x->kind != ENTRY_WRITE && x->kind != ENTRY_SEARCH)
            continue;
        struct mapped_entity *e = &page->entities[page->left++];
        *e = (struct mapped_entity){
            .text = copy(&at, x->body),
            .blueprint = copy(&at, x->group),
            .identifier = copy(&at, x->name),
            .key = x->key,
            .flags = x->flags & (ENTITY_SEARCH_IDENTIFIER | ENTITY_SEARCH_OTHER),
        };
        struct write *w = xcalloc(1, sizeof(*w));
        *w = (struct write){page, (size_t)x->slot};
        loader_add(a->loader, e, w);
    }
    if (page->left) {
        a->pages++;
        return;
    }
    free(page->texts);
    free(page->entities);
    free(page);
}

static void on_entries(void *arg, const struct spool_entry *entries, size_t n, const struct err *e)
{
    struct applying *a = arg;
    a->reading = false;
    preview_failed(a->p, e);
    a->ended = n == 0 || e;
    n = of_this_resource(a, entries, n);
    if (n) {
        a->after = entries[n - 1].seq;
        load_page(a, entries, n);
    }
    schedule(a);
}

static void step(void *arg)
{
    struct applying *a = arg;
    a->scheduled = false;
    a->ended |= aborted(a);
    if (!a->ended && !a->reading && (a->barrier ? a->pages == 0 : a->pages < PAGES_MAX)) {
        a->reading = true;
        spool_read(a->p->spool, a->after, PAGE, on_entries, a);
    }
    if (a->ended || a->barrier || a->pages == PAGES_MAX)
        loader_flush(a->loader);
    if (a->ended && !a->reading && a->pages == 0)
        finish(a, a->p->err.code ? &a->p->err : NULL);
}

static void on_bulk_end(void *arg)
{
    const struct applying *a = arg;
    if (a->p->run->changed)
        a->p->run->changed(a->p->run->changed_arg);
}

/* Set-up ----------------------------------------------------------------------------------------------------------- */

/* What note_blueprint of batch.c does where nothing is planned. */
static void note_blueprints(const struct applying *a)
{
    const struct ledger *l = a->p->run->ledger;
    for (size_t b = 0; b < ledger_blueprints(l); b++)
        for (size_t i = 0; i < a->n; i++)
            if (ledger_blueprint_at(l, b)->by[a->resources[i].slot] && !plan_blueprint(a->resources[i].plan).p)
                certified_begin(a->p->run->engine->state, a->resources[i].res->kind,
                                str_of(ledger_blueprint_at(l, b)->name));
}

static void on_running(void *arg, const struct err *e)
{
    struct applying *a = arg;
    if (e)
        log_warn("the start of the resync could not be reported to Port: %s", e->msg);
    note_blueprints(a);
    schedule(a);
}

static void on_setup(void *arg, const struct err *e)
{
    struct applying *a = arg;
    const struct engine *engine = a->p->run->engine;
    if (e || aborted(a)) {
        finish(a, e);
        return;
    }
    mappings_preset(engine->mappings, JSON_NONE);
    port_resync_state(engine->port, "running", engine->settings->scheduled_resync_interval_min, on_running, a);
}

void preview_apply(struct preview *p, struct resource_run *resources, size_t n,
                   void (*done)(void *arg, const struct err *e), void *arg)
{
    struct applying *a = xcalloc(1, sizeof(*a));
    const struct settings *s = p->run->engine->settings;
    *a = (struct applying){.p = p, .resources = resources, .n = n, .setup = *p->o.setup, .done = done, .arg = arg};
    struct loader_opts o = {
        .loop = p->run->engine->loop,
        .port = p->run->engine->port,
        .write = &p->run->write,
        .max_entities = s->upsert_max_entities > 0 ? (size_t)s->upsert_max_entities : 1,
        .max_bytes = s->upsert_max_bytes,
        .outcome = on_outcome,
        .bulk_end = on_bulk_end,
        .bulk_arg = a,
    };
    a->loader = loader_new(&o);
    a->setup.plan = NULL;
    p->applying = a;
    port_read_only(p->run->engine->port, false);
    port_setup(p->run->engine->port, &a->setup, on_setup, a);
}

void preview_abort(struct preview *p)
{
    if (p->applying)
        loader_abort(p->applying->loader);
}
