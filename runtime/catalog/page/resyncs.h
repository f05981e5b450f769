/* resyncs.h: resyncs as pages show them: what they changed (changes.h) and the numbers integrations send (port-api
 * P-204). */
#pragma once
#include "catalog/work.h"

/* A table of the newest resyncs of an integration; nothing when there is none. */
int page_resyncs(struct work *w, int64_t integration, struct str identifier, int limit);
/* What the newest resyncs changed, whoever ran them. */
int page_last_changes(struct work *w, int limit);
