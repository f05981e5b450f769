/* remove.h: deleting entities with what depends on them (port-api 11.6). */
#pragma once
#include "catalog/entity.h"

struct removed {
    unsigned deleted, cascaded;
    struct str *identifiers; /* requested ones that were deleted, in request order; in the arena */
    size_t n;
};
/* Unknown identifiers are skipped. Refused with has_dependents, and nothing deleted, when an entity outside the list requires one
 * of them and `dependents` is false. */
int entities_remove(struct core *k, const struct blueprint *b, const struct str *identifiers, size_t n, bool dependents,
                    struct arena *a, struct removed *ret, struct refusal *r);
