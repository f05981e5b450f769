/* Deletion. First the whole set is found: what was asked for, and whatever requires something in the set, through
 * required relations only (port-api P-159). Then the set is deleted, and other references to it are cleared without
 * touching their owners' instants or datasource (P-160). A blueprint nothing points to skips all of it. */
#include "catalog/remove.h"
#include "catalog/refs.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "json/write.h"

struct doomed {
    struct row row; /* copied into the arena */
    const struct blueprint *b;
};

struct removal {
    struct core *k;
    struct arena *a;
    struct refusal *r;
    struct doomed *list;
    size_t n, cap;
    struct strmap *seen; /* row number -> doomed */
    bool dependents;
};

static struct str number_key(int64_t id, char text[24])
{
    int n = snprintf(text, 24, "%lld", (long long)id);
    return (struct str){text, (size_t)n};
}

static bool seen(const struct removal *m, int64_t id)
{
    char text[24];
    return strmap_has(m->seen, number_key(id, text));
}

static void doom(struct removal *m, struct row *row, const struct blueprint *b)
{
    char text[24];
    if (m->n == m->cap) {
        size_t cap = m->cap ? m->cap * 2 : 128;
        struct doomed *more = arena_alloc(m->a, cap * sizeof(*more));
        if (m->n)
            memcpy(more, m->list, m->n * sizeof(*more));
        m->list = more;
        m->cap = cap;
    }
    struct doomed *d = &m->list[m->n++];
    *d = (struct doomed){*row, b};
    d->row.rel_doc = d->row.body_doc = NULL; /* stay with the caller */
    strmap_put(m->seen, number_key(row->id, text), m);
}

/* Entities that require `d` join the set, or block it. */
static int doom_dependents(struct removal *m, const struct blueprint *b, struct str identifier)
{
    struct ids ids = {0};
    int rc = refs_find(m->k, b, identifier, &ids, m->r);
    for (size_t i = 0; rc == 0 && i < ids.n; i++) {
        struct row row = {0};
        if (seen(m, ids.p[i]))
            continue;
        if ((rc = row_by_id(m->k, ids.p[i], m->a, &row, m->r)) <= 0)
            continue;
        const struct blueprint *owner = blueprint_by_id(m->k, row.blueprint, m->r);
        rc = owner ? 0 : -1;
        if (owner && refs_points(owner, row_rel(&row), b, identifier, true)) {
            if (m->dependents) {
                doom(m, &row, owner);
            } else {
                refuse(m->r, 422, "has_dependents", "Entity \"%.*s\" of \"%.*s\" is required by \"%.*s\" of \"%.*s\"",
                       STR_FMT(identifier), STR_FMT(b->identifier), STR_FMT(row.identifier),
                       STR_FMT(owner->identifier));
                refuse_detail(m->r, "identifier", identifier);
                rc = refuse_detail(m->r, "dependent", row.identifier);
            }
        }
        json_unref(row.rel_doc);
    }
    ids_done(&ids);
    return rc < 0 ? -1 : 0;
}

static void write_cleared(const struct blueprint *owner, struct json rel, const struct blueprint *gone,
                          struct str identifier, struct buf *out)
{
    struct jw w = jw_on(out);
    jw_obj(&w);
    for (struct json_iter it = json_iter(rel); json_next(&it);) {
        ptrdiff_t i = blueprint_relation(owner, it.key);
        bool points = i >= 0 && str_eq(owner->relations[i].target, gone->identifier);
        jw_key(&w, it.key);
        if (points && json_is_arr(it.val)) {
            jw_arr(&w);
            for (struct json_iter el = json_iter(it.val); json_next(&el);)
                if (!str_eq(json_str(el.val), identifier))
                    jw_json(&w, el.val);
            jw_end_arr(&w);
        } else if (points && json_is_str(it.val) && str_eq(json_str(it.val), identifier)) {
            jw_null(&w);
        } else {
            jw_json(&w, it.val);
        }
    }
    jw_end_obj(&w);
}

static int clear_one(struct removal *m, int64_t id, const struct blueprint *gone, struct str identifier)
{
    struct row row = {0};
    struct json_doc *now = NULL;
    struct buf rel;
    int rc = row_by_id(m->k, id, m->a, &row, m->r);
    if (rc <= 0)
        return rc;
    const struct blueprint *owner = blueprint_by_id(m->k, row.blueprint, m->r);
    if (!owner)
        return -1;
    buf_init(&rel, LIMIT_ANSWER);
    if (refs_points(owner, row_rel(&row), gone, identifier, false)) {
        write_cleared(owner, row_rel(&row), gone, identifier, &rel);
        rc = json_parse(buf_str(&rel), &now, NULL);
        rc = rc < 0 ? refuse(m->r, 500, "internal_error", "cleared relations are not JSON")
                    : refs_update(m->k, owner, id, row_rel(&row), json_root(now), m->r);
        if (rc == 0)
            rc = row_rewrite(m->k, id, buf_str(&rel), row.body, m->r);
    }
    json_unref(now);
    row_done(&row);
    buf_done(&rel);
    return rc < 0 ? -1 : 0;
}

static int clear_references(struct removal *m, const struct doomed *d)
{
    struct ids ids = {0};
    int rc = refs_find(m->k, d->b, d->row.identifier, &ids, m->r);
    for (size_t i = 0; rc == 0 && i < ids.n; i++)
        if (!seen(m, ids.p[i]))
            rc = clear_one(m, ids.p[i], d->b, d->row.identifier);
    ids_done(&ids);
    return rc;
}

static int delete_row(struct removal *m, struct doomed *d)
{
    int rc = d->row.rel.n > 2 ? refs_update(m->k, d->b, d->row.id, row_rel(&d->row), JSON_NONE, m->r) : 0;
    row_done(&d->row);
    if (rc < 0 || q_exec(m->k, m->r, "DELETE FROM entity WHERE id = ?", "i", d->row.id) < 0)
        return -1;
    return core_tally(m->k, d->b->id, d->row.datasource, -1, m->r);
}

static int remove_all(struct removal *m, const struct blueprint *b, const struct str *identifiers, size_t n,
                      struct removed *ret)
{
    ret->identifiers = arena_alloc(m->a, (n + 1) * sizeof(*ret->identifiers));
    for (size_t i = 0; i < n; i++) {
        struct row row = {0};
        int rc = row_find(m->k, b->id, identifiers[i], m->a, &row, m->r);
        if (rc < 0)
            return -1;
        if (rc == 0 || seen(m, row.id))
            continue;
        doom(m, &row, b);
        ret->identifiers[ret->n++] = row.identifier;
    }
    ret->deleted = (unsigned)m->n;
    for (size_t i = 0; i < m->n; i++)
        if (blueprint_is_target(m->k, m->list[i].b) && doom_dependents(m, m->list[i].b, m->list[i].row.identifier) < 0)
            return -1;
    for (size_t i = 0; i < m->n; i++)
        if (blueprint_is_target(m->k, m->list[i].b) && clear_references(m, &m->list[i]) < 0)
            return -1;
    for (size_t i = 0; i < m->n; i++)
        if (delete_row(m, &m->list[i]) < 0)
            return -1;
    ret->cascaded = (unsigned)m->n - ret->deleted;
    return 0;
}

int entities_remove(struct core *k, const struct blueprint *b, const struct str *identifiers, size_t n, bool dependents,
                    struct arena *a, struct removed *ret, struct refusal *r)
{
    struct removal m = {.k = k, .a = a, .r = r, .seen = strmap_new(NULL), .dependents = dependents};
    *ret = (struct removed){0};
    int rc = remove_all(&m, b, identifiers, n, ret);
    strmap_free(m.seen);
    return rc;
}
