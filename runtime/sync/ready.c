/* Two passes: all elements are checked before anything is made, so that a wrong one changes nothing. */
#include "sync/ready.h"

#include <string.h>

#include "base/buf.h"
#include "json/compare.h"
#include "json/write.h"
#include "mapping/entity.h"

static bool is_query(struct json v)
{
    return json_is_obj(v) && json_get_c(v, "combinator").v && json_get_c(v, "rules").v;
}

static bool any_query(struct json v)
{
    if (!json_is_arr(v))
        return is_query(v);
    for (struct json_iter it = json_iter(v); json_next(&it);)
        if (is_query(it.val))
            return true;
    return false;
}

static int wrong(struct err *e, size_t number, const char *field, struct json v, const char *expected)
{
    struct buf text;
    buf_init(&text, 4096);
    json_excerpt(&text, v, 100);
    int rc = v.v ? ERR(e, ERR_INVAL, "entity %zu: '%s' must be %s, not %s", number, field, expected, buf_cstr(&text))
                 : ERR(e, ERR_INVAL, "entity %zu: '%s' is missing, it must be %s", number, field, expected);
    buf_done(&text);
    return rc;
}

static int check(struct json in, size_t number, struct err *e)
{
    struct json id = json_get_c(in, "identifier"), blueprint = json_get_c(in, "blueprint");
    bool named = (json_is_str(id) && json_str(id).n) || json_is_num(id) || is_query(id);
    if (!json_is_obj(in))
        return wrong(e, number, "entity", in, "an object");
    if (!named)
        return wrong(e, number, "identifier", id, "a text or a search query");
    if (!json_is_str(blueprint) || !json_str(blueprint).n)
        return wrong(e, number, "blueprint", blueprint, "the identifier of a blueprint");
    static const char *const objects[] = {"properties", "relations"};
    for (size_t i = 0; i < 2; i++) {
        struct json v = json_get(in, str_of(objects[i]));
        if (!json_is_nil(v) && !json_is_obj(v))
            return wrong(e, number, objects[i], v, "an object");
    }
    return 0;
}

static void write_text(struct buf *out, struct json in)
{
    static const char *const fields[] = {"identifier", "blueprint", "title", "icon", "team", "properties", "relations"};
    struct jw w = jw_on(out);
    buf_reset(out);
    jw_obj(&w);
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        struct json v = json_get(in, str_of(fields[i]));
        if (!v.v)
            continue;
        jw_key(&w, str_of(fields[i]));
        jw_json(&w, v);
    }
    jw_end_obj(&w);
}

static void add_target(struct arena *a, struct mapped_entity *e, struct entity_target *room, struct str relation,
                       struct json v)
{
    struct buf text;
    if (json_is_nil(v) || json_is_obj(v))
        return;
    buf_init(&text, BUF_NO_LIMIT);
    json_identifier_text(&text, v);
    room[e->ntargets++] = (struct entity_target){relation, arena_str(a, buf_str(&text))};
    buf_done(&text);
}

static void read_relations(struct arena *a, struct mapped_entity *e, struct json relations)
{
    size_t n = 0;
    for (struct json_iter it = json_iter(relations); json_next(&it);)
        n += json_is_arr(it.val) ? json_len(it.val) : 1;
    struct entity_target *room = arena_alloc(a, (n + 1) * sizeof(*room));
    e->targets = room;
    for (struct json_iter it = json_iter(relations); json_next(&it);) {
        struct str name = arena_str(a, it.key);
        if (any_query(it.val))
            e->flags |= ENTITY_SEARCH_OTHER;
        if (!json_is_arr(it.val))
            add_target(a, e, room, name, it.val);
        for (struct json_iter each = json_iter(json_is_arr(it.val) ? it.val : JSON_NONE); json_next(&each);)
            add_target(a, e, room, name, each.val);
    }
}

static void read_one(struct arena *a, struct json in, size_t index, struct buf *text, struct mapped_entity *e)
{
    struct json id = json_get_c(in, "identifier");
    *e = (struct mapped_entity){.item = (uint32_t)index, .blueprint = arena_str(a, json_str(json_get_c(in, "blueprint")))};
    write_text(text, in);
    e->text = arena_str(a, buf_str(text));
    buf_reset(text);
    json_identifier_text(text, id);
    e->identifier = arena_str(a, buf_str(text));
    e->key = key128_entity(e->blueprint, e->identifier);
    e->print = entity_fingerprint(in);
    if (json_is_obj(id))
        e->flags |= ENTITY_SEARCH_IDENTIFIER;
    if (any_query(json_get_c(in, "team")))
        e->flags |= ENTITY_SEARCH_OTHER;
    read_relations(a, e, json_get_c(in, "relations"));
}

int ready_read(struct json list, struct ready *ret, struct err *e)
{
    struct buf text;
    size_t i = 0;
    if (!json_is_arr(list))
        return ERR(e, ERR_INVAL, "a list of entities was expected, got %s", json_type_name(json_type(list)));
    for (struct json_iter it = json_iter(list); json_next(&it);)
        if (check(it.val, ++i, e) < 0)
            return ERR_INVAL;
    *ret = (struct ready){.arena = arena_new(0), .n = json_len(list)};
    ret->entities = arena_zalloc(ret->arena, (ret->n + 1) * sizeof(*ret->entities));
    buf_init(&text, BUF_NO_LIMIT);
    i = 0;
    for (struct json_iter it = json_iter(list); json_next(&it); i++)
        read_one(ret->arena, it.val, i, &text, &ret->entities[i]);
    buf_done(&text);
    return 0;
}

void ready_done(struct ready *r)
{
    arena_free(r->arena);
    *r = (struct ready){0};
}
