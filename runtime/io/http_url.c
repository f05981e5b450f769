/* http_url.c: checking URLs, looking up headers, URLs for messages. Pure functions.
 *
 * Only what a request needs is checked here: scheme, host, port and characters that would break a request line. The
 * rest is left to libcurl. */
#include "io/http_client_priv.h"

#include <stdio.h>
#include <string.h>

struct str http_header_get(const struct http_header *h, size_t n, struct str name)
{
    for (size_t i = 0; i < n; i++) {
        if (str_ieq(h[i].name, name))
            return h[i].value;
    }
    return STR_NULL;
}

/* host[:port]; IPv6 addresses stand in brackets. */
static bool authority_ok(struct str a)
{
    struct str port = STR_NULL;
    if (a.n && a.p[0] == '[') {
        const char *end = memchr(a.p, ']', a.n);
        if (!end || end == a.p + 1)
            return false;
        size_t used = (size_t)(end - a.p) + 1;
        if (used == a.n)
            return true;
        if (a.p[used] != ':')
            return false;
        port = (struct str){a.p + used + 1, a.n - used - 1};
    } else {
        const char *colon = memchr(a.p, ':', a.n);
        size_t host_n = colon ? (size_t)(colon - a.p) : a.n;
        if (host_n == 0)
            return false;
        if (!colon)
            return true;
        port = (struct str){colon + 1, a.n - host_n - 1};
    }
    int64_t n;
    return str_int64(port, &n) && n >= 1 && n <= 65535;
}

int http_url_parse(struct str url, struct str *scheme, struct str *host, struct str *path, struct err *e)
{
    for (size_t i = 0; i < url.n; i++) {
        unsigned char c = (unsigned char)url.p[i];
        if (c <= 0x20 || c == 0x7f)
            return ERR(e, ERR_INVAL, "URL '%.*s' holds a %s: write it as %%%02X", STR_FMT(url),
                       c == ' ' ? "space" : "control character", c);
    }
    size_t colon = 0;
    while (colon < url.n && url.p[colon] != ':' && url.p[colon] != '/' && url.p[colon] != '?')
        colon++;
    if (colon + 3 > url.n || memcmp(url.p + colon, "://", 3) != 0)
        return ERR(e, ERR_INVAL, "'%.*s' is no absolute URL: it must begin with http:// or https://", STR_FMT(url));
    struct str s = {url.p, colon};
    if (!str_ieq(s, STR("http")) && !str_ieq(s, STR("https")))
        return ERR(e, ERR_INVAL, "URL '%.*s' has the scheme '%.*s': only http and https are supported", STR_FMT(url),
                   STR_FMT(s));
    struct str rest = {url.p + colon + 3, url.n - colon - 3};
    size_t n = 0;
    while (n < rest.n && rest.p[n] != '/' && rest.p[n] != '?' && rest.p[n] != '#')
        n++;
    struct str authority = {rest.p, n};
    const char *at = n ? memrchr(rest.p, '@', n) : NULL;
    if (at)
        authority = (struct str){at + 1, n - (size_t)(at + 1 - rest.p)};
    if (!authority_ok(authority))
        return ERR(e, ERR_INVAL, "URL '%.*s' has no valid host and port: '%.*s'", STR_FMT(url), STR_FMT(authority));
    struct str p = {rest.p + n, rest.n - n};
    const char *hash = p.n ? memchr(p.p, '#', p.n) : NULL;
    if (hash)
        p.n = (size_t)(hash - p.p);
    if (scheme)
        *scheme = s;
    if (host)
        *host = authority;
    if (path)
        *path = p.n ? p : STR("/");
    return 0;
}

char *http_url_public(const char *url, char *out, size_t n)
{
    struct str scheme, host, path;
    if (http_url_parse(str_of(url), &scheme, &host, &path, NULL) < 0) {
        snprintf(out, n, "%.*s", (int)strcspn(url, "?#"), url);
        return out;
    }
    const char *query = memchr(path.p, '?', path.n);
    if (query)
        path.n = (size_t)(query - path.p);
    snprintf(out, n, "%.*s://%.*s%.*s", STR_FMT(scheme), STR_FMT(host), STR_FMT(path));
    return out;
}
