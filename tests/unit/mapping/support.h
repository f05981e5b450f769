/* support.h: compiling and running single expressions, and mapping batches from texts. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/mem.h"
#include "config/mapping_doc.h"
#include "mapping/expr.h"
#include "mapping/jq.h"
#include "mapping/plan.h"

static inline void add_output(struct ev *c, struct buf *out, struct val v)
{
    if (out->n)
        buf_addc(out, ' ');
    val_write(c->heap, out, v);
}

static inline int take_output(struct ev *c, void *arg, struct val v, const struct path *p)
{
    (void)p;
    add_output(c, arg, v);
    return c->heap->full ? EV_FATAL : EV_OK;
}

/* All outputs with spaces between; "!text" for an error, "#text" for a budget, "?" for what does not compile. */
static inline char *run_jq(const char *expr, const char *input)
{
    struct expr_space space = {.arena = arena_new(0)};
    struct heap heap;
    struct ev ev;
    struct expr x;
    struct json_doc *doc;
    struct buf out;
    buf_init(&out, BUF_NO_LIMIT);
    heap_init(&space.heap, EV_HEAP_MAX);
    heap_init(&heap, EV_HEAP_MAX);
    expr_compile(&space, str_of(expr), "x", &x);
    ev_init(&ev, &heap);
    ev_begin(&ev);
    assert_int_equal(json_parse(str_of(input), &doc, NULL), 0);
    if (x.how == EXPR_BROKEN) {
        buf_adds(&out, "?");
    } else if (x.how == EXPR_LIBJQ) {
        buf_adds(&out, "libjq");
    } else {
        enum ev_first r = ev_all(&ev, x.node, val_of_doc(json_root(doc).v), take_output, &out);
        if (r == FIRST_ERROR) {
            buf_adds(&out, out.n ? " !" : "!");
            if (ev.error.kind == VAL_STRING)
                buf_add(&out, ev.error.s, ev.error.n);
            else
                val_write(&heap, &out, ev.error);
        }
        if (r == FIRST_FATAL) {
            buf_adds(&out, out.n ? " #" : "#");
            buf_adds(&out, ev_fatal_text(ev.fatal));
        }
        if (x.how == EXPR_CONST) { /* folding must not change the first output */
            struct buf folded;
            buf_init(&folded, BUF_NO_LIMIT);
            add_output(&ev, &folded, x.value);
            assert_memory_equal(folded.p, out.p, folded.n);
            buf_done(&folded);
        }
    }
    char *text = xstrdup(buf_cstr(&out));
    buf_done(&out);
    json_unref(doc);
    ev_done(&ev);
    heap_done(&heap);
    heap_done(&space.heap);
    arena_free(space.arena);
    return text;
}

struct jq_case {
    const char *expr, *input, *expected;
};

static inline void check_cases(const struct jq_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char *got = run_jq(cases[i].expr, cases[i].input);
        if (strcmp(got, cases[i].expected) != 0)
            fail_msg("%s on %s: expected %s, got %s", cases[i].expr, cases[i].input, cases[i].expected, got);
        free(got);
    }
}

/* A plan and what it made of a batch. */
struct mapped {
    struct json_doc *doc, *items;
    struct mapping_doc *md;
    struct plan *plan;
    struct mapped_batch *b;
};

/* `resource` is the JSON text of one resource. */
static inline void map_open(struct mapped *m, const char *resource, const char *items, struct jq_host *jq, bool parse_all)
{
    struct err e = {0};
    char *text = xasprintf("{\"resources\":[%s]}", resource);
    static const char *const env[] = {"HOME=/home/x", NULL};
    struct plan_opts o = {.jq = jq, .env_access = true, .env = env};
    *m = (struct mapped){0};
    if (json_parse(str_of(text), &m->doc, &e) < 0 || mapping_doc_parse(json_root(m->doc), &m->md, &e) < 0 ||
        plan_compile(&m->md->resources[0], &o, &m->plan, &e) < 0 || json_parse(str_of(items), &m->items, &e) < 0 ||
        plan_map(m->plan, json_root(m->items), parse_all, NULL, &m->b, &e) < 0)
        fail_msg("%s", e.msg);
    free(text);
}

static inline void map_close(struct mapped *m)
{
    mapped_batch_free(m->b);
    plan_free(m->plan);
    mapping_doc_free(m->md);
    json_unref(m->items);
    json_unref(m->doc);
}

static inline const char *entity_text(const struct mapped *m, size_t i)
{
    static char text[8192];
    assert_true(i < m->b->n);
    snprintf(text, sizeof(text), "%.*s", STR_FMT(m->b->entities[i].text));
    return text;
}
