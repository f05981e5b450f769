/* options.h: the command line of `ocean-run [options] SCRIPT.lua | FOLDER`.
 *
 * Pointers point into argv. Misuse is reported on stderr with the way out; the caller exits with EXIT_USAGE. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "config/settings.h"

/* Exit codes of design.md section 8. */
enum exit_code {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_CONFIG = 3,
    EXIT_WITH_ERRORS = 4,
    EXIT_HELD_BACK = 5,
};

#define OPTIONS_MAX_LIST 64

struct run_options {
    struct settings_flags flags;
    bool json;
    bool reset_mapping;
    bool plan;
    const char *accept_plan; /* hash, or NULL */
    const char *kinds[OPTIONS_MAX_LIST];
    size_t nkinds;
    const char *allow_empty[OPTIONS_MAX_LIST];
    size_t nallow_empty;
    double max_shrink_percent; /* < 0: not given */
};

struct catalog_options {
    const char *command;   /* list, show, search, export, reset, serve */
    const char *blueprint, *identifier;
    const char *query; /* of search: JSON of the API's search, or text */
    const char *file;      /* NULL: the default file */
    const char *listen;    /* HOST:PORT for serve; NULL: 127.0.0.1:5555 */
    bool json;
};

/* 0, or -1 after a message on stderr. */
int options_parse_run(int argc, char **argv, struct run_options *ret);
/* argv[0] is the word after `catalog`. */
int options_parse_catalog(int argc, char **argv, struct catalog_options *ret);
/* Splits HOST:PORT; host_out keeps at most n bytes. False if malformed. */
bool options_host_port(const char *text, char *host_out, size_t n, int *ret_port);
