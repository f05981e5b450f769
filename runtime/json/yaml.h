/* yaml.h: YAML 1.1 (libyaml) into JSON documents.
 *
 * Scalars resolve as PyYAML's safe loader does (yes/no/on/off booleans, 0o and 0x
 * integers, .inf excluded, dates stay text). Anchors, aliases and merge keys are expanded
 * within a size cap. Duplicate keys, unknown tags and excessive depth are errors with line and
 * column. Any thread. */
#pragma once
#include "json/json.h"

struct yaml_marks; /* where each value stood, by JSON pointer */

/* `name` is the file name used in messages. JSON input is YAML too, but a text that starts with
 * '{' or '[' is first tried as JSON so that numbers keep their text. ret_marks may be NULL. */
int yaml_parse(struct str text, const char *name, struct json_doc **ret, struct yaml_marks **ret_marks,
               struct err *e);
/* Line and column (from 1) of the value at `pointer` ("/resources/0/kind"); false if unknown. */
bool yaml_where(const struct yaml_marks *m, struct str pointer, int *ret_line, int *ret_col);
void yaml_marks_free(struct yaml_marks *m);
/* Marks for a text that was read as JSON; NULL if it has no reading as YAML. */
struct yaml_marks *yaml_marks_of_json(struct str text, const char *name);

/* Reads a whole file (at most max_bytes) and parses it by its extension (.json as JSON, else YAML). */
int yaml_load_file(const char *path, size_t max_bytes, struct json_doc **ret, struct yaml_marks **ret_marks,
                   struct err *e);
/* Reads a whole file into `out`; ERR_NOT_FOUND, ERR_TOO_BIG or ERR_IO naming the path. */
int file_read(const char *path, size_t max_bytes, struct buf *out, struct err *e);
