/* named.h: deleting entities somebody named one by one: the imperative API and live events (sync 10.4). Loop thread.
 *
 * What a resync infers to be gone is another matter: removal.h, with a certificate. */
#pragma once
#include "port/entities.h"
#include "sync/engine.h"

struct named;

struct named_result {
    const struct entity_name *names; /* deleted or, in `failed`, not */
    size_t n;
    const struct err *why; /* of a failed request */
};
/* Deletes list[0..n) (texts must stay until done), in this order where Port must not cascade. told: once for each request
 * that succeeded (names: what Port says it deleted) or failed (why set); done: once, later. */
struct named *named_start(struct engine *e, const struct entity_name *list, size_t n, const struct write_options *o,
                          void (*told)(void *arg, const struct named_result *r), void (*done)(void *arg), void *arg);
/* Nothing more is sent; done still runs. */
void named_abort(struct named *d);
