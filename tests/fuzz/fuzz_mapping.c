/* Crash fuzzer of the mapping engine: bytes are an expression and a document, separated by a zero byte. Built
 * with libFuzzer (clang -fsanitize=fuzzer,address,undefined), or by itself with files as arguments
 * (-DFUZZ_MAIN). Nothing that comes in may crash, hang or leak; what the evaluator prints must be JSON again.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "mapping/expr.h"
#include "mapping/quotes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int check_output(struct ev *c, void *arg, struct val v, const struct path *p)
{
    int *left = arg;
    struct buf text;
    struct json_doc *doc = NULL;
    struct err e = {0};
    (void)p;
    buf_init(&text, (size_t)1 << 20);
    val_write(c->heap, &text, v);
    if (!text.failed && !c->heap->full) {
        if (json_parse(buf_str(&text), &doc, &e) < 0 && e.code != ERR_TOO_BIG) {
            fprintf(stderr, "not JSON: %.*s: %s\n", (int)(text.n > 300 ? 300 : text.n), text.p, e.msg);
            abort();
        }
        json_unref(doc);
    }
    buf_done(&text);
    if (--*left > 0)
        return EV_OK;
    c->broken = left;
    return EV_BREAK;
}

static void run(struct str expr, struct json input)
{
    struct expr_space space = {.arena = arena_new(0)};
    struct heap heap;
    struct ev ev;
    struct expr x;
    struct val v;
    heap_init(&space.heap, EV_HEAP_MAX);
    heap_init(&heap, EV_HEAP_MAX / 16);
    expr_compile(&space, expr, "fuzz", &x);
    ev_init(&ev, &heap);
    if (x.how == EXPR_NATIVE || x.how == EXPR_CONST) {
        int left = 50;
        ev_begin(&ev);
        ev.steps = 100000;
        ev_first(&ev, x.node, val_of_doc(input.v), &v);
        ev_begin(&ev);
        ev.steps = 100000;
        ev_all(&ev, x.node, val_of_doc(input.v), check_output, &left);
    }
    ev_done(&ev);
    heap_done(&heap);
    heap_done(&space.heap);
    arena_free(space.arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *cut = memchr(data, 0, size);
    struct str expr = {(const char *)data, cut ? (size_t)(cut - data) : size}, text = STR("null");
    struct json_doc *doc;
    struct err e = {0};
    struct buf b;
    if (cut)
        text = (struct str){(const char *)cut + 1, size - expr.n - 1};
    if (json_parse(text, &doc, &e) < 0 && json_parse(STR("{\"a\":[1,{\"b\":\"x\"}]}"), &doc, &e) < 0)
        return 0;
    buf_init(&b, BUF_NO_LIMIT);
    quotes_normalise(&b, expr);
    buf_done(&b);
    run(expr, json_root(doc));
    json_unref(doc);
    return 0;
}

#ifdef FUZZ_MAIN
int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        FILE *f = fopen(argv[i], "rb");
        char *text = malloc(1 << 20);
        size_t n = f && text ? fread(text, 1, 1 << 20, f) : 0;
        LLVMFuzzerTestOneInput((const uint8_t *)text, n);
        free(text);
        if (f)
            fclose(f);
    }
    return 0;
}
#endif
