/* state.h: what must outlive a run: one SQLite file per integration and target (design.md section 3).
 *
 * Writes are queued and never block the loop; reads call back on the loop thread, in order after earlier writes.
 * A failed write is logged once and reported by the next read. */
#pragma once
#include "base/err.h"
#include "base/hash.h"
#include "io/loop.h"

struct state;

/* dir: NULL picks OCEAN_STATE, else $XDG_STATE_HOME/ocean-run, else ~/.local/state/ocean-run.
 * File: <identifier>-<hash of target>.db, unsafe characters of the identifier replaced. Exclusive: a second process
 * gets ERR_BUSY with the pid in the message. ret_new tells that the file did not exist. */
int state_open(struct loop *l, const char *dir, const char *identifier, const char *target, struct state **ret,
               bool *ret_new, struct err *e);
void state_close(struct state *s); /* NULL allowed */
const char *state_path(const struct state *s);

/* Small values by (space, key). A NULL value deletes. */
void state_put(struct state *s, const char *space, const char *key, struct str value);
void state_get(struct state *s, const char *space, const char *key,
               void (*done)(void *arg, struct str value /* p NULL: none */, const struct err *e), void *arg);
/* All keys of a space, sorted; for spaces of a few. Texts are valid during the call. */
void state_keys(struct state *s, const char *space,
                void (*done)(void *arg, const struct str *keys, size_t n, const struct err *e), void *arg);

/* Ordered lists of texts, by name ("retry", "candidates"). Appends are batched into few commits. */
void state_list_add(struct state *s, const char *list, struct key128 key, struct str text);
void state_list_clear(struct state *s, const char *list);
/* Up to `limit` entries after row `after` (0 first); n == 0 means the end. Texts are valid during the call. */
struct state_row {
    int64_t row;
    struct key128 key;
    struct str text;
};
void state_list_read(struct state *s, const char *list, int64_t after, size_t limit,
                     void (*done)(void *arg, const struct state_row *rows, size_t n, const struct err *e), void *arg);
