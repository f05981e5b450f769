/* loop_priv.h: what the other modules of io/ share with the loop. Loop thread only. */
#pragma once
#include "io/loop.h"
#include <uv.h>

struct worker_node;

/* Jobs of one loop: those waiting for the pool and how many are on it. Made by worker.c at its first use, freed with
 * the loop. */
struct worker_queue {
    struct worker_node *head, *tail;
    unsigned running, max_running;
};

struct worker_queue **loop_worker_slot(struct loop *l);

/* Runs fn(p) as the very last thing of loop_free, when no callback can come any more. */
void loop_at_end(struct loop *l, void (*fn)(void *p), void *p);
