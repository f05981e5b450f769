/* source.h: the resync handlers of a script as a struct source (sync/source.h). Loop thread. */
#pragma once
#include "script/state.h"
#include <lua.h>

struct run; /* the handlers of one resource, under way */

void source_init(struct vm *v);
void source_free(struct vm *v);
void source_open(lua_State *L, int internals);

/* ocean.yield(batch [, options]): hands a raw batch over, waits until there is room. A Lua function. */
int source_yield(lua_State *L);

/* What the HTTP functions report about the current task's resource; nothing outside one. */
enum evidence { EVIDENCE_REQUEST, EVIDENCE_2XX, EVIDENCE_IGNORED };
void source_evidence(struct run *r, enum evidence e);
void source_taint(struct run *r, const char *message);
/* Text was repaired (invalid UTF-8, lone surrogates): one warning per run of a resource and `what`. */
enum repair { REPAIR_SCRIPT = 1, REPAIR_ANSWER = 2 };
void source_repaired(lua_State *L, enum repair what);
const struct mapping_resource *source_resource(const struct run *r);
