/* setup_priv.h: the running start-up initialisation, shared by setup*.c. Private to port/. Loop thread. */
#pragma once
#include "port/fan.h"
#include "port/integration_priv.h"
#include "port/setup_docs.h"

struct pretence;

enum setup_origin { ORIGIN_DEFAULT, ORIGIN_EMPTY, ORIGIN_PORT };

struct setup_blueprint {
    struct json def;      /* ours */
    struct json_doc *doc; /* Port's answer; NULL: absent */
    struct json theirs;
    bool exists, created, patch; /* patch: Port's one is brought up to date */
};

struct setup {
    struct port *port;
    struct port_setup_opts o;
    char *origin_setting, *runtime;
    port_plain_fn done;
    void *arg;

    struct json_doc *found;      /* the document as it was read first; NULL: there was none */
    struct json_doc *doc;        /* holds `integration` */
    struct json integration;     /* the newest document; v NULL: does not exist */
    struct mapping_doc *mapping; /* the default one, or NULL */
    bool provision;
    enum setup_origin origin;
    bool created; /* the integration, in this run */
    int polls;
    uint64_t started_ms;
    double poll_wait_s, polled_s;
    struct timer *timer;
    struct pretence *pretence; /* an answer of setup_plan.c that is on its way, or NULL */

    struct setup_blueprint *blueprints;
    size_t nblueprints;
    bool apply; /* bring Port up to date instead of first installation */
    enum blueprint_stage stage;
    size_t group; /* actions, scorecards, pages */
    struct json *items;
    char **paths;
    size_t nitems;
    struct err failure; /* first one of a group; code 0: none */
    struct fan *fan;
};

void setup_end(struct setup *s, const struct err *e); /* calls done, frees */
void setup_fail_answer(struct setup *s, const struct port_answer *a, const struct err *e, const char *method,
                       const char *path);
/* Fills `e` from whichever there is; 0 if the answer is a good one. */
int setup_outcome(const struct port_answer *a, const struct err *e, const char *method, const char *path,
                  struct err *ret);
/* Keeps the integration of an answer, if it has one. */
void setup_keep(struct setup *s, const struct port_answer *a);
/* PATCH /integration/{id}<rest>; body is taken. */
void setup_patch(struct setup *s, const char *rest, struct buf *body, bool skip_resync, port_done_fn done);
/* What is left of the phase's time, at least a second. */
int64_t setup_time_left(const struct setup *s);

/* setup_plan.c: planning, what would be written is noted instead. */

/* The integration as Port would answer it after this body; done runs later. Takes the body. */
void setup_pretend(struct setup *s, struct buf *body, port_done_fn done);
void setup_pretence_free(struct pretence *p); /* NULL allowed */
void setup_note_item(struct setup *s, const char *type, struct json item, struct str blueprint);
void setup_note_blueprints(struct setup *s);
/* The integration itself and the outcome; before done. */
void setup_note_end(struct setup *s);

/* setup_document.c: both go on with setup_defaults. */
void setup_reconcile(struct setup *s);
void setup_create(struct setup *s);
/* setup.c: what the origin asks for. */
void setup_defaults(struct setup *s);

/* The mapping of origin Empty. */
#define SETUP_EMPTY_MAPPING                                                                                 \
    "{\"deleteDependentEntities\":true,\"createMissingRelatedEntities\":true,\"enableMergeEntity\":true," \
    "\"entityDeletionThreshold\":0.9,\"resources\":[]}"

/* setup_defaults.c: blueprints, actions, scorecards, pages; ends in setup_installed. */
void setup_install(struct setup *s);
void setup_installed(struct setup *s);
/* setup_config.c: brings the mapping up to date where that is allowed, then ends. */
void setup_config(struct setup *s);
/* Body of PATCH .../config with the default mapping. */
void setup_config_body(const struct setup *s, struct buf *out);
/* The value of `config` for the default mapping, marked where that is needed. */
void setup_config_value(const struct setup *s, struct buf *out);
bool setup_is_marked(const struct setup *s);
