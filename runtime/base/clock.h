/* clock.h: time. Durations come from the monotonic clock, instants from the wall
 * clock; tests may replace both with clock_fake. Any thread. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/str.h"

uint64_t clock_mono_ns(void);
static inline uint64_t clock_mono_ms(void) { return clock_mono_ns() / 1000000; }
int64_t clock_wall_us(void); /* microseconds since 1970, UTC */
/* CPU time of the calling thread. */
uint64_t clock_thread_cpu_ns(void);

/* Freezes (mono_ns >= 0) or releases (< 0) both clocks for the whole process. Tests only. */
void clock_fake(int64_t mono_ns, int64_t wall_us);

enum iso_style {
    ISO_Z_MILLIS,    /* 2030-01-02T03:04:05.678Z (port-api P-18) */
    ISO_Z_MICROS,    /* 2030-01-02T03:04:05.678901Z */
    ISO_OFFSET,      /* 2030-01-02T03:04:05.678901+00:00, fraction left out if zero (sync S-120) */
};
/* Writes at most 40 bytes including NUL. */
void iso_format(char out[40], int64_t wall_us, enum iso_style style);
/* RFC 3339 with Z or +hh:mm or +hhmm, T, t or space, 0-9 fraction digits; false if it is none. */
bool iso_parse(struct str s, int64_t *ret_wall_us);
