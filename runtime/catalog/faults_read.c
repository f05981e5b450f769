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

enum field_kind { FIELD_TEXT, FIELD_INT, FIELD_RATIO, FIELD_FLAG, FIELD_OTHER };
enum field_part { MATCH, WHEN, ACTION };

#define FIELD_INT_MAX ((int64_t)1 << 40)
#define AT(member) offsetof(struct fault, member)

/* FIELD_OTHER: read by set_special. `offset` of texts and numbers. `unset`: the number that means it was not given. */
static const struct field {
    const char *name;
    enum field_part part;
    enum field_kind kind;
    size_t offset;
    int64_t unset;
} fields[] = {
    {"method", MATCH, FIELD_TEXT, AT(method)},
    {"path", MATCH, FIELD_TEXT, AT(path)},
    {"route", MATCH, FIELD_TEXT, AT(route)},
    {"userAgent", MATCH, FIELD_TEXT, AT(agent)},
    {"integration", MATCH, FIELD_TEXT, AT(integration)},
    {"blueprint", MATCH, FIELD_TEXT, AT(blueprint)},
    {"identifier", MATCH, FIELD_TEXT, AT(identifier)},
    {"bodyContains", MATCH, FIELD_TEXT, AT(body)},
    {"header", MATCH, FIELD_OTHER},
    {"after", WHEN, FIELD_INT, AT(after)},
    {"count", WHEN, FIELD_INT, AT(count), -1},
    {"every", WHEN, FIELD_INT, AT(every)},
    {"probability", WHEN, FIELD_RATIO, AT(probability)},
    {"fromMs", WHEN, FIELD_INT, AT(from_ms)},
    {"untilMs", WHEN, FIELD_INT, AT(until_ms)},
    {"inFlightOver", WHEN, FIELD_INT, AT(in_flight_over)},
    {"status", ACTION, FIELD_OTHER},
    {"statusCode", ACTION, FIELD_OTHER},
    {"at", ACTION, FIELD_OTHER},
    {"with", ACTION, FIELD_OTHER},
    {"headers", ACTION, FIELD_OTHER},
    {"where", ACTION, FIELD_OTHER},
    {"identifiers", ACTION, FIELD_OTHER},
    {"body", ACTION, FIELD_TEXT, AT(answer)},
    {"ms", ACTION, FIELD_INT, AT(ms)},
    {"jitterMs", ACTION, FIELD_INT, AT(jitter_ms)},
    {"error", ACTION, FIELD_TEXT, AT(error)},
    {"message", ACTION, FIELD_TEXT, AT(message)},
    {"details", ACTION, FIELD_TEXT, AT(details)},
    {"retryAfter", ACTION, FIELD_INT, AT(retry_after), -1},
    {"resetIn", ACTION, FIELD_INT, AT(reset_in), -1},
    {"clientId", ACTION, FIELD_TEXT, AT(client)},
    {"expiresIn", ACTION, FIELD_INT, AT(expires_in)},
    {"failEvery", ACTION, FIELD_INT, AT(fail_every)},
    {"commitRest", ACTION, FIELD_FLAG, AT(commit_rest)},
    {"afterBytes", ACTION, FIELD_INT, AT(after_bytes), -1},
    {"bytesPerSecond", ACTION, FIELD_INT, AT(bytes_per_second)},
    {"chunkBytes", ACTION, FIELD_INT, AT(chunk_bytes)},
    {"chunked", ACTION, FIELD_FLAG, AT(chunked)},
    {"durationMs", ACTION, FIELD_INT, AT(duration_ms)},
    {"lagMs", ACTION, FIELD_INT, AT(lag_ms)},
    {"afterMs", ACTION, FIELD_INT, AT(after_ms)},
    /* short names of the command line */
    {"jitter", ACTION, FIELD_INT, AT(jitter_ms)},
    {"duration", ACTION, FIELD_INT, AT(duration_ms)},
};
static const char *const part_names[] = {"match", "when", "action"};

static const struct {
    const char *name;
    enum fault_type type;
    const char *short_field; /* what the value of `name=value` means on the command line */
} types[] = {
    {"latency", FAULT_LATENCY, "ms"},
    {"status", FAULT_STATUS, "status"},
    {"rateLimit", FAULT_RATE_LIMIT, NULL},
    {"burst", FAULT_BURST, "status"},
    {"reset", FAULT_RESET, "at"},
    {"hang", FAULT_HANG, "ms"},
    {"commitThenFail", FAULT_COMMIT_THEN_FAIL, "with"},
    {"slowBody", FAULT_SLOW_BODY, "bytesPerSecond"},
    {"truncate", FAULT_TRUNCATE, "afterBytes"},
    {"badJson", FAULT_BAD_JSON, NULL},
    {"expireTokens", FAULT_EXPIRE_TOKENS, "clientId"},
    {"shortToken", FAULT_SHORT_TOKEN, "expiresIn"},
    {"bulkPartial", FAULT_BULK_PARTIAL, NULL},
    {"bulkOmit", FAULT_BULK_OMIT, "identifiers"},
    {"staleRead", FAULT_STALE_READ, "lagMs"},
    {"closeIdle", FAULT_CLOSE_IDLE, "afterMs"},
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
    x->retry_after = x->reset_in = x->after_bytes = -1;
    x->commit_rest = true;
    x->type = FAULT_NONE;
    x->set_ms = clock_mono_ms();
    return x;
}

static const char *const at_words[] = {"accept", "beforeBody", "midBody"};
static const char *const with_words[] = {"reset", "status", "hang"};
static const char *const header_words[] = {"both", "retryAfter", "reset", "none"};
static const char *const where_words[] = {"before", "after"};

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
    int i = -1;
    if (!strcmp(key, "at") && (i = word(v, at_words, 3)) >= 0)
        x->at = i;
    else if (!strcmp(key, "with") && (i = word(v, with_words, 3)) >= 0)
        x->with = i;
    else if (!strcmp(key, "headers") && (i = word(v, header_words, 4)) >= 0)
        x->limit_headers = i;
    else if (!strcmp(key, "where") && (i = word(v, where_words, 2)) >= 0)
        x->after_commit = i == 1;
    if (i >= 0)
        return 0;
    return refuse_invalid(r,
                          "fault: %s=%.*s is not available; at: accept|beforeBody|midBody, with: reset|status|hang,"
                          " headers: both|retryAfter|reset|none, where: before|after",
                          key, STR_FMT(v));
}

/* One status, or several separated by slashes. */
static int set_status(struct fault *x, struct str v, struct refusal *r)
{
    x->ncodes = 0;
    for (struct str rest = v; rest.p;) {
        int64_t n;
        struct str one = str_split(rest, '/', &rest);
        if (!str_int64(one, &n) || n < 200 || n > 599)
            return refuse_invalid(r, "fault: status=%.*s is no status from 200 to 599", STR_FMT(one));
        if (x->ncodes == FAULT_CODES)
            return refuse_invalid(r, "fault: more than %d values of status", FAULT_CODES);
        x->codes[x->ncodes++] = (int)n;
    }
    x->status = x->codes[0];
    return 0;
}

static void add_member(struct fault *x, struct str identifier)
{
    if (!x->members)
        x->members = strmap_new(NULL);
    strmap_put(x->members, identifier, x);
}

static int add_wanted(struct fault *x, struct str name, struct str part, struct refusal *r)
{
    if (!name.n)
        return refuse_invalid(r, "fault: header needs a name: header.NAME=TEXT");
    if (x->nwanted == FAULT_HEADERS)
        return refuse_invalid(r, "fault: more than %d headers to match", FAULT_HEADERS);
    x->wanted[x->nwanted].name = str_dup(name);
    x->wanted[x->nwanted++].part = str_dup(part);
    return 0;
}

static int set_special(struct fault *x, const char *key, struct str v, struct refusal *r)
{
    if (!strcmp(key, "status") || !strcmp(key, "statusCode"))
        return set_status(x, v, r);
    if (!strcmp(key, "header"))
        return refuse_invalid(r, "fault: header needs a name: header.NAME=TEXT");
    if (strcmp(key, "identifiers") != 0)
        return set_word(x, key, v, r);
    for (struct str rest = v; rest.p;)
        add_member(x, str_split(rest, '/', &rest));
    return 0;
}

static int set_field(struct fault *x, const struct field *f, struct str v, struct refusal *r)
{
    char *at = (char *)x + f->offset, text[64], *end;
    snprintf(text, sizeof(text), "%.*s", STR_FMT(v));
    switch (f->kind) {
    case FIELD_OTHER: return set_special(x, f->name, v, r);
    case FIELD_TEXT:
        free(*(char **)at);
        *(char **)at = str_dup(v);
        return 0;
    case FIELD_RATIO:
        *(double *)at = strtod(text, &end);
        if (*text && !*end && x->probability >= 0 && x->probability <= 1)
            return 0;
        return refuse_invalid(r, "fault: %s=%s must be from 0 to 1", f->name, text);
    case FIELD_FLAG:
        if (str_bool(v, (bool *)at))
            return 0;
        return refuse_invalid(r, "fault: %s=%s is no boolean", f->name, text);
    case FIELD_INT:
        if (str_int64(v, (int64_t *)at) && *(int64_t *)at >= 0 && *(int64_t *)at <= FIELD_INT_MAX)
            return 0;
        return refuse_invalid(r, "fault: %s=%s is no count", f->name, text);
    }
    return -1;
}

static const struct field *field_find(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (str_is(name, fields[i].name))
            return &fields[i];
    return NULL;
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
    if (x->type == FAULT_NONE)
        return refuse_invalid(r, "fault: no action: say for example status=503, latency=200 or reset");
    if (x->type == FAULT_STATUS && !x->status)
        return refuse_invalid(r, "fault: action status needs status=CODE");
    if (x->ncodes > 1 && x->type != FAULT_BURST)
        return refuse_invalid(r, "fault: several values of status are for the action burst only");
    if ((x->type == FAULT_STATUS || x->type == FAULT_BURST) && x->retry_after < 0 && x->reset_in < 0)
        x->limit_headers = HEADERS_NONE;
    if (x->type == FAULT_LATENCY && x->ms == 0 && x->jitter_ms == 0)
        return refuse_invalid(r, "fault: action latency needs milliseconds");
    if (x->type == FAULT_BULK_PARTIAL && !x->fail_every && !x->members)
        return refuse_invalid(r, "fault: action bulkPartial needs failEvery or identifiers");
    if (x->type == FAULT_BULK_OMIT && !x->members)
        return refuse_invalid(r, "fault: action bulkOmit needs identifiers");
    if (x->type == FAULT_BURST && (!x->ncodes || !x->duration_ms))
        return refuse_invalid(r, "fault: action burst needs status and durationMs, as in burst=502/503,duration=10000");
    if (x->type == FAULT_SLOW_BODY && !x->bytes_per_second)
        return refuse_invalid(r, "fault: action slowBody needs bytesPerSecond");
    if (x->type == FAULT_STALE_READ && !x->lag_ms)
        return refuse_invalid(r, "fault: action staleRead needs lagMs");
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
    const struct field *f = field_find(key);
    /* A bare word, or the first type named, is the action; later the same words are fields ("status" of
     * commitThenFail). */
    for (size_t i = 0; i < ARRAY_LEN(types) && x->type == FAULT_NONE; i++) {
        if (!str_is(key, types[i].name))
            continue;
        x->type = types[i].type;
        if (!value.p)
            return 0;
        if (!types[i].short_field)
            return refuse_invalid(r, "fault: %s takes no value; give its fields after it, separated by commas",
                                  types[i].name);
        return set_field(x, field_find(str_of(types[i].short_field)), value, r);
    }
    if (!value.p)
        return refuse_invalid(r, "fault: \"%.*s\" is neither an action nor key=value", STR_FMT(key));
    if (str_is(key, "id")) {
        free(x->id);
        x->id = str_dup(value);
        return 0;
    }
    if (str_starts(key, STR("header.")))
        return add_wanted(x, (struct str){key.p + 7, key.n - 7}, value, r);
    return f ? set_field(x, f, value, r) : refuse_invalid(r, "fault: unknown key \"%.*s\"", STR_FMT(key));
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

/* An answer's headers are kept as a document of their own. */
static int read_headers(struct fault *x, struct json v)
{
    struct buf copy;
    json_unref(x->headers);
    x->headers = NULL;
    buf_init(&copy, LIMIT_ANSWER);
    json_write(&copy, v);
    int rc = json_parse(buf_str(&copy), &x->headers, NULL);
    buf_done(&copy);
    return rc;
}

/* A list is the same as its members separated by slashes on the command line. */
static int read_list(struct fault *x, const struct field *f, struct json v, struct refusal *r)
{
    struct buf text;
    buf_init(&text, LIMIT_ANSWER);
    for (struct json_iter it = json_iter(v); json_next(&it);) {
        if (!strcmp(f->name, "identifiers")) {
            add_member(x, json_str(it.val));
            continue;
        }
        if (text.n)
            buf_addc(&text, '/');
        json_identifier_text(&text, it.val);
    }
    int rc = text.n ? set_field(x, f, buf_str(&text), r) : 0;
    buf_done(&text);
    return rc;
}

static int read_member(struct fault *x, const struct field *f, struct json v, struct refusal *r)
{
    struct buf text;
    if (json_is_null(v))
        return 0;
    if (json_is_obj(v) && !strcmp(f->name, "headers"))
        return read_headers(x, v);
    if (json_is_arr(v) && f->kind == FIELD_OTHER)
        return read_list(x, f, v, r);
    if (json_is_obj(v) && !strcmp(f->name, "header")) {
        int rc = 0;
        for (struct json_iter it = json_iter(v); rc == 0 && json_next(&it);)
            rc = add_wanted(x, it.key, json_str(it.val), r);
        return rc;
    }
    buf_init(&text, LIMIT_ANSWER);
    json_identifier_text(&text, v);
    int rc = set_field(x, f, buf_str(&text), r);
    buf_done(&text);
    return rc;
}

static int read_object(struct fault *x, struct json obj, enum field_part part, struct refusal *r)
{
    if (!json_is_nil(obj) && !json_is_obj(obj))
        return refuse_invalid(r, "\"%s\" must be object", part_names[part]);
    for (struct json_iter it = json_iter(obj); json_next(&it);) {
        const struct field *f = field_find(it.key);
        if (part == ACTION && str_is(it.key, "type"))
            continue;
        if (!f)
            return refuse_invalid(r, "fault: unknown key \"%.*s\"", STR_FMT(it.key));
        if (f->part != part)
            return refuse_invalid(r, "fault: \"%s\" belongs to \"%s\", not to \"%s\"", f->name, part_names[f->part],
                                  part_names[part]);
        if (read_member(x, f, it.val, r) < 0)
            return -1;
    }
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
        rc = read_object(x, json_get_c(in, "match"), MATCH, r);
    if (rc == 0)
        rc = read_object(x, json_get_c(in, "when"), WHEN, r);
    if (rc == 0)
        rc = read_object(x, action, ACTION, r);
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

/* Writing ------------------------------------------------------------------------------------------------------- */

static void write_text(struct jw *w, const char *key, const char *v)
{
    if (!v)
        return;
    jw_key(w, str_of(key));
    jw_cstr(w, v);
}

static void write_field(const struct fault *x, const struct field *f, struct jw *w)
{
    const char *at = (const char *)x + f->offset;
    switch (f->kind) {
    case FIELD_TEXT: write_text(w, f->name, *(char *const *)at); return;
    case FIELD_RATIO:
        jw_key(w, str_of(f->name));
        jw_double(w, *(const double *)at);
        return;
    case FIELD_INT:
        if (*(const int64_t *)at == f->unset)
            return;
        jw_key(w, str_of(f->name));
        jw_int(w, *(const int64_t *)at);
        return;
    case FIELD_FLAG:
        jw_key(w, str_of(f->name));
        jw_bool(w, *(const bool *)at);
        return;
    case FIELD_OTHER: return;
    }
}

static void write_wanted(const struct fault *x, struct jw *w)
{
    if (!x->nwanted)
        return;
    jw_key_c(w, "header");
    jw_obj(w);
    for (size_t i = 0; i < x->nwanted; i++)
        write_text(w, x->wanted[i].name, x->wanted[i].part);
    jw_end_obj(w);
}

/* What set_special reads. */
static void write_specials(const struct fault *x, struct jw *w)
{
    write_text(w, "type", type_name(x->type));
    if (x->ncodes > 1) {
        jw_key_c(w, "status");
        jw_arr(w);
        for (size_t i = 0; i < x->ncodes; i++)
            jw_int(w, x->codes[i]);
        jw_end_arr(w);
    } else if (x->status) {
        jw_key_c(w, "status");
        jw_int(w, x->status);
    }
    if (x->type == FAULT_RESET)
        write_text(w, "at", at_words[x->at]);
    if (x->type == FAULT_COMMIT_THEN_FAIL)
        write_text(w, "with", with_words[x->with]);
    if (x->type == FAULT_LATENCY)
        write_text(w, "where", where_words[x->after_commit]);
    if (x->headers) {
        jw_key_c(w, "headers");
        jw_json(w, json_root(x->headers));
    } else if (x->type == FAULT_RATE_LIMIT) {
        write_text(w, "headers", header_words[x->limit_headers]);
    }
    struct str name;
    void *value;
    if (!x->members)
        return;
    jw_key_c(w, "identifiers");
    jw_arr(w);
    for (size_t at = 0; (at = strmap_next(x->members, at, &name, &value)) != 0;)
        jw_str(w, name);
    jw_end_arr(w);
}

void fault_write(const struct fault *x, struct jw *w)
{
    jw_obj(w);
    write_text(w, "id", x->id);
    for (int part = MATCH; part <= ACTION; part++) {
        jw_key(w, str_of(part_names[part]));
        jw_obj(w);
        if (part == MATCH)
            write_wanted(x, w);
        if (part == ACTION)
            write_specials(x, w);
        for (size_t i = 0; i < ARRAY_LEN(fields); i++)
            if ((int)fields[i].part == part && strcmp(fields[i].name, "jitter") && strcmp(fields[i].name, "duration"))
                write_field(x, &fields[i], w);
        jw_end_obj(w);
    }
    jw_key_c(w, "matches");
    jw_int(w, x->matches);
    jw_key_c(w, "hits");
    jw_int(w, x->hits);
    jw_key_c(w, "remaining");
    if (x->count)
        jw_int(w, x->count - x->used);
    else
        jw_null(w);
    jw_end_obj(w);
}
