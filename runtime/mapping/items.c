/* itemsToParse (sync S-63 to S-70). The parent is copied once, one level deep and without the expanded array;
 * each element then only changes the one member that holds it. The path to take out comes from the
 * expression's text, not from its meaning, as the original's does (S-67). */
#include "mapping/plan_priv.h"

static bool word_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (unsigned char)c >= 0x80;
}

static struct str trim(struct str s) { return str_trim(s); }

/* Length of one step: ".word", ".[...]", or "[...]" where `first` is false. 0: there is none. */
static size_t step_length(struct str s, bool first)
{
    size_t i = 0;
    if (s.n && s.p[0] == '.') {
        i = 1;
        if (i < s.n && word_char(s.p[i])) {
            while (i < s.n && word_char(s.p[i]))
                i++;
            return i;
        }
    } else if (first) {
        return 0;
    }
    if (i >= s.n || s.p[i] != '[')
        return 0;
    const char *close = memchr(s.p + i, ']', s.n - i);
    if (!close || close == s.p + i + 1) /* "[]" iterates: it ends the path before it */
        return 0;
    return (size_t)(close - s.p) + 1;
}

/* One segment between pipes; true if it begins with a path. */
static bool segment_path(struct str seg, struct str *ret)
{
    seg = trim(seg);
    if (str_is(seg, ".") || !seg.n || seg.p[0] == '$')
        return false;
    size_t n = step_length(seg, true), total = 0;
    while (n) {
        total += n;
        n = step_length((struct str){seg.p + total, seg.n - total}, false);
    }
    *ret = (struct str){seg.p, total};
    return total > 0;
}

static bool derive_path(struct str expr, struct str *ret)
{
    expr = trim(expr);
    if (expr.n && expr.p[0] == '(') {
        const char *close = memchr(expr.p, ')', expr.n);
        if (!close)
            return false;
        expr = (struct str){expr.p + 1, (size_t)(close - expr.p) - 1};
    }
    for (struct str rest = expr; rest.p;) {
        struct str seg = str_split(rest, '|', &rest);
        if (segment_path(seg, ret))
            return true;
    }
    return false;
}

/* The path's steps, read by the jq parser: constants only, else there is no path. */
void items_compile(struct plan *p, struct str expr)
{
    struct str path;
    const char *message;
    struct arena *a = p->space.arena;
    if (!derive_path(expr, &path))
        return;
    struct node *n = ast_parse(a, &p->space.heap, arena_str(a, path), &message);
    size_t count = 0;
    for (const struct node *x = n; x && x->kind != N_IDENTITY; x = x->a, count++)
        if (x->kind != N_INDEX && x->kind != N_SLICE)
            return;
    if (!n)
        return;
    p->items_path = arena_alloc(a, (count + 1) * sizeof(*p->items_path));
    for (const struct node *x = n; x->kind == N_INDEX; x = x->a) {
        const struct node *key = x->b;
        bool negative = key->kind == N_NEG && key->a->kind == N_CONST && key->a->v.kind == VAL_NUMBER;
        if (key->kind != N_CONST && !negative)
            return;
        p->items_path[--count] = negative ? val_num(-val_double(key->a->v)) : key->v;
        p->items_path_n++;
    }
    if (count)
        p->items_path_n = 0; /* a slice on the way */
}

/* The parent as every element sees it, with a last member for the element. */
static bool make_parent(struct mapper *m, struct val item, struct val *ret)
{
    const struct plan *p = m->plan;
    struct val v = item;
    struct heap *h = &m->heap;
    if (p->items_transform && p->items_path_n) {
        struct val path = val_array(h, p->items_path_n), paths = val_array(h, 1), without;
        for (size_t i = 0; i < p->items_path_n; i++)
            path = val_push(h, path, p->items_path[i]);
        paths = val_push(h, paths, path);
        m->ev.stack_end = (char *)__builtin_frame_address(0) - 65536;
        if (access_delete(&m->ev, item, paths, &without) == EV_OK && without.kind == VAL_OBJECT)
            v = without; /* where deleting fails nothing is taken out (S-68) */
    }
    *ret = v.kind == VAL_OBJECT ? val_set(h, v, val_str(p->items_name), VNULL) : VNULL;
    return ret->kind == VAL_OBJECT;
}

static bool item_error(struct mapper *m, const char *what, bool budget)
{
    mapper_note(m, "itemsToParse `%s` failed for item %u: %s", m->plan->exprs[m->plan->items].text, m->item,
                what);
    if (budget)
        m->batch->budget_errors++;
    else
        m->batch->expand_errors++;
    return false;
}

static struct val *element_slot(const struct plan *p, struct val parent)
{
    for (uint32_t i = 0; i < parent.n; i++)
        if (str_eq(val_text(parent.obj->m[i].key), p->items_name))
            return &parent.obj->m[i].v;
    return NULL;
}

bool items_each(struct mapper *m, struct val item, int (*fn)(struct mapper *m, struct val element))
{
    const struct plan *p = m->plan;
    if (p->items < 0) {
        fn(m, item);
        return true;
    }
    const char *error;
    struct val list, parent;
    enum ev_first r = mapper_eval(m, p->items, item, &list, &error);
    if (r == FIRST_ERROR || r == FIRST_FATAL)
        return item_error(m, error ? error : "unknown error", r == FIRST_FATAL);
    if (r == FIRST_EMPTY || list.kind != VAL_ARRAY) { /* no elements, and a warning (S-64) */
        bool null = r == FIRST_EMPTY || list.kind == VAL_NULL;
        if (!m->inputs)
            misconfig_null(m, p->items, item, null ? NULL : arena_printf(m->batch->arena, "it gave %s, not an array",
                                                                        val_kind_name(list.kind)));
        return true;
    }
    if (!make_parent(m, item, &parent))
        return m->heap.full ? item_error(m, "the item is too large", true) : true;
    struct val *slot = element_slot(p, parent);
    for (struct val_iter it = val_iter(&m->heap, list); slot && val_next(&it);) {
        uint32_t epoch = m->heap.epoch;
        struct heap_mark mark = heap_mark(&m->heap);
        m->heap.epoch =
            ++m->heap.last_epoch; /* what the element builds never grows into what all of them share */
        m->ev.steps = EV_STEPS_MAX;
        m->ev.search_ns = 0;
        *slot = it.v;
        fn(m, parent);
        m->heap.epoch = epoch;
        m->heap.full = m->heap.too_deep = false;
        heap_release(&m->heap, mark);
    }
    return true;
}
