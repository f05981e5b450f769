/* Entries come sorted by blueprint and identifier, so those of one entity stand together; they are collected until the
 * next entity begins, then become at most one line of each kind. The lines of a page are written before the next page is
 * read. */
#define LOG_GROUP "sync.preview"
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "json/compare.h"
#include "json/write.h"
#include "sync/event.h"
#include "sync/preview_priv.h"

#define PAGE 500

struct fold {
    struct preview *p;
    void (*done)(struct preview *p);
    struct sha256 *hash;
    struct change *change;
    struct str *lines; /* of this page, owned */
    size_t nlines, cap_lines;
    int64_t *dropped;
    size_t ndropped, cap_dropped;
    struct spool_entry last; /* where to read on; texts owned by group and name */
    /* the entity being collected */
    bool open, foreign, related, cascade, refused, final;
    struct spool_entry doomed; /* kind 0: none; texts owned */
    char *group, *name;
    size_t group_n, name_n;
    int64_t *seqs; /* of its writes */
    int *slots;
    size_t nwrites, cap_writes;
    struct str cascade_rule;
};

static struct str group_of(const struct fold *f) { return (struct str){f->group, f->group_n}; }
static struct str name_of(const struct fold *f) { return (struct str){f->name, f->name_n}; }

/* Lines ------------------------------------------------------------------------------------------------------------ */

static void add_line(struct fold *f, struct buf *line)
{
    sha256_add(f->hash, buf_str(line));
    sha256_add(f->hash, STR("\n"));
    if (f->nlines == f->cap_lines) {
        f->cap_lines = f->cap_lines ? 2 * f->cap_lines : PAGE;
        f->lines = xrealloc(f->lines, f->cap_lines * sizeof(*f->lines));
    }
    size_t n;
    char *text = buf_take(line, &n);
    f->lines[f->nlines++] = (struct str){text, n};
}

static struct jw begin_line(struct buf *out, const char *change, const char *type)
{
    buf_init(out, BUF_NO_LIMIT);
    struct jw w = jw_on(out);
    jw_obj(&w);
    jw_key_c(&w, "change");
    jw_cstr(&w, change);
    jw_key_c(&w, "type");
    jw_cstr(&w, type);
    return w;
}

static struct jw begin_entity(struct fold *f, struct buf *out, const char *change)
{
    struct jw w = begin_line(out, change, "entity");
    jw_key_c(&w, "blueprint");
    jw_str(&w, group_of(f));
    jw_key_c(&w, "identifier");
    jw_str(&w, name_of(f));
    return w;
}

static void add_fields(struct jw *w, struct str fields)
{
    jw_key_c(w, "fields");
    buf_addc(w->out, '[');
    buf_addstr(w->out, fields);
    buf_addc(w->out, ']');
    w->comma = true;
}

static void end_line(struct fold *f, struct jw *w)
{
    jw_end_obj(w);
    add_line(f, w->out);
}

/* The set-up ------------------------------------------------------------------------------------------------------- */

static void set_up_line(struct fold *f, const struct port_setup_change *c)
{
    struct buf line, fields;
    size_t n = 0;
    struct jw w = begin_line(&line, c->before.v ? "update" : "create", c->type);
    jw_key_c(&w, "identifier");
    jw_cstr(&w, c->identifier);
    buf_init(&fields, BUF_NO_LIMIT);
    bool whole = strcmp(c->type, "mapping") == 0; /* what is not in the new one is gone; else only what is sent counts */
    if (whole)
        change_values(&fields, &n, "config", c->before, c->after, true);
    for (struct json_iter it = json_iter(c->after); !whole && it.obj && json_next(&it);) {
        struct buf path;
        buf_init(&path, BUF_NO_LIMIT);
        change_path(&path, it.key);
        change_values(&fields, &n, buf_cstr(&path), json_get(c->before, it.key), it.val, true);
        buf_done(&path);
    }
    add_fields(&w, buf_str(&fields));
    buf_done(&fields);
    end_line(f, &w);
    f->p->totals.set_up++;
}

static bool is_rest(const char *type) { return strcmp(type, "integration") != 0 && strcmp(type, "mapping") != 0; }

/* Entities --------------------------------------------------------------------------------------------------------- */

static void drop_writes(struct fold *f, bool unmatched)
{
    for (size_t i = 0; i < f->nwrites; i++) {
        struct resource_report *r = &f->p->run->report->resources[f->slots[i]];
        *(unmatched ? &r->unmatched : &r->unchanged) += 1;
        --*preview_writes(f->p, (size_t)f->slots[i]);
        if (f->ndropped == f->cap_dropped) {
            f->cap_dropped = f->cap_dropped ? 2 * f->cap_dropped : PAGE;
            f->dropped = xrealloc(f->dropped, f->cap_dropped * sizeof(*f->dropped));
        }
        f->dropped[f->ndropped++] = f->seqs[i];
    }
}

static void write_line(struct fold *f)
{
    struct totals *t = &f->p->totals;
    struct buf line, fields;
    buf_init(&fields, BUF_NO_LIMIT);
    const struct schema *schema = schemas_find(f->p->run->schemas, group_of(f));
    size_t n = change_fields(f->change, schema, &fields);
    bool exists = change_exists(f->change);
    if (exists && n == 0 && !f->foreign) {
        /* Of several that change nothing in the end each may do something on its way, as making the target of a
         * relation. */
        if (f->nwrites == 1)
            drop_writes(f, false);
        buf_done(&fields);
        return;
    }
    struct jw w = begin_entity(f, &line, exists ? "update" : "create");
    if (f->foreign) {
        jw_key_c(&w, "takes_over");
        jw_bool(&w, true);
    }
    add_fields(&w, buf_str(&fields));
    buf_done(&fields);
    end_line(f, &w);
    *(exists ? &t->updated : &t->created) += 1;
}

static void related_line(struct fold *f)
{
    struct buf line;
    struct jw w = begin_entity(f, &line, "create");
    jw_key_c(&w, "by");
    jw_str_c(&w, "relation");
    add_fields(&w, STR(""));
    end_line(f, &w);
    f->p->totals.related++;
}

static void cascade_line(struct fold *f)
{
    struct buf line;
    bool held = f->cascade_rule.p != NULL;
    struct jw w = begin_entity(f, &line, held ? "held_back" : "delete");
    jw_key_c(&w, "by");
    jw_str_c(&w, "cascade");
    end_line(f, &w);
    *(held ? &f->p->totals.held : &f->p->totals.cascaded) += 1;
}

static void doomed_line(struct fold *f)
{
    struct spool_entry *x = &f->doomed;
    struct buf line;
    bool held = x->kind == ENTRY_HELD || f->refused;
    struct jw w = begin_entity(f, &line, held ? "held_back" : "delete");
    if (held) {
        jw_key_c(&w, "rule");
        jw_str(&w, x->kind == ENTRY_HELD ? x->before : STR("required"));
        if (f->final || (x->flags & ENTRY_FINAL)) {
            jw_key_c(&w, "final");
            jw_bool(&w, true);
        }
    }
    jw_key_c(&w, "resources");
    jw_raw(&w, x->after);
    end_line(f, &w);
    *(held ? &f->p->totals.held : &f->p->totals.deleted) += 1;
    free((char *)(uintptr_t)x->after.p);
    free((char *)(uintptr_t)x->before.p);
    *x = (struct spool_entry){0};
}

static void note_doomed(struct fold *f, const struct spool_entry *x)
{
    f->doomed = (struct spool_entry){
        .kind = x->kind, .flags = x->flags, .after = {str_dup(x->after), x->after.n}, .before = {str_dup(x->before), x->before.n}};
}

/* What a search finds nothing for now is left out, unless the plan itself writes where it searches. */
static void search_line(struct fold *f, const struct spool_entry *x)
{
    struct json_doc *d = NULL;
    struct buf line, fields;
    if (str_is(x->before, "0") && !preview_is_touched(f->p, x->group)) {
        drop_writes(f, true);
        return;
    }
    if (json_parse(x->body, &d, NULL) < 0)
        return;
    struct change *c = change_new();
    change_write(c, JSON_NONE, json_root(d), true);
    buf_init(&fields, BUF_NO_LIMIT);
    change_fields(c, schemas_find(f->p->run->schemas, x->group), &fields);
    struct jw w = begin_line(&line, "write", "entity");
    jw_key_c(&w, "blueprint");
    jw_str(&w, x->group);
    jw_key_c(&w, "search");
    jw_raw(&w, x->name);
    jw_key_c(&w, "matches");
    if (x->before.n)
        jw_raw(&w, x->before);
    else
        jw_null(&w);
    add_fields(&w, buf_str(&fields));
    end_line(f, &w);
    buf_done(&fields);
    change_free(c);
    json_unref(d);
    f->p->totals.written++;
}

static void close_entity(struct fold *f)
{
    if (!f->open)
        return;
    if (f->nwrites)
        write_line(f);
    else if (f->related)
        related_line(f);
    if (f->doomed.kind)
        doomed_line(f);
    if (f->cascade)
        cascade_line(f);
    change_reset(f->change);
    f->nwrites = 0;
    f->open = f->foreign = f->related = f->cascade = f->refused = f->final = false;
    f->cascade_rule = STR_NULL;
}

static void open_entity(struct fold *f, const struct spool_entry *x)
{
    if (f->open && str_eq(group_of(f), x->group) && str_eq(name_of(f), x->name))
        return;
    close_entity(f);
    free(f->group);
    free(f->name);
    f->group = str_dup(x->group);
    f->group_n = x->group.n;
    f->name = str_dup(x->name);
    f->name_n = x->name.n;
    f->open = true;
}

/* Writes ----------------------------------------------------------------------------------------------------------- */

static void note_write(struct fold *f, const struct spool_entry *x)
{
    if (f->nwrites == f->cap_writes) {
        f->cap_writes = f->cap_writes ? 2 * f->cap_writes : 16;
        f->seqs = xrealloc(f->seqs, f->cap_writes * sizeof(*f->seqs));
        f->slots = xrealloc(f->slots, f->cap_writes * sizeof(*f->slots));
    }
    f->seqs[f->nwrites] = x->seq;
    f->slots[f->nwrites++] = x->slot;
}

static bool is_nothing(struct json v) { return json_is_nil(v) || (json_is_arr(v) && json_len(v) == 0); }

/* The relations as they would stand, but where a search finds nothing now and the plan writes where it searches: there
 * nobody knows yet, and the query stays. */
static void write_relations(struct fold *f, struct jw *w, const struct schema *schema, struct json sent, struct json after)
{
    jw_obj(w);
    for (struct json_iter it = json_iter(after); json_next(&it);) {
        struct json was = json_get(sent, it.key);
        struct str target = schema_target(schema, it.key);
        bool unknown = json_is_obj(was) && is_nothing(it.val) && target.p && preview_is_touched(f->p, target);
        jw_key(w, it.key);
        jw_json(w, unknown ? was : it.val);
    }
    jw_end_obj(w);
}

static struct json_doc *as_it_would_stand(struct fold *f, const struct spool_entry *x)
{
    struct json_doc *sent = NULL, *after = NULL, *d = NULL;
    if (!x->after.p)
        return json_parse(x->body, &d, NULL) < 0 ? NULL : d;
    if (json_parse(x->body, &sent, NULL) < 0 || json_parse(x->after, &after, NULL) < 0) {
        json_unref(sent);
        return NULL;
    }
    struct buf text;
    buf_init(&text, BUF_NO_LIMIT);
    struct jw w = jw_on(&text);
    jw_obj(&w);
    for (struct json_iter it = json_iter(json_root(after)); json_next(&it);) {
        jw_key(&w, it.key);
        if (str_is(it.key, "relations") && json_is_obj(it.val))
            write_relations(f, &w, schemas_find(f->p->run->schemas, x->group), json_get_c(json_root(sent), "relations"),
                            it.val);
        else
            jw_json(&w, it.val);
    }
    jw_end_obj(&w);
    json_parse(buf_str(&text), &d, NULL);
    buf_done(&text);
    json_unref(sent);
    json_unref(after);
    return d;
}

static void add_write(struct fold *f, const struct spool_entry *x)
{
    struct json_doc *after = as_it_would_stand(f, x), *before = NULL;
    struct err e = {0};
    if (!after || (x->before.p && json_parse(x->before, &before, &e) < 0)) {
        ERR(&e, ERR_INTERNAL, "the plan's file is damaged");
        preview_failed(f->p, &e);
    } else {
        note_write(f, x);
        f->foreign |= (x->flags & ENTRY_FOREIGN) != 0;
        change_write(f->change, before ? json_root(before) : JSON_NONE, json_root(after), f->p->run->write.merge);
    }
    json_unref(after);
    json_unref(before);
}

static void add_entry(struct fold *f, const struct spool_entry *x)
{
    if (x->kind == ENTRY_SEARCH) { /* its name is a query: no entity */
        close_entity(f);
        note_write(f, x);
        search_line(f, x);
        f->nwrites = 0;
        return;
    }
    open_entity(f, x);
    switch ((enum entry_kind)x->kind) {
    case ENTRY_WRITE: add_write(f, x); break;
    case ENTRY_RELATED: f->related = true; break;
    case ENTRY_CASCADE:
        f->cascade = true;
        f->cascade_rule = x->after.p ? STR("held") : STR_NULL;
        break;
    case ENTRY_REFUSED:
        f->refused |= !x->after.p;
        f->final |= x->after.p != NULL;
        break;
    default: note_doomed(f, x); break;
    }
}

/* Pages ------------------------------------------------------------------------------------------------------------ */

static void free_lines(struct fold *f)
{
    for (size_t i = 0; i < f->nlines; i++)
        free((char *)(uintptr_t)f->lines[i].p);
    f->nlines = 0;
}

static void finish(struct fold *f)
{
    struct preview *p = f->p;
    void (*done)(struct preview *) = f->done;
    sha256_end(f->hash, p->hash);
    p->hash[PREVIEW_HASH] = 0;
    sha256_free(f->hash);
    change_free(f->change);
    free_lines(f);
    free(f->lines);
    free(f->dropped);
    free((char *)(uintptr_t)f->last.group.p);
    free((char *)(uintptr_t)f->last.name.p);
    free(f->group);
    free(f->name);
    free(f->seqs);
    free(f->slots);
    free(f);
    done(p);
}

static void on_entries(void *arg, const struct spool_entry *entries, size_t n, const struct err *e);

static void on_lines(void *arg, const struct err *e)
{
    struct fold *f = arg;
    preview_failed(f->p, e);
    free_lines(f);
    if (f->ndropped)
        spool_drop(f->p->spool, f->dropped, f->ndropped);
    f->ndropped = 0;
    if (!f->last.seq || f->p->err.code || f->p->run->event->aborted)
        finish(f);
    else
        spool_read_sorted(f->p->spool, &f->last, PAGE, on_entries, f);
}

static void on_entries(void *arg, const struct spool_entry *entries, size_t n, const struct err *e)
{
    struct fold *f = arg;
    preview_failed(f->p, e);
    for (size_t i = 0; i < n; i++)
        add_entry(f, &entries[i]);
    free((char *)(uintptr_t)f->last.group.p);
    free((char *)(uintptr_t)f->last.name.p);
    f->last = (struct spool_entry){0};
    if (n) {
        const struct spool_entry *x = &entries[n - 1];
        f->last = (struct spool_entry){
            .seq = x->seq, .group = {str_dup(x->group), x->group.n}, .name = {str_dup(x->name), x->name.n}};
    } else {
        close_entity(f);
    }
    spool_add_lines(f->p->spool, f->lines, f->nlines, on_lines, f);
}

void preview_fold(struct preview *p, void (*done)(struct preview *p))
{
    struct fold *f = xcalloc(1, sizeof(*f));
    const struct port_setup_plan *plan = p->o.setup->plan;
    *f = (struct fold){.p = p, .done = done, .hash = sha256_new(), .change = change_new()};
    for (int rest = 0; rest < 2; rest++) /* the integration itself first */
        for (size_t i = 0; i < plan->n; i++)
            if (is_rest(plan->changes[i].type) == rest)
                set_up_line(f, &plan->changes[i]);
    spool_read_sorted(p->spool, NULL, PAGE, on_entries, f);
}
