/* The cache of blueprints: one request per identifier at a time, answers kept for the TTL, failures until the
 * cache is cleared (sync Q-36). Whoever asks is answered later, also from the cache: ready answers are handed
 * out at the end of the turn.
 *
 * An entry that is cleared while its request runs stays until the answer is there, because somebody waits for
 * it; it is marked stale and goes then. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "port/client_priv.h"
#include "port/entities.h"

typedef void (*blueprint_fn)(void *arg, struct json blueprint, const struct err *e);

struct waiter {
    struct waiter *next;
    blueprint_fn done;
    void *arg;
};

struct entry {
    struct blueprints *owner;
    struct entry *next;
    char *identifier;
    struct json_doc *doc; /* the answer; NULL: failed or not there yet */
    struct json blueprint;
    struct err err;
    bool loading, stale;
    uint64_t expires_ms; /* 0: never (failures) */
    struct waiter *waiters;
};

struct blueprints {
    struct port *port;
    double ttl_s;
    struct entry *entries;
    bool deferred;
};

struct blueprints *blueprints_new(struct port *p, double ttl_s)
{
    struct blueprints *b = xcalloc(1, sizeof(*b));
    b->port = p;
    b->ttl_s = ttl_s;
    return b;
}

static void entry_free(struct entry *e)
{
    for (struct waiter *w = e->waiters, *next; w; w = next) {
        next = w->next;
        free(w);
    }
    json_unref(e->doc);
    free(e->identifier);
    free(e);
}

static void unlink_entry(struct entry *e)
{
    struct entry **at = &e->owner->entries;
    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
}

static void hand_out_later(void *arg);

void blueprints_free(struct blueprints *b)
{
    if (!b)
        return;
    loop_forget(b->port->loop, hand_out_later, b);
    for (struct entry *e = b->entries, *next; e; e = next) {
        next = e->next;
        entry_free(e);
    }
    free(b);
}

/* Answers everybody who waits for the entry. The entry is kept alive by being out of reach of the callbacks'
 * clears. */
static void hand_out(struct entry *e)
{
    struct waiter *list = e->waiters;
    struct json_doc *doc = e->doc ? json_ref(e->doc) : NULL;
    struct json blueprint = e->blueprint;
    struct err err = e->err;
    e->waiters = NULL;
    if (e->stale) {
        unlink_entry(e);
        entry_free(e);
    }
    for (struct waiter *w = list, *next; w; w = next) {
        next = w->next;
        w->done(w->arg, doc ? blueprint : JSON_NONE, doc ? NULL : &err);
        free(w);
    }
    json_unref(doc);
}

static void hand_out_later(void *arg)
{
    struct blueprints *b = arg;
    b->deferred = false;
    for (struct entry *e = b->entries; e; e = e->next) {
        if (e->loading || !e->waiters)
            continue;
        b->deferred = true; /* the list may be another one afterwards: start again in the next turn */
        loop_defer(b->port->loop, hand_out_later, b);
        hand_out(e);
        return;
    }
}

static void on_blueprint(void *arg, const struct port_answer *a, const struct err *e)
{
    struct entry *en = arg;
    en->loading = false;
    en->expires_ms = 0;
    if (!a) {
        err_copy(&en->err, e);
    } else if (a->status >= 400 || !json_is_obj(json_get_c(a->root, "blueprint"))) {
        char *path = xasprintf("/blueprints/%s", en->identifier);
        if (a->status >= 400)
            port_answer_err(a, "GET", path, &en->err);
        else
            ERR(&en->err, ERR_PARSE, "the answer to GET %s holds no blueprint", path);
        free(path);
    } else {
        en->doc = json_ref(a->doc);
        en->blueprint = json_get_c(a->root, "blueprint");
        en->expires_ms = clock_mono_ms() + (uint64_t)(en->owner->ttl_s * 1000);
    }
    hand_out(en);
}

static void load(struct entry *e)
{
    struct buf path;
    buf_init(&path, BUF_NO_LIMIT);
    buf_adds(&path, "/blueprints/");
    url_encode(&path, str_of(e->identifier));
    json_unref(e->doc);
    e->doc = NULL;
    e->err = (struct err){0};
    e->loading = true;
    struct port_request r = {.method = "GET", .path = buf_cstr(&path)};
    buf_init(&r.body, 0);
    port_send(e->owner->port, &r, on_blueprint, e);
    buf_done(&path);
}

static struct entry *find(struct blueprints *b, struct str identifier)
{
    for (struct entry *e = b->entries; e; e = e->next)
        if (!e->stale && str_is(identifier, e->identifier))
            return e;
    struct entry *e = xcalloc(1, sizeof(*e));
    e->owner = b;
    e->identifier = str_dup(identifier);
    e->next = b->entries;
    b->entries = e;
    return e;
}

void port_blueprint(struct port *p, struct str identifier, blueprint_fn done, void *arg)
{
    struct blueprints *b = p->blueprints;
    struct entry *e = find(b, identifier);
    struct waiter *w = xcalloc(1, sizeof(*w)), **at = &e->waiters;
    w->done = done;
    w->arg = arg;
    while (*at)
        at = &(*at)->next;
    *at = w;
    bool known = e->doc ? clock_mono_ms() < e->expires_ms : e->err.code != 0;
    if (e->loading)
        return;
    if (!known) {
        load(e);
    } else if (!b->deferred) {
        b->deferred = true;
        loop_defer(p->loop, hand_out_later, b);
    }
}

void port_blueprints_clear(struct port *p)
{
    for (struct entry *e = p->blueprints->entries, *next; e; e = next) {
        next = e->next;
        if (e->loading || e->waiters) {
            e->stale = true;
            continue;
        }
        unlink_entry(e);
        entry_free(e);
    }
}
