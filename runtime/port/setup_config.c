/* The mapping after installation. Port's copy belongs to the people who edit it there, so ours replaces it
 * only when that is wanted
 * (--reset-mapping), when nobody else can have edited it (the embedded catalog), or when it came from
 * ocean.define and Port still holds exactly what was installed then (the mark says so). */
#define LOG_GROUP "port.setup"
#include "base/log.h"
#include "port/setup_priv.h"
#include "json/write.h"

/* The embedded catalog follows the files anyway, and files in a real Port are installed once: only
 * ocean.define needs a mark. */
bool setup_is_marked(const struct setup *s) { return s->o.def->mapping_inline && !s->o.embedded; }

void setup_config_value(const struct setup *s, struct buf *out)
{
    if (setup_is_marked(s))
        mapping_write_marked(out, s->mapping, s->o.def->blueprints_inline ? s->o.def->blueprints : NULL);
    else
        mapping_doc_write(s->mapping, out);
}

void setup_config_body(const struct setup *s, struct buf *out)
{
    buf_adds(out, "{\"config\":");
    setup_config_value(s, out);
    buf_addc(out, '}');
}

static void on_config(void *arg, const struct port_answer *a, const struct err *e)
{
    struct setup *s = arg;
    if (!a || a->status >= 400) {
        setup_fail_answer(s, a, e, "PATCH", "/integration/{id}/config");
        return;
    }
    setup_keep(s, a);
    setup_end(s, NULL);
}

static void patch_config(struct setup *s, struct buf *body)
{
    setup_patch(s, "/config", body, true, on_config);
}

/* The mapping stays; the mark learns which blueprints are installed, and the mapping if it is ours. */
static void remark(struct setup *s, struct json config, bool ours)
{
    struct buf body;
    buf_init(&body, BUF_NO_LIMIT);
    if (ours) {
        setup_config_body(s, &body);
    } else {
        buf_adds(&body, "{\"config\":");
        mapping_remark(&body, config, s->o.def->blueprints);
        buf_addc(&body, '}');
    }
    patch_config(s, &body);
}

static bool may_replace(const struct setup *s, struct json config)
{
    return s->o.reset_mapping || s->o.embedded || (s->o.def->mapping_inline && mapping_untouched(config));
}

void setup_config(struct setup *s)
{
    struct json config = json_get_c(s->integration, "config");
    const char *from = s->o.def->mapping_from ? s->o.def->mapping_from : "the default mapping";
    struct buf body;
    if (!s->mapping) {
        setup_end(s, NULL);
        return;
    }
    bool equal = mapping_is(config, s->mapping);
    if (!equal && may_replace(s, config)) {
        log_info("the mapping in Port %s replaced by the one of %s", s->o.plan ? "would be" : "is", from);
        buf_init(&body, BUF_NO_LIMIT);
        setup_config_body(s, &body);
        patch_config(s, &body);
        return;
    }
    if (!equal && s->o.def->mapping_inline)
        log_warn("the mapping of %s differs from the one in Port, which was edited there or installed from "
                 "elsewhere; Port's is "
                 "used. Run with --reset-mapping to replace it",
                 from);
    else if (!equal)
        log_debug(
            "the mapping of %s differs from the one in Port; Port's is used (--reset-mapping replaces it)",
            from);
    if (setup_is_marked(s) && s->o.def->blueprints_inline && s->apply &&
        !mapping_marks_blueprints(config, s->o.def->blueprints))
        remark(s, config, equal);
    else
        setup_end(s, NULL);
}
