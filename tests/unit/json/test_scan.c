/* Members of JSON text without parsing: what is found is what a parser finds. */
#include "support.h"

#include "json/scan.h"

static void check(const char *object, const char *name, const char *want)
{
    struct str got = json_scan_member(str_of(object), str_of(name));
    if (want ? !str_is(got, want) : got.p != NULL)
        print_error("%s of %s: %.*s\n", name, object, STR_FMT(got));
    assert_true(want ? str_is(got, want) : got.p == NULL);
}

static void members_are_found_as_they_stand(void **state)
{
    (void)state;
    check("{\"a\":1}", "a", "1");
    check(" { \"a\" : 1.10 , \"b\" : [ 1 , {\"a\":2} ] } ", "a", "1.10");
    check(" { \"a\" : 1.10 , \"b\" : [ 1 , {\"a\":2} ] } ", "b", "[ 1 , {\"a\":2} ]");
    check("{\"x\":{\"a\":{}},\"a\":\"\"}", "a", "\"\"");
    check("{\"x\":\"}{][,\\\"a\\\":1\",\"a\":null}", "a", "null");
    check("{\"x\":\"\\\\\",\"a\":true}", "a", "true");
    check("{\"x\":\"\\\\\\\"\",\"a\":-0}", "a", "-0");
    check("{\"a\":\"b,c}\"}", "a", "\"b,c}\"");
}

static void what_is_not_there_is_not_found(void **state)
{
    (void)state;
    check("{}", "a", NULL);
    check("{\"b\":{\"a\":1}}", "a", NULL);
    check("[\"a\",1]", "a", NULL);
    check("\"a\"", "a", NULL);
    check("", "a", NULL);
    check("{\"ab\":1}", "a", NULL);
}

/* Text that is no JSON gives nothing or a slice, and reads nothing beyond its end. */
static void cut_text_ends_at_its_end(void **state)
{
    (void)state;
    const char *whole = "{\"x\":[{\"y\":\"\\\\\\\"z\"}],\"a\":{\"b\":[1,2]}}";
    for (size_t n = 0; n < strlen(whole); n++) {
        char *copy = malloc(n + 1);
        memcpy(copy, whole, n);
        struct str got = json_scan_member((struct str){copy, n}, STR("a"));
        assert_true(!got.p || (got.p >= copy && got.p + got.n <= copy + n));
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_found_as_they_stand),
        cmocka_unit_test(what_is_not_there_is_not_found),
        cmocka_unit_test(cut_text_ends_at_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
