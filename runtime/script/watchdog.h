/* watchdog.h: the thread that ends a process whose script is stuck in one C call, and warns about blocking ones. */
#pragma once

/* Counted like limit_start. Call after it, on the loop thread. */
void watchdog_start(void);
void watchdog_stop(void);
