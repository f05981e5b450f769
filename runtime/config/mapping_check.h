/* mapping_check.h: validation and normalisation of a mapping document. Private to config/. Pure. */
#pragma once
#include "config/mapping_doc.h"
#include "json/write.h"

struct mapping_problem {
    const char *path;    /* resources[0].port.entity.mappings.identifier */
    const char *pointer; /* /resources/0/port/entity/mappings/identifier */
    const char *message; /* expected ..., got ... */
};

/* Walks the document, calls `report` for every problem, and writes the normalised document: numbers and
 * booleans where jq is expected become texts (sync S-21, S-22), lenient booleans and thresholds become JSON
 * ones, the options get their JSON names, surplus keys of search queries are dropped. Returns the number of
 * problems. */
size_t mapping_check(struct json root, struct buf *normalised,
                     void (*report)(void *arg, const struct mapping_problem *p), void *arg);
/* mapping_doc_parse with every problem reported instead of the first. */
int mapping_doc_parse_all(struct json root, struct mapping_doc **ret,
                          void (*report)(void *arg, const struct mapping_problem *p), void *arg,
                          struct err *e);
