/* The pure part of a plan: what writes change, field by field, in canonical text; how a line reads for people. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"
#include "json/json.h"
#include "sync/preview_priv.h"

static struct json_doc *docs[64];
static size_t ndocs;

static struct json parse(const char *text)
{
    struct err e;
    if (!text)
        return JSON_NONE;
    if (json_parse(str_of(text), &docs[ndocs], &e) < 0)
        fail_msg("%s: %s", e.msg, text);
    return json_root(docs[ndocs++]);
}

static int forget(void **state)
{
    (void)state;
    while (ndocs)
        json_unref(docs[--ndocs]);
    return 0;
}

/* The fields, which are the elements of a JSON list. */
static char *fields(struct change *c, const struct schema *schema)
{
    struct buf list;
    struct json_doc *d;
    size_t n;
    buf_init(&list, BUF_NO_LIMIT);
    buf_addc(&list, '[');
    n = change_fields(c, schema, &list);
    buf_addc(&list, ']');
    assert_int_equal(json_parse(buf_str(&list), &d, NULL), 0);
    assert_int_equal(json_len(json_root(d)), n);
    json_unref(d);
    char *text = xstrndup(list.p + 1, list.n - 2);
    buf_done(&list);
    return text;
}

/* One write of `after` on `before`. */
static void check(const char *before, const char *after, bool merge, const char *want)
{
    struct change *c = change_new();
    change_write(c, parse(before), parse(after), merge);
    assert_int_equal(change_exists(c), before != NULL);
    char *got = fields(c, NULL);
    if (strcmp(got, want) != 0)
        fail_msg("%s -> %s\ngot  %s\nwant %s", before, after, got, want);
    free(got);
    change_free(c);
}

#define PROPS(p) "{\"properties\":" p "}"

static void values_of_one_write(void **state)
{
    (void)state;
    check(NULL, "{\"identifier\":\"a\",\"title\":\"A\",\"properties\":{\"z\":1,\"b\":null},\"relations\":{\"o\":\"x\"}}", true,
          "{\"path\":\"title\",\"after\":\"A\"},{\"path\":\"properties.z\",\"after\":1},"
          "{\"path\":\"relations.o\",\"after\":\"x\"}");
    check("{\"title\":\"A\"}", "{\"title\":\"A\"}", true, "");
    check("{\"title\":\"A\"}", "{\"title\":null}", true, "{\"path\":\"title\",\"before\":\"A\"}");
    check("{}", "{\"icon\":\"x\"}", true, "{\"path\":\"icon\",\"after\":\"x\"}");
    check(PROPS("{\"n\":1}"), PROPS("{\"n\":1.0}"), true, "");
    check(PROPS("{\"n\":1}"), PROPS("{\"n\":\"1\"}"), true,
          "{\"path\":\"properties.n\",\"before\":1,\"after\":\"1\"}");
    check(PROPS("{\"n\":9007199254740993}"), PROPS("{\"n\":9007199254740992}"), true,
          "{\"path\":\"properties.n\",\"before\":9007199254740993,\"after\":9007199254740992}");
    check(PROPS("{\"n\":null}"), PROPS("{}"), true, "");
    check(PROPS("{}"), PROPS("{\"n\":null}"), true, "");
}

static void the_order_is_that_of_paths(void **state)
{
    (void)state;
    const char *want = "{\"path\":\"icon\",\"after\":\"i\"},{\"path\":\"title\",\"after\":\"t\"},"
                       "{\"path\":\"properties.a\",\"after\":1},{\"path\":\"properties.b\",\"after\":2},"
                       "{\"path\":\"relations.a\",\"after\":\"x\"}";
    check("{}", "{\"relations\":{\"a\":\"x\"},\"properties\":{\"b\":2,\"a\":1},\"title\":\"t\",\"icon\":\"i\"}", true, want);
    check("{}", "{\"icon\":\"i\",\"title\":\"t\",\"properties\":{\"a\":1,\"b\":2},\"relations\":{\"a\":\"x\"}}", true, want);
}

static void objects_are_compared_member_by_member(void **state)
{
    (void)state;
    check(PROPS("{\"c\":{\"a\":{\"x\":1,\"y\":2},\"k\":0}}"), PROPS("{\"c\":{\"k\":0,\"a\":{\"y\":3,\"x\":1}}}"), true,
          "{\"path\":\"properties.c.a.y\",\"before\":2,\"after\":3}");
    check(PROPS("{\"c\":{\"a\":1}}"), PROPS("{\"c\":{}}"), true, "{\"path\":\"properties.c.a\",\"before\":1}");
    check(PROPS("{\"c\":{\"a\":null}}"), PROPS("{\"c\":{}}"), true, "{\"path\":\"properties.c.a\",\"before\":null}");
    check(PROPS("{\"c\":{\"a.b\":1,\"\":1}}"), PROPS("{\"c\":{\"a.b\":2,\"\":2}}"), true,
          "{\"path\":\"properties.c.\\\"\\\"\",\"before\":1,\"after\":2},"
          "{\"path\":\"properties.c.\\\"a.b\\\"\",\"before\":1,\"after\":2}");
    check(PROPS("{\"c\":{\"a\":1}}"), PROPS("{\"c\":7}"), true,
          "{\"path\":\"properties.c\",\"before\":{\"a\":1},\"after\":7}");
    check(PROPS("{}"), PROPS("{\"c\":{\"z\":1,\"a\":2}}"), true,
          "{\"path\":\"properties.c\",\"after\":{\"a\":2,\"z\":1}}"); /* canonical: keys sorted */
}

static void deep_values_end(void **state)
{
    (void)state;
    struct buf a, b;
    buf_init(&a, BUF_NO_LIMIT);
    buf_init(&b, BUF_NO_LIMIT);
    for (int i = 0; i < 5000; i++) {
        buf_adds(&a, "{\"a\":");
        buf_adds(&b, "{\"a\":");
    }
    buf_adds(&a, "1");
    buf_adds(&b, "2");
    for (int i = 0; i < 5000; i++) {
        buf_addc(&a, '}');
        buf_addc(&b, '}');
    }
    struct buf before, after;
    buf_init(&before, BUF_NO_LIMIT);
    buf_init(&after, BUF_NO_LIMIT);
    buf_addf(&before, "{\"properties\":{\"d\":%s}}", buf_cstr(&a));
    buf_addf(&after, "{\"properties\":{\"d\":%s}}", buf_cstr(&b));
    struct change *c = change_new();
    change_write(c, parse(buf_cstr(&before)), parse(buf_cstr(&after)), true);
    char *x = fields(c, NULL);
    assert_non_null(strstr(x, "\"path\":\"properties.d.a.a.a"));
    free(x);
    change_free(c);
    buf_done(&a);
    buf_done(&b);
    buf_done(&before);
    buf_done(&after);
}

static void lists_say_what_came_and_went(void **state)
{
    (void)state;
    check(PROPS("{\"t\":[\"a\",\"b\",\"b\"]}"), PROPS("{\"t\":[\"b\",\"c\"]}"), true,
          "{\"path\":\"properties.t\",\"before\":[\"a\",\"b\",\"b\"],\"after\":[\"b\",\"c\"],\"added\":[\"c\"],"
          "\"removed\":[\"a\",\"b\"]}");
    check(PROPS("{\"t\":[1,2]}"), PROPS("{\"t\":[2,1]}"), true,
          "{\"path\":\"properties.t\",\"before\":[1,2],\"after\":[2,1],\"added\":[],\"removed\":[]}");
    check("{\"relations\":{\"d\":[\"a\"]}}", "{\"relations\":{\"d\":[\"a\",\"b\"]}}", true,
          "{\"path\":\"relations.d\",\"before\":[\"a\"],\"after\":[\"a\",\"b\"],\"added\":[\"b\"],\"removed\":[]}");
    check("{\"relations\":{\"d\":[\"a\"]}}", "{\"relations\":{\"d\":\"a\"}}", true, ""); /* a list of one */
    check("{\"relations\":{\"d\":[\"a\"]}}", "{\"relations\":{\"d\":\"b\"}}", true,
          "{\"path\":\"relations.d\",\"before\":[\"a\"],\"after\":[\"b\"],\"added\":[\"b\"],\"removed\":[\"a\"]}");
}

static void teams_have_no_order(void **state)
{
    (void)state;
    check("{\"team\":[\"a\",\"b\"]}", "{\"team\":[\"b\",\"a\"]}", true, "");
    check("{\"team\":[]}", "{\"team\":null}", true, "");
    check("{\"team\":[\"a\"]}", "{\"team\":\"a\"}", true, "");
    const char *want = "{\"path\":\"team\",\"before\":[\"a\",\"b\"],\"after\":[\"b\",\"c\"],\"added\":[\"c\"],\"removed\":[\"a\"]}";
    check("{\"team\":[\"b\",\"a\"]}", "{\"team\":[\"c\",\"b\"]}", true, want);
    check("{\"team\":[\"a\",\"b\"]}", "{\"team\":[\"b\",\"c\"]}", true, want); /* the same bytes, however it came */
    check("{\"team\":[\"a\"]}", "{\"team\":{\"combinator\":\"and\",\"rules\":[]}}", true,
          "{\"path\":\"team\",\"before\":[\"a\"],\"search\":{\"combinator\":\"and\",\"rules\":[]}}");
}

static void without_merging_what_is_not_named_goes(void **state)
{
    (void)state;
    check("{\"title\":\"t\",\"team\":[\"a\"],\"properties\":{\"x\":1,\"y\":2}}", "{\"properties\":{\"x\":1}}", false,
          "{\"path\":\"team\",\"before\":[\"a\"],\"after\":[],\"added\":[],\"removed\":[\"a\"]},"
          "{\"path\":\"title\",\"before\":\"t\"},{\"path\":\"properties.y\",\"before\":2}");
    check("{\"title\":\"t\",\"properties\":{\"x\":1,\"y\":2}}", "{\"properties\":{\"x\":1}}", true, "");
}

static void several_writes_are_one_change(void **state)
{
    (void)state;
    struct change *c = change_new();
    /* Two resources fill different properties, each compared in its own parts. */
    change_write(c, parse("{\"title\":\"T\",\"properties\":{\"a\":1}}"), parse("{\"title\":\"U\",\"properties\":{\"a\":2}}"), true);
    change_write(c, parse("{\"properties\":{\"b\":null}}"), parse("{\"properties\":{\"b\":3}}"), true);
    char *got = fields(c, NULL);
    assert_string_equal(got, "{\"path\":\"title\",\"before\":\"T\",\"after\":\"U\"},"
                             "{\"path\":\"properties.a\",\"before\":1,\"after\":2},{\"path\":\"properties.b\",\"after\":3}");
    free(got);
    /* And back again. */
    change_write(c, parse("{\"title\":\"T\",\"properties\":{\"a\":1}}"), parse("{\"title\":\"T\",\"properties\":{\"a\":1}}"), true);
    change_write(c, parse("{\"properties\":{\"b\":null}}"), parse("{\"properties\":{\"b\":null}}"), true);
    got = fields(c, NULL);
    assert_string_equal(got, "");
    free(got);
    change_reset(c);
    /* Created, then written again: with and without merging. */
    change_write(c, JSON_NONE, parse("{\"title\":\"A\",\"properties\":{\"a\":1}}"), true);
    change_write(c, JSON_NONE, parse("{\"properties\":{\"b\":1}}"), true);
    assert_false(change_exists(c));
    got = fields(c, NULL);
    assert_string_equal(got, "{\"path\":\"title\",\"after\":\"A\"},{\"path\":\"properties.a\",\"after\":1},"
                             "{\"path\":\"properties.b\",\"after\":1}");
    free(got);
    change_reset(c);
    change_write(c, JSON_NONE, parse("{\"title\":\"A\",\"properties\":{\"a\":1}}"), false);
    change_write(c, JSON_NONE, parse("{\"properties\":{\"b\":1}}"), false);
    got = fields(c, NULL);
    assert_string_equal(got, "{\"path\":\"properties.b\",\"after\":1}");
    free(got);
    change_free(c);
}

static void what_the_blueprint_does_not_define_does_not_count(void **state)
{
    (void)state;
    struct schema s = {.blueprint = parse("{\"schema\":{\"properties\":{\"a\":{}}},\"relations\":{\"r\":{\"target\":\"x\"}}}"),
                       .ready = true};
    struct change *c = change_new();
    change_write(c, parse("{\"properties\":{\"kept\":1}}"),
                 parse("{\"properties\":{\"a\":1,\"b\":1,\"kept\":2},\"relations\":{\"r\":\"x\",\"q\":\"x\"}}"), true);
    char *got = fields(c, &s);
    assert_string_equal(got, "{\"path\":\"properties.a\",\"after\":1},{\"path\":\"properties.kept\",\"before\":1,\"after\":2},"
                             "{\"path\":\"relations.r\",\"after\":\"x\"}");
    free(got);
    change_free(c);
}

static void blank_may_be_absent(void **state)
{
    (void)state;
    struct buf out;
    size_t n = 0;
    buf_init(&out, BUF_NO_LIMIT);
    change_values(&out, &n, "r", parse("{\"a\":{\"required\":false,\"many\":true}}"), parse("{\"a\":{\"many\":true,\"x\":[]}}"),
                  true);
    assert_int_equal(n, 0);
    change_values(&out, &n, "r", parse("{\"a\":1}"), parse("{\"a\":2,\"b\":3}"), true);
    assert_string_equal(buf_cstr(&out), "{\"path\":\"r.a\",\"before\":1,\"after\":2},{\"path\":\"r.b\",\"after\":3}");
    assert_int_equal(n, 2);
    buf_done(&out);
}

/* For people ------------------------------------------------------------------------------------------------------- */

static void shortened(const char *value, const char *other, const char *want)
{
    struct buf out;
    buf_init(&out, BUF_NO_LIMIT);
    preview_shorten(&out, parse(value), parse(other));
    assert_string_equal(buf_cstr(&out), want);
    buf_done(&out);
}

#define TEN "1234567890"
#define FIFTY TEN TEN TEN TEN TEN
#define E10 "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"

static void long_values_are_cut(void **state)
{
    (void)state;
    shortened("\"short\"", NULL, "\"short\"");
    shortened("null", NULL, "null");
    shortened("\"" FIFTY TEN "\"", NULL, "\"" FIFTY TEN "\"");
    shortened("\"" FIFTY TEN "x\"", NULL, "\"" FIFTY "...\" (61 characters)");
    shortened("\"" E10 E10 E10 E10 E10 E10 "\"", NULL, "\"" E10 E10 E10 E10 E10 E10 "\""); /* characters, not bytes */
    shortened("\"" E10 E10 E10 E10 E10 E10 E10 "\"", NULL, "\"" E10 E10 E10 E10 E10 "...\" (70 characters)");
    shortened("[1,\"" FIFTY TEN "\"]", NULL, "[1,\"" TEN TEN TEN TEN "123456... (66 characters)");
    /* Texts that begin alike: where they differ. */
    shortened("\"" FIFTY FIFTY "abc\"", "\"" FIFTY FIFTY "xyz\"", "\"...90" TEN "abc\" (103 characters)");
    shortened("\"" E10 E10 E10 E10 E10 E10 E10 "a\"", "\"" E10 E10 E10 E10 E10 E10 E10 "b\"",
              "\"..." E10 "\xc3\xa9\xc3\xa9"
              "a\" (71 characters)");
    shortened("\"" FIFTY TEN "x\"", "\"other\"", "\"" FIFTY "...\" (61 characters)");
}

static void what_a_terminal_obeys_is_written_out(void **state)
{
    (void)state;
    shortened("\"a\\u001b[2Jb\"", NULL, "\"a\\u001b[2Jb\"");
    shortened("\"a\\u007f\\u009b\\u202e\\u2066b\\u00e9\\u2013\"", NULL,
              "\"a\\u007f\\u009b\\u202e\\u2066b\xc3\xa9\xe2\x80\x93\"");
}

static void line(const char *json, const char *want)
{
    struct buf out;
    buf_init(&out, BUF_NO_LIMIT);
    preview_line_text(&out, parse(json));
    assert_string_equal(buf_cstr(&out), want);
    buf_done(&out);
}

#define ENTITY(change) "{\"change\":\"" change "\",\"type\":\"entity\",\"blueprint\":\"b\",\"identifier\":\"i\""

static void lines_for_people(void **state)
{
    (void)state;
    line(ENTITY("create") ",\"fields\":[{\"path\":\"title\",\"after\":\"T\"}]}", "+ b/i\n      title: \"T\"\n");
    line(ENTITY("update") ",\"takes_over\":true,\"fields\":[{\"path\":\"title\",\"before\":\"T\"},{\"path\":\"p\",\"after\":1}]}",
         "~ b/i  taken over: somebody else wrote it last\n      title: \"T\" -> (none)\n      p: (none) -> 1\n");
    line(ENTITY("update") ",\"fields\":[{\"path\":\"t\",\"before\":[1],\"after\":[2],\"added\":[2],\"removed\":[1]},"
                          "{\"path\":\"o\",\"before\":[1,2],\"after\":[2,1],\"added\":[],\"removed\":[]},"
                          "{\"path\":\"m\",\"before\":[],\"after\":[1],\"added\":[0,1,2,3,4,5,6,7,8,9],\"removed\":[]},"
                          "{\"path\":\"s\",\"before\":\"x\",\"search\":{\"rules\":[]}}]}",
         "~ b/i\n      t: +2 -1\n      o: in another order\n      m: +0 +1 +2 +3 +4 +5 +6 +7 +2 more\n"
         "      s: \"x\" -> whatever is found by {\"rules\":[]}\n");
    line(ENTITY("delete") ",\"resources\":[{\"kind\":\"k\",\"index\":0},{\"kind\":\"l\",\"index\":2}]}",
         "- b/i  no longer produced by k-0, l-2\n");
    line(ENTITY("delete") ",\"resources\":[]}", "- b/i  no resource of the mapping produces its blueprint any more\n");
    line(ENTITY("delete") ",\"by\":\"cascade\"}", "- b/i  it requires something that is deleted, so Port deletes it too\n");
    line(ENTITY("held_back") ",\"rule\":\"empty\",\"resources\":[{\"kind\":\"k\",\"index\":0}]}",
         "! b/i  held back (empty), no longer produced by k-0\n");
    line(ENTITY("held_back") ",\"by\":\"cascade\"}", "! b/i  held back, it requires something that is held back\n");
    line(ENTITY("create") ",\"by\":\"relation\",\"fields\":[]}",
         "+ b/i  made by Port, because a relation of this plan points to it\n");
    line("{\"change\":\"write\",\"type\":\"entity\",\"blueprint\":\"b\",\"search\":{\"rules\":[]},\"matches\":0,\"fields\":[]}",
         "? b by search {\"rules\":[]}  written to whatever matches, now 0\n");
    line("{\"change\":\"update\",\"type\":\"blueprint\",\"identifier\":\"b\",\"fields\":[{\"path\":\"title\",\"before\":\"x\","
         "\"after\":\"y\"}]}",
         "~ blueprint b\n      title: \"x\" -> \"y\"\n");
}

static void secrets_are_masked_for_people(void **state)
{
    (void)state;
    mask_add(STR("s3cr3t-token"));
    line(ENTITY("create") ",\"fields\":[{\"path\":\"p\",\"after\":\"s3cr3t-token\"}]}", "+ b/i\n      p: \"[REDACTED]\"\n");
    mask_clear();
}

#define T(name) cmocka_unit_test_teardown(name, forget)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(values_of_one_write),
        T(the_order_is_that_of_paths),
        T(objects_are_compared_member_by_member),
        T(deep_values_end),
        T(lists_say_what_came_and_went),
        T(teams_have_no_order),
        T(without_merging_what_is_not_named_goes),
        T(several_writes_are_one_change),
        T(what_the_blueprint_does_not_define_does_not_count),
        T(blank_may_be_absent),
        T(long_values_are_cut),
        T(what_a_terminal_obeys_is_written_out),
        T(lines_for_people),
        T(secrets_are_masked_for_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
