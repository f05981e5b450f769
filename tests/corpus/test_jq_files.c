/* Runs jq's own test files (../shared/corpus/jq) as far as they concern the first output: that is all a mapping uses.
 *
 * A file is a list of groups: program, input, the expected outputs, an empty line; after %%FAIL a program that must not
 * compile. What differs on purpose is listed with its reason. OCEAN_SHARED and CORPUS_VERBOSE as in test_corpus.c. */
#include <sys/stat.h>

#include "base/arena.h"
#include "corpus/compare.h"

static const char *const files[] = {"jq.test",     "man.test", "manonig.test", "onig.test",
                                    "base64.test", "uri.test", "optional.test"};

/* Part of a program, and why its result is not jq's. */
static const struct {
    const char *part, *reason;
} exceptions[] = {
    {"import ", "modules read files, and a mapping comes from outside (design.md section 5)"},
    {"include ", "as import"},
    {"modulemeta", "as import"},
    {"get_search_list", "as import"},
    {"_strindices", "a builtin of jq's own library that nobody else may call"},
    {"(. * 1000000000)", "a text of 3 GB is over the budget, which cannot be caught (design.md section 5)"},
    {"range(10000)", "nesting has a limit of 10,000 levels, which cannot be caught (design.md section 5)"},
    {"range(10001)", "as range(10000)"},
    {"try fromjson catch .", "the wording of errors is no contract"},
};

struct group {
    struct str program, input, expected; /* expected: the first output; p NULL: none */
    bool fails;                          /* must not compile */
};

/* The next group that counts; false at the end. */
static bool next_group(struct str *rest, struct group *g)
{
    *g = (struct group){0};
    struct str line = STR_NULL;
    while (rest->p) {
        line = str_split(*rest, '\n', rest);
        if (str_starts(line, STR("%%FAIL")))
            g->fails = true;
        else if (str_trim(line).n && line.p[0] != '#')
            break;
        line = STR_NULL;
    }
    if (!line.p)
        return false;
    g->program = line;
    if (!g->fails && rest->p)
        g->input = str_split(*rest, '\n', rest);
    while (rest->p) {
        line = str_split(*rest, '\n', rest);
        if (!str_trim(line).n)
            break;
        if (!g->expected.p && line.p[0] != '#')
            g->expected = line;
    }
    return true;
}

static const char *exception(const struct group *g)
{
    for (size_t i = 0; i < ARRAY_LEN(exceptions); i++)
        if (g->program.n && memmem(g->program.p, g->program.n, exceptions[i].part, strlen(exceptions[i].part)))
            return exceptions[i].reason;
    return NULL;
}

static bool matches(const struct group *g, struct buf *shown)
{
    struct expr_space space = {.arena = arena_new(0)};
    struct heap heap;
    struct ev ev;
    struct expr x;
    struct val v = VNULL, in, want;
    struct str why = STR_NULL;
    enum ev_first got = FIRST_ERROR;
    bool ok;
    heap_init(&space.heap, EV_HEAP_MAX);
    heap_init(&heap, EV_HEAP_MAX);
    ev_init(&ev, &heap);
    ev_begin(&ev);
    struct val env =
        val_set(&heap, val_object(&heap, 1), val_str(STR("PAGER")), val_str(STR("less"))); /* as jq's runner has it */
    ev.env_value = env;
    expr_compile(&space, g->program, "program", &x);
    if (g->fails) {
        ok = x.how == EXPR_BROKEN;
        buf_adds(shown, "it compiles");
    } else if (x.how == EXPR_BROKEN || x.how == EXPR_LIBJQ) {
        ok = false;
        buf_adds(shown, x.why);
    } else if (val_parse(&heap, g->input, &in, &why) < 0) {
        ok = !g->expected.p;
        buf_addf(shown, "input: %.*s", STR_FMT(why));
    } else {
        if (x.how == EXPR_CONST)
            v = x.value;
        got = x.how == EXPR_CONST ? FIRST_VALUE : ev_first(&ev, x.node, in, &v);
        if (got == FIRST_VALUE)
            val_write(&heap, shown, v);
        else if (got == FIRST_ERROR)
            val_write(&heap, shown, ev.error);
        else
            buf_adds(shown, got == FIRST_EMPTY ? "nothing" : ev_fatal_text(ev.fatal));
        if (!g->expected.p) /* an error, or nothing */
            ok = got != FIRST_VALUE;
        else
            ok = got == FIRST_VALUE && val_parse(&heap, g->expected, &want, &why) == 0 && val_eq(&heap, v, want);
    }
    ev_done(&ev);
    heap_done(&heap);
    heap_done(&space.heap);
    arena_free(space.arena);
    return ok;
}

int main(void)
{
    const char *shared = getenv("OCEAN_SHARED");
    bool verbose = getenv("CORPUS_VERBOSE") != NULL;
    char *folder = xasprintf("%s/corpus/jq", shared ? shared : "../shared");
    struct stat st;
    size_t cases = 0, equal = 0, meant = 0;
    if (stat(folder, &st) < 0) {
        printf("ok 1 - jq's test files # SKIP %s is absent\n", folder);
        free(folder);
        return 0;
    }
    for (size_t f = 0; f < ARRAY_LEN(files); f++) {
        size_t n;
        char *text = read_file(folder, files[f], &n);
        struct str rest = {text, text ? n : 0};
        struct group g;
        if (!text)
            printf("# %s is absent: left out\n", files[f]);
        while (text && next_group(&rest, &g)) {
            struct buf shown;
            buf_init(&shown, BUF_NO_LIMIT);
            bool ok = matches(&g, &shown);
            cases++;
            equal += ok;
            meant += !ok && exception(&g);
            if (!ok && verbose)
                printf("# %s%s: %.*s << %.*s\n#   expected %.*s\n#   got      %.*s\n", files[f],
                       exception(&g) ? " (meant)" : "", STR_FMT(g.program), STR_FMT(g.input),
                       STR_FMT(g.fails ? STR("a compile error") : g.expected), shown.n > 300 ? 300 : (int)shown.n,
                       buf_cstr(&shown));
            buf_done(&shown);
        }
        free(text);
    }
    printf("# jq's test files: %zu of %zu first outputs equal, %zu more differ by intent\n", equal, cases, meant);
    bool enough = equal * 100 >= cases * 97;
    printf("%s 1 - 97 %% of the first outputs of jq's own test files are equal\n", enough ? "ok" : "not ok");
    printf("%s 2 - the others are listed with a reason\n", equal + meant == cases ? "ok" : "not ok");
    printf("1..2\n");
    free(folder);
    return 0;
}
