/* mapping_doc.h: the mapping document (port_app_config), validated (sync section 3).
 *
 * Holds a reference to its json document; struct json members point into it. Immutable after parsing, any
 * thread. */
#pragma once
#include <stdbool.h>
#include "base/err.h"
#include "json/json.h"

struct mapping_resource {
    int index; /* position in resources; elements of a mappings array share it */
    struct str kind;
    struct json raw;      /* the resource as written */
    struct json selector; /* object or missing */
    struct str query;     /* jq text; "true" when absent (S-23) */
    bool enable_delete;
    struct str items_to_parse;      /* p NULL: absent */
    struct str items_to_parse_name; /* "item" */
    bool items_to_parse_transform;
    struct json mappings; /* the entity mappings object */
    int variant;          /* element of a mappings array, else 0 */
};

struct mapping_doc {
    struct json_doc *doc;
    bool merge_entity, delete_dependents, create_missing_related;
    double deletion_threshold;
    bool threshold_stated;
    struct mapping_resource *resources;
    size_t n;
};

/* Accepts what S-20 to S-27 and S-149 accept. null or {} is a document without resources. The message names
 * the path ("resources[0].port.entity.mappings.identifier"), the value and what was expected. Takes no
 * reference over: it makes its own. */
int mapping_doc_parse(struct json root, struct mapping_doc **ret, struct err *e);
void mapping_doc_free(struct mapping_doc *m);
/* The body sent to Port (S-29, runtime R-64): four options always present. */
int mapping_doc_write(const struct mapping_doc *m, struct buf *out);
