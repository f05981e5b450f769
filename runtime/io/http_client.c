/* http_client.c: a pool of connections: libcurl's multi handle driven by the loop.
 *
 * libcurl tells us which sockets to watch (on_socket) and when it wants to be called at the latest (on_timeout_change).
 * Each socket has a uv_poll of its own, released in its close callback. After every action curl_multi_info_read is
 * emptied: from the handlers of sockets and timer at once, after adding or removing a request in a deferred call,
 * because callbacks must not run inside http_send or http_cancel.
 *
 * At most max_active requests are in the multi; the others wait in a list of our own. (libcurl 7.88's own list of
 * pending transfers is not subject to time-outs and is walked as a whole at each completion.)
 *
 * A request is QUEUED, ACTIVE (in the multi) or DETACHED (its end is being reported). `done` may do anything, also free
 * the client: then the structure lives on until the last callback on the stack has returned. */
#include "io/http_client_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/loop_priv.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define LOG_GROUP "io.http_client"

struct sock {
    uv_poll_t poll; /* first: the close callback frees the whole */
    struct http_client *client;
    curl_socket_t fd;
    int events;
};

static void drain(struct http_client *c);
static void start_queued(struct http_client *c);

static void free_handle(uv_handle_t *h) { free(h); }

/* ---- lists ---- */

static void active_add(struct http_req *r)
{
    struct http_client *c = r->client;
    r->prev = NULL;
    r->next = c->active;
    if (r->next)
        r->next->prev = r;
    c->active = r;
    c->nactive++;
    r->state = HTTP_ACTIVE;
}

static void queue_add(struct http_req *r)
{
    struct http_client *c = r->client;
    r->next = NULL;
    r->prev = c->queue_end;
    if (c->queue_end)
        c->queue_end->next = r;
    else
        c->queue = r;
    c->queue_end = r;
    r->state = HTTP_QUEUED;
}

/* Takes a request out of its list and, if need be, out of the multi. */
static void detach(struct http_req *r)
{
    struct http_client *c = r->client;
    if (r->state == HTTP_DETACHED)
        return;
    if (r->state == HTTP_ACTIVE) {
        if (r->start_code == CURLM_OK)
            curl_multi_remove_handle(c->multi, r->easy);
        else
            c->nrefused--;
        c->nactive--;
    } else if (c->queue_end == r) {
        c->queue_end = r->prev;
    }
    if (r->prev)
        r->prev->next = r->next;
    else if (r->state == HTTP_ACTIVE)
        c->active = r->next;
    else
        c->queue = r->next;
    if (r->next)
        r->next->prev = r->prev;
    r->prev = r->next = NULL;
    r->state = HTTP_DETACHED;
}

/* ---- completion ---- */

static void client_release(struct http_client *c)
{
    free(c->proxy);
    free(c->http_proxy);
    free(c->no_proxy_list);
    free(c->ca_file);
    free(c->ca_dir);
    free(c);
}

static void leave(struct http_client *c)
{
    if (--c->depth == 0 && c->dead)
        client_release(c);
}

/* Reports the end of a detached request and frees it. The caller holds c->depth. */
static void report(struct http_req *r, CURLcode rc, const struct err *given)
{
    struct http_client *c = r->client;
    timer_stop(r->idle);
    r->idle = NULL;
    if (!c->dead)
        start_queued(c);
    struct err e;
    if (rc == CURLE_OK && !given) {
        struct http_resp resp;
        http_req_answer(r, &resp);
        log_debug("%s %s status=%d bytes=%zu seconds=%.3f", r->method, r->url, resp.status, resp.body.n, resp.seconds);
        r->done(r->arg, &resp, NULL);
        buf_done(&resp.body);
        free(resp.headers);
    } else {
        if (given)
            err_copy(&e, given);
        else
            http_explain(&e, r, rc);
        log_debug("%s", e.msg);
        r->done(r->arg, NULL, &e);
    }
    http_req_free(r);
}

static void start(struct http_req *r)
{
    http_req_configure(r);
    active_add(r);
    r->start_code = curl_multi_add_handle(r->client->multi, r->easy);
    if (r->start_code != CURLM_OK)
        r->client->nrefused++;
}

static void finished(struct http_req *r, CURLcode rc)
{
    struct err e;
    bool again = false;
    detach(r);
    if (rc == CURLE_OK && r->stop == STOP_NONE && r->follow) {
        if (http_req_redirect(r, &again, &e) < 0) {
            report(r, CURLE_OK, &e);
            return;
        }
        if (again) {
            timer_stop(r->idle); /* counts anew once the next connection stands */
            r->idle = NULL;
            start(r);
            return;
        }
    }
    report(r, r->stop != STOP_NONE && rc == CURLE_OK ? CURLE_WRITE_ERROR : rc, NULL);
}

/* Requests the multi did not even take: out of memory, or a mistake of ours. */
static struct http_req *refused(struct http_client *c)
{
    for (struct http_req *r = c->nrefused ? c->active : NULL; r; r = r->next) {
        if (r->start_code != CURLM_OK)
            return r;
    }
    return NULL;
}

static void drain(struct http_client *c)
{
    CURLMsg *m;
    int left;
    c->depth++;
    while (!c->dead && (m = curl_multi_info_read(c->multi, &left))) {
        struct http_req *r = NULL;
        CURLcode rc = m->data.result; /* m is gone once the handle is removed */
        if (m->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&r);
        finished(r, rc);
    }
    leave(c);
}

static void drain_deferred(void *arg)
{
    struct http_client *c = arg;
    c->drain_deferred = false;
    c->depth++;
    struct http_req *r;
    while (!c->dead && (r = refused(c))) {
        struct err e;
        ERR(&e, ERR_INTERNAL, "%s: libcurl refused the request: %s", r->method, curl_multi_strerror(r->start_code));
        detach(r);
        report(r, CURLE_FAILED_INIT, &e);
    }
    if (!c->dead)
        drain(c);
    leave(c);
}

static void drain_later(struct http_client *c)
{
    if (c->drain_deferred)
        return;
    c->drain_deferred = true;
    loop_defer(c->loop, drain_deferred, c);
}

static void start_queued(struct http_client *c)
{
    while (c->queue && c->nactive < c->max_active) {
        struct http_req *r = c->queue;
        detach(r);
        start(r);
        drain_later(c);
    }
}

void http_req_idle(void *req)
{
    struct http_req *r = req;
    struct http_client *c = r->client;
    uint64_t now = uv_now(loop_uv(c->loop)), quiet = now - r->activity_ms;
    r->idle = NULL; /* one-shot: it frees itself */
    if (quiet < (uint64_t)r->idle_timeout_ms) {
        r->idle = timer_start(c->loop, (uint64_t)r->idle_timeout_ms - quiet, 0, http_req_idle, r);
        return;
    }
    c->depth++;
    r->stop = STOP_IDLE;
    detach(r);
    report(r, CURLE_OPERATION_TIMEDOUT, NULL);
    if (!c->dead)
        drain(c);
    leave(c);
}

/* ---- libcurl and libuv ---- */

static void on_poll(uv_poll_t *h, int status, int events)
{
    struct sock *s = (struct sock *)h;
    struct http_client *c = s->client;
    int flags = 0, running;
    if (status < 0) { /* an error is pending on the socket, and libuv stopped watching it: libcurl finds out which */
        flags = CURL_CSELECT_IN | CURL_CSELECT_OUT;
        uv_poll_start(h, s->events, on_poll);
    }
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    curl_multi_socket_action(c->multi, s->fd, flags, &running);
    drain(c);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
    struct http_client *c = arg;
    struct sock *s = socket_arg;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (s) {
            curl_multi_assign(c->multi, fd, NULL);
            uv_poll_stop(&s->poll);
            uv_close((uv_handle_t *)&s->poll, free_handle);
        }
        return 0;
    }
    if (!s) {
        s = xcalloc(1, sizeof(*s));
        s->client = c;
        s->fd = fd;
        int rc = uv_poll_init_socket(loop_uv(c->loop), &s->poll, fd);
        if (rc < 0) {
            log_error("cannot watch socket %d: %s", (int)fd, uv_strerror(rc));
            free(s);
            return -1;
        }
        curl_multi_assign(c->multi, fd, s);
    }
    s->events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    uv_poll_start(&s->poll, s->events, on_poll);
    return 0;
}

static void on_timer(uv_timer_t *h)
{
    struct http_client *c = h->data;
    int running;
    curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    drain(c);
}

/* libcurl must not be called from here: a timer that is due fires in the next turn. */
static int on_timeout_change(CURLM *multi, long timeout_ms, void *arg)
{
    struct http_client *c = arg;
    (void)multi;
    if (timeout_ms < 0) {
        uv_timer_stop(c->timer);
    } else {
        uv_update_time(loop_uv(c->loop));
        uv_timer_start(c->timer, on_timer, (uint64_t)timeout_ms, 0);
    }
    return 0;
}

/* ---- the pool ---- */

static void curl_setup(void) { curl_global_init(CURL_GLOBAL_DEFAULT); }

static char *env_dup(const char *name)
{
    const char *v = getenv(name);
    return v && *v ? xstrdup(v) : NULL;
}

/* One entry of NO_PROXY as libcurl wants it: URLs lose scheme and path, "*.example.com" means "example.com". */
static struct str no_proxy_item(struct str item)
{
    struct str rest;
    const char *sep = item.n ? memmem(item.p, item.n, "://", 3) : NULL;
    if (sep) {
        item = (struct str){sep + 3, item.n - (size_t)(sep + 3 - item.p)};
        item = str_split(item, '/', &rest);
    }
    if (str_starts(item, STR("*.")))
        item = (struct str){item.p + 2, item.n - 2};
    return item;
}

/* NO_PROXY (runtime R-131) rewritten for libcurl; NULL if it is not set. A "*" anywhere in it means every host. */
static char *no_proxy_from_env(void)
{
    const char *v = getenv("no_proxy");
    if (!v)
        v = getenv("NO_PROXY");
    if (!v || !*v)
        return NULL;
    struct buf out;
    buf_init(&out, BUF_NO_LIMIT);
    struct str rest = str_of(v);
    while (rest.p) {
        struct str item = no_proxy_item(str_trim(str_split(rest, ',', &rest)));
        if (str_is(item, "*")) {
            buf_reset(&out);
            buf_adds(&out, "*");
            break;
        }
        if (item.n)
            buf_addf(&out, "%s%.*s", out.n ? "," : "", STR_FMT(item));
    }
    if (!out.n) {
        buf_done(&out);
        return NULL;
    }
    return buf_take(&out, NULL);
}

static void proxy_setup(struct http_client *c, const struct http_client_opts *o)
{
    c->no_proxy = o->no_proxy;
    if (c->no_proxy)
        return;
    c->no_proxy_list = no_proxy_from_env();
    if (o->proxy && *o->proxy)
        c->proxy = xstrdup(o->proxy);
    else if (!getenv("http_proxy") && !getenv("REQUEST_METHOD")) /* in a CGI the variable is a request header */
        c->http_proxy = env_dup("HTTP_PROXY");
}

static void trust_setup(struct http_client *c, const struct http_client_opts *o)
{
    c->insecure = o->insecure;
    c->strict_x509 = !o->no_strict_x509 && !o->insecure;
    if (o->ca_file && *o->ca_file)
        c->ca_file = xstrdup(o->ca_file);
    else
        c->ca_file = env_dup("SSL_CERT_FILE");
    if (!c->ca_file)
        c->ca_dir = env_dup("SSL_CERT_DIR");
}

struct http_client *http_client_new(struct loop *l, const struct http_client_opts *opts)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    static const struct http_client_opts none;
    pthread_once(&once, curl_setup);
    if (!opts)
        opts = &none;
    struct http_client *c = xcalloc(1, sizeof(*c));
    c->loop = l;
    c->max_active = opts->max_connections > 0 ? (unsigned)opts->max_connections : 100;
    proxy_setup(c, opts);
    trust_setup(c, opts);
    c->timer = xcalloc(1, sizeof(*c->timer));
    c->timer->data = c;
    uv_timer_init(loop_uv(l), c->timer);
    c->multi = curl_multi_init();
    if (!c->multi) {
        log_error("libcurl cannot be initialised: out of memory");
        abort();
    }
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_timeout_change);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)c->max_active);
    return c;
}

void http_client_free(struct http_client *c)
{
    if (!c || c->dead)
        return;
    c->dead = true;
    if (c->drain_deferred)
        loop_forget(c->loop, drain_deferred, c);
    while (c->active || c->queue) {
        struct http_req *r = c->active ? c->active : c->queue;
        detach(r);
        http_req_free(r);
    }
    curl_multi_cleanup(c->multi); /* closes the sockets by way of on_socket */
    c->multi = NULL;
    uv_timer_stop(c->timer);
    uv_close((uv_handle_t *)c->timer, free_handle);
    c->depth++;
    leave(c);
}

static struct http_req *send_any(struct http_client *c, struct http_spec *spec, bool borrow, http_done_fn done,
                                 void *arg, struct err *e)
{
    struct http_req *r = http_req_new(c, spec, borrow, e);
    if (!r)
        return NULL;
    r->done = done;
    r->arg = arg;
    if (c->nactive < c->max_active && !c->queue)
        start(r);
    else
        queue_add(r);
    drain_later(c);
    return r;
}

struct http_req *http_send(struct http_client *c, struct http_spec *spec, http_done_fn done, void *arg, struct err *e)
{
    return send_any(c, spec, false, done, arg, e);
}

struct http_req *http_send_borrowed(struct http_client *c, struct http_spec *spec, http_done_fn done, void *arg,
                                    struct err *e)
{
    return send_any(c, spec, true, done, arg, e);
}

void http_cancel(struct http_req *r)
{
    if (!r || r->state == HTTP_DETACHED) /* detached: its `done` is running, which is the end anyway */
        return;
    struct http_client *c = r->client;
    detach(r);
    http_req_free(r);
    start_queued(c);
    drain_later(c);
}
