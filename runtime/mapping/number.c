/* Numbers. A literal is text until arithmetic touches it; its printed form is decNumber's
 * to-scientific-string: digits with their trailing zeros, an exponent only where it is positive or the number
 * is below 1e-6. Two literals compare by their decimal value without limit of digits; everything else
 * compares as doubles, as in jq 1.8. Computed doubles print with the fewest of at most 17 digits that read
 * back equal. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "mapping/value.h"

/* A number text as sign, significant digits and power of ten of the last digit. */
struct decimal {
    bool negative, zero;
    const char *digits, *end; /* from the first non-zero digit on; may contain one '.' */
    size_t ndigits;           /* trailing zeros included */
    long long exp;
};

static struct decimal decimal_of(struct str s)
{
    struct decimal d = {.zero = true};
    const char *p = s.p, *end = s.p + s.n;
    long long frac = 0, exp = 0;
    bool point = false;
    if (p < end && (*p == '-' || *p == '+'))
        d.negative = *p++ == '-';
    const char *mantissa = p;
    for (; p < end && *p != 'e' && *p != 'E'; p++) {
        if (*p == '.') {
            point = true;
            continue;
        }
        frac += point;
        if (*p != '0' && d.zero) {
            d.zero = false;
            d.digits = p;
        }
        d.ndigits += !d.zero;
    }
    d.end = p;
    if (d.zero) {
        d.digits = mantissa;
        d.ndigits = 1;
    }
    if (p < end) {
        bool neg = ++p < end && *p == '-';
        for (; p < end; p++)
            if (*p >= '0' && *p <= '9' && exp < 1000000000000000LL)
                exp = exp * 10 + (*p - '0');
        exp = neg ? -exp : exp;
    }
    d.exp = exp - frac;
    return d;
}

bool num_canonical(struct str text, struct buf *out)
{
    size_t i = 0;
    bool point = false;
    for (i = 0; i < text.n; i++) {
        if (text.p[i] == 'e' || text.p[i] == 'E')
            break;
        point |= text.p[i] == '.';
    }
    if (i == text.n) {
        /* Plain notation stays, unless the value is below 1e-6: 0.000000 followed by digits. */
        size_t sign = text.n && text.p[0] == '-';
        if (!point || text.n < sign + 9 || memcmp(text.p + sign, "0.000000", 8) != 0)
            return false;
    }
    struct decimal d = decimal_of(text);
    long long adjusted = d.exp + (long long)d.ndigits - 1;
    if (d.negative)
        buf_addc(out, '-');
    char *digits = xmalloc(d.ndigits + 1);
    size_t n = 0;
    if (d.zero)
        digits[n++] = '0';
    else
        for (const char *p = d.digits; p < d.end; p++)
            if (*p != '.')
                digits[n++] = *p;
    if (d.exp <= 0 && adjusted >= -6) {
        long long whole = (long long)n + d.exp;
        if (d.exp == 0) {
            buf_add(out, digits, n);
        } else if (whole > 0) {
            buf_add(out, digits, (size_t)whole);
            buf_addc(out, '.');
            buf_add(out, digits + whole, n - (size_t)whole);
        } else {
            buf_adds(out, "0.");
            for (; whole < 0; whole++)
                buf_addc(out, '0');
            buf_add(out, digits, n);
        }
    } else {
        buf_addc(out, digits[0]);
        if (n > 1) {
            buf_addc(out, '.');
            buf_add(out, digits + 1, n - 1);
        }
        buf_addf(out, "E%+lld", adjusted);
    }
    free(digits);
    return true;
}

double num_double(struct str s)
{
    /* Integers of up to 15 digits, the common case, need no strtod. */
    if (s.n && s.n <= 16) {
        bool neg = s.p[0] == '-';
        int64_t v = 0;
        size_t i = neg;
        for (; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++)
            v = v * 10 + (s.p[i] - '0');
        if (i == s.n && s.n - neg <= 15 && s.n > neg)
            return neg ? -(double)v : (double)v;
    }
    char small[64];
    if (s.n < sizeof(small)) {
        memcpy(small, s.p, s.n);
        small[s.n] = 0;
        return strtod(small, NULL);
    }
    char *big = str_dup(s);
    double d = strtod(big, NULL);
    free(big);
    return d;
}

double val_double(struct val v) { return v.rep == REP_TEXT ? num_double(val_text(v)) : v.d; }

/* Digits of the shortest decimal that reads back as d > 0; *point is the place of the decimal point. */
static int shortest(double d, char digits[20], int *point)
{
    char text[40];
    for (int prec = d < 1e-300 ? 1 : 15;; prec++) { /* subnormal numbers have fewer than 15 digits */
        snprintf(text, sizeof(text), "%.*e", prec - 1, d);
        if (prec == 17 || strtod(text, NULL) == d)
            break;
    }
    int n = 0;
    char *p = text;
    for (; *p && *p != 'e'; p++)
        if (*p != '.')
            digits[n++] = *p;
    *point = atoi(p + 1) + 1;
    while (n > 1 && digits[n - 1] == '0')
        n--;
    return n;
}

size_t num_format(char out[NUM_TEXT_MAX], double d)
{
    if (isnan(d))
        return (size_t)snprintf(out, NUM_TEXT_MAX, "null");
    if (isinf(d))
        d = d > 0 ? 1.7976931348623157e308 : -1.7976931348623157e308;
    if (fabs(d) < 1e15 && d == (double)(int64_t)d && !(d == 0 && signbit(d)))
        return (size_t)snprintf(out, NUM_TEXT_MAX, "%lld", (long long)d);
    if (d == 0)
        return (size_t)snprintf(out, NUM_TEXT_MAX, "-0");
    char digits[20], *p = out;
    int point, n = shortest(fabs(d), digits, &point);
    if (d < 0)
        *p++ = '-';
    if (point <= -4 || point > n + 15) {
        *p++ = digits[0];
        if (n > 1) {
            *p++ = '.';
            memcpy(p, digits + 1, (size_t)n - 1);
            p += n - 1;
        }
        p += snprintf(p, 8, "e%+03d", point - 1);
    } else if (point <= 0) {
        *p++ = '0';
        *p++ = '.';
        for (; point < 0; point++)
            *p++ = '0';
        memcpy(p, digits, (size_t)n);
        p += n;
    } else {
        for (int i = 0; i < n || i < point; i++) {
            if (i == point)
                *p++ = '.';
            *p++ = i < n ? digits[i] : '0';
        }
    }
    *p = 0;
    return (size_t)(p - out);
}

void num_write(struct buf *out, struct val v)
{
    if (v.rep == REP_TEXT) {
        if (!num_canonical(val_text(v), out))
            buf_add(out, v.s, v.n);
        return;
    }
    char text[NUM_TEXT_MAX];
    buf_add(out, text, num_format(text, v.d));
}

static int digit_at(const char **p, const char *end)
{
    if (*p < end && **p == '.')
        (*p)++;
    return *p < end ? *(*p)++ - '0' : 0;
}

static int decimal_cmp(struct str a, struct str b)
{
    struct decimal x = decimal_of(a), y = decimal_of(b);
    if (x.zero || y.zero) {
        if (x.zero && y.zero)
            return 0;
        return x.zero ? (y.negative ? 1 : -1) : (x.negative ? -1 : 1);
    }
    if (x.negative != y.negative)
        return x.negative ? -1 : 1;
    int sign = x.negative ? -1 : 1;
    long long ax = x.exp + (long long)x.ndigits, ay = y.exp + (long long)y.ndigits;
    if (ax != ay)
        return ax < ay ? -sign : sign;
    const char *p = x.digits, *q = y.digits;
    while (p < x.end || q < y.end) {
        int c = digit_at(&p, x.end), d = digit_at(&q, y.end);
        if (c != d)
            return c < d ? -sign : sign;
    }
    return 0;
}

int num_cmp(struct val a, struct val b)
{
    if (a.rep == REP_TEXT && b.rep == REP_TEXT) {
        if (a.n == b.n && memcmp(a.s, b.s, a.n) == 0)
            return 0;
        return decimal_cmp(val_text(a), val_text(b));
    }
    double x = val_double(a), y = val_double(b);
    return isnan(x) || x < y ? -1 : x == y ? 0 : 1; /* nan is less than everything, itself included */
}

bool num_parse(struct heap *h, struct str s, struct val *ret)
{
    size_t i = 0, digits = 0;
    bool point = false, plain = true;
    if (i < s.n && (s.p[i] == '-' || s.p[i] == '+'))
        plain = s.p[i++] == '-';
    size_t first = i;
    for (; i < s.n; i++) {
        if (s.p[i] == '.' && !point)
            point = true;
        else if (s.p[i] >= '0' && s.p[i] <= '9')
            digits++;
        else
            break;
    }
    if (!digits)
        return false;
    if (s.p[first] == '.' || s.p[i - 1] == '.' ||
        (s.p[first] == '0' && i - first > 1 && s.p[first + 1] != '.'))
        plain = false;
    size_t mantissa_end = i;
    if (i < s.n && (s.p[i] == 'e' || s.p[i] == 'E')) {
        i++;
        if (i < s.n && (s.p[i] == '-' || s.p[i] == '+'))
            i++;
        size_t from = i;
        while (i < s.n && s.p[i] >= '0' && s.p[i] <= '9')
            i++;
        if (i == from)
            return false;
        /* decNumber holds exponents of at most nine digits; beyond, the value is zero or infinite. */
        if (i - from > 9) {
            *ret = val_num(num_double(s));
            return true;
        }
    }
    if (i != s.n)
        return false;
    if (plain) {
        *ret = (struct val){.kind = VAL_NUMBER, .rep = REP_TEXT, .n = (uint32_t)s.n, .s = s.p};
        return true;
    }
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    if (s.p[0] == '-')
        buf_addc(&b, '-');
    while (first + 1 < mantissa_end && s.p[first] == '0' && s.p[first + 1] != '.')
        first++;
    if (s.p[first] == '.')
        buf_addc(&b, '0');
    size_t last = s.p[mantissa_end - 1] == '.' ? mantissa_end - 1 : mantissa_end;
    buf_add(&b, s.p + first, last - first);
    buf_add(&b, s.p + mantissa_end, s.n - mantissa_end);
    struct val text = val_string(h, buf_str(&b));
    buf_done(&b);
    *ret = (struct val){.kind = VAL_NUMBER, .rep = REP_TEXT, .n = text.n, .s = text.s};
    return true;
}

/* Sign, digits without trailing zeros, exponent: the same bytes for equal values. */
static void mix_decimal(struct mix128 *m, struct str s)
{
    struct decimal d = decimal_of(s);
    if (d.zero) {
        mix128_add(m, '0', NULL, 0);
        return;
    }
    const char *last = d.end - 1;
    long long exp = d.exp;
    while (*last == '0' || *last == '.')
        exp += *last-- == '0';
    char small[64], *text = small;
    size_t n = 0, max = (size_t)(last - d.digits) + 1 + sizeof(exp);
    if (max > sizeof(small))
        text = xmalloc(max);
    for (const char *p = d.digits; p <= last; p++)
        if (*p != '.')
            text[n++] = *p;
    memcpy(text + n, &exp, sizeof(exp));
    mix128_add(m, d.negative ? '-' : '+', text, n + sizeof(exp));
    if (text != small)
        free(text);
}

void num_mix(struct mix128 *m, struct val v)
{
    char text[NUM_TEXT_MAX];
    if (v.rep == REP_TEXT)
        mix_decimal(m, val_text(v));
    else if (isnan(v.d))
        mix128_add(m, 'z', NULL, 0); /* it is written as null */
    else
        mix_decimal(m, (struct str){text, num_format(text, v.d)});
}
