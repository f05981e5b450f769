/* order.h: the entities of a blueprint in the order of one of their values. Database thread. */
#pragma once
#include "catalog/entity.h"
#include "catalog/work.h"

#define ORDER_MAX 100000 /* entities; beyond it a sort would take longer than a page may */

/* Row numbers by property `name`, or $identifier, $title, $updatedAt: numbers before texts, both ascending unless
 * `descending`; what has no value comes last either way. -1 refused. */
int order_rows(struct work *w, const struct blueprint *b, struct str name, bool descending, struct ids *ret);
