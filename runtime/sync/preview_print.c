/* The plan on its way out: lines page by page, then the totals. With JSON the lines are what was hashed. */
#define LOG_GROUP "sync.preview"
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "json/write.h"
#include "sync/event.h"
#include "sync/preview_priv.h"

#define PAGE 500

struct printing {
    struct preview *p;
    void (*done)(struct preview *p);
    int64_t after;
};

static void hand_over(struct preview *p, struct buf *text)
{
    p->o.write(p->o.arg, buf_str(text));
    buf_done(text);
}

static size_t unchanged(const struct preview *p)
{
    size_t n = 0;
    for (size_t i = 0; i < p->run->report->n; i++)
        n += p->run->report->resources[i].unchanged;
    return n;
}

/* Totals ----------------------------------------------------------------------------------------------------------- */

static void write_count(struct jw *w, const char *name, size_t n)
{
    jw_key(w, str_of(name));
    jw_int(w, (int64_t)n);
}

static void write_errors(struct jw *w, const struct resync_report *r)
{
    jw_key_c(w, "errors");
    jw_arr(w);
    for (size_t i = 0; i < r->n; i++) {
        const struct resource_report *x = &r->resources[i];
        for (size_t k = 0; k < x->nerrors; k++) {
            jw_obj(w);
            jw_key_c(w, "kind");
            jw_cstr(w, x->kind);
            jw_key_c(w, "index");
            jw_int(w, x->index);
            jw_key_c(w, "message");
            jw_cstr(w, x->errors[k].message);
            jw_key_c(w, "where");
            jw_cstr(w, x->errors[k].where);
            write_count(w, "count", x->errors[k].count);
            jw_end_obj(w);
        }
    }
    jw_end_arr(w);
}

static void totals_json(const struct preview *p, struct buf *out)
{
    const struct totals *t = &p->totals;
    struct jw w = jw_on(out);
    jw_obj(&w);
    jw_key_c(&w, "plan");
    jw_obj(&w);
    jw_key_c(&w, "hash");
    jw_cstr(&w, p->hash);
    jw_key_c(&w, "complete");
    jw_bool(&w, !p->incomplete);
    jw_key_c(&w, "incomplete_because");
    jw_cstr(&w, p->incomplete);
    write_count(&w, "set_up", t->set_up);
    write_count(&w, "create", t->created + t->related);
    write_count(&w, "update", t->updated);
    write_count(&w, "write", t->written);
    write_count(&w, "delete", t->deleted + t->cascaded);
    write_count(&w, "held_back", t->held);
    write_count(&w, "unchanged", unchanged(p));
    jw_key_c(&w, "notes");
    jw_arr(&w);
    for (size_t i = 0; i < p->nnotes; i++)
        jw_str(&w, p->notes[i]);
    jw_end_arr(&w);
    write_errors(&w, p->run->report);
    jw_end_obj(&w);
    jw_end_obj(&w);
    buf_addc(out, '\n');
}

static void count_text(struct buf *out, const char *what, size_t n, size_t part, const char *of_these)
{
    if (n == 0)
        return;
    buf_addf(out, ", %zu %s", n, what);
    if (part)
        buf_addf(out, " (%zu of them %s)", part, of_these);
}

static void errors_text(struct buf *out, const struct resync_report *r)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct resource_report *x = &r->resources[i];
        for (size_t k = 0; k < x->nerrors; k++)
            buf_addf(out, "error: %s-%d: %s\n", x->kind, x->index, x->errors[k].message);
    }
}

static void totals_text(const struct preview *p, struct buf *out)
{
    const struct totals *t = &p->totals;
    struct buf counts, text;
    buf_init(&counts, BUF_NO_LIMIT);
    buf_init(&text, BUF_NO_LIMIT);
    count_text(&counts, "to create", t->created + t->related, t->related, "for relations");
    count_text(&counts, "to update", t->updated, 0, "");
    count_text(&counts, "to write to what a search finds", t->written, 0, "");
    count_text(&counts, "to delete", t->deleted + t->cascaded, t->cascaded, "because they require another");
    count_text(&counts, "held back", t->held, 0, "");
    if (!counts.n)
        buf_adds(&counts, t->set_up ? ", no entity to change" : ", nothing to change");
    buf_addf(&text, "plan: %s, %zu unchanged\n", buf_cstr(&counts) + 2, unchanged(p));
    for (size_t i = 0; i < p->nnotes; i++)
        buf_addf(&text, "held back: %.*s\n", STR_FMT(p->notes[i]));
    errors_text(&text, p->run->report);
    if (p->incomplete)
        buf_addf(&text, "incomplete: %s; this plan cannot be accepted\n", p->incomplete);
    buf_addf(&text, "hash: %s\n", p->hash);
    if (!p->incomplete)
        buf_addf(&text, "To carry out exactly this, run again with --accept-plan %s\n", p->hash);
    mask_text(out, buf_str(&text), MASK_FULL);
    buf_done(&counts);
    buf_done(&text);
}

/* Lines ------------------------------------------------------------------------------------------------------------ */

static void finish(struct printing *x)
{
    struct preview *p = x->p;
    void (*done)(struct preview *) = x->done;
    struct buf text;
    buf_init(&text, BUF_NO_LIMIT);
    if (p->o.json)
        totals_json(p, &text);
    else
        totals_text(p, &text);
    if (!p->err.code && !p->run->event->aborted)
        hand_over(p, &text);
    buf_done(&text);
    free(x);
    done(p);
}

static void add_line(const struct preview *p, struct buf *out, struct str line)
{
    struct json_doc *d = NULL;
    if (p->o.json) {
        buf_addstr(out, line);
        buf_addc(out, '\n');
    } else if (json_parse(line, &d, NULL) == 0) {
        preview_line_text(out, json_root(d));
    }
    json_unref(d);
}

static void on_lines(void *arg, const struct spool_line *lines, size_t n, const struct err *e)
{
    struct printing *x = arg;
    struct buf text;
    preview_failed(x->p, e);
    if (n == 0 || x->p->run->event->aborted) {
        finish(x);
        return;
    }
    buf_init(&text, BUF_NO_LIMIT);
    for (size_t i = 0; i < n; i++)
        add_line(x->p, &text, lines[i].text);
    x->after = lines[n - 1].number;
    hand_over(x->p, &text);
    spool_read_lines(x->p->spool, x->after, PAGE, on_lines, x);
}

void preview_print(struct preview *p, void (*done)(struct preview *p))
{
    struct printing *x = xcalloc(1, sizeof(*x));
    *x = (struct printing){.p = p, .done = done};
    spool_read_lines(p->spool, 0, PAGE, on_lines, x);
}
