/* test_retry.c: the decisions (runtime, port-api P-45 to P-48) and retry_send against a server that
 * fails at first. */
#include "unit/io/loopback.h"

#include "base/clock.h"
#include "io/retry.h"

#define NOW INT64_C(1700000000000000) /* 2023-11-14T22:13:20Z */

static double hint(const char *s) { return retry_hint(str_of(s), NOW); }

static void assert_near(double a, double b)
{
    if (a < b - 0.001 || a > b + 0.001)
        print_error("%f is not %f\n", a, b);
    assert_true(a >= b - 0.001 && a <= b + 0.001);
}

static void test_hint_vectors(void **state)
{
    (void)state;
    assert_near(hint("30"), 30);
    assert_near(hint(" 30 "), 30);
    assert_near(hint("0"), 0);
    assert_near(hint("10000"), 10000);
    assert_near(hint("1700000005"), 5);
    assert_near(hint("1699999995"), 0);
    assert_near(hint("20000"), 0); /* 1970 */
    assert_true(hint("abc") < 0);
    assert_true(hint("") < 0);
    assert_true(hint("-5") < 0);
    assert_true(hint("2023-11-01T12:00:00Z") < 0); /* past */
    assert_near(hint("2023-11-14T22:13:50Z"), 30);
    assert_near(hint("2023-11-14T23:13:50+01:00"), 30);
    assert_near(hint("2023-11-14T22:13:50.250000"), 30.25); /* no zone: UTC */
    /* What the original does not understand (runtime R-121). */
    assert_near(hint("1.5"), 1.5);
    assert_near(hint("1700000005.25"), 5.25);
    assert_near(hint("1700000005250"), 5.25);
    assert_near(hint("Tue, 14 Nov 2023 22:14:20 GMT"), 60);
    assert_near(hint("Tuesday, 14-Nov-23 22:14:20 GMT"), 60);
    assert_near(hint("Tue Nov 14 22:14:20 2023"), 60);
    assert_true(hint("Wed, 21 Oct 2015 07:28:00 GMT") < 0);
    assert_true(hint("Wed, 21 Oct 2030 07:28:00 GMT") > 200000000);
    assert_true(hint("Wed, 21 Oct 2030 07:28:00 GMT junk") < 0);
    assert_true(hint("Wed, 21 Xxx 2030 07:28:00 GMT") < 0);
    assert_true(hint("1.2.3") < 0);
    assert_true(hint("5 seconds") < 0);
}

static bool wanted(const char *method, bool flagged, int status, int code)
{
    struct retry_policy p;
    struct err e = {.code = code};
    retry_policy_third_party(&p);
    return retry_wanted(&p, method, flagged, status, code ? &e : NULL);
}

static void test_what_is_repeated(void **state)
{
    (void)state;
    static const char *const yes[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"};
    static const int statuses[] = {408, 429, 502, 503, 504},
                     not [] = {200, 204, 302, 400, 401, 403, 404, 409, 413, 500, 501};
    for (size_t i = 0; i < ARRAY_LEN(yes); i++)
        assert_true(wanted(yes[i], false, 503, 0));
    assert_false(wanted("POST", false, 503, 0));
    assert_true(wanted("POST", true, 503, 0));
    assert_false(wanted("PATCH", false, 503, 0));
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        assert_true(wanted("GET", false, statuses[i], 0));
    for (size_t i = 0; i < ARRAY_LEN(not ); i++)
        assert_false(wanted("GET", true, not [i], 0));
    assert_true(wanted("GET", false, 0, ERR_TRANSPORT));
    assert_true(wanted("GET", false, 0, ERR_TIMEOUT));
    assert_false(wanted("GET", false, 0, ERR_TOO_BIG));
    assert_false(wanted("GET", false, 0, ERR_CANCELLED));
    assert_false(wanted("POST", false, 0, ERR_TRANSPORT));
}

static void test_back_off(void **state)
{
    (void)state;
    struct retry_policy p;
    retry_policy_third_party(&p);
    p.base_s = 1;
    p.jitter = 0;
    static const double want[] = {1, 2, 4, 8, 16, 32, 60, 60, 60};
    for (int n = 1; n <= 9; n++)
        assert_near(retry_delay(&p, n, NULL, NOW, 0.9), want[n - 1]);
    assert_near(retry_delay(&p, 1000000, NULL, NOW, 0.9), 60);
    retry_policy_port(&p);
    assert_near(retry_delay(&p, 1, NULL, NOW, 0.5), 0.3);
    assert_near(retry_delay(&p, 3, NULL, NOW, 0.5), 1.2);
    assert_near(retry_delay(&p, 1, NULL, NOW, 0.0), 0.27);
    assert_near(retry_delay(&p, 1, NULL, NOW, 1.0), 0.33);
    assert_near(retry_delay(&p, 20, NULL, NOW, 1.0), 300); /* capped after the jitter */
}

static double delay_with(struct retry_policy *p, int status, struct http_header *h, size_t n)
{
    struct http_resp resp = {.status = status, .headers = h, .nheaders = n};
    return retry_delay(p, 1, &resp, NOW, 0.5);
}

static void test_named_waits(void **state)
{
    (void)state;
    struct retry_policy p;
    retry_policy_third_party(&p);
    struct http_header h[] = {
        {STR("X-RateLimit-Reset"), STR("1700000007")}, {STR("retry-after"), STR("3")}, {STR("X-Wait"), STR("5")}};
    assert_near(delay_with(&p, 429, h, 3), 3); /* Retry-After before x-ratelimit-reset, exactly */
    assert_near(delay_with(&p, 503, h, 3), 3); /* with any repeated status (port-api P-44) */
    assert_near(delay_with(&p, 429, h, 1), 7);
    p.hint_headers[0] = "x-wait"; /* the author's own come first */
    assert_near(delay_with(&p, 429, h, 3), 5);
    h[1].value = STR("nonsense"); /* the next one is tried */
    p.hint_headers[0] = NULL;
    assert_near(delay_with(&p, 429, h, 3), 7);
    h[0].value = STR("1000");
    assert_near(delay_with(&p, 429, h, 1), 60); /* same cap */
    h[0].value = STR("1699999999");
    assert_near(delay_with(&p, 429, h, 1), 0.1); /* already past: a step of the back-off, no storm */
    h[0].value = STR("9");
    p.ignore_hint_statuses[0] = 429;
    assert_near(delay_with(&p, 429, h, 1), 0.1);
    assert_near(delay_with(&p, 503, h, 1), 9);
    p.respect_headers = false;
    assert_near(delay_with(&p, 503, h, 1), 0.1);
}

/* ---- retry_send ---- */

static struct loop *loop;
static struct http_server *server;
static struct http_client *client;
static struct outcome out;
static int failures, seen, last_status = 503;
static char bodies[1024], token[64];

static void handle(void *arg, struct http_call *c)
{
    (void)arg;
    seen++;
    snprintf(bodies + strlen(bodies), sizeof(bodies) - strlen(bodies), "%.*s;", STR_FMT(http_call_body(c)));
    struct str t = http_call_header(c, STR("Authorization"));
    snprintf(token, sizeof(token), "%.*s", STR_FMT(t));
    if (failures-- <= 0) {
        struct buf b = text_body("done");
        http_reply(c, 200, "text/plain", &b, NULL, 0);
    } else if (last_status) {
        http_reply(c, last_status, NULL, NULL, NULL, 0);
    } else {
        http_abort(c);
    }
}

static int setup(void **state)
{
    struct http_server_opts so = {.handle = handle};
    struct err e;
    (void)state;
    loop = loop_new();
    assert_int_equal(http_server_start(loop, &so, &server, &e), 0);
    client = http_client_new(loop, &(struct http_client_opts){.no_proxy = true});
    memset(&out, 0, sizeof(out));
    bodies[0] = '\0';
    seen = 0;
    last_status = 503;
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

static struct retry_policy quick(void)
{
    struct retry_policy p;
    retry_policy_third_party(&p);
    p.base_s = 0.002;
    p.max_s = 0.01;
    p.attempts = 3;
    return p;
}

static struct retry_call *call;

static struct retry_call *begin(const char *method, enum retry_flag flag, const struct retry_hooks *hooks)
{
    struct retry_policy p = quick();
    struct http_header h = {STR("Authorization"), STR("old")};
    struct http_spec spec = {.method = method,
                             .url = url_of(http_server_port(server), "/x?key=secret"),
                             .headers = &h,
                             .nheaders = 1,
                             .body = text_body("body")};
    struct err e = {0};
    call = retry_send(client, &spec, &p, flag, hooks, outcome_done, &out, &e);
    assert_non_null(call);
    return call;
}

struct wait_log {
    int n, status;
    double seconds;
};

static void note_wait(void *arg, int n, double seconds, int status, const struct err *e)
{
    struct wait_log *w = arg;
    assert_int_equal(n, ++w->n);
    assert_true((e != NULL) == (status == 0));
    assert_int_equal(retry_count(call), n);
    w->status = status;
    w->seconds = seconds;
    retry_set_header(call, STR("authorization"), STR("new"));
}

static void test_succeeds_at_the_third_sending(void **state)
{
    (void)state;
    struct wait_log w = {0};
    failures = 2;
    begin("PUT", RETRY_BY_METHOD, &(struct retry_hooks){note_wait, &w});
    run_until(loop, &out.calls);
    assert_int_equal(out.status, 200);
    assert_int_equal(seen, 3);
    assert_int_equal(w.n, 2);
    assert_int_equal(w.status, 503);
    assert_string_equal(bodies, "body;body;body;");
    assert_string_equal(token, "new");
}

static void test_transport_errors_are_repeated(void **state)
{
    (void)state;
    struct wait_log w = {0};
    failures = 2;
    last_status = 0;
    begin("POST", RETRY_ALWAYS, &(struct retry_hooks){note_wait, &w});
    run_until(loop, &out.calls);
    assert_int_equal(out.status, 200);
    assert_int_equal(w.n, 2);
}

static void test_gives_the_last_answer(void **state)
{
    (void)state;
    failures = 100;
    begin("PUT", RETRY_BY_METHOD, NULL);
    run_until(loop, &out.calls);
    assert_int_equal(out.code, 0);
    assert_int_equal(out.status, 503);
    assert_int_equal(seen, 4);
}

static void test_sent_once(void **state)
{
    (void)state;
    failures = 100;
    begin("POST", RETRY_BY_METHOD, NULL);
    run_until(loop, &out.calls);
    assert_int_equal(seen, 1);
    outcome_free(&out);
    begin("PUT", RETRY_NEVER, NULL);
    run_until(loop, &out.calls);
    assert_int_equal(seen, 2);
}

static void cancel_now(void *arg, int n, double seconds, int status, const struct err *e)
{
    (void)n;
    (void)seconds;
    (void)status;
    (void)e;
    retry_cancel(call);
    *(int *)arg = 1;
}

static void test_cancel(void **state)
{
    (void)state;
    int cancelled = 0;
    failures = 100;
    retry_cancel(NULL);
    retry_cancel(begin("PUT", RETRY_BY_METHOD, NULL));                            /* while sending */
    begin("PUT", RETRY_BY_METHOD, &(struct retry_hooks){cancel_now, &cancelled}); /* before the wait */
    run_until(loop, &cancelled);
    loop_turn(loop, false);
    assert_int_equal(out.calls, 0);
}

static void test_bad_start(void **state)
{
    (void)state;
    struct retry_policy p = quick();
    struct err e = {0};
    struct http_spec spec = {.method = "GET", .url = "nowhere", .body = text_body("x")};
    assert_null(retry_send(client, &spec, &p, RETRY_ALWAYS, NULL, outcome_done, &out, &e));
    assert_int_equal(e.code, ERR_INVAL);
}

int main(void)
{
    watchdog(60);
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hint_vectors),
        cmocka_unit_test(test_what_is_repeated),
        cmocka_unit_test(test_back_off),
        cmocka_unit_test(test_named_waits),
        T(test_succeeds_at_the_third_sending),
        T(test_transport_errors_are_repeated),
        T(test_gives_the_last_answer),
        T(test_sent_once),
        T(test_cancel),
        T(test_bad_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
