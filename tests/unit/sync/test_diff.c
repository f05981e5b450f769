/* What is compared with Port and when it counts as the same: the pure parts of the diff. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/strmap.h"
#include "mapping/entity.h"
#include "sync/diff.h"

static struct mapped_entity entity(const char *blueprint, const char *identifier, const char *text)
{
    struct mapped_entity e = {.text = str_of(text), .blueprint = str_of(blueprint), .identifier = str_of(identifier)};
    e.key = key128_entity(e.blueprint, e.identifier);
    struct json_doc *d = NULL;
    struct err err;
    if (text) {
        assert_int_equal(json_parse(e.text, &d, &err), 0);
        e.print = entity_fingerprint(json_root(d));
        json_unref(d);
    }
    return e;
}

static void small_or_searching_batches_are_not_compared(void **state)
{
    (void)state;
    struct mapped_entity e[3] = {entity("b", "1", NULL), entity("b", "2", NULL), entity("b", "3", NULL)};
    assert_false(diff_wanted(e, 3, 10));
    assert_true(diff_wanted(e, 3, 11)); /* passed so far in this run, not in this batch alone */
    assert_false(diff_wanted(e, 0, 100));
    e[1].flags = ENTITY_SEARCH_OTHER;
    assert_false(diff_wanted(e, 3, 100));
    e[1].flags = ENTITY_SEARCH_IDENTIFIER;
    assert_false(diff_wanted(e, 3, 100));
}

/* sync S-98: the last one wins and takes the place of the first. */
static void the_last_duplicate_takes_the_first_place(void **state)
{
    (void)state;
    struct mapped_entity e[5] = {entity("b", "x", NULL), entity("b", "y", NULL), entity("c", "x", NULL),
                                 entity("b", "x", NULL), entity("b", "z", NULL)};
    struct diff_item items[5];
    assert_int_equal(diff_items(e, 5, true, items), 4);
    assert_ptr_equal(items[0].e, &e[3]);
    assert_ptr_equal(items[1].e, &e[1]);
    assert_ptr_equal(items[2].e, &e[2]); /* another blueprint is another entity */
    assert_ptr_equal(items[3].e, &e[4]);
    assert_int_equal(diff_items(e, 5, false, items), 5);
}

static void groups_are_of_one_blueprint_and_at_most_fifty(void **state)
{
    (void)state;
    enum { N = 130 };
    struct mapped_entity *e = xcalloc(N, sizeof(*e));
    struct diff_item *items = xcalloc(N, sizeof(*items));
    size_t *order = xcalloc(N, sizeof(*order)), *ends = xcalloc(N, sizeof(*ends));
    char ids[N][12];
    for (int i = 0; i < N; i++) {
        snprintf(ids[i], sizeof(ids[i]), "%d", i);
        e[i] = entity(i % 13 ? "a" : "b", ids[i], NULL); /* 120 of a, 10 of b */
    }
    size_t n = diff_items(e, N, true, items);
    assert_int_equal(n, N);
    assert_int_equal(diff_groups(items, n, order, ends), 4);
    size_t sizes[4] = {10, 50, 50, 20}, begin = 0; /* b comes first: item 0 is of it */
    for (size_t g = 0; g < 4; g++) {
        assert_int_equal(ends[g] - begin, sizes[g]);
        for (size_t i = begin; i < ends[g]; i++)
            assert_true(str_eq(items[order[i]].e->blueprint, items[order[begin]].e->blueprint));
        begin = ends[g];
    }
    free(e);
    free(items);
    free(order);
    free(ends);
}

/* Is ours, compared with what Port answers, left out of the upsert? */
static bool same(const char *ours, const char *theirs, struct schema *schema)
{
    struct mapped_entity e = entity("b", "x", ours);
    struct diff_item item;
    size_t order = 0;
    struct json_doc *d = NULL;
    struct err err;
    diff_items(&e, 1, true, &item);
    assert_int_equal(json_parse(str_of(theirs), &d, &err), 0);
    diff_answer(&item, &order, 1, json_root(d), schema);
    json_unref(d);
    return !item.send;
}

#define OURS(rest) "{\"identifier\":\"x\",\"blueprint\":\"b\"" rest "}"
#define THEIRS(rest) "[{\"identifier\":\"x\",\"blueprint\":\"b\"" rest "}]"

static void equality_follows_the_table(void **state)
{
    (void)state;
    assert_false(same(OURS(""), "[]", NULL)); /* not found */
    assert_true(same(OURS(",\"title\":\"t\""), THEIRS(",\"title\":\"t\",\"properties\":{},\"relations\":{}"), NULL));
    assert_false(same(OURS(",\"title\":\"t\""), THEIRS(",\"title\":\"u\""), NULL));
    assert_true(same(OURS(",\"title\":null"), THEIRS(""), NULL));
    assert_true(same(OURS(",\"properties\":{\"a\":null}"), THEIRS(",\"properties\":{}"), NULL));
    assert_true(same(OURS(",\"properties\":{\"a\":1}"), THEIRS(",\"properties\":{\"a\":1.0}"), NULL));
    assert_true(same(OURS(",\"properties\":{\"a\":1}"), THEIRS(",\"properties\":{\"a\":1,\"b\":null}"), NULL));
    assert_false(same(OURS(",\"properties\":{\"a\":null}"), THEIRS(",\"properties\":{\"a\":\"x\"}"), NULL));
    assert_false(same(OURS(",\"properties\":{\"a\":[1,2]}"), THEIRS(",\"properties\":{\"a\":[2,1]}"), NULL));
    assert_true(same(OURS(",\"team\":[\"p\",\"q\"]"), THEIRS(",\"team\":[\"q\",\"p\"]"), NULL));
    assert_true(same(OURS(",\"team\":\"p\""), THEIRS(",\"team\":[\"p\"]"), NULL));
    assert_false(same(OURS(",\"relations\":{\"r\":\"a\"}"), THEIRS(",\"relations\":{\"r\":\"b\"}"), NULL));
}

/* sync S-100 */
static void an_undefined_property_does_not_count(void **state)
{
    (void)state;
    struct json_doc *d = NULL;
    struct err err;
    assert_int_equal(json_parse(STR("{\"schema\":{\"properties\":{\"a\":{}}}}"), &d, &err), 0);
    struct schema schema = {.name = (char *)"b", .blueprint = json_root(d), .ready = true};
    assert_true(same(OURS(",\"properties\":{\"a\":1,\"gone\":2}"), THEIRS(",\"properties\":{\"a\":1}"), &schema));
    assert_false(same(OURS(",\"properties\":{\"a\":1,\"gone\":2}"), THEIRS(",\"properties\":{\"a\":3}"), &schema));
    assert_false(same(OURS(",\"properties\":{\"a\":1}"), THEIRS(",\"properties\":{}"), &schema));
    assert_true(strmap_has(schema.warned, STR("gone")));
    strmap_free(schema.warned);
    json_unref(d);
}

static void a_blueprint_says_what_it_requires(void **state)
{
    (void)state;
    struct json_doc *d = NULL;
    struct err err;
    struct str text = STR("{\"schema\":{\"properties\":{\"a\":{},\"b\":{}},\"required\":[\"a\"]},\"relations\":"
                          "{\"owner\":{\"target\":\"user\",\"required\":true},\"team\":{\"target\":\"team\"}}}");
    assert_int_equal(json_parse(text, &d, &err), 0);
    struct schema s = {.name = (char *)"x", .blueprint = json_root(d), .ready = true};
    assert_true(schema_requires(&s, STR("properties.a")));
    assert_false(schema_requires(&s, STR("properties.b")));
    assert_true(schema_requires(&s, STR("relations.owner")));
    assert_true(schema_requires(&s, STR("relations.owner.rules.value")));
    assert_false(schema_requires(&s, STR("relations.team")));
    assert_false(schema_requires(&s, STR("title")));
    assert_false(schema_requires(NULL, STR("properties.a")));
    assert_true(str_is(schema_target(&s, STR("team")), "team"));
    assert_null(schema_target(&s, STR("other")).p);
    assert_true(schema_defines(&s, STR("b")) && schema_defines(NULL, STR("z")));
    assert_false(schema_defines(&s, STR("z")));
    struct schema gone = {.err = {.code = ERR_HTTP, .http_status = 404}, .ready = true};
    struct schema broken = {.err = {.code = ERR_HTTP, .http_status = 500}, .ready = true};
    assert_true(schema_missing(&gone) && !schema_missing(&broken) && !schema_missing(&s));
    json_unref(d);
}

static void an_entity_under_way_is_always_sent(void **state)
{
    (void)state;
    struct mapped_entity e = entity("b", "x", OURS(""));
    struct diff_item item = {.e = &e, .send = true, .dirty = true};
    size_t order = 0;
    struct json_doc *d = NULL;
    struct err err;
    assert_int_equal(json_parse(STR(THEIRS("")), &d, &err), 0);
    diff_answer(&item, &order, 1, json_root(d), NULL);
    assert_true(item.send);
    json_unref(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_or_searching_batches_are_not_compared),
        cmocka_unit_test(the_last_duplicate_takes_the_first_place),
        cmocka_unit_test(groups_are_of_one_blueprint_and_at_most_fifty),
        cmocka_unit_test(equality_follows_the_table),
        cmocka_unit_test(an_undefined_property_does_not_count),
        cmocka_unit_test(a_blueprint_says_what_it_requires),
        cmocka_unit_test(an_entity_under_way_is_always_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
