/* A line of the plan for people:
 *
 *   ~ issue/A-1
 *       properties.url: "http://a" -> "http://b"
 *       properties.tags: +"new" -"old"
 *   - issue/A-2  no longer produced by issue-0
 *
 * What comes from outside may hold anything, so bytes that a terminal obeys are written as in JSON, and secrets are
 * masked. */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "json/write.h"
#include "sync/preview_priv.h"

#define VALUE_MAX 60   /* characters of a value */
#define VALUE_SHOWN 50 /* of one that is cut */
#define CONTEXT 12     /* before the first difference */
#define ELEMENTS_MAX 8 /* of a list */

/* Would a terminal obey the character at p? C0, DEL, C1, and the marks that change the direction of writing. */
static bool is_obeyed(const unsigned char *p, size_t left, unsigned *ret_c, size_t *ret_n)
{
    unsigned c = *p;
    *ret_n = 1;
    if (left > 1 && *p == 0xc2) {
        c = p[1];
        *ret_n = 2;
    } else if (left > 2 && *p == 0xe2 && (p[1] == 0x80 || p[1] == 0x81)) {
        c = 0x2000u | (unsigned)(p[1] & 1) << 6 | (p[2] & 0x3fu);
        *ret_n = 3;
    }
    *ret_c = c;
    return *ret_n == 1 ? c < 0x20 || c == 0x7f
           : *ret_n == 2 ? c >= 0x80 && c <= 0x9f
                         : c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

static void add_plain(struct buf *out, struct str s)
{
    unsigned c;
    for (size_t i = 0, n; i < s.n; i += n) {
        if (is_obeyed((const unsigned char *)s.p + i, s.n - i, &c, &n))
            buf_addf(out, "\\u%04x", c);
        else
            buf_add(out, s.p + i, n);
    }
}

/* The first n characters. */
static struct str first(struct str s, size_t n)
{
    size_t i = 0;
    for (; i < s.n; i++)
        if (((unsigned char)s.p[i] & 0xc0) != 0x80 && n-- == 0)
            break;
    return (struct str){s.p, i};
}

/* What two texts have in common at the beginning, but for the last characters of it. */
static struct str common(struct str a, struct str b)
{
    size_t n = 0;
    while (n < a.n && n < b.n && a.p[n] == b.p[n])
        n++;
    for (size_t chars = 0; n > 0 && chars < CONTEXT; n--)
        chars += ((unsigned char)a.p[n - 1] & 0xc0) != 0x80;
    while (n > 0 && n < a.n && ((unsigned char)a.p[n] & 0xc0) == 0x80)
        n--;
    return (struct str){a.p, n};
}

static void shorten_text(struct buf *out, struct str s, struct str other)
{
    struct buf text;
    size_t n = utf8_count(s), left = n;
    buf_init(&text, BUF_NO_LIMIT);
    struct str rest = s;
    if (n > VALUE_MAX && other.n) {
        size_t skip = common(s, other).n;
        rest = (struct str){s.p + skip, s.n - skip};
        left = utf8_count(rest);
    }
    json_quote(&text, n > VALUE_MAX ? first(rest, VALUE_SHOWN) : rest);
    buf_adds(out, left < n ? "\"..." : "\"");
    add_plain(out, (struct str){text.p + 1, text.n - 2});
    buf_adds(out, n > VALUE_MAX && left > VALUE_SHOWN ? "...\"" : "\"");
    if (n > VALUE_MAX)
        buf_addf(out, " (%zu characters)", n);
    buf_done(&text);
}

void preview_shorten(struct buf *out, struct json v, struct json other)
{
    if (json_is_str(v)) {
        shorten_text(out, json_str(v), json_str(other));
        return;
    }
    struct buf text;
    buf_init(&text, BUF_NO_LIMIT);
    json_write(&text, v);
    size_t n = utf8_count(buf_str(&text));
    add_plain(out, n > VALUE_MAX ? first(buf_str(&text), VALUE_SHOWN) : buf_str(&text));
    if (n > VALUE_MAX)
        buf_addf(out, "... (%zu characters)", n);
    buf_done(&text);
}

static void add_elements(struct buf *out, struct json list, char sign)
{
    size_t n = 0;
    for (struct json_iter it = json_iter(list); json_next(&it) && n < ELEMENTS_MAX; n++) {
        buf_addf(out, " %c", sign);
        preview_shorten(out, it.val, JSON_NONE);
    }
    if (json_len(list) > n)
        buf_addf(out, " %c%zu more", sign, json_len(list) - n);
}

static void add_side(struct buf *out, struct json v, struct json other)
{
    buf_addc(out, ' ');
    if (v.v)
        preview_shorten(out, v, other);
    else
        buf_adds(out, "(none)");
}

static void add_field(struct buf *out, struct json field, bool update)
{
    struct json added = json_get_c(field, "added"), removed = json_get_c(field, "removed"),
                search = json_get_c(field, "search"), before = json_get_c(field, "before"),
                after = json_get_c(field, "after");
    buf_adds(out, "      ");
    add_plain(out, json_str(json_get_c(field, "path")));
    buf_addc(out, ':');
    if (added.v) {
        add_elements(out, added, '+');
        add_elements(out, removed, '-');
        if (json_len(added) == 0 && json_len(removed) == 0)
            buf_adds(out, " in another order");
    } else {
        if (update || before.v) {
            add_side(out, before, after);
            buf_adds(out, " ->");
        }
        if (search.v)
            buf_adds(out, " whatever is found by");
        add_side(out, search.v ? search : after, search.v ? JSON_NONE : before);
    }
    buf_addc(out, '\n');
}

static void add_resources(struct buf *out, struct json list)
{
    size_t n = 0;
    for (struct json_iter it = json_iter(list); json_next(&it);) {
        int64_t index = 0;
        json_int64(json_get_c(it.val, "index"), &index);
        buf_adds(out, n++ ? ", " : "no longer produced by ");
        add_plain(out, json_str(json_get_c(it.val, "kind")));
        buf_addf(out, "-%lld", (long long)index);
    }
    if (n == 0)
        buf_adds(out, "no resource of the mapping produces its blueprint any more");
}

static void add_remark(struct buf *out, struct json line)
{
    struct str by = json_str(json_get_c(line, "by")), rule = json_str(json_get_c(line, "rule"));
    struct json resources = json_get_c(line, "resources"), matches = json_get_c(line, "matches");
    bool held = str_is(json_str(json_get_c(line, "change")), "held_back");
    int64_t n;
    if (held)
        buf_adds(out, "  held back");
    if (rule.p)
        buf_addf(out, " (%.*s)", STR_FMT(rule));
    if (json_is_true(json_get_c(line, "final")))
        buf_adds(out, ", not released by accepting");
    if (resources.v) {
        buf_adds(out, held ? ", " : "  ");
        add_resources(out, resources);
    }
    if (str_is(by, "relation"))
        buf_adds(out, "  made by Port, because a relation of this plan points to it");
    if (str_is(by, "cascade"))
        buf_addf(out, "%s requires something that %s", held ? ", it" : "  it",
                 held ? "is held back" : "is deleted, so Port deletes it too");
    if (json_is_true(json_get_c(line, "takes_over")))
        buf_adds(out, "  taken over: somebody else wrote it last");
    if (matches.v && json_int64(matches, &n))
        buf_addf(out, "  written to whatever matches, now %lld", (long long)n);
    else if (matches.v)
        buf_adds(out, "  written to whatever matches, now unknown");
}

static void add_line(struct buf *out, struct json line)
{
    static const struct {
        const char *change, *sign;
    } signs[] = {{"create", "+ "}, {"update", "~ "}, {"delete", "- "}, {"held_back", "! "}, {"write", "? "}};
    struct str change = json_str(json_get_c(line, "change")), type = json_str(json_get_c(line, "type"));
    struct json search = json_get_c(line, "search");
    for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++)
        if (str_is(change, signs[i].change))
            buf_adds(out, signs[i].sign);
    bool entity = str_is(type, "entity");
    add_plain(out, entity ? json_str(json_get_c(line, "blueprint")) : type);
    buf_adds(out, search.v ? " by search " : entity ? "/" : " ");
    if (search.v)
        preview_shorten(out, search, JSON_NONE);
    else
        add_plain(out, json_str(json_get_c(line, "identifier")));
    add_remark(out, line);
    buf_addc(out, '\n');
    for (struct json_iter it = json_iter(json_get_c(line, "fields")); json_next(&it);)
        add_field(out, it.val, str_is(change, "update"));
}

void preview_line_text(struct buf *out, struct json line)
{
    struct buf text;
    buf_init(&text, BUF_NO_LIMIT);
    add_line(&text, line);
    mask_text(out, buf_str(&text), MASK_FULL);
    buf_done(&text);
}
