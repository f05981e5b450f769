/* value.h: values of the native jq evaluator.
 *
 * A `struct val` is a small value passed by copy: a scalar, a position in an immutable document, or a
 * container built in a heap. Number literals keep their text until arithmetic touches them. Built arrays and
 * objects are append-only storage seen through a length, so that adding to the newest version costs nothing
 * and older versions stay as they were. Nothing here is freed singly: a heap is a bump allocator that is
 * reset as a whole.
 *
 * Ownership: values borrow from their document, the plan or the heap. Threads: a heap belongs to one thread
 * at a time; values may be read from several. Errors: a heap over its limit returns NULL and sets `full`,
 * which stays set. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/hash.h"
#include "json/json.h"

#define VAL_DEPTH_MAX 10001 /* a scalar at level 10,001 counts as inside 10,000 containers */

/* In jq's order of types. */
enum val_kind { VAL_NULL, VAL_FALSE, VAL_TRUE, VAL_NUMBER, VAL_STRING, VAL_ARRAY, VAL_OBJECT };
/* Numbers: text or double. Containers: document or built. */
enum val_rep { REP_PLAIN, REP_TEXT, REP_DOC, REP_BUILT };

struct arr;
struct obj;

struct val {
    uint8_t kind, rep;
    uint32_t n; /* bytes of a string or number text; elements of a built container */
    union {
        double d;
        const char *s;
        yyjson_val *doc;
        struct arr *arr;
        struct obj *obj;
    };
};

/* Only storage of the heap's present epoch grows in place; what is older, or frozen, is copied. */
#define EPOCH_FROZEN UINT32_MAX
struct arr {
    uint32_t used, cap, depth, epoch;
    struct val v[];
};
struct member {
    struct val key, v;
};
struct obj {
    uint32_t used, cap, depth, epoch;
    uint32_t mask;   /* slots of the index - 1 */
    uint32_t *index; /* position + 1 by hash of the key; 0: free */
    struct member m[];
};

struct heap_chunk;
struct heap {
    struct heap_chunk *chunks; /* newest first */
    char *p, *end;
    size_t used, limit, next_size;
    uint32_t epoch, last_epoch;
    const char *tail; /* end of the last string made, which may grow in place */
    bool full;        /* over `limit` */
    bool too_deep;    /* a container deeper than VAL_DEPTH_MAX was asked for */
};

void heap_init(struct heap *h, size_t limit);
void heap_done(struct heap *h);
void heap_reset(struct heap *h); /* keeps one chunk */
void *heap_more(struct heap *h, size_t n);
static inline void *heap_alloc(struct heap *h, size_t n)
{
    n = n ? (n + 7) & ~(size_t)7 : 8;
    if ((size_t)(h->end - h->p) < n)
        return heap_more(h, n);
    void *p = h->p;
    h->p += n;
    return p;
}
/* Everything allocated after the mark is given back; only valid while no value points there. */
struct heap_mark {
    struct heap_chunk *chunk;
    char *p;
};
struct heap_mark heap_mark(const struct heap *h);
void heap_release(struct heap *h, struct heap_mark m);

#define VNULL ((struct val){.kind = VAL_NULL})
static inline struct val val_bool(bool b) { return (struct val){.kind = b ? VAL_TRUE : VAL_FALSE}; }
static inline struct val val_num(double d) { return (struct val){.kind = VAL_NUMBER, .d = d}; }
static inline struct val val_strn(const char *p, size_t n)
{
    return (struct val){.kind = VAL_STRING, .n = (uint32_t)n, .s = p};
}
static inline struct val val_str(struct str s) { return val_strn(s.p, s.n); }
static inline bool val_truthy(struct val v) { return v.kind > VAL_FALSE; }
static inline struct str val_text(struct val v)
{
    return (struct str){v.s, v.n};
} /* of strings and number texts */
static inline bool val_is_text_number(struct val v) { return v.kind == VAL_NUMBER && v.rep == REP_TEXT; }

static inline struct val val_of_doc(yyjson_val *v)
{
    switch (yyjson_get_type(v)) {
    case YYJSON_TYPE_RAW:
        return (struct val){
            .kind = VAL_NUMBER, .rep = REP_TEXT, .n = (uint32_t)unsafe_yyjson_get_len(v), .s = v->uni.str};
    case YYJSON_TYPE_STR:
        return (struct val){.kind = VAL_STRING, .n = (uint32_t)unsafe_yyjson_get_len(v), .s = v->uni.str};
    case YYJSON_TYPE_ARR: return (struct val){.kind = VAL_ARRAY, .rep = REP_DOC, .doc = v};
    case YYJSON_TYPE_OBJ: return (struct val){.kind = VAL_OBJECT, .rep = REP_DOC, .doc = v};
    case YYJSON_TYPE_BOOL: return val_bool(unsafe_yyjson_get_bool(v));
    default: return VNULL;
    }
}

const char *val_kind_name(enum val_kind k); /* "null", "boolean", "number", "string", "array", "object" */
double val_double(struct val v);            /* of a number */

struct val val_string(struct heap *h, struct str s); /* a copy */
struct val val_concat(struct heap *h, struct val a, struct val b);
struct val val_fmt(struct heap *h, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Containers. Lengths count distinct keys. */
void val_freeze(struct val v); /* never grows in place again: for constants that threads share */
struct val val_array(struct heap *h, size_t cap);
struct val val_push(struct heap *h, struct val a, struct val v); /* the new array */
struct val val_object(struct heap *h, size_t cap);
struct val val_set(struct heap *h, struct val o, struct val key, struct val v); /* the new object */
struct val val_drop(struct heap *h, struct val o, struct val key);
size_t val_len(struct heap *h, struct val v);
struct val val_at(struct val a, size_t i); /* null beyond the end */
bool val_find(struct val o, struct str key, struct val *ret);
struct val val_built(struct heap *h,
                     struct val v); /* the same container, one level built and free of duplicates */
struct val val_put(struct heap *h, struct val a, size_t i,
                   struct val v); /* array with element i replaced; grows with nulls */

/* Iteration in jq's order; a document object with duplicate keys shows each once, with its last value. */
struct val_iter {
    struct val key, v;
    bool obj;
    uint32_t left;
    yyjson_val *next;
    const struct val *elem;
    const struct member *memb;
};
/* The same container, or a built copy without duplicate keys. */
struct val val_distinct(struct heap *h, struct val v);
static inline struct val_iter val_iter(struct heap *h, struct val v)
{
    struct val_iter it = {.obj = v.kind == VAL_OBJECT};
    if (it.obj && v.rep == REP_DOC && unsafe_yyjson_get_len(v.doc) > 1) {
        v = val_distinct(h, v);
        if (v.kind != VAL_OBJECT)
            return it;
    }
    if (v.rep == REP_DOC) {
        it.left = (uint32_t)unsafe_yyjson_get_len(v.doc);
        it.next = it.left ? unsafe_yyjson_get_first(v.doc) : NULL;
    } else {
        it.left = v.n;
        if (it.obj)
            it.memb = v.obj->m;
        else
            it.elem = v.arr->v;
    }
    return it;
}
static inline bool val_next(struct val_iter *it)
{
    if (!it->left)
        return false;
    it->left--;
    if (it->next) {
        if (it->obj) {
            it->key = val_strn(it->next->uni.str, unsafe_yyjson_get_len(it->next));
            it->next++;
        }
        it->v = val_of_doc(it->next);
        it->next = unsafe_yyjson_get_next(it->next);
    } else if (it->obj) {
        it->key = it->memb->key;
        it->v = (it->memb++)->v;
    } else {
        it->v = *it->elem++;
    }
    return true;
}
/* Members sorted by key, in the heap. */
struct member *val_sorted(struct heap *h, struct val o, size_t *ret_n);

/* jq's total order: -1, 0, 1. */
int val_cmp(struct heap *h, struct val a, struct val b);
static inline bool val_eq(struct heap *h, struct val a, struct val b) { return val_cmp(h, a, b) == 0; }
int val_cmp_text(struct str a, struct str b);

/* Compact JSON as jq writes it. */
void val_write(struct heap *h, struct buf *out, struct val v);
struct val val_json(struct heap *h, struct val v); /* the same as a string value */
void val_write_string(struct buf *out, struct str s);
/* What jq shows of a value in messages: at most `max` bytes, cut with "...". */
struct str val_excerpt(struct heap *h, struct val v, size_t max);
/* Reads JSON as jq does (nan is accepted). 0, or ERR_PARSE with jq's kind of message in *msg. */
int val_parse(struct heap *h, struct str text, struct val *ret, struct str *msg);

/* Numbers (number.c) */
#define NUM_TEXT_MAX 48 /* a sign, 17 digits, 15 zeros behind them, NUL */
size_t num_format(char out[NUM_TEXT_MAX], double d); /* as jq prints a computed double; nan prints null */
/* decNumber's to-scientific-string of a number text. False: the text is already of that form. */
bool num_canonical(struct str text, struct buf *out);
void num_write(struct buf *out, struct val v);
double num_double(struct str text);
int num_cmp(struct val a, struct val b);
/* A number literal as jq's lexer and tonumber read it ("1.", ".5", "+1", "1e3"); false: it is none. */
bool num_parse(struct heap *h, struct str text, struct val *ret);
/* Adds a number by its value: 1, 1.0 and 10e-1 agree. */
void num_mix(struct mix128 *m, struct val v);
