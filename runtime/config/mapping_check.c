/* One walk that validates and writes at the same time. The place is kept twice, as a readable path for people
 * and as a JSON pointer for the marks of a YAML file; both are cut back when a level ends. After a problem
 * the walk goes on with the next field, so that one run of the program shows everything; the text written by
 * then is not used. */
#include "config/mapping_check.h"

#include <math.h>

#include "base/mem.h"
#include "config/scalars.h"

struct check {
    struct buf path, pointer;
    struct jw w;
    void (*report)(void *arg, const struct mapping_problem *p);
    void *arg;
    size_t problems;
};

struct place {
    size_t path, pointer;
};

/* ---- Place ---- */

static struct place enter_key(struct check *c, struct str key)
{
    struct place p = {c->path.n, c->pointer.n};
    if (c->path.n)
        buf_addc(&c->path, '.');
    buf_addstr(&c->path, key);
    buf_addc(&c->pointer, '/');
    for (size_t i = 0; i < key.n; i++) {
        if (key.p[i] == '~' || key.p[i] == '/')
            buf_adds(&c->pointer, key.p[i] == '~' ? "~0" : "~1");
        else
            buf_addc(&c->pointer, key.p[i]);
    }
    return p;
}

static struct place enter_index(struct check *c, size_t i)
{
    struct place p = {c->path.n, c->pointer.n};
    buf_addf(&c->path, "[%zu]", i);
    buf_addf(&c->pointer, "/%zu", i);
    return p;
}

static void leave(struct check *c, struct place p)
{
    c->path.n = p.path;
    c->pointer.n = p.pointer;
    if (c->path.p)
        c->path.p[p.path] = 0;
    if (c->pointer.p)
        c->pointer.p[p.pointer] = 0;
}

static void problem(struct check *c, struct json v, const char *expected)
{
    struct buf text;
    buf_init(&text, BUF_NO_LIMIT);
    buf_addf(&text, "expected %s, got ", expected);
    if (v.v)
        json_excerpt(&text, v, 60);
    else
        buf_adds(&text, "nothing");
    struct mapping_problem p = {buf_cstr(&c->path), buf_cstr(&c->pointer), buf_cstr(&text)};
    c->problems++;
    c->report(c->arg, &p);
    buf_done(&text);
}

/* A required key is absent: reported at the object, with the key that looks like it. */
static void missing(struct check *c, struct json obj, const char *key, const char *what)
{
    struct buf text;
    buf_init(&text, BUF_NO_LIMIT);
    buf_addf(&text, "\"%s\" is missing: %s is required", key, what);
    for (struct json_iter it = json_iter(obj); it.obj && json_next(&it);) {
        if (str_distance(it.key, str_of(key), 2) <= 2) {
            buf_addf(&text, "; did you mean it by \"%.*s\"?", STR_FMT(it.key));
            break;
        }
    }
    struct mapping_problem p = {c->path.n ? buf_cstr(&c->path) : "mapping", buf_cstr(&c->pointer),
                                buf_cstr(&text)};
    c->problems++;
    c->report(c->arg, &p);
    buf_done(&text);
}

/* ---- Values ---- */

/* A jq text; numbers and booleans are taken as their text (S-21, S-22). */
static bool jq_text(struct check *c, struct json v)
{
    if (json_is_str(v))
        jw_str(&c->w, json_str(v));
    else if (json_is_num(v))
        jw_str(&c->w, json_num_text(v));
    else if (json_is_bool(v))
        jw_str(&c->w, json_is_true(v) ? STR("true") : STR("false"));
    else
        return false;
    return true;
}

static void check_jq(struct check *c, struct json v)
{
    if (!jq_text(c, v))
        problem(c, v, "a jq expression (text)");
}

static void check_query(struct check *c, struct json q);

static void check_rule(struct check *c, struct json rule)
{
    static const char *const keys[] = {"property", "operator", "value"};
    if (!json_is_obj(rule)) {
        problem(c, rule, "a rule (property, operator, value) or a search query");
        return;
    }
    if (json_get_c(rule, "combinator").v || json_get_c(rule, "rules").v) {
        check_query(c, rule);
        return;
    }
    jw_obj(&c->w);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        struct json v = json_get(rule, str_of(keys[i]));
        if (!v.v) {
            missing(c, rule, keys[i], "a jq expression");
            continue;
        }
        jw_key(&c->w, str_of(keys[i]));
        struct place p = enter_key(c, str_of(keys[i]));
        check_jq(c, v);
        leave(c, p);
    }
    jw_end_obj(&c->w);
}

/* A search query object (S-25); the depth of nesting is bounded by the JSON parser's. */
static void check_query(struct check *c, struct json q)
{
    struct json combinator = json_get_c(q, "combinator"), rules = json_get_c(q, "rules");
    struct place p;
    jw_obj(&c->w);
    if (combinator.v) {
        jw_key_c(&c->w, "combinator");
        p = enter_key(c, STR("combinator"));
        check_jq(c, combinator);
        leave(c, p);
    } else {
        missing(c, q, "combinator", "a jq expression such as \"\\\"and\\\"\"");
    }
    if (json_is_arr(rules)) {
        size_t i = 0;
        jw_key_c(&c->w, "rules");
        jw_arr(&c->w);
        p = enter_key(c, STR("rules"));
        for (struct json_iter it = json_iter(rules); json_next(&it); i++) {
            struct place inner = enter_index(c, i);
            check_rule(c, it.val);
            leave(c, inner);
        }
        leave(c, p);
        jw_end_arr(&c->w);
    } else if (rules.v) {
        p = enter_key(c, STR("rules"));
        problem(c, rules, "a list of rules");
        leave(c, p);
    } else {
        missing(c, q, "rules", "a list of rules");
    }
    jw_end_obj(&c->w);
}

static void check_jq_or_query(struct check *c, struct json v)
{
    if (json_is_obj(v))
        check_query(c, v);
    else if (!jq_text(c, v))
        problem(c, v, "a jq expression (text) or a search query (combinator, rules)");
}

/* A property's value: jq text, or an object (S-26) in which lists of objects may stand as well (S-81). */
static void check_property(struct check *c, struct json v, bool nested)
{
    struct place p;
    if (json_is_obj(v)) {
        jw_obj(&c->w);
        for (struct json_iter it = json_iter(v); json_next(&it);) {
            jw_key(&c->w, it.key);
            p = enter_key(c, it.key);
            check_property(c, it.val, true);
            leave(c, p);
        }
        jw_end_obj(&c->w);
    } else if (nested && json_is_arr(v)) {
        size_t i = 0;
        jw_arr(&c->w);
        for (struct json_iter it = json_iter(v); json_next(&it); i++) {
            p = enter_index(c, i);
            if (json_is_obj(it.val))
                check_property(c, it.val, true);
            else
                problem(c, it.val, "an object of jq expressions");
            leave(c, p);
        }
        jw_end_arr(&c->w);
    } else if (!jq_text(c, v)) {
        problem(c, v, "a jq expression (text) or an object of them");
    }
}

static void check_map(struct check *c, struct json v, bool relations)
{
    jw_obj(&c->w);
    if (!json_is_obj(v) && !json_is_null(v))
        problem(c, v,
                relations ? "an object: relation name to jq expression or search query"
                          : "an object: property name to jq expression");
    for (struct json_iter it = json_iter(v); it.obj && json_next(&it);) {
        jw_key(&c->w, it.key);
        struct place p = enter_key(c, it.key);
        if (relations)
            check_jq_or_query(c, it.val);
        else
            check_property(c, it.val, false);
        leave(c, p);
    }
    jw_end_obj(&c->w);
}

static bool lenient_bool(struct json v, bool *ret)
{
    if (json_is_bool(v)) {
        *ret = json_is_true(v);
        return true;
    }
    if (json_is_str(v))
        return str_bool(json_str(v), ret);
    double d = json_double(v);
    if (!json_is_num(v) || (d != 0 && d != 1))
        return false;
    *ret = d == 1;
    return true;
}

static void check_bool(struct check *c, struct json v, bool fallback)
{
    bool b = fallback;
    if (v.v && !lenient_bool(v, &b))
        problem(c, v, "true or false");
    jw_bool(&c->w, b);
}

/* ---- Levels ---- */

enum field { FIELD_JQ, FIELD_JQ_NULL, FIELD_QUERY, FIELD_QUERY_NULL, FIELD_PROPERTIES, FIELD_RELATIONS };

static const struct {
    const char *name;
    enum field what;
} fields[] = {
    {"identifier", FIELD_QUERY},    {"blueprint", FIELD_JQ},    {"title", FIELD_JQ_NULL},
    {"icon", FIELD_JQ_NULL},        {"team", FIELD_QUERY_NULL}, {"properties", FIELD_PROPERTIES},
    {"relations", FIELD_RELATIONS},
};

static void check_field(struct check *c, struct str key, struct json v)
{
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        if (!str_is(key, fields[i].name))
            continue;
        switch (fields[i].what) {
        case FIELD_JQ:
        case FIELD_JQ_NULL: check_jq(c, v); return;
        case FIELD_QUERY:
        case FIELD_QUERY_NULL: check_jq_or_query(c, v); return;
        case FIELD_PROPERTIES: check_map(c, v, false); return;
        case FIELD_RELATIONS: check_map(c, v, true); return;
        }
    }
    jw_json(&c->w, v);
}

/* title, icon and team may be null, which is as good as absent (S-21). */
static bool null_is_absent(struct str key)
{
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (str_is(key, fields[i].name))
            return fields[i].what == FIELD_JQ_NULL || fields[i].what == FIELD_QUERY_NULL;
    return false;
}

static void check_mapping(struct check *c, struct json m)
{
    if (!json_is_obj(m)) {
        problem(c, m, "an object of jq expressions (identifier, blueprint, properties, ...)");
        return;
    }
    jw_obj(&c->w);
    if (!json_get_c(m, "identifier").v)
        missing(c, m, "identifier", "a jq expression such as .id");
    if (!json_get_c(m, "blueprint").v)
        missing(c, m, "blueprint", "a jq expression such as \"\\\"service\\\"\"");
    for (struct json_iter it = json_iter(m); json_next(&it);) {
        if (json_is_null(it.val) && null_is_absent(it.key))
            continue;
        jw_key(&c->w, it.key);
        struct place p = enter_key(c, it.key);
        check_field(c, it.key, it.val);
        leave(c, p);
    }
    jw_end_obj(&c->w);
}

/* One mapping, or a list of them (S-27). */
static void check_mappings(struct check *c, struct json v)
{
    if (!json_is_arr(v)) {
        check_mapping(c, v);
        return;
    }
    size_t i = 0;
    if (!json_len(v))
        problem(c, v, "at least one mapping");
    jw_arr(&c->w);
    for (struct json_iter it = json_iter(v); json_next(&it); i++) {
        struct place p = enter_index(c, i);
        check_mapping(c, it.val);
        leave(c, p);
    }
    jw_end_arr(&c->w);
}

static void check_entity(struct check *c, struct json entity)
{
    if (!json_is_obj(entity)) {
        problem(c, entity, "an object that holds mappings");
        return;
    }
    jw_obj(&c->w);
    if (!json_get_c(entity, "mappings").v)
        missing(c, entity, "mappings", "the object with identifier, blueprint and the other fields");
    for (struct json_iter it = json_iter(entity); json_next(&it);) {
        jw_key(&c->w, it.key);
        struct place p = enter_key(c, it.key);
        if (str_is(it.key, "mappings"))
            check_mappings(c, it.val);
        else
            jw_json(&c->w, it.val);
        leave(c, p);
    }
    jw_end_obj(&c->w);
}

static void check_port_field(struct check *c, struct str key, struct json v)
{
    if (str_is(key, "entity")) {
        check_entity(c, v);
    } else if (str_is(key, "itemsToParseTopLevelTransform")) {
        check_bool(c, v, true);
    } else if (str_is(key, "itemsToParse") && !json_is_null(v)) {
        check_jq(c, v);
    } else if (str_is(key, "itemsToParseName") && !json_is_null(v)) {
        if (json_is_str(v) && json_str(v).n)
            jw_str(&c->w, json_str(v));
        else
            problem(c, v, "a name");
    } else {
        jw_json(&c->w, v);
    }
}

static void check_port(struct check *c, struct json port)
{
    if (!json_is_obj(port)) {
        problem(c, port, "an object that holds entity");
        return;
    }
    jw_obj(&c->w);
    if (!json_get_c(port, "entity").v)
        missing(c, port, "entity", "the object that holds mappings");
    for (struct json_iter it = json_iter(port); json_next(&it);) {
        jw_key(&c->w, it.key);
        struct place p = enter_key(c, it.key);
        check_port_field(c, it.key, it.val);
        leave(c, p);
    }
    jw_end_obj(&c->w);
}

/* All keys are kept for the integration; only `query` means something to us. */
static void check_selector(struct check *c, struct json selector)
{
    if (!json_is_obj(selector)) {
        problem(c, selector, "an object such as {\"query\": \"true\"}");
        return;
    }
    jw_obj(&c->w);
    for (struct json_iter it = json_iter(selector); json_next(&it);) {
        jw_key(&c->w, it.key);
        struct place p = enter_key(c, it.key);
        if (str_is(it.key, "query"))
            check_jq(c, it.val);
        else
            jw_json(&c->w, it.val);
        leave(c, p);
    }
    jw_end_obj(&c->w);
}

static void check_resource_field(struct check *c, struct str key, struct json v)
{
    if (str_is(key, "kind")) {
        if (json_is_str(v) || json_is_num(v))
            jw_str(&c->w, json_is_str(v) ? json_str(v) : json_num_text(v));
        else
            problem(c, v, "the name of a kind");
    } else if (str_is(key, "enableDelete")) {
        if (!json_is_bool(v))
            problem(c, v, "true or false without quotes");
        jw_json(&c->w, v);
    } else if (str_is(key, "selector")) {
        check_selector(c, v);
    } else if (str_is(key, "port")) {
        check_port(c, v);
    } else {
        jw_json(&c->w, v);
    }
}

static void check_resource(struct check *c, struct json r)
{
    if (!json_is_obj(r)) {
        problem(c, r, "a resource: an object with kind, selector and port");
        return;
    }
    jw_obj(&c->w);
    if (!json_get_c(r, "kind").v)
        missing(c, r, "kind", "the name of a kind");
    if (!json_get_c(r, "port").v)
        missing(c, r, "port", "port.entity.mappings");
    for (struct json_iter it = json_iter(r); json_next(&it);) {
        jw_key(&c->w, it.key);
        struct place p = enter_key(c, it.key);
        check_resource_field(c, it.key, it.val);
        leave(c, p);
    }
    jw_end_obj(&c->w);
}

static void check_resources(struct check *c, struct json list)
{
    size_t i = 0;
    jw_key_c(&c->w, "resources");
    jw_arr(&c->w);
    struct place p = enter_key(c, STR("resources"));
    if (list.v && !json_is_arr(list))
        problem(c, list, "a list of resources");
    for (struct json_iter it = json_iter(list); !it.obj && json_next(&it); i++) {
        struct place inner = enter_index(c, i);
        check_resource(c, it.val);
        leave(c, inner);
    }
    leave(c, p);
    jw_end_arr(&c->w);
}

/* ---- Options ---- */

static const struct {
    const char *name, *snake;
} options[] = {
    {"deleteDependentEntities", "delete_dependent_entities"},
    {"createMissingRelatedEntities", "create_missing_related_entities"},
    {"enableMergeEntity", "enable_merge_entity"},
    {"entityDeletionThreshold", "entity_deletion_threshold"},
};

static bool is_option(struct str key)
{
    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        if (str_is(key, options[i].name) || str_is(key, options[i].snake))
            return true;
    return false;
}

static void check_threshold(struct check *c, struct json v)
{
    double d = json_double(v);
    if (json_is_str(v) ? !scalar_number(json_str(v), &d) : !json_is_num(v)) {
        problem(c, v, "a number from 0 to 1");
        return;
    }
    if (!(d >= 0 && d <= 1))
        problem(c, v, "a number from 0 to 1");
    if (json_is_num(v))
        jw_json(&c->w, v);
    else
        jw_double(&c->w, d);
}

static void check_options(struct check *c, struct json root)
{
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        struct str key = str_of(options[i].name);
        struct json v = json_get(root, key);
        if (!v.v) {
            key = str_of(options[i].snake);
            v = json_get(root, key);
        }
        if (!v.v)
            continue;
        jw_key(&c->w, str_of(options[i].name));
        struct place p = enter_key(c, key);
        if (i == ARRAY_LEN(options) - 1)
            check_threshold(c, v);
        else
            check_bool(c, v, true);
        leave(c, p);
    }
}

size_t mapping_check(struct json root, struct buf *normalised,
                     void (*report)(void *arg, const struct mapping_problem *p), void *arg)
{
    struct check c = {.w = jw_on(normalised), .report = report, .arg = arg};
    buf_init(&c.path, BUF_NO_LIMIT);
    buf_init(&c.pointer, BUF_NO_LIMIT);
    jw_obj(&c.w);
    if (json_is_obj(root)) {
        check_options(&c, root);
        check_resources(&c, json_get_c(root, "resources"));
        for (struct json_iter it = json_iter(root); json_next(&it);) {
            if (is_option(it.key) || str_is(it.key, "resources"))
                continue;
            jw_key(&c.w, it.key);
            jw_json(&c.w, it.val);
        }
    } else if (!json_is_null(root)) {
        buf_adds(&c.path, "mapping");
        problem(&c, root, "an object with resources");
    }
    jw_end_obj(&c.w);
    buf_done(&c.path);
    buf_done(&c.pointer);
    return c.problems;
}
