/* world.h: what the simulation holds true: a source, Port's catalog, and when each entity came into being.
 *
 * Lies in memory shared by two processes: the simulated runtime reads and changes the source, the simulated Port the
 * catalog. A stamp orders what happens in both. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BLUEPRINTS 2 /* "a"; "b", whose entities relate to one of "a" */
#define IDS 40
#define PLACEHOLDER 1000000u /* version of an entity that Port made for a relation */

struct world {
    atomic_ulong stamp;
    atomic_ulong run_start;                    /* when the run under way began */
    atomic_uint source[BLUEPRINTS][IDS];       /* version; 0: does not exist */
    atomic_ulong since[BLUEPRINTS][IDS];       /* when it came into being at the source */
    unsigned port[BLUEPRINTS][IDS];            /* version; 0: Port does not have it */
    int64_t updated_us[BLUEPRINTS][IDS];
    int64_t run_start_us;                      /* the same as an instant */
    unsigned faults;    /* of 100 requests to Port so many go wrong */
    bool cautious;      /* the mapping states the default threshold; false: deletion is never too much */
    int running, ended; /* states Port was told: begun, and come to an end */
    char state[32];     /* the last one */
    unsigned requests;
    char violation[256]; /* "": none */
};

static inline int target_of(int id) { return id * 7 % IDS; }

/* May this entity be missed from now on by the run under way? Not if it has existed at the source all along. */
static inline bool must_stay(struct world *w, int blueprint, int id)
{
    return atomic_load(&w->source[blueprint][id]) && atomic_load(&w->since[blueprint][id]) < atomic_load(&w->run_start);
}
