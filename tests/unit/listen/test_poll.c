/* Which request of Port starts a resync (runtime ). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "listen/poll.h"

static bool newer(const char *request, const char *baseline) { return poll_is_newer(str_of(request), str_of(baseline)); }

static void only_newer_requests_count(void **state)
{
    (void)state;
    assert_false(newer("2030-01-01T00:05:00.000Z", "2030-01-01T00:10:00.000Z"));
    assert_true(newer("2030-01-01T00:10:00.001Z", "2030-01-01T00:10:00.000Z"));
    assert_false(newer("2030-01-01T00:05:00.000Z", "2030-01-01T00:05:00.000Z"));
    assert_false(newer("2030-01-01T02:05:00+02:00", "2030-01-01T00:05:00Z")); /* the same instant */
}

static void what_cannot_be_read(void **state)
{
    (void)state;
    assert_false(newer("", "2030-01-01T00:00:00Z"));
    assert_false(newer("yesterday", NULL));
    assert_true(newer("2030-01-01T00:05:00Z", NULL));
    assert_true(newer("2030-01-01T00:05:00Z", "yesterday"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_newer_requests_count),
        cmocka_unit_test(what_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
