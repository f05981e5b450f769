/* A resync is a set of metric documents, one a kind, that share an event id. */
#include "catalog/page/metrics.h"

#include "catalog/integration.h"
#include "catalog/page/page.h"

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

static int64_t count_of(struct json metrics, enum count c)
{
    return (int64_t)json_double(json_path(metrics, str_of(paths[c])));
}

static void state_cell(struct buf *out, struct str state)
{
    html(out, "<td class=\"%r\">%t</td>",
         str_is(state, "completed") ? "good"
         : str_is(state, "failed")  ? "bad"
         : str_is(state, "aborted") ? "warn"
                                    : "",
         state.n ? state : STR("unknown"));
}

static void resync_row(struct work *w, struct str identifier, struct str event, int64_t began, int64_t ended,
                       struct str state, const int64_t *sums)
{
    struct buf *out = &w->out;
    html(out, "<tr><th scope=\"row\"><a href=\"/integrations/%u/resyncs/%u\">", identifier, event);
    html_ago(out, began, core_now(w->k));
    buf_adds(out, "</a></th>");
    state_cell(out, state);
    buf_adds(out, "<td class=\"num\">");
    html_duration(out, ended - began);
    buf_adds(out, "</td>");
    for (int c = 0; c < COUNTS; c++)
        html(out, "<td class=\"num\">%n</td>", sums[c]);
    buf_adds(out, "</tr>");
}

int page_resyncs(struct work *w, int64_t integration, struct str identifier, int limit)
{
    struct sqlite3_stmt *s =
        q_open(w->k, &w->r,
               "SELECT m.event, m.kind, m.data, r.began, r.ended FROM metric m JOIN (SELECT event, MIN(created_at) AS "
               "began, MAX(updated_at) AS ended FROM metric WHERE integration = ?1 GROUP BY event ORDER BY began DESC "
               "LIMIT ?2) r ON m.event = r.event WHERE m.integration = ?1 ORDER BY r.began DESC, m.event, m.kind",
               "ii", integration, (int64_t)limit);
    struct str event = STR_NULL, state = STR_NULL;
    int64_t sums[COUNTS] = {0}, began = 0, ended = 0;
    int rc;
    while ((rc = q_row(w->k, s, &w->r)) > 0) {
        struct json_doc *doc = NULL;
        if (!event.p) {
            buf_adds(&w->out, "<h2 id=\"resyncs\">Resyncs</h2>");
            page_table(&w->out, "Began|State|Took#" COUNT_HEADS);
        }
        if (event.p && !str_eq(event, q_text(s, 0))) {
            resync_row(w, identifier, event, began, ended, state, sums);
            memset(sums, 0, sizeof(sums));
            event = STR_NULL;
        }
        if (!event.p) {
            event = arena_str(w->a, q_text(s, 0));
            state = STR_NULL;
        }
        began = q_num(s, 3);
        ended = q_num(s, 4);
        if (json_parse(q_text(s, 2), &doc, NULL) == 0) {
            struct str own = json_str(json_get_c(json_root(doc), "syncState"));
            bool whole = str_is(q_text(s, 1), "__runtime__") || str_is(q_text(s, 1), "__resync__");
            if (whole || !state.p)
                state = arena_str(w->a, own);
            for (int c = 0; c < COUNTS && !whole; c++)
                sums[c] += count_of(json_get_c(json_root(doc), "metrics"), c);
        }
        json_unref(doc);
    }
    if (event.p) {
        resync_row(w, identifier, event, began, ended, state, sums);
        buf_adds(&w->out, PAGE_TABLE_END);
    }
    return rc;
}

static int kind_rows(struct work *w, int64_t integration, struct str event, size_t *n)
{
    struct buf *out = &w->out;
    struct sqlite3_stmt *s = q_open(
        w->k, &w->r, "SELECT kind, data FROM metric WHERE integration = ? AND event = ? ORDER BY created_at, kind",
        "it", integration, event);
    int rc;
    while ((rc = q_row(w->k, s, &w->r)) > 0) {
        struct json_doc *doc = NULL;
        if (json_parse(q_text(s, 1), &doc, NULL) < 0)
            continue;
        struct json metrics = json_get_c(json_root(doc), "metrics");
        html(out, "<tr><th scope=\"row\"><bdi>%t</bdi></th>", q_text(s, 0));
        state_cell(out, json_str(json_get_c(json_root(doc), "syncState")));
        buf_adds(out, "<td class=\"num\">");
        html_duration(out, (int64_t)(json_double(json_path(metrics, STR("phase.resync.duration_seconds"))) * 1e6));
        buf_adds(out, "</td>");
        for (int c = 0; c < COUNTS; c++)
            html(out, "<td class=\"num\">%n</td>", count_of(metrics, c));
        buf_adds(out, "</tr>");
        json_unref(doc);
        ++*n;
    }
    return rc;
}

int page_resync(struct work *w)
{
    size_t n = 0;
    int64_t id = integration_find(w, w->seg[0], BY_IDENTIFIER);
    struct str event = w->seg[1];
    if (!id)
        return -1;
    page_begin(w, SECTION_INTEGRATIONS, STR("Resync"), false);
    html(&w->out, "<p>of <a href=\"/integrations/%u\"><bdi>%t</bdi></a> \xc2\xb7 <code><bdi>%t</bdi></code></p>",
         w->seg[0], w->seg[0], event);
    buf_adds(&w->out, "<h2>By kind</h2>");
    page_table(&w->out, "Kind|State|Took#" COUNT_HEADS);
    if (kind_rows(w, id, event, &n) < 0)
        return -1;
    buf_adds(&w->out, PAGE_TABLE_END);
    if (!n)
        return refuse(&w->r, 404, "not_found", "There is no resync \"%.*s\" on record", STR_FMT(event));
    page_end(w, STR_NULL);
    return 0;
}
