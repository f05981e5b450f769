/* jq_proto.h: frames between the runtime and its libjq process.
 *
 * All numbers are 32 bits, little-endian. Request: number of expressions, each as length and bytes; number of
 * inputs, each likewise. Answer: for every input and expression a byte (enum of struct jq_answer) and a text
 * as length and bytes. */
#pragma once
#include "base/buf.h"

static inline void proto_put(struct buf *b, size_t n)
{
    char le[4] = {(char)n, (char)(n >> 8), (char)(n >> 16), (char)(n >> 24)};
    buf_add(b, le, 4);
}

static inline void proto_put_text(struct buf *b, struct str s)
{
    proto_put(b, s.n);
    buf_addstr(b, s);
}

static inline bool proto_get(struct str *in, size_t *ret)
{
    if (in->n < 4)
        return false;
    const unsigned char *p = (const unsigned char *)in->p;
    *ret = p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
    in->p += 4;
    in->n -= 4;
    return true;
}

static inline bool proto_get_text(struct str *in, struct str *ret)
{
    size_t n;
    if (!proto_get(in, &n) || n > in->n)
        return false;
    *ret = (struct str){in->p, n};
    in->p += n;
    in->n -= n;
    return true;
}
