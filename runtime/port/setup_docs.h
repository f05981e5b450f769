/* setup_docs.h: documents of the start-up initialisation, built and compared. Private to port/. Pure. */
#pragma once
#include "base/buf.h"
#include "config/definition.h"
#include "config/mapping_doc.h"
#include "json/json.h"

enum blueprint_stage { STAGE_BARE, STAGE_RELATIONS, STAGE_FULL };

/* The body of a stage (runtime R-85). */
void blueprint_stage_write(struct buf *out, struct json blueprint, enum blueprint_stage stage);
/* Does Port's blueprint hold what ours says? Absent, null, false and empty are the same; an extra property or
 * relation in Port's is a difference. */
bool blueprint_same(struct json ours, struct json theirs);
/* Appends properties and relations that Port's blueprint has and ours has not: "url, relations.owner". */
size_t blueprint_extras(struct json ours, struct json theirs, struct buf *out);

/* The mapping as sent to Port. A mapping from ocean.define carries a mark, `oceanRun`: fingerprints of the
 * mapping and of the blueprints as installed, by which a later start tells whether somebody edited the
 * mapping in Port since. */
void mapping_write_marked(struct buf *out, const struct mapping_doc *m, struct json_doc *blueprints);
/* Is the stored config equal to the mapping, the mark apart? */
bool mapping_is(struct json config, const struct mapping_doc *m);
/* Does the stored config still hold what its mark says was installed? */
bool mapping_untouched(struct json config);
/* Are these the blueprints the mark names? */
bool mapping_marks_blueprints(struct json config, struct json_doc *blueprints);
/* The stored config with the mark's blueprints brought up to date, everything else as it is. */
void mapping_remark(struct buf *out, struct json config, struct json_doc *blueprints);

/* `config` without its mark, as a document of its own. */
struct json_doc *mapping_unmarked(struct json config);

/* Is there a difference between the stored document and what we are? */
struct integration_facts {
    const char *type, *version;
    struct str changelog_destination; /* JSON */
};
bool integration_differs(struct json integration, const struct integration_facts *f);
