/* One function a type would be eleven small files' worth of ceremony: `accept` is the list of types in one
 * switch, over the text of the value. JSON numbers and booleans come as their text, so all sources are judged
 * alike. */
#include "config/settings_check.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "config/scalars.h"

void setting_problem(struct buf *problems, struct str dotted, const struct tree_node *node)
{
    buf_addf(problems, "%.*s (", STR_FMT(dotted));
    settings_env_name(problems, dotted);
    if (node)
        buf_addf(problems, ", from %s", node->place);
    buf_adds(problems, "): ");
}

void setting_excerpt(struct buf *out, const struct tree_node *node, bool sensitive)
{
    if (sensitive) {
        buf_adds(out, "a value that is not shown");
    } else if (node->object) {
        buf_adds(out, "an object");
    } else if (node->text) {
        struct str t = str_of(node->text);
        bool cut = t.n > 60;
        json_quote(out, (struct str){t.p, cut ? 60 : t.n});
        buf_adds(out, cut ? "..." : "");
    } else {
        json_excerpt(out, node->json, 60);
    }
}

/* The text of a leaf; false for values that have none. */
static bool leaf_text(const struct setting *s, const struct tree_node *node, struct buf *out)
{
    if (node->object)
        return false;
    if (node->text)
        return buf_adds(out, node->text) == 0;
    if (json_is_arr(node->json)) {
        size_t i = 0;
        for (struct json_iter it = json_iter(node->json); json_next(&it);) {
            if (s->type != SETTING_BROKERS || !json_is_str(it.val))
                return false;
            buf_adds(out, i++ ? "," : "");
            buf_addstr(out, json_str(it.val));
        }
        return s->type == SETTING_BROKERS;
    }
    if (json_is_str(node->json))
        buf_addstr(out, json_str(node->json));
    else
        json_write(out, node->json);
    return true;
}

static bool choose(const char *choices, struct str text, bool any_case, struct buf *out)
{
    struct str rest = str_of(choices);
    while (rest.p) {
        struct str one = str_split(rest, '|', &rest);
        if (any_case ? str_ieq(one, text) : str_eq(one, text)) {
            buf_addstr(out, one);
            return true;
        }
    }
    return any_case && str_ieq(text, STR("WARN")) && buf_adds(out, "WARNING") == 0;
}

static bool http_url(struct str text, struct buf *out)
{
    text = str_trim(text);
    while (text.n && text.p[text.n - 1] == '/')
        text.n--;
    size_t skip = str_starts(text, STR("https://")) ? 8 : str_starts(text, STR("http://")) ? 7 : 0;
    if (!skip || text.n == skip || memchr(text.p, ' ', text.n))
        return false;
    buf_addstr(out, text);
    return true;
}

/* A text that looks like a JSON array is joined; malformed JSON stays as it is. */
static void brokers(struct str text, struct buf *out)
{
    struct json_doc *d = NULL;
    struct str t = str_trim(text);
    if (t.n && t.p[0] == '[' && json_parse(t, &d, NULL) == 0) {
        size_t i = 0;
        for (struct json_iter it = json_iter(json_root(d)); json_next(&it);) {
            buf_adds(out, i++ ? "," : "");
            buf_addstr(out, json_str(it.val));
        }
        json_unref(d);
        return;
    }
    buf_addstr(out, text);
}

static bool in_range(const struct setting *s, double d)
{
    return (s->min == 0 && s->max == 0) || (d >= s->min && d <= s->max);
}

static bool accept_int(const struct setting *s, struct str text, struct setting_value *v, struct buf *out)
{
    int64_t i;
    if (!(s->type == SETTING_INTERVAL ? scalar_minutes(text, &i) : scalar_int(text, &i)))
        return false;
    v->number = (double)i;
    buf_addf(out, "%lld", (long long)i);
    return s->type == SETTING_INTERVAL ? i == 15 || i == 30 || i == 60 : in_range(s, v->number);
}

static bool accept_number(const struct setting *s, struct str text, struct setting_value *v, struct buf *out)
{
    text = str_trim(text);
    if (s->type == SETTING_PERCENT && text.n && text.p[text.n - 1] == '%')
        text.n--;
    if (!(s->type == SETTING_SIZE ? scalar_size(text, &v->number) : scalar_number(text, &v->number)))
        return false;
    buf_addf(out, "%.17g", v->number);
    return in_range(s, v->number);
}

static bool accept(const struct setting *s, struct str text, struct setting_value *v, struct buf *out)
{
    bool b;
    switch (s->type) {
    case SETTING_STRING: return buf_addstr(out, text) == 0;
    case SETTING_INT:
    case SETTING_INTERVAL: return accept_int(s, text, v, out);
    case SETTING_NUMBER:
    case SETTING_PERCENT:
    case SETTING_SIZE: return accept_number(s, text, v, out);
    case SETTING_BOOL:
        if (!str_bool(str_trim(text), &b))
            return false;
        v->number = b;
        return buf_adds(out, b ? "true" : "false") == 0;
    case SETTING_CHOICE: return choose(s->choices, text, false, out);
    case SETTING_LEVEL: return choose(s->choices, text, true, out);
    case SETTING_HTTP_URL: return http_url(text, out);
    case SETTING_BROKERS: brokers(text, out); return true;
    }
    return false;
}

static void use_default(const struct setting *s, struct setting_value *v)
{
    struct buf out;
    if (!s->fallback)
        return;
    buf_init(&out, BUF_NO_LIMIT);
    accept(s, str_of(s->fallback), v, &out);
    v->text = buf_take(&out, NULL);
    v->set = true;
    v->from = FROM_DEFAULT;
}

/* Empty texts mean "not given" for everything but text. */
static bool is_blank(const struct setting *s, const struct tree_node *node)
{
    struct str t = node->text ? str_of(node->text) : json_str(node->json);
    return s->type != SETTING_STRING && s->type != SETTING_BROKERS && t.p && !str_trim(t).n;
}

void setting_check(const struct setting *s, const struct tree_node *node, struct setting_value *v,
                   struct buf *problems)
{
    *v = (struct setting_value){0};
    if (!node || is_blank(s, node)) {
        use_default(s, v);
        return;
    }
    bool secret = s->flags & SETTING_SENSITIVE;
    struct buf in, out;
    buf_init(&in, BUF_NO_LIMIT);
    buf_init(&out, BUF_NO_LIMIT);
    bool ok = leaf_text(s, node, &in) && accept(s, buf_str(&in), v, &out);
    if (secret && in.n)
        mask_add(buf_str(&in));
    if (ok) {
        v->set = true;
        v->from = node->from;
        v->text = xstrdup(buf_cstr(&out));
    } else {
        setting_problem(problems, str_of(s->name), node);
        setting_expectation(problems, s);
        buf_adds(problems, ", got ");
        setting_excerpt(problems, node, secret);
        buf_addc(problems, '\n');
        use_default(s, v);
    }
    buf_done(&in);
    buf_done(&out);
}
