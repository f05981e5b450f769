/* schemas.h: the blueprints of one run, each read at most once (sync S-92, S-100, S-123, Q-36). Loop thread. */
#pragma once
#include "base/err.h"
#include "port/client.h"
#include "json/json.h"
#include <stdbool.h>

struct schemas;
struct strmap;

struct schema {
    char *name;
    struct json blueprint; /* missing if it could not be read */
    struct err err;        /* why; code 0 when it was read */
    bool ready;            /* the answer is here */
    bool planned;          /* not in Port yet: only a plan knows it */
    struct strmap *warned; /* properties already warned of */
};

struct schemas *schemas_new(struct loop *l, struct port *p);
void schemas_free(struct schemas *s); /* NULL allowed; not while a read is under way */

/* What is known of a blueprint: NULL if it was never asked for or its answer is still missing. */
struct schema *schemas_find(const struct schemas *s, struct str name);
/* Reads those of `names` (copied) that are not known yet; `done` runs once, later, when all have an answer. */
void schemas_read(struct schemas *s, const struct str *names, size_t n, void (*done)(void *arg), void *arg);

/* The blueprint as it would be, instead of reading it; planned: Port does not have it yet. Makes its own reference. */
void schemas_preset(struct schemas *s, struct str name, struct json blueprint, bool planned);

bool schema_missing(const struct schema *s); /* Port says there is no such blueprint */
/* False only if the blueprint is known and does not define this property. NULL: true. */
bool schema_defines(const struct schema *s, struct str property);
/* True if the field ("properties.url", "relations.owner") is required. NULL: false. */
bool schema_requires(const struct schema *s, struct str field);
/* Blueprint a relation points to; p NULL if the blueprint has no such relation. */
struct str schema_target(const struct schema *s, struct str relation);
