/* The entities of a blueprint as a table: filtered, sorted, a page at a time.
 *
 * In the order of identifiers a page begins where the last one ended (keyset), so it costs the same at the end of a
 * million as at the start. A filter finds identifiers that begin with the text through the index, then titles that
 * begin with it; "anywhere" looks into the whole entity. What has to read row after row stops after PAGE_BUDGET_US and
 * offers to go on from there. Sorting by something else reads the whole blueprint (order.c) and is offered up to
 * ORDER_MAX entities. */
#include "catalog/page/order.h"
#include "catalog/page/page.h"

#include "base/clock.h"
#include "json/scan.h"

#define COLUMNS_MAX 6

enum phase { BY_PREFIX, BY_TITLE, ANYWHERE };

struct list {
    struct work *w;
    struct blueprint *b;
    struct str text, from, sort, owner;
    enum phase phase;
    bool descending;
    int64_t page, owner_id, total;
    /* result */
    size_t rows;
    struct str last;
    bool more, late;
    uint64_t deadline_ns;
};

/* The way in ------------------------------------------------------------------------------------------------------ */

static int read_request(struct list *l)
{
    struct work *w = l->w;
    struct str word;
    l->b = blueprint_find(w->k, w->seg[0], &w->r);
    if (!l->b || blueprint_count(w->k, l->b, &l->total, &w->r) < 0 || work_number(w, "page", 0, &l->page) < 0)
        return -1;
    work_param(w, "q", 0, &l->text);
    work_param(w, "from", 0, &l->from);
    work_param(w, "sort", 0, &l->sort);
    work_param(w, "owner", 0, &l->owner);
    if (work_param(w, "in", 0, &word))
        l->phase = str_is(word, "anywhere") ? ANYWHERE : str_is(word, "title") ? BY_TITLE : BY_PREFIX;
    l->descending = work_param(w, "desc", 0, &word);
    if (l->owner.n &&
        q_int(w->k, &w->r, &l->owner_id, -1, "SELECT id FROM datasource WHERE text = ?", "t", l->owner) < 0)
        return -1;
    l->page = l->page < 0 ? 0 : l->page;
    l->deadline_ns = clock_mono_ns() + PAGE_BUDGET_US * 1000ull;
    return 0;
}

/* A link to this page with one thing changed. */
static void link_to(struct list *l, const char *in, struct str from, struct str sort, bool descending, int64_t page)
{
    struct buf *out = &l->w->out;
    html(out, "/blueprints/%u/entities?", l->b->identifier);
    if (l->text.n)
        html(out, "q=%u&amp;", l->text);
    if (in)
        html(out, "in=%r&amp;", in);
    if (l->owner.n)
        html(out, "owner=%u&amp;", l->owner);
    if (from.n)
        html(out, "from=%u&amp;", from);
    if (sort.n)
        html(out, "sort=%u&amp;%r", sort, descending ? "desc=1&amp;" : "");
    if (page)
        html(out, "page=%d", page);
}

static const char *phase_name(enum phase p) { return p == ANYWHERE ? "anywhere" : p == BY_TITLE ? "title" : NULL; }

/* Rows ------------------------------------------------------------------------------------------------------------ */

static bool contains(struct str s, struct str what)
{
    if (!what.n)
        return true;
    for (size_t i = 0; i + what.n <= s.n; i++)
        if ((s.p[i] | 32) == (what.p[0] | 32) && str_ieq((struct str){s.p + i, what.n}, what))
            return true;
    return false;
}

/* By the title's JSON text, which every row pays for. */
static bool title_begins(struct str json, struct str what)
{
    return json.n > what.n && str_ieq((struct str){json.p + 1, what.n}, what);
}

static bool wanted(struct list *l, struct row *row)
{
    if (l->owner.n && row->datasource != l->owner_id)
        return false;
    switch (l->phase) {
    case BY_PREFIX: return true; /* the index saw to it */
    case BY_TITLE:
        return title_begins(json_scan_member(row->body, STR("title")), l->text) &&
               !str_starts(row->identifier, l->text);
    default: return contains(row->identifier, l->text) || contains(row->body, l->text) || contains(row->rel, l->text);
    }
}

static void relation_links(struct buf *out, const struct relation *r, struct json v)
{
    size_t n = 0, all = json_is_arr(v) ? json_len(v) : 1;
    if (json_is_str(v)) {
        page_entity_link(out, r->target, json_str(v), STR_NULL);
        return;
    }
    if (!json_is_arr(v) || !json_len(v)) {
        page_nothing(out);
        return;
    }
    for (struct json_iter it = json_iter(v); n < 3 && json_next(&it); n++) {
        buf_adds(out, n ? ", " : "");
        page_entity_link(out, r->target, json_str(it.val), STR_NULL);
    }
    if (all > n)
        html(out, " <span class=\"none\">and %n more</span>", (int64_t)(all - n));
}

/* Created by Port as the target of a relation, never written itself. */
static bool is_bare(struct row *row)
{
    struct json body = row_body(row), properties = json_get_c(body, "properties");
    return !json_len(properties) && !json_len(row_rel(row));
}

static void table_row(struct list *l, struct row *row)
{
    struct buf *out = &l->w->out;
    struct json body = row_body(row), properties = json_get_c(body, "properties");
    struct str title = json_str(json_get_c(body, "title"));
    buf_adds(out, "<tr><th scope=\"row\">");
    page_entity_link(out, l->b->identifier, row->identifier, STR_NULL);
    if (is_bare(row))
        buf_adds(out, " <span class=\"tag\" title=\"has neither properties nor relations: probably created as the "
                      "target of a relation\">bare</span>");
    buf_adds(out, "</th><td><bdi>");
    html_cut(out, title, CELL_BYTES);
    buf_adds(out, "</bdi></td>");
    for (size_t i = 0; i < l->b->nproperties && i < COLUMNS_MAX; i++) {
        buf_adds(out, "<td>");
        page_cell(out, json_get(properties, l->b->properties[i].name));
        buf_adds(out, "</td>");
    }
    for (size_t i = 0; i < l->b->nrelations && i < COLUMNS_MAX; i++) {
        buf_adds(out, "<td>");
        relation_links(out, &l->b->relations[i], row_relation(row, l->b->relations[i].name));
        buf_adds(out, "</td>");
    }
    buf_adds(out, "<td>");
    html_ago(out, row->updated_at, core_now(l->w->k));
    buf_adds(out, "</td></tr>");
}

/* Takes rows of an open statement until the page is full or the time is over. */
static int take_rows(struct list *l, struct sqlite3_stmt *s)
{
    struct row row = {0};
    size_t seen = 0;
    int rc;
    l->more = l->late = false;
    while ((rc = q_row(l->w->k, s, &l->w->r)) > 0) {
        row_read(&row, s);
        if (l->rows == PAGE_ROWS) {
            l->more = true;
            q_close(s);
            break;
        }
        if (wanted(l, &row)) {
            table_row(l, &row);
            l->rows++;
        }
        if ((l->rows == PAGE_ROWS || ++seen % 64 == 0))
            l->last = arena_str(l->w->a, row.identifier);
        if (seen % 64 == 0 && clock_mono_ns() > l->deadline_ns) {
            l->more = l->late = true;
            q_close(s);
            break;
        }
    }
    row_done(&row);
    return rc < 0 ? -1 : 0;
}

/* One lower bound, or SQLite would walk from the other: behind `from` means from its next text on. */
static int rows_by_prefix(struct list *l)
{
    struct arena *a = l->w->a;
    struct str least = l->from.n   ? str_of(arena_printf(a, "%.*s\x01", STR_FMT(l->from)))
                       : l->text.n ? l->text
                                   : STR("");
    struct str end = l->text.n ? str_of(arena_printf(a, "%.*s\xff", STR_FMT(l->text))) : STR_NULL;
    return take_rows(l, q_open(l->w->k, &l->w->r,
                               "SELECT " ROW_COLUMNS " FROM entity WHERE blueprint = ?1 AND identifier >= ?2"
                               " AND (?3 IS NULL OR identifier < ?3) ORDER BY identifier",
                               "itt", l->b->id, least, end));
}

static int rows_by_scan(struct list *l)
{
    return take_rows(l, q_open(l->w->k, &l->w->r,
                               "SELECT " ROW_COLUMNS
                               " FROM entity WHERE blueprint = ?1 AND identifier > ?2 ORDER BY identifier",
                               "it", l->b->id, l->from.n ? l->from : STR("")));
}

static int rows_sorted(struct list *l)
{
    struct row row = {0};
    struct ids ids = {0};
    int rc = order_rows(l->w, l->b, l->sort, l->descending, &ids);
    size_t first = (size_t)l->page * PAGE_ROWS;
    for (size_t i = first; rc == 0 && i < ids.n && i < first + PAGE_ROWS; i++) {
        rc = row_by_id(l->w->k, ids.p[i], l->w->a, &row, &l->w->r);
        if (rc > 0 && (!l->owner.n || row.datasource == l->owner_id)) {
            table_row(l, &row);
            l->rows++;
        }
        rc = rc < 0 ? -1 : 0;
    }
    l->more = first + PAGE_ROWS < ids.n;
    row_done(&row);
    ids_done(&ids);
    return rc;
}

static int rows(struct list *l)
{
    if (l->sort.n && l->total <= ORDER_MAX && !l->text.n)
        return rows_sorted(l);
    if (l->phase == ANYWHERE || (l->phase == BY_TITLE && l->text.n))
        return rows_by_scan(l);
    l->phase = BY_PREFIX;
    if (rows_by_prefix(l) < 0 || !l->text.n || l->rows == PAGE_ROWS)
        return l->w->r.status ? -1 : 0;
    l->phase = BY_TITLE; /* room is left: titles */
    l->from = STR_NULL;
    return rows_by_scan(l);
}

/* Around the rows ------------------------------------------------------------------------------------------------- */

static void column(struct list *l, const char *shown, struct str name)
{
    struct buf *out = &l->w->out;
    bool here = l->sort.n && str_eq(l->sort, name);
    buf_adds(out, "<th scope=\"col\"");
    if (here)
        html(out, " aria-sort=\"%r\"", l->descending ? "descending" : "ascending");
    buf_addc(out, '>');
    if (l->total <= ORDER_MAX && !l->text.n) {
        buf_adds(out, "<a href=\"");
        link_to(l, NULL, STR_NULL, name, here && !l->descending, 0);
        buf_adds(out, "\"><bdi>");
        html_cut(out, str_of(shown), 40);
        html(out, "</bdi>%r</a>", here ? (l->descending ? " \xe2\x86\x93" : " \xe2\x86\x91") : "");
    } else {
        buf_adds(out, "<bdi>");
        html_cut(out, str_of(shown), 40);
        buf_adds(out, "</bdi>");
    }
    buf_adds(out, "</th>");
}

static void head(struct list *l)
{
    struct json defs = json_path(json_root(l->b->doc), STR("schema.properties"));
    struct json rels = json_get_c(json_root(l->b->doc), "relations");
    buf_adds(&l->w->out, "<div class=\"scroll\" tabindex=\"0\"><table class=\"grid\"><thead><tr>");
    column(l, "Identifier", STR("$identifier"));
    column(l, "Title", STR("$title"));
    for (size_t i = 0; i < l->b->nproperties && i < COLUMNS_MAX; i++) {
        struct str title = json_str(json_get_c(json_get(defs, l->b->properties[i].name), "title"));
        column(l, arena_printf(l->w->a, "%.*s", STR_FMT(title.n ? title : l->b->properties[i].name)),
               l->b->properties[i].name);
    }
    for (size_t i = 0; i < l->b->nrelations && i < COLUMNS_MAX; i++) {
        struct str title = json_str(json_get_c(json_get(rels, l->b->relations[i].name), "title"));
        html(&l->w->out, "<th scope=\"col\"><bdi>");
        html_cut(&l->w->out, title.n ? title : l->b->relations[i].name, 40);
        buf_adds(&l->w->out, "</bdi></th>");
    }
    column(l, "Updated", STR("$updatedAt"));
    buf_adds(&l->w->out, "</tr></thead><tbody>");
}

static int owner_choice(struct list *l)
{
    struct sqlite3_stmt *s = q_open(l->w->k, &l->w->r, "SELECT text FROM datasource ORDER BY text LIMIT 50", "");
    size_t n = 0;
    int rc;
    while ((rc = q_row(l->w->k, s, &l->w->r)) > 0) {
        struct str text = q_text(s, 0);
        if (n++ == 0)
            buf_adds(&l->w->out, "<label>Written by <select name=\"owner\"><option value=\"\">anyone</option>");
        html(&l->w->out, "<option value=\"%t\"%r>", text, str_eq(text, l->owner) ? " selected" : "");
        html_cut(&l->w->out, text, 60);
        buf_adds(&l->w->out, "</option>");
    }
    if (n)
        buf_adds(&l->w->out, "</select></label>");
    return rc;
}

static int form(struct list *l)
{
    html(&l->w->out,
         "<form class=\"filter\" role=\"search\" method=\"get\" action=\"/blueprints/%u/entities\"><label>Filter "
         "<input type=\"search\" name=\"q\" value=\"%t\" data-filter placeholder=\"identifier or title begins "
         "with\"></label><label class=\"check\"><input type=\"checkbox\" name=\"in\" value=\"anywhere\"%r> anywhere in "
         "the entity</label>",
         l->b->identifier, l->text, l->phase == ANYWHERE ? " checked" : "");
    if (owner_choice(l) < 0)
        return -1;
    buf_adds(&l->w->out, "<button>Filter</button></form>");
    return 0;
}

static void after(struct list *l)
{
    struct buf *out = &l->w->out;
    bool sorted = l->sort.n && l->total <= ORDER_MAX && !l->text.n;
    buf_adds(out, PAGE_TABLE_END);
    if (!l->rows)
        html(out, "<p>%r</p>",
             l->late     ? "Nothing found so far."
             : l->text.n ? "Nothing matches the filter."
                         : "There are none.");
    buf_adds(out, "<p class=\"pager\">");
    if (sorted && l->page) {
        buf_adds(out, "<a rel=\"prev\" href=\"");
        link_to(l, NULL, STR_NULL, l->sort, l->descending, l->page - 1);
        buf_adds(out, "\">Previous page</a> ");
    } else if (l->from.n || (l->phase == BY_TITLE && l->more)) {
        buf_adds(out, "<a rel=\"first\" href=\"");
        link_to(l, l->phase == ANYWHERE ? "anywhere" : NULL, STR_NULL, STR_NULL, false, 0);
        buf_adds(out, "\">From the start</a> ");
    }
    if (l->more) {
        buf_adds(out, "<a rel=\"next\" href=\"");
        if (sorted)
            link_to(l, NULL, STR_NULL, l->sort, l->descending, l->page + 1);
        else
            link_to(l, phase_name(l->phase), l->last, STR_NULL, false, 0);
        html(out, "\">%r</a>", l->late ? "Search on from here" : "Next page");
    }
    buf_adds(out, "</p></div>");
    if (l->sort.n && l->total > ORDER_MAX)
        html(out, "<p class=\"none\">Sorted by identifier: other orders are offered up to %n entities.</p>",
             (int64_t)ORDER_MAX);
}

int page_entities(struct work *w)
{
    struct list l = {.w = w};
    if (read_request(&l) < 0)
        return -1;
    struct str title = json_str(json_get_c(json_root(l.b->doc), "title"));
    page_begin(w, SECTION_BLUEPRINTS, title.n ? title : l.b->identifier, false);
    html(&w->out, "<p>%n %c \xc2\xb7 <a href=\"/blueprints/%u\">the blueprint</a></p>", l.total,
         l.total == 1 ? "entity" : "entities", l.b->identifier);
    if (form(&l) < 0)
        return -1;
    buf_adds(&w->out, "<div id=\"results\" aria-live=\"polite\">");
    head(&l);
    if (rows(&l) < 0)
        return -1;
    after(&l);
    page_end(w, str_of(arena_printf(w->a, "/_local/entities?blueprint=%s&limit=%d", page_encoded(w, l.b->identifier),
                                    PAGE_ROWS)));
    return 0;
}
