/* certificate.h: the proof that a run saw everything, without which nothing is deleted (design.md section 6).
 *
 * The struct is defined in resync.c alone, so only the resync can make one: when every handler of every resource ended
 * without error or taint, nothing was aborted, no kind was left out and Port's listing was complete. */
#pragma once
#include <stdbool.h>

struct certificate;

/* False once the run was aborted: asked again before every delete request (sync S-49). */
bool certificate_holds(const struct certificate *c);
