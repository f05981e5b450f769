/* routes.h: what each endpoint does, by file. All run on the database's thread, except those named *_now. */
#pragma once
#include "catalog/work.h"

/* api_entities.c */
int api_entity_post(struct work *w);
int api_entity_bulk(struct work *w);
int api_entity_put(struct work *w);
int api_entity_patch(struct work *w);
int api_entities_delete(struct work *w);
int api_entity_delete(struct work *w);
/* api_read.c */
int api_entity_get(struct work *w);
int api_entities_get(struct work *w);
int api_entities_count(struct work *w);
int api_search(struct work *w);
int api_search_blueprint(struct work *w);
int api_datasource(struct work *w);
int control_entities(struct work *w);
/* api_blueprints.c */
int api_blueprints_get(struct work *w);
int api_blueprint_get(struct work *w);
int api_blueprint_post(struct work *w);
int api_blueprint_patch(struct work *w);
int api_blueprint_put(struct work *w);
int api_blueprint_delete(struct work *w);
int api_all_entities_delete(struct work *w);
int api_migration_get(struct work *w);
/* api_integrations.c */
int api_integrations_get(struct work *w);
int api_provision_enabled(struct work *w);
int api_integration_get(struct work *w);
int api_integration_post(struct work *w);
int api_integration_patch(struct work *w);
int api_integration_config(struct work *w);
int api_resync_state(struct work *w);
int api_resync_request(struct work *w);
int api_integration_delete(struct work *w);
int control_resync(struct work *w);
/* api_ingest.c */
int api_cursor_get(struct work *w);
int api_cursor_put(struct work *w);
int api_cursor_post(struct work *w);
int api_examples_post(struct work *w);
int api_kinds_get(struct work *w);
int api_logs_get(struct work *w);
int api_logs_post(struct work *w);
int api_metrics_post(struct work *w);
int api_metrics_put(struct work *w);
int api_heartbeat(struct work *w);
int api_metrics_get(struct work *w);
int api_syncs_get(struct work *w);
/* api_misc.c */
int api_token_now(struct work *w);
int api_token(struct work *w);
int api_organization(struct work *w);
int api_kafka(struct work *w);
int api_document_post(struct work *w);
int api_documents_get(struct work *w);
int api_document_delete(struct work *w);
/* api_runs.c */
int api_actions_claim(struct work *w);
int api_actions_ack(struct work *w);
int api_action_runs_get(struct work *w);
int api_action_run_get(struct work *w);
int api_action_run_patch(struct work *w);
int api_action_log_post(struct work *w);
int api_action_logs_get(struct work *w);
int api_nodes_claim(struct work *w);
int api_nodes_ack(struct work *w);
int api_node_runs_get(struct work *w);
int api_node_run_patch(struct work *w);
int api_node_log_post(struct work *w);
int control_action_run(struct work *w);
int control_node_run(struct work *w);
int runs_seed(struct work *w, struct json list, bool workflow); /* what POST /_local/seed brings */
/* api_lake.c */
int api_raw_post(struct work *w);
int api_lifecycle_post(struct work *w);
int api_lifecycle_part_post(struct work *w);
int api_lifecycle_get(struct work *w);
int api_probe_patch(struct work *w);
int control_abort(struct work *w);
int control_raw(struct work *w);
int control_probes(struct work *w);
/* history.c */
int control_resyncs(struct work *w);
/* wait.c */
int control_wait_now(struct work *w);
int control_wait(struct work *w);
/* control.c */
int control_health_now(struct work *w);
int control_state_now(struct work *w);
int control_state(struct work *w);
int control_reset_now(struct work *w);
int control_reset(struct work *w);
int control_clock_now(struct work *w);
int control_revoke_now(struct work *w);
int control_revoke(struct work *w);
int control_organization(struct work *w);
int control_journal_now(struct work *w);
int control_journal_clear_now(struct work *w);
int control_summary_now(struct work *w);
int control_faults_get_now(struct work *w);
int control_faults_add_now(struct work *w);
int control_faults_clear_now(struct work *w);
int control_fault_get_now(struct work *w);
int control_fault_put_now(struct work *w);
int control_fault_delete_now(struct work *w);
/* changes.c */
int control_changes(struct work *w);
/* snapshots.c */
int control_snapshot_make(struct work *w);
int control_snapshots_list(struct work *w);
int control_snapshot_delete(struct work *w);
int control_snapshot_restore(struct work *w);
int control_export(struct work *w);
int control_import(struct work *w);
/* seed.c */
int control_seed(struct work *w);
