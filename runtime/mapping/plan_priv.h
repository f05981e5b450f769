/* plan_priv.h: what the files that make up a plan share.
 *
 *   plan.c       compiling a resource's mapping, questions about it
 *   plan_map.c   mapping a batch: items, selector, fields, counters
 *   plan_libjq.c what libjq has to work out before a batch can be mapped
 *   items.c      itemsToParse (sync S-63 to S-70)
 *   entity.c     from values to the entity's text, key, targets (S-81 to S-94)
 *   entity_print.c its fingerprint (S-99, S-100)
 *   misconfig.c  the misconfiguration report (S-90 to S-93) */
#pragma once
#include "mapping/expr.h"
#include "mapping/jq.h"
#include "mapping/plan.h"

#define ENTITY_MAX ((size_t)4 << 20)
#define BUDGET_FAILURES_MAX 20 /* of one expression in a batch; the rest fails at once */

/* A part of the mapping: a leaf is an expression, the rest is walked (S-81). */
struct shape {
    enum { SHAPE_LEAF, SHAPE_OBJECT, SHAPE_ARRAY } kind;
    int expr;
    size_t n;
    struct val *keys; /* SHAPE_OBJECT */
    struct shape *kids;
};

enum role { ROLE_IDENTIFIER, ROLE_BLUEPRINT, ROLE_TITLE, ROLE_ICON, ROLE_TEAM, ROLE_PROPERTY, ROLE_RELATION };

struct field {
    enum role role;
    struct str name;     /* of properties and relations */
    struct str before;   /* text to write in front of the value */
    struct mix128 start; /* of the value's part in the fingerprint */
    struct shape shape;
};

struct plan {
    struct expr_space space;
    struct reads *reads; /* members of the element that the expressions read */
    struct expr *exprs;
    size_t nexprs;
    int selector, items; /* positions in exprs; items -1: no itemsToParse */
    struct str items_name;
    bool items_transform;
    struct val *items_path; /* S-67; n 0: none */
    size_t items_path_n;
    struct field *fields;
    size_t nfields;
    struct str after; /* text that ends the entity */
    size_t *relations; /* positions in fields */
    size_t nrelations;
    bool has_properties, has_relations;
    struct str *parts;
    size_t nparts;
    struct str blueprint; /* literal, or p NULL */
    size_t nlibjq;
    struct str *libjq; /* texts for libjq */
    struct jq_host *jq;
    struct json_doc *env_doc;
};

/* What libjq said about a batch. */
struct libjq_batch {
    struct jq_answer *answers; /* [element * nlibjq + expression] */
    struct json_doc *values;   /* the values among them, one array */
    struct json *value;        /* by position in answers */
    struct buf texts;
    size_t answered; /* answers there are */
    const char *failure; /* libjq could not be asked: why */
};

struct inputs;
struct mapper {
    const struct plan *plan;
    struct json items;
    bool parse_all;
    struct heap heap;
    struct ev ev;
    struct buf text; /* entities one after another */
    struct mapped_batch *batch;
    struct val *values;    /* by field, of the present element */
    struct str *names;     /* by field: relations' names in the batch's arena, once they are needed */
    size_t *nulls;         /* by expression */
    const char **errors, **hints;
    struct str *excerpts;
    size_t *exhausted; /* by expression: items that went over budget */
    size_t element;    /* running number of the element, for libjq's answers */
    uint32_t item;
    struct entity_slot *slots; /* offsets until the text is complete */
    size_t nslots, cap_slots;
    struct libjq_batch lib, lib_items;
    struct inputs *inputs; /* while inputs for libjq are collected */
};

struct entity_slot {
    size_t text, text_n, blueprint, identifier, blueprint_n, identifier_n;
    bool failed;
    struct mapped_entity e;
};

/* plan_map.c */
/* Ready for the items of one batch; the batch made is m->batch, which mapper_done leaves to its caller. */
void mapper_init(struct mapper *m, const struct plan *p, struct json items, bool parse_all);
void mapper_done(struct mapper *m);
/* Evaluates expression i for an element. FIRST_VALUE with *ret; FIRST_EMPTY; FIRST_ERROR with *error;
 * FIRST_FATAL likewise. */
enum ev_first mapper_eval(struct mapper *m, int i, struct val in, struct val *ret, const char **error);
void mapper_note(struct mapper *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* items.c */
void items_compile(struct plan *p, struct str expr);
/* Calls fn for each element of the raw item (itself without itemsToParse). False: the item is an error,
 * noted. */
bool items_each(struct mapper *m, struct val item, int (*fn)(struct mapper *m, struct val element));

/* entity.c */
int entity_build(struct mapper *m, struct val element, bool failed);
bool value_is_query(struct val v);

/* entity_print.c */
/* The hash of a part's role and name, to which print_add adds a value. Names count for properties and relations only. */
struct mix128 print_start(enum role role, struct str name);
/* Adds a part to a fingerprint, which begins as {0, 0}. */
void print_add(struct key128 *print, struct mix128 start, enum role role, struct heap *h, struct val v);

/* misconfig.c */
void misconfig_null(struct mapper *m, int expr, struct val element, const char *error);
void misconfig_finish(struct mapper *m);

/* plan_libjq.c */
int libjq_prepare(struct mapper *m, struct err *e);
void libjq_done(struct libjq_batch *b);
