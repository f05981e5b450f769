/* A set of writers is one more text in the dictionary, so rows, indexes and counters stay as they are: there are as many
 * sets as there are combinations of integrations that share an entity, which is few. */
#include "catalog/owners.h"

#include <string.h>

#include "base/buf.h"
#include "json/write.h"

bool owners_next(struct str *rest, struct str *ret)
{
    if (!rest->p)
        return false;
    *ret = str_split(*rest, '\n', rest);
    return true;
}

int64_t owners_after(struct core *k, int64_t old, int64_t writer, struct refusal *r)
{
    if (!k->all_writers || !old || old == writer)
        return writer;
    struct str mine = dict_text(k, k->datasources, writer), rest = dict_text(k, k->datasources, old), one;
    struct buf text;
    buf_init(&text, BUF_NO_LIMIT);
    while (owners_next(&rest, &one))
        if (!str_eq(one, mine))
            buf_addf(&text, "%.*s\n", STR_FMT(one));
    buf_addstr(&text, mine);
    int64_t id = dict_put(k, k->datasources, buf_str(&text), r);
    buf_done(&text);
    return id;
}

void owners_write(struct jw *w, struct str text)
{
    struct str one, rest = text;
    bool several = text.n && memchr(text.p, '\n', text.n);
    if (several)
        jw_arr(w);
    while (owners_next(&rest, &one))
        jw_str(w, one);
    if (several)
        jw_end_arr(w);
}
