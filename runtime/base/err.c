/* Texts are formatted in full, masked, and only then cut, so that a cut can never leave half a secret in the clear.
 * They are masked completely: an error may be shipped, and shipped text shows nothing of a secret (runtime R-238). */
#include "base/err.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"

static void store(struct err *e, const char *text)
{
    struct buf masked;
    buf_init(&masked, BUF_NO_LIMIT);
    mask_text(&masked, str_of(text), MASK_FULL);
    const char *s = buf_cstr(&masked);
    size_t n = strlen(s);
    if (n < sizeof(e->msg)) {
        memcpy(e->msg, s, n + 1);
    } else {
        size_t keep = sizeof(e->msg) - 4;
        while (keep && ((unsigned char)s[keep] & 0xC0) == 0x80) /* not in the middle of a character */
            keep--;
        memcpy(e->msg, s, keep);
        memcpy(e->msg + keep, "...", 4);
    }
    buf_done(&masked);
}

int err_set(struct err *e, int code, const char *file, int line, const char *fmt, ...)
{
    if (!e)
        return code;
    struct buf text;
    va_list ap;
    buf_init(&text, BUF_NO_LIMIT);
    va_start(ap, fmt);
    buf_addvf(&text, fmt, ap);
    va_end(ap);
    e->code = code;
    e->http_status = 0;
    snprintf(e->where, sizeof(e->where), "%.38s:%d", file, line);
    store(e, buf_cstr(&text));
    buf_done(&text);
    return code;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
    if (!e)
        return ERR_INTERNAL;
    struct buf text;
    va_list ap;
    buf_init(&text, BUF_NO_LIMIT);
    va_start(ap, fmt);
    buf_addvf(&text, fmt, ap);
    va_end(ap);
    buf_adds(&text, ": ");
    buf_adds(&text, e->msg);
    store(e, buf_cstr(&text));
    buf_done(&text);
    return e->code;
}

const char *err_name(int code)
{
    static const char *const names[] = {"ok",        "invalid", "config", "parse",   "io",   "transport",
                                        "timeout",   "http",    "auth",   "too big", "busy", "not found",
                                        "cancelled", "script",  "limit",  "internal"};
    return code <= 0 && -code < (int)(sizeof(names) / sizeof(names[0])) ? names[-code] : "internal";
}

void err_copy(struct err *dst, const struct err *src)
{
    if (dst)
        *dst = *src;
}
