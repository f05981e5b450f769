/* faults.h: injected failures (port-api 16.3). Loop thread only.
 *
 * Tried in order of creation, the first match acts; a latency combines with one other (P-220). A used-up fault stays listed. */
#pragma once
#include "catalog/work.h"

struct faults;

enum fault_type {
    FAULT_LATENCY, FAULT_STATUS, FAULT_RATE_LIMIT, FAULT_RESET, FAULT_HANG, FAULT_COMMIT_THEN_FAIL, FAULT_EXPIRE_TOKENS,
    FAULT_SHORT_TOKEN, FAULT_BULK_PARTIAL,
};

struct fault {
    struct fault *next;
    char *id, *method, *path, *route, *agent, *blueprint, *identifier, *body, *error, *message, *answer, *details; /* or NULL */
    char *client;
    enum fault_type type;
    enum { RESET_ACCEPT, RESET_BEFORE_BODY } at;
    enum { LOSE_RESET, LOSE_STATUS, LOSE_HANG } with;
    enum { HEADERS_BOTH, HEADERS_RETRY_AFTER, HEADERS_RESET, HEADERS_NONE } limit_headers;
    bool after_commit; /* latency, where: after */
    bool commit_rest;
    int status;
    int64_t ms, jitter_ms, after, count, every, retry_after, reset_in, from_ms, until_ms, in_flight_over, fail_every, expires_in;
    double probability;
    struct json_doc *headers; /* of the answer */
    struct strmap *members;   /* bulkPartial: identifiers (globs), in order; NULL: by failEvery */
    uint64_t set_ms;
    int64_t matches, hits;
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
/* Fills status, body and headers of an answer that is not executed (status, rateLimit). */
void fault_answer(const struct fault *f, struct work *w, int64_t now_us);
bool glob_matches(struct str pattern, struct str text);                        /* "*" any run of bytes */
bool path_matches(struct str pattern, struct str path);                        /* "*" one segment, "**" the rest */
