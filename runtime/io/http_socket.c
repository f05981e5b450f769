/* http_socket.c: what libmicrohttpd does not tell about a connection.
 *
 * A file of its own because the kernel's linux/tcp.h, which alone knows tcpi_bytes_received, cannot be included
 * together with the C library's netinet/tcp.h, which comes with uv.h. */
#include "io/http_socket.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

uint64_t socket_bytes_received(int fd)
{
    struct tcp_info info;
    socklen_t n = sizeof(info);
    memset(&info, 0, sizeof(info));
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) == 0 ? info.tcpi_bytes_received : 0;
}

bool socket_bytes_waiting(int fd)
{
    char one;
    return recv(fd, &one, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

void socket_reset(int fd)
{
    static const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
    static const struct linger none = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
    if (connect(fd, &nowhere, sizeof(nowhere)) != 0)
        shutdown(fd, SHUT_RDWR); /* cannot happen on Linux; the peer then sees a closed connection */
}
