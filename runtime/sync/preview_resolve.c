/* Answers of searches are remembered by blueprint and query, because entities of a kind often ask the same. Those that
 * ask something else each time must not fill the memory: a full store is emptied. */
#define LOG_GROUP "sync.preview"
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/strmap.h"
#include "json/compare.h"
#include "sync/preview_priv.h"

#define ANSWERS_MAX 4096

struct asking {
    struct preview *p;
    char *key;
    size_t key_n;
    void (*done)(void *arg);
    void *arg;
};

static void free_found(void *x)
{
    struct found *f = x;
    for (size_t i = 0; i < f->n; i++)
        free((char *)(uintptr_t)f->identifiers[i].p);
    free(f->identifiers);
    free(f);
}

static void remember(struct preview *p, struct str key, struct found *f)
{
    if (strmap_count(p->answers) >= ANSWERS_MAX) {
        strmap_free(p->answers);
        p->answers = strmap_new(free_found);
    }
    struct found *old = strmap_put(p->answers, key, f);
    if (old)
        free_found(old);
}

static void on_found(void *arg, struct json entities, const struct err *e)
{
    struct asking *a = arg;
    struct found *f = xcalloc(1, sizeof(*f));
    f->failed = e != NULL;
    if (e)
        log_warn("a search query of an entity cannot be tried: %s", e->msg);
    f->identifiers = xcalloc(json_len(entities) + 1, sizeof(*f->identifiers));
    for (struct json_iter it = json_iter(entities); json_next(&it);) {
        struct str id = json_str(json_get_c(it.val, "identifier"));
        if (id.p)
            f->identifiers[f->n++] = (struct str){str_dup(id), id.n};
    }
    remember(a->p, (struct str){a->key, a->key_n}, f);
    void (*done)(void *) = a->done;
    void *done_arg = a->arg;
    free(a->key);
    free(a);
    done(done_arg);
}

const struct found *preview_resolve(struct preview *p, struct str blueprint, struct json query,
                                    void (*done)(void *arg), void *arg)
{
    static const struct found nothing;
    const struct schema *s = schemas_find(p->run->schemas, blueprint);
    if (s && (s->planned || schema_missing(s)))
        return &nothing;
    struct buf key;
    buf_init(&key, BUF_NO_LIMIT);
    buf_addstr(&key, blueprint);
    buf_addc(&key, '\x1f');
    json_canonical(&key, query);
    if (!p->answers)
        p->answers = strmap_new(free_found);
    const struct found *f = strmap_get(p->answers, buf_str(&key));
    if (f) {
        buf_done(&key);
        return f;
    }
    struct asking *a = xcalloc(1, sizeof(*a));
    *a = (struct asking){.p = p, .done = done, .arg = arg};
    a->key = buf_take(&key, &a->key_n);
    port_find_matching(p->run->engine->port, blueprint, query, on_found, a);
    return NULL;
}
