/* builtins.h: jq's builtins, by file. Each table ends with a NULL name. See eval.h for the contract of
 * natives. */
#pragma once
#include "mapping/eval.h"

extern const struct native natives_core[];   /* builtins_core.c: types, conversion, containers */
extern const struct native natives_string[]; /* builtins_string.c */
extern const struct native natives_form[];   /* builtins_form.c: what evaluates its own arguments */
extern const struct native natives_math[];   /* builtins_math.c */
extern const struct native natives_regex[];  /* builtins_regex.c */
extern const struct native natives_date[];   /* builtins_date.c */

struct regex_cache;
void regex_cache_free(struct regex_cache *r); /* NULL allowed */

/* Sorts the elements of an array by jq's order, keeping equal ones in place. */
int sort_values(struct ev *c, struct val a, struct val *ret);
int sort_pairs(struct ev *c, struct val *keys, struct val *values, size_t n);
