/* The .env format as people write it: NAME=value lines, `export` allowed, # comments, single quotes
 * (literal), double quotes (escapes, may run over lines), ${NAME} and ${NAME:-default} outside single quotes,
 * looked up in the process environment first and then among the names above. */
#include "config/settings_sources.h"

#include <ctype.h>
#include <stdlib.h>

#include "base/mem.h"

struct parser {
    struct strmap *out;
    const char *p, *end;
    int line;
    const char *path;
    struct buf *problems;
};

static bool at_end(const struct parser *d) { return d->p == d->end; }

static char take(struct parser *d)
{
    char c = *d->p++;
    if (c == '\n')
        d->line++;
    return c;
}

static void skip_line(struct parser *d)
{
    while (!at_end(d) && take(d) != '\n')
        continue;
}

static void skip_blanks(struct parser *d)
{
    while (!at_end(d) && (*d->p == ' ' || *d->p == '\t' || *d->p == '\r'))
        d->p++;
}

static const char *lookup(struct parser *d, struct str name)
{
    char *z = str_dup(name);
    const char *v = getenv(z);
    free(z);
    return v ? v : strmap_get(d->out, name);
}

/* Expands ${NAME} and ${NAME:-default} at the parser's position, which is behind "${"; false: no closing
 * brace. */
static bool expand(struct parser *d, struct buf *value)
{
    const char *close = memchr(d->p, '}', (size_t)(d->end - d->p));
    if (!close || memchr(d->p, '\n', (size_t)(close - d->p)))
        return false;
    struct str inner = {d->p, (size_t)(close - d->p)}, name = inner, fallback = STR_NULL;
    for (size_t i = 0; i + 1 < inner.n; i++) {
        if (inner.p[i] == ':' && inner.p[i + 1] == '-') {
            name.n = i;
            fallback = (struct str){inner.p + i + 2, inner.n - i - 2};
            break;
        }
    }
    const char *v = lookup(d, name);
    if (v)
        buf_adds(value, v);
    else if (fallback.n)
        buf_addstr(value, fallback);
    d->p = close + 1;
    return true;
}

/* One character that may start an expansion. */
static void add_char(struct parser *d, struct buf *value)
{
    if (*d->p == '$' && d->end - d->p > 1 && d->p[1] == '{') {
        d->p += 2;
        if (!expand(d, value))
            buf_adds(value, "${");
        return;
    }
    buf_addc(value, take(d));
}

static void add_escape(struct parser *d, struct buf *value)
{
    char c = take(d);
    switch (c) {
    case 'n': buf_addc(value, '\n'); break;
    case 'r': buf_addc(value, '\r'); break;
    case 't': buf_addc(value, '\t'); break;
    case '"':
    case '\\':
    case '$':
    case '\'': buf_addc(value, c); break;
    default: buf_addc(value, '\\'); buf_addc(value, c);
    }
}

static bool quoted(struct parser *d, struct buf *value)
{
    char quote = take(d);
    while (!at_end(d) && *d->p != quote) {
        if (quote == '"' && *d->p == '\\' && d->end - d->p > 1) {
            d->p++;
            add_escape(d, value);
        } else if (quote == '\'') {
            buf_addc(value, take(d));
        } else {
            add_char(d, value);
        }
    }
    if (at_end(d))
        return false;
    d->p++;
    return true;
}

static void plain(struct parser *d, struct buf *value)
{
    size_t keep = 0; /* trailing blanks do not count */
    bool blank = true;
    while (!at_end(d) && *d->p != '\n') {
        if (*d->p == '#' && blank)
            break;
        blank = *d->p == ' ' || *d->p == '\t' || *d->p == '\r';
        add_char(d, value);
        if (!blank)
            keep = value->n;
    }
    value->n = keep;
    if (value->p)
        value->p[keep] = 0;
}

static void assignment(struct parser *d)
{
    int line = d->line;
    const char *start = d->p;
    while (!at_end(d) && (isalnum((unsigned char)*d->p) || *d->p == '_' || *d->p == '.' || *d->p == '-'))
        d->p++;
    struct str name = {start, (size_t)(d->p - start)};
    skip_blanks(d);
    if (str_is(name, "export") && !at_end(d) && *d->p != '=' && *d->p != '\n') {
        assignment(d);
        return;
    }
    if (!name.n || at_end(d) || *d->p != '=') {
        buf_addf(d->problems, "%s:%d: expected NAME=value\n", d->path, line);
        skip_line(d);
        return;
    }
    d->p++;
    skip_blanks(d);
    struct buf value;
    buf_init(&value, 1 << 20);
    bool ok = true;
    if (!at_end(d) && (*d->p == '"' || *d->p == '\''))
        ok = quoted(d, &value);
    else
        plain(d, &value);
    if (!ok)
        buf_addf(d->problems, "%s:%d: %.*s: the quote is not closed\n", d->path, line, STR_FMT(name));
    skip_line(d);
    free(strmap_put(d->out, name, xstrdup(buf_cstr(&value))));
    buf_done(&value);
}

void dotenv_parse(struct strmap *out, struct str text, const char *path, struct buf *problems)
{
    if (str_starts(text, STR("\xef\xbb\xbf")))
        text = (struct str){text.p + 3, text.n - 3};
    struct parser d = {out, text.p, text.p + text.n, 1, path, problems};
    while (!at_end(&d)) {
        skip_blanks(&d);
        if (at_end(&d))
            break;
        if (*d.p == '\n' || *d.p == '#')
            skip_line(&d);
        else
            assignment(&d);
    }
}
