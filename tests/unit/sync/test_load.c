/* From raw batches to Port: counting, comparing, bulks, examples, errors of items and handlers. The rows of the sync
 * specification's test plan (T-n) are named where a test is one of them. */
#include "unit/sync/fake_port.h"

/* Bulks ------------------------------------------------------------------------------------------------------------ */

static void t1_three_items_are_one_bulk(void **state)
{
    struct fixture *f = *state;
    add_step(f, "issue", STEP_LIST, items("i", 0, 3));
    run_resync(f);
    assert_int_equal(f->exit_code, 0);
    assert_int_equal(requests_to(f, "POST", LOOKUP), 0);
    assert_string_equal(sizes_of(f, BULK, "entities"), "3");
    assert_int_equal(requests_to(f, "POST", LISTING), 1);
    const struct request *r = nth_request(f, "POST", BULK, 0);
    assert_string_equal(r->path, "/v1/blueprints/issue/entities/bulk");
    const char *wanted[] = {"upsert=true",
                            "merge=true",
                            "create_missing_related_entities=true",
                            "validation_only=false",
                            "ocean_info_event_type=resync",
                            "ocean_info_resync_id="};
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
        assert_non_null(strstr(r->query, wanted[i]));
    assert_string_equal(r->agent, "port-ocean/jira/1.4.2/my-jira/exporter");
    assert_non_null(strstr(nth_request(f, "POST", LISTING, 0)->body, "\"before\""));
    assert_int_equal(f->resources[0].created, 3);
    assert_int_equal(f->complete_hooks, 1);
    assert_int_equal(requests_to(f, "PATCH", STATE), 2);
    assert_non_null(strstr(nth_request(f, "PATCH", STATE, 0)->body, "\"running\""));
    assert_non_null(strstr(nth_request(f, "PATCH", STATE, 1)->body, "\"completed\""));
}

static void t2_small_batches_are_written_without_a_lookup(void **state)
{
    struct fixture *f = *state;
    add_step(f, "issue", STEP_LIST, items("i", 0, 10));
    run_resync(f);
    assert_int_equal(requests_to(f, "POST", LOOKUP), 0);
    forget_requests(f);
    f->scripts[0].n = 0;
    add_step(f, "issue", STEP_LIST, items("i", 0, 11));
    run_resync(f);
    assert_int_equal(requests_to(f, "POST", LOOKUP), 1);
    assert_string_equal(sizes_of(f, BULK, "entities"), "11");
}

/* The minimum counts what the resource passed so far: a short last page is compared too. */
static void a_short_last_page_is_compared(void **state)
{
    struct fixture *f = *state;
    f->settings.resync_lookahead = 1;
    owned_like_items(f, "issue", "i", 0, 15);
    add_step(f, "issue", STEP_BATCH, items("i", 0, 12));
    add_step(f, "issue", STEP_BATCH, items("i", 12, 3));
    run_resync(f);
    assert_int_equal(requests_to(f, "POST", LOOKUP), 2);
    assert_int_equal(requests_to(f, "POST", BULK), 0);
    assert_int_equal(f->resources[0].unchanged, 15);
}

static void t3_what_port_has_is_not_written(void **state)
{
    struct fixture *f = *state;
    owned_like_items(f, "issue", "i", 0, 120);
    add_step(f, "issue", STEP_BATCH, items("i", 0, 120));
    run_resync(f);
    assert_int_equal(requests_to(f, "POST", LOOKUP), 3);
    assert_int_equal(requests_to(f, "POST", BULK), 0);
    assert_int_equal(requests_to(f, "POST", LISTING), 1);
    assert_int_equal(requests_to(f, "POST", DELETE), 0);
    assert_int_equal(f->resources[0].unchanged, 120);
    assert_int_equal(f->exit_code, 0);
}

/* One list of everything: its lookups go out side by side, and all of them count. */
static void a_large_list_is_compared(void **state)
{
    struct fixture *f = *state;
    owned_like_items(f, "issue", "i", 0, 990);
    add_step(f, "issue", STEP_LIST, items("i", 0, 1000));
    run_resync(f);
    assert_int_equal(requests_to(f, "POST", LOOKUP), 20);
    assert_string_equal(identifiers_of(f, BULK), "i990 i991 i992 i993 i994 i995 i996 i997 i998 i999");
    assert_int_equal(f->resources[0].unchanged, 990);
}

static void only_what_differs_is_written(void **state)
{
    struct fixture *f = *state;
    owned_like_items(f, "issue", "i", 0, 20);
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    buf_adds(&b, "[");
    for (int i = 0; i < 20; i++)
        buf_addf(&b, "%s{\"id\":\"i%d\",\"name\":\"n%d\",\"u\":\"%s\"}", i ? "," : "", i, i, i == 7 ? "new" : "u");
    buf_adds(&b, "]");
    add_step(f, "issue", STEP_BATCH, buf_cstr(&b));
    run_resync(f);
    buf_done(&b);
    assert_string_equal(identifiers_of(f, BULK), "i7");
    assert_int_equal(f->resources[0].updated, 1);
    assert_int_equal(f->resources[0].unchanged, 19);
}

static void t4_bulks_of_twenty(void **state)
{
    struct fixture *f = *state;
    add_step(f, "issue", STEP_BATCH, items("i", 0, 45));
    run_resync(f);
    assert_int_equal(requests_to(f, "POST", BULK), 3);
    size_t sum = 0, biggest = 0;
    int a, b, c;
    assert_int_equal(sscanf(sizes_of(f, BULK, "entities"), "%d %d %d", &a, &b, &c), 3);
    sum = (size_t)(a + b + c);
    biggest = (size_t)(a > b ? a : b);
    assert_int_equal(sum, 45);
    assert_int_equal(biggest, 20);
}

static void release_held(void *arg)
{
    struct fixture *f = arg;
    size_t n = f->fake.nheld;
    if (n > f->fake.max_in_flight)
        f->fake.max_in_flight = n;
    f->fake.nheld = 0;
    for (size_t i = 0; i < n; i++)
        fake_bulk(f, f->fake.held[i]);
    if (!f->done)
        timer_start(f->loop, 20, 0, release_held, f);
}

static void t4_at_most_five_bulks_are_in_flight(void **state)
{
    struct fixture *f = *state;
    f->fake.hold = true;
    for (int i = 0; i < 8; i++)
        add_step(f, "issue", STEP_BATCH, items("i", i * 100, 100));
    begin_resync(f);
    timer_start(f->loop, 20, 0, release_held, f);
    loop_run(f->loop);
    assert_true(f->done);
    assert_int_equal(f->resources[0].created, 800);
    assert_in_range(f->fake.max_in_flight, 2, 5);
    loop_turn(f->loop, true); /* the last timer */
}

static void t5_bulks_are_filled_by_real_size(void **state)
{
    struct fixture *f = *state;
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    char *big = xmalloc(100001);
    memset(big, 'x', 100000);
    big[100000] = 0;
    buf_addc(&b, '[');
    for (int i = 0; i < 12; i++)
        buf_addf(&b, "%s{\"id\":\"i%d\",\"name\":\"n\",\"u\":\"%s\"}", i ? "," : "", i, big);
    buf_addc(&b, ']');
    add_step(f, "issue", STEP_BATCH, buf_cstr(&b));
    run_resync(f);
    buf_done(&b);
    free(big);
    assert_int_equal(requests_to(f, "POST", BULK), 2);
    for (size_t i = 0; i < 2; i++)
        assert_true(strlen(nth_request(f, "POST", BULK, i)->body) <= (size_t)1 << 20);
    assert_int_equal(f->resources[0].created, 12);
}

static void bulks_are_filled_across_batches(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 4; i++)
        add_step(f, "issue", STEP_BATCH, items("i", i * 10, 10));
    run_resync(f);
    assert_string_equal(sizes_of(f, BULK, "entities"), "20 20");
}

static void t6_consecutive_lists_are_one_batch(void **state)
{
    struct fixture *f = *state;
    add_step(f, "issue", STEP_LIST, items("specific", 0, 6));
    add_step(f, "issue", STEP_LIST, items("wildcard", 0, 6));
    run_resync(f);
    assert_int_equal(requests_to(f, "POST", LOOKUP), 1); /* 12 passed entities of one batch */
    assert_string_equal(sizes_of(f, BULK, "entities"), "12");
    assert_ptr_equal(strstr(identifiers_of(f, BULK), "specific0"), identifiers_of(f, BULK));
}

static void expect_answered(struct fixture *f, size_t step) { assert_int_equal(f->fake.bulks, step); }

static void t7_lookahead_one_waits_for_the_load(void **state)
{
    struct fixture *f = *state;
    f->settings.resync_lookahead = 1;
    f->on_step = expect_answered;
    for (int i = 0; i < 3; i++)
        add_step(f, "issue", STEP_BATCH, items("i", i * 2, 2));
    run_resync(f);
    assert_string_equal(sizes_of(f, BULK, "entities"), "2 2 2");
}

static void t8_resources_of_one_kind_are_independent(void **state)
{
    struct fixture *f = *state;
    f->fake.config =
        MAPPING(RESOURCE("issue", "true", ISSUE_MAPPINGS("a")) "," RESOURCE("issue", "true", ISSUE_MAPPINGS("b")));
    add_step(f, "issue", STEP_BATCH, items("i", 0, 2));
    run_resync(f);
    assert_int_equal(f->nruns, 2);
    assert_int_equal(requests_to(f, "POST", "/v1/blueprints/a/entities/bulk"), 1);
    assert_int_equal(requests_to(f, "POST", "/v1/blueprints/b/entities/bulk"), 1);
    assert_int_equal(f->resources[1].index, 1);
}

/* The same entity twice -------------------------------------------------------------------------------------------- */

static void the_state_produced_last_wins(void **state)
{
    struct fixture *f = *state;
    f->fake.hold = true;
    add_step(f, "issue", STEP_BATCH, "[{\"id\":\"x\",\"name\":\"first\",\"u\":\"1\"}]");
    add_step(f, "issue", STEP_BATCH, "[{\"id\":\"x\",\"name\":\"second\",\"u\":\"2\"}]");
    begin_resync(f);
    timer_start(f->loop, 20, 0, release_held, f);
    loop_run(f->loop);
    assert_int_equal(f->fake.max_in_flight, 1); /* the second waits for the first */
    assert_string_equal(sizes_of(f, BULK, "entities"), "1 1");
    assert_non_null(strstr(nth_request(f, "POST", BULK, 1)->body, "second"));
    loop_turn(f->loop, true);
}

static void duplicates_in_a_compared_batch_are_counted(void **state)
{
    struct fixture *f = *state;
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    buf_adds(&b, "[{\"id\":\"i0\",\"name\":\"old\",\"u\":\"u\"},");
    buf_adds(&b, items("i", 0, 12) + 1);
    add_step(f, "issue", STEP_BATCH, buf_cstr(&b));
    run_resync(f);
    buf_done(&b);
    assert_int_equal(f->resources[0].duplicates, 1);
    assert_int_equal(f->resources[0].created, 12);
    assert_null(strstr(nth_request(f, "POST", BULK, 0)->body, "old"));
}

/* A lookup may see the state from before a write that is under way: the later state is sent whatever it says. */
static void an_entity_on_its_way_is_not_compared(void **state)
{
    struct fixture *f = *state;
    owned_like_items(f, "issue", "i", 0, 12);
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    buf_adds(&b, "[{\"id\":\"i3\",\"name\":\"other\",\"u\":\"u\"},");
    buf_adds(&b, items("k", 0, 12) + 1);
    add_step(f, "issue", STEP_BATCH, buf_cstr(&b));
    add_step(f, "issue", STEP_BATCH, items("i", 0, 12));
    run_resync(f);
    buf_done(&b);
    const char *sent = identifiers_of(f, BULK);
    const char *first = strstr(sent, "i3");
    assert_non_null(first);
    assert_non_null(strstr(first + 2, "i3"));
    assert_int_equal(f->resources[0].unchanged, 11);
}

/* Selector and mapping --------------------------------------------------------------------------------------------- */

static void t15_a_selector_that_is_no_boolean(void **state)
{
    struct fixture *f = *state;
    f->fake.config = MAPPING(RESOURCE("issue", ".open", ISSUE_MAPPINGS("issue")));
    add_step(f, "issue", STEP_BATCH, "[{\"id\":\"a\",\"open\":true},{\"id\":\"b\",\"open\":false},{\"id\":\"c\"}]");
    run_resync(f);
    assert_string_equal(identifiers_of(f, BULK), "a");
    assert_int_equal(f->resources[0].filtered, 1);
    assert_int_equal(f->resources[0].unmappable, 1);
    assert_int_equal(f->resources[0].nerrors, 1);
    assert_int_equal(requests_to(f, "POST", LISTING), 0);
    assert_int_equal(f->exit_code, 4);
    assert_int_equal(f->complete_hooks, 0);
    assert_non_null(strstr(nth_request(f, "PATCH", STATE, 1)->body, "\"failed\""));
}

static void t16_a_boolean_selector(void **state)
{
    struct fixture *f = *state;
    f->fake.config = MAPPING(RESOURCE("issue", ".open == true", ISSUE_MAPPINGS("issue")));
    add_step(f, "issue", STEP_BATCH, "[{\"id\":\"a\",\"open\":true},{\"id\":\"b\",\"open\":false},{\"id\":\"c\"}]");
    run_resync(f);
    assert_string_equal(identifiers_of(f, BULK), "a");
    assert_int_equal(f->exit_code, 0);
}

static void t17_an_expression_that_does_not_compile_is_null(void **state)
{
    struct fixture *f = *state;
    f->fake.config = MAPPING(RESOURCE("issue", "true",
                                      "{\"identifier\":\".id\",\"blueprint\":\"\\\"issue\\\"\","
                                      "\"properties\":{\"url\":\".u.\"}}"));
    add_step(f, "issue", STEP_BATCH, items("i", 0, 1));
    run_resync(f);
    assert_non_null(strstr(nth_request(f, "POST", BULK, 0)->body, "\"url\":null"));
    assert_int_equal(f->exit_code, 4);
    assert_non_null(strstr(f->errors, "properties.url"));
    assert_int_equal(requests_to(f, "POST", LISTING), 1); /* the run itself is fine */
    assert_non_null(strstr(nth_request(f, "PATCH", STATE, 1)->body, "\"completed\""));
}

static void a_broken_identifier_taints(void **state)
{
    struct fixture *f = *state;
    f->fake.config = MAPPING(RESOURCE("issue", "true", "{\"identifier\":\".id.\",\"blueprint\":\"\\\"issue\\\"\"}"));
    add_step(f, "issue", STEP_BATCH, items("i", 0, 2));
    run_resync(f);
    assert_int_equal(f->exit_code, 4);
    assert_int_equal(requests_to(f, "POST", LISTING), 0);
    assert_int_equal(requests_to(f, "POST", BULK), 0);
}

static void t18_items_without_identifier_are_counted(void **state)
{
    struct fixture *f = *state;
    add_step(f, "issue", STEP_BATCH, "[{\"id\":\"\"},{\"id\":0},{\"id\":null},{\"id\":\"a\"},{\"id\":\"b\"}]");
    run_resync(f);
    assert_string_equal(identifiers_of(f, BULK), "a b");
    assert_int_equal(f->resources[0].unmappable, 3);
    assert_int_equal(f->exit_code, 0);
}

static void a_kind_nothing_of_which_can_be_mapped_taints(void **state)
{
    struct fixture *f = *state;
    add_step(f, "issue", STEP_BATCH, "[{\"key\":\"a\"},{\"key\":\"b\"}]");
    run_resync(f);
    assert_int_equal(f->exit_code, 4);
    assert_int_equal(f->resources[0].nerrors, 1);
    assert_int_equal(requests_to(f, "POST", LISTING), 0);
}

static void t21_search_relations_are_not_looked_up(void **state)
{
    struct fixture *f = *state;
    f->fake.config = MAPPING(
        RESOURCE("issue", "true",
                 "{\"identifier\":\".id\",\"blueprint\":\"\\\"issue\\\"\",\"relations\":{\"owner\":{\"combinator\":"
                 "\"\\\"and\\\"\","
                 "\"rules\":[{\"property\":\"\\\"login\\\"\",\"operator\":\"\\\"=\\\"\",\"value\":\".name\"}]}}}"));
    add_step(f, "issue", STEP_BATCH, items("i", 0, 50));
    run_resync(f);
    assert_int_equal(requests_to(f, "POST", LOOKUP), 0);
    assert_non_null(
        strstr(nth_request(f, "POST", BULK, 0)->body,
               "{\"combinator\":\"and\",\"rules\":[{\"property\":\"login\",\"operator\":\"=\",\"value\":\"n0\"}]}"));
}

/* Handlers --------------------------------------------------------------------------------------------------------- */

static void t9_an_error_of_a_handler_skips_deletion(void **state)
{
    struct fixture *f = *state;
    f->fake.config = MAPPING(ISSUE "," RESOURCE("pr", "true", ISSUE_MAPPINGS("a")));
    add_step(f, "issue", STEP_BATCH, items("i", 0, 2));
    add_step(f, "issue", STEP_ERROR, "boom");
    add_step(f, "pr", STEP_BATCH, items("p", 0, 2));
    run_resync(f);
    assert_int_equal(requests_to(f, "POST", BULK), 2);
    assert_int_equal(requests_to(f, "POST", LISTING), 0);
    assert_int_equal(f->complete_hooks, 0);
    assert_int_equal(f->exit_code, 4);
    assert_string_equal(f->errors, "script.lua:7: boom x1\n");
    assert_int_equal(f->resources[0].state, RES_FAILED);
    assert_int_equal(f->resources[1].state, RES_COMPLETED);
}

static void t10_a_batch_that_is_no_list(void **state)
{
    struct fixture *f = *state;
    add_step(f, "issue", STEP_BATCH, "\"text\"");
    add_step(f, "issue", STEP_BATCH, "[1]");
    add_step(f, "issue", STEP_BATCH, "{}"); /* an empty table is an empty list */
    add_step(f, "issue", STEP_BATCH, items("i", 0, 2));
    run_resync(f);
    assert_string_equal(sizes_of(f, BULK, "entities"), "2");
    assert_int_equal(f->resources[0].nerrors, 2);
    assert_int_equal(requests_to(f, "POST", LISTING), 0);
    assert_int_equal(f->exit_code, 4);
}

/* Whoever fetches ends the handler that goes on like that; the other handlers of the resource go on. */
static void bad_batches_do_not_end_the_resource(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < BAD_BATCHES_MAX + 2; i++)
        add_step(f, "issue", STEP_BATCH, "7");
    add_step(f, "issue", STEP_BATCH, items("i", 0, 2));
    run_resync(f);
    assert_string_equal(sizes_of(f, BULK, "entities"), "2");
    assert_int_equal(f->exit_code, 4);
}

static void t11_a_kind_without_handler(void **state)
{
    struct fixture *f = *state;
    f->fake.config = MAPPING(RESOURCE("pr", "true", ISSUE_MAPPINGS("a")) "," ISSUE);
    add_step(f, "issue", STEP_BATCH, items("i", 0, 2));
    run_resync(f);
    assert_string_equal(sizes_of(f, BULK, "entities"), "2");
    assert_int_equal(requests_to(f, "POST", LISTING), 0);
    assert_non_null(strstr(f->errors, "'pr'"));
    assert_non_null(strstr(f->errors, "issue"));
    assert_int_equal(f->exit_code, 4);
}

static void t12_a_start_hook_that_fails_over_http(void **state)
{
    struct fixture *f = *state;
    f->start_hook_error = "GET /x answered 500";
    f->start_hook_http = true;
    add_step(f, "issue", STEP_BATCH, items("i", 0, 2));
    run_resync(f);
    assert_int_equal(requests_to(f, "POST", BULK), 1);
    assert_int_equal(requests_to(f, "POST", LISTING), 0);
    assert_int_equal(f->exit_code, 4);
    assert_non_null(strstr(nth_request(f, "PATCH", STATE, 1)->body, "\"failed\""));
}

static void t12_a_start_hook_that_fails_otherwise(void **state)
{
    struct fixture *f = *state;
    f->start_hook_error = "main.lua:3: attempt to index nil";
    add_step(f, "issue", STEP_BATCH, items("i", 0, 2));
    run_resync(f);
    assert_int_equal(f->nruns, 0);
    assert_int_equal(f->exit_code, 1);
    assert_non_null(strstr(f->failure, "main.lua:3"));
}

static void t14_a_mapping_without_resources(void **state)
{
    struct fixture *f = *state;
    const char *const configs[] = {"{}", "null", "{\"resources\":[]}"};
    owned_like_items(f, "issue", "i", 0, 10);
    for (size_t i = 0; i < ARRAY_LEN(configs); i++) {
        f->fake.config = configs[i];
        run_resync(f);
        assert_int_equal(f->exit_code, 0);
    }
    assert_int_equal(f->start_hooks + f->complete_hooks, 0);
    assert_int_equal(requests_to(f, "POST", LISTING), 0);
}

static void t14_an_invalid_mapping(void **state)
{
    struct fixture *f = *state;
    f->fake.config = "{\"entityDeletionThreshold\":1.5,\"resources\":[" ISSUE "]}";
    add_step(f, "issue", STEP_BATCH, items("i", 0, 2));
    run_resync(f);
    assert_int_equal(f->exit_code, 1);
    assert_int_equal(f->nruns, 0);
    assert_non_null(strstr(f->failure, "entityDeletionThreshold"));
}

static void a_missing_blueprint_names_the_fix(void **state)
{
    struct fixture *f = *state;
    f->fake.config =
        MAPPING(RESOURCE("issue", "true", ISSUE_MAPPINGS("nowhere")) "," RESOURCE("pr", "true", ISSUE_MAPPINGS("a")));
    add_step(f, "issue", STEP_BATCH, items("i", 0, 2));
    add_step(f, "pr", STEP_BATCH, items("p", 0, 2));
    run_resync(f);
    assert_int_equal(requests_to(f, "POST", "/v1/blueprints/nowhere/entities/bulk"), 0);
    assert_int_equal(requests_to(f, "POST", "/v1/blueprints/a/entities/bulk"), 1);
    assert_non_null(strstr(f->errors, "'nowhere'"));
    assert_non_null(strstr(f->errors, "blueprints.json"));
    assert_int_equal(f->exit_code, 4);
}

/* Examples --------------------------------------------------------------------------------------------------------- */

static void t25_examples_are_the_first_five(void **state)
{
    struct fixture *f = *state;
    f->settings.send_raw_data_examples = true;
    for (int i = 0; i < 3; i++)
        add_step(f, "issue", STEP_BATCH, items("i", i * 2, 2));
    run_resync(f);
    assert_string_equal(sizes_of(f, EXAMPLES, "examples"), "2 2 1");
    assert_string_equal(nth_request(f, "POST", EXAMPLES, 0)->path, "/v1/integration/my-jira/kinds/issue/examples");
}

static void t25_a_failed_upload_does_not_count(void **state)
{
    struct fixture *f = *state;
    f->settings.send_raw_data_examples = true;
    f->fake.example_failures = 1;
    for (int i = 0; i < 3; i++)
        add_step(f, "issue", STEP_BATCH, items("i", i * 2, 2));
    run_resync(f);
    assert_string_equal(sizes_of(f, EXAMPLES, "examples"), "2 2 2");
    assert_int_equal(f->exit_code, 0);
}

static void t25_examples_are_masked_and_items_are_not(void **state)
{
    struct fixture *f = *state;
    f->settings.send_raw_data_examples = true;
    mask_add(STR("hunter2hunter2"));
    add_step(f, "issue", STEP_BATCH,
             "[{\"id\":\"a\",\"u\":\"see hunter2hunter2\",\"deep\":[{\"k\":[\"hunter2hunter2\",1]}]}]");
    run_resync(f);
    const char *body = nth_request(f, "POST", EXAMPLES, 0)->body;
    assert_null(strstr(body, "hunter2"));
    assert_non_null(strstr(body, "see [REDACTED]"));
    assert_non_null(strstr(body, "\"deep\":[{\"k\":[\"[REDACTED]\",1]}]"));
    assert_non_null(strstr(nth_request(f, "POST", BULK, 0)->body, "hunter2hunter2"));
    mask_clear();
}

/* Outcomes --------------------------------------------------------------------------------------------------------- */

static void t26_a_failed_lookup_writes_everything(void **state)
{
    struct fixture *f = *state;
    f->fake.lookup_status = 500;
    owned_like_items(f, "issue", "i", 0, 60);
    add_step(f, "issue", STEP_BATCH, items("i", 0, 60));
    run_resync(f);
    assert_int_equal(f->resources[0].updated, 60);
    assert_int_equal(f->exit_code, 0);
}

static void t31_a_failed_bulk_is_no_reason_to_delete(void **state)
{
    struct fixture *f = *state;
    f->fake.bulk_status = 500;
    owned_like_items(f, "issue", "i", 0, 20);
    add_step(f, "issue", STEP_BATCH, items("i", 0, 10));
    add_step(f, "issue", STEP_BATCH,
             "[{\"id\":\"i10\"},{\"id\":\"i11\"},{\"id\":\"i12\"},{\"id\":\"i13\"},{\"id\":\"i14\"},"
             "{\"id\":\"i15\"},{\"id\":\"i16\"},{\"id\":\"i17\"},{\"id\":\"i18\"},{\"id\":\"i19\"}]");
    run_resync(f);
    assert_int_equal(f->resources[0].rejected + f->resources[0].unchanged, 20);
    assert_true(f->resources[0].rejected >= 10);
    assert_int_equal(requests_to(f, "POST", "/v1/blueprints/issue/entities"), 0);
    assert_int_equal(requests_to(f, "POST", DELETE), 0);
    assert_int_equal(f->exit_code, 4);
    assert_int_equal(f->complete_hooks, 1);
}

static int reject_second(struct fixture *f, size_t nth, struct json entities, struct buf *out)
{
    (void)f;
    (void)nth;
    (void)entities;
    buf_adds(
        out,
        "{\"ok\":false,\"entities\":[{\"index\":0,\"identifier\":\"i0\",\"created\":true},{\"index\":2,"
        "\"identifier\":\"i2\",\"created\":false}],\"errors\":[{\"index\":1,\"identifier\":\"i1\",\"statusCode\":422,"
        "\"error\":\"invalid_request\",\"message\":\"url is no URL\"}]}");
    return 207;
}

static void one_rejected_entity_is_one_error(void **state)
{
    struct fixture *f = *state;
    f->fake.on_bulk = reject_second;
    add_step(f, "issue", STEP_BATCH, items("i", 0, 3));
    run_resync(f);
    assert_int_equal(f->resources[0].created, 1);
    assert_int_equal(f->resources[0].updated, 1);
    assert_int_equal(f->resources[0].rejected, 1);
    assert_non_null(strstr(f->errors, "url is no URL"));
    assert_int_equal(f->exit_code, 4);
    assert_int_equal(requests_to(f, "POST", LISTING), 1);
}

/* --kind ----------------------------------------------------------------------------------------------------------- */

static void only_the_named_kind_and_no_deletion(void **state)
{
    struct fixture *f = *state;
    f->fake.config = MAPPING(ISSUE "," RESOURCE("pr", "true", ISSUE_MAPPINGS("a")));
    add_step(f, "issue", STEP_BATCH, items("i", 0, 2));
    add_step(f, "pr", STEP_BATCH, items("p", 0, 2));
    f->kinds[0] = "pr";
    f->nkinds = 1;
    run_resync(f);
    assert_int_equal(f->nruns, 1);
    assert_null(strstr(f->summary, "\"issue\""));
    assert_int_equal(requests_to(f, "POST", LISTING), 0);
    assert_int_equal(f->complete_hooks, 1);
    assert_int_equal(f->exit_code, 0);
    f->kinds[0] = "wrong";
    run_resync(f);
    assert_int_equal(f->exit_code, 2);
    assert_non_null(strstr(f->failure, "issue, pr"));
}

/* Abort ------------------------------------------------------------------------------------------------------------ */

static void abort_at_second(struct fixture *f, size_t step)
{
    if (step == 1)
        resync_abort(f->resync);
}

static void an_aborted_run_deletes_nothing(void **state)
{
    struct fixture *f = *state;
    owned_like_items(f, "issue", "old", 0, 5);
    f->on_step = abort_at_second;
    add_step(f, "issue", STEP_BATCH, items("i", 0, 2));
    add_step(f, "issue", STEP_BATCH, items("i", 2, 2));
    run_resync(f);
    assert_true(f->aborted);
    assert_int_equal(f->exit_code, 1);
    assert_int_equal(f->resources[0].state, RES_ABORTED);
    assert_int_equal(requests_to(f, "POST", LISTING), 0);
    assert_int_equal(requests_to(f, "POST", DELETE), 0);
    assert_int_equal(f->complete_hooks, 0);
    assert_non_null(strstr(nth_request(f, "PATCH", STATE, 1)->body, "\"aborted\""));
}

static void several_resources_at_once(void **state)
{
    struct fixture *f = *state;
    f->settings.resync_concurrency = 2;
    f->fake.config =
        MAPPING(ISSUE "," RESOURCE("pr", "true", ISSUE_MAPPINGS("a")) "," RESOURCE("x", "true", ISSUE_MAPPINGS("b")));
    add_step(f, "issue", STEP_BATCH, items("i", 0, 30));
    add_step(f, "pr", STEP_BATCH, items("p", 0, 30));
    add_step(f, "x", STEP_BATCH, items("x", 0, 30));
    run_resync(f);
    assert_int_equal(f->exit_code, 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(f->resources[i].created, 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(t1_three_items_are_one_bulk),
        TEST(t2_small_batches_are_written_without_a_lookup),
        TEST(a_short_last_page_is_compared),
        TEST(t3_what_port_has_is_not_written),
        TEST(a_large_list_is_compared),
        TEST(only_what_differs_is_written),
        TEST(t4_bulks_of_twenty),
        TEST(t4_at_most_five_bulks_are_in_flight),
        TEST(t5_bulks_are_filled_by_real_size),
        TEST(bulks_are_filled_across_batches),
        TEST(t6_consecutive_lists_are_one_batch),
        TEST(t7_lookahead_one_waits_for_the_load),
        TEST(t8_resources_of_one_kind_are_independent),
        TEST(the_state_produced_last_wins),
        TEST(duplicates_in_a_compared_batch_are_counted),
        TEST(an_entity_on_its_way_is_not_compared),
        TEST(t15_a_selector_that_is_no_boolean),
        TEST(t16_a_boolean_selector),
        TEST(t17_an_expression_that_does_not_compile_is_null),
        TEST(a_broken_identifier_taints),
        TEST(t18_items_without_identifier_are_counted),
        TEST(a_kind_nothing_of_which_can_be_mapped_taints),
        TEST(t21_search_relations_are_not_looked_up),
        TEST(t9_an_error_of_a_handler_skips_deletion),
        TEST(t10_a_batch_that_is_no_list),
        TEST(bad_batches_do_not_end_the_resource),
        TEST(t11_a_kind_without_handler),
        TEST(t12_a_start_hook_that_fails_over_http),
        TEST(t12_a_start_hook_that_fails_otherwise),
        TEST(t14_a_mapping_without_resources),
        TEST(t14_an_invalid_mapping),
        TEST(a_missing_blueprint_names_the_fix),
        TEST(t25_examples_are_the_first_five),
        TEST(t25_a_failed_upload_does_not_count),
        TEST(t25_examples_are_masked_and_items_are_not),
        TEST(t26_a_failed_lookup_writes_everything),
        TEST(t31_a_failed_bulk_is_no_reason_to_delete),
        TEST(one_rejected_entity_is_one_error),
        TEST(only_the_named_kind_and_no_deletion),
        TEST(an_aborted_run_deletes_nothing),
        TEST(several_resources_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
