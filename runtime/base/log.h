/* log.h: one line per event on stderr, levels, groups, secret masking.
 *
 * Every .c file that logs says `#define LOG_GROUP "port.client"` first. Control
 * bytes are escaped (a message's own line breaks are indented, so that they cannot
 * forge a line) and registered secrets masked in the sink, so no call site
 * can leak one (runtime ). Nothing is evaluated when the level is
 * off. Any thread. */
#pragma once
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/str.h"

struct buf;

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_OFF };

/* Threshold from a word (debug, info, warning, warn, error, critical; any case); false if unknown. */
bool log_set_level(const char *word);
/* OCEAN_LOG: "io.http_client=debug,port=info"; a group covers its sub-groups. */
void log_set_groups(const char *spec);
bool log_enabled(enum log_level level, const char *group);
void log_write(enum log_level level, const char *group, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define log_at(level, ...) \
    do { if (log_enabled((level), LOG_GROUP)) log_write((level), LOG_GROUP, __VA_ARGS__); } while (0)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) log_at(LOG_INFO, __VA_ARGS__)
#define log_warn(...) log_at(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)

/* Called around each line, for a progress line that must be erased and redrawn; NULL: none. */
void log_set_hooks(void (*before)(void), void (*after)(void));

/* Registers a secret (trimmed; fewer than three characters are ignored). It is masked everywhere from now on. */
void mask_add(struct str secret);
void mask_clear(void);
enum mask_style {
    MASK_CONSOLE, /* first 6 characters + [REDACTED]; all of it if the secret has 6 or fewer */
    MASK_FULL,    /* [REDACTED] only: examples, shipped logs */
};
/* Appends `s` with registered secrets and secret-looking patterns replaced; returns how many were. */
size_t mask_text(struct buf *out, struct str s, enum mask_style style);
