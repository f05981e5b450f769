/* The summary object of design.md section 8. Counters are plain members the stages add to; this file only keeps the
 * lists, decides the exit code and writes the JSON. */
#include "sync/report.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "json/write.h"

enum { EXIT_OK = 0, EXIT_RUN_FAILED = 1, EXIT_WITH_ERRORS = 4, EXIT_HELD_BACK = 5 };

/* The summary is data on stdout and may hold what a script raised: secrets are hidden when a text is kept. */
static char *masked(const char *text)
{
    struct buf out;
    buf_init(&out, BUF_NO_LIMIT);
    mask_text(&out, str_of(text), MASK_FULL);
    return buf_take(&out, NULL);
}

static bool same(const char *a, const char *b) { return strcmp(a ? a : "", b ? b : "") == 0; }

void report_error(struct resource_report *r, const char *where, const char *message, size_t count)
{
    if (count == 0)
        return;
    bool last = r->nerrors >= REPORT_ERRORS_MAX - 1;
    char *text = masked(message), *place = where ? masked(where) : NULL;
    for (size_t i = 0; i < r->nerrors; i++) {
        if (same(r->errors[i].message, text) && same(r->errors[i].where, place)) {
            r->errors[i].count += count;
            goto out;
        }
    }
    if (r->nerrors == REPORT_ERRORS_MAX) {
        r->errors[r->nerrors - 1].count += count;
        goto out;
    }
    r->errors = xrealloc(r->errors, (r->nerrors + 1) * sizeof(*r->errors));
    r->errors[r->nerrors++] = (struct resource_error){
        .message = last ? xstrdup("further errors; the log has them") : text,
        .where = last ? NULL : place,
        .count = count,
    };
    if (!last)
        return; /* both texts are kept */
out:
    free(text);
    free(place);
}

size_t report_error_count(const struct resource_report *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->nerrors; i++)
        n += r->errors[i].count;
    return n;
}

void report_resources(struct resync_report *r, size_t n)
{
    r->resources = xcalloc(n ? n : 1, sizeof(*r->resources));
    r->n = n;
}

void report_fail(struct resync_report *r, const char *message)
{
    if (!r->failure)
        r->failure = masked(message);
}

void report_close(struct resync_report *r, int forced)
{
    bool errors = r->failure != NULL;
    for (size_t i = 0; i < r->n; i++) {
        const struct resource_report *x = &r->resources[i];
        errors |= x->nerrors > 0 || x->rejected > 0 || x->state == RES_FAILED;
    }
    if (forced > 0)
        r->exit_code = forced;
    else if (r->failed || r->aborted)
        r->exit_code = EXIT_RUN_FAILED;
    else if (errors)
        r->exit_code = EXIT_WITH_ERRORS;
    else
        r->exit_code = r->held_back || r->plan_refused ? EXIT_HELD_BACK : EXIT_OK;
    r->ok = r->exit_code == EXIT_OK;
}

void report_done(struct resync_report *r)
{
    for (size_t i = 0; i < r->n; i++) {
        struct resource_report *x = &r->resources[i];
        for (size_t k = 0; k < x->nerrors; k++) {
            free(x->errors[k].message);
            free(x->errors[k].where);
        }
        free(x->errors);
        free(x->kind);
    }
    free(r->resources);
    free(r->failure);
    memset(r, 0, sizeof(*r));
}

static void write_count(struct jw *w, const char *name, size_t n)
{
    jw_key(w, str_of(name));
    jw_int(w, (int64_t)n);
}

static void write_resource(struct jw *w, const struct resource_report *x)
{
    jw_obj(w);
    jw_key_c(w, "kind");
    jw_cstr(w, x->kind);
    jw_key_c(w, "index");
    jw_int(w, x->index);
    write_count(w, "extracted", x->extracted);
    write_count(w, "filtered", x->filtered);
    write_count(w, "unmappable", x->unmappable);
    write_count(w, "mapped", x->mapped);
    write_count(w, "created", x->created);
    write_count(w, "updated", x->updated);
    write_count(w, "unchanged", x->unchanged);
    write_count(w, "rejected", x->rejected);
    write_count(w, "duplicates", x->duplicates);
    write_count(w, "unmatched", x->unmatched);
    jw_key_c(w, "errors");
    jw_arr(w);
    for (size_t i = 0; i < x->nerrors; i++) {
        jw_obj(w);
        jw_key_c(w, "message");
        jw_cstr(w, x->errors[i].message);
        jw_key_c(w, "where");
        jw_cstr(w, x->errors[i].where);
        write_count(w, "count", x->errors[i].count);
        jw_end_obj(w);
    }
    jw_end_arr(w);
    jw_end_obj(w);
}

void resync_report_write(const struct resync_report *r, struct buf *json_out)
{
    struct jw w = jw_on(json_out);
    jw_obj(&w);
    jw_key_c(&w, "ok");
    jw_bool(&w, r->ok);
    jw_key_c(&w, "resources");
    jw_arr(&w);
    for (size_t i = 0; i < r->n; i++)
        write_resource(&w, &r->resources[i]);
    jw_end_arr(&w);
    write_count(&w, "deleted", r->deleted);
    write_count(&w, "held_back", r->held_back);
    write_count(&w, "requests", r->requests);
    jw_key_c(&w, "seconds");
    jw_double(&w, (double)(int64_t)(r->seconds * 1000 + 0.5) / 1000);
    jw_end_obj(&w);
}
