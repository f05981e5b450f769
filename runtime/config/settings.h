/* settings.h: every setting, where it came from, all problems at once.
 *
 * Sources, highest first (runtime R-11): command line, process environment, .env, config.yaml, default. Names
 * and rules: runtime sections 2.1 to 2.11. Values of sensitive settings are registered with the log masker.
 * Loaded once, before the script; read-only afterwards. Loop thread. */
#pragma once
#include <stdbool.h>
#include "base/buf.h"
#include "base/err.h"
#include "json/json.h"

/* What the command line fixed; NULL and 0 mean not given. */
struct settings_flags {
    const char *script; /* path of the .lua file or its folder; may be NULL for commands without one */
    bool once;
    const char *local_file; /* --local */
    const char *state_dir;
    const char *port; /* HTTP port */
    const char *lua_memory, *lua_cpu;
    const char *log_level;
};

struct settings {
    /* paths */
    char *script; /* file to load */
    char *folder; /* the script's folder */
    /* Port */
    char *client_id, *client_secret; /* NULL with the embedded catalog */
    char *base_url;                  /* no trailing slash */
    bool any_port_setting;           /* some OCEAN__PORT__* or port: section is present */
    int mapping_cache_ttl_s;         /* 60 */
    double blueprint_cache_ttl_s;
    /* identity: configured values; see settings_identity for the effective ones */
    char *identifier, *type;
    /* behaviour */
    bool initialize_port_resources, send_raw_data_examples, jq_env_access;
    int scheduled_resync_interval_min; /* 0: none */
    int upsert_max_entities;           /* 20 */
    size_t upsert_max_bytes;           /* 1 MiB */
    int delete_max_entities;           /* min(setting, 100) */
    int items_to_parse_batch;          /* 200 */
    int resync_lookahead;              /* 4 */
    int resync_concurrency;            /* 1 */
    double max_shrink_percent;         /* 30 */
    bool deletion_by_blueprint;        /* deletion_scope is `blueprint` */
    int client_timeout_s;              /* 60, third party */
    bool port_insecure, port_no_strict, third_insecure, third_no_strict;
    char *resources_path;          /* NULL: .port/resources */
    char *create_resources_origin; /* NULL: unset */
    char *event_listener_type;     /* "POLLING" */
    int http_port;                 /* 8000 */
    char *log_level;
    double max_wait_before_shutdown_s;
    /* limits of the script */
    size_t lua_memory_bytes; /* 256 MiB */
    double lua_cpu_s;        /* 5 for handlers */
    /* embedded catalog */
    char *local_file; /* --local or NULL */
    char *state_dir;  /* NULL: default */
    /* raw integration.config before the spec is applied: an object */
    struct json_doc *config_raw;
    struct settings_all *all; /* every setting and its source; behind the functions below */
};

/* Reads all sources. On problems: ERR_CONFIG, and `problems` holds one per line as runtime R-58 says
 * (dotted path, environment name, source, what was expected, never a secret value). */
int settings_load(const struct settings_flags *f, struct settings **ret, struct buf *problems, struct err *e);
void settings_free(struct settings *s);

/* Where an effective value came from ("environment", ".env", "config.yaml", "flag", "default"). */
const char *settings_source(const struct settings *s, const char *dotted);
/* Effective value of any known setting as text ("live_events.redis.url"); NULL if it has none. Integers in
 * decimal, booleans as true or false. Valid while `s` lives. */
const char *settings_text(const struct settings *s, const char *dotted);
/* Path of a file or folder of the integration (runtime R-1): in the working directory, else beside the
 * script; NULL if in neither. Says in the log which one it is when it is not the working directory's. Caller
 * frees. */
char *settings_find_file(const struct settings *s, const char *name);
/* snake_case of a declared configuration name (runtime R-44). */
void settings_snake(struct buf *out, struct str name);
