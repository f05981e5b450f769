/* Values are skipped by their brackets; strings by the next quotation mark that no backslash precedes. */
#include "json/scan.h"

static const char *skip_space(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'))
        p++;
    return p;
}

/* `p` is behind the opening mark; returns the closing one, or `end`. */
static const char *string_end(const char *p, const char *end)
{
    while (p < end) {
        const char *quote = memchr(p, '"', (size_t)(end - p));
        if (!quote)
            return end;
        const char *back = quote;
        while (back > p && back[-1] == '\\')
            back--;
        if ((quote - back) % 2 == 0)
            return quote;
        p = quote + 1;
    }
    return end;
}

/* Returns what follows the value that begins at `p`. */
static const char *value_end(const char *p, const char *end)
{
    size_t depth = 0;
    for (; p < end; p++) {
        switch (*p) {
        case '"':
            p = string_end(p + 1, end);
            if (p == end)
                return end;
            break;
        case '{':
        case '[': depth++; break;
        case '}':
        case ']':
            if (depth == 0)
                return p;
            depth--;
            break;
        case ',':
            if (depth == 0)
                return p;
            continue;
        default: continue;
        }
        if (depth == 0)
            return p + 1;
    }
    return end;
}

struct str json_scan_member(struct str object, struct str name)
{
    const char *p = object.p, *end = object.p + object.n;
    p = object.n ? skip_space(p, end) : end;
    if (p == end || *p++ != '{')
        return STR_NULL;
    for (;;) {
        p = skip_space(p, end);
        if (p == end || *p != '"')
            return STR_NULL;
        const char *key = p + 1, *close = string_end(key, end);
        p = close < end ? skip_space(close + 1, end) : end;
        if (p == end || *p != ':')
            return STR_NULL;
        p = skip_space(p + 1, end);
        const char *after = value_end(p, end);
        if (str_eq((struct str){key, (size_t)(close - key)}, name))
            return str_trim((struct str){p, (size_t)(after - p)});
        p = skip_space(after, end);
        if (p == end || *p++ != ',')
            return STR_NULL;
    }
}
