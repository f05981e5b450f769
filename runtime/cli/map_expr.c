/* `ocean-run map --expr`: one expression over values.
 *
 * Natively a value is evaluated as it comes; libjq is asked for a whole batch. Its worker gives first outputs, so all
 * of them are asked for as one array, in which an error is the last element. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "cli/map_priv.h"
#include "json/write.h"

struct expression {
    struct map_run *run;
    struct expr_space space;
    struct expr x;
    struct heap heap;
    struct ev ev;
    struct json_doc *env_doc;
    struct str libjq_text; /* what libjq evaluates; p NULL: native */
    const char *broken;    /* it does not compile: why */
    size_t outputs;
};

/* Lines ----------------------------------------------------------------------------------------------------------- */

static void add_error(struct expression *x, const char *phase, struct str message)
{
    struct buf *out = &x->run->out;
    buf_adds(out, "{\"error\":");
    json_quote(out, message);
    buf_addf(out, ",\"phase\":\"%s\"}\n", phase);
    x->run->errors = true;
}

static void add_val(struct expression *x, struct val v)
{
    struct buf *out = &x->run->out;
    buf_adds(out, "{\"value\":");
    val_write(&x->heap, out, v);
    buf_adds(out, "}\n");
    map_flush(x->run, false);
}

static void add_empty(struct expression *x) { buf_adds(&x->run->out, "{\"empty\":true}\n"); }

/* Native ---------------------------------------------------------------------------------------------------------- */

static int on_output(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct expression *x = arg;
    (void)c;
    (void)p;
    add_val(x, v);
    x->outputs++;
    return EV_OK;
}

static void native_value(struct expression *x, struct val in)
{
    struct val v;
    x->outputs = 0;
    if (x->x.how == EXPR_CONST && !x->run->o->all_outputs) {
        add_val(x, x->x.value);
        return;
    }
    enum ev_first r =
        x->run->o->all_outputs ? ev_all(&x->ev, x->x.node, in, on_output, x) : ev_first(&x->ev, x->x.node, in, &v);
    if (r == FIRST_FATAL) {
        add_error(x, "runtime", str_of(ev_fatal_text(x->ev.fatal)));
    } else if (r == FIRST_ERROR) {
        struct val e = x->ev.error;
        add_error(x, "runtime", e.kind == VAL_STRING ? val_text(e) : val_excerpt(&x->heap, e, 500));
    } else if (x->run->o->all_outputs) {
        if (!x->outputs)
            add_empty(x);
    } else if (r == FIRST_EMPTY) {
        add_empty(x);
    } else {
        add_val(x, v);
    }
}

/* libjq ----------------------------------------------------------------------------------------------------------- */

/* The array of all outputs, each in an array of its own, an error as an object. */
static void add_outputs(struct expression *x, struct str text)
{
    struct json_doc *doc = NULL;
    struct err e = {0};
    if (json_parse(text, &doc, &e) < 0) {
        add_error(x, "runtime", str_of(e.msg));
        return;
    }
    struct buf *out = &x->run->out;
    if (!json_len(json_root(doc)))
        add_empty(x);
    for (struct json_iter it = json_iter(json_root(doc)); json_next(&it);) {
        if (json_is_arr(it.val)) {
            buf_adds(out, "{\"value\":");
            json_write(out, json_at(it.val, 0));
            buf_adds(out, "}\n");
            continue;
        }
        struct json what = json_get_c(it.val, "error");
        struct buf message;
        buf_init(&message, BUF_NO_LIMIT);
        if (json_is_str(what))
            buf_addstr(&message, json_str(what));
        else
            json_write(&message, what);
        add_error(x, "runtime", buf_str(&message));
        buf_done(&message);
    }
    json_unref(doc);
}

static void add_answer(struct expression *x, const struct jq_answer *a)
{
    switch (a->what) {
    case JQ_VALUE:
        if (x->run->o->all_outputs) {
            add_outputs(x, a->text);
        } else {
            buf_adds(&x->run->out, "{\"value\":");
            buf_addstr(&x->run->out, a->text);
            buf_adds(&x->run->out, "}\n");
        }
        break;
    case JQ_EMPTY: add_empty(x); break;
    case JQ_COMPILE_ERROR: add_error(x, "compile", a->text); break;
    default: add_error(x, "runtime", a->text); break;
    }
}

static void ask_libjq(struct expression *x, const struct str *inputs, size_t n)
{
    struct jq_answer *answers = xcalloc(n + 1, sizeof(*answers));
    struct buf texts;
    struct err e = {0};
    buf_init(&texts, BUF_NO_LIMIT);
    int rc = jq_host_eval(x->run->jq, &x->libjq_text, 1, inputs, n, answers, &texts, &e);
    for (size_t i = 0; i < n; i++) {
        if (rc < 0)
            add_error(x, "runtime", str_of(e.msg));
        else
            add_answer(x, &answers[i]);
    }
    buf_done(&texts);
    free(answers);
}

/* Inputs ---------------------------------------------------------------------------------------------------------- */

/* One value as jq reads it; *ret_doc keeps it alive. */
static int read_value(struct expression *x, struct str text, struct json_doc **ret_doc, struct val *ret, struct err *e)
{
    ev_begin(&x->ev);
    *ret_doc = NULL;
    if (json_parse(text, ret_doc, e) == 0) {
        *ret = val_of_doc(json_root(*ret_doc).v);
        return 0;
    }
    return map_parse_odd(&x->heap, text, ret) < 0 ? ERR_PARSE : 0;
}

static size_t on_batch(void *arg, const struct input_batch *b, struct err *e)
{
    struct expression *x = arg;
    struct str *inputs = x->libjq_text.p && !x->broken ? xcalloc(b->n + 1, sizeof(*inputs)) : NULL;
    size_t good = 0;
    for (; good < b->n; good++) {
        struct json_doc *doc;
        struct val v;
        if (read_value(x, b->v[good].text, &doc, &v, e) < 0)
            break;
        if (x->broken)
            add_error(x, "compile", str_of(x->broken));
        else if (inputs)
            inputs[good] = b->v[good].text;
        else
            native_value(x, v);
        json_unref(doc);
        map_flush(x->run, false);
    }
    if (inputs)
        ask_libjq(x, inputs, good);
    free(inputs);
    return good;
}

static void on_broken(void *arg, const char *message) { add_error(arg, "input", str_of(message)); }

/* Compiling ------------------------------------------------------------------------------------------------------- */

static int make_env_value(struct expression *x, struct err *e)
{
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    struct jw w = jw_on(&b);
    jw_obj(&w);
    for (char **v = x->run->env; *v; v++) {
        struct str value, name = str_split(str_of(*v), '=', &value);
        jw_key(&w, name);
        jw_str(&w, value);
    }
    jw_end_obj(&w);
    int rc = json_parse(buf_str(&b), &x->env_doc, e);
    buf_done(&b);
    if (rc == 0)
        x->ev.env_value = val_of_doc(json_root(x->env_doc).v);
    return rc;
}

/* A newline before the parenthesis ends a comment of the expression. The expression itself has compiled by now. */
static struct str all_outputs_of(struct expression *x, struct str text)
{
    return str_of(arena_printf(x->space.arena, "[try ((%.*s\n) | [.]) catch {error: .}]", STR_FMT(text)));
}

static void prepare_libjq(struct expression *x)
{
    struct map_run *run = x->run;
    struct str text = x->x.how == EXPR_BROKEN ? str_of(x->x.text) : x->x.used;
    struct err e = {0};
    if (jq_host_compile(run->jq, text, &e) < 0) {
        x->broken = arena_printf(x->space.arena, "%s", e.msg);
    } else if (run->o->all_outputs) {
        text = all_outputs_of(x, text);
    }
    x->libjq_text = str_of(map_libjq_text(x->space.arena, run, text, !run->o->env_access));
}

static void prepare(struct expression *x)
{
    const struct map_options *o = x->run->o;
    expr_compile(&x->space, str_of(o->expr), "--expr", &x->x);
    if (o->engine == ENGINE_LIBJQ || (o->engine == ENGINE_AUTO && x->x.how == EXPR_LIBJQ))
        prepare_libjq(x);
    else if (x->x.how == EXPR_BROKEN)
        x->broken = x->x.why;
    else if (x->x.how == EXPR_LIBJQ)
        x->broken = arena_printf(x->space.arena, "%s, and --engine native was asked for", x->x.why);
    if (x->broken) {
        fprintf(stderr, "ocean-run: --expr does not compile: %s\n", x->broken);
        x->run->errors = true;
    } else if (x->libjq_text.p && o->engine == ENGINE_AUTO && !o->explain) {
        fprintf(stderr, "ocean-run: --expr is evaluated by libjq, which rounds integers beyond 2^53 (%s)\n", x->x.why);
    }
}

static bool evaluate(struct expression *x)
{
    struct input_value null = {STR("null"), 1, 1};
    struct input_batch one = {&null, 1, 1};
    struct err e;
    if (!x->run->o->null_input)
        return map_inputs(x->run, INPUT_VALUES, on_batch, on_broken, x);
    on_batch(x, &one, &e);
    return true;
}

int map_expression(struct map_run *run)
{
    struct expression x = {.run = run, .space.arena = arena_new(0)};
    struct err e = {0};
    bool ok = true;
    heap_init(&x.space.heap, EV_HEAP_MAX);
    heap_init(&x.heap, EV_HEAP_MAX);
    ev_init(&x.ev, &x.heap);
    x.ev.clock_fixed = run->o->clock_fixed;
    x.ev.clock = run->o->clock;
    if (make_env_value(&x, &e) < 0) {
        fprintf(stderr, "ocean-run: the environment: %s\n", e.msg);
        ok = false;
    } else {
        prepare(&x);
        if (run->o->explain)
            map_explain_expr(&x.x, run->o->engine, x.libjq_text.p ? x.broken : NULL);
        else
            ok = evaluate(&x);
    }
    ev_done(&x.ev);
    heap_done(&x.heap);
    heap_done(&x.space.heap);
    arena_free(x.space.arena);
    json_unref(x.env_doc);
    return !ok ? EXIT_FAILED : run->errors ? EXIT_WITH_ERRORS : EXIT_DONE;
}
