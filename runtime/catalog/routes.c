/* The table of endpoints and the way to one of them: the path is split on "/" before anything is decoded (port-api
 * P-6), and literal segments win over parameters because they stand first (P-9). */
#include "catalog/page/page.h"
#include "catalog/routes.h"

#include <string.h>

#define W ROUTE_WRITES
#define I (ROUTE_OPEN | ROUTE_CONTROL)
#define P (ROUTE_OPEN | ROUTE_PAGE)

const struct route catalog_routes[] = {
    {"POST", "v1/blueprints/{}/entities/bulk", "E-31", W, api_entity_bulk, NULL},
    {"POST", "v1/blueprints/{}/entities", "E-30", W, api_entity_post, NULL},
    {"POST", "v1/entities/search", "E-34", 0, api_search, NULL},
    {"POST", "v1/blueprints/entities/datasource-entities", "E-35", 0, api_datasource, NULL},
    {"POST", "v1/blueprints/{}/bulk/entities/delete", "E-32", W, api_entities_delete, NULL},
    {"POST", "v1/auth/access_token", "E-1", W | ROUTE_OPEN, api_token, api_token_now},
    {"GET", "v1/organization", "E-2", 0, api_organization, NULL},
    {"GET", "v1/kafka-credentials", "E-3", 0, api_kafka, NULL},
    {"GET", "v1/integration/provision-enabled", "E-4", 0, api_provision_enabled, NULL},
    {"GET", "v1/integration/{}", "E-5", 0, api_integration_get, NULL},
    {"POST", "v1/integration", "E-6", W, api_integration_post, NULL},
    {"PATCH", "v1/integration/{}", "E-7", W, api_integration_patch, NULL},
    {"PATCH", "v1/integration/{}/config", "E-8", W, api_integration_config, NULL},
    {"PATCH", "v1/integration/{}/resync-state", "E-9", W, api_resync_state, NULL},
    {"GET", "v1/integration/{}/resync-request", "E-10", 0, api_resync_request, NULL},
    {"DELETE", "v1/integration/{}", "E-11", W, api_integration_delete, NULL},
    {"GET", "v1/integration/{}/cursor", "E-12", 0, api_cursor_get, NULL},
    {"PUT", "v1/integration/{}/cursor", "E-12", W, api_cursor_put, NULL},
    {"POST", "v1/integration/{}/cursor", "E-12", W, api_cursor_post, NULL},
    {"POST", "v1/integration/{}/kinds/{}/examples", "E-13", W | ROUTE_PLUS | ROUTE_BIG, api_examples_post, NULL},
    {"GET", "v1/integration", "E-14", 0, api_integrations_get, NULL},
    {"GET", "v1/integration/{}/kinds", "E-14", 0, api_kinds_get, NULL},
    {"GET", "v1/integration/{}/logs", "E-14", 0, api_logs_get, NULL},
    {"POST", "logs/integration/{}", "E-15", W | ROUTE_BIG, api_logs_post, NULL},
    {"POST", "v1/integration/{}/syncMetrics", "E-16", W | ROUTE_BIG, api_metrics_post, NULL},
    {"PUT", "v1/integration/{}/syncMetrics/resync/{}/kind/{}", "E-17", W | ROUTE_BIG | ROUTE_PLUS, api_metrics_put,
     NULL},
    {"POST", "v1/integration/{}/heartbeat", "E-18", W | ROUTE_BIG, api_heartbeat, NULL},
    {"GET", "v1/integration/{}/syncMetrics", "E-19", 0, api_metrics_get, NULL},
    {"GET", "v1/integration/{}/syncsMetadata", "E-19", 0, api_syncs_get, NULL},
    {"GET", "v1/blueprints", "E-22", 0, api_blueprints_get, NULL},
    {"GET", "v1/blueprints/{}", "E-23", 0, api_blueprint_get, NULL},
    {"POST", "v1/blueprints", "E-24", W, api_blueprint_post, NULL},
    {"PATCH", "v1/blueprints/{}", "E-25", W | ROUTE_ATOMIC, api_blueprint_patch, NULL},
    {"PUT", "v1/blueprints/{}", "E-26", W | ROUTE_ATOMIC, api_blueprint_put, NULL},
    {"DELETE", "v1/blueprints/{}", "E-27", W | ROUTE_ATOMIC, api_blueprint_delete, NULL},
    {"DELETE", "v1/blueprints/{}/all-entities", "E-28", W | ROUTE_ATOMIC, api_all_entities_delete, NULL},
    {"GET", "v1/migrations/{}", "E-29", 0, api_migration_get, NULL},
    {"DELETE", "v1/blueprints/{}/entities/{}", "E-33", W, api_entity_delete, NULL},
    {"GET", "v1/blueprints/{}/entities", "E-36", 0, api_entities_get, NULL},
    {"GET", "v1/blueprints/{}/entities/{}", "E-37", 0, api_entity_get, NULL},
    {"PUT", "v1/blueprints/{}/entities/{}", "E-37", W, api_entity_put, NULL},
    {"PATCH", "v1/blueprints/{}/entities/{}", "E-37", W, api_entity_patch, NULL},
    {"GET", "v1/blueprints/{}/entities-count", "E-37", 0, api_entities_count, NULL},
    {"POST", "v1/blueprints/{}/entities/search", "E-38", 0, api_search_blueprint, NULL},
    {"POST", "v1/actions", "E-39", W, api_document_post, NULL},
    {"GET", "v1/actions", "E-39", 0, api_documents_get, NULL},
    {"POST", "v1/blueprints/{}/scorecards", "E-39", W, api_document_post, NULL},
    {"GET", "v1/blueprints/{}/scorecards", "E-39", 0, api_documents_get, NULL},
    {"POST", "v1/pages", "E-39", W, api_document_post, NULL},
    {"GET", "v1/pages", "E-39", 0, api_documents_get, NULL},
    {"DELETE", "v1/pages/{}", "E-39", W, api_document_delete, NULL},
    {"POST", "v1/actions/runs/claim-pending", "E-40", W, api_actions_claim, NULL},
    {"PATCH", "v1/actions/runs/ack", "E-40", W | ROUTE_ATOMIC, api_actions_ack, NULL},
    {"GET", "v1/actions/runs", "E-40", 0, api_action_runs_get, NULL},
    {"GET", "v1/actions/runs/{}", "E-40", 0, api_action_run_get, NULL},
    {"PATCH", "v1/actions/runs/{}", "E-40", W, api_action_run_patch, NULL},
    {"POST", "v1/actions/runs/{}/logs", "E-40", W | ROUTE_ATOMIC, api_action_log_post, NULL},
    {"GET", "v1/actions/runs/{}/logs", "E-40", 0, api_action_logs_get, NULL},
    {"POST", "v1/workflows/runs/claim-pending", "E-41", W, api_nodes_claim, NULL},
    {"PATCH", "v1/workflows/runs/ack", "E-41", W, api_nodes_ack, NULL},
    {"GET", "v1/workflows/nodes/runs", "E-41", 0, api_node_runs_get, NULL},
    {"PATCH", "v1/workflows/nodes/runs/{}", "E-41", W, api_node_run_patch, NULL},
    {"POST", "v1/workflows/nodes/runs/{}/logs", "E-41", W, api_node_log_post, NULL},
    {"POST", "ingest/integration/{}/lake/write/integration-type/{}/integration/{}/sync/{}/kind/{}", "E-20",
     W | ROUTE_PLUS, api_raw_post, NULL},
    {"POST", "v1/lifecycle/{}", "E-21", W, api_lifecycle_post, NULL},
    {"GET", "v1/lifecycle/{}", "E-21", 0, api_lifecycle_get, NULL},
    {"POST", "v1/lifecycle/{}/{}", "E-21", W, api_lifecycle_part_post, NULL},
    {"PATCH", "v1/org/{}/integration/probe/{}", "E-43", W, api_probe_patch, NULL},

    {"GET", "_local/health", "local", I, NULL, control_health_now},
    {"GET", "_local/state", "local", I, control_state, control_state_now},
    {"POST", "_local/reset", "local", I | W | ROUTE_ATOMIC, control_reset, control_reset_now},
    {"POST", "_local/seed", "local", I | W | ROUTE_ATOMIC | ROUTE_BIG, control_seed, NULL},
    {"GET", "_local/entities", "local", I, control_entities, NULL},
    {"POST", "_local/integrations/{}/resync", "local", I | W, control_resync, NULL},
    {"POST", "_local/integrations/{}/abort", "local", I | W, control_abort, NULL},
    {"POST", "_local/action-runs", "local", I | W, control_action_run, NULL},
    {"POST", "_local/node-runs", "local", I | W, control_node_run, NULL},
    {"GET", "_local/action-runs", "local", I, api_action_runs_get, NULL},
    {"GET", "_local/node-runs", "local", I, api_node_runs_get, NULL},
    {"GET", "_local/resyncs", "local", I, control_resyncs, NULL},
    {"GET", "_local/raw", "local", I, control_raw, NULL},
    {"GET", "_local/probes", "local", I, control_probes, NULL},
    {"GET", "_local/wait", "local", I, control_wait, control_wait_now},
    {"POST", "_local/clock", "local", I, NULL, control_clock_now},
    {"POST", "_local/organization", "local", I | W, control_organization, NULL},
    {"POST", "_local/tokens/revoke", "local", I | W, control_revoke, control_revoke_now},
    {"GET", "_local/journal", "local", I, NULL, control_journal_now},
    {"DELETE", "_local/journal", "local", I, NULL, control_journal_clear_now},
    {"GET", "_local/journal/summary", "local", I, NULL, control_summary_now},
    {"GET", "_local/faults", "local", I, NULL, control_faults_get_now},
    {"POST", "_local/faults", "local", I, NULL, control_faults_add_now},
    {"DELETE", "_local/faults", "local", I, NULL, control_faults_clear_now},
    {"GET", "_local/faults/{}", "local", I, NULL, control_fault_get_now},
    {"PUT", "_local/faults/{}", "local", I, NULL, control_fault_put_now},
    {"DELETE", "_local/faults/{}", "local", I, NULL, control_fault_delete_now},
    {"POST", "_local/snapshots", "local", I, control_snapshot_make, NULL}, /* reads: SQLite copies outside a transaction */
    {"GET", "_local/snapshots", "local", I, control_snapshots_list, NULL},
    {"DELETE", "_local/snapshots/{}", "local", I, control_snapshot_delete, NULL},
    {"POST", "_local/snapshots/{}/restore", "local", I | W | ROUTE_ATOMIC, control_snapshot_restore, NULL},
    {"GET", "_local/export", "local", I, control_export, NULL},
    {"POST", "_local/import", "local", I | W | ROUTE_ATOMIC, control_import, NULL},
    {"GET", "_local/changes", "local", I, control_changes, NULL},
    {"GET", "_local/blueprints", "local", I, api_blueprints_get, NULL},
    {"GET", "_local/blueprints/{}", "local", I, api_blueprint_get, NULL},
    {"GET", "_local/blueprints/{}/entities/{}", "local", I, api_entity_get, NULL},
    {"GET", "_local/integrations", "local", I, api_integrations_get, NULL},
    {"GET", "_local/integrations/{}", "local", I, api_integration_get, NULL},

    {"GET", "", "page", P, page_overview, page_overview_now},
    {"GET", "page.css", "page", P, NULL, page_style_now},
    {"GET", "page.js", "page", P, NULL, page_script_now},
    {"GET", "blueprints", "page", P, page_blueprints, NULL},
    {"GET", "blueprints/{}", "page", P, page_blueprint, NULL},
    {"GET", "blueprints/{}/entities", "page", P, page_entities, NULL},
    {"GET", "blueprints/{}/entities/{}", "page", P | W, page_entity, NULL}, /* writes: the index of references */
    {"GET", "integrations", "page", P, page_integrations, NULL},
    {"GET", "integrations/{}", "page", P, page_integration, NULL},
    {"GET", "integrations/{}/resyncs/{}", "page", P, page_resync, NULL},
    {"GET", "journal", "page", P, NULL, page_journal_now},
    {"GET", "playground", "page", P, page_playground, NULL},
    {"POST", "playground", "page", P, page_playground, page_evaluate_now},
};
const size_t catalog_nroutes = sizeof(catalog_routes) / sizeof(catalog_routes[0]);

/* Does the raw path fit the pattern? Parameters are returned undecoded. */
static bool fits(const char *pattern, struct str path, struct str *seg, size_t *nseg)
{
    struct str rest = path, want = str_of(pattern);
    *nseg = 0;
    while (want.p) {
        struct str p = str_split(want, '/', &want);
        if (!rest.p)
            return false;
        struct str s = str_split(rest, '/', &rest);
        if (str_is(p, "{}")) {
            if (!s.n)
                return false;
            seg[(*nseg)++] = s;
        } else if (!str_eq(p, s)) {
            return false;
        }
    }
    return !rest.p;
}

static struct str decode(struct arena *a, struct str s, bool plus)
{
    if (!memchr(s.p, '%', s.n) && !(plus && memchr(s.p, '+', s.n)))
        return s;
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    url_decode(&b, s, plus);
    s = arena_str(a, buf_str(&b));
    buf_done(&b);
    return s;
}

static struct str allowed(struct arena *a, struct str path)
{
    struct str seg[WORK_SEGMENTS];
    size_t n;
    struct buf b;
    buf_init(&b, 256);
    for (size_t i = 0; i < catalog_nroutes; i++)
        if (fits(catalog_routes[i].path, path, seg, &n))
            buf_addf(&b, "%s%s", b.n ? ", " : "", catalog_routes[i].method);
    struct str list = b.n ? arena_str(a, buf_str(&b)) : STR_NULL;
    buf_done(&b);
    return list;
}

const struct route *route_find(struct arena *a, struct str method, struct str path, struct str *seg, size_t *ret_nseg,
                               struct str *ret_allow)
{
    *ret_allow = STR_NULL;
    if (path.n && path.p[0] == '/')
        path = (struct str){path.p + 1, path.n - 1};
    if (path.n && path.p[path.n - 1] == '/')
        path.n--;
    for (size_t i = 0; i < catalog_nroutes; i++) {
        const struct route *r = &catalog_routes[i];
        if (!str_is(method, r->method) || !fits(r->path, path, seg, ret_nseg))
            continue;
        for (size_t s = 0; s < *ret_nseg; s++) {
            bool plus = (r->flags & ROUTE_PLUS) && (s > 0 || !strcmp(r->id, "E-13"));
            seg[s] = decode(a, seg[s], plus);
        }
        return r;
    }
    *ret_allow = allowed(a, path);
    return NULL;
}
