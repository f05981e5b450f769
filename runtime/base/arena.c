/* A list of chunks, newest first; a request larger than a chunk gets one of its own. Chunk sizes double up to 1 MiB so
 * that small arenas stay small. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

#define CHUNK_MIN 4096
#define CHUNK_MAX (1u << 20)

struct chunk {
    struct chunk *next;
    size_t size, used;
    /* data follows */
};

struct defer {
    struct defer *next;
    void (*fn)(void *);
    void *arg;
};

struct arena {
    struct chunk *chunks;
    struct defer *defers;
    size_t limit, used, next_size;
};

struct arena *arena_new(size_t limit_bytes)
{
    struct arena *a = xcalloc(1, sizeof(*a));
    a->limit = limit_bytes;
    a->next_size = CHUNK_MIN;
    return a;
}

static void run_defers(struct arena *a)
{
    while (a->defers) {
        struct defer d = *a->defers;
        free(a->defers);
        a->defers = d.next;
        d.fn(d.arg);
    }
}

void arena_free(struct arena *a)
{
    if (!a)
        return;
    run_defers(a);
    while (a->chunks) {
        struct chunk *c = a->chunks;
        a->chunks = c->next;
        free(c);
    }
    free(a);
}

void arena_reset(struct arena *a)
{
    run_defers(a);
    struct chunk *keep = NULL;
    while (a->chunks) {
        struct chunk *c = a->chunks;
        a->chunks = c->next;
        if (!keep && c->size <= CHUNK_MAX)
            keep = c;
        else
            free(c);
    }
    if (keep) {
        keep->next = NULL;
        keep->used = 0;
    }
    a->chunks = keep;
    a->used = 0;
}

/* A chunk for n bytes. One made for a single large piece goes behind the newest, whose free part stays in use. */
static struct chunk *add_chunk(struct arena *a, size_t n)
{
    bool own = n > a->next_size;
    size_t size = own ? n : a->next_size;
    struct chunk *c = xmalloc(sizeof(*c) + size);
    c->size = size;
    c->used = 0;
    struct chunk **at = own && a->chunks ? &a->chunks->next : &a->chunks;
    c->next = *at;
    *at = c;
    if (!own && a->next_size < CHUNK_MAX)
        a->next_size *= 2;
    return c;
}

void *arena_alloc(struct arena *a, size_t n)
{
    if (n > SIZE_MAX / 2)
        return a->limit ? NULL : xmalloc(n); /* aborts: nobody has that much */
    n = n ? (n + 7) & ~(size_t)7 : 8;
    if (a->limit && (n > a->limit || a->used > a->limit - n))
        return NULL;
    struct chunk *c = a->chunks;
    if (!c || c->size - c->used < n)
        c = add_chunk(a, n);
    void *p = (char *)(c + 1) + c->used;
    c->used += n;
    a->used += n;
    return p;
}

void *arena_zalloc(struct arena *a, size_t n)
{
    void *p = arena_alloc(a, n);
    if (p)
        memset(p, 0, n);
    return p;
}

struct str arena_str(struct arena *a, struct str s)
{
    char *p = arena_alloc(a, s.n + 1);
    if (!p)
        return STR_NULL;
    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = 0;
    return (struct str){p, s.n};
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    char *p = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1);
    if (p)
        vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return p;
}

void arena_defer(struct arena *a, void (*fn)(void *), void *arg)
{
    struct defer *d = xmalloc(sizeof(*d));
    *d = (struct defer){a->defers, fn, arg};
    a->defers = d;
}

size_t arena_used(const struct arena *a) { return a->used; }
