/* check.h: values against property definitions (port-api 11.2), and identifiers (P-95, P-114).
 *
 * A definition is compiled once per blueprint into a tree in the blueprint's arena; checking allocates nothing but a small
 * list for uniqueItems. Immutable after compilation. */
#pragma once
#include "catalog/core.h"

struct check;

/* `def` must outlive the check. Never fails: what is unknown or malformed means "no check" (P-100) and adds a line to
 * `warnings` (may be NULL). */
struct check *check_compile(struct arena *a, struct json def, struct buf *warnings);

/* Where a value stands, for messages: "properties/tags/2". */
struct where {
    const struct where *up;
    struct str name; /* p NULL: element `index` */
    size_t index;
};
/* 0, or -1 with 422 invalid_request. */
int check_value(const struct check *c, struct json v, const struct where *at, struct refusal *r);
/* 422 with the path of `at`: `"properties/x" must be number`. */
int refuse_at(struct refusal *r, const struct where *at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

bool entity_identifier_ok(struct str s);
bool blueprint_identifier_ok(struct str s);
bool member_name_ok(struct str s); /* properties and relations */

enum format {
    FORMAT_NONE, FORMAT_DATE_TIME, FORMAT_URL, FORMAT_EMAIL, FORMAT_IPV4, FORMAT_IPV6, FORMAT_LABELED_URL,
};
/* false: unknown name. */
bool format_of(struct str name, enum format *ret);
bool format_matches(enum format f, struct str text);
/* For messages. */
const char *format_word(enum format f);
