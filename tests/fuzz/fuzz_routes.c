/* Crash fuzzer of the catalog's HTTP routes, over loopback within one process. An input is a sequence of requests
 * separated by "\n--\n"; each one is
 *
 *     METHOD TARGET
 *     Name: value        (any number of headers; the token and Content-Length are added)
 *
 *     body
 *
 * or, if it begins with "!", bytes that go to the server as they are. "#N" as METHOD TARGET is route N of the table with
 * the words behind it as path parameters, which lets mutations reach every route. Nothing may crash, hang or leak, and
 * every answer that says it is JSON must be a JSON object. The catalog is emptied after each input.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/str.h"
#include "catalog/catalog.h"
#include "catalog/routes.h"
#include "io/loop.h"
#include "json/json.h"

#define PATIENCE_MS 2000 /* a request may wait, hang or be cut off by a fault */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct loop *loop;
static struct catalog *catalog;
static int fd = -1;
static struct buf answer;
static char *token;

static void reconnect(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    if (fd >= 0)
        close(fd);
    a.sin_port = htons((uint16_t)atoi(strrchr(catalog_url(catalog), ':') + 1));
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        abort();
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static void too_late(void *arg) { *(bool *)arg = true; }

/* Is a whole answer here? A mutated head may be several requests, and what follows the first answer is another one. */
static bool complete(struct str *ret_body)
{
    const char *end = answer.n ? strstr(buf_cstr(&answer), "\r\n\r\n") : NULL;
    const char *length = end ? strcasestr(answer.p, "\r\nContent-Length:") : NULL;
    if (!end)
        return false;
    *ret_body = (struct str){end + 4, answer.n - (size_t)(end + 4 - answer.p)};
    if (!length || length > end)
        return answer.n >= 5 && !memcmp(answer.p + answer.n - 5, "0\r\n\r\n", 5);
    size_t n = strtoull(length + 17, NULL, 10);
    if (ret_body->n < n)
        return false;
    ret_body->n = n;
    return true;
}

static void check(struct str body)
{
    const char *type = strcasestr(answer.p, "Content-Type: application/json");
    struct json_doc *doc = NULL;
    struct err e = {0};
    if (!type || type > body.p)
        return;
    if (json_parse(body, &doc, &e) < 0 || !json_is_obj(json_root(doc))) {
        fprintf(stderr, "no JSON object: %s: %.*s\n", e.msg, (int)(body.n > 500 ? 500 : body.n), body.p);
        abort();
    }
    json_unref(doc);
}

/* Sends, and turns the loop until the answer is here or the connection is over. */
static void exchange(struct str request, bool looked_at)
{
    bool late = false, sent_all = false;
    size_t sent = 0;
    struct str body = STR_NULL;
    struct timer *limit = timer_start(loop, PATIENCE_MS, 0, too_late, &late);
    buf_reset(&answer);
    while (!late) {
        char piece[16384];
        if (!sent_all) {
            ssize_t n = send(fd, request.p + sent, request.n - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
            sent += n > 0 ? (size_t)n : 0;
            sent_all = sent == request.n;
        }
        loop_turn(loop, sent_all && looked_at);
        ssize_t n = recv(fd, piece, sizeof(piece), MSG_DONTWAIT);
        if (n > 0)
            buf_add(&answer, piece, (size_t)n);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            break;
        if (complete(&body) || (!looked_at && sent_all && n < 0))
            break;
    }
    if (!late)
        timer_stop(limit);
    bool whole = looked_at && complete(&body);
    if (whole)
        check(body);
    if (!whole || body.p + body.n != answer.p + answer.n)
        reconnect();
}

static void start(void)
{
    struct err e = {0};
    log_set_level("off");
    loop = loop_new();
    buf_init(&answer, BUF_NO_LIMIT);
    if (catalog_start(loop, &(struct catalog_opts){.file = ":memory:", .journal = 64, .journal_bodies = "all"}, &catalog,
                      &e) < 0)
        abort();
    reconnect();
}

static void put_target(struct buf *b, struct str line)
{
    struct str rest, head = str_split(line, ' ', &rest);
    int64_t n;
    if (!head.n || head.p[0] != '#' || !str_int64((struct str){head.p + 1, head.n - 1}, &n) || n < 0) {
        buf_addf(b, "%.*s HTTP/1.1\r\n", STR_FMT(line));
        return;
    }
    const struct route *r = &catalog_routes[(size_t)n % catalog_nroutes];
    buf_addf(b, "%s /", r->method);
    for (const char *p = r->path; *p; p++) {
        if (p[0] != '{') {
            buf_addc(b, *p);
            continue;
        }
        struct str word = rest.p ? str_split(rest, ' ', &rest) : STR("x");
        buf_addstr(b, word.n ? word : STR("x"));
        p++;
    }
    buf_addstr(b, rest.p ? rest : STR(""));
    buf_adds(b, " HTTP/1.1\r\n");
}

static void build(struct buf *b, struct str text)
{
    struct str rest, line = str_split(text, '\n', &rest);
    put_target(b, line);
    buf_adds(b, "Host: 127.0.0.1\r\n");
    if (token)
        buf_addf(b, "Authorization: Bearer %s\r\n", token);
    while (rest.p && (line = str_split(rest, '\n', &rest)).n)
        buf_addf(b, "%.*s\r\n", STR_FMT(line));
    buf_addf(b, "Content-Length: %zu\r\n\r\n", rest.p ? rest.n : 0);
    buf_addstr(b, rest.p ? rest : STR(""));
}

static void ask(const char *text)
{
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    build(&b, str_of(text));
    exchange(buf_str(&b), true);
    buf_done(&b);
}

static void log_in(void)
{
    ask("POST /v1/auth/access_token\n\n{\"clientId\":\"a\",\"clientSecret\":\"b\"}");
    const char *at = answer.n ? strstr(buf_cstr(&answer), "\"accessToken\":\"") : NULL;
    free(token);
    token = at ? strndup(at + 15, strcspn(at + 15, "\"")) : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char mark[] = "\n--\n";
    struct str rest = {(const char *)data, size};
    struct buf b;
    if (!loop)
        start();
    if (!token)
        log_in();
    buf_init(&b, BUF_NO_LIMIT);
    for (int n = 0; rest.n && n < 16; n++) {
        const char *end = memmem(rest.p, rest.n, mark, 4);
        struct str one = {rest.p, end ? (size_t)(end - rest.p) : rest.n};
        rest = end ? (struct str){end + 4, rest.n - one.n - 4} : STR("");
        buf_reset(&b);
        bool raw = one.n && one.p[0] == '!';
        if (raw)
            buf_add(&b, one.p + 1, one.n - 1);
        else
            build(&b, one);
        if (b.n)
            exchange(buf_str(&b), !raw);
    }
    buf_done(&b);
    ask("DELETE /_local/faults\n\n");
    ask("POST /_local/clock\n\n{\"mode\":\"real\"}");
    ask("POST /_local/reset\n\n{\"scope\":\"all\"}");
    free(token);
    token = NULL;
    return 0;
}

#ifdef FUZZ_MAIN
int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        FILE *f = fopen(argv[i], "rb");
        char *text = malloc(1 << 20);
        size_t n = f && text ? fread(text, 1, 1 << 20, f) : 0;
        LLVMFuzzerTestOneInput((const uint8_t *)text, n);
        free(text);
        if (f)
            fclose(f);
    }
    return 0;
}
#endif
