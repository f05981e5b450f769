/* owners.h: who wrote an entity (port-api P-57, P-58). Database thread.
 *
 * An entity has one number in the dictionary of datasources. Usually its text is the User-Agent of the last writer; with
 * `--datasource-mode all` it is every writer's, one a line, the last one last (a User-Agent holds no line feed). */
#pragma once
#include "catalog/core.h"

/* The number of what the entity has after a write: `old` is its number before (0: new), `writer` the writer's own.
 * 0: refused. */
int64_t owners_after(struct core *k, int64_t old, int64_t writer, struct refusal *r);
/* The next owner in `*rest`, a dictionary text; false at the end. */
bool owners_next(struct str *rest, struct str *ret);
/* Appends the owner as a JSON string, several as an array. */
void owners_write(struct jw *w, struct str text);
