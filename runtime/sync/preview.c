/* The life of a plan and the order of its end: what Port does by itself is found, entries are folded into lines, and then
 * the hash decides whether the plan is shown or carried out. A failure of the spool is remembered and ends it: a plan
 * with a hole is no plan. */
#define LOG_GROUP "sync.preview"
#include "sync/preview.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/strmap.h"
#include "store/state.h"
#include "sync/event.h"
#include "sync/mappings.h"
#include "sync/preview_priv.h"

/* The run sees the mapping and the blueprints of the set-up that would be. */
static void preset(struct preview *p)
{
    const struct port_setup_plan *plan = p->o.setup->plan;
    mappings_preset(p->run->engine->mappings, plan->config);
    for (size_t i = 0; i < plan->n; i++) {
        const struct port_setup_change *c = &plan->changes[i];
        if (strcmp(c->type, "blueprint") == 0)
            schemas_preset(p->run->schemas, str_of(c->identifier), c->after, !c->before.v);
    }
}

struct preview *preview_new(struct run *run, const struct preview_opts *o, struct err *e)
{
    struct preview *p = xcalloc(1, sizeof(*p));
    p->run = run;
    p->o = *o;
    char *path = xasprintf("%s.plan", state_path(run->engine->state));
    int rc = spool_open(run->engine->loop, path, &p->spool, e);
    free(path);
    if (rc < 0) {
        err_wrap(e, "the plan's file");
        free(p);
        return NULL;
    }
    p->touched = strmap_new(NULL);
    preset(p);
    return p;
}

void preview_free(struct preview *p)
{
    if (!p)
        return;
    mappings_preset(p->run->engine->mappings, JSON_NONE);
    spool_close(p->spool);
    strmap_free(p->answers);
    strmap_free(p->touched);
    for (size_t i = 0; i < p->nnotes; i++)
        free((char *)(uintptr_t)p->notes[i].p);
    free(p->notes);
    free(p->writes);
    free(p);
}

size_t *preview_writes(struct preview *p, size_t slot)
{
    if (slot >= p->nslots) {
        p->writes = xrealloc(p->writes, (slot + 1) * sizeof(*p->writes));
        while (p->nslots <= slot)
            p->writes[p->nslots++] = 0;
    }
    return &p->writes[slot];
}

void preview_failed(struct preview *p, const struct err *e)
{
    if (e && !p->err.code)
        err_copy(&p->err, e);
}

bool preview_is_touched(const struct preview *p, struct str blueprint) { return strmap_has(p->touched, blueprint); }

void preview_note(struct preview *p, const char *text)
{
    p->notes = xrealloc(p->notes, (p->nnotes + 1) * sizeof(*p->notes));
    struct str s = str_of(text);
    p->notes[p->nnotes++] = (struct str){str_dup(s), s.n};
}

void preview_cascades(struct preview *p, bool now, bool accepted)
{
    p->cascades = now;
    p->cascades_accepted = accepted;
}

/* Deletion --------------------------------------------------------------------------------------------------------- */

struct dooming {
    struct preview *p;
    struct spool_entry *entries;
    struct spool_name *going, *held;
    size_t waiting;
    void (*done)(void *arg);
    void *arg;
};

static void on_doomed(void *arg, const struct err *e)
{
    struct dooming *d = arg;
    preview_failed(d->p, e);
    if (--d->waiting)
        return;
    void (*done)(void *) = d->done;
    void *done_arg = d->arg;
    free(d->entries);
    free(d->going);
    free(d->held);
    free(d);
    done(done_arg);
}

void preview_doom(struct preview *p, const struct doomed *list, size_t n, void (*done)(void *arg), void *arg)
{
    struct dooming *d = xcalloc(1, sizeof(*d));
    size_t going = 0, held = 0;
    *d = (struct dooming){.p = p, .waiting = 3, .done = done, .arg = arg};
    d->entries = xcalloc(n + 1, sizeof(*d->entries));
    d->going = xcalloc(n + 1, sizeof(*d->going));
    d->held = xcalloc(n + 1, sizeof(*d->held));
    for (size_t i = 0; i < n; i++) {
        const struct doomed *x = &list[i];
        d->entries[i] = (struct spool_entry){
            .group = x->blueprint,
            .name = x->identifier,
            .kind = x->rule ? ENTRY_HELD : ENTRY_DELETE,
            .flags = x->final ? ENTRY_FINAL : 0,
            .key = x->key,
            .after = x->resources,
            .before = str_of(x->rule),
        };
        if (x->final)
            continue;
        ledger_doom(p->run->ledger, x->key);
        if (x->rule) {
            ledger_hold(p->run->ledger, x->key);
            d->held[held++] = (struct spool_name){x->blueprint, x->identifier};
        } else {
            d->going[going++] = (struct spool_name){x->blueprint, x->identifier};
        }
    }
    p->ndoomed += going;
    p->nheld += held;
    spool_add(p->spool, d->entries, n, on_doomed, d);
    spool_add_names(p->spool, NAMES_DOOMED, d->going, going, on_doomed, d);
    spool_add_names(p->spool, NAMES_HELD, d->held, held, on_doomed, d);
}

/* The end ---------------------------------------------------------------------------------------------------------- */

static void end(struct preview *p, enum preview_verdict v)
{
    p->done(p->arg, v, p->err.code ? &p->err : NULL);
}

static void on_shown(struct preview *p) { end(p, PREVIEW_SHOWN); }

static void on_refused(struct preview *p)
{
    if (!p->incomplete)
        log_error("the world has changed since the plan %s was made: this run would do something else, so nothing was "
                  "written. Look at the plan above and run again with --accept-plan %s",
                  p->o.accept, p->hash);
    end(p, p->incomplete ? PREVIEW_SHOWN : PREVIEW_REFUSED);
}

static void on_folded(struct preview *p)
{
    if (p->err.code || p->run->event->aborted) {
        end(p, PREVIEW_SHOWN);
    } else if (!p->o.accept) {
        preview_print(p, on_shown);
    } else if (p->incomplete) {
        log_error("nothing was written: %s, and a plan is carried out as a whole or not at all", p->incomplete);
        preview_print(p, on_refused);
    } else if (strcmp(p->hash, p->o.accept) != 0) {
        preview_print(p, on_refused);
    } else {
        log_info("the plan %s is carried out", p->hash);
        end(p, PREVIEW_ACCEPTED);
    }
}

static void on_cascaded(struct preview *p) { preview_fold(p, on_folded); }

static void on_sorted(void *arg, const struct err *e)
{
    struct preview *p = arg;
    preview_failed(p, e);
    preview_cascade(p, on_cascaded);
}

static void on_related(struct preview *p) { spool_sort(p->spool, on_sorted, p); }

void preview_conclude(struct preview *p, const char *incomplete,
                      void (*done)(void *arg, enum preview_verdict v, const struct err *e), void *arg)
{
    p->incomplete = incomplete;
    p->done = done;
    p->arg = arg;
    preview_related(p, on_related);
}
