/* The spool: orders of reading, pages of any size, sets of names, a file without a name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "store/spool.h"

struct fixture {
    struct loop *loop;
    struct spool *spool;
    char path[64];
    struct buf out;
    struct spool_entry last;
    struct spool_name last_name;
    int64_t last_number;
    size_t n;
    int error;
    bool done;
};

static int setup(void **state)
{
    struct fixture *t = xcalloc(1, sizeof(*t));
    struct err e;
    snprintf(t->path, sizeof(t->path), "/tmp/spool-test-%ld.plan", (long)getpid());
    t->loop = loop_new();
    buf_init(&t->out, BUF_NO_LIMIT);
    if (spool_open(t->loop, t->path, &t->spool, &e) < 0)
        fail_msg("%s", e.msg);
    *state = t;
    return 0;
}

static void forget_last(struct fixture *t)
{
    free((char *)(uintptr_t)t->last.group.p);
    free((char *)(uintptr_t)t->last.name.p);
    free((char *)(uintptr_t)t->last_name.group.p);
    free((char *)(uintptr_t)t->last_name.name.p);
    t->last = (struct spool_entry){0};
    t->last_name = (struct spool_name){0};
}

static int teardown(void **state)
{
    struct fixture *t = *state;
    spool_close(t->spool);
    loop_free(t->loop);
    forget_last(t);
    buf_done(&t->out);
    free(t);
    return 0;
}

static void on_done(void *arg, const struct err *e)
{
    struct fixture *t = arg;
    t->error = e ? e->code : 0;
    t->done = true;
}

static void wait_for(struct fixture *t)
{
    while (!t->done)
        loop_turn(t->loop, true);
    t->done = false;
    assert_int_equal(t->error, 0);
}

static struct str copy(struct str s) { return (struct str){str_dup(s), s.n}; }

static void on_entries(void *arg, const struct spool_entry *x, size_t n, const struct err *e)
{
    struct fixture *t = arg;
    for (size_t i = 0; i < n; i++)
        buf_addf(&t->out, "%.*s/%.*s:%.*s ", STR_FMT(x[i].group), STR_FMT(x[i].name), STR_FMT(x[i].body));
    if (n) {
        forget_last(t);
        t->last = (struct spool_entry){.seq = x[n - 1].seq, .group = copy(x[n - 1].group), .name = copy(x[n - 1].name)};
    }
    t->n = n;
    on_done(t, e);
}

static void add(struct fixture *t, const char *group, const char *name, const char *body)
{
    struct spool_entry x = {.group = str_of(group), .name = str_of(name), .body = str_of(body), .kind = 1, .slot = 2};
    spool_add(t->spool, &x, 1, on_done, t);
    wait_for(t);
}

/* Everything, in pages of `limit`. */
static const char *sorted(struct fixture *t, size_t limit)
{
    buf_reset(&t->out);
    spool_read_sorted(t->spool, NULL, limit, on_entries, t);
    for (wait_for(t); t->n; wait_for(t))
        spool_read_sorted(t->spool, &t->last, limit, on_entries, t);
    return buf_cstr(&t->out);
}

static const char *arrived(struct fixture *t, size_t limit)
{
    int64_t after = 0;
    buf_reset(&t->out);
    for (spool_read(t->spool, 0, limit, on_entries, t), wait_for(t); t->n; wait_for(t)) {
        after = t->last.seq;
        spool_read(t->spool, after, limit, on_entries, t);
    }
    return buf_cstr(&t->out);
}

static void test_orders(void **state)
{
    struct fixture *t = *state;
    add(t, "b", "2", "one");
    add(t, "a", "10", "two");
    add(t, "b", "2", "three");
    add(t, "a", "9", "four");
    add(t, "", "\xc3\xa9", "");
    spool_sort(t->spool, on_done, t);
    wait_for(t);
    const char *by_name = "/\xc3\xa9: a/10:two a/9:four b/2:one b/2:three ";
    for (size_t limit = 1; limit < 7; limit++) {
        assert_string_equal(sorted(t, limit), by_name);
        assert_string_equal(arrived(t, limit), "b/2:one a/10:two b/2:three a/9:four /\xc3\xa9: ");
    }
    int64_t gone[] = {2, 3};
    spool_drop(t->spool, gone, 2);
    add(t, "a", "1", "six"); /* also after sorting */
    assert_string_equal(sorted(t, 2), "/\xc3\xa9: a/1:six a/9:four b/2:one ");
}

static struct spool_entry got;
static char *got_texts[2];

static void on_one(void *arg, const struct spool_entry *x, size_t n, const struct err *e)
{
    assert_int_equal(n, 1);
    got = *x;
    got_texts[0] = x->after.p ? str_dup(x->after) : NULL;
    got_texts[1] = x->before.p ? str_dup(x->before) : NULL;
    on_done(arg, e);
}

static void test_every_member_comes_back(void **state)
{
    struct fixture *t = *state;
    struct spool_entry x = {.group = STR("g"),
                            .name = STR("n"),
                            .kind = 3,
                            .slot = 4,
                            .flags = 0x80000001u,
                            .key = {1, 2},
                            .body = STR("b"),
                            .before = STR("")};
    spool_add(t->spool, &x, 1, on_done, t);
    wait_for(t);
    spool_read(t->spool, 0, 1, on_one, t);
    wait_for(t);
    assert_int_equal(got.kind, 3);
    assert_int_equal(got.slot, 4);
    assert_true(got.flags == 0x80000001u);
    assert_true(key128_eq(got.key, x.key));
    assert_null(got_texts[0]); /* no text is no empty text */
    assert_string_equal(got_texts[1], "");
    free(got_texts[1]);
}

static void test_a_page_is_not_too_large(void **state)
{
    struct fixture *t = *state;
    char *big = xcalloc(1, (3 << 20) + 1);
    memset(big, 'x', 3 << 20);
    for (int i = 0; i < 5; i++)
        add(t, "g", "n", big);
    spool_read(t->spool, 0, 100, on_entries, t);
    wait_for(t);
    assert_int_equal(t->n, 2); /* up to 4 MiB and the one that crosses it */
    free(big);
}

static void on_names(void *arg, const struct spool_name *x, size_t n, const struct err *e)
{
    struct fixture *t = arg;
    for (size_t i = 0; i < n; i++)
        buf_addf(&t->out, "%.*s/%.*s ", STR_FMT(x[i].group), STR_FMT(x[i].name));
    if (n) {
        forget_last(t);
        t->last_name = (struct spool_name){copy(x[n - 1].group), copy(x[n - 1].name)};
    }
    t->n = n;
    on_done(t, e);
}

static const char *names(struct fixture *t, int list, size_t limit)
{
    buf_reset(&t->out);
    spool_read_names(t->spool, list, NULL, limit, on_names, t);
    for (wait_for(t); t->n; wait_for(t))
        spool_read_names(t->spool, list, &t->last_name, limit, on_names, t);
    return buf_cstr(&t->out);
}

static void test_names(void **state)
{
    struct fixture *t = *state;
    struct spool_name list[] = {{STR("b"), STR("1")}, {STR("a"), STR("2")}, {STR("a"), STR("1")}, {STR("a"), STR("2")}};
    spool_add_names(t->spool, 0, list, 4, on_done, t);
    wait_for(t);
    spool_add_names(t->spool, 1, list, 1, on_done, t);
    wait_for(t);
    for (size_t limit = 1; limit < 5; limit++) {
        assert_string_equal(names(t, 0, limit), "a/1 a/2 b/1 ");
        assert_string_equal(names(t, 1, limit), "b/1 ");
        assert_string_equal(names(t, 2, limit), "");
    }
}

static void on_lines(void *arg, const struct spool_line *x, size_t n, const struct err *e)
{
    struct fixture *t = arg;
    for (size_t i = 0; i < n; i++)
        buf_addf(&t->out, "%.*s ", STR_FMT(x[i].text));
    t->last_number = n ? x[n - 1].number : 0;
    t->n = n;
    on_done(t, e);
}

static void test_lines(void **state)
{
    struct fixture *t = *state;
    struct str lines[] = {STR("z"), STR("a"), STR("z")};
    spool_add_lines(t->spool, lines, 3, on_done, t);
    wait_for(t);
    spool_read_lines(t->spool, 0, 2, on_lines, t);
    wait_for(t);
    spool_read_lines(t->spool, t->last_number, 2, on_lines, t);
    wait_for(t);
    assert_string_equal(buf_cstr(&t->out), "z a z ");
}

static void test_no_name(void **state)
{
    struct fixture *t = *state;
    add(t, "a", "b", "c");
    assert_int_equal(access(t->path, F_OK), -1);
    struct spool *other;
    struct err e;
    assert_int_equal(spool_open(t->loop, t->path, &other, &e), 0); /* a second one is another file */
    spool_close(other);
    assert_string_equal(arrived(t, 5), "a/b:c ");
    assert_int_equal(access(t->path, F_OK), -1);
}

static void test_no_place(void **state)
{
    struct fixture *t = *state;
    struct spool *other = NULL;
    struct err e = {0};
    assert_true(spool_open(t->loop, "/proc/no/such/place", &other, &e) < 0);
    assert_non_null(strstr(e.msg, "/proc/no"));
    assert_null(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_orders, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_member_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_page_is_not_too_large, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_name, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_place, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
