/* The runtime's side of the libjq process.
 *
 * A batch goes over in one frame. If the process dies or does not answer in time, the batch is repeated item
 * by item, then expression by expression for the item that did it, so that only the culprit is lost. After a
 * number of losses of one expression the rest of its items fail at once. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "io/child.h"
#include "mapping/jq.h"
#include "mapping/jq_proto.h"

#define ITEM_MS 2000
#define COMPILE_MS 200 /* an allowance for each expression: compiling is not the item's fault */
#define BATCH_MS 30000
#define MEMORY_MAX ((size_t)1 << 30)
#define LOSSES_MAX 20

struct jq_host {
    struct child *child;
    pthread_mutex_t lock;
};

struct jq_host *jq_host_new(struct loop *l, const char *const *env)
{
    static const char *const args[] = {"--jq-worker", NULL};
    struct jq_host *h = xcalloc(1, sizeof(*h));
    size_t n = 0;
    while (env && env[n])
        n++;
    const char **all = xcalloc(n + 2, sizeof(*all));
    size_t k = 0;
    for (size_t i = 0; i < n; i++)
        if (strncmp(env[i], "TZ=", 3) != 0)
            all[k++] = env[i];
    all[k] = "TZ=UTC";
    struct child_opts o = {.args = args, .env = all, .memory_limit = MEMORY_MAX};
    h->child = child_new(l, &o);
    pthread_mutex_init(&h->lock, NULL);
    free(all);
    return h;
}

void jq_host_free(struct jq_host *h)
{
    if (!h)
        return;
    child_free(h->child);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

/* Answers as offsets while the buffer may still move. */
struct call {
    struct jq_host *h;
    const struct str *exprs, *inputs;
    size_t nexpr;
    struct jq_answer *answers;
    size_t *offsets;
    struct buf *texts;
    size_t *losses; /* by expression */
    struct buf request, reply;
};

static void set_answer(struct call *c, size_t at, int what, struct str text)
{
    c->answers[at].what = what;
    c->answers[at].text.n = text.n;
    c->offsets[at] = c->texts->n;
    buf_addstr(c->texts, text);
}

/* Inputs [from, from + n) on expressions [first, first + count). */
static int exchange(struct call *c, size_t from, size_t n, size_t first, size_t count, int deadline_ms,
                    struct err *e)
{
    buf_reset(&c->request);
    buf_reset(&c->reply);
    proto_put(&c->request, count);
    for (size_t i = 0; i < count; i++)
        proto_put_text(&c->request, c->exprs[first + i]);
    proto_put(&c->request, n);
    for (size_t i = 0; i < n; i++)
        proto_put_text(&c->request, c->inputs[from + i]);
    if (c->request.failed)
        return ERR(e, ERR_TOO_BIG, "the items of one batch are too large for libjq");
    int rc = child_call(c->h->child, buf_str(&c->request), deadline_ms, &c->reply, e);
    if (rc < 0)
        return rc;
    struct str in = buf_str(&c->reply);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < count; k++) {
            struct str text;
            char what = in.n ? in.p[0] : 0;
            in.p += in.n > 0;
            in.n -= in.n > 0;
            if (!proto_get_text(&in, &text))
                return ERR(e, ERR_IO, "the libjq process answered too little");
            set_answer(c, (from + i) * c->nexpr + first + k, what, text);
        }
    }
    return 0;
}

static bool is_loss(int rc) { return rc == ERR_TIMEOUT || rc == ERR_IO || rc == ERR_TOO_BIG; }

/* An item that killed the process: each expression by itself. */
static int one_by_one(struct call *c, size_t item, struct err *e)
{
    for (size_t k = 0; k < c->nexpr; k++) {
        size_t at = item * c->nexpr + k;
        if (c->losses[k] >= LOSSES_MAX) {
            set_answer(c, at, JQ_KILLED, STR("libjq failed for too many items of this batch"));
            continue;
        }
        int rc = exchange(c, item, 1, k, 1, ITEM_MS + COMPILE_MS, e);
        if (rc == 0)
            continue;
        if (!is_loss(rc))
            return rc;
        c->losses[k]++;
        char why[300];
        if (rc == ERR_TIMEOUT)
            snprintf(why, sizeof(why), "libjq took longer than %d s", ITEM_MS / 1000);
        else
            snprintf(why, sizeof(why), "libjq failed: %.200s", e->msg);
        set_answer(c, at, JQ_KILLED, str_of(why));
    }
    return 0;
}

static int run(struct call *c, size_t ninput, struct err *e)
{
    int allowance = (int)(c->nexpr > 100 ? 100 : c->nexpr) * COMPILE_MS;
    int deadline = ninput * 20 + ITEM_MS > BATCH_MS ? BATCH_MS : (int)ninput * 20 + ITEM_MS;
    int rc = exchange(c, 0, ninput, 0, c->nexpr, deadline + allowance, e);
    if (!is_loss(rc))
        return rc;
    for (size_t i = 0; i < ninput; i++) {
        bool spent = true;
        for (size_t k = 0; k < c->nexpr; k++)
            spent = spent && c->losses[k] >= LOSSES_MAX;
        rc = spent ? ERR_IO : exchange(c, i, 1, 0, c->nexpr, ITEM_MS + allowance, e);
        if (is_loss(rc))
            rc = one_by_one(c, i, e);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int jq_host_eval(struct jq_host *h, const struct str *exprs, size_t nexpr, const struct str *inputs,
                 size_t ninput, struct jq_answer *answers, struct buf *texts, struct err *e)
{
    struct err local = {0};
    if (!e)
        e = &local;
    if (!nexpr || !ninput)
        return 0;
    struct call c = {
        .h = h, .exprs = exprs, .inputs = inputs, .nexpr = nexpr, .answers = answers, .texts = texts};
    c.offsets = xcalloc(nexpr * ninput, sizeof(*c.offsets));
    c.losses = xcalloc(nexpr, sizeof(*c.losses));
    buf_init(&c.request, CHILD_FRAME_MAX);
    buf_init(&c.reply, CHILD_FRAME_MAX);
    pthread_mutex_lock(&h->lock);
    int rc = run(&c, ninput, e);
    pthread_mutex_unlock(&h->lock);
    if (rc == 0 && texts->failed)
        rc = ERR(e, ERR_TOO_BIG, "the answers of libjq are larger than the memory limit");
    for (size_t i = 0; rc == 0 && i < nexpr * ninput; i++)
        answers[i].text.p = (texts->p ? texts->p : "") + c.offsets[i];
    buf_done(&c.request);
    buf_done(&c.reply);
    free(c.offsets);
    free(c.losses);
    return rc;
}

int jq_host_compile(struct jq_host *h, struct str expr, struct err *e)
{
    struct jq_answer a = {0};
    struct buf texts;
    struct str null = STR("null");
    buf_init(&texts, 65536);
    int rc = jq_host_eval(h, &expr, 1, &null, 1, &a, &texts, e);
    if (rc == 0 && a.what == JQ_COMPILE_ERROR)
        rc = ERR(e, ERR_PARSE, "%.*s", STR_FMT(a.text));
    buf_done(&texts);
    return rc;
}
