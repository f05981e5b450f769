/* Compiling a resource: the selector, itemsToParse and every leaf of the entity become expressions; the
 * entity becomes a list of fields with the literal text between them, so that mapping an item only evaluates
 * and copies. */
#include "mapping/plan_priv.h"

#include <stdlib.h>

#include "base/mem.h"
#include "json/write.h"

/* Values in a mapping that are expressions: strings, and numbers and booleans by their text (S-21, S-22). */
static struct str expression_text(struct json v)
{
    if (json_is_bool(v))
        return json_is_true(v) ? STR("true") : STR("false");
    return json_is_num(v) ? json_num_text(v) : json_str(v);
}

static size_t count_leaves(struct json v)
{
    size_t n = 0;
    if (!json_is_obj(v) && !json_is_arr(v))
        return 1;
    for (struct json_iter it = json_iter(v); json_next(&it);)
        n += count_leaves(it.val);
    return n;
}

static int add_expr(struct plan *p, struct str text, const char *field)
{
    struct expr *x = &p->exprs[p->nexprs];
    expr_compile(&p->space, text, field, x);
    if (x->how == EXPR_NATIVE && p->items != (int)p->nexprs) /* itemsToParse sees the item, not the element */
        reads_add(p->reads, x->node);
    return (int)p->nexprs++;
}

static const char *join_path(struct plan *p, const char *base, struct str key)
{
    return base[0] ? arena_printf(p->space.arena, "%s.%.*s", base, STR_FMT(key))
                   : arena_printf(p->space.arena, "%.*s", STR_FMT(key));
}

static void compile_shape(struct plan *p, struct json v, const char *path, struct shape *s)
{
    struct arena *a = p->space.arena;
    *s = (struct shape){.kind = SHAPE_LEAF, .expr = -1};
    if (!json_is_obj(v) && !json_is_arr(v)) {
        s->expr = add_expr(p, json_is_null(v) ? STR("null") : expression_text(v), path);
        return;
    }
    s->kind = json_is_obj(v) ? SHAPE_OBJECT : SHAPE_ARRAY;
    s->keys = arena_zalloc(a, (json_len(v) + 1) * sizeof(*s->keys));
    s->kids = arena_zalloc(a, (json_len(v) + 1) * sizeof(*s->kids));
    for (struct json_iter it = json_iter(v); json_next(&it); s->n++) {
        s->keys[s->n] = val_str(arena_str(a, it.key));
        /* Elements of arrays share their array's path: relations.owner.rules.value (S-90). */
        compile_shape(p, it.val, json_is_obj(v) ? join_path(p, path, it.key) : path, &s->kids[s->n]);
    }
}

static void quote_key(struct buf *b, struct str key)
{
    json_quote(b, key);
    buf_addc(b, ':');
}

static struct field *add_field(struct plan *p, enum role role, struct str name, struct json v,
                               const char *path, struct buf *before)
{
    struct field *f = &p->fields[p->nfields++];
    f->role = role;
    f->name = arena_str(p->space.arena, name);
    f->before = arena_str(p->space.arena, buf_str(before));
    f->start = print_start(role, role >= ROLE_PROPERTY ? f->name : STR_NULL);
    compile_shape(p, v, path, &f->shape);
    buf_reset(before);
    return f;
}

static void add_part(struct plan *p, const char *text) { p->parts[p->nparts++] = str_of(text); }

static void compile_members(struct plan *p, struct json obj, enum role role, const char *group,
                            struct buf *before)
{
    bool first = true;
    buf_addc(before, '{');
    for (struct json_iter it = json_iter(obj); json_next(&it); first = false) {
        if (!first)
            buf_addc(before, ',');
        quote_key(before, it.key);
        const char *path = join_path(p, group, it.key);
        add_field(p, role, it.key, it.val, path, before);
        add_part(p, path);
    }
    buf_addc(before, '}');
}

static void compile_entity(struct plan *p, struct json mappings)
{
    static const struct {
        const char *name;
        enum role role;
        bool part;
    } simple[] = {{"identifier", ROLE_IDENTIFIER, false},
                  {"title", ROLE_TITLE, true},
                  {"blueprint", ROLE_BLUEPRINT, false},
                  {"icon", ROLE_ICON, true},
                  {"team", ROLE_TEAM, true}};
    struct buf before;
    buf_init(&before, BUF_NO_LIMIT);
    buf_addc(&before, '{');
    bool first = true;
    for (size_t i = 0; i < ARRAY_LEN(simple); i++) {
        struct json v = json_get(mappings, str_of(simple[i].name));
        if (json_is_nil(v))
            continue;
        if (!first)
            buf_addc(&before, ',');
        first = false;
        quote_key(&before, str_of(simple[i].name));
        add_field(p, simple[i].role, str_of(simple[i].name), v, simple[i].name, &before);
    }
    /* The parts of a lookup in the order of S-96: title, team, icon, properties, relations. */
    static const char *const order[] = {"title", "team", "icon"};
    for (size_t i = 0; i < ARRAY_LEN(order); i++)
        if (!json_is_nil(json_get(mappings, str_of(order[i]))))
            add_part(p, order[i]);
    static const char *const groups[] = {"properties", "relations"};
    for (size_t i = 0; i < 2; i++) {
        struct json v = json_get(mappings, str_of(groups[i]));
        if (!json_is_obj(v))
            continue;
        if (!first)
            buf_addc(&before, ',');
        first = false;
        quote_key(&before, str_of(groups[i]));
        compile_members(p, v, i ? ROLE_RELATION : ROLE_PROPERTY, groups[i], &before);
        *(i ? &p->has_relations : &p->has_properties) = true;
    }
    buf_addc(&before, '}');
    p->after = arena_str(p->space.arena, buf_str(&before));
    buf_done(&before);
}

static void collect_relations(struct plan *p)
{
    p->relations = arena_alloc(p->space.arena, (p->nfields + 1) * sizeof(*p->relations));
    for (size_t i = 0; i < p->nfields; i++)
        if (p->fields[i].role == ROLE_RELATION)
            p->relations[p->nrelations++] = i;
}

static int load_environment(struct plan *p, const struct plan_opts *o, struct err *e)
{
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    struct jw w = jw_on(&b);
    jw_obj(&w);
    for (const char *const *v = o->env_access ? o->env : NULL; v && *v; v++) {
        struct str value, name = str_split(str_of(*v), '=', &value);
        jw_key(&w, name);
        jw_str(&w, value);
    }
    jw_end_obj(&w);
    int rc = json_parse(buf_str(&b), &p->env_doc, e);
    buf_done(&b);
    return rc;
}

static void collect_libjq(struct plan *p)
{
    p->libjq = arena_alloc(p->space.arena, (p->nexprs + 1) * sizeof(*p->libjq));
    for (size_t i = 0; i < p->nexprs; i++) {
        struct expr *x = &p->exprs[i];
        if (x->how != EXPR_LIBJQ || (int)i == p->items)
            continue;
        x->libjq = (int)p->nlibjq;
        p->libjq[p->nlibjq++] = x->used;
    }
}

/* libjq's env is the environment of its process, so hiding it takes a prefix (S-73). */
static void hide_environment(struct plan *p)
{
    for (size_t i = 0; i < p->nexprs; i++) {
        struct expr *x = &p->exprs[i];
        if (x->how == EXPR_LIBJQ)
            x->used =
                str_of(arena_printf(p->space.arena, "def env: {}; {} as $ENV | %.*s", STR_FMT(x->used)));
    }
}

int plan_compile(const struct mapping_resource *r, const struct plan_opts *o, struct plan **ret,
                 struct err *e)
{
    struct plan *p = xcalloc(1, sizeof(*p));
    struct arena *a = p->space.arena = arena_new(0);
    heap_init(&p->space.heap, EV_HEAP_MAX);
    size_t leaves = count_leaves(r->mappings), members = json_len(json_get_c(r->mappings, "properties")) +
                                                         json_len(json_get_c(r->mappings, "relations"));
    p->exprs = arena_zalloc(a, (leaves + 2) * sizeof(*p->exprs));
    p->fields = arena_zalloc(a, (members + 8) * sizeof(*p->fields));
    p->parts = arena_zalloc(a, (members + 8) * sizeof(*p->parts));
    p->jq = o->jq;
    p->items = -1;
    p->reads = reads_new(a);
    p->selector = add_expr(p, r->query, "selector.query");
    if (r->items_to_parse.p) {
        p->items = (int)p->nexprs;
        add_expr(p, r->items_to_parse, "itemsToParse");
        p->items_name = arena_str(a, r->items_to_parse_name);
        p->items_transform = r->items_to_parse_transform;
        if (p->items_transform)
            items_compile(p, r->items_to_parse);
    }
    compile_entity(p, r->mappings);
    reads_seal(p->reads);
    collect_relations(p);
    if (!o->env_access)
        hide_environment(p);
    collect_libjq(p);
    for (size_t i = 0; i < p->nfields; i++) {
        const struct field *f = &p->fields[i];
        const struct expr *x = f->shape.kind == SHAPE_LEAF ? &p->exprs[f->shape.expr] : NULL;
        if (f->role == ROLE_BLUEPRINT && x && x->how == EXPR_CONST && x->value.kind == VAL_STRING)
            p->blueprint = val_text(x->value);
    }
    int rc = load_environment(p, o, e);
    if (rc < 0) {
        plan_free(p);
        return rc;
    }
    *ret = p;
    return 0;
}

void plan_free(struct plan *p)
{
    if (!p)
        return;
    json_unref(p->env_doc);
    heap_done(&p->space.heap);
    arena_free(p->space.arena);
    free(p);
}

static bool is_fatal(const char *field)
{
    return strcmp(field, "selector.query") == 0 || strcmp(field, "identifier") == 0 ||
           strcmp(field, "blueprint") == 0 || strncmp(field, "identifier.", 11) == 0;
}

bool plan_problem(const struct plan *p, size_t i, struct plan_problem *ret)
{
    for (size_t k = 0; k < p->nexprs; k++) {
        const struct expr *x = &p->exprs[k];
        if (x->how != EXPR_BROKEN || i--)
            continue;
        *ret = (struct plan_problem){x->field, x->text, x->why, is_fatal(x->field)};
        return true;
    }
    return false;
}

struct str plan_blueprint(const struct plan *p) { return p->blueprint; }

size_t plan_parts(const struct plan *p, const struct str **ret)
{
    *ret = p->parts;
    return p->nparts;
}
