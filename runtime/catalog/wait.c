/* GET /_local/wait: an answer that comes when something has happened. A wait for journal entries looks again after each
 * request, one for the state of a resync asks the database again after each report of a state; nothing polls. */
#include <string.h>

#include "base/clock.h"
#include "catalog/catalog_priv.h"
#include "catalog/integration.h"
#include "catalog/routes.h"
#include "json/write.h"

#define WAIT_MS 30000
#define WAIT_MAX_MS 600000

static void unpark(struct work *w)
{
    struct work **at = &w->c->parked;
    while (*at && *at != w)
        at = &(*at)->next_parked;
    if (*at)
        *at = w->next_parked;
    w->parked = false;
}

void wait_forget(struct work *w)
{
    if (w->parked)
        unpark(w);
}

static void too_late(void *arg)
{
    struct work *w = arg;
    w->timer = NULL;
    unpark(w);
    refuse(&w->r, 408, "timeout", "It has not happened within %lld ms", (long long)w->wait_ms);
    rest_refuse(w);
}

/* The timeout counts from the arrival of the request, however often it was looked at. */
void wait_park(struct work *w)
{
    int64_t spent = (int64_t)((clock_mono_ns() - w->started_ns) / 1000000);
    w->parked = true;
    w->next_parked = w->c->parked;
    w->c->parked = w;
    w->timer = timer_start(w->c->loop, w->wait_ms > spent ? (uint64_t)(w->wait_ms - spent) : 0, 0, too_late, w);
}

static int64_t journal_wanted(struct work *w)
{
    struct str text;
    int64_t n;
    return work_param(w, "journal", 0, &text) && str_int64(text, &n) ? n : 0;
}

/* 1 there are enough entries, and the answer is written; 0 not yet; -1 refused. */
static int look_at_journal(struct work *w)
{
    size_t n;
    if (journal_matching(w->c->journal, w, &n) < 0)
        return -1;
    if ((int64_t)n < journal_wanted(w))
        return 0;
    buf_reset(&w->out);
    struct jw jw = work_begin(w);
    jw_key_c(&jw, "count");
    jw_int(&jw, (int64_t)n);
    work_end(w, &jw);
    return 1;
}

int control_wait_now(struct work *w)
{
    struct str integration, text;
    bool journal = work_param(w, "journal", 0, &text);
    if (work_number(w, "timeoutMs", WAIT_MS, &w->wait_ms) < 0)
        return -1;
    if (w->wait_ms < 0 || w->wait_ms > WAIT_MAX_MS)
        return refuse_invalid(&w->r, "\"query/timeoutMs\" must be integer from 0 to %d", WAIT_MAX_MS);
    if (journal == work_param(w, "integration", 0, &integration))
        return refuse_invalid(&w->r, "say what to wait for: integration=ID&resyncStatus=STATUS, or journal=COUNT");
    if (!journal)
        return 0;
    if (journal_wanted(w) < 1)
        return refuse_invalid(&w->r, "\"query/journal\" must be integer of at least 1");
    int rc = look_at_journal(w);
    if (rc == 0)
        wait_park(w);
    return rc == 0 ? WORK_WAITS : rc;
}

/* Database thread: has the state come? */
int control_wait(struct work *w)
{
    struct str name = STR_NULL, wanted = STR_NULL, since_text = STR_NULL;
    struct json_doc *doc = NULL;
    int64_t since = INT64_MIN, at = 0;
    work_param(w, "integration", 0, &name);
    if (!work_param(w, "resyncStatus", 0, &wanted))
        return refuse_invalid(&w->r, "\"query\" must have required property 'resyncStatus'");
    if (work_param(w, "since", 0, &since_text) && !iso_parse(since_text, &since))
        return refuse_invalid(&w->r, "\"query/since\" must be an instant such as 2030-01-02T03:04:05Z");
    struct sqlite3_stmt *s = q_open(w->k, &w->r, "SELECT resync_state FROM integration WHERE identifier = ?", "t", name);
    int rc = q_row(w->k, s, &w->r);
    if (rc < 0)
        return -1;
    w->unmet = true;
    if (rc > 0 && q_text(s, 0).n && json_parse(q_text(s, 0), &doc, NULL) == 0) {
        struct json state = json_root(doc);
        bool same = str_eq(json_str(json_get_c(state, "status")), wanted);
        w->unmet = !same || !iso_parse(json_str(json_get_c(state, "updatedAt")), &at) || at < since;
    }
    if (!w->unmet) {
        buf_reset(&w->out);
        struct jw jw = work_begin(w);
        jw_key_c(&jw, "resyncState");
        jw_json(&jw, json_root(doc));
        work_end(w, &jw);
    }
    if (rc > 0)
        q_close(s);
    json_unref(doc);
    return 0;
}

/* A request was answered: who waits for it? */
void wait_wake(struct catalog *c, const struct route *route)
{
    struct work *next;
    bool state = route && !strcmp(route->id, "E-9");
    for (struct work *w = c->parked; w; w = next) {
        struct str text;
        next = w->next_parked;
        bool journal = work_param(w, "journal", 0, &text);
        if (journal ? look_at_journal(w) == 0 : !state)
            continue;
        unpark(w);
        timer_stop(w->timer);
        w->timer = NULL;
        if (journal)
            rest_answer(w);
        else
            rest_go_on(w);
    }
}

void wait_end(struct catalog *c)
{
    while (c->parked) {
        struct work *w = c->parked;
        unpark(w);
        timer_stop(w->timer);
        w->timer = NULL;
        refuse(&w->r, 503, "service_unavailable", "the server is shutting down");
        rest_refuse(w);
    }
}
