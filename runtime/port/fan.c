/* Items are started in order; whenever one is answered the next one starts. */
#include "port/fan.h"

#include <stdlib.h>

#include "base/mem.h"

struct item {
    struct fan *fan;
    size_t i;
};

struct fan {
    struct port *port;
    struct fan **slot;
    const struct fan_ops *ops;
    void *arg;
    size_t n, next, running;
    struct item *items;
};

void fan_free(struct fan *f)
{
    if (!f)
        return;
    free(f->items);
    free(f);
}

static void advance(struct fan *f);

static void on_answer(void *arg, const struct port_answer *a, const struct err *e)
{
    struct item *item = arg;
    struct fan *f = item->fan;
    f->running--;
    f->ops->answer(f->arg, item->i, a, e);
    advance(f);
}

static void start(struct fan *f, size_t i)
{
    struct port_request r = {0};
    struct buf path;
    buf_init(&r.body, BUF_NO_LIMIT);
    buf_init(&path, BUF_NO_LIMIT);
    if (f->ops->build(f->arg, i, &r, &path)) {
        r.path = buf_cstr(&path);
        f->items[i] = (struct item){f, i};
        f->running++;
        port_send(f->port, &r, on_answer, &f->items[i]);
    } else {
        buf_done(&r.body);
    }
    buf_done(&path);
}

static void advance(struct fan *f)
{
    while (f->running < FAN_LIMIT && f->next < f->n)
        start(f, f->next++);
    if (f->running)
        return;
    const struct fan_ops *ops = f->ops;
    void *arg = f->arg;
    *f->slot = NULL;
    fan_free(f);
    ops->finished(arg);
}

void fan_run(struct port *p, struct fan **slot, size_t n, const struct fan_ops *ops, void *arg)
{
    struct fan *f = xcalloc(1, sizeof(*f));
    f->port = p;
    f->slot = slot;
    f->ops = ops;
    f->arg = arg;
    f->n = n;
    f->items = xcalloc(n ? n : 1, sizeof(*f->items));
    *slot = f;
    advance(f);
}
