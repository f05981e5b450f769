/* faults.h: injected failures (port-api 16.3). Loop thread only.
 *
 * Tried in order of creation, the first match acts; a latency combines with one other (P-220). A used-up fault stays listed. */
#pragma once
#include "catalog/work.h"

struct faults;

enum fault_type {
    FAULT_LATENCY, FAULT_STATUS, FAULT_RATE_LIMIT, FAULT_BURST, FAULT_RESET, FAULT_HANG, FAULT_COMMIT_THEN_FAIL,
    FAULT_SLOW_BODY, FAULT_TRUNCATE, FAULT_BAD_JSON, FAULT_EXPIRE_TOKENS, FAULT_SHORT_TOKEN, FAULT_BULK_PARTIAL,
    FAULT_BULK_OMIT, FAULT_STALE_READ, FAULT_CLOSE_IDLE,
    FAULT_NONE,
};

#define FAULT_CODES 8
#define FAULT_HEADERS 4

struct fault {
    struct fault *next;
    char *id, *method, *path, *route, *agent, *integration, *blueprint, *identifier, *body, *error, *message, *answer,
        *details; /* or NULL */
    char *client;
    struct {
        char *name, *part;
    } wanted[FAULT_HEADERS]; /* of the request */
    size_t nwanted;
    enum fault_type type;
    enum { RESET_ACCEPT, RESET_BEFORE_BODY, RESET_MID_BODY } at;
    enum { LOSE_RESET, LOSE_STATUS, LOSE_HANG } with;
    enum { HEADERS_BOTH, HEADERS_RETRY_AFTER, HEADERS_RESET, HEADERS_NONE } limit_headers;
    bool after_commit; /* latency, where: after */
    bool commit_rest, chunked;
    int status, codes[FAULT_CODES]; /* codes: of a burst, in rotation; status is the first */
    size_t ncodes, turn;
    int64_t ms, jitter_ms, after, count, every, retry_after, reset_in, from_ms, until_ms, in_flight_over, fail_every, expires_in;
    int64_t after_bytes, bytes_per_second, chunk_bytes, duration_ms, lag_ms, after_ms; /* after_bytes -1: half of it */
    double probability;
    struct json_doc *headers; /* of the answer */
    struct strmap *members;   /* bulkPartial, bulkOmit: identifiers (globs), in order; NULL: by failEvery */
    uint64_t set_ms, burst_ms; /* burst_ms: when the burst that runs began; 0: none */
    int64_t matches, used, hits; /* used counts against `count`: a whole burst once */
};

struct faults *faults_new(uint64_t seed);
void faults_free(struct faults *f);
/* CLI form: "METHOD PATHGLOB key=value,...". ERR_INVAL with the way out. */
int faults_add_text(struct faults *f, const char *text, struct err *e);
/* JSON form; replaces one of the same id when `replace`. Returns NULL after a refusal. */
struct fault *faults_add_json(struct faults *f, struct json in, struct str id, struct refusal *r);
bool faults_remove(struct faults *f, struct str id);
void faults_clear(struct faults *f);
struct fault *faults_find(struct faults *f, struct str id);
struct fault *faults_first(struct faults *f);
size_t faults_count(const struct faults *f);
void fault_write(const struct fault *f, struct jw *w);

/* Sets w->delay and w->act, counting uses. */
void faults_match(struct faults *f, struct work *w);
/* Milliseconds of a latency fault, with its jitter. */
unsigned fault_delay(struct faults *f, const struct fault *l);
/* Ids of the faults that acted, quoted and separated by commas; in the arena. */
struct str faults_used(struct work *w);
/* Fills status, body and headers of an answer that is not executed (status, rateLimit, burst). */
void fault_answer(struct fault *f, struct work *w, int64_t now_us);
/* Does the fault name this member of a bulk? */
bool fault_names(const struct fault *f, size_t index, struct str identifier);
/* Greatest lagMs of the staleRead faults; 0: there is none. */
int64_t faults_lag(const struct faults *f);
bool glob_matches(struct str pattern, struct str text);                        /* "*" any run of bytes */
bool path_matches(struct str pattern, struct str path);                        /* "*" one segment, "**" the rest */
