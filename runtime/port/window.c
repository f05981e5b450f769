/* Additive growth, halving on overload. Growth needs a window that was really used, else an idle client would
 * end with a window nobody tested. */
#include "port/window.h"

static bool is_overload(int status) { return status == 429 || status == 503; }

void window_init(struct window *w) { *w = (struct window){.size = WINDOW_START}; }

uint64_t window_enter(struct window *w)
{
    w->in_flight++;
    return ++w->sent;
}

uint64_t window_overload(struct window *w, uint64_t n)
{
    if (n > w->epoch) {
        w->size = w->size / 2 > WINDOW_MIN ? w->size / 2 : WINDOW_MIN;
        w->epoch = w->sent;
    }
    return ++w->sent;
}

void window_leave(struct window *w, uint64_t n, int status, double seconds)
{
    bool full = w->in_flight >= (unsigned)w->size;
    w->in_flight--;
    if (is_overload(status))
        window_overload(w, n);
    else if (status && status < 500 && full && n > w->epoch && seconds <= WINDOW_FAST_S &&
             w->size < WINDOW_MAX)
        w->size = w->size + 1 / w->size < WINDOW_MAX ? w->size + 1 / w->size : WINDOW_MAX;
}
