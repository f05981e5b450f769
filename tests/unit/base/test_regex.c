/* Bounded regular expressions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/regex.h"

static void groups_and_names(void **state)
{
    (void)state;
    struct err e;
    struct regex *r = regex_new(STR("(?<year>\\d{4})-(\\d\\d)?"), 0, &e);
    struct regex_span s[3];
    assert_non_null(r);
    assert_int_equal(regex_groups(r), 2);
    assert_true(str_is(regex_group_name(r, 1), "year"));
    assert_null(regex_group_name(r, 2).p);
    assert_int_equal(regex_search(r, STR("in 2030-"), 0, s, 3), 1);
    assert_int_equal(s[0].start, 3);
    assert_int_equal(s[1].end, 7);
    assert_int_equal(s[2].start, -1);
    assert_int_equal(regex_search(r, STR("none"), 0, s, 3), REGEX_NO_MATCH);
    regex_free(r);
    regex_free(NULL);
}

static void a_bad_pattern_is_an_error(void **state)
{
    (void)state;
    struct err e;
    assert_null(regex_new(STR("(a"), 0, &e));
    assert_int_equal(e.code, ERR_PARSE);
    assert_non_null(strstr(e.msg, "(a"));
}

static void a_catastrophic_pattern_ends(void **state)
{
    (void)state;
    struct err e;
    struct regex *r = regex_new(STR("^(a+)+$"), 0, &e);
    struct regex_span s[1];
    assert_non_null(r);
    assert_int_equal(regex_search(r, STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"), 0, s, 1),
                     REGEX_LIMIT);
    regex_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_and_names),
        cmocka_unit_test(a_bad_pattern_is_an_error),
        cmocka_unit_test(a_catastrophic_pattern_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
