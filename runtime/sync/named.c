/* Requests of one blueprint each: cascading up to 100 entities and several at once, otherwise one entity after another,
 * because the order is what lets Port accept them (S-126, S-127). */
#define LOG_GROUP "sync.named"
#include "sync/named.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"

#define IN_FLIGHT_MAX 5
#define BULK_MAX 100

struct request {
    struct named *owner;
    size_t at[BULK_MAX], n;
};

struct named {
    struct engine *engine;
    const struct entity_name *list;
    size_t n, limit, in_flight;
    bool *taken;
    size_t first; /* everything before it is taken */
    struct write_options write;
    bool aborted, scheduled;
    void (*told)(void *arg, const struct named_result *r);
    void (*done)(void *arg);
    void *arg;
};

static void step(void *arg);

static void schedule(struct named *d)
{
    if (d->scheduled)
        return;
    d->scheduled = true;
    loop_defer(d->engine->loop, step, d);
}

static bool has_name(struct json list, struct str id)
{
    for (struct json_iter it = json_iter(list); json_next(&it);)
        if (str_eq(json_str(it.val), id))
            return true;
    return false;
}

static void on_answer(void *arg, struct json deleted, const struct err *e)
{
    struct request *q = arg;
    struct named *d = q->owner;
    struct entity_name names[BULK_MAX];
    size_t n = 0;
    d->in_flight--;
    for (size_t i = 0; i < q->n; i++)
        if (e || has_name(deleted, d->list[q->at[i]].identifier))
            names[n++] = d->list[q->at[i]];
    if (e)
        log_error("deleting %zu entities of blueprint '%.*s' failed (first: '%.*s'): %s", q->n,
                  STR_FMT(d->list[q->at[0]].blueprint), STR_FMT(d->list[q->at[0]].identifier), e->msg);
    const struct named_result r = {names, n, e};
    d->told(d->arg, &r);
    free(q);
    schedule(d);
}

/* The next entities of one blueprint, in order. */
static struct request *next_request(struct named *d)
{
    while (d->first < d->n && d->taken[d->first])
        d->first++;
    if (d->first == d->n)
        return NULL;
    struct request *q = xcalloc(1, sizeof(*q));
    struct str blueprint = d->list[d->first].blueprint;
    q->owner = d;
    for (size_t i = d->first; i < d->n && q->n < d->limit; i++) {
        if (d->taken[i] || !str_eq(d->list[i].blueprint, blueprint))
            continue;
        d->taken[i] = true;
        q->at[q->n++] = i;
    }
    return q;
}

static void finish(struct named *d)
{
    void (*done)(void *) = d->done;
    void *arg = d->arg;
    free(d->taken);
    free(d);
    done(arg);
}

static void step(void *arg)
{
    struct named *d = arg;
    size_t limit = d->write.delete_dependents ? IN_FLIGHT_MAX : 1;
    struct request *q = NULL;
    d->scheduled = false;
    while (!d->aborted && d->in_flight < limit && (q = next_request(d)) != NULL) {
        struct str ids[BULK_MAX];
        for (size_t i = 0; i < q->n; i++)
            ids[i] = d->list[q->at[i]].identifier;
        d->in_flight++;
        port_bulk_delete(d->engine->port, d->list[q->at[0]].blueprint, ids, q->n, &d->write, on_answer, q);
    }
    if (d->in_flight == 0 && (d->aborted || !q))
        finish(d);
}

struct named *named_start(struct engine *e, const struct entity_name *list, size_t n, const struct write_options *o,
                          void (*told)(void *arg, const struct named_result *r), void (*done)(void *arg), void *arg)
{
    struct named *d = xcalloc(1, sizeof(*d));
    int max = e->settings->delete_max_entities;
    *d = (struct named){.engine = e, .list = list, .n = n, .write = *o, .told = told, .done = done, .arg = arg};
    d->taken = xcalloc(n + 1, sizeof(bool));
    d->limit = !o->delete_dependents || max < 1 ? 1 : max > BULK_MAX ? BULK_MAX : (size_t)max;
    schedule(d);
    return d;
}

void named_abort(struct named *d) { d->aborted = true; }
