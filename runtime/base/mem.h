/* mem.h: allocation of small fixed-size things.
 *
 * These abort with a message when memory runs out: a 40-byte failure is not
 * recoverable. Whatever is sized by input uses `struct buf` with a maximum, or
 * an arena. Free with free(). Any thread. */
#pragma once
#include <stdarg.h>
#include <stddef.h>

void *xmalloc(size_t n) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *p, size_t n) __attribute__((returns_nonnull));
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
/* Copies n bytes and adds a NUL. */
char *xstrndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull));
void *xmemdup(const void *p, size_t n) __attribute__((malloc, returns_nonnull));
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2), returns_nonnull));

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
