/* base64.h: base64 (RFC 4648 section 4, padding required). Any thread. */
#pragma once
#include "base/buf.h"
#include "base/str.h"

/* Appends the bytes; false, with nothing appended that counts, if `s` is not base64. */
bool base64_decode(struct buf *out, struct str s);
