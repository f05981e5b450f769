/* SipHash-2-4 with 128 bits of output, over a fixed key; and a hash by wide multiplication (see hash.h).
 *
 * mix128 keeps two lanes. Sixteen bytes are multiplied into both, each lane guarding the half that the other one does
 * not: a factor that happens to be zero loses nothing of the lane beside it. A unit's last block overlaps the one
 * before, and its length and tag go in first, so that no unit needs padding or copying. */
#include "base/hash.h"

#include <endian.h>
#include <pthread.h>
#include <sys/random.h>

#include "base/clock.h"

#define KEY0 0x6f6365616e2d7275ull
#define KEY1 0x6e2d66696e676572ull

static inline uint64_t rotl(uint64_t x, int n) { return (x << n) | (x >> (64 - n)); }

/* The state while words are absorbed: a copy, so that it stays in registers. */
struct sip {
    uint64_t v0, v1, v2, v3;
};

static inline struct sip sip_of(const struct hash128 *h) { return (struct sip){h->v0, h->v1, h->v2, h->v3}; }

static inline void sip_round(struct sip *h)
{
    h->v0 += h->v1;
    h->v1 = rotl(h->v1, 13) ^ h->v0;
    h->v0 = rotl(h->v0, 32);
    h->v2 += h->v3;
    h->v3 = rotl(h->v3, 16) ^ h->v2;
    h->v0 += h->v3;
    h->v3 = rotl(h->v3, 21) ^ h->v0;
    h->v2 += h->v1;
    h->v1 = rotl(h->v1, 17) ^ h->v2;
    h->v2 = rotl(h->v2, 32);
}

static inline void absorb(struct sip *h, uint64_t m)
{
    h->v3 ^= m;
    sip_round(h);
    sip_round(h);
    h->v0 ^= m;
}

void hash128_init(struct hash128 *h)
{
    *h = (struct hash128){
        .v0 = 0x736f6d6570736575ull ^ KEY0,
        .v1 = 0x646f72616e646f6dull ^ KEY1 ^ 0xee,
        .v2 = 0x6c7967656e657261ull ^ KEY0,
        .v3 = 0x7465646279746573ull ^ KEY1,
    };
}

static inline uint64_t word_at(const unsigned char *p)
{
    uint64_t m;
    memcpy(&m, p, 8);
    return le64toh(m);
}

/* Pieces are rarely multiples of a word: each word absorbed is the tail so far and the low part of the next eight bytes,
 * whose high part becomes the tail. */
void hash128_add(struct hash128 *h, const void *data, size_t n)
{
    const unsigned char *p = data;
    unsigned shift = h->tail_n * 8;
    h->total += n;
    if (n >= 8) {
        struct sip s = sip_of(h);
        uint64_t tail = h->tail;
        for (; n >= 8; p += 8, n -= 8) {
            uint64_t m = word_at(p);
            absorb(&s, shift ? tail | m << shift : m);
            tail = shift ? m >> (64 - shift) : 0;
        }
        h->v0 = s.v0;
        h->v1 = s.v1;
        h->v2 = s.v2;
        h->v3 = s.v3;
        h->tail = tail;
    }
    for (; n; p++, n--) {
        h->tail |= (uint64_t)*p << (h->tail_n * 8);
        if (++h->tail_n < 8)
            continue;
        struct sip s = sip_of(h);
        absorb(&s, h->tail);
        h->v0 = s.v0;
        h->v1 = s.v1;
        h->v2 = s.v2;
        h->v3 = s.v3;
        h->tail = 0;
        h->tail_n = 0;
    }
}

void hash128_add_str(struct hash128 *h, struct str s)
{
    uint64_t n = htole64(s.n);
    hash128_add(h, &n, sizeof(n));
    hash128_add(h, s.p, s.n);
}

struct key128 hash128_end(struct hash128 *h)
{
    struct sip s = sip_of(h);
    absorb(&s, h->total << 56 | h->tail);
    struct key128 k;
    s.v2 ^= 0xee;
    for (int i = 0; i < 4; i++)
        sip_round(&s);
    k.a = s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
    s.v1 ^= 0xdd;
    for (int i = 0; i < 4; i++)
        sip_round(&s);
    k.b = s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
    return k;
}

struct key128 hash128_of(struct str s)
{
    struct hash128 h;
    hash128_init(&h);
    hash128_add(&h, s.p, s.n);
    return hash128_end(&h);
}

struct key128 key128_entity(struct str blueprint, struct str identifier)
{
    struct hash128 h;
    hash128_init(&h);
    hash128_add_str(&h, blueprint);
    hash128_add_str(&h, identifier);
    return hash128_end(&h);
}

/* mix128 --------------------------------------------------------------------------------------------------------- */

static struct mix128 seed;
static uint64_t guard[2]; /* odd, from the seed */
static pthread_once_t seeded = PTHREAD_ONCE_INIT;

static void make_seed(void)
{
    uint64_t r[4];
    if (getrandom(r, sizeof(r), GRND_NONBLOCK) != (ssize_t)sizeof(r)) {
        /* A machine that has just started has no entropy yet; time and place are what it has. */
        uint64_t now = clock_mono_ns() + (uint64_t)(uintptr_t)&seed;
        struct key128 x = hash128_of((struct str){(const char *)&now, sizeof(now)});
        struct key128 y = hash128_of((struct str){(const char *)&x, sizeof(x)});
        memcpy(r, &x, sizeof(x));
        memcpy(r + 2, &y, sizeof(y));
    }
    seed = (struct mix128){r[0], r[1]};
    guard[0] = r[2] | 1;
    guard[1] = r[3] | 1;
}

struct mix128 mix128_start(void)
{
    pthread_once(&seeded, make_seed);
    return seed;
}

static inline void wide(uint64_t x, uint64_t y, uint64_t *lo, uint64_t *hi)
{
#ifdef __SIZEOF_INT128__
    unsigned __int128 r = (unsigned __int128)x * y;
    *lo = (uint64_t)r;
    *hi = (uint64_t)(r >> 64);
#else
    uint64_t a = x >> 32, b = x & UINT32_MAX, c = y >> 32, d = y & UINT32_MAX;
    uint64_t mid = (b * d >> 32) + (a * d & UINT32_MAX) + b * c;
    *lo = x * y;
    *hi = a * c + (a * d >> 32) + (mid >> 32);
#endif
}

static inline struct mix128 mix(struct mix128 m, uint64_t x, uint64_t y)
{
    uint64_t plo, phi, qlo, qhi;
    wide(x ^ m.a, y ^ guard[0], &plo, &phi);
    wide(y ^ m.b, x ^ guard[1], &qlo, &qhi);
    return (struct mix128){rotl(m.a, 29) + (plo ^ qhi), rotl(m.b, 37) + (qlo ^ phi)};
}

static inline uint64_t half_at(const unsigned char *p)
{
    uint32_t m;
    memcpy(&m, p, 4);
    return m;
}

void mix128_add(struct mix128 *to, unsigned char tag, const void *data, size_t n)
{
    const unsigned char *p = data;
    struct mix128 m = *to;
    uint64_t x = 0, y = 0;
    m.a ^= ((uint64_t)n << 8 | tag) * 0x9e3779b97f4a7c15ull;
    for (size_t left = n; left > 16; left -= 16, p += 16)
        m = mix(m, word_at(p), word_at(p + 8));
    if (n > 16) {
        p = (const unsigned char *)data + n - 16;
        x = word_at(p);
        y = word_at(p + 8);
    } else if (n >= 8) {
        x = word_at(p);
        y = word_at(p + n - 8);
    } else if (n >= 4) {
        x = half_at(p);
        y = half_at(p + n - 4);
    } else if (n) {
        x = (uint64_t)p[0] | (uint64_t)p[n >> 1] << 8 | (uint64_t)p[n - 1] << 16;
    }
    *to = mix(m, x, y);
}

struct key128 mix128_end(struct mix128 m)
{
    m = mix(m, m.b, m.a);
    m = mix(m, guard[1], guard[0]);
    return (struct key128){m.a, m.b};
}
