/* imperative.h: changes a script asks for one call at a time (sync section 11). Loop thread.
 *
 * Each call is one `struct change`: it loads the mapping on demand (S-6), maps what is raw on workers, writes and deletes
 * through the same bulks as a resync, and says what became of every entity. What it writes while a resync runs in this
 * process is not deleted by that resync (ledger_keep). */
#pragma once
#include "sync/engine.h"
#include "sync/event.h"

enum change_kind {
    CHANGE_REGISTER_RAW,    /* S-132: `after` */
    CHANGE_UNREGISTER_RAW,  /* S-134: `before` */
    CHANGE_UPDATE_RAW_DIFF, /* S-135 */
    CHANGE_REGISTER,        /* S-137: `after` */
    CHANGE_UNREGISTER,      /* S-137: `before` */
    CHANGE_UPDATE_DIFF,     /* S-136 */
    CHANGE_SYNC,            /* S-138: `after` */
};

struct change_opts {
    struct engine *engine;
    struct event *event; /* a reference is made; a mapping that had to be loaded is set on it */
    enum port_feature feature;
    enum change_kind kind;
    struct str resource;          /* kind of the raw items; copied */
    struct json before, after;    /* lists; the change makes references of its own */
};

struct change_report {
    struct str written;  /* JSON array of {identifier, blueprint, relations}: upserted or, for unregister, deleted */
    struct str failed;   /* JSON array of {identifier, blueprint, status, message}: what Port did not take */
    size_t nwritten, nfailed;
};

struct change;

/* done runs once, later. e: the change as a whole failed or some raw items could not be mapped (S-132.3); the report is
 * filled all the same. */
typedef void (*change_done_fn)(void *arg, const struct change_report *r, const struct err *e);
/* NULL with e: the lists are not what the kind needs (entity and field are named). */
struct change *change_start(const struct change_opts *o, change_done_fn done, void *arg, struct err *e);
/* Nothing that was not sent is sent any more, and done will not run. NULL allowed. */
void change_cancel(struct change *c);
