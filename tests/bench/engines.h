/* engines.h: one page of items mapped by ocean-run's engine and by libjq, timed.
 *
 * libjq's share is what the original does: parse the page, then for each item one execution of the compiled selector and,
 * where it passes, one of each field, first output only (itemsToParse likewise, one object per element). What libjq does
 * not compile is not run at all. Nothing is written or hashed on its side. Times are of this thread's processor. */
#pragma once
#include <jq.h>
#include <jv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/strmap.h"
#include "config/mapping_doc.h"
#include "json/json.h"
#include "json/write.h"
#include "mapping/plan.h"

struct page {
    struct str text; /* an array of items */
    size_t items;
};

static inline double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static inline void must(int rc, const struct err *e)
{
    if (rc < 0) {
        fprintf(stderr, "mapping: %s\n", e->msg);
        exit(1);
    }
}

/* Ours ------------------------------------------------------------------------------------------------------------ */

/* Parses and maps the page once; returns how many entities came out. */
static inline size_t map_page(const struct plan *p, struct page page)
{
    struct err e = {0};
    struct json_doc *doc = NULL;
    struct mapped_batch *out = NULL;
    must(json_parse(page.text, &doc, &e), &e);
    must(plan_map(p, json_root(doc), false, NULL, &out, &e), &e);
    size_t n = out->n;
    mapped_batch_free(out);
    json_unref(doc);
    return n;
}

/* libjq's --------------------------------------------------------------------------------------------------------- */

struct programs {
    jq_state *selector, *items;
    struct str items_name;
    jq_state **fields;
    size_t n;
    bool complete; /* all of it compiles there */
};

/* Each text is compiled once, which takes libjq 1.6 some 20 ms. */
static struct strmap *compiled;

static inline void be_silent(void *arg, jv message)
{
    (void)arg;
    jv_free(message);
}

static inline void drop_program(void *q)
{
    jq_state *state = q;
    jq_teardown(&state);
}

static inline jq_state *program(struct str text)
{
    if (!compiled)
        compiled = strmap_new(drop_program);
    jq_state *q = strmap_get(compiled, text);
    if (q)
        return q;
    char *copy = str_dup(text);
    q = jq_init();
    jq_set_error_cb(q, be_silent, NULL);
    if (jq_compile(q, copy))
        strmap_put(compiled, text, q);
    else
        jq_teardown(&q);
    free(copy);
    return q;
}

static inline void add_fields(struct programs *p, struct json node)
{
    for (struct json_iter it = json_iter(node); json_next(&it);) {
        if (json_is_obj(it.val) || json_is_arr(it.val)) {
            add_fields(p, it.val);
        } else if (json_is_str(it.val)) {
            jq_state *q = program(json_str(it.val));
            p->complete &= q != NULL;
            if (!q)
                continue;
            p->fields = xrealloc(p->fields, (p->n + 1) * sizeof(*p->fields));
            p->fields[p->n++] = q;
        }
    }
}

static inline struct programs programs_of(const struct mapping_resource *r)
{
    struct programs p = {.selector = program(r->query), .items_name = r->items_to_parse_name};
    p.complete = p.selector != NULL;
    if (r->items_to_parse.p) {
        p.items = program(r->items_to_parse);
        p.complete &= p.items != NULL;
    }
    add_fields(&p, r->mappings);
    return p;
}

static inline jv first_output(jq_state *q, jv in)
{
    jq_start(q, in, 0);
    return jq_next(q);
}

static inline void libjq_element(const struct programs *p, jv item)
{
    jv passed = p->selector ? first_output(p->selector, jv_copy(item)) : jv_true();
    if (jv_get_kind(passed) == JV_KIND_TRUE)
        for (size_t k = 0; k < p->n; k++)
            jv_free(first_output(p->fields[k], jv_copy(item)));
    jv_free(passed);
    jv_free(item);
}

static inline void libjq_page(const struct programs *p, struct page page)
{
    jv items = jv_parse_sized(page.text.p, (int)page.text.n);
    for (size_t i = 0; i < page.items; i++) {
        jv item = jv_array_get(jv_copy(items), (int)i);
        if (!p->items) {
            libjq_element(p, item);
            continue;
        }
        jv list = first_output(p->items, jv_copy(item));
        if (jv_get_kind(list) == JV_KIND_ARRAY) {
            jv_array_foreach(list, k, element) {
                jv key = jv_string_sized(p->items_name.p, (int)p->items_name.n);
                libjq_element(p, jv_object_set(jv_copy(item), key, element));
            }
        }
        jv_free(list);
        jv_free(item);
    }
    jv_free(items);
}
