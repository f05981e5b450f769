/* Refusals, statements, dictionaries, clock. A dictionary is read whole at its first use: there are as many datasources
 * as integrations and versions ever written, and as many clients as credentials. Everything cached here is dropped
 * after any rollback (core_forget), so that nothing is believed that was never stored. */
#include "catalog/core.h"

#include <openssl/rand.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "json/write.h"

/* Refusals ------------------------------------------------------------------------------------------------------ */

__attribute__((format(printf, 4, 0))) static void fill(struct refusal *r, int status, const char *error,
                                                       const char *fmt, va_list ap)
{
    r->status = status;
    r->details[0] = 0;
    snprintf(r->error, sizeof(r->error), "%s", error);
    size_t room = sizeof(r->message);
    if ((size_t)vsnprintf(r->message, room, fmt, ap) >= room)
        memcpy(r->message + room - 4, "...", 4);
}

int refuse(struct refusal *r, int status, const char *error, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fill(r, status, error, fmt, ap);
    va_end(ap);
    return -1;
}

int refuse_invalid(struct refusal *r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fill(r, 422, "invalid_request", fmt, ap);
    va_end(ap);
    return -1;
}

int refuse_detail(struct refusal *r, const char *key, struct str value)
{
    struct buf b;
    buf_init(&b, sizeof(r->details) - 2);
    size_t n = strlen(r->details);
    if (n > 1)
        buf_add(&b, r->details, n - 1);
    buf_addc(&b, n > 1 ? ',' : '{');
    json_quote(&b, str_of(key));
    buf_addc(&b, ':');
    json_quote(&b, value);
    buf_addc(&b, '}');
    if (!b.failed)
        memcpy(r->details, b.p, b.n + 1);
    buf_done(&b);
    return -1;
}

int refuse_no_blueprint(struct refusal *r, struct str id)
{
    refuse(r, 404, "not_found", "Blueprint with identifier \"%.*s\" was not found", STR_FMT(id));
    refuse_detail(r, "resource", STR("blueprint"));
    return refuse_detail(r, "identifier", id);
}

int refuse_no_entity(struct refusal *r, struct str id, struct str blueprint)
{
    refuse(r, 404, "not_found", "Entity with identifier \"%.*s\" does not exist in the blueprint \"%.*s\"", STR_FMT(id),
           STR_FMT(blueprint));
    refuse_detail(r, "resource", STR("entity"));
    return refuse_detail(r, "identifier", id);
}

void refusal_write(const struct refusal *r, struct buf *out)
{
    struct jw w = jw_on(out);
    jw_obj(&w);
    jw_key_c(&w, "ok");
    jw_bool(&w, false);
    jw_key_c(&w, "error");
    jw_cstr(&w, r->error);
    jw_key_c(&w, "message");
    jw_cstr(&w, r->message);
    if (r->details[0]) {
        jw_key_c(&w, "details");
        jw_raw(&w, str_of(r->details));
    }
    jw_end_obj(&w);
}

/* Statements ---------------------------------------------------------------------------------------------------- */

static int db_refuse(struct core *k, struct refusal *r, const char *what)
{
    bool full = sqlite3_errcode(k->h) == SQLITE_FULL;
    return refuse(r, full ? 507 : 500, full ? "insufficient_storage" : "internal_error", "database: %s: %s", what,
                  sqlite3_errmsg(k->h));
}

static void bind(sqlite3_stmt *s, const char *fmt, va_list ap)
{
    for (int i = 1; *fmt; fmt++, i++) {
        if (*fmt == 'i') {
            sqlite3_bind_int64(s, i, va_arg(ap, int64_t));
        } else if (*fmt == 't') {
            struct str t = va_arg(ap, struct str);
            sqlite3_bind_text(s, i, t.p, (int)t.n, SQLITE_STATIC);
        }
    }
}

static sqlite3_stmt *open_list(struct core *k, struct refusal *r, const char *sql, const char *fmt, va_list ap)
{
    struct err e = {0};
    sqlite3_stmt *s = db_stmt(k->db, sql, &e);
    if (!s) {
        refuse(r, 500, "internal_error", "database: %s", e.msg);
        return NULL;
    }
    bind(s, fmt, ap);
    return s;
}

sqlite3_stmt *q_open(struct core *k, struct refusal *r, const char *sql, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    sqlite3_stmt *s = open_list(k, r, sql, fmt, ap);
    va_end(ap);
    return s;
}

int q_row(struct core *k, sqlite3_stmt *s, struct refusal *r)
{
    if (!s)
        return -1;
    int rc = sqlite3_step(s);
    if (rc == SQLITE_ROW)
        return 1;
    if (rc == SQLITE_DONE) {
        sqlite3_reset(s);
        return 0;
    }
    db_refuse(k, r, "query");
    sqlite3_reset(s);
    return -1;
}

void q_close(sqlite3_stmt *s) { sqlite3_reset(s); }

int q_exec(struct core *k, struct refusal *r, const char *sql, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    sqlite3_stmt *s = open_list(k, r, sql, fmt, ap);
    va_end(ap);
    int rc = q_row(k, s, r);
    if (rc > 0)
        sqlite3_reset(s);
    return rc < 0 ? -1 : 0;
}

int q_int(struct core *k, struct refusal *r, int64_t *ret, int64_t none, const char *sql, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    sqlite3_stmt *s = open_list(k, r, sql, fmt, ap);
    va_end(ap);
    int rc = q_row(k, s, r);
    if (rc < 0)
        return -1;
    *ret = rc > 0 ? sqlite3_column_int64(s, 0) : none;
    if (rc > 0)
        sqlite3_reset(s);
    return 0;
}

struct str q_text(sqlite3_stmt *s, int column)
{
    const char *p = (const char *)sqlite3_column_text(s, column);
    return (struct str){p, p ? (size_t)sqlite3_column_bytes(s, column) : 0};
}

int64_t q_num(sqlite3_stmt *s, int column) { return sqlite3_column_int64(s, column); }
int64_t q_last_id(struct core *k) { return sqlite3_last_insert_rowid(k->h); }

/* Dictionaries -------------------------------------------------------------------------------------------------- */

struct word {
    int64_t id;
    struct str text;
};

struct dict {
    const char *load, *insert;
    struct strmap *words; /* text -> struct word; NULL: not loaded */
    struct word **by_id;
    size_t n;
};

static struct dict *dict_new(const char *load, const char *insert)
{
    struct dict *d = xcalloc(1, sizeof(*d));
    d->load = load;
    d->insert = insert;
    return d;
}

static void dict_clear(struct dict *d)
{
    strmap_free(d->words);
    free(d->by_id);
    d->words = NULL;
    d->by_id = NULL;
    d->n = 0;
}

static void word_free(void *p)
{
    struct word *w = p;
    free((char *)(uintptr_t)w->text.p);
    free(w);
}

static void dict_add(struct dict *d, int64_t id, struct str text)
{
    struct word *w = xmalloc(sizeof(*w));
    *w = (struct word){id, {str_dup(text), text.n}};
    strmap_put(d->words, text, w);
    if ((size_t)id >= d->n) {
        size_t n = (size_t)id + 16;
        d->by_id = xrealloc(d->by_id, n * sizeof(*d->by_id));
        memset(d->by_id + d->n, 0, (n - d->n) * sizeof(*d->by_id));
        d->n = n;
    }
    d->by_id[id] = w;
}

static int dict_load(struct core *k, struct dict *d, struct refusal *r)
{
    if (d->words)
        return 0;
    d->words = strmap_new(word_free);
    sqlite3_stmt *s = q_open(k, r, d->load, "");
    int rc;
    while ((rc = q_row(k, s, r)) > 0)
        dict_add(d, q_num(s, 0), q_text(s, 1));
    if (rc < 0)
        dict_clear(d);
    return rc;
}

int64_t dict_put(struct core *k, struct dict *d, struct str text, struct refusal *r)
{
    if (dict_load(k, d, r) < 0)
        return 0;
    if (!text.p)
        text = STR("");
    struct word *w = strmap_get(d->words, text);
    if (w)
        return w->id;
    if (q_exec(k, r, d->insert, "t", text) < 0)
        return 0;
    int64_t id = q_last_id(k);
    dict_add(d, id, text);
    return id;
}

struct str dict_text(struct core *k, struct dict *d, int64_t id)
{
    struct refusal r;
    if (dict_load(k, d, &r) < 0 || id < 0 || (size_t)id >= d->n || !d->by_id[id])
        return STR("");
    return d->by_id[id]->text;
}

int dict_each(struct core *k, struct dict *d, void (*fn)(void *arg, int64_t id, struct str text), void *arg,
              struct refusal *r)
{
    if (dict_load(k, d, r) < 0)
        return -1;
    for (size_t i = 0; i < d->n; i++)
        if (d->by_id[i])
            fn(arg, d->by_id[i]->id, d->by_id[i]->text);
    return 0;
}

/* The rest ------------------------------------------------------------------------------------------------------ */

void core_init(struct core *k)
{
    buf_init(&k->body, LIMIT_ANSWER);
    buf_init(&k->rel, LIMIT_ANSWER);
    k->datasources = dict_new("SELECT id, text FROM datasource", "INSERT INTO datasource (text) VALUES (?)");
    k->clients = dict_new("SELECT id, text FROM client", "INSERT INTO client (text) VALUES (?)");
    k->refs_upto = -1;
    k->ntallies = 0;
}

/* Counters -------------------------------------------------------------------------------------------------------- */

int core_tally_flush(struct core *k, struct refusal *r)
{
    for (size_t i = 0; i < k->ntallies; i++)
        if (k->tallies[i].n &&
            q_exec(k, r,
                   "INSERT INTO tally (blueprint, datasource, n) VALUES (?1, ?2, ?3)"
                   " ON CONFLICT (blueprint, datasource) DO UPDATE SET n = n + excluded.n",
                   "iii", k->tallies[i].blueprint, k->tallies[i].datasource, k->tallies[i].n) < 0)
            return -1;
    k->ntallies = 0;
    return 0;
}

int core_tally(struct core *k, int64_t blueprint, int64_t datasource, int64_t n, struct refusal *r)
{
    for (size_t i = 0; i < k->ntallies; i++)
        if (k->tallies[i].blueprint == blueprint && k->tallies[i].datasource == datasource) {
            k->tallies[i].n += n;
            return 0;
        }
    if (k->ntallies == TALLIES_PENDING && core_tally_flush(k, r) < 0)
        return -1;
    k->tallies[k->ntallies].blueprint = blueprint;
    k->tallies[k->ntallies].datasource = datasource;
    k->tallies[k->ntallies++].n = n;
    return 0;
}

void core_forget(struct core *k)
{
    strmap_free(k->blueprints);
    k->blueprints = NULL;
    dict_clear(k->datasources);
    dict_clear(k->clients);
    k->refs_upto = -1;
}

void core_done(struct core *k)
{
    core_forget(k);
    free(k->datasources);
    free(k->clients);
    buf_done(&k->body);
    buf_done(&k->rel);
}

int64_t core_now(const struct core *k)
{
    struct core *m = (struct core *)(uintptr_t)k;
    int64_t shift = atomic_load(&m->clock);
    return atomic_load(&m->clock_fixed) ? shift : clock_wall_us() + shift;
}

int meta_get(struct core *k, const char *key, struct buf *out, struct refusal *r)
{
    sqlite3_stmt *s = q_open(k, r, "SELECT value FROM meta WHERE key = ?", "t", str_of(key));
    int rc = q_row(k, s, r);
    if (rc > 0) {
        buf_addstr(out, q_text(s, 0));
        q_close(s);
    }
    return rc;
}

int meta_put(struct core *k, const char *key, struct str value, struct refusal *r)
{
    return q_exec(k, r, "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", "tt", str_of(key), value);
}

static atomic_uint_fast64_t id_state; /* 0: ids are random */

void random_seed(uint64_t seed) { atomic_store(&id_state, seed); }

/* splitmix64 over a shared counter: any thread, and never the same value twice. */
static bool seeded_bytes(unsigned char *out, size_t n)
{
    for (size_t i = 0; i < n; i += 8) {
        if (!atomic_load(&id_state))
            return false;
        uint64_t z = atomic_fetch_add(&id_state, UINT64_C(0x9e3779b97f4a7c15));
        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        z ^= z >> 31;
        memcpy(out + i, &z, n - i < 8 ? n - i : 8);
    }
    return true;
}

void random_id(char *out, size_t n)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    unsigned char raw[64];
    for (size_t i = 0; i < n; i++) {
        size_t block = n - i < sizeof(raw) ? n - i : sizeof(raw);
        if (i % sizeof(raw) == 0 && !seeded_bytes(raw, block) && RAND_bytes(raw, (int)block) != 1)
            abort();
        out[i] = letters[raw[i % sizeof(raw)] % 62];
    }
    out[n] = 0;
}

void jw_instant(struct jw *w, int64_t wall_us)
{
    char text[40];
    iso_format(text, wall_us, ISO_Z_MILLIS);
    jw_cstr(w, text);
}
