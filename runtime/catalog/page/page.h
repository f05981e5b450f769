/* page.h: the catalog's pages for people (port-api 16.5).
 *
 * Read-only HTML on the database's thread, written whole into work->out (under 200 KB: lists are paged, long values
 * cut), complete without scripts. Each page links the JSON under /_local that holds the same. What a page shows of the
 * loop thread's things (journal, faults) its `_now` function writes into work->part beforehand. */
#pragma once
#include "catalog/blueprint.h"
#include "catalog/entity.h"
#include "catalog/page/html.h"
#include "catalog/work.h"

#define PAGE_ROWS 50
#define PAGE_BUDGET_US                                                                                                 \
    150000                /* a search that reads row after row gives what it found after this, and offers to go on */
#define PAGE_BYTES 180000 /* beyond this a page cuts values short */
#define CELL_BYTES 120    /* of a value in a table */

enum page_section {
    SECTION_OVERVIEW,
    SECTION_BLUEPRINTS,
    SECTION_INTEGRATIONS,
    SECTION_RUNS,
    SECTION_JOURNAL,
    SECTION_PLAYGROUND,
    SECTION_NONE
};

/* layout.c: everything around the content. `title` is the page's heading. `live`: refreshed by itself every 2 s. */
void page_begin(struct work *w, enum page_section section, struct str title, bool live);
/* `twin`: path of the same as JSON below /_local, p NULL: none. Sets the answer's type and headers. */
void page_end(struct work *w, struct str twin);
/* A refusal (work->r) as a page. */
void page_refusal(struct work *w);
/* Content type and the headers that keep other sites and injected markup out. */
void page_headers(struct work *w, const char *type);

/* value.c: values as people read them. */
/* In a table: one line, cut. */
void page_cell(struct buf *out, struct json v);
/* On an entity's page: by type and format of the definition (missing: by the value alone). */
void page_value(struct buf *out, struct json definition, struct json v);
/* JSON text behind a <details> with that summary. */
void page_folded(struct buf *out, const char *summary, struct str text);
void page_entity_link(struct buf *out, struct str blueprint, struct str identifier, struct str text);
/* Begins a table: titles separated by '|', a '#' after those of numbers. Rows follow, then PAGE_TABLE_END. */
void page_table(struct buf *out, const char *titles);
#define PAGE_TABLE_END "</tbody></table></div>"
/* Says that there is no value. */
void page_nothing(struct buf *out);
/* "3 created, 1 deleted" of a request. */
struct journal_line;
void page_effects(struct buf *out, const struct journal_line *l);
/* Encoded for a path, with NUL, in the request's arena. */
const char *page_encoded(struct work *w, struct str s);

/* integrations.c */
int page_integration_rows(struct work *w);      /* the table of all */
int page_running(struct work *w, int64_t *ret); /* how many resync now */

/* The routes; see the table in routes.c. */
int page_style_now(struct work *w);
int page_script_now(struct work *w);
int page_overview_now(struct work *w);
int page_overview(struct work *w);
int page_blueprints(struct work *w);
int page_blueprint(struct work *w);
int page_entities(struct work *w);
int page_entity(struct work *w);
int page_integrations(struct work *w);
int page_integration(struct work *w);
int page_resync(struct work *w);
int page_journal_now(struct work *w);
int page_playground(struct work *w);
int page_evaluate_now(struct work *w);
