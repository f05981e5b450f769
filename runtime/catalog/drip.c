/* The body is in memory already; a timer decides when the next piece may go. The answer owns itself: it ends when the
 * server says that the call is over. */
#include "catalog/drip.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct dripping {
    struct drip how;
    struct loop *loop;
    struct http_call *call;
    struct timer *timer; /* a pause */
    struct buf body;
    size_t at, left; /* left: of the piece that may go now */
};

static void next_piece(void *arg)
{
    struct dripping *x = arg;
    x->timer = NULL;
    x->left = x->how.piece;
    http_stream_wake(x->call);
}

static ssize_t drip_read(void *arg, char *p, size_t max)
{
    struct dripping *x = arg;
    size_t end = x->how.stop_at < x->body.n ? x->how.stop_at : x->body.n, n = end - x->at;
    if (n == 0)
        return end < x->body.n && x->how.reset ? HTTP_STREAM_RESET : HTTP_STREAM_END;
    if (x->how.pause_ms && x->left == 0) {
        if (!x->timer)
            x->timer = timer_start(x->loop, x->how.pause_ms, 0, next_piece, x);
        return HTTP_STREAM_WAIT;
    }
    if (x->how.pause_ms && n > x->left)
        n = x->left;
    n = n < max ? n : max;
    memcpy(p, x->body.p + x->at, n);
    x->at += n;
    x->left -= x->how.pause_ms ? n : 0;
    return (ssize_t)n;
}

static void drip_done(void *arg, bool complete)
{
    struct dripping *x = arg;
    (void)complete;
    timer_stop(x->timer);
    buf_done(&x->body);
    free(x);
}

void drip_reply(struct loop *l, struct http_call *call, const struct drip *d, int status, const char *content_type,
                struct buf *body, const struct http_header *headers, size_t nheaders)
{
    struct dripping *x = xcalloc(1, sizeof(*x));
    *x = (struct dripping){.how = *d, .loop = l, .call = call, .body = *body, .left = d->piece};
    buf_init(body, body->max);
    struct http_stream s = {.length = d->chunked ? -1 : (int64_t)x->body.n, .read = drip_read, .done = drip_done, .arg = x};
    http_reply_stream(call, status, content_type, &s, headers, nheaders);
}
