/* Evaluates "EXPRESSION<tab>DOCUMENT" lines from stdin and prints, for each, all outputs separated by \001;
 * the last is ERR after an error, LIMIT where a budget ended it, COMPILE where the expression does not
 * compile. With --libjq the machine's libjq evaluates, in its worker process, and only the first output is printed. For
 * diff_jq.py. */
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "io/loop.h"
#include "mapping/expr.h"
#include "mapping/jq.h"

static int put(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct buf *out = arg;
    (void)p;
    if (out->n)
        buf_addc(out, 1);
    val_write(c->heap, out, v);
    return c->heap->full ? EV_FATAL : EV_OK;
}

static void word(struct buf *out, const char *w)
{
    if (out->n)
        buf_addc(out, 1);
    buf_adds(out, w);
}

static void run(const char *expr, const char *text)
{
    struct expr_space space = {.arena = arena_new(0)};
    struct heap heap;
    struct ev ev;
    struct expr x;
    struct json_doc *doc = NULL;
    struct buf out;
    buf_init(&out, (size_t)64 << 20);
    heap_init(&space.heap, EV_HEAP_MAX);
    heap_init(&heap, EV_HEAP_MAX);
    expr_compile(&space, str_of(expr), "x", &x);
    ev_init(&ev, &heap);
    ev_begin(&ev);
    if (x.how == EXPR_BROKEN) {
        word(&out, "COMPILE");
    } else if (x.how == EXPR_LIBJQ || json_parse(str_of(text), &doc, NULL) < 0) {
        word(&out, "LIMIT");
    } else {
        enum ev_first r = ev_all(&ev, x.node, val_of_doc(json_root(doc).v), put, &out);
        if (r == FIRST_ERROR)
            word(&out, "ERR");
        if (r == FIRST_FATAL)
            word(&out, "LIMIT");
        /* The first output alone must be the same. */
        struct val v;
        struct buf first;
        buf_init(&first, BUF_NO_LIMIT);
        ev_begin(&ev);
        if (r != FIRST_FATAL && ev_first(&ev, x.node, val_of_doc(json_root(doc).v), &v) == FIRST_VALUE) {
            val_write(&heap, &first, v);
            if (out.n < first.n || memcmp(out.p, first.p, first.n) != 0)
                word(&out, "FIRST DIFFERS");
        }
        buf_done(&first);
    }
    printf("%s\n", buf_cstr(&out));
    fflush(stdout);
    buf_done(&out);
    json_unref(doc);
    ev_done(&ev);
    heap_done(&heap);
    heap_done(&space.heap);
    arena_free(space.arena);
}

static void run_libjq(struct jq_host *jq, const char *expr, const char *text)
{
    struct jq_answer answer;
    struct str x = str_of(expr), in = str_of(text);
    struct buf texts;
    struct err e = {0};
    buf_init(&texts, BUF_NO_LIMIT);
    if (jq_host_eval(jq, &x, 1, &in, 1, &answer, &texts, &e) < 0)
        printf("LIMIT\n");
    else if (answer.what == JQ_VALUE)
        printf("%.*s\n", STR_FMT(answer.text));
    else
        printf("%s\n", answer.what == JQ_EMPTY ? "" : answer.what == JQ_ERROR ? "ERR" : answer.what == JQ_KILLED ? "LIMIT" : "COMPILE");
    fflush(stdout);
    buf_done(&texts);
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "--jq-worker"))
        return jq_worker_main();
    bool libjq = argc > 1 && !strcmp(argv[1], "--libjq");
    struct loop *loop = libjq ? loop_new() : NULL;
    static const char *const env[] = {"TZ=UTC", NULL};
    struct jq_host *jq = libjq ? jq_host_new(loop, env) : NULL;
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    while ((n = getline(&line, &cap, stdin)) > 0) {
        if (line[n - 1] == '\n')
            line[n - 1] = 0;
        char *tab = strchr(line, '\t');
        if (tab)
            *tab++ = 0;
        if (jq)
            run_libjq(jq, line, tab ? tab : "null");
        else
            run(line, tab ? tab : "null");
    }
    free(line);
    jq_host_free(jq);
    loop_free(loop);
    return 0;
}
