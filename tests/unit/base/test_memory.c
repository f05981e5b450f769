/* Buffers with a maximum, arenas with a limit, the map in insertion order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/strmap.h"

static void a_buffer_is_always_terminated(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, BUF_NO_LIMIT);
    assert_string_equal(buf_cstr(&b), "");
    for (int i = 0; i < 1000; i++)
        assert_int_equal(buf_addc(&b, (char)('a' + i % 26)), 0);
    buf_addf(&b, "<%d %s>", 7, "x");
    assert_int_equal(b.n, 1005);
    assert_int_equal(strlen(b.p), 1005);
    assert_string_equal(b.p + 1000, "<7 x>");
    buf_reset(&b);
    assert_string_equal(buf_cstr(&b), "");
    buf_done(&b);
}

static void past_its_maximum_a_buffer_stays_a_prefix(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 5);
    assert_int_equal(buf_adds(&b, "abc"), 0);
    assert_int_equal(buf_adds(&b, "def"), ERR_TOO_BIG);
    assert_string_equal(buf_cstr(&b), "abc");
    assert_true(b.failed);
    assert_int_equal(buf_addc(&b, 'd'), ERR_TOO_BIG); /* would fit, but not after what was lost */
    assert_string_equal(buf_cstr(&b), "abc");
    buf_reset(&b);
    assert_int_equal(buf_adds(&b, "abcde"), 0); /* the maximum itself fits */
    assert_int_equal(buf_addf(&b, "%d", 1), ERR_TOO_BIG);
    assert_int_equal(buf_reserve(&b, SIZE_MAX), ERR_TOO_BIG);
    buf_done(&b);
}

static void a_taken_buffer_is_empty_again(void **state)
{
    (void)state;
    struct buf b;
    size_t n;
    buf_init(&b, 100);
    char *empty = buf_take(&b, &n);
    assert_true(n == 0 && empty[0] == 0);
    free(empty);
    buf_adds(&b, "text");
    char *p = buf_take(&b, &n);
    assert_true(n == 4 && b.p == NULL && b.n == 0 && b.max == 100);
    assert_string_equal(p, "text");
    free(p);
}

static void arena_memory_is_aligned_and_apart(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    char *p[500];
    for (int i = 0; i < 500; i++) {
        size_t n = (size_t)i * 37 % 9000;
        p[i] = arena_alloc(a, n);
        assert_int_equal((uintptr_t)p[i] % 8, 0);
        memset(p[i], i, n);
    }
    for (int i = 0; i < 500; i++)
        for (size_t k = 0; k < (size_t)i * 37 % 9000; k++)
            assert_int_equal((unsigned char)p[i][k], i & 255);
    assert_string_equal(arena_printf(a, "%s-%d", "x", 5), "x-5");
    struct str s = arena_str(a, STR("a\0b"));
    assert_true(str_eq(s, STR("a\0b")) && s.p[3] == 0);
    arena_free(a);
    arena_free(NULL);
}

static void beyond_its_limit_an_arena_gives_null(void **state)
{
    (void)state;
    struct arena *a = arena_new(1000);
    assert_non_null(arena_alloc(a, 900));
    assert_null(arena_alloc(a, 200));
    assert_null(arena_alloc(a, SIZE_MAX - 3));
    assert_null(arena_zalloc(a, 200));
    assert_null(arena_printf(a, "%300s", ""));
    assert_non_null(arena_alloc(a, 16));
    assert_true(arena_used(a) <= 1000);
    arena_reset(a);
    assert_int_equal(arena_used(a), 0);
    assert_non_null(arena_alloc(a, 1000));
    arena_free(a);
}

static char order[16];

static void note(void *arg) { strcat(order, arg); }

static void defers_run_in_reverse_order(void **state)
{
    (void)state;
    struct arena *a = arena_new(64);
    order[0] = 0;
    arena_defer(a, note, "a");
    arena_defer(a, note, "b");
    arena_reset(a);
    assert_string_equal(order, "ba");
    arena_defer(a, note, "c");
    arena_free(a);
    assert_string_equal(order, "bac");
}

static void a_map_keeps_insertion_order(void **state)
{
    (void)state;
    struct strmap *m = strmap_new(NULL);
    char key[16];
    for (intptr_t i = 0; i < 1000; i++) {
        snprintf(key, sizeof(key), "k%d", (int)i);
        assert_null(strmap_put(m, str_of(key), (void *)(i + 1)));
    }
    for (int i = 0; i < 1000; i += 2) {
        snprintf(key, sizeof(key), "k%d", i);
        assert_int_equal((intptr_t)strmap_del(m, str_of(key)), i + 1);
        assert_null(strmap_del(m, str_of(key)));
    }
    assert_int_equal(strmap_count(m), 500);
    assert_int_equal((intptr_t)strmap_put(m, STR("k1"), (void *)9), 2);
    strmap_put(m, STR("k0"), (void *)1); /* a deleted key comes back at the end */
    struct str k;
    void *v;
    size_t n = 0;
    struct str last = STR_NULL;
    for (size_t cur = 0; (cur = strmap_next(m, cur, &k, &v)); n++) {
        if (n < 500) {
            snprintf(key, sizeof(key), "k%zu", 2 * n + 1);
            assert_true(str_is(k, key));
        }
        last = k;
    }
    assert_int_equal(n, 501);
    assert_true(str_is(last, "k0"));
    assert_false(strmap_has(m, STR("k2")));
    assert_null(strmap_get(m, STR("nothing")));
    strmap_free(m);
}

static void a_map_frees_its_values_and_knows_null(void **state)
{
    (void)state;
    struct strmap *m = strmap_new(free);
    strmap_put(m, STR("a"), xstrdup("1"));
    free(strmap_put(m, STR("a"), xstrdup("2")));
    strmap_put(m, STR("none"), NULL);
    strmap_put(m, STR_NULL, xstrdup("empty key"));
    assert_true(strmap_has(m, STR("none")) && strmap_get(m, STR("none")) == NULL);
    assert_string_equal(strmap_get(m, STR("")), "empty key");
    free(strmap_del(m, STR("a")));
    strmap_free(m);
    strmap_free(NULL);
}

static void copies_are_terminated(void **state)
{
    (void)state;
    char *s = xstrndup("abcdef", 3), *f = xasprintf("%d%%", 50), *m = xmemdup("xy", 2), *e = xstrndup(NULL, 0);
    assert_string_equal(s, "abc");
    assert_string_equal(f, "50%");
    assert_memory_equal(m, "xy", 2);
    assert_string_equal(e, "");
    free(s);
    free(f);
    free(m);
    free(e);
    free(xmalloc(0));
    free(xcalloc(0, 5));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_buffer_is_always_terminated),
        cmocka_unit_test(past_its_maximum_a_buffer_stays_a_prefix),
        cmocka_unit_test(a_taken_buffer_is_empty_again),
        cmocka_unit_test(arena_memory_is_aligned_and_apart),
        cmocka_unit_test(beyond_its_limit_an_arena_gives_null),
        cmocka_unit_test(defers_run_in_reverse_order),
        cmocka_unit_test(a_map_keeps_insertion_order),
        cmocka_unit_test(a_map_frees_its_values_and_knows_null),
        cmocka_unit_test(copies_are_terminated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
