/* dump.h: the whole catalog as JSON lines, sorted, so that two exports can be compared line by line (port-api 16.2).
 *
 * A line is {"table": NAME, ...}; small numbers that only mean something inside one file (blueprints, clients,
 * integrations) stand as the texts they are for. Tokens and their key are never in it (P-227). Database thread. */
#pragma once
#include "catalog/core.h"

/* Calls `line` for every line, without its line break. */
int dump_write(struct core *k, void (*line)(void *arg, struct str json), void *arg, struct refusal *r);
/* Replaces everything but the tokens by these lines. Refused as a whole at the first line that is not one of ours. */
int dump_read(struct core *k, struct str lines, struct refusal *r);
/* Empties every table but `token` and what `meta` must keep. */
int dump_clear(struct core *k, struct refusal *r);
