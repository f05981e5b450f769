/* definition.h: what an integration brings along: spec, blueprints, mapping and the other default resources,
 * from its .port folder or inline from ocean.define (design.md section 9, item 9).
 *
 * The same part given in both places is ERR_CONFIG. Every message names file, line and field. Loop thread. */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "config/settings.h"
#include "json/json.h"

struct definition {
    char *type, *version;        /* NULL: not declared */
    struct json_doc *spec;       /* configurations etc.; NULL: none */
    struct json_doc *blueprints; /* array; NULL: none */
    struct json_doc *mapping;    /* mapping document; NULL: none */
    struct json_doc *actions, *scorecards, *pages;
    char *blueprints_from, *mapping_from, *spec_from; /* file name or "ocean.define at FILE:LINE" */
    bool mapping_inline, blueprints_inline;
    char *project_name, *project_version; /* of pyproject.toml; NULL: none */
    bool config_inline;                   /* the configurations came from ocean.define */
};

struct definition *definition_new(void);
void definition_free(struct definition *d);
/* Reads <folder>/.port (or the working directory's, runtime R-1) and pyproject.toml's name and version. */
int definition_load(struct definition *d, const struct settings *s, struct err *e);
/* Adds the parts of an ocean.define table: blueprints, mapping, config, type, version, actions, scorecards,
 * pages. An empty object where the schema wants a list is an empty list (an empty Lua table says no more).
 * `from` names the call. */
int definition_add(struct definition *d, struct json table, const char *from, struct err *e);

/* Effective type, identifier and version (design.md section 9 item 9, runtime R-41). Caller frees. */
int definition_identity(const struct definition *d, const struct settings *s, char **type, char **identifier,
                        char **version, struct err *e);
/* integration.config against the spec (runtime 2.9): an object with snake_case keys; declared keys that are
 * not given are null. Without a spec the raw object. All problems at once in `problems`. Sensitive values are
 * registered. */
int definition_config(const struct definition *d, const struct settings *s, struct json_doc **ret,
                      struct buf *problems, struct err *e);
