/* ocean.http, auth and paginate against a third party on loopback: requests as sent, retries, what raises, what taints.
 */
#include "unit/script/support.h"

struct third {
    int port;
    struct buf log;      /* "METHOD path?query|authorization|body" a line */
    size_t calls, flaky; /* /flaky answers 503 so often */
    struct http_call *held;
};

static struct third third;

static void reply(struct http_call *c, int status, const char *type, const char *body, const char *link)
{
    struct buf b;
    struct http_header h[3] = {{STR("X-One"), STR("a")}, {STR("x-one"), STR("b")}, {STR("Link"), str_of(link)}};
    buf_init(&b, BUF_NO_LIMIT);
    buf_adds(&b, body);
    http_reply(c, status, type, &b, h, link ? 3 : 2);
}

static long param(struct http_call *c, const char *name, long otherwise)
{
    struct buf v;
    buf_init(&v, 1000);
    long n = http_call_param(c, name, 0, &v) ? atol(buf_cstr(&v)) : otherwise;
    buf_done(&v);
    return n;
}

/* Items first..last as objects. */
static void add_items(struct buf *b, long first, long last)
{
    buf_addc(b, '[');
    for (long i = first; i <= last; i++)
        buf_addf(b, "%s{\"id\":%ld}", i > first ? "," : "", i);
    buf_addc(b, ']');
}

/* 25 items; page/per_page, offset/limit, cursor, Link header. */
static void serve_list(struct http_call *c, struct str path)
{
    struct buf b;
    char link[200] = "";
    buf_init(&b, BUF_NO_LIMIT);
    long size = param(c, "per_page", 10), page = param(c, "page", 1), first = (page - 1) * size + 1;
    if (str_is(path, "/offset")) {
        first = param(c, "offset", 0) + 1;
        size = param(c, "limit", 10);
    } else if (str_is(path, "/cursor")) {
        first = param(c, "cursor", 0) + 1;
    }
    long last = first + size - 1 < 25 ? first + size - 1 : 25;
    if (str_is(path, "/pages")) {
        add_items(&b, first, last);
    } else if (str_is(path, "/link")) {
        add_items(&b, first, last);
        snprintf(link, sizeof(link), "</link?page=1>; rel=\"first\"%s</link?page=%ld&per_page=%ld>; rel=next",
                 last < 25 ? ", " : ";x=", page + 1, size);
        if (last >= 25)
            snprintf(link, sizeof(link), "</link?page=1>; rel=\"first\"");
    } else {
        buf_adds(&b, "{\"data\":{\"items\":");
        add_items(&b, first, last);
        buf_addf(&b, "},\"total\":25,\"more\":%s,\"next\":%s%ld%s}", last < 25 ? "true" : "false",
                 last < 25 ? "\"" : "", last < 25 ? last : 0, last < 25 ? "\"" : "");
        if (last >= 25) {
            buf_reset(&b);
            buf_adds(&b, "{\"data\":{\"items\":");
            add_items(&b, first, last);
            buf_adds(&b, "},\"total\":25,\"more\":false,\"next\":null}");
        }
    }
    reply(c, 200, "application/json", buf_cstr(&b), link[0] ? link : NULL);
    buf_done(&b);
}

static void handle(void *arg, struct http_call *c)
{
    struct str path = http_call_path(c), query = http_call_query(c);
    (void)arg;
    third.calls++;
    buf_addf(&third.log, "%s %.*s%s%.*s|%.*s|%.*s\n", http_call_method(c), STR_FMT(path), query.n ? "?" : "",
             STR_FMT(query), STR_FMT(http_call_header(c, STR("authorization"))), STR_FMT(http_call_body(c)));
    if (str_is(path, "/pages") || str_is(path, "/offset") || str_is(path, "/cursor") || str_is(path, "/link"))
        serve_list(c, path);
    else if (str_is(path, "/same"))
        reply(c, 200, "application/json", "[{\"id\":1}]", NULL);
    else if (str_is(path, "/flaky") && third.flaky > 0) {
        third.flaky--;
        reply(c, 503, "text/plain", "busy", NULL);
    } else if (str_is(path, "/404") || (str_is(path, "/404-later") && param(c, "page", 1) > 1))
        reply(c, 404, "application/json", "{\"error\":\"no such\n thing\"}", NULL);
    else if (str_is(path, "/500"))
        reply(c, 500, "text/plain", "", NULL);
    else if (str_is(path, "/html"))
        reply(c, 200, "text/html", "<html>log in</html>", NULL);
    else if (str_is(path, "/reset"))
        http_abort(c);
    else if (str_is(path, "/hold"))
        third.held = c;
    else if (str_is(path, "/empty"))
        reply(c, 204, NULL, "", NULL);
    else
        reply(c, 200, "application/json", "[{\"id\":1},{\"id\":2}]",
              "<https://other.example/x>; title=\"a, b\"; rel=\"up next\"");
}

/* A rig whose script has `api`, a client of the third party, and a handler with this body. */
static struct rig *http_rig(const char *options, const char *body)
{
    struct err e = {0};
    memset(&third, 0, sizeof(third));
    buf_init(&third.log, BUF_NO_LIMIT);
    struct rig *r = rig_loaded("ocean.on_resync('k', function(kind) return handler() end)");
    struct http_server_opts o = {.handle = handle};
    if (http_server_start(r->loop, &o, &r->server, &e) < 0)
        fail_msg("%s", e.msg);
    third.port = http_server_port(r->server);
    char *script =
        xasprintf("BASE = 'http://127.0.0.1:%d'\n"
                  "api = ocean.http.client { base_url = BASE, retry = { base = 0.001, max = 0.01, attempts = 3 }%s }\n"
                  "function handler()\n%s\nend\n",
                  third.port, options, body);
    FILE *f = fopen(r->path, "w");
    fputs(script, f);
    fclose(f);
    free(script);
    r->loaded = false;
    vm_load(r->vm, r->path, on_loaded, r);
    turn_until(r, &r->loaded);
    if (r->load_error.code)
        fail_msg("%s", r->load_error.msg);
    return r;
}

static void http_rig_free(struct rig *r)
{
    rig_free(r);
    buf_done(&third.log);
}

static struct rig *http_run(const char *options, const char *body)
{
    struct rig *r = http_rig(options, body);
    rig_run(r, "k");
    return r;
}

static void requests_as_sent(void **state)
{
    (void)state;
    struct rig *r = http_run(
        ", auth = ocean.auth.bearer('tok'), headers = { ['X-Team'] = 'a' }",
        "local res = api:get('/x', { params = { b = { 1, 2 }, a = 'ä &', c = true, d = ocean.http.csv { 1, 'x' }, n = "
        "ocean.null } })\n"
        "assert(res.status == 200 and res.headers['X-ONE'] == 'a, b' and res.url:find('/x%?a='))\n"
        "assert(res:text() == '[{\"id\":1},{\"id\":2}]' and res:json()[2].id == 2 and res:json() ~= res:json())\n"
        "assert(res:link('next') == 'https://other.example/x' and res:link('prev') == nil and res:raise() == res)\n"
        "api:post('p?q=1', { json = { a = ocean.array {} }, params = { r = 2 } })\n"
        "api:put('/f', { form = { a = 'b c', d = 1 } }) api:patch(BASE .. '/raw', { body = 'raw' })\n"
        "api:delete('/d', { headers = { authorization = 'mine' } })\n"
        "local v, r2 = api:json('get', '/j') assert(v[1].id == 1 and r2.status == 200)\n"
        "assert(api:json('GET', '/empty') == nil) assert(api:request { url = '/r' }.status == 200)\n"
        "return {{ ok = 1 }}");
    assert_string_equal(errors(r), "");
    assert_string_equal(taints(r), "");
    assert_string_equal(buf_cstr(&third.log), "GET /x?a=%C3%A4%20%26&b=1&b=2&c=true&d=1%2Cx|Bearer tok|\n"
                                              "POST /p?q=1&r=2|Bearer tok|{\"a\":[]}\n"
                                              "PUT /f|Bearer tok|a=b%20c&d=1\n"
                                              "PATCH /raw|Bearer tok|raw\n"
                                              "DELETE /d|mine|\n"
                                              "GET /j|Bearer tok|\nGET /empty|Bearer tok|\nGET /r|Bearer tok|\n");
    assert_int_equal(r->sink.report.http_requests, 8);
    assert_int_equal(r->sink.report.answers_2xx, 8);
    http_rig_free(r);
}

static void credentials_stay_with_their_host(void **state)
{
    (void)state;
    struct rig *r = http_run(", auth = ocean.auth.basic('u', 'p')",
                             "api:get('/x') local there = BASE:gsub('127.0.0.1', 'localhost') api:get(there .. '/y')\n"
                             "return {{ ok = 1 }}");
    assert_string_equal(errors(r), "");
    assert_has(buf_cstr(&third.log), "GET /x|Basic dTpw|\nGET /y||\n");
    http_rig_free(r);
    /* user and password of a URL are in no message */
    r = http_run("", "local u = BASE:gsub('//', '//me:hidden@') pcall(api.get, api, u .. '/500')\n"
                     "pcall(api.json, api, 'GET', u .. '/html') pcall(api.get, api, u .. '/reset') error('end')");
    assert_int_equal(r->sink.ntaints, 3);
    assert_hasnt(taints(r), "hidden");
    http_rig_free(r);
    r = http_run(", auth = ocean.auth.bearer(function() n = (n or 0) + 1 ocean.sleep(0) return 't' .. n end)",
                 "api:get('/x') api:get('/y') return {{ ok = 1 }}");
    assert_string_equal(buf_cstr(&third.log), "GET /x|Bearer t1|\nGET /y|Bearer t2|\n");
    http_rig_free(r);
}

static void repeats(void **state)
{
    (void)state;
    struct rig *r = http_rig("", "return api:json('GET', '/flaky')");
    third.flaky = 2;
    rig_run(r, "k");
    assert_string_equal(errors(r), "");
    assert_string_equal(taints(r), "");
    assert_int_equal(third.calls, 3);
    assert_int_equal(r->sink.report.answers_2xx, 1);
    http_rig_free(r);
    /* attempts are counted as repeats; a POST only when it is said to be retryable */
    r = http_rig(
        "",
        "pcall(api.get, api, '/flaky') pcall(api.post, api, '/flaky')\n"
        "pcall(api.post, api, '/flaky', { retryable = true }) pcall(api.get, api, '/flaky', { retryable = false })\n"
        "return {}");
    third.flaky = 100;
    rig_run(r, "k");
    assert_int_equal(third.calls, 4 + 1 + 4 + 1);
    http_rig_free(r);
    r = http_rig(
        "", "local c = ocean.http.client { base_url = BASE, retry = { attempts = 5, base = 0, add_statuses = { 500 },\n"
            "  on_retry = function(req, res, n) ocean.sleep(0) seen = n assert(res.status == 500)\n"
            "    if n == 2 then req.url = req.url:gsub('/500', '/fine') return req end end } }\n"
            "assert(c:get('/500').status == 200) return {{ n = seen }}");
    rig_run(r, "k");
    assert_string_equal(errors(r), "");
    assert_string_equal(batches(r), "list [{\"n\":2}]\n");
    http_rig_free(r);
}

static void failures_raise_and_taint(void **state)
{
    (void)state;
    /* raised and not caught: one error, no second one for the taint */
    struct rig *r = http_run("", "local v = api:json('GET', '/404?token=secret') return v");
    assert_int_equal(r->sink.nerrors, 1);
    assert_int_equal(r->sink.ntaints, 0);
    assert_has(errors(r), "s.lua:4: GET http://127.0.0.1:");
    assert_has(errors(r), "/404 answered 404 Not Found: {\"error\":\"no such thing\"}");
    assert_hasnt(errors(r), "secret");
    http_rig_free(r);
    /* a tail call leaves no frame: then the handler's own place is named */
    r = http_run("", "return api:get('/404')");
    assert_has(errors(r), "s.lua:1: GET http://127.0.0.1:");
    http_rig_free(r);
    /* caught: a taint */
    r = http_run("", "local ok, e = pcall(api.get, api, '/500')\n"
                     "return {{ kind = e.kind, status = e.status, retryable = e.retryable, text = "
                     "tostring(e):match('answered.*'), url = e.url:match('/500') }}");
    assert_string_equal(errors(r), "");
    assert_int_equal(r->sink.ntaints, 1);
    assert_has(taints(r), "/500 answered 500 Internal Server Error");
    assert_string_equal(batches(r), "list [{\"kind\":\"http\",\"retryable\":false,\"status\":500,"
                                    "\"text\":\"answered 500 Internal Server Error\",\"url\":\"/500\"}]\n");
    http_rig_free(r);
    /* raise = false taints, too; ignored statuses do not */
    r = http_run(", ignore_status = { 404 }", "assert(api:get('/404').status == 404) local v, res = api:json('GET', "
                                              "'/404') assert(v == nil and res.status == 404)\n"
                                              "assert(api:get('/500', { raise = false }).status == 500) "
                                              "assert(api:get('/500', { ignore_status = { 500 } }))\n"
                                              "return {}");
    assert_string_equal(errors(r), "");
    assert_int_equal(r->sink.ntaints, 1);
    assert_int_equal(r->sink.report.ignored_statuses, 3);
    assert_true(r->sink.report.explicit_empty);
    http_rig_free(r);
    r = http_run("", "local ok, e = pcall(api.get, api, '/reset') return {{ kind = e.kind, retryable = e.retryable }}");
    assert_string_equal(batches(r), "list [{\"kind\":\"transport\",\"retryable\":true}]\n");
    assert_int_equal(r->sink.ntaints, 1);
    assert_int_equal(third.calls, 4);
    http_rig_free(r);
    r = http_run(
        "", "local ok, e = pcall(api.json, api, 'GET', '/html')\n"
            "local ok, f = pcall(function() return api:get('/html'):json() end) return {{ a = e.kind, b = f.kind }}");
    assert_string_equal(batches(r), "list [{\"a\":\"parse\",\"b\":\"parse\"}]\n");
    assert_has(taints(r), "/html answered 200 with a body that is not JSON (content-type text/html");
    http_rig_free(r);
    r = http_run("", "local ok, e = pcall(api.get, api, '/x', { max_size = 3 }) return {{ kind = e.kind }}");
    assert_string_equal(batches(r), "list [{\"kind\":\"too_big\"}]\n");
    assert_int_equal(r->sink.ntaints, 1);
    http_rig_free(r);
    r = http_run(
        "",
        "local ok, e = pcall(api.get, api, '/hold', { timeout = 0.05, retryable = false }) return {{ kind = e.kind }}");
    assert_string_equal(batches(r), "list [{\"kind\":\"timeout\"}]\n");
    reply(third.held, 200, NULL, "", NULL);
    http_rig_free(r);
}

static void misuse(void **state)
{
    (void)state;
    expect_error("ocean.http.client { base_ur = 'x' }",
                 "s.lua:2: ocean.http.client: unknown option 'base_ur'; did you mean 'base_url'?");
    expect_error("ocean.http.client { timeout = '5' }",
                 "ocean.http.client: option 'timeout' must be a number, got string");
    expect_error("ocean.http.client { retry = { attempt = 1 } }",
                 "ocean.http.client: retry: unknown option 'attempt'; did you mean 'attempts'?");
    expect_error("ocean.http.client { retry = { jitter = 0.7 } }", "retry.jitter must be between 0 and 0.5, got 0.7");
    expect_error("ocean.http.client { base_url = 'ftp://x' }", "ocean.http.client: base_url: ");
    expect_error("ocean.http.client():get('/x')", "client:get: '/x' is relative and the client has no base_url");
    expect_error("ocean.http.client():get('http://h/', { parms = {} })",
                 "client:get: unknown option 'parms'; did you mean 'params'?");
    expect_error("ocean.http.client { base_url = 'http://h' }.get('/x')", "call it with a colon");
    expect_error("ocean.http.client { base_url = 'http://h', headers = { a = 'x\\n' } }:get('/')",
                 "a header value contains a line break");
    expect_error("ocean.auth.bearer(nil)",
                 "ocean.auth.bearer: the token must be a string or function, got nil; is the setting");
    expect_error("ocean.auth.bearer('')", "the token is empty");
    expect_error("ocean.paginate.page(1, '/x')", "ocean.paginate.page: the first argument must be a client");
    expect_error("local c = ocean.http.client { base_url = 'http://h' } ocean.paginate.page(c, '/x', { item = 'a' })",
                 "ocean.paginate.page: unknown option 'item'; did you mean 'items'?");
    expect_error(
        "table.sort({3, 1, 2}, function(a, b) ocean.http.client():get('http://127.0.0.1:1/') return a < b end)",
        "client:get cannot wait inside a table.sort comparator: fetch what");
}

/* Runs a paginator over all pages; the ids of each page, and how many requests it took. */
static void expect_pages(const char *call, const char *ids, size_t requests)
{
    char *body = xasprintf("local out, sum = {}, 0 for page in ocean.paginate.%s do\n"
                           "  out[#out + 1] = page[1].id .. '-' .. page[#page].id ocean.yield(page) end\n"
                           "ids = table.concat(out, ' ') return nil",
                           call);
    struct rig *r = http_run("", body);
    free(body);
    assert_string_equal(errors(r), "");
    assert_string_equal(taints(r), "");
    assert_int_equal(third.calls, requests);
    char *all = xasprintf("%s", ids);
    size_t pages = 1;
    for (char *p = all; (p = strchr(p, ' ')) != NULL; p++)
        pages++;
    free(all);
    assert_int_equal(r->sink.pushes, pages);
    assert_has(batches(r), "{\"id\":25}");
    http_rig_free(r);
}

/* The response that comes with the value of client:json is no option of ocean.yield. */
static void yields_an_answer(void **state)
{
    (void)state;
    struct rig *r = http_run("", "ocean.yield(api:json('GET', '/pages?per_page=2'))");
    assert_string_equal(errors(r), "");
    assert_string_equal(batches(r), "[{\"id\":1},{\"id\":2}]\n");
    http_rig_free(r);
    expect_error("ocean.yield({}, 'x')", "s.lua:2: ocean.yield: the options must be a table, got string");
}

static void pagination(void **state)
{
    (void)state;
    expect_pages("page(api, '/pages', { size = 10 })", "1-10 11-20 21-25", 4);
    expect_pages("offset(api, '/offset', { size = 10, items = 'data.items', total = 'total' })", "1-10 11-20 21-25", 3);
    expect_pages("offset(api, '/offset', { size = 10, items = 'data.items', more = 'more' })", "1-10 11-20 21-25", 3);
    expect_pages("offset(api, '/offset', { size = 10, items = function(v) return v.data.items end })",
                 "1-10 11-20 21-25", 4);
    expect_pages("page(api, '/pages', { size = 10, last_page = function() return 3 end })", "1-10 11-20 21-25", 3);
    expect_pages("cursor(api, '/cursor', { items = 'data.items', next = 'next' })", "1-10 11-20 21-25", 3);
    expect_pages("link(api, '/link', { params = { per_page = 10 } })", "1-10 11-20 21-25", 3);
}

static void incomplete_listings(void **state)
{
    (void)state;
    struct rig *r = http_run("", "for page in ocean.paginate.page(api, '/same') do ocean.yield(page) end");
    assert_has(errors(r), "is identical to the one before: does the server know the parameter 'page'?");
    assert_has(errors(r), "s.lua:4: ocean.paginate.page: page 2 of GET ");
    assert_int_equal(r->sink.nerrors, 1);
    http_rig_free(r);
    r = http_run("", "for page in ocean.paginate.offset(api, '/offset', { items = 'data.rows' }) do end");
    assert_has(errors(r), "a list was expected at 'data.rows', found nothing");
    http_rig_free(r);
    r = http_run("", "pcall(function() for page in ocean.paginate.offset(api, '/offset') do end end)");
    assert_has(taints(r),
               "a list was expected in the answer itself (name its place with the option 'items'), found object");
    http_rig_free(r);
    r = http_run("", "local n = 0 for page in ocean.paginate.offset(api, '/offset', { items = 'nope', items_optional = "
                     "true }) do n = 1 end\n"
                     "return {{ n = n }}");
    assert_string_equal(errors(r), "");
    assert_string_equal(taints(r), "");
    http_rig_free(r);
    r = http_run("", "for page in ocean.paginate.page(api, '/404', { ignore_status = { 404 } }) do end");
    assert_string_equal(taints(r), "");
    assert_int_equal(r->sink.report.ignored_statuses, 1);
    http_rig_free(r);
    r = http_run("", "for page in ocean.paginate.page(api, '/404-later', { ignore_status = { 404 } }) do end");
    assert_has(taints(r), "/404-later answered 404, an ignored status, after other pages");
    http_rig_free(r);
    r = http_run("", "local n = 0 for page in ocean.paginate.page(api, '/pages', { size = 10, max_items = 20 }) do n = "
                     "n + #page end\n"
                     "return {{ n = n }}");
    assert_string_equal(batches(r), "list [{\"n\":20}]\n");
    assert_has(taints(r), "stopped after 20 items (max_items = 20)");
    http_rig_free(r);
}

static void cancelled_request(void **state)
{
    (void)state;
    struct rig *r = http_rig("", "local gen = coroutine.wrap(function() api:get('/hold') end) gen()");
    const struct source *s = vm_source(r->vm);
    void *run = rig_start(r, "k");
    while (!third.held)
        loop_turn(r->loop, true);
    s->cancel(s->arg, run);
    turn_until(r, &r->sink.done);
    assert_string_equal(errors(r), "");
    assert_string_equal(taints(r), "");
    reply(third.held, 200, NULL, "", NULL);
    http_rig_free(r);
    r = http_rig("", "api:get('/hold')"); /* freed in the middle of a request */
    rig_start(r, "k");
    while (!third.held)
        loop_turn(r->loop, true);
    vm_free(r->vm);
    r->vm = NULL;
    reply(third.held, 200, NULL, "", NULL);
    http_rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_as_sent),
        cmocka_unit_test(credentials_stay_with_their_host),
        cmocka_unit_test(repeats),
        cmocka_unit_test(failures_raise_and_taint),
        cmocka_unit_test(misuse),
        cmocka_unit_test(yields_an_answer),
        cmocka_unit_test(pagination),
        cmocka_unit_test(incomplete_listings),
        cmocka_unit_test(cancelled_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
