/* test_http_client.c: the client against our own server: the usual ways of a request, limits, queue, cancellation. */
#include "unit/io/loopback.h"

static struct loop *loop;
static struct http_server *server;
static struct http_client *client;
static struct outcome out;
static int port;

/* ---- the server: answers by path ---- */

static void reply_text(struct http_call *c, int status, const char *text)
{
    struct buf b = text_body(text);
    http_reply(c, status, "text/plain", &b, NULL, 0);
}

static struct http_call *held;

static void handle(void *arg, struct http_call *c)
{
    struct str path = http_call_path(c);
    struct buf b;
    (void)arg;
    buf_init(&b, BUF_NO_LIMIT);
    if (str_is(path, "/echo")) {
        buf_addstr(&b, http_call_body(c));
        http_reply(c, 200, NULL, &b, NULL, 0);
    } else if (str_is(path, "/describe")) {
        struct http_header h[32];
        size_t n = http_call_headers(c, h, 32);
        buf_addf(&b, "%s %.*s?%.*s\n", http_call_method(c), STR_FMT(path), STR_FMT(http_call_query(c)));
        for (size_t i = 0; i < n && i < 32; i++)
            buf_addf(&b, "%.*s=%.*s\n", STR_FMT(h[i].name), STR_FMT(h[i].value));
        http_reply(c, 200, "text/plain", &b, NULL, 0);
    } else if (str_is(path, "/connection")) {
        buf_addf(&b, "%d", (int)http_call_connection(c));
        http_reply(c, 200, "text/plain", &b, NULL, 0);
    } else if (str_is(path, "/hold")) {
        held = c;
    } else if (str_is(path, "/big")) {
        for (int i = 0; i < 3000; i++)
            buf_adds(&b, "0123456789");
        http_reply(c, 200, "text/plain", &b, NULL, 0);
    } else {
        reply_text(c, 404, "no such thing");
    }
}

static int setup(void **state)
{
    struct http_server_opts so = {.handle = handle, .max_body = 8 << 20};
    struct http_client_opts co = {.no_proxy = true};
    struct err e;
    (void)state;
    loop = loop_new();
    assert_int_equal(http_server_start(loop, &so, &server, &e), 0);
    port = http_server_port(server);
    client = http_client_new(loop, &co);
    memset(&out, 0, sizeof(out));
    held = NULL;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    outcome_free(&out);
    http_client_free(client);
    http_server_free(server);
    loop_free(loop);
    return 0;
}

/* ---- requests ---- */

static void test_any_status_is_a_success(void **state)
{
    (void)state;
    fetch(loop, client, (struct http_spec){.url = url_of(port, "/nowhere")}, &out);
    assert_int_equal(out.code, 0);
    assert_int_equal(out.status, 404);
    assert_string_equal(buf_cstr(&out.body), "no such thing");
}

static void test_what_is_sent(void **state)
{
    (void)state;
    struct http_header h[] = {{STR("X-One"), STR("1")}, {STR("X-Empty"), STR("")}, {STR("Content-Length"), STR("7")}};
    fetch(loop, client,
          (struct http_spec){.method = "POST",
                             .url = url_of(port, "/describe?a=%2F&b#frag"),
                             .headers = h,
                             .nheaders = 3,
                             .body = text_body("abc")},
          &out);
    const char *s = buf_cstr(&out.body);
    assert_non_null(strstr(s, "POST /describe?a=%2F&b\n"));
    assert_non_null(strstr(s, "X-One=1\n"));
    assert_non_null(strstr(s, "X-Empty=\n"));
    assert_non_null(strstr(s, "Content-Length=3\n")); /* the caller's wrong one is dropped */
    assert_non_null(strstr(s, "Accept-Encoding="));
    assert_non_null(strstr(s, "User-Agent=ocean-run\n"));
    assert_null(strstr(s, "Content-Type"));
    assert_null(strstr(s, "Expect"));
    fetch(loop, client, (struct http_spec){.method = "DELETE", .url = url_of(port, "/describe")}, &out);
    assert_non_null(strstr(buf_cstr(&out.body), "DELETE /describe?\n"));
    assert_null(strstr(buf_cstr(&out.body), "Content-Length"));
    fetch(loop, client, (struct http_spec){.method = "PATCH", .url = url_of(port, "/describe")}, &out);
    assert_non_null(strstr(buf_cstr(&out.body), "Content-Length=0\n"));
    fetch(loop, client, (struct http_spec){.method = "HEAD", .url = url_of(port, "/describe")}, &out);
    assert_int_equal(out.status, 200);
    assert_int_equal(out.body.n, 0);
}

static void test_paths_stay_as_written(void **state)
{
    (void)state;
    fetch(loop, client, (struct http_spec){.url = url_of(port, "/nowhere/../describe")}, &out);
    assert_int_equal(out.status, 404);
    fetch(loop, client, (struct http_spec){.url = url_of(port, "/describe?q=\xc3\xa4")}, &out);
    assert_non_null(strstr(buf_cstr(&out.body), "GET /describe?q=%C3%A4\n"));
}

static void test_large_bodies_both_ways(void **state)
{
    (void)state;
    struct buf b, copy;
    buf_init(&b, BUF_NO_LIMIT);
    buf_init(&copy, BUF_NO_LIMIT);
    for (int i = 0; i < 400000; i++)
        buf_addf(&b, "%09d,", i);
    buf_addstr(&copy, buf_str(&b));
    fetch(loop, client, (struct http_spec){.method = "PUT", .url = url_of(port, "/echo"), .body = b}, &out);
    assert_int_equal(out.status, 200);
    assert_true(str_eq(buf_str(&copy), buf_str(&out.body)));
    buf_done(&copy);
}

static void test_connections_are_kept(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        fetch(loop, client, (struct http_spec){.url = url_of(port, "/connection")}, &out);
        assert_string_equal(buf_cstr(&out.body), "1");
    }
}

struct many {
    int done, highest;
};

static void many_done(void *arg, struct http_resp *resp, const struct err *e)
{
    struct many *m = arg;
    assert_null(e);
    int n = atoi(buf_cstr(&resp->body));
    m->done++;
    if (n > m->highest)
        m->highest = n;
}

static void test_more_requests_than_connections_wait_in_line(void **state)
{
    (void)state;
    struct http_client *two = http_client_new(loop, &(struct http_client_opts){.max_connections = 2, .no_proxy = true});
    struct many m = {0, 0};
    for (int i = 0; i < 60; i++) {
        struct http_spec spec = {.method = "GET", .url = url_of(port, "/connection")};
        assert_non_null(http_send(two, &spec, many_done, &m, NULL));
    }
    while (m.done < 60)
        loop_turn(loop, true);
    assert_true(m.highest <= 2);
    http_client_free(two);
}

static void test_body_may_be_taken(void **state)
{
    (void)state;
    fetch(loop, client, (struct http_spec){.url = url_of(port, "/big")}, &out);
    assert_int_equal(out.body.n, 30000); /* outcome_done moved it */
}

/* ---- bad starts ---- */

static void refused_start(struct http_spec spec, const char *word)
{
    struct err e = {0};
    if (!spec.method)
        spec.method = "GET";
    spec.body = text_body("taken all the same");
    assert_null(http_send(client, &spec, outcome_done, &out, &e));
    assert_int_equal(e.code, ERR_INVAL);
    if (!strstr(e.msg, word))
        print_error("'%s' lacks '%s'\n", e.msg, word);
    assert_non_null(strstr(e.msg, word));
    assert_null(spec.body.p);
}

static void test_bad_starts(void **state)
{
    (void)state;
    struct http_header split = {STR("X"), STR("a\r\nY: b")}, name = {STR("X Y"), STR("a")};
    refused_start((struct http_spec){.url = "ftp://host/x"}, "only http and https");
    refused_start((struct http_spec){.url = "/relative"}, "no absolute URL");
    refused_start((struct http_spec){.url = "http:///x"}, "no valid host");
    refused_start((struct http_spec){.url = "http://host:99999/"}, "no valid host");
    refused_start((struct http_spec){.url = "http://host/a b"}, "%20");
    refused_start((struct http_spec){.url = "http://host/a\nb"}, "%0A");
    refused_start((struct http_spec){.url = "http://host/", .method = "GE T"}, "method");
    refused_start((struct http_spec){.url = "http://host/", .headers = &split, .nheaders = 1}, "line break");
    refused_start((struct http_spec){.url = "http://host/", .headers = &name, .nheaders = 1}, "header name");
    loop_turn(loop, false);
    assert_int_equal(out.calls, 0);
}

static void test_url_parse(void **state)
{
    (void)state;
    struct str scheme, host, path;
    assert_int_equal(http_url_parse(STR("HTTPS://u:p@[::1]:8443/a/b?c=d#e"), &scheme, &host, &path, NULL), 0);
    assert_true(str_is(scheme, "HTTPS") && str_is(host, "[::1]:8443") && str_is(path, "/a/b?c=d"));
    assert_int_equal(http_url_parse(STR("http://h"), &scheme, &host, &path, NULL), 0);
    assert_true(str_is(host, "h") && str_is(path, "/"));
    assert_int_equal(http_url_parse(STR("http://h?x"), &scheme, &host, &path, NULL), 0);
    assert_true(str_is(path, "?x"));
    assert_true(http_url_parse(STR("http://u@/"), NULL, NULL, NULL, NULL) < 0);
    assert_true(http_url_parse(STR("http://[::1/"), NULL, NULL, NULL, NULL) < 0);
    assert_true(http_url_parse(STR(""), NULL, NULL, NULL, NULL) < 0);
}

/* ---- limits ---- */

static void test_too_big(void **state)
{
    (void)state;
    fetch(loop, client, (struct http_spec){.url = url_of(port, "/big"), .max_size = 30000}, &out);
    assert_int_equal(out.status, 200);
    fetch(loop, client, (struct http_spec){.url = url_of(port, "/big?key=secret"), .max_size = 29999}, &out);
    assert_int_equal(out.code, ERR_TOO_BIG);
    assert_non_null(strstr(out.msg, "29999 bytes"));
    assert_non_null(strstr(out.msg, "/big"));
    assert_null(strstr(out.msg, "secret"));
}

static void test_idle_and_total_time(void **state)
{
    (void)state;
    fetch(loop, client, (struct http_spec){.url = url_of(port, "/hold"), .idle_timeout_ms = 40}, &out);
    assert_int_equal(out.code, ERR_TIMEOUT);
    assert_non_null(strstr(out.msg, "no byte for 0.04 s"));
    reply_text(held, 200, "late");
    fetch(loop, client, (struct http_spec){.url = url_of(port, "/hold"), .total_timeout_ms = 40}, &out);
    assert_int_equal(out.code, ERR_TIMEOUT);
    assert_non_null(strstr(out.msg, "not finished within 0.04 s"));
    reply_text(held, 200, "late");
    fetch(loop, client, (struct http_spec){.url = url_of(port, "/connection")}, &out);
    assert_int_equal(out.code, 0);
}

/* ---- cancellation ---- */

static struct http_req *start(struct http_client *c, const char *path, struct outcome *o)
{
    struct http_spec spec = {.method = "GET", .url = url_of(port, path)};
    struct http_req *r = http_send(c, &spec, outcome_done, o, NULL);
    assert_non_null(r);
    return r;
}

static void test_cancel_at_every_stage(void **state)
{
    (void)state;
    struct http_client *one = http_client_new(loop, &(struct http_client_opts){.max_connections = 1, .no_proxy = true});
    http_cancel(NULL);
    http_cancel(start(one, "/hold", &out)); /* before anything happened */
    struct http_req *in_flight = start(one, "/hold", &out), *queued = start(one, "/connection", &out);
    while (!held)
        loop_turn(loop, true);
    http_cancel(queued);
    struct outcome next = {0};
    start(one, "/connection", &next);
    http_cancel(in_flight); /* makes room for the next */
    run_until(loop, &next.calls);
    assert_int_equal(next.status, 200);
    assert_int_equal(out.calls, 0);
    reply_text(held, 200, "nobody listens");
    outcome_free(&next);
    http_client_free(one);
}

static struct http_req *victim;
static int cancelled_one;

static void cancel_other(void *arg, struct http_resp *resp, const struct err *e)
{
    (void)resp;
    (void)e;
    http_cancel(victim);
    victim = NULL;
    *(int *)arg = 1;
}

static void test_cancel_from_a_callback(void **state)
{
    (void)state;
    struct http_spec spec = {.method = "GET", .url = url_of(port, "/connection")};
    cancelled_one = 0;
    http_send(client, &spec, cancel_other, &cancelled_one, NULL);
    victim = start(client, "/hold", &out);
    run_until(loop, &cancelled_one);
    loop_turn(loop, false);
    assert_int_equal(out.calls, 0);
    if (held)
        reply_text(held, 200, "late");
}

static void free_client(void *arg, struct http_resp *resp, const struct err *e)
{
    (void)e;
    assert_int_equal(resp->status, 200);
    http_client_free(*(struct http_client **)arg);
    assert_string_equal(buf_cstr(&resp->body), "1"); /* the answer is still there */
    *(struct http_client **)arg = NULL;
}

static void test_free_the_client_from_a_callback(void **state)
{
    (void)state;
    struct http_client *c = http_client_new(loop, &(struct http_client_opts){.no_proxy = true, .max_connections = 2});
    struct http_spec spec = {.method = "GET", .url = url_of(port, "/connection")};
    http_send(c, &spec, free_client, &c, NULL);
    start(c, "/hold", &out);
    start(c, "/hold", &out); /* queued */
    while (c)
        loop_turn(loop, true);
    loop_turn(loop, false);
    assert_int_equal(out.calls, 0);
    if (held)
        reply_text(held, 200, "late");
}

static int chain;

static void send_next(void *arg, struct http_resp *resp, const struct err *e)
{
    (void)arg;
    assert_null(e);
    assert_int_equal(resp->status, 200);
    if (++chain == 2000)
        return;
    struct http_spec spec = {.method = "GET", .url = url_of(port, "/connection")};
    int before = chain;
    assert_non_null(http_send(client, &spec, send_next, NULL, NULL));
    assert_int_equal(chain, before); /* never from inside http_send */
}

static void test_a_callback_sends_the_next(void **state)
{
    (void)state;
    struct http_spec spec = {.method = "GET", .url = url_of(port, "/connection")};
    chain = 0;
    http_send(client, &spec, send_next, NULL, NULL);
    while (chain < 2000)
        loop_turn(loop, true);
}

int main(void)
{
    watchdog(120);
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_any_status_is_a_success),
        T(test_what_is_sent),
        T(test_paths_stay_as_written),
        T(test_large_bodies_both_ways),
        T(test_connections_are_kept),
        T(test_more_requests_than_connections_wait_in_line),
        T(test_body_may_be_taken),
        T(test_bad_starts),
        T(test_url_parse),
        T(test_too_big),
        T(test_idle_and_total_time),
        T(test_cancel_at_every_stage),
        T(test_cancel_from_a_callback),
        T(test_free_the_client_from_a_callback),
        T(test_a_callback_sends_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
