/* `ocean-run map`: options, the inputs' way to one of the two forms, the exit code.
 *
 * Lines go to stdout batch by batch, everything for people to stderr. */
#include "cli/map.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/environment.h"
#include "cli/map_priv.h"

#define OUT_BYTES ((size_t)1 << 20)

/* Options ------------------------------------------------------------------------------------------------------- */

enum option { O_EXPR, O_ALL, O_KIND, O_INDEX, O_ENV, O_NOW, O_NULL, O_OUTPUTS, O_ENGINE, O_EXPLAIN };
static const struct {
    const char *name;
    bool takes_value;
} option_defs[] = {
    [O_EXPR] = {"--expr", true},        [O_ALL] = {"--all", false},
    [O_KIND] = {"--kind", true},        [O_INDEX] = {"--index", true},
    [O_ENV] = {"--env-access", true},   [O_NOW] = {"--now", true},
    [O_NULL] = {"--null-input", false}, [O_OUTPUTS] = {"--all-outputs", false},
    [O_ENGINE] = {"--engine", true},    [O_EXPLAIN] = {"--explain", false},
};

static int usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int usage(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("ocean-run: ", stderr);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputs("\nTry: ocean-run help map\n", stderr);
    return -1;
}

static int unknown_option(struct str word)
{
    const char *near = NULL;
    int best = 4;
    for (size_t i = 0; i < ARRAY_LEN(option_defs); i++) {
        int d = str_distance(word, str_of(option_defs[i].name), 3);
        if (d < best) {
            best = d;
            near = option_defs[i].name;
        }
    }
    return near ? usage("unknown option %.*s; did you mean %s?", STR_FMT(word), near)
                : usage("unknown option %.*s", STR_FMT(word));
}

static int set_engine(struct map_options *o, const char *value)
{
    static const char *const names[] = {"auto", "native", "libjq"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (!strcmp(names[i], value)) {
            o->engine = (enum map_engine)i;
            return 0;
        }
    }
    return usage("--engine \"%s\": expected auto, native or libjq", value);
}

static int set_number(struct map_options *o, enum option which, const char *value)
{
    if (which == O_NOW) {
        char *end;
        o->clock = strtod(value, &end);
        if (end == value || *end || !isfinite(o->clock))
            return usage("--now \"%s\": expected seconds since 1970, for instance 1700000000.5", value);
        o->clock_fixed = true;
        return 0;
    }
    if (o->nindexes == OPTIONS_MAX_LIST)
        return usage("--index given more than %d times", OPTIONS_MAX_LIST);
    int64_t *n = &o->indexes[o->nindexes++];
    if (!str_int64(str_of(value), n) || *n < 0)
        return usage("--index \"%s\": expected the position of a resource, from 0", value);
    return 0;
}

static int set_option(struct map_options *o, enum option which, const char *value)
{
    switch (which) {
    case O_EXPR: o->expr = value; return 0;
    case O_ALL: o->all = true; return 0;
    case O_NULL: o->null_input = true; return 0;
    case O_OUTPUTS: o->all_outputs = true; return 0;
    case O_EXPLAIN: o->explain = true; return 0;
    case O_ENGINE: return set_engine(o, value);
    case O_NOW:
    case O_INDEX: return set_number(o, which, value);
    case O_KIND:
        if (o->nkinds == OPTIONS_MAX_LIST)
            return usage("--kind given more than %d times", OPTIONS_MAX_LIST);
        o->kinds[o->nkinds++] = value;
        return 0;
    case O_ENV:
        o->env_access = !strcmp(value, "on");
        return o->env_access || !strcmp(value, "off") ? 0 : usage("--env-access \"%s\": expected on or off", value);
    }
    return -1;
}

/* argv[*i] is an option; advances over a value that stands by itself. */
static int take_option(struct map_options *o, int argc, char **argv, int *i, bool *expr_form, bool *doc_form)
{
    struct str rest, word = str_split(str_of(argv[*i]), '=', &rest);
    for (size_t k = 0; k < ARRAY_LEN(option_defs); k++) {
        if (!str_is(word, option_defs[k].name))
            continue;
        const char *value = rest.p;
        if (!option_defs[k].takes_value && value)
            return usage("%s takes no value, got \"%s\"", option_defs[k].name, value);
        if (option_defs[k].takes_value && !value) {
            if (*i + 1 >= argc)
                return usage("%s needs a value", option_defs[k].name);
            value = argv[++*i];
        }
        *expr_form |= k == O_NULL || k == O_OUTPUTS || k == O_ENGINE;
        *doc_form |= k == O_ALL || k == O_KIND || k == O_INDEX;
        return set_option(o, (enum option)k, value);
    }
    return unknown_option(word);
}

/* The words that are no options go into o->files, which is argv itself. */
static int parse(int argc, char **argv, struct map_options *o)
{
    bool expr_form = false, doc_form = false, words_only = false;
    *o = (struct map_options){.env_access = true, .files = argv};
    for (int i = 0; i < argc; i++) {
        if (!words_only && !strcmp(argv[i], "--"))
            words_only = true;
        else if (!words_only && argv[i][0] == '-' && argv[i][1]) {
            if (take_option(o, argc, argv, &i, &expr_form, &doc_form) < 0)
                return -1;
        } else
            argv[o->nfiles++] = argv[i];
    }
    if (!o->expr) {
        if (!o->nfiles)
            return usage("which mapping? Give a mapping document, or an expression with --expr");
        if (expr_form)
            return usage("--null-input, --all-outputs and --engine belong to --expr");
        o->mapping = *o->files++;
        o->nfiles--;
    } else if (doc_form) {
        return usage("--all, --kind and --index belong to a mapping document, not to --expr");
    }
    if (o->nfiles && (o->null_input || o->explain))
        return usage("%s reads no input, got \"%s\"", o->explain ? "--explain" : "--null-input", o->files[0]);
    return 0;
}

/* Shared ---------------------------------------------------------------------------------------------------------- */

void map_flush(struct map_run *run, bool now)
{
    if (run->out.n && (now || run->out.n >= OUT_BYTES)) {
        if (fwrite(run->out.p, 1, run->out.n, stdout) < run->out.n && !run->write_errno)
            run->write_errno = errno;
        if (run->out.cap > 4 * OUT_BYTES) {
            buf_done(&run->out);
            buf_init(&run->out, BUF_NO_LIMIT);
        }
        buf_reset(&run->out);
    }
    if (now && fflush(stdout) != 0 && !run->write_errno)
        run->write_errno = errno;
}

char *map_libjq_text(struct arena *a, const struct map_run *run, struct str expr, bool hide_env)
{
    char clock[64] = "";
    if (run->o->clock_fixed)
        snprintf(clock, sizeof(clock), "def now: %.17g; ", run->o->clock);
    return arena_printf(a, "%s%s%.*s", clock, hide_env ? "def env: {}; {} as $ENV | " : "", STR_FMT(expr));
}

int map_parse_odd(struct heap *h, struct str text, struct val *ret)
{
    struct str why;
    if (utf8_valid(text))
        return val_parse(h, text, ret, &why);
    struct buf repaired;
    buf_init(&repaired, BUF_NO_LIMIT);
    utf8_repair(&repaired, text);
    int rc = val_parse(h, buf_str(&repaired), ret, &why); /* copies */
    buf_done(&repaired);
    return rc;
}

/* One file; false if it could not be read. */
static bool feed(struct map_run *run, struct map_input *in, struct input_batch *b, map_batch_fn batch,
                 map_broken_fn broken, void *arg)
{
    enum input_status s = INPUT_MORE;
    while (s == INPUT_MORE && !run->write_errno) {
        struct err e = {0}, why = {0};
        s = map_input_batch(in, b, &e);
        size_t good = batch(arg, b, &why);
        if (good < b->n) {
            map_input_place(in, &b->v[good], &why);
            e = why;
            s = INPUT_BROKEN;
        }
        if (s == INPUT_BROKEN) {
            broken(arg, e.msg);
            run->errors = true;
        }
        if (s == INPUT_FAILED)
            fprintf(stderr, "ocean-run: %s\n", e.msg);
        map_flush(run, true);
    }
    return s != INPUT_FAILED;
}

bool map_inputs(struct map_run *run, enum input_kind kind, map_batch_fn batch, map_broken_fn broken, void *arg)
{
    const struct map_options *o = run->o;
    struct input_batch b = {0};
    bool ok = true;
    for (size_t i = 0; i < (o->nfiles ? o->nfiles : 1); i++) {
        struct err e;
        struct map_input *in = map_input_open(o->nfiles ? o->files[i] : NULL, kind, &e);
        if (!in) {
            fprintf(stderr, "ocean-run: %s\n", e.msg);
            ok = false;
            continue;
        }
        ok &= feed(run, in, &b, batch, broken, arg);
        map_input_close(in);
    }
    free(b.v);
    return ok;
}

/* What env shows: never credentials; nothing without access. */
static char **make_env(bool access)
{
    struct definition none = {0};
    return access ? environment_for_mapping(&none) : xcalloc(1, sizeof(char *));
}

int map_command(int argc, char **argv)
{
    struct map_options o;
    if (parse(argc, argv, &o) < 0)
        return EXIT_USAGE;
    struct loop *loop = loop_new();
    struct map_run run = {.o = &o, .env = make_env(o.env_access)};
    run.jq = jq_host_new(loop, (const char *const *)run.env);
    buf_init(&run.out, BUF_NO_LIMIT);
    int code = o.expr ? map_expression(&run) : map_resources(&run);
    map_flush(&run, true);
    if (run.write_errno) {
        if (run.write_errno != EPIPE) /* a reader that has seen enough is no fault */
            fprintf(stderr, "ocean-run: standard output: %s\n", strerror(run.write_errno));
        code = EXIT_FAILED;
    }
    buf_done(&run.out);
    jq_host_free(run.jq);
    loop_free(loop);
    environment_free(run.env);
    return code;
}
