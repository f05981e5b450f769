/* One thread per database file. The loop thread (or any other) appends jobs to a queue; the database thread takes them
 * in order. Consecutive writing jobs that wait at the same time share one transaction: each runs in a savepoint, so
 * that a failing one is rolled back alone, and all their `done`s are posted after the common COMMIT. If the COMMIT
 * itself fails, every job of the group gets its error. A group is cut at GROUP_MAX jobs so that the first one does not
 * wait for ever.
 *
 * Finished jobs go into an outbox, which one posted call empties on the loop thread: a group costs one wake-up. The
 * outbox outlives the database when that call is still on its way while db_close runs; db_close itself empties it, so
 * that no `done` runs later. */
#define LOG_GROUP "store.db"
#include "store/db.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

#define GROUP_MAX 64
#define CHECKPOINT_PAGES "16000"
#define BUSY_MS 5000

struct cached {
    const char *sql;
    sqlite3_stmt *stmt;
};

struct outbox;

struct db {
    struct loop *loop;
    struct outbox *outbox;
    sqlite3 *h;
    int lock_fd;
    char *lock_path;
    bool read_only;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    struct db_job *head, **tail;
    bool closing, ended;  /* ended: the thread is gone */
    struct cached *stmts; /* open addressing by address */
    size_t nstmts, cap;
};

int db_error(sqlite3 *h, struct err *e, const char *what)
{
    int rc = sqlite3_errcode(h);
    return ERR(e, rc == SQLITE_FULL ? ERR_LIMIT : ERR_IO, "%s: %s", what, sqlite3_errmsg(h));
}

static int exec(sqlite3 *h, const char *sql, struct err *e)
{
    return sqlite3_exec(h, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : db_error(h, e, sql);
}

/* Statements ---------------------------------------------------------------------------------------------------- */

static struct cached *slot_for(struct db *d, const char *sql)
{
    size_t i = ((uintptr_t)sql >> 3) & (d->cap - 1);
    while (d->stmts[i].sql && d->stmts[i].sql != sql)
        i = (i + 1) & (d->cap - 1);
    return &d->stmts[i];
}

static void grow_cache(struct db *d)
{
    struct cached *old = d->stmts;
    size_t n = d->cap;
    d->cap = n ? n * 2 : 64;
    d->stmts = xcalloc(d->cap, sizeof(*d->stmts));
    for (size_t i = 0; i < n; i++)
        if (old[i].sql)
            *slot_for(d, old[i].sql) = old[i];
    free(old);
}

sqlite3_stmt *db_stmt(struct db *d, const char *sql, struct err *e)
{
    if ((d->nstmts + 1) * 2 > d->cap)
        grow_cache(d);
    struct cached *c = slot_for(d, sql);
    if (!c->sql) {
        sqlite3_stmt *s;
        if (sqlite3_prepare_v3(d->h, sql, -1, SQLITE_PREPARE_PERSISTENT, &s, NULL) != SQLITE_OK) {
            db_error(d->h, e, sql);
            return NULL;
        }
        *c = (struct cached){sql, s};
        d->nstmts++;
    }
    sqlite3_reset(c->stmt);
    sqlite3_clear_bindings(c->stmt);
    return c->stmt;
}

static void drop_cache(struct db *d)
{
    for (size_t i = 0; i < d->cap; i++)
        sqlite3_finalize(d->stmts[i].stmt);
    free(d->stmts);
}

/* The thread ---------------------------------------------------------------------------------------------------- */

struct outbox {
    struct loop *loop;
    pthread_mutex_t mutex;
    struct db_job *head, **tail;
    bool posted;    /* a call of outbox_empty is on its way */
    bool emptying;  /* one is running */
    bool abandoned; /* the database is closed */
};

static struct outbox *outbox_new(struct loop *l)
{
    struct outbox *o = xcalloc(1, sizeof(*o));
    o->loop = l;
    o->tail = &o->head;
    pthread_mutex_init(&o->mutex, NULL);
    return o;
}

static struct db_job *outbox_take(struct outbox *o)
{
    pthread_mutex_lock(&o->mutex);
    struct db_job *job = o->head;
    if (job && !(o->head = job->next))
        o->tail = &o->head;
    pthread_mutex_unlock(&o->mutex);
    return job;
}

static void outbox_run(struct outbox *o)
{
    for (struct db_job *job; (job = outbox_take(o));) {
        loop_release(o->loop);
        job->done(job);
    }
}

static void outbox_free(struct outbox *o)
{
    pthread_mutex_destroy(&o->mutex);
    free(o);
}

static void outbox_empty(void *arg)
{
    struct outbox *o = arg;
    pthread_mutex_lock(&o->mutex);
    o->posted = false;
    pthread_mutex_unlock(&o->mutex);
    o->emptying = true;
    outbox_run(o);
    o->emptying = false;
    if (o->abandoned)
        outbox_free(o);
}

/* The database's thread has ended: nothing is added any more. */
static void outbox_close(struct outbox *o)
{
    outbox_run(o);
    o->abandoned = true;
    if (!o->posted && !o->emptying)
        outbox_free(o);
}

static void hand_back(struct db *d, struct db_job *job)
{
    if (!job->done)
        return;
    struct outbox *o = d->outbox;
    job->next = NULL;
    pthread_mutex_lock(&o->mutex);
    *o->tail = job;
    o->tail = &job->next;
    bool post = !o->posted && !d->ended;
    o->posted |= post;
    if (post)
        loop_post(o->loop, outbox_empty, o);
    pthread_mutex_unlock(&o->mutex);
}

static void run_one(struct db *d, struct db_job *job, bool in_group)
{
    job->err = (struct err){0};
    if (in_group && exec(d->h, "SAVEPOINT job", &job->err) < 0)
        return;
    int rc = job->run(d, d->h, job);
    if (rc < 0 && !job->err.code)
        ERR(&job->err, rc, "database job failed");
    if (!in_group)
        return;
    if (job->err.code)
        sqlite3_exec(d->h, "ROLLBACK TO job", NULL, NULL, NULL);
    if (sqlite3_exec(d->h, "RELEASE job", NULL, NULL, NULL) != SQLITE_OK && !job->err.code)
        db_error(d->h, &job->err, "releasing a savepoint");
}

/* Runs `first` and the writing jobs right behind it in one transaction. */
static void run_group(struct db *d, struct db_job **jobs, size_t n)
{
    struct err e = {0};
    if (exec(d->h, "BEGIN IMMEDIATE", &e) == 0) {
        for (size_t i = 0; i < n; i++)
            run_one(d, jobs[i], true);
        /* A full disk may already have rolled the transaction back. */
        if (sqlite3_get_autocommit(d->h))
            ERR(&e, ERR_IO, "the transaction was rolled back: %s", sqlite3_errmsg(d->h));
        else if (exec(d->h, "COMMIT", &e) < 0)
            sqlite3_exec(d->h, "ROLLBACK", NULL, NULL, NULL);
    }
    for (size_t i = 0; i < n; i++) {
        if (e.code && !jobs[i]->err.code)
            err_copy(&jobs[i]->err, &e);
        hand_back(d, jobs[i]);
    }
}

/* Takes the next job, or several writing ones. Returns how many; 0: closing and nothing left. */
static size_t take(struct db *d, struct db_job *jobs[GROUP_MAX])
{
    size_t n = 0;
    pthread_mutex_lock(&d->mutex);
    while (!d->head && !d->closing)
        pthread_cond_wait(&d->wake, &d->mutex);
    while (d->head && n < GROUP_MAX && (n == 0 || (jobs[0]->writes && d->head->writes))) {
        jobs[n++] = d->head;
        d->head = d->head->next;
    }
    if (!d->head)
        d->tail = &d->head;
    pthread_mutex_unlock(&d->mutex);
    return n;
}

static void *thread_main(void *arg)
{
    struct db *d = arg;
    struct db_job *jobs[GROUP_MAX];
    for (size_t n; (n = take(d, jobs)) > 0;) {
        if (jobs[0]->writes) {
            run_group(d, jobs, n);
        } else {
            bool back = jobs[0]->done != NULL; /* without `done` its owner may release it as soon as it ran (db_call) */
            run_one(d, jobs[0], false);
            if (back)
                hand_back(d, jobs[0]);
        }
    }
    if (!d->read_only)
        sqlite3_wal_checkpoint_v2(d->h, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    return NULL;
}

void db_submit(struct db *d, struct db_job *job)
{
    job->next = NULL;
    if (job->done)
        loop_hold(d->loop); /* the loop stays alive until the answer is there */
    if (d->ended) {         /* submitted by a `done` that db_close runs */
        job->err = (struct err){0};
        ERR(&job->err, ERR_CANCELLED, "the database is closed");
        hand_back(d, job);
        return;
    }
    pthread_mutex_lock(&d->mutex);
    *d->tail = job;
    d->tail = &job->next;
    pthread_cond_signal(&d->wake);
    pthread_mutex_unlock(&d->mutex);
}

/* A blocking call wraps the job in one of its own, so that the caller's `done` is not needed. */
struct waiter {
    struct db_job job;
    struct db_job *inner;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool finished;
};

static int waiter_run(struct db *d, sqlite3 *h, struct db_job *job)
{
    struct waiter *w = (struct waiter *)job;
    w->inner->err = (struct err){0};
    int rc = w->inner->run(d, h, w->inner);
    err_copy(&job->err, &w->inner->err);
    return rc;
}

/* Runs behind the waiter's job, outside its transaction, so that the caller wakes after the commit. */
static int waiter_wake(struct db *d, sqlite3 *h, struct db_job *job)
{
    (void)d;
    (void)h;
    struct waiter *w = *(struct waiter **)(job + 1);
    pthread_mutex_lock(&w->mutex);
    w->finished = true;
    pthread_cond_signal(&w->cond);
    pthread_mutex_unlock(&w->mutex);
    return 0;
}

int db_call(struct db *d, struct db_job *job)
{
    struct waiter w = {.job = {.run = waiter_run, .writes = job->writes}, .inner = job};
    struct {
        struct db_job job;
        struct waiter *w;
    } wake = {{.run = waiter_wake}, &w};
    pthread_mutex_init(&w.mutex, NULL);
    pthread_cond_init(&w.cond, NULL);
    db_submit(d, &w.job);
    db_submit(d, &wake.job);
    pthread_mutex_lock(&w.mutex);
    while (!w.finished)
        pthread_cond_wait(&w.cond, &w.mutex);
    pthread_mutex_unlock(&w.mutex);
    pthread_cond_destroy(&w.cond);
    pthread_mutex_destroy(&w.mutex);
    err_copy(&job->err, &w.job.err);
    return job->err.code;
}

/* Opening ------------------------------------------------------------------------------------------------------- */

static int make_folder(const char *path, struct err *e)
{
    char *copy = xstrdup(path);
    int rc = 0;
    for (char *p = copy + 1; rc == 0 && (p = strchr(p, '/')); p++) {
        *p = 0;
        if (mkdir(copy, 0700) < 0 && errno != EEXIST)
            rc = ERR(e, ERR_IO, "cannot create folder %s: %s", copy, strerror(errno));
        *p = '/';
    }
    free(copy);
    return rc;
}

/* The lock is an flock on FILE.lock, which holds the owner's pid for the message; the kernel drops it when the owner
 * dies. */
static int take_lock(struct db *d, const char *path, struct err *e)
{
    d->lock_path = xasprintf("%s.lock", path);
    d->lock_fd = open(d->lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (d->lock_fd < 0)
        return ERR(e, ERR_IO, "cannot open %s: %s", d->lock_path, strerror(errno));
    char owner[32] = "";
    if (flock(d->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        ssize_t n = read(d->lock_fd, owner, sizeof(owner) - 1);
        owner[n > 0 ? n : 0] = 0;
        owner[strcspn(owner, "\n")] = 0;
        return ERR(e, ERR_BUSY, "%s is in use by process %s; stop it or choose another file", path,
                   *owner ? owner : "?");
    }
    int n = snprintf(owner, sizeof(owner), "%ld\n", (long)getpid());
    if (ftruncate(d->lock_fd, 0) < 0 || write(d->lock_fd, owner, (size_t)n) != n)
        log_debug("%s: %s", d->lock_path, strerror(errno));
    return 0;
}

static int read_int(sqlite3 *h, const char *pragma, int *ret, struct err *e)
{
    sqlite3_stmt *s;
    if (sqlite3_prepare_v2(h, pragma, -1, &s, NULL) != SQLITE_OK)
        return db_error(h, e, pragma);
    int rc = sqlite3_step(s) == SQLITE_ROW ? 0 : db_error(h, e, pragma);
    *ret = rc == 0 ? sqlite3_column_int(s, 0) : 0;
    sqlite3_finalize(s);
    return rc;
}

/* Is the file new, or ours and of a schema we know? Nothing is written before this is answered. */
static int identify(struct db *d, const struct db_opts *o, int *ret_version, struct err *e)
{
    int version, app, tables, known = 0;
    while (o->migrations && o->migrations[known])
        known++;
    if (read_int(d->h, "PRAGMA user_version", &version, e) < 0 || read_int(d->h, "PRAGMA application_id", &app, e) < 0 ||
        read_int(d->h, "SELECT COUNT(*) FROM sqlite_master", &tables, e) < 0)
        return ERR(e, ERR_CONFIG, "%s is no SQLite database: %s; choose another file", o->path, sqlite3_errmsg(d->h));
    bool foreign = app != o->application_id && (app != 0 || version != 0 || tables != 0);
    if (o->application_id && foreign)
        return ERR(e, ERR_CONFIG, "%s is another program's database (application id %d); choose another file", o->path, app);
    if (version > known)
        return ERR(e, ERR_CONFIG, "%s was written by a newer version (schema %d, this one knows %d); nothing was changed",
                   o->path, version, known);
    if (o->read_only && version < known)
        return ERR(e, ERR_CONFIG, "%s has an older schema (%d of %d); open it once for writing", o->path, version, known);
    *ret_version = version;
    return 0;
}

/* Each step is stamped in its own transaction: a file cut off between two is still known as ours. */
static int migrate(struct db *d, const struct db_opts *o, int version, struct err *e)
{
    char stamp[96];
    for (; o->migrations && o->migrations[version]; version++) {
        snprintf(stamp, sizeof(stamp), "PRAGMA user_version = %d; PRAGMA application_id = %d", version + 1, o->application_id);
        if (exec(d->h, "BEGIN IMMEDIATE", e) < 0 || exec(d->h, o->migrations[version], e) < 0 || exec(d->h, stamp, e) < 0 ||
            exec(d->h, "COMMIT", e) < 0)
            return err_wrap(e, "%s: bringing the schema to version %d", o->path, version + 1);
    }
    return 0;
}

static int settle(struct db *d, const struct db_opts *o, struct err *e)
{
    static const char *const sync[] = {"PRAGMA synchronous = OFF", "PRAGMA synchronous = NORMAL",
                                       "PRAGMA synchronous = FULL"};
    int version = 0;
    if (o->scratch)
        return exec(d->h,
                    "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;"
                    " PRAGMA temp_store = FILE",
                    e) < 0
                   ? e->code
                   : migrate(d, o, 0, e);
    sqlite3_busy_timeout(d->h, BUSY_MS);
    if (identify(d, o, &version, e) < 0 || (!o->read_only && exec(d->h, "PRAGMA journal_mode = WAL", e) < 0) ||
        exec(d->h, sync[o->synchronous < 0 || o->synchronous > 2 ? 1 : o->synchronous], e) < 0 ||
        exec(d->h, "PRAGMA wal_autocheckpoint = " CHECKPOINT_PAGES, e) < 0 ||
        exec(d->h, o->temp_files ? "PRAGMA temp_store = FILE" : "PRAGMA temp_store = MEMORY", e) < 0)
        return e->code;
    return migrate(d, o, version, e);
}

static int prepare_file(struct db *d, const struct db_opts *o, struct err *e)
{
    bool memory = !strcmp(o->path, ":memory:");
    if (!memory && !o->read_only && make_folder(o->path, e) < 0)
        return e->code;
    if (!memory && o->exclusive && take_lock(d, o->path, e) < 0)
        return e->code;
    if (o->scratch) /* of a process that ended between its opening and its removal */
        unlink(o->path);
    int flags = o->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    mode_t mask = umask(0077); /* a new file, its WAL and its index are made by the first statements */
    int rc = sqlite3_open_v2(o->path, &d->h, flags | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK
                 ? settle(d, o, e)
                 : ERR(e, ERR_IO, "cannot open %s: %s", o->path, d->h ? sqlite3_errmsg(d->h) : "out of memory");
    umask(mask);
    if (o->scratch)
        unlink(o->path);
    return rc;
}

static void release(struct db *d)
{
    outbox_close(d->outbox);
    drop_cache(d);
    sqlite3_close(d->h);
    if (d->lock_fd >= 0)
        close(d->lock_fd); /* the file stays: removing it would race with the next owner */
    free(d->lock_path);
    pthread_cond_destroy(&d->wake);
    pthread_mutex_destroy(&d->mutex);
    free(d);
}

int db_open(struct loop *l, const struct db_opts *o, struct db **ret, struct err *e)
{
    struct err mine = {0};
    struct db *d = xcalloc(1, sizeof(*d));
    d->loop = l;
    d->outbox = outbox_new(l);
    d->lock_fd = -1;
    d->read_only = o->read_only;
    d->tail = &d->head;
    pthread_mutex_init(&d->mutex, NULL);
    pthread_cond_init(&d->wake, NULL);
    grow_cache(d);
    int rc = prepare_file(d, o, &mine);
    if (rc == 0) {
        /* Signals belong to the loop thread. */
        sigset_t all, old;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &old);
        if (pthread_create(&d->thread, NULL, thread_main, d) != 0)
            rc = ERR(&mine, ERR_IO, "cannot start a thread for %s", o->path);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
    }
    if (rc < 0) {
        release(d);
        err_copy(e, &mine);
        return rc;
    }
    *ret = d;
    return 0;
}

void db_close(struct db *d)
{
    if (!d)
        return;
    pthread_mutex_lock(&d->mutex);
    d->closing = true;
    pthread_cond_signal(&d->wake);
    pthread_mutex_unlock(&d->mutex);
    pthread_join(d->thread, NULL);
    d->ended = true;
    release(d);
}
