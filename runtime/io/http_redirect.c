/* http_redirect.c: following a redirect.
 *
 * Redirects are followed here and not by libcurl, which would send a client's own headers (tokens) to the new host:
 * when the origin changes, only headers that carry no credentials stay, and user info of the URL is not inherited. What
 * was dropped does not come back when a later hop leads to the first host again. */
#include "io/http_client_priv.h"

#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

struct origin {
    char *scheme, *host, *port;
};

static int origin_of(CURLU *u, struct origin *o)
{
    return curl_url_get(u, CURLUPART_SCHEME, &o->scheme, 0) || curl_url_get(u, CURLUPART_HOST, &o->host, 0) ||
                   curl_url_get(u, CURLUPART_PORT, &o->port, CURLU_DEFAULT_PORT)
               ? -1
               : 0;
}

static void origin_done(struct origin *o)
{
    curl_free(o->scheme);
    curl_free(o->host);
    curl_free(o->port);
}

/* The same server; from http to https on the usual ports counts as one. */
static bool same_origin(const struct origin *a, const struct origin *b)
{
    if (strcasecmp(a->host, b->host) != 0)
        return false;
    if (strcmp(a->scheme, b->scheme) == 0)
        return strcmp(a->port, b->port) == 0;
    return strcmp(a->scheme, "http") == 0 && strcmp(a->port, "80") == 0 && strcmp(b->port, "443") == 0;
}

static bool harmless_header(struct str name)
{
    static const char *const names[] = {"Accept", "Accept-Language", "Accept-Encoding", "Content-Type", "User-Agent"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_ieq(name, str_of(names[i])))
            return true;
    }
    return false;
}

static void keep_headers(struct http_req *r, bool (*keep)(struct str name))
{
    size_t n = 0;
    for (size_t i = 0; i < r->nheaders; i++) {
        if (keep(r->headers[i].name))
            r->headers[n++] = r->headers[i];
    }
    r->nheaders = n;
}

static bool not_host(struct str name) { return !str_ieq(name, STR("Host")); }
static bool not_content(struct str name) { return !str_ieq(name, STR("Content-Type")); }

/* The URL `location` means, seen from r->url; NULL if it is none. */
static char *resolve(const struct http_req *r, const char *location, bool *ret_same)
{
    char *text = NULL, *url = NULL;
    struct origin from = {0}, to = {0};
    CURLU *u = curl_url();
    if (u && curl_url_set(u, CURLUPART_URL, r->url, 0) == CURLUE_OK && origin_of(u, &from) == 0 &&
        curl_url_set(u, CURLUPART_URL, location, CURLU_URLENCODE) == CURLUE_OK && origin_of(u, &to) == 0) {
        *ret_same = same_origin(&from, &to);
        if (!*ret_same) { /* a relative location inherits these */
            curl_url_set(u, CURLUPART_USER, NULL, 0);
            curl_url_set(u, CURLUPART_PASSWORD, NULL, 0);
        }
        if (curl_url_get(u, CURLUPART_URL, &text, 0) == CURLUE_OK && text)
            url = xstrdup(text);
    }
    curl_free(text);
    origin_done(&from);
    origin_done(&to);
    curl_url_cleanup(u);
    return url;
}

static struct str answer_header(const struct http_req *r, const char *name)
{
    for (size_t i = 0; i < r->nslots; i++) {
        const struct head_slot *s = &r->slots[i];
        if (str_ieq((struct str){r->head.p + s->name, s->name_n}, str_of(name)))
            return (struct str){r->head.p + s->value, s->value_n};
    }
    return STR_NULL;
}

int http_req_redirect(struct http_req *r, bool *ret_again, struct err *e)
{
    long status = 0;
    curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
    bool see_other = status == 303, moved = status == 301 || status == 302;
    *ret_again = false;
    if (!see_other && !moved && status != 307 && status != 308)
        return 0;
    struct str location = answer_header(r, "Location");
    if (!location.n)
        return 0;
    char from[200], *text = str_dup(location);
    bool same = false;
    http_url_public(r->url, from, sizeof(from));
    char *url = resolve(r, text, &same);
    free(text);
    if (++r->redirects > HTTP_REDIRECTS_MAX) {
        free(url);
        return ERR(e, ERR_TRANSPORT, "%s %s: more than %d redirects", r->method, from, HTTP_REDIRECTS_MAX);
    }
    if (!url || http_url_parse(str_of(url), NULL, NULL, NULL, NULL) < 0) {
        free(url);
        return ERR(e, ERR_TRANSPORT, "%s %s: redirected with status %ld to something that is no http or https URL",
                   r->method, from, status);
    }
    if ((see_other && strcmp(r->method, "HEAD") != 0) || (moved && strcmp(r->method, "POST") == 0)) {
        free(r->method);
        r->method = xstrdup("GET");
        r->has_body = false;
        keep_headers(r, not_content);
    }
    keep_headers(r, same ? not_host : harmless_header);
    free(r->url);
    r->url = url;
    *ret_again = true;
    return 0;
}
