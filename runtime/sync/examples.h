/* examples.h: the first raw items of a handler run, masked and uploaded (sync S-57 to S-62). Loop thread. */
#pragma once
#include "port/client.h"
#include "json/json.h"

struct examples;

/* kind must outlive it. `limit` items in all; 0 sends nothing. idle: runs when an upload ended and none is left. */
struct examples *examples_new(struct port *p, struct str kind, size_t limit, void (*idle)(void *arg), void *arg);
/* Not while examples_busy. NULL allowed. */
void examples_free(struct examples *x);
/* Offers a raw batch as the handler produced it. */
void examples_offer(struct examples *x, struct json items);
/* Forgets what was not sent yet. */
void examples_stop(struct examples *x);
bool examples_busy(const struct examples *x);

/* Appends `j` with every string masked. */
void examples_mask(struct buf *out, struct json j);
