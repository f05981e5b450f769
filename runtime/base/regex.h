/* regex.h: regular expressions (libonig, the library jq uses), bounded. oniguruma.h is included in regex.c alone.
 *
 * Perl syntax, UTF-8. A compiled expression is immutable and may be used from several threads. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"
#include "base/str.h"

struct regex;

enum regex_flag {
    REGEX_IGNORE_CASE = 1,
    REGEX_EXTENDED = 2,     /* white space and comments in the pattern are ignored */
    REGEX_SINGLE_LINE = 4,  /* ^ -> \A, $ -> \Z */
    REGEX_DOT_ALL = 8,      /* . matches newline */
    REGEX_LONGEST = 16,
    REGEX_NO_EMPTY = 32,    /* empty matches are ignored */
};

#define REGEX_NO_MATCH (-1)
#define REGEX_LIMIT (-2)    /* the retry budget of one search was used up */

struct regex *regex_new(struct str pattern, unsigned flags, struct err *e);
void regex_free(struct regex *r);
/* Number of groups, the whole match not counted; name of group i from 1 (p NULL: unnamed). */
size_t regex_groups(const struct regex *r);
struct str regex_group_name(const struct regex *r, size_t i);

struct regex_span {
    ptrdiff_t start, end; /* bytes; -1: the group took no part */
};
/* Searches from byte `from`. spans[0] is the whole match, then up to n - 1 groups. Returns 1, REGEX_NO_MATCH or REGEX_LIMIT.
 * At most a million retries. */
int regex_search(const struct regex *r, struct str text, size_t from, struct regex_span *spans, size_t n);
