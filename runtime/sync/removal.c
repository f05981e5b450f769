/* Cascading deletion reads a page ahead only while few requests wait. Without cascading the order is found first
 * (removal_order.h), and each entity is read again when its turn comes.
 *
 * A failed request is logged and the others go on (S-129). */
#define LOG_GROUP "sync.removal"
#include "sync/removal.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "sync/removal_order.h"
#include "json/write.h"

#define IN_FLIGHT_MAX 5
#define BULK_MAX 100

void candidate_write(struct buf *out, struct str blueprint, struct str identifier, struct json relations)
{
    struct jw w = jw_on(out);
    jw_obj(&w);
    jw_key_c(&w, "blueprint");
    jw_str(&w, blueprint);
    jw_key_c(&w, "identifier");
    jw_str(&w, identifier);
    if (json_is_obj(relations)) {
        jw_key_c(&w, "relations");
        jw_json(&w, relations);
    }
    jw_end_obj(&w);
}

bool candidate_read(struct str text, struct candidate *ret, struct json_doc **doc)
{
    struct err e;
    if (json_parse(text, doc, &e) < 0) {
        log_error("a deletion candidate in the state file is damaged: %s", e.msg);
        return false;
    }
    struct json root = json_root(*doc);
    *ret = (struct candidate){json_str(json_get_c(root, "blueprint")), json_str(json_get_c(root, "identifier")),
                              json_get_c(root, "relations")};
    if (ret->blueprint.p && ret->identifier.p)
        return true;
    json_unref(*doc);
    return false;
}

struct bulk {
    struct bulk *next;
    struct removal *removal;
    char *blueprint;
    char *ids[BULK_MAX];
    size_t n;
};

struct removal {
    struct run *run;
    const struct certificate *cert;
    bool (*wanted)(void *arg, struct str blueprint, struct str identifier);
    void (*done)(void *arg, size_t deleted);
    void *arg;
    struct write_options write; /* the run's, with or without dependents */
    size_t deleted, limit;
    struct bulk *open;         /* one per blueprint */
    struct bulk *head, **tail; /* full ones */
    size_t queued, in_flight;
    int64_t after;
    bool reading, end, scheduled;
    int64_t *rows; /* without cascading, once the order is known */
    size_t nrows, at;
};

static void schedule(struct removal *r);

static void finish(struct removal *r)
{
    void (*done)(void *, size_t) = r->done;
    void *arg = r->arg;
    size_t deleted = r->deleted;
    free(r->rows);
    free(r);
    done(arg, deleted);
}

/* Requests --------------------------------------------------------------------------------------------------------- */

static void free_bulk(struct bulk *b)
{
    for (size_t i = 0; i < b->n; i++)
        free(b->ids[i]);
    free(b->blueprint);
    free(b);
}

static void on_deleted(void *arg, struct json deleted, const struct err *e)
{
    struct bulk *b = arg;
    struct removal *r = b->removal;
    r->in_flight--;
    if (e) {
        log_error("deleting %zu entities of blueprint '%s' failed (first: '%s'): %s", b->n, b->blueprint, b->ids[0],
                  e->msg);
    } else {
        r->deleted += json_len(deleted);
        if (json_len(deleted) < b->n)
            log_warn("Port deleted %zu of %zu entities of blueprint '%s'", json_len(deleted), b->n, b->blueprint);
    }
    free_bulk(b);
    schedule(r);
}

static void send_bulk(struct removal *r, struct bulk *b)
{
    struct str ids[BULK_MAX];
    for (size_t i = 0; i < b->n; i++)
        ids[i] = str_of(b->ids[i]);
    r->in_flight++;
    port_bulk_delete(r->run->engine->port, str_of(b->blueprint), ids, b->n, &r->write, on_deleted, b);
}

static void enqueue(struct removal *r, struct bulk **at)
{
    struct bulk *b = *at;
    *at = b->next;
    b->next = NULL;
    *r->tail = b;
    r->tail = &b->next;
    r->queued++;
}

static struct bulk *dequeue(struct removal *r)
{
    struct bulk *b = r->head;
    r->head = b->next;
    if (!r->head)
        r->tail = &r->head;
    r->queued--;
    return b;
}

static void add(struct removal *r, struct str blueprint, struct str identifier)
{
    struct bulk **at = &r->open;
    while (*at && !str_is(blueprint, (*at)->blueprint))
        at = &(*at)->next;
    if (!*at) {
        *at = xcalloc(1, sizeof(**at));
        (*at)->removal = r;
        (*at)->blueprint = str_dup(blueprint);
    }
    (*at)->ids[(*at)->n++] = str_dup(identifier);
    if ((*at)->n == r->limit)
        enqueue(r, at);
}

/* Cascading -------------------------------------------------------------------------------------------------------- */

static void on_page(void *arg, const struct state_row *rows, size_t n, const struct err *e)
{
    struct removal *r = arg;
    r->reading = false;
    r->end = e || n == 0;
    if (e)
        log_error("the deletion candidates cannot be read, the rest is kept: %s", e->msg);
    for (size_t i = 0; i < n; i++) {
        struct candidate c;
        struct json_doc *doc;
        r->after = rows[i].row;
        if (!candidate_read(rows[i].text, &c, &doc))
            continue;
        if (r->wanted(r->arg, c.blueprint, c.identifier))
            add(r, c.blueprint, c.identifier);
        json_unref(doc);
    }
    while (r->end && r->open)
        enqueue(r, &r->open);
    schedule(r);
}

static void read_page(struct removal *r)
{
    r->reading = true;
    state_list_read(r->run->engine->state, CANDIDATE_LIST, r->after, REMOVAL_PAGE, on_page, r);
}

static void drop_queue(struct removal *r)
{
    while (r->open)
        enqueue(r, &r->open);
    while (r->head)
        free_bulk(dequeue(r));
    r->end = true;
}

static void step_cascading(struct removal *r)
{
    if (!certificate_holds(r->cert))
        drop_queue(r);
    while (r->head && r->in_flight < IN_FLIGHT_MAX)
        send_bulk(r, dequeue(r));
    if (!r->end && !r->reading && r->queued < IN_FLIGHT_MAX)
        read_page(r);
    if (r->end && !r->reading && !r->head && r->in_flight == 0)
        finish(r);
}

/* One by one ------------------------------------------------------------------------------------------------------- */

static void on_row(void *arg, const struct state_row *rows, size_t n, const struct err *e)
{
    struct removal *r = arg;
    struct candidate c;
    struct json_doc *doc;
    r->reading = false;
    if (e)
        log_error("a deletion candidate cannot be read and is kept: %s", e->msg);
    if (!e && n && candidate_read(rows[0].text, &c, &doc)) {
        add(r, c.blueprint, c.identifier); /* the limit is one: it is queued at once */
        json_unref(doc);
    }
    schedule(r);
}

static void step_single(struct removal *r)
{
    if (!certificate_holds(r->cert)) {
        drop_queue(r);
        r->at = r->nrows;
    }
    if (r->head && r->in_flight == 0)
        send_bulk(r, dequeue(r));
    if (r->in_flight || r->reading)
        return;
    if (r->at == r->nrows) {
        finish(r);
        return;
    }
    r->reading = true;
    state_list_read(r->run->engine->state, CANDIDATE_LIST, r->rows[r->at++] - 1, 1, on_row, r);
}

static void on_order(void *arg, int64_t *rows, size_t n)
{
    struct removal *r = arg;
    r->rows = rows;
    r->nrows = n;
    schedule(r);
}

/* ------------------------------------------------------------------------------------------------------------------ */

static void step(void *arg)
{
    struct removal *r = arg;
    r->scheduled = false;
    if (r->rows)
        step_single(r);
    else
        step_cascading(r);
}

static void schedule(struct removal *r)
{
    if (r->scheduled)
        return;
    r->scheduled = true;
    loop_defer(r->run->engine->loop, step, r);
}

void removal_start(struct run *run, const struct certificate *cert, bool cascade,
                   bool (*wanted)(void *arg, struct str blueprint, struct str identifier),
                   void (*done)(void *arg, size_t deleted), void *arg)
{
    struct removal *r = xcalloc(1, sizeof(*r));
    *r = (struct removal){.run = run, .cert = cert, .wanted = wanted, .done = done, .arg = arg, .write = run->write};
    r->write.delete_dependents = cascade;
    r->tail = &r->head;
    int max = run->engine->settings->delete_max_entities;
    r->limit = max < 1 ? 1 : max > BULK_MAX ? BULK_MAX : (size_t)max;
    if (cascade) {
        schedule(r);
    } else {
        r->limit = 1;
        removal_order(run, cert, wanted, arg, on_order, r);
    }
}
