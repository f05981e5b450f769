/* hash.h: two 128-bit hashes.
 *
 * hash128 (SipHash-2-4 with 128-bit output, Aumasson and Bernstein) is for keys and for what is kept across runs: its
 * key is fixed, pieces do not matter. mix128 is several times faster and for comparisons within one process only: it is
 * seeded anew in each, so nobody outside can aim at a collision, and its values must never be stored.
 *
 * Neither is a signature. Pure functions, any thread. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/str.h"

struct key128 {
    uint64_t a, b;
};

static inline bool key128_eq(struct key128 x, struct key128 y) { return x.a == y.a && x.b == y.b; }

struct hash128 {
    uint64_t v0, v1, v2, v3, total;
    uint64_t tail; /* the last tail_n bytes added, which fill no word yet; the first is the lowest */
    unsigned tail_n;
};

void hash128_init(struct hash128 *h);
void hash128_add(struct hash128 *h, const void *p, size_t n);
/* Adds the length first, so that ("a","bc") and ("ab","c") differ. */
void hash128_add_str(struct hash128 *h, struct str s);
struct key128 hash128_end(struct hash128 *h);
struct key128 hash128_of(struct str s);
/* A hash of a sequence of units, each a tag and bytes: ("a", "bc") and ("ab", "c") differ. */
struct mix128 {
    uint64_t a, b;
};
struct mix128 mix128_start(void);
void mix128_add(struct mix128 *m, unsigned char tag, const void *p, size_t n);
struct key128 mix128_end(struct mix128 m);

/* The key of an entity (sync S-94): both texts, length-prefixed, blueprint first. */
struct key128 key128_entity(struct str blueprint, struct str identifier);
