/* Equality, canonical text, fingerprints. All three see an object as its members sorted by key with the last of
 * duplicates kept, and numbers as number.c does. All are loops with stacks of their own: the thread's stack would not
 * carry JSON_MAX_DEPTH levels of a frame that holds an object's members.
 *
 * Equality keeps a list of pairs of containers still to be compared; their order does not matter, so that the first
 * difference anywhere ends it. Canonical text and fingerprint are the same walk with different outputs. */
#include "json/compare.h"

#include <stdlib.h>

#include "base/mem.h"
#include "json/number.h"
#include "json/write.h"

struct member {
    struct str key;
    struct json val;
    size_t order;
};

/* Members of the objects being walked, one object's behind the other's. */
struct members {
    struct member *v;
    size_t n, cap;
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

static void sort(struct member *m, size_t n)
{
    if (n > 32) {
        qsort(m, n, sizeof(*m), by_key);
        return;
    }
    for (size_t i = 1; i < n; i++) {
        struct member x = m[i];
        size_t at = i;
        for (; at && by_key(&m[at - 1], &x) > 0; at--)
            m[at] = m[at - 1];
        m[at] = x;
    }
}

/* Appends the object's members, sorted, duplicates resolved to the last; returns how many there are. */
static size_t push_members(struct members *s, struct json obj)
{
    size_t n = json_len(obj), base = s->n, kept = 0;
    if (!n)
        return 0;
    if (s->cap - base < n) {
        while (s->cap - base < n)
            s->cap = s->cap ? 2 * s->cap : 64;
        s->v = xrealloc(s->v, s->cap * sizeof(*s->v));
    }
    struct member *m = s->v + base;
    bool in_order = true;
    size_t i = 0;
    for (struct json_iter it = json_iter(obj); json_next(&it); i++) {
        m[i] = (struct member){it.key, it.val, i};
        in_order = in_order && (i == 0 || by_key(&m[i - 1], &m[i]) < 0);
    }
    if (!in_order)
        sort(m, n);
    for (i = 0; i < n; i++)
        if (i + 1 == n || !str_eq(m[i].key, m[i + 1].key))
            m[kept++] = m[i];
    s->n = base + kept;
    return kept;
}

bool json_num_equal(struct str a, struct str b)
{
    if (str_eq(a, b))
        return true;
    struct decimal x = decimal_of(a), y = decimal_of(b);
    if (decimal_is_zero(&x) || decimal_is_zero(&y))
        return decimal_is_zero(&x) && decimal_is_zero(&y);
    if (x.opaque || y.opaque || x.negative != y.negative || x.exponent != y.exponent)
        return false;
    size_t i = x.first, j = y.first;
    struct str p = decimal_digits(&x, &i), q = decimal_digits(&y, &j);
    while (p.n && q.n) {
        size_t n = p.n < q.n ? p.n : q.n;
        if (memcmp(p.p, q.p, n) != 0)
            return false;
        p = p.n > n ? (struct str){p.p + n, p.n - n} : decimal_digits(&x, &i);
        q = q.n > n ? (struct str){q.p + n, q.n - n} : decimal_digits(&y, &j);
    }
    return p.n == q.n;
}

/* Pairs of containers still to be compared. */
struct pairs {
    struct {
        struct json a, b;
    } * v;
    size_t n, cap;
};

/* Compares what needs no descent; containers that may be equal go on the list. */
static bool pair_equal(struct pairs *todo, struct json a, struct json b)
{
    enum json_type t = json_type(a);
    if (t != json_type(b))
        return false;
    if (t == JSON_NUMBER)
        return json_num_equal(json_num_text(a), json_num_text(b));
    if (t == JSON_STRING)
        return str_eq(json_str(a), json_str(b));
    if ((t != JSON_ARRAY && t != JSON_OBJECT) || a.v == b.v)
        return true;
    if (t == JSON_ARRAY && json_len(a) != json_len(b))
        return false;
    if (todo->n == todo->cap) {
        todo->cap = todo->cap ? 2 * todo->cap : 16;
        todo->v = xrealloc(todo->v, todo->cap * sizeof(*todo->v));
    }
    todo->v[todo->n].a = a;
    todo->v[todo->n++].b = b;
    return true;
}

static bool arrays_equal(struct pairs *todo, struct json a, struct json b)
{
    struct json_iter y = json_iter(b);
    for (struct json_iter x = json_iter(a); json_next(&x);)
        if (!json_next(&y) || !pair_equal(todo, x.val, y.val))
            return false;
    return true;
}

/* Objects with the same keys in the same order, values compared place by place. True is right even with duplicate keys;
 * false says nothing then. */
static bool same_order_equal(struct pairs *todo, struct json a, struct json b)
{
    if (json_len(a) != json_len(b))
        return false;
    size_t before = todo->n;
    struct json_iter y = json_iter(b);
    for (struct json_iter x = json_iter(a); json_next(&x);) {
        if (!json_next(&y) || !str_eq(x.key, y.key) || !pair_equal(todo, x.val, y.val)) {
            todo->n = before;
            return false;
        }
    }
    return true;
}

static bool objects_equal(struct pairs *todo, struct members *s, struct json a, struct json b)
{
    s->n = 0;
    size_t n = push_members(s, a), m = push_members(s, b);
    bool same = n == m;
    for (size_t i = 0; same && i < n; i++)
        same = str_eq(s->v[i].key, s->v[n + i].key) && pair_equal(todo, s->v[i].val, s->v[n + i].val);
    return same;
}

static bool equal(struct json a, struct json b, bool in_order)
{
    struct pairs todo = {0};
    struct members s = {0};
    bool same = pair_equal(&todo, a, b);
    while (same && todo.n) {
        struct json x = todo.v[--todo.n].a, y = todo.v[todo.n].b;
        if (json_is_arr(x))
            same = arrays_equal(&todo, x, y);
        else
            same = (in_order && same_order_equal(&todo, x, y)) || objects_equal(&todo, &s, x, y);
    }
    free(todo.v);
    free(s.v);
    return same;
}

/* Most comparisons are of equal values in the same order: those need no sorting. */
bool json_equal(struct json a, struct json b)
{
    return equal(a, b, true) || ((json_is_obj(a) || json_is_arr(a)) && equal(a, b, false));
}

/* Where the walk's output goes: canonical text or a hash. The hash is fed in blocks, most pieces being a few bytes. */
struct sink {
    struct buf *text; /* NULL: hashing */
    struct hash128 hash;
    size_t n;
    char block[512];
};

static void feed(struct sink *k, const void *p, size_t n)
{
    if (n > sizeof(k->block) - k->n) {
        hash128_add(&k->hash, k->block, k->n);
        k->n = 0;
        if (n > sizeof(k->block)) {
            hash128_add(&k->hash, p, n);
            return;
        }
    }
    if (n)
        memcpy(k->block + k->n, p, n);
    k->n += n;
}

static void feed_tag(struct sink *k, char tag) { feed(k, &tag, 1); }

static void feed_str(struct sink *k, struct str s)
{
    uint64_t n = s.n;
    feed(k, &n, sizeof(n));
    feed(k, s.p, s.n);
}

static void feed_number(struct sink *k, struct str s)
{
    struct decimal d = decimal_of(s);
    if (decimal_is_zero(&d)) {
        feed_tag(k, '0');
        return;
    }
    if (d.opaque) {
        feed_tag(k, 'o');
        feed_str(k, s);
        return;
    }
    feed_tag(k, d.negative ? '-' : '+');
    size_t i = d.first;
    for (struct str p; (p = decimal_digits(&d, &i)).n;)
        feed(k, p.p, p.n);
    feed_tag(k, 'e');
    feed(k, &d.exponent, sizeof(d.exponent));
}

static void put_scalar(struct sink *k, struct json j)
{
    enum json_type t = json_type(j);
    if (k->text) {
        json_write(k->text, j);
    } else if (t == JSON_NUMBER) {
        feed_number(k, json_num_text(j));
    } else if (t == JSON_STRING) {
        feed_tag(k, 's');
        feed_str(k, json_str(j));
    } else {
        feed_tag(k, "mzft"[t]); /* missing, null, false, true */
    }
}

static void put_mark(struct sink *k, char mark)
{
    if (k->text)
        buf_addc(k->text, mark);
    else
        feed_tag(k, mark);
}

static void put_key(struct sink *k, struct str key)
{
    if (k->text) {
        json_quote(k->text, key);
        buf_addc(k->text, ':');
    } else {
        feed_tag(k, 'k');
        feed_str(k, key);
    }
}

/* A container being walked: an array by its iterator, an object by its place among the members. */
struct frame {
    struct json_iter it;
    size_t base, at, end;
    bool obj, begun;
};

struct frames {
    struct frame *v;
    size_t n, cap;
};

static void open_container(struct frames *f, struct members *s, struct sink *k, struct json j)
{
    if (f->n == f->cap) {
        f->cap = f->cap ? 2 * f->cap : 16;
        f->v = xrealloc(f->v, f->cap * sizeof(*f->v));
    }
    struct frame *x = &f->v[f->n++];
    *x = (struct frame){.obj = json_is_obj(j)};
    put_mark(k, x->obj ? '{' : '[');
    if (x->obj) {
        x->base = x->at = s->n;
        x->end = x->base + push_members(s, j);
    } else {
        x->it = json_iter(j);
    }
}

/* The next value of the container, its separator and key written; false at its end. */
static bool next_value(struct frame *x, struct members *s, struct sink *k, struct json *ret)
{
    if (x->obj ? x->at == x->end : !json_next(&x->it))
        return false;
    if (x->begun && k->text)
        buf_addc(k->text, ',');
    x->begun = true;
    *ret = x->obj ? s->v[x->at].val : x->it.val;
    if (x->obj)
        put_key(k, s->v[x->at++].key);
    return true;
}

static void walk(struct sink *k, struct json j)
{
    struct frames f = {0};
    struct members s = {0};
    for (;;) {
        if (json_is_obj(j) || json_is_arr(j))
            open_container(&f, &s, k, j);
        else
            put_scalar(k, j);
        while (f.n && !next_value(&f.v[f.n - 1], &s, k, &j)) {
            struct frame *x = &f.v[--f.n];
            put_mark(k, x->obj ? '}' : ']');
            if (x->obj)
                s.n = x->base;
        }
        if (!f.n || (k->text && k->text->failed))
            break;
    }
    free(f.v);
    free(s.v);
}

int json_canonical(struct buf *out, struct json j)
{
    struct sink k = {.text = out};
    walk(&k, j);
    return out->failed ? ERR_TOO_BIG : 0;
}

struct key128 json_fingerprint(struct json j)
{
    struct sink k;
    k.text = NULL;
    k.n = 0;
    hash128_init(&k.hash);
    walk(&k, j);
    hash128_add(&k.hash, k.block, k.n);
    return hash128_end(&k.hash);
}

int json_identifier_text(struct buf *out, struct json j)
{
    if (json_is_str(j))
        return buf_addstr(out, json_str(j));
    return json_canonical(out, j);
}
