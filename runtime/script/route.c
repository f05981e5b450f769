/* Segments are compared raw against the pattern's and, if they differ, decoded: "%2F" inside a segment is data. */
#include "script/route.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static bool name_ok(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (i && c >= '0' && c <= '9')))
            return false;
    }
    return s.n > 0;
}

static int parse_segment(struct str s, bool last, struct route_segment *ret, struct err *e)
{
    bool braces = s.n && (memchr(s.p, '{', s.n) || memchr(s.p, '}', s.n));
    *ret = (struct route_segment){.text = s};
    if (!braces)
        return 0;
    if (s.n < 3 || s.p[0] != '{' || s.p[s.n - 1] != '}')
        return ERR(e, ERR_INVAL, "a parameter is a whole segment, as in /webhook/{source}, not \"%.*s\"", STR_FMT(s));
    struct str kind, name = str_split((struct str){s.p + 1, s.n - 2}, ':', &kind);
    ret->param = true;
    ret->rest = kind.p && str_is(kind, "path");
    ret->text = name;
    if (kind.p && !ret->rest)
        return ERR(e, ERR_INVAL, "{%.*s:%.*s}: only {name} and {name:path} are known", STR_FMT(name), STR_FMT(kind));
    if (ret->rest && !last)
        return ERR(e, ERR_INVAL, "{%.*s:path} takes all that is left, so nothing may follow it", STR_FMT(name));
    if (!name_ok(name))
        return ERR(e, ERR_INVAL, "\"%.*s\" is no name of a parameter: use letters, digits and _", STR_FMT(name));
    return 0;
}

int route_parse(struct str pattern, struct route_pattern *ret, struct err *e)
{
    *ret = (struct route_pattern){0};
    if (!pattern.n || pattern.p[0] != '/')
        return ERR(e, ERR_INVAL, "a path begins with \"/\", not \"%.*s\"", STR_FMT(pattern));
    if (memchr(pattern.p, '?', pattern.n) || memchr(pattern.p, '#', pattern.n) || memchr(pattern.p, 0, pattern.n))
        return ERR(e, ERR_INVAL, "\"%.*s\": a path holds no query; read it from req.query", STR_FMT(pattern));
    ret->text = str_dup(pattern);
    struct str rest = {ret->text + 1, pattern.n - 1};
    while (rest.p) {
        struct str one = str_split(rest, '/', &rest);
        int rc = ret->n == ROUTE_SEGMENTS ? ERR(e, ERR_INVAL, "a path has at most %d segments", ROUTE_SEGMENTS)
                                          : parse_segment(one, !rest.p, &ret->seg[ret->n], e);
        if (rc < 0) {
            route_done(ret);
            return rc;
        }
        ret->n++;
    }
    return 0;
}

void route_done(struct route_pattern *p)
{
    free(p->text);
    *p = (struct route_pattern){0};
}

static bool same(struct str literal, struct str segment)
{
    struct buf decoded;
    if (str_eq(literal, segment))
        return true;
    if (!segment.n || !memchr(segment.p, '%', segment.n))
        return false;
    buf_init(&decoded, BUF_NO_LIMIT);
    url_decode(&decoded, segment, false);
    bool equal = str_eq(literal, buf_str(&decoded));
    buf_done(&decoded);
    return equal;
}

bool route_match(const struct route_pattern *p, struct str path, struct str *values)
{
    size_t found = 0;
    if (!path.n || path.p[0] != '/')
        return false;
    struct str rest = {path.p + 1, path.n - 1};
    for (size_t i = 0; i < p->n; i++) {
        if (!rest.p)
            return false;
        if (p->seg[i].rest) {
            values[found] = rest;
            return true;
        }
        struct str one = str_split(rest, '/', &rest);
        if (p->seg[i].param && one.n)
            values[found++] = one;
        else if (p->seg[i].param || !same(p->seg[i].text, one))
            return false;
    }
    return !rest.p;
}
