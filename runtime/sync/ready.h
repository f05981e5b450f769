/* ready.h: entities that need no mapping: what a script hands over as it is to be written (sync S-140). Pure. */
#pragma once
#include "base/err.h"
#include "mapping/plan.h"

/* Entities of an array of objects, in the form the mapper gives: known fields only, in their usual order. ERR_INVAL
 * names the element (from 1), the field and what was expected. */
struct ready {
    struct arena *arena; /* owns everything */
    struct mapped_entity *entities;
    size_t n;
};
int ready_read(struct json list, struct ready *ret, struct err *e);
void ready_done(struct ready *r);
