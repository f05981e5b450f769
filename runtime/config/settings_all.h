/* settings_all.h: what a struct settings keeps behind its public fields. Private to config/. Loop thread. */
#pragma once
#include "config/settings.h"
#include "config/settings_check.h"
#include "config/settings_tree.h"

struct settings_all {
    struct tree tree;
    struct setting_value *values; /* parallel to settings_table */
    bool script_is_integration;   /* the file is named integration.lua */
};

/* Value of a known setting; our own mistake if the name is not in the table. */
const struct setting_value *settings_value(const struct settings *s, const char *dotted);
/* Copies the values into the public fields and judges what spans several (runtime 2.10). */
void settings_fill(struct settings *s, const struct settings_flags *f, struct buf *problems);
/* Fills script and folder; ERR_CONFIG if there is no such script. */
int settings_find_script(struct settings *s, const char *script, struct err *e);
