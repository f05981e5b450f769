/* certified.h: what the last certified run of a kind produced, in the state file (space "certified"), and what runs since
 * then began to produce (space "since <kind>"), whatever became of them. Loop thread. */
#pragma once
#include "base/err.h"
#include "store/state.h"
#include "sync/holdback.h"

struct certified {
    char *kind;
    struct kind_record record;
    char **blueprints; /* those it produced */
    size_t nblueprints;
    char **since; /* and those that were begun in runs since; only of computed blueprints */
    size_t nsince;
};

void certified_done(struct certified *c); /* frees what it holds */
/* Fills the records of list[0..n), whose kinds are set; `done` runs once, later. A record that cannot be read is not
 * known. */
void certified_load(struct loop *l, struct state *s, struct certified *list, size_t n, void (*done)(void *arg),
                    void *arg);
/* The record of a run that is certified; what was begun since the one before and is not among its blueprints is
 * forgotten. */
void certified_save(struct state *s, const struct certified *c);
/* Written before the first entity of a computed blueprint is sent. */
void certified_begin(struct state *s, struct str kind, struct str blueprint);
void certified_add_blueprint(struct certified *c, const char *name);
