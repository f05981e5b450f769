/* ledger.h: what a run remembers of the entities that passed, in a few bytes each (design.md section 6).
 *
 * One segmented set of keys holds the bits; beside it only per-blueprint counts and the pairs (blueprint, relation)
 * that had a value. Relation values are kept under (blueprint, relation, value), because which blueprint a relation
 * points to is only read when something is to be deleted (sync S-121, S-123). Loop thread. */
#pragma once
#include "base/hash.h"
#include "base/str.h"
#include <stdbool.h>
#include <stddef.h>

struct ledger;

struct ledger_blueprint {
    char *name;
    size_t updated; /* distinct existing entities this run wrote (sync Q-26) */
    bool *by;       /* by[slot]: this resource produced some */
    bool related;   /* some entity of it had a relation value */
    bool excluded;  /* nothing of it may be deleted in this run (sync Q-25) */
};
struct ledger_relation { /* a pair that had values */
    char *blueprint, *relation, *tag;
};

struct ledger *ledger_new(size_t nresources);
void ledger_free(struct ledger *l); /* NULL allowed */

/* An entity that passed; plain identifiers only. slot: the resource, 0 to nresources - 1. */
void ledger_produced(struct ledger *l, size_t slot, struct str blueprint, struct key128 key);
/* An entity with a search identifier passed: its blueprint counts as produced, its key is not known yet. */
void ledger_produced_blueprint(struct ledger *l, size_t slot, struct str blueprint);
void ledger_target(struct ledger *l, struct str blueprint, struct str relation, struct str value);
/* Port said `created: true` for this entity, or `created: false`, which counts only if it was not this run that created
 * it. */
void ledger_created(struct ledger *l, struct key128 key);
void ledger_updated(struct ledger *l, struct str blueprint, struct key128 key);
/* Written by somebody else while the run goes on: not to be deleted. */
void ledger_keep(struct ledger *l, struct key128 key);
void ledger_exclude(struct ledger *l, struct str blueprint);

/* A write of this entity is part of the plan; it is to be deleted; it goes with one that is; Port refuses to delete it
 * even if the plan is accepted (one mark for these two: Port cascades or refuses). Each tells whether that was known
 * already. */
bool ledger_plan(struct ledger *l, struct key128 key);
bool ledger_hold(struct ledger *l, struct key128 key); /* to be deleted, but held back */
bool ledger_doom(struct ledger *l, struct key128 key);
bool ledger_cascade(struct ledger *l, struct key128 key);
bool ledger_refuse(struct ledger *l, struct key128 key);

bool ledger_has(const struct ledger *l, struct key128 key); /* produced */
bool ledger_was_updated(const struct ledger *l, struct key128 key);
bool ledger_is_planned(const struct ledger *l, struct key128 key);
bool ledger_is_refused(const struct ledger *l, struct key128 key);
bool ledger_is_held(const struct ledger *l, struct key128 key);
bool ledger_is_doomed(const struct ledger *l, struct key128 key);
bool ledger_is_target(const struct ledger *l, const struct ledger_relation *r, struct str value);

size_t ledger_blueprints(const struct ledger *l);
const struct ledger_blueprint *ledger_blueprint_at(const struct ledger *l, size_t i);
const struct ledger_blueprint *ledger_blueprint(const struct ledger *l, struct str name); /* NULL: none produced */
size_t ledger_relations(const struct ledger *l);
const struct ledger_relation *ledger_relation_at(const struct ledger *l, size_t i);
