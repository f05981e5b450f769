/* compare.h: equality, canonical form and fingerprints. Pure, any thread. */
#pragma once
#include "base/hash.h"
#include "json/json.h"

/* Deep equality: object key order ignored, array order significant, numbers by value
 * (1 equals 1.0; integers beyond 2^53 exactly). Missing equals only missing. */
bool json_equal(struct json a, struct json b);
/* Numbers by value, from their texts. */
bool json_num_equal(struct str a, struct str b);
/* Appends the canonical text: keys sorted by code point at every level, duplicates resolved to
 * the last, numbers as they stood. Two documents with equal keys and texts give equal bytes. */
int json_canonical(struct buf *out, struct json j);
/* Fingerprint of the canonical value (numbers normalised so that json_equal values agree). */
struct key128 json_fingerprint(struct json j);
/* Text of any value for comparisons of identifiers (sync S-94): strings as they are, objects
 * and arrays canonical, others their JSON text. */
int json_identifier_text(struct buf *out, struct json j);
