/* What makes two entities equal, as 128 bits (sync S-99, S-100).
 *
 * The fingerprint is the sum of one hash for each part that is not null, so that parts are taken in the order in which
 * they come: nothing is sorted, neither the properties nor the members of objects inside them. The hash of a part
 * begins with its role and name, which a plan has ready. Numbers are taken by value. */
#include <math.h>

#include "base/mem.h"
#include "mapping/entity.h"
#include "mapping/plan_priv.h"

struct mix128 print_start(enum role role, struct str name)
{
    struct mix128 m = mix128_start();
    mix128_add(&m, (unsigned char)role, name.p, name.n);
    return m;
}

static void mix_value(struct mix128 *m, struct heap *h, struct val v);

static void add(struct key128 *sum, struct mix128 m)
{
    struct key128 k = mix128_end(m);
    sum->a += k.a;
    sum->b += k.b;
}

static void mix_sum(struct mix128 *m, unsigned char tag, struct key128 sum, uint64_t n)
{
    uint64_t words[3] = {sum.a, sum.b, n};
    mix128_add(m, tag, words, sizeof(words));
}

static void mix_object(struct mix128 *m, struct heap *h, struct val v)
{
    struct key128 sum = {0, 0};
    uint64_t n = 0;
    for (struct val_iter it = val_iter(h, v); val_next(&it); n++) {
        struct mix128 member = mix128_start();
        mix128_add(&member, 'k', it.key.s, it.key.n);
        mix_value(&member, h, it.v);
        add(&sum, member);
    }
    mix_sum(m, '{', sum, n);
}

static void mix_value(struct mix128 *m, struct heap *h, struct val v)
{
    switch (v.kind) {
    case VAL_NUMBER: num_mix(m, v); return;
    case VAL_STRING: mix128_add(m, '"', v.s, v.n); return;
    case VAL_ARRAY:
        mix128_add(m, '[', NULL, 0);
        for (struct val_iter it = val_iter(h, v); val_next(&it);)
            mix_value(m, h, it.v);
        mix128_add(m, ']', NULL, 0);
        return;
    case VAL_OBJECT: mix_object(m, h, v); return;
    default: mix128_add(m, "ztf"[v.kind], NULL, 0); return;
    }
}

/* A list of teams has no order, a single team is a list of one, none is no part. */
static bool mix_team(struct mix128 *m, struct heap *h, struct val v)
{
    struct key128 sum = {0, 0};
    uint64_t n = 0;
    if (v.kind != VAL_STRING && v.kind != VAL_ARRAY) {
        mix_value(m, h, v);
        return true;
    }
    struct val_iter it = {.left = 1, .elem = &v};
    if (v.kind == VAL_ARRAY)
        it = val_iter(h, v);
    for (; val_next(&it); n++) {
        struct mix128 one = mix128_start();
        mix_value(&one, h, it.v);
        add(&sum, one);
    }
    mix_sum(m, 'l', sum, n);
    return n > 0;
}

void print_add(struct key128 *print, struct mix128 start, enum role role, struct heap *h, struct val v)
{
    if (v.kind == VAL_NULL || (v.kind == VAL_NUMBER && v.rep == REP_PLAIN && isnan(v.d)))
        return; /* nan is written as null */
    if (role == ROLE_TEAM && !mix_team(&start, h, v))
        return;
    if (role != ROLE_TEAM)
        mix_value(&start, h, v);
    add(print, start);
}

/* Of entities as Port answers them. */

static void add_part(struct key128 *print, enum role role, struct str name, struct heap *h, struct val v)
{
    print_add(print, print_start(role, name), role, h, v);
}

struct key128 entity_fingerprint(struct json entity)
{
    static const struct {
        const char *name;
        enum role role;
    } single[] = {{"title", ROLE_TITLE}, {"icon", ROLE_ICON}, {"team", ROLE_TEAM}},
      groups[] = {{"properties", ROLE_PROPERTY}, {"relations", ROLE_RELATION}};
    struct key128 print = {0, 0};
    struct heap h;
    heap_init(&h, SIZE_MAX / 2);
    for (size_t i = 0; i < ARRAY_LEN(single); i++) {
        struct json v = json_get(entity, str_of(single[i].name));
        if (v.v)
            add_part(&print, single[i].role, STR_NULL, &h, val_of_doc(v.v));
    }
    for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
        struct json g = json_get(entity, str_of(groups[i].name));
        if (!json_is_obj(g))
            continue;
        for (struct val_iter it = val_iter(&h, val_of_doc(g.v)); val_next(&it);)
            add_part(&print, groups[i].role, val_text(it.key), &h, it.v);
    }
    heap_done(&h);
    return print;
}
