/* The first page: what is in the catalog, who fills it and how that went, what was asked lately. */
#include "catalog/page/page.h"

#include "catalog/catalog_priv.h"
#include "catalog/page/resyncs.h"

#define LAST_CHANGES 5

#define NEWEST_REQUESTS 20

/* Loop thread: faults, and the newest requests -------------------------------------------------------------------- */

static void request_row(void *arg, const struct journal_line *l)
{
    struct buf *out = arg;
    bool bad = l->status >= 400 || l->status == 0;
    html(out, "<tr><td class=\"num\"><a href=\"/journal?seq=%d\">%d</a></td><td>%c</td><td><code><bdi>",
         (int64_t)l->seq, (int64_t)l->seq, l->method);
    html_cut(out, l->path, CELL_BYTES);
    html(out, "</bdi></code></td><td class=\"%r\">", bad ? "bad" : "good");
    if (l->status)
        html(out, "%d", (int64_t)l->status);
    else
        buf_adds(out, "connection lost");
    buf_adds(out, "</td><td class=\"num\">");
    buf_addf(out, "%.1f ms", (double)l->duration_us / 1000);
    buf_adds(out, "</td><td>");
    page_effects(out, l);
    buf_adds(out, "</td></tr>");
}

int page_overview_now(struct work *w)
{
    struct buf out;
    buf_init(&out, (size_t)1 << 20);
    size_t n = 0;
    for (struct fault *f = faults_first(w->c->faults); f; f = f->next)
        n++;
    if (n)
        html(&out,
             "<p class=\"note\" role=\"status\">%n %c set: some requests are answered wrongly on purpose. <a "
             "href=\"/_local/faults\">See them</a></p>",
             (int64_t)n, n == 1 ? "fault is" : "faults are");
    if (journal_count(w->c->journal)) {
        buf_adds(&out, "<section aria-labelledby=\"requests\"><h2 id=\"requests\">Newest requests</h2>");
        page_table(&out, "No.#|Method|Path|Answer|Time#|Effect");
        journal_newest(w->c->journal, UINT64_MAX, NEWEST_REQUESTS, NULL, request_row, &out);
        buf_adds(&out, PAGE_TABLE_END "<p><a href=\"/journal\">All requests</a></p></section>");
    }
    w->part = arena_str(w->a, buf_str(&out));
    buf_done(&out);
    return 0;
}

/* Database thread ------------------------------------------------------------------------------------------------- */

static void tile(struct buf *out, const char *href, int64_t n, const char *one, const char *many)
{
    html(out, "<li><a href=\"%c\"><b>%n</b> %c</a></li>", href, n, n == 1 ? one : many);
}

static bool hidden(const struct blueprint *b, int64_t n) { return n == 0 && b->identifier.p[0] == '_'; }

static int blueprint_rows(struct work *w, int64_t most)
{
    struct blueprint *b;
    int64_t n;
    for (size_t at = 0; (at = blueprint_next(w->k, at, &b)) != 0;) {
        if (blueprint_count(w->k, b, &n, &w->r) < 0)
            return -1;
        if (hidden(b, n))
            continue;
        struct str title = json_str(json_get_c(json_root(b->doc), "title"));
        html(&w->out, "<tr><th scope=\"row\"><a href=\"/blueprints/%u/entities\"><bdi>", b->identifier);
        html_cut(&w->out, title.n ? title : b->identifier, CELL_BYTES);
        html(&w->out,
             "</bdi></a></th><td><code><bdi>%t</bdi></code></td><td class=\"num\">%n</td><td class=\"bar\"><meter "
             "min=\"0\" max=\"%d\" value=\"%d\" aria-hidden=\"true\"></meter></td></tr>",
             b->identifier, n, most ? most : 1, n);
    }
    return 0;
}

static int totals(struct work *w, int64_t *blueprints, int64_t *entities, int64_t *most)
{
    struct blueprint *b;
    int64_t n;
    *blueprints = *entities = *most = 0;
    for (size_t at = 0; (at = blueprint_next(w->k, at, &b)) != 0;) {
        if (blueprint_count(w->k, b, &n, &w->r) < 0)
            return -1;
        *blueprints += !hidden(b, n);
        *entities += n;
        *most = n > *most ? n : *most;
    }
    return 0;
}

static void what_to_type(struct work *w)
{
    html(&w->out,
         "<section class=\"empty\"><h2>The catalog is empty</h2><p>Nothing has been synced into <code>%c</code> yet. "
         "Run an integration into it:</p><pre tabindex=\"0\">ocean-run --once --local %c integration.lua</pre><p>or "
         "point any Ocean integration at this server:</p><pre tabindex=\"0\">export OCEAN__PORT__BASE_URL=%t\nexport "
         "OCEAN__PORT__CLIENT_ID=local OCEAN__PORT__CLIENT_SECRET=local\nocean-run integration.lua</pre><p>This page "
         "fills while it runs.</p></section>",
         w->c->file, w->c->file, w->base_url);
}

static void warnings(struct work *w)
{
    int64_t dropped = (int64_t)atomic_load(&w->k->dropped_properties);
    if (dropped)
        html(&w->out,
             "<p class=\"note\" role=\"status\">%n values were dropped because their blueprint has no such property: "
             "compare the mapping with the <a href=\"/blueprints\">blueprints</a>.</p>",
             dropped);
}

int page_overview(struct work *w)
{
    int64_t blueprints, entities, most, integrations, running;
    if (totals(w, &blueprints, &entities, &most) < 0 ||
        q_int(w->k, &w->r, &integrations, 0, "SELECT COUNT(*) FROM integration", "") < 0 ||
        page_running(w, &running) < 0)
        return -1;
    bool empty = !entities && !integrations;
    page_begin(w, SECTION_OVERVIEW, STR("Overview"), running || empty);
    if (empty) {
        what_to_type(w);
    } else {
        buf_adds(&w->out, "<ul class=\"tiles\">");
        tile(&w->out, "/blueprints", entities, "entity", "entities");
        tile(&w->out, "/blueprints", blueprints, "blueprint", "blueprints");
        tile(&w->out, "/integrations", integrations, "integration", "integrations");
        buf_adds(&w->out, "</ul>");
    }
    warnings(w);
    if (entities) {
        buf_adds(&w->out,
                 "<section aria-labelledby=\"by-blueprint\"><h2 id=\"by-blueprint\">Entities by blueprint</h2>");
        page_table(&w->out, "Blueprint|Identifier|Entities#|");
        if (blueprint_rows(w, most) < 0)
            return -1;
        buf_adds(&w->out, PAGE_TABLE_END "</section>");
    }
    if (integrations) {
        buf_adds(&w->out, "<section aria-labelledby=\"by-integration\"><h2 id=\"by-integration\">Integrations</h2>");
        if (page_integration_rows(w) < 0)
            return -1;
        buf_adds(&w->out, "</section>");
    }
    if (page_last_changes(w, LAST_CHANGES) < 0)
        return -1;
    buf_addstr(&w->out, w->part);
    page_end(w, STR("/_local/state"));
    return 0;
}
