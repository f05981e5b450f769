/* pipeline.h: one resource on its way: raw batches in, mapped, compared, loaded, counted (design.md section 6).
 *
 * Implements struct sink. At most `lookahead` raw batches and 16 MiB are between push and their last outcome; one
 * always is. Batches are mapped side by side on workers and go on in order. Loop thread. */
#pragma once
#include "sync/loader.h"
#include "sync/run.h"

struct pipeline;

/* done runs once, later, when the source said done and everything pushed has its outcome; free it then. */
struct pipeline *pipeline_new(struct run *run, struct resource_run *rr, void (*done)(void *arg, struct pipeline *p),
                              void *arg);
void pipeline_free(struct pipeline *p);
/* Starts the source's handlers for this resource. */
void pipeline_start(struct pipeline *p, struct event *ev);
/* sync S-48: cancels the handlers and drops what was not sent; done still runs. */
void pipeline_abort(struct pipeline *p);
struct resource_run *pipeline_resource(const struct pipeline *p);
/* The loader's outcome of an entity; arg is the batch the pipeline passed to loader_add. */
void pipeline_outcome(void *arg, const struct mapped_entity *e, const struct load_outcome *o);
