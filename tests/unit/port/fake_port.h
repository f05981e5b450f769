/* fake_port.h: a scripted Port on loopback. Answers come from rules; every request is kept for the test to
 * look at.
 *
 * A rule answers a request whose method and path begin as the rule says; a rule with `times` is used up after
 * so many. The first rule that fits is taken. Without one the answer is 404 not_found. The token request has
 * an answer of its own. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/http_server.h"
#include "io/loop.h"
#include "port/client.h"

#define REQUESTS_MAX 400

struct rule {
    const char *request; /* "GET /v1/integration/" */
    int status;
    const char *body;
    const char *header, *value; /* an extra header, or NULL */
    int times;                  /* 0: always */
    bool hold;                  /* not answered until fake_release */
};

struct seen {
    char *line; /* "POST /v1/x?query" */
    char *body, *agent, *authorization, *skip;
};

static struct {
    struct loop *loop;
    struct http_server *server;
    struct port *port;
    struct rule rules[32];
    size_t nrules;
    struct seen seen[REQUESTS_MAX];
    size_t n;
    int tokens;               /* handed out */
    const char *token_answer; /* instead of a new token each time */
    int token_status;
    struct http_call *held[64];
    size_t nheld, most_held;
} fake;

static inline void fake_reply(struct http_call *call, int status, const char *text, const char *header,
                              const char *value)
{
    struct buf body;
    struct http_header h = {str_of(header), str_of(value)};
    buf_init(&body, BUF_NO_LIMIT);
    buf_adds(&body, text ? text : "{\"ok\":true}");
    http_reply(call, status, "application/json", &body, header ? &h : NULL, header ? 1 : 0);
}

static inline struct rule *fake_rule(const char *line)
{
    for (size_t i = 0; i < fake.nrules; i++) {
        struct rule *r = &fake.rules[i];
        if (r->times < 0 || strncmp(line, r->request, strlen(r->request)) != 0)
            continue;
        if (r->times > 0 && --r->times == 0)
            r->times = -1;
        return r;
    }
    return NULL;
}

static inline char *fake_header(struct http_call *call, const char *name)
{
    struct str v = http_call_header(call, str_of(name));
    return v.p ? str_dup(v) : NULL;
}

static inline void fake_handle(void *arg, struct http_call *call)
{
    (void)arg;
    struct str path = http_call_path(call), query = http_call_query(call);
    assert_true(fake.n < REQUESTS_MAX);
    struct seen *s = &fake.seen[fake.n++];
    s->line =
        xasprintf("%s %.*s%s%.*s", http_call_method(call), STR_FMT(path), query.n ? "?" : "", STR_FMT(query));
    s->body = str_dup(http_call_body(call));
    s->agent = fake_header(call, "User-Agent");
    s->authorization = fake_header(call, "Authorization");
    s->skip = fake_header(call, "x-skip-resync");
    if (strcmp(s->line, "POST /v1/auth/access_token") == 0) {
        char text[160];
        snprintf(text, sizeof(text),
                 "{\"ok\":true,\"accessToken\":\"token-%d\",\"expiresIn\":10800,\"tokenType\":\"Bearer\"}",
                 ++fake.tokens);
        fake_reply(call, fake.token_status ? fake.token_status : 200,
                   fake.token_answer ? fake.token_answer : text, NULL, NULL);
        return;
    }
    struct rule *r = fake_rule(s->line);
    if (r && r->hold) {
        fake.held[fake.nheld++] = call;
        if (fake.nheld > fake.most_held)
            fake.most_held = fake.nheld;
    } else if (r) {
        fake_reply(call, r->status, r->body, r->header, r->value);
    } else {
        fake_reply(call, 404, "{\"ok\":false,\"error\":\"not_found\",\"message\":\"nothing there\"}", NULL,
                   NULL);
    }
}

static inline void fake_on(struct rule r) { fake.rules[fake.nrules++] = r; }

/* Answers what is held with 200. */
static inline void fake_release(void)
{
    size_t n = fake.nheld;
    fake.nheld = 0;
    for (size_t i = 0; i < n; i++)
        fake_reply(fake.held[i], 200, NULL, NULL, NULL);
}

static inline struct port *fake_port_client(const char *type, const char *identifier)
{
    char url[64];
    snprintf(url, sizeof(url), "http://127.0.0.1:%d", http_server_port(fake.server));
    struct port_opts o = {
        .base_url = url,
        .client_id = "cid",
        .client_secret = "csecret-value",
        .type = type,
        .version = "1.4.2",
        .identifier = identifier,
        .embedded = true,
    };
    return port_new(fake.loop, &o);
}

static inline int fake_setup(void **state)
{
    struct err e;
    (void)state;
    memset(&fake, 0, sizeof(fake));
    log_set_level("critical");
    fake.loop = loop_new();
    const struct http_server_opts o = {.max_body = 16 << 20, .handle = fake_handle};
    if (http_server_start(fake.loop, &o, &fake.server, &e) < 0)
        return -1;
    fake.port = fake_port_client("jira", "my jira");
    return 0;
}

static inline int fake_teardown(void **state)
{
    (void)state;
    port_free(fake.port);
    for (size_t i = 0; i < fake.nheld; i++)
        http_abort(fake.held[i]);
    http_server_free(fake.server);
    loop_free(fake.loop);
    for (size_t i = 0; i < fake.n; i++) {
        free(fake.seen[i].line);
        free(fake.seen[i].body);
        free(fake.seen[i].agent);
        free(fake.seen[i].authorization);
        free(fake.seen[i].skip);
    }
    mask_clear();
    return 0;
}

static inline void fake_stuck(void *arg)
{
    (void)arg;
    fprintf(stderr, "the test waits for something that does not happen\n");
    abort();
}

/* Turns the loop until *flag; a guard ends a test that hangs. */
static inline void fake_until(const int *flag, int value)
{
    struct timer *guard = timer_start(fake.loop, 60000, 0, fake_stuck, NULL);
    while (*flag < value)
        loop_turn(fake.loop, true);
    timer_stop(guard);
}

/* Outcome of a port_send, copied. */
struct got {
    int done, status;
    char text[512];
    struct err err;
};

static inline void fake_got(void *arg, const struct port_answer *a, const struct err *e)
{
    struct got *g = arg;
    g->done++;
    g->status = a ? a->status : 0;
    if (a)
        snprintf(g->text, sizeof(g->text), "%.*s", STR_FMT(a->text));
    if (e)
        err_copy(&g->err, e);
}

static inline struct port_call *fake_send(const char *method, const char *path, const char *body,
                                          struct got *g)
{
    struct port_request r = {.method = method, .path = path};
    buf_init(&r.body, BUF_NO_LIMIT);
    if (body)
        buf_adds(&r.body, body);
    return port_send(fake.port, &r, fake_got, g);
}

static inline void assert_line(size_t i, const char *line)
{
    if (i >= fake.n)
        fail_msg("request %zu was not sent: %s", i, line);
    assert_string_equal(fake.seen[i].line, line);
}

#define assert_contains(text, part)                                                                          \
    do {                                                                                                     \
        if (!strstr((text), (part)))                                                                         \
            fail_msg("\"%s\" not in:\n%s", (part), (text));                                                  \
    } while (0)

#define T(f) cmocka_unit_test_setup_teardown(f, fake_setup, fake_teardown)
