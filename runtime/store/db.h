/* db.h: one SQLite file, one thread, jobs in order, writes that wait share a commit.
 *
 * A job runs on the database's thread with the connection; its `done` runs on the loop thread, after the
 * commit for writing jobs. Consecutive waiting write jobs run in one transaction, each in a savepoint of its own:
 * a job that fails is rolled back alone. sqlite3.h stays inside store/ and catalog/. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"
#include "io/loop.h"

struct db;
struct sqlite3;
struct sqlite3_stmt;

struct db_opts {
    const char *path;              /* ":memory:" allowed */
    const char *const *migrations; /* SQL scripts; element n brings the file from version n to n+1; NULL ends */
    int application_id;            /* stamped into a new file; another one is refused */
    int synchronous;               /* 0 off, 1 normal, 2 full */
    bool read_only;
    bool scratch;                  /* for this process alone: the file has no name any more once it is open */
    bool temp_files;               /* what SQLite keeps for a rollback or a sort goes to files when it is much; else memory */
    bool exclusive;                /* lock file beside it: a second opener gets ERR_BUSY naming the pid */
};

/* Creates folders (0700) and file (0600) as needed. A newer schema is refused (ERR_CONFIG), nothing written. */
int db_open(struct loop *l, const struct db_opts *opts, struct db **ret, struct err *e);
/* Runs what is queued, checkpoints, joins the thread. `done`s of jobs still queued run inside. */
void db_close(struct db *d);

struct db_job {
    /* Database thread. Returns 0 or ERR_*, filling job->err. */
    int (*run)(struct db *d, struct sqlite3 *h, struct db_job *job);
    void (*done)(struct db_job *job); /* loop thread; NULL: none */
    bool writes;
    struct err err; /* outcome; err.code 0 on success */
    struct db_job *next;
};
/* Queues a job, which the caller owns again when `done` runs. Jobs with `done` are submitted by the loop thread, which they keep
 * alive; without `done` the memory must outlive db_close. */
void db_submit(struct db *d, struct db_job *job);
/* Runs a job and waits for it. Any thread but the database's; not for the loop thread of a busy process. */
int db_call(struct db *d, struct db_job *job);

/* Prepared statement cache, database thread only: returns a reset statement for `sql` (a literal: cached by address). */
struct sqlite3_stmt *db_stmt(struct db *d, const char *sql, struct err *e);
/* ERR_IO with SQLite's message. */
int db_error(struct sqlite3 *h, struct err *e, const char *what);
