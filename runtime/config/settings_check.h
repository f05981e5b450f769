/* settings_check.h: a found value against the table. Private to config/. Pure but for secrets, which are
 * registered. */
#pragma once
#include "config/settings_table.h"
#include "config/settings_tree.h"

struct setting_value {
    bool set;      /* given, or defaulted */
    char *text;    /* canonical text; free() */
    double number; /* numbers, sizes, minutes; booleans 0 or 1 */
    enum settings_from from;
};

/* Checks the node of a setting (NULL: not given) and fills `v`, with the default where nothing is given. A
 * value that does not fit is a line in `problems` that never shows a sensitive value. */
void setting_check(const struct setting *s, const struct tree_node *node, struct setting_value *v,
                   struct buf *problems);
/* Starts a problem line: "port.base_url (OCEAN__PORT__BASE_URL, from environment): ". node may be NULL. */
void setting_problem(struct buf *problems, struct str dotted, const struct tree_node *node);
/* Appends what was found: a quoted, shortened text, or a note that it is not shown. */
void setting_excerpt(struct buf *out, const struct tree_node *node, bool sensitive);
