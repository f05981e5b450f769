/* scope.h: the blueprints a run may delete from (design.md section 6, deletion_scope). Loop thread.
 *
 * With scope `integration` that is all, or none as soon as one resource failed. With scope `blueprint` it is all but
 * what a failed resource can produce: its literal blueprint, else everything it produced in this run, in its last
 * certified run and in the runs since; if that is not known, none. What others hang on is left out as well: targets of
 * relations of such a blueprint that Port may have created for it, and what it requires, because deleting that would
 * cascade to it. */
#pragma once
#include "sync/run.h"

struct scope;

/* `done` runs once, later; s is handed over. The resources are over. */
void scope_make(struct run *run, const struct resource_run *resources, size_t n,
                void (*done)(void *arg, struct scope *s), void *arg);
void scope_free(struct scope *s); /* NULL allowed */
bool scope_empty(const struct scope *s); /* nothing may be deleted */
bool scope_covers(const struct scope *s, struct str blueprint);
