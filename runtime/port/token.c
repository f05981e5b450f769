/* The access token (runtime section 5.1). At most one request for it runs. A token that is due (the last
 * tenth of its life, at most a minute) is renewed beside the running work; one that is over or was refused
 * stops the queue until a new one is there. A refused pair of credentials fails everything that waits, at
 * once: repeating it cannot help. */
#define LOG_GROUP "port.token"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "port/client_priv.h"
#include "json/write.h"

#define LIFETIME_UNKNOWN_S 600
#define LIFETIME_MAX_S 864000
#define RENEW_AGAIN_MS 10000

static void keep_token(struct port *p, struct json root)
{
    struct str access = json_str(json_get_c(root, "accessToken")),
               type = json_str(json_get_c(root, "tokenType"));
    double life = json_double(json_get_c(root, "expiresIn"));
    if (!(life > 0))
        life = LIFETIME_UNKNOWN_S;
    if (life > LIFETIME_MAX_S)
        life = LIFETIME_MAX_S;
    double margin = life / 10 < 60 ? life / 10 : 60;
    uint64_t now = clock_mono_ms();
    mask_add(access);
    free(p->token.header);
    p->token.header = xasprintf("%.*s %.*s", STR_FMT(type.n ? type : STR("Bearer")), STR_FMT(access));
    p->token.generation++;
    p->token.expires_at_ms = now + (uint64_t)(life * 1000);
    p->token.refresh_at_ms = now + (uint64_t)((life - margin) * 1000);
    log_debug("new access token, valid for %.0f s", life);
}

static int refused(const struct port *p, const struct port_answer *a, struct err *e)
{
    struct err text;
    port_answer_err(a, "POST", "/auth/access_token", &text);
    if (a->status == 401 || a->status == 403)
        return ERR(e, ERR_AUTH,
                   "Port refused the credentials (status %d): check OCEAN__PORT__CLIENT_ID and "
                   "OCEAN__PORT__CLIENT_SECRET, and that OCEAN__PORT__BASE_URL (%s) is your region",
                   a->status, p->base_url);
    if (a->status == 404 || a->status == 422)
        return ERR(
            e, ERR_AUTH,
            "no access token from Port: %s; check OCEAN__PORT__BASE_URL (%s), OCEAN__PORT__CLIENT_ID and "
            "OCEAN__PORT__CLIENT_SECRET",
            text.msg, p->base_url);
    int rc = ERR(e, ERR_HTTP, "no access token from Port: %s", text.msg);
    if (e)
        e->http_status = a->status;
    return rc;
}

static void renewal_failed(struct port *p, struct err *e)
{
    if (p->token.header && clock_mono_ms() < p->token.expires_at_ms) {
        log_warn("%s; the present token goes on for now", e->msg);
        p->token.refresh_at_ms = clock_mono_ms() + RENEW_AGAIN_MS;
        return;
    }
    port_fail_waiting(p, e);
}

static void on_token(void *arg, struct http_resp *resp, const struct err *e)
{
    struct port *p = arg;
    struct port_answer a;
    struct err mine = {0};
    p->token.call = NULL;
    if (!resp) {
        err_copy(&mine, e);
        port_transport_err(p, &mine);
        renewal_failed(p, &mine);
        return;
    }
    answer_parse(&a, resp);
    if (a.status >= 400) {
        refused(p, &a, &mine);
    } else if (!json_str(json_get_c(a.root, "accessToken")).n) {
        ERR(&mine, ERR_PARSE,
            "the answer to POST %s/v1/auth/access_token holds no accessToken; is OCEAN__PORT__BASE_URL the "
            "address of Port's API?",
            p->base_url);
    } else {
        keep_token(p, a.root);
    }
    answer_done(&a);
    if (mine.code)
        renewal_failed(p, &mine);
    port_schedule(p);
}

static void on_waiting(void *arg, int n, double seconds, int status, const struct err *e)
{
    struct port *p = arg;
    (void)n, (void)seconds, (void)status, (void)e;
    p->requests++;
}

static void request_token(struct port *p)
{
    struct buf body;
    struct err e = {0};
    char *url = xasprintf("%s/v1/auth/access_token", p->base_url);
    const struct http_header headers[] = {
        {STR("User-Agent"), str_of(p->agent[PORT_PLAIN])},
        {STR("Content-Type"), STR("application/json")},
    };
    const struct retry_hooks hooks = {on_waiting, p};
    buf_init(&body, 1 << 20);
    struct jw w = jw_on(&body);
    jw_obj(&w);
    jw_key_c(&w, "clientId");
    jw_str(&w, str_of(p->client_id));
    jw_key_c(&w, "clientSecret");
    jw_str(&w, str_of(p->client_secret));
    jw_end_obj(&w);
    struct http_spec spec = {
        .method = "POST", .url = url, .headers = headers, .nheaders = ARRAY_LEN(headers), .body = body};
    p->requests++;
    p->token.call = retry_send(p->http, &spec, &p->policy, RETRY_ALWAYS, &hooks, on_token, p, &e);
    free(url);
    if (!p->token.call) {
        port_transport_err(p, &e);
        renewal_failed(p, &e);
    }
}

bool token_ready(struct port *p)
{
    uint64_t now = clock_mono_ms();
    bool valid = p->token.header && now < p->token.expires_at_ms;
    if (!p->token.call && (!valid || now >= p->token.refresh_at_ms))
        request_token(p);
    return valid;
}

void token_drop(struct port *p, uint64_t generation)
{
    if (p->token.generation != generation)
        return;
    free(p->token.header);
    p->token.header = NULL;
}

void token_done(struct port *p)
{
    retry_cancel(p->token.call);
    free(p->token.header);
}
