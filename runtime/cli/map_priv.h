/* map_priv.h: what the files of `ocean-run map` share.
 *
 *   map.c          options, inputs, exit code
 *   map_doc.c      loading and explaining a mapping document
 *   map_resource.c mapping items with it
 *   map_expr.c     --expr
 *   map_input.c    values out of files and pipes */
#pragma once
#include "cli/map_input.h"
#include "cli/options.h"
#include "config/mapping_doc.h"
#include "mapping/plan_priv.h"

enum map_engine { ENGINE_AUTO, ENGINE_NATIVE, ENGINE_LIBJQ };

struct map_options {
    const char *mapping, *expr; /* one of them */
    char **files;
    size_t nfiles; /* 0: standard input */
    const char *kinds[OPTIONS_MAX_LIST];
    size_t nkinds;
    int64_t indexes[OPTIONS_MAX_LIST];
    size_t nindexes;
    bool all, explain, null_input, all_outputs;
    enum map_engine engine;
    bool env_access;
    bool clock_fixed;
    double clock;
};

/* One run of the command. */
struct map_run {
    const struct map_options *o;
    char **env; /* what env may show; empty without env access */
    struct jq_host *jq;
    struct buf out;  /* lines not yet written */
    bool errors;     /* an error line, or an expression that does not compile */
    int write_errno; /* stdout cannot be written: why; else 0 */
};

/* Lines go through run->out; map_flush hands them to stdout, if `now` or much has gathered. */
void map_flush(struct map_run *run, bool now);
/* Puts in front of an expression for libjq what its process cannot be told otherwise: the clock and a hidden env. */
char *map_libjq_text(struct arena *a, const struct map_run *run, struct str expr, bool hide_env);

/* Takes a batch; returns how many values were JSON. Less than b->n: `e` says why the next one is not. */
typedef size_t (*map_batch_fn)(void *arg, const struct input_batch *b, struct err *e);
/* Adds the line for broken input. */
typedef void (*map_broken_fn)(void *arg, const char *message);
/* Feeds all inputs; false if one could not be read. */
bool map_inputs(struct map_run *run, enum input_kind kind, map_batch_fn batch, map_broken_fn broken, void *arg);
/* Reads one value as jq does, nan included. */
int map_parse_odd(struct heap *h, struct str text, struct val *ret);

/* ---- map_doc.c ---- */

/* Loads and checks MAPPING; problems go to stderr with line and column. NULL: exit code in *ret_exit. */
struct mapping_doc *map_doc_load(const char *path, int *ret_exit);
/* "resources[1] issue", for messages; the mapping's number too where a resource has several. */
void map_doc_name(struct buf *out, const struct mapping_resource *r);
/* Prints which engine evaluates what. */
void map_explain(struct map_run *run, const struct mapping_resource *r, const struct plan *p, const char *const *libjq);
void map_explain_expr(const struct expr *x, enum map_engine engine, const char *libjq_problem);

/* ---- map_resource.c, map_expr.c: the two forms; exit codes ---- */
int map_resources(struct map_run *run);
int map_expression(struct map_run *run);
