/* Mapping a batch. One heap serves all items and is reset between them; entities are written one after
 * another into one buffer that the batch takes over at its end. Everything an item needs is read from the
 * batch's document, nothing is converted beforehand. An item over its budget is an error of that item alone.
 */
#include "mapping/plan_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

void mapper_note(struct mapper *m, const char *fmt, ...)
{
    if (m->batch->first_error)
        return;
    struct buf b;
    buf_init(&b, 2000);
    va_list ap;
    va_start(ap, fmt);
    buf_addvf(&b, fmt, ap);
    va_end(ap);
    m->batch->first_error = b.failed ? "an expression failed" : arena_str(m->batch->arena, buf_str(&b)).p;
    buf_done(&b);
}

/* The text of an error value, for messages: in the batch's arena. */
static const char *error_text(struct mapper *m, struct val v)
{
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    if (v.kind == VAL_STRING)
        buf_add(&b, v.s, v.n < 500 ? v.n : 500);
    else
        buf_addstr(&b, val_excerpt(&m->heap, v, 200));
    const char *line = b.p ? strchr(b.p, '\n') : NULL;
    if (line)
        b.n = (size_t)(line - b.p);
    const char *text = arena_str(m->batch->arena, buf_str(&b)).p;
    buf_done(&b);
    return text;
}

static enum ev_first from_libjq(struct mapper *m, const struct libjq_batch *lib, size_t at, struct val *ret,
                                const char **error)
{
    if (lib->failure) {
        *error = lib->failure;
        return FIRST_ERROR;
    }
    if (at >= lib->answered) { /* itemsToParse gave more elements than when libjq was asked: it depends on the clock */
        *error = "itemsToParse gives another number of elements every time it is evaluated";
        return FIRST_ERROR;
    }
    const struct jq_answer *a = &lib->answers[at];
    switch (a->what) {
    case JQ_VALUE: *ret = val_of_doc(lib->value[at].v); return FIRST_VALUE;
    case JQ_EMPTY: return FIRST_EMPTY;
    case JQ_KILLED: *error = arena_str(m->batch->arena, a->text).p; return FIRST_FATAL;
    default: *error = arena_str(m->batch->arena, a->text).p; return FIRST_ERROR;
    }
}

enum ev_first mapper_eval(struct mapper *m, int i, struct val in, struct val *ret, const char **error)
{
    const struct expr *x = &m->plan->exprs[i];
    *error = NULL;
    switch (x->how) {
    case EXPR_CONST: *ret = x->value; return FIRST_VALUE;
    case EXPR_BROKEN: *error = x->why; return FIRST_ERROR;
    case EXPR_LIBJQ:
        if (i == m->plan->items)
            return from_libjq(m, &m->lib_items, m->item, ret, error);
        return from_libjq(m, &m->lib, m->element * m->plan->nlibjq + (size_t)x->libjq, ret, error);
    default: break;
    }
    if (found_get(&m->ev.found, x->node->read, in, ret)) /* most fields are a path, and nothing else */
        return FIRST_VALUE;
    if (m->exhausted[i] >= BUDGET_FAILURES_MAX) {
        *error = "it went over its budget for too many items of this batch";
        return FIRST_FATAL;
    }
    enum ev_first r = ev_first(&m->ev, x->node, in, ret);
    if (r == FIRST_ERROR)
        *error = error_text(m, m->ev.error);
    if (r == FIRST_FATAL) {
        *error = ev_fatal_text(m->ev.fatal);
        m->exhausted[i]++;
    }
    return r;
}

/* 1 passed, 0 not, -1 an error (noted). */
static int run_selector(struct mapper *m, struct val element)
{
    const struct expr *x = &m->plan->exprs[m->plan->selector];
    const char *error;
    struct val v;
    enum ev_first r = mapper_eval(m, m->plan->selector, element, &v, &error);
    if (r == FIRST_VALUE && (v.kind == VAL_TRUE || v.kind == VAL_FALSE))
        return v.kind == VAL_TRUE;
    if (r == FIRST_VALUE) {
        struct str shown = val_excerpt(&m->heap, v, 200);
        mapper_note(m, "selector.query `%s` must give true or false but gave %.*s (%s) for item %u", x->text,
                    STR_FMT(shown), val_kind_name(v.kind), m->item);
    } else if (r == FIRST_EMPTY) {
        mapper_note(m, "selector.query `%s` must give true or false but gave nothing for item %u", x->text,
                    m->item);
    } else {
        mapper_note(m, "selector.query `%s` failed for item %u: %s", x->text, m->item,
                    error ? error : "unknown error");
    }
    if (r == FIRST_FATAL)
        m->batch->budget_errors++;
    else
        m->batch->selector_errors++;
    m->batch->unmappable++;
    return -1;
}

static int map_element(struct mapper *m, struct val element)
{
    m->batch->extracted++;
    found_begin(&m->ev.found, element);
    int passed = run_selector(m, element);
    if (passed == 0 && !m->parse_all)
        m->batch->filtered++;
    else if (passed >= 0)
        entity_build(m, element, !passed);
    if (passed == 0 && m->parse_all)
        m->batch->filtered++;
    m->element++;
    return 0;
}

/* Offsets become addresses now that the buffer moves no more; the batch owns it from here on. */
static void place_entities(struct mapper *m)
{
    struct mapped_batch *b = m->batch;
    size_t failed = 0;
    for (size_t i = 0; i < m->nslots; i++)
        failed += m->slots[i].failed;
    b->entities = arena_alloc(b->arena, (m->nslots - failed + 1) * sizeof(*b->entities));
    b->failed = arena_alloc(b->arena, (failed + 1) * sizeof(*b->failed));
    size_t text_n = 0;
    char *text = buf_take(&m->text, &text_n);
    if (text)
        arena_defer(b->arena, free, text);
    for (size_t i = 0; i < m->nslots; i++) {
        struct entity_slot *s = &m->slots[i];
        s->e.text = (struct str){text + s->text, s->text_n};
        s->e.blueprint = (struct str){text + s->blueprint, s->blueprint_n};
        s->e.identifier = (struct str){text + s->identifier, s->identifier_n};
        if (s->failed)
            b->failed[b->nfailed++] = s->e;
        else
            b->entities[b->n++] = s->e;
    }
}

void mapper_init(struct mapper *m, const struct plan *p, struct json items, bool parse_all)
{
    *m = (struct mapper){.plan = p, .items = items, .parse_all = parse_all};
    heap_init(&m->heap, EV_HEAP_MAX);
    ev_init(&m->ev, &m->heap);
    found_init(&m->ev.found, p->reads);
    m->ev.env_value = val_of_doc(json_root(p->env_doc).v);
    buf_init(&m->text, BUF_NO_LIMIT);
    m->values = xcalloc(p->nfields + 1, sizeof(*m->values));
    m->names = xcalloc(p->nfields + 1, sizeof(*m->names));
    m->nulls = xcalloc(p->nexprs, sizeof(*m->nulls));
    m->errors = xcalloc(p->nexprs, sizeof(*m->errors));
    m->hints = xcalloc(p->nexprs, sizeof(*m->hints));
    m->excerpts = xcalloc(p->nexprs, sizeof(*m->excerpts));
    m->exhausted = xcalloc(p->nexprs, sizeof(*m->exhausted));
    m->batch = xcalloc(1, sizeof(*m->batch));
    m->batch->arena = arena_new(0);
}

void mapper_done(struct mapper *m)
{
    libjq_done(&m->lib);
    libjq_done(&m->lib_items);
    ev_done(&m->ev);
    heap_done(&m->heap);
    buf_done(&m->text);
    free(m->values);
    free(m->names);
    free(m->nulls);
    free(m->errors);
    free(m->hints);
    free(m->excerpts);
    free(m->exhausted);
    free(m->slots);
}

static void map_items(struct mapper *m, atomic_bool *cancel)
{
    m->item = 0;
    m->element = 0;
    for (struct json_iter it = json_iter(m->items); json_next(&it); m->item++) {
        if (cancel && atomic_load_explicit(cancel, memory_order_relaxed)) {
            m->batch->cancelled = true;
            return;
        }
        ev_begin(&m->ev);
        items_each(m, val_of_doc(it.val.v), map_element);
    }
}

int plan_map(const struct plan *p, struct json items, bool parse_all, atomic_bool *cancel,
             struct mapped_batch **ret, struct err *e)
{
    if (!json_is_arr(items))
        return ERR(e, ERR_INVAL, "a batch must be an array of objects, not %s",
                   json_type_name(json_type(items)));
    struct mapper *m = xcalloc(1, sizeof(*m));
    mapper_init(m, p, items, parse_all);
    m->batch->raw = json_len(items);
    int rc = libjq_prepare(m, e);
    if (rc == 0) {
        map_items(m, cancel);
        if (m->text.failed)
            rc = ERR(e, ERR_LIMIT, "the entities of one batch exceed the memory limit");
    }
    if (rc == 0) {
        misconfig_finish(m);
        place_entities(m);
        *ret = m->batch;
    } else {
        mapped_batch_free(m->batch);
    }
    mapper_done(m);
    free(m);
    return rc;
}

void mapped_batch_free(struct mapped_batch *b)
{
    if (!b)
        return;
    arena_free(b->arena);
    free(b);
}
