/* Protected names are collected first (records of failed kinds with computed blueprints are read for that), then the set
 * is closed over the relations of their blueprints: one step along every relation if Port creates missing targets, any
 * number of steps along required ones if deletion cascades. Blueprints are few, so the set is a list that grows while
 * it is walked. */
#define LOG_GROUP "sync.reconcile"
#include "sync/scope.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/strmap.h"
#include "sync/certified.h"

struct name {
    char *text;
    bool direct; /* a failed resource can produce it: all its relation targets count */
};

struct scope {
    struct run *run;
    const struct resource_run *resources;
    size_t n;
    bool none;
    struct name *names; /* protected */
    size_t nnames, closed;
    struct strmap *set; /* of struct scope: the same names */
    struct certified *records; /* of failed kinds with computed blueprints */
    size_t nrecords;
    void (*done)(void *arg, struct scope *s);
    void *arg;
};

void scope_free(struct scope *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->nrecords; i++)
        certified_done(&s->records[i]);
    free(s->records);
    for (size_t i = 0; i < s->nnames; i++)
        free(s->names[i].text);
    free(s->names);
    strmap_free(s->set);
    free(s);
}

bool scope_empty(const struct scope *s) { return s->none; }

bool scope_covers(const struct scope *s, struct str blueprint) { return !s->none && !strmap_has(s->set, blueprint); }

static void protect(struct scope *s, struct str name, bool direct)
{
    if (strmap_has(s->set, name))
        return;
    strmap_put(s->set, name, s);
    s->names = xrealloc(s->names, (s->nnames + 1) * sizeof(*s->names));
    s->names[s->nnames++] = (struct name){str_dup(name), direct};
}

static bool failed(const struct resource_run *rr) { return rr->failed || rr->report->state != RES_COMPLETED; }

static bool computed(const struct resource_run *rr) { return rr->plan && !plan_blueprint(rr->plan).p; }

static void finish(void *arg)
{
    struct scope *s = arg;
    struct buf names;
    buf_init(&names, 4096);
    for (size_t i = 0; i < s->nnames && !s->none; i++)
        buf_addf(&names, "%s%s", i ? ", " : "", s->names[i].text);
    if (names.n)
        log_warn("a resource had errors, so nothing of these blueprints is deleted in this run: %s", buf_cstr(&names));
    buf_done(&names);
    s->done(s->arg, s);
}

static void nothing(struct scope *s)
{
    s->none = true;
    loop_defer(s->run->engine->loop, finish, s);
}

/* Relations -------------------------------------------------------------------------------------------------------- */

static void protect_targets(struct scope *s, const struct name *from, struct json blueprint)
{
    bool direct = from->direct; /* the list moves while it grows */
    for (struct json_iter it = json_iter(json_get_c(blueprint, "relations")); it.obj && json_next(&it);) {
        struct str target = json_str(json_get_c(it.val, "target"));
        bool created = direct && s->run->mapping->create_missing_related;
        bool required = s->run->mapping->delete_dependents && json_is_true(json_get_c(it.val, "required"));
        if (target.p && (created || required))
            protect(s, target, false);
    }
}

static void close_over(struct scope *s);

static void on_schemas(void *arg)
{
    struct scope *s = arg;
    for (; s->closed < s->nnames; s->closed++) {
        const struct name *name = &s->names[s->closed];
        const struct schema *schema = schemas_find(s->run->schemas, str_of(name->text));
        if (!schema)
            break; /* came in meanwhile: not read yet */
        if (schema->err.code && !schema_missing(schema)) {
            log_error("blueprint '%s' cannot be read, so it is unknown what a failed resource depends on: nothing is "
                      "deleted in this run: %s",
                      name->text, schema->err.msg);
            nothing(s);
            return;
        }
        protect_targets(s, name, schema->blueprint);
    }
    close_over(s);
}

static void close_over(struct scope *s)
{
    size_t n = s->nnames - s->closed;
    if (n == 0) {
        loop_defer(s->run->engine->loop, finish, s);
        return;
    }
    struct str *names = xcalloc(n, sizeof(*names));
    for (size_t i = 0; i < n; i++)
        names[i] = str_of(s->names[s->closed + i].text);
    schemas_read(s->run->schemas, names, n, on_schemas, s);
    free(names);
}

/* Failed resources ------------------------------------------------------------------------------------------------- */

static void protect_produced(struct scope *s)
{
    const struct ledger *l = s->run->ledger;
    for (size_t i = 0; i < s->n; i++) {
        const struct resource_run *rr = &s->resources[i];
        if (!failed(rr))
            continue;
        if (!computed(rr))
            protect(s, plan_blueprint(rr->plan), true);
        for (size_t b = 0; b < ledger_blueprints(l); b++)
            if (ledger_blueprint_at(l, b)->by[rr->slot])
                protect(s, str_of(ledger_blueprint_at(l, b)->name), true);
    }
}

static void on_records(void *arg)
{
    struct scope *s = arg;
    for (size_t i = 0; i < s->nrecords; i++) {
        const struct certified *c = &s->records[i];
        if (!c->record.known) {
            log_warn("kind '%s' had errors, its blueprint is computed and no complete run of it is known, so nothing "
                     "is deleted in this run",
                     c->kind);
            nothing(s);
            return;
        }
        for (size_t k = 0; k < c->nblueprints; k++)
            protect(s, str_of(c->blueprints[k]), true);
        for (size_t k = 0; k < c->nsince; k++)
            protect(s, str_of(c->since[k]), true);
    }
    protect_produced(s);
    close_over(s);
}

static void want_record(struct scope *s, struct str kind)
{
    for (size_t i = 0; i < s->nrecords; i++)
        if (str_is(kind, s->records[i].kind))
            return;
    s->records[s->nrecords++].kind = str_dup(kind);
}

void scope_make(struct run *run, const struct resource_run *resources, size_t n,
                void (*done)(void *arg, struct scope *s), void *arg)
{
    struct scope *s = xcalloc(1, sizeof(*s));
    *s = (struct scope){.run = run, .resources = resources, .n = n, .done = done, .arg = arg};
    s->set = strmap_new(NULL);
    s->records = xcalloc(n + 1, sizeof(*s->records));
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        const struct resource_run *rr = &resources[i];
        if (!failed(rr))
            continue;
        any = true;
        s->none |= !run->engine->settings->deletion_by_blueprint || !rr->plan;
        if (computed(rr))
            want_record(s, rr->res->kind);
    }
    if (!any || s->none) {
        if (s->none)
            log_warn("nothing is deleted in this run: a resource had errors");
        loop_defer(run->engine->loop, finish, s);
        return;
    }
    certified_load(run->engine->loop, run->engine->state, s->records, s->nrecords, on_records, s);
}
