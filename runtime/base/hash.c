/* SipHash-2-4 with 128 bits of output, over a fixed key (see hash.h). */
#include "base/hash.h"

#include <endian.h>

#define KEY0 0x6f6365616e2d7275ull
#define KEY1 0x6e2d66696e676572ull

static inline uint64_t rotl(uint64_t x, int n) { return (x << n) | (x >> (64 - n)); }

static inline void sip_round(struct hash128 *h)
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

static inline void absorb(struct hash128 *h, uint64_t m)
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

void hash128_add(struct hash128 *h, const void *data, size_t n)
{
    const unsigned char *p = data;
    h->total += n;
    while (h->tail_n && n) {
        h->tail[h->tail_n++] = *p++;
        n--;
        if (h->tail_n == 8) {
            uint64_t m;
            memcpy(&m, h->tail, 8);
            absorb(h, le64toh(m));
            h->tail_n = 0;
        }
    }
    for (; n >= 8; p += 8, n -= 8) {
        uint64_t m;
        memcpy(&m, p, 8);
        absorb(h, le64toh(m));
    }
    if (n) {
        memcpy(h->tail + h->tail_n, p, n);
        h->tail_n += (unsigned)n;
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
    uint64_t m = h->total << 56;
    for (unsigned i = 0; i < h->tail_n; i++)
        m |= (uint64_t)h->tail[i] << (8 * i);
    absorb(h, m);
    struct key128 k;
    h->v2 ^= 0xee;
    for (int i = 0; i < 4; i++)
        sip_round(h);
    k.a = h->v0 ^ h->v1 ^ h->v2 ^ h->v3;
    h->v1 ^= 0xdd;
    for (int i = 0; i < 4; i++)
        sip_round(h);
    k.b = h->v0 ^ h->v1 ^ h->v2 ^ h->v3;
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
