/* The language: grammar, values, builtins, budgets. Expected outputs are jq 1.8.2's. */
#include "support.h"

#define CHECK(cases) check_cases(cases, ARRAY_LEN(cases))

static void paths(void **state)
{
    static const struct jq_case cases[] = {
        {".", "1", "1"},
        {".a", "{\"a\":1}", "1"},
        {".a", "{\"b\":1}", "null"},
        {".a", "null", "null"},
        {".a", "5", "!Cannot index number with string (\"a\")"},
        {".a.b.c", "{\"a\":{\"b\":{\"c\":7}}}", "7"},
        {".\"a b\"", "{\"a b\":1}", "1"},
        {".[\"a\"]", "{\"a\":1}", "1"},
        {".a.\"b\".[\"c\"]", "{\"a\":{\"b\":{\"c\":1}}}", "1"},
        {".[0], .[-1], .[5]", "[1,2,3]", "1 3 null"},
        {".[1.7]", "[1,2,3]", "2"},
        {".[1:], .[:1], .[1:2], .[-1:]", "[1,2,3]", "[2,3] [1] [2] [3]"},
        {".[1:2]", "\"a\xC3\xA9z\"", "\"\xC3\xA9\""},
        {"[.[]]", "{\"b\":1,\"a\":2}", "[1,2]"},
        {".a[]?", "{\"a\":5}", ""},
        {"[.a.b?]", "5", "!Cannot index number with string (\"a\")"},
        {"[.a?.b?]", "5", "[]"},
        {"[..]", "[[1]]", "[[[1]],[1],1]"},
        {".and.if", "{\"and\":{\"if\":1}}", "1"},
        {".[[2]]", "[1,2,3,2]", "[1,3]"},
        {".a", "{\"a\":1,\"a\":2}", "2"},
        {".", "{\"a\":1,\"b\":3,\"a\":2}", "{\"a\":2,\"b\":3}"},
        {"(.a,.b)[(0,1)]", "{\"a\":[1,2],\"b\":[3,4]}", "1 3 2 4"},
    };
    (void)state;
    CHECK(cases);
}

/* What is no string though it stands in the text is a mistake before any item is looked at. */
static void constant_keys(void **state)
{
    static const char *const broken[] = {"{(1): .}", "{((. | false)): .}", "{([\"a\"]): .}", "{({a: [1]}): .}", "{(null | .): .}",
                                         "{(1 + 1): .}", "{(\"\" < 3.5): .}", "{(null == 1): .}", "{([(. | 1)]): empty}"};
    static const struct jq_case cases[] = {
        {"{(\"a\" | .): 1}", "null", "{\"a\":1}"},
        {"{(\"a\", \"b\"): 1}", "null", "{\"a\":1} {\"b\":1}"},
        {"{([.]): empty}", "null", ""},
        {"{(-1): empty}", "null", ""},
        {"{(.): 1}", "1", "!Cannot use number (1) as object key"},
        {"path(1 | .a?)", "null", "!Invalid path expression near attempt to access element \"a\" of 1"},
        {"[.[] | finites], ([nan | finites] | length)", "[1,null,\"a\",1e400,[1]]", "[1] 1"},
        {"path(empty |= 1)", "{\"a\":2}", "!Invalid path expression near attempt to access element 0 of [{\"a\":2},[]]"},
        {"path(empty = 1)", "{\"a\":2}", "[]"},
        {"transpose", "[0.5]", "!Cannot index number with number (0)"},
        {"transpose", "[3.5,100000000000000000001]", "!Cannot index number with number (0)"},
        {"[1e17] | todate", "null", "\"-2147481750-12-31T00:00:00Z\""},
        {"[0.00001] | todate", "null", "\"0-12-31T00:00:00Z\""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
        struct expr_space space = {.arena = arena_new(0)};
        struct expr x;
        heap_init(&space.heap, EV_HEAP_MAX);
        expr_compile(&space, str_of(broken[i]), "x", &x);
        if (x.how != EXPR_BROKEN)
            print_error("%s compiles\n", broken[i]);
        assert_int_equal(x.how, EXPR_BROKEN);
        heap_done(&space.heap);
        arena_free(space.arena);
    }
    CHECK(cases);
}

static void numbers(void **state)
{
    static const struct jq_case cases[] = {
        {".", "9007199254740993", "9007199254740993"},
        {".[]", "[1.10,1e2,-0,0.0000001,1.0,1E400]", "1.10 1E+2 -0 1E-7 1.0 1E+400"},
        {". + 0", "9007199254740993", "9007199254740992"},
        {"-.", "1.10", "-1.10"},
        {"tostring", "1e1000", "\"1E+1000\""},
        {"[1, 1.0, 1.00] | unique", "null", "[1]"},
        {". == 9007199254740992", "9007199254740993", "false"},
        {"-1.2345678901234567e31 * 1 | tostring", "null", "\"-12345678901234567000000000000000\""},
        {"[0.00001 + 0, 1e17 + 0, 1e15 + 0, 1e16 + 0, 0.0001 + 0, 0.1 + 0.2]", "null",
         "[1e-05,1e+17,1000000000000000,1e+16,0.0001,0.30000000000000004]"},
        {"nan < nan, nan == nan, ([nan] | sort)", "null", "true false [null]"},
        {"infinite, -infinite", "null", "1.7976931348623157e+308 -1.7976931348623157e+308"},
        {"5 % 3, -5 % 3, 5 % -3, -7 % 7, 5.9 % 3.1", "null", "2 -2 2 0 2"},
        {"1 / 0", "null", "!number (1) and number (0) cannot be divided because the divisor is zero"},
        {"[.[] | tonumber?]", "[\"1.50\",\"+1\",\"1e5\",\".5\",\"5.\",\"\",\"1 \",\"0x1\"]",
         "[1.50,1,1E+5,0.5,5]"},
        {"007, 5., .5, 100", "null", "7 5 0.5 100"},
        {"5e-324 + 0", "null", "5e-324"},
    };
    (void)state;
    CHECK(cases);
}

static void construction(void **state)
{
    static const struct jq_case cases[] = {
        {"{a: 1, \"b\": 2, \"c\\(1)\": 3, (\"d\"): 4}", "null", "{\"a\":1,\"b\":2,\"c1\":3,\"d\":4}"},
        {"{a, \"b\", @base64 \"c\"}", "{\"a\":1,\"b\":2,\"c\":3}", "{\"a\":1,\"b\":2,\"c\":3}"},
        {"1 as $x | {$x, $__loc__, if: 1}", "null",
         "{\"x\":1,\"__loc__\":{\"file\":\"<top-level>\",\"line\":1},\"if\":1}"},
        {"{a: (1,2), b: (3,4)}", "null",
         "{\"a\":1,\"b\":3} {\"a\":1,\"b\":4} {\"a\":2,\"b\":3} {\"a\":2,\"b\":4}"},
        {"{a: 1 | . + 1, b: 2,}", "null", "{\"a\":2,\"b\":2}"},
        {"{(1): 2}", "null", "?"},
        {"{a: 1 as $x | 2}", "null", "?"},
        {"\"\\(1,2)-\\(3,4)\"", "null", "\"1-3\" \"2-3\" \"1-4\" \"2-4\""},
        {"\"a\\(\"b\\(1 + 1)\")c\"", "null", "\"ab2c\""},
        {"\"\\u00e9\\ud83d\\ude00\"", "null", "\"\xC3\xA9\xF0\x9F\x98\x80\""},
        {"[1,2,(3,4)]", "null", "[1,2,3,4]"},
        {"[]", "null", "[]"},
        {"[1,]", "null", "?"},
    };
    (void)state;
    CHECK(cases);
}

static void formats(void **state)
{
    static const struct jq_case cases[] = {
        {"@text, @json", "[1.0]", "\"[1.0]\" \"[1.0]\""},
        {"@html \"<b>\\(.)</b>\"", "\"<&'\\\">\"", "\"<b>&lt;&amp;&apos;&quot;&gt;</b>\""},
        {"@html \"<b>\\(\"<\")</b>\"", "null", "\"<b>&lt;</b>\""},
        {"@uri", "\"\xC3\xA9 a-b_c.d~!\"", "\"%C3%A9%20a-b_c.d~%21\""},
        {"@urid", "\"%41b\"", "\"Ab\""},
        {"@csv, @tsv", "[1,\"a\\\"b\",null,true,\"x\\ty\"]",
         "\"1,\\\"a\\\"\\\"b\\\",,true,\\\"x\\ty\\\"\" \"1\\ta\\\"b\\t\\ttrue\\tx\\\\ty\""},
        {"@sh", "[1,\"a'b\"]", "\"1 'a'\\\\''b'\""},
        {"@base64, (@base64 | @base64d)", "\"fo\xC3\xB3\"", "\"Zm/Dsw==\" \"fo\xC3\xB3\""},
        {"@base64d", "\"!\"", "!string (\"!\") is not valid base64 data"},
        {"@foo", "1", "!foo is not a valid format"},
    };
    (void)state;
    CHECK(cases);
}

static void operators(void **state)
{
    static const struct jq_case cases[] = {
        {"1 + 2 * 3 - 4 / 2", "null", "5"},
        {"1 + 2 as $x | $x * 10", "null", "30"},
        {"-1 as $x | $x", "null", "-1"},
        {"1 - -1, --1", "null", "2 1"},
        {"null + 1, 1 + null, {} + {a: 1}, [1] + [2], \"a\" + \"b\"", "null", "1 1 {\"a\":1} [1,2] \"ab\""},
        {"[1,2,3,1] - [1]", "null", "[2,3]"},
        {"{a: {b: 1}} * {a: {c: 2}}", "null", "{\"a\":{\"b\":1,\"c\":2}}"},
        {"\"ab\" * 3, \"x\" * 0, \"x\" * -1", "null", "\"ababab\" \"\" null"},
        {"\"a,b\" / \",\"", "null", "[\"a\",\"b\"]"},
        {"1 < 2 < 3", "null", "?"},
        {"1 == 1.0, \"a\" < \"b\", [] < {}, null < false", "null", "true true true true"},
        {"[(true,false) and (true,false)]", "null", "[true,false,false]"},
        {"1 // 2, (null // 3), (empty // 4), ((null,1,2) // 5)", "null", "1 3 4 1 2"},
        {"[error(\"x\") // 5]", "null", "!x"},
        {"1 // 2 // 3, .a and .b or true", "null", "1 true"},
        {"{} + 1", "null", "!object ({}) and number (1) cannot be added"},
    };
    (void)state;
    CHECK(cases);
}

static void control(void **state)
{
    static const struct jq_case cases[] = {
        {"if . then 1 end, (if false then 1 elif true then 2 else 3 end)", "true", "1 2"},
        {"[.[] | if . then \"a\" else \"b\" end]", "[null,false,true,0]", "[\"b\",\"b\",\"a\",\"a\"]"},
        {"try error(\"x\") catch . + \"y\"", "null", "\"xy\""},
        {"try (1, error(\"x\")) catch .", "null", "1 \"x\""},
        {"[.[] | try error catch .]", "[1,null]", "[1,null]"},
        {"try (1 | error(\"in\")) catch \"caught\" | error(\"out\")", "null", "!out"},
        {"(1,2) as $x | (3,4) as $y | [$x,$y]", "null", "[1,3] [1,4] [2,3] [2,4]"},
        {". as {a: $x, b: [$y, $z]} | [$x,$y,$z]", "{\"a\":1,\"b\":[2]}", "[1,2,null]"},
        {". as {$a, b: $c} | [$a,$c]", "{\"a\":1,\"b\":2}", "[1,2]"},
        {".[] as [$a] ?// $a | [$a]", "[[1],2]", "[1] [2]"},
        {"reduce .[] as $x (0; . + $x)", "[1,2,3]", "6"},
        {"reduce (1,2) as $x (0; empty)", "null", "null"},
        {"[foreach (1,2,3) as $x (0; . + $x; [$x,.])]", "null", "[[1,1],[2,3],[3,6]]"},
        {"[label $out | 1, 2, break $out, 3]", "null", "[1,2]"},
        {"break $x", "null", "?"},
        {"def f(x): x * 2; f(3)", "null", "6"},
        {"def f($a; g): $a + g; f(1; 2, 3)", "null", "3 4"},
        {"def fac: if . <= 1 then 1 else . * (. - 1 | fac) end; 10 | fac", "null", "3628800"},
        {"def f(g): def h: g; h; f(1,2)", "null", "1 2"},
        {"[limit(3; range(10))], first(range(5; 10)), [skip(2; 1,2,3)], nth(1; 5,6)", "null",
         "[0,1,2] 5 [3] 6"},
        {"halt, 1", "null", ""},
        {"[inputs], (try input catch .)", "null", "[] \"break\""},
    };
    (void)state;
    CHECK(cases);
}

static void assignment(void **state)
{
    static const struct jq_case cases[] = {
        {".a = 1, (.a |= . + 1)", "{\"a\":5}", "{\"a\":1} {\"a\":6}"},
        {".a += 1", "null", "{\"a\":1}"},
        {".[] += (1,2)", "[1,2]", "[2,3] [3,4]"},
        {".a //= (3,4)", "null", "{\"a\":3} {\"a\":4}"},
        {"(.[] | select(. > 1)) |= empty", "[1,2,3,4]", "[1]"},
        {".[1:2] = [7,8,9]", "[1,2,3]", "[1,7,8,9,3]"},
        {"del(.[0,2]), del(.[1:])", "[1,2,3]", "[2] [1]"},
        {"del(.[1], .[-6], .[2], .[-3:9])", "[0,1,2,3,4,5,6,7,8,9]", "[0,3,5,6,9]"},
        {"[paths]", "{\"a\":[1]}", "[[\"a\"],[\"a\",0]]"},
        {"path(.a // .b)", "null", "[\"b\"]"},
        {"path(first(.a, .b))", "null", "[\"a\"]"},
        /* a value is a path when it is the very one that the path found */
        {"[path(3.5 | null)], [path(true | null)], [path(1 | null | .a)]", "null", "[[]] [[]] [[\"a\"]]"},
        {"[path(.a | . as $x | 1 | $x | .[0])], [path(.a | (. + null) | .[0])]", "{\"a\":[1]}",
         "[[\"a\",0]] [[\"a\",0]]"},
        {"[path(foreach (.c, .d) as $x (0; 1; $x))], [path(.c | try error(.) catch .)]", "{\"c\":1,\"d\":2}",
         "[[\"c\"],[\"d\"]] [[\"c\"]]"},
        {"path({} | getpath([\"a\"]))", "{\"a\":1}", "!Invalid path expression with result null"},
        {"path(reduce (1, 2) as $x (.; .a))", "{\"a\":{}}",
         "!Invalid path expression near attempt to access element \"a\" of {}"},
        {"path(.a as [$x] | .b)", "{\"a\":[1]}",
         "!Invalid path expression near attempt to access element 0 of [1]"},
        /* what comes behind ?// counts, and so does a break; later initial values see null */
        {"[first([1] as [$a] ?// $a | $a)]", "null", "[1,[1]]"},
        {".a |= ([1] as [$x] ?// $x | 2)", "{\"a\":1}", "!Paths must be specified as an array"},
        {"([1] as [$a] ?// $a | $a) | if type == \"number\" then error(\"x\") else . end", "null", "[1]"},
        {"reduce . as $x ((0, 10); . + $x), [foreach . as $x ((0, 10); . + $x)]", "5", "5 10 [5,15]"},
        {"try path(.a | tostring) catch .", "null", "\"Invalid path expression with result \\\"null\\\"\""},
        {"getpath([\"a\",0]), setpath([\"a\"]; 1), delpaths([[\"a\"]])", "{\"a\":[7]}", "7 {\"a\":1} {}"},
        {"pick(.a.b, .c[1])", "{\"a\":{\"b\":1,\"x\":2},\"c\":[1,2,3]}", "{\"a\":{\"b\":1},\"c\":[null,2]}"},
        {".a = .b // 3", "{\"b\":1}", "{\"b\":1,\"a\":1}"},
        {".[-5] = 1", "[1]", "!Out of bounds negative array index"},
    };
    (void)state;
    CHECK(cases);
}

static void containers(void **state)
{
    static const struct jq_case cases[] = {
        {"[.[] | length]", "[\"a\xC3\xB1\",[1],{\"a\":1},null,-5.5]", "[2,1,1,0,5.5]"},
        {"keys, keys_unsorted, to_entries", "{\"b\":1,\"a\":2}",
         "[\"a\",\"b\"] [\"b\",\"a\"] [{\"key\":\"b\",\"value\":1},{\"key\":\"a\",\"value\":2}]"},
        {"from_entries", "[{\"name\":\"a\",\"value\":1},{\"key\":\"b\",\"value\":false}]",
         "{\"a\":1,\"b\":false}"},
        {"with_entries(.value += 1), map_values(empty)", "{\"a\":1}", "{\"a\":2} {}"},
        {"group_by(.a), unique_by(.a), sort_by(-.a)", "[{\"a\":2},{\"a\":1,\"b\":1},{\"a\":1}]",
         "[[{\"a\":1,\"b\":1},{\"a\":1}],[{\"a\":2}]] [{\"a\":1,\"b\":1},{\"a\":2}] "
         "[{\"a\":2},{\"a\":1,\"b\":1},{\"a\":1}]"},
        {"min_by(.a), max_by(.a), (map(.a) | min, max)", "[{\"a\":1},{\"a\":2}]", "{\"a\":1} {\"a\":2} 1 2"},
        {"sort", "[{\"a\":2},[],\"\",0,null,true,false,{\"b\":1}]",
         "[null,false,true,0,\"\",[],{\"a\":2},{\"b\":1}]"},
        {"add, any, all, flatten, reverse", "[[1],[2]]", "[1,2] true true [1,2] [[2],[1]]"},
        {"any(. > 1), all(. > 0), IN(.[]; 2), isempty(.[])", "[1,2]", "true true true false"},
        {"contains({\"a\":[\"b\"]}), has(\"a\"), inside({\"a\":[\"abc\"],\"c\":1})", "{\"a\":[\"abc\"]}",
         "true true true"},
        {"INDEX(.id)", "[{\"id\":1},{\"id\":\"a\"}]", "{\"1\":{\"id\":1},\"a\":{\"id\":\"a\"}}"},
        {"[walk(if type == \"number\" then . + 1 else . end)]", "[1,{\"a\":2}]", "[[2,{\"a\":3}]]"},
        {"transpose, [combinations]", "[[1,2],[3,4]]", "[[1,3],[2,4]] [[1,3],[1,4],[2,3],[2,4]]"},
        {"fromstream(tostream)", "{\"a\":[1,{\"b\":2}]}", "{\"a\":[1,{\"b\":2}]}"},
        {"[range(0; 10; 3)], [range(5; 0; -2)]", "null", "[0,3,6,9] [5,3,1]"},
        {"[.[] | scalars], [.[] | iterables]", "[1,[2],\"a\"]", "[1,\"a\"] [[2]]"},
        {"tojson | fromjson", "{\"a\":[1.0,\"x\"]}", "{\"a\":[1.0,\"x\"]}"},
        {"fromjson", "\"[1,2\"", "!Unfinished JSON term at EOF at line 1, column 4 (while parsing '[1,2')"},
        {"fromjson", "\"{'a':1}\"",
         "!Invalid string literal; expected \", but got ' at line 1, column 5 (while parsing '{'a':1}')"},
        {"fromjson", "\"[1,\\n2,]\"", "!Expected another array element at line 2, column 3 (while parsing '[1,\n2,]')"},
        {"try fromjson catch .[:34]", "\"\\\"\\t\\\"\"", "\"Invalid string: control characters\""},
    };
    (void)state;
    CHECK(cases);
}

static void strings(void **state)
{
    static const struct jq_case cases[] = {
        {"split(\", \"), split(\"\")", "\"a, b\"", "[\"a\",\"b\"] [\"a\",\",\",\" \",\"b\"]"},
        {"ltrimstr(\"a\"), rtrimstr(\"a\"), trimstr(\"a\")", "\"aba\"", "\"ba\" \"ab\" \"b\""},
        {"trim, ltrim, rtrim", "\" a \"", "\"a\" \"a \" \" a\""},
        {"startswith(\"a\"), endswith(\"b\")", "\"ab\"", "true true"},
        {"startswith(1)", "\"a\"", "!startswith() requires string inputs"},
        {"ascii_downcase, ascii_upcase", "\"aZ\xC3\xA9\"", "\"az\xC3\xA9\" \"AZ\xC3\xA9\""},
        {"join(\",\")", "[1,null,\"a\",true]", "\"1,,a,true\""},
        {"index(\"b\"), rindex(\"b\"), indices(\"b\")",
         "\"\xC3\xA9"
         "bcb\"",
         "1 3 [1,3]"},
        {"explode | implode", "\"a\xE2\x82\xAC\"", "\"a\xE2\x82\xAC\""},
        {"test(\"A\"; \"i\"), test(\"^b\")", "\"ab\"", "true false"},
        {"[match(\"(a)(?<n>x)?\"; \"g\") | .offset, .captures[1].string]", "\"baax\"", "[1,null,2,\"x\"]"},
        {"capture(\"(?<x>a)(?<y>z)?\")", "\"ab\"", "{\"x\":\"a\",\"y\":null}"},
        {"[scan(\"a.\")], [scan(\"(a)(.)\")]", "\"abac\"", "[\"ab\",\"ac\"] [[\"a\",\"b\"],[\"a\",\"c\"]]"},
        {"sub(\"(?<x>a)\"; \"<\\(.x)>\"), gsub(\"a\"; \"\")", "\"aba\"", "\"<a>ba\" \"b\""},
        {"gsub(\"^\"; \"x\"), gsub(\"\"; \"-\"), gsub(\"x?\"; \"-\")", "\"ab\"",
         "\"xab\" \"-a-b-\" \"-a-b-\""},
        {"[gsub(\"(?<x>[ab])\"; \"\\(.x)1\", \"\\(.x)2\")]", "\"ab\"", "[\"a1b1\",\"a2b2\"]"},
        {"[splits(\", *\")], split(\"a+\"; \"g\")", "\"xaay, b\"", "[\"xaay\",\"b\"] [\"x\",\"y, b\"]"},
    };
    (void)state;
    CHECK(cases);
}

/* The time zone of the process must not matter. */
static void dates(void **state)
{
    static const struct jq_case cases[] = {
        {"todate, gmtime", "1425599621", "\"2015-03-05T23:53:41Z\" [2015,2,5,23,53,41,4,63]"},
        {"fromdate", "\"2015-03-05T23:51:47Z\"", "1425599507"},
        {"strptime(\"%d %b %Y\") | mktime", "\"5 Mar 2015\"", "1425513600"},
        {"strftime(\"%A %j %Z %s\")", "1425599621", "\"Thursday 064 GMT 1425599621\""},
        {"strptime(\"%H:%M\")", "\"09:05\"", "[1900,0,0,9,5,0,8,367]"},
        {"localtime | mktime", "0", "0"},
        {"fromdate", "\"x\"", "!date \"x\" does not match format \"%Y-%m-%dT%H:%M:%SZ\""},
        {"todate", "1e18", "!error converting number of seconds since epoch to datetime"},
        {"now | type", "null", "\"number\""},
    };
    (void)state;
    setenv("TZ", "America/New_York", 1);
    CHECK(cases);
    unsetenv("TZ");
}

static void syntax(void **state)
{
    static const struct jq_case cases[] = {
        {"", "1", "?"},
        {"   ", "1", "?"},
        {"# only a comment", "1", "?"},
        {"1 # comment", "1", "1"},
        {"1 # not \\\n + 5\n + 1", "1", "2"},
        {".a.", "1", "?"},
        {"$x", "1", "?"},
        {"foo", "1", "?"},
        {"import \"a\" as a; 1", "1", "?"},
        {"include \"a\"; 1", "1", "?"},
        {"get_search_list", "1", "?"},
        {"leaf_paths", "1", "?"},
        {"(", "1", "?"},
        {"\"abc", "1", "?"},
        {"\"\\x\"", "1", "?"},
        {"get_jq_origin", "1", "libjq"},
        {"'a'", "null", "\"a\""},
        {".a + '-' + .b", "{\"a\":\"x\",\"b\":\"y\"}", "\"x-y\""},
        {"\"don't 'quote' me\"", "1", "\"don't 'quote' me\""},
    };
    (void)state;
    CHECK(cases);
}

static void messages(void **state)
{
    struct expr_space space = {.arena = arena_new(0)};
    struct expr x;
    (void)state;
    heap_init(&space.heap, EV_HEAP_MAX);
    expr_compile(&space, STR(".a |\n  .b + )"), "properties.x", &x);
    assert_int_equal(x.how, EXPR_BROKEN);
    assert_string_equal(x.why, "syntax error: unexpected ')', expected an expression at line 2, column 8\n   "
                               "   .b + )\n           ^");
    expr_compile(&space, STR("map(fooo)"), "properties.x", &x);
    assert_string_equal(x.why, "fooo/0 is not defined at column 5\n    map(fooo)\n        ^");
    heap_done(&space.heap);
    arena_free(space.arena);
}

/* Each ends by its budget, which nothing inside jq can catch. */
static void budgets(void **state)
{
    static const char *const exprs[] = {
        "[range(1e12)]",
        "last(range(1e12))",
        "def f: f; f",
        "def f: 1 + f; f",
        "def f: [f]; f",
        "def f: f; try f catch 1",
        "(def f: f; f)? // 3",
        "reduce range(100) as $i (\"x\"; . + .)",
        "\"x\" * 1e9",
        "until(false; . + 1)",
        "reduce range(1e9) as $i ([]; [.])",
        "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\" | test(\"(a+)+b\")",
        "[limit(1e9; repeat(1))]",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(exprs); i++) {
        char *got = run_jq(exprs[i], "null");
        if (got[0] != '#')
            fail_msg("%s: expected to end by its budget, got %.100s", exprs[i], got);
        free(got);
    }
    static const struct jq_case fine[] = {
        {"reduce range(200000) as $i (\"\"; . + \"x\") | length", "null", "200000"},
        {"reduce range(200000) as $i ([]; . + [$i]) | length", "null", "200000"},
        {"reduce range(50000) as $i ({}; .[\"k\\($i)\"] = $i) | length", "null", "50000"},
        {"def f: if . == 0 then 0 else . - 1 | f end; 9000 | f", "null", "0"},
        {"[recurse(if . < 9000 then . + 1 else empty end)] | length", "null", "9001"},
        {"reduce range(9000) as $i (null; [.]) | [..] | length", "null", "9001"},
    };
    CHECK(fine);
}

/* Nested so deeply that a careless parser would run out of stack. */
static void nesting(void **state)
{
    (void)state;
    static const char *const pieces[] = {"(", "[", "{a:", "-", "if ", "def f: ", "try ", "1+(", "\"\\("};
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        struct buf b;
        buf_init(&b, BUF_NO_LIMIT);
        for (int k = 0; k < 100000; k++)
            buf_adds(&b, pieces[i]);
        char *got = run_jq(buf_cstr(&b), "null");
        assert_string_equal(got, "?");
        free(got);
        buf_done(&b);
    }
}

/* Versions of one array or object do not see each other's additions. */
static void sharing(void **state)
{
    static const struct jq_case cases[] = {
        {"[1] as $a | ($a + [2]), ($a + [3]), $a", "null", "[1,2] [1,3] [1]"},
        {"{a: 1} as $o | ($o + {b: 2}), ($o + {c: 3}), $o", "null",
         "{\"a\":1,\"b\":2} {\"a\":1,\"c\":3} {\"a\":1}"},
        {"\"a\" as $s | ($s + \"b\") as $t | ($t + \"c\"), ($t + \"d\"), $t", "null",
         "\"abc\" \"abd\" \"ab\""},
        {"\"abcdefgh\" | (.[:4] + \"X\"), .", "null", "\"abcdX\" \"abcdefgh\""},
        {"([1,2] + []) as $a | reduce range(3) as $i (0; ($a + [$i, 9] | length) + .) | ., $a", "null",
         "12 [1,2]"},
    };
    (void)state;
    CHECK(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths),
        cmocka_unit_test(constant_keys),      cmocka_unit_test(numbers),    cmocka_unit_test(construction),
        cmocka_unit_test(formats),    cmocka_unit_test(operators),  cmocka_unit_test(control),
        cmocka_unit_test(assignment), cmocka_unit_test(containers), cmocka_unit_test(strings),
        cmocka_unit_test(dates),      cmocka_unit_test(syntax),     cmocka_unit_test(messages),
        cmocka_unit_test(budgets),    cmocka_unit_test(nesting),    cmocka_unit_test(sharing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
