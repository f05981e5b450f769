/* support.h: a working directory of its own and a clean environment for each test. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "config/definition.h"
#include "config/settings.h"

extern char **environ;

static char sandbox[64];

static inline int enter_sandbox(void **state)
{
    static char *empty[] = {NULL};
    (void)state;
    environ = empty;
    strcpy(sandbox, "/tmp/config-test-XXXXXX");
    log_set_level("critical");
    return mkdtemp(sandbox) && chdir(sandbox) == 0 ? 0 : -1;
}

static inline int leave_sandbox(void **state)
{
    char command[128];
    (void)state;
    mask_clear();
    snprintf(command, sizeof(command), "/bin/rm -rf %s", sandbox);
    return chdir("/tmp") == 0 && system(command) == 0 ? 0 : -1;
}

/* Writes a file below the sandbox, making its folders. */
static inline void put_file(const char *path, const char *text)
{
    char copy[256];
    snprintf(copy, sizeof(copy), "%s", path);
    for (char *p = copy; (p = strchr(p, '/')); *p++ = '/') {
        *p = 0;
        mkdir(copy, 0700);
    }
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* Loads settings for integration.lua of the sandbox (or f->script); fails the test on problems. */
static inline struct settings *load(struct settings_flags f)
{
    struct settings *s = NULL;
    struct buf problems;
    struct err e = {0};
    buf_init(&problems, 1 << 20);
    if (!f.script) {
        put_file("integration.lua", "");
        f.script = "integration.lua";
    }
    if (settings_load(&f, &s, &problems, &e) < 0)
        fail_msg("%s\n%s", e.msg, buf_cstr(&problems));
    buf_done(&problems);
    return s;
}

/* Loads settings that must not load; returns the problem lines (free()). */
static inline char *load_problems(struct settings_flags f)
{
    struct settings *s = NULL;
    struct buf problems;
    struct err e = {0};
    buf_init(&problems, 1 << 20);
    if (!f.script) {
        put_file("integration.lua", "");
        f.script = "integration.lua";
    }
    assert_int_equal(settings_load(&f, &s, &problems, &e), ERR_CONFIG);
    assert_null(s);
    assert_true(e.msg[0]);
    return buf_take(&problems, NULL);
}

#define assert_contains(text, part)                                                                          \
    do {                                                                                                     \
        if (!strstr((text), (part)))                                                                         \
            fail_msg("\"%s\" not in:\n%s", (part), (text));                                                  \
    } while (0)
#define assert_lacks(text, part)                                                                             \
    do {                                                                                                     \
        if (strstr((text), (part)))                                                                          \
            fail_msg("\"%s\" is in:\n%s", (part), (text));                                                   \
    } while (0)
