/* plan.h: a resource's whole mapping compiled once, and batches mapped with it (sync sections 5 and 6).
 *
 * A plan is immutable after compilation and may be used by several workers at a time. plan_map is a pure job: it owns
 * nothing of the loop's, may run on any thread, and tests `cancel` between items. What the native evaluator does not
 * know goes to libjq in the worker process `jq` (mapping/jq.h). */
#pragma once
#include <stdatomic.h>
#include "base/arena.h"
#include "base/hash.h"
#include "config/mapping_doc.h"
#include "json/json.h"

struct plan;
struct jq_host;

struct plan_opts {
    struct jq_host *jq;       /* may be NULL: expressions for libjq then are an error of the field */
    bool env_access;          /* sync S-73 */
    const char *const *env;   /* what env may show (credentials already removed); NULL ends */
    int items_batch;          /* reserved; batches are cut by the caller */
};

/* Never fails for a jq expression that does not compile: that field is null, see plan_problem. */
int plan_compile(const struct mapping_resource *r, const struct plan_opts *o, struct plan **ret, struct err *e);
void plan_free(struct plan *p);

/* Expressions that do not compile: i from 0; false at the end. `fatal` is true for selector, identifier and blueprint
 * (a taint, design.md section 6). message has the column and a caret line. */
struct plan_problem {
    const char *field; /* "selector.query", "properties.url", "itemsToParse" */
    const char *expr;
    const char *message;
    bool fatal;
};
bool plan_problem(const struct plan *p, size_t i, struct plan_problem *ret);
/* Literal blueprint of the mapping, or p NULL when it is computed. */
struct str plan_blueprint(const struct plan *p);
/* Mapped parts, for the includes of the lookup (S-96): "title", "team", "icon", "properties.url", "relations.owner", in order. */
size_t plan_parts(const struct plan *p, const struct str **ret);

enum entity_flag {
    ENTITY_SEARCH_IDENTIFIER = 1, /* identifier is a search query object */
    ENTITY_SEARCH_OTHER = 2,      /* a relation or team is one */
};

struct entity_target { /* one relation value */
    struct str relation;
    struct str value; /* normalised text */
};

struct mapped_entity {
    struct str text;       /* JSON object as sent to Port */
    struct str blueprint;
    struct str identifier; /* normalised (S-94) */
    struct key128 key;     /* key128_entity(blueprint, identifier) */
    struct key128 print;   /* entity_fingerprint of text */
    unsigned flags;
    uint32_t item;         /* index of the raw item in the batch */
    const struct entity_target *targets;
    size_t ntargets;
};

struct misconfig { /* a field that was null at least once (S-90) */
    const char *field, *expr;
    size_t count;
    struct str excerpt;    /* of one such item */
    const char *hint;      /* near-miss key, or NULL */
    const char *error;     /* first jq message, or NULL */
};

struct mapped_batch {
    struct arena *arena;   /* owns everything below */
    size_t raw;            /* items handed in */
    size_t extracted;      /* after itemsToParse */
    size_t filtered;       /* selector false */
    size_t unmappable;     /* no identifier or blueprint, selector errors included */
    size_t selector_errors, expand_errors, budget_errors;
    const char *first_error; /* message of the first of these, or NULL */
    struct mapped_entity *entities; /* passed, in order */
    size_t n;
    struct mapped_entity *failed;   /* parse-all: selector false */
    size_t nfailed;
    struct misconfig *misconfig;
    size_t nmisconfig;
    bool cancelled;
};

/* Maps `items` (an array of objects; its document must stay alive until the call returns). parse_all as S-80.
 * Fails only as a whole (S-45): ERR_LIMIT, ERR_INTERNAL. */
int plan_map(const struct plan *p, struct json items, bool parse_all, atomic_bool *cancel, struct mapped_batch **ret,
             struct err *e);
void mapped_batch_free(struct mapped_batch *b);
