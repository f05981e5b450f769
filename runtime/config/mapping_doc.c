/* Parsing is check, then bind: mapping_check writes a normalised text, which is parsed into the document this
 * struct owns, so that everybody behind finds texts where jq is expected and JSON booleans where flags are.
 */
#include "config/mapping_doc.h"

#include <stdlib.h>

#include "base/mem.h"
#include "config/mapping_check.h"

#define DEFAULT_THRESHOLD 0.9

static bool flag_of(struct json obj, struct str key, bool fallback)
{
    struct json v = json_get(obj, key);
    return json_is_bool(v) ? json_is_true(v) : fallback;
}

static void bind_resource(struct mapping_resource *r, struct json raw, int index, struct json mappings,
                          int variant)
{
    struct json port = json_get_c(raw, "port"), selector = json_get_c(raw, "selector");
    struct json query = json_get_c(selector, "query"), name = json_get_c(port, "itemsToParseName");
    *r = (struct mapping_resource){
        .index = index,
        .kind = json_str(json_get_c(raw, "kind")),
        .raw = raw,
        .selector = selector,
        .query = query.v ? json_str(query) : STR("true"),
        .enable_delete = flag_of(raw, STR("enableDelete"), true),
        .items_to_parse = json_str(json_get_c(port, "itemsToParse")),
        .items_to_parse_name = json_is_str(name) ? json_str(name) : STR("item"),
        .items_to_parse_transform = flag_of(port, STR("itemsToParseTopLevelTransform"), true),
        .mappings = mappings,
        .variant = variant,
    };
}

static void add_resource(struct mapping_doc *m, struct json raw, int index, struct json mappings, int variant)
{
    m->resources = xrealloc(m->resources, (m->n + 1) * sizeof(*m->resources));
    bind_resource(&m->resources[m->n++], raw, index, mappings, variant);
}

static void bind(struct mapping_doc *m)
{
    struct json root = json_root(m->doc), threshold = json_get_c(root, "entityDeletionThreshold");
    int index = 0;
    m->merge_entity = flag_of(root, STR("enableMergeEntity"), true);
    m->delete_dependents = flag_of(root, STR("deleteDependentEntities"), true);
    m->create_missing_related = flag_of(root, STR("createMissingRelatedEntities"), true);
    m->threshold_stated = threshold.v;
    m->deletion_threshold = threshold.v ? json_double(threshold) : DEFAULT_THRESHOLD;
    for (struct json_iter it = json_iter(json_get_c(root, "resources")); json_next(&it); index++) {
        struct json mappings = json_path(it.val, STR("port.entity.mappings"));
        int variant = 0;
        if (!json_is_arr(mappings))
            add_resource(m, it.val, index, mappings, 0);
        else
            for (struct json_iter each = json_iter(mappings); json_next(&each);)
                add_resource(m, it.val, index, each.val, variant++);
    }
}

int mapping_doc_parse_all(struct json root, struct mapping_doc **ret,
                          void (*report)(void *arg, const struct mapping_problem *p), void *arg,
                          struct err *e)
{
    struct buf text;
    struct json_doc *doc = NULL;
    int rc = 0;
    if (!root.v)
        return ERR(e, ERR_CONFIG, "mapping: expected an object with resources, got nothing");
    buf_init(&text, BUF_NO_LIMIT);
    size_t problems = mapping_check(root, &text, report, arg);
    if (problems)
        rc = ERR(e, ERR_CONFIG, "mapping: %zu problem%s", problems, problems == 1 ? "" : "s");
    else
        rc = json_parse(buf_str(&text), &doc, e);
    buf_done(&text);
    if (rc < 0)
        return rc;
    struct mapping_doc *m = xcalloc(1, sizeof(*m));
    m->doc = doc;
    bind(m);
    *ret = m;
    return 0;
}

struct first {
    char *text;
    size_t n;
};

static void keep_first(void *arg, const struct mapping_problem *p)
{
    struct first *f = arg;
    if (f->n++ == 0)
        f->text = xasprintf("%s: %s", p->path, p->message);
}

int mapping_doc_parse(struct json root, struct mapping_doc **ret, struct err *e)
{
    struct first f = {0};
    int rc = mapping_doc_parse_all(root, ret, keep_first, &f, e);
    if (f.n == 1)
        rc = ERR(e, ERR_CONFIG, "%s", f.text);
    else if (f.n > 1)
        rc = ERR(e, ERR_CONFIG, "%s (and %zu more problem%s)", f.text, f.n - 1, f.n == 2 ? "" : "s");
    free(f.text);
    return rc;
}

void mapping_doc_free(struct mapping_doc *m)
{
    if (!m)
        return;
    json_unref(m->doc);
    free(m->resources);
    free(m);
}

/* ---- Writing back ---- */

/* Copies without null members; a selector is the integration's and stays as it is. */
static void write_given(struct jw *w, struct json v)
{
    if (json_is_obj(v)) {
        jw_obj(w);
        for (struct json_iter it = json_iter(v); json_next(&it);) {
            if (json_is_null(it.val))
                continue;
            jw_key(w, it.key);
            if (str_is(it.key, "selector"))
                jw_json(w, it.val);
            else
                write_given(w, it.val);
        }
        jw_end_obj(w);
    } else if (json_is_arr(v)) {
        jw_arr(w);
        for (struct json_iter it = json_iter(v); json_next(&it);)
            write_given(w, it.val);
        jw_end_arr(w);
    } else {
        jw_json(w, v);
    }
}

static bool is_written_first(struct str key)
{
    static const char *const names[] = {"deleteDependentEntities", "createMissingRelatedEntities",
                                        "enableMergeEntity", "entityDeletionThreshold", "resources"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_is(key, names[i]))
            return true;
    return false;
}

int mapping_doc_write(const struct mapping_doc *m, struct buf *out)
{
    struct json root = json_root(m->doc), threshold = json_get_c(root, "entityDeletionThreshold");
    struct jw w = jw_on(out);
    jw_obj(&w);
    jw_key_c(&w, "deleteDependentEntities");
    jw_bool(&w, m->delete_dependents);
    jw_key_c(&w, "createMissingRelatedEntities");
    jw_bool(&w, m->create_missing_related);
    jw_key_c(&w, "enableMergeEntity");
    jw_bool(&w, m->merge_entity);
    jw_key_c(&w, "entityDeletionThreshold");
    if (threshold.v)
        jw_json(&w, threshold);
    else
        jw_double(&w, m->deletion_threshold);
    jw_key_c(&w, "resources");
    write_given(&w, json_get_c(root, "resources"));
    for (struct json_iter it = json_iter(root); json_next(&it);) {
        if (is_written_first(it.key) || json_is_null(it.val))
            continue;
        jw_key(&w, it.key);
        jw_json(&w, it.val);
    }
    jw_end_obj(&w);
    return out->failed ? ERR_TOO_BIG : 0;
}
