/* removal.h: sending the deletions of a run (sync S-125 to S-130). Loop thread.
 *
 * Reads the candidates from the state file page by page. Cascading: bulks of one blueprint, several at once. Otherwise
 * one by one, an entity before those it relates to. */
#pragma once
#include "sync/certificate.h"
#include "sync/run.h"

#define REMOVAL_PAGE 500

/* Writes and reads a candidate's text in the state file; relations only if wanted. */
struct candidate {
    struct str blueprint, identifier;
    struct json relations;
};
void candidate_write(struct buf *out, struct str blueprint, struct str identifier, struct json relations);
/* doc owns what ret points into; json_unref it. False if the text is damaged. */
bool candidate_read(struct str text, struct candidate *ret, struct json_doc **doc);

/* Deletes every candidate that `wanted` (asked once or twice each) accepts. cert must hold and outlive the call.
 * cascade: dependents of an entity go with it; else Port keeps what others relate to. */
void removal_start(struct run *run, const struct certificate *cert, bool cascade,
                   bool (*wanted)(void *arg, struct str blueprint, struct str identifier),
                   void (*done)(void *arg, size_t deleted), void *arg);
