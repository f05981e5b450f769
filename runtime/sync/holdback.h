/* holdback.h: when an unproduced entity is better kept: empty kinds, shrunken kinds, the threshold (design.md section
 * 6). Pure decisions. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

/* A kind of this many entities or more is watched for shrinking. */
#define SHRINK_MINIMUM 20

/* What was kept of the kind's last certified run. */
struct kind_record {
    bool known; /* there was one */
    size_t entities;
    size_t empty_runs; /* in a row that counted as empty, up to the last run */
};
struct kind_facts {
    size_t extracted, entities; /* of this run; entities: mapped */
    size_t answers_2xx, ignored_statuses, http_requests;
    bool explicit_empty;
    bool allowed_empty; /* --allow-empty */
    struct kind_record last;
};
struct hold_rules {
    double max_shrink_percent;
    bool shrink_replaced; /* the mapping states a threshold other than 0.9 */
};

enum hold { HOLD_NONE, HOLD_EMPTY, HOLD_SHRUNKEN };

/* Does this run count as empty, as far as the evidence goes? */
bool holdback_counts_as_empty(const struct kind_facts *f);
enum hold holdback_judge(const struct kind_facts *f, const struct hold_rules *r);
/* The record after a run that reached reconciliation. */
struct kind_record holdback_next(const struct kind_facts *f, enum hold held);

/* sync S-122 with the denominator of Q-26: `all` are the listed entities and the existing ones this run wrote that were
 * not listed. */
double threshold_rate(size_t candidates, size_t all);
bool threshold_allows(double rate, double threshold);
