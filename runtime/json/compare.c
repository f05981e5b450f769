/* Equality, canonical text, fingerprints. All three see an object as its members sorted by key with the last duplicate
 * kept. Recursion is bounded by JSON_MAX_DEPTH. */
#include "json/compare.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "json/write.h"

struct member {
    struct str key;
    struct json val;
    size_t order;
};

static int by_key(const void *x, const void *y)
{
    const struct member *a = x, *b = y;
    size_t n = a->key.n < b->key.n ? a->key.n : b->key.n;
    int c = memcmp(a->key.p, b->key.p, n); /* bytes of UTF-8 sort as code points do */
    if (c)
        return c;
    if (a->key.n != b->key.n)
        return a->key.n < b->key.n ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

#define SMALL 24

/* Members sorted, duplicates resolved; in `small` when they fit, else malloc'd. */
static struct member *sorted(struct json obj, struct member small[SMALL], size_t *ret_n)
{
    size_t n = json_len(obj), i = 0, kept = 0;
    struct member *m = n <= SMALL ? small : xmalloc(n * sizeof(*m));
    bool in_order = true;
    for (struct json_iter it = json_iter(obj); json_next(&it); i++) {
        m[i] = (struct member){it.key, it.val, i};
        in_order = in_order && (i == 0 || by_key(&m[i - 1], &m[i]) < 0);
    }
    if (!in_order)
        qsort(m, n, sizeof(*m), by_key);
    for (i = 0; i < n; i++) {
        if (i + 1 < n && str_eq(m[i].key, m[i + 1].key))
            continue;
        m[kept++] = m[i];
    }
    *ret_n = kept;
    return m;
}

/* A number as sign, significant digits (no leading or trailing zeros) and power of ten. */
struct decimal {
    bool negative;
    struct str text; /* the original, digits are picked from it */
    size_t first, last; /* positions of the first and last non-zero digit; first > last: zero */
    long long exponent; /* of the last digit */
};

static struct decimal decimal_of(struct str s)
{
    struct decimal d = {.text = s, .first = 1, .last = 0};
    size_t i = 0, frac = 0;
    bool point = false, any = false;
    long long exp = 0, after_last = 0;
    if (i < s.n && (s.p[i] == '-' || s.p[i] == '+'))
        d.negative = s.p[i++] == '-';
    for (; i < s.n && s.p[i] != 'e' && s.p[i] != 'E'; i++) {
        if (s.p[i] == '.') {
            point = true;
            continue;
        }
        frac += point;
        after_last++;
        if (s.p[i] != '0') {
            if (!any)
                d.first = i;
            any = true;
            d.last = i;
            after_last = 0;
        }
    }
    if (i < s.n) {
        bool neg = i + 1 < s.n && s.p[i + 1] == '-';
        for (i++; i < s.n; i++)
            if (s.p[i] >= '0' && s.p[i] <= '9' && exp < 1000000000000000LL)
                exp = exp * 10 + (s.p[i] - '0');
        exp = neg ? -exp : exp;
    }
    if (!any) {
        d.negative = false;
        return d;
    }
    d.exponent = exp - (long long)frac + after_last;
    return d;
}

static bool decimal_is_zero(const struct decimal *d) { return d->first > d->last; }

/* Next digit at or after *i, skipping the point; -1 beyond the last. */
static int next_digit(const struct decimal *d, size_t *i)
{
    while (*i <= d->last && d->text.p[*i] == '.')
        (*i)++;
    return *i <= d->last ? d->text.p[(*i)++] : -1;
}

bool json_num_equal(struct str a, struct str b)
{
    if (str_eq(a, b))
        return true;
    struct decimal x = decimal_of(a), y = decimal_of(b);
    if (decimal_is_zero(&x) || decimal_is_zero(&y))
        return decimal_is_zero(&x) && decimal_is_zero(&y);
    if (x.negative != y.negative || x.exponent != y.exponent)
        return false;
    for (size_t i = x.first, j = y.first;;) {
        int c = next_digit(&x, &i), d = next_digit(&y, &j);
        if (c != d)
            return false;
        if (c < 0)
            return true;
    }
}

static bool objects_equal(struct json a, struct json b)
{
    struct member sa[SMALL], sb[SMALL];
    size_t na, nb;
    struct member *ma = sorted(a, sa, &na), *mb = sorted(b, sb, &nb);
    bool same = na == nb;
    for (size_t i = 0; same && i < na; i++)
        same = str_eq(ma[i].key, mb[i].key) && json_equal(ma[i].val, mb[i].val);
    if (ma != sa)
        free(ma);
    if (mb != sb)
        free(mb);
    return same;
}

bool json_equal(struct json a, struct json b)
{
    enum json_type t = json_type(a);
    if (t != json_type(b))
        return false;
    if (a.v == b.v)
        return true;
    switch (t) {
    case JSON_NUMBER: return json_num_equal(json_num_text(a), json_num_text(b));
    case JSON_STRING: return str_eq(json_str(a), json_str(b));
    case JSON_ARRAY: {
        if (json_len(a) != json_len(b))
            return false;
        struct json_iter y = json_iter(b);
        for (struct json_iter x = json_iter(a); json_next(&x);)
            if (!json_next(&y) || !json_equal(x.val, y.val))
                return false;
        return true;
    }
    case JSON_OBJECT: return objects_equal(a, b);
    default: return true;
    }
}

int json_canonical(struct buf *out, struct json j)
{
    if (json_is_arr(j)) {
        bool first = true;
        buf_addc(out, '[');
        for (struct json_iter it = json_iter(j); json_next(&it) && !out->failed; first = false) {
            if (!first)
                buf_addc(out, ',');
            json_canonical(out, it.val);
        }
        buf_addc(out, ']');
    } else if (json_is_obj(j)) {
        struct member small[SMALL];
        size_t n;
        struct member *m = sorted(j, small, &n);
        buf_addc(out, '{');
        for (size_t i = 0; i < n && !out->failed; i++) {
            if (i)
                buf_addc(out, ',');
            json_quote(out, m[i].key);
            buf_addc(out, ':');
            json_canonical(out, m[i].val);
        }
        buf_addc(out, '}');
        if (m != small)
            free(m);
    } else {
        json_write(out, j);
    }
    return out->failed ? ERR_TOO_BIG : 0;
}

static void hash_tag(struct hash128 *h, char tag) { hash128_add(h, &tag, 1); }

static void hash_number(struct hash128 *h, struct str s)
{
    struct decimal d = decimal_of(s);
    hash_tag(h, 'n');
    if (decimal_is_zero(&d)) {
        hash_tag(h, '0');
        return;
    }
    hash_tag(h, d.negative ? '-' : '+');
    int c;
    for (size_t i = d.first; (c = next_digit(&d, &i)) >= 0;)
        hash_tag(h, (char)c);
    hash_tag(h, 'e');
    hash128_add(h, &d.exponent, sizeof(d.exponent));
}

static void hash_value(struct hash128 *h, struct json j)
{
    switch (json_type(j)) {
    case JSON_MISSING: hash_tag(h, 'm'); break;
    case JSON_NULL: hash_tag(h, 'z'); break;
    case JSON_FALSE: hash_tag(h, 'f'); break;
    case JSON_TRUE: hash_tag(h, 't'); break;
    case JSON_NUMBER: hash_number(h, json_num_text(j)); break;
    case JSON_STRING:
        hash_tag(h, 's');
        hash128_add_str(h, json_str(j));
        break;
    case JSON_ARRAY:
        hash_tag(h, '[');
        for (struct json_iter it = json_iter(j); json_next(&it);)
            hash_value(h, it.val);
        hash_tag(h, ']');
        break;
    case JSON_OBJECT: {
        struct member small[SMALL];
        size_t n;
        struct member *m = sorted(j, small, &n);
        hash_tag(h, '{');
        for (size_t i = 0; i < n; i++) {
            hash128_add_str(h, m[i].key);
            hash_value(h, m[i].val);
        }
        hash_tag(h, '}');
        if (m != small)
            free(m);
        break;
    }
    }
}

struct key128 json_fingerprint(struct json j)
{
    struct hash128 h;
    hash128_init(&h);
    hash_value(&h, j);
    return hash128_end(&h);
}

int json_identifier_text(struct buf *out, struct json j)
{
    if (json_is_str(j))
        return buf_addstr(out, json_str(j));
    return json_canonical(out, j);
}
