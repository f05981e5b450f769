/* A run, step after step (runtime R-2): settings, .port folder, script, catalog or Port, state, set-up in Port, resyncs.
 *
 * Everything after the settings happens on the loop; each step's callback starts the next one. `finish` decides the exit
 * code once and stops the loop; run_command then takes everything down in reverse order. A stop by signal first aborts
 * the resync, which reports itself as aborted, and is bounded by max_wait_seconds_before_shutdown; a second signal ends
 * the process at once. */
#define LOG_GROUP "run"
#include "cli/run.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "catalog/catalog.h"
#include "cli/environment.h"
#include "cli/front.h"
#include "cli/playground.h"
#include "cli/progress.h"
#include "config/definition.h"
#include "config/settings.h"
#include "io/loop.h"
#include "io/worker.h"
#include "listen/poll.h"
#include "listen/runner.h"
#include "mapping/jq.h"
#include "port/client.h"
#include "port/integration.h"
#include "script/vm.h"
#include "store/state.h"
#include "sync/mappings.h"
#include "sync/preview.h"


struct app {
    const struct run_options *opts;
    struct settings *settings;
    struct definition *definition;
    struct loop *loop;
    struct vm *vm;
    struct catalog *catalog;
    struct playground *playground;
    struct state *state;
    struct port *port;
    struct jq_host *jq;
    struct engine engine;
    struct front *front;
    struct progress *progress;
    struct timer *schedule, *deadline;
    struct runner *runner;
    struct poll *poll;
    struct event *start_event;
    struct port_setup_plan setup_plan;
    struct port_setup_opts setup;
    struct preview_opts preview;
    char **jq_env;
    char *type, *identifier, *version;
    bool once; /* one resync, then the end: --once, or the listener ONCE */
    bool embedded, resynced, finished;
    int signum; /* the signal that asked us to stop, or 0 */
    int exit_code;
};

static void finish(struct app *a, int code)
{
    if (a->finished)
        return;
    a->finished = true;
    a->exit_code = code;
    loop_stop(a->loop);
}

static void fail(struct app *a, const struct err *e, int code)
{
    log_error("%s", e->msg);
    finish(a, code);
}

static int exit_of(const struct err *e)
{
    switch (e->code) {
    case ERR_CONFIG:
    case ERR_AUTH:
    case ERR_BUSY:
    case ERR_SCRIPT:
    case ERR_INVAL:
    case ERR_NOT_FOUND: return EXIT_CONFIG;
    default: return EXIT_FAILED;
    }
}

/* One line a problem, as they stand (they are masked already). */
static void print_problems(const struct buf *problems)
{
    struct str rest = buf_str(problems);
    while (rest.n) {
        struct str line = str_split(rest, '\n', &rest);
        if (line.n)
            log_error("%.*s", STR_FMT(line));
    }
}

/* Resyncs ------------------------------------------------------------------------------------------------------- */

static void on_begun(void *arg)
{
    struct app *a = arg;
    a->progress = progress_new(isatty(STDERR_FILENO) && !a->opts->json);
}

static void on_progress(void *arg, const struct resync_report *r)
{
    struct app *a = arg;
    progress_update(a->progress, r);
}

static void print_report(const struct app *a, const struct resync_report *r)
{
    struct buf text;
    buf_init(&text, BUF_NO_LIMIT);
    if (a->opts->json) {
        resync_report_write(r, &text);
        buf_addc(&text, '\n');
    } else {
        progress_summary(&text, r);
    }
    fputs(buf_cstr(&text), stdout);
    fflush(stdout);
    buf_done(&text);
}

static void on_ended(void *arg, const struct resync_report *r)
{
    struct app *a = arg;
    a->resynced = true;
    progress_update(a->progress, r);
    progress_free(a->progress);
    a->progress = NULL;
    if (!r->planned && !a->opts->plan)
        print_report(a, r);
    if ((a->once || r->planned) && !a->signum && !runner_busy(a->runner))
        finish(a, r->exit_code);
}

static void start_resync(struct app *a, const char *why)
{
    const struct runner_request q = {.trigger = TRIGGER_MACHINE, .why = why};
    runner_start(a->runner, &q, NULL, NULL);
}

static void on_schedule(void *arg) { start_resync(arg, "the schedule"); }

static void on_webhook(void *arg) { start_resync(arg, "a POST to /resync"); }

static bool listener_is(const struct app *a, const char *type) { return !strcmp(a->settings->event_listener_type, type); }

static bool listens_for_resyncs(const struct app *a)
{
    return !listener_is(a, "WEBHOOKS_ONLY") && !listener_is(a, "ACTIONS_ONLY");
}

/* What starts resyncs (runtime section 7). */
static void listen(struct app *a)
{
    int64_t interval_s = 60;
    const char *on_start = settings_text(a->settings, "event_listener.resync_on_start");
    if (a->once) {
        start_resync(a, "the start");
    } else if (listener_is(a, "POLLING")) {
        str_int64(str_of(settings_text(a->settings, "event_listener.interval")), &interval_s); /* checked when read */
        const struct poll_opts o = {
            .engine = &a->engine,
            .runner = a->runner,
            .interval_s = (int)interval_s,
            .resync_on_start = !on_start || !strcmp(on_start, "true"),
        };
        a->poll = poll_start(&o);
    } else {
        if (listener_is(a, "WEBHOOK"))
            front_on_resync(a->front, on_webhook, a);
        log_info("listener %s: no resync at the start", a->settings->event_listener_type);
    }
}

/* Start-up ------------------------------------------------------------------------------------------------------ */

static void on_setup(void *arg, const struct err *e)
{
    struct app *a = arg;
    struct err mine = {0};
    if (a->finished || a->signum) {
        finish(a, a->signum ? 128 + a->signum : EXIT_FAILED);
        return;
    }
    if (e) {
        fail(a, e, exit_of(e));
        return;
    }
    if (!a->once && front_start(a->loop, a->settings, a->vm, &a->front, &mine) < 0) {
        fail(a, &mine, EXIT_CONFIG);
        return;
    }
    front_ready(a->front, true);
    a->start_event = event_new(EVENT_START, TRIGGER_MACHINE, NULL);
    vm_start(a->vm, a->start_event);
    if (a->settings->scheduled_resync_interval_min > 0 && !a->once && listens_for_resyncs(a)) {
        uint64_t ms = (uint64_t)a->settings->scheduled_resync_interval_min * 60000;
        a->schedule = timer_start(a->loop, ms, ms, on_schedule, a);
    }
    listen(a);
}

static void print_plan(void *arg, struct str text)
{
    (void)arg;
    fwrite(text.p, 1, text.n, stdout);
    fflush(stdout);
}

static int start_catalog(struct app *a, struct err *e)
{
    char *file = a->settings->local_file ? xstrdup(a->settings->local_file) : catalog_default_file();
    a->playground = playground_new(a->loop);
    struct catalog_opts o = {.file = file, .evaluator = playground_evaluator(a->playground)};
    int rc = catalog_start(a->loop, &o, &a->catalog, e);
    if (rc == 0 && !a->settings->local_file)
        log_info("no OCEAN__PORT__ setting: using the embedded catalog %s (set OCEAN__PORT__CLIENT_ID and "
                 "OCEAN__PORT__CLIENT_SECRET for a Port account)",
                 file);
    else if (rc == 0)
        log_info("using the embedded catalog %s", file);
    if (rc == 0 && !a->once)
        log_info("the catalog's page is at %s/", catalog_url(a->catalog));
    free(file);
    return rc;
}

/* The embedded catalog, or Port with credentials (design.md section 1). */
static int choose_target(struct app *a, struct err *e)
{
    const struct settings *s = a->settings;
    if (s->local_file || (!s->any_port_setting && isatty(STDERR_FILENO))) {
        a->embedded = true;
        return start_catalog(a, e);
    }
    if (s->client_id && *s->client_id && s->client_secret && *s->client_secret)
        return 0;
    const char *missing = s->client_id && *s->client_id           ? "OCEAN__PORT__CLIENT_SECRET is"
                          : s->client_secret && *s->client_secret ? "OCEAN__PORT__CLIENT_ID is"
                                                                  : "OCEAN__PORT__CLIENT_ID and "
                                                                    "OCEAN__PORT__CLIENT_SECRET are";
    return ERR(e, ERR_CONFIG, "no credentials for Port: %s not set. Set them, or use --local FILE for the embedded catalog",
               missing);
}

/* Name of the target for the state file: the catalog's file by its real path, else Port's base URL. */
static char *target_name(const struct app *a)
{
    if (!a->embedded)
        return xstrdup(a->settings->base_url);
    char *file = a->settings->local_file ? xstrdup(a->settings->local_file) : catalog_default_file();
    char real[PATH_MAX];
    char *name = xasprintf("catalog:%s", realpath(file, real) ? real : file);
    free(file);
    return name;
}

static int open_state(struct app *a, struct err *e)
{
    bool fresh;
    char *target = target_name(a);
    int rc = state_open(a->loop, a->settings->state_dir, a->identifier, target, &a->state, &fresh, e);
    if (rc == 0)
        log_debug("state file %s%s", state_path(a->state), fresh ? " (new)" : "");
    free(target);
    return rc;
}

static void connect_port(struct app *a)
{
    const struct settings *s = a->settings;
    a->jq_env = environment_for_mapping(a->definition);
    a->jq = jq_host_new(a->loop, (const char *const *)a->jq_env);
    struct port_opts o = {
        .base_url = a->embedded ? catalog_url(a->catalog) : s->base_url,
        .client_id = a->embedded ? "local" : s->client_id,
        .client_secret = a->embedded ? "local" : s->client_secret,
        .type = a->type,
        .version = a->version,
        .identifier = a->identifier,
        .embedded = a->embedded,
        .insecure = s->port_insecure,
        .no_strict_x509 = s->port_no_strict,
        .blueprint_ttl_s = s->blueprint_cache_ttl_s,
    };
    a->port = port_new(a->loop, &o);
    a->engine = (struct engine){
        .loop = a->loop,
        .port = a->port,
        .state = a->state,
        .source = vm_source(a->vm),
        .settings = s,
        .jq = a->jq,
        .jq_env = (const char *const *)a->jq_env,
    };
    a->engine.mappings = mappings_new(&a->engine);
    bool planning = a->opts->plan || a->opts->accept_plan;
    a->preview = (struct preview_opts){
        .setup = &a->setup, .accept = a->opts->accept_plan, .json = a->opts->json, .write = print_plan};
    port_read_only(a->port, planning);
    const struct runner_opts runner = {
        .engine = &a->engine,
        .kinds = a->opts->kinds,
        .nkinds = a->opts->nkinds,
        .allow_empty = a->opts->allow_empty,
        .nallow_empty = a->opts->nallow_empty,
        .max_shrink_percent = a->opts->max_shrink_percent,
        .preview = planning ? &a->preview : NULL,
        .begun = on_begun,
        .progress = on_progress,
        .ended = on_ended,
        .arg = a,
    };
    a->runner = runner_new(&runner);
    vm_connect(a->vm, &a->engine, a->runner);
    a->setup = (struct port_setup_opts){
        .def = a->definition,
        .initialize_resources = s->initialize_port_resources,
        .origin = s->create_resources_origin,
        .reset_mapping = a->opts->reset_mapping,
        .embedded = a->embedded,
        .runtime = settings_text(s, "runtime"),
        .plan = planning ? &a->setup_plan : NULL,
    };
    port_setup(a->port, &a->setup, on_setup, a);
}

static int check_integration(struct app *a, struct err *e)
{
    struct json_doc *config = NULL;
    struct buf problems;
    buf_init(&problems, 1 << 20);
    int rc = definition_config(a->definition, a->settings, &config, &problems, e);
    if (rc < 0)
        print_problems(&problems);
    buf_done(&problems);
    json_unref(config);
    if (rc < 0)
        return rc;
    rc = definition_identity(a->definition, a->settings, &a->type, &a->identifier, &a->version, e);
    if (rc == 0 && listener_is(a, "KAFKA"))
        rc = ERR(e, ERR_CONFIG, "event_listener.type KAFKA (OCEAN__EVENT_LISTENER__TYPE): this build has no Kafka client; "
                                "use POLLING, or WEBHOOK where Port can reach this process");
    if (rc == 0 && listens_for_resyncs(a) && !vm_has_resync(a->vm))
        rc = ERR(e, ERR_CONFIG, "%s registers no resync handler; add ocean.on_resync(kind, function(kind) ... end)",
                 a->settings->script);
    return rc;
}

static void on_loaded(void *arg, const struct err *e)
{
    struct app *a = arg;
    struct err mine = {0};
    if (e) {
        fail(a, e, EXIT_CONFIG);
        return;
    }
    /* What fails here is a file or a value somebody named: configuration, whatever the system called it. */
    if (check_integration(a, &mine) < 0 || choose_target(a, &mine) < 0 || open_state(a, &mine) < 0) {
        fail(a, &mine, EXIT_CONFIG);
        return;
    }
    connect_port(a);
}

/* Signals ------------------------------------------------------------------------------------------------------- */

static double shutdown_s(const struct app *a)
{
    double s = a->settings->max_wait_before_shutdown_s;
    return s < 1 ? 1 : s;
}

static void on_deadline(void *arg)
{
    struct app *a = arg;
    a->deadline = NULL; /* one-shot: it frees itself */
    log_error("not stopped after %g s (max_wait_seconds_before_shutdown); ending anyway", shutdown_s(a));
    finish(a, 128 + a->signum);
}

static void on_stopped(void *arg)
{
    struct app *a = arg;
    finish(a, a->once ? 128 + a->signum : EXIT_DONE);
}

static void on_signal(void *arg, int signum)
{
    struct app *a = arg;
    if (a->signum)
        _exit(128 + signum);
    a->signum = signum;
    log_info("%s: stopping", signum == SIGTERM ? "SIGTERM" : "SIGINT");
    front_ready(a->front, false);
    front_quiesce(a->front);
    if (!a->runner) {
        finish(a, 128 + signum);
        return;
    }
    poll_stop(a->poll);
    timer_stop(a->schedule);
    a->schedule = NULL;
    a->deadline = timer_start(a->loop, (uint64_t)(shutdown_s(a) * 1000), 0, on_deadline, a);
    runner_stop(a->runner, on_stopped, a);
}

/* ----------------------------------------------------------------------------------------------------------------- */

static int load_settings(struct app *a)
{
    struct err e = {0};
    struct buf problems;
    buf_init(&problems, 1 << 20);
    log_set_groups(getenv("OCEAN_LOG"));
    int rc = settings_load(&a->opts->flags, &a->settings, &problems, &e);
    if (rc < 0) {
        print_problems(&problems);
        if (!problems.n)
            log_error("%s", e.msg);
    } else {
        log_set_level(a->settings->log_level);
        a->once = a->opts->flags.once || listener_is(a, "ONCE");
    }
    buf_done(&problems);
    return rc < 0 ? exit_of(&e) : EXIT_DONE;
}

static int start(struct app *a, struct err *e)
{
    a->definition = definition_new();
    int rc = definition_load(a->definition, a->settings, e);
    if (rc < 0)
        return rc;
    struct vm_opts o = {
        .loop = a->loop,
        .settings = a->settings,
        .definition = a->definition,
        .memory_limit = a->settings->lua_memory_bytes,
        .cpu_limit_s = a->settings->lua_cpu_s,
        .json_output = a->opts->json,
    };
    a->vm = vm_new(&o, e);
    if (!a->vm)
        return e->code;
    loop_on_signal(a->loop, on_signal, a);
    vm_load(a->vm, a->settings->script, on_loaded, a);
    return 0;
}

static void take_down(struct app *a)
{
    timer_stop(a->schedule);
    timer_stop(a->deadline);
    progress_free(a->progress);
    vm_free(a->vm);
    poll_free(a->poll);
    runner_free(a->runner);
    event_unref(a->start_event);
    port_free(a->port);
    port_setup_plan_done(&a->setup_plan);
    mappings_free(a->engine.mappings);
    jq_host_free(a->jq);
    state_close(a->state);
    if (a->catalog)
        catalog_stop(a->catalog);
    playground_free(a->playground);
    front_stop(a->front);
    definition_free(a->definition);
    settings_free(a->settings);
    environment_free(a->jq_env);
    loop_free(a->loop);
    free(a->type);
    free(a->identifier);
    free(a->version);
}

int run_command(const struct run_options *o)
{
    struct app a = {.opts = o};
    struct err e = {0};
    a.exit_code = load_settings(&a);
    if (a.exit_code != EXIT_DONE)
        return a.exit_code;
    worker_pool_setup(0);
    a.loop = loop_new();
    if (start(&a, &e) < 0) {
        log_error("%s", e.msg);
        a.exit_code = exit_of(&e);
    } else {
        loop_run(a.loop);
    }
    take_down(&a);
    return a.exit_code;
}
