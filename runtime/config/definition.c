/* A definition is filled from two sides: definition_load reads files before the script runs, definition_add
 * takes what the script hands to ocean.define. A part may come from one side only. */
#define LOG_GROUP "config"
#include "config/definition.h"

#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "config/definition_priv.h"
#include "json/write.h"

struct definition *definition_new(void) { return xcalloc(1, sizeof(struct definition)); }

void definition_free(struct definition *d)
{
    if (!d)
        return;
    free(d->type);
    free(d->version);
    free(d->project_name);
    free(d->project_version);
    free(d->blueprints_from);
    free(d->mapping_from);
    free(d->spec_from);
    json_unref(d->spec);
    json_unref(d->blueprints);
    json_unref(d->mapping);
    json_unref(d->actions);
    json_unref(d->scorecards);
    json_unref(d->pages);
    free(d);
}

int definition_problems(const struct buf *problems, struct err *e)
{
    struct buf line;
    if (!problems->n)
        return 0;
    buf_init(&line, BUF_NO_LIMIT);
    struct str rest = buf_str(problems);
    while (rest.n) {
        struct str one = str_split(rest, '\n', &rest);
        if (one.n)
            buf_addf(&line, "%s%.*s", line.n ? "; " : "", STR_FMT(one));
    }
    int rc = ERR(e, ERR_CONFIG, "%s", buf_cstr(&line));
    buf_done(&line);
    return rc;
}

/* ocean.define
 * -------------------------------------------------------------------------------------------------------- */

/* Keys whose value is a list in the schemas of Port and of the mapping document. */
static bool is_list_key(struct str key)
{
    static const char *const keys[] = {
        "blueprints", "resources",          "configurations", "config", "actions", "scorecards",
        "pages",      "required",           "enum",           "rules",  "data",    "levels",
        "widgets",    "exportEnvVariables", "mappings"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (str_is(key, keys[i]))
            return !str_is(key, "mappings");
    return false;
}

/* Below these keys stand names a person chose (or an integration's own selector), which mean nothing to the
 * schema. */
static bool holds_free_names(struct str key)
{
    static const char *const keys[] = {
        "properties", "relations", "mirrorProperties", "calculationProperties", "aggregationProperties",
        "selector",   "default"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (str_is(key, keys[i]))
            return true;
    return false;
}

/* Copies a table; an empty object under a list's key becomes an empty list. Depth is bounded by what Lua
 * tables convert to. */
static void copy_table(struct jw *w, struct json v, bool free_names)
{
    if (json_is_obj(v)) {
        jw_obj(w);
        for (struct json_iter it = json_iter(v); json_next(&it);) {
            jw_key(w, it.key);
            if (!free_names && json_is_obj(it.val) && json_len(it.val) == 0 && is_list_key(it.key)) {
                jw_arr(w);
                jw_end_arr(w);
            } else {
                copy_table(w, it.val, !free_names && holds_free_names(it.key));
            }
        }
        jw_end_obj(w);
    } else if (json_is_arr(v)) {
        jw_arr(w);
        for (struct json_iter it = json_iter(v); json_next(&it);)
            copy_table(w, it.val, free_names);
        jw_end_arr(w);
    } else {
        jw_json(w, v);
    }
}

static struct json_doc *copy_part(struct json root, struct str key)
{
    struct buf text;
    struct json_doc *d = NULL;
    struct json v = json_get(root, key);
    if (json_is_nil(v))
        return NULL;
    buf_init(&text, BUF_NO_LIMIT);
    struct jw w = jw_on(&text);
    if (json_is_obj(v) && json_len(v) == 0 && is_list_key(key))
        buf_adds(&text, "[]");
    else
        copy_table(&w, v, false);
    json_parse(buf_str(&text), &d, NULL);
    buf_done(&text);
    return d;
}

static int twice(const char *what, const char *from, const char *before, struct err *e)
{
    return ERR(e, ERR_CONFIG, "%s: %s is given here and in %s; keep one of them", from, what,
               before ? before : "another place");
}

/* Takes one part over; `slot` must be free. */
static int take_part(struct json root, struct str key, struct json_doc **slot, char **slot_from,
                     const char *from, struct err *e)
{
    struct json_doc *d = copy_part(root, key);
    if (!d)
        return 0;
    if (*slot) {
        json_unref(d);
        return twice(key.p, from, slot_from ? *slot_from : ".port/resources", e);
    }
    *slot = d;
    if (slot_from)
        *slot_from = xstrdup(from);
    return 0;
}

/* The spec's list: put into a copy of the spec, which may have been read from a file without one. */
static int take_config(struct definition *d, struct json root, const char *from, struct err *e)
{
    struct json_doc *list = copy_part(root, STR("config"));
    if (!list)
        return 0;
    struct json spec = d->spec ? json_root(d->spec) : JSON_NONE;
    if (!json_is_nil(json_get_c(spec, "configurations"))) {
        json_unref(list);
        return twice("config", from, d->spec_from, e);
    }
    struct buf text;
    buf_init(&text, BUF_NO_LIMIT);
    struct jw w = jw_on(&text);
    jw_obj(&w);
    for (struct json_iter it = json_iter(spec); it.obj && json_next(&it);) {
        if (str_is(it.key, "configurations"))
            continue;
        jw_key(&w, it.key);
        jw_json(&w, it.val);
    }
    jw_key_c(&w, "configurations");
    jw_json(&w, json_root(list));
    jw_end_obj(&w);
    json_unref(d->spec);
    d->spec = NULL;
    int rc = json_parse(buf_str(&text), &d->spec, e);
    buf_done(&text);
    json_unref(list);
    free(d->spec_from);
    d->spec_from = xstrdup(from);
    d->config_inline = true;
    return rc;
}

static int take_word(struct json root, const char *key, char **slot, const char *from, struct err *e)
{
    struct json v = json_get(root, str_of(key));
    if (json_is_nil(v))
        return 0;
    if (*slot)
        return twice(key, from, "an earlier call", e);
    if (!json_str(v).n)
        return ERR(e, ERR_CONFIG, "%s: %s: expected a text that is not empty", from, key);
    *slot = str_dup(json_str(v));
    return 0;
}

static int check_keys(struct json table, const char *from, struct err *e)
{
    static const char *const keys[] = {"type",   "version",    "blueprints", "mapping",
                                       "config", "scorecards", "actions",    "pages"};
    for (struct json_iter it = json_iter(table); json_next(&it);) {
        bool known = false;
        const char *near = NULL;
        for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
            known |= str_is(it.key, keys[i]);
            if (!near && str_distance(it.key, str_of(keys[i]), 2) <= 2)
                near = keys[i];
        }
        if (!known)
            return ERR(
                e, ERR_CONFIG,
                "%s: unknown field \"%.*s\"%s%s%s; known are type, version, blueprints, mapping, config, "
                "actions, scorecards and pages",
                from, STR_FMT(it.key), near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    }
    return 0;
}

static int check_inline(const struct definition *d, struct json table, const char *from, struct err *e)
{
    struct buf problems;
    buf_init(&problems, BUF_NO_LIMIT);
    struct part p = {.from = from, .problems = &problems};
    if (json_get_c(table, "blueprints").v && d->blueprints) {
        p.root = json_root(d->blueprints);
        check_blueprints(&p);
    }
    if (json_get_c(table, "mapping").v && d->mapping) {
        p.root = json_root(d->mapping);
        check_default_mapping(&p);
    }
    if (json_get_c(table, "config").v && d->spec)
        check_configurations(&p, json_get_c(json_root(d->spec), "configurations"), "config", "");
    if (json_get_c(table, "scorecards").v && d->scorecards) {
        p.root = json_root(d->scorecards);
        check_scorecards(&p);
    }
    int rc = definition_problems(&problems, e);
    buf_done(&problems);
    return rc;
}

int definition_add(struct definition *d, struct json table, const char *from, struct err *e)
{
    int rc;
    if (!json_is_obj(table))
        return ERR(e, ERR_CONFIG, "%s: expected a table with named fields, got %s", from,
                   json_type_name(json_type(table)));
    if ((rc = check_keys(table, from, e)) < 0 || (rc = take_word(table, "type", &d->type, from, e)) < 0 ||
        (rc = take_word(table, "version", &d->version, from, e)) < 0 ||
        (rc = take_part(table, STR("blueprints"), &d->blueprints, &d->blueprints_from, from, e)) < 0 ||
        (rc = take_part(table, STR("mapping"), &d->mapping, &d->mapping_from, from, e)) < 0 ||
        (rc = take_part(table, STR("actions"), &d->actions, NULL, from, e)) < 0 ||
        (rc = take_part(table, STR("scorecards"), &d->scorecards, NULL, from, e)) < 0 ||
        (rc = take_part(table, STR("pages"), &d->pages, NULL, from, e)) < 0 ||
        (rc = take_config(d, table, from, e)) < 0)
        return rc;
    d->blueprints_inline |= !json_is_nil(json_get_c(table, "blueprints"));
    d->mapping_inline |= !json_is_nil(json_get_c(table, "mapping"));
    return check_inline(d, table, from, e);
}

/* ---- Identity ---- */

/* The script's stem, or its folder's name when it is called integration.lua; NULL without a script. */
static char *script_name(const struct settings *s)
{
    char real[PATH_MAX];
    if (!s->script)
        return NULL;
    const char *path = realpath(s->script, real) ? real : s->script, *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path;
    size_t n = strlen(base);
    if (strcmp(base, "integration.lua") == 0 && slash && slash > path) {
        const char *start = slash;
        while (start > path && start[-1] != '/')
            start--;
        base = start;
        n = (size_t)(slash - start);
    } else if (n > 4 && strcmp(base + n - 4, ".lua") == 0) {
        n -= 4;
    }
    char *name = xstrndup(base, n);
    for (char *c = name; *c; c++) /* it goes into a header and into paths */
        if (!isalnum((unsigned char)*c) && *c != '-' && *c != '_' && *c != '.')
            *c = '-';
    return name;
}

static char *spec_text(const struct definition *d, struct str key)
{
    struct json v = d->spec ? json_get(json_root(d->spec), key) : JSON_NONE;
    struct str t = json_is_num(v) ? json_num_text(v) : json_str(v);
    return t.n ? str_dup(t) : NULL;
}

static void lower(char *s)
{
    for (; *s; s++)
        *s = (char)tolower((unsigned char)*s);
}

static bool has_control(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 32 || *s == 127)
            return true;
    return false;
}

int definition_identity(const struct definition *d, const struct settings *s, char **type, char **identifier,
                        char **version, struct err *e)
{
    char *t = s->type           ? xstrdup(s->type)
              : d->type         ? xstrdup(d->type)
              : d->project_name ? xstrdup(d->project_name)
                                : NULL;
    if (!t)
        t = spec_text(d, STR("type"));
    if (!t)
        t = script_name(s);
    if (!t)
        return ERR(
            e, ERR_CONFIG,
            "integration.type (OCEAN__INTEGRATION__TYPE): no type can be found; set it, or declare it with "
            "ocean.define { type = \"...\" }");
    lower(t);
    char *id = s->identifier ? xstrdup(s->identifier) : xasprintf("my-%s-integration", t);
    if (has_control(t) || has_control(id)) {
        int rc = ERR(e, ERR_CONFIG,
                     "the integration's type or identifier holds control characters: \"%s\", \"%s\"", t, id);
        free(t);
        free(id);
        return rc;
    }
    char *v = d->version ? xstrdup(d->version) : d->project_version ? xstrdup(d->project_version) : NULL;
    if (!v)
        v = spec_text(d, STR("version"));
    *type = t;
    *identifier = id;
    *version = v ? v : xstrdup("0.0.0");
    return 0;
}
