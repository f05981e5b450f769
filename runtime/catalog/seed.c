/* POST /_local/seed: a catalog for a test, written in one transaction: blueprints first (twice over, so that they may
 * refer to each other), then entities in list order, then integrations. Entities may set their owner and instants. */
#include "catalog/integration.h"
#include "catalog/routes.h"
#include "catalog/write.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "json/write.h"

static int seed_organization(struct work *w, struct json organization)
{
    if (json_is_nil(organization))
        return 0;
    struct buf text, now;
    struct json_doc *old = NULL;
    buf_init(&text, LIMIT_ANSWER);
    buf_init(&now, LIMIT_ANSWER);
    int rc = meta_get(w->k, "organization", &text, &w->r) < 0 ? -1 : 0;
    if (rc == 0 && json_parse(buf_str(&text), &old, NULL) < 0)
        rc = refuse(&w->r, 500, "internal_error", "organization is not JSON");
    struct jw jw = jw_on(&now);
    jw_obj(&jw);
    for (struct json_iter it = json_iter(json_root(old)); json_next(&it);) {
        struct json given = json_get(organization, it.key);
        jw_key(&jw, it.key);
        jw_json(&jw, given.v ? given : it.val);
    }
    jw_end_obj(&jw);
    if (rc == 0)
        rc = meta_put(w->k, "organization", buf_str(&now), &w->r);
    json_unref(old);
    buf_done(&text);
    buf_done(&now);
    return rc;
}

/* The same blueprint without relations, for the first round. */
static int seed_bare(struct work *w, struct json in, int64_t client)
{
    struct buf text;
    struct json_doc *bare = NULL;
    buf_init(&text, LIMIT_ANSWER);
    struct jw jw = jw_on(&text);
    jw_obj(&jw);
    for (struct json_iter it = json_iter(in); json_next(&it);) {
        if (str_is(it.key, "relations"))
            continue;
        jw_key(&jw, it.key);
        jw_json(&jw, it.val);
    }
    jw_end_obj(&jw);
    int rc = json_parse(buf_str(&text), &bare, NULL) < 0
                 ? refuse(&w->r, 500, "internal_error", "cannot rewrite a blueprint")
                 : blueprint_create(w->k, json_root(bare), client, &w->r);
    json_unref(bare);
    buf_done(&text);
    return rc;
}

static int seed_blueprints(struct work *w, struct json list, int64_t client)
{
    struct refusal unused;
    for (struct json_iter it = json_iter(list); json_next(&it);) {
        struct str id = json_str(json_get_c(it.val, "identifier"));
        if ((!id.p || !blueprint_find(w->k, id, &unused)) && seed_bare(w, it.val, client) < 0)
            return -1;
    }
    for (struct json_iter it = json_iter(list); json_next(&it);)
        if (blueprint_update(w->k, json_str(json_get_c(it.val, "identifier")), it.val, false, client, &w->r) < 0)
            return -1;
    return 0;
}

static int seed_instant(struct work *w, struct json in, const char *key, int64_t *ret)
{
    struct json v = json_get(in, str_of(key));
    *ret = 0;
    if (json_is_nil(v) || iso_parse(json_str(v), ret))
        return 0;
    return refuse_invalid(&w->r, "\"entities/%s\" must be an instant such as 2030-01-02T03:04:05Z", key);
}

static int seed_entity(struct work *w, struct json in, struct write_options o)
{
    struct str owner = json_str(json_get_c(in, "$datasource"));
    struct blueprint *b = blueprint_find(w->k, json_str(json_get_c(in, "blueprint")), &w->r);
    struct written done;
    if (!b || seed_instant(w, in, "createdAt", &o.created_at) < 0 ||
        seed_instant(w, in, "updatedAt", &o.updated_at) < 0)
        return -1;
    if (owner.p && !(o.datasource = dict_put(w->k, w->k->datasources, owner, &w->r)))
        return -1;
    if (!o.created_at)
        o.created_at = o.updated_at;
    struct arena *a = arena_new(0);
    int rc = entity_write(w->k, b, in, &o, a, &done, &w->r);
    arena_free(a);
    return rc;
}

static int seed_entities(struct work *w, struct json list, bool validate, int64_t client, size_t *ret_n)
{
    struct write_options o = {
        .upsert = true, .create_missing = true, .no_checks = !validate, .client = client, .now = core_now(w->k)};
    o.datasource = dict_put(w->k, w->k->datasources, w->user_agent, &w->r);
    if (!o.datasource)
        return -1;
    *ret_n = 0;
    for (struct json_iter it = json_iter(list); json_next(&it); (*ret_n)++) {
        if (seed_entity(w, it.val, o) < 0) {
            char text[sizeof(w->r.message)];
            snprintf(text, sizeof(text), "entities/%zu: %.500s", *ret_n, w->r.message);
            memcpy(w->r.message, text, sizeof(text));
            return -1;
        }
    }
    return 0;
}

static int seed_integrations(struct work *w, struct json list, int64_t client)
{
    for (struct json_iter it = json_iter(list); json_next(&it);) {
        if (!json_is_str(json_get_c(it.val, "installationId")) ||
            !json_is_str(json_get_c(it.val, "installationAppType")))
            return refuse_invalid(&w->r,
                                  "\"integrations\" must have 'installationId' and 'installationAppType', both string");
        if (integration_create(w, it.val, client, core_now(w->k)) < 0)
            return -1;
    }
    return 0;
}

int control_seed(struct work *w)
{
    struct json in = work_json(w), validate = json_get_c(in, "validate");
    int64_t client = in.v ? dict_put(w->k, w->k->clients, STR("seed"), &w->r) : 0;
    size_t n = 0;
    if (!client || seed_organization(w, json_get_c(in, "organization")) < 0 ||
        seed_blueprints(w, json_get_c(in, "blueprints"), client) < 0 ||
        seed_entities(w, json_get_c(in, "entities"), !validate.v || json_is_true(validate), client, &n) < 0 ||
        seed_integrations(w, json_get_c(in, "integrations"), client) < 0 ||
        runs_seed(w, json_get_c(in, "actionRuns"), false) < 0 || runs_seed(w, json_get_c(in, "nodeRuns"), true) < 0)
        return -1;
    struct jw jw = work_begin(w);
    jw_key_c(&jw, "blueprints");
    jw_int(&jw, (int64_t)json_len(json_get_c(in, "blueprints")));
    jw_key_c(&jw, "entities");
    jw_int(&jw, (int64_t)n);
    work_end(w, &jw);
    return 0;
}
