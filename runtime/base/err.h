/* err.h: error values with context.
 *
 * What can fail returns 0 or a negative ERR_* and fills a caller's `struct err`
 * (a plain value, may be NULL, nothing to free). Context is added where it is
 * known with err_wrap, which prepends. Registered secrets are masked before the
 * text is cut; a cut is marked with "...". Any thread. */
#pragma once
#include <stdarg.h>
#include <stddef.h>

enum err_code {
    ERR_OK = 0,
    ERR_INVAL = -1,      /* misuse or malformed argument */
    ERR_CONFIG = -2,     /* configuration the user must fix (exit 3) */
    ERR_PARSE = -3,      /* malformed JSON, YAML, URL, jq ... */
    ERR_IO = -4,         /* file, socket, process */
    ERR_TRANSPORT = -5,  /* HTTP: no usable answer (connect, reset, cut off) */
    ERR_TIMEOUT = -6,
    ERR_HTTP = -7,       /* HTTP: an answer with an error status, see http_status */
    ERR_AUTH = -8,
    ERR_TOO_BIG = -9,    /* over a stated limit */
    ERR_BUSY = -10,      /* held by somebody else, or a queue is full */
    ERR_NOT_FOUND = -11,
    ERR_CANCELLED = -12,
    ERR_SCRIPT = -13,    /* raised by a Lua script */
    ERR_LIMIT = -14,     /* a budget (steps, time, memory) was exceeded */
    ERR_INTERNAL = -15,  /* our own mistake, reported instead of hidden */
};

struct err {
    int code;
    int http_status; /* with ERR_HTTP, else 0 */
    char where[48];  /* file:line in our source */
    char msg[456];
};

/* Fills `e` (may be NULL) and returns `code`. */
#define ERR(e, code, ...) err_set((e), (code), __FILE__, __LINE__, __VA_ARGS__)
int err_set(struct err *e, int code, const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* Prepends "text: " to e->msg and returns e->code (ERR_INTERNAL when e is NULL). */
int err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Short stable word for a code: "config", "transport", ... Never NULL. */
const char *err_name(int code);

/* Writes "literal, literal" copies safely: dst always ends in NUL, a cut ends in "...". */
void err_copy(struct err *dst, const struct err *src);
