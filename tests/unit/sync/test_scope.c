/* deletion_scope: blueprint: what a run may delete although a part of it failed. In every case resource A fails and B is
 * complete; Port holds an entity of each blueprint that nobody produces any more. */
#include "unit/sync/fake_port.h"

#define COMPUTED "{\"identifier\":\".id\",\"blueprint\":\".name\"}"
#define LITERAL MAPPING(RESOURCE("A", "true", ISSUE_MAPPINGS("a")) "," RESOURCE("B", "true", ISSUE_MAPPINGS("b")))
#define DYNAMIC MAPPING(RESOURCE("A", "true", COMPUTED) "," RESOURCE("B", "true", ISSUE_MAPPINGS("b")))
#define MANY                                                                                                           \
    "{" SIMPLE_BLUEPRINT("a") "," SIMPLE_BLUEPRINT("b") "," SIMPLE_BLUEPRINT("c") "," SIMPLE_BLUEPRINT("d") "}"

static int scope_up(void **state)
{
    fixture_up(state);
    struct fixture *f = *state;
    f->settings.deletion_by_blueprint = true;
    f->fake.config = LITERAL;
    blueprints(f, MANY);
    return 0;
}

#define SCOPE(name) cmocka_unit_test_setup_teardown(name, scope_up, fixture_down)

/* b0 stays, so that the threshold has nothing to say; `stale` are blueprints that hold an entity nobody produces. */
static void port_holds(struct fixture *f, const char *stale)
{
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    buf_adds(&b, "[{\"identifier\":\"b0\",\"blueprint\":\"b\"}");
    for (; *stale; stale++)
        buf_addf(&b, ",{\"identifier\":\"old-%c\",\"blueprint\":\"%c\"}", *stale, *stale);
    buf_addc(&b, ']');
    owned(f, buf_cstr(&b));
    buf_done(&b);
}

/* One run: A hands over `batch` (NULL: nothing) and, if asked, fails after it. */
static void run(struct fixture *f, const char *batch, bool fails)
{
    script_for(f, "A")->n = script_for(f, "B")->n = 0;
    forget_requests(f);
    if (batch)
        add_step(f, "A", STEP_BATCH, batch);
    if (fails)
        add_step(f, "A", STEP_TAINT, "GET /a answered 500");
    add_step(f, "B", STEP_BATCH, items("b", 0, 1));
    run_resync(f);
}

static void assert_failed(const struct fixture *f)
{
    assert_int_equal(f->exit_code, 4);
    assert_int_equal(f->complete_hooks, 0);
    assert_non_null(strstr(nth_request(f, "PATCH", STATE, 1)->body, "\"failed\""));
}

static void by_default_one_failure_protects_everything(void **state)
{
    struct fixture *f = *state;
    f->settings.deletion_by_blueprint = false;
    port_holds(f, "ab");
    run(f, items("a", 0, 1), true);
    assert_int_equal(requests_to(f, "POST", LISTING), 0);
    assert_failed(f);
}

static void a_literal_blueprint_protects_itself(void **state)
{
    struct fixture *f = *state;
    port_holds(f, "abc");
    run(f, items("a", 0, 1), true);
    assert_string_equal(identifiers_of(f, DELETE), "old-b old-c");
    assert_failed(f);
}

static void a_resource_without_handler_protects_too(void **state)
{
    struct fixture *f = *state;
    port_holds(f, "ab");
    add_step(f, "B", STEP_BATCH, items("b", 0, 1));
    run_resync(f);
    assert_string_equal(identifiers_of(f, DELETE), "old-b");
    assert_failed(f);
}

static void an_unknown_computed_blueprint_protects_everything(void **state)
{
    struct fixture *f = *state;
    f->fake.config = DYNAMIC;
    port_holds(f, "abc");
    run(f, "[{\"id\":\"x\",\"name\":\"a\"}]", true);
    assert_int_equal(requests_to(f, "POST", LISTING), 0);
    assert_failed(f);
}

static void a_computed_one_protects_what_it_produced_last(void **state)
{
    struct fixture *f = *state;
    f->fake.config = DYNAMIC;
    port_holds(f, "");
    run(f, "[{\"id\":\"x\",\"name\":\"a\"}]", false);
    assert_int_equal(f->exit_code, 0);
    f->complete_hooks = 0;
    port_holds(f, "abcd");
    run(f, "[{\"id\":\"x\",\"name\":\"c\"}]", true);
    assert_string_equal(identifiers_of(f, DELETE), "old-b old-d"); /* a from the last run, c from this one */
    assert_failed(f);
    run(f, NULL, true);
    assert_string_equal(identifiers_of(f, DELETE), "old-b old-d"); /* c was begun in a run that failed */
    assert_failed(f);
}

static void what_was_begun_is_forgotten_by_a_complete_run(void **state)
{
    struct fixture *f = *state;
    f->fake.config = DYNAMIC;
    port_holds(f, "");
    run(f, "[{\"id\":\"x\",\"name\":\"a\"}]", false);
    run(f, "[{\"id\":\"x\",\"name\":\"c\"}]", true);
    run(f, "[{\"id\":\"x\",\"name\":\"a\"}]", false);
    port_holds(f, "abc");
    run(f, NULL, true);
    assert_string_equal(identifiers_of(f, DELETE), "old-b old-c");
}

/* a relates to c, which requires d. */
static void related(struct fixture *f)
{
    blueprints(f, "{\"a\":{\"identifier\":\"a\",\"relations\":{\"r\":{\"target\":\"c\",\"required\":false}}},"
                  "\"c\":{\"identifier\":\"c\",\"relations\":{\"r\":{\"target\":\"d\",\"required\":true}}},"
                  "\"d\":{\"identifier\":\"d\",\"relations\":{\"r\":{\"target\":\"b\",\"required\":false}}},"
                  "\"b\":{\"identifier\":\"b\",\"relations\":{}}}");
    port_holds(f, "abcd");
}

static void relation_targets_and_what_they_require_are_protected(void **state)
{
    struct fixture *f = *state;
    related(f);
    run(f, items("a", 0, 1), true);
    assert_string_equal(identifiers_of(f, DELETE), "old-b");
    assert_failed(f);
}

static void without_created_targets_only_required_ones_are(void **state)
{
    struct fixture *f = *state;
    f->fake.config = "{\"createMissingRelatedEntities\":false,\"resources\":[" RESOURCE(
        "A", "true", ISSUE_MAPPINGS("a")) "," RESOURCE("B", "true", ISSUE_MAPPINGS("b")) "]}";
    related(f);
    run(f, items("a", 0, 1), true);
    assert_string_equal(identifiers_of(f, DELETE), "old-b old-c old-d");
}

static void an_unreadable_blueprint_protects_everything(void **state)
{
    struct fixture *f = *state;
    port_holds(f, "ab");
    f->fake.blueprint_status = 500;
    run(f, items("a", 0, 1), true);
    assert_int_equal(requests_to(f, "POST", LISTING), 0);
}

/* The count of a kind that failed says nothing: the rule of shrunken kinds goes on from the last complete run. */
static void a_failed_kind_keeps_its_record(void **state)
{
    struct fixture *f = *state;
    port_holds(f, "");
    run(f, items("a", 0, 30), false);
    run(f, items("a", 0, 2), true);
    owned_like_items(f, "a", "a", 0, 30);
    run(f, items("a", 0, 20), false);
    assert_int_equal(f->held_back, 10);
    assert_int_equal(f->exit_code, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCOPE(by_default_one_failure_protects_everything),
        SCOPE(a_literal_blueprint_protects_itself),
        SCOPE(a_resource_without_handler_protects_too),
        SCOPE(an_unknown_computed_blueprint_protects_everything),
        SCOPE(a_computed_one_protects_what_it_produced_last),
        SCOPE(what_was_begun_is_forgotten_by_a_complete_run),
        SCOPE(relation_targets_and_what_they_require_are_protected),
        SCOPE(without_created_targets_only_required_ones_are),
        SCOPE(an_unreadable_blueprint_protects_everything),
        SCOPE(a_failed_kind_keeps_its_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
