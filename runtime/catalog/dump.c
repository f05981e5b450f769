/* Export and import. One table of sections serves both: what is selected, under which names, and how a line goes back.
 * A name's first letter is its type: t text, i integer, j JSON that stands as it is stored. */
#include "catalog/dump.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "catalog/blueprint.h"
#include "json/write.h"

#define COLUMNS_MAX 12

struct section {
    const char *name;
    const char *columns[COLUMNS_MAX + 1]; /* NULL ends */
    const char *select, *insert;
};

#define INTEGRATION "(SELECT id FROM integration WHERE identifier = ?1)"
#define CLIENT(n) "(SELECT id FROM client WHERE text = ?" #n ")"

/* In an order in which each finds what it refers to. */
static const struct section sections[] = {
    {"organization",
     {"jdoc"},
     "SELECT value FROM meta WHERE key = 'organization'",
     "INSERT OR REPLACE INTO meta (key, value) VALUES ('organization', ?1)"},
    {"client", {"ttext"}, "SELECT text FROM client ORDER BY text", "INSERT OR IGNORE INTO client (text) VALUES (?1)"},
    {"datasource",
     {"ttext"},
     "SELECT text FROM datasource ORDER BY text",
     "INSERT OR IGNORE INTO datasource (text) VALUES (?1)"},
    {"blueprint",
     {"tidentifier", "jdoc", "icreatedAt", "iupdatedAt", "tcreatedBy", "tupdatedBy"},
     "SELECT b.identifier, b.doc, b.created_at, b.updated_at, c.text, u.text FROM blueprint b"
     " LEFT JOIN client c ON c.id = b.created_by LEFT JOIN client u ON u.id = b.updated_by ORDER BY b.identifier",
     "INSERT INTO blueprint (identifier, doc, created_at, updated_at, created_by, updated_by)"
     " VALUES (?1, ?2, ?3, ?4, " CLIENT(5) ", " CLIENT(6) ")"},
    {"entity",
     {"tblueprint", "tidentifier", "tdatasource", "icreatedAt", "iupdatedAt", "tcreatedBy", "tupdatedBy", "jrelations",
      "jbody"},
     "SELECT ?2, e.identifier, d.text, e.created_at, e.updated_at, c.text, u.text, e.rel, e.body FROM entity e"
     " LEFT JOIN datasource d ON d.id = e.datasource LEFT JOIN client c ON c.id = e.created_by"
     " LEFT JOIN client u ON u.id = e.updated_by WHERE e.blueprint = ?1 ORDER BY e.identifier",
     "INSERT INTO entity (blueprint, identifier, datasource, created_at, updated_at, created_by, updated_by, rel, body)"
     " VALUES ((SELECT id FROM blueprint WHERE identifier = ?1), ?2, (SELECT id FROM datasource WHERE text = ?3), ?4, "
     "?5,"
     " " CLIENT(6) ", " CLIENT(7) ", ?8, ?9)"},
    {"document",
     {"tclass", "towner", "tidentifier", "jdoc"},
     "SELECT class, owner, identifier, doc FROM document ORDER BY class, owner, identifier",
     "INSERT INTO document (class, owner, identifier, doc) VALUES (?1, ?2, ?3, ?4)"},
    {"integration",
     {"tidentifier", "tinternal", "tingest", "jdoc", "jresyncState", "icreatedAt", "iupdatedAt", "tcreatedBy",
      "tupdatedBy", "trequest", "irequestAt"},
     "SELECT i.identifier, i.internal, i.ingest, i.doc, i.resync_state, i.created_at, i.updated_at, c.text, u.text,"
     " i.request, i.request_at FROM integration i LEFT JOIN client c ON c.id = i.created_by"
     " LEFT JOIN client u ON u.id = i.updated_by ORDER BY i.identifier",
     "INSERT INTO integration (identifier, internal, ingest, doc, resync_state, created_at, updated_at, created_by,"
     " updated_by, request, request_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, " CLIENT(8) ", " CLIENT(9) ", ?10, ?11)"},
    {"cursor",
     {"tintegration", "tkind", "iindex", "tvalue"},
     "SELECT i.identifier, c.kind, c.position, c.value FROM cursor c JOIN integration i ON i.id = c.integration"
     " ORDER BY 1, 2, 3",
     "INSERT INTO cursor (integration, kind, position, value) VALUES (" INTEGRATION ", ?2, ?3, ?4)"},
    {"example",
     {"tintegration", "tkind", "jdata"},
     "SELECT i.identifier, e.kind, e.data FROM example e JOIN integration i ON i.id = e.integration"
     " ORDER BY 1, 2, e.id",
     "INSERT INTO example (integration, kind, data) VALUES (" INTEGRATION ", ?2, ?3)"},
    {"log",
     {"tintegration", "jdata"},
     "SELECT i.identifier, r.data FROM record r JOIN integration i ON i.id = r.integration ORDER BY 1, r.id",
     "INSERT INTO record (integration, data) VALUES (" INTEGRATION ", ?2)"},
    {"metric",
     {"tintegration", "tevent", "tkind", "jdata", "icreatedAt", "iupdatedAt"},
     "SELECT i.identifier, m.event, m.kind, m.data, m.created_at, m.updated_at FROM metric m JOIN integration i"
     " ON i.id = m.integration ORDER BY 1, 2, 3",
     "INSERT INTO metric (integration, event, kind, data, created_at, updated_at)"
     " VALUES (" INTEGRATION ", ?2, ?3, ?4, ?5, ?6)"},
    {"heartbeat",
     {"tintegration", "tevent", "iat", "icount"},
     "SELECT i.identifier, h.event, h.at, h.count FROM heartbeat h JOIN integration i ON i.id = h.integration"
     " ORDER BY 1, 2",
     "INSERT INTO heartbeat (integration, event, at, count) VALUES (" INTEGRATION ", ?2, ?3, ?4)"},
    {"resync",
     {"tintegration", "istartedAt", "iendedAt", "tstatus"},
     "SELECT i.identifier, r.started_at, r.ended_at, r.status FROM resync r JOIN integration i ON i.id = r.integration"
     " ORDER BY 1, r.id",
     "INSERT INTO resync (integration, started_at, ended_at, status) VALUES (" INTEGRATION ", ?2, ?3, ?4)"},
    {"raw",
     {"tintegration", "tsync", "tkind", "tevent", "iat", "ientries", "iitems", "ibytes", "tbody"},
     "SELECT i.identifier, r.sync, r.kind, r.event, r.at, r.entries, r.items, r.bytes, r.body FROM raw r"
     " JOIN integration i ON i.id = r.integration ORDER BY 1, r.id",
     "INSERT INTO raw (integration, sync, kind, event, at, entries, items, bytes, body)"
     " VALUES (" INTEGRATION ", ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"},
    {"changes",
     {"tevent", "tdatasource", "ifirstAt", "ilastAt", "icreated", "iupdated", "iunchanged", "ideleted", "ifailed",
      "ikeys"},
     "SELECT event, datasource, first_at, last_at, created, updated, unchanged, deleted, failed, keys FROM changes"
     " ORDER BY event",
     "INSERT INTO changes (event, datasource, first_at, last_at, created, updated, unchanged, deleted, failed, keys)"
     " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"},
    {"change",
     {"tevent", "iposition", "iwhat", "tblueprint", "tidentifier"},
     "SELECT event, position, what, blueprint, identifier FROM change ORDER BY event, position",
     "INSERT INTO change (event, position, what, blueprint, identifier) VALUES (?1, ?2, ?3, ?4, ?5)"},
    {"run",
     {"iworkflow", "tidentifier", "tinstallation", "tselector", "texternal", "iacked", "iended", "ihiddenUntil",
      "jdoc"},
     "SELECT workflow, identifier, installation, selector, external, acked, ended, hidden_until, doc FROM run"
     " ORDER BY workflow, identifier",
     "INSERT INTO run (workflow, identifier, installation, selector, external, acked, ended, hidden_until, doc)"
     " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"},
    {"runLog",
     {"iworkflow", "trun", "jdoc"},
     "SELECT r.workflow, r.identifier, l.doc FROM run_log l JOIN run r ON r.id = l.run ORDER BY 1, 2, l.id",
     "INSERT INTO run_log (run, doc) VALUES ((SELECT id FROM run WHERE workflow = ?1 AND identifier = ?2), ?3)"},
    {"lifecycle",
     {"tevent", "tpart", "tstatus", "jdoc", "iupdatedAt", "iaborted"},
     "SELECT event, part, status, doc, updated_at, aborted FROM lifecycle ORDER BY event, part",
     "INSERT INTO lifecycle (event, part, status, doc, updated_at, aborted) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"},
};
#define SECTIONS (sizeof(sections) / sizeof(sections[0]))

/* Export ---------------------------------------------------------------------------------------------------------- */

/* A value that is not set is left out: null would be the text of a JSON column. */
static void write_column(struct jw *jw, struct sqlite3_stmt *s, const char *column, int i)
{
    if (sqlite3_column_type(s, i) == SQLITE_NULL)
        return;
    jw_key(jw, str_of(column + 1));
    if (*column == 'i')
        jw_int(jw, q_num(s, i));
    else if (*column == 'j')
        jw_raw(jw, q_text(s, i));
    else
        jw_str(jw, q_text(s, i));
}

/* ?1 and ?2: number and identifier of a blueprint, for the section whose rows come one blueprint after another, through
 * the index: sorting a million rows would hold them all. */
static int write_section(struct core *k, const struct section *x, int64_t blueprint, struct str identifier,
                         struct buf *text, void (*line)(void *arg, struct str json), void *arg, struct refusal *r)
{
    struct sqlite3_stmt *s =
        blueprint ? q_open(k, r, x->select, "it", blueprint, identifier) : q_open(k, r, x->select, "");
    int rc;
    while ((rc = q_row(k, s, r)) > 0) {
        buf_reset(text);
        struct jw jw = jw_on(text);
        jw_obj(&jw);
        jw_key_c(&jw, "table");
        jw_cstr(&jw, x->name);
        for (int i = 0; x->columns[i]; i++)
            write_column(&jw, s, x->columns[i], i);
        jw_end_obj(&jw);
        line(arg, buf_str(text));
    }
    return rc;
}

static int by_identifier(const void *a, const void *b)
{
    const struct blueprint *x = *(struct blueprint *const *)a, *y = *(struct blueprint *const *)b;
    size_t n = x->identifier.n < y->identifier.n ? x->identifier.n : y->identifier.n;
    int c = memcmp(x->identifier.p, y->identifier.p, n);
    return c ? c : (x->identifier.n > y->identifier.n) - (x->identifier.n < y->identifier.n);
}

static int write_entities(struct core *k, const struct section *x, struct buf *text,
                          void (*line)(void *arg, struct str json), void *arg, struct refusal *r)
{
    struct blueprint *b, **all = NULL;
    size_t n = 0, cap = 0;
    int rc = 0;
    for (size_t at = 0; (at = blueprint_next(k, at, &b)) != 0;) {
        if (n == cap)
            all = xrealloc(all, (cap = cap ? 2 * cap : 32) * sizeof(*all));
        all[n++] = b;
    }
    if (n)
        qsort(all, n, sizeof(*all), by_identifier);
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = write_section(k, x, all[i]->id, all[i]->identifier, text, line, arg, r);
    free(all);
    return rc;
}

int dump_write(struct core *k, void (*line)(void *arg, struct str json), void *arg, struct refusal *r)
{
    struct buf text;
    int rc = 0;
    buf_init(&text, LIMIT_ANSWER);
    for (size_t i = 0; rc == 0 && i < SECTIONS; i++)
        rc = strcmp(sections[i].name, "entity") ? write_section(k, &sections[i], 0, STR_NULL, &text, line, arg, r)
                                                : write_entities(k, &sections[i], &text, line, arg, r);
    buf_done(&text);
    return rc;
}

/* Import ---------------------------------------------------------------------------------------------------------- */

int dump_clear(struct core *k, struct refusal *r)
{
    static const char *const statements[] = {
        "DELETE FROM entity",
        "DELETE FROM ref",
        "DELETE FROM tally",
        "DELETE FROM blueprint",
        "DELETE FROM document",
        "DELETE FROM integration",
        "DELETE FROM cursor",
        "DELETE FROM example",
        "DELETE FROM record",
        "DELETE FROM metric",
        "DELETE FROM heartbeat",
        "DELETE FROM resync",
        "DELETE FROM raw",
        "DELETE FROM changes",
        "DELETE FROM change",
        "DELETE FROM run",
        "DELETE FROM run_log",
        "DELETE FROM lifecycle",
        "DELETE FROM client",
        "DELETE FROM datasource",
        "DELETE FROM meta WHERE key IN ('refs_upto', 'organization')",
    };
    for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++)
        if (q_exec(k, r, statements[i], "") < 0)
            return -1;
    core_forget(k);
    return 0;
}

static const struct section *section_of(struct str name)
{
    for (size_t i = 0; i < SECTIONS; i++)
        if (str_is(name, sections[i].name))
            return &sections[i];
    return NULL;
}

static int bad_line(struct refusal *r, size_t number, const char *what)
{
    return refuse_invalid(r, "line %zu of the import: %s", number, what);
}

static int read_line(struct core *k, struct json in, size_t number, struct buf *text, struct refusal *r)
{
    const struct section *x = section_of(json_str(json_get_c(in, "table")));
    if (!x)
        return bad_line(r, number, "\"table\" names none of this catalog's tables");
    struct sqlite3_stmt *s = q_open(k, r, x->insert, "");
    if (!s)
        return -1;
    for (int i = 0; x->columns[i]; i++) {
        const char *column = x->columns[i];
        struct json v = json_get(in, str_of(column + 1));
        int64_t n;
        if (!v.v) {
            sqlite3_bind_null(s, i + 1);
        } else if (*column == 'i' && json_int64(v, &n)) {
            sqlite3_bind_int64(s, i + 1, n);
        } else if (*column == 't' && json_is_str(v)) {
            sqlite3_bind_text(s, i + 1, json_str(v).p, (int)json_str(v).n, SQLITE_TRANSIENT);
        } else if (*column == 'j') {
            buf_reset(text);
            json_write(text, v);
            sqlite3_bind_text(s, i + 1, text->p, (int)text->n, SQLITE_TRANSIENT);
        } else {
            q_close(s);
            return bad_line(r, number, "a value has another type than this catalog's");
        }
    }
    int rc = q_row(k, s, r);
    if (rc < 0 && r->status < 500)
        return -1;
    return rc < 0 ? bad_line(r, number, "it does not fit what stands before it") : 0;
}

int dump_read(struct core *k, struct str lines, struct refusal *r)
{
    struct buf text;
    size_t number = 0;
    int rc = dump_clear(k, r);
    buf_init(&text, LIMIT_ANSWER);
    for (struct str rest = lines; rc == 0 && rest.p && rest.n;) {
        struct json_doc *doc = NULL;
        struct str line = str_trim(str_split(rest, '\n', &rest));
        number++;
        if (!line.n)
            continue;
        rc = json_parse(line, &doc, NULL) < 0 || !json_is_obj(json_root(doc))
                 ? bad_line(r, number, "it is no JSON object")
                 : read_line(k, json_root(doc), number, &text, r);
        json_unref(doc);
    }
    buf_done(&text);
    core_forget(k);
    if (rc < 0)
        return -1;
    return q_exec(k, r,
                  "INSERT INTO tally SELECT blueprint, datasource, COUNT(*) FROM entity GROUP BY blueprint, datasource",
                  "");
}
