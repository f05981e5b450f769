/* The end of a run: retry, listing, protection, what is held back, deletion. The rows of the sync specification's test
 * plan (T-n) are named where a test is one of them. */
#include "unit/sync/fake_port.h"

static void replace_steps(struct fixture *f, const char *kind, enum step_kind what, const char *text)
{
    script_for(f, kind)->n = 0;
    if (text)
        add_step(f, kind, what, text);
    forget_requests(f);
}

/* Threshold -------------------------------------------------------------------------------------------------------- */

static void t32_the_threshold_decides(void **state)
{
    struct fixture *f = *state;
    owned_like_items(f, "issue", "i", 0, 10);
    add_step(f, "issue", STEP_BATCH, items("i", 0, 1));
    run_resync(f);
    assert_string_equal(sizes_of(f, DELETE, "entities"), "9");
    assert_string_equal(identifiers_of(f, DELETE), "i1 i2 i3 i4 i5 i6 i7 i8 i9");
    assert_int_equal(f->deleted, 9);
    assert_int_equal(f->exit_code, 0);
    assert_non_null(strstr(nth_request(f, "POST", DELETE, 0)->query, "delete_dependents=true"));
    replace_steps(f, "issue", STEP_BATCH, items("z", 0, 1));
    run_resync(f);
    assert_int_equal(requests_to(f, "POST", DELETE), 0);
    assert_int_equal(f->held_back, 10);
    assert_int_equal(f->exit_code, 5);
    assert_int_equal(f->complete_hooks, 2);
    f->fake.config = "{\"entityDeletionThreshold\":0,\"resources\":[" ISSUE "]}";
    replace_steps(f, "issue", STEP_BATCH, items("i", 0, 9));
    run_resync(f);
    assert_int_equal(requests_to(f, "POST", DELETE), 0);
    assert_int_equal(f->held_back, 1);
    f->fake.config = "{\"entityDeletionThreshold\":1,\"resources\":[" ISSUE "]}";
    replace_steps(f, "issue", STEP_BATCH, items("z", 0, 1));
    run_resync(f);
    assert_int_equal(f->deleted, 10);
}

static int all_updated(struct fixture *f, size_t nth, struct json entities, struct buf *out)
{
    (void)f;
    (void)nth;
    buf_adds(out, "{\"ok\":true,\"errors\":[],\"entities\":[");
    size_t i = 0;
    for (struct json_iter it = json_iter(entities); json_next(&it); i++) {
        buf_addf(out, "%s{\"index\":%zu,\"created\":false,\"identifier\":", i ? "," : "", i);
        json_write(out, json_get_c(it.val, "identifier"));
        buf_addc(out, '}');
    }
    buf_adds(out, "]}");
    return 207;
}

static void t33_entities_this_run_updated_count(void **state)
{
    struct fixture *f = *state;
    owned_like_items(f, "issue", "stale", 0, 1); /* the listing hides what this run wrote */
    f->fake.on_bulk = all_updated;
    add_step(f, "issue", STEP_BATCH, items("i", 0, 100));
    run_resync(f);
    assert_int_equal(f->resources[0].updated, 100);
    assert_string_equal(identifiers_of(f, DELETE), "stale0");
}

static void t37_every_page_of_the_listing_counts(void **state)
{
    struct fixture *f = *state;
    f->fake.page = 7;
    owned_like_items(f, "issue", "i", 0, 10);
    add_step(f, "issue", STEP_BATCH, items("i", 0, 6));
    run_resync(f);
    assert_int_equal(requests_to(f, "POST", LISTING), 2);
    assert_non_null(strstr(nth_request(f, "POST", LISTING, 1)->body, "\"from\":\"7\""));
    assert_string_equal(identifiers_of(f, DELETE), "i6 i7 i8 i9");
}

static void t38_a_number_and_its_text_are_one_key(void **state)
{
    struct fixture *f = *state;
    owned_like_items(f, "issue", "", 7, 2);
    add_step(f, "issue", STEP_BATCH, "[{\"id\":7}]");
    run_resync(f);
    assert_string_equal(identifiers_of(f, DELETE), "8");
}

static void a_failed_listing_fails_the_run(void **state)
{
    struct fixture *f = *state;
    f->fake.list_status = 500;
    add_step(f, "issue", STEP_BATCH, items("i", 0, 2));
    run_resync(f);
    assert_int_equal(f->exit_code, 1);
    assert_true(f->failed);
    assert_int_equal(requests_to(f, "POST", DELETE), 0);
    assert_int_equal(f->complete_hooks, 0);
}

static void a_taint_skips_deletion(void **state)
{
    struct fixture *f = *state;
    owned_like_items(f, "issue", "i", 0, 10);
    add_step(f, "issue", STEP_BATCH, items("i", 0, 5));
    add_step(f, "issue", STEP_TAINT, "GET /issues answered 500");
    run_resync(f);
    assert_int_equal(requests_to(f, "POST", LISTING), 0);
    assert_int_equal(f->exit_code, 4);
    assert_int_equal(f->resources[0].nerrors, 1);
}

static void abort_now(struct fixture *f) { resync_abort(f->resync); }

static void t13_an_abort_during_reconciliation_deletes_nothing(void **state)
{
    struct fixture *f = *state;
    owned_like_items(f, "issue", "i", 0, 10);
    f->fake.on_list = abort_now;
    add_step(f, "issue", STEP_BATCH, items("i", 0, 5));
    run_resync(f);
    assert_true(f->aborted);
    assert_int_equal(requests_to(f, "POST", DELETE), 0);
}

/* Protection ------------------------------------------------------------------------------------------------------- */

#define RELATED                                                                                                        \
    "{\"issue\":{\"identifier\":\"issue\",\"schema\":{\"properties\":{}},\"relations\":{\"owner\":{\"target\":"        \
    "\"user\","                                                                                                        \
    "\"many\":false}}},\"user\":{\"identifier\":\"user\",\"schema\":{\"properties\":{}},\"relations\":{}}}"
#define WITH_OWNER "{\"identifier\":\".id\",\"blueprint\":\"\\\"issue\\\"\",\"relations\":{\"owner\":\".name\"}}"

static void related_setup(struct fixture *f)
{
    blueprints(f, RELATED);
    owned(f, "[{\"identifier\":\"n0\",\"blueprint\":\"user\"},{\"identifier\":\"bob\",\"blueprint\":\"user\"},"
             "{\"identifier\":\"i0\",\"blueprint\":\"issue\"},{\"identifier\":\"n0\",\"blueprint\":\"issue\"}]");
    add_step(f, "issue", STEP_BATCH, items("i", 0, 1));
}

static void t34_relation_targets_stay(void **state)
{
    struct fixture *f = *state;
    f->fake.config = MAPPING(RESOURCE("issue", "true", WITH_OWNER));
    related_setup(f);
    run_resync(f);
    assert_int_equal(f->deleted, 2); /* bob, and the issue that merely has the owner's name */
    assert_int_equal(requests_to(f, "POST", "/v1/blueprints/user/bulk/entities/delete"), 1);
    assert_string_equal(nth_request(f, "POST", "/v1/blueprints/user/bulk/entities/delete", 0)->body,
                        "{\"entities\":[\"bob\"]}");
}

static void t34_without_creation_of_related_entities_they_go(void **state)
{
    struct fixture *f = *state;
    f->fake.config =
        "{\"createMissingRelatedEntities\":false,\"resources\":[" RESOURCE("issue", "true", WITH_OWNER) "]}";
    related_setup(f);
    run_resync(f);
    assert_int_equal(f->deleted, 3);
}

static int computed_blueprint_bulk(struct fixture *f, size_t nth, struct json entities, struct buf *out)
{
    f->fake.blueprint_status = 500; /* from now on no blueprint can be read */
    return all_updated(f, nth, entities, out);
}

static void an_unreadable_blueprint_holds_everything_back(void **state)
{
    struct fixture *f = *state;
    f->fake.config = MAPPING(RESOURCE(
        "issue", "true", "{\"identifier\":\".id\",\"blueprint\":\".kind\",\"relations\":{\"owner\":\".name\"}}"));
    f->fake.on_bulk = computed_blueprint_bulk;
    blueprints(f, RELATED);
    owned(f, "[{\"identifier\":\"bob\",\"blueprint\":\"user\"},{\"identifier\":\"i0\",\"blueprint\":\"issue\"}]");
    add_step(f, "issue", STEP_BATCH, "[{\"id\":\"i0\",\"name\":\"ann\",\"kind\":\"issue\"}]");
    run_resync(f);
    assert_int_equal(requests_to(f, "POST", DELETE), 0);
    assert_int_equal(f->held_back, 1);
    assert_int_equal(f->exit_code, 5);
    assert_int_equal(f->complete_hooks, 1);
}

/* Deletion --------------------------------------------------------------------------------------------------------- */

static void t35_deletes_of_a_hundred(void **state)
{
    struct fixture *f = *state;
    f->fake.page = 300;
    owned_like_items(f, "issue", "i", 0, 1000);
    for (int i = 0; i < 750; i += 150)
        add_step(f, "issue", STEP_BATCH, items("i", i, 150));
    run_resync(f);
    assert_int_equal(requests_to(f, "POST", BULK), 0);
    assert_int_equal(requests_to(f, "POST", DELETE), 3);
    assert_int_equal(f->deleted, 250);
}

static void t36_without_cascading_dependents_go_first(void **state)
{
    struct fixture *f = *state;
    f->fake.config = "{\"deleteDependentEntities\":false,\"resources\":[" ISSUE "]}";
    blueprints(f,
               "{\"issue\":{\"identifier\":\"issue\",\"schema\":{\"properties\":{}},\"relations\":{\"up\":{\"target\":"
               "\"issue\"}}}}");
    owned(f, "[{\"identifier\":\"P\",\"blueprint\":\"issue\",\"relations\":{\"up\":null}},"
             "{\"identifier\":\"Q\",\"blueprint\":\"issue\",\"relations\":{\"up\":\"P\"}},"
             "{\"identifier\":\"i0\",\"blueprint\":\"issue\"}]");
    add_step(f, "issue", STEP_BATCH, items("i", 0, 1));
    run_resync(f);
    assert_string_equal(sizes_of(f, DELETE, "entities"), "1 1");
    assert_string_equal(identifiers_of(f, DELETE), "Q P");
    assert_non_null(strstr(nth_request(f, "POST", DELETE, 0)->query, "delete_dependents=false"));
    assert_int_equal(f->deleted, 2);
}

static void t46_a_resource_that_must_not_delete(void **state)
{
    struct fixture *f = *state;
    /* 1 of 10 is just what the threshold allows: with the entities of a it would be 6 of 15. */
    f->fake.config =
        "{\"entityDeletionThreshold\":0.1,\"resources\":[{\"kind\":\"A\",\"enableDelete\":false,\"selector\":{"
        "\"query\":\"true\"},\"port\":{\"entity\":{\"mappings\":" ISSUE_MAPPINGS("a") "}}}," RESOURCE(
            "B", "true", ISSUE_MAPPINGS("b")) "]}";
    owned_like_items(f, "a", "a", 0, 5);
    owned_like_items(f, "b", "b", 0, 10);
    add_step(f, "A", STEP_BATCH, items("new", 0, 1));
    add_step(f, "B", STEP_BATCH, items("b", 0, 9));
    run_resync(f);
    assert_string_equal(identifiers_of(f, DELETE), "b9");
    assert_int_equal(f->exit_code, 0);
}

#define SEARCH_ID                                                                                                      \
    "{\"identifier\":{\"combinator\":\"\\\"and\\\"\",\"rules\":[{\"property\":\"\\\"key\\\"\",\"operator\":\"\\\"="    \
    "\\\"\","                                                                                                          \
    "\"value\":\".id\"}]},\"blueprint\":\"\\\"issue\\\"\"}"

static int unknown_status;

static int search_answers(struct fixture *f, size_t nth, struct json entities, struct buf *out)
{
    (void)f;
    (void)nth;
    (void)entities;
    buf_addf(out,
             "{\"ok\":false,\"entities\":[{\"index\":1,\"identifier\":\"svc-9\",\"created\":false}],\"errors\":[{"
             "\"index\":0,"
             "\"identifier\":\"unknown\",\"statusCode\":%d,\"error\":\"x\",\"message\":\"no\"}]}",
             unknown_status);
    return 207;
}

static void t22_search_identifiers(void **state)
{
    struct fixture *f = *state;
    f->fake.config = MAPPING(RESOURCE("issue", "true", SEARCH_ID));
    f->fake.on_bulk = search_answers;
    unknown_status = 404;
    owned(f, "[{\"identifier\":\"svc-9\",\"blueprint\":\"issue\"},{\"identifier\":\"old\",\"blueprint\":\"issue\"}]");
    add_step(f, "issue", STEP_BATCH, items("i", 0, 2));
    run_resync(f);
    assert_int_equal(f->resources[0].unmatched, 1);
    assert_int_equal(f->resources[0].updated, 1);
    assert_string_equal(identifiers_of(f, DELETE), "old");
    assert_int_equal(requests_to(f, "POST", "/v1/blueprints/issue/entities"), 0);
    assert_int_equal(f->exit_code, 0);
    forget_requests(f);
    unknown_status = 422;
    run_resync(f);
    assert_int_equal(requests_to(f, "POST", DELETE), 0);
}

/* Held back -------------------------------------------------------------------------------------------------------- */

#define TWO_KINDS MAPPING(RESOURCE("A", "true", ISSUE_MAPPINGS("a")) "," RESOURCE("B", "true", ISSUE_MAPPINGS("b")))

static void an_empty_kind_is_held_back_once(void **state)
{
    struct fixture *f = *state;
    f->fake.config = TWO_KINDS;
    owned_like_items(f, "a", "a", 0, 5);
    owned_like_items(f, "b", "b", 0, 30);
    script_for(f, "A");
    add_step(f, "B", STEP_BATCH, items("b", 0, 29));
    run_resync(f);
    assert_string_equal(identifiers_of(f, DELETE), "b29");
    assert_int_equal(f->held_back, 5);
    assert_int_equal(f->resources[0].held_back, 5);
    assert_int_equal(f->resources[0].state, RES_COMPLETED);
    assert_int_equal(f->exit_code, 5);
    forget_requests(f);
    run_resync(f); /* again: now it is believed */
    assert_int_equal(requests_to(f, "POST", "/v1/blueprints/a/bulk/entities/delete"), 1);
    assert_int_equal(f->held_back, 0);
    assert_int_equal(f->exit_code, 0);
}

/* An entity of "a" that is held back may relate to b29, and nobody knows: Port's cascade would take it along. */
static void a_deletion_does_not_cascade_while_something_is_kept(void **state)
{
    struct fixture *f = *state;
    f->fake.config = TWO_KINDS;
    owned_like_items(f, "a", "a", 0, 5);
    owned_like_items(f, "b", "b", 0, 30);
    script_for(f, "A");
    add_step(f, "B", STEP_BATCH, items("b", 0, 29));
    run_resync(f);
    assert_non_null(strstr(nth_request(f, "POST", DELETE, 0)->query, "delete_dependents=false"));
    add_step(f, "A", STEP_BATCH, items("a", 0, 5));
    forget_requests(f);
    run_resync(f); /* nothing is held back any more */
    assert_non_null(strstr(nth_request(f, "POST", DELETE, 0)->query, "delete_dependents=true"));
}

/* The only kind of an integration may become empty: what was accepted does not count for the threshold. */
static void a_kind_believed_empty_is_out_of_the_threshold(void **state)
{
    struct fixture *f = *state;
    owned_like_items(f, "issue", "i", 0, 3);
    script_for(f, "issue");
    run_resync(f);
    assert_int_equal(f->held_back, 3);
    assert_int_equal(f->exit_code, 5);
    run_resync(f);
    assert_int_equal(f->deleted, 3);
    assert_int_equal(f->exit_code, 0);
    f->fake.config = "{\"entityDeletionThreshold\":0.5,\"resources\":[" ISSUE "]}"; /* stated: it holds for all */
    run_resync(f);
    assert_int_equal(f->deleted, 0);
    assert_int_equal(f->held_back, 3);
}

static void emptiness_without_evidence_is_never_believed(void **state)
{
    struct fixture *f = *state;
    f->fake.config = TWO_KINDS;
    owned_like_items(f, "a", "a", 0, 5);
    owned_like_items(f, "b", "b", 0, 30);
    script_for(f, "A")->report.ignored_statuses = 1;
    add_step(f, "B", STEP_BATCH, items("b", 0, 30));
    for (int i = 0; i < 3; i++) {
        run_resync(f);
        assert_int_equal(f->held_back, 5);
        assert_int_equal(f->exit_code, 5);
    }
    f->allow_empty[0] = "A";
    f->nallow_empty = 1;
    run_resync(f);
    assert_int_equal(f->deleted, 5);
    assert_int_equal(f->exit_code, 0);
}

static void an_empty_kind_without_entities_in_port_is_fine(void **state)
{
    struct fixture *f = *state;
    f->fake.config = TWO_KINDS;
    owned_like_items(f, "b", "b", 0, 10);
    script_for(f, "A");
    add_step(f, "B", STEP_BATCH, items("b", 0, 10));
    run_resync(f);
    assert_int_equal(f->exit_code, 0);
}

static void a_shrunken_kind_is_held_back_until_accepted(void **state)
{
    struct fixture *f = *state;
    owned_like_items(f, "issue", "i", 0, 100);
    add_step(f, "issue", STEP_BATCH, items("i", 0, 100));
    run_resync(f);
    assert_int_equal(f->exit_code, 0);
    replace_steps(f, "issue", STEP_BATCH, items("i", 0, 60));
    for (int i = 0; i < 2; i++) {
        run_resync(f);
        assert_int_equal(requests_to(f, "POST", DELETE), 0);
        assert_int_equal(f->held_back, 40);
        assert_int_equal(f->exit_code, 5);
    }
    f->max_shrink = 50;
    run_resync(f);
    assert_int_equal(f->deleted, 40);
    assert_int_equal(f->exit_code, 0);
}

static void a_stated_threshold_replaces_the_shrink_rule(void **state)
{
    struct fixture *f = *state;
    f->fake.config = "{\"entityDeletionThreshold\":0.5,\"resources\":[" ISSUE "]}";
    owned_like_items(f, "issue", "i", 0, 100);
    add_step(f, "issue", STEP_BATCH, items("i", 0, 100));
    run_resync(f);
    replace_steps(f, "issue", STEP_BATCH, items("i", 0, 60));
    run_resync(f);
    assert_int_equal(f->deleted, 40);
}

static void a_computed_blueprint_holds_what_it_produced_before(void **state)
{
    struct fixture *f = *state;
    f->fake.config = MAPPING(RESOURCE("A", "true", "{\"identifier\":\".id\",\"blueprint\":\".name\"}") "," RESOURCE(
        "B", "true", ISSUE_MAPPINGS("b")));
    owned(f, "[{\"identifier\":\"x\",\"blueprint\":\"a\"},{\"identifier\":\"b0\",\"blueprint\":\"b\"},"
             "{\"identifier\":\"b1\",\"blueprint\":\"b\"}]");
    add_step(f, "A", STEP_BATCH, "[{\"id\":\"x\",\"name\":\"a\"}]");
    add_step(f, "B", STEP_BATCH, items("b", 0, 2));
    run_resync(f);
    assert_int_equal(f->exit_code, 0);
    replace_steps(f, "A", STEP_BATCH, NULL);
    replace_steps(f, "B", STEP_BATCH, items("b", 0, 1));
    run_resync(f);
    assert_string_equal(identifiers_of(f, DELETE), "b1"); /* x of blueprint a is A's */
    assert_int_equal(f->held_back, 1);
}

static void a_computed_blueprint_without_record_holds_everything(void **state)
{
    struct fixture *f = *state;
    f->fake.config = MAPPING(RESOURCE("A", "true", "{\"identifier\":\".id\",\"blueprint\":\".name\"}") "," RESOURCE(
        "B", "true", ISSUE_MAPPINGS("b")));
    owned(f, "[{\"identifier\":\"x\",\"blueprint\":\"a\"},{\"identifier\":\"b0\",\"blueprint\":\"b\"},"
             "{\"identifier\":\"b1\",\"blueprint\":\"b\"}]");
    script_for(f, "A");
    add_step(f, "B", STEP_BATCH, items("b", 0, 1));
    run_resync(f);
    assert_int_equal(requests_to(f, "POST", DELETE), 0);
    assert_int_equal(f->held_back, 2);
}

static void a_kind_that_must_not_delete_is_never_held_back(void **state)
{
    struct fixture *f = *state;
    f->fake.config =
        MAPPING("{\"kind\":\"A\",\"enableDelete\":false,\"selector\":{\"query\":\"true\"},\"port\":{\"entity\":{"
                "\"mappings\":" ISSUE_MAPPINGS("a") "}}}," RESOURCE("B", "true", ISSUE_MAPPINGS("b")));
    owned_like_items(f, "a", "a", 0, 30);
    owned_like_items(f, "b", "b", 0, 2);
    script_for(f, "A");
    add_step(f, "B", STEP_BATCH, items("b", 0, 1));
    run_resync(f);
    assert_string_equal(identifiers_of(f, DELETE), "b1");
    assert_int_equal(f->held_back, 0);
    assert_int_equal(f->exit_code, 0);
}

/* Retry ------------------------------------------------------------------------------------------------------------ */

#define RETRY_CONFIG(mappings)                                                                                         \
    "{\"createMissingRelatedEntities\":false,\"resources\":[" RESOURCE("issue", "true", mappings) "]}"
#define LINKED                                                                                                         \
    "{\"identifier\":\".id\",\"blueprint\":\"\\\"issue\\\"\",\"title\":\".name\",\"relations\":{\"up\":\".up\"}}"

static int reject_all(struct fixture *f, size_t nth, struct json entities, struct buf *out)
{
    (void)f;
    (void)nth;
    buf_adds(out, "{\"ok\":false,\"entities\":[],\"errors\":[");
    size_t i = 0;
    for (struct json_iter it = json_iter(entities); json_next(&it); i++) {
        buf_addf(
            out,
            "%s{\"index\":%zu,\"statusCode\":404,\"error\":\"not_found\",\"message\":\"no target\",\"identifier\":",
            i ? "," : "", i);
        json_write(out, json_get_c(it.val, "identifier"));
        buf_addc(out, '}');
    }
    buf_adds(out, "]}");
    return 207;
}

static int refuse_b(struct fixture *f, size_t nth, struct json entity)
{
    (void)f;
    (void)nth;
    return str_is(json_str(json_get_c(entity, "identifier")), "B") ? 422 : 200;
}

static void t29_refused_entities_are_sent_again_in_order(void **state)
{
    struct fixture *f = *state;
    f->fake.config = RETRY_CONFIG(LINKED);
    f->fake.on_bulk = reject_all;
    add_step(f, "issue", STEP_BATCH,
             "[{\"id\":\"C\",\"name\":\"c\",\"up\":\"B\"},{\"id\":\"A\",\"name\":\"a\",\"up\":null},"
             "{\"id\":\"B\",\"name\":\"b\",\"up\":\"A\"}]");
    run_resync(f);
    assert_string_equal(identifiers_of(f, "/v1/blueprints/issue/entities"), "A B C");
    assert_non_null(strstr(nth_request(f, "POST", "/v1/blueprints/issue/entities", 2)->body, "\"title\":\"c\""));
    assert_int_equal(f->resources[0].rejected, 0);
    assert_int_equal(f->exit_code, 0);
    assert_int_equal(requests_to(f, "POST", LISTING), 1);
    forget_requests(f);
    f->fake.on_single = refuse_b;
    run_resync(f);
    assert_int_equal(f->resources[0].rejected, 1);
    assert_int_equal(f->exit_code, 4);
    assert_int_equal(f->complete_hooks, 2);
}

static void t30_a_cycle_is_sent_in_the_order_it_came(void **state)
{
    struct fixture *f = *state;
    f->fake.config = RETRY_CONFIG(LINKED);
    f->fake.on_bulk = reject_all;
    add_step(f, "issue", STEP_BATCH, "[{\"id\":\"B\",\"up\":\"A\"},{\"id\":\"A\",\"up\":\"B\"},{\"id\":\"Z\"}]");
    run_resync(f);
    assert_string_equal(identifiers_of(f, "/v1/blueprints/issue/entities"), "B A Z");
    assert_int_equal(requests_to(f, "POST", LISTING), 1);
}

static void by_default_nothing_is_retried(void **state)
{
    struct fixture *f = *state;
    f->fake.on_bulk = reject_all;
    add_step(f, "issue", STEP_BATCH, items("i", 0, 2));
    run_resync(f);
    assert_int_equal(requests_to(f, "POST", "/v1/blueprints/issue/entities"), 0);
    assert_int_equal(f->resources[0].rejected, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(t32_the_threshold_decides),
        TEST(t33_entities_this_run_updated_count),
        TEST(t37_every_page_of_the_listing_counts),
        TEST(t38_a_number_and_its_text_are_one_key),
        TEST(a_failed_listing_fails_the_run),
        TEST(a_taint_skips_deletion),
        TEST(t13_an_abort_during_reconciliation_deletes_nothing),
        TEST(t34_relation_targets_stay),
        TEST(t34_without_creation_of_related_entities_they_go),
        TEST(an_unreadable_blueprint_holds_everything_back),
        TEST(t35_deletes_of_a_hundred),
        TEST(t36_without_cascading_dependents_go_first),
        TEST(t46_a_resource_that_must_not_delete),
        TEST(t22_search_identifiers),
        TEST(an_empty_kind_is_held_back_once),
        TEST(a_deletion_does_not_cascade_while_something_is_kept),
        TEST(a_kind_believed_empty_is_out_of_the_threshold),
        TEST(emptiness_without_evidence_is_never_believed),
        TEST(an_empty_kind_without_entities_in_port_is_fine),
        TEST(a_shrunken_kind_is_held_back_until_accepted),
        TEST(a_stated_threshold_replaces_the_shrink_rule),
        TEST(a_computed_blueprint_holds_what_it_produced_before),
        TEST(a_computed_blueprint_without_record_holds_everything),
        TEST(a_kind_that_must_not_delete_is_never_held_back),
        TEST(t29_refused_entities_are_sent_again_in_order),
        TEST(t30_a_cycle_is_sent_in_the_order_it_came),
        TEST(by_default_nothing_is_retried),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
