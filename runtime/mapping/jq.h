/* jq.h: libjq in a process of its own, for what the native evaluator does not know.
 *
 * jq.h/jv.h of libjq are included in mapping/jq.c alone. The process is started when a mapping first needs it, killed
 * at its time limit (2 s an item) and restarted; a batch that killed it is retried item by item. */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "io/loop.h"

struct jq_host;

/* env: complete environment `env` may show. Loop thread. */
struct jq_host *jq_host_new(struct loop *l, const char *const *env);
void jq_host_free(struct jq_host *h);

struct jq_answer {
    enum { JQ_VALUE, JQ_EMPTY, JQ_ERROR, JQ_COMPILE_ERROR, JQ_KILLED } what;
    struct str text; /* JSON of the first output, or the message; in the caller's buffer */
};
/* Evaluates every expression on every input: answers[input * nexpr + expr]. Any thread; serialised inside.
 * `texts` receives the memory the answers point into. */
int jq_host_eval(struct jq_host *h, const struct str *exprs, size_t nexpr, const struct str *inputs, size_t ninput,
                 struct jq_answer *answers, struct buf *texts, struct err *e);
/* Checks that libjq compiles it. */
int jq_host_compile(struct jq_host *h, struct str expr, struct err *e);

/* Entry point of the worker process (`ocean-run --jq-worker`). */
int jq_worker_main(void);
