/* support.h: a vm with a fake sink and a third party on loopback, for the tests of script/. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/http_server.h"
#include "io/loop.h"
#include "script/vm.h"
#include "sync/event.h"

#define PATIENCE_MS 60000 /* a test that hangs ends; nothing is expected to take this long */

struct fake_sink {
    struct sink sink;
    struct buf batches;        /* one JSON text a line; lists are marked by "list " in front */
    struct buf errors, taints; /* one a line */
    size_t pushes, nerrors, ntaints;
    size_t room_for; /* pushes before it is full; then room is given from the loop */
    struct loop *loop;
    void (*room)(void *);
    void *room_arg;
    size_t full_times;
    bool hold_room, done;
    struct source_report report;
};

struct rig {
    struct loop *loop;
    struct vm *vm;
    struct settings *settings;
    struct definition *definition;
    struct event *event;
    struct fake_sink sink;
    struct mapping_resource resource;
    char path[64];
    bool loaded;
    struct err load_error;
    bool gave_up;
    struct http_server *server;
};

static void give_up(void *arg)
{
    struct rig *r = arg;
    r->gave_up = true;
}

static void turn_until(struct rig *r, const bool *flag)
{
    struct timer *t = timer_start(r->loop, PATIENCE_MS, 0, give_up, r);
    while (!*flag && !r->gave_up)
        loop_turn(r->loop, true);
    assert_false(r->gave_up);
    timer_stop(t);
}

/* Sink --------------------------------------------------------------------------------------------------- */

static void sink_give_room(void *arg)
{
    struct fake_sink *s = arg;
    void (*room)(void *) = s->room;
    s->room = NULL;
    if (room)
        room(s->room_arg);
}

static enum pushed sink_push(struct sink *base, struct json_doc *doc, struct json items, bool from_list,
                             void (*room)(void *), void *room_arg)
{
    struct fake_sink *s = (struct fake_sink *)base;
    assert_null(s->room); /* nobody pushes while we are full */
    bool good = json_is_arr(items);
    for (struct json_iter it = json_iter(items); good && json_next(&it);)
        good = json_is_obj(it.val);
    if (from_list)
        buf_adds(&s->batches, "list ");
    json_write(&s->batches, items);
    buf_addc(&s->batches, '\n');
    json_unref(doc);
    s->pushes++;
    if (!good)
        return PUSH_REFUSED;
    if (s->room_for == 0 || s->pushes % s->room_for != 0)
        return PUSHED;
    s->full_times++;
    s->room = room;
    s->room_arg = room_arg;
    if (!s->hold_room)
        loop_post(s->loop, sink_give_room, s);
    return PUSHED_FULL;
}

static void sink_error(struct sink *base, const char *where, const char *message)
{
    struct fake_sink *s = (struct fake_sink *)base;
    (void)where;
    buf_addf(&s->errors, "%s\n", message);
    s->nerrors++;
}

static void sink_taint(struct sink *base, const char *message)
{
    struct fake_sink *s = (struct fake_sink *)base;
    buf_addf(&s->taints, "%s\n", message);
    s->ntaints++;
}

static void sink_done(struct sink *base, const struct source_report *report)
{
    struct fake_sink *s = (struct fake_sink *)base;
    assert_false(s->done);
    s->done = true;
    s->report = *report;
}

static const struct sink_ops sink_ops = {sink_push, sink_error, sink_taint, sink_done};

/* Rig ---------------------------------------------------------------------------------------------------- */

static void on_loaded(void *arg, const struct err *e)
{
    struct rig *r = arg;
    r->loaded = true;
    if (e)
        r->load_error = *e;
}

static bool rig_json_output; /* for the next rig */

static void rig_free(struct rig *r);

/* A rig that loads the file `load` (NULL: `script`, written to s.lua) and waits until the main chunk ended. NULL when
 * the vm cannot be made and `must` is false. */
static struct rig *rig_make(const char *load, const char *script, size_t memory, double cpu, bool must)
{
    struct rig *r = xcalloc(1, sizeof(*r));
    struct err e = {0};
    log_set_level(getenv("TEST_LOG") ? getenv("TEST_LOG") : "off");
    r->loop = loop_new();
    r->definition = definition_new();
    strcpy(r->path, "/tmp/script_test_XXXXXX");
    assert_non_null(mkdtemp(r->path));
    strcat(r->path, "/s.lua");
    FILE *f = fopen(r->path, "w");
    assert_non_null(f);
    fputs(script, f);
    fclose(f);
    struct settings_flags flags = {.script = r->path};
    struct buf problems;
    buf_init(&problems, 10000);
    if (settings_load(&flags, &r->settings, &problems, &e) < 0)
        fail_msg("%s\n%s", e.msg, buf_cstr(&problems));
    buf_done(&problems);
    struct vm_opts o = {
        .loop = r->loop,
        .settings = r->settings,
        .definition = r->definition,
        .memory_limit = memory ? memory : (size_t)64 << 20,
        .cpu_limit_s = cpu > 0 ? cpu : 5,
        .json_output = rig_json_output,
    };
    r->vm = vm_new(&o, &e);
    if (!r->vm && must)
        fail_msg("%s", e.msg);
    if (!r->vm) {
        rig_free(r);
        return NULL;
    }
    vm_load(r->vm, load ? load : r->path, on_loaded, r);
    turn_until(r, &r->loaded);
    return r;
}

static struct rig *rig_new(const char *script, size_t memory, double cpu)
{
    return rig_make(NULL, script, memory, cpu, true);
}

static __attribute__((unused)) struct rig *rig_try(const char *script, size_t memory)
{
    return rig_make(NULL, script, memory, 0, false);
}

static __attribute__((unused)) struct rig *rig_file(const char *path) { return rig_make(path, "", 0, 0, true); }

static struct rig *rig_loaded(const char *script)
{
    struct rig *r = rig_new(script, 0, 0);
    if (r->load_error.code)
        fail_msg("%s", r->load_error.msg);
    return r;
}

static void sink_reset(struct rig *r)
{
    struct fake_sink *s = &r->sink;
    buf_done(&s->batches);
    buf_done(&s->errors);
    buf_done(&s->taints);
    size_t room_for = s->room_for;
    bool hold = s->hold_room;
    memset(s, 0, sizeof(*s));
    s->sink.ops = &sink_ops;
    s->loop = r->loop;
    s->room_for = room_for;
    s->hold_room = hold;
    buf_init(&s->batches, BUF_NO_LIMIT);
    buf_init(&s->errors, BUF_NO_LIMIT);
    buf_init(&s->taints, BUF_NO_LIMIT);
}

static void *rig_start(struct rig *r, const char *kind)
{
    sink_reset(r);
    if (!r->event)
        r->event = event_new(EVENT_RESYNC, TRIGGER_MACHINE, NULL);
    r->resource.kind = str_of(kind);
    const struct source *s = vm_source(r->vm);
    return s->start(s->arg, r->event, &r->resource, &r->sink.sink);
}

/* Runs all handlers of a kind to their end. */
static void rig_run(struct rig *r, const char *kind)
{
    rig_start(r, kind);
    turn_until(r, &r->sink.done);
}

static void rig_free(struct rig *r)
{
    vm_free(r->vm);
    if (r->server)
        http_server_free(r->server);
    event_unref(r->event);
    definition_free(r->definition);
    settings_free(r->settings);
    loop_free(r->loop);
    buf_done(&r->sink.batches);
    buf_done(&r->sink.errors);
    buf_done(&r->sink.taints);
    unlink(r->path);
    *strrchr(r->path, '/') = 0;
    rmdir(r->path);
    free(r);
}

/* What the handler gave, as text; errors and taints likewise. */
static const char *batches(const struct rig *r) { return buf_cstr(&r->sink.batches); }
static const char *errors(const struct rig *r) { return buf_cstr(&r->sink.errors); }
static const char *taints(const struct rig *r) { return buf_cstr(&r->sink.taints); }

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("expected '%s' in:\n%s", part, text);
}

static void assert_hasnt(const char *text, const char *part)
{
    if (strstr(text, part))
        fail_msg("unexpected '%s' in:\n%s", part, text);
}

/* A handler of kind "k" made of `body`; runs it; returns the rig. */
static struct rig *rig_handler(const char *body)
{
    char *script = xasprintf("ocean.on_resync('k', function(kind)\n%s\nend)\n", body);
    struct rig *r = rig_loaded(script);
    free(script);
    rig_run(r, "k");
    return r;
}

/* Runs the body, expects no error and these batches. */
static __attribute__((unused)) void expect_batches(const char *body, const char *want)
{
    struct rig *r = rig_handler(body);
    assert_string_equal(errors(r), "");
    assert_string_equal(batches(r), want);
    rig_free(r);
}

/* Runs the body, expects one error that contains `part`. */
static __attribute__((unused)) void expect_error(const char *body, const char *part)
{
    struct rig *r = rig_handler(body);
    assert_has(errors(r), part);
    assert_int_equal(r->sink.nerrors, 1);
    rig_free(r);
}

static __attribute__((unused)) void unused_helpers(void)
{
    (void)taints;
    (void)assert_hasnt;
    (void)rig_new;
}
