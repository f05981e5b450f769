/* One small JSON object per kind: {"entities":120,"empty_runs":0,"known":true,"blueprints":["service"]}. */
#define LOG_GROUP "sync.certified"
#include "sync/certified.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "json/write.h"

#define SPACE "certified"
#define SINCE "since "

struct load {
    struct loop *loop;
    struct state *state;
    size_t missing;
    void (*done)(void *arg);
    void *arg;
};
struct one {
    struct load *load;
    struct certified *c;
};

static void free_names(char **names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    free(names);
}

void certified_done(struct certified *c)
{
    free_names(c->blueprints, c->nblueprints);
    free_names(c->since, c->nsince);
    free(c->kind);
    memset(c, 0, sizeof(*c));
}

static bool has_name(char *const *names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

void certified_add_blueprint(struct certified *c, const char *name)
{
    if (has_name(c->blueprints, c->nblueprints, name))
        return;
    c->blueprints = xrealloc(c->blueprints, (c->nblueprints + 1) * sizeof(char *));
    c->blueprints[c->nblueprints++] = xstrdup(name);
}

static void parse(struct certified *c, struct str text)
{
    struct json_doc *doc;
    struct err e;
    int64_t n;
    if (json_parse(text, &doc, &e) < 0) {
        log_warn("the state of kind '%s' is damaged and counts as a first run: %s", c->kind, e.msg);
        return;
    }
    struct json root = json_root(doc);
    c->record.known = json_is_true(json_get_c(root, "known"));
    if (json_int64(json_get_c(root, "entities"), &n) && n > 0)
        c->record.entities = (size_t)n;
    if (json_int64(json_get_c(root, "empty_runs"), &n) && n > 0)
        c->record.empty_runs = (size_t)n;
    for (struct json_iter it = json_iter(json_get_c(root, "blueprints")); json_next(&it);) {
        char *name = str_dup(json_str(it.val));
        certified_add_blueprint(c, name);
        free(name);
    }
    json_unref(doc);
}

static void loaded(void *arg)
{
    struct load *l = arg;
    void (*done)(void *) = l->done;
    void *done_arg = l->arg;
    free(l);
    done(done_arg);
}

static void load_part(struct load *l)
{
    if (--l->missing == 0)
        loop_defer(l->loop, loaded, l);
}

static void on_since(void *arg, const struct str *keys, size_t n, const struct err *e)
{
    struct one *o = arg;
    struct certified *c = o->c;
    if (e) { /* nobody may rely on what cannot be read completely */
        log_warn("the state of kind '%s' cannot be read and counts as a first run: %s", c->kind, e->msg);
        c->record = (struct kind_record){0};
    }
    c->since = xcalloc(n + 1, sizeof(char *));
    for (size_t i = 0; i < n; i++)
        c->since[c->nsince++] = str_dup(keys[i]);
    struct load *l = o->load;
    free(o);
    load_part(l);
}

static void on_value(void *arg, struct str value, const struct err *e)
{
    struct one *o = arg;
    if (e)
        log_warn("the state of kind '%s' cannot be read and counts as a first run: %s", o->c->kind, e->msg);
    else if (value.p)
        parse(o->c, value);
    char *space = xasprintf(SINCE "%s", o->c->kind);
    state_keys(o->load->state, space, on_since, o);
    free(space);
}

void certified_load(struct loop *loop, struct state *s, struct certified *list, size_t n, void (*done)(void *arg),
                    void *arg)
{
    struct load *l = xcalloc(1, sizeof(*l));
    *l = (struct load){.loop = loop, .state = s, .missing = n + 1, .done = done, .arg = arg};
    for (size_t i = 0; i < n; i++) {
        struct one *o = xcalloc(1, sizeof(*o));
        *o = (struct one){l, &list[i]};
        state_get(s, SPACE, list[i].kind, on_value, o);
    }
    load_part(l);
}

static void put_since(struct state *s, struct str kind, const char *blueprint, struct str value)
{
    char *space = xasprintf(SINCE "%.*s", STR_FMT(kind));
    state_put(s, space, blueprint, value);
    free(space);
}

void certified_save(struct state *s, const struct certified *c)
{
    struct buf text;
    buf_init(&text, BUF_NO_LIMIT);
    struct jw w = jw_on(&text);
    jw_obj(&w);
    jw_key_c(&w, "entities");
    jw_int(&w, (int64_t)c->record.entities);
    jw_key_c(&w, "empty_runs");
    jw_int(&w, (int64_t)c->record.empty_runs);
    jw_key_c(&w, "known");
    jw_bool(&w, c->record.known);
    jw_key_c(&w, "blueprints");
    jw_arr(&w);
    for (size_t i = 0; i < c->nblueprints; i++)
        jw_cstr(&w, c->blueprints[i]);
    jw_end_arr(&w);
    jw_end_obj(&w);
    state_put(s, SPACE, c->kind, buf_str(&text));
    buf_done(&text);
    for (size_t i = 0; i < c->nsince; i++)
        if (!has_name(c->blueprints, c->nblueprints, c->since[i]))
            put_since(s, str_of(c->kind), c->since[i], STR_NULL);
}

void certified_begin(struct state *s, struct str kind, struct str blueprint)
{
    char *name = str_dup(blueprint);
    put_since(s, kind, name, STR("1"));
    free(name);
}
