/* One upload at a time: how many items the next batch contributes depends on whether the last upload succeeded. Batches
 * that arrive meanwhile keep at most `limit` masked items as text, so no raw document is held for them. */
#define LOG_GROUP "sync.examples"
#include "sync/examples.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "port/integration.h"
#include "json/write.h"

#define ITEM_MAX_BYTES ((size_t)1 << 20) /* a larger item is no use as an example */

struct offer { /* masked items of one batch */
    struct offer *next;
    size_t n, sent;
    char *items[];
};
struct examples {
    struct port *port;
    struct str kind;
    size_t left, limit;
    struct offer *head, **tail;
    bool uploading;
    void (*idle)(void *arg);
    void *arg;
};

struct examples *examples_new(struct port *p, struct str kind, size_t limit, void (*idle)(void *arg), void *arg)
{
    struct examples *x = xcalloc(1, sizeof(*x));
    *x = (struct examples){.port = p, .kind = kind, .left = limit, .limit = limit, .idle = idle, .arg = arg};
    x->tail = &x->head;
    return x;
}

static void free_offer(struct offer *o)
{
    for (size_t i = 0; i < o->n; i++)
        free(o->items[i]);
    free(o);
}

static void drop_head(struct examples *x)
{
    struct offer *o = x->head;
    x->head = o->next;
    if (!x->head)
        x->tail = &x->head;
    free_offer(o);
}

void examples_stop(struct examples *x)
{
    x->left = 0;
    struct offer *keep = x->uploading ? x->head : NULL; /* its answer is still to come */
    struct offer *o = keep ? keep->next : x->head;
    while (o) {
        struct offer *next = o->next;
        free_offer(o);
        o = next;
    }
    if (keep)
        keep->next = NULL;
    x->head = keep;
    x->tail = keep ? &keep->next : &x->head;
}

void examples_free(struct examples *x)
{
    if (!x)
        return;
    while (x->head)
        drop_head(x);
    free(x);
}

bool examples_busy(const struct examples *x) { return x->uploading; }

/* Masking ---------------------------------------------------------------------------------------------------------- */

static void write_masked(struct buf *out, struct str s)
{
    struct buf text;
    buf_init(&text, BUF_NO_LIMIT);
    mask_text(&text, s, MASK_FULL);
    json_quote(out, buf_str(&text));
    buf_done(&text);
}

struct level {
    struct json_iter it;
    bool object, first;
};

/* Iterative, because raw items nest as deep as the third party likes. */
void examples_mask(struct buf *out, struct json j)
{
    size_t depth = 0, cap = 16;
    struct level *stack = xmalloc(cap * sizeof(*stack));
    struct json v = j;
    for (;;) {
        if (json_is_obj(v) || json_is_arr(v)) {
            if (depth == cap)
                stack = xrealloc(stack, (cap *= 2) * sizeof(*stack));
            stack[depth++] = (struct level){json_iter(v), json_is_obj(v), true};
            buf_addc(out, json_is_obj(v) ? '{' : '[');
        } else if (json_is_str(v)) {
            write_masked(out, json_str(v));
        } else {
            json_write(out, v);
        }
        while (depth && !json_next(&stack[depth - 1].it)) {
            buf_addc(out, stack[depth - 1].object ? '}' : ']');
            depth--;
        }
        if (!depth)
            break;
        struct level *top = &stack[depth - 1];
        if (!top->first)
            buf_addc(out, ',');
        top->first = false;
        if (top->object) {
            write_masked(out, top->it.key);
            buf_addc(out, ':');
        }
        v = top->it.val;
    }
    free(stack);
}

/* Uploads ---------------------------------------------------------------------------------------------------------- */

static void upload(struct examples *x);

static void on_uploaded(void *arg, const struct err *e)
{
    struct examples *x = arg;
    x->uploading = false;
    if (e)
        log_warn("examples of kind '%.*s' could not be uploaded: %s", STR_FMT(x->kind), e->msg);
    else
        x->left -= x->head->sent < x->left ? x->head->sent : x->left;
    drop_head(x);
    upload(x);
    if (!x->uploading && x->idle)
        x->idle(x->arg);
}

static void upload(struct examples *x)
{
    while (x->head && x->left == 0)
        drop_head(x);
    if (!x->head)
        return;
    struct offer *o = x->head;
    o->sent = o->n < x->left ? o->n : x->left;
    struct buf body;
    buf_init(&body, BUF_NO_LIMIT);
    buf_adds(&body, "{\"examples\":[");
    for (size_t i = 0; i < o->sent; i++) {
        if (i)
            buf_addc(&body, ',');
        buf_adds(&body, o->items[i]);
    }
    buf_adds(&body, "]}");
    x->uploading = true;
    port_examples(x->port, x->kind, &body, on_uploaded, x);
}

void examples_offer(struct examples *x, struct json items)
{
    size_t want = json_len(items) < x->left ? json_len(items) : x->left;
    if (want == 0)
        return;
    struct offer *o = xcalloc(1, sizeof(*o) + want * sizeof(*o->items));
    for (struct json_iter it = json_iter(items); o->n < want && json_next(&it);) {
        struct buf text;
        buf_init(&text, ITEM_MAX_BYTES);
        examples_mask(&text, it.val);
        if (text.failed)
            log_warn("an item of kind '%.*s' is too large for an example", STR_FMT(x->kind));
        else
            o->items[o->n++] = xstrndup(text.p, text.n);
        buf_done(&text);
    }
    if (o->n == 0) {
        free(o);
        return;
    }
    *x->tail = o;
    x->tail = &o->next;
    if (!x->uploading)
        upload(x);
}
