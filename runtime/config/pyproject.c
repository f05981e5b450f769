/* The two keys we need of a pyproject.toml (runtime R-9). A full TOML parser would be out of proportion:
 * section headers and `key = "value"` lines are what every such file writes these two with; anything else is
 * skipped. */
#include <stdlib.h>

#include "base/mem.h"
#include "config/definition_priv.h"

enum section { SECTION_OTHER, SECTION_PROJECT, SECTION_POETRY };

static enum section section_of(struct str line)
{
    const char *close = memchr(line.p, ']', line.n);
    if (!close || line.p[1] == '[')
        return SECTION_OTHER;
    struct str name = str_trim((struct str){line.p + 1, (size_t)(close - line.p - 1)});
    if (str_is(name, "project"))
        return SECTION_PROJECT;
    return str_is(name, "tool.poetry") ? SECTION_POETRY : SECTION_OTHER;
}

/* "text" or 'text' at the start of s. */
static bool quoted_text(struct str s, struct str *ret)
{
    if (s.n < 2 || (s.p[0] != '"' && s.p[0] != '\''))
        return false;
    const char *close = memchr(s.p + 1, s.p[0], s.n - 1);
    if (!close)
        return false;
    *ret = (struct str){s.p + 1, (size_t)(close - s.p - 1)};
    return ret->n > 0;
}

static void keep(char **slot, struct str v)
{
    if (!*slot)
        *slot = str_dup(v);
}

void pyproject_read(struct str text, char **ret_name, char **ret_version)
{
    char *name[3] = {NULL}, *version[3] = {NULL};
    bool project = false;
    enum section at = SECTION_OTHER;
    struct str rest = text, value;
    while (rest.p) {
        struct str line = str_trim(str_split(rest, '\n', &rest));
        if (line.n > 1 && line.p[0] == '[') {
            at = section_of(line);
            project |= at == SECTION_PROJECT;
            continue;
        }
        struct str after, key = str_trim(str_split(line, '=', &after));
        if (at == SECTION_OTHER || !after.p || !quoted_text(str_trim(after), &value))
            continue;
        if (str_is(key, "name"))
            keep(&name[at], value);
        else if (str_is(key, "version"))
            keep(&version[at], value);
    }
    enum section use = project ? SECTION_PROJECT : SECTION_POETRY,
                 other = project ? SECTION_POETRY : SECTION_PROJECT;
    *ret_name = name[use];
    *ret_version = version[use];
    free(name[other]);
    free(version[other]);
}
