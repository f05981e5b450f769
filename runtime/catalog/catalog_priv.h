/* catalog_priv.h: the running catalog, shared by catalog.c (start and stop), rest.c (requests) and the routes that run on the
 * loop thread. */
#pragma once
#include "catalog/catalog.h"
#include "catalog/faults.h"
#include "catalog/journal.h"
#include "catalog/tokens.h"
#include "catalog/work.h"

#define CATALOG_VERSION "0.1.0"

struct catalog {
    struct loop *loop;
    struct core core;
    struct http_server *server;
    struct tokens *tokens;
    struct journal *journal;
    struct faults *faults;
    struct work *running; /* requests not answered yet */
    struct work *parked;  /* those of them that wait for something to happen (wait.c) */
    struct http_client *webhooks; /* made when the first one is sent */
    unsigned in_flight;
    uint64_t started_ms;
    bool stopping, fixed_auth, no_control, no_page;
    uint64_t id_seed;
    int64_t token_ttl_s;
    struct {
        int64_t limit, period_s; /* limit 0: none */
        struct rate_window {
            int64_t used, since_us;
        } all;
        struct strmap *clients; /* -> struct rate_window; NULL: all count together */
    } rate;
    char *file, *host, *public_url, *url, *admin_token;
    char **clients; /* ID:SECRET */
    char *snapshots;        /* folder, once one was asked for */
    bool snapshots_private; /* to be removed at the end */
    const struct catalog_evaluator *evaluator; /* NULL: no playground */
};

/* snapshots.c */
void snapshots_done(struct catalog *c);
/* rest.c */
void rest_handle(void *catalog, struct http_call *call);
size_t rest_body_limit(void *catalog, const char *method, struct str path);
/* A request whose `now` function answered WORK_WAITS has what it waited for. */
void rest_go_on(struct work *w);
/* The answer of a waiting request is written, or its refusal in w->r. */
void rest_answer(struct work *w);
void rest_refuse(struct work *w);
/* Ends waits and answers what is still running with RST; after db_close. */
void rest_drop_all(struct catalog *c);

/* wait.c */
void wait_park(struct work *w);
void wait_forget(struct work *w); /* if it was parked */
void wait_wake(struct catalog *c, const struct route *route);
void wait_end(struct catalog *c); /* the server stops: all are refused */
