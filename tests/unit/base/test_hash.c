/* SipHash against OpenSSL's, what the other hash must tell apart, and the key set against a plain model and its memory promise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>

#include "base/keyset.h"
#include "base/mem.h"
#include "base/sha256.h"

static void reference(const void *p, size_t n, unsigned char out[16])
{
    size_t size = 16, got = 0;
    unsigned c = 2, d = 4;
    OSSL_PARAM params[] = {OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size),
                           OSSL_PARAM_construct_uint(OSSL_MAC_PARAM_C_ROUNDS, &c),
                           OSSL_PARAM_construct_uint(OSSL_MAC_PARAM_D_ROUNDS, &d), OSSL_PARAM_construct_end()};
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);
    assert_int_equal(EVP_MAC_init(ctx, (const unsigned char *)"ur-naecoregnif-n", 16, params), 1);
    assert_int_equal(EVP_MAC_update(ctx, p, n), 1);
    assert_int_equal(EVP_MAC_final(ctx, out, &got, 16), 1);
    assert_int_equal(got, 16);
    EVP_MAC_CTX_free(ctx);
    EVP_MAC_free(mac);
}

static void the_hash_is_siphash(void **state)
{
    (void)state;
    char text[300];
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)(i * 7);
    for (size_t n = 0; n <= sizeof(text); n += n < 40 ? 1 : 13) {
        unsigned char want[16];
        reference(text, n, want);
        struct key128 k = hash128_of((struct str){text, n});
        for (int i = 0; i < 8; i++) {
            assert_int_equal((unsigned char)(k.a >> (8 * i)), want[i]);
            assert_int_equal((unsigned char)(k.b >> (8 * i)), want[8 + i]);
        }
    }
}

static void pieces_do_not_matter(void **state)
{
    (void)state;
    const char text[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    struct key128 whole = hash128_of(STR("0123456789abcdefghijklmnopqrstuvwxyz"));
    for (size_t a = 0; a <= 36; a++) {
        for (size_t b = a; b <= 36; b++) {
            struct hash128 h;
            hash128_init(&h);
            hash128_add(&h, text, a);
            hash128_add(&h, text + a, b - a);
            hash128_add(&h, text + b, 36 - b);
            assert_true(key128_eq(hash128_end(&h), whole));
        }
    }
}

static void entity_keys_do_not_run_together(void **state)
{
    (void)state;
    assert_true(key128_eq(key128_entity(STR("service"), STR("a")), key128_entity(STR("service"), STR("a"))));
    assert_false(key128_eq(key128_entity(STR("service"), STR("a")), key128_entity(STR("servic"), STR("ea"))));
    assert_false(key128_eq(key128_entity(STR("a"), STR("b")), key128_entity(STR("b"), STR("a"))));
    assert_false(key128_eq(key128_entity(STR("a"), STR("b")), key128_entity(STR("a"), STR("B")))); /* S-94 */
}

static struct key128 mixed(unsigned char tag, const void *p, size_t n)
{
    struct mix128 m = mix128_start();
    mix128_add(&m, tag, p, n);
    return mix128_end(m);
}

/* Tag, length and every byte count, and each of them changes about half of the bits. */
static void units_differ(void **state)
{
    (void)state;
    unsigned char text[70] = {0};
    struct keyset *seen = keyset_new();
    size_t bits = 0, flips = 0;
    for (size_t n = 0; n <= sizeof(text); n++) {
        struct key128 plain = mixed('s', text, n);
        assert_true(key128_eq(plain, mixed('s', text, n)));
        assert_int_equal(keyset_add(seen, plain, 1), -1);
        assert_int_equal(keyset_add(seen, mixed('t', text, n), 1), -1);
        for (size_t bit = 0; bit < 8 * n; bit++, flips++) {
            text[bit / 8] ^= (unsigned char)(1 << bit % 8);
            struct key128 k = mixed('s', text, n);
            text[bit / 8] ^= (unsigned char)(1 << bit % 8);
            assert_int_equal(keyset_add(seen, k, 1), -1);
            assert_true(k.a != plain.a && k.b != plain.b);
            bits += (size_t)(__builtin_popcountll(k.a ^ plain.a) + __builtin_popcountll(k.b ^ plain.b));
        }
    }
    assert_true(bits > 62 * flips && bits < 66 * flips);
    keyset_free(seen);
}

static void units_do_not_run_together(void **state)
{
    (void)state;
    struct mix128 x = mix128_start(), y = x, z = x;
    mix128_add(&x, 's', "a", 1);
    mix128_add(&x, 's', "bc", 2);
    mix128_add(&y, 's', "ab", 2);
    mix128_add(&y, 's', "c", 1);
    mix128_add(&z, 's', "abc", 3);
    assert_false(key128_eq(mix128_end(x), mix128_end(y)));
    assert_false(key128_eq(mix128_end(x), mix128_end(z)));
    assert_false(key128_eq(mix128_end(x), mix128_end(mix128_start())));
}

static struct key128 nth(uint64_t i) { return hash128_of((struct str){(const char *)&i, sizeof(i)}); }

static void flags_are_ored(void **state)
{
    (void)state;
    struct keyset *s = keyset_new();
    struct key128 zero = {0, 0};
    assert_int_equal(keyset_get(s, nth(1)), -1);
    assert_int_equal(keyset_add(s, nth(1), 1), -1);
    assert_int_equal(keyset_add(s, nth(1), 4), 1);
    assert_int_equal(keyset_add(s, nth(1), 0), 5);
    assert_int_equal(keyset_get(s, nth(1)), 5);
    assert_int_equal(keyset_add(s, nth(2), 0), -1); /* present without flags is not absent */
    assert_int_equal(keyset_get(s, nth(2)), 0);
    assert_int_equal(keyset_get(s, zero), -1);
    assert_int_equal(keyset_add(s, zero, 255), -1);
    assert_int_equal(keyset_add(s, zero, 1), 255);
    assert_int_equal(keyset_count(s), 3);
    keyset_free(s);
    keyset_free(NULL);
}

static void note(void *arg, struct key128 k, unsigned char flags)
{
    struct keyset *other = arg;
    assert_int_equal(keyset_add(other, k, flags), -1); /* each exactly once */
}

static void many_keys_cost_about_twenty_bytes(void **state)
{
    (void)state;
    struct keyset *s = keyset_new(), *copy = keyset_new();
    for (uint64_t i = 0; i < 200000; i++) {
        assert_int_equal(keyset_add(s, nth(i), (unsigned char)i), -1);
        if (i >= 20000)
            assert_true(keyset_bytes(s) < 22 * (i + 1));
    }
    assert_int_equal(keyset_count(s), 200000);
    for (uint64_t i = 0; i < 200000; i++)
        assert_int_equal(keyset_get(s, nth(i)), (unsigned char)i);
    for (uint64_t i = 200000; i < 250000; i++)
        assert_int_equal(keyset_get(s, nth(i)), -1);
    keyset_each(s, note, copy);
    assert_int_equal(keyset_count(copy), 200000);
    keyset_free(s);
    keyset_free(copy);
}

static void keys_that_are_no_hashes_work_too(void **state)
{
    (void)state;
    struct keyset *s = keyset_new();
    for (uint64_t i = 1; i <= 20000; i++)
        assert_int_equal(keyset_add(s, (struct key128){0, i}, 1), -1);
    for (uint64_t i = 1; i <= 20000; i++)
        assert_int_equal(keyset_add(s, (struct key128){i, i << 32 | i >> 32}, 2), -1); /* all mix to the same bits */
    for (uint64_t i = 1; i <= 20000; i++) {
        assert_int_equal(keyset_get(s, (struct key128){0, i}), 1);
        if (i % 100 == 0)
            assert_int_equal(keyset_get(s, (struct key128){i, i << 32 | i >> 32}), 2);
    }
    assert_int_equal(keyset_count(s), 40000);
    keyset_free(s);
}

static void test_sha256(void **state)
{
    (void)state;
    static const struct {
        const char *text, *hex;
    } known[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        char hex[65];
        struct sha256 *h = sha256_new();
        for (const char *p = known[i].text; *p; p++) /* in pieces */
            sha256_add(h, (struct str){p, 1});
        sha256_add(h, STR_NULL);
        sha256_end(h, hex);
        sha256_free(h);
        assert_string_equal(hex, known[i].hex);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256),
        cmocka_unit_test(the_hash_is_siphash),
        cmocka_unit_test(pieces_do_not_matter),
        cmocka_unit_test(entity_keys_do_not_run_together),
        cmocka_unit_test(units_differ),
        cmocka_unit_test(units_do_not_run_together),
        cmocka_unit_test(flags_are_ored),
        cmocka_unit_test(many_keys_cost_about_twenty_bytes),
        cmocka_unit_test(keys_that_are_no_hashes_work_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
