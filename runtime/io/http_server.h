/* http_server.h: HTTP/1.1 server (libmicrohttpd, external epoll) on the loop.
 *
 * A call is handed over when its whole body has arrived and stays suspended until http_reply, http_reply_stream,
 * http_abort or http_hang_up, exactly one of which must be called, once. Limits: connections, header size, body size by route,
 * a total deadline for headers + body (dripping clients are cut off).
 * Threads: loop thread only. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"
#include "io/http_client.h"
#include "io/loop.h"
#include <sys/types.h>

struct http_server;
struct http_call;

#define HTTP_RESERVE 16 /* connections beyond max_connections */

struct http_server_opts {
    const char *host;        /* "127.0.0.1"; NULL: that */
    int port;                /* 0: any free one */
    /* 0: 512. From there on every answer closes its connection and idle ones are closed to make room, so that up to
     * HTTP_RESERVE more are still served; the rest wait in the kernel's queue. The limit on open files is raised to fit
     * as far as the system allows, and this number lowered to what it allows. */
    int max_connections;
    size_t max_body;         /* 0: 1 MiB; larger requests get 413 as JSON and the connection survives (drained up to 16 MiB) */
    size_t head_memory;      /* request line and headers of a connection; 0: 64 KiB. More costs throughput; beyond it the
                              * library answers 414 or 431 by itself, in HTML */
    int read_deadline_ms;    /* headers and body together; 0: 60,000 */
    int idle_timeout_s;      /* keep-alive; 0: 75 */
    /* Body limit for this request, before the body is read; NULL: max_body. */
    size_t (*body_limit)(void *arg, const char *method, struct str path);
    void (*handle)(void *arg, struct http_call *call);
    void *arg;
};

/* ERR_BUSY when the port is taken (the message names it), ERR_IO otherwise. */
int http_server_start(struct loop *l, const struct http_server_opts *opts, struct http_server **ret, struct err *e);
int http_server_port(const struct http_server *s);
/* Stops accepting; running calls may still reply. */
void http_server_quiesce(struct http_server *s);
/* Resumes and drops every suspended call, closes everything. Calls not yet answered are inert afterwards: path, query and
 * body stay readable, a reply or abort does nothing, until loop_free. May be called from inside a handler. */
void http_server_free(struct http_server *s);

const char *http_call_method(const struct http_call *c);
struct str http_call_path(const struct http_call *c);    /* raw, not decoded, without the query */
struct str http_call_query(const struct http_call *c);   /* raw, without '?' */
struct str http_call_body(const struct http_call *c);
struct str http_call_header(const struct http_call *c, struct str name); /* STR_NULL if absent */
size_t http_call_headers(const struct http_call *c, struct http_header *out, size_t max); /* returns how many there are */
const char *http_call_peer(const struct http_call *c);
uint64_t http_call_connection(const struct http_call *c); /* number of the connection, from 1 */
/* Value of a query parameter, form-decoded into `out`; nth occurrence from 0; false if absent. */
bool http_call_param(const struct http_call *c, const char *name, size_t nth, struct buf *out);

/* Takes `body`. Extra headers may be NULL. Content-Length is set; content_type may be NULL (no header). */
void http_reply(struct http_call *c, int status, const char *content_type, struct buf *body,
                const struct http_header *extra, size_t nextra);
/* Resets the connection (TCP RST), or closes it in an orderly way, without an answer: for fault injection. */
void http_abort(struct http_call *c);
void http_hang_up(struct http_call *c);

/* A body that is made while it is sent. `read` runs whenever the connection has taken what came before: it writes up to
 * `max` bytes to `p` and returns how many, or
 *   HTTP_STREAM_WAIT   nothing yet: the connection rests until http_stream_wake,
 *   HTTP_STREAM_END    that was all; short of a given `length` the connection is closed there (a truncated body),
 *   HTTP_STREAM_RESET  TCP RST here, after the bytes given so far.
 * `done` runs once when the call is over, whatever became of the connection and also inside http_server_free; `call` and
 * `arg` are not used by the server after it. `complete`: all bytes were handed to the connection. */
#define HTTP_STREAM_WAIT 0
#define HTTP_STREAM_END (-1)
#define HTTP_STREAM_RESET (-2)
struct http_stream {
    int64_t length; /* Content-Length; -1: not known, sent in chunks */
    ssize_t (*read)(void *arg, char *p, size_t max);
    void (*done)(void *arg, bool complete);
    void *arg;
};
void http_reply_stream(struct http_call *c, int status, const char *content_type, const struct http_stream *s,
                       const struct http_header *extra, size_t nextra);
/* There is more, after HTTP_STREAM_WAIT; otherwise ignored. Until `done` only. */
void http_stream_wake(struct http_call *c);
/* Before the reply: closes the connection if no further request begins within after_ms of this one's end. */
void http_call_close_idle(struct http_call *c, unsigned after_ms);
