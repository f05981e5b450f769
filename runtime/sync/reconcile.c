/* Counts are kept per blueprint (few), candidates in the state file (many). After the listing:
 *
 *   no candidates              -> nothing is read or sent, only the record of this run is kept
 *   targets: read the blueprints of produced entities that have relations (protection, S-123)
 *   survey: walk the candidates once and count per blueprint those that are not protected
 *   judge: empty and shrunken kinds hold back their blueprints, the threshold everything
 *   removal: walk the candidates again and delete, or give them to the plan that is made
 *
 * A cascading deletion takes along whatever relates to its target. So it cascades only when nothing is held back or
 * exempt: the relations of what this run did not produce, but keeps, protect nothing. */
#define LOG_GROUP "sync.reconcile"
#include "sync/reconcile.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/state.h"
#include "sync/event.h"
#include "sync/judge.h"
#include "sync/preview.h"
#include "sync/removal.h"
#include "json/compare.h"

#define LIST_LIMIT 5000
#define LIST_LIMIT_MIN 200
#define LIST_PAGE_BYTES ((size_t)8 << 20)
#define CLOCK_SLACK_US 2000000 /* Date headers have whole seconds */

struct reconcile {
    struct run *run;
    struct judge judge;
    struct str *targets; /* of the ledger's relations; p NULL: the blueprint does not have it */
    char before[40];
    char *cursor;
    int limit;
    int64_t after; /* survey */
    void (*listed)(void *arg, const struct err *e);
    void (*done)(void *arg);
    void *arg;
    const struct certificate *cert;
    struct doomed *doomed; /* for a plan: of one page, with their texts */
    struct arena *texts;
};

struct reconcile *reconcile_new(const struct reconcile_opts *o)
{
    struct reconcile *r = xcalloc(1, sizeof(*r));
    r->run = o->run;
    r->limit = LIST_LIMIT;
    judge_init(&r->judge, o);
    return r;
}

void reconcile_free(struct reconcile *r)
{
    if (!r)
        return;
    judge_done(&r->judge);
    free(r->targets);
    free(r->cursor);
    free(r->doomed);
    arena_free(r->texts);
    free(r);
}

static void on_doomed(void *arg, const struct state_row *rows, size_t n, const struct err *e);

/* Listing ---------------------------------------------------------------------------------------------------------- */

static void end_listing(struct reconcile *r, const struct err *e) { r->listed(r->arg, e); }

static void note_listed(struct reconcile *r, struct json entity, struct buf *identifier, struct buf *text)
{
    struct str blueprint = json_str(json_get_c(entity, "blueprint"));
    struct json id = json_get_c(entity, "identifier");
    if (!blueprint.p || json_is_nil(id) || json_is_obj(id))
        return;
    buf_reset(identifier);
    json_identifier_text(identifier, id);
    struct key128 key = key128_entity(blueprint, buf_str(identifier));
    struct tally *t = judge_tally(&r->judge, blueprint);
    if (t->exempt)
        return;
    t->listed++;
    t->updated_listed += ledger_was_updated(r->run->ledger, key);
    if (ledger_has(r->run->ledger, key))
        return;
    r->judge.candidates++;
    t->candidates++;
    buf_reset(text);
    candidate_write(text, blueprint, buf_str(identifier), json_get_c(entity, "relations"));
    state_list_add(r->run->engine->state, CANDIDATE_LIST, key, buf_str(text));
}

static void list_page(struct reconcile *r);

/* The candidates of a page are in the file: the queue of writes does not grow with the listing. */
static void on_written(void *arg, struct str value, const struct err *e)
{
    struct reconcile *r = arg;
    struct err mine = {0};
    (void)value;
    if (!e) {
        list_page(r);
        return;
    }
    err_copy(&mine, e);
    err_wrap(&mine, "keeping the deletion candidates");
    end_listing(r, &mine);
}

static void on_page(void *arg, struct json entities, struct str next, const struct err *e)
{
    struct reconcile *r = arg;
    struct err mine = {0};
    if (e) {
        err_copy(&mine, e);
        err_wrap(&mine, "listing what the integration owns in Port");
        end_listing(r, &mine);
        return;
    }
    if (r->run->event->aborted) {
        ERR(&mine, ERR_CANCELLED, "the run was aborted");
        end_listing(r, &mine);
        return;
    }
    struct buf identifier, text;
    buf_init(&identifier, BUF_NO_LIMIT);
    buf_init(&text, BUF_NO_LIMIT);
    for (struct json_iter it = json_iter(entities); json_next(&it);)
        note_listed(r, it.val, &identifier, &text);
    buf_done(&identifier);
    buf_done(&text);
    if (entities.doc && json_doc_bytes(entities.doc) > LIST_PAGE_BYTES && r->limit > LIST_LIMIT_MIN)
        r->limit /= 2;
    free(r->cursor);
    r->cursor = next.n ? str_dup(next) : NULL;
    if (r->cursor)
        state_get(r->run->engine->state, "reconcile", "barrier", on_written, r);
    else
        end_listing(r, NULL);
}

static void list_page(struct reconcile *r)
{
    port_list_owned(r->run->engine->port, r->run->write.feature, r->before, str_of(r->cursor), r->limit, on_page, r);
}

void reconcile_list(struct reconcile *r, void (*done)(void *arg, const struct err *e), void *arg)
{
    r->listed = done;
    r->arg = arg;
    /* A fast clock of ours would let entities through that live events wrote during the run. */
    int64_t offset = port_clock_offset_us(r->run->engine->port);
    iso_format(r->before, r->run->event->start_wall_us + (offset < -CLOCK_SLACK_US ? offset : 0), ISO_OFFSET);
    state_list_clear(r->run->engine->state, CANDIDATE_LIST);
    list_page(r);
}

/* Protection ------------------------------------------------------------------------------------------------------- */

static bool is_protected(const struct reconcile *r, struct str blueprint, struct str identifier)
{
    const struct ledger *l = r->run->ledger;
    for (size_t i = 0; r->targets && i < ledger_relations(l); i++)
        if (r->targets[i].p && str_eq(r->targets[i], blueprint) &&
            ledger_is_target(l, ledger_relation_at(l, i), identifier))
            return true;
    return false;
}

/* False if a blueprint is unreadable: then the relations are unknown. */
static bool resolve_targets(struct reconcile *r)
{
    const struct ledger *l = r->run->ledger;
    r->targets = xcalloc(ledger_relations(l) + 1, sizeof(*r->targets));
    for (size_t i = 0; i < ledger_relations(l); i++) {
        const struct ledger_relation *rel = ledger_relation_at(l, i);
        const struct schema *s = schemas_find(r->run->schemas, str_of(rel->blueprint));
        if (!s || s->err.code) {
            log_error("blueprint '%s' cannot be read, so it is unknown which entities its relations protect: nothing "
                      "is deleted "
                      "in this run: %s",
                      rel->blueprint, s ? s->err.msg : "no answer");
            return false;
        }
        r->targets[i] = schema_target(s, str_of(rel->relation));
        if (!r->targets[i].p)
            log_warn("blueprint '%s' has no relation '%s', which the mapping fills", rel->blueprint, rel->relation);
    }
    return true;
}

static void finish(struct reconcile *r)
{
    if (certificate_holds(r->cert) && !r->run->preview)
        judge_save(&r->judge);
    state_list_clear(r->run->engine->state, CANDIDATE_LIST);
    r->done(r->arg);
}

/* Deletion --------------------------------------------------------------------------------------------------------- */

static bool in_plan(const struct reconcile *r, struct str blueprint, struct str identifier)
{
    struct key128 key = key128_entity(blueprint, identifier);
    return !r->judge.o.accepted || (ledger_is_doomed(r->run->ledger, key) && !ledger_is_refused(r->run->ledger, key));
}

static bool wanted(void *arg, struct str blueprint, struct str identifier)
{
    const struct reconcile *r = arg;
    const struct tally *t = judge_find(&r->judge, blueprint);
    return t && !t->exempt && !t->held && certificate_covers(r->cert, blueprint) &&
           !is_protected(r, blueprint, identifier) && in_plan(r, blueprint, identifier);
}

static void on_removed(void *arg, size_t deleted)
{
    struct reconcile *r = arg;
    r->run->report->deleted += deleted;
    if (deleted)
        log_info("deleted %zu entities that the third party does not have any more", deleted);
    finish(r);
}

static bool cascades(const struct reconcile *r)
{
    return r->run->write.delete_dependents && !judge_keeps_some(&r->judge);
}

/* Planning --------------------------------------------------------------------------------------------------------- */

static void next_doomed(void *arg)
{
    struct reconcile *r = arg;
    state_list_read(r->run->engine->state, CANDIDATE_LIST, r->after, REMOVAL_PAGE, on_doomed, r);
}

static void add_doomed(struct reconcile *r, struct doomed *d, const struct candidate *c)
{
    const struct tally *t = judge_find(&r->judge, c->blueprint);
    struct buf resources;
    buf_init(&resources, BUF_NO_LIMIT);
    judge_resources(&r->judge, c->blueprint, &resources);
    *d = (struct doomed){
        .blueprint = arena_str(r->texts, c->blueprint),
        .identifier = arena_str(r->texts, c->identifier),
        .key = key128_entity(c->blueprint, c->identifier),
        .rule = t->held ? t->rule : NULL,
        .final = t->held && strcmp(t->rule, "relations") == 0,
        .resources = arena_str(r->texts, buf_str(&resources)),
    };
    buf_done(&resources);
}

static void on_doomed(void *arg, const struct state_row *rows, size_t n, const struct err *e)
{
    struct reconcile *r = arg;
    size_t doomed = 0;
    if (e || n == 0 || !certificate_holds(r->cert)) {
        if (e)
            log_error("the deletion candidates cannot be read: %s", e->msg);
        finish(r);
        return;
    }
    arena_reset(r->texts);
    for (size_t i = 0; i < n; i++) {
        struct candidate c;
        struct json_doc *doc;
        r->after = rows[i].row;
        if (!candidate_read(rows[i].text, &c, &doc))
            continue;
        const struct tally *t = judge_find(&r->judge, c.blueprint);
        if (t && !t->exempt && !is_protected(r, c.blueprint, c.identifier))
            add_doomed(r, &r->doomed[doomed++], &c);
        json_unref(doc);
    }
    preview_doom(r->run->preview, r->doomed, doomed, next_doomed, r);
}

static void plan_deletion(struct reconcile *r)
{
    r->after = 0;
    r->texts = arena_new(0);
    r->doomed = xcalloc(REMOVAL_PAGE, sizeof(*r->doomed));
    preview_cascades(r->run->preview, cascades(r), r->run->write.delete_dependents && !judge_keeps_exempt(&r->judge));
    next_doomed(r);
}

static void judge(struct reconcile *r)
{
    if (certificate_holds(r->cert))
        judge_decide(&r->judge);
    if (r->run->preview)
        plan_deletion(r);
    else if (certificate_holds(r->cert) && judge_deletable(&r->judge) > 0)
        removal_start(r->run, r->cert, cascades(r), wanted, on_removed, r);
    else
        finish(r);
}

static void on_survey(void *arg, const struct state_row *rows, size_t n, const struct err *e)
{
    struct reconcile *r = arg;
    if (e)
        log_error("the deletion candidates cannot be read: %s", e->msg);
    for (size_t i = 0; i < n; i++) {
        struct candidate c;
        struct json_doc *doc;
        r->after = rows[i].row;
        if (!candidate_read(rows[i].text, &c, &doc))
            continue;
        struct tally *t = judge_find(&r->judge, c.blueprint);
        if (t && !is_protected(r, c.blueprint, c.identifier))
            t->deletable++;
        json_unref(doc);
    }
    if (e || n == 0)
        judge(r);
    else
        state_list_read(r->run->engine->state, CANDIDATE_LIST, r->after, REMOVAL_PAGE, on_survey, r);
}

static void on_blueprints(void *arg)
{
    struct reconcile *r = arg;
    if (resolve_targets(r)) {
        state_list_read(r->run->engine->state, CANDIDATE_LIST, 0, REMOVAL_PAGE, on_survey, r);
        return;
    }
    judge_all_deletable(&r->judge);
    judge_hold_all(&r->judge, "relations");
    if (r->run->preview)
        plan_deletion(r);
    else
        finish(r);
}

static void on_records(void *arg)
{
    struct reconcile *r = arg;
    judge_records(&r->judge);
    if (r->judge.candidates == 0 || r->judge.never || !certificate_holds(r->cert)) {
        finish(r);
        return;
    }
    struct ledger *l = r->run->ledger;
    size_t n = r->run->mapping->create_missing_related ? ledger_relations(l) : 0;
    struct str *names = xcalloc(n + 1, sizeof(*names));
    for (size_t i = 0; i < n; i++)
        names[i] = str_of(ledger_relation_at(l, i)->blueprint);
    schemas_read(r->run->schemas, names, n, on_blueprints, r);
    free(names);
}

void reconcile_delete(struct reconcile *r, const struct certificate *cert, void (*done)(void *arg), void *arg)
{
    r->cert = cert;
    r->done = done;
    r->arg = arg;
    certified_load(r->run->engine->loop, r->run->engine->state, r->judge.records, r->judge.nkinds, on_records, r);
}
