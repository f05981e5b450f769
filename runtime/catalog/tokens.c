/* JSON web tokens, HMAC-SHA256. Only what this server issued is valid, so a token is checked by looking it up; the
 * signature is for those who read it elsewhere, and lets the same text be made again after a restart from (id, client,
 * times) and the key. */
#include "catalog/tokens.h"

#include <inttypes.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "json/write.h"

struct tokens {
    struct strmap *by_text; /* -> struct token, owned */
    struct strmap *newest;  /* client -> struct token */
    char *key, *organization;
    size_t key_n;
    int64_t ttl_s;
};

static void token_free(void *p)
{
    struct token *t = p;
    free(t->id);
    free(t->client);
    free(t->text);
    free(t);
}

struct tokens *tokens_new(struct str key, struct str organization, int64_t ttl_s)
{
    struct tokens *t = xcalloc(1, sizeof(*t));
    t->by_text = strmap_new(token_free);
    t->newest = strmap_new(NULL);
    t->key = str_dup(key);
    t->key_n = key.n;
    t->organization = str_dup(organization);
    t->ttl_s = ttl_s > 0 ? ttl_s : 10800;
    return t;
}

void tokens_free(struct tokens *t)
{
    if (!t)
        return;
    strmap_free(t->newest);
    strmap_free(t->by_text);
    free(t->key);
    free(t->organization);
    free(t);
}

static void base64url(struct buf *out, const unsigned char *p, size_t n)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)p[i] << 16 | (i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0);
        for (size_t c = 0; c < 4 && c <= n - i; c++)
            buf_addc(out, letters[v >> (18 - 6 * c) & 63]);
    }
}

/* P-24, P-25: an e-mail address as client id means a person. */
static void write_claims(const struct tokens *t, const struct token *k, struct buf *out)
{
    bool person = strchr(k->client, '@') != NULL;
    struct jw w = jw_on(out);
    jw_obj(&w);
    jw_key_c(&w, "orgId");
    jw_cstr(&w, t->organization);
    jw_key_c(&w, "clientId");
    jw_cstr(&w, k->client);
    jw_key_c(&w, "jti");
    jw_cstr(&w, k->id);
    jw_key_c(&w, "iat");
    jw_int(&w, k->issued_us / 1000000);
    jw_key_c(&w, "exp");
    jw_int(&w, k->expires_us / 1000000);
    jw_key_c(&w, "isMachine");
    jw_bool(&w, !person);
    jw_key_c(&w, "personalToken");
    jw_bool(&w, person);
    jw_end_obj(&w);
}

static void sign(const struct tokens *t, struct token *k)
{
    static const char header[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";
    struct buf claims, text;
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned mac_n = 0;
    buf_init(&claims, 1 << 16);
    buf_init(&text, 1 << 17);
    write_claims(t, k, &claims);
    base64url(&text, (const unsigned char *)header, sizeof(header) - 1);
    buf_addc(&text, '.');
    base64url(&text, (const unsigned char *)claims.p, claims.n);
    HMAC(EVP_sha256(), t->key, (int)t->key_n, (const unsigned char *)text.p, text.n, mac, &mac_n);
    buf_addc(&text, '.');
    base64url(&text, mac, mac_n);
    k->text = buf_take(&text, NULL);
    buf_done(&claims);
}

static struct token *add(struct tokens *t, struct str id, struct str client, int64_t issued_us, int64_t expires_us)
{
    struct token *k = xcalloc(1, sizeof(*k));
    *k = (struct token){.id = str_dup(id), .client = str_dup(client), .issued_us = issued_us, .expires_us = expires_us};
    sign(t, k);
    struct token *same = strmap_put(t->by_text, str_of(k->text), k);
    if (same)
        token_free(same);
    strmap_put(t->newest, client, k);
    return k;
}

void tokens_load(struct tokens *t, struct str id, struct str client, int64_t issued_us, int64_t expires_us,
                 bool revoked)
{
    add(t, id, client, issued_us, expires_us)->revoked = revoked;
}

const struct token *tokens_issue(struct tokens *t, struct str client, int64_t now_us, int64_t ttl_s, bool *ret_new)
{
    struct token *k = strmap_get(t->newest, client);
    int64_t ttl = ttl_s > 0 ? ttl_s : t->ttl_s, least = ttl / 2 < 60 ? ttl / 2 : 60;
    *ret_new = ttl_s > 0 || !k || k->revoked || k->expires_us - now_us <= least * 1000000;
    if (!*ret_new)
        return k;
    char id[17];
    random_id(id, 16);
    return add(t, str_of(id), client, now_us, now_us + ttl * 1000000);
}

struct str tokens_check(const struct tokens *t, struct str authorization, int64_t now_us)
{
    struct str none = STR_NULL;
    if (authorization.n < 7 || !str_ieq((struct str){authorization.p, 7}, STR("Bearer ")))
        return none;
    struct token *k = strmap_get(t->by_text, str_trim((struct str){authorization.p + 7, authorization.n - 7}));
    return k && !k->revoked && k->expires_us > now_us ? str_of(k->client) : none;
}

void tokens_revoke(struct tokens *t, struct str client)
{
    struct str key;
    void *value;
    for (size_t at = 0; (at = strmap_next(t->by_text, at, &key, &value)) != 0;) {
        struct token *k = value;
        if (!client.p || str_is(client, k->client))
            k->revoked = true;
    }
}

size_t tokens_count(const struct tokens *t) { return strmap_count(t->by_text); }
