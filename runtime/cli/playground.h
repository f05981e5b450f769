/* playground.h: `ocean-run map` for the catalog's web page, in a process of its own that can be killed.
 *
 * The page may only be as dangerous as text in a box: env is empty, a deadline and a memory limit end what goes wrong.
 * Loop thread, but for playground_serve. */
#pragma once
#include "catalog/catalog.h"

struct playground;

struct playground *playground_new(struct loop *l);
void playground_free(struct playground *p); /* after the catalog that uses it has stopped; NULL allowed */
/* What catalog_opts takes. */
const struct catalog_evaluator *playground_evaluator(struct playground *p);

#define PLAYGROUND_WORKER "--playground-worker"
/* The process's side; returns its exit code. */
int playground_serve(void);
