/* watchdog.h: the thread that ends a process whose script is stuck in one C call, and warns about blocking ones. */
#pragma once

/* Counted like limit_start. Call after it, on the loop thread. */
void watchdog_start(void);
void watchdog_stop(void);
/* Other limits than 10 s of CPU and 1 s of blocking, for tests. Before watchdog_start. */
void watchdog_limits(unsigned stuck_ms, unsigned blocked_ms);
