/* Snapshots, export, import and the routes for them (port-api 16.2). A snapshot is a copy of the database file beside
 * it, made by SQLite itself; going back copies its rows in one transaction, so that what runs sees the one state or the
 * other. Tokens stay as they are: nobody is logged out by a restore. */
#include <dirent.h>
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "catalog/catalog_priv.h"
#include "catalog/dump.h"
#include "catalog/routes.h"
#include "json/write.h"

#define NAME_MAX_BYTES 64

/* Files ----------------------------------------------------------------------------------------------------------- */

/* Folder of the snapshots; a catalog in memory has one of its own that goes with it. */
static const char *folder(struct work *w)
{
    struct catalog *c = w->c;
    if (c->snapshots)
        return c->snapshots;
    if (strcmp(c->file, ":memory:") != 0) {
        c->snapshots = xasprintf("%s.snapshots", c->file);
        mkdir(c->snapshots, 0700);
    } else {
        const char *tmp = getenv("TMPDIR");
        c->snapshots = xasprintf("%s/port-local-XXXXXX", tmp && *tmp ? tmp : "/tmp");
        c->snapshots_private = mkdtemp(c->snapshots) != NULL;
    }
    return c->snapshots;
}

void snapshots_done(struct catalog *c)
{
    DIR *d = c->snapshots_private ? opendir(c->snapshots) : NULL;
    for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
        char *path = xasprintf("%s/%s", c->snapshots, e->d_name);
        unlink(path);
        free(path);
    }
    if (d)
        closedir(d);
    if (c->snapshots_private)
        rmdir(c->snapshots);
    free(c->snapshots);
}

static bool name_ok(struct str s)
{
    if (!s.n || s.n > NAME_MAX_BYTES || s.p[0] == '.')
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= 'A' && s.p[i] <= 'Z') ||
              (s.p[i] >= '0' && s.p[i] <= '9') || strchr("_.-", s.p[i])))
            return false;
    return true;
}

static const char *path_of(struct work *w, struct str name)
{
    if (!name_ok(name)) {
        refuse_invalid(&w->r, "a snapshot's name is 1 to %d letters, digits or _ . -, not \"%.*s\"", NAME_MAX_BYTES,
                       STR_FMT(name));
        return NULL;
    }
    return arena_printf(w->a, "%s/%.*s.db", folder(w), STR_FMT(name));
}

static const char *existing(struct work *w, struct str name)
{
    const char *path = path_of(w, name);
    if (path && access(path, R_OK) < 0) {
        refuse(&w->r, 404, "not_found", "There is no snapshot \"%.*s\"", STR_FMT(name));
        return NULL;
    }
    return path;
}

/* Routes ---------------------------------------------------------------------------------------------------------- */

int control_snapshot_make(struct work *w)
{
    struct json in = work_json(w);
    struct str name = json_str(json_get_c(in, "name"));
    const char *path = in.v ? path_of(w, name) : NULL;
    if (!path)
        return -1;
    char *fresh = xasprintf("%s.new", path);
    unlink(fresh);
    mode_t old = umask(0077);
    int rc = q_exec(w->k, &w->r, "VACUUM INTO ?", "t", str_of(fresh));
    umask(old);
    if (rc == 0 && rename(fresh, path) < 0)
        rc = refuse(&w->r, 500, "internal_error", "%s: %s", path, strerror(errno));
    free(fresh);
    if (rc < 0)
        return -1;
    w->status = 201;
    struct jw jw = work_begin(w);
    jw_key_c(&jw, "name");
    jw_str(&jw, name);
    work_end(w, &jw);
    return 0;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

int control_snapshots_list(struct work *w)
{
    char *names[1000];
    size_t n = 0;
    DIR *d = opendir(folder(w));
    for (struct dirent *e; d && n < ARRAY_LEN(names) && (e = readdir(d)) != NULL;)
        if (str_ends(str_of(e->d_name), STR(".db")) && e->d_name[0] != '.')
            names[n++] = xstrndup(e->d_name, strlen(e->d_name) - 3);
    if (d)
        closedir(d);
    qsort(names, n, sizeof(*names), by_name);
    struct jw jw = work_begin(w);
    jw_key_c(&jw, "snapshots");
    jw_arr(&jw);
    for (size_t i = 0; i < n; i++) {
        jw_cstr(&jw, names[i]);
        free(names[i]);
    }
    jw_end_arr(&jw);
    work_end(w, &jw);
    return 0;
}

int control_snapshot_delete(struct work *w)
{
    const char *path = existing(w, w->seg[0]);
    if (!path)
        return -1;
    unlink(path);
    return work_ok(w);
}

/* Rows of one table, in their own order. */
static int copy_table(struct work *w, sqlite3 *from, const char *table)
{
    struct sqlite3_stmt *in = NULL, *out = NULL;
    char *select = sqlite3_mprintf("SELECT * FROM \"%w\"", table), *insert = NULL;
    int rc = sqlite3_prepare_v2(from, select, -1, &in, NULL);
    int n = in ? sqlite3_column_count(in) : 0;
    if (rc == SQLITE_OK) {
        char *marks = sqlite3_mprintf("?");
        for (int i = 1; i < n; i++) {
            char *more = sqlite3_mprintf("%s, ?", marks);
            sqlite3_free(marks);
            marks = more;
        }
        insert = sqlite3_mprintf("INSERT INTO \"%w\" VALUES (%s)", table, marks);
        sqlite3_free(marks);
        rc = sqlite3_prepare_v2(w->k->h, insert, -1, &out, NULL);
    }
    while (rc == SQLITE_OK && (rc = sqlite3_step(in)) == SQLITE_ROW) {
        for (int i = 0; i < n; i++)
            sqlite3_bind_value(out, i + 1, sqlite3_column_value(in, i));
        rc = sqlite3_step(out) == SQLITE_DONE ? sqlite3_reset(out) : sqlite3_errcode(w->k->h);
    }
    sqlite3_finalize(in);
    sqlite3_finalize(out);
    sqlite3_free(select);
    sqlite3_free(insert);
    return rc == SQLITE_DONE ? 0
                             : refuse(&w->r, 500, "internal_error", "restoring %s: %s", table, sqlite3_errmsg(w->k->h));
}

static int copy_all(struct work *w, sqlite3 *from)
{
    struct sqlite3_stmt *tables = NULL;
    int rc = 0;
    sqlite3_prepare_v2(from,
                       "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
                       " AND name <> 'token' ORDER BY name",
                       -1, &tables, NULL);
    while (rc == 0 && tables && sqlite3_step(tables) == SQLITE_ROW) {
        const char *table = (const char *)sqlite3_column_text(tables, 0);
        char *clear = sqlite3_mprintf("DELETE FROM \"%w\"", table);
        rc = sqlite3_exec(w->k->h, clear, NULL, NULL, NULL) == SQLITE_OK
                 ? copy_table(w, from, table)
                 : refuse(&w->r, 500, "internal_error", "restoring %s: %s", table, sqlite3_errmsg(w->k->h));
        sqlite3_free(clear);
    }
    sqlite3_finalize(tables);
    return rc;
}

static int64_t version_of(sqlite3 *h)
{
    struct sqlite3_stmt *s = NULL;
    int64_t v = -1;
    if (sqlite3_prepare_v2(h, "PRAGMA user_version", -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW)
        v = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return v;
}

int control_snapshot_restore(struct work *w)
{
    sqlite3 *from = NULL;
    const char *path = existing(w, w->seg[0]);
    if (!path)
        return -1;
    int rc;
    if (sqlite3_open_v2(path, &from, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK)
        rc = refuse(&w->r, 500, "internal_error", "%s: %s", path, sqlite3_errmsg(from));
    else if (version_of(from) != version_of(w->k->h))
        rc = refuse(&w->r, 409, "conflict", "The snapshot \"%.*s\" was made by another version of this program",
                    STR_FMT(w->seg[0]));
    else
        rc = copy_all(w, from);
    sqlite3_close(from);
    core_forget(w->k);
    return rc < 0 ? -1 : work_ok(w);
}

static void add_line(void *arg, struct str json)
{
    struct buf *out = arg;
    buf_addstr(out, json);
    buf_addc(out, '\n');
}

int control_export(struct work *w)
{
    w->type = "application/x-ndjson";
    return dump_write(w->k, add_line, &w->out, &w->r);
}

int control_import(struct work *w)
{
    if (dump_read(w->k, w->body, &w->r) < 0)
        return -1;
    return core_seed(w->k, &w->r) < 0 ? -1 : work_ok(w);
}
