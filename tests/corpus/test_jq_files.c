/* Runs jq's own test files (corpus/jq/ *.test of the shared folder) through the native evaluator.
 *
 * A test is a program, an input and its outputs, each on a line, up to an empty line; "%%FAIL" stands before a
 * program that must not compile. The first output is what mappings use, so it is what must agree; how many agree
 * in all their outputs is told as well. As in jq's own runner an error after the outputs is no difference, and
 * outputs are compared by value after having been written and read once.
 *
 *   OCEAN_SHARED   folder that holds corpus/ (default ../shared)
 *
 * Every test that differs must stand in `exceptions` with its reason, and each entry there must be needed. */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/mem.h"
#include "mapping/expr.h"

#define FIRST_SHARE_MIN 0.97

#define MODULES "modules read files and are refused (design.md section 5)"
#define DEEP \
    "a value nested deeper than 10,000 levels is over the budget, which cannot be caught (design.md section 5)"

static struct exception {
    const char *file;
    size_t line;
    const char *reason;
    bool used;
} exceptions[] = {
    {"jq.test", 1553, "a helper of jq's own library, which mappings cannot name", false},
    {"jq.test", 1557, "a helper of jq's own library, which mappings cannot name", false},
    {"jq.test", 1900, MODULES, false},
    {"jq.test", 1904, MODULES, false},
    {"jq.test", 1908, MODULES, false},
    {"jq.test", 1912, MODULES, false},
    {"jq.test", 1917, MODULES, false},
    {"jq.test", 1921, MODULES, false},
    {"jq.test", 1925, MODULES, false},
    {"jq.test", 1929, MODULES, false},
    {"jq.test", 1969, MODULES, false},
    {"jq.test", 1973, MODULES, false},
    {"jq.test", 1977, MODULES, false},
    {"jq.test", 1993, MODULES, false},
    {"jq.test", 2568, DEEP, false},
    {"jq.test", 2602, DEEP, false},
    {"jq.test", 2611, DEEP, false},
    {"jq.test", 2616, DEEP, false},
    {"jq.test", 2621, DEEP, false},
    {"jq.test", 2625, DEEP, false},
    {"jq.test", 2629, DEEP, false},
    {"jq.test", 2633, DEEP, false},
};

struct tally {
    size_t tests, first, all, excused, failed;
};

/* The outputs of one program on one input, read again from their text. */
struct outputs {
    struct heap *h;
    struct val v[64];
    size_t n;
};

static int keep(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct outputs *o = arg;
    struct buf text;
    struct str msg;
    (void)p;
    buf_init(&text, BUF_NO_LIMIT);
    val_write(c->heap, &text, v);
    struct val back = VNULL;
    if (o->n < ARRAY_LEN(o->v) && val_parse(o->h, buf_str(&text), &back, &msg) == 0)
        o->v[o->n++] = back;
    buf_done(&text);
    return c->heap->full ? EV_FATAL : EV_OK;
}

/* A line of the file without its line end; *at moves on. */
static bool next_line(struct str *rest, struct str *ret, size_t *line)
{
    if (!rest->n)
        return false;
    const char *end = memchr(rest->p, '\n', rest->n);
    size_t n = end ? (size_t)(end - rest->p) : rest->n;
    *ret = (struct str){rest->p, n};
    n += end != NULL;
    rest->p += n;
    rest->n -= n;
    ++*line;
    return true;
}

static bool blank(struct str s)
{
    while (s.n && (*s.p == ' ' || *s.p == '\t' || *s.p == '\r'))
        s.p++, s.n--;
    return s.n == 0;
}

struct test {
    const char *file;
    size_t line; /* of the program */
    struct str program, input, expected[64];
    size_t n;
    bool must_fail;
};

/* False at the end of the file. */
static bool next_test(struct str *rest, size_t *line, struct test *t)
{
    struct str s;
    t->n = 0;
    t->must_fail = false;
    for (;;) {
        if (!next_line(rest, &s, line))
            return false;
        if (blank(s) || s.p[0] == '#')
            continue;
        if (s.n < 6 || memcmp(s.p, "%%FAIL", 6) != 0)
            break;
        t->must_fail = true;
    }
    t->program = s;
    t->line = *line;
    if (!t->must_fail && !next_line(rest, &t->input, line))
        return false;
    while (next_line(rest, &s, line) && !blank(s) && s.p[0] != '#')
        if (t->n < ARRAY_LEN(t->expected))
            t->expected[t->n++] = s;
    return true;
}

static struct exception *exception_of(const struct test *t)
{
    for (size_t i = 0; i < ARRAY_LEN(exceptions); i++)
        if (exceptions[i].line == t->line && strcmp(exceptions[i].file, t->file) == 0)
            return &exceptions[i];
    return NULL;
}

/* A document as the mapping reads it; what only jq takes for JSON (nan) by its own reader. */
static bool read_input(struct heap *h, struct str text, struct json_doc **doc, struct val *ret)
{
    struct str msg;
    if (json_parse(text, doc, NULL) == 0) {
        *ret = val_of_doc(json_root(*doc).v);
        return true;
    }
    return val_parse(h, text, ret, &msg) == 0;
}

/* How many of the expected outputs came, in order; -1 where there is one too many. */
static long agreement(struct heap *h, const struct test *t, const struct outputs *o)
{
    struct val want;
    struct str msg;
    if (o->n > t->n)
        return -1;
    for (size_t i = 0; i < t->n; i++)
        if (i >= o->n || val_parse(h, t->expected[i], &want, &msg) < 0 || !val_eq(h, o->v[i], want))
            return (long)i;
    return (long)t->n;
}

static void count(struct tally *t, const struct test *test, bool first, bool all, const char *got)
{
    t->tests++;
    t->first += first;
    t->all += all;
    struct exception *x = first ? NULL : exception_of(test);
    if (x) {
        x->used = true;
        t->excused++;
    } else if (!first) {
        t->failed++;
        printf("# %s:%zu: %.*s\n#     %s\n", test->file, test->line, STR_FMT(test->program), got);
    } else if (!all && getenv("CORPUS_VERBOSE")) {
        printf("# later outputs: %s:%zu: %.*s\n", test->file, test->line, STR_FMT(test->program));
    }
}

static void run(const struct test *test, struct tally *t)
{
    struct expr_space space = {.arena = arena_new(0)};
    struct heap heap, kept;
    struct ev ev;
    struct expr x;
    struct json_doc *doc = NULL;
    struct val in;
    struct outputs o = {.h = &kept};
    heap_init(&space.heap, EV_HEAP_MAX);
    heap_init(&heap, EV_HEAP_MAX);
    heap_init(&kept, EV_HEAP_MAX);
    expr_compile(&space, test->program, "test", &x);
    ev_init(&ev, &heap);
    ev_begin(&ev);
    struct val env = val_object(&kept, 1); /* what the manual's examples read */
    ev.env_value = val_set(&kept, env, val_str(STR("PAGER")), val_str(STR("less")));
    if (test->must_fail) {
        count(t, test, x.how == EXPR_BROKEN, x.how == EXPR_BROKEN, "it compiles, but must not");
    } else if (x.how == EXPR_BROKEN || x.how == EXPR_LIBJQ) {
        count(t, test, false, false, x.why);
    } else if (!read_input(&kept, test->input, &doc, &in)) {
        count(t, test, false, false, "the input is not accepted as JSON");
    } else {
        enum ev_first r = ev_all(&ev, x.node, in, keep, &o);
        struct val shown = r == FIRST_ERROR ? ev.error : o.n ? o.v[0] : VNULL;
        const char *what = r == FIRST_ERROR ? "error" : r == FIRST_FATAL ? ev_fatal_text(ev.fatal) : "got";
        struct str s = val_excerpt(&kept, shown, 300);
        char *got = xasprintf("%s: %.*s", what, STR_FMT(s));
        long same = agreement(&kept, test, &o);
        bool first = test->n ? same > 0 || (same < 0 && o.n) : o.n == 0;
        struct test one = *test;
        one.n = one.n > 1 ? 1 : one.n;
        struct outputs head = o;
        head.n = head.n > 1 ? 1 : head.n;
        first = first && agreement(&kept, &one, &head) == (long)one.n;
        count(t, test, first, same == (long)test->n, got);
        free(got);
    }
    ev_done(&ev);
    heap_done(&heap);
    heap_done(&kept);
    heap_done(&space.heap);
    arena_free(space.arena);
    json_unref(doc);
}

static void run_file(const char *path, struct tally *t)
{
    struct buf b;
    char chunk[65536];
    FILE *f = fopen(path, "rb");
    if (!f) {
        printf("# %s cannot be read\n", path);
        t->failed++;
        return;
    }
    buf_init(&b, BUF_NO_LIMIT);
    for (size_t got; (got = fread(chunk, 1, sizeof(chunk), f)) > 0;)
        buf_add(&b, chunk, got);
    fclose(f);
    struct str rest = buf_str(&b);
    struct test *test = xcalloc(1, sizeof(*test));
    size_t line = 0;
    test->file = strrchr(path, '/') + 1;
    while (next_test(&rest, &line, test))
        run(test, t);
    free(test);
    buf_done(&b);
}

int main(void)
{
    const char *shared = getenv("OCEAN_SHARED");
    char *pattern = xasprintf("%s/corpus/jq/*.test", shared ? shared : "../shared");
    glob_t files;
    struct tally t = {0};
    if (glob(pattern, 0, NULL, &files) != 0) {
        printf("ok 1 - jq's own tests # SKIP %s: there is none\n", pattern);
        free(pattern);
        return 0;
    }
    for (size_t i = 0; i < files.gl_pathc; i++)
        run_file(files.gl_pathv[i], &t);
    globfree(&files);
    free(pattern);
    bool needed = true;
    for (size_t i = 0; i < ARRAY_LEN(exceptions); i++) {
        if (!exceptions[i].used)
            printf("# %s:%zu agrees: its exception is not needed\n", exceptions[i].file, exceptions[i].line);
        needed = needed && exceptions[i].used;
    }
    bool enough = (double)t.first >= FIRST_SHARE_MIN * (double)t.tests;
    printf("# jq's own tests: %zu of %zu first outputs equal, %zu differ by intent, %zu equal in all outputs\n",
           t.first, t.tests, t.excused, t.all);
    printf("%s 1 - jq's own tests: every first output, but for the listed exceptions\n",
           t.failed ? "not ok" : "ok");
    printf("%s 2 - jq's own tests: at least 97 %% of the first outputs\n", enough ? "ok" : "not ok");
    printf("%s 3 - jq's own tests: every exception is needed\n", needed ? "ok" : "not ok");
    return t.failed || !enough || !needed;
}
