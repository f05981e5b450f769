/* Events are small and counted: whoever may outlive the opener (a script's task, a request) holds a reference. A child
 * starts with its parent's mapping and keeps it even when the parent loads another one. */
#define LOG_GROUP "sync.event"
#include "sync/event.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/mem.h"

/* A random UUID (version 4, variant 1). */
static void uuid_write(char out[37])
{
    unsigned char b[16];
    size_t have = 0;
    while (have < sizeof(b)) {
        ssize_t n = getrandom(b + have, sizeof(b) - have, 0);
        if (n > 0)
            have += (size_t)n;
    }
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    char *p = out;
    for (size_t i = 0; i < sizeof(b); i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *p++ = '-';
        p += snprintf(p, 3, "%02x", b[i]);
    }
}

struct event *event_new(enum event_type t, enum event_trigger trig, struct event *parent)
{
    struct event *e = xcalloc(1, sizeof(*e));
    e->refs = 1;
    uuid_write(e->id);
    e->type = t;
    e->trigger = trig;
    e->start_wall_us = clock_wall_us();
    if (parent) {
        e->parent = event_ref(parent);
        e->mapping = parent->mapping ? mapping_ref(parent->mapping) : NULL;
    }
    return e;
}

struct event *event_ref(struct event *e)
{
    e->refs++;
    return e;
}

void event_unref(struct event *e)
{
    while (e && --e->refs == 0) {
        struct event *parent = e->parent;
        mapping_unref(e->mapping);
        free(e);
        e = parent;
    }
}

void event_set_mapping(struct event *e, struct mapping *m)
{
    mapping_ref(m);
    mapping_unref(e->mapping);
    e->mapping = m;
}

const char *event_type_name(enum event_type t)
{
    static const char *const names[] = {"start",        "resync",     "incremental_resync",
                                        "http_request", "action_run", "on_probe"};
    return names[t];
}

const char *event_trigger_name(enum event_trigger t)
{
    static const char *const names[] = {"machine", "manual", "request"};
    return names[t];
}
