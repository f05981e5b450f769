/* scan.h: members of JSON text that is known to be valid, without parsing it: for one value out of many stored texts.
 *
 * Only text that a parser has accepted before may be given; the result is a slice of it. Any thread. */
#pragma once
#include "base/str.h"

/* Text of the value of the first member of that name; p NULL if there is none, or the text is no object. A name that
 * the text writes with escapes is not found. */
struct str json_scan_member(struct str object, struct str name);
