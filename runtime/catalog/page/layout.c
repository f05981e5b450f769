/* What surrounds every page: head, navigation, foot; the style and script files; refusals as pages.
 *
 * No outside resource, no inline style or script: the Content-Security-Policy allows this server's own files alone, so
 * markup that slipped through anywhere would still do nothing. */
#include "catalog/page/page.h"

#include "base/mem.h"
#include "catalog/catalog_priv.h"

#include "catalog/page/embed.h"

static const struct {
    enum page_section section;
    const char *path, *text;
} navigation[] = {
    {SECTION_OVERVIEW, "/", "Overview"},
    {SECTION_BLUEPRINTS, "/blueprints", "Blueprints"},
    {SECTION_INTEGRATIONS, "/integrations", "Integrations"},
    {SECTION_JOURNAL, "/journal", "Requests"},
    {SECTION_PLAYGROUND, "/playground", "Playground"},
};

void page_headers(struct work *w, const char *type)
{
    static const struct http_header headers[] = {
        {STR("Content-Security-Policy"),
         STR("default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
             "form-action 'self'; base-uri 'none'; frame-ancestors 'none'")},
        {STR("X-Content-Type-Options"), STR("nosniff")},
        {STR("Referrer-Policy"), STR("same-origin")},
        {STR("Cache-Control"), STR("no-store")},
    };
    w->type = type;
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]) && w->nheaders < ARRAY_LEN(w->headers); i++)
        w->headers[w->nheaders++] = headers[i];
}

void page_begin(struct work *w, enum page_section section, struct str title, bool live)
{
    struct buf *out = &w->out;
    page_headers(w, "text/html; charset=utf-8");
    html(out,
         "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>%t \xc2\xb7 ocean "
         "catalog</title><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><link rel=\"icon\" "
         "href=\"data:,\"><link rel=\"stylesheet\" href=\"/page.css\"><script src=\"/page.js\" defer></script>",
         title);
    if (live)
        buf_adds(out, "<noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>");
    buf_adds(out, "</head><body><a class=\"skip\" href=\"#main\">Skip to content</a><header><a class=\"home\" "
                  "href=\"/\">ocean <b>catalog</b></a><nav aria-label=\"Sections\"><ul>");
    for (size_t i = 0; i < sizeof(navigation) / sizeof(navigation[0]); i++) {
        if (navigation[i].section == SECTION_PLAYGROUND && !w->c->evaluator)
            continue;
        html(out, "<li><a href=\"%c\"%r>%c</a></li>", navigation[i].path,
             navigation[i].section == section ? " aria-current=\"page\"" : "", navigation[i].text);
    }
    html(out, "</ul></nav></header><main id=\"main\"%r tabindex=\"-1\"><h1><bdi>", live ? " data-live=\"2000\"" : "");
    html_cut(out, title, 200);
    buf_adds(out, "</bdi></h1>");
}

void page_end(struct work *w, struct str twin)
{
    struct buf *out = &w->out;
    buf_adds(out, "</main><footer>");
    if (twin.p)
        html(out, "<a href=\"%t\">This page as JSON</a> \xc2\xb7 ", twin);
    html(out, "ocean catalog " CATALOG_VERSION " \xc2\xb7 <span class=\"path\">%c</span></footer></body></html>\n",
         w->c->file);
}

void page_refusal(struct work *w)
{
    struct str title = w->r.status == 404 ? STR("Not here") : STR("That did not work");
    w->nheaders = 0;
    page_begin(w, SECTION_NONE, title, false);
    html(&w->out, "<p class=\"bad\" role=\"alert\">%c</p><p><a href=\"/\">To the overview</a></p>", w->r.message);
    page_end(w, STR_NULL);
}

static int file(struct work *w, const unsigned char *text, size_t n, const char *type)
{
    page_headers(w, type);
    buf_add(&w->out, text, n);
    return 1;
}

int page_style_now(struct work *w) { return file(w, page_css, page_css_size, "text/css; charset=utf-8"); }
int page_script_now(struct work *w) { return file(w, page_js, page_js_size, "text/javascript; charset=utf-8"); }
