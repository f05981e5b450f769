/* From the JSON of a query to its compiled form; every shape that cannot be meant is refused with 422 and says where
 * (port-api P-178). */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "catalog/query.h"

#define QUERY_DEPTH 64
#define DAY_US (86400LL * 1000000)

enum value_kind { VALUE_SCALAR, VALUE_ORDERED, VALUE_LIST, VALUE_TEXT, VALUE_TEXT_OR_LIST, VALUE_NONE, VALUE_RANGE };

static const struct {
    const char *name;
    enum operator op;
    enum value_kind value;
    bool reference; /* allowed in relation and identifier queries */
} operators[] = {
    {"=", OP_EQ, VALUE_SCALAR, true},
    {"!=", OP_NE, VALUE_SCALAR, false},
    {">", OP_GT, VALUE_ORDERED, false},
    {">=", OP_GE, VALUE_ORDERED, false},
    {"<", OP_LT, VALUE_ORDERED, false},
    {"<=", OP_LE, VALUE_ORDERED, false},
    {"in", OP_IN, VALUE_LIST, true},
    {"notIn", OP_NOT_IN, VALUE_LIST, false},
    {"contains", OP_CONTAINS, VALUE_TEXT_OR_LIST, true},
    {"doesNotContains", OP_NOT_CONTAINS, VALUE_TEXT_OR_LIST, false},
    {"containsAny", OP_CONTAINS_ANY, VALUE_LIST, true},
    {"beginsWith", OP_BEGINS, VALUE_TEXT, false},
    {"doesNotBeginsWith", OP_NOT_BEGINS, VALUE_TEXT, false},
    {"endsWith", OP_ENDS, VALUE_TEXT, false},
    {"doesNotEndsWith", OP_NOT_ENDS, VALUE_TEXT, false},
    {"isEmpty", OP_EMPTY, VALUE_NONE, false},
    {"isNotEmpty", OP_NOT_EMPTY, VALUE_NONE, false},
    {"between", OP_BETWEEN, VALUE_RANGE, false},
    {"notBetween", OP_NOT_BETWEEN, VALUE_RANGE, false},
};

static const struct {
    const char *name;
    enum subject subject;
    bool reference;
} subjects[] = {
    {"$identifier", SUBJECT_IDENTIFIER, true},
    {"$title", SUBJECT_TITLE, true},
    {"$blueprint", SUBJECT_BLUEPRINT, true},
    {"$team", SUBJECT_TEAM, true},
    {"$icon", SUBJECT_ICON, false},
    {"$createdAt", SUBJECT_CREATED_AT, false},
    {"$updatedAt", SUBJECT_UPDATED_AT, false},
    {"$createdBy", SUBJECT_CREATED_BY, false},
    {"$updatedBy", SUBJECT_UPDATED_BY, false},
    {"$datasource", SUBJECT_DATASOURCE, false},
};

/* P-177: days from now; `day`: whole UTC days. */
static const struct {
    const char *name;
    int days;
    bool day;
} presets[] = {
    {"lastDay", -1, false},        {"lastWeek", -7, false},     {"last2Weeks", -14, false},
    {"lastMonth", -30, false},     {"last3Months", -90, false}, {"last6Months", -180, false},
    {"last12Months", -365, false}, {"last2Years", -730, false}, {"last3Years", -1095, false},
    {"nextDay", 1, false},         {"nextWeek", 7, false},      {"next2Weeks", 14, false},
    {"nextMonth", 30, false},      {"next3Months", 90, false},  {"next6Months", 180, false},
    {"next12Months", 365, false},  {"next2Years", 730, false},  {"next3Years", 1095, false},
    {"yesterday", -1, true},       {"today", 0, true},          {"tomorrow", 1, true},
};

struct compiler {
    struct core *k;
    struct arena *arena;
    enum query_use use;
    struct refusal *r;
};

static struct query *compile(struct compiler *c, struct json q, int depth);

static int bad(struct compiler *c, struct str op, const char *wanted)
{
    return refuse_invalid(c->r, "\"query/rules/value\" of operator \"%.*s\" must be %s", STR_FMT(op), wanted);
}

static int preset(struct compiler *c, struct query *q, struct str name)
{
    int64_t now = core_now(c->k), midnight = now - now % DAY_US;
    for (size_t i = 0; i < ARRAY_LEN(presets); i++) {
        if (!str_is(name, presets[i].name))
            continue;
        int64_t shift = presets[i].days * DAY_US;
        if (presets[i].day) {
            q->from = midnight + shift;
            q->to = q->from + DAY_US - 1;
        } else {
            q->from = shift < 0 ? now + shift : now;
            q->to = shift < 0 ? now : now + shift;
        }
        return 0;
    }
    return refuse_invalid(c->r, "\"query/rules/value/preset\" \"%.*s\" is not known", STR_FMT(name));
}

static int range(struct compiler *c, struct query *q, struct str op)
{
    struct json name = json_get_c(q->value, "preset");
    if (name.v)
        return preset(c, q, json_str(name));
    if (!iso_parse(json_str(json_get_c(q->value, "from")), &q->from) ||
        !iso_parse(json_str(json_get_c(q->value, "to")), &q->to))
        return bad(c, op, "{\"from\", \"to\"} with instants, or {\"preset\"}");
    return 0;
}

static int check_operand(struct compiler *c, struct query *q, struct str op, enum value_kind kind)
{
    struct json v = q->value;
    if (kind == VALUE_NONE)
        return 0;
    if (!v.v)
        return refuse_invalid(c->r, "\"query/rules\" must have required property 'value' for operator \"%.*s\"",
                              STR_FMT(op));
    q->value_is_instant = json_is_str(v) && iso_parse(json_str(v), &q->instant);
    switch (kind) {
    case VALUE_SCALAR: return json_is_obj(v) || json_is_arr(v) ? bad(c, op, "string, number, boolean or null") : 0;
    case VALUE_ORDERED: return json_is_num(v) || q->value_is_instant ? 0 : bad(c, op, "number or instant");
    case VALUE_LIST: return json_is_arr(v) ? 0 : bad(c, op, "array");
    case VALUE_TEXT: return json_is_str(v) ? 0 : bad(c, op, "string");
    case VALUE_TEXT_OR_LIST:
        return json_is_obj(v) || (json_is_null(v) && c->use == QUERY_SEARCH) ? bad(c, op, "string or array") : 0;
    case VALUE_RANGE: return range(c, q, op);
    case VALUE_NONE: break;
    }
    return 0;
}

static int set_subject(struct compiler *c, struct query *q, struct str property)
{
    q->subject = SUBJECT_PROPERTY;
    q->name = property;
    for (size_t i = 0; i < ARRAY_LEN(subjects); i++) {
        if (str_is(property, subjects[i].name)) {
            q->subject = subjects[i].subject;
            if (c->use == QUERY_REFERENCE && !subjects[i].reference)
                return refuse_invalid(c->r, "\"query/rules/property\" \"%.*s\" cannot be used here", STR_FMT(property));
        }
    }
    q->needs_body = q->subject == SUBJECT_PROPERTY || q->subject == SUBJECT_TITLE || q->subject == SUBJECT_TEAM ||
                    q->subject == SUBJECT_ICON;
    return 0;
}

static int check_keys(struct compiler *c, struct json rule)
{
    for (struct json_iter it = json_iter(rule); json_next(&it);)
        if (!str_is(it.key, "property") && !str_is(it.key, "operator") && !str_is(it.key, "value"))
            return refuse_invalid(c->r, "\"query/rules\" must not have the additional property '%.*s'",
                                  STR_FMT(it.key));
    return 0;
}

static void free_related(void *p) { ids_done(&((struct query *)p)->related); }

static struct query *compile_related(struct compiler *c, struct json rule)
{
    static const char *const known[] = {"operator", "value", "blueprint", "direction", "required"};
    struct json blueprint = json_get_c(rule, "blueprint"), direction = json_get_c(rule, "direction");
    struct json required = json_get_c(rule, "required");
    struct query *q = arena_zalloc(c->arena, sizeof(*q));
    q->op = OP_RELATED;
    q->name = json_str(blueprint);
    q->value = json_get_c(rule, "value");
    q->upstream = !direction.v || str_is(json_str(direction), "upstream");
    q->downstream = !direction.v || str_is(json_str(direction), "downstream");
    q->required_only = json_is_true(required);
    arena_defer(c->arena, free_related, q);
    const char *wrong = NULL;
    for (struct json_iter it = json_iter(rule); json_next(&it);) {
        bool ok = false;
        for (size_t i = 0; i < ARRAY_LEN(known); i++)
            ok |= str_is(it.key, known[i]);
        wrong = ok ? wrong : "has a key that operator \"relatedTo\" does not take";
    }
    if (!json_is_str(blueprint))
        wrong = "must have required property 'blueprint' for operator \"relatedTo\"";
    else if (!json_is_str(q->value) && !json_is_arr(q->value))
        wrong = "must have required property 'value', an identifier or a list of them, for operator \"relatedTo\"";
    else if (!q->upstream && !q->downstream)
        wrong = "must have 'direction' upstream or downstream";
    else if (required.v && !json_is_bool(required))
        wrong = "must have a boolean 'required'";
    if (!wrong)
        return q;
    refuse_invalid(c->r, "\"query/rules\" %s", wrong);
    return NULL;
}

static struct query *compile_rule(struct compiler *c, struct json rule)
{
    struct json property = json_get_c(rule, "property"), op = json_get_c(rule, "operator");
    if (str_is(json_str(op), "relatedTo") && c->use == QUERY_SEARCH)
        return compile_related(c, rule);
    struct query *q = arena_zalloc(c->arena, sizeof(*q));
    if (!json_is_str(op)) {
        refuse_invalid(c->r, "\"query/rules\" must have required property 'operator'");
        return NULL;
    }
    if (!json_is_str(property)) {
        refuse_invalid(c->r, "\"query/rules\" must have required property 'property', a string");
        return NULL;
    }
    q->value = json_get_c(rule, "value");
    q->null_is_nothing = c->use == QUERY_REFERENCE;
    for (size_t i = 0; i < ARRAY_LEN(operators); i++) {
        if (!str_is(json_str(op), operators[i].name) || (c->use == QUERY_REFERENCE && !operators[i].reference))
            continue;
        q->op = operators[i].op;
        bool ok = check_keys(c, rule) == 0 && set_subject(c, q, json_str(property)) == 0 &&
                  check_operand(c, q, json_str(op), operators[i].value) == 0;
        return ok ? q : NULL;
    }
    refuse_invalid(c->r, "\"query/rules/operator\" \"%.*s\" is not supported%s", STR_FMT(json_str(op)),
                   c->use == QUERY_REFERENCE ? " in relations and identifiers" : "");
    return NULL;
}

static struct query *compile_group(struct compiler *c, struct json q, int depth)
{
    struct json combinator = json_get_c(q, "combinator"), rules = json_get_c(q, "rules");
    struct query *g = arena_zalloc(c->arena, sizeof(*g));
    if (!combinator.v) {
        refuse_invalid(c->r, "\"query\" must have required property 'combinator'");
        return NULL;
    }
    g->group = true;
    g->any = str_is(json_str(combinator), "or");
    if (!g->any && !str_is(json_str(combinator), "and")) {
        refuse_invalid(c->r, "\"query/combinator\" must be \"and\" or \"or\"");
        return NULL;
    }
    if (!json_is_arr(rules)) {
        refuse_invalid(c->r, "\"query\" must have required property 'rules', an array");
        return NULL;
    }
    g->rules = arena_alloc(c->arena, (json_len(rules) + 1) * sizeof(*g->rules));
    for (struct json_iter it = json_iter(rules); json_next(&it);) {
        struct query *sub = compile(c, it.val, depth + 1);
        if (!sub)
            return NULL;
        g->needs_body |= sub->needs_body;
        g->rules[g->nrules++] = sub;
    }
    return g;
}

static struct query *compile(struct compiler *c, struct json q, int depth)
{
    if (!json_is_obj(q)) {
        refuse_invalid(c->r, depth ? "\"query/rules\" must be a list of objects" : "\"query\" must be object");
        return NULL;
    }
    if (depth > QUERY_DEPTH) {
        refuse_invalid(c->r, "\"query\" must not be nested deeper than %d groups", QUERY_DEPTH);
        return NULL;
    }
    bool group = depth == 0 || json_get_c(q, "combinator").v || json_get_c(q, "rules").v;
    return group ? compile_group(c, q, depth) : compile_rule(c, q);
}

struct query *query_compile(struct core *k, struct arena *a, struct json q, enum query_use use, struct refusal *r)
{
    struct compiler c = {k, a, use, r};
    return compile(&c, q, 0);
}
