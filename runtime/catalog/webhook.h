/* webhook.h: telling an integration that a resync is wanted (port-api P-88). */
#pragma once
#include "catalog/work.h"

struct catalog;

/* Database thread: remembers the integration's webhook, if it has one, for when this request's writes are safe. */
int webhook_note(struct work *w, int64_t integration);
/* Loop thread: sends what was noted; nobody waits for the answer. */
void webhook_send(struct work *w);
