/* child_serve.c: the child's side of child.c: frames on descriptor 3, one after the other, blocking. */
#include "io/child.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHILD_FD 3
#define STEP ((size_t)1 << 20)

/* 1: done; 0: end of file before the first byte; -1: broken off. */
static int read_all(char *p, size_t n)
{
    size_t have = 0;
    while (have < n) {
        ssize_t got = read(CHILD_FD, p + have, n - have);
        if (got > 0)
            have += (size_t)got;
        else if (got == 0)
            return have == 0 ? 0 : -1;
        else if (errno != EINTR)
            return -1;
    }
    return 1;
}

static int write_all(const char *p, size_t n)
{
    while (n) {
        ssize_t put = send(CHILD_FD, p, n, MSG_NOSIGNAL);
        if (put >= 0) {
            p += put;
            n -= (size_t)put;
        } else if (errno != EINTR) {
            return -1;
        }
    }
    return 0;
}

static int read_frame(struct buf *request)
{
    unsigned char head[4];
    int rc = read_all((char *)head, sizeof(head));
    if (rc <= 0)
        return rc;
    size_t n = head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24;
    buf_reset(request);
    while (n) {
        size_t step = n < STEP ? n : STEP;
        if (buf_reserve(request, step) < 0 || read_all(request->p + request->n, step) <= 0)
            return -1;
        request->n += step;
        request->p[request->n] = '\0';
        n -= step;
    }
    return 1;
}

static int write_frame(const struct buf *answer)
{
    char head[4];
    for (int i = 0; i < 4; i++)
        head[i] = (char)(answer->n >> (8 * i));
    return write_all(head, sizeof(head)) < 0 ? -1 : write_all(answer->p, answer->n);
}

int child_serve(int (*handle)(void *arg, struct str request, struct buf *answer), void *arg)
{
    struct buf request, answer;
    int rc, code = 0;
    buf_init(&request, CHILD_FRAME_MAX);
    buf_init(&answer, CHILD_FRAME_MAX);
    while ((rc = read_frame(&request)) > 0) {
        buf_reset(&answer);
        code = handle(arg, buf_str(&request), &answer);
        if (code != 0 || write_frame(&answer) < 0)
            break;
        if (request.cap > STEP * 4) { /* one large batch does not stay in memory for ever */
            buf_done(&request);
            buf_init(&request, CHILD_FRAME_MAX);
        }
        if (answer.cap > STEP * 4) {
            buf_done(&answer);
            buf_init(&answer, CHILD_FRAME_MAX);
        }
    }
    if (code == 0 && rc != 0) {
        fprintf(stderr, "ocean-run: child process: the connection to its parent broke: %s\n", strerror(errno));
        code = 1;
    }
    buf_done(&request);
    buf_done(&answer);
    return code;
}
