/* One small JSON object per kind: {"entities":120,"empty_runs":0,"known":true,"blueprints":["service"]}. */
#define LOG_GROUP "sync.certified"
#include "sync/certified.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "json/write.h"

#define SPACE "certified"

struct load {
    struct loop *loop;
    size_t missing;
    void (*done)(void *arg);
    void *arg;
};
struct one {
    struct load *load;
    struct certified *c;
};

void certified_done(struct certified *c)
{
    for (size_t i = 0; i < c->nblueprints; i++)
        free(c->blueprints[i]);
    free(c->blueprints);
    free(c->kind);
    memset(c, 0, sizeof(*c));
}

void certified_add_blueprint(struct certified *c, const char *name)
{
    for (size_t i = 0; i < c->nblueprints; i++)
        if (strcmp(c->blueprints[i], name) == 0)
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

static void on_value(void *arg, struct str value, const struct err *e)
{
    struct one *o = arg;
    if (e)
        log_warn("the state of kind '%s' cannot be read and counts as a first run: %s", o->c->kind, e->msg);
    else if (value.p)
        parse(o->c, value);
    struct load *l = o->load;
    free(o);
    load_part(l);
}

void certified_load(struct loop *loop, struct state *s, struct certified *list, size_t n, void (*done)(void *arg),
                    void *arg)
{
    struct load *l = xcalloc(1, sizeof(*l));
    *l = (struct load){.loop = loop, .missing = n + 1, .done = done, .arg = arg};
    for (size_t i = 0; i < n; i++) {
        struct one *o = xcalloc(1, sizeof(*o));
        *o = (struct one){l, &list[i]};
        state_get(s, SPACE, list[i].kind, on_value, o);
    }
    load_part(l);
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
}
