/* Each parser takes the whole text or refuses it; limits are the caller's. */
#include "config/scalars.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool digit(char c) { return c >= '0' && c <= '9'; }

bool scalar_int(struct str s, int64_t *ret)
{
    char text[64];
    size_t n = 0, i = 0;
    s = str_trim(s);
    if (s.n == 0 || s.n >= sizeof(text))
        return false;
    if (s.p[0] == '+' || s.p[0] == '-') {
        if (s.p[0] == '-')
            text[n++] = '-';
        i++;
    }
    if (i == s.n || !digit(s.p[i]))
        return false;
    for (; i < s.n && s.p[i] != '.'; i++) {
        if (digit(s.p[i]))
            text[n++] = s.p[i];
        else if (s.p[i] != '_' || !digit(s.p[i - 1]) || i + 1 == s.n || !digit(s.p[i + 1]))
            return false;
    }
    if (i < s.n && i + 1 == s.n)
        return false; /* "5." */
    for (i++; i < s.n; i++)
        if (s.p[i] != '0')
            return false;
    return str_int64((struct str){text, n}, ret);
}

bool scalar_number(struct str s, double *ret)
{
    char text[64], *end;
    s = str_trim(s);
    if (s.n == 0 || s.n >= sizeof(text))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!digit(s.p[i]) && !strchr("+-.eE", s.p[i]))
            return false;
    memcpy(text, s.p, s.n);
    text[s.n] = 0;
    double d = strtod(text, &end);
    if (*end || end == text || !isfinite(d))
        return false;
    *ret = d;
    return true;
}

bool scalar_size(struct str s, double *ret)
{
    static const char units[] = "KMGT";
    s = str_trim(s);
    if (s.n && toupper((unsigned char)s.p[s.n - 1]) == 'B')
        s.n--;
    if (s.n && s.p[s.n - 1] == 'i')
        s.n--;
    double factor = 1;
    const char *unit = s.n ? strchr(units, toupper((unsigned char)s.p[s.n - 1])) : NULL;
    if (unit && *unit) {
        for (const char *u = units; u <= unit; u++)
            factor *= 1024;
        s.n--;
    }
    double d;
    if (!scalar_number(s, &d) || d < 0)
        return false;
    *ret = d * factor;
    return true;
}

bool scalar_minutes(struct str s, int64_t *ret)
{
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};
    int64_t factor = 60, n;
    s = str_trim(s);
    for (size_t i = 0; s.n && i < sizeof(units) / sizeof(units[0]); i++) {
        if (tolower((unsigned char)s.p[s.n - 1]) == units[i].unit) {
            factor = units[i].seconds;
            s.n--;
            break;
        }
    }
    if (!scalar_int(s, &n) || n < 0 || n > 100000000 || n * factor % 60)
        return false;
    *ret = n * factor / 60;
    return true;
}
