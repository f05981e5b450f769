/* mapping: speed of the mapping engine on one core, parsing included, beside libjq in the same run.
 *
 *   mapping            prints one line per figure: entities per second, and the ratio to libjq
 *
 * Two mappings: ten plain paths over objects of 1.4 KB, and eighteen fields, three of them non-trivial, over issues of 7 KB.
 * libjq's share is what the original does: parse the item, then evaluate each expression separately. */
#include <jq.h>
#include <jv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "config/mapping_doc.h"
#include "json/json.h"
#include "mapping/plan.h"

#define PAGE 100

static const char small_mapping[] =
    "{\"resources\":[{\"kind\":\"item\",\"selector\":{\"query\":\"true\"},\"port\":{\"entity\":{\"mappings\":{"
    "\"identifier\":\".id\",\"title\":\".name\",\"blueprint\":\"\\\"item\\\"\",\"properties\":{\"url\":\".url\","
    "\"state\":\".state\",\"owner\":\".owner.login\",\"email\":\".owner.email\",\"created\":\".created_at\","
    "\"updated\":\".updated_at\",\"score\":\".score\",\"labels\":\".labels\"}}}}}]}";

static const char issue_mapping[] =
    "{\"resources\":[{\"kind\":\"issue\",\"selector\":{\"query\":\".fields.issuetype.name != \\\"Epic\\\"\"},\"port\":{\"entity\":{"
    "\"mappings\":{\"identifier\":\".key\",\"title\":\".fields.summary\",\"blueprint\":\"\\\"issue\\\"\",\"properties\":{"
    "\"url\":\"(.self | split(\\\"/\\\") | .[:3] | join(\\\"/\\\")) + \\\"/browse/\\\" + .key\",\"status\":\".fields.status.name\","
    "\"type\":\".fields.issuetype.name\",\"components\":\".fields.components\",\"assignee\":\".fields.assignee.emailAddress\","
    "\"reporter\":\".fields.reporter.emailAddress\",\"creator\":\".fields.creator.emailAddress\",\"priority\":\".fields.priority.name\","
    "\"created\":\".fields.created\",\"updated\":\".fields.updated\",\"labels\":\".fields.labels | map(ascii_downcase)\","
    "\"resolved\":\".fields.resolutiondate\",\"points\":\".fields.customfield_1\",\"sprint\":\".fields.sprint.name\"},"
    "\"relations\":{\"project\":\".fields.project.key\",\"parent\":\".fields.parent.key\","
    "\"subtasks\":\"[.fields.subtasks[] | select(.done | not) | .key]\"}}}}}]}";

static const char *const words = "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore "
                                 "et dolore magna aliqua. Ut enim ad minim veniam, quis nostrud exercitation ullamco laboris. ";

static void filler(struct buf *b, size_t bytes)
{
    for (size_t n = 0; n < bytes; n += strlen(words))
        buf_adds(b, words);
}

static void small_item(struct buf *b, int i)
{
    buf_addf(b,
             "{\"id\":\"item-%d\",\"node\":%d,\"name\":\"Item number %d\",\"state\":\"open\",\"url\":\"https://x.example/%d\",\"score\":%d.5,"
             "\"labels\":[\"a\",\"b\",\"c\"],\"owner\":{\"login\":\"u%d\",\"id\":%d,\"email\":\"u%d@example.com\",\"site\":false},"
             "\"created_at\":\"2024-01-02T03:04:05Z\",\"updated_at\":\"2025-01-02T03:04:05Z\",\"forks\":%d,\"private\":false,"
             "\"permissions\":{\"admin\":false,\"push\":true,\"pull\":true},\"description\":\"",
             i, i, i, i, i, i % 50, i, i, i);
    filler(b, 900);
    buf_adds(b, "\"}");
}

static void issue_item(struct buf *b, int i)
{
    buf_addf(b,
             "{\"key\":\"PROJ-%d\",\"id\":\"%d\",\"self\":\"https://jira.example.com/rest/api/3/issue/%d\",\"fields\":{\"summary\":\"Issue %d\","
             "\"status\":{\"name\":\"In Progress\",\"id\":\"3\",\"statusCategory\":{\"key\":\"x\",\"name\":\"y\"}},\"issuetype\":{\"name\":\"Bug\",\"id\":\"1\"},"
             "\"components\":[{\"name\":\"core\"},{\"name\":\"web\"}],\"assignee\":{\"emailAddress\":\"a%d@example.com\",\"displayName\":\"A\"},"
             "\"reporter\":{\"emailAddress\":\"r@example.com\"},\"creator\":{\"emailAddress\":\"c@example.com\"},\"priority\":{\"name\":\"High\"},"
             "\"created\":\"2024-01-02T03:04:05.000+0000\",\"updated\":\"2025-01-02T03:04:05.000+0000\",\"labels\":[\"Alpha\",\"BETA\"],"
             "\"resolutiondate\":null,\"customfield_1\":5,\"sprint\":{\"name\":\"Sprint 9\"},\"project\":{\"key\":\"PROJ\"},\"parent\":{\"key\":\"PROJ-1\"},"
             "\"subtasks\":[",
             i, i, i, i, i % 50);
    for (int k = 0; k < 8; k++)
        buf_addf(b, "%s{\"key\":\"PROJ-%d\",\"done\":%s,\"fields\":{\"summary\":\"sub\",\"status\":{\"name\":\"Open\"}}}", k ? "," : "", i + k,
                 k % 2 ? "true" : "false");
    buf_adds(b, "],\"comment\":{\"comments\":[");
    for (int k = 0; k < 6; k++) {
        buf_addf(b, "%s{\"id\":%d,\"author\":{\"emailAddress\":\"x@example.com\"},\"body\":\"", k ? "," : "", k);
        filler(b, 500);
        buf_adds(b, "\"}");
    }
    buf_adds(b, "]},\"description\":\"");
    filler(b, 1200);
    buf_adds(b, "\"}}");
}

static struct str page_of(struct buf *b, void (*item)(struct buf *, int))
{
    buf_init(b, BUF_NO_LIMIT);
    buf_addc(b, '[');
    for (int i = 0; i < PAGE; i++) {
        if (i)
            buf_addc(b, ',');
        item(b, i);
    }
    buf_addc(b, ']');
    return buf_str(b);
}

static double seconds_since(uint64_t start) { return (double)(clock_mono_ns() - start) / 1e9; }

static void must(int rc, const struct err *e)
{
    if (rc < 0) {
        fprintf(stderr, "mapping: %s\n", e->msg);
        exit(1);
    }
}

/* Entities per second of parsing and mapping `page` again and again for about a second. */
static double ours(const struct mapping_doc *m, struct str page, size_t *ret_mapped)
{
    struct err e = {0};
    struct plan *p = NULL;
    struct plan_opts o = {.env_access = true};
    atomic_bool cancel = false;
    must(plan_compile(&m->resources[0], &o, &p, &e), &e);
    size_t done = 0;
    uint64_t start = clock_mono_ns();
    do {
        struct json_doc *doc = NULL;
        struct mapped_batch *out = NULL;
        must(json_parse(page, &doc, &e), &e);
        must(plan_map(p, json_root(doc), false, &cancel, &out, &e), &e);
        *ret_mapped = out->n;
        mapped_batch_free(out);
        json_unref(doc);
        done += PAGE;
    } while (seconds_since(start) < 1);
    plan_free(p);
    return (double)done / seconds_since(start);
}

/* Every jq text of the mapping, the selector first. */
static size_t expressions(struct json node, jq_state **list, size_t n)
{
    for (struct json_iter it = json_iter(node); json_next(&it);) {
        if (!json_is_str(it.val)) {
            n = expressions(it.val, list, n);
            continue;
        }
        char *text = str_dup(json_str(it.val));
        list[n] = jq_init();
        if (!jq_compile(list[n], text))
            exit(1);
        free(text);
        n++;
    }
    return n;
}

static double theirs(const struct mapping_doc *m, struct str page)
{
    jq_state *list[64];
    char *query = str_dup(m->resources[0].query);
    list[0] = jq_init();
    if (!jq_compile(list[0], query))
        exit(1);
    free(query);
    size_t n = expressions(m->resources[0].mappings, list, 1), done = 0;
    uint64_t start = clock_mono_ns();
    do {
        jv items = jv_parse_sized(page.p, (int)page.n);
        for (int i = 0; i < PAGE; i++) {
            for (size_t k = 0; k < n; k++) {
                jq_start(list[k], jv_array_get(jv_copy(items), i), 0);
                jv_free(jq_next(list[k]));
            }
        }
        jv_free(items);
        done += PAGE;
    } while (seconds_since(start) < 1);
    for (size_t k = 0; k < n; k++)
        jq_teardown(&list[k]);
    return (double)done / seconds_since(start);
}

static void measure(const char *label, const char *mapping, void (*item)(struct buf *, int))
{
    struct err e = {0};
    struct json_doc *doc = NULL;
    struct mapping_doc *m = NULL;
    struct buf b;
    struct str page = page_of(&b, item);
    size_t mapped = 0;
    must(json_parse(str_of(mapping), &doc, &e), &e);
    must(mapping_doc_parse(json_root(doc), &m, &e), &e);
    double a = ours(m, page, &mapped), c = theirs(m, page);
    if (mapped != PAGE) {
        fprintf(stderr, "mapping: %zu of %d items were mapped\n", mapped, PAGE);
        exit(1);
    }
    printf("mapping, %s of %zu bytes: %.0f entities/s; libjq per field %.0f/s, ratio %.1f\n", label, page.n / PAGE, a, c, a / c);
    mapping_doc_free(m);
    json_unref(doc);
    buf_done(&b);
}

int main(void)
{
    measure("10 plain paths, objects", small_mapping, small_item);
    measure("18 fields, 3 non-trivial, issues", issue_mapping, issue_item);
    return 0;
}
