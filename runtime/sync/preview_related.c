/* Targets of relations that do not exist: Port makes them when the plan is carried out. The targets of the plan's writes,
 * but for what this run produced, are looked for fifty at a time. */
#define LOG_GROUP "sync.preview"
#include <stdlib.h>

#include "base/mem.h"
#include "sync/event.h"
#include "sync/preview_priv.h"

struct related {
    struct preview *p;
    void (*done)(struct preview *p);
    struct names_walk walk;
    struct spool_entry entries[NAMES_GROUP];
};

static void next_group(struct related *r);

static void finish(struct related *r)
{
    struct preview *p = r->p;
    void (*done)(struct preview *) = r->done;
    names_walk_done(&r->walk);
    free(r);
    done(p);
}

static void on_added(void *arg, const struct err *e)
{
    struct related *r = arg;
    preview_failed(r->p, e);
    next_group(r);
}

static void add_missing(struct related *r, const bool *there)
{
    size_t n = 0;
    for (size_t i = 0; i < r->walk.n; i++)
        if (!there[i])
            r->entries[n++] = (struct spool_entry){
                .group = r->walk.group[i].group,
                .name = r->walk.group[i].name,
                .kind = ENTRY_RELATED,
                .key = key128_entity(r->walk.group[i].group, r->walk.group[i].name),
            };
    spool_add(r->p->spool, r->entries, n, on_added, r);
}

static void on_targets(void *arg, struct json entities, const struct err *e)
{
    struct related *r = arg;
    struct err mine = {0};
    bool there[NAMES_GROUP] = {false};
    if (e) {
        err_copy(&mine, e);
        err_wrap(&mine, "looking for the targets of relations");
        preview_failed(r->p, &mine);
        finish(r);
        return;
    }
    for (struct json_iter it = json_iter(entities); json_next(&it);)
        for (size_t i = 0; i < r->walk.n; i++)
            there[i] |= str_eq(json_str(json_get_c(it.val, "identifier")), r->walk.group[i].name);
    add_missing(r, there);
}

static bool is_wanted(void *arg, struct key128 key, const struct spool_name *name)
{
    (void)name;
    return !ledger_has(((struct related *)arg)->p->run->ledger, key);
}

static void on_group(void *arg)
{
    static const struct str no_parts[1];
    struct related *r = arg;
    struct str ids[NAMES_GROUP];
    bool nowhere[NAMES_GROUP] = {false};
    if (r->walk.n == 0) {
        finish(r);
        return;
    }
    const struct schema *s = schemas_find(r->p->run->schemas, r->walk.group[0].group);
    if (s && s->planned) { /* not even its blueprint exists */
        add_missing(r, nowhere);
        return;
    }
    for (size_t i = 0; i < r->walk.n; i++)
        ids[i] = r->walk.group[i].name;
    port_find(r->p->run->engine->port, r->walk.group[0].group, ids, r->walk.n, no_parts, 0, on_targets, r);
}

static void next_group(struct related *r) { names_walk_next(&r->walk); }

void preview_related(struct preview *p, void (*done)(struct preview *p))
{
    struct related *r = xcalloc(1, sizeof(*r));
    *r = (struct related){.p = p, .done = done};
    names_walk_begin(&r->walk, p, NAMES_TARGET, is_wanted, on_group, r);
    next_group(r);
}
