/* removal_order.h: in which order candidates are deleted when Port must not cascade (sync S-127, S-128). Loop thread.
 */
#pragma once
#include "sync/certificate.h"
#include "sync/run.h"

/* Reads the candidates that `wanted` accepts and finds an order of their rows in which an entity comes before those it
 * relates to. done runs once, later; rows is handed over (free()). */
void removal_order(struct run *run, const struct certificate *cert,
                   bool (*wanted)(void *arg, struct str blueprint, struct str identifier), void *wanted_arg,
                   void (*done)(void *arg, int64_t *rows, size_t n), void *arg);
