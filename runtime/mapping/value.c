/* Values and the heap they live in.
 *
 * An epoch separates what a reduce round may give back at its end from what was there before: storage of an
 * older epoch is copied instead of extended, so that nothing older ever points into memory that is given
 * back.
 *
 * The heap is a list of chunks, newest first; the limit bounds what one item may use. Containers grow by
 * doubling. A version of an array or object is (storage, length): whoever holds the newest length of a
 * storage may append in place, anybody else copies. That gives reduce loops the linear cost they have in jq
 * without counting references. Objects of more than INDEX_MIN members carry an index of open addressing,
 * built over the storage; a lookup through an older version ignores members beyond its length. */
#include "mapping/value.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

#define CHUNK_MIN ((size_t)64 << 10)
#define CHUNK_MAX ((size_t)4 << 20)
#define INDEX_MIN 12

struct heap_chunk {
    struct heap_chunk *next;
    size_t size;
    /* data follows */
};

void heap_init(struct heap *h, size_t limit) { *h = (struct heap){.limit = limit, .next_size = CHUNK_MIN}; }

void heap_done(struct heap *h)
{
    while (h->chunks) {
        struct heap_chunk *c = h->chunks;
        h->chunks = c->next;
        free(c);
    }
    heap_init(h, h->limit);
}

void heap_reset(struct heap *h)
{
    struct heap_chunk *keep = NULL;
    while (h->chunks) {
        struct heap_chunk *c = h->chunks;
        h->chunks = c->next;
        if (!h->chunks && c->size <= CHUNK_MAX)
            keep = c;
        else
            free(c);
    }
    h->chunks = keep;
    h->next_size = CHUNK_MIN * 2;
    h->p = h->end = NULL;
    h->used = 0;
    if (keep) {
        keep->next = NULL;
        h->p = (char *)(keep + 1);
        h->end = h->p + keep->size;
        h->used = keep->size;
    }
    h->tail = NULL;
    h->full = h->too_deep = false;
}

void *heap_more(struct heap *h, size_t n)
{
    size_t size = n > h->next_size ? n : h->next_size;
    if (h->used + size > h->limit)
        size = n; /* the last bit of the budget exactly */
    if (n > h->limit || h->used > h->limit - n) {
        h->full = true;
        return NULL;
    }
    struct heap_chunk *c = xmalloc(sizeof(*c) + size);
    c->size = size;
    c->next = h->chunks;
    h->chunks = c;
    h->used += size;
    if (h->next_size < CHUNK_MAX)
        h->next_size *= 2;
    h->p = (char *)(c + 1) + n;
    h->end = (char *)(c + 1) + size;
    return c + 1;
}

struct heap_mark heap_mark(const struct heap *h) { return (struct heap_mark){h->chunks, h->p}; }

void heap_release(struct heap *h, struct heap_mark m)
{
    if (!m.chunk)
        return; /* nothing had been allocated then: the first chunk stays as it is */
    while (h->chunks != m.chunk) {
        struct heap_chunk *c = h->chunks;
        h->chunks = c->next;
        h->used -= c->size;
        free(c);
    }
    h->p = m.p;
    h->end = (char *)(m.chunk + 1) + m.chunk->size;
    h->tail = NULL;
}

const char *val_kind_name(enum val_kind k)
{
    static const char *const names[] = {"null", "boolean", "boolean", "number", "string", "array", "object"};
    return names[k];
}

/* Strings
 * ----------------------------------------------------------------------------------------------------------
 */

struct val val_string(struct heap *h, struct str s)
{
    if (s.n > UINT32_MAX - 16) {
        h->full = true;
        return VNULL;
    }
    char *p = heap_alloc(h, s.n);
    if (!p)
        return VNULL;
    if (s.n)
        memcpy(p, s.p, s.n);
    h->tail = p + s.n;
    return val_strn(p, s.n);
}

/* A string that ends where the last one made ends is extended in place: the bytes others see do not change.
 */
struct val val_concat(struct heap *h, struct val a, struct val b)
{
    if (!b.n)
        return a;
    if (!a.n)
        return b;
    uint64_t n = (uint64_t)a.n + b.n;
    if (n > UINT32_MAX - 16 || n > h->limit) {
        h->full = true;
        return VNULL;
    }
    if (h->tail && a.s + a.n == h->tail && h->p - h->tail >= 0 && h->p - h->tail < 8 &&
        h->end - h->tail >= (ptrdiff_t)b.n + 8) {
        char *end = h->p - (h->p - h->tail);
        memcpy(end, b.s, b.n);
        h->tail = end + b.n;
        h->p = end + b.n + (-(uintptr_t)(end + b.n) & 7);
        return val_strn(a.s, n);
    }
    char *p = heap_alloc(h, n);
    if (!p)
        return VNULL;
    memcpy(p, a.s, a.n);
    memcpy(p + a.n, b.s, b.n);
    h->tail = p + n;
    return val_strn(p, n);
}

struct val val_fmt(struct heap *h, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    char *p = n < 0 ? NULL : heap_alloc(h, (size_t)n + 1);
    if (p)
        vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return p ? val_strn(p, (size_t)n) : VNULL;
}

int val_cmp_text(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? c : a.n < b.n ? -1 : a.n > b.n;
}

/* Arrays
 * -----------------------------------------------------------------------------------------------------------
 */

static uint32_t depth_of(struct val v)
{
    if (v.rep != REP_BUILT)
        return v.rep == REP_DOC;
    return v.kind == VAL_ARRAY ? v.arr->depth : v.obj->depth;
}

static bool note_depth(struct heap *h, uint32_t *depth, struct val v)
{
    uint32_t d = depth_of(v) + 1;
    if (d > *depth)
        *depth = d;
    if (d <= VAL_DEPTH_MAX)
        return true;
    h->full = h->too_deep = true;
    return false;
}

void val_freeze(struct val v)
{
    if (v.rep != REP_BUILT)
        return;
    if (v.kind == VAL_ARRAY) {
        v.arr->epoch = EPOCH_FROZEN;
        for (uint32_t i = 0; i < v.n; i++)
            val_freeze(v.arr->v[i]);
    } else {
        v.obj->epoch = EPOCH_FROZEN;
        for (uint32_t i = 0; i < v.n; i++)
            val_freeze(v.obj->m[i].v);
    }
}

struct val val_array(struct heap *h, size_t cap)
{
    if (cap > (SIZE_MAX - sizeof(struct arr)) / sizeof(struct val) || cap > UINT32_MAX) {
        h->full = true;
        return VNULL;
    }
    struct arr *a = heap_alloc(h, sizeof(*a) + cap * sizeof(struct val));
    if (!a)
        return VNULL;
    *a = (struct arr){.cap = (uint32_t)cap, .depth = 1, .epoch = h->epoch};
    return (struct val){.kind = VAL_ARRAY, .rep = REP_BUILT, .arr = a};
}

static struct val array_copy(struct heap *h, struct val a, size_t cap)
{
    struct val copy = val_array(h, cap);
    if (copy.kind != VAL_ARRAY)
        return copy;
    if (a.rep == REP_DOC) {
        for (struct val_iter it = val_iter(h, a); val_next(&it);)
            copy.arr->v[copy.n++] = it.v;
        copy.arr->depth = 2;
    } else {
        memcpy(copy.arr->v, a.arr->v, a.n * sizeof(struct val));
        copy.n = a.n;
        copy.arr->depth = a.arr->depth;
    }
    copy.arr->used = copy.n;
    return copy;
}

struct val val_push(struct heap *h, struct val a, struct val v)
{
    if (a.kind != VAL_ARRAY) /* one that could not be made */
        return VNULL;
    if (a.rep == REP_DOC) {
        size_t n = unsafe_yyjson_get_len(a.doc);
        a = array_copy(h, a, n + n / 2 + 4);
    } else if (a.n != a.arr->used || a.n == a.arr->cap || a.arr->epoch != h->epoch) {
        a = array_copy(h, a, a.n + (size_t)a.n / 2 + 4);
    }
    if (a.kind != VAL_ARRAY || !note_depth(h, &a.arr->depth, v))
        return VNULL;
    a.arr->v[a.n++] = v;
    a.arr->used = a.n;
    return a;
}

struct val val_put(struct heap *h, struct val a, size_t i, struct val v)
{
    if (a.kind != VAL_ARRAY)
        return VNULL;
    size_t n = val_len(h, a);
    struct val copy = array_copy(h, a, (i >= n ? i + 1 : n) + 2);
    if (copy.kind != VAL_ARRAY || !note_depth(h, &copy.arr->depth, v))
        return VNULL;
    while (copy.n <= i)
        copy.arr->v[copy.n++] = VNULL;
    copy.arr->used = copy.n;
    copy.arr->v[i] = v;
    return copy;
}

struct val val_at(struct val a, size_t i)
{
    if (a.rep == REP_BUILT)
        return i < a.n ? a.arr->v[i] : VNULL;
    yyjson_val *v = yyjson_arr_get(a.doc, i);
    return v ? val_of_doc(v) : VNULL;
}

/* Objects
 * ----------------------------------------------------------------------------------------------------------
 */

static uint32_t hash_key(struct str key)
{
    uint32_t x = 2166136261u;
    for (size_t i = 0; i < key.n; i++)
        x = (x ^ (unsigned char)key.p[i]) * 16777619u;
    return x ^ x >> 15;
}

static void index_add(struct obj *o, uint32_t at)
{
    uint32_t i = hash_key(val_text(o->m[at].key)) & o->mask;
    while (o->index[i])
        i = (i + 1) & o->mask;
    o->index[i] = at + 1;
}

struct val val_object(struct heap *h, size_t cap)
{
    if (cap > UINT32_MAX / 4) {
        h->full = true;
        return VNULL;
    }
    struct obj *o = heap_alloc(h, sizeof(*o) + cap * sizeof(struct member));
    if (!o)
        return VNULL;
    *o = (struct obj){.cap = (uint32_t)cap, .depth = 1, .epoch = h->epoch};
    if (cap > INDEX_MIN) {
        uint32_t slots = 32;
        while (slots < cap * 2)
            slots *= 2;
        o->index = heap_alloc(h, slots * sizeof(uint32_t));
        if (!o->index)
            return VNULL;
        memset(o->index, 0, slots * sizeof(uint32_t));
        o->mask = slots - 1;
    }
    return (struct val){.kind = VAL_OBJECT, .rep = REP_BUILT, .obj = o};
}

static ptrdiff_t built_find(struct val o, struct str key)
{
    const struct obj *s = o.obj;
    if (s->index) {
        for (uint32_t i = hash_key(key) & s->mask; s->index[i]; i = (i + 1) & s->mask) {
            uint32_t at = s->index[i] - 1;
            if (str_eq(val_text(s->m[at].key), key))
                return at < o.n ? (ptrdiff_t)at : -1;
        }
        return -1;
    }
    for (uint32_t i = 0; i < o.n; i++)
        if (s->m[i].key.n == key.n && bytes_eq(s->m[i].key.s, key.p, key.n))
            return (ptrdiff_t)i;
    return -1;
}

bool val_find(struct val o, struct str key, struct val *ret)
{
    if (o.rep == REP_DOC) {
        yyjson_val *k = unsafe_yyjson_get_first(o.doc), *found = NULL;
        for (size_t left = unsafe_yyjson_get_len(o.doc); left; left--) {
            if (unsafe_yyjson_get_len(k) == key.n && bytes_eq(k->uni.str, key.p, key.n))
                found = k + 1; /* of duplicates the last one counts */
            k = unsafe_yyjson_get_next(k + 1);
        }
        if (found)
            *ret = val_of_doc(found);
        return found != NULL;
    }
    ptrdiff_t at = built_find(o, key);
    if (at >= 0)
        *ret = o.obj->m[at].v;
    return at >= 0;
}

/* Appends without looking whether the key is there. */
static struct val append(struct val o, struct val key, struct val v)
{
    o.obj->m[o.n] = (struct member){key, v};
    if (o.obj->index)
        index_add(o.obj, o.n);
    o.obj->used = ++o.n;
    return o;
}

static struct val object_copy(struct heap *h, struct val o, size_t cap, ptrdiff_t without)
{
    struct val copy = val_object(h, cap);
    if (copy.kind != VAL_OBJECT)
        return copy;
    for (uint32_t i = 0; i < o.n; i++)
        if ((ptrdiff_t)i != without)
            copy = append(copy, o.obj->m[i].key, o.obj->m[i].v);
    copy.obj->depth = o.obj->depth;
    return copy;
}

struct val val_built(struct heap *h, struct val v)
{
    if (v.rep == REP_BUILT)
        return v;
    if (v.kind != VAL_ARRAY && v.kind != VAL_OBJECT) /* null: it could not be made, the heap is full */
        return VNULL;
    size_t n = unsafe_yyjson_get_len(v.doc);
    if (v.kind == VAL_ARRAY)
        return array_copy(h, v, n + 2);
    struct val o = val_object(h, n + 2);
    if (o.kind != VAL_OBJECT)
        return o;
    o.obj->depth = 2;
    yyjson_val *k = n ? unsafe_yyjson_get_first(v.doc) : NULL;
    for (; n; n--) {
        struct val key = val_strn(unsafe_yyjson_get_str(k), unsafe_yyjson_get_len(k));
        ptrdiff_t at = built_find(o, val_text(key));
        if (at >= 0)
            o.obj->m[at].v = val_of_doc(k + 1);
        else
            o = append(o, key, val_of_doc(k + 1));
        k = unsafe_yyjson_get_next(k + 1);
    }
    return o;
}

struct val val_set(struct heap *h, struct val o, struct val key, struct val v)
{
    o = val_built(h, o);
    if (o.kind != VAL_OBJECT)
        return VNULL;
    ptrdiff_t at = built_find(o, val_text(key));
    if (at >= 0) {
        o = object_copy(h, o, o.n + 2u, -1);
        if (o.kind != VAL_OBJECT || !note_depth(h, &o.obj->depth, v))
            return VNULL;
        o.obj->m[at].v = v;
        return o;
    }
    if (o.n != o.obj->used || o.n == o.obj->cap || o.obj->epoch != h->epoch)
        o = object_copy(h, o, o.n + (size_t)o.n / 2 + 4, -1);
    if (o.kind != VAL_OBJECT || !note_depth(h, &o.obj->depth, v))
        return VNULL;
    return append(o, key, v);
}

struct val val_drop(struct heap *h, struct val o, struct val key)
{
    o = val_built(h, o);
    if (o.kind != VAL_OBJECT)
        return VNULL;
    ptrdiff_t at = built_find(o, val_text(key));
    return at < 0 ? o : object_copy(h, o, o.n, at);
}

/* Few objects have duplicate keys; pairs are compared up to a size, larger ones go through a built copy. */
static bool maybe_duplicates(yyjson_val *o)
{
    size_t n = unsafe_yyjson_get_len(o);
    if (n < 2)
        return false;
    if (n > 24)
        return true;
    const yyjson_val *keys[24];
    yyjson_val *k = unsafe_yyjson_get_first(o);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < i; j++)
            if (keys[j]->tag == k->tag && memcmp(keys[j]->uni.str, k->uni.str, unsafe_yyjson_get_len(k)) == 0)
                return true;
        keys[i] = k;
        k = unsafe_yyjson_get_next(k + 1);
    }
    return false;
}

size_t val_len(struct heap *h, struct val v)
{
    if (v.rep == REP_BUILT)
        return v.n;
    if (v.kind == VAL_OBJECT && maybe_duplicates(v.doc))
        return val_built(h, v).n;
    return unsafe_yyjson_get_len(v.doc);
}

struct val val_distinct(struct heap *h, struct val v) { return maybe_duplicates(v.doc) ? val_built(h, v) : v; }

static int by_key(const void *a, const void *b)
{
    return val_cmp_text(val_text(((const struct member *)a)->key), val_text(((const struct member *)b)->key));
}

struct member *val_sorted(struct heap *h, struct val o, size_t *ret_n)
{
    size_t n = 0;
    bool in_order = true;
    struct val_iter it = val_iter(h, o);
    struct member *m = heap_alloc(h, (it.left ? it.left : 1) * sizeof(*m));
    *ret_n = 0;
    if (!m)
        return NULL;
    for (; val_next(&it); n++) {
        m[n] = (struct member){it.key, it.v};
        in_order = in_order && (!n || by_key(&m[n - 1], &m[n]) < 0);
    }
    if (!in_order)
        qsort(m, n, sizeof(*m), by_key);
    *ret_n = n;
    return m;
}

/* Order
 * ------------------------------------------------------------------------------------------------------------
 */

static int objects_cmp(struct heap *h, struct val a, struct val b)
{
    size_t na, nb;
    struct heap_mark mark = heap_mark(h);
    struct member *ma = val_sorted(h, a, &na), *mb = val_sorted(h, b, &nb);
    int c = 0;
    for (size_t i = 0; !c && i < na && i < nb; i++)
        c = by_key(&ma[i], &mb[i]); /* the key sets first, then the values key by key */
    if (!c)
        c = na < nb ? -1 : na > nb;
    for (size_t i = 0; !c && i < na; i++)
        c = val_cmp(h, ma[i].v, mb[i].v);
    heap_release(h, mark);
    return c < 0 ? -1 : c > 0;
}

int val_cmp(struct heap *h, struct val a, struct val b)
{
    if (a.kind != b.kind)
        return a.kind < b.kind ? -1 : 1;
    switch (a.kind) {
    case VAL_NUMBER: return num_cmp(a, b);
    case VAL_STRING: {
        int c = val_cmp_text(val_text(a), val_text(b));
        return c < 0 ? -1 : c > 0;
    }
    case VAL_ARRAY: {
        struct val_iter x = val_iter(h, a), y = val_iter(h, b);
        for (;;) {
            bool mx = val_next(&x), my = val_next(&y);
            if (!mx || !my)
                return mx ? 1 : my ? -1 : 0;
            int c = val_cmp(h, x.v, y.v);
            if (c)
                return c;
        }
    }
    case VAL_OBJECT:
        if (a.rep == b.rep && a.rep == REP_DOC && a.doc == b.doc)
            return 0;
        return objects_cmp(h, a, b);
    default: return 0;
    }
}
