/* diff.h: which mapped entities of a batch Port has already (sync section 7). Loop thread. */
#pragma once
#include "mapping/plan.h"
#include "sync/run.h"

#define DIFF_GROUP 50   /* entities a lookup */
#define DIFF_MINIMUM 10 /* strictly more passed entities of the resource are needed (S-95) */

struct diff_item {
    const struct mapped_entity *e;
    bool send;  /* to be upserted; true until a lookup finds it unchanged */
    bool dirty; /* its key is on its way to Port already: what a lookup finds says nothing about the end */
    bool keep;  /* a plan wants what was found: its document is held then */
    bool failed; /* no lookup answered for it */
    struct json found;
};

/* Pure parts. */

/* Is this batch compared at all? passed_so_far: entities of the resource in this run, this batch included. */
bool diff_wanted(const struct mapped_entity *e, size_t n, size_t passed_so_far);
/* Fills items (room for n). drop_duplicates: of several with one key the last wins and takes the place of the first
 * (S-98). Returns how many items there are. */
size_t diff_items(const struct mapped_entity *e, size_t n, bool drop_duplicates, struct diff_item *items);
/* Cuts items into groups of one blueprint and at most DIFF_GROUP: order[] (room for n) lists the items group after
 * group, ends[] (room for n) where each group ends. Returns the number of groups. */
size_t diff_groups(const struct diff_item *items, size_t n, size_t *order, size_t *ends);
/* Evaluates one answer of a lookup for the items order[0..n): clears `send` where Port has the same. schema may be
 * NULL. */
void diff_answer(struct diff_item *items, const size_t *order, size_t n, struct json answer, struct schema *schema);

/* Looks the items up, group after group, reading blueprints that are not known yet first; `done` runs once, later. A
 * lookup that fails leaves every item to be sent (S-102). */
void diff_lookup(struct run *run, struct diff_item *items, size_t n, const struct str *parts, size_t nparts,
                 void (*done)(void *arg), void *arg);
