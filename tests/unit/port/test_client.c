/* Requests to Port: token, repetition, the window, messages. */
#include "fake_port.h"
#include "port/client_priv.h"

static void window_grows_and_halves(void **state)
{
    struct window w;
    (void)state;
    window_init(&w);
    assert_int_equal((unsigned)w.size, 5);
    for (int round = 0; round < 5000; round++) {
        uint64_t n[WINDOW_MAX];
        unsigned k = 0;
        while (window_has_room(&w))
            n[k++] = window_enter(&w);
        while (k)
            window_leave(&w, n[--k], 200, 0.1);
    }
    assert_int_equal((unsigned)w.size, WINDOW_MAX);
    uint64_t a = window_enter(&w), b = window_enter(&w);
    window_leave(&w, a, 429, 0.1);
    assert_int_equal((unsigned)w.size, 25);
    window_leave(&w, b, 503, 0.1); /* sent before the halving: counts no more */
    assert_int_equal((unsigned)w.size, 25);
    for (int i = 0; i < 20; i++)
        window_leave(&w, window_enter(&w), 429, 0.1);
    assert_true(w.size == WINDOW_MIN);
    assert_int_equal(w.in_flight, 0);
    assert_true(window_has_room(&w));
}

static void slow_or_idle_answers_do_not_grow_it(void **state)
{
    struct window w;
    (void)state;
    window_init(&w);
    for (int i = 0; i < 100; i++)
        window_leave(&w, window_enter(&w), 200, 0.1); /* never full */
    assert_true(w.size == WINDOW_START);
    uint64_t n[5];
    for (int i = 0; i < 5; i++)
        n[i] = window_enter(&w);
    for (int i = 0; i < 5; i++)
        window_leave(&w, n[i], 200, 3.0);
    assert_true(w.size == WINDOW_START);
}

static void headers_of_a_request(void **state)
{
    (void)state;
    struct got g = {0};
    fake_on((struct rule){"GET /v1/thing", 200, "{\"ok\":true,\"x\":1}"});
    fake_send("GET", "/thing", NULL, &g);
    assert_int_equal(g.done, 0);
    fake_until(&g.done, 1);
    assert_int_equal(g.status, 200);
    assert_line(0, "POST /v1/auth/access_token");
    assert_string_equal(fake.seen[0].body, "{\"clientId\":\"cid\",\"clientSecret\":\"csecret-value\"}");
    assert_string_equal(fake.seen[0].agent, "port-ocean/jira/1.4.2/my jira");
    assert_null(fake.seen[0].authorization);
    assert_line(1, "GET /v1/thing");
    assert_string_equal(fake.seen[1].authorization, "Bearer token-1");
    assert_string_equal(fake.seen[1].agent, "port-ocean/jira/1.4.2/my jira");
    struct port_request r = {
        .method = "POST", .path = "/thing", .query = "a=b", .feature = PORT_EXPORTER, .skip_resync = true};
    buf_init(&r.body, 100);
    buf_adds(&r.body, "{}");
    port_send(fake.port, &r, fake_got, &g);
    fake_until(&g.done, 2);
    assert_line(2, "POST /v1/thing?a=b");
    assert_string_equal(fake.seen[2].agent, "port-ocean/jira/1.4.2/my jira/exporter");
    assert_string_equal(fake.seen[2].skip, "true");
    assert_int_equal(port_requests(fake.port), 3);
}

static void one_token_request_for_many_calls(void **state)
{
    (void)state;
    struct got g = {0};
    fake_on((struct rule){"GET /v1/n", 200, NULL});
    for (int i = 0; i < 30; i++)
        fake_send("GET", "/n", NULL, &g);
    fake_until(&g.done, 30);
    assert_int_equal(fake.tokens, 1);
    assert_int_equal(fake.n, 31);
}

static void a_401_is_repeated_once_with_a_new_token(void **state)
{
    static const char *const methods[] = {"GET", "POST", "PATCH", "DELETE", "PUT"};
    (void)state;
    for (size_t i = 0; i < 5; i++) {
        struct got g = {0};
        char line[40];
        snprintf(line, sizeof(line), "%s /v1/a%zu", methods[i], i);
        fake_on((struct rule){strdup(line), 401, "{\"ok\":false,\"error\":\"unauthorized\"}", .times = 1});
        fake_on((struct rule){strdup(line), 200, NULL});
        fake_send(methods[i], strchr(line, ' ') + 4, "{\"same\":true}", &g);
        size_t first = fake.n;
        fake_until(&g.done, 1);
        assert_int_equal(g.status, 200);
        assert_int_equal(fake.tokens, (int)i + 2);
        const struct seen *last = &fake.seen[fake.n - 1];
        char token[40];
        snprintf(token, sizeof(token), "Bearer token-%zu", i + 2);
        assert_string_equal(last->authorization, token);
        assert_string_equal(last->body, "{\"same\":true}");
        assert_true(fake.n - first <= 4);
    }
    for (size_t i = 0; i < fake.nrules; i++)
        free((char *)fake.rules[i].request);
}

static void a_second_401_is_final(void **state)
{
    (void)state;
    struct got g = {0};
    fake_on((struct rule){"GET /v1/a", 401, "{\"ok\":false,\"error\":\"unauthorized\",\"message\":\"no\"}"});
    fake_send("GET", "/a", NULL, &g);
    fake_until(&g.done, 1);
    assert_int_equal(g.status, 401);
    assert_int_equal(fake.tokens, 2);
    assert_int_equal(fake.n, 4);
}

static void many_401s_share_one_refresh(void **state)
{
    (void)state;
    struct got g = {0};
    fake_on((struct rule){"GET /v1/a", 401, "{}", .times = 5});
    fake_on((struct rule){"GET /v1/a", 200, NULL});
    for (int i = 0; i < 5; i++)
        fake_send("GET", "/a", NULL, &g);
    fake_until(&g.done, 5);
    assert_int_equal(g.status, 200);
    assert_int_equal(fake.tokens, 2);
}

/* The clock is set forward by so many seconds, and stands. */
static void later(double seconds)
{
    static uint64_t start;
    if (!start)
        start = clock_mono_ns();
    clock_fake((int64_t)(start + (uint64_t)(seconds * 1e9)), clock_wall_us());
}

static void a_token_is_renewed_before_its_end(void **state)
{
    (void)state;
    struct got g = {0};
    fake_on((struct rule){"GET /v1/n", 200, NULL});
    later(0);
    fake_send("GET", "/n", NULL, &g);
    fake_until(&g.done, 1);
    later(10700); /* of 10800: not due yet */
    fake_send("GET", "/n", NULL, &g);
    fake_until(&g.done, 2);
    assert_int_equal(fake.tokens, 1);
    later(10750); /* due: the old one is used, a new one is asked for beside it */
    fake_send("GET", "/n", NULL, &g);
    fake_until(&g.done, 3);
    fake_until(&fake.tokens, 2);
    while (fake.port->token.call)
        loop_turn(fake.loop, true);
    later(10900); /* the first one would be over */
    fake_send("GET", "/n", NULL, &g);
    fake_until(&g.done, 4);
    assert_int_equal(fake.tokens, 2);
    assert_string_equal(fake.seen[fake.n - 1].authorization, "Bearer token-2");
    later(30000); /* over: nothing is sent before there is a new one */
    fake_send("GET", "/n", NULL, &g);
    fake_until(&g.done, 5);
    assert_string_equal(fake.seen[fake.n - 1].authorization, "Bearer token-3");
    assert_int_equal(g.status, 200);
    clock_fake(-1, 0);
}

static void a_failed_renewal_leaves_a_good_token_alone(void **state)
{
    (void)state;
    struct got g = {0};
    fake_on((struct rule){"GET /v1/n", 200, NULL});
    later(0);
    fake_send("GET", "/n", NULL, &g);
    fake_until(&g.done, 1);
    fake.token_status = 500;
    later(10750);
    fake_send("GET", "/n", NULL, &g);
    fake_until(&g.done, 2);
    while (fake.port->token.call)
        loop_turn(fake.loop, true);
    fake_send("GET", "/n", NULL, &g);
    fake_until(&g.done, 3);
    assert_int_equal(g.status, 200);
    assert_int_equal(fake.tokens, 2);
    clock_fake(-1, 0);
}

static void wrong_credentials_fail_at_once(void **state)
{
    (void)state;
    struct got g = {0}, h = {0};
    fake.token_status = 401;
    fake.token_answer = "{\"ok\":false,\"error\":\"invalid_credentials\",\"message\":\"no\"}";
    fake_send("GET", "/a", NULL, &g);
    fake_send("GET", "/b", NULL, &h);
    fake_until(&h.done, 1);
    assert_int_equal(g.err.code, ERR_AUTH);
    assert_contains(g.err.msg, "OCEAN__PORT__CLIENT_ID");
    assert_contains(g.err.msg, "OCEAN__PORT__CLIENT_SECRET");
    assert_null(strstr(g.err.msg, "csecret-value"));
    assert_int_equal(fake.n, 1);
}

static void a_503_is_repeated(void **state)
{
    (void)state;
    struct got g = {0};
    fake_on((struct rule){"GET /v1/a", 503, "{}", "Retry-After", "0", .times = 2});
    fake_on((struct rule){"GET /v1/a", 200, NULL});
    fake_send("GET", "/a", NULL, &g);
    fake_until(&g.done, 1);
    assert_int_equal(g.status, 200);
    assert_int_equal(fake.n, 4);
    assert_int_equal(port_requests(fake.port), 4);
    assert_true(fake.port->window.size < WINDOW_START);
}

static void a_429_stops_everybody_for_the_named_time(void **state)
{
    (void)state;
    struct got g = {0}, h = {0};
    fake_on((struct rule){"GET /v1/limited", 429, "{}", "Retry-After", "1", .times = 1});
    fake_on((struct rule){"GET /v1/", 200, NULL});
    fake_send("GET", "/limited", NULL, &g);
    while (fake.n < 2 || !fake.port->pause)
        loop_turn(fake.loop, true);
    uint64_t start = clock_mono_ms();
    fake_send("GET", "/other", NULL, &h);
    fake_until(&h.done, 1);
    assert_true(clock_mono_ms() - start >= 800);
    fake_until(&g.done, 1);
    assert_int_equal(g.status, 200);
}

static void a_port_that_only_reads(void **state)
{
    (void)state;
    struct got g[4] = {0};
    fake_on((struct rule){"GET /v1/a", 200, NULL});
    fake_on((struct rule){"POST /v1/", 200, NULL});
    port_read_only(fake.port, true);
    fake_send("POST", "/blueprints", "{}", &g[0]);
    fake_send("DELETE", "/a", NULL, &g[1]);
    fake_send("GET", "/a", NULL, &g[2]);
    struct port_request r = {.method = "POST", .path = "/entities/search", .reads = true};
    buf_init(&r.body, BUF_NO_LIMIT);
    port_send(fake.port, &r, fake_got, &g[3]);
    assert_int_equal(g[0].done, 0); /* never from inside */
    for (int i = 0; i < 4; i++)
        fake_until(&g[i].done, 1);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(g[i].err.code, ERR_INVAL);
        assert_int_equal(g[i].status, 0);
    }
    assert_contains(g[0].err.msg, "POST /blueprints was not sent");
    assert_int_equal(port_refused(fake.port), 2);
    assert_int_equal(g[2].status + g[3].status, 400);
    for (size_t i = 0; i < fake.n; i++)
        assert_true(strstr(fake.seen[i].line, "GET ") || strstr(fake.seen[i].line, "/search") ||
                    strstr(fake.seen[i].line, "/auth/"));
    port_read_only(fake.port, false);
    fake_send("POST", "/blueprints", "{}", &g[0]);
    fake_until(&g[0].done, 2);
    assert_int_equal(g[0].status, 200);
}

static void plain_posts_and_500s_are_not_repeated(void **state)
{
    (void)state;
    struct got g = {0};
    fake_on((struct rule){"POST /v1/a", 503, "{}", "Retry-After", "0"});
    fake_on((struct rule){"GET /v1/b", 500, "{}"});
    fake_send("POST", "/a", "{}", &g);
    fake_until(&g.done, 1);
    assert_int_equal(g.status, 503);
    fake_send("GET", "/b", NULL, &g);
    fake_until(&g.done, 2);
    assert_int_equal(g.status, 500);
    assert_int_equal(fake.n, 3);
}

static void no_more_in_flight_than_the_window_allows(void **state)
{
    (void)state;
    struct got g = {0};
    int never = 0;
    fake_on((struct rule){"GET /v1/h", .hold = true});
    for (int i = 0; i < 20; i++)
        fake_send("GET", "/h", NULL, &g);
    while (fake.nheld < WINDOW_START)
        loop_turn(fake.loop, true);
    (void)never;
    for (int i = 0; i < 20 && loop_turn(fake.loop, false); i++)
        continue;
    assert_int_equal(fake.most_held, WINDOW_START);
    while (g.done < 20) {
        if (fake.nheld)
            fake_release();
        loop_turn(fake.loop, true);
    }
    assert_int_equal(g.done, 20);
}

static void a_cancelled_call_does_not_call_back(void **state)
{
    (void)state;
    struct got g = {0}, h = {0};
    fake_on((struct rule){"GET /v1/h", .hold = true});
    fake_on((struct rule){"GET /v1/ok", 200, NULL});
    struct port_call *queued = fake_send("GET", "/h", NULL, &g);
    port_cancel(queued);
    struct port_call *flying = fake_send("GET", "/h", NULL, &g);
    while (!fake.nheld)
        loop_turn(fake.loop, true);
    port_cancel(flying);
    port_cancel(NULL);
    fake_send("GET", "/ok", NULL, &h);
    fake_until(&h.done, 1);
    assert_int_equal(g.done, 0);
    assert_int_equal(fake.port->window.in_flight, 0);
}

static void a_deadline_ends_a_call(void **state)
{
    (void)state;
    struct got g = {0};
    fake_on((struct rule){"GET /v1/h", .hold = true});
    struct port_request r = {.method = "GET", .path = "/h", .deadline_ms = 200};
    buf_init(&r.body, 0);
    port_send(fake.port, &r, fake_got, &g);
    fake_until(&g.done, 1);
    assert_int_equal(g.err.code, ERR_TIMEOUT);
    assert_int_equal(fake.port->window.in_flight, 0);
}

static void an_answer_that_is_no_json(void **state)
{
    (void)state;
    struct got g = {0};
    struct err e;
    fake_on((struct rule){"GET /v1/a", 404, "<html>nothing</html>"});
    fake_send("GET", "/a", NULL, &g);
    fake_until(&g.done, 1);
    assert_int_equal(g.status, 404);
    assert_string_equal(g.text, "<html>nothing</html>");
    struct port_answer a = {.status = 404, .text = STR("<html>nothing</html>")};
    assert_int_equal(port_answer_err(&a, "GET", "/a", &e), ERR_HTTP);
    assert_string_equal(e.msg, "GET /a answered 404: <html>nothing</html>");
    assert_int_equal(e.http_status, 404);
}

static void error_texts(void **state)
{
    static const char *const rows[][2] = {
        {"{\"ok\":false,\"error\":\"invalid_request\",\"message\":\"bad\"}",
         "PATCH /x answered 422 invalid_request: bad"},
        {"{\"error\":{\"code\":\"c\",\"message\":\"m\"}}", "PATCH /x answered 422 c: m"},
        {"{\"error\":\"only\"}", "PATCH /x answered 422 only"},
    };
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct err e;
        struct json_doc *d = NULL;
        json_parse(str_of(rows[i][0]), &d, NULL);
        struct port_answer a = {.status = 422, .doc = d, .root = json_root(d), .text = str_of(rows[i][0])};
        port_answer_err(&a, "PATCH", "/x", &e);
        assert_string_equal(e.msg, rows[i][1]);
        json_unref(d);
    }
}

static void ports_clock_from_date_headers(void **state)
{
    (void)state;
    struct clock_bounds b = {0};
    struct http_header h = {STR("date"), STR("Wed, 21 Oct 2015 07:28:00 GMT")};
    struct http_resp r = {.status = 200, .headers = &h, .nheaders = 1};
    int64_t date = 1445412480LL * 1000000;
    struct port p = {0};
    clock_note(&b, &r, date + 100000, date + 200000); /* ours is right */
    p.clock = b;
    assert_int_equal(port_clock_offset_us(&p), 0);
    clock_note(&b, &r, date + 30000000, date + 30200000); /* ours is 30 s fast: a clock was set */
    p.clock = b;
    assert_true(port_clock_offset_us(&p) <= -29000000 && port_clock_offset_us(&p) >= -30200000);
}

static void an_unreachable_port_names_the_setting(void **state)
{
    (void)state;
    struct port p = {.base_url = (char *)"https://api.example"};
    struct err e = {.code = ERR_TRANSPORT, .msg = "connection refused"};
    assert_int_equal(port_transport_err(&p, &e), ERR_TRANSPORT);
    assert_contains(e.msg, "https://api.example");
    assert_contains(e.msg, "OCEAN__PORT__BASE_URL");
    assert_contains(e.msg, "connection refused");
}

static void freed_with_calls_in_flight(void **state)
{
    (void)state;
    struct got g = {0};
    fake_on((struct rule){"GET /v1/h", .hold = true});
    for (int i = 0; i < 8; i++)
        fake_send("GET", "/h", NULL, &g);
    while (fake.nheld < WINDOW_START)
        loop_turn(fake.loop, true);
    port_free(fake.port);
    fake.port = fake_port_client("jira", "x");
    assert_int_equal(g.done, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(window_grows_and_halves),
        cmocka_unit_test(slow_or_idle_answers_do_not_grow_it),
        T(headers_of_a_request),
        T(one_token_request_for_many_calls),
        T(a_401_is_repeated_once_with_a_new_token),
        T(a_second_401_is_final),
        T(many_401s_share_one_refresh),
        T(a_token_is_renewed_before_its_end),
        T(a_failed_renewal_leaves_a_good_token_alone),
        T(wrong_credentials_fail_at_once),
        T(a_503_is_repeated),
        T(a_429_stops_everybody_for_the_named_time),
        T(a_port_that_only_reads),
        T(plain_posts_and_500s_are_not_repeated),
        T(no_more_in_flight_than_the_window_allows),
        T(a_cancelled_call_does_not_call_back),
        T(a_deadline_ends_a_call),
        T(an_answer_that_is_no_json),
        cmocka_unit_test(error_texts),
        cmocka_unit_test(ports_clock_from_date_headers),
        cmocka_unit_test(an_unreachable_port_names_the_setting),
        T(freed_with_calls_in_flight),
    };
    return cmocka_run_group_tests_name("port client", tests, NULL, NULL);
}
