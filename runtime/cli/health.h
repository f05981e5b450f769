/* health.h: the HTTP listener of a run without --once: /health/live and /health/ready (runtime ).
 *
 * Loop thread. */
#pragma once
#include "base/err.h"
#include "config/settings.h"
#include "io/loop.h"

struct health;

/* ERR_BUSY when the port is taken: the message names the setting. */
int health_start(struct loop *l, const struct settings *s, struct health **ret, struct err *e);
/* Not ready until told so, and again from the moment a shutdown begins. */
void health_ready(struct health *h, bool ready);
void health_stop(struct health *h); /* NULL allowed */
