/* spool.h: what is too much for memory and does not outlive the process: entries read back in the order of their names
 * or of their arrival, sets of names, lines. One SQLite file without a name, gone with the process.
 *
 * Loop thread. Every call with a callback calls it once, later, in the order of the calls, also inside spool_close; what
 * it was given is borrowed until then, what it hands over is valid during the callback. A read never returns more than
 * about 4 MiB at once; n == 0 means the end. */
#pragma once
#include "base/err.h"
#include "base/hash.h"
#include "io/loop.h"

struct spool;

/* path: where the file is made; it loses its name at once. */
int spool_open(struct loop *l, const char *path, struct spool **ret, struct err *e);
void spool_close(struct spool *s); /* NULL allowed */

typedef void (*spool_done_fn)(void *arg, const struct err *e);

struct spool_name {
    struct str group, name;
};

/* Entries */
struct spool_entry {
    int64_t seq; /* given when it is added, rising */
    struct str group, name;
    int kind, slot;
    unsigned flags;
    struct key128 key;
    struct str body, after, before; /* p NULL stays NULL */
};
typedef void (*spool_entries_fn)(void *arg, const struct spool_entry *entries, size_t n, const struct err *e);

void spool_add(struct spool *s, const struct spool_entry *entries, size_t n, spool_done_fn done, void *arg);
/* Entries of these numbers are gone; the list is copied. */
void spool_drop(struct spool *s, const int64_t *seqs, size_t n);
/* To be called once before the first entry is read by name; cheap only after most were added. */
void spool_sort(struct spool *s, spool_done_fn done, void *arg);
/* By group, name (as bytes) and arrival; after NULL: from the beginning. */
void spool_read_sorted(struct spool *s, const struct spool_entry *after, size_t limit, spool_entries_fn done, void *arg);
/* By arrival; after 0: from the beginning. */
void spool_read(struct spool *s, int64_t after, size_t limit, spool_entries_fn done, void *arg);

/* Sets of names, each once: list is any small number. */
void spool_add_names(struct spool *s, int list, const struct spool_name *names, size_t n, spool_done_fn done, void *arg);
void spool_read_names(struct spool *s, int list, const struct spool_name *after, size_t limit,
                      void (*done)(void *arg, const struct spool_name *names, size_t n, const struct err *e), void *arg);

/* Lines, read back as they came; number is given when one is added, rising from 1. */
struct spool_line {
    int64_t number;
    struct str text;
};
void spool_add_lines(struct spool *s, const struct str *lines, size_t n, spool_done_fn done, void *arg);
void spool_read_lines(struct spool *s, int64_t after, size_t limit,
                      void (*done)(void *arg, const struct spool_line *lines, size_t n, const struct err *e), void *arg);
