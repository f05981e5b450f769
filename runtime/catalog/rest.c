/* A request's way through the server, on the loop thread: route, journal number, token, faults, then the database's
 * thread and back, then the reply. The control routes skip token, faults and journal; they answer only to callers on
 * this machine that no web page sent (port-api P-214). */
#define LOG_GROUP "catalog.rest"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "catalog/catalog_priv.h"
#include "catalog/drip.h"
#include "catalog/past.h"
#include "catalog/webhook.h"
#include "catalog/changes.h"
#include "catalog/page/page.h"

#define JSON_TYPE "application/json; charset=utf-8"
#define HANG_MS 600000

size_t rest_body_limit(void *catalog, const char *method, struct str path)
{
    (void)catalog;
    (void)method;
    bool control = str_starts(path, STR("/_local/"));
    bool ingest = str_starts(path, STR("/logs/integration/")) || str_ends(path, STR("/examples")) ||
                  str_ends(path, STR("/syncMetrics")) || str_ends(path, STR("/heartbeat")) ||
                  (path.n && memmem(path.p, path.n, "/syncMetrics/resync/", 20));
    if (str_is(path, "/_local/import"))
        return (size_t)512 << 20;
    if (str_starts(path, STR("/ingest/integration/")))
        return (size_t)128 << 20;
    return control || ingest ? (size_t)16 << 20 : (size_t)1 << 20;
}

/* The end of a request ------------------------------------------------------------------------------------------ */

static void unlink_work(struct work *w)
{
    struct catalog *c = w->c;
    if (w->prev)
        w->prev->next = w->next;
    else
        c->running = w->next;
    if (w->next)
        w->next->prev = w->prev;
    c->in_flight--;
}

static void work_free(struct work *w)
{
    unlink_work(w);
    wait_forget(w);
    timer_stop(w->timer);
    if (w->evaluation)
        w->c->evaluator->cancel(w->c->evaluator->arg, w->evaluation);
    json_unref(w->doc);
    buf_done(&w->out);
    if (w->eff.keys.max)
        buf_done(&w->eff.keys);
    arena_free(w->a);
    free(w);
}

static bool journaled(const struct work *w) { return w->seq != 0; }

static void record(struct work *w, int status)
{
    bool committed = w->route && (w->route->flags & ROUTE_WRITES) && w->status && w->status < 300 && w->job.run &&
                     !w->job.err.code && !w->r.status;
    if (!journaled(w))
        return;
    journal_finish(w->c->journal, w, status, committed, core_now(w->k));
    if (w->c->parked)
        wait_wake(w->c, w->route);
}

/* Faults of the answer on its way out. True: it is on its way. */
static bool spoil(struct work *w)
{
    const struct fault *f = w->act;
    struct drip d = {.stop_at = SIZE_MAX};
    size_t half = w->out.n / 2;
    if (!f)
        return false;
    switch (f->type) {
    case FAULT_RESET:
        d.reset = true;
        d.stop_at = f->at == RESET_BEFORE_BODY ? 0 : f->after_bytes >= 0 ? (size_t)f->after_bytes : half;
        break;
    case FAULT_TRUNCATE: d.stop_at = f->after_bytes >= 0 ? (size_t)f->after_bytes : half; break;
    case FAULT_SLOW_BODY:
        d.chunked = f->chunked;
        d.piece = (size_t)(f->chunk_bytes ? f->chunk_bytes : (f->bytes_per_second + 9) / 10);
        d.pause_ms = (unsigned)(1000 * d.piece / (size_t)f->bytes_per_second);
        d.pause_ms = d.pause_ms ? d.pause_ms : 1;
        break;
    case FAULT_BAD_JSON: /* every answer is an object: without its last brace it is none */
        if (w->out.n)
            w->out.n--;
        return false;
    case FAULT_CLOSE_IDLE: http_call_close_idle(w->call, (unsigned)f->after_ms); return false;
    default: return false;
    }
    drip_reply(w->c->loop, w->call, &d, w->status, JSON_TYPE, &w->out, w->headers, w->nheaders);
    return true;
}

static void reply(struct work *w)
{
    char id[33];
    if (journaled(w)) {
        journal_id(w->c->journal, w->seq, id);
        if (w->nheaders < ARRAY_LEN(w->headers))
            w->headers[w->nheaders++] = (struct http_header){STR("x-trace-id"), {id, 32}};
    }
    record(w, w->status);
    if (!spoil(w))
        http_reply(w->call, w->status, w->type ? w->type : JSON_TYPE, &w->out, w->headers, w->nheaders);
    work_free(w);
}

static void write_refusal(struct work *w)
{
    buf_reset(&w->out);
    w->refused = true;
    w->status = w->r.status;
    if (w->route && (w->route->flags & ROUTE_PAGE))
        page_refusal(w);
    else
        refusal_write(&w->r, &w->out);
    if (w->status == 401 && w->route && (w->route->flags & ROUTE_PAGE))
        w->headers[w->nheaders++] = (struct http_header){STR("WWW-Authenticate"), STR("Basic realm=\"port-local\"")};
    if (w->status >= 500)
        log_error("%s %.*s: %s", http_call_method(w->call), STR_FMT(http_call_path(w->call)), w->r.message);
}

static void reply_refusal(struct work *w)
{
    write_refusal(w);
    reply(w);
}

static void reset_now(struct work *w)
{
    record(w, 0);
    http_abort(w->call);
    work_free(w);
}

static void hung_long_enough(void *arg)
{
    struct work *w = arg;
    w->timer = NULL;
    record(w, 0);
    http_hang_up(w->call);
    work_free(w);
}

static void hang(struct work *w)
{
    w->timer = timer_start(w->c->loop, w->act->ms ? (uint64_t)w->act->ms : HANG_MS, 0, hung_long_enough, w);
}

/* Faults after the work was done. */
static void lose_answer(struct work *w)
{
    if (w->act->with == LOSE_STATUS) {
        bool refused = w->r.status != 0;
        record(w, w->act->status);
        w->seq = 0;
        if (!refused)
            fault_answer(w->act, w, core_now(w->k));
        reply(w);
    } else if (w->act->with == LOSE_HANG) {
        hang(w);
    } else {
        reset_now(w);
    }
}

static void finish(struct work *w)
{
    if (w->act && w->act->type == FAULT_COMMIT_THEN_FAIL)
        lose_answer(w);
    else
        reply(w);
}

static void finish_late(void *arg)
{
    struct work *w = arg;
    w->timer = NULL;
    finish(w);
}

static void answered(struct work *w)
{
    if (!w->status)
        w->status = 200;
    if (w->delay && w->delay->after_commit)
        w->timer = timer_start(w->c->loop, w->delay_ms, 0, finish_late, w);
    else
        finish(w);
}

/* The database's thread ----------------------------------------------------------------------------------------- */

static int run(struct db *d, struct sqlite3 *h, struct db_job *job)
{
    struct work *w = (struct work *)job;
    struct core *k = w->k;
    k->db = d;
    k->h = h;
    if (atomic_exchange(&k->stale, false))
        core_forget(k);
    if (w->lag_us)
        return past_run(w, w->lag_us, &job->err);
    bool writes = w->route->flags & ROUTE_WRITES;
    if (past_keep(w, job->writes) == 0 && w->route->run(w) == 0 &&
        (!writes || (changes_store(w) == 0 && core_tally_flush(k, &w->r) == 0))) {
        w->r.status = 0; /* a look-up on the way may have found nothing */
        return 0;
    }
    if (w->r.status < 500 && !(w->route->flags & ROUTE_ATOMIC) && !w->undo) {
        struct refusal failed = {0};
        if (core_tally_flush(k, &failed) == 0) /* what was written before the refusal stays */
            return 0;
        w->r = failed;
    }
    core_forget(k);
    return ERR(&job->err, ERR_CANCELLED, "refused: %s", w->r.message);
}

static void done(struct db_job *job)
{
    struct work *w = (struct work *)job;
    if (w->lag_us && !w->r.status)
        job->err.code = 0; /* it was to be undone */
    if (job->err.code && !w->r.status) { /* the commit failed: nothing was stored, and the same may work later */
        bool full = job->err.code == ERR_LIMIT;
        atomic_store(&w->k->stale, true);
        refuse(&w->r, full ? 507 : 503, full ? "insufficient_storage" : "service_unavailable", "%s", job->err.msg);
    }
    if (w->unmet && !w->r.status) {
        w->unmet = false;
        wait_park(w);
        return;
    }
    if (w->webhook && !w->r.status)
        webhook_send(w);
    if (w->r.status)
        write_refusal(w);
    else if (w->out.failed)
        refuse(&w->r, 500, "internal_error", "the answer is too large: use a limit"), write_refusal(w);
    answered(w);
}

static void submit(struct work *w)
{
    bool stale = w->act && w->act->type == FAULT_STALE_READ && !(w->route->flags & ROUTE_WRITES);
    w->lag_us = stale ? w->act->lag_ms * 1000 : 0; /* looking back is a write that is undone */
    atomic_store(&w->k->keep_past_us, faults_lag(w->c->faults) * 1000);
    w->job = (struct db_job){.run = run, .done = done, .writes = stale || (w->route->flags & ROUTE_WRITES)};
    db_submit(w->c->core.db, &w->job);
}

void rest_go_on(struct work *w) { submit(w); }

void rest_answer(struct work *w) { answered(w); }
void rest_refuse(struct work *w) { reply_refusal(w); }

/* Before the work ----------------------------------------------------------------------------------------------- */

static void go(struct work *w)
{
    int rc = w->route->now ? w->route->now(w) : 0;
    if (rc == WORK_WAITS)
        return;
    if (rc < 0)
        write_refusal(w);
    if (rc != 0)
        answered(w);
    else
        submit(w);
}

static void expire_tokens(struct work *w)
{
    tokens_revoke(w->c->tokens, str_of(w->act->client && *w->act->client ? w->act->client : NULL));
    refuse(&w->r, 401, "unauthorized", "the token was revoked by fault %s", w->act->id);
    reply_refusal(w);
}

static void begin(void *arg)
{
    struct work *w = arg;
    w->timer = NULL;
    if (w->act) {
        switch (w->act->type) {
        case FAULT_STATUS:
        case FAULT_RATE_LIMIT:
        case FAULT_BURST:
            fault_answer(w->act, w, core_now(w->k));
            reply(w);
            return;
        case FAULT_RESET:
            if (w->act->at == RESET_ACCEPT) {
                reset_now(w);
                return;
            }
            break;
        case FAULT_HANG:
            hang(w);
            return;
        case FAULT_EXPIRE_TOKENS: expire_tokens(w); return;
        default: break;
        }
    }
    if (!(w->route->flags & ROUTE_OPEN) && !w->client.p) {
        refuse(&w->r, 401, "unauthorized",
               w->authorization ? "The token is unknown, expired or revoked" : "The Authorization header is missing");
        reply_refusal(w);
        return;
    }
    go(w);
}

static void add_number(struct work *w, const char *name, int64_t n)
{
    if (w->nheaders < ARRAY_LEN(w->headers))
        w->headers[w->nheaders++] =
            (struct http_header){str_of(name), str_of(arena_printf(w->a, "%lld", (long long)n))};
}

/* The counter of this request's client, or of the whole server (P-41). */
static struct rate_window *window_of(struct work *w)
{
    struct catalog *c = w->c;
    if (!c->rate.clients || !w->client.p)
        return &c->rate.all;
    struct rate_window *x = strmap_get(c->rate.clients, w->client);
    if (!x) {
        x = xcalloc(1, sizeof(*x));
        strmap_put(c->rate.clients, w->client, x);
    }
    return x;
}

/* P-40 to P-42. False: over the limit, and answered. */
static bool within_rate(struct work *w)
{
    struct catalog *c = w->c;
    int64_t now = core_now(w->k), period_us = c->rate.period_s * 1000000;
    if (!c->rate.limit)
        return true;
    struct rate_window *x = window_of(w);
    if (now - x->since_us >= period_us || now < x->since_us)
        *x = (struct rate_window){.since_us = now};
    bool ok = x->used < c->rate.limit;
    x->used += ok;
    int64_t end_s = (x->since_us + period_us + 999999) / 1000000, wait_s = end_s - now / 1000000;
    add_number(w, "x-ratelimit-limit", c->rate.limit);
    add_number(w, "x-ratelimit-remaining", c->rate.limit - x->used);
    add_number(w, "x-ratelimit-period", c->rate.period_s);
    add_number(w, "x-ratelimit-reset", end_s);
    if (ok)
        return true;
    wait_s = wait_s < 1 ? 1 : wait_s;
    add_number(w, "Retry-After", wait_s);
    refuse(&w->r, 429, "rate_limit_exceeded", "More than %lld requests in %lld s", (long long)c->rate.limit,
           (long long)c->rate.period_s);
    snprintf(w->r.details, sizeof(w->r.details), "{\"limit\":%lld,\"period\":%lld,\"retryAfter\":%lld}",
             (long long)c->rate.limit, (long long)c->rate.period_s, (long long)wait_s);
    reply_refusal(w);
    return false;
}

static void begin_api(struct work *w)
{
    faults_match(w->c->faults, w);
    if (w->doc) { /* a fault looked into the body: the route reads it afresh */
        json_unref(w->doc);
        w->doc = NULL;
    }
    w->r = (struct refusal){0};
    if (w->delay)
        w->delay_ms = fault_delay(w->c->faults, w->delay);
    if (w->delay && !w->delay->after_commit)
        w->timer = timer_start(w->c->loop, w->delay_ms, 0, begin, w);
    else
        begin(w);
}

static bool loopback_name(struct str host)
{
    struct str name = host;
    if (host.n && host.p[0] == '[') {
        const char *end = memchr(host.p, ']', host.n);
        name = end ? (struct str){host.p + 1, (size_t)(end - host.p) - 1} : host;
    } else {
        struct str port;
        name = str_split(host, ':', &port);
    }
    bool number = true; /* 127.0.0.1.example.org is a name like any other */
    for (size_t i = 0; i < name.n; i++)
        number &= name.p[i] == '.' || (name.p[i] >= '0' && name.p[i] <= '9');
    return str_ieq(name, STR("localhost")) || str_is(name, "::1") || (number && str_starts(name, STR("127.")));
}

/* Scheme and slashes off: what remains is host[:port]. */
static struct str origin_host(struct str origin)
{
    const char *at = origin.n ? memmem(origin.p, origin.n, "://", 3) : NULL;
    return at ? (struct str){at + 3, origin.n - (size_t)(at + 3 - origin.p)} : origin;
}

/* A page of some web site may have its own name point here: such a request names a host that is not ours. Whoever listens
 * to the outside has said who may come in. */
static bool host_allowed(struct work *w)
{
    struct str host = http_call_header(w->call, STR("Host"));
    bool outside = !loopback_name(str_of(w->c->host));
    bool own = w->c->public_url && str_eq(host, origin_host(str_of(w->c->public_url)));
    if (!host.p || outside || own || loopback_name(host))
        return true;
    refuse(&w->r, 403, "forbidden",
           "This server answers to loopback names only, not to Host \"%.*s\": start it with --public-url for others",
           STR_FMT(host));
    return false;
}

/* Takes as long for a wrong text as for the right one. */
static bool same_secret(struct str given, const char *secret)
{
    size_t n = strlen(secret);
    unsigned char differ = given.n != n;
    for (size_t i = 0; i < n; i++)
        differ |= (unsigned char)(secret[i] ^ (i < given.n ? given.p[i] : 0));
    return !differ;
}

/* The admin token, in its header or as the password a browser asked for (any user name). */
static bool is_admin(struct work *w)
{
    struct str basic = http_call_header(w->call, STR("Authorization")), scheme = str_split(basic, ' ', &basic), password;
    struct buf pair;
    if (same_secret(http_call_header(w->call, STR("x-admin-token")), w->c->admin_token))
        return true;
    buf_init(&pair, 4096);
    bool ok = str_ieq(scheme, STR("Basic")) && base64_decode(&pair, basic);
    str_split(buf_str(&pair), ':', &password);
    ok = ok && password.p && same_secret(password, w->c->admin_token);
    buf_done(&pair);
    return ok;
}

static bool control_allowed(struct work *w)
{
    struct str host = http_call_header(w->call, STR("Host")), origin = http_call_header(w->call, STR("Origin"));
    struct str site = http_call_header(w->call, STR("Sec-Fetch-Site"));
    if (w->c->admin_token && !is_admin(w)) {
        if (w->route->flags & ROUTE_PAGE)
            refuse(&w->r, 401, "unauthorized", "The page needs the admin token as password; the user name is not looked at");
        else
            refuse(&w->r, 403, "forbidden", "The control routes need the admin token in the header x-admin-token");
        return false;
    }
    if (str_is(site, "cross-site") || (origin.p && !str_eq(origin_host(origin), host))) {
        refuse(&w->r, 403, "forbidden", "The control routes do not answer to other web sites");
        return false;
    }
    return true;
}

static struct str base_url(struct work *w)
{
    struct str host = http_call_header(w->call, STR("Host"));
    if (w->c->public_url)
        return str_of(w->c->public_url);
    if (!host.n)
        return str_of(w->c->url);
    return str_of(arena_printf(w->a, "http://%.*s", STR_FMT(host)));
}

static struct work *work_new(struct catalog *c, struct http_call *call)
{
    struct work *w = xcalloc(1, sizeof(*w));
    w->c = c;
    w->k = &c->core;
    w->call = call;
    w->a = arena_new(0);
    w->started_ns = clock_mono_ns();
    w->query = http_call_query(call);
    w->body = http_call_body(call);
    w->user_agent = http_call_header(call, STR("User-Agent"));
    buf_init(&w->out, LIMIT_ANSWER);
    w->next = c->running;
    if (w->next)
        w->next->prev = w;
    c->running = w;
    w->in_flight = ++c->in_flight;
    return w;
}

static void refuse_route(struct work *w, struct str allow)
{
    struct str path = http_call_path(w->call);
    if (!allow.p) {
        refuse(&w->r, 404, "not_found", "Route %s:%.*s not found", http_call_method(w->call), STR_FMT(path));
    } else {
        refuse(&w->r, 405, "method_not_allowed", "%s is not allowed here: use %.*s", http_call_method(w->call),
               STR_FMT(allow));
        w->headers[w->nheaders++] = (struct http_header){STR("Allow"), allow};
    }
    reply_refusal(w);
}

void rest_handle(void *catalog, struct http_call *call)
{
    struct catalog *c = catalog;
    struct work *w = work_new(c, call);
    struct str allow, path = http_call_path(call), token = http_call_header(call, STR("Authorization"));
    w->route = route_find(w->a, str_of(http_call_method(call)), path, w->seg, &w->nseg, &allow);
    bool page = w->route && (w->route->flags & ROUTE_PAGE);
    bool control = path.n >= 7 && !memcmp(path.p, "/_local", 7) && (path.n == 7 || path.p[7] == '/');
    if (control || page) {
        w->base_url = base_url(w);
        if (c->no_control || (page && c->no_page))
            w->route = NULL, allow = STR_NULL;
        if (!w->route)
            refuse_route(w, allow);
        else if (!host_allowed(w) || !control_allowed(w))
            reply_refusal(w);
        else
            go(w);
        return;
    }
    w->authorization = token.p != NULL;
    w->skip_resync = str_ieq(http_call_header(call, STR("x-skip-resync")), STR("true"));
    w->reserved_usage = http_call_header(call, STR("x-port-reserved-usage")).p != NULL;
    w->client = tokens_check(c->tokens, token, core_now(w->k));
    w->base_url = base_url(w);
    w->eff.want_keys = journal_keeps(c->journal) == BODIES_ALL;
    journal_begin(c->journal, w);
    if (!host_allowed(w))
        reply_refusal(w);
    else if (!w->route)
        refuse_route(w, allow);
    else if (c->stopping)
        refuse(&w->r, 503, "service_unavailable", "the server is shutting down"), reply_refusal(w);
    else if (within_rate(w))
        begin_api(w);
}

void rest_drop_all(struct catalog *c)
{
    while (c->running)
        reset_now(c->running);
}
