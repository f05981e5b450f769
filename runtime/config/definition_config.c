/* integration.config against the spec (runtime 2.9): every declared key gets a value, a default or null;
 * undeclared keys are dropped with a word about it. A key is looked up exactly first and then without its
 * separators and case, because environments and charts spell digits and capitals differently. */
#define LOG_GROUP "config"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "config/config_value.h"
#include "config/definition_priv.h"
#include "config/settings_all.h"

struct config {
    const struct settings *s;
    const struct tree_node *given; /* integration.config as found, or NULL */
    struct json raw;
    struct jw w;
    struct buf *problems;
    struct json *declared;
    char **keys; /* snake_case name of each */
    size_t n;
};

static char squeeze(struct str s, size_t *i)
{
    while (*i < s.n && (s.p[*i] == '_' || s.p[*i] == '-'))
        ++*i;
    return *i < s.n ? (char)tolower((unsigned char)s.p[(*i)++]) : 0;
}

static bool same_loosely(struct str a, struct str b)
{
    size_t i = 0, j = 0;
    char x, y;
    do {
        x = squeeze(a, &i);
        y = squeeze(b, &j);
    } while (x && x == y);
    return x == y;
}

static bool is_declared(const struct config *c, struct str key)
{
    for (size_t i = 0; i < c->n; i++)
        if (str_is(key, c->keys[i]))
            return true;
    return false;
}

/* Line for `key`: dotted path, variable and source. */
static void start_problem(const struct config *c, const char *key)
{
    char *dotted = xasprintf("integration.config.%s", key);
    setting_problem(c->problems, str_of(dotted), c->given ? tree_child(c->given, str_of(key)) : NULL);
    free(dotted);
}

/* The value given for a declared key; missing if none. Two loose matches are a problem. */
static struct json find_value(const struct config *c, const char *key, const char **ret_found,
                              bool *ret_ambiguous)
{
    struct json v = json_get(c->raw, str_of(key)), found = JSON_NONE;
    *ret_found = key;
    if (v.v)
        return v;
    size_t n = 0;
    for (struct json_iter it = json_iter(c->raw); json_next(&it);) {
        if (is_declared(c, it.key) || !same_loosely(it.key, str_of(key)))
            continue;
        if (n++ == 0) {
            found = it.val;
            *ret_found = it.key.p;
            continue;
        }
        *ret_ambiguous = true;
        start_problem(c, key);
        buf_addf(c->problems, "both \"%s\" and \"%.*s\" are given; keep one of them\n", *ret_found,
                 STR_FMT(it.key));
    }
    return found;
}

static void mask_leaves(struct json v)
{
    if (json_is_obj(v) || json_is_arr(v)) {
        for (struct json_iter it = json_iter(v); json_next(&it);)
            mask_leaves(it.val);
    } else if (json_is_str(v)) {
        mask_add(json_str(v));
    } else if (json_num_text(v).n >= 4) { /* masking every "1" would hide nothing but the log */
        mask_add(json_num_text(v));
    }
}

/* A sensitive value, and what stands in it when it is a text that holds JSON. */
static void mask_value(struct json v)
{
    struct json_doc *d = NULL;
    mask_leaves(v);
    struct str t = str_trim(json_str(v));
    if (t.n && (t.p[0] == '{' || t.p[0] == '[') && json_parse(t, &d, NULL) == 0)
        mask_leaves(json_root(d));
    json_unref(d);
}

static void warn_enum(const struct config *c, size_t i, struct json v, bool sensitive)
{
    struct json allowed = json_get_c(c->declared[i], "enum");
    struct buf text;
    if (!json_len(allowed))
        return;
    for (struct json_iter it = json_iter(allowed); json_next(&it);)
        if (str_eq(json_str(it.val), json_str(v)) && str_eq(json_num_text(it.val), json_num_text(v)))
            return;
    buf_init(&text, BUF_NO_LIMIT);
    json_excerpt(&text, allowed, 200);
    log_warn("integration.config.%s is none of the values its declaration lists: %s", c->keys[i],
             sensitive ? "(not shown)" : buf_cstr(&text));
    buf_done(&text);
}

static void bad_value(const struct config *c, const char *found, enum config_type t, struct json v,
                      bool sensitive)
{
    start_problem(c, found);
    buf_addf(c->problems, "expected %s, got ", config_type_expected(t));
    if (sensitive)
        buf_adds(c->problems, "a value that is not shown");
    else
        json_excerpt(c->problems, v, 60);
    buf_addc(c->problems, '\n');
}

static bool is_empty_text(struct json v) { return json_is_str(v) && !str_trim(json_str(v)).n; }

static void use_default(struct config *c, size_t i, enum config_type t)
{
    struct json fallback = json_get_c(c->declared[i], "default");
    if (!json_is_nil(fallback)) {
        if (!config_value_write(t, fallback, &c->w)) {
            start_problem(c, c->keys[i]);
            buf_addf(c->problems, "the declared default does not fit: expected %s\n",
                     config_type_expected(t));
        }
        return;
    }
    jw_null(&c->w);
    if (json_is_true(json_get_c(c->declared[i], "required"))) {
        start_problem(c, c->keys[i]);
        buf_addf(c->problems, "is required and not set: expected %s\n", config_type_expected(t));
    }
}

static void write_key(struct config *c, size_t i)
{
    enum config_type t = CONFIG_STRING;
    const char *found;
    bool ambiguous = false, sensitive = json_is_true(json_get_c(c->declared[i], "sensitive"));
    if (!config_type_of(json_str(json_get_c(c->declared[i], "type")), &t)) {
        start_problem(c, c->keys[i]);
        buf_addf(c->problems, "is declared with an unknown type: %.*s\n",
                 STR_FMT(json_str(json_get_c(c->declared[i], "type"))));
    }
    struct json v = find_value(c, c->keys[i], &found, &ambiguous);
    jw_key(&c->w, str_of(c->keys[i]));
    if (sensitive)
        mask_value(v);
    if (json_is_nil(v) || ambiguous || (t != CONFIG_STRING && is_empty_text(v))) {
        if (ambiguous)
            jw_null(&c->w);
        else
            use_default(c, i, t);
        return;
    }
    warn_enum(c, i, v, sensitive);
    if (!config_value_write(t, v, &c->w)) {
        bad_value(c, found, t, v, sensitive);
        jw_null(&c->w);
    }
}

/* Keys that no declaration asks for: dropped, with the nearest declared one named. */
static void warn_undeclared(const struct config *c)
{
    for (struct json_iter it = json_iter(c->raw); json_next(&it);) {
        const char *near = NULL;
        bool used = false;
        for (size_t i = 0; i < c->n; i++) {
            used |= same_loosely(it.key, str_of(c->keys[i]));
            if (!near && str_distance(it.key, str_of(c->keys[i]), 2) <= 2)
                near = c->keys[i];
        }
        if (!used)
            log_warn("integration.config.%.*s is not declared in the spec and is ignored%s%s%s",
                     STR_FMT(it.key), near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    }
}

static void declare(struct config *c, struct json spec)
{
    struct buf key;
    buf_init(&key, BUF_NO_LIMIT);
    for (struct json_iter it = json_iter(json_get_c(spec, "configurations")); json_next(&it);) {
        struct str name = json_str(json_get_c(it.val, "name"));
        if (!name.n)
            continue;
        buf_reset(&key);
        settings_snake(&key, name);
        if (is_declared(c, buf_str(&key))) {
            start_problem(c, buf_cstr(&key));
            buf_adds(c->problems, "is declared twice in the spec\n");
            continue;
        }
        c->declared = xrealloc(c->declared, (c->n + 1) * sizeof(*c->declared));
        c->keys = xrealloc(c->keys, (c->n + 1) * sizeof(*c->keys));
        c->declared[c->n] = it.val;
        c->keys[c->n++] = str_dup(buf_str(&key));
    }
    buf_done(&key);
}

/* What needs settings and spec together. */
static void cross_rules(const struct definition *d, const struct settings *s, struct buf *problems)
{
    struct json spec = d->spec ? json_root(d->spec) : JSON_NONE;
    const char *runtime = settings_text(s, "runtime");
    if (runtime && strcmp(runtime, "Saas") == 0) {
        struct json enabled = json_path(spec, STR("saas.enabled"));
        if (!spec.v)
            buf_adds(problems, "runtime (OCEAN__RUNTIME): Saas needs a .port/spec file to tell whether "
                               "running there is safe\n");
        else if (json_is_bool(enabled) && !json_is_true(enabled))
            buf_adds(
                problems,
                "runtime (OCEAN__RUNTIME): the spec says saas.enabled: false; this integration cannot run as "
                "Saas\n");
    }
    if (settings_value(s, "actions_processor.enabled")->number != 0 &&
        !json_is_true(json_get_c(spec, "actionsProcessingEnabled")))
        buf_adds(problems,
                 "actions_processor.enabled (OCEAN__ACTIONS_PROCESSOR__ENABLED): the spec does not say "
                 "actionsProcessingEnabled: true\n");
}

static void write_config(struct config *c, const struct definition *d)
{
    if (!d->spec) {
        jw_json(&c->w, c->raw);
        return;
    }
    declare(c, json_root(d->spec));
    jw_obj(&c->w);
    for (size_t i = 0; i < c->n; i++)
        write_key(c, i);
    jw_end_obj(&c->w);
    warn_undeclared(c);
    for (size_t i = 0; i < c->n; i++)
        free(c->keys[i]);
    free(c->keys);
    free(c->declared);
}

static void mask_problems(struct buf *problems)
{
    struct buf masked;
    buf_init(&masked, BUF_NO_LIMIT);
    mask_text(&masked, buf_str(problems), MASK_FULL);
    buf_reset(problems);
    buf_addstr(problems, buf_str(&masked));
    buf_done(&masked);
}

int definition_config(const struct definition *d, const struct settings *s, struct json_doc **ret,
                      struct buf *problems, struct err *e)
{
    struct buf text;
    buf_init(&text, BUF_NO_LIMIT);
    struct config c = {
        .s = s,
        .given = tree_find(&s->all->tree, "integration.config"),
        .raw = json_root(s->config_raw),
        .w = jw_on(&text),
        .problems = problems,
    };
    size_t before = problems->n;
    write_config(&c, d);
    cross_rules(d, s, problems);
    int rc;
    if (problems->n > before) {
        mask_problems(problems);
        rc = definition_problems(problems, e);
    } else {
        rc = json_parse(buf_str(&text), ret, e);
    }
    buf_done(&text);
    return rc;
}
