/* Open addressing with linear probing and backward-shift deletion, so there are no tombstones to clean up: the table
 * sees as many deletions as insertions and stays a few thousand entries large. Keys are hashes already. */
#include "sync/keycount.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"

struct slot {
    struct key128 key;
    uint32_t n; /* 0: free */
};
struct keycount {
    struct slot *slots;
    size_t mask, used;
};

struct keycount *keycount_new(void)
{
    struct keycount *c = xcalloc(1, sizeof(*c));
    c->mask = 255;
    c->slots = xcalloc(c->mask + 1, sizeof(*c->slots));
    return c;
}

void keycount_free(struct keycount *c)
{
    if (!c)
        return;
    free(c->slots);
    free(c);
}

/* The slot of the key, or the free one where it belongs. */
static struct slot *find(const struct keycount *c, struct key128 k)
{
    size_t i = k.a & c->mask;
    while (c->slots[i].n && !key128_eq(c->slots[i].key, k))
        i = (i + 1) & c->mask;
    return &c->slots[i];
}

static void grow(struct keycount *c)
{
    struct slot *old = c->slots;
    size_t n = c->mask + 1;
    c->mask = n * 2 - 1;
    c->slots = xcalloc(n * 2, sizeof(*c->slots));
    for (size_t i = 0; i < n; i++)
        if (old[i].n)
            *find(c, old[i].key) = old[i];
    free(old);
}

unsigned keycount_add(struct keycount *c, struct key128 k)
{
    struct slot *s = find(c, k);
    if (s->n)
        return s->n++;
    if ((c->used + 1) * 2 > c->mask) {
        grow(c);
        s = find(c, k);
    }
    *s = (struct slot){k, 1};
    c->used++;
    return 0;
}

unsigned keycount_get(const struct keycount *c, struct key128 k) { return find(c, k)->n; }

void keycount_drop(struct keycount *c, struct key128 k)
{
    struct slot *s = find(c, k);
    if (!s->n || --s->n)
        return;
    c->used--;
    /* Move later entries of the same probe run back over the hole. */
    size_t hole = (size_t)(s - c->slots), i = hole;
    for (;;) {
        i = (i + 1) & c->mask;
        if (!c->slots[i].n)
            break;
        size_t home = c->slots[i].key.a & c->mask;
        if (((i - home) & c->mask) >= ((i - hole) & c->mask)) {
            c->slots[hole] = c->slots[i];
            c->slots[i].n = 0;
            hole = i;
        }
    }
}

size_t keycount_size(const struct keycount *c) { return c->used; }
