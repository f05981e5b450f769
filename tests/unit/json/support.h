/* support.h: short ways to documents in tests. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "json/compare.h"
#include "json/json.h"
#include "json/write.h"

static inline struct json_doc *doc_of(struct str text)
{
    struct json_doc *d = NULL;
    struct err e = {0};
    if (json_parse(text, &d, &e) < 0)
        print_error("%s\n", e.msg);
    assert_non_null(d);
    return d;
}

/* Text of a value, in a buffer that the next call overwrites. */
static inline const char *text_of(struct json j)
{
    static struct buf out;
    out.max = BUF_NO_LIMIT;
    buf_reset(&out);
    assert_int_equal(json_write(&out, j), 0);
    return buf_cstr(&out);
}

/* `depth` times `open`, `middle`, `depth` times `close`; free(). */
static inline char *nested(const char *open, const char *middle, const char *close, size_t depth)
{
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    for (size_t i = 0; i < depth; i++)
        buf_adds(&b, open);
    buf_adds(&b, middle);
    for (size_t i = 0; i < depth; i++)
        buf_adds(&b, close);
    return buf_take(&b, NULL);
}
