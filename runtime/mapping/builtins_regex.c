/* Regular expressions over base/regex. Compiled patterns are kept by the evaluator, a handful at a time.
 * Offsets count code points. Time spent searching is bounded per item, beside the retries that base/regex
 * bounds per search. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/regex.h"
#include "mapping/builtins.h"

#define FORM(name)                                                                                           \
    static int name(struct ev *c, const struct node *n, const struct env *env, struct val in,                \
                    const struct path *p, emit_fn out, void *arg)

#define CACHED 32
#define GROUPS_MAX 64
#define SEARCH_NS_MAX 2000000000ll /* per item */

struct cached {
    char *pattern;
    size_t n;
    unsigned flags;
    struct regex *re;
};
struct regex_cache {
    struct cached slots[CACHED];
    size_t used, next;
};

void regex_cache_free(struct regex_cache *r)
{
    for (size_t i = 0; r && i < r->used; i++) {
        regex_free(r->slots[i].re);
        free(r->slots[i].pattern);
    }
    free(r);
}

static struct regex *compile(struct ev *c, struct val re, unsigned flags)
{
    if (!c->regex)
        c->regex = xcalloc(1, sizeof(*c->regex));
    struct regex_cache *r = c->regex;
    for (size_t i = 0; i < r->used; i++)
        if (r->slots[i].flags == flags &&
            str_eq((struct str){r->slots[i].pattern, r->slots[i].n}, val_text(re)))
            return r->slots[i].re;
    struct err e;
    struct regex *made = regex_new(val_text(re), flags, &e);
    if (!made) {
        ev_error(c, "%s", e.msg);
        return NULL;
    }
    struct cached *slot = &r->slots[r->next];
    if (r->used < CACHED) {
        r->used++;
    } else {
        regex_free(slot->re);
        free(slot->pattern);
    }
    r->next = (r->next + 1) % CACHED;
    *slot = (struct cached){xstrndup(re.s ? re.s : "", re.n), re.n, flags, made};
    return made;
}

/* A pattern and its flags, ready for matching. */
struct search {
    struct regex *re;
    bool global;
    struct val text;
    size_t from;         /* byte to go on at */
    size_t seen, points; /* bytes counted so far and their code points */
    struct regex_span spans[GROUPS_MAX];
    size_t ngroups;
    bool done;
};

static int parse_flags(struct ev *c, struct val flags, unsigned *ret, bool *global)
{
    if (flags.kind == VAL_NULL)
        return EV_OK;
    if (flags.kind != VAL_STRING)
        return ev_error(c, "%s is not a string", ev_shown(c, flags));
    for (size_t i = 0; i < flags.n; i++) {
        switch (flags.s[i]) {
        case 'g': *global = true; break;
        case 'i': *ret |= REGEX_IGNORE_CASE; break;
        case 'x': *ret |= REGEX_EXTENDED; break;
        case 's': *ret |= REGEX_SINGLE_LINE; break;
        case 'p': *ret |= REGEX_SINGLE_LINE | REGEX_DOT_ALL; break;
        case 'l': *ret |= REGEX_LONGEST; break;
        case 'n': *ret |= REGEX_NO_EMPTY; break;
        default: return ev_error(c, "%.*s is not a valid modifier string", STR_FMT(val_text(flags)));
        }
    }
    return EV_OK;
}

static int begin(struct ev *c, struct search *s, struct val in, struct val re, struct val flags)
{
    unsigned f = 0;
    *s = (struct search){.text = in};
    if (in.kind != VAL_STRING)
        return ev_error(c, "%s cannot be matched, as it is not a string", ev_shown(c, in));
    if (re.kind == VAL_ARRAY) {
        struct val own = val_at(re, 1);
        if (val_len(c->heap, re) > 1)
            flags = own;
        re = val_at(re, 0);
    }
    if (re.kind != VAL_STRING)
        return ev_error(c, "%s cannot be matched, as it is not a string", ev_shown(c, re));
    int rc = parse_flags(c, flags, &f, &s->global);
    if (rc)
        return rc;
    s->re = compile(c, re, f);
    if (!s->re)
        return EV_ERROR;
    s->ngroups = regex_groups(s->re);
    if (s->ngroups >= GROUPS_MAX)
        return ev_error(c, "the regular expression has more than %d groups", GROUPS_MAX - 1);
    return EV_OK;
}

/* Next match into s->spans; *found says whether there is one. */
static int find(struct ev *c, struct search *s, bool *found)
{
    *found = false;
    if (s->done || s->from > s->text.n)
        return EV_OK;
    c->steps -= (long)((s->text.n - s->from) / 64);
    int rc = ev_step(c);
    if (rc)
        return rc;
    uint64_t start = clock_mono_ns();
    int got = regex_search(s->re, val_text(s->text), s->from, s->spans, s->ngroups + 1);
    c->search_ns += (int64_t)(clock_mono_ns() - start);
    if (got == REGEX_LIMIT || c->search_ns > SEARCH_NS_MAX) {
        c->fatal = FATAL_REGEX;
        return EV_FATAL;
    }
    if (got != 1) {
        s->done = true;
        return EV_OK;
    }
    *found = true;
    s->done = !s->global;
    s->from = (size_t)s->spans[0].end;
    if (s->spans[0].end == s->spans[0].start) {
        /* jq goes on one byte later, so an empty match occurs at every byte of a character; those inside of
         * it count as standing behind it. */
        s->from++;
        size_t at = (size_t)s->spans[0].start;
        while (at < s->text.n && ((unsigned char)s->text.s[at] & 0xC0) == 0x80)
            at++;
        s->spans[0] = (struct regex_span){(ptrdiff_t)at, (ptrdiff_t)at};
    }
    return EV_OK;
}

/* Code points before a byte. Matches come in order, so counting goes on from the last one; groups may lie
 * before. */
static double points_at(struct search *s, size_t byte)
{
    if (byte < s->seen)
        return (double)utf8_count((struct str){s->text.s, byte});
    s->points += utf8_count((struct str){s->text.s + s->seen, byte - s->seen});
    s->seen = byte;
    return (double)s->points;
}

static struct val span_text(const struct search *s, struct regex_span sp)
{
    return val_strn(s->text.s + sp.start, (size_t)(sp.end - sp.start));
}

static struct val put(struct ev *c, struct val o, const char *key, struct val v)
{
    return o.kind == VAL_OBJECT ? val_set(c->heap, o, val_str(str_of(key)), v) : o;
}

static struct val capture_object(struct ev *c, struct search *s, size_t i)
{
    struct regex_span sp = s->spans[i];
    struct val o = val_object(c->heap, 4), name = VNULL;
    struct str group = regex_group_name(s->re, i);
    if (group.p)
        name = val_string(c->heap, group); /* the pattern may leave the cache before the value is read */
    bool empty = sp.start < 0 || sp.end == sp.start;
    struct val text = sp.start < 0 ? VNULL : span_text(s, sp);
    double offset = sp.start < 0 ? -1 : (double)utf8_count((struct str){s->text.s, (size_t)sp.start});
    o = put(c, o, "offset", val_num(offset));
    if (empty)
        o = put(c, o, "string", text);
    o = put(c, o, "length", val_num(sp.start < 0 ? 0 : (double)utf8_count(val_text(text))));
    if (!empty)
        o = put(c, o, "string", text);
    return put(c, o, "name", name);
}

static struct val match_object(struct ev *c, struct search *s)
{
    struct val text = span_text(s, s->spans[0]), o = val_object(c->heap, 4),
               captures = val_array(c->heap, s->ngroups);
    double offset = points_at(s, (size_t)s->spans[0].start);
    for (size_t i = 1; i <= s->ngroups && !c->heap->full; i++)
        captures = val_push(c->heap, captures, capture_object(c, s, i));
    o = put(c, o, "offset", val_num(offset));
    o = put(c, o, "length", val_num((double)utf8_count(val_text(text))));
    o = put(c, o, "string", text);
    return put(c, o, "captures", captures);
}

static int f_test(struct ev *c, struct val in, const struct val *args, struct val *ret)
{
    struct search s;
    bool found;
    int rc = begin(c, &s, in, args[0], args[1]);
    if (!rc)
        rc = find(c, &s, &found);
    if (!rc)
        *ret = val_bool(found);
    return rc;
}

static int f_split(struct ev *c, struct val in, const struct val *args, struct val *ret)
{
    struct search s;
    size_t last = 0;
    if (args[0].kind != VAL_STRING)
        return ev_error(c, "%s is not a string", ev_shown(c, args[0]));
    int rc = begin(c, &s, in, args[0], args[1]);
    if (rc)
        return rc;
    s.global = true;
    struct val r = val_array(c->heap, 4);
    for (bool found;;) {
        rc = find(c, &s, &found);
        if (rc)
            return rc;
        if (!found || c->heap->full)
            break;
        r = val_push(c->heap, r, val_strn(in.s + last, (size_t)s.spans[0].start - last));
        last = (size_t)s.spans[0].end;
    }
    *ret = c->heap->full ? VNULL : val_push(c->heap, r, val_strn(in.s + last, in.n - last));
    return EV_OK;
}

struct form {
    const struct node *n;
    const struct env *env;
    struct val in, re, flags;
    const struct path *p;
    emit_fn out;
    void *arg;
};

static int match_all(struct ev *c, void *arg, struct val re, const struct path *p)
{
    struct form *f = arg;
    struct search s;
    (void)p;
    int rc = begin(c, &s, f->in, re, f->flags);
    while (!rc) {
        bool found;
        rc = find(c, &s, &found);
        if (rc || !found)
            break;
        rc = ev_emit(c, f->out, f->arg, match_object(c, &s), f->p);
    }
    return rc;
}

static int match_flags(struct ev *c, void *arg, struct val flags, const struct path *p)
{
    struct form *f = arg;
    (void)p;
    f->flags = flags;
    return eval(c, f->n->list[0], f->env, f->in, NULL, match_all, f);
}

FORM(f_match)
{
    struct form f = {.n = n, .env = env, .in = in, .p = p, .out = out, .arg = arg};
    return eval(c, n->list[1], env, in, NULL, match_flags, &f);
}

/* sub: the k-th output of the replacement goes to the k-th result.
 * ------------------------------------------------- */

struct edit {
    struct val results, gap;
    size_t k;
};

static int edit_output(struct ev *c, void *arg, struct val v, const struct path *p)
{
    struct edit *e = arg;
    struct val r;
    (void)p;
    int rc = op_binary(c, OP_ADD, val_at(e->results, e->k), e->gap, &r);
    if (!rc)
        rc = op_binary(c, OP_ADD, r, v, &r);
    if (rc)
        return rc;
    if (e->k == e->results.n)
        e->results = val_push(c->heap, e->results, r);
    else
        e->results.arr->v[e->k] = r; /* nobody else has seen this array */
    e->k++;
    return c->heap->full ? ev_emit(c, NULL, NULL, v, NULL) : ev_step(c);
}

static struct val named_captures(struct ev *c, struct search *s)
{
    struct val o = val_object(c->heap, s->ngroups);
    for (size_t i = 1; i <= s->ngroups && o.kind == VAL_OBJECT; i++) {
        struct str name = regex_group_name(s->re, i);
        if (name.p)
            o = val_set(c->heap, o, val_string(c->heap, name),
                        s->spans[i].start < 0 ? VNULL : span_text(s, s->spans[i]));
    }
    return o;
}

static int sub_flags(struct ev *c, void *arg, struct val flags, const struct path *p)
{
    struct form *f = arg;
    struct search s;
    struct edit e = {.results = val_array(c->heap, 2)};
    size_t last = 0;
    (void)p;
    int rc = begin(c, &s, f->in, f->re, flags);
    while (!rc) {
        bool found;
        rc = find(c, &s, &found);
        if (rc || !found)
            break;
        e.gap = val_strn(f->in.s + last, (size_t)s.spans[0].start - last);
        e.k = 0;
        last = (size_t)s.spans[0].end;
        rc = eval(c, f->n->list[1], f->env, named_captures(c, &s), NULL, edit_output, &e);
    }
    if (rc)
        return rc;
    if (!e.results.n)
        return ev_emit(c, f->out, f->arg, f->in, f->p);
    for (size_t i = 0; i < e.results.n; i++) {
        struct val r;
        rc = op_binary(c, OP_ADD, e.results.arr->v[i], val_strn(f->in.s + last, f->in.n - last), &r);
        if (!rc)
            rc = ev_emit(c, f->out, f->arg, r, f->p);
        if (rc)
            return rc;
    }
    return EV_OK;
}

static int sub_pattern(struct ev *c, void *arg, struct val re, const struct path *p)
{
    struct form *f = arg;
    (void)p;
    f->re = re;
    return eval(c, f->n->list[2], f->env, f->in, NULL, sub_flags, f);
}

FORM(f_sub)
{
    struct form f = {.n = n, .env = env, .in = in, .p = p, .out = out, .arg = arg};
    return eval(c, n->list[0], env, in, NULL, sub_pattern, &f);
}

const struct native natives_regex[] = {
    {"test", 2, f_test, NULL},
    {"split", 2, f_split, NULL},
    {"match", 2, NULL, f_match},
    {"sub", 3, NULL, f_sub},
    {.name = NULL},
};
