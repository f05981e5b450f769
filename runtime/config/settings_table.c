/* The table is the one place that knows names, types, limits and defaults; everything else is derived from
 * it. Settings that this runtime does not use yet are in it all the same: a deployment that sets them is
 * right, and a wrong value is told. */
#include "config/settings_table.h"

#include <ctype.h>
#include <string.h>

#include "base/mem.h"

#define DEFAULT_BROKER(n) "b-" n "-public.publicclusterprod.t9rw6w.c1.kafka.eu-west-1.amazonaws.com:9196"
#define INT_LIMIT 2147483647.0
#define REDIS "live_events.redis."
#define VAULT "identity_propagation.vault."

/* clang-format off */
const struct setting settings_table[] = {
    {"allow_environment_variables_jq_access", SETTING_BOOL, 0, 0, 0, NULL, "true"},
    {"initialize_port_resources", SETTING_BOOL, 0, 0, 0, NULL, "true"},
    {"create_port_resources_origin", SETTING_CHOICE, 0, 0, 0, "Empty|Ocean|Default|Port", NULL},
    {"scheduled_resync_interval", SETTING_INT, 0, 1, INT_LIMIT / 60, NULL, NULL},
    {"status_heartbeat_interval_seconds", SETTING_INT, 0, 1, INT_LIMIT, NULL, "10"},
    {"client_timeout", SETTING_INT, 0, 1, INT_LIMIT / 1000, NULL, "60"},
    {"send_raw_data_examples", SETTING_BOOL, 0, 0, 0, NULL, "true"},
    {"oauth_access_token_file_path", SETTING_STRING, 0, 0, 0, NULL, NULL},
    {"base_url", SETTING_STRING, 0, 0, 0, NULL, NULL},
    {"path_prefix", SETTING_STRING, 0, 0, 0, NULL, NULL},
    {"runtime", SETTING_CHOICE, 0, 0, 0, "Saas|OnPrem", "OnPrem"},
    {"resources_path", SETTING_STRING, 0, 0, 0, NULL, NULL},
    {"port.client_id", SETTING_STRING, SETTING_SENSITIVE, 0, 0, NULL, NULL},
    {"port.client_secret", SETTING_STRING, SETTING_SENSITIVE, 0, 0, NULL, NULL},
    {"port.base_url", SETTING_HTTP_URL, 0, 0, 0, NULL, "https://api.getport.io"},
    {"port.app_url", SETTING_HTTP_URL, 0, 0, 0, NULL, NULL},
    {"port.port_app_config_cache_ttl", SETTING_INT, 0, 0, INT_LIMIT, NULL, "60"},
    {"port.feature_flags_cache_ttl_seconds", SETTING_NUMBER, 0, 0, INT_LIMIT, NULL, "300"},
    {"port.blueprint_cache_ttl_seconds", SETTING_NUMBER, 0, 0, INT_LIMIT, NULL, "120"},
    {"event_listener.type", SETTING_CHOICE, 0, 0, 0, "POLLING|WEBHOOK|KAFKA|ONCE|WEBHOOKS_ONLY|ACTIONS_ONLY", "POLLING"},
    {"event_listener.should_resync", SETTING_BOOL, 0, 0, 0, NULL, NULL},
    {"event_listener.should_process_webhooks", SETTING_BOOL, 0, 0, 0, NULL, NULL},
    {"event_listener.should_run_actions", SETTING_BOOL, 0, 0, 0, NULL, NULL},
    {"event_listener.resync_on_start", SETTING_BOOL, 0, 0, 0, NULL, "true"},
    {"event_listener.interval", SETTING_INT, 0, 1, INT_LIMIT, NULL, "60"},
    {"event_listener.app_host", SETTING_HTTP_URL, SETTING_SENSITIVE, 0, 0, NULL, NULL},
    {"event_listener.brokers", SETTING_BROKERS, 0, 0, 0, NULL, DEFAULT_BROKER("1") "," DEFAULT_BROKER("2") "," DEFAULT_BROKER("3")},
    {"event_listener.security_protocol", SETTING_STRING, 0, 0, 0, NULL, "SASL_SSL"},
    {"event_listener.authentication_mechanism", SETTING_STRING, 0, 0, 0, NULL, "SCRAM-SHA-512"},
    {"event_listener.kafka_security_enabled", SETTING_BOOL, 0, 0, 0, NULL, "true"},
    {"event_listener.consumer_poll_timeout", SETTING_INT, 0, 1, INT_LIMIT, NULL, "1"},
    {"event_workers_count", SETTING_INT, 0, 1, 10000, NULL, "1"},
    {"events_debug_logging", SETTING_BOOL, 0, 0, 0, NULL, "false"},
    {"max_event_processing_seconds", SETTING_NUMBER, 0, 0, INT_LIMIT, NULL, "90"},
    {"max_wait_seconds_before_shutdown", SETTING_NUMBER, 0, 0, INT_LIMIT, NULL, "5"},
    {"integration.identifier", SETTING_STRING, 0, 0, 0, NULL, NULL},
    {"integration.type", SETTING_STRING, 0, 0, 0, NULL, NULL},
    {"integration.incremental_sync_enabled", SETTING_BOOL, 0, 0, 0, NULL, "false"},
    {"integration.incremental_sync_interval", SETTING_INTERVAL, 0, 0, 0, NULL, "15"},
    {"metrics.enabled", SETTING_BOOL, 0, 0, 0, NULL, "false"},
    {"metrics.webhook_url", SETTING_STRING, 0, 0, 0, NULL, NULL},
    {"caching_storage_mode", SETTING_CHOICE, 0, 0, 0, "disk|memory", "disk"},
    {"upsert_entities_batch_max_length", SETTING_INT, 0, 1, INT_LIMIT, NULL, "20"},
    {"upsert_entities_batch_max_size_in_bytes", SETTING_INT, 0, 1, INT_LIMIT, NULL, "1048576"},
    {"delete_entities_max_batch_size", SETTING_INT, 0, 1, INT_LIMIT, NULL, "1000"},
    {"yield_items_to_parse_batch_size", SETTING_INT, 0, 1, INT_LIMIT, NULL, "200"},
    {"process_in_queue_timeout", SETTING_INT, 0, 1, INT_LIMIT, NULL, "120"},
    {"process_in_queue_max_workers", SETTING_INT, 0, 1, 10000, NULL, NULL},
    {"lakehouse_enabled", SETTING_BOOL, 0, 0, 0, NULL, "true"},
    {"lakehouse_buffer_interval_seconds", SETTING_NUMBER, 0, 0, INT_LIMIT, NULL, "10"},
    {"lakehouse_buffer_max_count", SETTING_INT, 0, 1, INT_LIMIT, NULL, "50"},
    {"processing_mode", SETTING_CHOICE, 0, 0, 0, "dsp|ocean-core", NULL},
    {"disable_ip_outbound_blocker", SETTING_BOOL, 0, 0, 0, NULL, NULL},
    {"streaming.enabled", SETTING_BOOL, 0, 0, 0, NULL, "false"},
    {"streaming.max_buffer_size_mb", SETTING_INT, 0, 1, INT_LIMIT, NULL, "20971520"},
    {"streaming.chunk_size", SETTING_INT, 0, 1, INT_LIMIT, NULL, "65536"},
    {"streaming.location", SETTING_STRING, 0, 0, 0, NULL, "/tmp/ocean/streaming"},
    {"actions_processor.enabled", SETTING_BOOL, 0, 0, 0, NULL, "false"},
    {"actions_processor.runs_buffer_high_watermark", SETTING_INT, 0, 1, 1000, NULL, "300"},
    {"actions_processor.visibility_timeout_ms", SETTING_INT, 0, 1, 600000, NULL, "60000"},
    {"actions_processor.poll_check_interval_seconds", SETTING_INT, 0, 1, INT_LIMIT, NULL, "10"},
    {"actions_processor.workers_count", SETTING_INT, 0, 1, 10000, NULL, "3"},
    {"actions_processor.max_runs_buffer_util_pct_per_action", SETTING_INT, 0, 1, 100, NULL, "30"},
    {"live_events.type", SETTING_CHOICE, 0, 0, 0, "REDIS", "REDIS"},
    {"live_events.is_redis_stream_consumer_enabled", SETTING_BOOL, 0, 0, 0, NULL, "false"},
    {"live_events.payload_logging_enabled", SETTING_BOOL, 0, 0, 0, NULL, "false"},
    {REDIS "url", SETTING_STRING, 0, 0, 0, NULL, "redis://localhost:6379"},
    {REDIS "username", SETTING_STRING, 0, 0, 0, NULL, NULL},
    {REDIS "password", SETTING_STRING, SETTING_SENSITIVE, 0, 0, NULL, NULL},
    {REDIS "enable_tls", SETTING_BOOL, 0, 0, 0, NULL, "false"},
    {REDIS "ca", SETTING_STRING, 0, 0, 0, NULL, NULL},
    {REDIS "cert", SETTING_STRING, 0, 0, 0, NULL, NULL},
    {REDIS "private_key", SETTING_STRING, SETTING_SENSITIVE, 0, 0, NULL, NULL},
    {REDIS "block_ms", SETTING_INT, 0, 1, INT_LIMIT, NULL, "1000"},
    {REDIS "read_count", SETTING_INT, 0, 1, INT_LIMIT, NULL, "10"},
    {REDIS "stream_ttl_seconds", SETTING_INT, 0, 1, INT_LIMIT, NULL, "2592000"},
    {REDIS "stream_maintenance_worker_enabled", SETTING_BOOL, 0, 0, 0, NULL, "true"},
    {REDIS "pel_stuck_timeout_seconds", SETTING_INT, 0, 1, INT_LIMIT, NULL, "600"},
    {REDIS "pel_max_requeue_count", SETTING_INT, 0, 1, INT_LIMIT, NULL, "3"},
    {REDIS "stream_maintenance_scan_interval_seconds", SETTING_NUMBER, 0, 0.001, INT_LIMIT, NULL, "30"},
    {REDIS "pel_xautoclaim_count", SETTING_INT, 0, 1, INT_LIMIT, NULL, "100"},
    {REDIS "stream_maintenance_error_backoff_seconds", SETTING_NUMBER, 0, 0.001, INT_LIMIT, NULL, "5"},
    {REDIS "stream_maintenance_consumer_cleanup_enabled", SETTING_BOOL, 0, 0, 0, NULL, "true"},
    {REDIS "stream_maintenance_consumer_cleanup_idle_seconds", SETTING_INT, 0, 1, INT_LIMIT, NULL, "86400"},
    {REDIS "connection_error_backoff_seconds", SETTING_NUMBER, 0, 0.001, INT_LIMIT, NULL, "5"},
    {REDIS "connection_startup_max_retries", SETTING_INT, 0, 0, INT_LIMIT, NULL, "5"},
    {REDIS "connection_startup_initial_backoff_seconds", SETTING_NUMBER, 0, 0.001, INT_LIMIT, NULL, "1"},
    {REDIS "connection_startup_exponential_base", SETTING_NUMBER, 0, 0.001, INT_LIMIT, NULL, "2"},
    {"identity_propagation.enabled", SETTING_BOOL, 0, 0, 0, NULL, "false"},
    {VAULT "type", SETTING_CHOICE, 0, 0, 0, "aws_secrets_manager|custom", "aws_secrets_manager"},
    {VAULT "secret_prefix", SETTING_STRING, 0, 0, 0, NULL, "port/tokens"},
    {VAULT "aws_region", SETTING_STRING, 0, 0, 0, NULL, NULL},
    {VAULT "endpoint_url", SETTING_STRING, 0, 0, 0, NULL, NULL},
    {VAULT "aws_access_key_id", SETTING_STRING, SETTING_SENSITIVE, 0, 0, NULL, NULL},
    {VAULT "aws_secret_access_key", SETTING_STRING, SETTING_SENSITIVE, 0, 0, NULL, NULL},
    {"identity_propagation.oauth.state_signing_secret", SETTING_STRING, SETTING_SENSITIVE, 0, 0, NULL, NULL},
    {"ssl.port.verify", SETTING_BOOL, 0, 0, 0, NULL, "true"},
    {"ssl.port.x509.strict", SETTING_BOOL, 0, 0, 0, NULL, "true"},
    {"ssl.third_party.verify", SETTING_BOOL, 0, 0, 0, NULL, "true"},
    {"ssl.third_party.x509.strict", SETTING_BOOL, 0, 0, 0, NULL, "true"},
    {"resync_lookahead", SETTING_INT, 0, 1, 1000, NULL, "4"},
    {"resync_concurrency", SETTING_INT, 0, 1, 1000, NULL, "1"},
    {"max_shrink", SETTING_PERCENT, 0, 0, 100, NULL, "30"},
    {"deletion_scope", SETTING_CHOICE, 0, 0, 0, "integration|blueprint", "integration"},
    {"lua_memory", SETTING_SIZE, 0, 1048576, 1099511627776.0, NULL, "256M"},
    {"lua_cpu", SETTING_NUMBER, 0, 0.01, 86400, NULL, "5"},
    {"process_execution_mode", SETTING_STRING, SETTING_IGNORED, 0, 0, NULL, NULL},
    {"application.log_level", SETTING_LEVEL, 0, 0, 0, "ERROR|WARNING|INFO|DEBUG|CRITICAL", "INFO"},
    {"application.port", SETTING_INT, 0, 0, 65535, NULL, "8000"},
    {"application.enable_http_logging", SETTING_BOOL, 0, 0, 0, NULL, "true"},
};
/* clang-format on */
const size_t settings_table_n = ARRAY_LEN(settings_table);

int settings_table_find(struct str dotted)
{
    for (size_t i = 0; i < settings_table_n; i++)
        if (str_is(dotted, settings_table[i].name))
            return (int)i;
    return -1;
}

bool settings_table_section(struct str dotted)
{
    if (str_is(dotted, "integration.config"))
        return true;
    for (size_t i = 0; i < settings_table_n; i++) {
        const char *name = settings_table[i].name;
        if (strlen(name) > dotted.n && name[dotted.n] == '.' && memcmp(name, dotted.p, dotted.n) == 0)
            return true;
    }
    return false;
}

/* A name without its separators, so that "client.id" and "clientid" are near to "port.client_id"'s letters.
 */
static void squeeze(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (isalnum((unsigned char)s.p[i]))
            buf_addc(out, (char)tolower((unsigned char)s.p[i]));
}

const char *settings_table_nearest(struct str dotted)
{
    struct buf a, b;
    buf_init(&a, BUF_NO_LIMIT);
    buf_init(&b, BUF_NO_LIMIT);
    squeeze(&a, dotted);
    int limit = a.n < 6 ? 1 : a.n < 12 ? 2 : 3, best = limit + 1;
    const char *found = NULL;
    for (size_t i = 0; i < settings_table_n && best > 0; i++) {
        buf_reset(&b);
        squeeze(&b, str_of(settings_table[i].name));
        int d = str_distance(buf_str(&a), buf_str(&b), limit);
        if (d < best) {
            best = d;
            found = settings_table[i].name;
        }
    }
    buf_done(&a);
    buf_done(&b);
    return found;
}

void settings_env_name(struct buf *out, struct str dotted)
{
    if (!str_starts(dotted, STR("application.")))
        buf_adds(out, "OCEAN__");
    for (size_t i = 0; i < dotted.n; i++) {
        if (dotted.p[i] == '.')
            buf_adds(out, "__");
        else
            buf_addc(out, (char)toupper((unsigned char)dotted.p[i]));
    }
}

static void add_choices(struct buf *out, const char *choices)
{
    struct str rest = str_of(choices);
    for (bool first = true; rest.p; first = false) {
        struct str one = str_split(rest, '|', &rest);
        buf_adds(out, first ? "" : rest.p ? ", " : " or ");
        buf_addstr(out, one);
    }
}

void setting_expectation(struct buf *out, const struct setting *s)
{
    switch (s->type) {
    case SETTING_STRING: buf_adds(out, "expected text"); return;
    case SETTING_BOOL: buf_adds(out, "expected true or false"); return;
    case SETTING_CHOICE:
    case SETTING_LEVEL:
        buf_adds(out, "expected ");
        add_choices(out, s->choices);
        return;
    case SETTING_HTTP_URL: buf_adds(out, "expected a URL that starts with http:// or https://"); return;
    case SETTING_BROKERS: buf_adds(out, "expected a comma list or a JSON array of brokers"); return;
    case SETTING_INTERVAL: buf_adds(out, "expected 15, 30 or 60 minutes (15, 15m, 1h)"); return;
    case SETTING_PERCENT: buf_adds(out, "expected a percentage from 0 to 100"); return;
    case SETTING_SIZE: buf_adds(out, "expected a size such as 256M or 1G, from 1M to 1T"); return;
    case SETTING_INT: buf_adds(out, "expected an integer"); break;
    case SETTING_NUMBER: buf_adds(out, "expected a number"); break;
    }
    if (s->max >= INT_LIMIT / 1000)
        buf_addf(out, " of at least %g", s->min);
    else
        buf_addf(out, " from %g to %g", s->min, s->max);
}
