/* yaml_tree.h: one YAML document as nodes. Private to json.
 *
 * Nodes live in the arena given. An alias is the node it names, so the nodes form a graph without cycles; expanded, it
 * may be much larger than the text. */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include <stdbool.h>

enum yaml_node_type { YAML_NODE_SCALAR, YAML_NODE_SEQUENCE, YAML_NODE_MAPPING };

struct yaml_node {
    enum yaml_node_type type;
    int line, col;            /* from 1 */
    bool plain;               /* scalar without quotes */
    bool open;                /* its end has not been read yet */
    struct str tag;           /* as written, resolved; p NULL: none */
    struct str text;          /* of a scalar */
    struct yaml_node **items; /* elements, or keys and values in turn */
    size_t n, cap;
};

#define YAML_MAX_DEPTH 500

/* *ret NULL: the text holds no document. Messages begin with "name:line:column: ". */
int yaml_tree(struct str text, const char *name, struct arena *a, struct yaml_node **ret, struct err *e);
