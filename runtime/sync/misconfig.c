/* The original writes one record per field and batch. A field that is null in every page would then fill the log, so
 * the first batch gets the full record and the end of the resource a line with the sum. */
#define LOG_GROUP "sync.mapping"
#include "sync/misconfig.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/strmap.h"

struct field {
    size_t first, count;
};
struct misconfig_log {
    struct str kind;
    int index;
    struct strmap *fields;
};

struct misconfig_log *misconfig_log_new(struct str kind, int index)
{
    struct misconfig_log *l = xcalloc(1, sizeof(*l));
    l->kind = kind;
    l->index = index;
    l->fields = strmap_new(free);
    return l;
}

static void log_field(const struct misconfig_log *l, const struct misconfig *m, bool required)
{
    struct buf more;
    buf_init(&more, 4096);
    if (m->error)
        buf_addf(&more, "; %s", m->error);
    if (m->hint)
        buf_addf(&more, "; did you mean '%s'?", m->hint);
    if (m->excerpt.n)
        buf_addf(&more, "; item: %.*s", STR_FMT(m->excerpt));
    if (!strcmp(m->field, "itemsToParse"))
        log_warn("kind=%.*s-%d itemsToParse gave no array for %zu item%s, which are dropped: its expression is %s%s",
                 STR_FMT(l->kind), l->index, m->count, m->count == 1 ? "" : "s", m->expr, buf_cstr(&more));
    else
        log_at(required ? LOG_ERROR : LOG_WARN,
               "kind=%.*s-%d field %s is null for %zu item%s%s: its expression is %s%s", STR_FMT(l->kind), l->index,
               m->field, m->count, m->count == 1 ? "" : "s", required ? " although the blueprint requires it" : "",
               m->expr, buf_cstr(&more));
    buf_done(&more);
}

void misconfig_note(struct misconfig_log *l, const struct misconfig *m, size_t n, const struct schema *schema)
{
    for (size_t i = 0; i < n; i++) {
        struct field *f = strmap_get(l->fields, str_of(m[i].field));
        if (!f) {
            f = xcalloc(1, sizeof(*f));
            f->first = m[i].count;
            strmap_put(l->fields, str_of(m[i].field), f);
            log_field(l, &m[i], schema_requires(schema, str_of(m[i].field)));
        }
        f->count += m[i].count;
    }
}

void misconfig_log_end(struct misconfig_log *l)
{
    if (!l)
        return;
    struct str name;
    void *value;
    for (size_t at = strmap_next(l->fields, 0, &name, &value); at; at = strmap_next(l->fields, at, &name, &value)) {
        const struct field *f = value;
        if (f->count > f->first)
            log_warn("kind=%.*s-%d field %.*s was null for %zu items in all", STR_FMT(l->kind), l->index, STR_FMT(name),
                     f->count);
    }
    strmap_free(l->fields);
    free(l);
}
