/* work.h: one request on its way: loop thread -> database thread -> loop thread.
 *
 * The loop thread makes it (rest.c), decides what needs no database (token, faults), and submits it as a job; `run` of its
 * route fills status, out and effects on the database thread; the loop thread replies, writes the journal and frees it.
 * Never both threads at once. */
#pragma once
#include "catalog/core.h"
#include "io/http_server.h"

struct catalog;
struct work;
struct fault;
struct token;
struct noted;

enum route_flags {
    ROUTE_WRITES = 1,
    ROUTE_OPEN = 2,     /* no token */
    ROUTE_CONTROL = 4,  /* /_local: no token, no journal, no faults */
    ROUTE_PLUS = 8,     /* "+" in the path is a space (port-api P-7) */
    ROUTE_BIG = 16,     /* body up to 16 MiB */
    ROUTE_ATOMIC = 32,  /* a refusal undoes what was written before it */
    ROUTE_PAGE = 64,    /* HTML for people (page/page.h); open and guarded as /_local is */
};

#define WORK_WAITS 2 /* rest_go_on will be called */

struct route {
    const char *method, *path, *id;
    unsigned flags;
    int (*run)(struct work *w); /* database thread; 0, or -1 with w->r */
    int (*now)(struct work *w); /* loop thread, before `run`: 1 answered, 0 go on, -1 refused, or WORK_WAITS */
};

/* NULL if none; *ret_allow then lists the methods of the same path (p NULL: no such path). */
const struct route *route_find(struct arena *a, struct str method, struct str path, struct str *seg, size_t *ret_nseg,
                               struct str *ret_allow);
extern const struct route catalog_routes[];
extern const size_t catalog_nroutes;

enum change { CHANGE_CREATED, CHANGE_UPDATED, CHANGE_DELETED };

struct effects {
    unsigned created, updated, unchanged, deleted, cascaded, failed, bare;
    struct buf keys; /* "blueprint/identifier", quoted and separated by commas; off unless wanted */
    bool want_keys;
};

#define WORK_SEGMENTS 8

struct work {
    struct db_job job;
    struct catalog *c;
    struct core *k;
    struct http_call *call;
    const struct route *route;
    struct arena *a;
    struct str seg[WORK_SEGMENTS]; /* decoded parameters of the path */
    size_t nseg;
    struct str query, body, user_agent, client, base_url;
    bool skip_resync, reserved_usage, authorization; /* headers that came */
    struct json_doc *doc;

    int status;
    struct buf out;
    struct refusal r;
    bool refused;
    bool undo;            /* a refusal must roll back what was written before it */
    struct effects eff;
    bool unmet;           /* what GET /_local/wait waits for has not come yet */
    const char *webhook;  /* to be told of a resync request, once it is stored */
    struct str webhook_for;
    int64_t lag_us;       /* the answer comes from the state so long ago (past.h); 0: from now */
    struct str resync; /* changes.h */
    struct noted *noted, *last_noted;
    const char *type; /* of the answer; NULL: JSON */
    void *evaluation; /* the playground's, while it runs */
    struct str part;  /* what a page's `now` function wrote for its `run` */
    struct http_header headers[12];
    size_t nheaders;

    /* loop thread */
    struct work *prev, *next;
    uint64_t started_ns, seq;
    unsigned in_flight;
    struct timer *timer;
    struct work *next_parked;
    bool parked;
    int64_t wait_ms;             /* of GET /_local/wait */
    struct fault *delay, *act; /* faults that matched: a latency, and one other (faults.h) */
    unsigned delay_ms;
    size_t counts[3];            /* tokens, faults, journal entries, for the control API */
    const struct token *issued;  /* new token, to be stored */
};

/* Query parameters, decoded into the arena. */
bool work_param(struct work *w, const char *name, size_t nth, struct str *ret);
int work_flag(struct work *w, const char *name, bool fallback, bool *ret);
int work_number(struct work *w, const char *name, int64_t fallback, int64_t *ret);
/* `limit` of the query, from 1 to `max` (0: any). */
int work_limit(struct work *w, int64_t fallback, int64_t max, int64_t *ret);
/* The answer {"ok", KEY: [...]} of the documents in the first column of what `s` selects; -1 refused. */
int work_documents(struct work *w, const char *key, struct sqlite3_stmt *s);
/* Body as JSON; NONE after a refusal (400 unparsable, 422 empty or no object). */
struct json work_json(struct work *w);
/* {"ok":true ... } around what the caller writes. */
struct jw work_begin(struct work *w);
void work_end(struct work *w, struct jw *jw);
int work_ok(struct work *w); /* {"ok":true} */
void work_key(struct work *w, struct str blueprint, struct str identifier); /* an entity that was changed */
/* Numbers of this request's client and datasource; -1 refused. */
int work_writer(struct work *w, int64_t *ret_client, int64_t *ret_datasource);
