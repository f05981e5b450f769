/* map_input.h: JSON from files and pipes, value after value, without holding more than one value and one read.
 *
 * Ownership: the caller closes what it opened; texts of a batch live until the next map_input_batch or close.
 * Threads:   one at a time.
 * Errors:    by status; the message names the file and, for broken JSON, line and column. */
#pragma once
#include "base/err.h"
#include "base/str.h"
#include <stdbool.h>

enum input_kind {
    INPUT_VALUES, /* as jq reads: every value, arrays whole */
    INPUT_ITEMS,  /* the elements of a top-level array one by one */
};
enum input_status {
    INPUT_MORE, /* go on with the next batch */
    INPUT_END,
    INPUT_BROKEN, /* not JSON; the file ends here */
    INPUT_FAILED, /* cannot be read (any further) */
};
struct input_value {
    struct str text; /* one value by its brackets and quotes; whether it is JSON has to be parsed */
    size_t line, col;
};
struct input_batch {
    struct input_value *v;
    size_t n, cap;
};
struct map_input;

/* path NULL or "-": standard input. NULL and ERR_IO if it cannot be opened. */
struct map_input *map_input_open(const char *path, enum input_kind kind, struct err *e);
void map_input_close(struct map_input *in);
/* Waits for at least one value, then takes what is there already, up to a number. With another status than INPUT_MORE
 * the batch may still hold values, which come before it. `e` has the message of INPUT_BROKEN and INPUT_FAILED. */
enum input_status map_input_batch(struct map_input *in, struct input_batch *b, struct err *e);
/* Makes the parser's message about a value one about the file. */
void map_input_place(const struct map_input *in, const struct input_value *v, struct err *e);
