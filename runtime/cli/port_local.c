/* port-local: the catalog as a server of its own (port-api P-212 to P-217). Flags fill catalog_opts; PORT_LOCAL_*
 * variables mirror them and flags win. Standard output carries exactly one line, when the server is ready. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "catalog/catalog.h"
#include "cli/playground.h"
#include "io/loop.h"
#include "io/worker.h"
#include "mapping/jq.h"

#define LIST_MAX 64

enum flag_kind { FLAG_TEXT, FLAG_NUMBER, FLAG_LIST, FLAG_SWITCH };

struct flags {
    const char *listen, *db, *public_url, *auth, *unknown, *journal_bodies, *durability, *seed, *admin_token, *org_id,
        *datasource_mode,        *latency, *rate_limit, *rate_limit_scope;
    long token_ttl, journal, fault_seed, id_seed, migration_delay;
    bool no_control, no_page, keep_raw, strict, strict_bulk, strict_teams;
    const char *clients[LIST_MAX + 1], *faults[LIST_MAX + 2], *feature_flags[LIST_MAX + 1];
    size_t nclients, nfaults, nfeature_flags;
};

static struct flags flags = {.listen = "127.0.0.1:5555"};

static const struct flag {
    const char *name;
    enum flag_kind kind;
    void *at;
    size_t *count;
    const char *argument;
} table[] = {
    {"listen", FLAG_TEXT, &flags.listen, NULL, "HOST:PORT"},
    {"db", FLAG_TEXT, &flags.db, NULL, "FILE|:memory:"},
    {"public-url", FLAG_TEXT, &flags.public_url, NULL, "URL"},
    {"auth", FLAG_TEXT, &flags.auth, NULL, "any|fixed"},
    {"client", FLAG_LIST, flags.clients, &flags.nclients, "ID:SECRET"},
    {"token-ttl", FLAG_NUMBER, &flags.token_ttl, NULL, "SECONDS"},
    {"org-id", FLAG_TEXT, &flags.org_id, NULL, "ID"},
    {"feature-flag", FLAG_LIST, flags.feature_flags, &flags.nfeature_flags, "NAME"},
    {"rate-limit", FLAG_TEXT, &flags.rate_limit, NULL, "N/SECONDS"},
    {"rate-limit-scope", FLAG_TEXT, &flags.rate_limit_scope, NULL, "org|client"},
    {"strict", FLAG_SWITCH, &flags.strict, NULL, NULL},
    {"strict-bulk", FLAG_SWITCH, &flags.strict_bulk, NULL, NULL},
    {"strict-teams", FLAG_SWITCH, &flags.strict_teams, NULL, NULL},
    {"unknown-properties", FLAG_TEXT, &flags.unknown, NULL, "drop|keep|reject"},
    {"datasource-mode", FLAG_TEXT, &flags.datasource_mode, NULL, "last|all"},
    {"fault", FLAG_LIST, flags.faults, &flags.nfaults, "SPEC"},
    {"fault-seed", FLAG_NUMBER, &flags.fault_seed, NULL, "N"},
    {"latency", FLAG_TEXT, &flags.latency, NULL, "MS[:JITTER]"},
    {"journal", FLAG_NUMBER, &flags.journal, NULL, "ENTRIES"},
    {"journal-bodies", FLAG_TEXT, &flags.journal_bodies, NULL, "off|errors|all"},
    {"durability", FLAG_TEXT, &flags.durability, NULL, "full|normal|off"},
    {"migration-delay", FLAG_NUMBER, &flags.migration_delay, NULL, "MS"},
    {"id-seed", FLAG_NUMBER, &flags.id_seed, NULL, "N"},
    {"keep-raw", FLAG_SWITCH, &flags.keep_raw, NULL, NULL},
    {"seed", FLAG_TEXT, &flags.seed, NULL, "FILE"},
    {"admin-token", FLAG_TEXT, &flags.admin_token, NULL, "TOKEN"},
    {"no-control", FLAG_SWITCH, &flags.no_control, NULL, NULL},
    {"no-page", FLAG_SWITCH, &flags.no_page, NULL, NULL},
};

static int usage(FILE *out)
{
    fprintf(out, "usage: port-local");
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        fprintf(out, " [--%s%s%s]%s", table[i].name, table[i].argument ? " " : "",
                table[i].argument ? table[i].argument : "", table[i].kind == FLAG_LIST ? "..." : "");
    fprintf(out, "\n");
    return 2;
}

static int set(const struct flag *f, const char *value)
{
    char *end;
    switch (f->kind) {
    case FLAG_TEXT: *(const char **)f->at = value; return 0;
    case FLAG_SWITCH: *(bool *)f->at = true; return 0;
    case FLAG_NUMBER:
        *(long *)f->at = strtol(value, &end, 10);
        if (*value && !*end && *(long *)f->at > 0)
            return 0;
        fprintf(stderr, "port-local: --%s %s: expected a number of at least 1\n", f->name, value);
        return -1;
    case FLAG_LIST:
        if (*f->count == LIST_MAX) {
            fprintf(stderr, "port-local: --%s may be given at most %d times\n", f->name, LIST_MAX);
            return -1;
        }
        ((const char **)f->at)[(*f->count)++] = value;
        return 0;
    }
    return -1;
}

/* PORT_LOCAL_JOURNAL_BODIES mirrors --journal-bodies. */
static int read_environment(void)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        char name[64] = "PORT_LOCAL_";
        size_t n = strlen(name);
        for (const char *p = table[i].name; *p && n + 1 < sizeof(name); p++)
            name[n++] = *p == '-' ? '_' : (char)(*p - 'a' + 'A');
        name[n] = 0;
        const char *value = getenv(name);
        bool off = table[i].kind == FLAG_SWITCH && value && (!strcmp(value, "0") || !strcmp(value, "false"));
        if (value && *value && !off && set(&table[i], value) < 0)
            return -1;
    }
    return 0;
}

static int read_arguments(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const struct flag *found = NULL;
        const char *name = argv[i], *value = NULL;
        if (!strcmp(name, "--help") || !strcmp(name, "-h")) {
            usage(stdout);
            exit(0);
        }
        size_t n = strcspn(name, "=");
        for (size_t f = 0; f < ARRAY_LEN(table); f++)
            if (n > 2 && !strncmp(name, "--", 2) && strlen(table[f].name) == n - 2 &&
                !strncmp(name + 2, table[f].name, n - 2))
                found = &table[f];
        if (!found) {
            fprintf(stderr, "port-local: unknown argument \"%s\"\n", name);
            return usage(stderr), -1;
        }
        if (name[n])
            value = name + n + 1;
        else if (found->kind != FLAG_SWITCH && !(value = argv[++i])) {
            fprintf(stderr, "port-local: --%s needs %s\n", found->name, found->argument);
            return usage(stderr), -1;
        }
        if (set(found, value) < 0)
            return -1;
    }
    return 0;
}

/* "HOST:PORT"; an IPv6 address stands in brackets. */
static int read_listen(char *host, size_t n, int *ret_port)
{
    const char *colon = strrchr(flags.listen, ':');
    size_t len = colon ? (size_t)(colon - flags.listen) : 0;
    const char *from = flags.listen;
    char *end;
    if (len > 2 && *from == '[' && from[len - 1] == ']') {
        from++;
        len -= 2;
    }
    long port = colon ? strtol(colon + 1, &end, 10) : -1;
    if (!colon || !len || len >= n || !colon[1] || *end || port < 0 || port > 65535) {
        fprintf(stderr, "port-local: --listen %s: expected HOST:PORT, for instance 127.0.0.1:5555\n", flags.listen);
        return -1;
    }
    memcpy(host, from, len);
    host[len] = 0;
    *ret_port = (int)port;
    return 0;
}

/* Beyond loopback the control routes need a token, and who may come in must have been said (P-214). */
static int check_exposure(const char *host)
{
    if (!strncmp(host, "127.", 4) || !strcmp(host, "::1") || !strcmp(host, "localhost"))
        return 0;
    if (flags.auth && (flags.admin_token || flags.no_control))
        return 0;
    fprintf(
        stderr,
        "port-local: listening on %s, which others can reach, needs --auth and either --admin-token or --no-control\n",
        host);
    return -1;
}

static char *latency_fault(void)
{
    long ms, jitter = 0;
    char *end;
    ms = strtol(flags.latency, &end, 10);
    if (*end == ':')
        jitter = strtol(end + 1, &end, 10);
    if (*end || ms < 0 || jitter < 0) {
        fprintf(stderr, "port-local: --latency %s: expected MS or MS:JITTER\n", flags.latency);
        return NULL;
    }
    return xasprintf("* /** latency=%ld,jitter=%ld,count=0", ms, jitter);
}

static void stop(void *arg, int signum)
{
    (void)signum;
    loop_stop(arg);
}

static int serve(struct catalog_opts *o)
{
    struct err e = {0};
    struct catalog *c = NULL;
    worker_pool_setup(0);
    struct loop *loop = loop_new();
    struct playground *playground = playground_new(loop);
    o->evaluator = playground_evaluator(playground);
    int rc = catalog_start(loop, o, &c, &e);
    if (rc < 0) {
        fprintf(stderr, "port-local: %s\n", e.msg);
    } else {
        loop_on_signal(loop, stop, loop);
        printf("port-local listening on %s\n", catalog_url(c));
        fflush(stdout);
        loop_run(loop);
        catalog_stop(c);
    }
    playground_free(playground);
    loop_free(loop);
    if (rc == ERR_INVAL)
        return 2;
    return rc == ERR_BUSY || rc == ERR_CONFIG || rc == ERR_NOT_FOUND ? 3 : rc < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
    char host[256], *latency = NULL, *file = NULL;
    int port;
    /* This process as a worker of its own; started by itself, never by people. */
    if (argc == 2 && !strcmp(argv[1], "--jq-worker"))
        return jq_worker_main();
    if (argc == 2 && !strcmp(argv[1], PLAYGROUND_WORKER))
        return playground_serve();
    signal(SIGPIPE, SIG_IGN);
    if (read_environment() < 0 || read_arguments(argc, argv) < 0 || read_listen(host, sizeof(host), &port) < 0 ||
        check_exposure(host) < 0)
        return 2;
    if (flags.latency) {
        if (!(latency = latency_fault()))
            return 2;
        flags.faults[flags.nfaults++] = latency;
    }
    if (!flags.db)
        flags.db = file = catalog_default_file();
    struct catalog_opts o = {
        .file = flags.db,
        .host = host,
        .port = port,
        .durability = flags.durability,
        .unknown_properties = flags.unknown,
        .datasource_mode = flags.datasource_mode,
        .faults = flags.faults,
        .public_url = flags.public_url,
        .token_ttl_s = (int)flags.token_ttl,
        .journal = (size_t)flags.journal,
        .auth = flags.auth,
        .clients = flags.clients,
        .journal_bodies = flags.journal_bodies,
        .rate_limit = flags.rate_limit,
        .rate_limit_scope = flags.rate_limit_scope,
        .migration_delay_ms = (int)flags.migration_delay,
        .id_seed = (unsigned long)flags.id_seed,
        .keep_raw = flags.keep_raw,
        .no_page = flags.no_page,
        .strict = flags.strict,
        .strict_bulk = flags.strict_bulk,
        .strict_teams = flags.strict_teams,
        .fault_seed = (unsigned long)flags.fault_seed,
        .admin_token = flags.admin_token,
        .organization_id = flags.org_id,
        .feature_flags = flags.nfeature_flags ? flags.feature_flags : NULL,
        .seed = flags.seed,
        .no_control = flags.no_control,
    };
    int rc = serve(&o);
    free(latency);
    free(file);
    return rc;
}
