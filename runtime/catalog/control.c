/* The control API (port-api 16.2) but for seeding: state, reset, clock, tokens, journal, faults. */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/strmap.h"
#include "catalog/blueprint.h"
#include "catalog/owners.h"
#include "catalog/catalog_priv.h"
#include "catalog/routes.h"
#include "json/write.h"

int control_health_now(struct work *w)
{
    struct jw jw = work_begin(w);
    jw_key_c(&jw, "version");
    jw_str_c(&jw, CATALOG_VERSION);
    jw_key_c(&jw, "uptimeMs");
    jw_int(&jw, (int64_t)(clock_mono_ms() - w->c->started_ms));
    jw_key_c(&jw, "db");
    jw_cstr(&jw, w->c->file);
    work_end(w, &jw);
    return 1;
}

/* State --------------------------------------------------------------------------------------------------------- */

static int write_blueprint_counts(struct work *w, struct jw *jw, int64_t *total)
{
    struct blueprint *b;
    int64_t n, entities = 0, blueprints = 0;
    jw_key_c(jw, "perBlueprint");
    jw_obj(jw);
    for (size_t at = 0; (at = blueprint_next(w->k, at, &b)) != 0; blueprints++) {
        if (blueprint_count(w->k, b, &n, &w->r) < 0)
            return -1;
        jw_key(jw, b->identifier);
        jw_int(jw, n);
        entities += n;
    }
    jw_end_obj(jw);
    jw_key_c(jw, "blueprints");
    jw_int(jw, blueprints);
    *total = entities;
    return 0;
}

static int write_owner_counts(struct work *w, struct jw *jw)
{
    struct sqlite3_stmt *s = q_open(w->k, &w->r, "SELECT datasource, SUM(n) FROM tally GROUP BY datasource HAVING SUM(n) <> 0", "");
    struct strmap *sums = strmap_new(free); /* an entity of several writers counts for each */
    struct str one, name;
    void *value;
    int rc;
    while ((rc = q_row(w->k, s, &w->r)) > 0) {
        struct str rest = dict_text(w->k, w->k->datasources, q_num(s, 0));
        while (owners_next(&rest, &one)) {
            int64_t *n = strmap_get(sums, one);
            if (!n)
                strmap_put(sums, one, n = xcalloc(1, sizeof(*n)));
            *n += q_num(s, 1);
        }
    }
    jw_key_c(jw, "perDatasource");
    jw_obj(jw);
    for (size_t at = 0; (at = strmap_next(sums, at, &name, &value)) != 0;) {
        jw_key(jw, name);
        jw_int(jw, *(int64_t *)value);
    }
    jw_end_obj(jw);
    strmap_free(sums);
    return rc;
}

static void write_number(struct jw *jw, const char *key, int64_t n)
{
    jw_key(jw, str_of(key));
    jw_int(jw, n);
}

/* Counts of what lives on the loop thread. */
int control_state_now(struct work *w)
{
    w->counts[0] = tokens_count(w->c->tokens);
    w->counts[1] = faults_count(w->c->faults);
    w->counts[2] = journal_count(w->c->journal);
    return 0;
}

int control_state(struct work *w)
{
    int64_t entities, integrations;
    struct buf id;
    if (q_int(w->k, &w->r, &integrations, 0, "SELECT COUNT(*) FROM integration", "") < 0)
        return -1;
    struct jw jw = work_begin(w);
    if (write_blueprint_counts(w, &jw, &entities) < 0 || write_owner_counts(w, &jw) < 0)
        return -1;
    write_number(&jw, "entities", entities);
    write_number(&jw, "integrations", integrations);
    write_number(&jw, "tokens", (int64_t)w->counts[0]);
    write_number(&jw, "faults", (int64_t)w->counts[1]);
    write_number(&jw, "journal", (int64_t)w->counts[2]);
    write_number(&jw, "droppedProperties", (int64_t)atomic_load(&w->k->dropped_properties));
    buf_init(&id, 256);
    if (meta_get(w->k, "catalog_id", &id, &w->r) < 0)
        return -1;
    jw_key_c(&jw, "catalogId");
    jw_str(&jw, buf_str(&id));
    buf_done(&id);
    work_end(w, &jw);
    return 0;
}

/* Reset --------------------------------------------------------------------------------------------------------- */

enum scope {
    SCOPE_ENTITIES = 1,
    SCOPE_CATALOG = 2,
    SCOPE_INTEGRATIONS = 4,
    SCOPE_JOURNAL = 8,
    SCOPE_FAULTS = 16,
    SCOPE_TOKENS = 32,
    SCOPE_ALL = 63
};

static int read_scope(struct work *w, int *ret)
{
    static const struct {
        const char *name;
        int scope;
    } scopes[] = {{"all", SCOPE_ALL},
                  {"entities", SCOPE_ENTITIES},
                  {"catalog", SCOPE_ENTITIES | SCOPE_CATALOG},
                  {"integrations", SCOPE_INTEGRATIONS},
                  {"journal", SCOPE_JOURNAL},
                  {"faults", SCOPE_FAULTS},
                  {"tokens", SCOPE_TOKENS}};
    struct json in = work_json(w);
    struct str name = json_str(json_get_c(in, "scope"));
    if (!in.v)
        return -1;
    for (size_t i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++) {
        if (str_is(name, scopes[i].name)) {
            *ret = scopes[i].scope;
            return 0;
        }
    }
    return refuse_invalid(&w->r, "\"scope\" must be all, entities, catalog, integrations, journal, faults or tokens");
}

int control_reset_now(struct work *w)
{
    int scope;
    if (read_scope(w, &scope) < 0)
        return -1;
    if (scope == SCOPE_ALL && w->c->id_seed)
        random_seed(w->c->id_seed); /* P-218: what follows gets the ids it would get in a new file */
    if (scope & SCOPE_JOURNAL)
        journal_clear(w->c->journal);
    if (scope & SCOPE_FAULTS)
        faults_clear(w->c->faults);
    if (scope & SCOPE_TOKENS)
        tokens_revoke(w->c->tokens, STR_NULL);
    return 0;
}

/* A whole table without a condition is dropped page by page, not row by row (P-218). */
static int clear(struct work *w, int scope)
{
    if ((scope & SCOPE_ENTITIES) &&
        (q_exec(w->k, &w->r, "DELETE FROM entity", "") < 0 || q_exec(w->k, &w->r, "DELETE FROM ref", "") < 0 ||
         q_exec(w->k, &w->r, "DELETE FROM tally", "") < 0 ||
         q_exec(w->k, &w->r, "DELETE FROM meta WHERE key = 'refs_upto'", "") < 0))
        return -1;
    if ((scope & SCOPE_CATALOG) &&
        (q_exec(w->k, &w->r, "DELETE FROM blueprint", "") < 0 || q_exec(w->k, &w->r, "DELETE FROM document", "") < 0))
        return -1;
    if ((scope & SCOPE_INTEGRATIONS) &&
        (q_exec(w->k, &w->r, "DELETE FROM integration", "") < 0 || q_exec(w->k, &w->r, "DELETE FROM cursor", "") < 0 ||
         q_exec(w->k, &w->r, "DELETE FROM example", "") < 0 || q_exec(w->k, &w->r, "DELETE FROM record", "") < 0 ||
         q_exec(w->k, &w->r, "DELETE FROM run", "") < 0 || q_exec(w->k, &w->r, "DELETE FROM run_log", "") < 0 ||
         q_exec(w->k, &w->r, "DELETE FROM lifecycle", "") < 0 || q_exec(w->k, &w->r, "DELETE FROM raw", "") < 0 ||
         q_exec(w->k, &w->r, "DELETE FROM resync", "") < 0 ||
         q_exec(w->k, &w->r, "DELETE FROM metric", "") < 0 || q_exec(w->k, &w->r, "DELETE FROM heartbeat", "") < 0 ||
         q_exec(w->k, &w->r, "DELETE FROM changes", "") < 0 || q_exec(w->k, &w->r, "DELETE FROM change", "") < 0))
        return -1;
    if ((scope & SCOPE_TOKENS) && q_exec(w->k, &w->r, "UPDATE token SET revoked = 1", "") < 0)
        return -1;
    return 0;
}

int control_reset(struct work *w)
{
    int scope;
    if (read_scope(w, &scope) < 0 || clear(w, scope) < 0)
        return -1;
    core_forget(w->k);
    return core_seed(w->k, &w->r) < 0 ? -1 : work_ok(w);
}

/* Clock and tokens ---------------------------------------------------------------------------------------------- */

int control_clock_now(struct work *w)
{
    struct json in = work_json(w);
    struct str mode = json_str(json_get_c(in, "mode"));
    int64_t value = 0;
    if (!in.v)
        return -1;
    bool fixed = str_is(mode, "fixed");
    if (fixed && !iso_parse(json_str(json_get_c(in, "now")), &value))
        return refuse_invalid(&w->r, "\"now\" must be an instant such as 2030-01-02T03:04:05Z");
    if (str_is(mode, "offset")) {
        if (!json_int64(json_get_c(in, "ms"), &value))
            return refuse_invalid(&w->r, "\"ms\" must be integer");
        value *= 1000;
    } else if (!fixed && !str_is(mode, "real")) {
        return refuse_invalid(&w->r, "\"mode\" must be real, fixed or offset");
    }
    atomic_store(&w->k->clock, value);
    atomic_store(&w->k->clock_fixed, fixed);
    struct jw jw = work_begin(w);
    jw_key_c(&jw, "now");
    jw_instant(&jw, core_now(w->k));
    work_end(w, &jw);
    return 1;
}

static struct str revoked_client(struct work *w)
{
    struct json in = w->body.n ? work_json(w) : JSON_NONE;
    return json_str(json_get_c(in, "clientId"));
}

int control_revoke_now(struct work *w)
{
    tokens_revoke(w->c->tokens, revoked_client(w));
    return 0;
}

int control_revoke(struct work *w)
{
    struct str client = revoked_client(w);
    if (q_exec(w->k, &w->r, "UPDATE token SET revoked = 1 WHERE ?1 IS NULL OR client = ?1", "t", client) < 0)
        return -1;
    return work_ok(w);
}

/* Journal and faults -------------------------------------------------------------------------------------------- */

int control_journal_now(struct work *w) { return journal_write(w->c->journal, w) < 0 ? -1 : 1; }
int control_summary_now(struct work *w) { return journal_summary(w->c->journal, w) < 0 ? -1 : 1; }

int control_journal_clear_now(struct work *w)
{
    journal_clear(w->c->journal);
    work_ok(w);
    return 1;
}

int control_faults_get_now(struct work *w)
{
    struct jw jw = work_begin(w);
    jw_key_c(&jw, "faults");
    jw_arr(&jw);
    for (struct fault *f = faults_first(w->c->faults); f; f = f->next)
        fault_write(f, &jw);
    jw_end_arr(&jw);
    work_end(w, &jw);
    return 1;
}

static int answer_fault(struct work *w, const struct fault *f)
{
    struct jw jw = work_begin(w);
    jw_key_c(&jw, "fault");
    fault_write(f, &jw);
    work_end(w, &jw);
    return 1;
}

int control_faults_add_now(struct work *w)
{
    struct json in = work_json(w);
    struct fault *f = in.v ? faults_add_json(w->c->faults, in, STR_NULL, &w->r) : NULL;
    w->status = f ? 201 : 0;
    return f ? answer_fault(w, f) : -1;
}

int control_fault_put_now(struct work *w)
{
    struct json in = work_json(w);
    struct fault *f = in.v ? faults_add_json(w->c->faults, in, w->seg[0], &w->r) : NULL;
    return f ? answer_fault(w, f) : -1;
}

static int no_fault(struct work *w)
{
    return refuse(&w->r, 404, "not_found", "There is no fault \"%.*s\"", STR_FMT(w->seg[0]));
}

int control_fault_get_now(struct work *w)
{
    struct fault *f = faults_find(w->c->faults, w->seg[0]);
    return f ? answer_fault(w, f) : no_fault(w);
}

int control_fault_delete_now(struct work *w)
{
    if (!faults_remove(w->c->faults, w->seg[0]))
        return no_fault(w);
    work_ok(w);
    return 1;
}

int control_faults_clear_now(struct work *w)
{
    faults_clear(w->c->faults);
    work_ok(w);
    return 1;
}
