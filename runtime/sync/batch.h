/* batch.h: a raw batch of a pipeline and what happens to it: inside sync/ only (pipeline.c moves batches on, batch.c
 * does the work of each step). Loop thread, but for the mapping job. */
#pragma once
#include "io/worker.h"
#include "sync/diff.h"
#include "sync/run.h"
#include "sync/source.h"

enum batch_state { BATCH_OPEN, BATCH_MAPPING, BATCH_MAPPED, BATCH_COMPARING, BATCH_READY, BATCH_LOADING };

struct part { /* a list or batch as pushed */
    struct json_doc *doc;
    struct json items;
};

struct batch {
    struct worker_job job; /* first: the worker hands it back */
    struct pipeline *p;
    struct batch *next;
    enum batch_state state;
    struct part *parts;
    size_t nparts;
    size_t bytes;
    struct mapped_batch *mapped;
    struct err err; /* of the mapping as a whole */
    struct diff_item *items;
    size_t nitems;
    size_t unresolved; /* entities in the loader */
    struct foreseen *foreseen; /* for a plan, in place of the loader */
};

struct foreseen;
struct load_outcome;
struct examples;
struct misconfig_log;

struct pipeline {
    struct sink sink; /* first: callbacks get it */
    struct run *run;
    struct resource_run *rr;
    void *handle; /* the source's */
    struct batch *head, **tail;
    size_t batches, bytes;
    size_t lookahead;
    void (*room)(void *arg);
    void *room_arg;
    struct timer *linger; /* bulks that are not full wait for the next batch */
    struct examples *examples;
    struct misconfig_log *misconfig;
    size_t passed, selector_passed;
    bool selector_broken; /* its compile error is reported through its items */
    bool source_done, dead, cancel_wanted, cancelled, scheduled, over;
    void (*done)(void *arg, struct pipeline *p);
    void *arg;
};

/* An error of the resource: counted, logged, and nothing is deleted in this run. where may be "". */
void pipeline_record(struct pipeline *p, const char *where, const char *message, size_t count);
/* Moves the queue on, soon. */
void pipeline_schedule(struct pipeline *p);
void pipeline_changed(struct pipeline *p);

struct batch *batch_new(struct pipeline *p);
void batch_free(struct batch *b);
/* Takes the document. */
void batch_add_part(struct batch *b, struct json_doc *doc, struct json items);
/* MAPPING: on a worker; ends in MAPPED. */
void batch_map(struct batch *b);
/* The mapping as a whole failed or was cancelled (S-45). */
bool batch_map_failed(const struct batch *b);
/* Counts what became of an entity that was sent. */
void batch_outcome(struct run *run, struct resource_run *rr, const struct mapped_entity *e, const struct load_outcome *o);
/* Counts a mapped batch and compares it: COMPARING, then READY; READY at once if it is not compared. */
void batch_compare(struct batch *b);
/* LOADING: hands what differs to the loader. */
void batch_load(struct batch *b);
