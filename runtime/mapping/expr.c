/* Compiling one expression: as it is written if that compiles, else with its quotes normalised (S-72). What is constant
 * is computed here once; its storage is frozen, since many threads will read it. */
#include "mapping/expr.h"

#include <stdlib.h>

#include "base/mem.h"
#include "mapping/builtins.h"
#include "mapping/quotes.h"

static bool compile(struct expr_space *s, struct str text, struct expr *x)
{
    const char *message = NULL;
    struct node *n = jq_parse(s->arena, &s->heap, text, &message);
    struct bind_result r = {0};
    if (n) {
        jq_bind(s->arena, text, n, &r);
        message = r.message;
    }
    if (message) {
        if (!x->why)
            x->why = message;
        return false;
    }
    x->used = text;
    x->node = n;
    x->why = r.libjq;
    x->how = r.libjq ? EXPR_LIBJQ : EXPR_NATIVE;
    return true;
}

static void fold(struct expr_space *s, struct expr *x)
{
    struct ev c;
    struct heap *scratch = xcalloc(1, sizeof(*scratch));
    heap_init(scratch, (size_t)1 << 20);
    ev_init(&c, scratch);
    ev_begin(&c);
    c.steps = 10000;
    struct val v;
    if (ev_first(&c, x->node, VNULL, &v) == FIRST_VALUE) {
        struct buf text;
        struct str msg;
        buf_init(&text, (size_t)1 << 20);
        val_write(scratch, &text, v);
        /* Through its text into the plan's own memory, numbers keep theirs. */
        if (!text.failed && val_parse(&s->heap, buf_str(&text), &x->value, &msg) == 0) {
            val_freeze(x->value);
            x->how = EXPR_CONST;
        }
        buf_done(&text);
    }
    ev_done(&c);
    heap_done(scratch);
    free(scratch);
}

void expr_compile(struct expr_space *s, struct str text, const char *field, struct expr *ret)
{
    *ret = (struct expr){.field = field, .text = arena_str(s->arena, text).p, .how = EXPR_BROKEN, .libjq = -1};
    struct str own = {ret->text, text.n};
    if (text.n > ((size_t)1 << 20)) {
        ret->why = "the expression is longer than 1 MiB";
        return;
    }
    if (!utf8_valid(own)) {
        ret->why = "the expression is not valid UTF-8";
        return;
    }
    bool ok = compile(s, own, ret);
    if (!ok && memchr(own.p, '\'', own.n)) {
        struct buf b;
        buf_init(&b, BUF_NO_LIMIT);
        if (quotes_normalise(&b, own))
            ok = compile(s, arena_str(s->arena, buf_str(&b)), ret);
        buf_done(&b);
    }
    if (ok && ret->how == EXPR_NATIVE && ret->node->constant)
        fold(s, ret);
}
