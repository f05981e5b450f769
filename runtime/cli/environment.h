/* environment.h: the part of the process environment that mapping expressions may see (design.md section 5).
 *
 * Credentials of Port and variables of settings marked sensitive are never in it. Loop thread. */
#pragma once
#include "config/definition.h"

/* NULL-terminated list; environment_free releases it. */
char **environment_for_mapping(const struct definition *d);
void environment_free(char **env);
