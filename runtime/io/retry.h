/* retry.h: which answers are repeated, after how long, and a request that does it.
 *
 * Follows runtime and port-api P-45 to P-48. The decision functions are pure (clock and
 * randomness are arguments); retry_send runs on the loop thread. */
#pragma once
#include "io/http_client.h"

struct retry_policy {
    int attempts;           /* repeats after the first send; 10 */
    double base_s, max_s;   /* third party 0.1 and 60; Port 0.3 and 300 */
    double jitter;          /* 0..0.5; waits vary uniformly by this share; 0.1 */
    bool respect_headers;   /* Retry-After, x-ratelimit-reset and `hint_headers` */
    const char *hint_headers[4];
    int statuses[16];       /* retried; 0 ends. Default 408 429 502 503 504 (401 is the caller's: it refreshes) */
    int ignore_hint_statuses[8];
    const char *methods[10]; /* retried without being asked; NULL ends */
};
void retry_policy_port(struct retry_policy *p);
void retry_policy_third_party(struct retry_policy *p);

/* Seconds named by a header value (runtime ), or < 0 if it names none. */
double retry_hint(struct str value, int64_t now_wall_us);
/* Is this outcome repeated? status 0 with e set: a transport error. */
bool retry_wanted(const struct retry_policy *p, const char *method, bool flagged, int status, const struct err *e);
/* Wait before repeat n (from 1), in seconds. rnd in 0..1. resp may be NULL. A time named by a header is honoured as it
 * is, without jitter, unless it is already past: then, as without one, base * 2^(n-1) with jitter. Both are capped. */
double retry_delay(const struct retry_policy *p, int n, const struct http_resp *resp, int64_t now_wall_us, double rnd);

enum retry_flag { RETRY_BY_METHOD, RETRY_ALWAYS, RETRY_NEVER };

struct retry_call;
/* Called before each wait; may change headers of what is sent next with retry_set_header, or cancel. Optional. */
struct retry_hooks {
    void (*waiting)(void *arg, int n, double seconds, int status, const struct err *e);
    void *arg;
};
/* As http_send, with repeats. The body is kept until the end. `done` gets the last answer. To be cancelled before its
 * client is freed. */
struct retry_call *retry_send(struct http_client *c, struct http_spec *spec, const struct retry_policy *p,
                              enum retry_flag flag, const struct retry_hooks *hooks, http_done_fn done, void *arg,
                              struct err *e);
/* Inside `waiting` or during the wait: what the next sending carries. The header replaces those of that name. */
void retry_set_header(struct retry_call *r, struct str name, struct str value);
void retry_cancel(struct retry_call *r); /* done will not run; NULL allowed */
int retry_count(const struct retry_call *r); /* repeats so far */
