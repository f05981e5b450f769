/* An empty answer is the most dangerous one: it looks the same whether a third party has nothing left or a token lost a
 * permission. So emptiness needs evidence (an answer with status 2xx and none that was ignored, or, without HTTP, an
 * explicit empty list), and needs it in two runs in a row. */
#include "sync/holdback.h"

bool holdback_counts_as_empty(const struct kind_facts *f)
{
    if (f->extracted > 0)
        return false;
    if (f->http_requests > 0)
        return f->answers_2xx > 0 && f->ignored_statuses == 0;
    return f->explicit_empty;
}

enum hold holdback_judge(const struct kind_facts *f, const struct hold_rules *r)
{
    if (f->extracted == 0) {
        if (f->allowed_empty || (holdback_counts_as_empty(f) && f->last.empty_runs >= 1))
            return HOLD_NONE;
        return HOLD_EMPTY;
    }
    if (r->shrink_replaced || !f->last.known || f->last.entities < SHRINK_MINIMUM || f->entities >= f->last.entities)
        return HOLD_NONE;
    double percent = 100.0 * (double)(f->last.entities - f->entities) / (double)f->last.entities;
    return percent > r->max_shrink_percent ? HOLD_SHRUNKEN : HOLD_NONE;
}

struct kind_record holdback_next(const struct kind_facts *f, enum hold held)
{
    struct kind_record next = f->last;
    next.empty_runs = holdback_counts_as_empty(f) ? f->last.empty_runs + 1 : 0;
    if (held == HOLD_NONE) {
        next.known = true;
        next.entities = f->entities;
    }
    return next;
}

double threshold_rate(size_t candidates, size_t all) { return all ? (double)candidates / (double)all : 0; }

bool threshold_allows(double rate, double threshold) { return rate <= threshold; }
