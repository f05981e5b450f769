/* Port fills in what a blueprint leaves out (required: false, empty lists, nulls), so two documents are
 * compared with everything blank taken as absent; otherwise every start would patch. */
#include "port/setup_docs.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "json/compare.h"
#include "json/write.h"

#define MARK "oceanRun"

/* ---- Blueprints ---- */

static bool in_list(struct str key, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_is(key, list[i]))
            return true;
    return false;
}

void blueprint_stage_write(struct buf *out, struct json blueprint, enum blueprint_stage stage)
{
    static const char *const computed[] = {"calculationProperties", "mirrorProperties",
                                           "aggregationProperties"};
    static const char *const related[] = {"teamInheritance", "ownership", "relations"};
    struct jw w = jw_on(out);
    jw_obj(&w);
    for (struct json_iter it = json_iter(blueprint); json_next(&it);) {
        if (stage != STAGE_FULL && in_list(it.key, computed, ARRAY_LEN(computed)))
            continue;
        if (stage == STAGE_BARE && in_list(it.key, related, ARRAY_LEN(related)))
            continue;
        jw_key(&w, it.key);
        jw_json(&w, it.val);
    }
    jw_end_obj(&w);
}

static bool is_blank(struct json v)
{
    switch (json_type(v)) {
    case JSON_MISSING:
    case JSON_NULL:
    case JSON_FALSE: return true;
    case JSON_STRING: return json_str(v).n == 0;
    case JSON_ARRAY:
    case JSON_OBJECT: return json_len(v) == 0;
    default: return false;
    }
}

static bool same(struct json a, struct json b);

static bool same_members(struct json a, struct json b)
{
    for (struct json_iter it = json_iter(a); json_next(&it);)
        if (!same(it.val, json_get(b, it.key)))
            return false;
    for (struct json_iter it = json_iter(b); json_next(&it);) {
        struct json mine = json_get(a, it.key);
        if (!mine.v && !is_blank(it.val))
            return false;
    }
    return true;
}

static bool same(struct json a, struct json b)
{
    if (is_blank(a) || is_blank(b))
        return is_blank(a) && is_blank(b);
    if (json_is_obj(a) && json_is_obj(b)) {
        return same_members(a, b);
    }
    if (json_is_arr(a) && json_is_arr(b)) {
        if (json_len(a) != json_len(b))
            return false;
        struct json_iter x = json_iter(a), y = json_iter(b);
        while (json_next(&x) && json_next(&y))
            if (!same(x.val, y.val))
                return false;
        return true;
    }
    return json_equal(a, b);
}

/* A property of its own counts even if its schema is empty. */
static bool same_names(struct json a, struct json b)
{
    for (struct json_iter it = json_iter(a); it.obj && json_next(&it);)
        if (!json_get(b, it.key).v)
            return false;
    for (struct json_iter it = json_iter(b); it.obj && json_next(&it);)
        if (!json_get(a, it.key).v)
            return false;
    return true;
}

bool blueprint_same(struct json ours, struct json theirs)
{
    struct str properties = STR("schema.properties");
    for (struct json_iter it = json_iter(ours); json_next(&it);)
        if (!same(it.val, json_get(theirs, it.key)))
            return false;
    return same_names(json_path(ours, properties), json_path(theirs, properties)) &&
           same_names(json_get_c(ours, "relations"), json_get_c(theirs, "relations"));
}

static size_t add_extras(struct json ours, struct json theirs, const char *prefix, struct buf *out)
{
    size_t n = 0;
    for (struct json_iter it = json_iter(theirs); it.obj && json_next(&it);) {
        if (json_get(ours, it.key).v)
            continue;
        buf_addf(out, "%s%s%.*s", out->n ? ", " : "", prefix, STR_FMT(it.key));
        n++;
    }
    return n;
}

size_t blueprint_extras(struct json ours, struct json theirs, struct buf *out)
{
    struct str properties = STR("schema.properties");
    return add_extras(json_path(ours, properties), json_path(theirs, properties), "", out) +
           add_extras(json_get_c(ours, "relations"), json_get_c(theirs, "relations"), "relations.", out);
}

/* ---- Mapping ---- */

static void hex_of(char out[33], struct json v)
{
    struct key128 k = json_fingerprint(v);
    snprintf(out, 33, "%016" PRIx64 "%016" PRIx64, k.a, k.b);
}

struct json_doc *mapping_unmarked(struct json config)
{
    struct buf text;
    struct json_doc *d = NULL;
    buf_init(&text, BUF_NO_LIMIT);
    struct jw w = jw_on(&text);
    jw_obj(&w);
    for (struct json_iter it = json_iter(config); it.obj && json_next(&it);) {
        if (str_is(it.key, MARK))
            continue;
        jw_key(&w, it.key);
        jw_json(&w, it.val);
    }
    jw_end_obj(&w);
    json_parse(buf_str(&text), &d, NULL);
    buf_done(&text);
    return d;
}

static struct json_doc *mapping_document(const struct mapping_doc *m)
{
    struct buf text;
    struct json_doc *d = NULL;
    buf_init(&text, BUF_NO_LIMIT);
    mapping_doc_write(m, &text);
    json_parse(buf_str(&text), &d, NULL);
    buf_done(&text);
    return d;
}

/* Writes `config` without its mark, then a mark of these parts (mapping p NULL: left out). */
static void write_marked(struct buf *out, struct json config, struct str mapping_hex,
                         struct json_doc *blueprints)
{
    char hex[33];
    struct jw w = jw_on(out);
    jw_obj(&w);
    for (struct json_iter it = json_iter(config); json_next(&it);) {
        if (str_is(it.key, MARK))
            continue;
        jw_key(&w, it.key);
        jw_json(&w, it.val);
    }
    jw_key_c(&w, MARK);
    jw_obj(&w);
    if (mapping_hex.p) {
        jw_key_c(&w, "mapping");
        jw_str(&w, mapping_hex);
    }
    if (blueprints) {
        hex_of(hex, json_root(blueprints));
        jw_key_c(&w, "blueprints");
        jw_str(&w, str_of(hex));
    }
    jw_end_obj(&w);
    jw_end_obj(&w);
}

void mapping_write_marked(struct buf *out, const struct mapping_doc *m, struct json_doc *blueprints)
{
    char hex[33];
    struct json_doc *d = mapping_document(m);
    hex_of(hex, json_root(d));
    write_marked(out, json_root(d), str_of(hex), blueprints);
    json_unref(d);
}

bool mapping_is(struct json config, const struct mapping_doc *m)
{
    struct json_doc *theirs = mapping_unmarked(config), *ours = mapping_document(m);
    bool equal = json_equal(json_root(theirs), json_root(ours));
    json_unref(theirs);
    json_unref(ours);
    return equal;
}

bool mapping_untouched(struct json config)
{
    char hex[33];
    struct str mark = json_str(json_path(config, STR(MARK ".mapping")));
    if (!mark.n)
        return false;
    struct json_doc *d = mapping_unmarked(config);
    hex_of(hex, json_root(d));
    json_unref(d);
    return str_is(mark, hex);
}

bool mapping_marks_blueprints(struct json config, struct json_doc *blueprints)
{
    char hex[33];
    hex_of(hex, json_root(blueprints));
    return str_is(json_str(json_path(config, STR(MARK ".blueprints"))), hex);
}

void mapping_remark(struct buf *out, struct json config, struct json_doc *blueprints)
{
    write_marked(out, config, json_str(json_path(config, STR(MARK ".mapping"))), blueprints);
}

/* ---- Integration ---- */

bool integration_differs(struct json i, const struct integration_facts *f)
{
    struct json_doc *destination = NULL;
    json_parse(f->changelog_destination, &destination, NULL);
    bool differs = !same(json_get_c(i, "changelogDestination"), json_root(destination)) ||
                   !str_is(json_str(json_get_c(i, "installationAppType")), f->type) ||
                   !str_is(json_str(json_get_c(i, "version")), f->version) ||
                   json_is_true(json_get_c(i, "actionsProcessingEnabled")) ||
                   json_is_true(json_get_c(i, "incrementalSyncEnabled")) ||
                   !str_is(json_str(json_get_c(i, "processingMode")), "ocean-core");
    json_unref(destination);
    return differs;
}
