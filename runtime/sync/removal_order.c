/* The listing need not carry relations, so they are looked up, 50 candidates of one blueprint a request, for the
 * relations their blueprint defines. A page of candidates is finished before the next one is read. What is held per
 * candidate are its keys and edges (about 60 bytes each), no text.
 *
 * A failed lookup only costs the order: Port then refuses what still has dependents, and the next run deletes it. */
#define LOG_GROUP "sync.removal"
#include "sync/removal_order.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "store/state.h"
#include "sync/order.h"
#include "sync/removal.h"
#include "json/compare.h"

#define GROUP_MAX 50

struct group { /* candidates of one blueprint whose relations are not known yet */
    struct group *next;
    char *blueprint;
    char *ids[GROUP_MAX];
    size_t n;
};

struct sorting {
    struct run *run;
    const struct certificate *cert;
    bool (*wanted)(void *arg, struct str blueprint, struct str identifier);
    void *wanted_arg;
    void (*done)(void *arg, int64_t *rows, size_t n);
    void *arg;
    struct order *order;
    struct group *groups;
    struct str blueprint_name; /* of the group whose blueprint is being read */
    int64_t after;
};

static void read_page(void *arg);
static void next_group(void *arg);

static void free_group(struct group *g)
{
    for (size_t i = 0; i < g->n; i++)
        free(g->ids[i]);
    free(g->blueprint);
    free(g);
}

static void finish(struct sorting *s)
{
    size_t n = order_count(s->order);
    int64_t *rows = xcalloc(n + 1, sizeof(*rows));
    if (!order_sort(s->order, false, rows))
        log_error("the entities to delete relate to each other in a cycle, so Port may refuse some: enable "
                  "createMissingRelatedEntities and deleteDependentEntities in the mapping");
    void (*done)(void *, int64_t *, size_t) = s->done;
    void *arg = s->arg;
    while (s->groups) {
        struct group *g = s->groups;
        s->groups = g->next;
        free_group(g);
    }
    order_free(s->order);
    free(s);
    done(arg, rows, n);
}

/* Relations -------------------------------------------------------------------------------------------------------- */

static void drop_group(struct sorting *s)
{
    struct group *g = s->groups;
    s->groups = g->next;
    free_group(g);
    loop_defer(s->run->engine->loop, next_group, s);
}

static void on_lookup(void *arg, struct json entities, const struct err *e)
{
    struct sorting *s = arg;
    struct buf identifier;
    if (e)
        log_warn(
            "the relations of %zu entities of blueprint '%s' are unknown, they are deleted in no special order: %s",
            s->groups->n, s->groups->blueprint, e->msg);
    buf_init(&identifier, BUF_NO_LIMIT);
    for (struct json_iter it = json_iter(e ? JSON_NONE : entities); json_next(&it);) {
        buf_reset(&identifier);
        json_identifier_text(&identifier, json_get_c(it.val, "identifier"));
        struct key128 key = key128_entity(json_str(json_get_c(it.val, "blueprint")), buf_str(&identifier));
        if (order_select(s->order, key))
            order_relations(s->order, json_get_c(it.val, "relations"));
    }
    buf_done(&identifier);
    drop_group(s);
}

/* Names of the blueprint's relations as parts of a lookup; returns how many, texts in `names`. */
static size_t relation_parts(const struct schema *schema, struct str *parts, char **names, size_t max)
{
    size_t n = 0;
    if (!schema)
        return 0;
    for (struct json_iter it = json_iter(json_get_c(schema->blueprint, "relations")); n < max && json_next(&it); n++) {
        names[n] = xasprintf("relations.%.*s", STR_FMT(it.key));
        parts[n] = str_of(names[n]);
    }
    return n;
}

static void on_schema(void *arg)
{
    struct sorting *s = arg;
    struct group *g = s->groups;
    const struct schema *schema = schemas_find(s->run->schemas, str_of(g->blueprint));
    size_t max = schema ? json_len(json_get_c(schema->blueprint, "relations")) : 0;
    struct str *parts = xcalloc(max + 1, sizeof(*parts));
    char **names = xcalloc(max + 1, sizeof(*names));
    size_t n = relation_parts(schema, parts, names, max);
    if (n == 0) {
        drop_group(s);
    } else {
        struct str ids[GROUP_MAX];
        for (size_t i = 0; i < g->n; i++)
            ids[i] = str_of(g->ids[i]);
        port_lookup(s->run->engine->port, str_of(g->blueprint), ids, g->n, parts, n, s->run->write.feature, on_lookup, s);
    }
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    free(names);
    free(parts);
}

static void next_group(void *arg)
{
    struct sorting *s = arg;
    if (!certificate_holds(s->cert)) {
        finish(s);
    } else if (!s->groups) {
        read_page(s);
    } else {
        s->blueprint_name = str_of(s->groups->blueprint);
        schemas_read(s->run->schemas, &s->blueprint_name, 1, on_schema, s);
    }
}

/* Candidates ------------------------------------------------------------------------------------------------------- */

static void need_relations(struct sorting *s, const struct candidate *c)
{
    struct group **at = &s->groups;
    while (*at && ((*at)->n == GROUP_MAX || !str_is(c->blueprint, (*at)->blueprint)))
        at = &(*at)->next;
    if (!*at) {
        *at = xcalloc(1, sizeof(**at));
        (*at)->blueprint = str_dup(c->blueprint);
    }
    (*at)->ids[(*at)->n++] = str_dup(c->identifier);
}

static void on_page(void *arg, const struct state_row *rows, size_t n, const struct err *e)
{
    struct sorting *s = arg;
    if (e)
        log_error("the deletion candidates cannot be read, the rest is kept: %s", e->msg);
    if (e || n == 0) {
        finish(s);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        struct candidate c;
        struct json_doc *doc;
        s->after = rows[i].row;
        if (!candidate_read(rows[i].text, &c, &doc))
            continue;
        if (s->wanted(s->wanted_arg, c.blueprint, c.identifier)) {
            order_add(s->order, rows[i].key, c.identifier, rows[i].row);
            if (json_is_obj(c.relations))
                order_relations(s->order, c.relations);
            else
                need_relations(s, &c);
        }
        json_unref(doc);
    }
    loop_defer(s->run->engine->loop, next_group, s);
}

static void read_page(void *arg)
{
    struct sorting *s = arg;
    state_list_read(s->run->engine->state, CANDIDATE_LIST, s->after, REMOVAL_PAGE, on_page, s);
}

void removal_order(struct run *run, const struct certificate *cert,
                   bool (*wanted)(void *arg, struct str blueprint, struct str identifier), void *wanted_arg,
                   void (*done)(void *arg, int64_t *rows, size_t n), void *arg)
{
    struct sorting *s = xcalloc(1, sizeof(*s));
    *s = (struct sorting){.run = run,
                          .cert = cert,
                          .wanted = wanted,
                          .wanted_arg = wanted_arg,
                          .done = done,
                          .arg = arg,
                          .order = order_new()};
    loop_defer(run->engine->loop, read_page, s);
}
