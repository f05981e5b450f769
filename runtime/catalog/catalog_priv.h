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
    unsigned in_flight;
    uint64_t started_ms;
    bool stopping, fixed_auth, no_control;
    int64_t token_ttl_s;
    struct {
        int64_t limit, period_s, used, window_us; /* limit 0: none; window_us: when the window began */
    } rate;
    char *file, *host, *public_url, *url, *admin_token;
    char **clients; /* ID:SECRET */
    const struct catalog_evaluator *evaluator; /* NULL: no playground */
};

/* rest.c */
void rest_handle(void *catalog, struct http_call *call);
size_t rest_body_limit(void *catalog, const char *method, struct str path);
/* A request whose `now` function answered WORK_WAITS has what it waited for. */
void rest_go_on(struct work *w);
/* Ends waits and answers what is still running with RST; after db_close. */
void rest_drop_all(struct catalog *c);
