/* Any bytes as JSON: what parses must survive every form of writing, and equality, canonical text and fingerprint must
 * agree with one another. Aborts on a broken promise. */
#include <stdint.h>
#include <stdlib.h>

#include "json/compare.h"
#include "json/json.h"
#include "json/write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void promise(bool kept)
{
    if (!kept)
        abort();
}

static struct json_doc *reparse(const struct buf *text)
{
    struct json_doc *d = NULL;
    promise(!text->failed && json_parse(buf_str(text), &d, NULL) == 0);
    return d;
}

static void check_text(struct json j, int (*write)(struct buf *out, struct json j))
{
    struct buf one, two;
    buf_init(&one, BUF_NO_LIMIT);
    buf_init(&two, BUF_NO_LIMIT);
    promise(write(&one, j) == 0);
    struct json_doc *d = reparse(&one);
    promise(json_doc_repairs(d) == 0);
    promise(json_equal(j, json_root(d)) && json_equal(json_root(d), j));
    promise(key128_eq(json_fingerprint(j), json_fingerprint(json_root(d))));
    promise(write(&two, json_root(d)) == 0);
    promise(str_eq(buf_str(&one), buf_str(&two)));
    json_unref(d);
    buf_done(&one);
    buf_done(&two);
}

/* Every pair of the first elements: equal if and only if their fingerprints are. */
static void check_pairs(struct json arr)
{
    size_t n = json_len(arr) < 12 ? json_len(arr) : 12;
    for (size_t i = 0; json_is_arr(arr) && i < n; i++) {
        for (size_t k = 0; k < n; k++) {
            struct json a = json_at(arr, i), b = json_at(arr, k);
            promise(json_equal(a, b) == key128_eq(json_fingerprint(a), json_fingerprint(b)));
        }
    }
}

static void check_members(struct json j)
{
    int64_t i;
    struct json_iter it = json_iter(j);
    for (size_t n = 0; n < 64 && json_next(&it); n++) {
        json_double(it.val);
        json_int64(it.val, &i);
        promise(utf8_valid(json_str(it.val)));
        if (it.obj)
            promise(json_get(j, it.key).v != NULL);
    }
}

static void check_excerpts(struct json j)
{
    for (size_t max = 0; max < 40; max += 7) {
        struct buf out;
        buf_init(&out, BUF_NO_LIMIT);
        json_excerpt(&out, j, max);
        promise(out.n <= max && utf8_valid(buf_str(&out)));
        buf_done(&out);
    }
}

static void check_stream(struct str text)
{
    for (size_t used; text.n; text = (struct str){text.p + used, text.n - used}) {
        struct json_doc *d;
        struct err e;
        if (json_parse_next(text, &used, &d, &e) < 0) {
            promise(utf8_valid(str_of(e.msg)));
            return;
        }
        promise(used > 0 && used <= text.n);
        json_unref(d);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct json_doc *d;
    struct err e;
    check_stream(text);
    if (json_parse(text, &d, &e) < 0) {
        promise(utf8_valid(str_of(e.msg)));
        return 0;
    }
    struct json root = json_root(d);
    check_text(root, json_write);
    check_text(root, json_write_pretty);
    check_text(root, json_canonical);
    check_pairs(root);
    check_members(root);
    check_excerpts(root);
    json_unref(d);
    return 0;
}
