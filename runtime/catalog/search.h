/* search.h: queries over entities (port-api 12): compiled once, then asked of one row after another. */
#pragma once
#include "catalog/entity.h"

struct query;

enum query_use {
    QUERY_SEARCH,    /* E-34, E-38: everything */
    QUERY_REFERENCE, /* relation and identifier queries in entities: few operators, null matches nothing (P-147, P-148) */
};

/* `q` must outlive the query; the query lives in the arena. NULL after a refusal (422). */
struct query *query_compile(struct core *k, struct arena *a, struct json q, enum query_use use, struct refusal *r);
bool query_matches(struct core *k, const struct query *q, const struct blueprint *b, struct row *row);

/* Calls fn for every match in order of creation, through the index when the query names identifiers or a blueprint.
 * `only`: this blueprint alone, or NULL. fn returns < 0 to stop with a refusal, > 0 to stop. `slim`: fn needs no body. */
typedef int (*match_fn)(void *arg, const struct blueprint *b, struct row *row, struct refusal *r);
int query_run(struct core *k, struct query *q, const struct blueprint *only, bool slim, match_fn fn, void *arg,
              struct refusal *r);
