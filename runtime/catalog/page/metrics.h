/* metrics.h: resyncs and their numbers, from the metric documents integrations send (port-api P-204, live L-134). */
#pragma once
#include "catalog/work.h"

/* A table of the newest resyncs of an integration. */
int page_resyncs(struct work *w, int64_t integration, struct str identifier, int limit);
