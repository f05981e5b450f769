/* The implicit types of YAML 1.1, recognised by the same grammar as PyYAML's resolver, so that a file means here what
 * it meant there: a float needs its point, an exponent its sign, 0123 is octal, 1:30 is ninety, y and n are text.
 * Numbers keep their digits; only what JSON cannot spell (underscores, other bases, sexagesimals) is rewritten. */
#include "json/yaml_scalar.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"

#define RADIX_DIGITS 4096 /* the conversion is quadratic; longer ones are text */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool one_of(struct str s, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_is(s, words[i]))
            return true;
    return false;
}

static bool is_null(struct str s)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};
    return one_of(s, words, ARRAY_LEN(words));
}

static bool is_bool(struct str s, bool *ret)
{
    static const char *const yes[] = {"yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"};
    static const char *const no[] = {"no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"};
    *ret = one_of(s, yes, ARRAY_LEN(yes));
    return *ret || one_of(s, no, ARRAY_LEN(no));
}

static bool is_infinite(struct str s)
{
    static const char *const words[] = {".inf",  ".Inf",  ".INF",  "+.inf", "+.Inf", "+.INF",
                                        "-.inf", "-.Inf", "-.INF", ".nan",  ".NaN",  ".NAN"};
    return one_of(s, words, ARRAY_LEN(words));
}

static struct str unsigned_part(struct str s, bool *neg)
{
    *neg = s.n && s.p[0] == '-';
    return s.n && (*neg || s.p[0] == '+') ? (struct str){s.p + 1, s.n - 1} : s;
}

/* Length of the run of digits and underscores at `at`. */
static size_t digits_run(struct str s, size_t at)
{
    size_t n = 0;
    while (at + n < s.n && (is_digit(s.p[at + n]) || s.p[at + n] == '_'))
        n++;
    return n;
}

/* Decimal digits without underscores and leading zeros, at least one. */
static void add_decimal(struct buf *out, struct str digits)
{
    bool any = false;
    for (size_t i = 0; i < digits.n; i++) {
        any |= is_digit(digits.p[i]) && digits.p[i] != '0';
        if (any && digits.p[i] != '_')
            buf_addc(out, digits.p[i]);
    }
    if (!any)
        buf_addc(out, '0');
}

/* Digits of another base, underscores allowed, at any length; `empty_ok` for octal, where "0_" is 0. */
static bool add_radix(struct buf *out, struct str digits, unsigned base, bool neg, bool empty_ok)
{
    if (digits.n > RADIX_DIGITS)
        return false;
    uint32_t *limbs = xcalloc(digits.n / 7 + 2, sizeof(*limbs)); /* base 10^9, lowest first */
    size_t n = 1, seen = 0;
    bool ok = true;
    for (size_t i = 0; ok && i < digits.n; i++) {
        char c = digits.p[i];
        if (c == '_')
            continue;
        unsigned d = is_digit(c)                              ? (unsigned)(c - '0')
                     : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (unsigned)((c | 0x20) - 'a') + 10
                                                              : 99;
        uint64_t carry = d;
        ok = d < base;
        for (size_t k = 0; ok && k < n; k++) {
            carry += (uint64_t)limbs[k] * base;
            limbs[k] = (uint32_t)(carry % 1000000000u);
            carry /= 1000000000u;
        }
        if (ok && carry)
            limbs[n++] = (uint32_t)carry;
        seen++;
    }
    ok = ok && (seen || empty_ok);
    if (ok) {
        bool zero = n == 1 && limbs[0] == 0;
        buf_addf(out, "%s%u", neg && !zero ? "-" : "", limbs[n - 1]);
        for (size_t k = n - 1; k-- > 0;)
            buf_addf(out, "%09u", limbs[k]);
    }
    free(limbs);
    return ok;
}

/* The groups of a sexagesimal number (190:20:30) up to the end or a point. Returns how many characters, 0: none. */
static size_t sexagesimal(struct str s, uint64_t *ret)
{
    size_t n = digits_run(s, 0), i = n;
    uint64_t total = 0;
    if (!n || n > 12 || !is_digit(s.p[0]) || i >= s.n || s.p[i] != ':')
        return 0;
    for (size_t k = 0; k < n; k++)
        if (s.p[k] != '_')
            total = total * 10 + (uint64_t)(s.p[k] - '0');
    while (i < s.n && s.p[i] == ':') {
        size_t g = i + 1 < s.n && is_digit(s.p[i + 1]) ? 1 + (i + 2 < s.n && is_digit(s.p[i + 2])) : 0;
        if (!g || (g == 2 && s.p[i + 1] > '5') || total > UINT64_MAX / 120)
            return 0;
        for (size_t k = 1; k <= g; k++)
            total = k == 1 ? total * 60 + (g == 2 ? 10u : 1u) * (uint64_t)(s.p[i + 1] - '0')
                           : total + (uint64_t)(s.p[i + 2] - '0');
        i += 1 + g;
    }
    *ret = total;
    return i;
}

static bool is_int(struct buf *out, struct str s)
{
    bool neg;
    struct str d = unsigned_part(s, &neg);
    if (!d.n || !is_digit(d.p[0]))
        return false;
    if (d.p[0] == '0' && d.n > 1) {
        struct str after = {d.p + 2, d.n - 2};
        switch (d.p[1]) {
        case 'x': return add_radix(out, after, 16, neg, false);
        case 'b': return add_radix(out, after, 2, neg, false);
        case 'o': return add_radix(out, after, 8, neg, false);
        default: return add_radix(out, (struct str){d.p + 1, d.n - 1}, 8, neg, true);
        }
    }
    uint64_t total;
    if (d.p[0] != '0' && sexagesimal(d, &total) == d.n) {
        buf_addf(out, "%s%llu", neg ? "-" : "", (unsigned long long)total);
        return true;
    }
    if (digits_run(d, 0) != d.n)
        return false;
    if (neg && d.p[0] != '0')
        buf_addc(out, '-');
    add_decimal(out, d);
    return true;
}

/* The part behind the point: digits, then an exponent with its sign if `exponent`. Appends ".digits" and the exponent.
 */
static bool add_fraction(struct buf *out, struct str s, bool exponent)
{
    size_t n = digits_run(s, 0), before = out->n;
    buf_addc(out, '.');
    for (size_t i = 0; i < n; i++)
        if (s.p[i] != '_')
            buf_addc(out, s.p[i]);
    if (out->n == before + 1)
        buf_addc(out, '0');
    if (n == s.n)
        return true;
    bool ok = exponent && n + 2 < s.n && (s.p[n] | 0x20) == 'e' && (s.p[n + 1] == '+' || s.p[n + 1] == '-');
    for (size_t i = n + 2; ok && i < s.n; i++)
        ok = is_digit(s.p[i]);
    buf_add(out, s.p + n, ok ? s.n - n : 0);
    return ok;
}

static bool add_float(struct buf *out, struct str s)
{
    bool neg;
    struct str d = unsigned_part(s, &neg);
    uint64_t total;
    if (neg)
        buf_addc(out, '-');
    if (s.n && s.p[0] == '.') { /* .5, never with a sign */
        buf_addc(out, '0');
        return s.n > 1 && is_digit(s.p[1]) && add_fraction(out, (struct str){s.p + 1, s.n - 1}, true);
    }
    if (!d.n || !is_digit(d.p[0]))
        return false;
    size_t n = sexagesimal(d, &total);
    if (n) {
        buf_addf(out, "%llu", (unsigned long long)total);
        return n < d.n && d.p[n] == '.' && add_fraction(out, (struct str){d.p + n + 1, d.n - n - 1}, false);
    }
    n = digits_run(d, 0);
    add_decimal(out, (struct str){d.p, n});
    return n < d.n && d.p[n] == '.' && add_fraction(out, (struct str){d.p + n + 1, d.n - n - 1}, true);
}

static bool is_float(struct buf *out, struct str s)
{
    struct buf text;
    buf_init(&text, s.n + 64);
    bool ok = add_float(&text, s) && !text.failed;
    if (ok)
        buf_addstr(out, buf_str(&text));
    buf_done(&text);
    return ok;
}

enum yaml_kind yaml_scalar(struct buf *out, struct str s)
{
    bool truth;
    if (is_null(s)) {
        buf_adds(out, "null");
        return YAML_NULL;
    }
    char c = s.p[0];
    if (!is_digit(c) && c != '-' && c != '+' && c != '.') {
        if (!is_bool(s, &truth))
            return YAML_TEXT;
        buf_adds(out, truth ? "true" : "false");
        return YAML_BOOL;
    }
    if (is_infinite(s))
        return YAML_NO_JSON;
    return is_int(out, s) || is_float(out, s) ? YAML_NUMBER : YAML_TEXT;
}
