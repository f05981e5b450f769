/* arena.h: memory that is freed as a whole: one per batch, request or plan.
 *
 * Allocations are 8-byte aligned and never freed singly. arena_defer ties a
 * foreign thing's release to the arena's end (run in reverse order). An arena
 * may have a limit: arena_alloc then returns NULL beyond it, else never NULL.
 * One thread at a time; it may be handed from thread to thread as a whole. */
#pragma once
#include <stddef.h>
#include "base/str.h"

struct arena;

struct arena *arena_new(size_t limit_bytes); /* 0: no limit */
void arena_free(struct arena *a);            /* NULL allowed */
void arena_reset(struct arena *a);           /* runs defers, keeps one chunk */
void *arena_alloc(struct arena *a, size_t n);
void *arena_zalloc(struct arena *a, size_t n);
struct str arena_str(struct arena *a, struct str s); /* copy, NUL-terminated beyond n */
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void arena_defer(struct arena *a, void (*fn)(void *), void *arg);
size_t arena_used(const struct arena *a);
