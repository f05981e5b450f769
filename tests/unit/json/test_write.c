/* Text out: quoting, numbers, the streaming writer, pretty and short forms. */
#include <float.h>
#include <math.h>

#include "support.h"

static void quoted(struct str s, const char *want)
{
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    json_quote(&b, s);
    assert_string_equal(buf_cstr(&b), want);
    buf_done(&b);
}

static void quoting_escapes_what_json_must(void **state)
{
    (void)state;
    quoted(STR(""), "\"\"");
    quoted(STR_NULL, "\"\"");
    quoted(STR("plain / text \x7f \xC3\xA9"), "\"plain / text \x7f \xC3\xA9\"");
    quoted(STR("\b\t\n\v\f\r\"\\\x01\x1f"), "\"\\b\\t\\n\\u000b\\f\\r\\\"\\\\\\u0001\\u001f\"");
    quoted(STR("a\0b"), "\"a\\u0000b\"");
    quoted(STR("12345678\"12345678"), "\"12345678\\\"12345678\"");
    quoted(STR("bad \xFF byte"), "\"bad \xEF\xBF\xBD byte\"");
    for (int c = 0; c < 256; c++) { /* every byte at every place of a word */
        for (size_t at = 0; at < 9; at++) {
            char text[] = "xxxxxxxxx";
            struct buf b;
            buf_init(&b, BUF_NO_LIMIT);
            text[at] = (char)c;
            json_quote(&b, (struct str){text, 9});
            struct json_doc *d = doc_of(buf_str(&b));
            if (c < 0x80)
                assert_true(str_eq(json_str(json_root(d)), (struct str){text, 9}));
            json_unref(d);
            buf_done(&b);
        }
    }
}

static void the_writer_keeps_the_commas(void **state)
{
    (void)state;
    struct json_doc *d = doc_of(STR("{\"x\":[1]}"));
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    struct jw w = jw_on(&b);
    jw_obj(&w);
    jw_key_c(&w, "a");
    jw_arr(&w);
    jw_end_arr(&w);
    jw_key_c(&w, "b");
    jw_arr(&w);
    jw_int(&w, INT64_MIN);
    jw_int(&w, 0);
    jw_bool(&w, true);
    jw_null(&w);
    jw_cstr(&w, NULL);
    jw_cstr(&w, "c");
    jw_obj(&w);
    jw_end_obj(&w);
    jw_end_arr(&w);
    jw_key(&w, STR("k\xFF"));
    jw_json(&w, json_root(d));
    jw_key_c(&w, "m");
    jw_json(&w, JSON_NONE);
    jw_key_c(&w, "r");
    jw_raw(&w, STR("[1.50]"));
    jw_end_obj(&w);
    assert_string_equal(
        buf_cstr(&b), "{\"a\":[],\"b\":[-9223372036854775808,0,true,null,null,\"c\",{}],\"k\xEF\xBF\xBD\":{\"x\":[1]},"
                      "\"m\":null,\"r\":[1.50]}");
    buf_done(&b);
    json_unref(d);
}

static void doubles_read_back_equal(void **state)
{
    (void)state;
    const struct {
        double v;
        const char *text;
    } cases[] = {{0.1, "0.1"},
                 {1, "1"},
                 {-3, "-3"},
                 {1e15, "1000000000000000"},
                 {1e17, "1e+17"},
                 {-0.0, "-0"},
                 {1.0 / 3, "0.3333333333333333"},
                 {0.1 + 0.2, "0.30000000000000004"},
                 {5e-324, "4.94065645841247e-324"},
                 {NAN, "null"},
                 {INFINITY, "1.7976931348623157e+308"},
                 {-INFINITY, "-1.7976931348623157e+308"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf b;
        buf_init(&b, 100);
        struct jw w = jw_on(&b);
        jw_double(&w, cases[i].v);
        assert_string_equal(buf_cstr(&b), cases[i].text);
        if (isfinite(cases[i].v))
            assert_true(strtod(buf_cstr(&b), NULL) == cases[i].v);
        buf_done(&b);
    }
}

static void overflow_is_sticky(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 12);
    struct jw w = jw_on(&b);
    jw_arr(&w);
    jw_str_c(&w, "0123456789abcdef");
    jw_int(&w, 1);
    jw_end_arr(&w);
    assert_true(b.failed);
    assert_string_equal(buf_cstr(&b), "[");
    struct json_doc *d = doc_of(STR("[\"0123456789abcdef\",1]"));
    buf_reset(&b);
    assert_int_equal(json_write(&b, json_root(d)), ERR_TOO_BIG);
    json_unref(d);
    buf_done(&b);
}

static void pretty_is_for_people(void **state)
{
    (void)state;
    struct json_doc *d = doc_of(STR("{\"a\":[1,{\"b\":[]}],\"c\":{}}"));
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    assert_int_equal(json_write_pretty(&b, json_root(d)), 0);
    assert_string_equal(buf_cstr(&b), "{\n  \"a\": [\n    1,\n    {\n      \"b\": []\n    }\n  ],\n  \"c\": {}\n}");
    json_unref(d);
    buf_done(&b);
}

static void excerpt(const char *text, size_t max, const char *want)
{
    struct json_doc *d = doc_of(str_of(text));
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    json_excerpt(&b, json_root(d), max);
    assert_string_equal(buf_cstr(&b), want);
    buf_done(&b);
    json_unref(d);
}

static void an_excerpt_shows_the_beginning(void **state)
{
    (void)state;
    excerpt("{\"a\":1}", 7, "{\"a\":1}");
    excerpt("{\"a\":12}", 7, "{\"a\"...");
    excerpt("[\"a long text that does not fit\"]", 12, "[\"a long ...");
    excerpt("\"\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\"", 7, "\"\xC3\xA9...");
    excerpt("[1,2,3]", 2, "..");
    excerpt("[1,2,3]", 0, "");
    char *large = nested("[\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\",", "1", "]", 9000);
    excerpt(large, 10, "[\"xxxxx...");
    free(large);
}

static void deep_documents_are_written(void **state)
{
    (void)state;
    char *text = nested("{\"k\":[", "1", "]}", JSON_MAX_DEPTH / 2);
    struct json_doc *d = doc_of(str_of(text));
    assert_string_equal(text_of(json_root(d)), text);
    struct buf b;
    buf_init(&b, 1000);
    assert_int_equal(json_write_pretty(&b, json_root(d)), ERR_TOO_BIG);
    buf_done(&b);
    json_unref(d);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quoting_escapes_what_json_must), cmocka_unit_test(the_writer_keeps_the_commas),
        cmocka_unit_test(doubles_read_back_equal),        cmocka_unit_test(overflow_is_sticky),
        cmocka_unit_test(pretty_is_for_people),           cmocka_unit_test(an_excerpt_shows_the_beginning),
        cmocka_unit_test(deep_documents_are_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
