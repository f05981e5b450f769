/* window.h: how many requests to Port may be in flight (design.md section 6). Pure, private to port/.
 *
 * Starts at 5, grows by one for each full window of fast answers, halves when Port says 429 or 503. Answers
 * to requests that were sent before the last halving do not halve it again, so one overload of many requests
 * counts once. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define WINDOW_START 5
#define WINDOW_MIN 1
#define WINDOW_MAX 50
#define WINDOW_FAST_S 1.0 /* an answer within this time lets the window grow */

struct window {
    double size;
    unsigned in_flight;
    uint64_t sent, epoch; /* requests so far; requests up to epoch do not halve any more */
};

void window_init(struct window *w);
static inline bool window_has_room(const struct window *w) { return w->in_flight < (unsigned)w->size; }
/* Takes a place; returns the number of this sending. */
uint64_t window_enter(struct window *w);
/* An overload answer to sending number `n` that is going to be repeated: halves; returns the number of the
 * repeat. */
uint64_t window_overload(struct window *w, uint64_t n);
/* Gives the place back. status 0: no answer. */
void window_leave(struct window *w, uint64_t n, int status, double seconds);
