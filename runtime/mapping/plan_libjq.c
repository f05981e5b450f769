/* What the native evaluator does not know is worked out for a whole batch before the batch is mapped: two
 * rounds at most, one for itemsToParse over the raw items, one for the other expressions over the elements.
 */
#include "mapping/plan_priv.h"

#include <stdlib.h>

#include "base/mem.h"

void libjq_done(struct libjq_batch *b)
{
    free(b->answers);
    free(b->value);
    json_unref(b->values);
    if (b->texts.max)
        buf_done(&b->texts);
}

/* Texts one after another; `ends` tells them apart. */
struct inputs {
    struct buf text;
    size_t *ends, n, cap;
};

static void inputs_add(struct inputs *in, struct heap *h, struct val v)
{
    if (in->n == in->cap) {
        in->cap = in->cap ? in->cap * 2 : 64;
        in->ends = xrealloc(in->ends, in->cap * sizeof(*in->ends));
    }
    val_write(h, &in->text, v);
    in->ends[in->n++] = in->text.n;
}

/* All values of the answers become one document. */
static int parse_values(struct libjq_batch *b, size_t n, struct err *e)
{
    struct buf all;
    buf_init(&all, BUF_NO_LIMIT);
    buf_addc(&all, '[');
    for (size_t i = 0; i < n; i++) {
        if (b->answers[i].what != JQ_VALUE)
            continue;
        if (all.n > 1)
            buf_addc(&all, ',');
        buf_addstr(&all, b->answers[i].text);
    }
    buf_addc(&all, ']');
    int rc = json_parse(buf_str(&all), &b->values, e);
    buf_done(&all);
    if (rc < 0)
        return err_wrap(e, "an answer of libjq");
    b->value = xcalloc(n + 1, sizeof(*b->value));
    struct json_iter it = json_iter(json_root(b->values));
    for (size_t i = 0; i < n; i++)
        if (b->answers[i].what == JQ_VALUE && json_next(&it))
            b->value[i] = it.val;
    return 0;
}

static int ask(struct mapper *m, struct libjq_batch *b, const struct str *exprs, size_t nexprs,
               const struct inputs *in, struct err *e)
{
    size_t n = in->n * nexprs;
    b->answered = n;
    if (!m->plan->jq) {
        b->failure = "it needs libjq, which is not available here";
        return 0;
    }
    struct str *texts = xcalloc(in->n + 1, sizeof(*texts));
    for (size_t i = 0, from = 0; i < in->n; from = in->ends[i++])
        texts[i] = (struct str){in->text.p + from, in->ends[i] - from};
    b->answers = xcalloc(n + 1, sizeof(*b->answers));
    buf_init(&b->texts, BUF_NO_LIMIT);
    struct err why = {0};
    int rc = jq_host_eval(m->plan->jq, exprs, nexprs, texts, in->n, b->answers, &b->texts, &why);
    free(texts);
    if (rc == ERR_CANCELLED) {
        err_copy(e, &why);
        return rc;
    }
    if (rc < 0) {
        b->failure = arena_str(m->batch->arena, str_of(why.msg)).p;
        return 0;
    }
    return parse_values(b, n, e);
}

static int collect_element(struct mapper *m, struct val element)
{
    inputs_add(m->inputs, &m->heap, element);
    return 0;
}

static void collect_items(struct mapper *m, bool expand)
{
    m->item = 0;
    for (struct json_iter it = json_iter(m->items); json_next(&it); m->item++) {
        ev_begin(&m->ev);
        if (expand)
            items_each(m, val_of_doc(it.val.v), collect_element);
        else
            collect_element(m, val_of_doc(it.val.v));
    }
}

int libjq_prepare(struct mapper *m, struct err *e)
{
    const struct plan *p = m->plan;
    bool items = p->items >= 0 && p->exprs[p->items].how == EXPR_LIBJQ;
    struct inputs in = {.n = 0};
    int rc = 0;
    if (!items && !p->nlibjq)
        return 0;
    buf_init(&in.text, BUF_NO_LIMIT);
    m->inputs = &in;
    if (items) {
        collect_items(m, false);
        rc = ask(m, &m->lib_items, &p->exprs[p->items].used, 1, &in, e);
        buf_reset(&in.text);
        in.n = 0;
    }
    if (rc == 0 && p->nlibjq) {
        /* Errors of itemsToParse count once, when the batch is mapped. */
        collect_items(m, true);
        m->batch->expand_errors = m->batch->budget_errors = 0;
        m->batch->first_error = NULL;
        rc = ask(m, &m->lib, p->libjq, p->nlibjq, &in, e);
    }
    m->inputs = NULL;
    buf_done(&in.text);
    free(in.ends);
    return rc;
}
