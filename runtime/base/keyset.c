/* Extendible hashing over segments that grow in small steps.
 *
 * A directory of 2^depth pointers, indexed by the top bits of the mixed key, leads to segments. A segment is an open
 * addressing table that is grown by SEGMENT_STEP slots whenever it is FULL_PERCENT full, and splits in two when it
 * holds SEGMENT_KEYS. Segments fill evenly, so without the small steps all of them would be half empty at the same time
 * (39 bytes a key); with them the load stays between 81 and 92 percent at any size: 17 bytes of key and flags cost
 * about
 * 20. Only one segment is copied at a time; the directory, which does double, is pointers alone (0.01 bytes a key).
 *
 * At that load plain linear probing would look at a hundred slots for an absent key. The tables are therefore kept in
 * Robin Hood order: a key's slot is its share of the table's size, and nearer keys give way to farther ones, so that a
 * search ends as soon as it meets a key nearer to its own place. The all-zero key marks an empty slot and is kept
 * apart. */
#include "base/keyset.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define SEGMENT_KEYS 1024
#define SEGMENT_STEP 128
#define FULL_PERCENT 92
#define DEPTH_MAX 24 /* beyond it segments just grow: only keys that are no hashes get here */

struct segment {
    unsigned depth; /* leading bits of the mixed key that all its keys share */
    uint32_t used, cap;
    struct key128 *keys; /* cap of them, then cap flag bytes */
    unsigned char *flags;
};

struct keyset {
    struct segment **dir;
    unsigned depth;
    size_t count, segments, slots;
    int zero_flags; /* of the all-zero key, -1: absent */
};

static bool is_zero(struct key128 k) { return k.a == 0 && k.b == 0; }

/* Keys are hashes already; the mixing only keeps other keys (tests, counters) from piling up. */
static uint64_t mixed(struct key128 k)
{
    uint64_t x = (k.a ^ (k.b << 32 | k.b >> 32)) * 0x9e3779b97f4a7c15ull;
    return (x ^ x >> 32) * 0xd6e8feb86659fd93ull;
}

static size_t dir_index(const struct keyset *s, uint64_t mix)
{
    return s->depth ? (size_t)(mix >> (64 - s->depth)) : 0;
}

static uint32_t home(const struct segment *g, uint64_t mix) { return (uint32_t)((mix & UINT32_MAX) * g->cap >> 32); }

static uint32_t distance(const struct segment *g, uint32_t slot, struct key128 k)
{
    uint32_t h = home(g, mixed(k));
    return slot >= h ? slot - h : slot + g->cap - h;
}

static void table_new(struct segment *g, uint32_t cap)
{
    g->cap = cap;
    g->keys = xcalloc(cap, sizeof(*g->keys) + 1);
    g->flags = (unsigned char *)(g->keys + cap);
}

static struct segment *segment_new(struct keyset *s, unsigned depth, uint32_t cap)
{
    struct segment *g = xcalloc(1, sizeof(*g));
    g->depth = depth;
    table_new(g, cap);
    s->segments++;
    s->slots += cap;
    return g;
}

struct keyset *keyset_new(void)
{
    struct keyset *s = xcalloc(1, sizeof(*s));
    s->zero_flags = -1;
    s->dir = xmalloc(sizeof(*s->dir));
    s->dir[0] = segment_new(s, 0, SEGMENT_STEP);
    return s;
}

void keyset_free(struct keyset *s)
{
    if (!s)
        return;
    size_t n = (size_t)1 << s->depth;
    for (size_t i = 0; i < n;) {
        struct segment *g = s->dir[i];
        i += (size_t)1 << (s->depth - g->depth);
        free(g->keys);
        free(g);
    }
    free(s->dir);
    free(s);
}

/* Slot of the key, or -1. */
static int64_t find(const struct segment *g, struct key128 k, uint64_t mix)
{
    uint32_t i = home(g, mix);
    for (uint32_t d = 0; d < g->cap; d++) {
        if (key128_eq(g->keys[i], k))
            return i;
        if (is_zero(g->keys[i]) || distance(g, i, g->keys[i]) < d)
            return -1;
        i = i + 1 == g->cap ? 0 : i + 1;
    }
    return -1;
}

/* Inserts a key that is absent; there is a free slot. */
static void put(struct segment *g, struct key128 k, unsigned char flags)
{
    uint32_t i = home(g, mixed(k)), d = 0;
    g->used++;
    for (; !is_zero(g->keys[i]); d++) {
        uint32_t other = distance(g, i, g->keys[i]);
        if (other < d) { /* the one that is nearer to its place moves on instead */
            struct key128 key = g->keys[i];
            unsigned char f = g->flags[i];
            g->keys[i] = k;
            g->flags[i] = flags;
            k = key;
            flags = f;
            d = other;
        }
        i = i + 1 == g->cap ? 0 : i + 1;
    }
    g->keys[i] = k;
    g->flags[i] = flags;
}

/* Capacity for n keys: the next step that leaves room below FULL_PERCENT. */
static uint32_t capacity_for(uint32_t n) { return (n * 100u / FULL_PERCENT / SEGMENT_STEP + 1) * SEGMENT_STEP; }

static void grow(struct keyset *s, struct segment *g)
{
    struct segment old = *g;
    s->slots += SEGMENT_STEP;
    table_new(g, old.cap + SEGMENT_STEP);
    g->used = 0;
    for (uint32_t i = 0; i < old.cap; i++)
        if (!is_zero(old.keys[i]))
            put(g, old.keys[i], old.flags[i]);
    free(old.keys);
}

static void double_directory(struct keyset *s)
{
    size_t n = (size_t)1 << s->depth;
    struct segment **dir = xmalloc(2 * n * sizeof(*dir));
    for (size_t i = 0; i < n; i++)
        dir[2 * i] = dir[2 * i + 1] = s->dir[i];
    free(s->dir);
    s->dir = dir;
    s->depth++;
}

/* Splits the segment that holds keys mixed like `mix`. */
static void split(struct keyset *s, uint64_t mix)
{
    struct segment *g = s->dir[dir_index(s, mix)];
    if (g->depth == s->depth)
        double_directory(s);
    uint64_t bit = (uint64_t)1 << (63 - g->depth);
    uint32_t ones = 0;
    for (uint32_t i = 0; i < g->cap; i++)
        ones += !is_zero(g->keys[i]) && (mixed(g->keys[i]) & bit);
    struct segment *lo = segment_new(s, g->depth + 1, capacity_for(g->used - ones));
    struct segment *hi = segment_new(s, g->depth + 1, capacity_for(ones));
    for (uint32_t i = 0; i < g->cap; i++)
        if (!is_zero(g->keys[i]))
            put(mixed(g->keys[i]) & bit ? hi : lo, g->keys[i], g->flags[i]);
    size_t span = (size_t)1 << (s->depth - g->depth), first = dir_index(s, mix) & ~(span - 1);
    for (size_t i = 0; i < span; i++)
        s->dir[first + i] = i < span / 2 ? lo : hi;
    s->segments--;
    s->slots -= g->cap;
    free(g->keys);
    free(g);
}

int keyset_add(struct keyset *s, struct key128 k, unsigned char flags)
{
    if (is_zero(k)) {
        int had = s->zero_flags;
        s->zero_flags = (had < 0 ? 0 : had) | flags;
        s->count += had < 0;
        return had;
    }
    uint64_t mix = mixed(k);
    struct segment *g = s->dir[dir_index(s, mix)];
    int64_t i = find(g, k, mix);
    if (i >= 0) {
        int had = g->flags[i];
        g->flags[i] |= flags;
        return had;
    }
    while (g->used >= SEGMENT_KEYS && g->depth < DEPTH_MAX) {
        split(s, mix);
        g = s->dir[dir_index(s, mix)];
    }
    if ((uint64_t)(g->used + 1) * 100 > (uint64_t)g->cap * FULL_PERCENT)
        grow(s, g);
    put(g, k, flags);
    s->count++;
    return -1;
}

int keyset_get(const struct keyset *s, struct key128 k)
{
    if (is_zero(k))
        return s->zero_flags;
    uint64_t mix = mixed(k);
    const struct segment *g = s->dir[dir_index(s, mix)];
    int64_t i = find(g, k, mix);
    return i < 0 ? -1 : g->flags[i];
}

size_t keyset_count(const struct keyset *s) { return s->count; }

size_t keyset_bytes(const struct keyset *s)
{
    return sizeof(*s) + (sizeof(*s->dir) << s->depth) + s->segments * sizeof(struct segment) +
           s->slots * (sizeof(struct key128) + 1);
}

void keyset_each(const struct keyset *s, void (*fn)(void *arg, struct key128 k, unsigned char flags), void *arg)
{
    if (s->zero_flags >= 0)
        fn(arg, (struct key128){0, 0}, (unsigned char)s->zero_flags);
    size_t n = (size_t)1 << s->depth;
    for (size_t i = 0; i < n;) {
        const struct segment *g = s->dir[i];
        for (uint32_t k = 0; k < g->cap; k++)
            if (!is_zero(g->keys[k]))
                fn(arg, g->keys[k], g->flags[k]);
        i += (size_t)1 << (s->depth - g->depth);
    }
}
