/* Crash fuzzer of the search language (port-api 12): an input is the JSON of a query, run against a small catalog in
 * memory, once over everything and once over one blueprint. Nothing may crash, hang or leak; a query that is refused is
 * refused with 422, and every entity that is found is written as JSON. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "catalog/search.h"
#include "catalog/write.h"
#include "json/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const blueprints[] = {
    "{\"identifier\":\"crew\",\"title\":\"Crew\",\"schema\":{\"properties\":{\"mail\":{\"type\":\"string\"},\"size\":{\"type\":"
    "\"number\"}}},\"relations\":{}}",
    "{\"identifier\":\"dock\",\"title\":\"Dock\",\"schema\":{\"properties\":{\"lang\":{\"type\":\"string\"},\"stars\":{\"type\":"
    "\"number\"},\"live\":{\"type\":\"boolean\"},\"seen\":{\"type\":\"string\",\"format\":\"date-time\"},\"tags\":{\"type\":"
    "\"array\"},\"meta\":{\"type\":\"object\"}}},\"relations\":{\"owner\":{\"target\":\"crew\"},\"uses\":{\"target\":\"dock\","
    "\"many\":true}}}",
};
static const struct {
    const char *blueprint, *text;
} entities[] = {
    {"crew", "{\"identifier\":\"red\",\"title\":\"Red\",\"team\":[\"a\",\"b\"],\"properties\":{\"mail\":\"r@x.io\",\"size\":3}}"},
    {"crew", "{\"identifier\":\"blue\",\"properties\":{\"size\":9007199254740993}}"},
    {"dock", "{\"identifier\":\"d1\",\"title\":\"One\",\"properties\":{\"lang\":\"c\",\"stars\":1.10,\"live\":true,\"seen\":"
             "\"2030-01-02T03:04:05Z\",\"tags\":[\"x\",1,null],\"meta\":{\"a\":{\"b\":1}}},\"relations\":{\"owner\":\"red\"}}"},
    {"dock", "{\"identifier\":\"d2\",\"properties\":{\"lang\":null,\"stars\":-0},\"relations\":{\"uses\":[\"d1\"]}}"},
};

static struct loop *loop;
static struct db *db;
static struct core core;

struct job {
    struct db_job job; /* first */
    struct str text;
    bool setup;
};

static int found(void *arg, const struct blueprint *b, struct row *row, struct refusal *r)
{
    struct projection *all = arg;
    struct json_doc *doc = NULL;
    struct buf out;
    buf_init(&out, 1 << 20);
    if (entity_write_json(&core, b, row, all, &out, r) < 0 || json_parse(buf_str(&out), &doc, NULL) < 0)
        abort();
    json_unref(doc);
    buf_done(&out);
    return 0;
}

static void search(struct str text, const struct blueprint *only)
{
    struct json_doc *doc = NULL;
    struct refusal r = {0};
    struct projection all;
    struct arena *a = arena_new(0);
    projection_all(&all, a);
    if (json_parse(text, &doc, NULL) == 0) {
        struct query *q = query_compile(&core, a, json_root(doc), QUERY_SEARCH, &r);
        if (!q && r.status != 422)
            abort();
        if (q && query_run(&core, q, only, false, found, &all, &r) < 0 && r.status >= 500)
            abort();
    }
    json_unref(doc);
    arena_free(a);
}

static void fill(void)
{
    struct refusal r = {0};
    struct arena *a = arena_new(0);
    struct json_doc *doc;
    if (core_seed(&core, &r) < 0)
        abort();
    int64_t client = dict_put(&core, core.clients, STR("fuzz"), &r);
    int64_t datasource = dict_put(&core, core.datasources, STR("port-ocean/x/1/y/exporter"), &r);
    for (size_t i = 0; i < sizeof(blueprints) / sizeof(blueprints[0]); i++) {
        if (json_parse(str_of(blueprints[i]), &doc, NULL) < 0 || blueprint_create(&core, json_root(doc), client, &r) < 0)
            abort();
        json_unref(doc);
    }
    for (size_t i = 0; i < sizeof(entities) / sizeof(entities[0]); i++) {
        struct write_options o = {.now = core_now(&core), .client = client, .datasource = datasource, .upsert = true};
        struct written done;
        struct blueprint *b = blueprint_find(&core, str_of(entities[i].blueprint), &r);
        if (!b || json_parse(str_of(entities[i].text), &doc, NULL) < 0 ||
            entity_write(&core, b, json_root(doc), &o, a, &done, &r) < 0)
            abort();
        json_unref(doc);
    }
    arena_free(a);
}

static int run(struct db *d, struct sqlite3 *h, struct db_job *job)
{
    struct job *j = (struct job *)job;
    struct refusal r = {0};
    core.db = d;
    core.h = h;
    if (j->setup) {
        fill();
    } else {
        search(j->text, NULL);
        search(j->text, blueprint_find(&core, STR("dock"), &r));
    }
    return 0;
}

static void start(void)
{
    struct db_opts o = {.path = ":memory:", .migrations = catalog_migrations, .application_id = CATALOG_APPLICATION_ID};
    struct job setup = {.job = {.run = run, .writes = true}, .setup = true};
    struct err e = {0};
    log_set_level("critical");
    loop = loop_new();
    core_init(&core);
    if (db_open(loop, &o, &db, &e) < 0 || db_call(db, &setup.job) < 0) {
        fprintf(stderr, "%s %s\n", e.msg, setup.job.err.msg);
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!db)
        start();
    struct job j = {.job = {.run = run, .writes = true}, .text = {(const char *)data, size}};
    db_call(db, &j.job);
    return 0;
}
