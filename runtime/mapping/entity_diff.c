/* Why an entity is not what Port holds (sync S-99, S-100), part by part, over the documents themselves. */
#include "base/buf.h"
#include "json/compare.h"
#include "mapping/entity.h"

struct diff {
    struct buf *out;
    size_t n;
};

static void differs(struct diff *d, const char *group, struct str name)
{
    if (d->n++)
        buf_adds(d->out, ", ");
    buf_adds(d->out, group);
    if (name.p) {
        buf_addc(d->out, '.');
        buf_addstr(d->out, name);
    }
}

static bool same(struct json a, struct json b)
{
    return json_is_nil(a) || json_is_nil(b) ? json_is_nil(a) && json_is_nil(b) : json_equal(a, b);
}

static size_t occurrences(struct json list, struct json v)
{
    size_t n = 0;
    for (struct json_iter it = json_iter(list); json_next(&it);)
        n += json_equal(it.val, v);
    return n;
}

bool entity_same_team(struct json a, struct json b)
{
    size_t na = json_is_nil(a)   ? 0
                : json_is_arr(a) ? json_len(a)
                                 : 1,
           nb = json_is_nil(b)   ? 0
                : json_is_arr(b) ? json_len(b)
                                 : 1;
    if (na != nb)
        return false;
    if (json_is_arr(a) && json_is_arr(b)) {
        for (struct json_iter it = json_iter(a); json_next(&it);)
            if (occurrences(a, it.val) != occurrences(b, it.val))
                return false;
        return true;
    }
    if (na != 1 || json_is_obj(a) || json_is_obj(b))
        return na == 0 || json_equal(a, b);
    return json_equal(json_is_arr(a) ? json_at(a, 0) : a, json_is_arr(b) ? json_at(b, 0) : b);
}

size_t entity_diff(struct json ours, struct json theirs, bool (*defined)(void *arg, struct str property),
                   void *arg, void (*undefined)(void *arg, struct str property), struct buf *out)
{
    static const char *const groups[] = {"properties", "relations"};
    struct diff d = {out, 0};
    if (!same(json_get_c(ours, "title"), json_get_c(theirs, "title")))
        differs(&d, "title", STR_NULL);
    if (!same(json_get_c(ours, "icon"), json_get_c(theirs, "icon")))
        differs(&d, "icon", STR_NULL);
    if (!entity_same_team(json_get_c(ours, "team"), json_get_c(theirs, "team")))
        differs(&d, "team", STR_NULL);
    for (int g = 0; g < 2; g++) {
        struct json a = json_get(ours, str_of(groups[g])), b = json_get(theirs, str_of(groups[g]));
        for (struct json_iter it = json_iter(a); json_next(&it);) {
            struct json other = json_get(b, it.key), mine = json_get(a, it.key);
            if (same(mine, other))
                continue;
            if (g == 0 && !other.v && defined && !defined(arg, it.key)) {
                if (undefined)
                    undefined(arg, it.key);
                continue;
            }
            differs(&d, groups[g], it.key);
        }
        for (struct json_iter it = json_iter(b); json_next(&it);)
            if (!json_get(a, it.key).v && !json_is_nil(it.val))
                differs(&d, groups[g], it.key);
    }
    return d.n;
}
