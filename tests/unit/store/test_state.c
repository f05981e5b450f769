/* The state file: values and lists, order of calls, persistence, the lock, its place and name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "store/state.h"

struct fixture {
    struct loop *loop;
    struct state *state;
    char dir[64];
    char *value;
    char rows[4096];
    size_t nrows;
    int64_t last;
    int error;
    bool done;
};

static bool open_state(struct fixture *t)
{
    struct err e = {0};
    bool fresh = false;
    if (state_open(t->loop, t->dir, "acme/prod", "https://api.port.example", &t->state, &fresh, &e) < 0)
        fail_msg("%s", e.msg);
    return fresh;
}

static int setup(void **state)
{
    struct fixture *t = xcalloc(1, sizeof(*t));
    strcpy(t->dir, "/tmp/state-test-XXXXXX");
    assert_non_null(mkdtemp(t->dir));
    t->loop = loop_new();
    assert_true(open_state(t));
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *t = *state;
    char command[128];
    state_close(t->state);
    loop_free(t->loop);
    snprintf(command, sizeof(command), "rm -rf '%s'", t->dir);
    assert_int_equal(system(command), 0);
    free(t->value);
    free(t);
    return 0;
}

static void got(void *arg, struct str value, const struct err *e)
{
    struct fixture *t = arg;
    free(t->value);
    t->value = value.p ? xstrndup(value.p, value.n) : NULL;
    t->error = e ? e->code : 0;
    t->done = true;
}

static const char *get(struct fixture *t, const char *space, const char *key)
{
    t->done = false;
    state_get(t->state, space, key, got, t);
    while (!t->done)
        loop_turn(t->loop, true);
    assert_int_equal(t->error, 0);
    return t->value;
}

static void got_rows(void *arg, const struct state_row *rows, size_t n, const struct err *e)
{
    struct fixture *t = arg;
    assert_null(e);
    t->rows[0] = 0;
    for (size_t i = 0; i < n; i++) {
        size_t used = strlen(t->rows);
        snprintf(t->rows + used, sizeof(t->rows) - used, "%.*s:%llu ", STR_FMT(rows[i].text),
                 (unsigned long long)rows[i].key.b);
        t->last = rows[i].row;
    }
    t->nrows = n;
    t->done = true;
}

static const char *list(struct fixture *t, const char *name, int64_t after, size_t limit)
{
    t->done = false;
    state_list_read(t->state, name, after, limit, got_rows, t);
    while (!t->done)
        loop_turn(t->loop, true);
    return t->rows;
}

static void got_keys(void *arg, const struct str *keys, size_t n, const struct err *e)
{
    struct fixture *t = arg;
    assert_null(e);
    t->rows[0] = 0;
    for (size_t i = 0; i < n; i++)
        snprintf(t->rows + strlen(t->rows), sizeof(t->rows) - strlen(t->rows), "%.*s ", STR_FMT(keys[i]));
    t->done = true;
}

static const char *keys(struct fixture *t, const char *space)
{
    t->done = false;
    state_keys(t->state, space, got_keys, t);
    while (!t->done)
        loop_turn(t->loop, true);
    return t->rows;
}

static void test_keys(void **state)
{
    struct fixture *t = *state;
    assert_string_equal(keys(t, "a"), "");
    state_put(t->state, "a", "two", STR("1"));
    state_put(t->state, "a", "one", STR("1"));
    state_put(t->state, "aa", "three", STR("1"));
    assert_string_equal(keys(t, "a"), "one two ");
    state_put(t->state, "a", "one", STR_NULL);
    assert_string_equal(keys(t, "a"), "two ");
}

static void test_values(void **state)
{
    struct fixture *t = *state;
    assert_null(get(t, "a", "k"));
    state_put(t->state, "a", "k", STR("one"));
    state_put(t->state, "b", "k", STR("other"));
    state_put(t->state, "a", "k", STR("two"));
    assert_string_equal(get(t, "a", "k"), "two"); /* in order after the writes */
    assert_string_equal(get(t, "b", "k"), "other");
    state_put(t->state, "a", "empty", STR(""));
    assert_string_equal(get(t, "a", "empty"), "");
    state_put(t->state, "a", "k", STR_NULL);
    assert_null(get(t, "a", "k"));
}

static void test_lists(void **state)
{
    struct fixture *t = *state;
    for (uint64_t i = 1; i <= 5; i++) {
        char text[8];
        snprintf(text, sizeof(text), "t%llu", (unsigned long long)i);
        state_list_add(t->state, "retry", (struct key128){1, i}, str_of(text));
    }
    state_list_add(t->state, "other", (struct key128){1, 9}, STR("x"));
    assert_string_equal(list(t, "retry", 0, 3), "t1:1 t2:2 t3:3 ");
    assert_string_equal(list(t, "retry", t->last, 3), "t4:4 t5:5 ");
    assert_string_equal(list(t, "retry", t->last, 3), "");
    assert_int_equal(t->nrows, 0);
    state_list_clear(t->state, "retry");
    state_list_add(t->state, "retry", (struct key128){1, 7}, STR("again"));
    assert_string_equal(list(t, "retry", 0, 10), "again:7 ");
    assert_string_equal(list(t, "other", 0, 10), "x:9 ");
}

static void test_persistence(void **state)
{
    struct fixture *t = *state;
    state_put(t->state, "s", "k", STR("v"));
    state_list_add(t->state, "l", (struct key128){1, 2}, STR("x"));
    state_close(t->state); /* without a turn of the loop: nothing is lost */
    t->state = NULL;
    assert_false(open_state(t));
    assert_string_equal(get(t, "s", "k"), "v");
    assert_string_equal(list(t, "l", 0, 10), "x:2 ");
}

static void test_place(void **state)
{
    struct fixture *t = *state;
    assert_ptr_equal(strstr(state_path(t->state), t->dir), state_path(t->state));
    assert_non_null(strstr(state_path(t->state), "/acme_prod-"));
    struct state *same = NULL, *other = NULL;
    struct err e = {0};
    assert_int_equal(state_open(t->loop, t->dir, "acme/prod", "https://api.port.example", &same, NULL, &e), ERR_BUSY);
    assert_non_null(strstr(e.msg, "process"));
    assert_int_equal(state_open(t->loop, t->dir, "acme/prod", "https://other.example", &other, NULL, &e), 0);
    assert_string_not_equal(state_path(t->state), state_path(other));
    state_close(other);
    char env[80];
    snprintf(env, sizeof(env), "%s/env", t->dir);
    setenv("OCEAN_STATE", env, 1);
    assert_int_equal(state_open(t->loop, NULL, "x", "y", &other, NULL, &e), 0);
    assert_ptr_equal(strstr(state_path(other), env), state_path(other));
    state_close(other);
    unsetenv("OCEAN_STATE");
}

static void test_close_with_reads(void **state)
{
    struct fixture *t = *state;
    t->done = false;
    state_put(t->state, "a", "k", STR("v"));
    state_get(t->state, "a", "k", got, t);
    state_close(t->state);
    t->state = NULL;
    assert_true(t->done); /* the answer came inside */
    assert_string_equal(t->value, "v");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_values, setup, teardown),
        cmocka_unit_test_setup_teardown(test_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lists, setup, teardown),
        cmocka_unit_test_setup_teardown(test_persistence, setup, teardown),
        cmocka_unit_test_setup_teardown(test_place, setup, teardown),
        cmocka_unit_test_setup_teardown(test_close_with_reads, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
