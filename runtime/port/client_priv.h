/* client_priv.h: the inside of struct port, for the files of port/ alone. Loop thread. */
#pragma once
#include "base/strmap.h"
#include "io/http_client.h"
#include "io/retry.h"
#include "port/client.h"
#include "port/window.h"

struct token {
    char *header;        /* "Bearer ..."; NULL: none */
    uint64_t generation; /* counts tokens, so that a 401 drops only the token it was sent with */
    uint64_t refresh_at_ms, expires_at_ms; /* monotonic */
    struct retry_call *call;               /* the one request for a new token, or NULL */
};

/* Offset of Port's clock against ours lies between the two, as far as Date headers tell. */
struct clock_bounds {
    bool known;
    int64_t low_us, high_us;
};

struct port {
    struct loop *loop;
    struct http_client *http;
    struct retry_policy policy;
    char *base_url, *client_id, *client_secret, *type, *version, *identifier;
    char *agent[3]; /* User-Agent by enum port_feature */
    bool embedded, read_only;
    struct token token;
    struct window window;
    struct port_call *head, *tail; /* waiting, in order */
    struct port_call *flying;      /* sent, not answered */
    struct timer *pause;           /* Port named a time: nothing is sent before it */
    uint64_t pause_until_ms;
    bool pumping;                  /* port_pump is deferred */
    uint64_t calls;                /* made so far */
    size_t requests, refused;
    struct clock_bounds clock;
    int64_t started_us; /* wall clock, for nextResync */
    struct blueprints *blueprints;
    struct setup *setup; /* running port_setup, or NULL */
};

struct port_call {
    struct port *port;
    struct port_call *prev, *next;
    uint64_t number; /* in order of port_send */
    char *method, *path, *query;
    struct buf body;
    enum port_feature feature;
    enum port_retry retry;
    bool skip_resync, refreshed, flying, refused;
    uint64_t token_generation; /* of the token it was sent with */
    uint64_t sending;          /* number in the window */
    int64_t sent_us;           /* wall clock of the last sending */
    struct timer *deadline;
    int64_t deadline_ms;
    struct retry_call *http;
    port_done_fn done;
    void *arg;
    void (*drop)(void *arg); /* releases arg if the port is freed first; NULL: nothing to release */
};

/* Sends what may be sent, at the end of this turn. */
void port_schedule(struct port *p);
/* The body of a call, valid until its `done` has returned. */
struct str port_call_body(const struct port_call *c);
/* Fails every waiting call with `e`. */
void port_fail_waiting(struct port *p, const struct err *e);

/* token.c: is there a token that may be used? If not, or if it is due, one is asked for (single flight). */
bool token_ready(struct port *p);
void token_drop(struct port *p, uint64_t generation); /* that token was refused */
void token_done(struct port *p);

/* answer.c */
void answer_parse(struct port_answer *a, const struct http_resp *resp);
void answer_done(struct port_answer *a);
void clock_note(struct clock_bounds *b, const struct http_resp *resp, int64_t sent_us, int64_t now_us);
/* "Port (https://host) cannot be reached: ...": names host and setting. */
int port_transport_err(const struct port *p, struct err *e);

/* setup.c */
void setup_free(struct setup *s);

/* blueprints.c */
void blueprints_free(struct blueprints *b);
struct blueprints *blueprints_new(struct port *p, double ttl_s);
