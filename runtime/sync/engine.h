/* engine.h: what all syncing of a process shares: resyncs, the imperative API, live events.
 *
 * Filled once after the set-up in Port, by whoever starts the process (cli) or a test; everything in it outlives every
 * event. Loop thread. */
#pragma once
#include "config/settings.h"
#include "port/client.h"
#include "store/state.h"
#include "sync/source.h"

struct jq_host;
struct ledger;
struct mappings;

struct engine {
    struct loop *loop;
    struct port *port;
    struct state *state;
    const struct source *source;
    const struct settings *settings;
    struct jq_host *jq;        /* NULL: expressions for libjq are an error of their field */
    const char *const *jq_env; /* what `env` may show; NULL ends */
    struct mappings *mappings; /* mappings_new(this engine) */
    struct ledger *ledger;     /* of the resync under way, or NULL: what others write meanwhile must stay (ledger_keep) */
};
