/* Groups out of a list of names: up to fifty of one blueprint, as one request takes them. */
#include <stdlib.h>

#include "base/mem.h"
#include "sync/event.h"
#include "sync/preview_priv.h"

void names_walk_begin(struct names_walk *w, struct preview *p, int list,
                      bool (*wanted)(void *arg, struct key128 key, const struct spool_name *name),
                      void (*group)(void *arg), void *arg)
{
    *w = (struct names_walk){.p = p, .list = list, .wanted = wanted, .on_group = group, .arg = arg};
}

static void forget(struct names_walk *w)
{
    for (size_t i = 0; i < w->n; i++) {
        free((char *)(uintptr_t)w->group[i].group.p);
        free((char *)(uintptr_t)w->group[i].name.p);
    }
    w->n = 0;
}

void names_walk_done(struct names_walk *w)
{
    forget(w);
    free(w->after[0]);
    free(w->after[1]);
    w->after[0] = w->after[1] = NULL;
}

static void read_on(struct names_walk *w);

static void on_names(void *arg, const struct spool_name *names, size_t n, const struct err *e)
{
    struct names_walk *w = arg;
    bool full = false;
    preview_failed(w->p, e);
    for (size_t i = 0; i < n && !full; i++) {
        bool other = w->n && !str_eq(w->group[0].group, names[i].group);
        full = other || w->n == NAMES_GROUP;
        if (full)
            break;
        free(w->after[0]);
        free(w->after[1]);
        w->after[0] = str_dup(names[i].group);
        w->after[1] = str_dup(names[i].name);
        if (w->wanted(w->arg, key128_entity(names[i].group, names[i].name), &names[i]))
            w->group[w->n++] = (struct spool_name){{str_dup(names[i].group), names[i].group.n},
                                                   {str_dup(names[i].name), names[i].name.n}};
    }
    if (full || n == 0 || w->n == NAMES_GROUP)
        w->on_group(w->arg);
    else
        read_on(w);
}

static void read_on(struct names_walk *w)
{
    struct spool_name after = {str_of(w->after[0]), str_of(w->after[1])};
    spool_read_names(w->p->spool, w->list, w->after[0] ? &after : NULL, NAMES_GROUP, on_names, w);
}

void names_walk_next(struct names_walk *w)
{
    forget(w);
    if (w->p->err.code || w->p->run->event->aborted)
        loop_defer(w->p->run->engine->loop, w->on_group, w->arg);
    else
        read_on(w);
}
