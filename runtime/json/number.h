/* number.h: the value of a JSON number's text. Private to json; pure, any thread. */
#pragma once
#include "base/str.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct decimal {
    bool negative;
    bool opaque;        /* the exponent is absurd: compare texts */
    struct str text;    /* the original; digits are picked from it */
    size_t first, last; /* positions of the first and last digit that is not 0; first > last: zero */
    int64_t exponent;   /* power of ten of the last digit */
};

/* `s` is a number as JSON writes it. */
struct decimal decimal_of(struct str s);
static inline bool decimal_is_zero(const struct decimal *d) { return d->first > d->last; }
/* Pieces of the significant digits: start with *i = first; an empty piece ends them (a point has one on either side).
 */
struct str decimal_digits(const struct decimal *d, size_t *i);
