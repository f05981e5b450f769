/* Looking at a catalog file without serving it. The file is opened read-only on a database thread of its own, so that a
 * server may be writing to it at the same time; emptying it needs it alone. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "catalog/catalog.h"
#include "catalog/dump.h"
#include "catalog/search.h"
#include "json/write.h"

struct inspection {
    struct db_job job;
    struct core core;
    const char *file, *blueprint, *identifier;
    struct buf *out;
    void (*line)(void *arg, struct str json);
    void *arg;
    int (*read)(struct inspection *x, struct refusal *r);
    const char *query;
    bool writes; /* alone, and for writing */
};

static int run(struct db *d, struct sqlite3 *h, struct db_job *job)
{
    struct inspection *x = (struct inspection *)job;
    struct refusal r = {0};
    x->core.db = d;
    x->core.h = h;
    if (x->read(x, &r) == 0)
        return 0;
    return ERR(&job->err,
               r.status == 404                      ? ERR_NOT_FOUND
               : r.status == 422 || r.status == 400 ? ERR_INVAL
                                                    : ERR_IO,
               "%s: %s", x->file, r.message);
}

static int inspect(struct inspection *x, struct err *e)
{
    struct db *db = NULL;
    struct db_opts o = {.path = x->file,
                        .migrations = catalog_migrations,
                        .application_id = CATALOG_APPLICATION_ID,
                        .read_only = !x->writes,
                        .exclusive = x->writes};
    if (access(x->file, F_OK) < 0)
        return ERR(e, ERR_NOT_FOUND, "there is no catalog at %s: run an integration with --local first", x->file);
    struct loop *loop = loop_new();
    struct err mine = {0};
    core_init(&x->core);
    x->job = (struct db_job){.run = run, .writes = x->writes};
    int rc = db_open(loop, &o, &db, &mine);
    if (rc == 0 && (rc = db_call(db, &x->job)) < 0)
        err_copy(&mine, &x->job.err);
    db_close(db);
    core_done(&x->core);
    loop_free(loop);
    if (rc < 0)
        err_copy(e, &mine);
    return rc;
}

static int read_list(struct inspection *x, struct refusal *r)
{
    struct blueprint *b;
    int64_t n, total = 0;
    struct jw w = jw_on(x->out);
    jw_obj(&w);
    jw_key_c(&w, "file");
    jw_cstr(&w, x->file);
    jw_key_c(&w, "blueprints");
    jw_arr(&w);
    for (size_t at = 0; (at = blueprint_next(&x->core, at, &b)) != 0;) {
        if (blueprint_count(&x->core, b, &n, r) < 0)
            return -1;
        total += n;
        if (n == 0 && b->identifier.n && b->identifier.p[0] == '_') /* a system blueprint nobody uses */
            continue;
        jw_obj(&w);
        jw_key_c(&w, "identifier");
        jw_str(&w, b->identifier);
        jw_key_c(&w, "title");
        jw_json(&w, json_get_c(json_root(b->doc), "title"));
        jw_key_c(&w, "entities");
        jw_int(&w, n);
        jw_end_obj(&w);
    }
    jw_end_arr(&w);
    jw_key_c(&w, "entities");
    jw_int(&w, total);
    jw_end_obj(&w);
    return 0;
}

int catalog_list(const char *file, struct buf *json_out, struct err *e)
{
    struct inspection x = {.file = file, .out = json_out, .read = read_list};
    return inspect(&x, e);
}

static int show_row(struct inspection *x, const struct blueprint *b, struct row *row, struct refusal *r)
{
    struct projection all;
    struct buf text;
    struct arena *a = arena_new(0);
    buf_init(&text, LIMIT_ANSWER);
    projection_all(&all, a);
    all.datasource = true;
    int rc = entity_write_json(&x->core, b, row, &all, &text, r);
    if (rc == 0)
        x->line(x->arg, buf_str(&text));
    buf_done(&text);
    arena_free(a);
    return rc;
}

static int read_entities(struct inspection *x, struct refusal *r)
{
    struct row row = {0};
    struct ids ids = {0};
    struct blueprint *b = blueprint_find(&x->core, str_of(x->blueprint), r);
    if (!b)
        return -1;
    struct arena *a = arena_new(0);
    int rc = 0;
    if (x->identifier) {
        rc = row_find(&x->core, b->id, str_of(x->identifier), a, &row, r);
        rc = rc == 0  ? refuse_no_entity(r, str_of(x->identifier), b->identifier)
             : rc < 0 ? -1
                      : show_row(x, b, &row, r);
    } else {
        rc = ids_of_blueprint(&x->core, b->id, &ids, r);
        for (size_t i = 0; rc == 0 && i < ids.n; i++) {
            arena_reset(a);
            rc = row_by_id(&x->core, ids.p[i], a, &row, r);
            rc = rc <= 0 ? rc : show_row(x, b, &row, r);
        }
    }
    row_done(&row);
    ids_done(&ids);
    arena_free(a);
    return rc;
}

int catalog_show(const char *file, const char *blueprint, const char *identifier,
                 void (*line)(void *arg, struct str json), void *arg, struct err *e)
{
    struct inspection x = {.file = file,
                           .blueprint = blueprint,
                           .identifier = identifier,
                           .line = line,
                           .arg = arg,
                           .read = read_entities};
    return inspect(&x, e);
}

/* Search, export, reset ------------------------------------------------------------------------------------------- */

static bool holds(struct str s, struct str what)
{
    for (size_t i = 0; i + what.n <= s.n; i++)
        if (str_ieq((struct str){s.p + i, what.n}, what))
            return true;
    return false;
}

static int found(void *arg, const struct blueprint *b, struct row *row, struct refusal *r)
{
    struct inspection *x = arg;
    struct str text = str_of(x->query);
    if (*x->query != '{' && !holds(row->identifier, text) && !holds(json_str(json_get_c(row_body(row), "title")), text))
        return 0;
    return show_row(x, b, row, r);
}

static int read_search(struct inspection *x, struct refusal *r)
{
    struct json_doc *doc = NULL;
    struct err e = {0};
    struct str text = *x->query == '{' ? str_of(x->query) : STR("{\"combinator\":\"and\",\"rules\":[]}");
    if (json_parse(text, &doc, &e) < 0)
        return refuse_invalid(r, "the query is not JSON: %s", e.msg);
    struct arena *a = arena_new(0);
    struct query *q = query_compile(&x->core, a, json_root(doc), QUERY_SEARCH, r);
    int rc = q ? query_run(&x->core, q, NULL, false, found, x, r) : -1;
    arena_free(a);
    json_unref(doc);
    return rc;
}

int catalog_search(const char *file, const char *query, void (*line)(void *arg, struct str json), void *arg,
                   struct err *e)
{
    struct inspection x = {.file = file, .query = query, .line = line, .arg = arg, .read = read_search};
    return inspect(&x, e);
}

static int read_dump(struct inspection *x, struct refusal *r) { return dump_write(&x->core, x->line, x->arg, r); }

int catalog_export(const char *file, void (*line)(void *arg, struct str json), void *arg, struct err *e)
{
    struct inspection x = {.file = file, .line = line, .arg = arg, .read = read_dump};
    return inspect(&x, e);
}

static int run_reset(struct inspection *x, struct refusal *r)
{
    return dump_clear(&x->core, r) < 0 ? -1 : core_seed(&x->core, r);
}

int catalog_reset(const char *file, struct err *e)
{
    struct inspection x = {.file = file, .read = run_reset, .writes = true};
    return inspect(&x, e);
}
