/* Blueprints over HTTP: E-22 to E-29. */
#include "base/clock.h"
#include "catalog/remove.h"
#include "catalog/routes.h"

#include <stdio.h>
#include <string.h>

#include "json/write.h"

static int answer(struct work *w, struct str identifier)
{
    struct blueprint *b = blueprint_find(w->k, identifier, &w->r);
    if (!b)
        return -1;
    struct jw jw = work_begin(w);
    jw_key_c(&jw, "blueprint");
    blueprint_write(w->k, b, &w->out);
    jw.comma = true;
    work_end(w, &jw);
    return 0;
}

int api_blueprints_get(struct work *w)
{
    struct blueprint *b;
    size_t n = 0;
    buf_adds(&w->out, "{\"ok\":true,\"blueprints\":[");
    for (size_t at = 0; (at = blueprint_next(w->k, at, &b)) != 0; n++) {
        if (n)
            buf_addc(&w->out, ',');
        blueprint_write(w->k, b, &w->out);
    }
    buf_adds(&w->out, "]}");
    return 0;
}

int api_blueprint_get(struct work *w) { return answer(w, w->seg[0]); }

static int client_number(struct work *w, int64_t *ret)
{
    *ret = dict_put(w->k, w->k->clients, w->client, &w->r);
    return *ret ? 0 : -1;
}

int api_blueprint_post(struct work *w)
{
    struct json in = work_json(w);
    int64_t client;
    if (!in.v || client_number(w, &client) < 0 || blueprint_create(w->k, in, client, &w->r) < 0)
        return -1;
    w->status = 201;
    return answer(w, json_str(json_get_c(in, "identifier")));
}

static int update(struct work *w, bool merge)
{
    struct json in = work_json(w);
    int64_t client;
    if (!in.v || client_number(w, &client) < 0 || blueprint_update(w->k, w->seg[0], in, merge, client, &w->r) < 0)
        return -1;
    return answer(w, w->seg[0]);
}

int api_blueprint_patch(struct work *w) { return update(w, true); }
int api_blueprint_put(struct work *w) { return update(w, false); }
int api_blueprint_delete(struct work *w) { return blueprint_delete(w->k, w->seg[0], &w->r) < 0 ? -1 : work_ok(w); }

/* All entities -------------------------------------------------------------------------------------------------- */

#define REMOVE_AT_ONCE 1000

/* Removes the oldest entities of a blueprint, with what requires them; returns how many were asked for. */
static int remove_some(struct work *w, const struct blueprint *b)
{
    struct arena *a = arena_new(0);
    struct str ids[REMOVE_AT_ONCE];
    struct removed gone;
    size_t n = 0;
    struct sqlite3_stmt *s =
        q_open(w->k, &w->r, "SELECT identifier FROM entity WHERE blueprint = ? LIMIT 1000", "i", b->id);
    int rc;
    while ((rc = q_row(w->k, s, &w->r)) > 0)
        ids[n++] = arena_str(a, q_text(s, 0));
    if (rc == 0 && n)
        rc = entities_remove(w->k, b, ids, n, true, a, &gone, &w->r);
    if (rc == 0 && n) {
        w->eff.deleted += gone.deleted;
        w->eff.cascaded += gone.cascaded;
    }
    arena_free(a);
    return rc < 0 ? -1 : (int)n;
}

int api_all_entities_delete(struct work *w)
{
    bool with_blueprint;
    char id[27];
    struct blueprint *b = blueprint_find(w->k, w->seg[0], &w->r);
    if (!b || work_flag(w, "delete_blueprint", false, &with_blueprint) < 0)
        return -1;
    for (int n; (n = remove_some(w, b)) != 0;)
        if (n < 0)
            return -1;
    memcpy(id, "migration_", 10);
    random_id(id + 10, 16);
    int64_t now = core_now(w->k);
    struct buf doc;
    buf_init(&doc, 4096);
    struct jw m = jw_on(&doc);
    jw_obj(&m);
    jw_key_c(&m, "id");
    jw_cstr(&m, id);
    jw_key_c(&m, "identifier");
    jw_cstr(&m, id);
    jw_key_c(&m, "actor");
    jw_str(&m, w->client);
    jw_key_c(&m, "sourceBlueprint");
    jw_str(&m, w->seg[0]);
    jw_key_c(&m, "mapping");
    jw_raw(&m, STR("{}"));
    jw_key_c(&m, "status");
    jw_str_c(&m, "COMPLETED");
    jw_key_c(&m, "createdAt");
    jw_instant(&m, now);
    jw_key_c(&m, "updatedAt");
    jw_instant(&m, now);
    jw_end_obj(&m);
    int rc = q_exec(w->k, &w->r, "INSERT INTO document (class, owner, identifier, doc) VALUES ('migration', '', ?, ?)",
                    "tt", str_of(id), buf_str(&doc));
    buf_done(&doc);
    if (rc == 0 && with_blueprint)
        rc = blueprint_delete(w->k, w->seg[0], &w->r);
    if (rc < 0)
        return -1;
    struct jw jw = work_begin(w);
    jw_key_c(&jw, "migrationId");
    jw_cstr(&jw, id);
    work_end(w, &jw);
    return 0;
}

int api_migration_get(struct work *w)
{
    struct sqlite3_stmt *s =
        q_open(w->k, &w->r, "SELECT doc FROM document WHERE class = 'migration' AND owner = '' AND identifier = ?", "t",
               w->seg[0]);
    int rc = q_row(w->k, s, &w->r);
    if (rc == 0)
        return refuse(&w->r, 404, "not_found", "Migration with identifier \"%.*s\" was not found", STR_FMT(w->seg[0]));
    if (rc < 0)
        return -1;
    struct json_doc *doc = NULL;
    if (json_parse(q_text(s, 0), &doc, NULL) < 0) {
        q_close(s);
        return refuse(&w->r, 500, "internal_error", "the stored migration is not JSON");
    }
    q_close(s);
    struct json m = json_root(doc);
    int64_t begun;
    bool running = w->k->migration_delay_us && iso_parse(json_str(json_get_c(m, "createdAt")), &begun) &&
                   core_now(w->k) - begun < w->k->migration_delay_us;
    struct jw jw = work_begin(w);
    jw_key_c(&jw, "migration");
    jw_obj(&jw);
    for (struct json_iter it = json_iter(m); json_next(&it);) {
        jw_key(&jw, it.key);
        if (running && str_is(it.key, "status"))
            jw_str_c(&jw, "RUNNING"); /* P-111: it is done already, but does not say so yet */
        else
            jw_json(&jw, it.val);
    }
    jw_end_obj(&jw);
    work_end(w, &jw);
    json_unref(doc);
    return 0;
}
