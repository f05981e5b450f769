/* entities.h: bulks, lookups, listing and deletion (sync sections 7 to 10). Loop thread; `done` runs once,
 * later. */
#pragma once
#include "port/client.h"

struct write_options { /* one per event: S-14, S-28 */
    bool merge, create_missing, delete_dependents;
    const char *event_type; /* "resync" */
    const char *resync_id;  /* NULL unless a resync */
    enum port_feature feature;
};

enum upsert_outcome { UPSERT_CREATED, UPSERT_UPDATED, UPSERT_UNMATCHED, UPSERT_FAILED };
struct upsert_result {
    enum upsert_outcome outcome;
    bool created_known;    /* the answer said created true or false */
    struct str identifier; /* final one from Port; p NULL if not told */
    int status;            /* of this entity when failed; 0: transport */
    struct str message;
};
/* results[i] belongs to texts[i]; valid during the call. whole: set when the request failed as a whole. */
typedef void (*upsert_done_fn)(void *arg, const struct upsert_result *results, size_t n,
                               const struct err *whole);

/* One bulk (S-106): at most 20 entity texts, not above the size limit. A 413 is answered by single upserts
 * (S-109) inside. */
void port_bulk_upsert(struct port *p, struct str blueprint, const struct str *texts, size_t n,
                      const struct write_options *o, upsert_done_fn done, void *arg);
void port_single_upsert(struct port *p, struct str blueprint, struct str text, const struct write_options *o,
                        upsert_done_fn done, void *arg);

/* Lookup of S-96: at most 50 identifiers of one blueprint; parts as plan_parts. The document of the answer is
 * borrowed. */
void port_lookup(struct port *p, struct str blueprint, const struct str *identifiers, size_t n,
                 const struct str *parts, size_t nparts, enum port_feature feature,
                 void (*done)(void *arg, struct json entities, const struct err *e), void *arg);

/* Which of these entities exist and belong to this integration and feature (S-133): at most 50. */
struct entity_name {
    struct str blueprint, identifier;
};
void port_ownership(struct port *p, const struct entity_name *names, size_t n, enum port_feature feature,
                    void (*done)(void *arg, struct json entities, const struct err *e), void *arg);

typedef void (*port_found_fn)(void *arg, struct json entities, const struct err *e);

/* Entities with these identifiers, at most 50, whoever owns them. parts as plan_parts; parts NULL: whole entities. */
void port_find(struct port *p, struct str blueprint, const struct str *identifiers, size_t n, const struct str *parts,
               size_t nparts, port_found_fn done, void *arg);
/* What a search query in an entity (P-147) would find, identifiers alone. */
void port_find_matching(struct port *p, struct str blueprint, struct json query, port_found_fn done, void *arg);
/* What requires these, at most 50, and what requires that (P-159): blueprints, identifiers and these relations. */
void port_find_dependents(struct port *p, struct str blueprint, const struct str *identifiers, size_t n,
                          const struct str *relations, size_t nrelations, port_found_fn done, void *arg);
/* All blueprints, past the cache. */
void port_blueprint_list(struct port *p, void (*done)(void *arg, struct json blueprints, const struct err *e), void *arg);

/* One page of the listing (S-119). from: cursor of the page before, p NULL first. `next` p NULL at the
 * end. */
void port_list_owned(struct port *p, enum port_feature feature, const char *before_iso /* NULL: none */,
                     struct str from, int limit,
                     void (*done)(void *arg, struct json entities, struct str next, const struct err *e),
                     void *arg);

/* One delete request (S-125): at most 100 identifiers. deleted: the answer's deletedEntities. */
void port_bulk_delete(struct port *p, struct str blueprint, const struct str *identifiers, size_t n,
                      const struct write_options *o,
                      void (*done)(void *arg, struct json deleted, const struct err *e), void *arg);

/* A blueprint through the cache; failures are remembered until port_blueprints_clear. */
void port_blueprint(struct port *p, struct str identifier,
                    void (*done)(void *arg, struct json blueprint, const struct err *e), void *arg);
void port_blueprints_clear(struct port *p);
