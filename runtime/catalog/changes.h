/* changes.h: what each resync changed: counts, and the first keys (port-api P-215).
 *
 * Writers say with `ocean_info_resync_id` which resync they belong to. Database thread; stored in the request's own
 * transaction, so a change is on record exactly when it happened. */
#pragma once
#include "catalog/work.h"

#define CHANGES_KEYS 1000   /* kept of a resync */
#define CHANGES_RESYNCS 100 /* the newest that are kept */

/* A change of this request; nothing unless it names a resync. */
void changes_note(struct work *w, enum change what, struct str blueprint, struct str identifier);
/* Adds this request's effects to its resync. */
int changes_store(struct work *w);

struct changes {
    struct str event, datasource; /* of the first write */
    int64_t first_at, last_at, created, updated, unchanged, deleted, failed;
};
/* The newest resyncs of an integration, or of all (`integration` p NULL); `event` p NULL: any. fn < 0 refuses. */
int changes_each(struct core *k, struct str integration, struct str event, int64_t limit,
                 int (*fn)(void *arg, const struct changes *c), void *arg, struct refusal *r);
int changes_keys(struct core *k, struct str event,
                 int (*fn)(void *arg, enum change what, struct str blueprint, struct str identifier), void *arg,
                 struct refusal *r);
