/* Names to distances, calls to natives. What a node may give (exactly one output? the same for every input?)
 * is worked out on the way up: single nodes take the short way through the evaluator, constant ones are
 * computed once. */
#include <stdarg.h>
#include <stdio.h>

#include "mapping/ast.h"
#include "mapping/eval.h"

const char *ast_complaint(struct arena *a, struct str text, size_t at, const char *fmt, ...)
{
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    va_list ap;
    va_start(ap, fmt);
    buf_addvf(&b, fmt, ap);
    va_end(ap);
    if (at > text.n)
        at = text.n;
    size_t from = at, to = at, line = 1;
    while (from && text.p[from - 1] != '\n')
        from--;
    while (to < text.n && text.p[to] != '\n')
        to++;
    for (size_t i = 0; i < from; i++)
        line += text.p[i] == '\n';
    size_t column = utf8_count((struct str){text.p + from, at - from}) + 1;
    buf_adds(&b, " at ");
    if (line > 1)
        buf_addf(&b, "line %zu, ", line);
    buf_addf(&b, "column %zu\n    %.*s\n    %*s", column, (int)(to - from), text.p + from, (int)column, "^");
    const char *m = arena_str(a, buf_str(&b)).p;
    buf_done(&b);
    return m;
}

enum scope_kind { SCOPE_VAR, SCOPE_CLOSURE, SCOPE_DEF, SCOPE_LABEL };

struct scope {
    const struct scope *up;
    enum scope_kind kind;
    struct str name;
    struct def *def;
};

struct binder {
    struct arena *arena;
    struct str text;
    struct bind_result *res;
};

static void bind(struct binder *b, struct node *n, const struct scope *s);

static const struct scope *lookup(const struct scope *s, enum scope_kind kind, struct str name, size_t nargs,
                                  int *index)
{
    int i = 0;
    for (; s; s = s->up, i++) {
        bool call = kind == SCOPE_DEF && (s->kind == SCOPE_DEF || s->kind == SCOPE_CLOSURE);
        if (!call && s->kind != kind)
            continue;
        if (!str_eq(s->name, name) || (s->kind == SCOPE_DEF && s->def->nparams != nargs) ||
            (s->kind == SCOPE_CLOSURE && nargs))
            continue;
        *index = i;
        return s;
    }
    return NULL;
}

static void refuse(struct binder *b, const struct node *n, const char *what, struct str name, int nargs)
{
    if (b->res->message)
        return;
    char count[16] = "";
    if (nargs >= 0)
        snprintf(count, sizeof(count), "/%d", nargs);
    b->res->message = ast_complaint(b->arena, b->text, n->at, "%.*s%s %s", STR_FMT(name), count, what);
}

static bool forbidden(struct str name)
{
    return str_is(name, "modulemeta") || str_is(name, "get_search_list");
}

static void bind_call(struct binder *b, struct node *n, const struct scope *s)
{
    for (size_t i = 0; i < n->n; i++)
        bind(b, n->list[i], s);
    const struct scope *found = lookup(s, SCOPE_DEF, n->name, n->n, &n->index);
    if (found) {
        n->call = found->kind == SCOPE_DEF ? CALL_DEF : CALL_CLOSURE;
        return;
    }
    n->native = native_find(n->name, n->n);
    if (n->native) {
        n->call = n->native->value ? CALL_VALUE : CALL_FORM;
        if (n->call == CALL_VALUE) {
            n->single = true;
            for (size_t i = 0; i < n->n; i++)
                n->single &= n->list[i]->single;
        }
        return;
    }
    n->def = prelude_find(n->name, n->n);
    if (n->def) {
        n->call = CALL_GLOBAL;
        return;
    }
    n->call = CALL_LIBJQ;
    if (forbidden(n->name)) {
        refuse(b, n, "is not available in mappings: it looks at files", n->name, (int)n->n);
    } else if (native_is_jq(n->name, n->n)) {
        if (!b->res->libjq)
            b->res->libjq = arena_printf(b->arena, "%.*s/%zu is not native", STR_FMT(n->name), n->n);
    } else {
        refuse(b, n, "is not defined", n->name, (int)n->n);
    }
}

/* Variables
 * ------------------------------------------------------------------------------------------------------- */

static int slot_of(struct binder *b, struct patterns *ps, struct str name)
{
    for (size_t i = 0; i < ps->nvars; i++)
        if (str_eq(ps->vars[i], name))
            return (int)i;
    struct str *more = arena_alloc(b->arena, (ps->nvars + 1) * sizeof(*more));
    if (ps->nvars)
        memcpy(more, ps->vars, ps->nvars * sizeof(*more));
    more[ps->nvars] = name;
    ps->vars = more;
    return (int)ps->nvars++;
}

static void collect(struct binder *b, struct patterns *ps, struct pattern *p)
{
    if (p->kind == PAT_VAR)
        p->slot = slot_of(b, ps, p->name);
    for (size_t i = 0; i < p->n; i++) {
        if (p->items[i].var.p)
            p->items[i].slot = slot_of(b, ps, p->items[i].var);
        if (p->items[i].sub)
            collect(b, ps, p->items[i].sub);
    }
}

static void bind_keys(struct binder *b, struct pattern *p, const struct scope *s)
{
    for (size_t i = 0; i < p->n; i++) {
        if (p->items[i].key)
            bind(b, p->items[i].key, s);
        if (p->items[i].sub)
            bind_keys(b, p->items[i].sub, s);
    }
}

/* Pushes the variables of all alternatives and returns the new innermost scope. */
static const struct scope *bind_patterns(struct binder *b, struct patterns *ps, const struct scope *s)
{
    for (size_t i = 0; i < ps->n; i++)
        collect(b, ps, ps->alt[i]);
    for (size_t i = 0; i < ps->nvars; i++) {
        struct scope *v = arena_alloc(b->arena, sizeof(*v));
        *v = (struct scope){.up = s, .kind = SCOPE_VAR, .name = ps->vars[i]};
        s = v;
    }
    for (size_t i = 0; i < ps->n; i++)
        bind_keys(b, ps->alt[i], s);
    return s;
}

static void bind_def(struct binder *b, struct def *d, const struct scope *s)
{
    for (size_t i = 0; i < d->nparams; i++) {
        struct scope *p = arena_alloc(b->arena, sizeof(*p));
        *p = (struct scope){.up = s, .kind = SCOPE_CLOSURE, .name = d->params[i]};
        s = p;
    }
    bind(b, d->body, s);
    d->bound = true;
}

static void bind_var(struct binder *b, struct node *n, const struct scope *s)
{
    n->single = true;
    if (lookup(s, SCOPE_VAR, n->name, 0, &n->index))
        return;
    n->index = -1; /* $ENV */
    if (!str_is(n->name, "ENV"))
        refuse(b, n, "is not defined", (struct str){n->name.p - 1, n->name.n + 1}, -1);
}

/* Nodes
 * ------------------------------------------------------------------------------------------------------------
 */

static bool all_single(const struct node *n)
{
    const struct node *kids[] = {n->a, n->b, n->c, n->d};
    for (int i = 0; i < 4; i++)
        if (kids[i] && !kids[i]->single)
            return false;
    for (size_t i = 0; i < n->n; i++)
        if (!n->list[i]->single)
            return false;
    return true;
}

static bool all_constant(const struct node *n)
{
    const struct node *kids[] = {n->a, n->b, n->c, n->d};
    for (int i = 0; i < 4; i++)
        if (kids[i] && !kids[i]->constant)
            return false;
    for (size_t i = 0; i < n->n; i++)
        if (!n->list[i]->constant)
            return false;
    return true;
}

static void bind_kids(struct binder *b, struct node *n, const struct scope *s)
{
    struct node *kids[] = {n->a, n->b, n->c, n->d};
    for (int i = 0; i < 4; i++)
        if (kids[i])
            bind(b, kids[i], s);
    for (size_t i = 0; i < n->n; i++)
        bind(b, n->list[i], s);
}

static void bind_scoped(struct binder *b, struct node *n, const struct scope *s)
{
    struct scope inner = {.up = s, .kind = SCOPE_LABEL, .name = n->name};
    const struct scope *vars;
    switch (n->kind) {
    case N_AS:
        bind(b, n->a, s);
        vars = bind_patterns(b, n->pats, s);
        bind(b, n->b, vars);
        n->single = n->pats->n == 1 && n->pats->alt[0]->kind == PAT_VAR && n->a->single && n->b->single;
        break;
    case N_REDUCE:
    case N_FOREACH:
        bind(b, n->a, s);
        bind(b, n->b, s);
        vars = bind_patterns(b, n->pats, s);
        bind(b, n->c, vars);
        if (n->d)
            bind(b, n->d, vars);
        n->single = n->kind == N_REDUCE && n->b->single;
        break;
    case N_DEF:
        inner.kind = SCOPE_DEF;
        inner.name = n->def->name;
        inner.def = n->def;
        bind_def(b, n->def, &inner);
        bind(b, n->b, &inner);
        break;
    case N_LABEL: bind(b, n->a, &inner); break;
    default: /* N_BREAK */
        if (!lookup(s, SCOPE_LABEL, n->name, 0, &n->index))
            refuse(b, n, "is not defined: break needs an enclosing label of that name", n->name, -1);
        break;
    }
}

static bool known_format(struct str name)
{
    static const char *const known[] = {"text", "json", "html",   "uri",     "urid", "csv",
                                        "tsv",  "sh",   "base64", "base64d", NULL};
    for (const char *const *k = known; *k; k++)
        if (str_is(name, *k))
            return true;
    return false;
}

static void bind(struct binder *b, struct node *n, const struct scope *s)
{
    switch (n->kind) {
    case N_IDENTITY: n->single = true; return;
    case N_CONST: n->single = n->constant = true; return;
    case N_VAR: bind_var(b, n, s); return;
    case N_CALL: bind_call(b, n, s); return;
    case N_AS:
    case N_REDUCE:
    case N_FOREACH:
    case N_DEF:
    case N_LABEL:
    case N_BREAK: bind_scoped(b, n, s); return;
    default: break;
    }
    bind_kids(b, n, s);
    switch (n->kind) {
    case N_STRING:
    case N_OBJECT:
    case N_NEG:
    case N_BINOP:
    case N_AND:
    case N_OR:
    case N_ALT:
        n->single = all_single(n);
        n->constant = all_constant(n);
        break;
    case N_IF:
        n->single = all_single(n);
        n->constant = n->c && all_constant(n);
        break;
    case N_ARRAY:
        n->single = true;
        n->constant = !n->a || n->a->constant;
        break;
    case N_PIPE:
        n->single = all_single(n);
        n->constant = n->a->constant && (n->b->constant || n->b->kind == N_FORMAT);
        break;
    case N_COMMA: n->constant = all_constant(n); break;
    case N_FORMAT: n->single = true; break;
    case N_INDEX:
    case N_SLICE:
        n->single = all_single(n) && !n->optional;
        n->constant = all_constant(n);
        break;
    default: break;
    }
    if ((n->kind == N_FORMAT || (n->kind == N_STRING && n->name.p)) && !known_format(n->name)) {
        n->single = false; /* an error of the evaluation in jq, not of the compilation */
        n->constant = false;
    }
}

void ast_bind(struct arena *a, struct str text, struct node *n, struct bind_result *ret)
{
    struct binder b = {.arena = a, .text = text, .res = ret};
    bind(&b, n, NULL);
}

void ast_bind_def(struct arena *a, struct str text, struct def *d, struct bind_result *ret)
{
    struct binder b = {.arena = a, .text = text, .res = ret};
    bind_def(&b, d, NULL);
}
