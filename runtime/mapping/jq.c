/* The libjq process: the only file that sees libjq. It answers whole batches and keeps compiled programs,
 * since libjq 1.6 takes some 20 ms to compile one. Every expression is run to its end inside "first": 1.6
 * aborts when some programs are torn down half-way. What 1.8 has and 1.6 lacks is defined in front of every
 * expression. */
#include "mapping/jq.h"

#include <jq.h>
#include <jv.h>
#include <stdlib.h>

#include "base/mem.h"
#include "io/child.h"
#include "mapping/jq_proto.h"

#define PROGRAMS_MAX 512

/* On one line, so that line numbers in messages stay the expression's. */
static const char prelude[] =
    "def abs: if type == \"number\" then (if . < 0 then -. else . end) else . end; "
    "def toboolean: if type == \"boolean\" then . elif . == \"true\" then true elif . == \"false\" then "
    "false "
    "else error(\"cannot be parsed as a boolean\") end; "
    "def ltrim: sub(\"^\\\\s+\"; \"\"); def rtrim: sub(\"\\\\s+$\"; \"\"); def trim: ltrim | rtrim; "
    "def trimstr($x): ltrimstr($x) | rtrimstr($x); "
    "def pick(f): . as $v | reduce path(f) as $p (null; setpath($p; $v | getpath($p))); "
    "def have_decnum: false; def have_literal_numbers: false; "
    "def skip($n; f): foreach f as $x ($n; . - 1; if . < 0 then $x else empty end); "
    "def add(f): reduce f as $x (null; . + $x); ";

struct program {
    char *text;
    size_t n;
    jq_state *jq; /* NULL: it does not compile */
    char *message;
};
struct worker {
    struct program *programs;
    size_t nprograms;
    struct buf message;
};

static void on_error(void *arg, jv msg)
{
    struct worker *w = arg;
    jv text = jq_format_error(msg);
    if (w->message.n)
        buf_addc(&w->message, '\n');
    buf_add(&w->message, jv_string_value(text), (size_t)jv_string_length_bytes(jv_copy(text)));
    jv_free(text);
}

static void compile(struct worker *w, struct program *p)
{
    p->jq = jq_init();
    if (!p->jq) {
        p->message = xstrdup("libjq cannot be started");
        return;
    }
    buf_reset(&w->message);
    jq_set_error_cb(p->jq, on_error, w);
    char *text = xasprintf("%s[label $__first | (%.*s\n) | ., break $__first]", prelude, (int)p->n, p->text);
    if (!jq_compile(p->jq, text)) {
        jq_teardown(&p->jq);
        p->message = xstrdup(buf_cstr(&w->message));
    }
    free(text);
}

static struct program *find_program(struct worker *w, struct str text)
{
    for (size_t i = 0; i < w->nprograms; i++)
        if (str_eq((struct str){w->programs[i].text, w->programs[i].n}, text))
            return &w->programs[i];
    if (!w->programs)
        w->programs = xcalloc(PROGRAMS_MAX, sizeof(*w->programs));
    struct program *p = &w->programs[w->nprograms % PROGRAMS_MAX];
    if (w->nprograms == PROGRAMS_MAX) { /* full: start over, a mapping never has so many */
        for (size_t i = 0; i < PROGRAMS_MAX; i++) {
            if (w->programs[i].jq)
                jq_teardown(&w->programs[i].jq);
            free(w->programs[i].text);
            free(w->programs[i].message);
        }
        w->nprograms = 0;
        p = w->programs;
    }
    *p = (struct program){.text = xstrndup(text.p, text.n), .n = text.n};
    w->nprograms++;
    compile(w, p);
    return p;
}

static void put_answer(struct buf *answer, int what, struct str text)
{
    buf_addc(answer, (char)what);
    proto_put_text(answer, text);
}

static void put_jv(struct buf *answer, int what, jv v)
{
    jv text = what == JQ_VALUE || jv_get_kind(v) != JV_KIND_STRING ? jv_dump_string(v, 0) : v;
    put_answer(answer, what,
               (struct str){jv_string_value(text), (size_t)jv_string_length_bytes(jv_copy(text))});
    jv_free(text);
}

static void run(struct program *p, jv input, struct buf *answer)
{
    if (!p->jq) {
        put_answer(answer, JQ_COMPILE_ERROR, str_of(p->message));
        return;
    }
    jq_start(p->jq, jv_copy(input), 0);
    jv all = jq_next(p->jq), rest = jv_is_valid(all) ? jq_next(p->jq) : jv_invalid();
    while (jv_is_valid(rest)) {
        jv_free(rest);
        rest = jq_next(p->jq);
    }
    jv_free(rest);
    if (!jv_is_valid(all)) {
        jv msg = jv_invalid_get_msg(all);
        put_jv(answer, JQ_ERROR, msg);
    } else if (jv_array_length(jv_copy(all)) == 0) {
        jv_free(all);
        put_answer(answer, JQ_EMPTY, STR_NULL);
    } else {
        put_jv(answer, JQ_VALUE, jv_array_get(all, 0));
    }
}

static int handle(void *arg, struct str request, struct buf *answer)
{
    struct worker *w = arg;
    size_t nexpr, ninput;
    if (!proto_get(&request, &nexpr) || nexpr > request.n)
        return 1;
    struct str *exprs = xcalloc(nexpr + 1, sizeof(*exprs));
    bool ok = true;
    for (size_t i = 0; i < nexpr && ok; i++)
        ok = proto_get_text(&request, &exprs[i]);
    ok = ok && proto_get(&request, &ninput);
    for (size_t i = 0; ok && i < ninput; i++) {
        struct str text;
        if (!(ok = proto_get_text(&request, &text)))
            break;
        jv input = jv_parse_sized(text.p, (int)text.n);
        for (size_t k = 0; k < nexpr; k++) {
            if (jv_is_valid(input))
                run(find_program(w, exprs[k]), input, answer);
            else
                put_answer(answer, JQ_ERROR, STR("libjq does not accept the item as JSON"));
        }
        jv_free(input);
    }
    free(exprs);
    return ok ? 0 : 1;
}

int jq_worker_main(void)
{
    struct worker w = {0};
    buf_init(&w.message, 65536);
    return child_serve(handle, &w);
}
