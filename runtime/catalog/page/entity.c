/* One entity: its values by type, its relations as links both ways, and a drawing of its neighbourhood.
 *
 * Who refers to it comes from the late index of references (refs.h), which the first such question of a large catalog
 * has to fill; then the page asks before it does. */
#include "catalog/page/page.h"
#include "catalog/refs.h"

#include "json/write.h"

#define INCOMING_MAX 100
#define DRAWN_MAX 8
#define REFS_BEHIND_MAX 20000 /* rows the index may have to read while a page waits */

struct neighbour {
    struct str blueprint, identifier, relation;
};
struct neighbours {
    struct neighbour *p;
    size_t n, all, cap;
    struct arena *arena;
};

static void add_neighbour(struct neighbours *l, struct str blueprint, struct str identifier, struct str relation)
{
    l->all++;
    if (l->n < l->cap)
        l->p[l->n++] = (struct neighbour){arena_str(l->arena, blueprint), arena_str(l->arena, identifier),
                                          arena_str(l->arena, relation)};
}

static struct neighbours neighbours_new(struct arena *a)
{
    return (struct neighbours){
        .p = arena_alloc(a, INCOMING_MAX * sizeof(struct neighbour)), .cap = INCOMING_MAX, .arena = a};
}

static void outgoing(const struct blueprint *b, struct row *row, struct neighbours *ret)
{
    for (struct json_iter it = json_iter(row_rel(row)); json_next(&it);) {
        ptrdiff_t i = blueprint_relation(b, it.key);
        if (i < 0)
            continue;
        if (json_is_str(it.val))
            add_neighbour(ret, b->relations[i].target, json_str(it.val), it.key);
        for (struct json_iter el = json_iter(it.val); json_is_arr(it.val) && json_next(&el);)
            add_neighbour(ret, b->relations[i].target, json_str(el.val), it.key);
    }
}

static int incoming(struct work *w, const struct blueprint *b, struct str identifier, struct neighbours *ret)
{
    struct ids ids = {0};
    struct row row = {0};
    int rc = refs_find(w->k, b, identifier, &ids, &w->r);
    ids_sort(&ids);
    for (size_t i = 0; rc == 0 && i < ids.n; i++) {
        if (ret->n == ret->cap) {
            ret->all += ids.n - i;
            break;
        }
        rc = row_by_id(w->k, ids.p[i], w->a, &row, &w->r);
        struct blueprint *from = rc > 0 ? blueprint_by_id(w->k, row.blueprint, &w->r) : NULL;
        for (size_t j = 0; from && j < from->nrelations; j++) {
            struct json v = row_relation(&row, from->relations[j].name);
            bool hit =
                str_eq(from->relations[j].target, b->identifier) && json_is_str(v) && str_eq(json_str(v), identifier);
            for (struct json_iter it = json_iter(v);
                 !hit && str_eq(from->relations[j].target, b->identifier) && json_is_arr(v) && json_next(&it);)
                hit = str_eq(json_str(it.val), identifier);
            if (hit)
                add_neighbour(ret, from->identifier, row.identifier, from->relations[j].name);
        }
        rc = rc < 0 ? -1 : 0;
    }
    row_done(&row);
    ids_done(&ids);
    return rc;
}

/* The drawing: what refers to it on the left, what it refers to on the right. The same as links stands in the tables,
 * so a reader that sees no pictures misses nothing. */
static void draw_side(struct buf *out, const struct neighbours *l, int x, int middle, bool left)
{
    size_t shown = l->n < DRAWN_MAX ? l->n : DRAWN_MAX;
    int top = middle - (int)shown * 17 + 17;
    for (size_t i = 0; i < shown; i++) {
        int y = top + (int)i * 34;
        const struct neighbour *n = &l->p[i];
        int x1 = left ? x + 220 : 470, x2 = left ? 290 : x;
        buf_addf(out, "<path d=\"M%d %dC%d %d %d %d %d %d\"/>", x1, left ? y : middle, (x1 + x2) / 2, left ? y : middle,
                 (x1 + x2) / 2, left ? middle : y, x2, left ? middle : y);
        html(out, "<a href=\"/blueprints/%u/entities/%u\"><title>%t: %t</title>", n->blueprint, n->identifier,
             n->relation, n->identifier);
        buf_addf(out, "<rect x=\"%d\" y=\"%d\" width=\"220\" height=\"26\" rx=\"5\"/><text x=\"%d\" y=\"%d\">", x,
                 y - 13, x + 10, y + 5);
        html_cut(out, n->identifier, 28);
        buf_adds(out, "</text></a>");
    }
    if (l->all > shown)
        buf_addf(out, "<text class=\"more\" x=\"%d\" y=\"%d\">and %zu more</text>", x + 10, top + (int)shown * 34 + 2,
                 l->all - shown);
}

static void drawing(struct buf *out, struct str title, const struct neighbours *in, const struct neighbours *from)
{
    size_t rows = in->n > from->n ? in->n : from->n;
    rows = (rows < DRAWN_MAX ? rows : DRAWN_MAX) + 1;
    int height = (int)rows * 34 + 20, middle = height / 2;
    if (!in->n && !from->n)
        return;
    /* A side without anything takes no room. */
    int left = in->n ? 0 : 280, right = from->n ? 760 : 480;
    buf_addf(out,
             "<div class=\"scroll\" tabindex=\"0\"><svg class=\"map\" viewBox=\"%d 0 %d %d\" width=\"%d\" height=\"%d\" "
             "role=\"group\" aria-label=\"Neighbourhood\">",
             left, right - left, height, right - left, height);
    draw_side(out, in, 10, middle, true);
    draw_side(out, from, 530, middle, false);
    buf_addf(out,
             "<rect class=\"self\" x=\"290\" y=\"%d\" width=\"180\" height=\"32\" rx=\"5\"/><text class=\"self\" "
             "x=\"380\" y=\"%d\">",
             middle - 16, middle + 5);
    html_cut(out, title, 22);
    buf_adds(out, "</text></svg></div>");
}

static void neighbour_table(struct buf *out, const struct neighbours *l, const char *nothing)
{
    if (!l->n) {
        html(out, "<p class=\"none\">%r</p>", nothing);
        return;
    }
    page_table(out, "Relation|Blueprint|Entity");
    for (size_t i = 0; i < l->n && out->n < PAGE_BYTES; i++) {
        html(out, "<tr><td><code><bdi>%t</bdi></code></td><td><bdi>%t</bdi></td><td>", l->p[i].relation,
             l->p[i].blueprint);
        page_entity_link(out, l->p[i].blueprint, l->p[i].identifier, STR_NULL);
        buf_adds(out, "</td></tr>");
    }
    buf_adds(out, PAGE_TABLE_END);
    if (l->all > l->n)
        html(out, "<p class=\"none\">and %n more</p>", (int64_t)(l->all - l->n));
}

static void properties(struct work *w, const struct blueprint *b, struct row *row)
{
    struct buf *out = &w->out;
    struct json values = json_get_c(row_body(row), "properties");
    struct json defs = json_path(json_root(b->doc), STR("schema.properties"));
    buf_adds(out, "<h2>Properties</h2>");
    if (!b->nproperties && !json_len(values)) {
        buf_adds(out, "<p class=\"none\">None.</p>");
        return;
    }
    buf_adds(out, "<dl class=\"values\">");
    for (size_t i = 0; i < b->nproperties; i++) {
        struct json def = json_get(defs, b->properties[i].name);
        struct str title = json_str(json_get_c(def, "title"));
        html(out, "<dt title=\"%t\"><bdi>%t</bdi></dt><dd>", b->properties[i].name,
             title.n ? title : b->properties[i].name);
        page_value(out, def, json_get(values, b->properties[i].name));
        buf_adds(out, "</dd>");
    }
    for (struct json_iter it = json_iter(values); json_next(&it) && out->n < PAGE_BYTES;) {
        if (blueprint_property(b, it.key, 0) >= 0)
            continue;
        html(out, "<dt><bdi>%t</bdi> <span class=\"tag\">not in the blueprint</span></dt><dd>", it.key);
        page_value(out, JSON_NONE, it.val);
        buf_adds(out, "</dd>");
    }
    buf_adds(out, "</dl>");
}

static void about(struct work *w, const struct blueprint *b, struct row *row)
{
    struct buf *out = &w->out;
    html(out,
         "<p><code><bdi>%t</bdi></code> \xc2\xb7 <a href=\"/blueprints/%u/entities\"><bdi>%t</bdi></a> \xc2\xb7 "
         "updated ",
         row->identifier, b->identifier, b->identifier);
    html_ago(out, row->updated_at, core_now(w->k));
    buf_adds(out, " \xc2\xb7 created ");
    html_ago(out, row->created_at, core_now(w->k));
    html(out, "</p><p class=\"none\">Written by <code><bdi>%t</bdi></code></p>",
         dict_text(w->k, w->k->datasources, row->datasource));
}

static int json_text(struct work *w, const struct blueprint *b, struct row *row)
{
    struct projection all;
    struct json_doc *doc = NULL;
    struct buf text, pretty;
    buf_init(&text, LIMIT_ANSWER);
    buf_init(&pretty, LIMIT_ANSWER);
    projection_all(&all, w->a);
    all.datasource = true;
    int rc = entity_write_json(w->k, b, row, &all, &text, &w->r);
    if (rc == 0 && json_parse(buf_str(&text), &doc, NULL) == 0) {
        json_write_pretty(&pretty, json_root(doc));
        page_folded(&w->out, "The whole entity as JSON", buf_str(&pretty));
    }
    json_unref(doc);
    buf_done(&pretty);
    buf_done(&text);
    return rc;
}

/* True: the index is so far behind that the page first asks. */
static bool ask_first(struct work *w)
{
    struct str asked;
    int64_t behind = 0;
    return !work_param(w, "incoming", 0, &asked) && refs_behind(w->k, &behind, &w->r) == 0 && behind > REFS_BEHIND_MAX;
}

int page_entity(struct work *w)
{
    struct row row = {0};
    struct blueprint *b = blueprint_find(w->k, w->seg[0], &w->r);
    int rc = b ? row_find(w->k, b->id, w->seg[1], w->a, &row, &w->r) : -1;
    if (rc <= 0)
        return rc < 0 ? -1 : refuse_no_entity(&w->r, w->seg[1], b->identifier);
    struct str title = json_str(json_get_c(row_body(&row), "title"));
    struct neighbours in = neighbours_new(w->a), from = neighbours_new(w->a);
    bool ask = ask_first(w);
    outgoing(b, &row, &from);
    rc = ask ? 0 : incoming(w, b, row.identifier, &in);
    if (rc == 0) {
        page_begin(w, SECTION_BLUEPRINTS, title.n ? title : row.identifier, false);
        about(w, b, &row);
        drawing(&w->out, title.n ? title : row.identifier, &in, &from);
        properties(w, b, &row);
        buf_adds(&w->out, "<h2>Refers to</h2>");
        neighbour_table(&w->out, &from, "Nothing.");
        buf_adds(&w->out, "<h2 id=\"incoming\">Referred to by</h2>");
        if (ask)
            html(&w->out,
                 "<p>The index of references has to be brought up to date for this, which takes a moment in a large "
                 "catalog. <a href=\"/blueprints/%u/entities/%u?incoming=1#incoming\">Show what refers to it</a></p>",
                 b->identifier, row.identifier);
        else
            neighbour_table(&w->out, &in, "Nothing.");
        rc = json_text(w, b, &row);
        page_end(w, str_of(arena_printf(w->a, "/_local/blueprints/%s/entities/%s", page_encoded(w, b->identifier),
                                        page_encoded(w, row.identifier))));
    }
    row_done(&row);
    return rc;
}
