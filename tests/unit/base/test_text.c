/* Slices, numbers and booleans from text, UTF-8, percent-encoding, edit distance. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"

static void slices_compare_by_bytes(void **state)
{
    (void)state;
    assert_true(str_eq(STR("a\0b"), STR("a\0b")));
    assert_false(str_eq(STR("a\0b"), STR("a\0c")));
    assert_true(str_eq(STR_NULL, STR("")));
    assert_true(str_ieq(STR("AbC"), STR("aBc")));
    assert_false(str_ieq(STR("ab"), STR("abc")));
    assert_true(str_starts(STR("abc"), STR("ab")) && str_ends(STR("abc"), STR("bc")));
    assert_false(str_starts(STR("a"), STR("ab")) || str_ends(STR("c"), STR("bc")));
    assert_true(str_starts(STR_NULL, STR("")) && str_ends(STR_NULL, STR_NULL));
}

static void trim_and_split(void **state)
{
    (void)state;
    struct str rest;
    assert_true(str_is(str_trim(STR(" \t\r\n a b \v\f")), "a b"));
    assert_int_equal(str_trim(STR("  ")).n, 0);
    assert_true(str_is(str_split(STR("a,b,c"), ',', &rest), "a") && str_is(rest, "b,c"));
    assert_true(str_is(str_split(STR("abc"), ',', &rest), "abc") && rest.p == NULL);
    assert_true(str_is(str_split(STR("a,"), ',', &rest), "a") && rest.p != NULL && rest.n == 0);
}

static void integers_fit_or_are_refused(void **state)
{
    (void)state;
    int64_t v;
    assert_true(str_int64(STR("9223372036854775807"), &v) && v == INT64_MAX);
    assert_true(str_int64(STR("-9223372036854775808"), &v) && v == INT64_MIN);
    assert_true(str_int64(STR("+0012"), &v) && v == 12);
    assert_true(str_int64(STR("-0"), &v) && v == 0);
    const char *bad[] = {"",
                         "-",
                         "+",
                         " 1",
                         "1 ",
                         "1.0",
                         "1e3",
                         "9223372036854775808",
                         "-9223372036854775809",
                         "0x1",
                         "99999999999999999999"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(str_int64(str_of(bad[i]), &v));
}

static void booleans_of_any_case(void **state)
{
    (void)state;
    const char *yes[] = {"true", "YES", "On", "1", "T", "y"}, *no[] = {"FALSE", "no", "oFF", "0", "f", "N"};
    bool b;
    for (size_t i = 0; i < ARRAY_LEN(yes); i++)
        assert_true(str_bool(str_of(yes[i]), &b) && b);
    for (size_t i = 0; i < ARRAY_LEN(no); i++)
        assert_true(str_bool(str_of(no[i]), &b) && !b);
    assert_false(str_bool(STR("2"), &b) || str_bool(STR(""), &b) || str_bool(STR("yess"), &b));
}

static void utf8_follows_the_table_of_well_formed_sequences(void **state)
{
    (void)state;
    const char *good[] = {"",
                          "plain ascii, longer than a word",
                          "\xC2\x80",
                          "\xDF\xBF",
                          "\xE0\xA0\x80",
                          "\xED\x9F\xBF",
                          "\xEE\x80\x80",
                          "\xF0\x90\x80\x80",
                          "\xF4\x8F\xBF\xBF"};
    const char *bad[] = {"\x80",
                         "\xC0\xAF",
                         "\xC1\xBF",
                         "\xC2",
                         "\xE0\x9F\xBF",
                         "\xED\xA0\x80",
                         "\xF0\x8F\xBF\xBF",
                         "\xF4\x90\x80\x80",
                         "\xF5\x80\x80\x80",
                         "\xFF",
                         "12345678\xE2\x82"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(utf8_valid(str_of(good[i])));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(utf8_valid(str_of(bad[i])));
    assert_int_equal(utf8_count(STR("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80")), 4);
}

static void repair_replaces_maximal_subparts(void **state)
{
    (void)state;
    const struct {
        const char *in, *out;
        size_t repairs;
    } cases[] = {{"ok", "ok", 0},
                 {"a\xFF"
                  "b",
                  "a\xEF\xBF\xBD"
                  "b",
                  1},
                 {"\xE2\x82", "\xEF\xBF\xBD", 1},
                 {"\xE2\x82z", "\xEF\xBF\xBDz", 1},
                 {"\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD", 3},
                 {"\xF0\x9F\x98\xF0\x9F\x98\x80", "\xEF\xBF\xBD\xF0\x9F\x98\x80", 1}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf b;
        buf_init(&b, 100);
        assert_int_equal(utf8_repair(&b, str_of(cases[i].in)), cases[i].repairs);
        assert_string_equal(buf_cstr(&b), cases[i].out);
        buf_done(&b);
    }
}

static void percent_encoding(void **state)
{
    (void)state;
    struct buf b, c;
    buf_init(&b, 1000);
    buf_init(&c, 1000);
    url_encode(&b, STR("aZ09-._~ /?&=+%\xC3\xA9"));
    assert_string_equal(buf_cstr(&b), "aZ09-._~%20%2F%3F%26%3D%2B%25%C3%A9");
    url_decode(&c, buf_str(&b), false);
    assert_string_equal(buf_cstr(&c), "aZ09-._~ /?&=+%\xC3\xA9");
    buf_reset(&c);
    url_decode(&c, STR("a+b%2b%zz%4%"), true);
    assert_string_equal(buf_cstr(&c), "a b+%zz%4%");
    buf_reset(&c);
    url_decode(&c, STR("a+b"), false);
    assert_string_equal(buf_cstr(&c), "a+b");
    buf_done(&b);
    buf_done(&c);
}

static void distance_is_capped(void **state)
{
    (void)state;
    assert_int_equal(str_distance(STR("kitten"), STR("sitting"), 5), 3);
    assert_int_equal(str_distance(STR("kitten"), STR("sitting"), 2), 3);
    assert_int_equal(str_distance(STR("Title"), STR("title"), 2), 0);
    assert_int_equal(str_distance(STR(""), STR("ab"), 2), 2);
    assert_int_equal(str_distance(STR("a"), STR("abcdef"), 2), 3);
    char *longer = xcalloc(1, 1000);
    memset(longer, 'x', 999);
    assert_int_equal(str_distance(str_of(longer), str_of(longer), 2), 3); /* nobody misspells that */
    free(longer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_compare_by_bytes),
        cmocka_unit_test(trim_and_split),
        cmocka_unit_test(integers_fit_or_are_refused),
        cmocka_unit_test(booleans_of_any_case),
        cmocka_unit_test(utf8_follows_the_table_of_well_formed_sequences),
        cmocka_unit_test(repair_replaces_maximal_subparts),
        cmocka_unit_test(percent_encoding),
        cmocka_unit_test(distance_is_capped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
