/* settings_table.h: the list of all settings (runtime sections 2.6 and 2.7). Private to config/. Constant
 * data. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "base/buf.h"
#include "base/str.h"

enum setting_type {
    SETTING_STRING,
    SETTING_INT,
    SETTING_NUMBER,
    SETTING_BOOL,
    SETTING_CHOICE,   /* exactly one of `choices` */
    SETTING_LEVEL,    /* the same in any letter case */
    SETTING_HTTP_URL, /* http or https, trailing slashes removed */
    SETTING_BROKERS,  /* text, or a JSON array joined by commas */
    SETTING_INTERVAL, /* 15, "15m", "1h": minutes */
    SETTING_SIZE,     /* bytes: 256M, 1G */
    SETTING_PERCENT,  /* 30 or "30%" */
};

enum setting_flag { SETTING_SENSITIVE = 1, SETTING_IGNORED = 2 };

struct setting {
    const char *name; /* dotted, snake_case; application.* is APPLICATION__* */
    enum setting_type type;
    unsigned flags;
    double min, max;      /* numbers; both 0: no limits */
    const char *choices;  /* "a|b|c" */
    const char *fallback; /* text of the default; NULL: none */
};

extern const struct setting settings_table[];
extern const size_t settings_table_n;

/* Index of a setting, or -1. */
int settings_table_find(struct str dotted);
/* Is it a section, that is, a proper prefix of some setting's name (or integration.config)? */
bool settings_table_section(struct str dotted);
/* The known name nearest to an unknown one, or NULL if none is near. */
const char *settings_table_nearest(struct str dotted);
/* Appends the environment variable's name of a dotted path. */
void settings_env_name(struct buf *out, struct str dotted);
/* What the type expects, in words: "an integer from 1 to 65535". */
void setting_expectation(struct buf *out, const struct setting *s);
