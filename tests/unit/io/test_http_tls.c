/* test_http_tls.c: trust settings of the client (runtime) against openssl's own test server. Skipped where
 * the openssl program is missing. */
#include "unit/io/loopback.h"

#include <signal.h>
#include <sys/wait.h>

static struct loop *loop;
static struct outcome out;
static char dir[] = "/tmp/io-tls-XXXXXX";
static bool ready;

struct tls_server {
    pid_t pid;
    int port, in;
};

/* `openssl s_server -www` prints "ACCEPT 127.0.0.1:PORT" once it listens; it ends with its standard input. */
static const char *file(const char *name);

static struct tls_server serve(const char *name)
{
    struct tls_server s = {0};
    int to[2], from[2];
    char line[256], cert[32], cert_key[32];
    snprintf(cert, sizeof(cert), "%s.pem", name);
    snprintf(cert_key, sizeof(cert_key), "%s.key", name);
    assert_true(pipe(to) == 0 && pipe(from) == 0);
    fflush(NULL);
    s.pid = fork();
    if (s.pid == 0) {
        dup2(to[0], 0);
        dup2(from[1], 1);
        dup2(open("/dev/null", O_WRONLY), 2);
        close(to[1]);
        close(from[0]);
        execlp("openssl", "openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", file(cert), "-key", file(cert_key),
               "-www", "-naccept", "1000", (char *)NULL);
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    s.in = to[1];
    FILE *f = fdopen(from[0], "r");
    while (fgets(line, sizeof(line), f) && sscanf(line, "ACCEPT 127.0.0.1:%d", &s.port) != 1)
        ;
    fclose(f);
    assert_true(s.port > 0);
    return s;
}

static void serve_end(struct tls_server s)
{
    kill(s.pid, SIGKILL);
    waitpid(s.pid, NULL, 0);
    close(s.in);
}

static __attribute__((format(printf, 1, 2))) void shell(const char *fmt, ...)
{
    char cmd[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(cmd, sizeof(cmd), fmt, ap);
    va_end(ap);
    assert_int_equal(system(cmd), 0);
}

#define REQ "openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=127.0.0.1 "

/* An authority, and a certificate for 127.0.0.1 signed by it; `usage` is the authority's key usage, or empty. */
static void make_chain(const char *name, const char *usage)
{
    shell(REQ "-x509 -days 30 %s -keyout %s/%s-ca.key -out %s/%s-ca.pem >/dev/null 2>&1", usage, dir, name, dir, name);
    shell(REQ "-keyout %s/%s.key -out %s/%s.csr >/dev/null 2>&1", dir, name, dir, name);
    shell("printf 'subjectAltName=IP:127.0.0.1\nauthorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n' > %s/ext",
          dir);
    shell(
        "openssl x509 -req -days 30 -in %s/%s.csr -CA %s/%s-ca.pem -CAkey %s/%s-ca.key -CAcreateserial -extfile %s/ext "
        "-out %s/%s.pem >/dev/null 2>&1",
        dir, name, dir, name, dir, name, dir, dir, name);
}

static const char *file(const char *name)
{
    static char text[4][64];
    static int i;
    i = (i + 1) % 4;
    snprintf(text[i], sizeof(text[i]), "%s/%s", dir, name);
    return text[i];
}

static int setup(void **state)
{
    (void)state;
    loop = loop_new();
    if (system("openssl version >/dev/null 2>&1") != 0)
        return 0;
    if (!ready) {
        assert_non_null(mkdtemp(dir));
        make_chain("strict", "-addext keyUsage=critical,keyCertSign");
        make_chain("lax", ""); /* RFC 5280 wants a key usage in an authority's certificate */
        ready = true;
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    outcome_free(&out);
    loop_free(loop);
    return 0;
}

static int cleanup(void **state)
{
    (void)state;
    if (ready)
        shell("rm -rf %s", dir);
    return 0;
}

static void get(const struct tls_server *s, struct http_client_opts o)
{
    char url[64];
    o.no_proxy = true;
    struct http_client *c = http_client_new(loop, &o);
    snprintf(url, sizeof(url), "https://127.0.0.1:%d/?q=hidden", s->port);
    fetch(loop, c, (struct http_spec){.url = url}, &out);
    http_client_free(c);
}

static void test_trust(void **state)
{
    (void)state;
    if (!ready)
        skip();
    struct tls_server s = serve("strict");
    get(&s, (struct http_client_opts){0}); /* nobody vouches for it */
    assert_int_equal(out.code, ERR_TRANSPORT);
    assert_non_null(strstr(out.msg, "SSL_CERT_FILE"));
    assert_null(strstr(out.msg, "hidden"));
    get(&s, (struct http_client_opts){.insecure = true});
    assert_int_equal(out.status, 200);
    get(&s, (struct http_client_opts){.ca_file = file("strict-ca.pem")});
    assert_int_equal(out.status, 200);
    setenv("SSL_CERT_FILE", file("strict-ca.pem"), 1);
    get(&s, (struct http_client_opts){0});
    assert_int_equal(out.status, 200);
    setenv("SSL_CERT_FILE", "/nowhere/ca.pem", 1);
    get(&s, (struct http_client_opts){0});
    assert_int_equal(out.code, ERR_TRANSPORT);
    assert_non_null(strstr(out.msg, "SSL_CERT_FILE"));
    unsetenv("SSL_CERT_FILE");
    serve_end(s);
}

static void test_strict_checks_can_be_switched_off(void **state)
{
    (void)state;
    if (!ready)
        skip();
    struct tls_server s = serve("lax");
    get(&s, (struct http_client_opts){.ca_file = file("lax-ca.pem")});
    assert_int_equal(out.code, ERR_TRANSPORT);
    get(&s, (struct http_client_opts){.ca_file = file("lax-ca.pem"), .no_strict_x509 = true});
    assert_int_equal(out.status, 200);
    serve_end(s);
}

static void test_no_tls_on_the_port(void **state)
{
    (void)state;
    struct http_server *plain;
    struct http_server_opts o = {.handle = NULL};
    assert_int_equal(http_server_start(loop, &o, &plain, NULL), 0);
    struct tls_server s = {.port = http_server_port(plain)};
    get(&s, (struct http_client_opts){0});
    assert_int_equal(out.code, ERR_TRANSPORT);
    assert_non_null(strstr(out.msg, "https"));
    http_server_free(plain);
}

int main(void)
{
    watchdog(60);
    unsetenv("SSL_CERT_FILE");
    unsetenv("SSL_CERT_DIR");
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {T(test_trust), T(test_strict_checks_can_be_switched_off),
                                       T(test_no_tls_on_the_port)};
    return cmocka_run_group_tests(tests, NULL, cleanup);
}
