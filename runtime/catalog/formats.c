/* Text formats of port-api P-133 and the alphabets of identifiers. Pure functions. Letters of any script are recognised
 * by one regular expression, compiled once, and only when a text is not plain ASCII. */
#include <arpa/inet.h>
#include <pthread.h>
#include <string.h>

#include "base/regex.h"
#include "catalog/check.h"

/* Identifiers --------------------------------------------------------------------------------------------------- */

static struct regex *only_letters;

static void compile_letters(void) { only_letters = regex_new(STR("\\A\\p{L}*\\z"), 0, NULL); }

static bool letters_ok(struct str s)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, compile_letters);
    return only_letters && regex_search(only_letters, s, 0, NULL, 0) == 1;
}

static bool alphanumeric(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Everything ASCII must be alphanumeric or in `signs`; runs of other bytes must be letters. */
static bool alphabet_ok(struct str s, const char *signs)
{
    for (size_t i = 0; i < s.n;) {
        unsigned char c = (unsigned char)s.p[i];
        size_t from = i;
        if (c < 0x80) {
            if (c == 0 || (!alphanumeric(c) && !strchr(signs, c)))
                return false;
            i++;
            continue;
        }
        while (i < s.n && (unsigned char)s.p[i] >= 0x80)
            i++;
        if (!letters_ok((struct str){s.p + from, i - from}))
            return false;
    }
    return true;
}

static bool length_ok(struct str s, size_t max)
{
    return s.n >= 1 && (s.n <= max || utf8_count(s) <= max) && !str_is(s, ".") && !str_is(s, "..");
}

bool entity_identifier_ok(struct str s) { return length_ok(s, LIMIT_IDENTIFIER) && alphabet_ok(s, "@_.+:\\/='-"); }
bool blueprint_identifier_ok(struct str s) { return length_ok(s, LIMIT_NAME) && alphabet_ok(s, "@_.+:\\/-"); }

bool member_name_ok(struct str s)
{
    if (s.n < 1 || s.n > LIMIT_NAME)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!alphanumeric((unsigned char)s.p[i]) && (!s.p[i] || !strchr("@_=\\-", s.p[i])))
            return false;
    return true;
}

/* Formats ------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    enum format format;
} formats[] = {
    {"date-time", FORMAT_DATE_TIME},
    {"timer", FORMAT_DATE_TIME},
    {"url", FORMAT_URL},
    {"email", FORMAT_EMAIL},
    {"user", FORMAT_EMAIL},
    {"idn-email", FORMAT_EMAIL},
    {"ipv4", FORMAT_IPV4},
    {"ipv6", FORMAT_IPV6},
    {"yaml", FORMAT_NONE},
    {"markdown", FORMAT_NONE},
    {"proto", FORMAT_NONE},
    {"team", FORMAT_NONE},
    {"blueprints", FORMAT_NONE},
    {"labeled-url", FORMAT_LABELED_URL},
};

bool format_of(struct str name, enum format *ret)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (str_is(name, formats[i].name)) {
            *ret = formats[i].format;
            return true;
        }
    }
    return false;
}

const char *format_word(enum format f)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
        if (formats[i].format == f)
            return formats[i].name;
    return "any";
}

/* Reads exactly `digits` digits at *i; -1 if they are not there. */
static int number(struct str s, size_t *i, int digits)
{
    int v = 0;
    for (int d = 0; d < digits; d++, (*i)++) {
        if (*i >= s.n || s.p[*i] < '0' || s.p[*i] > '9')
            return -1;
        v = v * 10 + s.p[*i] - '0';
    }
    return v;
}

static bool sign(struct str s, size_t *i, const char *set)
{
    if (*i >= s.n || !s.p[*i] || !strchr(set, s.p[*i]))
        return false;
    (*i)++;
    return true;
}

static bool zone_ok(struct str s, size_t *i)
{
    if (sign(s, i, "Zz"))
        return true;
    if (!sign(s, i, "+-"))
        return false;
    int h = number(s, i, 2);
    sign(s, i, ":");
    int m = number(s, i, 2);
    return h >= 0 && h <= 23 && m >= 0 && m <= 59;
}

static bool date_time_ok(struct str s)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    size_t i = 0;
    int y = number(s, &i, 4);
    bool ok = y >= 0 && sign(s, &i, "-");
    int mo = ok ? number(s, &i, 2) : -1;
    ok = mo >= 1 && mo <= 12 && sign(s, &i, "-");
    int d = ok ? number(s, &i, 2) : -1;
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    if (d < 1 || d > days[mo - 1] + (mo == 2 && leap) || !sign(s, &i, "Tt "))
        return false;
    int h = number(s, &i, 2);
    ok = h >= 0 && h <= 23 && sign(s, &i, ":");
    int mi = ok ? number(s, &i, 2) : -1;
    ok = mi >= 0 && mi <= 59 && sign(s, &i, ":");
    int sec = ok ? number(s, &i, 2) : -1;
    if (sec < 0 || sec > 60)
        return false;
    if (sign(s, &i, ".")) {
        size_t from = i;
        while (i < s.n && s.p[i] >= '0' && s.p[i] <= '9')
            i++;
        if (i == from)
            return false;
    }
    return zone_ok(s, &i) && i == s.n;
}

static bool has_space(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= ' ')
            return true;
    return false;
}

static bool url_ok(struct str s)
{
    size_t i = 0;
    while (i < s.n && (alphanumeric((unsigned char)s.p[i]) || (s.p[i] && strchr("+.-", s.p[i]))))
        i++;
    bool letter = s.n && alphanumeric((unsigned char)s.p[0]) && (s.p[0] < '0' || s.p[0] > '9');
    return letter && i + 3 < s.n && memcmp(s.p + i, "://", 3) == 0 && !has_space(s);
}

static bool email_ok(struct str s)
{
    const char *at = s.n ? memchr(s.p, '@', s.n) : NULL;
    size_t left = at ? (size_t)(at - s.p) : 0, right = at ? s.n - left - 1 : 0;
    return left && right && !memchr(at + 1, '@', right) && !has_space(s);
}

static bool ip_ok(struct str s, int family)
{
    char text[64];
    unsigned char out[16];
    if (s.n >= sizeof(text) || memchr(s.p, 0, s.n))
        return false;
    memcpy(text, s.p, s.n);
    text[s.n] = 0;
    return inet_pton(family, text, out) == 1;
}

bool format_matches(enum format f, struct str text)
{
    switch (f) {
    case FORMAT_DATE_TIME: return date_time_ok(text);
    case FORMAT_URL: return url_ok(text);
    case FORMAT_EMAIL: return email_ok(text);
    case FORMAT_IPV4: return ip_ok(text, AF_INET);
    case FORMAT_IPV6: return ip_ok(text, AF_INET6);
    case FORMAT_NONE:
    case FORMAT_LABELED_URL: break;
    }
    return true;
}
