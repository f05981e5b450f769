/* Errors with context, lines of the log, masking (runtime ). */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"

#define LOG_GROUP "base.test"

static int clean(void **state)
{
    (void)state;
    mask_clear();
    log_set_groups(NULL);
    log_set_level("info");
    return 0;
}

static void masks(const char *text, enum mask_style style, const char *want)
{
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    size_t n = mask_text(&b, str_of(text), style);
    assert_string_equal(buf_cstr(&b), want);
    assert_int_equal(n > 0, strcmp(text, want) != 0);
    buf_done(&b);
}

static void console(const char *text, const char *want) { masks(text, MASK_CONSOLE, want); }

static void a_secret_shows_six_characters_on_the_console_only(void **state)
{
    (void)state;
    mask_add(STR("  secrettoken123\n"));
    console("a secrettoken123 b", "a secret[REDACTED] b");
    masks("a secrettoken123 b", MASK_FULL, "a [REDACTED] b");
    console("nothing of the kind, None either", "nothing of the kind, None either");
    console("secrettoken12", "secrettoken12");
}

static void empty_secrets_are_not_registered(void **state)
{
    (void)state;
    mask_add(STR(""));
    mask_add(STR(" \t"));
    mask_add(STR("ab"));
    mask_add(STR_NULL);
    console("'lastResyncEnd': None, ''", "'lastResyncEnd': None, ''");
}

static void short_secrets_are_hidden_completely(void **state)
{
    (void)state;
    mask_add(STR("abc123"));
    mask_add(STR("\xD0\xBF\xD0\xB0\xD1\x80\xD0\xBE\xD0\xBB\xD1\x8C")); /* six letters in twelve bytes */
    mask_add(STR("a+b/c="));
    console("x abc123 y", "x [REDACTED] y");
    console("\xD0\xBF\xD0\xB0\xD1\x80\xD0\xBE\xD0\xBB\xD1\x8C", "[REDACTED]");
    console("q=a%2Bb%2Fc%3D", "q=[REDACTED]");
}

static void six_characters_are_never_half_a_character(void **state)
{
    (void)state;
    mask_add(STR("\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9zz"));
    console("\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9zz",
            "\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9[REDACTED]");
}

static void overlapping_secrets_leave_nothing_between(void **state)
{
    (void)state;
    mask_add(STR("abcdefgh"));
    mask_add(STR("efghijklmn"));
    mask_add(STR("abcdefghijklmnopq"));
    masks("abcdefghijklmn", MASK_FULL, "[REDACTED]");
    masks("abcdefghijklmnopq", MASK_FULL, "[REDACTED]");
    masks("abcdefgh efghijklmn", MASK_FULL, "[REDACTED] [REDACTED]");
}

static void a_secret_is_known_in_other_clothes(void **state)
{
    (void)state;
    mask_add(STR("p\"ss/word+longer"));
    masks("p%22ss%2Fword%2Blonger p%22ss%2fword%2blonger", MASK_FULL, "[REDACTED] [REDACTED]");
    masks("{\"k\":\"p\\\"ss/word+longer\"}", MASK_FULL, "{\"k\":\"[REDACTED]\"}");
    /* base64 of it behind 0, 1, 2 and 5 other bytes */
    masks("Basic cCJzcy93b3JkK2xvbmdlcg==", MASK_FULL, "Basic [REDACTED]");
    masks("Basic OnAic3Mvd29yZCtsb25nZXI=", MASK_FULL, "Basic [REDACTED]");
    masks("Basic dTpwInNzL3dvcmQrbG9uZ2Vy", MASK_FULL, "Basic [REDACTED]");
    masks("Authorization: Basic dXNlcjpwInNzL3dvcmQrbG9uZ2Vy, next", MASK_FULL,
          "Authorization: Basic [REDACTED], next");
}

static void credentials_in_urls(void **state)
{
    (void)state;
    console("get https://user:pass@host/path", "get https://[REDACTED]@host/path");
    console("redis://:pw@h:1/0", "redis://[REDACTED]@h:1/0");
    console("https://u:p@ss@host", "https://[REDACTED]@host");
    console("postgres://me:it@db/x?y=z", "postgres://[REDACTED]@db/x?y=z");
    console("ssh://git@github.com/x", "ssh://git@github.com/x");
    console("http://host:80/a@b https://h/?q=a:b@c", "http://host:80/a@b https://h/?q=a:b@c");
}

static void tokens_by_name(void **state)
{
    (void)state;
    const char *hex32 = "0123456789abcdef0123456789abcdef", *c40 = "0123456789abcdef0123456789abcdef01234567";
    const struct {
        const char *before, *token, *after;
        bool found;
    } cases[] = {{"api_key = '", hex32, "'", true},
                 {"API KEY: \"", hex32, "\"", true},
                 {"{\"client_secret\": \"", hex32, "\"}", true},
                 {"{\\\"secret\\\":\\\"", hex32, "\\\"}", true},
                 {"github token \"", c40, "\"", true},
                 {"github token \"", hex32, "\"", false},
                 {"sha = '", c40, "'", false},
                 {"secret\n'", hex32, "'", false},
                 {"secret ", hex32, "", false},
                 {"secret '", "0123456789", "'", false}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *text = xasprintf("%s%s%s", cases[i].before, cases[i].token, cases[i].after);
        char *want =
            xasprintf("%s%s%s", cases[i].before, cases[i].found ? "[REDACTED]" : cases[i].token, cases[i].after);
        console(text, want);
        free(text);
        free(want);
    }
}

static void cloud_keys(void **state)
{
    (void)state;
    console("AKIAABCDEFGHIJKLMNOP", "AKIAAB[REDACTED]");
    console("AKIAabc", "AKIAabc");
    console("token ghp_0123456789abcdefghijklmnopqrstuvwxyz!", "token ghp_01[REDACTED]!");
    console("ghp_short, github_patience", "ghp_short, github_patience");
    console("xoxb-123456789012-abc", "xoxb-1[REDACTED]");
    console("amzn.mws.01234567-89ab-cdef-0123-456789abcdef", "amzn.m[REDACTED]");
    console("AIzaSyA0123456789abcdefghijklmnopqrstuv", "AIzaSy[REDACTED]");
    console("ya29.a0AfH6 and ya29. alone", "ya29.a[REDACTED] and ya29. alone");
    console("123456-0123456789abcdefghijklmnopqrstuv.apps.googleusercontent.com", "123456[REDACTED]");
    console("{\"type\": \"service_account\", \"x\": 1}", "{\"type\"[REDACTED], \"x\": 1}");
    console("at https://my-app.firebaseio.com/x", "at https://my-app[REDACTED]/x");
}

static void private_keys_and_connection_strings(void **state)
{
    (void)state;
    masks("k -----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY----- z", MASK_FULL, "k [REDACTED] z");
    masks("-----BEGIN EC PRIVATE KEY-----\\nMIIBcutshort\"", MASK_FULL, "[REDACTED]\"");
    masks("-----BEGIN PGP PRIVATE KEY BLOCK-----", MASK_FULL, "[REDACTED]");
    masks("-----BEGIN CERTIFICATE-----", MASK_FULL, "-----BEGIN CERTIFICATE-----");
    masks("Server=s;Password=a b;User=u", MASK_FULL, "Server=s;Password=[REDACTED];User=u");
    masks("AccountKey=abcdefghijklmnopqrstuv==", MASK_FULL, "AccountKey=[REDACTED]");
    masks("wrong password=x given", MASK_FULL, "wrong password=x given");
}

static void errors_gather_context(void **state)
{
    (void)state;
    struct err e = {0};
    assert_int_equal(ERR(&e, ERR_PARSE, "bad value %d", 5), ERR_PARSE);
    assert_int_equal(err_wrap(&e, "property '%s'", "x"), ERR_PARSE);
    assert_string_equal(e.msg, "property 'x': bad value 5");
    assert_non_null(strstr(e.where, "test_log.c:"));
    assert_int_equal(ERR(&e, ERR_IO, "again: %s", e.msg), ERR_IO); /* from its own text */
    assert_string_equal(e.msg, "again: property 'x': bad value 5");
    assert_int_equal(ERR(NULL, ERR_IO, "unseen"), ERR_IO);
    assert_int_equal(err_wrap(NULL, "unseen"), ERR_INTERNAL);
    assert_string_equal(err_name(ERR_TRANSPORT), "transport");
    assert_string_equal(err_name(99), "internal");
    assert_string_equal(err_name(-99), "internal");
}

static void errors_are_masked_before_they_are_cut(void **state)
{
    (void)state;
    struct err e;
    char text[600];
    mask_add(STR("topsecretpassword"));
    for (size_t at = 430; at < 460; at++) {
        memset(text, 'x', sizeof(text));
        memcpy(text + at, "topsecretpassword", 17);
        text[at + 60] = 0;
        ERR(&e, ERR_IO, "%s", text);
        assert_true(strlen(e.msg) < sizeof(e.msg));
        assert_null(strstr(e.msg, "top"));
        assert_string_equal(e.msg + strlen(e.msg) - 3, "...");
    }
    for (size_t i = 0; i + 1 < sizeof(text); i += 2)
        memcpy(text + i, "\xC3\xA9", 2);
    text[598] = 0;
    for (size_t skip = 0; skip < 4; skip += 2) {
        ERR(&e, ERR_IO, "%s%s", skip ? "a" : "", text);
        assert_true(utf8_valid(str_of(e.msg)));
    }
}

/* What `write` puts on stderr. */
static char *captured(void (*write)(void))
{
    static char text[4096];
    int fds[2], saved = dup(STDERR_FILENO);
    assert_int_equal(pipe(fds), 0);
    dup2(fds[1], STDERR_FILENO);
    write();
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(fds[1]);
    size_t n = 0;
    for (ssize_t k; (k = read(fds[0], text + n, sizeof(text) - 1 - n)) > 0;)
        n += (size_t)k;
    text[n] = 0;
    close(fds[0]);
    return text;
}

static void write_control_bytes(void) { log_info("a\x1b[2J\rb\x7f\xC2\x9B\xFF\nINFO forged%s", " topsecretpassword"); }

static void a_line_cannot_be_forged(void **state)
{
    (void)state;
    mask_add(STR("topsecretpassword"));
    char *line = captured(write_control_bytes);
    assert_int_equal(strlen("2030-01-02 03:04:05.678"), strchr(line, '|') - line - 1);
    assert_string_equal(strchr(line, '|'),
                        "| INFO     | a\\x1b[2J\\x0db\\x7f\\x9b\xEF\xBF\xBD\n    INFO forged topsec[REDACTED]\n");
}

static int calls;
static void count(void) { calls++; }
static void write_one(void) { log_warn("one"); }
static void write_off(void) { log_debug("%d", calls++); }

static void hooks_surround_a_line_and_nothing_is_evaluated_when_off(void **state)
{
    (void)state;
    calls = 0;
    log_set_hooks(count, count);
    assert_non_null(strstr(captured(write_one), "| WARNING  | one\n"));
    log_set_hooks(NULL, NULL);
    assert_int_equal(calls, 2);
    assert_string_equal(captured(write_off), "");
    assert_int_equal(calls, 2);
}

static void levels_and_groups(void **state)
{
    (void)state;
    assert_true(log_set_level("WARNING") && log_set_level("critical") && log_set_level("Debug"));
    assert_false(log_set_level("loud") || log_set_level(NULL));
    assert_true(log_enabled(LOG_DEBUG, "x"));
    log_set_level("error");
    log_set_groups("io=info, io.http_client=debug,port=off,,=,bad,worse=loud");
    assert_true(log_enabled(LOG_INFO, "io.loop") && log_enabled(LOG_INFO, "io") && !log_enabled(LOG_DEBUG, "io.loop"));
    assert_true(log_enabled(LOG_DEBUG, "io.http_client"));
    assert_false(log_enabled(LOG_INFO, "ion") || log_enabled(LOG_ERROR, "port.client"));
    assert_true(log_enabled(LOG_ERROR, "sync") && !log_enabled(LOG_WARN, "sync"));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, clean, clean)
    const struct CMUnitTest tests[] = {
        T(a_secret_shows_six_characters_on_the_console_only),
        T(empty_secrets_are_not_registered),
        T(short_secrets_are_hidden_completely),
        T(six_characters_are_never_half_a_character),
        T(overlapping_secrets_leave_nothing_between),
        T(a_secret_is_known_in_other_clothes),
        T(credentials_in_urls),
        T(tokens_by_name),
        T(cloud_keys),
        T(private_keys_and_connection_strings),
        T(errors_gather_context),
        T(errors_are_masked_before_they_are_cut),
        T(a_line_cannot_be_forged),
        T(hooks_surround_a_line_and_nothing_is_evaluated_when_off),
        T(levels_and_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
