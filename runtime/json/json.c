/* Counting references and reading documents; see parse.c for how they come to be. */
#include "json/json.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "json/doc.h"

struct json_doc *json_ref(struct json_doc *d)
{
    if (d)
        atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);
    return d;
}

void json_unref(struct json_doc *d)
{
    if (!d || atomic_fetch_sub_explicit(&d->refs, 1, memory_order_acq_rel) != 1)
        return;
    yyjson_doc_free(d->doc);
    free(d);
}

struct json json_root(struct json_doc *d) { return (struct json){d, d ? yyjson_doc_get_root(d->doc) : NULL}; }
size_t json_doc_bytes(const struct json_doc *d) { return d->bytes; }
size_t json_doc_repairs(const struct json_doc *d) { return d->repairs; }

const char *json_type_name(enum json_type t)
{
    static const char *const names[] = {"missing", "null", "boolean", "boolean", "number", "string", "array", "object"};
    return names[t];
}

bool json_int64(struct json j, int64_t *ret) { return json_is_num(j) && str_int64(json_num_text(j), ret); }

static double clamped(double v) { return isinf(v) ? copysign(DBL_MAX, v) : v; }

/* yyjson's reader is exact and several times faster than strtod, but calls what overflows an error. */
static double read_double(const char *text)
{
    yyjson_val v;
    if (yyjson_read_number(text, &v, 0, NULL, NULL))
        return yyjson_get_num(&v);
    return clamped(strtod(text, NULL));
}

double json_double(struct json j)
{
    struct str s = json_num_text(j);
    char small[64];
    if (!s.n)
        return 0;
    if (s.n < sizeof(small)) {
        memcpy(small, s.p, s.n);
        small[s.n] = 0;
        return read_double(small);
    }
    char *big = str_dup(s);
    double v = read_double(big);
    free(big);
    return v;
}

/* All members are looked at, since the last of duplicates counts; the length, which yyjson keeps beside the type, tells
 * nearly all of them apart without touching their text. */
struct json json_get(struct json j, struct str key)
{
    struct json found = JSON_NONE;
    if (!json_is_obj(j))
        return found;
    const char first = key.n ? key.p[0] : 0;
    yyjson_val *k = unsafe_yyjson_get_first(j.v);
    for (size_t left = unsafe_yyjson_get_len(j.v); left; left--) {
        if (unsafe_yyjson_get_len(k) == key.n) {
            const char *p = unsafe_yyjson_get_str(k);
            if (p[0] == first && (key.n <= 1 || memcmp(p, key.p, key.n) == 0))
                found = (struct json){j.doc, k + 1};
        }
        k = unsafe_yyjson_get_next(k + 1);
    }
    return found;
}

struct json json_path(struct json j, struct str path)
{
    for (struct str rest = path; j.v && rest.p;) {
        struct str step = str_split(rest, '.', &rest);
        j = json_get(j, step);
    }
    return j;
}

struct json json_at(struct json j, size_t index)
{
    return (struct json){j.doc, json_is_arr(j) ? yyjson_arr_get(j.v, index) : NULL};
}

struct json_iter json_iter(struct json j)
{
    struct json_iter it = {.doc = j.doc};
    if (j.v && yyjson_is_ctn(j.v)) {
        it.left = unsafe_yyjson_get_len(j.v);
        it.next = it.left ? unsafe_yyjson_get_first(j.v) : NULL;
        it.obj = yyjson_is_obj(j.v);
    }
    return it;
}
