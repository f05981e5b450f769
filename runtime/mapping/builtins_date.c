/* Dates, always in UTC: the machine's time zone plays no part. Formats are libc's, as in jq; %s is worked out
 * here since libc would look at the time zone. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "mapping/builtins.h"

#define VALUE(name) static int name(struct ev *c, struct val in, const struct val *args, struct val *ret)

static struct val from_tm(struct ev *c, const struct tm *t, double seconds)
{
    double parts[] = {t->tm_year + 1900.0, t->tm_mon, t->tm_mday, t->tm_hour,
                      t->tm_min,           seconds,   t->tm_wday, t->tm_yday};
    struct val a = val_array(c->heap, 8);
    for (int i = 0; i < 8 && a.kind == VAL_ARRAY; i++)
        a = val_push(c->heap, a, val_num(parts[i]));
    return a;
}

static int clamp_int(double d)
{
    return d >= 2147483647.0 ? 2147483647 : d <= -2147483648.0 ? -2147483647 - 1 : isnan(d) ? 0 : (int)d;
}

static int to_tm(struct ev *c, struct val a, const char *who, struct tm *t)
{
    int v[8] = {0};
    *t = (struct tm){0};
    for (size_t i = 0; i < 8 && i < val_len(c->heap, a); i++) {
        struct val x = val_at(a, i);
        if (x.kind != VAL_NUMBER)
            return ev_error(c, "%s requires parsed datetime inputs", who);
        v[i] = clamp_int(val_double(x) - (i == 0 ? 1900 : 0)); /* the fraction of a year counts before the cut */
    }
    t->tm_year = v[0];
    t->tm_mon = v[1];
    t->tm_mday = v[2];
    t->tm_hour = v[3];
    t->tm_min = v[4];
    t->tm_sec = v[5];
    t->tm_wday = v[6];
    t->tm_yday = v[7];
    return EV_OK;
}

static int gmtime_of(struct ev *c, double d, struct tm *t)
{
    if (!(fabs(d) < 9.2e18))
        return ev_error(c, "error converting number of seconds since epoch to datetime");
    time_t s = (time_t)d;
    if (!gmtime_r(&s, t))
        return ev_error(c, "error converting number of seconds since epoch to datetime");
    return EV_OK;
}

VALUE(f_gmtime)
{
    (void)args;
    struct tm t;
    if (in.kind != VAL_NUMBER)
        return ev_error(c, "gmtime() requires numeric inputs");
    double d = val_double(in);
    int rc = gmtime_of(c, d, &t);
    if (!rc)
        *ret = from_tm(c, &t, t.tm_sec + (d - floor(d)));
    return rc;
}

VALUE(f_mktime)
{
    (void)args;
    struct tm t;
    if (in.kind != VAL_ARRAY)
        return ev_error(c, "mktime requires array inputs");
    int rc = to_tm(c, in, "mktime", &t);
    if (rc)
        return rc;
    time_t s = timegm(&t);
    if (s == (time_t)-1)
        return ev_error(c, "invalid gmtime representation");
    *ret = val_num((double)s);
    return EV_OK;
}

/* The format with %s replaced by the number it stands for. */
static void expand_seconds(struct buf *out, struct str fmt, time_t seconds)
{
    for (size_t i = 0; i < fmt.n; i++) {
        if (fmt.p[i] == '%' && i + 1 < fmt.n && fmt.p[i + 1] == 's') {
            buf_addf(out, "%lld", (long long)seconds);
            i++;
        } else {
            buf_addc(out, fmt.p[i]);
            if (fmt.p[i] == '%' && i + 1 < fmt.n)
                buf_addc(out, fmt.p[++i]);
        }
    }
}

static int format_time(struct ev *c, struct val in, struct val fmt, const char *who, const char *zone,
                       struct val *ret)
{
    struct tm t;
    int rc;
    if (in.kind == VAL_NUMBER)
        rc = gmtime_of(c, val_double(in), &t);
    else if (in.kind == VAL_ARRAY)
        rc = to_tm(c, in, who, &t);
    else
        rc = ev_error(c, "%s requires parsed datetime inputs", who);
    if (rc)
        return rc;
    if (fmt.kind != VAL_STRING)
        return ev_error(c, "%s requires a string format", who);
    time_t s = timegm(&t); /* also brings fields back into their ranges */
    t.tm_zone = zone;
    struct buf f;
    char text[4096];
    buf_init(&f, BUF_NO_LIMIT);
    expand_seconds(&f, val_text(fmt), s);
    buf_addc(&f, 'x'); /* tells an empty result from one that did not fit */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored                                                                               \
    "-Wformat-nonliteral" /* the format is the mapping's; strftime takes no other arguments */
    size_t n = strftime(text, sizeof(text), buf_cstr(&f), &t);
#pragma GCC diagnostic pop
    buf_done(&f);
    if (!n)
        return ev_error(c, "%s: unknown system failure", who);
    *ret = val_string(c->heap, (struct str){text, n - 1});
    return EV_OK;
}

VALUE(f_strftime) { return format_time(c, in, args[0], "strftime/1", "GMT", ret); }
VALUE(f_strflocaltime) { return format_time(c, in, args[0], "strflocaltime/1", "UTC", ret); }

static bool parse_epoch(const char *text, struct tm *t)
{
    char *end;
    long long s = strtoll(text, &end, 10);
    time_t v = (time_t)s;
    return end != text && *end == 0 && gmtime_r(&v, t);
}

VALUE(f_strptime)
{
    if (in.kind != VAL_STRING || args[0].kind != VAL_STRING)
        return ev_error(c, "strptime/1 requires string inputs and arguments");
    struct val text = val_concat(c->heap, in, val_strn("", 1)),
               fmt = val_concat(c->heap, args[0], val_strn("", 1));
    if (c->heap->full)
        return ev_emit(c, NULL, NULL, in, NULL);
    struct tm t = {.tm_wday = 8, .tm_yday = 367};
    if (strcmp(fmt.s, "%s") == 0) {
        if (!parse_epoch(text.s, &t))
            return ev_error(c, "date %s does not match format \"%%s\"",
                            val_excerpt(c->heap, in, 60).p ? "given" : "");
    } else {
        const char *end = strptime(text.s, fmt.s, &t);
        if (!end || *end)
            return ev_error(c, "date \"%.200s\" does not match format \"%.200s\"", text.s, fmt.s);
    }
    struct tm day = {.tm_year = t.tm_year, .tm_mon = t.tm_mon, .tm_mday = t.tm_mday};
    if (t.tm_mday >= 1 && t.tm_mday <= 31 && (t.tm_wday == 8 || t.tm_yday == 367)) {
        timegm(&day);
        t.tm_wday = t.tm_wday == 8 ? day.tm_wday : t.tm_wday;
        t.tm_yday = t.tm_yday == 367 ? day.tm_yday : t.tm_yday;
    }
    *ret = from_tm(c, &t, t.tm_sec);
    return EV_OK;
}

VALUE(f_now)
{
    (void)in, (void)args;
    *ret = val_num(c->clock_fixed ? c->clock : (double)clock_wall_us() / 1e6);
    return EV_OK;
}

const struct native natives_date[] = {
    {"gmtime", 0, f_gmtime, NULL},
    {"localtime", 0, f_gmtime, NULL},
    {"mktime", 0, f_mktime, NULL},
    {"strftime", 1, f_strftime, NULL},
    {"strflocaltime", 1, f_strflocaltime, NULL},
    {"strptime", 1, f_strptime, NULL},
    {"now", 0, f_now, NULL},
    {.name = NULL},
};
