/* The list lies in the state file as "<slot> <entity>". Only keys and relations are in memory while the order is found;
 * each entity is read again when its turn comes. A success moves the entity from `rejected` to what became of it. */
#define LOG_GROUP "sync.resend"
#include "sync/resend.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "store/state.h"
#include "sync/event.h"
#include "sync/order.h"
#include "json/compare.h"

#define PAGE 200

struct resend {
    struct run *run;
    struct resource_run *resources;
    size_t n;
    void (*done)(void *arg);
    void *arg;
    struct order *order;
    int64_t after, *rows;
    size_t nrows, at;
    /* the entity being sent */
    size_t slot;
    struct key128 key;
    char *blueprint, *text;
};

static void next(void *arg);

void resend_keep(struct run *run, size_t slot, const struct mapped_entity *e)
{
    struct buf text;
    buf_init(&text, BUF_NO_LIMIT);
    buf_addf(&text, "%zu ", slot);
    buf_addstr(&text, e->text);
    state_list_add(run->engine->state, RETRY_LIST, e->key, buf_str(&text));
    buf_done(&text);
}

static void finish(void *arg)
{
    struct resend *r = arg;
    void (*done)(void *) = r->done;
    void *done_arg = r->arg;
    state_list_clear(r->run->engine->state, RETRY_LIST);
    order_free(r->order);
    free(r->rows);
    free(r);
    done(done_arg);
}

static bool parse_row(const struct resend *r, struct str text, size_t *slot, struct str *entity, struct json_doc **doc)
{
    int64_t number;
    struct err e;
    struct str first = str_split(text, ' ', entity);
    if (!str_int64(first, &number) || number < 0 || (size_t)number >= r->n || json_parse(*entity, doc, &e) < 0) {
        log_error("an entity kept for the retry is damaged in the state file");
        return false;
    }
    *slot = (size_t)number;
    return true;
}

/* Outcomes --------------------------------------------------------------------------------------------------------- */

static void sent(struct resend *r, const struct upsert_result *res, const struct err *whole)
{
    struct resource_report *rep = r->resources[r->slot].report;
    struct str blueprint = str_of(r->blueprint);
    if (whole || res->outcome == UPSERT_FAILED) {
        struct str message = whole ? str_of(whole->msg) : res->message;
        char *where = xasprintf("blueprint %s", r->blueprint);
        char *text =
            xasprintf("Port rejected an entity (%d): %.*s", whole ? whole->http_status : res->status, STR_FMT(message));
        report_error(rep, where, text, 1);
        log_error("retry: %s (%s)", text, where);
        free(text);
        free(where);
        return;
    }
    rep->rejected -= rep->rejected > 0;
    if (res->outcome == UPSERT_UNMATCHED) {
        rep->unmatched++;
        return;
    }
    if (res->outcome == UPSERT_CREATED) {
        rep->created++;
        return;
    }
    rep->updated++;
    if (res->created_known)
        ledger_updated(r->run->ledger, blueprint, r->key);
}

static void on_sent(void *arg, const struct upsert_result *results, size_t n, const struct err *whole)
{
    struct resend *r = arg;
    static const struct err none = {.code = ERR_INTERNAL, .msg = "no result"};
    sent(r, n ? &results[0] : NULL, whole || n ? whole : &none);
    free(r->blueprint);
    free(r->text);
    r->blueprint = r->text = NULL;
    loop_defer(r->run->engine->loop, next, r);
}

static void on_row(void *arg, const struct state_row *rows, size_t n, const struct err *e)
{
    struct resend *r = arg;
    struct str entity;
    struct json_doc *doc;
    if (e || n == 0 || !parse_row(r, rows[0].text, &r->slot, &entity, &doc)) {
        if (e)
            log_error("an entity kept for the retry cannot be read: %s", e->msg);
        loop_defer(r->run->engine->loop, next, r);
        return;
    }
    r->key = rows[0].key;
    r->blueprint = str_dup(json_str(json_get_c(json_root(doc), "blueprint")));
    r->text = str_dup(entity);
    json_unref(doc);
    port_single_upsert(r->run->engine->port, str_of(r->blueprint), (struct str){r->text, entity.n}, &r->run->write, on_sent, r);
}

static void next(void *arg)
{
    struct resend *r = arg;
    if (r->at == r->nrows || r->run->event->aborted) {
        finish(r);
        return;
    }
    state_list_read(r->run->engine->state, RETRY_LIST, r->rows[r->at++] - 1, 1, on_row, r);
}

/* Order ------------------------------------------------------------------------------------------------------------ */

static void sort_rows(struct resend *r)
{
    r->nrows = order_count(r->order);
    r->rows = xcalloc(r->nrows + 1, sizeof(*r->rows));
    if (r->nrows)
        log_info("retrying %zu entities that Port refused", r->nrows);
    if (order_sort(r->order, true, r->rows))
        return;
    /* A cycle: all in the order of registration (S-118), which is the order of their rows. */
    log_warn("entities to be retried relate to each other in a cycle; they are sent in the order they came");
    order_registration(r->order, r->rows);
}

static void on_page(void *arg, const struct state_row *rows, size_t n, const struct err *e)
{
    struct resend *r = arg;
    struct buf identifier;
    if (e)
        log_error("the entities kept for the retry cannot be read: %s", e->msg);
    if (e || n == 0) {
        sort_rows(r);
        loop_defer(r->run->engine->loop, next, r);
        return;
    }
    buf_init(&identifier, BUF_NO_LIMIT);
    for (size_t i = 0; i < n; i++) {
        size_t slot;
        struct str entity;
        struct json_doc *doc;
        r->after = rows[i].row;
        if (!parse_row(r, rows[i].text, &slot, &entity, &doc))
            continue;
        buf_reset(&identifier);
        json_identifier_text(&identifier, json_get_c(json_root(doc), "identifier"));
        order_add(r->order, rows[i].key, buf_str(&identifier), rows[i].row);
        order_relations(r->order, json_get_c(json_root(doc), "relations"));
        json_unref(doc);
    }
    buf_done(&identifier);
    state_list_read(r->run->engine->state, RETRY_LIST, r->after, PAGE, on_page, r);
}

void resend_start(struct run *run, struct resource_run *resources, size_t n, void (*done)(void *arg), void *arg)
{
    struct resend *r = xcalloc(1, sizeof(*r));
    *r = (struct resend){.run = run, .resources = resources, .n = n, .done = done, .arg = arg};
    r->order = order_new();
    state_list_read(run->engine->state, RETRY_LIST, 0, PAGE, on_page, r);
}
