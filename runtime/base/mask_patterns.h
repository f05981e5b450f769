/* mask_patterns.h: secret-looking texts (runtime R-237). Private to base; pure functions, any thread. */
#pragma once
#include "base/str.h"
#include <stdbool.h>
#include <stddef.h>

/* Part of a text to be replaced. `hide`: nothing of it may be shown, in no style. */
struct mask_span {
    size_t start, end;
    bool hide;
};

/* Whether a pattern can be recognised at a position that holds byte c: the cheap test for every byte of a text. */
bool mask_pattern_trigger(unsigned char c);
/* The secret-looking text recognised at `at` (a byte with a trigger); it may begin before `at`. */
bool mask_pattern_at(struct str s, size_t at, struct mask_span *ret);
