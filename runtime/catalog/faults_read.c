/* Faults from the command line and from JSON. Both forms become a flat list of names and values, which one table turns
 * into a fault; what the table does not know is refused by name, so that a misspelt key never becomes a fault that does
 * nothing. */
#include "catalog/faults_priv.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "json/compare.h"
#include "json/write.h"

enum field_kind { FIELD_TEXT, FIELD_INT, FIELD_RATIO, FIELD_FLAG };

#define AT(member) offsetof(struct fault, member)

static const struct {
    const char *name;
    enum field_kind kind;
    size_t offset;
} fields[] = {
    {"id", FIELD_TEXT, AT(id)},
    {"method", FIELD_TEXT, AT(method)},
    {"path", FIELD_TEXT, AT(path)},
    {"route", FIELD_TEXT, AT(route)},
    {"userAgent", FIELD_TEXT, AT(agent)},
    {"integration", FIELD_TEXT, AT(agent)},
    {"blueprint", FIELD_TEXT, AT(blueprint)},
    {"identifier", FIELD_TEXT, AT(identifier)},
    {"bodyContains", FIELD_TEXT, AT(body)},
    {"after", FIELD_INT, AT(after)},
    {"count", FIELD_INT, AT(count)},
    {"every", FIELD_INT, AT(every)},
    {"probability", FIELD_RATIO, AT(probability)},
    {"fromMs", FIELD_INT, AT(from_ms)},
    {"untilMs", FIELD_INT, AT(until_ms)},
    {"inFlightOver", FIELD_INT, AT(in_flight_over)},
    {"ms", FIELD_INT, AT(ms)},
    {"jitterMs", FIELD_INT, AT(jitter_ms)},
    {"jitter", FIELD_INT, AT(jitter_ms)},
    {"error", FIELD_TEXT, AT(error)},
    {"message", FIELD_TEXT, AT(message)},
    {"details", FIELD_TEXT, AT(details)},
    {"retryAfter", FIELD_INT, AT(retry_after)},
    {"resetIn", FIELD_INT, AT(reset_in)},
    {"clientId", FIELD_TEXT, AT(client)},
    {"expiresIn", FIELD_INT, AT(expires_in)},
    {"failEvery", FIELD_INT, AT(fail_every)},
    {"commitRest", FIELD_FLAG, AT(commit_rest)},
};

static const struct {
    const char *name;
    enum fault_type type;
    const char *short_field; /* what the value of `name=value` means on the command line */
} types[] = {
    {"latency", FAULT_LATENCY, "ms"},
    {"status", FAULT_STATUS, "status"},
    {"rateLimit", FAULT_RATE_LIMIT, NULL},
    {"reset", FAULT_RESET, "at"},
    {"hang", FAULT_HANG, "ms"},
    {"commitThenFail", FAULT_COMMIT_THEN_FAIL, "with"},
    {"expireTokens", FAULT_EXPIRE_TOKENS, "clientId"},
    {"shortToken", FAULT_SHORT_TOKEN, "expiresIn"},
    {"bulkPartial", FAULT_BULK_PARTIAL, NULL},
};

static const char *type_name(enum fault_type t)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (types[i].type == t)
            return types[i].name;
    return "?";
}

static struct fault *fault_new(void)
{
    struct fault *x = xcalloc(1, sizeof(*x));
    x->count = 1;
    x->probability = 1;
    x->retry_after = x->reset_in = -1;
    x->commit_rest = true;
    x->type = (enum fault_type) - 1;
    x->set_ms = clock_mono_ms();
    return x;
}

/* One of a list of words; -1 if none. */
static int word(struct str v, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_is(v, list[i]))
            return (int)i;
    return -1;
}

static int set_word(struct fault *x, const char *key, struct str v, struct refusal *r)
{
    static const char *const at[] = {"accept", "beforeBody"}, *const with[] = {"reset", "status", "hang"};
    static const char *const headers[] = {"both", "retryAfter", "reset", "none"}, *const where[] = {"before", "after"};
    int i = -1;
    if (!strcmp(key, "at") && (i = word(v, at, 2)) >= 0)
        x->at = i;
    else if (!strcmp(key, "with") && (i = word(v, with, 3)) >= 0)
        x->with = i;
    else if (!strcmp(key, "headers") && (i = word(v, headers, 4)) >= 0)
        x->limit_headers = i;
    else if (!strcmp(key, "where") && (i = word(v, where, 2)) >= 0)
        x->after_commit = i == 1;
    if (i >= 0)
        return 0;
    return refuse_invalid(r,
                          "fault: %s=%.*s is not available; at: accept|beforeBody, with: reset|status|hang,"
                          " headers: both|retryAfter|reset|none, where: before|after",
                          key, STR_FMT(v));
}

static int set_status(struct fault *x, struct str v, struct refusal *r)
{
    int64_t n;
    if (!str_int64(v, &n) || n < 200 || n > 599)
        return refuse_invalid(r, "fault: status=%.*s is no status from 200 to 599", STR_FMT(v));
    x->status = (int)n;
    return 0;
}

static int set_field(struct fault *x, const char *key, struct str v, struct refusal *r)
{
    if (!strcmp(key, "at") || !strcmp(key, "with") || !strcmp(key, "headers") || !strcmp(key, "where"))
        return set_word(x, key, v, r);
    if (!strcmp(key, "status") || !strcmp(key, "statusCode"))
        return set_status(x, v, r);
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        char *at = (char *)x + fields[i].offset;
        if (strcmp(key, fields[i].name) != 0)
            continue;
        if (fields[i].kind == FIELD_TEXT) {
            free(*(char **)at);
            *(char **)at = str_dup(v);
            return 0;
        }
        char text[64], *end;
        snprintf(text, sizeof(text), "%.*s", STR_FMT(v));
        if (fields[i].kind == FIELD_RATIO) {
            *(double *)at = strtod(text, &end);
            if (*text && !*end && x->probability >= 0 && x->probability <= 1)
                return 0;
            return refuse_invalid(r, "fault: %s=%s must be from 0 to 1", key, text);
        }
        if (fields[i].kind == FIELD_FLAG && str_bool(v, (bool *)at))
            return 0;
        if (fields[i].kind == FIELD_INT && str_int64(v, (int64_t *)at) && *(int64_t *)at >= 0)
            return 0;
        return refuse_invalid(r, "fault: %s=%s is no %s", key, text, fields[i].kind == FIELD_INT ? "count" : "boolean");
    }
    return refuse_invalid(r, "fault: unknown key \"%s\"", key);
}

static int set_type(struct fault *x, struct str name, struct refusal *r)
{
    struct buf known;
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (str_is(name, types[i].name)) {
            x->type = types[i].type;
            return 0;
        }
    }
    buf_init(&known, 1024);
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        buf_addf(&known, "%s%s", i ? ", " : "", types[i].name);
    refuse_invalid(r, "fault: action \"%.*s\" is not available; known: %s", STR_FMT(name), buf_cstr(&known));
    buf_done(&known);
    return -1;
}

static int check(struct fault *x, struct refusal *r)
{
    if (x->type == (enum fault_type) - 1)
        return refuse_invalid(r, "fault: no action: say for example status=503, latency=200 or reset");
    if (x->type == FAULT_STATUS && !x->status)
        return refuse_invalid(r, "fault: action status needs status=CODE");
    if (x->type == FAULT_STATUS && x->retry_after < 0 && x->reset_in < 0)
        x->limit_headers = HEADERS_NONE;
    if (x->type == FAULT_LATENCY && x->ms == 0 && x->jitter_ms == 0)
        return refuse_invalid(r, "fault: action latency needs milliseconds");
    if (x->type == FAULT_BULK_PARTIAL && !x->fail_every && !x->members)
        return refuse_invalid(r, "fault: action bulkPartial needs failEvery or identifiers");
    if (x->type == FAULT_COMMIT_THEN_FAIL && x->with == LOSE_STATUS && !x->status)
        x->status = 500;
    return 0;
}

static void keep(struct faults *f, struct fault *x)
{
    struct fault **end = &f->first;
    if (!x->id)
        x->id = xasprintf("f%u", ++f->last_id);
    while (*end)
        end = &(*end)->next;
    *end = x;
}

/* Command line -------------------------------------------------------------------------------------------------- */

static int read_pair(struct fault *x, struct str pair, struct refusal *r)
{
    struct str value, key = str_split(pair, '=', &value);
    char name[64];
    snprintf(name, sizeof(name), "%.*s", STR_FMT(key));
    /* A bare word, or the first type named, is the action; later the same words are fields ("status" of
     * commitThenFail). */
    for (size_t i = 0; i < ARRAY_LEN(types) && x->type == (enum fault_type) - 1; i++) {
        if (strcmp(name, types[i].name) != 0)
            continue;
        x->type = types[i].type;
        if (!value.p)
            return 0;
        if (!types[i].short_field)
            return refuse_invalid(r, "fault: %s takes no value; give its fields after it, separated by commas", name);
        return set_field(x, types[i].short_field, value, r);
    }
    if (!value.p)
        return refuse_invalid(r, "fault: \"%s\" is neither an action nor key=value", name);
    if (!strcmp(name, "identifiers")) {
        x->members = strmap_new(NULL);
        for (struct str rest = value; rest.p;)
            strmap_put(x->members, str_split(rest, '/', &rest), x);
        return 0;
    }
    return set_field(x, name, value, r);
}

int faults_add_text(struct faults *f, const char *text, struct err *e)
{
    struct refusal r = {0};
    struct str rest = str_trim(str_of(text)), method = str_split(rest, ' ', &rest);
    struct str path = str_split(str_trim(rest), ' ', &rest);
    struct fault *x = fault_new();
    int rc = 0;
    if (!method.n || !path.n || !str_trim(rest).n)
        rc = refuse_invalid(&r, "fault: expected 'METHOD PATHGLOB key=value,...'");
    if (rc == 0) {
        x->method = str_dup(method);
        x->path = str_dup(path);
    }
    for (rest = str_trim(rest); rc == 0 && rest.p;)
        rc = read_pair(x, str_trim(str_split(rest, ',', &rest)), &r);
    if (rc == 0)
        rc = check(x, &r);
    if (rc < 0) {
        fault_free(x);
        return ERR(e, ERR_INVAL, "--fault '%s': %s", text, r.message);
    }
    keep(f, x);
    return 0;
}

/* JSON ---------------------------------------------------------------------------------------------------------- */

static int read_member(struct fault *x, struct str key, struct json v, struct refusal *r)
{
    struct buf text;
    char name[64];
    snprintf(name, sizeof(name), "%.*s", STR_FMT(key));
    if (json_is_null(v))
        return 0;
    if (!strcmp(name, "headers") && json_is_obj(v)) {
        json_unref(x->headers);
        x->headers = NULL;
        struct buf copy;
        buf_init(&copy, LIMIT_ANSWER);
        json_write(&copy, v);
        int rc = json_parse(buf_str(&copy), &x->headers, NULL);
        buf_done(&copy);
        return rc;
    }
    if (!strcmp(name, "identifiers") && json_is_arr(v)) {
        strmap_free(x->members);
        x->members = strmap_new(NULL);
        for (struct json_iter it = json_iter(v); json_next(&it);)
            strmap_put(x->members, json_str(it.val), x);
        return 0;
    }
    buf_init(&text, LIMIT_ANSWER);
    json_identifier_text(&text, v);
    int rc = 0;
    if (!strcmp(name, "body")) {
        free(x->answer);
        x->answer = xstrndup(buf_cstr(&text), text.n);
    } else {
        rc = set_field(x, name, buf_str(&text), r);
    }
    buf_done(&text);
    return rc;
}

static int read_object(struct fault *x, struct json obj, const char *what, struct refusal *r)
{
    if (!json_is_nil(obj) && !json_is_obj(obj))
        return refuse_invalid(r, "\"%s\" must be object", what);
    for (struct json_iter it = json_iter(obj); json_next(&it);)
        if (!str_is(it.key, "type") && read_member(x, it.key, it.val, r) < 0)
            return -1;
    return 0;
}

struct fault *faults_add_json(struct faults *f, struct json in, struct str id, struct refusal *r)
{
    struct fault *x = fault_new();
    struct json action = json_get_c(in, "action"), own = json_get_c(in, "id");
    int rc = json_is_obj(action) ? 0 : refuse_invalid(r, "body must have required property 'action', an object");
    if (rc == 0)
        rc = set_type(x, json_str(json_get_c(action, "type")), r);
    if (rc == 0)
        rc = read_object(x, json_get_c(in, "match"), "match", r);
    if (rc == 0)
        rc = read_object(x, json_get_c(in, "when"), "when", r);
    if (rc == 0)
        rc = read_object(x, action, "action", r);
    if (rc == 0)
        rc = check(x, r);
    if (rc == 0 && (id.n || json_is_str(own))) {
        free(x->id);
        x->id = str_dup(id.n ? id : json_str(own));
        if (!id.n && faults_find(f, str_of(x->id)))
            rc = refuse(r, 409, "identifier_taken", "a fault with id \"%s\" exists; replace it by PUT", x->id);
    }
    if (rc < 0) {
        fault_free(x);
        return NULL;
    }
    if (id.n)
        faults_remove(f, id);
    keep(f, x);
    return x;
}

static void write_text(struct jw *w, const char *key, const char *v)
{
    if (!v)
        return;
    jw_key(w, str_of(key));
    jw_cstr(w, v);
}

void fault_write(const struct fault *f, struct jw *w)
{
    jw_obj(w);
    write_text(w, "id", f->id);
    jw_key_c(w, "match");
    jw_obj(w);
    for (size_t i = 1; i < ARRAY_LEN(fields) && strcmp(fields[i].name, "after") != 0; i++)
        if (strcmp(fields[i].name, "integration") != 0)
            write_text(w, fields[i].name, *(char *const *)((const char *)f + fields[i].offset));
    jw_end_obj(w);
    jw_key_c(w, "when");
    jw_obj(w);
    jw_key_c(w, "after");
    jw_int(w, f->after);
    jw_key_c(w, "count");
    jw_int(w, f->count);
    jw_key_c(w, "every");
    jw_int(w, f->every);
    jw_end_obj(w);
    jw_key_c(w, "action");
    jw_obj(w);
    write_text(w, "type", type_name(f->type));
    if (f->status) {
        jw_key_c(w, "status");
        jw_int(w, f->status);
    }
    if (f->ms) {
        jw_key_c(w, "ms");
        jw_int(w, f->ms);
    }
    write_text(w, "error", f->error);
    write_text(w, "message", f->message);
    jw_end_obj(w);
    jw_key_c(w, "matches");
    jw_int(w, f->matches);
    jw_key_c(w, "hits");
    jw_int(w, f->hits);
    jw_key_c(w, "remaining");
    if (f->count)
        jw_int(w, f->count - f->hits);
    else
        jw_null(w);
    jw_end_obj(w);
}
