/* What a blueprint must look like, and the form in which it is stored: every member that readers rely on is there
 * (P-93), relations say `required` and `many` (P-94), unknown members are left out. Mirrors, calculations and
 * aggregations are kept as they came, because related blueprints are patched concurrently (P-101). */
#include "catalog/blueprint.h"

#include "json/write.h"

/* Members kept as they come, with the answer's default; NULL: absent unless given. */
static const struct {
    struct str name;
    const char *fallback;
} plain[] = {
    {STR("calculationProperties"), "{}"}, {STR("mirrorProperties"), "{}"},
    {STR("aggregationProperties"), "{}"}, {STR("ownership"), NULL},
    {STR("teamInheritance"), NULL},       {STR("changelogDestination"), NULL},
    {STR("includeInGlobalSearch"), NULL},
};

static struct json pick(struct json base, struct json in, struct str key)
{
    struct json given = json_get(in, key);
    return given.v ? given : json_get(base, key);
}

static int write_text(struct jw *w, struct json base, struct json in, struct str key, size_t max, struct refusal *r)
{
    struct json v = pick(base, in, key);
    if (!v.v)
        return 0;
    if (!json_is_str(v) && !json_is_null(v))
        return refuse_invalid(r, "\"%.*s\" must be string", STR_FMT(key));
    if (max && utf8_count(json_str(v)) > max)
        return refuse_invalid(r, "\"%.*s\" must not have more than %zu characters", STR_FMT(key), max);
    jw_key(w, key);
    jw_json(w, v);
    return 0;
}

/* What P-100 accepts unless the server is strict. */
static int check_strict(struct json def, struct str name, struct refusal *r)
{
    static const char *const types[] = {"string", "number", "boolean", "object", "array"};
    struct str type = json_str(json_get_c(def, "type")), format = json_str(json_get_c(def, "format"));
    enum format unused;
    bool known = false;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        known |= str_is(type, types[i]);
    if (!known)
        return refuse_invalid(r, "\"schema/properties/%.*s/type\" \"%.*s\" is not known", STR_FMT(name), STR_FMT(type));
    if (format.p && !format_of(format, &unused))
        return refuse_invalid(r, "\"schema/properties/%.*s/format\" \"%.*s\" is not known", STR_FMT(name),
                              STR_FMT(format));
    return 0;
}

static int write_properties(struct core *k, struct jw *w, struct json props, struct refusal *r)
{
    if (!json_is_obj(props))
        return refuse_invalid(r, "\"schema/properties\" must be object");
    for (struct json_iter it = json_iter(props); json_next(&it);) {
        struct json title = json_get_c(it.val, "title");
        if (!member_name_ok(it.key))
            return refuse_invalid(r, "\"schema/properties/%.*s\" must be named by 1 to 100 of A-Z a-z 0-9 @ _ = \\ -",
                                  STR_FMT(it.key));
        if (!json_is_obj(it.val))
            return refuse_invalid(r, "\"schema/properties/%.*s\" must be object", STR_FMT(it.key));
        if (k->strict && check_strict(it.val, it.key, r) < 0)
            return -1;
        if (json_is_str(title) && utf8_count(json_str(title)) > LIMIT_NAME)
            return refuse_invalid(r, "\"schema/properties/%.*s/title\" must not have more than 100 characters",
                                  STR_FMT(it.key));
    }
    jw_key_c(w, "properties");
    jw_json(w, props);
    return 0;
}

static int write_schema(struct core *k, struct jw *w, struct json schema, struct refusal *r)
{
    struct json props = json_get_c(schema, "properties"), required = json_get_c(schema, "required");
    if (!schema.v)
        return refuse_invalid(r, "body must have required property 'schema'");
    if (!json_is_obj(schema))
        return refuse_invalid(r, "\"schema\" must be object");
    if (!props.v)
        return refuse_invalid(r, "\"schema\" must have required property 'properties'");
    jw_key_c(w, "schema");
    jw_obj(w);
    if (write_properties(k, w, props, r) < 0)
        return -1;
    if (!json_is_nil(required) && !json_is_arr(required))
        return refuse_invalid(r, "\"schema/required\" must be array");
    jw_key_c(w, "required");
    jw_arr(w);
    for (struct json_iter it = json_iter(required); json_next(&it);) {
        if (!json_is_str(it.val) || !json_get(props, json_str(it.val)).v)
            return refuse_invalid(r, "\"schema/required\" names \"%.*s\", which is not in \"schema/properties\"",
                                  STR_FMT(json_str(it.val)));
        jw_json(w, it.val);
    }
    jw_end_arr(w);
    jw_end_obj(w);
    return 0;
}

static int flag(struct json relation, struct str name, struct str key, bool *ret, struct refusal *r)
{
    struct json v = json_get(relation, key);
    if (!json_is_nil(v) && !json_is_bool(v))
        return refuse_invalid(r, "\"relations/%.*s/%.*s\" must be boolean", STR_FMT(name), STR_FMT(key));
    *ret = json_is_true(v);
    return 0;
}

static int write_relation(struct core *k, struct jw *w, struct str own, struct str name, struct json rel,
                          struct refusal *r)
{
    struct json target = json_get_c(rel, "target");
    bool required, many;
    if (!member_name_ok(name))
        return refuse_invalid(r, "\"relations/%.*s\" must be named by 1 to 100 of A-Z a-z 0-9 @ _ = \\ -",
                              STR_FMT(name));
    if (!json_is_obj(rel))
        return refuse_invalid(r, "\"relations/%.*s\" must be object", STR_FMT(name));
    if (!json_is_str(target))
        return refuse_invalid(r, "\"relations/%.*s\" must have required property 'target'", STR_FMT(name));
    if (flag(rel, name, STR("required"), &required, r) < 0 || flag(rel, name, STR("many"), &many, r) < 0)
        return -1;
    if (required && many)
        return refuse_invalid(r, "\"relations/%.*s\" cannot be both required and many", STR_FMT(name));
    if (!str_eq(json_str(target), own) && !blueprint_find(k, json_str(target), r))
        return -1;
    jw_key(w, name);
    jw_obj(w);
    for (struct json_iter it = json_iter(rel); json_next(&it);) {
        if (str_is(it.key, "required") || str_is(it.key, "many"))
            continue;
        jw_key(w, it.key);
        jw_json(w, it.val);
    }
    jw_key_c(w, "required");
    jw_bool(w, required);
    jw_key_c(w, "many");
    jw_bool(w, many);
    jw_end_obj(w);
    return 0;
}

static int write_relations(struct core *k, struct jw *w, struct str own, struct json relations, struct refusal *r)
{
    if (!json_is_nil(relations) && !json_is_obj(relations))
        return refuse_invalid(r, "\"relations\" must be object");
    jw_key_c(w, "relations");
    jw_obj(w);
    for (struct json_iter it = json_iter(relations); json_next(&it);)
        if (write_relation(k, w, own, it.key, it.val, r) < 0)
            return -1;
    jw_end_obj(w);
    return 0;
}

int blueprint_normalise(struct core *k, struct str identifier, struct json base, struct json in, struct buf *out,
                        struct refusal *r)
{
    struct jw w = jw_on(out);
    struct json title = pick(base, in, STR("title"));
    if (!json_is_str(title) || json_str(title).n == 0)
        return refuse_invalid(r, title.v ? "\"title\" must be string of 1 to 100 characters"
                                         : "body must have required property 'title'");
    jw_obj(&w);
    jw_key_c(&w, "identifier");
    jw_str(&w, identifier);
    if (write_text(&w, base, in, STR("title"), LIMIT_NAME, r) < 0 ||
        write_text(&w, base, in, STR("description"), 200, r) < 0 || write_text(&w, base, in, STR("icon"), 0, r) < 0 ||
        write_text(&w, base, in, STR("team"), 0, r) < 0 || write_schema(k, &w, pick(base, in, STR("schema")), r) < 0 ||
        write_relations(k, &w, identifier, pick(base, in, STR("relations")), r) < 0)
        return -1;
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        struct json v = pick(base, in, plain[i].name);
        if (json_is_nil(v) && !plain[i].fallback)
            continue;
        if (plain[i].fallback && !json_is_nil(v) && !json_is_obj(v))
            return refuse_invalid(r, "\"%.*s\" must be object", STR_FMT(plain[i].name));
        jw_key(&w, plain[i].name);
        if (json_is_nil(v))
            jw_raw(&w, str_of(plain[i].fallback));
        else
            jw_json(&w, v);
    }
    jw_end_obj(&w);
    return out->failed ? refuse_invalid(r, "the blueprint is too large") : 0;
}
