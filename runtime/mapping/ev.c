/* Running an expression: budgets, error texts, and the large stack.
 *
 * Evaluation recurses on the C stack. Nearly every expression is content with a small part of the thread's;
 * one that is not is run again from its start on a stack of its own, which is large enough for the call
 * limit. Evaluation has no side effects, so starting again is harmless. */
#include "mapping/eval.h"

#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>

#include "mapping/builtins.h"

#define STACK_SMALL ((size_t)256 << 10)
#ifdef OCEAN_SAN
#define STACK_LARGE ((size_t)1024 << 20)
#else
#define STACK_LARGE ((size_t)256 << 20)
#endif
#define STACK_RESERVE                                                                                        \
    ((size_t)32 << 20) /* for what runs below the check: walkers of values 10,000 levels deep */

void ev_init(struct ev *c, struct heap *h)
{
    static struct obj none = {.depth = 1, .epoch = EPOCH_FROZEN}; /* outlives every heap; never written */
    *c = (struct ev){.heap = h, .env_value = {.kind = VAL_OBJECT, .rep = REP_BUILT, .obj = &none}};
}

void ev_done(struct ev *c)
{
    regex_cache_free(c->regex);
    c->regex = NULL;
    found_done(&c->found);
}

void ev_begin(struct ev *c)
{
    heap_reset(c->heap);
    heap_alloc(c->heap, 8); /* so that every later mark has a chunk to go back to */
    c->steps = EV_STEPS_MAX;
    c->search_ns = 0;
    c->fatal = FATAL_NONE;
    found_end(&c->found);
}

int ev_error(struct ev *c, const char *fmt, ...)
{
    char small[512];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(small, sizeof(small), fmt, ap);
    va_end(ap);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof(small) ? (size_t)n : sizeof(small) - 1;
    while (len && len == sizeof(small) - 1 && ((unsigned char)small[len - 1] & 0x80))
        len--;
    c->error = val_string(c->heap, (struct str){small, len});
    return EV_ERROR;
}

const char *ev_shown(struct ev *c, struct val v)
{
    struct str s = val_excerpt(c->heap, v, 29);
    struct val text = val_fmt(c->heap, "%s (%.*s)", val_kind_name(v.kind), STR_FMT(s));
    return text.kind == VAL_STRING ? text.s : "a value";
}

const char *ev_fatal_text(enum ev_fatal f)
{
    switch (f) {
    case FATAL_STEPS: return "it takes more than 10 million steps";
    case FATAL_MEMORY: return "it needs more than 64 MiB of memory";
    case FATAL_NESTING: return "it builds a value nested deeper than 10,000 levels";
    case FATAL_CALLS:
    case FATAL_STACK: return "its calls are nested deeper than 10,000 levels";
    case FATAL_REGEX: return "a regular expression backtracks too much";
    default: return "it was stopped";
    }
}

struct run {
    struct ev *c;
    const struct node *n;
    struct val in, *ret;
    emit_fn out;
    void *arg;
    enum ev_first result;
    bool got;
};

static int first_output(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct run *r = arg;
    (void)p;
    *r->ret = v;
    r->got = true;
    c->broken = r;
    return EV_BREAK;
}

static void run_once(struct run *r)
{
    struct ev *c = r->c;
    c->calls = 0;
    c->root = r;
    r->got = false;
    int rc;
    if (r->out) {
        rc = eval(c, r->n, NULL, r->in, NULL, r->out, r->arg);
    } else if (r->n->single) {
        rc = eval_single(c, r->n, NULL, r->in, r->ret);
        r->got = rc == EV_OK;
    } else {
        rc = eval(c, r->n, NULL, r->in, NULL, first_output, r);
    }
    if (rc == EV_BREAK && c->broken == r)
        rc = EV_OK;
    if (rc == EV_OK && c->heap->full)
        rc = ev_emit(c, NULL, NULL, VNULL, NULL);
    if (rc == EV_ERROR && c->heap->full)
        rc = ev_emit(c, NULL, NULL, VNULL, NULL);
    r->result = rc == EV_FATAL   ? FIRST_FATAL
                : rc == EV_ERROR ? FIRST_ERROR
                : r->got         ? FIRST_VALUE
                                 : FIRST_EMPTY;
}

static void *run_deep(void *arg)
{
    struct run *r = arg;
    char *here = __builtin_frame_address(0);
    r->c->stack_end = here - (STACK_LARGE - STACK_RESERVE);
    r->c->deep = true;
    r->c->fatal = FATAL_NONE;
    run_once(r);
    r->c->deep = false;
    return NULL;
}

static enum ev_first run(struct run *r)
{
    struct ev *c = r->c;
    c->stack_end = (char *)__builtin_frame_address(0) - STACK_SMALL;
    long steps = c->steps;
    /* All outputs are wanted once only, so there is no starting again: the large stack from the beginning. */
    if (!r->out) {
        run_once(r);
        if (r->result != FIRST_FATAL || c->fatal != FATAL_STACK)
            return r->result;
    }
    pthread_attr_t attr;
    pthread_t t;
    void *stack = mmap(NULL, STACK_LARGE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED) {
        c->fatal = FATAL_STACK;
        return FIRST_FATAL;
    }
    pthread_attr_init(&attr);
    pthread_attr_setstack(&attr, stack, STACK_LARGE);
    c->steps = steps;
    c->fatal = FATAL_STACK;
    r->result = FIRST_FATAL;
    if (pthread_create(&t, &attr, run_deep, r) == 0)
        pthread_join(t, NULL);
    pthread_attr_destroy(&attr);
    munmap(stack, STACK_LARGE);
    return r->result;
}

enum ev_first ev_first(struct ev *c, const struct node *n, struct val in, struct val *ret)
{
    struct run r = {.c = c, .n = n, .in = in, .ret = ret};
    return run(&r);
}

enum ev_first ev_all(struct ev *c, const struct node *n, struct val in, emit_fn out, void *arg)
{
    struct val unused;
    struct run r = {.c = c, .n = n, .in = in, .ret = &unused, .out = out, .arg = arg};
    return run(&r);
}
