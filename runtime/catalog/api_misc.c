/* Tokens, organization, and the documents that are stored as they came (E-1 to E-3, E-39). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "catalog/blueprint.h"
#include "catalog/catalog_priv.h"
#include "catalog/routes.h"
#include "json/write.h"

/* Tokens -------------------------------------------------------------------------------------------------------- */

static int need_text(struct work *w, struct json in, const char *key, struct str *ret)
{
    struct json v = json_get(in, str_of(key));
    *ret = json_str(v);
    if (!v.v)
        return refuse_invalid(&w->r, "body must have required property '%s'", key);
    return json_is_str(v) ? 0 : refuse_invalid(&w->r, "\"%s\" must be string", key);
}

static bool pair_ok(const struct catalog *c, struct str id, struct str secret)
{
    if (!c->fixed_auth)
        return id.n && secret.n;
    for (size_t i = 0; c->clients[i]; i++) {
        struct str want, name = str_split(str_of(c->clients[i]), ':', &want);
        if (str_eq(id, name) && str_eq(secret, want))
            return true;
    }
    return false;
}

static void answer_token(struct work *w, const struct token *t)
{
    int64_t left = (t->expires_us - core_now(w->k) + 999999) / 1000000; /* a fresh one has its whole lifetime */
    struct jw jw = work_begin(w);
    jw_key_c(&jw, "accessToken");
    jw_cstr(&jw, t->text);
    jw_key_c(&jw, "expiresIn");
    jw_int(&jw, left > 0 ? left : 0);
    jw_key_c(&jw, "tokenType");
    jw_str_c(&jw, "Bearer");
    work_end(w, &jw);
}

int api_token_now(struct work *w)
{
    struct str id, secret;
    bool fresh;
    struct json in = work_json(w);
    if (!in.v || need_text(w, in, "clientId", &id) < 0 || need_text(w, in, "clientSecret", &secret) < 0)
        return -1;
    if (!pair_ok(w->c, id, secret))
        return refuse(&w->r, 401, "invalid_credentials", "The client id or the client secret is wrong");
    bool short_lived = w->act && w->act->type == FAULT_SHORT_TOKEN;
    int64_t ttl = short_lived && w->act->expires_in > 0 ? w->act->expires_in : 0;
    const struct token *t = tokens_issue(w->c->tokens, id, core_now(w->k), ttl, &fresh);
    w->client = str_of(t->client);
    answer_token(w, t);
    if (!fresh)
        return 1;
    w->issued = t;
    return 0;
}

/* Stores the new token's row; the answer is written already. */
int api_token(struct work *w)
{
    return q_exec(w->k, &w->r, "INSERT OR REPLACE INTO token (id, client, issued, expires) VALUES (?, ?, ?, ?)", "ttii",
                  str_of(w->issued->id), str_of(w->issued->client), w->issued->issued_us, w->issued->expires_us);
}

/* Organization -------------------------------------------------------------------------------------------------- */

int api_organization(struct work *w)
{
    struct buf text;
    buf_init(&text, LIMIT_ANSWER);
    int rc = meta_get(w->k, "organization", &text, &w->r);
    struct jw jw = work_begin(w);
    jw_key_c(&jw, "organization");
    jw_raw(&jw, buf_str(&text));
    work_end(w, &jw);
    buf_done(&text);
    return rc < 0 ? -1 : 0;
}

/* P-67: there are none unless the control API set some. */
int api_kafka(struct work *w)
{
    struct buf text;
    buf_init(&text, LIMIT_ANSWER);
    int rc = meta_get(w->k, "kafka", &text, &w->r);
    if (rc > 0) {
        struct jw jw = work_begin(w);
        jw_key_c(&jw, "credentials");
        jw_raw(&jw, buf_str(&text));
        work_end(w, &jw);
    }
    buf_done(&text);
    return rc ? rc : refuse(&w->r, 404, "not_found", "This server has no Kafka credentials: use another event listener");
}

/* {"username","password","brokers"}; null takes them away. */
static int set_kafka(struct work *w, struct json given)
{
    struct buf text;
    if (!given.v)
        return 0;
    if (json_is_null(given))
        return q_exec(w->k, &w->r, "DELETE FROM meta WHERE key = 'kafka'", "");
    if (!json_is_str(json_get_c(given, "username")) || !json_is_str(json_get_c(given, "password")))
        return refuse_invalid(&w->r, "\"kafkaCredentials\" must be null or an object with username, password and brokers");
    buf_init(&text, LIMIT_ANSWER);
    json_write(&text, given);
    int rc = meta_put(w->k, "kafka", buf_str(&text), &w->r);
    buf_done(&text);
    return rc;
}

int control_organization(struct work *w)
{
    struct json in = work_json(w);
    struct buf text, now;
    struct json_doc *old = NULL;
    if (!in.v)
        return -1;
    buf_init(&text, LIMIT_ANSWER);
    buf_init(&now, LIMIT_ANSWER);
    int rc = meta_get(w->k, "organization", &text, &w->r) < 0 ? -1 : 0;
    if (rc == 0)
        rc = json_parse(buf_str(&text), &old, NULL) < 0
                 ? refuse(&w->r, 500, "internal_error", "organization is not JSON")
                 : 0;
    struct jw jw = jw_on(&now);
    jw_obj(&jw);
    for (struct json_iter it = json_iter(json_root(old)); json_next(&it);) {
        struct json given = str_is(it.key, "id") ? JSON_NONE : json_get(in, it.key);
        jw_key(&jw, it.key);
        jw_json(&jw, given.v ? given : it.val);
    }
    struct json blocked = json_get_c(in, "isBlocked");
    if (json_is_bool(blocked) && !json_get_c(json_root(old), "isBlocked").v) {
        jw_key_c(&jw, "isBlocked");
        jw_json(&jw, blocked);
    }
    jw_end_obj(&jw);
    if (rc == 0)
        rc = meta_put(w->k, "organization", buf_str(&now), &w->r);
    if (rc == 0)
        rc = set_kafka(w, json_get_c(in, "kafkaCredentials"));
    buf_done(&text);
    buf_done(&now);
    json_unref(old);
    return rc < 0 ? -1 : api_organization(w);
}

/* Documents ----------------------------------------------------------------------------------------------------- */

/* Class and owner of a document follow from the path. */
static int document_class(struct work *w, const char **ret_class, const char **ret_list, struct str *owner)
{
    *owner = STR("");
    if (strstr(w->route->path, "scorecards")) {
        *ret_class = "scorecard";
        *ret_list = "scorecards";
        *owner = w->seg[0];
        return blueprint_find(w->k, w->seg[0], &w->r) ? 0 : -1;
    }
    bool page = strstr(w->route->path, "pages") != NULL;
    *ret_class = page ? "page" : "action";
    *ret_list = page ? "pages" : "actions";
    return 0;
}

int api_document_post(struct work *w)
{
    const char *class, *list;
    struct str owner, id;
    struct json in = work_json(w);
    int64_t n;
    if (!in.v || document_class(w, &class, &list, &owner) < 0 || need_text(w, in, "identifier", &id) < 0)
        return -1;
    if (!id.n)
        return refuse_invalid(&w->r, "\"identifier\" must not be empty");
    if (q_int(w->k, &w->r, &n, 0, "SELECT COUNT(*) FROM document WHERE class = ? AND owner = ? AND identifier = ?",
              "ttt", str_of(class), owner, id) < 0)
        return -1;
    if (n)
        return refuse(&w->r, 409, "identifier_taken", "A %s with identifier \"%.*s\" already exists", class,
                      STR_FMT(id));
    struct buf text;
    buf_init(&text, LIMIT_ANSWER);
    json_write(&text, in);
    int rc = q_exec(w->k, &w->r, "INSERT INTO document (class, owner, identifier, doc) VALUES (?, ?, ?, ?)", "tttt",
                    str_of(class), owner, id, buf_str(&text));
    w->status = 201;
    struct jw jw = work_begin(w);
    jw_key(&jw, str_of(class));
    jw_raw(&jw, buf_str(&text));
    work_end(w, &jw);
    buf_done(&text);
    return rc;
}

int api_documents_get(struct work *w)
{
    const char *class, *list;
    struct str owner;
    if (document_class(w, &class, &list, &owner) < 0)
        return -1;
    struct sqlite3_stmt *s =
        q_open(w->k, &w->r, "SELECT doc FROM document WHERE class = ? AND owner = ? ORDER BY identifier", "tt",
               str_of(class), owner);
    return work_documents(w, list, s);
}

int api_document_delete(struct work *w)
{
    int64_t n;
    if (q_int(w->k, &w->r, &n, 0,
              "SELECT COUNT(*) FROM document WHERE class = 'page' AND owner = '' AND identifier = ?", "t",
              w->seg[0]) < 0)
        return -1;
    if (!n)
        return refuse(&w->r, 404, "not_found", "Page with identifier \"%.*s\" was not found", STR_FMT(w->seg[0]));
    if (q_exec(w->k, &w->r, "DELETE FROM document WHERE class = 'page' AND owner = '' AND identifier = ?", "t",
               w->seg[0]) < 0)
        return -1;
    return work_ok(w);
}
