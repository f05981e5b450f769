/* past.h: the entities as they were some time ago, for staleRead faults (port-api 16.3). Database thread.
 *
 * Known from the moment such a fault exists: what was changed before that cannot be told apart. Real time, whatever the
 * control API says about the clock. */
#pragma once
#include "catalog/work.h"

/* Before a request that writes: keeps what it is going to change, as long as core.keep_past_us says. */
int past_keep(struct work *w, bool writes);
/* Runs the request's route on the state `lag_us` ago; always fails the job, so that looking back leaves no trace. */
int past_run(struct work *w, int64_t lag_us, struct err *e);
