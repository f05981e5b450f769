/* Simulated lives of the runtime against a model of source and catalog (world.h, model_port.h): resyncs that fail,
 * are replaced, stopped or killed, a source that changes meanwhile and sometimes lies, a Port that fails in every way.
 *
 * Each life is a process of its own, so that a kill is a kill; state outlives it as in reality. What must hold:
 *   - nothing that has existed at the source since before the run began is deleted (model_delete, at every request)
 *   - a run that says it went well left Port equal to the source
 *   - Port is told of an end for every beginning, but for a kill
 *   - after the storm one clean resync makes the catalog equal to the source
 *
 * A failure prints the seed: OCEAN_SIM_SEED=n runs it again alone. OCEAN_SIM_RUNS says how many histories, from
 * OCEAN_SIM_FIRST on. */
#include "unit/listen/model_port.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "config/settings.h"
#include "io/worker.h"
#include "listen/runner.h"
#include "port/client_priv.h"
#include "sync/mappings.h"

#define RUNS 250

static unsigned rng;

static unsigned below(unsigned n)
{
    rng ^= rng << 13;
    rng ^= rng >> 17;
    rng ^= rng << 5;
    return n ? rng % n : 0;
}

static bool chance(unsigned percent) { return below(100) < percent; }

static void seed_rng(unsigned seed, unsigned life)
{
    rng = (seed + 1) * 2654435761u ^ (life + 1) * 40503u;
    rng = rng ? rng : 1;
    for (int i = 0; i < 5; i++)
        below(2);
}

/* How a life goes, decided by the parent. */
struct life {
    unsigned seed, number, port;
    const char *dir;
    unsigned resyncs;
    bool changing; /* the source changes while it is read */
    unsigned trouble; /* of 100 steps of a handler so many go wrong */
    unsigned lie;     /* kind that once gives an empty list although it has entities: 1 a, 2 b, 0 none */
    unsigned impatient; /* of 100 turns so many ask for another resync */
    bool clean;       /* the last one: what Port has afterwards must be exact */
};

/* The source ------------------------------------------------------------------------------------------------------- */

static void change_source(struct world *w)
{
    int b = (int)below(BLUEPRINTS), id = 1 + (int)below(IDS - 1); /* number 0 always exists */
    unsigned version = atomic_load(&w->source[b][id]);
    if (version && chance(40)) {
        atomic_store(&w->source[b][id], 0);
        return;
    }
    if (!version)
        atomic_store(&w->since[b][id], atomic_fetch_add(&w->stamp, 1) + 1);
    atomic_store(&w->source[b][id], 1 + below(1000));
}

struct sim {
    const struct life *life;
    struct world *w;
    struct loop *loop;
    struct runner *runner;
    unsigned left; /* resyncs to be asked for */
    bool lied;     /* twice in a row would be believed, as it must be */
    bool hangs;    /* a handler waits for ever: somebody loses patience */
    bool stopped, exact; /* exact: nothing kept this run from seeing everything */
};

struct handler {
    struct sim *sim;
    struct sink *sink;
    int blueprint, at;
    bool cancelled, over, lies;
};

static void end_handler(struct handler *h)
{
    static const struct source_report seen = {.http_requests = 1, .answers_2xx = 1};
    if (h->over)
        return;
    h->over = true;
    h->sink->ops->done(h->sink, &seen);
}

static void step_handler(void *arg);

static void on_room(void *arg) { loop_defer(((struct handler *)arg)->sim->loop, step_handler, arg); }

/* What exists among the next few identifiers, as it is now. */
static struct json_doc *read_page(struct handler *h)
{
    struct world *w = h->sim->w;
    struct buf b;
    struct err e;
    struct json_doc *doc;
    int end = h->at + 1 + (int)below(9);
    bool first = true;
    buf_init(&b, BUF_NO_LIMIT);
    buf_addc(&b, '[');
    for (; h->at < end && h->at < IDS; h->at++) {
        unsigned version = atomic_load(&w->source[h->blueprint][h->at]);
        if (!version || h->lies)
            continue;
        buf_addf(&b, "%s{\"id\":\"%d\",\"v\":\"v%u\",\"owner\":\"%d\"}", first ? "" : ",", h->at, version,
                 target_of(h->at));
        first = false;
    }
    buf_addc(&b, ']');
    assert_int_equal(json_parse(buf_str(&b), &doc, &e), 0);
    buf_done(&b);
    return doc;
}

static void step_handler(void *arg)
{
    struct handler *h = arg;
    struct sim *s = h->sim;
    while (!h->cancelled && !h->over && h->at < IDS) {
        if (s->life->changing && chance(30)) {
            change_source(s->w);
            s->exact = false;
        }
        if (chance(s->life->trouble)) {
            unsigned what = below(4);
            s->exact = false;
            if (what == 0)
                h->sink->ops->taint(h->sink, "a page answered 500");
            else if (what == 1)
                h->sink->ops->error(h->sink, "sim.lua:1", "raised");
            else if (what == 2) { /* waits for something that never comes, until it is cancelled */
                s->hangs = true;
                return;
            }
            if (what == 1)
                break;
        }
        struct json_doc *doc = read_page(h);
        if (h->sink->ops->push(h->sink, doc, json_root(doc), chance(20), on_room, h) == PUSHED_FULL)
            return;
    }
    end_handler(h);
}

static bool has_handler(void *arg, struct str kind)
{
    (void)arg;
    (void)kind;
    return true;
}

static void kinds(void *arg, struct buf *out)
{
    (void)arg;
    buf_adds(out, "a, b");
}

struct hook {
    void (*done)(void *arg, const struct err *e, bool http_error);
    void *arg;
};

static void on_hook(void *arg)
{
    struct hook h = *(struct hook *)arg;
    free(arg);
    h.done(h.arg, NULL, false);
}

static void run_hook(void *arg, enum source_hook which, struct event *ev,
                     void (*done)(void *done_arg, const struct err *e, bool http_error), void *done_arg)
{
    struct sim *s = arg;
    struct hook *h = xmalloc(sizeof(*h));
    (void)which;
    (void)ev;
    *h = (struct hook){done, done_arg};
    loop_defer(s->loop, on_hook, h);
}

static void *start(void *arg, struct event *ev, const struct mapping_resource *r, struct sink *sink)
{
    struct sim *s = arg;
    static struct handler handlers[256];
    static size_t n;
    struct handler *h = &handlers[n++ % 256];
    (void)ev;
    *h = (struct handler){.sim = s, .sink = sink, .blueprint = blueprint_index(r->kind)};
    h->lies = !s->lied && s->life->lie == 1 + (unsigned)h->blueprint;
    s->lied |= h->lies;
    s->exact &= !h->lies;
    loop_defer(s->loop, step_handler, h);
    return h;
}

static void on_cancel(void *arg) { end_handler(arg); }

static void cancel(void *arg, void *run)
{
    struct sim *s = arg;
    struct handler *h = run;
    h->cancelled = true;
    loop_defer(s->loop, on_cancel, h);
}

/* A life ----------------------------------------------------------------------------------------------------------- */

static void ask(struct sim *s)
{
    const struct runner_request q = {.trigger = TRIGGER_MACHINE, .why = "the simulation"};
    s->left--;
    runner_start(s->runner, &q, NULL, NULL);
}

static void on_begun(void *arg)
{
    struct sim *s = arg;
    s->exact = true;
    s->hangs = false;
    s->w->run_start_us = clock_wall_us();
    atomic_store(&s->w->run_start, atomic_fetch_add(&s->w->stamp, 1) + 1);
}

/* Is what Port has what the source has? Entities that exist only as targets may stay, and so may what came after the run
 * began: a request of a killed runtime that Port works on late. The next run's listing shows it. */
static void compare(struct world *w, const char *when)
{
    for (int b = 0; b < BLUEPRINTS; b++)
        for (int id = 0; id < IDS; id++) {
            unsigned want = atomic_load(&w->source[b][id]), have = w->port[b][id];
            bool target = false;
            for (int d = 0; b == 0 && d < IDS; d++)
                target |= atomic_load(&w->source[1][d]) && target_of(d) == id;
            bool late = w->updated_us[b][id] >= w->run_start_us;
            if (want ? have != want : have && !target && !late)
                violated(w, "%s: %s/%d is v%u at the source and v%u in Port", when, b ? "b" : "a", id, want, have);
        }
}

static void on_ended(void *arg, const struct resync_report *r)
{
    struct sim *s = arg;
    if (r->exit_code == 0 && s->exact)
        compare(s->w, "after a run that went well");
    if (s->life->clean && (r->exit_code || !s->exact))
        violated(s->w, "the clean run ended with %d: %s", r->exit_code, r->failure ? r->failure : "");
    if (s->left && !s->stopped)
        ask(s);
}

static void on_turn(void *arg)
{
    struct sim *s = arg;
    bool enough = s->hangs && chance(30);
    if (s->left && runner_busy(s->runner) && (enough || chance(s->life->impatient)))
        ask(s);
    else if (enough || (chance(s->life->trouble) && chance(5))) /* SIGTERM */
        s->stopped = true;
}

static void on_stopped(void *arg) { *(bool *)arg = true; }

static void live(const struct life *life, struct world *w)
{
    static const char *const both[] = {"a", "b"};
    struct sim s = {.life = life, .w = w, .loop = loop_new(), .left = life->resyncs};
    struct settings settings = {
        .mapping_cache_ttl_s = 60,
        .upsert_max_entities = 1 + (int)below(20),
        .upsert_max_bytes = (size_t)1 << 20,
        .delete_max_entities = 1 + (int)below(100),
        .items_to_parse_batch = 200,
        .resync_lookahead = 1 + (int)below(5),
        .resync_concurrency = 1 + (int)below(2),
        .max_shrink_percent = 30,
    };
    struct source source = {&s, has_handler, kinds, run_hook, start, cancel};
    struct err e = {0};
    struct state *state;
    bool fresh, over = false;
    char url[64];
    seed_rng(life->seed, life->number);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u", life->port);
    const struct port_opts po = {url, "id", "secret", "sim", "1", "sim", .embedded = true};
    struct port *port = port_new(s.loop, &po);
    port->policy.base_s = 0.0005; /* an hour of waiting in a second */
    port->policy.max_s = 0.002;
    if (state_open(s.loop, life->dir, "sim", "sim", &state, &fresh, &e) < 0) {
        violated(w, "the state file: %s", e.msg);
        _exit(1);
    }
    struct engine engine = {s.loop, port, state, &source, &settings, NULL, NULL, NULL};
    engine.mappings = mappings_new(&engine);
    struct runner_opts ro = {.engine = &engine,
                             .max_shrink_percent = life->clean ? 100 : -1,
                             .allow_empty = both,
                             .nallow_empty = life->clean ? 2 : 0,
                             .begun = on_begun,
                             .ended = on_ended,
                             .arg = &s};
    s.runner = runner_new(&ro);
    struct timer *turn = timer_start(s.loop, 1, 1, on_turn, &s);
    ask(&s);
    while (runner_busy(s.runner) && !s.stopped)
        loop_turn(s.loop, true);
    runner_stop(s.runner, on_stopped, &over);
    while (!over)
        loop_turn(s.loop, true);
    timer_stop(turn);
    runner_free(s.runner);
    port_free(port);
    mappings_free(engine.mappings);
    state_close(state);
    loop_free(s.loop);
#ifdef OCEAN_SAN
    exit(0); /* leaks are looked for */
#else
    _exit(0);
#endif
}

/* The storm -------------------------------------------------------------------------------------------------------- */

static struct model_port *model;

static void on_tick(void *arg) { (void)arg; }

/* Runs a life to its end, or kills it when Port has had so many requests. Returns false after a kill. */
static bool run_life(const struct life *life, unsigned kill_at)
{
    struct world *w = model->world;
    int status = 0;
    bool killed = false;
    w->requests = 0;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGALRM, SIG_DFL);
        alarm(60); /* a hang is a failure, not a wait */
        live(life, w);
    }
    assert_true(child > 0);
    struct timer *tick = timer_start(model->loop, 1, 1, on_tick, NULL);
    while (waitpid(child, &status, WNOHANG) == 0) {
        if (kill_at && !killed && w->requests >= kill_at) {
            kill(child, SIGKILL);
            killed = true;
        }
        loop_turn(model->loop, true);
    }
    timer_stop(tick);
    if (!killed && (!WIFEXITED(status) || WEXITSTATUS(status)))
        violated(w, "life %u ended by signal %d, status %d", life->number, WIFSIGNALED(status) ? WTERMSIG(status) : 0,
                 WIFEXITED(status) ? WEXITSTATUS(status) : 0);
    return !killed;
}

static void new_source(struct world *w)
{
    memset(w, 0, sizeof(*w));
    for (int b = 0; b < BLUEPRINTS; b++)
        for (int id = 0; id < IDS; id++)
            if (id == 0 || chance(60))
                atomic_store(&w->source[b][id], 1 + below(1000));
}

static void storm(unsigned seed, const char *dir)
{
    struct world *w = model->world;
    unsigned lives = 1 + below(4), lie_in = below(8);
    new_source(w);
    for (unsigned i = 0; i < lives && !w->violation[0]; i++) {
        struct life life = {
            .seed = seed,
            .number = i,
            .port = (unsigned)http_server_port(model->server),
            .dir = dir,
            .resyncs = 1 + below(3),
            .changing = chance(50),
            .trouble = chance(50) ? below(8) : 0,
            .lie = i == lie_in ? 1 + below(2) : 0,
            .impatient = chance(30) ? below(30) : 0,
        };
        int began = w->running, ended = w->ended;
        w->faults = chance(60) ? below(12) : 0;
        w->cautious = chance(50);
        bool whole = run_life(&life, chance(25) ? 1 + below(40) : 0);
        if (whole && !w->faults && w->running - began != w->ended - ended && !w->violation[0])
            violated(w, "life %u: %d runs began, %d ended", i, w->running - began, w->ended - ended);
    }
    const struct life last = {
        .seed = seed, .number = lives, .port = (unsigned)http_server_port(model->server), .dir = dir, .resyncs = 1, .clean = true};
    w->faults = 0;
    w->cautious = false;
    if (!w->violation[0])
        run_life(&last, 0);
    if (!w->violation[0])
        compare(w, "after the storm");
    if (!w->violation[0] && strcmp(w->state, "completed") != 0)
        violated(w, "after the storm Port shows '%s'", w->state);
}

static unsigned number_of(const char *name, unsigned fallback)
{
    const char *text = getenv(name);
    return text && *text ? (unsigned)strtoul(text, NULL, 10) : fallback;
}

static void what_must_hold_holds(void **unused)
{
    (void)unused;
    struct err e;
    bool one = getenv("OCEAN_SIM_SEED") != NULL;
    unsigned first = number_of("OCEAN_SIM_SEED", number_of("OCEAN_SIM_FIRST", 1)), total = 0;
    unsigned runs = one ? 1 : number_of("OCEAN_SIM_RUNS", RUNS);
    struct world *w = mmap(NULL, sizeof(*w), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(w != MAP_FAILED);
    struct model_port m = {.world = w, .loop = loop_new(), .random_below = below};
    const struct http_server_opts o = {.max_body = (size_t)8 << 20, .handle = model_handle, .arg = &m};
    assert_int_equal(http_server_start(m.loop, &o, &m.server, &e), 0);
    model = &m;
    if (!one)
        log_set_level("CRITICAL");
    for (unsigned seed = first; seed < first + runs; seed++) {
        char dir[] = "/dev/shm/ocean-sim-XXXXXX", command[64];
        assert_non_null(mkdtemp(dir));
        seed_rng(seed, 99);
        storm(seed, dir);
        total += (unsigned)w->running;
        snprintf(command, sizeof(command), "rm -rf %s", dir);
        assert_int_equal(system(command), 0);
        if (w->violation[0])
            fail_msg("OCEAN_SIM_SEED=%u: %s", seed, w->violation);
    }
    print_message("%u simulated histories, %u resyncs\n", runs, total);
    http_server_free(m.server);
    loop_free(m.loop);
    munmap(w, sizeof(*w));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_must_hold_holds)};
    worker_pool_setup(4);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
