/* support.h: a catalog in this process and a client that waits. Every answer is kept until stop_catalog, so that tests
 * may look at several. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"
#include "catalog/catalog.h"
#include "io/http_client.h"
#include "json/json.h"
#include "json/write.h"

#define UA_A "port-ocean/acme-ci/1.4.2/acme-prod/exporter"
#define UA_B "port-ocean/acme-ci/2.0.0/acme-dev/exporter"
#define UP "?upsert=true&merge=true&create_missing_related_entities=true"
#define UP0 "?upsert=true&merge=true&create_missing_related_entities=false"
#define KEEP 512

struct fixture {
    struct loop *loop;
    struct catalog *catalog;
    struct http_client *http;
    char *token;
    const char *agent;
    struct http_header extra; /* sent too, when its name is set */
    struct json_doc *docs[KEEP];
    size_t ndocs;
    /* of the last answer */
    int status; /* 0: none came */
    struct json root;
    char headers[4096];
    bool done;
};

static inline void on_answer(void *arg, struct http_resp *resp, const struct err *e)
{
    struct fixture *t = arg;
    (void)e;
    t->done = true;
    t->status = resp ? resp->status : 0;
    t->root = JSON_NONE;
    t->headers[0] = 0;
    if (!resp)
        return;
    for (size_t i = 0; i < resp->nheaders; i++) {
        size_t n = strlen(t->headers);
        snprintf(t->headers + n, sizeof(t->headers) - n, "%.*s: %.*s\n", STR_FMT(resp->headers[i].name),
                 STR_FMT(resp->headers[i].value));
    }
    struct err pe = {0};
    assert_true(t->ndocs < KEEP);
    if (json_parse(buf_str(&resp->body), &t->docs[t->ndocs], &pe) < 0)
        fail_msg("answer is not JSON: %s: %s", pe.msg, buf_cstr(&resp->body));
    t->root = json_root(t->docs[t->ndocs++]);
    assert_true(json_is_obj(t->root));
}

static inline struct json call(struct fixture *t, const char *method, const char *path, const char *body)
{
    struct http_header h[4];
    size_t n = 0;
    char *url = xasprintf("%s%s", strncmp(path, "http", 4) ? catalog_url(t->catalog) : "", path), *bearer = NULL;
    h[n++] = (struct http_header){STR("User-Agent"), str_of(t->agent)};
    if (t->token) {
        bearer = xasprintf("Bearer %s", t->token);
        h[n++] = (struct http_header){STR("Authorization"), str_of(bearer)};
    }
    if (t->extra.name.p)
        h[n++] = t->extra;
    struct http_spec spec = {.method = method, .url = url, .headers = h, .nheaders = n, .total_timeout_ms = 60000};
    buf_init(&spec.body, BUF_NO_LIMIT);
    if (body)
        buf_adds(&spec.body, body);
    struct err e = {0};
    t->done = false;
    assert_non_null(http_send(t->http, &spec, on_answer, t, &e));
    while (!t->done)
        loop_turn(t->loop, true);
    free(url);
    free(bearer);
    return t->root;
}

static inline void print_json(struct json j, struct buf *out)
{
    buf_init(out, BUF_NO_LIMIT);
    if (j.v)
        json_write(out, j);
    else
        buf_adds(out, "(missing)");
}

/* The call, and its status. */
static inline struct json expect(struct fixture *t, int status, const char *method, const char *path, const char *body)
{
    struct json root = call(t, method, path, body);
    if (t->status != status) {
        struct buf b;
        print_json(root, &b);
        fail_msg("%s %s: status %d instead of %d: %s", method, path, t->status, status, buf_cstr(&b));
    }
    if (root.v)
        assert_int_equal(json_is_true(json_get_c(root, "ok")), status < 300 && status != 207);
    return root;
}

/* Names and indexes separated by dots. */
static inline struct json at(struct json j, const char *path)
{
    for (struct str rest = str_of(path); rest.p && rest.n;) {
        int64_t i;
        struct str step = str_split(rest, '.', &rest);
        j = json_is_arr(j) && str_int64(step, &i) ? json_at(j, (size_t)i) : json_get(j, step);
    }
    return j;
}

/* The text of a value, as it stands in the answer. */
static inline void expect_text(struct json j, const char *path, const char *text)
{
    struct buf b;
    print_json(at(j, path), &b);
    if (strcmp(buf_cstr(&b), text) != 0)
        fail_msg("%s is %s instead of %s", path, buf_cstr(&b), text);
    buf_done(&b);
}

static inline void expect_missing(struct json j, const char *path) { assert_null(at(j, path).v); }

static inline void expect_error(struct fixture *t, int status, const char *error, const char *method, const char *path,
                                const char *body)
{
    struct json root = expect(t, status, method, path, body);
    if (!str_is(json_str(json_get_c(root, "error")), error))
        fail_msg("error is %.*s instead of %s", STR_FMT(json_str(json_get_c(root, "error"))), error);
    assert_true(json_is_str(json_get_c(root, "message")));
}

static inline void expect_message(struct fixture *t, const char *part)
{
    struct str m = json_str(json_get_c(t->root, "message"));
    if (!m.p || !memmem(m.p, m.n, part, strlen(part)))
        fail_msg("message is \"%.*s\", without \"%s\"", STR_FMT(m), part);
}

static inline void get_token(struct fixture *t, const char *client)
{
    char *body = xasprintf("{\"clientId\":\"%s\",\"clientSecret\":\"s3\"}", client);
    free(t->token);
    t->token = NULL;
    struct json root = expect(t, 200, "POST", "/v1/auth/access_token", body);
    t->token = str_dup(json_str(json_get_c(root, "accessToken")));
    free(body);
}

static inline struct fixture *start_catalog(const struct catalog_opts *opts)
{
    struct fixture *t = xcalloc(1, sizeof(*t));
    struct catalog_opts o = opts ? *opts : (struct catalog_opts){0};
    struct err e = {0};
    log_set_level("off");
    if (!o.file)
        o.file = ":memory:";
    t->agent = UA_A;
    t->loop = loop_new();
    if (catalog_start(t->loop, &o, &t->catalog, &e) < 0)
        fail_msg("%s", e.msg);
    t->http = http_client_new(t->loop, &(struct http_client_opts){.no_proxy = true});
    return t;
}

static inline void stop_catalog(struct fixture *t)
{
    http_client_free(t->http);
    catalog_stop(t->catalog);
    for (size_t i = 0; i < t->ndocs; i++)
        json_unref(t->docs[i]);
    free(t->token);
    loop_free(t->loop);
    free(t);
}

/* The blueprints of the specification's test cases: crew, dock, berth. */
static inline void make_blueprints(struct fixture *t)
{
    expect(t, 201, "POST", "/v1/blueprints",
           "{\"identifier\":\"crew\",\"title\":\"Crew\",\"schema\":{\"properties\":{"
           "\"mail\":{\"type\":\"string\",\"format\":\"email\"},\"size\":{\"type\":\"number\",\"default\":1}}}}");
    expect(
        t, 201, "POST", "/v1/blueprints",
        "{\"identifier\":\"dock\",\"title\":\"Dock\",\"schema\":{\"properties\":{"
        "\"lang\":{\"type\":\"string\",\"enum\":[\"c\",\"lua\"]},\"stars\":{\"type\":\"number\",\"minimum\":0},"
        "\"live\":{\"type\":\"boolean\"},\"home\":{\"type\":\"string\",\"format\":\"url\"},"
        "\"seen\":{\"type\":\"string\",\"format\":\"date-time\"},"
        "\"tags\":{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"maxItems\":3},\"meta\":{\"type\":\"object\"}},"
        "\"required\":[\"lang\"]},\"relations\":{\"owner\":{\"target\":\"crew\"},"
        "\"uses\":{\"target\":\"dock\",\"many\":true}}}");
    expect(t, 201, "POST", "/v1/blueprints",
           "{\"identifier\":\"berth\",\"title\":\"Berth\",\"schema\":{\"properties\":{}},"
           "\"relations\":{\"dock\":{\"target\":\"dock\",\"required\":true}}}");
}

static inline int setup_plain(void **state)
{
    struct fixture *t = start_catalog(NULL);
    get_token(t, "acme");
    *state = t;
    return 0;
}

static inline int setup_blueprints(void **state)
{
    setup_plain(state);
    make_blueprints(*state);
    return 0;
}

static inline int teardown(void **state)
{
    stop_catalog(*state);
    return 0;
}

static inline char *temporary_file(void)
{
    char dir[] = "/tmp/catalog-test-XXXXXX";
    assert_non_null(mkdtemp(dir));
    return xasprintf("%s/c.db", dir);
}

static inline void remove_file(char *file)
{
    static const char *const tails[] = {"", "-wal", "-shm", ".lock"};
    for (size_t i = 0; i < 4; i++) {
        char *p = xasprintf("%s%s", file, tails[i]);
        unlink(p);
        free(p);
    }
    *strrchr(file, '/') = 0;
    rmdir(file);
    free(file);
}
