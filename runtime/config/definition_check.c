/* What the runtime itself relies on is checked here, with the place in the file; the rest of a blueprint,
 * action or page is Port's to judge, which answers with a message of its own. */
#include "config/definition_check.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/strmap.h"
#include "config/config_value.h"
#include "config/mapping_check.h"

/* Starts a line for the value at `pointer`. An absent value has no mark: the nearest one above it is taken.
 */
static void start_line(const struct part *p, const char *pointer, const char *path)
{
    int line, col;
    char *at = xstrdup(pointer);
    bool known = p->marks && yaml_where(p->marks, str_of(at), &line, &col);
    while (p->marks && !known && *at) {
        *strrchr(at, '/') = 0;
        known = yaml_where(p->marks, str_of(at), &line, &col);
    }
    if (known)
        buf_addf(p->problems, "%s:%d:%d: %s: ", p->from, line, col, path);
    else
        buf_addf(p->problems, "%s: %s: ", p->from, path);
    free(at);
}

static void complain(const struct part *p, const char *pointer, const char *path, struct json got,
                     const char *expected)
{
    start_line(p, pointer, path);
    buf_addf(p->problems, "expected %s, got ", expected);
    if (got.v)
        json_excerpt(p->problems, got, 60);
    else
        buf_adds(p->problems, "nothing");
    buf_addc(p->problems, '\n');
}

/* Member `key` (dotted: a member of a member) of the object at path/pointer is complained about. */
static void complain_key(const struct part *p, const char *pointer, const char *path, const char *key,
                         struct json got, const char *expected)
{
    char *inner = xasprintf("%s/%s", pointer, key), *name = xasprintf("%s.%s", path, key);
    for (char *c = inner + strlen(pointer); *c; c++)
        if (*c == '.')
            *c = '/';
    complain(p, inner, name, got, expected);
    free(inner);
    free(name);
}

/* ---- Spec ---- */

static void check_type(const struct part *p, struct json c, const char *path, const char *pointer)
{
    struct json type = json_get_c(c, "type"), fallback = json_get_c(c, "default");
    enum config_type t;
    if (!config_type_of(json_str(type), &t)) {
        complain_key(p, pointer, path, "type", type,
                     "one of string, integer, number, boolean, object, array, url");
        return;
    }
    struct buf out;
    buf_init(&out, BUF_NO_LIMIT);
    struct jw w = jw_on(&out);
    if (!json_is_nil(fallback) && !config_value_write(t, fallback, &w))
        complain_key(p, pointer, path, "default", fallback, config_type_expected(t));
    buf_done(&out);
}

static void check_configuration(const struct part *p, struct json c, const char *path, const char *pointer)
{
    static const char *const flags[] = {"required", "sensitive"};
    if (!json_is_obj(c)) {
        complain(p, pointer, path, c, "an object with name and type");
        return;
    }
    if (!json_str(json_get_c(c, "name")).n)
        complain_key(p, pointer, path, "name", json_get_c(c, "name"), "the name of the configuration");
    check_type(p, c, path, pointer);
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        struct json v = json_get(c, str_of(flags[i]));
        if (!json_is_nil(v) && !json_is_bool(v))
            complain_key(p, pointer, path, flags[i], v, "true or false");
    }
}

void check_configurations(const struct part *p, struct json list, const char *path, const char *pointer)
{
    size_t i = 0;
    if (!json_is_arr(list)) {
        if (!json_is_nil(list))
            complain(p, pointer, path, list,
                     "a list of configurations (name, type, required, default, sensitive)");
        return;
    }
    for (struct json_iter it = json_iter(list); json_next(&it); i++) {
        char *inner = xasprintf("%s/%zu", pointer, i), *name = xasprintf("%s[%zu]", path, i);
        check_configuration(p, it.val, name, inner);
        free(inner);
        free(name);
    }
}

void check_spec(const struct part *p)
{
    if (!json_is_obj(p->root)) {
        complain(p, "", "spec", p->root, "a mapping at the top level");
        return;
    }
    check_configurations(p, json_get_c(p->root, "configurations"), "configurations", "/configurations");
}

/* ---- Blueprints and the rest ---- */

static void check_blueprint(const struct part *p, struct json b, const char *path, const char *pointer,
                            struct strmap *seen)
{
    static const char *const objects[] = {"schema", "relations", "mirrorProperties", "calculationProperties",
                                          "aggregationProperties"};
    struct json id = json_get_c(b, "identifier"), properties = json_path(b, STR("schema.properties"));
    if (!json_is_obj(b)) {
        complain(p, pointer, path, b, "a blueprint: an object with identifier, title and schema");
        return;
    }
    if (!json_str(id).n) {
        complain_key(p, pointer, path, "identifier", id, "the blueprint's identifier");
    } else if (strmap_has(seen, json_str(id))) {
        start_line(p, pointer, path);
        buf_addf(p->problems, "the identifier \"%.*s\" is given twice\n", STR_FMT(json_str(id)));
    } else {
        strmap_put(seen, json_str(id), seen);
    }
    for (size_t i = 0; i < ARRAY_LEN(objects); i++) {
        struct json v = json_get(b, str_of(objects[i]));
        if (!json_is_nil(v) && !json_is_obj(v))
            complain_key(p, pointer, path, objects[i], v, "an object");
    }
    if (!json_is_nil(properties) && !json_is_obj(properties))
        complain_key(p, pointer, path, "schema.properties", properties,
                     "an object: property name to its schema");
    for (struct json_iter it = json_iter(json_get_c(b, "relations")); it.obj && json_next(&it);)
        if (!json_str(json_get_c(it.val, "target")).n) {
            char *key = xasprintf("relations.%.*s.target", STR_FMT(it.key));
            complain_key(p, pointer, path, key, json_get_c(it.val, "target"),
                         "the identifier of a blueprint");
            free(key);
        }
}

void check_blueprints(const struct part *p)
{
    size_t i = 0;
    if (!json_is_arr(p->root)) {
        complain(p, "", "blueprints", p->root, "a list of blueprints");
        return;
    }
    struct strmap *seen = strmap_new(NULL);
    for (struct json_iter it = json_iter(p->root); json_next(&it); i++) {
        char *pointer = xasprintf("/%zu", i), *path = xasprintf("blueprints[%zu]", i);
        check_blueprint(p, it.val, path, pointer, seen);
        free(pointer);
        free(path);
    }
    strmap_free(seen);
}

void check_objects(const struct part *p, const char *what)
{
    size_t i = 0;
    if (!json_is_arr(p->root)) {
        complain(p, "", what, p->root, "a list of objects");
        return;
    }
    for (struct json_iter it = json_iter(p->root); json_next(&it); i++) {
        if (json_is_obj(it.val))
            continue;
        char *pointer = xasprintf("/%zu", i), *path = xasprintf("%s[%zu]", what, i);
        complain(p, pointer, path, it.val, "an object");
        free(pointer);
        free(path);
    }
}

void check_scorecards(const struct part *p)
{
    size_t i = 0;
    check_objects(p, "scorecards");
    for (struct json_iter it = json_iter(p->root); !it.obj && json_next(&it); i++) {
        char *pointer = xasprintf("/%zu", i), *path = xasprintf("scorecards[%zu]", i);
        if (json_is_obj(it.val) && !json_str(json_get_c(it.val, "blueprint")).n)
            complain_key(p, pointer, path, "blueprint", json_get_c(it.val, "blueprint"),
                         "the identifier of a blueprint");
        if (json_is_obj(it.val) && !json_is_arr(json_get_c(it.val, "data")))
            complain_key(p, pointer, path, "data", json_get_c(it.val, "data"), "a list of scorecards");
        free(pointer);
        free(path);
    }
}

static void report_mapping(void *arg, const struct mapping_problem *m)
{
    const struct part *p = arg;
    start_line(p, m->pointer, m->path);
    buf_addf(p->problems, "%s\n", m->message);
}

void check_default_mapping(const struct part *p)
{
    struct buf text;
    if (json_is_nil(p->root))
        return;
    buf_init(&text, BUF_NO_LIMIT);
    mapping_check(p->root, &text, report_mapping, (void *)p);
    buf_done(&text);
}
