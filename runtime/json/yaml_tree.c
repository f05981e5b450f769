/* libyaml's events into nodes. libyaml's own document loader is not used: it hides whether a tag was written, and
 * counts positions in characters, which cannot be looked up in bytes. The loop keeps a stack of the open containers. */
#include "json/yaml_tree.h"

#include <yaml.h>

#include "base/strmap.h"

struct build {
    yaml_parser_t parser;
    struct str text;
    const char *name;
    struct arena *arena;
    struct strmap *anchors;
    struct yaml_node *root;
    struct yaml_node *stack[YAML_MAX_DEPTH];
    size_t depth;
    int documents;
    struct err *e;
};

static int fail_at(struct build *b, const yaml_mark_t *m, const char *what, const char *which)
{
    return ERR(b->e, ERR_PARSE, "%s:%zu:%zu: %s%.80s", b->name, m->line + 1, m->column + 1, what, which);
}

/* The reader knows the byte of what it refuses (not UTF-8, control characters), but not its line. */
static int reader_error(struct build *b)
{
    const yaml_parser_t *p = &b->parser;
    size_t line = 1, col = 1, at = p->problem_offset < b->text.n ? p->problem_offset : b->text.n;
    for (size_t i = 0; i < at; i++) {
        line += b->text.p[i] == '\n';
        col = b->text.p[i] == '\n' ? 1 : col + (((unsigned char)b->text.p[i] & 0xC0) != 0x80);
    }
    return ERR(b->e, ERR_PARSE, "%s:%zu:%zu: %s (byte 0x%02X)", b->name, line, col,
               p->problem ? p->problem : "not text", p->problem_value < 0 ? 0 : (unsigned)p->problem_value);
}

static int parser_error(struct build *b)
{
    const yaml_parser_t *p = &b->parser;
    if (p->error == YAML_READER_ERROR)
        return reader_error(b);
    if (p->error == YAML_MEMORY_ERROR)
        return ERR(b->e, ERR_TOO_BIG, "%s: out of memory", b->name);
    const char *problem = p->problem ? p->problem : "not YAML";
    bool token = strstr(problem, "cannot start any token") != NULL;
    return ERR(b->e, ERR_PARSE, "%s:%zu:%zu: %s%s%s%s", b->name, p->problem_mark.line + 1, p->problem_mark.column + 1,
               problem, p->context ? ", " : "", p->context ? p->context : "",
               token ? " (indent with spaces, not tabs; quote text that begins with @, ` or %)" : "");
}

static struct yaml_node *node_new(struct build *b, enum yaml_node_type type, const yaml_mark_t *m,
                                  const yaml_char_t *tag)
{
    struct yaml_node *n = arena_zalloc(b->arena, sizeof(*n));
    n->type = type;
    n->line = m->line < INT32_MAX ? (int)m->line + 1 : INT32_MAX;
    n->col = m->column < INT32_MAX ? (int)m->column + 1 : INT32_MAX;
    n->tag = tag ? arena_str(b->arena, str_of((const char *)tag)) : STR_NULL;
    return n;
}

static void add_item(struct build *b, struct yaml_node *parent, struct yaml_node *n)
{
    if (parent->n == parent->cap) {
        size_t cap = parent->cap ? 2 * parent->cap : 4;
        struct yaml_node **items = arena_alloc(b->arena, cap * sizeof(struct yaml_node *));
        if (parent->n)
            memcpy(items, parent->items, parent->n * sizeof(struct yaml_node *));
        parent->items = items;
        parent->cap = cap;
    }
    parent->items[parent->n++] = n;
}

static void place(struct build *b, struct yaml_node *n, const yaml_char_t *anchor)
{
    if (anchor)
        strmap_put(b->anchors, str_of((const char *)anchor), n);
    if (b->depth)
        add_item(b, b->stack[b->depth - 1], n);
    else
        b->root = n;
}

static int open_container(struct build *b, struct yaml_node *n, const yaml_char_t *anchor, const yaml_mark_t *m)
{
    place(b, n, anchor);
    if (b->depth == YAML_MAX_DEPTH)
        return fail_at(b, m, "nested too deeply", "");
    n->open = true;
    b->stack[b->depth++] = n;
    return 0;
}

static int take_alias(struct build *b, const yaml_event_t *ev)
{
    const char *name = (const char *)ev->data.alias.anchor;
    struct yaml_node *n = strmap_get(b->anchors, str_of(name));
    if (!n)
        return fail_at(b, &ev->start_mark, "no anchor before this alias: *", name);
    if (n->open)
        return fail_at(b, &ev->start_mark, "a value cannot contain itself: *", name);
    place(b, n, NULL);
    return 0;
}

static int take(struct build *b, const yaml_event_t *ev)
{
    const yaml_mark_t *m = &ev->start_mark;
    struct yaml_node *n;
    switch (ev->type) {
    case YAML_DOCUMENT_START_EVENT:
        return b->documents++ ? fail_at(b, m, "a second document begins here; only one is expected", "") : 0;
    case YAML_ALIAS_EVENT: return take_alias(b, ev);
    case YAML_SCALAR_EVENT:
        n = node_new(b, YAML_NODE_SCALAR, m, ev->data.scalar.tag);
        n->text = arena_str(b->arena, (struct str){(const char *)ev->data.scalar.value, ev->data.scalar.length});
        n->plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
        place(b, n, ev->data.scalar.anchor);
        return 0;
    case YAML_SEQUENCE_START_EVENT:
        n = node_new(b, YAML_NODE_SEQUENCE, m, ev->data.sequence_start.tag);
        return open_container(b, n, ev->data.sequence_start.anchor, m);
    case YAML_MAPPING_START_EVENT:
        n = node_new(b, YAML_NODE_MAPPING, m, ev->data.mapping_start.tag);
        return open_container(b, n, ev->data.mapping_start.anchor, m);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: b->stack[--b->depth]->open = false; return 0;
    default: return 0;
    }
}

int yaml_tree(struct str text, const char *name, struct arena *a, struct yaml_node **ret, struct err *e)
{
    struct build b = {.text = text, .name = name, .arena = a, .e = e};
    if (!yaml_parser_initialize(&b.parser))
        return ERR(e, ERR_TOO_BIG, "%s: out of memory", name);
    b.anchors = strmap_new(NULL);
    yaml_parser_set_input_string(&b.parser, (const unsigned char *)(text.p ? text.p : ""), text.n);
    int rc = 0;
    for (bool end = false; rc == 0 && !end;) {
        yaml_event_t ev;
        if (!yaml_parser_parse(&b.parser, &ev)) {
            rc = parser_error(&b);
            break;
        }
        end = ev.type == YAML_STREAM_END_EVENT;
        rc = take(&b, &ev);
        yaml_event_delete(&ev);
    }
    yaml_parser_delete(&b.parser);
    strmap_free(b.anchors);
    *ret = b.root;
    return rc;
}
