/* query.h: the compiled form of a query, shared by its compiler (search_compile.c), its evaluation (search_match.c) and the
 * choice of a way through the tables (search_run.c). */
#pragma once
#include "catalog/search.h"

enum subject {
    SUBJECT_IDENTIFIER, SUBJECT_TITLE, SUBJECT_BLUEPRINT, SUBJECT_TEAM, SUBJECT_ICON, SUBJECT_CREATED_AT,
    SUBJECT_UPDATED_AT, SUBJECT_CREATED_BY, SUBJECT_UPDATED_BY, SUBJECT_DATASOURCE, SUBJECT_PROPERTY,
};

enum operator {
    OP_EQ, OP_NE, OP_GT, OP_GE, OP_LT, OP_LE, OP_IN, OP_NOT_IN, OP_CONTAINS, OP_NOT_CONTAINS, OP_CONTAINS_ANY,
    OP_BEGINS, OP_NOT_BEGINS, OP_ENDS, OP_NOT_ENDS, OP_EMPTY, OP_NOT_EMPTY, OP_BETWEEN, OP_NOT_BETWEEN,
    OP_RELATED,
};

struct query {
    bool group, any; /* any: "or" */
    struct query **rules;
    size_t nrules;
    enum subject subject;
    enum operator op;
    struct str name;       /* SUBJECT_PROPERTY */
    struct json value;
    bool value_is_instant; /* of =, !=, <, ... */
    int64_t instant, from, to;
    bool null_is_nothing;  /* P-148 */
    bool needs_body;
    bool upstream, downstream, required_only; /* OP_RELATED; `name`: the blueprint the relation starts from */
    struct ids related;                       /* ... its result, ascending (query_prepare) */
};

/* Finds what the rules need to know beforehand (search_related.c). */
int query_prepare(struct core *k, struct query *q, struct refusal *r);
