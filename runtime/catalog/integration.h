/* integration.h: rows of the table `integration` (port-api 9), shared by the routes that look one up. */
#pragma once
#include "catalog/work.h"

enum integration_by { BY_IDENTIFIER, BY_INTERNAL, BY_INGEST, BY_ANY };

/* Number of the integration; 0 after a refusal (404 or 500). */
int64_t integration_find(struct work *w, struct str name, enum integration_by by);
/* Stores a document of a new integration; `now` is its first resync request. -1 refused. */
int integration_create(struct work *w, struct json in, int64_t client, int64_t now);
/* A new resync request, later than any before it (P-85). */
int integration_request(struct work *w, int64_t id);
