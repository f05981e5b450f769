/* json.h: immutable JSON documents.
 *
 * A `struct json_doc` is reference-counted (atomically) and never changes after
 * parsing. A `struct json` is a borrowed position in one, valid while the
 * document lives; v == NULL means "missing", which is not null. Numbers keep
 * their text: nothing is converted until json_int64 or json_double reads it.
 * Of duplicate keys the last one counts, as in jq; key order is kept.
 *
 * Strings are UTF-8; lone surrogates in input become U+FFFD (json_doc_repairs
 * counts them). Depth is limited to JSON_MAX_DEPTH; every walker is iterative or
 * bounded by it. Documents may be handed between threads and read from several. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <yyjson.h>
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#define JSON_MAX_DEPTH 10000

struct json_doc;

struct json {
    struct json_doc *doc;
    yyjson_val *v;
};

enum json_type { JSON_MISSING, JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

#define JSON_NONE ((struct json){NULL, NULL})

/* Parses one JSON text (a byte order mark is skipped). Copies `text`. Returns 0 and a
 * document with one reference, or ERR_PARSE with line, column and an excerpt,
 * or ERR_TOO_BIG beyond the depth limit. */
int json_parse(struct str text, struct json_doc **ret, struct err *e);
/* The same, taking `text` over: malloc'd, freed in any case. JSON_PADDING is what callers leave spare after n. */
#define JSON_PADDING 16
int json_parse_take(char *text, size_t n, struct json_doc **ret, struct err *e);
/* Parses the JSON value at the start of `text` and reports the bytes read (white space before
 * included): for streams of values one after another. At end of input: 0 with *ret NULL. */
int json_parse_next(struct str text, size_t *ret_used, struct json_doc **ret, struct err *e);

struct json_doc *json_ref(struct json_doc *d);
void json_unref(struct json_doc *d); /* NULL allowed */
struct json json_root(struct json_doc *d);
size_t json_doc_bytes(const struct json_doc *d); /* memory held, for accounting */
size_t json_doc_repairs(const struct json_doc *d);

static inline enum json_type json_type(struct json j)
{
    if (!j.v)
        return JSON_MISSING;
    switch (yyjson_get_type(j.v)) {
    case YYJSON_TYPE_NULL: return JSON_NULL;
    case YYJSON_TYPE_BOOL: return yyjson_get_bool(j.v) ? JSON_TRUE : JSON_FALSE;
    case YYJSON_TYPE_RAW: return JSON_NUMBER;
    case YYJSON_TYPE_STR: return JSON_STRING;
    case YYJSON_TYPE_ARR: return JSON_ARRAY;
    case YYJSON_TYPE_OBJ: return JSON_OBJECT;
    default: return JSON_MISSING;
    }
}
const char *json_type_name(enum json_type t); /* "null", "boolean", "number", "string", "array", "object", "missing" */

static inline bool json_is_obj(struct json j) { return j.v && yyjson_is_obj(j.v); }
static inline bool json_is_arr(struct json j) { return j.v && yyjson_is_arr(j.v); }
static inline bool json_is_str(struct json j) { return j.v && yyjson_is_str(j.v); }
static inline bool json_is_num(struct json j) { return j.v && yyjson_is_raw(j.v); }
static inline bool json_is_null(struct json j) { return j.v && yyjson_is_null(j.v); }
static inline bool json_is_bool(struct json j) { return j.v && yyjson_is_bool(j.v); }
static inline bool json_is_true(struct json j) { return j.v && yyjson_is_true(j.v); }
/* Missing or null. */
static inline bool json_is_nil(struct json j) { return !j.v || yyjson_is_null(j.v); }

/* Members of an object or elements of an array; 0 for everything else. */
static inline size_t json_len(struct json j) { return j.v && yyjson_is_ctn(j.v) ? yyjson_get_len(j.v) : 0; }
/* Text of a string (decoded); STR_NULL for everything else. */
static inline struct str json_str(struct json j)
{
    if (!json_is_str(j))
        return STR_NULL;
    return (struct str){yyjson_get_str(j.v), yyjson_get_len(j.v)};
}
/* Text of a number as it stood; STR_NULL for everything else. */
static inline struct str json_num_text(struct json j)
{
    if (!json_is_num(j))
        return STR_NULL;
    return (struct str){yyjson_get_raw(j.v), yyjson_get_len(j.v)};
}
/* True if j is a number written as an integer that fits 64 bits. */
bool json_int64(struct json j, int64_t *ret);
double json_double(struct json j); /* nearest double; 0 for non-numbers */

/* Last member of that name; missing if absent or j is no object. */
struct json json_get(struct json j, struct str key);
#define json_get_c(j, lit) json_get((j), STR(lit))
/* Dotted path of plain names: "links.next". */
struct json json_path(struct json j, struct str path);
struct json json_at(struct json j, size_t index); /* array element, linear for mixed arrays; missing beyond the end */

/* Iteration: for (struct json_iter it = json_iter(j); json_next(&it);) uses it.key (objects only) and it.val.
 * Duplicate keys appear as often as they stand. */
struct json_iter {
    struct json val;
    struct str key;
    struct json_doc *doc;
    yyjson_val *next;
    size_t left;
    bool obj;
};
struct json_iter json_iter(struct json j);
static inline bool json_next(struct json_iter *it)
{
    if (it->left == 0)
        return false;
    it->left--;
    if (it->obj) {
        it->key = (struct str){unsafe_yyjson_get_str(it->next), unsafe_yyjson_get_len(it->next)};
        it->val = (struct json){it->doc, it->next + 1};
    } else {
        it->val = (struct json){it->doc, it->next};
    }
    it->next = unsafe_yyjson_get_next(it->val.v);
    return true;
}

/* Appends compact JSON text. Numbers as they stood, keys in order. */
int json_write(struct buf *out, struct json j);
/* The same indented by two spaces, for people. */
int json_write_pretty(struct buf *out, struct json j);
/* A short form for messages: at most `max` bytes, "..." included where it was cut. */
void json_excerpt(struct buf *out, struct json j, size_t max);
