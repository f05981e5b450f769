/* The fingerprint of what Port answers is compared with the one the mapper made: no entity is parsed for the common
 * case. Only where they differ are both compared part by part, because a property the blueprint does not define must
 * not make an entity look changed in every run (S-100).
 *
 * An item whose key is already on its way to Port is sent whatever a lookup says: the lookup may have seen the state
 * from before that write. */
#define LOG_GROUP "sync.diff"
#include "sync/diff.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/strmap.h"
#include "mapping/entity.h"
#include "sync/event.h"
#include "json/compare.h"

#define LARGE_BATCH_GROUPS 4

bool diff_wanted(const struct mapped_entity *e, size_t n, size_t passed_so_far)
{
    if (n == 0 || passed_so_far <= DIFF_MINIMUM)
        return false;
    for (size_t i = 0; i < n; i++)
        if (e[i].flags & (ENTITY_SEARCH_IDENTIFIER | ENTITY_SEARCH_OTHER))
            return false;
    return true;
}

size_t diff_items(const struct mapped_entity *e, size_t n, bool drop_duplicates, struct diff_item *items)
{
    size_t used = 0, mask = 63;
    while (mask < 2 * n)
        mask = mask * 2 + 1;
    size_t *table = drop_duplicates ? xcalloc(mask + 1, sizeof(*table)) : NULL; /* position of the item + 1 */
    for (size_t i = 0; i < n; i++) {
        size_t at = used;
        if (table) {
            size_t h = e[i].key.a & mask;
            while (table[h] && !key128_eq(items[table[h] - 1].e->key, e[i].key))
                h = (h + 1) & mask;
            if (table[h])
                at = table[h] - 1;
            else
                table[h] = at + 1;
        }
        items[at] = (struct diff_item){.e = &e[i], .send = true};
        used += at == used;
    }
    free(table);
    return used;
}

size_t diff_groups(const struct diff_item *items, size_t n, size_t *order, size_t *ends)
{
    size_t groups = 0, placed = 0;
    bool *taken = xcalloc(n ? n : 1, sizeof(*taken));
    for (size_t first = 0; first < n; first++) {
        if (taken[first])
            continue;
        size_t begin = placed;
        for (size_t i = first; i < n; i++) {
            if (taken[i] || !str_eq(items[i].e->blueprint, items[first].e->blueprint))
                continue;
            if (placed - begin == DIFF_GROUP) {
                ends[groups++] = placed;
                begin = placed;
            }
            taken[i] = true;
            order[placed++] = i;
        }
        ends[groups++] = placed;
    }
    free(taken);
    return groups;
}

/* Comparison part by part ------------------------------------------------------------------------------------------ */

static bool is_defined(void *arg, struct str property) { return schema_defines(arg, property); }

static void warn_undefined(void *arg, struct str property)
{
    struct schema *s = arg;
    if (!s)
        return;
    if (!s->warned)
        s->warned = strmap_new(NULL);
    if (strmap_has(s->warned, property))
        return;
    strmap_put(s->warned, property, s);
    log_warn(
        "blueprint '%s' does not define the property '%.*s' that the mapping fills: add it to the blueprint or take "
        "it out of the mapping; Port does not keep its value",
        s->name, STR_FMT(property));
}

static bool differs(const struct mapped_entity *ours, struct json theirs, struct schema *schema)
{
    struct json_doc *doc;
    struct err e;
    if (json_parse(ours->text, &doc, &e) < 0)
        return true;
    struct buf parts;
    buf_init(&parts, 4096);
    size_t n = entity_diff(json_root(doc), theirs, is_defined, schema, warn_undefined, &parts);
    if (n)
        log_debug("entity '%.*s' of blueprint '%.*s' changed: %s", STR_FMT(ours->identifier), STR_FMT(ours->blueprint),
                  buf_cstr(&parts));
    buf_done(&parts);
    json_unref(doc);
    return n > 0;
}

void diff_answer(struct diff_item *items, const size_t *order, size_t n, struct json answer, struct schema *schema)
{
    struct buf identifier;
    buf_init(&identifier, BUF_NO_LIMIT);
    for (struct json_iter it = json_iter(answer); json_next(&it);) {
        buf_reset(&identifier);
        struct json id = json_get_c(it.val, "identifier");
        if (json_is_nil(id) || json_identifier_text(&identifier, id) < 0)
            continue;
        struct key128 key = key128_entity(json_str(json_get_c(it.val, "blueprint")), buf_str(&identifier));
        for (size_t i = 0; i < n; i++) {
            struct diff_item *item = &items[order[i]];
            if (!item->send || item->dirty || !key128_eq(item->e->key, key))
                continue;
            if (item->keep && !item->found.v) {
                json_ref(it.val.doc);
                item->found = it.val;
            }
            if (key128_eq(entity_fingerprint(it.val), item->e->print) || !differs(item->e, it.val, schema))
                item->send = false;
            break;
        }
    }
    buf_done(&identifier);
}

/* Lookups ---------------------------------------------------------------------------------------------------------- */

struct group { /* one request */
    struct lookup *lookup;
    size_t index;
};
struct lookup {
    struct run *run;
    struct diff_item *items;
    size_t n;
    const struct str *parts;
    size_t nparts;
    size_t *order, *ends, ngroups, next, in_flight;
    struct group *groups;
    bool failed;
    void (*done)(void *arg);
    void *arg;
};

static void end_lookup(struct lookup *l)
{
    void (*done)(void *) = l->done;
    void *arg = l->arg;
    for (size_t i = 0; i < l->n && l->failed; i++)
        l->items[i].send = l->items[i].failed = true;
    free(l->order);
    free(l->ends);
    free(l->groups);
    free(l);
    done(arg);
}

static void next_groups(struct lookup *l);

static size_t group_begin(const struct lookup *l, size_t g) { return g ? l->ends[g - 1] : 0; }

static void on_answer(void *arg, struct json entities, const struct err *e)
{
    struct lookup *l = ((struct group *)arg)->lookup;
    size_t g = ((struct group *)arg)->index, begin = group_begin(l, g);
    struct str blueprint = l->items[l->order[begin]].e->blueprint;
    l->in_flight--;
    if (e && !l->failed) {
        l->failed = true;
        if (!l->run->preview)
            log_warn("cannot compare with Port, so %zu entities are written without: %s", l->n, e->msg);
        else
            log_error("cannot compare %zu entities with Port: %s", l->n, e->msg);
    }
    if (!l->failed)
        diff_answer(l->items, l->order + begin, l->ends[g] - begin, entities, schemas_find(l->run->schemas, blueprint));
    next_groups(l);
}

static void send_group(struct lookup *l, size_t g)
{
    struct str identifiers[DIFF_GROUP];
    size_t begin = group_begin(l, g), n = l->ends[g] - begin;
    for (size_t i = 0; i < n; i++)
        identifiers[i] = l->items[l->order[begin + i]].e->identifier;
    l->groups[g] = (struct group){l, g};
    l->in_flight++;
    port_lookup(l->run->engine->port, l->items[l->order[begin]].e->blueprint, identifiers, n, l->parts, l->nparts,
                l->run->write.feature, on_answer, &l->groups[g]);
}

/* One after another (S-96), as pages overlap anyway; a handler that gives everything as one list would wait for as many
 * round trips as it has groups, so those of a large batch go out side by side. */
static void next_groups(struct lookup *l)
{
    size_t limit = l->ngroups > LARGE_BATCH_GROUPS ? LARGE_BATCH_GROUPS : 1;
    while (l->next < l->ngroups && l->in_flight < limit && !l->failed && !l->run->event->aborted)
        send_group(l, l->next++);
    if (l->in_flight == 0)
        end_lookup(l);
}

static void on_schemas(void *arg) { next_groups(arg); }

void diff_lookup(struct run *run, struct diff_item *items, size_t n, const struct str *parts, size_t nparts,
                 void (*done)(void *arg), void *arg)
{
    struct lookup *l = xcalloc(1, sizeof(*l));
    *l =
        (struct lookup){.run = run, .items = items, .n = n, .parts = parts, .nparts = nparts, .done = done, .arg = arg};
    l->order = xcalloc(n ? n : 1, sizeof(*l->order));
    l->ends = xcalloc(n ? n : 1, sizeof(*l->ends));
    l->ngroups = diff_groups(items, n, l->order, l->ends);
    l->groups = xcalloc(l->ngroups + 1, sizeof(*l->groups));
    struct str *names = xcalloc(l->ngroups + 1, sizeof(*names));
    for (size_t g = 0; g < l->ngroups; g++)
        names[g] = items[l->order[l->ends[g] - 1]].e->blueprint;
    schemas_read(run->schemas, names, l->ngroups, on_schemas, l);
    free(names);
}
