/* Random runs: batches of any size, entities that come again with other contents, bulks answered in any order,
 * rejections and failures. Whatever happens, the sums of the summary hold (fake_port.h checks them after every run),
 * and without rejections Port ends with the state produced last for every entity. */
#include "unit/sync/fake_port.h"

#define KEYS 60

struct model {
    char *in_port[KEYS];  /* name Port has */
    char *produced[KEYS]; /* name produced last in this run */
    bool failures;
    unsigned abort_in; /* turns until the run is aborted; 0: never */
};

static struct model model;
static unsigned seed;

static unsigned random_below(unsigned n)
{
    seed = seed * 1103515245u + 12345u;
    return (seed >> 12) % n;
}

/* Lookups and listings answer from what the bulks wrote so far. */
static void publish(struct fixture *f)
{
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    buf_addc(&b, '[');
    for (int i = 0; i < KEYS; i++)
        if (model.in_port[i])
            buf_addf(
                &b, "%s{\"identifier\":\"%d\",\"blueprint\":\"issue\",\"title\":\"%s\",\"properties\":{\"url\":\"u\"}}",
                b.n > 1 ? "," : "", i, model.in_port[i]);
    buf_addc(&b, ']');
    owned(f, buf_cstr(&b));
    buf_done(&b);
}

static void accept(struct json entity)
{
    int64_t id = -1;
    assert_true(str_int64(json_str(json_get_c(entity, "identifier")), &id) && id >= 0 && id < KEYS);
    free(model.in_port[id]);
    model.in_port[id] = str_dup(json_str(json_get_c(entity, "title")));
}

static int random_bulk(struct fixture *f, size_t nth, struct json entities, struct buf *out)
{
    (void)nth;
    if (model.failures && random_below(6) == 0)
        return 500;
    struct buf errors;
    size_t i = 0, n = 0;
    buf_init(&errors, BUF_NO_LIMIT);
    buf_adds(out, "{\"ok\":true,\"entities\":[");
    for (struct json_iter it = json_iter(entities); json_next(&it); i++) {
        unsigned fate = model.failures ? random_below(8) : 9;
        if (fate == 0) /* not in the answer at all */
            continue;
        if (fate == 1) {
            buf_addf(&errors, "%s{\"index\":%zu,\"identifier\":\"%s\",\"statusCode\":%d,\"message\":\"m\"}",
                     errors.n ? "," : "", i, random_below(2) ? "x" : "unknown", random_below(2) ? 404 : 422);
            continue;
        }
        buf_addf(out, "%s{\"index\":%zu,\"created\":%s,\"identifier\":", n++ ? "," : "", i,
                 fake_owns(f, it.val) ? "false" : "true");
        json_write(out, json_get_c(it.val, "identifier"));
        buf_addc(out, '}');
        accept(it.val);
    }
    buf_addf(out, "],\"errors\":[%s]}", buf_cstr(&errors));
    buf_done(&errors);
    publish(f);
    return 207;
}

static bool answering; /* a timer is set */

/* Answers one of the bulks that wait, any of them. */
static void answer_any(void *arg)
{
    struct fixture *f = arg;
    if (f->fake.nheld) {
        size_t i = random_below((unsigned)f->fake.nheld);
        struct http_call *c = f->fake.held[i];
        f->fake.held[i] = f->fake.held[--f->fake.nheld];
        fake_bulk(f, c);
    }
    if (model.abort_in && --model.abort_in == 0 && f->resync)
        resync_abort(f->resync);
    answering = !f->done;
    if (answering)
        timer_start(f->loop, random_below(2), 0, answer_any, f);
}

static void add_random_batch(struct fixture *f, unsigned round, unsigned nth)
{
    static char *kept[MAX_STEPS];
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    unsigned n = random_below(4) ? random_below(40) : random_below(3);
    buf_addc(&b, '[');
    for (unsigned i = 0; i < n; i++) {
        unsigned id = random_below(KEYS);
        char *name = random_below(2) ? xasprintf("n%u", id) : xasprintf("r%u-%u-%u", round, nth, i);
        buf_addf(&b, "%s{\"id\":\"%u\",\"name\":\"%s\",\"u\":\"u\"}", i ? "," : "", id, name);
        free(model.produced[id]);
        model.produced[id] = name;
    }
    buf_addc(&b, ']');
    free(kept[nth]);
    size_t len;
    kept[nth] = buf_take(&b, &len);
    add_step(f, "issue", STEP_BATCH, kept[nth]);
}

static void forget_model(bool everything)
{
    for (int i = 0; i < KEYS; i++) {
        free(model.produced[i]);
        model.produced[i] = NULL;
        if (everything) {
            free(model.in_port[i]);
            model.in_port[i] = NULL;
        }
    }
}

static void play(unsigned first_seed, unsigned rounds, bool failures, bool aborts)
{
    static struct fixture fixture;
    struct fixture *f = &fixture;
    set_up(f);
    f->fake.on_bulk = random_bulk;
    f->fake.hold = true;
    model.failures = failures;
    seed = first_seed;
    for (unsigned round = 0; round < rounds; round++) {
        forget_requests(f);
        forget_model(false);
        script_for(f, "issue")->n = 0;
        f->settings.resync_lookahead = 1 + (int)random_below(5);
        f->settings.upsert_max_entities = 1 + (int)random_below(20);
        unsigned batches = 1 + random_below(12);
        for (unsigned i = 0; i < batches; i++)
            add_random_batch(f, round, i);
        model.abort_in = aborts ? 1 + random_below(40) : 0;
        begin_resync(f);
        timer_start(f->loop, 0, 0, answer_any, f);
        loop_run(f->loop);
        assert_true(f->done);
        assert_int_equal(f->exit_code == 1, f->aborted);
        for (int i = 0; i < KEYS && !failures && !aborts; i++)
            if (model.produced[i])
                assert_string_equal(model.in_port[i], model.produced[i]);
        while (answering)
            loop_turn(f->loop, true);
    }
    forget_model(true);
    tear_down(f);
}

static void the_last_state_stays(void **state)
{
    (void)state;
    play(1, 40, false, false);
}

static void the_sums_hold_whatever_port_answers(void **state)
{
    (void)state;
    play(77, 40, true, false);
}

/* Wherever the abort finds the run, it ends, and frees all it had (the sanitizer looks). */
static void an_abort_may_come_at_any_time(void **state)
{
    (void)state;
    play(5, 80, true, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_state_stays),
        cmocka_unit_test(the_sums_hold_whatever_port_answers),
        cmocka_unit_test(an_abort_may_come_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
