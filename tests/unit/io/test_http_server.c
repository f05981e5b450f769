/* test_http_server.c: the server seen through raw sockets: suspension, raw paths, limits, deadlines, teardown. */
#include "unit/io/loopback.h"

static struct loop *loop;
static struct http_server *server;
static int port;
static struct buf got;
static struct http_call *waiting[64];
static int nwaiting, handled;
static char last_path[256], last_body[256];

static void reply_text(struct http_call *c, int status, const char *text)
{
    struct buf b = text_body(text);
    http_reply(c, status, "text/plain", &b, NULL, 0);
}

static void handle(void *arg, struct http_call *c)
{
    (void)arg;
    handled++;
    snprintf(last_path, sizeof(last_path), "%.*s", STR_FMT(http_call_path(c)));
    snprintf(last_body, sizeof(last_body), "%.*s", STR_FMT(http_call_body(c)));
    if (str_starts(http_call_path(c), STR("/wait"))) {
        waiting[nwaiting++] = c;
    } else if (str_is(http_call_path(c), "/abort")) {
        http_abort(c);
    } else if (str_is(http_call_path(c), "/free")) {
        http_server_free(server);
        server = NULL;
    } else {
        struct http_header extra[] = {{STR("X-Extra"), STR("yes")}, {STR("X-Bad"), STR("a\r\nX-Evil: b")}};
        struct buf b = text_body("ok");
        http_reply(c, 200, "text/plain", &b, extra, str_is(http_call_path(c), "/evil") ? 2 : 1);
    }
}

static size_t body_limit(void *arg, const char *method, struct str path)
{
    (void)arg;
    assert_string_equal(method, "POST");
    return str_is(path, "/small") ? 10 : 1 << 20;
}

static void start(struct http_server_opts o)
{
    struct err e;
    o.handle = handle;
    assert_int_equal(http_server_start(loop, &o, &server, &e), 0);
    port = http_server_port(server);
}

static int setup(void **state)
{
    (void)state;
    loop = loop_new();
    buf_init(&got, BUF_NO_LIMIT);
    nwaiting = handled = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    http_server_free(server);
    server = NULL;
    buf_done(&got);
    loop_free(loop);
    return 0;
}

static void ask(int fd, const char *text) { client_send(loop, fd, text, strlen(text)); }

static void wait_for_calls(int n)
{
    while (nwaiting < n)
        loop_turn(loop, true);
}

/* ---- requests ---- */

static void test_replies(void **state)
{
    (void)state;
    start((struct http_server_opts){0});
    int fd = client_open(port);
    ask(fd, "GET /evil HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(client_answer(loop, fd, &got));
    assert_int_equal(answer_status(&got), 200);
    assert_string_equal(answer_body(&got), "ok");
    assert_non_null(strstr(got.p, "X-Extra: yes\r\n"));
    assert_null(strstr(got.p, "X-Evil"));
    assert_non_null(strstr(got.p, "Content-Length: 2\r\n"));
    ask(fd, "HEAD /x HTTP/1.1\r\nHost: h\r\n\r\nGET /x HTTP/1.1\r\nHost: h\r\n\r\n"); /* pipelined */
    assert_true(client_answer(loop, fd, &got));
    while (!strstr(got.p, "\r\n\r\nok")) { /* the answer to HEAD has a length and no body */
        struct buf more = {0};
        assert_true(client_answer(loop, fd, &more));
        buf_addstr(&got, buf_str(&more));
        buf_done(&more);
    }
    const char *first = strstr(got.p, "Content-Length: 2\r\n"), *second = strstr(first + 1, "Content-Length: 2\r\n");
    assert_non_null(second);
    close(fd);
}

static void test_suspended_calls_are_answered_in_any_order(void **state)
{
    (void)state;
    int fd[8];
    start((struct http_server_opts){0});
    for (int i = 0; i < 8; i++) {
        char text[128];
        fd[i] = client_open(port);
        snprintf(text, sizeof(text), "GET /wait%d HTTP/1.1\r\nHost: h\r\n\r\n", i);
        ask(fd[i], text);
        wait_for_calls(i + 1);
    }
    for (int round = 0; round < 2; round++) {
        for (int i = 7; i >= 0; i--) {
            char text[32];
            struct str path = http_call_path(waiting[i]);
            snprintf(text, sizeof(text), "for %.*s", STR_FMT(path));
            reply_text(waiting[i], 200, text);
        }
        nwaiting = 0;
        for (int i = 0; i < 8; i++) {
            char text[128];
            assert_true(client_answer(loop, fd[i], &got));
            snprintf(text, sizeof(text), "for /wait%d", i);
            assert_string_equal(answer_body(&got), text);
            if (round == 0) { /* the connection goes on */
                snprintf(text, sizeof(text), "GET /wait%d HTTP/1.1\r\nHost: h\r\n\r\n", i);
                ask(fd[i], text);
                wait_for_calls(i + 1);
            }
        }
    }
    for (int i = 0; i < 8; i++)
        close(fd[i]);
}

static void test_targets_stay_raw(void **state)
{
    (void)state;
    start((struct http_server_opts){0});
    int fd = client_open(port);
    ask(fd, "GET /wait/a%2Fb%00c%25/../d?x=1&y=a%26b+c&x=%C3%A4&flag HTTP/1.1\r\nHost: h\r\nX-H: v\r\n\r\n");
    wait_for_calls(1);
    struct http_call *c = waiting[0];
    assert_true(str_is(http_call_path(c), "/wait/a%2Fb%00c%25/../d"));
    assert_true(str_is(http_call_query(c), "x=1&y=a%26b+c&x=%C3%A4&flag"));
    assert_string_equal(http_call_method(c), "GET");
    assert_true(str_is(http_call_header(c, STR("x-h")), "v"));
    assert_null(http_call_header(c, STR("none")).p);
    assert_int_equal(http_call_headers(c, NULL, 0), 2);
    assert_non_null(strstr(http_call_peer(c), "127.0.0.1:"));
    assert_int_equal(http_call_connection(c), 1);
    struct buf v;
    buf_init(&v, BUF_NO_LIMIT);
    assert_true(http_call_param(c, "y", 0, &v));
    assert_string_equal(buf_cstr(&v), "a&b c");
    buf_reset(&v);
    assert_true(http_call_param(c, "x", 1, &v));
    assert_string_equal(buf_cstr(&v), "\xc3\xa4");
    buf_reset(&v);
    assert_true(http_call_param(c, "flag", 0, &v));
    assert_string_equal(buf_cstr(&v), "");
    assert_false(http_call_param(c, "x", 2, &v));
    buf_done(&v);
    reply_text(c, 204, "");
    assert_true(client_answer(loop, fd, &got));
    assert_int_equal(answer_status(&got), 204);
    close(fd);
}

static void test_many_requests_on_one_connection(void **state)
{
    (void)state;
    start((struct http_server_opts){0});
    int fd = client_open(port);
    for (int i = 0; i < 2000; i++) {
        char text[128];
        snprintf(text, sizeof(text), "POST /n HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n%04d", i);
        ask(fd, text);
        assert_true(client_answer(loop, fd, &got));
        assert_int_equal(atoi(last_body), i);
    }
    assert_int_equal(handled, 2000);
    close(fd);
}

static void test_a_request_in_pieces(void **state)
{
    (void)state;
    static const char text[] = "POST /pieces HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                               "3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n";
    start((struct http_server_opts){0});
    int fd = client_open(port);
    for (size_t i = 0; i < sizeof(text) - 1; i++)
        client_send(loop, fd, text + i, 1);
    assert_true(client_answer(loop, fd, &got));
    assert_string_equal(last_body, "abcdefg");
    close(fd);
}

/* ---- limits ---- */

static void send_zeros(int fd, size_t n)
{
    static char zeros[65536];
    while (n) {
        size_t step = n < sizeof(zeros) ? n : sizeof(zeros);
        client_send(loop, fd, zeros, step);
        n -= step;
    }
}

static void test_413_and_the_connection_survives(void **state)
{
    (void)state;
    start((struct http_server_opts){.body_limit = body_limit});
    int fd = client_open(port);
    ask(fd, "POST /small HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n0123456789");
    assert_true(client_answer(loop, fd, &got));
    assert_int_equal(answer_status(&got), 200);
    ask(fd, "POST /small HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n0123456789a");
    assert_true(client_answer(loop, fd, &got));
    assert_int_equal(answer_status(&got), 413);
    assert_non_null(strstr(got.p, "application/json"));
    assert_non_null(strstr(answer_body(&got), "{\"ok\":false,\"error\":\"request_too_large\",\"message\":"));
    ask(fd, "POST /small HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n0123456789a\r\n0\r\n\r\n");
    assert_true(client_answer(loop, fd, &got));
    assert_int_equal(answer_status(&got), 413);
    ask(fd, "POST /big HTTP/1.1\r\nHost: h\r\nContent-Length: 1048577\r\n\r\n");
    send_zeros(fd, 1048577);
    assert_true(client_answer(loop, fd, &got));
    assert_int_equal(answer_status(&got), 413);
    ask(fd, "POST /big HTTP/1.1\r\nHost: h\r\nContent-Length: 1048576\r\n\r\n");
    send_zeros(fd, 1048576);
    assert_true(client_answer(loop, fd, &got));
    assert_int_equal(answer_status(&got), 200);
    assert_int_equal(handled, 2);
    close(fd);
}

static void test_413_at_once_when_draining_makes_no_sense(void **state)
{
    (void)state;
    start((struct http_server_opts){.max_body = 100});
    int fd = client_open(port);
    ask(fd, "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n");
    assert_true(client_answer(loop, fd, &got));
    assert_int_equal(answer_status(&got), 413);
    close(fd);
    fd = client_open(port);
    ask(fd, "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 101\r\nExpect: 100-continue\r\n\r\n");
    assert_true(client_answer(loop, fd, &got));
    assert_int_equal(answer_status(&got), 413);
    close(fd);
    assert_int_equal(handled, 0);
}

/* Sends one byte at a time and a little more than the deadline allows; true if the server ended the connection. */
static bool drip(int fd, const char *head, const char *again)
{
    client_send(loop, fd, head, strlen(head));
    for (;;) {
        char c;
        uint64_t pause = real_ms() + 5;
        while (real_ms() < pause)
            loop_turn(loop, false);
        ssize_t n = recv(fd, &c, 1, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            return handled <= 1;
        if (send(fd, again, strlen(again), MSG_NOSIGNAL) < 0 && errno != EAGAIN)
            return true;
    }
}

static void test_dripping_clients_are_cut_off(void **state)
{
    (void)state;
    start((struct http_server_opts){.read_deadline_ms = 100});
    int fd = client_open(port);
    assert_true(drip(fd, "GET /x HTTP/1.1\r\nHost: h\r\nX-Long: ", "a")); /* headers */
    close(fd);
    fd = client_open(port);
    assert_true(drip(fd, "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n", "b")); /* body */
    close(fd);
    fd = client_open(port); /* a second request on a connection that behaved at first */
    ask(fd, "GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(client_answer(loop, fd, &got));
    assert_true(drip(fd, "", "G"));
    close(fd);
    assert_int_equal(handled, 1);
}

static void pass_time(uint64_t ms)
{
    for (uint64_t end = real_ms() + ms; real_ms() < end;)
        loop_turn(loop, false);
}

static void test_the_deadline_does_not_count_idling_or_handling(void **state)
{
    (void)state;
    start((struct http_server_opts){.read_deadline_ms = 100});
    int fd = client_open(port);
    ask(fd, "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_for_calls(1);
    pass_time(300);
    reply_text(waiting[0], 200, "after a long think");
    assert_true(client_answer(loop, fd, &got));
    pass_time(300); /* idle keep-alive */
    ask(fd, "GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(client_answer(loop, fd, &got));
    close(fd);
}

static void test_connections_beyond_the_limit(void **state)
{
    (void)state;
    start((struct http_server_opts){.max_connections = 2});
    int a = client_open(port), b = client_open(port);
    ask(a, "GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(client_answer(loop, a, &got));
    ask(b, "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_for_calls(1);
    int c = client_open(port); /* one too many: it is served, and a, which rests, goes */
    ask(c, "GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(client_answer(loop, c, &got));
    assert_false(client_answer(loop, a, &got));
    close(a);
    int d = client_open(port), e = client_open(port);
    ask(d, "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
    ask(e, "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_for_calls(3);
    reply_text(waiting[0], 200, "1"); /* while it is crowded answers close their connections */
    assert_true(client_answer(loop, b, &got));
    assert_non_null(strstr(got.p, "Connection: close"));
    reply_text(waiting[1], 200, "2");
    assert_true(client_answer(loop, d, &got));
    reply_text(waiting[2], 200, "3");
    assert_true(client_answer(loop, e, &got));
    close(b);
    close(c);
    close(d);
    close(e);
}

static void test_the_reserve_ends_too(void **state)
{
    (void)state;
    enum { ALL = 1 + HTTP_RESERVE };
    int fd[ALL + 1];
    start((struct http_server_opts){.max_connections = 1});
    for (int i = 0; i <= ALL; i++) {
        fd[i] = client_open(port);
        ask(fd[i], "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
        wait_for_calls(i < ALL ? i + 1 : ALL);
    }
    pass_time(20);
    assert_int_equal(handled, ALL); /* the kernel keeps the last one */
    reply_text(waiting[0], 200, "1");
    assert_true(client_answer(loop, fd[0], &got));
    close(fd[0]);
    wait_for_calls(ALL + 1);
    for (int i = 1; i <= ALL; i++) {
        reply_text(waiting[i], 200, "2");
        assert_true(client_answer(loop, fd[i], &got));
        close(fd[i]);
    }
}

/* ---- streamed answers ---- */

/* Gives `text` in pieces of `step`, resting before each one when `rests`; ends with `end`. */
static struct feed {
    const char *text;
    size_t at, step;
    bool rests, rested;
    ssize_t end;
    int done;
    bool complete;
} feed;

static ssize_t feed_read(void *arg, char *p, size_t max)
{
    struct feed *f = arg;
    size_t n = strlen(f->text + f->at);
    if (f->rests && !f->rested) {
        f->rested = true;
        return HTTP_STREAM_WAIT;
    }
    f->rested = false;
    if (n == 0)
        return f->end;
    n = n > f->step ? f->step : n;
    n = n > max ? max : n;
    memcpy(p, f->text + f->at, n);
    f->at += n;
    return (ssize_t)n;
}

static void feed_done(void *arg, bool complete)
{
    struct feed *f = arg;
    f->done++;
    f->complete = complete;
}

static void reply_feed(struct http_call *c, int64_t length, struct feed f)
{
    feed = f;
    struct http_stream s = {.length = length, .read = feed_read, .done = feed_done, .arg = &feed};
    http_reply_stream(c, 200, "text/plain", &s, NULL, 0);
}

/* Everything the server sends until it ends the connection; returns errno, 0 for an orderly end. */
static int read_all(int fd)
{
    char piece[4096];
    buf_reset(&got);
    for (;;) {
        ssize_t n = recv(fd, piece, sizeof(piece), MSG_DONTWAIT);
        if (n > 0)
            buf_add(&got, piece, (size_t)n);
        else if (n == 0 || errno != EAGAIN)
            return n == 0 ? 0 : errno;
        else if (feed.rested)
            http_stream_wake(waiting[nwaiting - 1]);
        loop_turn(loop, false);
    }
}

static void test_streamed_answers(void **state)
{
    (void)state;
    start((struct http_server_opts){0});
    int fd = client_open(port);
    for (int round = 0; round < 4; round++) { /* with a length and without, at once and with rests */
        ask(fd, "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
        wait_for_calls(round + 1);
        reply_feed(waiting[round], round % 2 ? 10 : -1,
                   (struct feed){.text = "0123456789", .step = 3, .rests = round >= 2, .end = HTTP_STREAM_END});
        buf_reset(&got);
        while (!feed.done || !got.n || !strstr(buf_cstr(&got), round % 2 ? "0123456789" : "\r\n0\r\n\r\n")) {
            char piece[4096];
            ssize_t n = recv(fd, piece, sizeof(piece), MSG_DONTWAIT);
            if (n > 0)
                buf_add(&got, piece, (size_t)n);
            if (!feed.done && feed.rested)
                http_stream_wake(waiting[round]);
            loop_turn(loop, false);
        }
        assert_int_equal(feed.done, 1);
        assert_true(feed.complete);
        assert_non_null(strstr(got.p, round % 2 ? "Content-Length: 10\r\n" : "Transfer-Encoding: chunked\r\n"));
    }
    ask(fd, "GET /x HTTP/1.1\r\nHost: h\r\n\r\n"); /* the connection goes on */
    assert_true(client_answer(loop, fd, &got));
    close(fd);
}

static void test_streams_that_break_off(void **state)
{
    (void)state;
    start((struct http_server_opts){0});
    for (int round = 0; round < 4; round++) {
        int fd = client_open(port);
        bool reset = round % 2;
        ask(fd, "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
        wait_for_calls(round + 1);
        reply_feed(waiting[round], 100,
                   (struct feed){.text = "0123456789", .step = 4, .rests = round >= 2,
                                 .end = reset ? HTTP_STREAM_RESET : HTTP_STREAM_END});
        assert_int_equal(read_all(fd), reset ? ECONNRESET : 0);
        assert_string_equal(strstr(buf_cstr(&got), "\r\n\r\n"), "\r\n\r\n0123456789"); /* so much came */
        assert_non_null(strstr(got.p, "Content-Length: 100\r\n"));
        assert_int_equal(feed.done, 1);
        assert_false(feed.complete);
        close(fd);
    }
}

static void test_streams_end_with_client_and_server(void **state)
{
    (void)state;
    start((struct http_server_opts){0});
    struct feed endless = {.text = "0123456789", .step = 10, .rests = true, .end = HTTP_STREAM_END};
    int fd = client_open(port);
    ask(fd, "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_for_calls(1);
    reply_feed(waiting[0], 100, endless);
    while (!feed.rested)
        loop_turn(loop, true);
    raw_reset(fd);
    close(fd);
    while (!feed.done) {
        if (feed.rested)
            http_stream_wake(waiting[0]);
        loop_turn(loop, false);
    }
    assert_false(feed.complete);
    fd = client_open(port);
    ask(fd, "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_for_calls(2);
    reply_feed(waiting[1], 100, endless);
    while (!feed.rested)
        loop_turn(loop, true);
    http_server_free(server);
    server = NULL;
    assert_int_equal(feed.done, 1);
    assert_false(feed.complete);
    close(fd);
}

static void test_idle_connections_closed_on_demand(void **state)
{
    (void)state;
    start((struct http_server_opts){0});
    int fd = client_open(port);
    for (int i = 0; i < 2; i++) { /* a request in time stops the clock */
        ask(fd, "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
        wait_for_calls(i + 1);
        if (i == 0)
            http_call_close_idle(waiting[i], 60000);
        else
            http_call_close_idle(waiting[i], 10);
        reply_text(waiting[i], 200, "ok");
        assert_true(client_answer(loop, fd, &got));
    }
    assert_int_equal(read_all(fd), 0);
    assert_int_equal(got.n, 0);
    close(fd);
}

/* ---- ends ---- */

static void test_abort_resets_the_connection(void **state)
{
    (void)state;
    start((struct http_server_opts){0});
    int fd = client_open(port);
    ask(fd, "GET /abort HTTP/1.1\r\nHost: h\r\n\r\n"); /* from inside the handler */
    assert_false(client_answer(loop, fd, &got));
    assert_int_equal(errno, ECONNRESET);
    close(fd);
    fd = client_open(port);
    ask(fd, "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n"); /* while suspended */
    wait_for_calls(1);
    http_abort(waiting[0]);
    assert_false(client_answer(loop, fd, &got));
    assert_int_equal(errno, ECONNRESET);
    close(fd);
}

static void test_client_gone_while_suspended(void **state)
{
    (void)state;
    start((struct http_server_opts){0});
    int fd = client_open(port);
    ask(fd, "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_for_calls(1);
    raw_reset(fd);
    close(fd);
    pass_time(20);
    reply_text(waiting[0], 200, "too late");
    fd = client_open(port);
    ask(fd, "GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(client_answer(loop, fd, &got));
    close(fd);
}

static void test_port_taken(void **state)
{
    (void)state;
    struct http_server *second = NULL;
    struct err e;
    start((struct http_server_opts){0});
    struct http_server_opts o = {.port = port, .handle = handle};
    assert_int_equal(http_server_start(loop, &o, &second, &e), ERR_BUSY);
    char text[16];
    snprintf(text, sizeof(text), "%d", port);
    assert_non_null(strstr(e.msg, text));
    o = (struct http_server_opts){.host = "192.0.2.1", .handle = handle};
    assert_int_equal(http_server_start(loop, &o, &second, &e), ERR_IO);
    o = (struct http_server_opts){.port = 70000, .handle = handle};
    assert_int_equal(http_server_start(loop, &o, &second, &e), ERR_INVAL);
    assert_null(second);
}

static void test_quiesce(void **state)
{
    (void)state;
    start((struct http_server_opts){0});
    int fd = client_open(port);
    ask(fd, "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_for_calls(1);
    http_server_quiesce(server);
    int other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(other, (struct sockaddr *)&a, sizeof(a)), -1);
    close(other);
    reply_text(waiting[0], 200, "still");
    assert_true(client_answer(loop, fd, &got));
    assert_string_equal(answer_body(&got), "still");
    close(fd);
}

static void test_free_with_suspended_calls(void **state)
{
    (void)state;
    int fd[5];
    start((struct http_server_opts){0});
    for (int i = 0; i < 5; i++) {
        fd[i] = client_open(port);
        ask(fd[i], "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    wait_for_calls(5);
    http_server_free(server);
    server = NULL;
    for (int i = 0; i < 5; i++) {
        assert_false(client_answer(loop, fd[i], &got));
        close(fd[i]);
    }
    for (int i = 0; i < 4; i++) { /* whoever still works on them does no harm; the fifth is never answered */
        assert_true(str_is(http_call_path(waiting[i]), "/wait"));
        assert_null(http_call_header(waiting[i], STR("Host")).p);
        reply_text(waiting[i], 200, "too late");
    }
    http_abort(waiting[0]);
}

static void test_free_from_a_handler(void **state)
{
    (void)state;
    start((struct http_server_opts){0});
    int fd = client_open(port), other = client_open(port);
    ask(other, "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_for_calls(1);
    ask(fd, "GET /free HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_false(client_answer(loop, fd, &got));
    assert_false(client_answer(loop, other, &got));
    assert_null(server);
    close(fd);
    close(other);
}

static void test_nonsense_is_refused(void **state)
{
    (void)state;
    start((struct http_server_opts){0});
    static const char *const texts[] = {"NONSENSE\r\n\r\n", "GET / HTTP/9.1\r\nHost: h\r\n\r\n",
                                        "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        int fd = client_open(port);
        ask(fd, texts[i]);
        if (client_answer(loop, fd, &got))
            assert_true(answer_status(&got) >= 400);
        close(fd);
    }
    assert_int_equal(handled, 0);
}

int main(void)
{
    watchdog(120);
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_replies),
        T(test_suspended_calls_are_answered_in_any_order),
        T(test_targets_stay_raw),
        T(test_many_requests_on_one_connection),
        T(test_a_request_in_pieces),
        T(test_413_and_the_connection_survives),
        T(test_413_at_once_when_draining_makes_no_sense),
        T(test_dripping_clients_are_cut_off),
        T(test_the_deadline_does_not_count_idling_or_handling),
        T(test_connections_beyond_the_limit),
        T(test_the_reserve_ends_too),
        T(test_streamed_answers),
        T(test_streams_that_break_off),
        T(test_streams_end_with_client_and_server),
        T(test_idle_connections_closed_on_demand),
        T(test_abort_resets_the_connection),
        T(test_client_gone_while_suspended),
        T(test_port_taken),
        T(test_quiesce),
        T(test_free_with_suspended_calls),
        T(test_free_from_a_handler),
        T(test_nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
