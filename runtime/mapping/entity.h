/* entity.h: what makes two entities equal (sync S-99, S-100).
 *
 * The comparison form has title (absent is null), icon, team (a string is a one-element list, order ignored, null is []),
 * and properties and relations without their top-level nulls; numbers by value. Pure, any thread. */
#pragma once
#include "base/hash.h"
#include "json/json.h"

/* Fingerprint of the comparison form of an entity object (mapped, or as Port answered it). Parts that are not among
 * title, icon, team, properties and relations are ignored. */
struct key128 entity_fingerprint(struct json entity);
/* A team is a list without order: a string is a list of one, null an empty one. */
bool entity_same_team(struct json a, struct json b);
/* Why two entities differ: appends "properties.url, title" to `out`; returns the number of differing parts. A mapped property that
 * `theirs` lacks and `defined(arg, name)` denies does not count; it is reported through `undefined` (may be NULL). */
size_t entity_diff(struct json ours, struct json theirs, bool (*defined)(void *arg, struct str property), void *arg,
                   void (*undefined)(void *arg, struct str property), struct buf *out);
