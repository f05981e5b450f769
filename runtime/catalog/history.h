/* history.h: which resyncs an integration said it ran (port-api P-83). Database thread. */
#pragma once
#include "catalog/work.h"

/* A state that was reported: `running` opens a row, any other closes the newest open one. */
int history_note(struct work *w, int64_t integration, struct str status);
