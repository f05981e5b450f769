/* child.h: a process of our own with a framed socket pair.
 *
 * The child is this binary again (/proc/self/exe) with the given arguments, fd 3 its end of the pair, environment
 * as given, and it dies with its parent. Frames are a 4-byte little-endian length and that many bytes.
 *
 * child_new, child_free: loop thread (PR_SET_PDEATHSIG fires when the spawning thread ends, so the spawn itself always
 * happens there). child_call: any thread, blocks up to its deadline; calls of one child wait for each other. The loop
 * must turn while another thread makes a call that has to spawn. */
#pragma once
#include <stddef.h>
#include "base/buf.h"
#include "base/err.h"
#include "io/loop.h"

struct child;

struct child_opts {
    const char *const *args;  /* after argv[0]; NULL ends */
    const char *const *env;   /* complete environment; NULL ends */
    size_t memory_limit;      /* RLIMIT_AS in bytes; 0 or under ASan: none */
};

#define CHILD_FRAME_MAX ((size_t)1 << 30)

/* Nothing is spawned yet: the process starts at the first call and again after a kill. */
struct child *child_new(struct loop *l, const struct child_opts *opts); /* opts are copied */
/* Kills it. A call still going on in another thread returns ERR_CANCELLED first. NULL is allowed. */
void child_free(struct child *c);
/* Sends one frame, waits for one, appended to ret_answer. ERR_TIMEOUT: killed at the deadline; ERR_IO: it died
 * (message says how) or could not be started; ERR_TOO_BIG: a frame over CHILD_FRAME_MAX or ret_answer's maximum. */
int child_call(struct child *c, struct str request, int deadline_ms, struct buf *ret_answer, struct err *e);

/* The child's side: serves frames on fd 3 until end of file (exit code 0) or until `handle`, which appends to an empty
 * `answer`, returns something else than 0, which is the exit code then. Returns the exit code. */
int child_serve(int (*handle)(void *arg, struct str request, struct buf *answer), void *arg);
