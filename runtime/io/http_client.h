/* http_client.h: asynchronous HTTP requests (libcurl multi on the loop).
 *
 * Ownership: a started request belongs to the client until `done` ran or http_cancel returned.
 *            Request fields are copied by http_send, except `body`, which is taken (also when the start fails;
 *            the field is empty afterwards).
 * Threads:   loop thread only.
 * Errors:    a start that fails returns NULL and never calls back; otherwise `done` runs
 *            exactly once, never from inside http_send. A response of any status is a success here;
 *            errors are ERR_TRANSPORT, ERR_TIMEOUT, ERR_TOO_BIG, ERR_CANCELLED.
 * No retry here: see retry.h. Only an idempotent request whose kept-alive connection turns out to be dead before
 * any answer is sent once more on a new one. Messages name the URL without user info and query. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"
#include "io/loop.h"

struct http_client; /* a connection pool with one set of options */
struct http_req;

struct http_header {
    struct str name, value;
};

struct http_client_opts {
    int max_connections;    /* in total; 0: 100 */
    bool insecure;          /* no certificate checks */
    bool no_strict_x509;    /* runtime R-128 */
    bool no_proxy;          /* never use a proxy (embedded catalog) */
    const char *proxy;      /* this proxy instead of the environment's */
    const char *ca_file;    /* NULL: SSL_CERT_FILE, SSL_CERT_DIR, system */
};

struct http_spec {
    const char *method; /* "GET" */
    const char *url;    /* absolute, http or https only */
    const struct http_header *headers;
    size_t nheaders;
    struct buf body;    /* taken; empty p: no body */
    int connect_timeout_ms; /* 0: 10,000 */
    int idle_timeout_ms;    /* no byte for so long; 0: 60,000 */
    int total_timeout_ms;   /* connect to last byte; 0: 600,000 */
    size_t max_size;        /* answer body after decompression; 0: 64 MiB */
    bool follow_redirects;  /* at most 10; credentials never go to another host */
};

/* Valid only during `done`, except that the callee may take `body` by moving the struct and
 * calling buf_init on the field. */
struct http_resp {
    int status;
    struct http_header *headers; /* in order, names as received */
    size_t nheaders;
    struct buf body;
    const char *url; /* effective */
    double seconds;
};

/* resp is NULL on failure; e is NULL on success. */
typedef void (*http_done_fn)(void *arg, struct http_resp *resp, const struct err *e);

struct http_client *http_client_new(struct loop *l, const struct http_client_opts *opts);
/* Cancels what is in flight (callbacks do not run). */
void http_client_free(struct http_client *c);
struct http_req *http_send(struct http_client *c, struct http_spec *spec, http_done_fn done, void *arg,
                           struct err *e);
/* `done` will not run. NULL is allowed; never call it for a finished request. */
void http_cancel(struct http_req *r);

/* First header of that name (any case); STR_NULL if absent. */
struct str http_header_get(const struct http_header *h, size_t n, struct str name);
/* Splits and checks a URL: scheme http/https, host present. Returns host[:port] and path+query slices. */
int http_url_parse(struct str url, struct str *scheme, struct str *host, struct str *path, struct err *e);
