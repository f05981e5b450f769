/* The mapping document of `ocean-run map`: found faults carry the line and column of the file, not only the path. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/map_priv.h"
#include "config/mapping_check.h"
#include "json/write.h"
#include "json/yaml.h"

#define MAPPING_MAX ((size_t)64 << 20)
#define SHOWN_MAX 160

struct faults {
    const char *path;
    const struct yaml_marks *marks;
    bool single; /* a resource by itself was put into a document */
};

/* The place of the nearest value around what is missing. */
static bool place_of(const struct faults *f, struct str pointer, int *line, int *col)
{
    const struct str inner = STR("/resources/0");
    if (f->single && str_starts(pointer, inner))
        pointer = (struct str){pointer.p + inner.n, pointer.n - inner.n};
    while (!yaml_where(f->marks, pointer, line, col)) {
        if (!pointer.n)
            return false;
        while (pointer.n && pointer.p[--pointer.n] != '/')
            ;
    }
    return true;
}

static void report(void *arg, const struct mapping_problem *p)
{
    const struct faults *f = arg;
    int line, col;
    struct str path = str_of(p->path), inner = STR("resources[0].");
    if (f->single && str_starts(path, inner))
        path = (struct str){path.p + inner.n, path.n - inner.n};
    fprintf(stderr, "ocean-run: %s:", f->path);
    if (f->marks && place_of(f, str_of(p->pointer), &line, &col))
        fprintf(stderr, "%d:%d:", line, col);
    fprintf(stderr, " %.*s%s%s\n", STR_FMT(path), path.n ? ": " : "", p->message);
}

/* A resource by itself: {"kind": ..., "selector": ..., "port": ...}. */
static bool is_resource(struct json root)
{
    return json_is_obj(root) && !json_get_c(root, "resources").v &&
           (json_get_c(root, "port").v || json_get_c(root, "kind").v || json_get_c(root, "selector").v);
}

static int wrap_resource(struct json_doc **doc, struct err *e)
{
    struct buf text;
    struct json_doc *whole = NULL;
    buf_init(&text, BUF_NO_LIMIT);
    buf_adds(&text, "{\"resources\":[");
    json_write(&text, json_root(*doc));
    buf_adds(&text, "]}");
    int rc = json_parse(buf_str(&text), &whole, e);
    buf_done(&text);
    if (rc < 0)
        return rc;
    json_unref(*doc);
    *doc = whole;
    return 0;
}

struct mapping_doc *map_doc_load(const char *path, int *ret_exit)
{
    struct err e = {0};
    struct json_doc *doc = NULL;
    struct yaml_marks *marks = NULL;
    struct mapping_doc *m = NULL;
    *ret_exit = EXIT_CONFIG;
    int rc = yaml_load_file(path, MAPPING_MAX, &doc, &marks, &e);
    if (rc < 0) {
        fprintf(stderr, "ocean-run: %s\n", e.msg);
        return NULL;
    }
    struct faults f = {path, marks, is_resource(json_root(doc))};
    if (f.single)
        rc = wrap_resource(&doc, &e);
    if (rc == 0 && !json_is_obj(json_root(doc)) && !json_is_null(json_root(doc)))
        rc = ERR(&e, ERR_CONFIG, "expected a mapping document or a resource, got %s",
                 json_type_name(json_type(json_root(doc))));
    if (rc == 0)
        rc = mapping_doc_parse_all(json_root(doc), &m, report, &f, &e);
    if (rc < 0)
        fprintf(stderr, "ocean-run: %s: %s\n", path, e.msg);
    yaml_marks_free(marks);
    json_unref(doc);
    return rc < 0 ? NULL : m;
}

void map_doc_name(struct buf *out, const struct mapping_resource *r)
{
    buf_addf(out, "resources[%d] %.*s", r->index, STR_FMT(r->kind));
    if (json_is_arr(json_path(r->raw, STR("port.entity.mappings"))))
        buf_addf(out, ", mappings[%d]", r->variant);
}

/* Explaining ------------------------------------------------------------------------------------------------------ */

/* On one line, cut where it is long. */
static void add_shown(struct buf *out, const char *text)
{
    size_t n = strlen(text), max = n > SHOWN_MAX ? SHOWN_MAX : n;
    while (max && max < n && ((unsigned char)text[max] & 0xC0) == 0x80)
        max--;
    for (size_t i = 0; i < max; i++)
        buf_addc(out, (unsigned char)text[i] < 0x20 ? ' ' : text[i]);
    buf_adds(out, max < n ? "..." : "");
}

static void explain(struct buf *out, const struct expr *x, int width, bool libjq, const char *problem)
{
    bool broken = x->how == EXPR_BROKEN || problem;
    const char *why = x->how == EXPR_CONST    ? "constant, computed once"
                      : x->how == EXPR_NATIVE ? "all of it is native"
                                              : x->why;
    buf_addf(out, "%-7s %-*s  ", broken ? "broken" : libjq ? "libjq" : "native", width, x->field);
    add_shown(out, x->text);
    buf_adds(out, "  # ");
    if (broken)
        add_shown(out, problem ? problem : x->why);
    else if (libjq)
        buf_addf(out, "%s; libjq rounds integers beyond 2^53", x->how == EXPR_LIBJQ ? why : "asked for by --engine");
    else
        buf_adds(out, why);
    buf_addc(out, '\n');
}

void map_explain(struct map_run *run, const struct mapping_resource *r, const struct plan *p, const char *const *libjq)
{
    int width = 0;
    for (size_t i = 0; i < p->nexprs; i++) {
        int n = (int)strlen(p->exprs[i].field);
        width = n > width && n <= 40 ? n : width;
    }
    map_doc_name(&run->out, r);
    buf_addc(&run->out, '\n');
    for (size_t i = 0; i < p->nexprs; i++) {
        buf_adds(&run->out, "  ");
        explain(&run->out, &p->exprs[i], width, p->exprs[i].how == EXPR_LIBJQ, libjq[i]);
    }
}

void map_explain_expr(const struct expr *x, enum map_engine engine, const char *libjq_problem)
{
    struct buf out;
    buf_init(&out, BUF_NO_LIMIT);
    explain(&out, x, 0, engine == ENGINE_LIBJQ || (engine == ENGINE_AUTO && x->how == EXPR_LIBJQ), libjq_problem);
    fputs(buf_cstr(&out), stdout);
    buf_done(&out);
}
