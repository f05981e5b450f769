/* http_error.c: from libcurl's result code to one sentence: which request, what happened, what to check. */
#include "io/http_client_priv.h"

#include <string.h>

static const char *advice_tls(void) { return "check the certificate, or name the authority's file in SSL_CERT_FILE"; }

/* What to look at, by code; NULL if there is nothing sensible to say. */
static const char *advice(const struct http_req *r, CURLcode rc)
{
    switch (rc) {
    case CURLE_COULDNT_RESOLVE_HOST: return "check the spelling of the host and the machine's name server";
    case CURLE_COULDNT_RESOLVE_PROXY: return "check HTTP_PROXY, HTTPS_PROXY and ALL_PROXY";
    case CURLE_COULDNT_CONNECT:
        return "check that the server runs, its port, and whether a proxy or firewall is in the way";
    case CURLE_OPERATION_TIMEDOUT:
        return r->connected ? "check the server's load, or raise the time limit"
                            : "check host, port, name server, proxy and firewall";
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR: return advice_tls();
    case CURLE_SSL_CACERT_BADFILE: return "check SSL_CERT_FILE and SSL_CERT_DIR";
    case CURLE_SSL_CONNECT_ERROR: return "check that the port speaks TLS (https) and which versions it offers";
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY: return "check that the port speaks HTTP and whether http or https is meant";
    case CURLE_PROXY: return "check the proxy setting and its credentials";
    case CURLE_BAD_CONTENT_ENCODING: return "the server's compression is broken";
    default: return NULL;
    }
}

static const char *reason(const struct http_req *r, CURLcode rc)
{
    switch (rc) {
    case CURLE_GOT_NOTHING: return "the server closed the connection without an answer";
    case CURLE_PARTIAL_FILE: return "the answer was cut off before its end";
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR: return r->errbuf[0] ? r->errbuf : "the connection broke";
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM: return r->errbuf[0] ? r->errbuf : "the HTTP/2 stream broke";
    default: return r->errbuf[0] ? r->errbuf : curl_easy_strerror(rc);
    }
}

int http_explain(struct err *e, const struct http_req *r, CURLcode rc)
{
    char url[200];
    http_url_public(r->url, url, sizeof(url));
    switch (r->stop) {
    case STOP_TOO_BIG:
        return ERR(e, ERR_TOO_BIG,
                   "%s %s: the answer is larger than %zu bytes: ask for smaller pages or raise max_size",
                   r->method, url, r->max_size);
    case STOP_HEADERS:
        return ERR(e, ERR_TRANSPORT, "%s %s: the answer's headers are larger than %zu bytes", r->method, url,
                   HTTP_HEADERS_MAX);
    case STOP_RESEND:
        return ERR(e, ERR_TRANSPORT,
                   "%s %s: the connection was closed before an answer came; the request may have "
                   "been carried out, so it is not sent again by itself",
                   r->method, url);
    case STOP_IDLE:
        return ERR(e, ERR_TIMEOUT, "%s %s: no byte for %.3g s: check the server's load, or raise the time limit",
                   r->method, url, r->idle_timeout_ms / 1000.0);
    case STOP_NONE: break;
    }
    if (rc == CURLE_OPERATION_TIMEDOUT && r->connected)
        return ERR(e, ERR_TIMEOUT, "%s %s: not finished within %.3g s: %s", r->method, url,
                   r->total_timeout_ms / 1000.0, advice(r, rc));
    if (rc == CURLE_OPERATION_TIMEDOUT)
        return ERR(e, ERR_TIMEOUT, "%s %s: no connection within %.3g s: %s", r->method, url,
                   (r->connect_timeout_ms < r->total_timeout_ms ? r->connect_timeout_ms : r->total_timeout_ms) / 1000.0,
                   advice(r, rc));
    const char *why = reason(r, rc), *hint = advice(r, rc);
    return ERR(e, ERR_TRANSPORT, "%s %s: %s%s%s", r->method, url, why, hint ? ": " : "", hint ? hint : "");
}
