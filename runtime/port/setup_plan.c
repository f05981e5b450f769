/* Set-up without writing. The steps are the same; where one would send, this file answers as Port would: the document of
 * the integration with the body's members in it (a PATCH replaces each member as a whole, port-api P-77), so that the
 * steps behind it see what they would see. At the end the document is compared with the one that was read. */
#define LOG_GROUP "port.setup"
#include <stdlib.h>

#include "base/mem.h"
#include "json/compare.h"
#include "json/write.h"
#include "port/setup_priv.h"

struct pretence {
    struct setup *s;
    struct json_doc *doc;
    port_done_fn done;
};

static void write_merged(struct jw *w, struct json old, struct json with)
{
    jw_obj(w);
    for (struct json_iter it = json_iter(old); it.obj && json_next(&it);) {
        if (json_get(with, it.key).v)
            continue;
        jw_key(w, it.key);
        jw_json(w, it.val);
    }
    for (struct json_iter it = json_iter(with); it.obj && json_next(&it);) {
        jw_key(w, it.key);
        jw_json(w, it.val);
    }
    jw_end_obj(w);
}

static void answer(void *arg)
{
    struct pretence *p = arg;
    struct setup *s = p->s;
    struct port_answer a = {.status = 200, .doc = p->doc, .root = json_root(p->doc)};
    s->timer = NULL;
    s->pretence = NULL;
    p->done(s, &a, NULL);
    json_unref(p->doc);
    free(p);
}

void setup_pretend(struct setup *s, struct buf *body, port_done_fn done)
{
    struct pretence *p = xcalloc(1, sizeof(*p));
    struct json_doc *with = NULL;
    struct buf text;
    buf_init(&text, BUF_NO_LIMIT);
    if (body)
        json_parse(buf_str(body), &with, NULL);
    buf_adds(&text, "{\"ok\":true,\"integration\":");
    struct jw w = jw_on(&text);
    write_merged(&w, s->integration, with ? json_root(with) : JSON_NONE);
    buf_addc(&text, '}');
    *p = (struct pretence){.s = s, .done = done};
    json_parse(buf_str(&text), &p->doc, NULL);
    buf_done(&text);
    if (body)
        buf_done(body);
    json_unref(with);
    s->pretence = p;
    s->timer = timer_start(s->port->loop, 0, 0, answer, p);
}

void setup_pretence_free(struct pretence *p)
{
    if (!p)
        return;
    json_unref(p->doc);
    free(p);
}

/* What is noted ---------------------------------------------------------------------------------------------------- */

void port_setup_plan_done(struct port_setup_plan *p)
{
    for (size_t i = 0; i < p->n; i++) {
        free(p->changes[i].identifier);
        json_unref(p->changes[i].docs[0]);
        json_unref(p->changes[i].docs[1]);
    }
    free(p->changes);
    json_unref(p->doc);
    *p = (struct port_setup_plan){0};
}

/* Makes references of its own to both documents. */
static void note(struct setup *s, const char *type, char *identifier, struct json before, struct json after)
{
    struct port_setup_plan *p = s->o.plan;
    p->changes = xrealloc(p->changes, (p->n + 1) * sizeof(*p->changes));
    p->changes[p->n++] = (struct port_setup_change){
        .type = type,
        .identifier = identifier,
        .before = before,
        .after = after,
        .docs = {before.doc ? json_ref(before.doc) : NULL, after.doc ? json_ref(after.doc) : NULL},
    };
}

void setup_note_item(struct setup *s, const char *type, struct json item, struct str blueprint)
{
    struct str identifier = json_str(json_get_c(item, "identifier"));
    char *name = blueprint.p ? xasprintf("%.*s/%.*s", STR_FMT(blueprint), STR_FMT(identifier)) : str_dup(identifier);
    note(s, type, name, JSON_NONE, item);
}

/* Of `whole` the members that `parts` has, as a document of its own. */
static struct json_doc *only(struct json whole, struct json parts)
{
    struct json_doc *d = NULL;
    struct buf text;
    buf_init(&text, BUF_NO_LIMIT);
    struct jw w = jw_on(&text);
    jw_obj(&w);
    for (struct json_iter it = json_iter(parts); json_next(&it);) {
        struct json v = json_get(whole, it.key);
        if (!v.v)
            continue;
        jw_key(&w, it.key);
        jw_json(&w, v);
    }
    jw_end_obj(&w);
    json_parse(buf_str(&text), &d, NULL);
    buf_done(&text);
    return d;
}

void setup_note_blueprints(struct setup *s)
{
    for (size_t i = 0; i < s->nblueprints; i++) {
        struct setup_blueprint *b = &s->blueprints[i];
        struct str name = json_str(json_get_c(b->def, "identifier"));
        struct json_doc *theirs = b->exists && b->patch ? only(b->theirs, b->def) : NULL;
        if (!b->exists || b->patch)
            note(s, "blueprint", str_dup(name), theirs ? json_root(theirs) : JSON_NONE, b->def);
        b->created = !b->exists;
        json_unref(theirs);
    }
}

/* The members of the integration's document that the set-up writes, without its mapping. */
static struct json_doc *facts(struct json integration)
{
    static const char parts[] =
        "{\"installationAppType\":0,\"version\":0,\"changelogDestination\":0,\"actionsProcessingEnabled\":0,"
        "\"incrementalSyncEnabled\":0,\"processingMode\":0,\"createPortResourcesOrigin\":0,"
        "\"arePortResourcesInitialized\":0}";
    struct json_doc *names = NULL;
    json_parse(STR(parts), &names, NULL);
    struct json_doc *d = only(integration, json_root(names));
    json_unref(names);
    return d;
}

void setup_note_end(struct setup *s)
{
    struct json was = s->found ? json_get_c(json_root(s->found), "integration") : JSON_NONE;
    struct json_doc *before = was.v ? facts(was) : NULL, *after = facts(s->integration);
    if (!before || !json_equal(json_root(before), json_root(after)))
        note(s, "integration", xstrdup(s->port->identifier), before ? json_root(before) : JSON_NONE, json_root(after));
    json_unref(before);
    json_unref(after);
    struct json config = json_get_c(s->integration, "config");
    before = json_is_obj(json_get_c(was, "config")) ? mapping_unmarked(json_get_c(was, "config")) : NULL;
    after = mapping_unmarked(config);
    if (!before || !json_equal(json_root(before), json_root(after)))
        note(s, "mapping", xstrdup(s->port->identifier), before ? json_root(before) : JSON_NONE, json_root(after));
    json_unref(before);
    json_unref(after);
    s->o.plan->doc = s->doc ? json_ref(s->doc) : NULL;
    s->o.plan->config = config;
}
