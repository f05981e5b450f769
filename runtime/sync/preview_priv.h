/* preview_priv.h: the inside of a plan, for foresee.c and preview*.c alone. Loop thread. */
#pragma once
#include "store/spool.h"
#include "sync/change.h"
#include "sync/preview.h"

struct strmap;

enum entry_kind {
    ENTRY_WRITE,   /* body as sent, after as it would stand (p NULL: the same), before as Port has it (p NULL: not) */
    ENTRY_SEARCH,  /* to whatever matches: name is the query, before the number of matches now */
    ENTRY_RELATED, /* made by Port for a relation */
    ENTRY_DELETE,  /* after: resources */
    ENTRY_HELD,    /* after: resources, before: rule */
    ENTRY_CASCADE, /* after: p NULL, or "held": it goes with something that is held back */
    ENTRY_REFUSED, /* beside DELETE or HELD: something that stays requires it. after: p NULL, or "held": even if the plan
                      is accepted */
};
/* Beside enum entity_flag: */
#define ENTRY_FOREIGN 0x100u /* somebody else wrote it last */
#define ENTRY_FINAL 0x200u   /* held back whoever accepts the plan */

enum name_list { NAMES_TARGET, NAMES_DOOMED, NAMES_HELD /* and, in steps of ten, what goes with them */ };

struct totals {
    size_t set_up, created, related, updated, written, deleted, cascaded, held;
};

struct preview {
    struct run *run;
    struct preview_opts o;
    struct spool *spool;
    struct strmap *answers; /* of searches: preview_resolve */
    struct strmap *touched; /* blueprints that plain writes go to */
    struct str *notes;      /* owned */
    size_t nnotes;
    size_t ndoomed, nheld;
    bool cascades, cascades_accepted;
    size_t *writes, nslots; /* kept and without outcome, by resource */
    struct err err; /* the first failure of the spool */
    struct totals totals;
    char hash[65];
    const char *incomplete;
    void (*done)(void *arg, enum preview_verdict v, const struct err *e);
    void *arg;
    struct applying *applying;
};

size_t *preview_writes(struct preview *p, size_t slot);
void preview_failed(struct preview *p, const struct err *e); /* NULL: nothing happened */
bool preview_is_touched(const struct preview *p, struct str blueprint);

/* resolve.c: what a search query finds, asked once. NULL: not known yet, then done runs later. */
struct found {
    bool failed;
    size_t n;
    struct str *identifiers;
};
const struct found *preview_resolve(struct preview *p, struct str blueprint, struct json query,
                                    void (*done)(void *arg), void *arg);

/* preview_names.c: a list of names in groups of one blueprint. on_group runs once, later, for each names_walk_next, with
 * the next group in group[0..n); n == 0 at the end. wanted leaves names out. */
#define NAMES_GROUP 50
struct names_walk {
    struct preview *p;
    int list;
    bool (*wanted)(void *arg, struct key128 key, const struct spool_name *name);
    void (*on_group)(void *arg);
    void *arg;
    struct spool_name group[NAMES_GROUP]; /* owned */
    size_t n;
    char *after[2]; /* where it is read on */
};
void names_walk_begin(struct names_walk *w, struct preview *p, int list,
                      bool (*wanted)(void *arg, struct key128 key, const struct spool_name *name),
                      void (*group)(void *arg), void *arg);
void names_walk_next(struct names_walk *w);
void names_walk_done(struct names_walk *w); /* frees what it holds */

/* The steps of the conclusion; each calls done once, later. */
void preview_related(struct preview *p, void (*done)(struct preview *p));
void preview_cascade(struct preview *p, void (*done)(struct preview *p)); /* the entries are sorted */
void preview_fold(struct preview *p, void (*done)(struct preview *p));    /* lines, totals, hash */
void preview_print(struct preview *p, void (*done)(struct preview *p));

/* preview_text.c: one line for people, as one or more, masked. Pure. */
void preview_line_text(struct buf *out, struct json line);
/* A value in at most about 60 characters, with its length where it was cut. other: what it is compared with; of long
 * texts that begin alike the part around the first difference is shown. */
void preview_shorten(struct buf *out, struct json v, struct json other);
