/* Clocks, and ISO 8601 without the C library's time zone machinery (days from civil, after Hinnant). */
#include "base/clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

static _Atomic int64_t fake_mono = -1, fake_wall;

static uint64_t read_ns(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t clock_mono_ns(void)
{
    int64_t f = atomic_load_explicit(&fake_mono, memory_order_relaxed);
    return f >= 0 ? (uint64_t)f : read_ns(CLOCK_MONOTONIC);
}

int64_t clock_wall_us(void)
{
    if (atomic_load_explicit(&fake_mono, memory_order_relaxed) >= 0)
        return atomic_load(&fake_wall);
    return (int64_t)(read_ns(CLOCK_REALTIME) / 1000);
}

uint64_t clock_thread_cpu_ns(void) { return read_ns(CLOCK_THREAD_CPUTIME_ID); }

void clock_fake(int64_t mono_ns, int64_t wall_us)
{
    atomic_store(&fake_wall, wall_us);
    atomic_store(&fake_mono, mono_ns);
}

static int64_t days_from_civil(int64_t y, int m, int d)
{
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t yoe = y - era * 400, doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static void civil_from_days(int64_t z, int64_t *y, int *m, int *d)
{
    z += 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097, doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365, doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    *d = (int)(doy - (153 * mp + 2) / 5 + 1);
    *m = (int)(mp < 10 ? mp + 3 : mp - 9);
    *y = yoe + era * 400 + (*m <= 2);
}

void iso_format(char out[40], int64_t wall_us, enum iso_style style)
{
    int64_t s = wall_us / 1000000, us = wall_us % 1000000, y;
    int m, d;
    if (us < 0) {
        us += 1000000;
        s--;
    }
    int64_t days = s / 86400, rest = s % 86400;
    if (rest < 0) {
        rest += 86400;
        days--;
    }
    civil_from_days(days, &y, &m, &d);
    if (y > 9999 || y < 0)
        y = y < 0 ? 0 : 9999;
    int n = snprintf(out, 40, "%04d-%02d-%02dT%02d:%02d:%02d", (int)y, m, d, (int)(rest / 3600), (int)(rest / 60 % 60),
                     (int)(rest % 60));
    if (style == ISO_Z_MILLIS)
        snprintf(out + n, 40 - (size_t)n, ".%03dZ", (int)(us / 1000));
    else if (style == ISO_Z_MICROS)
        snprintf(out + n, 40 - (size_t)n, ".%06dZ", (int)us);
    else if (us)
        snprintf(out + n, 40 - (size_t)n, ".%06d+00:00", (int)us);
    else
        snprintf(out + n, 40 - (size_t)n, "+00:00");
}

/* n digits at s[*i]; -1 if they are not all digits. */
static int digits(struct str s, size_t *i, int n)
{
    int v = 0;
    for (int k = 0; k < n; k++, (*i)++) {
        if (*i >= s.n || s.p[*i] < '0' || s.p[*i] > '9')
            return -1;
        v = v * 10 + (s.p[*i] - '0');
    }
    return v;
}

static bool eat(struct str s, size_t *i, char c)
{
    if (*i >= s.n || s.p[*i] != c)
        return false;
    (*i)++;
    return true;
}

static bool parse_zone(struct str s, size_t *i, int64_t *ret_offset_s)
{
    if (*i < s.n && (s.p[*i] == 'Z' || s.p[*i] == 'z')) {
        (*i)++;
        *ret_offset_s = 0;
        return true;
    }
    int sign = eat(s, i, '+') ? 1 : eat(s, i, '-') ? -1 : 0;
    if (!sign)
        return false;
    int h = digits(s, i, 2);
    eat(s, i, ':');
    int m = digits(s, i, 2);
    if (h < 0 || m < 0 || h > 23 || m > 59)
        return false;
    *ret_offset_s = sign * (h * 3600 + m * 60);
    return true;
}

static int month_days(int y, int m)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return m == 2 && (y % 4 == 0 && (y % 100 != 0 || y % 400 == 0)) ? 29 : days[m - 1];
}

bool iso_parse(struct str s, int64_t *ret_wall_us)
{
    size_t i = 0;
    int y = digits(s, &i, 4);
    if (y < 0 || !eat(s, &i, '-'))
        return false;
    int mo = digits(s, &i, 2);
    if (mo < 1 || mo > 12 || !eat(s, &i, '-'))
        return false;
    int d = digits(s, &i, 2);
    if (d < 1 || d > month_days(y, mo) || !(eat(s, &i, 'T') || eat(s, &i, 't') || eat(s, &i, ' ')))
        return false;
    int h = digits(s, &i, 2);
    if (h < 0 || h > 23 || !eat(s, &i, ':'))
        return false;
    int mi = digits(s, &i, 2);
    if (mi < 0 || mi > 59 || !eat(s, &i, ':'))
        return false;
    int sec = digits(s, &i, 2);
    if (sec < 0 || sec > 60)
        return false;
    int64_t us = 0;
    if (eat(s, &i, '.')) {
        int n = 0;
        for (; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++, n++)
            if (n < 6)
                us = us * 10 + (s.p[i] - '0');
        if (n == 0 || n > 9)
            return false;
        for (; n < 6; n++)
            us *= 10;
    }
    int64_t offset;
    if (!parse_zone(s, &i, &offset) || i != s.n)
        return false;
    *ret_wall_us = ((days_from_civil(y, mo, d) * 86400 + h * 3600 + mi * 60 + sec - offset) * 1000000) + us;
    return true;
}
