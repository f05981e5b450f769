/* The sink: a line is formatted, masked and escaped in one buffer and written with one write(2), so that lines of
 * several threads never mix. */
#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"

struct group {
    char *name;
    enum log_level level;
};

static _Atomic int threshold = LOG_INFO;
static struct group *groups;
static size_t ngroups;
static pthread_mutex_t sink = PTHREAD_MUTEX_INITIALIZER;
static void (*hook_before)(void), (*hook_after)(void);

static bool parse_level(struct str word, enum log_level *ret)
{
    static const struct {
        const char *word;
        enum log_level level;
    } words[] = {{"debug", LOG_DEBUG}, {"info", LOG_INFO},      {"warning", LOG_WARN}, {"warn", LOG_WARN},
                 {"error", LOG_ERROR}, {"critical", LOG_ERROR}, {"off", LOG_OFF}};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (str_ieq(word, str_of(words[i].word))) {
            *ret = words[i].level;
            return true;
        }
    }
    return false;
}

bool log_set_level(const char *word)
{
    enum log_level l;
    if (!word || !parse_level(str_of(word), &l))
        return false;
    atomic_store(&threshold, (int)l);
    return true;
}

void log_set_groups(const char *spec)
{
    struct str rest = str_of(spec ? spec : "");
    for (size_t i = 0; i < ngroups; i++)
        free(groups[i].name);
    free(groups);
    groups = NULL;
    ngroups = 0;
    while (rest.n) {
        struct str level, item = str_trim(str_split(rest, ',', &rest));
        struct str name = str_split(item, '=', &level);
        enum log_level l;
        if (!name.n || !parse_level(level, &l))
            continue;
        groups = xrealloc(groups, (ngroups + 1) * sizeof(*groups));
        groups[ngroups++] = (struct group){str_dup(name), l};
    }
}

bool log_enabled(enum log_level level, const char *group)
{
    size_t best = 0;
    int limit = atomic_load_explicit(&threshold, memory_order_relaxed);
    for (size_t i = 0; i < ngroups; i++) {
        size_t n = strlen(groups[i].name);
        if (n > best && strncmp(group, groups[i].name, n) == 0 && (group[n] == 0 || group[n] == '.')) {
            best = n;
            limit = (int)groups[i].level;
        }
    }
    return (int)level >= limit;
}

/* Newlines and tabs of a message stay readable but cannot forge a line; other control characters are escaped, those of
 * the C1 block (U+0080 to U+009F, among them a terminal's CSI) too. `s` is valid UTF-8. */
static void add_escaped(struct buf *out, struct str s)
{
    size_t from = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool c1 = c == 0xC2 && i + 1 < s.n && (unsigned char)s.p[i + 1] < 0xA0;
        if (c == '\t' || (c >= 0x20 && c != 0x7f && !c1))
            continue;
        buf_add(out, s.p + from, i - from);
        if (c == '\n')
            buf_adds(out, "\n    ");
        else
            buf_addf(out, "\\x%02x", c1 ? (unsigned char)s.p[++i] : c);
        from = i + 1;
    }
    if (s.n)
        buf_add(out, s.p + from, s.n - from);
}

/* A signal may interrupt a write, and a terminal may be non-blocking because another process made it so. */
static void write_all(const char *p, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t k = write(STDERR_FILENO, p + done, n - done);
        if (k > 0) {
            done += (size_t)k;
        } else if (k < 0 && errno == EAGAIN) {
            struct pollfd fd = {.fd = STDERR_FILENO, .events = POLLOUT};
            if (poll(&fd, 1, 1000) == 0)
                return; /* nobody reads: losing a line is better than standing still */
        } else if (k == 0 || errno != EINTR) {
            return;
        }
    }
}

void log_write(enum log_level level, const char *group, const char *fmt, ...)
{
    static const char *const names[] = {"DEBUG", "INFO", "WARNING", "ERROR", "OFF"};
    struct buf text, masked, line;
    va_list ap;
    buf_init(&text, BUF_NO_LIMIT);
    buf_init(&masked, BUF_NO_LIMIT);
    buf_init(&line, BUF_NO_LIMIT);
    va_start(ap, fmt);
    buf_addvf(&text, fmt, ap);
    va_end(ap);
    mask_text(&masked, buf_str(&text), MASK_CONSOLE);
    if (!utf8_valid(buf_str(&masked))) {
        buf_reset(&text);
        utf8_repair(&text, buf_str(&masked));
        buf_reset(&masked);
        buf_addstr(&masked, buf_str(&text));
    }
    int64_t now = clock_wall_us();
    time_t s = (time_t)(now / 1000000);
    struct tm tm;
    localtime_r(&s, &tm);
    char stamp[32];
    strftime(stamp, sizeof(stamp), "%Y-%m-%d %H:%M:%S", &tm);
    buf_addf(&line, "%s.%03d | %-8s | ", stamp, (int)(now / 1000 % 1000), names[level]);
    if (log_enabled(LOG_DEBUG, group))
        buf_addf(&line, "%s: ", group);
    add_escaped(&line, str_trim(buf_str(&masked)));
    buf_addc(&line, '\n');
    pthread_mutex_lock(&sink);
    if (hook_before)
        hook_before();
    write_all(line.p, line.n);
    if (hook_after)
        hook_after();
    pthread_mutex_unlock(&sink);
    buf_done(&text);
    buf_done(&masked);
    buf_done(&line);
}

void log_set_hooks(void (*before)(void), void (*after)(void))
{
    pthread_mutex_lock(&sink);
    hook_before = before;
    hook_after = after;
    pthread_mutex_unlock(&sink);
}
