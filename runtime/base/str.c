/* Text helpers: see str.h. UTF-8 follows the Unicode table of well-formed sequences (no surrogates, nothing over
 * U+10FFFF). */
#include "base/str.h"

#include <ctype.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"

bool str_ieq(struct str a, struct str b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (tolower((unsigned char)a.p[i]) != tolower((unsigned char)b.p[i]))
            return false;
    return true;
}

bool str_starts(struct str s, struct str prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

bool str_ends(struct str s, struct str suffix)
{
    return s.n >= suffix.n && (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

struct str str_trim(struct str s)
{
    while (s.n && is_space(s.p[0]))
        s = (struct str){s.p + 1, s.n - 1};
    while (s.n && is_space(s.p[s.n - 1]))
        s.n--;
    return s;
}

struct str str_split(struct str s, char sep, struct str *rest)
{
    const char *at = s.n ? memchr(s.p, sep, s.n) : NULL;
    if (!at) {
        *rest = STR_NULL;
        return s;
    }
    *rest = (struct str){at + 1, s.n - (size_t)(at + 1 - s.p)};
    return (struct str){s.p, (size_t)(at - s.p)};
}

char *str_dup(struct str s) { return xstrndup(s.p, s.n); }

bool str_int64(struct str s, int64_t *ret)
{
    size_t i = 0;
    bool neg = false;
    if (s.n && (s.p[0] == '-' || s.p[0] == '+'))
        neg = s.p[i++] == '-';
    if (i == s.n)
        return false;
    uint64_t v = 0, max = neg ? (uint64_t)INT64_MAX + 1 : INT64_MAX;
    for (; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        uint64_t d = (uint64_t)(s.p[i] - '0');
        if (v > (max - d) / 10)
            return false;
        v = v * 10 + d;
    }
    *ret = neg ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

bool str_bool(struct str s, bool *ret)
{
    static const char *const yes[] = {"true", "yes", "on", "1", "t", "y"};
    static const char *const no[] = {"false", "no", "off", "0", "f", "n"};
    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        bool is_yes = str_ieq(s, str_of(yes[i]));
        if (is_yes || str_ieq(s, str_of(no[i]))) {
            *ret = is_yes;
            return true;
        }
    }
    return false;
}

/* Length of the well-formed sequence at s, or 0; *bad is then how many bytes form one ill-formed unit. */
static size_t utf8_step(const unsigned char *s, size_t n, size_t *bad)
{
    *bad = 1;
    if (s[0] < 0x80)
        return 1;
    unsigned char lo = 0x80, hi = 0xBF;
    size_t need;
    if (s[0] >= 0xC2 && s[0] <= 0xDF) {
        need = 1;
    } else if (s[0] >= 0xE0 && s[0] <= 0xEF) {
        need = 2;
        lo = s[0] == 0xE0 ? 0xA0 : 0x80;
        hi = s[0] == 0xED ? 0x9F : 0xBF;
    } else if (s[0] >= 0xF0 && s[0] <= 0xF4) {
        need = 3;
        lo = s[0] == 0xF0 ? 0x90 : 0x80;
        hi = s[0] == 0xF4 ? 0x8F : 0xBF;
    } else {
        return 0;
    }
    for (size_t i = 1; i <= need; i++) {
        if (i >= n || s[i] < lo || s[i] > hi) {
            *bad = i;
            return 0;
        }
        lo = 0x80;
        hi = 0xBF;
    }
    return need + 1;
}

bool utf8_valid(struct str s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t bad;
    for (size_t i = 0; i < s.n;) {
        uint64_t word;
        if (i + 8 <= s.n && (memcpy(&word, p + i, 8), (word & 0x8080808080808080ull) == 0)) {
            i += 8;
            continue;
        }
        size_t step = utf8_step(p + i, s.n - i, &bad);
        if (!step)
            return false;
        i += step;
    }
    return true;
}

size_t utf8_repair(struct buf *out, struct str s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t repairs = 0, from = 0, i = 0, bad;
    while (i < s.n) {
        size_t step = utf8_step(p + i, s.n - i, &bad);
        if (step) {
            i += step;
            continue;
        }
        buf_add(out, s.p + from, i - from);
        buf_adds(out, "\xEF\xBF\xBD");
        i += bad;
        from = i;
        repairs++;
    }
    if (s.n)
        buf_add(out, s.p + from, s.n - from);
    return repairs;
}

size_t utf8_count(struct str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xC0) != 0x80;
    return n;
}

void url_encode(struct buf *out, struct str s)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                     c == '.' || c == '_' || c == '~';
        if (plain) {
            buf_addc(out, (char)c);
        } else {
            char esc[3] = {'%', hex[c >> 4], hex[c & 15]};
            buf_add(out, esc, 3);
        }
    }
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

void url_decode(struct buf *out, struct str s, bool plus_is_space)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '%' && i + 2 < s.n && hex_value(s.p[i + 1]) >= 0 && hex_value(s.p[i + 2]) >= 0) {
            c = (char)(hex_value(s.p[i + 1]) * 16 + hex_value(s.p[i + 2]));
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        buf_addc(out, c);
    }
}

int str_distance(struct str a, struct str b, int limit)
{
    size_t longer = a.n > b.n ? a.n : b.n, shorter = a.n > b.n ? b.n : a.n;
    if (limit < 0 || longer - shorter > (size_t)limit || longer > 200)
        return limit + 1;
    int row[201];
    for (size_t j = 0; j <= b.n; j++)
        row[j] = (int)j;
    for (size_t i = 1; i <= a.n; i++) {
        int diagonal = row[0], best;
        row[0] = best = (int)i;
        for (size_t j = 1; j <= b.n; j++) {
            int cost = diagonal + (tolower((unsigned char)a.p[i - 1]) != tolower((unsigned char)b.p[j - 1]));
            diagonal = row[j];
            if (row[j] + 1 < cost)
                cost = row[j] + 1;
            if (row[j - 1] + 1 < cost)
                cost = row[j - 1] + 1;
            row[j] = cost;
            if (cost < best)
                best = cost;
        }
        if (best > limit)
            return limit + 1;
    }
    return row[b.n] > limit ? limit + 1 : row[b.n];
}
