/* A blueprint is exempt, out of every count, if a resource with `enableDelete: false` produces it (S-150), a failed
 * search identifier may have meant any of its entities or the run's scope leaves it out. What is held back is
 * counted at the first resource of its kind. */
#define LOG_GROUP "sync.reconcile"
#include "sync/judge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/strmap.h"
#include "json/write.h"
#include "store/state.h"
#include "sync/certified.h"
#include "sync/preview.h"

/* Blueprints ------------------------------------------------------------------------------------------------------- */

static void free_tally(void *p)
{
    struct tally *t = p;
    free(t->name);
    free(t);
}

static bool can_produce(const struct judge *j, size_t slot, struct str blueprint)
{
    struct str literal = plan_blueprint(j->o.resources[slot].plan);
    if (literal.p)
        return str_eq(literal, blueprint);
    const struct ledger_blueprint *b = ledger_blueprint(j->o.run->ledger, blueprint);
    return b && b->by[slot];
}

static bool is_exempt(const struct judge *j, struct str blueprint)
{
    const struct ledger_blueprint *b = ledger_blueprint(j->o.run->ledger, blueprint);
    if ((b && b->excluded) || !scope_covers(j->o.scope, blueprint))
        return true;
    for (size_t i = 0; i < j->o.n; i++)
        if (!j->o.resources[i].res->enable_delete && can_produce(j, i, blueprint))
            return true;
    return false;
}

struct tally *judge_tally(struct judge *j, struct str blueprint)
{
    struct tally *t = strmap_get(j->tallies, blueprint);
    if (!t) {
        t = xcalloc(1, sizeof(*t));
        t->name = str_dup(blueprint);
        t->exempt = is_exempt(j, blueprint);
        strmap_put(j->tallies, blueprint, t);
    }
    return t;
}

struct tally *judge_find(const struct judge *j, struct str blueprint) { return strmap_get(j->tallies, blueprint); }

static bool produced_some(const struct judge *j, size_t slot)
{
    for (size_t i = 0; i < ledger_blueprints(j->o.run->ledger); i++)
        if (ledger_blueprint_at(j->o.run->ledger, i)->by[slot])
            return true;
    return false;
}

/* Kinds ------------------------------------------------------------------------------------------------------------ */

static struct kind *kind_of(struct judge *j, size_t slot)
{
    struct str name = j->o.resources[slot].res->kind;
    for (size_t i = 0; i < j->nkinds; i++)
        if (str_is(name, j->kinds[i].saved->kind))
            return &j->kinds[i];
    struct kind *k = &j->kinds[j->nkinds];
    k->saved = &j->records[j->nkinds++];
    k->saved->kind = str_dup(name);
    k->first = slot;
    k->exempt = true;
    for (size_t i = 0; i < j->o.nallow_empty; i++)
        k->facts.allowed_empty |= str_is(name, j->o.allow_empty[i]);
    return k;
}

static void collect_kinds(struct judge *j)
{
    j->kinds = xcalloc(j->o.n + 1, sizeof(*j->kinds));
    j->records = xcalloc(j->o.n + 1, sizeof(*j->records));
    for (size_t i = 0; i < j->o.n; i++) {
        const struct resource_run *rr = &j->o.resources[i];
        struct kind *k = kind_of(j, i);
        k->exempt &= !rr->res->enable_delete;
        k->failed |= rr->failed || rr->report->state != RES_COMPLETED;
        k->facts.extracted += rr->report->extracted;
        k->facts.entities += rr->report->mapped;
        k->facts.answers_2xx += rr->evidence.answers_2xx;
        k->facts.ignored_statuses += rr->evidence.ignored_statuses;
        k->facts.http_requests += rr->evidence.http_requests;
        k->facts.explicit_empty |= rr->evidence.explicit_empty;
        if (!rr->res->enable_delete && !plan_blueprint(rr->plan).p && !produced_some(j, i)) {
            j->never = true;
            log_warn("kind=%.*s-%d has enableDelete: false, a computed blueprint and produced nothing, so nothing is "
                     "deleted "
                     "in this run",
                     STR_FMT(rr->res->kind), rr->res->index);
        }
    }
}

void judge_init(struct judge *j, const struct reconcile_opts *o)
{
    *j = (struct judge){.o = *o, .tallies = strmap_new(free_tally)};
    collect_kinds(j);
}

void judge_done(struct judge *j)
{
    for (size_t i = 0; i < j->nkinds; i++)
        certified_done(&j->records[i]);
    free(j->records);
    free(j->kinds);
    strmap_free(j->tallies);
}

void judge_records(struct judge *j)
{
    for (size_t i = 0; i < j->nkinds; i++)
        j->kinds[i].facts.last = j->kinds[i].saved->record;
}

/* Judgement -------------------------------------------------------------------------------------------------------- */

static size_t updated_not_listed(const struct judge *j)
{
    size_t n = 0;
    for (size_t i = 0; i < ledger_blueprints(j->o.run->ledger); i++) {
        const struct ledger_blueprint *b = ledger_blueprint_at(j->o.run->ledger, i);
        const struct tally *t = strmap_get(j->tallies, str_of(b->name));
        if (t ? t->exempt : is_exempt(j, str_of(b->name)))
            continue;
        n += b->updated - (t ? t->updated_listed : 0);
    }
    return n;
}

/* Says what is held back; a plan may release it, so it decides whether that is said. */
__attribute__((format(printf, 2, 3))) static void say(const struct judge *j, const char *fmt, ...)
{
    struct buf text;
    va_list ap;
    buf_init(&text, BUF_NO_LIMIT);
    va_start(ap, fmt);
    buf_addvf(&text, fmt, ap);
    va_end(ap);
    if (j->o.run->preview)
        preview_note(j->o.run->preview, buf_cstr(&text));
    else
        log_error("%s", buf_cstr(&text));
    buf_done(&text);
}

static size_t hold(struct judge *j, struct tally *t, size_t slot, const char *rule)
{
    if (t->held || t->exempt)
        return 0;
    t->held = true;
    t->rule = rule;
    j->o.resources[slot].report->held_back += t->deletable;
    j->o.run->report->held_back += t->deletable;
    return t->deletable;
}

/* Is this a literal blueprint of the kind, or, where blueprints are computed, one it produced in its last certified
 * run? `unknown` answers where nothing is recorded. */
static bool kind_owns(const struct judge *j, const struct kind *k, struct str blueprint, bool unknown)
{
    bool computed = false, owns = false;
    for (size_t i = 0; i < j->o.n; i++) {
        const struct mapping_resource *res = j->o.resources[i].res;
        if (!str_is(res->kind, k->saved->kind) || !res->enable_delete)
            continue;
        computed |= !plan_blueprint(j->o.resources[i].plan).p;
        owns |= can_produce(j, i, blueprint);
    }
    for (size_t i = 0; computed && i < k->saved->nblueprints; i++)
        owns |= str_is(blueprint, k->saved->blueprints[i]);
    return owns || (unknown && computed && k->saved->nblueprints == 0);
}

static size_t hold_kind(struct judge *j, const struct kind *k)
{
    size_t n = 0, at = 0;
    struct str name;
    void *t;
    while ((at = strmap_next(j->tallies, at, &name, &t)))
        if (kind_owns(j, k, name, true)) /* else all */
            n += hold(j, t, k->first, k->hold == HOLD_EMPTY ? "empty" : "shrunken");
    return n;
}

static void say_held(const struct judge *j, const struct kind *k, size_t n)
{
    const char *kind = k->saved->kind;
    struct buf note;
    buf_init(&note, 4096);
    if (!k->saved->record.known)
        buf_addf(&note, " (first run of this kind with the state file %s)", state_path(j->o.run->engine->state));
    if (k->hold == HOLD_EMPTY && holdback_counts_as_empty(&k->facts))
        say(j,
            "kind '%s' is empty, but Port holds %zu entities of it%s: they are held back. If the next run finds it "
            "empty again they are deleted; --allow-empty %s, or --accept-plan with the hash --plan gives, deletes them "
            "at once",
            kind, n, buf_cstr(&note), kind);
    else if (k->hold == HOLD_EMPTY)
        say(j,
            "kind '%s' extracted nothing, and no answer proves that it is empty, but Port holds %zu entities of "
            "it%s: they are held back. Check the permissions of the token; if it is empty run once with "
            "--allow-empty %s, or with --accept-plan and the hash --plan gives",
            kind, n, buf_cstr(&note), kind);
    else
        say(j,
            "kind '%s' shrank from %zu to %zu entities, more than %g %%: %zu entities in Port are held back. If that "
            "is right run once with a larger --max-shrink PERCENT (or OCEAN__MAX_SHRINK), or with --accept-plan and "
            "the hash --plan gives",
            kind, k->facts.last.entities, k->facts.entities, j->o.max_shrink_percent, n);
    buf_done(&note);
}

/* Whoever accepts that a kind is empty accepts that all of it goes, so it has no part in the threshold's rate: with the
 * default threshold the only kind of an integration could never become empty. A blueprint another kind produces stays
 * in it. */
static void release_kind(struct judge *j, const struct kind *k)
{
    size_t at = 0;
    struct str name;
    void *t;
    while ((at = strmap_next(j->tallies, at, &name, &t)))
        if (kind_owns(j, k, name, false) && !ledger_blueprint(j->o.run->ledger, name))
            ((struct tally *)t)->released = true;
}

static void judge_kinds(struct judge *j)
{
    const struct mapping_doc *m = j->o.run->mapping;
    bool stated = m->threshold_stated && fabs(m->deletion_threshold - 0.9) > 1e-9;
    struct hold_rules rules = {.max_shrink_percent = j->o.max_shrink_percent, .shrink_replaced = stated};
    for (size_t i = 0; i < j->nkinds; i++) {
        struct kind *k = &j->kinds[i];
        if (k->exempt)
            continue;
        k->hold = holdback_judge(&k->facts, &rules);
        if (k->hold == HOLD_NONE && k->facts.extracted == 0 && !stated)
            release_kind(j, k);
        size_t n = k->hold ? hold_kind(j, k) : 0;
        if (n)
            say_held(j, k, n);
        else
            k->hold = HOLD_NONE; /* nothing in Port is affected */
    }
}

static size_t slot_of(const struct judge *j, struct str blueprint)
{
    for (size_t i = 0; i < j->o.n; i++)
        if (can_produce(j, i, blueprint))
            return i;
    return j->o.n;
}

size_t judge_hold_all(struct judge *j, const char *rule)
{
    size_t n = 0, at = 0;
    struct str name;
    void *value;
    j->stopped = true;
    while ((at = strmap_next(j->tallies, at, &name, &value))) {
        struct tally *t = value;
        size_t slot = slot_of(j, name);
        if (slot < j->o.n) {
            n += hold(j, t, slot, rule);
        } else if (!t->held && !t->exempt) {
            t->held = true;
            t->rule = rule;
            j->o.run->report->held_back += t->deletable;
            n += t->deletable;
        }
    }
    return n;
}

static void judge_threshold(struct judge *j)
{
    double threshold = j->o.run->mapping->deletion_threshold;
    size_t candidates = 0, all = updated_not_listed(j), at = 0;
    struct str name;
    void *value;
    while ((at = strmap_next(j->tallies, at, &name, &value))) {
        const struct tally *t = value;
        candidates += t->released ? 0 : t->candidates;
        all += t->released ? 0 : t->listed;
    }
    double rate = threshold_rate(candidates, all);
    if (threshold_allows(rate, threshold))
        return;
    size_t n = judge_hold_all(j, "threshold");
    say(j,
        "%zu of %zu entities would be deleted (%.4g), more than the entityDeletionThreshold of %g allows: %zu are "
        "held back. Check that the third party answered completely; if it did, raise the threshold in the mapping or run "
        "once with --accept-plan and the hash --plan gives",
        candidates, all, rate, threshold, n);
}

size_t judge_deletable(const struct judge *j)
{
    size_t n = 0, at = 0;
    struct str name;
    void *value;
    while ((at = strmap_next(j->tallies, at, &name, &value))) {
        const struct tally *t = value;
        n += t->held ? 0 : t->deletable;
    }
    return n;
}

bool judge_keeps_exempt(const struct judge *j)
{
    size_t at = 0;
    struct str name;
    void *value;
    while ((at = strmap_next(j->tallies, at, &name, &value)))
        if (((const struct tally *)value)->exempt)
            return true;
    return false;
}

bool judge_keeps_some(const struct judge *j)
{
    size_t at = 0;
    struct str name;
    void *value;
    while ((at = strmap_next(j->tallies, at, &name, &value)))
        if (((const struct tally *)value)->held)
            return true;
    return judge_keeps_exempt(j);
}

void judge_all_deletable(struct judge *j)
{
    size_t at = 0;
    struct str name;
    void *value;
    while ((at = strmap_next(j->tallies, at, &name, &value)))
        ((struct tally *)value)->deletable = ((struct tally *)value)->candidates;
}

void judge_decide(struct judge *j)
{
    if (j->o.accepted || judge_deletable(j) == 0)
        return; /* somebody looked at it, or all is protected: nothing to hold back */
    judge_kinds(j);
    if (judge_deletable(j) > 0)
        judge_threshold(j);
}

void judge_resources(const struct judge *j, struct str blueprint, struct buf *out)
{
    struct jw w = jw_on(out);
    jw_arr(&w);
    for (size_t i = 0; i < j->o.n; i++) {
        const struct resource_run *rr = &j->o.resources[i];
        bool can = can_produce(j, i, blueprint);
        for (size_t k = 0; k < j->nkinds && !can && !plan_blueprint(rr->plan).p; k++)
            for (size_t b = 0; b < j->records[k].nblueprints && str_is(rr->res->kind, j->records[k].kind); b++)
                can |= str_is(blueprint, j->records[k].blueprints[b]);
        if (!can)
            continue;
        jw_obj(&w);
        jw_key_c(&w, "kind");
        jw_str(&w, rr->res->kind);
        jw_key_c(&w, "index");
        jw_int(&w, rr->res->index);
        jw_end_obj(&w);
    }
    jw_end_arr(&w);
}

/* The record of this run ------------------------------------------------------------------------------------------- */

static void save_kind(struct judge *j, struct kind *k)
{
    enum hold held = k->hold == HOLD_NONE && j->stopped ? HOLD_SHRUNKEN : k->hold;
    struct certified now = {.kind = xstrdup(k->saved->kind), .record = holdback_next(&k->facts, held)};
    const struct ledger *l = j->o.run->ledger;
    for (size_t b = 0; b < ledger_blueprints(l) && held == HOLD_NONE; b++)
        for (size_t i = 0; i < j->o.n; i++)
            if (ledger_blueprint_at(l, b)->by[i] && str_is(j->o.resources[i].res->kind, k->saved->kind))
                certified_add_blueprint(&now, ledger_blueprint_at(l, b)->name);
    for (size_t b = 0; b < k->saved->nblueprints && (held != HOLD_NONE || k->facts.entities == 0); b++)
        certified_add_blueprint(&now, k->saved->blueprints[b]);
    if (held == HOLD_NONE) { /* all of it is either among those or gone */
        now.since = k->saved->since;
        now.nsince = k->saved->nsince;
        k->saved->since = NULL;
        k->saved->nsince = 0;
    }
    certified_save(j->o.run->engine->state, &now);
    certified_done(&now);
}

void judge_save(struct judge *j)
{
    for (size_t i = 0; i < j->nkinds; i++)
        if (!j->kinds[i].failed)
            save_kind(j, &j->kinds[i]);
}
