/* Equality by value, canonical text, fingerprints that agree with equality (sync S-94, S-99, S-100). */
#include "support.h"

static void compare(const char *a, const char *b, bool want)
{
    struct json_doc *x = doc_of(str_of(a)), *y = doc_of(str_of(b));
    bool same = json_equal(json_root(x), json_root(y)), back = json_equal(json_root(y), json_root(x));
    bool prints = key128_eq(json_fingerprint(json_root(x)), json_fingerprint(json_root(y)));
    if (same != want || back != want || prints != want)
        print_error("%s and %s: equal %d, %d, fingerprints %d\n", a, b, same, back, prints);
    assert_true(same == want && back == want && prints == want);
    json_unref(x);
    json_unref(y);
}

static void numbers_compare_by_value(void **state)
{
    (void)state;
    const char *same[][2] = {{"1", "1.0"},
                             {"1", "1e0"},
                             {"10", "1e1"},
                             {"1.10", "1.1"},
                             {"0", "-0"},
                             {"0", "0.000e99"},
                             {"1E+2", "100"},
                             {"0.001", "1e-3"},
                             {"12.5", "125e-1"},
                             {"123.456", "12345.6e-2"},
                             {"1e400", "10e399"},
                             {"1e0000000000000000000001", "10"},
                             {"9007199254740993", "9007199254740993.0"},
                             {"0e99999999999999999999", "0"},
                             {"100000000000000000000", "1e20"}};
    const char *other[][2] = {{"1", "-1"},
                              {"1", "2"},
                              {"1", "10"},
                              {"1.01", "1.1"},
                              {"9007199254740993", "9007199254740992"},
                              {"9007199254740993", "9007199254740993.1"},
                              {"1e400", "1e401"},
                              {"101", "1001"},
                              {"0.1", "0.10000000000000001"},
                              {"1e99999999999999999998", "1e99999999999999999999"},
                              {"1e99999999999999999999", "1"},
                              {"0", "1e-400"},
                              {"12", "1.2"}};
    for (size_t i = 0; i < ARRAY_LEN(same); i++)
        compare(same[i][0], same[i][1], true);
    for (size_t i = 0; i < ARRAY_LEN(other); i++)
        compare(other[i][0], other[i][1], false);
    assert_true(json_num_equal(STR("1e99999999999999999999"), STR("1e99999999999999999999")));
}

static void objects_compare_without_order(void **state)
{
    (void)state;
    compare("{\"a\":1,\"b\":[1,2]}", "{\"b\":[1.0,2],\"a\":1e0}", true);
    compare("{\"a\":1}", "{\"a\":1,\"b\":null}", false);
    compare("{\"a\":1}", "{\"b\":1}", false);
    compare("{}", "[]", false);
    compare("{}", "{}", true);
    compare("{\"a\":{\"x\":1,\"y\":{}}}", "{\"a\":{\"y\":{},\"x\":1}}", true);
    compare("{\"a\":{\"x\":1,\"y\":{}}}", "{\"a\":{\"y\":{},\"x\":2}}", false);
}

static void duplicates_count_as_the_last(void **state)
{
    (void)state;
    compare("{\"a\":1,\"a\":2}", "{\"a\":2}", true);
    compare("{\"a\":1,\"a\":2}", "{\"a\":1}", false);
    compare("{\"a\":[1],\"a\":2}", "{\"a\":[3],\"a\":2}",
            true); /* same keys in the same order, differing where it does not count */
    compare("{\"a\":[{\"x\":1}],\"b\":0,\"a\":2}", "{\"a\":[{\"x\":2}],\"b\":0,\"a\":2}", true);
    compare("{\"a\":1,\"b\":1,\"b\":2}", "{\"a\":1,\"a\":1,\"b\":2}", true);
}

static void arrays_compare_in_order(void **state)
{
    (void)state;
    compare("[1,2]", "[2,1]", false);
    compare("[1,[2,3]]", "[1,[2,3]]", true);
    compare("[[1],2]", "[[1,2]]", false);
    compare("[[],[1]]", "[[[],1]]", false);
    compare("[1]", "[1,1]", false);
    compare("[null]", "[false]", false);
    compare("[\"1\"]", "[1]", false);
    compare("[\"a\",\"b\"]", "[\"ab\"]", false);
    compare("\"\"", "null", false);
}

static void missing_equals_only_missing(void **state)
{
    (void)state;
    struct json_doc *d = doc_of(STR("null"));
    assert_true(json_equal(JSON_NONE, JSON_NONE));
    assert_false(json_equal(JSON_NONE, json_root(d)) || json_equal(json_root(d), JSON_NONE));
    assert_false(key128_eq(json_fingerprint(JSON_NONE), json_fingerprint(json_root(d))));
    json_unref(d);
}

static void canonical_text(void **state)
{
    (void)state;
    const char *cases[][2] = {{"{\"b\":1,\"a\":{\"z\":[{\"y\":1,\"x\":2}],\"aa\":1,\"a\":1.0}}",
                               "{\"a\":{\"a\":1.0,\"aa\":1,\"z\":[{\"x\":2,\"y\":1}]},\"b\":1}"},
                              {"{\"a\":1,\"b\":2,\"a\":3}", "{\"a\":3,\"b\":2}"},
                              {"{\"\\uffee\":1,\"\\ud83d\\ude00\":2,\"\":3}",
                               "{\"\":3,\"\xEF\xBF\xAE\":1,\"\xF0\x9F\x98\x80\":2}"}, /* code points, not UTF-16 */
                              {"[]", "[]"},
                              {"\"x\"", "\"x\""}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct json_doc *d = doc_of(str_of(cases[i][0]));
        struct buf b;
        buf_init(&b, BUF_NO_LIMIT);
        assert_int_equal(json_canonical(&b, json_root(d)), 0);
        assert_string_equal(buf_cstr(&b), cases[i][1]);
        buf_done(&b);
        json_unref(d);
    }
}

static void large_objects_are_sorted(void **state)
{
    (void)state;
    struct buf up, down, canonical;
    buf_init(&up, BUF_NO_LIMIT);
    buf_init(&down, BUF_NO_LIMIT);
    buf_init(&canonical, BUF_NO_LIMIT);
    for (int i = 0; i < 500; i++) {
        buf_addf(&up, "%c\"k%03d\":[{\"x\":%d}]", i ? ',' : '{', i, i);
        buf_addf(&down, "%c\"k%03d\":[{\"x\":%d.0}]", i ? ',' : '{', 499 - i, 499 - i);
    }
    buf_addc(&up, '}');
    buf_addc(&down, '}');
    compare(buf_cstr(&up), buf_cstr(&down), true);
    struct json_doc *d = doc_of(buf_str(&up));
    json_canonical(&canonical, json_root(d));
    assert_string_equal(buf_cstr(&canonical), buf_cstr(&up));
    json_unref(d);
    buf_done(&up);
    buf_done(&down);
    buf_done(&canonical);
}

static void identifiers_become_text(void **state)
{
    (void)state;
    const char *cases[][2] = {
        {"\"a b\"", "a b"},        {"7", "7"},       {"\"7\"", "7"},
        {"true", "true"},          {"null", "null"}, {"{\"b\":1,\"a\":[2]}", "{\"a\":[2],\"b\":1}"},
        {"[1,\"x\"]", "[1,\"x\"]"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct json_doc *d = doc_of(str_of(cases[i][0]));
        struct buf b;
        buf_init(&b, BUF_NO_LIMIT);
        assert_int_equal(json_identifier_text(&b, json_root(d)), 0);
        assert_string_equal(buf_cstr(&b), cases[i][1]);
        buf_done(&b);
        json_unref(d);
    }
}

static void depth_costs_no_stack(void **state)
{
    (void)state;
    const char *open[] = {"[", "{\"z\":1,\"k\":"}, *close[] = {"]", "}"};
    for (int kind = 0; kind < 2; kind++) {
        char *one = nested(open[kind], "1", close[kind], JSON_MAX_DEPTH),
             *two = nested(open[kind], "2", close[kind], JSON_MAX_DEPTH);
        compare(one, one, true);
        compare(one, two, false);
        struct json_doc *d = doc_of(str_of(one));
        struct buf b;
        buf_init(&b, BUF_NO_LIMIT);
        assert_int_equal(json_canonical(&b, json_root(d)), 0);
        buf_done(&b);
        json_unref(d);
        free(one);
        free(two);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_compare_by_value),     cmocka_unit_test(objects_compare_without_order),
        cmocka_unit_test(duplicates_count_as_the_last), cmocka_unit_test(arrays_compare_in_order),
        cmocka_unit_test(missing_equals_only_missing),  cmocka_unit_test(canonical_text),
        cmocka_unit_test(large_objects_are_sorted),     cmocka_unit_test(identifiers_become_text),
        cmocka_unit_test(depth_costs_no_stack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
