/* misconfig.h: fields of a mapping that were null, said once with the way out (sync S-90 to S-93). Loop thread. */
#pragma once
#include "mapping/plan.h"
#include "sync/schemas.h"

struct misconfig_log;

/* kind must outlive it. */
struct misconfig_log *misconfig_log_new(struct str kind, int index);
/* Logs what was found in a batch: error level for fields the blueprint requires, else warning. A field is logged when
 * it first appears; later batches only add to its count. schema: of a literal blueprint, else NULL. */
void misconfig_note(struct misconfig_log *l, const struct misconfig *m, size_t n, const struct schema *schema);
/* Logs the sums of fields that went on being null, and frees. NULL allowed. */
void misconfig_log_end(struct misconfig_log *l);
