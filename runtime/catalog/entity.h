/* entity.h: stored entities: reading rows, writing them as answers, listing them.
 *
 * A row's texts belong to the statement it was read from, or to the arena it was copied into. Its parsed documents are
 * released by row_done or by reading the next row into it. */
#pragma once
#include "catalog/blueprint.h"
#include "catalog/core.h"

struct row {
    int64_t id, blueprint, datasource, created_at, updated_at, created_by, updated_by;
    struct str identifier;
    struct str rel, body; /* JSON objects; body: title, icon, team, properties */
    struct json_doc *rel_doc, *body_doc;
};

#define ROW_COLUMNS "id, blueprint, identifier, datasource, created_at, updated_at, created_by, updated_by, rel, body"
/* The same width without reading the large column. */
#define ROW_COLUMNS_SLIM "id, blueprint, identifier, datasource, created_at, updated_at, created_by, updated_by, rel, ''"

void row_read(struct row *row, struct sqlite3_stmt *s);
void row_done(struct row *row);
/* 1 found, 0 not, -1 refused. Texts are copied into the arena. */
int row_find(struct core *k, int64_t blueprint, struct str identifier, struct arena *a, struct row *row, struct refusal *r);
int row_by_id(struct core *k, int64_t id, struct arena *a, struct row *row, struct refusal *r);
/* Number of the row, 0 if absent, -1 refused. */
int64_t row_number(struct core *k, int64_t blueprint, struct str identifier, struct refusal *r);
struct json row_rel(struct row *row);
struct json row_body(struct row *row);
struct json row_property(struct row *row, struct str name);
struct json row_relation(struct row *row, struct str name);
/* Replaces the texts and nothing else (no instant, no owner: port-api P-60). */
int row_rewrite(struct core *k, int64_t id, struct str rel, struct str body, struct refusal *r);

/* A growing list of row numbers. */
struct ids {
    int64_t *p;
    size_t n, cap;
};
void ids_add(struct ids *l, int64_t id);
void ids_sort(struct ids *l); /* ascending, without repeats */
bool ids_has(const struct ids *l, int64_t id); /* after ids_sort */
void ids_done(struct ids *l);
/* Rows of a blueprint in order of creation. */
int ids_of_blueprint(struct core *k, int64_t blueprint, struct ids *ret, struct refusal *r);

/* Which parts of an entity an answer has (port-api P-168 to P-171). */
struct projection {
    bool all;            /* the whole entity, quoted from the stored text */
    unsigned parts;      /* PART_* bits */
    bool all_properties, all_relations;
    struct str *properties, *relations;
    size_t nproperties, nrelations;
    struct str *excluded; /* "title", "properties.x" */
    size_t nexcluded;
    bool titles;          /* attach_title_to_relation */
    bool datasource;      /* control API only */
    bool bare_names;      /* E-38: names without "properties." */
    struct arena *arena;
};
void projection_all(struct projection *p, struct arena *a);
void projection_include(struct projection *p, struct str name);
void projection_exclude(struct projection *p, struct str name);
bool projection_is_slim(const struct projection *p); /* needs no `body` */
int entity_write_json(struct core *k, const struct blueprint *b, struct row *row, const struct projection *p, struct buf *out,
                      struct refusal *r);
