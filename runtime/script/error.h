/* error.h: errors between C and scripts: error tables, positions, reports of what was not caught.
 *
 * Loop thread. Functions that raise say so; they never return. */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include <lua.h>
#include <stdbool.h>

/* An error that ended a task. Strings are heap copies. */
struct failure {
    char *where;     /* "file.lua:12", or "" */
    char *message;   /* with where in front when it was not there */
    char *traceback; /* "" when there is none */
    bool http;       /* transport failure or error status (sync S-35) */
    bool cancelled;  /* by a `cancelled` error */
    bool stopped;    /* the task itself had been cancelled */
    bool killed;     /* over a limit */
    int status;      /* of an error of kind "request": what a route answers with it; 0: not given */
    char *plain;     /* its message alone */
};
void failure_done(struct failure *r);

void error_open(lua_State *L); /* makes the metatable */

/* Writes "file.lua:12" of the first script frame (frames of the embedded library are skipped), or "". */
void error_position(lua_State *L, char *out, size_t cap);
/* Pushes an error table {kind, message, where}. */
void error_push(lua_State *L, const char *kind, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Raises one. */
int error_raise(lua_State *L, const char *kind, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Word for an err_code: "transport", "timeout", "parse" ... */
const char *error_kind(int code);

/* Misuse: raises a plain message with the script's position in front. */
int error_misuse(lua_State *L, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Copy of a traceback without the frames of the embedded library. Caller frees. */
char *error_own_frames(const char *traceback);

/* Fills `r` from the error value on top of `co`, whose stack still stands. `L` is the main state; may raise (memory).
 */
void error_failure(lua_State *L, lua_State *co, struct failure *r);
