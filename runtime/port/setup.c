/* Start-up initialisation as one line of steps (runtime section 4), each answered before the next begins:
 *
 *   read integration -> provision list -> organisation -> create (if absent) -> patch (if different)
 *     -> defaults by origin: nothing | flag | poll | blueprints in three waves, the rest, flag
 *     -> mapping brought up to date (setup_config.c) -> done
 *
 * Only a 404 means that the integration does not exist; any other trouble ends the start, because
 * creating again what is merely unreadable would be worse. */
#define LOG_GROUP "port.setup"
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "json/write.h"
#include "port/setup_priv.h"

#define PHASE_MS 300000
#define POLL_FIRST_S 3.0
#define POLL_FACTOR 1.55
#define POLL_WAIT_MAX_S 30.0
#define POLL_TOTAL_S 600.0
#define POLL_ATTEMPTS 30

/* ---- Life ---- */

void setup_free(struct setup *s)
{
    if (!s)
        return;
    fan_free(s->fan);
    timer_stop(s->timer);
    setup_pretence_free(s->pretence);
    for (size_t i = 0; i < s->nblueprints; i++)
        json_unref(s->blueprints[i].doc);
    for (size_t i = 0; i < s->nitems; i++)
        free(s->paths[i]);
    free(s->paths);
    free(s->items);
    free(s->blueprints);
    free(s->origin_setting);
    free(s->runtime);
    mapping_doc_free(s->mapping);
    json_unref(s->found);
    json_unref(s->doc);
    free(s);
}

void setup_end(struct setup *s, const struct err *e)
{
    port_plain_fn done = s->done;
    void *arg = s->arg;
    struct err copy = {0};
    if (e)
        err_copy(&copy, e);
    else if (s->o.plan)
        setup_note_end(s);
    s->port->setup = NULL;
    setup_free(s);
    done(arg, e ? &copy : NULL);
}

int setup_outcome(const struct port_answer *a, const struct err *e, const char *method, const char *path,
                  struct err *ret)
{
    if (!a) {
        err_copy(ret, e);
        return ret->code;
    }
    return a->status >= 400 ? port_answer_err(a, method, path, ret) : 0;
}

void setup_fail_answer(struct setup *s, const struct port_answer *a, const struct err *e, const char *method,
                       const char *path)
{
    struct err mine = {0};
    setup_outcome(a, e, method, path, &mine);
    setup_end(s, &mine);
}

void setup_keep(struct setup *s, const struct port_answer *a)
{
    struct json i = json_get_c(a->root, "integration");
    if (!json_is_obj(i))
        return;
    struct json_doc *old = s->doc;
    s->doc = json_ref(a->doc);
    s->integration = i;
    json_unref(old);
}

int64_t setup_time_left(const struct setup *s)
{
    uint64_t passed = clock_mono_ms() - s->started_ms;
    return passed + 1000 < PHASE_MS ? (int64_t)(PHASE_MS - passed) : 1000;
}

static void request(struct setup *s, const char *method, const char *path, struct buf *body, bool skip_resync,
                    port_done_fn done)
{
    struct port_request r = {.method = method, .path = path, .skip_resync = skip_resync};
    buf_init(&r.body, 0);
    if (body)
        r.body = *body;
    port_send(s->port, &r, done, s);
}

void setup_patch(struct setup *s, const char *rest, struct buf *body, bool skip_resync, port_done_fn done)
{
    struct buf path;
    if (s->o.plan) {
        setup_pretend(s, body, done);
        return;
    }
    buf_init(&path, BUF_NO_LIMIT);
    integration_path(s->port, &path, rest);
    request(s, "PATCH", buf_cstr(&path), body, skip_resync, done);
    buf_done(&path);
}

static bool is_saas(const struct setup *s) { return strcmp(s->runtime, "Saas") == 0; }

/* ---- Defaults by origin ---- */

static bool config_is_empty(const struct setup *s)
{
    return json_len(json_get_c(s->integration, "config")) == 0;
}

static void on_flagged(void *arg, const struct port_answer *a, const struct err *e)
{
    struct setup *s = arg;
    if (!a || a->status >= 400) {
        setup_fail_answer(s, a, e, "PATCH", "/integration/{id}");
        return;
    }
    setup_keep(s, a);
    setup_config(s);
}

/* The last step of an installation: the flag (R-84 step 10), with an empty mapping for origin Empty.
 */
static void flag(struct setup *s, bool empty_mapping)
{
    struct buf body;
    buf_init(&body, BUF_NO_LIMIT);
    struct jw w = jw_on(&body);
    jw_obj(&w);
    if (empty_mapping) {
        jw_key_c(&w, "config");
        jw_raw(&w, STR(SETUP_EMPTY_MAPPING));
    }
    jw_key_c(&w, "arePortResourcesInitialized");
    jw_bool(&w, true);
    jw_key_c(&w, "version");
    jw_str(&w, str_of(s->port->version));
    jw_end_obj(&w);
    setup_patch(s, "", &body, false, on_flagged);
}

void setup_installed(struct setup *s)
{
    if (json_is_true(json_get_c(s->integration, "arePortResourcesInitialized")))
        setup_config(s);
    else
        flag(s, false);
}

static void poll_provisioned(void *arg);

static void on_polled(void *arg, const struct port_answer *a, const struct err *e)
{
    struct setup *s = arg;
    struct err mine = {0};
    if (!a || a->status >= 400) {
        setup_fail_answer(s, a, e, "GET", "/integration/{id}");
        return;
    }
    setup_keep(s, a);
    if (!config_is_empty(s)) {
        setup_end(s, NULL);
    } else if (s->o.plan) {
        ERR(&mine, ERR_CONFIG,
            "Port has not installed a mapping for type %s yet, so there is nothing to plan with; run once without "
            "--plan, or set OCEAN__CREATE_PORT_RESOURCES_ORIGIN=Default to use the integration's own",
            s->port->type);
        setup_end(s, &mine);
    } else if (++s->polls >= POLL_ATTEMPTS || s->polled_s >= POLL_TOTAL_S) {
        ERR(&mine, ERR_TIMEOUT,
            "Failed to retrieve integration config after %d attempts: Port has not installed a mapping for "
            "type %s; set OCEAN__CREATE_PORT_RESOURCES_ORIGIN=Default to install the integration's own",
            s->polls, s->port->type);
        setup_end(s, &mine);
    } else {
        double wait = s->poll_wait_s < POLL_WAIT_MAX_S ? s->poll_wait_s : POLL_WAIT_MAX_S;
        s->polled_s += wait;
        s->poll_wait_s = (double)(int64_t)(s->poll_wait_s * POLL_FACTOR);
        s->timer = timer_start(s->port->loop, (uint64_t)(wait * 1000), 0, poll_provisioned, s);
    }
}

static void poll_provisioned(void *arg)
{
    struct setup *s = arg;
    s->timer = NULL;
    integration_read(s->port, on_polled, s, NULL);
}

static void on_first_mapping(void *arg, const struct port_answer *a, const struct err *e)
{
    struct setup *s = arg;
    if (!a || a->status >= 400) {
        setup_fail_answer(s, a, e, "PATCH", "/integration/{id}/config");
        return;
    }
    setup_keep(s, a);
    setup_install(s);
}

static void install_default(struct setup *s)
{
    struct buf body;
    if (!s->o.initialize_resources && s->o.reset_mapping) {
        setup_config(s);
    } else if (!s->o.initialize_resources) {
        log_info("initialize_port_resources is false: blueprints and mapping are left alone");
        setup_end(s, NULL);
    } else if (s->mapping && config_is_empty(s) &&
               !json_is_true(json_get_c(s->integration, "arePortResourcesInitialized"))) {
        buf_init(&body, BUF_NO_LIMIT);
        setup_config_body(s, &body);
        setup_patch(s, "/config", &body, is_saas(s), on_first_mapping);
    } else {
        setup_install(s);
    }
}

void setup_defaults(struct setup *s)
{
    bool initialized = json_is_true(json_get_c(s->integration, "arePortResourcesInitialized"));
    s->started_ms = clock_mono_ms();
    if (s->origin == ORIGIN_DEFAULT) {
        install_default(s);
    } else if (initialized) {
        setup_end(s, NULL);
    } else if (s->origin == ORIGIN_EMPTY) {
        flag(s, config_is_empty(s));
    } else {
        s->poll_wait_s = POLL_FIRST_S;
        if (s->o.plan && !s->found) /* there is nothing to ask Port for: what it would answer is what it was given */
            setup_pretend(s, NULL, on_polled);
        else
            integration_read(s->port, on_polled, s, NULL);
    }
}

/* ---- Questions at the start ---- */

static void choose_origin(struct setup *s)
{
    static const struct {
        const char *word;
        enum setup_origin origin;
    } words[] = {{"Empty", ORIGIN_EMPTY},
                 {"Ocean", ORIGIN_DEFAULT},
                 {"Default", ORIGIN_DEFAULT},
                 {"Port", ORIGIN_PORT}};
    struct str stored = json_str(json_get_c(s->integration, "createPortResourcesOrigin"));
    struct str word = stored.n ? stored : str_of(s->origin_setting);
    s->origin = s->provision ? ORIGIN_PORT : ORIGIN_DEFAULT;
    if (!word.n)
        return;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (!str_is(word, words[i].word))
            continue;
        s->origin = words[i].origin;
        if (!stored.n && s->origin == ORIGIN_PORT && !s->provision) {
            log_warn("create_port_resources_origin is Port, but Port provides no defaults for type %s; using "
                     "the integration's "
                     "own",
                     s->port->type);
            s->origin = ORIGIN_DEFAULT;
        }
        if (!stored.n && str_is(word, "Ocean"))
            log_warn("create_port_resources_origin: Ocean is now called Default");
        return;
    }
    log_warn("unknown createPortResourcesOrigin \"%.*s\" in Port; using Default", STR_FMT(word));
    s->origin = ORIGIN_DEFAULT;
}

static void on_organization(void *arg, const struct port_answer *a, const struct err *e)
{
    struct setup *s = arg;
    struct err mine = {0};
    bool flagged = false;
    if (setup_outcome(a, e, "GET", "/organization", &mine) < 0)
        log_warn("%s; going on without its feature flags", mine.msg);
    else
        for (struct json_iter it = json_iter(json_path(a->root, STR("organization.featureFlags")));
             json_next(&it);)
            flagged |= str_is(json_str(it.val), "USE_PROVISIONED_DEFAULTS");
    s->provision = s->provision && flagged;
    choose_origin(s);
    if (s->integration.v)
        setup_reconcile(s);
    else
        setup_create(s);
}

static void on_provision(void *arg, const struct port_answer *a, const struct err *e)
{
    struct setup *s = arg;
    struct err mine = {0};
    if (setup_outcome(a, e, "GET", "/integration/provision-enabled", &mine) < 0)
        log_warn("%s; taking it that Port provides no defaults", mine.msg);
    else
        for (struct json_iter it = json_iter(json_get_c(a->root, "integrations")); json_next(&it);)
            s->provision |= str_is(json_str(it.val), s->port->type);
    request(s, "GET", "/organization", NULL, false, on_organization);
}

/* Does the installation's type fit the runtime? */
static int check_runtime(const struct setup *s, struct err *e)
{
    struct str type = json_str(json_get_c(s->integration, "installationType"));
    if (!type.n)
        type = STR("OnPrem");
    bool fits = is_saas(s) ? str_starts(type, STR("Saas")) : str_is(type, "OnPrem");
    return fits ? 0
                : ERR(e, ERR_CONFIG,
                      "integration %s is installed in Port as %.*s, which does not fit the runtime %s "
                      "(OCEAN__RUNTIME); use another OCEAN__INTEGRATION__IDENTIFIER",
                      s->port->identifier, STR_FMT(type), s->runtime);
}

static void on_first_read(void *arg, const struct port_answer *a, const struct err *e)
{
    struct setup *s = arg;
    struct err mine = {0};
    if (a && a->status == 404) {
        log_info("integration %s does not exist in Port yet", s->port->identifier);
    } else if (!a || a->status >= 400) {
        setup_fail_answer(s, a, e, "GET", "/integration/{id}");
        return;
    } else {
        setup_keep(s, a);
        s->found = s->doc ? json_ref(s->doc) : NULL;
        if (!s->integration.v)
            ERR(&mine, ERR_PARSE,
                "the answer to GET /integration/%s holds no integration; is OCEAN__PORT__BASE_URL (%s) the "
                "address of Port's API?",
                s->port->identifier, s->port->base_url);
        else
            check_runtime(s, &mine);
        if (mine.code) {
            setup_end(s, &mine);
            return;
        }
    }
    request(s, "GET", "/integration/provision-enabled", NULL, false, on_provision);
}

static void refuse(void *arg)
{
    struct setup *s = arg;
    s->timer = NULL;
    struct err e = s->failure;
    setup_end(s, &e);
}

void port_setup(struct port *p, const struct port_setup_opts *o, port_plain_fn done, void *arg)
{
    struct setup *s = xcalloc(1, sizeof(*s));
    s->port = p;
    s->o = *o;
    s->origin_setting = xstrdup(o->origin ? o->origin : "");
    s->runtime = xstrdup(o->runtime ? o->runtime : "OnPrem");
    s->done = done;
    s->arg = arg;
    p->setup = s;
    if (o->def->mapping && mapping_doc_parse(json_root(o->def->mapping), &s->mapping, &s->failure) < 0) {
        err_wrap(&s->failure, "%s", o->def->mapping_from ? o->def->mapping_from : "mapping");
        s->timer = timer_start(p->loop, 0, 0, refuse, s);
        return;
    }
    integration_read(p, on_first_read, s, NULL);
}
