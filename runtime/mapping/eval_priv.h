/* eval_priv.h: what the files of the evaluator share: eval.c (nodes, calls, the short way), eval_fold.c
 * (variables, reduce, foreach), eval_assign.c (assignment). */
#pragma once
#include "mapping/eval.h"

#define VARS_LOCAL 6

int eval_as(struct ev *c, const struct node *n, const struct env *env, struct val in, const struct path *p,
            emit_fn out, void *arg);
int eval_reduce(struct ev *c, const struct node *n, const struct env *env, struct val in,
                const struct path *p, emit_fn out, void *arg);
int eval_foreach(struct ev *c, const struct node *n, const struct env *env, struct val in,
                 const struct path *p, emit_fn out, void *arg);
int eval_assign(struct ev *c, const struct node *n, const struct env *env, struct val in,
                const struct path *p, emit_fn out, void *arg);
