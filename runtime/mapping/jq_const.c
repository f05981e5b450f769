/* What jq takes for a constant while it compiles: a key of an object that is one and no string is a mistake that is
 * told before any item is looked at. */
#include "mapping/ast.h"

/* Piped through `.`, a constant is still one. */
const struct node *ast_without_identity(const struct node *n)
{
    while (n->kind == N_PIPE && (n->a->kind == N_IDENTITY || n->b->kind == N_IDENTITY))
        n = n->a->kind == N_IDENTITY ? n->b : n->a;
    return n;
}

/* A value that stands in the text, arrays and objects of such ones included. */
bool ast_is_constant(const struct node *n)
{
    n = ast_without_identity(n);
    switch (n->kind) {
    case N_CONST: return true;
    case N_ARRAY: return !n->a || ast_is_constant(n->a);
    case N_COMMA: return ast_is_constant(n->a) && ast_is_constant(n->b);
    case N_BINOP: /* jq computes with numbers, and compares, while it compiles */
        if (n->op >= OP_EQ && n->op <= OP_GE)
            return n->a->kind != N_COMMA && n->b->kind != N_COMMA && ast_is_constant(n->a) && ast_is_constant(n->b);
        return n->a->kind == N_CONST && n->a->v.kind == VAL_NUMBER && n->b->kind == N_CONST &&
               n->b->v.kind == VAL_NUMBER;
    case N_OBJECT:
        for (size_t i = 0; i < n->n; i++)
            if (!ast_is_constant(n->list[i]))
                return false;
        return true;
    default: return false;
    }
}
