/* refs.h: who refers to an entity.
 *
 * The table `ref` maps a 64-bit hash of (blueprint, identifier) of a target to the rows that refer to it. It covers rows up to a
 * number kept in `meta`; rows beyond are added when somebody asks (refs_ensure), so that a first load, which asks nothing,
 * pays nothing. Hashes may collide: whoever asks looks at the row's relations. */
#pragma once
#include "catalog/entity.h"

/* Keeps the table true when the relations of row `id` change; missing documents count as no relations. */
int refs_update(struct core *k, const struct blueprint *b, int64_t id, struct json before, struct json after, struct refusal *r);
/* Rows that may refer to the entity, appended to `ret`. */
int refs_find(struct core *k, const struct blueprint *target, struct str identifier, struct ids *ret, struct refusal *r);
/* How many rows the next refs_find has to read first. */
int refs_behind(struct core *k, int64_t *ret, struct refusal *r);
/* Has `rel` of an entity of `b` the target under a relation for which `required` is as given? */
bool refs_points(const struct blueprint *b, struct json rel, const struct blueprint *target, struct str identifier,
                 bool required);
