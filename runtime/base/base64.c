/* A quantum of four digits gives three bytes; the last one fewer by its padding. */
#include "base/base64.h"

static int digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_decode(struct buf *out, struct str s)
{
    size_t pad = s.n >= 1 && s.p[s.n - 1] == '=' ? (s.n >= 2 && s.p[s.n - 2] == '=' ? 2 : 1) : 0;
    if (s.n % 4)
        return false;
    for (size_t i = 0; i < s.n; i += 4) {
        unsigned long bits = 0;
        size_t have = i + 4 == s.n ? 4 - pad : 4;
        for (size_t k = 0; k < 4; k++) {
            int d = k < have ? digit(s.p[i + k]) : 0;
            if (d < 0)
                return false;
            bits = bits << 6 | (unsigned long)d;
        }
        for (size_t k = 0; k + 1 < have; k++)
            buf_addc(out, (char)(bits >> (16 - 8 * k)));
    }
    return true;
}
