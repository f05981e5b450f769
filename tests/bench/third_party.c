/* third_party: the source of a benchmark: GET /items?page=N&per_page=M serves M of COUNT generated items of about 1 KB.
 *
 *   third_party COUNT [sequential|random]      prints "third party listening on http://127.0.0.1:PORT"
 *
 * Items are a pure function of their number, made while answering, so memory stays flat and a second run sees the same
 * data. Random identifiers are a hash of the number: same length, no order. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "io/http_server.h"
#include "io/loop.h"

static long count = 10000;
static bool shuffled;

static void add_item(struct buf *b, long i)
{
    static const char text[] =
        "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore et dolore "
        "magna aliqua. Ut enim ad minim veniam, quis nostrud exercitation ullamco laboris nisi ut aliquip ex ea commodo "
        "consequat. Duis aute irure dolor in reprehenderit in voluptate velit esse cillum dolore eu fugiat nulla "
        "pariatur. Excepteur sint occaecat cupidatat non proident, sunt in culpa qui officia deserunt mollit anim id "
        "est laborum. Sed ut perspiciatis unde omnis iste natus error sit voluptatem accusantium doloremque laudantium.";
    char id[40];
    if (shuffled) {
        char number[24];
        int n = snprintf(number, sizeof(number), "%ld", i);
        struct key128 k = hash128_of((struct str){number, (size_t)n});
        snprintf(id, sizeof(id), "%016llx", (unsigned long long)k.a);
    } else {
        snprintf(id, sizeof(id), "item-%011ld", i);
    }
    buf_addf(b,
             "{\"id\":\"%s\",\"number\":%ld,\"name\":\"Item number %ld\",\"state\":\"%s\",\"archived\":false,"
             "\"url\":\"https://items.example.com/browse/%s\",\"score\":%ld.%02ld,\"labels\":[\"alpha\",\"beta\",\"l%ld\"],"
             "\"owner\":{\"login\":\"user-%ld\",\"email\":\"user-%ld@example.com\",\"team\":\"team-%ld\"},"
             "\"created_at\":\"2024-0%ld-1%ldT08:00:00Z\",\"updated_at\":\"2025-0%ld-1%ldT09:30:00Z\",\"description\":\"%s\"}",
             id, i, i, i % 3 ? "open" : "closed", id, i % 100, i % 97, i % 7, i % 500, i % 500, i % 20, i % 9 + 1, i % 9,
             i % 9 + 1, i % 9, text);
}

static long parameter(struct http_call *call, const char *name, long fallback)
{
    struct buf v;
    int64_t n = fallback;
    buf_init(&v, 64);
    if (http_call_param(call, name, 0, &v))
        str_int64(buf_str(&v), &n);
    buf_done(&v);
    return (long)n;
}

static void handle(void *arg, struct http_call *call)
{
    struct buf out;
    (void)arg;
    buf_init(&out, (size_t)64 << 20);
    long page = parameter(call, "page", 1), size = parameter(call, "per_page", 100);
    long from = (page - 1) * size, to = from + size < count ? from + size : count;
    buf_addc(&out, '[');
    for (long i = from; i < to; i++) {
        if (i > from)
            buf_addc(&out, ',');
        add_item(&out, i);
    }
    buf_addc(&out, ']');
    http_reply(call, 200, "application/json", &out, NULL, 0);
}

static void on_signal(void *arg, int signum)
{
    (void)signum;
    loop_stop(arg);
}

int main(int argc, char **argv)
{
    struct err e = {0};
    struct http_server *s;
    struct http_server_opts o = {.handle = handle};
    if (argc > 1)
        count = atol(argv[1]);
    shuffled = argc > 2 && !strcmp(argv[2], "random");
    struct loop *l = loop_new();
    loop_on_signal(l, on_signal, l);
    if (http_server_start(l, &o, &s, &e) < 0) {
        fprintf(stderr, "third_party: %s\n", e.msg);
        return 1;
    }
    printf("third party listening on http://127.0.0.1:%d\n", http_server_port(s));
    fflush(stdout);
    loop_run(l);
    http_server_free(s);
    loop_free(l);
    return 0;
}
