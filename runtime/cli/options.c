/* Command-line parsing. A small table of options per command, so that an unknown word can be answered with the nearest
 * known one; getopt_long cannot do that and permutes silently. `--name=value` and `--name value` are the same. */
#include "cli/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "sync/preview.h"

struct option_def {
    const char *name;
    bool takes_value;
};

static const struct option_def run_defs[] = {
    {"--once", false},       {"--json", false},      {"--local", true},      {"--state", true},
    {"--kind", true},        {"--port", true},       {"--lua-memory", true}, {"--lua-cpu", true},
    {"--allow-empty", true}, {"--max-shrink", true}, {"--log-level", true},  {"--reset-mapping", false},
    {"--plan", false},       {"--accept-plan", true},
};
static const struct option_def catalog_defs[] = {{"--local", true}, {"--json", false}, {"--listen", true}};

static void report_unknown(const char *command, struct str word, const struct option_def *defs, size_t n)
{
    const char *near = NULL;
    int best = 4;
    for (size_t i = 0; i < n; i++) {
        int d = str_distance(word, str_of(defs[i].name), 3);
        if (d < best) {
            best = d;
            near = defs[i].name;
        }
    }
    fprintf(stderr, "ocean-run: unknown option %.*s", STR_FMT(word));
    if (near)
        fprintf(stderr, "; did you mean %s?", near);
    fprintf(stderr, "\nTry: ocean-run help %s\n", command);
}

/* Looks argv[*i] up; *value is the option's value or NULL. Advances *i over a separate value. */
static const struct option_def *take_option(const char *command, int argc, char **argv, int *i,
                                            const struct option_def *defs, size_t n, const char **value)
{
    struct str rest, word = str_split(str_of(argv[*i]), '=', &rest);
    *value = rest.p;
    for (size_t k = 0; k < n; k++) {
        if (!str_is(word, defs[k].name))
            continue;
        if (!defs[k].takes_value && rest.p) {
            fprintf(stderr, "ocean-run: %s takes no value, got \"%s\"\n", defs[k].name, rest.p);
            return NULL;
        }
        if (defs[k].takes_value && !rest.p) {
            if (*i + 1 >= argc) {
                fprintf(stderr, "ocean-run: %s needs a value\nTry: ocean-run help %s\n", defs[k].name, command);
                return NULL;
            }
            *value = argv[++*i];
        }
        return &defs[k];
    }
    report_unknown(command, word, defs, n);
    return NULL;
}

static int append(const char *option, const char **list, size_t *n, const char *value)
{
    if (*n == OPTIONS_MAX_LIST) {
        fprintf(stderr, "ocean-run: %s given more than %d times\n", option, OPTIONS_MAX_LIST);
        return -1;
    }
    list[(*n)++] = value;
    return 0;
}

static int set_run_option(struct run_options *o, const char *name, const char *value)
{
    if (!strcmp(name, "--once"))
        o->flags.once = true;
    else if (!strcmp(name, "--json"))
        o->json = true;
    else if (!strcmp(name, "--reset-mapping"))
        o->reset_mapping = true;
    else if (!strcmp(name, "--plan"))
        o->plan = true;
    else if (!strcmp(name, "--accept-plan"))
        o->accept_plan = value;
    else if (!strcmp(name, "--local"))
        o->flags.local_file = value;
    else if (!strcmp(name, "--state"))
        o->flags.state_dir = value;
    else if (!strcmp(name, "--port"))
        o->flags.port = value;
    else if (!strcmp(name, "--lua-memory"))
        o->flags.lua_memory = value;
    else if (!strcmp(name, "--lua-cpu"))
        o->flags.lua_cpu = value;
    else if (!strcmp(name, "--log-level"))
        o->flags.log_level = value;
    else if (!strcmp(name, "--kind"))
        return append(name, o->kinds, &o->nkinds, value);
    else if (!strcmp(name, "--allow-empty"))
        return append(name, o->allow_empty, &o->nallow_empty, value);
    else if (!strcmp(name, "--max-shrink")) {
        char *end;
        o->max_shrink_percent = strtod(value, &end);
        if (end == value || *end || !(o->max_shrink_percent >= 0 && o->max_shrink_percent <= 100)) {
            fprintf(stderr, "ocean-run: --max-shrink \"%s\": expected a percentage from 0 to 100\n", value);
            return -1;
        }
    }
    return 0;
}

/* What only the options together can tell. */
static int check_plan(const struct run_options *o)
{
    const char *hash = o->accept_plan;
    if (o->plan && hash)
        fprintf(stderr, "ocean-run: --plan shows a plan, --accept-plan carries one out: give one of them\n");
    else if (o->plan && !o->flags.once)
        fprintf(stderr, "ocean-run: --plan needs --once: it shows what one resync would change\n");
    else if (hash && (strlen(hash) != PREVIEW_HASH || strspn(hash, "0123456789abcdef") != PREVIEW_HASH))
        fprintf(stderr, "ocean-run: --accept-plan \"%s\": expected the %d hexadecimal digits that --plan printed\n", hash,
                PREVIEW_HASH);
    else
        return 0;
    fprintf(stderr, "Try: ocean-run help run\n");
    return -1;
}

int options_parse_run(int argc, char **argv, struct run_options *ret)
{
    struct run_options o = {.max_shrink_percent = -1};
    for (int i = 0; i < argc; i++) {
        if (argv[i][0] == '-' && argv[i][1]) {
            const char *value;
            const struct option_def *d = take_option("run", argc, argv, &i, run_defs, ARRAY_LEN(run_defs), &value);
            if (!d || set_run_option(&o, d->name, value) < 0)
                return -1;
        } else if (o.flags.script) {
            fprintf(stderr, "ocean-run: one script or folder at a time, got \"%s\" and \"%s\"\n", o.flags.script,
                    argv[i]);
            return -1;
        } else {
            o.flags.script = argv[i];
        }
    }
    if (!o.flags.script) {
        fprintf(stderr, "ocean-run: which script? Give a .lua file or a folder that holds integration.lua\n"
                        "Try: ocean-run help\n");
        return -1;
    }
    if (check_plan(&o) < 0)
        return -1;
    *ret = o;
    return 0;
}

static const char *const catalog_commands[] = {"list", "show", "search", "export", "reset", "serve"};
#define CATALOG_COMMANDS "list, show, search, export, reset and serve"

static bool is_catalog_command(const char *word)
{
    for (size_t i = 0; i < ARRAY_LEN(catalog_commands); i++)
        if (!strcmp(word, catalog_commands[i]))
            return true;
    return false;
}

static int catalog_words(struct catalog_options *o, const char *word)
{
    if (!strcmp(o->command, "search") && !o->query)
        o->query = word;
    else if (!strcmp(o->command, "show") && !o->blueprint)
        o->blueprint = word;
    else if (!strcmp(o->command, "show") && !o->identifier)
        o->identifier = word;
    else {
        fprintf(stderr, "ocean-run: catalog %s takes no argument \"%s\"\nTry: ocean-run help catalog\n", o->command,
                word);
        return -1;
    }
    return 0;
}

int options_parse_catalog(int argc, char **argv, struct catalog_options *ret)
{
    struct catalog_options o = {0};
    for (int i = 0; i < argc; i++) {
        if (argv[i][0] == '-' && argv[i][1]) {
            const char *value;
            const struct option_def *d =
                take_option("catalog", argc, argv, &i, catalog_defs, ARRAY_LEN(catalog_defs), &value);
            if (!d)
                return -1;
            if (!strcmp(d->name, "--json"))
                o.json = true;
            else if (!strcmp(d->name, "--local"))
                o.file = value;
            else
                o.listen = value;
        } else if (!o.command) {
            o.command = argv[i];
            if (!is_catalog_command(o.command)) {
                fprintf(stderr, "ocean-run: unknown catalog command \"%s\"; there are " CATALOG_COMMANDS "\n",
                        o.command);
                return -1;
            }
        } else if (catalog_words(&o, argv[i]) < 0) {
            return -1;
        }
    }
    const char *lacks =
        !o.command                                   ? "catalog what? There are " CATALOG_COMMANDS
        : !strcmp(o.command, "show") && !o.blueprint ? "catalog show needs a blueprint: ocean-run catalog "
                                                       "show BLUEPRINT [ID]"
        : !strcmp(o.command, "search") && !o.query   ? "catalog search needs a text or a query: ocean-run "
                                                       "catalog search TEXT"
                                                     : NULL;
    if (lacks) {
        fprintf(stderr, "ocean-run: %s\nTry: ocean-run help catalog\n", lacks);
        return -1;
    }
    *ret = o;
    return 0;
}

bool options_host_port(const char *text, char *host_out, size_t n, int *ret_port)
{
    const char *colon = strrchr(text, ':');
    int64_t port;
    if (!colon || colon == text || (size_t)(colon - text) >= n || !str_int64(str_of(colon + 1), &port) || port < 0 ||
        port > 65535)
        return false;
    memcpy(host_out, text, (size_t)(colon - text));
    host_out[colon - text] = 0;
    *ret_port = (int)port;
    return true;
}
