/* A call goes through: waiting (in order) -> flying (one place in the window, one retry_call) -> done.
 * Everything starts in `pump`, which is deferred to the end of the turn, so nothing calls back from inside
 * port_send; it sends as long as there is a token, room in the window, and no time before which Port wants no
 * requests. A call that is answered 401 drops the token it was sent with and goes back to the front of the
 * queue, once.
 *
 * While a repeat waits, its call keeps its place: that is the back-pressure an overloaded Port asks for. */
#define LOG_GROUP "port.client"
#include "port/client.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "port/client_priv.h"

#define CONNECTIONS 100

static void pump(void *arg);

/* ---- Life ---- */

static char *strip_slashes(const char *url)
{
    size_t n = strlen(url);
    while (n && url[n - 1] == '/')
        n--;
    return xstrndup(url, n);
}

struct port *port_new(struct loop *l, const struct port_opts *o)
{
    struct port *p = xcalloc(1, sizeof(*p));
    p->loop = l;
    p->base_url = strip_slashes(o->base_url);
    p->client_id = xstrdup(o->client_id ? o->client_id : "");
    p->client_secret = xstrdup(o->client_secret ? o->client_secret : "");
    p->type = xstrdup(o->type);
    p->version = xstrdup(o->version ? o->version : "");
    p->identifier = xstrdup(o->identifier);
    p->embedded = o->embedded;
    p->agent[PORT_PLAIN] = xasprintf("port-ocean/%s/%s/%s", p->type, p->version, p->identifier);
    p->agent[PORT_EXPORTER] = xasprintf("%s/exporter", p->agent[PORT_PLAIN]);
    p->agent[PORT_GITOPS] = xasprintf("%s/gitops", p->agent[PORT_PLAIN]);
    p->started_us = clock_wall_us();
    window_init(&p->window);
    retry_policy_port(&p->policy);
    const struct http_client_opts opts = {
        .max_connections = CONNECTIONS,
        .insecure = o->insecure,
        .no_strict_x509 = o->no_strict_x509,
        .no_proxy = o->embedded,
    };
    p->http = http_client_new(l, &opts);
    p->blueprints = blueprints_new(p, o->blueprint_ttl_s > 0 ? o->blueprint_ttl_s : 120);
    return p;
}

static void call_free(struct port_call *c)
{
    timer_stop(c->deadline);
    free(c->method);
    free(c->path);
    free(c->query);
    buf_done(&c->body);
    free(c);
}

static void abandon(struct port_call *c)
{
    if (c->drop)
        c->drop(c->arg);
    call_free(c);
}

void port_free(struct port *p)
{
    if (!p)
        return;
    loop_forget(p->loop, pump, p);
    for (struct port_call *c = p->head, *next; c; c = next) {
        next = c->next;
        abandon(c);
    }
    for (struct port_call *c = p->flying, *next; c; c = next) {
        next = c->next;
        retry_cancel(c->http);
        abandon(c);
    }
    setup_free(p->setup);
    timer_stop(p->pause);
    token_done(p);
    blueprints_free(p->blueprints);
    http_client_free(p->http);
    for (size_t i = 0; i < ARRAY_LEN(p->agent); i++)
        free(p->agent[i]);
    free(p->base_url);
    free(p->client_id);
    free(p->client_secret);
    free(p->type);
    free(p->version);
    free(p->identifier);
    free(p);
}

const char *port_type(const struct port *p) { return p->type; }
size_t port_requests(const struct port *p) { return p->requests; }
struct str port_call_body(const struct port_call *c) { return buf_str(&c->body); }

/* ---- Queue ---- */

static void append(struct port *p, struct port_call *c)
{
    c->next = NULL;
    c->prev = p->tail;
    if (p->tail)
        p->tail->next = c;
    else
        p->head = c;
    p->tail = c;
}

static void put_first(struct port *p, struct port_call *c)
{
    c->prev = NULL;
    c->next = p->head;
    if (p->head)
        p->head->prev = c;
    else
        p->tail = c;
    p->head = c;
}

static void unlink_call(struct port_call *c)
{
    struct port *p = c->port;
    if (c->prev)
        c->prev->next = c->next;
    else if (c->flying)
        p->flying = c->next;
    else
        p->head = c->next;
    if (c->next)
        c->next->prev = c->prev;
    else if (!c->flying)
        p->tail = c->prev;
    c->prev = c->next = NULL;
}

static void take_off(struct port_call *c)
{
    struct port *p = c->port;
    unlink_call(c);
    c->flying = true;
    c->next = p->flying;
    if (p->flying)
        p->flying->prev = c;
    p->flying = c;
}

static void land(struct port_call *c)
{
    unlink_call(c);
    c->flying = false;
    c->http = NULL;
}

void port_schedule(struct port *p)
{
    if (p->pumping)
        return;
    p->pumping = true;
    loop_defer(p->loop, pump, p);
}

/* The call has left its list; hands the outcome over and frees it. */
static void finish(struct port_call *c, const struct port_answer *a, const struct err *e)
{
    struct port *p = c->port;
    c->done(c->arg, a, e);
    call_free(c);
    if (p->head)
        port_schedule(p);
}

void port_fail_waiting(struct port *p, const struct err *e)
{
    uint64_t last = p->calls; /* callbacks may queue new calls: those are not part of this failure */
    while (p->head && p->head->number <= last) {
        struct port_call *c = p->head;
        unlink_call(c);
        finish(c, NULL, e);
    }
}

/* ---- Answers ---- */

static void on_pause_over(void *arg)
{
    struct port *p = arg;
    p->pause = NULL;
    port_schedule(p);
}

/* Nothing new is sent for so long; a pause that ends later already stays. */
static void pause_for(struct port *p, uint64_t ms)
{
    uint64_t until = clock_mono_ms() + ms;
    if (p->pause && until <= p->pause_until_ms)
        return;
    timer_stop(p->pause);
    p->pause_until_ms = until;
    p->pause = timer_start(p->loop, ms, 0, on_pause_over, p);
}

/* A repeat is going to be made: the overload counts for the window, and a 429 stops everybody for its time.
 */
static void on_waiting(void *arg, int n, double seconds, int status, const struct err *e)
{
    struct port_call *c = arg;
    struct port *p = c->port;
    (void)n, (void)e;
    p->requests++;
    c->sent_us = clock_wall_us() + (int64_t)(seconds * 1e6);
    if (status != 429 && status != 503)
        return;
    c->sending = window_overload(&p->window, c->sending);
    if (status == 429)
        pause_for(p, (uint64_t)(seconds * 1000));
}

static void on_response(void *arg, struct http_resp *resp, const struct err *e)
{
    struct port_call *c = arg;
    struct port *p = c->port;
    struct port_answer a;
    struct err mine = {0};
    land(c);
    window_leave(&p->window, c->sending, resp ? resp->status : 0, resp ? resp->seconds : 0);
    if (!resp) {
        err_copy(&mine, e);
        port_transport_err(p, &mine);
        err_wrap(&mine, "%s %s", c->method, c->path);
        finish(c, NULL, &mine);
        return;
    }
    clock_note(&p->clock, resp, c->sent_us, clock_wall_us());
    if (resp->status == 401 && !c->refreshed) {
        c->refreshed = true;
        token_drop(p, c->token_generation);
        put_first(p, c);
        port_schedule(p);
        return;
    }
    answer_parse(&a, resp);
    if (a.status >= 400)
        log_debug("%s %s answered %d: %.*s", c->method, c->path, a.status,
                  a.text.n > 1000 ? 1000 : (int)a.text.n, a.text.p);
    finish(c, &a, NULL);
    answer_done(&a);
}

static void on_deadline(void *arg)
{
    struct port_call *c = arg;
    struct port *p = c->port;
    struct err e;
    c->deadline = NULL;
    if (c->flying) {
        window_leave(&p->window, c->sending, 0, 0);
        retry_cancel(c->http);
        land(c);
    } else {
        unlink_call(c);
    }
    ERR(&e, ERR_TIMEOUT, "%s %s: no answer from Port (%s) within %lld s", c->method, c->path, p->base_url,
        (long long)(c->deadline_ms / 1000));
    finish(c, NULL, &e);
}

/* ---- Sending ---- */

static void send_call(struct port_call *c)
{
    struct port *p = c->port;
    struct err e = {0};
    struct http_header headers[4] = {
        {STR("Authorization"), str_of(p->token.header)},
        {STR("User-Agent"), str_of(p->agent[c->feature])},
    };
    size_t n = 2;
    if (c->body.n)
        headers[n++] = (struct http_header){STR("Content-Type"), STR("application/json")};
    if (c->skip_resync)
        headers[n++] = (struct http_header){STR("x-skip-resync"), STR("true")};
    char *url = xasprintf("%s/v1%s%s%s", p->base_url, c->path, c->query ? "?" : "", c->query ? c->query : "");
    struct http_spec spec = {.method = c->method, .url = url, .headers = headers, .nheaders = n};
    buf_init(&spec.body, BUF_NO_LIMIT);
    buf_addstr(&spec.body, buf_str(&c->body)); /* a copy: a 401 sends it again */
    const struct retry_hooks hooks = {on_waiting, c};
    c->token_generation = p->token.generation;
    c->sent_us = clock_wall_us();
    c->sending = window_enter(&p->window);
    p->requests++;
    c->http = retry_send(p->http, &spec, &p->policy, (enum retry_flag)c->retry, &hooks, on_response, c, &e);
    free(url);
    if (c->http)
        return;
    land(c);
    window_leave(&p->window, c->sending, 0, 0);
    err_wrap(&e, "%s %s", c->method, c->path);
    finish(c, NULL, &e);
}

void port_read_only(struct port *p, bool on) { p->read_only = on; }

size_t port_refused(const struct port *p) { return p->refused; }

static void refuse(struct port_call *c)
{
    struct err e;
    c->port->refused++;
    unlink_call(c);
    ERR(&e, ERR_INVAL, "%s %s was not sent: while a plan is made nothing is written to Port", c->method, c->path);
    finish(c, NULL, &e);
}

static void pump(void *arg)
{
    struct port *p = arg;
    p->pumping = false;
    while (p->head && !p->pause && window_has_room(&p->window)) {
        if (p->head->refused) {
            refuse(p->head);
            continue;
        }
        if (!token_ready(p))
            return;
        struct port_call *c = p->head;
        if (!c) /* the request for a token failed at once and so did everything that waited */
            return;
        take_off(c);
        send_call(c);
    }
}

struct port_call *port_send(struct port *p, struct port_request *r, port_done_fn done, void *arg)
{
    struct port_call *c = xcalloc(1, sizeof(*c));
    c->port = p;
    c->number = ++p->calls;
    c->method = xstrdup(r->method);
    c->path = xstrdup(r->path);
    c->query = r->query && *r->query ? xstrdup(r->query) : NULL;
    c->body = r->body;
    buf_init(&r->body, 0);
    c->feature = r->feature;
    c->retry = r->retry;
    c->skip_resync = r->skip_resync;
    c->refused = p->read_only && !r->reads && strcmp(r->method, "GET") != 0;
    c->done = done;
    c->arg = arg;
    c->deadline_ms = r->deadline_ms;
    if (c->deadline_ms > 0)
        c->deadline = timer_start(p->loop, (uint64_t)c->deadline_ms, 0, on_deadline, c);
    append(p, c);
    port_schedule(p);
    return c;
}

void port_cancel(struct port_call *c)
{
    if (!c)
        return;
    struct port *p = c->port;
    if (c->flying) {
        window_leave(&p->window, c->sending, 0, 0);
        retry_cancel(c->http);
    }
    unlink_call(c);
    call_free(c);
    if (p->head)
        port_schedule(p);
}
