/* poll.h: the POLLING listener: resyncs when Port has a newer request (runtime ). Loop thread. */
#pragma once
#include "listen/runner.h"

struct poll;

struct poll_opts {
    struct engine *engine;
    struct runner *runner;
    int interval_s;
    bool resync_on_start;
};
/* Begins at once. With resync_on_start the first resync needs no request, and the one stored in Port, however old, is
 * taken as done; otherwise a stored request counts if it is newer than the last state Port was told. */
struct poll *poll_start(const struct poll_opts *o);
/* NULL allowed. After port_free: what is on its way would find nothing. */
void poll_stop(struct poll *p);
void poll_free(struct poll *p);

/* Is this request new? Texts are instants; p NULL: there is none. Equal or older ones are not, a request that cannot be
 * read neither; without a baseline that can be read every one is. Pure. */
bool poll_is_newer(struct str request, struct str baseline);
