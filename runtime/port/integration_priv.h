/* integration_priv.h: shared by integration.c, setup.c and their tests. Private to port/. */
#pragma once
#include "port/client_priv.h"
#include "port/integration.h"

/* "/integration/<encoded>" and `rest`. */
void integration_path(const struct port *p, struct buf *out, const char *rest);
/* GET of the document (runtime R-105). drop: as in struct port_call, or NULL. */
void integration_read(struct port *p, port_done_fn done, void *arg, void (*drop)(void *));
/* runtime R-179. Pure. */
int64_t integration_next_resync(int64_t start_us, int64_t now_us, int interval_min);
/* Body of the resync-state PATCH. Pure. */
void integration_state_body(struct buf *out, const char *status, int interval_min, int64_t start_us,
                            int64_t now_us);
