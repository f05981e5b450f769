/* Growth doubles up to the maximum; one byte beyond n is always reserved for the NUL. After an append that did not fit,
 * later ones are refused too until buf_reset: what the buffer holds is always a prefix of what was meant. */
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"

void buf_init(struct buf *b, size_t max) { *b = (struct buf){.max = max}; }

void buf_done(struct buf *b)
{
    free(b->p);
    *b = (struct buf){.max = b->max};
}

void buf_reset(struct buf *b)
{
    b->n = 0;
    b->failed = false;
    if (b->p)
        b->p[0] = 0;
}

int buf_grow(struct buf *b, size_t more)
{
    if (b->failed || more > b->max || b->n > b->max - more) {
        b->failed = true;
        return ERR_TOO_BIG;
    }
    size_t need = b->n + more + 1;
    if (need <= b->cap)
        return 0;
    size_t cap = b->cap ? b->cap : 64;
    while (cap < need)
        cap += cap;
    if (cap > b->max + 1)
        cap = b->max + 1;
    char *p = realloc(b->p, cap); /* sized by input: running out is an error, not an abort */
    if (!p) {
        b->failed = true;
        return ERR_TOO_BIG;
    }
    b->p = p;
    b->cap = cap;
    return 0;
}

int buf_adds(struct buf *b, const char *s) { return buf_add(b, s, strlen(s)); }
int buf_addstr(struct buf *b, struct str s) { return buf_add(b, s.p, s.n); }

int buf_addvf(struct buf *b, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (n < 0)
        b->failed = true;
    if (n < 0 || buf_reserve(b, (size_t)n) < 0)
        return ERR_TOO_BIG;
    vsnprintf(b->p + b->n, (size_t)n + 1, fmt, ap);
    b->n += (size_t)n;
    return 0;
}

int buf_addf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int rc = buf_addvf(b, fmt, ap);
    va_end(ap);
    return rc;
}

const char *buf_cstr(const struct buf *b) { return b->p ? b->p : ""; }

char *buf_take(struct buf *b, size_t *ret_n)
{
    char *p = b->p ? b->p : xcalloc(1, 1);
    if (ret_n)
        *ret_n = b->n;
    *b = (struct buf){.max = b->max};
    return p;
}
