/* Three readers that end in one tree. They are called from the highest source to the lowest, so each only
 * adds what is not there yet (runtime R-11), and a value provider whose key already has a value is never
 * evaluated.
 *
 * Within the environment, deeper names go first: OCEAN__PORT__CLIENT_ID overrides client_id inside
 * OCEAN__PORT='{...}', also below integration.config. */
#define LOG_GROUP "config"
#include "config/settings_sources.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "config/settings.h"
#include "config/settings_table.h"
#include "json/yaml.h"

enum key_style {
    KEYS_SECTION, /* settings: snake_case, lower case */
    KEYS_CONFIG,  /* directly under integration.config: snake_case */
    KEYS_DATA,    /* inside a configuration value: as written */
};

struct variable {
    const char *name; /* as found */
    const char *value;
    char *dotted; /* lower case */
    int depth, order;
};

static void dotted_of(struct buf *out, const struct tree_node *at, struct str name)
{
    buf_reset(out);
    tree_path(out, at);
    if (out->n)
        buf_addc(out, '.');
    buf_addstr(out, name);
}

static void put_value(struct sources *s, struct tree_node *at, struct str name, struct json v,
                      const struct tree_origin *o, struct buf *pointer, enum key_style style);

/* Members of an object, each under the key its level demands. */
static void put_members(struct sources *s, struct tree_node *at, struct json obj, const struct tree_origin *o,
                        struct buf *pointer, enum key_style style)
{
    struct buf key;
    buf_init(&key, BUF_NO_LIMIT);
    for (struct json_iter it = json_iter(obj); it.obj && json_next(&it);) {
        size_t n = pointer->n;
        buf_reset(&key);
        if (style == KEYS_DATA)
            buf_addstr(&key, it.key);
        else
            settings_snake(&key, it.key);
        for (size_t i = 0; style == KEYS_SECTION && i < key.n; i++)
            key.p[i] = (char)tolower((unsigned char)key.p[i]);
        tree_pointer_step(pointer, it.key);
        struct str name = buf_str(&key);
        put_value(s, at, name, it.val, o, pointer, style);
        pointer->n = n;
    }
    buf_done(&key);
}

static enum key_style style_below(struct str dotted, enum key_style style)
{
    if (style != KEYS_SECTION)
        return KEYS_DATA;
    return str_is(dotted, "integration.config") ? KEYS_CONFIG : KEYS_SECTION;
}

/* A text that stands where an object of settings is expected. */
static void put_section_text(struct sources *s, struct tree_node *at, struct str name, const char *text,
                             const struct tree_origin *o, struct str dotted)
{
    struct json_doc *d = NULL;
    struct err e;
    if (!str_trim(str_of(text)).n)
        return;
    struct buf env, pointer;
    buf_init(&env, BUF_NO_LIMIT);
    buf_init(&pointer, BUF_NO_LIMIT);
    settings_env_name(&env, dotted);
    if (json_parse(str_of(text), &d, &e) < 0) {
        buf_addf(s->problems, "%.*s (%s, from %s): expected a JSON object: it does not parse\n",
                 STR_FMT(dotted), buf_cstr(&env), o->place);
    } else if (!json_is_obj(json_root(d))) {
        buf_addf(s->problems, "%.*s (%s, from %s): expected a JSON object, got %s\n", STR_FMT(dotted),
                 buf_cstr(&env), o->place, json_type_name(json_type(json_root(d))));
        json_unref(d);
    } else {
        tree_keep(s->tree, d);
        struct tree_node *section = tree_section(s->tree, at, name, o);
        if (section)
            put_members(s, section, json_root(d), o, &pointer, style_below(dotted, KEYS_SECTION));
    }
    buf_done(&env);
    buf_done(&pointer);
}

static void put_text(struct sources *s, struct tree_node *at, struct str name, const char *text,
                     const struct tree_origin *o)
{
    struct buf dotted;
    buf_init(&dotted, BUF_NO_LIMIT);
    dotted_of(&dotted, at, name);
    if (settings_table_section(buf_str(&dotted)))
        put_section_text(s, at, name, text, o, buf_str(&dotted));
    else
        tree_put_text(s->tree, at, name, text, o);
    buf_done(&dotted);
}

/* ---- Value providers (R-30 to R-35) ---- */

/* "{{ from env NAME }}": 1 with the name; 0: no provider; -1: looks like one but is not written as one. */
static int provider_of(struct str text, struct str *ret_provider, struct str *ret_name)
{
    struct str rest = text, word[5];
    size_t n = 0;
    while (rest.p && n < 5)
        word[n++] = str_split(rest, ' ', &rest);
    if (n == 5 && !rest.p && str_is(word[0], "{{") && str_is(word[1], "from") && str_is(word[4], "}}") &&
        word[2].n && word[3].n) {
        *ret_provider = word[2];
        *ret_name = word[3];
        return 1;
    }
    struct str t = str_trim(text);
    if (!str_starts(t, STR("{{")))
        return 0;
    t = str_trim((struct str){t.p + 2, t.n - 2});
    return str_starts(t, STR("from ")) ? -1 : 0;
}

static const char *provided(struct sources *s, struct str name)
{
    char *z = str_dup(name);
    const char *v = getenv(z);
    free(z);
    return v ? v : s->dotenv ? strmap_get(s->dotenv, name) : NULL;
}

/* Puts a string of config.yaml, evaluating a provider. */
static void put_yaml_string(struct sources *s, struct tree_node *at, struct str name, struct json v,
                            const struct tree_origin *o, struct buf *pointer)
{
    struct str provider, variable;
    int line = 0, col = 0;
    int what = provider_of(json_str(v), &provider, &variable);
    if (what == 0 || tree_child(at, name)) {
        tree_put_json(s->tree, at, name, v, o, pointer);
        return;
    }
    struct buf dotted;
    buf_init(&dotted, BUF_NO_LIMIT);
    dotted_of(&dotted, at, name);
    yaml_where(o->marks, buf_str(pointer), &line, &col);
    if (what < 0) {
        buf_addf(s->problems,
                 "%s (from %s:%d:%d): a value provider must be the whole value and written exactly "
                 "\"{{ from env NAME }}\"\n",
                 buf_cstr(&dotted), o->place, line, col);
    } else if (!str_is(provider, "env")) {
        log_warn("%s:%d:%d: %s: there is no value provider \"%.*s\", only \"env\"; the setting counts as not "
                 "given",
                 o->place, line, col, buf_cstr(&dotted), STR_FMT(provider));
    } else if (!provided(s, variable)) {
        log_warn("%s:%d:%d: %s: the variable %.*s is not set; the setting counts as not given", o->place,
                 line, col, buf_cstr(&dotted), STR_FMT(variable));
    } else {
        char *place = xasprintf("%s:%d:%d, variable %.*s", o->place, line, col, STR_FMT(variable));
        put_text(s, at, name, provided(s, variable), &(struct tree_origin){FROM_FILE, place, NULL});
        free(place);
    }
    buf_done(&dotted);
}

static void put_value(struct sources *s, struct tree_node *at, struct str name, struct json v,
                      const struct tree_origin *o, struct buf *pointer, enum key_style style)
{
    if (json_is_nil(v))
        return;
    if (json_is_str(v) && o->from == FROM_FILE) {
        put_yaml_string(s, at, name, v, o, pointer);
        return;
    }
    if (!json_is_obj(v)) {
        tree_put_json(s->tree, at, name, v, o, pointer);
        return;
    }
    struct buf dotted;
    buf_init(&dotted, BUF_NO_LIMIT);
    dotted_of(&dotted, at, name);
    struct tree_node *section = tree_section(s->tree, at, name, o);
    if (section)
        put_members(s, section, v, o, pointer, style_below(buf_str(&dotted), style));
    buf_done(&dotted);
}

/* ---- Environment ---- */

static bool starts_nocase(struct str s, const char *prefix)
{
    size_t n = strlen(prefix);
    return s.n >= n && str_ieq((struct str){s.p, n}, str_of(prefix));
}

/* OCEAN__A_B__C to a_b.c, APPLICATION__PORT to application.port; NULL for names that are not ours. */
static char *dotted_name(struct str name, int *ret_depth)
{
    const char *prefix = starts_nocase(name, "OCEAN__")         ? "OCEAN__"
                         : starts_nocase(name, "APPLICATION__") ? ""
                                                                : NULL;
    if (!prefix || name.n <= strlen(prefix))
        return NULL;
    struct buf out;
    buf_init(&out, BUF_NO_LIMIT);
    *ret_depth = 1;
    for (size_t i = strlen(prefix); i < name.n; i++) {
        if (name.p[i] == '_' && i + 2 < name.n && name.p[i + 1] == '_' && out.n) {
            buf_addc(&out, '.');
            (*ret_depth)++;
            i++;
        } else {
            buf_addc(&out, (char)tolower((unsigned char)name.p[i]));
        }
    }
    return buf_take(&out, NULL);
}

static int deeper_first(const void *a, const void *b)
{
    const struct variable *x = a, *y = b;
    return x->depth != y->depth ? y->depth - x->depth : x->order - y->order;
}

static void put_variable(struct sources *s, const struct variable *v, const struct tree_origin *o)
{
    struct tree_node *at = &s->tree->root;
    struct str rest = str_of(v->dotted);
    for (;;) {
        struct str name = str_split(rest, '.', &rest);
        if (!rest.p) {
            put_text(s, at, name, v->value, o);
            return;
        }
        at = tree_section(s->tree, at, name, o);
        if (!at)
            return;
    }
}

/* A variable that is ours but for its underscores: OCEAN_PORT_CLIENT_ID. */
static void hint_misspelt(struct str name)
{
    if (name.n < 7 || !starts_nocase(name, "OCEAN_") || starts_nocase(name, "OCEAN__"))
        return;
    const char *near = settings_table_nearest((struct str){name.p + 6, name.n - 6});
    if (!near)
        return;
    struct buf env;
    buf_init(&env, BUF_NO_LIMIT);
    settings_env_name(&env, str_of(near));
    log_warn("the variable %.*s is not read; did you mean %s?", STR_FMT(name), buf_cstr(&env));
    buf_done(&env);
}

static void note_port(struct sources *s, struct str name)
{
    if (starts_nocase(name, "OCEAN__PORT") || starts_nocase(name, "OCEAN_PORT"))
        s->any_port_setting = true;
}

static size_t add_variable(struct variable **list, size_t n, struct str name, const char *value)
{
    int depth;
    char *dotted = dotted_name(name, &depth);
    if (!dotted)
        return n;
    *list = xrealloc(*list, (n + 1) * sizeof(**list));
    (*list)[n] = (struct variable){name.p, value, dotted, depth, (int)n};
    return n + 1;
}

static void put_variables(struct sources *s, struct variable *list, size_t n, const struct tree_origin *o)
{
    if (n)
        qsort(list, n, sizeof(*list), deeper_first);
    for (size_t i = 0; i < n; i++) {
        put_variable(s, &list[i], o);
        free(list[i].dotted);
    }
    free(list);
}

void sources_environment(struct sources *s, const char *const *env)
{
    struct variable *list = NULL;
    size_t n = 0;
    for (; *env; env++) {
        const char *eq = strchr(*env, '=');
        if (!eq)
            continue;
        struct str name = {*env, (size_t)(eq - *env)};
        note_port(s, name);
        hint_misspelt(name);
        n = add_variable(&list, n, name, eq + 1);
    }
    put_variables(s, list, n, &(struct tree_origin){FROM_ENV, "environment", NULL});
}

void sources_dotenv(struct sources *s, struct str text, const char *path)
{
    struct variable *list = NULL;
    size_t n = 0;
    struct str name;
    void *value;
    if (!s->dotenv)
        s->dotenv = strmap_new(free);
    dotenv_parse(s->dotenv, text, path, s->problems);
    for (size_t c = 0; (c = strmap_next(s->dotenv, c, &name, &value));) {
        note_port(s, name);
        hint_misspelt(name);
        n = add_variable(&list, n, name, value);
    }
    put_variables(s, list, n, &(struct tree_origin){FROM_DOTENV, path, NULL});
}

/* config.yaml
 * ------------------------------------------------------------------------------------------------------ */

void sources_yaml(struct sources *s, struct str text, const char *path)
{
    struct json_doc *d = NULL;
    struct yaml_marks *marks = NULL;
    struct err e;
    if (!str_trim(text).n)
        return;
    if (yaml_parse(text, path, &d, &marks, &e) < 0) {
        buf_addf(s->problems, "%s\n", e.msg);
        return;
    }
    tree_keep(s->tree, d);
    struct json root = json_root(d);
    if (json_is_obj(root)) {
        struct buf pointer;
        buf_init(&pointer, BUF_NO_LIMIT);
        s->any_port_setting |= !json_is_nil(json_get_c(root, "port"));
        put_members(s, &s->tree->root, root, &(struct tree_origin){FROM_FILE, path, marks}, &pointer,
                    KEYS_SECTION);
        buf_done(&pointer);
    } else if (!json_is_nil(root)) {
        buf_addf(s->problems, "%s: expected a mapping of settings at the top level, got %s\n", path,
                 json_type_name(json_type(root)));
    }
    yaml_marks_free(marks);
}
