/* journal.h: the last requests, in memory (port-api 16.4). Loop thread only. */
#pragma once
#include "catalog/work.h"

struct journal;

enum journal_bodies { BODIES_OFF, BODIES_ERRORS, BODIES_ALL };

struct journal *journal_new(size_t capacity, enum journal_bodies bodies);
void journal_free(struct journal *j);
enum journal_bodies journal_keeps(const struct journal *j);
/* Gives the request its number; the entry is visible from journal_finish on. */
void journal_begin(struct journal *j, struct work *w);
void journal_finish(struct journal *j, struct work *w, int status, bool committed, int64_t now_us);
/* Trace id of a request (P-22): 33 bytes with NUL. */
void journal_id(const struct journal *j, uint64_t seq, char out[33]);
void journal_clear(struct journal *j);
size_t journal_count(const struct journal *j);
/* Filters and order from the query of `w` (P-225); -1 refused. */
int journal_write(struct journal *j, struct work *w);
/* How many entries the filters let through, without `limit`; -1 refused. */
int journal_matching(struct journal *j, struct work *w, size_t *ret);
int journal_summary(struct journal *j, struct work *w);

/* One entry as a page shows it; texts borrowed until the next request. */
struct journal_line {
    uint64_t seq, duration_us;
    int64_t at_us;
    const char *method, *route; /* "E-31", "unmatched" */
    struct str path, query, error, faults;
    size_t request_bytes, response_bytes;
    int status; /* 0: the connection was reset */
    unsigned created, updated, unchanged, deleted, cascaded, failed;
};
struct journal_filter {
    struct str route, method; /* empty: any */
    bool failed;              /* answers of 400 and more, and lost ones */
};
/* The newest entries below number `before`, newest first, `max` at most; filter NULL: all. */
void journal_newest(const struct journal *j, uint64_t before, size_t max, const struct journal_filter *filter,
                    void (*fn)(void *arg, const struct journal_line *line), void *arg);
