/* blueprint.h: blueprints, parsed once and kept by the database thread (port-api 10).
 *
 * A `struct blueprint` is valid until the next write to any blueprint, or core_forget. */
#pragma once
#include "catalog/check.h"
#include "catalog/core.h"

struct property {
    struct str name;
    struct check *check;
    bool required;
    struct json fallback; /* `default`; missing: none */
};

struct relation {
    struct str name, target;
    bool required, many;
};

struct blueprint {
    int64_t id;
    struct str identifier;
    struct arena *arena;
    struct json_doc *doc; /* as stored, without the four meta fields */
    struct property *properties;
    struct relation *relations;
    size_t nproperties, nrelations;
    struct strmap *property_index, *relation_index; /* name -> position + 1 */
    int64_t created_at, updated_at, created_by, updated_by;
};

/* NULL after refuse_no_blueprint, or when the database failed. */
struct blueprint *blueprint_find(struct core *k, struct str identifier, struct refusal *r);
struct blueprint *blueprint_by_id(struct core *k, int64_t id, struct refusal *r);
/* Walks all, in order of creation: pass 0 first; 0 ends. */
size_t blueprint_next(struct core *k, size_t cursor, struct blueprint **ret);
/* -1 if absent. `hint` is tried first. */
ptrdiff_t blueprint_property(const struct blueprint *b, struct str name, size_t hint);
ptrdiff_t blueprint_relation(const struct blueprint *b, struct str name);
/* Relations anywhere that point to `b`. */
bool blueprint_is_target(struct core *k, const struct blueprint *b);

int blueprint_create(struct core *k, struct json in, int64_t client, struct refusal *r);
/* merge: PATCH, else PUT. */
int blueprint_update(struct core *k, struct str identifier, struct json in, bool merge, int64_t client, struct refusal *r);
/* Without force refused with has_dependents while it has entities. Relations of others pointing to it go with it. */
int blueprint_delete(struct core *k, struct str identifier, struct refusal *r);
int blueprint_count(struct core *k, const struct blueprint *b, int64_t *ret, struct refusal *r);
void blueprint_write(struct core *k, const struct blueprint *b, struct buf *out);

/* blueprint_check.c: the document to store, normalised (P-93, P-94), or a refusal (P-95 to P-99). `base`: what is patched,
 * or missing. */
int blueprint_normalise(struct core *k, struct str identifier, struct json base, struct json in, struct buf *out,
                        struct refusal *r);
/* blueprint_change.c: what a changed definition means for stored entities (P-107, P-108). */
int blueprint_check_change(struct core *k, const struct blueprint *old, struct json now, struct refusal *r);
int blueprint_apply_change(struct core *k, const struct blueprint *old, struct json now, struct refusal *r);
