/* core.h: what the database thread works with: the connection, the caches over it, and how a request is refused.
 *
 * Everything that takes a `struct core` runs on the database's thread. Whatever can fail returns 0 (or a count) and -1
 * after filling a `struct refusal`, which is what the client will read; a refusal of status 500 or more rolls the whole
 * request back. Texts returned by q_text live until the statement's next step. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"
#include "base/strmap.h"
#include "json/json.h"
#include "store/db.h"

#define CATALOG_APPLICATION_ID 0x4f435043 /* "OCPC" */
#define LIMIT_IDENTIFIER 1000
#define LIMIT_NAME 100
#define LIMIT_BULK 20
#define LIMIT_DELETE 100
#define LIMIT_ANSWER ((size_t)1 << 30)

struct refusal {
    int status;
    char error[32];
    char message[600];
    char details[400]; /* a JSON object, or empty */
};

/* Fills r and returns -1. */
int refuse(struct refusal *r, int status, const char *error, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* 422 invalid_request. */
int refuse_invalid(struct refusal *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* 404 not_found, with the messages of port-api P-37. */
int refuse_no_blueprint(struct refusal *r, struct str identifier);
int refuse_no_entity(struct refusal *r, struct str identifier, struct str blueprint);
/* Adds one member to r->details; returns -1. */
int refuse_detail(struct refusal *r, const char *key, struct str value);
/* Writes the envelope of port-api P-34. */
void refusal_write(const struct refusal *r, struct buf *out);

enum unknown_mode { UNKNOWN_DROP, UNKNOWN_KEEP, UNKNOWN_REJECT };

struct dict; /* a table of texts with small numbers: datasources, clients */

#define TALLIES_PENDING 16

struct core {
    struct db *db;
    struct sqlite3 *h;
    enum unknown_mode unknown;
    bool keep_raw;             /* bodies of E-20 */
    int64_t migration_delay_us; /* P-111 */
    bool strict, strict_bulk, strict_teams; /* port-api P-100, P-156, P-138 */
    bool all_writers;                       /* owners.h */
    atomic_bool stale;         /* a commit failed: what is cached may never have been stored */
    atomic_int_fast64_t clock; /* CLOCK_* below: offset in microseconds, or a fixed instant */
    atomic_bool clock_fixed;
    struct strmap *blueprints; /* identifier -> struct blueprint; NULL: not loaded */
    struct dict *datasources, *clients;
    int64_t refs_upto;         /* -1: not read yet (refs.h) */
    struct {
        int64_t blueprint, datasource, n;
    } tallies[TALLIES_PENDING]; /* changes of this request that the table `tally` has not got yet */
    size_t ntallies;
    struct buf body, rel;      /* texts of the entity being written */
    atomic_int_fast64_t keep_past_us; /* past.h: how far back one may have to look; 0: not at all */
    atomic_ulong dropped_properties;
};

void core_init(struct core *k);
void core_done(struct core *k);
/* Forgets what is cached, after a rollback. */
void core_forget(struct core *k);
/* Instant for everything that gets a time, in microseconds; follows the control API's clock. Any thread. */
int64_t core_now(const struct core *k);

/* Counters of entities by blueprint and datasource: a change, and all changes into the table, which a request does at its
 * end (a rollback forgets them). */
int core_tally(struct core *k, int64_t blueprint, int64_t datasource, int64_t n, struct refusal *r);
int core_tally_flush(struct core *k, struct refusal *r);

extern const char *const catalog_migrations[];
/* System blueprints, token key, ids: what a fresh file gets and a reset gets again. */
int core_seed(struct core *k, struct refusal *r);

/* Statements. fmt: i int64_t, t struct str (p NULL binds NULL), n nothing. `sql` must be a literal: it is cached by address,
 * so two walks over the same literal must not be nested. */
struct sqlite3_stmt *q_open(struct core *k, struct refusal *r, const char *sql, const char *fmt, ...);
/* 1: a row; 0: the end; -1: refused. After 0 and -1 the statement is reset. A NULL statement gives -1. */
int q_row(struct core *k, struct sqlite3_stmt *s, struct refusal *r);
void q_close(struct sqlite3_stmt *s); /* ends a walk early */
int q_exec(struct core *k, struct refusal *r, const char *sql, const char *fmt, ...);
/* First column of the first row, or `none`; -1 refused. */
int q_int(struct core *k, struct refusal *r, int64_t *ret, int64_t none, const char *sql, const char *fmt, ...);
struct str q_text(struct sqlite3_stmt *s, int column);
int64_t q_num(struct sqlite3_stmt *s, int column);
int64_t q_last_id(struct core *k);

/* Small numbers for texts that repeat. 0: refused (or, for find, unknown). */
int64_t dict_put(struct core *k, struct dict *d, struct str text, struct refusal *r);
struct str dict_text(struct core *k, struct dict *d, int64_t id); /* "" if unknown; valid until core_forget */
/* Calls fn for every text. */
int dict_each(struct core *k, struct dict *d, void (*fn)(void *arg, int64_t id, struct str text), void *arg, struct refusal *r);

/* Values of the `meta` table; the text is in `out`. 1 found, 0 not, -1 refused. */
int meta_get(struct core *k, const char *key, struct buf *out, struct refusal *r);
int meta_put(struct core *k, const char *key, struct str value, struct refusal *r);

/* `n` random letters and digits into out (n + 1 bytes). Any thread. */
void random_id(char *out, size_t n);
/* From now on the ids of this process follow from `seed`, for runs that must repeat (P-218); 0: random again. */
void random_seed(uint64_t seed);
struct jw;
void jw_instant(struct jw *w, int64_t wall_us);
