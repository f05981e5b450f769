/* libjq in its process: this binary is the process too, when it is called with --jq-worker. */
#include "support.h"

#include <pthread.h>

#include "io/loop.h"
#include "io/worker.h"

struct call {
    struct worker_job job;
    struct loop *loop;
    struct jq_host *host;
    const struct str *exprs, *inputs;
    size_t nexpr, ninput;
    struct jq_answer answers[64];
    struct buf texts;
    struct err err;
    int rc;
};

static void on_pool(struct worker_job *job)
{
    struct call *c = (struct call *)job;
    c->rc = jq_host_eval(c->host, c->exprs, c->nexpr, c->inputs, c->ninput, c->answers, &c->texts, &c->err);
}

static void on_loop(struct worker_job *job) { loop_stop(((struct call *)job)->loop); }

static void ask(struct call *c, struct loop *l, struct jq_host *h, const struct str *exprs, size_t nexpr,
                const struct str *inputs, size_t ninput)
{
    *c = (struct call){
        .loop = l, .host = h, .exprs = exprs, .nexpr = nexpr, .inputs = inputs, .ninput = ninput};
    buf_init(&c->texts, BUF_NO_LIMIT);
    c->job.run = on_pool;
    c->job.done = on_loop;
    worker_submit(l, &c->job);
    loop_run(l);
}

static void expect(const struct call *c, size_t at, unsigned what, const char *text)
{
    char got[200];
    snprintf(got, sizeof(got), "%.*s", STR_FMT(c->answers[at].text));
    if (c->answers[at].what != what || (text && strcmp(got, text) != 0))
        fail_msg("answer %zu: expected %u %s, got %u %s", at, what, text ? text : "", c->answers[at].what,
                 got);
}

static void answers_batches(void **state)
{
    struct loop *l = loop_new();
    static const char *const env[] = {"HOME=/x", NULL};
    struct jq_host *h = jq_host_new(l, env);
    static const struct str exprs[] = {{".a", 2}, {"empty", 5},    {"error(\"no\")", 11}, {".a, 2 # c", 9},
                                       {"(", 1},  {"env.HOME", 8}, {"first(paths)", 12}};
    static const struct str inputs[] = {{"{\"a\":1}", 7}, {"{\"a\":\"x\"}", 9}};
    struct call c;
    (void)state;
    ask(&c, l, h, exprs, 7, inputs, 2);
    assert_int_equal(c.rc, 0);
    expect(&c, 0, JQ_VALUE, "1");
    expect(&c, 1, JQ_EMPTY, "");
    expect(&c, 2, JQ_ERROR, "no");
    expect(&c, 3, JQ_VALUE, "1");
    expect(&c, 4, JQ_COMPILE_ERROR, NULL);
    expect(&c, 5, JQ_VALUE, "\"/x\"");
    expect(&c, 6, JQ_VALUE, "[\"a\"]");
    expect(&c, 7, JQ_VALUE, "\"x\"");
    buf_done(&c.texts);
    jq_host_free(h);
    loop_free(l);
}

/* The second input outgrows the worker's memory, which ends it, and the third has no end: only these are lost. */
static void loses_only_the_culprit(void **state)
{
    struct loop *l = loop_new();
    struct jq_host *h = jq_host_new(l, NULL);
    static const struct str inputs[] = {{"1", 1}, {"2", 1}, {"3", 1}, {"4", 1}};
    struct call c;
    (void)state;
    struct str own[2] = {STR("if . == 2 then reduce range(40) as $i (\"xxxxxxxx\"; . + .) | length"
                             " elif . == 3 then [limit(1e18; repeat(1))] | length else . end"),
                         STR(". + 1")};
    ask(&c, l, h, own, 2, inputs, 4);
    assert_int_equal(c.rc, 0);
    expect(&c, 0, JQ_VALUE, "1");
    expect(&c, 1, JQ_VALUE, "2");
#ifdef OCEAN_SAN /* no limit of the address space then: newer builds of libjq give up by themselves, older ones die */
    assert_true(c.answers[2].what == JQ_KILLED || c.answers[2].what == JQ_ERROR);
#else
    expect(&c, 2, JQ_KILLED, NULL);
#endif
    expect(&c, 3, JQ_VALUE, "3");
    expect(&c, 4, JQ_KILLED, NULL);
    expect(&c, 5, JQ_VALUE, "4");
    expect(&c, 6, JQ_VALUE, "4");
    expect(&c, 7, JQ_VALUE, "5");
    buf_done(&c.texts);
    jq_host_free(h);
    loop_free(l);
}

struct plan_call {
    struct worker_job job;
    struct loop *loop;
    struct jq_host *host;
    struct mapped m;
};

static void map_on_pool(struct worker_job *job)
{
    struct plan_call *c = (struct plan_call *)job;
    map_open(&c->m,
             "{\"kind\":\"k\",\"selector\":{\"query\":\"true\"},\"port\":{\"itemsToParse\":\"(get_jq_origin "
             "| empty), .l\",\"entity\":"
             "{\"mappings\":{\"identifier\":\".item\",\"blueprint\":\"\\\"b\\\"\",\"title\":\"(get_jq_origin "
             "| empty), .item + \\\"!\\\"\","
             "\"properties\":{\"e\":\"(get_jq_origin | empty), error(\\\"bad\\\")\"}}}}}",
             "[{\"l\":[\"x\",\"y\"]},{\"l\":null},{\"l\":[\"z\"]}]", c->host, false);
}

static void plan_done(struct worker_job *job) { loop_stop(((struct plan_call *)job)->loop); }

/* Expressions that only libjq knows, within a plan, itemsToParse included. */
static void serves_plans(void **state)
{
    struct plan_call c = {.loop = loop_new()};
    (void)state;
    c.host = jq_host_new(c.loop, NULL);
    c.job.run = map_on_pool;
    c.job.done = plan_done;
    worker_submit(c.loop, &c.job);
    loop_run(c.loop);
    assert_int_equal(c.m.b->n, 3);
    assert_string_equal(
        entity_text(&c.m, 2),
        "{\"identifier\":\"z\",\"title\":\"z!\",\"blueprint\":\"b\",\"properties\":{\"e\":null}}");
    assert_int_equal(c.m.b->nmisconfig, 2); /* the item without a list, and the field */
    assert_string_equal(c.m.b->misconfig[0].field, "itemsToParse");
    assert_string_equal(c.m.b->misconfig[1].error, "bad");
    map_close(&c.m);
    jq_host_free(c.host);
    loop_free(c.loop);
}

/* Without a host such a field is null and says why. */
static void no_host(void **state)
{
    struct mapped m;
    (void)state;
    map_open(&m,
             "{\"kind\":\"k\",\"selector\":{\"query\":\"true\"},\"port\":{\"entity\":{\"mappings\":{"
             "\"identifier\":\".id\",\"blueprint\":"
             "\"\\\"b\\\"\",\"title\":\"get_jq_origin\"}}}}",
             "[{\"id\":\"x\"}]", NULL, false);
    assert_string_equal(entity_text(&m, 0), "{\"identifier\":\"x\",\"title\":null,\"blueprint\":\"b\"}");
    assert_string_equal(m.b->misconfig[0].error, "it needs libjq, which is not available here");
    map_close(&m);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--jq-worker") == 0)
        return jq_worker_main();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_batches),
        cmocka_unit_test(loses_only_the_culprit),
        cmocka_unit_test(serves_plans),
        cmocka_unit_test(no_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
