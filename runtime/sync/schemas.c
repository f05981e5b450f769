/* Answers are kept as references into Port's cache documents until the run ends, failures too, so that a run sees one
 * state of every blueprint. Reads that wait for the same blueprint share the request: each read counts what it misses.
 */
#include "sync/schemas.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/strmap.h"
#include "port/entities.h"

struct read {
    size_t missing;
    struct loop *loop;
    void (*done)(void *arg);
    void *arg;
};
struct waiter {
    struct read *read;
    struct waiter *next;
};
struct entry {
    struct schema schema; /* first: schemas_find hands it out */
    struct waiter *waiters;
};
struct schemas {
    struct loop *loop;
    struct port *port;
    struct strmap *entries;
};

static void free_entry(void *p)
{
    struct entry *e = p;
    if (e->schema.blueprint.v)
        json_unref(e->schema.blueprint.doc);
    strmap_free(e->schema.warned);
    free(e->schema.name);
    free(e);
}

struct schemas *schemas_new(struct loop *l, struct port *p)
{
    struct schemas *s = xcalloc(1, sizeof(*s));
    s->loop = l;
    s->port = p;
    s->entries = strmap_new(free_entry);
    return s;
}

void schemas_free(struct schemas *s)
{
    if (!s)
        return;
    strmap_free(s->entries);
    free(s);
}

struct schema *schemas_find(const struct schemas *s, struct str name)
{
    struct entry *e = strmap_get(s->entries, name);
    return e && e->schema.ready ? &e->schema : NULL;
}

static void read_over(void *arg)
{
    struct read *r = arg;
    void (*done)(void *) = r->done;
    void *done_arg = r->arg;
    free(r);
    done(done_arg);
}

static void read_part(struct read *r)
{
    if (--r->missing == 0)
        loop_defer(r->loop, read_over, r);
}

static void on_blueprint(void *arg, struct json blueprint, const struct err *e)
{
    struct entry *en = arg;
    if (e) {
        err_copy(&en->schema.err, e);
    } else {
        json_ref(blueprint.doc);
        en->schema.blueprint = blueprint;
    }
    en->schema.ready = true;
    struct waiter *w = en->waiters;
    en->waiters = NULL;
    while (w) {
        struct waiter *next = w->next;
        read_part(w->read);
        free(w);
        w = next;
    }
}

void schemas_read(struct schemas *s, const struct str *names, size_t n, void (*done)(void *arg), void *arg)
{
    struct read *r = xcalloc(1, sizeof(*r));
    *r = (struct read){.missing = 1, .loop = s->loop, .done = done, .arg = arg};
    for (size_t i = 0; i < n; i++) {
        struct entry *en = strmap_get(s->entries, names[i]);
        if (en && en->schema.ready)
            continue;
        bool first = !en;
        if (first) {
            en = xcalloc(1, sizeof(*en));
            en->schema.name = str_dup(names[i]);
            strmap_put(s->entries, names[i], en);
        }
        struct waiter *w = xcalloc(1, sizeof(*w));
        *w = (struct waiter){r, en->waiters};
        en->waiters = w;
        r->missing++;
        if (first)
            port_blueprint(s->port, str_of(en->schema.name), on_blueprint, en);
    }
    read_part(r); /* our own share: nothing can end before all are asked for */
}

void schemas_preset(struct schemas *s, struct str name, struct json blueprint, bool planned)
{
    struct entry *en = xcalloc(1, sizeof(*en));
    json_ref(blueprint.doc);
    en->schema = (struct schema){.name = str_dup(name), .blueprint = blueprint, .ready = true, .planned = planned};
    struct entry *old = strmap_put(s->entries, name, en);
    if (old)
        free_entry(old);
}

bool schema_missing(const struct schema *s)
{
    return s->ready && s->err.code && (s->err.code == ERR_NOT_FOUND || s->err.http_status == 404);
}

bool schema_defines(const struct schema *s, struct str property)
{
    if (!s || !json_is_obj(s->blueprint))
        return true;
    struct json props = json_path(s->blueprint, STR("schema.properties"));
    return !json_is_obj(props) || json_get(props, property).v;
}

bool schema_requires(const struct schema *s, struct str field)
{
    if (!s || !json_is_obj(s->blueprint))
        return false;
    struct str rest, part = str_split(field, '.', &rest);
    if (!rest.p)
        return false;
    if (str_is(part, "properties")) {
        for (struct json_iter it = json_iter(json_path(s->blueprint, STR("schema.required"))); json_next(&it);)
            if (str_eq(json_str(it.val), rest))
                return true;
        return false;
    }
    if (!str_is(part, "relations"))
        return false;
    struct json relations = json_get_c(s->blueprint, "relations"), rel = json_get(relations, rest);
    if (!rel.v) /* inside a search query: relations.owner.rules.value */
        rel = json_get(relations, str_split(rest, '.', &part));
    return json_is_true(json_get_c(rel, "required"));
}

struct str schema_target(const struct schema *s, struct str relation)
{
    if (!s)
        return STR_NULL;
    return json_str(json_get_c(json_get(json_get_c(s->blueprint, "relations"), relation), "target"));
}
