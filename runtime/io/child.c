/* child.c: this binary again as a process that can be killed, spoken to in frames over a socket pair.
 *
 * The process is made with fork and exec on the loop thread, because PR_SET_PDEATHSIG is tied to the thread that forked
 * and pool threads come and go. Between fork and exec only async-signal-safe calls are made; arguments and environment
 * are prepared when the child object is made. A call on another thread posts the spawn to the loop and waits for it on
 * a condition, at most until its deadline; a request that is still posted then finds itself withdrawn. The posted
 * request counts as a user of the child object, which is released with its last user.
 *
 * Locks: `calls` is held for a whole call, so frames never mix. `state` guards pid, fd and `closing` and is never held
 * while waiting for the process. child_free sets `closing`, kills the process, which ends any read or write at once,
 * and then takes `calls`.
 *
 * A process is only ever in step with us: after a deadline, an oversized answer or any I/O error it is killed and the
 * next call starts a new one. Deadlines use the real monotonic clock, not the one tests may freeze. */
#include "io/child.h"

#include "base/log.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOG_GROUP "io.child"
#define CHILD_FD 3
#define READ_STEP ((size_t)1 << 20)

#if defined(__SANITIZE_ADDRESS__)
#define HAVE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAVE_ASAN 1
#endif
#endif
#ifndef HAVE_ASAN
#define HAVE_ASAN 0
#endif

struct child {
    struct loop *loop;
    atomic_int users; /* the owner, and a posted spawn */
    char **argv, **env;
    size_t memory_limit;
    pthread_mutex_t calls, state;
    pthread_cond_t changed; /* a spawn was done, or closing was set */
    pid_t pid;              /* 0: none */
    int fd;                 /* -1: none */
    bool closing;
    unsigned wanted_spawn; /* number of the request waited for; 0: none */
    unsigned spawns;       /* requests so far */
    struct err spawn_error;
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- making the process ---- */

/* Runs in the forked process: async-signal-safe calls only, and no way back. */
static void exec_child(const struct child *c, int sock, pid_t parent)
{
    sigset_t none;
    struct sigaction dfl = {.sa_handler = SIG_DFL};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* it ended before the line above */
        _exit(127);
    setpgid(0, 0); /* Ctrl-C on the terminal is the parent's business */
    int null = open("/dev/null", O_RDWR);
    if (null < 0 || dup2(null, 0) < 0 || dup2(2, 1) < 0) /* stdout carries data of the parent: talk goes to stderr */
        _exit(127);
    if (sock == CHILD_FD)
        fcntl(sock, F_SETFD, 0);
    else if (dup2(sock, CHILD_FD) < 0)
        _exit(127);
    close_range(CHILD_FD + 1, ~0U, 0);
    if (c->memory_limit && !HAVE_ASAN) {
        struct rlimit lim = {c->memory_limit, c->memory_limit};
        setrlimit(RLIMIT_AS, &lim);
    }
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core); /* it may hold data of others */
    sigaction(SIGPIPE, &dfl, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve("/proc/self/exe", c->argv, c->env);
    _exit(127);
}

/* Loop thread. */
static int spawn(struct child *c, struct err *e)
{
    int sv[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
        return ERR(e, ERR_IO, "cannot make a socket pair for a child process: %s", strerror(errno));
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old); /* no handler of ours may run in the fork */
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        exec_child(c, sv[1], parent);
    int saved = errno;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    close(sv[1]);
    if (pid < 0) {
        close(sv[0]);
        return ERR(e, ERR_IO, "cannot start a child process: %s", strerror(saved));
    }
    pthread_mutex_lock(&c->state);
    c->pid = pid;
    c->fd = sv[0];
    pthread_mutex_unlock(&c->state);
    log_debug("child process %d started: %s", (int)pid, c->argv[1] ? c->argv[1] : "");
    return 0;
}

static void child_release(struct child *c)
{
    if (atomic_fetch_sub(&c->users, 1) != 1)
        return;
    for (char **p = c->argv; *p; p++)
        free(*p);
    for (char **p = c->env; *p; p++)
        free(*p);
    free(c->argv);
    free(c->env);
    pthread_mutex_destroy(&c->calls);
    pthread_mutex_destroy(&c->state);
    pthread_cond_destroy(&c->changed);
    free(c);
}

struct spawn_request {
    struct child *child;
    unsigned number;
};

static void on_spawn(void *arg)
{
    struct spawn_request *r = arg;
    struct child *c = r->child;
    pthread_mutex_lock(&c->state);
    bool wanted = c->wanted_spawn == r->number && !c->closing;
    pthread_mutex_unlock(&c->state);
    if (wanted) {
        /* Should the caller give up right now, the process is there for the next call. */
        struct err e = {0};
        spawn(c, &e);
        pthread_mutex_lock(&c->state);
        c->spawn_error = e;
        c->wanted_spawn = 0;
        pthread_cond_broadcast(&c->changed);
        pthread_mutex_unlock(&c->state);
    }
    free(r);
    child_release(c);
}

/* Another thread than the loop's: asks the loop to spawn and waits for it. */
static int spawn_elsewhere(struct child *c, int64_t deadline, struct err *e)
{
    struct spawn_request *r = xcalloc(1, sizeof(*r));
    struct timespec until = {deadline / 1000, deadline % 1000 * 1000000};
    r->child = c;
    atomic_fetch_add(&c->users, 1);
    pthread_mutex_lock(&c->state);
    if (++c->spawns == 0)
        c->spawns = 1;
    r->number = c->wanted_spawn = c->spawns;
    pthread_mutex_unlock(&c->state);
    loop_post(c->loop, on_spawn, r);

    int rc = 0;
    pthread_mutex_lock(&c->state);
    while (c->wanted_spawn && !c->closing && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&c->changed, &c->state, &until);
    bool waiting = c->wanted_spawn != 0, closing = c->closing;
    c->wanted_spawn = 0;
    struct err spawned = c->spawn_error;
    pthread_mutex_unlock(&c->state);
    if (closing)
        return ERR(e, ERR_CANCELLED, "the child process is being shut down");
    if (waiting)
        return ERR(e, ERR_TIMEOUT, "the event loop was too busy to start a child process");
    if (spawned.code) {
        if (e)
            *e = spawned;
        return spawned.code;
    }
    return 0;
}

/* ---- the end of a process ---- */

/* Takes the process away from the object: whoever got it here is the one who reaps it. */
static pid_t disown(struct child *c)
{
    pthread_mutex_lock(&c->state);
    pid_t pid = c->pid;
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->pid = 0;
    pthread_mutex_unlock(&c->state);
    return pid;
}

static int reap(pid_t pid, int flags)
{
    int status = 0;
    pid_t rc;
    do {
        rc = waitpid(pid, &status, flags);
    } while (rc < 0 && errno == EINTR);
    return rc == pid ? status : -1;
}

static void put_down(struct child *c)
{
    pid_t pid = disown(c);
    if (pid <= 0)
        return;
    kill(pid, SIGKILL);
    reap(pid, 0);
}

/* Its end of the pair is closed: says how it ended. A process that lives on without it is killed. */
static int died(struct child *c, const char *doing, struct err *e)
{
    pthread_mutex_lock(&c->state);
    bool closing = c->closing;
    pthread_mutex_unlock(&c->state);
    pid_t pid = disown(c);
    int status = -1;
    for (int i = 0; i < 200 && status < 0; i++) { /* the socket closes a moment before the process is gone */
        status = reap(pid, WNOHANG);
        if (status < 0)
            nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    if (status < 0) {
        kill(pid, SIGKILL);
        reap(pid, 0);
    }
    if (closing)
        return ERR(e, ERR_CANCELLED, "the child process is being shut down");
    if (status < 0)
        return ERR(e, ERR_IO, "the child process closed its socket while %s", doing);
    if (WIFSIGNALED(status))
        return ERR(e, ERR_IO, "the child process was killed by signal %d (%s) while %s%s", WTERMSIG(status),
                   strsignal(WTERMSIG(status)), doing,
                   WTERMSIG(status) == SIGKILL ? ": perhaps the system is out of memory" : "");
    if (WEXITSTATUS(status) == 127)
        return ERR(e, ERR_IO, "the child process could not be executed (/proc/self/exe)");
    return ERR(e, ERR_IO, "the child process ended with exit code %d while %s", WEXITSTATUS(status), doing);
}

static int late(struct child *c, int deadline_ms, struct err *e)
{
    put_down(c);
    return ERR(e, ERR_TIMEOUT, "no answer from the child process within %d ms: it was killed", deadline_ms);
}

/* ---- frames ---- */

enum io { IO_OK, IO_CLOSED, IO_LATE };

static enum io wait_for(int fd, short events, int64_t deadline)
{
    for (;;) {
        int64_t left = deadline - now_ms();
        if (left <= 0)
            return IO_LATE;
        struct pollfd p = {fd, events, 0};
        int rc = poll(&p, 1, left > 60000 ? 60000 : (int)left);
        if (rc > 0)
            return IO_OK; /* errors show in the read or write that follows */
        if (rc < 0 && errno != EINTR)
            return IO_CLOSED;
    }
}

static void put_length(unsigned char head[4], size_t n)
{
    for (int i = 0; i < 4; i++)
        head[i] = (unsigned char)(n >> (8 * i));
}

static size_t get_length(const unsigned char head[4])
{
    return head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24;
}

static enum io send_frame(int fd, struct str s, int64_t deadline)
{
    unsigned char head[4];
    size_t sent = 0;
    put_length(head, s.n);
    while (sent < 4 + s.n) {
        size_t in_head = sent < 4 ? 4 - sent : 0, off = sent < 4 ? 0 : sent - 4;
        struct iovec v[2] = {{head + (4 - in_head), in_head}, {(char *)s.p + off, s.n - off}};
        struct msghdr m = {.msg_iov = in_head ? v : v + 1, .msg_iovlen = in_head ? 2 : 1};
        ssize_t n = sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0) {
            sent += (size_t)n;
        } else if (errno == EAGAIN) {
            enum io rc = wait_for(fd, POLLOUT, deadline);
            if (rc != IO_OK)
                return rc;
        } else if (errno != EINTR) {
            return IO_CLOSED;
        }
    }
    return IO_OK;
}

static enum io recv_all(int fd, char *p, size_t n, int64_t deadline)
{
    while (n) {
        ssize_t got = recv(fd, p, n, MSG_DONTWAIT);
        if (got > 0) {
            p += got;
            n -= (size_t)got;
        } else if (got == 0) {
            return IO_CLOSED;
        } else if (errno == EAGAIN) {
            enum io rc = wait_for(fd, POLLIN, deadline);
            if (rc != IO_OK)
                return rc;
        } else if (errno != EINTR) {
            return IO_CLOSED;
        }
    }
    return IO_OK;
}

/* The body of a frame, in steps, so that a wrong length does not allocate a gigabyte at once. */
static enum io recv_body(int fd, size_t n, struct buf *out, int64_t deadline)
{
    while (n) {
        size_t step = n < READ_STEP ? n : READ_STEP;
        if (buf_reserve(out, step) < 0)
            return IO_CLOSED; /* the caller has checked the maximum */
        enum io rc = recv_all(fd, out->p + out->n, step, deadline);
        if (rc != IO_OK)
            return rc;
        out->n += step;
        out->p[out->n] = '\0';
        n -= step;
    }
    return IO_OK;
}

/* ---- calls ---- */

static int ensure_running(struct child *c, int64_t deadline, struct err *e)
{
    pthread_mutex_lock(&c->state);
    pid_t pid = c->pid;
    bool closing = c->closing;
    if (pid > 0 && reap(pid, WNOHANG) >= 0) { /* it ended between two calls: nothing is lost */
        log_warn("child process %d ended while it had nothing to do: started again", (int)pid);
        close(c->fd);
        c->fd = -1;
        c->pid = pid = 0;
    }
    pthread_mutex_unlock(&c->state);
    if (closing)
        return ERR(e, ERR_CANCELLED, "the child process is being shut down");
    if (pid > 0)
        return 0;
    return loop_is_thread(c->loop) ? spawn(c, e) : spawn_elsewhere(c, deadline, e);
}

static int exchange(struct child *c, struct str request, int64_t deadline, int deadline_ms, struct buf *answer,
                    struct err *e)
{
    unsigned char head[4];
    int fd = c->fd; /* changes only under `calls`, which we hold */
    enum io rc = send_frame(fd, request, deadline);
    if (rc == IO_OK)
        rc = recv_all(fd, (char *)head, sizeof(head), deadline);
    if (rc == IO_OK) {
        size_t n = get_length(head);
        if (n > CHILD_FRAME_MAX || n > answer->max - answer->n) {
            put_down(c); /* what it still wants to send would be taken for the next answer */
            return ERR(e, ERR_TOO_BIG, "the child process answered with %zu bytes, more than the %zu allowed", n,
                       answer->max - answer->n);
        }
        rc = recv_body(fd, n, answer, deadline);
    }
    if (rc == IO_LATE)
        return late(c, deadline_ms, e);
    if (rc == IO_CLOSED)
        return died(c, "working on a request", e);
    return 0;
}

int child_call(struct child *c, struct str request, int deadline_ms, struct buf *ret_answer, struct err *e)
{
    int64_t deadline = now_ms() + deadline_ms;
    if (request.n > CHILD_FRAME_MAX)
        return ERR(e, ERR_TOO_BIG, "a request of %zu bytes is larger than a frame may be (%zu)", request.n,
                   CHILD_FRAME_MAX);
    pthread_mutex_lock(&c->calls);
    int rc = ensure_running(c, deadline, e);
    if (rc == 0)
        rc = exchange(c, request, deadline, deadline_ms, ret_answer, e);
    pthread_mutex_unlock(&c->calls);
    return rc;
}

/* ---- the object ---- */

static char **copy_list(const char *const *list, const char *first)
{
    size_t n = 0, at = 0;
    while (list && list[n])
        n++;
    char **copy = xcalloc(n + 2, sizeof(*copy));
    if (first)
        copy[at++] = xstrdup(first);
    for (size_t i = 0; i < n; i++)
        copy[at++] = xstrdup(list[i]);
    return copy;
}

struct child *child_new(struct loop *l, const struct child_opts *opts)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    struct child *c = xcalloc(1, sizeof(*c));
    pthread_condattr_t attr;
    self[n > 0 ? n : 0] = '\0';
    c->loop = l;
    c->fd = -1;
    c->argv = copy_list(opts->args, n > 0 ? self : "ocean-run");
    c->env = copy_list(opts->env, NULL);
    c->memory_limit = opts->memory_limit;
    atomic_init(&c->users, 1);
    pthread_mutex_init(&c->calls, NULL);
    pthread_mutex_init(&c->state, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&c->changed, &attr);
    pthread_condattr_destroy(&attr);
    return c;
}

void child_free(struct child *c)
{
    if (!c)
        return;
    pthread_mutex_lock(&c->state);
    c->closing = true;
    if (c->pid > 0)
        kill(c->pid, SIGKILL);
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->state);
    pthread_mutex_lock(&c->calls); /* a call going on ends now */
    pthread_mutex_unlock(&c->calls);
    put_down(c);
    child_release(c);
}
