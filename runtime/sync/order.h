/* order.h: who must go before whom: the retry list and non-cascading deletion (sync S-115, S-127). Pure. */
#pragma once
#include "base/hash.h"
#include "json/json.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Entities in order of registration; edges say "from relates to whatever has this identifier". */
struct order;

struct order *order_new(void);
void order_free(struct order *o); /* NULL allowed */
/* Adds a node; row is handed back. A key added before replaces that node's row and edges: the last one counts. Edges
 * that follow belong to this node. The identifier is its normalised text (S-94). */
void order_add(struct order *o, struct key128 key, struct str identifier, int64_t row);
void order_edge(struct order *o, struct str identifier);
/* Edges that follow belong to this node; false if there is none. */
bool order_select(struct order *o, struct key128 key);
/* Adds the edges of a relations object: plain values, arrays element-wise, search queries by their own text and by
 * every rule on $identifier with "=" (S-115). */
void order_relations(struct order *o, struct json relations);
size_t order_count(const struct order *o);
/* Rows sorted: targets_first puts an entity after those it relates to, else before them; otherwise in order of
 * registration. rows has room for order_count. Returns false if there is a cycle: then what lies on it or behind it
 * follows the sorted part in order of registration. */
bool order_sort(struct order *o, bool targets_first, int64_t *rows);
/* Rows in order of registration. */
void order_registration(const struct order *o, int64_t *rows);
