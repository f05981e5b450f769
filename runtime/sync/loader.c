/* A bulk is open (one per blueprint, in order of first appearance), then queued, then in flight. It is closed when the
 * next entity does not fit, when it already holds that entity's key (order inside one request is Port's business), or
 * by a flush. Only the head of the queue is ever started: a bulk that must wait for a key holds up those behind it,
 * which keeps the order without bookkeeping, and sharing a key is rare. The number in flight is limited here (sync Q-1)
 * and by the window of the Port client. */
#define LOG_GROUP "sync.loader"
#include "sync/loader.h"

#include <assert.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "sync/keycount.h"

#define IN_FLIGHT_MAX 5
#define SAMPLE_MAX 5
#define ENVELOPE_BYTES (sizeof("{\"entities\":[]}") - 1)

struct bulk {
    struct loader *loader;
    struct bulk *next;
    const struct mapped_entity **entities;
    void **args;
    struct str *texts;
    struct pack pack;
};

struct loader {
    struct loader_opts o;
    struct bulk *open;          /* one per blueprint */
    struct bulk *head, **tail;  /* closed, waiting */
    struct keycount *in_flight; /* keys of the bulks in flight */
    size_t sent;                /* bulks in flight */
    bool scheduled, aborted;
};

struct pack pack_empty(void) { return (struct pack){0, ENVELOPE_BYTES}; }

bool pack_fits(const struct pack *p, size_t bytes, size_t max_entities, size_t max_bytes)
{
    return p->n == 0 || (p->n < max_entities && p->bytes + 1 + bytes <= max_bytes);
}

void pack_add(struct pack *p, size_t bytes)
{
    p->bytes += bytes + (p->n > 0);
    p->n++;
}

struct loader *loader_new(const struct loader_opts *o)
{
    struct loader *l = xcalloc(1, sizeof(*l));
    l->o = *o;
    if (l->o.max_entities == 0)
        l->o.max_entities = 1;
    l->tail = &l->head;
    l->in_flight = keycount_new();
    return l;
}

static void bulk_free(struct bulk *b)
{
    free(b->entities);
    free(b->args);
    free(b->texts);
    free(b);
}

void loader_free(struct loader *l)
{
    if (!l)
        return;
    assert(l->sent == 0 && !l->open && !l->head);
    keycount_free(l->in_flight);
    free(l);
}

static struct bulk *bulk_new(struct loader *l)
{
    struct bulk *b = xcalloc(1, sizeof(*b));
    b->loader = l;
    b->entities = xcalloc(l->o.max_entities, sizeof(*b->entities));
    b->args = xcalloc(l->o.max_entities, sizeof(*b->args));
    b->texts = xcalloc(l->o.max_entities, sizeof(*b->texts));
    b->pack = pack_empty();
    return b;
}

static void schedule(struct loader *l);

static void log_failures(const struct bulk *b, const struct upsert_result *results, const struct err *whole)
{
    struct str blueprint = b->entities[0]->blueprint;
    if (whole) {
        log_error("bulk of %zu entities of blueprint '%.*s' failed: %s", b->pack.n, STR_FMT(blueprint), whole->msg);
        return;
    }
    size_t failed = 0;
    struct buf sample;
    buf_init(&sample, 4096);
    for (size_t i = 0; i < b->pack.n; i++) {
        if (results[i].outcome != UPSERT_FAILED)
            continue;
        if (failed++ < SAMPLE_MAX)
            buf_addf(&sample, "%s'%.*s' (%d): %.*s", sample.n ? "; " : "", STR_FMT(b->entities[i]->identifier),
                     results[i].status, STR_FMT(results[i].message));
    }
    if (failed)
        log_error("Port rejected %zu of %zu entities of blueprint '%.*s': %s%s", failed, b->pack.n, STR_FMT(blueprint),
                  buf_cstr(&sample), failed > SAMPLE_MAX ? "; ..." : "");
    buf_done(&sample);
}

static void on_bulk(void *arg, const struct upsert_result *results, size_t n, const struct err *whole)
{
    struct bulk *b = arg;
    struct loader *l = b->loader;
    if (n < b->pack.n && !whole) { /* cannot be, but an entity without outcome would never be counted */
        static const struct err short_answer = {.code = ERR_INTERNAL, .msg = "fewer results than entities"};
        whole = &short_answer;
    }
    if (whole)
        results = NULL;
    log_failures(b, results, whole);
    l->sent--;
    for (size_t i = 0; i < b->pack.n; i++)
        keycount_drop(l->in_flight, b->entities[i]->key);
    for (size_t i = 0; i < b->pack.n; i++) {
        struct load_outcome o = {.what = UPSERT_FAILED};
        if (results) {
            o.what = results[i].outcome;
            o.created_known = results[i].created_known;
            o.identifier = results[i].identifier;
            o.status = results[i].status;
            o.message = results[i].message;
        } else {
            o.status = whole->http_status;
            o.message = str_of(whole->msg);
        }
        l->o.outcome(b->args[i], b->entities[i], &o);
    }
    bulk_free(b);
    schedule(l);
    if (l->o.bulk_end)
        l->o.bulk_end(l->o.bulk_arg);
}

static bool must_wait(const struct loader *l, const struct bulk *b)
{
    for (size_t i = 0; i < b->pack.n; i++)
        if (keycount_get(l->in_flight, b->entities[i]->key))
            return true;
    return false;
}

static void send_bulk(struct loader *l, struct bulk *b)
{
    for (size_t i = 0; i < b->pack.n; i++)
        keycount_add(l->in_flight, b->entities[i]->key);
    l->sent++;
    port_bulk_upsert(l->o.port, b->entities[0]->blueprint, b->texts, b->pack.n, l->o.write, on_bulk, b);
}

static struct bulk *pop(struct loader *l)
{
    struct bulk *b = l->head;
    l->head = b->next;
    if (!l->head)
        l->tail = &l->head;
    b->next = NULL;
    return b;
}

static void abandon(struct loader *l, struct bulk *b)
{
    for (size_t i = 0; i < b->pack.n; i++) {
        struct load_outcome o = {.what = UPSERT_FAILED, .abandoned = true, .message = STR("the run was aborted")};
        l->o.outcome(b->args[i], b->entities[i], &o);
    }
    bulk_free(b);
}

static void start(void *arg)
{
    struct loader *l = arg;
    bool abandoned = false;
    l->scheduled = false;
    while (l->head && l->aborted) {
        abandon(l, pop(l));
        abandoned = true;
    }
    while (l->head && l->sent < IN_FLIGHT_MAX && !must_wait(l, l->head))
        send_bulk(l, pop(l));
    if (abandoned && l->o.bulk_end)
        l->o.bulk_end(l->o.bulk_arg);
}

/* Requests start at the end of the turn, so that no outcome and no request begins inside a caller's loop. */
static void schedule(struct loader *l)
{
    if (l->scheduled || !l->head)
        return;
    l->scheduled = true;
    loop_defer(l->o.loop, start, l);
}

static void close_bulk(struct loader *l, struct bulk **at)
{
    struct bulk *b = *at;
    *at = b->next;
    b->next = NULL;
    *l->tail = b;
    l->tail = &b->next;
    schedule(l);
}

static bool holds_key(const struct bulk *b, struct key128 key)
{
    for (size_t i = 0; i < b->pack.n; i++)
        if (key128_eq(b->entities[i]->key, key))
            return true;
    return false;
}

void loader_add(struct loader *l, const struct mapped_entity *e, void *arg)
{
    struct bulk **at = &l->open;
    while (*at && !str_eq((*at)->entities[0]->blueprint, e->blueprint))
        at = &(*at)->next;
    if (*at && (!pack_fits(&(*at)->pack, e->text.n, l->o.max_entities, l->o.max_bytes) || holds_key(*at, e->key)))
        close_bulk(l, at);
    /* After a close `at` may stand on another blueprint's bulk: a new one always goes to the end. */
    while (*at && !str_eq((*at)->entities[0]->blueprint, e->blueprint))
        at = &(*at)->next;
    if (!*at)
        *at = bulk_new(l);
    struct bulk *b = *at;
    b->entities[b->pack.n] = e;
    b->args[b->pack.n] = arg;
    b->texts[b->pack.n] = e->text;
    pack_add(&b->pack, e->text.n);
    if (b->pack.n == l->o.max_entities)
        close_bulk(l, at);
}

void loader_flush(struct loader *l)
{
    while (l->open)
        close_bulk(l, &l->open);
}

void loader_abort(struct loader *l)
{
    l->aborted = true;
    loader_flush(l);
    schedule(l);
}

bool loader_has_open(const struct loader *l) { return l->open != NULL; }

