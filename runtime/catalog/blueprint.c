/* The blueprints of a catalog are few and read at every write, so all of them are parsed at the first use and kept
 * until one of them changes. Writing goes to the table and drops what was parsed. */
#define LOG_GROUP "catalog.blueprint"
#include "catalog/blueprint.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "json/write.h"

static void blueprint_free(void *p)
{
    struct blueprint *b = p;
    strmap_free(b->property_index);
    strmap_free(b->relation_index);
    json_unref(b->doc);
    arena_free(b->arena);
    free(b);
}

static bool listed(struct json list, struct str name)
{
    for (struct json_iter it = json_iter(list); json_next(&it);)
        if (str_eq(json_str(it.val), name))
            return true;
    return false;
}

static void *position(size_t i) { return (void *)(uintptr_t)(i + 1); }

static void parse_properties(struct blueprint *b, struct json root)
{
    struct json schema = json_get_c(root, "schema"), props = json_get_c(schema, "properties");
    struct buf warnings;
    buf_init(&warnings, 4096);
    b->properties = arena_zalloc(b->arena, (json_len(props) + 1) * sizeof(*b->properties));
    for (struct json_iter it = json_iter(props); json_next(&it);) {
        struct property *p = &b->properties[b->nproperties];
        *p = (struct property){it.key, check_compile(b->arena, it.val, &warnings),
                               listed(json_get_c(schema, "required"), it.key), json_get_c(it.val, "default")};
        strmap_put(b->property_index, it.key, position(b->nproperties++));
    }
    if (warnings.n)
        log_warn("blueprint %.*s: %s", STR_FMT(b->identifier), buf_cstr(&warnings));
    buf_done(&warnings);
}

static void parse_relations(struct blueprint *b, struct json root)
{
    struct json relations = json_get_c(root, "relations");
    b->relations = arena_zalloc(b->arena, (json_len(relations) + 1) * sizeof(*b->relations));
    for (struct json_iter it = json_iter(relations); json_next(&it);) {
        b->relations[b->nrelations] =
            (struct relation){it.key, json_str(json_get_c(it.val, "target")),
                              json_is_true(json_get_c(it.val, "required")), json_is_true(json_get_c(it.val, "many"))};
        strmap_put(b->relation_index, it.key, position(b->nrelations++));
    }
}

static struct blueprint *parse(struct str text, struct refusal *r)
{
    struct err e = {0};
    struct json_doc *doc;
    if (json_parse(text, &doc, &e) < 0) {
        refuse(r, 500, "internal_error", "a stored blueprint cannot be read: %s", e.msg);
        return NULL;
    }
    struct blueprint *b = xcalloc(1, sizeof(*b));
    b->arena = arena_new(0);
    b->doc = doc;
    b->property_index = strmap_new(NULL);
    b->relation_index = strmap_new(NULL);
    struct json root = json_root(doc);
    b->identifier = json_str(json_get_c(root, "identifier"));
    parse_properties(b, root);
    parse_relations(b, root);
    return b;
}

static int load(struct core *k, struct refusal *r)
{
    if (k->blueprints)
        return 0;
    k->blueprints = strmap_new(blueprint_free);
    struct sqlite3_stmt *s =
        q_open(k, r, "SELECT id, doc, created_at, updated_at, created_by, updated_by FROM blueprint ORDER BY id", "");
    int rc;
    while ((rc = q_row(k, s, r)) > 0) {
        struct blueprint *b = parse(q_text(s, 1), r);
        if (!b) {
            q_close(s);
            rc = -1;
            break;
        }
        b->id = q_num(s, 0);
        b->created_at = q_num(s, 2);
        b->updated_at = q_num(s, 3);
        b->created_by = q_num(s, 4);
        b->updated_by = q_num(s, 5);
        strmap_put(k->blueprints, b->identifier, b);
    }
    if (rc < 0)
        core_forget(k);
    return rc;
}

static void forget(struct core *k)
{
    strmap_free(k->blueprints);
    k->blueprints = NULL;
}

struct blueprint *blueprint_find(struct core *k, struct str identifier, struct refusal *r)
{
    if (load(k, r) < 0)
        return NULL;
    struct blueprint *b = strmap_get(k->blueprints, identifier);
    if (!b)
        refuse_no_blueprint(r, identifier);
    return b;
}

struct blueprint *blueprint_by_id(struct core *k, int64_t id, struct refusal *r)
{
    struct blueprint *b = NULL;
    for (size_t at = 0; (at = blueprint_next(k, at, &b)) != 0;)
        if (b->id == id)
            return b;
    refuse(r, 500, "internal_error", "an entity belongs to a blueprint that does not exist");
    return NULL;
}

size_t blueprint_next(struct core *k, size_t cursor, struct blueprint **ret)
{
    struct refusal r;
    struct str key;
    void *value = NULL;
    if (load(k, &r) < 0)
        return 0;
    cursor = strmap_next(k->blueprints, cursor, &key, &value);
    *ret = value;
    return cursor;
}

ptrdiff_t blueprint_property(const struct blueprint *b, struct str name, size_t hint)
{
    if (hint < b->nproperties && str_eq(b->properties[hint].name, name))
        return (ptrdiff_t)hint;
    return (ptrdiff_t)(uintptr_t)strmap_get(b->property_index, name) - 1;
}

ptrdiff_t blueprint_relation(const struct blueprint *b, struct str name)
{
    return (ptrdiff_t)(uintptr_t)strmap_get(b->relation_index, name) - 1;
}

bool blueprint_is_target(struct core *k, const struct blueprint *b)
{
    struct blueprint *other;
    for (size_t at = 0; (at = blueprint_next(k, at, &other)) != 0;)
        for (size_t i = 0; i < other->nrelations; i++)
            if (str_eq(other->relations[i].target, b->identifier))
                return true;
    return false;
}

int blueprint_count(struct core *k, const struct blueprint *b, int64_t *ret, struct refusal *r)
{
    if (q_int(k, r, ret, 0, "SELECT SUM(n) FROM tally WHERE blueprint = ?", "i", b->id) < 0)
        return -1;
    for (size_t i = 0; i < k->ntallies; i++) /* this request's own */
        *ret += k->tallies[i].blueprint == b->id ? k->tallies[i].n : 0;
    return 0;
}

/* Writing ------------------------------------------------------------------------------------------------------- */

static int given_identifier(struct json in, struct str *ret, struct refusal *r)
{
    struct json id = json_get_c(in, "identifier");
    if (!json_is_obj(in))
        return refuse_invalid(r, "body must be object");
    if (!id.v)
        return refuse_invalid(r, "body must have required property 'identifier'");
    if (!json_is_str(id))
        return refuse_invalid(r, "\"identifier\" must be string");
    *ret = json_str(id);
    if (!blueprint_identifier_ok(*ret))
        return refuse_invalid(r, "\"identifier\" must be 1 to 100 letters, digits or @ _ . + : \\ / -, not \"%.*s\"",
                              STR_FMT(*ret));
    return 0;
}

int blueprint_create(struct core *k, struct json in, int64_t client, struct refusal *r)
{
    struct str id;
    struct buf doc;
    int64_t now = core_now(k);
    if (given_identifier(in, &id, r) < 0 || load(k, r) < 0)
        return -1;
    if (strmap_has(k->blueprints, id)) {
        refuse(r, 409, "identifier_taken", "Blueprint with identifier \"%.*s\" already exists", STR_FMT(id));
        return refuse_detail(r, "identifier", id);
    }
    buf_init(&doc, LIMIT_ANSWER);
    int rc = blueprint_normalise(k, id, JSON_NONE, in, &doc, r);
    if (rc == 0)
        rc = q_exec(k, r,
                    "INSERT INTO blueprint (identifier, doc, created_at, updated_at, created_by, updated_by)"
                    " VALUES (?1, ?2, ?3, ?3, ?4, ?4)",
                    "ttii", id, buf_str(&doc), now, client);
    buf_done(&doc);
    if (rc == 0)
        forget(k);
    return rc;
}

static int store(struct core *k, const struct blueprint *b, struct buf *doc, int64_t client, struct refusal *r)
{
    return q_exec(k, r, "UPDATE blueprint SET doc = ?2, updated_at = ?3, updated_by = ?4 WHERE id = ?1", "itii", b->id,
                  buf_str(doc), core_now(k), client);
}

int blueprint_update(struct core *k, struct str identifier, struct json in, bool merge, int64_t client,
                     struct refusal *r)
{
    struct blueprint *b = blueprint_find(k, identifier, r);
    if (!b)
        return -1;
    struct json id = json_get_c(in, "identifier");
    if (!json_is_obj(in))
        return refuse_invalid(r, "body must be object");
    if (id.v && !str_eq(json_str(id), identifier))
        return refuse_invalid(r, "\"identifier\" cannot be changed: create another blueprint instead");
    struct buf doc;
    struct json_doc *now = NULL;
    buf_init(&doc, LIMIT_ANSWER);
    int rc = blueprint_normalise(k, b->identifier, merge ? json_root(b->doc) : JSON_NONE, in, &doc, r);
    if (rc == 0 && json_parse(buf_str(&doc), &now, NULL) < 0)
        rc = refuse(r, 500, "internal_error", "the normalised blueprint is not JSON");
    if (rc == 0)
        rc = blueprint_check_change(k, b, json_root(now), r);
    if (rc == 0)
        rc = blueprint_apply_change(k, b, json_root(now), r);
    if (rc == 0)
        rc = store(k, b, &doc, client, r);
    if (rc == 0)
        forget(k);
    json_unref(now);
    buf_done(&doc);
    return rc;
}

static int refuse_dependents(struct core *k, const struct blueprint *b, int64_t count, struct refusal *r)
{
    struct buf text;
    refuse(r, 422, "has_dependents", "Blueprint \"%.*s\" has %lld entities: delete them first", STR_FMT(b->identifier),
           (long long)count);
    buf_init(&text, sizeof(r->details) - 2);
    buf_addf(&text, "{\"count\":%lld,\"identifiers\":[", (long long)count);
    struct refusal ignored;
    struct sqlite3_stmt *s =
        q_open(k, &ignored, "SELECT identifier FROM entity WHERE blueprint = ? ORDER BY id LIMIT 20", "i", b->id);
    size_t whole = text.n;
    while (q_row(k, s, &ignored) > 0 && text.n + 100 < sizeof(r->details)) {
        size_t before = text.n;
        if (text.n != whole)
            buf_addc(&text, ',');
        json_quote(&text, q_text(s, 0));
        if (text.n + 4 >= sizeof(r->details)) {
            text.n = before;
            break;
        }
    }
    if (s)
        q_close(s);
    text.failed = false;
    buf_adds(&text, "]}");
    if (!text.failed)
        memcpy(r->details, text.p, text.n + 1);
    buf_done(&text);
    return -1;
}

/* Removes relations to `gone` from the definition of `b` and their values from its entities. */
static int drop_relations_to(struct core *k, const struct blueprint *b, struct str gone, int64_t client,
                             struct refusal *r)
{
    struct json root = json_root(b->doc);
    struct buf patch, doc;
    struct json_doc *parsed = NULL, *now = NULL;
    bool found = false;
    buf_init(&patch, LIMIT_ANSWER);
    buf_init(&doc, LIMIT_ANSWER);
    struct jw w = jw_on(&patch);
    jw_obj(&w);
    jw_key_c(&w, "relations");
    jw_obj(&w);
    for (struct json_iter it = json_iter(json_get_c(root, "relations")); json_next(&it);) {
        if (str_eq(json_str(json_get_c(it.val, "target")), gone)) {
            found = true;
            log_warn("relation %.*s of blueprint %.*s goes with its target %.*s", STR_FMT(it.key),
                     STR_FMT(b->identifier), STR_FMT(gone));
            continue;
        }
        jw_key(&w, it.key);
        jw_json(&w, it.val);
    }
    jw_end_obj(&w);
    jw_end_obj(&w);
    int rc = 0;
    if (found) {
        if (json_parse(buf_str(&patch), &parsed, NULL) < 0 ||
            blueprint_normalise(k, b->identifier, root, json_root(parsed), &doc, r) < 0 ||
            json_parse(buf_str(&doc), &now, NULL) < 0)
            rc = refuse(r, 500, "internal_error", "cannot rewrite blueprint \"%.*s\"", STR_FMT(b->identifier));
        if (rc == 0)
            rc = blueprint_apply_change(k, b, json_root(now), r);
        if (rc == 0)
            rc = store(k, b, &doc, client, r);
    }
    json_unref(parsed);
    json_unref(now);
    buf_done(&patch);
    buf_done(&doc);
    return rc;
}

int blueprint_delete(struct core *k, struct str identifier, struct refusal *r)
{
    struct blueprint *b = blueprint_find(k, identifier, r), *other;
    int64_t count, client = dict_put(k, k->clients, STR("port-local"), r);
    if (!b)
        return -1;
    if (!client || blueprint_count(k, b, &count, r) < 0)
        return -1;
    if (str_is(identifier, "_user") || str_is(identifier, "_team"))
        return refuse(r, 422, "protected_resource", "Blueprint \"%.*s\" is part of the system and cannot be deleted",
                      STR_FMT(identifier));
    if (count)
        return refuse_dependents(k, b, count, r);
    if (k->strict && blueprint_is_target(k, b))
        return refuse(r, 422, "has_dependents", "Other blueprints have relations to \"%.*s\"", STR_FMT(identifier));
    for (size_t at = 0; (at = blueprint_next(k, at, &other)) != 0;)
        if (other != b && drop_relations_to(k, other, b->identifier, client, r) < 0)
            return -1;
    if (q_exec(k, r, "DELETE FROM blueprint WHERE id = ?", "i", b->id) < 0)
        return -1;
    forget(k);
    return 0;
}

/* Answering ----------------------------------------------------------------------------------------------------- */

void blueprint_write(struct core *k, const struct blueprint *b, struct buf *out)
{
    struct jw w = jw_on(out);
    jw_obj(&w);
    for (struct json_iter it = json_iter(json_root(b->doc)); json_next(&it);) {
        jw_key(&w, it.key);
        jw_json(&w, it.val);
    }
    jw_key_c(&w, "createdAt");
    jw_instant(&w, b->created_at);
    jw_key_c(&w, "createdBy");
    jw_str(&w, dict_text(k, k->clients, b->created_by));
    jw_key_c(&w, "updatedAt");
    jw_instant(&w, b->updated_at);
    jw_key_c(&w, "updatedBy");
    jw_str(&w, dict_text(k, k->clients, b->updated_by));
    jw_end_obj(&w);
}
