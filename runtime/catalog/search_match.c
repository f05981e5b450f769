/* One row against one query. A subject is a JSON value, or a text or an instant that is not stored as JSON; `struct
 * value` holds either. What is unset, or not defined by the entity's blueprint, is null (port-api P-175). */
#include <string.h>

#include "base/clock.h"
#include "catalog/owners.h"
#include "catalog/query.h"
#include "json/compare.h"

struct value {
    bool is_text, is_instant;
    struct str text;
    int64_t instant;
    struct json json;
};

static struct value subject_of(struct core *k, const struct query *q, const struct blueprint *b, struct row *row)
{
    switch (q->subject) {
    case SUBJECT_IDENTIFIER: return (struct value){.is_text = true, .text = row->identifier};
    case SUBJECT_BLUEPRINT: return (struct value){.is_text = true, .text = b->identifier};
    case SUBJECT_CREATED_BY: return (struct value){.is_text = true, .text = dict_text(k, k->clients, row->created_by)};
    case SUBJECT_UPDATED_BY: return (struct value){.is_text = true, .text = dict_text(k, k->clients, row->updated_by)};
    case SUBJECT_CREATED_AT: return (struct value){.is_instant = true, .instant = row->created_at};
    case SUBJECT_UPDATED_AT: return (struct value){.is_instant = true, .instant = row->updated_at};
    case SUBJECT_TITLE: return (struct value){.json = json_get_c(row_body(row), "title")};
    case SUBJECT_TEAM: return (struct value){.json = json_get_c(row_body(row), "team")};
    case SUBJECT_ICON: return (struct value){.json = json_get_c(row_body(row), "icon")};
    case SUBJECT_DATASOURCE:
    case SUBJECT_PROPERTY: break;
    }
    if (blueprint_property(b, q->name, 0) < 0)
        return (struct value){.json = JSON_NONE};
    return (struct value){.json = row_property(row, q->name)};
}

static bool is_null(const struct value *v) { return !v->is_text && !v->is_instant && json_is_nil(v->json); }

static bool text_of(const struct value *v, struct str *ret)
{
    if (v->is_instant || (!v->is_text && !json_is_str(v->json)))
        return false;
    *ret = v->is_text ? v->text : json_str(v->json);
    return true;
}

static bool instant_of(const struct value *v, int64_t *ret)
{
    struct str s;
    if (v->is_instant) {
        *ret = v->instant;
        return true;
    }
    return text_of(v, &s) && iso_parse(s, ret);
}

static bool equals(const struct value *v, struct json wanted)
{
    struct str s;
    int64_t a, b;
    if (is_null(v))
        return json_is_nil(wanted);
    if (text_of(v, &s) && json_is_str(wanted) && str_eq(s, json_str(wanted)))
        return true;
    if (json_is_str(wanted))
        return iso_parse(json_str(wanted), &b) && instant_of(v, &a) && a == b;
    return !v->is_text && !v->is_instant && json_equal(v->json, wanted);
}

static bool is_list(const struct value *v) { return !v->is_text && !v->is_instant && json_is_arr(v->json); }

static bool list_has(struct json list, struct json wanted)
{
    for (struct json_iter it = json_iter(list); json_next(&it);)
        if (json_equal(it.val, wanted))
            return true;
    return false;
}

/* `in`: equals an element; a list shares one. */
static bool in_list(const struct value *v, struct json list, bool skip_null)
{
    for (struct json_iter it = json_iter(list); json_next(&it);) {
        if (skip_null && json_is_null(it.val))
            continue;
        if (is_list(v) ? list_has(v->json, it.val) : equals(v, it.val))
            return true;
    }
    return false;
}

static bool has_text(struct str s, struct str part)
{
    return part.n == 0 || (s.n >= part.n && memmem(s.p, s.n, part.p, part.n));
}

static bool contains_one(const struct value *v, struct json wanted)
{
    struct str s;
    if (is_list(v))
        return list_has(v->json, wanted);
    return json_is_str(wanted) && text_of(v, &s) && has_text(s, json_str(wanted));
}

static bool contains_all(const struct value *v, struct json wanted)
{
    if (!json_is_arr(wanted))
        return contains_one(v, wanted);
    if (is_null(v))
        return false;
    for (struct json_iter it = json_iter(wanted); json_next(&it);)
        if (!contains_one(v, it.val))
            return false;
    return true;
}

static bool contains_any(const struct value *v, struct json wanted)
{
    for (struct json_iter it = json_iter(wanted); json_next(&it);)
        if (contains_one(v, it.val))
            return true;
    return false;
}

/* -1, 0, 1, or 2: cannot be compared. */
static int order(const struct value *v, const struct query *q)
{
    int64_t at;
    if (q->value_is_instant)
        return instant_of(v, &at) ? (at > q->instant) - (at < q->instant) : 2;
    if (v->is_text || v->is_instant || !json_is_num(v->json))
        return 2;
    int64_t a, b;
    if (json_int64(v->json, &a) && json_int64(q->value, &b))
        return (a > b) - (a < b);
    double x = json_double(v->json), y = json_double(q->value);
    return (x > y) - (x < y);
}

static bool ends(const struct value *v, struct str part, bool at_start)
{
    struct str s;
    return text_of(v, &s) && (at_start ? str_starts(s, part) : str_ends(s, part));
}

static bool is_empty(const struct value *v) { return is_null(v) || (is_list(v) && json_len(v->json) == 0); }

static bool match_order(const struct query *q, const struct value *v)
{
    int64_t at;
    int c = q->op == OP_BETWEEN || q->op == OP_NOT_BETWEEN ? 0 : order(v, q);
    if (c == 2)
        return false;
    switch (q->op) {
    case OP_GT: return c > 0;
    case OP_GE: return c >= 0;
    case OP_LT: return c < 0;
    case OP_LE: return c <= 0;
    case OP_BETWEEN: return instant_of(v, &at) && at >= q->from && at <= q->to;
    default: return instant_of(v, &at) && (at < q->from || at > q->to);
    }
}

static bool match_rule(const struct query *q, const struct value *v)
{
    if (q->null_is_nothing && json_is_null(q->value))
        return false;
    switch (q->op) {
    case OP_EQ: return equals(v, q->value);
    case OP_NE: return !equals(v, q->value);
    case OP_IN: return in_list(v, q->value, q->null_is_nothing);
    case OP_NOT_IN: return !in_list(v, q->value, false);
    case OP_CONTAINS: return contains_all(v, q->value);
    case OP_NOT_CONTAINS: return !contains_all(v, q->value);
    case OP_CONTAINS_ANY: return contains_any(v, q->value);
    case OP_BEGINS: return ends(v, json_str(q->value), true);
    case OP_NOT_BEGINS: return !ends(v, json_str(q->value), true);
    case OP_ENDS: return ends(v, json_str(q->value), false);
    case OP_NOT_ENDS: return !ends(v, json_str(q->value), false);
    case OP_EMPTY: return is_empty(v);
    case OP_NOT_EMPTY: return !is_empty(v);
    default: return match_order(q, v);
    }
}

static bool is_negation(enum operator op)
{
    return op == OP_NE || op == OP_NOT_IN || op == OP_NOT_CONTAINS || op == OP_NOT_BEGINS || op == OP_NOT_ENDS;
}

/* Of several writers any one may match (P-58). */
static bool match_owners(const struct query *q, struct str text)
{
    struct str one;
    bool negation = is_negation(q->op);
    while (owners_next(&text, &one)) {
        struct value v = {.is_text = true, .text = one};
        if (match_rule(q, &v) != negation)
            return !negation;
    }
    return negation;
}

bool query_matches(struct core *k, const struct query *q, const struct blueprint *b, struct row *row)
{
    if (!q->group && q->op == OP_RELATED)
        return ids_has(&q->related, row->id);
    if (!q->group && q->subject == SUBJECT_DATASOURCE)
        return match_owners(q, dict_text(k, k->datasources, row->datasource));
    if (!q->group) {
        struct value v = subject_of(k, q, b, row);
        return match_rule(q, &v);
    }
    for (size_t i = 0; i < q->nrules; i++)
        if (query_matches(k, q->rules[i], b, row) == q->any)
            return q->any;
    return !q->any; /* an empty "and" matches everything, an empty "or" nothing (P-172) */
}
