/* certificate.h: the proof that a run saw everything, without which nothing is deleted (design.md section 6).
 *
 * The struct is defined in resync.c alone, so only the resync can make one: when nothing was aborted, no kind was left
 * out, Port's listing was complete, and every handler of every resource ended without error or taint; with
 * deletion_scope `blueprint` it may cover only a part of the blueprints (scope.h). */
#pragma once
#include "base/str.h"
#include <stdbool.h>

struct certificate;

/* False once the run was aborted: asked again before every delete request (sync S-49). */
bool certificate_holds(const struct certificate *c);
/* It holds, and everything that could produce entities of this blueprint was seen to its end. */
bool certificate_covers(const struct certificate *c, struct str blueprint);
