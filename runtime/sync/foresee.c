/* What a batch would change. Steps: the batch's blueprints are read; search queries are tried, which gives each entity
 * that has some a second text, as it would stand; everything that can be is looked up as a run does it (owned by us, in
 * the mapped parts); what was not found is looked for whoever owns it, and where a write replaces the whole entity, the
 * whole entity is read.
 *
 * Several batches are compared at a time, but they are kept in order: only then is it known which entities the plan has
 * writes of already, and these are kept even where they equal what Port has now. */
#define LOG_GROUP "sync.preview"
#include <stdlib.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/strmap.h"
#include "json/compare.h"
#include "json/write.h"
#include "mapping/entity.h"
#include "sync/event.h"
#include "sync/preview_priv.h"

#define MATCHES_MAX 100 /* more than that Port refuses in a list (P-147) */

struct seen {
    const struct mapped_entity *mine;
    struct mapped_entity e; /* as it is looked up: identifier and parts found by search filled in */
    struct json before;     /* its document is held */
    bool has_before, send, foreign, failed;
    bool lost;   /* the identifier's search does not find exactly one */
    bool open;   /* a relation's search finds nothing now */
    bool absent; /* its blueprint is not in Port yet */
    size_t matches;
};

struct foreseen {
    struct preview *p;
    struct resource_run *rr;
    struct arena *arena;
    struct seen *seen;
    size_t n;
    bool blind;
    size_t at; /* the entity whose searches are tried */
    const struct str *parts;
    size_t nparts;
    struct diff_item *items; /* what is looked up: items[i] is seen[index[i]] */
    size_t *index, nitems;
    size_t *order, *ends, ngroups, group;
    char *trouble;
    void (*done)(void *arg);
    void *arg;
    struct spool_entry *entries;
    struct spool_name *names;
    size_t nentries, nnames, cap_names, waiting;
};

void foreseen_free(struct foreseen *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->n; i++)
        json_unref(f->seen[i].before.doc);
    free(f->items);
    free(f->index);
    free(f->order);
    free(f->ends);
    free(f->entries);
    free(f->names);
    free(f->seen);
    free(f->trouble);
    arena_free(f->arena);
    free(f);
}

const char *foreseen_trouble(const struct foreseen *f) { return f->trouble; }

static void trouble(struct foreseen *f, const char *message)
{
    if (!f->trouble)
        f->trouble = xasprintf("what it would change is not known: %s", message);
}

static void over(void *arg)
{
    struct foreseen *f = arg;
    f->done(f->arg);
}

static void finish(struct foreseen *f) { loop_defer(f->p->run->engine->loop, over, f); }

static bool aborted(const struct foreseen *f) { return f->p->run->event->aborted; }

static const struct schema *schema_of(const struct foreseen *f, const struct seen *s)
{
    return schemas_find(f->p->run->schemas, s->mine->blueprint);
}

/* Whoever owns it -------------------------------------------------------------------------------------------------- */

static bool wants_details(const struct foreseen *f, const struct seen *s)
{
    if (s->lost || s->absent || s->failed)
        return false;
    return f->p->run->write.merge ? s->send && !s->has_before : s->send;
}

static void next_details(struct foreseen *f);

static void on_details(void *arg, struct json entities, const struct err *e)
{
    struct foreseen *f = arg;
    size_t begin = f->group ? f->ends[f->group - 1] : 0, end = f->ends[f->group];
    struct buf identifier;
    buf_init(&identifier, BUF_NO_LIMIT);
    if (e)
        trouble(f, e->msg);
    for (size_t i = begin; i < end && e; i++)
        f->seen[f->index[f->order[i]]].failed = true;
    for (struct json_iter it = json_iter(entities); json_next(&it);) {
        buf_reset(&identifier);
        json_identifier_text(&identifier, json_get_c(it.val, "identifier"));
        struct key128 key = key128_entity(json_str(json_get_c(it.val, "blueprint")), buf_str(&identifier));
        for (size_t i = begin; i < end; i++) {
            struct seen *s = &f->seen[f->index[f->order[i]]];
            if (!key128_eq(s->e.key, key))
                continue;
            s->foreign = !s->has_before;
            s->has_before = true;
            json_unref(s->before.doc);
            json_ref(it.val.doc);
            s->before = it.val;
        }
    }
    buf_done(&identifier);
    f->group++;
    next_details(f);
}

static void next_details(struct foreseen *f)
{
    if (f->group == f->ngroups || aborted(f)) {
        finish(f);
        return;
    }
    struct str ids[DIFF_GROUP];
    size_t begin = f->group ? f->ends[f->group - 1] : 0, n = f->ends[f->group] - begin;
    for (size_t i = 0; i < n; i++)
        ids[i] = f->items[f->order[begin + i]].e->identifier;
    bool merge = f->p->run->write.merge;
    port_find(f->p->run->engine->port, f->items[f->order[begin]].e->blueprint, ids, n, merge ? f->parts : NULL,
              merge ? f->nparts : 0, on_details, f);
}

/* Fills items with those that `want`, and their groups. */
static void choose(struct foreseen *f, bool (*want)(const struct foreseen *f, const struct seen *s))
{
    f->nitems = f->group = 0;
    for (size_t i = 0; i < f->n; i++) {
        if (!want(f, &f->seen[i]))
            continue;
        f->index[f->nitems] = i;
        f->items[f->nitems++] = (struct diff_item){.e = &f->seen[i].e, .send = true, .keep = true};
    }
    f->ngroups = diff_groups(f->items, f->nitems, f->order, f->ends);
}

static void details(struct foreseen *f)
{
    choose(f, wants_details);
    next_details(f);
}

/* Ours ------------------------------------------------------------------------------------------------------------- */

static int by_key(const void *x, const void *y)
{
    const struct seen *a = *(struct seen *const *)x, *b = *(struct seen *const *)y;
    if (a->e.key.a != b->e.key.a)
        return a->e.key.a < b->e.key.a ? -1 : 1;
    if (a->e.key.b != b->e.key.b)
        return a->e.key.b < b->e.key.b ? -1 : 1;
    return a->has_before > b->has_before ? -1 : a->has_before < b->has_before;
}

/* What is written blindly may come twice in a batch, also because a search found it; one of these took the answer. */
static void share_answers(struct foreseen *f)
{
    struct seen **list = xcalloc(f->n + 1, sizeof(*list));
    for (size_t i = 0; i < f->n; i++)
        list[i] = &f->seen[i];
    qsort(list, f->n, sizeof(*list), by_key);
    for (size_t i = 1; i < f->n; i++) {
        struct seen *a = list[i - 1], *b = list[i];
        if (!a->has_before || b->has_before || b->lost || !key128_eq(a->e.key, b->e.key))
            continue;
        b->has_before = true;
        b->before = a->before;
        json_ref(b->before.doc);
    }
    free(list);
}

static void on_looked_up(void *arg)
{
    struct foreseen *f = arg;
    for (size_t i = 0; i < f->nitems; i++) {
        struct seen *s = &f->seen[f->index[i]];
        const struct diff_item *item = &f->items[i];
        s->send = item->send || (f->blind && !f->p->run->write.merge);
        s->failed = item->failed;
        s->has_before = item->found.v != NULL;
        s->before = item->found;
        if (s->failed)
            trouble(f, "Port did not answer the comparison; the log says why");
    }
    if (f->blind)
        share_answers(f);
    details(f);
}

static bool wants_lookup(const struct foreseen *f, const struct seen *s)
{
    (void)f;
    return !s->lost && !s->absent;
}

static void look_up(struct foreseen *f)
{
    choose(f, wants_lookup);
    diff_lookup(f->p->run, f->items, f->nitems, f->parts, f->nparts, on_looked_up, f);
}

/* Search queries --------------------------------------------------------------------------------------------------- */

static void next_search(void *arg);

static bool is_query(struct json v) { return json_is_obj(v) && json_get_c(v, "combinator").v && json_get_c(v, "rules").v; }

static void write_list(struct jw *w, const struct found *x)
{
    jw_arr(w);
    for (size_t i = 0; i < x->n; i++)
        jw_str(w, x->identifiers[i]);
    jw_end_arr(w);
}

/* The value a query stands for; the query itself where that is not known or Port would refuse it. false: asked. */
static bool write_resolved(struct foreseen *f, struct seen *s, struct jw *w, struct str target, bool many, struct json v)
{
    if (!is_query(v) || !target.p) {
        jw_json(w, v);
        return true;
    }
    const struct found *x = preview_resolve(f->p, target, v, next_search, f);
    if (!x)
        return false;
    if (x->failed || x->n > (many ? MATCHES_MAX : 1)) {
        jw_json(w, v);
    } else if (many) {
        s->open |= x->n == 0;
        write_list(w, x);
    } else if (x->n) {
        jw_str(w, x->identifiers[0]);
    } else {
        s->open = true;
        jw_null(w);
    }
    return true;
}

static bool write_relations(struct foreseen *f, struct seen *s, struct jw *w, struct json relations)
{
    const struct schema *schema = schema_of(f, s);
    struct json defined = schema ? json_get_c(schema->blueprint, "relations") : JSON_NONE;
    jw_obj(w);
    for (struct json_iter it = json_iter(relations); json_next(&it);) {
        bool many = json_is_true(json_get_c(json_get(defined, it.key), "many"));
        jw_key(w, it.key);
        if (!write_resolved(f, s, w, schema_target(schema, it.key), many, it.val))
            return false;
    }
    jw_end_obj(w);
    return true;
}

static bool write_identifier(struct foreseen *f, struct seen *s, struct jw *w, struct json v)
{
    if (!is_query(v)) {
        jw_json(w, v);
        return true;
    }
    const struct found *x = preview_resolve(f->p, s->mine->blueprint, v, next_search, f);
    if (!x)
        return false;
    s->matches = x->n;
    s->lost = x->failed || x->n != 1;
    if (x->failed)
        s->matches = SIZE_MAX;
    if (s->lost)
        jw_json(w, v);
    else
        jw_str(w, x->identifiers[0]);
    return true;
}

/* The entity as it would stand; false: a search is on its way, and it is tried again when that is answered. */
static bool write_entity(struct foreseen *f, struct seen *s, struct json root, struct buf *out)
{
    struct jw w = jw_on(out);
    s->open = false;
    jw_obj(&w);
    for (struct json_iter it = json_iter(root); json_next(&it);) {
        bool known = true;
        jw_key(&w, it.key);
        if (str_is(it.key, "identifier"))
            known = write_identifier(f, s, &w, it.val);
        else if (str_is(it.key, "team"))
            known = write_resolved(f, s, &w, STR("_team"), true, it.val);
        else if (str_is(it.key, "relations") && json_is_obj(it.val))
            known = write_relations(f, s, &w, it.val);
        else
            jw_json(&w, it.val);
        if (!known)
            return false;
    }
    jw_end_obj(&w);
    return true;
}

static void take_resolved(struct foreseen *f, struct seen *s, struct str text)
{
    struct json_doc *d = NULL;
    s->e.text = arena_str(f->arena, text);
    if (json_parse(s->e.text, &d, NULL) < 0)
        return;
    s->e.print = entity_fingerprint(json_root(d));
    struct str id = json_str(json_get_c(json_root(d), "identifier"));
    if ((s->mine->flags & ENTITY_SEARCH_IDENTIFIER) && id.p) {
        s->e.identifier = arena_str(f->arena, id);
        s->e.key = key128_entity(s->e.blueprint, s->e.identifier);
    }
    json_unref(d);
}

/* False: a search is on its way. */
static bool resolve(struct foreseen *f, struct seen *s)
{
    struct json_doc *d = NULL;
    struct buf text;
    if (!(s->mine->flags & (ENTITY_SEARCH_IDENTIFIER | ENTITY_SEARCH_OTHER)) || json_parse(s->mine->text, &d, NULL) < 0)
        return true;
    buf_init(&text, BUF_NO_LIMIT);
    bool known = write_entity(f, s, json_root(d), &text);
    if (known)
        take_resolved(f, s, buf_str(&text));
    buf_done(&text);
    json_unref(d);
    return known;
}

static void next_search(void *arg)
{
    struct foreseen *f = arg;
    while (f->at < f->n && !aborted(f)) {
        if (!resolve(f, &f->seen[f->at]))
            return;
        f->at++;
    }
    if (aborted(f))
        finish(f);
    else
        look_up(f);
}

/* ------------------------------------------------------------------------------------------------------------------ */

static void on_schemas(void *arg)
{
    struct foreseen *f = arg;
    for (size_t i = 0; i < f->n; i++) {
        const struct schema *s = schema_of(f, &f->seen[i]);
        f->seen[i].absent = s && s->planned;
        f->seen[i].send = f->seen[i].absent;
    }
    next_search(f);
}

struct foreseen *preview_compare(struct preview *p, struct resource_run *rr, const struct diff_item *items, size_t n,
                                 bool blind, void (*done)(void *arg), void *arg)
{
    struct foreseen *f = xcalloc(1, sizeof(*f));
    *f = (struct foreseen){.p = p, .rr = rr, .n = n, .blind = blind, .done = done, .arg = arg, .arena = arena_new(0)};
    f->seen = xcalloc(n + 1, sizeof(*f->seen));
    f->items = xcalloc(n + 1, sizeof(*f->items));
    f->index = xcalloc(n + 1, sizeof(*f->index));
    f->order = xcalloc(n + 1, sizeof(*f->order));
    f->ends = xcalloc(n + 1, sizeof(*f->ends));
    f->nparts = plan_parts(rr->plan, &f->parts);
    struct str *names = xcalloc(n + 1, sizeof(*names));
    size_t nnames = 0;
    for (size_t i = 0; i < n; i++) {
        f->seen[i] = (struct seen){.mine = items[i].e, .e = *items[i].e};
        if (nnames == 0 || !str_eq(names[nnames - 1], items[i].e->blueprint))
            names[nnames++] = items[i].e->blueprint;
    }
    schemas_read(p->run->schemas, names, nnames, on_schemas, f);
    free(names);
    return f;
}

/* Keeping ---------------------------------------------------------------------------------------------------------- */

static void add_names(struct foreseen *f, const struct seen *s)
{
    const struct schema *schema = schema_of(f, s);
    for (size_t i = 0; i < s->mine->ntargets; i++) {
        struct str target = schema_target(schema, s->mine->targets[i].relation);
        if (!target.p)
            continue;
        if (f->nnames == f->cap_names) {
            f->cap_names = f->cap_names ? 2 * f->cap_names : 64;
            f->names = xrealloc(f->names, f->cap_names * sizeof(*f->names));
        }
        f->names[f->nnames++] = (struct spool_name){target, s->mine->targets[i].value};
    }
}

static struct str text_of(struct foreseen *f, struct json j)
{
    struct buf text;
    buf_init(&text, BUF_NO_LIMIT);
    json_write(&text, j);
    struct str kept = arena_str(f->arena, buf_str(&text));
    buf_done(&text);
    return kept;
}

static struct str count_text(struct foreseen *f, size_t n)
{
    char text[24];
    int len = n == SIZE_MAX ? 0 : snprintf(text, sizeof(text), "%zu", n);
    return arena_str(f->arena, (struct str){text, (size_t)len});
}

static void add_entry(struct foreseen *f, const struct seen *s)
{
    struct spool_entry *x = &f->entries[f->nentries++];
    bool resolved = s->e.text.p != s->mine->text.p;
    ++*preview_writes(f->p, f->rr->slot);
    *x = (struct spool_entry){
        .group = s->mine->blueprint,
        .name = s->e.identifier,
        .kind = s->lost ? ENTRY_SEARCH : ENTRY_WRITE,
        .slot = (int)f->rr->slot,
        .flags = s->mine->flags | (s->foreign ? ENTRY_FOREIGN : 0u),
        .key = s->e.key,
        .body = s->mine->text,
        .after = resolved ? s->e.text : STR_NULL,
    };
    if (s->lost)
        x->before = count_text(f, s->matches);
    else if (s->has_before)
        x->before = text_of(f, s->before);
    if (s->foreign) /* for the threshold: it is there, but not listed */
        ledger_updated(f->p->run->ledger, s->mine->blueprint, s->e.key);
    ledger_plan(f->p->run->ledger, s->e.key);
    if (!s->lost && !strmap_has(f->p->touched, s->mine->blueprint))
        strmap_put(f->p->touched, s->mine->blueprint, f->p);
    if (f->p->run->mapping->create_missing_related)
        add_names(f, s);
}

/* Until the entity is known the blueprint alone counts as produced; what may be any of its entities protects all. */
static void note_search(struct foreseen *f, const struct seen *s)
{
    if (!(s->mine->flags & ENTITY_SEARCH_IDENTIFIER))
        return;
    if (!s->lost)
        ledger_produced(f->p->run->ledger, f->rr->slot, s->mine->blueprint, s->e.key);
    else if (s->matches > 0)
        ledger_exclude(f->p->run->ledger, s->mine->blueprint);
}

static void kept(void *arg, const struct err *e)
{
    struct foreseen *f = arg;
    preview_failed(f->p, e);
    if (--f->waiting == 0)
        f->done(f->arg);
}

void preview_keep(struct preview *p, struct foreseen *f, void (*done)(void *arg), void *arg)
{
    f->done = done;
    f->arg = arg;
    f->entries = xcalloc(f->n + 1, sizeof(*f->entries));
    for (size_t i = 0; i < f->n; i++) {
        const struct seen *s = &f->seen[i];
        note_search(f, s);
        if (s->failed)
            f->rr->report->rejected++; /* keeps the sums right: nothing is known of it */
        else if (s->send || s->lost || s->open || ledger_is_planned(p->run->ledger, s->e.key))
            add_entry(f, s);
        else
            f->rr->report->unchanged++;
    }
    f->waiting = 2;
    spool_add(p->spool, f->entries, f->nentries, kept, f);
    spool_add_names(p->spool, NAMES_TARGET, f->names, f->nnames, kept, f);
}
