/* Helpers of route functions: parameters, body, answer. */
#include "catalog/work.h"

#include "json/write.h"

static struct str decoded(struct work *w, struct str s)
{
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    url_decode(&b, s, true);
    struct str out = arena_str(w->a, buf_str(&b));
    buf_done(&b);
    return out.p ? out : STR("");
}

/* `name[]` is an alias of `name` (port-api P-12). */
static bool same_name(struct str key, const char *name)
{
    return str_is(key, name) || (str_ends(key, STR("[]")) && str_is((struct str){key.p, key.n - 2}, name));
}

bool work_param(struct work *w, const char *name, size_t nth, struct str *ret)
{
    for (struct str rest = w->query; rest.p && rest.n;) {
        struct str value, pair = str_split(rest, '&', &rest), key = str_split(pair, '=', &value);
        bool coded = key.n && (memchr(key.p, '%', key.n) || memchr(key.p, '+', key.n));
        if (!same_name(coded ? decoded(w, key) : key, name) || nth-- > 0)
            continue;
        *ret = decoded(w, value);
        return true;
    }
    return false;
}

int work_flag(struct work *w, const char *name, bool fallback, bool *ret)
{
    struct str v;
    *ret = fallback;
    if (!work_param(w, name, 0, &v))
        return 0;
    *ret = str_ieq(v, STR("true"));
    if (*ret || str_ieq(v, STR("false")))
        return 0;
    return refuse_invalid(&w->r, "\"query/%s\" must be true or false, not \"%.*s\"", name, STR_FMT(v));
}

int work_number(struct work *w, const char *name, int64_t fallback, int64_t *ret)
{
    struct str v;
    *ret = fallback;
    if (!work_param(w, name, 0, &v) || str_int64(v, ret))
        return 0;
    return refuse_invalid(&w->r, "\"query/%s\" must be integer, not \"%.*s\"", name, STR_FMT(v));
}

int work_limit(struct work *w, int64_t fallback, int64_t max, int64_t *ret)
{
    if (work_number(w, "limit", fallback, ret) < 0)
        return -1;
    if (*ret >= 1 && (!max || *ret <= max))
        return 0;
    return max ? refuse_invalid(&w->r, "\"query/limit\" must be integer from 1 to %lld", (long long)max)
               : refuse_invalid(&w->r, "\"query/limit\" must be integer of at least 1");
}

int work_documents(struct work *w, const char *key, struct sqlite3_stmt *s)
{
    struct jw jw = work_begin(w);
    int rc;
    jw_key(&jw, str_of(key));
    jw_arr(&jw);
    while ((rc = q_row(w->k, s, &w->r)) > 0)
        jw_raw(&jw, q_text(s, 0));
    jw_end_arr(&jw);
    work_end(w, &jw);
    return rc;
}

struct json work_json(struct work *w)
{
    struct err e = {0};
    if (w->doc)
        return json_root(w->doc);
    if (!str_trim(w->body).n) {
        refuse_invalid(&w->r, "body must be object: the request has none");
        return JSON_NONE;
    }
    if (json_parse(w->body, &w->doc, &e) < 0) {
        refuse(&w->r, 400, "invalid_request", "%s", e.msg);
        return JSON_NONE;
    }
    if (json_doc_repairs(w->doc) && !utf8_valid(w->body)) {
        refuse(&w->r, 400, "invalid_request", "the body is not UTF-8");
        return JSON_NONE;
    }
    if (!json_is_obj(json_root(w->doc))) {
        refuse_invalid(&w->r, "body must be object");
        return JSON_NONE;
    }
    return json_root(w->doc);
}

struct jw work_begin(struct work *w)
{
    struct jw jw = jw_on(&w->out);
    jw_obj(&jw);
    jw_key_c(&jw, "ok");
    jw_bool(&jw, true);
    return jw;
}

void work_end(struct work *w, struct jw *jw)
{
    (void)w;
    jw_end_obj(jw);
}

int work_ok(struct work *w)
{
    struct jw jw = work_begin(w);
    work_end(w, &jw);
    return 0;
}

void work_key(struct work *w, struct str blueprint, struct str identifier)
{
    struct buf *out = &w->eff.keys;
    if (!w->eff.want_keys)
        return;
    if (!out->max)
        buf_init(out, (size_t)1 << 20);
    if (out->n)
        buf_addc(out, ',');
    struct buf text;
    buf_init(&text, BUF_NO_LIMIT);
    buf_addf(&text, "%.*s/%.*s", STR_FMT(blueprint), STR_FMT(identifier));
    json_quote(out, buf_str(&text));
    buf_done(&text);
}

int work_writer(struct work *w, int64_t *ret_client, int64_t *ret_datasource)
{
    *ret_client = dict_put(w->k, w->k->clients, w->client, &w->r);
    *ret_datasource = *ret_client ? dict_put(w->k, w->k->datasources, w->user_agent, &w->r) : 0;
    return *ret_datasource ? 0 : -1;
}
