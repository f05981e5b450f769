/* One POST, never repeated and never waited for: an integration answers only when its resync ends, so a second after the
 * connection stands the request is given up, which is no failure. */
#define LOG_GROUP "catalog.webhook"
#include "catalog/webhook.h"
#include "catalog/catalog_priv.h"

#include "base/log.h"
#include "json/write.h"

#define CONNECT_MS 5000
#define ANSWER_MS 1000

int webhook_note(struct work *w, int64_t integration)
{
    struct json_doc *doc = NULL;
    struct sqlite3_stmt *s = q_open(w->k, &w->r, "SELECT doc, identifier FROM integration WHERE id = ?", "i", integration);
    int rc = q_row(w->k, s, &w->r);
    if (rc <= 0)
        return rc;
    if (json_parse(q_text(s, 0), &doc, NULL) == 0) {
        struct json where = json_get_c(json_root(doc), "changelogDestination");
        if (str_is(json_str(json_get_c(where, "type")), "WEBHOOK") && json_str(json_get_c(where, "url")).n) {
            w->webhook = arena_printf(w->a, "%.*s", STR_FMT(json_str(json_get_c(where, "url"))));
            w->webhook_for = arena_str(w->a, q_text(s, 1));
        }
    }
    q_close(s);
    json_unref(doc);
    return 0;
}

static void on_answer(void *arg, struct http_resp *resp, const struct err *e)
{
    (void)arg;
    if (resp)
        log_debug("resync webhook answered %d", resp->status);
    else
        log_info("resync webhook: %s", e->msg);
}

void webhook_send(struct work *w)
{
    static const struct http_header type = {STR("Content-Type"), STR("application/json")};
    struct http_spec spec = {.method = "POST", .url = w->webhook, .headers = &type, .nheaders = 1,
                             .connect_timeout_ms = CONNECT_MS, .idle_timeout_ms = ANSWER_MS,
                             .total_timeout_ms = CONNECT_MS + ANSWER_MS};
    struct err e = {0};
    if (!w->webhook)
        return;
    if (!w->c->webhooks)
        w->c->webhooks = http_client_new(w->c->loop, &(struct http_client_opts){.max_connections = 16, .no_proxy = true});
    buf_init(&spec.body, BUF_NO_LIMIT);
    struct jw jw = jw_on(&spec.body);
    jw_obj(&jw);
    jw_key_c(&jw, "action");
    jw_str_c(&jw, "RESYNC");
    jw_key_c(&jw, "context");
    jw_obj(&jw);
    jw_key_c(&jw, "integrationId");
    jw_str(&jw, w->webhook_for);
    jw_end_obj(&jw);
    jw_end_obj(&jw);
    if (!http_send(w->c->webhooks, &spec, on_answer, NULL, &e))
        log_warn("resync webhook of '%.*s': %s", STR_FMT(w->webhook_for), e.msg);
}
