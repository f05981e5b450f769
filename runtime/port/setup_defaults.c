/* Blueprints and the other default resources.
 *
 * First installation: read every blueprint; if any exists nothing is created. Else create them bare, then
 * with relations, then complete, so that every target exists before it is named. What was created is removed
 * again if a wave fails, and the flag stays unset, so that the next start tries again.
 *
 * Bringing up to date (`apply`: the embedded catalog, changed ocean.define, --reset-mapping): the absent ones
 * go through the same three waves, existing ones that differ are patched with the last wave. Blueprints in a
 * real Port that hold properties nobody here knows were edited there and are left alone unless
 * --reset-mapping says otherwise: a patch would replace the whole schema. */
#define LOG_GROUP "port.setup"
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "port/setup_priv.h"

static void blueprint_path(const struct setup *s, size_t i, struct buf *path)
{
    buf_adds(path, "/blueprints/");
    url_encode(path, json_str(json_get_c(s->blueprints[i].def, "identifier")));
}

static struct str name_of(const struct setup *s, size_t i)
{
    return json_str(json_get_c(s->blueprints[i].def, "identifier"));
}

static void note_failure(struct setup *s, const struct err *e)
{
    if (!s->failure.code)
        err_copy(&s->failure, e);
}

/* ---- Actions, scorecards, pages ---- */

static void next_group(void *arg);

static bool build_item(void *arg, size_t i, struct port_request *r, struct buf *path)
{
    struct setup *s = arg;
    r->method = "POST";
    r->deadline_ms = setup_time_left(s);
    buf_adds(path, s->paths[i]);
    json_write(&r->body, s->items[i]);
    return true;
}

/* Trouble here is told and passed over. */
static void on_item(void *arg, size_t i, const struct port_answer *a, const struct err *e)
{
    struct setup *s = arg;
    struct err mine = {0};
    if (a && a->status == 409)
        log_info("POST %s: it exists already", s->paths[i]);
    else if (setup_outcome(a, e, "POST", s->paths[i], &mine) < 0)
        log_warn("a default resource was not created: %s", mine.msg);
}

static void add_item(struct setup *s, struct json item, char *path)
{
    s->items = xrealloc(s->items, (s->nitems + 1) * sizeof(*s->items));
    s->paths = xrealloc(s->paths, (s->nitems + 1) * sizeof(*s->paths));
    s->items[s->nitems] = item;
    s->paths[s->nitems++] = path;
}

static void add_scorecards(struct setup *s, struct json entry)
{
    struct buf path;
    buf_init(&path, BUF_NO_LIMIT);
    buf_adds(&path, "/blueprints/");
    url_encode(&path, json_str(json_get_c(entry, "blueprint")));
    buf_adds(&path, "/scorecards");
    for (struct json_iter it = json_iter(json_get_c(entry, "data")); json_next(&it);)
        add_item(s, it.val, xstrdup(buf_cstr(&path)));
    buf_done(&path);
}

/* Planning: the same for the plan. */
static void note_items(struct setup *s, size_t group, struct json item)
{
    struct str blueprint = json_str(json_get_c(item, "blueprint"));
    if (group != 1)
        setup_note_item(s, group ? "page" : "action", item, STR_NULL);
    for (struct json_iter it = json_iter(json_get_c(item, "data")); group == 1 && json_next(&it);)
        setup_note_item(s, "scorecard", it.val, blueprint);
}

static void next_group(void *arg)
{
    static const struct fan_ops ops = {build_item, on_item, next_group};
    struct setup *s = arg;
    struct json_doc *const docs[] = {s->o.def->actions, s->o.def->scorecards, s->o.def->pages};
    static const char *const paths[] = {"/actions", NULL, "/pages"};
    for (size_t i = 0; i < s->nitems; i++)
        free(s->paths[i]);
    s->nitems = 0;
    if (s->group == ARRAY_LEN(docs)) {
        setup_installed(s);
        return;
    }
    size_t group = s->group++;
    struct json list = docs[group] ? json_root(docs[group]) : JSON_NONE;
    for (struct json_iter it = json_iter(list); !it.obj && json_next(&it);) {
        if (s->o.plan)
            note_items(s, group, it.val);
        else if (paths[group])
            add_item(s, it.val, xstrdup(paths[group]));
        else
            add_scorecards(s, it.val);
    }
    fan_run(s->port, &s->fan, s->nitems, &ops, s);
}

/* ---- Rollback ---- */

static bool build_removal(void *arg, size_t i, struct port_request *r, struct buf *path)
{
    struct setup *s = arg;
    if (!s->blueprints[i].created)
        return false;
    r->method = "DELETE";
    r->feature = PORT_EXPORTER;
    r->deadline_ms = setup_time_left(s);
    blueprint_path(s, i, path);
    return true;
}

static void on_removed(void *arg, size_t i, const struct port_answer *a, const struct err *e)
{
    struct setup *s = arg;
    struct err mine = {0};
    if (setup_outcome(a, e, "DELETE", "/blueprints/{id}", &mine) < 0)
        log_warn("blueprint %.*s could not be removed again: %s", STR_FMT(name_of(s, i)), mine.msg);
}

static void rolled_back(void *arg)
{
    struct setup *s = arg;
    struct err e = s->failure;
    setup_end(s, &e);
}

static void roll_back(struct setup *s)
{
    static const struct fan_ops ops = {build_removal, on_removed, rolled_back};
    err_wrap(&s->failure,
             "the blueprints could not be installed (those created in this run are removed again)");
    fan_run(s->port, &s->fan, s->nblueprints, &ops, s);
}

/* ---- Waves ---- */

static bool build_wave(void *arg, size_t i, struct port_request *r, struct buf *path)
{
    struct setup *s = arg;
    struct setup_blueprint *b = &s->blueprints[i];
    bool new = !b->exists;
    if (s->stage == STAGE_BARE ? !new : !b->created && !(b->patch && s->stage == STAGE_FULL))
        return false;
    r->method = s->stage == STAGE_BARE ? "POST" : "PATCH";
    r->feature = PORT_EXPORTER;
    r->deadline_ms = setup_time_left(s);
    if (s->stage == STAGE_BARE)
        buf_adds(path, "/blueprints");
    else
        blueprint_path(s, i, path);
    blueprint_stage_write(&r->body, b->def, s->stage);
    return true;
}

static void on_wave(void *arg, size_t i, const struct port_answer *a, const struct err *e)
{
    struct setup *s = arg;
    struct setup_blueprint *b = &s->blueprints[i];
    struct err mine = {0};
    if (s->stage == STAGE_BARE && a && a->status == 409) { /* */
        log_info("blueprint %.*s was created meanwhile by somebody else", STR_FMT(name_of(s, i)));
        b->exists = true;
        return;
    }
    char *path =
        xasprintf(s->stage == STAGE_BARE ? "/blueprints (%.*s)" : "/blueprints/%.*s", STR_FMT(name_of(s, i)));
    int rc = setup_outcome(a, e, s->stage == STAGE_BARE ? "POST" : "PATCH", path, &mine);
    free(path);
    if (rc < 0)
        note_failure(s, &mine);
    else if (s->stage == STAGE_BARE)
        b->created = true;
}

static void log_installed(const struct setup *s)
{
    size_t created = 0, patched = 0;
    for (size_t i = 0; i < s->nblueprints; i++) {
        created += s->blueprints[i].created;
        patched += s->blueprints[i].patch;
    }
    if ((created || patched) && !s->o.plan)
        log_info("blueprints installed: %zu created, %zu brought up to date", created, patched);
}

static void blueprints_installed(struct setup *s)
{
    log_installed(s);
    if (json_is_true(json_get_c(s->integration, "arePortResourcesInitialized")))
        setup_installed(s); /* actions, scorecards and pages are installed once */
    else
        next_group(s);
}

static void wave_finished(void *arg)
{
    static const struct fan_ops ops = {build_wave, on_wave, wave_finished};
    struct setup *s = arg;
    if (s->failure.code) {
        roll_back(s);
    } else if (s->stage != STAGE_FULL) {
        s->stage++;
        fan_run(s->port, &s->fan, s->nblueprints, &ops, s);
    } else {
        blueprints_installed(s);
    }
}

static void run_waves(struct setup *s)
{
    static const struct fan_ops ops = {build_wave, on_wave, wave_finished};
    if (s->o.plan) {
        setup_note_blueprints(s);
        blueprints_installed(s);
        return;
    }
    s->stage = STAGE_BARE;
    fan_run(s->port, &s->fan, s->nblueprints, &ops, s);
}

/* ---- Reading what is there ---- */

/* Existing blueprints that differ from ours: which of them may be patched? */
static void compare(struct setup *s)
{
    struct buf extras;
    buf_init(&extras, 1 << 16);
    for (size_t i = 0; i < s->nblueprints; i++) {
        struct setup_blueprint *b = &s->blueprints[i];
        if (!b->exists || blueprint_same(b->def, b->theirs))
            continue;
        buf_reset(&extras);
        if (s->o.embedded || s->o.reset_mapping || !blueprint_extras(b->def, b->theirs, &extras))
            b->patch = true;
        else
            log_warn("blueprint %.*s differs from the one in Port, which also has %s; Port's is used. Run "
                     "with --reset-mapping "
                     "to replace it",
                     STR_FMT(name_of(s, i)), buf_cstr(&extras));
    }
    buf_done(&extras);
}

static void skip_existing(struct setup *s)
{
    struct buf names;
    buf_init(&names, 1 << 16);
    for (size_t i = 0; i < s->nblueprints; i++)
        if (s->blueprints[i].exists)
            buf_addf(&names, "%s%.*s", names.n ? ", " : "", STR_FMT(name_of(s, i)));
    log_info("blueprints exist already in Port (%s): no default resources are created", buf_cstr(&names));
    buf_done(&names);
    setup_installed(s);
}

static bool build_read(void *arg, size_t i, struct port_request *r, struct buf *path)
{
    struct setup *s = arg;
    r->method = "GET";
    r->deadline_ms = setup_time_left(s);
    blueprint_path(s, i, path);
    return true;
}

static void on_read(void *arg, size_t i, const struct port_answer *a, const struct err *e)
{
    struct setup *s = arg;
    struct setup_blueprint *b = &s->blueprints[i];
    struct err mine = {0};
    if (a && a->status == 404) /* only this means absent */
        return;
    char *path = xasprintf("/blueprints/%.*s", STR_FMT(name_of(s, i)));
    if (setup_outcome(a, e, "GET", path, &mine) < 0) {
        note_failure(s, &mine);
    } else {
        b->exists = true;
        b->doc = json_ref(a->doc);
        b->theirs = json_get_c(a->root, "blueprint");
    }
    free(path);
}

static void all_read(void *arg)
{
    struct setup *s = arg;
    bool any = false;
    if (s->failure.code) {
        struct err e = s->failure;
        setup_end(s, &e);
        return;
    }
    for (size_t i = 0; i < s->nblueprints; i++)
        any |= s->blueprints[i].exists;
    if (s->apply)
        compare(s);
    else if (any) {
        skip_existing(s);
        return;
    }
    run_waves(s);
}

/* Are existing blueprints brought up to date in this start? */
static bool applies(const struct setup *s)
{
    const struct definition *d = s->o.def;
    bool initialized = json_is_true(json_get_c(s->integration, "arePortResourcesInitialized"));
    if (s->o.embedded || s->o.reset_mapping)
        return true;
    /* Without an own mapping there is no mark: then the comparison alone decides. */
    return initialized && d->blueprints_inline &&
           !mapping_marks_blueprints(json_get_c(s->integration, "config"), d->blueprints);
}

void setup_install(struct setup *s)
{
    static const struct fan_ops ops = {build_read, on_read, all_read};
    struct json list = s->o.def->blueprints ? json_root(s->o.def->blueprints) : JSON_NONE;
    bool initialized = json_is_true(json_get_c(s->integration, "arePortResourcesInitialized"));
    s->apply = json_len(list) && applies(s);
    if (initialized && !s->apply) {
        setup_installed(s);
        return;
    }
    if (!json_len(list)) {
        next_group(s);
        return;
    }
    s->blueprints = xcalloc(json_len(list), sizeof(*s->blueprints));
    for (struct json_iter it = json_iter(list); json_next(&it);)
        s->blueprints[s->nblueprints++].def = it.val;
    fan_run(s->port, &s->fan, s->nblueprints, &ops, s);
}
