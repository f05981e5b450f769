/* resend.h: the end-of-resync retry of entities Port refused (sync section 9). Loop thread. */
#pragma once
#include "sync/run.h"

/* Keeps a failed entity, complete, until the end of the run. slot: its resource. */
void resend_keep(struct run *run, size_t slot, const struct mapped_entity *e);
/* Sends what was kept, an entity after those it relates to, one after another; `done` runs once, later. */
void resend_start(struct run *run, struct resource_run *resources, size_t n, void (*done)(void *arg), void *arg);
