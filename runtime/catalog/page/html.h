/* html.h: HTML text into a buffer, escaped unless it is a literal.
 *
 * Values come from integrations and third parties, so nothing reaches a page unescaped: markup stands in the format,
 * values in its arguments. Control characters are shown as their pictures (U+2400 and on), and every value a person
 * reads is wrapped in <bdi> by its caller, so that right-to-left overrides end with it. Any thread; overflow is sticky
 * in the buffer. */
#pragma once
#include "base/buf.h"
#include <stdint.h>

/* Conversions: %t struct str and %c const char *, escaped; %u struct str as a segment of a path or a query value; %d
 * int64_t; %n int64_t with thousands separated; %r const char *, markup of ours; %% per cent. */
void html(struct buf *out, const char *fmt, ...);
/* Escaped text, for element content and quoted attributes. */
void html_text(struct buf *out, struct str s);
/* At most `max` bytes of it, cut between code points, with an ellipsis where something is missing. */
void html_cut(struct buf *out, struct str s, size_t max);
/* <time> saying how long before `now_us` it was, the instant itself as its title. */
void html_ago(struct buf *out, int64_t at_us, int64_t now_us);
/* "1.4 MB". */
void html_bytes(struct buf *out, int64_t n);
/* "240 ms", "3.2 s", "4 min 10 s". */
void html_duration(struct buf *out, int64_t us);
