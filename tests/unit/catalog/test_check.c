/* Values against definitions and the alphabets of identifiers, without a server: port-api P-95, P-114, P-127 to P-133.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "catalog/check.h"
#include "catalog/faults.h"

static void test_identifiers(void **state)
{
    (void)state;
    static const char *const
        good[] = {"a", "A-1_@.+:\\/='x", "Größe", "日本", "..."},
        *const bad[] = {
            "", ".", "..", "a b", "a#", "a%", "(a)", "a,b", "a&b", "a~", "a*", "a|b", "a\xF0\x9F\x98\x80", "٣", "a\tb"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(entity_identifier_ok(str_of(good[i])));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(entity_identifier_ok(str_of(bad[i])));
    assert_false(entity_identifier_ok((struct str){"a\0b", 3}));
    char long_text[2002];
    memset(long_text, 'x', sizeof(long_text));
    assert_true(entity_identifier_ok((struct str){long_text, 1000}));
    assert_false(entity_identifier_ok((struct str){long_text, 1001}));
    for (size_t i = 0; i < 2000; i += 2)
        memcpy(long_text + i, "ü", 2);
    assert_true(entity_identifier_ok((struct str){long_text, 2000})); /* characters, not bytes */
    assert_true(blueprint_identifier_ok(STR("my:bp/1")));
    assert_false(blueprint_identifier_ok(STR("a=b")));
    assert_true(member_name_ok(STR("a@_=\\-9")));
    assert_false(member_name_ok(STR("a.b")));
    assert_false(member_name_ok(STR("ü")));
}

static void test_formats(void **state)
{
    (void)state;
    static const struct {
        enum format f;
        const char *text;
        bool ok;
    } cases[] = {
        {FORMAT_DATE_TIME, "2025-01-02T03:04:05Z", true},
        {FORMAT_DATE_TIME, "2025-01-02t03:04:05.1234567890123+02:00", true},
        {FORMAT_DATE_TIME, "2024-02-29 23:59:59+0530", true},
        {FORMAT_DATE_TIME, "2025-02-29T00:00:00Z", false},
        {FORMAT_DATE_TIME, "2025-01-02", false},
        {FORMAT_DATE_TIME, "2025-01-02T03:04:05", false},
        {FORMAT_DATE_TIME, "2025-01-02T03:04Z", false},
        {FORMAT_DATE_TIME, "2025-13-02T03:04:05Z", false},
        {FORMAT_DATE_TIME, "2025-01-02T24:04:05Z", false},
        {FORMAT_DATE_TIME, "2025-01-02T03:04:05.Z", false},
        {FORMAT_DATE_TIME, "2025-01-02T03:04:05Zx", false},
        {FORMAT_DATE_TIME, "", false},
        {FORMAT_URL, "https://x.io/a?b#c", true},
        {FORMAT_URL, "git+ssh://host", true},
        {FORMAT_URL, "x.io", false},
        {FORMAT_URL, "http://", false},
        {FORMAT_URL, "http://a b", false},
        {FORMAT_URL, "1a://x", false},
        {FORMAT_EMAIL, "a@b", true},
        {FORMAT_EMAIL, "a@b@c", false},
        {FORMAT_EMAIL, "@b", false},
        {FORMAT_EMAIL, "a @b", false},
        {FORMAT_IPV4, "127.0.0.1", true},
        {FORMAT_IPV4, "1.2.3", false},
        {FORMAT_IPV6, "::1", true},
        {FORMAT_IPV6, "127.0.0.1", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (format_matches(cases[i].f, str_of(cases[i].text)) != cases[i].ok)
            fail_msg("%s: %s", format_word(cases[i].f), cases[i].text);
}

static void test_values(void **state)
{
    (void)state;
    static const struct {
        const char *def, *value;
        bool ok;
    } cases[] = {
        {"{\"type\":\"string\"}", "\"x\"", true},
        {"{\"type\":\"string\"}", "5", false},
        {"{\"type\":\"number\"}", "\"5\"", false},
        {"{\"type\":\"number\"}", "5.0", true},
        {"{\"type\":\"boolean\"}", "1", false},
        {"{\"type\":\"object\"}", "[]", false},
        {"{\"type\":\"array\"}", "{}", false},
        {"{\"type\":\"enum\",\"enum\":[\"a\"]}", "\"a\"", true},
        {"{\"type\":\"whatever\"}", "[1]", true},
        {"{\"type\":\"number\",\"enum\":[1,2]}", "1.0", true},
        {"{\"type\":\"number\",\"enum\":[1,2]}", "3", false},
        {"{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}", "\"üü\"", true},
        {"{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}", "\"ü\"", false},
        {"{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}", "\"abcd\"", false},
        {"{\"type\":\"string\",\"pattern\":\"b+\"}", "\"abc\"", true},
        {"{\"type\":\"string\",\"pattern\":\"^b+$\"}", "\"abc\"", false},
        {"{\"type\":\"string\",\"pattern\":\"(((\"}", "\"abc\"", true},
        {"{\"type\":\"number\",\"minimum\":0,\"exclusiveMaximum\":10}", "10", false},
        {"{\"type\":\"number\",\"minimum\":0,\"exclusiveMaximum\":10}", "0", true},
        {"{\"type\":\"number\",\"exclusiveMinimum\":0}", "0", false},
        {"{\"type\":\"array\",\"minItems\":1}", "[]", false},
        {"{\"type\":\"array\",\"uniqueItems\":true}", "[1,{\"a\":1},{\"a\":1.0}]", false},
        {"{\"type\":\"array\",\"uniqueItems\":true}", "[1,\"1\"]", true},
        {"{\"type\":\"array\",\"items\":{\"type\":\"string\",\"enum\":[\"a\",\"b\"]}}", "[\"a\",\"c\"]", false},
        {"{\"type\":\"array\",\"items\":{\"type\":\"object\",\"required\":[\"k\"]}}", "[{\"k\":1},{}]", false},
        {"{\"type\":\"string\",\"format\":\"made-up\"}", "\"x\"", true},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"number\"}},\"required\":[\"a\"]}", "{\"a\":1,\"z\":2}",
         true},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"number\"}},\"required\":[\"a\"]}", "{}", false},
        {"{\"type\":\"object\",\"properties\":{\"a\":{}},\"additionalProperties\":false}", "{\"z\":2}", false},
        {"{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"}}", "{\"z\":2}", false},
        {"{\"type\":\"object\",\"patternProperties\":{\"^x\":{\"type\":\"string\"}},\"additionalProperties\":false}",
         "{\"xa\":\"1\"}", true},
        {"{\"type\":\"object\",\"format\":\"labeled-url\"}", "{\"url\":\"https://x\",\"displayText\":\"t\"}", true},
        {"{\"type\":\"object\",\"format\":\"labeled-url\"}", "{\"url\":\"x\"}", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct json_doc *def, *value;
        struct refusal r = {0};
        struct where top = {NULL, STR("properties"), 0}, at = {&top, STR("p"), 0};
        struct arena *a = arena_new(0);
        assert_int_equal(json_parse(str_of(cases[i].def), &def, NULL), 0);
        assert_int_equal(json_parse(str_of(cases[i].value), &value, NULL), 0);
        int rc = check_value(check_compile(a, json_root(def), NULL), json_root(value), &at, &r);
        if ((rc == 0) != cases[i].ok)
            fail_msg("%s: %s", cases[i].def, cases[i].value);
        if (rc < 0) {
            assert_int_equal(r.status, 422);
            assert_ptr_equal(strstr(r.message, "\"properties/p"), r.message);
            assert_string_equal(r.details, "{\"property\":\"p\"}");
        }
        arena_free(a);
        json_unref(def);
        json_unref(value);
    }
}

static void test_globs(void **state)
{
    (void)state;
    assert_true(glob_matches(STR("a*c"), STR("abbc")));
    assert_true(glob_matches(STR("*"), STR("")));
    assert_false(glob_matches(STR("a*c"), STR("abcd")));
    assert_true(path_matches(STR("/v1/*/x"), STR("/v1/a/x")));
    assert_false(path_matches(STR("/v1/*"), STR("/v1/a/x")));
    assert_true(path_matches(STR("/v1/**"), STR("/v1/a/x")));
    assert_true(path_matches(STR("/**"), STR("/v1")));
    assert_false(path_matches(STR("/v1/a/x"), STR("/v1/a")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identifiers),
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_globs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
