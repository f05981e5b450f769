/* Integrations: who fills the catalog and how it went; one integration with its mapping, its resyncs, what its mapping
 * gave no value for, raw examples and logs. */
#include "catalog/catalog_priv.h"
#include "catalog/integration.h"
#include "catalog/page/page.h"

#include "base/clock.h"
#include "catalog/page/resyncs.h"
#include "json/write.h"

#define RESYNCS_SHOWN 20
#define EXAMPLES_SHOWN 5
#define LOGS_SHOWN 100
#define LOGS_READ 2000

/* The table of all ------------------------------------------------------------------------------------------------ */

int page_running(struct work *w, int64_t *ret)
{
    return q_int(w->k, &w->r, ret, 0,
                 "SELECT COUNT(*) FROM integration WHERE resync_state LIKE '%\"status\":\"running\"%'", "");
}

static void light(struct buf *out, struct str status)
{
    const char *class = str_is(status, "completed")                              ? "good"
                        : str_is(status, "failed")                               ? "bad"
                        : str_is(status, "aborted")                              ? "warn"
                        : str_is(status, "running") || str_is(status, "syncing") ? "busy"
                                                                                 : "none";
    html(out, "<span class=\"light %r\">%t</span>", class, status.n ? status : STR("never resynced"));
}

static void ago_of(struct work *w, struct str instant)
{
    int64_t us;
    if (instant.n && iso_parse(instant, &us))
        html_ago(&w->out, us, core_now(w->k));
    else
        page_nothing(&w->out);
}

static void integration_row(struct work *w, struct str identifier, struct json doc, struct json state)
{
    struct buf *out = &w->out;
    html(out, "<tr><th scope=\"row\"><a href=\"/integrations/%u\"><bdi>", identifier);
    html_cut(out, identifier, CELL_BYTES);
    buf_adds(out, "</bdi></a></th><td>");
    page_cell(out, json_get_c(doc, "installationAppType"));
    buf_adds(out, "</td><td>");
    page_cell(out, json_get_c(doc, "version"));
    buf_adds(out, "</td><td>");
    light(out, json_str(json_get_c(state, "status")));
    buf_adds(out, "</td><td>");
    ago_of(w, json_str(json_get_c(state, "lastResyncStart")));
    buf_adds(out, "</td><td>");
    ago_of(w, json_str(json_get_c(state, "lastResyncEnd")));
    html(out, "</td><td class=\"num\">%n</td></tr>", (int64_t)json_len(json_path(doc, STR("config.resources"))));
}

int page_integration_rows(struct work *w)
{
    struct sqlite3_stmt *s =
        q_open(w->k, &w->r, "SELECT identifier, doc, resync_state FROM integration ORDER BY identifier LIMIT 500", "");
    int rc;
    page_table(&w->out, "Integration|Type|Version|Last resync|Began|Ended|Resources#");
    while ((rc = q_row(w->k, s, &w->r)) > 0) {
        struct json_doc *doc = NULL, *state = NULL;
        json_parse(q_text(s, 1), &doc, NULL);
        if (q_text(s, 2).n)
            json_parse(q_text(s, 2), &state, NULL);
        integration_row(w, q_text(s, 0), json_root(doc), json_root(state));
        json_unref(doc);
        json_unref(state);
    }
    buf_adds(&w->out, PAGE_TABLE_END);
    return rc;
}

int page_integrations(struct work *w)
{
    int64_t running, all;
    if (page_running(w, &running) < 0 || q_int(w->k, &w->r, &all, 0, "SELECT COUNT(*) FROM integration", "") < 0)
        return -1;
    page_begin(w, SECTION_INTEGRATIONS, STR("Integrations"), running > 0);
    if (!all)
        buf_adds(&w->out, "<p>None has started yet.</p>");
    else if (page_integration_rows(w) < 0)
        return -1;
    page_end(w, STR("/_local/integrations"));
    return 0;
}

/* One integration ------------------------------------------------------------------------------------------------- */

static void identity(struct work *w, struct json doc, struct json state)
{
    static const struct {
        const char *key, *text;
    } facts[] = {{"installationAppType", "Type"},
                 {"version", "Version"},
                 {"installationType", "Installation"},
                 {"changelogDestination", "Listener"},
                 {"actionsProcessingEnabled", "Runs actions"},
                 {"processingMode", "Processing"}};
    buf_adds(&w->out, "<p>Resync: ");
    light(&w->out, json_str(json_get_c(state, "status")));
    buf_adds(&w->out, " \xc2\xb7 began ");
    ago_of(w, json_str(json_get_c(state, "lastResyncStart")));
    buf_adds(&w->out, " \xc2\xb7 ended ");
    ago_of(w, json_str(json_get_c(state, "lastResyncEnd")));
    buf_adds(&w->out, "</p><dl class=\"values\">");
    for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
        struct json v = json_get(doc, str_of(facts[i].key));
        if (json_is_nil(v))
            continue;
        html(&w->out, "<dt>%c</dt><dd>", facts[i].text);
        page_cell(&w->out, json_is_obj(v) && json_get_c(v, "type").v ? json_get_c(v, "type") : v);
        buf_adds(&w->out, "</dd>");
    }
    buf_adds(&w->out, "</dl>");
}

static void mapping(struct work *w, struct json doc)
{
    struct buf text;
    struct json config = json_get_c(doc, "config");
    buf_adds(&w->out, "<h2>Mapping</h2>");
    if (!json_len(config)) {
        buf_adds(&w->out, "<p>None is installed: nothing will be mapped.</p>");
        return;
    }
    buf_init(&text, LIMIT_ANSWER);
    json_write_pretty(&text, config);
    page_folded(&w->out, "as JSON", buf_str(&text));
    buf_done(&text);
}

/* What the mapping gave no value for: the newest record of each kind and field. */
static int problems(struct work *w, int64_t id, struct str identifier)
{
    struct strmap *seen = strmap_new(NULL);
    struct sqlite3_stmt *s = q_open(
        w->k, &w->r,
        "SELECT data FROM record WHERE integration = ?1 AND data LIKE '%mapping_null%' ORDER BY id DESC LIMIT ?2", "ii",
        id, (int64_t)LOGS_READ);
    size_t n = 0;
    int rc;
    while ((rc = q_row(w->k, s, &w->r)) > 0) {
        struct json_doc *doc = NULL;
        struct json extra = json_parse(q_text(s, 0), &doc, NULL) == 0 ? json_get_c(json_root(doc), "extra") : JSON_NONE;
        struct str kind = json_str(json_get_c(extra, "kind")), field = json_str(json_get_c(extra, "field"));
        struct str key = str_of(arena_printf(w->a, "%.*s\n%.*s", STR_FMT(kind), STR_FMT(field)));
        if (str_is(json_str(json_get_c(extra, "event")), "mapping_null") && !strmap_has(seen, key)) {
            strmap_put(seen, key, w);
            if (n++ == 0)
                buf_adds(&w->out, "<h2 id=\"problems\">Fields without a value</h2><p>These expressions gave null for "
                                  "at least one item of the last batches; the example is one of these items.</p>");
            page_table(&w->out, "Kind|Field|Expression|Items#|Example");
            html(&w->out, "<tr><td><bdi>%t</bdi></td><th scope=\"row\"><bdi>%t</bdi></th><td><code>", kind, field);
            page_cell(&w->out, json_get_c(extra, "expression"));
            buf_adds(&w->out, "</code></td><td class=\"num\">");
            page_cell(&w->out, json_get_c(extra, "count"));
            buf_adds(&w->out, "</td><td>");
            struct json example = json_get_c(extra, "example");
            if (json_is_str(example)) {
                page_folded(&w->out, "show", json_str(example));
            } else {
                struct buf text;
                buf_init(&text, LIMIT_ANSWER);
                json_write_pretty(&text, example);
                page_folded(&w->out, "show", buf_str(&text));
                buf_done(&text);
            }
            buf_adds(&w->out, "</td></tr>");
        }
        json_unref(doc);
    }
    if (n)
        buf_adds(&w->out, PAGE_TABLE_END);
    if (n && w->c->evaluator)
        html(&w->out, "<p><a href=\"/playground?integration=%u\">Try the mapping on an example</a></p>", identifier);
    strmap_free(seen);
    return rc;
}

static int examples(struct work *w, int64_t id, struct str identifier)
{
    struct sqlite3_stmt *s =
        q_open(w->k, &w->r, "SELECT kind, id, data FROM example WHERE integration = ? ORDER BY kind, id DESC LIMIT 200",
               "i", id);
    struct str kind = STR_NULL;
    size_t shown = 0;
    int rc;
    while ((rc = q_row(w->k, s, &w->r)) > 0) {
        struct json_doc *doc = NULL;
        struct buf text;
        if (!kind.p)
            buf_adds(&w->out, "<h2>Raw examples</h2><p>Items as the script handed them over, before the mapping.</p>");
        if (!kind.p || !str_eq(kind, q_text(s, 0))) {
            kind = arena_str(w->a, q_text(s, 0));
            shown = 0;
            html(&w->out, "<h3><bdi>%t</bdi></h3>", kind);
        }
        if (++shown > EXAMPLES_SHOWN || json_parse(q_text(s, 2), &doc, NULL) < 0)
            continue;
        buf_init(&text, LIMIT_ANSWER);
        json_write_pretty(&text, json_root(doc));
        page_folded(&w->out, arena_printf(w->a, "Example %zu", shown), buf_str(&text));
        if (w->c->evaluator)
            html(&w->out, "<p class=\"beside\"><a href=\"/playground?integration=%u&amp;example=%d\">Map it</a></p>",
                 identifier, q_num(s, 1));
        buf_done(&text);
        json_unref(doc);
    }
    return rc;
}

static void log_line(struct work *w, struct json record)
{
    struct str level = json_str(json_get_c(record, "level"));
    bool bad = str_ieq(level, STR("ERROR")) || str_ieq(level, STR("CRITICAL"));
    buf_adds(&w->out, "<tr><td>");
    ago_of(w, json_str(json_get_c(record, "timestamp")));
    html(&w->out, "</td><td class=\"%r\">%t</td><td><bdi>",
         bad                              ? "bad"
         : str_ieq(level, STR("WARNING")) ? "warn"
                                          : "",
         level);
    html_cut(&w->out, json_str(json_get_c(record, "message")), w->out.n < PAGE_BYTES ? 1000 : 40);
    buf_adds(&w->out, "</bdi></td></tr>");
}

static int logs(struct work *w, int64_t id, struct str identifier)
{
    struct str level = STR_NULL;
    size_t n = 0;
    int rc;
    work_param(w, "level", 0, &level);
    struct sqlite3_stmt *s =
        q_open(w->k, &w->r, "SELECT data FROM record WHERE integration = ? ORDER BY id DESC LIMIT ?", "ii", id,
               (int64_t)LOGS_READ);
    html(&w->out,
         "<h2 id=\"logs\">Log</h2><form class=\"filter\" method=\"get\" action=\"/integrations/%u#logs\"><label>Level "
         "<select name=\"level\"><option value=\"\">all</option>",
         identifier);
    for (const char *const *l = (const char *const[]){"DEBUG", "INFO", "WARNING", "ERROR", NULL}; *l; l++)
        html(&w->out, "<option%r>%c</option>", str_is(level, *l) ? " selected" : "", *l);
    buf_adds(&w->out, "</select></label><button>Show</button></form>");
    page_table(&w->out, "When|Level|Message");
    while ((rc = q_row(w->k, s, &w->r)) > 0 && n < LOGS_SHOWN) {
        struct json_doc *doc = NULL;
        if (json_parse(q_text(s, 0), &doc, NULL) == 0 &&
            (!level.n || str_ieq(level, json_str(json_get_c(json_root(doc), "level"))))) {
            log_line(w, json_root(doc));
            n++;
        }
        json_unref(doc);
    }
    if (rc > 0)
        q_close(s);
    buf_adds(&w->out, PAGE_TABLE_END);
    if (!n)
        buf_adds(&w->out, "<p class=\"none\">Nothing.</p>");
    return rc < 0 ? -1 : 0;
}

struct integration {
    int64_t id;
    struct json_doc *doc, *state;
};

static int load(struct work *w, struct integration *x)
{
    x->id = integration_find(w, w->seg[0], BY_IDENTIFIER);
    if (!x->id)
        return -1;
    struct sqlite3_stmt *s = q_open(w->k, &w->r, "SELECT doc, resync_state FROM integration WHERE id = ?", "i", x->id);
    int rc = q_row(w->k, s, &w->r);
    if (rc <= 0)
        return -1;
    if (json_parse(q_text(s, 0), &x->doc, NULL) < 0)
        x->doc = NULL;
    if (!q_text(s, 1).n || json_parse(q_text(s, 1), &x->state, NULL) < 0)
        x->state = NULL;
    q_close(s);
    return 0;
}

int page_integration(struct work *w)
{
    struct integration x = {0};
    struct str name = w->seg[0];
    if (load(w, &x) < 0)
        return -1;
    struct str status = json_str(json_get_c(json_root(x.state), "status"));
    page_begin(w, SECTION_INTEGRATIONS, name, str_is(status, "running"));
    identity(w, json_root(x.doc), json_root(x.state));
    html(&w->out, "<p>Ask it to resync: <code>curl -X POST %t/_local/integrations/%u/resync</code></p>", w->base_url,
         name);
    int rc = page_resyncs(w, x.id, name, RESYNCS_SHOWN);
    if (rc == 0)
        rc = problems(w, x.id, name);
    if (rc == 0) {
        mapping(w, json_root(x.doc));
        rc = examples(w, x.id, name);
    }
    if (rc == 0)
        rc = logs(w, x.id, name);
    page_end(w, str_of(arena_printf(w->a, "/_local/integrations/%s", page_encoded(w, name))));
    json_unref(x.doc);
    json_unref(x.state);
    return rc < 0 ? -1 : 0;
}
