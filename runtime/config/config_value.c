/* Values come as JSON: texts from the environment and from providers are strings, so every type also reads a
 * string. */
#include "config/config_value.h"

#include <string.h>

#include "base/mem.h"
#include "config/scalars.h"

static const struct {
    const char *name, *expected;
} types[] = {
    [CONFIG_STRING] = {"string", "text"},
    [CONFIG_INTEGER] = {"integer", "an integer"},
    [CONFIG_NUMBER] = {"number", "a number"},
    [CONFIG_BOOLEAN] = {"boolean", "true or false"},
    [CONFIG_OBJECT] = {"object", "an object, or a text that holds a JSON object"},
    [CONFIG_ARRAY] = {"array", "a list, or a text that holds a JSON array"},
    [CONFIG_URL] = {"url", "a URL"},
};

bool config_type_of(struct str name, enum config_type *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (str_is(name, types[i].name)) {
            *ret = (enum config_type)i;
            return true;
        }
    }
    return false;
}

const char *config_type_expected(enum config_type t) { return types[t].expected; }

static struct str text_of(struct json v) { return json_is_num(v) ? json_num_text(v) : json_str(v); }

static bool write_integer(struct json v, struct jw *w)
{
    int64_t i;
    if (json_is_bool(v))
        i = json_is_true(v);
    else if (!text_of(v).p)
        return false;
    else if (!scalar_int(text_of(v), &i))
        return false;
    jw_int(w, i);
    return true;
}

static bool write_boolean(struct json v, struct jw *w)
{
    bool b;
    if (json_is_bool(v)) {
        b = json_is_true(v);
    } else if (json_is_num(v)) {
        double d = json_double(v);
        if (d != 0 && d != 1)
            return false;
        b = d == 1;
    } else if (!json_is_str(v) || !str_bool(str_trim(json_str(v)), &b)) {
        return false;
    }
    jw_bool(w, b);
    return true;
}

static bool write_number(struct json v, struct jw *w)
{
    double d;
    if (json_is_num(v)) {
        jw_json(w, v);
        return true;
    }
    if (!json_is_str(v) || !scalar_number(json_str(v), &d))
        return false;
    jw_double(w, d);
    return true;
}

/* An object or array, or a text that holds one. */
static bool write_container(struct json v, bool object, struct jw *w)
{
    struct json_doc *d = NULL;
    if (json_is_str(v) && json_parse(json_str(v), &d, NULL) == 0)
        v = json_root(d);
    bool ok = object ? json_is_obj(v) : json_is_arr(v);
    if (ok)
        jw_json(w, v);
    json_unref(d);
    return ok;
}

static bool is_scheme(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool letter = (c | 32) >= 'a' && (c | 32) <= 'z';
        if (!letter && (i == 0 || !((c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.')))
            return false;
    }
    return s.n > 0;
}

/* host[:port] with a port that exists. */
static bool is_authority(struct str a)
{
    size_t at = 0;
    for (size_t i = 0; i < a.n; i++)
        if (a.p[i] == '@')
            at = i + 1;
    a = (struct str){a.p + at, a.n - at};
    const char *colon = NULL;
    for (size_t i = 0; i < a.n && a.p[0] != '['; i++)
        if (a.p[i] == ':')
            colon = a.p + i;
    if (!colon)
        return a.n > 0;
    struct str port = {colon + 1, (size_t)(a.p + a.n - colon - 1)};
    int64_t n;
    return colon > a.p && (!port.n || (str_int64(port, &n) && n >= 0 && n <= 65535));
}

static bool is_url(struct str s)
{
    const char *colon = s.n ? memchr(s.p, ':', s.n) : NULL;
    if (!colon || !is_scheme((struct str){s.p, (size_t)(colon - s.p)}))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= ' ')
            return false;
    struct str rest = {colon + 1, (size_t)(s.p + s.n - colon - 1)}, scheme = {s.p, (size_t)(colon - s.p)};
    bool web = str_ieq(scheme, STR("http")) || str_ieq(scheme, STR("https")) || str_ieq(scheme, STR("ws")) ||
               str_ieq(scheme, STR("wss"));
    if (!str_starts(rest, STR("//")))
        return !web && rest.n > 0;
    rest = (struct str){rest.p + 2, rest.n - 2};
    size_t n = 0;
    while (n < rest.n && !strchr("/?#", rest.p[n]))
        n++;
    return n ? is_authority((struct str){rest.p, n}) : !web && rest.n > 0;
}

static bool write_url(struct json v, struct jw *w)
{
    struct str s = json_str(v);
    if (!s.p || !is_url(s))
        return false;
    while (s.n && s.p[s.n - 1] == '/')
        s.n--;
    jw_str(w, s);
    return true;
}

bool config_value_write(enum config_type t, struct json v, struct jw *w)
{
    switch (t) {
    case CONFIG_STRING:
        if (json_is_num(v))
            jw_str(w, json_num_text(v));
        else if (json_is_bool(v))
            jw_str(w, json_is_true(v) ? STR("true") : STR("false"));
        else if (json_is_str(v))
            jw_str(w, json_str(v));
        else
            return false;
        return true;
    case CONFIG_INTEGER: return write_integer(v, w);
    case CONFIG_NUMBER: return write_number(v, w);
    case CONFIG_BOOLEAN: return write_boolean(v, w);
    case CONFIG_OBJECT: return write_container(v, true, w);
    case CONFIG_ARRAY: return write_container(v, false, w);
    case CONFIG_URL: return write_url(v, w);
    }
    return false;
}
