/* From an element to its entity (sync S-81 to S-94): all leaves are evaluated, coerced where Port is strict,
 * and written in the mapping's order. What makes entities equal is in entity_print.c. */
#include "mapping/entity.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "mapping/plan_priv.h"

bool value_is_query(struct val v)
{
    struct val x;
    return v.kind == VAL_OBJECT && val_find(v, STR("combinator"), &x) && val_find(v, STR("rules"), &x);
}

static bool any_query(struct heap *h, struct val v)
{
    if (v.kind != VAL_ARRAY)
        return value_is_query(v);
    for (struct val_iter it = val_iter(h, v); val_next(&it);)
        if (value_is_query(it.v))
            return true;
    return false;
}

/* Building
 * ---------------------------------------------------------------------------------------------------------
 */

struct build {
    struct val identifier, blueprint, title, icon, team;
    const char *fatal; /* an expression went over its budget: why */
    const struct expr *culprit;
};

static struct val leaf(struct mapper *m, int i, struct val element, bool failed, struct build *b)
{
    const char *error;
    struct val v = VNULL;
    enum ev_first r = mapper_eval(m, i, element, &v, &error);
    if (r == FIRST_VALUE && v.kind == VAL_NUMBER && v.rep == REP_PLAIN && isnan(v.d))
        v = VNULL;
    if (r == FIRST_FATAL) {
        b->fatal = error;
        b->culprit = &m->plan->exprs[i];
    }
    if (r != FIRST_VALUE)
        v = VNULL;
    if (v.kind == VAL_NULL && !failed && r != FIRST_FATAL)
        misconfig_null(m, i, element, error);
    return v;
}

static struct val build_shape(struct mapper *m, const struct shape *s, struct val element, bool failed,
                              struct build *b)
{
    if (s->kind == SHAPE_LEAF)
        return leaf(m, s->expr, element, failed, b);
    struct val v = s->kind == SHAPE_OBJECT ? val_object(&m->heap, s->n) : val_array(&m->heap, s->n);
    for (size_t i = 0; i < s->n && !b->fatal && !m->heap.full; i++) {
        struct val kid = build_shape(m, &s->kids[i], element, failed, b);
        v = s->kind == SHAPE_OBJECT ? val_set(&m->heap, v, s->keys[i], kid) : val_push(&m->heap, v, kid);
    }
    if (m->heap.full)
        b->fatal = ev_fatal_text(FATAL_MEMORY);
    return v;
}

/* Icon and team as Port takes them (S-85): numbers become text, what does not fit null. */
static struct val coerce(struct mapper *m, const struct field *f, struct val v, struct val element,
                         bool failed)
{
    bool team = f->role == ROLE_TEAM;
    if (v.kind == VAL_NULL || v.kind == VAL_STRING || (team && v.kind >= VAL_ARRAY))
        return v;
    if (v.kind == VAL_NUMBER)
        return val_json(&m->heap, v);
    if (!failed && f->shape.kind == SHAPE_LEAF)
        misconfig_null(m, f->shape.expr, element,
                       team ? "a team must be a string, a list, a search query or null"
                            : "an icon must be a string or null");
    return VNULL;
}

static bool falsy(struct val v)
{
    switch (v.kind) {
    case VAL_NULL:
    case VAL_FALSE: return true;
    case VAL_NUMBER: return val_double(v) == 0;
    case VAL_STRING: return v.n == 0;
    case VAL_ARRAY:
    case VAL_OBJECT: return v.rep == REP_BUILT ? v.n == 0 : unsafe_yyjson_get_len(v.doc) == 0;
    default: return false;
    }
}

/* Canonical text: keys sorted at every level. */
static void write_sorted(struct heap *h, struct buf *out, struct val v)
{
    if (v.kind < VAL_ARRAY) {
        val_write(h, out, v);
        return;
    }
    bool first = true;
    buf_addc(out, v.kind == VAL_ARRAY ? '[' : '{');
    if (v.kind == VAL_ARRAY) {
        for (struct val_iter it = val_iter(h, v); val_next(&it); first = false) {
            if (!first)
                buf_addc(out, ',');
            write_sorted(h, out, it.v);
        }
    } else {
        size_t n;
        struct member *k = val_sorted(h, v, &n);
        for (size_t i = 0; i < n; i++) {
            if (i)
                buf_addc(out, ',');
            val_write_string(out, val_text(k[i].key));
            buf_addc(out, ':');
            write_sorted(h, out, k[i].v);
        }
    }
    buf_addc(out, v.kind == VAL_ARRAY ? ']' : '}');
}

static void write_normal(struct heap *h, struct buf *out, struct val v)
{
    if (v.kind == VAL_STRING)
        buf_add(out, v.s, v.n);
    else
        write_sorted(h, out, v);
}

static void add_target(struct mapper *m, struct entity_target *t, size_t *n, struct str relation,
                       struct val v)
{
    struct str text = val_text(v);
    struct buf b;
    if (v.kind == VAL_NULL || value_is_query(v))
        return;
    if (v.kind == VAL_STRING) {
        t[(*n)++] = (struct entity_target){relation, arena_str(m->batch->arena, text)};
        return;
    }
    buf_init(&b, BUF_NO_LIMIT);
    write_sorted(&m->heap, &b, v);
    t[(*n)++] = (struct entity_target){relation, arena_str(m->batch->arena, buf_str(&b))};
    buf_done(&b);
}

/* A relation's name as the batch owns it, which may outlive the plan. */
static struct str relation_name(struct mapper *m, size_t field)
{
    if (!m->names[field].p)
        m->names[field] = arena_str(m->batch->arena, m->plan->fields[field].name);
    return m->names[field];
}

static void collect_targets(struct mapper *m, struct entity_slot *s, const struct val *values)
{
    const struct plan *p = m->plan;
    size_t max = 0, n = 0;
    for (size_t i = 0; i < p->nrelations; i++) {
        struct val v = values[p->relations[i]];
        max += v.kind == VAL_ARRAY ? val_len(&m->heap, v) : v.kind != VAL_NULL;
    }
    if (!max)
        return;
    struct entity_target *t = arena_alloc(m->batch->arena, max * sizeof(*t));
    for (size_t i = 0; i < p->nrelations; i++) {
        size_t at = p->relations[i];
        struct val v = values[at];
        struct str name = relation_name(m, at);
        if (v.kind != VAL_ARRAY) {
            add_target(m, t, &n, name, v);
            continue;
        }
        for (struct val_iter it = val_iter(&m->heap, v); val_next(&it);)
            add_target(m, t, &n, name, it.v);
    }
    s->e.targets = t;
    s->e.ntargets = n;
}

static struct entity_slot *new_slot(struct mapper *m)
{
    if (m->nslots == m->cap_slots) {
        m->cap_slots = m->cap_slots ? m->cap_slots * 2 : json_len(m->items) + 8;
        m->slots = xrealloc(m->slots, m->cap_slots * sizeof(*m->slots));
    }
    struct entity_slot *s = &m->slots[m->nslots];
    *s = (struct entity_slot){.e.item = m->item};
    return s;
}

static size_t write_part(struct mapper *m, size_t *at, struct val v)
{
    *at = m->text.n;
    write_normal(&m->heap, &m->text, v);
    return m->text.n - *at;
}

/* Which parts count is fingerprint's to say: identifier and blueprint do not, they are the key. */
static struct key128 print_values(struct mapper *m, const struct val *values)
{
    struct key128 print = {0, 0};
    for (size_t i = 0; i < m->plan->nfields; i++) {
        const struct field *f = &m->plan->fields[i];
        if (f->role != ROLE_IDENTIFIER && f->role != ROLE_BLUEPRINT)
            print_add(&print, f->start, f->role, &m->heap, values[i]);
    }
    return print;
}

static int over_budget(struct mapper *m, const char *field, const char *text, const char *why)
{
    mapper_note(m, "%s `%s` was given up for item %u: %s", field, text, m->item, why);
    m->batch->budget_errors++;
    m->batch->unmappable++;
    return -1;
}

/* Writes and registers the entity; the text is taken back when it is too large. */
static int finish(struct mapper *m, const struct build *b, const struct val *values, bool failed)
{
    const struct plan *p = m->plan;
    struct entity_slot *s = new_slot(m);
    s->text = m->text.n;
    for (size_t i = 0; i < p->nfields; i++) {
        buf_add(&m->text, p->fields[i].before.p, p->fields[i].before.n);
        val_write(&m->heap, &m->text, values[i]);
        if (m->text.n - s->text > ENTITY_MAX)
            break;
    }
    buf_add(&m->text, p->after.p, p->after.n);
    s->text_n = m->text.n - s->text;
    if (s->text_n > ENTITY_MAX) {
        m->text.n = s->text;
        return over_budget(m, "the entity", "", "it is larger than 4 MiB");
    }
    s->failed = failed;
    s->blueprint_n = write_part(m, &s->blueprint, b->blueprint);
    s->identifier_n = write_part(m, &s->identifier, b->identifier);
    if (value_is_query(b->identifier))
        s->e.flags |= ENTITY_SEARCH_IDENTIFIER;
    bool other = any_query(&m->heap, b->team);
    for (size_t i = 0; i < p->nrelations && !other; i++)
        other = any_query(&m->heap, values[p->relations[i]]);
    s->e.flags |= other ? ENTITY_SEARCH_OTHER : 0u;
    s->e.key = key128_entity((struct str){m->text.p + s->blueprint, s->blueprint_n},
                             (struct str){m->text.p + s->identifier, s->identifier_n});
    s->e.print = print_values(m, values);
    collect_targets(m, s, values);
    m->nslots++;
    return 0;
}

int entity_build(struct mapper *m, struct val element, bool failed)
{
    const struct plan *p = m->plan;
    struct val *values = m->values;
    struct build b = {VNULL, VNULL, VNULL, VNULL, VNULL, NULL, NULL};
    int rc;
    for (size_t i = 0; i < p->nfields && !b.fatal; i++) {
        const struct field *f = &p->fields[i];
        struct val v = build_shape(m, &f->shape, element, failed, &b);
        switch (f->role) {
        case ROLE_IDENTIFIER: b.identifier = v; break;
        case ROLE_BLUEPRINT: b.blueprint = v; break;
        case ROLE_TITLE: b.title = v; break;
        case ROLE_ICON: b.icon = v = coerce(m, f, v, element, failed); break;
        case ROLE_TEAM: b.team = v = coerce(m, f, v, element, failed); break;
        default: break;
        }
        values[i] = v;
    }
    if (b.fatal) {
        rc = over_budget(m, b.culprit ? b.culprit->field : "a field", b.culprit ? b.culprit->text : "",
                         b.fatal);
    } else if (falsy(b.identifier) || falsy(b.blueprint)) {
        m->batch->unmappable += !failed;
        rc = -1;
    } else {
        rc = finish(m, &b, values, failed);
    }
    return rc;
}
