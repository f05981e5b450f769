/* Entries in insertion order in one array, found through an open-addressing index of positions. Deleted entries leave a
 * hole (key NULL) that is squeezed out when the index grows. */
#include "base/strmap.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"

struct entry {
    char *key;
    size_t n;
    uint64_t hash;
    void *value;
};

struct strmap {
    void (*free_value)(void *);
    struct entry *entries;
    size_t used, live, cap;
    uint32_t *index; /* position + 1, 0 empty */
    size_t slots;
};

struct strmap *strmap_new(void (*free_value)(void *))
{
    struct strmap *m = xcalloc(1, sizeof(*m));
    m->free_value = free_value;
    return m;
}

void strmap_free(struct strmap *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->used; i++) {
        if (m->entries[i].key && m->free_value)
            m->free_value(m->entries[i].value);
        free(m->entries[i].key);
    }
    free(m->entries);
    free(m->index);
    free(m);
}

static size_t slot_of(const struct strmap *m, struct str key, uint64_t hash)
{
    size_t i = (size_t)hash & (m->slots - 1);
    while (m->index[i]) {
        const struct entry *e = &m->entries[m->index[i] - 1];
        if (e->key && e->hash == hash && e->n == key.n && memcmp(e->key, key.p ? key.p : "", key.n) == 0)
            break;
        i = (i + 1) & (m->slots - 1);
    }
    return i;
}

static struct entry *find(const struct strmap *m, struct str key)
{
    if (!m->slots)
        return NULL;
    size_t i = slot_of(m, key, hash128_of(key).a);
    return m->index[i] ? &m->entries[m->index[i] - 1] : NULL;
}

static void rebuild(struct strmap *m)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->used; i++)
        if (m->entries[i].key)
            m->entries[kept++] = m->entries[i];
    m->used = kept;
    size_t slots = 16; /* at most a quarter full afterwards: put and del in turn must not rebuild every time */
    while (slots < (kept + 1) * 4)
        slots *= 2;
    free(m->index);
    m->slots = slots;
    m->index = xcalloc(slots, sizeof(*m->index));
    for (size_t k = 0; k < kept; k++) {
        size_t i = (size_t)m->entries[k].hash & (slots - 1);
        while (m->index[i])
            i = (i + 1) & (slots - 1);
        m->index[i] = (uint32_t)(k + 1);
    }
}

void *strmap_put(struct strmap *m, struct str key, void *value)
{
    struct entry *e = find(m, key);
    if (e) {
        void *old = e->value;
        e->value = value;
        return old;
    }
    if ((m->used + 1) * 2 > m->slots)
        rebuild(m);
    if (m->used == m->cap) {
        m->cap = m->cap ? m->cap * 2 : 8;
        m->entries = xrealloc(m->entries, m->cap * sizeof(*m->entries));
    }
    uint64_t hash = hash128_of(key).a;
    size_t i = slot_of(m, key, hash);
    m->entries[m->used] = (struct entry){xstrndup(key.p ? key.p : "", key.n), key.n, hash, value};
    m->index[i] = (uint32_t)++m->used;
    m->live++;
    return NULL;
}

void *strmap_get(const struct strmap *m, struct str key)
{
    const struct entry *e = find(m, key);
    return e ? e->value : NULL;
}

bool strmap_has(const struct strmap *m, struct str key) { return find(m, key) != NULL; }

void *strmap_del(struct strmap *m, struct str key)
{
    struct entry *e = find(m, key);
    if (!e)
        return NULL;
    void *value = e->value;
    free(e->key);
    e->key = NULL; /* the index still points here: a hole that lookups step over */
    e->value = NULL;
    m->live--;
    return value;
}

size_t strmap_count(const struct strmap *m) { return m->live; }

size_t strmap_next(const struct strmap *m, size_t cursor, struct str *key, void **value)
{
    for (size_t i = cursor; i < m->used; i++) {
        const struct entry *e = &m->entries[i];
        if (!e->key)
            continue;
        if (key)
            *key = (struct str){e->key, e->n};
        if (value)
            *value = e->value;
        return i + 1;
    }
    return 0;
}
