/* catalog_cmd.h: `ocean-run catalog ...`. Returns the exit code. */
#pragma once
#include "cli/options.h"

int catalog_command(const struct catalog_options *o);
