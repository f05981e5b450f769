/* Reading rows. Texts are parsed only when somebody asks for a member of them. */
#include "catalog/entity.h"

#include <stdlib.h>

#include "base/mem.h"

void row_done(struct row *row)
{
    json_unref(row->rel_doc);
    json_unref(row->body_doc);
    row->rel_doc = row->body_doc = NULL;
}

void row_read(struct row *row, struct sqlite3_stmt *s)
{
    row_done(row);
    row->id = q_num(s, 0);
    row->blueprint = q_num(s, 1);
    row->identifier = q_text(s, 2);
    row->datasource = q_num(s, 3);
    row->created_at = q_num(s, 4);
    row->updated_at = q_num(s, 5);
    row->created_by = q_num(s, 6);
    row->updated_by = q_num(s, 7);
    row->rel = q_text(s, 8);
    row->body = q_text(s, 9);
}

static int read_one(struct core *k, struct sqlite3_stmt *s, struct arena *a, struct row *row, struct refusal *r)
{
    int rc = q_row(k, s, r);
    if (rc <= 0)
        return rc;
    row_read(row, s);
    row->identifier = arena_str(a, row->identifier);
    row->rel = arena_str(a, row->rel);
    row->body = arena_str(a, row->body);
    q_close(s);
    return 1;
}

int row_find(struct core *k, int64_t blueprint, struct str identifier, struct arena *a, struct row *row,
             struct refusal *r)
{
    return read_one(k,
                    q_open(k, r, "SELECT " ROW_COLUMNS " FROM entity WHERE blueprint = ? AND identifier = ?", "it",
                           blueprint, identifier),
                    a, row, r);
}

int row_by_id(struct core *k, int64_t id, struct arena *a, struct row *row, struct refusal *r)
{
    return read_one(k, q_open(k, r, "SELECT " ROW_COLUMNS " FROM entity WHERE id = ?", "i", id), a, row, r);
}

int64_t row_number(struct core *k, int64_t blueprint, struct str identifier, struct refusal *r)
{
    int64_t id;
    int rc = q_int(k, r, &id, 0, "SELECT id FROM entity WHERE blueprint = ? AND identifier = ?", "it", blueprint,
                   identifier);
    return rc < 0 ? -1 : id;
}

static struct json parsed(struct json_doc **doc, struct str text)
{
    if (!*doc && json_parse(text, doc, NULL) < 0)
        return JSON_NONE;
    return json_root(*doc);
}

struct json row_rel(struct row *row) { return parsed(&row->rel_doc, row->rel); }
struct json row_body(struct row *row) { return parsed(&row->body_doc, row->body); }

struct json row_property(struct row *row, struct str name)
{
    return json_get(json_get_c(row_body(row), "properties"), name);
}

struct json row_relation(struct row *row, struct str name) { return json_get(row_rel(row), name); }

int row_rewrite(struct core *k, int64_t id, struct str rel, struct str body, struct refusal *r)
{
    return q_exec(k, r, "UPDATE entity SET rel = ?2, body = ?3 WHERE id = ?1", "itt", id, rel, body);
}

/* Lists of row numbers ------------------------------------------------------------------------------------------ */

void ids_add(struct ids *l, int64_t id)
{
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 64;
        l->p = xrealloc(l->p, l->cap * sizeof(*l->p));
    }
    l->p[l->n++] = id;
}

static int by_number(const void *x, const void *y)
{
    int64_t a = *(const int64_t *)x, b = *(const int64_t *)y;
    return a < b ? -1 : a > b;
}

void ids_sort(struct ids *l)
{
    size_t kept = 0;
    if (l->n)
        qsort(l->p, l->n, sizeof(*l->p), by_number);
    for (size_t i = 0; i < l->n; i++)
        if (kept == 0 || l->p[kept - 1] != l->p[i])
            l->p[kept++] = l->p[i];
    l->n = kept;
}

bool ids_has(const struct ids *l, int64_t id)
{
    return l->n && bsearch(&id, l->p, l->n, sizeof(*l->p), by_number) != NULL;
}

void ids_done(struct ids *l)
{
    free(l->p);
    *l = (struct ids){0};
}

/* The index alone answers this: it ends with the row's number. */
int ids_of_blueprint(struct core *k, int64_t blueprint, struct ids *ret, struct refusal *r)
{
    struct sqlite3_stmt *s =
        q_open(k, r, "SELECT id FROM entity INDEXED BY entity_key WHERE blueprint = ?", "i", blueprint);
    int rc;
    while ((rc = q_row(k, s, r)) > 0)
        ids_add(ret, q_num(s, 0));
    ids_sort(ret);
    return rc;
}
