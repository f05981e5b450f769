/* From checked values to the fields others read, and the rules that span several settings (runtime 2.10). */
#define LOG_GROUP "config"
#include "config/settings_all.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/mem.h"

#define BULK_LIMIT 20    /* entities Port takes in one bulk upsert */
#define DELETE_LIMIT 100 /* identifiers Port takes in one bulk delete */

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && !S_ISDIR(st.st_mode);
}

static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return xstrdup(".");
    return slash == path ? xstrdup("/") : xstrndup(path, (size_t)(slash - path));
}

int settings_find_script(struct settings *s, const char *script, struct err *e)
{
    if (!script)
        return 0;
    size_t n = strlen(script);
    while (n > 1 && script[n - 1] == '/')
        n--;
    char *path = xstrndup(script, n);
    if (is_folder(path)) {
        s->folder = path;
        s->script = xasprintf("%s/integration.lua", path);
        if (is_file(s->script))
            return 0;
        return ERR(e, ERR_CONFIG,
                   "%s: the folder holds no integration.lua; name the script itself or add that file", path);
    }
    s->script = path;
    s->folder = folder_of(path);
    if (is_file(path))
        return 0;
    char *other = xasprintf("%s.lua", path);
    int rc = is_file(other) ? ERR(e, ERR_CONFIG, "%s: no such file or folder; did you mean %s?", path, other)
                            : ERR(e, ERR_CONFIG,
                                  "%s: no such file or folder; give a .lua file, or a folder that holds "
                                  "integration.lua",
                                  path);
    free(other);
    return rc;
}

static char *copy(const struct settings *s, const char *dotted)
{
    const char *t = settings_text(s, dotted);
    return t ? xstrdup(t) : NULL;
}

/* A name that is empty counts as not given. */
static char *copy_name(const struct settings *s, const char *dotted)
{
    const char *t = settings_text(s, dotted);
    return t && str_trim(str_of(t)).n ? xstrdup(t) : NULL;
}

static double number(const struct settings *s, const char *dotted)
{
    return settings_value(s, dotted)->number;
}
static bool flag(const struct settings *s, const char *dotted)
{
    return settings_value(s, dotted)->number != 0;
}

static int capped(const struct settings *s, const char *dotted, int limit)
{
    double n = number(s, dotted);
    if (n <= limit)
        return (int)n;
    if (settings_value(s, dotted)->from != FROM_DEFAULT)
        log_warn("%s = %.0f is more than Port accepts; using %d", dotted, n, limit);
    return limit;
}

static void cross_redis(const struct settings *s, struct buf *problems)
{
    const char *url = settings_text(s, "live_events.redis.url");
    bool tls = flag(s, "live_events.redis.enable_tls");
    if (tls != (strncmp(url, "rediss://", 9) == 0)) {
        setting_problem(problems, STR("live_events.redis.enable_tls"), NULL);
        buf_addf(problems, "must be %s with a URL that %s with rediss://\n", tls ? "false" : "true",
                 tls ? "does not start" : "starts");
    }
    bool cert = settings_text(s, "live_events.redis.cert"),
         key = settings_text(s, "live_events.redis.private_key");
    if (cert != key) {
        setting_problem(problems, str_of(cert ? "live_events.redis.private_key" : "live_events.redis.cert"),
                        NULL);
        buf_addf(problems, "is required because live_events.redis.%s is set\n",
                 cert ? "cert" : "private_key");
    }
}

static void cross_listener(const struct settings *s, struct buf *problems)
{
    if (strcmp(s->event_listener_type, "WEBHOOK") == 0 && !settings_text(s, "event_listener.app_host")) {
        setting_problem(problems, STR("event_listener.app_host"), NULL);
        buf_adds(problems, "is required with event_listener.type WEBHOOK\n");
    }
    if (flag(s, "identity_propagation.enabled") && !flag(s, "actions_processor.enabled")) {
        setting_problem(problems, STR("actions_processor.enabled"), NULL);
        buf_adds(problems, "must be true because identity_propagation.enabled is\n");
    }
}

static void warn_tls(const char *side, bool insecure, bool no_strict)
{
    if (insecure)
        log_warn("%s: certificates are not checked (ssl verify=false)", side);
    else if (no_strict)
        log_warn("%s: certificates are checked without the strict rules (ssl x509.strict=false)", side);
}

static void fill_tls(struct settings *s)
{
    s->port_insecure = !flag(s, "ssl.port.verify");
    s->port_no_strict = !flag(s, "ssl.port.x509.strict");
    s->third_insecure = !flag(s, "ssl.third_party.verify");
    s->third_no_strict = !flag(s, "ssl.third_party.x509.strict");
    warn_tls("Port API", s->port_insecure, s->port_no_strict);
    warn_tls("Third-party", s->third_insecure, s->third_no_strict);
}

static void fill_sync(struct settings *s)
{
    s->initialize_port_resources = flag(s, "initialize_port_resources");
    s->send_raw_data_examples = flag(s, "send_raw_data_examples");
    s->jq_env_access = flag(s, "allow_environment_variables_jq_access");
    s->scheduled_resync_interval_min = (int)number(s, "scheduled_resync_interval");
    s->upsert_max_entities = capped(s, "upsert_entities_batch_max_length", BULK_LIMIT);
    s->upsert_max_bytes = (size_t)number(s, "upsert_entities_batch_max_size_in_bytes");
    double most = number(s, "delete_entities_max_batch_size");
    s->delete_max_entities = most < DELETE_LIMIT ? (int)most : DELETE_LIMIT;
    s->items_to_parse_batch = (int)number(s, "yield_items_to_parse_batch_size");
    s->resync_lookahead = (int)number(s, "resync_lookahead");
    s->resync_concurrency = (int)number(s, "resync_concurrency");
    s->max_shrink_percent = number(s, "max_shrink");
    s->deletion_by_blueprint = strcmp(settings_text(s, "deletion_scope"), "blueprint") == 0;
}

void settings_fill(struct settings *s, const struct settings_flags *f, struct buf *problems)
{
    s->local_file = f->local_file ? xstrdup(f->local_file) : NULL;
    s->state_dir = f->state_dir ? xstrdup(f->state_dir) : NULL;
    if (!s->local_file) { /* the embedded catalog takes any credentials */
        s->client_id = copy_name(s, "port.client_id");
        s->client_secret = copy_name(s, "port.client_secret");
    }
    s->base_url = copy(s, "port.base_url");
    s->mapping_cache_ttl_s = (int)number(s, "port.port_app_config_cache_ttl");
    s->blueprint_cache_ttl_s = number(s, "port.blueprint_cache_ttl_seconds");
    s->identifier = copy_name(s, "integration.identifier");
    s->type = copy_name(s, "integration.type");
    fill_sync(s);
    s->client_timeout_s = (int)number(s, "client_timeout");
    s->resources_path = copy_name(s, "resources_path");
    s->create_resources_origin = copy_name(s, "create_port_resources_origin");
    s->event_listener_type = copy(s, "event_listener.type");
    s->http_port = (int)number(s, "application.port");
    s->log_level = copy(s, "application.log_level");
    s->max_wait_before_shutdown_s = number(s, "max_wait_seconds_before_shutdown");
    s->lua_memory_bytes = (size_t)number(s, "lua_memory");
    s->lua_cpu_s = number(s, "lua_cpu");
    fill_tls(s);
    cross_redis(s, problems);
    cross_listener(s, problems);
    if (!s->local_file && s->client_id && strchr(s->client_id, '@'))
        log_warn("port.client_id looks like a person's; an integration should use machine credentials");
}
