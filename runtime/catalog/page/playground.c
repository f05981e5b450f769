/* The mapping playground: a raw item on the left, a mapping in the middle, on the right the entities it gives and what
 * the engine has to say. Both boxes are filled from what an integration has sent; evaluation is cli's (catalog.h), so
 * the result is what `ocean-run map` prints. */
#include "catalog/catalog_priv.h"
#include "catalog/integration.h"
#include "catalog/page/page.h"

#include "json/write.h"

#define EXAMPLES_LISTED 50
#define RESULTS_SHOWN 50

/* One field of an application/x-www-form-urlencoded body, decoded into the arena. Browsers end lines with CR LF. */
static struct str form_field(struct work *w, const char *name)
{
    for (struct str rest = w->body; rest.p && rest.n;) {
        struct str value, pair = str_split(rest, '&', &rest), key = str_split(pair, '=', &value);
        if (!str_is(key, name))
            continue;
        struct buf b;
        buf_init(&b, BUF_NO_LIMIT);
        url_decode(&b, value, true);
        size_t n = 0;
        for (size_t i = 0; i < b.n; i++)
            if (b.p[i] != '\r' || i + 1 == b.n || b.p[i + 1] != '\n')
                b.p[n++] = b.p[i];
        struct str out = arena_str(w->a, (struct str){b.p, n});
        buf_done(&b);
        return out.p ? out : STR("");
    }
    return STR_NULL;
}

/* Results ---------------------------------------------------------------------------------------------------------- */

static void result(struct buf *out, struct json line)
{
    struct buf text;
    struct json error = json_get_c(line, "error"), entity = json_get_c(line, "entity");
    bool skipped = json_is_true(json_get_c(line, "skipped"));
    buf_adds(out, "<li>");
    if (error.v) {
        html(out, "<p class=\"bad\"><bdi>%t</bdi></p></li>", json_str(error));
        return;
    }
    html(out, "<p>%t, item %t: <span class=\"%r\">%r</span></p>", json_str(json_get_c(line, "kind")),
         json_num_text(json_get_c(line, "item")),
         json_is_true(json_get_c(line, "passed")) && !skipped ? "good" : "warn",
         skipped                                    ? "no identifier or blueprint, so no entity"
         : json_is_true(json_get_c(line, "passed")) ? "an entity"
                                                    : "not selected");
    if (entity.v) {
        buf_init(&text, BUF_NO_LIMIT);
        json_write_pretty(&text, entity);
        buf_adds(out, "<pre tabindex=\"0\">");
        html_cut(out, buf_str(&text), out->n < PAGE_BYTES / 2 ? 20000 : 1000);
        buf_adds(out, "</pre>");
        buf_done(&text);
    }
    buf_adds(out, "</li>");
}

static void write_results(struct buf *out, struct str lines, struct str messages)
{
    size_t n = 0;
    buf_adds(out, "<ul class=\"results\">");
    for (struct str rest = lines; rest.p && rest.n;) {
        struct json_doc *doc = NULL;
        struct str line = str_split(rest, '\n', &rest);
        if (line.n && n++ < RESULTS_SHOWN && json_parse(line, &doc, NULL) == 0)
            result(out, json_root(doc));
        json_unref(doc);
    }
    buf_adds(out, "</ul>");
    if (n > RESULTS_SHOWN)
        html(out, "<p class=\"none\">and %n more</p>", (int64_t)(n - RESULTS_SHOWN));
    if (messages.n) {
        buf_adds(out, "<h3>What the engine says</h3><pre class=\"messages\" tabindex=\"0\">");
        html_cut(out, messages, 20000);
        buf_adds(out, "</pre>");
    }
}

static void evaluated(void *arg, struct str lines, struct str messages)
{
    struct work *w = arg;
    struct buf out;
    buf_init(&out, BUF_NO_LIMIT);
    w->evaluation = NULL;
    write_results(&out, lines, messages);
    w->part = arena_str(w->a, buf_str(&out));
    buf_done(&out);
    rest_go_on(w);
}

int page_evaluate_now(struct work *w)
{
    struct str mapping = form_field(w, "mapping"), input = form_field(w, "input");
    if (!w->c->evaluator)
        return refuse(&w->r, 404, "not_found", "This server has no playground");
    if (!str_trim(mapping).n || !str_trim(input).n) {
        w->part = STR("<p class=\"warn\">Both boxes need something: a raw item, and a mapping for it.</p>");
        return 0;
    }
    const struct catalog_evaluator *e = w->c->evaluator;
    w->evaluation = e->start(e->arg, mapping, input, evaluated, w);
    return WORK_WAITS;
}

/* The boxes -------------------------------------------------------------------------------------------------------- */

struct boxes {
    struct str input, mapping, kind, integration;
};

static int example_text(struct work *w, int64_t integration, int64_t id, struct boxes *b)
{
    struct json_doc *doc = NULL;
    struct buf text;
    struct sqlite3_stmt *s =
        q_open(w->k, &w->r,
               "SELECT kind, data FROM example WHERE integration = ?1 AND (?2 = 0 OR id = ?2) ORDER BY id DESC LIMIT 1",
               "ii", integration, id);
    int rc = q_row(w->k, s, &w->r);
    if (rc <= 0)
        return rc;
    buf_init(&text, LIMIT_ANSWER);
    if (json_parse(q_text(s, 1), &doc, NULL) == 0)
        json_write_pretty(&text, json_root(doc));
    b->input = arena_str(w->a, buf_str(&text));
    b->kind = arena_str(w->a, q_text(s, 0));
    q_close(s);
    json_unref(doc);
    buf_done(&text);
    return 0;
}

/* The resources of that kind, as a mapping document. */
static int mapping_text(struct work *w, int64_t integration, struct boxes *b)
{
    struct json_doc *doc = NULL;
    struct buf text, pretty;
    struct sqlite3_stmt *s = q_open(w->k, &w->r, "SELECT doc FROM integration WHERE id = ?", "i", integration);
    int rc = q_row(w->k, s, &w->r);
    if (rc <= 0)
        return rc;
    if (json_parse(q_text(s, 0), &doc, NULL) < 0)
        doc = NULL;
    q_close(s);
    buf_init(&text, LIMIT_ANSWER);
    buf_init(&pretty, LIMIT_ANSWER);
    struct jw jw = jw_on(&text);
    jw_obj(&jw);
    jw_key_c(&jw, "resources");
    jw_arr(&jw);
    for (struct json_iter it = json_iter(json_path(json_root(doc), STR("config.resources"))); json_next(&it);)
        if (!b->kind.n || str_eq(json_str(json_get_c(it.val, "kind")), b->kind))
            jw_json(&jw, it.val);
    jw_end_arr(&jw);
    jw_end_obj(&jw);
    json_unref(doc);
    if (json_parse(buf_str(&text), &doc, NULL) == 0) {
        json_write_pretty(&pretty, json_root(doc));
        b->mapping = arena_str(w->a, buf_str(&pretty));
        json_unref(doc);
    }
    buf_done(&pretty);
    buf_done(&text);
    return 0;
}

static int example_links(struct work *w, struct boxes *b)
{
    struct sqlite3_stmt *s =
        q_open(w->k, &w->r,
               "SELECT i.identifier, e.kind, e.id FROM example e JOIN integration i ON i.id = e.integration"
               " WHERE e.id IN (SELECT MAX(id) FROM example GROUP BY integration, kind) ORDER BY 1, 2 LIMIT ?",
               "i", (int64_t)EXAMPLES_LISTED);
    size_t n = 0;
    int rc;
    while ((rc = q_row(w->k, s, &w->r)) > 0)
        html(&w->out, "%r<a href=\"/playground?integration=%u&amp;example=%d\"><bdi>%t</bdi> / <bdi>%t</bdi></a>",
             n++ ? " \xc2\xb7 " : "<p>Start from what was fetched: ", q_text(s, 0), q_num(s, 2), q_text(s, 0),
             q_text(s, 1));
    buf_adds(&w->out,
             n ? "</p>" : "<p class=\"none\">Integrations that have run leave raw examples here to start from.</p>");
    (void)b;
    return rc;
}

static int fill(struct work *w, struct boxes *b)
{
    int64_t id, example;
    if (w->body.n) {
        b->input = form_field(w, "input");
        b->mapping = form_field(w, "mapping");
        return 0;
    }
    if (!work_param(w, "integration", 0, &b->integration))
        return 0;
    id = integration_find(w, b->integration, BY_IDENTIFIER);
    if (!id || work_number(w, "example", 0, &example) < 0 || example_text(w, id, example, b) < 0)
        return -1;
    return mapping_text(w, id, b);
}

int page_playground(struct work *w)
{
    struct boxes b = {0};
    struct buf *out = &w->out;
    if (!w->c->evaluator)
        return refuse(&w->r, 404, "not_found", "This server has no playground");
    if (fill(w, &b) < 0)
        return -1;
    page_begin(w, SECTION_PLAYGROUND, STR("Mapping playground"), false);
    if (example_links(w, &b) < 0)
        return -1;
    buf_adds(
        out,
        "<form class=\"play\" method=\"post\" action=\"/playground\"><div><label for=\"input\">Raw items (JSON)</label>"
        "<textarea id=\"input\" name=\"input\" spellcheck=\"false\">\n");
    html_text(out, b.input);
    buf_adds(out, "</textarea></div><div><label for=\"mapping\">Mapping (YAML or JSON)</label>"
                  "<textarea id=\"mapping\" name=\"mapping\" spellcheck=\"false\">\n");
    html_text(out, b.mapping);
    buf_adds(out, "</textarea><button>Map</button></div><div id=\"results\" role=\"region\" aria-live=\"polite\" "
                  "aria-labelledby=\"entities\"><h2 id=\"entities\">Entities</h2>");
    if (w->part.n)
        buf_addstr(out, w->part);
    else
        buf_adds(out, "<p class=\"none\">\xe2\x80\x9cMap\xe2\x80\x9d shows what the mapping makes of the items.</p>");
    buf_adds(out, "</div></form>");
    page_end(w, STR_NULL);
    return 0;
}
