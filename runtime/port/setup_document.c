/* The integration document: created if it is absent, patched once if it says something else than we are (runtime sections 4.3
 * and 4.4). A patch makes Port ask for a resync, so there is none without a difference. */
#define LOG_GROUP "port.setup"
#include "base/log.h"
#include "base/mem.h"
#include "json/write.h"
#include "port/setup_priv.h"

#define CHANGELOG_DESTINATION "{}" /* polling and one-shot runs are told nothing */

static void on_reconciled(void *arg, const struct port_answer *a, const struct err *e)
{
    struct setup *s = arg;
    if (!a || a->status >= 400) {
        setup_fail_answer(s, a, e, "PATCH", "/integration/{id}");
        return;
    }
    setup_keep(s, a);
    setup_defaults(s);
}

void setup_reconcile(struct setup *s)
{
    const struct integration_facts facts = {s->port->type, s->port->version, STR(CHANGELOG_DESTINATION)};
    struct buf body;
    if (!integration_differs(s->integration, &facts)) {
        setup_defaults(s);
        return;
    }
    buf_init(&body, BUF_NO_LIMIT);
    struct jw w = jw_on(&body);
    jw_obj(&w);
    jw_key_c(&w, "installationAppType");
    jw_str(&w, str_of(facts.type));
    jw_key_c(&w, "actionsProcessingEnabled");
    jw_bool(&w, false);
    jw_key_c(&w, "incrementalSyncEnabled");
    jw_bool(&w, false);
    jw_key_c(&w, "changelogDestination");
    jw_raw(&w, facts.changelog_destination);
    jw_key_c(&w, "processingMode");
    jw_str_c(&w, "ocean-core");
    jw_key_c(&w, "version");
    jw_str(&w, str_of(facts.version));
    jw_end_obj(&w);
    setup_patch(s, "", &body, false, on_reconciled);
}

static void on_read_again(void *arg, const struct port_answer *a, const struct err *e)
{
    struct setup *s = arg;
    if (!a || a->status >= 400) {
        setup_fail_answer(s, a, e, "GET", "/integration/{id}");
        return;
    }
    setup_keep(s, a);
    setup_reconcile(s);
}

static void on_created(void *arg, const struct port_answer *a, const struct err *e)
{
    struct setup *s = arg;
    if (a && a->status == 409) { /* somebody else was faster */
        log_info("integration %s was created meanwhile by another process", s->port->identifier);
        integration_read(s->port, on_read_again, s, NULL);
        return;
    }
    if (!a || a->status >= 400) {
        setup_fail_answer(s, a, e, "POST", "/integration");
        return;
    }
    s->created = true;
    if (!s->o.plan)
        log_info("created integration %s of type %s in Port", s->port->identifier, s->port->type);
    setup_keep(s, a);
    if (s->integration.v)
        setup_reconcile(s);
    else
        integration_read(s->port, on_read_again, s, NULL);
}

static void write_creation(struct setup *s, struct buf *body)
{
    static const char *const origins[] = {"Default", "Empty", "Port"};
    struct jw w = jw_on(body);
    jw_obj(&w);
    jw_key_c(&w, "installationId");
    jw_str(&w, str_of(s->port->identifier));
    jw_key_c(&w, "installationAppType");
    jw_str(&w, str_of(s->port->type));
    jw_key_c(&w, "version");
    jw_str(&w, str_of(s->port->version));
    jw_key_c(&w, "changelogDestination");
    jw_raw(&w, STR(CHANGELOG_DESTINATION));
    jw_key_c(&w, "config");
    if (s->origin == ORIGIN_DEFAULT) {
        struct buf config;
        buf_init(&config, BUF_NO_LIMIT);
        setup_config_value(s, &config);
        jw_raw(&w, buf_str(&config));
        buf_done(&config);
    } else if (s->origin == ORIGIN_EMPTY) {
        jw_raw(&w, STR(SETUP_EMPTY_MAPPING));
    } else {
        jw_raw(&w, STR("{}"));
    }
    jw_key_c(&w, "actionsProcessingEnabled");
    jw_bool(&w, false);
    jw_key_c(&w, "incrementalSyncEnabled");
    jw_bool(&w, false);
    jw_key_c(&w, "createPortResourcesOrigin");
    jw_str(&w, str_of(origins[s->origin]));
    jw_end_obj(&w);
}

void setup_create(struct setup *s)
{
    struct err e;
    if (s->origin == ORIGIN_DEFAULT && !s->mapping) {
        ERR(&e, ERR_CONFIG,
            "integration %s does not exist in Port yet and there is no mapping to create it with: add "
            ".port/resources/port-app-config.yml, or ocean.define { mapping = ... } to the script",
            s->port->identifier);
        setup_end(s, &e);
        return;
    }
    if (!*s->port->version) {
        ERR(&e, ERR_CONFIG,
            "the integration's version is not set, and integration %s does not exist in Port yet: declare it "
            "with ocean.define { version = \"...\" }",
            s->port->identifier);
        setup_end(s, &e);
        return;
    }
    struct port_request r = {
        .method = "POST",
        .path = "/integration",
        .query = s->origin == ORIGIN_PORT ? "integration_modes=create_resources" : NULL,
    };
    buf_init(&r.body, BUF_NO_LIMIT);
    write_creation(s, &r.body);
    if (s->o.plan)
        setup_pretend(s, &r.body, on_created);
    else
        port_send(s->port, &r, on_created, s);
}
