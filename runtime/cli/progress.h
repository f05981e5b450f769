/* progress.h: how a resync is shown: a live line on a terminal, plain log lines elsewhere, and the summary at the end.
 *
 * Loop thread; one at a time per process (it owns the terminal's last line). */
#pragma once
#include <stdbool.h>
#include "sync/resync.h"

struct progress;

/* live: keep a line on stderr up to date; false: one log line per resource that ends. */
struct progress *progress_new(bool live);
void progress_free(struct progress *p);
/* Shows the state; cheap, may be called for every batch. */
void progress_update(struct progress *p, const struct resync_report *r);
/* Erases the live line. */
void progress_end(struct progress *p);
/* Appends the summary for people: a table, errors with their places, deletions, what was held back. */
void progress_summary(struct buf *out, const struct resync_report *r);
