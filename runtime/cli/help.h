/* help.h: the texts of `ocean-run help [TOPIC]`. */
#pragma once
#include <stdio.h>

/* Prints the topic ("run", "map", "catalog", "settings", "exit"; NULL: the overview). Returns -1 if there is none of that name. */
int help_print(FILE *out, const char *topic);
