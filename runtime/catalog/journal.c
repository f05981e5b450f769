/* A ring of entries. A request takes its slot when it arrives, so numbers follow the order of arrival, and fills it
 * when it is answered; if the ring has gone round meanwhile the entry is counted as dropped. Text of an entry is one
 * allocation. The body's SHA-256 is taken for every request: repeats can be told from changes without keeping bodies.
 * Authorization never gets here. */
#include "catalog/journal.h"
#include "catalog/faults.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "json/write.h"

#define BODY_MAX ((size_t)1 << 20)
#define BYTES_MAX ((size_t)64 << 20) /* of all texts; the oldest entries go first */

struct entry {
    uint64_t seq, duration_us, connection;
    int64_t at_us;
    const struct route *route;
    char method[8];
    char *text; /* path, query, user agent, client, error, faults, keys, body: one after another */
    size_t npath, nquery, nagent, nclient, nerror, nfaults, nkeys, nbody;
    size_t request_bytes, response_bytes;
    unsigned char sha[32];
    int status;
    unsigned in_flight;
    unsigned created, updated, unchanged, deleted, cascaded, failed, bare;
    bool done, committed, has_body, has_keys;
    bool authorization, skip_resync, reserved_usage; /* headers */
};

struct journal {
    struct entry *ring;
    size_t cap;
    uint64_t next;  /* number of the next request, from 1 */
    uint64_t first; /* numbers below were cleared */
    uint64_t tail;  /* entries below have given their text back, or been overwritten */
    uint64_t dropped;
    size_t bytes; /* of all texts */
    unsigned max_in_flight;
    enum journal_bodies bodies;
    char boot[17];
    EVP_MD *sha256;
    EVP_MD_CTX *context;
};

struct journal *journal_new(size_t capacity, enum journal_bodies bodies)
{
    struct journal *j = xcalloc(1, sizeof(*j));
    j->cap = capacity ? capacity : 10000;
    j->ring = xcalloc(j->cap, sizeof(*j->ring));
    j->next = j->first = j->tail = 1;
    j->bodies = bodies;
    j->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    j->context = EVP_MD_CTX_new();
    random_id(j->boot, 16);
    return j;
}

void journal_free(struct journal *j)
{
    if (!j)
        return;
    for (size_t i = 0; i < j->cap; i++)
        free(j->ring[i].text);
    free(j->ring);
    EVP_MD_CTX_free(j->context);
    EVP_MD_free(j->sha256);
    free(j);
}

enum journal_bodies journal_keeps(const struct journal *j) { return j->bodies; }

void journal_id(const struct journal *j, uint64_t seq, char out[33])
{
    snprintf(out, 33, "%s%016" PRIx64, j->boot, seq);
}

static size_t text_size(const struct entry *e)
{
    return e->npath + e->nquery + e->nagent + e->nclient + e->nerror + e->nfaults + e->nkeys + e->nbody;
}

static void forget(struct journal *j, struct entry *e)
{
    j->bytes -= e->text ? text_size(e) : 0;
    free(e->text);
    e->text = NULL;
    e->done = false;
}

/* Keeps all texts together within their limit; the newest entry stays in any case. */
static void shed(struct journal *j, uint64_t newest)
{
    for (; j->bytes > BYTES_MAX && j->tail < newest; j->tail++) {
        struct entry *e = &j->ring[j->tail % j->cap];
        if (e->seq != j->tail || !e->done)
            continue;
        j->dropped += e->seq >= j->first;
        forget(j, e);
    }
}

void journal_begin(struct journal *j, struct work *w)
{
    w->seq = j->next++;
    struct entry *e = &j->ring[w->seq % j->cap];
    if (e->seq >= j->first && e->done)
        j->dropped++;
    forget(j, e);
    *e = (struct entry){.seq = w->seq};
    if (w->in_flight > j->max_in_flight)
        j->max_in_flight = w->in_flight;
}

static void digest(struct journal *j, struct str body, unsigned char out[32])
{
    unsigned n = 32;
    if (!j->sha256 || EVP_DigestInit_ex2(j->context, j->sha256, NULL) != 1 ||
        EVP_DigestUpdate(j->context, body.p ? body.p : "", body.n) != 1 || EVP_DigestFinal_ex(j->context, out, &n) != 1)
        memset(out, 0, 32);
}

static char *put(char *p, struct str s, size_t *ret_n)
{
    if (s.n)
        memcpy(p, s.p, s.n);
    *ret_n = s.n;
    return p + s.n;
}

/* E-1's body holds the secret, so it is never kept (P-227). */
static struct str body_to_keep(struct journal *j, struct work *w, int status)
{
    bool wanted = j->bodies == BODIES_ALL || (j->bodies == BODIES_ERRORS && status >= 400);
    bool secret = w->route && !strcmp(w->route->id, "E-1");
    struct str none = STR_NULL;
    if (!wanted || secret)
        return none;
    return (struct str){w->body.p ? w->body.p : "", w->body.n > BODY_MAX ? BODY_MAX : w->body.n};
}

void journal_finish(struct journal *j, struct work *w, int status, bool committed, int64_t now_us)
{
    struct entry *e = &j->ring[w->seq % j->cap];
    if (e->seq != w->seq || w->seq < j->first) {
        j->dropped += w->seq >= j->first;
        return;
    }
    struct str path = http_call_path(w->call), body = body_to_keep(j, w, status);
    struct str error = str_of(w->refused ? w->r.error : ""), faults = faults_used(w), keys = buf_str(&w->eff.keys);
    e->duration_us = (clock_mono_ns() - w->started_ns) / 1000;
    e->at_us = now_us - (int64_t)e->duration_us;
    e->connection = http_call_connection(w->call);
    e->route = w->route;
    snprintf(e->method, sizeof(e->method), "%s", http_call_method(w->call));
    e->text = xmalloc(path.n + w->query.n + w->user_agent.n + w->client.n + error.n + faults.n + keys.n + body.n + 1);
    char *p = put(e->text, path, &e->npath);
    p = put(p, w->query, &e->nquery);
    p = put(p, w->user_agent, &e->nagent);
    p = put(p, w->client, &e->nclient);
    p = put(p, error, &e->nerror);
    p = put(p, faults, &e->nfaults);
    p = put(p, keys, &e->nkeys);
    put(p, body, &e->nbody);
    e->has_body = body.p != NULL;
    e->has_keys = w->eff.want_keys;
    e->authorization = w->authorization;
    e->skip_resync = w->skip_resync;
    e->reserved_usage = w->reserved_usage;
    e->request_bytes = w->body.n;
    digest(j, w->body, e->sha);
    e->response_bytes = w->out.n;
    e->status = status;
    e->in_flight = w->in_flight;
    e->committed = committed;
    e->created = w->eff.created;
    e->updated = w->eff.updated;
    e->unchanged = w->eff.unchanged;
    e->deleted = w->eff.deleted;
    e->cascaded = w->eff.cascaded;
    e->failed = w->eff.failed;
    e->bare = w->eff.bare;
    e->done = true;
    j->bytes += text_size(e);
    shed(j, e->seq);
}

void journal_clear(struct journal *j)
{
    j->first = j->next;
    j->dropped = 0;
    j->max_in_flight = 0;
}

size_t journal_count(const struct journal *j)
{
    size_t n = 0;
    for (size_t i = 0; i < j->cap; i++)
        n += j->ring[i].done && j->ring[i].seq >= j->first;
    return n;
}

/* Answering ----------------------------------------------------------------------------------------------------- */

static const char *route_id(const struct entry *e) { return e->route ? e->route->id : "unmatched"; }

static struct str piece(const struct entry *e, size_t *at, size_t n)
{
    struct str s = {e->text + *at, n};
    *at += n;
    return s;
}

static void write_effects(struct jw *w, const struct entry *e, struct str keys)
{
    const struct {
        const char *name;
        unsigned n;
    } counts[] = {{"created", e->created}, {"updated", e->updated},   {"unchanged", e->unchanged},
                  {"deleted", e->deleted}, {"cascaded", e->cascaded}, {"failed", e->failed},
                  {"bare", e->bare}};
    jw_key_c(w, "effects");
    jw_obj(w);
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        jw_key(w, str_of(counts[i].name));
        jw_int(w, counts[i].n);
    }
    if (e->has_keys) {
        jw_key_c(w, "keys");
        jw_arr(w);
        if (keys.n)
            jw_raw(w, keys);
        jw_end_arr(w);
    }
    jw_end_obj(w);
}

static void write_text(struct jw *w, const char *key, struct str s)
{
    jw_key(w, str_of(key));
    jw_str(w, s);
}

static void write_int(struct jw *w, const char *key, uint64_t n)
{
    jw_key(w, str_of(key));
    jw_int(w, (int64_t)n);
}

static void write_headers(struct jw *w, const struct entry *e)
{
    jw_key_c(w, "headers");
    jw_obj(w);
    if (e->authorization)
        write_text(w, "authorization", STR("[REDACTED]"));
    if (e->skip_resync)
        write_text(w, "x-skip-resync", STR("true"));
    if (e->reserved_usage)
        write_text(w, "x-port-reserved-usage", STR("true"));
    jw_end_obj(w);
}

static void write_entry(struct journal *j, struct jw *w, const struct entry *e)
{
    char id[33], hex[65];
    size_t at = 0;
    struct str path = piece(e, &at, e->npath), query = piece(e, &at, e->nquery), agent = piece(e, &at, e->nagent);
    struct str client = piece(e, &at, e->nclient), error = piece(e, &at, e->nerror), faults = piece(e, &at, e->nfaults);
    struct str keys = piece(e, &at, e->nkeys), body = piece(e, &at, e->nbody);
    bool writes = e->route && (e->route->flags & ROUTE_WRITES);
    journal_id(j, e->seq, id);
    for (int i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", e->sha[i]);
    jw_obj(w);
    write_int(w, "seq", e->seq);
    write_text(w, "id", str_of(id));
    jw_key_c(w, "at");
    char at_text[40];
    iso_format(at_text, e->at_us, ISO_Z_MICROS);
    jw_cstr(w, at_text);
    write_int(w, "durationUs", e->duration_us);
    write_text(w, "method", str_of(e->method));
    write_text(w, "path", path);
    write_text(w, "route", str_of(route_id(e)));
    write_text(w, "query", query);
    write_text(w, "userAgent", agent);
    if (writes)
        write_text(w, "datasource", agent);
    write_text(w, "clientId", client);
    write_headers(w, e);
    write_int(w, "requestBytes", e->request_bytes);
    write_text(w, "requestSha256", str_of(hex));
    if (e->has_body)
        write_text(w, "requestBody", body);
    write_int(w, "status", (uint64_t)e->status);
    if (error.n)
        write_text(w, "error", error);
    write_int(w, "responseBytes", e->response_bytes);
    jw_key_c(w, "faults");
    jw_arr(w);
    if (faults.n)
        jw_raw(w, faults);
    jw_end_arr(w);
    jw_key_c(w, "committed");
    jw_bool(w, e->committed);
    write_effects(w, e, keys);
    write_int(w, "connection", e->connection);
    write_int(w, "inFlight", e->in_flight);
    jw_end_obj(w);
}

struct filter {
    struct str route, method, agent;
    int64_t status, since, limit;
    bool newest_first;
};

static int read_filter(struct work *w, struct filter *f)
{
    struct str order = STR_NULL;
    *f = (struct filter){0};
    work_param(w, "route", 0, &f->route);
    work_param(w, "method", 0, &f->method);
    work_param(w, "userAgent", 0, &f->agent);
    if (work_number(w, "status", 0, &f->status) < 0 || work_number(w, "since", 0, &f->since) < 0 ||
        work_number(w, "limit", INT64_MAX, &f->limit) < 0)
        return -1;
    if (!work_param(w, "order", 0, &order) || str_is(order, "asc"))
        return 0;
    f->newest_first = str_is(order, "desc");
    return f->newest_first ? 0 : refuse_invalid(&w->r, "\"query/order\" must be asc or desc");
}

static bool passes(const struct journal *j, const struct entry *e, const struct filter *f)
{
    if (!e->done || e->seq < j->first || (int64_t)e->seq <= f->since)
        return false;
    if ((f->route.n && !str_is(f->route, route_id(e))) || (f->method.n && !str_is(f->method, e->method)))
        return false;
    if (f->status && e->status != f->status)
        return false;
    const char *agent = e->text + e->npath + e->nquery;
    return !f->agent.n || (e->nagent >= f->agent.n && memmem(agent, e->nagent, f->agent.p, f->agent.n));
}

int journal_write(struct journal *j, struct work *w)
{
    struct filter f;
    if (read_filter(w, &f) < 0)
        return -1;
    struct jw out = work_begin(w);
    uint64_t oldest = j->next > j->cap ? j->next - j->cap : 1;
    jw_key_c(&out, "entries");
    jw_arr(&out);
    for (uint64_t i = 0; oldest + i < j->next && f.limit > 0; i++) {
        uint64_t seq = f.newest_first ? j->next - 1 - i : oldest + i;
        const struct entry *e = &j->ring[seq % j->cap];
        if (e->seq != seq || !passes(j, e, &f))
            continue;
        write_entry(j, &out, e);
        f.limit--;
    }
    jw_end_arr(&out);
    write_int(&out, "count", journal_count(j));
    write_int(&out, "last", j->next - 1);
    write_int(&out, "dropped", j->dropped);
    work_end(w, &out);
    return 0;
}

int journal_matching(struct journal *j, struct work *w, size_t *ret)
{
    struct filter f;
    if (read_filter(w, &f) < 0)
        return -1;
    *ret = 0;
    for (size_t i = 0; i < j->cap; i++)
        *ret += passes(j, &j->ring[i], &f);
    return 0;
}

/* Summary ------------------------------------------------------------------------------------------------------- */

struct group {
    const char *route;
    int status;
    uint64_t *durations;
    size_t n, cap, request_bytes, response_bytes;
    struct entry sum;
};

static int by_size(const void *x, const void *y)
{
    uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
    return a < b ? -1 : a > b;
}

static struct group *group_of(struct group **list, size_t *n, const struct entry *e)
{
    for (size_t i = 0; i < *n; i++)
        if ((*list)[i].status == e->status && !strcmp((*list)[i].route, route_id(e)))
            return &(*list)[i];
    *list = xrealloc(*list, (*n + 1) * sizeof(**list));
    (*list)[*n] = (struct group){.route = route_id(e), .status = e->status};
    return &(*list)[(*n)++];
}

static void add_to(struct group *g, const struct entry *e)
{
    if (g->n == g->cap) {
        g->cap = g->cap ? g->cap * 2 : 64;
        g->durations = xrealloc(g->durations, g->cap * sizeof(*g->durations));
    }
    g->durations[g->n++] = e->duration_us;
    g->request_bytes += e->request_bytes;
    g->response_bytes += e->response_bytes;
    g->sum.created += e->created;
    g->sum.updated += e->updated;
    g->sum.unchanged += e->unchanged;
    g->sum.deleted += e->deleted;
    g->sum.cascaded += e->cascaded;
    g->sum.failed += e->failed;
    g->sum.bare += e->bare;
}

static uint64_t at_percent(const struct group *g, unsigned percent)
{
    size_t rank = (g->n * percent + 99) / 100;
    return g->durations[rank ? rank - 1 : 0];
}

static void write_group(struct jw *w, struct group *g)
{
    qsort(g->durations, g->n, sizeof(*g->durations), by_size);
    jw_obj(w);
    write_text(w, "route", str_of(g->route));
    write_int(w, "status", (uint64_t)g->status);
    write_int(w, "count", g->n);
    write_effects(w, &g->sum, STR_NULL);
    jw_key_c(w, "durationUs");
    jw_obj(w);
    write_int(w, "p50", at_percent(g, 50));
    write_int(w, "p95", at_percent(g, 95));
    write_int(w, "p99", at_percent(g, 99));
    jw_end_obj(w);
    write_int(w, "requestBytes", g->request_bytes);
    write_int(w, "responseBytes", g->response_bytes);
    jw_end_obj(w);
}

int journal_summary(struct journal *j, struct work *w)
{
    struct group *groups = NULL, total = {0};
    struct filter f;
    size_t n = 0;
    if (read_filter(w, &f) < 0)
        return -1;
    uint64_t oldest = j->next > j->cap ? j->next - j->cap : 1;
    for (uint64_t seq = oldest; seq < j->next; seq++) {
        const struct entry *e = &j->ring[seq % j->cap];
        if (e->seq != seq || !passes(j, e, &f))
            continue;
        add_to(group_of(&groups, &n, e), e);
        add_to(&total, e);
    }
    struct jw out = work_begin(w);
    jw_key_c(&out, "groups");
    jw_arr(&out);
    for (size_t i = 0; i < n; i++)
        write_group(&out, &groups[i]);
    jw_end_arr(&out);
    write_int(&out, "requests", total.n);
    write_effects(&out, &total.sum, STR_NULL);
    write_int(&out, "maxInFlight", j->max_in_flight);
    write_int(&out, "requestBytes", total.request_bytes);
    write_int(&out, "responseBytes", total.response_bytes);
    write_int(&out, "dropped", j->dropped);
    work_end(w, &out);
    for (size_t i = 0; i < n; i++)
        free(groups[i].durations);
    free(groups);
    free(total.durations);
    return 0;
}

/* For the page ---------------------------------------------------------------------------------------------------- */

static struct str part(const char **at, size_t n)
{
    struct str s = {*at, n};
    *at += n;
    return s;
}

static struct journal_line line_of(const struct entry *e)
{
    const char *at = e->text;
    struct journal_line l = {.seq = e->seq, .duration_us = e->duration_us, .at_us = e->at_us, .method = e->method,
                             .route = e->route ? e->route->id : "unmatched", .request_bytes = e->request_bytes,
                             .response_bytes = e->response_bytes, .status = e->status, .created = e->created,
                             .updated = e->updated, .unchanged = e->unchanged, .deleted = e->deleted,
                             .cascaded = e->cascaded, .failed = e->failed};
    l.path = part(&at, e->npath);
    l.query = part(&at, e->nquery);
    part(&at, e->nagent + e->nclient);
    l.error = part(&at, e->nerror);
    l.faults = part(&at, e->nfaults);
    return l;
}

static bool line_wanted(const struct journal_filter *f, const struct journal_line *l)
{
    return !f || ((!f->route.n || str_ieq(f->route, str_of(l->route))) &&
                  (!f->method.n || str_ieq(f->method, str_of(l->method))) &&
                  (!f->failed || l->status >= 400 || l->status == 0));
}

void journal_newest(const struct journal *j, uint64_t before, size_t max, const struct journal_filter *filter,
                    void (*fn)(void *arg, const struct journal_line *line), void *arg)
{
    uint64_t seq = before < j->next ? before : j->next;
    while (max && seq-- > j->first && j->next - seq <= j->cap) {
        const struct entry *e = &j->ring[seq % j->cap];
        if (e->seq != seq || !e->done)
            continue;
        struct journal_line l = line_of(e);
        if (!line_wanted(filter, &l))
            continue;
        fn(arg, &l);
        max--;
    }
}
