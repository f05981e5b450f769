/* map.h: `ocean-run map`, the mapping's playground: maps JSON with a mapping document or a single expression.
 *
 * Everything runs on the calling thread, which owns a loop of its own for libjq's process. */
#pragma once

/* argv[0] is the word after `map`. Returns the exit code: 0; 1 unreadable input; 2 usage; 3 an invalid mapping
 * document; 4 an error line was written or an expression does not compile. */
int map_command(int argc, char **argv);
