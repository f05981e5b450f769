/* preview.h: the plan of a run: what it would change, worked out without writing anything (design.md section 6).
 *
 * The run is the same up to where it would write. There each entity's write goes, with what Port has now, to a file that
 * is gone with the process (store/spool.h), and so does what would be deleted or is held back. In the end the writes of
 * each entity are folded into one change (change.h), the changes get lines in the order of blueprint and identifier, and
 * a hash over all lines; memory does not grow with their number. Writes that would change nothing are dropped.
 *
 * A line, first those of the set-up (types integration, mapping, blueprint, action, scorecard, page), then entities:
 *
 *   {"change":"create","type":"entity","blueprint":"issue","identifier":"A-1","fields":[...]}      fields: change.h
 *   {"change":"create",...,"by":"relation","fields":[]}      Port makes it, because an entity of the plan relates to it
 *   {"change":"update",...,"takes_over":true,"fields":[...]} takes_over: somebody else wrote it last
 *   {"change":"write","type":"entity","blueprint":"issue","search":{...},"matches":0,"fields":[...]}
 *                               goes to whatever the search finds when it is written; matches: what it finds now
 *   {"change":"delete",...,"resources":[{"kind":"issue","index":0}]}       they can produce it and did not
 *   {"change":"delete",...,"by":"cascade"}                                 it requires something that is deleted
 *   {"change":"held_back",...,"rule":"empty","resources":[...]}            or shrunken, threshold, required, relations
 *                                                                          "final":true: accepting does not release it
 *
 * Neither times nor ids of a run are in them, and their order is that of bytes, so that the same world gives the same
 * hash. With `json` lines are written as they are, and at last {"plan":{...}} with totals and hash (README.md).
 *
 * Loop thread; callbacks run once, later. */
#pragma once
#include "port/integration.h"
#include "sync/diff.h"
#include "sync/run.h"

#define PREVIEW_HASH 20 /* hexadecimal digits */

struct preview_opts {
    const struct port_setup_opts *setup; /* what port_setup was given; its plan is filled */
    const char *accept;                  /* hash of the plan to be carried out; NULL: only show it */
    bool json;
    void (*write)(void *arg, struct str text); /* the plan, piece by piece */
    void *arg;
};

struct preview;

/* Makes the run see mapping and blueprints as they would be. The options must outlive it. NULL with e. */
struct preview *preview_new(struct run *run, const struct preview_opts *o, struct err *e);
/* Not while something runs. NULL allowed. */
void preview_free(struct preview *p);

/* A batch: compared (side by side with others), then kept, in the order of the batches. */
struct foreseen;

/* blind: a run would write these without comparing. Items must stay until foreseen_free. */
struct foreseen *preview_compare(struct preview *p, struct resource_run *rr, const struct diff_item *items, size_t n,
                                 bool blind, void (*done)(void *arg), void *arg);
/* Why some of it could not be compared; NULL: nothing. */
const char *foreseen_trouble(const struct foreseen *f);
void preview_keep(struct preview *p, struct foreseen *f, void (*done)(void *arg), void *arg);
void foreseen_free(struct foreseen *f); /* NULL allowed */

/* An entity that would be deleted, or is held back by a rule. */
struct doomed {
    struct str blueprint, identifier;
    struct key128 key;
    const char *rule; /* NULL: deleted */
    bool final;       /* held back whoever accepts the plan */
    struct str resources; /* JSON list of those that can produce it */
};
/* The list is borrowed until done. */
void preview_doom(struct preview *p, const struct doomed *list, size_t n, void (*done)(void *arg), void *arg);
/* Does Port delete what requires a deleted entity with it: as things are, and once everything held back is released? */
void preview_cascades(struct preview *p, bool now, bool accepted);
/* A sentence for people: what is held back, and the way out. */
void preview_note(struct preview *p, const char *text);

/* The end: the hash, and the plan written if it is not to be carried out. incomplete: why it must not be carried out, or
 * NULL. e: it could not be made. */
enum preview_verdict { PREVIEW_SHOWN, PREVIEW_REFUSED /* another plan was accepted */, PREVIEW_ACCEPTED };
void preview_conclude(struct preview *p, const char *incomplete,
                      void (*done)(void *arg, enum preview_verdict v, const struct err *e), void *arg);

/* Carries an accepted plan out up to the last upsert: set-up in Port, state `running`, the writes as they were kept.
 * Outcomes are counted at the resources. */
void preview_apply(struct preview *p, struct resource_run *resources, size_t n,
                   void (*done)(void *arg, const struct err *e), void *arg);
/* What was not sent is given up; done still runs. */
void preview_abort(struct preview *p);
