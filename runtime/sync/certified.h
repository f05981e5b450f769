/* certified.h: what the last certified run of a kind produced, in the state file (space "certified"). Loop thread. */
#pragma once
#include "base/err.h"
#include "store/state.h"
#include "sync/holdback.h"

struct certified {
    char *kind;
    struct kind_record record;
    char **blueprints; /* those it produced */
    size_t nblueprints;
};

void certified_done(struct certified *c); /* frees what it holds */
/* Fills the records of list[0..n), whose kinds are set; `done` runs once, later. A record that cannot be read is not
 * known. */
void certified_load(struct loop *l, struct state *s, struct certified *list, size_t n, void (*done)(void *arg),
                    void *arg);
void certified_save(struct state *s, const struct certified *c);
void certified_add_blueprint(struct certified *c, const char *name);
