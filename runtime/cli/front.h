/* front.h: the HTTP listener of a run without --once: who answers which path (runtime section 9).
 *
 *   {prefix}/health/live, /health/ready   here, with and without the prefix
 *   {prefix}/integration/...              the script's routes (vm_http)
 *   /resync                               the WEBHOOK listener's, without the prefix
 *   /docs, /openapi.json                  here: the script's routes for people and programs
 *
 * Loop thread. */
#pragma once
#include "base/err.h"
#include "config/settings.h"
#include "io/loop.h"

struct front;
struct vm;

/* ERR_BUSY when the port is taken: the message names the setting. vm must outlive the front's last request. */
int front_start(struct loop *l, const struct settings *s, struct vm *vm, struct front **ret, struct err *e);
/* From now on POST /resync answers 202 at once and calls fn. */
void front_on_resync(struct front *f, void (*fn)(void *arg), void *arg);
/* Not ready until told so, and again from the moment a shutdown begins. NULL allowed. */
void front_ready(struct front *f, bool ready);
void front_quiesce(struct front *f); /* no further connection; NULL allowed */
void front_stop(struct front *f);    /* NULL allowed */
