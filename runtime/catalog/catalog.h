/* catalog.h: the Port-compatible catalog on one SQLite file, served over HTTP (port-api).
 *
 * Used by port-local and, in-process, by ocean-run; the same code and the same HTTP path. Loop thread; the database has a
 * thread of its own. Nothing but cli includes this. */
#pragma once
#include <stdbool.h>
#include "base/buf.h"
#include "base/err.h"
#include "io/loop.h"

struct catalog;

/* Maps `input` (JSON) with `mapping` (YAML or JSON) for the page's playground: one JSON line per result as `ocean-run map`
 * prints them, and what it has to say. `done` runs once, later, on the loop thread, unless cancelled. */
typedef void (*catalog_evaluated_fn)(void *arg, struct str lines, struct str messages);
struct catalog_evaluator {
    void *arg;
    void *(*start)(void *arg, struct str mapping, struct str input, catalog_evaluated_fn done, void *done_arg);
    void (*cancel)(void *arg, void *handle);
};

struct catalog_opts {
    const char *file;             /* or ":memory:" */
    const char *host;             /* NULL: 127.0.0.1 */
    int port;                     /* 0: any */
    const char *durability;       /* "normal" (default), "full", "off" */
    const char *unknown_properties; /* "drop" (default), "keep", "reject" */
    const char *datasource_mode;    /* "last" (default) or "all" writers own an entity */
    const char *const *faults;    /* CLI form of port-api 16.3; NULL ends */
    const char *public_url;
    int token_ttl_s;              /* 0: 10800 */
    size_t journal;               /* entries; 0: 10,000 */
    const char *auth;             /* "any" (default) or "fixed" */
    const char *const *clients;   /* ID:SECRET; NULL ends */
    const char *journal_bodies;   /* "off", "errors" (default), "all": with the keys of what was changed */
    unsigned long fault_seed;     /* 0: none */
    const char *rate_limit;       /* "N/SECONDS"; NULL: none */
    const char *rate_limit_scope; /* "org" (default) or "client" */
    bool strict, strict_bulk, strict_teams;
    unsigned long id_seed;        /* ids that repeat from run to run; 0: random */
    int migration_delay_ms;       /* so long a migration is RUNNING (port-api P-111) */
    bool keep_raw;                /* bodies of raw data too, not only their sizes */
    bool no_page;                 /* no web page */
    const char *admin_token;      /* the control routes then demand it in x-admin-token */
    const char *organization_id;  /* of a new file */
    const char *const *feature_flags; /* NULL ends; NULL: as stored */
    const char *seed;             /* file with what POST /_local/seed takes */
    bool read_only;
    bool no_control;              /* no /_local routes */
    const struct catalog_evaluator *evaluator; /* of the playground, outlives the catalog; NULL: none */
};

/* Default file: $XDG_DATA_HOME/ocean-run/catalog.db; caller frees. */
char *catalog_default_file(void);
/* Opens (ERR_BUSY naming pid and URL of another writer) and starts listening. */
int catalog_start(struct loop *l, const struct catalog_opts *o, struct catalog **ret, struct err *e);
const char *catalog_url(const struct catalog *c); /* http://127.0.0.1:PORT */
/* Finishes running requests (5 s at most), checkpoints. */
void catalog_stop(struct catalog *c);

/* Reading a catalog file without serving it, for `ocean-run catalog list|show`. Synchronous, read-only. */
/* {"file","blueprints":[{"identifier","title","entities"}],"entities":n}; system blueprints only if used. */
int catalog_list(const char *file, struct buf *json_out, struct err *e);
/* Entities that a query (JSON as port-api E-34 takes it) finds, or else whose identifier or title holds the text in any
 * letter case; one JSON object a line. ERR_INVAL: not a query. */
int catalog_search(const char *file, const char *query, void (*line)(void *arg, struct str json), void *arg, struct err *e);
/* Everything, as dump.h says. */
int catalog_export(const char *file, void (*line)(void *arg, struct str json), void *arg, struct err *e);
/* Empties the file. ERR_BUSY names who uses it. */
int catalog_reset(const char *file, struct err *e);
/* One entity, or with identifier NULL the entities of the blueprint: one JSON object a line through `line`. */
int catalog_show(const char *file, const char *blueprint, const char *identifier,
                 void (*line)(void *arg, struct str json), void *arg, struct err *e);
