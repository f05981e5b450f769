/* tokens.h: the tokens this server issued (port-api 3). Loop thread only; the table `token` is written by jobs.
 *
 * A token is a JWT whose text follows from its row and the key in `meta`, so the texts themselves are never stored. */
#pragma once
#include "catalog/core.h"

struct tokens;

struct token {
    char *id, *client, *text;
    int64_t issued_us, expires_us;
    bool revoked;
};

struct tokens *tokens_new(struct str key, struct str organization, int64_t ttl_s);
void tokens_free(struct tokens *t);
/* A row of the table, at start. */
void tokens_load(struct tokens *t, struct str id, struct str client, int64_t issued_us, int64_t expires_us, bool revoked);
/* The token to hand out: the one there is while it has time left (P-27), else a new one (*ret_new). ttl_s: 0 means the default. */
const struct token *tokens_issue(struct tokens *t, struct str client, int64_t now_us, int64_t ttl_s, bool *ret_new);
/* Client of an Authorization header; p NULL if it is no valid one (P-29). */
struct str tokens_check(const struct tokens *t, struct str authorization, int64_t now_us);
/* client p NULL: all. */
void tokens_revoke(struct tokens *t, struct str client);
size_t tokens_count(const struct tokens *t);
