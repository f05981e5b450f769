/* resources.h: the resources of a run, one after another or several at once (sync sections 4.2 and 4.3). Loop thread. */
#pragma once
#include "sync/run.h"

struct resources;

/* --kind names what the mapping does not have: ERR_INVAL, and a message that lists what it has. */
int resources_check_kinds(const struct mapping_doc *m, const char *const *kinds, size_t nkinds, struct err *e);

/* The resources of the run's mapping whose kind is among `kinds` (nkinds 0: all), with their reports. The run must have
 * event, mapping and report. */
struct resources *resources_new(struct run *run, const char *const *kinds, size_t nkinds);
/* Not while something runs. NULL allowed. */
void resources_free(struct resources *rs);
struct resource_run *resources_list(const struct resources *rs, size_t *ret_n);

/* Reads the literal blueprints once, then processes every resource; `done` runs once, later, also after an abort. */
void resources_start(struct resources *rs, void (*done)(void *arg), void *arg);
/* Cancels those that run (S-48); no other begins. */
void resources_abort(struct resources *rs);

/* Some resource had an error or a taint, or was not processed to its end. */
bool resources_failed(const struct resources *rs);
