/* drip.h: an answer that goes out slowly, or not to its end (port-api 16.3). Loop thread only. */
#pragma once
#include "io/http_server.h"

struct drip {
    size_t stop_at;           /* bytes of the body that go out; SIZE_MAX: all */
    bool reset;               /* at the stop: RST instead of an orderly end */
    bool chunked;             /* no Content-Length */
    size_t piece;             /* so many bytes ... */
    unsigned pause_ms;        /* ... then so long a pause; 0: at once */
};

/* Answers the call and takes `body`. */
void drip_reply(struct loop *l, struct http_call *call, const struct drip *d, int status, const char *content_type,
                struct buf *body, const struct http_header *headers, size_t nheaders);
