/* retry.c: which outcomes are repeated, after how long, and a request that does it.
 *
 * The decisions are pure functions of outcome, clock and randomness. A wait named by the server is honoured as it is
 * (runtime ), the own back-off varies uniformly by the jitter; both are capped. A named wait of nothing at
 * all (a reset time already past) does not mean an immediate repeat but a step of the back-off (runtime Q-21).
 *
 * retry_send keeps its own copy of everything that is sent; the body is lent to each request in turn. Between two
 * sendings either `req` or `timer` is set, never both. */
#include "io/retry.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/http_client_priv.h"
#include <ctype.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define LOG_GROUP "io.retry"
#define EPOCH_SECONDS_FROM 10000.0 /* runtime R-120 */
#define EPOCH_MILLIS_FROM 1e12     /* runtime R-121 */

/* ---- policies ---- */

void retry_policy_third_party(struct retry_policy *p)
{
    *p = (struct retry_policy){
        .attempts = 10,
        .base_s = 0.1,
        .max_s = 60,
        .jitter = 0.1,
        .respect_headers = true,
        .statuses = {408, 429, 502, 503, 504},
        .methods = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"},
    };
}

void retry_policy_port(struct retry_policy *p)
{
    retry_policy_third_party(p);
    p->base_s = 0.3;
    p->max_s = 300;
}

/* ---- reading hints ---- */

/* Digits with at most one point among them. */
static bool decimal(struct str s, double *ret)
{
    char text[64];
    bool point = false;
    if (s.n == 0 || s.n >= sizeof(text) || !isdigit((unsigned char)s.p[0]))
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '.' && !point && i + 1 < s.n)
            point = true;
        else if (!isdigit((unsigned char)s.p[i]))
            return false;
    }
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    *ret = strtod(text, NULL);
    return true;
}

/* The three forms of RFC 9110, 5.6.7, which all mean UTC. Names are English whatever the locale says. */
static bool http_date(struct str s, int64_t *ret_us)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char text[64], month[4] = "", weekday[16];
    struct tm t = {0};
    int year = 0, used = 0;
    if (s.n == 0 || s.n >= sizeof(text))
        return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    if (sscanf(text, "%15[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT%n", weekday, &t.tm_mday, month, &year, &t.tm_hour,
               &t.tm_min, &t.tm_sec, &used) == 7 &&
        used) {
        ;
    } else if (sscanf(text, "%15[A-Za-z], %2d-%3[A-Za-z]-%2d %2d:%2d:%2d GMT%n", weekday, &t.tm_mday, month, &year,
                      &t.tm_hour, &t.tm_min, &t.tm_sec, &used) == 7 &&
               used) {
        year += year < 70 ? 2000 : 1900;
    } else if (sscanf(text, "%15[A-Za-z] %3[A-Za-z] %2d %2d:%2d:%2d %4d%n", weekday, month, &t.tm_mday, &t.tm_hour,
                      &t.tm_min, &t.tm_sec, &year, &used) != 7 ||
               !used) {
        return false;
    }
    const char *at = strlen(month) == 3 ? strstr(months, month) : NULL;
    if ((size_t)used != s.n || !at || (at - months) % 3 || year < 1970 || t.tm_mday < 1 || t.tm_mday > 31 ||
        t.tm_hour < 0 || t.tm_hour > 23 || t.tm_min < 0 || t.tm_min > 59 || t.tm_sec < 0 || t.tm_sec > 60)
        return false;
    t.tm_mon = (int)((at - months) / 3);
    t.tm_year = year - 1900;
    *ret_us = (int64_t)timegm(&t) * 1000000;
    return true;
}

/* ISO 8601: with a zone as RFC 3339 wants it, or without one (then UTC), or a date alone. */
static bool iso_any(struct str s, int64_t *ret_us)
{
    char text[64];
    if (iso_parse(s, ret_us))
        return true;
    if (s.n < 10 || s.n > 40)
        return false;
    memcpy(text, s.p, s.n);
    snprintf(text + s.n, sizeof(text) - s.n, "%s", s.n == 10 ? "T00:00:00Z" : "Z");
    return iso_parse(str_of(text), ret_us);
}

double retry_hint(struct str value, int64_t now_wall_us)
{
    double n;
    int64_t at;
    value = str_trim(value);
    if (decimal(value, &n)) {
        if (n <= EPOCH_SECONDS_FROM)
            return n;
        if (n > EPOCH_MILLIS_FROM)
            n /= 1000;
        n -= (double)now_wall_us / 1e6;
        return n > 0 ? n : 0;
    }
    if (!iso_any(value, &at) && !http_date(value, &at))
        return -1;
    return at > now_wall_us ? (double)(at - now_wall_us) / 1e6 : -1;
}

/* ---- decisions ---- */

static bool listed(const int *list, size_t n, int status)
{
    for (size_t i = 0; i < n && list[i]; i++) {
        if (list[i] == status)
            return true;
    }
    return false;
}

bool retry_wanted(const struct retry_policy *p, const char *method, bool flagged, int status, const struct err *e)
{
    for (size_t i = 0; !flagged && i < ARRAY_LEN(p->methods) && p->methods[i]; i++)
        flagged = strcmp(p->methods[i], method) == 0;
    if (!flagged)
        return false;
    if (status == 0)
        return e && (e->code == ERR_TRANSPORT || e->code == ERR_TIMEOUT);
    return listed(p->statuses, ARRAY_LEN(p->statuses), status);
}

/* The first header that names a time, in the order of runtime R-119; < 0: none does. */
static double named_wait(const struct retry_policy *p, const struct http_resp *resp, int64_t now_wall_us)
{
    const char *names[ARRAY_LEN(p->hint_headers) + 2];
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(p->hint_headers) && p->hint_headers[i]; i++)
        names[n++] = p->hint_headers[i];
    names[n++] = "Retry-After";
    names[n++] = "x-ratelimit-reset";
    for (size_t i = 0; i < n; i++) {
        struct str value = http_header_get(resp->headers, resp->nheaders, str_of(names[i]));
        double s = value.p ? retry_hint(value, now_wall_us) : -1;
        if (s >= 0)
            return s;
    }
    return -1;
}

double retry_delay(const struct retry_policy *p, int n, const struct http_resp *resp, int64_t now_wall_us, double rnd)
{
    double own = p->base_s * pow(2, n > 1 ? (n > 64 ? 63 : n - 1) : 0);
    own *= 1 + p->jitter * (2 * rnd - 1);
    own = fmin(own, p->max_s);
    if (!resp || !p->respect_headers ||
        listed(p->ignore_hint_statuses, ARRAY_LEN(p->ignore_hint_statuses), resp->status))
        return own;
    double named = named_wait(p, resp, now_wall_us);
    if (named <= 0)
        return own;
    return fmin(named, p->max_s);
}

/* ---- a request with repeats ---- */

struct retry_call {
    struct http_client *client;
    struct retry_policy policy;
    enum retry_flag flag;
    struct retry_hooks hooks;
    http_done_fn done;
    void *arg;
    char *method, *url;
    struct http_header *headers;
    size_t nheaders;
    struct buf body;
    struct http_spec spec;
    int repeats;
    struct http_req *req;
    struct timer *timer;
};

static double random_share(void)
{
    static uint64_t x;
    if (!x && getrandom(&x, sizeof(x), GRND_NONBLOCK) != sizeof(x))
        x = clock_mono_ns();
    x = x * 6364136223846793005u + 1442695040888963407u;
    return (double)(x >> 11) / 9007199254740992.0;
}

static void call_release(struct retry_call *r)
{
    for (size_t i = 0; i < r->nheaders; i++) {
        free((char *)r->headers[i].name.p);
        free((char *)r->headers[i].value.p);
    }
    free(r->headers);
    free(r->method);
    free(r->url);
    buf_done(&r->body);
    free(r);
}

static void finish(struct retry_call *r, struct http_resp *resp, const struct err *e)
{
    r->done(r->arg, resp, e);
    call_release(r);
}

static void on_done(void *arg, struct http_resp *resp, const struct err *e);

static struct http_req *send_once(struct retry_call *r, struct err *e)
{
    r->spec.url = r->url;
    r->spec.headers = r->headers;
    r->spec.nheaders = r->nheaders;
    r->spec.body = r->body;
    return http_send_borrowed(r->client, &r->spec, on_done, r, e);
}

static void on_timer(void *arg)
{
    struct retry_call *r = arg;
    struct err e;
    r->timer = NULL;
    r->req = send_once(r, &e);
    if (!r->req) /* a hook made it invalid */
        finish(r, NULL, &e);
}

static void on_done(void *arg, struct http_resp *resp, const struct err *e)
{
    struct retry_call *r = arg;
    int status = resp ? resp->status : 0;
    char url[200];
    r->req = NULL;
    if (r->flag == RETRY_NEVER || r->repeats >= r->policy.attempts ||
        !retry_wanted(&r->policy, r->method, r->flag == RETRY_ALWAYS, status, e)) {
        finish(r, resp, e);
        return;
    }
    double wait = retry_delay(&r->policy, ++r->repeats, resp, clock_wall_us(), random_share());
    http_url_public(r->url, url, sizeof(url));
    if (resp)
        log_warn("Request %s %s failed with status code: %d, retrying in %.2f seconds.", r->method, url, status, wait);
    else
        log_warn("Request failed: %s; retrying in %.2f seconds.", e->msg, wait);
    r->timer = timer_start(r->client->loop, (uint64_t)ceil(wait * 1000), 0, on_timer, r);
    if (r->hooks.waiting)
        r->hooks.waiting(r->hooks.arg, r->repeats, wait, status, e); /* may cancel: r is not touched again */
}

struct retry_call *retry_send(struct http_client *c, struct http_spec *spec, const struct retry_policy *p,
                              enum retry_flag flag, const struct retry_hooks *hooks, http_done_fn done, void *arg,
                              struct err *e)
{
    struct retry_call *r = xcalloc(1, sizeof(*r));
    r->client = c;
    r->policy = *p;
    r->flag = flag;
    if (hooks)
        r->hooks = *hooks;
    r->done = done;
    r->arg = arg;
    r->method = xstrdup(spec->method ? spec->method : "");
    r->url = xstrdup(spec->url ? spec->url : "");
    r->headers = xcalloc(spec->nheaders ? spec->nheaders : 1, sizeof(*r->headers));
    r->nheaders = spec->nheaders;
    for (size_t i = 0; i < spec->nheaders; i++) {
        struct http_header h = spec->headers[i];
        r->headers[i].name = (struct str){str_dup(h.name), h.name.n};
        r->headers[i].value = (struct str){str_dup(h.value), h.value.n};
    }
    r->body = spec->body;
    buf_init(&spec->body, r->body.max);
    r->spec = *spec;
    r->spec.method = r->method;
    r->req = send_once(r, e);
    if (!r->req) {
        call_release(r);
        return NULL;
    }
    return r;
}

void retry_set_header(struct retry_call *r, struct str name, struct str value)
{
    for (size_t i = 0; i < r->nheaders; i++) {
        if (!str_ieq(r->headers[i].name, name))
            continue;
        free((char *)r->headers[i].value.p);
        r->headers[i].value = (struct str){str_dup(value), value.n};
        return;
    }
    r->headers = xrealloc(r->headers, (r->nheaders + 1) * sizeof(*r->headers));
    r->headers[r->nheaders].name = (struct str){str_dup(name), name.n};
    r->headers[r->nheaders++].value = (struct str){str_dup(value), value.n};
}

void retry_cancel(struct retry_call *r)
{
    if (!r || (!r->req && !r->timer)) /* neither: `done` is running */
        return;
    http_cancel(r->req);
    timer_stop(r->timer);
    call_release(r);
}

int retry_count(const struct retry_call *r) { return r->repeats; }
