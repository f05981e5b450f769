/* Values as people read them. A definition gives type and format; without one the value speaks for itself. */
#include "catalog/page/page.h"

#include "catalog/journal.h"
#include "json/write.h"

#define TAGS_MAX 50
#define TEXT_MAX 4000
#define FOLDED_MAX 20000

void page_table(struct buf *out, const char *titles)
{
    struct str rest = str_of(titles);
    buf_adds(out, "<div class=\"scroll\" tabindex=\"0\"><table><thead><tr>");
    while (rest.p) {
        struct str title = str_split(rest, '|', &rest);
        bool number = str_ends(title, STR("#"));
        title.n -= number;
        if (title.n)
            html(out, "<th scope=\"col\"%r>%t</th>", number ? " class=\"num\"" : "", title);
        else
            buf_adds(out, "<td></td>");
    }
    buf_adds(out, "</tr></thead><tbody>");
}

void page_nothing(struct buf *out) { buf_adds(out, "<span class=\"none\" title=\"no value\">\xe2\x80\x94</span>"); }

void page_entity_link(struct buf *out, struct str blueprint, struct str identifier, struct str text)
{
    html(out, "<a href=\"/blueprints/%u/entities/%u\"><bdi>", blueprint, identifier);
    html_cut(out, text.n ? text : identifier, CELL_BYTES);
    buf_adds(out, "</bdi></a>");
}

/* Long pages cut harder, so that a page of 1 MB strings stays a page. */
static size_t room(const struct buf *out, size_t wanted)
{
    return out->n < PAGE_BYTES / 2 ? wanted : out->n < PAGE_BYTES ? wanted / 8 : 40;
}

void page_folded(struct buf *out, const char *summary, struct str text)
{
    html(out, "<details><summary>%c</summary><pre tabindex=\"0\">", summary);
    html_cut(out, text, room(out, FOLDED_MAX));
    buf_adds(out, "</pre></details>");
}

static void count_of(struct buf *out, struct json v)
{
    bool list = json_is_arr(v);
    size_t n = json_len(v);
    html(out, "%n %c", (int64_t)n, list ? (n == 1 ? "element" : "elements") : (n == 1 ? "member" : "members"));
}

void page_cell(struct buf *out, struct json v)
{
    struct buf text;
    switch (json_type(v)) {
    case JSON_MISSING:
    case JSON_NULL: page_nothing(out); return;
    case JSON_TRUE: buf_adds(out, "yes"); return;
    case JSON_FALSE: buf_adds(out, "no"); return;
    case JSON_NUMBER: html(out, "<span class=\"num\">%t</span>", json_num_text(v)); return;
    case JSON_STRING:
        buf_adds(out, "<bdi>");
        html_cut(out, json_str(v), room(out, CELL_BYTES));
        buf_adds(out, "</bdi>");
        return;
    default:
        buf_init(&text, 4096);
        json_excerpt(&text, v, CELL_BYTES);
        html(out, "<code><bdi>%t</bdi></code>", buf_str(&text));
        buf_done(&text);
    }
}

static bool safe_link(struct str s) { return str_starts(s, STR("https://")) || str_starts(s, STR("http://")); }

static void text_value(struct buf *out, struct str format, struct str s)
{
    size_t max = room(out, TEXT_MAX);
    if ((str_is(format, "url") || !format.n) && safe_link(s) && s.n < 2000) {
        html(out, "<a href=\"%t\" rel=\"noreferrer noopener\"><bdi>%t</bdi></a>", s, s);
    } else if (str_is(format, "email") && s.n < 300) {
        html(out, "<a href=\"mailto:%t\"><bdi>%t</bdi></a>", s, s);
    } else if (str_is(format, "date-time")) {
        html(out, "<time datetime=\"%t\">%t</time>", s, s);
    } else if (str_is(format, "markdown") || str_is(format, "yaml") || (s.n && memchr(s.p, '\n', s.n))) {
        buf_adds(out, "<pre tabindex=\"0\"><bdi>");
        html_cut(out, s, max);
        buf_adds(out, "</bdi></pre>");
    } else if (!s.n) {
        buf_adds(out, "<span class=\"none\">empty text</span>");
    } else {
        buf_adds(out, "<bdi>");
        html_cut(out, s, max);
        buf_adds(out, "</bdi>");
    }
    if (s.n > max)
        html(out, " <span class=\"none\">(%n bytes in all)</span>", (int64_t)s.n);
}

static bool all_scalars(struct json v)
{
    for (struct json_iter it = json_iter(v); json_next(&it);)
        if (json_is_obj(it.val) || json_is_arr(it.val))
            return false;
    return true;
}

static void tags(struct buf *out, struct json v)
{
    size_t n = 0;
    buf_adds(out, "<ul class=\"tags\">");
    for (struct json_iter it = json_iter(v); json_next(&it) && n < TAGS_MAX && out->n < PAGE_BYTES; n++) {
        buf_adds(out, "<li>");
        page_cell(out, it.val);
        buf_adds(out, "</li>");
    }
    buf_adds(out, "</ul>");
    if (json_len(v) > n)
        html(out, "<span class=\"none\">and %n more</span>", (int64_t)(json_len(v) - n));
}

void page_value(struct buf *out, struct json definition, struct json v)
{
    struct buf text, summary;
    if (json_is_str(v)) {
        text_value(out, json_str(json_get_c(definition, "format")), json_str(v));
    } else if (json_is_arr(v) && json_len(v) && all_scalars(v)) {
        tags(out, v);
    } else if (json_is_obj(v) || json_is_arr(v)) {
        buf_init(&text, BUF_NO_LIMIT);
        buf_init(&summary, 256);
        json_write_pretty(&text, v);
        count_of(&summary, v);
        page_folded(out, buf_cstr(&summary), buf_str(&text));
        buf_done(&summary);
        buf_done(&text);
    } else {
        page_cell(out, v);
    }
}

void page_effects(struct buf *out, const struct journal_line *l)
{
    const struct {
        unsigned n;
        const char *word;
    } parts[] = {{l->created, "created"},
                 {l->updated, "updated"},
                 {l->unchanged, "unchanged"},
                 {l->deleted, "deleted"},
                 {l->cascaded, "deleted with them"},
                 {l->failed, "refused"}};
    bool any = false;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (!parts[i].n)
            continue;
        html(out, "%r%n %r", any ? ", " : "", (int64_t)parts[i].n, parts[i].word);
        any = true;
    }
}

const char *page_encoded(struct work *w, struct str s)
{
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    url_encode(&b, s);
    const char *text = arena_printf(w->a, "%s", buf_cstr(&b));
    buf_done(&b);
    return text;
}
