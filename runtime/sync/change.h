/* change.h: what a write changes, field by field. Pure, loop thread.
 *
 * An entity may be written several times in a run; `struct change` folds these writes into what stands in the end and
 * compares that with what Port has. Fields are written as the elements of a JSON array, in the order of their paths,
 * values in canonical text, so that equal changes give equal bytes:
 *
 *   {"path":"properties.url","before":"a","after":"b"}                    not there before or after: without that member
 *   {"path":"properties.tags","before":["a"],"after":["b"],"added":["b"],"removed":["a"]}
 *   {"path":"relations.owner","before":"ann","search":{"combinator":...}}     Port finds the value when it is written
 *
 * Objects on both sides are compared member by member ("properties.config.port"); a name with a dot, a quote or white
 * space in it stands in quotes ("properties.\"a.b\""). */
#pragma once
#include "base/buf.h"
#include "json/json.h"
#include "sync/schemas.h"

struct change;

struct change *change_new(void);
void change_free(struct change *c); /* NULL allowed */
/* Begins another entity. */
void change_reset(struct change *c);
/* One write. before: what Port has now, or missing; the same entity in every call, in parts. after: as it is sent.
 * merge: as Port merges; else it replaces everything. Both documents are held until change_reset. */
void change_write(struct change *c, struct json before, struct json after, bool merge);
bool change_exists(const struct change *c); /* Port has it */
/* Appends the fields that differ, without brackets; returns how many. What the blueprint does not define and Port does
 * not have does not count. schema may be NULL. */
size_t change_fields(const struct change *c, const struct schema *schema, struct buf *out);

/* Appends a member's name to a path as a field's path writes it. */
void change_path(struct buf *path, struct str name);
/* Appends the fields in which two values differ; path: of both, not empty. blank_is_absent: null, false, "", [] and {}
 * are the same as not there. Returns how many, *more counts on from what it was, for the commas. */
void change_values(struct buf *out, size_t *more, const char *path, struct json before, struct json after,
                   bool blank_is_absent);
