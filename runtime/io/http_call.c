/* http_call.c: one request: collecting the body, handing it over, the reply.
 *
 * States: READING until the whole body is here, HANDLING while the application's handler runs, SUSPENDED if the handler
 * returned without a reply, then ANSWERED or ABORTED. A reply from inside the handler is queued at once and never costs
 * a suspension. A streamed answer is ANSWERED while the library asks for pieces, and RESTING, suspended again, while
 * there is none to give. The call ends when libmicrohttpd says so (call_free), whatever happened to the connection.
 *
 * A body over its limit is read and dropped, and answered with 413 at its end, so that the connection stays usable;
 * past HTTP_DRAIN_MAX, or if the client waits for "100 Continue", the 413 is sent at once and the connection closes.
 *
 * A reset needs no help from the library: connect() to AF_UNSPEC makes the kernel send RST and leaves the descriptor to
 * its owner (closing it ourselves would pull it from under the library, which also sends FIN first).
 *
 * Whoever works on a call when its server is freed may answer it later without knowing: such a call is kept, inert,
 * until the loop ends. */
#include "io/http_server_priv.h"

#include "base/log.h"
#include "base/mem.h"
#include "io/http_socket.h"
#include "io/loop_priv.h"
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define LOG_GROUP "io.http_server"
#define SPARE_MAX 64
#define SPARE_BODY_MAX ((size_t)64 << 10)
#define STREAM_BLOCK ((size_t)16 << 10)
#define RESERVE_MAX ((uint64_t)4 << 20) /* a Content-Length is believed only so far */

/* ---- life ---- */

/* The target of the request line: usually a path, with proxies in mind also an absolute URL. */
static void split_target(struct http_call *c)
{
    struct str target = str_of(c->uri), path;
    if (target.n && target.p[0] != '/' && http_url_parse(target, NULL, NULL, &path, NULL) == 0)
        target = path;
    c->path = str_split(target, '?', &c->query);
}

struct http_call *call_new(struct http_server *s, struct MHD_Connection *mhd, const char *uri)
{
    struct http_call *c = s->spare;
    if (c) {
        s->spare = c->next;
        s->nspare--;
    } else {
        c = xcalloc(1, sizeof(*c));
    }
    size_t n = strlen(uri) + 1;
    if (c->uri_cap < n) {
        c->uri_cap = n < 256 ? 256 : n;
        c->uri = xrealloc(c->uri, c->uri_cap);
    }
    memcpy(c->uri, uri, n);
    c->server = s;
    c->mhd = mhd;
    c->conn = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    c->state = CALL_READING;
    split_target(c);
    return c;
}

static void orphan_free(void *arg)
{
    struct http_call *c = arg;
    buf_done(&c->body);
    free(c->uri);
    free(c);
}

void call_free(struct http_call *c)
{
    if (!c)
        return;
    struct http_server *s = c->server;
    if (c->state == CALL_SUSPENDED) /* cannot happen: suspended connections are never completed */
        log_error("a suspended call was completed");
    if (c->response)
        MHD_destroy_response(c->response);
    if (c->stream.done)
        c->stream.done(c->stream.arg, c->all_sent);
    c->stream = (struct http_stream){0};
    if (c->conn)
        conn_rest(c->conn);
    if (c->orphan) {
        c->state = CALL_ORPHANED;
        c->server = NULL;
        c->conn = NULL;
        c->mhd = NULL;
        c->method = "";
        loop_at_end(s->loop, orphan_free, c);
        return;
    }
    struct buf body = c->body;
    char *uri = c->uri;
    size_t uri_cap = c->uri_cap;
    memset(c, 0, sizeof(*c));
    if (s->nspare == SPARE_MAX || body.cap > SPARE_BODY_MAX || uri_cap > SPARE_BODY_MAX) {
        buf_done(&body);
        free(uri);
        free(c);
        return;
    }
    c->body = body;
    c->uri = uri;
    c->uri_cap = uri_cap;
    c->next = s->spare;
    s->spare = c;
    s->nspare++;
}

void call_spare_free(struct http_server *s)
{
    while (s->spare) {
        struct http_call *next = s->spare->next;
        buf_done(&s->spare->body);
        free(s->spare->uri);
        free(s->spare);
        s->spare = next;
    }
}

static void waiting_add(struct http_call *c)
{
    struct http_server *s = c->server;
    c->prev = NULL;
    c->next = s->waiting;
    if (c->next)
        c->next->prev = c;
    s->waiting = c;
}

static void waiting_del(struct http_call *c)
{
    if (c->prev)
        c->prev->next = c->next;
    else
        c->server->waiting = c->next;
    if (c->next)
        c->next->prev = c->prev;
    c->prev = c->next = NULL;
}

/* ---- reading ---- */

static void make_413(struct http_call *c)
{
    struct buf b;
    buf_init(&b, 4096);
    buf_addf(&b,
             "{\"ok\":false,\"error\":\"request_too_large\",\"message\":\"The request body is larger than %zu "
             "bytes: send less at once.\"}",
             c->limit);
    c->status = MHD_HTTP_CONTENT_TOO_LARGE;
    size_t n = b.n;
    c->response = MHD_create_response_from_buffer(n, buf_take(&b, NULL), MHD_RESPMEM_MUST_FREE);
    MHD_add_response_header(c->response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json; charset=utf-8");
    c->state = CALL_ANSWERED;
}

static enum MHD_Result queue_response(struct http_call *c)
{
    struct MHD_Response *r = c->response;
    c->response = NULL;
    if (server_crowded(c->server))
        MHD_add_response_header(r, MHD_HTTP_HEADER_CONNECTION, "close");
    enum MHD_Result ok = MHD_queue_response(c->mhd, c->status, r);
    MHD_destroy_response(r);
    return ok;
}

/* Headers are complete. */
static enum MHD_Result begin(struct http_call *c, const char *method)
{
    const struct http_server_opts *o = &c->server->opts;
    uint64_t length = 0;
    const char *text = MHD_lookup_connection_value(c->mhd, MHD_HEADER_KIND, "Content-Length");
    c->begun = true;
    c->method = method;
    conn_busy(c->conn);
    if (!c->conn->reading_since_ms) /* also when the headers came in one piece between two sweeps */
        c->conn->reading_since_ms = c->server->now_ms;
    c->limit = o->body_limit ? o->body_limit(o->arg, method, c->path) : o->max_body;
    if (text)
        length = strtoull(text, NULL, 10); /* its syntax was checked by the library */
    if (length > c->limit) {
        c->too_big = true;
        const char *expect = MHD_lookup_connection_value(c->mhd, MHD_HEADER_KIND, "Expect");
        if (length > HTTP_DRAIN_MAX || expect) {
            make_413(c);
            return queue_response(c);
        }
    }
    if (c->body.p) {
        buf_reset(&c->body);
        c->body.max = c->limit;
    } else {
        buf_init(&c->body, c->limit);
    }
    if (length && !c->too_big)
        buf_reserve(&c->body, (size_t)(length < RESERVE_MAX ? length : RESERVE_MAX));
    return MHD_YES;
}

static enum MHD_Result take(struct http_call *c, const char *data, size_t n)
{
    if (!c->too_big && buf_add(&c->body, data, n) < 0) {
        c->too_big = true;
        c->dropped = c->body.n;
        buf_done(&c->body);
        buf_init(&c->body, 0);
    }
    if (c->too_big && (c->dropped += n) > HTTP_DRAIN_MAX) {
        log_warn("connection %" PRIu64 " from %s: %s %.*s: endless request body: closed", c->conn->number,
                 c->conn->peer, c->method, STR_FMT(c->path));
        return MHD_NO;
    }
    return MHD_YES;
}

/* The whole request is here. */
static enum MHD_Result hand_over(struct http_call *c)
{
    struct http_server *s = c->server;
    c->conn->handling = true;
    if (s->dying)
        return MHD_NO;
    if (c->too_big) {
        make_413(c);
        return queue_response(c);
    }
    c->state = CALL_HANDLING;
    s->opts.handle(s->opts.arg, c);
    if (c->state == CALL_ANSWERED)
        return queue_response(c);
    if (c->state == CALL_ABORTED)
        return MHD_NO;
    c->state = CALL_SUSPENDED;
    waiting_add(c);
    MHD_suspend_connection(c->mhd);
    return MHD_YES;
}

/* Called by the library with the headers, with each piece of the body, at its end, and after a resume. */
enum MHD_Result call_step(struct http_call *c, const char *method, const char *data, size_t *data_n)
{
    if (!c->begun)
        return begin(c, method);
    if (*data_n) {
        size_t n = *data_n;
        *data_n = 0;
        return take(c, data, n);
    }
    switch (c->state) {
    case CALL_READING: return hand_over(c);
    case CALL_ANSWERED: return c->response ? queue_response(c) : MHD_YES;
    case CALL_SUSPENDED: /* a spurious wake-up */ MHD_suspend_connection(c->mhd); return MHD_YES;
    case CALL_HANDLING:
    case CALL_ABORTED:
    case CALL_RESTING:
    case CALL_ORPHANED: break;
    }
    return MHD_NO;
}

/* ---- what the application sees ---- */

const char *http_call_method(const struct http_call *c) { return c->method; }
struct str http_call_path(const struct http_call *c) { return c->path; }
struct str http_call_query(const struct http_call *c) { return c->query; }
struct str http_call_body(const struct http_call *c) { return buf_str(&c->body); }
const char *http_call_peer(const struct http_call *c) { return c->conn ? c->conn->peer : "?"; }
uint64_t http_call_connection(const struct http_call *c) { return c->conn ? c->conn->number : 0; }

struct header_walk {
    struct http_header *out;
    size_t n, max;
};

static enum MHD_Result walk_header(void *cls, enum MHD_ValueKind kind, const char *key, const char *value)
{
    struct header_walk *w = cls;
    (void)kind;
    if (w->n < w->max)
        w->out[w->n] = (struct http_header){str_of(key), str_of(value ? value : "")};
    w->n++;
    return MHD_YES;
}

size_t http_call_headers(const struct http_call *c, struct http_header *out, size_t max)
{
    struct header_walk w = {out, 0, max};
    if (c->mhd)
        MHD_get_connection_values(c->mhd, MHD_HEADER_KIND, walk_header, &w);
    return w.n;
}

struct str http_call_header(const struct http_call *c, struct str name)
{
    const char *value = NULL;
    size_t n = 0;
    if (!c->mhd || MHD_lookup_connection_value_n(c->mhd, MHD_HEADER_KIND, name.p, name.n, &value, &n) != MHD_YES)
        return STR_NULL;
    return value ? (struct str){value, n} : STR("");
}

bool http_call_param(const struct http_call *c, const char *name, size_t nth, struct buf *out)
{
    struct str rest = c->query, wanted = str_of(name);
    struct buf key;
    bool found = false;
    buf_init(&key, BUF_NO_LIMIT);
    while (rest.p && !found) {
        struct str value, pair = str_split(rest, '&', &rest), k = str_split(pair, '=', &value);
        if (pair.n == 0)
            continue;
        buf_reset(&key);
        url_decode(&key, k, true);
        if (!str_eq(buf_str(&key), wanted) || nth-- > 0)
            continue;
        url_decode(out, value, true);
        found = true;
    }
    buf_done(&key);
    return found;
}

static void add_header(struct http_call *c, struct http_header h)
{
    char *name = str_dup(h.name), *value = str_dup(h.value);
    if (MHD_add_response_header(c->response, name, value) != MHD_YES)
        log_warn("%s %.*s: answer header '%s' is not valid and left out", c->method, STR_FMT(c->path), name);
    free(name);
    free(value);
}

/* Ends the wait of a suspended call; a call still in its handler is picked up by hand_over. */
static void settle(struct http_call *c, enum call_state state)
{
    bool suspended = c->state == CALL_SUSPENDED || c->state == CALL_RESTING;
    c->state = state;
    if (!suspended)
        return;
    waiting_del(c);
    MHD_resume_connection(c->mhd);
    server_kick(c->server);
}

static bool open_call(const struct http_call *c)
{
    if (c->state == CALL_HANDLING || c->state == CALL_SUSPENDED)
        return true;
    if (c->state != CALL_ORPHANED)
        log_error("a call was answered twice");
    return false;
}

/* Status and headers; `r` NULL: there was no memory for it. */
static void answer(struct http_call *c, struct MHD_Response *r, int status, const char *content_type,
                   const struct http_header *extra, size_t nextra)
{
    if (!r) {
        log_error("%s %.*s: no memory for an answer", c->method, STR_FMT(c->path));
        http_abort(c);
        return;
    }
    c->response = r;
    c->status = (unsigned)status;
    if (content_type)
        MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    for (size_t i = 0; i < nextra; i++)
        add_header(c, extra[i]);
    settle(c, CALL_ANSWERED);
}

void http_reply(struct http_call *c, int status, const char *content_type, struct buf *body,
                const struct http_header *extra, size_t nextra)
{
    size_t n = 0;
    char *p = NULL;
    if (body)
        p = buf_take(body, &n);
    if (!open_call(c)) {
        free(p);
        return;
    }
    struct MHD_Response *r =
        MHD_create_response_from_buffer(n, p ? p : "", p ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    if (!r)
        free(p);
    answer(c, r, status, content_type, extra, nextra);
}

/* ---- streamed answers ---- */

/* The library asks for more once what it had is with the kernel. */
static ssize_t on_stream(void *cls, uint64_t position, char *p, size_t max)
{
    struct http_call *c = cls;
    ssize_t n = c->cut ? HTTP_STREAM_RESET : c->stream.read(c->stream.arg, p, max);
    if (n > 0) {
        c->all_sent = c->stream.length >= 0 && position + (uint64_t)n >= (uint64_t)c->stream.length;
        return n;
    }
    if (n == HTTP_STREAM_WAIT) {
        c->state = CALL_RESTING;
        waiting_add(c);
        MHD_suspend_connection(c->mhd);
        return 0;
    }
    if (n == HTTP_STREAM_END && c->stream.length < 0) {
        c->all_sent = true;
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    if (n == HTTP_STREAM_RESET)
        socket_reset(c->conn->fd);
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

void http_reply_stream(struct http_call *c, int status, const char *content_type, const struct http_stream *s,
                       const struct http_header *extra, size_t nextra)
{
    if (!open_call(c)) {
        s->done(s->arg, false);
        return;
    }
    c->stream = *s;
    uint64_t length = s->length < 0 ? MHD_SIZE_UNKNOWN : (uint64_t)s->length;
    struct MHD_Response *r = MHD_create_response_from_callback(length, STREAM_BLOCK, on_stream, c, NULL);
    answer(c, r, status, content_type, extra, nextra);
}

void http_stream_wake(struct http_call *c)
{
    if (c->state == CALL_RESTING)
        settle(c, CALL_ANSWERED);
}

void http_call_close_idle(struct http_call *c, unsigned after_ms)
{
    if (c->conn)
        c->conn->close_idle_ms = after_ms > INT_MAX ? INT_MAX : (int)after_ms;
}

void call_orphan(struct http_call *c)
{
    if (c->state == CALL_RESTING) { /* its owner learns of the end through `done` */
        c->cut = true;
        settle(c, CALL_ANSWERED);
        return;
    }
    c->orphan = true;
    http_abort(c);
}

void http_abort(struct http_call *c)
{
    if (!open_call(c))
        return;
    socket_reset(c->conn->fd);
    settle(c, CALL_ABORTED);
}

void http_hang_up(struct http_call *c)
{
    if (open_call(c))
        settle(c, CALL_ABORTED);
}
