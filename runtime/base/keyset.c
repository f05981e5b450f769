/* Extendible hashing: a directory of 2^depth pointers, indexed by the top bits of the key, to segments that are
 * open-addressing tables of SEGMENT_SLOTS slots. A segment that is fuller than SEGMENT_FULL splits in two; only when its
 * own depth equals the directory's does the directory (pointers alone) double. Nothing else is ever copied, so the peak
 * is one segment above the steady size. The all-zero key marks an empty slot; that key itself is kept apart. */
#include "base/keyset.h"

#include <stdlib.h>

#include "base/mem.h"

#define SEGMENT_SLOTS 4096
#define SEGMENT_FULL (SEGMENT_SLOTS * 7 / 8)

struct segment {
    unsigned depth; /* leading key bits all its keys share */
    unsigned used;
    struct key128 keys[SEGMENT_SLOTS];
    unsigned char flags[SEGMENT_SLOTS];
};

struct keyset {
    struct segment **dir;
    unsigned depth;
    size_t count, segments;
    int zero_flags; /* of the all-zero key, -1: absent */
};

static bool is_zero(struct key128 k) { return k.a == 0 && k.b == 0; }
static size_t dir_index(const struct keyset *s, struct key128 k) { return s->depth ? (size_t)(k.a >> (64 - s->depth)) : 0; }

static struct segment *segment_new(struct keyset *s, unsigned depth)
{
    struct segment *g = xcalloc(1, sizeof(*g));
    g->depth = depth;
    s->segments++;
    return g;
}

struct keyset *keyset_new(void)
{
    struct keyset *s = xcalloc(1, sizeof(*s));
    s->zero_flags = -1;
    s->dir = xmalloc(sizeof(*s->dir));
    s->dir[0] = segment_new(s, 0);
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
        free(g);
    }
    free(s->dir);
    free(s);
}

/* Slot of the key, or the empty one where it belongs. */
static unsigned find(const struct segment *g, struct key128 k)
{
    unsigned i = (unsigned)(k.b & (SEGMENT_SLOTS - 1));
    while (!is_zero(g->keys[i]) && !key128_eq(g->keys[i], k))
        i = (i + 1) & (SEGMENT_SLOTS - 1);
    return i;
}

static void put(struct segment *g, struct key128 k, unsigned char flags)
{
    unsigned i = find(g, k);
    g->keys[i] = k;
    g->flags[i] = flags;
    g->used++;
}

static void split(struct keyset *s, size_t at)
{
    struct segment *g = s->dir[at];
    if (g->depth == s->depth) {
        size_t n = (size_t)1 << s->depth;
        struct segment **dir = xmalloc(2 * n * sizeof(*dir));
        for (size_t i = 0; i < n; i++)
            dir[2 * i] = dir[2 * i + 1] = s->dir[i];
        free(s->dir);
        s->dir = dir;
        s->depth++;
        at *= 2;
    }
    struct segment *lo = segment_new(s, g->depth + 1), *hi = segment_new(s, g->depth + 1);
    uint64_t bit = (uint64_t)1 << (63 - g->depth);
    for (unsigned i = 0; i < SEGMENT_SLOTS; i++)
        if (!is_zero(g->keys[i]))
            put(g->keys[i].a & bit ? hi : lo, g->keys[i], g->flags[i]);
    size_t span = (size_t)1 << (s->depth - g->depth), first = at & ~(span - 1);
    for (size_t i = 0; i < span; i++)
        s->dir[first + i] = i < span / 2 ? lo : hi;
    free(g);
    s->segments--;
}

int keyset_add(struct keyset *s, struct key128 k, unsigned char flags)
{
    if (is_zero(k)) {
        int had = s->zero_flags;
        s->zero_flags = (had < 0 ? 0 : had) | flags;
        s->count += had < 0;
        return had;
    }
    size_t at = dir_index(s, k);
    struct segment *g = s->dir[at];
    unsigned i = find(g, k);
    if (!is_zero(g->keys[i])) {
        int had = g->flags[i];
        g->flags[i] |= flags;
        return had;
    }
    while (g->used >= SEGMENT_FULL && g->depth < 60) {
        split(s, at);
        at = dir_index(s, k);
        g = s->dir[at];
    }
    put(g, k, flags);
    s->count++;
    return -1;
}

int keyset_get(const struct keyset *s, struct key128 k)
{
    if (is_zero(k))
        return s->zero_flags;
    const struct segment *g = s->dir[dir_index(s, k)];
    unsigned i = find(g, k);
    return is_zero(g->keys[i]) ? -1 : g->flags[i];
}

size_t keyset_count(const struct keyset *s) { return s->count; }

size_t keyset_bytes(const struct keyset *s)
{
    return sizeof(*s) + (sizeof(*s->dir) << s->depth) + s->segments * sizeof(struct segment);
}

void keyset_each(const struct keyset *s, void (*fn)(void *arg, struct key128 k, unsigned char flags), void *arg)
{
    if (s->zero_flags >= 0)
        fn(arg, (struct key128){0, 0}, (unsigned char)s->zero_flags);
    size_t n = (size_t)1 << s->depth;
    for (size_t i = 0; i < n;) {
        const struct segment *g = s->dir[i];
        for (unsigned k = 0; k < SEGMENT_SLOTS; k++)
            if (!is_zero(g->keys[k]))
                fn(arg, g->keys[k], g->flags[k]);
        i += (size_t)1 << (s->depth - g->depth);
    }
}
