/* From an element to its entity (sync S-81 to S-94): all leaves are evaluated, coerced where Port is strict,
 * and written in the mapping's order; the fingerprint takes properties and relations in the order of their
 * names. */
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

/* Fingerprint
 * ------------------------------------------------------------------------------------------------------ */

static void hash_team(struct hash128 *hash, struct heap *h, struct val team)
{
    struct key128 sum = {0, 0};
    uint64_t n = 0;
    if (team.kind == VAL_OBJECT || team.kind == VAL_NUMBER || team.kind == VAL_TRUE ||
        team.kind == VAL_FALSE) {
        hash128_add(hash, "o", 1);
        val_hash(hash, h, team);
        return;
    }
    /* A list whose order does not matter: the sum of its elements' hashes. A string is a list of one, null of
     * none. */
    struct val one = val_array(h, 1);
    if (team.kind == VAL_STRING)
        team = val_push(h, one, team);
    struct val_iter it = {0};
    if (team.kind == VAL_ARRAY)
        it = val_iter(h, team);
    while (val_next(&it)) {
        struct hash128 e;
        hash128_init(&e);
        val_hash(&e, h, it.v);
        struct key128 k = hash128_end(&e);
        sum.a += k.a;
        sum.b += k.b;
        n++;
    }
    hash128_add(hash, "l", 1);
    hash128_add(hash, &n, sizeof(n));
    hash128_add(hash, &sum, sizeof(sum));
}

static void hash_members(struct hash128 *hash, struct heap *h, const struct member *m, size_t n)
{
    hash128_add(hash, "{", 1);
    for (size_t i = 0; i < n; i++) {
        if (m[i].v.kind == VAL_NULL ||
            (m[i].v.kind == VAL_NUMBER && m[i].v.rep == REP_PLAIN && isnan(m[i].v.d)))
            continue; /* nan is written as null */
        hash128_add_str(hash, val_text(m[i].key));
        val_hash(hash, h, m[i].v);
    }
    hash128_add(hash, "}", 1);
}

struct key128 entity_print(struct heap *h, struct val title, struct val icon, struct val team,
                           const struct member *props, size_t nprops, const struct member *rels, size_t nrels)
{
    struct hash128 hash;
    hash128_init(&hash);
    val_hash(&hash, h, title);
    val_hash(&hash, h, icon);
    hash_team(&hash, h, team);
    hash_members(&hash, h, props, nprops);
    hash_members(&hash, h, rels, nrels);
    return hash128_end(&hash);
}

static struct val part_of(struct json entity, const char *name)
{
    struct json v = json_get(entity, str_of(name));
    return v.v ? val_of_doc(v.v) : VNULL;
}

struct key128 entity_fingerprint(struct json entity)
{
    struct heap h;
    heap_init(&h, SIZE_MAX / 2);
    struct val props = part_of(entity, "properties"), rels = part_of(entity, "relations");
    size_t np = 0, nr = 0;
    struct member *p = props.kind == VAL_OBJECT ? val_sorted(&h, props, &np) : NULL;
    struct member *r = rels.kind == VAL_OBJECT ? val_sorted(&h, rels, &nr) : NULL;
    struct key128 k = entity_print(&h, part_of(entity, "title"), part_of(entity, "icon"),
                                   part_of(entity, "team"), p, np, r, nr);
    heap_done(&h);
    return k;
}

bool entity_is_query(struct json v)
{
    return json_is_obj(v) && json_get_c(v, "combinator").v && json_get_c(v, "rules").v;
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
    if (v.kind == VAL_NULL || value_is_query(v))
        return;
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    write_normal(&m->heap, &b, v);
    t[(*n)++] = (struct entity_target){relation, arena_str(m->batch->arena, buf_str(&b))};
    buf_done(&b);
}

static void collect_targets(struct mapper *m, struct entity_slot *s, const struct val *values)
{
    const struct plan *p = m->plan;
    size_t max = 0, n = 0;
    for (size_t i = 0; i < p->nrelations; i++) {
        struct val v = values[p->by_name[p->nproperties + i]];
        max += v.kind == VAL_ARRAY ? val_len(&m->heap, v) : v.kind != VAL_NULL;
    }
    if (!max)
        return;
    struct entity_target *t = arena_alloc(m->batch->arena, max * sizeof(*t));
    for (size_t i = 0; i < p->nrelations; i++) {
        size_t at = p->by_name[p->nproperties + i];
        struct val v = values[at];
        struct str name = arena_str(m->batch->arena, p->fields[at].name);
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

static void print_values(struct mapper *m, struct entity_slot *s, const struct build *b,
                         const struct val *values)
{
    const struct plan *p = m->plan;
    size_t n = p->nproperties + p->nrelations;
    struct member *sorted = m->sorted;
    for (size_t i = 0; i < n; i++)
        sorted[i] = (struct member){val_str(p->fields[p->by_name[i]].name), values[p->by_name[i]]};
    s->e.print = entity_print(&m->heap, b->title, b->icon, b->team, sorted, p->nproperties,
                              sorted + p->nproperties, p->nrelations);
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
        other = any_query(&m->heap, values[p->by_name[p->nproperties + i]]);
    s->e.flags |= other ? ENTITY_SEARCH_OTHER : 0u;
    s->e.key = key128_entity((struct str){m->text.p + s->blueprint, s->blueprint_n},
                             (struct str){m->text.p + s->identifier, s->identifier_n});
    print_values(m, s, b, values);
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
