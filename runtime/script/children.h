/* children.h: tasks started by tasks: ocean.spawn, and what ocean.parallel is made of.
 *
 * A child belongs to the event and the resource of the task that started it, and that task is not over before it
 * (task.c). Its results or error are kept by a userdata that scripts see as a task object. Loop thread. */
#pragma once
#include "script/task.h"

/* Before t is over: a failed child nobody has joined makes t fail, if it has not failed by itself; further ones are
 * logged. Lets go of all of them. */
void children_take_lost(struct task *t);

void children_open(lua_State *L, int ocean, int internals);
