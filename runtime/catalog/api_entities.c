/* Writing and deleting entities over HTTP: E-30 to E-33 and the writing half of E-37. */
#include "catalog/changes.h"
#include "catalog/faults.h"
#include "catalog/remove.h"
#include "catalog/routes.h"
#include "catalog/write.h"

#include "json/write.h"

static int read_options(struct work *w, struct write_options *o)
{
    *o = (struct write_options){.now = core_now(w->k)};
    if (work_flag(w, "upsert", false, &o->upsert) < 0 || work_flag(w, "merge", false, &o->merge) < 0 ||
        work_flag(w, "validation_only", false, &o->validate_only) < 0 ||
        work_flag(w, "create_missing_related_entities", false, &o->create_missing) < 0)
        return -1;
    return work_writer(w, &o->client, &o->datasource);
}

static void count(struct work *w, const struct blueprint *b, const struct written *done, const struct write_options *o)
{
    if (o->validate_only)
        return;
    w->eff.bare += done->bare;
    if (done->created)
        w->eff.created++;
    else if (done->unchanged)
        w->eff.unchanged++;
    else
        w->eff.updated++;
    work_key(w, b->identifier, done->identifier);
    if (!done->unchanged)
        changes_note(w, done->created ? CHANGE_CREATED : CHANGE_UPDATED, b->identifier, done->identifier);
}

static int answer_entity(struct work *w, const struct blueprint *b, struct written *done)
{
    struct projection all;
    projection_all(&all, w->a);
    struct jw jw = work_begin(w);
    jw_key_c(&jw, "entity");
    int rc = entity_write_json(w->k, b, &done->row, &all, &w->out, &w->r);
    jw.comma = true;
    work_end(w, &jw);
    return rc;
}

static int write_one(struct work *w, struct blueprint *b, struct json in, const struct write_options *o)
{
    struct written done;
    if (entity_write(w->k, b, in, o, w->a, &done, &w->r) < 0) {
        w->eff.failed++;
        return -1;
    }
    count(w, b, &done, o);
    w->status = done.created && !o->validate_only ? 201 : 200;
    return answer_entity(w, b, &done);
}

int api_entity_post(struct work *w)
{
    struct write_options o;
    struct json in = work_json(w);
    struct blueprint *b = in.v ? blueprint_find(w->k, w->seg[0], &w->r) : NULL;
    return b && read_options(w, &o) == 0 ? write_one(w, b, in, &o) : -1;
}

/* PUT and PATCH take the identifier from the path; one in the body must agree. */
static int write_named(struct work *w, bool merge)
{
    struct json in = work_json(w), given = json_get_c(in, "identifier");
    struct blueprint *b = in.v ? blueprint_find(w->k, w->seg[0], &w->r) : NULL;
    struct write_options o;
    if (!b || read_options(w, &o) < 0)
        return -1;
    if (given.v && !str_eq(json_str(given), w->seg[1]))
        return refuse_invalid(&w->r, "\"identifier\" cannot be changed");
    o.upsert = o.must_exist = true;
    o.merge = merge;
    struct buf text;
    struct json_doc *doc = NULL;
    buf_init(&text, LIMIT_ANSWER);
    struct jw jw = jw_on(&text);
    jw_obj(&jw);
    jw_key_c(&jw, "identifier");
    jw_str(&jw, w->seg[1]);
    for (struct json_iter it = json_iter(in); json_next(&it);) {
        jw_key(&jw, it.key);
        jw_json(&jw, it.val);
    }
    jw_end_obj(&jw);
    int rc = json_parse(buf_str(&text), &doc, NULL) < 0
                 ? refuse(&w->r, 500, "internal_error", "cannot rewrite the body")
                 : write_one(w, b, json_root(doc), &o);
    json_unref(doc);
    buf_done(&text);
    return rc;
}

int api_entity_put(struct work *w) { return write_named(w, false); }
int api_entity_patch(struct work *w) { return write_named(w, true); }

/* Bulk ---------------------------------------------------------------------------------------------------------- */

static int bulk_list(struct work *w, const char *name, size_t max, struct json *ret)
{
    struct json in = work_json(w);
    if (!in.v)
        return -1;
    *ret = json_get(in, str_of(name));
    if (!ret->v)
        return refuse_invalid(&w->r, "body must have required property '%s'", name);
    if (!json_is_arr(*ret))
        return refuse_invalid(&w->r, "\"%s\" must be array", name);
    size_t n = json_len(*ret);
    if (n == 0)
        return refuse_invalid(&w->r, "\"%s\" must not have fewer than 1 items", name);
    return n > max ? refuse_invalid(&w->r, "\"%s\" must not have more than %zu items", name, max) : 0;
}

/* Does a fault of this type act on the member? */
static bool fault_hits(const struct work *w, enum fault_type type, size_t index, struct json in)
{
    return w->act && w->act->type == type && fault_names(w->act, index, json_str(json_get_c(in, "identifier")));
}

static void add_error(struct jw *e, const struct refusal *r, struct str identifier, size_t index)
{
    jw_obj(e);
    jw_key_c(e, "identifier");
    jw_str(e, identifier);
    jw_key_c(e, "index");
    jw_int(e, (int64_t)index);
    jw_key_c(e, "statusCode");
    jw_int(e, r->status);
    jw_key_c(e, "error");
    jw_cstr(e, r->error);
    jw_key_c(e, "message");
    jw_cstr(e, r->message);
    jw_end_obj(e);
}

static void add_success(struct jw *e, const struct written *done, size_t index)
{
    jw_obj(e);
    jw_key_c(e, "created");
    jw_bool(e, done->created);
    jw_key_c(e, "identifier");
    jw_str(e, done->identifier);
    jw_key_c(e, "index");
    jw_int(e, (int64_t)index);
    jw_end_obj(e);
}

/* One member: 0, or -1 when the whole request must fail. */
static int bulk_member(struct work *w, struct blueprint *b, struct json in, size_t index, const struct write_options *o,
                       struct jw *successes, struct jw *errors)
{
    struct written done = {0};
    struct refusal r = {0};
    int rc;
    if (fault_hits(w, FAULT_BULK_OMIT, index, in))
        return 0;
    if (fault_hits(w, FAULT_BULK_PARTIAL, index, in)) {
        int status = w->act->status ? w->act->status : 422;
        rc = refuse(&r, status,
                    w->act->error   ? w->act->error
                    : status == 404 ? "not_found"
                                    : "invalid_request",
                    "%s", w->act->message ? w->act->message : "injected by a fault");
        done.identifier = json_str(json_get_c(in, "identifier"));
    } else {
        rc = entity_write(w->k, b, in, o, w->a, &done, &r);
    }
    if (rc == 0) {
        count(w, b, &done, o);
        add_success(successes, &done, index);
        return 0;
    }
    if (r.status >= 500 || (r.status == 422 && w->k->strict_bulk)) {
        w->r = r;
        w->undo = true;
        w->eff = (struct effects){.failed = w->eff.failed + 1, .keys = w->eff.keys, .want_keys = w->eff.want_keys};
        buf_reset(&w->eff.keys);
        return -1;
    }
    w->eff.failed++;
    struct str id = done.by_query ? STR("unknown") : done.identifier.p ? done.identifier : STR("");
    add_error(errors, &r, id, index);
    return 0;
}

int api_entity_bulk(struct work *w)
{
    struct json list;
    struct write_options o;
    struct blueprint *b;
    struct buf failed;
    if (bulk_list(w, "entities", LIMIT_BULK, &list) < 0 || !(b = blueprint_find(w->k, w->seg[0], &w->r)) ||
        read_options(w, &o) < 0)
        return -1;
    buf_init(&failed, LIMIT_ANSWER);
    buf_adds(&w->out, "{\"entities\":[");
    struct jw successes = jw_on(&w->out), errors = jw_on(&failed);
    size_t i = 0;
    int rc = 0;
    for (struct json_iter it = json_iter(list); rc == 0 && json_next(&it); i++)
        rc = bulk_member(w, b, it.val, i, &o, &successes, &errors);
    buf_adds(&w->out, "],\"errors\":[");
    buf_addstr(&w->out, buf_str(&failed));
    buf_addf(&w->out, "],\"maxBulkSize\":%d,\"ok\":%s}", LIMIT_BULK, failed.n ? "false" : "true");
    w->status = failed.n ? 207 : 200;
    buf_done(&failed);
    return rc;
}

/* Deletion ------------------------------------------------------------------------------------------------------ */

static int remove_list(struct work *w, const struct blueprint *b, const struct str *ids, size_t n, struct removed *gone)
{
    bool dependents;
    if (work_flag(w, "delete_dependents", false, &dependents) < 0 ||
        entities_remove(w->k, b, ids, n, dependents, w->a, gone, &w->r) < 0)
        return -1;
    w->eff.deleted = gone->deleted;
    w->eff.cascaded = gone->cascaded;
    for (size_t i = 0; i < gone->n; i++) {
        work_key(w, b->identifier, gone->identifiers[i]);
        changes_note(w, CHANGE_DELETED, b->identifier, gone->identifiers[i]);
    }
    return 0;
}

int api_entities_delete(struct work *w)
{
    struct json list;
    struct removed gone;
    struct blueprint *b;
    if (bulk_list(w, "entities", LIMIT_DELETE, &list) < 0 || !(b = blueprint_find(w->k, w->seg[0], &w->r)))
        return -1;
    struct str *ids = arena_alloc(w->a, json_len(list) * sizeof(*ids));
    size_t n = 0;
    for (struct json_iter it = json_iter(list); json_next(&it); n++) {
        if (!json_is_str(it.val))
            return refuse_invalid(&w->r, "\"entities/%zu\" must be string", n);
        ids[n] = json_str(it.val);
    }
    if (remove_list(w, b, ids, n, &gone) < 0)
        return -1;
    struct jw jw = work_begin(w);
    jw_key_c(&jw, "deletedEntities");
    jw_arr(&jw);
    for (size_t i = 0; i < gone.n; i++)
        jw_str(&jw, gone.identifiers[i]);
    jw_end_arr(&jw);
    jw_key_c(&jw, "maxBulkSize");
    jw_int(&jw, LIMIT_DELETE);
    work_end(w, &jw);
    return 0;
}

int api_entity_delete(struct work *w)
{
    struct removed gone;
    struct blueprint *b = blueprint_find(w->k, w->seg[0], &w->r);
    if (!b || remove_list(w, b, &w->seg[1], 1, &gone) < 0)
        return -1;
    return gone.n ? work_ok(w) : refuse_no_entity(&w->r, w->seg[1], b->identifier);
}
