/* The request journal: the newest first, filtered by route, method or answer; one request with its effects. */
#include "catalog/page/page.h"

#include "catalog/catalog_priv.h"

#define LINES 100

struct listing {
    struct work *w;
    size_t n;
    uint64_t last;
};

static void line_row(void *arg, const struct journal_line *l)
{
    struct listing *x = arg;
    struct buf *out = &x->w->out;
    x->n++;
    x->last = l->seq;
    html(out, "<tr><td class=\"num\">%d</td><td>", (int64_t)l->seq);
    html_ago(out, l->at_us, core_now(x->w->k));
    html(out, "</td><td>%c</td><td><code><bdi>", l->method);
    html_cut(out, l->path, CELL_BYTES);
    buf_adds(out, "</bdi>");
    if (l->query.n) {
        buf_adds(out, "<span class=\"none\">?<bdi>");
        html_cut(out, l->query, CELL_BYTES);
        buf_adds(out, "</bdi></span>");
    }
    html(out, "</code></td><td><a href=\"/journal?route=%c\">%c</a></td><td class=\"%r\">", l->route, l->route,
         l->status >= 400 || !l->status ? "bad" : "good");
    if (l->status)
        html(out, "%d", (int64_t)l->status);
    else
        buf_adds(out, "lost");
    buf_adds(out, "</td><td class=\"num\">");
    buf_addf(out, "%.1f ms", (double)l->duration_us / 1000);
    buf_adds(out, "</td><td class=\"num\">");
    html_bytes(out, (int64_t)l->request_bytes);
    buf_adds(out, "</td><td class=\"num\">");
    html_bytes(out, (int64_t)l->response_bytes);
    buf_adds(out, "</td><td>");
    page_effects(out, l);
    if (l->faults.n)
        html(out, " <span class=\"tag\">fault <bdi>%t</bdi></span>", l->faults);
    if (l->error.n) {
        buf_adds(out, " <span class=\"bad\"><bdi>");
        html_cut(out, l->error, 300);
        buf_adds(out, "</bdi></span>");
    }
    buf_adds(out, "</td></tr>");
}

static void form(struct work *w, const struct journal_filter *f)
{
    html(&w->out,
         "<form class=\"filter\" method=\"get\" action=\"/journal\"><label>Endpoint <input name=\"route\" value=\"%t\" "
         "size=\"10\" placeholder=\"E-31\"></label><label>Method <input name=\"method\" value=\"%t\" "
         "size=\"7\"></label><label class=\"check\"><input type=\"checkbox\" name=\"failed\" value=\"1\"%r> failed "
         "only</label><button>Filter</button></form>",
         f->route, f->method, f->failed ? " checked" : "");
}

int page_journal_now(struct work *w)
{
    struct journal_filter f = {0};
    struct listing x = {.w = w};
    struct str word;
    int64_t before;
    work_param(w, "route", 0, &f.route);
    work_param(w, "method", 0, &f.method);
    f.failed = work_param(w, "failed", 0, &word);
    if (work_number(w, "before", 0, &before) < 0)
        return -1;
    if (work_param(w, "seq", 0, &word) && str_int64(word, &before))
        before++;
    page_begin(w, SECTION_JOURNAL, STR("Requests"), !before && w->c->running && w->c->running->next);
    form(w, &f);
    page_table(&w->out, "No.#|When|Method|Path|Endpoint|Answer|Time#|Sent#|Got#|Effect");
    journal_newest(w->c->journal, before > 0 ? (uint64_t)before : UINT64_MAX, LINES, &f, line_row, &x);
    buf_adds(&w->out, PAGE_TABLE_END);
    if (!x.n)
        buf_adds(&w->out, "<p>No request is on record here.</p>");
    if (x.n == LINES)
        html(&w->out,
             "<p class=\"pager\"><a rel=\"next\" href=\"/journal?before=%d&amp;route=%u&amp;method=%u%r\">Older "
             "requests</a></p>",
             (int64_t)x.last, f.route, f.method, f.failed ? "&amp;failed=1" : "");
    page_end(w, STR("/_local/journal"));
    return 1;
}
