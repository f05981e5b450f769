/* What the mapping document accepts and how it says no (sync section 3). */
#include "config/mapping_doc.h"
#include "support.h"

#define ENTITY "\"port\":{\"entity\":{\"mappings\":{\"identifier\":\".id\",\"blueprint\":\"'b'\"}}}"

static struct mapping_doc *parse(const char *text)
{
    struct json_doc *d = NULL;
    struct mapping_doc *m = NULL;
    struct err e = {0};
    assert_int_equal(json_parse(str_of(text), &d, &e), 0);
    if (mapping_doc_parse(json_root(d), &m, &e) < 0)
        fail_msg("%s", e.msg);
    json_unref(d);
    return m;
}

static void refuse(const char *text, const char *message)
{
    struct json_doc *d = NULL;
    struct mapping_doc *m = NULL;
    struct err e = {0};
    assert_int_equal(json_parse(str_of(text), &d, &e), 0);
    assert_int_equal(mapping_doc_parse(json_root(d), &m, &e), ERR_CONFIG);
    assert_contains(e.msg, message);
    json_unref(d);
}

static void refuse_field(const char *fields, const char *message)
{
    char *text =
        xasprintf("{\"resources\":[{\"kind\":\"k\",\"port\":{\"entity\":{\"mappings\":{%s}}}}]}", fields);
    refuse(text, message);
    free(text);
}

static void empty_documents(void **state)
{
    (void)state;
    const char *texts[] = {"null", "{}", "{\"resources\":[]}"};
    for (size_t i = 0; i < 3; i++) {
        struct mapping_doc *m = parse(texts[i]);
        assert_int_equal(m->n, 0);
        assert_true(m->merge_entity && m->delete_dependents && m->create_missing_related);
        assert_true(m->deletion_threshold == 0.9 && !m->threshold_stated);
        mapping_doc_free(m);
    }
    refuse("[]", "mapping: expected an object");
    refuse("{\"resources\":null}", "resources: expected a list of resources, got null");
}

static void options_are_lenient(void **state)
{
    (void)state;
    struct mapping_doc *m =
        parse("{\"enableMergeEntity\":\"off\",\"delete_dependent_entities\":0,"
              "\"createMissingRelatedEntities\":\"N\",\"entityDeletionThreshold\":\"0.25\"}");
    assert_false(m->merge_entity || m->delete_dependents || m->create_missing_related);
    assert_true(m->deletion_threshold == 0.25 && m->threshold_stated);
    mapping_doc_free(m);
    refuse("{\"enableMergeEntity\":null}", "enableMergeEntity: expected true or false, got null");
    refuse("{\"entityDeletionThreshold\":1.01}",
           "entityDeletionThreshold: expected a number from 0 to 1, got 1.01");
    refuse("{\"entityDeletionThreshold\":null}", "entityDeletionThreshold");
    refuse("{\"entityDeletionThreshold\":\"many\"}", "entityDeletionThreshold");
}

static void selector_may_be_absent(void **state)
{
    (void)state;
    struct mapping_doc *m = parse("{\"resources\":[{\"kind\":\"k\"," ENTITY
                                  "},{\"kind\":\"l\",\"selector\":{\"x\":[1]}," ENTITY "},"
                                  "{\"kind\":\"m\",\"selector\":{\"query\":true}," ENTITY "}]}");
    assert_int_equal(m->n, 3);
    for (size_t i = 0; i < 3; i++)
        assert_true(str_is(m->resources[i].query, "true"));
    assert_false(m->resources[0].selector.v);
    assert_true(json_is_arr(json_get_c(m->resources[1].selector, "x")));
    assert_true(m->resources[0].enable_delete);
    assert_true(str_is(m->resources[0].items_to_parse_name, "item"));
    assert_true(m->resources[0].items_to_parse_transform);
    assert_null(m->resources[0].items_to_parse.p);
    mapping_doc_free(m);
}

static void numbers_and_booleans_become_jq_text(void **state)
{
    (void)state;
    struct mapping_doc *m =
        parse("{\"resources\":[{\"kind\":\"k\",\"port\":{\"itemsToParse\":null,\"entity\":{\"mappings\":{"
              "\"identifier\":7,\"blueprint\":\"b\",\"title\":null,\"team\":null,\"icon\":null,"
              "\"properties\":{\"a\":1.50,\"b\":false,\"c\":{\"d\":\".x\",\"e\":[{\"f\":true}]}},"
              "\"relations\":{\"r\":{\"combinator\":\"'and'\",\"rules\":[{\"property\":\"p\","
              "\"operator\":\"=\",\"value\":3,\"extra\":1},{\"combinator\":\"or\",\"rules\":[]}],\"more\":2}}"
              "}}}}]}");
    struct json f = m->resources[0].mappings;
    assert_true(str_is(json_str(json_get_c(f, "identifier")), "7"));
    assert_true(str_is(json_str(json_path(f, STR("properties.a"))), "1.50"));
    assert_true(str_is(json_str(json_path(f, STR("properties.b"))), "false"));
    assert_true(str_is(json_str(json_get_c(json_at(json_path(f, STR("properties.c.e")), 0), "f")), "true"));
    assert_false(json_get_c(f, "title").v);
    struct json q = json_path(f, STR("relations.r"));
    assert_int_equal(json_len(q), 2);
    assert_int_equal(json_len(json_at(json_get_c(q, "rules"), 0)), 3);
    assert_true(str_is(json_str(json_get_c(json_at(json_get_c(q, "rules"), 0), "value")), "3"));
    mapping_doc_free(m);
}

static void refusals_name_path_value_and_expectation(void **state)
{
    (void)state;
    refuse_field("\"blueprint\":\"b\",\"identifer\":\".id\"",
                 "resources[0].port.entity.mappings: \"identifier\" is missing");
    refuse_field("\"blueprint\":\"b\",\"identifer\":\".id\"", "did you mean it by \"identifer\"?");
    refuse_field("\"identifier\":null,\"blueprint\":\"b\"",
                 "resources[0].port.entity.mappings.identifier: expected a jq");
    refuse_field("\"identifier\":\".id\",\"blueprint\":[\"b\"]",
                 "mappings.blueprint: expected a jq expression (text), got [\"b\"]");
    refuse_field("\"identifier\":\".id\",\"blueprint\":\"b\",\"properties\":{\"p\":null}",
                 "mappings.properties.p: expected");
    refuse_field("\"identifier\":\".id\",\"blueprint\":\"b\",\"properties\":{\"p\":[1]}",
                 "mappings.properties.p: expected");
    refuse_field("\"identifier\":\".id\",\"blueprint\":\"b\",\"relations\":{\"r\":null}",
                 "mappings.relations.r: expected");
    refuse_field("\"identifier\":\".id\",\"blueprint\":\"b\",\"relations\":{\"r\":{\"rules\":[]}}",
                 "\"combinator\" is missing");
    refuse_field("\"identifier\":\".id\",\"blueprint\":\"b\",\"relations\":{\"r\":{\"combinator\":\"c\","
                 "\"rules\":[{\"property\":\"p\","
                 "\"operator\":\"=\"}]}}",
                 "relations.r.rules[0]: \"value\" is missing");
    refuse("{\"resources\":[{\"selector\":{\"query\":null}}]}", "(and 2 more problems)");
    refuse("{\"resources\":[7]}", "resources[0]: expected a resource");
    refuse("{\"resources\":[{\"kind\":\"k\",\"selector\":{\"query\":null}," ENTITY "}]}",
           "resources[0].selector.query: expected");
}

static void enable_delete_is_strict(void **state)
{
    (void)state;
    struct mapping_doc *m = parse("{\"resources\":[{\"kind\":\"k\",\"enableDelete\":false," ENTITY "},"
                                  "{\"kind\":\"k\",\"enable_delete\":false," ENTITY "}]}");
    assert_false(m->resources[0].enable_delete);
    assert_true(m->resources[1].enable_delete);
    mapping_doc_free(m);
    refuse("{\"resources\":[{\"kind\":\"k\",\"enableDelete\":\"false\"," ENTITY "}]}",
           "resources[0].enableDelete: expected true or false");
    refuse("{\"resources\":[{\"kind\":\"k\",\"enableDelete\":null," ENTITY "}]}",
           "resources[0].enableDelete");
}

static void mappings_may_be_a_list(void **state)
{
    (void)state;
    struct mapping_doc *m = parse(
        "{\"resources\":[{\"kind\":\"k\"," ENTITY "},{\"kind\":\"l\",\"port\":{\"entity\":{\"mappings\":["
        "{\"identifier\":\".a\",\"blueprint\":\"b\"},{\"identifier\":\".c\",\"blueprint\":\"d\"}]}}}]}");
    assert_int_equal(m->n, 3);
    assert_int_equal(m->resources[1].index, 1);
    assert_int_equal(m->resources[2].index, 1);
    assert_int_equal(m->resources[2].variant, 1);
    assert_true(str_is(json_str(json_get_c(m->resources[2].mappings, "identifier")), ".c"));
    mapping_doc_free(m);
    refuse("{\"resources\":[{\"kind\":\"l\",\"port\":{\"entity\":{\"mappings\":[]}}}]}",
           "at least one mapping");
}

static void written_back_with_the_four_options(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, BUF_NO_LIMIT);
    struct mapping_doc *m = parse(
        "{\"resources\":[{\"kind\":\"k\",\"selector\":{\"query\":\"true\",\"own\":{\"x\":null}},\"port\":{"
        "\"itemsToParse\":null,\"entity\":{\"mappings\":{\"identifier\":\".id\",\"blueprint\":\"b\","
        "\"title\":null}}}}]}");
    assert_int_equal(mapping_doc_write(m, &out), 0);
    assert_string_equal(
        buf_cstr(&out),
        "{\"deleteDependentEntities\":true,\"createMissingRelatedEntities\":true,"
        "\"enableMergeEntity\":true,\"entityDeletionThreshold\":0.9,\"resources\":[{\"kind\":\"k\","
        "\"selector\":{\"query\":\"true\",\"own\":{\"x\":null}},\"port\":{\"entity\":{\"mappings\":{"
        "\"identifier\":\".id\",\"blueprint\":\"b\"}}}}]}");
    mapping_doc_free(m);
    buf_done(&out);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(empty_documents),
        T(options_are_lenient),
        T(selector_may_be_absent),
        T(numbers_and_booleans_become_jq_text),
        T(refusals_name_path_value_and_expectation),
        T(enable_delete_is_strict),
        T(mappings_may_be_a_list),
        T(written_back_with_the_four_options),
    };
    return cmocka_run_group_tests_name("mapping_doc", tests, NULL, NULL);
}
