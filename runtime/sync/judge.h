/* judge.h: what a run may delete: counts per blueprint and kind, and the rules that hold back (design.md section 6,
 * sync sections 10.2). Loop thread; plain values, no requests. */
#pragma once
#include "sync/certified.h"
#include "sync/reconcile.h"

struct strmap;

struct tally { /* of one blueprint */
    char *name;
    size_t listed, candidates, deletable, updated_listed;
    bool exempt, held;
    bool released; /* of an empty kind whose emptiness is believed: the threshold does not count it */
    const char *rule; /* what holds it back: "empty", "shrunken", "threshold", "relations" */
};
struct kind {
    struct certified *saved; /* of the last certified run; in reconcile.records */
    struct kind_facts facts;
    enum hold hold;
    bool exempt;  /* every resource of it has enableDelete: false */
    bool failed;  /* one of its resources did not end well: its counts say nothing */
    size_t first; /* its first resource */
};
struct judge {
    struct reconcile_opts o;
    struct strmap *tallies; /* of struct tally */
    struct kind *kinds;
    struct certified *records; /* one per kind */
    size_t nkinds;
    size_t candidates;
    bool never;   /* nothing at all may be deleted (S-150) */
    bool stopped; /* by the threshold, or because relations are unknown */
};

void judge_init(struct judge *j, const struct reconcile_opts *o);
void judge_done(struct judge *j);
/* Made at first use; knows whether the blueprint is exempt. */
struct tally *judge_tally(struct judge *j, struct str blueprint);
/* NULL: nothing of it was listed. */
struct tally *judge_find(const struct judge *j, struct str blueprint);
/* The records of the last certified runs are loaded. */
void judge_records(struct judge *j);
/* No survey: every candidate counts as deletable. */
void judge_all_deletable(struct judge *j);
/* Candidates that are neither protected nor held back. */
size_t judge_deletable(const struct judge *j);
/* Some listed blueprint is held back or exempt: what Port has of it may relate to a candidate, so a deletion must not
 * cascade. */
bool judge_keeps_some(const struct judge *j);
bool judge_keeps_exempt(const struct judge *j); /* the same where nothing is held back */
/* Holds back empty and shrunken kinds, then everything if the threshold says so; logs each with the way out. */
void judge_decide(struct judge *j);
/* Everything stays; returns how many. Entities no resource can produce any more count in the sum alone. */
size_t judge_hold_all(struct judge *j, const char *rule);
/* Appends the resources that can produce a blueprint, or did in their last certified run:
 * [{"kind":"issue","index":0}]. */
void judge_resources(const struct judge *j, struct str blueprint, struct buf *out);
/* Keeps what this run saw, per kind. */
void judge_save(struct judge *j);
