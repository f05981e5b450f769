/* The evaluator behind the catalog's playground. A request is one frame, mapping and input; the worker process hands
 * both to `ocean-run map` as files in memory and answers with what that printed: standard output, then standard error.
 * The frame is {"mapping","input"} one way and {"lines","messages"} the other. */
#include "cli/playground.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/map.h"
#include "io/child.h"
#include "io/worker.h"
#include "json/json.h"
#include "json/write.h"

#define DEADLINE_MS 8000
#define MEMORY_LIMIT ((size_t)1 << 30)
#define ANSWER_MAX ((size_t)8 << 20)

struct playground {
    struct loop *loop;
    struct child *child;
    struct catalog_evaluator evaluator;
};

struct evaluation {
    struct worker_job job; /* first */
    struct child *child;
    struct buf request, answer;
    struct err e;
    catalog_evaluated_fn done; /* NULL: cancelled */
    void *arg;
};

/* Asking ----------------------------------------------------------------------------------------------------------- */

static void run(struct worker_job *job)
{
    struct evaluation *x = (struct evaluation *)job;
    child_call(x->child, buf_str(&x->request), DEADLINE_MS, &x->answer, &x->e);
}

static void answered(struct worker_job *job)
{
    struct evaluation *x = (struct evaluation *)job;
    struct json_doc *doc = NULL;
    struct str message = STR("The engine's answer is larger than this page can show.");
    if (x->e.code == ERR_TIMEOUT)
        message = STR("The mapping took longer than 8 seconds on this input and was stopped.");
    else if (x->e.code && x->e.code != ERR_TOO_BIG)
        message = str_of(x->e.msg);
    if (x->e.code == 0 && json_parse(buf_str(&x->answer), &doc, NULL) == 0 && x->done)
        x->done(x->arg, json_str(json_get_c(json_root(doc), "lines")),
                json_str(json_get_c(json_root(doc), "messages")));
    else if (x->done)
        x->done(x->arg, STR_NULL, message);
    json_unref(doc);
    buf_done(&x->request);
    buf_done(&x->answer);
    free(x);
}

static void *start(void *arg, struct str mapping, struct str input, catalog_evaluated_fn done, void *done_arg)
{
    struct playground *p = arg;
    struct evaluation *x = xcalloc(1, sizeof(*x));
    x->job.run = run;
    x->job.done = answered;
    x->child = p->child;
    x->done = done;
    x->arg = done_arg;
    buf_init(&x->request, BUF_NO_LIMIT);
    buf_init(&x->answer, ANSWER_MAX);
    struct jw w = jw_on(&x->request);
    jw_obj(&w);
    jw_key_c(&w, "mapping");
    jw_str(&w, mapping);
    jw_key_c(&w, "input");
    jw_str(&w, input);
    jw_end_obj(&w);
    worker_submit(p->loop, &x->job);
    return x;
}

static void cancel(void *arg, void *handle)
{
    struct evaluation *x = handle;
    (void)arg;
    x->done = NULL;
}

struct playground *playground_new(struct loop *l)
{
    static const char *const args[] = {PLAYGROUND_WORKER, NULL};
    static const char *const env[] = {"TZ=UTC", NULL};
    struct playground *p = xcalloc(1, sizeof(*p));
    p->loop = l;
    p->child = child_new(l, &(struct child_opts){args, env, MEMORY_LIMIT});
    p->evaluator = (struct catalog_evaluator){p, start, cancel};
    return p;
}

void playground_free(struct playground *p)
{
    if (!p)
        return;
    child_free(p->child);
    free(p);
}

const struct catalog_evaluator *playground_evaluator(struct playground *p) { return &p->evaluator; }

/* The worker's side ------------------------------------------------------------------------------------------------ */

static int memory_file(struct str text)
{
    int fd = memfd_create("playground", MFD_CLOEXEC);
    if (fd >= 0 && text.n && write(fd, text.p, text.n) != (ssize_t)text.n) {
        close(fd);
        return -1;
    }
    return fd;
}

/* What was written to it; its lines lose the command's name, and `names` stand for the files it was given. */
static void add_file(struct jw *w, int fd, const char *const files[2])
{
    static const char *const names[2] = {"the mapping", "the input"};
    struct buf text;
    off_t n = lseek(fd, 0, SEEK_END);
    char *all = n > 0 ? mmap(NULL, (size_t)n, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    struct str rest = all == MAP_FAILED ? STR("") : (struct str){all, (size_t)n};
    buf_init(&text, BUF_NO_LIMIT);
    while (rest.n) {
        struct str line = str_split(rest, '\n', &rest), prefix = STR("ocean-run: ");
        if (str_starts(line, prefix))
            line = (struct str){line.p + prefix.n, line.n - prefix.n};
        for (size_t i = 0; files && i < 2; i++) {
            struct str file = str_of(files[i]);
            if (str_starts(line, file)) {
                buf_adds(&text, names[i]);
                line = (struct str){line.p + file.n, line.n - file.n};
            }
        }
        buf_addstr(&text, line);
        buf_addc(&text, '\n');
    }
    jw_str(w, buf_str(&text));
    buf_done(&text);
    if (all != MAP_FAILED)
        munmap(all, (size_t)n);
}

static int handle(void *arg, struct str request, struct buf *answer)
{
    struct json_doc *doc = NULL;
    char files[2][32];
    (void)arg;
    if (json_parse(request, &doc, NULL) < 0)
        return 1;
    int mapping = memory_file(json_str(json_get_c(json_root(doc), "mapping")));
    int input = memory_file(json_str(json_get_c(json_root(doc), "input")));
    int out = memory_file(STR("")), talk = memory_file(STR("")), own[2] = {dup(1), dup(2)};
    json_unref(doc);
    if (mapping < 0 || input < 0 || out < 0 || talk < 0 || dup2(out, 1) < 0 || dup2(talk, 2) < 0)
        return 1;
    snprintf(files[0], sizeof(files[0]), "/proc/self/fd/%d", mapping);
    snprintf(files[1], sizeof(files[1]), "/proc/self/fd/%d", input);
    map_command(5, (char *[]){"--all", "--env-access", "off", files[0], files[1], NULL});
    fflush(stdout);
    fflush(stderr);
    dup2(own[0], 1);
    dup2(own[1], 2);
    struct jw w = jw_on(answer);
    jw_obj(&w);
    jw_key_c(&w, "lines");
    add_file(&w, out, NULL);
    jw_key_c(&w, "messages");
    add_file(&w, talk, (const char *const[]){files[0], files[1]});
    jw_end_obj(&w);
    for (size_t i = 0; i < 6; i++)
        close((int[]){mapping, input, out, talk, own[0], own[1]}[i]);
    return 0;
}

int playground_serve(void) { return child_serve(handle, NULL); }
