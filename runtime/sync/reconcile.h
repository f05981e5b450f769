/* reconcile.h: what Port has and this run did not produce: found, protected, held back or deleted (sync sections 4.5
 * and 10, design.md section 6). Loop thread.
 *
 * Two steps, because the certificate needs the first one's success: listing, then, with a certificate, deletion. */
#pragma once
#include "sync/certificate.h"
#include "sync/run.h"
#include "sync/scope.h"

struct reconcile;

struct reconcile_opts {
    struct run *run;
    struct resource_run *resources;
    size_t n;
    const struct scope *scope; /* not empty; must outlive it */
    const char *const *allow_empty;
    size_t nallow_empty;
    double max_shrink_percent;
    bool accepted; /* the plan was: what it held back is released, and nothing is deleted that is not in it */
};

struct reconcile *reconcile_new(const struct reconcile_opts *o);
void reconcile_free(struct reconcile *r); /* NULL allowed; not while something runs */
/* Lists what the integration owns, keeping only candidates, in the state file. e: the listing failed or the run was
 * aborted. */
void reconcile_list(struct reconcile *r, void (*done)(void *arg, const struct err *e), void *arg);
/* Deletes what may be deleted, counts what is held back, records what this run saw. cert must outlive it. While a plan is
 * made all of that goes into the plan instead. */
void reconcile_delete(struct reconcile *r, const struct certificate *cert, void (*done)(void *arg), void *arg);
