/* client.h: requests to Port's API: token, user agent, retry, the adaptive window.
 *
 * Spec: runtime section 5 and 6, port-api sections 3 to 7. One window limits everything this process sends to
 * Port (design.md section 6). Loop thread. `done` runs exactly once unless port_cancel; never from inside
 * port_send. */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "io/loop.h"
#include "json/json.h"

struct port;
struct port_call;

struct port_opts {
    const char *base_url; /* without /v1 */
    const char *client_id, *client_secret;
    const char *type, *version, *identifier;
    bool embedded; /* never through a proxy */
    bool insecure, no_strict_x509;
    double blueprint_ttl_s; /* 0: 120 */
};

/* The release of the Ocean contract that is followed, sent as oceanCoreVersion (sync U-6). */
#define PORT_CORE_VERSION "0.55.4"

struct port *port_new(struct loop *l, const struct port_opts *o);
void port_free(struct port *p); /* cancels what is in flight */

enum port_feature { PORT_PLAIN, PORT_EXPORTER, PORT_GITOPS }; /* suffix of the User-Agent (S-143) */
enum port_retry { PORT_RETRY_BY_METHOD, PORT_RETRY_ALWAYS, PORT_RETRY_NEVER };

struct port_request {
    const char *method;
    const char *path;  /* below /v1, segments already encoded: "/blueprints/a/entities/bulk" */
    const char *query; /* without '?', or NULL */
    struct buf body;   /* taken */
    enum port_feature feature;
    enum port_retry retry;
    bool skip_resync;    /* x-skip-resync: true */
    bool reads;          /* a POST that only asks */
    int64_t deadline_ms; /* whole call with repeats; 0: none */
};

struct port_answer {
    int status;
    struct json_doc *doc; /* borrowed; NULL when the body is no JSON */
    struct json root;
    struct str text;     /* body as received */
    struct str trace_id; /* x-trace-id; p NULL: none */
};
/* a is NULL only when e says there was no answer. A status >= 400 comes as an answer with e NULL. */
typedef void (*port_done_fn)(void *arg, const struct port_answer *a, const struct err *e);

struct port_call *port_send(struct port *p, struct port_request *r, port_done_fn done, void *arg);
void port_cancel(struct port_call *c); /* NULL allowed */
/* While set, whatever is no GET and not marked as reading is refused (ERR_INVAL) instead of sent: a plan writes nothing,
 * whoever asks for it. */
void port_read_only(struct port *p, bool on);
size_t port_refused(const struct port *p); /* requests, so far */

/* Error value of an answer: "POST /blueprints/x/entities/bulk answered 422 invalid_request: message". */
int port_answer_err(const struct port_answer *a, const char *method, const char *path, struct err *e);

/* Requests sent so far, repeats included; for the summary. */
size_t port_requests(const struct port *p);
/* Offset of Port's clock against ours from Date headers, in microseconds; 0 if unknown. */
int64_t port_clock_offset_us(const struct port *p);
const char *port_type(const struct port *p);
