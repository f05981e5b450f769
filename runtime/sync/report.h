/* report.h: filling and closing the report of a run (resync.h). Loop thread. */
#pragma once
#include "sync/resync.h"

/* Errors kept apart in a report; further ones are counted under one entry. */
#define REPORT_ERRORS_MAX 100

/* Adds `count` errors; equal texts at the same place are one entry with their sum. where may be NULL. */
void report_error(struct resource_report *r, const char *where, const char *message, size_t count);
size_t report_error_count(const struct resource_report *r); /* sum of the counts */
/* Room for n resources, all pending. */
void report_resources(struct resync_report *r, size_t n);
/* Records why the run failed; the first reason stays. */
void report_fail(struct resync_report *r, const char *message);
/* Sums up and sets exit_code and ok. Of several outcomes 1 comes before 4 before 5; `forced` > 0 (a usage error) before
 * all. */
void report_close(struct resync_report *r, int forced);
void report_done(struct resync_report *r);
