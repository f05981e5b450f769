/* entities_priv.h: shared by entities.c and upsert.c. Private to port/. Loop thread. */
#pragma once
#include "port/client_priv.h"
#include "port/entities.h"

/* "/blueprints/<encoded>" and `rest`. */
void entities_path(struct buf *out, struct str blueprint, const char *rest);
/* Query of an upsert (sync S-106). */
void entities_write_query(struct buf *q, const struct write_options *o);
/* Body of the lookup (S-96). */
void entities_search_body(const struct port *p, struct buf *out, struct str blueprint,
                          const struct str *identifiers, size_t n, enum port_feature feature);
/* A POST /entities/search; `body` and what `query` holds are taken. found runs once. */
void entities_search(struct port *p, struct buf *query, struct buf *body, enum port_feature feature,
                     void (*found)(void *arg, struct json entities, const struct err *e), void *arg);
/* A retryable POST with a feature. blueprint p NULL: a search or a listing, `rest` is the whole path. `body` is taken. */
struct port_call *entities_send(struct port *p, struct str blueprint, const char *rest, const char *query,
                                struct buf *body, enum port_feature feature, port_done_fn done, void *arg);
/* The outcomes of a bulk's answer (S-107), by index; results has n elements. */
void upsert_read_bulk(struct json root, struct upsert_result *results, size_t n);
/* The outcome of a single upsert's answer (S-109); text is the entity as sent. */
void upsert_read_single(const struct port_answer *a, struct str text, struct upsert_result *ret);
