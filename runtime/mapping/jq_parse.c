/* Recursive descent over jq 1.8's grammar. Pipes, commas, definitions, "as" and labels reach as far to the
 * right as they can; operators climb by precedence. After the first error the parser sees the end of the text
 * and unwinds, so that no caller has to look; a nesting limit keeps the recursion bounded. */
#include <stdio.h>

#include "mapping/ast.h"

struct parser {
    struct arena *arena;
    struct heap *heap;
    struct lexer lex;
    struct token tok;
    int depth;
    const char *message;
};

static struct node *parse_query(struct parser *p);
static struct node *parse_expr(struct parser *p, int min);
static struct node *parse_unary(struct parser *p);

static void fail_at(struct parser *p, size_t at, const char *what)
{
    if (!p->message)
        p->message = ast_complaint(p->arena, p->lex.src, at, "%s", what);
    p->lex.pos = p->lex.src.n;
    p->tok = (struct token){.kind = T_END, .at = p->lex.src.n};
}

/* "syntax error: unexpected X, expected Y" at the current token. */
static void fail(struct parser *p, const char *expected)
{
    struct token t = p->tok;
    char what[200];
    int n = (int)(t.text.n > 40 ? 40 : t.text.n);
    if (t.kind == T_END)
        snprintf(what, sizeof(what), "syntax error: unexpected end, expected %s", expected);
    else if (t.kind == T_BAD && t.text.n == 1 && t.text.p[0] == '\'')
        snprintf(what, sizeof(what), "syntax error: jq has no single-quoted strings, use \"...\"");
    else if (t.kind == T_QUOTE)
        snprintf(what, sizeof(what), "syntax error: unexpected string, expected %s", expected);
    else
        snprintf(what, sizeof(what), "syntax error: unexpected '%.*s', expected %s", n, t.text.p, expected);
    fail_at(p, t.at, what);
}

static void next(struct parser *p)
{
    if (!p->message)
        p->tok = lex_next(&p->lex);
}

static bool is_op(const struct parser *p, const char *op)
{
    return p->tok.kind == T_OP && str_is(p->tok.text, op);
}
static bool is_word(const struct parser *p, const char *w)
{
    return p->tok.kind == T_KEYWORD && str_is(p->tok.text, w);
}

static bool accept(struct parser *p, const char *op)
{
    if (!is_op(p, op))
        return false;
    next(p);
    return true;
}

static void expect(struct parser *p, const char *op)
{
    char quoted[12];
    snprintf(quoted, sizeof(quoted), "'%s'", op);
    if (!accept(p, op))
        fail(p, quoted);
}

static void expect_word(struct parser *p, const char *w)
{
    char quoted[16];
    snprintf(quoted, sizeof(quoted), "'%s'", w);
    if (is_word(p, w))
        next(p);
    else
        fail(p, quoted);
}

static struct node *new_node(struct parser *p, enum node_kind kind, struct node *a, struct node *b)
{
    struct node *n = arena_zalloc(p->arena, sizeof(*n));
    n->kind = (uint8_t)kind;
    n->at = (uint32_t)p->tok.at;
    n->a = a;
    n->b = b;
    return n;
}

static struct node *constant(struct parser *p, struct val v)
{
    struct node *n = new_node(p, N_CONST, NULL, NULL);
    n->v = v;
    return n;
}

static struct node *constant_text(struct parser *p, struct str s)
{
    return constant(p, val_str(arena_str(p->arena, s)));
}
static struct node *identity(struct parser *p) { return new_node(p, N_IDENTITY, NULL, NULL); }

/* Lists grow by copying in the arena: they are short. */
static void list_add(struct parser *p, struct node *n, struct node *item)
{
    if ((n->n & (n->n + 1)) == 0 || !n->list) {
        struct node **more = arena_alloc(p->arena, (n->n * 2 + 2) * sizeof(*more));
        if (n->n)
            memcpy(more, n->list, n->n * sizeof(*more));
        n->list = more;
    }
    n->list[n->n++] = item;
}

static bool enter(struct parser *p)
{
    if (++p->depth > JQ_NEST_MAX && !p->message)
        fail_at(p, p->tok.at, "the expression is nested too deeply");
    return p->message == NULL;
}
static void leave(struct parser *p) { p->depth--; }

/* Strings
 * ----------------------------------------------------------------------------------------------------------
 */

/* At T_QUOTE. `format` has p NULL for plain strings. */
static struct node *parse_string(struct parser *p, struct str format)
{
    struct node *s = new_node(p, N_STRING, NULL, NULL);
    s->name = format;
    struct buf text;
    buf_init(&text, BUF_NO_LIMIT);
    for (;;) {
        const char *fault = NULL;
        size_t from = p->lex.pos;
        enum string_part part = lex_string_part(&p->lex, &text, &fault);
        if (part == PART_BROKEN) {
            fail_at(p, from, fault);
            break;
        }
        if (text.n || part == PART_END) {
            struct node *piece = constant_text(p, buf_str(&text));
            piece->literal = true;
            list_add(p, s, piece);
            buf_reset(&text);
        }
        if (part == PART_END)
            break;
        next(p);
        list_add(p, s, parse_query(p));
        /* The token after the ')' would be read as code: go on as text right behind it. */
        if (!is_op(p, ")")) {
            fail(p, "')' to end the interpolation");
            break;
        }
        p->lex.pos = p->tok.at + 1;
    }
    buf_done(&text);
    next(p);
    if (p->message || s->n != 1 || !s->list[0]->literal)
        return s;
    s->list[0]->literal = false; /* the string as a whole is a value like any other */
    return s->list[0];
}

/* At T_FORMAT: "@name" alone, or before a string. */
static struct node *parse_format(struct parser *p)
{
    struct node *n = new_node(p, N_FORMAT, NULL, NULL);
    n->name = arena_str(p->arena, p->tok.text);
    next(p);
    return p->tok.kind == T_QUOTE ? parse_string(p, n->name) : n;
}

static struct node *parse_string_or_format(struct parser *p)
{
    if (p->tok.kind == T_QUOTE)
        return parse_string(p, STR_NULL);
    struct node *n = parse_format(p);
    if (n->kind == N_FORMAT)
        fail(p, "a string after the format");
    return n;
}

/* Patterns
 * ---------------------------------------------------------------------------------------------------------
 */

static struct pattern *parse_pattern(struct parser *p);

static void item_add(struct parser *p, struct pattern *pat, struct pattern_item item)
{
    struct pattern_item *more = arena_alloc(p->arena, (pat->n + 1) * sizeof(*more));
    if (pat->n)
        memcpy(more, pat->items, pat->n * sizeof(*more));
    more[pat->n++] = item;
    pat->items = more;
}

static struct pattern_item parse_member(struct parser *p)
{
    struct pattern_item m = {0};
    if (p->tok.kind == T_VAR) {
        m.var = arena_str(p->arena, p->tok.text);
        next(p);
        if (accept(p, ":"))
            m.sub = parse_pattern(p);
        return m;
    }
    if (p->tok.kind == T_IDENT || p->tok.kind == T_KEYWORD) {
        m.key = constant_text(p, p->tok.text);
        next(p);
    } else if (p->tok.kind == T_QUOTE || p->tok.kind == T_FORMAT) {
        m.key = parse_string_or_format(p);
    } else {
        expect(p, "(");
        m.key = parse_query(p);
        expect(p, ")");
    }
    if (m.key->kind == N_CONST && m.key->v.kind != VAL_STRING)
        fail_at(p, m.key->at, "only strings can be object keys");
    expect(p, ":");
    m.sub = parse_pattern(p);
    return m;
}

static struct pattern *parse_pattern(struct parser *p)
{
    struct pattern *pat = arena_zalloc(p->arena, sizeof(*pat));
    if (!enter(p)) {
        leave(p);
        return pat;
    }
    if (p->tok.kind == T_VAR) {
        pat->kind = PAT_VAR;
        pat->name = arena_str(p->arena, p->tok.text);
        next(p);
    } else if (accept(p, "[")) {
        pat->kind = PAT_ARRAY;
        do
            item_add(p, pat, (struct pattern_item){.sub = parse_pattern(p)});
        while (accept(p, ","));
        expect(p, "]");
    } else if (accept(p, "{")) {
        pat->kind = PAT_OBJECT;
        do
            item_add(p, pat, parse_member(p));
        while (accept(p, ","));
        expect(p, "}");
    } else {
        fail(p, "a variable or a pattern");
    }
    leave(p);
    return pat;
}

static struct patterns *parse_patterns(struct parser *p, bool alternatives)
{
    struct patterns *ps = arena_zalloc(p->arena, sizeof(*ps));
    do {
        struct pattern **more = arena_alloc(p->arena, (ps->n + 1) * sizeof(*more));
        if (ps->n)
            memcpy(more, ps->alt, ps->n * sizeof(*more));
        ps->alt = more;
        ps->alt[ps->n++] = parse_pattern(p);
    } while (alternatives && accept(p, "?//"));
    return ps;
}

/* Terms
 * ------------------------------------------------------------------------------------------------------------
 */

static struct node *parse_if(struct parser *p)
{
    struct node *n = new_node(p, N_IF, NULL, NULL);
    next(p);
    if (enter(p)) {
        n->a = parse_query(p);
        expect_word(p, "then");
        n->b = parse_query(p);
        if (is_word(p, "elif")) {
            n->c = parse_if(p); /* consumes "end" */
            leave(p);
            return n;
        }
        if (is_word(p, "else")) {
            next(p);
            n->c = parse_query(p);
        }
        expect_word(p, "end");
    }
    leave(p);
    return n;
}

static struct node *parse_fold(struct parser *p)
{
    bool each = is_word(p, "foreach");
    struct node *n = new_node(p, each ? N_FOREACH : N_REDUCE, NULL, NULL);
    next(p);
    n->a = parse_expr(p, 0);
    expect_word(p, "as");
    n->pats = parse_patterns(p, true);
    expect(p, "(");
    n->b = parse_query(p);
    expect(p, ";");
    n->c = parse_query(p);
    if (each && accept(p, ";"))
        n->d = parse_query(p);
    expect(p, ")");
    return n;
}

static struct node *parse_value(struct parser *p)
{
    struct node *n = parse_expr(p, 0);
    if (!is_op(p, "|"))
        return n;
    next(p);
    struct node *pipe = new_node(p, N_PIPE, n, NULL);
    if (enter(p))
        pipe->b = parse_value(p);
    else
        pipe->b = n;
    leave(p);
    return pipe;
}

static void parse_entry(struct parser *p, struct node *o)
{
    struct node *key, *v = NULL;
    struct token t = p->tok;
    if (t.kind == T_IDENT || t.kind == T_KEYWORD) {
        key = constant_text(p, t.text);
        next(p);
        if (!is_op(p, ":"))
            v = new_node(p, N_INDEX, identity(p), key);
    } else if (t.kind == T_VAR) {
        struct node *var = parse_unary(p);
        key = is_op(p, ":") ? var : constant_text(p, t.text);
        if (!is_op(p, ":"))
            v = var;
    } else if (t.kind == T_QUOTE || t.kind == T_FORMAT) {
        key = parse_string_or_format(p);
        if (!is_op(p, ":"))
            v = new_node(p, N_INDEX, identity(p), key);
    } else if (accept(p, "(")) {
        key = parse_query(p);
        const struct node *sole = ast_without_identity(key);
        if (sole->kind != N_COMMA && ast_is_constant(sole) && !(sole->kind == N_CONST && sole->v.kind == VAL_STRING))
            fail_at(p, key->at, "only strings can be object keys");
        expect(p, ")");
    } else {
        fail(p, "an object key (anything but a name or a string needs parentheses)");
        return;
    }
    if (!v) {
        expect(p, ":");
        v = parse_value(p);
    }
    list_add(p, o, key);
    list_add(p, o, v);
}

static struct node *parse_object(struct parser *p)
{
    struct node *o = new_node(p, N_OBJECT, NULL, NULL);
    next(p);
    if (accept(p, "}"))
        return o;
    do
        parse_entry(p, o);
    while (accept(p, ",") && !is_op(p, "}"));
    expect(p, "}");
    return o;
}

static struct node *parse_call(struct parser *p)
{
    struct node *n = new_node(p, N_CALL, NULL, NULL);
    n->name = arena_str(p->arena, p->tok.text);
    next(p);
    bool null = str_is(n->name, "null"), yes = str_is(n->name, "true");
    if ((null || yes || str_is(n->name, "false")) && !is_op(p, "(")) {
        n->kind = N_CONST;
        n->v = null ? VNULL : val_bool(yes);
        return n;
    }
    if (accept(p, "(")) {
        do
            list_add(p, n, parse_query(p));
        while (accept(p, ";"));
        expect(p, ")");
    }
    return n;
}

static struct node *parse_keyword(struct parser *p)
{
    if (is_word(p, "if"))
        return parse_if(p);
    if (is_word(p, "reduce") || is_word(p, "foreach"))
        return parse_fold(p);
    if (is_word(p, "try")) {
        struct node *n = new_node(p, N_TRY, NULL, NULL);
        next(p);
        n->a = parse_unary(p);
        if (is_word(p, "catch")) {
            next(p);
            n->b = parse_unary(p);
        }
        return n;
    }
    if (is_word(p, "break")) {
        struct node *n = new_node(p, N_BREAK, NULL, NULL);
        next(p);
        n->name = arena_str(p->arena, p->tok.text);
        if (p->tok.kind != T_VAR)
            fail(p, "a label to break to");
        next(p);
        return n;
    }
    if (is_word(p, "import") || is_word(p, "include") || is_word(p, "module"))
        fail_at(p, p->tok.at, "modules are not available in mappings: import, include and module read files");
    else
        fail(p, "an expression");
    return identity(p);
}

static struct node *parse_variable(struct parser *p)
{
    struct node *n = new_node(p, N_VAR, NULL, NULL);
    if (str_is(p->tok.text, "__loc__")) {
        double line = 1;
        for (size_t i = 0; i < p->tok.at; i++)
            line += p->lex.src.p[i] == '\n';
        struct val o = val_object(p->heap, 2);
        o = val_set(p->heap, o, val_str(STR("file")), val_str(STR("<top-level>")));
        n->kind = N_CONST;
        n->v = val_set(p->heap, o, val_str(STR("line")), val_num(line));
        val_freeze(n->v);
    }
    n->name = arena_str(p->arena, p->tok.text);
    next(p);
    return n;
}

static struct node *parse_primary(struct parser *p)
{
    struct token t = p->tok;
    struct node *n;
    switch (t.kind) {
    case T_NUMBER:
        n = constant(p, VNULL);
        next(p);
        if (!num_parse(p->heap, arena_str(p->arena, t.text), &n->v))
            fail_at(p, t.at, "this is not a number");
        return n;
    case T_QUOTE: return parse_string(p, STR_NULL);
    case T_FORMAT: return parse_format(p);
    case T_FIELD:
        n = new_node(p, N_INDEX, identity(p), constant_text(p, t.text));
        next(p);
        return n;
    case T_VAR: return parse_variable(p);
    case T_IDENT: return parse_call(p);
    case T_KEYWORD: return parse_keyword(p);
    default: break;
    }
    if (accept(p, "(")) {
        n = parse_query(p);
        expect(p, ")");
        /* A bracketed index is a term of its own: "(.a)?" covers errors inside it too. */
        if (n->kind == N_INDEX || n->kind == N_SLICE || n->kind == N_EACH) {
            struct node *id = identity(p);
            n = new_node(p, N_PIPE, n, id);
        }
        return n;
    }
    if (accept(p, "[")) {
        n = new_node(p, N_ARRAY, NULL, NULL);
        if (accept(p, "]"))
            return n;
        n->a = parse_query(p);
        expect(p, "]");
        return n;
    }
    if (is_op(p, "{"))
        return parse_object(p);
    if (accept(p, "..")) {
        n = new_node(p, N_CALL, NULL, NULL);
        n->name = STR("recurse");
        return n;
    }
    if (is_op(p, ".")) {
        next(p);
        n = identity(p);
        if (p->tok.kind == T_QUOTE || p->tok.kind == T_FORMAT)
            n = new_node(p, N_INDEX, n, parse_string_or_format(p));
        return n;
    }
    fail(p, "an expression");
    return identity(p);
}

/* After '[': index, slice or iteration. */
static struct node *parse_bracket(struct parser *p, struct node *term)
{
    if (accept(p, "]"))
        return new_node(p, N_EACH, term, NULL);
    struct node *from = NULL, *n;
    if (!is_op(p, ":"))
        from = parse_query(p);
    if (accept(p, ":")) {
        n = new_node(p, N_SLICE, term, from);
        if (!is_op(p, "]") || !from)
            n->c = parse_query(p);
    } else {
        n = new_node(p, N_INDEX, term, from);
    }
    expect(p, "]");
    return n;
}

static struct node *parse_postfix(struct parser *p)
{
    struct node *n = parse_primary(p);
    while (!p->message) {
        if (p->tok.kind == T_FIELD) {
            n = new_node(p, N_INDEX, n, constant_text(p, p->tok.text));
            next(p);
        } else if (accept(p, "[")) {
            n = parse_bracket(p, n);
        } else if (is_op(p, ".")) {
            next(p);
            if (accept(p, "["))
                n = parse_bracket(p, n);
            else if (p->tok.kind == T_QUOTE || p->tok.kind == T_FORMAT)
                n = new_node(p, N_INDEX, n, parse_string_or_format(p));
            else
                fail(p, "a field name, a string or '[' after '.'");
        } else if (accept(p, "?")) {
            bool suffix = n->kind == N_INDEX || n->kind == N_SLICE || n->kind == N_EACH;
            if (suffix && !n->optional)
                n->optional = true;
            else
                n = new_node(p, N_TRY, n, NULL);
        } else {
            break;
        }
    }
    return n;
}

static struct node *parse_unary(struct parser *p)
{
    struct node *n;
    if (!enter(p)) {
        n = identity(p);
    } else if (is_op(p, "-")) {
        n = new_node(p, N_NEG, NULL, NULL);
        next(p);
        n->a = parse_unary(p);
    } else {
        n = parse_postfix(p);
    }
    leave(p);
    return n;
}

/* Operators
 * -------------------------------------------------------------------------------------------------------- */

struct operator
{
    const char *text;
    int prec;
    enum { LEFT, RIGHT, NONE } assoc;
    enum node_kind kind;
    enum binop op;
};

static const struct operator* find_operator(const struct parser *p)
{
    static const struct operator ops[] = {
        {"//", 1, RIGHT, N_ALT, 0},         {"=", 2, NONE, N_ASSIGN, 0},
        {"|=", 2, NONE, N_MODIFY, 0},       {"+=", 2, NONE, N_UPDATE, OP_ADD},
        {"-=", 2, NONE, N_UPDATE, OP_SUB},  {"*=", 2, NONE, N_UPDATE, OP_MUL},
        {"/=", 2, NONE, N_UPDATE, OP_DIV},  {"%=", 2, NONE, N_UPDATE, OP_MOD},
        {"//=", 2, NONE, N_UPDATE, OP_ALT}, {"or", 3, LEFT, N_OR, 0},
        {"and", 4, LEFT, N_AND, 0},         {"==", 5, NONE, N_BINOP, OP_EQ},
        {"!=", 5, NONE, N_BINOP, OP_NE},    {"<", 5, NONE, N_BINOP, OP_LT},
        {">", 5, NONE, N_BINOP, OP_GT},     {"<=", 5, NONE, N_BINOP, OP_LE},
        {">=", 5, NONE, N_BINOP, OP_GE},    {"+", 6, LEFT, N_BINOP, OP_ADD},
        {"-", 6, LEFT, N_BINOP, OP_SUB},    {"*", 7, LEFT, N_BINOP, OP_MUL},
        {"/", 7, LEFT, N_BINOP, OP_DIV},    {"%", 7, LEFT, N_BINOP, OP_MOD},
    };
    if (p->tok.kind != T_OP && p->tok.kind != T_KEYWORD)
        return NULL;
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
        if (str_is(p->tok.text, ops[i].text))
            return &ops[i];
    return NULL;
}

static struct node *parse_expr(struct parser *p, int min)
{
    struct node *left = parse_unary(p);
    const struct operator* o;
    if (!enter(p)) {
        leave(p);
        return left;
    }
    while ((o = find_operator(p)) && o->prec >= min) {
        struct node *n = new_node(p, o->kind, left, NULL);
        n->op = (uint8_t)o->op;
        next(p);
        n->b = parse_expr(p, o->assoc == RIGHT ? o->prec : o->prec + 1);
        left = n;
        const struct operator* then = find_operator(p);
        if (o->assoc == NONE && then && then->prec == o->prec)
            fail(p, "parentheses: these operators cannot follow one another");
    }
    leave(p);
    return left;
}

/* Queries
 * ----------------------------------------------------------------------------------------------------------
 */

static void parse_param(struct parser *p, struct def *d, struct str *values, size_t *nvalues, size_t max)
{
    if (d->nparams == max) {
        fail(p, "fewer parameters");
        return;
    }
    if (p->tok.kind == T_VAR)
        values[(*nvalues)++] = d->params[d->nparams++] = arena_str(p->arena, p->tok.text);
    else if (p->tok.kind == T_IDENT || p->tok.kind == T_KEYWORD)
        d->params[d->nparams++] = arena_str(p->arena, p->tok.text);
    else
        fail(p, "a parameter name");
    next(p);
}

/* A parameter $a is the closure a, bound to the variable before the body runs; the first one is the
 * outermost. */
static struct node *bind_values(struct parser *p, const struct str *values, size_t n, struct node *body)
{
    while (n--) {
        struct node *as = new_node(p, N_AS, new_node(p, N_CALL, NULL, NULL), body);
        as->a->name = values[n];
        as->pats = arena_zalloc(p->arena, sizeof(*as->pats));
        as->pats->alt = arena_alloc(p->arena, sizeof(*as->pats->alt));
        as->pats->n = 1;
        as->pats->alt[0] = arena_zalloc(p->arena, sizeof(struct pattern));
        as->pats->alt[0]->kind = PAT_VAR;
        as->pats->alt[0]->name = values[n];
        body = as;
    }
    return body;
}

#define PARAMS_MAX 32

static struct def *parse_def(struct parser *p)
{
    struct def *d = arena_zalloc(p->arena, sizeof(*d));
    struct str values[PARAMS_MAX];
    size_t nvalues = 0;
    next(p);
    if (p->tok.kind != T_IDENT && p->tok.kind != T_KEYWORD)
        fail(p, "the name of the function");
    d->name = arena_str(p->arena, p->tok.text);
    next(p);
    d->params = arena_alloc(p->arena, PARAMS_MAX * sizeof(*d->params));
    if (accept(p, "(")) {
        do
            parse_param(p, d, values, &nvalues, PARAMS_MAX);
        while (accept(p, ";"));
        expect(p, ")");
    }
    expect(p, ":");
    struct node *body = parse_query(p);
    d->body = bind_values(p, values, nvalues, body);
    expect(p, ";");
    return d;
}

/* min: 1 takes pipes and commas, 2 commas only, 3 neither. */
static struct node *parse_query_from(struct parser *p, int min)
{
    struct node *left;
    if (!enter(p)) {
        leave(p);
        return identity(p);
    }
    if (is_word(p, "def")) {
        left = new_node(p, N_DEF, NULL, NULL);
        left->def = parse_def(p);
        left->b = parse_query(p);
    } else if (is_word(p, "label")) {
        left = new_node(p, N_LABEL, NULL, NULL);
        next(p);
        left->name = arena_str(p->arena, p->tok.text);
        if (p->tok.kind != T_VAR)
            fail(p, "a name like $out after 'label'");
        next(p);
        expect(p, "|");
        left->a = parse_query(p);
    } else {
        left = parse_expr(p, 0);
        if (is_word(p, "as")) {
            left = new_node(p, N_AS, left, NULL);
            next(p);
            left->pats = parse_patterns(p, true);
            expect(p, "|");
            left->b = parse_query(p);
        }
    }
    for (;;) {
        if (min <= 1 && is_op(p, "|")) {
            next(p);
            left = new_node(p, N_PIPE, left, NULL);
            left->b = parse_query_from(p, 1);
        } else if (min <= 2 && is_op(p, ",")) {
            next(p);
            left = new_node(p, N_COMMA, left, NULL);
            left->b = parse_query_from(p, 3);
        } else {
            break;
        }
    }
    leave(p);
    return left;
}

static struct node *parse_query(struct parser *p) { return parse_query_from(p, 1); }

struct node *ast_parse(struct arena *a, struct heap *h, struct str text, const char **ret_msg)
{
    struct parser p = {.arena = a, .heap = h, .lex = {.src = text}};
    next(&p);
    if (p.tok.kind == T_END) {
        *ret_msg = "the expression is empty";
        return NULL;
    }
    struct node *n = parse_query(&p);
    if (!p.message && p.tok.kind != T_END)
        fail(&p, "an operator or the end");
    if (p.message) {
        *ret_msg = p.message;
        return NULL;
    }
    return n;
}

size_t ast_parse_defs(struct arena *a, struct heap *h, struct str text, struct def ***ret)
{
    struct parser p = {.arena = a, .heap = h, .lex = {.src = text}};
    size_t n = 0, cap = 0;
    struct def **defs = NULL;
    next(&p);
    while (is_word(&p, "def")) {
        if (n == cap) {
            struct def **more = arena_alloc(a, (cap * 2 + 16) * sizeof(*more));
            if (n)
                memcpy(more, defs, n * sizeof(*more));
            defs = more;
            cap = cap * 2 + 16;
        }
        defs[n++] = parse_def(&p);
    }
    *ret = defs;
    return p.message || p.tok.kind != T_END ? 0 : n;
}
