/* keycount.h: how often a 128-bit key is held at the moment: keys of entities on their way to Port.
 *
 * Unlike keyset (which remembers a whole run) it is small and forgets: a key that is dropped as often as it was added
 * is gone. One thread at a time. */
#pragma once
#include "base/hash.h"
#include <stddef.h>

struct keycount;

struct keycount *keycount_new(void);
void keycount_free(struct keycount *c); /* NULL allowed */
/* Adds one; returns the count before. */
unsigned keycount_add(struct keycount *c, struct key128 k);
unsigned keycount_get(const struct keycount *c, struct key128 k);
/* Takes one away; a key that is not held is ignored. */
void keycount_drop(struct keycount *c, struct key128 k);
size_t keycount_size(const struct keycount *c); /* distinct keys */
