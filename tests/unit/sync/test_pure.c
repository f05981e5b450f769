/* The decisions of the sync engine that need no network: packing, order, counting keys, held back, threshold, the
 * ledger, the summary. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "sync/event.h"
#include "sync/holdback.h"
#include "sync/keycount.h"
#include "sync/ledger.h"
#include "sync/loader.h"
#include "sync/order.h"
#include "sync/report.h"

#define MIB ((size_t)1 << 20)

/* Packing ---------------------------------------------------------------------------------------------------------- */

static void pack_counts_the_envelope(void **state)
{
    (void)state;
    struct pack p = pack_empty();
    assert_int_equal(p.bytes, strlen("{\"entities\":[]}"));
    pack_add(&p, 5);
    pack_add(&p, 7);
    assert_int_equal(p.bytes, strlen("{\"entities\":[]}") + 5 + 1 + 7);
    assert_int_equal(p.n, 2);
}

static void pack_stops_at_the_byte_limit_exactly(void **state)
{
    (void)state;
    struct pack p = pack_empty();
    size_t half = (MIB - p.bytes - 1) / 2; /* two and a comma fill the request to the byte, give or take one */
    pack_add(&p, half);
    assert_true(pack_fits(&p, MIB - p.bytes - 1, 20, MIB));
    assert_false(pack_fits(&p, MIB - p.bytes, 20, MIB));
}

static void pack_stops_at_twenty(void **state)
{
    (void)state;
    struct pack p = pack_empty();
    for (int i = 0; i < 20; i++) {
        assert_true(pack_fits(&p, 10, 20, MIB));
        pack_add(&p, 10);
    }
    assert_false(pack_fits(&p, 10, 20, MIB));
}

static void pack_takes_an_oversized_entity_alone(void **state)
{
    (void)state;
    struct pack p = pack_empty();
    assert_true(pack_fits(&p, 2 * MIB, 20, MIB));
    pack_add(&p, 2 * MIB);
    assert_false(pack_fits(&p, 1, 20, MIB));
}

/* sync T-5: ten of about 100 KB fit, the others follow. */
static void pack_fills_by_real_size(void **state)
{
    (void)state;
    struct pack p = pack_empty();
    int n = 0;
    while (pack_fits(&p, 100000, 20, MIB)) {
        pack_add(&p, 100000);
        n++;
    }
    assert_int_equal(n, 10);
}

/* keycount --------------------------------------------------------------------------------------------------------- */

static struct key128 key(uint64_t i) { return (struct key128){i * 0x9e3779b97f4a7c15u, i}; }

static void keycount_counts_and_forgets(void **state)
{
    (void)state;
    struct keycount *c = keycount_new();
    assert_int_equal(keycount_add(c, key(1)), 0);
    assert_int_equal(keycount_add(c, key(1)), 1);
    keycount_drop(c, key(1));
    assert_int_equal(keycount_get(c, key(1)), 1);
    keycount_drop(c, key(1));
    assert_int_equal(keycount_get(c, key(1)), 0);
    keycount_drop(c, key(1));
    assert_int_equal(keycount_size(c), 0);
    keycount_free(c);
}

/* Colliding keys and random order: what was added and not dropped is found, nothing else. */
static void keycount_survives_collisions(void **state)
{
    (void)state;
    struct keycount *c = keycount_new();
    unsigned held[97] = {0};
    unsigned x = 12345;
    for (int i = 0; i < 20000; i++) {
        x = x * 1103515245u + 12345u;
        unsigned k = (x >> 16) % 97;
        struct key128 kk = {k % 7, k}; /* seven home slots for all */
        if ((x >> 8) & 1) {
            assert_int_equal(keycount_add(c, kk), held[k]);
            held[k]++;
        } else {
            keycount_drop(c, kk);
            held[k] -= held[k] > 0;
        }
    }
    size_t distinct = 0;
    for (unsigned k = 0; k < 97; k++) {
        assert_int_equal(keycount_get(c, (struct key128){k % 7, k}), held[k]);
        distinct += held[k] > 0;
    }
    assert_int_equal(keycount_size(c), distinct);
    keycount_free(c);
}

static void keycount_grows(void **state)
{
    (void)state;
    struct keycount *c = keycount_new();
    for (uint64_t i = 0; i < 5000; i++)
        keycount_add(c, key(i));
    for (uint64_t i = 0; i < 5000; i++)
        assert_int_equal(keycount_get(c, key(i)), 1);
    assert_int_equal(keycount_size(c), 5000);
    keycount_free(c);
}

/* Order ------------------------------------------------------------------------------------------------------------ */

static void relate(struct order *o, const char *relations)
{
    struct json_doc *doc;
    struct err e;
    assert_int_equal(json_parse(str_of(relations), &doc, &e), 0);
    order_relations(o, json_root(doc));
    json_unref(doc);
}

static void node(struct order *o, const char *id, int64_t row, const char *relations)
{
    order_add(o, key128_entity(STR("b"), str_of(id)), str_of(id), row);
    if (relations)
        relate(o, relations);
}

static void expect_rows(struct order *o, bool targets_first, bool acyclic, const char *expected)
{
    int64_t rows[16];
    char text[64] = "";
    assert_int_equal(order_sort(o, targets_first, rows), acyclic);
    for (size_t i = 0; i < order_count(o); i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%d", i ? " " : "", (int)rows[i]);
    assert_string_equal(text, expected);
    order_free(o);
}

/* sync T-29: C relates to B, B to A. */
static void order_puts_targets_first(void **state)
{
    (void)state;
    struct order *o = order_new();
    node(o, "C", 1, "{\"r\":\"B\"}");
    node(o, "A", 2, NULL);
    node(o, "B", 3, "{\"r\":[\"A\",null]}");
    expect_rows(o, true, true, "2 3 1");
}

/* sync T-36: without cascading the one that points goes first. */
static void order_puts_dependents_first(void **state)
{
    (void)state;
    struct order *o = order_new();
    node(o, "P", 1, NULL);
    node(o, "Q", 2, "{\"r\":\"P\"}");
    expect_rows(o, false, true, "2 1");
}

static void order_keeps_unrelated_in_place(void **state)
{
    (void)state;
    struct order *o = order_new();
    node(o, "x", 1, "{\"r\":\"elsewhere\"}");
    node(o, "y", 2, "{\"r\":\"y\"}"); /* an edge to itself is ignored */
    node(o, "z", 3, "{\"r\":null}");
    expect_rows(o, true, true, "1 2 3");
}

static void order_reads_search_queries(void **state)
{
    (void)state;
    struct order *o = order_new();
    const char *q = "{\"r\":{\"combinator\":\"and\",\"rules\":[{\"combinator\":\"or\",\"rules\":[{\"property\":"
                    "\"$identifier\",\"operator\":\"=\",\"value\":7}]}]}}";
    node(o, "a", 1, q);
    node(o, "7", 2, NULL); /* compared as text (S-94) */
    expect_rows(o, true, true, "2 1");
}

static void order_matches_the_same_query_as_identifier(void **state)
{
    (void)state;
    struct order *o = order_new();
    const char *id = "{\"combinator\":\"and\",\"rules\":[]}";
    node(o, "a", 1, "{\"r\":{\"rules\":[],\"combinator\":\"and\"}}");
    node(o, id, 2, NULL);
    expect_rows(o, true, true, "2 1");
}

static void order_reports_cycles_and_keeps_the_rest_sorted(void **state)
{
    (void)state;
    struct order *o = order_new();
    node(o, "a", 1, "{\"r\":\"b\"}");
    node(o, "b", 2, "{\"r\":\"a\"}");
    node(o, "c", 3, "{\"r\":\"d\"}");
    node(o, "d", 4, NULL);
    expect_rows(o, true, false, "4 3 1 2");
}

static void order_counts_the_last_registration(void **state)
{
    (void)state;
    struct order *o = order_new();
    node(o, "a", 1, "{\"r\":\"b\"}");
    node(o, "b", 2, NULL);
    node(o, "a", 3, NULL); /* no relation any more */
    expect_rows(o, true, true, "3 2");
}

/* Held back -------------------------------------------------------------------------------------------------------- */

static const struct hold_rules rules = {.max_shrink_percent = 30};

static void an_empty_kind_needs_evidence_twice(void **state)
{
    (void)state;
    struct kind_facts f = {.http_requests = 1, .answers_2xx = 1};
    assert_int_equal(holdback_judge(&f, &rules), HOLD_EMPTY);
    f.last = holdback_next(&f, HOLD_EMPTY);
    assert_int_equal(f.last.empty_runs, 1);
    assert_int_equal(holdback_judge(&f, &rules), HOLD_NONE);
    f.last = (struct kind_record){0};
    f.http_requests = f.answers_2xx = 0;
    f.explicit_empty = true;
    assert_int_equal(holdback_judge(&f, &rules), HOLD_EMPTY);
    f.last.empty_runs = 1;
    assert_int_equal(holdback_judge(&f, &rules), HOLD_NONE);
}

static void an_ignored_status_is_no_evidence(void **state)
{
    (void)state;
    struct kind_facts f = {.http_requests = 2, .answers_2xx = 1, .ignored_statuses = 1, .last = {.empty_runs = 5}};
    assert_int_equal(holdback_judge(&f, &rules), HOLD_EMPTY);
    assert_int_equal(holdback_next(&f, HOLD_EMPTY).empty_runs, 0);
    f.explicit_empty = true; /* says nothing where HTTP was used */
    assert_int_equal(holdback_judge(&f, &rules), HOLD_EMPTY);
    f.allowed_empty = true;
    assert_int_equal(holdback_judge(&f, &rules), HOLD_NONE);
}

static void a_shrunken_kind_is_held_back(void **state)
{
    (void)state;
    struct kind_facts f = {.extracted = 70, .entities = 70, .last = {.known = true, .entities = 100}};
    assert_int_equal(holdback_judge(&f, &rules), HOLD_NONE); /* exactly 30 % */
    f.entities = 69;
    assert_int_equal(holdback_judge(&f, &rules), HOLD_SHRUNKEN);
    assert_int_equal(holdback_next(&f, HOLD_SHRUNKEN).entities, 100); /* until accepted */
    assert_int_equal(holdback_next(&f, HOLD_NONE).entities, 69);
    struct hold_rules wide = {.max_shrink_percent = 50};
    assert_int_equal(holdback_judge(&f, &wide), HOLD_NONE);
    struct hold_rules replaced = {.max_shrink_percent = 30, .shrink_replaced = true};
    assert_int_equal(holdback_judge(&f, &replaced), HOLD_NONE);
}

static void a_small_kind_may_shrink(void **state)
{
    (void)state;
    struct kind_facts f = {.extracted = 1, .entities = 1, .last = {.known = true, .entities = 19}};
    assert_int_equal(holdback_judge(&f, &rules), HOLD_NONE);
    f.last.entities = 20;
    assert_int_equal(holdback_judge(&f, &rules), HOLD_SHRUNKEN);
    f.last.known = false; /* a first run has nothing to compare with */
    assert_int_equal(holdback_judge(&f, &rules), HOLD_NONE);
}

static void the_threshold_is_inclusive(void **state)
{
    (void)state;
    assert_true(threshold_allows(threshold_rate(9, 10), 0.9));
    assert_false(threshold_allows(threshold_rate(10, 10), 0.9));
    assert_false(threshold_allows(threshold_rate(1, 10), 0));
    assert_true(threshold_allows(threshold_rate(10, 10), 1));
    assert_true(threshold_rate(1, 101) < 0.01); /* sync T-33: 1/101 */
}

/* Ledger ----------------------------------------------------------------------------------------------------------- */

static void the_ledger_remembers(void **state)
{
    (void)state;
    struct ledger *l = ledger_new(2);
    struct key128 a = key128_entity(STR("svc"), STR("a")), b = key128_entity(STR("svc"), STR("b"));
    ledger_produced(l, 0, STR("svc"), a);
    ledger_produced(l, 1, STR("user"), key128_entity(STR("user"), STR("a")));
    assert_true(ledger_has(l, a));
    assert_false(ledger_has(l, b));
    ledger_updated(l, STR("svc"), a);
    ledger_updated(l, STR("svc"), a);
    ledger_updated(l, STR("svc"), b);
    assert_false(ledger_has(l, b));
    assert_true(ledger_was_updated(l, b));
    const struct ledger_blueprint *svc = ledger_blueprint(l, STR("svc"));
    assert_int_equal(svc->updated, 2);
    assert_true(svc->by[0] && !svc->by[1] && !svc->related);
    assert_null(ledger_blueprint(l, STR("other")));
    ledger_free(l);
}

static void the_ledger_keeps_targets_by_relation(void **state)
{
    (void)state;
    struct ledger *l = ledger_new(1);
    ledger_target(l, STR("svc"), STR("owner"), STR("ann"));
    ledger_target(l, STR("svc"), STR("team"), STR("core"));
    ledger_target(l, STR("svc"), STR("owner"), STR("bob"));
    assert_int_equal(ledger_relations(l), 2);
    const struct ledger_relation *owner = ledger_relation_at(l, 0);
    assert_string_equal(owner->relation, "owner");
    assert_true(ledger_is_target(l, owner, STR("ann")) && ledger_is_target(l, owner, STR("bob")));
    assert_false(ledger_is_target(l, owner, STR("core")));
    assert_false(ledger_has(l, key128_entity(STR("svc"), STR("ann"))));
    ledger_free(l);
}

/* Report ----------------------------------------------------------------------------------------------------------- */

static void errors_are_summed_up(void **state)
{
    (void)state;
    struct resync_report r = {0};
    report_resources(&r, 1);
    report_error(&r.resources[0], "a.lua:3", "boom", 1);
    report_error(&r.resources[0], "a.lua:3", "boom", 2);
    report_error(&r.resources[0], NULL, "boom", 1);
    report_error(&r.resources[0], NULL, "nothing", 0);
    assert_int_equal(r.resources[0].nerrors, 2);
    assert_int_equal(r.resources[0].errors[0].count, 3);
    for (int i = 0; i < 500; i++) {
        char text[32];
        snprintf(text, sizeof(text), "error %d", i);
        report_error(&r.resources[0], NULL, text, 1);
    }
    assert_int_equal(r.resources[0].nerrors, REPORT_ERRORS_MAX);
    assert_int_equal(report_error_count(&r.resources[0]), 504);
    report_done(&r);
}

static int exit_code(bool failed, bool error, size_t held)
{
    struct resync_report r = {.failed = failed, .held_back = held};
    report_resources(&r, 1);
    if (error)
        report_error(&r.resources[0], NULL, "x", 1);
    report_close(&r, 0);
    assert_int_equal(r.ok, r.exit_code == 0);
    int code = r.exit_code;
    report_done(&r);
    return code;
}

static void exit_codes_have_an_order(void **state)
{
    (void)state;
    assert_int_equal(exit_code(false, false, 0), 0);
    assert_int_equal(exit_code(false, false, 3), 5);
    assert_int_equal(exit_code(false, true, 3), 4);
    assert_int_equal(exit_code(true, true, 3), 1);
}

static void the_summary_has_the_agreed_names(void **state)
{
    (void)state;
    struct resync_report r = {.deleted = 1, .held_back = 2, .requests = 3, .seconds = 1.25, .exit_code = 4};
    report_resources(&r, 1);
    struct resource_report *x = &r.resources[0];
    x->kind = xstrdup("issue");
    x->index = 2;
    x->extracted = 10, x->filtered = 1, x->unmappable = 2, x->mapped = 7;
    x->created = 1, x->updated = 2, x->unchanged = 1, x->rejected = 1, x->duplicates = 1, x->unmatched = 1;
    report_error(x, "a.lua:3", "say \"no\"", 2);
    struct buf out;
    buf_init(&out, BUF_NO_LIMIT);
    resync_report_write(&r, &out);
    assert_string_equal(buf_cstr(&out),
                        "{\"ok\":false,\"resources\":[{\"kind\":\"issue\",\"index\":2,\"extracted\":10,\"filtered\":1,"
                        "\"unmappable\":2,\"mapped\":7,\"created\":1,\"updated\":2,\"unchanged\":1,\"rejected\":1,"
                        "\"duplicates\":1,\"unmatched\":1,\"errors\":[{\"message\":\"say \\\"no\\\"\",\"where\":"
                        "\"a.lua:3\",\"count\":2}]}],\"deleted\":1,\"held_back\":2,\"requests\":3,\"seconds\":1.25}");
    buf_done(&out);
    report_done(&r);
}

/* Events ----------------------------------------------------------------------------------------------------------- */

static void events_have_ids_and_names(void **state)
{
    (void)state;
    struct event *e = event_new(EVENT_RESYNC, TRIGGER_MACHINE, NULL);
    struct event *child = event_new(EVENT_ACTION_RUN, TRIGGER_MANUAL, e);
    assert_int_equal(strlen(e->id), 36);
    assert_int_equal(e->id[14], '4');
    assert_non_null(strchr("89ab", e->id[19]));
    assert_string_not_equal(e->id, child->id);
    assert_string_equal(event_type_name(child->type), "action_run");
    assert_string_equal(event_trigger_name(e->trigger), "machine");
    event_unref(e);
    assert_ptr_equal(child->parent, e); /* the child keeps it */
    event_unref(child);
    event_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pack_counts_the_envelope),
        cmocka_unit_test(pack_stops_at_the_byte_limit_exactly),
        cmocka_unit_test(pack_stops_at_twenty),
        cmocka_unit_test(pack_takes_an_oversized_entity_alone),
        cmocka_unit_test(pack_fills_by_real_size),
        cmocka_unit_test(keycount_counts_and_forgets),
        cmocka_unit_test(keycount_survives_collisions),
        cmocka_unit_test(keycount_grows),
        cmocka_unit_test(order_puts_targets_first),
        cmocka_unit_test(order_puts_dependents_first),
        cmocka_unit_test(order_keeps_unrelated_in_place),
        cmocka_unit_test(order_reads_search_queries),
        cmocka_unit_test(order_matches_the_same_query_as_identifier),
        cmocka_unit_test(order_reports_cycles_and_keeps_the_rest_sorted),
        cmocka_unit_test(order_counts_the_last_registration),
        cmocka_unit_test(an_empty_kind_needs_evidence_twice),
        cmocka_unit_test(an_ignored_status_is_no_evidence),
        cmocka_unit_test(a_shrunken_kind_is_held_back),
        cmocka_unit_test(a_small_kind_may_shrink),
        cmocka_unit_test(the_threshold_is_inclusive),
        cmocka_unit_test(the_ledger_remembers),
        cmocka_unit_test(the_ledger_keeps_targets_by_relation),
        cmocka_unit_test(errors_are_summed_up),
        cmocka_unit_test(exit_codes_have_an_order),
        cmocka_unit_test(the_summary_has_the_agreed_names),
        cmocka_unit_test(events_have_ids_and_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
