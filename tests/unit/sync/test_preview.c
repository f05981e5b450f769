/* Plans: what they say, that they ask only, that the accepted one is carried out and no other. */
#include "unit/sync/fake_port.h"

#include "sync/preview.h"

struct rig {
    struct fixture f; /* first: the tests' state */
    struct port_setup_plan plan;
    struct port_setup_opts setup;
    struct definition *def;
    struct preview_opts opts;
    struct buf text;
    char hash[PREVIEW_HASH + 1];
};

static void collect(void *arg, struct str text)
{
    struct rig *r = arg;
    buf_addstr(&r->text, text);
}

static int rig_up(void **state)
{
    struct rig *r = xcalloc(1, sizeof(*r));
    set_up(&r->f);
    r->def = definition_new();
    r->setup = (struct port_setup_opts){.def = r->def, .initialize_resources = false, .plan = &r->plan};
    r->opts = (struct preview_opts){.setup = &r->setup, .write = collect, .arg = r};
    buf_init(&r->text, BUF_NO_LIMIT);
    *state = r;
    return 0;
}

static int rig_down(void **state)
{
    struct rig *r = *state;
    tear_down(&r->f);
    port_setup_plan_done(&r->plan);
    definition_free(r->def);
    buf_done(&r->text);
    free(r);
    return 0;
}

#define RIG(name) cmocka_unit_test_setup_teardown(name, rig_up, rig_down)

/* Steps of a kind for the next run, in place of those before. */
static void give(struct rig *r, const char *kind, const char *batch)
{
    script_for(&r->f, kind)->n = 0;
    if (batch)
        add_step(&r->f, kind, STEP_BATCH, batch);
}

static void also(struct rig *r, const char *kind, const char *batch) { add_step(&r->f, kind, STEP_BATCH, batch); }

static void start(struct rig *r, const char *accept)
{
    struct fixture *f = &r->f;
    port_setup_plan_done(&r->plan);
    r->plan.doc = fake_parse(str_of(f->fake.config));
    r->plan.config = json_root(r->plan.doc);
    r->opts.accept = accept;
    f->preview = &r->opts;
    forget_requests(f);
    buf_reset(&r->text);
    port_read_only(f->port, true);
}

static void end(struct rig *r)
{
    const char *hash = strstr(buf_cstr(&r->text), r->opts.json ? "\"hash\":\"" : "hash: ");
    if (hash)
        snprintf(r->hash, sizeof(r->hash), "%s", hash + (r->opts.json ? 8 : 6));
    port_read_only(r->f.port, false);
    r->f.preview = NULL;
}

/* Only GETs, searches, listings and tokens. */
static void assert_only_asked(const struct rig *r)
{
    for (size_t i = 0; i < r->f.fake.n; i++) {
        const struct request *q = &r->f.fake.requests[i];
        bool asks = !strcmp(q->method, "GET") || request_is(q, "POST", LOOKUP) || request_is(q, "POST", LISTING) ||
                    request_is(q, "POST", "/auth/access_token");
        if (!asks)
            fail_msg("a plan sent %s %s", q->method, q->path);
    }
}

static const char *plan(struct rig *r)
{
    start(r, NULL);
    run_resync(&r->f);
    end(r);
    assert_only_asked(r);
    assert_true(r->f.planned || r->f.exit_code == 1);
    assert_int_equal(r->f.complete_hooks, 0);
    return buf_cstr(&r->text);
}

static void accept(struct rig *r, const char *hash)
{
    char copy[PREVIEW_HASH + 1];
    snprintf(copy, sizeof(copy), "%s", hash);
    start(r, copy);
    run_resync(&r->f);
    end(r);
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("no \"%s\" in:\n%s", part, text);
}

static void assert_lacks(const char *text, const char *part)
{
    if (strstr(text, part))
        fail_msg("\"%s\" is in:\n%s", part, text);
}

/* What it says ----------------------------------------------------------------------------------------------------- */

static void creates_updates_deletes(void **state)
{
    struct rig *r = *state;
    owned_like_items(&r->f, "issue", "i", 0, 4);
    give(r, "issue", "[{\"id\":\"i0\",\"name\":\"n0\",\"u\":\"u\"},{\"id\":\"i1\",\"name\":\"new\",\"u\":\"u\"},"
                     "{\"id\":\"i9\",\"name\":\"n9\"}]");
    const char *text = plan(r);
    assert_has(text, "~ issue/i1\n      title: \"n1\" -> \"new\"\n- issue/i2  no longer produced by issue-0\n"
                     "- issue/i3  no longer produced by issue-0\n+ issue/i9\n      title: \"n9\"\n"
                     "plan: 1 to create, 1 to update, 2 to delete, 1 unchanged\nhash: ");
    assert_int_equal(r->f.exit_code, 0);
    assert_int_equal(requests_to(&r->f, "PATCH", STATE), 0);
}

static void the_hash_does_not_depend_on_the_order(void **state)
{
    struct rig *r = *state;
    char first[PREVIEW_HASH + 1];
    owned_like_items(&r->f, "issue", "i", 0, 30);
    give(r, "issue", items("i", 5, 20));
    also(r, "issue", items("k", 0, 20));
    plan(r);
    strcpy(first, r->hash);
    give(r, "issue", items("k", 10, 10));
    also(r, "issue", items("i", 15, 10));
    also(r, "issue", items("k", 0, 10));
    also(r, "issue", items("i", 5, 10));
    plan(r);
    assert_string_equal(r->hash, first);
    r->opts.json = true;
    plan(r);
    assert_string_equal(r->hash, first);
    also(r, "issue", items("z", 0, 1));
    plan(r);
    assert_string_not_equal(r->hash, first);
}

static void of_several_states_the_last_counts(void **state)
{
    struct rig *r = *state;
    owned_like_items(&r->f, "issue", "i", 0, 2);
    give(r, "issue", "[{\"id\":\"i0\",\"name\":\"x\",\"u\":\"u\"},{\"id\":\"i1\",\"name\":\"x\",\"u\":\"u\"}]");
    also(r, "issue", "[{\"id\":\"i0\",\"name\":\"n0\",\"u\":\"u\"},{\"id\":\"i1\",\"name\":\"y\",\"u\":\"u\"}]");
    const char *text = plan(r);
    assert_lacks(text, "issue/i0");
    assert_has(text, "~ issue/i1\n      title: \"n1\" -> \"y\"\nplan: 1 to update");
}

#define TIER "{\"identifier\":\".id\",\"blueprint\":\"\\\"issue\\\"\",\"properties\":{\"tier\":\".tier\"}}"

static void two_resources_make_one_change(void **state)
{
    struct rig *r = *state;
    r->f.fake.config = MAPPING(ISSUE "," RESOURCE("tier", "true", TIER));
    blueprints(&r->f, "{\"issue\":{\"identifier\":\"issue\",\"schema\":{\"properties\":{\"url\":{},\"tier\":{}}},"
                      "\"relations\":{}}}");
    owned(&r->f, "[{\"identifier\":\"i0\",\"blueprint\":\"issue\",\"title\":\"n0\",\"properties\":{\"url\":\"u\",\"tier\":1}}]");
    give(r, "issue", "[{\"id\":\"i0\",\"name\":\"n0\",\"u\":\"other\"}]");
    give(r, "tier", "[{\"id\":\"i0\",\"tier\":2}]");
    assert_has(plan(r), "~ issue/i0\n      properties.tier: 1 -> 2\n      properties.url: \"u\" -> \"other\"\nplan: 1 to update");
}

static void undefined_properties_are_no_change(void **state)
{
    struct rig *r = *state;
    blueprints(&r->f, "{\"issue\":{\"identifier\":\"issue\",\"schema\":{\"properties\":{\"other\":{}}}}}");
    owned(&r->f, "[{\"identifier\":\"i0\",\"blueprint\":\"issue\",\"title\":\"n0\",\"properties\":{}}]");
    give(r, "issue", items("i", 0, 1));
    assert_has(plan(r), "plan: nothing to change, 1 unchanged");
}

static void a_mapping_without_resources(void **state)
{
    struct rig *r = *state;
    r->f.fake.config = "{\"resources\":[]}";
    owned_like_items(&r->f, "issue", "i", 0, 3);
    assert_has(plan(r), "plan: nothing to change");
    accept(r, r->hash);
    assert_int_equal(r->f.exit_code, 0);
    assert_int_equal(requests_to(&r->f, "POST", LISTING), 0);
    assert_int_equal(requests_to(&r->f, "POST", DELETE), 0);
}

/* Incomplete ones -------------------------------------------------------------------------------------------------- */

static void a_failed_comparison_is_no_plan(void **state)
{
    struct rig *r = *state;
    owned_like_items(&r->f, "issue", "i", 0, 3);
    give(r, "issue", items("i", 0, 2));
    r->f.fake.lookup_status = 500;
    const char *text = plan(r);
    assert_has(text, "incomplete: a resource had errors; this plan cannot be accepted");
    assert_has(text, "what it would change is not known");
    assert_lacks(text, "run again with");
    assert_int_equal(r->f.exit_code, 4);
    accept(r, r->hash);
    assert_only_asked(r);
    assert_int_equal(r->f.exit_code, 4);
    assert_true(r->f.planned);
}

static void a_tainted_run_is_not_carried_out(void **state)
{
    struct rig *r = *state;
    owned_like_items(&r->f, "issue", "i", 0, 3);
    give(r, "issue", items("n", 0, 2));
    add_step(&r->f, "issue", STEP_TAINT, "GET /x answered 500");
    const char *text = plan(r);
    assert_has(text, "+ issue/n0");
    assert_lacks(text, "- issue/");
    assert_has(text, "GET /x answered 500");
    assert_int_equal(r->f.exit_code, 4);
    accept(r, r->hash);
    assert_only_asked(r);
    assert_int_equal(r->f.exit_code, 4);
}

static void with_a_narrow_scope_the_rest_is_shown(void **state)
{
    struct rig *r = *state;
    r->f.settings.deletion_by_blueprint = true;
    r->f.fake.config = MAPPING(RESOURCE("A", "true", ISSUE_MAPPINGS("a")) "," RESOURCE("B", "true", ISSUE_MAPPINGS("b")));
    owned_like_items(&r->f, "a", "a", 0, 2);
    owned_like_items(&r->f, "b", "b", 0, 2);
    give(r, "A", NULL);
    add_step(&r->f, "A", STEP_TAINT, "GET /x answered 500");
    give(r, "B", items("b", 0, 1));
    const char *text = plan(r);
    assert_has(text, "- b/b1  no longer produced by B-1");
    assert_lacks(text, "a/a");
    accept(r, r->hash);
    assert_only_asked(r);
}

static void a_failed_listing_fails_the_plan(void **state)
{
    struct rig *r = *state;
    give(r, "issue", items("i", 0, 2));
    r->f.fake.list_status = 500;
    assert_string_equal(plan(r), "");
    assert_int_equal(r->f.exit_code, 1);
}

/* Held back -------------------------------------------------------------------------------------------------------- */

static void what_is_held_back_is_released(void **state)
{
    struct rig *r = *state;
    give(r, "issue", items("i", 0, 30));
    run_resync(&r->f); /* on record: 30 */
    r->f.complete_hooks = 0;
    owned_like_items(&r->f, "issue", "i", 0, 30);
    give(r, "issue", items("i", 0, 20));
    const char *text = plan(r);
    assert_has(text, "! issue/i20  held back (shrunken), no longer produced by issue-0\n");
    assert_has(text, "plan: 10 held back, 20 unchanged\nheld back: kind 'issue' shrank from 30 to 20 entities");
    assert_has(text, "--max-shrink PERCENT");
    assert_int_equal(r->f.exit_code, 5);
    plan(r); /* a plan leaves no trace in the record */
    assert_int_equal(r->f.exit_code, 5);
    accept(r, r->hash);
    assert_int_equal(r->f.exit_code, 0);
    assert_int_equal(r->f.deleted, 10);
    assert_int_equal(r->f.held_back, 0);
    assert_int_equal(r->f.complete_hooks, 1);
    /* And from now on 20 is what is on record. */
    owned(&r->f, "[]");
    owned_like_items(&r->f, "issue", "i", 0, 20);
    give(r, "issue", items("i", 0, 15));
    run_resync(&r->f);
    assert_int_equal(r->f.exit_code, 0);
}

static void unknown_relations_are_never_released(void **state)
{
    struct rig *r = *state;
    r->f.fake.config = MAPPING(RESOURCE(
        "issue", "true", "{\"identifier\":\".id\",\"blueprint\":\".kind\",\"relations\":{\"owner\":\".name\"}}"));
    owned(&r->f, "[{\"identifier\":\"bob\",\"blueprint\":\"user\"},{\"identifier\":\"i0\",\"blueprint\":\"issue\"}]");
    r->f.fake.blueprint_status = 500;
    give(r, "issue", "[{\"id\":\"i0\",\"name\":\"ann\",\"kind\":\"issue\"}]");
    assert_has(plan(r), "! user/bob  held back (relations), not released by accepting");
    assert_int_equal(r->f.exit_code, 5);
    accept(r, r->hash);
    assert_int_equal(requests_to(&r->f, "POST", DELETE), 0);
}

/* Carrying it out -------------------------------------------------------------------------------------------------- */

static void exactly_the_plan_is_carried_out(void **state)
{
    struct rig *r = *state;
    owned_like_items(&r->f, "issue", "i", 0, 14);
    give(r, "issue", items("i", 0, 12));
    also(r, "issue", "[{\"id\":\"i3\",\"name\":\"new\",\"u\":\"u\"},{\"id\":\"n1\",\"name\":\"n1\",\"u\":\"u\"}]");
    plan(r);
    size_t runs = r->f.nruns;
    accept(r, r->hash);
    assert_int_equal(r->f.exit_code, 0);
    assert_false(r->f.planned);
    assert_string_equal(buf_cstr(&r->text), ""); /* the summary is the caller's */
    assert_int_equal(r->f.nruns, runs); /* the third party was asked once */
    assert_string_equal(identifiers_of(&r->f, BULK), "i3 n1");
    assert_string_equal(identifiers_of(&r->f, DELETE), "i12 i13");
    assert_int_equal(r->f.resources[0].created, 1);
    assert_int_equal(r->f.resources[0].updated, 1);
    assert_int_equal(r->f.resources[0].unchanged, 12);
    assert_int_equal(requests_to(&r->f, "PATCH", STATE), 2);
    assert_int_equal(r->f.complete_hooks, 1);
    assert_int_equal(r->f.start_hooks, 2); /* one in the plan, one here */
}

static void another_plan_is_refused(void **state)
{
    struct rig *r = *state;
    owned_like_items(&r->f, "issue", "i", 0, 3);
    give(r, "issue", items("i", 0, 2));
    plan(r);
    char old[PREVIEW_HASH + 1];
    strcpy(old, r->hash);
    give(r, "issue", items("i", 0, 1));
    accept(r, old);
    assert_only_asked(r);
    assert_int_equal(r->f.exit_code, 5);
    assert_true(r->f.planned && r->f.plan_refused);
    assert_string_not_equal(r->hash, old);
    assert_has(buf_cstr(&r->text), "- issue/i1");
    accept(r, r->hash);
    assert_int_equal(r->f.exit_code, 0);
    assert_string_equal(identifiers_of(&r->f, DELETE), "i1 i2");
}

static void forget_i2(struct fixture *f)
{
    if (requests_to(f, "POST", LISTING) == 2) /* a live event wrote it meanwhile, so `before` hides it */
        owned(f, "[{\"identifier\":\"i1\",\"blueprint\":\"issue\"}]");
}

static void what_somebody_wrote_meanwhile_stays(void **state)
{
    struct rig *r = *state;
    owned(&r->f, "[{\"identifier\":\"i0\",\"blueprint\":\"issue\",\"title\":\"n0\",\"properties\":{\"url\":\"u\"}},"
                 "{\"identifier\":\"i1\",\"blueprint\":\"issue\"},{\"identifier\":\"i2\",\"blueprint\":\"issue\"}]");
    give(r, "issue", items("i", 0, 1));
    assert_has(plan(r), "- issue/i2");
    r->f.fake.on_list = forget_i2;
    accept(r, r->hash);
    assert_string_equal(identifiers_of(&r->f, DELETE), "i1");
}

static void add_i5(struct fixture *f)
{
    if (requests_to(f, "POST", LISTING) == 2)
        owned_like_items(f, "issue", "i", 5, 1);
}

static void nothing_outside_the_plan_is_deleted(void **state)
{
    struct rig *r = *state;
    owned_like_items(&r->f, "issue", "i", 0, 3);
    give(r, "issue", items("i", 0, 2));
    plan(r);
    r->f.fake.on_list = add_i5;
    accept(r, r->hash);
    assert_string_equal(identifiers_of(&r->f, DELETE), "i2");
}

static int refuse_first(struct fixture *f, size_t nth, struct json entities, struct buf *out)
{
    (void)f;
    (void)entities;
    if (nth > 0)
        return 0;
    buf_adds(out, "{\"ok\":false,\"entities\":[],\"errors\":[{\"index\":0,\"identifier\":\"i0\",\"statusCode\":422,"
                  "\"error\":\"x\",\"message\":\"no\"}]}");
    return 207;
}

static void refused_entities_are_retried_and_counted(void **state)
{
    struct rig *r = *state;
    r->f.fake.config = "{\"createMissingRelatedEntities\":false,\"resources\":[" ISSUE "]}";
    r->f.fake.on_bulk = refuse_first;
    give(r, "issue", items("i", 0, 1));
    plan(r);
    accept(r, r->hash);
    assert_int_equal(requests_to(&r->f, "POST", "/v1/blueprints/issue/entities"), 1);
    assert_int_equal(r->f.resources[0].updated, 1);
    assert_int_equal(r->f.exit_code, 0);
}

static void abort_now(struct fixture *f, size_t step)
{
    (void)step;
    resync_abort(f->resync);
}

static void abort_on_list(struct fixture *f) { resync_abort(f->resync); }

static int abort_on_bulk(struct fixture *f, size_t nth, struct json entities, struct buf *out)
{
    (void)nth;
    (void)entities;
    (void)out;
    resync_abort(f->resync);
    return 0;
}

static void aborted_plans_write_nothing(void **state)
{
    struct rig *r = *state;
    owned_like_items(&r->f, "issue", "i", 0, 3);
    give(r, "issue", items("i", 0, 2));
    r->f.on_step = abort_now;
    start(r, NULL);
    run_resync(&r->f);
    end(r);
    assert_true(r->f.aborted);
    assert_only_asked(r);
    assert_string_equal(buf_cstr(&r->text), "");
    r->f.on_step = NULL;
    r->f.fake.on_list = abort_on_list;
    start(r, NULL);
    run_resync(&r->f);
    end(r);
    assert_true(r->f.aborted);
    assert_only_asked(r);
    assert_string_equal(buf_cstr(&r->text), "");
}

static void aborted_while_it_is_carried_out(void **state)
{
    struct rig *r = *state;
    owned_like_items(&r->f, "issue", "i", 0, 3);
    give(r, "issue", items("n", 0, 300));
    also(r, "issue", items("i", 0, 2));
    plan(r);
    r->f.fake.on_bulk = abort_on_bulk;
    accept(r, r->hash);
    assert_true(r->f.aborted);
    assert_int_equal(r->f.exit_code, 1);
    assert_int_equal(requests_to(&r->f, "POST", DELETE), 0);
    assert_has(nth_request(&r->f, "PATCH", STATE, 1)->body, "\"aborted\"");
}

static void only_some_kinds(void **state)
{
    struct rig *r = *state;
    owned_like_items(&r->f, "issue", "i", 0, 3);
    give(r, "issue", items("i", 2, 2));
    r->f.kinds[0] = "issue";
    r->f.nkinds = 1;
    const char *text = plan(r);
    assert_lacks(text, "- issue/");
    assert_has(text, "+ issue/i3");
    accept(r, r->hash);
    assert_string_equal(identifiers_of(&r->f, BULK), "i3");
    assert_int_equal(requests_to(&r->f, "POST", LISTING), 0);
    r->f.kinds[0] = "isue";
    start(r, NULL);
    run_resync(&r->f);
    end(r);
    assert_int_equal(r->f.exit_code, 2);
}

/* An entity of one resource may need those of the one before, so they do not mix. */
static void resources_follow_each_other(void **state)
{
    struct rig *r = *state;
    r->f.fake.config = MAPPING(RESOURCE("A", "true", ISSUE_MAPPINGS("a")) "," RESOURCE("B", "true", ISSUE_MAPPINGS("b")));
    give(r, "A", items("a", 0, 45));
    give(r, "B", items("b", 0, 45));
    plan(r);
    accept(r, r->hash);
    assert_string_equal(sizes_of(&r->f, BULK, "entities"), "20 20 5 20 20 5");
    for (size_t i = 0; i < 6; i++)
        assert_has(nth_request(&r->f, "POST", BULK, i)->path, i < 3 ? "/a/" : "/b/");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG(creates_updates_deletes),
        RIG(the_hash_does_not_depend_on_the_order),
        RIG(of_several_states_the_last_counts),
        RIG(two_resources_make_one_change),
        RIG(undefined_properties_are_no_change),
        RIG(a_mapping_without_resources),
        RIG(a_failed_comparison_is_no_plan),
        RIG(a_tainted_run_is_not_carried_out),
        RIG(with_a_narrow_scope_the_rest_is_shown),
        RIG(a_failed_listing_fails_the_plan),
        RIG(what_is_held_back_is_released),
        RIG(unknown_relations_are_never_released),
        RIG(exactly_the_plan_is_carried_out),
        RIG(another_plan_is_refused),
        RIG(what_somebody_wrote_meanwhile_stays),
        RIG(nothing_outside_the_plan_is_deleted),
        RIG(refused_entities_are_retried_and_counted),
        RIG(aborted_plans_write_nothing),
        RIG(aborted_while_it_is_carried_out),
        RIG(only_some_kinds),
        RIG(resources_follow_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
