/* What is accepted, repaired and refused; streams of values; reading values. */
#include <float.h>
#include <math.h>

#include "support.h"

static void numbers_keep_their_text(void **state)
{
    (void)state;
    struct json_doc *d = doc_of(STR("[1.10, -0, -0.0, 1e2, 9007199254740993, 123456789012345678901234567890, 1E-400]"));
    assert_string_equal(text_of(json_root(d)),
                        "[1.10,-0,-0.0,1e2,9007199254740993,123456789012345678901234567890,1E-400]");
    json_unref(d);
}

static void numbers_are_read_when_asked(void **state)
{
    (void)state;
    struct json_doc *d =
        doc_of(STR("[9223372036854775807, -9223372036854775808, 9223372036854775808, 1.0, 1e400, -1e400, "
                   "0.1, 1e-400, 2.2250738585072014e-308, true, "
                   "0.1000000000000000055511151231257827021181583404541015625000000000000000000000]"));
    struct json r = json_root(d);
    int64_t i;
    assert_true(json_int64(json_at(r, 0), &i) && i == INT64_MAX);
    assert_true(json_int64(json_at(r, 1), &i) && i == INT64_MIN);
    assert_false(json_int64(json_at(r, 2), &i) || json_int64(json_at(r, 3), &i) || json_int64(json_at(r, 9), &i));
    assert_true(json_double(json_at(r, 2)) == 9223372036854775808.0);
    assert_true(json_double(json_at(r, 4)) == DBL_MAX && json_double(json_at(r, 5)) == -DBL_MAX);
    assert_true(json_double(json_at(r, 6)) == 0.1 && json_double(json_at(r, 10)) == 0.1);
    assert_true(json_double(json_at(r, 7)) == 0 && json_double(json_at(r, 8)) == DBL_MIN &&
                json_double(json_at(r, 9)) == 0);
    json_unref(d);
}

static void the_last_of_duplicates_counts(void **state)
{
    (void)state;
    struct json_doc *d = doc_of(STR("{\"a\":1,\"b\":{},\"a\":2,\"\":3,\"aa\":4}"));
    struct json r = json_root(d);
    assert_true(str_is(json_num_text(json_get_c(r, "a")), "2"));
    assert_true(str_is(json_num_text(json_get(r, STR_NULL)), "3"));
    assert_int_equal(json_type(json_get_c(r, "ab")), JSON_MISSING);
    assert_int_equal(json_len(r), 5); /* all are iterated */
    assert_string_equal(text_of(r), "{\"a\":1,\"b\":{},\"a\":2,\"\":3,\"aa\":4}");
    json_unref(d);
}

static void missing_is_not_null(void **state)
{
    (void)state;
    struct json_doc *d = doc_of(STR("{\"n\":null,\"links\":{\"next\":\"u\"},\"s\":\"x\"}"));
    struct json r = json_root(d);
    assert_true(json_is_null(json_get_c(r, "n")) && json_is_nil(json_get_c(r, "n")));
    assert_true(!json_is_null(json_get_c(r, "m")) && json_is_nil(json_get_c(r, "m")));
    assert_true(str_is(json_str(json_path(r, STR("links.next"))), "u"));
    assert_int_equal(json_type(json_path(r, STR("links.next.more"))), JSON_MISSING);
    assert_int_equal(json_type(json_get_c(json_get_c(r, "s"), "x")), JSON_MISSING);
    assert_int_equal(json_type(json_at(r, 0)), JSON_MISSING);
    assert_int_equal(json_type(JSON_NONE), JSON_MISSING);
    assert_null(json_str(json_get_c(r, "links")).p);
    assert_int_equal(json_len(JSON_NONE), 0);
    struct json_iter it = json_iter(json_get_c(r, "s"));
    assert_false(json_next(&it));
    json_unref(d);
}

static void surrogates_and_bytes_are_repaired(void **state)
{
    (void)state;
    const struct {
        struct str in;
        const char *out;
        size_t repairs;
    } cases[] = {{STR("[\"\\ud83d\\ude00\"]"), "[\"\xF0\x9F\x98\x80\"]", 0},
                 {STR("[\"a\\ud83dz\"]"), "[\"a\xEF\xBF\xBDz\"]", 1},
                 {STR("[\"\\uDE00\\uD83D\"]"), "[\"\xEF\xBF\xBD\xEF\xBF\xBD\"]", 2},
                 {STR("[\"\\ud83d\\u0041\",\"\\\\ud83d\"]"),
                  "[\"\xEF\xBF\xBD"
                  "A\",\"\\\\ud83d\"]",
                  1},
                 {STR("[\"\\ud83d\\ud83d\\ude00\"]"), "[\"\xEF\xBF\xBD\xF0\x9F\x98\x80\"]", 1},
                 {STR("[\"\xFF\", \"\\ud800\"]"), "[\"\xEF\xBF\xBD\",\"\xEF\xBF\xBD\"]", 2},
                 {STR("{\"k\xC3\":1}"), "{\"k\xEF\xBF\xBD\":1}", 1}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct json_doc *d = doc_of(cases[i].in);
        assert_string_equal(text_of(json_root(d)), cases[i].out);
        assert_int_equal(json_doc_repairs(d), cases[i].repairs);
        json_unref(d);
    }
}

static void a_byte_order_mark_is_skipped(void **state)
{
    (void)state;
    struct json_doc *d = doc_of(STR("\xEF\xBB\xBF {\"a\": [ ] }\n"));
    assert_string_equal(text_of(json_root(d)), "{\"a\":[]}");
    json_unref(d);
}

static void refuses(const char *text, const char *message)
{
    struct json_doc *d = NULL;
    struct err e;
    assert_int_equal(json_parse(str_of(text), &d, &e), ERR_PARSE);
    if (!strstr(e.msg, message))
        print_error("\"%s\" lacks \"%s\"\n", e.msg, message);
    assert_non_null(strstr(e.msg, message));
    assert_true(utf8_valid(str_of(e.msg)));
    assert_int_equal(json_parse(str_of(text), &d, NULL), ERR_PARSE);
}

static void messages_say_where(void **state)
{
    (void)state;
    refuses("", "the text is empty");
    refuses(" \n", "the text is empty");
    refuses("<html>\n<body>oops", "line 1, column 1, near \"<html> <body>oops\"");
    refuses("{\"a\": 1,\n \"b\": }", "line 2, column 7");
    refuses("{\"\xC3\xA9\xC3\xA9\": x}", "line 1, column 8"); /* columns are characters */
    refuses("[1] 2", "column 5");
    const char *bad[] = {"-",     "[01]", "[1.]", "[.5]", "[+1]",     "[1,]",          "{a:1}",     "[NaN]",
                         "['a']", "[1",   "\"a",  "tru",  "[\"\t\"]", "[\"\\ud8zz\"]", "[\"\\x\"]", "\xFF"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        refuses(bad[i], "not JSON: ");
}

static void depth_is_limited(void **state)
{
    (void)state;
    const char *open[] = {"[", "{\"k\":"}, *close[] = {"]", "}"};
    for (int kind = 0; kind < 2; kind++) {
        char *deep = nested(open[kind], "1", close[kind], JSON_MAX_DEPTH),
             *deeper = nested(open[kind], "1", close[kind], JSON_MAX_DEPTH + 1);
        char *deepest = nested(open[kind], "1", close[kind], 1000000);
        struct json_doc *d = doc_of(str_of(deep));
        struct err e;
        json_unref(d);
        assert_int_equal(json_parse(str_of(deeper), &d, &e), ERR_TOO_BIG);
        assert_int_equal(json_parse(str_of(deepest), &d, &e), ERR_TOO_BIG);
        free(deep);
        free(deeper);
        free(deepest);
    }
    /* many containers are not deep */
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    buf_addc(&b, '[');
    for (int i = 0; i < 30000; i++)
        buf_adds(&b, "[[],{\"a\":{}}],");
    buf_adds(&b, "0]");
    json_unref(doc_of(buf_str(&b)));
    buf_done(&b);
}

static void a_stream_is_read_value_by_value(void **state)
{
    (void)state;
    struct str text = STR("\xEF\xBB\xBF {\"a\":\"}\\\"{\"}\n[1,2]3 4\"x\\\\\"true null{}{}\n\t[\"\\ud800\"] ");
    const char *want[] = {"{\"a\":\"}\\\"{\"}", "[1,2]", "3", "4", "\"x\\\\\"", "true", "null", "{}", "{}",
                          "[\"\xEF\xBF\xBD\"]"};
    size_t used, n = 0;
    for (;; n++) {
        struct json_doc *d;
        struct err e;
        assert_int_equal(json_parse_next(text, &used, &d, &e), 0);
        text = (struct str){text.p + used, text.n - used};
        if (!d)
            break;
        assert_true(n < ARRAY_LEN(want));
        assert_string_equal(text_of(json_root(d)), want[n]);
        json_unref(d);
    }
    assert_int_equal(n, ARRAY_LEN(want));
    assert_int_equal(text.n, 0);
}

static void a_broken_stream_says_where(void **state)
{
    (void)state;
    const char *bad[] = {"\n\n {\"a\":", "\n\n x", "\n\n ]", "\n\n \"x", "\n\n ,"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct json_doc *d;
        struct err e;
        size_t used;
        assert_int_equal(json_parse_next(str_of(bad[i]), &used, &d, &e), ERR_PARSE);
        assert_non_null(strstr(e.msg, "line 3, column "));
    }
}

static void a_long_stream_costs_its_length(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    for (int i = 0; i < 100000; i++)
        buf_adds(&b, "{\"id\":1}\n");
    struct str text = buf_str(&b);
    size_t n = 0, used;
    for (struct json_doc *d; json_parse_next(text, &used, &d, NULL) == 0 && d; n++) {
        text = (struct str){text.p + used, text.n - used};
        json_unref(d);
    }
    assert_int_equal(n, 100000); /* quadratic, this would be 45 GB of copying */
    buf_done(&b);
}

static void taken_text_belongs_to_the_parser(void **state)
{
    (void)state;
    struct json_doc *d;
    struct err e;
    char *good = xstrndup("[\"\\ud800\"]                ", 10), *bad = xstrdup("[");
    assert_int_equal(json_parse_take(good, 10, &d, &e), 0);
    assert_int_equal(json_doc_repairs(d), 1);
    assert_true(json_doc_bytes(d) > 10);
    assert_ptr_equal(json_ref(d), d);
    json_unref(d);
    assert_int_equal(json_len(json_root(d)), 1);
    json_unref(d);
    assert_int_equal(json_parse_take(bad, 1, &d, &e), ERR_PARSE);
    json_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_keep_their_text),
        cmocka_unit_test(numbers_are_read_when_asked),
        cmocka_unit_test(the_last_of_duplicates_counts),
        cmocka_unit_test(missing_is_not_null),
        cmocka_unit_test(surrogates_and_bytes_are_repaired),
        cmocka_unit_test(a_byte_order_mark_is_skipped),
        cmocka_unit_test(messages_say_where),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(a_stream_is_read_value_by_value),
        cmocka_unit_test(a_broken_stream_says_where),
        cmocka_unit_test(a_long_stream_costs_its_length),
        cmocka_unit_test(taken_text_belongs_to_the_parser),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
