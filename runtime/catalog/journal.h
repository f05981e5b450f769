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
int journal_summary(struct journal *j, struct work *w);
