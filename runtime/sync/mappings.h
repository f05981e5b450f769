/* mappings.h: the one loader of mapping documents in a process (sync S-16 to S-19), compiled and shared.
 *
 * Loop thread; compilation runs on a worker. */
#pragma once
#include "base/err.h"
#include "config/mapping_doc.h"
#include "mapping/plan.h"

struct engine;

struct mapping_plan {
    struct plan *plan; /* NULL: it could not be made, see err */
    struct err err;
};
/* A document with the plans of its resources. Counted; immutable. */
struct mapping {
    int refs;
    struct mapping_doc *doc;
    struct mapping_plan *plans; /* plans[i] belongs to doc->resources[i] */
};
struct mapping *mapping_ref(struct mapping *m);
void mapping_unref(struct mapping *m); /* NULL allowed */

struct mappings;

/* The engine must outlive it. */
struct mappings *mappings_new(const struct engine *e);
/* Nobody waiting is called any more. After port_free: what is on its way would find nothing. NULL allowed. */
void mappings_free(struct mappings *m);

/* The mapping as Port has it: through the cache while that is at most mapping_cache_ttl_s old, or fetched anew; both
 * fill the cache. Cached readers that wait share one request. `done` runs once, later: m is handed over
 * (mapping_unref), or NULL with e. After a failure the cache keeps what it had (S-19). */
enum mappings_how { MAPPINGS_CACHED, MAPPINGS_FRESH };
void mappings_get(struct mappings *s, enum mappings_how how,
                  void (*done)(void *arg, struct mapping *m, const struct err *e), void *arg);
/* From now on the document is this one instead of Port's (a plan works with the mapping as it would be); missing: Port's
 * again. Makes its own reference. */
void mappings_preset(struct mappings *s, struct json config);
