/* http_client_priv.h: shared by the files that make up the HTTP client, and by retry.c. Loop thread only.
 *
 *   http_client.c    the pool: multi handle, sockets, timer, queue, completion
 *   http_request.c   one request: copying the spec, options, callbacks, the answer
 *   http_redirect.c  following a redirect
 *   http_error.c     from libcurl's code to a sentence
 *   http_url.c       URLs and header lists (pure) */
#pragma once
#include "io/http_client.h"
#include <curl/curl.h>
#include <uv.h>

#define HTTP_REDIRECTS_MAX 10
#define HTTP_HEADERS_MAX ((size_t)1 << 20) /* all header lines of an answer together */

enum http_req_state { HTTP_QUEUED, HTTP_ACTIVE, HTTP_DETACHED };

/* Why we ended a request ourselves; libcurl then only knows that a callback refused. */
enum http_stop { STOP_NONE, STOP_TOO_BIG, STOP_HEADERS, STOP_RESEND, STOP_IDLE };

struct http_client {
    struct loop *loop;
    CURLM *multi;
    uv_timer_t *timer;
    struct http_req *active;            /* in the multi */
    struct http_req *queue, *queue_end; /* waiting for one of max_active places */
    unsigned nactive, max_active, nrefused;
    unsigned depth; /* callbacks on the stack */
    bool dead;      /* freed from inside a callback: released when depth is 0 */
    bool drain_deferred;
    bool insecure, strict_x509, no_proxy;
    char *proxy;      /* given by the option */
    char *http_proxy; /* HTTP_PROXY, which libcurl itself ignores */
    char *no_proxy_list;
    char *ca_file, *ca_dir;
};

struct head_slot {
    size_t name, name_n, value, value_n; /* offsets in `head` */
};

struct http_req {
    struct http_client *client;
    struct http_req *prev, *next;
    enum http_req_state state;
    http_done_fn done;
    void *arg;

    char *method, *url;
    struct http_header *headers; /* own copies, texts in header_text */
    size_t nheaders;
    struct buf header_text;
    struct buf body;
    bool has_body, body_borrowed, follow;
    int connect_timeout_ms, idle_timeout_ms, total_timeout_ms;
    size_t max_size;

    CURL *easy;
    struct curl_slist *slist;
    char errbuf[CURL_ERROR_SIZE];
    CURLMcode start_code; /* the multi refused it: reported by the next drain */
    enum http_stop stop;
    bool connected, sent; /* sent: since the last line of an answer */
    int redirects;
    uint64_t started_ns;
    struct timer *idle;
    uint64_t activity_ms; /* loop time of the last byte in either direction */
    curl_off_t dl, ul;

    struct buf answer, head; /* body; all header text */
    struct head_slot *slots;
    size_t nslots, cap_slots;
};

/* As http_send, but the body stays the caller's and must live until the request ended. */
struct http_req *http_send_borrowed(struct http_client *c, struct http_spec *spec, http_done_fn done, void *arg,
                                    struct err *e);

/* http_request.c */
struct http_req *http_req_new(struct http_client *c, struct http_spec *spec, bool borrow, struct err *e);
void http_req_free(struct http_req *r);
void http_req_configure(struct http_req *r);
/* Points resp at what arrived; the body is moved. Free resp->headers afterwards. */
void http_req_answer(struct http_req *r, struct http_resp *resp);

/* http_redirect.c: was that answer a redirect to follow? Then the request is ready to be configured again. < 0: it
 * cannot be followed. */
int http_req_redirect(struct http_req *r, bool *ret_again, struct err *e);

/* http_client.c: ends a request that got no byte for too long. */
void http_req_idle(void *req);

/* http_error.c */
int http_explain(struct err *e, const struct http_req *r, CURLcode rc);
/* URL for messages and logs: without user info, query and fragment; at most n bytes with NUL. */
char *http_url_public(const char *url, char *out, size_t n);
