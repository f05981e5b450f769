/* Blueprints: the list, and one with its schema, its relations both ways and an entity as a sample. */
#include "catalog/page/page.h"

int page_blueprints(struct work *w)
{
    struct blueprint *b;
    struct buf *out = &w->out;
    int64_t n;
    page_begin(w, SECTION_BLUEPRINTS, STR("Blueprints"), false);
    page_table(out, "Blueprint|Identifier|Properties#|Relations#|Entities#");
    for (size_t at = 0; (at = blueprint_next(w->k, at, &b)) != 0;) {
        if (blueprint_count(w->k, b, &n, &w->r) < 0)
            return -1;
        struct str title = json_str(json_get_c(json_root(b->doc), "title"));
        html(out, "<tr><th scope=\"row\"><a href=\"/blueprints/%u\"><bdi>", b->identifier);
        html_cut(out, title.n ? title : b->identifier, CELL_BYTES);
        html(out,
             "</bdi></a></th><td><code><bdi>%t</bdi></code></td><td class=\"num\">%n</td><td class=\"num\">%n</td><td "
             "class=\"num\"><a href=\"/blueprints/%u/entities\">%n</a></td></tr>",
             b->identifier, (int64_t)b->nproperties, (int64_t)b->nrelations, b->identifier, n);
    }
    buf_adds(out, PAGE_TABLE_END);
    page_end(w, STR("/_local/blueprints"));
    return 0;
}

static void type_of(struct buf *out, struct json def)
{
    struct str type = json_str(json_get_c(def, "type")), format = json_str(json_get_c(def, "format"));
    struct str items = json_str(json_get_c(json_get_c(def, "items"), "type"));
    html(out, "<bdi>%t</bdi>", type.n ? type : STR("any"));
    if (items.n)
        html(out, " of <bdi>%t</bdi>", items);
    if (format.n)
        html(out, ", <bdi>%t</bdi>", format);
    if (json_is_arr(json_get_c(def, "enum")))
        html(out, ", one of %n", (int64_t)json_len(json_get_c(def, "enum")));
}

static void properties(struct work *w, const struct blueprint *b)
{
    struct json defs = json_path(json_root(b->doc), STR("schema.properties"));
    struct buf *out = &w->out;
    if (!b->nproperties) {
        buf_adds(out, "<p>None.</p>");
        return;
    }
    page_table(out, "Property|Title|Type|Required");
    for (size_t i = 0; i < b->nproperties && out->n < PAGE_BYTES; i++) {
        struct json def = json_get(defs, b->properties[i].name);
        html(out, "<tr><th scope=\"row\"><code><bdi>%t</bdi></code></th><td>", b->properties[i].name);
        page_cell(out, json_get_c(def, "title"));
        buf_adds(out, "</td><td>");
        type_of(out, def);
        html(out, "</td><td>%r</td></tr>", b->properties[i].required ? "yes" : "");
    }
    buf_adds(out, PAGE_TABLE_END);
}

static void relation_row(struct buf *out, struct str name, struct str other, const struct relation *r)
{
    html(out,
         "<tr><th scope=\"row\"><code><bdi>%t</bdi></code></th><td><a "
         "href=\"/blueprints/%u\"><bdi>%t</bdi></a></td><td>%r</td><td>%r</td></tr>",
         name, other, other, r->many ? "many" : "one", r->required ? "yes" : "");
}

static void relations(struct work *w, const struct blueprint *b)
{
    struct blueprint *other;
    struct buf *out = &w->out;
    buf_adds(out, "<h2>Relations</h2>");
    if (b->nrelations) {
        page_table(out, "Relation|Target|Holds|Required");
        for (size_t i = 0; i < b->nrelations; i++)
            relation_row(out, b->relations[i].name, b->relations[i].target, &b->relations[i]);
        buf_adds(out, PAGE_TABLE_END);
    } else {
        buf_adds(out, "<p>None.</p>");
    }
    size_t n = 0;
    for (size_t at = 0; (at = blueprint_next(w->k, at, &other)) != 0;)
        for (size_t i = 0; i < other->nrelations; i++) {
            if (!str_eq(other->relations[i].target, b->identifier))
                continue;
            if (n++ == 0) {
                buf_adds(out, "<h2>Relations that point here</h2>");
                page_table(out, "Relation|From|Holds|Required");
            }
            relation_row(out, other->relations[i].name, other->identifier, &other->relations[i]);
        }
    if (n)
        buf_adds(out, PAGE_TABLE_END);
}

static int sample(struct work *w, const struct blueprint *b)
{
    struct buf text, pretty;
    struct row row = {0};
    struct json_doc *doc = NULL;
    struct projection all;
    int64_t id;
    if (q_int(w->k, &w->r, &id, 0, "SELECT id FROM entity WHERE blueprint = ? LIMIT 1", "i", b->id) < 0)
        return -1;
    if (!id || row_by_id(w->k, id, w->a, &row, &w->r) <= 0)
        return w->r.status >= 500 ? -1 : 0;
    buf_init(&text, LIMIT_ANSWER);
    buf_init(&pretty, LIMIT_ANSWER);
    projection_all(&all, w->a);
    int rc = entity_write_json(w->k, b, &row, &all, &text, &w->r);
    if (rc == 0 && json_parse(buf_str(&text), &doc, NULL) == 0) {
        json_write_pretty(&pretty, json_root(doc));
        buf_adds(&w->out, "<h2>One of its entities</h2>");
        page_folded(&w->out, "as JSON", buf_str(&pretty));
    }
    json_unref(doc);
    row_done(&row);
    buf_done(&pretty);
    buf_done(&text);
    return rc;
}

int page_blueprint(struct work *w)
{
    struct blueprint *b = blueprint_find(w->k, w->seg[0], &w->r);
    int64_t n;
    if (!b || blueprint_count(w->k, b, &n, &w->r) < 0)
        return -1;
    struct str title = json_str(json_get_c(json_root(b->doc), "title"));
    struct str about = json_str(json_get_c(json_root(b->doc), "description"));
    page_begin(w, SECTION_BLUEPRINTS, title.n ? title : b->identifier, false);
    html(&w->out, "<p><code><bdi>%t</bdi></code> \xc2\xb7 <a href=\"/blueprints/%u/entities\">%n %c</a></p>",
         b->identifier, b->identifier, n, n == 1 ? "entity" : "entities");
    if (about.n) {
        buf_adds(&w->out, "<p><bdi>");
        html_cut(&w->out, about, 2000);
        buf_adds(&w->out, "</bdi></p>");
    }
    buf_adds(&w->out, "<h2>Properties</h2>");
    properties(w, b);
    relations(w, b);
    if (sample(w, b) < 0)
        return -1;
    page_end(w, str_of(arena_printf(w->a, "/_local/blueprints/%s", page_encoded(w, b->identifier))));
    return 0;
}
