/* Property definitions compiled to trees of checks. Only what a definition states is checked; unknown types, formats
 * and patterns that do not compile are noted as warnings and let everything pass, because definitions shipped with
 * existing integrations contain such things and refusing them would refuse the whole start. */
#include "catalog/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/regex.h"
#include "json/compare.h"

#define DEPTH_MAX 64

enum check_type { TYPE_ANY, TYPE_STRING, TYPE_NUMBER, TYPE_BOOLEAN, TYPE_OBJECT, TYPE_ARRAY };

struct limit {
    bool set;
    double value;
};

struct named {
    struct str name;
    struct regex *pattern; /* patternProperties */
    struct check *check;
};

struct check {
    enum check_type type;
    enum format format;
    bool plain; /* nothing but the type to look at */
    bool unique, closed;
    struct json choices;
    struct limit min_length, max_length, minimum, maximum, above, below, min_items, max_items;
    struct regex *pattern;
    struct check *items, *additional;
    struct named *members, *patterns;
    size_t nmembers, npatterns;
    struct json required;
};

/* Messages ------------------------------------------------------------------------------------------------------ */

static void write_path(struct buf *out, const struct where *at)
{
    if (at->up) {
        write_path(out, at->up);
        buf_addc(out, '/');
    }
    if (at->name.p)
        buf_addstr(out, at->name);
    else
        buf_addf(out, "%zu", at->index);
}

int refuse_at(struct refusal *r, const struct where *at, const char *fmt, ...)
{
    struct buf path;
    char text[300];
    va_list ap;
    buf_init(&path, 256);
    write_path(&path, at);
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    refuse_invalid(r, "\"%s\" %s", buf_cstr(&path), text);
    const struct where *top = at;
    while (top->up && top->up->up)
        top = top->up;
    if (top->up && str_is(top->up->name, "properties"))
        refuse_detail(r, "property", top->name);
    else if (top->up && str_is(top->up->name, "relations"))
        refuse_detail(r, "relation", top->name);
    buf_done(&path);
    return -1;
}

/* Compiling ----------------------------------------------------------------------------------------------------- */

static const char *const type_words[] = {"any", "string", "number", "boolean", "object", "array"};

static void warn(struct buf *out, const char *what, struct str text)
{
    if (out)
        buf_addf(out, "%s%s \"%.*s\" is not checked", out->n ? "; " : "", what, STR_FMT(text));
}

static struct limit limit_of(struct json def, struct str key)
{
    struct json j = json_get(def, key);
    return (struct limit){json_is_num(j), json_double(j)};
}

static void free_regex(void *p) { regex_free(p); }

static struct regex *pattern_of(struct arena *a, struct str text, struct buf *warnings)
{
    if (!text.p)
        return NULL;
    struct regex *re = regex_new(text, 0, NULL);
    if (re)
        arena_defer(a, free_regex, re);
    else
        warn(warnings, "pattern", text);
    return re;
}

static struct check *compile(struct arena *a, struct json def, struct buf *warnings, int depth);

static size_t compile_members(struct arena *a, struct json obj, struct named **ret, bool patterns, struct buf *warnings,
                              int depth)
{
    struct named *m = arena_zalloc(a, (json_len(obj) + 1) * sizeof(*m));
    size_t n = 0;
    for (struct json_iter it = json_iter(obj); json_next(&it);) {
        m[n].name = it.key;
        m[n].check = compile(a, it.val, warnings, depth + 1);
        if (patterns)
            m[n].pattern = pattern_of(a, it.key, warnings);
        n += !patterns || m[n].pattern;
    }
    *ret = m;
    return n;
}

static void compile_type(struct check *c, struct json def, struct buf *warnings)
{
    struct str type = json_str(json_get_c(def, "type")), format = json_str(json_get_c(def, "format"));
    for (size_t i = 1; i < ARRAY_LEN(type_words); i++)
        if (str_is(type, type_words[i]))
            c->type = (enum check_type)i;
    if (str_is(type, "integer"))
        c->type = TYPE_NUMBER;
    else if (type.p && c->type == TYPE_ANY)
        warn(warnings, "type", type);
    if (format.p && !format_of(format, &c->format))
        warn(warnings, "format", format);
}

static struct check *compile(struct arena *a, struct json def, struct buf *warnings, int depth)
{
    struct check *c = arena_zalloc(a, sizeof(*c));
    c->plain = true;
    if (!json_is_obj(def) || depth > DEPTH_MAX)
        return c;
    compile_type(c, def, warnings);
    c->choices = json_get_c(def, "enum");
    if (!json_is_arr(c->choices))
        c->choices = JSON_NONE;
    c->min_length = limit_of(def, STR("minLength"));
    c->max_length = limit_of(def, STR("maxLength"));
    c->minimum = limit_of(def, STR("minimum"));
    c->maximum = limit_of(def, STR("maximum"));
    c->above = limit_of(def, STR("exclusiveMinimum"));
    c->below = limit_of(def, STR("exclusiveMaximum"));
    c->min_items = limit_of(def, STR("minItems"));
    c->max_items = limit_of(def, STR("maxItems"));
    c->unique = json_is_true(json_get_c(def, "uniqueItems"));
    c->pattern = pattern_of(a, json_str(json_get_c(def, "pattern")), warnings);
    struct json items = json_get_c(def, "items"), more = json_get_c(def, "additionalProperties");
    if (json_is_obj(items))
        c->items = compile(a, items, warnings, depth + 1);
    c->nmembers = compile_members(a, json_get_c(def, "properties"), &c->members, false, warnings, depth);
    c->npatterns = compile_members(a, json_get_c(def, "patternProperties"), &c->patterns, true, warnings, depth);
    c->closed = json_is_bool(more) && !json_is_true(more);
    if (json_is_obj(more))
        c->additional = compile(a, more, warnings, depth + 1);
    c->required = json_get_c(def, "required");
    c->plain = c->format == FORMAT_NONE && !c->choices.v && !c->min_length.set && !c->max_length.set &&
               !c->minimum.set && !c->maximum.set && !c->above.set && !c->below.set && !c->min_items.set &&
               !c->max_items.set && !c->unique && !c->pattern && !c->items && !c->nmembers && !c->npatterns &&
               !c->closed && !c->additional && !json_is_arr(c->required);
    return c;
}

struct check *check_compile(struct arena *a, struct json def, struct buf *warnings)
{
    return compile(a, def, warnings, 0);
}

/* Checking ------------------------------------------------------------------------------------------------------ */

static int check_choice(const struct check *c, struct json v, const struct where *at, struct refusal *r)
{
    for (struct json_iter it = json_iter(c->choices); json_next(&it);)
        if (json_equal(it.val, v))
            return 0;
    struct buf list;
    buf_init(&list, 1024);
    json_excerpt(&list, c->choices, 200);
    refuse_at(r, at, "must be equal to one of the allowed values %s", buf_cstr(&list));
    buf_done(&list);
    return -1;
}

static int check_string(const struct check *c, struct str s, const struct where *at, struct refusal *r)
{
    if (c->min_length.set || c->max_length.set) {
        double n = (double)utf8_count(s);
        if (c->min_length.set && n < c->min_length.value)
            return refuse_at(r, at, "must not have fewer than %g characters", c->min_length.value);
        if (c->max_length.set && n > c->max_length.value)
            return refuse_at(r, at, "must not have more than %g characters", c->max_length.value);
    }
    if (c->pattern && regex_search(c->pattern, s, 0, NULL, 0) == REGEX_NO_MATCH)
        return refuse_at(r, at, "must match the pattern of its property");
    if (!format_matches(c->format, s))
        return refuse_at(r, at, "must match format \"%s\"", format_word(c->format));
    return 0;
}

static int check_number(const struct check *c, struct json v, const struct where *at, struct refusal *r)
{
    double x = json_double(v);
    if (c->minimum.set && x < c->minimum.value)
        return refuse_at(r, at, "must be >= %g", c->minimum.value);
    if (c->maximum.set && x > c->maximum.value)
        return refuse_at(r, at, "must be <= %g", c->maximum.value);
    if (c->above.set && x <= c->above.value)
        return refuse_at(r, at, "must be > %g", c->above.value);
    if (c->below.set && x >= c->below.value)
        return refuse_at(r, at, "must be < %g", c->below.value);
    return 0;
}

static int by_print(const void *x, const void *y)
{
    const struct key128 *a = x, *b = y;
    return a->a != b->a ? (a->a < b->a ? -1 : 1) : a->b != b->b ? (a->b < b->b ? -1 : 1) : 0;
}

static bool all_different(struct json list)
{
    size_t n = json_len(list), i = 0;
    if (n < 2)
        return true;
    struct key128 *prints = xmalloc(n * sizeof(*prints));
    for (struct json_iter it = json_iter(list); json_next(&it);)
        prints[i++] = json_fingerprint(it.val);
    qsort(prints, n, sizeof(*prints), by_print);
    bool different = true;
    for (i = 1; i < n && different; i++)
        different = !key128_eq(prints[i - 1], prints[i]);
    free(prints);
    return different;
}

static int check_array(const struct check *c, struct json v, const struct where *at, struct refusal *r)
{
    double n = (double)json_len(v);
    if (c->min_items.set && n < c->min_items.value)
        return refuse_at(r, at, "must not have fewer than %g items", c->min_items.value);
    if (c->max_items.set && n > c->max_items.value)
        return refuse_at(r, at, "must not have more than %g items", c->max_items.value);
    if (c->unique && !all_different(v))
        return refuse_at(r, at, "must not have duplicate items");
    if (!c->items)
        return 0;
    size_t i = 0;
    for (struct json_iter it = json_iter(v); json_next(&it); i++) {
        struct where here = {at, STR_NULL, i};
        if (check_value(c->items, it.val, &here, r) < 0)
            return -1;
    }
    return 0;
}

/* One member of an object: its own check, the patterns it matches, else what is said about others. */
static int check_member(const struct check *c, struct str key, struct json v, const struct where *at, struct refusal *r)
{
    struct where here = {at, key, 0};
    bool known = false;
    for (size_t i = 0; i < c->nmembers; i++) {
        if (str_eq(c->members[i].name, key)) {
            known = true;
            if (check_value(c->members[i].check, v, &here, r) < 0)
                return -1;
        }
    }
    for (size_t i = 0; i < c->npatterns; i++) {
        if (regex_search(c->patterns[i].pattern, key, 0, NULL, 0) == 1) {
            known = true;
            if (check_value(c->patterns[i].check, v, &here, r) < 0)
                return -1;
        }
    }
    if (known)
        return 0;
    if (c->closed)
        return refuse_at(r, at, "must not have the additional property '%.*s'", STR_FMT(key));
    return c->additional ? check_value(c->additional, v, &here, r) : 0;
}

static int check_labeled_url(struct json v, const struct where *at, struct refusal *r)
{
    struct json url = json_get_c(v, "url"), text = json_get_c(v, "displayText");
    if (!format_matches(FORMAT_URL, json_str(url)) || !json_is_str(url))
        return refuse_at(r, at, "must have a member 'url' that is a URL");
    return json_is_str(text) || json_is_nil(text) ? 0 : refuse_at(r, at, "must have a 'displayText' that is string");
}

static int check_object(const struct check *c, struct json v, const struct where *at, struct refusal *r)
{
    if (c->format == FORMAT_LABELED_URL)
        return check_labeled_url(v, at, r);
    for (struct json_iter it = json_iter(c->required); json_next(&it);)
        if (json_is_str(it.val) && !json_get(v, json_str(it.val)).v)
            return refuse_at(r, at, "must have required property '%.*s'", STR_FMT(json_str(it.val)));
    if (!c->nmembers && !c->npatterns && !c->closed && !c->additional)
        return 0;
    for (struct json_iter it = json_iter(v); json_next(&it);)
        if (check_member(c, it.key, it.val, at, r) < 0)
            return -1;
    return 0;
}

static enum check_type type_of(struct json v)
{
    switch (json_type(v)) {
    case JSON_STRING: return TYPE_STRING;
    case JSON_NUMBER: return TYPE_NUMBER;
    case JSON_TRUE:
    case JSON_FALSE: return TYPE_BOOLEAN;
    case JSON_OBJECT: return TYPE_OBJECT;
    case JSON_ARRAY: return TYPE_ARRAY;
    default: return TYPE_ANY;
    }
}

int check_value(const struct check *c, struct json v, const struct where *at, struct refusal *r)
{
    enum check_type type = type_of(v);
    if (c->type != TYPE_ANY && type != c->type)
        return refuse_at(r, at, "must be %s", type_words[c->type]);
    if (c->plain)
        return 0;
    if (c->choices.v && type != TYPE_ARRAY && check_choice(c, v, at, r) < 0)
        return -1;
    switch (type) {
    case TYPE_STRING: return check_string(c, json_str(v), at, r);
    case TYPE_NUMBER: return check_number(c, v, at, r);
    case TYPE_ARRAY: return check_array(c, v, at, r);
    case TYPE_OBJECT: return check_object(c, v, at, r);
    default: return 0;
    }
}
