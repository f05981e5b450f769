/* scalars.h: how texts of settings become numbers (runtime R-23). Private to config/. Pure. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/str.h"

/* Decimal integer; blanks around it, a sign, single `_` between digits and a zero fraction ("5.0") are
 * allowed. */
bool scalar_int(struct str s, int64_t *ret);
/* A finite decimal number, blanks around it allowed. */
bool scalar_number(struct str s, double *ret);
/* 256M, 1G, 64 KiB, 1048576: bytes. */
bool scalar_size(struct str s, double *ret);
/* 15, "30m", "1h", "2d", "1w", "900s" as minutes. */
bool scalar_minutes(struct str s, int64_t *ret);
