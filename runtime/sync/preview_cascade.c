/* What required relations do to deletions. Blueprints are read once for them; then the direct dependents of what is to go
 * are looked for, group after group, in one of two ways:
 *
 *   Port cascades       it deletes them too, and what requires them: a round's finds are the next round's names
 *   Port does not       it refuses to delete what something that stays requires; what is refused stays as well, so the
 *                       list is gone through again until nothing new is refused
 *
 * A deletion cascades only while nothing is held back (reconcile.c). What would happen if the plan were accepted, which
 * releases what is held back, is followed apart, in rounds of its own, again in one of the two ways.
 *
 * An answer tells how things are now. An entity that the plan writes may depend on something else afterwards: its
 * entries say so. References that are not required are emptied by Port without a line in the plan. */
#define LOG_GROUP "sync.preview"
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/strmap.h"
#include "json/compare.h"
#include "sync/event.h"
#include "sync/preview_priv.h"

#define ENTRIES_OF_ONE 64 /* writes of one entity that are looked at */

struct need { /* a required relation */
    struct need *next;
    char *blueprint, *relation;
};

struct dependent {
    char *blueprint, *identifier;
    struct key128 key;
    bool requires[NAMES_GROUP]; /* of the group */
};

enum phase {
    CASCADES, /* Port cascades; then nothing is held back */
    REFUSALS, /* it does not: what stays as things are */
    /* and if the plan is accepted, for what goes and for what is held back: */
    ACCEPTED,
    ACCEPTED_HELD,
    FINAL,
    FINAL_HELD,
};

struct cascade {
    struct preview *p;
    void (*done)(struct preview *p);
    struct strmap *needs; /* by target: struct need */
    enum phase phase;
    int round;
    size_t found, refused; /* found: in this round */
    struct names_walk walk;
    struct dependent *list; /* dependents of this group */
    size_t n, at, kept;
    struct spool_entry *entries;
    struct spool_name *names;
    size_t waiting;
};

static void next_dependent(struct cascade *c);

static void free_needs(void *x)
{
    for (struct need *n = x, *next; n; n = next) {
        next = n->next;
        free(n->blueprint);
        free(n->relation);
        free(n);
    }
}

static void forget_list(struct cascade *c)
{
    for (size_t i = 0; i < c->n; i++) {
        free(c->list[i].blueprint);
        free(c->list[i].identifier);
    }
    free(c->list);
    free(c->entries);
    free(c->names);
    c->list = NULL;
    c->entries = NULL;
    c->names = NULL;
    c->n = c->at = c->kept = 0;
}

static void finish(struct cascade *c)
{
    struct preview *p = c->p;
    void (*done)(struct preview *) = c->done;
    forget_list(c);
    names_walk_done(&c->walk);
    strmap_free(c->needs);
    free(c);
    done(p);
}

static void failed(struct cascade *c, const struct err *e)
{
    struct err mine = {0};
    err_copy(&mine, e);
    err_wrap(&mine, "looking for what a deletion would delete with it");
    preview_failed(c->p, &mine);
    finish(c);
}

static const struct need *needs_of(const struct cascade *c, struct str target) { return strmap_get(c->needs, target); }

/* Is this relation one that requires the walk's blueprint? */
static bool is_need(const struct cascade *c, struct str blueprint, struct str relation)
{
    for (const struct need *n = needs_of(c, c->walk.group[0].group); n; n = n->next)
        if (str_is(blueprint, n->blueprint) && str_is(relation, n->relation))
            return true;
    return false;
}

static bool mark(const struct cascade *c, struct str identifier, bool *requires)
{
    bool any = false;
    for (size_t i = 0; i < c->walk.n; i++)
        if (str_eq(c->walk.group[i].name, identifier))
            any = requires[i] = true;
    return any;
}

/* Marks those of the group that these relations require; false: none. */
static bool requires_some(const struct cascade *c, struct str blueprint, struct json relations, bool *requires)
{
    bool any = false;
    memset(requires, 0, NAMES_GROUP * sizeof(*requires));
    for (struct json_iter it = json_iter(relations); it.obj && json_next(&it);) {
        if (!is_need(c, blueprint, it.key))
            continue;
        if (json_is_str(it.val))
            any |= mark(c, json_str(it.val), requires);
        for (struct json_iter el = json_iter(it.val); json_is_arr(it.val) && json_next(&el);)
            any |= mark(c, json_str(el.val), requires);
    }
    return any;
}

/* One group -------------------------------------------------------------------------------------------------------- */

static void add(struct cascade *c, struct str blueprint, struct str identifier, struct key128 key, enum entry_kind kind)
{
    bool held = c->phase >= ACCEPTED;
    c->entries[c->kept] =
        (struct spool_entry){.group = blueprint, .name = identifier, .kind = kind, .key = key, .after = held ? STR("held") : STR_NULL};
    c->names[c->kept++] = (struct spool_name){blueprint, identifier};
    c->found++;
}

static bool refuses(const struct cascade *c) { return c->phase == REFUSALS || c->phase >= FINAL; }

/* It goes with what it requires, or what it requires stays with it. */
static void settle(struct cascade *c, const struct dependent *d)
{
    struct ledger *l = c->p->run->ledger;
    bool now = c->phase == REFUSALS;
    bool goes = ledger_is_doomed(l, d->key) && !(now ? ledger_is_held(l, d->key) : ledger_is_refused(l, d->key));
    if (!refuses(c)) {
        if (!ledger_is_doomed(l, d->key) && !ledger_cascade(l, d->key))
            add(c, str_of(d->blueprint), str_of(d->identifier), d->key, ENTRY_CASCADE);
        return;
    }
    for (size_t i = 0; i < c->walk.n && !goes; i++) {
        struct key128 key = key128_entity(c->walk.group[i].group, c->walk.group[i].name);
        if (!d->requires[i] || (now ? ledger_hold(l, key) : ledger_refuse(l, key)))
            continue;
        add(c, c->walk.group[i].group, c->walk.group[i].name, key, ENTRY_REFUSED);
        c->refused += now;
    }
}

/* What the writes of this entity leave of its relations decides; a relation they do not name stays. */
static bool still_requires(const struct cascade *c, struct dependent *d, const struct spool_entry *entries, size_t n)
{
    bool merge = c->p->run->write.merge, requires = true;
    for (size_t i = 0; i < n; i++) {
        const struct spool_entry *x = &entries[i];
        struct json_doc *doc = NULL;
        if (x->kind != ENTRY_WRITE || !str_is(x->group, d->blueprint) || !str_is(x->name, d->identifier) ||
            json_parse(x->after.p ? x->after : x->body, &doc, NULL) < 0)
            continue;
        struct json relations = json_get_c(json_root(doc), "relations");
        bool named = !merge;
        for (struct json_iter it = json_iter(relations); it.obj && json_next(&it);)
            named |= is_need(c, str_of(d->blueprint), it.key);
        if (named)
            requires = requires_some(c, str_of(d->blueprint), relations, d->requires);
        json_unref(doc);
    }
    return requires;
}

static void on_written(void *arg, const struct spool_entry *entries, size_t n, const struct err *e)
{
    struct cascade *c = arg;
    preview_failed(c->p, e);
    struct dependent *d = &c->list[c->at++];
    if (still_requires(c, d, entries, n))
        settle(c, d);
    next_dependent(c);
}

static void on_added(void *arg, const struct err *e)
{
    struct cascade *c = arg;
    preview_failed(c->p, e);
    if (--c->waiting)
        return;
    forget_list(c);
    names_walk_next(&c->walk);
}

static int list_of(const struct cascade *c, int round)
{
    int first = c->phase == ACCEPTED_HELD || c->phase == FINAL_HELD ? NAMES_HELD : NAMES_DOOMED;
    return refuses(c) ? first : first + 10 * round;
}

static void next_dependent(struct cascade *c)
{
    for (; c->at < c->n; c->at++) {
        const struct dependent *d = &c->list[c->at];
        if (ledger_is_planned(c->p->run->ledger, d->key)) {
            struct spool_entry from = {.group = str_of(d->blueprint), .name = str_of(d->identifier)};
            spool_read_sorted(c->p->spool, &from, ENTRIES_OF_ONE, on_written, c);
            return;
        }
        settle(c, d);
    }
    c->waiting = 2;
    spool_add(c->p->spool, c->entries, c->kept, on_added, c);
    spool_add_names(c->p->spool, list_of(c, c->round + 1), c->names, refuses(c) ? 0 : c->kept, on_added, c);
}

static void on_dependents(void *arg, struct json entities, const struct err *e)
{
    struct cascade *c = arg;
    struct buf identifier;
    if (e) {
        failed(c, e);
        return;
    }
    buf_init(&identifier, BUF_NO_LIMIT);
    size_t max = json_len(entities) + NAMES_GROUP; /* finds: dependents, or those of the group */
    c->list = xcalloc(max, sizeof(*c->list));
    c->entries = xcalloc(max, sizeof(*c->entries));
    c->names = xcalloc(max, sizeof(*c->names));
    for (struct json_iter it = json_iter(entities); json_next(&it);) {
        struct str blueprint = json_str(json_get_c(it.val, "blueprint"));
        struct dependent *d = &c->list[c->n];
        if (!blueprint.p || !requires_some(c, blueprint, json_get_c(it.val, "relations"), d->requires))
            continue; /* it requires what requires it: a later round finds it */
        buf_reset(&identifier);
        json_identifier_text(&identifier, json_get_c(it.val, "identifier"));
        d->blueprint = str_dup(blueprint);
        d->identifier = str_dup(buf_str(&identifier));
        d->key = key128_entity(blueprint, buf_str(&identifier));
        c->n++;
    }
    buf_done(&identifier);
    next_dependent(c);
}

static void next_round(struct cascade *c);

static void on_group(void *arg)
{
    struct cascade *c = arg;
    struct str ids[NAMES_GROUP];
    if (c->walk.n == 0) {
        next_round(c);
        return;
    }
    size_t n = 0;
    for (const struct need *x = needs_of(c, c->walk.group[0].group); x; x = x->next)
        n++;
    struct str *relations = xcalloc(n + 1, sizeof(*relations));
    n = 0;
    for (const struct need *x = needs_of(c, c->walk.group[0].group); x; x = x->next)
        relations[n++] = str_of(x->relation);
    for (size_t i = 0; i < c->walk.n; i++)
        ids[i] = c->walk.group[i].name;
    port_find_dependents(c->p->run->engine->port, c->walk.group[0].group, ids, c->walk.n, relations, n, on_dependents, c);
    free(relations);
}

/* Rounds ----------------------------------------------------------------------------------------------------------- */

static bool is_required(void *arg, struct key128 key, const struct spool_name *name)
{
    (void)key;
    return strmap_has(((struct cascade *)arg)->needs, name->group);
}

static void begin_round(struct cascade *c)
{
    names_walk_done(&c->walk);
    names_walk_begin(&c->walk, c->p, list_of(c, c->round), is_required, on_group, c);
    names_walk_next(&c->walk);
}

static void say_refused(struct cascade *c)
{
    if (!c->refused)
        return;
    char *text = xasprintf(
        "%zu entities are required by something that stays, so Port does not delete them%s", c->refused,
        c->p->cascades_accepted
            ? " while something is held back; --accept-plan releases it, and then what requires them goes too"
            : ": deleteDependentEntities is false, or a part of the catalog must not lose anything (enableDelete: false)");
    preview_note(c->p, text);
    free(text);
}

static void begin_phase(struct cascade *c, enum phase phase)
{
    c->phase = phase;
    c->round = 0;
    c->found = 0;
    begin_round(c);
}

static void next_round(struct cascade *c)
{
    if (c->p->err.code || c->p->run->event->aborted) {
        finish(c);
    } else if (c->phase == FINAL) { /* one list after the other */
        c->phase = FINAL_HELD;
        begin_round(c);
    } else if (c->found) {
        c->round++;
        c->found = 0;
        c->phase = c->phase == FINAL_HELD ? FINAL : c->phase;
        begin_round(c);
    } else if (c->phase == REFUSALS) {
        say_refused(c);
        begin_phase(c, c->p->cascades_accepted ? ACCEPTED : FINAL);
    } else if (c->phase == ACCEPTED) {
        begin_phase(c, ACCEPTED_HELD);
    } else {
        finish(c);
    }
}

static void add_need(struct cascade *c, struct str target, struct str blueprint, struct str relation)
{
    struct need *n = xcalloc(1, sizeof(*n));
    *n = (struct need){strmap_del(c->needs, target), str_dup(blueprint), str_dup(relation)};
    strmap_put(c->needs, target, n);
}

static void on_blueprints(void *arg, struct json blueprints, const struct err *e)
{
    struct cascade *c = arg;
    if (e) {
        failed(c, e);
        return;
    }
    for (struct json_iter it = json_iter(blueprints); json_next(&it);)
        for (struct json_iter rel = json_iter(json_get_c(it.val, "relations")); rel.obj && json_next(&rel);) {
            struct str target = json_str(json_get_c(rel.val, "target"));
            if (target.p && json_is_true(json_get_c(rel.val, "required")))
                add_need(c, target, json_str(json_get_c(it.val, "identifier")), rel.key);
        }
    if (strmap_count(c->needs) == 0)
        finish(c);
    else
        begin_phase(c, c->p->cascades ? CASCADES : REFUSALS);
}

static void nothing(void *arg) { finish(arg); }

void preview_cascade(struct preview *p, void (*done)(struct preview *p))
{
    struct cascade *c = xcalloc(1, sizeof(*c));
    *c = (struct cascade){.p = p, .done = done, .needs = strmap_new(free_needs)};
    if ((p->ndoomed || p->nheld) && !p->err.code)
        port_blueprint_list(p->run->engine->port, on_blueprints, c);
    else
        loop_defer(p->run->engine->loop, nothing, c);
}
