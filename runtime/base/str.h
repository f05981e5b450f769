/* str.h: borrowed byte slices and the text helpers everybody needs.
 *
 * A `struct str` never owns: it points into something that outlives it. It may
 * hold any bytes, NUL included, and is not NUL-terminated. Any thread. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buf;

struct str {
    const char *p;
    size_t n;
};

#define STR(lit) ((struct str){(lit), sizeof(lit) - 1})
#define STR_NULL ((struct str){NULL, 0})
/* For printf: "%.*s", STR_FMT(s) */
#define STR_FMT(s) (int)(s).n, (s).p ? (s).p : ""

static inline struct str str_of(const char *s) { return (struct str){s, s ? strlen(s) : 0}; }
/* Equality of n bytes. Up to 16, as names mostly are, by two words that may overlap: cheaper than a call. */
static inline bool bytes_eq(const char *a, const char *b, size_t n)
{
    uint64_t x, y, v, w;
    uint32_t s, t, q, r;
    if (n > 16)
        return memcmp(a, b, n) == 0;
    if (n >= 8) {
        memcpy(&x, a, 8);
        memcpy(&y, b, 8);
        memcpy(&v, a + n - 8, 8);
        memcpy(&w, b + n - 8, 8);
        return ((x ^ y) | (v ^ w)) == 0;
    }
    if (n >= 4) {
        memcpy(&s, a, 4);
        memcpy(&t, b, 4);
        memcpy(&q, a + n - 4, 4);
        memcpy(&r, b + n - 4, 4);
        return ((s ^ t) | (q ^ r)) == 0;
    }
    return !n || (a[0] == b[0] && a[n >> 1] == b[n >> 1] && a[n - 1] == b[n - 1]);
}
/* memcpy, which for up to 16 bytes is spared the call in the same way. */
static inline void bytes_copy(char *to, const char *from, size_t n)
{
    uint64_t x, y;
    uint32_t s, t;
    if (n > 16) {
        memcpy(to, from, n);
    } else if (n >= 8) {
        memcpy(&x, from, 8);
        memcpy(&y, from + n - 8, 8);
        memcpy(to, &x, 8);
        memcpy(to + n - 8, &y, 8);
    } else if (n >= 4) {
        memcpy(&s, from, 4);
        memcpy(&t, from + n - 4, 4);
        memcpy(to, &s, 4);
        memcpy(to + n - 4, &t, 4);
    } else if (n) {
        char first = from[0], middle = from[n >> 1], last = from[n - 1];
        to[0] = first;
        to[n >> 1] = middle;
        to[n - 1] = last;
    }
}
static inline bool str_eq(struct str a, struct str b) { return a.n == b.n && bytes_eq(a.p, b.p, a.n); }
static inline bool str_is(struct str a, const char *b) { return str_eq(a, str_of(b)); }
bool str_ieq(struct str a, struct str b); /* ASCII letter case ignored */
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
struct str str_trim(struct str s); /* ASCII white space off both ends */
/* Cuts at the first `sep`: returns what precedes it, *rest what follows (STR_NULL if none). */
struct str str_split(struct str s, char sep, struct str *rest);
char *str_dup(struct str s); /* heap copy with NUL; free() */
/* Whole text is a decimal integer that fits; no spaces, sign allowed. */
bool str_int64(struct str s, int64_t *ret);
/* Config booleans (runtime R-23): true/false yes/no on/off 1/0 t/f y/n, any case. */
bool str_bool(struct str s, bool *ret);

bool utf8_valid(struct str s);
/* Appends `s` with every ill-formed sequence replaced by U+FFFD; returns how many were. */
size_t utf8_repair(struct buf *out, struct str s);
size_t utf8_count(struct str s); /* code points of valid UTF-8 */

/* RFC 3986: everything but unreserved characters as %XX (space as %20). */
void url_encode(struct buf *out, struct str s);
/* Undoes %XX; plus_is_space for form encoding. Bad escapes stay as they are. */
void url_decode(struct buf *out, struct str s, bool plus_is_space);

/* Edit distance capped at `limit` + 1, for "did you mean". */
int str_distance(struct str a, struct str b, int limit);
