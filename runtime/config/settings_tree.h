/* settings_tree.h: settings as found, merged from all sources. Private to config/. Loop thread.
 *
 * Sources are put in from the highest to the lowest. Objects merge key by key at every depth; whatever is
 * already there wins over what comes later (runtime ). */
#pragma once
#include <stdbool.h>
#include "base/buf.h"
#include "json/json.h"
#include "json/write.h"

enum settings_from { FROM_FLAG, FROM_ENV, FROM_DOTENV, FROM_FILE, FROM_DEFAULT };

struct tree_node {
    char *name;
    struct tree_node *parent, *child, *last, *next;
    bool object;      /* else a leaf: text, or json */
    char *text;       /* value from a text source, or NULL */
    struct json json; /* value from JSON or YAML */
    enum settings_from from;
    char *place; /* "environment", "config.yaml:3:5" */
};

struct tree {
    struct tree_node root;
    struct json_doc **docs; /* keep the leaves' documents alive */
    size_t ndocs;
};

struct yaml_marks;

/* Where a value comes from; marks refine the place of a value inside a document by its JSON pointer. */
struct tree_origin {
    enum settings_from from;
    const char *place;
    const struct yaml_marks *marks;
};

void tree_init(struct tree *t);
void tree_done(struct tree *t);
void tree_keep(struct tree *t, struct json_doc *d); /* takes the reference over */

struct tree_node *tree_child(const struct tree_node *n, struct str name); /* NULL if absent */
struct tree_node *tree_find(const struct tree *t, const char *dotted);    /* NULL if absent */
/* The object node at a path, made where absent; NULL if a leaf of a higher source stands in the way. */
struct tree_node *tree_section(struct tree *t, struct tree_node *at, struct str name,
                               const struct tree_origin *o);
/* Puts a text leaf unless there is a value already. A text that holds a JSON object is merged below an object
 * node. */
void tree_put_text(struct tree *t, struct tree_node *at, struct str name, const char *text,
                   const struct tree_origin *o);
/* Puts a JSON value: members of objects one by one. null is "not given". */
void tree_put_json(struct tree *t, struct tree_node *at, struct str name, struct json v,
                   const struct tree_origin *o, struct buf *pointer);
/* Appends one step of a JSON pointer. */
void tree_pointer_step(struct buf *pointer, struct str key);
/* Appends the dotted path of a node. */
void tree_path(struct buf *out, const struct tree_node *n);
/* Writes a node as JSON: text leaves as strings. */
void tree_write(struct jw *w, const struct tree_node *n);
