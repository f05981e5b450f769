/* Tokens, routes, errors: port-api T-1 to T-5, T-51 (tokens), P-3, P-6, P-9, P-10, P-21, P-22, P-214, P-216, P-217. */
#include "support.h"

#include <sqlite3.h>

static void test_token(void **state)
{
    struct fixture *t = *state;
    struct json a = expect(t, 200, "POST", "/v1/auth/access_token", "{\"clientId\":\"acme\",\"clientSecret\":\"s3\"}");
    struct str token = json_str(at(a, "accessToken"));
    expect_text(a, "tokenType", "\"Bearer\"");
    int64_t left;
    assert_true(json_int64(at(a, "expiresIn"), &left) && left <= 10800 && left > 10700);
    struct str rest, part = str_split(token, '.', &rest);
    assert_true(part.n > 0);
    part = str_split(rest, '.', &rest);
    assert_true(part.n > 0 && rest.n == 43);
    struct json b = expect(t, 200, "POST", "/v1/auth/access_token", "{\"clientId\":\"acme\",\"clientSecret\":\"s3\"}");
    assert_true(str_eq(token, json_str(at(b, "accessToken"))));
    assert_non_null(strstr(t->headers, "application/json; charset=utf-8"));
}

static void test_bad_credentials(void **state)
{
    struct fixture *t = *state;
    expect_error(t, 422, "invalid_request", "POST", "/v1/auth/access_token", "{\"clientId\":\"acme\"}");
    expect_message(t, "clientSecret");
    expect_error(t, 422, "invalid_request", "POST", "/v1/auth/access_token", "{\"clientId\":1,\"clientSecret\":\"x\"}");
    expect_error(t, 400, "invalid_request", "POST", "/v1/auth/access_token", "{\"clientId\":");
    expect_error(t, 401, "invalid_credentials", "POST", "/v1/auth/access_token",
                 "{\"clientId\":\"\",\"clientSecret\":\"\"}");
}

static void test_fixed_auth(void **state)
{
    static const char *const clients[] = {"acme:s3", NULL};
    (void)state;
    struct fixture *t = start_catalog(&(struct catalog_opts){.auth = "fixed", .clients = clients});
    expect_error(t, 401, "invalid_credentials", "POST", "/v1/auth/access_token",
                 "{\"clientId\":\"acme\",\"clientSecret\":\"no\"}");
    get_token(t, "acme");
    expect(t, 200, "GET", "/v1/organization", NULL);
    stop_catalog(t);
}

static void test_unauthorized(void **state)
{
    struct fixture *t = *state;
    char *good = t->token;
    t->token = NULL;
    expect_error(t, 401, "unauthorized", "GET", "/v1/blueprints/dock", NULL);
    t->token = xstrdup("nonsense");
    expect_error(t, 401, "unauthorized", "GET", "/v1/blueprints/dock", NULL);
    free(t->token);
    t->token = good;
    expect_error(t, 404, "not_found", "GET", "/v1/blueprints/dock", NULL);
}

static void test_revoked(void **state)
{
    struct fixture *t = *state;
    char *old = xstrdup(t->token);
    expect(t, 200, "POST", "/_local/tokens/revoke", "{}");
    expect_error(t, 401, "unauthorized", "GET", "/v1/organization", NULL);
    get_token(t, "acme");
    assert_string_not_equal(t->token, old);
    struct json o = expect(t, 200, "GET", "/v1/organization", NULL);
    expect_text(o, "organization.featureFlags", "[]");
    free(old);
}

static void test_expiry(void **state)
{
    struct fixture *t = *state;
    expect(t, 200, "POST", "/_local/clock", "{\"mode\":\"offset\",\"ms\":10799000}");
    expect(t, 200, "GET", "/v1/organization", NULL);
    char *old = xstrdup(t->token);
    get_token(t, "acme"); /* less than a minute left: a new one */
    assert_string_not_equal(t->token, old);
    free(old);
    expect(t, 200, "POST", "/_local/clock", "{\"mode\":\"offset\",\"ms\":99999000}");
    expect_error(t, 401, "unauthorized", "GET", "/v1/organization", NULL);
}

static void test_routes(void **state)
{
    struct fixture *t = *state;
    expect_error(t, 404, "not_found", "GET", "/v1/nowhere", NULL);
    expect_message(t, "Route GET:/v1/nowhere not found");
    assert_non_null(strstr(t->headers, "x-trace-id"));
    expect(t, 405, "PUT", "/v1/organization", "{}");
    assert_non_null(strstr(t->headers, "Allow: GET"));
    expect(t, 200, "GET", "/v1/organization/", NULL);
    expect(t, 200, "GET", "/v1/organization?whatever=1&isPolling=x", NULL);
}

static void test_control_hosts(void **state)
{
    struct fixture *t = *state;
    expect(t, 200, "GET", "/_local/health", NULL);
    t->extra = (struct http_header){STR("Origin"), STR("https://evil.example")};
    expect_error(t, 403, "forbidden", "GET", "/_local/state", NULL);
    t->extra = (struct http_header){STR("Sec-Fetch-Site"), STR("cross-site")};
    expect_error(t, 403, "forbidden", "POST", "/_local/reset", "{\"scope\":\"all\"}");
    t->extra = (struct http_header){STR("Host"), STR("rebind.example:80")};
    expect_error(t, 403, "forbidden", "GET", "/_local/state", NULL);
    t->extra = (struct http_header){0};
    struct fixture *closed = start_catalog(&(struct catalog_opts){.no_control = true});
    expect_error(closed, 404, "not_found", "GET", "/_local/health", NULL);
    stop_catalog(closed);
    struct fixture *guarded = start_catalog(&(struct catalog_opts){.admin_token = "t0p"});
    expect_error(guarded, 403, "forbidden", "GET", "/_local/health", NULL);
    guarded->extra = (struct http_header){STR("x-admin-token"), STR("t0p")};
    expect(guarded, 200, "GET", "/_local/health", NULL);
    stop_catalog(guarded);
}

static void test_second_writer(void **state)
{
    (void)state;
    char *file = temporary_file();
    struct fixture *t = start_catalog(&(struct catalog_opts){.file = file});
    struct catalog *other = NULL;
    struct err e = {0};
    assert_int_equal(catalog_start(t->loop, &(struct catalog_opts){.file = file}, &other, &e), ERR_BUSY);
    char pid[24];
    snprintf(pid, sizeof(pid), "%ld", (long)getpid());
    assert_non_null(strstr(e.msg, pid));
    assert_non_null(strstr(e.msg, catalog_url(t->catalog)));
    stop_catalog(t);
    remove_file(file);
}

static void test_newer_file(void **state)
{
    (void)state;
    char *file = temporary_file();
    stop_catalog(start_catalog(&(struct catalog_opts){.file = file}));
    sqlite3 *h;
    assert_int_equal(sqlite3_open(file, &h), SQLITE_OK);
    sqlite3_exec(h, "PRAGMA user_version = 99", NULL, NULL, NULL);
    sqlite3_close(h);
    struct loop *l = loop_new();
    struct catalog *c = NULL;
    struct err e = {0};
    assert_int_equal(catalog_start(l, &(struct catalog_opts){.file = file}, &c, &e), ERR_CONFIG);
    assert_non_null(strstr(e.msg, "newer"));
    loop_free(l);
    remove_file(file);
}

static void test_restart(void **state)
{
    (void)state;
    char *file = temporary_file();
    struct fixture *t = start_catalog(&(struct catalog_opts){.file = file});
    get_token(t, "acme");
    make_blueprints(t);
    expect(t, 201, "POST", "/v1/integration", "{\"installationId\":\"acme-prod\",\"installationAppType\":\"acme-ci\"}");
    struct buf before, after;
    print_json(at(expect(t, 200, "GET", "/v1/integration/acme-prod/resync-request", NULL), "request"), &before);
    for (int i = 0; i < 3; i++) {
        char *body = xasprintf("{\"identifier\":\"d%d\",\"properties\":{\"lang\":\"c\"}}", i);
        expect(t, 201, "POST", "/v1/blueprints/dock/entities" UP, body);
        free(body);
    }
    char *token = xstrdup(t->token);
    stop_catalog(t);
    t = start_catalog(&(struct catalog_opts){.file = file});
    t->token = token;
    expect_text(expect(t, 200, "GET", "/v1/blueprints/dock/entities-count", NULL), "count", "3");
    print_json(at(expect(t, 200, "GET", "/v1/integration/acme-prod/resync-request", NULL), "request"), &after);
    assert_string_equal(buf_cstr(&before), buf_cstr(&after));
    buf_done(&before);
    buf_done(&after);
    stop_catalog(t);
    remove_file(file);
}

static void add_line(void *arg, struct str json)
{
    buf_addstr(arg, json);
    buf_addc(arg, '\n');
}

static void test_inspection(void **state)
{
    (void)state;
    char *file = temporary_file();
    struct fixture *t = start_catalog(&(struct catalog_opts){.file = file});
    get_token(t, "acme");
    make_blueprints(t);
    expect(t, 201, "POST", "/v1/blueprints/dock/entities" UP,
           "{\"identifier\":\"d1\",\"properties\":{\"lang\":\"c\",\"stars\":1.0},\"relations\":{\"owner\":\"red\"}}");
    struct buf out;
    struct err e = {0};
    buf_init(&out, BUF_NO_LIMIT);
    assert_int_equal(catalog_list(file, &out, &e), 0); /* while it is served */
    struct json_doc *doc;
    assert_int_equal(json_parse(buf_str(&out), &doc, NULL), 0);
    expect_text(json_root(doc), "entities", "2");
    expect_text(json_root(doc), "blueprints.1.identifier", "\"dock\"");
    expect_text(json_root(doc), "blueprints.1.entities", "1");
    assert_int_equal(json_len(at(json_root(doc), "blueprints")), 3);
    json_unref(doc);
    buf_reset(&out);
    assert_int_equal(catalog_show(file, "dock", NULL, add_line, &out, &e), 0);
    assert_non_null(strstr(buf_cstr(&out), "\"stars\":1.0"));
    buf_reset(&out);
    assert_int_equal(catalog_show(file, "crew", "red", add_line, &out, &e), 0);
    assert_non_null(strstr(buf_cstr(&out), "\"$datasource\":\"" UA_A "\""));
    assert_int_equal(catalog_show(file, "crew", "ghost", add_line, &out, &e), ERR_NOT_FOUND);
    assert_int_equal(catalog_show(file, "nope", NULL, add_line, &out, &e), ERR_NOT_FOUND);
    assert_int_equal(catalog_list("/nonexistent/c.db", &out, &e), ERR_NOT_FOUND);
    assert_non_null(strstr(e.msg, "/nonexistent/c.db"));
    buf_done(&out);
    stop_catalog(t);
    remove_file(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_token, setup_plain, teardown),
        cmocka_unit_test_setup_teardown(test_bad_credentials, setup_plain, teardown),
        cmocka_unit_test(test_fixed_auth),
        cmocka_unit_test_setup_teardown(test_unauthorized, setup_plain, teardown),
        cmocka_unit_test_setup_teardown(test_revoked, setup_plain, teardown),
        cmocka_unit_test_setup_teardown(test_expiry, setup_plain, teardown),
        cmocka_unit_test_setup_teardown(test_routes, setup_plain, teardown),
        cmocka_unit_test_setup_teardown(test_control_hosts, setup_plain, teardown),
        cmocka_unit_test(test_second_writer),
        cmocka_unit_test(test_newer_file),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_inspection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
