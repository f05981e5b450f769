/* strmap.h: map from text to pointer, keeping insertion order.
 *
 * Keys are copied. Values are borrowed: the map never frees them unless a
 * destructor is given. Not for hostile sizes: it holds everything in memory.
 * One thread at a time. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "base/str.h"

struct strmap;

struct strmap *strmap_new(void (*free_value)(void *)); /* NULL: values are not freed */
void strmap_free(struct strmap *m);
/* Returns the former value or NULL (not freed: the caller owns it now). */
void *strmap_put(struct strmap *m, struct str key, void *value);
void *strmap_get(const struct strmap *m, struct str key); /* NULL if absent */
bool strmap_has(const struct strmap *m, struct str key);
void *strmap_del(struct strmap *m, struct str key); /* returns the value, not freed */
size_t strmap_count(const struct strmap *m);
/* Iterates in insertion order: pass 0, then the returned cursor; 0 ends. */
size_t strmap_next(const struct strmap *m, size_t cursor, struct str *key, void **value);
