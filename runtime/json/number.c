/* Numbers by value, from their texts: sign, significant digits and power of ten, exact at any length. */
#include "json/number.h"

#define EXPONENT_DIGITS 17 /* more do not occur in measurements of anything; such numbers equal only themselves */

struct decimal decimal_of(struct str s)
{
    struct decimal d = {.text = s, .first = 1, .last = 0};
    size_t i = 0, frac = 0, zeros = 0; /* zeros: after the last other digit */
    bool point = false;
    if (i < s.n && s.p[i] == '-')
        d.negative = s.p[i++] == '-';
    for (; i < s.n && s.p[i] != 'e' && s.p[i] != 'E'; i++) {
        if (s.p[i] == '.') {
            point = true;
            continue;
        }
        frac += point;
        zeros++;
        if (s.p[i] == '0')
            continue;
        if (decimal_is_zero(&d))
            d.first = i;
        d.last = i;
        zeros = 0;
    }
    int64_t exp = 0;
    if (i < s.n) {
        bool neg = i + 1 < s.n && s.p[i + 1] == '-';
        size_t digits = 0;
        for (i++; i < s.n; i++) {
            if (s.p[i] < '0' || s.p[i] > '9' || (digits == 0 && s.p[i] == '0'))
                continue;
            if (++digits > EXPONENT_DIGITS)
                break;
            exp = exp * 10 + (s.p[i] - '0');
        }
        d.opaque = digits > EXPONENT_DIGITS;
        exp = neg ? -exp : exp;
    }
    if (decimal_is_zero(&d)) {
        d.negative = d.opaque = false;
        return d;
    }
    d.exponent = exp - (int64_t)frac + (int64_t)zeros;
    return d;
}

/* The digits from *i up to the point or the end; *i is then behind them. Zero bytes: no more. */
struct str decimal_digits(const struct decimal *d, size_t *i)
{
    size_t from = *i;
    if (from <= d->last && d->text.p[from] == '.')
        from++;
    size_t end = from;
    while (end <= d->last && d->text.p[end] != '.')
        end++;
    *i = end;
    return (struct str){d->text.p + from, end - from};
}
