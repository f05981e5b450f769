/* integration.h: the integration document: start-up initialisation, mapping, resync state, examples.
 *
 * Spec: runtime sections 4 and 8, port-api section 9, sync S-15, S-60. Loop thread; every function calls
 * `done` once, later. */
#pragma once
#include "config/definition.h"
#include "config/mapping_doc.h"
#include "port/client.h"

typedef void (*port_plain_fn)(void *arg, const struct err *e);

/* One thing port_setup would create or change. */
struct port_setup_change {
    const char *type; /* "integration", "mapping", "blueprint", "action", "scorecard", "page" */
    char *identifier; /* of a scorecard with its blueprint: "service/quality" */
    struct json before, after; /* in the parts that are written; before missing: it is created */
    struct json_doc *docs[2];  /* hold them */
};
/* What port_setup would do, and how the integration would stand then. */
struct port_setup_plan {
    struct json_doc *doc;
    struct json config; /* the mapping in Port afterwards */
    struct port_setup_change *changes;
    size_t n;
};
void port_setup_plan_done(struct port_setup_plan *p); /* frees what it holds */

struct port_setup_opts {
    const struct definition *def;
    bool initialize_resources; /* runtime R-83 */
    const char *origin;        /* configured create_port_resources_origin or NULL */
    bool reset_mapping;        /* --reset-mapping */
    bool embedded;             /* edits of .port/ are applied too (design.md section 9 item 9) */
    const char *runtime;       /* "Saas" or "OnPrem"; NULL: OnPrem (runtime R-68) */
    struct port_setup_plan *plan; /* not NULL: nothing is written, what would be comes here; must stay until done */
};
/* Validates, creates the integration, patches what differs, installs defaults in three stages.
 * Idempotent. */
void port_setup(struct port *p, const struct port_setup_opts *o, port_plain_fn done, void *arg);

/* The mapping, fetched anew (S-15). m is handed over (mapping_doc_free). */
void port_get_mapping(struct port *p, void (*done)(void *arg, struct mapping_doc *m, const struct err *e),
                      void *arg);

/* status: running, completed, failed, aborted. Retried; never decides over the resync. */
void port_resync_state(struct port *p, const char *status, int interval_min, port_plain_fn done, void *arg);

/* An instant of the integration document, as Port wrote it; p NULL: there is none. */
typedef void (*port_instant_fn)(void *arg, struct str updated_at, const struct err *e);
/* The newest resync request (E-10), and the last state that was told. */
void port_resync_request(struct port *p, port_instant_fn done, void *arg);
void port_last_resync_state(struct port *p, port_instant_fn done, void *arg);

/* Uploads examples (S-57 to S-62): body is the complete, already masked {"examples": [...]}; taken. */
void port_examples(struct port *p, struct str kind, struct buf *body, port_plain_fn done, void *arg);
