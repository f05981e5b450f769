/* The tree is small (settings a person wrote) and lives as long as the settings, because integration.config
 * is validated against the spec later and its messages name the source of each value. */
#include "config/settings_tree.h"

#include <stdlib.h>

#include "base/mem.h"
#include "json/yaml.h"

void tree_init(struct tree *t) { *t = (struct tree){.root = {.object = true}}; }

static void free_children(struct tree_node *n)
{
    for (struct tree_node *c = n->child, *next; c; c = next) {
        next = c->next;
        free_children(c);
        free(c->name);
        free(c->text);
        free(c->place);
        free(c);
    }
}

void tree_done(struct tree *t)
{
    free_children(&t->root);
    for (size_t i = 0; i < t->ndocs; i++)
        json_unref(t->docs[i]);
    free(t->docs);
    tree_init(t);
}

void tree_keep(struct tree *t, struct json_doc *d)
{
    t->docs = xrealloc(t->docs, (t->ndocs + 1) * sizeof(*t->docs));
    t->docs[t->ndocs++] = d;
}

struct tree_node *tree_child(const struct tree_node *n, struct str name)
{
    for (struct tree_node *c = n->child; c; c = c->next)
        if (str_is(name, c->name))
            return c;
    return NULL;
}

struct tree_node *tree_find(const struct tree *t, const char *dotted)
{
    const struct tree_node *n = &t->root;
    struct str rest = str_of(dotted);
    while (n && rest.p) {
        struct str name = str_split(rest, '.', &rest);
        n = tree_child(n, name);
    }
    return (struct tree_node *)n;
}

static struct tree_node *add_child(struct tree_node *at, struct str name, const struct tree_origin *o,
                                   struct str pointer)
{
    struct tree_node *c = xcalloc(1, sizeof(*c));
    int line, col;
    c->name = str_dup(name);
    c->parent = at;
    c->from = o->from;
    if (o->marks && yaml_where(o->marks, pointer, &line, &col))
        c->place = xasprintf("%s:%d:%d", o->place, line, col);
    else
        c->place = xstrdup(o->place);
    if (at->last)
        at->last->next = c;
    else
        at->child = c;
    at->last = c;
    return c;
}

struct tree_node *tree_section(struct tree *t, struct tree_node *at, struct str name,
                               const struct tree_origin *o)
{
    struct tree_node *c = tree_child(at, name);
    (void)t;
    if (!c) {
        c = add_child(at, name, o, STR_NULL);
        c->object = true;
    }
    return c->object ? c : NULL;
}

void tree_put_text(struct tree *t, struct tree_node *at, struct str name, const char *text,
                   const struct tree_origin *o)
{
    struct tree_node *c = tree_child(at, name);
    if (!c) {
        c = add_child(at, name, o, STR_NULL);
        c->text = xstrdup(text);
        return;
    }
    struct json_doc *d = NULL;
    if (!c->object || json_parse(str_of(text), &d, NULL) < 0)
        return;
    tree_keep(t, d);
    struct buf pointer;
    buf_init(&pointer, BUF_NO_LIMIT);
    for (struct json_iter it = json_iter(json_root(d)); it.obj && json_next(&it);)
        tree_put_json(t, c, it.key, it.val, o, &pointer);
    buf_done(&pointer);
}

void tree_pointer_step(struct buf *pointer, struct str key)
{
    buf_addc(pointer, '/');
    for (size_t i = 0; i < key.n; i++) {
        if (key.p[i] == '~')
            buf_adds(pointer, "~0");
        else if (key.p[i] == '/')
            buf_adds(pointer, "~1");
        else
            buf_addc(pointer, key.p[i]);
    }
}

void tree_put_json(struct tree *t, struct tree_node *at, struct str name, struct json v,
                   const struct tree_origin *o, struct buf *pointer)
{
    struct tree_node *c = tree_child(at, name);
    if (json_is_nil(v) || (c && !c->object))
        return;
    if (!json_is_obj(v)) {
        if (!c)
            add_child(at, name, o, buf_str(pointer))->json = v;
        return;
    }
    if (!c) {
        c = add_child(at, name, o, buf_str(pointer));
        c->object = true;
    }
    for (struct json_iter it = json_iter(v); json_next(&it);) {
        size_t n = pointer->n;
        tree_pointer_step(pointer, it.key);
        tree_put_json(t, c, it.key, it.val, o, pointer);
        pointer->n = n;
    }
}

void tree_path(struct buf *out, const struct tree_node *n)
{
    if (!n->parent)
        return;
    tree_path(out, n->parent);
    if (out->n)
        buf_addc(out, '.');
    buf_adds(out, n->name);
}

void tree_write(struct jw *w, const struct tree_node *n)
{
    if (n->text) {
        jw_str(w, str_of(n->text));
    } else if (!n->object) {
        jw_json(w, n->json);
    } else {
        jw_obj(w);
        for (const struct tree_node *c = n->child; c; c = c->next) {
            jw_key(w, str_of(c->name));
            tree_write(w, c);
        }
        jw_end_obj(w);
    }
}
