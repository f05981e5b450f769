/* loader.h: entities into bulks, bulks to Port, outcomes back (sync section 8).
 *
 * Entities come in order and leave in bulks of one blueprint, filled by exact size (sync S-105). Several bulks are in
 * flight; one that shares a key with one in flight waits, so the state produced last is the one that stays. Loop
 * thread. Entity memory belongs to the caller until its outcome ran; outcomes never run from inside loader_add or
 * loader_flush. */
#pragma once
#include "mapping/plan.h"
#include "port/entities.h"

struct loader;

struct load_outcome {
    enum upsert_outcome what;
    bool created_known;
    bool abandoned;        /* the run was aborted before it was sent */
    struct str identifier; /* from Port; p NULL if not told */
    int status;
    struct str message;
};
/* arg is what loader_add was given. The last outcome of a bulk is followed by `bulk_end` (may be NULL). */
typedef void (*load_outcome_fn)(void *arg, const struct mapped_entity *e, const struct load_outcome *o);

struct loader_opts {
    struct loop *loop;
    struct port *port;
    const struct write_options *write; /* must outlive the loader */
    size_t max_entities, max_bytes;    /* 20 and 1 MiB, envelope included */
    load_outcome_fn outcome;
    void (*bulk_end)(void *arg);
    void *bulk_arg;
};

struct loader *loader_new(const struct loader_opts *o);
/* Nothing may be under way. NULL allowed. */
void loader_free(struct loader *l);
void loader_add(struct loader *l, const struct mapped_entity *e, void *arg);
/* Sends bulks that are not full yet too. */
void loader_flush(struct loader *l);
/* Whatever was not sent gets the outcome `abandoned`, soon. */
void loader_abort(struct loader *l);
bool loader_has_open(const struct loader *l); /* some bulk is not full yet */

/* Packing, pure. */
struct pack {
    size_t n, bytes; /* bytes: the complete request body */
};
struct pack pack_empty(void);
/* True if a text of `bytes` may join; an empty bulk takes anything. */
bool pack_fits(const struct pack *p, size_t bytes, size_t max_entities, size_t max_bytes);
void pack_add(struct pack *p, size_t bytes);
