/* A resync is known from two sides: the record of what it wrote, which the catalog keeps itself, and the metric
 * documents that the integration sends, one a kind, sharing an event id. Either may be missing: an unchanged resync
 * writes nothing, and not every integration sends metrics. */
#include "catalog/page/resyncs.h"

#include "catalog/changes.h"
#include "catalog/integration.h"
#include "catalog/page/page.h"

/* From metrics ---------------------------------------------------------------------------------------------------- */

enum count { EXTRACTED, TRANSFORMED, FILTERED, LOADED, SKIPPED, FAILED, DELETED, COUNTS };

#define COUNT_HEADS "|Extracted#|Mapped#|Filtered#|Written#|Unchanged#|Refused#|Deleted#"

static const char *const paths[COUNTS] = {
    [EXTRACTED] = "phase.extract.object_count_type.raw_extracted.object_count",
    [TRANSFORMED] = "phase.transform.object_count_type.transformed.object_count",
    [FILTERED] = "phase.transform.object_count_type.filtered_out.object_count",
    [LOADED] = "phase.load.object_count_type.loaded.object_count",
    [SKIPPED] = "phase.load.object_count_type.skipped.object_count",
    [FAILED] = "phase.load.object_count_type.failed.object_count",
    [DELETED] = "phase.delete.object_count_type.deleted.object_count",
};

static void state_cell(struct buf *out, struct str state)
{
    html(out, "<td class=\"%r\">",
         str_is(state, "completed") ? "good"
         : str_is(state, "failed")  ? "bad"
         : str_is(state, "aborted") ? "warn"
                                    : "");
    if (state.n)
        html_text(out, state);
    else
        page_nothing(out);
    buf_adds(out, "</td>");
}

static void kind_row(struct work *w, struct str kind, struct json doc)
{
    struct buf *out = &w->out;
    struct json metrics = json_get_c(doc, "metrics");
    html(out, "<tr><th scope=\"row\"><bdi>%t</bdi></th>", kind);
    state_cell(out, json_str(json_get_c(doc, "syncState")));
    buf_adds(out, "<td class=\"num\">");
    html_duration(out, (int64_t)(json_double(json_path(metrics, STR("phase.resync.duration_seconds"))) * 1e6));
    buf_adds(out, "</td>");
    for (int c = 0; c < COUNTS; c++)
        html(out, "<td class=\"num\">%n</td>", (int64_t)json_double(json_path(metrics, str_of(paths[c]))));
    buf_adds(out, "</tr>");
}

static int kinds(struct work *w, int64_t integration, struct str event, size_t *n)
{
    struct sqlite3_stmt *s = q_open(
        w->k, &w->r, "SELECT kind, data FROM metric WHERE integration = ? AND event = ? ORDER BY created_at, kind",
        "it", integration, event);
    int rc;
    while ((rc = q_row(w->k, s, &w->r)) > 0) {
        struct json_doc *doc = NULL;
        if (json_parse(q_text(s, 1), &doc, NULL) < 0)
            continue;
        if ((*n)++ == 0) {
            buf_adds(&w->out, "<h2>By kind</h2>");
            page_table(&w->out, "Kind|State|Took#" COUNT_HEADS);
        }
        kind_row(w, q_text(s, 0), json_root(doc));
        json_unref(doc);
    }
    buf_adds(&w->out, *n ? PAGE_TABLE_END : "");
    return rc;
}

/* Tables of resyncs ------------------------------------------------------------------------------------------------ */

static void change_cells(struct buf *out, int64_t created, int64_t updated, int64_t deleted, int64_t failed)
{
    html(out, "<td class=\"num\">%n</td><td class=\"num\">%n</td><td class=\"num\">%n</td><td class=\"num%r\">%n</td>",
         created, updated, deleted, failed ? " bad" : "", failed);
}

int page_resyncs(struct work *w, int64_t integration, struct str identifier, int limit)
{
    struct buf *out = &w->out;
    struct sqlite3_stmt *s =
        q_open(w->k, &w->r,
               "SELECT e.event, e.began, e.ended, c.created, c.updated, c.deleted, c.failed, m.data FROM"
               " (SELECT event, MIN(began) AS began, MAX(ended) AS ended FROM"
               "  (SELECT event, created_at AS began, updated_at AS ended FROM metric WHERE integration = ?1 UNION ALL"
               "   SELECT event, first_at, last_at FROM changes WHERE instr(datasource, '/' || ?2 || '/') > 0)"
               "  GROUP BY event ORDER BY began DESC LIMIT ?3) e"
               " LEFT JOIN changes c ON c.event = e.event"
               " LEFT JOIN metric m ON m.integration = ?1 AND m.event = e.event AND m.kind = '__runtime__'"
               " ORDER BY e.began DESC",
               "iti", integration, identifier, (int64_t)limit);
    size_t n = 0;
    int rc;
    for (; (rc = q_row(w->k, s, &w->r)) > 0; n++) {
        struct json_doc *doc = NULL;
        if (n == 0) {
            buf_adds(out, "<h2 id=\"resyncs\">Resyncs</h2>");
            page_table(out, "Began|State|Took#|Created#|Updated#|Deleted#|Refused#");
        }
        if (!q_text(s, 7).n || json_parse(q_text(s, 7), &doc, NULL) < 0)
            doc = NULL;
        html(out, "<tr><th scope=\"row\"><a href=\"/integrations/%u/resyncs/%u\">", identifier, q_text(s, 0));
        html_ago(out, q_num(s, 1), core_now(w->k));
        buf_adds(out, "</a></th>");
        state_cell(out, json_str(json_get_c(json_root(doc), "syncState")));
        buf_adds(out, "<td class=\"num\">");
        html_duration(out, q_num(s, 2) - q_num(s, 1));
        buf_adds(out, "</td>");
        change_cells(out, q_num(s, 3), q_num(s, 4), q_num(s, 5), q_num(s, 6));
        buf_adds(out, "</tr>");
        json_unref(doc);
    }
    buf_adds(out, n ? PAGE_TABLE_END : "");
    return rc;
}

/* port-ocean/TYPE/VERSION/INTEGRATION/FEATURE */
static struct str integration_of(struct str datasource)
{
    struct str part = STR_NULL, rest = datasource;
    for (int i = 0; i < 4; i++)
        part = str_split(rest, '/', &rest);
    return part;
}

struct listing {
    struct work *w;
    size_t n;
};

static int last_row(void *arg, const struct changes *c)
{
    struct listing *l = arg;
    struct buf *out = &l->w->out;
    struct str name = integration_of(c->datasource);
    if (!name.n)
        return 0;
    if (l->n++ == 0) {
        buf_adds(out, "<section aria-labelledby=\"changes\"><h2 id=\"changes\">What changed last</h2>");
        page_table(out, "When|Integration|Created#|Updated#|Deleted#|Refused#");
    }
    html(out, "<tr><th scope=\"row\"><a href=\"/integrations/%u/resyncs/%u\">", name, c->event);
    html_ago(out, c->last_at, core_now(l->w->k));
    html(out, "</a></th><td><a href=\"/integrations/%u\"><bdi>%t</bdi></a></td>", name, name);
    change_cells(out, c->created, c->updated, c->deleted, c->failed);
    buf_adds(out, "</tr>");
    return 0;
}

int page_last_changes(struct work *w, int limit)
{
    struct listing l = {.w = w};
    if (changes_each(w->k, STR_NULL, STR_NULL, limit, last_row, &l, &w->r) < 0)
        return -1;
    buf_adds(&w->out, l.n ? PAGE_TABLE_END "</section>" : "");
    return 0;
}

/* One resync ------------------------------------------------------------------------------------------------------- */

static int head_of(void *arg, const struct changes *c)
{
    struct listing *l = arg;
    l->n++;
    html(&l->w->out, "<ul class=\"tiles\">");
    const struct {
        int64_t n;
        const char *word;
    } tiles[] = {{c->created, "created"}, {c->updated, "updated"}, {c->deleted, "deleted"}, {c->failed, "refused"}};
    for (size_t i = 0; i < sizeof(tiles) / sizeof(tiles[0]); i++)
        html(&l->w->out, "<li><a href=\"#changed\"><b>%n</b> %c</a></li>", tiles[i].n, tiles[i].word);
    buf_adds(&l->w->out, "</ul>");
    return 0;
}

static int key_row(void *arg, enum change what, struct str blueprint, struct str identifier)
{
    static const char *const words[] = {"created", "updated", "deleted"};
    struct listing *l = arg;
    struct buf *out = &l->w->out;
    if (out->n > PAGE_BYTES)
        return 0;
    if (l->n++ == 0) {
        buf_adds(out, "<h2 id=\"changed\">What changed</h2>");
        page_table(out, "Change|Blueprint|Entity");
    }
    html(out, "<tr><td>%r</td><td><bdi>%t</bdi></td><td>", words[what], blueprint);
    if (what == CHANGE_DELETED)
        html(out, "<bdi>%t</bdi>", identifier);
    else
        page_entity_link(out, blueprint, identifier, STR_NULL);
    buf_adds(out, "</td></tr>");
    return 0;
}

int page_resync(struct work *w)
{
    struct listing changes = {.w = w}, keys = {.w = w};
    size_t n = 0;
    int64_t id = integration_find(w, w->seg[0], BY_IDENTIFIER);
    struct str event = w->seg[1];
    if (!id)
        return -1;
    page_begin(w, SECTION_INTEGRATIONS, STR("Resync"), false);
    html(&w->out, "<p>of <a href=\"/integrations/%u\"><bdi>%t</bdi></a> \xc2\xb7 <code><bdi>%t</bdi></code></p>",
         w->seg[0], w->seg[0], event);
    if (changes_each(w->k, w->seg[0], event, 1, head_of, &changes, &w->r) < 0 || kinds(w, id, event, &n) < 0 ||
        (changes.n && changes_keys(w->k, event, key_row, &keys, &w->r) < 0))
        return -1;
    if (!n && !changes.n) {
        buf_reset(&w->out);
        return refuse(&w->r, 404, "not_found", "There is no resync \"%.*s\" on record", STR_FMT(event));
    }
    if (keys.n)
        html(&w->out, PAGE_TABLE_END "<p class=\"none\">The first %n changes of a resync are kept.</p>",
             (int64_t)CHANGES_KEYS);
    else
        buf_adds(&w->out, "<p>It changed nothing.</p>");
    page_end(w, str_of(arena_printf(w->a, "/_local/changes?event=%s", page_encoded(w, event))));
    return 0;
}
