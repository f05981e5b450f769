/* Items through the resources of a mapping document, one line for each object.
 *
 * A batch is parsed once, as one array, and mapped with a mapper for each resource, side by side, because the lines of
 * an item stand together. What libjq has to work out is asked for once a batch. What a mapper remembers of a batch is
 * folded into the resource's tally at its end, so that memory stays the same however long the input is. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "cli/map_priv.h"
#include "json/write.h"

struct tally { /* a field that was null (sync S-90) */
    size_t count;
    char *excerpt, *hint, *error;
};

struct job {
    struct mapper m; /* first: callbacks get this */
    struct mappings *all;
    const struct mapping_resource *r;
    struct plan *plan;
    const char **libjq_problems; /* by expression */
    struct tally *nulls;         /* by expression */
    char *name;
    size_t mapped, skipped; /* objects */
    uint32_t element;
    char *failure; /* the batch as a whole failed: why */
};

struct mappings {
    struct map_run *run;
    struct job *jobs;
    size_t njobs;
    size_t item; /* running number of the present item */
};

/* Lines ----------------------------------------------------------------------------------------------------------- */

static void begin_line(struct job *j)
{
    struct buf *out = &j->all->run->out;
    buf_addf(out, "{\"resource\":%d,\"kind\":", j->r->index);
    json_quote(out, j->r->kind);
    buf_addf(out, ",\"item\":%zu", j->all->item);
}

static void begin_element(struct job *j)
{
    begin_line(j);
    if (j->plan->items >= 0)
        buf_addf(&j->all->run->out, ",\"element\":%u", j->element);
}

static void end_error(struct job *j, struct str text)
{
    struct buf *out = &j->all->run->out;
    buf_adds(out, ",\"error\":");
    json_quote(out, text);
    buf_adds(out, "}\n");
    j->all->run->errors = true;
}

/* The note the engine left, without the item's number in its batch: the line has the item's own. */
static void end_noted(struct job *j)
{
    struct mapper *m = &j->m;
    const char *note = m->batch->first_error ? m->batch->first_error : "it could not be mapped";
    char number[48];
    int n = snprintf(number, sizeof(number), " for item %u: ", m->item);
    const char *at = strstr(note, number);
    struct buf text;
    buf_init(&text, BUF_NO_LIMIT);
    if (at)
        buf_addf(&text, "%.*s: %s", (int)(at - note), note, at + n);
    else
        buf_adds(&text, note);
    end_error(j, buf_str(&text));
    buf_done(&text);
}

static void add_entity(struct job *j, bool skipped)
{
    struct buf *out = &j->all->run->out;
    struct mapper *m = &j->m;
    const struct plan *p = j->plan;
    buf_adds(out, ",\"entity\":");
    if (skipped) { /* the engine has dropped it; its values are still there */
        for (size_t i = 0; i < p->nfields; i++) {
            buf_addstr(out, p->fields[i].before);
            val_write(&m->heap, out, m->values[i]);
        }
        buf_addstr(out, p->after);
        buf_adds(out, ",\"skipped\":true");
        return;
    }
    const struct entity_slot *s = &m->slots[m->nslots - 1];
    buf_add(out, m->text.p + s->text, s->text_n);
    m->nslots = 0;
    buf_reset(&m->text);
}

/* Mapping --------------------------------------------------------------------------------------------------------- */

/* 1 passed, 0 not, -1 an error, whose line is written (sync S-78, S-79). */
static int run_selector(struct job *j, struct val element)
{
    struct mapper *m = &j->m;
    const struct expr *x = &j->plan->exprs[j->plan->selector];
    const char *error;
    struct val v;
    enum ev_first r = mapper_eval(m, j->plan->selector, element, &v, &error);
    if (r == FIRST_VALUE && (v.kind == VAL_TRUE || v.kind == VAL_FALSE))
        return v.kind == VAL_TRUE;
    struct buf text;
    buf_init(&text, BUF_NO_LIMIT);
    buf_addf(&text, "selector.query `%s` ", x->text);
    if (r == FIRST_VALUE) {
        struct str shown = val_excerpt(&m->heap, v, 200);
        buf_addf(&text, "must give true or false but gave %.*s (%s)", STR_FMT(shown), val_kind_name(v.kind));
    } else if (r == FIRST_EMPTY) {
        buf_adds(&text, "must give true or false but gave nothing");
    } else {
        buf_addf(&text, "%s: %s", r == FIRST_FATAL ? "was given up" : "failed", error ? error : "unknown error");
    }
    begin_element(j);
    end_error(j, buf_str(&text));
    buf_done(&text);
    return -1;
}

static void map_selected(struct job *j, struct val element, bool passed)
{
    struct mapper *m = &j->m;
    struct buf *out = &j->all->run->out;
    bool with_entity = passed || j->all->run->o->all;
    size_t budget_errors = m->batch->budget_errors;
    m->batch->first_error = NULL;
    int rc = with_entity ? entity_build(m, element, !passed) : 0;
    begin_element(j);
    if (rc < 0 && m->batch->budget_errors > budget_errors) {
        end_noted(j);
        return;
    }
    buf_addf(out, ",\"passed\":%s", passed ? "true" : "false");
    if (with_entity)
        add_entity(j, rc < 0);
    j->skipped += passed && rc < 0;
    j->mapped += passed && rc == 0;
    buf_adds(out, "}\n");
}

static int map_element(struct mapper *m, struct val element)
{
    struct job *j = (struct job *)m;
    int passed = run_selector(j, element);
    if (passed >= 0)
        map_selected(j, element, passed);
    j->element++;
    m->element++;
    map_flush(j->all->run, false);
    return 0;
}

static void map_item(struct job *j, struct val item)
{
    struct mapper *m = &j->m;
    j->element = 0;
    m->batch->first_error = NULL;
    if (!items_each(m, item, map_element)) {
        begin_line(j);
        end_noted(j);
    }
    m->item++;
}

/* A batch of one resource ------------------------------------------------------------------------------------------ */

static void job_begin(struct job *j, struct json items)
{
    const struct map_options *o = j->all->run->o;
    struct mapper *m = &j->m;
    mapper_init(m, j->plan, items, o->all);
    m->ev.clock_fixed = o->clock_fixed;
    m->ev.clock = o->clock;
    struct err e = {0};
    if (libjq_prepare(m, &e) < 0)
        j->failure = xstrdup(e.msg);
    m->item = 0;
    m->element = 0;
}

static void keep(char **to, const char *p, size_t n)
{
    if (!*to && p)
        *to = xstrndup(p, n);
}

static void job_end(struct job *j)
{
    struct mapper *m = &j->m;
    for (size_t i = 0; i < j->plan->nexprs; i++) {
        struct tally *t = &j->nulls[i];
        if (!m->nulls[i])
            continue;
        t->count += m->nulls[i];
        keep(&t->excerpt, m->excerpts[i].p, m->excerpts[i].n);
        keep(&t->hint, m->hints[i], m->hints[i] ? strlen(m->hints[i]) : 0);
        keep(&t->error, m->errors[i], m->errors[i] ? strlen(m->errors[i]) : 0);
    }
    mapper_done(m);
    mapped_batch_free(m->batch);
    free(j->failure);
    j->failure = NULL;
}

/* A batch ---------------------------------------------------------------------------------------------------------- */

/* Objects become one array. Where that is no JSON, values are looked at one by one: what only jq accepts is written
 * anew for the document and marked in `odd`. Returns how many values are JSON. */
static size_t parse_values(const struct input_batch *b, bool one_by_one, bool *odd, struct json_doc **ret,
                           struct err *e)
{
    struct buf all;
    struct heap h;
    size_t good = 0;
    buf_init(&all, BUF_NO_LIMIT);
    heap_init(&h, SIZE_MAX / 2);
    buf_addc(&all, '[');
    for (; good < b->n; good++) {
        struct str text = b->v[good].text;
        bool object = text.p[0] == '{';
        struct json_doc *one = NULL;
        struct val v;
        odd[good] = false;
        if ((!object || one_by_one) && json_parse(text, &one, e) < 0) {
            if (map_parse_odd(&h, text, &v) < 0)
                break;
            odd[good] = true;
        }
        json_unref(one);
        if (!object)
            continue;
        if (all.n > 1)
            buf_addc(&all, ',');
        if (odd[good])
            val_write(&h, &all, v);
        else
            buf_addstr(&all, text);
    }
    buf_addc(&all, ']');
    int rc = json_parse(buf_str(&all), ret, e);
    heap_done(&h);
    buf_done(&all);
    if (rc == 0)
        return good;
    return one_by_one ? 0 : parse_values(b, true, odd, ret, e);
}

/* Of a value that is JSON and no object, by how it begins. */
static const char *type_of(struct str text)
{
    switch (text.p[0]) {
    case '[': return "an array";
    case '"': return "a string";
    case 't':
    case 'f': return "a boolean";
    case 'n': return str_is(text, "null") ? "null" : "a number"; /* nan */
    default: return "a number";
    }
}

static void map_value(struct job *j, const struct input_value *in, struct json item, bool odd)
{
    if (j->failure || in->text.p[0] != '{') {
        char what[80];
        snprintf(what, sizeof(what), "an item must be an object, this is %s", type_of(in->text));
        begin_line(j);
        end_error(j, str_of(j->failure ? j->failure : what));
        return;
    }
    struct val v = val_of_doc(item.v);
    ev_begin(&j->m.ev);
    /* libjq has seen the value as the document has it, and both must find the same elements. */
    if (odd && !j->plan->nlibjq && map_parse_odd(&j->m.heap, in->text, &v) < 0)
        v = val_of_doc(item.v);
    map_item(j, v);
}

static size_t on_batch(void *arg, const struct input_batch *b, struct err *e)
{
    struct mappings *all = arg;
    if (!b->n)
        return 0;
    bool *odd = xcalloc(b->n, sizeof(*odd));
    struct json_doc *doc = NULL;
    size_t good = parse_values(b, false, odd, &doc, e);
    for (size_t k = 0; k < all->njobs; k++)
        job_begin(&all->jobs[k], json_root(doc));
    struct json_iter it = json_iter(json_root(doc));
    for (size_t i = 0; i < good; i++, all->item++) {
        if (b->v[i].text.p[0] == '{')
            json_next(&it);
        for (size_t k = 0; k < all->njobs; k++)
            map_value(&all->jobs[k], &b->v[i], it.val, odd[i]);
    }
    for (size_t k = 0; k < all->njobs; k++)
        job_end(&all->jobs[k]);
    json_unref(doc);
    free(odd);
    return good;
}

static void on_broken(void *arg, const char *message)
{
    struct mappings *all = arg;
    struct buf *out = &all->run->out;
    buf_addf(out, "{\"item\":%zu,\"error\":", all->item);
    json_quote(out, str_of(message));
    buf_adds(out, ",\"phase\":\"input\"}\n");
}

/* Before and after --------------------------------------------------------------------------------------------------
 */

/* Texts for libjq with the clock in front; what libjq does not compile is found now. */
static void prepare_libjq(struct job *j)
{
    struct map_run *run = j->all->run;
    struct plan *p = j->plan;
    for (size_t i = 0; i < p->nexprs; i++) {
        struct expr *x = &p->exprs[i];
        if (x->how != EXPR_LIBJQ)
            continue;
        struct err e = {0};
        if (jq_host_compile(run->jq, x->used, &e) < 0)
            j->libjq_problems[i] = arena_printf(p->space.arena, "%s", e.msg);
        x->used = str_of(map_libjq_text(p->space.arena, run, x->used, false)); /* env is hidden by the plan */
        if (x->libjq >= 0)
            p->libjq[x->libjq] = x->used;
    }
}

static void report_problems(struct job *j)
{
    struct plan_problem pp;
    for (size_t i = 0; plan_problem(j->plan, i, &pp); i++) {
        fprintf(stderr, "ocean-run: %s: %s does not compile: %s\n", j->name, pp.field, pp.message);
        j->all->run->errors = true;
    }
    for (size_t i = 0; i < j->plan->nexprs; i++) {
        const struct expr *x = &j->plan->exprs[i];
        if (j->libjq_problems[i]) {
            fprintf(stderr, "ocean-run: %s: %s does not compile: %s\n", j->name, x->field, j->libjq_problems[i]);
            j->all->run->errors = true;
        } else if (x->how == EXPR_LIBJQ && !j->all->run->o->explain) {
            fprintf(stderr, "ocean-run: %s: %s is evaluated by libjq, which rounds integers beyond 2^53 (%s)\n",
                    j->name, x->field, x->why);
        }
    }
}

static int job_new(struct job *j, struct mappings *all, const struct mapping_resource *r)
{
    struct map_run *run = all->run;
    struct plan_opts po = {.jq = run->jq, .env_access = run->o->env_access, .env = (const char *const *)run->env};
    struct err e = {0};
    struct buf name;
    *j = (struct job){.all = all, .r = r};
    if (plan_compile(r, &po, &j->plan, &e) < 0) {
        fprintf(stderr, "ocean-run: resources[%d]: %s\n", r->index, e.msg);
        return -1;
    }
    buf_init(&name, BUF_NO_LIMIT);
    map_doc_name(&name, r);
    j->name = buf_take(&name, NULL);
    j->nulls = xcalloc(j->plan->nexprs, sizeof(*j->nulls));
    j->libjq_problems = xcalloc(j->plan->nexprs, sizeof(*j->libjq_problems));
    prepare_libjq(j);
    return 0;
}

static void job_free(struct job *j)
{
    for (size_t i = 0; j->nulls && i < j->plan->nexprs; i++) {
        free(j->nulls[i].excerpt);
        free(j->nulls[i].hint);
        free(j->nulls[i].error);
    }
    free(j->nulls);
    free(j->libjq_problems);
    free(j->name);
    plan_free(j->plan);
}

static void report_nulls(const struct job *j)
{
    for (size_t i = 0; i < j->plan->nexprs; i++) {
        const struct tally *t = &j->nulls[i];
        const struct expr *x = &j->plan->exprs[i];
        if (!t->count)
            continue;
        if ((int)i == j->plan->items)
            fprintf(stderr, "ocean-run: %s: itemsToParse `%s` gave no array for %zu item%s", j->name, x->text, t->count,
                    t->count == 1 ? "" : "s");
        else
            fprintf(stderr, "ocean-run: %s: %s `%s` was null %zu time%s of %zu", j->name, x->field, x->text, t->count,
                    t->count == 1 ? "" : "s", j->mapped + j->skipped);
        if (t->hint)
            fprintf(stderr, "; the item has \"%s\"", t->hint);
        if (t->error && x->how != EXPR_BROKEN)
            fprintf(stderr, "; %s", t->error);
        fprintf(stderr, "; first for %s\n", t->excerpt ? t->excerpt : "?");
    }
    if (j->skipped)
        fprintf(stderr, "ocean-run: %s: %zu of %zu without identifier or blueprint\n", j->name, j->skipped,
                j->mapped + j->skipped);
}

static bool is_chosen(const struct map_options *o, const struct mapping_resource *r)
{
    bool kind = !o->nkinds, index = !o->nindexes;
    for (size_t i = 0; i < o->nkinds; i++)
        kind |= str_is(r->kind, o->kinds[i]);
    for (size_t i = 0; i < o->nindexes; i++)
        index |= o->indexes[i] == r->index;
    return kind && index;
}

static int none_chosen(const struct mapping_doc *doc)
{
    fputs("ocean-run: --kind and --index leave no resource; the mapping has", stderr);
    for (size_t i = 0; i < doc->n; i++)
        if (!doc->resources[i].variant)
            fprintf(stderr, "%s %d (%.*s)", i ? "," : "", doc->resources[i].index, STR_FMT(doc->resources[i].kind));
    fputs(doc->n ? "\n" : " none\n", stderr);
    return EXIT_USAGE;
}

static int run_jobs(struct mappings *all)
{
    struct map_run *run = all->run;
    bool ok = true;
    for (size_t k = 0; k < all->njobs; k++)
        report_problems(&all->jobs[k]);
    if (run->o->explain) {
        for (size_t k = 0; k < all->njobs; k++)
            map_explain(run, all->jobs[k].r, all->jobs[k].plan, all->jobs[k].libjq_problems);
    } else {
        ok = map_inputs(run, INPUT_ITEMS, on_batch, on_broken, all);
        for (size_t k = 0; k < all->njobs; k++)
            report_nulls(&all->jobs[k]);
    }
    return !ok ? EXIT_FAILED : run->errors ? EXIT_WITH_ERRORS : EXIT_DONE;
}

int map_resources(struct map_run *run)
{
    int code;
    struct mapping_doc *doc = map_doc_load(run->o->mapping, &code);
    if (!doc)
        return code;
    struct mappings all = {.run = run, .jobs = xcalloc(doc->n + 1, sizeof(*all.jobs))};
    code = EXIT_DONE;
    for (size_t i = 0; i < doc->n && code == EXIT_DONE; i++)
        if (is_chosen(run->o, &doc->resources[i]) && job_new(&all.jobs[all.njobs++], &all, &doc->resources[i]) < 0)
            code = EXIT_CONFIG;
    if (!doc->n)
        fprintf(stderr, "ocean-run: %s: the mapping has no resources\n", run->o->mapping);
    if (code == EXIT_DONE && !all.njobs && (run->o->nkinds || run->o->nindexes))
        code = none_chosen(doc);
    if (code == EXIT_DONE)
        code = run_jobs(&all);
    for (size_t k = 0; k < all.njobs; k++)
        job_free(&all.jobs[k]);
    free(all.jobs);
    mapping_doc_free(doc);
    return code;
}
