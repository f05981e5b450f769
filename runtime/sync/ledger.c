/* Looked up once or more per entity, so the blueprint and the relation found last are remembered: a batch nearly always
 * has one blueprint, and its relations come in the same order for every entity. */
#include "sync/ledger.h"

#include <stdlib.h>
#include <string.h>

#include "base/keyset.h"
#include "base/mem.h"
#include "base/strmap.h"

enum { PRODUCED = 1, TARGET = 2, UPDATED = 4, PLANNED = 8, DOOMED = 16, CASCADED = 32, REFUSED = 32, CREATED = 64, HELD = 128 };

struct ledger {
    size_t nresources;
    struct keyset *keys;
    struct strmap *by_name; /* of struct ledger_blueprint, which `blueprints` owns */
    struct ledger_blueprint **blueprints;
    size_t nblueprints;
    struct ledger_blueprint *last;
    struct ledger_relation *relations;
    size_t nrelations, next_relation;
};

struct ledger *ledger_new(size_t nresources)
{
    struct ledger *l = xcalloc(1, sizeof(*l));
    l->nresources = nresources;
    l->keys = keyset_new();
    l->by_name = strmap_new(NULL);
    return l;
}

void ledger_free(struct ledger *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->nblueprints; i++) {
        free(l->blueprints[i]->name);
        free(l->blueprints[i]->by);
        free(l->blueprints[i]);
    }
    for (size_t i = 0; i < l->nrelations; i++) {
        free(l->relations[i].blueprint);
        free(l->relations[i].relation);
        free(l->relations[i].tag);
    }
    free(l->blueprints);
    free(l->relations);
    strmap_free(l->by_name);
    keyset_free(l->keys);
    free(l);
}

static struct ledger_blueprint *blueprint(struct ledger *l, struct str name)
{
    if (l->last && str_is(name, l->last->name))
        return l->last;
    struct ledger_blueprint *b = strmap_get(l->by_name, name);
    if (!b) {
        b = xcalloc(1, sizeof(*b));
        b->name = str_dup(name);
        b->by = xcalloc(l->nresources ? l->nresources : 1, sizeof(bool));
        strmap_put(l->by_name, name, b);
        l->blueprints = xrealloc(l->blueprints, (l->nblueprints + 1) * sizeof(struct ledger_blueprint *));
        l->blueprints[l->nblueprints++] = b;
    }
    l->last = b;
    return b;
}

void ledger_produced_blueprint(struct ledger *l, size_t slot, struct str name) { blueprint(l, name)->by[slot] = true; }

void ledger_produced(struct ledger *l, size_t slot, struct str name, struct key128 key)
{
    ledger_produced_blueprint(l, slot, name);
    keyset_add(l->keys, key, PRODUCED);
}

/* The pair used last but one comes next: entities of a kind list their relations in the same order. */
static struct ledger_relation *relation(struct ledger *l, struct str name, struct str rel)
{
    for (size_t i = 0; i < l->nrelations; i++) {
        size_t at = (l->next_relation + i) % l->nrelations;
        struct ledger_relation *r = &l->relations[at];
        if (str_is(rel, r->relation) && str_is(name, r->blueprint)) {
            l->next_relation = at;
            return r;
        }
    }
    l->relations = xrealloc(l->relations, (l->nrelations + 1) * sizeof(*l->relations));
    struct ledger_relation *r = &l->relations[l->nrelations];
    r->blueprint = str_dup(name);
    r->relation = str_dup(rel);
    /* A control character keeps the tag apart from every blueprint's identifier. */
    r->tag = xasprintf("%s\x1f%s", r->blueprint, r->relation);
    l->next_relation = l->nrelations++;
    return r;
}

void ledger_keep(struct ledger *l, struct key128 key) { keyset_add(l->keys, key, PRODUCED); }

void ledger_target(struct ledger *l, struct str name, struct str rel, struct str value)
{
    blueprint(l, name)->related = true;
    const struct ledger_relation *r = relation(l, name, rel);
    keyset_add(l->keys, key128_entity(str_of(r->tag), value), TARGET);
}

void ledger_created(struct ledger *l, struct key128 key) { keyset_add(l->keys, key, CREATED); }

void ledger_updated(struct ledger *l, struct str name, struct key128 key)
{
    int before = keyset_add(l->keys, key, UPDATED);
    if (before < 0 || !(before & (UPDATED | CREATED)))
        blueprint(l, name)->updated++;
}

void ledger_exclude(struct ledger *l, struct str name) { blueprint(l, name)->excluded = true; }

static bool add_flag(struct ledger *l, struct key128 key, int flag)
{
    int before = keyset_add(l->keys, key, (unsigned char)flag);
    return before >= 0 && (before & flag);
}

bool ledger_plan(struct ledger *l, struct key128 key) { return add_flag(l, key, PLANNED); }

bool ledger_doom(struct ledger *l, struct key128 key) { return add_flag(l, key, DOOMED); }

bool ledger_hold(struct ledger *l, struct key128 key) { return add_flag(l, key, HELD); }

bool ledger_cascade(struct ledger *l, struct key128 key) { return add_flag(l, key, CASCADED); }

bool ledger_refuse(struct ledger *l, struct key128 key) { return add_flag(l, key, REFUSED); }

static bool has_flag(const struct ledger *l, struct key128 key, int flag)
{
    int flags = keyset_get(l->keys, key);
    return flags >= 0 && (flags & flag);
}

bool ledger_has(const struct ledger *l, struct key128 key) { return has_flag(l, key, PRODUCED); }

bool ledger_was_updated(const struct ledger *l, struct key128 key) { return has_flag(l, key, UPDATED); }

bool ledger_is_planned(const struct ledger *l, struct key128 key) { return has_flag(l, key, PLANNED); }

bool ledger_is_refused(const struct ledger *l, struct key128 key) { return has_flag(l, key, REFUSED); }

bool ledger_is_held(const struct ledger *l, struct key128 key) { return has_flag(l, key, HELD); }

bool ledger_is_doomed(const struct ledger *l, struct key128 key) { return has_flag(l, key, DOOMED); }

bool ledger_is_target(const struct ledger *l, const struct ledger_relation *r, struct str value)
{
    return has_flag(l, key128_entity(str_of(r->tag), value), TARGET);
}

size_t ledger_blueprints(const struct ledger *l) { return l->nblueprints; }

const struct ledger_blueprint *ledger_blueprint_at(const struct ledger *l, size_t i) { return l->blueprints[i]; }

const struct ledger_blueprint *ledger_blueprint(const struct ledger *l, struct str name)
{
    return strmap_get(l->by_name, name);
}

size_t ledger_relations(const struct ledger *l) { return l->nrelations; }

const struct ledger_relation *ledger_relation_at(const struct ledger *l, size_t i) { return &l->relations[i]; }

