/* compare.h: what the corpus runners share: reading a file, and equality as jq has it, numbers by their text. */
#pragma once
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "mapping/expr.h"

/* NULL if it is not there; malloc'd. */
static inline char *read_file(const char *folder, const char *name, size_t *n)
{
    char *path = xasprintf("%s/%s", folder, name);
    FILE *f = fopen(path, "rb");
    free(path);
    if (!f)
        return NULL;
    struct buf b;
    char chunk[65536];
    buf_init(&b, BUF_NO_LIMIT);
    for (size_t got; (got = fread(chunk, 1, sizeof(chunk), f)) > 0;)
        buf_add(&b, chunk, got);
    fclose(f);
    return buf_take(&b, n);
}

/* Equality with number text: both canonical as jq prints them. */
static inline bool same(struct heap *h, struct val got, struct val want)
{
    struct buf a, b;
    buf_init(&a, BUF_NO_LIMIT);
    buf_init(&b, BUF_NO_LIMIT);
    bool equal;
    if (got.kind == VAL_NUMBER && want.kind == VAL_NUMBER) {
        val_write(h, &a, got);
        val_write(h, &b, want);
        /* A computed number prints as 1e+17, the literal it became in the corpus as 1E+17. */
        struct buf canonical;
        buf_init(&canonical, BUF_NO_LIMIT);
        if (!num_canonical(buf_str(&a), &canonical))
            buf_addstr(&canonical, buf_str(&a));
        equal = str_eq(buf_str(&canonical), buf_str(&b));
        buf_done(&canonical);
    } else if (got.kind != want.kind) {
        equal = want.kind == VAL_NULL && got.kind == VAL_NUMBER && got.rep == REP_PLAIN && isnan(got.d);
    } else if (got.kind == VAL_ARRAY) {
        struct val_iter x = val_iter(h, got), y = val_iter(h, want);
        equal = val_len(h, got) == val_len(h, want);
        while (equal && val_next(&x) && val_next(&y))
            equal = same(h, x.v, y.v);
    } else if (got.kind == VAL_OBJECT) {
        equal = val_len(h, got) == val_len(h, want);
        struct val v;
        for (struct val_iter x = val_iter(h, got); equal && val_next(&x);)
            equal = val_find(want, val_text(x.key), &v) && same(h, x.v, v);
    } else {
        equal = val_eq(h, got, want);
    }
    buf_done(&a);
    buf_done(&b);
    return equal;
}
