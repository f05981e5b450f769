/* route.h: path patterns of ocean.router and how a request's path fits them (runtime ). Pure. */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#define ROUTE_SEGMENTS 32

struct route_segment {
    struct str text; /* literal, or the parameter's name; points into the pattern */
    bool param, rest; /* rest: {name:path}, everything that is left */
};
struct route_pattern {
    char *text; /* "/webhook/{source}" */
    struct route_segment seg[ROUTE_SEGMENTS];
    size_t n;
};
/* ERR_INVAL says what is wrong with the pattern. */
int route_parse(struct str pattern, struct route_pattern *ret, struct err *e);
void route_done(struct route_pattern *p);
/* path begins with '/', raw. values[i] (raw slices, in the order of the pattern's parameters) are set on a match. */
bool route_match(const struct route_pattern *p, struct str path, struct str *values);
