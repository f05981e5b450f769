/* Times as text and back; the frozen clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"

#define T0 1893553445678901 /* 2030-01-02T03:04:05.678901Z */

static void styles(void **state)
{
    (void)state;
    char out[40];
    iso_format(out, T0, ISO_Z_MILLIS);
    assert_string_equal(out, "2030-01-02T03:04:05.678Z");
    iso_format(out, T0, ISO_Z_MICROS);
    assert_string_equal(out, "2030-01-02T03:04:05.678901Z");
    iso_format(out, T0, ISO_OFFSET);
    assert_string_equal(out, "2030-01-02T03:04:05.678901+00:00");
    iso_format(out, 1893553445000000, ISO_OFFSET);
    assert_string_equal(out, "2030-01-02T03:04:05+00:00");
    iso_format(out, -1, ISO_Z_MICROS);
    assert_string_equal(out, "1969-12-31T23:59:59.999999Z");
    iso_format(out, 951782400000000, ISO_Z_MILLIS);
    assert_string_equal(out, "2000-02-29T00:00:00.000Z");
    iso_format(out, INT64_MAX, ISO_Z_MICROS); /* no year for it, but no overflow either */
    iso_format(out, INT64_MIN, ISO_Z_MICROS);
}

static void accepted(void **state)
{
    (void)state;
    const struct {
        const char *text;
        int64_t us;
    } cases[] = {{"2030-01-02T03:04:05.678901Z", T0},
                 {"2030-01-02t03:04:05.678901z", T0},
                 {"2030-01-02 03:04:05.678901+00:00", T0},
                 {"2030-01-02T05:34:05.678901+02:30", T0},
                 {"2030-01-01T22:04:05.678901-0500", T0},
                 {"2030-01-02T03:04:05.678901999Z", T0},
                 {"2030-01-02T03:04:05Z", 1893553445000000},
                 {"2030-01-02T03:04:05.6Z", 1893553445600000},
                 {"1970-01-01T00:00:00Z", 0},
                 {"0001-01-01T00:00:00Z", -62135596800000000},
                 {"2016-12-31T23:59:60Z", 1483228800000000}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t us = 1;
        assert_true(iso_parse(str_of(cases[i].text), &us));
        assert_int_equal(us, cases[i].us);
    }
}

static void refused(void **state)
{
    (void)state;
    const char *bad[] = {"",
                         "2030-01-02",
                         "2030-01-02T03:04Z",
                         "2030-01-02T03:04:05",
                         "2030-13-02T03:04:05Z",
                         "2030-02-29T03:04:05Z",
                         "2030-01-02T24:04:05Z",
                         "2030-01-02T03:60:05Z",
                         "2030-01-02T03:04:61Z",
                         "2030-01-02T03:04:05.Z",
                         "2030-01-02T03:04:05.1234567890Z",
                         "2030-01-02T03:04:05+24:00",
                         "2030-01-02T03:04:05Z ",
                         "2030-01-02X03:04:05Z",
                         "30-01-02T03:04:05Z",
                         "2030-01-02T03:04:05+1"};
    int64_t us;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(iso_parse(str_of(bad[i]), &us));
}

static void every_day_comes_back(void **state)
{
    (void)state;
    for (int64_t day = -719162; day < 2932896; day += 97) { /* years 1 to 9999 */
        char out[40];
        int64_t us;
        iso_format(out, day * 86400000000 + 1, ISO_Z_MICROS);
        assert_true(iso_parse(str_of(out), &us));
        assert_true(us == day * 86400000000 + 1);
    }
}

static void a_frozen_clock_stands(void **state)
{
    (void)state;
    clock_fake(5000000, T0);
    assert_int_equal(clock_mono_ms(), 5);
    assert_true(clock_wall_us() == T0);
    clock_fake(-1, 0);
    uint64_t a = clock_mono_ns();
    assert_true(clock_mono_ns() >= a && a > 5000000);
    assert_true(clock_wall_us() != T0);
    assert_true(clock_thread_cpu_ns() > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(styles),
        cmocka_unit_test(accepted),
        cmocka_unit_test(refused),
        cmocka_unit_test(every_day_comes_back),
        cmocka_unit_test(a_frozen_clock_stands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
