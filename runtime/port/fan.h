/* fan.h: the same kind of request for many things, a few at a time. Private to port/. Loop thread. */
#pragma once
#include "port/client_priv.h"

#define FAN_LIMIT 10 /* at a time (runtime R-92) */

struct fan;

struct fan_ops {
    /* Fills method, body, feature... and the path; false: nothing is sent for this one. */
    bool (*build)(void *arg, size_t i, struct port_request *r, struct buf *path);
    void (*answer)(void *arg, size_t i, const struct port_answer *a, const struct err *e);
    /* After the last answer; may run at once if nothing is to be sent. */
    void (*finished)(void *arg);
};

/* *slot holds the fan while it runs, so that its owner can let it go (fan_free) when the port is freed. ops
 * must stay. */
void fan_run(struct port *p, struct fan **slot, size_t n, const struct fan_ops *ops, void *arg);
void fan_free(struct fan *f); /* NULL allowed; its calls are gone already */
