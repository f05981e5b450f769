/* http_request.c: one HTTP request: its options, what libcurl hands over, the finished answer.
 *
 * The spec is copied when the request is made, so that it can be configured again for a redirect (http_redirect.c).
 *
 * libcurl sends a request again by itself when a kept-alive connection turns out to be dead before a byte of the answer
 * came. That is right for idempotent methods only (RFC 9110, 9.2.2): for the others the callback before the second
 * sending refuses (STOP_RESEND).
 *
 * Header text is collected in one buffer as offsets, because the buffer moves while it grows; pointers are made when
 * the answer is complete. Only the headers of the last answer are kept (100 Continue and redirects come before it). */
#include "io/http_client_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/loop_priv.h"
#include <ctype.h>
#include <dlfcn.h>
#include <openssl/x509_vfy.h>
#include <stdlib.h>
#include <string.h>

#define LOG_GROUP "io.http_client"
#define ANSWER_MAX_DEFAULT ((size_t)64 << 20)
#define RESERVE_MAX ((curl_off_t)16 << 20) /* a Content-Length is believed only so far */

/* ---- callbacks of libcurl ---- */

static void active(struct http_req *r) { r->activity_ms = uv_now(loop_uv(r->client->loop)); }

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    struct http_req *r = arg;
    n *= size;
    active(r);
    if (r->answer.n == 0) {
        curl_off_t length = -1;
        curl_easy_getinfo(r->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
        if (length > 0 && length <= RESERVE_MAX && (size_t)length <= r->max_size)
            buf_reserve(&r->answer, (size_t)length);
    }
    if (buf_add(&r->answer, p, n) < 0) {
        r->stop = STOP_TOO_BIG;
        return CURL_WRITEFUNC_ERROR;
    }
    return n;
}

static void header_add(struct http_req *r, struct str name, struct str value)
{
    if (r->nslots == r->cap_slots) {
        r->cap_slots = r->cap_slots ? r->cap_slots * 2 : 24;
        r->slots = xrealloc(r->slots, r->cap_slots * sizeof(*r->slots));
    }
    struct head_slot *s = &r->slots[r->nslots++];
    s->name = r->head.n;
    s->name_n = name.n;
    buf_addstr(&r->head, name);
    s->value = r->head.n;
    s->value_n = value.n;
    buf_addstr(&r->head, value);
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
    struct http_req *r = arg;
    n *= size;
    active(r);
    r->sent = false; /* an answer has begun: whatever is sent next is a new request */
    struct str line = str_trim((struct str){p, n});
    if (str_starts(line, STR("HTTP/"))) {
        buf_reset(&r->head);
        r->nslots = 0;
        return n;
    }
    if (line.n == 0)
        return n;
    struct str value, name = str_split(line, ':', &value);
    header_add(r, str_trim(name), str_trim(value));
    if (r->head.failed) {
        r->stop = STOP_HEADERS;
        return 0;
    }
    return n;
}

/* Called often; tells apart a slow transfer and a dead one. */
static int on_progress(void *arg, curl_off_t dltotal, curl_off_t dl, curl_off_t ultotal, curl_off_t ul)
{
    struct http_req *r = arg;
    (void)dltotal;
    (void)ultotal;
    if (dl != r->dl || ul != r->ul) {
        r->dl = dl;
        r->ul = ul;
        active(r);
    }
    return 0;
}

static bool idempotent(const char *method)
{
    static const char *const names[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(method, names[i]) == 0)
            return true;
    }
    return false;
}

/* The connection stands and the request is about to be sent. */
static int on_connected(void *arg, char *ip, char *local_ip, int port, int local_port)
{
    struct http_req *r = arg;
    (void)ip;
    (void)local_ip;
    (void)port;
    (void)local_port;
    if (r->sent && !idempotent(r->method)) {
        r->stop = STOP_RESEND;
        return CURL_PREREQFUNC_ABORT;
    }
    r->sent = r->connected = true;
    active(r);
    if (!r->idle)
        r->idle = timer_start(r->client->loop, (uint64_t)r->idle_timeout_ms, 0, http_req_idle, r);
    return CURL_PREREQFUNC_OK;
}

/* Strict RFC 5280 checks (runtime R-128). The context belongs to libssl, which is here only through libcurl, so its one
 * function is looked up by name; a libcurl built with another TLS library never calls this. */
static CURLcode on_ssl_context(CURL *easy, void *ctx, void *arg)
{
    static X509_VERIFY_PARAM *(*get_param)(void *);
    (void)easy;
    (void)arg;
    if (!get_param)
        *(void **)&get_param = dlsym(RTLD_DEFAULT, "SSL_CTX_get0_param");
    if (get_param)
        X509_VERIFY_PARAM_set_flags(get_param(ctx), X509_V_FLAG_X509_STRICT);
    return CURLE_OK;
}

/* ---- making a request ---- */

static bool token_ok(struct str s)
{
    static const char extra[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (!isalnum(c) && !(c && strchr(extra, c)))
            return false;
    }
    return s.n > 0;
}

static int header_check(const struct http_header *h, struct err *e)
{
    if (!token_ok(h->name))
        return ERR(e, ERR_INVAL, "'%.*s' is no valid header name", STR_FMT(h->name));
    for (size_t i = 0; i < h->value.n; i++) {
        unsigned char c = (unsigned char)h->value.p[i];
        if (c == '\r' || c == '\n' || c == '\0')
            return ERR(e, ERR_INVAL, "the value of header '%.*s' holds a line break or NUL at byte %zu",
                       STR_FMT(h->name), i);
    }
    return 0;
}

static int spec_check(const struct http_spec *spec, struct err *e)
{
    if (!spec->method || !token_ok(str_of(spec->method)))
        return ERR(e, ERR_INVAL, "'%s' is no valid HTTP method", spec->method ? spec->method : "");
    if (!spec->url)
        return ERR(e, ERR_INVAL, "%s: no URL given", spec->method);
    if (http_url_parse(str_of(spec->url), NULL, NULL, NULL, e) < 0)
        return err_wrap(e, "%s", spec->method);
    for (size_t i = 0; i < spec->nheaders; i++) {
        if (header_check(&spec->headers[i], e) < 0)
            return err_wrap(e, "%s", spec->method);
    }
    return 0;
}

/* Bytes above 127 cannot stand in a request line: they are percent-encoded behind the host (which may be an IDN). */
static char *url_ascii(const char *url)
{
    struct str path;
    struct buf out;
    http_url_parse(str_of(url), NULL, NULL, &path, NULL);
    bool own_path = path.p >= url && path.p <= url + strlen(url);
    buf_init(&out, BUF_NO_LIMIT);
    for (const char *p = url; *p && *p != '#'; p++) {
        if ((unsigned char)*p >= 0x80 && own_path && p >= path.p)
            buf_addf(&out, "%%%02X", (unsigned char)*p);
        else
            buf_addc(&out, *p);
    }
    return buf_take(&out, NULL);
}

static void headers_copy(struct http_req *r, const struct http_header *h, size_t n)
{
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += h[i].name.n + h[i].value.n;
    buf_init(&r->header_text, BUF_NO_LIMIT);
    buf_reserve(&r->header_text, bytes + 1); /* once, so that the slices stay where they are */
    r->headers = xcalloc(n ? n : 1, sizeof(*r->headers));
    r->nheaders = n;
    for (size_t i = 0; i < n; i++) {
        struct http_header *to = &r->headers[i];
        to->name = (struct str){r->header_text.p + r->header_text.n, h[i].name.n};
        buf_addstr(&r->header_text, h[i].name);
        to->value = (struct str){r->header_text.p + r->header_text.n, h[i].value.n};
        buf_addstr(&r->header_text, h[i].value);
    }
}

static int or_default(int given, int otherwise) { return given > 0 ? given : otherwise; }

struct http_req *http_req_new(struct http_client *c, struct http_spec *spec, bool borrow, struct err *e)
{
    struct buf body = spec->body;
    if (!borrow)
        buf_init(&spec->body, body.max);
    if (spec_check(spec, e) < 0) {
        if (!borrow)
            buf_done(&body);
        return NULL;
    }
    struct http_req *r = xcalloc(1, sizeof(*r));
    r->client = c;
    r->state = HTTP_DETACHED;
    r->method = xstrdup(spec->method);
    r->url = url_ascii(spec->url);
    headers_copy(r, spec->headers, spec->nheaders);
    r->body = body;
    r->has_body = body.p != NULL;
    r->body_borrowed = borrow;
    r->follow = spec->follow_redirects;
    r->connect_timeout_ms = or_default(spec->connect_timeout_ms, 10000);
    r->idle_timeout_ms = or_default(spec->idle_timeout_ms, 60000);
    r->total_timeout_ms = or_default(spec->total_timeout_ms, 600000);
    r->max_size = spec->max_size ? spec->max_size : ANSWER_MAX_DEFAULT;
    buf_init(&r->answer, r->max_size);
    buf_init(&r->head, HTTP_HEADERS_MAX);
    r->easy = curl_easy_init();
    if (!r->easy) {
        ERR(e, ERR_INTERNAL, "%s: libcurl has no memory for a request", r->method);
        http_req_free(r);
        return NULL;
    }
    return r;
}

void http_req_free(struct http_req *r)
{
    timer_stop(r->idle);
    if (r->easy)
        curl_easy_cleanup(r->easy);
    curl_slist_free_all(r->slist);
    free(r->method);
    free(r->url);
    free(r->headers);
    buf_done(&r->header_text);
    if (!r->body_borrowed)
        buf_done(&r->body);
    buf_done(&r->answer);
    buf_done(&r->head);
    free(r->slots);
    free(r);
}

/* ---- options ---- */

static void slist_add(struct http_req *r, const char *line) { r->slist = curl_slist_append(r->slist, line); }

static void set_headers(struct http_req *r)
{
    struct buf line;
    bool agent = false, type = false, expect = false;
    buf_init(&line, BUF_NO_LIMIT);
    for (size_t i = 0; i < r->nheaders; i++) {
        struct http_header *h = &r->headers[i];
        if (str_ieq(h->name, STR("Content-Length")))
            continue; /* libcurl knows better */
        agent |= str_ieq(h->name, STR("User-Agent"));
        type |= str_ieq(h->name, STR("Content-Type"));
        expect |= str_ieq(h->name, STR("Expect"));
        buf_reset(&line);
        if (h->value.n)
            buf_addf(&line, "%.*s: %.*s", STR_FMT(h->name), STR_FMT(h->value));
        else
            buf_addf(&line, "%.*s;", STR_FMT(h->name)); /* libcurl's way of writing an empty header */
        slist_add(r, buf_cstr(&line));
    }
    buf_done(&line);
    if (!type)
        slist_add(r, "Content-Type:"); /* none, instead of libcurl's form encoding */
    if (!expect)
        slist_add(r, "Expect:"); /* no waiting for 100 Continue before a body */
    curl_easy_setopt(r->easy, CURLOPT_HTTPHEADER, r->slist);
    if (!agent)
        curl_easy_setopt(r->easy, CURLOPT_USERAGENT, "ocean-run");
}

static void set_method(struct http_req *r)
{
    CURL *h = r->easy;
    const char *m = r->method;
    bool wants_body = strcmp(m, "POST") == 0 || strcmp(m, "PUT") == 0 || strcmp(m, "PATCH") == 0;
    if (strcmp(m, "HEAD") == 0) {
        curl_easy_setopt(h, CURLOPT_NOBODY, 1L);
    } else if (r->has_body || wants_body) {
        curl_easy_setopt(h, CURLOPT_POST, 1L);
        curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(r->has_body ? r->body.n : 0));
        curl_easy_setopt(h, CURLOPT_POSTFIELDS, r->has_body ? r->body.p : "");
        curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, m);
    } else {
        curl_easy_setopt(h, CURLOPT_HTTPGET, 1L);
        curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, m);
    }
}

static void set_trust(struct http_req *r)
{
    const struct http_client *c = r->client;
    CURL *h = r->easy;
    if (c->insecure) {
        curl_easy_setopt(h, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(h, CURLOPT_SSL_VERIFYHOST, 0L);
        curl_easy_setopt(h, CURLOPT_PROXY_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(h, CURLOPT_PROXY_SSL_VERIFYHOST, 0L);
    }
    if (c->ca_dir) {
        curl_easy_setopt(h, CURLOPT_CAINFO, NULL);
        curl_easy_setopt(h, CURLOPT_CAPATH, c->ca_dir);
    } else {
        /* libcurl keeps the parsed file for the next connection only if no directory is set as well; parsing the
         * system's takes some 20 ms. */
        const char *file = c->ca_file ? c->ca_file : curl_version_info(CURLVERSION_NOW)->cainfo;
        if (file) {
            curl_easy_setopt(h, CURLOPT_CAINFO, file);
            curl_easy_setopt(h, CURLOPT_CAPATH, NULL);
        }
    }
    if (c->strict_x509)
        curl_easy_setopt(h, CURLOPT_SSL_CTX_FUNCTION, on_ssl_context);
}

static void set_proxy(struct http_req *r, bool https)
{
    const struct http_client *c = r->client;
    if (c->no_proxy) {
        curl_easy_setopt(r->easy, CURLOPT_PROXY, "");
        curl_easy_setopt(r->easy, CURLOPT_NOPROXY, "*");
        return;
    }
    if (c->proxy)
        curl_easy_setopt(r->easy, CURLOPT_PROXY, c->proxy);
    else if (c->http_proxy && !https)
        curl_easy_setopt(r->easy, CURLOPT_PROXY, c->http_proxy);
    if (c->no_proxy_list)
        curl_easy_setopt(r->easy, CURLOPT_NOPROXY, c->no_proxy_list);
}

static void set_times(struct http_req *r)
{
    uint64_t now = clock_mono_ns();
    if (!r->started_ns)
        r->started_ns = now;
    int64_t left = r->total_timeout_ms - (int64_t)((now - r->started_ns) / 1000000);
    curl_easy_setopt(r->easy, CURLOPT_TIMEOUT_MS, (long)(left > 0 ? left : 1));
    curl_easy_setopt(r->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)r->connect_timeout_ms);
    curl_easy_setopt(r->easy, CURLOPT_MAXAGE_CONN, 55L);
    curl_easy_setopt(r->easy, CURLOPT_TCP_KEEPALIVE, 1L);
}

static void set_callbacks(struct http_req *r)
{
    CURL *h = r->easy;
    curl_easy_setopt(h, CURLOPT_PRIVATE, r);
    curl_easy_setopt(h, CURLOPT_ERRORBUFFER, r->errbuf);
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, r);
    curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(h, CURLOPT_HEADERDATA, r);
    curl_easy_setopt(h, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(h, CURLOPT_XFERINFODATA, r);
    curl_easy_setopt(h, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(h, CURLOPT_PREREQFUNCTION, on_connected);
    curl_easy_setopt(h, CURLOPT_PREREQDATA, r);
}

void http_req_configure(struct http_req *r)
{
    CURL *h = r->easy;
    bool https = strncasecmp(r->url, "https:", 6) == 0;
    curl_easy_reset(h);
    curl_slist_free_all(r->slist);
    r->slist = NULL;
    r->errbuf[0] = '\0';
    r->sent = r->connected = false;
    r->stop = STOP_NONE;
    buf_reset(&r->answer);
    set_callbacks(r);
    curl_easy_setopt(h, CURLOPT_URL, r->url);
    curl_easy_setopt(h, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(h, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h, CURLOPT_QUICK_EXIT, 1L); /* do not wait for the resolver's thread when a request ends early */
    curl_easy_setopt(h, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(h, CURLOPT_PIPEWAIT, https ? 1L : 0L);
    curl_easy_setopt(h, CURLOPT_ACCEPT_ENCODING, "");
    curl_easy_setopt(h, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(h, CURLOPT_BUFFERSIZE, 65536L);
    set_method(r);
    set_headers(r);
    set_trust(r);
    set_proxy(r, https);
    set_times(r);
}

/* ---- the answer ---- */

void http_req_answer(struct http_req *r, struct http_resp *resp)
{
    long status = 0;
    curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
    *resp = (struct http_resp){.status = (int)status, .url = r->url};
    resp->seconds = (double)(clock_mono_ns() - r->started_ns) / 1e9;
    resp->nheaders = r->nslots;
    resp->headers = xcalloc(r->nslots ? r->nslots : 1, sizeof(*resp->headers));
    for (size_t i = 0; i < r->nslots; i++) {
        const struct head_slot *s = &r->slots[i];
        resp->headers[i].name = (struct str){r->head.p + s->name, s->name_n};
        resp->headers[i].value = (struct str){r->head.p + s->value, s->value_n};
    }
    resp->body = r->answer;
    buf_init(&r->answer, r->max_size);
}
