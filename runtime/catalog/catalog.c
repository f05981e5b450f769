/* Start and stop of a catalog: the database with its thread, the tokens and ids it holds, the HTTP server. Stopping
 * goes the other way round: nothing new is accepted, what runs may finish for five seconds, the database runs what is
 * queued and checkpoints, and only then is the server freed, because requests borrow its memory. */
#define LOG_GROUP "catalog"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "catalog/catalog_priv.h"
#include "catalog/routes.h"
#include "json/write.h"
#include "json/yaml.h"

#define STOP_MS 5000
#define SEED_MAX ((size_t)256 << 20)

char *catalog_default_file(void)
{
    const char *xdg = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    if (xdg && *xdg)
        return xasprintf("%s/ocean-run/catalog.db", xdg);
    return xasprintf("%s/.local/share/ocean-run/catalog.db", home && *home ? home : "/tmp");
}

/* Options ------------------------------------------------------------------------------------------------------- */

static int one_of(const char *value, const char *const *words, size_t n, const char *what, int fallback, struct err *e)
{
    if (!value)
        return fallback;
    for (size_t i = 0; i < n; i++)
        if (!strcmp(value, words[i]))
            return (int)i;
    struct buf list;
    buf_init(&list, 256);
    for (size_t i = 0; i < n; i++)
        buf_addf(&list, "%s%s", i ? ", " : "", words[i]);
    int rc = ERR(e, ERR_INVAL, "%s \"%s\" is not one of %s", what, value, buf_cstr(&list));
    buf_done(&list);
    return rc;
}

static int read_options(struct catalog *c, const struct catalog_opts *o, int *ret_sync, enum journal_bodies *ret_bodies,
                        struct err *e)
{
    static const char *const sync[] = {"off", "normal", "full"}, *const unknown[] = {"drop", "keep", "reject"};
    static const char *const auth[] = {"any", "fixed"}, *const bodies[] = {"off", "errors", "all"};
    int s = one_of(o->durability, sync, 3, "durability", 1, e),
        u = one_of(o->unknown_properties, unknown, 3, "unknown properties", 0, e);
    int a = one_of(o->auth, auth, 2, "auth", 0, e), b = one_of(o->journal_bodies, bodies, 3, "journal bodies", 1, e);
    if (s < 0 || u < 0 || a < 0 || b < 0)
        return ERR_INVAL;
    *ret_sync = s;
    *ret_bodies = (enum journal_bodies)b;
    c->core.unknown = (enum unknown_mode)u;
    c->fixed_auth = a == 1;
    static const char *const owners[] = {"last", "all"};
    int w = one_of(o->datasource_mode, owners, 2, "datasource mode", 0, e);
    if (w < 0)
        return ERR_INVAL;
    c->core.all_writers = w == 1;
    c->core.strict = o->strict;
    c->core.strict_bulk = o->strict_bulk;
    c->core.strict_teams = o->strict_teams;
    c->core.keep_raw = o->keep_raw;
    c->core.migration_delay_us = (int64_t)o->migration_delay_ms * 1000;
    c->no_page = o->no_page;
    c->id_seed = o->id_seed;
    if (c->id_seed)
        random_seed(c->id_seed);
    if (o->rate_limit) {
        struct str period, limit = str_split(str_of(o->rate_limit), '/', &period);
        if (!str_int64(limit, &c->rate.limit) || !str_int64(period, &c->rate.period_s) || c->rate.limit < 1 ||
            c->rate.period_s < 1)
            return ERR(e, ERR_INVAL, "rate limit \"%s\": expected N/SECONDS, for instance 10000/300", o->rate_limit);
    }
    static const char *const scopes[] = {"org", "client"};
    int scope = one_of(o->rate_limit_scope, scopes, 2, "rate limit scope", 0, e);
    if (scope < 0)
        return ERR_INVAL;
    if (scope == 1)
        c->rate.clients = strmap_new(free);
    size_t n = 0;
    while (o->clients && o->clients[n])
        n++;
    c->clients = xcalloc(n + 1, sizeof(*c->clients));
    for (size_t i = 0; i < n; i++) {
        if (!strchr(o->clients[i], ':'))
            return ERR(e, ERR_INVAL, "client \"%s\": expected ID:SECRET", o->clients[i]);
        c->clients[i] = xstrdup(o->clients[i]);
    }
    if (c->fixed_auth && !n)
        return ERR(e, ERR_INVAL, "auth \"fixed\" needs at least one client ID:SECRET");
    return 0;
}

/* What the database says at the start --------------------------------------------------------------------------- */

struct opening {
    struct db_job job;
    struct catalog *c;
    const struct catalog_opts *o;
    struct buf seed; /* the file's text */
};

/* Id and feature flags from the options. */
static int set_organization(struct core *k, const struct catalog_opts *o, struct refusal *r)
{
    struct buf old, now;
    struct json_doc *doc = NULL;
    if (!o->organization_id && !o->feature_flags)
        return 0;
    buf_init(&old, LIMIT_ANSWER);
    buf_init(&now, LIMIT_ANSWER);
    int rc = meta_get(k, "organization", &old, r) < 0 || json_parse(buf_str(&old), &doc, NULL) < 0 ? -1 : 0;
    struct jw w = jw_on(&now);
    jw_obj(&w);
    for (struct json_iter it = json_iter(json_root(doc)); json_next(&it);) {
        jw_key(&w, it.key);
        if (o->organization_id && str_is(it.key, "id")) {
            jw_cstr(&w, o->organization_id);
        } else if (o->feature_flags && str_is(it.key, "featureFlags")) {
            jw_arr(&w);
            for (size_t i = 0; o->feature_flags[i]; i++)
                jw_cstr(&w, o->feature_flags[i]);
            jw_end_arr(&w);
        } else {
            jw_json(&w, it.val);
        }
    }
    jw_end_obj(&w);
    if (rc == 0)
        rc = meta_put(k, "organization", buf_str(&now), r);
    json_unref(doc);
    buf_done(&old);
    buf_done(&now);
    return rc;
}

/* The seed file takes the way of a request without a caller. */
static int seed(struct catalog *c, struct str text, struct refusal *r)
{
    struct work w = {.c = c, .k = &c->core, .a = arena_new(0), .body = text, .user_agent = STR("seed")};
    buf_init(&w.out, LIMIT_ANSWER);
    int rc = control_seed(&w);
    if (rc == 0)
        rc = core_tally_flush(&c->core, &w.r);
    *r = w.r;
    json_unref(w.doc);
    buf_done(&w.out);
    arena_free(w.a);
    return rc;
}

static int load_tokens(struct core *k, struct catalog *c, struct refusal *r)
{
    struct sqlite3_stmt *s = q_open(k, r, "SELECT id, client, issued, expires, revoked FROM token ORDER BY issued", "");
    int rc;
    while ((rc = q_row(k, s, r)) > 0)
        if (q_num(s, 3) > core_now(k))
            tokens_load(c->tokens, q_text(s, 0), q_text(s, 1), q_num(s, 2), q_num(s, 3), q_num(s, 4) != 0);
    return rc;
}

static int open_core(struct core *k, struct catalog *c, const struct catalog_opts *o, struct str seed_text,
                     struct refusal *r)
{
    bool read_only = o->read_only;
    struct buf key, organization;
    struct json_doc *doc = NULL;
    buf_init(&key, 1024);
    buf_init(&organization, LIMIT_ANSWER);
    int rc = read_only ? 0 : core_seed(k, r);
    if (rc == 0 && !read_only)
        rc = set_organization(k, o, r);
    if (rc == 0 && seed_text.n)
        rc = seed(c, seed_text, r);
    if (rc == 0 && !read_only)
        rc = q_exec(k, r, "DELETE FROM token WHERE expires <= ?", "i", core_now(k));
    if (rc == 0)
        rc = meta_get(k, "token_key", &key, r) < 0 || meta_get(k, "organization", &organization, r) < 0 ? -1 : 0;
    if (rc == 0) {
        struct str id =
            json_parse(buf_str(&organization), &doc, NULL) == 0 ? json_str(json_get_c(json_root(doc), "id")) : STR("");
        c->tokens = tokens_new(buf_str(&key), id, c->token_ttl_s);
        rc = load_tokens(k, c, r);
    }
    json_unref(doc);
    buf_done(&key);
    buf_done(&organization);
    return rc;
}

static int opening_run(struct db *d, struct sqlite3 *h, struct db_job *job)
{
    struct opening *o = (struct opening *)job;
    struct refusal r = {0};
    o->c->core.db = d;
    o->c->core.h = h;
    if (open_core(&o->c->core, o->c, o->o, buf_str(&o->seed), &r) == 0)
        return 0;
    return ERR(&job->err, r.status >= 500 ? ERR_IO : ERR_CONFIG, "%s", r.message);
}

/* The lock file names the pid; the catalog adds its address, for whoever finds it locked. */
static void note_url(struct catalog *c)
{
    char *path = xasprintf("%s.lock", c->file);
    FILE *f = strcmp(c->file, ":memory:") != 0 ? fopen(path, "r+") : NULL;
    if (f) {
        fprintf(f, "%ld (%s)\n", (long)getpid(), c->url);
        fclose(f);
    }
    free(path);
}

/* Start and stop ------------------------------------------------------------------------------------------------ */

static void release(struct catalog *c)
{
    db_close(c->core.db);
    rest_drop_all(c);
    http_server_free(c->server);
    http_client_free(c->webhooks);
    core_done(&c->core);
    tokens_free(c->tokens);
    journal_free(c->journal);
    faults_free(c->faults);
    for (size_t i = 0; c->clients && c->clients[i]; i++)
        free(c->clients[i]);
    free(c->clients);
    strmap_free(c->rate.clients);
    if (c->id_seed)
        random_seed(0);
    snapshots_done(c);
    free(c->file);
    free(c->host);
    free(c->public_url);
    free(c->admin_token);
    free(c->url);
    free(c);
}

static int open_database(struct catalog *c, const struct catalog_opts *o, int sync, struct err *e)
{
    struct db_opts db = {.path = c->file,
                         .migrations = catalog_migrations,
                         .application_id = CATALOG_APPLICATION_ID,
                         .synchronous = sync,
                         .read_only = o->read_only,
                         .exclusive = !o->read_only && strcmp(c->file, ":memory:") != 0};
    struct opening opening = {.job = {.run = opening_run, .writes = !o->read_only}, .c = c, .o = o};
    buf_init(&opening.seed, SEED_MAX);
    int rc = o->seed ? file_read(o->seed, SEED_MAX, &opening.seed, e) : 0;
    if (rc == 0)
        rc = db_open(c->loop, &db, &c->core.db, e);
    if (rc == 0 && db_call(c->core.db, &opening.job) < 0) {
        err_copy(e, &opening.job.err);
        rc = err_wrap(e, "%s", c->file);
    }
    buf_done(&opening.seed);
    return rc;
}

static int listen_on(struct catalog *c, const struct catalog_opts *o, struct err *e)
{
    struct http_server_opts http = {.host = c->host,
                                    .port = o->port,
                                    .max_connections = 1024,
                                    .head_memory = (size_t)256 << 10,
                                    .body_limit = rest_body_limit,
                                    .handle = rest_handle,
                                    .arg = c};
    int rc = http_server_start(c->loop, &http, &c->server, e);
    if (rc < 0)
        return rc;
    bool bare6 = strchr(c->host, ':') != NULL;
    c->url = xasprintf("http://%s%s%s:%d", bare6 ? "[" : "", c->host, bare6 ? "]" : "", http_server_port(c->server));
    if (!o->read_only)
        note_url(c);
    return 0;
}

static int start(struct catalog *c, const struct catalog_opts *o, struct err *e)
{
    int sync;
    enum journal_bodies bodies;
    int rc = read_options(c, o, &sync, &bodies, e);
    if (rc < 0)
        return rc;
    c->journal = journal_new(o->journal, bodies);
    c->faults = faults_new(o->fault_seed);
    for (size_t i = 0; o->faults && o->faults[i]; i++)
        if ((rc = faults_add_text(c->faults, o->faults[i], e)) < 0)
            return rc;
    if ((rc = open_database(c, o, sync, e)) < 0)
        return rc;
    return listen_on(c, o, e);
}

int catalog_start(struct loop *l, const struct catalog_opts *o, struct catalog **ret, struct err *e)
{
    struct err mine = {0};
    struct catalog *c = xcalloc(1, sizeof(*c));
    c->loop = l;
    c->file = o->file ? xstrdup(o->file) : catalog_default_file();
    c->host = xstrdup(o->host && *o->host ? o->host : "127.0.0.1");
    c->public_url = o->public_url && *o->public_url ? xstrdup(o->public_url) : NULL;
    c->admin_token = o->admin_token && *o->admin_token ? xstrdup(o->admin_token) : NULL;
    c->no_control = o->no_control;
    c->evaluator = o->evaluator;
    c->token_ttl_s = o->token_ttl_s;
    c->started_ms = clock_mono_ms();
    core_init(&c->core);
    int rc = start(c, o, &mine);
    if (rc < 0) {
        release(c);
        err_copy(e, &mine);
        return rc;
    }
    *ret = c;
    return 0;
}

const char *catalog_url(const struct catalog *c) { return c->url; }

static void out_of_time(void *arg) { *(bool *)arg = true; }

void catalog_stop(struct catalog *c)
{
    if (!c)
        return;
    bool late = false;
    c->stopping = true;
    http_server_quiesce(c->server);
    wait_end(c);
    struct timer *limit = timer_start(c->loop, STOP_MS, 0, out_of_time, &late);
    while (c->running && !late)
        loop_turn(c->loop, true);
    if (late)
        log_warn("%u requests were still running after %d s", c->in_flight, STOP_MS / 1000);
    else
        timer_stop(limit);
    release(c);
}
