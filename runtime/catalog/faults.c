/* Matching and counting of faults, and the answers that replace execution. What a fault means for the way of a request
 * is in rest.c; reading faults from text and JSON in faults_read.c. */
#include "catalog/faults.h"
#include "catalog/faults_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "json/compare.h"
#include "json/write.h"

struct faults *faults_new(uint64_t seed)
{
    struct faults *f = xcalloc(1, sizeof(*f));
    f->random = seed ? seed : clock_mono_ns() | 1;
    return f;
}

void fault_free(struct fault *x)
{
    char **texts[] = {&x->id,         &x->method,  &x->path,   &x->route,   &x->agent,  &x->integration, &x->blueprint,
                      &x->identifier, &x->body,    &x->error,  &x->message, &x->answer, &x->details,     &x->client};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        free(*texts[i]);
    for (size_t i = 0; i < x->nwanted; i++) {
        free(x->wanted[i].name);
        free(x->wanted[i].part);
    }
    json_unref(x->headers);
    strmap_free(x->members);
    free(x);
}

void faults_clear(struct faults *f)
{
    while (f->first) {
        struct fault *x = f->first;
        f->first = x->next;
        x->next = f->retired; /* requests under way may still name it */
        f->retired = x;
    }
}

void faults_free(struct faults *f)
{
    if (!f)
        return;
    faults_clear(f);
    while (f->retired) {
        struct fault *x = f->retired;
        f->retired = x->next;
        fault_free(x);
    }
    free(f);
}

bool faults_remove(struct faults *f, struct str id)
{
    for (struct fault **at = &f->first; *at; at = &(*at)->next) {
        struct fault *x = *at;
        if (!str_is(id, x->id))
            continue;
        *at = x->next;
        x->next = f->retired;
        f->retired = x;
        return true;
    }
    return false;
}

struct fault *faults_first(struct faults *f) { return f->first; }

struct fault *faults_find(struct faults *f, struct str id)
{
    for (struct fault *x = f->first; x; x = x->next)
        if (str_is(id, x->id))
            return x;
    return NULL;
}

size_t faults_count(const struct faults *f)
{
    size_t n = 0;
    for (const struct fault *x = f->first; x; x = x->next)
        n++;
    return n;
}

/* Matching ------------------------------------------------------------------------------------------------------ */

bool glob_matches(struct str p, struct str t)
{
    size_t i = 0, j = 0, star = SIZE_MAX, mark = 0;
    while (j < t.n) {
        if (i < p.n && p.p[i] == '*') {
            star = i++;
            mark = j;
        } else if (i < p.n && p.p[i] == t.p[j]) {
            i++;
            j++;
        } else if (star != SIZE_MAX) {
            i = star + 1;
            j = ++mark;
        } else {
            return false;
        }
    }
    while (i < p.n && p.p[i] == '*')
        i++;
    return i == p.n;
}

bool path_matches(struct str pattern, struct str path)
{
    struct str want = pattern, rest = path;
    while (want.p) {
        struct str p = str_split(want, '/', &want);
        if (str_is(p, "**"))
            return true;
        if (!rest.p || !glob_matches(p, str_split(rest, '/', &rest)))
            return false;
    }
    return !rest.p;
}

/* Random number in [0, 1), xorshift: repeatable with a seed (P-222). */
static double chance(struct faults *f)
{
    f->random ^= f->random << 13;
    f->random ^= f->random >> 7;
    f->random ^= f->random << 17;
    return (double)(f->random >> 11) / 9007199254740992.0;
}

static bool has(struct str text, const char *part)
{
    return memmem(text.p ? text.p : "", text.n, part, strlen(part)) != NULL;
}

/* The identifier of the path, or a member of a bulk: looked for in the body's text, as quoted. */
static bool names_identifier(const struct fault *x, struct work *w)
{
    if (w->nseg == 2 && w->route && !strncmp(w->route->path, "v1/blueprints/", 14))
        return glob_matches(str_of(x->identifier), w->seg[1]);
    struct json root = w->body.n ? work_json(w) : JSON_NONE;
    struct json list = json_get_c(root, "entities");
    if (glob_matches(str_of(x->identifier), json_str(json_get_c(root, "identifier"))))
        return true;
    for (struct json_iter it = json_iter(list); json_next(&it);) {
        struct str id = json_is_str(it.val) ? json_str(it.val) : json_str(json_get_c(it.val, "identifier"));
        if (id.p && glob_matches(str_of(x->identifier), id))
            return true;
    }
    return false;
}

/* The integration that asks (port-ocean/TYPE/VERSION/ID[/FEATURE]) or the one the path names. */
static bool about_integration(const struct fault *x, const struct work *w)
{
    struct str glob = str_of(x->integration), rest = w->user_agent;
    for (int i = 0; i < 3; i++)
        str_split(rest, '/', &rest);
    if (rest.p && glob_matches(glob, str_split(rest, '/', &rest)))
        return true;
    return w->route && w->nseg > 0 && !strncmp(w->route->path, "v1/integration/{}", 17) &&
           glob_matches(glob, w->seg[0]);
}

static bool has_headers(const struct fault *x, const struct work *w)
{
    for (size_t i = 0; i < x->nwanted; i++) {
        struct str v = http_call_header(w->call, str_of(x->wanted[i].name));
        if (!v.p || !has(v, x->wanted[i].part))
            return false;
    }
    return true;
}

static bool fits(const struct fault *x, struct work *w)
{
    const char *method = http_call_method(w->call);
    if (x->method && strcmp(x->method, "*") != 0 && strcmp(x->method, method) != 0)
        return false;
    if (x->path && !path_matches(str_of(x->path), http_call_path(w->call)))
        return false;
    if (x->route && (!w->route || strcmp(x->route, w->route->id) != 0))
        return false;
    if (x->agent && !has(w->user_agent, x->agent))
        return false;
    if ((x->integration && !about_integration(x, w)) || !has_headers(x, w))
        return false;
    if (x->blueprint) {
        bool about = w->route && !strncmp(w->route->path, "v1/blueprints/{}", 16) && w->nseg > 0;
        if (!about || !glob_matches(str_of(x->blueprint), w->seg[0]))
            return false;
    }
    if (x->identifier && !names_identifier(x, w))
        return false;
    return !x->body || has(w->body, x->body);
}

/* Counts the match and says whether the fault acts on it. */
static bool acts(struct faults *f, struct fault *x, struct work *w)
{
    uint64_t age = clock_mono_ms() - x->set_ms;
    if ((int64_t)age < x->from_ms || (x->until_ms && (int64_t)age >= x->until_ms))
        return false;
    if (x->in_flight_over && (int64_t)w->in_flight <= x->in_flight_over)
        return false;
    if (x->type == FAULT_BURST && x->burst_ms && clock_mono_ms() - x->burst_ms < (uint64_t)x->duration_ms) {
        x->matches++;
        x->hits++;
        return true;
    }
    if (x->count && x->used >= x->count)
        return false;
    int64_t n = ++x->matches - x->after;
    if (n <= 0 || (x->every > 1 && n % x->every != 0))
        return false;
    if (x->probability < 1 && chance(f) >= x->probability)
        return false;
    x->burst_ms = clock_mono_ms();
    x->used++;
    x->hits++;
    return true;
}

bool fault_names(const struct fault *f, size_t index, struct str identifier)
{
    struct str pattern;
    void *value;
    if (f->fail_every && (index + 1) % (size_t)f->fail_every == 0)
        return true;
    for (size_t at = 0; f->members && (at = strmap_next(f->members, at, &pattern, &value)) != 0;)
        if (identifier.p && glob_matches(pattern, identifier))
            return true;
    return false;
}

int64_t faults_lag(const struct faults *f)
{
    int64_t lag = 0;
    for (const struct fault *x = f->first; x; x = x->next)
        if (x->type == FAULT_STALE_READ && x->lag_ms > lag)
            lag = x->lag_ms;
    return lag;
}

void faults_match(struct faults *f, struct work *w)
{
    for (struct fault *x = f->first; x; x = x->next) {
        struct fault **slot = x->type == FAULT_LATENCY ? &w->delay : &w->act;
        if (!*slot && fits(x, w) && acts(f, x, w))
            *slot = x;
    }
}

unsigned fault_delay(struct faults *f, const struct fault *l)
{
    double ms = (double)l->ms + (l->jitter_ms ? (2 * chance(f) - 1) * (double)l->jitter_ms : 0);
    return ms > 0 ? (unsigned)ms : 0;
}

struct str faults_used(struct work *w)
{
    struct buf b;
    buf_init(&b, 4096);
    const struct fault *both[] = {w->delay, w->act};
    for (int i = 0; i < 2; i++) {
        if (!both[i])
            continue;
        if (b.n)
            buf_addc(&b, ',');
        json_quote(&b, str_of(both[i]->id));
    }
    struct str out = b.n ? arena_str(w->a, buf_str(&b)) : STR_NULL;
    buf_done(&b);
    return out;
}

/* Answers ------------------------------------------------------------------------------------------------------- */

static void add_header(struct work *w, const char *name, const char *value)
{
    if (w->nheaders < ARRAY_LEN(w->headers))
        w->headers[w->nheaders++] = (struct http_header){str_of(name), str_of(value)};
}

static const char *code_of(int status)
{
    switch (status) {
    case 400:
    case 422: return "invalid_request";
    case 401: return "unauthorized";
    case 404: return "not_found";
    case 409: return "identifier_taken";
    case 413: return "request_too_large";
    case 429: return "rate_limit_exceeded";
    case 503: return "service_unavailable";
    default: return status >= 500 ? "internal_error" : "injected";
    }
}

/* Rate-limit headers go out only if they were asked for (P-221). */
static void limit_headers(const struct fault *f, struct work *w, int64_t now_us)
{
    bool after = f->limit_headers == HEADERS_BOTH || f->limit_headers == HEADERS_RETRY_AFTER;
    bool reset = f->limit_headers == HEADERS_BOTH || f->limit_headers == HEADERS_RESET;
    if (after && f->retry_after >= 0)
        add_header(w, "Retry-After", arena_printf(w->a, "%lld", (long long)f->retry_after));
    if (reset && f->reset_in >= 0)
        add_header(w, "x-ratelimit-reset", arena_printf(w->a, "%lld", (long long)(now_us / 1000000 + f->reset_in)));
}

void fault_answer(struct fault *f, struct work *w, int64_t now_us)
{
    w->status = f->type == FAULT_RATE_LIMIT ? 429 : f->type == FAULT_BURST ? f->codes[f->turn++ % f->ncodes] : f->status;
    limit_headers(f, w, now_us);
    for (struct json_iter it = json_iter(json_root(f->headers)); json_next(&it);) {
        struct buf v;
        buf_init(&v, 4096);
        json_identifier_text(&v, it.val);
        add_header(w, arena_printf(w->a, "%.*s", STR_FMT(it.key)), arena_printf(w->a, "%s", buf_cstr(&v)));
        buf_done(&v);
    }
    buf_reset(&w->out);
    if (f->answer) {
        buf_adds(&w->out, f->answer);
        return;
    }
    w->refused = true;
    refuse(&w->r, w->status, f->error ? f->error : code_of(w->status), "%s",
           f->message ? f->message : arena_printf(w->a, "injected by fault %s", f->id));
    if (f->details)
        snprintf(w->r.details, sizeof(w->r.details), "%s", f->details);
    refusal_write(&w->r, &w->out);
}
