/* http_server.c: the HTTP server: libmicrohttpd without threads, its epoll descriptor watched by the loop.
 *
 * When the descriptor is readable MHD_run is called until it has nothing more to do at once: a request that is answered
 * synchronously is read, handled and written in one go, and many connections share one turn. Replies to suspended calls
 * resume the connection and run the daemon in a deferred call, so that all replies of a turn are written together.
 *
 * libmicrohttpd closes idle connections itself; its clock ticks when the daemon runs, which the sweep timer does at
 * least once a second. Each byte of a dripping client restarts that idle clock, so the sweep also keeps a total
 * deadline for headers and body: it compares the bytes the kernel has received on the socket (TCP_INFO) with those at
 * the time the request could begin. Exact to one sweep, free of cost for everybody else.
 *
 * Teardown: a daemon must not be stopped while connections are suspended, so they are all resumed (as aborted) and run
 * once more. A server freed from inside one of its own callbacks is torn down when MHD_run has returned. */
#include "io/http_server_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/http_socket.h"
#include "io/loop_priv.h"
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOG_GROUP "io.http_server"

/* Memory of a connection: request line, headers, read buffer, answer headers. The library clears all of it after each
 * request, so more is not better: 256 KiB cost a third of the throughput and stay resident per connection. */
#define CONN_MEMORY ((size_t)64 << 10)
#define FILES_OTHERS 128 /* descriptors the rest of the process may need */
#define RUNS_PER_TURN 64
#define BUDGET_MS 3 /* then the rest of the process has its turn */

static void server_destroy(struct http_server *s);
static void free_handle(uv_handle_t *h) { free(h); }

/* ---- running the daemon ---- */

static bool busy(struct http_server *s)
{
    MHD_UNSIGNED_LONG_LONG ms;
    return MHD_get_timeout(s->daemon, &ms) == MHD_YES && ms == 0;
}

static void server_run(void *arg)
{
    struct http_server *s = arg;
    s->run_deferred = false;
    if (s->running) /* a handler turned the loop: the outer call goes on */
        return;
    s->running = true;
    s->now_ms = clock_mono_ms();
    int runs = 0;
    bool more;
    do {
        MHD_run(s->daemon);
        more = !s->dying && busy(s);
    } while (more && ++runs < RUNS_PER_TURN && clock_mono_ms() - s->now_ms < BUDGET_MS);
    s->running = false;
    if (s->dying)
        server_destroy(s);
    else if (more)
        server_kick(s);
}

void server_kick(struct http_server *s)
{
    if (s->run_deferred || s->running)
        return;
    s->run_deferred = true;
    loop_defer(s->loop, server_run, s);
}

static void on_poll(uv_poll_t *h, int status, int events)
{
    (void)status;
    (void)events;
    server_run(h->data);
}

/* ---- connections ---- */

bool server_crowded(const struct http_server *s) { return s->nconns > s->opts.max_connections; }

static void close_idle(void *arg)
{
    struct server_conn *c = arg;
    c->idle_timer = NULL;
    shutdown(c->fd, SHUT_RDWR); /* the library sees the end of the stream and closes */
}

void conn_busy(struct server_conn *c)
{
    timer_stop(c->idle_timer);
    c->idle_timer = NULL;
    c->close_idle_ms = -1;
    c->resting = false;
}

void conn_rest(struct server_conn *c)
{
    c->handling = c->marked = false;
    c->reading_since_ms = 0;
    c->resting = true;
    if (c->close_idle_ms >= 0) {
        c->idle_timer = timer_start(c->server->loop, (uint64_t)c->close_idle_ms, 0, close_idle, c);
        timer_unref(c->idle_timer);
    }
}

/* A connection too many: one that rests between requests makes room, the longest open first. */
static void make_room(struct http_server *s)
{
    struct server_conn *oldest = NULL;
    for (struct server_conn *c = s->conns; c; c = c->next)
        if (c->resting && !c->handling && !socket_bytes_waiting(c->fd))
            oldest = c;
    if (!oldest)
        return;
    oldest->resting = false;
    shutdown(oldest->fd, SHUT_RDWR);
}

static void conn_peer(struct server_conn *c, struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    char host[INET6_ADDRSTRLEN] = "?";
    if (info && info->client_addr->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)info->client_addr;
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
        snprintf(c->peer, sizeof(c->peer), "%s:%u", host, ntohs(in->sin_port));
    } else if (info && info->client_addr->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)info->client_addr;
        inet_ntop(AF_INET6, &in->sin6_addr, host, sizeof(host));
        snprintf(c->peer, sizeof(c->peer), "[%s]:%u", host, ntohs(in->sin6_port));
    }
}

static void on_connection(void *cls, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http_server *s = cls;
    struct server_conn *c = *context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        c = xcalloc(1, sizeof(*c));
        c->server = s;
        c->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        c->number = ++s->last_number;
        c->reading_since_ms = clock_mono_ms();
        c->close_idle_ms = -1;
        s->nconns++;
        if (server_crowded(s))
            make_room(s);
        conn_peer(c, mhd);
        c->next = s->conns;
        if (c->next)
            c->next->prev = c;
        s->conns = c;
        *context = c;
    } else if (c) {
        if (c->prev)
            c->prev->next = c->next;
        else
            s->conns = c->next;
        if (c->next)
            c->next->prev = c->prev;
        timer_stop(c->idle_timer);
        s->nconns--;
        free(c);
        *context = NULL;
    }
}

/* Cuts off requests that take too long to arrive, and lets the library close idle connections. */
static void on_sweep(void *arg)
{
    struct http_server *s = arg;
    uint64_t now = clock_mono_ms();
    for (struct server_conn *c = s->conns; c; c = c->next) {
        if (c->handling)
            continue;
        if (!c->reading_since_ms) {
            uint64_t bytes = socket_bytes_received(c->fd);
            if (!c->marked)
                c->bytes_mark = bytes;
            else if (bytes != c->bytes_mark)
                c->reading_since_ms = now;
            c->marked = true;
        } else if (now - c->reading_since_ms > (uint64_t)s->opts.read_deadline_ms) {
            log_warn("connection %" PRIu64 " from %s: request not complete after %d ms: closed", c->number, c->peer,
                     s->opts.read_deadline_ms);
            shutdown(c->fd, SHUT_RDWR); /* the library sees the end of the stream and closes */
            c->handling = true;         /* once is enough */
        }
    }
    server_run(s);
}

/* ---- callbacks of the library ---- */

static void on_log(void *cls, const char *fmt, va_list ap)
{
    (void)cls;
    if (!log_enabled(LOG_DEBUG, LOG_GROUP))
        return;
    char text[512];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    vsnprintf(text, sizeof(text), fmt, ap);
#pragma GCC diagnostic pop
    text[strcspn(text, "\n")] = '\0';
    log_debug("libmicrohttpd: %s", text);
}

/* The first thing known of a request: its target as it stands in the request line. The result becomes *con_cls. */
static void *on_uri(void *cls, const char *uri, struct MHD_Connection *mhd) { return call_new(cls, mhd, uri); }

/* Nothing is decoded: %2F and %00 reach the application as they are. */
static size_t on_unescape(void *cls, struct MHD_Connection *mhd, char *s)
{
    (void)cls;
    (void)mhd;
    return strlen(s);
}

static enum MHD_Result on_access(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
                                 const char *version, const char *data, size_t *data_n, void **con_cls)
{
    (void)cls;
    (void)mhd;
    (void)url;
    (void)version;
    return *con_cls ? call_step(*con_cls, method, data, data_n) : MHD_NO;
}

static void on_completed(void *cls, struct MHD_Connection *mhd, void **con_cls, enum MHD_RequestTerminationCode how)
{
    (void)cls;
    (void)mhd;
    (void)how;
    call_free(*con_cls);
    *con_cls = NULL;
}

/* ---- start and end ---- */

static int listen_one(const struct addrinfo *ai, int *ret_fd)
{
    int one = 1, fd = socket(ai->ai_family, ai->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, ai->ai_protocol);
    if (fd < 0)
        return errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, 1024) < 0) {
        int saved = errno;
        close(fd);
        return saved;
    }
    *ret_fd = fd;
    return 0;
}

static int listen_socket(const char *host, int port, struct err *e)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *list = NULL;
    char service[16];
    snprintf(service, sizeof(service), "%d", port);
    int rc = getaddrinfo(host, service, &hints, &list), fd = -1, error = 0;
    if (rc != 0)
        return ERR(e, ERR_IO, "cannot listen on '%s': %s: give an address of this machine, or 0.0.0.0", host,
                   gai_strerror(rc));
    for (struct addrinfo *ai = list; ai && fd < 0; ai = ai->ai_next)
        error = listen_one(ai, &fd);
    freeaddrinfo(list);
    if (fd >= 0)
        return fd;
    if (error == EADDRINUSE)
        return ERR(e, ERR_BUSY, "port %d on %s is taken by another process: choose another port, or 0 for any free one",
                   port, host);
    if (error == EACCES)
        return ERR(e, ERR_IO, "not allowed to listen on port %d: ports below 1024 need privileges", port);
    return ERR(e, ERR_IO, "cannot listen on %s port %d: %s", host, port, strerror(error));
}

static int bound_port(int fd)
{
    struct sockaddr_storage a;
    socklen_t n = sizeof(a);
    if (getsockname(fd, (struct sockaddr *)&a, &n) < 0)
        return 0;
    return a.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&a)->sin6_port)
                                   : ntohs(((struct sockaddr_in *)&a)->sin_port);
}

static struct MHD_Daemon *daemon_start(struct http_server *s, int fd)
{
    return MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_access, s,
        MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_URI_LOG_CALLBACK, on_uri, s,
        MHD_OPTION_UNESCAPE_CALLBACK, on_unescape, NULL, MHD_OPTION_NOTIFY_COMPLETED, on_completed, s,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)s->opts.max_connections + HTTP_RESERVE,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)s->opts.idle_timeout_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        s->opts.head_memory, MHD_OPTION_CONNECTION_MEMORY_INCREMENT, (size_t)16384, MHD_OPTION_END);
}

/* Descriptors for `n` connections, as far as the system gives them: returns how many connections there can be. */
static int files_for(int n)
{
    struct rlimit r;
    rlim_t want = (rlim_t)n + HTTP_RESERVE + FILES_OTHERS;
    if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur >= want)
        return n;
    r.rlim_cur = r.rlim_max < want ? r.rlim_max : want;
    setrlimit(RLIMIT_NOFILE, &r);
    if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur >= want)
        return n;
    int most = r.rlim_cur > HTTP_RESERVE + FILES_OTHERS ? (int)(r.rlim_cur - HTTP_RESERVE - FILES_OTHERS) : 1;
    log_warn("at most %d connections instead of %d: only %llu files may be open (ulimit -n)", most, n,
             (unsigned long long)r.rlim_cur);
    return most;
}

static void defaults(struct http_server_opts *o)
{
    o->max_connections = files_for(o->max_connections > 0 ? o->max_connections : 512);
    if (o->max_body == 0)
        o->max_body = (size_t)1 << 20;
    if (o->head_memory == 0)
        o->head_memory = CONN_MEMORY;
    if (o->read_deadline_ms <= 0)
        o->read_deadline_ms = 60000;
    if (o->idle_timeout_s <= 0)
        o->idle_timeout_s = 75;
}

int http_server_start(struct loop *l, const struct http_server_opts *opts, struct http_server **ret, struct err *e)
{
    const char *host = opts->host && *opts->host ? opts->host : "127.0.0.1";
    if (opts->port < 0 || opts->port > 65535)
        return ERR(e, ERR_INVAL, "port %d is out of range: 0 to 65535", opts->port);
    int fd = listen_socket(host, opts->port, e);
    if (fd < 0)
        return fd;
    struct http_server *s = xcalloc(1, sizeof(*s));
    s->loop = l;
    s->opts = *opts;
    s->host = xstrdup(host);
    s->opts.host = s->host;
    defaults(&s->opts);
    s->port = bound_port(fd);
    s->daemon = daemon_start(s, fd);
    if (!s->daemon) {
        close(fd);
        free(s->host);
        free(s);
        return ERR(e, ERR_IO, "cannot start the HTTP server on %s port %d (see ulimit -n)", host, opts->port);
    }
    s->poll = xcalloc(1, sizeof(*s->poll));
    s->poll->data = s;
    uv_poll_init(loop_uv(l), s->poll, MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd);
    uv_poll_start(s->poll, UV_READABLE, on_poll);
    uint64_t every = (uint64_t)s->opts.read_deadline_ms / 4;
    every = every < 20 ? 20 : every > 1000 ? 1000 : every;
    s->sweep = timer_start(l, every, every, on_sweep, s);
    timer_unref(s->sweep);
    MHD_run(s->daemon); /* puts the listening socket into the epoll set */
    *ret = s;
    return 0;
}

int http_server_port(const struct http_server *s) { return s->port; }

void http_server_quiesce(struct http_server *s)
{
    MHD_socket fd = MHD_quiesce_daemon(s->daemon);
    if (fd != MHD_INVALID_SOCKET)
        close(fd);
}

static void server_destroy(struct http_server *s)
{
    uv_poll_stop(s->poll);
    uv_close((uv_handle_t *)s->poll, free_handle);
    timer_stop(s->sweep);
    if (s->run_deferred)
        loop_forget(s->loop, server_run, s);
    s->running = true; /* nothing may be scheduled any more */
    if (s->waiting) {
        while (s->waiting)
            call_orphan(s->waiting);
        MHD_run(s->daemon);
    }
    MHD_stop_daemon(s->daemon);
    call_spare_free(s);
    free(s->host);
    free(s);
}

void http_server_free(struct http_server *s)
{
    if (!s || s->dying)
        return;
    s->dying = true;
    if (!s->running) /* else server_run does it when the library has returned */
        server_destroy(s);
}
