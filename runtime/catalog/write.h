/* write.h: writing entities (port-api 11.1 to 11.5). */
#pragma once
#include "catalog/entity.h"

struct write_options {
    bool upsert, merge, validate_only, create_missing;
    bool must_exist;              /* E-37 */
    bool no_checks;               /* seed with validate: false */
    int64_t datasource, client;   /* dictionary numbers */
    int64_t now;
    int64_t created_at, updated_at; /* seed; 0: now */
};

struct written {
    bool created, unchanged;
    bool by_query;         /* the identifier was a query: "unknown" in an error (P-149) */
    struct str identifier; /* in the arena; p NULL if none could be read */
    struct row row;        /* as it is now; texts valid until the next write */
    unsigned bare;         /* related entities that were created on the way */
};

/* 0, or -1 with nothing written. */
int entity_write(struct core *k, const struct blueprint *b, struct json in, const struct write_options *o, struct arena *a,
                 struct written *ret, struct refusal *r);

/* relations.c: the relation values to store, and which targets have to be made first. */
struct target {
    const struct blueprint *blueprint;
    struct str identifier;
};
struct resolved {
    struct json *given;    /* per relation of the blueprint: what was sent, or missing */
    struct str *text;      /* per relation: the value to store as JSON; p NULL: what was there stays */
    bool *has_target;
    struct target *missing;
    size_t nmissing, cap_missing;
};
int relations_resolve(struct core *k, const struct blueprint *b, struct str identifier, struct json relations,
                      const struct write_options *o, struct arena *a, struct resolved *ret, struct refusal *r);
/* Runs a query value over a blueprint: identifiers of at most `max` + 1 hits, in the arena. */
int reference_search(struct core *k, const struct blueprint *b, struct json query, size_t max, struct arena *a, struct str **ret,
                     size_t *ret_n, struct refusal *r);
