/* YAML 1.1 as PyYAML's safe loader reads it, expansion within bounds, places, files. */
#include <unistd.h>

#include "support.h"
#include "json/yaml.h"

static void reads(const char *yaml, const char *json)
{
    struct json_doc *d = NULL;
    struct err e = {0};
    if (yaml_parse(str_of(yaml), "f.yml", &d, NULL, &e) < 0)
        print_error("%s\n", e.msg);
    assert_non_null(d);
    assert_string_equal(text_of(json_root(d)), json);
    json_unref(d);
}

static void refuses(const char *yaml, int code, const char *message)
{
    struct json_doc *d = NULL;
    struct yaml_marks *m = NULL;
    struct err e = {0};
    assert_int_equal(yaml_parse(str_of(yaml), "f.yml", &d, &m, &e), code);
    if (!strstr(e.msg, message))
        print_error("\"%s\" lacks \"%s\"\n", e.msg, message);
    assert_non_null(strstr(e.msg, message));
    assert_null(m);
}

static void words(void **state)
{
    (void)state;
    reads("[yes, Yes, YES, on, On, ON, true, True, TRUE, x]", "[true,true,true,true,true,true,true,true,true,\"x\"]");
    reads("[no, No, NO, off, Off, OFF, false, False, FALSE, x]",
          "[false,false,false,false,false,false,false,false,false,\"x\"]");
    reads("- y\n- n\n- yEs\n- tRUE\n- 'yes'\n- \"no\"", "[\"y\",\"n\",\"yEs\",\"tRUE\",\"yes\",\"no\"]");
    reads("- ~\n- null\n- Null\n- NULL\n-\n- nUll\n- '~'", "[null,null,null,null,null,\"nUll\",\"~\"]");
}

static void integers(void **state)
{
    (void)state;
    reads("- 12\n- +12\n- -12\n- 0\n- -0\n- 1_000", "[12,12,-12,0,0,1000]");
    reads("- 0x1F\n- -0xff_ff\n- 0b101\n- 0123\n- 0o17\n- 089\n- 0x\n- 0xg",
          "[31,-65535,5,83,15,\"089\",\"0x\",\"0xg\"]");
    reads("- 1:30\n- 190:20:30\n- 01:30\n- 1:60\n- 12:5", "[90,685230,\"01:30\",\"1:60\",725]");
    reads("- 9007199254740993\n- 123456789012345678901234567890\n- 0xffffffffffffffffffff",
          "[9007199254740993,123456789012345678901234567890,1208925819614629174706175]");
}

static void floats_and_what_only_looks_like_one(void **state)
{
    (void)state;
    reads("- 1.50\n- .5\n- 1.\n- 1_0.2_5\n- 6.8523015e+5\n- -2.5E-3\n- 00.5\n- 1:30.5",
          "[1.50,0.5,1.0,10.25,6.8523015e+5,-2.5E-3,0.5,90.5]");
    reads("- 1e3\n- 1.0e3\n- -.5\n- 1.2.3\n- .\n- -\n- 2001-12-14\n- 2001-12-14t21:59:43.10-05:00\n- =",
          "[\"1e3\",\"1.0e3\",\"-.5\",\"1.2.3\",\".\",[null],\"2001-12-14\",\"2001-12-14t21:59:43.10-05:00\",\"=\"]");
    refuses("a: .inf", ERR_PARSE, "f.yml:1:4: JSON has no such number; quote it to make it text: .inf");
    refuses("a: -.INF", ERR_PARSE, "f.yml:1:4:");
    refuses("a: .NaN", ERR_PARSE, "f.yml:1:4:");
}

static void tags(void **state)
{
    (void)state;
    reads("- !!str 12\n- ! 12\n- !!int '12'\n- !!float 1\n- !!bool 'yes'\n- !!null ''\n- &x !!str 5\n- *x",
          "[\"12\",\"12\",12,1,true,null,\"5\",\"5\"]");
    reads("a: !!map {b: !!seq [1]}", "{\"a\":{\"b\":[1]}}");
    reads("\xC3\xA9\xC3\xA9\xC3\xA9: '!x'\nb: 5\n", "{\"\xC3\xA9\xC3\xA9\xC3\xA9\":\"!x\",\"b\":5}");
    refuses("a:\n  b: !foo 1", ERR_PARSE, "f.yml:2:6: unknown tag");
    refuses("a: !!python/object:x {}", ERR_PARSE, "f.yml:1:4: unknown tag");
    refuses("a: !!set [1]", ERR_PARSE, "unknown tag");
    refuses("a: !!int x", ERR_PARSE, "f.yml:1:4: the value does not fit its tag: x");
}

static void blocks_and_flow(void **state)
{
    (void)state;
    reads("", "null");
    reads("# nothing\n", "null");
    reads("--- 5\n...\n", "5");
    reads("a: |\n  x\n   y\nb: >-\n  x\n  y\nc: \"\\u00e9\\n\"\nd: 'it''s'\n",
          "{\"a\":\"x\\n y\\n\",\"b\":\"x y\",\"c\":\"\xC3\xA9\\n\",\"d\":\"it's\"}");
    reads("{\"a\": [1.50, 1e400, \"\\ud800\"], \"b\": 9007199254740993}",
          "{\"a\":[1.50,1e400,\"\xEF\xBF\xBD\"],\"b\":9007199254740993}");
    reads("{a: [1, b], 'c': {}, }", "{\"a\":[1,\"b\"],\"c\":{}}");
    reads("on: x\n1: y\n~: z\n", "{\"on\":\"x\",\"1\":\"y\",\"~\":\"z\"}"); /* keys are the text as written */
    reads("query: .a == \"b\"\n", "{\"query\":\".a == \\\"b\\\"\"}");
}

static void anchors_and_merge_keys(void **state)
{
    (void)state;
    reads("a: &x {p: 1, q: [2]}\nb: *x\nc:\n  <<: *x\n  p: 3\n",
          "{\"a\":{\"p\":1,\"q\":[2]},\"b\":{\"p\":1,\"q\":[2]},\"c\":{\"p\":3,\"q\":[2]}}");
    reads("- &a {k: 1}\n- &b {k: 2, l: 2}\n- <<: [*a, *b]\n  m: 3",
          "[{\"k\":1},{\"k\":2,\"l\":2},{\"m\":3,\"k\":1,\"l\":2}]");
    reads("- &a 1\n- *a\n- &a 2\n- *a", "[1,1,2,2]"); /* an anchor may be given again */
    reads("'<<': 1", "{\"<<\":1}");
    reads("- &a {x: 1}\n- &b {<<: *a, y: 2}\n- {<<: *b}", "[{\"x\":1},{\"y\":2,\"x\":1},{\"y\":2,\"x\":1}]");
    refuses("<<: 1", ERR_PARSE, "f.yml:1:5: a merge key (<<) needs a mapping");
    refuses("a: *nowhere", ERR_PARSE, "f.yml:1:4: no anchor before this alias: *nowhere");
    refuses("a: &x\n  b: *x", ERR_PARSE, "f.yml:2:6: a value cannot contain itself: *x");
    refuses("&x a: {<<: {b: 1}, <<: {b: [*y]}}", ERR_PARSE, "no anchor");
}

static void mistakes_are_placed(void **state)
{
    (void)state;
    refuses("a: 1\nb: 2\na: 3", ERR_PARSE, "f.yml:3:1: duplicate key: a");
    refuses("a: 1\n--- \nb: 2", ERR_PARSE, "f.yml:2:1: a second document begins here");
    refuses("a: [1, 2\nb: 3", ERR_PARSE, "f.yml:2:2: ");
    refuses("a:\n\tb: 1", ERR_PARSE, "indent with spaces, not tabs");
    refuses("a: b: c", ERR_PARSE, "f.yml:1:5: mapping values are not allowed");
    refuses("? [a]\n: 1", ERR_PARSE, "f.yml:1:3: a key must be a plain value");
    refuses("a: 1\nb: \xFFx", ERR_PARSE, "f.yml:2:4: ");
    refuses("a: \x01", ERR_PARSE, "f.yml:1:4: ");
}

static void expansion_is_bounded(void **state)
{
    (void)state;
    struct buf b;
    struct json_doc *d;
    struct err e;
    buf_init(&b, BUF_NO_LIMIT);
    buf_adds(&b, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 12; i++)
        buf_addf(&b, "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i, i - 1, i - 1, i - 1, i - 1,
                 i - 1, i - 1, i - 1, i - 1);
    struct yaml_marks *m;
    assert_int_equal(yaml_parse(buf_str(&b), "bomb.yml", &d, &m, &e), ERR_TOO_BIG);
    assert_non_null(strstr(e.msg, "bomb.yml:"));
    buf_reset(&b);
    buf_adds(&b, "a0: &a0 {k: 1}\n"); /* a tower of merge keys: few keys, many visits */
    for (int i = 1; i < 60; i++)
        buf_addf(&b, "a%d: &a%d {<<: [*a%d, *a%d]}\n", i, i, i - 1, i - 1);
    assert_int_equal(yaml_parse(buf_str(&b), "bomb.yml", &d, NULL, &e), ERR_TOO_BIG);
    buf_done(&b);
    char *deep = nested("[x, ", "", "]", 600), *wide = nested("- x\n", "", "", 50000);
    refuses(deep, ERR_PARSE, "nested too deeply");
    assert_int_equal(yaml_parse(str_of(wide), "f.yml", &d, NULL, NULL), 0); /* size alone is no offence */
    json_unref(d);
    free(deep);
    free(wide);
}

static void at(const struct yaml_marks *m, const char *pointer, int line, int col)
{
    int l = 0, c = 0;
    bool known = yaml_where(m, str_of(pointer), &l, &c);
    assert_true(known == (line > 0));
    if (known)
        assert_true(l == line && c == col);
}

static void values_have_places(void **state)
{
    (void)state;
    struct json_doc *d;
    struct yaml_marks *m;
    assert_int_equal(
        yaml_parse(
            STR("\xC3\xA9: {x: 1}\nres:\n  - kind: a\n    sel: &s {q: 'true'}\n  - {kind: b, sel: *s}\na/b~c: 1\n"),
            "f", &d, &m, NULL),
        0);
    at(m, "", 1, 1);
    at(m, "/\xC3\xA9/x", 1, 8); /* columns are characters */
    at(m, "/res/0/kind", 3, 11);
    at(m, "/res/1/sel/q", 4, 17); /* where it was written, not where it was used */
    at(m, "/a~1b~0c", 6, 8);
    at(m, "/res/2", 0, 0);
    at(NULL, "", 0, 0);
    yaml_marks_free(m);
    yaml_marks_free(NULL);
    json_unref(d);
    assert_int_equal(yaml_parse(STR("{\n  \"a\": [1,\n  2]}"), "f", &d, &m, NULL), 0); /* JSON has places too */
    at(m, "/a/1", 3, 3);
    yaml_marks_free(m);
    json_unref(d);
}

static void files(void **state)
{
    (void)state;
    char dir[] = "/tmp/test_yaml_XXXXXX";
    assert_non_null(mkdtemp(dir));
    char *yml = xasprintf("%s/a.yml", dir), *json = xasprintf("%s/a.json", dir), *none = xasprintf("%s/none", dir);
    FILE *f = fopen(yml, "w");
    fputs("a: yes\n", f);
    fclose(f);
    f = fopen(json, "w");
    fputs("{\"a\": x}", f);
    fclose(f);
    struct json_doc *d;
    struct yaml_marks *m;
    struct err e;
    assert_int_equal(yaml_load_file(yml, 100, &d, &m, &e), 0);
    at(m, "/a", 1, 4);
    yaml_marks_free(m);
    json_unref(d);
    assert_int_equal(yaml_load_file(yml, 7, &d, NULL, &e), 0); /* exactly the maximum */
    json_unref(d);
    assert_int_equal(yaml_load_file(yml, 6, &d, NULL, &e), ERR_TOO_BIG);
    assert_non_null(strstr(e.msg, yml));
    assert_int_equal(yaml_load_file(json, 100, &d, &m, &e), ERR_PARSE); /* JSON is held to JSON's rules */
    assert_non_null(strstr(e.msg, json));
    assert_null(m);
    assert_int_equal(yaml_load_file(none, 100, &d, NULL, &e), ERR_NOT_FOUND);
    assert_int_equal(yaml_load_file(dir, 100, &d, NULL, &e), ERR_IO);
    assert_non_null(strstr(e.msg, dir));
    unlink(yml);
    unlink(json);
    rmdir(dir);
    free(yml);
    free(json);
    free(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words),
        cmocka_unit_test(integers),
        cmocka_unit_test(floats_and_what_only_looks_like_one),
        cmocka_unit_test(tags),
        cmocka_unit_test(blocks_and_flow),
        cmocka_unit_test(anchors_and_merge_keys),
        cmocka_unit_test(mistakes_are_placed),
        cmocka_unit_test(expansion_is_bounded),
        cmocka_unit_test(values_have_places),
        cmocka_unit_test(files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
