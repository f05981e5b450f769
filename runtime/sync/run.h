/* run.h: what the stages of one run share. Made and owned by resync.c; inside sync/ only. Loop thread. */
#pragma once
#include "mapping/plan.h"
#include "port/entities.h"
#include "sync/engine.h"
#include "sync/ledger.h"
#include "sync/report.h"
#include "sync/schemas.h"

struct keycount;
struct loader;
struct preview;

struct run {
    struct engine *engine;
    struct event *event; /* has the mapping */
    const struct mapping_doc *mapping;
    struct write_options write;
    struct ledger *ledger;
    struct schemas *schemas;
    struct keycount *pending; /* keys between the diff and their outcome */
    struct loader *loader;
    struct preview *preview; /* while a plan is made: nothing is written; else NULL */
    struct resync_report *report;
    void (*changed)(void *arg); /* the report has new numbers */
    void *changed_arg;
};

/* One resource of the mapping in this run. */
struct resource_run {
    const struct mapping_resource *res;
    const struct plan *plan;    /* the mapping's; NULL: it could not be made, see err */
    const struct err *err;
    struct resource_report *report;
    size_t slot; /* position in the run's list */
    bool failed; /* an error or a taint: nothing is deleted in this run */
    struct source_report evidence;
};

#define RETRY_LIST "retry"
#define CANDIDATE_LIST "candidates"
