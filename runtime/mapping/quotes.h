/* quotes.h: single quotes in expressions (sync S-71, S-72). Pure, any thread. */
#pragma once
#include "base/buf.h"

/* Appends `s` with single quotes that open or close a string turned into double quotes; true if any was. */
bool quotes_normalise(struct buf *out, struct str s);
