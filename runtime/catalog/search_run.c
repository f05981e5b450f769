/* The way through the tables. Of the rules that every match must satisfy (those under "and" groups from the top), a
 * list of identifiers and a blueprint narrow the candidates through the unique index; else one blueprint's rows, else
 * all rows, are read in order of creation. Every candidate is then asked the whole query. */
#include "catalog/query.h"

struct narrowing {
    struct json identifiers; /* a string or a list of strings */
    struct str blueprint;
    bool nothing; /* an empty "or" must hold */
};

static void narrow(const struct query *q, struct narrowing *n)
{
    if (q->group) {
        if (q->any && q->nrules == 0)
            n->nothing = true;
        for (size_t i = 0; i < q->nrules && (!q->any || q->nrules == 1); i++)
            narrow(q->rules[i], n);
        return;
    }
    bool one = q->op == OP_EQ && json_is_str(q->value), list = q->op == OP_IN;
    if (q->subject == SUBJECT_IDENTIFIER && (one || list) && !n->identifiers.v)
        n->identifiers = q->value;
    if (q->subject == SUBJECT_BLUEPRINT && one)
        n->blueprint = json_str(q->value);
}

static int add_number(struct core *k, const struct blueprint *b, struct json identifier, struct ids *ret,
                      struct refusal *r)
{
    int64_t id = json_is_str(identifier) ? row_number(k, b->id, json_str(identifier), r) : 0;
    if (id > 0)
        ids_add(ret, id);
    return id < 0 ? -1 : 0;
}

static int add_named(struct core *k, const struct blueprint *b, struct json identifiers, struct ids *ret,
                     struct refusal *r)
{
    if (json_is_str(identifiers))
        return add_number(k, b, identifiers, ret, r);
    for (struct json_iter it = json_iter(identifiers); json_next(&it);)
        if (add_number(k, b, it.val, ret, r) < 0)
            return -1;
    return 0;
}

struct run {
    struct core *k;
    const struct query *q;
    match_fn fn;
    void *arg;
};

static int offer(struct run *run, const struct blueprint *b, struct row *row, struct refusal *r)
{
    return query_matches(run->k, run->q, b, row) ? run->fn(run->arg, b, row, r) : 0;
}

/* Candidates by number, one lookup each. */
static int run_numbers(struct run *run, struct ids *ids, bool slim, struct refusal *r)
{
    struct row row = {0};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < ids->n; i++) {
        const char *whole = "SELECT " ROW_COLUMNS " FROM entity WHERE id = ?1 AND 1";
        const char *thin = "SELECT " ROW_COLUMNS_SLIM " FROM entity WHERE id = ?1 AND 1";
        struct sqlite3_stmt *s = q_open(run->k, r, slim ? thin : whole, "i", ids->p[i]);
        rc = q_row(run->k, s, r);
        if (rc <= 0)
            continue;
        row_read(&row, s);
        struct blueprint *b = blueprint_by_id(run->k, row.blueprint, r);
        rc = b ? offer(run, b, &row, r) : -1;
        q_close(s);
    }
    row_done(&row);
    return rc;
}

static int run_all(struct run *run, bool slim, struct refusal *r)
{
    struct row row = {0};
    const char *whole = "SELECT " ROW_COLUMNS " FROM entity ORDER BY id";
    const char *thin = "SELECT " ROW_COLUMNS_SLIM " FROM entity ORDER BY id";
    struct sqlite3_stmt *s = q_open(run->k, r, slim ? thin : whole, "");
    int rc;
    while ((rc = q_row(run->k, s, r)) > 0) {
        row_read(&row, s);
        struct blueprint *b = blueprint_by_id(run->k, row.blueprint, r);
        rc = b ? offer(run, b, &row, r) : -1;
        if (rc != 0) {
            q_close(s);
            break;
        }
    }
    row_done(&row);
    return rc;
}

int query_run(struct core *k, struct query *q, const struct blueprint *only, bool slim, match_fn fn, void *arg,
              struct refusal *r)
{
    struct narrowing n = {0};
    struct run run = {k, q, fn, arg};
    struct ids ids = {0};
    struct refusal ignored;
    int rc = 0;
    slim = slim && !q->needs_body;
    narrow(q, &n);
    if (!only && n.blueprint.p && !(only = blueprint_find(k, n.blueprint, &ignored)))
        return ignored.status >= 500 ? (*r = ignored, -1) : 0;
    if (n.nothing)
        return 0;
    if (query_prepare(k, q, r) < 0)
        return -1;
    if (!only && !n.identifiers.v)
        return (rc = run_all(&run, slim, r)) < 0 ? -1 : 0;
    struct blueprint *b;
    if (!n.identifiers.v)
        rc = ids_of_blueprint(k, only->id, &ids, r);
    else if (only)
        rc = add_named(k, only, n.identifiers, &ids, r);
    else
        for (size_t at = 0; rc == 0 && (at = blueprint_next(k, at, &b)) != 0;)
            rc = add_named(k, b, n.identifiers, &ids, r);
    ids_sort(&ids);
    if (rc == 0)
        rc = run_numbers(&run, &ids, slim, r);
    ids_done(&ids);
    return rc < 0 ? -1 : 0;
}
