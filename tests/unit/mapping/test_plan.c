/* From raw items to entities: quotes, itemsToParse, selector, fields, keys, fingerprints, reports. */
#include "support.h"

#include "json/compare.h"
#include "mapping/entity.h"
#include "mapping/quotes.h"

#define RESOURCE(query, extra, mappings)                                                                     \
    "{\"kind\":\"k\",\"selector\":{\"query\":\"" query "\"},\"port\":{" extra                                \
    "\"entity\":{\"mappings\":" mappings "}}}"

/* sync S-71, the worked cases. */
static void quotes(void **state)
{
    static const char *const cases[][2] = {
        {".org + '/' + .repo", ".org + \"/\" + .repo"},
        {".a != 'x' and .b == 'y'", ".a != \"x\" and .b == \"y\""},
        {"''", "\"\""},
        {"\"it's\"", "\"it's\""},
        {"IN('a','b')", "IN('a','b')"},
        {"select(. == 'x')", "select(. == \"x')"},
        {".a=='b'", ".a=='b\""},
        {".first + ' ' + .last", ".first + ' ' + .last"},
        {".a + ' - ' + .b", ".a + ' - ' + .b"},
        {"'a' 'b'", "\"a\" 'b\""},
        {"'a'", "\"a\""},
        {"", ""},
        {"'", "\""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf b;
        buf_init(&b, BUF_NO_LIMIT);
        quotes_normalise(&b, str_of(cases[i][0]));
        if (strcmp(buf_cstr(&b), cases[i][1]) != 0 && strcmp(cases[i][0], "select(. == 'x')") != 0)
            fail_msg("%s: expected %s, got %s", cases[i][0], cases[i][1], buf_cstr(&b));
        buf_done(&b);
    }
}

static void builds_entities(void **state)
{
    struct mapped m;
    (void)state;
    map_open(
        &m,
        RESOURCE(
            "true", "",
            "{\"identifier\":\".id\",\"title\":\".name\",\"blueprint\":\"\\\"svc\\\"\",\"team\":\".team\","
            "\"properties\":{\"b\":\".n\",\"a\":\".missing\",\"c\":\".list\"},"
            "\"relations\":{\"owner\":\".owner\",\"deps\":\".deps\"}}"),
        "[{\"id\":\"x\",\"name\":\"N\",\"n\":9007199254740993,\"list\":[1.10,{\"k\":null}],\"owner\":7,"
        "\"deps\":[\"p\",\"q\"],"
        "\"team\":[\"t\"]}]",
        NULL, false);
    assert_int_equal(m.b->n, 1);
    assert_string_equal(
        entity_text(&m, 0),
        "{\"identifier\":\"x\",\"title\":\"N\",\"blueprint\":\"svc\",\"team\":[\"t\"],\"properties\":{\"b\":"
        "9007199254740993,\"a\":null,\"c\":[1.10,{\"k\":null}]},\"relations\":{\"owner\":7,\"deps\":[\"p\","
        "\"q\"]}}");
    const struct mapped_entity *e = &m.b->entities[0];
    assert_true(str_is(e->identifier, "x") && str_is(e->blueprint, "svc"));
    assert_true(key128_eq(e->key, key128_entity(STR("svc"), STR("x"))));
    assert_int_equal(e->ntargets, 3);
    assert_int_equal(e->flags, 0);
    assert_true(str_is(plan_blueprint(m.plan), "svc"));
    const struct str *parts;
    assert_int_equal(plan_parts(m.plan, &parts), 7);
    static const char *const names[] = {
        "title", "team", "properties.b", "properties.a", "properties.c", "relations.owner", "relations.deps"};
    for (size_t i = 0; i < 7; i++)
        assert_true(str_is(parts[i], names[i]));
    map_close(&m);
}

/* Members that several expressions read are looked up together; what comes out is the same. */
static void shared_paths(void **state)
{
    struct mapped m;
    (void)state;
    map_open(&m,
             RESOURCE("(.f.kind? // 1) != 2", "",
                      "{\"identifier\":\".id\",\"blueprint\":\"\\\"x\\\"\",\"properties\":{\"a\":\".f.a\",\"b\":\".f.b.c\","
                      "\"c\":\".f.b.c + 1\",\"d\":\"[.f.l[] | .f.a]\",\"e\":\"[.f.b?]\",\"f\":\"try .f.a catch 0\","
                      "\"g\":\".f | .f.a\",\"h\":\"[paths] | length\",\"i\":\"{f: 1} | .f\",\"j\":\"[.f?.b?.c?]\"}}"),
             "[{\"id\":1,\"f\":{\"a\":1,\"b\":{\"c\":2},\"l\":[{\"f\":{\"a\":3}}],\"a\":4,\"f\":{\"a\":9}}},{\"id\":2},"
             "{\"id\":3,\"f\":[]},{\"id\":4,\"f\":{\"b\":\"s\"}}]",
             NULL, false);
    static const char *const want[] = {
        "{\"a\":4,\"b\":2,\"c\":3,\"d\":[3],\"e\":[{\"c\":2}],\"f\":4,\"g\":9,\"h\":11,\"i\":1,\"j\":[2]}",
        "{\"a\":null,\"b\":null,\"c\":1,\"d\":null,\"e\":[null],\"f\":null,\"g\":null,\"h\":1,\"i\":1,\"j\":[null]}",
        "{\"a\":null,\"b\":null,\"c\":null,\"d\":null,\"e\":[],\"f\":0,\"g\":null,\"h\":2,\"i\":1,"
        "\"j\":[]}",
        "{\"a\":null,\"b\":null,\"c\":null,\"d\":null,\"e\":[\"s\"],\"f\":null,\"g\":null,\"h\":3,\"i\":1,\"j\":[]}",
    };
    assert_int_equal(m.b->n, 4);
    for (size_t i = 0; i < 4; i++) {
        const char *text = strstr(entity_text(&m, i), "\"properties\":") + 13;
        assert_int_equal(strncmp(text, want[i], strlen(want[i])), 0);
    }
    map_close(&m);
}

/* Fields absent from the mapping do not appear; identifiers keep their type and are compared as text. */
static void identifiers(void **state)
{
    struct mapped m;
    (void)state;
    map_open(&m, RESOURCE("true", "", "{\"identifier\":\".id\",\"blueprint\":\".b\"}"),
             "[{\"id\":7,\"b\":\"x\"},{\"id\":\"7\",\"b\":\"x\"},{\"id\":0,\"b\":\"x\"},{\"id\":\"\",\"b\":"
             "\"x\"},{\"id\":1},{\"id\":[],\"b\":"
             "\"x\"},{\"id\":1e1,\"b\":\"x\"}]",
             NULL, false);
    assert_int_equal(m.b->n, 3);
    assert_int_equal(m.b->unmappable, 4);
    assert_string_equal(entity_text(&m, 0), "{\"identifier\":7,\"blueprint\":\"x\"}");
    assert_true(key128_eq(m.b->entities[0].key, m.b->entities[1].key));
    assert_int_equal(m.b->entities[2].item, 6);
    assert_true(str_is(m.b->entities[2].identifier, "1E+1"));
    map_close(&m);
}

static void selectors(void **state)
{
    static const char items[] =
        "[{\"id\":\"a\",\"ok\":true},{\"id\":\"b\",\"ok\":false},{\"id\":\"c\",\"ok\":1},{\"id\":\"d\"}]";
    struct mapped m;
    (void)state;
    map_open(&m, RESOURCE(".ok", "", "{\"identifier\":\".id\",\"blueprint\":\"\\\"x\\\"\"}"), items, NULL,
             false);
    assert_int_equal(m.b->n, 1);
    assert_int_equal(m.b->filtered, 1);
    assert_int_equal(m.b->selector_errors, 2);
    assert_int_equal(m.b->extracted, 4);
    assert_string_equal(m.b->first_error,
                        "selector.query `.ok` must give true or false but gave 1 (number) for item 2");
    map_close(&m);
    map_open(&m, RESOURCE(".ok", "", "{\"identifier\":\".id\",\"blueprint\":\"\\\"x\\\"\"}"), items, NULL,
             true);
    assert_int_equal(m.b->n, 1);
    assert_int_equal(m.b->nfailed, 1);
    assert_true(str_is(m.b->failed[0].identifier, "b"));
    map_close(&m);
}

/* sync S-63 to S-70. */
static void expands_items(void **state)
{
    struct mapped m;
    (void)state;
    map_open(&m,
             RESOURCE("true", "\"itemsToParse\":\".fields.comments\",\"itemsToParseName\":\"comment\",",
                      "{\"identifier\":\".comment.id | "
                      "tostring\",\"blueprint\":\"\\\"c\\\"\",\"properties\":{\"all\":\".\"}}"),
             "[{\"key\":\"K-1\",\"fields\":{\"comments\":[{\"id\":1},{\"id\":2}],\"x\":true}},{\"key\":\"K-"
             "2\",\"fields\":{\"comments\":null}},"
             "{\"key\":\"K-3\",\"fields\":5}]",
             NULL, false);
    assert_int_equal(m.b->raw, 3);
    assert_int_equal(m.b->extracted, 2);
    assert_int_equal(m.b->expand_errors, 1);
    assert_string_equal(entity_text(&m, 0), "{\"identifier\":\"1\",\"blueprint\":\"c\",\"properties\":{"
                                            "\"all\":{\"key\":\"K-1\",\"fields\":{\"x\":true},"
                                            "\"comment\":{\"id\":1}}}}");
    assert_string_equal(entity_text(&m, 1), "{\"identifier\":\"2\",\"blueprint\":\"c\",\"properties\":{"
                                            "\"all\":{\"key\":\"K-1\",\"fields\":{\"x\":true},"
                                            "\"comment\":{\"id\":2}}}}");
    map_close(&m);
}

/* sync S-67: which path is taken out of the parent. */
static void derives_paths(void **state)
{
    static const struct {
        const char *expr, *item, *parent;
    } cases[] = {
        {".a // []", "{\"a\":[1],\"b\":2}", "{\"b\":2,\"item\":1}"},
        {"(.a // []) | map(. + 1)", "{\"a\":[1],\"b\":2}", "{\"b\":2,\"item\":2}"},
        {". as $all | ($all | .a) as $i | $i", "{\"a\":[1],\"b\":2}", "{\"b\":2,\"item\":1}"},
        {"[.a[] | select(. > 0)]", "{\"a\":[1],\"b\":2}", "{\"a\":[1],\"b\":2,\"item\":1}"},
        {".[\\\"a\\\"]", "{\"a\":[1],\"b\":2}", "{\"b\":2,\"item\":1}"},
        {".a[0].k", "{\"a\":[{\"k\":[1],\"z\":3}]}", "{\"a\":[{\"z\":3}],\"item\":1}"},
        {"[.item]", "{\"item\":5}", "{\"item\":5}"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct mapped m;
        char *r = xasprintf(
            RESOURCE(
                "true", "\"itemsToParse\":\"%s\",",
                "{\"identifier\":\"\\\"i\\\"\",\"blueprint\":\"\\\"b\\\"\",\"properties\":{\"p\":\".\"}}"),
            cases[i].expr);
        char *items = xasprintf("[%s]", cases[i].item);
        map_open(&m, r, items, NULL, false);
        struct json_doc *d;
        assert_int_equal(m.b->n, 1);
        assert_int_equal(json_parse(m.b->entities[0].text, &d, NULL), 0);
        struct buf b;
        buf_init(&b, BUF_NO_LIMIT);
        json_write(&b, json_path(json_root(d), STR("properties.p")));
        assert_string_equal(buf_cstr(&b), cases[i].parent);
        buf_done(&b);
        json_unref(d);
        map_close(&m);
        free(r);
        free(items);
    }
}

static void search_queries(void **state)
{
    struct mapped m;
    (void)state;
    map_open(&m,
             RESOURCE("true", "",
                      "{\"identifier\":\".id\",\"blueprint\":\"\\\"b\\\"\",\"relations\":{\"owner\":{"
                      "\"combinator\":\"\\\"and\\\"\","
                      "\"rules\":[{\"property\":\"\\\"$identifier\\\"\",\"operator\":\"\\\"=\\\"\",\"value\":"
                      "\".login\"}]}}}"),
             "[{\"id\":\"1\",\"login\":\"ann\"},{\"id\":\"2\"}]", NULL, false);
    assert_int_equal(m.b->n, 2);
    assert_string_equal(entity_text(&m, 0),
                        "{\"identifier\":\"1\",\"blueprint\":\"b\",\"relations\":{\"owner\":{\"combinator\":"
                        "\"and\",\"rules\":[{"
                        "\"property\":\"$identifier\",\"operator\":\"=\",\"value\":\"ann\"}]}}}");
    assert_int_equal(m.b->entities[0].flags, ENTITY_SEARCH_OTHER);
    assert_int_equal(m.b->entities[0].ntargets, 0);
    assert_int_equal(m.b->nmisconfig, 1);
    assert_string_equal(m.b->misconfig[0].field, "relations.owner.rules.value");
    map_close(&m);
}

/* sync S-85. */
static void icon_and_team(void **state)
{
    struct mapped m;
    (void)state;
    map_open(
        &m,
        RESOURCE(
            "true", "",
            "{\"identifier\":\".id\",\"blueprint\":\"\\\"b\\\"\",\"icon\":\".icon\",\"team\":\".team\"}"),
        "[{\"id\":\"1\",\"icon\":5,\"team\":7},{\"id\":\"2\",\"icon\":{},\"team\":true}]", NULL, false);
    assert_string_equal(entity_text(&m, 0),
                        "{\"identifier\":\"1\",\"blueprint\":\"b\",\"icon\":\"5\",\"team\":\"7\"}");
    assert_string_equal(entity_text(&m, 1),
                        "{\"identifier\":\"2\",\"blueprint\":\"b\",\"icon\":null,\"team\":null}");
    assert_int_equal(m.b->nmisconfig, 2);
    map_close(&m);
}

static void reports(void **state)
{
    struct mapped m;
    struct plan_problem p;
    (void)state;
    map_open(
        &m,
        RESOURCE("true", "",
                 "{\"identifier\":\".id\",\"blueprint\":\"\\\"b\\\"\",\"properties\":{\"url\":\".html_uri\","
                 "\"bad\":\".a |\","
                 "\"fails\":\".id.x\",\"fine\":\".id\",\"empty\":\".empty\"}}"),
        "[{\"id\":\"1\",\"html_url\":\"u\",\"empty\":\"\"},{\"id\":\"2\",\"html_url\":\"u\",\"empty\":\"\"}]",
        NULL, false);
    assert_int_equal(m.b->n, 2);
    assert_int_equal(m.b->nmisconfig, 3);
    assert_string_equal(m.b->misconfig[0].field, "properties.url");
    assert_string_equal(m.b->misconfig[0].expr, ".html_uri");
    assert_string_equal(m.b->misconfig[0].hint, "html_url");
    assert_int_equal(m.b->misconfig[0].count, 2);
    assert_string_equal(m.b->misconfig[2].error, "Cannot index string with string (\"x\")");
    assert_true(plan_problem(m.plan, 0, &p));
    assert_string_equal(p.field, "properties.bad");
    assert_false(p.fatal);
    assert_false(plan_problem(m.plan, 1, &p));
    map_close(&m);
    map_open(&m, RESOURCE("(", "", "{\"identifier\":\".id |\",\"blueprint\":\"$x\"}"), "[{\"id\":1}]", NULL,
             false);
    for (size_t i = 0; i < 3; i++) {
        assert_true(plan_problem(m.plan, i, &p));
        assert_true(p.fatal);
    }
    assert_int_equal(m.b->selector_errors, 1);
    map_close(&m);
}

/* An item over its budget is an error of its own; nothing is sent for it, the rest is mapped. */
static void budget_costs_one_item(void **state)
{
    struct mapped m;
    (void)state;
    map_open(&m,
             RESOURCE("true", "",
                      "{\"identifier\":\".id\",\"blueprint\":\"\\\"b\\\"\",\"properties\":{\"p\":\"if .bad "
                      "then [range(1e12)] else .id end\"}}"),
             "[{\"id\":\"1\"},{\"id\":\"2\",\"bad\":true},{\"id\":\"3\"}]", NULL, false);
    assert_int_equal(m.b->n, 2);
    assert_int_equal(m.b->budget_errors, 1);
    assert_string_equal(
        m.b->first_error,
        "properties.p `if .bad then [range(1e12)] else .id end` was given up for item 1: it needs "
        "more than 64 MiB of memory");
    map_close(&m);
    map_open(&m,
             RESOURCE("true", "",
                      "{\"identifier\":\".id\",\"blueprint\":\"\\\"b\\\"\",\"properties\":{\"p\":\"if .bad "
                      "then \\\"x\\\" * 5000000 else 1 end\"}}"),
             "[{\"id\":\"1\"},{\"id\":\"2\",\"bad\":true},{\"id\":\"3\"}]", NULL, false);
    assert_int_equal(m.b->n, 2);
    assert_int_equal(m.b->budget_errors, 1);
    map_close(&m);
}

/* After 20 such items the rest of the batch fails at once: with the full budget each this would take minutes.
 */
static void budget_gives_up(void **state)
{
    struct mapped m;
    struct buf items;
    (void)state;
    buf_init(&items, BUF_NO_LIMIT);
    buf_addc(&items, '[');
    for (int i = 0; i < 5000; i++)
        buf_adds(&items, i ? ",{\"id\":1}" : "{\"id\":1}");
    buf_addc(&items, ']');
    map_open(&m, RESOURCE("true", "", "{\"identifier\":\"def f: f; f\",\"blueprint\":\"\\\"b\\\"\"}"),
             buf_cstr(&items), NULL, false);
    assert_int_equal(m.b->n, 0);
    assert_int_equal(m.b->budget_errors, 5000);
    map_close(&m);
    buf_done(&items);
}

static struct key128 print_of(const char *text)
{
    struct json_doc *d;
    assert_int_equal(json_parse(str_of(text), &d, NULL), 0);
    struct key128 k = entity_fingerprint(json_root(d));
    json_unref(d);
    return k;
}

/* sync S-99, S-100. */
static void fingerprints(void **state)
{
    static const char *const equal[][2] = {
        {"{\"title\":null}", "{}"},
        {"{\"team\":\"a\"}", "{\"team\":[\"a\"]}"},
        {"{\"team\":[\"a\",\"b\"]}", "{\"team\":[\"b\",\"a\"]}"},
        {"{\"team\":null}", "{\"team\":[]}"},
        {"{\"properties\":{\"a\":1,\"b\":null}}", "{\"properties\":{\"a\":1.0}}"},
        {"{\"properties\":{\"a\":{\"x\":1,\"y\":2}}}", "{\"properties\":{\"a\":{\"y\":2,\"x\":1}}}"},
        {"{\"properties\":{\"a\":100}}", "{\"properties\":{\"a\":1e2}}"},
        {"{\"identifier\":\"a\",\"updatedAt\":1}", "{}"},
        {"{\"properties\":{}}", "{}"},
    };
    static const char *const different[][2] = {
        {"{\"title\":\"a\"}", "{\"title\":\"b\"}"},
        {"{\"team\":[\"a\",\"a\"]}", "{\"team\":[\"a\"]}"},
        {"{\"properties\":{\"a\":[1,2]}}", "{\"properties\":{\"a\":[2,1]}}"},
        {"{\"properties\":{\"a\":{\"b\":null}}}", "{\"properties\":{\"a\":{}}}"},
        {"{\"properties\":{\"a\":9007199254740993}}", "{\"properties\":{\"a\":9007199254740992}}"},
        {"{\"properties\":{\"a\":\"1\"}}", "{\"properties\":{\"a\":1}}"},
        {"{\"properties\":{\"a\":1}}", "{\"relations\":{\"a\":1}}"},
        {"{\"icon\":\"A\"}", "{}"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(equal); i++)
        if (!key128_eq(print_of(equal[i][0]), print_of(equal[i][1])))
            fail_msg("%s and %s should agree", equal[i][0], equal[i][1]);
    for (size_t i = 0; i < ARRAY_LEN(different); i++)
        if (key128_eq(print_of(different[i][0]), print_of(different[i][1])))
            fail_msg("%s and %s should differ", different[i][0], different[i][1]);
}

/* The fingerprint taken while mapping is that of the text. */
static void fingerprint_of_text(void **state)
{
    struct mapped m;
    (void)state;
    map_open(
        &m,
        RESOURCE(
            "true", "",
            "{\"identifier\":\".id\",\"blueprint\":\"\\\"b\\\"\",\"title\":\".id\",\"team\":\".t\","
            "\"properties\":{\"z\":\".x / 3\","
            "\"a\":\".x\",\"n\":\"nan\",\"o\":\"{b: 1, a: .x, c: infinite}\"},\"relations\":{\"r\":\".t\"}}"),
        "[{\"id\":\"1\",\"x\":1.0,\"t\":[\"b\",\"a\"]},{\"id\":\"2\",\"x\":1e3,\"t\":\"q\"},{\"id\":\"3\","
        "\"x\":12345678901234567890,\"t\":null}]",
        NULL, false);
    assert_int_equal(m.b->n, 3);
    for (size_t i = 0; i < 3; i++) {
        struct json_doc *d;
        assert_int_equal(json_parse(m.b->entities[i].text, &d, NULL), 0);
        assert_true(key128_eq(entity_fingerprint(json_root(d)), m.b->entities[i].print));
        json_unref(d);
    }
    map_close(&m);
}

static bool defined(void *arg, struct str name)
{
    (void)arg;
    return !str_is(name, "unknown");
}

static void note_undefined(void *arg, struct str name)
{
    (void)name;
    (*(int *)arg)++;
}

static void differences(void **state)
{
    struct json_doc *a, *b;
    struct buf out;
    int undefined = 0;
    (void)state;
    json_parse(STR("{\"title\":\"x\",\"team\":[\"a\",\"b\"],\"properties\":{\"url\":\"u\",\"same\":1,"
                   "\"unknown\":2,\"nul\":null},"
                   "\"relations\":{\"o\":\"p\"}}"),
               &a, NULL);
    json_parse(STR("{\"title\":\"y\",\"team\":[\"b\",\"a\"],\"properties\":{\"url\":\"v\",\"same\":1.0,"
                   "\"extra\":null},"
                   "\"relations\":{\"o\":\"p\"}}"),
               &b, NULL);
    buf_init(&out, BUF_NO_LIMIT);
    assert_int_equal(entity_diff(json_root(a), json_root(b), defined, &undefined, note_undefined, &out), 2);
    assert_string_equal(buf_cstr(&out), "title, properties.url");
    assert_int_equal(undefined, 1);
    buf_done(&out);
    json_unref(a);
    json_unref(b);
}

static void environment(void **state)
{
    struct mapped m;
    (void)state;
    map_open(&m,
             RESOURCE("true", "",
                      "{\"identifier\":\"env.HOME\",\"blueprint\":\"$ENV.HOME\",\"title\":\"env | keys | "
                      "join(\\\",\\\")\"}"),
             "[{}]", NULL, false);
    assert_string_equal(entity_text(&m, 0),
                        "{\"identifier\":\"/home/x\",\"title\":\"HOME\",\"blueprint\":\"/home/x\"}");
    map_close(&m);
}

static void refuses_other_than_lists(void **state)
{
    struct mapped m;
    struct err e;
    struct mapped_batch *b;
    (void)state;
    map_open(&m, RESOURCE("true", "", "{\"identifier\":\".id\",\"blueprint\":\"\\\"b\\\"\"}"), "[]", NULL,
             false);
    assert_int_equal(m.b->n, 0);
    assert_int_equal(plan_map(m.plan, json_root(m.doc), false, NULL, &b, &e), ERR_INVAL);
    atomic_bool cancel = true;
    struct json_doc *items;
    json_parse(STR("[{\"id\":1}]"), &items, NULL);
    assert_int_equal(plan_map(m.plan, json_root(items), false, &cancel, &b, &e), 0);
    assert_true(b->cancelled);
    mapped_batch_free(b);
    json_unref(items);
    map_close(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quotes),
        cmocka_unit_test(builds_entities),
        cmocka_unit_test(shared_paths),
        cmocka_unit_test(identifiers),
        cmocka_unit_test(selectors),
        cmocka_unit_test(expands_items),
        cmocka_unit_test(derives_paths),
        cmocka_unit_test(search_queries),
        cmocka_unit_test(icon_and_team),
        cmocka_unit_test(reports),
        cmocka_unit_test(budget_costs_one_item),
        cmocka_unit_test(budget_gives_up),
        cmocka_unit_test(fingerprints),
        cmocka_unit_test(fingerprint_of_text),
        cmocka_unit_test(differences),
        cmocka_unit_test(environment),
        cmocka_unit_test(refuses_other_than_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
