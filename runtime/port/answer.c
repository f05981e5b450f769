/* What an answer says: its JSON, its error text, and Port's clock by its Date header. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "port/client_priv.h"

void answer_parse(struct port_answer *a, const struct http_resp *resp)
{
    *a = (struct port_answer){
        .status = resp->status,
        .text = buf_str(&resp->body),
        .trace_id = http_header_get(resp->headers, resp->nheaders, STR("x-trace-id")),
    };
    if (a->text.n && json_parse(a->text, &a->doc, NULL) == 0)
        a->root = json_root(a->doc);
    else
        a->doc = NULL;
}

void answer_done(struct port_answer *a)
{
    json_unref(a->doc);
    a->doc = NULL;
}

/* The error code: a text, or an object with `code` (port-api P-36). */
static struct str error_code(struct json root)
{
    struct json error = json_get_c(root, "error");
    return json_is_obj(error) ? json_str(json_get_c(error, "code")) : json_str(error);
}

static struct str error_message(struct json root)
{
    struct json message = json_get_c(root, "message");
    return json_str(json_is_str(message) ? message : json_path(root, STR("error.message")));
}

int port_answer_err(const struct port_answer *a, const char *method, const char *path, struct err *e)
{
    struct str code = error_code(a->root), message = error_message(a->root), text = str_trim(a->text);
    struct buf b;
    buf_init(&b, 1 << 16);
    buf_addf(&b, "%s %s answered %d", method, path, a->status);
    if (code.n)
        buf_addf(&b, " %.*s", STR_FMT(code));
    if (message.n)
        buf_addf(&b, ": %.*s", STR_FMT(message));
    else if (!code.n && text.n)
        buf_addf(&b, ": %.*s%s", text.n > 160 ? 160 : (int)text.n, text.p, text.n > 160 ? "..." : "");
    if (a->status == 401)
        buf_adds(&b, " (even with a new token)");
    if (a->trace_id.n)
        buf_addf(&b, " [trace %.*s]", STR_FMT(a->trace_id));
    int rc = ERR(e, a->status == 401 ? ERR_AUTH : ERR_HTTP, "%s", buf_cstr(&b));
    if (e)
        e->http_status = a->status;
    buf_done(&b);
    return rc;
}

int port_transport_err(const struct port *p, struct err *e)
{
    struct err cause = *e;
    if (p->embedded)
        return ERR(e, cause.code, "the embedded catalog (%s) does not answer: %s", p->base_url, cause.msg);
    return ERR(e, cause.code,
               "Port (%s) cannot be reached: %s; check the network, the proxy settings and "
               "OCEAN__PORT__BASE_URL",
               p->base_url, cause.msg);
}

/* ---- Port's clock ---- */

/* "Wed, 21 Oct 2030 07:28:00 GMT", the one form servers send. */
static bool parse_date(struct str s, int64_t *ret_us)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm tm = {0};
    char text[40], month[4];
    if (s.n >= sizeof(text) || s.n < 5)
        return false;
    memcpy(text, s.p, s.n);
    text[s.n] = 0;
    if (sscanf(text + 5, "%2d %3s %4d %2d:%2d:%2d", &tm.tm_mday, month, &tm.tm_year, &tm.tm_hour, &tm.tm_min,
               &tm.tm_sec) != 6)
        return false;
    const char *at = strstr(months, month);
    if (!at || strlen(month) != 3 || (at - months) % 3)
        return false;
    tm.tm_mon = (int)(at - months) / 3;
    tm.tm_year -= 1900;
    *ret_us = (int64_t)timegm(&tm) * 1000000;
    return true;
}

/* The header has whole seconds: when it was made, Port's clock stood between D and D + 1 s, and ours between
 * sending and now. Each answer narrows the bounds; contradicting ones mean that a clock was set, so the
 * newest count. */
void clock_note(struct clock_bounds *b, const struct http_resp *resp, int64_t sent_us, int64_t now_us)
{
    int64_t date;
    struct str header = http_header_get(resp->headers, resp->nheaders, STR("Date"));
    if (!header.p || !parse_date(header, &date))
        return;
    int64_t low = date - now_us, high = date + 1000000 - sent_us;
    if (b->known && low < b->low_us)
        low = b->low_us;
    if (b->known && high > b->high_us)
        high = b->high_us;
    if (low > high) {
        low = date - now_us;
        high = date + 1000000 - sent_us;
    }
    *b = (struct clock_bounds){true, low, high};
}

int64_t port_clock_offset_us(const struct port *p)
{
    const struct clock_bounds *b = &p->clock;
    if (!b->known || (b->low_us <= 0 && b->high_us >= 0))
        return 0;
    return b->low_us + (b->high_us - b->low_us) / 2;
}
