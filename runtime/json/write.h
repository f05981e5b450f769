/* write.h: streaming JSON text into a buffer, with commas kept for the caller.
 *
 *   struct jw w = jw_on(&buf);
 *   jw_obj(&w); jw_key_c(&w, "id"); jw_int(&w, 7); jw_end_obj(&w);
 *
 * Overflow is sticky in the buffer (buf.failed). One thread at a time. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "json/json.h"

struct jw {
    struct buf *out;
    bool comma; /* the next value in this container needs a comma before it */
};

static inline struct jw jw_on(struct buf *out) { return (struct jw){out, false}; }
void jw_obj(struct jw *w);
void jw_end_obj(struct jw *w);
void jw_arr(struct jw *w);
void jw_end_arr(struct jw *w);
void jw_key(struct jw *w, struct str key);
#define jw_key_c(w, lit) jw_key((w), STR(lit))
void jw_str(struct jw *w, struct str s); /* invalid UTF-8 becomes U+FFFD */
#define jw_str_c(w, lit) jw_str((w), STR(lit))
void jw_cstr(struct jw *w, const char *s); /* NULL writes null */
void jw_int(struct jw *w, int64_t v);
void jw_double(struct jw *w, double v); /* shortest text that reads back equal; nan is null, infinities are the largest doubles (as jq) */
void jw_bool(struct jw *w, bool v);
void jw_null(struct jw *w);
void jw_json(struct jw *w, struct json j);  /* missing writes null */
void jw_raw(struct jw *w, struct str text); /* text that is already JSON */

/* Appends `s` as a quoted JSON string; invalid UTF-8 becomes U+FFFD. */
void json_quote(struct buf *out, struct str s);
