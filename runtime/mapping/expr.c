/* Compiling one expression: as it is written if that compiles, else with its quotes normalised (S-72). What
 * is constant is computed here once; its storage is frozen, since many threads will read it. */
#include "mapping/expr.h"

#include <stdlib.h>

#include "base/mem.h"
#include "mapping/builtins.h"
#include "mapping/quotes.h"

#define FOLD_MAX ((size_t)1 << 20)

static bool compile(struct expr_space *s, struct str text, struct expr *x)
{
    const char *message = NULL;
    struct node *n = ast_parse(s->arena, &s->heap, text, &message);
    struct bind_result r = {0};
    if (n) {
        ast_bind(s->arena, text, n, &r);
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

/* Into the plan's own memory, computed numbers staying computed. */
static struct val copy(struct heap *h, struct val v)
{
    struct val r = v;
    if (v.kind == VAL_STRING || val_is_text_number(v)) {
        r.s = val_string(h, val_text(v)).s;
    } else if (v.kind == VAL_ARRAY) {
        r = val_array(h, val_len(h, v));
        for (struct val_iter it = val_iter(h, v); val_next(&it);)
            r = val_push(h, r, copy(h, it.v));
    } else if (v.kind == VAL_OBJECT) {
        r = val_object(h, val_len(h, v));
        for (struct val_iter it = val_iter(h, v); val_next(&it);)
            r = val_set(h, r, copy(h, it.key), copy(h, it.v));
    }
    return r;
}

static void fold(struct expr_space *s, struct expr *x)
{
    struct ev c;
    struct heap *scratch = xcalloc(1, sizeof(*scratch));
    heap_init(scratch, FOLD_MAX);
    ev_init(&c, scratch);
    ev_begin(&c);
    c.steps = 10000;
    struct val v;
    if (ev_first(&c, x->node, VNULL, &v) == FIRST_VALUE && scratch->used < FOLD_MAX) {
        x->value = copy(&s->heap, v);
        val_freeze(x->value);
        x->how = EXPR_CONST;
    }
    ev_done(&c);
    heap_done(scratch);
    free(scratch);
}

void expr_compile(struct expr_space *s, struct str text, const char *field, struct expr *ret)
{
    *ret =
        (struct expr){.field = field, .text = arena_str(s->arena, text).p, .how = EXPR_BROKEN, .libjq = -1};
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
