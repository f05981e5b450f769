/* response.h: an HTTP answer as scripts see it. Loop thread. */
#pragma once
#include "io/http_client.h"
#include <lua.h>

struct received {
    int status;
    struct http_header *headers; /* one block, texts behind the array */
    size_t nheaders;
    struct buf body;
    char *url, *method;
    size_t charged;
    bool consumed; /* the body went into a document */
};

/* Moves the answer out of the client's callback. */
void received_take(struct received *a, struct http_resp *resp);
void received_done(struct received *a);

/* Pushes a response that takes everything from `a`. May raise; then whatever was taken is the userdata's. */
void response_push(lua_State *L, struct received *a, const char *method);
bool response_is(lua_State *L, int idx);
struct received *response_check(lua_State *L, int idx);
/* Pushes headers as scripts see them: lower-case names, found in any case; repeated ones joined by ", ". */
void headers_push(lua_State *L, const struct http_header *headers, size_t n);
/* Adds response functions to the internals on top of the stack. */
void response_open(lua_State *L);
