/* http_server_priv.h: shared by http_server.c (daemon, connections, deadlines) and http_call.c (one request and its
 * reply). Loop thread only. */
#pragma once
#include "io/http_server.h"
#include <microhttpd.h>
#include <uv.h>

#define HTTP_DRAIN_MAX ((size_t)16 << 20) /* so much of a body that is too large is read and dropped */

struct http_server {
    struct loop *loop;
    struct MHD_Daemon *daemon;
    uv_poll_t *poll;
    struct timer *sweep;
    struct http_server_opts opts;
    char *host;
    int port;
    struct server_conn *conns;
    struct http_call *waiting; /* suspended calls */
    struct http_call *spare;   /* call structures for reuse */
    unsigned nspare;
    int nconns;
    uint64_t last_number;
    uint64_t now_ms; /* time of this turn */
    bool running;    /* inside MHD_run */
    bool dying;      /* freed meanwhile */
    bool run_deferred;
};

struct server_conn {
    struct http_server *server;
    struct server_conn *prev, *next;
    int fd;
    uint64_t number;
    char peer[64];
    /* Deadline for headers + body, looked at by the sweep. */
    uint64_t reading_since_ms; /* 0: no byte of a request seen yet */
    uint64_t bytes_mark;       /* bytes the socket had received when the request could begin */
    bool marked, handling;     /* handling: the whole request is here */
    bool resting;              /* between two requests of a kept connection */
    int close_idle_ms;         /* after the request that runs; -1: as for all */
    struct timer *idle_timer;
};

/* ORPHANED: the server is gone before the call was answered; what the application still does with it is ignored. */
enum call_state {
    CALL_READING, CALL_HANDLING, CALL_SUSPENDED, CALL_ANSWERED, CALL_ABORTED, CALL_ORPHANED,
    CALL_RESTING, /* suspended in the middle of a streamed answer */
};

struct http_call {
    struct http_server *server;
    struct server_conn *conn;
    struct MHD_Connection *mhd;
    struct http_call *prev, *next; /* in `waiting`, or `spare` by next */
    enum call_state state;
    bool begun, too_big, orphan;
    char *uri;
    size_t uri_cap;
    struct str path, query;
    const char *method; /* the connection's memory */
    struct buf body;
    size_t limit, dropped;
    unsigned status;
    struct MHD_Response *response;
    struct http_stream stream; /* read NULL: the answer is no stream */
    bool all_sent, cut;        /* of the stream */
};

/* http_call.c */
struct http_call *call_new(struct http_server *s, struct MHD_Connection *mhd, const char *uri);
void call_free(struct http_call *c);
void call_orphan(struct http_call *c); /* aborts a suspended call whose server ends */
enum MHD_Result call_step(struct http_call *c, const char *method, const char *data, size_t *data_n);
void call_spare_free(struct http_server *s);

/* http_server.c: runs the daemon soon. */
void server_kick(struct http_server *s);
/* http_server.c: a request begins or ends on a connection. */
void conn_busy(struct server_conn *c);
void conn_rest(struct server_conn *c);
/* There are more connections than wanted: answers close theirs. */
bool server_crowded(const struct http_server *s);
