/* keyset.h: the segmented set of 128-bit keys with one byte of flags each.
 *
 * It grows by segments of fixed size, never doubles as a whole (design.md
 * section 6): about 20 bytes a key at any size. One thread at a time. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "base/hash.h"

struct keyset;

struct keyset *keyset_new(void);
void keyset_free(struct keyset *s);
/* Ors `flags` into the key's byte, inserting it if absent. Returns the flags it had, or -1 if it was absent. */
int keyset_add(struct keyset *s, struct key128 k, unsigned char flags);
int keyset_get(const struct keyset *s, struct key128 k); /* flags, or -1 */
size_t keyset_count(const struct keyset *s);
size_t keyset_bytes(const struct keyset *s);
/* Calls fn for every key; order unspecified. */
void keyset_each(const struct keyset *s, void (*fn)(void *arg, struct key128 k, unsigned char flags), void *arg);
