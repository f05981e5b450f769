/* run.h: `ocean-run [options] SCRIPT`: from settings to exit code. */
#pragma once
#include "cli/options.h"

/* Runs the integration; returns the exit code. */
int run_command(const struct run_options *o);
