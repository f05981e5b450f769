/* loopback.h: helpers of the io tests: a scripted TCP server on a thread, a raw client socket pumped together with the
 * loop, and the collected outcome of a request. Everything on 127.0.0.1 and free ports. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "io/http_client.h"
#include "io/http_server.h"
#include "io/loop.h"

#include <cmocka.h> /* needs those above: a block of its own, so that it stays behind them */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HELPER static __attribute__((unused))

HELPER uint64_t real_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- a scripted server: `serve` gets each connection in turn, on the server's thread ---- */

struct raw {
    int fd, port;
    pthread_t thread;
    void (*serve)(struct raw *r, int fd, int nth);
    atomic_int connections, requests, stop;
    char seen[65536]; /* what the last raw_read_request got */
};

HELPER void *raw_main(void *arg)
{
    struct raw *r = arg;
    int fd;
    while ((fd = accept(r->fd, NULL, NULL)) >= 0) {
        if (atomic_load(&r->stop)) {
            close(fd);
            break;
        }
        r->serve(r, fd, atomic_fetch_add(&r->connections, 1));
        close(fd);
    }
    return NULL;
}

HELPER int raw_listen(int *ret_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(fd, 64) == 0);
    getsockname(fd, (struct sockaddr *)&a, &n);
    *ret_port = ntohs(a.sin_port);
    return fd;
}

HELPER struct raw *raw_start(void (*serve)(struct raw *r, int fd, int nth))
{
    struct raw *r = xcalloc(1, sizeof(*r));
    r->serve = serve;
    r->fd = raw_listen(&r->port);
    assert_int_equal(pthread_create(&r->thread, NULL, raw_main, r), 0);
    return r;
}

HELPER int raw_connect(int port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}

HELPER void raw_stop(struct raw *r)
{
    atomic_store(&r->stop, 1);
    close(raw_connect(r->port)); /* wakes accept */
    pthread_join(r->thread, NULL);
    close(r->fd);
    free(r);
}

/* Reads one request with its body; false at the end of the stream. */
HELPER bool raw_read_request(struct raw *r, int fd)
{
    size_t n = 0, want = 0;
    while (n + 1 < sizeof(r->seen)) {
        ssize_t got = recv(fd, r->seen + n, sizeof(r->seen) - 1 - n, 0);
        if (got <= 0)
            return false;
        n += (size_t)got;
        r->seen[n] = '\0';
        const char *end = strstr(r->seen, "\r\n\r\n"), *length = strcasestr(r->seen, "\r\nContent-Length:");
        if (!end)
            continue;
        want = (size_t)(end - r->seen) + 4 + (length && length < end ? strtoul(length + 17, NULL, 10) : 0);
        if (n >= want)
            break;
    }
    atomic_fetch_add(&r->requests, 1);
    return true;
}

HELPER void raw_send(int fd, const char *s)
{
    size_t n = strlen(s);
    while (n) {
        ssize_t put = send(fd, s, n, MSG_NOSIGNAL);
        if (put <= 0)
            return;
        s += put;
        n -= (size_t)put;
    }
}

HELPER void raw_reset(int fd)
{
    struct linger none = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
}

/* ---- the outcome of one request ---- */

struct outcome {
    int calls, status, code;
    char msg[456], url[512], location[256];
    struct buf body;
    bool *sending; /* set while http_send runs: `done` must not come then */
};

HELPER void outcome_done(void *arg, struct http_resp *resp, const struct err *e)
{
    struct outcome *o = arg;
    o->calls++;
    if (o->sending)
        assert_false(*o->sending);
    assert_true((resp != NULL) != (e != NULL));
    if (e) {
        o->code = e->code;
        snprintf(o->msg, sizeof(o->msg), "%s", e->msg);
        return;
    }
    o->code = 0;
    o->status = resp->status;
    snprintf(o->url, sizeof(o->url), "%s", resp->url);
    struct str l = http_header_get(resp->headers, resp->nheaders, STR("location"));
    snprintf(o->location, sizeof(o->location), "%.*s", STR_FMT(l));
    buf_done(&o->body);
    o->body = resp->body;
    buf_init(&resp->body, 0);
}

HELPER void outcome_free(struct outcome *o)
{
    buf_done(&o->body);
    memset(o, 0, sizeof(*o));
}

HELPER void run_until(struct loop *l, const int *flag)
{
    while (!*flag)
        assert_true(loop_turn(l, true) || *flag);
}

HELPER char *url_of(int port, const char *path)
{
    static char text[4][512];
    static int i;
    i = (i + 1) % 4;
    snprintf(text[i], sizeof(text[i]), "http://127.0.0.1:%d%s", port, path);
    return text[i];
}

/* Sends and waits for the end. */
HELPER void fetch(struct loop *l, struct http_client *c, struct http_spec spec, struct outcome *o)
{
    struct err e = {0};
    bool sending = true;
    buf_done(&o->body);
    memset(o, 0, sizeof(*o));
    o->sending = &sending;
    if (!spec.method)
        spec.method = "GET";
    struct http_req *r = http_send(c, &spec, outcome_done, o, &e);
    if (!r)
        print_error("http_send: %s\n", e.msg);
    assert_non_null(r);
    sending = false;
    run_until(l, &o->calls);
    o->sending = NULL;
    assert_int_equal(o->calls, 1);
}

HELPER struct buf text_body(const char *s)
{
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    buf_adds(&b, s);
    return b;
}

/* ---- a raw client, pumped together with the loop of the server under test ---- */

HELPER int client_open(int port)
{
    int fd = raw_connect(port);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

HELPER void client_send(struct loop *l, int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t put = send(fd, p, n, MSG_NOSIGNAL);
        if (put > 0) {
            p += put;
            n -= (size_t)put;
        } else if (put < 0 && errno != EAGAIN) {
            return;
        }
        loop_turn(l, false);
    }
}

/* One whole answer (by Content-Length) into `out`; false when the connection ended, errno says how (0: closed). */
HELPER bool client_answer(struct loop *l, int fd, struct buf *out)
{
    buf_done(out);
    buf_init(out, BUF_NO_LIMIT);
    for (;;) {
        loop_turn(l, false);
        char piece[4096];
        ssize_t got = recv(fd, piece, sizeof(piece), 0);
        if (got == 0) {
            errno = 0;
            return false;
        }
        if (got < 0 && errno != EAGAIN)
            return false;
        if (got < 0) {
            poll(&(struct pollfd){fd, POLLIN, 0}, 1, 1);
            continue;
        }
        buf_add(out, piece, (size_t)got);
        const char *end = strstr(out->p, "\r\n\r\n"), *length = strcasestr(out->p, "\r\nContent-Length:");
        if (!end || strncmp(out->p, "HTTP/1.1 1", 10) == 0)
            continue;
        if (out->n >= (size_t)(end - out->p) + 4 + (length ? strtoul(length + 17, NULL, 10) : 0))
            return true;
    }
}

HELPER int answer_status(const struct buf *b) { return atoi(buf_cstr(b) + 9); }
HELPER const char *answer_body(const struct buf *b)
{
    const char *end = strstr(buf_cstr(b), "\r\n\r\n");
    return end ? end + 4 : "";
}

/* A test that hangs ends here. */
HELPER void watchdog(unsigned seconds) { alarm(seconds); }
