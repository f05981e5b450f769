/* Finding builtins, and the prelude: those that are short to say in jq itself. The prelude is parsed and
 * bound once. */
#include "mapping/builtins.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static const char prelude_text[] =
    "def first: .[0];\n"
    "def last: .[-1];\n"
    "def nth($n): .[$n];\n"
    "def have_decnum: true;\n"
    "def have_literal_numbers: true;\n"
    "def recurse(f; cond): def r: ., (f | select(cond) | r); r;\n"
    "def map_values(f): .[] |= f;\n"
    "def with_entries(f): to_entries | map(f) | from_entries;\n"
    "def paths(f): path(.. | select(f)) | select(length > 0);\n"
    "def until(cond; next): def r: if cond then . else (next | r) end; r;\n"
    "def while(cond; next): def r: if cond then ., (next | r) else empty end; r;\n"
    "def repeat(f): def r: f, r; r;\n"
    "def walk(f): def w: if type == \"object\" then map_values(w) elif type == \"array\" then map(w) else . "
    "end | f; w;\n"
    "def IN(s): any(s == .; .);\n"
    "def IN(src; s): any(src == s; .);\n"
    "def INDEX(stream; f): reduce stream as $row ({}; .[$row | f | tostring] |= $row);\n"
    "def INDEX(f): INDEX(.[]; f);\n"
    "def JOIN($index; f): [.[] | [., $index[f]]];\n"
    "def JOIN($index; stream; f): stream | [., $index[f]];\n"
    "def JOIN($index; stream; f; join): stream | [., $index[f]] | join;\n"
    "def combinations: if length == 0 then [] else .[0][] as $x | (.[1:] | combinations) as $w | [$x] + $w "
    "end;\n"
    "def combinations($n): . as $dot | [range($n)] | map($dot) | combinations;\n"
    "def tostream: path(def r: (.[]? | r), .; r) as $p | getpath($p)\n"
    "  | reduce path(.[]?) as $q ([$p, .]; [$p + $q]);\n"
    "def fromstream(f): {x: null, e: false} as $init\n"
    "  | foreach f as $i ($init;\n"
    "      if .e then $init else . end\n"
    "      | if $i | length == 2\n"
    "        then setpath([\"e\"]; $i[0] | length == 0) | setpath([\"x\"] + $i[0]; $i[1])\n"
    "        else setpath([\"e\"]; $i[0] | length == 1) end;\n"
    "      if .e then .x else empty end);\n"
    "def truncate_stream(stream): . as $n | null | stream | . as $input\n"
    "  | if (.[0] | length) > $n then setpath([0]; .[0][$n:]) else empty end;\n"
    "def todateiso8601: todate;\n"
    "def fromdateiso8601: strptime(\"%Y-%m-%dT%H:%M:%SZ\") | mktime;\n"
    "def fromdate: fromdateiso8601;\n"
    "def todate: strftime(\"%Y-%m-%dT%H:%M:%SZ\");\n"
    "def finites: select(type == \"number\" and (isinfinite | not));\n"
    "def normals: select(isnormal);\n"
    "def test($re): test($re; null);\n"
    "def match($re): match($re; null);\n"
    "def capture($re): capture($re; null);\n"
    "def capture($re; flags): match($re; flags)\n"
    "  | [.captures | .[] | select(.name != null) | {key: .name, value: .string}] | from_entries;\n"
    "def scan($re): scan($re; null);\n"
    "def scan($re; flags): match($re; \"g\" + flags) | if (.captures | length) > 0 then [.captures | .[] | "
    ".string] else .string end;\n"
    "def splits($re): splits($re; null);\n"
    "def splits($re; flags): split($re; flags) | .[];\n"
    "def gsub($re; str): sub($re; str; \"g\");\n"
    "def gsub($re; str; $flags): sub($re; str; $flags + \"g\");\n"
    "def sub($re; str): sub($re; str; \"\");\n";

/* What jq 1.8 has beyond the above. */
static const char *const jq_only[] = {
    "get_jq_origin/0",
    "get_prog_origin/0",
    NULL,
};

static int f_builtins(struct ev *c, struct val in, const struct val *args, struct val *ret);

static const struct native natives_here[] = {{"builtins", 0, f_builtins, NULL}, {.name = NULL}};

static const struct native *const tables[] = {natives_core,  natives_string, natives_form, natives_math,
                                              natives_regex, natives_date,   natives_here};

static struct arena *prelude_arena __attribute__((used)); /* keeps it reachable */
static struct def **prelude;
static size_t prelude_n;
static pthread_once_t prelude_once = PTHREAD_ONCE_INIT;

const struct native *native_find(struct str name, size_t nargs)
{
    for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++)
        for (const struct native *n = tables[t]; n->name; n++)
            if ((size_t)n->nargs == nargs && str_is(name, n->name))
                return n;
    return NULL;
}

static struct def *find(struct str name, size_t nargs)
{
    for (size_t i = 0; i < prelude_n; i++)
        if (prelude[i]->nparams == nargs && str_eq(prelude[i]->name, name))
            return prelude[i];
    return NULL;
}

/* The prelude lives as long as the process. Names inside it are found in it while it is being bound. */
static void load_prelude(void)
{
    static struct heap heap;
    struct arena *a = prelude_arena = arena_new(0);
    heap_init(&heap, EV_HEAP_MAX);
    prelude_n = ast_parse_defs(a, &heap, STR(prelude_text), &prelude);
    if (!prelude_n) {
        fprintf(stderr, "ocean-run: the jq prelude does not parse\n");
        abort();
    }
    for (size_t i = 0; i < prelude_n; i++) {
        struct bind_result r = {0};
        ast_bind_def(a, STR(prelude_text), prelude[i], &r);
        if (r.message) {
            fprintf(stderr, "ocean-run: the jq prelude: %s\n", r.message);
            abort();
        }
    }
}

static __thread bool loading;

struct def *prelude_find(struct str name, size_t nargs)
{
    if (!loading) {
        loading = true;
        pthread_once(&prelude_once, load_prelude);
        loading = false;
    }
    return find(name, nargs);
}

bool native_is_jq(struct str name, size_t nargs)
{
    char full[80];
    snprintf(full, sizeof(full), "%.*s/%zu", (int)(name.n > 60 ? 60 : name.n), name.p, nargs);
    for (const char *const *b = jq_only; *b; b++)
        if (strcmp(full, *b) == 0)
            return true;
    return false;
}

static int f_builtins(struct ev *c, struct val in, const struct val *args, struct val *ret)
{
    (void)in, (void)args;
    prelude_find(STR(""), 0); /* loads it */
    struct val r = val_array(c->heap, 256);
    for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++)
        for (const struct native *n = tables[t]; n->name && !c->heap->full; n++)
            r = val_push(c->heap, r, val_fmt(c->heap, "%s/%d", n->name, n->nargs));
    for (size_t i = 0; i < prelude_n && !c->heap->full; i++)
        r = val_push(c->heap, r,
                     val_fmt(c->heap, "%.*s/%zu", STR_FMT(prelude[i]->name), prelude[i]->nparams));
    *ret = r;
    return EV_OK;
}
