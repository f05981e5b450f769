/* ast.h: a jq expression as a tree: lexer, parser, binding.
 *
 * ast_parse turns text into a tree in an arena; ast_bind resolves names to distances in the chain of
 * environments that the evaluator keeps, finds natives, and marks what only libjq knows. A bound tree is
 * immutable: any thread may evaluate it. The grammar is jq 1.8's without modules, which are refused
 * (design.md section 5). */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "mapping/value.h"

#define JQ_NEST_MAX 1000 /* nesting of an expression */

enum node_kind {
    N_IDENTITY, /* . */
    N_CONST,    /* v */
    N_STRING,   /* interpolation: list of parts, name = format or p NULL */
    N_FORMAT,   /* @name */
    N_INDEX,    /* a[b] */
    N_SLICE,    /* a[b:c] */
    N_EACH,     /* a[] */
    N_ARRAY,    /* [a] */
    N_OBJECT,   /* list of key, value, key, value... */
    N_NEG,
    N_PIPE,
    N_COMMA,
    N_BINOP, /* op: enum binop */
    N_AND,
    N_OR,
    N_ALT,     /* a // b */
    N_ASSIGN,  /* a = b */
    N_MODIFY,  /* a |= b */
    N_UPDATE,  /* a op= b; op: enum binop or OP_ALT */
    N_IF,      /* if a then b else c */
    N_TRY,     /* try a catch b; b NULL: errors are dropped */
    N_REDUCE,  /* reduce a as patterns (b; c) */
    N_FOREACH, /* foreach a as patterns (b; c; d) */
    N_AS,      /* a as patterns | b */
    N_DEF,     /* def; b */
    N_CALL,    /* name(list) */
    N_VAR,     /* $name */
    N_LABEL,   /* label $name | a */
    N_BREAK,
};

enum binop { OP_ADD, OP_SUB, OP_MUL, OP_DIV, OP_MOD, OP_EQ, OP_NE, OP_LT, OP_GT, OP_LE, OP_GE, OP_ALT };

enum call_kind { CALL_NONE, CALL_CLOSURE, CALL_DEF, CALL_GLOBAL, CALL_VALUE, CALL_FORM, CALL_LIBJQ };

struct node;
struct native;

struct pattern {
    enum { PAT_VAR, PAT_ARRAY, PAT_OBJECT } kind;
    struct str name; /* PAT_VAR */
    int slot;
    size_t n; /* elements or members */
    struct pattern_item *items;
};
struct pattern_item {
    struct node *key; /* PAT_OBJECT: NULL for $name members */
    struct str var;   /* PAT_OBJECT: also bind the member to this variable */
    int slot;
    struct pattern *sub; /* may be NULL with `var` */
};
struct patterns {
    size_t n; /* alternatives of ?// */
    struct pattern **alt;
    size_t nvars;
    struct str *vars; /* of all alternatives, each once */
};

struct def {
    struct str name;
    size_t nparams;
    struct str *params; /* closures; $name parameters are bound by the body itself */
    struct node *body;
    bool bound;
};

struct node {
    uint8_t kind, op;
    bool optional; /* followed by '?' */
    bool literal;  /* text of a string, which formats leave alone */
    bool single;   /* gives exactly one output or an error */
    bool constant; /* does not depend on its input or environment, cheap to fold */
    uint8_t call;  /* N_CALL */
    int index;     /* distance in the environment chain */
    uint32_t at;   /* byte offset in the expression */
    uint32_t read; /* N_INDEX: the path among those read of the element (reads.h); 0: none */
    struct node *a, *b, *c, *d;
    struct node **list;
    size_t n;
    struct str name;
    struct val v;
    struct patterns *pats;
    struct def *def;
    const struct native *native;
};

/* A message with column and caret line in *ret_msg (arena). Returns NULL on failure. */
struct node *ast_parse(struct arena *a, struct heap *h, struct str text, const char **ret_msg);
/* A file of definitions only (the prelude): appends them to `defs`. */
size_t ast_parse_defs(struct arena *a, struct heap *h, struct str text, struct def ***ret);

/* The node behind pipes through `.`; and whether it is a value that stands in the text (jq_const.c). */
const struct node *ast_without_identity(const struct node *n);
bool ast_is_constant(const struct node *n);

struct bind_result {
    const char *message; /* it does not compile: why (column and caret) */
    const char *libjq;   /* needs libjq: why; NULL: native */
};
void ast_bind(struct arena *a, struct str text, struct node *n, struct bind_result *ret);
/* The same for a definition of the prelude. */
void ast_bind_def(struct arena *a, struct str text, struct def *d, struct bind_result *ret);
/* "message at column N:\n    text\n    ^" */
const char *ast_complaint(struct arena *a, struct str text, size_t at, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Lexer
 * ------------------------------------------------------------------------------------------------------------
 */

enum token_kind {
    T_END,
    T_BAD,
    T_IDENT,
    T_FIELD,
    T_VAR,
    T_NUMBER,
    T_FORMAT,
    T_QUOTE,
    T_OP,
    T_KEYWORD,
};
struct token {
    enum token_kind kind;
    struct str text; /* without the dot of fields, the $ of variables, the @ of formats */
    size_t at;
};
struct lexer {
    struct str src;
    size_t pos;
};
/* Next token; T_QUOTE is the opening quote of a string, whose inside lex_string_part reads. */
struct token lex_next(struct lexer *l);
enum string_part { PART_TEXT, PART_INTERPOLATION, PART_END, PART_BROKEN };
/* Reads inside a string: decoded text, then what follows it. PART_BROKEN: *fault says why. */
enum string_part lex_string_part(struct lexer *l, struct buf *text, const char **fault);
