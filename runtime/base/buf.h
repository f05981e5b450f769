/* buf.h: growable byte buffer with a maximum.
 *
 * The maximum is given at init; an append that would pass it changes nothing,
 * returns ERR_TOO_BIG and sets `failed`, which stays set and refuses later appends
 * (so the content is a clean prefix): a writer may check once at the end. `p` is NUL-terminated beyond n whenever p is not NULL.
 * One owner, one thread at a time. */
#pragma once
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"
#include "base/str.h"

struct buf {
    char *p;
    size_t n, cap, max;
    bool failed;
};

#define BUF_NO_LIMIT ((size_t)1 << 40)

void buf_init(struct buf *b, size_t max);
void buf_done(struct buf *b);  /* frees; b may be init'ed again */
void buf_reset(struct buf *b); /* n = 0, failed = false, memory kept */
int buf_grow(struct buf *b, size_t more); /* buf_reserve where the room does not suffice */
static inline int buf_reserve(struct buf *b, size_t more)
{
    return !b->failed && more < b->cap - b->n ? 0 : buf_grow(b, more);
}
static inline int buf_add(struct buf *b, const void *p, size_t n)
{
    if (buf_reserve(b, n) < 0)
        return ERR_TOO_BIG;
    bytes_copy(b->p + b->n, p, n);
    b->n += n;
    b->p[b->n] = 0;
    return 0;
}
static inline int buf_addc(struct buf *b, char c)
{
    if (buf_reserve(b, 1) < 0)
        return ERR_TOO_BIG;
    b->p[b->n++] = c;
    b->p[b->n] = 0;
    return 0;
}
int buf_adds(struct buf *b, const char *s);
int buf_addstr(struct buf *b, struct str s);
int buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int buf_addvf(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
const char *buf_cstr(const struct buf *b); /* never NULL */
static inline struct str buf_str(const struct buf *b) { return (struct str){b->p, b->n}; }
/* Hands the memory over (NUL-terminated, free()); the buffer is empty again. */
char *buf_take(struct buf *b, size_t *ret_n);
