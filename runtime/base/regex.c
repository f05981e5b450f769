/* libonig behind a handful of functions. The retry limit of one search bounds catastrophic patterns (design.md section 5);
 * the group names are copied out at compile time, since libonig hands them out through a callback only. */
#include "base/regex.h"

#include <oniguruma.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"

#define RETRY_LIMIT 1000000

struct regex {
    regex_t *re;
    bool no_empty;
    size_t ngroups;
    char **names; /* by group number - 1 */
};

static void set_up(void)
{
    OnigEncoding enc = ONIG_ENCODING_UTF8;
    onig_initialize(&enc, 1);
    onig_set_retry_limit_in_search(RETRY_LIMIT);
    onig_set_retry_limit_in_match(RETRY_LIMIT);
}

static int take_name(const UChar *name, const UChar *end, int n, int *groups, regex_t *re, void *arg)
{
    struct regex *r = arg;
    (void)re;
    for (int i = 0; i < n; i++) {
        char **at = &r->names[groups[i] - 1];
        free(*at);
        *at = xstrndup((const char *)name, (size_t)(end - name));
    }
    return 0;
}

struct regex *regex_new(struct str pattern, unsigned flags, struct err *e)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, set_up);
    OnigOptionType o = ONIG_OPTION_CAPTURE_GROUP;
    o |= flags & REGEX_IGNORE_CASE ? ONIG_OPTION_IGNORECASE : 0;
    o |= flags & REGEX_EXTENDED ? ONIG_OPTION_EXTEND : 0;
    o |= flags & REGEX_SINGLE_LINE ? ONIG_OPTION_SINGLELINE : 0;
    o |= flags & REGEX_DOT_ALL ? ONIG_OPTION_MULTILINE : 0;
    o |= flags & REGEX_LONGEST ? ONIG_OPTION_FIND_LONGEST : 0;
    struct regex *r = xcalloc(1, sizeof(*r));
    OnigErrorInfo info;
    const UChar *p = (const UChar *)(pattern.p ? pattern.p : "");
    int rc = onig_new(&r->re, p, p + pattern.n, o, ONIG_ENCODING_UTF8, ONIG_SYNTAX_PERL_NG, &info);
    if (rc != ONIG_NORMAL) {
        UChar text[ONIG_MAX_ERROR_MESSAGE_LEN];
        onig_error_code_to_str(text, rc, &info);
        free(r);
        ERR(e, ERR_PARSE, "%.*s (at offset 0) is not a valid regex: %s", (int)(pattern.n > 100 ? 100 : pattern.n), (const char *)p,
            (const char *)text);
        return NULL;
    }
    r->no_empty = flags & REGEX_NO_EMPTY;
    r->ngroups = (size_t)onig_number_of_captures(r->re);
    r->names = xcalloc(r->ngroups, sizeof(*r->names));
    onig_foreach_name(r->re, take_name, r);
    return r;
}

void regex_free(struct regex *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->ngroups; i++)
        free(r->names[i]);
    free(r->names);
    onig_free(r->re);
    free(r);
}

size_t regex_groups(const struct regex *r) { return r->ngroups; }

struct str regex_group_name(const struct regex *r, size_t i)
{
    return i >= 1 && i <= r->ngroups ? str_of(r->names[i - 1]) : STR_NULL;
}

int regex_search(const struct regex *r, struct str text, size_t from, struct regex_span *spans, size_t n)
{
    const UChar *p = (const UChar *)(text.p ? text.p : ""), *end = p + text.n;
    OnigRegion *region = onig_region_new();
    int rc = onig_search(r->re, p, end, p + from, end, region, r->no_empty ? ONIG_OPTION_FIND_NOT_EMPTY : ONIG_OPTION_NONE);
    if (rc >= 0) {
        for (size_t i = 0; i < n; i++) {
            bool there = (int)i < region->num_regs;
            spans[i] = (struct regex_span){there ? region->beg[i] : -1, there ? region->end[i] : -1};
        }
    }
    onig_region_free(region, 1);
    return rc >= 0 ? 1 : rc == ONIG_MISMATCH ? REGEX_NO_MATCH : REGEX_LIMIT;
}
