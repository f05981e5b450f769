/* definition_check.h: the shapes of the parts of a definition (runtime ). Private to config/.
 * Pure.
 *
 * Problems are lines "file:line:column: path: message"; without marks the place is what `from` says. */
#pragma once
#include "base/buf.h"
#include "json/json.h"
#include "json/yaml.h"

struct part {
    struct json root;
    const char *from;               /* file, or "ocean.define at FILE:LINE" */
    const struct yaml_marks *marks; /* NULL: none */
    struct buf *problems;
};

void check_spec(const struct part *p);
void check_blueprints(const struct part *p);
void check_default_mapping(const struct part *p);
void check_scorecards(const struct part *p);
void check_objects(const struct part *p, const char *what); /* actions, pages: an array of objects */
/* The entries of a spec's configurations, at `pointer` in the part. */
void check_configurations(const struct part *p, struct json list, const char *path, const char *pointer);
