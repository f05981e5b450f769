/* eval.h: the native jq evaluator.
 *
 * Outputs go to a callback, so generators cost nothing and a callback that answers EV_BREAK stops the rest.
 * In path mode (`p` not NULL) a value travels with the last path that was followed on the way to it. Whether the
 * value still is what was found there shows, as in jq, when it is used as a path: it must be the identical one.
 *
 * One `struct ev` belongs to one thread; trees, environments and values may be shared. Everything computed
 * lives in the heap. Budgets (design.md section 5) end an evaluation with EV_FATAL, which nothing inside jq
 * can catch. */
#pragma once
#include "mapping/ast.h"
#include "mapping/reads.h"
#include "mapping/value.h"

#define EV_STEPS_MAX 10000000
#define EV_HEAP_MAX ((size_t)64 << 20)
#define EV_CALLS_MAX 10000

enum ev_code { EV_OK, EV_ERROR, EV_BREAK, EV_FATAL };
enum ev_fatal { FATAL_NONE, FATAL_STEPS, FATAL_MEMORY, FATAL_NESTING, FATAL_CALLS, FATAL_STACK, FATAL_REGEX };

struct path {
    const struct path *up; /* NULL: the value that path() was applied to */
    struct val key, v;     /* v: what was found there */
};

struct env {
    const struct env *up;
    struct val v;          /* variables */
    const struct node *fn; /* closures: what to evaluate, in `scope` */
    const struct env *scope;
    const struct def *def; /* functions */
};

struct regex_cache;
struct ev {
    struct heap *heap;
    long steps;
    int calls;
    char *stack_end; /* frames below this address end the evaluation */
    bool deep;       /* already on the large stack */
    enum ev_fatal fatal;
    struct val error;     /* with EV_ERROR */
    const void *broken;   /* with EV_BREAK: the frame it is for */
    const void *root;     /* the frame that ends the evaluation: for what no label of jq's stands for */
    struct val env_value; /* env, $ENV */
    bool clock_fixed;
    double clock; /* with clock_fixed: what now gives */
    struct regex_cache *regex;
    int64_t search_ns; /* spent in regular expressions for this item */
    struct found found; /* members of the element being mapped */
};

typedef int (*emit_fn)(struct ev *c, void *arg, struct val v, const struct path *p);

/* Value functions get evaluated arguments; forms evaluate their own. */
struct native {
    const char *name;
    int nargs;
    int (*value)(struct ev *c, struct val in, const struct val *args, struct val *ret);
    int (*form)(struct ev *c, const struct node *n, const struct env *env, struct val in,
                const struct path *p, emit_fn out, void *arg);
};

int eval(struct ev *c, const struct node *n, const struct env *env, struct val in, const struct path *p,
         emit_fn out, void *arg);
/* Of a node marked `single`, without a path. */
int eval_single(struct ev *c, const struct node *n, const struct env *env, struct val in, struct val *ret);

static inline int ev_emit(struct ev *c, emit_fn out, void *arg, struct val v, const struct path *p)
{
    if (__builtin_expect(c->heap->full, 0)) {
        c->fatal = c->heap->too_deep ? FATAL_NESTING : FATAL_MEMORY;
        return EV_FATAL;
    }
    return out(c, arg, v, p);
}
static inline int ev_step(struct ev *c)
{
    if (__builtin_expect(--c->steps < 0, 0)) {
        c->fatal = FATAL_STEPS;
        return EV_FATAL;
    }
    return EV_OK;
}
/* Fills c->error with a string and returns EV_ERROR. "%V" does not exist: use ev_shown. */
int ev_error(struct ev *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "number (1)", for messages. */
const char *ev_shown(struct ev *c, struct val v);
const char *ev_fatal_text(enum ev_fatal f);

enum ev_first { FIRST_VALUE, FIRST_EMPTY, FIRST_ERROR, FIRST_FATAL };
/* First output of an expression for one input. FIRST_ERROR: c->error; FIRST_FATAL: c->fatal. Retries by
 * itself on a large stack when the thread's own does not suffice. The caller resets heap and budget per item
 * (ev_begin). */
enum ev_first ev_first(struct ev *c, const struct node *n, struct val in, struct val *ret);
/* All outputs, for the playground and tests: `out` is called for each. */
enum ev_first ev_all(struct ev *c, const struct node *n, struct val in, emit_fn out, void *arg);
void ev_begin(struct ev *c); /* new item: empty heap, full budget */
void ev_init(struct ev *c, struct heap *h);
void ev_done(struct ev *c);

/* Natives (builtins_*.c). NULL: none of that name and number of arguments. */
const struct native *native_find(struct str name, size_t nargs);
/* A definition of the prelude, bound. */
struct def *prelude_find(struct str name, size_t nargs);
/* Is it a builtin of jq 1.8 that only libjq has? */
bool native_is_jq(struct str name, size_t nargs);

/* Operations on values (ops.c, access.c) */
int op_binary(struct ev *c, enum binop op, struct val a, struct val b, struct val *ret);
int op_negate(struct ev *c, struct val v, struct val *ret);
int op_format(struct ev *c, struct str name, struct val v, struct val *ret);
struct val op_tostring(struct ev *c, struct val v);
int access_get(struct ev *c, struct val t, struct val key, struct val *ret);
int access_slice(struct ev *c, struct val t, struct val from, struct val to, struct val *ret);
int access_set(struct ev *c, struct val t, const struct val *keys, size_t n, struct val v, struct val *ret);
int access_getpath(struct ev *c, struct val t, const struct val *keys, size_t n, struct val *ret);
int access_delete(struct ev *c, struct val t, struct val paths, struct val *ret);
struct val path_array(struct ev *c, const struct path *p);
/* EV_OK when `v` may be used as what `p` leads to (or there is no path). */
int path_check(struct ev *c, struct val v, const struct path *p);         /* as the result of path() */
int path_check_each(struct ev *c, struct val v, const struct path *p);    /* to iterate */
int path_check_access(struct ev *c, struct val v, const struct path *p, struct val key);
/* Fills `frame` as one step further; NULL without a path. */
static inline const struct path *path_add(struct path *frame, const struct path *up, struct val key, struct val v)
{
    if (!up)
        return NULL;
    *frame = (struct path){up, key, v};
    return frame;
}
struct val slice_key(struct ev *c, struct val from, struct val to);
int access_indices(struct ev *c, struct val in, struct val of, struct val *ret);
