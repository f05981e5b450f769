/* The steps of a change: mapping, maps (a job for each resource and list), upsert, gone, finish.
 *
 *   upsert   what is to be there, through a loader of its own; in a resync compared with Port first (S-95)
 *   gone     what is to go: named by the script, or found by comparing lists; asked for (S-133) or protected (10.3) first
 *
 * Every callback leads to the next step through `go_on`, which ends a cancelled change instead. */
#define LOG_GROUP "sync.imperative"
#include "sync/imperative.h"

#include <stdlib.h>
#include <string.h>

#include "base/keyset.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/worker.h"
#include "sync/diff.h"
#include "sync/holdback.h"
#include "sync/ledger.h"
#include "sync/loader.h"
#include "sync/named.h"
#include "sync/order.h"
#include "sync/ready.h"
#include "sync/run.h"
#include "json/compare.h"
#include "json/write.h"

#define OWNERSHIP_MAX 50
#define LIST_LIMIT 5000

struct map_job {
    struct worker_job job; /* first */
    struct change *c;
    const struct mapping_resource *res;
    const struct plan *plan;
    struct json items;
    bool parse_all, after;
    struct mapped_batch *mapped;
    struct err err;
};

struct entity_list {
    const struct mapped_entity **v;
    size_t n;
};

struct change {
    struct change_opts o;
    char *resource;
    struct mapping *mapping; /* a reference: the event may get another one */
    struct run run; /* engine, event, write and schemas: what diff and lookups look at */
    change_done_fn done;
    void *arg;
    bool cancelled;
    struct map_job *maps;
    size_t nmaps, unmapped, comparing;
    struct ready before_ready, after_ready;
    struct entity_list before, after, failed; /* failed: those whose selector is false (S-80) */
    struct diff_item *items;
    struct loader *loader;
    size_t unresolved;
    struct named *named;
    struct keyset *keys, *keep; /* of `after`; of what its relations point to */
    struct entity_name *gone;
    size_t ngone, asked, listed;
    struct arena *arena; /* names of `gone` that come from answers */
    char *cursor;
    struct err err;
    struct buf written, refused;
    size_t nwritten, nrefused;
    void (*next)(struct change *c);
};

static void finish(struct change *c);
static void upsert(struct change *c);
static void remove_gone(struct change *c);

static struct loop *loop_of(const struct change *c) { return c->o.engine->loop; }

static void run_next(void *arg)
{
    struct change *c = arg;
    if (c->cancelled)
        finish(c);
    else
        c->next(c);
}

static void go_on(struct change *c, void (*next)(struct change *c))
{
    c->next = next;
    loop_defer(loop_of(c), run_next, c);
}

static void add(struct entity_list *l, const struct mapped_entity *e)
{
    if ((l->n & (l->n + 1)) == 0) /* room doubles */
        l->v = xrealloc(l->v, (2 * l->n + 2) * sizeof(*l->v));
    l->v[l->n++] = e;
}

static void fail(struct change *c, const struct err *e, const char *what)
{
    if (c->err.code)
        return;
    err_copy(&c->err, e);
    if (what)
        err_wrap(&c->err, "%s", what);
}

/* What is told afterwards ------------------------------------------------------------------------------------------ */

static void write_reduced(struct buf *out, struct str identifier, struct str blueprint, struct json relations)
{
    struct jw w = jw_on(out);
    if (out->n > 1)
        buf_addc(out, ',');
    jw_obj(&w);
    jw_key_c(&w, "identifier");
    jw_str(&w, identifier);
    jw_key_c(&w, "blueprint");
    jw_str(&w, blueprint);
    jw_key_c(&w, "relations");
    jw_obj(&w);
    for (struct json_iter it = json_iter(relations); json_next(&it);) {
        jw_key(&w, it.key);
        if (json_is_obj(it.val)) /* a search query is no value */
            jw_null(&w);
        else
            jw_json(&w, it.val);
    }
    jw_end_obj(&w);
    jw_end_obj(&w);
}

static void tell_written(struct change *c, const struct mapped_entity *e, struct str identifier)
{
    struct json_doc *doc = NULL;
    struct json relations = JSON_NONE;
    if (json_parse(e->text, &doc, NULL) == 0)
        relations = json_get_c(json_root(doc), "relations");
    write_reduced(&c->written, identifier.p ? identifier : e->identifier, e->blueprint, relations);
    c->nwritten++;
    json_unref(doc);
}

static void tell_refused(struct change *c, struct str identifier, struct str blueprint, int status, struct str message)
{
    struct jw w = jw_on(&c->refused);
    if (c->nrefused++)
        buf_addc(&c->refused, ',');
    jw_obj(&w);
    jw_key_c(&w, "identifier");
    jw_str(&w, identifier);
    jw_key_c(&w, "blueprint");
    jw_str(&w, blueprint);
    jw_key_c(&w, "status");
    jw_int(&w, status);
    jw_key_c(&w, "message");
    jw_str(&w, message);
    jw_end_obj(&w);
}

static void free_change(struct change *c)
{
    for (size_t i = 0; i < c->nmaps; i++)
        mapped_batch_free(c->maps[i].mapped);
    free(c->maps);
    ready_done(&c->before_ready);
    ready_done(&c->after_ready);
    free(c->before.v);
    free(c->after.v);
    free(c->failed.v);
    free(c->items);
    free(c->gone);
    free(c->cursor);
    free(c->resource);
    arena_free(c->arena);
    keyset_free(c->keys);
    keyset_free(c->keep);
    loader_free(c->loader);
    schemas_free(c->run.schemas);
    if (c->o.before.doc)
        json_unref(c->o.before.doc);
    if (c->o.after.doc)
        json_unref(c->o.after.doc);
    mapping_unref(c->mapping);
    event_unref(c->o.event);
    buf_done(&c->written);
    buf_done(&c->refused);
    free(c);
}

static void finish(struct change *c)
{
    if (!c->cancelled) {
        buf_addc(&c->written, ']');
        buf_addc(&c->refused, ']');
        const struct change_report r = {buf_str(&c->written), buf_str(&c->refused), c->nwritten, c->nrefused};
        c->done(c->arg, &r, c->err.code ? &c->err : NULL);
    }
    free_change(c);
}

/* Going ------------------------------------------------------------------------------------------------------------ */

static void on_told(void *arg, const struct named_result *r)
{
    struct change *c = arg;
    for (size_t i = 0; i < r->n; i++) {
        if (r->why)
            tell_refused(c, r->names[i].identifier, r->names[i].blueprint, r->why->http_status, str_of(r->why->msg));
        else if (c->o.kind == CHANGE_UNREGISTER || c->o.kind == CHANGE_UNREGISTER_RAW) {
            write_reduced(&c->written, r->names[i].identifier, r->names[i].blueprint, JSON_NONE);
            c->nwritten++;
        }
    }
}

static void on_gone(void *arg)
{
    struct change *c = arg;
    c->named = NULL;
    go_on(c, finish);
}

static void add_gone(struct change *c, struct str blueprint, struct str identifier)
{
    if ((c->ngone & (c->ngone + 1)) == 0)
        c->gone = xrealloc(c->gone, (2 * c->ngone + 2) * sizeof(*c->gone));
    c->gone[c->ngone++] = (struct entity_name){blueprint, identifier};
}

/* Without cascading an entity goes before those it relates to. */
static void sort_gone(struct change *c, const struct entity_list *l)
{
    struct order *order = order_new();
    struct entity_name *sorted = xcalloc(c->ngone + 1, sizeof(*sorted));
    int64_t *rows = xcalloc(c->ngone + 1, sizeof(*rows));
    for (size_t i = 0; i < c->ngone; i++) {
        order_add(order, key128_entity(c->gone[i].blueprint, c->gone[i].identifier), c->gone[i].identifier, (int64_t)i);
        for (size_t k = 0; k < l->n; k++) {
            if (!str_eq(l->v[k]->identifier, c->gone[i].identifier) || !str_eq(l->v[k]->blueprint, c->gone[i].blueprint))
                continue;
            for (size_t t = 0; t < l->v[k]->ntargets; t++)
                order_edge(order, l->v[k]->targets[t].value);
            break;
        }
    }
    size_t n = order_count(order);
    order_sort(order, false, rows);
    for (size_t i = 0; i < n; i++)
        sorted[i] = c->gone[rows[i]];
    free(c->gone);
    free(rows);
    order_free(order);
    c->gone = sorted;
    c->ngone = n;
}

static void send_gone(struct change *c)
{
    if (!c->run.write.delete_dependents && c->ngone > 1)
        sort_gone(c, c->o.kind == CHANGE_REGISTER_RAW ? &c->failed : &c->before);
    if (c->ngone)
        c->named = named_start(c->o.engine, c->gone, c->ngone, &c->run.write, on_told, on_gone, c);
    else
        go_on(c, finish);
}

/* register_raw: of the entities that failed every selector, those that are ours (S-132.4) */

static void ask_ownership(struct change *c);

static void on_owned(void *arg, struct json entities, const struct err *e)
{
    struct change *c = arg;
    if (e)
        fail(c, e, "asking Port which entities that fail their selector are ours");
    for (struct json_iter it = json_iter(entities); json_next(&it);)
        add_gone(c, arena_str(c->arena, json_str(json_get_c(it.val, "blueprint"))),
                 arena_str(c->arena, json_str(json_get_c(it.val, "identifier"))));
    go_on(c, e ? finish : ask_ownership);
}

static void ask_ownership(struct change *c)
{
    struct entity_name names[OWNERSHIP_MAX];
    size_t n = 0;
    while (n < OWNERSHIP_MAX && c->asked < c->failed.n) {
        const struct mapped_entity *e = c->failed.v[c->asked++];
        if ((e->flags & ENTITY_SEARCH_IDENTIFIER) || keyset_add(c->keys, e->key, 1) >= 0) /* passed elsewhere, or twice */
            continue;
        names[n++] = (struct entity_name){e->blueprint, e->identifier};
    }
    if (n)
        port_ownership(c->o.engine->port, names, n, c->o.feature, on_owned, c);
    else
        send_gone(c);
}

/* Diffs: what is in before alone, but for what the written ones point to (10.3) */

static void on_schemas(void *arg)
{
    struct change *c = arg;
    c->keep = keyset_new();
    for (size_t i = 0; i < c->after.n; i++) {
        const struct mapped_entity *e = c->after.v[i];
        const struct schema *s = e->ntargets ? schemas_find(c->run.schemas, e->blueprint) : NULL;
        if (e->ntargets && (!s || s->err.code)) {
            log_error("blueprint '%.*s' cannot be read, so it is unknown which entities its relations protect: nothing is "
                      "deleted: %s",
                      STR_FMT(e->blueprint), s ? s->err.msg : "no answer");
            go_on(c, finish);
            return;
        }
        for (size_t t = 0; t < e->ntargets; t++) {
            struct str target = schema_target(s, e->targets[t].relation);
            if (target.p)
                keyset_add(c->keep, key128_entity(target, e->targets[t].value), 1);
        }
    }
    size_t n = 0;
    for (size_t i = 0; i < c->ngone; i++)
        if (keyset_get(c->keep, key128_entity(c->gone[i].blueprint, c->gone[i].identifier)) < 0)
            c->gone[n++] = c->gone[i];
    c->ngone = n;
    send_gone(c);
}

static void protect(struct change *c)
{
    if (!c->ngone || !c->run.write.create_missing) {
        send_gone(c);
        return;
    }
    struct str *names = xcalloc(c->after.n + 1, sizeof(*names));
    size_t n = 0;
    for (size_t i = 0; i < c->after.n; i++) {
        struct str name = c->after.v[i]->blueprint;
        if (c->after.v[i]->ntargets && (n == 0 || !str_eq(names[n - 1], name)))
            names[n++] = name;
    }
    schemas_read(c->run.schemas, names, n, on_schemas, c);
    free(names);
}

static void remove_diff(struct change *c)
{
    for (size_t i = 0; i < c->before.n; i++) {
        const struct mapped_entity *e = c->before.v[i];
        if (!(e->flags & ENTITY_SEARCH_IDENTIFIER) && keyset_get(c->keys, e->key) < 0)
            add_gone(c, e->blueprint, e->identifier);
    }
    protect(c);
}

static void remove_synced(struct change *c)
{
    double rate = threshold_rate(c->ngone, c->listed), limit = c->mapping->doc->deletion_threshold;
    if (c->ngone && !threshold_allows(rate, limit)) {
        log_error("ocean.sync would delete %zu of %zu entities (%.4g), more than the entityDeletionThreshold of %g allows: "
                  "none is deleted",
                  c->ngone, c->listed, rate, limit);
        c->ngone = 0;
    }
    protect(c);
}

static void remove_gone(struct change *c)
{
    switch (c->o.kind) {
    case CHANGE_REGISTER_RAW:
        if (c->err.code) /* S-132.3 */
            finish(c);
        else
            ask_ownership(c);
        return;
    case CHANGE_UPDATE_RAW_DIFF:
    case CHANGE_UPDATE_DIFF: remove_diff(c); return;
    case CHANGE_SYNC: remove_synced(c); return;
    case CHANGE_REGISTER: finish(c); return;
    case CHANGE_UNREGISTER:
    case CHANGE_UNREGISTER_RAW: break;
    }
    for (size_t i = 0; i < c->before.n; i++)
        if (!(c->before.v[i]->flags & ENTITY_SEARCH_IDENTIFIER))
            add_gone(c, c->before.v[i]->blueprint, c->before.v[i]->identifier);
    send_gone(c);
}

/* Writing ---------------------------------------------------------------------------------------------------------- */

static void on_outcome(void *arg, const struct mapped_entity *e, const struct load_outcome *o)
{
    struct change *c = arg;
    struct ledger *running = c->o.engine->ledger;
    if (o->what == UPSERT_FAILED) {
        tell_refused(c, e->identifier, e->blueprint, o->status, o->message);
    } else if (o->what != UPSERT_UNMATCHED) {
        tell_written(c, e, o->identifier);
        if (running && o->identifier.p)
            ledger_keep(running, key128_entity(e->blueprint, o->identifier));
    }
    if (--c->unresolved == 0)
        go_on(c, remove_gone);
}

static void load(struct change *c)
{
    const struct settings *s = c->o.engine->settings;
    const struct loader_opts o = {
        .loop = loop_of(c),
        .port = c->o.engine->port,
        .write = &c->run.write,
        .max_entities = s->upsert_max_entities > 0 ? (size_t)s->upsert_max_entities : 1,
        .max_bytes = s->upsert_max_bytes,
        .outcome = on_outcome,
    };
    c->loader = loader_new(&o);
    for (size_t i = 0; i < c->after.n; i++) {
        if (c->o.engine->ledger && !(c->after.v[i]->flags & ENTITY_SEARCH_IDENTIFIER))
            ledger_keep(c->o.engine->ledger, c->after.v[i]->key);
        if (c->items && !c->items[i].send)
            continue;
        c->unresolved++;
        loader_add(c->loader, c->after.v[i], c);
    }
    loader_flush(c->loader);
    if (c->unresolved == 0)
        go_on(c, remove_gone);
}

/* In a resync what Port has already is not written again (S-95): job after job, as each has parts of its own. */
static void compare(struct change *c);

static void on_compared(void *arg) { go_on(arg, compare); }

static void compare(struct change *c)
{
    size_t at = 0;
    for (size_t i = 0; i < c->comparing; i++)
        at += c->maps[i].after && c->maps[i].mapped ? c->maps[i].mapped->n : 0;
    while (c->comparing < c->nmaps) {
        const struct map_job *m = &c->maps[c->comparing++];
        size_t n = m->after && m->mapped ? m->mapped->n : 0;
        if (!n || !diff_wanted(m->mapped->entities, n, n)) {
            at += n;
            continue;
        }
        const struct str *parts;
        size_t nparts = plan_parts(m->plan, &parts);
        diff_lookup(&c->run, c->items + at, n, parts, nparts, on_compared, c);
        return;
    }
    load(c);
}

static void upsert(struct change *c)
{
    c->keys = keyset_new();
    for (size_t i = 0; i < c->after.n; i++)
        keyset_add(c->keys, c->after.v[i]->key, 1);
    if (c->o.event->type != EVENT_RESYNC || c->nmaps == 0) {
        load(c);
        return;
    }
    c->items = xcalloc(c->after.n + 1, sizeof(*c->items));
    for (size_t i = 0; i < c->after.n; i++)
        c->items[i] = (struct diff_item){.e = c->after.v[i], .send = true};
    compare(c);
}

/* sync: what Port has now, all of it before anything is written (S-138) -------------------------------------------- */

static void list_page(struct change *c);

static void on_page(void *arg, struct json entities, struct str next, const struct err *e)
{
    struct change *c = arg;
    struct buf identifier;
    if (e) {
        fail(c, e, "listing what the integration owns in Port");
        go_on(c, finish);
        return;
    }
    buf_init(&identifier, BUF_NO_LIMIT);
    for (struct json_iter it = json_iter(entities); json_next(&it); c->listed++) {
        struct str blueprint = json_str(json_get_c(it.val, "blueprint"));
        buf_reset(&identifier);
        json_identifier_text(&identifier, json_get_c(it.val, "identifier"));
        if (keyset_get(c->keys, key128_entity(blueprint, buf_str(&identifier))) < 0)
            add_gone(c, arena_str(c->arena, blueprint), arena_str(c->arena, buf_str(&identifier)));
    }
    buf_done(&identifier);
    free(c->cursor);
    c->cursor = next.n ? str_dup(next) : NULL;
    go_on(c, c->cursor ? list_page : load);
}

static void list_page(struct change *c)
{
    port_list_owned(c->o.engine->port, c->o.feature, NULL, str_of(c->cursor), LIST_LIMIT, on_page, c);
}

static void begin_sync(struct change *c)
{
    c->keys = keyset_new();
    for (size_t i = 0; i < c->after.n; i++)
        keyset_add(c->keys, c->after.v[i]->key, 1);
    list_page(c);
}

/* Mapping ---------------------------------------------------------------------------------------------------------- */

static void begin_changes(struct change *c)
{
    for (size_t i = 0; i < c->before_ready.n; i++)
        add(&c->before, &c->before_ready.entities[i]);
    for (size_t i = 0; i < c->after_ready.n; i++)
        add(&c->after, &c->after_ready.entities[i]);
    if (c->o.kind == CHANGE_SYNC)
        begin_sync(c);
    else if (c->o.kind == CHANGE_UNREGISTER || c->o.kind == CHANGE_UNREGISTER_RAW)
        remove_gone(c);
    else
        upsert(c);
}

/* Errors of items are one grouped error at the end (S-132.3); a diff whose after is incomplete deletes nothing (S-135). */
static void collect(struct change *c)
{
    bool after_broken = false;
    for (size_t i = 0; i < c->nmaps; i++) {
        struct map_job *m = &c->maps[i];
        struct mapped_batch *b = m->mapped;
        size_t errors = b ? b->selector_errors + b->expand_errors + b->budget_errors : 1;
        struct err e = {0};
        if (errors)
            ERR(&e, ERR_INVAL, "kind '%.*s', resource %d: %zu item%s could not be mapped: %s", STR_FMT(m->res->kind),
                m->res->index, errors, errors == 1 ? "" : "s",
                b ? b->first_error ? b->first_error : "an expression failed" : m->err.msg);
        after_broken |= errors && m->after;
        if (errors)
            fail(c, &e, NULL);
        for (size_t k = 0; b && k < b->n; k++)
            add(m->after ? &c->after : &c->before, &b->entities[k]);
        for (size_t k = 0; b && k < b->nfailed; k++)
            add(&c->failed, &b->failed[k]);
    }
    if (c->o.kind == CHANGE_UPDATE_RAW_DIFF && after_broken) {
        log_error("ocean.update_raw_diff: %s; nothing is deleted", c->err.msg);
        c->before.n = 0;
    }
    begin_changes(c);
}

static void map_run(struct worker_job *job)
{
    struct map_job *m = (struct map_job *)job;
    if (plan_map(m->plan, m->items, m->parse_all, &job->cancelled, &m->mapped, &m->err) < 0)
        m->mapped = NULL;
}

static void map_done(struct worker_job *job)
{
    struct change *c = ((struct map_job *)job)->c;
    if (--c->unmapped == 0)
        go_on(c, collect);
}

static void add_map(struct change *c, size_t i, struct json items, bool after)
{
    const struct mapping *m = c->mapping;
    struct map_job *job = &c->maps[c->nmaps];
    if (!items.v)
        return;
    *job = (struct map_job){
        .job = {.run = map_run, .done = map_done},
        .c = c,
        .res = &m->doc->resources[i],
        .plan = m->plans[i].plan,
        .items = items,
        .parse_all = c->o.kind == CHANGE_REGISTER_RAW,
        .after = after,
    };
    c->nmaps++;
}

static void map_all(struct change *c)
{
    const struct mapping_doc *doc = c->mapping->doc;
    c->maps = xcalloc(2 * doc->n + 1, sizeof(*c->maps));
    for (size_t i = 0; i < doc->n; i++) {
        const struct mapping_resource *res = &doc->resources[i];
        if (!str_is(res->kind, c->resource))
            continue;
        if (!c->mapping->plans[i].plan) {
            fail(c, &c->mapping->plans[i].err, "mapping");
            continue;
        }
        if (c->o.kind == CHANGE_UNREGISTER_RAW && json_is_obj(json_get_c(res->mappings, "identifier"))) {
            log_info("ocean.unregister_raw: kind '%s', resource %d has a search query as identifier and is left out",
                     c->resource, res->index);
            continue;
        }
        add_map(c, i, c->o.before, false);
        add_map(c, i, c->o.after, true);
    }
    c->unmapped = c->nmaps;
    for (size_t i = 0; i < c->nmaps; i++)
        worker_submit(loop_of(c), &c->maps[i].job);
    if (c->nmaps == 0)
        go_on(c, finish);
}

static bool is_raw(enum change_kind k)
{
    return k == CHANGE_REGISTER_RAW || k == CHANGE_UNREGISTER_RAW || k == CHANGE_UPDATE_RAW_DIFF;
}

static void begin(struct change *c)
{
    c->mapping = mapping_ref(c->o.event->mapping);
    const struct mapping_doc *doc = c->mapping->doc;
    bool resync = c->o.event->type == EVENT_RESYNC;
    c->run.mapping = doc;
    c->run.write = (struct write_options){
        .merge = doc->merge_entity,
        .create_missing = doc->create_missing_related,
        .delete_dependents = doc->delete_dependents,
        .event_type = event_type_name(c->o.event->type),
        .resync_id = resync ? c->o.event->id : NULL,
        .feature = c->o.feature,
    };
    if (is_raw(c->o.kind))
        map_all(c);
    else
        begin_changes(c);
}

static void on_mapping(void *arg, struct mapping *m, const struct err *e)
{
    struct change *c = arg;
    if (m)
        event_set_mapping(c->o.event, m);
    mapping_unref(m);
    if (e)
        fail(c, e, "the mapping");
    go_on(c, e ? finish : begin);
}

/* ------------------------------------------------------------------------------------------------------------------ */

struct change *change_start(const struct change_opts *o, change_done_fn done, void *arg, struct err *e)
{
    struct change *c = xcalloc(1, sizeof(*c));
    c->o = *o;
    c->o.event = event_ref(o->event);
    if (c->o.before.doc)
        json_ref(c->o.before.doc);
    if (c->o.after.doc)
        json_ref(c->o.after.doc);
    c->done = done;
    c->arg = arg;
    c->resource = o->resource.p ? str_dup(o->resource) : NULL;
    c->arena = arena_new(0);
    buf_init(&c->written, BUF_NO_LIMIT);
    buf_init(&c->refused, BUF_NO_LIMIT);
    buf_addc(&c->written, '[');
    buf_addc(&c->refused, '[');
    c->run = (struct run){.engine = o->engine, .event = c->o.event, .schemas = schemas_new(o->engine->loop, o->engine->port)};
    int rc = 0;
    if (!is_raw(o->kind) && o->before.v && (rc = ready_read(o->before, &c->before_ready, e)) < 0)
        err_wrap(e, o->after.v ? "before" : "entities");
    if (!is_raw(o->kind) && rc == 0 && o->after.v && (rc = ready_read(o->after, &c->after_ready, e)) < 0)
        err_wrap(e, o->before.v ? "after" : "entities");
    if (rc < 0) {
        free_change(c);
        return NULL;
    }
    if (c->o.event->mapping)
        go_on(c, begin);
    else
        mappings_get(o->engine->mappings, MAPPINGS_CACHED, on_mapping, c);
    return c;
}

void change_cancel(struct change *c)
{
    if (!c)
        return;
    c->cancelled = true;
    for (size_t i = 0; i < c->nmaps; i++)
        worker_cancel(&c->maps[i].job);
    if (c->loader)
        loader_abort(c->loader);
    if (c->named)
        named_abort(c->named);
}
