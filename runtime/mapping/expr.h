/* expr.h: one jq expression of a mapping, compiled. Immutable after expr_compile; any thread may evaluate it.
 */
#pragma once
#include "mapping/eval.h"

enum expr_how {
    EXPR_CONST,  /* `value`, the same for every item */
    EXPR_NATIVE, /* `node` */
    EXPR_LIBJQ,  /* needs libjq; `why` says what is not native */
    EXPR_BROKEN, /* does not compile; `why` is the message */
};

struct expr {
    const char *field; /* dotted path in the mapping */
    const char *text;  /* as written */
    struct str used;   /* what was compiled: as written, or with quotes normalised (S-72) */
    enum expr_how how;
    struct node *node;
    struct val value;
    const char *why;
    int libjq; /* EXPR_LIBJQ: position among the plan's expressions for libjq */
};

/* Memory of a plan's expressions. */
struct expr_space {
    struct arena *arena;
    struct heap heap;
};

/* Never fails: what does not compile is EXPR_BROKEN. */
void expr_compile(struct expr_space *s, struct str text, const char *field, struct expr *ret);
