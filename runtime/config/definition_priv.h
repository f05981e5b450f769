/* definition_priv.h: shared by the files of definition. Private to config/. */
#pragma once
#include "config/definition.h"
#include "config/definition_check.h"

/* Turns problem lines into one error: all of them, separated by "; ". 0 if there are none. */
int definition_problems(const struct buf *problems, struct err *e);
/* name and version of a pyproject.toml ([project], else [tool.poetry]); *ret NULL when absent. */
void pyproject_read(struct str text, char **ret_name, char **ret_version);
