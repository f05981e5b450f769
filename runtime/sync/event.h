/* event.h: the unit of work everything runs in (sync section 2). Reference-counted, loop thread. */
#pragma once
#include "base/buf.h"
#include "sync/mappings.h"
#include <stdbool.h>

enum event_type { EVENT_START, EVENT_RESYNC, EVENT_INCREMENTAL, EVENT_HTTP_REQUEST, EVENT_ACTION_RUN, EVENT_PROBE };
enum event_trigger { TRIGGER_MACHINE, TRIGGER_MANUAL, TRIGGER_REQUEST };

struct event {
    int refs;
    char id[37]; /* UUID v4 */
    enum event_type type;
    enum event_trigger trigger;
    struct event *parent;                    /* a reference, or NULL */
    struct mapping *mapping;                 /* a reference, or NULL when none was loaded (sync S-5) */
    const struct mapping_resource *resource; /* being processed now, or NULL */
    bool aborted;
    int64_t start_wall_us; /* resync_start_time */
    int attributes_ref;    /* the script's table, 0: none; owned by script */
};

/* The mapping is the parent's as it stands now, if any. `parent` may be NULL. */
struct event *event_new(enum event_type t, enum event_trigger trig, struct event *parent);
struct event *event_ref(struct event *e);
void event_unref(struct event *e);
/* Makes its own reference; what the event had before is let go. */
void event_set_mapping(struct event *e, struct mapping *m);
const char *event_type_name(enum event_type t);       /* "resync" */
const char *event_trigger_name(enum event_trigger t); /* "machine" */
