/* ocean.event: a view of the event the running task belongs to; nil outside one (design.md section 9 item 13).
 *
 * The view holds a reference. Attributes are a table made at first use from the parent's entries (sync S-4). An event
 * cannot tell us when it ends, so we keep a reference with each table and let go as soon as nobody else has one. */
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "script/api.h"
#include "script/error.h"
#include "script/jsonval.h"
#include "script/source.h"
#include "script/task.h"

#define EVENT_META "ocean.event"

struct view {
    struct event *event;
    struct keep *keep; /* the reference */
    struct run *run;   /* compared only, and only while the task's own */
};

static void sweep(struct vm *v, lua_State *L, bool all)
{
    for (struct attributes **p = &v->attributes; *p;) {
        struct attributes *a = *p;
        if (!all && a->event->refs > 1) {
            p = &a->next;
            continue;
        }
        *p = a->next;
        if (L)
            luaL_unref(L, LUA_REGISTRYINDEX, a->event->attributes_ref);
        a->event->attributes_ref = 0;
        event_unref(a->event);
        free(a);
    }
}

void api_event_free(struct vm *v) { sweep(v, NULL, true); }

static void push_attributes(lua_State *L, struct event *ev)
{
    struct vm *v = vm_of(L);
    if (ev->attributes_ref) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, ev->attributes_ref);
        return;
    }
    luaL_checkstack(L, 8, "events are nested too deeply");
    sweep(v, L, false);
    lua_newtable(L);
    if (ev->parent) {
        push_attributes(L, ev->parent);
        lua_pushnil(L);
        while (lua_next(L, -2)) {
            lua_pushvalue(L, -2);
            lua_insert(L, -2);
            lua_rawset(L, -5);
        }
        lua_pop(L, 1);
    }
    if (ev->type == EVENT_RESYNC) {
        char text[40];
        iso_format(text, ev->start_wall_us, ISO_OFFSET);
        lua_pushstring(L, text);
        lua_setfield(L, -2, "resync_start_time");
    }
    lua_pushvalue(L, -1);
    int ref = luaL_ref(L, LUA_REGISTRYINDEX);
    struct attributes *a = xmalloc(sizeof(*a));
    *a = (struct attributes){v->attributes, event_ref(ev)};
    v->attributes = a;
    ev->attributes_ref = ref;
}

static void unref(void *event) { event_unref(event); }

static struct view *push_view(lua_State *L, struct event *ev, struct run *run)
{
    struct view *w = lua_newuserdatauv(L, sizeof(*w), 0);
    w->keep = NULL;
    luaL_setmetatable(L, EVENT_META);
    w->event = event_ref(ev);
    w->keep = vm_keep(vm_of(L), unref, ev);
    w->run = run;
    return w;
}

void api_event_push(lua_State *L)
{
    struct task *t = vm_of(L)->current;
    if (t && t->event)
        push_view(L, t->event, t->run);
    else
        lua_pushnil(L);
}

static const struct mapping_resource *resource_of(lua_State *L, const struct view *w)
{
    struct task *t = vm_of(L)->current;
    if (w->run && t && t->run == w->run)
        return source_resource(w->run);
    return w->event->resource;
}

static void push_resource(lua_State *L, const struct view *w, const char *key)
{
    const struct mapping_resource *r = resource_of(L, w);
    if (!r)
        lua_pushnil(L);
    else if (strcmp(key, "kind") == 0)
        lua_pushlstring(L, r->kind.p, r->kind.n);
    else if (strcmp(key, "index") == 0)
        lua_pushinteger(L, r->index);
    else
        jsonval_push(L, r->raw, false);
}

/* The names of sync S-2, in the original's spelling and as the documentation writes them. */
static bool is(const char *key, const char *snake, const char *camel)
{
    return strcmp(key, snake) == 0 || strcmp(key, camel) == 0;
}

static int event_index(lua_State *L)
{
    struct view *w = luaL_checkudata(L, 1, EVENT_META);
    struct event *ev = w->event;
    const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
    if (strcmp(key, "id") == 0)
        lua_pushstring(L, ev->id);
    else if (is(key, "event_type", "eventType") || strcmp(key, "type") == 0)
        lua_pushstring(L, event_type_name(ev->type));
    else if (is(key, "trigger_type", "triggerType"))
        lua_pushstring(L, event_trigger_name(ev->trigger));
    else if (strcmp(key, "attributes") == 0)
        push_attributes(L, ev);
    else if (strcmp(key, "aborted") == 0)
        lua_pushboolean(L, ev->aborted);
    else if (strcmp(key, "parent") == 0 && ev->parent)
        push_view(L, ev->parent, NULL);
    else if (is(key, "parent_id", "parentId") && ev->parent)
        lua_pushstring(L, ev->parent->id);
    else if (is(key, "resource_config", "resourceConfig") || strcmp(key, "kind") == 0 || strcmp(key, "index") == 0)
        push_resource(L, w, key);
    else if (is(key, "port_app_config", "portAppConfig")) {
        if (!ev->mapping)
            return error_misuse(L, "ocean.event.port_app_config is not set: no mapping was loaded in this event");
        jsonval_push(L, json_root(ev->mapping->doc->doc), false);
    } else
        lua_pushnil(L);
    return 1;
}

static int event_newindex(lua_State *L)
{
    return error_misuse(L, "ocean.event cannot be changed; put your own values into ocean.event.attributes");
}

static int event_gc(lua_State *L)
{
    struct view *w = lua_touserdata(L, 1);
    vm_release(w->keep);
    w->keep = NULL;
    return 0;
}

static int event_tostring(lua_State *L)
{
    struct view *w = luaL_checkudata(L, 1, EVENT_META);
    lua_pushfstring(L, "event %s (%s)", w->event->id, event_type_name(w->event->type));
    return 1;
}

void api_event_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"__index", event_index},
        {"__newindex", event_newindex},
        {"__gc", event_gc},
        {"__tostring", event_tostring},
        {NULL, NULL},
    };
    luaL_newmetatable(L, EVENT_META);
    luaL_setfuncs(L, functions, 0);
    lua_pushliteral(L, EVENT_META);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}
