/* Counts are kept per blueprint (few), candidates in the state file (many). After the listing:
 *
 *   no candidates              -> nothing is read or sent, only the record of this run is kept
 *   targets: read the blueprints of produced entities that have relations (protection, S-123)
 *   survey: walk the candidates once and count per blueprint those that are not protected
 *   judge: empty and shrunken kinds hold back their blueprints, the threshold everything
 *   removal: walk the candidates again and delete
 *
 * A blueprint is exempt, out of every count, if a resource with `enableDelete: false` produces it (S-150) or a failed
 * search identifier may have meant any of its entities. */
#define LOG_GROUP "sync.reconcile"
#include "sync/reconcile.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/strmap.h"
#include "config/settings.h"
#include "store/state.h"
#include "sync/certified.h"
#include "sync/event.h"
#include "sync/removal.h"
#include "json/compare.h"

#define LIST_LIMIT 5000
#define LIST_LIMIT_MIN 200
#define LIST_PAGE_BYTES ((size_t)8 << 20)
#define CLOCK_SLACK_US 2000000 /* Date headers have whole seconds */

struct tally { /* of one blueprint */
    char *name;
    size_t candidates, deletable, updated_listed;
    bool exempt, held;
};
struct kind {
    struct certified *saved; /* of the last certified run; in reconcile.records */
    struct kind_facts facts;
    enum hold hold;
    bool exempt;  /* every resource of it has enableDelete: false */
    size_t first; /* its first resource */
};
struct reconcile {
    struct reconcile_opts o;
    struct strmap *tallies; /* of struct tally */
    struct kind *kinds;
    struct certified *records; /* one per kind */
    size_t nkinds;
    size_t listed, candidates;
    bool never;          /* nothing at all may be deleted (S-150) */
    bool stopped;        /* by the threshold, or because relations are unknown */
    struct str *targets; /* of the ledger's relations; p NULL: the blueprint does not have it */
    char before[40];
    char *cursor;
    int limit;
    int64_t after; /* survey */
    void (*listed_cb)(void *arg, const struct err *e);
    void (*done)(void *arg);
    void *arg;
    const struct certificate *cert;
};

/* Blueprints ------------------------------------------------------------------------------------------------------- */

static void free_tally(void *p)
{
    struct tally *t = p;
    free(t->name);
    free(t);
}

static bool can_produce(const struct reconcile *r, size_t slot, struct str blueprint)
{
    struct str literal = plan_blueprint(r->o.resources[slot].plan);
    if (literal.p)
        return str_eq(literal, blueprint);
    const struct ledger_blueprint *b = ledger_blueprint(r->o.run->ledger, blueprint);
    return b && b->by[slot];
}

static bool is_exempt(const struct reconcile *r, struct str blueprint)
{
    const struct ledger_blueprint *b = ledger_blueprint(r->o.run->ledger, blueprint);
    if (b && b->excluded)
        return true;
    for (size_t i = 0; i < r->o.n; i++)
        if (!r->o.resources[i].res->enable_delete && can_produce(r, i, blueprint))
            return true;
    return false;
}

static struct tally *tally_of(struct reconcile *r, struct str blueprint)
{
    struct tally *t = strmap_get(r->tallies, blueprint);
    if (!t) {
        t = xcalloc(1, sizeof(*t));
        t->name = str_dup(blueprint);
        t->exempt = is_exempt(r, blueprint);
        strmap_put(r->tallies, blueprint, t);
    }
    return t;
}

static bool produced_some(const struct reconcile *r, size_t slot)
{
    for (size_t i = 0; i < ledger_blueprints(r->o.run->ledger); i++)
        if (ledger_blueprint_at(r->o.run->ledger, i)->by[slot])
            return true;
    return false;
}

/* Kinds ------------------------------------------------------------------------------------------------------------ */

static struct kind *kind_of(struct reconcile *r, size_t slot)
{
    struct str name = r->o.resources[slot].res->kind;
    for (size_t i = 0; i < r->nkinds; i++)
        if (str_is(name, r->kinds[i].saved->kind))
            return &r->kinds[i];
    struct kind *k = &r->kinds[r->nkinds];
    k->saved = &r->records[r->nkinds++];
    k->saved->kind = str_dup(name);
    k->first = slot;
    k->exempt = true;
    for (size_t i = 0; i < r->o.nallow_empty; i++)
        k->facts.allowed_empty |= str_is(name, r->o.allow_empty[i]);
    return k;
}

static void collect_kinds(struct reconcile *r)
{
    r->kinds = xcalloc(r->o.n + 1, sizeof(*r->kinds));
    r->records = xcalloc(r->o.n + 1, sizeof(*r->records));
    for (size_t i = 0; i < r->o.n; i++) {
        const struct resource_run *rr = &r->o.resources[i];
        struct kind *k = kind_of(r, i);
        k->exempt &= !rr->res->enable_delete;
        k->facts.extracted += rr->report->extracted;
        k->facts.entities += rr->report->mapped;
        k->facts.answers_2xx += rr->evidence.answers_2xx;
        k->facts.ignored_statuses += rr->evidence.ignored_statuses;
        k->facts.http_requests += rr->evidence.http_requests;
        k->facts.explicit_empty |= rr->evidence.explicit_empty;
        if (!rr->res->enable_delete && !plan_blueprint(rr->plan).p && !produced_some(r, i)) {
            r->never = true;
            log_warn("kind=%.*s-%d has enableDelete: false, a computed blueprint and produced nothing, so nothing is "
                     "deleted "
                     "in this run",
                     STR_FMT(rr->res->kind), rr->res->index);
        }
    }
}

struct reconcile *reconcile_new(const struct reconcile_opts *o)
{
    struct reconcile *r = xcalloc(1, sizeof(*r));
    r->o = *o;
    r->tallies = strmap_new(free_tally);
    r->limit = LIST_LIMIT;
    collect_kinds(r);
    return r;
}

void reconcile_free(struct reconcile *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->nkinds; i++)
        certified_done(&r->records[i]);
    free(r->records);
    free(r->kinds);
    free(r->targets);
    free(r->cursor);
    strmap_free(r->tallies);
    free(r);
}

/* Listing ---------------------------------------------------------------------------------------------------------- */

static void end_listing(struct reconcile *r, const struct err *e) { r->listed_cb(r->arg, e); }

static void note_listed(struct reconcile *r, struct json entity, struct buf *identifier, struct buf *text)
{
    struct str blueprint = json_str(json_get_c(entity, "blueprint"));
    struct json id = json_get_c(entity, "identifier");
    if (!blueprint.p || json_is_nil(id) || json_is_obj(id))
        return;
    buf_reset(identifier);
    json_identifier_text(identifier, id);
    struct key128 key = key128_entity(blueprint, buf_str(identifier));
    struct tally *t = tally_of(r, blueprint);
    if (t->exempt)
        return;
    r->listed++;
    t->updated_listed += ledger_was_updated(r->o.run->ledger, key);
    if (ledger_has(r->o.run->ledger, key))
        return;
    r->candidates++;
    t->candidates++;
    buf_reset(text);
    candidate_write(text, blueprint, buf_str(identifier),
                    r->o.run->write.delete_dependents ? JSON_NONE : json_get_c(entity, "relations"));
    state_list_add(r->o.run->state, CANDIDATE_LIST, key, buf_str(text));
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
    if (r->o.run->event->aborted) {
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
        state_get(r->o.run->state, "reconcile", "barrier", on_written, r);
    else
        end_listing(r, NULL);
}

static void list_page(struct reconcile *r)
{
    port_list_owned(r->o.run->port, r->o.run->write.feature, r->before, str_of(r->cursor), r->limit, on_page, r);
}

void reconcile_list(struct reconcile *r, void (*done)(void *arg, const struct err *e), void *arg)
{
    r->listed_cb = done;
    r->arg = arg;
    /* A fast clock of ours would let entities through that live events wrote during the run. */
    int64_t offset = port_clock_offset_us(r->o.run->port);
    iso_format(r->before, r->o.run->event->start_wall_us + (offset < -CLOCK_SLACK_US ? offset : 0), ISO_OFFSET);
    state_list_clear(r->o.run->state, CANDIDATE_LIST);
    list_page(r);
}

/* Protection ------------------------------------------------------------------------------------------------------- */

static bool is_protected(const struct reconcile *r, struct str blueprint, struct str identifier)
{
    const struct ledger *l = r->o.run->ledger;
    for (size_t i = 0; r->targets && i < ledger_relations(l); i++)
        if (r->targets[i].p && str_eq(r->targets[i], blueprint) &&
            ledger_is_target(l, ledger_relation_at(l, i), identifier))
            return true;
    return false;
}

/* False if a blueprint is unreadable: then the relations are unknown. */
static bool resolve_targets(struct reconcile *r)
{
    const struct ledger *l = r->o.run->ledger;
    r->targets = xcalloc(ledger_relations(l) + 1, sizeof(*r->targets));
    for (size_t i = 0; i < ledger_relations(l); i++) {
        const struct ledger_relation *rel = ledger_relation_at(l, i);
        const struct schema *s = schemas_find(r->o.run->schemas, str_of(rel->blueprint));
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

/* Judgement -------------------------------------------------------------------------------------------------------- */

static size_t updated_not_listed(const struct reconcile *r)
{
    size_t n = 0;
    for (size_t i = 0; i < ledger_blueprints(r->o.run->ledger); i++) {
        const struct ledger_blueprint *b = ledger_blueprint_at(r->o.run->ledger, i);
        const struct tally *t = strmap_get(r->tallies, str_of(b->name));
        if (t ? t->exempt : is_exempt(r, str_of(b->name)))
            continue;
        n += b->updated - (t ? t->updated_listed : 0);
    }
    return n;
}

static size_t hold(struct reconcile *r, struct tally *t, size_t slot)
{
    if (t->held || t->exempt)
        return 0;
    t->held = true;
    r->o.resources[slot].report->held_back += t->deletable;
    r->o.run->report->held_back += t->deletable;
    return t->deletable;
}

static bool kind_may_own(const struct reconcile *r, const struct kind *k, struct str blueprint)
{
    bool computed = false, owns = false;
    for (size_t i = 0; i < r->o.n; i++) {
        const struct mapping_resource *res = r->o.resources[i].res;
        if (!str_is(res->kind, k->saved->kind) || !res->enable_delete)
            continue;
        computed |= !plan_blueprint(r->o.resources[i].plan).p;
        owns |= can_produce(r, i, blueprint);
    }
    for (size_t i = 0; computed && i < k->saved->nblueprints; i++)
        owns |= str_is(blueprint, k->saved->blueprints[i]);
    return owns || (computed && k->saved->nblueprints == 0); /* else all */
}

static size_t hold_kind(struct reconcile *r, const struct kind *k)
{
    size_t n = 0, at = 0;
    struct str name;
    void *t;
    while ((at = strmap_next(r->tallies, at, &name, &t)))
        if (kind_may_own(r, k, name))
            n += hold(r, t, k->first);
    return n;
}

static void say_held(const struct reconcile *r, const struct kind *k, size_t n)
{
    const char *first = k->saved->record.known ? "" : " (the state directory knows no earlier run of this kind)";
    const char *kind = k->saved->kind;
    if (k->hold == HOLD_EMPTY && holdback_counts_as_empty(&k->facts))
        log_error("kind '%s' is empty, but Port holds %zu entities of it%s: they are held back. If the next run finds "
                  "it empty "
                  "again they are deleted; --allow-empty %s deletes them at once",
                  kind, n, first, kind);
    else if (k->hold == HOLD_EMPTY)
        log_error(
            "kind '%s' extracted nothing, and no answer proves that it is empty, but Port holds %zu entities of it%s: "
            "they are held back. Check the permissions of the token; if it is empty run once with --allow-empty %s",
            kind, n, first, kind);
    else
        log_error("kind '%s' shrank from %zu to %zu entities, more than %g %%: %zu entities in Port are held back. If "
                  "that is "
                  "right run once with a larger --max-shrink PERCENT (or OCEAN__MAX_SHRINK)",
                  kind, k->facts.last.entities, k->facts.entities, r->o.max_shrink_percent, n);
}

static void judge_kinds(struct reconcile *r)
{
    const struct mapping_doc *m = r->o.run->mapping;
    struct hold_rules rules = {
        .max_shrink_percent = r->o.max_shrink_percent,
        .shrink_replaced = m->threshold_stated && fabs(m->deletion_threshold - 0.9) > 1e-9,
    };
    for (size_t i = 0; i < r->nkinds; i++) {
        struct kind *k = &r->kinds[i];
        if (k->exempt)
            continue;
        k->hold = holdback_judge(&k->facts, &rules);
        size_t n = k->hold ? hold_kind(r, k) : 0;
        if (n)
            say_held(r, k, n);
        else
            k->hold = HOLD_NONE; /* nothing in Port is affected */
    }
}

static size_t slot_of(const struct reconcile *r, struct str blueprint)
{
    for (size_t i = 0; i < r->o.n; i++)
        if (can_produce(r, i, blueprint))
            return i;
    return r->o.n;
}

/* Everything stays. Entities no resource can produce any more count in the sum alone. */
static size_t hold_all(struct reconcile *r)
{
    size_t n = 0, at = 0;
    struct str name;
    void *value;
    r->stopped = true;
    while ((at = strmap_next(r->tallies, at, &name, &value))) {
        struct tally *t = value;
        size_t slot = slot_of(r, name);
        if (slot < r->o.n) {
            n += hold(r, t, slot);
        } else if (!t->held && !t->exempt) {
            t->held = true;
            r->o.run->report->held_back += t->deletable;
            n += t->deletable;
        }
    }
    return n;
}

static void judge_threshold(struct reconcile *r)
{
    double threshold = r->o.run->mapping->deletion_threshold;
    double rate = threshold_rate(r->candidates, r->listed, updated_not_listed(r));
    if (threshold_allows(rate, threshold))
        return;
    size_t n = hold_all(r);
    log_error(
        "%zu of %zu entities would be deleted (%.4g), more than the entityDeletionThreshold of %g allows: %zu are held "
        "back. Check that the third party answered completely, or raise the threshold in the mapping",
        r->candidates, r->listed + updated_not_listed(r), rate, threshold, n);
}

/* The record of this run ------------------------------------------------------------------------------------------- */

static void save_kind(struct reconcile *r, struct kind *k)
{
    enum hold held = k->hold == HOLD_NONE && r->stopped ? HOLD_SHRUNKEN : k->hold;
    struct certified now = {.kind = xstrdup(k->saved->kind), .record = holdback_next(&k->facts, held)};
    const struct ledger *l = r->o.run->ledger;
    for (size_t b = 0; b < ledger_blueprints(l) && held == HOLD_NONE; b++)
        for (size_t i = 0; i < r->o.n; i++)
            if (ledger_blueprint_at(l, b)->by[i] && str_is(r->o.resources[i].res->kind, k->saved->kind))
                certified_add_blueprint(&now, ledger_blueprint_at(l, b)->name);
    for (size_t b = 0; b < k->saved->nblueprints && (held != HOLD_NONE || k->facts.entities == 0); b++)
        certified_add_blueprint(&now, k->saved->blueprints[b]);
    certified_save(r->o.run->state, &now);
    certified_done(&now);
}

static void finish(struct reconcile *r)
{
    if (certificate_holds(r->cert))
        for (size_t i = 0; i < r->nkinds; i++)
            save_kind(r, &r->kinds[i]);
    state_list_clear(r->o.run->state, CANDIDATE_LIST);
    r->done(r->arg);
}

/* Deletion --------------------------------------------------------------------------------------------------------- */

static bool wanted(void *arg, struct str blueprint, struct str identifier)
{
    const struct reconcile *r = arg;
    const struct tally *t = strmap_get(r->tallies, blueprint);
    return t && !t->exempt && !t->held && !is_protected(r, blueprint, identifier);
}

static void on_removed(void *arg, size_t deleted)
{
    struct reconcile *r = arg;
    r->o.run->report->deleted += deleted;
    if (deleted)
        log_info("deleted %zu entities that the third party does not have any more", deleted);
    finish(r);
}

/* Candidates that are neither protected nor held back. */
static size_t deletable(const struct reconcile *r)
{
    size_t n = 0, at = 0;
    struct str name;
    void *value;
    while ((at = strmap_next(r->tallies, at, &name, &value))) {
        const struct tally *t = value;
        n += t->held ? 0 : t->deletable;
    }
    return n;
}

static void judge(struct reconcile *r)
{
    if (!certificate_holds(r->cert)) {
        finish(r);
        return;
    }
    if (deletable(r) > 0) {
        judge_kinds(r);
        judge_threshold(r);
    }
    if (deletable(r) == 0)
        finish(r);
    else
        removal_start(r->o.run, r->cert, wanted, on_removed, r);
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
        struct tally *t = strmap_get(r->tallies, c.blueprint);
        if (t && !is_protected(r, c.blueprint, c.identifier))
            t->deletable++;
        json_unref(doc);
    }
    if (e || n == 0)
        judge(r);
    else
        state_list_read(r->o.run->state, CANDIDATE_LIST, r->after, REMOVAL_PAGE, on_survey, r);
}

static void on_blueprints(void *arg)
{
    struct reconcile *r = arg;
    struct str name;
    void *value;
    if (resolve_targets(r)) {
        state_list_read(r->o.run->state, CANDIDATE_LIST, 0, REMOVAL_PAGE, on_survey, r);
        return;
    }
    for (size_t at = 0; (at = strmap_next(r->tallies, at, &name, &value));)
        ((struct tally *)value)->deletable = ((struct tally *)value)->candidates;
    hold_all(r);
    finish(r);
}

static void on_records(void *arg)
{
    struct reconcile *r = arg;
    for (size_t i = 0; i < r->nkinds; i++)
        r->kinds[i].facts.last = r->kinds[i].saved->record;
    if (r->candidates == 0 || r->never || !certificate_holds(r->cert)) {
        finish(r);
        return;
    }
    struct ledger *l = r->o.run->ledger;
    size_t n = r->o.run->mapping->create_missing_related ? ledger_relations(l) : 0;
    struct str *names = xcalloc(n + 1, sizeof(*names));
    for (size_t i = 0; i < n; i++)
        names[i] = str_of(ledger_relation_at(l, i)->blueprint);
    schemas_read(r->o.run->schemas, names, n, on_blueprints, r);
    free(names);
}

void reconcile_delete(struct reconcile *r, const struct certificate *cert, void (*done)(void *arg), void *arg)
{
    r->cert = cert;
    r->done = done;
    r->arg = arg;
    certified_load(r->o.run->loop, r->o.run->state, r->records, r->nkinds, on_records, r);
}
